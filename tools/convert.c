/* hrm convert SRC DST: between safetensors and PyTorch's zip. Tensors go from the mapped source straight into the new file. */
#include "config.h"
#include "grid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct conversion {
    config *c; /* what the command line says of the model */
    char source[TOOL_PATH];
    const char *target, *prefix;          /* prefix NULL: the public one in PyTorch files, none in safetensors */
    hrm_dtype   dtype;                    /* HRM_DTYPE_COUNT: as they are */
    int         seq_len;                  /* 0: as stated */
    int         to_torch;
} conversion;

static const char *const usage =
    "usage: hrm convert SRC DST [--dtype f32|bf16|f16] [--prefix TEXT] [--seq-len N]\n"
    "                   [arch.KEY=VALUE…]\n\n"
    "DST ending in .safetensors is written as safetensors with the configuration in\n"
    "its metadata; .pt, .pth, .bin, step_N and names without an ending as a PyTorch\n"
    "file, keys prefixed as the public code expects (_orig_mod.model.), with its\n"
    "configuration beside it as NAME.yaml (the public code looks for it as\n"
    "all_config.yaml). SRC may be either, a training state, whose weights are taken,\n"
    "or a folder, whose newest step_N is. A vocabulary (hrm data grid) goes from\n"
    "safetensors to safetensors; PyTorch's files have no place for it.\n\n";

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int parse_arguments(conversion *v, int argc, char **argv)
{
    const char *source = NULL;
    int files = 0, status;
    v->dtype = HRM_DTYPE_COUNT;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strncmp(option, "--", 2) != 0 && config_is_key(option)) {
            status = config_set_argument(v->c, option);
            if (status != TOOL_OK) return status;
            continue;
        }
        if (strncmp(option, "--", 2) != 0) {
            if (files == 2) return tool_usage("convert: \"%.80s\" is one file too many", option);
            if (files++ == 0) source = option;
            else v->target = option;
            continue;
        }
        size_t name = strcspn(option, "=");
        const char *value = option[name] == '=' ? option + name + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value) return tool_usage("convert: %.80s has no value", option);
        if (strcmp(option, "--config") == 0 || strncmp(option, "--config=", 9) == 0) {
            status = config_read_file(v->c, value, CONFIG_FILE);
            if (status != TOOL_OK) return status;
        } else if (strncmp(option, "--dtype", name) == 0 && name == 7) {
            static const char *const words[] = {"f32", "bf16", "f16"};
            static const hrm_dtype types[] = {HRM_F32, HRM_BF16, HRM_F16};
            for (int k = 0; k < 3; k++)
                if (strcmp(value, words[k]) == 0) v->dtype = types[k];
            if (v->dtype == HRM_DTYPE_COUNT)
                return tool_usage("convert: --dtype is \"%.40s\", expected f32, bf16 or f16", value);
        } else if (strncmp(option, "--prefix", name) == 0 && name == 8) {
            if (strlen(value) > 64) return tool_usage("convert: --prefix has %zu letters, expected 64 at most", strlen(value));
            v->prefix = value;
        } else if (strncmp(option, "--seq-len", name) == 0 && name == 9) {
            char *rest;
            long  length = strtol(value, &rest, 10);
            if (length < 1 || length > 1 << 20 || *rest)
                return tool_usage("convert: --seq-len is \"%.40s\", expected 1 to %d", value, 1 << 20);
            v->seq_len = (int)length;
        } else {
            return tool_usage("convert: no option \"%.80s\"; there are --dtype, --prefix, --seq-len and --config", option);
        }
    }
    if (files < 2) return tool_usage("convert: expected SRC and DST");
    if (strlen(v->target) >= TOOL_PATH) return tool_usage("convert: %.80s…: the path is too long", v->target);
    const char *dot = strrchr(tool_basename(v->target), '.');
    if (ends_with(v->target, ".safetensors")) v->to_torch = 0;
    else if (!dot || ends_with(v->target, ".pt") || ends_with(v->target, ".pth") || ends_with(v->target, ".bin"))
        v->to_torch = 1;
    else return tool_usage("convert: \"%.80s\" tells no format; end it in .safetensors or .pt", v->target);
    status = config_finish(v->c);
    return status == TOOL_OK ? config_newest_step(v->source, source) : status;
}

static int write_config(const conversion *v, const hrm_model_desc *desc, const char *path)
{
    /* as the source's run said it, with what the model is */
    config *c = config_create(CONFIG_TRAIN);
    if (!c) return TOOL_ERROR;
    int status = config_read_run(c, v->source);
    if (status == TOOL_OK) status = config_from_desc(c, desc);
    if (status == TOOL_OK) status = config_finish(c);
    if (!*c->data_path) strcpy(c->data_path, "data"); /* the public code asks for one */
    if (status == TOOL_OK) status = config_write(c, desc, path);
    config_free(c);
    return status;
}

static int may_replace(const char *path)
{
    /* NAME.yaml may be another's file, which is no configuration of a model */
    hrm_json_document *doc;
    if (!tool_exists(path)) return TOOL_OK;
    hrm_status status = hrm_json_open(&doc, path, NULL);
    if (status == HRM_ERR_IO || status == HRM_ERR_MEMORY) return tool_failed();
    int ours = status == HRM_OK;
    if (ours) {
        ours = hrm_json_get(hrm_json_root(doc), "arch") != NULL;
        hrm_json_close(doc);
    }
    return ours ? TOOL_OK
                : tool_error("%s: it holds no model's configuration and would be written over; choose another name for DST",
                             path);
}

static int put_in_place(const char *from[2], const char *to[2], const char *before)
{
    /* both files, or neither and all as it was; before: a name for what to[0] was meanwhile */
    int had = tool_exists(to[0]), moved = 0;
    if (had && rename(to[0], before) != 0)
        return tool_error("%s: renaming to %s failed: %s", to[0], before, strerror(errno));
    for (; moved < 2; moved++) {
#ifdef _WIN32
        if (moved) remove(to[1]); /* nothing is renamed over a file there */
#endif
        if (rename(from[moved], to[moved]) != 0) break;
    }
    int reason = errno;
    if (moved == 1) remove(to[0]);
    if (had && moved == 2) remove(before);
    if (had && moved < 2 && rename(before, to[0]) != 0)
        tool_note("%s: renaming back to %s failed: %s", before, to[0], strerror(errno));
    return moved == 2 ? TOOL_OK
                      : tool_error("%s: renaming to %s failed: %s", from[moved], to[moved], strerror(reason));
}

static int write_torch(const conversion *v, const hrm_tensor *tensors, size_t count, const hrm_model_desc *desc)
{
    /* a PyTorch file cannot carry its configuration: NAME.yaml. Both are written under other names before they take their
     * places */
    enum { ROOM = TOOL_PATH + 16 };
    char path[TOOL_PATH + 8], settings[ROOM], weights[ROOM], before[ROOM];
    const char *from[2] = {settings, weights}, *to[2] = {path, v->target};
    struct stat there;
    snprintf(path, sizeof path, "%s", v->target);
    char *dot = strrchr(path, '.');
    if (dot && dot > path + (tool_basename(path) - path)) *dot = 0;
    strcat(path, ".yaml");
    snprintf(settings, ROOM, "%s.new", path);
    snprintf(before, ROOM, "%s.hrm-old", path);
    snprintf(weights, ROOM, "%s.new", v->target);
    int status = may_replace(path);
    if (status == TOOL_OK && stat(v->target, &there) == 0 && !S_ISREG(there.st_mode)) /* renaming over it would be a mischief */
        status = tool_error("%s: cannot be written: it is not a regular file", v->target);
    if (status != TOOL_OK) return status;
    status = write_config(v, desc, settings);
    if (status == TOOL_OK && hrm_torch_save(weights, tensors, count, v->dtype, NULL) != HRM_OK) status = tool_failed();
    if (status == TOOL_OK) status = put_in_place(from, to, before);
    if (status != TOOL_OK) {
        remove(settings);
        remove(weights);
    }
    return status;
}

static int write_target(const conversion *v, const hrm_tensors *file, const hrm_tensor *tensors, size_t count)
{
    hrm_model_desc desc;
    hrm_sources sources;
    char text[4096], step[24];
    int status = config_checkpoint(v->c, v->source, &desc, &sources);
    if (status != TOOL_OK) return status;
    if (v->seq_len && desc.seq_len && v->seq_len != desc.seq_len)
        return tool_error("--seq-len is %d, but %d in %s (%s)", v->seq_len, desc.seq_len, v->source,
                          hrm_sources_of(&sources, "seq_len"));
    if (v->seq_len) desc.seq_len = v->seq_len;
    const char *known = hrm_tensors_metadata(file, "step"), *vocabulary = hrm_tensors_metadata(file, GRID_VOCABULARY);
    if (v->to_torch) {
        status = write_torch(v, tensors, count, &desc);
        if (status == TOOL_OK && vocabulary)
            tool_note("%s: PyTorch's files have no place for the vocabulary; hrm solve grid needs data_path=DIR with it",
                      v->target);
        return status;
    }
    snprintf(step, sizeof step, "%lld", (long long)tool_step_of(v->source));
    config_metadata(text, sizeof text, &desc);
    hrm_metadata metadata[4] = {{"format", "pt"}, {"hrm.config", text}};
    size_t n = 2;
    if (known || tool_step_of(v->source) >= 0) metadata[n].key = "step", metadata[n++].value = known ? known : step;
    if (vocabulary) metadata[n].key = GRID_VOCABULARY, metadata[n++].value = vocabulary;
    return hrm_safetensors_save(v->target, tensors, count, metadata, n, v->dtype, NULL) == HRM_OK ? TOOL_OK : tool_failed();
}

static int convert(const conversion *v, const hrm_tensors *file)
{
    enum { NAME = 256 };
    size_t count = hrm_tensors_count(file), kept = 0;
    hrm_tensor *tensors = (hrm_tensor *)calloc(count + 1, sizeof *tensors);
    char *names = (char *)calloc(count + 1, NAME);
    const char *prefix = v->prefix ? v->prefix : v->to_torch ? "_orig_mod.model." : "";
    int status = tensors && names ? TOOL_OK : tool_error("no memory for %zu tensors", count);
    for (size_t i = 0; status == TOOL_OK && i < count; i++) {
        const hrm_tensor *t = hrm_tensors_at(file, i);
        const char *plain = hrm_tensors_model_name(file, t);
        if (!plain) continue;
        char *name = names + kept * NAME;
        if (snprintf(name, NAME, "%s%s", prefix, plain) >= NAME)
            status = tool_error("%s: the name of tensor %zu is too long", v->source, i);
        tensors[kept] = *t;
        tensors[kept++].name = name;
    }
    if (status == TOOL_OK) status = write_target(v, file, tensors, kept);
    free(names);
    free(tensors);
    return status;
}

static int run(conversion *v, int argc, char **argv)
{
    hrm_tensors *file;
    int status = parse_arguments(v, argc, argv);
    if (status != TOOL_OK) return status;
    if (hrm_tensors_open(&file, v->source, NULL) != HRM_OK) return tool_failed();
    status = convert(v, file);
    hrm_tensors_close(file);
    return status;
}

int command_convert(int argc, char **argv)
{
    conversion v;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return fputs(usage, stdout), config_help(CONFIG_CONVERT), TOOL_OK;
    memset(&v, 0, sizeof v);
    v.c = config_create(CONFIG_CONVERT);
    if (!v.c) return TOOL_ERROR;
    int status = run(&v, argc, argv);
    config_free(v.c);
    return status;
}
