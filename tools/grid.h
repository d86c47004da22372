/* Grids and sequences of tokens as people write them: their text and JSON (hrm data --help says how they look), and the
 * vocabulary that a data set of them and the checkpoints trained on it carry.
 */
#ifndef HRM_GRID_H
#define HRM_GRID_H

#include "data.h"

enum { GRID_CELLS = 1 << 24 }; /* of the largest, at most */

typedef struct grid_example {
    int32_t *cells;      /* [rows * cols] of the input, then of the output where there is one; tokens by number, -1: null */
    int      rows, cols, has_output, line, group;
    int32_t  identifier; /* the number of the puzzle's name and 1; 0: it has none */
} grid_example;
typedef struct grid_list { grid_example *examples; int64_t count, room; } grid_list;

typedef struct grid_reader {
    const char *path;    /* of what is read, and its line */
    int         line;
    const char *closed;  /* NULL: a token not yet seen gets the next number; else who knows all there are */
    int         answers; /* 1: an example without an output is refused */
    int         lines;   /* 1: in text every line without an arrow is an input of its own */
    int         words;   /* of text: words for tokens, not characters; -1: follows from the text */
    char      **tokens, **names; /* in the order in which they came */
    int32_t     num_tokens, num_names;
    data_table  token_table, name_table; /* hashes; grown when half full */
    int32_t    *buffer;  /* cells of the grid being read */
    int64_t     buffered, buffer_room;
} grid_reader;

/* Each returns an exit status, with file and line in the message. `path` is for messages. */
int  grid_read_text(grid_reader *r, grid_list *list, const char *path, const char *text, size_t length);
int  grid_read_json(grid_reader *r, grid_list *list, const char *path, const hrm_json *root); /* a list, or one example */
int  grid_add_token(grid_reader *r, const char *token); /* beforehand, in the order of their numbers */
void grid_reader_close(grid_reader *r);
void grid_list_close(grid_list *list);

/* What vocabulary.json says: the size of the grids, and what each number of the arrays stands for. */
#define GRID_VOCABULARY "hrm.vocabulary" /* the same text in a checkpoint's metadata */
typedef struct grid_vocabulary {
    hrm_json_document *doc;
    int          rows, cols, least_rows, least_cols; /* least: of the smallest grids, which are padded */
    int          words;  /* some token is longer than a character */
    int32_t      count;  /* with padding, which is 0 */
    const char **tokens; /* [count] */
} grid_vocabulary;
int  grid_vocabulary_parse(grid_vocabulary *v, const char *text, size_t length, const char *where);
void grid_vocabulary_close(grid_vocabulary *v);
/* The text of DIR/vocabulary.json, freed by the caller; *text NULL when there is none. An exit status. */
int  grid_vocabulary_text(char **text, size_t *length, const char *dir);
/* Whether the numbers of DIR's tokens mean something else to a checkpoint, and what; *status: of what could not be read. */
int  grid_vocabulary_differs(char said[300], const char *checkpoint, const char *dir, int *status);
/* Whether a data set is of grids of one's own, with no rules but its labels. */
int  grid_is_own(const char *dir);

#endif
