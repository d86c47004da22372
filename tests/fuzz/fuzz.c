/* Every target for libFuzzer, in one program: `make fuzz` builds it, makes the seeds and runs one target after the other.
 *
 *   fuzz-seeds FOLDER            writes FOLDER/TARGET/… and FOLDER/TARGET.dict (compiled with HRM_FUZZ_CORPUS)
 *   HRM_FUZZ=TARGET fuzz …       libFuzzer's options, folders or files
 *
 * Without a fuzzer, any compiler: -DHRM_FUZZ_REPLAY builds a program that runs the target on the files it is given.
 */
#ifndef _XOPEN_SOURCE
    #define _XOPEN_SOURCE 700
#endif
#define HRM__ZIP_TRUST 1 /* checksums would stop nearly all of it */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "targets.h"
#include "command.h"

static const struct { const char *name; fuzz_function run; } readers[] = {
    {"json", fuzz_json}, {"yaml", fuzz_yaml}, {"npy", fuzz_npy}, {"checkpoint", fuzz_checkpoint}};

static fuzz_function find_target(const char *name)
{
    for (size_t i = 0; name && i < HRM__COUNT(readers); i++)
        if (strcmp(readers[i].name, name) == 0) return readers[i].run;
    for (size_t i = 0; name && i < COMMAND_TARGETS; i++)
        if (strcmp(command_targets[i].name, name) == 0) return command_targets[i].run;
    fprintf(stderr, "HRM_FUZZ=%s: no such target\n", name ? name : "");
    exit(2);
}

#ifdef HRM_FUZZ_CORPUS
/* Words that a mutation seldom meets by itself: of the formats, and every key of a configuration. */
static const char *const words[][24] = {
    {"json", "true", "false", "null", "\\\\u00e4", "\\\\ud83d\\\\ude00", "1e-05", "-0", "{\\\"a\\\":", "[[", "]]"},
    {"yaml", "&a ", "*a", "<<: ", "<<: [*a, *b]", "${.a}", "${oc.env:X,1}", "|2-\\x0a", ">+\\x0a", "? ", "- - ", "~", "''",
     "\\\\x41", "%YAML 1.2"},
    {"npy", "\\x93NUMPY\\x01\\x00", "'descr': '<f4'", "'fortran_order': True", "'shape': (1,)", "'|u1'", "'>i4'", "'<f8'",
     "L,"},
    {"checkpoint", "\\\"F32\\\"", "\\\"BF16\\\"", "\\\"data_offsets\\\":[0,", "\\\"shape\\\":[", "__metadata__", "hrm.config",
     "PK\\x03\\x04", "PK\\x01\\x02", "PK\\x05\\x06", "PK\\x06\\x06", "data.pkl", "ctorch._utils\\x0a_rebuild_tensor_v2\\x0a",
     "ccollections\\x0aOrderedDict\\x0a", "_orig_mod.model.inner.", "\\x80\\x02", "q\\x00", "BINPUT"},
    {"state", "hrm.trainer", "\\\"step\\\":", "\\\"draws\\\":", "\\\"F32\\\"", "\\\"I32\\\"", "\\\"data_offsets\\\":[0,",
     "\\x00\\x00\\xc0\\x7f", "\\x00\\x00\\x80\\x7f"},
    {"model", "hrm.config", "\\\"seq_len\\\": ", "\\\"num_heads\\\": ", "\\\"mlp_t\\\": true", "\\\"H_layers\\\": 0",
     "\\\"F16\\\"", "\\\"data_offsets\\\":[0,"},
    {"dataset", "\\x0a====\\x0a", "'<i4'", "'|u1'", "'<i8'", "'shape': (3, 4)", "\\\"sets\\\": [\\\"all\\\"]",
     "\\\"ignore_label_id\\\": null", "1e308"},
    {"config", "\\x0a====\\x0a", "defaults:\\x0a  - ", "arch:\\x0a  ", "_self_", "value: ", "wandb_version: 1", "${.",
     "${oc.env:X,", "+", "~", "++"},
    {"puzzle", "\\\"test\\\": [", "\\\"input\\\": [[", "----+----", "#S", " G", "\\x0a\\x0a"},
    {"grid", "->", " -> ", "\\\"puzzle\\\": ", "\\\"group\\\": ", "\\\"output\\\": [[", "null", "\\xc3\\xa4"},
    {"csv", "question", "solution", "rating", "\\\"", "\\\"\\\"", "\\xef\\xbb\\xbf", "\\x0d\\x0a", ";", "\\x09"},
    {"task", "\\\"train\\\": [", "\\\"test\\\": [", "\\\"input\\\": [[", "\\\"output\\\": [[", "\\\"puzzle\\\": \\\"", "null"}};

#define KEY(kind, field, name, ...) name "=",
static const char *const keys_of_a_configuration[] = {CONFIG_KEYS(KEY)};
#undef KEY

static int put(const char *folder, const char *target, int number, const void *data, size_t size)
{
    char path[600];
    snprintf(path, sizeof path, "%.400s/%s", folder, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%.400s/%s/seed_%d", folder, target, number);
    return tool_write_text(path, (const char *)data, size) == 0;
}

int main(int argc, char **argv)
{
    fuzz_seed    seeds[FUZZ_SEEDS];
    command_seed more[COMMAND_SEEDS];
    char         path[600], text[16384];
    const char  *folder = argc > 1 ? argv[1] : ".";
    int          made = 0;
    snprintf(path, sizeof path, "%.500s/unfinished", folder);
    (void)find_target, (void)fuzz_mutate;
    for (int i = 0, n = fuzz_seeds(seeds, path); i < n; i++)
        for (size_t k = 0; k < HRM__COUNT(readers); k++)
            if (seeds[i].run == readers[k].run) made += put(folder, readers[k].name, i, seeds[i].data, seeds[i].size);
    for (int i = 0, n = command_seeds(more); i < n; i++)
        made += put(folder, command_targets[more[i].target].name, i, more[i].data, more[i].size);
    for (size_t k = 0; k < HRM__COUNT(words); k++) {
        size_t n = 0;
        for (int i = 1; i < 24 && words[k][i]; i++) n += (size_t)snprintf(text + n, sizeof text - n, "\"%s\"\n", words[k][i]);
        for (size_t i = 0; strcmp(words[k][0], "config") == 0 && i < HRM__COUNT(keys_of_a_configuration); i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "\"%s\"\n", keys_of_a_configuration[i]);
        snprintf(path, sizeof path, "%.500s/%s.dict", folder, words[k][0]);
        made += tool_write_text(path, text, n) == 0;
    }
    printf("%d files in %s\n", made, folder);
    return made < 40;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_function run;
    if (!run) run = find_target(getenv("HRM_FUZZ"));
    (void)fuzz_seeds, (void)fuzz_mutate, (void)command_seeds;
    (void)run(data, size);
    return 0;
}

    #ifdef HRM_FUZZ_REPLAY
int main(int argc, char **argv)
{
    fuzz_function run = find_target(getenv("HRM_FUZZ"));
    for (int i = 1; i < argc; i++) {
        hrm_file_map map;
        if (hrm_file_map_open(&map, argv[i]) != HRM_OK) {
            fprintf(stderr, "%s\n", hrm_error_message());
            return 1;
        }
        printf("%s: %s\n", argv[i], run(map.data, map.size) ? "accepted" : "refused");
        hrm_file_map_close(&map);
    }
    return 0;
}
    #endif
#endif
