/* What the family's options do, where no golden case or gradient says it: the same bits by other ways (checkpointing, threads,
 * resuming), the same result in parts, averages, frozen weights, dropout, curricula, memory told beforehand. */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

#define STATE "test_family.safetensors"

enum { EXAMPLES = 40, TOKENS = 6, WORDS = 5, PUZZLES = 4, ROWS = 6, STEPS = 6 };

static hrm_dataset *data; /* the answer is the question, moved one place on */
static uint8_t data_inputs[EXAMPLES * TOKENS], data_labels[EXAMPLES * TOKENS];
static int32_t data_ids[EXAMPLES];

static void data_open(void)
{
    hrm_random r = hrm_random_make(4, 4);
    hrm_dataset_arrays a;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < EXAMPLES * TOKENS; i++) data_inputs[i] = (uint8_t)hrm_random_below(&r, WORDS);
    for (int i = 0; i < EXAMPLES * TOKENS; i++) data_labels[i] = data_inputs[i / TOKENS * TOKENS + (i + 1) % TOKENS];
    for (int i = 0; i < EXAMPLES; i++) data_ids[i] = (int32_t)hrm_random_below(&r, PUZZLES);
    a.seq_len = TOKENS, a.vocab_size = WORDS, a.num_puzzle_identifiers = PUZZLES, a.num_examples = EXAMPLES;
    a.inputs = data_inputs, a.labels = data_labels, a.puzzle_identifiers = data_ids;
    CHECK_OK(hrm_dataset_from_arrays(&data, &a, NULL));
}

/* A mixer of the family, and what trains it. */
static hrm_model_desc mixer_desc(void)
{
    hrm_model_desc d = small_desc();
    d.one_network = 1, d.H_layers = 0;
    d.mlp_t = d.mlp_norm = d.no_ACT_continue = 1;
    d.pos_encodings = HRM_NO_POSITIONS;
    d.grad_H_cycles = 1;
    d.loss_type = HRM_SOFTMAX_CROSS_ENTROPY;
    d.label_smoothing = 0.1f;
    return d;
}

static hrm_train_desc muon_desc(void)
{
    hrm_train_desc t;
    memset(&t, 0, sizeof t);
    t.steps = 20, t.batch_size = ROWS, t.no_warmup = 1, t.seed = 3;
    t.optimizer = HRM_MUON;
    t.lr = 1e-2f;
    t.grad_clip = 1;
    return t;
}

/* A model and its trainer. */
typedef struct pair { hrm_model *model; hrm_trainer *trainer; } pair;

static pair pair_make(const hrm_model_desc *d, const hrm_train_desc *t)
{
    pair p = {NULL, NULL};
    CHECK_OK(hrm_model_create(&p.model, d));
    if (!p.model) exit(test_summary());
    model_decide(p.model, 2);
    if (t) CHECK_OK(hrm_trainer_create(&p.trainer, p.model, t));
    if (t && !p.trainer) exit(test_summary());
    return p;
}

static void pair_free(pair *p)
{
    hrm_trainer_destroy(p->trainer);
    hrm_model_destroy(p->model);
}

/* What a run tells of its rows. */
typedef struct rows { int32_t steps[ROWS], halted[ROWS], predictions[ROWS * TOKENS]; hrm_real q_halt[ROWS]; } rows;

static void rows_read(const hrm_run *run, rows *r)
{
    hrm_run_outputs o;
    memset(&o, 0, sizeof o);
    o.steps = r->steps, o.halted = r->halted, o.predictions = r->predictions, o.q_halt = r->q_halt;
    CHECK_OK(hrm_run_read(run, &o));
}

/* The worst relative difference of two models' tensors; those whose names start otherwise are passed over. */
static double weights_differ(const hrm_model *a, const hrm_model *b, const char *only)
{
    double worst = 0;
    for (int i = 0; i < hrm_model_tensor_count(a); i++) {
        size_t n = 0;
        hrm_tensor t;
        hrm_real *x = tensor_values(a, i, &n, &t), *y = tensor_values(b, i, &n, NULL);
        double error = strncmp(t.name, only, strlen(only)) == 0 ? relative_error(x, y, n) : 0;
        if (error > worst) worst = error;
        free(x);
        free(y);
    }
    return worst;
}

/* ---- the same bits: checkpointing and threads ------------------------------------------------------------------------- */
static void check_same_bits(const char *name, hrm_model_desc d, hrm_train_desc t)
{
    d.num_threads = 1;
    pair one = pair_make(&d, &t);
    hrm_metrics metrics[STEPS], m;
    for (int i = 0; i < STEPS; i++) CHECK_OK(hrm_trainer_step(one.trainer, data, &metrics[i]));
    for (int k = 0; k < 4; k++) { /* 2, 3 and 7 threads; checkpointing with one and with two */
        static const int threads[4] = {2, 3, 7, 1};
        d.num_threads = threads[k];
        t.activation_checkpointing = k % 3 == 0;
        pair other = pair_make(&d, &t);
        for (int i = 0; i < STEPS; i++) {
            CHECK_OK(hrm_trainer_step(other.trainer, data, &m));
            CHECK(memcmp(&m, &metrics[i], sizeof m) == 0, "%s: metrics of step %d with %d threads, checkpointing %d", name,
                  i + 1, threads[k], t.activation_checkpointing);
        }
        CHECK(models_equal(one.model, other.model), "%s: weights with %d threads, checkpointing %d", name, threads[k],
              t.activation_checkpointing);
        pair_free(&other);
    }
    pair_free(&one);
}

/* ---- the same result in parts ------------------------------------------------------------------------------------------ */
static void check_parts(const char *name, hrm_model_desc d, hrm_train_desc t)
{
    static const int parts[] = {2, 3, 6};
    for (size_t k = 0; k < HRM__COUNT(parts); k++) {
        hrm_metrics a, b;
        rows x, y;
        t.grad_accumulation = 1;
        pair whole = pair_make(&d, &t);
        t.grad_accumulation = parts[k];
        pair part = pair_make(&d, &t);
        for (int i = 0; i < STEPS; i++) {
            CHECK_OK(hrm_trainer_step(whole.trainer, data, &a));
            CHECK_OK(hrm_trainer_step(part.trainer, data, &b));
            if (i == 0) b.grad_norm = a.grad_norm; /* of the first step nothing else is summed in another order */
            if (i == 0)
                CHECK(memcmp(&a, &b, sizeof a) == 0, "%s: the first step's metrics in %d parts", name, t.grad_accumulation);
            CHECK(fabs(a.lm_loss - b.lm_loss) < 1e-4 * a.lm_loss && fabs(a.q_halt_loss - b.q_halt_loss) < 1e-3 &&
                      fabs(a.ponder_loss - b.ponder_loss) < 1e-4 && fabs(a.q_continue_loss - b.q_continue_loss) < 1e-3 &&
                      fabs(a.count - b.count) <= 0 && fabs(a.steps - b.steps) <= 0 && fabs(a.accuracy - b.accuracy) < 1e-6 &&
                      fabs(a.rows - ROWS) <= 0 && fabs(b.rows - ROWS) <= 0 && fabs(a.grad_norm - b.grad_norm) < 1e-3,
                  "%s: metrics of step %d in %d parts: loss %g, in one %g", name, i + 1, t.grad_accumulation, b.lm_loss,
                  a.lm_loss);
            rows_read(hrm_trainer_run(whole.trainer), &x);
            rows_read(hrm_trainer_run(part.trainer), &y);
            CHECK(memcmp(x.steps, y.steps, sizeof x.steps) == 0 && memcmp(x.halted, y.halted, sizeof x.halted) == 0,
                  "%s: the carry after step %d in %d parts", name, i + 1, t.grad_accumulation);
            CHECK(relative_error(x.q_halt, y.q_halt, ROWS) < 1e-3, "%s: q after step %d in %d parts", name, i + 1,
                  t.grad_accumulation);
        }
        CHECK(weights_differ(whole.model, part.model, "") < 2e-4, "%s: weights in %d parts off by %.2e", name,
              t.grad_accumulation, weights_differ(whole.model, part.model, ""));
        hrm_run_outputs o;
        hrm_real logits[ROWS * TOKENS * WORDS];
        memset(&o, 0, sizeof o);
        o.logits = logits;
        CHECK_FAILS(hrm_run_read(hrm_trainer_run(part.trainer), &o), HRM_ERR_ARGUMENT, "logits");
        pair_free(&part);
        pair_free(&whole);
    }
    t.grad_accumulation = 4;
    hrm_model *model = NULL;
    hrm_trainer *trainer = NULL;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &t), HRM_ERR_ARGUMENT, "grad_accumulation 4");
    hrm_model_destroy(model);
}

/* Muon's rate goes with the schedule: at its end of 0 the blocks stand. */
static void check_last_rate(void)
{
    hrm_model_desc d = mixer_desc();
    hrm_train_desc t = muon_desc();
    t.steps = 4, t.no_lr_min_ratio = t.no_weight_decay = t.no_muon_weight_decay = 1;
    pair one = pair_make(&d, &t);
    for (int i = 1; i <= 4; i++) {
        size_t n = one.model->at.trained - one.model->at.net_offset[0];
        hrm_real *before = (hrm_real *)malloc(n * sizeof *before), *now = one.model->params + one.model->at.net_offset[0];
        memcpy(before, now, n * sizeof *before);
        CHECK_OK(hrm_trainer_step(one.trainer, data, NULL));
        double error = relative_error(now, before, n);
        CHECK(i < 4 ? error > 1e-4 : error < 1e-9, "step %d of 4 moves the blocks by %g", i, error);
        free(before);
    }
    pair_free(&one);
}

/* ---- averages ---------------------------------------------------------------------------------------------------------- */
static void check_average(int from)
{
    hrm_model_desc d = mixer_desc();
    hrm_train_desc t = muon_desc();
    t.ema = 1, t.ema_rate = 0.8f, t.ema_from = from;
    pair p = pair_make(&d, &t);
    int tensor = hrm_model_tensor_find(p.model, "inner.L_level.layers.0.mlp.down_proj.weight");
    size_t n = 0;
    hrm_real *average = tensor_values(p.model, tensor, &n, NULL), *before = NULL;
    hrm_metrics m, with;
    for (int step = 1; step <= STEPS; step++) {
        CHECK_OK(hrm_trainer_step(p.trainer, data, &m)); /* back from the average by itself */
        hrm_real *live = tensor_values(p.model, tensor, &n, NULL);
        if (before) CHECK(relative_error(live, before, n) > 1e-6, "step %d moved nothing", step);
        for (size_t i = 0; i < n; i++)
            average[i] = step <= from ? live[i] : (hrm_real)0.8f * average[i] + (1 - (hrm_real)0.8f) * live[i];
        CHECK_OK(hrm_model_save(p.model, STATE));
        CHECK_OK(hrm_trainer_use_average(p.trainer, 1));
        hrm_real *used = tensor_values(p.model, tensor, &n, NULL);
        CHECK(relative_error(used, average, n) <= (step <= from ? 0 : 1e-6),
              "the average after step %d, from %d, is off by %.2e", step, from, relative_error(used, average, n));
        CHECK((relative_error(used, live, n) > 1e-6) == (step > from), "the average after step %d, from %d", step, from);
        CHECK_OK(hrm_evaluate(p.model, data, NULL, &with));
        CHECK_OK(hrm_trainer_use_average(p.trainer, 1)); /* it is on */
        if (step % 2) { /* back by hand, or by the next step */
            CHECK_OK(hrm_trainer_use_average(p.trainer, 0));
            pair copy = pair_make(&d, NULL);
            CHECK_OK(hrm_model_load_weights(copy.model, STATE));
            CHECK(models_equal(p.model, copy.model), "the weights are not what they were before their average");
            CHECK_OK(hrm_evaluate(copy.model, data, NULL, &m));
            if (step > from) CHECK(fabs(m.lm_loss - with.lm_loss) > 1e-9, "the average is not what is evaluated");
            pair_free(&copy);
        }
        free(used);
        free(before);
        before = live;
    }
    free(before);
    free(average);
    pair_free(&p);
    t.ema = 0;
    p = pair_make(&d, &t);
    CHECK_FAILS(hrm_trainer_use_average(p.trainer, 1), HRM_ERR_ARGUMENT, "ema");
    pair_free(&p);
}

/* The same of a run; before its first update the average is the weights. */
static void check_run_average(void)
{
    hrm_model_desc d = mixer_desc();
    hrm_run_desc rd;
    hrm_update_desc u;
    hrm_run *run = NULL;
    hrm_batch batch;
    hrm_position position;
    pair p = pair_make(&d, NULL), same = pair_make(&d, NULL);
    memset(&rd, 0, sizeof rd);
    memset(&u, 0, sizeof u);
    memset(&position, 0, sizeof position);
    rd.rows = ROWS, rd.train = rd.update = 1, rd.ema = 1;
    u.lr = 1e-2f, u.beta1 = 0.9f, u.beta2 = 0.95f, u.ema_rate = 0.5f;
    batch_make(&batch, ROWS, TOKENS);
    CHECK_OK(hrm_dataset_next(data, &position, 1, 1, &batch, NULL));
    CHECK_OK(hrm_run_create(&run, p.model, &rd));
    CHECK_OK(hrm_run_use_average(run, 1));
    CHECK(models_equal(p.model, same.model), "before the first update the average is not the weights");
    CHECK_OK(hrm_run_use_average(run, 0));
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_update(run, &u));
    size_t n = 0;
    int tensor = hrm_model_tensor_find(p.model, "inner.lm_head.weight");
    hrm_real *before = tensor_values(same.model, tensor, &n, NULL), *live = tensor_values(p.model, tensor, &n, NULL);
    CHECK_OK(hrm_run_use_average(run, 1));
    hrm_real *average = tensor_values(p.model, tensor, &n, NULL);
    for (size_t i = 0; i < n; i++) live[i] = (hrm_real)0.5 * (live[i] + before[i]);
    CHECK(relative_error(average, live, n) < 1e-6 && relative_error(average, before, n) > 1e-6, "the average after one update");
    free(average);
    free(live);
    free(before);
    hrm_run_destroy(run);
    batch_free(&batch);
    pair_free(&same);
    pair_free(&p);
}

/* ---- frozen weights ---------------------------------------------------------------------------------------------------- */
static void check_frozen(void)
{
    hrm_model_desc d = small_desc();
    hrm_train_desc t = muon_desc();
    t.freeze_weights = 1, t.optimizer = HRM_ADAM_ATAN2;
    pair p = pair_make(&d, &t), before = pair_make(&d, NULL);
    hrm_metrics m;
    for (int i = 0; i < 3; i++) CHECK_OK(hrm_trainer_step(p.trainer, data, &m));
    CHECK(m.grad_norm <= 0, "frozen weights have a gradient of norm %g", m.grad_norm);
    for (int i = 0; i < hrm_model_tensor_count(p.model); i++) {
        size_t n = 0;
        hrm_tensor tensor;
        hrm_role role;
        hrm_real *x = tensor_values(p.model, i, &n, &tensor), *y = tensor_values(before.model, i, &n, NULL);
        CHECK_OK(hrm_model_tensor(p.model, i, &tensor, &role));
        CHECK((memcmp(x, y, n * sizeof *x) == 0) == (role != HRM_PUZZLE_TABLE), "%s with frozen weights", tensor.name);
        free(x);
        free(y);
    }
    pair_free(&p);
    pair_free(&before);
    hrm_trainer *trainer = NULL;
    p = pair_make(&d, NULL);
    t.ema = 1;
    CHECK_FAILS(hrm_trainer_create(&trainer, p.model, &t), HRM_ERR_ARGUMENT, "freeze_weights");
    t.ema = 0;
    pair_free(&p);
    d.no_puzzle_emb = 1, d.puzzle_emb_ndim = 0;
    p = pair_make(&d, NULL);
    CHECK_FAILS(hrm_trainer_create(&trainer, p.model, &t), HRM_ERR_ARGUMENT, "freeze_weights");
    pair_free(&p);
}

/* ---- dropout ----------------------------------------------------------------------------------------------------------- */
/* The target of q_continue is what the next segment says without dropout. */
static void check_dropout_target(void)
{
    hrm_model_desc d = small_desc();
    hrm_run_desc rd;
    hrm_run *run = NULL, *next = NULL;
    hrm_batch batch;
    hrm_run_outputs o;
    hrm_position position;
    hrm_real target[ROWS], halt[ROWS], go[ROWS];
    double worst = 0;
    d.dropout = 0.5f;
    pair p = pair_make(&d, NULL);
    memset(&rd, 0, sizeof rd);
    memset(&o, 0, sizeof o);
    memset(&position, 0, sizeof position);
    batch_make(&batch, ROWS, TOKENS);
    CHECK_OK(hrm_dataset_next(data, &position, 1, 1, &batch, NULL));
    rd.rows = ROWS;
    CHECK_OK(hrm_run_create(&next, p.model, &rd));
    rd.train = 1;
    CHECK_OK(hrm_run_create(&run, p.model, &rd));
    CHECK_OK(hrm_run_segment(next, &batch, NULL)); /* takes the puzzles */
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    o.target_q_continue = target;
    CHECK_OK(hrm_run_read(run, &o));
    size_t z = ROWS * (size_t)next->w.d.S * (size_t)next->w.d.D * sizeof(hrm_real);
    for (int i = 0; i < next->w.d.states; i++) memcpy(next->w.z[i], run->w.z[i], z);
    CHECK_OK(hrm_run_segment(next, &batch, NULL)); /* and goes on from there */
    memset(&o, 0, sizeof o);
    o.q_halt = halt, o.q_continue = go;
    CHECK_OK(hrm_run_read(next, &o));
    for (int i = 0; i < ROWS; i++)
        worst = fmax(worst, fabs((double)target[i] - 1 / (1 + exp(-fmax((double)halt[i], (double)go[i])))));
    CHECK(worst < 1e-6, "the target is %g off what the next segment says", worst);
    hrm_run_destroy(run);
    hrm_run_destroy(next);
    batch_free(&batch);
    pair_free(&p);
}

static void check_dropout(void)
{
    hrm_step s;
    memset(&s, 0, sizeof s);
    s.dropout = 0.3f, s.seed = 9, s.step = 4;
    double dropped = 0, kept = 0;
    for (int row = 0; row < 8; row++)
        for (uint64_t i = 0; i < 500; i++) {
            hrm_real f[4];
            hrm__dropout drop = hrm__dropout_of(&s, 3, 1, 0, row);
            hrm__dropout_factors(f, &drop, i);
            for (int k = 0; k < 4; k++) f[k] > 0 ? (kept += (double)f[k]) : (dropped += 1);
        }
    CHECK(fabs(dropped / 16000 - 0.3) < 0.015 && fabs(kept / 16000 - 1) < 0.02, "%g dropped, the rest sums up to %g",
          dropped / 16000, kept / 16000);
    hrm__dropout first = hrm__dropout_of(&s, 3, 1, 0, 2);
    for (int k = 0; k < 5; k++) { /* every one of these draws by itself */
        hrm_real a[4], b[4];
        int same = 0;
        s.step += k == 4;
        hrm__dropout other = hrm__dropout_of(&s, 3 + (k == 0), 1 + (k == 1), k == 2, 2 + (k == 3));
        for (uint64_t i = 0; i < 100; i++) {
            hrm__dropout_factors(a, &first, i);
            hrm__dropout_factors(b, &other, i);
            for (int j = 0; j < 4; j++) same += (a[j] > 0) == (b[j] > 0);
        }
        CHECK(same > 170 && same < 290, "draws of pass, layer, branch, row or step %d are the same %d times of 400", k, same);
    }
    for (int mixer = 0; mixer < 2; mixer++) {
        hrm_model_desc d = mixer ? mixer_desc() : small_desc();
        hrm_train_desc t = muon_desc();
        hrm_metrics plain, with, a, b;
        pair one = pair_make(&d, &t);
        CHECK_OK(hrm_trainer_step(one.trainer, data, &plain));
        d.dropout = 0.4f;
        pair two = pair_make(&d, &t);
        CHECK_OK(hrm_trainer_step(two.trainer, data, &with));
        CHECK(fabs(plain.lm_loss - with.lm_loss) > 1e-3, "dropout does nothing to the loss");
        pair_free(&two);
        two = pair_make(&d, NULL);
        CHECK_OK(hrm_model_save(one.model, STATE));
        CHECK_OK(hrm_model_load_weights(two.model, STATE));
        CHECK_OK(hrm_evaluate(one.model, data, NULL, &a));
        CHECK_OK(hrm_evaluate(two.model, data, NULL, &b));
        CHECK(memcmp(&a, &b, sizeof a) == 0, "dropout in an evaluation");
        pair_free(&two);
        pair_free(&one);
        check_same_bits(mixer ? "mixer, dropout" : "attention, dropout", d, t);
        check_parts(mixer ? "mixer, dropout" : "attention, dropout", d, t);
    }
}

/* ---- curricula --------------------------------------------------------------------------------------------------------- */
static void check_segments_allowed(void)
{
    hrm_model_desc d = mixer_desc();
    hrm_train_desc t = muon_desc();
    int steps[ROWS] = {0};
    rows r;
    hrm_metrics m;
    d.no_halt_exploration = 1;
    d.halt_max_steps = 5, d.halt_max_steps_start = 1;
    t.curriculum_steps = 9, t.lr = 1e-5f, t.muon_lr = 1e-5f, t.steps = 30;
    pair p = pair_make(&d, &t);
    const hrm_real never[2] = {-20, 0};
    CHECK_OK(hrm_model_tensor_write(p.model, hrm_model_tensor_find(p.model, "inner.q_head.bias"), never));
    for (int k = 1; k <= 24; k++) {
        int allowed = 1 + 4 * (k - 1 < 9 ? k - 1 : 9) / 9, wrong = 0;
        CHECK_OK(hrm_trainer_step(p.trainer, data, &m));
        rows_read(hrm_trainer_run(p.trainer), &r);
        for (int i = 0; i < ROWS; i++) {
            steps[i]++;
            wrong += r.steps[i] != steps[i] || r.halted[i] != (steps[i] >= allowed);
            if (steps[i] >= allowed) steps[i] = 0;
        }
        CHECK(wrong == 0, "%d rows are not where %d allowed segments leave them at step %d", wrong, allowed, k);
    }
    CHECK_OK(hrm_evaluate(p.model, data, NULL, &m));
    CHECK(fabs(m.steps - 5) <= 0, "an evaluation of %g segments", m.steps);
    pair_free(&p);
}

/* Each step of a trainer whose cycles grow is that of a run of a model with as many, from the same weights. */
static void check_cycles_grow(hrm_model_desc d)
{
    hrm_train_desc t = muon_desc();
    d.halt_max_steps = 1; /* every segment starts afresh */
    d.H_cycles = 3, d.L_cycles = 3, d.grad_H_cycles = 2;
    d.H_cycles_start = 1, d.L_cycles_start = 2;
    t.curriculum_steps = 4;
    pair p = pair_make(&d, &t);
    for (int k = 1; k <= STEPS; k++) {
        int at = k - 1 < 4 ? k - 1 : 4;
        hrm_model_desc fixed = d;
        hrm_model *model = NULL;
        hrm_run *run = NULL;
        hrm_run_desc rd;
        hrm_batch batch;
        hrm_metrics a, b;
        fixed.H_cycles = 1 + 2 * at / 4, fixed.L_cycles = 2 + at / 4;
        fixed.H_cycles_start = fixed.L_cycles_start = 0;
        fixed.grad_H_cycles = fixed.H_cycles < 2 ? 1 : 2;
        CHECK_OK(hrm_model_create(&model, &fixed));
        CHECK_OK(hrm_model_save(p.model, STATE));
        CHECK_OK(hrm_model_load_weights(model, STATE));
        memset(&rd, 0, sizeof rd);
        rd.rows = ROWS, rd.train = 1;
        CHECK_OK(hrm_run_create(&run, model, &rd));
        batch_make(&batch, ROWS, TOKENS);
        hrm_position position = hrm_trainer_position(p.trainer);
        CHECK_OK(hrm_dataset_next(data, &position, t.seed, 1, &batch, NULL));
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        CHECK_OK(hrm_run_metrics(run, &a));
        CHECK_OK(hrm_run_backward(run));
        double norm = 0;
        CHECK_OK(hrm_run_gradient_norm(run, &norm));
        CHECK_OK(hrm_trainer_step(p.trainer, data, &b));
        CHECK(fabs(a.lm_loss - b.lm_loss) <= 0 && fabs(norm - b.grad_norm) <= 1e-9 * norm,
              "step %d: loss %.9g and norm %.9g, with %d x %d cycles they are %.9g and %.9g", k, b.lm_loss, b.grad_norm,
              fixed.H_cycles, fixed.L_cycles, a.lm_loss, norm);
        batch_free(&batch);
        hrm_run_destroy(run);
        hrm_model_destroy(model);
    }
    pair_free(&p);
}

static void check_kept(void)
{
    int wrong = 0;
    for (int H = 1; H <= 5; H++)
        for (int L = 1; L <= 5; L++)
            for (int gradient = 0; gradient <= H; gradient++)
                for (int nets = 1; nets <= 2; nets++) {
                    hrm_dims d;
                    hrm_pass list[30];
                    memset(&d, 0, sizeof d);
                    d.nets = nets, d.layers[0] = 2, d.layers[1] = nets > 1 ? 3 : 0;
                    d.H_cycles = H, d.L_cycles = L, d.grad_H_cycles = gradient;
                    int n = hrm_passes_lay(list, nets, H, L, gradient), gradients = 0;
                    hrm_kept a = hrm_passes_place(list, list, n, d.layers), b = hrm__kept_of(&d);
                    for (int i = 0; i < n; i++) gradients += list[i].slot >= 0;
                    wrong += a.slots != b.slots || a.blocks != b.blocks || a.outs != b.outs || a.flows != b.flows;
                    wrong += n != H * (L + 1) || hrm_passes_lay(NULL, nets, H, L, gradient) != n ||
                             gradients != (gradient ? gradient * (L + 1) : 2);
                }
    CHECK(wrong == 0, "%d lists of passes are not what was counted", wrong);
}

static void check_exploration(void)
{
    hrm_model_desc d = mixer_desc();
    hrm_train_desc t = muon_desc();
    hrm_metrics m;
    d.halt_exploration_prob = 0.8f;
    for (int annealed = 0; annealed < 2; annealed++) {
        d.halt_exploration_end = annealed ? 0.2f : 0;
        t.exploration_steps = annealed ? 4 : 0;
        pair p = pair_make(&d, &t);
        for (int k = 1; k <= STEPS; k++) {
            double expected = annealed ? 0.8 - 0.6 * (k - 1 < 4 ? k - 1 : 4) / 4 : 0.8;
            CHECK_OK(hrm_trainer_step(p.trainer, data, &m));
            double found = (double)hrm_trainer_run(p.trainer)->w.step->exploration;
            CHECK(fabs(found - expected) < 1e-6, "exploration is %g at step %d, expected %g", found, k, expected);
        }
        pair_free(&p);
    }
}

/* ---- optimizers -------------------------------------------------------------------------------------------------------- */
/* An update of a run is that of the public optimizers on its gradients, scaled when their norm is too large. */
static void check_update(hrm_optimizer optimizer, double clip)
{
    hrm_model_desc d = mixer_desc();
    hrm_run_desc rd;
    hrm_update_desc u;
    hrm_run *run = NULL;
    hrm_batch batch;
    hrm_position position;
    enum { MOST = 32 };
    hrm_real *p[MOST] = {NULL}, *m[MOST] = {NULL}, *v[MOST] = {NULL};
    pair one = pair_make(&d, NULL);
    memset(&rd, 0, sizeof rd);
    memset(&u, 0, sizeof u);
    memset(&position, 0, sizeof position);
    rd.rows = ROWS, rd.train = rd.update = 1, rd.optimizer = optimizer, rd.muon_ns_steps = 5;
    u.lr = 3e-3f, u.weight_decay = 0.2f, u.beta1 = 0.8f, u.beta2 = 0.9f, u.adam_eps = 1e-6f, u.grad_clip = (float)clip;
    u.muon_lr = 0.03f, u.muon_weight_decay = 0.1f, u.muon_momentum = 0.7f;
    CHECK_OK(hrm_run_create(&run, one.model, &rd));
    batch_make(&batch, ROWS, TOKENS);
    for (int step = 1; step <= 3; step++) {
        CHECK_OK(hrm_dataset_next(data, &position, 1, 1, &batch, NULL));
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        CHECK_OK(hrm_run_backward(run));
        double norm = 0, factor = 1, squares = 0;
        CHECK_OK(hrm_run_gradient_norm(run, &norm));
        if (clip > 0 && norm > clip) factor = clip / (norm + 1e-6);
        for (int i = 0; i < hrm_model_tensor_count(one.model); i++) {
            size_t n = 0;
            hrm_tensor t;
            hrm_role role;
            hrm_real *now = tensor_values(one.model, i, &n, NULL), *g = (hrm_real *)calloc(n, sizeof *g);
            CHECK_OK(hrm_model_tensor(one.model, i, &t, &role));
            if (role == HRM_TRAINED) {
                if (!m[i])
                    p[i] = (hrm_real *)calloc(n, sizeof *now), m[i] = (hrm_real *)calloc(n, sizeof *now),
                    v[i] = (hrm_real *)calloc(n, sizeof *now);
                memcpy(p[i], now, n * sizeof *now);
                CHECK_OK(hrm_run_gradient(run, i, g));
                for (size_t k = 0; k < n; k++) {
                    squares += (double)g[k] * (double)g[k];
                    g[k] *= (hrm_real)factor;
                }
                if (optimizer == HRM_MUON && strstr(t.name, ".layers.")) {
                    size_t height = (size_t)t.shape[0], width = (size_t)t.shape[1];
                    hrm_real *scratch = (hrm_real *)malloc(hrm_muon_scratch(height, width) * sizeof *scratch);
                    hrm_muon(p[i], m[i], g, height, width, (double)u.muon_lr, (double)u.muon_momentum,
                             (double)u.muon_weight_decay, 5, scratch);
                    free(scratch);
                } else if (optimizer == HRM_ADAM_ATAN2) {
                    hrm_adam_atan2(p[i], m[i], v[i], g, n, (double)u.lr, (double)u.beta1, (double)u.beta2,
                                   (double)u.weight_decay, step);
                } else {
                    hrm_adamw(p[i], m[i], v[i], g, n, (double)u.lr, (double)u.beta1, (double)u.beta2, (double)u.adam_eps,
                              (double)u.weight_decay, step);
                }
            }
            free(now);
            free(g);
        }
        CHECK(fabs(norm - sqrt(squares)) <= 1e-6 * norm, "the gradients' norm is %.9g, expected %.9g", norm, sqrt(squares));
        CHECK_OK(hrm_run_update(run, &u));
        for (int i = 0; i < hrm_model_tensor_count(one.model); i++) {
            size_t n = 0;
            hrm_tensor t;
            if (!p[i]) continue;
            hrm_real *now = tensor_values(one.model, i, &n, &t);
            CHECK(relative_error(now, p[i], n) < 2e-6, "optimizer %d, clip %g: %s after update %d off by %.2e", (int)optimizer,
                  clip, t.name, step, relative_error(now, p[i], n));
            free(now);
        }
    }
    for (int i = 0; i < MOST; i++) free(p[i]), free(m[i]), free(v[i]);
    batch_free(&batch);
    hrm_run_destroy(run);
    pair_free(&one);
}

/* Newton-Schulz turns the singular values of a matrix to about 1: of u = U S V^T the update is along U V^T. */
static void check_muon_direction(void)
{
    enum { R = 12, C = 7 };
    hrm_random r = hrm_random_make(2, 2);
    static const size_t shapes[2][2] = {{R, C}, {C, R}};
    for (int k = 0; k < 2; k++) {
        size_t height = shapes[k][0], width = shapes[k][1];
        hrm_real g[R * C], p[R * C] = {0}, m[R * C] = {0},
                                 *scratch = (hrm_real *)malloc(hrm_muon_scratch(height, width) * sizeof *scratch);
        for (int i = 0; i < R * C; i++) g[i] = (hrm_real)(hrm_random_uniform(&r) - 0.5);
        hrm_muon(p, m, g, height, width, 1, 0, 0, 8, scratch);
        double scale = height > width ? sqrt((double)height / (double)width) : 1, worst = 0, along = 0, size = 0;
        for (size_t i = 0; i < C; i++) /* the smaller side's Gram matrix is about the identity */
            for (size_t j = 0; j < C; j++) {
                double sum = 0;
                for (size_t t = 0; t < R; t++)
                    sum += height > width ? (double)p[t * C + i] * (double)p[t * C + j]
                                          : (double)p[i * R + t] * (double)p[j * R + t];
                worst = fmax(worst, fabs(sum / scale / scale - (i == j)));
            }
        for (int i = 0; i < R * C; i++) along -= (double)p[i] * (double)g[i], size += (double)g[i] * (double)g[i];
        CHECK(worst < 0.5, "the update's Gram matrix is %g off the identity", worst);
        CHECK(along > 0.5 * scale * sqrt(size), "the update is not down the gradient");
        free(scratch);
    }
}

/* Muon's update against its formula in double, for shapes whose steps go through x and for those that go through x x^T. */
static void check_muon_formula(void)
{
    enum { MOST = 8 * 40 };
    static const size_t shapes[][2] = {{8, 8}, {8, 11}, {11, 8}, {8, 40}, {40, 8}};
    hrm_random r = hrm_random_make(3, 3);
    for (size_t k = 0; k < HRM__COUNT(shapes); k++)
        for (int steps = 1; steps <= 5; steps++) {
            size_t height = shapes[k][0], width = shapes[k][1], n = 8, w = height * width / n, size = height * width;
            hrm_real g[MOST], p[MOST] = {0}, m[MOST] = {0}, *scratch;
            double x[MOST], y[MOST], a[64], f[64], squares = 0, off = 0;
            double scale = height > n ? sqrt((double)height / (double)n) : 1;
            for (size_t i = 0; i < size; i++)
                g[i] = (hrm_real)(hrm_random_uniform(&r) - 0.5), squares += (double)g[i] * (double)g[i];
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < w; j++) x[i * w + j] = (double)g[height > n ? j * n + i : i * w + j] / sqrt(squares);
            for (int step = 0; step < steps; step++) {
                memset(a, 0, sizeof a), memset(f, 0, sizeof f), memset(y, 0, sizeof y);
                for (size_t i = 0; i < n * n; i++)
                    for (size_t t = 0; t < w; t++) a[i] += x[i / n * w + t] * x[i % n * w + t];
                for (size_t i = 0; i < n * n; i++) {
                    f[i] = (i / n == i % n ? 3.4445 : 0) - 4.7750 * a[i];
                    for (size_t t = 0; t < n; t++) f[i] += 2.0315 * a[i / n * n + t] * a[t * n + i % n];
                }
                for (size_t i = 0; i < size; i++)
                    for (size_t t = 0; t < n; t++) y[i] += f[i / w * n + t] * x[t * w + i % w];
                memcpy(x, y, sizeof x);
            }
            scratch = (hrm_real *)malloc(hrm_muon_scratch(height, width) * sizeof *scratch);
            hrm_muon(p, m, g, height, width, 1, 0, 0, steps, scratch);
            free(scratch);
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < w; j++)
                    off = fmax(off, fabs((double)p[height > n ? j * n + i : i * w + j] + scale * x[i * w + j]));
            CHECK(off < 1e-5, "Muon of %zu x %zu, %d steps: off by %g", height, width, steps, off);
        }
}

/* ---- resuming ---------------------------------------------------------------------------------------------------------- */
static void check_resume(const char *name, const hrm_model_desc *d, const hrm_train_desc *t)
{
    pair whole = pair_make(d, t), first = pair_make(d, t), second = pair_make(d, t);
    hrm_metrics a, b;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(hrm_trainer_step(whole.trainer, data, &a));
        CHECK_OK(hrm_trainer_step(first.trainer, data, &b));
    }
    if (t->ema) CHECK_OK(hrm_trainer_use_average(first.trainer, 1)); /* a state has both, whichever is in use */
    CHECK_OK(hrm_trainer_save(first.trainer, STATE, NULL, 0));
    CHECK_OK(hrm_trainer_load(second.trainer, STATE));
    for (int i = 3; i < STEPS; i++) {
        CHECK_OK(hrm_trainer_step(whole.trainer, data, &a));
        CHECK_OK(hrm_trainer_step(second.trainer, data, &b));
        CHECK(memcmp(&a, &b, sizeof a) == 0, "%s: metrics of step %d differ after resuming", name, i + 1);
    }
    CHECK(models_equal(whole.model, second.model), "%s: weights differ after resuming", name);
    if (t->ema) {
        CHECK_OK(hrm_trainer_use_average(whole.trainer, 1));
        CHECK_OK(hrm_trainer_use_average(second.trainer, 1));
        CHECK(models_equal(whole.model, second.model), "%s: averages differ after resuming", name);
    }
    pair_free(&whole);
    pair_free(&first);
    pair_free(&second);
    remove(STATE);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */
static void check_memory(const char *name, hrm_model_desc d, hrm_train_desc t)
{
    counting c;
    hrm_memory memory;
    hrm_model *model = NULL;
    hrm_trainer *trainer = NULL;
    hrm_metrics m;
    counting_init(&c);
    d.allocator = &c.allocator;
    CHECK_OK(hrm_trainer_memory(&memory, &d, &t));
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK(c.live_bytes == memory.model, "%s: the model has %zu bytes, hrm_trainer_memory says %zu", name, c.live_bytes,
          memory.model);
    CHECK_OK(hrm_trainer_create(&trainer, model, &t));
    CHECK(c.live_bytes == memory.model + memory.train, "%s: the trainer has %zu bytes, hrm_trainer_memory says %zu", name,
          c.live_bytes - memory.model, memory.train);
    size_t live = c.live_bytes;
    for (int i = 0; i < 2; i++) CHECK_OK(hrm_trainer_step(trainer, data, &m));
    CHECK(c.live_bytes == live && c.peak_bytes == live, "%s: a step allocates", name);
    hrm_trainer_destroy(trainer);
    size_t n = 0;
    for (hrm_status status = HRM_ERR_MEMORY; status == HRM_ERR_MEMORY && ++n < 100;) { /* the n-th allocation fails */
        trainer = NULL;
        c.calls = 0, c.fail_at = n, c.fail_after = n % 2 == 0;
        live = c.live_bytes;
        status = hrm_trainer_create(&trainer, model, &t);
        c.fail_at = 0;
        CHECK(status == HRM_OK ? trainer != NULL : status == HRM_ERR_MEMORY && !trainer && c.live_bytes == live,
              "%s: allocation %zu failed: \"%s\", %zu bytes left", name, n, hrm_error_message(), c.live_bytes - live);
    }
    CHECK(trainer && n > 3, "%s: no allocation failed", name);
    if (trainer) CHECK_OK(hrm_trainer_step(trainer, data, &m));
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    CHECK(c.live_blocks == 0 && c.wrong_sizes == 0, "%s: %zu blocks left, %zu freed with another size", name, c.live_blocks,
          c.wrong_sizes);
}

static void check_less_memory(void)
{
    hrm_model_desc d = mixer_desc();
    hrm_train_desc t = muon_desc();
    hrm_memory plain, parts, checkpointing;
    t.batch_size = 60;
    CHECK_OK(hrm_trainer_memory(&plain, &d, &t));
    t.grad_accumulation = 10;
    CHECK_OK(hrm_trainer_memory(&parts, &d, &t));
    t.grad_accumulation = 1, t.activation_checkpointing = 1;
    CHECK_OK(hrm_trainer_memory(&checkpointing, &d, &t));
    CHECK(parts.train < plain.train / 2 && checkpointing.train < plain.train * 3 / 4,
          "%zu bytes to train, %zu in parts, %zu with checkpointing", plain.train, parts.train, checkpointing.train);
}

/* ---- descriptions ------------------------------------------------------------------------------------------------------ */
static void check_descriptions(void)
{
    hrm_model_desc d;
    hrm_model *model = NULL;
    hrm_arch arch = HRM_ARCH_HRM;
    memset(&d, 0, sizeof d);
    d.seq_len = TOKENS, d.vocab_size = WORDS, d.hidden_size = 16, d.num_heads = 2, d.puzzle_emb_ndim = 40;
    d.arch = HRM_ARCH_TRM; /* the ten-line program's line */
    CHECK_OK(hrm_model_create(&model, &d));
    if (model) {
        const hrm_model_desc *r = hrm_model_describe(model);
        CHECK(r->arch == HRM_ARCH_HRM && r->one_network == 1 && r->H_layers == 0 && r->L_layers == 2 && r->H_cycles == 3 &&
                  r->L_cycles == 6 && r->grad_H_cycles == 1 && r->puzzle_emb_len == 16 && r->no_ACT_continue == 1 &&
                  r->mlp_t == 0 && r->pos_encodings == HRM_ROPE && r->hidden_size == 16,
              "TRM's defaults");
        CHECK(hrm_model_tensor_find(model, "inner.H_level.layers.0.self_attn.o_proj.weight") < 0 &&
                  hrm_model_tensor_find(model, "inner.L_level.layers.1.self_attn.o_proj.weight") >= 0,
              "TRM's tensors");
    }
    hrm_model_destroy(model);
    d.arch = HRM_ARCH_FAST;
    model = NULL;
    CHECK_OK(hrm_model_create(&model, &d) == HRM_ERR_SHAPE ? HRM_OK : HRM_ERR_ARGUMENT); /* 40 columns and one position of 16 */
    CHECK(strstr(hrm_error_message(), "puzzle_emb_ndim is 40") && strstr(hrm_error_message(), "puzzle_emb_len 1"),
          "message \"%s\"", hrm_error_message());
    d.puzzle_emb_ndim = 0, d.mlp_norm = -1, d.no_label_smoothing = 1, d.no_grad_H_cycles = 1; /* all but these */
    CHECK_OK(hrm_model_create(&model, &d));
    if (model) {
        const hrm_model_desc *r = hrm_model_describe(model);
        CHECK(r->mlp_t == 1 && r->mlp_norm == 0 && r->grad_H_cycles == 0 && fabs((double)r->label_smoothing) <= 0 &&
                  fabs((double)r->q_loss_weight - 0.05) < 1e-7 && r->puzzle_emb_len == 1 && r->puzzle_emb_ndim == 16 &&
                  r->loss_type == HRM_SOFTMAX_CROSS_ENTROPY && r->pos_encodings == HRM_NO_POSITIONS,
              "the fast recipe's defaults, but for some");
        hrm_train_desc t;
        hrm_trainer *trainer = NULL;
        memset(&t, 0, sizeof t);
        t.arch = HRM_ARCH_FAST, t.batch_size = ROWS, t.no_grad_clip = 1;
        CHECK_OK(hrm_trainer_create(&trainer, model, &t));
        if (trainer) {
            const hrm_train_desc *s = hrm_trainer_describe(trainer);
            CHECK(s->optimizer == HRM_MUON && s->steps == 8000 && s->lr_warmup_steps == 0 && s->ema == 1 &&
                      fabs((double)s->ema_rate - 0.9) < 1e-7 && s->ema_from == 5000 && fabs((double)s->grad_clip) <= 0 &&
                      fabs((double)s->muon_lr - 0.02) < 1e-8 && fabs((double)s->lr_min_ratio) <= 0 && s->batch_size == ROWS &&
                      fabs((double)s->weight_decay - 1) <= 0,
                  "the fast recipe's training, but for the batch and clipping");
        }
        hrm_trainer_destroy(trainer);
    }
    hrm_model_destroy(model);
    for (int i = 0; i < (int)HRM_ARCH_COUNT; i++) {
        CHECK_OK(hrm_arch_find(&arch, hrm_arch_name((hrm_arch)i)));
        CHECK((int)arch == i, "arch %d is found as %d", i, (int)arch);
    }
    CHECK(hrm_arch_name(HRM_ARCH_COUNT) == NULL, "one arch too many");
    CHECK_FAILS(hrm_arch_find(&arch, "fats"), HRM_ERR_ARGUMENT, "fast");

    /* what contradicts itself is told by both its names */
    static const struct {
        const char *one, *other;
    } says[] = {{"mlp_t", "causal"},
                {"grad_H_cycles is 3", "2 of H_cycles"},
                {"label_smoothing is 1", "expected 0 to"},
                {"halt_max_steps_start is 9", "4"},
                {"L_cycles_start is 3", "2"},
                {"arch is 99", "expected 0 to"}};
    for (size_t k = 0; k < HRM__COUNT(says); k++) {
        d = small_desc();
        model = NULL;
        if (k == 0) d.mlp_t = d.causal = 1;
        if (k == 1) d.grad_H_cycles = 3;
        if (k == 2) d.label_smoothing = 1;
        if (k == 3) d.halt_max_steps_start = 9;
        if (k == 4) d.L_cycles_start = 3;
        if (k == 5) d.arch = (hrm_arch)99;
        hrm_status status = hrm_model_create(&model, &d);
        CHECK(status != HRM_OK && !model && strstr(hrm_error_message(), says[k].one) &&
                  strstr(hrm_error_message(), says[k].other),
              "case %zu: \"%s\"", k, hrm_error_message());
    }
    d = mixer_desc();
    d.seq_len = TOKENS + 3;
    hrm_train_desc t = muon_desc();
    hrm_metrics m;
    pair p = pair_make(&d, &t);
    CHECK_FAILS(hrm_trainer_step(p.trainer, data, &m), HRM_ERR_SHAPE, "6, the model's 9");
    pair_free(&p);
    for (int k = 0; k < 4; k++) { /* a beginning, but not how long it lasts */
        static const char *const names[] = {"halt_max_steps_start", "H_cycles_start", "L_cycles_start", "halt_exploration_end"};
        hrm_trainer *trainer = NULL;
        d = mixer_desc();
        if (k == 3) d.halt_exploration_end = 0.5f;
        else *(k == 0 ? &d.halt_max_steps_start : k == 1 ? &d.H_cycles_start : &d.L_cycles_start) = 1;
        p = pair_make(&d, NULL);
        CHECK_FAILS(hrm_trainer_create(&trainer, p.model, &t), HRM_ERR_ARGUMENT, names[k]);
        pair_free(&p);
    }
    static const float rates[] = {1, -0.1f, 1.5f};
    for (int k = 0; k < 3; k++) {
        hrm_trainer *trainer = NULL;
        d = mixer_desc();
        p = pair_make(&d, NULL);
        t.ema = 1, t.ema_rate = rates[k];
        CHECK_FAILS(hrm_trainer_create(&trainer, p.model, &t), HRM_ERR_ARGUMENT, "ema_rate");
        pair_free(&p);
    }
}

int main(void)
{
    data_open();
    hrm_model_desc mixer = mixer_desc(), attention = small_desc(), all = mixer_desc();
    hrm_train_desc muon = muon_desc(), adamw = muon_desc(), everything = muon_desc(), plain;
    attention.one_network = 1, attention.H_layers = 0, attention.L_layers = 2, attention.grad_H_cycles = 2;
    attention.q_loss_type = HRM_Q_MSE, attention.ponder_weight = 0.1f;
    adamw.optimizer = HRM_ADAMW, adamw.ema = 1;
    check_descriptions();
    check_same_bits("mixer, Muon", mixer, muon);
    check_same_bits("attention, AdamW", attention, adamw);
    mixer.hidden_size = 24, mixer.num_heads = 3, mixer.puzzle_emb_ndim = 30, mixer.L_layers = 2; /* tails */
    check_same_bits("a wider mixer, Muon", mixer, muon);
    check_same_bits("two networks", small_desc(), adamw);
    check_parts("mixer, Muon", mixer, muon);
    check_parts("attention, AdamW", attention, adamw);
    hrm_model_desc drops = small_desc();
    drops.dropout = 0.25f, drops.halt_exploration_prob = 0.5f;
    check_parts("two networks, dropout", drops, adamw);
    check_last_rate();
    check_average(0);
    check_average(3);
    check_run_average();
    check_frozen();
    check_dropout();
    check_dropout_target();
    check_segments_allowed();
    check_cycles_grow(mixer_desc());
    check_cycles_grow(small_desc());
    check_kept();
    check_exploration();
    for (int k = 0; k < 3; k++) {
        check_update((hrm_optimizer)k, 0);
        check_update((hrm_optimizer)k, 0.4);
    }
    check_muon_direction();
    check_muon_formula();
    all.dropout = 0.2f, all.halt_max_steps_start = 2, all.H_cycles_start = 1, all.halt_exploration_end = 0.5f;
    everything.ema = 1, everything.ema_from = 1, everything.grad_accumulation = 3, everything.activation_checkpointing = 1;
    everything.curriculum_steps = 5, everything.exploration_steps = 5;
    check_resume("everything", &all, &everything);
    check_resume("attention, AdamW", &attention, &adamw);
    check_memory("everything", all, everything);
    check_memory("attention, AdamW", attention, adamw);
    attention.no_ACT_continue = 1;
    muon.freeze_weights = 1, muon.optimizer = HRM_ADAM_ATAN2;
    check_memory("frozen", attention, muon);
    memset(&plain, 0, sizeof plain);
    plain.batch_size = ROWS, plain.steps = 3;
    check_memory("two networks, at once", small_desc(), plain);
    check_less_memory();
    hrm_dataset_close(data);
    remove(STATE);
    return test_summary();
}
