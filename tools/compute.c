/* hrm eval compute=true: what more copies of a puzzle and more segments of each bring, as a table, a file and a picture. */
#include "eval.h"

#include "canvas.h"
#include "devices.h"
#include "plot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPIES = 12, LENGTHS = 3 }; /* at most: 1, 2, 4 … copies; a quarter, a half, all of the segments */
typedef struct point {
    int    votes, max_steps;
    double spent; /* segments of all copies of a puzzle */
    double exact, any, seconds;
} point;
typedef struct table {
    int     votes[COPIES], lengths[LENGTHS], num_votes, num_lengths;
    double  flop; /* of one copy's segment */
    int64_t examples;
    point   at[COPIES][LENGTHS];
} table;

static void choose(table *t, int votes, int max_steps)
{
    for (int n = 1; n < votes && t->num_votes < COPIES - 1; n *= 2) t->votes[t->num_votes++] = n;
    t->votes[t->num_votes++] = votes;
    for (int part = 4; part >= 1; part /= 2) {
        int n = max_steps / part;
        if (n > 0 && (!t->num_lengths || n > t->lengths[t->num_lengths - 1])) t->lengths[t->num_lengths++] = n;
    }
}

static int measure(table *t, const evaluation *asked, hrm_model *model, const hrm_dataset *data)
{
    char title[80];
    for (int i = 0; i < t->num_votes; i++)
        for (int k = 0; k < t->num_lengths; k++) {
            point *p = &t->at[i][k];
            evaluation e = *asked;
            snprintf(title, sizeof title, "%d cop%s, %d segment%s", t->votes[i], t->votes[i] == 1 ? "y" : "ies", t->lengths[k],
                     t->lengths[k] == 1 ? "" : "s");
            e.title = title;
            e.votes = t->votes[i];
            e.max_steps = t->lengths[k];
            double start = tool_seconds();
            int status = evaluation_run(&e, model, data);
            if (status != TOOL_OK) return status;
            p->seconds = tool_seconds() - start;
            p->votes = e.votes;
            p->max_steps = e.max_steps;
            p->spent = e.metrics.steps * e.votes;
            p->exact = e.metrics.exact_accuracy;
            p->any = e.voted ? e.any : p->exact;
        }
    return TOOL_OK;
}

static void print_table(const table *t)
{
    fprintf(stderr, "exact accuracy of %lld puzzles; a segment of one copy is %.3g GFLOP\n%-8s", (long long)t->examples,
            t->flop * 1e-9, "segments");
    for (int i = 0; i < t->num_votes; i++) fprintf(stderr, " %4d %s", t->votes[i], t->votes[i] == 1 ? "copy  " : "copies");
    for (int k = 0; k < t->num_lengths; k++) {
        fprintf(stderr, "\n%8d", t->lengths[k]);
        for (int i = 0; i < t->num_votes; i++) fprintf(stderr, " %9.2f %%", 100 * t->at[i][k].exact);
    }
    fprintf(stderr, "\n");
}

static void print_json(const table *t)
{
    printf("{\"examples\": %lld, \"flop_per_segment\": %.10g, \"compute\": [", (long long)t->examples, t->flop);
    for (int i = 0; i < t->num_votes; i++)
        for (int k = 0; k < t->num_lengths; k++) {
            const point *p = &t->at[i][k];
            printf("%s{\"votes\": %d, \"halt_max_steps\": %d, \"segments\": %.10g, \"exact_accuracy\": %.10g, "
                   "\"any_copy_exact_accuracy\": %.10g, \"seconds\": %.4g}",
                   i + k ? ", " : "", t->votes[i], t->lengths[k], p->spent, p->exact, p->any, p->seconds);
        }
    printf("]}\n");
}

static int draw(const table *t, const config *c, const char *path)
{
    static const unsigned colours[6] = {CANVAS_BLUE, CANVAS_GREEN, CANVAS_ORANGE, CANVAS_VERMILION, CANVAS_PURPLE, CANVAS_INK};
    plot_line lines[COPIES + LENGTHS];
    plot_chart charts[2];
    canvas image;
    double by_votes[COPIES][2 * LENGTHS], by_length[LENGTHS][2 * COPIES];
    char names[COPIES + LENGTHS][24], title[160], subtitle[200];
    memset(lines, 0, sizeof lines);
    memset(charts, 0, sizeof charts);
    memset(&image, 0, sizeof image);
    for (int i = 0; i < t->num_votes; i++)
        for (int k = 0; k < t->num_lengths; k++) {
            by_votes[i][2 * k] = t->at[i][k].spent;
            by_length[k][2 * i] = t->votes[i];
            by_votes[i][2 * k + 1] = by_length[k][2 * i + 1] = t->at[i][k].exact;
        }
    for (int i = 0; i < t->num_votes + t->num_lengths; i++) {
        int k = i - t->num_votes, n = k < 0 ? t->votes[i] : t->lengths[k];
        snprintf(names[i], sizeof names[i], "%d%s%s", n, i == 0 && n == 1 ? " copy" : k == 0 ? " segment" : "",
                 k == 0 ? TOOL_S(n) : "");
        lines[i].name = names[i];
        lines[i].xy = k < 0 ? by_votes[i] : by_length[k];
        lines[i].n = (size_t)(k < 0 ? t->num_lengths : t->num_votes);
        lines[i].colour = colours[(k < 0 ? i : k) % 6];
        lines[i].marker = 1 + (k < 0 ? i : k) % 3;
    }
    charts[0].title = charts[1].title = "Exact accuracy (%)";
    charts[0].across = "segments a puzzle, of all its copies", charts[1].across = "copies of a puzzle";
    charts[0].lines = lines, charts[0].count = t->num_votes;
    charts[1].lines = lines + t->num_votes, charts[1].count = t->num_lengths;
    for (int i = 0; i < 2; i++) charts[i].percent = charts[i].log_across = 1;
    snprintf(title, sizeof title, "%.60s: accuracy against compute", tool_basename(c->checkpoint));
    snprintf(subtitle, sizeof subtitle, "%lld puzzles; a segment of one copy is %.3g GFLOP", (long long)t->examples,
             t->flop * 1e-9);
    int status = TOOL_OK;
    if (plot_charts(&image, charts, 2, title, subtitle, canvas_scale_of(path, CANVAS_SCALE)) != HRM_OK ||
        canvas_save(&image, path) != HRM_OK)
        status = tool_failed();
    canvas_destroy(&image);
    return status;
}

int evaluation_compute(const evaluation *asked, const config *c, hrm_model *model, const hrm_dataset *data,
                       const char *picture)
{
    table t;
    memset(&t, 0, sizeof t);
    t.flop = config_work_of(hrm_model_describe(model), 0).forward;
    t.examples = hrm_dataset_describe(data)->total_examples;
    if (asked->max_examples && asked->max_examples < t.examples) t.examples = asked->max_examples;
    choose(&t, asked->votes, asked->max_steps);
    int status = measure(&t, asked, model, data);
    if (status >= 0) status = devices_agree(status);
    if (status != TOOL_OK || devices_rank()) return status;
    print_table(&t);
    print_json(&t);
    status = draw(&t, c, picture);
    if (status == TOOL_OK) tool_note("drawn in %s", picture);
    return status;
}
