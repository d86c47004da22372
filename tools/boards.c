/* Boards that a person typed or drew, as tokens: see boards.h. */
#include "boards.h"

#include <string.h>

int board_is_ruling(char c) { return strchr(" \t\r\n|-+=,", c) != NULL; }

int board_is_name(const char *word, int maze)
{
    size_t cells = 0, letters = 0;
    for (const char *c = word; *c; c++) {
        if (*c == '/' || *c == '\\') return 1;
        int cell = strchr(maze ? "# SGo." : "0123456789._*", *c) != NULL;
        cells += (size_t)cell;
        letters += !cell && ((*c | 32) >= 'a' && (*c | 32) <= 'z');
    }
    return letters > 0 && cells < 8 * letters;
}

static int contradiction(const int32_t *tokens, int side, const char *where)
{
    /* two equal givens in a row, column or box: no answer could keep them */
    int rows = side == 9 ? 3 : 2, columns = side == 4 ? 2 : 3;
    for (int i = 0; i < side * side; i++)
        for (int k = i + 1; k < side * side; k++) {
            int r = i / side, c = i % side, r2 = k / side, c2 = k % side,
                box = r / rows == r2 / rows && c / columns == c2 / columns;
            if (tokens[i] < 2 || tokens[k] != tokens[i] || !(r == r2 || c == c2 || box)) continue;
            return tool_error(
                "%sthe givens contradict each other: %d stands twice in a %s, at row %d, column %d and at row %d, column %d",
                where, tokens[i] - 1,
                r == r2   ? "row"
                : c == c2 ? "column"
                          : "box",
                r + 1, c + 1, r2 + 1, c2 + 1);
        }
    return TOOL_OK;
}

int board_read_sudoku(int32_t *tokens, int *side, const char *text, int line, const char *where)
{
    int cells = 0;
    *side = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '\n') line++;
        if (board_is_ruling(*c)) continue;
        int digit = *c >= '0' && *c <= '9' ? *c - '0' : *c == '.' || *c == '_' || *c == '*' ? 0 : -1;
        if (digit < 0)
            return tool_error("%sline %d of the puzzle: \"%c\" is no digit and no blank (. or 0)", where, line, *c);
        if (cells == SUDOKU_MAX_CELLS) return tool_error("%sthe puzzle has more than 81 cells", where);
        tokens[cells++] = digit + 1; /* 1 blank, 2.. the digits */
    }
    int n = cells == 16 ? 4 : cells == 36 ? 6 : cells == 81 ? 9 : 0;
    if (!n) return tool_error("%sthe puzzle has %d cells, expected 81, 36 or 16", where, cells);
    for (int i = 0; i < cells; i++)
        if (tokens[i] > n + 1)
            return tool_error("%srow %d, column %d: %d, expected 1 to %d", where, i / n + 1, i % n + 1, tokens[i] - 1, n);
    *side = n;
    return contradiction(tokens, n, where);
}

static int maze_token(char c)
{
    switch (c) {
    case '#': return SCORE_WALL;
    case ' ': case '.': case 'o': return SCORE_FLOOR; /* a path already drawn is to be found anew */
    case 'S': return SCORE_START;
    case 'G': return SCORE_GOAL;
    default: return 0;
    }
}

int board_read_maze(int32_t *tokens, int *side, const char *text, const char *where)
{
    size_t widest = 0, lines = 0;
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\r\n");
        if (n > widest) widest = n;
        lines += n > 0;
        at += n + strspn(at + n, "\r\n");
    }
    size_t wide = lines == 1 ? (size_t)score_side(widest < 1000000 ? (int)widest : 0) : lines > widest ? lines : widest;
    if (wide < 2 || wide > MAZE_MAX_SIZE)
        return tool_error("%sthe maze has %zu lines of up to %zu cells, expected a square of 2 to %d", where, lines, widest,
                          MAZE_MAX_SIZE);
    if (lines > 1 && lines != wide)
        return tool_error("%sthe maze has %zu lines, the longest of %zu cells; expected a square", where, lines, widest);
    int n = (int)wide, cell = 0, starts = 0, goals = 0;
    for (int i = 0; i < n * n; i++) tokens[i] = SCORE_FLOOR;
    for (const char *c = text; *c; c++) {
        if (*c == '\n' || *c == '\r') {
            if (lines > 1) cell = (cell + n - 1) / n * n;
            continue;
        }
        int token = maze_token(*c);
        if (!token)
            return tool_error("%srow %d, column %d: \"%c\", expected # S G or a space", where, cell / n + 1, cell % n + 1, *c);
        starts += token == SCORE_START;
        goals += token == SCORE_GOAL;
        if (cell < n * n) tokens[cell++] = token;
    }
    if (starts != 1 || goals != 1)
        return tool_error("%sthe maze has %d starts (S) and %d goals (G), expected one of each", where, starts, goals);
    *side = n;
    return TOOL_OK;
}
