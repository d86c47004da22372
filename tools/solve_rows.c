/* Puzzles solved side by side, with the copies of a vote, and what is told of them: see solve.h. */
#include "solve.h"

#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int solve_rows_most(const config *c, int cells)
{
    int most = 32768 / (cells > 0 ? cells : 1) / (int)c->votes;
    return most < 1 ? 1 : most > 64 ? 64 : most;
}

typedef struct watched { progress bar; int all, most; } watched;

static void watch(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                  const hrm_solve_result *results)
{
    /* at a terminal, where someone waits */
    watched *w = (watched *)user;
    char text[64];
    (void)rows, (void)answers, (void)results;
    snprintf(text, sizeof text, "segment %d, at most %d", segment, w->most);
    progress_update(&w->bar, (double)(w->all - num_rows), text);
}

static int run_copies(const config *c, hrm_model *model, const solve_rows *rows, vote_copy *symmetries, int32_t *puzzles,
                      int32_t *answers, int32_t *ids, hrm_solve_result *results)
{
    /* puzzle i's copies are rows i * votes … */
    hrm_solve_desc desc;
    int n = (int)c->votes, all = rows->count * n;
    size_t T = (size_t)rows->cells;
    votes_make(symmetries, n, c->symmetric ? rows->task : SCORE_NONE, rows->side, rows->cells);
    for (int i = 0; i < all; i++) {
        vote_turn(&symmetries[i % n], rows->tokens + (size_t)(i / n) * T, puzzles + (size_t)i * T);
        ids[i] = rows->identifiers[i / n];
    }
    memset(&desc, 0, sizeof desc);
    desc.rows = all;
    desc.copies = n;
    desc.start_noise = (float)c->start_noise;
    desc.noise_seed = (uint64_t)c->noise_seed;
    desc.puzzle_identifiers = ids;
    desc.max_steps = (int)c->max_steps;
    desc.no_halting = c->halt == 0;
    desc.results = results;
    desc.on_segment = rows->on_segment;
    desc.user = rows->user;
    watched w;
    w.all = all;
    w.most = c->max_steps ? (int)c->max_steps : hrm_model_describe(model)->halt_max_steps;
    w.bar = progress_begin("solve", (double)all);
    if (!desc.on_segment && w.bar.terminal) desc.on_segment = watch, desc.user = &w;
    hrm_status status = hrm_solve(model, puzzles, answers, &desc);
    if (desc.on_segment == watch) progress_clear(&w.bar);
    if (status != HRM_OK) return tool_failed();
    for (int i = 0; i < all; i++) vote_back(&symmetries[i % n], answers + (size_t)i * T, puzzles + (size_t)i * T);
    for (int i = 0; i < rows->count; i++) {
        size_t at = (size_t)i * (size_t)n;
        int winner = votes_count(puzzles + at * T, results + at, n, rows->cells, (vote_rule)c->vote, &rows->agree[i]);
        memcpy(rows->answers + (size_t)i * T, puzzles + (at + (size_t)winner) * T, T * sizeof *puzzles);
        rows->results[i] = results[at + (size_t)winner];
    }
    return TOOL_OK;
}

int solve_rows_run(const config *c, hrm_model *model, const solve_rows *rows)
{
    size_t n = (size_t)c->votes, all = n * (size_t)rows->count, T = (size_t)rows->cells;
    vote_copy *symmetries = (vote_copy *)calloc(n, sizeof *symmetries);
    int32_t *puzzles = (int32_t *)calloc(all * T, sizeof *puzzles), *answers = (int32_t *)calloc(all * T, sizeof *answers),
            *ids = (int32_t *)calloc(all, sizeof *ids);
    hrm_solve_result *results = (hrm_solve_result *)calloc(all, sizeof *results);
    int status = symmetries && puzzles && answers && ids && results
                     ? run_copies(c, model, rows, symmetries, puzzles, answers, ids, results)
                     : tool_error("no memory for %zu copies of %d puzzles", n, rows->count);
    free(symmetries);
    free(puzzles);
    free(answers);
    free(ids);
    free(results);
    return status;
}

const char *solve_q_text(char text[64], const hrm_solve_result *r, int halt_only, int digits)
{
    if (halt_only) snprintf(text, 64, "q_halt %.*f", digits, (double)r->q_halt);
    else snprintf(text, 64, "q_halt %.*f, q_continue %.*f", digits, (double)r->q_halt, digits, (double)r->q_continue);
    return text;
}

void solve_json_text(const char *text, int quotes)
{
    if (quotes) putchar('"');
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 32) printf("\\u%04x", (unsigned)(unsigned char)*c);
        else printf("%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    }
    if (quotes) putchar('"');
}

static void json_real(const char *key, float x)
{
    if (x - x == 0) printf(", \"%s\": %.6g", key, (double)x);
    else printf(", \"%s\": null", key);
}

void solve_json_end(const config *c, int valid, const char *verdict, const hrm_solve_result *r, int agree, int halt_only)
{
    printf(", \"valid\": %s, \"verdict\": ", valid < 0 ? "null" : valid ? "true" : "false");
    solve_json_text(verdict, 1);
    printf(", \"segments\": %d, \"halted\": %s", r->segments, r->halted ? "true" : "false");
    json_real("q_halt", r->q_halt);
    if (!halt_only) json_real("q_continue", r->q_continue);
    if (c->votes > 1) printf(", \"votes\": %d, \"agree\": %d", (int)c->votes, agree);
    printf("}\n");
}
