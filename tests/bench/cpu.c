/* Speed on the CPU: matrix products against the measured peak of the multiply-add units, training steps, solving, threads,
 * memory.
 *
 *   cpu                                    everything, a minute or two
 *   cpu [--threads N] [--runs N] [--no-batch] CASE …    a JSON line a case, with the names that bench_torch.py uses;
 *                                                       --no-batch leaves out solving the whole batch
 *   cpu [--threads N] --products                        a JSON line a matrix product, an empty one; then, for the number of
 *                                                       one on a line of standard input, GFLOP/s of a tenth of a second
 *   cpu [--threads N] --turns CASE                      for a line `train`, `solve` or `memory` of standard input the
 *                                                       milliseconds of a training step, of a segment of one puzzle, or the
 *                                                       megabytes so far
 *   cpu [--threads N] [--runs N] --solving CASE … [--puzzles CSV [--model FILE]]
 *                                                       one puzzle by each instruction set, float32, bfloat16 and int8, by one
 *                                                       thread and by all, in turns: a segment of each CASE, and the model in
 *                                                       FILE on each puzzle of CSV until it halts
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
typedef hrm_real vector32 __attribute__((vector_size(32)));
typedef hrm_real vector64 __attribute__((vector_size(64)));
PEAK(peak_avx2, HRM__AVX2, vector32)
PEAK(peak_avx512, HRM__AVX512, vector64)
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
static const hrm_forward_dtype dtypes[] = {HRM_FORWARD_FLOAT32, HRM_FORWARD_BFLOAT16, HRM_FORWARD_INT8};

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

typedef struct training {
    hrm_dataset *data;
    hrm_trainer *trainer;
    uint8_t     *inputs, *labels;
} training;

static void train_begin(training *t, hrm_model *model, int arch, int batch)
{
    const hrm_model_desc *d = hrm_model_describe(model);
    size_t n = (size_t)batch * (size_t)d->seq_len;
    hrm_dataset_arrays arrays = {0};
    hrm_train_desc train = {0};
    t->inputs = (uint8_t *)malloc(n), t->labels = (uint8_t *)malloc(n);
    for (size_t i = 0; i < n; i++)
        t->inputs[i] = (uint8_t)(i * 7 % (size_t)d->vocab_size),
        t->labels[i] = (uint8_t)(1 + i * 5 % (size_t)(d->vocab_size - 1));
    arrays.seq_len = d->seq_len, arrays.vocab_size = d->vocab_size, arrays.num_examples = batch;
    arrays.inputs = t->inputs, arrays.labels = t->labels;
    check(hrm_dataset_from_arrays(&t->data, &arrays, NULL));
    train.arch = arch;
    train.steps = 1000000;
    train.batch_size = batch;
    check(hrm_trainer_create(&t->trainer, model, &train));
}

static double train_ms(training *t)
{
    hrm_metrics metrics;
    double start = seconds();
    check(hrm_trainer_step(t->trainer, t->data, &metrics));
    return 1e3 * (seconds() - start);
}

static void train_end(training *t)
{
    hrm_trainer_destroy(t->trainer);
    hrm_dataset_close(t->data);
    free(t->inputs);
    free(t->labels);
}

static double memory_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024e-6;
}

static double segment_gflop(const hrm_model *model)
{
    hrm_dims m = model->d; /* matrix products and attention, two a multiply-add, counted as bench_torch.py does */
    double D = m.D, mix = m.mixer ? 6 * D * m.I_t : 8 * D * D + 4.0 * m.S * D, block = mix + 6 * D * m.I;
    return 1e-9 * m.S * block * m.H_cycles * (m.L_cycles * m.layers[m.nets - 1] + m.layers[0]);
}

static result measure(const hrm_model_desc *desc, int batch, int what, int runs)
{
    /* as bench_torch.py: medians over `runs` after a warm-up; the same batch at every step */
    hrm_model *model;
    result r = {0};
    double times[64];
    check(hrm_model_create(&model, desc));
    const hrm_model_desc *d = hrm_model_describe(model);
    if (what & TRAIN) {
        training t;
        train_begin(&t, model, desc->arch, batch);
        for (int i = -1; i < runs; i++) {
            double ms = train_ms(&t);
            if (i >= 0) times[i] = ms;
        }
        r.train = median(times, runs);
        r.peak_mb = memory_mb();
        train_end(&t);
    }
    if (what & SOLVE) r.solve = solve_ms(model, batch, 1, (runs + 2) / 3 > 2 ? (runs + 2) / 3 : 2);
    if (what & SOLVE1) r.solve1 = solve_ms(model, 1, 1, runs > 3 ? runs : 3);
    if (what & SOLVE1) { /* a model that halts as soon as it may: what a halt saves */
        hrm_real bias[2] = {50, -50};
        check(hrm_model_tensor_write(model, hrm_model_tensor_find(model, "inner.q_head.bias"), bias));
        r.halting = solve_ms(model, 1, 0, 5);
    }
    if (!(what & TRAIN)) r.peak_mb = memory_mb();
    hrm_dims m = model->d;
    double forward = segment_gflop(model), block = forward / (m.H_cycles * (m.L_cycles * m.layers[m.nets - 1] + m.layers[0]));
    r.train_gflop = batch * ((m.no_continue ? 1 : 2) * forward + 2 * block * m.kept.blocks);
    r.solve_gflop = forward * d->halt_max_steps;
    hrm_model_destroy(model);
    return r;
}

static hrm_model_desc case_parse(const char *text, int *batch)
{
    hrm_model_desc d;
    if (parse(text, &d, batch)) return d;
    fprintf(stderr, "%s: expected NAME:BATCH[:KEY=VALUE,…]\n", text);
    exit(2);
}

static result measure_apart(const char *text, int threads, hrm_forward_dtype dtype, int what, int runs)
{
    /* in a process of its own, so that its peak memory is its own too */
    int batch, ends[2], status;
    result r = {0};
    hrm_model_desc d = case_parse(text, &batch);
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

/* ---- in turns with others ------------------------------------------------------------------------------------------------ */
static double segment_ms(hrm_model *model)
{
    int32_t puzzle[900] = {0}, answer[900]; /* the largest of parse()'s */
    hrm_solve_desc how = {0};
    how.max_steps = 1;
    double start = seconds();
    check(hrm_solve(model, puzzle, answer, &how));
    return 1e3 * (seconds() - start);
}

static void turns(const char *text, int threads)
{
    int batch, trains = 0;
    char line[16];
    hrm_model *model;
    training t;
    hrm_model_desc d = case_parse(text, &batch);
    d.num_threads = threads;
    check(hrm_model_create(&model, &d));
    while (scanf("%15s", line) == 1) {
        if (!strcmp(line, "train") && !trains) train_begin(&t, model, d.arch, batch), trains = 1;
        printf("%.4f\n", !strcmp(line, "train") ? train_ms(&t) : !strcmp(line, "solve") ? segment_ms(model) : memory_mb());
        fflush(stdout);
    }
    if (trains) train_end(&t);
    hrm_model_destroy(model);
}

/* One puzzle solved in different ways, each by a process of its own, since a process has one instruction set; they take
 * turns. */
enum { WAYS = 32, PUZZLES = 1000 };
typedef struct way { int cpu, threads; hrm_forward_dtype dtype; pid_t child; int ask, answer; } way;
typedef struct solved { double ms; int segments, right; } solved;
typedef struct puzzles { int32_t puzzle[PUZZLES][81], answer[PUZZLES][81]; int n; } puzzles;

static void puzzles_read(puzzles *p, const char *path)
{
    /* lines source,question,answer,rating; a blank is '.' */
    char line[512];
    FILE *f = fopen(path, "r");
    for (p->n = 0; f && p->n < PUZZLES && fgets(line, sizeof line, f);) {
        const char *q = strchr(line, ',');
        if (!q || strlen(q) < 163 || q[82] != ',') continue;
        for (int i = 0; i < 81; i++) p->puzzle[p->n][i] = q[1 + i] == '.' ? 1 : q[1 + i] - '0' + 1;
        for (int i = 0; i < 81; i++) p->answer[p->n][i] = q[83 + i] - '0' + 1;
        if (q[83] >= '1' && q[83] <= '9') p->n++; /* else the heading */
    }
    if (f) fclose(f);
    if (p->n > 0) return;
    fprintf(stderr, "%s: no puzzles\n", path);
    exit(1);
}

static void way_serve(const way *w, const char *text, const char *file, const puzzles *p)
{
    /* for the number of a puzzle: how it was solved; without puzzles, a segment */
    int number, batch;
    hrm_model *model;
    hrm_model_desc d;
    memset(&d, 0, sizeof d);
    if (!file) d = case_parse(text, &batch);
    d.num_threads = w->threads, d.forward_dtype = w->dtype;
    setenv("HRM_CPU", hrm__cpu_names[w->cpu], 1);
    check(hrm__cpu_select());
    if (file) check(hrm_model_load(&model, file, &d));
    else check(hrm_model_create(&model, &d));
    segment_ms(model);
    while (read(w->ask, &number, sizeof number) == (ssize_t)sizeof number) {
        solved s = {0, 1, 0};
        if (file) {
            int32_t answer[81];
            hrm_solve_result how_it_ended;
            hrm_solve_desc how = {0};
            how.results = &how_it_ended;
            double start = seconds();
            check(hrm_solve(model, p->puzzle[number], answer, &how));
            s.ms = 1e3 * (seconds() - start), s.segments = how_it_ended.segments;
            s.right = !memcmp(answer, p->answer[number], sizeof answer);
        } else s.ms = segment_ms(model);
        if (write(w->answer, &s, sizeof s) != (ssize_t)sizeof s) break;
    }
    hrm_model_destroy(model);
}

static solved way_ask(const way *w, int number)
{
    solved s;
    if (write(w->ask, &number, sizeof number) == (ssize_t)sizeof number && read(w->answer, &s, sizeof s) == (ssize_t)sizeof s)
        return s;
    fprintf(stderr, "%s %s: it ended\n", hrm__cpu_names[w->cpu], hrm__forward_names[w->dtype]);
    exit(1);
}

static void solving(const char *text, const char *file, const puzzles *p, int threads, int runs)
{
    static double ms[WAYS][PUZZLES], ratio[PUZZLES];
    way ways[WAYS];
    int n = 0, here = hrm__cpu_here(NULL), segments[WAYS] = {0}, right[WAYS] = {0};
    if (file) runs = p->n;
    for (int cpu = HRM__CPU_AMX; cpu > HRM__CPU_SCALAR; cpu--)
        for (size_t dtype = 0; here >> cpu & 1 && dtype < HRM__COUNT(dtypes); dtype++)
            for (int all = 1; all > (file || threads == 1 ? 0 : -1); all--) { /* by all threads, by one */
                way w = {cpu, all ? threads : 1, dtypes[dtype], 0, 0, 0};
                int down[2], up[2];
                if (w.dtype == HRM_FORWARD_FLOAT32 && (cpu == HRM__CPU_AMX || cpu == HRM__CPU_AVXVNNI)) continue;
                if (pipe(down) != 0 || pipe(up) != 0) exit(1);
                fflush(stdout);
                if ((w.child = fork()) == 0) {
                    close(down[1]), close(up[0]);
                    for (int i = 0; i < n; i++) close(ways[i].ask), close(ways[i].answer);
                    w.ask = down[0], w.answer = up[1];
                    way_serve(&w, text, file, p);
                    _exit(0);
                }
                close(down[0]), close(up[1]);
                w.ask = down[1], w.answer = up[0];
                ways[n++] = w;
            }
    for (int i = 0; i < n; i++) way_ask(&ways[i], 0);
    for (int run = 0; run < runs; run++)
        for (int i = 0; i < n; i++) {
            struct timespec rest = {0, 5000000}; /* the one before goes to sleep */
            nanosleep(&rest, NULL);
            solved s = way_ask(&ways[i], run);
            ms[i][run] = s.ms, segments[i] += s.segments, right[i] += s.right;
        }
    if (file) printf("\n%s, %d puzzles, each until it halts: medians\n", file, runs);
    else printf("\n%s, one puzzle, a segment: medians of %d turns\n", text, runs);
    printf("  HRM_CPU  weights   threads        ms   over float32 of the same HRM_CPU   %s\n",
           file ? "segments a puzzle   right" : "over one thread");
    for (int i = 0; i < n; i++) {
        int plain = -1, one = -1; /* the same in float32, by one thread */
        for (int j = 0; j < n; j++) {
            int alike = ways[j].cpu == ways[i].cpu || (ways[j].cpu == HRM__CPU_AVX512 && ways[i].cpu == HRM__CPU_AMX) ||
                        (ways[j].cpu == HRM__CPU_AVX2 && ways[i].cpu == HRM__CPU_AVXVNNI);
            if (alike && ways[j].dtype == HRM_FORWARD_FLOAT32 && ways[j].threads == ways[i].threads) plain = j;
            if (ways[j].cpu == ways[i].cpu && ways[j].dtype == ways[i].dtype && ways[j].threads == 1) one = j;
        }
        for (int run = 0; run < runs; run++) ratio[run] = ms[plain][run] / ms[i][run];
        double over = median(ratio, runs);
        for (int run = 0; one >= 0 && run < runs; run++) ratio[run] = ms[one][run] / ms[i][run];
        double threaded = median(ratio, runs);
        for (int run = 0; run < runs; run++) ratio[run] = ms[i][run];
        printf("  %-8s %-9s %7d %9.1f   %31.2fx  ", hrm__cpu_names[ways[i].cpu], hrm__forward_names[ways[i].dtype],
               ways[i].threads, median(ratio, runs), over);
        if (file) printf("%18.2f   %5d\n", (double)segments[i] / runs, right[i]);
        else if (one >= 0 && ways[i].threads > 1) printf("%15.2fx\n", threaded);
        else printf("\n");
    }
    for (int i = 0; i < n; i++) {
        int status;
        close(ways[i].ask), close(ways[i].answer);
        waitpid(ways[i].child, &status, 0);
    }
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
    for (size_t i = 0; i < HRM__COUNT(dtypes); i++) {
        result r1 = measure_apart("sudoku:1", 1, dtypes[i], SOLVE1, 3),
               r = measure_apart("sudoku:1", threads, dtypes[i], SOLVE1, 5);
        printf("  %-43s %7.0f ms %8.0f ms   %5.2f %9.0f   %5.0f %%   %4.0f MB   %5.0f ms\n", hrm__forward_names[dtypes[i]],
               r1.solve1, r.solve1, r1.solve1 / r.solve1, r.solve_gflop / r.solve1 * 1e3,
               100 * r.solve_gflop / r.solve1 * 1e3 / peak, r.peak_mb, r.halting);
    }
}

int main(int argc, char **argv)
{
    static puzzles boards;
    int threads = hrm_cpu_count(), runs = 7, any = 0, what = TRAIN | SOLVE | SOLVE1, ways = 0;
    const char *file = "models/sudoku.safetensors";
    for (int i = 1; i < argc; i++) ways |= !strcmp(argv[i], "--solving"); /* in which every child has its own */
    if (!ways) check(hrm__cpu_select());
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--threads") && i + 1 < argc) threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc) runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--no-batch")) what &= ~SOLVE;
        else if (!strcmp(argv[i], "--products")) products(threads), any = 1;
        else if (!strcmp(argv[i], "--turns") && i + 1 < argc) turns(argv[++i], threads), any = 1;
        else if (!strcmp(argv[i], "--solving")) any = 1;
        else if (!strcmp(argv[i], "--model") && i + 1 < argc) file = argv[++i];
        else if (!strcmp(argv[i], "--puzzles") && i + 1 < argc) puzzles_read(&boards, argv[++i]);
        else if (ways) solving(argv[i], NULL, NULL, threads, runs < 1 || runs > PUZZLES ? 20 : runs);
        else {
            if (runs < 1 || runs > 64) runs = 7;
            result r = measure_apart(argv[i], threads, HRM_FORWARD_FLOAT32, what, runs);
            printf("{\"case\": \"%s\", \"train_ms\": %.2f, \"solve_ms\": %.2f, \"solve1_ms\": %.2f, \"peak_MB\": %.1f}\n",
                   argv[i], r.train, r.solve, r.solve1, r.peak_mb);
            any = 1;
        }
    }
    if (boards.n) solving(NULL, file, &boards, threads, boards.n);
    if (!any) everything(threads);
    return 0;
}
