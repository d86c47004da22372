/* What `hrm render --steps` draws: an answer segment by segment, from a model. */
#ifndef HRM_RENDER_H
#define HRM_RENDER_H
#include "score.h"
#include "tool.h"

enum { RENDER_SEGMENTS = 33 }; /* that are kept: the first ones and the last */
typedef struct render_run {
    /* asked for */
    char         **keys; /* [num_keys] KEY=VALUE as `hrm solve` takes them */
    int            num_keys;
    score_task     task; /* SCORE_NONE: grids of one's own */
    int            vocab_size, cells; /* vocab_size 0: the model's */
    const int32_t *tokens;            /* [cells] */
    int32_t        identifier;
    /* found */
    char model[TOOL_PATH];
    int  halt_only, count;            /* no q_continue; segments that were kept */
    int  segments[RENDER_SEGMENTS];   /* their numbers, from 1 */
    hrm_solve_result results[RENDER_SEGMENTS];
    int32_t *answers;                 /* [count][2][cells] of each, and of the segment before it; free() it */
} render_run;
int render_solve(render_run *run); /* an exit status */

typedef struct render_answers { /* `hrm render --answers` */
    const char *data, *answers, *output, *name; /* name: of a task, or NULL: from number `index` on */
    long        index, count;
    int         scale;
} render_answers;
int render_answers_draw(const render_answers *o); /* an exit status */

#endif
