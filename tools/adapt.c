/* hrm adapt: a model meets the test's puzzles by their demonstrations. It is `hrm train` from a checkpoint, on the groups of
 * the training split whose puzzles the test split has too (of ARC the demonstration pairs of the test tasks), by default with
 * frozen weights, so that only these puzzles' embeddings move. Of the test split the identifiers are read and nothing else.
 */
#include "adapt.h"
#include "config.h"
#include "data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_set(unsigned char *only, int64_t count, const char *dir, const char *set)
{
    char name[TOOL_PATH], folder[TOOL_PATH], path[TOOL_PATH];
    hrm_npy npy;
    int status = TOOL_OK;
    int n = snprintf(name, sizeof name, "%s__puzzle_identifiers.npy", set);
    if (n >= (int)sizeof name || !tool_join(folder, dir, "test") || !tool_join(path, folder, name))
        return tool_error("%s: the path is too long", dir);
    if (hrm_npy_open(&npy, path) != HRM_OK) return tool_failed();
    const hrm_tensor *t = &npy.tensor;
    size_t puzzles = t->ndim == 1 ? (size_t)t->shape[0] : 0;
    int32_t *ids = (int32_t *)data_alloc(puzzles ? puzzles : 1, sizeof *ids);
    if (!ids) status = TOOL_ERROR;
    else if (!puzzles) status = tool_error("%s: %d dimensions, expected one", path, t->ndim);
    else if (hrm_convert(ids, HRM_I32, t->data, t->dtype, puzzles) != HRM_OK) status = tool_failed();
    for (size_t i = 0; i < puzzles && status == TOOL_OK; i++) {
        if (ids[i] < 0 || ids[i] >= count)
            status =
                tool_error("%s: row %zu is %d, expected an identifier of 0 to %lld", path, i, ids[i], (long long)count - 1);
        else only[ids[i]] = 1;
    }
    free(ids);
    hrm_npy_close(&npy);
    return status;
}

int adapt_puzzles(unsigned char **only, int64_t *count, const char *dir)
{
    char folder[TOOL_PATH], path[TOOL_PATH];
    hrm_json_document *doc;
    int64_t ids = 0;
    *only = NULL;
    if (!tool_join(folder, dir, "test") || !tool_join(path, folder, "dataset.json"))
        return tool_error("%s: the path is too long", dir);
    if (hrm_json_open(&doc, path, NULL) != HRM_OK) return tool_failed();
    const hrm_json *root = hrm_json_root(doc), *sets = hrm_json_get(root, "sets");
    int status = hrm_json_read_integer(root, "num_puzzle_identifiers", 1, INT32_MAX, 1, &ids, path) == HRM_OK ? TOOL_OK
                                                                                                              : tool_failed();
    if (status == TOOL_OK && (!sets || sets->type != HRM_JSON_ARRAY))
        status = tool_error("%s: \"sets\" is no list of names", path);
    if (status == TOOL_OK && !(*only = (unsigned char *)data_alloc((size_t)ids, 1))) status = TOOL_ERROR;
    for (const hrm_json *j = status == TOOL_OK && sets ? sets->child : NULL; j && status == TOOL_OK; j = j->next)
        status = j->type == HRM_JSON_STRING ? take_set(*only, ids, dir, j->string)
                                            : tool_error("%s:%d: \"sets\" is no list of names", path, j->line);
    *count = ids;
    hrm_json_close(doc);
    if (status == TOOL_OK) return TOOL_OK;
    free(*only);
    *only = NULL;
    return status;
}

/* ---- the command --------------------------------------------------------------------------------------------------------- */
static const char adapt_help[] =
    "usage: hrm adapt checkpoint=FILE data_path=DIR [KEY=VALUE…]\n\n"
    "Trains the puzzle embeddings of a data set's test tasks on their demonstration\n"
    "pairs, which stand in its training split; no input or output of the test split\n"
    "is read. `hrm eval` of what comes of it then predicts the test. Where the data\n"
    "set has other puzzles than the checkpoint's, their embeddings begin as the mean\n"
    "of those.\n\n"
    "  checkpoint=FILE             where from, safetensors or PyTorch's; of a folder\n"
    "                              its newest step\n"
    "  data_path=DIR               folder of the data set\n"
    "  checkpoint_path=DIR         where to, a run as hrm train writes them\n"
    "                              [NAME_adapted beside the checkpoint]\n"
    "  weights=true                trains the weights too [false: they are frozen]\n"
    "  evaluate=true               then evaluates, as hrm eval [false]\n"
    "  steps=1000                  updates, unless epochs=N tells them\n"
    "  lr_warmup_steps=0           of them with a rising rate\n"
    "  KEY=VALUE                   the keys of hrm train: puzzle_emb_lr, lr,\n"
    "                              global_batch_size, device, …\n";

static int is_true(const char *name, const char *value, int *flag)
{
    return config_parse_flag(value, flag) ? TOOL_OK : tool_usage("%s is \"%.80s\", expected true or false", name, value);
}

static const char *value_of(const char *argument, const char *key)
{
    size_t n = strlen(key);
    argument += strspn(argument, "+"); /* as Hydra has them */
    return strncmp(argument, key, n) == 0 && argument[n] == '=' ? argument + n + 1 : NULL;
}

static int default_folder(char path[TOOL_PATH], const char *checkpoint)
{
    /* DIR/NAME_adapted, of a folder DIR its newest step's name */
    char dir[TOOL_PATH], name[TOOL_PATH], file[TOOL_PATH];
    int status = config_newest_step(file, checkpoint);
    if (status != TOOL_OK) return status;
    snprintf(name, sizeof name - 16, "%s", tool_basename(file));
    char *dot = strrchr(name, '.');
    if (dot && dot > name) *dot = 0;
    strcat(name, "_adapted");
    if (tool_directory(dir, file) && tool_join(path, dir, name)) return TOOL_OK;
    return tool_usage("adapt: checkpoint: the path is too long");
}

int command_adapt(int argc, char **argv)
{
    static char command[] = "train", only[] = "test_puzzles_only=true", frozen[] = "freeze_weights=true",
                steps[] = "steps=1000", warmup[] = "lr_warmup_steps=0", evaluate[] = "eval";
    char from[TOOL_PATH + 32], folder[TOOL_PATH], to[TOOL_PATH + 32], result[TOOL_PATH + 32];
    const char *checkpoint = NULL, *data = NULL, *path = NULL, *value;
    int weights = 0, then = 0, n = 0, status = TOOL_OK, wanted = 0, epochs = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return fputs(adapt_help, stdout), TOOL_OK;
        epochs |= value_of(argv[i], "epochs") != NULL;
    }
    char **args = (char **)data_alloc((size_t)argc + 8, sizeof *args);
    char **eval = (char **)data_alloc((size_t)argc + 8, sizeof *eval);
    if (!args || !eval) return free(args), free(eval), TOOL_ERROR;
    args[n++] = command, args[n++] = only, args[n++] = warmup;
    if (!epochs) args[n++] = steps;
    eval[wanted++] = evaluate;
    for (int i = 1; i < argc && status == TOOL_OK; i++) {
        if ((value = value_of(argv[i], "checkpoint")) != NULL) checkpoint = value;
        else if ((value = value_of(argv[i], "weights")) != NULL) status = is_true("weights", value, &weights);
        else if ((value = value_of(argv[i], "evaluate")) != NULL) status = is_true("evaluate", value, &then);
        else {
            static const char *const ours[] = {"load_checkpoint", "resume", "freeze_weights", "test_puzzles_only"};
            for (int k = 0; k < 4 && status == TOOL_OK; k++)
                if (value_of(argv[i], ours[k]))
                    status = tool_usage("%s is not a key of hrm adapt; hrm adapt --help lists them", ours[k]);
            if (value_of(argv[i], "data_path") || value_of(argv[i], "data_paths")) data = argv[i];
            if ((value = value_of(argv[i], "checkpoint_path")) != NULL) path = value;
            if (value_of(argv[i], "device") || value_of(argv[i], "threads") || value_of(argv[i], "eval_batch_size"))
                eval[wanted++] = argv[i];
            args[n++] = argv[i];
        }
    }
    if (status == TOOL_OK && (!checkpoint || !*checkpoint)) status = tool_usage("adapt: checkpoint=FILE is missing");
    if (status == TOOL_OK && !data) status = tool_usage("adapt: data_path=DIR is missing");
    if (status == TOOL_OK && (!path || !*path)) {
        status = default_folder(folder, checkpoint);
        path = folder;
        snprintf(to, sizeof to, "checkpoint_path=%s", folder);
        args[n++] = to;
    }
    if (status == TOOL_OK) {
        if (!weights) args[n++] = frozen;
        snprintf(from, sizeof from, "load_checkpoint=%.1023s", checkpoint);
        args[n++] = from;
        status = command_train(n, args);
    }
    if (status == TOOL_OK && then) {
        snprintf(result, sizeof result, "checkpoint=%.1023s", path);
        eval[wanted++] = result;
        status = command_eval(wanted, eval);
    }
    free(args);
    free(eval);
    return status;
}
