/* The pool under stress, and whole training steps that come out bit for bit the same with any number of threads. */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"
#if defined(__SANITIZE_THREAD__)
    #define THREAD_SANITIZER
#elif defined(__has_feature)
    #if __has_feature(thread_sanitizer)
        #define THREAD_SANITIZER
    #endif
#endif

typedef struct stress { hrm_pool *pool; int rounds; int wrong; int cells[64]; } stress;

static void stress_job(void *context, int thread, int n)
{
    /* each round every thread writes its cell, then reads all of them: a barrier too early or too late shows */
    stress *s = (stress *)context;
    for (int round = 1; round <= s->rounds; round++) {
        s->cells[thread] = round * 100 + thread;
        hrm_pool_barrier(s->pool);
        for (int i = 0; i < n; i++)
            if (s->cells[i] != round * 100 + i) s->wrong = 1;
        hrm_pool_barrier(s->pool);
    }
}

typedef struct visit { int seen[64]; int n; } visit;
static void visit_job(void *context, int thread, int n)
{
    visit *v = (visit *)context;
    v->seen[thread]++;
    if (thread == 0) v->n = n;
}

typedef struct share { hrm_pool *pool; int taken[1000]; } share;
static void share_job(void *context, int thread, int n)
{
    /* every number goes to one thread, and each thread sees rising ones */
    share *s = (share *)context;
    int before = -1;
    (void)thread, (void)n;
    for (int i; (i = hrm_pool_next(s->pool)) < 1000; before = i) s->taken[i] += i > before ? 1 : 1000;
}

static void check_pool(void)
{
    CHECK(hrm_cpu_count() >= 1, "%d processors", hrm_cpu_count());
    for (int n = 1; n <= 9; n += n < 4 ? 1 : 5) {
        hrm_pool *pool = NULL;
        CHECK_OK(hrm_pool_create(&pool, n, NULL));
        if (!pool) continue;
        int size = hrm_pool_size(pool); /* 1 when built without threads */
        CHECK(size == n || size == 1, "a pool of %d has %d threads", n, size);
        visit v;
        memset(&v, 0, sizeof v);
        int jobs = n > hrm_cpu_count() ? 500 : 5000;
        for (int i = 0; i < jobs; i++) hrm_pool_run(pool, visit_job, &v);
        for (int i = 0; i < size; i++) CHECK(v.seen[i] == jobs, "thread %d of %d ran %d of %d jobs", i, n, v.seen[i], jobs);
        CHECK(v.n == size && v.seen[size] == 0, "job told %d threads, expected %d", v.n, size);
        stress s;
        memset(&s, 0, sizeof s);
        s.pool = pool;
        s.rounds = n > hrm_cpu_count() ? 200 : 3000;
        hrm_pool_run(pool, stress_job, &s);
        CHECK(!s.wrong, "a thread of %d passed a barrier alone", n);
        share parts;
        memset(&parts, 0, sizeof parts);
        parts.pool = pool;
        for (int k = 0; k < 3; k++) hrm_pool_run(pool, share_job, &parts);
        for (int i = 0; i < 1000; i++) CHECK(parts.taken[i] == 3, "part %d was taken %d times in 3 runs", i, parts.taken[i]);
        hrm_pool_destroy(pool);
    }
    int leaks = 0;
    for (int i = 0; i < 200; i++) { /* short lives, with and without work */
        counting c;
        hrm_pool *pool = NULL;
        visit v;
        memset(&v, 0, sizeof v);
        counting_init(&c);
        if (hrm_pool_create(&pool, 1 + i % 4, &c.allocator) == HRM_OK && i % 3) hrm_pool_run(pool, visit_job, &v);
        hrm_pool_destroy(pool);
        leaks += c.live_blocks != 0 || c.wrong_sizes != 0;
    }
    CHECK(leaks == 0, "%d of 200 pools left memory behind", leaks);
    hrm_pool *pool = NULL;
    CHECK_FAILS(hrm_pool_create(&pool, -1, NULL), HRM_ERR_ARGUMENT, "num_threads");
    CHECK(pool == NULL, "a failed creation touched its output");
    CHECK_OK(hrm_pool_create(&pool, 0, NULL));
    hrm_pool_destroy(pool);
    hrm_pool_destroy(NULL);
}

typedef struct outcome {
    hrm_model *model;
    hrm_metrics metrics[8];
    int32_t answers[4 * 13];
    hrm_solve_result results[4];
    hrm_metrics evaluation;
} outcome;

static void train(outcome *o, const hrm_model_desc *desc, int threads, hrm_dataset *data, int batch_size,
                  const int32_t *puzzles)
{
    hrm_model_desc d = *desc;
    d.num_threads = threads;
    memset(o, 0, sizeof *o);
    CHECK_OK(hrm_model_create(&o->model, &d));
    if (!o->model) return;
    model_decide(o->model, 2);
    hrm_train_desc td;
    hrm_trainer *trainer = NULL;
    memset(&td, 0, sizeof td);
    td.steps = 8, td.batch_size = batch_size, td.lr = 1e-2f, td.seed = 3;
    CHECK_OK(hrm_trainer_create(&trainer, o->model, &td));
    for (int i = 0; i < 8 && trainer; i++) CHECK_OK(hrm_trainer_step(trainer, data, &o->metrics[i]));
    hrm_trainer_destroy(trainer);
    hrm_solve_desc sd;
    memset(&sd, 0, sizeof sd);
    sd.rows = 4, sd.results = o->results;
    CHECK_OK(hrm_solve(o->model, puzzles, o->answers, &sd));
    hrm_evaluate_desc ed;
    memset(&ed, 0, sizeof ed);
    ed.batch_size = 7;
    CHECK_OK(hrm_evaluate(o->model, data, &ed, &o->evaluation));
}

static void check_bitwise(const char *name, hrm_model_desc d, int batch_size)
{
    enum { EXAMPLES = 50 };
    hrm_random r = hrm_random_make(6, 6);
    size_t tokens = (size_t)EXAMPLES * (size_t)d.seq_len;
    uint8_t *inputs = (uint8_t *)malloc(2 * tokens), *labels = inputs + tokens;
    int32_t ids[EXAMPLES], puzzles[4 * 13];
    for (size_t i = 0; i < 2 * tokens; i++) inputs[i] = (uint8_t)hrm_random_below(&r, (uint32_t)d.vocab_size);
    for (int i = 0; i < EXAMPLES; i++) ids[i] = (int32_t)hrm_random_below(&r, (uint32_t)d.num_puzzle_identifiers);
    for (int i = 0; i < 4 * d.seq_len; i++) puzzles[i] = inputs[i];
    hrm_dataset_arrays a;
    hrm_dataset *data = NULL;
    memset(&a, 0, sizeof a);
    a.seq_len = d.seq_len, a.vocab_size = d.vocab_size, a.num_puzzle_identifiers = d.num_puzzle_identifiers;
    a.num_examples = EXAMPLES, a.inputs = inputs, a.labels = labels, a.puzzle_identifiers = ids;
    CHECK_OK(hrm_dataset_from_arrays(&data, &a, NULL));
    outcome one;
    train(&one, &d, 1, data, batch_size, puzzles);
    static const int counts[] = {2, 3, 4, 7};
    for (size_t k = 0; k < HRM__COUNT(counts); k++) {
        outcome many;
        train(&many, &d, counts[k], data, batch_size, puzzles);
        CHECK(models_equal(one.model, many.model), "%s: weights with %d threads differ from those with one", name, counts[k]);
        CHECK(memcmp(one.metrics, many.metrics, sizeof one.metrics) == 0, "%s: metrics with %d threads differ", name,
              counts[k]);
        CHECK(memcmp(one.answers, many.answers, sizeof one.answers) == 0 &&
                  memcmp(one.results, many.results, sizeof one.results) == 0,
              "%s: answers with %d threads differ", name, counts[k]);
        CHECK(memcmp(&one.evaluation, &many.evaluation, sizeof one.evaluation) == 0, "%s: evaluation with %d threads differs",
              name, counts[k]);
        hrm_model_destroy(many.model);
    }
    outcome again;
    train(&again, &d, 1, data, batch_size, puzzles);
    CHECK(models_equal(one.model, again.model), "%s: two runs of one seed differ", name);
    hrm_model_destroy(again.model);
    hrm_model_destroy(one.model);
    hrm_dataset_close(data);
    free(inputs);
}

#if !defined(_WIN32) && !defined(HRM_NO_THREADS)
    #include <sys/wait.h>

static int train_and_solve(hrm_trainer *trainer, hrm_dataset *data, hrm_model *model, const int32_t *puzzle, int32_t *answer)
{
    hrm_metrics metrics;
    for (int i = 0; i < 3; i++)
        if (hrm_trainer_step(trainer, data, &metrics) != HRM_OK) return 0;
    return hrm_solve(model, puzzle, answer, NULL) == HRM_OK;
}

/* A child trains and solves with what its parent made, as its parent does afterwards; nobody waits for threads that are not
 * there. */
static void check_fork(void)
{
#ifdef THREAD_SANITIZER
    printf("skipped: threads in a forked process, which ThreadSanitizer cannot follow\n");
    return;
#endif
    hrm_model_desc d = small_desc();
    enum { EXAMPLES = 40 };
    hrm_random r = hrm_random_make(8, 8);
    size_t tokens = (size_t)EXAMPLES * (size_t)d.seq_len;
    uint8_t *inputs = (uint8_t *)malloc(2 * tokens);
    int32_t puzzle[64] = {0}, answer[64] = {0};
    for (size_t i = 0; i < 2 * tokens; i++) inputs[i] = (uint8_t)hrm_random_below(&r, (uint32_t)d.vocab_size);
    for (int i = 0; i < d.seq_len; i++) puzzle[i] = inputs[i];
    hrm_dataset_arrays a;
    memset(&a, 0, sizeof a);
    a.seq_len = d.seq_len, a.vocab_size = d.vocab_size, a.num_examples = EXAMPLES, a.inputs = inputs,
    a.labels = inputs + tokens;
    hrm_dataset *data = NULL;
    hrm_model *model = NULL;
    hrm_trainer *trainer = NULL;
    hrm_metrics metrics;
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    td.steps = 100, td.batch_size = 8, td.gather_ahead = 1;
    d.num_threads = 3;
    CHECK_OK(hrm_dataset_from_arrays(&data, &a, NULL));
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    CHECK_OK(hrm_trainer_step(trainer, data, &metrics)); /* its thread now gathers, or has gathered, the next batch */
    int pipes[2], status = -1;
    CHECK(pipe(pipes) == 0, "no pipe");
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* a child that waits for ever fails the test, not the suite */
        int ok = train_and_solve(trainer, data, model, puzzle, answer);
        hrm_tensor last;
        ok = ok && hrm_model_tensor(model, hrm_model_tensor_count(model) - 1, &last, NULL) == HRM_OK;
        ok = ok && write(pipes[1], answer, sizeof puzzle) == (ssize_t)sizeof puzzle && write(pipes[1], last.data, 512) == 512;
        hrm_trainer_destroy(trainer);
        hrm_model_destroy(model);
        hrm_dataset_close(data);
        COVERAGE_DUMP();
        _exit(ok ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child ended with status %d", status);
    close(pipes[1]); /* so that a child that wrote nothing is no wait for ever */
    int32_t its_answer[64];
    char its_weights[512];
    hrm_tensor last;
    CHECK(read(pipes[0], its_answer, sizeof its_answer) == (ssize_t)sizeof its_answer &&
              read(pipes[0], its_weights, 512) == 512,
          "the child's results");
    CHECK(train_and_solve(trainer, data, model, puzzle, answer), "%s", hrm_error_message());
    CHECK_OK(hrm_model_tensor(model, hrm_model_tensor_count(model) - 1, &last, NULL));
    CHECK(memcmp(its_answer, answer, (size_t)d.seq_len * sizeof *answer) == 0, "the child's answer differs");
    CHECK(memcmp(its_weights, last.data, 512) == 0, "the child's weights differ");
    close(pipes[0]);
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    free(inputs);
}
#else
static void check_fork(void) { printf("skipped: fork\n"); }
#endif

/* What the thread beside has gathered ahead is of one data set: not for another, opened where the first was. */
static void check_another_set(void)
{
    hrm_model_desc d = small_desc();
    enum { EXAMPLES = 24 };
    size_t tokens = (size_t)EXAMPLES * (size_t)d.seq_len;
    hrm_metrics metrics[2];
    memset(metrics, 0, sizeof metrics);
    d.halt_max_steps = 1; /* every row takes the batch's each time */
    for (int ahead = 0; ahead < 2; ahead++) {
        hrm_random r = hrm_random_make(9, 9);
        hrm_model *model = NULL;
        hrm_trainer *trainer = NULL;
        hrm_train_desc td;
        memset(&td, 0, sizeof td);
        td.steps = 100, td.batch_size = 8, td.gather_ahead = ahead ? 1 : -1;
        CHECK_OK(hrm_model_create(&model, &d));
        CHECK_OK(hrm_trainer_create(&trainer, model, &td));
        for (int set = 0; trainer && set < 3; set++) {
            uint8_t *inputs = (uint8_t *)malloc(2 * tokens);
            hrm_dataset_arrays a;
            hrm_dataset *data = NULL;
            for (size_t i = 0; i < 2 * tokens; i++) inputs[i] = (uint8_t)hrm_random_below(&r, (uint32_t)d.vocab_size);
            memset(&a, 0, sizeof a);
            a.seq_len = d.seq_len, a.vocab_size = d.vocab_size, a.num_examples = EXAMPLES, a.inputs = inputs,
            a.labels = inputs + tokens;
            CHECK_OK(hrm_dataset_from_arrays(&data, &a, NULL));
            CHECK_OK(hrm_trainer_step(trainer, data, &metrics[ahead]));
            hrm_dataset_close(data);
            free(inputs);
        }
        hrm_trainer_destroy(trainer);
        hrm_model_destroy(model);
    }
    CHECK(memcmp(&metrics[0], &metrics[1], sizeof metrics[0]) == 0, "a third set's step: loss %g, expected %g",
          metrics[1].lm_loss, metrics[0].lm_loss);
}

/* A process that may use one processor has one thread by default. */
static void check_affinity(void)
{
#if defined(__linux__) && defined(SYS_sched_setaffinity)
    unsigned long all[16] = {0}, one[16] = {0};
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof all, all);
    int first = -1;
    for (int i = 0; first < 0 && i < (int)bytes * 8; i++)
        if (all[(size_t)i / (8 * sizeof *all)] >> (size_t)i % (8 * sizeof *all) & 1) first = i;
    if (first < 0) return;
    one[(size_t)first / (8 * sizeof *one)] = 1ul << (size_t)first % (8 * sizeof *one);
    if (syscall(SYS_sched_setaffinity, 0, sizeof one, one) != 0) return;
    CHECK(hrm_cpu_count() == 1, "%d processors of one", hrm_cpu_count());
    CHECK(syscall(SYS_sched_setaffinity, 0, (size_t)bytes, all) == 0, "the processors are not given back");
#endif
}

int main(void)
{
    check_pool();
    check_fork();
    check_another_set();
    check_affinity();
    hrm_model_desc d = small_desc();
    d.num_puzzle_identifiers = 9;
    check_bitwise("smallest", d, 5);
    d.seq_len = 13; /* sizes with tails everywhere */
    d.vocab_size = 11;
    d.hidden_size = 24;
    d.num_heads = 3;
    d.puzzle_emb_ndim = 30;
    d.H_layers = 2;
    check_bitwise("odd sizes", d, 7);
    d.pos_encodings = HRM_LEARNED;
    d.loss_type = HRM_SOFTMAX_CROSS_ENTROPY;
    d.hidden_size = 64;
    d.num_heads = 2;
    d.puzzle_emb_ndim = 64;
    d.causal = 1;
    check_bitwise("learned, causal", d, 16);
    static const hrm_pass list[] = {
        /* three states, gradients through several passes of one network */
        {1, 1, 5 | HRM_INPUT_E, 0, -1, 0, 0},
        {1, 1, 5 | HRM_INPUT_E, 0, 0, 0, 0},
        {2, 0, 2, 0, 0, 0, 0},
        {1, 1, 5, 0, 0, 0, 0},
        {0, 0, 6, 0, 0, 0, 0},
    };
    static const int layers[] = {1, 2};
    hrm_recurrence recurrence = {3, 2, layers, (int)HRM__COUNT(list), list};
    d.recurrence = &recurrence;
    d.hidden_size = 24;
    d.num_heads = 3;
    d.puzzle_emb_ndim = 30;
    check_bitwise("another recurrence", d, 9);
    return test_summary();
}
