/* One entry for every reader: bytes in, every promise about the result checked, nothing left behind. Included after hrm.h's
 * implementation; used by fuzz.c (libFuzzer) and by test_files.c (a fixed set of mutations in every `make test`). */
#ifndef HRM_FUZZ_TARGETS_H
#define HRM_FUZZ_TARGETS_H

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : abort())

typedef int (*fuzz_function)(const unsigned char *data, size_t size); /* -> 1 when the bytes were accepted */

static size_t fuzz_nodes(const hrm_json *node, int depth)
{
    size_t nodes = 0, count = 0;
    FUZZ_CHECK(depth <= 65);
    for (const hrm_json *c = node->child; c; c = c->next, count++) {
        FUZZ_CHECK((node->type == HRM_JSON_OBJECT) == (c->key != NULL));
        FUZZ_CHECK(c->line >= 1);
        if (c->key) FUZZ_CHECK(hrm_json_get(node, c->key) == c);
        nodes += fuzz_nodes(c, depth + 1);
    }
    FUZZ_CHECK(count == node->count);
    FUZZ_CHECK(node->type == HRM_JSON_ARRAY || node->type == HRM_JSON_OBJECT || count == 0);
    FUZZ_CHECK((node->string != NULL) ==
               (node->type == HRM_JSON_STRING || node->type == HRM_JSON_NUMBER || node->type == HRM_JSON_BOOL));
    if (node->string) FUZZ_CHECK(hrm__utf8_bad(node->string, strlen(node->string)) == strlen(node->string));
    return nodes + 1;
}

static int fuzz_text(const unsigned char *data, size_t size, int yaml)
{
    hrm_json_document *doc = NULL;
    char *copy = (char *)malloc(size ? size : 1); /* exactly as long, so that a checker sees the first byte past it */
    if (!copy) return 0;
    if (size) memcpy(copy, data, size);
    hrm_status status = (yaml ? hrm_yaml_parse : hrm_json_parse)(&doc, copy, size, "fuzz", NULL);
    free(copy);
    FUZZ_CHECK(status == HRM_OK || (!doc && *hrm_error_message()));
    if (status == HRM_OK) FUZZ_CHECK(fuzz_nodes(hrm_json_root(doc), 0) <= size + 1 + (size_t)(yaml ? HRM__YAML_COPIES : 0));
    if (status == HRM_OK && yaml) {
        (void)hrm_json_expand(doc, 1);
        (void)fuzz_nodes(hrm_json_root(doc), 0);
    }
    hrm_json_close(doc);
    return status == HRM_OK;
}

static int fuzz_json(const unsigned char *data, size_t size) { return fuzz_text(data, size, 0); }
static int fuzz_yaml(const unsigned char *data, size_t size) { return fuzz_text(data, size, 1); }

static void fuzz_tensor(const hrm_tensor *t, const unsigned char *data, size_t size)
{
    /* a view inside the file, of the size that its shape says; every byte can be read */
    const unsigned char *p = (const unsigned char *)t->data;
    size_t elements, bytes;
    volatile unsigned char sum = 0;
    FUZZ_CHECK((unsigned)t->dtype < HRM_DTYPE_COUNT && t->ndim >= 0 && t->ndim <= HRM_MAX_DIMS && t->name);
    FUZZ_CHECK(hrm__shape_fits(t->dtype, t->ndim, t->shape, &elements, &bytes) && bytes == t->bytes);
    FUZZ_CHECK(p >= data && p <= data + size && bytes <= (size_t)(data + size - p));
    for (size_t i = 0; i < bytes; i++) sum = (unsigned char)(sum + p[i]);
}

static int fuzz_npy(const unsigned char *data, size_t size)
{
    hrm_npy npy;
    unsigned char *copy = (unsigned char *)malloc(size ? size : 1);
    if (!copy) return 0;
    if (size) memcpy(copy, data, size);
    memset(&npy, 0, sizeof npy);
    npy.map.data = copy;
    npy.map.size = size;
    npy.map.handle = copy; /* where a big-endian machine turns the bytes round */
    hrm_status status = hrm__npy_parse(&npy, "fuzz.npy");
    if (status == HRM_OK && npy.copy) fuzz_tensor(&npy.tensor, (const unsigned char *)npy.copy, npy.copy_bytes);
    else if (status == HRM_OK) fuzz_tensor(&npy.tensor, copy, size);
    npy.map.handle = NULL; /* the memory is ours */
    hrm_npy_close(&npy);
    free(copy);
    return status == HRM_OK;
}

static int fuzz_checkpoint(const unsigned char *data, size_t size)
{
    unsigned char *copy = (unsigned char *)malloc(size ? size : 1);
    hrm_tensors *f = (hrm_tensors *)malloc(sizeof *f);
    if (!copy || !f) {
        free(copy);
        free(f);
        return 0;
    }
    if (size) memcpy(copy, data, size);
    memset(f, 0, sizeof *f);
    f->map.data = copy;
    f->map.size = size;
    f->map.handle = HRM__BIG_ENDIAN ? copy : NULL;
    f->arena.what = "fuzz";
    hrm_status status = hrm__tensors_read(f, "fuzz.pt");
    f->map.handle = NULL; /* the memory is ours */
    FUZZ_CHECK(status == HRM_OK || *hrm_error_message());
    for (size_t i = 0; status == HRM_OK && i < hrm_tensors_count(f); i++) {
        fuzz_tensor(hrm_tensors_at(f, i), copy, size);
        FUZZ_CHECK(hrm_tensors_find(f, hrm_tensors_at(f, i)->name) == hrm_tensors_at(f, i));
    }
    for (size_t i = 0; status == HRM_OK && i < hrm_tensors_metadata_count(f); i++)
        FUZZ_CHECK(hrm_tensors_metadata(f, hrm_tensors_metadata_at(f, i).key) == hrm_tensors_metadata_at(f, i).value);
    for (size_t i = 0; status == HRM_OK && i < hrm_tensors_count(f); i++) {
        const char *name = hrm_tensors_model_name(f, hrm_tensors_at(f, i));
        FUZZ_CHECK(!name || strncmp(name, "inner.", 6) == 0);
    }
    if (status == HRM_OK &&
        hrm_tensors_metadata(f, "hrm.config")) { /* a model as far as its shapes; none is made, nothing beside it looked for */
        hrm_model_desc desc, merged;
        hrm_sources sources;
        memset(&desc, 0, sizeof desc);
        if (hrm__checkpoint_merge(&merged, &sources, f, "fuzz.pt", &desc) == HRM_OK &&
            hrm_checkpoint_complete(&merged, "fuzz.pt") == HRM_OK) {
            FUZZ_CHECK(hrm_sources_of(&sources, NULL) && hrm_sources_of(&sources, "num_heads"));
            (void)hrm__check_plan(&merged, f, "fuzz.pt");
        }
    }
    hrm__free(NULL, f->tensors, f->room, sizeof *f->tensors);
    hrm__free(NULL, f->by_name, f->count + f->num_others, sizeof *f->by_name);
    hrm__free(NULL, f->metadata, f->metadata_room, sizeof *f->metadata);
    hrm__arena_free(&f->arena);
    free(f);
    free(copy);
    return status == HRM_OK;
}

/* What mutations start from: small files that use every part of their format. The binary ones are written by hrm.h itself. */
typedef struct fuzz_seed { const char *name; fuzz_function run; unsigned char *data; size_t size; } fuzz_seed;
#define FUZZ_SEEDS   12
#define FUZZ_TENSORS 6

static const char *const fuzz_json_seeds[] = {
    "{\"a\": [1, -2.5e-3, true, false, null, \"x\\u00e4\\ud83d\\ude00\\n\\\"\"], \"b\": {\"c\": {}, \"d\": []}, \"e\": "
    "12345678901234567890}",
    "[[[[[[[[]]]]]]], 0, 0.1, 1e22, 123456789012345678, \"\\u0041\\/\"]",
    "{\"config\": {\"seq_len\": 16, \"rms_norm_eps\": 1e-05}, \"names\": [\"\", \"id_t0_1234567890\"]}"};
static const char *const fuzz_yaml_seeds[] = {
    "# a configuration\ndefaults:\n  - arch: hrm_v1\n  - _self_\n\nhydra:\n  output_subdir: null\ndata_path: data/arc  # "
    "where\nlr: 1e-4\nbetas: [0.9, .95]\n",
    "arch:\n  name: hrm@V1\n  loss:\n    type: 'it''s'\n  size: ${.hidden_size}\nlist:\n- 1\n- - 2\n  - a: \"x\\ty\"\n    b: "
    "{}\nlong: one\n  two\n  three\n",
    "---\na: {b: [1, {c: d}], e: null}\n\"q r\": yes\n'k': ~\n-k: -1\n",
    "b: &b\n  lr: 1\n  l: &l [1, &x two, *x]\nc:\n  <<: *b\n  lr: 2\nd: {<<: [*b, {m: *l}], e: &e {}}\nf:\n- &g\n  h: *e\n- "
    "*g\n",
    "a: |-\n  one\n    two\n\n  three\nb: >+\n  x\n  y\n\n   z\n\nc: 'q\n  r\n\n  it''s'\nd: \"s\\\n  t\\x41\\U0001F600\"\ne: "
    "${.a}-${oc.env:HRM_NONE,1}${now:%Y}\nf: ${e}${f}\ng: |2\n   h\n"};

static int fuzz_seed_read(fuzz_seed *seed, const char *name, fuzz_function run, const char *path)
{
    hrm_file_map map;
    if (hrm_file_map_open(&map, path) != HRM_OK) return 0;
    seed->name = name;
    seed->run = run;
    seed->size = map.size;
    seed->data = (unsigned char *)malloc(map.size + 1);
    if (seed->data) memcpy(seed->data, map.data, map.size);
    hrm_file_map_close(&map);
    return seed->data != NULL;
}

static int fuzz_seed_file(fuzz_seed *seed, const char *name, fuzz_function run, const char *path)
{
    int done = fuzz_seed_read(seed, name, run, path);
    remove(path);
    return done;
}

static int fuzz_seed_text(fuzz_seed *seed, const char *name, fuzz_function run, const char *text)
{
    seed->name = name;
    seed->run = run;
    seed->size = strlen(text);
    seed->data = (unsigned char *)malloc(seed->size + 1);
    if (seed->data) memcpy(seed->data, text, seed->size + 1);
    return seed->data != NULL;
}

static int fuzz_seeds(fuzz_seed *seeds, const char *path /* of a file to write and remove */)
{
    /* -> how many; 0 when something failed */
    static const float values[12] = {0, 1, -2, 0.5f, 3, 1e-8f, 7, 8, -9, 1e30f, 11, 12};
    static const int64_t rows[2] = {0, 4};
    hrm_tensor tensors[FUZZ_TENSORS];
    hrm_metadata metadata;
    hrm_npy_writer w;
    int n = 0;
    memset(tensors, 0, sizeof tensors);
    for (int i = 0; i < FUZZ_TENSORS; i++) {
        static const char *const names[FUZZ_TENSORS] = {"inner.H_init",
                                                        "inner.lm_head.weight",
                                                        "inner.embed_tokens.embedding_weight",
                                                        "inner.H_level.layers.0.mlp.down_proj.weight",
                                                        "inner.L_level.layers.0.mlp.down_proj.weight",
                                                        "n"};
        tensors[i].name = names[i];
        tensors[i].dtype = names[i][1] ? HRM_F32 : HRM_U8;
        tensors[i].ndim = i == 0 ? 1 : names[i][1] ? 2 : 0;
        tensors[i].shape[0] = i == 0 ? 4 : i < 3 ? 3 : 4;
        tensors[i].shape[1] = i < 3 ? 4 : 3;
        tensors[i].data = values;
        tensors[i].bytes = i == 0 ? 16 : names[i][1] ? 48 : 1;
    }
    metadata.key = "hrm.config";
    metadata.value = "{\"seq_len\": 4, \"num_heads\": 2, \"H_cycles\": 2, \"L_cycles\": 1, \"halt_max_steps\": 4, \"loss\": "
                     "{\"loss_type\": \"softmax_cross_entropy\"}, \"causal\": false}";
    for (size_t i = 0; i < HRM__COUNT(fuzz_json_seeds); i++)
        if (!fuzz_seed_text(&seeds[n++], "json", fuzz_json, fuzz_json_seeds[i])) return 0;
    for (size_t i = 0; i < HRM__COUNT(fuzz_yaml_seeds); i++)
        if (!fuzz_seed_text(&seeds[n++], "yaml", fuzz_yaml, fuzz_yaml_seeds[i])) return 0;
    if (hrm_npy_writer_open(&w, path, HRM_F32, 2, rows, NULL) != HRM_OK || hrm_npy_writer_write(&w, values, 3) != HRM_OK ||
        hrm_npy_writer_commit(&w) != HRM_OK || !fuzz_seed_file(&seeds[n++], "npy", fuzz_npy, path))
        return 0;
    if (hrm_safetensors_save(path, tensors, FUZZ_TENSORS, &metadata, 1, HRM_BF16, NULL) != HRM_OK ||
        !fuzz_seed_file(&seeds[n++], "safetensors", fuzz_checkpoint, path))
        return 0;
    if (hrm_torch_save(path, tensors, FUZZ_TENSORS, HRM_DTYPE_COUNT, NULL) != HRM_OK ||
        !fuzz_seed_file(&seeds[n++], "torch", fuzz_checkpoint, path))
        return 0;
    if (!fuzz_seed_read(&seeds[n++], "objects", fuzz_checkpoint, "tests/files/objects.pt")) return 0;
    return n;
}

#include "mutate.h"
#endif
