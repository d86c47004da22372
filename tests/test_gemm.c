/* Matrix products and vector math: every instruction set, against double, with tails, poisoned outputs and guarded edges;
 * bitwise equality over team sizes and over splits of the rows. */
#define HRM_IMPLEMENTATION
#include "../hrm.h"
#include "harness.h"

static uint32_t state = 1;
static hrm_real uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (hrm_real)(state >> 8) / (hrm_real)(1 << 24) - (hrm_real)0.5;
}

#define GUARD 67
static const hrm_real guard_value = (hrm_real)123456.0;

/* An array between two guards, each at an odd offset, filled at random or with `value`. */
static hrm_real *array_new(size_t n, int random, hrm_real value)
{
    hrm_real *p = (hrm_real *)malloc((n + 2 * GUARD) * sizeof *p);
    size_t i;
    for (i = 0; i < GUARD; i++) p[i] = p[n + GUARD + i] = guard_value;
    for (i = 0; i < n; i++) p[GUARD + i] = random ? uniform() : value;
    return p + GUARD;
}

static int array_free(hrm_real *p, size_t n)
{
    int intact = 1;
    size_t i;
    p -= GUARD;
    for (i = 0; i < GUARD; i++) intact &= p[i] == guard_value && p[n + GUARD + i] == guard_value;
    free(p);
    return intact;
}

/* c = a b (+1 when accumulated onto ones), all with row lengths and gaps of their own; how the operands are called and where a
 * and b lie depends on the product: y = x w^T, dx = dy w, dw = dy^T x. */
typedef enum { PLAIN, TRANSPOSED, TN, PRODUCTS } product;
typedef struct problem {
    product kind;
    size_t rows, cols, inner, lda, ldb, ldc;
    hrm_real *a, *b, *packed, *scratch;
} problem;

/* Rows [begin, end) of c, or all of them in a TN product, by a team whose members take turns: there are no barriers inside. */
static void run(const problem *p, hrm_real *c, size_t begin, size_t end, int accumulate, int size)
{
    hrm__team t = {0, 0, NULL};
    t.size = size;
    for (t.id = 0; t.id < size; t.id++)
        if (p->kind == TN)
            hrm__gemm_tn(c, p->ldc, p->a, p->lda, p->b, p->ldb, p->inner, p->rows, p->cols, accumulate, p->scratch, &t);
        else
            hrm__gemm(c + begin * p->ldc, p->ldc, p->a + begin * p->lda, p->lda, p->packed, end - begin, p->cols, p->inner,
                      accumulate, p->scratch, &t);
}

static void pack(const problem *p, size_t N, size_t K, int size)
{
    hrm__team t = {0, 0, NULL};
    t.size = size;
    for (t.id = 0; t.id < size; t.id++) hrm__pack(p->packed, p->b, N, K, p->kind == TRANSPOSED, &t);
}

/* The largest error of c, relative to the sum of the magnitudes of an element's terms; a NaN is infinite. */
static double error(const problem *p, const hrm_real *c, int accumulate)
{
    double most = 0;
    size_t i, j, k;
    for (i = 0; i < p->rows; i++)
        for (j = 0; j < p->cols; j++) {
            double sum = accumulate, size = 1, e;
            for (k = 0; k < p->inner; k++) {
                double a = (double)(p->kind == TN ? p->a[k * p->lda + i] : p->a[i * p->lda + k]);
                double b = (double)(p->kind == PLAIN ? p->b[j * p->ldb + k] : p->b[k * p->ldb + j]);
                sum += a * b, size += fabs(a * b);
            }
            e = fabs((double)c[i * p->ldc + j] - sum) / size;
            if (!(e <= most)) most = e >= 0 ? e : HUGE_VAL;
        }
    return most;
}

static int same(const hrm_real *c, const hrm_real *d, size_t ld, size_t rows, size_t cols)
{
    size_t i;
    for (i = 0; i < rows; i++)
        if (memcmp(c + i * ld, d + i * ld, cols * sizeof *c) != 0) return 0;
    return 1;
}

/* w [N,K], x [M,K], dy [M,N]; rows of activations lie K + gap or N + gap apart, and the gap must stay as it is */
static void test_shape(const char *cpu, size_t M, size_t N, size_t K, size_t gap)
{
    static const char *const names[] = {"plain", "transposed", "tn"};
    const double tolerance = sizeof(hrm_real) == sizeof(float) ? 6e-7 : 2e-15;
    int kind, accumulate, size;
    for (kind = PLAIN; kind < PRODUCTS; kind++) {
        problem p;
        size_t a_size, b_size, c_size, i, j;
        p.kind = (product)kind;
        p.rows = kind == TN ? N : M, p.cols = kind == PLAIN ? N : K, p.inner = kind == PLAIN ? K : kind == TRANSPOSED ? N : M;
        p.lda = (kind == PLAIN ? K : N) + gap, p.ldb = kind == TN ? K + gap : K, p.ldc = p.cols + gap;
        a_size = (M - 1) * p.lda + p.lda - gap, b_size = kind == TN ? (M - 1) * p.ldb + K : N * K;
        c_size = (p.rows - 1) * p.ldc + p.cols;
        p.a = array_new(a_size, 1, 0), p.b = array_new(b_size, 1, 0);
        p.packed = array_new(hrm__pack_size(N, K), 0, (hrm_real)NAN),
        p.scratch = array_new(hrm__gemm_scratch(), 0, (hrm_real)NAN);
        if (kind != TN) pack(&p, N, K, 1), pack(&p, N, K, 3);
        for (accumulate = 0; accumulate <= 1; accumulate++) {
            hrm_real *first = array_new(c_size, 0, accumulate ? 1 : (hrm_real)NAN);
            int kept = 1, equal = 1, intact = 1;
            double e;
            run(&p, first, 0, p.rows, accumulate, 1);
            e = error(&p, first, accumulate);
            CHECK(e < tolerance, "%s %s M %zu N %zu K %zu accumulate %d: error %g", cpu, names[kind], M, N, K, accumulate, e);
            for (size = 1; size <= 5; size++) {
                hrm_real *c = array_new(c_size, 0, accumulate ? 1 : (hrm_real)-7);
                run(&p, c, 0, p.rows, accumulate, size);
                equal &= same(c, first, p.ldc, p.rows, p.cols);
                for (i = 0; i + 1 < p.rows; i++)
                    for (j = p.cols; j < p.ldc; j++) kept &= c[i * p.ldc + j] == (accumulate ? (hrm_real)1 : (hrm_real)-7);
                intact &= array_free(c, c_size);
            }
            CHECK(equal, "%s %s M %zu N %zu K %zu: teams differ", cpu, names[kind], M, N, K);
            if (kind != TN && M > 1) {      /* rows by themselves or in uneven pieces are the same rows */
                hrm_real *c = array_new(c_size, 0, accumulate ? 1 : (hrm_real)NAN);
                size_t cut = M / 3, next = cut + 1;
                if (cut > 0) run(&p, c, 0, cut, accumulate, 1);
                run(&p, c, cut, next, accumulate, 2);
                if (next < M) run(&p, c, next, M, accumulate, 1);
                CHECK(same(c, first, p.ldc, p.rows, p.cols), "%s %s M %zu N %zu K %zu: pieces differ", cpu, names[kind], M, N,
                      K);
                intact &= array_free(c, c_size);
            }
            intact &= array_free(first, c_size);
            CHECK(kept && intact, "%s %s M %zu N %zu K %zu: written outside the result", cpu, names[kind], M, N, K);
        }
        CHECK(array_free(p.packed, hrm__pack_size(N, K)) && array_free(p.scratch, hrm__gemm_scratch()) &&
                  array_free(p.a, a_size) && array_free(p.b, b_size),
              "%s %s M %zu N %zu K %zu: written outside the scratch or an operand", cpu, names[kind], M, N, K);
    }
}

/* A function over its range, against double; the body in a loop, so that it is the vectorised code that is checked. */
#define TEST_UNARY(name, exact, from, to, absolute, limit) \
    do { \
        hrm_real x[1024], y[1024]; \
        double most = 0, at = 0; \
        int block, i; \
        for (block = 0; block < 200; block++) { \
            for (i = 0; i < 1024; i++) x[i] = (hrm_real)((from) + ((to) - (from)) * (block + (double)i / 1023) / 200); \
            map_##name(y, x, 1024); \
            for (i = 0; i < 1024; i++) { \
                double v = (double)x[i], e = fabs((double)y[i] - (exact)) / (fabs(exact) + (absolute)); \
                if (!(e <= most)) most = e, at = v; \
            } \
        } \
        CHECK(most <= (limit), "%s " #name ": error %g at %g", cpu, most, at); \
    } while (0)

HRM__FAST_BEGIN
#define MAP(name) \
    HRM__INLINE void map_##name##_body(hrm_real *y, const hrm_real *x, size_t n) \
    { \
        for (size_t i = 0; i < n; i++) y[i] = hrm__##name(x[i]); \
    } \
    HRM__DISPATCH(map_##name, (hrm_real *y, const hrm_real *x, size_t n), (y, x, n))
MAP(exp) MAP(log) MAP(sigmoid) MAP(silu) MAP(sqrt)
HRM__INLINE void map_atan2_body(hrm_real *z, const hrm_real *y, const hrm_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++) z[i] = hrm__atan2(y[i], x[i]);
}
HRM__DISPATCH(map_atan2, (hrm_real *z, const hrm_real *y, const hrm_real *x, size_t n), (z, y, x, n))
HRM__INLINE void reduce_body(hrm_real *out, const hrm_real *x, const hrm_real *y, size_t n)
{
    out[0] = hrm__sum(x, n), out[1] = hrm__dot(x, y, n), out[2] = hrm__max(x, n);
}
HRM__DISPATCH(reduce, (hrm_real *out, const hrm_real *x, const hrm_real *y, size_t n), (out, x, y, n))
HRM__FAST_END

/* Gradients whose squares are no floats, or hardly: what libm's functions make of them, step after step, those past 1.8e19
 * taken as that. */
static void test_adam_ends(const char *cpu)
{
    static const double sizes[] = {1e-45, 1e-40, 1e-38, 1e-30, 3e-23, 1e-21, 1e-19, 1e-10,
                                   1,     1e10,  1e18,  3e19,  1e20,  1e30,  3e38};
    enum { N = 2 * HRM__COUNT(sizes) };
    hrm_real p[N], m[N], v[N], g[N];
    double P[N], b1 = (double)(hrm_real)0.1, b2 = (double)(hrm_real)0.05;
    hrm_real M[N], V[N];
    for (int i = 0; i < N; i++) p[i] = m[i] = v[i] = M[i] = V[i] = 0, P[i] = 0;
    for (int t = 1; t <= 4; t++) {
        double bias1 = 1 - pow(0.9, t), bias2 = 1 - pow(0.95, t);
        for (int i = 0; i < N; i++) {
            g[i] = (hrm_real)((i % 2 ? -1 : 1) * (t == 3 ? -0.5 : 1) * sizes[i / 2]);
            double taken = sizeof(hrm_real) == sizeof(double) ? (double)g[i] : fmax(-1.8e19, fmin((double)g[i], 1.8e19));
            M[i] = (hrm_real)((double)M[i] + (taken - (double)M[i]) * b1);
            V[i] = (hrm_real)((double)V[i] + ((double)(hrm_real)(taken * taken) - (double)V[i]) * b2);
            P[i] -= 1e-3 / bias1 * atan2((double)M[i], sqrt((double)V[i]) / sqrt(bias2));
        }
        hrm_adam_atan2(p, m, v, g, N, 1e-3, 0.9, 0.95, 0, t);
        for (int i = 0; i < N; i++) /* a denormal square has few bits, and the two roundings of it may differ by one */
            CHECK(fabs((double)p[i] - P[i]) < (sizes[i / 2] < 1e-20 && sizes[i / 2] > 1e-24 ? 2e-4 : 1e-8),
                  "%s step %d, gradient %g: moved to %g, expected %g", cpu, t, (double)g[i], (double)p[i], P[i]);
    }
}

static void test_math(const char *cpu)
{
    const double scale = sizeof(hrm_real) == sizeof(float) ? 1 : 1e-8;
    TEST_UNARY(exp, exp(v), -87.3, 88.3, 0, 1.5e-7 * scale);
    TEST_UNARY(exp, exp(v), -1.0, 1.0, 0, 1.2e-7 * scale);
    TEST_UNARY(log, log(v), 1e-3, 4.0, 1, 1.2e-7 * scale);
    TEST_UNARY(log, log(v), 1.0, 1e9, 0, 1.2e-7 * scale);
    TEST_UNARY(log, log(v), 1.2e-38, 1e-30, 0, 1.2e-7 * scale);
    TEST_UNARY(log, log(v), 0.9, 1.1, 1e-30, 2.5e-7 * scale);
    TEST_UNARY(sigmoid, 1 / (1 + exp(-v)), -80.0, 100.0, 0, 2.5e-7 * scale);
    TEST_UNARY(silu, v / (1 + exp(-v)), -80.0, 100.0, 1e-37, 2.5e-7 * scale);
    TEST_UNARY(sqrt, sqrt(v), 0.0, 2.0, 1e-30, 1.0e-7 * scale);
    TEST_UNARY(sqrt, sqrt(v), 1e-30, 1e-24, 0, 1.0e-7 * scale);
    TEST_UNARY(sqrt, sqrt(v), 1.5e-45, 1e-38, 0, 1.0e-7 * scale); /* denormal floats */
    TEST_UNARY(sqrt, sqrt(v), 1e36, 3.4e38, 0, 1.0e-7 * scale);
    test_adam_ends(cpu);
    {
        /* every magnitude of both, all four of y's and x's zeros */
        hrm_real x[1024], y[1024], z[1024];
        double most = 0;
        int block, i;
        for (block = 0; block < 200; block++) {
            for (i = 0; i < 1024; i++) {
                x[i] = (hrm_real)exp(20 * ((double)uniform() - 0.5)), y[i] = (hrm_real)exp(20 * ((double)uniform() - 0.5));
                if (i % 2) y[i] = -y[i];
                if (i % 3 == 0) x[i] = (y[i] < 0 ? -y[i] : y[i]) * (1 + uniform());
                if (i % 101 == 0) x[i] = 0;
                if (i % 103 == 0) y[i] = 0;
            }
            map_atan2(z, y, x, 1024);
            for (i = 0; i < 1024; i++) {
                double exact = atan2((double)y[i], (double)x[i]), e = fabs((double)z[i] - exact) / (fabs(exact) + 1e-300);
                if (exact == 0 ? z[i] != 0 : !(e <= most)) most = exact == 0 ? HUGE_VAL : e;
            }
        }
        CHECK(most < 2.5e-7 * scale, "%s atan2: error %g", cpu, most);
    }
    {
        size_t n, j;
        hrm_real x[100], y[100], out[3];
        for (n = 1; n <= 100; n++) {
            double sum = 0, dot = 0, most = -HUGE_VAL;
            for (j = 0; j < n; j++) {
                x[j] = uniform() - (hrm_real)(n % 2), y[j] = uniform();
                sum += (double)x[j], dot += (double)x[j] * (double)y[j];
                if ((double)x[j] > most) most = (double)x[j];
            }
            reduce(out, x, y, n);
            CHECK(fabs((double)out[0] - sum) < 1e-5 * scale && fabs((double)out[1] - dot) < 1e-5 * scale &&
                      (double)out[2] == most,
                  "%s reductions of %zu", cpu, n);
        }
    }
}

static void force_late(const char *name)
{
#ifdef _WIN32
    _putenv_s("HRM_CPU", name);
#else
    setenv("HRM_CPU", name, 1);
#endif
}

static void force(const char *name)
{
    force_late(name);
    hrm__cpu_chosen = HRM__CPU_UNKNOWN; /* as in a process that has not looked yet */
}

int main(void)
{
    static const char *const cpus[] = {"scalar", "neon", "avx2", "avxvnni", "avx512", "amx"};
    static const size_t M[] = {1, 2, 5, 13, 14, 15, 29, 82}, N[] = {2, 6, 11, 16, 17, 31, 33, 64, 130},
                        K[] = {2, 3, 17, 32, 47, 128};
    size_t c, i, j, k;
    for (c = 0; c < HRM__COUNT(cpus); c++) {
        force(cpus[c]);
        if (hrm__cpu_select() != HRM_OK) {
            CHECK(strstr(hrm_error_message(), cpus[c]) != NULL, "%s", hrm_error_message());
            printf("note: %s\n", hrm_error_message());
            continue;
        }
        for (i = 0; i < HRM__COUNT(M); i++)
            for (j = 0; j < HRM__COUNT(N); j++)
                for (k = 0; k < HRM__COUNT(K); k++) test_shape(cpus[c], M[i], N[j], K[k], (i + j + k) % 3 * 5);
        test_shape(cpus[c], 30, 50, 1024, 0);       /* rows a multiple of 4 KiB apart, more than one inner block */
        test_shape(cpus[c], 30, 1024, 70, 0);
        test_shape(cpus[c], 700, 30, 40, 3);        /* more than one block of the long dimension */
        test_shape(cpus[c], 300, 20, 600, 0);       /* more than one block of columns in the TN product */
        test_math(cpus[c]);
    }
    force("sse9");
    CHECK_FAILS(hrm__cpu_select(), HRM_ERR_ARGUMENT, "sse9");
    force_late("scalar");
    CHECK_FAILS(hrm__cpu_select(), HRM_ERR_ARGUMENT, "HRM_CPU"); /* refused once, refused always */
    force("");
    CHECK_OK(hrm__cpu_select());
    int chosen = hrm__cpu();
    force_late("scalar"); /* too late: weights may be packed */
    CHECK_OK(hrm__cpu_select());
    CHECK(hrm__cpu() == chosen, "the instruction set changed from %s to %s", hrm__cpu_names[chosen],
          hrm__cpu_names[hrm__cpu()]);
    return test_summary();
}
