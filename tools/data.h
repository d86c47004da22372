/* What the builders of `hrm data` share: options, the directory under construction, CSV sources, distinct-item sets. */
#ifndef HRM_DATA_H
#define HRM_DATA_H

#include "hrm.h"
#include "tool.h"

typedef struct data_options { /* numbers: -1 when not given */
    const char  *output_dir, *source_dir, *tokens, *vocabulary;
    const char **dataset_dirs; /* [num_dataset_dirs] */
    const char **subsets;      /* [num_subsets] */
    const char  *input_file_prefix, *test_set_name, *test_set_name2;
    int          num_dataset_dirs, num_subsets;
    int64_t      generate, test_size, subsample_size, min_difficulty, max_difficulty, num_aug, size, givens;
    int64_t      per_solution, min_path, threads;
    int          aug, relabel;
    uint64_t     seed;
} data_options;

enum { SUDOKU_PER_SOLUTION = 16 }; /* puzzles that may share one */

/* Each returns an exit status. */
int data_sudoku(const data_options *o);
int data_maze(const data_options *o);
int data_arc(const data_options *o);
int data_grid(const data_options *o);

/* ---- the directory ---------------------------------------------------------------------------------------------------------
 * Everything is written into DIR.tmpPID; data_build_close puts it in DIR's place when all went well and removes it otherwise,
 * interrupts included. A set that stood there goes when the new one is in place: exchanged in one step where the system can,
 * else by way of DIR.hrm-old, from which the next build restores it. One build at a time has DIR.lock.
 */
typedef struct data_build {
    char dir[TOOL_PATH], work[TOOL_PATH], old[TOOL_PATH];
    tool_lock lock;
    hrm_pool *pool;
    int threads;
} data_build;
int data_build_open(data_build *b,
                    const data_options *o); /* DIR may exist when it is empty or a data set, which is replaced at the end */
int data_build_close(data_build *b, int status);           /* -> the exit status */
int data_build_text(const data_build *b, const char *name, const char *text); /* a small file */
int data_stopped(void); /* 1 after an interrupt */

enum { DATA_INPUTS, DATA_LABELS, DATA_IDENTIFIERS, DATA_PUZZLES, DATA_GROUPS, DATA_FIELDS };
typedef struct data_split { /* one split's arrays, streamed */
    hrm_npy_writer file[DATA_FIELDS];
    char    dir[TOOL_PATH];
    int     seq_len;
    int64_t examples, covered, puzzles, groups; /* covered: examples in puzzles */
} data_split;
int  data_split_open(data_split *s, const data_build *b, const char *name, int seq_len, hrm_dtype dtype);
int  data_split_rows(data_split *s, const void *inputs, const void *labels, int64_t rows);
int data_split_puzzle(data_split *s, int32_t identifier,
                      int64_t rows);  /* the next `rows` rows, written before or after, make a puzzle */
int  data_split_group(data_split *s); /* the puzzles since the last make a group */
int  data_split_commit(data_split *s, int vocab_size, int64_t num_identifiers);
void data_split_abort(data_split *s); /* after commit: nothing */

/* ---- CSV --------------------------------------------------------------------------------------------------------------------
 * Columns by name, in any order: question (or q, puzzle, quiz, quizzes, input), answer (a, solution, solutions, output), rating
 * (difficulty); commas, semicolons or tabs between them, fields may stand in double quotes. The file stays mapped.
 */
typedef struct data_row { const char *question, *answer; int64_t line; } data_row;
typedef struct data_csv {
    char         path[TOOL_PATH];
    hrm_file_map map;
    data_row    *rows; /* rated min_rating to max_rating; -1: no such bound */
    int64_t      count, length; /* characters of every question and answer */
} data_csv;
/* DIR/train.csv, or DIR when that is a file; DIR/test.csv, which need not be there (then count is 0). */
int  data_csv_open(data_csv *csv, const char *dir, int test, int64_t length /* 0: as in the first row */, int64_t min_rating,
                   int64_t max_rating);
void data_csv_close(data_csv *csv);
/* `take` different ones of 0..n-1 at random (all, in order, when take is -1 or not smaller than n); freed by the caller. */
int32_t *data_choose(int64_t n, int64_t take, uint64_t seed, int64_t *count);

/* ---- small things -------------------------------------------------------------------------------------------------------- */
typedef struct data_table { uint64_t *keys; int32_t *values; size_t room, count; } data_table; /* from hashes to numbers */
int  data_table_open(data_table *t, size_t most);
void data_table_close(data_table *t);
int32_t *data_table_find(data_table *t, uint64_t key, int *added); /* its place; added: 1 and the value -1 when it is new */
int  data_table_has(const data_table *t, uint64_t key);
uint64_t data_hash(uint64_t hash, const void *bytes, size_t n);    /* FNV-1a; begin with DATA_HASH */
uint64_t data_mix(uint64_t x);                                     /* spreads a hash over all bits */
#define DATA_HASH 0xcbf29ce484222325u

/* The random numbers of one item: `kind` tells the uses apart, `item` the puzzles, `part` attempts or variants of a puzzle. */
enum {
    DATA_SUBSAMPLE = 1,
    DATA_SHUFFLE,
    DATA_SUDOKU,
    DATA_SUDOKU_VARIANT,
    DATA_SUDOKU_CLASS,
    DATA_MAZE,
    DATA_ARC_VARIANT,
    DATA_ARC_PLACE
};
hrm_random data_random(uint64_t seed, int kind, int split, int64_t item, int64_t part);

/* out = grid [rows, cols] under dihedral transform t: 0 none, 1..3 quarter turns counter-clockwise, 4 left-right, 5 up-down,
 * 6 transpose, 7 anti-transpose. Its rows and columns are swapped for 1, 3, 6 and 7. */
void data_dihedral(uint8_t *out, const uint8_t *grid, int rows, int cols, int t);
static const int data_dihedral_inverse[8] = {0, 3, 2, 1, 4, 5, 6, 7};

/* What stands at a path; DATA_UNKNOWN when that cannot be told, after a message: such a thing is not "not there". */
typedef enum data_kind { DATA_NONE, DATA_FILE, DATA_FOLDER, DATA_UNKNOWN } data_kind;
data_kind data_look(const char *path);
int    data_is_utf8(const char *text, size_t n); /* 1 when it is, without zeros */
int    data_list(const char *dir, char ***names, size_t *count); /* entries in byte order, without . and ..; 0 or -1 */
void   data_list_free(char **names, size_t count);
void  *data_alloc(size_t count, size_t size); /* zeroed; NULL after a message */

#endif
