/* Adaptive computation, the schedule, the optimizers, and the trainer as the loop over public parts that it is. */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

static hrm_model *model_with_q(hrm_model_desc desc, double q_halt, double q_continue)
{
    /* every row's q values are these: the q head's weights are 0 as initialised */
    hrm_model *model = NULL;
    CHECK_OK(hrm_model_create(&model, &desc));
    if (!model) return NULL;
    hrm_real bias[2];
    bias[0] = (hrm_real)q_halt, bias[1] = (hrm_real)q_continue;
    CHECK_OK(hrm_model_tensor_write(model, hrm_model_tensor_find(model, "inner.q_head.bias"), bias));
    return model;
}

static hrm_run *open_run(hrm_model *model, int rows, int train, uint64_t seed)
{
    hrm_run_desc rd;
    hrm_run *run = NULL;
    memset(&rd, 0, sizeof rd);
    rd.rows = rows, rd.train = train, rd.seed = seed;
    CHECK_OK(hrm_run_create(&run, model, &rd));
    return run;
}

static void read_steps(const hrm_run *run, int32_t *steps, int32_t *halted)
{
    hrm_run_outputs out;
    memset(&out, 0, sizeof out);
    out.steps = steps, out.halted = halted;
    CHECK_OK(hrm_run_read(run, &out));
}

/* A row that always wants to halt goes on only when exploration says so: at its k-th segment with probability
 * p (M - k) / (M - 1), the chance of a drawn minimum in 2..M above k. */
static void check_exploration(void)
{
    enum { ROWS = 64, SEGMENTS = 400, M = 4 };
    hrm_model_desc d = small_desc();
    d.no_puzzle_emb = 1, d.puzzle_emb_ndim = 0, d.seq_len = 2;
    d.H_cycles = d.L_cycles = 1;
    d.halt_max_steps = M;
    d.halt_exploration_prob = 0.4f;
    hrm_model *model = model_with_q(d, 3, -3);
    hrm_batch batch;
    hrm_random r = hrm_random_make(8, 8);
    batch_make(&batch, ROWS, d.seq_len);
    batch_draw(&batch, hrm_model_describe(model), &r);
    hrm_run *runs[3] = {open_run(model, ROWS, 1, 10), open_run(model, ROWS, 1, 10), open_run(model, ROWS, 1, 11)};
    double seen[M + 1] = {0}, went_on[M + 1] = {0}, neighbours = 0, both = 0, singles = 0;
    int same_seed_differs = 0, other_seed_differs = 0;
    for (int s = 0; s < SEGMENTS && runs[0]; s++) {
        int32_t steps[3][ROWS], halted[3][ROWS];
        for (int k = 0; k < 3; k++) {
            CHECK_OK(hrm_run_segment(runs[k], &batch, NULL));
            read_steps(runs[k], steps[k], halted[k]);
        }
        same_seed_differs |= memcmp(halted[0], halted[1], sizeof halted[0]) != 0;
        other_seed_differs |= memcmp(halted[0], halted[2], sizeof halted[0]) != 0;
        for (int i = 0; i < ROWS; i++) {
            if (steps[0][i] < 1 || steps[0][i] > M) {
                CHECK(0, "row %d is at step %d", i, (int)steps[0][i]);
                continue;
            }
            seen[steps[0][i]] += 1;
            went_on[steps[0][i]] += !halted[0][i];
            if (i + 1 < ROWS && steps[0][i] == 1 && steps[0][i + 1] == 1) {
                neighbours += 1;
                singles += !halted[0][i];
                both += !halted[0][i] && !halted[0][i + 1];
            }
        }
    }
    for (int k = 1; k <= M; k++) {
        double p = (double)0.4f * (M - k) / (M - 1), sigma = sqrt(p * (1 - p) / seen[k]);
        CHECK(fabs(went_on[k] / seen[k] - p) <= 4.5 * sigma + 1e-12, "segment %d: %g of %g rows explored, expected %.4f", k,
              went_on[k], seen[k], p);
    }
    CHECK(fabs(both / neighbours - (singles / neighbours) * 0.4) < 4.5 * sqrt(0.16 / neighbours),
          "neighbouring rows explore together: %g of %g", both, neighbours);
    CHECK(!same_seed_differs, "one seed, two explorations");
    CHECK(other_seed_differs, "two seeds, one exploration");
    for (int k = 0; k < 3; k++) hrm_run_destroy(runs[k]);
    hrm_model_destroy(model);
    batch_free(&batch);

    /* the draws themselves, as 0.1.0 made them: a training stopped by one version goes on by the next */
    static const int known[2][12] = {
        {12, 3, 3, 2, 11, 0, 0, 0, 3, 0, 13, 0},
        {8, 11, 2, 7, 10, 11, 0, 16, 12, 9, 14, 0}};
    hrm_step step;
    memset(&step, 0, sizeof step);
    step.seed = 12345, step.halt_max_steps = 16, step.exploration = 0.5f;
    for (int i = 0; i < 24; i++) {
        step.step = (uint64_t)(1 + i / 12);
        CHECK(hrm__exploration(&step, i % 12) == known[i / 12][i % 12], "step %d, row %d: at least %d segments, expected %d",
              1 + i / 12, i % 12, (int)hrm__exploration(&step, i % 12), known[i / 12][i % 12]);
    }
}

/* When rows halt, without chance: the strict comparison, the maximum, given minima, evaluation. */
static void check_halting(void)
{
    enum { ROWS = 3 };
    static const struct { double q_halt, q_continue; int train, max_steps, halts_at; const char *what; } cases[] = {
        {3, -3, 1, 4, 1, "q_halt above q_continue halts at once"},
        {-3, 3, 1, 4, 4, "q_halt below q_continue runs to the maximum"},
        {1, 1, 1, 4, 4, "equal q values do not halt"},
        {3, -3, 0, 4, 4, "evaluation runs all segments"},
        {-3, 3, 1, 1, 1, "a maximum of one segment halts every time"},
    };
    hrm_batch batch;
    hrm_random r = hrm_random_make(8, 9);
    hrm_model_desc d = small_desc();
    batch_make(&batch, ROWS, d.seq_len);
    batch_draw(&batch, &d, &r);
    for (size_t c = 0; c < HRM__COUNT(cases); c++) {
        d = small_desc();
        d.no_halt_exploration = 1;
        d.halt_max_steps = cases[c].max_steps;
        hrm_model *model = model_with_q(d, cases[c].q_halt, cases[c].q_continue);
        hrm_run *run = open_run(model, ROWS, cases[c].train, 1);
        for (int s = 0; s < 9 && run; s++) {
            int32_t steps[ROWS], halted[ROWS];
            CHECK_OK(hrm_run_segment(run, &batch, NULL));
            read_steps(run, steps, halted);
            int expected = s % cases[c].halts_at + 1;
            for (int i = 0; i < ROWS; i++)
                CHECK(steps[i] == expected && halted[i] == (expected == cases[c].halts_at),
                      "%s: segment %d: steps %d halted %d", cases[c].what, s, (int)steps[i], (int)halted[i]);
        }
        if (cases[c].max_steps == 1) {
            hrm_metrics m;
            CHECK_OK(hrm_run_metrics(run, &m));
            CHECK(fabs(m.q_continue_loss) <= 0, "with one segment there is nothing to continue to, loss %g", m.q_continue_loss);
        }
        hrm_run_destroy(run);
        hrm_model_destroy(model);
    }
    d = small_desc(); /* minima as given; the maximum wins over them */
    hrm_model *model = model_with_q(d, 3, -3);
    hrm_run *run = open_run(model, ROWS, 1, 1);
    const int32_t minima[ROWS] = {0, 3, 4};
    static const int halts[4][ROWS] = {{1, 0, 0}, {1, 0, 0}, {1, 1, 0}, {1, 0, 1}};
    for (int s = 0; s < 4 && run; s++) {
        int32_t steps[ROWS], halted[ROWS];
        CHECK_OK(hrm_run_segment(run, &batch, minima));
        read_steps(run, steps, halted);
        for (int i = 0; i < ROWS; i++)
            CHECK(halted[i] == halts[s][i], "given minimum %d, segment %d: halted %d", (int)minima[i], s, (int)halted[i]);
    }
    hrm_run_destroy(run);
    hrm_model_destroy(model);
    batch_free(&batch);
}

/* Rows still running keep their own puzzle and drop the one offered; rows that halted start anew, whatever was before. */
static void check_carry(void)
{
    enum { ROWS = 3 };
    hrm_model_desc d = small_desc();
    d.no_halt_exploration = 1;
    hrm_model *model = model_with_q(d, 3, -3); /* halts as soon as the given minimum allows */
    if (!model) return;
    size_t per_row = (size_t)d.seq_len * (size_t)d.vocab_size;
    hrm_batch one, two;
    hrm_random r = hrm_random_make(8, 10);
    batch_make(&one, ROWS, d.seq_len);
    batch_make(&two, ROWS, d.seq_len);
    batch_draw(&one, hrm_model_describe(model), &r);
    batch_draw(&two, hrm_model_describe(model), &r);
    const int32_t minima[ROWS] = {4, 0, 4}; /* the middle row halts at once, the others run on */
    hrm_run *a = open_run(model, ROWS, 1, 1), *b = open_run(model, ROWS, 1, 1), *fresh = open_run(model, ROWS, 1, 1);
    hrm_real *la = (hrm_real *)malloc(3 * ROWS * per_row * sizeof *la), *lb = la + ROWS * per_row, *lf = lb + ROWS * per_row;
    CHECK_OK(hrm_run_segment(a, &one, minima));
    CHECK_OK(hrm_run_segment(b, &one, minima));
    CHECK_OK(hrm_run_segment(a, &two, minima)); /* other puzzles offered */
    CHECK_OK(hrm_run_segment(b, &one, minima));
    CHECK_OK(hrm_run_segment(fresh, &two, minima));
    hrm_run_outputs out;
    memset(&out, 0, sizeof out);
    out.logits = la;
    CHECK_OK(hrm_run_read(a, &out));
    out.logits = lb;
    CHECK_OK(hrm_run_read(b, &out));
    out.logits = lf;
    CHECK_OK(hrm_run_read(fresh, &out));
    for (size_t i = 0; i < ROWS; i += 2)
        CHECK(memcmp(la + i * per_row, lb + i * per_row, per_row * sizeof *la) == 0,
              "a running row took the puzzle offered to it");
    CHECK(memcmp(la + per_row, lf + per_row, per_row * sizeof *la) == 0, "a row that had halted did not start anew");
    CHECK(memcmp(la + per_row, lb + per_row, per_row * sizeof *la) != 0, "a row that had halted did not take the new puzzle");
    CHECK_OK(hrm_run_reset(a)); /* halted everywhere again */
    CHECK_OK(hrm_run_segment(a, &two, minima));
    out.logits = la;
    CHECK_OK(hrm_run_read(a, &out));
    CHECK(memcmp(la, lf, ROWS * per_row * sizeof *la) == 0, "a run that was reset is not as new");
    free(la);
    hrm_run_destroy(a);
    hrm_run_destroy(b);
    hrm_run_destroy(fresh);
    hrm_model_destroy(model);
    batch_free(&one);
    batch_free(&two);
}

/* The states that are read are those that the heads have read. */
static void check_states(void)
{
    enum { ROWS = 2 };
    hrm_model_desc d = small_desc();
    hrm_model *model = model_with_q(d, 0.5, -0.5);
    const hrm_model_desc *r = hrm_model_describe(model);
    size_t D = (size_t)r->hidden_size, T = (size_t)r->seq_len, V = (size_t)r->vocab_size;
    size_t P = ((size_t)r->puzzle_emb_ndim + D - 1) / D, S = P + T;
    hrm_run *run = open_run(model, ROWS, 0, 0);
    hrm_batch batch;
    hrm_random random = hrm_random_make(8, 12);
    batch_make(&batch, ROWS, r->seq_len);
    batch_draw(&batch, r, &random);
    hrm_real *head = (hrm_real *)malloc((V * D + ROWS * T * V + 2 * ROWS * S * D) * sizeof *head), *logits = head + V * D,
             *z = logits + ROWS * T * V;
    CHECK_OK(hrm_model_tensor_read(model, hrm_model_tensor_find(model, "inner.lm_head.weight"), head));
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    hrm_run_outputs out;
    memset(&out, 0, sizeof out);
    out.logits = logits;
    out.states = z;
    CHECK_OK(hrm_run_read(run, &out));
    double worst = 0, apart = 0;
    for (size_t i = 0; i < ROWS * T * V; i++) {
        const hrm_real *h = z + (i / (T * V) * S + P + i / V % T) * D, *w = head + i % V * D;
        double sum = 0;
        for (size_t k = 0; k < D; k++) sum += (double)h[k] * (double)w[k];
        worst = fmax(worst, fabs(sum - (double)logits[i]));
    }
    for (size_t i = 0; i < ROWS * S * D; i++) apart = fmax(apart, fabs((double)z[i] - (double)z[ROWS * S * D + i]));
    CHECK(worst < 1e-5, "the logits are %g off z_H times the head", worst);
    CHECK(apart > 0.1, "z_H and z_L are the same");
    free(head);
    hrm_run_destroy(run);
    hrm_model_destroy(model);
    batch_free(&batch);
}

/* What is counted: rows that have just halted and have a label. */
typedef struct watched { hrm_run *run; hrm_real *z, *before; size_t n; int calls, wrong, stop; } watched;

static hrm_status watch(void *user, int pass, int state)
{
    /* only the state that is named has moved since the pass before */
    watched *w = (watched *)user;
    hrm_run_outputs out;
    memset(&out, 0, sizeof out);
    out.states = w->z;
    if (hrm_run_read(w->run, &out) != HRM_OK) return HRM_ERR_ARGUMENT;
    for (int s = 0; s < 2; s++) {
        int moved = memcmp(w->z + (size_t)s * w->n, w->before + (size_t)s * w->n, w->n * sizeof *w->z) != 0;
        w->wrong += w->calls > 0 && moved != (s == state);
    }
    memcpy(w->before, w->z, 2 * w->n * sizeof *w->z);
    w->wrong += pass != w->calls || state != (pass % 3 == 2 ? 0 : 1); /* H2 L2: L L H L L H */
    return ++w->calls == w->stop ? hrm_error_set(HRM_ERR_CANCELLED, "enough") : HRM_OK;
}

static void check_watch(void)
{
    enum { ROWS = 2 };
    hrm_model_desc d = small_desc();
    d.H_cycles = d.L_cycles = 2;
    hrm_model *model = model_with_q(d, 0.5, -0.5);
    const hrm_model_desc *r = hrm_model_describe(model);
    size_t D = (size_t)r->hidden_size, S = ((size_t)r->puzzle_emb_ndim + D - 1) / D + (size_t)r->seq_len;
    hrm_run *plain = open_run(model, ROWS, 0, 0), *train = open_run(model, ROWS, 1, 0);
    hrm_batch batch;
    hrm_random random = hrm_random_make(8, 12);
    watched w;
    memset(&w, 0, sizeof w);
    batch_make(&batch, ROWS, r->seq_len);
    batch_draw(&batch, r, &random);
    w.run = open_run(model, ROWS, 0, 0);
    w.n = ROWS * S * D;
    w.z = (hrm_real *)calloc(6 * w.n, sizeof *w.z);
    w.before = w.z + 2 * w.n;
    for (int segment = 0; segment < 2; segment++) {
        hrm_metrics a, b;
        hrm_run_outputs out;
        w.calls = 0;
        CHECK_OK(hrm_run_segment(plain, &batch, NULL));
        CHECK_OK(hrm_run_watch(w.run, &batch, watch, &w));
        CHECK(w.calls == 6 && w.wrong == 0, "%d passes, %d of them not as expected", w.calls, w.wrong);
        memset(&out, 0, sizeof out);
        out.states = w.z + 4 * w.n;
        CHECK_OK(hrm_run_read(plain, &out));
        CHECK(memcmp(out.states, w.z, 2 * w.n * sizeof *w.z) == 0, "watching changes what comes out");
        CHECK_OK(hrm_run_metrics(plain, &a));
        CHECK_OK(hrm_run_metrics(w.run, &b));
        CHECK(memcmp(&a, &b, sizeof a) == 0, "and its metrics");
    }
    w.calls = 0, w.stop = 3;
    CHECK_FAILS(hrm_run_watch(w.run, &batch, watch, &w), HRM_ERR_CANCELLED, "enough");
    CHECK(w.calls == 3, "stopped after %d passes", w.calls);
    w.calls = 0, w.stop = 0;
    CHECK_FAILS(hrm_run_watch(w.run, &batch, watch, &w), HRM_ERR_DEVICE, "hrm_run_reset makes the carry whole again");
    CHECK_FAILS(hrm_run_segment(w.run, &batch, NULL), HRM_ERR_DEVICE, "hrm_run_reset makes the carry whole again");
    CHECK_OK(hrm_run_reset(w.run));
    CHECK_OK(hrm_run_segment(w.run, &batch, NULL));
    CHECK_FAILS(hrm_run_watch(train, &batch, watch, &w), HRM_ERR_ARGUMENT, "cannot be watched");
    free(w.z);
    hrm_run_destroy(plain);
    hrm_run_destroy(train);
    hrm_run_destroy(w.run);
    hrm_model_destroy(model);
    batch_free(&batch);
}

static void check_metrics(void)
{
    enum { ROWS = 4 };
    hrm_model_desc d = small_desc();
    d.no_halt_exploration = 1;
    hrm_model *model = model_with_q(d, 0.5, -0.5);
    hrm_run *run = open_run(model, ROWS, 1, 1);
    hrm_batch batch;
    hrm_random r = hrm_random_make(8, 11);
    batch_make(&batch, ROWS, d.seq_len);
    batch_draw(&batch, hrm_model_describe(model), &r);
    const int32_t minima[ROWS] = {0, 0, 2, 2};
    int32_t predictions[ROWS * 6];
    hrm_run_outputs out;
    hrm_metrics m;
    memset(&out, 0, sizeof out);
    out.predictions = predictions;
    CHECK_OK(hrm_run_segment(run, &batch, minima));
    CHECK_OK(hrm_run_read(run, &out));
    memcpy(batch.labels, predictions, 6 * sizeof(int32_t));  /* row 0: all right */
    for (int i = 6; i < 12; i++) batch.labels[i] = -100;     /* row 1: no label */
    CHECK_OK(hrm_run_reset(run));
    CHECK_OK(hrm_run_segment(run, &batch, minima));
    CHECK_OK(hrm_run_metrics(run, &m));
    CHECK(fabs(m.count - 1) <= 0 && fabs(m.exact_accuracy - 1) <= 0 && fabs(m.accuracy - 1) < 1e-6 &&
              fabs(m.q_halt_accuracy - 1) <= 0 && fabs(m.steps - 1) <= 0,
          "count %g exact %g accuracy %g q %g steps %g, expected 1 of each", m.count, m.exact_accuracy, m.accuracy,
          m.q_halt_accuracy, m.steps);
    CHECK(fabs(m.rows - ROWS) <= 0, "losses are means over %g rows", m.rows);
    /* rows 0 and 1 count as right in the halting loss (nothing in row 1 is wrong), 2 and 3 as wrong */
    double expected = (2 * hrm_bce(0.5, 1, NULL) + 2 * hrm_bce(0.5, 0, NULL)) / ROWS;
    CHECK(fabs(m.q_halt_loss - expected) < 1e-6, "q_halt_loss %.9g, expected %.9g", m.q_halt_loss, expected);
    for (int i = 0; i < ROWS * 6; i++) batch.labels[i] = -100;
    CHECK_OK(hrm_run_reset(run));
    CHECK_OK(hrm_run_segment(run, &batch, minima));
    CHECK_OK(hrm_run_metrics(run, &m));
    CHECK(fabs(m.count) <= 0 && fabs(m.lm_loss) <= 0 && fabs(m.accuracy) <= 0, "without labels: count %g, loss %g, accuracy %g",
          m.count, m.lm_loss, m.accuracy);

    hrm_metrics a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.step = 3, a.rows = 2, a.count = 1, a.accuracy = 0.5, a.lm_loss = 4, a.steps = 2;
    b.step = 4, b.rows = 6, b.count = 3, b.accuracy = 0.9, b.lm_loss = 2, b.steps = 4, b.lr = 0.25;
    hrm_metrics_add(&a, &b);
    CHECK(a.step == 4 && fabs(a.lr - 0.25) <= 0 && fabs(a.rows - 8) <= 0 && fabs(a.count - 4) <= 0 &&
              fabs(a.accuracy - 0.8) < 1e-12 && fabs(a.lm_loss - 2.5) < 1e-12 && fabs(a.steps - 3.5) < 1e-12,
          "metrics do not add up: accuracy %g loss %g steps %g", a.accuracy, a.lm_loss, a.steps);
    memset(&b, 0, sizeof b);
    hrm_metrics_add(&a, &b);
    CHECK(fabs(a.accuracy - 0.8) < 1e-12, "adding nothing changes the mean to %g", a.accuracy);
    hrm_metrics_add(&b, &b);
    CHECK(fabs(b.accuracy) <= 0, "nothing plus nothing is %g", b.accuracy);
    hrm_run_destroy(run);
    hrm_model_destroy(model);
    batch_free(&batch);
}

static void check_schedule(void)
{
    static const struct { int64_t step; double lr; int64_t warmup, total; double min_ratio, expected;
    } cases[] = {
        {1, 0.1, 10, 110, 0.1, 0.01},   {9, 0.1, 10, 110, 0.1, 0.09},   {10, 0.1, 10, 110, 0.1, 0.1},
        {60, 0.1, 10, 110, 0.1, 0.055}, {110, 0.1, 10, 110, 0.1, 0.01}, {1, 0.1, 0, 100, 1, 0.1},
        {50, 2, 0, 100, 0, 1},          {100, 2, 0, 100, 0, 0},         {35, 0.1, 10, 110, 0, 0.0853553390593274},
        {5, 1, 5, 5, 0.5, 1},
    };
    for (size_t i = 0; i < HRM__COUNT(cases); i++) {
        double lr = hrm_schedule(cases[i].step, cases[i].lr, cases[i].warmup, cases[i].total, cases[i].min_ratio);
        CHECK(fabs(lr - cases[i].expected) < 1e-12, "case %zu: %.15g, expected %.15g", i, lr, cases[i].expected);
    }
}

static void check_optimizers(void)
{
    enum { N = 1003 };
    hrm_random r = hrm_random_make(2, 2);
    static hrm_real p[N], m[N], v[N], g[N];
    static double P[N], M[N], V[N];
    for (int i = 0; i < N; i++) P[i] = (double)(p[i] = (hrm_real)(hrm_random_uniform(&r) - 0.5));
    for (int64_t t = 1; t <= 5; t++) {
        double lr = 1e-2 / (double)t, wd = 0.3, b1 = 0.9, b2 = 0.95, worst = 0;
        for (int i = 0; i < N; i++)
            g[i] = i % 7 == 0 ? (hrm_real)0 : (hrm_real)((hrm_random_uniform(&r) - 0.5) * pow(10, (double)(i % 9) - 6));
        hrm_adam_atan2(p, m, v, g, N, lr, b1, b2, wd, t);
        for (int i = 0; i < N; i++) {
            double gi = (double)g[i];
            M[i] += (gi - M[i]) * (1 - b1);
            V[i] += (gi * gi - V[i]) * (1 - b2);
            P[i] =
                P[i] * (1 - lr * wd) - lr / (1 - pow(b1, (double)t)) * atan2(M[i], sqrt(V[i]) / sqrt(1 - pow(b2, (double)t)));
            worst = fmax(worst, fabs((double)p[i] - P[i]));
        }
        CHECK(worst < 1e-6, "Adam-atan2 off by %g at step %d", worst, (int)t);
    }
    /* rows 1 and 3 of a table of 5: row 1 three times, and the sum decides, not the last; a zero sum only decays */
    hrm_real table[5 * 2] = {1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
    hrm_real grad[4 * 2] = {5, 1, -1, 0, -1, -2, -3, 1};
    const int32_t ids[4] = {1, 3, 1, 1};
    hrm_sign_sgd(table, grad, ids, 4, 2, 0.125, 2);
    const double expected[5 * 2] = {1, 1, 2 * 0.75 - 0.125, 2 * 0.75, 3, 3, 4 * 0.75 + 0.125, 4 * 0.75, 5, 5};
    for (int i = 0; i < 10; i++)
        CHECK(fabs((double)table[i] - expected[i]) < 1e-6, "SignSGD: element %d is %g, expected %g", i, (double)table[i],
              expected[i]);
}

/* The trainer against the same loop written with the public parts. */
typedef struct little_data { uint8_t inputs[40 * 6], labels[40 * 6]; int32_t ids[40]; hrm_dataset *data; } little_data;

static void little_open(little_data *l)
{
    hrm_random r = hrm_random_make(4, 4);
    for (int i = 0; i < 40 * 6; i++) {
        l->inputs[i] = (uint8_t)hrm_random_below(&r, 5);
        l->labels[i] = (uint8_t)(i % 3 == 0 ? 255 : (l->inputs[i] + 1) % 5);
    }
    for (int i = 0; i < 40; i++) l->ids[i] = (int32_t)hrm_random_below(&r, 4);
    hrm_dataset_arrays a;
    memset(&a, 0, sizeof a);
    a.seq_len = 6, a.vocab_size = 5, a.num_puzzle_identifiers = 4;
    a.has_ignore_label = 1, a.ignore_label_id = 255;
    a.num_examples = 40, a.inputs = l->inputs, a.labels = l->labels, a.puzzle_identifiers = l->ids;
    l->data = NULL;
    CHECK_OK(hrm_dataset_from_arrays(&l->data, &a, NULL));
}

static hrm_status note_first(void *user, int64_t first, const hrm_batch *batch, const hrm_run_outputs *outputs)
{
    (void)batch, (void)outputs;
    if (*(int64_t *)user < 0) *(int64_t *)user = first;
    return HRM_OK;
}

static void check_first_example(void)
{
    /* what is left out and what is not make the whole */
    little_data l;
    hrm_evaluate_desc e;
    hrm_metrics all, part, rest;
    int64_t first = -1;
    little_open(&l);
    hrm_model_desc d = hrm_model_desc_for(l.data);
    d.hidden_size = 16, d.num_heads = 2, d.H_layers = d.L_layers = 1, d.halt_max_steps = 2, d.num_threads = 1;
    hrm_model *model = NULL;
    counting room;
    counting_init(&room);
    d.allocator = &room.allocator;
    CHECK_OK(hrm_model_create(&model, &d));
    memset(&e, 0, sizeof e);
    e.batch_size = 1 << 20; /* takes no room for rows that there are not */
    CHECK_OK(hrm_evaluate(model, l.data, &e, &rest));
    CHECK(room.peak_bytes < 1 << 23, "%lu bytes for 40 examples", (unsigned long)room.peak_bytes);
    e.batch_size = 7;
    CHECK_OK(hrm_evaluate(model, l.data, &e, &all));
    CHECK(fabs(rest.lm_loss - all.lm_loss) < 1e-6 && rest.count == 40, "%g of %g, %g", rest.lm_loss, rest.count, all.lm_loss);
    e.max_examples = 12;
    CHECK_OK(hrm_evaluate(model, l.data, &e, &part));
    e.max_examples = 0, e.first_example = 12, e.on_rows = note_first, e.user = &first;
    CHECK_OK(hrm_evaluate(model, l.data, &e, &rest));
    CHECK(first == 12 && part.count == 12 && rest.count == 28, "from %d, %g and %g", (int)first, part.count, rest.count);
    hrm_metrics_add(&part, &rest);
    CHECK(fabs(part.lm_loss - all.lm_loss) < 1e-9 && fabs(part.accuracy - all.accuracy) < 1e-9, "%g, %g in one", part.lm_loss,
          all.lm_loss);
    e.first_example = 40;
    CHECK_OK(hrm_evaluate(model, l.data, &e, &rest));
    CHECK(rest.count == 0, "past the end there is %g", rest.count);
    e.first_example = -1;
    CHECK_FAILS(hrm_evaluate(model, l.data, &e, &rest), HRM_ERR_ARGUMENT, "first_example is -1");
    hrm_model_destroy(model);
    hrm_dataset_close(l.data);
}

static void check_trainer(void)
{
    enum { ROWS = 8, STEPS = 12 };
    static little_data little;
    little_open(&little);
    hrm_model_desc d = small_desc();
    d.no_halt_exploration = 1;
    hrm_model *model = NULL, *ours = NULL;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_model_create(&ours, &d));
    CHECK(models_equal(model, ours), "one seed, two models");
    model_decide(model, 3);
    model_decide(ours, 3);
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    td.steps = STEPS, td.batch_size = ROWS, td.lr = 1e-2f, td.lr_warmup_steps = 4, td.lr_min_ratio = 0.5f,
    td.weight_decay = 0.2f;
    td.puzzle_emb_lr = 3e-2f, td.puzzle_emb_weight_decay = 0.4f, td.seed = 17;
    hrm_trainer *trainer = NULL;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    hrm_run *run = open_run(ours, ROWS, 1, 17);
    hrm_batch batch;
    batch_make(&batch, ROWS, 6);
    hrm_position position;
    memset(&position, 0, sizeof position);
    int32_t steps[ROWS], halted[ROWS], ids[ROWS];
    for (int i = 0; i < ROWS; i++) halted[i] = 1;
    hrm_real *m[64] = {NULL}, *v[64] = {NULL};
    for (int step = 1; step <= STEPS && trainer && run; step++) {
        hrm_metrics theirs, mine;
        int new_iteration;
        memset(&theirs, 0, sizeof theirs);
        memset(&mine, 0, sizeof mine);
        CHECK_OK(hrm_trainer_step(trainer, little.data, &theirs));
        CHECK_OK(hrm_dataset_next(little.data, &position, 17, 1, &batch, &new_iteration));
        for (int i = 0; i < ROWS; i++)
            if (halted[i]) ids[i] = batch.puzzle_identifiers[i];
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        read_steps(run, steps, halted);
        CHECK_OK(hrm_run_metrics(run, &mine));
        CHECK(theirs.step == step && fabs(theirs.lm_loss - mine.lm_loss) < 1e-5 * mine.lm_loss &&
                  fabs(theirs.count - mine.count) <= 0,
              "step %d: loss %.9g and %.9g, count %g and %g", step, theirs.lm_loss, mine.lm_loss, theirs.count, mine.count);
        CHECK_OK(hrm_run_zero_gradients(run));
        CHECK_OK(hrm_run_backward(run));
        double lr = hrm_schedule(step, (double)td.lr, 4, STEPS, 0.5),
               puzzle_lr = hrm_schedule(step, (double)td.puzzle_emb_lr, 4, STEPS, 0.5);
        CHECK(fabs(theirs.lr - lr) < 1e-8, "step %d: lr %.9g, expected %.9g", step, theirs.lr, lr);
        for (int i = 0; i < hrm_model_tensor_count(ours); i++) {
            hrm_tensor t;
            hrm_role role;
            size_t n = 0;
            CHECK_OK(hrm_model_tensor(ours, i, &t, &role));
            if (role == HRM_BUFFER) continue;
            hrm_real *p = tensor_values(ours, i, &n, NULL);
            hrm_real *g = (hrm_real *)malloc((n + (size_t)ROWS * 12) * sizeof *g);
            CHECK_OK(hrm_run_gradient(run, i, g));
            if (role == HRM_PUZZLE_TABLE) {
                hrm_sign_sgd(p, g, ids, ROWS, 12, puzzle_lr, (double)td.puzzle_emb_weight_decay);
            } else {
                if (!m[i]) m[i] = (hrm_real *)calloc(n, sizeof(hrm_real)), v[i] = (hrm_real *)calloc(n, sizeof(hrm_real));
                hrm_adam_atan2(p, m[i], v[i], g, n, lr, 0.9, 0.95, (double)td.weight_decay, step);
            }
            CHECK_OK(hrm_model_tensor_write(ours, i, p));
            free(p);
            free(g);
        }
    }
    for (int i = 0; i < hrm_model_tensor_count(ours); i++) {
        size_t n = 0;
        hrm_tensor t;
        hrm_real *a = tensor_values(model, i, &n, &t), *b = tensor_values(ours, i, &n, NULL);
        double error = relative_error(a, b, n);
        CHECK(error < 1e-4, "%s: the trainer and its parts differ by %.2e", t.name, error);
        free(a), free(b), free(m[i]), free(v[i]);
    }
    hrm_metrics metrics;
    CHECK(hrm_trainer_step(trainer, little.data, &metrics) == HRM_END, "the trainer goes past its last step");
    CHECK(hrm_trainer_steps_done(trainer) == STEPS && hrm_trainer_steps_total(trainer) == STEPS, "steps done or total");
    hrm_trainer_destroy(trainer);
    hrm_run_destroy(run);

    /* epochs: floor(2.5 epochs * 40 groups / 8) = 12 steps; defaults read back */
    memset(&td, 0, sizeof td);
    td.epochs = 2.5, td.batch_size = 8;
    trainer = NULL;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    int steps_taken = 0;
    while (trainer && hrm_trainer_step(trainer, little.data, NULL) == HRM_OK) steps_taken++;
    CHECK(steps_taken == 12 && hrm_trainer_steps_total(trainer) == 12, "2.5 epochs are %d steps, expected 12: %s", steps_taken,
          hrm_error_message());
    const hrm_train_desc *resolved = hrm_trainer_describe(trainer);
    CHECK(fabs((double)resolved->lr - 1e-4) < 1e-9 && fabs((double)resolved->beta2 - 0.95) < 1e-6 &&
              fabs((double)resolved->weight_decay - 0.1) < 1e-6,
          "defaults");
    hrm_trainer_destroy(trainer);

    /* a loss that is not finite stops with the step named and the weights as they were */
    int head = hrm_model_tensor_find(model, "inner.lm_head.weight");
    size_t n = 0;
    hrm_real *w = tensor_values(model, head, &n, NULL), *kept = tensor_values(model, head, &n, NULL);
    memset(&td, 0, sizeof td);
    td.steps = 10, td.batch_size = 8, td.no_warmup = 1;
    trainer = NULL;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    CHECK_OK(hrm_trainer_step(trainer, little.data, NULL));
    CHECK_OK(hrm_trainer_step(trainer, little.data, NULL));
    for (size_t i = 0; i < n; i++) w[i] = (hrm_real)(i % 2 ? 3e38 : -3e38);
    CHECK_OK(hrm_model_tensor_write(model, head, w));
    hrm_real *before[64];
    for (int i = 0; i < hrm_model_tensor_count(model); i++) before[i] = tensor_values(model, i, &n, NULL);
    CHECK_FAILS(hrm_trainer_step(trainer, little.data, &metrics), HRM_ERR_NAN, "step 3");
    for (int i = 0; i < hrm_model_tensor_count(model); i++) {
        hrm_tensor t;
        hrm_real *after = tensor_values(model, i, &n, &t);
        CHECK(memcmp(before[i], after, n * sizeof *after) == 0, "%s moved on a loss that is not finite", t.name);
        free(after);
        free(before[i]);
    }
    hrm_trainer_destroy(trainer);
    free(w);
    free(kept);
    batch_free(&batch);
    hrm_model_destroy(model);
    hrm_model_destroy(ours);
    hrm_dataset_close(little.data);
}

/* A training state as 0.1.0 wrote it: the moments as one dump of the arena each, no format told. Or one from the future. */
static void write_old_state(const char *to, const char *from, const hrm_trainer *t, int later)
{
    hrm_tensors *file = NULL;
    CHECK_OK(hrm_tensors_open(&file, from, NULL));
    if (!file) return;
    size_t n = hrm_tensors_count(file), used = 0, metas = hrm_tensors_metadata_count(file);
    hrm_tensor *all = (hrm_tensor *)malloc((n + 2) * sizeof *all);
    hrm_metadata *meta = (hrm_metadata *)malloc(metas * sizeof *meta);
    char text[512];
    for (size_t i = 0; i < n; i++)
        if (strncmp(hrm_tensors_at(file, i)->name, "optimizer.", 10) != 0) all[used++] = *hrm_tensors_at(file, i);
    for (int moment = 0; moment < 2; moment++, used++) {
        memset(&all[used], 0, sizeof all[used]);
        all[used].name = moment ? "optimizer.v" : "optimizer.m";
        all[used].dtype = sizeof(hrm_real) == 4 ? HRM_F32 : HRM_F64;
        all[used].ndim = 1;
        all[used].shape[0] = (int64_t)t->model->at.trained;
        all[used].bytes = t->model->at.trained * sizeof(hrm_real);
        all[used].data = moment ? t->run->w.v : t->run->w.m;
    }
    for (size_t i = 0; i < metas; i++) {
        meta[i] = hrm_tensors_metadata_at(file, i);
        if (strcmp(meta[i].key, "hrm.trainer") != 0) continue;
        const char *rest = strchr(meta[i].value, ',');
        snprintf(text, sizeof text, later ? "{\"format\":99,%s" : "{%s", rest ? rest + 1 : "");
        meta[i].value = text;
    }
    CHECK_OK(hrm_safetensors_save(to, all, used, meta, metas, HRM_DTYPE_COUNT, NULL));
    hrm_tensors_close(file);
    free(all), free(meta);
}

/* A run that stops and goes on ends with the same bits as one that does not. */
static void check_resume(void)
{
    const char *path = own_file("state");
    static little_data little;
    little_open(&little);
    hrm_model_desc d = small_desc();
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    td.steps = 9, td.batch_size = 8, td.lr = 1e-2f, td.seed = 2;
    hrm_model *whole = NULL, *parts = NULL;
    hrm_trainer *a = NULL, *b = NULL;
    CHECK_OK(hrm_model_create(&whole, &d));
    model_decide(whole, 6);
    CHECK_OK(hrm_trainer_create(&a, whole, &td));
    for (int i = 0; i < 5; i++) CHECK_OK(hrm_trainer_step(a, little.data, NULL));
    CHECK_OK(hrm_trainer_save(a, path, NULL, 0));
    d.seed = 99; /* other weights: the state brings its own */
    CHECK_OK(hrm_model_create(&parts, &d));
    CHECK_OK(hrm_trainer_create(&b, parts, &td));
    const char *old = own_file("old");
    write_old_state(old, path, a, 1);
    CHECK_FAILS(hrm_trainer_load(b, old), HRM_ERR_UNSUPPORTED, "format 99, written by a later version");
    CHECK_OK(hrm_trainer_load(b, path));
    memset(b->run->w.m, 0,
           b->model->at.trained * sizeof(hrm_real)); /* whatever the old format does not bring would be missed */
    memset(b->run->w.v, 0, b->model->at.trained * sizeof(hrm_real));
    write_old_state(old, path, a, 0);
    for (int k = 0; k < 2; k++) { /* what it did not know has no moments there */
        hrm_train_desc more = td;
        hrm_trainer *other = NULL;
        if (k) more.optimizer = HRM_MUON;
        else more.freeze_weights = 1;
        CHECK_OK(hrm_trainer_create(&other, parts, &more));
        CHECK_FAILS(hrm_trainer_load(other, old), HRM_ERR_ARGUMENT, k ? "0.1.0, which knew no Muon" : "knew no freeze_weights");
        hrm_trainer_destroy(other);
    }
    CHECK_OK(hrm_trainer_load(b, old));
    remove(old);
    CHECK(hrm_trainer_steps_done(b) == 5, "resumed at step %d", (int)hrm_trainer_steps_done(b));
    CHECK(memcmp(a->run->w.m, b->run->w.m, b->model->at.trained * sizeof(hrm_real)) == 0, "moments from the old format");
    CHECK_OK(hrm_trainer_load(b, path));
    CHECK(memcmp(a->run->w.v, b->run->w.v, b->model->at.trained * sizeof(hrm_real)) == 0, "moments by parameter");
    CHECK(models_equal(whole, parts), "weights of the state");
    hrm_metrics ma, mb;
    hrm_status sa = HRM_OK, sb = HRM_OK;
    while (a && b && sa == HRM_OK) {
        sa = hrm_trainer_step(a, little.data, &ma), sb = hrm_trainer_step(b, little.data, &mb);
        CHECK(sa == sb && memcmp(&ma, &mb, sizeof ma) == 0, "step %d differs after resuming", (int)ma.step);
        if (sa != sb) break;
    }
    CHECK(models_equal(whole, parts), "the resumed run ends elsewhere");
    hrm_trainer_destroy(a);
    hrm_trainer_destroy(b);
    hrm_model_destroy(whole);
    hrm_model_destroy(parts);
    hrm_dataset_close(little.data);
    remove(path);
}

/* Writes a training state with one element of one tensor changed. */
static void spoil_state(const char *to, const char *from, const char *name, size_t at, double value)
{
    hrm_tensors *file = NULL;
    CHECK_OK(hrm_tensors_open(&file, from, NULL));
    if (!file) return;
    size_t n = hrm_tensors_count(file), metas = hrm_tensors_metadata_count(file);
    hrm_tensor *all = (hrm_tensor *)malloc(n * sizeof *all);
    hrm_metadata *meta = (hrm_metadata *)malloc(metas * sizeof *meta);
    void *copy = NULL;
    for (size_t i = 0; i < metas; i++) meta[i] = hrm_tensors_metadata_at(file, i);
    for (size_t i = 0; i < n; i++) {
        all[i] = *hrm_tensors_at(file, i);
        if (strcmp(all[i].name, name) != 0) continue;
        copy = malloc(all[i].bytes);
        memcpy(copy, all[i].data, all[i].bytes);
        if (all[i].dtype == HRM_I32) ((int32_t *)copy)[at] = (int32_t)value;
        else ((hrm_real *)copy)[at] = (hrm_real)value;
        all[i].data = copy;
    }
    CHECK(copy != NULL, "no tensor %s in %s", name, from);
    CHECK_OK(hrm_safetensors_save(to, all, n, meta, metas, HRM_DTYPE_COUNT, NULL));
    hrm_tensors_close(file);
    free(all), free(meta), free(copy);
}

static int same_file(const char *path, char *kept, size_t *size)
{
    /* keeps the file the first time, compares with it later */
    hrm_file_map map;
    if (hrm_file_map_open(&map, path) != HRM_OK) return 0;
    int first = *size == 0, same = first || (map.size == *size && memcmp(map.data, kept, map.size) == 0);
    if (first && map.size <= 1 << 20) memcpy(kept, map.data, *size = map.size);
    hrm_file_map_close(&map);
    return same;
}

/* Values that no training leaves are refused before anything is taken over or written over; after a bad step a state brings the
 * trainer back, and so does a fresh carry. */
static void check_bad_values(void)
{
    const char *good = own_file("state"), *bad = own_file("bad"), *weights = own_file("weights");
    static const struct { const char *tensor; size_t at; double value; hrm_status status;
    } cases[] = {
        {"optimizer.v.inner.lm_head.weight", 3, -1, HRM_ERR_RANGE},
        {"optimizer.v.inner.q_head.bias", 0, HUGE_VAL, HRM_ERR_NAN},
        {"optimizer.m.inner.L_level.layers.0.mlp.down_proj.weight", 5, -HUGE_VAL, HRM_ERR_NAN},
        {"carry.z_H", 7, HUGE_VAL, HRM_ERR_NAN},
        {"carry.z_L", 1, -HUGE_VAL, HRM_ERR_NAN},
        {"carry.steps", 2, 5, HRM_ERR_RANGE},
        {"carry.steps", 2, -1, HRM_ERR_RANGE},
        {"carry.halted", 0, 2, HRM_ERR_RANGE},
        {"carry.inputs", 4, 200, HRM_ERR_RANGE},
        {"carry.inputs", 4, -1, HRM_ERR_RANGE},
        {"carry.labels", 4, 5, HRM_ERR_RANGE},
        {"carry.labels", 4, -7, HRM_ERR_RANGE},
        {"carry.puzzle_identifiers", 1, 4, HRM_ERR_RANGE},
        {"inner.lm_head.weight", 2, HUGE_VAL, HRM_ERR_NAN},
    };
    static char kept[1 << 20];
    static little_data little;
    little_open(&little);
    hrm_model_desc d = small_desc();
    hrm_train_desc td;
    hrm_metrics metrics, expected[4];
    memset(&td, 0, sizeof td);
    td.steps = 9, td.batch_size = 8, td.lr = 1e-2f, td.seed = 2;
    hrm_model *model = NULL, *whole = NULL;
    hrm_trainer *trainer = NULL;
    CHECK_OK(hrm_model_create(&model, &d));
    model_decide(model, 6);
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    if (!trainer) return;
    for (int i = 0; i < 3; i++) CHECK_OK(hrm_trainer_step(trainer, little.data, &metrics));
    CHECK_OK(hrm_trainer_save(trainer, good, NULL, 0));
    CHECK_OK(hrm_model_load(&whole, good, NULL));
    for (int i = 0; i < 4; i++) CHECK_OK(hrm_trainer_step(trainer, little.data, &expected[i]));
    for (size_t i = 0; i < HRM__COUNT(cases); i++) {
        spoil_state(bad, good, cases[i].tensor, cases[i].at, cases[i].value);
        CHECK_OK(hrm_trainer_load(trainer, good));
        CHECK_FAILS(hrm_trainer_load(trainer, bad), cases[i].status, cases[i].tensor);
        CHECK(models_equal(model, whole) && hrm_trainer_steps_done(trainer) == 3, "%s: taken over in part", cases[i].tensor);
    }
    for (int i = 0; i < 4; i++) { /* and the trainer is none the worse */
        CHECK_OK(hrm_trainer_step(trainer, little.data, &metrics));
        CHECK(memcmp(&metrics, &expected[i], sizeof metrics) == 0, "step %d differs after the refusals", (int)metrics.step);
    }

    /* an update at fault: told as that, nothing replaced, and the state brings it back */
    size_t state_size = 0, weights_size = 0;
    CHECK_OK(hrm_model_save(whole, weights));
    CHECK(same_file(good, kept, &state_size), "no state");
    for (int how = 0; how < 2; how++) {
        CHECK_OK(hrm_trainer_load(trainer, good));
        if (how == 0)
            trainer->run->w.v[trainer->model->at.embed_tokens] =
                -1; /* as in memory gone bad: the update makes no number of it */
        else model->params[model->at.lm_head] = (hrm_real)HUGE_VAL, model->stale = 1;
        hrm_status status = HRM_OK;
        for (int i = 0; i < 3 && status == HRM_OK; i++) status = hrm_trainer_step(trainer, little.data, &metrics);
        CHECK(status == HRM_ERR_NAN && strstr(hrm_error_message(), "load an earlier state"), "status %d, message \"%s\"",
              (int)status, hrm_error_message());
        CHECK_FAILS(hrm_trainer_save(trainer, good, NULL, 0), HRM_ERR_NAN, "tensor inner.");
        CHECK_FAILS(hrm_model_save(model, weights), HRM_ERR_NAN, "tensor inner.");
        CHECK(same_file(good, kept, &state_size), "the good state was written over");
        CHECK_OK(hrm_trainer_load(trainer, good));
        for (int i = 0; i < 4; i++) {
            CHECK_OK(hrm_trainer_step(trainer, little.data, &metrics));
            CHECK(memcmp(&metrics, &expected[i], sizeof metrics) == 0, "step %d differs after a bad one", (int)metrics.step);
        }
    }
    CHECK(same_file(weights, kept, &weights_size), "no weights");
    hrm_real big = (hrm_real)1e5; /* no float16 */
    hrm_real *head = tensor_values(model, hrm_model_tensor_find(model, "inner.lm_head.weight"), &state_size, NULL);
    head[1] = big;
    CHECK_OK(hrm_model_tensor_write(model, hrm_model_tensor_find(model, "inner.lm_head.weight"), head));
    CHECK_FAILS(hrm_model_save_as(model, weights, HRM_F16, NULL, 0), HRM_ERR_RANGE, "lm_head");
    CHECK(same_file(weights, kept, &weights_size), "the good weights were written over");
    free(head);

    /* a bad carry alone: a fresh one is enough */
    CHECK_OK(hrm_trainer_load(trainer, good));
    for (int i = 0; i < 8; i++)
        ((hrm_real *)hrm_trainer_run(trainer)->w.z[0])[i] = (hrm_real)HUGE_VAL, hrm_trainer_run(trainer)->w.halted[0] = 0;
    CHECK_FAILS(hrm_trainer_step(trainer, little.data, &metrics), HRM_ERR_NAN, "the weights are those before it");
    CHECK(models_equal(model, whole), "the weights moved");
    CHECK_OK(hrm_run_reset(hrm_trainer_run(trainer)));
    CHECK_OK(hrm_trainer_step(trainer, little.data, &metrics));
    CHECK(!models_equal(model, whole), "the weights do not move any more");
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model), hrm_model_destroy(whole);
    hrm_dataset_close(little.data);
    remove(good), remove(bad), remove(weights);
}

/* What a state holds and what it does not take: of whom, how warm, and only when it is that of the steps done. */
static void lm_head_of(hrm_model *model, hrm_real *value, int write)
{
    int index = hrm_model_tensor_find(model, "inner.lm_head.weight");
    size_t n;
    hrm_real *all = tensor_values(model, index, &n, NULL);
    if (write) {
        all[3] = *value;
        CHECK_OK(hrm_model_tensor_write(model, index, all));
    }
    *value = all[3];
    free(all);
}

static hrm_status stop_at_once(void *user, int64_t done, int64_t total, const hrm_metrics *so_far)
{
    (void)done, (void)total;
    *(double *)user = so_far->count;
    return HRM_ERR_CANCELLED;
}

static void check_state_of_the_steps_done(void)
{
    static little_data little;
    little_open(&little);
    hrm_model_desc d = small_desc();
    hrm_train_desc td;
    hrm_metrics m;
    hrm_model *model = NULL;
    hrm_trainer *t = NULL;
    hrm_evaluate_desc e;
    hrm_real value, huge = (hrm_real)3e38, kept;
    double seen = 0;
    const char *good = own_file("done_good"), *after = own_file("done_after");
    memset(&td, 0, sizeof td), memset(&e, 0, sizeof e);
    td.steps = 9, td.batch_size = 8, td.lr = 1e-3f, td.ema = 1, td.ema_rate = 0.5f;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_trainer_create(&t, model, &td));
    if (!t) return;
    for (int i = 0; i < 2; i++) CHECK_OK(hrm_trainer_step(t, little.data, &m));
    CHECK_OK(hrm_trainer_save(t, good, NULL, 0));
    for (int how = 0; how < 2; how++) { /* a loss that is not finite, of weights that are */
        lm_head_of(model, &value, 0);
        kept = value;
        lm_head_of(model, &huge, 1);
        m.step = 77;
        CHECK_FAILS(hrm_trainer_step(t, little.data, &m), HRM_ERR_NAN, "the loss is not finite");
        CHECK(m.step == 77, "metrics of a step that failed: %d", (int)m.step);
        lm_head_of(model, &kept, 1);
        CHECK_FAILS(hrm_trainer_save(t, after, NULL, 0), HRM_ERR_NAN, "the carry is not that of the steps done");
        if (how) CHECK_OK(hrm_run_reset(hrm_trainer_run(t)));
        else CHECK_OK(hrm_trainer_load(t, good));
        CHECK_OK(hrm_trainer_save(t, after, NULL, 0));
    }
    /* a load that fails leaves the average shown */
    CHECK_OK(hrm_trainer_load(t, good));
    CHECK_OK(hrm_trainer_use_average(t, 1));
    lm_head_of(model, &kept, 0);
    spoil_state(after, good, "carry.inputs", 4, 200);
    CHECK_FAILS(hrm_trainer_load(t, after), HRM_ERR_RANGE, "carry.inputs");
    lm_head_of(model, &value, 0);
    CHECK(value == kept, "the average's %g became %g", (double)kept, (double)value);
    spoil_state(after, good, "inner.lm_head.weight", 2, HUGE_VAL);
    CHECK_FAILS(hrm_trainer_load(t, after), HRM_ERR_NAN, "lm_head");
    lm_head_of(model, &value, 0);
    CHECK(value == kept, "the average's %g became %g", (double)kept, (double)value);
    /* an evaluation that is stopped tells nothing */
    m.count = -5;
    e.on_batch = stop_at_once, e.user = &seen, e.batch_size = 8;
    CHECK_FAILS(hrm_evaluate(model, little.data, &e, &m), HRM_ERR_CANCELLED, "");
    CHECK(m.count == -5 && seen == 8, "%g of an evaluation that was stopped at %g", m.count, seen);
    hrm_trainer_destroy(t);
    hrm_model_destroy(model);
    hrm_dataset_close(little.data);
    remove(good), remove(after);
}

static void check_state_of_an_optimizer(void)
{
    static const char *const names[] = {"adam_atan2", "adamw", "muon"};
    static little_data little;
    little_open(&little);
    const char *path = own_file("optimizer");
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 4; to++) { /* 3: frozen */
            hrm_trainer *t[2] = {NULL, NULL};
            hrm_model *model[2] = {NULL, NULL};
            hrm_metrics m;
            char said[80];
            for (int k = 0; k < 2; k++) {
                hrm_model_desc d = small_desc();
                hrm_train_desc td;
                memset(&td, 0, sizeof td);
                td.steps = 9, td.batch_size = 8;
                td.optimizer = (hrm_optimizer)(k ? to % 3 : from);
                td.freeze_weights = k && to == 3;
                CHECK_OK(hrm_model_create(&model[k], &d));
                CHECK_OK(hrm_trainer_create(&t[k], model[k], &td));
            }
            CHECK_OK(hrm_trainer_step(t[0], little.data, &m));
            CHECK_OK(hrm_trainer_save(t[0], path, NULL, 0));
            snprintf(said, sizeof said, "the run's optimizer is %s there, %s here", names[from], names[to % 3]);
            if (to == 3 || from == to) CHECK_OK(hrm_trainer_load(t[1], path));
            else CHECK_FAILS(hrm_trainer_load(t[1], path), HRM_ERR_ARGUMENT, said);
            for (int k = 0; k < 2; k++) hrm_trainer_destroy(t[k]), hrm_model_destroy(model[k]);
        }
    hrm_dataset_close(little.data);
    remove(path);
}

static void check_state_of_the_warmup(void)
{
    /* a run goes on past its end with the warm-up that it had; a trainer that was elsewhere takes the run's */
    static const struct { int64_t steps; double epochs; int64_t told; } others[] = {{2000, 0, 0}, {2000, 0, 50}, {0, 90, 0}};
    static little_data little;
    little_open(&little);
    const char *path = own_file("warmup");
    for (int k = 0; k < 3; k++) {
        hrm_model_desc d = small_desc();
        hrm_train_desc td;
        hrm_metrics m, next;
        hrm_model *model = NULL;
        hrm_trainer *run = NULL, *other = NULL;
        memset(&td, 0, sizeof td);
        td.batch_size = 8, td.lr = 1e-3f;
        if (k < 2) td.steps = 100;
        else td.epochs = 20; /* 100 steps too */
        CHECK_OK(hrm_model_create(&model, &d));
        CHECK_OK(hrm_trainer_create(&run, model, &td));
        td.steps = others[k].steps, td.epochs = others[k].epochs, td.lr_warmup_steps = others[k].told;
        CHECK_OK(hrm_trainer_create(&other, model, &td));
        if (k == 2) CHECK_OK(hrm_trainer_step(other, little.data, &m));
        for (int i = 0; i < 3; i++) CHECK_OK(hrm_trainer_step(run, little.data, &m));
        CHECK_OK(hrm_trainer_save(run, path, NULL, 0));
        CHECK_OK(hrm_trainer_step(run, little.data, &next));
        CHECK_OK(hrm_trainer_load(other, path));
        CHECK_OK(hrm_trainer_step(other, little.data, &m));
        double least = (double)hrm_trainer_describe(run)->lr_min_ratio, want = next.lr;
        if (k < 2) want = hrm_schedule(4, (double)td.lr, k ? 50 : 10, 2000, least);
        CHECK(m.step == 4 && fabs(m.lr - want) < 1e-9 && (k == 2) == (hrm_trainer_steps_total(other) == 100),
              "%d: step %d of %d, rate %g, expected %g", k, (int)m.step, (int)hrm_trainer_steps_total(other), m.lr, want);
        hrm_trainer_destroy(run), hrm_trainer_destroy(other);
        hrm_model_destroy(model);
    }
    hrm_dataset_close(little.data);
    remove(path);
}

/* The puzzle table's gradient behaves as all others do: added up, zeroed; of a new identifier it starts from zero. */
static void check_puzzle_gradient(void)
{
    enum { B = 4 };
    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    hrm_batch batch;
    hrm_real once[B * 12], twice[B * 12];
    int32_t never[B] = {9, 9, 9, 9}, at_once[B] = {0, 0, 0, 0};
    hrm_run_outputs out;
    memset(&rd, 0, sizeof rd), memset(&out, 0, sizeof out);
    rd.rows = B, rd.train = 1;
    CHECK_OK(hrm_model_create(&model, &d));
    model_decide(model, 3);
    CHECK_OK(hrm_run_create(&run, model, &rd));
    if (!run) return;
    int table = hrm_model_tensor_find(model, "inner.puzzle_emb.weights");
    batch_make(&batch, B, d.seq_len);
    for (int i = 0; i < B * d.seq_len; i++) batch.inputs[i] = i % 5, batch.labels[i] = (i + 1) % 5;
    for (int i = 0; i < B; i++) batch.puzzle_identifiers[i] = i;
    out.steps = at_once;
    CHECK_FAILS(hrm_run_read(run, &out), HRM_ERR_ARGUMENT, "first segment");
    CHECK_OK(hrm_run_segment(run, &batch, never));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_gradient(run, table, once));
    CHECK_OK(hrm_run_segment(run, &batch, never));
    CHECK_OK(hrm_run_zero_gradients(run));
    CHECK_OK(hrm_run_gradient(run, table, twice));
    for (int i = 0; i < B * 12; i++) CHECK(twice[i] == 0, "element %d of the zeroed gradient is %g", i, (double)twice[i]);
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_gradient(run, table, twice));

    /* the same two segments again, without zeroing between: their sum */
    hrm_real sum[B * 12];
    CHECK_OK(hrm_run_reset(run));
    CHECK_OK(hrm_run_zero_gradients(run));
    CHECK_OK(hrm_run_segment(run, &batch, never));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_segment(run, &batch, never));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_gradient(run, table, sum));
    for (int i = 0; i < B * 12; i++)
        CHECK(sum[i] == once[i] + twice[i] && once[i] != 0, "element %d: %g, expected %g", i, (double)sum[i],
              (double)(once[i] + twice[i]));

    /* row 0 takes another identifier: nothing of the one before is in its gradient */
    CHECK_OK(hrm_run_reset(run));
    batch.puzzle_identifiers[0] = 3;
    CHECK_OK(hrm_run_segment(run, &batch, never));
    CHECK_OK(hrm_run_gradient(run, table, sum));
    for (int i = 0; i < 12; i++)
        CHECK(sum[i] == 0 && sum[12 + i] != 0, "element %d: %g and %g", i, (double)sum[i], (double)sum[12 + i]);
    hrm_run_destroy(run);

    /* what a run does not have is not left unwritten */
    hrm_real target[B];
    run = NULL, rd.train = 0;
    CHECK_OK(hrm_run_create(&run, model, &rd));
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    out.target_q_continue = target;
    CHECK_FAILS(hrm_run_read(run, &out), HRM_ERR_ARGUMENT, "target_q_continue");
    hrm_run_destroy(run);
    hrm_model_destroy(model);
    batch_free(&batch);
}

/* A 0 that is meant is said by its flag, and works: no decay of the rate but to 0, momentum off, a puzzle table that stays. */
static void check_zeros(void)
{
    static little_data little;
    little_open(&little);
    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    hrm_trainer *trainer = NULL;
    hrm_train_desc td;
    hrm_metrics m;
    size_t n = 0;
    memset(&td, 0, sizeof td);
    td.steps = 4, td.batch_size = 8, td.lr = 1e-2f, td.no_warmup = 1,
    td.no_lr_min_ratio = td.no_beta1 = td.no_puzzle_emb_lr = td.no_weight_decay = 1;
    CHECK_OK(hrm_model_create(&model, &d));
    model_decide(model, 6);
    int table = hrm_model_tensor_find(model, "inner.puzzle_emb.weights");
    hrm_real *before = tensor_values(model, table, &n, NULL), *after;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    if (!trainer) return;
    const hrm_train_desc *r = hrm_trainer_describe(trainer);
    CHECK(r->lr_min_ratio == 0 && r->beta1 == 0 && r->puzzle_emb_lr == 0 && r->weight_decay == 0 && r->beta2 > 0.9f,
          "zeros become defaults");
    for (int i = 0; i < 4; i++) CHECK_OK(hrm_trainer_step(trainer, little.data, &m));
    CHECK(m.lr >= 0 && m.lr < 1e-9, "the last rate is %g", m.lr);
    after = tensor_values(model, table, &n, NULL);
    CHECK(memcmp(before, after, n * sizeof *before) == 0, "a puzzle table without a rate moved");
    for (size_t i = 0; i < model->at.trained; i++)
        if (trainer->run->w.m[i] * trainer->run->w.m[i] > trainer->run->w.v[i] * 21) {
            CHECK(0, "element %zu: with beta1 0 the mean is the gradient itself", i);
            break;
        }
    hrm_trainer_destroy(trainer);
    trainer = NULL, td.no_beta1 = 0, td.beta1 = 1;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "beta1 is 1");
    td.beta1 = 0, td.puzzle_emb_lr = -1;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td)); /* the flag says 0 */
    hrm_trainer_destroy(trainer);
    trainer = NULL, td.no_puzzle_emb_lr = 0;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "puzzle_emb_lr is -1");
    free(before), free(after);
    hrm_model_destroy(model);
    hrm_dataset_close(little.data);
}

/* A loop of one's own takes the same steps as a trainer: gradients had, measured, applied apart. */
static void check_own_loop(void)
{
    enum { B = 8, STEPS = 6 };
    static little_data little;
    little_open(&little);
    hrm_model_desc d = small_desc();
    hrm_model *ours = NULL, *theirs = NULL;
    hrm_trainer *trainer = NULL;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    hrm_train_desc td;
    hrm_update_desc u;
    hrm_batch batch;
    hrm_position position;
    hrm_metrics expected, metrics;
    memset(&rd, 0, sizeof rd), memset(&td, 0, sizeof td), memset(&u, 0, sizeof u), memset(&position, 0, sizeof position);
    td.steps = STEPS, td.batch_size = B, td.lr = 1e-2f, td.seed = 2, td.no_warmup = 1;
    rd.rows = B, rd.train = rd.update = 1, rd.seed = 2;
    CHECK_OK(hrm_model_create(&ours, &d));
    CHECK_OK(hrm_model_create(&theirs, &d));
    model_decide(ours, 6), model_decide(theirs, 6);
    CHECK_OK(hrm_trainer_create(&trainer, theirs, &td));
    CHECK_OK(hrm_run_create(&run, ours, &rd));
    if (!run || !trainer) return;
    batch_make(&batch, B, d.seq_len);
    td = *hrm_trainer_describe(trainer);
    u.lr = td.lr, u.weight_decay = td.weight_decay, u.beta1 = td.beta1, u.beta2 = td.beta2;
    u.puzzle_emb_lr = td.puzzle_emb_lr, u.puzzle_emb_weight_decay = td.puzzle_emb_weight_decay;
    for (int step = 1; step <= STEPS; step++) {
        double norm = 0, sum = 0;
        CHECK_OK(hrm_dataset_next(little.data, &position, td.seed, 1, &batch, NULL));
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        CHECK_OK(hrm_run_backward(run));
        for (int i = 0; i < hrm_model_tensor_count(ours); i++) {
            hrm_tensor t;
            hrm_role role;
            CHECK_OK(hrm_model_tensor(ours, i, &t, &role));
            if (role != HRM_TRAINED) continue;
            hrm_real *g = (hrm_real *)malloc(t.bytes);
            CHECK_OK(hrm_run_gradient(run, i, g));
            for (size_t j = 0; j < t.bytes / sizeof *g; j++) sum += (double)g[j] * (double)g[j];
            free(g);
        }
        CHECK_OK(hrm_run_gradient_norm(run, &norm));
        CHECK(norm > 0 && fabs(norm * norm - sum) <= 1e-9 * sum, "step %d: norm %g, expected %g", step, norm, sqrt(sum));
        CHECK_OK(hrm_run_update(run, &u));
        CHECK_OK(hrm_run_gradient_norm(run, &norm));
        CHECK(norm == 0 && hrm_run_updates(run) == step, "gradients of norm %g are left after update %d", norm,
              (int)hrm_run_updates(run));
        CHECK_OK(hrm_run_metrics(run, &metrics));
        CHECK_OK(hrm_trainer_step(trainer, little.data, &expected));
        CHECK(metrics.lm_loss == expected.lm_loss && metrics.q_halt_loss == expected.q_halt_loss,
              "step %d: loss %g, the trainer's %g", step, metrics.lm_loss, expected.lm_loss);
    }
    CHECK(models_equal(ours, theirs), "weights differ from the trainer's");

    /* a gradient that is not finite: told, nothing moves, and the next good one is applied */
    hrm_model *before = NULL;
    const char *path = own_file("loop");
    CHECK_OK(hrm_model_save(ours, path));
    CHECK_OK(hrm_model_load(&before, path, NULL));
    double norm;
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    CHECK_OK(hrm_run_backward(run));
    run->w.grads[3] = (hrm_real)HUGE_VAL;
    CHECK_FAILS(hrm_run_gradient_norm(run, &norm), HRM_ERR_NAN, "norm");
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_NAN, "before this update");
    CHECK(models_equal(ours, before) && hrm_run_updates(run) == STEPS, "a bad gradient was applied");
    CHECK_OK(hrm_run_zero_gradients(run));
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_update(run, &u));
    CHECK(!models_equal(ours, before), "a good gradient was not applied");
    u.beta1 = 1;
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_ARGUMENT, "beta1");
    hrm_run_destroy(run);
    rd.update = 0, run = NULL;
    CHECK_OK(hrm_run_create(&run, ours, &rd));
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_ARGUMENT, "without update");
    hrm_run_destroy(run);
    rd.update = 1, rd.train = 0, run = NULL;
    CHECK_FAILS(hrm_run_create(&run, ours, &rd), HRM_ERR_ARGUMENT, "needs train");
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(ours), hrm_model_destroy(theirs), hrm_model_destroy(before);
    batch_free(&batch);
    hrm_dataset_close(little.data);
    remove(path);
}

/* Two trainers of one model that do not wait: each is told its own metrics, and a step that nobody asks about still tells of
 * errors. */
static void check_two_trainers(void)
{
    static little_data little;
    little_open(&little);
    hrm_device_table slow = *hrm_cpu_device(); /* a program's own table */
    slow.asynchronous = 1;
    hrm_model_desc d = small_desc();
    hrm_train_desc td[2];
    hrm_metrics ahead[2][9], plain[2][9];
    for (int pass = 0; pass < 2; pass++) {
        hrm_model *model = NULL;
        hrm_trainer *t[2] = {NULL, NULL};
        memset(td, 0, sizeof td);
        d.device_table = pass ? &slow : NULL;
        CHECK_OK(hrm_model_create(&model, &d));
        model_decide(model, 6);
        for (int i = 0; i < 2; i++) {
            td[i].steps = 20, td[i].batch_size = i ? 5 : 8, td[i].lr = 1e-2f, td[i].seed = 2;
            CHECK_OK(hrm_trainer_create(&t[i], model, &td[i]));
        }
        for (int step = 0; step < 8; step++)
            for (int i = 0; i < 2; i++) {
                hrm_metrics m;
                CHECK_OK(pass ? hrm_trainer_step_ahead(t[i], little.data, &m)
                              : hrm_trainer_step(t[i], little.data, &plain[i][step]));
                if (pass && step) ahead[i][step - 1] = m;
            }
        if (pass)
            for (int i = 0; i < 2; i++) {
                CHECK_OK(hrm_trainer_catch_up(t[i], &ahead[i][7]));
                for (int step = 0; step < 8; step++)
                    CHECK(memcmp(&ahead[i][step], &plain[i][step], sizeof plain[0][0]) == 0,
                          "trainer %d is told of step %d: %g rows, loss %g, expected %g and %g", i, step + 1,
                          ahead[i][step].rows, ahead[i][step].lm_loss, plain[i][step].rows, plain[i][step].lm_loss);
            }
        if (pass) { /* no metrics asked for: the error comes with the step after */
            model->params[model->at.lm_head] = (hrm_real)HUGE_VAL, model->stale = 1;
            CHECK_OK(hrm_trainer_step(t[0], little.data, NULL));
            CHECK_FAILS(hrm_trainer_step(t[0], little.data, NULL), HRM_ERR_NAN, "step 9");
        }
        hrm_trainer_destroy(t[0]), hrm_trainer_destroy(t[1]);
        hrm_model_destroy(model);
    }
    hrm_dataset_close(little.data);
}

/* Batches gathered ahead are the ones gathered in time, whatever happens to the data set meanwhile. */
static void check_gathering(void)
{
    static little_data little, other, bad;
    little_open(&little), little_open(&other), little_open(&bad);
    hrm_model_desc d = small_desc();
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    td.steps = 30, td.batch_size = 8, td.lr = 1e-2f, td.seed = 2;
    hrm_model *models[2] = {NULL, NULL};
    hrm_trainer *trainers[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        td.gather_ahead = i ? 1 : -1;
        CHECK_OK(hrm_model_create(&models[i], &d));
        CHECK_OK(hrm_trainer_create(&trainers[i], models[i], &td));
    }
    CHECK(hrm_trainer_describe(trainers[0])->gather_ahead == -1, "gather_ahead as resolved");
    bad.inputs[0] = 77; /* in this data set's first example only */
    for (int step = 1; step <= 30 && trainers[0] && trainers[1]; step++) {
        hrm_metrics m[2];
        hrm_dataset *data = step % 5 == 0 ? other.data : little.data;
        for (int i = 0; i < 2; i++) {
            if (step == 12 &&
                i == 1) { /* the set that the next batch was gathered from goes, another comes, maybe where it stood */
                hrm_dataset_close(little.data);
                little_open(&little);
                data = little.data;
            }
            if (step == 20) { /* others draw from it too */
                hrm_position position;
                hrm_batch batch;
                memset(&position, 0, sizeof position);
                batch_make(&batch, 8, 6);
                for (int k = 0; k < 20; k++) CHECK_OK(hrm_dataset_next(little.data, &position, 5, 1, &batch, NULL));
                batch_free(&batch);
            }
            CHECK_OK(hrm_trainer_step(trainers[i], data, &m[i]));
        }
        CHECK(memcmp(&m[0], &m[1], sizeof m[0]) == 0, "step %d differs when its batch was gathered ahead", step);
    }
    CHECK(models_equal(models[0], models[1]), "trainings differ");
    CHECK(hrm_trainer_step(trainers[1], little.data, NULL) == HRM_END, "a step past the last");
    for (int i = 0; i < 2; i++) hrm_trainer_destroy(trainers[i]), hrm_model_destroy(models[i]);

    /* an error found ahead is told at its own step, and told again */
    hrm_status found[2][10];
    char message[2][512];
    for (int i = 0; i < 2; i++) {
        hrm_model *model = NULL;
        hrm_trainer *trainer = NULL;
        td.gather_ahead = i ? 1 : -1, td.batch_size = 4;
        CHECK_OK(hrm_model_create(&model, &d));
        CHECK_OK(hrm_trainer_create(&trainer, model, &td));
        message[i][0] = 0;
        for (int k = 0; k < 10 && trainer; k++) {
            found[i][k] = hrm_trainer_step(trainer, bad.data, NULL);
            if (found[i][k] != HRM_OK) snprintf(message[i], sizeof message[i], "%s", hrm_error_message());
        }
        CHECK(found[i][9] == HRM_ERR_RANGE && found[i][0] == HRM_OK, "a token outside the vocabulary: %d, first %d",
              (int)found[i][9], (int)found[i][0]);
        if (i) hrm_dataset_close(bad.data); /* before the trainer that draws from it */
        hrm_trainer_destroy(trainer);
        hrm_model_destroy(model);
    }
    CHECK(memcmp(found[0], found[1], sizeof found[0]) == 0, "errors at other steps");
    CHECK(strcmp(message[0], message[1]) == 0, "'%s' and '%s'", message[0], message[1]);
    hrm_dataset_close(little.data);
    hrm_dataset_close(other.data);
}

/* Steps begun ahead of their metrics, as with a GPU: the CPU's table says that it does not wait. */
static void check_ahead(void)
{
    static little_data little;
    little_open(&little);
    hrm_device_table slow = *hrm_cpu_device(); /* a program's own table */
    slow.asynchronous = 1;
    hrm_model_desc d = small_desc();
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    td.steps = 12, td.batch_size = 8, td.lr = 1e-2f, td.seed = 2;
    hrm_model *models[3] = {NULL, NULL, NULL};
    hrm_trainer *trainers[3] = {NULL, NULL, NULL};
    hrm_metrics m[3], late;
    for (int i = 0; i < 3; i++) { /* waited for; not waited for; nothing to wait for */
        d.device_table = i == 1 ? &slow : NULL;
        CHECK_OK(hrm_model_create(&models[i], &d));
        CHECK_OK(hrm_trainer_create(&trainers[i], models[i], &td));
        if (!trainers[i]) return;
    }
    CHECK(hrm_trainer_describe(trainers[1])->gather_ahead == 1, "batches are gathered ahead where steps are not waited for");
    CHECK_OK(hrm_trainer_catch_up(trainers[1], &late));
    CHECK(late.step == 0, "nothing was begun");
    for (int step = 1; step <= 12; step++) {
        hrm_metrics before = m[0];
        CHECK_OK(hrm_trainer_step(trainers[0], little.data, &m[0]));
        CHECK_OK(hrm_trainer_step_ahead(trainers[1], little.data, &m[1]));
        CHECK_OK(hrm_trainer_step_ahead(trainers[2], little.data, &m[2]));
        CHECK(hrm_trainer_steps_done(trainers[1]) == step, "steps begun");
        CHECK(memcmp(&m[0], &m[2], sizeof m[0]) == 0, "step %d on the CPU", step);
        if (step == 1 || step == 8) CHECK(m[1].step == 0, "step %d tells of step %d", step, (int)m[1].step);
        else CHECK(memcmp(&before, &m[1], sizeof before) == 0, "step %d does not tell of the one before", step);
        if (step == 7) {
            CHECK_OK(hrm_trainer_catch_up(trainers[1], &late));
            CHECK(memcmp(&m[0], &late, sizeof late) == 0, "caught up with step 7");
            CHECK_OK(hrm_trainer_catch_up(trainers[1], &late));
            CHECK(late.step == 0, "told twice");
        }
    }
    CHECK(hrm_trainer_step_ahead(trainers[1], little.data, &m[1]) == HRM_END, "a step past the last");
    CHECK_OK(hrm_trainer_catch_up(trainers[1], &late));
    CHECK(memcmp(&m[0], &late, sizeof late) == 0, "the last step's metrics");
    CHECK(models_equal(models[0], models[1]) && models_equal(models[0], models[2]), "trainings differ");
    for (int i = 0; i < 3; i++) hrm_trainer_destroy(trainers[i]), hrm_model_destroy(models[i]);

    /* a loss that is not finite is told a step later, and nothing has moved */
    hrm_model *model = NULL, *as_it_was = NULL;
    hrm_trainer *trainer = NULL;
    CHECK_OK(hrm_model_create(&as_it_was, &d));
    d.device_table = &slow;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    CHECK_OK(hrm_trainer_step(trainer, little.data, &m[0]));
    for (int i = 0; i < hrm_model_tensor_count(model); i++) {
        size_t n = 0;
        hrm_real *p = tensor_values(model, i, &n, NULL);
        CHECK_OK(hrm_model_tensor_write(as_it_was, i, p));
        free(p);
    }
    hrm_position position = hrm_trainer_position(trainer);
    hrm_real good = model->params[model->at.lm_head];
    model->params[model->at.lm_head] = (hrm_real)INFINITY;
    model->stale = 1;
    CHECK_OK(hrm_trainer_step_ahead(trainer, little.data, &m[0]));
    CHECK_FAILS(hrm_trainer_step_ahead(trainer, little.data, &m[0]), HRM_ERR_NAN, "step 2");
    CHECK(hrm_trainer_steps_done(trainer) == 1, "done %d", (int)hrm_trainer_steps_done(trainer));
    hrm_position after = hrm_trainer_position(trainer);
    CHECK(memcmp(&position, &after, sizeof after) == 0, "the position moved");
    model->params[model->at.lm_head] = good;
    CHECK(models_equal(model, as_it_was), "weights moved after a loss that is not finite");
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model), hrm_model_destroy(as_it_was);
    hrm_dataset_close(little.data);
}

/* Training in float16 is a matter of the trainer's too: the scale, what overflows, what is skipped. A table of the CPU's own
 * calls stands for a GPU; it computes in float32, where a scale that is a power of two changes no bit of anything. */
static int overflows; /* the backward passes from now on whose gradient is not finite */
static hrm_status overflowing_passes_backward(hrm_device *dev, hrm_work *w, const hrm_pass *list, int n)
{
    hrm_status status = hrm_cpu_device()->passes_backward(dev, w, list, n);
    if (overflows > 0 && overflows--) {
        if (w->train == 3) w->puzzle_grad[0] = (hrm_real)NAN;
        else w->grads[w->at.net_offset[0] + 3] = (hrm_real)INFINITY;
    }
    return status;
}
static hrm_device_table float16_table(void)
{
    hrm_device_table t = *hrm_cpu_device();
    t.passes_backward = overflowing_passes_backward;
    return t;
}
static hrm_model_desc float16_desc(const hrm_device_table *table)
{
    hrm_model_desc d = small_desc();
    d.device = HRM_CUDA, d.device_table = table, d.forward_dtype = HRM_FORWARD_FLOAT16;
    return d;
}

static int same_moments(const hrm_trainer *a, const hrm_trainer *b)
{
    size_t n = a->model->at.trained * sizeof(hrm_real);
    return memcmp(a->run->w.m, b->run->w.m, n) == 0 && memcmp(a->run->w.v, b->run->w.v, n) == 0 &&
           memcmp(a->run->w.average, b->run->w.average, n) == 0;
}

static void check_loss_scale(void)
{
    enum { STEPS = 24, AT = 9, FOR = 3, GROW = 4 }; /* in these steps something overflows */
    const char *path = own_file("scaled");
    static little_data little;
    little_open(&little);
    hrm_device_table table = float16_table();
    hrm_model_desc d[3] = {small_desc(), float16_desc(&table), float16_desc(&table)};
    hrm_train_desc td;
    hrm_model *model[3] = {NULL, NULL, NULL}; /* float32; scaled; scaled, resumed from a state */
    hrm_trainer *t[3] = {NULL, NULL, NULL};
    hrm_metrics m[3];
    memset(&td, 0, sizeof td);
    td.steps = STEPS, td.batch_size = 8, td.lr = 1e-2f, td.seed = 2, td.ema = 1, td.grad_clip = 0.05f, td.grad_accumulation = 2;
    td.loss_scale_growth_interval = GROW;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(hrm_model_create(&model[i], &d[i]));
        model_decide(model[i], 6);
        CHECK_OK(hrm_trainer_create(&t[i], model[i], &td));
        if (!t[i]) return;
    }
    CHECK(t[0]->run->w.scaling == NULL && t[1]->run->w.scaling != NULL, "only float16 has a scale");
    double scale = 65536, skipped = 0;
    int good = 0;
    overflows = 0;
    for (int step = 1; step <= STEPS; step++) {
        int over = step >= AT && step < AT + FOR;
        size_t n = model[1]->at.trained;
        hrm_real *before = (hrm_real *)malloc(n * sizeof *before), *table_before = NULL;
        size_t rows = 0;
        int puzzles = hrm_model_tensor_find(model[1], "inner.puzzle_emb.weights");
        memcpy(before, model[1]->params, n * sizeof *before);
        table_before = tensor_values(model[1], puzzles, &rows, NULL);
        overflows = over; /* in the first of the two parts: the whole step goes */
        CHECK_OK(hrm_trainer_step(t[1], little.data, &m[1]));
        overflows = 0;
        good = over ? 0 : good + 1;
        if (over) scale /= 2, skipped++;
        if (good == GROW) scale *= 2, good = 0;
        CHECK(m[1].step == step && fabs(m[1].loss_scale - scale) <= 0 && fabs(m[1].skipped - skipped) <= 0,
              "step %d: scale %g, %g skipped, expected %g and %g", (int)m[1].step, m[1].loss_scale, m[1].skipped, scale,
              skipped);
        hrm_real *table_after = tensor_values(model[1], puzzles, &rows, NULL);
        CHECK((memcmp(before, model[1]->params, n * sizeof *before) == 0) == over, "step %d: the weights %s", step,
              over ? "moved" : "stand");
        CHECK((memcmp(table_before, table_after, rows * sizeof *table_after) == 0) == over, "step %d: the puzzle table", step);
        CHECK((m[1].grad_norm > 0) == !over, "step %d: norm %g", step, m[1].grad_norm);
        free(before), free(table_before), free(table_after);
        if (step < AT) { /* bit for bit what it is unscaled */
            CHECK_OK(hrm_trainer_step(t[0], little.data, &m[0]));
            CHECK(fabs(m[0].lm_loss - m[1].lm_loss) <= 0 && fabs(m[0].grad_norm - m[1].grad_norm) <= 0,
                  "step %d: loss %.17g and norm %.17g, unscaled %.17g and %.17g", step, m[1].lm_loss, m[1].grad_norm,
                  m[0].lm_loss, m[0].grad_norm);
        }
        if (step == AT - 1) {
            CHECK(models_equal(model[0], model[1]) && same_moments(t[0], t[1]), "scaled and not, %d steps differ", step);
            CHECK_OK(hrm_trainer_save(t[0], path, NULL, 0));
            hrm_tensors *file = NULL;
            CHECK_OK(hrm_tensors_open(&file, path, NULL));
            CHECK(file && !hrm_tensors_find(file, "loss_scale.scale"), "a state without float16 has a scale");
            hrm_tensors_close(file);
        }
        if (step == AT + FOR - 1) { /* moments and average are those before; schedule and data went on */
            CHECK(same_moments(t[0], t[1]) && models_equal(model[0], model[1]), "a skipped step left something");
            CHECK(hrm_trainer_steps_done(t[1]) == step, "a skipped step does not count");
            hrm_position seen = hrm_trainer_position(t[1]), unseen = hrm_trainer_position(t[0]);
            CHECK(seen.draws != unseen.draws || seen.group != unseen.group, "a skipped step takes no data");
            CHECK_OK(hrm_trainer_save(t[1], path, NULL, 0));
            CHECK_OK(hrm_trainer_load(t[2], path));
            CHECK(memcmp(t[1]->run->w.scaling, t[2]->run->w.scaling, offsetof(hrm_scaling, skip)) == 0, "the scale of a state");
        }
        if (step < AT + FOR) continue;
        CHECK_OK(hrm_trainer_step(t[2], little.data, &m[2]));
        CHECK(memcmp(&m[1], &m[2], sizeof m[1]) == 0, "step %d differs after resuming", step);
        if (step == AT + FOR + 1) { /* between two doublings, how far it is to the next counts too */
            CHECK(t[1]->run->w.scaling->good > 0, "no good step yet");
            CHECK_OK(hrm_trainer_save(t[1], path, NULL, 0));
            t[2]->run->w.scaling->good = 0;
            CHECK_OK(hrm_trainer_load(t[2], path));
            CHECK(t[2]->run->w.scaling->good == t[1]->run->w.scaling->good, "%d good steps in the state",
                  (int)t[2]->run->w.scaling->good);
        }
        double bias = 1 - pow((double)0.9f, step - FOR);
        CHECK(fabs((double)t[1]->run->w.step->bias1 - bias) <= 1e-6, "step %d: bias correction %g, expected %g", step,
              (double)t[1]->run->w.step->bias1, bias);
    }
    CHECK(models_equal(model[1], model[2]) && same_moments(t[1], t[2]), "the resumed run ends elsewhere");
    for (int i = 0; i < 3; i++) hrm_trainer_destroy(t[i]), hrm_model_destroy(model[i]);
    hrm_dataset_close(little.data);
    remove(path);
}

/* What no scale helps: an error that says so; a loss that is not finite is one at once. And the errors of descriptions. */
static void check_loss_scale_errors(void)
{
    static little_data little;
    little_open(&little);
    hrm_device_table table = float16_table();
    hrm_model_desc d = float16_desc(&table);
    hrm_train_desc td;
    hrm_metrics m;
    memset(&td, 0, sizeof td);
    td.steps = 100, td.batch_size = 8, td.lr = 1e-2f, td.seed = 2, td.loss_scale = 0.25f; /* 12 halvings from the least */
    for (int frozen = 0; frozen < 2; frozen++) {
        hrm_model *model = NULL, *as_it_was = NULL;
        hrm_trainer *t = NULL;
        td.freeze_weights = frozen;
        CHECK_OK(hrm_model_create(&as_it_was, &d));
        CHECK_OK(hrm_model_create(&model, &d));
        CHECK_OK(hrm_trainer_create(&t, model, &td));
        if (!t) return;
        overflows = 1000000;
        for (int step = 1; step <= 12; step++) CHECK_OK(hrm_trainer_step(t, little.data, &m));
        CHECK(fabs(m.skipped - 12) <= 0 && m.loss_scale <= (double)HRM_LOSS_SCALE_LEAST, "%g skipped", m.skipped);
        for (int again = 0; again < 2; again++)
            CHECK_FAILS(hrm_trainer_step(t, little.data, &m), HRM_ERR_NAN,
                        "step 13: the gradients are not finite even with a loss_scale");
        overflows = 0;
        CHECK_FAILS(hrm_trainer_step(t, little.data, &m), HRM_ERR_NAN, "loss_scale"); /* until a fresh carry */
        CHECK(models_equal(model, as_it_was), "weights moved");
        CHECK_OK(hrm_run_reset(hrm_trainer_run(t)));
        CHECK_OK(hrm_trainer_step(t, little.data, &m));
        CHECK(m.step == 13 && !models_equal(model, as_it_was), "a fresh carry goes on");
        hrm_trainer_destroy(t);
        hrm_model_destroy(model), hrm_model_destroy(as_it_was);
    }
    hrm_model *model = NULL;
    hrm_trainer *t = NULL;
    td.freeze_weights = 0, td.loss_scale = 0;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_trainer_create(&t, model, &td));
    CHECK_OK(hrm_trainer_step(t, little.data, &m));
    model->params[model->at.lm_head] = (hrm_real)INFINITY, model->stale = 1;
    CHECK_FAILS(hrm_trainer_step(t, little.data, &m), HRM_ERR_NAN, "step 2: the loss is not finite");
    CHECK(fabs((double)t->run->w.scaling->scale - 65536) <= 0 && t->run->w.scaling->skipped == 0, "that is no overflow");
    hrm_trainer_destroy(t), t = NULL;
    td.loss_scale = 1e-6f;
    CHECK_FAILS(hrm_trainer_create(&t, model, &td), HRM_ERR_ARGUMENT, "loss_scale is 1e-06, expected 6.10352e-05 to 1e30");
    td.loss_scale = -1;
    CHECK_FAILS(hrm_trainer_create(&t, model, &td), HRM_ERR_ARGUMENT, "loss_scale");
    hrm_model_destroy(model), model = NULL;
    d.device = HRM_CPU, d.device_table = NULL;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_UNSUPPORTED, "forward_dtype float16 is for CUDA; on the CPU float32");
    d.forward_dtype = HRM_FORWARD_DEFAULT, d.cycles_dtype = HRM_CYCLES_FP8;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_UNSUPPORTED, "fp8 is for CUDA with forward_dtype bfloat16, this model");
    d.cycles_dtype = (hrm_cycles_dtype)2;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "cycles_dtype 2 is not one of its values");
    hrm_dataset_close(little.data);
}

/* A run by one's own hand: gradients and their norm are read, and given, as they are without a scale. */
static void check_loss_scale_by_hand(void)
{
    enum { ROWS = 5 };
    hrm_device_table table = float16_table();
    hrm_model_desc d[2] = {small_desc(), float16_desc(&table)};
    hrm_model *model[2] = {NULL, NULL};
    hrm_run *run[2] = {NULL, NULL};
    hrm_run_desc rd;
    hrm_update_desc u;
    hrm_batch batch;
    hrm_metrics m;
    hrm_random r = hrm_random_make(3, 3);
    hrm_real dlogits[ROWS * 6 * 5], dq[2 * ROWS];
    memset(&rd, 0, sizeof rd), memset(&u, 0, sizeof u);
    rd.rows = ROWS, rd.train = rd.update = 1, rd.loss_scale = 1024;
    u.lr = 1e-2f, u.beta1 = 0.9f, u.beta2 = 0.95f, u.puzzle_emb_lr = 1e-2f;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(hrm_model_create(&model[i], &d[i]));
        model_decide(model[i], 6);
        CHECK_OK(hrm_run_create(&run[i], model[i], &rd));
        if (!run[i]) return;
    }
    batch_make(&batch, ROWS, d[0].seq_len);
    for (int step = 0; step < 4; step++) {
        double norm[2] = {0, 0};
        batch_draw(&batch, &d[0], &r);
        for (size_t i = 0; i < HRM__COUNT(dlogits); i++) dlogits[i] = (hrm_real)(hrm_random_uniform(&r) - 0.5);
        for (size_t i = 0; i < HRM__COUNT(dq); i++) dq[i] = (hrm_real)(hrm_random_uniform(&r) - 0.5);
        for (int i = 0; i < 2; i++)
            for (int twice = 0; twice < 2; twice++) { /* they add up */
                CHECK_OK(hrm_run_segment(run[i], &batch, NULL));
                if (step % 2) CHECK_OK(hrm_run_set_gradient(run[i], dlogits, dq));
                CHECK_OK(hrm_run_backward(run[i]));
            }
        for (int i = 0; i < 2; i++) CHECK_OK(hrm_run_gradient_norm(run[i], &norm[i]));
        CHECK(fabs(norm[0] - norm[1]) <= 0 && norm[0] > 0, "step %d: norm %.17g, unscaled %.17g", step, norm[1], norm[0]);
        for (int k = 0; k < hrm_model_tensor_count(model[0]); k++) {
            size_t n = 0;
            hrm_tensor x;
            hrm_real *g = tensor_values(model[0], k, &n, &x), *h = (hrm_real *)malloc((n + 512) * sizeof *h);
            if (strstr(x.name, "_init")) { free(g), free(h); continue; }
            if (strstr(x.name, "puzzle_emb")) n = ROWS * 12, g = (hrm_real *)realloc(g, n * sizeof *g);
            CHECK_OK(hrm_run_gradient(run[0], k, g));
            CHECK_OK(hrm_run_gradient(run[1], k, h));
            CHECK(memcmp(g, h, n * sizeof *g) == 0, "step %d: the gradient of %s", step, x.name);
            free(g), free(h);
        }
        for (int i = 0; i < 2; i++) CHECK_OK(hrm_run_update(run[i], &u));
        CHECK(models_equal(model[0], model[1]) && hrm_run_updates(run[1]) == step + 1, "step %d: the update", step);
    }
    overflows = 1;
    CHECK_OK(hrm_run_segment(run[1], &batch, NULL));
    CHECK_OK(hrm_run_backward(run[1]));
    double norm;
    CHECK_FAILS(hrm_run_gradient_norm(run[1], &norm), HRM_ERR_NAN, "norm");
    CHECK_OK(hrm_run_update(run[1], &u)); /* skipped */
    CHECK_OK(hrm_run_metrics(run[1], &m));
    CHECK(models_equal(model[0], model[1]) && hrm_run_updates(run[1]) == 4, "an overflow moved something");
    CHECK(fabs(m.loss_scale - 512) <= 0 && fabs(m.skipped - 1) <= 0, "scale %g, %g skipped", m.loss_scale, m.skipped);
    for (int i = 0; i < 2; i++) { /* and the next is the fifth */
        if (i == 0) CHECK_OK(hrm_run_reset(run[0])); /* the carries are others by now */
        if (i == 1) CHECK_OK(hrm_run_reset(run[1]));
        CHECK_OK(hrm_run_segment(run[i], &batch, NULL));
        CHECK_OK(hrm_run_backward(run[i]));
        CHECK_OK(hrm_run_update(run[i], &u));
    }
    CHECK(models_equal(model[0], model[1]) && hrm_run_updates(run[1]) == 5, "after an overflow");
    for (int i = 0; i < 2; i++) hrm_run_destroy(run[i]), hrm_model_destroy(model[i]);
    batch_free(&batch);
}

/* start_noise: normal numbers of that deviation, each state's, copy's and seed's its own, the same for every puzzle; a puzzle's
 * answer does not depend on what else is in the call. */
static void check_start_noise(void)
{
    enum { N = 20000, COPIES = 3, PUZZLES = 4, ROWS = COPIES * PUZZLES };
    hrm_step s;
    memset(&s, 0, sizeof s);
    s.start_noise = 0.5f, s.copies = COPIES, s.noise_seed = 9;
    double sum[5] = {0}, squares[5] = {0}, product[5] = {0}, fourth = 0;
    for (uint32_t i = 0; i < N; i++) {
        double x[5];
        for (int k = 0; k < 5; k++) {
            s.noise_seed = k == 4 ? 10 : 9;
            x[k] = (double)hrm__start_noise(&s, k == 1 ? 1 : k == 2 ? COPIES : 0, k == 3, i);
            sum[k] += x[k], squares[k] += x[k] * x[k], product[k] += x[k] * x[0];
        }
        fourth += x[0] * x[0] * x[0] * x[0];
        CHECK(x[2] == x[0], "row %d is the first copy again", COPIES);
    }
    for (int k = 0; k < 5; k++) {
        CHECK(fabs(sum[k] / N) < 0.02, "mean of the noise %g", sum[k] / N);
        CHECK(fabs(squares[k] / N - 0.25) < 0.02, "its square %g", squares[k] / N);
        if (k != 0 && k != 2) CHECK(fabs(product[k] / N) < 0.02, "noise %d goes with the first", k);
    }
    CHECK(fabs(fourth / N - 3 * 0.0625) < 0.02, "fourth moment %g of a normal number", fourth / N);

    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    hrm_solve_desc how;
    hrm_solve_result all[ROWS], one[COPIES], plain[ROWS];
    int32_t puzzles[ROWS * 64], answers[ROWS * 64];
    hrm_random r = hrm_random_make(3, 3);
    CHECK_OK(hrm_model_create(&model, &d));
    hrm_real weight[2 * 64]; /* zeros as initialised: every q would be the same */
    for (int i = 0; i < 2 * 64; i++) weight[i] = (hrm_real)hrm_random_uniform(&r);
    CHECK(hrm_model_describe(model)->hidden_size <= 64, "the head's weights fit");
    CHECK_OK(hrm_model_tensor_write(model, hrm_model_tensor_find(model, "inner.q_head.weight"), weight));
    int T = hrm_model_describe(model)->seq_len;
    CHECK(T <= 64, "the puzzles fit");
    for (int i = 0; i < PUZZLES * T; i++) {
        int32_t token = (int32_t)hrm_random_below(&r, (uint32_t)d.vocab_size);
        for (int k = 0; k < COPIES; k++) puzzles[(i / T * COPIES + k) * T + i % T] = token;
    }
    memset(&how, 0, sizeof how);
    how.rows = ROWS, how.no_halting = 1, how.max_steps = 2, how.results = plain;
    CHECK_OK(hrm_solve(model, puzzles, answers, &how));
    for (int i = 0; i < ROWS; i++)
        CHECK(plain[i].q_halt == plain[i / COPIES * COPIES].q_halt, "copies without noise are equal");
    how.start_noise = 0.5f, how.copies = COPIES, how.noise_seed = 4, how.results = all;
    CHECK_OK(hrm_solve(model, puzzles, answers, &how));
    how.rows = COPIES, how.results = one;
    for (int p = 0; p < PUZZLES; p++) {
        CHECK_OK(hrm_solve(model, puzzles + p * COPIES * T, answers, &how));
        for (int k = 0; k < COPIES; k++)
            CHECK(one[k].q_halt == all[p * COPIES + k].q_halt, "puzzle %d, copy %d: alone another answer", p, k);
    }
    CHECK(all[0].q_halt != all[1].q_halt && all[0].q_halt != plain[0].q_halt, "noise changes what comes out");
    how.rows = ROWS, how.start_noise = 0, how.results = all;
    CHECK_OK(hrm_solve(model, puzzles, answers, &how));
    for (int i = 0; i < ROWS; i++) CHECK(all[i].q_halt == plain[i].q_halt, "the next call without noise has none");
    hrm_model_destroy(model);
}

/* A pass without gradient stops it: what wrote its state before learns nothing through it. */
static void check_detached(void)
{
    enum { B = 2, ROOM = 4096 };
    static const int layers[2] = {1, 1};
    static hrm_real learned[2][ROOM];
    size_t count[2] = {0, 0};
    for (int k = 0; k < 2; k++) { /* the first pass with gradient, and without */
        hrm_pass passes[3] = {{1, 1, HRM_INPUT_E, 0, 0, 0, 0}, {1, 1, HRM_INPUT_E, 1, -1, 0, 0}, {0, 0, 1u << 1, 2, 0, 0, 0}};
        hrm_recurrence recurrence = {2, 2, layers, 3, passes};
        hrm_model_desc d = small_desc();
        hrm_model *model = NULL;
        hrm_run *run = NULL;
        hrm_run_desc rd;
        hrm_batch batch;
        passes[0].slot = k ? -1 : 0;
        d.recurrence = &recurrence;
        memset(&rd, 0, sizeof rd);
        rd.rows = B, rd.train = 1;
        CHECK_OK(hrm_model_create(&model, &d));
        CHECK_OK(hrm_run_create(&run, model, &rd));
        if (!run) return;
        batch_make(&batch, B, d.seq_len);
        hrm_random random = hrm_random_make(5, 0);
        batch_draw(&batch, hrm_model_describe(model), &random);
        CHECK_OK(hrm_run_segment(run, &batch, NULL));
        CHECK_OK(hrm_run_backward(run));
        for (int i = 0; i < hrm_model_tensor_count(model); i++) {
            hrm_tensor x;
            hrm_role role;
            CHECK_OK(hrm_model_tensor(model, i, &x, &role));
            if (role != HRM_TRAINED || count[k] + x.bytes / sizeof(hrm_real) > ROOM) continue;
            CHECK_OK(hrm_run_gradient(run, i, learned[k] + count[k]));
            count[k] += x.bytes / sizeof(hrm_real);
        }
        batch_free(&batch);
        hrm_run_destroy(run);
        hrm_model_destroy(model);
    }
    CHECK(count[0] > 1000 && count[0] == count[1], "%d and %d gradients", (int)count[0], (int)count[1]);
    size_t differ = 0, any = 0;
    for (size_t i = 0; i < count[0]; i++) differ += learned[0][i] != learned[1][i], any += learned[1][i] != 0;
    CHECK(!differ && any, "%d of %d gradients went through a pass without", (int)differ, (int)count[0]);
}

/* Gradients that are not finite stay a caller's to remove, whatever becomes of the carry. */
static void check_reset_after_nan(void)
{
    enum { B = 2 };
    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    hrm_update_desc u;
    hrm_batch batch;
    double norm;
    memset(&rd, 0, sizeof rd), memset(&u, 0, sizeof u);
    rd.rows = B, rd.train = rd.update = 1;
    u.lr = 1e-3f, u.beta1 = 0.9f, u.beta2 = 0.95f;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_run_create(&run, model, &rd));
    if (!run) return;
    batch_make(&batch, B, d.seq_len);
    hrm_random random = hrm_random_make(5, 0);
    batch_draw(&batch, hrm_model_describe(model), &random);
    int head = hrm_model_tensor_find(model, "inner.lm_head.weight");
    hrm_tensor x;
    CHECK_OK(hrm_model_tensor(model, head, &x, NULL));
    size_t n = x.bytes / sizeof(hrm_real);
    hrm_real *kept = (hrm_real *)malloc(x.bytes), *huge = (hrm_real *)malloc(x.bytes);
    CHECK_OK(hrm_model_tensor_read(model, head, kept));
    const double most = sizeof(hrm_real) == 4 ? (double)FLT_MAX : DBL_MAX;
    for (size_t i = 0; i < n; i++) huge[i] = (hrm_real)(i % 2 ? most : -most);
    CHECK_OK(hrm_model_tensor_write(model, head, huge));
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    CHECK_OK(hrm_run_backward(run));
    CHECK_FAILS(hrm_run_gradient_norm(run, &norm), HRM_ERR_NAN, "norm is");
    CHECK_OK(hrm_model_tensor_write(model, head, kept));
    CHECK_OK(hrm_run_reset(run));
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    CHECK_OK(hrm_run_backward(run));
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_NAN, "");
    CHECK_OK(hrm_model_tensor_read(model, head, huge));
    CHECK(memcmp(kept, huge, x.bytes) == 0, "weights moved");
    CHECK_OK(hrm_run_zero_gradients(run));
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    CHECK_OK(hrm_run_backward(run));
    CHECK_OK(hrm_run_gradient_norm(run, &norm));
    CHECK_OK(hrm_run_update(run, &u));
    free(kept), free(huge);
    batch_free(&batch);
    hrm_run_destroy(run);
    hrm_model_destroy(model);
}

int main(void)
{
    check_loss_scale();
    check_loss_scale_errors();
    check_loss_scale_by_hand();
    check_gathering();
    check_ahead();
    check_schedule();
    check_optimizers();
    check_halting();
    check_start_noise();
    check_exploration();
    check_carry();
    check_metrics();
    check_states();
    check_watch();
    check_first_example();
    check_trainer();
    check_resume();
    check_bad_values();
    check_state_of_the_steps_done();
    check_state_of_an_optimizer();
    check_state_of_the_warmup();
    check_puzzle_gradient();
    check_two_trainers();
    check_own_loop();
    check_zeros();
    check_detached();
    check_reset_after_nan();
    return test_summary();
}
