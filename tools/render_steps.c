/* A board solved for `hrm render --steps`: see render.h. */
#include "config.h"
#include "render.h"

#include <stdlib.h>
#include <string.h>

static void on_segment(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                       const hrm_solve_result *results)
{
    render_run *run = (render_run *)user;
    size_t T = (size_t)run->cells;
    if (num_rows < 1) return;
    (void)rows;
    /* one more place than is kept holds the segment before, whichever is overwritten */
    int at = run->count < RENDER_SEGMENTS ? run->count++ : RENDER_SEGMENTS - 1;
    int32_t *to = run->answers + (size_t)at * 2 * T, *last = run->answers + (size_t)RENDER_SEGMENTS * 2 * T;
    memcpy(to, answers, T * sizeof *to);
    memcpy(to + T, segment > 1 ? last : run->tokens, T * sizeof *to);
    memcpy(last, answers, T * sizeof *to);
    run->segments[at] = segment;
    run->results[at] = results[0];
}

static int load(config *c, render_run *run, hrm_model **model)
{
    hrm_model_desc stated;
    hrm_sources sources;
    int status = TOOL_OK;
    if (c->votes > 1) return tool_usage("render: --steps shows one copy of a puzzle; votes is for solve and eval");
    if (!*c->checkpoint && (run->task != SCORE_SUDOKU || run->cells != 81))
        return tool_usage("render: checkpoint=FILE is missing; a model comes with hrm for 9 x 9 Sudokus alone");
    if (!*c->checkpoint) status = tool_find_model(c->checkpoint, "sudoku.safetensors");
    if (status == TOOL_OK) status = config_checkpoint(c, c->checkpoint, &stated, &sources);
    if (status != TOOL_OK) return status;
    if (run->vocab_size && stated.vocab_size != run->vocab_size)
        return tool_error("%s: vocab_size is %d, but the board has %d", c->checkpoint, stated.vocab_size, run->vocab_size);
    if (stated.seq_len && stated.seq_len != run->cells)
        return tool_error("%s: seq_len is %d, but the board has %d cells", c->checkpoint, stated.seq_len, run->cells);
    return config_load_model(c, model, c->checkpoint, &stated, &sources, run->cells);
}

static int solve(const config *c, render_run *run, hrm_model *model)
{
    hrm_solve_desc desc;
    hrm_solve_result result;
    size_t T = (size_t)run->cells;
    int32_t *answer = (int32_t *)malloc(T * sizeof *answer);
    run->answers = (int32_t *)calloc((2 * RENDER_SEGMENTS + 1) * T, sizeof *run->answers);
    memset(&desc, 0, sizeof desc);
    desc.puzzle_identifiers = &run->identifier;
    desc.max_steps = (int)c->max_steps;
    desc.no_halting = c->halt == 0;
    desc.start_noise = (float)c->start_noise;
    desc.noise_seed = (uint64_t)c->noise_seed;
    desc.results = &result;
    desc.on_segment = on_segment;
    desc.user = run;
    run->halt_only = hrm_model_describe(model)->no_ACT_continue;
    int status = answer && run->answers ? TOOL_OK : tool_error("no memory for the answers of %d cells", run->cells);
    if (status == TOOL_OK && hrm_solve(model, run->tokens, answer, &desc) != HRM_OK) status = tool_failed();
    free(answer);
    return status;
}

int render_solve(render_run *run)
{
    static char name[] = "solve";
    hrm_model *model = NULL;
    char **arguments = (char **)calloc((size_t)run->num_keys + 2, sizeof *arguments);
    config *c = arguments ? config_create(CONFIG_SOLVE) : NULL;
    int status = c ? TOOL_OK : TOOL_ERROR;
    if (!arguments) tool_say("no memory for the arguments");
    if (c) {
        arguments[0] = name;
        for (int i = 0; i < run->num_keys; i++) arguments[i + 1] = run->keys[i];
        status = config_parse(c, run->num_keys + 1, arguments);
    }
    if (status == TOOL_OK) status = load(c, run, &model);
    if (status == TOOL_OK) status = solve(c, run, model);
    if (c) memcpy(run->model, c->checkpoint, sizeof run->model);
    hrm_model_destroy(model);
    config_free(c);
    free(arguments);
    return status;
}
