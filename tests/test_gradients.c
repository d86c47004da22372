/* Every backward pass against central differences, in double: each public layer with upstream gradients that differ from
 * element to element, and the whole segment through a run. The checker itself is checked: backward passes that are wrong in
 * the ways one gets them wrong, and single elements that are off, must not get past it. */
#define hrm_real double
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

#define STEP      1e-5
#define TOLERANCE 2e-8 /* the truncation of central differences is about 1e-10, their rounding 1e-11 */

/* ---- a layer: inputs in, one scalar out -------------------------------------------------------------------------------
 * The scalar is sum(u y) with fixed u, so that u is the upstream gradient. `gradient` writes what the backward pass says.
 */
#define MAX_INPUTS 3
typedef struct layer layer;
struct layer {
    const char *name;
    size_t a, b, c, d; /* sizes, each layer's own */
    int flag;
    double smoothing;
    int num_inputs;
    size_t n[MAX_INPUTS], outputs;
    double *x[MAX_INPUTS], *dx[MAX_INPUTS];
    double *y, *u, *cache, *scratch;
    int32_t *tokens;
    void (*forward)(layer *l);  /* x -> y, cache */
    void (*backward)(layer *l); /* u, x, y, cache -> dx */
};

static double *draw(size_t n, hrm_random *r, double scale)
{
    double *p = (double *)malloc((n + 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = scale * (2 * hrm_random_uniform(r) - 1);
    return p;
}

static void layer_open(layer *l, hrm_random *r)
{
    for (int k = 0; k < l->num_inputs; k++) {
        l->x[k] = draw(l->n[k], r, 1.5);
        l->dx[k] = (double *)calloc(l->n[k] + 1, sizeof(double));
    }
    l->u = draw(l->outputs, r, 2);
    l->y = (double *)calloc(l->outputs + 1, sizeof(double));
}

static void layer_close(layer *l)
{
    for (int k = 0; k < l->num_inputs; k++) free(l->x[k]), free(l->dx[k]);
    free(l->u), free(l->y), free(l->cache), free(l->scratch), free(l->tokens);
}

static double layer_value(layer *l)
{
    double sum = 0;
    l->forward(l);
    for (size_t i = 0; i < l->outputs; i++) sum += l->u[i] * l->y[i];
    return sum;
}

static double numeric(layer *l, int k, size_t i)
{
    double x = l->x[k][i], above, below;
    l->x[k][i] = x + STEP, above = layer_value(l);
    l->x[k][i] = x - STEP, below = layer_value(l);
    l->x[k][i] = x;
    return (above - below) / (2 * STEP);
}

/* The largest relative error over the inputs; the analytic gradients are left in dx. */
static double layer_error(layer *l)
{
    double worst = 0;
    for (int k = 0; k < l->num_inputs; k++) memset(l->dx[k], 0, l->n[k] * sizeof(double));
    (void)layer_value(l);
    l->backward(l);
    for (int k = 0; k < l->num_inputs; k++) {
        double *g = (double *)malloc((l->n[k] + 1) * sizeof *g);
        for (size_t i = 0; i < l->n[k]; i++) g[i] = numeric(l, k, i);
        double error = relative_error(l->dx[k], g, l->n[k]);
        if (error > worst) worst = error;
        free(g);
    }
    return worst;
}

/* ---- the layers ------------------------------------------------------------------------------------------------------ */
static void linear_forward(layer *l)
{
    hrm_linear_forward(l->y, l->x[0], l->x[1], l->flag ? l->x[2] : NULL, l->a, l->b, l->c, l->scratch);
}
static void linear_backward(layer *l)
{
    hrm_linear_backward(l->dx[0], l->dx[1], l->flag ? l->dx[2] : NULL, l->u, l->x[0], l->x[1], l->a, l->b, l->c, l->scratch);
}
static void embedding_forward(layer *l) { hrm_embedding_forward(l->y, l->tokens, l->x[0], l->a, l->b); }
static void embedding_backward(layer *l) { hrm_embedding_backward(l->dx[0], l->u, l->tokens, l->a, l->b); }

/* a B, b S, c heads, d head_dim; positions stand `stride` apart, and what lies between must pass unchanged */
static size_t rope_stride(const layer *l) { return l->c * l->d + 3; }
static void rope_forward(layer *l)
{
    memcpy(l->y, l->x[0], l->outputs * sizeof(double));
    hrm_rope_forward(l->y, l->cache, l->cache + l->b * l->d / 2, l->a, l->b, l->c, l->d, rope_stride(l));
}
static void rope_backward(layer *l)
{
    memcpy(l->dx[0], l->u, l->outputs * sizeof(double));
    hrm_rope_backward(l->dx[0], l->cache, l->cache + l->b * l->d / 2, l->a, l->b, l->c, l->d, rope_stride(l));
}
static void attention_forward(layer *l)
{
    hrm_attention_forward(l->y, l->cache, l->x[0], l->a, l->b, l->c, l->d, l->flag, l->scratch);
}
static void attention_backward(layer *l)
{
    hrm_attention_backward(l->dx[0], l->u, l->x[0], l->y, l->cache, l->a, l->b, l->c, l->d, l->flag, l->scratch);
}
static void swiglu_forward(layer *l) { hrm_swiglu_forward(l->y, l->x[0], l->a, l->b); }
static void swiglu_backward(layer *l) { hrm_swiglu_backward(l->dx[0], l->u, l->x[0], l->a, l->b); }
static void swiglu_norm_forward(layer *l) { hrm_swiglu_norm_forward(l->y, l->x[0], l->a, l->b, 1e-3); }
static void swiglu_norm_backward(layer *l) { hrm_swiglu_norm_backward(l->dx[0], l->u, l->x[0], l->a, l->b, 1e-3); }
static void rms_norm_forward(layer *l)
{
    hrm_rms_norm_forward(l->y, l->cache, l->x[0], l->flag ? l->x[1] : NULL, l->a, l->b, 1e-3);
}
static void rms_norm_backward(layer *l)
{
    hrm_rms_norm_backward(l->dx[0], l->u, l->y, l->cache, l->a, l->b);
    if (l->flag) memcpy(l->dx[1], l->dx[0], l->n[1] * sizeof(double)); /* the same for both, see the function */
}
static void cross_entropy_forward(layer *l)
{
    int correct = 0, labelled = 0;
    l->y[0] = hrm_cross_entropy_smoothed((hrm_loss_type)l->flag, l->smoothing, NULL, l->x[0], l->tokens, l->a, l->b, 1,
                                         &correct, &labelled);
}
static void cross_entropy_backward(layer *l)
{
    int correct = 0, labelled = 0;
    (void)hrm_cross_entropy_smoothed((hrm_loss_type)l->flag, l->smoothing, l->dx[0], l->x[0], l->tokens, l->a, l->b, l->u[0],
                                     &correct, &labelled);
}
static void bce_forward(layer *l)
{
    for (size_t i = 0; i < l->outputs; i++) l->y[i] = hrm_bce(4 * l->x[0][i], (double)i / (double)(l->outputs - 1), NULL);
}
static void bce_backward(layer *l)
{
    for (size_t i = 0; i < l->outputs; i++) {
        double g;
        (void)hrm_bce(4 * l->x[0][i], (double)i / (double)(l->outputs - 1), &g);
        l->dx[0][i] = 4 * g * l->u[i];
    }
}

/* ---- wrong backward passes ------------------------------------------------------------------------------------------- */
static void rms_norm_without_mean(layer *l) /* forgets that the norm depends on every element */
{
    for (size_t i = 0; i < l->n[0]; i++) l->dx[0][i] = l->cache[i / l->b] * l->u[i];
    if (l->flag) memcpy(l->dx[1], l->dx[0], l->n[1] * sizeof(double));
}
static void swiglu_without_sigmoid_slope(layer *l) /* silu' taken for the sigmoid alone */
{
    swiglu_backward(l);
    for (size_t i = 0; i < l->a * l->b; i++) {
        size_t row = i / l->b, column = i % l->b;
        double gate = l->x[0][row * 2 * l->b + column], up = l->x[0][row * 2 * l->b + l->b + column];
        l->dx[0][row * 2 * l->b + column] = l->u[i] * up / (1 + exp(-gate));
    }
}
static void swiglu_norm_constant(layer *l) /* takes the norm's factor for a constant */
{
    for (size_t i = 0; i < l->a; i++) {
        const double *g = l->x[0] + i * 2 * l->b, *u = g + l->b;
        double squares = 0;
        for (size_t j = 0; j < l->b; j++) squares += g[j] * u[j] * g[j] * u[j];
        double r = 1 / sqrt(squares / (double)l->b + 1e-3);
        for (size_t j = 0; j < l->b; j++) {
            double s = 1 / (1 + exp(-g[j])), d = l->u[i * l->b + j];
            l->dx[0][i * 2 * l->b + j] = d * r * (s * (1 - s) * g[j] + s) * u[j];
            l->dx[0][i * 2 * l->b + l->b + j] = d * r * s * g[j];
        }
    }
}
static void rope_rotated_forward(layer *l) /* turns the gradient on instead of back */
{
    memcpy(l->dx[0], l->u, l->outputs * sizeof(double));
    hrm_rope_forward(l->dx[0], l->cache, l->cache + l->b * l->d / 2, l->a, l->b, l->c, l->d, rope_stride(l));
}
static void attention_other_mask(layer *l)
{
    hrm_attention_backward(l->dx[0], l->u, l->x[0], l->y, l->cache, l->a, l->b, l->c, l->d, !l->flag, l->scratch);
}
static void linear_without_bias_sum(layer *l) /* the bias gets the last row only */
{
    linear_backward(l);
    if (l->flag) memcpy(l->dx[2], l->u + (l->a - 1) * l->b, l->b * sizeof(double));
}
static void embedding_last_wins(layer *l) /* repeated tokens overwrite each other */
{
    for (size_t i = 0; i < l->a; i++) memcpy(l->dx[0] + (size_t)l->tokens[i] * l->b, l->u + i * l->b, l->b * sizeof(double));
}
static void cross_entropy_ignored_counted(layer *l) /* ignored tokens pull at the logits too */
{
    cross_entropy_backward(l);
    for (size_t t = 0; t < l->a; t++)
        for (size_t v = 0; l->tokens[t] < 0 && v < l->b; v++) l->dx[0][t * l->b + v] += 1e-3;
}

static void check_layer(layer *l, void (*broken)(layer *l), hrm_random *r)
{
    double error = layer_error(l);
    CHECK(error < TOLERANCE, "%s (%zu, %zu, %zu, %zu, %d): gradient off by %.2e", l->name, l->a, l->b, l->c, l->d, l->flag,
          error);
    if (broken) {
        void (*right)(layer *) = l->backward;
        l->backward = broken;
        error = layer_error(l);
        CHECK(error > 1000 * TOLERANCE, "%s: a broken backward pass got past the checker with %.2e", l->name, error);
        l->backward = right;
    }
    /* Parameter gradients are added to what is there, activation gradients replace it: told by the layer's own kind. */
    for (int k = 0; k < l->num_inputs; k++) { /* one element slightly off must be seen too */
        memset(l->dx[k], 0, l->n[k] * sizeof(double));
        size_t i = hrm_random_below(r, (uint32_t)l->n[k]);
        double norm = 0, numeric_gradient = numeric(l, k, i);
        for (int j = 0; j < l->num_inputs; j++) memset(l->dx[j], 0, l->n[j] * sizeof(double));
        (void)layer_value(l);
        l->backward(l);
        for (size_t j = 0; j < l->n[k]; j++) norm += l->dx[k][j] * l->dx[k][j];
        CHECK(fabs(l->dx[k][i] - numeric_gradient) <= TOLERANCE * sqrt(norm), "%s: input %d element %zu: %.12g, numeric %.12g",
              l->name, k, i, l->dx[k][i], numeric_gradient);
        CHECK(fabs(l->dx[k][i] + 1e-4 * sqrt(norm) - numeric_gradient) > TOLERANCE * sqrt(norm),
              "%s: input %d: a wrong element was not seen", l->name, k);
    }
}

/* Parameter gradients accumulate: twice the backward pass is twice the gradient. Activation gradients are assigned. */
static void check_accumulates(layer *l, const int *accumulates)
{
    double *once[MAX_INPUTS];
    for (int k = 0; k < l->num_inputs; k++) memset(l->dx[k], 0, l->n[k] * sizeof(double));
    (void)layer_value(l);
    l->backward(l);
    for (int k = 0; k < l->num_inputs; k++) {
        once[k] = (double *)malloc((l->n[k] + 1) * sizeof(double));
        memcpy(once[k], l->dx[k], l->n[k] * sizeof(double));
    }
    l->backward(l);
    for (int k = 0; k < l->num_inputs; k++) {
        for (size_t i = 0; i < l->n[k]; i++) once[k][i] *= accumulates[k] ? 2 : 1;
        CHECK(relative_error(l->dx[k], once[k], l->n[k]) < 1e-14, "%s: input %d %s", l->name, k,
              accumulates[k] ? "is not accumulated" : "is not assigned");
        free(once[k]);
    }
}

static void check_layers(void)
{
    hrm_random r = hrm_random_make(1, 1);
    static const size_t linear_sizes[][3] = {{5, 7, 9}, {1, 2, 3}, {17, 33, 40}, {4, 64, 16}, {31, 10, 65}};
    for (size_t s = 0; s < HRM__COUNT(linear_sizes); s++) {
        for (int bias = 0; bias < 2; bias++) {
            layer l;
            memset(&l, 0, sizeof l);
            l.name = "linear", l.forward = linear_forward, l.backward = linear_backward, l.flag = bias;
            l.a = linear_sizes[s][0], l.b = linear_sizes[s][1], l.c = linear_sizes[s][2];
            l.num_inputs = 2 + bias;
            l.n[0] = l.a * l.c, l.n[1] = l.b * l.c, l.n[2] = l.b, l.outputs = l.a * l.b;
            l.scratch = draw(hrm_linear_scratch(l.b, l.c), &r, 1e300);
            layer_open(&l, &r);
            check_layer(&l, bias && l.a > 1 ? linear_without_bias_sum : NULL, &r);
            const int kinds[3] = {0, 1, 1};
            check_accumulates(&l, kinds);
            double *dw = (double *)calloc(l.n[1], sizeof(double)); /* without dx the rest is the same */
            memset(l.dx[1], 0, l.n[1] * sizeof(double));
            hrm_linear_backward(l.dx[0], l.dx[1], NULL, l.u, l.x[0], l.x[1], l.a, l.b, l.c, l.scratch);
            hrm_linear_backward(NULL, dw, NULL, l.u, l.x[0], l.x[1], l.a, l.b, l.c, l.scratch);
            CHECK(memcmp(dw, l.dx[1], l.n[1] * sizeof(double)) == 0, "linear: dw depends on whether dx is wanted");
            free(dw);
            layer_close(&l);
        }
    }
    {
        layer l;
        memset(&l, 0, sizeof l);
        l.name = "embedding", l.forward = embedding_forward, l.backward = embedding_backward;
        l.a = 11, l.b = 6, l.num_inputs = 1, l.n[0] = 4 * l.b, l.outputs = l.a * l.b;
        l.tokens = (int32_t *)calloc(l.a, sizeof(int32_t));
        for (size_t i = 0; i < l.a; i++) l.tokens[i] = (int32_t)hrm_random_below(&r, 4);
        layer_open(&l, &r);
        check_layer(&l, embedding_last_wins, &r);
        const int kinds[1] = {1};
        check_accumulates(&l, kinds);
        layer_close(&l);
    }
    static const size_t rope_sizes[][4] = {{2, 5, 3, 4}, {1, 3, 1, 2}, {2, 4, 2, 16}};
    for (size_t s = 0; s < HRM__COUNT(rope_sizes); s++) {
        layer l;
        memset(&l, 0, sizeof l);
        l.name = "rope", l.forward = rope_forward, l.backward = rope_backward;
        l.a = rope_sizes[s][0], l.b = rope_sizes[s][1], l.c = rope_sizes[s][2], l.d = rope_sizes[s][3];
        l.num_inputs = 1, l.n[0] = l.outputs = l.a * l.b * rope_stride(&l);
        l.cache = (double *)calloc(l.b * l.d, sizeof(double));
        hrm_rope_table(l.cache, l.cache + l.b * l.d / 2, l.b, l.d, 100);
        layer_open(&l, &r);
        check_layer(&l, rope_rotated_forward, &r);
        layer_close(&l);
    }
    static const size_t attention_sizes[][4] = {{2, 5, 3, 4}, {1, 1, 1, 8}, {1, 19, 2, 6}, {2, 33, 1, 2}};
    for (size_t s = 0; s < HRM__COUNT(attention_sizes); s++) {
        for (int causal = 0; causal < 2; causal++) {
            layer l;
            memset(&l, 0, sizeof l);
            l.name = "attention", l.forward = attention_forward, l.backward = attention_backward, l.flag = causal;
            l.a = attention_sizes[s][0], l.b = attention_sizes[s][1], l.c = attention_sizes[s][2], l.d = attention_sizes[s][3];
            l.num_inputs = 1, l.outputs = l.a * l.b * l.c * l.d, l.n[0] = 3 * l.outputs;
            l.cache = (double *)calloc(l.a * l.b * l.c, sizeof(double));
            l.scratch = draw(hrm_attention_scratch(l.b, l.d), &r, 1e300);
            layer_open(&l, &r);
            check_layer(&l, l.b > 1 ? attention_other_mask : NULL, &r);
            layer_close(&l);
        }
    }
    static const size_t row_sizes[][2] = {{4, 7}, {1, 1}, {3, 40}};
    for (size_t s = 0; s < HRM__COUNT(row_sizes); s++) {
        layer l;
        memset(&l, 0, sizeof l);
        l.name = "swiglu", l.forward = swiglu_forward, l.backward = swiglu_backward;
        l.a = row_sizes[s][0], l.b = row_sizes[s][1];
        l.num_inputs = 1, l.outputs = l.a * l.b, l.n[0] = 2 * l.outputs;
        layer_open(&l, &r);
        check_layer(&l, swiglu_without_sigmoid_slope, &r);
        l.name = "swiglu norm", l.forward = swiglu_norm_forward, l.backward = swiglu_norm_backward;
        check_layer(&l, swiglu_norm_constant, &r);
        layer_close(&l);
        for (int with_f = 0; with_f < 2; with_f++) {
            memset(&l, 0, sizeof l);
            l.name = "rms norm", l.forward = rms_norm_forward, l.backward = rms_norm_backward, l.flag = with_f;
            l.a = row_sizes[s][0], l.b = row_sizes[s][1] + 1;
            l.num_inputs = 1 + with_f, l.outputs = l.n[0] = l.n[1] = l.a * l.b;
            l.cache = (double *)calloc(l.a, sizeof(double));
            layer_open(&l, &r);
            check_layer(&l, rms_norm_without_mean, &r);
            layer_close(&l);
        }
    }
    for (int kind = 0; kind < 4; kind++) {
        layer l;
        int type = kind % 2;
        memset(&l, 0, sizeof l);
        l.smoothing = kind < 2 ? 0 : 0.3;
        l.name = type ? "softmax cross entropy" : "stablemax cross entropy";
        l.forward = cross_entropy_forward, l.backward = cross_entropy_backward, l.flag = type;
        l.a = 6, l.b = 5, l.num_inputs = 1, l.n[0] = l.a * l.b, l.outputs = 1;
        l.tokens = (int32_t *)calloc(l.a, sizeof(int32_t));
        for (size_t i = 0; i < l.a; i++) l.tokens[i] = i == 1 || i == 4 ? -100 : (int32_t)hrm_random_below(&r, 5);
        layer_open(&l, &r);
        check_layer(&l, cross_entropy_ignored_counted, &r);
        for (size_t i = 0; i < l.a; i++) l.tokens[i] = -100; /* no label: no loss, no gradient, divisor 1 */
        int correct = -1, labelled = -1;
        double loss = hrm_cross_entropy_smoothed((hrm_loss_type)type, l.smoothing, l.dx[0], l.x[0], l.tokens, l.a, l.b, 1,
                                                 &correct, &labelled),
               sum = 0;
        for (size_t i = 0; i < l.n[0]; i++) sum += fabs(l.dx[0][i]);
        CHECK(fabs(loss) <= 0 && sum <= 0 && correct == 0 && labelled == 0, "%s: a row without labels has loss %g", l.name,
              loss);
        layer_close(&l);
    }
    layer l;
    memset(&l, 0, sizeof l);
    l.name = "bce", l.forward = bce_forward, l.backward = bce_backward;
    l.num_inputs = 1, l.n[0] = l.outputs = 9;
    layer_open(&l, &r);
    check_layer(&l, NULL, &r);
    layer_close(&l);
    double g;
    CHECK(hrm_bce(1000, 0, &g) > 999 && fabs(g - 1) < 1e-12 && hrm_bce(-1000, 1, &g) > 999 && fabs(g + 1) < 1e-12,
          "bce overflows on large logits");
}

/* ---- the whole segment ------------------------------------------------------------------------------------------------
 * The loss of one segment as a function of one tensor. Two things in it are constants for the gradient and are held fixed:
 * the target of q_continue (a second forward pass) and the carry that came in (segments before run with the old weights).
 */
typedef struct segment {
    hrm_model *model;
    hrm_run *run;
    hrm_batch *batch;
    int before; /* segments before this one */
    double *own; /* a loss of one's own: these times logits and q's; NULL: the model's */
    int fixed;  /* targets hold the fixed targets */
    double targets[8];
} segment;

static void must(hrm_status status) /* counted when it fails only: thousands of these succeed */
{
    if (status != HRM_OK) CHECK_OK(status);
}

static double segment_loss(segment *s, int tensor, const double *values, const double *original)
{
    double q_continue[8], loss;
    hrm_metrics m;
    hrm_run_outputs out;
    memset(&out, 0, sizeof out);
    memset(&m, 0, sizeof m);
    out.q_continue = q_continue;
    const hrm_model_desc *d = hrm_model_describe(s->model);
    int continues = !d->no_ACT_continue, mse = d->q_loss_type == HRM_Q_MSE;
    double ignored;
    if (!s->fixed && continues) out.target_q_continue = s->targets;
    must(hrm_run_reset(s->run));
    s->run->segments = 0; /* dropout draws the same again */
    if (s->before) must(hrm_model_tensor_write(s->model, tensor, original));
    for (int i = 0; i < s->before; i++) must(hrm_run_segment(s->run, s->batch, NULL));
    must(hrm_model_tensor_write(s->model, tensor, values));
    must(hrm_run_segment(s->run, s->batch, NULL));
    must(hrm_run_read(s->run, &out));
    must(hrm_run_metrics(s->run, &m));
    s->fixed = 1;
    if (s->own) {
        size_t n = (size_t)s->batch->rows, logits = n * (size_t)d->seq_len * (size_t)d->vocab_size;
        double *x = (double *)malloc((logits + 2 * n) * sizeof *x), *q = x + logits;
        memset(&out, 0, sizeof out);
        out.logits = x, out.q_halt = q, out.q_continue = q + n;
        must(hrm_run_read(s->run, &out));
        loss = 0;
        for (size_t i = 0; i < logits; i++) loss += s->own[i] * x[i];
        for (size_t i = 0; i < 2 * n; i++) loss += s->own[logits + i] * q[i % 2 * n + i / 2]; /* [rows,2] */
        free(x);
        return loss;
    }
    loss = m.lm_loss + (double)d->q_loss_weight * m.q_halt_loss + (double)d->ponder_weight * m.ponder_loss;
    for (int i = 0; i < s->batch->rows && continues; i++)
        loss += (double)d->q_loss_weight * hrm__q_loss(mse, q_continue[i], s->targets[i], &ignored) / s->batch->rows;
    return loss;
}

static size_t most_samples = 60; /* of a tensor */

static int own_loss; /* of what follows */

static void check_segment(const char *name, const hrm_model_desc *desc, int before, int (*differentiable)(const char *tensor))
{
    hrm_random r = hrm_random_make(3, 4);
    segment s;
    memset(&s, 0, sizeof s);
    s.before = before;
    hrm_batch batch;
    batch_make(&batch, 3, desc->seq_len);
    s.batch = &batch;
    size_t logits = 3 * (size_t)desc->seq_len * (size_t)desc->vocab_size;
    if (own_loss) s.own = draw(logits + 6, &r, 1);
    CHECK_OK(hrm_model_create(&s.model, desc));
    if (!s.model) return;
    desc = hrm_model_describe(s.model);
    batch_draw(&batch, desc, &r);
    model_decide(s.model, 9);
    { /* nobody halts before the segment in question: a large q_continue bias would do, exploration does it exactly */
        int index = hrm_model_tensor_find(s.model, "inner.q_head.bias");
        const double bias[2] = {-3, 3};
        CHECK_OK(hrm_model_tensor_write(s.model, index, bias));
    }
    if (!desc->no_puzzle_emb) { /* two rows of one puzzle: their gradients must both arrive */
        batch.puzzle_identifiers[0] = batch.puzzle_identifiers[2] = 1;
        batch.puzzle_identifiers[1] = 3;
    }
    hrm_run_desc rd;
    memset(&rd, 0, sizeof rd);
    rd.rows = 3;
    rd.train = 1;
    CHECK_OK(hrm_run_create(&s.run, s.model, &rd));
    for (int tensor = 0; s.run && tensor < hrm_model_tensor_count(s.model); tensor++) {
        hrm_tensor t;
        hrm_role role;
        CHECK_OK(hrm_model_tensor(s.model, tensor, &t, &role));
        if (role == HRM_BUFFER || !differentiable(t.name)) continue;
        size_t n = 0, ndim = (size_t)desc->puzzle_emb_ndim;
        double *original = tensor_values(s.model, tensor, &n, NULL);
        double *values = (double *)malloc(n * sizeof *values),
               *analytic = (double *)calloc(n > 3 * ndim ? n : 3 * ndim, sizeof *analytic);
        memcpy(values, original, n * sizeof *values);
        s.fixed = 0;
        (void)segment_loss(&s, tensor, values, original);
        CHECK_OK(hrm_run_zero_gradients(s.run));
        if (own_loss) CHECK_OK(hrm_run_set_gradient(s.run, s.own, s.own + logits));
        CHECK_OK(hrm_run_backward(s.run));
        if (own_loss) CHECK_FAILS(hrm_run_set_gradient(s.run, s.own, NULL), HRM_ERR_ARGUMENT, "segment before it");
        if (role == HRM_PUZZLE_TABLE) { /* rows in flight -> rows of the table */
            double *rows = (double *)calloc(3 * ndim, sizeof *rows);
            CHECK_OK(hrm_run_gradient(s.run, tensor, rows));
            for (size_t i = 0; i < 3 * ndim; i++)
                analytic[(size_t)batch.puzzle_identifiers[i / ndim] * ndim + i % ndim] += rows[i];
            free(rows);
        } else {
            CHECK_OK(hrm_run_gradient(s.run, tensor, analytic));
        }
        double difference = 0, norm = 0, broken = 0;
        size_t samples = n < most_samples || role == HRM_PUZZLE_TABLE ? n : most_samples;
        for (size_t k = 0; k < samples; k++) {
            size_t i = samples == n ? k : hrm_random_below(&r, (uint32_t)n);
            double above, below;
            values[i] = original[i] + STEP, above = segment_loss(&s, tensor, values, original);
            values[i] = original[i] - STEP, below = segment_loss(&s, tensor, values, original);
            values[i] = original[i];
            double g = (above - below) / (2 * STEP), d = g - analytic[i], b = g - analytic[i] * (k % 2 ? 1 : 0.999);
            difference += d * d, broken += b * b, norm += g * g;
        }
        CHECK_OK(hrm_model_tensor_write(s.model, tensor, original));
        double error = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
        CHECK(error < 1e-6, "%s, %d before: gradient of %s off by %.2e", name, before, t.name, error);
        CHECK(norm > 0 && sqrt(broken / norm) > 1e-5, "%s: a gradient of %s that is 0.1 %% off was not seen", name, t.name);
        free(original);
        free(values);
        free(analytic);
    }
    free(s.own);
    hrm_run_destroy(s.run);
    hrm_model_destroy(s.model);
    batch_free(&batch);
}

static int everything(const char *tensor) { (void)tensor; return 1; }
static int heads(const char *tensor) { return strstr(tensor, "_head") != NULL; }
static int heads_and_H(const char *tensor) { return strstr(tensor, "_head") != NULL || strstr(tensor, "H_level") != NULL; }

/* The gradient through the last n of more H cycles is that of n alone, from the carry that the others left: the whole gradient,
 * which check_segment() measures, of the last of several segments of n cycles. */
static void check_truncated(hrm_model_desc d, int cycles, int n)
{
    hrm_random r = hrm_random_make(13, 1);
    hrm_model *models[2] = {NULL, NULL};
    hrm_run *runs[2] = {NULL, NULL};
    hrm_batch batch;
    d.no_ACT_continue = 1; /* the target would be of more cycles, or fewer */
    d.grad_H_cycles = n;
    batch_make(&batch, 3, d.seq_len);
    batch_draw(&batch, &d, &r);
    for (int k = 0; k < 2; k++) {
        const double bias[2] = {-3, 3};
        hrm_run_desc rd;
        memset(&rd, 0, sizeof rd);
        rd.rows = 3, rd.train = 1;
        d.H_cycles = k ? n : cycles;
        CHECK_OK(hrm_model_create(&models[k], &d));
        model_decide(models[k], 9);
        CHECK_OK(hrm_model_tensor_write(models[k], hrm_model_tensor_find(models[k], "inner.q_head.bias"), bias));
        CHECK_OK(hrm_run_create(&runs[k], models[k], &rd));
        for (int i = 0; i < (k ? cycles / n : 1); i++) CHECK_OK(hrm_run_segment(runs[k], &batch, NULL));
        CHECK_OK(hrm_run_backward(runs[k]));
    }
    for (int i = 0; i < hrm_model_tensor_count(models[0]); i++) {
        size_t size = 0, rows = 3 * (size_t)d.puzzle_emb_ndim;
        hrm_tensor t;
        hrm_role role;
        CHECK_OK(hrm_model_tensor(models[0], i, &t, &role));
        if (role == HRM_BUFFER) continue;
        double *v = tensor_values(models[0], i, &size, NULL);
        if (role == HRM_PUZZLE_TABLE) size = rows;
        double *a = (double *)malloc(2 * size * sizeof *a), *b = a + size;
        CHECK_OK(hrm_run_gradient(runs[0], i, a));
        CHECK_OK(hrm_run_gradient(runs[1], i, b));
        CHECK(relative_error(a, b, size) < 1e-11, "%d of %d cycles: gradient of %s off by %.2e", n, cycles, t.name,
              relative_error(a, b, size));
        free(a);
        free(v);
    }
    for (int k = 0; k < 2; k++) hrm_run_destroy(runs[k]), hrm_model_destroy(models[k]);
    batch_free(&batch);
}

/* Recurrences as lists: {state, network, inputs, index, slot, …}. States 0 is read by the heads. */
#define E HRM_INPUT_E
static const hrm_pass three_levels[] = {
    /* z2 fast, z1 slower, z0 slowest, each with a network of its own: examples/layers.c as a list */
    {2, 2, 2 | E, 0, 0, 0, 0}, {2, 2, 2 | E, 0, 0, 0, 0}, {1, 1, 4 | 1, 0, 0, 0, 0},
    {2, 2, 2 | E, 0, 0, 0, 0}, {1, 1, 4 | 1, 0, 0, 0, 0}, {0, 0, 2, 0, 0, 0, 0},
    {2, 2, 2 | E, 0, 0, 0, 0}, {1, 1, 4 | 1, 0, 0, 0, 0}, {0, 0, 2, 0, 0, 0, 0},
};
static const hrm_pass one_network[] = {
    /* two states, one network for both */
    {1, 0, 1 | E, 0, 0, 0, 0}, {1, 0, 1 | E, 0, 0, 0, 0}, {0, 0, 2, 0, 0, 0, 0},
    {1, 0, 1 | E, 0, 0, 0, 0}, {0, 0, 2, 0, 0, 0, 0},
};
static const hrm_pass one_state[] = {
    {0, 1, E, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0}, {0, 1, E, 0, 0, 0, 0}}; /* a plain recurrent network, two layers in turns */
static const hrm_pass everywhere[] = {
    /* every state into every other, and e into all */
    {0, 0, 6 | E, 0, 0, 0, 0}, {1, 1, 5 | E, 0, 0, 0, 0}, {2, 0, 3 | E, 0, 0, 0, 0},
    {1, 1, 5 | E, 0, 0, 0, 0}, {0, 0, 6 | E, 0, 0, 0, 0},
};
#undef E
static const struct { const char *name; hrm_recurrence r; } recurrences[] = {
    {"three levels", {3, 3, NULL, (int)HRM__COUNT(three_levels), three_levels}},
    {"one network", {2, 1, NULL, (int)HRM__COUNT(one_network), one_network}},
    {"one state", {1, 2, NULL, (int)HRM__COUNT(one_state), one_state}},
    {"everywhere", {3, 2, NULL, (int)HRM__COUNT(everywhere), everywhere}},
};

/* Every option of the family, through all passes that have a gradient. */
static void check_family(void)
{
    hrm_model_desc d, base = small_desc();
    base.no_halt_exploration = 1;
    base.H_layers = 0, base.one_network = 1;
    base.H_cycles = base.grad_H_cycles = 2;
    d = base;
    check_segment("one network", &d, 0, everything);
    own_loss = 1;
    check_segment("one network, a loss of one's own", &d, 1, everything);
    own_loss = 0;
    d.no_ACT_continue = 1;
    check_segment("one network, no continue", &d, 1, everything);
    d.mlp_t = 1;
    d.pos_encodings = HRM_NO_POSITIONS;
    check_segment("mixer", &d, 1, everything);
    d.mlp_norm = 1;
    d.L_layers = 2;
    d.label_smoothing = 0.2f;
    d.loss_type = HRM_SOFTMAX_CROSS_ENTROPY;
    d.q_loss_weight = 0.05f;
    check_segment("mixer, norms, smoothed softmax", &d, 0, everything);
    d.pos_encodings = HRM_LEARNED;
    d.puzzle_emb_len = 3; /* 12 of 24 elements are the row's */
    d.dropout = 0.3f;
    check_segment("mixer, learned positions, padding, dropout", &d, 0, everything);
    d = base;
    d.mlp_norm = 1;
    d.dropout = 0.25f;
    d.label_smoothing = 0.3f;
    d.q_loss_type = HRM_Q_MSE;
    d.ponder_weight = 0.2f;
    check_segment("attention, norms, smoothed stablemax, mse, ponder, dropout", &d, 2, everything);
    d.no_ACT_continue = 1;
    d.pos_encodings = HRM_NO_POSITIONS;
    d.puzzle_emb_len = 2;
    d.num_threads = 2;
    check_segment("no positions, mse, ponder, no continue", &d, 0, everything);
    d = small_desc(); /* two networks, deeper than one step */
    d.no_halt_exploration = 1;
    d.H_layers = 2;
    d.H_cycles = d.grad_H_cycles = 3;
    d.ponder_weight = 0.5f;
    check_segment("two networks through three cycles", &d, 1, everything);
    check_truncated(d, 4, 2);
    check_truncated(d, 3, 1);
    check_truncated(base, 6, 2);
    base.mlp_t = 1;
    check_truncated(base, 3, 1);
}

int main(void)
{
    check_layers();
    hrm_model_desc d = small_desc();
    d.no_halt_exploration = 1;
    d.H_cycles = d.L_cycles = 1; /* one pass of each level: the one-step gradient is the whole gradient */
    check_segment("rope, stablemax", &d, 0, everything);
    check_segment("rope, stablemax", &d, 2, everything);
    d.pos_encodings = HRM_LEARNED;
    d.loss_type = HRM_SOFTMAX_CROSS_ENTROPY;
    d.H_layers = 2;
    check_segment("learned, softmax", &d, 1, everything);
    d.pos_encodings = HRM_ROPE;
    d.causal = 1;
    d.no_puzzle_emb = 1;
    d.puzzle_emb_ndim = 0;
    d.num_threads = 2;
    check_segment("causal, no puzzle table", &d, 0, everything);
    d = small_desc();
    d.no_halt_exploration = 1;
    d.H_cycles = 1; /* the slow level still runs once: its gradient is exact */
    check_segment("H1 L2", &d, 1, heads_and_H);
    d.H_cycles = 2; /* more passes go without gradient; the heads come after them all */
    check_segment("H2 L2", &d, 1, heads);
    d.H_cycles = d.L_cycles = 0;

    most_samples = 12; /* of what has many passes */
    check_family();

    /* other lists of passes, with a gradient through every one: the whole gradient again */
    static const int layers[] = {1, 2, 1};
    hrm_recurrence r;
    for (size_t i = 0; i < HRM__COUNT(recurrences); i++) {
        r = recurrences[i].r;
        r.layers = layers;
        d.recurrence = &r;
        d.num_threads = (int)i % 2 + 1;
        check_segment(recurrences[i].name, &d, (int)i % 2, everything);
    }
    hrm_model *model = NULL;
    r = recurrences[0].r, r.layers = layers;
    hrm_pass bad[HRM__COUNT(three_levels)];
    memcpy(bad, three_levels, sizeof bad);
    r.passes = bad;
    bad[2].inputs = 1u << 3;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "pass 2");
    bad[2].inputs = 1u, bad[1].net = 3;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "pass 1");
    bad[1].net = 1;
    for (size_t i = 0; i < HRM__COUNT(bad); i++) bad[i].slot = bad[i].state == 0 ? -1 : 0;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "no gradient");
    r.states = 5;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "5 states");
    return test_summary();
}
