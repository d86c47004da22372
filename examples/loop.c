/* A training loop of one's own, with hrm_run_* instead of a trainer: a loss that hrm.h does not have, a rule of one's own for
 * halting, and answers from logits averaged over segments.
 *
 *   cc -O3 -pthread -I.. loop.c -lm -o loop && ./loop [BATCHES]
 *
 * It learns to sort eight digits. A run is a model at work on some rows; one segment at a time it is told what to do:
 *
 *   hrm_run_segment       forward; rows that have halted take the batch's puzzle, the others go on with theirs
 *   hrm_run_read          logits, answers, q, who has halted
 *   hrm_run_set_gradient  the gradient of a loss of one's own; without it that of the model's losses is there
 *   hrm_run_backward      adds to the weights' gradients: several segments may share an update
 *   hrm_run_update        clipping, the optimizer, the average of the weights; all at the rates given
 *
 * The loss is focal (Lin et al. 2017): sum of -(1 - p)^2 log p, which leaves alone what is already known. Nothing learns when
 * to stop: a row stops once two segments have given it the same answer.
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 8, V = 10, B = 48, SEGMENTS = 4, TESTS = 8 };

static int32_t tokens[B * T], labels[B * T];
static hrm_real logits[B * T * V], dlogits[B * T * V], sums[B * T * V];

static void check(hrm_status status)
{
    if (status == HRM_OK) return;
    fprintf(stderr, "loop: %s\n", hrm_error_message());
    exit(1);
}

static void draw(hrm_random *r)
{
    for (int i = 0; i < B * T; i++) {
        int32_t t = (int32_t)hrm_random_below(r, V), j = i;
        tokens[i] = t;
        for (; j % T > 0 && labels[j - 1] > t; j--) labels[j] = labels[j - 1];
        labels[j] = t;
    }
}

/* -> the mean over the rows' tokens; dlogits: the gradient of (sum over rows of their tokens' mean) / rows */
static double focal_loss(void)
{
    double loss = 0;
    for (int i = 0; i < B * T; i++) {
        const hrm_real *x = logits + i * V;
        double e[V], top = (double)x[0], sum = 0;
        for (int j = 1; j < V; j++) top = (double)x[j] > top ? (double)x[j] : top;
        for (int j = 0; j < V; j++) sum += e[j] = exp((double)x[j] - top);
        double p = e[labels[i]] / sum, q = 1 - p, slope = -2 * q * p * log(p + 1e-30) + q * q; /* -dL/d(log p) */
        loss -= q * q * log(p + 1e-30) / (B * T);
        for (int j = 0; j < V; j++) dlogits[i * V + j] = (hrm_real)(slope * (e[j] / sum - (j == labels[i])) / (B * T));
    }
    return loss;
}

static void train(hrm_model *model, int batches, hrm_random *r)
{
    hrm_run *run;
    int32_t to_the_end[B];
    const hrm_real nothing[2 * B] = {0}; /* the q head is not trained */
    for (int i = 0; i < B; i++) to_the_end[i] = SEGMENTS;
    check(hrm_run_create(&run, model, &(hrm_run_desc){.rows = B, .train = 1, .update = 1, .optimizer = HRM_MUON}));
    for (int batch = 1; batch <= batches; batch++) {
        double loss = 0;
        draw(r); /* every row halts after SEGMENTS, so all take the new puzzles together */
        for (int segment = 0; segment < SEGMENTS; segment++) {
            check(hrm_run_segment(run, &(hrm_batch){.rows = B, .inputs = tokens, .labels = labels}, to_the_end));
            check(hrm_run_read(run, &(hrm_run_outputs){.logits = logits}));
            loss = focal_loss();
            check(hrm_run_set_gradient(run, dlogits, nothing));
            check(hrm_run_backward(run));
            hrm_update_desc u = {.weight_decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.95f, .adam_eps = 1e-8f, .grad_clip = 1};
            u.muon_momentum = 0.6f, u.muon_weight_decay = 0.005f; /* the blocks' matrices are Muon's, AdamW has the rest */
            u.lr = (float)hrm_schedule(batch, 4e-3, 0, batches, 0.05);
            u.muon_lr = 5 * u.lr;
            check(hrm_run_update(run, &u));
        }
        if (batch % 50 == 0) printf("batch %3d  focal loss %.4f\n", batch, loss);
    }
    hrm_run_destroy(run);
}

static void best(int32_t *answers, const hrm_real *x)
{
    for (int i = 0; i < B * T; i++) {
        answers[i] = 0;
        for (int j = 1; j < V; j++)
            if (x[i * V + j] > x[i * V + answers[i]]) answers[i] = j;
    }
}

static int sorted(const int32_t *answers)
{
    int right = 0;
    for (int i = 0; i < B; i++) right += memcmp(answers + i * T, labels + i * T, T * sizeof *labels) == 0;
    return right;
}

static void test(hrm_model *model, hrm_random *r)
{
    static int32_t now[B * T], before[B * T], mean[B * T], kept[B * T];
    int last = 0, averaged = 0, stopped = 0, segments = 0;
    hrm_run *run;
    check(hrm_run_create(&run, model, &(hrm_run_desc){.rows = B}));
    for (int test = 0; test < TESTS; test++) {
        int done[B] = {0};
        draw(r);
        memset(sums, 0, sizeof sums);
        check(hrm_run_reset(run));
        for (int segment = 0; segment < SEGMENTS; segment++) {
            check(hrm_run_segment(run, &(hrm_batch){.rows = B, .inputs = tokens}, NULL));
            check(hrm_run_read(run, &(hrm_run_outputs){.logits = logits, .predictions = now}));
            for (int i = 0; i < B * T * V; i++) sums[i] += logits[i];
            for (int i = 0; i < B; i++) {
                if (done[i]) continue;
                segments++;
                memcpy(kept + i * T, now + i * T, T * sizeof *now);
                done[i] = segment > 0 && memcmp(now + i * T, before + i * T, T * sizeof *now) == 0;
            }
            memcpy(before, now, sizeof now);
        }
        best(mean, sums);
        last += sorted(now);
        averaged += sorted(mean);
        stopped += sorted(kept);
    }
    printf("of %d: sorted after %d segments %d, by the mean of their logits %d, stopping at the same answer twice %d with %.2f "
           "segments\n",
           B * TESTS, SEGMENTS, last, averaged, stopped, (double)segments / (B * TESTS));
    hrm_run_destroy(run);
}

int main(int argc, char **argv)
{
    hrm_random r = hrm_random_make(1, 0);
    hrm_model *model;
    hrm_model_desc desc = {.seq_len = T, .vocab_size = V, .no_puzzle_emb = 1};
    desc.arch = HRM_ARCH_TRM; /* one network; the rest smaller */
    desc.hidden_size = 32;
    desc.num_heads = 4;
    desc.pos_encodings = HRM_LEARNED;
    desc.H_cycles = desc.L_cycles = 2;
    desc.halt_max_steps = SEGMENTS;
    check(hrm_model_create(&model, &desc));
    train(model, argc > 1 ? atoi(argv[1]) : 160, &r);
    test(model, &r);
    hrm_model_destroy(model);
    return 0;
}
