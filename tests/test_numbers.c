/* Numbers at the edges: not finite, denormal, huge and tiny, in weights, rates, gradients and states; no examples, one, fewer
 * than a batch, none with a label; one token and ten thousand, two kinds of them and a hundred thousand. Each has an outcome,
 * which docs/troubleshooting.md tells. */
#if !defined(_POSIX_C_SOURCE) && !defined(_WIN32)
    #define _POSIX_C_SOURCE 200809L
#endif
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

#include <sys/stat.h>
#if defined(_WIN32)
    #include <direct.h>
    #define make_folder(path) _mkdir(path)
#else
    #include <unistd.h>
    #define make_folder(path) mkdir(path, 0777)
#endif

/* Examples of its own, held as the arrays of a data set in memory. */
typedef struct examples { uint8_t *inputs, *labels; hrm_dataset *data; } examples;

static examples examples_open(int count, int tokens, int words, int labelled)
{
    examples x = {NULL, NULL, NULL};
    hrm_dataset_arrays a;
    size_t n = (size_t)count * (size_t)tokens;
    hrm_random r = hrm_random_make(11, 1);
    memset(&a, 0, sizeof a);
    x.inputs = (uint8_t *)malloc(n);
    x.labels = (uint8_t *)malloc(n);
    for (size_t i = 0; i < n; i++) {
        x.inputs[i] = (uint8_t)hrm_random_below(&r, (uint32_t)words);
        x.labels[i] = (uint8_t)(labelled ? (x.inputs[i] + 1) % words : 255);
    }
    a.seq_len = tokens, a.vocab_size = words, a.num_examples = count, a.inputs = x.inputs, a.labels = x.labels;
    a.num_puzzle_identifiers = 4, a.has_ignore_label = 1, a.ignore_label_id = 255;
    CHECK_OK(hrm_dataset_from_arrays(&x.data, &a, NULL));
    if (!x.data) exit(test_summary());
    return x;
}

static void examples_close(examples *x)
{
    hrm_dataset_close(x->data);
    free(x->inputs), free(x->labels);
}

static hrm_model *model_make(const hrm_model_desc *d)
{
    hrm_model *m = NULL;
    CHECK_OK(hrm_model_create(&m, d));
    if (!m) exit(test_summary());
    return m;
}

/* Every weight of the blocks, the embeddings and the heads times a number. */
static void model_scale(hrm_model *m, double by)
{
    for (int i = 0; i < hrm_model_tensor_count(m); i++) {
        size_t n = 0;
        hrm_tensor t;
        hrm_real *w = tensor_values(m, i, &n, &t);
        for (size_t k = 0; w && k < n; k++) w[k] = (hrm_real)((double)w[k] * by);
        CHECK_OK(hrm_model_tensor_write(m, i, w));
        free(w);
    }
}

static int all_finite(const hrm_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(x[i] - x[i] == 0)) return 0;
    return 1;
}

static int model_finite(const hrm_model *m)
{
    int finite = 1;
    for (int i = 0; i < hrm_model_tensor_count(m); i++) {
        size_t n = 0;
        hrm_real *w = tensor_values(m, i, &n, NULL);
        finite = finite && w && all_finite(w, n);
        free(w);
    }
    return finite;
}

static hrm_train_desc train_desc(int steps, int rows)
{
    hrm_train_desc t;
    memset(&t, 0, sizeof t);
    t.steps = steps, t.batch_size = rows, t.seed = 3, t.no_warmup = 1;
    return t;
}

/* ---- weights ------------------------------------------------------------------------------------------------------------ */
/* Weights so small that they, or their products, have lost bits: all stays finite, the same for any number of threads. */
static void check_small_weights(void)
{
    examples x = examples_open(24, 6, 5, 1);
    for (int exponent = -20; exponent >= -44; exponent -= 8) {
        hrm_model *m[2];
        hrm_metrics metrics[2];
        for (int k = 0; k < 2; k++) {
            hrm_model_desc d = small_desc();
            hrm_trainer *t = NULL;
            hrm_train_desc td = train_desc(4, 8);
            d.num_threads = 1 + 2 * k;
            m[k] = model_make(&d);
            model_decide(m[k], 2);
            model_scale(m[k], pow(10, exponent));
            CHECK_OK(hrm_trainer_create(&t, m[k], &td));
            for (int i = 0; t && i < 4; i++) {
                CHECK_OK(hrm_trainer_step(t, x.data, &metrics[k]));
                CHECK(fabs(metrics[k].lm_loss - log(5)) < 0.5, "1e%d: step %d: loss %g", exponent, i, metrics[k].lm_loss);
            }
            hrm_trainer_destroy(t);
            CHECK(model_finite(m[k]), "1e%d: weights are not finite", exponent);
        }
        CHECK(models_equal(m[0], m[1]) && memcmp(&metrics[0], &metrics[1], sizeof metrics[0]) == 0,
              "1e%d: one thread and three differ", exponent);
        hrm_model_destroy(m[0]), hrm_model_destroy(m[1]);
    }
    /* solved in every form of the weights, and once with zeros alone */
    for (int dtype = HRM_FORWARD_FLOAT32; dtype <= HRM_FORWARD_INT8; dtype++)
        for (int exponent = -36; exponent >= -60; exponent -= 8) {
            if (dtype == HRM_FORWARD_FLOAT16) continue;
            hrm_model_desc d = small_desc();
            hrm_solve_result result;
            hrm_solve_desc sd;
            int32_t answer[6] = {-1, -1, -1, -1, -1, -1};
            d.forward_dtype = (hrm_forward_dtype)dtype;
            hrm_model *m = model_make(&d);
            model_scale(m, pow(10, exponent));
            memset(&sd, 0, sizeof sd), memset(&result, 0, sizeof result);
            sd.results = &result;
            const int32_t puzzle[6] = {0, 1, 2, 3, 4, 0};
            CHECK_OK(hrm_solve(m, puzzle, answer, &sd));
            CHECK(fabs((double)result.q_halt) < 10 && result.segments >= 1, "dtype %d, 1e%d: q %g after %d", dtype, exponent,
                  (double)result.q_halt, result.segments);
            for (int i = 0; i < 6; i++) CHECK(answer[i] >= 0 && answer[i] < 5, "position %d: %d", i, (int)answer[i]);
            hrm_model_destroy(m);
        }
    examples_close(&x);
}

/* Weights so large that nothing can be computed of them: told, by whatever is asked first; nothing moves. */
static void check_large_weights(void)
{
    examples x = examples_open(24, 6, 5, 1);
    for (int dtype = HRM_FORWARD_FLOAT32; dtype <= HRM_FORWARD_INT8; dtype++) {
        if (dtype == HRM_FORWARD_FLOAT16) continue;
        hrm_model_desc d = small_desc();
        hrm_metrics metrics;
        hrm_trainer *t = NULL;
        hrm_train_desc td = train_desc(4, 8);
        const int32_t puzzle[12] = {0, 1, 2, 3, 4, 0, 1, 1, 1, 1, 1, 1};
        int32_t answer[12], untouched[12];
        hrm_solve_desc sd;
        d.forward_dtype = (hrm_forward_dtype)dtype;
        hrm_model *m = model_make(&d), *before;
        model_decide(m, 2);
        memset(&sd, 0, sizeof sd);
        sd.rows = 2;
        CHECK_OK(hrm_solve(m, puzzle, answer, &sd));
        memcpy(untouched, answer, sizeof answer);
        for (int i = 0; i < hrm_model_tensor_count(m); i++) {
            size_t n = 0;
            hrm_real *w = tensor_values(m, i, &n, NULL);
            for (size_t k = 0; w && k < n; k++) w[k] = (hrm_real)((k + (size_t)i) % 3 == 0 ? -3e38 : 3e38);
            CHECK_OK(hrm_model_tensor_write(m, i, w));
            free(w);
        }
        CHECK_FAILS(hrm_solve(m, puzzle, answer, &sd), HRM_ERR_NAN, "row 0: q_halt is");
        CHECK(strstr(hrm_error_message(), hrm__forward_names[dtype]) && 
                  memcmp(answer, untouched, sizeof answer) == 0,
              "%s, and the answers were written", hrm_error_message());
        CHECK_OK(hrm_evaluate(m, x.data, NULL, &metrics));
        CHECK(metrics.count == 24 && !(metrics.q_halt_loss - metrics.q_halt_loss == 0), "evaluated: %g", metrics.q_halt_loss);
        const char *path = own_file("large");
        CHECK_OK(hrm_model_save(m, path)); /* they are finite all the same */
        before = NULL;
        CHECK_OK(hrm_model_load(&before, path, NULL));
        CHECK(models_equal(m, before), "large weights do not come back");
        remove(path);
        if (dtype == HRM_FORWARD_FLOAT32) {
            CHECK_OK(hrm_trainer_create(&t, m, &td));
            CHECK_FAILS(hrm_trainer_step(t, x.data, &metrics), HRM_ERR_NAN, "the weights are those before it");
            CHECK(models_equal(m, before) && hrm_trainer_steps_done(t) == 0, "a step that failed moved something");
        }
        hrm_trainer_destroy(t);
        hrm_model_destroy(before);
        hrm_model_destroy(m);
    }
    /* a head that makes one logit infinite: q is a number, the loss is not */
    hrm_model_desc d = small_desc();
    hrm_metrics metrics;
    hrm_model *m = model_make(&d);
    size_t n = 0;
    int head = hrm_model_tensor_find(m, "inner.lm_head.weight");
    hrm_real *w = tensor_values(m, head, &n, NULL);
    for (size_t k = 0; k < n; k++) w[k] = (hrm_real)(k % 2 ? -3e38 : 3e38);
    CHECK_OK(hrm_model_tensor_write(m, head, w));
    free(w);
    CHECK_OK(hrm_evaluate(m, x.data, NULL, &metrics));
    CHECK(metrics.count == 24 && !(metrics.lm_loss - metrics.lm_loss == 0) && metrics.q_halt_loss - metrics.q_halt_loss == 0,
          "evaluated: %g, %g", metrics.lm_loss, metrics.q_halt_loss);
    hrm_model_destroy(m);
    examples_close(&x);
}

/* ---- rates -------------------------------------------------------------------------------------------------------------- */
/* The highest rates that a trainer takes, and decay that throws weights about: in the end a loss that is not finite, told with
 * its step; a good state before is not written over, and brings the trainer back. The lowest rate there is moves nothing. */
static void check_rates(void)
{
    examples x = examples_open(24, 6, 5, 1);
    const char *good = own_file("rates");
    for (int k = 0; k < 3; k++) {
        hrm_model_desc d = small_desc();
        hrm_metrics metrics, first;
        hrm_trainer *t = NULL;
        hrm_train_desc td = train_desc(200, 8);
        td.optimizer = (hrm_optimizer)k;
        td.lr = td.muon_lr = td.puzzle_emb_lr = 10;
        td.weight_decay = td.puzzle_emb_weight_decay = td.muon_weight_decay = 1000;
        hrm_model *m = model_make(&d);
        model_decide(m, 4);
        CHECK_OK(hrm_trainer_create(&t, m, &td));
        CHECK_OK(hrm_trainer_save(t, good, NULL, 0));
        CHECK_OK(hrm_trainer_step(t, x.data, &first));
        hrm_status status = HRM_OK;
        while (status == HRM_OK) status = hrm_trainer_step(t, x.data, &metrics);
        int64_t done = hrm_trainer_steps_done(t);
        char step[64];
        snprintf(step, sizeof step, "step %d: the loss is not finite", (int)done + 1);
        CHECK(status == HRM_ERR_NAN && done > 0 && done < 100 && strstr(hrm_error_message(), step),
              "optimizer %d: status %d after %d steps: %s", k, (int)status, (int)done, hrm_error_message());
        if (model_finite(m)) CHECK(strstr(hrm_error_message(), "the weights are those before it"), "%s", hrm_error_message());
        else CHECK_FAILS(hrm_trainer_save(t, good, NULL, 0), HRM_ERR_NAN, "tensor inner.");
        CHECK_FAILS(hrm_trainer_step(t, x.data, &metrics), HRM_ERR_NAN, step); /* and again */
        CHECK_OK(hrm_trainer_load(t, good));
        CHECK_OK(hrm_trainer_step(t, x.data, &metrics));
        CHECK(memcmp(&metrics, &first, sizeof first) == 0, "optimizer %d: the state does not bring it back", k);
        hrm_trainer_destroy(t);

        td.lr = td.muon_lr = td.puzzle_emb_lr = 1.4e-45f;
        td.no_weight_decay = td.no_muon_weight_decay = td.no_puzzle_emb_weight_decay = 1;
        hrm_model *still = model_make(&d), *moved = model_make(&d);
        t = NULL;
        CHECK_OK(hrm_trainer_create(&t, moved, &td));
        for (int i = 0; i < 3; i++) CHECK_OK(hrm_trainer_step(t, x.data, &metrics));
        double most = 0;
        for (size_t i = 0; i < still->at.total; i++)
            most = fmax(most, fabs((double)still->params[i] - (double)moved->params[i]));
        CHECK(most < 1e-37 && model_finite(moved), "the smallest rate moved a weight by %g", most);
        hrm_trainer_destroy(t);
        hrm_model_destroy(still), hrm_model_destroy(moved), hrm_model_destroy(m);
    }
    remove(good);
    examples_close(&x);
}

/* ---- what a loop of one's own gives: rates and gradients ----------------------------------------------------------------- */
static void check_own_values(void)
{
    enum { B = 3 };
    static const struct { size_t at; const char *name;
    } fields[] = {
#define FIELD(name) {offsetof(hrm_update_desc, name), #name}
        FIELD(lr), FIELD(weight_decay), FIELD(beta1), FIELD(beta2), FIELD(puzzle_emb_lr), FIELD(puzzle_emb_weight_decay),
        FIELD(adam_eps), FIELD(muon_lr), FIELD(muon_weight_decay), FIELD(muon_momentum), FIELD(grad_clip), FIELD(ema_rate),
#undef FIELD
    };
    hrm_model_desc d = small_desc();
    hrm_model *m = model_make(&d), *before = model_make(&d);
    hrm_run *run = NULL;
    hrm_run_desc rd;
    hrm_update_desc u;
    hrm_batch batch;
    hrm_random r = hrm_random_make(3, 3);
    hrm_real dlogits[B * 6 * 5] = {0}, dq[B * 2] = {0};
    memset(&rd, 0, sizeof rd), memset(&u, 0, sizeof u);
    rd.rows = B, rd.train = rd.update = rd.ema = 1, rd.optimizer = HRM_MUON;
    u.lr = u.muon_lr = u.puzzle_emb_lr = 1e-2f, u.beta1 = u.beta2 = 0.9f, u.adam_eps = 1e-8f, u.ema_rate = 0.5f;
    CHECK_OK(hrm_run_create(&run, m, &rd));
    batch_make(&batch, B, d.seq_len);
    batch_draw(&batch, &d, &r);
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    const hrm_real wrong[] = {(hrm_real)NAN, (hrm_real)INFINITY, (hrm_real)-INFINITY};
    for (size_t k = 0; k < HRM__COUNT(wrong); k++) {
        dlogits[B * 6 * 5 - 1] = wrong[k];
        CHECK_FAILS(hrm_run_set_gradient(run, dlogits, dq), HRM_ERR_NAN, "dlogits: row 17, column 4");
        dlogits[B * 6 * 5 - 1] = 0, dq[3] = wrong[k];
        CHECK_FAILS(hrm_run_set_gradient(run, dlogits, dq), HRM_ERR_NAN, "dq: row 1, column 1");
        dq[3] = 0;
    }
    CHECK_OK(hrm_run_backward(run)); /* of the segment's own gradient, which the refused ones did not touch */
    double norm = 0;
    CHECK_OK(hrm_run_gradient_norm(run, &norm));
    CHECK(norm > 0, "a refused gradient was taken");
    for (size_t i = 0; i < HRM__COUNT(fields); i++)
        for (size_t k = 0; k < HRM__COUNT(wrong); k++) {
            hrm_update_desc bad = u;
            float value = (float)wrong[k];
            memcpy((char *)&bad + fields[i].at, &value, sizeof value);
            CHECK_FAILS(hrm_run_update(run, &bad), HRM_ERR_ARGUMENT, fields[i].name);
        }
    CHECK(models_equal(m, before) && hrm_run_updates(run) == 0, "a refused update moved something");
    CHECK_OK(hrm_run_update(run, &u));
    CHECK(!models_equal(m, before) && model_finite(m), "a good update did not");

    /* gradients that are finite, but whose squares are not: moments stay finite and the weights move by the rate */
    for (int i = 0; i < B * 6 * 5; i++) dlogits[i] = (hrm_real)(i % 2 ? 1e30 : -1e30);
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    CHECK_OK(hrm_run_set_gradient(run, dlogits, NULL));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_update(run, &u));
    CHECK(model_finite(m), "large gradients spoil the weights");
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    /* and denormal ones */
    for (int i = 0; i < B * 6 * 5; i++) dlogits[i] = (hrm_real)(i % 2 ? 1e-42 : -1e-42);
    for (int i = 0; i < B * 2; i++) dq[i] = (hrm_real)1e-45;
    CHECK_OK(hrm_run_set_gradient(run, dlogits, dq));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_update(run, &u));
    CHECK(model_finite(m), "small gradients spoil the weights");
    hrm_run_destroy(run);
    batch_free(&batch);
    hrm_model_destroy(m), hrm_model_destroy(before);
}

/* The optimizers by themselves, at the ends of what their operands can be: the result is finite, no larger than its formula. */
static void check_optimizers(void)
{
    const hrm_real gradients[] = {0, (hrm_real)1e-45, (hrm_real)-1e-40, (hrm_real)1e-20, 1, (hrm_real)-1e19, (hrm_real)3e38,
                                  (hrm_real)-3e38};
    for (size_t i = 0; i < HRM__COUNT(gradients); i++)
        for (size_t k = 0; k < HRM__COUNT(gradients); k++)
            for (int how = 0; how < 2; how++) {
                hrm_real p = 1, m = gradients[k], v = gradients[k] < 0 ? -gradients[k] : gradients[k], g = gradients[i];
                if (fabs((double)m) > 1.8e19) m = 1; /* no update leaves more: the gradient is bounded */
                if (how == 0) hrm_adam_atan2(&p, &m, &v, &g, 1, 1e-3, 0.9, 0.95, 0.1, 1);
                else hrm_adamw(&p, &m, &v, &g, 1, 1e-3, 0.9, 0.95, 1e-8, 0.1, 1);
                if (k == 0 && g != 0) CHECK((p < 1) == (g > 0) || how, "a gradient of %g moves 1 to %g", (double)g, (double)p);
                double most = how == 0 ? 1e-3 / (1 - 0.9) * 1.5708 + 2e-4 : HUGE_VAL;
                CHECK(p - p == 0 && m - m == 0 && v - v == 0 && v >= 0 && fabs((double)p - 1) <= most,
                      "%s: g %g, m and v %g: p %g, m %g, v %g", how ? "AdamW" : "Adam-atan2", (double)g, (double)gradients[k],
                      (double)p, (double)m, (double)v);
            }
}

/* A gradient that is not a number is not lost in an update: the weight it moves is none either, and the next loss tells. */
static void check_gradients(void)
{
    for (int how = 0; how < 2; how++) {
        hrm_real p = 1, m = 0, v = 0, g = (hrm_real)NAN;
        if (how == 0) hrm_adam_atan2(&p, &m, &v, &g, 1, 1e-3, 0.9, 0.95, 0.1, 1);
        else hrm_adamw(&p, &m, &v, &g, 1, 1e-3, 0.9, 0.95, 1e-8, 0.1, 1);
        CHECK(p != p && m != m, "%s makes %g of NaN", how ? "AdamW" : "Adam-atan2", (double)p);
    }
    const hrm_real nan = (hrm_real)NAN, angles[3] = {hrm__atan2(nan, 1), hrm__atan2(1, nan), hrm__atan2(nan, 0)};
    for (int i = 0; i < 3; i++) CHECK(angles[i] != angles[i], "an angle of NaN is %g", (double)angles[i]);
    hrm_real table[3] = {1, 1, 1}, g[3] = {(hrm_real)NAN, (hrm_real)INFINITY, (hrm_real)-INFINITY};
    const int32_t id = 0;
    hrm_sign_sgd(table, g, &id, 1, 3, 0.25, 0);
    CHECK(table[0] != table[0] && table[1] < 0.8 && table[1] > 0.7 && table[2] > 1.2 && table[2] < 1.3,
          "SignSGD makes %g, %g, %g", (double)table[0], (double)table[1], (double)table[2]);

    examples x = examples_open(24, 6, 5, 1);
    for (int optimizer = HRM_ADAM_ATAN2; optimizer <= HRM_MUON; optimizer++) {
        hrm_model_desc d = small_desc();
        hrm_model *m = model_make(&d);
        hrm_run *run = NULL;
        hrm_run_desc rd;
        hrm_update_desc u;
        hrm_batch batch;
        hrm_position position;
        memset(&rd, 0, sizeof rd), memset(&u, 0, sizeof u), memset(&position, 0, sizeof position);
        rd.rows = 4, rd.train = rd.update = 1, rd.optimizer = (hrm_optimizer)optimizer;
        u.lr = u.muon_lr = 1e-3f, u.beta1 = u.beta2 = 0.9f, u.adam_eps = 1e-8f;
        CHECK_OK(hrm_run_create(&run, m, &rd));
        batch_make(&batch, 4, 6);
        CHECK_OK(hrm_dataset_next(x.data, &position, 1, 1, &batch, NULL));
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        CHECK_OK(hrm_run_backward(run));
        size_t at = m->at.net_offset[1] + m->at.block_offset[HRM_O_PROJ] + 5;
        run->w.grads[at] = (hrm_real)NAN; /* as where a product overflows on the way back */
        CHECK_OK(hrm_run_update(run, &u));
        CHECK(m->params[at] != m->params[at] && m->params[0] == m->params[0], "optimizer %d: %g", optimizer,
              (double)m->params[at]);
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        CHECK_OK(hrm_run_backward(run));
        CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_NAN, "not finite");
        CHECK_FAILS(hrm_model_save(m, own_file("none")), HRM_ERR_NAN, "tensor inner.");
        batch_free(&batch);
        hrm_run_destroy(run);
        hrm_model_destroy(m);
    }
    examples_close(&x);
}

/* Moments that are denormal floats still have their ratio: what an update is made of. */
static void check_small_moments(void)
{
    enum { N = 40 };
    for (int k = 0; k < 2; k++) {
        hrm_real p[N] = {0}, m[N], v[N], g[N] = {0};
        for (int i = 0; i < N; i++) m[i] = (hrm_real)1e-21, v[i] = (hrm_real)1e-40;
        if (k) hrm_adamw(p, m, v, g, N, 1, 0.9, 0.999, 0, 0, 1000000);
        else hrm_adam_atan2(p, m, v, g, N, 1, 0.9, 0.999, 0, 1000000);
        double ratio = 0.9e-21 / sqrt(0.999e-40), expected = k ? -ratio : -atan(ratio);
        for (int i = 0; i < N; i++)
            CHECK(fabs((double)p[i] - expected) < 1e-3 * ratio, "%s, element %d: %g, expected %g",
                  k ? "AdamW" : "Adam-atan2", i, (double)p[i], expected);
    }
}

/* A state whose moments are denormal is one like any other; one with moments that no float's update can be made of is told with
 * the step after, and the state before brings the trainer back. */
static void check_moments(void)
{
    examples x = examples_open(24, 6, 5, 1);
    const char *good = own_file("good"), *odd = own_file("odd");
    for (int k = 0; k < 2; k++) {
        hrm_model_desc d = small_desc();
        hrm_metrics metrics, expected;
        hrm_trainer *t = NULL;
        hrm_train_desc td = train_desc(50, 8);
        td.optimizer = k ? HRM_ADAMW : HRM_ADAM_ATAN2;
        td.adam_eps = 1e-20f;
        td.lr = 10, td.no_weight_decay = 1;
        hrm_model *m = model_make(&d);
        CHECK_OK(hrm_trainer_create(&t, m, &td));
        CHECK_OK(hrm_trainer_save(t, good, NULL, 0));
        CHECK_OK(hrm_trainer_step(t, x.data, &expected));
        CHECK_OK(hrm_trainer_load(t, good));
        const hrm_work *w = &hrm_trainer_run(t)->w;
        for (size_t i = 0; i < w->at.trained; i++) w->m[i] = (hrm_real)(i % 2 ? -1e-42 : 1e-44), w->v[i] = (hrm_real)1e-45;
        CHECK_OK(hrm_trainer_save(t, odd, NULL, 0));
        CHECK_OK(hrm_trainer_load(t, good));
        CHECK_OK(hrm_trainer_load(t, odd));
        CHECK(w->m[1] < 0 && w->m[1] > (hrm_real)-1e-41 && w->v[0] > 0 && w->v[0] < (hrm_real)1e-44,
              "denormal moments come back as %g and %g", (double)w->m[1], (double)w->v[0]);
        CHECK_OK(hrm_trainer_step(t, x.data, &metrics));
        CHECK(model_finite(m), "denormal moments make weights that are not finite");

        for (size_t i = 0; i < w->at.trained; i++) w->m[i] = (hrm_real)3e38, w->v[i] = 0;
        CHECK_OK(hrm_trainer_save(t, odd, NULL, 0)); /* finite, as every value of it is asked to be */
        CHECK_OK(hrm_trainer_load(t, odd));
        hrm_status status = HRM_OK;
        for (int i = 0; i < 20 && status == HRM_OK; i++) status = hrm_trainer_step(t, x.data, &metrics);
        if (k) CHECK(status == HRM_ERR_NAN && strstr(hrm_error_message(), "load an earlier state"), "status %d", (int)status);
        else CHECK(status == HRM_OK && model_finite(m), "Adam-atan2's update is bounded: %s", hrm_error_message());
        CHECK_OK(hrm_trainer_load(t, good));
        CHECK_OK(hrm_trainer_step(t, x.data, &metrics));
        CHECK(memcmp(&metrics, &expected, sizeof expected) == 0, "the state before does not bring it back");
        hrm_trainer_destroy(t);
        hrm_model_destroy(m);
    }
    remove(good), remove(odd);
    examples_close(&x);
}

/* ---- sizes -------------------------------------------------------------------------------------------------------------- */
/* Trains a little, evaluates and solves: losses are finite, and the weights move. -> the last step's metrics */
static hrm_metrics use(const char *what, hrm_model_desc d, hrm_dataset *data, int rows, int steps, hrm_metrics *evaluated)
{
    hrm_metrics metrics;
    hrm_trainer *t = NULL;
    hrm_train_desc td = train_desc(steps, rows);
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    hrm_batch batch;
    hrm_model *m, *before;
    hrm_evaluate_desc e;
    memset(&metrics, 0, sizeof metrics), memset(&e, 0, sizeof e);
    d.seq_len = info->seq_len, d.vocab_size = info->vocab_size, d.num_puzzle_identifiers = info->num_puzzle_identifiers;
    m = model_make(&d), before = model_make(&d);
    CHECK_OK(hrm_trainer_create(&t, m, &td));
    for (int i = 0; t && i < steps; i++) {
        CHECK_OK(hrm_trainer_step(t, data, &metrics));
        CHECK(metrics.rows == rows && metrics.lm_loss - metrics.lm_loss == 0 && metrics.q_halt_loss > 0, "%s: step %d: loss %g",
              what, i, metrics.lm_loss);
    }
    hrm_trainer_destroy(t);
    CHECK(!models_equal(m, before) && model_finite(m), "%s: the weights", what);
    e.batch_size = rows, e.max_steps = 2;
    CHECK_OK(hrm_evaluate(m, data, &e, evaluated));
    batch_make(&batch, 1, d.seq_len);
    CHECK_OK(hrm_dataset_read(data, 0, &batch));
    int32_t *answer = (int32_t *)malloc((size_t)d.seq_len * sizeof *answer);
    for (int i = 0; i < d.seq_len; i++) answer[i] = -1;
    hrm_solve_desc sd;
    memset(&sd, 0, sizeof sd);
    sd.max_steps = 2;
    CHECK_OK(hrm_solve(m, batch.inputs, answer, &sd));
    int within = 1;
    for (int i = 0; i < d.seq_len; i++) within = within && answer[i] >= 0 && answer[i] < d.vocab_size;
    CHECK(within, "%s: an answer is no token", what);
    free(answer);
    batch_free(&batch);
    hrm_model_destroy(m), hrm_model_destroy(before);
    return metrics;
}

static void check_few(void)
{
    hrm_metrics evaluated, metrics;
    hrm_model_desc d = small_desc();
    /* one token, two kinds of it: learnt at once */
    examples x = examples_open(16, 1, 2, 1);
    metrics = use("one token", d, x.data, 8, 30, &evaluated);
    CHECK(evaluated.count == 16 && evaluated.accuracy - evaluated.exact_accuracy == 0, "one token: %g rows, %g, %g exactly",
          evaluated.count, evaluated.accuracy, evaluated.exact_accuracy);
    CHECK(metrics.lm_loss < log(2), "one token: loss %g", metrics.lm_loss);
    hrm_model_desc mixer = d;
    mixer.mlp_t = 1, mixer.pos_encodings = HRM_NO_POSITIONS, mixer.expansion = 200;
    use("one token, mixed", mixer, x.data, 8, 2, &evaluated);
    examples_close(&x);

    /* one example: the only batch of one row is it; of two rows none is ever full */
    x = examples_open(1, 6, 5, 1);
    use("one example", d, x.data, 1, 30, &evaluated);
    CHECK(evaluated.count == 1, "one example: %g rows", evaluated.count);
    hrm_model *m = model_make(&d);
    hrm_trainer *t = NULL;
    hrm_train_desc td = train_desc(4, 2);
    CHECK_OK(hrm_trainer_create(&t, m, &td));
    CHECK_FAILS(hrm_trainer_step(t, x.data, &metrics), HRM_ERR_ARGUMENT, "does not fill a batch of 2 rows");
    CHECK(hrm_trainer_steps_done(t) == 0, "a step without a batch");
    hrm_trainer_destroy(t);
    t = NULL, td.epochs_per_iter = 2; /* two permutations fill it */
    CHECK_OK(hrm_trainer_create(&t, m, &td));
    for (int i = 0; i < 4; i++) CHECK_OK(hrm_trainer_step(t, x.data, &metrics));
    CHECK(hrm_trainer_step(t, x.data, &metrics) == HRM_END && hrm_trainer_position(t).iteration == 3 &&
              hrm_trainer_position(t).draws == 2,
          "two of one example: iteration %d", (int)hrm_trainer_position(t).iteration);
    hrm_trainer_destroy(t);
    t = NULL, td.steps = 0, td.epochs = 1, td.epochs_per_iter = 1; /* half a step is none */
    CHECK_OK(hrm_trainer_create(&t, m, &td));
    CHECK_FAILS(hrm_trainer_step(t, x.data, &metrics), HRM_ERR_ARGUMENT, "expected at least 1");
    hrm_trainer_destroy(t);
    examples_close(&x);

    /* evaluated in batches larger than the data: the same numbers, padding counts nothing */
    x = examples_open(5, 6, 5, 1);
    hrm_metrics more;
    hrm_evaluate_desc e;
    memset(&e, 0, sizeof e);
    e.batch_size = 5;
    CHECK_OK(hrm_evaluate(m, x.data, &e, &evaluated));
    e.batch_size = 200;
    CHECK_OK(hrm_evaluate(m, x.data, &e, &more));
    CHECK(evaluated.count == 5 && memcmp(&evaluated, &more, sizeof more) == 0, "a batch above the data: %g and %g",
          evaluated.lm_loss, more.lm_loss);
    hrm_model_destroy(m);
    examples_close(&x);

    /* no label anywhere: no token's loss, nothing counted, no division by nothing */
    x = examples_open(16, 6, 5, 0);
    metrics = use("no labels", d, x.data, 8, 5, &evaluated);
    CHECK(metrics.lm_loss == 0 && metrics.count == 0 && metrics.accuracy == 0 && metrics.exact_accuracy == 0 &&
              metrics.steps == 0,
          "no labels: loss %g, %g rows, accuracy %g", metrics.lm_loss, metrics.count, metrics.accuracy);
    CHECK(evaluated.lm_loss == 0 && evaluated.count == 0 && evaluated.accuracy == 0 && evaluated.q_halt_accuracy == 0,
          "no labels: evaluated %g of %g", evaluated.accuracy, evaluated.count);
    examples_close(&x);

    /* Examples without a label among others: an evaluation's losses are means over those with one, as all else it finds, so
     * that a set's loss is not the smaller for what nobody can answer. */
    x = examples_open(12, 6, 5, 1);
    memset(x.labels + 4 * 6, 255, 8 * 6);
    m = model_make(&d);
    memset(&e, 0, sizeof e);
    for (e.batch_size = 3; e.batch_size <= 12; e.batch_size *= 2) {
        e.max_examples = 4;
        CHECK_OK(hrm_evaluate(m, x.data, &e, &evaluated));
        e.max_examples = 0;
        CHECK_OK(hrm_evaluate(m, x.data, &e, &more));
        CHECK(evaluated.rows == 4 && more.rows == 4 && more.count == 4, "4 of 12 have labels: %g rows, %g counted", more.rows,
              more.count);
        CHECK(evaluated.lm_loss > 1 && fabs(more.lm_loss - evaluated.lm_loss) < 1e-9 && more.accuracy == evaluated.accuracy,
              "4 of 12 have labels: loss %g, alone %g", more.lm_loss, evaluated.lm_loss);
        CHECK(more.q_halt_loss > evaluated.q_halt_loss, "a halt loss of %g, alone %g", more.q_halt_loss, evaluated.q_halt_loss);
    }
    hrm_model_destroy(m);
    examples_close(&x);

    /* no example */
    hrm_dataset *data = NULL;
    hrm_dataset_arrays a;
    const uint8_t some[6] = {0};
    memset(&a, 0, sizeof a);
    a.seq_len = 6, a.vocab_size = 5, a.inputs = a.labels = some;
    CHECK_FAILS(hrm_dataset_from_arrays(&data, &a, NULL), HRM_ERR_ARGUMENT, "num_examples is 0, expected 1");
    a.num_examples = 1, a.seq_len = 0;
    CHECK_FAILS(hrm_dataset_from_arrays(&data, &a, NULL), HRM_ERR_ARGUMENT, "seq_len is 0, expected at least 1");
    a.seq_len = 6, a.vocab_size = 1;
    CHECK_FAILS(hrm_dataset_from_arrays(&data, &a, NULL), HRM_ERR_ARGUMENT, "vocab_size is 1, expected at least 2");
    CHECK(!data, "a refused data set was made");
}

static void write_rows(const char *dir, const char *name, hrm_dtype dtype, int ndim, int64_t columns, const void *rows,
                       size_t n)
{
    char path[512];
    hrm_npy_writer w;
    const int64_t shape[2] = {0, columns};
    snprintf(path, sizeof path, "%s/train/%s.npy", dir, name);
    CHECK_OK(hrm_npy_writer_open(&w, path, dtype, ndim, shape, NULL));
    if (n) CHECK_OK(hrm_npy_writer_write(&w, rows, n));
    CHECK_OK(hrm_npy_writer_commit(&w));
}

/* A data set in files, of `count` examples whose tokens need 32 bits. */
static void write_folder(const char *dir, int count, int tokens, int words)
{
    size_t n = (size_t)count * (size_t)tokens;
    int32_t *rows = (int32_t *)calloc(2 * n + 2, sizeof *rows),
            *numbers = (int32_t *)calloc((size_t)count + 1, sizeof *numbers);
    char text[512], path[512];
    for (size_t i = 0; i < n; i++) rows[i] = (int32_t)((i * 7919 + 1) % (size_t)words), rows[n + i] = words - 1 - rows[i];
    for (int i = 0; i <= count; i++) numbers[i] = i;
    make_folder(dir);
    snprintf(path, sizeof path, "%s/train", dir);
    make_folder(path);
    write_rows(dir, "all__inputs", HRM_I32, 2, tokens, rows, (size_t)count);
    write_rows(dir, "all__labels", HRM_I32, 2, tokens, rows + n, (size_t)count);
    write_rows(dir, "all__puzzle_indices", HRM_I32, 1, 1, numbers, (size_t)count + 1);
    write_rows(dir, "all__group_indices", HRM_I32, 1, 1, numbers, (size_t)count + 1);
    for (int i = 0; i <= count; i++) numbers[i] = 0;
    write_rows(dir, "all__puzzle_identifiers", HRM_I32, 1, 1, numbers, (size_t)count);
    snprintf(text, sizeof text,
             "{\"pad_id\": 0, \"ignore_label_id\": null, \"blank_identifier_id\": 0, \"vocab_size\": %d, \"seq_len\": %d, "
             "\"num_puzzle_identifiers\": 1, \"total_groups\": %d, \"mean_puzzle_examples\": 1, \"sets\": [\"all\"]}",
             words, tokens, count ? count : 1);
    snprintf(path, sizeof path, "%s/train/dataset.json", dir);
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
    free(rows), free(numbers);
}

static void remove_folder(const char *dir)
{
    static const char *const names[] = {"all__inputs.npy", "all__labels.npy", "all__puzzle_indices.npy",
                                        "all__group_indices.npy", "all__puzzle_identifiers.npy", "dataset.json", ""};
    char path[512];
    for (size_t i = 0; i < HRM__COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/train%s%s", dir, names[i][0] ? "/" : "", names[i]);
        if (names[i][0]) remove(path);
        else rmdir(path);
    }
    rmdir(dir);
}

static void check_many(void)
{
    const char *dir = own_file("numbers");
    hrm_dataset *data = NULL;
    hrm_metrics metrics, evaluated;
    hrm_model_desc d = small_desc();
    write_folder(dir, 0, 6, 5);
    CHECK_FAILS(hrm_dataset_open(&data, dir, "train", NULL), HRM_ERR_SHAPE, "0 rows");
    remove_folder(dir);

    write_folder(dir, 4, 6, 100000);
    CHECK_OK(hrm_dataset_open(&data, dir, "train", NULL));
    if (!data) return;
    metrics = use("a vocabulary of 100,000", d, data, 4, 3, &evaluated);
    CHECK(fabs(metrics.lm_loss - log(1e5)) < 1 && evaluated.count == 4, "a vocabulary of 100,000: loss %g, expected about %g",
          metrics.lm_loss, log(1e5));
    hrm_dataset_close(data);
    remove_folder(dir);

    /* ten thousand tokens; attention's work grows with their square */
    data = NULL;
    write_folder(dir, 1, 10000, 2);
    CHECK_OK(hrm_dataset_open(&data, dir, "train", NULL));
    if (!data) return;
    d.H_cycles = d.L_cycles = 1, d.halt_max_steps = 1, d.num_heads = 1, d.num_threads = 0;
    metrics = use("ten thousand tokens", d, data, 1, 1, &evaluated);
    CHECK(fabs(metrics.lm_loss - log(2)) < 0.2 && evaluated.count == 1, "ten thousand tokens: loss %g", metrics.lm_loss);
    hrm_dataset_close(data);
    remove_folder(dir);
}

int main(void)
{
    check_small_weights();
    check_large_weights();
    check_rates();
    check_own_values();
    check_optimizers();
    check_gradients();
    check_small_moments();
    check_moments();
    check_few();
    check_many();
    return test_summary();
}
