/* Your own model from hrm.h's layers: three recurrent levels instead of two, another loss, the same one-step gradient.
 *
 *   cc -O3 layers.c -lm -pthread -o layers && ./layers [STEPS]
 *
 * It learns to sort eight digits. z1 is fast, z2 slower, z3 slowest; each level is one transformer block with its own weights:
 *   z1 = block1(z1 + z2 + e),   z2 = block2(z2 + z1 + z3) after two of these,   z3 = block3(z3 + z2) after two of those
 * Only the last pass of each level is differentiated, as in HRM. The loss is cross entropy with smoothed labels.
 */
#define HRM_IMPLEMENTATION
#include "../hrm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S = 8, V = 10, D = 64, HEADS = 4, I = 128, B = 64, M = B * S, LEVELS = 3 };
enum { QKV = 3 * D * D, O = D * D, GATE_UP = 2 * I * D, DOWN = D * I, BLOCK = QKV + O + GATE_UP + DOWN };
enum { EMBED = V * D, HEAD = V * D, WEIGHTS = EMBED + HEAD + LEVELS * BLOCK };

static float w[WEIGHTS], g[WEIGHTS], adam_m[WEIGHTS], adam_v[WEIGHTS];
static float *const embed = w, *const head = w + EMBED;
static float cosines[S * D / HEADS / 2], sines[S * D / HEADS / 2], *scratch;

/* What one block keeps for its backward pass. */
typedef struct acts {
    float x[M * D], qkv[M * 3 * D], o[M * D], lse[M * HEADS], f[M * D], y1[M * D], r1[M], gate_up[M * 2 * I], h[M * I],
        y[M * D], r2[M];
} acts;
static acts level[LEVELS];

static const float *block_weights(int l) { return w + EMBED + HEAD + l * BLOCK; }

static void block_forward(acts *a, const float *p)
{
    /* a->x [B,S,D] -> a->y */
    hrm_linear_forward(a->qkv, a->x, p, NULL, M, 3 * D, D, scratch);
    hrm_rope_forward(a->qkv, cosines, sines, B, S, HEADS, D / HEADS, 3 * D);
    hrm_rope_forward(a->qkv + D, cosines, sines, B, S, HEADS, D / HEADS, 3 * D);
    hrm_attention_forward(a->o, a->lse, a->qkv, B, S, HEADS, D / HEADS, 0, scratch);
    hrm_linear_forward(a->f, a->o, p + QKV, NULL, M, D, D, scratch);
    hrm_rms_norm_forward(a->y1, a->r1, a->x, a->f, M, D, 1e-5f);
    hrm_linear_forward(a->gate_up, a->y1, p + QKV + O, NULL, M, 2 * I, D, scratch);
    hrm_swiglu_forward(a->h, a->gate_up, M, I);
    hrm_linear_forward(a->f, a->h, p + QKV + O + GATE_UP, NULL, M, D, I, scratch);
    hrm_rms_norm_forward(a->y, a->r2, a->y1, a->f, M, D, 1e-5f);
}

static void block_backward(float *dx, const float *dy, const acts *a, const float *p, float *dp)
{
    /* dy [B,S,D] -> dx; dp += */
    static float ds[M * D], dh[M * I], dgate_up[M * 2 * I], dy1[M * D], d_o[M * D], dqkv[M * 3 * D];
    hrm_rms_norm_backward(ds, dy, a->y, a->r2, M, D);
    hrm_linear_backward(dh, dp + QKV + O + GATE_UP, NULL, ds, a->h, p + QKV + O + GATE_UP, M, D, I, scratch);
    hrm_swiglu_backward(dgate_up, dh, a->gate_up, M, I);
    hrm_linear_backward(dy1, dp + QKV + O, NULL, dgate_up, a->y1, p + QKV + O, M, 2 * I, D, scratch);
    for (int i = 0; i < M * D; i++) dy1[i] += ds[i]; /* the residual branch */
    hrm_rms_norm_backward(ds, dy1, a->y1, a->r1, M, D);
    hrm_linear_backward(d_o, dp + QKV, NULL, ds, a->o, p + QKV, M, D, D, scratch);
    hrm_attention_backward(dqkv, d_o, a->qkv, a->o, a->lse, B, S, HEADS, D / HEADS, 0, scratch);
    hrm_rope_backward(dqkv, cosines, sines, B, S, HEADS, D / HEADS, 3 * D);
    hrm_rope_backward(dqkv + D, cosines, sines, B, S, HEADS, D / HEADS, 3 * D);
    hrm_linear_backward(dx, dp, NULL, dqkv, a->x, p, M, 3 * D, D, scratch);
    for (int i = 0; i < M * D; i++) dx[i] += ds[i];
}

static void pass(int l, float *z, const float *in1, const float *in2)
{
    for (int i = 0; i < M * D; i++) level[l].x[i] = z[i] + in1[i] + (in2 ? in2[i] : 0);
    block_forward(&level[l], block_weights(l));
    memcpy(z, level[l].y, sizeof level[l].y);
}

static void think(float *logits, const int32_t *tokens)
{
    /* tokens [B,S] -> logits [B,S,V]; afterwards `level` holds each level's last pass */
    static float e[M * D], z[LEVELS][M * D];
    hrm_embedding_forward(e, tokens, embed, M, D);
    for (int i = 0; i < M * D; i++) e[i] *= 8; /* sqrt(D) */
    for (int l = 0; l < LEVELS; l++)
        for (int i = 0; i < M * D; i++) z[l][i] = (float)((i % D * (l + 3) * 37) % 64) / 32 - 1; /* any fixed start will do */
    for (int slow = 0; slow < 2; slow++) {
        for (int middle = 0; middle < 2; middle++) {
            for (int fast = 0; fast < 2; fast++) pass(0, z[0], z[1], e);
            pass(1, z[1], z[0], z[2]);
        }
        pass(2, z[2], z[1], NULL);
    }
    hrm_linear_forward(logits, z[2], head, NULL, M, V, D, scratch);
}

/* Cross entropy against 0.9 on the label and 0.1 spread over all tokens: a loss hrm.h does not have. */
static double smoothed_loss(float *dlogits, const float *logits, const int32_t *labels)
{
    double loss = 0;
    for (int i = 0; i < M; i++) {
        double top = logits[i * V], sum = 0;
        for (int j = 1; j < V; j++) top = logits[i * V + j] > top ? logits[i * V + j] : top;
        for (int j = 0; j < V; j++) sum += exp(logits[i * V + j] - top);
        for (int j = 0; j < V; j++) {
            double p = exp(logits[i * V + j] - top) / sum, target = 0.1 / V + (j == labels[i] ? 0.9 : 0);
            loss -= target * log(p) / M;
            dlogits[i * V + j] = (float)((p - target) / M);
        }
    }
    return loss;
}

static void backward(const float *dlogits, const int32_t *tokens)
{
    static float dz[M * D], dx[M * D];
    memset(g, 0, sizeof g);
    hrm_linear_backward(dz, g + EMBED, NULL, dlogits, level[LEVELS - 1].y, head, M, V, D, scratch);
    for (int l = LEVELS - 1; l >= 0; l--) { /* each level hands the gradient of its injection to the one below */
        block_backward(dx, dz, &level[l], block_weights(l), g + EMBED + HEAD + l * BLOCK);
        memcpy(dz, dx, sizeof dx);
    }
    for (int i = 0; i < M * D; i++) dz[i] *= 8;
    hrm_embedding_backward(g, dz, tokens, M, D);
}

static void draw(int32_t *tokens, int32_t *labels, hrm_random *r)
{
    for (int b = 0; b < B; b++)
        for (int i = 0; i < S; i++) {
            int32_t t = (int32_t)hrm_random_below(r, V), j = i;
            tokens[b * S + i] = t;
            for (; j > 0 && labels[b * S + j - 1] > t; j--) labels[b * S + j] = labels[b * S + j - 1];
            labels[b * S + j] = t;
        }
}

static double exact(const float *logits, const int32_t *labels)
{
    int right = 0;
    for (int b = 0; b < B; b++) {
        int correct;
        hrm_cross_entropy(HRM_SOFTMAX_CROSS_ENTROPY, NULL, logits + b * S * V, labels + b * S, S, V, 1, &correct, NULL);
        right += correct == S;
    }
    return (double)right / B;
}

int main(int argc, char **argv)
{
    static int32_t tokens[M], labels[M];
    static float logits[M * V], dlogits[M * V];
    int steps = argc > 1 ? atoi(argv[1]) : 600;
    hrm_random r = hrm_random_make(1, 0);
    size_t need = hrm_attention_scratch(S, D / HEADS),
           linear[] = {hrm_linear_scratch(3 * D, D), hrm_linear_scratch(2 * I, D), hrm_linear_scratch(D, I)};
    for (int i = 0; i < 3; i++) need = linear[i] > need ? linear[i] : need;
    scratch = (float *)malloc(need * sizeof *scratch);
    if (!scratch) return fprintf(stderr, "layers: no memory\n"), 1;
    for (int i = 0; i < WEIGHTS; i++) w[i] = (float)(hrm_random_uniform(&r) * 2 - 1) * 0.2f; /* uniform, std about 1/sqrt(D) */
    hrm_rope_table(cosines, sines, S, D / HEADS, 10000);
    for (int step = 1; step <= steps; step++) {
        draw(tokens, labels, &r);
        think(logits, tokens);
        double loss = smoothed_loss(dlogits, logits, labels);
        backward(dlogits, tokens);
        hrm_adam_atan2(w, adam_m, adam_v, g, WEIGHTS, hrm_schedule(step, 3e-3, 30, steps, 0.05), 0.9, 0.95, 0.1, step);
        if (step % 100 == 0 || step == steps)
            printf("step %4d  loss %.3f  sorted %.0f %%\n", step, loss, 100 * exact(logits, labels));
    }
    double sorted = 0;
    for (int i = 0; i < 8; i++) {
        draw(tokens, labels, &r);
        think(logits, tokens);
        sorted += exact(logits, labels) / 8;
    }
    printf("on 512 fresh sequences: %.1f %% sorted\n", 100 * sorted);
    free(scratch);
    return 0;
}
