/* hrm analyze: what goes on inside a model while it solves the puzzles of a test split: how much each pass still moves the
 * states, how many dimensions they fill, what the answers are worth segment by segment, when it would halt and how that goes
 * with difficulty, and some answers as they form.
 *
 * Every puzzle runs all its segments, watched pass by pass; what halting would have made of it follows from the answers and
 * q's of its segments.
 */
#include "eval.h"
#include "grid.h"
#include "progress.h"

#include "pictures.h"
#include "plot.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATES = 2, CHUNKS = 40, CHOSEN = 16, GROUPS = 3, SHOWN = 8 };
static const char *const group_names[GROUPS] = {"easy", "middle", "hard"};

typedef struct analyzed { /* an example */
    int32_t difficulty, changes, labelled, halts; /* halts: the first segment after which it would, 0: never */
} analyzed;

typedef struct analysis {
    const config *c;
    hrm_model    *model;
    hrm_dataset  *data;
    hrm_run      *run;
    hrm_batch     batch;
    score_task    task;
    int           rows, segments, passes, T, S, D, side, halt_only;
    int64_t       examples;
    int           segment;  /* at work, from 0 */
    hrm_real     *now, *before; /* [STATES,rows,S,D] */
    double       *residual;     /* [segments, passes] sums over rows and positions of |z - z before| */
    int          *moved;        /* [passes] which state */
    hrm_real     *products[CHUNKS]; /* [STATES,D,D] of examples 0, 1, 2-3, 4-7 …: the sums of z zT; NULL: not yet */
    double       *sums[CHUNKS];     /* [STATES,D] */
    double        counts[CHUNKS];
    hrm_real     *scratch;
    int32_t      *answers;   /* [rows,T] */
    hrm_real     *q_halt, *q_continue;
    analyzed     *each;      /* [examples] */
    int32_t      *correct;   /* [examples, segments] tokens */
    double       *sure;      /* [segments, 4]: mean sigma(q_halt) over right answers and their number; over wrong ones */
    const char   *measure;   /* what difficulty is */
    int64_t       chosen[CHOSEN];
    int           num_chosen;
    int32_t      *inputs, *labels, *stories; /* of those chosen: [n,T], [n,T], [n,segments,T] */
    double       *story_q;   /* [n,segments,2] */
} analysis;

/* ---- measuring -------------------------------------------------------------------------------------------------------- */
static size_t state_size(const analysis *a) { return (size_t)a->rows * (size_t)a->S * (size_t)a->D; }

static hrm_status on_pass(void *user, int pass, int state)
{
    analysis *a = (analysis *)user;
    hrm_run_outputs o;
    size_t D = (size_t)a->D, each = (size_t)a->S * D, at = (size_t)state * state_size(a);
    double sum = 0;
    memset(&o, 0, sizeof o);
    o.states = a->now;
    hrm_status status = hrm_run_read(a->run, &o);
    if (status != HRM_OK) return status;
    for (size_t i = 0; i < (size_t)a->batch.filled * (size_t)a->S; i++) {
        const hrm_real *now = a->now + at + i * D, *before = a->before + at + i * D;
        double square = 0;
        for (size_t k = 0; k < D; k++) square += (double)(now[k] - before[k]) * (double)(now[k] - before[k]);
        sum += sqrt(square);
    }
    a->residual[a->segment * a->passes + pass] += sum;
    a->moved[pass] = state;
    memcpy(a->before + at, a->now + at, (size_t)a->batch.filled * each * sizeof *a->now);
    return HRM_OK;
}

static int chunk_of(int64_t example)
{
    int k = 0;
    for (; example > 0; example >>= 1) k++;
    return k;
}

static int take_dimensions(analysis *a, int64_t first)
{
    /* the batch's states after a segment, into the sums of their examples' chunks */
    size_t D = (size_t)a->D, each = (size_t)a->S * D;
    for (int i = 0; i < a->batch.filled;) {
        int k = chunk_of(first + i), n = i;
        while (n < a->batch.filled && chunk_of(first + n) == k) n++;
        if (!a->products[k]) {
            a->products[k] = (hrm_real *)data_alloc(STATES * D * D, sizeof(hrm_real));
            a->sums[k] = (double *)data_alloc(STATES * D, sizeof(double));
            if (!a->products[k] || !a->sums[k]) return 0;
        }
        for (int s = 0; s < STATES; s++) {
            const hrm_real *z = a->now + (size_t)s * state_size(a) + (size_t)i * each;
            size_t rows = (size_t)(n - i) * (size_t)a->S;
            hrm_linear_backward(NULL, a->products[k] + (size_t)s * D * D, NULL, z, z, NULL, rows, D, D, a->scratch);
            for (size_t r = 0; r < rows; r++)
                for (size_t d = 0; d < D; d++) a->sums[k][(size_t)s * D + d] += (double)z[r * D + d];
            if (s == 0) a->counts[k] += (double)rows;
        }
        i = n;
    }
    return 1;
}

static double participation(const analysis *a, int state, int chunks)
{
    /* (sum of the eigenvalues)^2 / sum of their squares = tr(C)^2 / |C|^2 of the covariance C, over the first chunks */
    size_t D = (size_t)a->D;
    double trace = 0, squares = 0, n = 0;
    for (int k = 0; k < chunks; k++) n += a->counts[k];
    for (size_t i = 0; i < D; i++) {
        double mean_i = 0;
        for (int k = 0; k < chunks; k++) mean_i += a->sums[k][(size_t)state * D + i] / n;
        for (size_t j = 0; j < D; j++) {
            double mean_j = 0, c = 0;
            for (int k = 0; k < chunks; k++) {
                mean_j += a->sums[k][(size_t)state * D + j] / n;
                c += (double)a->products[k][((size_t)state * D + i) * D + j] / n;
            }
            c -= mean_i * mean_j;
            squares += c * c;
            if (i == j) trace += c;
        }
    }
    return squares > 0 ? trace * trace / squares : 0;
}

static int32_t rating_of(const analysis *a, const int32_t *input)
{
    if (a->task == SCORE_SUDOKU) {
        sudoku_shape shape;
        uint8_t board[SUDOKU_MAX_CELLS];
        if (!sudoku_shape_make(&shape, a->side)) return 0;
        for (int i = 0; i < a->T; i++) board[i] = (uint8_t)(input[i] >= 2 ? input[i] - 1 : 0);
        return sudoku_count_solutions(&shape, board, 2, NULL) == 1 ? sudoku_rate(&shape, board) : 0;
    }
    return 0;
}

static void settle_difficulty(analysis *a)
{
    /* where no search had a dead end, as with other puzzles: how much of them is to be filled in */
    int rated = 0;
    for (int64_t i = 0; i < a->examples; i++) rated |= a->each[i].difficulty > 0;
    a->measure = rated ? "dead ends of a search" : a->task == SCORE_MAZE ? "cells of the path" : "cells to change";
    for (int64_t i = 0; i < a->examples && !rated; i++) a->each[i].difficulty = a->each[i].changes;
}

static void take_answers(analysis *a, int64_t first)
{
    /* of the segment just run */
    int N = a->segments, T = a->T, s = a->segment;
    for (int i = 0; i < a->batch.filled; i++) {
        const int32_t *label = a->batch.labels + (size_t)i * (size_t)T, *answer = a->answers + (size_t)i * (size_t)T;
        analyzed *e = &a->each[first + i];
        int32_t right = 0;
        if (s == 0) {
            const int32_t *input = a->batch.inputs + (size_t)i * (size_t)T;
            e->difficulty = rating_of(a, input);
            for (int t = 0; t < T; t++) e->labelled += label[t] >= 0, e->changes += label[t] >= 0 && label[t] != input[t];
        }
        for (int t = 0; t < T; t++) right += label[t] >= 0 && label[t] == answer[t];
        a->correct[(first + i) * N + s] = right;
        double q = (double)a->q_halt[i], sure = 1 / (1 + exp(-q));
        int wants = a->halt_only ? q > 0 : q > (double)a->q_continue[i], wrong = right < e->labelled;
        if (wants && !e->halts) e->halts = s + 1;
        if (e->labelled) a->sure[4 * s + 2 * wrong] += sure, a->sure[4 * s + 2 * wrong + 1] += 1;
        for (int k = 0; k < a->num_chosen; k++) {
            if (a->chosen[k] != first + i) continue;
            size_t at = (size_t)k * (size_t)N + (size_t)s;
            memcpy(a->stories + at * (size_t)T, answer, (size_t)T * sizeof *answer);
            memcpy(a->inputs + (size_t)k * (size_t)T, a->batch.inputs + (size_t)i * (size_t)T, (size_t)T * sizeof *answer);
            memcpy(a->labels + (size_t)k * (size_t)T, label, (size_t)T * sizeof *answer);
            a->story_q[2 * at] = q;
            a->story_q[2 * at + 1] = (double)a->q_continue[i];
        }
    }
}

static int begin_states(analysis *a)
{
    /* `before` as a fresh carry has it */
    static const char *const names[STATES] = {"inner.H_init", "inner.L_init"};
    size_t D = (size_t)a->D, n = (size_t)a->rows * (size_t)a->S;
    for (int s = 0; s < STATES; s++) {
        hrm_real *to = a->before + (size_t)s * state_size(a);
        int index = hrm_model_tensor_find(a->model, names[s]);
        if (index < 0) return tool_error("%s: no tensor %s", a->c->checkpoint, names[s]);
        if (hrm_model_tensor_read(a->model, index, to) != HRM_OK) return tool_failed();
        for (size_t i = 1; i < n; i++) memcpy(to + i * D, to, D * sizeof *to);
    }
    return TOOL_OK;
}

static int measure(analysis *a)
{
    progress bar = progress_begin("analyze", (double)a->examples * a->segments);
    for (int64_t first = 0; first < a->examples; first += a->batch.filled) {
        hrm_run_outputs o;
        memset(&o, 0, sizeof o);
        o.predictions = a->answers, o.q_halt = a->q_halt, o.q_continue = a->q_continue;
        int status = begin_states(a);
        if (status != TOOL_OK) return status;
        if (hrm_dataset_read(a->data, first, &a->batch) != HRM_OK || hrm_run_reset(a->run) != HRM_OK) return tool_failed();
        if (a->batch.filled > a->examples - first) a->batch.filled = (int)(a->examples - first);
        for (a->segment = 0; a->segment < a->segments; a->segment++) {
            if (hrm_run_watch(a->run, &a->batch, on_pass, a) != HRM_OK || hrm_run_read(a->run, &o) != HRM_OK)
                return tool_failed();
            if (!take_dimensions(a, first)) return TOOL_ERROR;
            take_answers(a, first);
            progress_update(&bar, (double)first * a->segments + (double)a->batch.filled * (a->segment + 1), NULL);
            if (tool_signal) return progress_clear(&bar), 128 + (int)tool_signal;
        }
    }
    bar.done = bar.total;
    progress_end(&bar, NULL);
    return TOOL_OK;
}

/* ---- what follows from it ----------------------------------------------------------------------------------------------- */
typedef struct findings {
    double *exact, *accuracy, *allowed, *steps; /* [segments]: in full after each; stopping when it says so, at most so many */
    double *residual[STATES];                   /* [segments * passes] per pass of the state */
    int     num_residual[STATES];
    double *pass_number[STATES];
    double  dimensions[STATES][CHUNKS];
    int     chunks;
    int     bounds[GROUPS][2], in_group[GROUPS]; /* difficulties from, to; examples */
    double  group_exact[GROUPS];
    double *halts[GROUPS];                      /* [segments] parts of the group */
    double  never[GROUPS];
    int     counted;                            /* examples with labels */
} findings;

static int by_number(const void *x, const void *y)
{
    int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return (a > b) - (a < b);
}

static void group_examples(const analysis *a, findings *f, int32_t *sorted)
{
    /* thirds by difficulty; what is as hard as the last of one belongs to it */
    int n = 0, N = a->segments;
    for (int64_t i = 0; i < a->examples; i++)
        if (a->each[i].labelled) sorted[n++] = a->each[i].difficulty;
    if (!n) return; /* no answer is known */
    qsort(sorted, (size_t)n, sizeof *sorted, by_number);
    int ends[GROUPS];
    for (int g = 0; g < GROUPS; g++) ends[g] = sorted[(int)((int64_t)n * (g + 1) / GROUPS) - ((int64_t)n * (g + 1) >= GROUPS)];
    ends[GROUPS - 1] = sorted[n - 1];
    for (int64_t i = 0; i < a->examples; i++) {
        const analyzed *e = &a->each[i];
        if (!e->labelled) continue;
        int g = 0, last = e->halts ? e->halts : N;
        while (e->difficulty > ends[g]) g++;
        if (!f->in_group[g] || e->difficulty < f->bounds[g][0]) f->bounds[g][0] = e->difficulty;
        if (!f->in_group[g] || e->difficulty > f->bounds[g][1]) f->bounds[g][1] = e->difficulty;
        f->in_group[g]++;
        f->group_exact[g] += a->correct[(size_t)i * (size_t)N + (size_t)last - 1] == e->labelled;
        if (e->halts) f->halts[g][e->halts - 1]++;
        else f->never[g]++;
    }
    for (int g = 0; g < GROUPS; g++)
        if (f->in_group[g]) {
            for (int s = 0; s < N; s++) f->halts[g][s] /= f->in_group[g];
            f->never[g] /= f->in_group[g];
            f->group_exact[g] /= f->in_group[g];
        }
}

static void find(const analysis *a, findings *f)
{
    int N = a->segments;
    for (int64_t i = 0; i < a->examples; i++) {
        const analyzed *e = &a->each[i];
        if (!e->labelled) continue;
        f->counted++;
        for (int s = 0; s < N; s++) {
            int stop = e->halts && e->halts <= s ? e->halts - 1 : s;
            f->accuracy[s] += (double)a->correct[i * N + s] / e->labelled;
            f->exact[s] += a->correct[i * N + s] == e->labelled;
            f->allowed[s] += a->correct[i * N + stop] == e->labelled;
            f->steps[s] += stop + 1;
        }
    }
    for (int s = 0; s < N; s++) {
        double n = f->counted ? f->counted : 1;
        f->accuracy[s] /= n, f->exact[s] /= n, f->allowed[s] /= n, f->steps[s] /= n;
        for (int p = 0; p < a->passes; p++) {
            int state = a->moved[p], k = f->num_residual[state]++;
            f->residual[state][k] = a->residual[s * a->passes + p] / ((double)a->examples * a->S);
            f->pass_number[state][k] = s * a->passes + p + 1;
        }
    }
    f->chunks = chunk_of(a->examples - 1) + 1;
    for (int s = 0; s < STATES; s++)
        for (int k = 0; k < f->chunks; k++) f->dimensions[s][k] = participation(a, s, k + 1);
}

static int64_t puzzles_in(const analysis *a, int chunks)
{
    int64_t n = (int64_t)1 << (chunks - 1); /* chunks 0..k hold the first 2^k */
    return n < a->examples ? n : a->examples;
}

static int all_finite(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (values[i] - values[i] != 0) return 0;
    return 1;
}

/* ---- the results as JSON ---------------------------------------------------------------------------------------------- */
static void put(hrm_writer *w, const char *format, ...) HRM__PRINTF(2, 3);
static void put(hrm_writer *w, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)hrm_writer_write(w, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1); /* commit tells of failures */
}

static void put_list(hrm_writer *w, const char *name, const double *values, int n, const char *end)
{
    put(w, "\"%s\": [", name);
    for (int i = 0; i < n; i++) put(w, "%s%.6g", i ? ", " : "", values[i]);
    put(w, "]%s", end);
}

static void put_tokens(hrm_writer *w, const char *name, const int32_t *tokens, int n, const char *end)
{
    put(w, "\"%s\": [", name);
    for (int i = 0; i < n; i++) put(w, "%s%d", i ? "," : "", (int)tokens[i]);
    put(w, "]%s", end);
}

static void put_text(hrm_writer *w, const char *name, const char *text)
{
    put(w, "\"%s\": \"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') put(w, "\\%c", *text);
        else if ((unsigned char)*text < 32) put(w, "\\u%04x", (unsigned)*text);
        else put(w, "%c", *text);
    }
    put(w, "\", ");
}

static int write_json(const analysis *a, const findings *f, const char *path)
{
    static const char *const levels[STATES] = {"z_H", "z_L"};
    hrm_writer *w;
    int N = a->segments, T = a->T;
    if (hrm_writer_open(&w, path, NULL) != HRM_OK) return tool_failed();
    put(w, "{");
    put_text(w, "checkpoint", a->c->checkpoint);
    put_text(w, "data_path", a->c->data_path);
    put(w, "\"examples\": %lld, \"segments\": %d, \"passes\": %d,\n", (long long)a->examples, N, a->passes);
    put(w, "\"participation_ratio\": {\"z_H\": %.6g, \"z_L\": %.6g, \"dimensions\": %d, \"by_puzzles\": [",
        f->dimensions[0][f->chunks - 1], f->dimensions[1][f->chunks - 1], a->D);
    for (int k = 0; k < f->chunks; k++)
        put(w, "%s{\"puzzles\": %lld, \"z_H\": %.6g, \"z_L\": %.6g}", k ? ", " : "", (long long)puzzles_in(a, k + 1),
            f->dimensions[0][k], f->dimensions[1][k]);
    put(w, "]},\n\"forward_residual\": {");
    for (int s = 0; s < STATES; s++) {
        put(w, "%s\"%s\": {", s ? ",\n  " : "", levels[s]);
        put_list(w, "pass", f->pass_number[s], f->num_residual[s], ", ");
        put_list(w, "residual", f->residual[s], f->num_residual[s], "}");
    }
    put(w, "},\n\"by_segment\": {");
    put_list(w, "accuracy", f->accuracy, N, ", ");
    put_list(w, "exact_accuracy", f->exact, N, "},\n");
    put(w, "\"by_segments_allowed\": {");
    put_list(w, "exact_accuracy", f->allowed, N, ", ");
    put_list(w, "segments", f->steps, N, "},\n");
    put(w, "\"halting\": {\"difficulty\": \"%s\", \"groups\": [", a->measure);
    for (int g = 0, any = 0; g < GROUPS; g++) {
        if (!f->in_group[g]) continue;
        put(w, "%s\n  {\"name\": \"%s\", \"from\": %d, \"to\": %d, ", any++ ? "," : "", group_names[g], f->bounds[g][0],
            f->bounds[g][1]);
        put(w, "\"examples\": %d, \"exact_accuracy\": %.6g, ", f->in_group[g], f->group_exact[g]);
        put_list(w, "halts_after", f->halts[g], N, ", ");
        put(w, "\"never\": %.6g}", f->never[g]);
    }
    put(w, "]},\n\"confidence\": [");
    for (int s = 0; s < N; s++) {
        const double *x = a->sure + 4 * s;
        put(w, "%s{\"segment\": %d, \"right\": ", s ? ", " : "", s + 1);
        if (x[1] > 0) put(w, "%.6g", x[0] / x[1]);
        else put(w, "null");
        put(w, ", \"wrong\": ");
        if (x[3] > 0) put(w, "%.6g}", x[2] / x[3]);
        else put(w, "null}");
    }
    put(w, "],\n\"puzzles\": [");
    for (int k = 0; k < a->num_chosen; k++) {
        put(w, "%s\n  {\"example\": %lld, ", k ? "," : "", (long long)a->chosen[k]);
        put_tokens(w, "input", a->inputs + (size_t)k * (size_t)T, T, ", ");
        put_tokens(w, "label", a->labels + (size_t)k * (size_t)T, T, ", \"segments\": [");
        for (int s = 0; s < N; s++) {
            size_t at = (size_t)k * (size_t)N + (size_t)s;
            put(w, "%s\n    {\"q_halt\": %.6g, ", s ? "," : "", a->story_q[2 * at]);
            if (!a->halt_only) put(w, "\"q_continue\": %.6g, ", a->story_q[2 * at + 1]);
            put_tokens(w, "answer", a->stories + at * (size_t)T, T, "}");
        }
        put(w, "]}");
    }
    put(w, "]}\n");
    return hrm_writer_commit(w) == HRM_OK ? TOOL_OK : tool_failed();
}

/* ---- and as pictures ----------------------------------------------------------------------------------------------------- */
enum { LINES = 10 + GROUPS };
typedef struct lines {
    plot_line line[LINES];
    int       count;
} lines;

static plot_line *add_line(lines *l, const char *name, const double *x, const double *y, int n, unsigned colour, int marker,
                           int dashed)
{
    /* x NULL: 1, 2, …; the points are a copy; NULL: no memory */
    plot_line *line = &l->line[l->count];
    line->xy = (double *)data_alloc(n ? 2 * (size_t)n : 1, sizeof *line->xy);
    if (!line->xy) return NULL;
    for (int i = 0; i < n; i++) line->xy[2 * i] = x ? x[i] : i + 1, line->xy[2 * i + 1] = y[i];
    line->n = (size_t)n;
    line->name = name, line->colour = colour, line->marker = marker, line->dashed = dashed;
    l->count++;
    return line;
}

static int draw_charts(const analysis *a, const findings *f, const char *path)
{
    static const unsigned colours[GROUPS] = {CANVAS_GREEN, CANVAS_BLUE, CANVAS_VERMILION};
    lines l;
    plot_chart charts[6];
    canvas c;
    char title[160], subtitle[200];
    double puzzles[CHUNKS], *right[2], *at[2];
    int N = a->segments, ok = 1, n[2] = {0, 0}, marks = N <= 24, few = f->num_residual[0] <= 48, status = TOOL_OK;
    memset(&l, 0, sizeof l);
    memset(charts, 0, sizeof charts);
    memset(&c, 0, sizeof c);
    double *memory = (double *)data_alloc(4 * (size_t)N, sizeof *memory);
    if (!memory) return TOOL_ERROR;
    for (int k = 0; k < f->chunks; k++) puzzles[k] = (double)puzzles_in(a, k + 1);
    for (int k = 0; k < 2; k++) {
        right[k] = memory + 2 * k * N, at[k] = right[k] + N;
        for (int s = 0; s < N; s++) {
            const double *x = a->sure + 4 * s + 2 * k;
            if (x[1] > 0) right[k][n[k]] = x[0] / x[1], at[k][n[k]++] = s + 1;
        }
    }
#define LINE(...) ok = ok && add_line(&l, __VA_ARGS__) != NULL
#define CHART(i, heading, below, is_percent, is_log, lines_of_it) \
    charts[i].lines = l.line + l.count, charts[i].title = heading, charts[i].across = below, charts[i].percent = is_percent, \
    charts[i].log = is_log, charts[i].count = lines_of_it
    CHART(0, "Forward residual", "pass", 0, 1, 2);
    LINE("slow level, z_H", f->pass_number[0], f->residual[0], f->num_residual[0], CANVAS_VERMILION, few, 0);
    LINE("fast level, z_L", f->pass_number[1], f->residual[1], f->num_residual[1], CANVAS_BLUE, 0, 0);
    CHART(1, "Accuracy after each segment (%)", "segment", 1, 0, 2);
    LINE("tokens", NULL, f->accuracy, N, CANVAS_BLUE, 0, 0);
    LINE("whole answers", NULL, f->exact, N, CANVAS_VERMILION, marks, 0);
    CHART(2, "Exact by segments allowed (%)", "segments at most", 1, 0, 2);
    LINE("halting by itself", NULL, f->allowed, N, CANVAS_VERMILION, marks, 0);
    LINE("always all", NULL, f->exact, N, CANVAS_BLUE, 0, 1);
    int groups = 0;
    CHART(3, "Where it halts (% of puzzles)", "segment", 1, 0, 0);
    for (int g = 0; g < GROUPS; g++)
        if (f->in_group[g]) {
            LINE(f->in_group[g] < a->examples ? group_names[g] : "all", NULL, f->halts[g], N, colours[g], marks ? 1 + g : 0, 0);
            groups++;
        }
    charts[3].count = groups;
    CHART(4, "Confidence in an answer (%)", "segment", 1, 0, 2);
    LINE("right ones", at[0], right[0], n[0], CANVAS_GREEN, marks ? 1 : 0, 0);
    LINE("wrong ones", at[1], right[1], n[1], CANVAS_VERMILION, marks ? 2 : 0, 0);
    CHART(5, "Participation ratio of the states", "puzzles", 0, 0, 2);
    LINE("z_H", puzzles, f->dimensions[0], f->chunks, CANVAS_VERMILION, 1, 0);
    LINE("z_L", puzzles, f->dimensions[1], f->chunks, CANVAS_BLUE, 2, 0);
#undef CHART
#undef LINE
    snprintf(title, sizeof title, "Inside %.120s", tool_basename(a->c->checkpoint));
    snprintf(subtitle, sizeof subtitle,
             "%lld puzzles of %.60s, %d segments; participation ratio: z_H %.2f, z_L %.2f of %d; hard: by %s",
             (long long)a->examples, a->c->data_path, N, f->dimensions[0][f->chunks - 1], f->dimensions[1][f->chunks - 1],
             a->D, a->measure);
    if (!ok) status = TOOL_ERROR;
    if (status == TOOL_OK && plot_charts(&c, charts, 6, title, subtitle, canvas_scale_of(path, CANVAS_SCALE)) != HRM_OK)
        status = tool_failed();
    if (status == TOOL_OK && canvas_save(&c, path) != HRM_OK) status = tool_failed();
    canvas_destroy(&c);
    for (int i = 0; i < l.count; i++) free(l.line[i].xy);
    free(memory);
    return status;
}

static int shown_segments(const analysis *a, int shown[SHOWN])
{
    /* all of a few; else the first, ever further apart, and the last */
    int n = 0;
    if (a->segments <= SHOWN - 2) {
        for (int s = 0; s < a->segments; s++) shown[n++] = s;
        return n;
    }
    for (int s = 1; s < a->segments && n < SHOWN - 3; s *= 2) shown[n++] = s - 1;
    shown[n++] = a->segments - 1;
    return n;
}

static picture_panel panel_of(const analysis *a, const int32_t *input, const int32_t *answer, const int32_t *label,
                              const char *title)
{
    /* answer NULL: the input alone; label NULL: `answer` is the truth */
    if (a->task == SCORE_SUDOKU) return picture_panel_make(PICTURE_SUDOKU, a->side, input, answer, label, title);
    if (a->task == SCORE_ARC) return picture_panel_arc(a->side, answer ? answer : input, label, title);
    if (answer && !label) return picture_panel_make(PICTURE_MAZE_TRUE, a->side, input, NULL, answer, title);
    return picture_panel_make(answer ? PICTURE_MAZE_PREDICTED : PICTURE_MAZE, a->side, input, answer, label, title);
}

static int draw_answers(const analysis *a, const char *path)
{
    int shown[SHOWN], n = shown_segments(a, shown), columns = n + 2, status = TOOL_OK;
    size_t T = (size_t)a->T;
    char text[128];
    canvas c;
    memset(&c, 0, sizeof c);
    picture_panel *p = (picture_panel *)data_alloc((size_t)columns * (size_t)a->num_chosen, sizeof *p);
    if (!p) return TOOL_ERROR;
    for (int k = 0; k < a->num_chosen; k++) {
        const int32_t *input = a->inputs + (size_t)k * T, *label = a->labels + (size_t)k * T;
        picture_panel *row = p + k * columns;
        snprintf(text, sizeof text, "puzzle %lld", (long long)a->chosen[k]);
        row[0] = panel_of(a, input, NULL, NULL, text);
        for (int i = 0; i < n; i++) {
            size_t at = (size_t)k * (size_t)a->segments + (size_t)shown[i];
            const int32_t *answer = a->stories + at * T;
            int wrong = 0;
            for (size_t t = 0; t < T; t++) wrong += label[t] >= 0 && label[t] != answer[t];
            snprintf(text, sizeof text, "segment %d", shown[i] + 1);
            row[1 + i] = panel_of(a, input, answer, label, text);
            double sure = 100 / (1 + exp(-a->story_q[2 * at]));
            if (wrong) snprintf(row[1 + i].note, sizeof row->note, "%d wrong, %.0f %% sure", wrong, sure);
            else snprintf(row[1 + i].note, sizeof row->note, "exact, %.0f %% sure", sure);
        }
        row[columns - 1] = panel_of(a, input, label, NULL, a->task == SCORE_MAZE ? "true path" : "truth");
        if (a->task == SCORE_ARC) picture_panels_scale(row, columns, 240);
        for (int i = 0; i < columns && a->task == SCORE_SUDOKU; i++) row[i].cell = 24;
    }
    snprintf(text, sizeof text, "Answers of %.100s as they form", tool_basename(a->c->checkpoint));
    picture_sheet sheet = picture_sheet_make(text, p, columns * a->num_chosen, columns);
    sheet.scale = canvas_scale_of(path, CANVAS_SCALE);
    if (picture_sheet_draw(&c, &sheet) != HRM_OK || canvas_save(&c, path) != HRM_OK) status = tool_failed();
    canvas_destroy(&c);
    free(p);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------------ */
static void print_usage(void)
{
    printf("usage: hrm analyze checkpoint=FILE [data_path=DIR] [KEY=VALUE…]\n\n"
           "Looks inside a model while it solves the puzzles of a data set's test split:\n"
           "the forward residual of each pass (how far it still moves a state), the\n"
           "participation ratio of z_H and z_L, accuracy by segment and by segments\n"
           "allowed, when it halts and how that goes with difficulty, how sure it is of\n"
           "right and wrong answers, and the answers to some puzzles as they form. Writes\n"
           "analysis.json, charts and answers as pictures into NAME_analysis beside the\n"
           "checkpoint, or in checkpoint_path.\n\n");
    config_help(CONFIG_ANALYZE);
}

static int parse_puzzles(analysis *a, const char *text)
{
    while (*text) {
        char *end;
        text += strspn(text, "[], ");
        if (!*text) break;
        long long v = strtoll(text, &end, 10);
        if (end == text || (*end && !strchr("], ", *end)) || v < 0)
            return tool_usage("puzzles is \"%.80s\", expected numbers of examples, from 0", a->c->puzzles);
        if (v >= a->examples)
            return tool_usage("puzzles: there is no example %lld among the first %lld", v, (long long)a->examples);
        if (a->num_chosen == CHOSEN) return tool_usage("puzzles: more than %d", CHOSEN);
        a->chosen[a->num_chosen++] = v;
        text = end;
    }
    return TOOL_OK;
}

static int allocate(analysis *a, findings *f)
{
    size_t n = (size_t)a->rows, T = (size_t)a->T, N = (size_t)a->segments, D = (size_t)a->D, E = (size_t)a->examples,
           K = a->num_chosen ? (size_t)a->num_chosen : 1, P = N * (size_t)a->passes;
#define ROOM(to, count) \
    if (!((to) = data_alloc(count, sizeof *(to)))) return TOOL_ERROR
    ROOM(a->now, STATES * state_size(a));
    ROOM(a->before, STATES * state_size(a));
    ROOM(a->residual, P);
    ROOM(a->moved, (size_t)a->passes);
    ROOM(a->scratch, hrm_linear_scratch(D, D));
    ROOM(a->answers, n * T);
    ROOM(a->q_halt, n);
    ROOM(a->q_continue, n);
    ROOM(a->each, E);
    ROOM(a->correct, E * N);
    ROOM(a->sure, 4 * N);
    ROOM(a->inputs, K * T);
    ROOM(a->labels, K * T);
    ROOM(a->stories, K * N * T);
    ROOM(a->story_q, 2 * K * N);
    ROOM(a->batch.inputs, n * T);
    ROOM(a->batch.labels, n * T);
    ROOM(a->batch.puzzle_identifiers, n);
    ROOM(f->exact, N);
    ROOM(f->accuracy, N);
    ROOM(f->allowed, N);
    ROOM(f->steps, N);
    for (int s = 0; s < STATES; s++) {
        ROOM(f->residual[s], P);
        ROOM(f->pass_number[s], P);
    }
    for (int g = 0; g < GROUPS; g++) ROOM(f->halts[g], N);
#undef ROOM
    return TOOL_OK;
}

static void release(analysis *a, findings *f)
{
    void *all[] = {a->now,     a->before,  a->residual, a->moved,    a->scratch,      a->answers,      a->q_halt,
                   a->q_continue, a->each, a->correct,  a->sure,     a->inputs,       a->labels,       a->stories,
                   a->story_q, f->exact,   f->accuracy, f->allowed,  f->steps,        a->batch.inputs, a->batch.labels,
                   a->batch.puzzle_identifiers};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    for (int s = 0; s < STATES; s++) free(f->residual[s]), free(f->pass_number[s]);
    for (int g = 0; g < GROUPS; g++) free(f->halts[g]);
    for (int k = 0; k < CHUNKS; k++) free(a->products[k]), free(a->sums[k]);
    hrm_run_destroy(a->run);
    hrm_model_destroy(a->model);
    if (a->data) hrm_dataset_close(a->data);
}

static int output_path(char path[TOOL_PATH], const config *c, const char *name, const char *ending)
{
    /* NAME_analysis/name.ending beside the checkpoint or in checkpoint_path; the folder is made */
    char dir[TOOL_PATH], folder[TOOL_PATH], own[TOOL_PATH], file[64];
    snprintf(own, sizeof own - 16, "%s", tool_basename(c->checkpoint));
    char *dot = strrchr(own, '.');
    if (dot && dot > own) *dot = 0;
    strcat(own, "_analysis");
    if (*c->checkpoint_path) snprintf(dir, sizeof dir, "%s", c->checkpoint_path);
    else if (!tool_directory(dir, c->checkpoint)) return tool_error("%s: the path is too long", c->checkpoint);
    snprintf(file, sizeof file, "%s.%s", name, ending);
    if (!tool_join(folder, dir, own) || !tool_join(path, folder, file)) return tool_error("%s: the path is too long", dir);
    return tool_make_directories(folder) == 0 ? TOOL_OK : TOOL_ERROR;
}

static int open_model(analysis *a, config *c)
{
    hrm_model_desc stated;
    hrm_sources sources;
    hrm_run_desc desc;
    int status = config_checkpoint(c, c->checkpoint, &stated, &sources);
    if (status != TOOL_OK) return status;
    if (!*c->data_path)
        return tool_usage("analyze: data_path=DIR is missing; no all_config.yaml beside %s names it", c->checkpoint);
    if (hrm_dataset_open(&a->data, c->data_path, "test", NULL) != HRM_OK) return tool_failed();
    status = evaluation_check_data(&stated, c->checkpoint, a->data, c->data_path);
    if (status != TOOL_OK) return status;
    const hrm_dataset_info *info = hrm_dataset_describe(a->data);
    if (c->max_steps) stated.halt_max_steps = (int)c->max_steps;
    status = config_load_model(c, &a->model, c->checkpoint, &stated, &sources, info->seq_len);
    if (status != TOOL_OK) return status;
    const hrm_model_desc *d = hrm_model_describe(a->model);
    a->task = grid_is_own(c->data_path) ? SCORE_NONE : score_task_detect(info->vocab_size, info->seq_len);
    a->side = score_side(info->seq_len);
    a->segments = d->halt_max_steps;
    a->passes = d->H_cycles * (d->L_cycles + 1);
    a->T = info->seq_len;
    a->D = d->hidden_size;
    int P = d->no_puzzle_emb ? 0 : d->puzzle_emb_len ? d->puzzle_emb_len : (d->puzzle_emb_ndim + d->hidden_size - 1) / a->D;
    a->S = a->T + P;
    a->halt_only = d->no_ACT_continue;
    a->examples = c->eval_examples ? c->eval_examples : 256;
    if (a->examples > info->total_examples) a->examples = info->total_examples;
    a->rows = evaluation_batch_size(c);
    if (a->rows > a->examples) a->rows = (int)a->examples;
    a->batch.rows = a->rows;
    memset(&desc, 0, sizeof desc);
    desc.rows = a->rows;
    status = parse_puzzles(a, c->puzzles);
    return status != TOOL_OK || hrm_run_create(&a->run, a->model, &desc) == HRM_OK ? status : tool_failed();
}

static void tell(const analysis *a, const findings *f, const char *path)
{
    int last = a->segments - 1;
    tool_note("participation ratio: z_H %.2f, z_L %.2f of %d dimensions", f->dimensions[0][f->chunks - 1],
              f->dimensions[1][f->chunks - 1], a->D);
    tool_note("exact accuracy: %.2f %% in full, %.2f %% halting by itself after %.2f of %d segments", 100 * f->exact[last],
              100 * f->allowed[last], f->steps[last], a->segments);
    tool_note("saved in %s", path);
}

static int analyze(analysis *a, findings *f, config *c)
{
    char json[TOOL_PATH], charts[TOOL_PATH], answers[TOOL_PATH], folder[TOOL_PATH];
    const char *ending = c->pictures ? "svg" : "png";
    int32_t *sorted = NULL;
    if (!*c->checkpoint) return tool_usage("analyze: checkpoint=FILE is missing");
    int status = open_model(a, c);
    if (status == TOOL_OK) status = allocate(a, f);
    if (status == TOOL_OK) status = output_path(json, c, "analysis", "json");
    if (status == TOOL_OK) status = output_path(charts, c, "charts", ending);
    if (status == TOOL_OK) status = output_path(answers, c, "answers", ending);
    if (status == TOOL_OK && !(sorted = (int32_t *)data_alloc((size_t)a->examples, sizeof *sorted))) status = TOOL_ERROR;
    if (status != TOOL_OK) return status;
    tool_catch_signals("hrm: finishing the batch; again to stop at once\n");
    status = measure(a);
    if (status == TOOL_OK) {
        settle_difficulty(a);
        find(a, f);
        group_examples(a, f, sorted);
        size_t N = (size_t)a->segments;
        if (!all_finite(a->residual, N * (size_t)a->passes) || !all_finite(a->sure, 4 * N))
            status = tool_error("%s: states or q that are not finite: its weights are too large to compute with",
                                a->c->checkpoint);
        else status = write_json(a, f, json);
    }
    free(sorted);
    if (status == TOOL_OK) status = draw_charts(a, f, charts);
    int drawn = a->task != SCORE_NONE && a->num_chosen > 0;
    if (status == TOOL_OK && drawn) status = draw_answers(a, answers);
    if (status != TOOL_OK) return status;
    if (!drawn && a->num_chosen) tool_note("answers to such puzzles are not drawn; analysis.json has them");
    tell(a, f, tool_directory(folder, json));
    printf("{\"participation_ratio\": {\"z_H\": %.10g, \"z_L\": %.10g}, \"exact_accuracy\": %.10g, \"segments\": %.10g}\n",
           f->dimensions[0][f->chunks - 1], f->dimensions[1][f->chunks - 1], f->allowed[a->segments - 1],
           f->steps[a->segments - 1]);
    return TOOL_OK;
}

static int run(config *c)
{
    analysis a;
    findings f;
    memset(&a, 0, sizeof a);
    memset(&f, 0, sizeof f);
    a.c = c;
    int status = analyze(&a, &f, c);
    release(&a, &f);
    return status;
}

int command_analyze(int argc, char **argv) { return config_command(CONFIG_ANALYZE, argc, argv, print_usage, run); }
