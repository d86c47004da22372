/* hrm.h in a browser's worker: worker.js gives it a checkpoint and puzzles, and hears of every segment. */
#define HRM_IMPLEMENTATION
#include "hrm.h"

#include <emscripten.h>

static hrm_model *model;

EMSCRIPTEN_KEEPALIVE const char *web_error(void) { return hrm_error_message(); }
EMSCRIPTEN_KEEPALIVE int web_cells(void) { return hrm_model_describe(model)->seq_len; }
EMSCRIPTEN_KEEPALIVE int web_max_steps(void) { return hrm_model_describe(model)->halt_max_steps; }
EMSCRIPTEN_KEEPALIVE int web_halt_only(void) { return hrm_model_describe(model)->no_ACT_continue; }

/* The weights as bytes, or, int8 = 0, in float32. */
EMSCRIPTEN_KEEPALIVE hrm_status web_load(const char *path, int threads, int int8)
{
    hrm_model_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.num_threads = threads;
    desc.forward_dtype = int8 ? HRM_FORWARD_INT8 : HRM_FORWARD_FLOAT32;
    return hrm_model_load(&model, path, &desc);
}

/* worker.js copies the answer out of the memory before it returns. */
EM_JS(void, web_segment, (int segment, const int32_t *answer, float q_halt, float q_continue, int halted),
      { Module.onSegment(segment, answer, q_halt, q_continue, halted); });

static void on_segment(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                       const hrm_solve_result *results)
{
    (void)user, (void)num_rows, (void)rows; /* there is one row */
    web_segment(segment, answers, results[0].q_halt, results[0].q_continue, results[0].halted);
}

/* tokens, answer [web_cells()] */
EMSCRIPTEN_KEEPALIVE hrm_status web_solve(const int32_t *tokens, int32_t *answer, int no_halting)
{
    hrm_solve_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.no_halting = no_halting;
    desc.on_segment = on_segment;
    return hrm_solve(model, tokens, answer, &desc);
}
