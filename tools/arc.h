/* ARC as it is scored: the tasks of a data set, what each of its identifiers stands for, predictions that are kept on disk as
 * they come, and the votes over a task's variants. `hrm data arc` wrote the data set; the public builders' are read as well.
 */
#ifndef HRM_ARC_H
#define HRM_ARC_H

#include "data.h"

enum { ARC_MOST = 30, ARC_MOST_CELLS = ARC_MOST * ARC_MOST, ARC_PALETTE = 10, ARC_KS = 5, ARC_TOP = 10 };
static const int arc_ks[ARC_KS] = {1, 2, 10, 100, 1000};

typedef struct arc_board { int rows, cols; uint8_t cells[ARC_MOST_CELLS]; } arc_board; /* colours; rows 0: there is none */

/* ---- tasks ----------------------------------------------------------------------------------------------------------------
 */
typedef struct arc_entry {
    const char *name;
    int         num_train, num_test;
    int         first_test; /* its number among the tests of all tasks */
    arc_board  *pairs;      /* [num_train + num_test][2] input and output; an output's rows are 0 where it is not known */
} arc_entry;
typedef struct arc_variant_of { /* entry -1: no test task's */
    int32_t entry;
    uint8_t turn, plain, colour[ARC_PALETTE]; /* plain: the task itself */
} arc_variant_of;
typedef struct arc_set {
    char               dir[TOOL_PATH];
    int                side;
    hrm_json_document *doc; /* holds the names */
    arc_entry         *entries;
    arc_variant_of    *ids; /* [num_ids] */
    int                num_entries, num_tests;
    int64_t            num_ids;
} arc_set;
int  arc_set_is(const char *dir); /* whether a data set tells its tasks: test_puzzles.json and identifiers.json */
int  arc_set_open(arc_set *set, const char *dir, int side, int names /* 0: the tasks alone */); /* an exit status */
void arc_set_close(arc_set *set);
const arc_board *arc_test(const arc_set *set, int test, int output);

/* What a variant's name says, ID_tK_PERMUTATION or ID|||tK|||PERMUTATION -> the length of ID; of a name without these all of
 * it, no turn and every colour itself. */
size_t arc_name(const char *name, uint8_t *turn, uint8_t colour[ARC_PALETTE]);
/* The largest rectangle of colours in the upper left corner of a board of tokens. */
void arc_crop(arc_board *out, const int32_t *tokens, int side);
/* A variant's grid as it would be in the task itself. */
void arc_undo(arc_board *out, const arc_board *in, int turn, const uint8_t colour[ARC_PALETTE]);
int  arc_same(const arc_board *a, const arc_board *b);

/* ---- predictions ------------------------------------------------------------------------------------------------------------
 * A file of one record an example, in the order of the data set; what is in it counts up to the last flush. Whoever opens it
 * for the same weights, data and settings, which the fingerprint tells, goes on there. */
typedef struct arc_predictions {
    char        path[TOOL_PATH];
    void       *file; /* FILE */
    tool_lock   lock;
    int         side;
    int64_t     done, total, written;
    uint64_t    sequence;
    hrm_metrics metrics; /* over those done */
} arc_predictions;
/* fresh: whatever is there is written anew. Says so when it goes on, and when it does not. An exit status. */
int  arc_predictions_open(arc_predictions *p, const char *folder, uint64_t fingerprint, int side, int64_t total, int fresh);
int  arc_predictions_add(arc_predictions *p, const int32_t *tokens, float q_halt);
int  arc_predictions_flush(arc_predictions *p, const hrm_metrics *metrics); /* to the disk */
int  arc_predictions_read(arc_predictions *p, int64_t row, arc_board *board, float *q_halt);
void arc_predictions_close(arc_predictions *p);

/* ---- votes ----------------------------------------------------------------------------------------------------------------
 */
typedef struct arc_vote { uint64_t answer; int32_t test, row; float confidence; } arc_vote;
typedef struct arc_answer { /* row: the first that gave it */
    uint64_t answer;
    int32_t  votes, row;
    double   confidence;
} arc_answer;
typedef struct arc_ballot { /* of a test input */
    arc_answer *answers; /* the best first */
    int         count, votes, rank; /* rank: of the truth, from 0; -1: it is not among them, or not known */
    int         voted, plain_right; /* whether the task itself, no variant, was predicted; and rightly */
} arc_ballot;
typedef struct arc_score {
    arc_ballot *ballots; /* [num_tests] */
    arc_answer *answers;
    int64_t     num_answers;
    int         tasks, solved[ARC_KS], plain; /* with votes and truth; at K; by the task itself alone */
    int         tests, solved_tests;          /* test inputs of those; with the truth among the first two */
} arc_score;
uint64_t arc_hash(const arc_board *b);
/* votes [n], reordered -> per test the answers by (count, mean confidence), of as many the one that came first. A task counts
 * when all of its tests were voted on and all truths are known. 0: no memory. */
int  arc_count(arc_score *score, const arc_set *set, arc_vote *votes, int64_t n, const uint8_t *plain_voted,
               const uint8_t *plain_right);
void arc_score_free(arc_score *score);

/* All of it: predictions -> score, and in `folder` answers.json and submission.json. An exit status; -1 after a signal. */
int arc_evaluate(arc_score *score, const arc_set *set, const hrm_dataset *data, arc_predictions *p, const char *folder,
                 const char *checkpoint);

#endif
