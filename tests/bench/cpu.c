/* Speed on the CPU: matrix products against the measured peak of the multiply-add units, training steps, solving, threads,
 * memory.
 *
 *   cpu                                    everything, a minute or two
 *   cpu [--threads N] [--runs N] [--no-batch] CASE …    a JSON line a case, with the names that bench_torch.py uses;
 *                                                       --no-batch leaves out solving the whole batch
 *   cpu [--threads N] --products                        a JSON line a matrix product, an empty one; then, for the number of
 *                                                       one on a line of standard input, GFLOP/s of a tenth of a second
 *
 * CASE is NAME:BATCH[:KEY=VALUE,…], NAME one of sudoku4 sudoku maze, KEY a field of the description: sudoku:8:hidden_size=256,
 * or arch: sudoku:4:arch=fast, which is trained by its own recipe too.
 */
#define _POSIX_C_SOURCE 200809L
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}
static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static void check(hrm_status status)
{
    if (status == HRM_OK) return;
    fprintf(stderr, "%s\n", hrm_error_message());
    exit(1);
}

/* ---- the floor: multiply-adds on registers alone ------------------------------------------------------------------------ */
/* Twelve chains hide the latency of four cycles on two units. Each starts elsewhere: compilers make one of chains that
 * agree. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define DECLARE(i) V v##i = start[i] - (V){0};
#define MULTIPLY_ADD(i) v##i = v##i * x + y;
#define GATHER(i) sum += v##i;
#define PEAK(name, target, vector)                                                                                             \
    static target double name(long n) /* -> operations a step */                                                               \
    {                                                                                                                          \
        typedef vector V;                                                                                                      \
        enum { W = (int)(sizeof(V) / sizeof(hrm_real)) };                                                                      \
        volatile hrm_real in[2] = {(hrm_real)0.999, (hrm_real)0.001}, start[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},     \
                          out;                                                                                                 \
        V x = in[0] - (V){0}, y = in[1] - (V){0}, sum = {0};                                                                   \
        CHAINS(DECLARE)                                                                                                        \
        for (long k = 0; k < n; k++) { CHAINS(MULTIPLY_ADD) }                                                                  \
        CHAINS(GATHER)                                                                                                         \
        out = sum[0];                                                                                                          \
        (void)out;                                                                                                             \
        return 2.0 * 12 * W;                                                                                                   \
    }
HRM__FAST_BEGIN
PEAK(peak_baseline, , hrm__v16)
#if defined(HRM__X86)
PEAK(peak_avx2, HRM__AVX2, hrm__v32)
PEAK(peak_avx512, HRM__AVX512, hrm__v64)
#endif
HRM__FAST_END

static double peak_run(long n)
{
#if defined(HRM__X86)
    if (hrm__cpu() >= HRM__CPU_AVX512) return peak_avx512(n);
    if (hrm__cpu() >= HRM__CPU_AVX2) return peak_avx2(n);
#endif
    return peak_baseline(n);
}

static void peak_thread(void *context, int id, int size) { (void)id, (void)size, *(double *)context = peak_run(2000000); }

static double peak_gflops(hrm_pool *pool, int runs)
{
    double best = 0, each = peak_run(1);
    for (int i = 0; i < runs; i++) {
        double each_thread, t = seconds();
        hrm_pool_run(pool, peak_thread, &each_thread);
        double rate = each * 2e6 * hrm_pool_size(pool) / (seconds() - t) * 1e-9;
        if (rate > best) best = rate;
    }
    return best;
}

/* ---- matrix products ---------------------------------------------------------------------------------------------------- */
typedef struct shape { int tn; size_t M, N, K; hrm_forward_dtype dtype; } shape;
typedef struct product {
    shape s;
    hrm_real *a, *b, *c, *packed, *scratch;
    size_t na, nb, nc, np, own;
    int threads, times;
} product;

static void product_thread(void *context, int id, int size)
{
    const product *p = (const product *)context;
    const size_t M = p->s.M, N = p->s.N, K = p->s.K;
    hrm_real *own = p->scratch + (size_t)id * p->own;
    hrm__team t = {0, 0, NULL};
    t.id = id, t.size = size;
    for (int i = 0; i < p->times; i++)
        if (p->s.tn) hrm__gemm_tn(p->c, K, p->a, N, p->b, K, M, N, K, 1, own, &t);
        else if (p->s.dtype == HRM_FORWARD_INT8) hrm__gemm_bytes(p->c, N, p->a, K, p->packed, M, N, K, own, &t);
        else if (p->s.dtype == HRM_FORWARD_BFLOAT16)
            hrm__gemm_bf16(p->c, N, p->a, K, (const uint16_t *)(const void *)p->packed, M, N, K, own, &t);
        else hrm__gemm(p->c, N, p->a, K, p->packed, M, N, K, 0, own, &t);
}

static hrm_real *array(size_t n)
{
    void *p;
    check(hrm__alloc_zero(NULL, &p, n, sizeof(hrm_real), "operand"));
    for (size_t i = 0; i < n; i++) ((hrm_real *)p)[i] = (hrm_real)((double)(i * 2654435761u % 1000) / 1000 - 0.5);
    return (hrm_real *)p;
}

static product product_make(shape s, int threads)
{
    product p = {0};
    hrm__team alone = {0, 1, NULL};
    hrm__bytes_space unused;
    p.s = s, p.threads = threads;
    p.na = s.M * (s.tn ? s.N : s.K), p.nb = s.K * (s.tn ? s.M : s.N), p.nc = s.N * (s.tn ? s.K : s.M);
    p.np = hrm__operand_size(s.dtype, s.N, s.K);
    p.own = hrm__gemm_scratch() + hrm__bf16_scratch(s.K) + hrm__bytes_scratch(s.K, NULL, &unused);
    p.a = array(p.na), p.b = array(p.nb), p.c = array(p.nc), p.packed = array(p.np), p.scratch = array(p.own * (size_t)threads);
    if (s.dtype == HRM_FORWARD_INT8) hrm__pack_bytes(p.packed, p.b, s.N, s.K, &alone);
    else if (s.dtype == HRM_FORWARD_BFLOAT16) hrm__pack_bf16((uint16_t *)(void *)p.packed, p.b, s.N, s.K, &alone);
    else if (!s.tn) hrm__pack(p.packed, p.b, s.N, s.K, 0, &alone);
    return p;
}

static void product_free(product *p)
{
    hrm__free(NULL, p->a, p->na, sizeof *p->a), hrm__free(NULL, p->b, p->nb, sizeof *p->a);
    hrm__free(NULL, p->c, p->nc, sizeof *p->a), hrm__free(NULL, p->packed, p->np, sizeof *p->a);
    hrm__free(NULL, p->scratch, p->own * (size_t)p->threads, sizeof *p->a);
}

static double product_slice(product *p, hrm_pool *pool, double length)
{
    /* -> GFLOP/s over `length` seconds at least */
    double flop = 2.0 * (double)p->s.M * (double)p->s.N * (double)p->s.K, done = 0, start = seconds(), t;
    p->times = 1 + (int)(1e9 / flop);
    do {
        hrm_pool_run(pool, product_thread, p);
        done += flop * p->times;
    } while ((t = seconds() - start) < length);
    return done / t * 1e-9;
}

static double product_gflops(hrm_pool *pool, shape s)
{
    double best = 0, rate;
    product p = product_make(s, hrm_pool_size(pool));
    for (int i = 0; i < 7; i++)
        if ((rate = product_slice(&p, pool, 0)) > best) best = rate;
    product_free(&p);
    return best;
}

/* Some also with weights in bfloat16 and bytes, where x becomes what they are and y is float32, all in the time. */
#define QUANTIZED(dtype) \
    {0, 82, 1536, 512, dtype}, {0, 82, 3072, 512, dtype}, {0, 82, 512, 1536, dtype}, {0, 656, 3072, 512, dtype}, \
        {0, 512, 512, 82, dtype}, {0, 512, 82, 256, dtype}
#define F HRM_FORWARD_FLOAT32
static const shape shapes[] = {
    {0, 82, 1536, 512, F},  {0, 82, 512, 512, F},   {0, 82, 3072, 512, F},   {0, 82, 512, 1536, F},   {0, 656, 3072, 512, F},
    {0, 656, 512, 1536, F}, {0, 656, 1536, 3072, F}, {0, 5248, 3072, 512, F}, {0, 2624, 2048, 256, F}, {0, 2624, 256, 1024, F},
    {0, 4352, 384, 128, F}, {0, 4352, 128, 128, F}, {0, 4352, 1024, 128, F}, {0, 4352, 128, 512, F},  {0, 512, 512, 82, F},
    {0, 512, 82, 256, F},   {1, 656, 3072, 512, F}, {1, 656, 512, 1536, F},  {1, 5248, 3072, 512, F}, {1, 2624, 2048, 256, F},
    {1, 4352, 1024, 128, F}, {1, 2048, 512, 82, F}, {1, 2048, 82, 256, F},   QUANTIZED(HRM_FORWARD_BFLOAT16),
    QUANTIZED(HRM_FORWARD_INT8)};
#undef F

static void products(int threads)
{
    hrm_pool *pool;
    product p = {0};
    int number, last = -1;
    check(hrm_pool_create(&pool, threads, NULL));
    for (size_t i = 0; i < HRM__COUNT(shapes); i++)
        printf("{\"dw\": %d, \"M\": %zu, \"N\": %zu, \"K\": %zu, \"dtype\": \"%s\"}\n", shapes[i].tn, shapes[i].M, shapes[i].N,
               shapes[i].K, hrm__forward_names[shapes[i].dtype]);
    printf("\n");
    fflush(stdout);
    while (scanf("%d", &number) == 1 && number >= 0 && number < (int)HRM__COUNT(shapes)) {
        if (number != last) {
            if (last >= 0) product_free(&p);
            p = product_make(shapes[number], threads);
            product_slice(&p, pool, 0);
            last = number;
        }
        double peak = peak_gflops(pool, 3);
        printf("{\"gflops\": %.1f, \"peak\": %.1f}\n", product_slice(&p, pool, 0.1), peak);
        fflush(stdout);
    }
    if (last >= 0) product_free(&p);
    hrm_pool_destroy(pool);
}

/* ---- training and solving ------------------------------------------------------------------------------------------------ */
typedef struct result { double train, solve, solve1, halting, train_gflop, solve_gflop, peak_mb; } result; /* milliseconds */

static int key_set(hrm_model_desc *d, const char *key, double value)
{
    struct {
        const char *name;
        int *field;
    } ints[] = {{"hidden_size", &d->hidden_size},
                {"num_heads", &d->num_heads},
                {"H_layers", &d->H_layers},
                {"L_layers", &d->L_layers},
                {"H_cycles", &d->H_cycles},
                {"L_cycles", &d->L_cycles},
                {"halt_max_steps", &d->halt_max_steps}};
    for (size_t i = 0; i < HRM__COUNT(ints); i++)
        if (!strcmp(ints[i].name, key)) return *ints[i].field = (int)value, 1;
    return 0;
}

static int parse(const char *text, hrm_model_desc *d, int *batch)
{
    static const struct { const char *name; int T, V; } tasks[] = {{"sudoku4", 16, 6}, {"sudoku", 81, 11}, {"maze", 900, 6}};
    char name[16], key[32], word[16];
    int used = 0;
    double value;
    memset(d, 0, sizeof *d);
    if (sscanf(text, "%15[^:]:%d%n", name, batch, &used) != 2) return 0;
    for (size_t i = 0; i < HRM__COUNT(tasks); i++)
        if (!strcmp(tasks[i].name, name)) d->seq_len = tasks[i].T, d->vocab_size = tasks[i].V;
    for (text += used; *text == ':' || *text == ','; text += used)
        if (sscanf(text + 1, "arch=%15[a-z_]%n", word, &used) == 1) {
            if (hrm_arch_find(&d->arch, word) != HRM_OK) return 0;
            used++;
        } else if (sscanf(text + 1, "%31[^=]=%lf%n", key, &value, &used) != 2 || !key_set(d, key, value)) return 0;
        else used++;
    return *text == 0 && d->seq_len > 0;
}

enum { TRAIN = 1, SOLVE = 2, SOLVE1 = 4 };

static double solve_ms(hrm_model *model, int rows, int no_halting, int runs)
{
    double times[64];
    const hrm_model_desc *d = hrm_model_describe(model);
    size_t n = (size_t)rows * (size_t)d->seq_len;
    int32_t *puzzle = (int32_t *)calloc(n, sizeof *puzzle), *answer = (int32_t *)calloc(n, sizeof *answer);
    hrm_solve_desc how = {0};
    how.rows = rows;
    how.no_halting = no_halting;
    for (int i = -1; i < runs; i++) {
        double t = seconds();
        check(hrm_solve(model, puzzle, answer, &how));
        if (i >= 0) times[i] = 1e3 * (seconds() - t);
    }
    free(puzzle);
    free(answer);
    return median(times, runs);
}

static result measure(const hrm_model_desc *desc, int batch, int what, int runs)
{
    /* as bench_torch.py: medians over `runs` after a warm-up; the same batch at every step */
    hrm_model *model;
    result r = {0};
    double times[64];
    struct rusage usage;
    check(hrm_model_create(&model, desc));
    const hrm_model_desc *d = hrm_model_describe(model);
    size_t n = (size_t)batch * (size_t)d->seq_len;
    if (what & TRAIN) {
        uint8_t *inputs = (uint8_t *)malloc(n), *labels = (uint8_t *)malloc(n);
        hrm_dataset_arrays arrays = {0};
        hrm_dataset *data;
        hrm_train_desc train = {0};
        hrm_trainer *trainer;
        hrm_metrics metrics;
        for (size_t i = 0; i < n; i++)
            inputs[i] = (uint8_t)(i * 7 % (size_t)d->vocab_size),
            labels[i] = (uint8_t)(1 + i * 5 % (size_t)(d->vocab_size - 1));
        arrays.seq_len = d->seq_len, arrays.vocab_size = d->vocab_size, arrays.num_examples = batch;
        arrays.inputs = inputs, arrays.labels = labels;
        check(hrm_dataset_from_arrays(&data, &arrays, NULL));
        train.arch = desc->arch;
        train.steps = 1000000;
        train.batch_size = batch;
        check(hrm_trainer_create(&trainer, model, &train));
        for (int i = -1; i < runs; i++) {
            double t = seconds();
            check(hrm_trainer_step(trainer, data, &metrics));
            if (i >= 0) times[i] = 1e3 * (seconds() - t);
        }
        r.train = median(times, runs);
        getrusage(RUSAGE_SELF, &usage);
        r.peak_mb = (double)usage.ru_maxrss * 1024e-6;
        hrm_trainer_destroy(trainer);
        hrm_dataset_close(data);
        free(inputs);
        free(labels);
    }
    if (what & SOLVE) r.solve = solve_ms(model, batch, 1, (runs + 2) / 3 > 2 ? (runs + 2) / 3 : 2);
    if (what & SOLVE1) r.solve1 = solve_ms(model, 1, 1, runs > 3 ? runs : 3);
    if (what & SOLVE1) { /* a model that halts as soon as it may: what a halt saves */
        hrm_real bias[2] = {50, -50};
        check(hrm_model_tensor_write(model, hrm_model_tensor_find(model, "inner.q_head.bias"), bias));
        r.halting = solve_ms(model, 1, 0, 5);
    }
    if (!(what & TRAIN)) {
        getrusage(RUSAGE_SELF, &usage);
        r.peak_mb = (double)usage.ru_maxrss * 1024e-6;
    }
    hrm_dims m = model->d; /* matrix products and attention, two a multiply-add, counted as bench_torch.py does */
    double D = m.D, mix = m.mixer ? 6 * D * m.I_t : 8 * D * D + 4.0 * m.S * D, block = mix + 6 * D * m.I;
    double forward = block * m.H_cycles * (m.L_cycles * m.layers[m.nets - 1] + m.layers[0]);
    r.train_gflop = 1e-9 * batch * m.S * ((m.no_continue ? 1 : 2) * forward + 2 * block * m.kept.blocks);
    r.solve_gflop = 1e-9 * m.S * forward * d->halt_max_steps;
    hrm_model_destroy(model);
    return r;
}

static result measure_apart(const char *text, int threads, hrm_forward_dtype dtype, int what, int runs)
{
    /* in a process of its own, so that its peak memory is its own too */
    hrm_model_desc d;
    int batch, ends[2], status;
    result r = {0};
    if (!parse(text, &d, &batch)) {
        fprintf(stderr, "%s: expected NAME:BATCH[:KEY=VALUE,…]\n", text);
        exit(2);
    }
    d.num_threads = threads;
    d.forward_dtype = dtype;
    fflush(stdout);
    if (pipe(ends) != 0) exit(1);
    pid_t child = fork();
    if (child == 0) {
        r = measure(&d, batch, what, runs);
        _exit(write(ends[1], &r, sizeof r) == (ssize_t)sizeof r ? 0 : 1);
    }
    close(ends[1]);
    int got = child > 0 && read(ends[0], &r, sizeof r) == (ssize_t)sizeof r;
    close(ends[0]);
    if (child > 0) waitpid(child, &status, 0);
    if (!got) exit(1);
    return r;
}

static void everything(int threads)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"(a) 4x4, hidden 128, 2+2 layers, batch 256", "sudoku4:256:hidden_size=128,num_heads=4,H_layers=2,L_layers=2"},
        {"(b) 9x9, hidden 256, 4+4 layers, batch 32", "sudoku:32:hidden_size=256"},
        {"(c) 9x9, hidden 512, 4+4 layers, batch 8", "sudoku:8"}};
    hrm_pool *one, *all;
    check(hrm_pool_create(&one, 1, NULL));
    check(hrm_pool_create(&all, threads, NULL));
    double peak1 = peak_gflops(one, 15), peak = peak_gflops(all, 15);
    printf("instruction set %s, %d threads; multiply-adds on registers: %.0f GFLOP/s on one, %.0f on all\n\n",
           hrm__cpu_names[hrm__cpu()], threads, peak1, peak);
    printf("matrix products (dw: summed over M)                   1 thread         %d threads\n", threads);
    for (size_t i = 0; i < HRM__COUNT(shapes); i++) {
        double r1 = product_gflops(one, shapes[i]), r = product_gflops(all, shapes[i]);
        printf("  %s M %4zu  N %4zu  K %4zu  %-8s  %5.0f GFLOP/s %3.0f %%   %5.0f GFLOP/s %3.0f %%\n",
               shapes[i].tn ? "dw" : "y ", shapes[i].M, shapes[i].N, shapes[i].K, hrm__forward_names[shapes[i].dtype], r1,
               100 * r1 / peak1, r, 100 * r / peak);
        fflush(stdout);
    }
    hrm_pool_destroy(one);
    hrm_pool_destroy(all);
    printf("\ntraining step                                  1 thread   %d threads   ratio   GFLOP/s   of peak   memory\n",
           threads);
    for (size_t i = 0; i < HRM__COUNT(cases); i++) {
        result r1 = measure_apart(cases[i].text, 1, HRM_FORWARD_FLOAT32, TRAIN, 3),
               r = measure_apart(cases[i].text, threads, HRM_FORWARD_FLOAT32, TRAIN, 5);
        printf("  %-43s %7.0f ms %8.0f ms   %5.2f %9.0f   %5.0f %%   %4.0f MB\n", cases[i].name, r1.train, r.train,
               r1.train / r.train, r.train_gflop / r.train * 1e3, 100 * r.train_gflop / r.train * 1e3 / peak, r.peak_mb);
    }
    if (threads < 8) {
        result r = measure_apart(cases[0].text, threads, HRM_FORWARD_FLOAT32, TRAIN, 5),
               more = measure_apart(cases[0].text, 8, HRM_FORWARD_FLOAT32, TRAIN, 5);
        printf("  (a) with 8 threads on %d processors: %.0f ms, %.2f of the speed with %d\n", hrm_cpu_count(), more.train,
               r.train / more.train, threads);
    }
    printf("\none 9x9 puzzle, full model, 16 segments        1 thread   %d threads   ratio   GFLOP/s   of peak   memory   "
           "halting at once\n",
           threads);
    for (int dtype = HRM_FORWARD_FLOAT32; dtype <= HRM_FORWARD_INT8; dtype++) {
        result r1 = measure_apart("sudoku:1", 1, (hrm_forward_dtype)dtype, SOLVE1, 3),
               r = measure_apart("sudoku:1", threads, (hrm_forward_dtype)dtype, SOLVE1, 5);
        printf("  %-43s %7.0f ms %8.0f ms   %5.2f %9.0f   %5.0f %%   %4.0f MB   %5.0f ms\n", hrm__forward_names[dtype],
               r1.solve1, r.solve1, r1.solve1 / r.solve1, r.solve_gflop / r.solve1 * 1e3,
               100 * r.solve_gflop / r.solve1 * 1e3 / peak, r.peak_mb, r.halting);
    }
}

int main(int argc, char **argv)
{
    int threads = hrm_cpu_count(), runs = 7, any = 0, what = TRAIN | SOLVE | SOLVE1;
    check(hrm__cpu_select());
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--threads") && i + 1 < argc) threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc) runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--no-batch")) what &= ~SOLVE;
        else if (!strcmp(argv[i], "--products")) products(threads), any = 1;
        else {
            if (runs < 1 || runs > 64) runs = 7;
            result r = measure_apart(argv[i], threads, HRM_FORWARD_FLOAT32, what, runs);
            printf("{\"case\": \"%s\", \"train_ms\": %.2f, \"solve_ms\": %.2f, \"solve1_ms\": %.2f, \"peak_MB\": %.1f}\n",
                   argv[i], r.train, r.solve, r.solve1, r.peak_mb);
            any = 1;
        }
    }
    if (!any) everything(threads);
    return 0;
}
