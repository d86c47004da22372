#include "devices.h"
#include "eval.h"
#include "grid.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- saved outputs ---------------------------------------------------------------------------------------------------- */
#define EVAL_OUTPUTS(X)                                                                                                        \
    X(inputs) X(labels) X(puzzle_identifiers) X(logits) X(q_halt_logits) X(q_continue_logits) X(predictions) X(steps)
enum eval_output {
#define EVAL__ENUM(name) OUTPUT_##name,
    EVAL_OUTPUTS(EVAL__ENUM)
#undef EVAL__ENUM
    OUTPUTS
};
static const char *const output_names[OUTPUTS] = {
#define EVAL__NAME(name) #name,
    EVAL_OUTPUTS(EVAL__NAME)
#undef EVAL__NAME
};

static int list_outputs(const char *list, int wanted[OUTPUTS])
{
    /* "[a, b]" or "a,b"; -1 and a message for a name that is none */
    for (int i = 0; i < OUTPUTS; i++) wanted[i] = 0;
    while (*list) {
        size_t n = strcspn(list, "[], \"'");
        int found = n == 0;
        for (int i = 0; i < OUTPUTS; i++)
            if (n == strlen(output_names[i]) && memcmp(list, output_names[i], n) == 0) wanted[i] = found = 1;
        if (!found) {
            tool_say(
                "eval_save_outputs: no output \"%.*s\"; there are inputs, labels, puzzle_identifiers, logits, q_halt_logits, "
                "q_continue_logits, predictions and steps",
                (int)(n < 60 ? n : 60), list);
            return -1;
        }
        list += n;
        if (*list) list++;
    }
    return 0;
}

int evaluation_check_outputs(const char *list)
{
    int wanted[OUTPUTS];
    return list_outputs(list, wanted) == 0 ? TOOL_OK : TOOL_USAGE;
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */
typedef struct eval_state {
    evaluation    *e;
    progress       bar;
    int            wanted[OUTPUTS], open[OUTPUTS];
    hrm_npy_writer writers[OUTPUTS];
    int            seq_len, vocab_size;
    arc_predictions predictions; /* of ARC; file NULL: none are kept */
    hrm_metrics    before;       /* over what was there already */
    double         flushed;      /* when the predictions were last safe */
    int            told;         /* why they could not be written */
} eval_state;

static hrm_status keep(eval_state *s, const hrm_metrics *so_far)
{
    /* the predictions up to here, with the metrics over all of them */
    hrm_metrics all = s->before;
    hrm_metrics_add(&all, so_far);
    s->flushed = tool_seconds();
    s->told = arc_predictions_flush(&s->predictions, &all) != TOOL_OK;
    return s->told ? HRM_ERR_IO : HRM_OK;
}

static hrm_status on_batch(void *user, int64_t done, int64_t total, const hrm_metrics *so_far)
{
    eval_state *s = (eval_state *)user;
    char text[128];
    snprintf(text, sizeof text, "exact %.2f %%  accuracy %.2f %%  loss %.4f  segments %.2f", 100 * so_far->exact_accuracy,
             100 * so_far->accuracy, so_far->lm_loss, so_far->steps);
    progress_update(&s->bar, (double)done, text);
    if (s->predictions.file && (tool_signal || done == total || tool_seconds() - s->flushed > 5)) {
        hrm_status status = keep(s, so_far);
        if (status != HRM_OK) return status;
    }
    return tool_signal ? hrm_error_set(HRM_ERR_CANCELLED, "stopped by a signal") : HRM_OK;
}

static hrm_status on_rows(void *user, int64_t first, const hrm_batch *batch, const hrm_run_outputs *outputs)
{
    eval_state *s = (eval_state *)user;
    size_t T = (size_t)s->seq_len;
    (void)first;
    for (int i = 0; i < batch->filled; i++)
        score_add(&s->e->rules, batch->inputs + (size_t)i * T, outputs->predictions + (size_t)i * T);
    for (int i = 0; i < batch->filled && s->predictions.file && !s->told; i++)
        s->told = arc_predictions_add(&s->predictions, outputs->predictions + (size_t)i * T, (float)outputs->q_halt[i]) != 0;
    if (s->told) return HRM_ERR_IO;
    const void *rows[OUTPUTS] = {batch->inputs, batch->labels, batch->puzzle_identifiers, outputs->logits,
                                 outputs->q_halt, outputs->q_continue, outputs->predictions, outputs->steps};
    for (int i = 0; i < OUTPUTS; i++) {
        if (!s->open[i]) continue;
        hrm_status status = hrm_npy_writer_write(&s->writers[i], rows[i], (size_t)batch->filled);
        if (status != HRM_OK) return status;
    }
    return HRM_OK;
}

static hrm_status open_outputs(eval_state *s)
{
    char name[64], path[TOOL_PATH];
    for (int i = 0; i < OUTPUTS; i++) {
        if (!s->wanted[i]) continue;
        int64_t shape[3] = {0, s->seq_len, s->vocab_size};
        int real = i == OUTPUT_logits || i == OUTPUT_q_halt_logits || i == OUTPUT_q_continue_logits;
        int dims = i == OUTPUT_logits ? 3 : i == OUTPUT_inputs || i == OUTPUT_labels || i == OUTPUT_predictions ? 2 : 1;
        snprintf(name, sizeof name, "%s.npy", output_names[i]);
        if (!tool_join(path, s->e->directory, name))
            return hrm_error_set(HRM_ERR_ARGUMENT, "%s: the path is too long", s->e->directory);
        hrm_status status = hrm_npy_writer_open(&s->writers[i], path, real ? HRM_F32 : HRM_I32, dims, shape, NULL);
        if (status != HRM_OK) return status;
        s->open[i] = 1;
    }
    return HRM_OK;
}

enum { VOTE_SUMS = 6 }; /* accuracy, exact, the first alone, any, segments of all copies; rows that have labels */
typedef struct vote_arrays { /* of some examples with `copies` rows each; freed together */
    vote_copy        *symmetries;
    hrm_batch         batch;
    int32_t          *puzzles, *answers, *ids, *chosen, *steps; /* [rows,T], [rows,T], [rows]; [examples,T], [examples] */
    hrm_solve_result *results;                                  /* [rows] */
    float            *q_halt, *q_continue;                      /* [examples] */
    int32_t          *all_chosen, *all_steps;                   /* the same of all ranks; of one these */
    float            *all_q_halt, *all_q_continue;
    double           *shares; /* [ranks, VOTE_SUMS + 2] */
    int64_t           total;  /* examples in all */
    void             *all[17];
    int               count;
} vote_arrays;

static void *vote_alloc(vote_arrays *a, size_t count, size_t size)
{
    void *p = calloc(count, size);
    return p ? (a->all[a->count++] = p) : NULL; /* cppcheck-suppress memleak ; the list has it */
}

static int vote_open(vote_arrays *a, int examples, int copies, size_t T, const hrm_comm *comm)
{
    size_t n = (size_t)examples, rows = n * (size_t)copies, ranks = comm ? (size_t)comm->size : 1, all = n * ranks;
    memset(a, 0, sizeof *a);
    a->batch.rows = examples;
    int there = (a->symmetries = (vote_copy *)vote_alloc(a, (size_t)copies, sizeof *a->symmetries)) != NULL &&
           (a->batch.inputs = (int32_t *)vote_alloc(a, n * T, sizeof(int32_t))) != NULL &&
           (a->batch.labels = (int32_t *)vote_alloc(a, n * T, sizeof(int32_t))) != NULL &&
           (a->batch.puzzle_identifiers = (int32_t *)vote_alloc(a, n, sizeof(int32_t))) != NULL &&
           (a->puzzles = (int32_t *)vote_alloc(a, rows * T, sizeof(int32_t))) != NULL &&
           (a->answers = (int32_t *)vote_alloc(a, rows * T, sizeof(int32_t))) != NULL &&
           (a->ids = (int32_t *)vote_alloc(a, rows, sizeof(int32_t))) != NULL &&
           (a->results = (hrm_solve_result *)vote_alloc(a, rows, sizeof *a->results)) != NULL &&
           (a->chosen = (int32_t *)vote_alloc(a, n * T, sizeof(int32_t))) != NULL &&
           (a->steps = (int32_t *)vote_alloc(a, n, sizeof(int32_t))) != NULL &&
           (a->q_halt = (float *)vote_alloc(a, n, sizeof(float))) != NULL &&
           (a->q_continue = (float *)vote_alloc(a, n, sizeof(float))) != NULL &&
           (a->shares = (double *)vote_alloc(a, ranks * (VOTE_SUMS + 2), sizeof(double))) != NULL;
    a->all_chosen = a->chosen, a->all_steps = a->steps, a->all_q_halt = a->q_halt, a->all_q_continue = a->q_continue;
    if (!there || !comm || comm->rank) return there;
    return (a->all_chosen = (int32_t *)vote_alloc(a, all * T, sizeof(int32_t))) != NULL &&
           (a->all_steps = (int32_t *)vote_alloc(a, all, sizeof(int32_t))) != NULL &&
           (a->all_q_halt = (float *)vote_alloc(a, all, sizeof(float))) != NULL &&
           (a->all_q_continue = (float *)vote_alloc(a, all, sizeof(float))) != NULL;
}

static hrm_status vote_read(eval_state *s, vote_arrays *a, const hrm_dataset *data, int64_t first)
{
    /* a batch, none of it past the end */
    (void)s;
    a->batch.filled = 0;
    if (first >= a->total) return HRM_OK;
    if (a->total - first < a->batch.rows) a->batch.rows = (int)(a->total - first);
    return hrm_dataset_read(data, first, &a->batch);
}

static int is_exact(const int32_t *answer, const int32_t *labels, int T, int *correct, int *labelled)
{
    *correct = *labelled = 0;
    for (int i = 0; i < T; i++) {
        *labelled += labels[i] >= 0;
        *correct += labels[i] >= 0 && labels[i] == answer[i];
    }
    return *labelled > 0 && *correct == *labelled;
}

/* What is found is the answers' and, of the copy whose answer was taken, the q's; there is no loss of an answer. */
static hrm_status vote_batch(eval_state *s, hrm_model *model, vote_arrays *a, double sums[VOTE_SUMS])
{
    evaluation *e = s->e;
    hrm_solve_desc how;
    int N = e->votes, cells = s->seq_len, n = a->batch.filled, correct, labelled;
    size_t T = (size_t)cells, each = (size_t)N * T; /* tokens of a puzzle, of all its copies */
    memset(&how, 0, sizeof how);
    for (int i = 0; i < n * N; i++) {
        vote_turn(&a->symmetries[i % N], a->batch.inputs + (size_t)(i / N) * T, a->puzzles + (size_t)i * T);
        a->ids[i] = a->batch.puzzle_identifiers[i / N];
    }
    how.rows = n * N;
    how.puzzle_identifiers = a->ids;
    how.max_steps = e->max_steps;
    how.no_halting = !e->adaptive;
    how.start_noise = e->start_noise;
    how.noise_seed = e->noise_seed;
    how.copies = N;
    how.results = a->results;
    hrm_status status = hrm_solve(model, a->puzzles, a->answers, &how);
    if (status != HRM_OK) return status;
    for (int i = 0; i < n; i++) {
        int32_t *back = a->puzzles + (size_t)i * each; /* whose copies are done with */
        const int32_t *labels = a->batch.labels + (size_t)i * T;
        const hrm_solve_result *results = a->results + (size_t)i * (size_t)N;
        int32_t *chosen = a->chosen + (size_t)i * T;
        int any = 0;
        for (int k = 0; k < N; k++) {
            size_t at = (size_t)k * T;
            vote_back(&a->symmetries[k], a->answers + (size_t)i * each + at, back + at);
            any |= is_exact(back + at, labels, cells, &correct, &labelled);
            sums[4] += results[k].segments;
        }
        int winner = votes_count(back, results, N, cells, e->vote, NULL);
        memcpy(chosen, back + (size_t)winner * T, T * sizeof *back);
        a->q_halt[i] = results[winner].q_halt;
        a->q_continue[i] = results[winner].q_continue;
        a->steps[i] = results[winner].segments;
        int first = is_exact(back, labels, cells, &correct, &labelled);
        int exact = is_exact(chosen, labels, cells, &correct, &labelled);
        if (!labelled) continue; /* in the measures only what can be right */
        sums[0] += (double)correct / labelled;
        sums[1] += exact;
        sums[2] += first;
        sums[3] += any;
        sums[5]++;
    }
    return HRM_OK;
}

static hrm_status vote_tell(eval_state *s, vote_arrays *a, const hrm_dataset *data, int64_t first, int examples)
{
    /* a batch's answers, of each rank one; rank 0 has them all told in order */
    const hrm_comm *c = s->e->comm;
    hrm_run_outputs outputs;
    size_t n = (size_t)examples, T = (size_t)s->seq_len;
    if (c) {
        hrm_status status = c->gather(c->user, a->all_chosen, a->chosen, n * T * sizeof(int32_t), 0, NULL);
        if (status == HRM_OK) status = c->gather(c->user, a->all_steps, a->steps, n * sizeof(int32_t), 0, NULL);
        if (status == HRM_OK) status = c->gather(c->user, a->all_q_halt, a->q_halt, n * sizeof(float), 0, NULL);
        if (status == HRM_OK) status = c->gather(c->user, a->all_q_continue, a->q_continue, n * sizeof(float), 0, NULL);
        if (status != HRM_OK || c->rank) return status;
    }
    memset(&outputs, 0, sizeof outputs);
    for (size_t r = 0; r < (c ? (size_t)c->size : 1); r++, first += examples) {
        a->batch.rows = examples;
        hrm_status status = c ? vote_read(s, a, data, first) : HRM_OK;
        if (status == HRM_OK && a->batch.filled == 0) break;
        outputs.predictions = a->all_chosen + r * n * T;
        outputs.q_halt = a->all_q_halt + r * n;
        outputs.q_continue = a->all_q_continue + r * n;
        outputs.steps = a->all_steps + r * n;
        if (status == HRM_OK) status = on_rows(s, first, &a->batch, &outputs);
        if (status != HRM_OK) return status;
    }
    return HRM_OK;
}

static hrm_status vote_share(eval_state *s, vote_arrays *a, const double mine[VOTE_SUMS], hrm_status status,
                             double sums[VOTE_SUMS], double *done)
{
    /* the sums of a batch a rank, added up in order, and how many examples they are of; a failure of one is all ranks' */
    const hrm_comm *c = s->e->comm;
    double word[VOTE_SUMS + 2];
    memcpy(word, mine, VOTE_SUMS * sizeof *word);
    word[VOTE_SUMS] = a->batch.filled, word[VOTE_SUMS + 1] = status;
    if (!c) memcpy(a->shares, word, sizeof word);
    else if (c->gather(c->user, a->shares, word, sizeof word, 1, NULL) != HRM_OK) return HRM_ERR_IO;
    for (int r = 0; r < (c ? c->size : 1); r++) {
        const double *share = a->shares + r * (VOTE_SUMS + 2);
        for (int k = 0; k < VOTE_SUMS; k++) sums[k] += share[k];
        *done += share[VOTE_SUMS];
        if (status == HRM_OK && share[VOTE_SUMS + 1] > 0)
            status = hrm_error_set((hrm_status)share[VOTE_SUMS + 1], "rank %d could not go on", r);
    }
    return status;
}

static hrm_status vote_all(eval_state *s, hrm_model *model, const hrm_dataset *data, int64_t total)
{
    evaluation *e = s->e;
    vote_arrays a;
    double sums[VOTE_SUMS] = {0}, done = 0;
    int examples = e->batch_size / e->votes;
    if (examples > total) examples = (int)total;
    if (examples < 1) examples = 1;
    int ranks = e->comm ? e->comm->size : 1, rank = e->comm ? e->comm->rank : 0;
    hrm_status status = HRM_OK;
    if (!vote_open(&a, examples, e->votes, (size_t)s->seq_len, e->comm))
        status = hrm_error_set(HRM_ERR_MEMORY, "no memory for %d copies of %d puzzles", e->votes, examples);
    else votes_make(a.symmetries, e->votes, e->equal ? SCORE_NONE : e->rules.task, e->rules.side, s->seq_len);
    a.total = total;
    for (int64_t first = 0; first < total && status == HRM_OK; first += (int64_t)ranks * examples) {
        double mine[VOTE_SUMS] = {0};
        a.batch.rows = examples;
        status = vote_read(s, &a, data, first + (int64_t)rank * examples);
        if (status == HRM_OK && a.batch.filled) status = vote_batch(s, model, &a, mine);
        if (status == HRM_OK && tool_signal) status = hrm_error_set(HRM_ERR_CANCELLED, "stopped by a signal");
        status = vote_share(s, &a, mine, status, sums, &done);
        if (status == HRM_OK) status = vote_tell(s, &a, data, first, examples);
        if (status != HRM_OK) break;
        double known = sums[5] > 0 ? sums[5] : 1;
        e->metrics.accuracy = sums[0] / known;
        e->metrics.exact_accuracy = sums[1] / known;
        e->metrics.steps = sums[4] / (done * e->votes);
        e->alone = sums[2] / known;
        e->any = sums[3] / known;
        char text[128];
        snprintf(text, sizeof text, "exact %.2f %%  one copy %.2f %%  segments %.2f", 100 * e->metrics.exact_accuracy,
                 100 * e->alone, e->metrics.steps);
        progress_update(&s->bar, done, text);
    }
    while (a.count > 0) free(a.all[--a.count]);
    return status;
}

int evaluation_check_votes(int votes, float start_noise, score_task task)
{
    int most = votes_most(task);
    if (votes <= most || start_noise > 0) return TOOL_OK;
    if (most == 1)
        return tool_error("votes is %d, but without a known symmetry copies are equal: start_noise=0.5 would make them differ",
                          votes);
    return tool_error("votes is %d, but a maze has %d symmetric copies, itself among them", votes, most);
}

static uint64_t fingerprint_of(uint64_t hash, const void *bytes, size_t n)
{
    /* eight bytes at a time; what is left over counts as such */
    const unsigned char *p = (const unsigned char *)bytes;
    uint64_t word;
    for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return data_mix(data_hash(hash, p, n));
}

static int fingerprint_data(uint64_t *hash, const hrm_dataset *data, int64_t total)
{
    /* what a prediction depends on, and the labels, as its measures are kept with it */
    enum { ROWS = 64 };
    size_t T = (size_t)hrm_dataset_describe(data)->seq_len;
    hrm_batch batch;
    int status = TOOL_OK;
    memset(&batch, 0, sizeof batch);
    int32_t *memory = (int32_t *)data_alloc(2 * ROWS * T + ROWS, sizeof *memory);
    if (!memory) return TOOL_ERROR;
    batch.inputs = memory, batch.labels = memory + ROWS * T, batch.puzzle_identifiers = memory + 2 * ROWS * T;
    for (int64_t first = 0; first < total && status == TOOL_OK; first += batch.filled) {
        batch.rows = total - first < ROWS ? (int)(total - first) : ROWS;
        if (hrm_dataset_read(data, first, &batch) != HRM_OK) status = tool_failed();
        *hash = fingerprint_of(*hash, batch.inputs, (size_t)batch.filled * T * sizeof(int32_t));
        *hash = fingerprint_of(*hash, batch.labels, (size_t)batch.filled * T * sizeof(int32_t));
        *hash = fingerprint_of(*hash, batch.puzzle_identifiers, (size_t)batch.filled * sizeof(int32_t));
        if (status == TOOL_OK && tool_signal) status = -1;
    }
    free(memory);
    return status;
}

static int open_predictions(eval_state *s, const hrm_model *model, const hrm_dataset *data, int64_t total, int fresh)
{
    evaluation *e = s->e;
    char said[2048];
    const hrm_model_desc *d = hrm_model_describe(model);
    uint64_t hash = e->fingerprint;
    int settings[4];
    settings[0] = e->adaptive, settings[1] = e->max_steps, settings[2] = (int)d->forward_dtype;
    settings[3] = (int)d->cycles_dtype;
    config_metadata(said, sizeof said, d);
    hash = fingerprint_of(fingerprint_of(hash, said, strlen(said)), settings, sizeof settings);
    int status = fingerprint_data(&hash, data, total);
    if (status == TOOL_OK)
        status = arc_predictions_open(&s->predictions, e->directory, hash, e->tasks->side, total, fresh);
    if (status == TOOL_OK) s->before = s->predictions.metrics;
    s->flushed = tool_seconds();
    return status;
}

static int score_tasks(eval_state *s, const hrm_dataset *data)
{
    evaluation *e = s->e;
    int status = arc_evaluate(&e->arc, e->tasks, data, &s->predictions, e->directory, e->checkpoint);
    const arc_score *a = &e->arc;
    if (status != TOOL_OK) return status;
    double scale = a->tasks ? 100.0 / a->tasks : 0;
    tool_note("%d of %d tasks: pass@1 %.2f %%, @2 %.2f %%, @10 %.2f %%, @100 %.2f %%, @1000 %.2f %%; without votes %.2f %%",
              a->tasks, e->tasks->num_entries, scale * a->solved[0], scale * a->solved[1], scale * a->solved[2],
              scale * a->solved[3], scale * a->solved[4], scale * a->plain);
    tool_note("answers.json and submission.json are in %s", e->directory);
    return TOOL_OK;
}

static int together(const evaluation *e, int status)
{
    /* of all that share it; a signal, which is -1, counts as a failure of rank 0 that nobody needs to be told */
    if (!e->comm) return status;
    int worst = devices_agree(status < 0 ? 128 + (int)tool_signal : status);
    return status < 0 ? status : worst;
}

int evaluation_run(evaluation *e, hrm_model *model, const hrm_dataset *data)
{
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    hrm_evaluate_desc desc;
    eval_state s;
    memset(&desc, 0, sizeof desc);
    memset(&s, 0, sizeof s);
    s.e = e;
    s.seq_len = info->seq_len;
    s.vocab_size = hrm_model_describe(model)->vocab_size;
    if (list_outputs(e->outputs, s.wanted) != 0) return TOOL_USAGE;
    int any = 0, failed = TOOL_OK;
    for (int i = 0; i < OUTPUTS; i++) any |= s.wanted[i];
    int writes = !e->comm || e->comm->rank == 0;
    if (any && writes && tool_make_directories(e->directory) != 0) failed = TOOL_ERROR;

    memset(&e->metrics, 0, sizeof e->metrics);
    e->rules = score_make(info->vocab_size, info->seq_len);
    if (e->own) e->rules.task = SCORE_NONE;
    e->voted = e->votes > 1 || e->start_noise > 0;
    if (e->votes < 1) e->votes = 1;
    int allowed = evaluation_check_votes(e->votes, e->start_noise, e->equal ? SCORE_NONE : e->rules.task);
    if (allowed != TOOL_OK) return allowed;
    desc.batch_size = e->batch_size;
    desc.adaptive = e->adaptive;
    desc.max_steps = e->max_steps;
    desc.max_examples = e->max_examples;
    desc.on_batch = on_batch;
    desc.on_rows = any || e->rules.task == SCORE_SUDOKU || e->rules.task == SCORE_MAZE ? on_rows : NULL;
    desc.want_logits = s.wanted[OUTPUT_logits];
    desc.user = &s;
    desc.comm = e->comm;
    int64_t total = info->total_examples;
    if (e->max_examples > 0 && e->max_examples < total) total = e->max_examples;
    if (e->tasks && e->voted) tool_note("with votes or start_noise ARC tasks are not scored: they have variants of their own");
    if (failed == TOOL_OK && e->tasks && !e->voted && writes) failed = open_predictions(&s, model, data, total, any);
    if (e->tasks && !e->voted) desc.on_rows = on_rows;
    hrm_status status = HRM_OK;
    if (failed == TOOL_OK && writes) status = open_outputs(&s);
    if (status != HRM_OK) failed = tool_failed();
    failed = together(e, failed);
    if (e->comm) desc.first_example = devices_any((int)s.predictions.done);
    else desc.first_example = s.predictions.done;
    if (failed != TOOL_OK) {
        arc_predictions_close(&s.predictions);
        for (int i = 0; i < OUTPUTS; i++)
            if (s.open[i]) hrm_npy_writer_abort(&s.writers[i]);
        return failed;
    }
    s.bar = progress_begin(e->title, (double)total);
    s.bar.done = s.bar.from = (double)desc.first_example;
    if (status == HRM_OK && desc.first_example < total)
        status = e->voted ? vote_all(&s, model, data, total) : hrm_evaluate(model, data, &desc, &e->metrics);
    if (status == HRM_OK) progress_end(&s.bar, NULL);
    else progress_clear(&s.bar);
    if (s.predictions.file) {
        hrm_metrics_add(&s.before, &e->metrics);
        e->metrics = s.before;
        int scored = status == HRM_OK ? score_tasks(&s, data) : TOOL_OK;
        if (scored != TOOL_OK) failed = scored;
    }
    if (s.predictions.done && s.predictions.done < total && tool_signal)
        tool_note("%lld of %lld predictions are kept in %s; the same command goes on", (long long)s.predictions.done,
                  (long long)total, s.predictions.path);
    arc_predictions_close(&s.predictions);
    for (int i = 0; i < OUTPUTS; i++) {
        if (!s.open[i]) continue;
        if (status == HRM_OK) status = hrm_npy_writer_commit(&s.writers[i]);
        else hrm_npy_writer_abort(&s.writers[i]);
    }
    if (failed != TOOL_OK) return failed;
    if (status == HRM_ERR_CANCELLED) {
        int asked = e->comm ? devices_any((int)tool_signal) : (int)tool_signal; /* a signal that another rank may have had */
        if (asked) tool_signal = asked;
        if (asked) return -1;
    }
    if (s.told) return TOOL_ERROR;
    if (status != HRM_OK) return tool_failed();
    if (any) tool_note("saved in %s", e->directory);
    return TOOL_OK;
}

int evaluation_check_data(const hrm_model_desc *m, const char *model_where, const hrm_dataset *data, const char *where)
{
    const hrm_dataset_info *d = hrm_dataset_describe(data);
    if (m->seq_len && d->seq_len != m->seq_len)
        return tool_error("%s: seq_len is %d, but %d in %s", where, d->seq_len, m->seq_len, model_where);
    if (m->vocab_size && d->vocab_size > m->vocab_size)
        return tool_error("%s: vocab_size is %d, more than the %d of %s", where, d->vocab_size, m->vocab_size, model_where);
    if (m->num_puzzle_identifiers && !m->no_puzzle_emb && d->num_puzzle_identifiers > m->num_puzzle_identifiers)
        return tool_error("%s: num_puzzle_identifiers is %d, more than the %d of %s", where, d->num_puzzle_identifiers,
                          m->num_puzzle_identifiers, model_where);
    return TOOL_OK;
}

int evaluation_batch_size(const config *c)
{
    if (c->eval_batch_size) return (int)c->eval_batch_size;
    return (int)(c->device == HRM_CUDA || c->global_batch_size < 64 ? c->global_batch_size : 64);
}

/* ---- the command ------------------------------------------------------------------------------------------------------ */
static void print_usage(void)
{
    printf("usage: hrm eval checkpoint=FILE [data_path=DIR] [KEY=VALUE…]\n\n"
           "Measures a checkpoint on the test split of a data set: the one in the\n"
           "all_config.yaml beside it unless data_path names another. Progress goes to\n"
           "standard error, the result as one line of JSON to standard output. Several\n"
           "processes (mpirun, torchrun's variables; see hrm train --help) share the work.\n\n"
           "Of ARC every variant of a task is predicted, turned back and counted as a vote:\n"
           "pass@K tells how many tasks have the truth of each test among their first K\n"
           "answers. Predictions are kept in NAME_all_preds beside the checkpoint, or in\n"
           "checkpoint_path, as they come: after an interruption the same command goes on.\n"
           "There are then answers.json, which hrm render draws, and submission.json in\n"
           "Kaggle's form.\n\n");
    config_help(CONFIG_EVAL);
}

static void print_number(const char *name, double value, int last)
{
    if (value - value == 0) printf("\"%s\": %.10g%s", name, value, last ? "" : ", ");
    else printf("\"%s\": null%s", name, last ? "" : ", "); /* JSON knows no other */
}

static void print_result(const evaluation *e, const evaluation *full)
{
    const hrm_metrics *m = &e->metrics;
    printf("{\"all\": {");
    print_number("accuracy", m->accuracy, 0);
    print_number("exact_accuracy", m->exact_accuracy, 0);
    if (!e->voted) {
        print_number("lm_loss", m->lm_loss, 0);
        print_number("q_halt_accuracy", m->q_halt_accuracy, 0);
        print_number("q_halt_loss", m->q_halt_loss, 0);
    }
    print_number("steps", m->steps, 1);
    printf("}");
    if (e->voted) {
        printf(", \"votes\": {");
        print_number("votes", e->votes, 0);
        print_number("one_copy_exact_accuracy", e->alone, 0);
        print_number("any_copy_exact_accuracy", e->any, 1);
        printf("}");
    }
    if (e->rules.count > 0 && (e->rules.task == SCORE_SUDOKU || e->rules.task == SCORE_MAZE)) {
        printf(", \"rules\": {");
        print_number("valid", (double)e->rules.valid / (double)e->rules.count, e->rules.task == SCORE_SUDOKU);
        if (e->rules.task == SCORE_MAZE) print_number("optimal", (double)e->rules.optimal / (double)e->rules.count, 1);
        printf("}");
    }
    if (e->arc.tasks) {
        printf(", \"arc\": {");
        print_number("tasks", e->arc.tasks, 0);
        for (int k = 0; k < ARC_KS; k++) printf("\"pass@%d\": %.10g, ", arc_ks[k], (double)e->arc.solved[k] / e->arc.tasks);
        print_number("without_votes", (double)e->arc.plain / e->arc.tasks, 0);
        print_number("outputs@2", (double)e->arc.solved_tests / e->arc.tests, 1);
        printf("}");
    }
    if (e->adaptive) {
        printf(", \"adaptive\": {");
        print_number("halt_max_steps", e->max_steps, 0);
        print_number("segments_saved", 1 - m->steps / e->max_steps, !full);
        if (full) {
            print_number("full_accuracy", full->metrics.accuracy, 0);
            print_number("full_exact_accuracy", full->metrics.exact_accuracy, 0);
            print_number("exact_accuracy_kept",
                         full->metrics.exact_accuracy > 0 ? m->exact_accuracy / full->metrics.exact_accuracy : 1, 1);
        }
        printf("}");
    }
    printf("}\n");
}

static int report(evaluation *e, const config *c, hrm_model *model, const hrm_dataset *data)
{
    char text[128];
    evaluation full = *e;
    int compare = e->adaptive && c->compare, status = evaluation_run(e, model, data);
    if (status >= 0) status = devices_agree(status);
    if (status != TOOL_OK) return status;
    if (compare) {
        full.adaptive = 0;
        full.tasks = NULL;
        full.outputs = "";
        full.title = "in full, to compare";
        status = evaluation_run(&full, model, data);
        if (status >= 0) status = devices_agree(status);
        if (status != TOOL_OK) return status;
        tool_note("adaptive halting: %.2f of %d segments a puzzle, %.1f %% saved; exact accuracy %.2f %%, %.2f %% in full",
                  e->metrics.steps, e->max_steps, 100 * (1 - e->metrics.steps / e->max_steps), 100 * e->metrics.exact_accuracy,
                  100 * full.metrics.exact_accuracy);
    }
    if (*score_text(&e->rules, text, sizeof text)) tool_note("by the rules: %s", text);
    if (devices_rank() == 0) print_result(e, compare ? &full : NULL);
    const hrm_metrics *m = &e->metrics;
    if (!e->voted && !(m->lm_loss - m->lm_loss == 0 && m->q_halt_loss - m->q_halt_loss == 0))
        return tool_error("%s: losses that are not finite: its weights are too large to compute with", c->checkpoint);
    return TOOL_OK;
}

static void output_beside(const config *c, const char *ending, char path[TOOL_PATH])
{
    /* as the public code names its file: beside the checkpoint, or in checkpoint_path, step_N_all_preds; "": too long */
    char dir[TOOL_PATH], name[TOOL_PATH];
    snprintf(name, sizeof name, "%s", tool_basename(c->checkpoint));
    char *dot = strrchr(name, '.');
    if (dot && dot > name) *dot = 0;
    size_t n = strlen(name);
    snprintf(name + n, sizeof name - n, "%s", ending);
    if (*c->checkpoint_path) snprintf(dir, sizeof dir, "%s", c->checkpoint_path);
    else if (!tool_directory(dir, c->checkpoint)) dir[0] = 0;
    if (!tool_join(path, dir, name)) path[0] = 0;
}

static int compute_picture(const config *c, char path[TOOL_PATH])
{
    output_beside(c, c->pictures ? "_compute.svg" : "_compute.png", path);
    if (!path[0]) return tool_error("%s: the path is too long", c->checkpoint);
    if (*c->checkpoint_path && tool_make_directories(c->checkpoint_path) != 0) return TOOL_ERROR;
    return TOOL_OK;
}

static int fingerprint_file(uint64_t *hash, const char *path)
{
    hrm_file_map map;
    if (hrm_file_map_open(&map, path) != HRM_OK) return tool_failed();
    *hash = fingerprint_of(DATA_HASH, map.data, map.size);
    hrm_file_map_close(&map);
    return TOOL_OK;
}

static int run(config *c)
{
    arc_set tasks;
    hrm_model_desc stated;
    hrm_sources sources;
    hrm_dataset *data = NULL;
    hrm_model *model = NULL;
    evaluation e;
    char folder[TOOL_PATH], picture[TOOL_PATH];
    int wanted[OUTPUTS];
    if (!*c->checkpoint) return tool_usage("eval: checkpoint=FILE is missing");
    if (list_outputs(c->eval_save_outputs, wanted) != 0) return TOOL_USAGE;
    if ((c->votes > 1 || c->start_noise > 0) && wanted[OUTPUT_logits])
        return tool_usage("eval_save_outputs: logits, but %s: an answer that copies agree on has none",
                          c->votes > 1 ? "votes" : "start_noise");
    for (int i = 0; i < OUTPUTS && c->compute; i++)
        if (wanted[i]) return tool_usage("eval_save_outputs: %s, but compute runs many evaluations", output_names[i]);
    if (c->compute && c->halt == 1) return tool_usage("halt is adaptive, but compute tells of so many segments for all");
    int status = devices_open((hrm_device_kind)c->device);
    if (status == TOOL_OK) status = config_checkpoint(c, c->checkpoint, &stated, &sources);
    if (status != TOOL_OK) return status;
    if (!c->threads) c->threads = devices_threads();
    if (*c->data_paths_test && (c->raw[CONFIG_data_path].origin != CONFIG_COMMAND ||
                                c->raw[CONFIG_data_paths_test].origin == CONFIG_COMMAND))
        strcpy(c->data_path, c->data_paths_test);
    if (!*c->data_path)
        return tool_usage("eval: data_path=DIR is missing; no all_config.yaml beside %s names it", c->checkpoint);
    if (hrm_dataset_open(&data, c->data_path, "test", NULL) != HRM_OK) return tool_failed();
    char said[300];
    status = evaluation_check_data(&stated, c->checkpoint, data, c->data_path);
    if (status == TOOL_OK && grid_vocabulary_differs(said, c->checkpoint, c->data_path, &status))
        status = tool_error("%s: %s in %s", c->data_path, said, c->checkpoint);
    if (status != TOOL_OK) {
        hrm_dataset_close(data);
        return status;
    }
    status = config_load_model(c, &model, c->checkpoint, &stated, &sources, hrm_dataset_describe(data)->seq_len);
    status = devices_agree(status);
    if (status != TOOL_OK) {
        hrm_model_destroy(model);
        hrm_dataset_close(data);
        return status;
    }
    memset(&e, 0, sizeof e);
    e.comm = devices_comm();
    e.title = "eval";
    e.own = grid_is_own(c->data_path);
    e.batch_size = evaluation_batch_size(c);
    e.adaptive = c->halt == 1;
    e.max_steps = c->max_steps ? (int)c->max_steps : hrm_model_describe(model)->halt_max_steps;
    e.max_examples = c->eval_examples;
    e.votes = (int)c->votes;
    e.equal = !c->symmetric;
    e.vote = (vote_rule)c->vote;
    e.start_noise = (float)c->start_noise;
    e.noise_seed = (uint64_t)c->noise_seed;
    e.outputs = c->eval_save_outputs;
    output_beside(c, "_all_preds", folder);
    e.directory = folder;
    tool_catch_signals("hrm: finishing the batch; again to stop at once\n");
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    memset(&tasks, 0, sizeof tasks);
    if (!e.own && score_task_detect(info->vocab_size, info->seq_len) == SCORE_ARC && arc_set_is(c->data_path) && !c->compute) {
        status = arc_set_open(&tasks, c->data_path, score_side(info->seq_len), 1);
        if (status == TOOL_OK) status = fingerprint_file(&e.fingerprint, c->checkpoint);
        e.tasks = &tasks;
        e.checkpoint = c->checkpoint;
    }
    if (status == TOOL_OK && c->compute && devices_rank() == 0) status = compute_picture(c, picture);
    status = devices_agree(status);
    if (status == TOOL_OK)
        status = c->compute ? evaluation_compute(&e, c, model, data, picture) : report(&e, c, model, data);
    if (status < 0) status = devices_agree(128 + (int)tool_signal);
    arc_score_free(&e.arc);
    arc_set_close(&tasks);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    return status;
}

int command_eval(int argc, char **argv) { return config_command(CONFIG_EVAL, argc, argv, print_usage, run); }
