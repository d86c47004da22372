/* What the tasks of `hrm solve` share. */
#ifndef HRM_SOLVE_H
#define HRM_SOLVE_H

#include "eval.h"

/* Puzzles of `cells` tokens that are solved at once. */
typedef struct solve_rows {
    int        count, cells, side;
    score_task task; /* whose symmetries the copies of a vote are */
    const int32_t *tokens, *identifiers; /* [count * cells], [count] */
    int32_t          *answers;           /* [count * cells] */
    hrm_solve_result *results;           /* [count] of the copies whose answers were taken */
    int              *agree;             /* [count] copies that say the same */
    void (*on_segment)(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                       const hrm_solve_result *results); /* of the copies, see hrm_solve_desc */
    void *user;
} solve_rows;
int solve_rows_run(const config *c, hrm_model *model, const solve_rows *rows); /* an exit status */
int solve_rows_most(const config *c, int cells);                               /* at once, within reasonable memory */

/* "q_halt 1.234, q_continue -2.345" */
const char *solve_q_text(char text[64], const hrm_solve_result *r, int halt_only, int digits);
/* The end of a line of --json, after its "answer": valid is 1, 0 or -1, not known. */
void solve_json_end(const config *c, int valid, const char *verdict, const hrm_solve_result *r, int agree, int halt_only);
void solve_json_text(const char *text, int quotes); /* escaped, in quotes or without */

/* hrm solve grid: `text` is what `file` holds. */
int solve_grid(config *c, char *text, size_t length, const char *file);

#endif
