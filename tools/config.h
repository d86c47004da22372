/* The configuration of training, evaluation and solving: the public code's keys and our own, in one list. From it come the
 * struct, parsing, ranges, help, all_config.yaml and the suggestions for misspelt keys. */
#ifndef HRM_CONFIG_H
#define HRM_CONFIG_H
#include "tool.h"

/* Which commands take a key; RUNS: those that run a model, ANY: those that read a checkpoint too; LEARNS: train, and info,
 * which tells what that would take. */
enum {
    CONFIG_TRAIN = 1,
    CONFIG_EVAL = 2,
    CONFIG_SOLVE = 4,
    CONFIG_CONVERT = 8,
    CONFIG_INFO = 16,
    CONFIG_ANALYZE = 32,
    CONFIG_RUNS = 39,
    CONFIG_ANY = 63
};
enum { CONFIG_LEARNS = CONFIG_TRAIN | CONFIG_INFO };
/* `resume=` lets the command line say it anew (FREE), or say more of it (MORE); a checkpoint states it (ARCH), so that all say
 * it of a checkpoint without a configuration; LOCAL keys are no part of a run and not written to all_config.yaml; HERE keys are
 * not taken over from a run when its checkpoint is used elsewhere. */
enum { CONFIG_FREE = 1, CONFIG_ARCH = 2, CONFIG_LOCAL = 4, CONFIG_HERE = 8, CONFIG_MORE = 16 };

/* kind, field, key, default, then of INT and REAL lowest, highest, of WORD the words it may be; commands, flags, help. An empty
 * default means unset. INT int64_t, REAL double, FLAG int, WORD int (index into the words), TEXT char[]. The keys of a model
 * and of its training stand in hrm.h. */
#define CONFIG__ARCH(X, kind, key, field, ...) CONFIG__ARCH_##kind(X, "arch." key, field, __VA_ARGS__)
#define CONFIG__LOW(type, field, none, low)                                                                                    \
    (offsetof(type, field) == offsetof(type, none) ? (low) : 0) /* 0 where a flag can say it */
#define CONFIG__ARCH_INT(X, key, field, standard, low, high, none, help) \
    X(INT, field, key, #standard, CONFIG__LOW(hrm_model_desc, field, none, low), high, CONFIG_ANY, CONFIG_ARCH, help)
#define CONFIG__ARCH_FLOAT(X, key, field, standard, low, high, none, help) \
    X(REAL, field, key, #standard, CONFIG__LOW(hrm_model_desc, field, none, low), high, CONFIG_ANY, CONFIG_ARCH, help)
#define CONFIG__ARCH_FLAG(X, key, field, help)        X(FLAG, field, key, "false", CONFIG_ANY, CONFIG_ARCH, help)
#define CONFIG__ARCH_WORD(X, key, field, words, help) X(WORD, field, key, words, words, CONFIG_ANY, CONFIG_ARCH, help)
#define CONFIG__TRAIN(X, kind, key, field, ...) CONFIG__TRAIN_##kind(X, key, field, __VA_ARGS__)
#define CONFIG__TRAIN_INT(X, key, field, standard, low, high, none, help) \
    X(INT, field, key, #standard, CONFIG__LOW(hrm_train_desc, field, none, low), high, CONFIG_LEARNS, 0, help)
#define CONFIG__TRAIN_FLOAT(X, key, field, standard, low, high, none, help) \
    X(REAL, field, key, #standard, CONFIG__LOW(hrm_train_desc, field, none, low), high, CONFIG_LEARNS, 0, help)
#define CONFIG__TRAIN_FLAG(X, key, field, help)        X(FLAG, field, key, "false", CONFIG_LEARNS, 0, help)
#define CONFIG__TRAIN_WORD(X, key, field, words, help) X(WORD, field, key, words, words, CONFIG_LEARNS, 0, help)
#define CONFIG__ARCH_NAME(index, name, sets) name " "
#define CONFIG_KEYS(X)                                                                                                         \
    X(TEXT, arch, "arch", "", CONFIG_ANY, CONFIG_LOCAL,                                                                        \
      "defaults by name, of what nothing else says: " HRM_ARCHS(                                                               \
          CONFIG__ARCH_NAME) "- with --config a file of its folder arch")                                                      \
    X(TEXT, preset, "preset", "", CONFIG_TRAIN, CONFIG_LOCAL,                                                                  \
      "a whole recipe by name, where nothing else is said: cpu-small cpu gpu, told below")                                     \
    X(TEXT, data_path, "data_path", "", CONFIG_RUNS | CONFIG_INFO, CONFIG_FREE,                                                \
      "folder of the data set; also as data_paths=[DIR]")                                                                      \
    X(TEXT, data_paths_test, "data_paths_test", "", CONFIG_TRAIN | CONFIG_EVAL, CONFIG_FREE,                                   \
      "[DIR] whose test split is evaluated instead")                                                                           \
    X(TEXT, evaluators, "evaluators", "", CONFIG_TRAIN, CONFIG_LOCAL,                                                          \
      "[…] the public TRM code's; there is none here: they are named and skipped")                                             \
    X(TEXT, checkpoint_path, "checkpoint_path", "", CONFIG_TRAIN | CONFIG_EVAL | CONFIG_ANALYZE, CONFIG_FREE | CONFIG_HERE,    \
      "folder of the run [checkpoints/DATA/RUN]; in eval and analyze, of what they save")                                 \
    X(TEXT, project_name, "project_name", "", CONFIG_TRAIN, CONFIG_FREE, "the run's project [from data_path]")                 \
    X(TEXT, run_name, "run_name", "", CONFIG_TRAIN, CONFIG_FREE, "the run's name [from date and time]")                        \
    X(INT, global_batch_size, "global_batch_size", "768", 1, 1048576, CONFIG_LEARNS | CONFIG_EVAL, 0, "puzzles a step")        \
    X(INT, epochs, "epochs", "100000", 1, 1000000000, CONFIG_TRAIN, CONFIG_MORE, "passes over the groups of the data set")     \
    X(INT, eval_interval, "eval_interval", "", 1, 1000000000, CONFIG_TRAIN, 0,                                                 \
      "epochs between evaluations, a divisor of epochs [10000, or one at the end]")                                            \
    X(INT, min_eval_interval, "min_eval_interval", "0", 0, 1000000000, CONFIG_TRAIN, CONFIG_FREE,                              \
      "iterations of eval_interval epochs that are not evaluated at first")                                                    \
    X(FLAG, checkpoint_every_eval, "checkpoint_every_eval", "true", CONFIG_TRAIN, CONFIG_FREE,                                 \
      "keep step_N.safetensors of every evaluation, not of the last alone")                                                    \
    HRM_RATE_KEYS(CONFIG__TRAIN, X)                                                                                            \
    X(INT, lr_warmup_steps, "lr_warmup_steps", "2000", 0, 1000000000, CONFIG_TRAIN, 0, "steps of linear warm-up")              \
    HRM_TRAINING_KEYS(CONFIG__TRAIN, X)                                                                                        \
    X(FLAG, test_puzzles_only, "test_puzzles_only", "false", CONFIG_TRAIN, 0,                                                  \
      "train on those puzzles alone that the test split has too, of ARC its demonstrations; no evaluations (hrm adapt)")       \
    X(INT, seed, "seed", "0", 0, 9007199254740992.0, CONFIG_TRAIN, 0, "of weights, data order and exploration")                \
    X(TEXT, eval_save_outputs, "eval_save_outputs", "", CONFIG_TRAIN | CONFIG_EVAL, CONFIG_FREE | CONFIG_HERE,                 \
      "[…] of inputs, labels, puzzle_identifiers, logits, q_halt_logits, q_continue_logits, predictions, steps: saved as "   \
      ".npy")                                                                                                                  \
    X(TEXT, arch_name, "arch.name", "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1", CONFIG_TRAIN, 0,                        \
      "the public code's class; there are this one and recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1, which "      \
      "brings the defaults of arch=trm")                                                                                       \
    X(TEXT, arch_loss_name, "arch.loss.name", "losses@ACTLossHead", CONFIG_TRAIN, 0,                                           \
      "the public code's class; there is this one")                                                                            \
    HRM_ARCH_KEYS(CONFIG__ARCH, X)                                                                                             \
    X(WORD, forward_dtype, "arch.forward_dtype", "", "float32|bfloat16|float16|int8", CONFIG_RUNS | CONFIG_INFO, CONFIG_FREE,  \
      "of the arithmetic [float32 on the CPU, bfloat16 on CUDA]; float16 on CUDA alone; in eval and solve the others work on " \
      "the CPU too")                                                                                                           \
    X(WORD, cycles_dtype, "arch.cycles_dtype", "forward", "forward|fp8", CONFIG_RUNS | CONFIG_INFO, CONFIG_FREE,               \
      "of the large products of passes without gradient, in training and solving; forward: as arch.forward_dtype; fp8 on "     \
      "CUDA (compute capability 9.0) with bfloat16 and arch.hidden_size=512")                                                  \
    X(TEXT, checkpoint, "checkpoint", "", CONFIG_EVAL | CONFIG_SOLVE | CONFIG_ANALYZE, CONFIG_LOCAL,                           \
      "the checkpoint, safetensors or PyTorch's; of a folder its newest step; solve sudoku has one of its own")                \
    X(TEXT, load_checkpoint, "load_checkpoint", "", CONFIG_TRAIN, 0,                                                           \
      "start from the weights in this file, or in the newest step of a folder")                                                \
    X(TEXT, resume, "resume", "", CONFIG_TRAIN, CONFIG_LOCAL, "go on with the run in this folder, exactly where it stopped")   \
    X(FLAG, overwrite, "overwrite", "false", CONFIG_TRAIN, CONFIG_LOCAL,                                                       \
      "begin a new run in a folder that holds one, which goes once the new one stands")                                        \
    X(WORD, device, "device", "cpu", "cpu|cuda", CONFIG_RUNS | CONFIG_INFO, CONFIG_FREE | CONFIG_HERE, "where it runs")        \
    X(INT, threads, "threads", "0", 0, 1024, CONFIG_RUNS, CONFIG_FREE | CONFIG_HERE,                                           \
      "threads on the CPU [0: one a processor]; results do not depend on it")                                                  \
    X(INT, steps, "steps", "", 1, 1e15, CONFIG_TRAIN, CONFIG_MORE,                                                             \
      "updates in all, instead of epochs; with resume more than it had goes on past the end")                                  \
    X(INT, log_interval, "log_interval", "10", 1, 1000000000, CONFIG_TRAIN, 0,                                                 \
      "steps between lines of metrics.jsonl, each a mean over them")                                                           \
    X(INT, save_interval, "save_interval", "1000", 0, 1000000000, CONFIG_TRAIN, CONFIG_FREE,                                   \
      "steps between saves of the whole training state [0: when it stops only]")                                               \
    X(FLAG, keep_best, "keep_best", "false", CONFIG_TRAIN, CONFIG_FREE,                                                        \
      "keep the best evaluation's weights as best.safetensors")                                                                \
    X(REAL, early_stop_accuracy, "early_stop_accuracy", "0", 0, 1, CONFIG_TRAIN, CONFIG_FREE,                                  \
      "stop once training's exact accuracy stays at or above this [0: never]; 0.99 guards small data sets")                    \
    X(INT, early_stop_patience, "early_stop_patience", "10", 1, 1000000000, CONFIG_TRAIN, CONFIG_FREE,                         \
      "for so many logged steps one after the other")                                                                          \
    X(FLAG, tensorboard, "tensorboard", "true", CONFIG_TRAIN, CONFIG_FREE,                                                     \
      "write TensorBoard event files beside metrics.jsonl")                                                                    \
    X(WORD, halt, "halt", "full", "full|adaptive", CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL,                                   \
      "full: always halt_max_steps segments, as published; adaptive: a puzzle stops when the model says so (solve's default)") \
    X(INT, max_steps, "halt_max_steps", "", 1, 1000000, CONFIG_EVAL | CONFIG_SOLVE | CONFIG_ANALYZE, CONFIG_LOCAL,             \
      "segments at most; may exceed training's")                                                                               \
    X(INT, votes, "votes", "1", 1, 1024, CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL,                                             \
      "copies of a puzzle that are solved side by side: symmetric ones of Sudokus and mazes (8 at most), of other "            \
      "grids equal ones with start_noise")                                                                                     \
    X(FLAG, symmetric, "symmetric", "true", CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL,                                          \
      "false: of Sudokus and mazes too the copies are equal ones with start_noise")                                            \
    X(REAL, start_noise, "start_noise", "0", 0, 1000, CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL,                                \
      "how far from their initial values the states start, a normal deviation, each copy its own")                             \
    X(INT, noise_seed, "noise_seed", "0", 0, 9007199254740992.0, CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL,                     \
      "of start_noise")                                                                                                        \
    X(WORD, vote, "vote", "majority", "majority|first|best_q", CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL,                       \
      "whose answer is taken: most copies'; the first's that says it is right; the best q_halt's")                             \
    X(FLAG, compare, "compare", "true", CONFIG_EVAL, CONFIG_LOCAL,                                                             \
      "with halt=adaptive: also run in full, to tell how much accuracy was kept")                                              \
    X(FLAG, compute, "compute", "false", CONFIG_EVAL, CONFIG_LOCAL,                                                            \
      "accuracy against compute: 1, 2, 4 … votes copies, a quarter, half and all of halt_max_steps; table and picture")        \
    X(TEXT, puzzles, "puzzles", "[0]", CONFIG_ANALYZE, CONFIG_LOCAL,                                                           \
      "[…] numbers of examples whose answers are told segment by segment")                                                     \
    X(WORD, pictures, "pictures", "png", "png|svg", CONFIG_EVAL | CONFIG_ANALYZE, CONFIG_LOCAL, "what is drawn")               \
    X(INT, eval_batch_size, "eval_batch_size", "", 1, 1048576, CONFIG_TRAIN | CONFIG_EVAL | CONFIG_ANALYZE,                    \
      CONFIG_FREE | CONFIG_HERE,                                                                                               \
      "puzzles at once in evaluations [at most 64 on the CPU, global_batch_size on CUDA]")                                     \
    X(INT, eval_examples, "eval_examples", "", 1, 1e15, CONFIG_TRAIN | CONFIG_EVAL | CONFIG_ANALYZE,                           \
      CONFIG_FREE | CONFIG_HERE, "evaluate on the first so many examples [all; in analyze 256]")

typedef enum config_kind {
    CONFIG_KIND_INT,
    CONFIG_KIND_REAL,
    CONFIG_KIND_FLAG,
    CONFIG_KIND_WORD,
    CONFIG_KIND_TEXT
} config_kind;

/* The index of each key in `raw`. */
#define CONFIG__INDEX(kind, field, ...) CONFIG_##field,
enum config_index { CONFIG_KEYS(CONFIG__INDEX) CONFIG_COUNT };
#undef CONFIG__INDEX

typedef enum config_origin {
    CONFIG_DEFAULT,
    CONFIG_NAMED, /* arch=NAME */
    CONFIG_BASE,  /* all_config.yaml of a run */
    CONFIG_FILE,  /* --config */
    CONFIG_COMMAND
} config_origin;

typedef struct config_raw { /* a key's value as it was written */
    char          text[TOOL_PATH];
    char          where[96]; /* for messages: "cfg.yaml line 3" */
    config_origin origin;
} config_raw;

#define CONFIG__MEMBER(kind, field, ...) CONFIG__MEMBER_##kind(field)
#define CONFIG__MEMBER_INT(field)  int64_t field;
#define CONFIG__MEMBER_REAL(field) double field;
#define CONFIG__MEMBER_FLAG(field) int field;
#define CONFIG__MEMBER_WORD(field) int field; /* -1: unset */
#define CONFIG__MEMBER_TEXT(field) char field[TOOL_PATH];
typedef struct config {
    CONFIG_KEYS(CONFIG__MEMBER)
    config_raw raw[CONFIG_COUNT];
    int        command;
    char     **positional; /* what is neither KEY=VALUE nor an option, in order: pointers into argv */
    int        num_positional;
    int        help, show_steps; /* --help, --show-steps */
    int        lines, json;      /* --lines, --json */
    int        arch_is_file;     /* arch=NAME chose a file of --config */
} config;
#undef CONFIG__MEMBER

/* Each returns 0 or an exit status, with the reason printed. */
config *config_create(int command); /* the defaults; NULL: no memory, said so */
void    config_free(config *c);
/* Arguments: KEY=VALUE, --config FILE, --help; the rest becomes `positional`. `resume=` and `checkpoint=` bring in the
 * all_config.yaml of the run below --config and the command line. argv is reordered. */
int config_parse(config *c, int argc, char **argv);
int config_set(config *c, const char *key, const char *value, config_origin origin, const char *where);
int config_read_file(config *c, const char *path, config_origin origin);
int config_finish(config *c); /* resolves ${…}, converts, checks ranges */

/* A whole command: its arguments into a configuration, then help or the run. The exit status. */
int config_command(int command, int argc, char **argv, void (*usage)(void), int (*run)(config *c));

int  config_is_set(const config *c, int index); /* by a name, a file or the command line */
/* Who told the model's key `key` ("hidden_size"); NULL: no key of that name. */
const char *config_teller(const config *c, const char *key);
void config_print_named(const config *c); /* what arch=NAME says of training, as a table */
void config_help(int command);                  /* prints the keys of a command */
extern const char *const config_model_help; /* how arch.KEY=VALUE is told in the others' help */
/* The text of all_config.yaml, as the public code writes it; free() it. `desc` adds the sizes that come from the data. */
char *config_yaml(const config *c, const hrm_model_desc *desc, size_t *length);
int   config_write(const config *c, const hrm_model_desc *desc, const char *path);

/* Names the public TRM code's evaluators that were asked for: there is none here. */
void config_skip_evaluators(const config *c);

/* Parts of it for commands with arguments of their own: true or false in any of YAML's words -> 1, or 0; and one KEY=VALUE. */
int config_parse_flag(const char *text, int *value);
int config_is_key(const char *argument);
int config_set_argument(config *c, const char *argument);
/* The path itself, or of a folder its newest step_N, N as a number. */
int config_newest_step(char path[TOOL_PATH], const char *file_or_folder);

/* The model's description from the configuration; shapes of the data come from elsewhere. */
void config_model_desc(const config *c, hrm_model_desc *desc);
void config_train_desc(const config *c,
                       hrm_train_desc *desc); /* likewise the trainer's; steps and epochs are the run's to say */
/* float32 on the CPU unless the command line says otherwise: a file's bfloat16 or float16 was meant for a GPU. */
void config_dtypes(const config *c, hrm_model_desc *desc); /* forward_dtype and cycles_dtype */
/* A checkpoint's description: what the file says, or a configuration beside it, its tensors, and what the command line and
 * --config say. A contradiction is refused, naming both and where each is from. What nobody tells is 0. */
int config_merge(const config *c, const char *path, hrm_model_desc *merged, hrm_sources *sources);
/* The same, and refused unless all is known but seq_len; taken over into `c`, for a run from it. */
int config_checkpoint(config *c, const char *path, hrm_model_desc *merged, hrm_sources *sources);
/* A model of what config_checkpoint told, on the device and in the type of `c`; seq_len of the data. Says where its
 * configuration came from. */
int config_load_model(const config *c, hrm_model **model, const char *path, const hrm_model_desc *merged,
                      const hrm_sources *sources, int seq_len);
/* What a segment of one row takes, in floating-point operations (an addition and a multiplication are two). */
typedef struct config_work {
    double forward;  /* as in solving and evaluating */
    double train;    /* with the target's segment, the way back, and what is computed again for it */
    double backward; /* of which this is the way back */
    int    layers;   /* blocks, one after the other, in a segment */
} config_work;
config_work config_work_of(const hrm_model_desc *desc, int activation_checkpointing);
/* The text of "hrm.config" in a safetensors file's metadata; what is not known is left out. */
void config_metadata(char *text, size_t size, const hrm_model_desc *desc);
/* The inverse of config_model_desc, for writing a configuration beside a checkpoint, with what its run's own said besides. */
int config_from_desc(config *c, const hrm_model_desc *desc);
int config_read_run(config *c, const char *checkpoint);

#endif
