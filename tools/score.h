/* score.h - judging answers beyond exact match: a Sudoku may be right without being asked for its label, a maze may have
 * several shortest paths. hrm.h comes first.
 *
 *   score s = score_make(info->vocab_size, info->seq_len);      which task it is follows from the shapes
 *   score_add(&s, inputs, answer);                              for every example
 *   score_text(&s, text, sizeof text);                          "valid 97.50 %, optimal 95.00 %", "" for other tasks
 *
 * Tokens are those of the data sets: Sudoku 1 blank, 2.. the digits; mazes 1 wall, 2 floor, 3 start, 4 goal, 5 path.
 */
#ifndef HRM_TOOLS_SCORE_H
#define HRM_TOOLS_SCORE_H

#include "puzzles.h"

#include <stdio.h>

typedef enum score_task { SCORE_NONE, SCORE_SUDOKU, SCORE_MAZE, SCORE_ARC } score_task;
enum { SCORE_WALL = 1, SCORE_FLOOR, SCORE_START, SCORE_GOAL, SCORE_PATH };

static inline int score_side(int seq_len)
{
    /* of a square board; 0 when it is none */
    int side = 0;
    while (side * side < seq_len && side < 46340) side++;
    return seq_len > 0 && side * side == seq_len ? side : 0;
}

/* SCORE_NONE when the shapes are those of no known task. */
static inline score_task score_task_detect(int vocab_size, int seq_len)
{
    int side = score_side(seq_len);
    if ((side == 4 || side == 6 || side == 9) && vocab_size == side + 2) return SCORE_SUDOKU;
    if (side >= 3 && side <= 30 && vocab_size == 12) return SCORE_ARC;
    if (side >= 2 && side <= MAZE_MAX_SIZE && vocab_size == 6) return SCORE_MAZE;
    return SCORE_NONE;
}

static inline const char *score_task_name(score_task task)
{
    return task == SCORE_SUDOKU ? "sudoku" : task == SCORE_MAZE ? "maze" : task == SCORE_ARC ? "arc" : "none";
}

/* puzzle, answer [size * size] -> 1 when the board is full, keeps the givens, and breaks no rule */
static inline int score_sudoku(const int32_t *puzzle, const int32_t *answer, int size)
{
    sudoku_shape shape;
    uint8_t given[SUDOKU_MAX_CELLS], board[SUDOKU_MAX_CELLS];
    if (!sudoku_shape_make(&shape, size)) return 0;
    for (int c = 0; c < shape.cells; c++) {
        if (answer[c] < 2 || answer[c] > size + 1) return 0;
        board[c] = (uint8_t)(answer[c] - 1);
        given[c] = (uint8_t)(puzzle[c] >= 2 && puzzle[c] <= size + 1 ? puzzle[c] - 1 : 0);
    }
    return sudoku_is_solution(&shape, given, board);
}

static inline int score__neighbours(int cell, int side, int next[4])
{
    int n = 0;
    if (cell >= side) next[n++] = cell - side;
    if (cell % side > 0) next[n++] = cell - 1;
    if (cell % side < side - 1) next[n++] = cell + 1;
    if (cell < side * (side - 1)) next[n++] = cell + side;
    return n;
}

static inline int score__walk(const char *path, int side, int start, int goal, int cells, int32_t *order, int32_t *turn,
                              int32_t *visited)
{
    /* Can the path's `cells` cells (all but '#') be walked from start to goal, each once? Where a path touches itself the
     * way goes on in more than one direction; each is tried, 64 steps a cell altogether, which no real path comes near. */
    int n = 1, next[4];
    long patience = 64L * cells + 64;
    memset(visited, 0, (size_t)(side * side) * sizeof *visited);
    order[0] = start, turn[0] = 0, visited[start] = 1;
    while (n > 0 && patience-- > 0) {
        int cell = order[n - 1];
        if (cell == goal && n == cells) return 1;
        int count = cell == goal ? 0 : score__neighbours(cell, side, next), found = -1;
        while (turn[n - 1] < count && found < 0) {
            int c = next[turn[n - 1]++];
            if (path[c] != '#' && !visited[c]) found = c;
        }
        if (found < 0) {
            visited[cell] = 0;
            n--;
        } else {
            order[n] = found, turn[n] = 0, visited[found] = 1;
            n++;
        }
    }
    return 0;
}

/* maze, answer [side * side] -> 1 when the answer keeps the maze and its path cells, with start and goal, can be walked from
 * one to the other, every cell once. *optimal (or NULL): 1 when, besides, no path is shorter. */
static inline int score_maze(const int32_t *maze, const int32_t *answer, int side, int *optimal)
{
    char free_cells[MAZE_MAX_CELLS], path[MAZE_MAX_CELLS];
    int32_t distance[MAZE_MAX_CELLS], queue[MAZE_MAX_CELLS], turn[MAZE_MAX_CELLS];
    int start = -1, goal = -1, cells = 0, starts = 0, goals = 0;
    if (optimal) *optimal = 0;
    if (side < 2 || side > MAZE_MAX_SIZE) return 0;
    for (int c = 0; c < side * side; c++) {
        int step = maze[c] == SCORE_FLOOR && answer[c] == SCORE_PATH;
        if (!step && maze[c] != answer[c]) return 0;
        if (maze[c] == SCORE_START) start = c, starts++;
        if (maze[c] == SCORE_GOAL) goal = c, goals++;
        free_cells[c] = maze[c] == SCORE_FLOOR || maze[c] == SCORE_START || maze[c] == SCORE_GOAL ? ' ' : '#';
        path[c] = step || maze[c] == SCORE_START || maze[c] == SCORE_GOAL ? ' ' : '#';
        cells += path[c] == ' ';
    }
    if (starts != 1 || goals != 1) return 0;
    if (maze_bfs(path, side, side, start, distance, queue, NULL) != cells) return 0; /* in pieces */
    if (!score__walk(path, side, start, goal, cells, queue, turn, distance)) return 0;
    if (optimal) {
        (void)maze_bfs(free_cells, side, side, start, distance, queue, NULL);
        *optimal = distance[goal] + 1 == cells;
    }
    return 1;
}

typedef struct score {
    score_task task;
    int        side;
    int64_t    count, valid, optimal; /* answers seen; that obey the rules; of mazes: that are as short as possible */
} score;

static inline score score_make(int vocab_size, int seq_len)
{
    score s;
    s.task = score_task_detect(vocab_size, seq_len);
    s.side = score_side(seq_len);
    s.count = s.valid = s.optimal = 0;
    return s;
}

/* inputs, answer [seq_len]: the puzzle and what the model made of it */
static inline void score_add(score *s, const int32_t *inputs, const int32_t *answer)
{
    int optimal = 0, valid = 0;
    if (s->task == SCORE_SUDOKU) valid = optimal = score_sudoku(inputs, answer, s->side);
    else if (s->task == SCORE_MAZE) valid = score_maze(inputs, answer, s->side, &optimal);
    else return; /* no rules beyond the label */
    s->count++;
    s->valid += valid;
    s->optimal += optimal;
}

/* Writes at most `size` bytes, "" when there is nothing to tell. Returns `text`. */
static inline const char *score_text(const score *s, char *text, size_t size)
{
    double scale = s->count ? 100.0 / (double)s->count : 0;
    if (size) text[0] = 0;
    if (s->count && s->task == SCORE_SUDOKU) snprintf(text, size, "valid %.2f %%", (double)s->valid * scale);
    if (s->count && s->task == SCORE_MAZE)
        snprintf(text, size, "valid %.2f %%, optimal %.2f %%", (double)s->valid * scale, (double)s->optimal * scale);
    return text;
}

/* Cells that differ from what was given, or have their digit twice in a row, column or box: is [side * side]. -> how many */
static inline int score_clashes(const int32_t *input, const int32_t *board, int side, uint8_t *is)
{
    sudoku_shape shape;
    int count = 0;
    if (!sudoku_shape_make(&shape, side)) return 0;
    for (int i = 0; i < shape.cells; i++) {
        is[i] = input[i] >= 2 && board[i] != input[i];
        for (int k = 0; k < shape.num_peers && board[i] >= 2; k++) is[i] |= board[shape.peers[i][k]] == board[i];
        count += is[i];
    }
    return count;
}

#endif
