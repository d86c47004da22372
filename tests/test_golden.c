/* Golden cases: what the reference computed, step by step, in float32. Each must come out within 1e-4, relative:
 * every step's logits, q values, targets, halting, metrics and gradient norm, the first step's gradients, the weights after the
 * last and their average, and a full evaluation of the weights before and after. HRM's cases go through the optimizers one by
 * one, the family's through hrm_run_update. tests/golden and tests/golden_family are always there; HRM_SHARED/golden and
 * golden_family (default ../shared) are checked too when present. */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

#define TOLERANCE 1e-4
/* Of a whole evaluation of the family: rounding grows over its segments. That of a float32 weight, 3e-8, becomes 5e-5 of the q
 * loss of fast_recipe, and every product rounds too; PyTorch in float32 is 5e-5 off PyTorch in double there. */
#define TOLERANCE_EVALUATED 5e-4

typedef struct golden {
    const char *dir;
    hrm_json_document *json;
    hrm_tensors *init, *batches, *trace, *grads, *final;
    hrm_tensors *average; /* of the weights; NULL: none is kept */
    hrm_model_desc desc;
    int steps, rows;
    double weight_decay, beta1, beta2, lr, emb_lr, emb_wd, warmup, total, min_ratio;
    int family;           /* of the family: what follows, and hrm_run_update */
    hrm_run_desc run;
    hrm_update_desc update; /* at the schedule's full rates */
} golden;

static const char *path_of(const golden *g, const char *file)
{
    static char path[2][1024];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", g->dir, file);
    return path[turn];
}

static double number(const hrm_json *object, const char *key)
{
    const hrm_json *v = hrm_json_get(object, key);
    CHECK(v && v->type == HRM_JSON_NUMBER, "no number \"%s\"", key);
    return v ? v->number : 0;
}

/* Keys that HRM's own cases have not. */
static int flag(const hrm_json *object, const char *key)
{
    const hrm_json *v = hrm_json_get(object, key);
    CHECK(v && v->type == HRM_JSON_BOOL, "no flag \"%s\"", key);
    return v && v->number > 0;
}

static int is(const hrm_json *object, const char *key, const char *word)
{
    const hrm_json *v = hrm_json_get(object, key);
    CHECK(v && v->type == HRM_JSON_STRING, "no word \"%s\"", key);
    return v && v->type == HRM_JSON_STRING && strcmp(v->string, word) == 0;
}

static const hrm_tensor *at_step(const hrm_tensors *file, const char *name, int step)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%d", name, step);
    return hrm_tensors_find(file, full);
}

static size_t elements(const hrm_tensor *t)
{
    size_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= (size_t)t->shape[i];
    return n;
}

static hrm_real *reals(const hrm_tensor *t) /* a copy, malloc'ed: the file's data need not be aligned */
{
    hrm_real *v = (hrm_real *)malloc((elements(t) + 1) * sizeof *v);
    CHECK_OK(hrm_convert(v, sizeof(hrm_real) == 8 ? HRM_F64 : HRM_F32, t->data, t->dtype, elements(t)));
    return v;
}

static void compare(const golden *g, const char *what, int step, const hrm_real *ours, const hrm_tensor *theirs,
                    double tolerance)
{
    if (!theirs) {
        CHECK(0, "%s: no %s.%d", g->dir, what, step);
        return;
    }
    hrm_real *expected = reals(theirs);
    double error = relative_error(ours, expected, elements(theirs));
    CHECK(error <= tolerance, "%s: %s at step %d differs by %.2e", g->dir, what, step, error);
    free(expected);
}

static int there(const char *path)
{
    hrm_file_map map;
    if (hrm_file_map_open(&map, path) != HRM_OK) return 0;
    hrm_file_map_close(&map);
    return 1;
}

static void family_open(golden *g, const hrm_json *c, const hrm_json *t)
{
    hrm_model_desc *d = &g->desc;
    g->family = 1;
    d->one_network = d->H_layers == 0;
    d->mlp_t = flag(c, "mlp_t");
    d->puzzle_emb_len = (int)number(c, "puzzle_emb_len");
    d->no_ACT_continue = flag(c, "no_ACT_continue");
    d->grad_H_cycles = (int)number(c, "grad_H_cycles");
    d->mlp_norm = flag(c, "mlp_norm");
    d->label_smoothing = (float)number(c, "label_smoothing");
    if (is(c, "q_loss_type", "mse")) d->q_loss_type = HRM_Q_MSE;
    d->q_loss_weight = (float)number(c, "q_loss_weight");
    d->ponder_weight = (float)number(c, "ponder_weight");
    g->run.optimizer = is(t, "optimizer", "muon") ? HRM_MUON : is(t, "optimizer", "adamw") ? HRM_ADAMW : HRM_ADAM_ATAN2;
    g->run.muon_ns_steps = (int)number(t, "muon_ns_steps");
    g->run.freeze_weights = flag(t, "freeze_weights");
    g->run.ema = number(t, "ema_rate") > 0;
    g->run.update = 1;
    g->update.weight_decay = (float)number(t, "weight_decay");
    g->update.beta1 = (float)number(t, "beta1");
    g->update.beta2 = (float)number(t, "beta2");
    g->update.adam_eps = (float)number(t, "adam_eps");
    g->update.puzzle_emb_weight_decay = (float)number(t, "puzzle_emb_weight_decay");
    g->update.muon_lr = (float)number(t, "muon_lr");
    g->update.muon_momentum = (float)number(t, "muon_momentum");
    g->update.muon_weight_decay = (float)number(t, "muon_weight_decay");
    g->update.grad_clip = (float)number(t, "grad_clip");
    g->update.ema_rate = (float)number(t, "ema_rate");
    g->lr = number(t, "lr");
    g->emb_lr = number(t, "puzzle_emb_lr");
    g->warmup = number(t, "lr_warmup_steps");
    g->total = number(t, "total_steps");
    g->min_ratio = number(t, "lr_min_ratio");
}

static int golden_open(golden *g, const char *dir)
{
    memset(g, 0, sizeof *g);
    g->dir = dir;
    if (hrm_json_open(&g->json, path_of(g, "config.json"), NULL) != HRM_OK) return 0;
    CHECK_OK(hrm_tensors_open(&g->init, path_of(g, "init.safetensors"), NULL));
    CHECK_OK(hrm_tensors_open(&g->batches, path_of(g, "batches.safetensors"), NULL));
    CHECK_OK(hrm_tensors_open(&g->trace, path_of(g, "trace.safetensors"), NULL));
    if (there(path_of(g, "grads1.safetensors"))) CHECK_OK(hrm_tensors_open(&g->grads, path_of(g, "grads1.safetensors"), NULL));
    if (there(path_of(g, "ema.safetensors"))) CHECK_OK(hrm_tensors_open(&g->average, path_of(g, "ema.safetensors"), NULL));
    CHECK_OK(hrm_tensors_open(&g->final, path_of(g, "final.safetensors"), NULL));
    if (!g->init || !g->batches || !g->trace || !g->final) return 0;
    const hrm_json *root = hrm_json_root(g->json), *c = hrm_json_get(root, "config");
    hrm_model_desc *d = &g->desc;
    g->rows = (int)number(c, "batch_size");
    d->seq_len = (int)number(c, "seq_len");
    d->vocab_size = (int)number(c, "vocab_size");
    d->num_puzzle_identifiers = (int)number(c, "num_puzzle_identifiers");
    d->puzzle_emb_ndim = (int)number(c, "puzzle_emb_ndim");
    d->no_puzzle_emb = d->puzzle_emb_ndim == 0;
    d->H_cycles = (int)number(c, "H_cycles");
    d->L_cycles = (int)number(c, "L_cycles");
    d->H_layers = (int)number(c, "H_layers");
    d->L_layers = (int)number(c, "L_layers");
    d->hidden_size = (int)number(c, "hidden_size");
    d->num_heads = (int)number(c, "num_heads");
    d->expansion = (float)number(c, "expansion");
    d->rms_norm_eps = (float)number(c, "rms_norm_eps");
    d->rope_theta = (float)number(c, "rope_theta");
    d->halt_max_steps = (int)number(c, "halt_max_steps");
    d->no_halt_exploration = 1;
    d->pos_encodings = is(c, "pos_encodings", "learned") ? HRM_LEARNED
                       : is(c, "pos_encodings", "none")  ? HRM_NO_POSITIONS
                                                         : HRM_ROPE;
    d->loss_type = is(c, "loss_type", "softmax_cross_entropy") ? HRM_SOFTMAX_CROSS_ENTROPY : HRM_STABLEMAX_CROSS_ENTROPY;
    d->num_threads = 2;
    g->run.rows = g->rows;
    g->run.train = 1;
    g->steps = (int)number(root, "steps");
    if (hrm_json_get(root, "train")) {
        family_open(g, c, hrm_json_get(root, "train"));
        return 1;
    }
    g->weight_decay = number(root, "weight_decay");
    g->beta1 = number(root, "beta1");
    g->beta2 = number(root, "beta2");
    g->lr = number(root, "lr");
    g->emb_lr = number(root, "emb_lr");
    g->emb_wd = number(root, "emb_wd");
    g->warmup = number(root, "warmup");
    g->total = number(root, "total");
    g->min_ratio = number(root, "min_ratio");
    return 1;
}

static void golden_close(golden *g)
{
    hrm_tensors_close(g->init);
    hrm_tensors_close(g->batches);
    hrm_tensors_close(g->trace);
    hrm_tensors_close(g->grads);
    hrm_tensors_close(g->final);
    hrm_tensors_close(g->average);
    hrm_json_close(g->json);
}

static void batch_at(const golden *g, int step, hrm_batch *batch)
{
    size_t tokens = (size_t)g->rows * (size_t)g->desc.seq_len * sizeof(int32_t);
    memcpy(batch->inputs, at_step(g->batches, "inputs", step)->data, tokens);
    memcpy(batch->labels, at_step(g->batches, "labels", step)->data, tokens);
    memcpy(batch->puzzle_identifiers, at_step(g->batches, "puzzle_identifiers", step)->data, (size_t)g->rows * sizeof(int32_t));
}

/* One tensor's optimizer: the public parts, put together as the trainer does it. */
typedef struct moments { hrm_real *m, *v; } moments;

static double scheduled(const golden *g, int step, double rate)
{
    return hrm_schedule(step, rate, (int64_t)g->warmup, (int64_t)g->total, g->min_ratio);
}

static void update(const golden *g, hrm_model *model, hrm_run *run, moments *state, const int32_t *ids, int step)
{
    double lr = scheduled(g, step, g->lr), emb_lr = scheduled(g, step, g->emb_lr);
    for (int i = 0; i < hrm_model_tensor_count(model); i++) {
        hrm_tensor t;
        hrm_role role;
        size_t n = 0;
        CHECK_OK(hrm_model_tensor(model, i, &t, &role));
        if (role == HRM_BUFFER || (role == HRM_TRAINED && g->run.freeze_weights)) continue;
        if (g->family && (step > 1 || !g->grads)) break;
        hrm_real *p = tensor_values(model, i, &n, NULL);
        size_t gradients = role == HRM_PUZZLE_TABLE ? (size_t)g->rows * (size_t)g->desc.puzzle_emb_ndim : n;
        hrm_real *grad = (hrm_real *)malloc((gradients + 1) * sizeof *grad);
        CHECK_OK(hrm_run_gradient(run, i, grad));
        if (step == 1 && g->grads) {
            const hrm_tensor *theirs = hrm_tensors_find(g->grads, role == HRM_PUZZLE_TABLE ? "inner.puzzle_emb.local" : t.name);
            compare(g, t.name, 1, grad, theirs, TOLERANCE);
        }
        if (g->family) {
            /* all at once below */
        } else if (role == HRM_PUZZLE_TABLE) {
            hrm_sign_sgd(p, grad, ids, (size_t)g->rows, (size_t)g->desc.puzzle_emb_ndim, emb_lr, g->emb_wd);
        } else {
            if (!state[i].m) {
                state[i].m = (hrm_real *)calloc(n + 1, sizeof(hrm_real));
                state[i].v = (hrm_real *)calloc(n + 1, sizeof(hrm_real));
            }
            hrm_adam_atan2(p, state[i].m, state[i].v, grad, n, lr, g->beta1, g->beta2, g->weight_decay, step);
        }
        if (!g->family) CHECK_OK(hrm_model_tensor_write(model, i, p));
        free(p);
        free(grad);
    }
    if (!g->family) return;
    if (!g->run.freeze_weights) {
        double norm = 0, theirs = 0;
        CHECK_OK(hrm_run_gradient_norm(run, &norm));
        memcpy(&theirs, at_step(g->trace, "gradient_norm", step)->data, sizeof theirs);
        CHECK(fabs(norm - theirs) <= TOLERANCE * theirs, "%s: the gradients' norm at step %d is %.9g, expected %.9g", g->dir,
              step, norm, theirs);
    }
    hrm_update_desc u = g->update;
    u.lr = (float)lr;
    u.puzzle_emb_lr = (float)emb_lr;
    u.muon_lr = (float)scheduled(g, step, (double)u.muon_lr);
    CHECK_OK(hrm_run_update(run, &u));
}

static void compare_weights(const golden *g, const hrm_model *model, const hrm_tensors *file)
{
    for (int i = 0; i < hrm_model_tensor_count(model); i++) {
        size_t n = 0;
        hrm_tensor t;
        hrm_real *p = tensor_values(model, i, &n, &t);
        compare(g, t.name, g->steps, p, hrm_tensors_find(file, t.name), TOLERANCE);
        free(p);
    }
    CHECK(hrm_tensors_count(file) == (size_t)hrm_model_tensor_count(model), "%s: %zu tensors in the file, %d in the model",
          g->dir, hrm_tensors_count(file), hrm_model_tensor_count(model));
}

/* Every step of training; leaves the model with the final weights, or their average. */
static void train(const golden *g, hrm_model *model)
{
    size_t B = (size_t)g->rows, T = (size_t)g->desc.seq_len, V = (size_t)g->desc.vocab_size;
    int has_target = g->desc.halt_max_steps > 1 && !g->desc.no_ACT_continue;
    hrm_run *run = NULL;
    CHECK_OK(hrm_run_create(&run, model, &g->run));
    if (!run) return;
    hrm_batch batch;
    batch_make(&batch, g->rows, g->desc.seq_len);
    hrm_real *logits = (hrm_real *)calloc(B * T * V, sizeof(hrm_real)), *q = (hrm_real *)calloc(3 * B, sizeof(hrm_real));
    int32_t *ints = (int32_t *)calloc(3 * B + B * T, sizeof(int32_t)), *steps = ints, *halted = ints + B, *ids = ints + 2 * B,
            *predictions = ints + 3 * B;
    moments *state = (moments *)calloc((size_t)hrm_model_tensor_count(model), sizeof *state);
    for (size_t i = 0; i < B; i++) halted[i] = 1;
    for (int step = 1; step <= g->steps; step++) {
        batch_at(g, step, &batch);
        for (size_t i = 0; i < B; i++)
            if (halted[i]) ids[i] = batch.puzzle_identifiers[i];
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        hrm_run_outputs out;
        memset(&out, 0, sizeof out);
        out.logits = logits;
        out.q_halt = q;
        out.q_continue = q + B;
        if (has_target) out.target_q_continue = q + 2 * B;
        out.steps = steps;
        out.halted = halted;
        out.predictions = predictions;
        CHECK_OK(hrm_run_read(run, &out));
        compare(g, "logits", step, logits, at_step(g->trace, "logits", step), TOLERANCE);
        compare(g, "q_halt", step, q, at_step(g->trace, "q_halt", step), TOLERANCE);
        compare(g, "q_continue", step, q + B, at_step(g->trace, "q_continue", step), TOLERANCE);
        if (has_target) compare(g, "target_q", step, q + 2 * B, at_step(g->trace, "target_q", step), TOLERANCE);
        CHECK(memcmp(steps, at_step(g->trace, "steps", step)->data, B * sizeof(int32_t)) == 0, "%s: steps at step %d", g->dir,
              step);
        CHECK(memcmp(halted, at_step(g->trace, "halted", step)->data, B * sizeof(int32_t)) == 0, "%s: halted at step %d",
              g->dir, step);
        int first = 1;
        for (size_t i = 0; i < B * T; i++) {
            size_t best = 0;
            for (size_t j = 1; j < V; j++)
                if (logits[i * V + j] > logits[i * V + best]) best = j;
            if ((size_t)predictions[i] != best) first = 0;
        }
        CHECK(first, "%s: predictions are not the arg max of the logits at step %d", g->dir, step);

        hrm_metrics m = {0};
        double theirs[8];
        CHECK_OK(hrm_run_metrics(run, &m));
        memcpy(theirs, at_step(g->trace, "metrics", step)->data, sizeof theirs);
        double ours[8] = {m.count,           m.accuracy * m.count, m.exact_accuracy * m.count, m.q_halt_accuracy * m.count,
                          m.steps * m.count, m.lm_loss * m.rows,   m.q_halt_loss * m.rows,     m.q_continue_loss * m.rows};
        for (int k = 0; k < 8; k++)
            CHECK(fabs(ours[k] - theirs[k]) <= TOLERANCE * fmax(1e-2, fabs(theirs[k])),
                  "%s: metric %d at step %d is %.9g, expected %.9g", g->dir, k, step, ours[k], theirs[k]);
        if (at_step(g->trace, "ponder_loss", step)) {
            memcpy(theirs, at_step(g->trace, "ponder_loss", step)->data, sizeof *theirs);
            CHECK(fabs(m.ponder_loss * m.rows - *theirs) <= TOLERANCE * *theirs,
                  "%s: the ponder loss at step %d is %.9g, expected %.9g", g->dir, step, m.ponder_loss * m.rows, *theirs);
        } else CHECK(m.ponder_loss <= 0, "%s: a ponder loss of %g", g->dir, m.ponder_loss);
        CHECK_OK(hrm_run_zero_gradients(run));
        CHECK_OK(hrm_run_backward(run));
        update(g, model, run, state, ids, step);
    }
    compare_weights(g, model, g->final);
    CHECK((g->average != NULL) == g->run.ema, "%s: ema.safetensors and ema_rate contradict each other", g->dir);
    if (g->average) {
        CHECK_OK(hrm_run_use_average(run, 1));
        compare_weights(g, model, g->average);
    }
    for (int i = 0; i < hrm_model_tensor_count(model); i++) free(state[i].m), free(state[i].v);
    free(state);
    free(ints);
    free(q);
    free(logits);
    batch_free(&batch);
    hrm_run_destroy(run);
}

/* The metrics of a whole evaluation of batch 1. */
static void evaluate(const golden *g, hrm_model *model, const char *file)
{
    hrm_json_document *json = NULL;
    CHECK_OK(hrm_json_open(&json, path_of(g, file), NULL));
    if (!json) return;
    const hrm_json *expected = hrm_json_root(json);
    double tolerance = g->family ? TOLERANCE_EVALUATED : TOLERANCE;
    size_t tokens = (size_t)g->rows * (size_t)g->desc.seq_len;
    hrm_batch batch;
    batch_make(&batch, g->rows, g->desc.seq_len);
    batch_at(g, 1, &batch);
    uint8_t *inputs = (uint8_t *)malloc(2 * tokens), *labels = inputs + tokens;
    for (size_t i = 0; i < tokens; i++) {
        inputs[i] = (uint8_t)batch.inputs[i];
        labels[i] = (uint8_t)(batch.labels[i] == -100 ? 255 : batch.labels[i]);
    }
    hrm_dataset_arrays a;
    memset(&a, 0, sizeof a);
    a.seq_len = g->desc.seq_len;
    a.vocab_size = g->desc.vocab_size;
    a.num_puzzle_identifiers = g->desc.num_puzzle_identifiers;
    a.has_ignore_label = 1;
    a.ignore_label_id = 255;
    a.num_examples = g->rows;
    a.inputs = inputs;
    a.labels = labels;
    a.puzzle_identifiers = batch.puzzle_identifiers;
    hrm_dataset *data = NULL;
    CHECK_OK(hrm_dataset_from_arrays(&data, &a, NULL));
    for (int batch_size = 1; data && batch_size <= g->rows + 2; batch_size++) { /* whatever the batches, padded or not */
        hrm_evaluate_desc ed;
        hrm_metrics m;
        memset(&ed, 0, sizeof ed);
        memset(&m, 0, sizeof m);
        ed.batch_size = batch_size;
        CHECK_OK(hrm_evaluate(model, data, &ed, &m));
        double ours[6] = {m.accuracy, m.exact_accuracy, m.q_halt_accuracy, m.steps, m.lm_loss, m.q_halt_loss};
        static const char *const names[6] = {"accuracy", "exact_accuracy", "q_halt_accuracy",
                                             "steps",    "lm_loss",        "q_halt_loss"};
        for (int k = 0; k < 6; k++) {
            double theirs = number(expected, names[k]);
            CHECK(fabs(ours[k] - theirs) <= tolerance * fmax(1e-2, fabs(theirs)),
                  "%s/%s: %s is %.9g, expected %.9g (batches of %d)", g->dir, file, names[k], ours[k], theirs, batch_size);
        }
    }
    hrm_dataset_close(data);
    free(inputs);
    batch_free(&batch);
    hrm_json_close(json);
}

static void check_case(const char *dir)
{
    golden g;
    if (!golden_open(&g, dir)) {
        CHECK(0, "%s: %s", dir, hrm_error_message());
        golden_close(&g);
        return;
    }
    hrm_model *model = NULL;
    CHECK_OK(hrm_model_create(&model, &g.desc));
    if (model) {
        CHECK_OK(hrm_model_load_weights(model, path_of(&g, "init.safetensors")));
        evaluate(&g, model, "eval_init.json");
        train(&g, model);
        CHECK_OK(hrm_model_load_weights(model, path_of(&g, g.average ? "ema.safetensors" : "final.safetensors")));
        evaluate(&g, model, "eval.json");
    }
    /* The PyTorch zip holds the same weights as init.safetensors, its configuration is beside it. */
    if (model && there(path_of(&g, "checkpoint.pt"))) {
        hrm_model_desc d;
        hrm_model *torch = NULL;
        memset(&d, 0, sizeof d);
        d.seq_len = g.desc.seq_len; /* all_config.yaml does not say */
        d.num_threads = 1;
        CHECK_OK(hrm_model_load(&torch, path_of(&g, "checkpoint.pt"), &d));
        CHECK_OK(hrm_model_load_weights(model, path_of(&g, "init.safetensors")));
        if (torch) CHECK(models_equal(model, torch), "%s: checkpoint.pt and init.safetensors differ", dir);
        hrm_model_destroy(torch);
    }
    hrm_model_destroy(model);
    golden_close(&g);
}

int main(void)
{
    static const char *const own[] = {
        "golden/small_rope_softmax",      "golden/small_learned_stablemax",      "golden/small_no_puzzle",
        "golden_family/small_mixer_muon", "golden_family/small_attention_adamw", "golden_family/small_two_nets_deep"};
    static const char *const shared[] = {
        "golden/rope_stablemax",       "golden/learned_softmax",         "golden/no_puzzle_one_step",
        "golden_family/trm_attention", "golden_family/trm_mixer",        "golden_family/fast_recipe",
        "golden_family/two_nets_deep", "golden_family/one_step_clipped", "golden_family/frozen"};
    char dir[1024];
    for (size_t i = 0; i < HRM__COUNT(own); i++) {
        snprintf(dir, sizeof dir, "tests/%s", own[i]);
        check_case(dir);
    }
    const char *root = getenv("HRM_SHARED");
    for (size_t i = 0; i < HRM__COUNT(shared); i++) {
        snprintf(dir, sizeof dir, "%s/%s/config.json", root ? root : "../shared", shared[i]);
        if (!there(dir)) {
            printf("skipped: no golden case %s\n", dir);
            continue;
        }
        snprintf(dir, sizeof dir, "%s/%s", root ? root : "../shared", shared[i]);
        check_case(dir);
    }
    return test_summary();
}
