/* Times training steps and solving on the GPU, in the cases of the paper. One JSON line a case.
 * usage: bench_cuda [--profile] [CASE...]   CASE: NAME:BATCH[:ARCH], NAME sudoku, maze or arc   [sudoku:768 sudoku:384 maze:96]
 * ARCH as in `hrm train arch=…`, trained by its recipe: sudoku:384:fast; or no_ACT_continue: HRM without its continue head.
 * +fp8: with arch.cycles_dtype=fp8 (sudoku:768:+fp8, sudoku:384:fast+fp8).
 * --profile: one training step of each case between cudaProfilerStart and cudaProfilerStop, for profile.sh */
#ifndef _POSIX_C_SOURCE
    #define _POSIX_C_SOURCE 200809L
#endif
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "timing.h"
#include <stdio.h>

extern int cudaProfilerStart(void); /* of the CUDA runtime, whose headers need not be here */
extern int cudaProfilerStop(void);
static int profile;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, hrm_error_message());
    exit(1);
}
#define OK(call) \
    do { \
        if ((call) != HRM_OK) die(#call); \
    } while (0)

static void bench(const char *name, int batch, hrm_arch arch, const char *how, int T, int V, int ids)
{
    enum { RUNS = 15, WARM = 4 };
    int examples = batch * 4;
    size_t n = (size_t)examples * (size_t)T;
    uint8_t *inputs = (uint8_t *)malloc(2 * n), *labels = inputs + n;
    int32_t *puzzles = (int32_t *)malloc(2 * (size_t)batch * (size_t)T * sizeof *puzzles),
            *answers = puzzles + (size_t)batch * (size_t)T;
    hrm_random r = hrm_random_make(1, 1);
    for (size_t i = 0; i < n; i++)
        inputs[i] = (uint8_t)hrm_random_below(&r, (uint32_t)V),
        labels[i] = (uint8_t)(1 + hrm_random_below(&r, (uint32_t)V - 1));
    for (size_t i = 0; i < (size_t)batch * (size_t)T; i++) puzzles[i] = inputs[i];
    hrm_dataset_arrays a;
    hrm_dataset *data;
    memset(&a, 0, sizeof a);
    a.seq_len = T, a.vocab_size = V, a.num_puzzle_identifiers = ids, a.num_examples = examples, a.inputs = inputs,
    a.labels = labels;
    OK(hrm_dataset_from_arrays(&data, &a, NULL));
    hrm_model_desc d = hrm_model_desc_for(data);
    d.device = HRM_CUDA;
    d.arch = arch;
    d.no_ACT_continue = how && strncmp(how, "no_ACT_continue", 15) == 0;
    if (how && strstr(how, "+fp8")) d.cycles_dtype = HRM_CYCLES_FP8;
    hrm_model *model;
    hrm_trainer *trainer;
    hrm_train_desc td;
    hrm_memory memory;
    OK(hrm_model_memory(&memory, &d, batch));
    OK(hrm_model_create(&model, &d));
    memset(&td, 0, sizeof td);
    td.arch = arch, td.steps = 100000, td.batch_size = batch;
    OK(hrm_trainer_create(&trainer, model, &td));
    double times[RUNS], loss = 0;
    if (profile) {
        for (int i = 0; i <= WARM; i++) {
            OK(model->table->sync(model->dev));
            if (i == WARM) cudaProfilerStart();
            OK(hrm_trainer_step(trainer, data, NULL));
        }
        OK(model->table->sync(model->dev));
        cudaProfilerStop();
        hrm_trainer_destroy(trainer);
        goto done;
    }
    for (int i = 0; i < WARM + RUNS; i++) {
        hrm_metrics m;
        double t = now_ms();
        OK(hrm_trainer_step(trainer, data, &m));
        if (i >= WARM) times[i - WARM] = now_ms() - t;
        loss = m.lm_loss;
    }
    double train = median(times, RUNS), t = now_ms();
    for (int i = 0; i < RUNS; i++) OK(hrm_trainer_step(trainer, data, NULL)); /* not waiting for metrics */
    OK(model->table->sync(model->dev));
    double queued = (now_ms() - t) / RUNS;
    hrm_trainer_destroy(trainer);
    hrm_solve_desc sd;
    memset(&sd, 0, sizeof sd);
    sd.no_halting = 1;
    double solve[2];
    for (int k = 0; k < 2; k++) {
        sd.rows = k ? 1 : batch;
        for (int i = 0; i < 7; i++) {
            t = now_ms();
            OK(hrm_solve(model, puzzles, answers, &sd));
            times[i] = now_ms() - t;
        }
        solve[k] = median(times + 2, 5);
    }
    const hrm_dims *m = &model->d; /* matrix products and attention, two a multiply-add */
    double S = m->S, D = m->D, mix = m->mixer ? 6 * D * m->I_t : 8 * D * D + 4 * S * D, block = mix + 6 * D * m->I;
    double forward = block * m->H_cycles * (m->L_cycles * m->layers[m->nets - 1] + m->layers[0]);
    double flop = batch * S * ((m->no_continue ? 1 : 2) * forward + 2 * block * m->kept.blocks);
    printf(
        "{\"case\": \"%s:%d%s%s\", \"train_ms\": %.2f, \"train_queued_ms\": %.2f, \"train_tflops\": %.0f, \"solve_ms\": %.1f, "
        "\"solve1_ms\": %.2f, "
        "\"model_GB\": %.2f, \"train_GB\": %.2f, \"loss\": %.4f}\n",
        name, batch, how ? ":" : "", how ? how : "", train, queued, flop / train * 1e-9, solve[0], solve[1],
        (double)memory.model * 1e-9, (double)memory.train * 1e-9, loss);
    fflush(stdout);
done:
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    free(inputs);
    free(puzzles);
}

int main(int argc, char **argv)
{
    static const char *standard[] = {"sudoku:768", "sudoku:384", "maze:96"};
    if (argc > 1 && strcmp(argv[1], "--profile") == 0) profile = 1, argc--, argv++;
    for (int i = 0; i < (argc > 1 ? argc - 1 : 3); i++) {
        const char *name = argc > 1 ? argv[i + 1] : standard[i], *colon = strchr(name, ':');
        int batch = colon ? atoi(colon + 1) : 64;
        hrm_arch arch = HRM_ARCH_HRM;
        colon = colon ? strchr(colon + 1, ':') : NULL;
        const char *how = colon ? colon + 1 : NULL;
        char word[32] = "";
        if (how) snprintf(word, sizeof word, "%.*s", (int)strcspn(how, "+"), how);
        if (*word && strcmp(word, "no_ACT_continue") != 0 && hrm_arch_find(&arch, word) != HRM_OK) die(name);
        if (strncmp(name, "sudoku", 6) == 0) bench("sudoku", batch, arch, how, 81, 11, 1);
        else if (strncmp(name, "maze", 4) == 0) bench("maze", batch, arch, how, 900, 6, 1);
        else if (strncmp(name, "arc", 3) == 0) bench("arc", batch, arch, how, 900, 12, 1000);
        else return fprintf(stderr, "unknown case %s\n", name), 2;
    }
    return 0;
}
