/* Boards that a person typed or drew, for `hrm solve` and `hrm render`. */
#ifndef HRM_BOARDS_H
#define HRM_BOARDS_H
#include "tool.h"

#include "score.h"

/* Each returns an exit status, after it has said what is wrong with the text; `where` goes before that: "boards.txt: ", or
 * nothing. */

/* Digits, with . 0 _ or * for blanks; the lines of a drawn board are passed over, and givens that contradict each other are
 * refused. `line` is the text's first in its file. -> tokens [81 at most], *side 4, 6 or 9 */
int board_read_sudoku(int32_t *tokens, int *side, const char *text, int line, const char *where);

/* Lines of # S G and spaces, square, or all of it on one line; missing spaces at the end of a line are floor, and so is a path
 * already drawn: it is to be found anew. -> tokens [MAZE_MAX_CELLS at most] */
int board_read_maze(int32_t *tokens, int *side, const char *text, const char *where);

int board_is_ruling(char c); /* of a drawn board of Sudoku */

/* Whether a word is a file's name: a path, or more letters than slips in a board would be. */
int board_is_name(const char *word, int maze);

#endif
