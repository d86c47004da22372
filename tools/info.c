/* hrm info FILE: what a checkpoint holds. The tensors stay in the mapped file: nothing is loaded. */
#include "config.h"

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

static void print_line(const char *key, const char *value, const hrm_sources *sources)
{
    const char *from = hrm_sources_of(sources, key);
    if (from && strcmp(from, "the description") == 0) from = "the command line";
    if (from) printf("  %-24s  %-23s  %s\n", key, value, from);
    else printf("  %-24s  %s\n", key, strcmp(key, "seq_len") == 0 ? "not stated; its data set tells it" : "not stated");
}

static void print_config(const hrm_model_desc *d, const hrm_sources *sources)
{
    char text[40];
    const char *from = hrm_sources_of(sources, NULL);
    printf("  %-24s  %s\n", "configuration", from ? from : "none: no metadata, no file beside it");
#define PRINT(key, value) print_line(#key, value, sources);
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
    PRINT(pos_encodings, d->pos_encodings == HRM_LEARNED ? "learned" : "rope")
    PRINT_NUMBER(rms_norm_eps)
    if (d->pos_encodings == HRM_ROPE) PRINT_NUMBER(rope_theta)
    PRINT(causal, d->causal ? "true" : "false")
    PRINT_NUMBER(halt_max_steps)
    PRINT(halt_exploration_prob, tool_number_float(text, d->no_halt_exploration ? 0 : d->halt_exploration_prob))
    PRINT(loss_type, d->loss_type == HRM_SOFTMAX_CROSS_ENTROPY ? "softmax_cross_entropy" : "stablemax_cross_entropy")
#undef PRINT
#undef PRINT_NUMBER
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
    char number[32];
    for (size_t i = 0; i < hrm_tensors_count(file); i++) {
        const char *name = hrm_tensors_model_name(file, hrm_tensors_at(file, i));
        size_t n = name ? strlen(name) : 0;
        if (n > width) width = n < 72 ? n : 72;
    }
    printf("\n  %-*s  %-16s %-5s %14s  %s\n", (int)width, "tensor", "shape", "dtype", "elements", "role");
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
        printf("  %-*s  %-16s %-5s %14s  %s\n", (int)width, hrm_tensors_model_name(file, t), shape, hrm_dtype_name(t->dtype),
               grouped(number, elements(t)), role);
    }
    printf("\n  %-*s  %s\n", (int)width, "parameters, trained", grouped(number, sums[0]));
    printf("  %-*s  %s\n", (int)width, "puzzle table", grouped(number, sums[2]));
    printf("  %-*s  %s\n", (int)width, "buffers", grouped(number, sums[1]));
    if (sums[3]) printf("  %-*s  %s (moments, carry)\n", (int)width, "training state", grouped(number, sums[3]));
}

static int print_info(const config *c, const char *path, const hrm_tensors *file)
{
    hrm_model_desc desc, defaults = {0};
    hrm_sources sources;
    int status = config_merge(c, path, &desc, &sources);
    if (status != TOOL_OK) return status;
    config_model_desc(c, &defaults);
    if (desc.rms_norm_eps <= 0) desc.rms_norm_eps = defaults.rms_norm_eps;
    if (desc.rope_theta <= 0) desc.rope_theta = defaults.rope_theta;
    if (!desc.no_halt_exploration && desc.halt_exploration_prob <= 0)
        desc.halt_exploration_prob = defaults.halt_exploration_prob;
    const char *step = hrm_tensors_metadata(file, "step");
    printf("%s: %s, %zu tensors\n\n", path, hrm_tensors_is_torch(file) ? "PyTorch" : "safetensors", hrm_tensors_count(file));
    print_config(&desc, &sources);
    print_dtypes(file);
    if (step) printf("  %-24s  %s\n", "training step", step);
    else if (tool_step_of(path) >= 0) printf("  %-24s  %lld\n", "training step", (long long)tool_step_of(path));
    print_tensors(file);
    if (!desc.seq_len) desc.seq_len = 1; /* its data set tells it */
    return hrm_checkpoint_complete(&desc, path) == HRM_OK ? TOOL_OK : tool_failed();
}

static int run(config *c)
{
    hrm_tensors *file;
    char path[TOOL_PATH];
    if (c->num_positional != 1) return tool_usage("info: expected one FILE, found %d", c->num_positional);
    int status = config_newest_step(path, c->positional[0]);
    if (status != TOOL_OK) return status;
    if (hrm_tensors_open(&file, path, NULL) != HRM_OK) return tool_failed();
    status = print_info(c, path, file);
    hrm_tensors_close(file);
    return status;
}

static void print_usage(void)
{
    printf("usage: hrm info FILE [arch.KEY=VALUE…]\n\n"
           "Shows a checkpoint's configuration with where each value is from, its tensors and their total, dtype and training "
           "step.\n"
           "Of a folder it takes the newest step_N. It ends with 1 when something that its model needs is not known.\n\n");
    config_help(CONFIG_INFO);
}

int command_info(int argc, char **argv) { return config_command(CONFIG_INFO, argc, argv, print_usage, run); }
