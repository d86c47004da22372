/* Weights in bfloat16 and in bytes: the products bit for bit against plain loops, with tails, for every instruction set and any
 * team; and a small trained model that has to solve as many puzzles with them as in float32. */
#define _POSIX_C_SOURCE 200809L
#define HRM_IMPLEMENTATION
#include "../hrm.h"
#include "harness.h"
#include "util.h"

static uint32_t state = 1;
static float uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (float)(1 << 24) - 0.5f;
}

static hrm_real *random_array(size_t n)
{
    hrm_real *p = (hrm_real *)malloc((n + 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = (hrm_real)uniform();
    return p;
}

static void test_products(size_t M, size_t N, size_t K)
{
    hrm_real *a = random_array(M * K), *w = random_array(N * K), *rounded = random_array(N * K), *c = random_array(M * N),
             *expected = random_array(M * N);
    hrm_real *packed = random_array(hrm__pack_size(N, K)), *scratch;
    hrm__bytes plan;
    hrm__bytes_space space;
    void *bytes = malloc(hrm__plan_bytes(N, K, NULL, &plan));
    uint8_t *q = (uint8_t *)malloc(M * K);
    float *scales = (float *)malloc(M * sizeof *scales);
    int differ = 0;
    hrm__team alone = {0, 1, NULL};
    scratch = random_array(hrm__gemm_scratch() + hrm__bytes_scratch(K, NULL, &space) + hrm__bf16_scratch(K));
    uint16_t *packed16 = (uint16_t *)malloc((hrm__bf16_size(N, K) + 1) * sizeof *packed16);
    hrm_real *a16 = random_array(M * K), *first = random_array(M * N);

    /* bfloat16: as float32 with rounded weights, bit for bit; where pairs are multiplied, with both rounded, the order of sums
     * aside */
    int pairs = hrm__quantized_kernel_get(1).tile != NULL;
    for (size_t i = 0; i < N * K; i++) rounded[i] = (hrm_real)hrm__bf16_to_f32(hrm__f32_to_bf16((float)w[i]));
    for (size_t i = 0; i < M * K; i++) a16[i] = pairs ? (hrm_real)hrm__bf16_to_f32(hrm__f32_to_bf16((float)a[i])) : a[i];
    hrm__pack(packed, rounded, N, K, 0, &alone);
    hrm__gemm(expected, N, a16, K, packed, M, N, K, 0, scratch, &alone);
    hrm__pack_bf16(packed16, w, N, K, &alone);
    for (int members = 1; members <= 3; members++) {
        hrm__team t = {0, 0, NULL};
        t.size = members;
        for (size_t i = 0; i < M * N; i++) c[i] = (hrm_real)NAN;
        for (t.id = 0; t.id < members; t.id++) hrm__gemm_bf16(c, N, a, K, packed16, M, N, K, scratch, &t);
        double off = 0, whole = 0;
        if (members == 1) memcpy(first, c, M * N * sizeof *c);
        for (size_t i = 0; i < M * N; i++) {
            off += ((double)c[i] - (double)expected[i]) * ((double)c[i] - (double)expected[i]),
                whole += (double)expected[i] * (double)expected[i];
            differ += c[i] != first[i] || (!pairs && c[i] != expected[i]);
        }
        CHECK(differ == 0 && sqrt(off) <= 1e-6 * sqrt(whole), "bfloat16 %zu x %zu x %zu, %d threads: %d differ, off by %g", M,
              N, K, members, differ, sqrt(off / whole));
    }

    hrm__pack_bytes(bytes, w, N, K, &alone);
    hrm__plan_bytes(N, K, bytes, &plan);
    for (size_t i = 0; i < M; i++) hrm__quantize_row(q + i * K, scales + i, a + i * K, K, K);
    double error = 0, size = 0;
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            int32_t sum = 0;
            double exact = 0;
            for (size_t k = 0; k < K; k++) {
                sum += ((int32_t)q[i * K + k] - 128) *
                       plan.panels[((j / 32 * plan.groups + k / 4) * 32 + j % 32) * 4 + k % 4];
                exact += (double)a[i * K + k] * (double)w[j * K + k];
            }
            expected[i * N + j] = (hrm_real)((float)sum * (scales[i] * plan.scales[j]));
            error += ((double)expected[i * N + j] - exact) * ((double)expected[i * N + j] - exact), size += exact * exact;
        }
    CHECK(K < 16 || sqrt(error / size) < 0.02, "bytes %zu x %zu x %zu: off by %g", M, N, K, sqrt(error / size));
    for (int members = 1; members <= 3; members++) {
        hrm__team t = {0, 0, NULL};
        t.size = members;
        differ = 0;
        for (t.id = 0; t.id < members; t.id++) hrm__gemm_bytes(c, N, a, K, bytes, M, N, K, scratch, &t);
        for (size_t i = 0; i < M * N; i++) differ += c[i] != expected[i];
        CHECK(differ == 0, "bytes %zu x %zu x %zu, %d threads: %d differ", M, N, K, members, differ);
    }
    free(packed16), free(a16), free(first);
    free(a), free(w), free(rounded), free(c), free(expected), free(packed), free(scratch), free(bytes), free(q), free(scales);
}

/* ---- 4x4 Sudoku: PUZZLES boards, each a relabelled and shuffled square with some cells blank ----------------------------- */
enum { PUZZLES = 32, CELLS = 16 };
static uint8_t puzzles[PUZZLES * CELLS], answers[PUZZLES * CELLS];

static void make_puzzles(void)
{
    static const int square[CELLS] = {0, 1, 2, 3, 2, 3, 0, 1, 1, 0, 3, 2, 3, 2, 1, 0};
    for (int p = 0; p < PUZZLES; p++) {
        int label[4] = {0, 1, 2, 3}, flip = uniform() > 0, swap = uniform() > 0 ? 1 : 0;
        for (int i = 3; i > 0; i--) {
            int j = (int)((uniform() + 0.5f) * (float)(i + 1)), t = label[i];
            label[i] = label[j], label[j] = t;
        }
        for (int c = 0; c < CELLS; c++) {
            int row = c / 4, column = c % 4, from = flip ? column * 4 + (row ^ swap) : (row ^ swap) * 4 + column;
            answers[p * CELLS + c] = (uint8_t)(2 + label[square[from]]);
            puzzles[p * CELLS + c] = uniform() > 0 ? 1 : answers[p * CELLS + c];
        }
    }
}

static double solved(const char *path, hrm_forward_dtype dtype)
{
    hrm_model_desc d;
    hrm_model *model = NULL;
    hrm_solve_desc how;
    int32_t in[PUZZLES * CELLS], out[PUZZLES * CELLS];
    int hits = 0;
    memset(&d, 0, sizeof d);
    memset(&how, 0, sizeof how);
    d.forward_dtype = dtype;
    d.num_threads = 2;
    CHECK_OK(hrm_model_load(&model, path, &d));
    for (int i = 0; i < PUZZLES * CELLS; i++) in[i] = puzzles[i];
    how.rows = PUZZLES;
    CHECK_OK(hrm_solve(model, in, out, &how));
    for (int p = 0; p < PUZZLES; p++) {
        int wrong = 0;
        for (int c = 0; c < CELLS; c++) wrong += out[p * CELLS + c] != answers[p * CELLS + c];
        hits += wrong == 0;
    }
    hrm_model_destroy(model);
    return 100.0 * hits / PUZZLES;
}

static void train(const char *path)
{
    hrm_dataset_arrays arrays;
    hrm_dataset *data = NULL;
    hrm_model_desc d;
    hrm_model *model = NULL;
    hrm_train_desc how;
    hrm_trainer *trainer = NULL;
    hrm_metrics metrics;
    memset(&arrays, 0, sizeof arrays);
    arrays.seq_len = CELLS, arrays.vocab_size = 6, arrays.num_examples = PUZZLES;
    arrays.inputs = puzzles, arrays.labels = answers;
    CHECK_OK(hrm_dataset_from_arrays(&data, &arrays, NULL));
    d = hrm_model_desc_for(data);
    d.hidden_size = 64, d.num_heads = 2, d.H_layers = d.L_layers = 1, d.halt_max_steps = 4;
    CHECK_OK(hrm_model_create(&model, &d));
    memset(&how, 0, sizeof how);
    how.steps = 500, how.batch_size = PUZZLES, how.lr = 2e-3f, how.lr_warmup_steps = 10, how.lr_min_ratio = 0.1f;
    CHECK_OK(hrm_trainer_create(&trainer, model, &how));
    while (hrm_trainer_step(trainer, data, &metrics) == HRM_OK) {}
    printf("after %d steps: loss %.3f, exact %.3f\n", (int)metrics.step, metrics.lm_loss, metrics.exact_accuracy);
    CHECK_OK(hrm_model_save(model, path));
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
}

static void test_refusals(void)
{
    hrm_model_desc d;
    hrm_model *model = NULL;
    hrm_train_desc how;
    hrm_trainer *trainer = NULL;
    memset(&d, 0, sizeof d);
    memset(&how, 0, sizeof how);
    d.seq_len = 4, d.vocab_size = 3, d.hidden_size = 8, d.num_heads = 1, d.num_threads = 1;
    d.forward_dtype = HRM_FORWARD_INT8;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &how), HRM_ERR_UNSUPPORTED, "int8");
    hrm_model_destroy(model);
    d.hidden_size = 1 << 16;
    d.expansion = 8;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_UNSUPPORTED, "int8");
}

/* Products of pairs that the processor has, but which are not used as floats are faster */
static int has_slow_pairs(void)
{
#if defined(HRM__BF16)
    unsigned a, b, c, d;
    if (hrm__cpu() != HRM__CPU_AVX512 || hrm__cpu_has(HRM__CPU_BF16)) return 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5);
#else
    return 0;
#endif
}

int main(void)
{
    static const char *const paths[] = {"scalar", "neon", "avx2", "avxvnni", "avx512", "amx"};
    static const size_t shapes[][3] = {{1, 1, 1},     {3, 5, 7},       {14, 32, 64}, {15, 33, 65},
                                       {82, 96, 130}, {127, 70, 1030}, {230, 17, 40}, {48, 64, 128}};
    const char *file = own_file("quantized.safetensors");
    char *asked = getenv("HRM_CPU") ? strdup(getenv("HRM_CPU")) : NULL;
    make_puzzles();
    train(file);
    for (size_t i = 0; i < HRM__COUNT(paths); i++) {
        setenv("HRM_CPU", paths[i], 1);
        hrm__cpu_chosen = HRM__CPU_UNKNOWN; /* as in a process that has not looked yet */
        if (hrm__cpu_select() != HRM_OK) continue; /* not this machine's */
        for (size_t k = 0; k < HRM__COUNT(shapes); k++) test_products(shapes[k][0], shapes[k][1], shapes[k][2]);
        if (has_slow_pairs()) {
            hrm__cpu_extra |= HRM__CPU_BF16;
            for (size_t k = 0; k < HRM__COUNT(shapes); k++) test_products(shapes[k][0], shapes[k][1], shapes[k][2]);
            hrm__cpu_extra &= ~HRM__CPU_BF16;
        }
        double plain = solved(file, HRM_FORWARD_FLOAT32), half = solved(file, HRM_FORWARD_BFLOAT16),
               bytes = solved(file, HRM_FORWARD_INT8);
        printf("%s: float32 %.1f, bfloat16 %.1f, int8 %.1f %% solved\n", paths[i], plain, half, bytes);
        CHECK(plain > 90, "%s: the model solves %g %% only", paths[i], plain);
        CHECK(half >= plain - 0.5 && bytes >= plain - 0.5, "%s: %g %% in float32, %g in bfloat16, %g in int8", paths[i], plain,
              half, bytes);
    }
    if (asked) setenv("HRM_CPU", asked, 1);
    else unsetenv("HRM_CPU");
    hrm__cpu_chosen = HRM__CPU_UNKNOWN;
    free(asked);
    test_refusals();
    remove(file);
    return test_summary();
}
