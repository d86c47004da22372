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

static const char *plain_name(const char *name)
{
    /* without the prefixes torch.compile and the loss head leave */
    if (strncmp(name, "_orig_mod.", 10) == 0) name += 10;
    if (strncmp(name, "model.", 6) == 0) name += 6;
    return name;
}

static const char *role_of(const char *name)
{
    name = plain_name(name);
    if (strncmp(name, "inner.", 6) != 0) return "state"; /* moments, carry: of a run that goes on */
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

static void print_value(const char *key, double value)
{
    /* 0 in a description: the file does not say */
    char text[40];
    printf("  %-24s  %s\n", key, value > 0 ? tool_number_float(text, (float)value) : "not stated");
}

static void print_config(const hrm_model_desc *d)
{
    char text[40];
    if (d->seq_len) printf("  %-24s  %d\n", "seq_len", d->seq_len);
    else printf("  %-24s  not stated; its data set tells it\n", "seq_len");
    printf("  %-24s  %d\n", "vocab_size", d->vocab_size);
    printf("  %-24s  %d\n", "num_puzzle_identifiers", d->num_puzzle_identifiers);
    printf("  %-24s  %d\n", "puzzle_emb_ndim", d->no_puzzle_emb ? 0 : d->puzzle_emb_ndim);
    print_value("hidden_size", d->hidden_size);
    print_value("num_heads", d->num_heads);
    print_value("H_layers", d->H_layers);
    print_value("L_layers", d->L_layers);
    print_value("H_cycles", d->H_cycles);
    print_value("L_cycles", d->L_cycles);
    print_value("expansion", (double)d->expansion);
    printf("  %-24s  %s\n", "pos_encodings", d->pos_encodings == HRM_LEARNED ? "learned" : "rope");
    print_value("rms_norm_eps", (double)d->rms_norm_eps);
    if (d->pos_encodings == HRM_ROPE) print_value("rope_theta", (double)d->rope_theta);
    print_value("halt_max_steps", d->halt_max_steps);
    if (d->no_halt_exploration) printf("  %-24s  %s\n", "halt_exploration_prob", tool_number(text, 0));
    else print_value("halt_exploration_prob", (double)d->halt_exploration_prob);
    printf("  %-24s  %s\n", "loss_type",
           d->loss_type == HRM_SOFTMAX_CROSS_ENTROPY ? "softmax_cross_entropy" : "stablemax_cross_entropy");
}

static void print_dtypes(const hrm_tensors *file)
{
    int seen = 0;
    printf("  %-24s  ", "dtype");
    for (int type = 0; type < HRM_DTYPE_COUNT; type++)
        for (size_t i = 0; i < hrm_tensors_count(file); i++)
            if ((int)hrm_tensors_at(file, i)->dtype == type && strcmp(role_of(hrm_tensors_at(file, i)->name), "state") != 0) {
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
        size_t n = strlen(plain_name(hrm_tensors_at(file, i)->name));
        if (n > width) width = n < 72 ? n : 72;
    }
    printf("\n  %-*s  %-16s %-5s %14s  %s\n", (int)width, "tensor", "shape", "dtype", "elements", "role");
    for (size_t i = 0; i < hrm_tensors_count(file); i++) {
        const hrm_tensor *t = hrm_tensors_at(file, i);
        const char *role = role_of(t->name);
        char shape[160] = "";
        size_t at = 0;
        for (int d = 0; d < t->ndim; d++)
            at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%lld", d ? " x " : "", (long long)t->shape[d]);
        for (int r = 0; r < 4; r++)
            if (strcmp(role, roles[r]) == 0) sums[r] += elements(t);
        if (strcmp(role, "state") == 0) continue;
        printf("  %-*s  %-16s %-5s %14s  %s\n", (int)width, plain_name(t->name), shape, hrm_dtype_name(t->dtype),
               grouped(number, elements(t)), role);
    }
    printf("\n  %-*s  %s\n", (int)width, "parameters, trained", grouped(number, sums[0]));
    printf("  %-*s  %s\n", (int)width, "puzzle table", grouped(number, sums[2]));
    printf("  %-*s  %s\n", (int)width, "buffers", grouped(number, sums[1]));
    if (sums[3]) printf("  %-*s  %s (moments, carry)\n", (int)width, "training state", grouped(number, sums[3]));
}

static int print_info(const char *path, const hrm_tensors *file)
{
    hrm_model_desc desc;
    if (hrm_checkpoint_describe(&desc, path, NULL) != HRM_OK) return tool_failed();
    const char *step = hrm_tensors_metadata(file, "step");
    printf("%s: %s, %zu tensors\n\n", path, hrm_tensors_is_torch(file) ? "PyTorch" : "safetensors", hrm_tensors_count(file));
    print_config(&desc);
    print_dtypes(file);
    if (step) printf("  %-24s  %s\n", "training step", step);
    else if (tool_step_of(path) >= 0) printf("  %-24s  %lld\n", "training step", (long long)tool_step_of(path));
    print_tensors(file);
    return TOOL_OK;
}

int command_info(int argc, char **argv)
{
    hrm_tensors *file;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("usage: hrm info FILE\n\nShows a checkpoint's configuration, its tensors and their total, dtype and training "
               "step.\n");
        return TOOL_OK;
    }
    if (argc != 2) return tool_usage("usage: hrm info FILE");
    if (hrm_tensors_open(&file, argv[1], NULL) != HRM_OK) return tool_failed();
    int status = print_info(argv[1], file);
    hrm_tensors_close(file);
    return status;
}
