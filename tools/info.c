/* hrm info FILE: what a checkpoint holds. The tensors stay in the mapped file: nothing is loaded.
 * hrm info arch=NAME: what a model would be. Nothing is made. */
#include "config.h"
#include "grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t elements(const hrm_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
    return n;
}

static const char *role_of(const hrm_tensors *file, const hrm_tensor *t)
{
    const char *name = hrm_tensors_model_name(file, t);
    if (!name) return "state"; /* moments, carry: of a run that goes on */
    if (strcmp(name, "inner.puzzle_emb.weights") == 0) return "puzzle table";
    if (strcmp(name, "inner.H_init") == 0 || strcmp(name, "inner.L_init") == 0) return "buffer";
    return "trained";
}

static char *grouped(char text[32], int64_t n)
{
    /* 27275266 -> 27,275,266 */
    char plain[32];
    int length = snprintf(plain, sizeof plain, "%lld", (long long)n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = plain[i];
    }
    text[at] = 0;
    return text;
}

static void print_count(const char *what, double n)
{
    char number[32];
    printf("  %-44s  %18s\n", what, grouped(number, (int64_t)n));
}

/* Who told the values: a checkpoint's sources, or without one the command. */
typedef struct teller { const hrm_sources *sources; const config *c; const char *data; } teller;

static const char *told_by(const teller *t, const char *key)
{
    const char *from = t->sources ? hrm_sources_of(t->sources, key) : config_teller(t->c, key);
    if (!t->sources && !from) return t->data; /* seq_len and the like */
    return from && strcmp(from, "the description") == 0 ? "the command line" : from;
}

static void print_line(const char *key, const char *value, const teller *t)
{
    const char *from = told_by(t, key);
    if (from) printf("  %-24s  %-23s  %s\n", key, value, from);
    else printf("  %-24s  %s\n", key, strcmp(key, "seq_len") == 0 ? "not stated; its data set tells it" : "not stated");
}

static const char *word_of(char text[40], const char *words, int i)
{
    for (; i > 0; i--) words += strcspn(words, "|") + 1;
    snprintf(text, 40, "%.*s", (int)strcspn(words, "|"), words);
    return text;
}

static void print_config(const hrm_model_desc *d, const teller *t)
{
    char text[40];
#define PRINT(key, value) print_line(#key, value, t);
#define PRINT_NUMBER(key) PRINT(key, tool_number_float(text, (float)d->key))
    PRINT_NUMBER(seq_len)
    PRINT_NUMBER(vocab_size)
    PRINT_NUMBER(num_puzzle_identifiers)
    PRINT(puzzle_emb_ndim, tool_number_float(text, d->no_puzzle_emb ? 0 : (float)d->puzzle_emb_ndim))
    PRINT_NUMBER(hidden_size)
    PRINT_NUMBER(num_heads)
    PRINT_NUMBER(H_layers)
    PRINT_NUMBER(L_layers)
    PRINT_NUMBER(H_cycles)
    PRINT_NUMBER(L_cycles)
    PRINT_NUMBER(expansion)
    PRINT(pos_encodings, word_of(text, "rope|learned|none", (int)d->pos_encodings))
    PRINT_NUMBER(rms_norm_eps)
    if (d->pos_encodings == HRM_ROPE && !d->mlp_t) PRINT_NUMBER(rope_theta)
    PRINT(causal, d->causal > 0 ? "true" : "false")
    PRINT_NUMBER(halt_max_steps)
    PRINT(halt_exploration_prob, tool_number_float(text, d->no_halt_exploration ? 0 : d->halt_exploration_prob))
    PRINT(loss_type, d->loss_type == HRM_SOFTMAX_CROSS_ENTROPY ? "softmax_cross_entropy" : "stablemax_cross_entropy")
    /* of the family what is not HRM's; a 0 that nobody said is the default */
#define FAMILY_INT(field, standard, low, high, none, help)   if (d->field != standard) PRINT_NUMBER(field)
#define FAMILY_FLOAT(field, standard, low, high, none, help)                                                                   \
    if (d->field != (float)standard && (d->field > 0 || d->none > 0)) PRINT_NUMBER(field)
#define FAMILY_FLAG(field, help)                             if (d->field > 0) PRINT(field, "true")
#define FAMILY_WORD(field, words, help)                                                                                        \
    if ((int)d->field > 0) PRINT(field, word_of(text, words, (int)d->field))
#define FAMILY(a, kind, key, ...)                            FAMILY_##kind(__VA_ARGS__)
    HRM_FAMILY_KEYS(FAMILY, 0)
#undef PRINT
#undef PRINT_NUMBER
}

/* ---- what a model is and takes ---------------------------------------------------------------------------------------- */
static void print_parts(const hrm_model_desc *d, int totals)
{
    char text[64];
    double D = d->hidden_size, V = d->vocab_size, width = ceil(rint((double)d->expansion * D * 2 / 3) / 256) * 256;
    double P = d->puzzle_emb_len ? d->puzzle_emb_len : ceil(d->puzzle_emb_ndim / D),
           S = d->seq_len + (d->no_puzzle_emb ? 0 : P);
    double mixed = ceil(rint((double)d->expansion * S * 2 / 3) / 256) * 256;
    double first = d->mlp_t ? 3 * S * mixed : 4 * D * D, second = 3 * D * width,
           positions = d->pos_encodings == HRM_LEARNED ? S * D : 0;
    int blocks = d->L_layers + (d->one_network ? 0 : d->H_layers);
    if (totals) print_count("parameters, trained", 2 * V * D + 2 * D + 2 + positions + blocks * (first + second));
    print_count("  tokens' embedding and lm_head", 2 * V * D);
    if (positions > 0) print_count("  positions' embedding", positions);
    print_count("  q_head", 2 * D + 2);
    for (int fast = d->one_network; fast < 2; fast++) {
        int layers = fast ? d->L_layers : d->H_layers;
        snprintf(text, sizeof text, "  %s, %d block%s", d->one_network ? "the network" : fast ? "L_level" : "H_level", layers,
                 layers == 1 ? "" : "s");
        print_count(text, layers * (first + second));
    }
    print_count(d->mlp_t ? "    of a block: SwiGLU over positions" : "    of a block: attention", first);
    print_count("    of a block: SwiGLU", second);
    if (!totals) return; /* they were counted in the file */
    print_count("puzzle table", d->no_puzzle_emb ? 0 : (double)d->num_puzzle_identifiers * d->puzzle_emb_ndim);
    print_count("buffers", 2 * D);
}

static const char *scaled(char text[40], double x, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    int i = 0;
    while (x >= 1000 && i < 5) x /= 1000, i++;
    snprintf(text, 40, "%.3g %s%s", x, prefixes[i], unit);
    return text;
}

static int print_cost(const config *c, const hrm_model_desc *d, int totals)
{
    char a[40], b[64];
    hrm_memory memory, one;
    hrm_train_desc how;
    int slow = d->one_network ? d->L_layers : d->H_layers;
    config_work work = config_work_of(d, c->activation_checkpointing);
    config_train_desc(c, &how);
    print_parts(d, totals);
    if (hrm_trainer_memory(&memory, d, &how) != HRM_OK || hrm_model_memory(&one, d, 1) != HRM_OK) return tool_failed();
    snprintf(b, sizeof b, "memory to train, %d rows a step", how.batch_size);
    printf("\n  %-44s  %18s\n", b, scaled(a, (double)(memory.model + memory.train), "B"));
    printf("  %-44s  %18s\n", "memory to solve one puzzle", scaled(a, (double)(one.model + one.solve), "B"));
    printf("  %-44s  %18s\n", "a segment forward, one puzzle", scaled(a, work.forward, "FLOP"));
    printf("  %-44s  %18s\n", "a segment in training, one puzzle", scaled(a, work.train, "FLOP"));
    printf("  %-44s  %18s\n", "a training step", scaled(a, work.train * how.batch_size, "FLOP"));
    snprintf(a, sizeof a, "%d layers", work.layers * d->halt_max_steps);
    printf("  %-44s  %18s\n", "effective depth, all segments", a);
    printf("    %d segments of %d H cycles of %d x %d blocks for L and %d for H\n", d->halt_max_steps, d->H_cycles, d->L_cycles,
           d->L_layers, slow);
    return TOOL_OK;
}

static void print_dtypes(const hrm_tensors *file)
{
    int seen = 0;
    printf("  %-24s  ", "dtype");
    for (int type = 0; type < HRM_DTYPE_COUNT; type++)
        for (size_t i = 0; i < hrm_tensors_count(file); i++)
            if ((int)hrm_tensors_at(file, i)->dtype == type && strcmp(role_of(file, hrm_tensors_at(file, i)), "state") != 0) {
                printf("%s%s", seen++ ? ", " : "", hrm_dtype_name((hrm_dtype)type));
                break;
            }
    printf("\n");
}

static void print_tensors(const hrm_tensors *file)
{
    static const char *const roles[] = {"trained", "buffer", "puzzle table", "state"};
    int64_t sums[4] = {0, 0, 0, 0};
    size_t width = 20;
    for (size_t i = 0; i < hrm_tensors_count(file); i++) {
        const char *name = hrm_tensors_model_name(file, hrm_tensors_at(file, i));
        size_t n = name ? strlen(name) : 0;
        if (n > width) width = n < 72 ? n : 72;
    }
    printf("\n  %-*s  %-12s  %-5s  %s\n", (int)width, "tensor", "shape", "dtype", "role");
    for (size_t i = 0; i < hrm_tensors_count(file); i++) {
        const hrm_tensor *t = hrm_tensors_at(file, i);
        const char *role = role_of(file, t);
        char shape[160] = "";
        size_t at = 0;
        for (int d = 0; d < t->ndim; d++)
            at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%lld", d ? " x " : "", (long long)t->shape[d]);
        for (int r = 0; r < 4; r++)
            if (strcmp(role, roles[r]) == 0) sums[r] += elements(t);
        if (strcmp(role, "state") == 0) continue;
        printf("  %-*s  %-12s  %-5s  %s\n", (int)width, hrm_tensors_model_name(file, t), shape, hrm_dtype_name(t->dtype), role);
    }
    printf("\n");
    print_count("puzzle table", (double)sums[2]);
    print_count("buffers", (double)sums[1]);
    if (sums[3]) print_count("training state (moments, carry)", (double)sums[3]);
    print_count("parameters, trained", (double)sums[0]);
}

static void print_vocabulary(const hrm_tensors *file, const char *path)
{
    const char *text = hrm_tensors_metadata(file, GRID_VOCABULARY);
    grid_vocabulary v;
    if (!text || grid_vocabulary_parse(&v, text, strlen(text), path) != TOOL_OK) return;
    printf("  %-24s  ", "grids");
    if (v.least_rows < v.rows || v.least_cols < v.cols) printf("%d x %d to ", v.least_rows, v.least_cols);
    printf("%d x %d of", v.rows, v.cols);
    for (int32_t i = 1; i < v.count && i <= 20; i++) printf(" %s", v.tokens[i]);
    printf("%s\n", v.count > 21 ? " ..." : "");
    grid_vocabulary_close(&v);
}

static int print_info(const config *c, const char *path, const hrm_tensors *file, int seq_len)
{
    hrm_model_desc desc, defaults = {0};
    hrm_sources sources;
    teller who = {&sources, c, NULL};
    int status = config_merge(c, path, &desc, &sources);
    if (status != TOOL_OK) return status;
    config_model_desc(c, &defaults);
    if (desc.rms_norm_eps <= 0) desc.rms_norm_eps = defaults.rms_norm_eps;
    if (desc.rope_theta <= 0) desc.rope_theta = defaults.rope_theta;
    if (!desc.no_halt_exploration && desc.halt_exploration_prob <= 0)
        desc.halt_exploration_prob = defaults.halt_exploration_prob;
    const char *step = hrm_tensors_metadata(file, "step"), *from = hrm_sources_of(&sources, NULL);
    printf("%s: %s, %zu tensors\n\n", path, hrm_tensors_is_torch(file) ? "PyTorch" : "safetensors", hrm_tensors_count(file));
    printf("  %-24s  %s\n", "configuration", from ? from : "none: no metadata, no file beside it");
    print_config(&desc, &who);
    print_dtypes(file);
    print_vocabulary(file, path);
    if (step) printf("  %-24s  %s\n", "training step", step);
    else if (tool_step_of(path) >= 0) printf("  %-24s  %lld\n", "training step", (long long)tool_step_of(path));
    print_tensors(file);
    if (seq_len && desc.seq_len && seq_len != desc.seq_len)
        return tool_error("%s: seq_len is %d, but %d in %s", c->data_path, seq_len, desc.seq_len, path);
    if (seq_len) desc.seq_len = seq_len;
    int length = desc.seq_len;
    if (!length) desc.seq_len = 1; /* its data set tells it */
    if (hrm_checkpoint_complete(&desc, path) != HRM_OK) return tool_failed();
    return length ? print_cost(c, &desc, 0) : TOOL_OK;
}

static int print_arch(const config *c, const hrm_dataset *data)
{
    /* a model as the keys say it, for the data set, or for one like the published Sudoku's */
    hrm_model_desc desc;
    teller who = {NULL, c, data ? c->data_path : "as of 9x9 Sudoku"};
    memset(&desc, 0, sizeof desc);
    if (data) desc = hrm_model_desc_for(data);
    else desc.seq_len = 81, desc.vocab_size = 11, desc.num_puzzle_identifiers = 1;
    config_model_desc(c, &desc);
    desc.device = (hrm_device_kind)c->device;
    config_dtypes(c, &desc);
    printf("arch=%s%s\n\n", c->arch, data ? "" : ", for 9x9 Sudoku; with data_path=DIR for that data set");
    print_config(&desc, &who);
    config_print_named(c);
    printf("\n");
    return print_cost(c, &desc, 1);
}

static int run(config *c)
{
    hrm_tensors *file;
    hrm_dataset *data = NULL;
    char path[TOOL_PATH];
    int named = *c->arch && c->num_positional == 0;
    if (!named && c->num_positional != 1)
        return tool_usage("info: expected one FILE or arch=NAME, found %d", c->num_positional);
    int status = named ? TOOL_OK : config_newest_step(path, c->positional[0]), given = *c->data_path != 0;
    if (status == TOOL_OK && given && hrm_dataset_open(&data, c->data_path, "train", NULL) != HRM_OK) return tool_failed();
    if (status == TOOL_OK && named) status = print_arch(c, data);
    if (status == TOOL_OK && !named) {
        status = config_read_run(c, path); /* how it was trained */
        if (status == TOOL_OK && hrm_tensors_open(&file, path, NULL) != HRM_OK) status = tool_failed();
        else if (status == TOOL_OK) {
            status = print_info(c, path, file, data ? hrm_dataset_describe(data)->seq_len : 0);
            hrm_tensors_close(file);
        }
    }
    if (data) hrm_dataset_close(data);
    return status;
}

static void print_usage(void)
{
    printf("usage: hrm info FILE [data_path=DIR] [KEY=VALUE…]\n"
           "       hrm info arch=NAME [data_path=DIR] [KEY=VALUE…]\n\n"
           "Shows a checkpoint's configuration with where each value is from, its tensors\n"
           "and their total, dtype and training step. Of a folder it takes the newest\n"
           "step_N. It ends with 1 when something that its model needs is not known.\n"
           "Of it, or of a model by name: parameters by part, memory to train and to solve,\n"
           "floating-point operations of a segment, and the depth in layers that a puzzle\n"
           "goes through in all segments.\n\n");
    config_help(CONFIG_INFO);
}

int command_info(int argc, char **argv) { return config_command(CONFIG_INFO, argc, argv, print_usage, run); }
