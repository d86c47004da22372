/* What several tests share; included after hrm.h's implementation and harness.h. */
#ifndef HRM_TEST_UTIL_H
#define HRM_TEST_UTIL_H

/* ||a - b|| / ||b||; 0 for two zero vectors, and infinity when anything is not finite. */
HRM__UNUSED static double relative_error(const hrm_real *a, const hrm_real *b, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)a[i], y = (double)b[i];
        if (!(fabs(x) < HUGE_VAL) || !(fabs(y) < HUGE_VAL)) return HUGE_VAL;
        difference += (x - y) * (x - y);
        norm += y * y;
    }
    if (difference <= 0) return 0;
    return norm > 0 ? sqrt(difference / norm) : HUGE_VAL;
}

/* A path for a file of this process alone: tests may run twice at once, and anywhere. Eight at a time. */
HRM__UNUSED static const char *own_file(const char *name)
{
    static char paths[8][400];
    static int  next;
    const char *tmp = getenv("TMPDIR");
    char       *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/hrm_test_%lu_%s", tmp ? tmp : "/tmp", hrm__os_process(), name);
    return path;
}

/* An allocator that counts, fails on demand, and notices sizes that differ between alloc and free. */
typedef struct counting {
    hrm_allocator allocator;
    size_t calls, live_blocks, live_bytes, peak_bytes, wrong_sizes;
    size_t fail_at; /* the call, from 1, that gets no memory; 0: none */
    int    fail_after; /* 1: and every call after it */
} counting;

HRM__UNUSED static void *counting_alloc(size_t size, void *user)
{
    counting *c = (counting *)user;
    c->calls++;
    if (c->fail_at && (c->calls == c->fail_at || (c->fail_after && c->calls > c->fail_at))) return NULL;
    size_t *p = (size_t *)malloc(size + 2 * sizeof(size_t));
    if (!p) return NULL;
    p[0] = size;
    memset(p + 2, 0xA5, size); /* nobody may count on zeros */
    c->live_blocks++;
    c->live_bytes += size;
    if (c->live_bytes > c->peak_bytes) c->peak_bytes = c->live_bytes;
    return p + 2;
}

HRM__UNUSED static void counting_free(void *pointer, size_t size, void *user)
{
    counting *c = (counting *)user;
    size_t *p = (size_t *)pointer - 2;
    if (p[0] != size) c->wrong_sizes++;
    c->live_blocks--;
    c->live_bytes -= p[0];
    memset(p, 0x5A, p[0]);
    free(p);
}

HRM__UNUSED static void counting_init(counting *c)
{
    memset(c, 0, sizeof *c);
    c->allocator.alloc = counting_alloc;
    c->allocator.free = counting_free;
    c->allocator.user = c;
}

/* The values of one tensor, malloc'ed; NULL and a failed check when it is not there. */
HRM__UNUSED static hrm_real *tensor_values(const hrm_model *model, int index, size_t *n, hrm_tensor *tensor)
{
    hrm_tensor t;
    hrm_role role;
    memset(&t, 0, sizeof t);
    t.name = "(none)";
    if (tensor) *tensor = t;
    if (hrm_model_tensor(model, index, &t, &role) != HRM_OK) {
        CHECK(0, "tensor %d: %s", index, hrm_error_message());
        return NULL;
    }
    *n = 1;
    for (int i = 0; i < t.ndim; i++) *n *= (size_t)t.shape[i];
    hrm_real *values = (hrm_real *)malloc((*n + 1) * sizeof *values);
    if (!values || hrm_model_tensor_read(model, index, values) != HRM_OK) {
        CHECK(0, "tensor %s: %s", t.name, hrm_error_message());
        free(values);
        return NULL;
    }
    if (tensor) *tensor = t;
    return values;
}

/* 1 when all tensors of two models hold the same bits. */
HRM__UNUSED static int models_equal(const hrm_model *a, const hrm_model *b)
{
    int equal = hrm_model_tensor_count(a) == hrm_model_tensor_count(b);
    for (int i = 0; equal && i < hrm_model_tensor_count(a); i++) {
        size_t n = 0, m = 0;
        hrm_real *x = tensor_values(a, i, &n, NULL), *y = tensor_values(b, i, &m, NULL);
        equal = x && y && n == m && memcmp(x, y, n * sizeof *x) == 0;
        free(x);
        free(y);
    }
    return equal;
}

/* A batch with memory of its own, tokens and labels drawn; about a fifth of the labels ignored. */
HRM__UNUSED static void batch_make(hrm_batch *batch, int rows, int seq_len)
{
    memset(batch, 0, sizeof *batch);
    batch->rows = batch->filled = rows;
    batch->inputs = (int32_t *)calloc((size_t)rows * (size_t)seq_len, sizeof(int32_t));
    batch->labels = (int32_t *)calloc((size_t)rows * (size_t)seq_len, sizeof(int32_t));
    batch->puzzle_identifiers = (int32_t *)calloc((size_t)rows, sizeof(int32_t));
}

HRM__UNUSED static void batch_draw(hrm_batch *batch, const hrm_model_desc *desc, hrm_random *random)
{
    size_t n = (size_t)batch->rows * (size_t)desc->seq_len;
    for (size_t i = 0; i < n; i++) {
        batch->inputs[i] = (int32_t)hrm_random_below(random, (uint32_t)desc->vocab_size);
        batch->labels[i] = (int32_t)hrm_random_below(random, (uint32_t)desc->vocab_size);
        if (hrm_random_below(random, 5) == 0) batch->labels[i] = -100;
    }
    for (int i = 0; i < batch->rows; i++)
        batch->puzzle_identifiers[i] =
            (int32_t)hrm_random_below(random, (uint32_t)(desc->num_puzzle_identifiers ? desc->num_puzzle_identifiers : 1));
}

HRM__UNUSED static void batch_free(hrm_batch *batch)
{
    free(batch->inputs);
    free(batch->labels);
    free(batch->puzzle_identifiers);
}

/* A model small enough to run thousands of times. */
HRM__UNUSED static hrm_model_desc small_desc(void)
{
    hrm_model_desc d;
    memset(&d, 0, sizeof d);
    d.seq_len = 6;
    d.vocab_size = 5;
    d.num_puzzle_identifiers = 4;
    d.puzzle_emb_ndim = 12;
    d.hidden_size = 8;
    d.num_heads = 2;
    d.H_layers = d.L_layers = 1;
    d.halt_max_steps = 4;
    d.num_threads = 1;
    d.seed = 5;
    return d;
}

/* Gives the q head weights that decide, so that rows halt at different segments, and the puzzle table values. */
HRM__UNUSED static void model_decide(hrm_model *model, uint64_t seed)
{
    static const char *const names[] = {"inner.q_head.weight", "inner.q_head.bias", "inner.puzzle_emb.weights"};
    hrm_random r = hrm_random_make(seed, 77);
    for (int k = 0; k < 3; k++) {
        int index = hrm_model_tensor_find(model, names[k]);
        if (index < 0) continue;
        size_t n = 0;
        hrm_real *v = tensor_values(model, index, &n, NULL);
        for (size_t i = 0; v && i < n; i++) v[i] = (hrm_real)((hrm_random_uniform(&r) - 0.5) * (k == 2 ? 2 : k == 0 ? 1 : 0.4));
        CHECK_OK(hrm_model_tensor_write(model, index, v));
        free(v);
    }
}
#endif
