/* The configuration of training, evaluation and solving: the public code's keys and our own, in one list. From it come the
 * struct, parsing, ranges, help, all_config.yaml and the suggestions for misspelt keys. */
#ifndef HRM_CONFIG_H
#define HRM_CONFIG_H
#include "tool.h"

/* Which commands take a key; RUNS: those that run a model, ANY: those that read a checkpoint too. */
enum { CONFIG_TRAIN = 1, CONFIG_EVAL = 2, CONFIG_SOLVE = 4, CONFIG_RUNS = 7, CONFIG_CONVERT = 8, CONFIG_INFO = 16, CONFIG_ANY = 31 };
/* `resume=` lets the command line say it anew (FREE), or say more of it (MORE); a checkpoint states it (ARCH), so that all say
 * it of a checkpoint without a configuration; LOCAL keys are no part of a run and not written to all_config.yaml; HERE keys are
 * not taken over from a run when its checkpoint is used elsewhere. */
enum { CONFIG_FREE = 1, CONFIG_ARCH = 2, CONFIG_LOCAL = 4, CONFIG_HERE = 8, CONFIG_MORE = 16 };

/* kind, field, key, default, lowest, highest (of a text: the words it may be), commands, flags, help.
 * An empty default means unset. INT int64_t, REAL double, FLAG int, WORD int (index into the words), TEXT and LIST char[]. */
#define CONFIG_KEYS(INT, REAL, FLAG, WORD, TEXT) \
    TEXT(data_path,       "data_path",       "", CONFIG_RUNS, CONFIG_FREE, "folder of the data set") \
    TEXT(checkpoint_path, "checkpoint_path", "", CONFIG_TRAIN | CONFIG_EVAL, CONFIG_FREE | CONFIG_HERE, "folder of the run [checkpoints/DATA/RUN]; in eval, of the saved outputs") \
    TEXT(project_name,    "project_name",    "", CONFIG_TRAIN, CONFIG_FREE, "the run's project [from data_path]") \
    TEXT(run_name,        "run_name",        "", CONFIG_TRAIN, CONFIG_FREE, "the run's name [from date and time]") \
    INT(global_batch_size,     "global_batch_size",     "768", 1, 1048576, CONFIG_TRAIN | CONFIG_EVAL, 0, "puzzles a step") \
    INT(epochs,                "epochs",                "100000", 1, 1000000000, CONFIG_TRAIN, CONFIG_MORE, "passes over the groups of the data set") \
    INT(eval_interval,         "eval_interval",         "", 1, 1000000000, CONFIG_TRAIN, 0, "epochs between evaluations, a divisor of epochs [10000, or one at the end]") \
    FLAG(checkpoint_every_eval, "checkpoint_every_eval", "true", CONFIG_TRAIN, CONFIG_FREE, "keep step_N.safetensors of every evaluation, not of the last alone") \
    REAL(lr,                   "lr",                    "1e-4", 0, 10, CONFIG_TRAIN, 0, "learning rate") \
    REAL(lr_min_ratio,         "lr_min_ratio",          "1", 0, 1, CONFIG_TRAIN, 0, "where the cosine ends, as a part of lr") \
    INT(lr_warmup_steps,       "lr_warmup_steps",       "2000", 0, 1000000000, CONFIG_TRAIN, 0, "steps of linear warm-up") \
    REAL(beta1,                "beta1",                 "0.9", 0, 0.999999, CONFIG_TRAIN, 0, "Adam-atan2, mean of gradients") \
    REAL(beta2,                "beta2",                 "0.95", 0, 0.999999, CONFIG_TRAIN, 0, "Adam-atan2, mean of squares") \
    REAL(weight_decay,         "weight_decay",          "0.1", 0, 100, CONFIG_TRAIN, 0, "of all parameters but the puzzle table") \
    REAL(puzzle_emb_lr,        "puzzle_emb_lr",         "1e-2", 0, 10, CONFIG_TRAIN, 0, "learning rate of the puzzle table") \
    REAL(puzzle_emb_weight_decay, "puzzle_emb_weight_decay", "0.1", 0, 100, CONFIG_TRAIN, 0, "weight decay of the puzzle table") \
    INT(seed,                  "seed",                  "0", 0, 9007199254740992.0, CONFIG_TRAIN, 0, "of weights, data order and exploration") \
    TEXT(eval_save_outputs,    "eval_save_outputs",     "", CONFIG_TRAIN | CONFIG_EVAL, CONFIG_FREE | CONFIG_HERE, \
         "[…] of inputs, labels, puzzle_identifiers, logits, q_halt_logits, q_continue_logits, predictions, steps: saved as .npy") \
    TEXT(arch_name,            "arch.name",             "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1", CONFIG_TRAIN, 0, "the public code's class; there is this one") \
    TEXT(arch_loss_name,       "arch.loss.name",        "losses@ACTLossHead", CONFIG_TRAIN, 0, "the public code's class; there is this one") \
    WORD(loss_type,            "arch.loss.loss_type",   "stablemax_cross_entropy", "stablemax_cross_entropy|softmax_cross_entropy", CONFIG_ANY, CONFIG_ARCH, "of the tokens") \
    REAL(halt_exploration_prob, "arch.halt_exploration_prob", "0.1", 0, 1, CONFIG_ANY, CONFIG_ARCH, "how often a row is made to go on in training") \
    INT(arch_halt_max_steps,   "arch.halt_max_steps",   "16", 1, 1000000, CONFIG_ANY, CONFIG_ARCH, "segments at most") \
    INT(H_cycles,              "arch.H_cycles",         "2", 1, 10000, CONFIG_ANY, CONFIG_ARCH, "passes of the slow level in a segment") \
    INT(L_cycles,              "arch.L_cycles",         "2", 1, 10000, CONFIG_ANY, CONFIG_ARCH, "passes of the fast level in each of those") \
    INT(H_layers,              "arch.H_layers",         "4", 1, 1024, CONFIG_ANY, CONFIG_ARCH, "blocks of the slow level") \
    INT(L_layers,              "arch.L_layers",         "4", 1, 1024, CONFIG_ANY, CONFIG_ARCH, "blocks of the fast level") \
    INT(hidden_size,           "arch.hidden_size",      "512", 2, 65536, CONFIG_ANY, CONFIG_ARCH, "width, a multiple of num_heads") \
    INT(num_heads,             "arch.num_heads",        "8", 1, 1024, CONFIG_ANY, CONFIG_ARCH, "attention heads") \
    REAL(expansion,            "arch.expansion",        "4", 0.001, 1000, CONFIG_ANY, CONFIG_ARCH, "width of the SwiGLU, times 2/3 of hidden_size") \
    INT(puzzle_emb_ndim,       "arch.puzzle_emb_ndim",  "${.hidden_size}", 0, 1048576, CONFIG_ANY, CONFIG_ARCH, "width of a puzzle's own embedding; 0: none") \
    WORD(pos_encodings,        "arch.pos_encodings",    "rope", "rope|learned", CONFIG_ANY, CONFIG_ARCH, "how positions are told") \
    FLAG(causal,               "arch.causal",           "false", CONFIG_ANY, CONFIG_ARCH, "a position attends to itself and those before it alone") \
    REAL(rms_norm_eps,         "arch.rms_norm_eps",     "1e-5", 1e-12, 1, CONFIG_ANY, CONFIG_ARCH, "of the norms") \
    REAL(rope_theta,           "arch.rope_theta",       "10000", 1, 1e12, CONFIG_ANY, CONFIG_ARCH, "base of the rotary angles") \
    WORD(forward_dtype,        "arch.forward_dtype",    "", "float32|bfloat16|int8", CONFIG_RUNS, CONFIG_FREE, \
         "of the arithmetic [float32 on the CPU, bfloat16 on CUDA]; in eval and solve the others work on the CPU too") \
    TEXT(checkpoint,           "checkpoint",            "", CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL, "the checkpoint, safetensors or PyTorch's; of a folder its newest step") \
    TEXT(load_checkpoint,      "load_checkpoint",       "", CONFIG_TRAIN, 0, "start from the weights in this file, or in the newest step of a folder") \
    TEXT(resume,               "resume",                "", CONFIG_TRAIN, CONFIG_LOCAL, "go on with the run in this folder, exactly where it stopped") \
    FLAG(overwrite,            "overwrite",             "false", CONFIG_TRAIN, CONFIG_LOCAL, "begin a new run in a folder that holds one, which goes once the new one stands") \
    WORD(device,               "device",                "cpu", "cpu|cuda", CONFIG_RUNS, CONFIG_FREE | CONFIG_HERE, "where it runs") \
    INT(threads,               "threads",               "0", 0, 1024, CONFIG_RUNS, CONFIG_FREE | CONFIG_HERE, "threads on the CPU [0: one a processor]; results do not depend on it") \
    INT(steps,                 "steps",                 "", 1, 1e15, CONFIG_TRAIN, CONFIG_MORE, "updates in all, instead of epochs; with resume more than it had goes on past the end") \
    INT(log_interval,          "log_interval",          "10", 1, 1000000000, CONFIG_TRAIN, 0, "steps between lines of metrics.jsonl, each a mean over them") \
    INT(save_interval,         "save_interval",         "1000", 0, 1000000000, CONFIG_TRAIN, CONFIG_FREE, "steps between saves of the whole training state [0: when it stops only]") \
    FLAG(keep_best,            "keep_best",             "false", CONFIG_TRAIN, CONFIG_FREE, "keep the best evaluation's weights as best.safetensors") \
    REAL(early_stop_accuracy,  "early_stop_accuracy",   "0", 0, 1, CONFIG_TRAIN, CONFIG_FREE, "stop once training's exact accuracy stays at or above this [0: never]; 0.99 guards small data sets") \
    INT(early_stop_patience,   "early_stop_patience",   "10", 1, 1000000000, CONFIG_TRAIN, CONFIG_FREE, "for so many logged steps one after the other") \
    FLAG(tensorboard,          "tensorboard",           "true", CONFIG_TRAIN, CONFIG_FREE, "write TensorBoard event files beside metrics.jsonl") \
    WORD(halt,                 "halt",                  "full", "full|adaptive", CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL, \
         "full: always halt_max_steps segments, as published; adaptive: a puzzle stops when the model says so [in solve]") \
    INT(halt_max_steps,        "halt_max_steps",        "", 1, 1000000, CONFIG_EVAL | CONFIG_SOLVE, CONFIG_LOCAL, "segments at most; may exceed training's") \
    FLAG(compare,              "compare",               "true", CONFIG_EVAL, CONFIG_LOCAL, "with halt=adaptive: also run in full, to tell how much accuracy was kept") \
    INT(eval_batch_size,       "eval_batch_size",       "", 1, 1048576, CONFIG_TRAIN | CONFIG_EVAL, CONFIG_FREE | CONFIG_HERE, "puzzles at once in evaluations [at most 64 on the CPU, global_batch_size on CUDA]") \
    INT(eval_examples,         "eval_examples",         "", 1, 1e15, CONFIG_TRAIN | CONFIG_EVAL, CONFIG_FREE | CONFIG_HERE, "evaluate on the first so many examples [all]")

typedef enum config_kind { CONFIG_KIND_INT, CONFIG_KIND_REAL, CONFIG_KIND_FLAG, CONFIG_KIND_WORD, CONFIG_KIND_TEXT } config_kind;

/* The index of each key in `raw`. */
#define CONFIG__NUMBER(field, key, def, low, high, commands, flags, help) CONFIG_##field,
#define CONFIG__FLAG(field, key, def, commands, flags, help) CONFIG_##field,
#define CONFIG__WORD(field, key, def, words, commands, flags, help) CONFIG_##field,
enum config_index { CONFIG_KEYS(CONFIG__NUMBER, CONFIG__NUMBER, CONFIG__FLAG, CONFIG__WORD, CONFIG__FLAG) CONFIG_COUNT };
#undef CONFIG__NUMBER
#undef CONFIG__FLAG
#undef CONFIG__WORD

typedef enum config_origin { CONFIG_DEFAULT, CONFIG_BASE /* all_config.yaml of a run */, CONFIG_FILE /* --config */, CONFIG_COMMAND } config_origin;

typedef struct config_raw { /* a key's value as it was written */
    char          text[TOOL_PATH];
    char          where[96]; /* for messages: "cfg.yaml line 3" */
    config_origin origin;
} config_raw;

#define CONFIG__INT(field, key, def, low, high, commands, flags, help) int64_t field;
#define CONFIG__REAL(field, key, def, low, high, commands, flags, help) double field;
#define CONFIG__FLAG(field, key, def, commands, flags, help) int field;
#define CONFIG__WORD(field, key, def, words, commands, flags, help) int field; /* -1: unset */
#define CONFIG__TEXT(field, key, def, commands, flags, help) char field[TOOL_PATH];
typedef struct config {
    CONFIG_KEYS(CONFIG__INT, CONFIG__REAL, CONFIG__FLAG, CONFIG__WORD, CONFIG__TEXT)
    config_raw raw[CONFIG_COUNT];
    int        command;
    char     **positional; /* what is neither KEY=VALUE nor an option, in order: pointers into argv */
    int        num_positional;
    int        help, show_steps; /* --help, --show-steps */
} config;
#undef CONFIG__INT
#undef CONFIG__REAL
#undef CONFIG__FLAG
#undef CONFIG__WORD
#undef CONFIG__TEXT

/* The keys of a model, as they are named in the library: in both structs under the same name. */
#define CONFIG_MODEL_KEYS(X) \
    X(hidden_size) X(num_heads) X(H_layers) X(L_layers) X(H_cycles) X(L_cycles) X(expansion) X(puzzle_emb_ndim) X(pos_encodings) \
    X(causal) X(rms_norm_eps) X(rope_theta) X(halt_exploration_prob) X(loss_type)

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

int  config_is_set(const config *c, int index); /* by a file or the command line */
void config_help(int command);                  /* prints the keys of a command */
extern const char *const config_model_help; /* how arch.KEY=VALUE is told in the others' help */
/* The text of all_config.yaml, as the public code writes it; free() it. `desc` adds the sizes that come from the data. */
char *config_yaml(const config *c, const hrm_model_desc *desc, size_t *length);
int   config_write(const config *c, const hrm_model_desc *desc, const char *path);

/* One KEY=VALUE, for commands with arguments of their own. */
int config_is_key(const char *argument);
int config_set_argument(config *c, const char *argument);
/* The path itself, or of a folder its newest step_N, N as a number. */
int config_newest_step(char path[TOOL_PATH], const char *file_or_folder);

/* The model's description from the configuration; shapes of the data come from elsewhere. */
void config_model_desc(const config *c, hrm_model_desc *desc);
/* float32 on the CPU unless the command line says otherwise: a file's bfloat16 was meant for a GPU. */
hrm_forward_dtype config_forward_dtype(const config *c);
/* A checkpoint's description: what the file says, or a configuration beside it, its tensors, and what the command line and
 * --config say. A contradiction is refused, naming both and where each is from. What nobody tells is 0. */
int config_merge(const config *c, const char *path, hrm_model_desc *merged, hrm_sources *sources);
/* The same, and refused unless all is known but seq_len; taken over into `c`, for a run from it. */
int config_checkpoint(config *c, const char *path, hrm_model_desc *merged, hrm_sources *sources);
/* A model of what config_checkpoint told, on the device and in the type of `c`; seq_len of the data. Says where its
 * configuration came from. */
int config_load_model(const config *c, hrm_model **model, const char *path, const hrm_model_desc *merged, const hrm_sources *sources,
                      int seq_len);
/* The inverse of config_model_desc, for writing a configuration beside a checkpoint, with what its run's own said besides. */
int config_from_desc(config *c, const hrm_model_desc *desc);
int config_read_run(config *c, const char *checkpoint);

#endif
