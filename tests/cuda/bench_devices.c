/* Several GPUs against one, in one program: started once a GPU with RANK, WORLD_SIZE, MASTER_PORT (and LOCAL_RANK) set, as
 * torchrun does. Rank 0 prints.
 * usage: bench_devices --check            the same training by all and by one; fails where they differ by more than rounding
 *        bench_devices [BATCH[:ARCH]…]    step times of both, in turns [768 1536] */
#ifndef _POSIX_C_SOURCE
    #define _POSIX_C_SOURCE 200809L
#endif
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "comm.h"
#include "timing.h"
#include <stdio.h>

static hrm_comm host, gpus;

static void die(const char *what)
{
    fprintf(stderr, "rank %d: %s: %s\n", host.rank, what, hrm_error_message());
    fflush(NULL);
    _Exit(1);
}
#define OK(call) \
    do { \
        if ((call) != HRM_OK) die(#call); \
    } while (0)
static void lost(void *user, int rank, const char *why)
{
    (void)user, (void)why;
    fprintf(stderr, "rank %d: rank %d is gone\n", host.rank, rank);
    _Exit(1);
}
static int number_of(const char *name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }
static void meet(void) { OK(host.gather(host.user, NULL, NULL, 0, 1, NULL)); }

static hrm_dataset *data_make(int examples, int T, int V, int ids)
{
    size_t n = (size_t)examples * (size_t)T;
    uint8_t *inputs = (uint8_t *)malloc(2 * n), *labels = inputs + n; /* kept */
    int32_t *puzzles = (int32_t *)malloc((size_t)examples * sizeof *puzzles);
    hrm_random r = hrm_random_make(1, 1);
    hrm_dataset_arrays a;
    hrm_dataset *data;
    for (size_t i = 0; i < n; i++)
        inputs[i] = (uint8_t)hrm_random_below(&r, (uint32_t)V),
        labels[i] = (uint8_t)(1 + hrm_random_below(&r, (uint32_t)V - 1));
    for (int i = 0; i < examples; i++) puzzles[i] = (int32_t)hrm_random_below(&r, (uint32_t)ids);
    memset(&a, 0, sizeof a);
    a.seq_len = T, a.vocab_size = V, a.num_puzzle_identifiers = ids, a.num_examples = examples, a.inputs = inputs,
    a.labels = labels, a.num_puzzles = examples, a.puzzle_identifiers = puzzles;
    OK(hrm_dataset_from_arrays(&data, &a, NULL));
    return data;
}

/* ---- the same result ----------------------------------------------------------------------------------------------------- */
static double difference(const hrm_model *a, const hrm_model *b)
{
    /* the largest relative one of a tensor */
    double worst = 0;
    for (int i = 0; i < hrm_model_tensor_count(a); i++) {
        hrm_tensor t;
        hrm_role role;
        double d = 0, n = 0;
        OK(hrm_model_tensor(a, i, &t, &role));
        size_t count = t.bytes / sizeof(hrm_real);
        hrm_real *x = (hrm_real *)malloc(2 * t.bytes), *y = x + count;
        OK(hrm_model_tensor_read(a, i, x));
        OK(hrm_model_tensor_read(b, i, y));
        for (size_t k = 0; k < count; k++) {
            double e = (double)x[k] - (double)y[k];
            d += e * e, n += (double)y[k] * (double)y[k];
        }
        if (n > 0 && !(sqrt(d / n) <= worst)) worst = sqrt(d / n);
        free(x);
    }
    return worst;
}

/* Where the arithmetic is narrow, or passes are so many that they make much of every rounding, nothing is said by how far two
 * results are from one another: there the bound is thrice what one GPU is from itself when it adds up in another order, its
 * batch in two parts. */
typedef struct outcome { double weights, losses; } outcome;
static void losses_apart(outcome *o, const hrm_metrics *a, const hrm_metrics *b)
{
    double e = fabs(a->lm_loss - b->lm_loss) / (1 + fabs(b->lm_loss));
    if (!(e <= o->losses)) o->losses = e;
}

static int check(void)
{
    static const struct {
        const char *name;
        hrm_arch arch;
        hrm_forward_dtype dtype;
        int batch, cycles, clip, ema, parts, dropout, frozen;
        double most; /* how far weights and losses may be from one GPU's; 0: see above */
    } cases[] = {{"hrm", HRM_ARCH_HRM, HRM_FORWARD_FLOAT32, 16, 0, 0, 0, 1, 0, 0, 1e-4},
                 {"hrm, 13 rows, clipped", HRM_ARCH_HRM, HRM_FORWARD_FLOAT32, 13, 0, 1, 0, 1, 0, 0, 1e-4},
                 {"hrm, in parts, dropout", HRM_ARCH_HRM, HRM_FORWARD_FLOAT32, 16, 0, 0, 0, 2, 1, 0, 1e-4},
                 {"hrm, frozen", HRM_ARCH_HRM, HRM_FORWARD_FLOAT32, 16, 0, 0, 0, 1, 0, 1, 1e-4},
                 {"trm", HRM_ARCH_TRM, HRM_FORWARD_FLOAT32, 16, 0, 0, 0, 1, 0, 0, 1e-4},
                 {"fast, 1 x 1 cycles", HRM_ARCH_FAST, HRM_FORWARD_FLOAT32, 16, 1, 1, 1, 1, 0, 0, 1e-3},
                 {"fast", HRM_ARCH_FAST, HRM_FORWARD_FLOAT32, 16, 0, 1, 1, 1, 0, 0, 0},
                 {"hrm, bfloat16", HRM_ARCH_HRM, HRM_FORWARD_BFLOAT16, 16, 0, 0, 0, 1, 0, 0, 0},
                 {"hrm, float16", HRM_ARCH_HRM, HRM_FORWARD_FLOAT16, 16, 0, 0, 0, 1, 0, 0, 0}};
    int failed = 0;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        hrm_dataset *data = data_make(200, 81, 11, 40);
        hrm_model_desc d = hrm_model_desc_for(data);
        hrm_train_desc td;
        hrm_model *all, *one = NULL, *halved = NULL;
        hrm_trainer *together, *alone = NULL, *parts = NULL;
        hrm_metrics m = {0}, n = {0}, p = {0};
        outcome far = {0, 0}, self = {cases[k].most, cases[k].most};
        int control = cases[k].most <= 0;
        d.device = HRM_CUDA;
        d.arch = cases[k].arch, d.forward_dtype = cases[k].dtype;
        d.hidden_size = 128, d.num_heads = 2, d.halt_max_steps = 4;
        d.H_cycles = d.L_cycles = cases[k].cycles;
        d.halt_exploration_prob = 0.5f;
        if (cases[k].dropout) d.dropout = 0.1f;
        memset(&td, 0, sizeof td);
        td.arch = cases[k].arch;
        td.steps = 8, td.batch_size = cases[k].batch, td.lr = 1e-3f, td.no_warmup = 1, td.seed = 3;
        td.grad_clip = cases[k].clip ? 0.1f : 0, td.no_grad_clip = !cases[k].clip;
        td.ema = cases[k].ema, td.grad_accumulation = cases[k].parts;
        td.freeze_weights = cases[k].frozen;
        OK(hrm_model_create(&all, &d));
        if (host.rank == 0) {
            OK(hrm_model_create(&one, &d));
            OK(hrm_trainer_create(&alone, one, &td));
        }
        if (host.rank == 0 && control) {
            hrm_train_desc two = td;
            two.grad_accumulation = 2;
            OK(hrm_model_create(&halved, &d));
            OK(hrm_trainer_create(&parts, halved, &two));
        }
        td.comm = &gpus;
        OK(hrm_trainer_create(&together, all, &td));
        for (int i = 0; i < 8; i++) {
            OK(hrm_trainer_step(together, data, &m));
            if (host.rank) continue;
            OK(hrm_trainer_step(alone, data, &n));
            losses_apart(&far, &m, &n);
            if (!control && (m.count < n.count || m.count > n.count)) far.losses = HUGE_VAL;
            if (!control) continue;
            OK(hrm_trainer_step(parts, data, &p));
            losses_apart(&self, &p, &n);
        }
        if (host.rank == 0) {
            far.weights = difference(all, one);
            if (control) {
                self.weights = difference(halved, one);
                printf("%-24s weights %.2g, losses %.2g: one GPU from itself, in two parts\n", cases[k].name, self.weights,
                       self.losses);
                self.weights *= 3, self.losses *= 3;
            }
            int bad = !(far.weights <= self.weights) || !(far.losses <= self.losses);
            failed |= bad;
            printf("%-24s weights %.2g, losses %.2g from one GPU's%s\n", cases[k].name, far.weights, far.losses,
                   bad ? "   FAILED" : "");
            fflush(stdout);
            hrm_trainer_destroy(alone);
            hrm_trainer_destroy(parts);
            hrm_model_destroy(one);
            hrm_model_destroy(halved);
        }
        hrm_trainer_destroy(together);
        hrm_model_destroy(all);
        hrm_dataset_close(data);
    }
    return failed;
}

/* ---- time ---------------------------------------------------------------------------------------------------------------- */
static double steps_ms(hrm_trainer *t, hrm_dataset *data, int n)
{
    double begin = now_ms();
    for (int i = 0; i < n; i++) OK(hrm_trainer_step(t, data, NULL)); /* not waiting for metrics */
    OK(t->model->table->sync(t->model->dev));
    return (now_ms() - begin) / n;
}

static void bench(int batch, hrm_arch arch, const char *how)
{
    enum { ROUNDS = 5, ALONE = 10, TOGETHER = 16 };
    hrm_dataset *data = data_make(4 * batch, 81, 11, 1);
    hrm_model_desc d = hrm_model_desc_for(data);
    hrm_train_desc td;
    hrm_model *model;
    hrm_trainer *together, *alone = NULL;
    double one[ROUNDS] = {0}, all[ROUNDS];
    d.device = HRM_CUDA;
    d.arch = arch;
    OK(hrm_model_create(&model, &d));
    memset(&td, 0, sizeof td);
    td.arch = arch, td.steps = 100000, td.batch_size = batch;
    if (host.rank == 0) OK(hrm_trainer_create(&alone, model, &td));
    td.comm = &gpus;
    OK(hrm_trainer_create(&together, model, &td));
    steps_ms(together, data, 4);
    for (int i = 0; i < ROUNDS; i++) {
        if (host.rank == 0) {
            steps_ms(alone, data, i ? 1 : 4);
            one[i] = steps_ms(alone, data, ALONE);
        }
        meet();
        steps_ms(together, data, 2);
        all[i] = steps_ms(together, data, TOGETHER);
        meet();
        /* alone moved rank 0's weights: the others' differ from them, which changes no time */
    }
    if (host.rank == 0) {
        double a = median(one, ROUNDS), b = median(all, ROUNDS);
        printf("batch %4d%s%s: one GPU %.2f ms a step, %d GPUs %.2f ms, %.2f times as fast\n", batch, how ? ":" : "",
               how ? how : "", a, host.size, b, a / b);
        fflush(stdout);
        hrm_trainer_destroy(alone);
    }
    hrm_trainer_destroy(together);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
}

int main(int argc, char **argv)
{
    comm_tcp_desc d;
    char index[16];
    int failed = 0;
    memset(&d, 0, sizeof d);
    d.rank = number_of("RANK", 0), d.size = number_of("WORLD_SIZE", 1);
    d.address = getenv("MASTER_ADDR") ? getenv("MASTER_ADDR") : "127.0.0.1";
    d.port = number_of("MASTER_PORT", 29500);
    d.lost = lost;
    int gpu = number_of("LOCAL_RANK", d.rank);
    snprintf(index, sizeof index, "%d", gpu);
    setenv("HRM_CUDA_DEVICE", index, 1);
    OK(comm_tcp_open(&host, &d));
    OK(comm_nccl_open(&gpus, &host, gpu));
    if (argc > 1 && strcmp(argv[1], "--check") == 0) {
        failed = check();
    } else {
        static const char *standard[] = {"768", "1536"};
        for (int i = 0; i < (argc > 1 ? argc - 1 : 2); i++) {
            const char *name = argc > 1 ? argv[i + 1] : standard[i], *colon = strchr(name, ':');
            hrm_arch arch = HRM_ARCH_HRM;
            if (colon) OK(hrm_arch_find(&arch, colon + 1));
            bench(atoi(name), arch, colon ? colon + 1 : NULL);
        }
    }
    comm_nccl_close(&gpus);
    comm_tcp_close(&host);
    return failed;
}
