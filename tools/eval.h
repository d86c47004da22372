/* An evaluation as both `hrm eval` and the evaluations of `hrm train` run it. */
#ifndef HRM_EVAL_H
#define HRM_EVAL_H
#include "arc.h"
#include "config.h"
#include "votes.h"

typedef struct evaluation {
    /* asked for */
    const char *title;     /* of the progress bar */
    int         batch_size, adaptive, max_steps; /* 0: the library's defaults */
    int64_t     max_examples;                    /* 0: all */
    int         own;       /* grids of one's own: their shapes mean nothing, no rules and no symmetries are known */
    int         votes;     /* copies of each puzzle, see votes.h; 0 or 1: the puzzle alone */
    int         equal;     /* the copies are equal, whatever symmetries are known */
    vote_rule   vote;
    float       start_noise; /* with its seed, see hrm_solve_desc */
    uint64_t    noise_seed;
    const char *outputs;   /* list of names to save, "" for none */
    const char *directory; /* where to: DIR/NAME.npy */
    const arc_set *tasks;  /* of ARC: predictions are kept in `directory` and voted on; NULL: not */
    uint64_t    fingerprint; /* of what predicts them */
    const char *checkpoint;  /* its name, for answers.json */
    const hrm_comm *comm;    /* the processes that share it: all call evaluation_run alike, rank 0 writes; NULL: alone */
    /* found */
    hrm_metrics metrics;
    score       rules; /* answers that obey the task's rules, whatever the label */
    int         voted; /* 0: hrm_evaluate's metrics, with the losses */
    double      alone, any; /* with votes: how often the first copy is right, and any of them */
    arc_score   arc;        /* with `tasks`; arc_score_free it */
} evaluation;

/* Checks the names in eval_save_outputs. 0, or an exit status with the reason printed. */
int evaluation_check_outputs(const char *list);
/* 0; an exit status with the reason printed; or -1 when a signal stopped it, with nothing saved. */
int evaluation_run(evaluation *e, hrm_model *model, const hrm_dataset *data);
/* The same for 1, 2, 4 … e->votes copies and a quarter, a half and all of e->max_steps segments: a table on stderr, a line of
 * JSON on stdout, and a picture in the file `picture`. */
int evaluation_compute(const evaluation *e, const config *c, hrm_model *model, const hrm_dataset *data, const char *picture);
/* `data` (found at `where`) against what a model takes. 0, or an exit status with both values shown. */
int evaluation_check_data(const hrm_model_desc *model, const char *model_where, const hrm_dataset *data, const char *where);
/* Whether a task has so many copies that differ. 0, or an exit status with the reason printed. */
int evaluation_check_votes(int votes, float start_noise, score_task task);
/* Rows at once unless eval_batch_size says so. */
int evaluation_batch_size(const config *c);

#endif
