/* votes.h - more computation at test time, without labels: symmetric copies of a puzzle solved side by side, and the answer
 * that they settle on. hrm.h comes first.
 *
 *   vote_copy copies[8];                     votes_make(copies, 8, SCORE_SUDOKU, 9, 81)
 *   vote_turn(&copies[k], inputs, puzzle);   the k-th copy; the first is the puzzle itself
 *   vote_back(&copies[k], answer, back);     and its answer as one of the puzzle
 *   winner = votes_count(answers, results, n, cells, VOTE_MAJORITY, halts, NULL);
 *
 * A copy takes cell i from cell from[i] of the puzzle, and calls a token t token[t] there. Copies are the same for all puzzles.
 */
#ifndef HRM_TOOLS_VOTES_H
#define HRM_TOOLS_VOTES_H

#include "data.h"
#include "score.h"

#include <string.h>

typedef enum vote_rule {
    VOTE_MAJORITY, /* what most copies say; of as many, the one with the best q_halt */
    VOTE_FIRST,    /* the first copy that says it is right; if none does, the best q_halt */
    VOTE_BEST_Q    /* the best q_halt */
} vote_rule;
#define VOTE_RULES "majority|first|best_q"
enum { VOTES_MOST = 1024, VOTE_TOKENS = SUDOKU_MAX_SIZE + 2 };

typedef struct vote_copy {
    int32_t from[MAZE_MAX_CELLS];
    int32_t token[VOTE_TOKENS], back[VOTE_TOKENS];
    int     cells, same; /* same: the puzzle itself, of any length */
} vote_copy;

/* How many symmetric copies there are to have: of Sudoku more than anybody wants; 1: none but the puzzle itself. */
static inline int votes_most(score_task task) { return task == SCORE_SUDOKU ? VOTES_MOST : task == SCORE_MAZE ? 8 : 1; }

/* copies [n] of boards of `cells` cells, side x side where the task has symmetries; past votes_most(task) they repeat. */
static inline void votes_make(vote_copy *copies, int n, score_task task, int side, int cells)
{
    for (int k = 0; k < n; k++) {
        vote_copy *v = &copies[k];
        uint8_t cell[MAZE_MAX_CELLS], turned[MAZE_MAX_CELLS];
        v->cells = cells;
        v->same = k == 0 || votes_most(task) == 1;
        for (int t = 0; t < VOTE_TOKENS; t++) v->token[t] = t;
        if (v->same) continue;
        if (task == SCORE_SUDOKU) {
            sudoku_shape shape;
            uint8_t digit[SUDOKU_MAX_SIZE + 1];
            hrm_random r = hrm_random_make(0, (uint64_t)k);
            (void)sudoku_shape_make(&shape, side);
            sudoku_symmetry(&shape, &r, cell, digit);
            for (int d = 1; d <= side; d++) v->token[d + 1] = digit[d] + 1;
            for (int i = 0; i < v->cells; i++) v->from[i] = cell[i];
        } else { /* byte by byte: a cell's number may have two */
            for (int high = 0; high < 2; high++) {
                for (int i = 0; i < v->cells; i++) cell[i] = (uint8_t)(i >> 8 * high);
                data_dihedral(turned, cell, side, side, k % 8);
                for (int i = 0; i < v->cells; i++) v->from[i] = high ? v->from[i] | turned[i] << 8 : turned[i];
            }
        }
        for (int t = 0; t < VOTE_TOKENS; t++) v->back[v->token[t]] = t;
    }
}

static inline void vote_turn(const vote_copy *v, const int32_t *puzzle, int32_t *copy)
{
    if (v->same) memcpy(copy, puzzle, (size_t)v->cells * sizeof *copy);
    for (int i = 0; i < v->cells && !v->same; i++) {
        int32_t t = puzzle[v->from[i]];
        copy[i] = t >= 0 && t < VOTE_TOKENS ? v->token[t] : t;
    }
}

static inline void vote_back(const vote_copy *v, const int32_t *answer, int32_t *back)
{
    if (v->same) memcpy(back, answer, (size_t)v->cells * sizeof *back);
    for (int i = 0; i < v->cells && !v->same; i++) {
        int32_t t = answer[i];
        back[v->from[i]] = t >= 0 && t < VOTE_TOKENS ? v->back[t] : t;
    }
}

/* answers [n,cells], mapped back, and what was said of them [n] -> the copy whose answer it is; *agree (or NULL): how many
 * copies say the same. */
static inline int votes_count(const int32_t *answers, const hrm_solve_result *results, int n, int cells, vote_rule rule,
                              int *agree)
{
    size_t T = (size_t)cells, bytes = T * sizeof *answers;
    int best = 0, most = 0, first = -1;
    for (int i = 0; i < n; i++) {
        if (results[i].halted && first < 0) first = i;
        int same = 0;
        for (int k = 0; k < n; k++) same += memcmp(answers + (size_t)i * T, answers + (size_t)k * T, bytes) == 0;
        int better = rule == VOTE_MAJORITY && same != most ? same > most : results[i].q_halt > results[best].q_halt;
        if (i == 0 || better) best = i, most = same;
    }
    if (rule == VOTE_FIRST && first >= 0) best = first;
    if (agree) {
        *agree = 0;
        for (int k = 0; k < n; k++) *agree += memcmp(answers + (size_t)best * T, answers + (size_t)k * T, bytes) == 0;
    }
    return best;
}

#endif
