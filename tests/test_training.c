/* Training once more, by formulas of its own: what a trainer tells its device at every step, the order of examples, an update
 * of every optimizer in double, averages, dropout's draws, and states that go on to the same bytes. Second to the tests that
 * have these by other ways: what guards training must not rest on one program. */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

enum { GROUPS = 7, PUZZLES = 12, EXAMPLES = 30, T = 6, V = 9 };

/* Groups of one and several puzzles, these of one and several examples; an example's first two tokens are its number. */
typedef struct world {
    uint8_t inputs[EXAMPLES * T], labels[EXAMPLES * T];
    int32_t ids[PUZZLES], puzzles[PUZZLES + 1], groups[GROUPS + 1];
    hrm_dataset *data;
} world;

static void world_open(world *w)
{
    static const int32_t groups[GROUPS + 1] = {0, 1, 4, 5, 7, 9, 10, 12};
    hrm_dataset_arrays a;
    hrm_random r = hrm_random_make(9, 9);
    memset(w, 0, sizeof *w);
    memcpy(w->groups, groups, sizeof groups);
    for (int i = 0; i < PUZZLES; i++) w->ids[i] = i % 4, w->puzzles[i + 1] = w->puzzles[i] + 1 + (i * 5 + 2) % 4;
    CHECK(w->puzzles[PUZZLES] == EXAMPLES, "%d examples", (int)w->puzzles[PUZZLES]);
    for (int i = 0; i < EXAMPLES; i++)
        for (int t = 0; t < T; t++) {
            w->inputs[i * T + t] = (uint8_t)(t == 0 ? i / V : t == 1 ? i % V : (int)hrm_random_below(&r, V));
            w->labels[i * T + t] = (uint8_t)(t % 3 == 2 ? 255 : (w->inputs[i * T + t] + t) % V);
        }
    memset(&a, 0, sizeof a);
    a.seq_len = T, a.vocab_size = V, a.num_puzzle_identifiers = 4, a.has_ignore_label = 1, a.ignore_label_id = 255;
    a.num_examples = EXAMPLES, a.inputs = w->inputs, a.labels = w->labels;
    a.num_puzzles = PUZZLES, a.puzzle_identifiers = w->ids, a.puzzle_indices = w->puzzles;
    a.num_groups = GROUPS, a.group_indices = w->groups;
    CHECK_OK(hrm_dataset_from_arrays(&w->data, &a, NULL));
    if (!w->data) exit(test_summary());
}

/* ---- the order of examples ----------------------------------------------------------------------------------------------- */
/* From the description of hrm_dataset_next alone, with the streams that its states of training count on. */
static int own_batch(const world *w, hrm_position *p, uint64_t seed, uint64_t epochs, int rows, int *examples)
{
    int filled = 0;
    while (filled < rows) {
        int32_t order[GROUPS], chosen[8];
        if (p->group == GROUPS) {
            p->group = 0;
            if (++p->epoch == epochs) p->epoch = p->draws = 0, p->iteration++, filled = 0; /* a partial batch is dropped */
            continue;
        }
        hrm_random shuffle = hrm_random_make(seed, (uint64_t)0xD0 << 56 ^ p->iteration << 24 ^ p->epoch);
        for (int i = 0; i < GROUPS; i++) order[i] = i;
        for (int i = GROUPS; i > 1; i--) {
            int j = (int)hrm_random_below(&shuffle, (uint32_t)i);
            int32_t t = order[i - 1];
            order[i - 1] = order[j], order[j] = t;
        }
        hrm_random draw = hrm_random_make(seed, (uint64_t)0xD1 << 56 ^ p->iteration << 24 ^ p->epoch);
        draw.counter = p->group << 24;
        int group = order[p->group],
            puzzle = w->groups[group] + (int)hrm_random_below(&draw, (uint32_t)(w->groups[group + 1] - w->groups[group])),
            size = w->puzzles[puzzle + 1] - w->puzzles[puzzle];
        for (int i = 0; i < size; i++) chosen[i] = w->puzzles[puzzle] + i;
        for (int i = 0; i < size && filled < rows; i++) {
            int j = i + (int)hrm_random_below(&draw, (uint32_t)(size - i));
            int32_t t = chosen[i];
            chosen[i] = chosen[j], chosen[j] = t;
            examples[filled++] = chosen[i];
        }
        p->group++, p->draws++;
    }
    return filled;
}

static void check_order(void)
{
    enum { ROWS = 5, BATCHES = 40 };
    world w;
    hrm_batch batch;
    world_open(&w);
    batch_make(&batch, ROWS, T);
    for (uint64_t seed = 1; seed < 4; seed++)
        for (int epochs = 1; epochs <= 3; epochs += 2) {
            hrm_position p, own;
            memset(&p, 0, sizeof p), memset(&own, 0, sizeof own);
            CHECK_OK(hrm_dataset_next(w.data, &p, seed + 9, epochs, &batch, NULL)); /* whose order is not kept for this one */
            memset(&p, 0, sizeof p);
            for (int b = 0; b < BATCHES; b++) {
                int expected[ROWS], different = 0, wrong_id = 0;
                own_batch(&w, &own, seed, (uint64_t)epochs, ROWS, expected);
                CHECK_OK(hrm_dataset_next(w.data, &p, seed, epochs, &batch, NULL));
                for (int i = 0; i < ROWS; i++) {
                    int puzzle = 0;
                    while (w.puzzles[puzzle + 1] <= expected[i]) puzzle++;
                    different += batch.inputs[i * T] * V + batch.inputs[i * T + 1] != expected[i];
                    wrong_id += batch.puzzle_identifiers[i] != w.ids[puzzle];
                    for (int t = 0; t < T; t++) {
                        int label = w.labels[expected[i] * T + t];
                        different += batch.labels[i * T + t] != (label == 255 ? -100 : label);
                    }
                }
                CHECK(different == 0 && wrong_id == 0 && memcmp(&p, &own, sizeof p) == 0 && batch.filled == ROWS,
                      "seed %d, %d epochs, batch %d: %d places differ, %d identifiers", (int)seed, epochs, b, different,
                      wrong_id);
            }
        }
    batch_free(&batch);
    hrm_dataset_close(w.data);
}

/* ---- what a step is told ------------------------------------------------------------------------------------------------- */
static double own_rate(int step, double lr, int warmup, int total, double least)
{
    if (step < warmup) return lr * step / (warmup > 1 ? warmup : 1);
    double at = (double)(step - warmup) / (total - warmup > 1 ? total - warmup : 1);
    return lr * (least + fmax(0, (1 - least) * 0.5 * (1 + cos(acos(-1.0) * at))));
}

static int near(double x, double expected) { return fabs(x - expected) <= 1e-6 * fabs(expected) + 1e-12; }

static void check_steps(void)
{
    enum { STEPS = 12, ROWS = 4, M = 6 };
    world w;
    world_open(&w);
    for (int how = 0; how < 3; how++) {
        hrm_model_desc d = small_desc();
        hrm_train_desc td;
        hrm_model *model = NULL;
        hrm_trainer *t = NULL;
        hrm_metrics m;
        memset(&td, 0, sizeof td), memset(&m, 0, sizeof m);
        d.vocab_size = V, d.halt_max_steps = M, d.halt_max_steps_start = how ? 2 : 0;
        d.halt_exploration_prob = 0.5f, d.halt_exploration_end = how ? 0.125f : 0;
        d.q_loss_weight = 0.25f, d.label_smoothing = 0.125f;
        td.steps = STEPS, td.batch_size = ROWS, td.lr = 1e-3f, td.lr_warmup_steps = 4, td.lr_min_ratio = 0.1f, td.seed = 77;
        td.puzzle_emb_lr = 3e-2f, td.weight_decay = 0.5f, td.puzzle_emb_weight_decay = 0.25f, td.beta1 = 0.8f, td.beta2 = 0.9f;
        td.optimizer = (hrm_optimizer)how, td.muon_lr = 2e-2f, td.muon_weight_decay = 0.75f, td.muon_momentum = 0.625f;
        td.grad_clip = 2, td.ema = 1, td.ema_rate = 0.75f, td.ema_from = 3, td.adam_eps = 1e-7f;
        td.curriculum_steps = how ? 8 : 0, td.exploration_steps = how ? 5 : 0;
        CHECK_OK(hrm_model_create(&model, &d));
        CHECK_OK(hrm_trainer_create(&t, model, &td));
        if (!t) exit(test_summary());
        for (int step = 1; step <= STEPS; step++) {
            CHECK_OK(hrm_trainer_step(t, w.data, &m));
            const hrm_step *s = hrm_trainer_run(t)->w.step;
            double lr = own_rate(step, (double)td.lr, 4, STEPS, (double)td.lr_min_ratio);
            CHECK(s->seed == 77 && s->step == (uint64_t)step && s->attempt == (uint64_t)step && s->first_row == 0 &&
                      !s->fixed_exploration,
                  "step %d is told as %d of seed %d", step, (int)s->step, (int)s->seed);
            CHECK(near(s->rates[HRM_RATE_WEIGHTS].lr, lr) && near(m.lr, lr) &&
                      near(s->rates[HRM_RATE_WEIGHTS].weight_decay, 0.5),
                  "step %d: rate %g, expected %g", step, (double)s->rates[HRM_RATE_WEIGHTS].lr, lr);
            CHECK(near(s->rates[HRM_RATE_PUZZLE].lr, lr * 30) && near(s->rates[HRM_RATE_PUZZLE].weight_decay, 0.25),
                  "step %d: the puzzle table's rate %g", step, (double)s->rates[HRM_RATE_PUZZLE].lr);
            CHECK(near(s->rates[HRM_RATE_MUON].lr, lr * 20) && near(s->rates[HRM_RATE_MUON].weight_decay, 0.75) &&
                      near(s->muon_momentum, 0.625),
                  "step %d: Muon's rate %g", step, (double)s->rates[HRM_RATE_MUON].lr);
            CHECK(near(s->beta1, (double)td.beta1) && near(s->beta2, (double)td.beta2) &&
                      near(s->bias1, 1 - pow((double)td.beta1, step)) && near(s->bias2, sqrt(1 - pow((double)td.beta2, step))),
                  "step %d: bias corrections %g and %g", step, (double)s->bias1, (double)s->bias2);
            CHECK(near(s->ema_rate, step > 3 ? 0.75 : 0), "step %d: the average keeps %g", step, (double)s->ema_rate);
            CHECK(near(s->loss_scale, 1.0 / ROWS) && near(s->q_loss_weight, 0.25) && near(s->label_smoothing, 0.125) &&
                      near(s->grad_clip, 2) && near(s->adam_eps, 1e-7f),
                  "step %d: a loss over %g", step, (double)s->loss_scale);
            int allowed = !how || step > 8 ? M : 2 + (M - 2) * (step - 1) / 8;
            double explores = !how ? 0.5 : step > 5 ? 0.125 : 0.5 + (0.125 - 0.5) * (step - 1) / 5;
            CHECK(s->halt_max_steps == allowed && near(s->exploration, explores),
                  "step %d: %d segments, expected %d; explores %g, expected %g", step, (int)s->halt_max_steps, allowed,
                  (double)s->exploration, explores);
        }
        CHECK(hrm_trainer_step(t, w.data, &m) == HRM_END, "a step after the last");
        hrm_trainer_destroy(t);
        hrm_model_destroy(model);
    }
    hrm_dataset_close(w.data);
}

/* ---- updates in double --------------------------------------------------------------------------------------------------- */
static void own_muon(double *p, double *m, const double *g, int rows, int columns, double lr, double wd, double keep, int steps)
{
    int n = rows < columns ? rows : columns, w = rows < columns ? columns : rows;
    double *x = (double *)calloc((size_t)(n * w), sizeof *x), *y = (double *)calloc((size_t)(n * w), sizeof *y),
           *a = (double *)calloc((size_t)(n * n), sizeof *a), *f = (double *)calloc((size_t)(n * n), sizeof *f), size = 0;
    for (int i = 0; i < rows * columns; i++) {
        m[i] = keep * m[i] + (1 - keep) * g[i];
        double u = (1 - keep) * g[i] + keep * m[i];
        x[rows > columns ? i % columns * w + i / columns : i] = u; /* wide */
        size += u * u;
    }
    for (int i = 0; i < n * w; i++) x[i] /= fmax(sqrt(size), 1e-7);
    for (int step = 0; step < steps; step++) {
        for (int i = 0; i < n * n; i++) {
            a[i] = 0;
            for (int k = 0; k < w; k++) a[i] += x[i / n * w + k] * x[i % n * w + k];
        }
        for (int i = 0; i < n * n; i++) {
            f[i] = (i / n == i % n ? 3.4445 : 0) - 4.7750 * a[i];
            for (int k = 0; k < n; k++) f[i] += 2.0315 * a[i / n * n + k] * a[k * n + i % n];
        }
        for (int i = 0; i < n * w; i++) {
            y[i] = 0;
            for (int k = 0; k < n; k++) y[i] += f[i / w * n + k] * x[k * w + i % w];
        }
        memcpy(x, y, (size_t)(n * w) * sizeof *x);
    }
    double by = lr * sqrt(fmax(1, (double)rows / columns));
    for (int i = 0; i < rows * columns; i++)
        p[i] = p[i] * (1 - lr * wd) - by * x[rows > columns ? i % columns * w + i / columns : i];
    free(x), free(y), free(a), free(f);
}

/* Two updates of a run, with and without clipping, against the formulas; the puzzle table's, and the average, with them. */
static void check_updates(void)
{
    enum { ROWS = 5, MOST = 32 };
    world w;
    world_open(&w);
    for (int how = 0; how < 6; how++) {
        hrm_optimizer optimizer = (hrm_optimizer)(how / 2);
        double clip = how % 2 ? 0.05 : 0, *p[MOST] = {NULL}, *m[MOST] = {NULL}, *v[MOST] = {NULL}, *average[MOST] = {NULL};
        hrm_model_desc d = small_desc();
        hrm_model *model = NULL;
        hrm_run *run = NULL;
        hrm_run_desc rd;
        hrm_update_desc u;
        hrm_batch batch;
        hrm_position position;
        memset(&rd, 0, sizeof rd), memset(&u, 0, sizeof u), memset(&position, 0, sizeof position);
        d.vocab_size = V, d.expansion = 1;
        rd.rows = ROWS, rd.train = rd.update = rd.ema = 1, rd.optimizer = optimizer, rd.muon_ns_steps = 3;
        u.lr = 1e-2f, u.weight_decay = 0.5f, u.beta1 = 0.8f, u.beta2 = 0.95f, u.adam_eps = 1e-3f, u.grad_clip = (float)clip;
        u.puzzle_emb_lr = 0.0625f, u.puzzle_emb_weight_decay = 2, u.muon_lr = 0.05f, u.muon_weight_decay = 0.25f;
        u.muon_momentum = 0.75f, u.ema_rate = 0.75f;
        CHECK_OK(hrm_model_create(&model, &d));
        model_decide(model, 3);
        CHECK_OK(hrm_run_create(&run, model, &rd));
        if (!run) exit(test_summary());
        batch_make(&batch, ROWS, T);
        int count = hrm_model_tensor_count(model), table = hrm_model_tensor_find(model, "inner.puzzle_emb.weights");
        CHECK(count <= MOST && table >= 0, "%d tensors", count);
        for (int step = 1; step <= 2; step++) {
            double norm = 0, factor = 1;
            hrm_real *now, *g;
            CHECK_OK(hrm_dataset_next(w.data, &position, 4, 1, &batch, NULL));
            CHECK_OK(hrm_run_segment(run, &batch, NULL));
            CHECK_OK(hrm_run_backward(run));
            CHECK_OK(hrm_run_gradient_norm(run, &norm));
            if (clip > 0) factor = fmin(1, clip / (norm + 1e-6));
            CHECK(clip > 0 ? factor < 0.9 : factor > 0.9, "a norm of %g is not clipped at %g", norm, clip);
            for (int i = 0; i < count; i++) {
                size_t n = 0;
                hrm_tensor t;
                hrm_role role;
                CHECK_OK(hrm_model_tensor(model, i, &t, &role));
                if (role == HRM_BUFFER) continue;
                now = tensor_values(model, i, &n, NULL);
                g = (hrm_real *)calloc(n + ROWS * 12, sizeof *g);
                CHECK_OK(hrm_run_gradient(run, i, g));
                if (!p[i]) {
                    p[i] = (double *)calloc(n, sizeof **p), m[i] = (double *)calloc(n, sizeof **m);
                    v[i] = (double *)calloc(n, sizeof **v), average[i] = (double *)calloc(n, sizeof **average);
                    for (size_t k = 0; k < n; k++) average[i][k] = (double)now[k];
                }
                for (size_t k = 0; k < n; k++) p[i][k] = (double)now[k];
                if (role == HRM_PUZZLE_TABLE) {
                    for (int id = 0; id < 4; id++)
                        for (int j = 0; j < 12; j++) {
                            double sum = 0;
                            int seen = 0;
                            for (int row = 0; row < ROWS; row++)
                                if (run->w.ids[row] == id) sum += (double)g[row * 12 + j], seen = 1;
                            double *x = &p[i][id * 12 + j];
                            if (seen) *x = *x * (1 - 0.0625 * 2) - 0.0625 * ((sum > 0) - (sum < 0));
                        }
                } else if (optimizer == HRM_MUON && strstr(t.name, ".layers.")) {
                    double *gd = (double *)calloc(n, sizeof *gd);
                    for (size_t k = 0; k < n; k++) gd[k] = (double)g[k] * factor;
                    own_muon(p[i], m[i], gd, (int)t.shape[0], (int)t.shape[1], (double)u.muon_lr, 0.25, 0.75, 3);
                    free(gd);
                } else {
                    double lr = (double)u.lr, b1 = (double)u.beta1, b2 = (double)u.beta2;
                    for (size_t k = 0; k < n; k++) {
                        double gk = (double)g[k] * factor;
                        m[i][k] = b1 * m[i][k] + (1 - b1) * gk, v[i][k] = b2 * v[i][k] + (1 - b2) * gk * gk;
                        double first = lr / (1 - pow(b1, step)), root = sqrt(v[i][k]) / sqrt(1 - pow(b2, step));
                        p[i][k] = p[i][k] * (1 - lr * 0.5) -
                                  first * (optimizer == HRM_ADAM_ATAN2 ? atan2(m[i][k], root)
                                                                       : m[i][k] / (root + (double)u.adam_eps));
                    }
                }
                free(now), free(g);
            }
            CHECK_OK(hrm_run_update(run, &u));
            for (int averaged = 0; averaged < 2; averaged++) {
                CHECK_OK(hrm_run_use_average(run, averaged));
                for (int i = 0; i < count; i++) {
                    size_t n = 0;
                    hrm_tensor t;
                    if (!p[i]) continue;
                    now = tensor_values(model, i, &n, &t);
                    double off = 0, size = 0;
                    for (size_t k = 0; k < n; k++) {
                        if (averaged) average[i][k] = 0.75 * average[i][k] + 0.25 * p[i][k];
                        double expected = averaged && i != table ? average[i][k] : p[i][k];
                        off += ((double)now[k] - expected) * ((double)now[k] - expected), size += expected * expected;
                    }
                    CHECK(sqrt(off) <= 3e-5 * sqrt(size) + 1e-7, "optimizer %d, clip %g, update %d: %s%s off by %.2e",
                          (int)optimizer, clip, step, averaged ? "the average of " : "", t.name,
                          sqrt(off / (size > 0 ? size : 1)));
                    free(now);
                }
            }
            CHECK_OK(hrm_run_use_average(run, 0));
        }
        CHECK(hrm_run_updates(run) == 2, "%d updates", (int)hrm_run_updates(run));
        for (int i = 0; i < MOST; i++) free(p[i]), free(m[i]), free(v[i]), free(average[i]);
        batch_free(&batch);
        hrm_run_destroy(run);
        hrm_model_destroy(model);
    }
    hrm_dataset_close(w.data);
}

/* ---- draws --------------------------------------------------------------------------------------------------------------- */
static void check_draws(void)
{
    /* Philox 4x32-10, by the vectors of its authors (Random123, kat_vectors) */
    uint32_t u[4];
    hrm__philox(u, 0, 0, 0);
    CHECK(u[0] == 0x6627e8d5 && u[1] == 0xe169c58d && u[2] == 0xbc57ac4c && u[3] == 0x9b00dbd8, "Philox of 0: %08x", u[0]);
    hrm__philox(u, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0);
    CHECK(u[0] == 0x408f276d && u[1] == 0x41c83b0e && u[2] == 0xa20bc7c6 && u[3] == 0x6d5451fd, "Philox of ones: %08x", u[0]);
    for (int i = 0; i <= 40; i++)
        for (int k = -40; k <= 40; k++) {
            double y = k * abs(k) * 0.01, x = i * 0.05;
            CHECK(fabs((double)hrm__atan2((hrm_real)y, (hrm_real)x) - (x > 0 || k ? atan2(y, x) : 0)) < 1e-6,
                  "the angle of %g, %g is %g", x, y, (double)hrm__atan2((hrm_real)y, (hrm_real)x));
        }
    hrm_step s;
    memset(&s, 0, sizeof s);
    s.start_noise = 0.5f, s.noise_seed = 3, s.copies = 4;
    for (uint32_t i = 0; i < 200; i++)
        for (int row = 0; row < 6; row++) { /* Box and Muller's, two of four words each */
            hrm__philox(u, 3, ((uint64_t)3 << 32) + (uint64_t)(row % 4), (uint64_t)1 << 32 | i / 4);
            double a = (u[i / 2 % 2 * 2] / 256 + 0.5) / 16777216, b = (double)(u[i / 2 % 2 * 2 + 1] / 256) / 16777216;
            double expected = 0.5 * sqrt(-2 * log(a)) * (i % 2 ? sin(2 * acos(-1.0) * b) : cos(2 * acos(-1.0) * b));
            double found = (double)hrm__start_noise(&s, row, 1, i);
            CHECK(fabs(found - expected) < 1e-5, "row %d, element %d starts %g off, expected %g", row, (int)i, found, expected);
        }
    memset(&s, 0, sizeof s);
    s.seed = 5, s.step = 3, s.dropout = 0.25f, s.halt_max_steps = 5, s.exploration = 0.5f;
    hrm_step later = s;
    later.first_row = 7;
    double sum = 0, zeros = 0;
    for (int i = 0; i < 4000; i++) {
        hrm_real a[4], b[4];
        hrm__dropout x = hrm__dropout_of(&s, 1, 2, i & 1, 7 + i % 50), y = hrm__dropout_of(&later, 1, 2, i & 1, i % 50);
        hrm__dropout_factors(a, &x, (uint64_t)i);
        hrm__dropout_factors(b, &y, (uint64_t)i);
        CHECK(memcmp(a, b, sizeof a) == 0, "row %d of a part draws otherwise than row %d of the batch", i % 50, 7 + i % 50);
        CHECK(hrm__exploration(&s, 7 + i % 50) == hrm__exploration(&later, i % 50), "row %d explores otherwise in a part",
              i % 50);
        for (int k = 0; k < 4; k++) sum += (double)a[k], zeros += a[k] == 0;
    }
    CHECK(fabs(sum / 16000 - 1) < 0.02 && fabs(zeros / 16000 - 0.25) < 0.015, "the mean of factors is %g, %g of them 0",
          sum / 16000, zeros / 16000);
    int seen[8] = {0};
    for (int step = 0; step < 4000; step++) {
        s.step = (uint64_t)step;
        int least = hrm__exploration(&s, step % 13);
        hrm__philox(u, 5, ((uint64_t)1 << 32) + (uint64_t)(step % 13), (uint64_t)step); /* as states of training count on */
        int expected = u[0] < 1u << 31 ? 2 + (int)((uint64_t)u[1] * 4 >> 32) : 0;
        CHECK(least == expected, "step %d: a row has to make %d segments, expected %d", step, least, expected);
        CHECK(least == 0 || (least >= 2 && least <= 5), "a row has to make %d segments", least);
        seen[least & 7]++;
    }
    CHECK(seen[0] > 1850 && seen[0] < 2150, "%d of 4000 rows do not explore", seen[0]);
    for (int k = 2; k <= 5; k++) CHECK(seen[k] > 400 && seen[k] < 600, "%d of 4000 make %d segments at least", seen[k], k);
}

/* ---- losses -------------------------------------------------------------------------------------------------------------- */
static double own_entropy(int softmax, const hrm_real *x, int label, double smoothing)
{
    double sum = 0, loss = 0;
    for (int j = 0; j < V; j++) sum += softmax ? exp((double)x[j]) : x[j] < 0 ? 1 / (1 - (double)x[j]) : (double)x[j] + 1;
    for (int j = 0; j < V; j++) {
        double p = (softmax ? exp((double)x[j]) : x[j] < 0 ? 1 / (1 - (double)x[j]) : (double)x[j] + 1) / sum;
        loss -= ((j == label ? 1 - smoothing : 0) + smoothing / V) * log(p);
    }
    return loss;
}

/* a row's q losses, weighed as they are trained by */
static double own_q(const double *q, const hrm_step *s, double exact, double target, double parts[3])
{
    double p[2] = {1 / (1 + exp(-q[0])), 1 / (1 + exp(-q[1]))}, t[2] = {exact, target};
    for (int i = 0; i < 2; i++)
        parts[i] = s->q_mse ? (p[i] - t[i]) * (p[i] - t[i]) : -t[i] * log(p[i]) - (1 - t[i]) * log(1 - p[i]);
    parts[2] = 1 / (1 + exp(q[0] - (s->no_continue ? 0 : q[1])));
    return (double)s->q_loss_weight * (parts[0] + (s->no_continue ? 0 : parts[1])) + (double)s->ponder_weight * parts[2];
}

static void check_losses(void)
{
    hrm_random r = hrm_random_make(6, 1);
    for (int how = 0; how < 200; how++) {
        hrm_real x[V], dx[V];
        double smoothing = how % 3 ? 0.2 : 0;
        int softmax = how & 1, label = how % V, correct, labelled;
        const int32_t labels[1] = {label};
        for (int j = 0; j < V; j++) x[j] = (hrm_real)(4 * hrm_random_uniform(&r) - 2);
        hrm_loss_type type = softmax ? HRM_SOFTMAX_CROSS_ENTROPY : HRM_STABLEMAX_CROSS_ENTROPY;
        double loss = hrm_cross_entropy_smoothed(type, smoothing, dx, x, labels, 1, V, 0.5, &correct, &labelled);
        CHECK(fabs(loss - own_entropy(softmax, x, label, smoothing)) < 1e-6, "cross entropy %g, expected %g", loss,
              own_entropy(softmax, x, label, smoothing));
        for (int j = 0; j < V; j++) {
            hrm_real kept = x[j];
            x[j] = kept + (hrm_real)1e-2;
            double up = own_entropy(softmax, x, label, smoothing);
            x[j] = kept - (hrm_real)1e-2;
            double slope = (up - own_entropy(softmax, x, label, smoothing)) / 2e-2;
            x[j] = kept;
            CHECK(fabs(slope * 0.5 - (double)dx[j]) < 2e-3, "its gradient is %g, expected %g", (double)dx[j], slope * 0.5);
        }

        hrm_step s;
        double sums[HRM_METRIC_SUMS], parts[3], q[2], target = 0;
        hrm_real dq[2], target_q = 0, given[2], ahead[2];
        memset(&s, 0, sizeof s);
        s.halt_max_steps = 4, s.q_mse = how >> 1 & 1, s.no_continue = how >> 2 & 1, s.loss_scale = 0.125f;
        s.q_loss_weight = 0.75f, s.ponder_weight = how % 5 ? 0.5f : 0;
        for (int i = 0; i < 2; i++) {
            given[i] = (hrm_real)(4 * hrm_random_uniform(&r) - 2), ahead[i] = (hrm_real)(4 * hrm_random_uniform(&r) - 2);
            q[i] = (double)given[i];
        }
        int steps = 1 + how % 4, right = how % 7 ? 3 : 5, halted = how >> 3 & 1;
        hrm__row_losses(sums, dq, &target_q, &s, 1, given, ahead, steps, halted, 5, right, loss);
        double best = steps >= 4 || ahead[0] > ahead[1] ? (double)ahead[0] : (double)ahead[1];
        if (!s.no_continue) target = 1 / (1 + exp(-best));
        own_q(q, &s, right == 5, target, parts);
        CHECK(s.no_continue || fabs((double)target_q - target) < 1e-6, "q_continue's target is %g, expected %g",
              (double)target_q, target);
        CHECK(fabs(sums[HRM_M_Q_HALT_LOSS] - parts[0]) < 1e-6 &&
                  fabs(sums[HRM_M_Q_CONTINUE_LOSS] - (s.no_continue ? 0 : parts[1])) < 1e-6 &&
                  fabs(sums[HRM_M_PONDER_LOSS] - (s.ponder_weight > 0 ? parts[2] : 0)) < 1e-6,
              "losses of q %g, %g, %g", sums[HRM_M_Q_HALT_LOSS], sums[HRM_M_Q_CONTINUE_LOSS], sums[HRM_M_PONDER_LOSS]);
        CHECK(sums[HRM_M_ROWS] == 1 && sums[HRM_M_COUNT] == halted && sums[HRM_M_STEPS] == (halted ? steps : 0) &&
                  sums[HRM_M_EXACT] == (halted && right == 5) &&
                  sums[HRM_M_Q_HALT_ACCURACY] == (halted && (q[0] >= 0) == (right == 5)),
              "a row of %d steps is counted as %g", steps, sums[HRM_M_STEPS]);
        for (int i = 0; i < 2; i++) {
            double at[2] = {q[0], q[1]}, up, down;
            at[i] = q[i] + 1e-4, up = own_q(at, &s, right == 5, target, parts);
            at[i] = q[i] - 1e-4, down = own_q(at, &s, right == 5, target, parts);
            CHECK(fabs((up - down) / 2e-4 * 0.125 - (double)dq[i]) < 1e-5,
                  "case %d: the gradient of q %d is %g, expected %g", how, i, (double)dq[i], (up - down) / 2e-4 * 0.125);
        }
    }
}

/* ---- halting and the carry ----------------------------------------------------------------------------------------------- */
static void check_carry(void)
{
    enum { B = 3, M = 3 };
    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    hrm_batch batch;
    hrm_random r = hrm_random_make(1, 2);
    hrm_run_outputs out;
    hrm_metrics m = {0};
    int32_t steps[B], halted[B], least[B] = {1, 2, 9}, predictions[B * 6];
    hrm_real q_halt[B], q_continue[B];
    memset(&rd, 0, sizeof rd), memset(&out, 0, sizeof out);
    d.halt_max_steps = M;
    rd.rows = B, rd.train = 1;
    CHECK_OK(hrm_model_create(&model, &d));
    int at = hrm_model_tensor_find(model, "inner.q_head.bias");
    const hrm_real halt[2] = {4, -4};
    CHECK_OK(hrm_model_tensor_write(model, at, halt)); /* every row wants to halt */
    CHECK_OK(hrm_run_create(&run, model, &rd));
    if (!run) exit(test_summary());
    batch_make(&batch, B, 6);
    out.steps = steps, out.halted = halted, out.predictions = predictions, out.q_halt = q_halt, out.q_continue = q_continue;
    static const int expected[7][B] = {{1, 1, 1}, {1, 2, 2}, {1, 1, 3}, {1, 2, 4}, {1, 1, 5}, {1, 2, 6}, {1, 1, 7}};
    int32_t held[B * 6], labels[B * 6], stopped[B] = {1, 1, 1};
    for (int segment = 0; segment < 7; segment++) {
        double count = 0, sum = 0, exact = 0;
        batch_draw(&batch, &d, &r);
        for (int i = 0; i < B * 6; i++)
            if (stopped[i / 6]) held[i] = batch.inputs[i], labels[i] = batch.labels[i];
        CHECK_OK(hrm_run_segment(run, &batch, least));
        CHECK_OK(hrm_run_read(run, &out));
        CHECK_OK(hrm_run_metrics(run, &m));
        for (int i = 0; i < B; i++) {
            /* 9 segments are asked of the last row, of which M are not the end */
            CHECK(steps[i] == expected[segment][i] && halted[i] == (steps[i] >= least[i]),
                  "segment %d, row %d: step %d, halted %d", segment, i, (int)steps[i], (int)halted[i]);
            CHECK(memcmp(run->w.inputs + i * 6, held + i * 6, 6 * sizeof *held) == 0 &&
                      memcmp(run->w.labels + i * 6, labels + i * 6, 6 * sizeof *held) == 0,
                  "segment %d, row %d works on another puzzle", segment, i);
            for (int j = 0; j < 6 * 8; j++) { /* the embedded input: two positions of the puzzle's own, then the tokens */
                double row = (double)model->params[model->at.embed_tokens + (size_t)(held[i * 6 + j / 8] * 8 + j % 8)];
                double e = (double)((const hrm_real *)run->w.e)[(i * 8 + 2) * 8 + j];
                CHECK(fabs(e - sqrt(8.0) * row) < 1e-5, "row %d, element %d is embedded as %g, expected %g", i, j, e,
                      sqrt(8.0) * row);
            }
            int right = 0, labelled = 0;
            for (int t = 0; t < 6; t++)
                if (labels[i * 6 + t] != -100) labelled++, right += predictions[i * 6 + t] == labels[i * 6 + t];
            if (halted[i] && labelled) count++, sum += steps[i], exact += right == labelled;
            stopped[i] = halted[i];
        }
        CHECK(m.count == count && fabs(m.steps * count - sum) < 1e-9 && fabs(m.exact_accuracy * count - exact) < 1e-9,
              "segment %d: %g rows counted, %g steps", segment, m.count, m.steps);
    }
    /* and when none wants to: at the last segment, not before and not after */
    const hrm_real stay[2] = {-4, 4};
    const int32_t none[B] = {0, 0, 0};
    CHECK_OK(hrm_model_tensor_write(model, at, stay));
    CHECK_OK(hrm_run_reset(run));
    for (int segment = 1; segment <= 2 * M; segment++) {
        CHECK_OK(hrm_run_segment(run, &batch, none));
        CHECK_OK(hrm_run_read(run, &out));
        for (int i = 0; i < B; i++)
            CHECK(steps[i] == (segment - 1) % M + 1 && halted[i] == (steps[i] == M), "segment %d, row %d: step %d, halted %d",
                  segment, i, (int)steps[i], (int)halted[i]);
    }
    batch_free(&batch);
    hrm_run_destroy(run);
    hrm_model_destroy(model);
}

/* A trainer that clips takes the steps of a loop of one's own that does. */
static void check_clipped(void)
{
    enum { ROWS = 4 };
    world w;
    hrm_model *model[2] = {NULL, NULL};
    hrm_trainer *t = NULL;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    hrm_train_desc td;
    hrm_update_desc u;
    hrm_batch batch;
    hrm_position position;
    hrm_model_desc d = small_desc();
    world_open(&w);
    memset(&rd, 0, sizeof rd), memset(&td, 0, sizeof td), memset(&u, 0, sizeof u), memset(&position, 0, sizeof position);
    d.vocab_size = V;
    td.steps = 4, td.batch_size = ROWS, td.lr = 1e-2f, td.no_warmup = td.no_weight_decay = 1, td.seed = 2, td.grad_clip = 0.03f;
    rd.rows = ROWS, rd.train = rd.update = 1, rd.seed = 2;
    u.lr = u.puzzle_emb_lr = 1e-2f, u.beta1 = 0.9f, u.beta2 = 0.95f, u.puzzle_emb_weight_decay = 0.1f, u.grad_clip = 0.03f;
    for (int k = 0; k < 2; k++) {
        CHECK_OK(hrm_model_create(&model[k], &d));
        model_decide(model[k], 8);
    }
    td.optimizer = rd.optimizer = HRM_ADAMW, td.adam_eps = u.adam_eps = 0.1f; /* so that the gradient's size tells */
    CHECK_OK(hrm_trainer_create(&t, model[0], &td));
    CHECK_OK(hrm_run_create(&run, model[1], &rd));
    if (!t || !run) exit(test_summary());
    batch_make(&batch, ROWS, T);
    for (int step = 0; step < 4; step++) {
        hrm_metrics m;
        double norm = 0;
        CHECK_OK(hrm_trainer_step(t, w.data, &m));
        CHECK_OK(hrm_dataset_next(w.data, &position, 2, 1, &batch, NULL));
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        CHECK_OK(hrm_run_backward(run));
        CHECK_OK(hrm_run_gradient_norm(run, &norm));
        CHECK(norm > 0.04 && fabs(m.grad_norm - norm) < 1e-5 * norm, "step %d: norm %g, a trainer's %g", step, norm,
              m.grad_norm);
        CHECK_OK(hrm_run_update(run, &u));
    }
    CHECK(models_equal(model[0], model[1]), "a trainer that clips goes another way");
    batch_free(&batch);
    hrm_run_destroy(run);
    hrm_trainer_destroy(t);
    hrm_model_destroy(model[0]), hrm_model_destroy(model[1]);
    hrm_dataset_close(w.data);
}

/* A batch gathered ahead of another data set is not taken for this one's, though it stands at the same position. */
static void check_other_data(void)
{
    world w[2];
    hrm_metrics m[2];
    hrm_model *model[2] = {NULL, NULL};
    world_open(&w[0]), world_open(&w[1]);
    for (int i = 0; i < EXAMPLES * T; i++) w[1].inputs[i] = (uint8_t)((w[1].inputs[i] + 1) % V);
    memset(m, 0, sizeof m);
    for (int ahead = 0; ahead < 2; ahead++) {
        hrm_model_desc d = small_desc();
        hrm_train_desc td;
        hrm_trainer *t = NULL;
        memset(&td, 0, sizeof td);
        d.vocab_size = V;
        td.steps = 9, td.batch_size = 4, td.lr = 1e-2f, td.seed = 2, td.gather_ahead = ahead ? 1 : -1;
        CHECK_OK(hrm_model_create(&model[ahead], &d));
        CHECK_OK(hrm_trainer_create(&t, model[ahead], &td));
        for (int step = 0; t && step < 9; step++) CHECK_OK(hrm_trainer_step(t, w[step / 2 % 2].data, &m[ahead]));
        hrm_trainer_destroy(t);
    }
    CHECK(memcmp(&m[0], &m[1], sizeof m[0]) == 0 && models_equal(model[0], model[1]), "gathered ahead: loss %g, expected %g",
          m[1].lm_loss, m[0].lm_loss);
    hrm_model_destroy(model[0]), hrm_model_destroy(model[1]);
    hrm_dataset_close(w[0].data), hrm_dataset_close(w[1].data);
}

/* Of the puzzle table each row has a gradient: added to while it keeps its identifier, from 0 with another. */
static void check_puzzle_rows(void)
{
    enum { B = 2, N = 12 };
    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    hrm_batch batch;
    hrm_random r = hrm_random_make(1, 2);
    hrm_real once[B * N], after[B * N];
    const int32_t never[B] = {9, 9};
    memset(&rd, 0, sizeof rd);
    rd.rows = B, rd.train = 1;
    d.halt_max_steps = 1; /* every row takes the batch's each time */
    CHECK_OK(hrm_model_create(&model, &d));
    model_decide(model, 4);
    CHECK_OK(hrm_run_create(&run, model, &rd));
    if (!run) exit(test_summary());
    int table = hrm_model_tensor_find(model, "inner.puzzle_emb.weights");
    batch_make(&batch, B, 6);
    batch_draw(&batch, &d, &r);
    batch.puzzle_identifiers[0] = 1, batch.puzzle_identifiers[1] = 2;
    CHECK_OK(hrm_run_segment(run, &batch, never));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_gradient(run, table, once));
    batch.puzzle_identifiers[1] = 3;
    CHECK_OK(hrm_run_segment(run, &batch, never));
    CHECK_OK(hrm_run_gradient(run, table, after));
    for (int i = 0; i < N; i++)
        CHECK(once[i] != 0 && after[i] == once[i] && once[N + i] != 0 && after[N + i] == 0,
              "element %d: %g, then %g; %g, then %g", i, (double)once[i], (double)after[i], (double)once[N + i],
              (double)after[N + i]);
    batch_free(&batch);
    hrm_run_destroy(run);
    hrm_model_destroy(model);
}

/* A trainer's average is of the weights it began with and of those after every step. */
static void check_average(void)
{
    world w;
    world_open(&w);
    for (int from = 0; from < 3; from++) {
        hrm_model_desc d = small_desc();
        hrm_train_desc td;
        hrm_model *model = NULL;
        hrm_trainer *t = NULL;
        memset(&td, 0, sizeof td);
        d.vocab_size = V;
        td.steps = 5, td.batch_size = 4, td.lr = 1e-2f, td.no_warmup = 1, td.ema = 1, td.ema_rate = 0.75f, td.ema_from = from;
        CHECK_OK(hrm_model_create(&model, &d));
        CHECK_OK(hrm_trainer_create(&t, model, &td));
        if (!t) exit(test_summary());
        size_t n = model->at.trained;
        double *average = (double *)malloc(n * sizeof *average);
        for (size_t i = 0; i < n; i++) average[i] = (double)model->params[i];
        for (int step = 1; step <= 5; step++) {
            double off = 0;
            CHECK_OK(hrm_trainer_step(t, w.data, NULL));
            for (size_t i = 0; i < n; i++)
                average[i] = step <= from ? (double)model->params[i] : 0.75 * average[i] + 0.25 * (double)model->params[i];
            CHECK_OK(hrm_trainer_use_average(t, 1));
            for (size_t i = 0; i < n; i++) off = fmax(off, fabs(average[i] - (double)model->params[i]));
            CHECK_OK(hrm_trainer_use_average(t, 0));
            CHECK(off < 1e-6, "from %d, step %d: the average is off by %g", from, step, off);
        }
        free(average);
        hrm_trainer_destroy(t);
        hrm_model_destroy(model);
    }
    hrm_dataset_close(w.data);
}

/* ---- resuming ------------------------------------------------------------------------------------------------------------ */
/* A training stopped, and gone on with by another trainer, ends in a state of the same bytes, wherever it was stopped. */
static void check_resume(void)
{
    enum { STEPS = 14 };
    const char *paths[3] = {own_file("a"), own_file("b"), own_file("c")};
    world w;
    world_open(&w);
    for (int how = 0; how < 5; how++) /* the last in float16, as a device would */
        for (int stop = 3; stop <= 9; stop += 3) {
            hrm_model_desc d = small_desc();
            hrm_train_desc td;
            hrm_model *model[2] = {NULL, NULL};
            hrm_trainer *t[2] = {NULL, NULL};
            hrm_metrics m[2];
            hrm_file_map map[2];
            memset(&td, 0, sizeof td), memset(m, 0, sizeof m);
            d.vocab_size = V, d.halt_exploration_prob = 0.5f, d.dropout = how == 1 ? 0.2f : 0;
            td.steps = STEPS, td.batch_size = 6, td.seed = 21, td.lr = 1e-2f, td.epochs_per_iter = 1 + how, td.ema = how != 2;
            td.ema_rate = 0.5f, td.optimizer = how < 3 ? (hrm_optimizer)how : HRM_ADAM_ATAN2;
            td.grad_accumulation = how == 1 ? 3 : 1, td.gather_ahead = how & 1 ? 1 : -1;
            if (how == 4) d.device = HRM_CUDA, d.device_table = hrm_cpu_device(), d.forward_dtype = HRM_FORWARD_FLOAT16;
            td.loss_scale_growth_interval = 5;
            for (int k = 0; k < 2; k++) {
                d.seed = (uint64_t)(5 + k); /* the state brings its own weights */
                CHECK_OK(hrm_model_create(&model[k], &d));
                model_decide(model[k], 6 + (uint64_t)k);
                CHECK_OK(hrm_trainer_create(&t[k], model[k], &td));
                if (!t[k]) exit(test_summary());
            }
            hrm_position passed;
            hrm_batch none; /* only the position moves */
            memset(&passed, 0, sizeof passed), memset(&none, 0, sizeof none);
            none.rows = 6;
            for (int step = 1; step <= STEPS; step++) {
                CHECK_OK(hrm_trainer_step(t[0], w.data, &m[0]));
                CHECK_OK(hrm_dataset_next(w.data, &passed, td.seed, td.epochs_per_iter, &none, NULL));
                if (step == stop) {
                    CHECK_OK(hrm_trainer_save(t[0], paths[0], NULL, 0));
                    CHECK_OK(hrm_trainer_load(t[1], paths[0]));
                    if (how == 0) { /* not with another seed: its data would come in another order */
                        hrm_trainer *other = NULL;
                        hrm_train_desc another = td;
                        another.seed = 22;
                        CHECK_OK(hrm_trainer_create(&other, model[1], &another));
                        CHECK_FAILS(hrm_trainer_load(other, paths[0]), HRM_ERR_ARGUMENT, "the run's seed is 21 there, 22 here");
                        hrm_trainer_destroy(other);
                    }
                    CHECK_OK(hrm_trainer_save(t[1], paths[1], NULL, 0)); /* nothing is lost on the way */
                    CHECK(hrm_trainer_steps_done(t[1]) == stop, "%d steps done", (int)hrm_trainer_steps_done(t[1]));
                }
                if (step > stop) {
                    CHECK_OK(hrm_trainer_step(t[1], w.data, &m[1]));
                    CHECK(memcmp(&m[0], &m[1], sizeof m[0]) == 0,
                          "training %d stopped at %d: step %d: loss %.9g, expected %.9g", how, stop, step, m[1].lm_loss,
                          m[0].lm_loss);
                }
                hrm_position p = hrm_trainer_position(t[0]), q = hrm_trainer_position(t[1]);
                if (step >= stop) CHECK(memcmp(&p, &q, sizeof p) == 0, "step %d: another position", step);
                CHECK(memcmp(&p, &passed, sizeof p) == 0, "step %d: a trainer's position is not that of its batches", step);
            }
            CHECK_OK(hrm_trainer_save(t[0], paths[2], NULL, 0));
            CHECK_OK(hrm_file_map_open(&map[0], paths[2]));
            CHECK_OK(hrm_trainer_save(t[1], paths[1], NULL, 0));
            CHECK_OK(hrm_file_map_open(&map[1], paths[1]));
            CHECK(map[0].size == map[1].size && memcmp(map[0].data, map[1].data, map[0].size) == 0,
                  "training %d stopped at %d ends in another state", how, stop);
            hrm_file_map_close(&map[0]), hrm_file_map_close(&map[1]);
            if (td.ema)
                for (int k = 0; k < 2; k++) CHECK_OK(hrm_trainer_use_average(t[k], 1));
            CHECK(models_equal(model[0], model[1]), "training %d stopped at %d: averages differ", how, stop);
            for (int k = 0; k < 2; k++) hrm_trainer_destroy(t[k]), hrm_model_destroy(model[k]);
        }
    for (int k = 0; k < 3; k++) remove(paths[k]);
    hrm_dataset_close(w.data);
}

/* The scale of a float16 loss: half after an update that is skipped, down to 2^-14, twice after as many good ones as are asked
 * for; the bias correction counts what was made. */
static void check_scaling(void)
{
    hrm_scaling x = {1024, 0, 0, 0};
    hrm_step s;
    hrm_random r = hrm_random_make(8, 1);
    double scale = 1024;
    int good = 0, made = 0, skipped = 0;
    memset(&s, 0, sizeof s);
    s.beta1 = 0.75f, s.beta2 = 0.875f, s.growth_interval = 3;
    for (int i = 1; i <= 200; i++) {
        int over = i > 100 ? i < 160 : hrm_random_below(&r, 4) == 0;
        int32_t bad = 0;
        s.attempt = (uint64_t)i, x.skip = over;
        hrm__scaling_next(&x, &s, &bad);
        CHECK((x.skip != 0) == over, "update %d is skipped: %d", i, (int)x.skip);
        made += !over, skipped += over, good = over ? 0 : good + 1;
        if (over && scale / 2 < (double)HRM_LOSS_SCALE_LEAST) CHECK(bad == 2, "update %d overflows at any scale", i);
        else CHECK(!bad, "update %d is refused", i);
        if (over && !bad) scale /= 2;
        if (good == 3) scale *= 2, good = 0;
        CHECK(fabs((double)x.scale - scale) <= 0 && x.good == good && x.skipped == skipped,
              "update %d: scale %g after %d good ones, expected %g and %d", i, (double)x.scale, (int)x.good, scale, good);
        if (!over)
            CHECK(near(s.bias1, 1 - pow(0.75, made)) && near(s.bias2, sqrt(1 - pow(0.875, made))),
                  "update %d, %d of them made: bias corrections %g and %g", i, made, (double)s.bias1, (double)s.bias2);
    }
    const float nan = (float)atof("nan");
    for (int k = 0; k < 2; k++) { /* what is no number stays none */
        hrm_real p = 1, m = 0, v = 0;
        m = k ? nan : m, v = k ? v : nan;
        hrm__adam_atan2_element(&p, &m, &v, (hrm_real)0.5, 1, (hrm_real)0.1, (hrm_real)0.9, (hrm_real)0.95, 1);
        CHECK(p != p, "an update with NaN %s makes %g", k ? "for its mean" : "for its square", (double)p);
    }
}

/* A batch in parts is the batch. */
static void check_parts(void)
{
    world w;
    hrm_metrics m[2];
    hrm_model *model[2] = {NULL, NULL};
    memset(m, 0, sizeof m);
    world_open(&w);
    for (int k = 0; k < 2; k++) {
        hrm_model_desc d = small_desc();
        hrm_train_desc td;
        hrm_trainer *t = NULL;
        memset(&td, 0, sizeof td);
        d.vocab_size = V, d.halt_exploration_prob = 0.5f, d.dropout = 0.25f, d.halt_max_steps = 3;
        td.steps = 8, td.batch_size = 6, td.seed = 2, td.lr = 1e-3f, td.no_warmup = 1, td.grad_clip = 100;
        td.grad_accumulation = k ? 3 : 1;
        CHECK_OK(hrm_model_create(&model[k], &d));
        model_decide(model[k], 8);
        CHECK_OK(hrm_trainer_create(&t, model[k], &td));
        for (int i = 0; t && i < 8; i++) CHECK_OK(hrm_trainer_step(t, w.data, &m[k]));
        hrm_trainer_destroy(t);
    }
    CHECK(m[0].count == m[1].count && m[0].rows == 6 && m[1].rows == 6 && m[0].steps == m[1].steps &&
              fabs(m[0].lm_loss - m[1].lm_loss) < 1e-4 * m[0].lm_loss &&
              fabs(m[0].grad_norm - m[1].grad_norm) < 1e-3 * m[0].grad_norm &&
              fabs(m[0].q_continue_loss - m[1].q_continue_loss) < 1e-3,
          "in parts: loss %g and %g, norm %g and %g, %g and %g rows counted", m[0].lm_loss, m[1].lm_loss, m[0].grad_norm,
          m[1].grad_norm, m[0].count, m[1].count);
    for (int i = 0; i < hrm_model_tensor_count(model[0]); i++) {
        size_t n = 0;
        hrm_tensor t;
        hrm_real *a = tensor_values(model[0], i, &n, &t), *b = tensor_values(model[1], i, &n, NULL);
        CHECK(relative_error(a, b, n) < 1e-3, "in parts %s is off by %.2e", t.name, relative_error(a, b, n));
        free(a), free(b);
    }
    hrm_model_destroy(model[0]), hrm_model_destroy(model[1]);
    hrm_dataset_close(w.data);
}

int main(void)
{
    check_draws();
    check_order();
    check_steps();
    check_losses();
    check_carry();
    check_puzzle_rows();
    check_updates();
    check_average();
    check_clipped();
    check_other_data();
    check_parts();
    check_resume();
    check_scaling();
    return test_summary();
}
