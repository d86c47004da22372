/* Writes every kind of file, to be compared byte by byte between machines; tests/test_builds.sh does that.
 *
 *   files make DIR           arrays, checkpoints of each type, a training state before and after steps
 *   files again FROM DIR     reads those of FROM, and writes what it read
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call) ((call) == HRM_OK ? (void)0 : failed(#call))
static void failed(const char *what)
{
    printf("%s: %s\n", what, hrm_error_message());
    exit(1);
}

static const char *in(const char *dir, const char *name, const char *ending)
{
    static char paths[4][600];
    static int  next;
    char       *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%.500s/%.60s%s", dir, name, ending);
    return path;
}

enum { ROWS = 3, COLUMNS = 4, EXAMPLES = 16 };
static const hrm_dtype   dtypes[] = {HRM_U8, HRM_I32, HRM_I64, HRM_F32, HRM_F64, HRM_BF16, HRM_F16};
static const char *const names[] = {"u8", "i32", "i64", "f32", "f64", "bf16", "f16"};
enum { ARRAYS = 5, FIRST_REAL = 3, DTYPES = sizeof dtypes / sizeof *dtypes };

static void write_array(const char *dir, const char *name, hrm_dtype dtype, const void *values)
{
    static const int64_t shape[2] = {0, COLUMNS};
    hrm_npy_writer       w;
    MUST(hrm_npy_writer_open(&w, in(dir, name, ".npy"), dtype, 2, shape, NULL));
    MUST(hrm_npy_writer_write(&w, values, ROWS));
    MUST(hrm_npy_writer_commit(&w));
}

/* A model's file in each type, from one in float32 that is there. */
static void write_checkpoints(const char *dir, hrm_model *model)
{
    for (int i = FIRST_REAL; i < DTYPES; i++) {
        hrm_tensors *file;
        hrm_tensor   tensors[64];
        size_t       count;
        MUST(hrm_model_save_as(model, in(dir, names[i], ".safetensors"), dtypes[i], NULL, 0));
        MUST(hrm_tensors_open(&file, in(dir, names[i], ".safetensors"), NULL));
        count = hrm_tensors_count(file);
        for (size_t k = 0; k < count && k < 64; k++) tensors[k] = *hrm_tensors_at(file, k);
        MUST(hrm_torch_save(in(dir, names[i], ".pt"), tensors, count, HRM_DTYPE_COUNT, NULL));
        hrm_tensors_close(file);
    }
}

static hrm_dataset *data;
static hrm_trainer *make_trainer(hrm_model **model)
{
    static uint8_t     tokens[EXAMPLES * COLUMNS];
    hrm_dataset_arrays arrays;
    hrm_trainer       *trainer = NULL;
    hrm_train_desc     t;
    memset(&arrays, 0, sizeof arrays);
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < sizeof tokens; i++) tokens[i] = (uint8_t)(1 + i * 7 % 5);
    arrays.seq_len = COLUMNS;
    arrays.vocab_size = 6;
    arrays.num_puzzle_identifiers = 2;
    arrays.num_examples = EXAMPLES;
    arrays.inputs = arrays.labels = tokens;
    MUST(hrm_dataset_from_arrays(&data, &arrays, NULL));
    if (!*model) {
        hrm_model_desc d = hrm_model_desc_for(data);
        d.hidden_size = d.puzzle_emb_ndim = 8;
        d.num_heads = 2;
        d.H_layers = d.L_layers = 1;
        d.halt_max_steps = 3;
        d.num_threads = 1;
        MUST(hrm_model_create(model, &d));
        for (int i = 0; i < hrm_model_tensor_count(*model); i++) { /* the same on every machine, whatever its logarithm */
            static hrm_real values[4096];
            hrm_tensor      w;
            hrm_role        role;
            hrm_random      r = hrm_random_make(19, (uint64_t)i);
            MUST(hrm_model_tensor(*model, i, &w, &role));
            for (size_t k = 0; k < w.bytes / sizeof(hrm_real) && k < 4096; k++)
                values[k] = (hrm_real)((int)hrm_random_below(&r, 1 << 20) - (1 << 19)) / (hrm_real)(1 << 20);
            MUST(hrm_model_tensor_write(*model, i, values));
        }
    }
    t.steps = 100;
    t.batch_size = 4;
    t.ema = 1;
    t.grad_accumulation = 2;
    t.optimizer = HRM_MUON;
    MUST(hrm_trainer_create(&trainer, *model, &t));
    return trainer;
}

static void make(const char *dir)
{
    unsigned char values[ROWS * COLUMNS * 8];
    hrm_model    *model = NULL;
    hrm_metrics   metrics;
    double        reals[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) reals[i] = i * 11 - 3;
    reals[0] = 200;
    for (int i = 0; i < ARRAYS; i++) {
        if (i >= FIRST_REAL) MUST(hrm_convert(values, dtypes[i], reals, HRM_F64, ROWS * COLUMNS));
        for (int k = 0; k < ROWS * COLUMNS && i < FIRST_REAL; k++) {
            const uint8_t u8 = (uint8_t)(k * 21);
            const int32_t i32 = k * 19088743 - 77;
            const int64_t i64 = (int64_t)i32 * 1000003;
            if (i == 0) values[k] = u8;
            else if (i == 1) memcpy(values + k * 4, &i32, 4);
            else memcpy(values + k * 8, &i64, 8);
        }
        write_array(dir, names[i], dtypes[i], values);
    }
    hrm_trainer *trainer = make_trainer(&model);
    write_checkpoints(dir, model);
    MUST(hrm_trainer_save(trainer, in(dir, "before", ".safetensors"), NULL, 0));
    for (int i = 0; i < 5; i++) MUST(hrm_trainer_step(trainer, data, &metrics));
    MUST(hrm_trainer_save(trainer, in(dir, "after", ".safetensors"), NULL, 0));
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
}

static void again(const char *from, const char *dir)
{
    static const char *const states[2] = {"before", "after"};
    hrm_model               *model = NULL;
    for (int i = 0; i < ARRAYS; i++) {
        hrm_npy npy;
        MUST(hrm_npy_open(&npy, in(from, names[i], ".npy")));
        if (npy.tensor.dtype != dtypes[i] || npy.tensor.ndim != 2 || npy.tensor.shape[0] != ROWS) failed(names[i]);
        write_array(dir, names[i], dtypes[i], npy.tensor.data);
        hrm_npy_close(&npy);
    }
    for (int i = FIRST_REAL; i < DTYPES; i++) { /* the model as the PyTorch file has it, configured as the other says */
        MUST(hrm_model_load(&model, in(from, names[i], ".safetensors"), NULL));
        MUST(hrm_model_load_weights(model, in(from, names[i], ".pt")));
        MUST(hrm_model_save_as(model, in(dir, names[i], ".safetensors"), dtypes[i], NULL, 0));
        if (dtypes[i] == HRM_F32) write_checkpoints(dir, model);
        hrm_model_destroy(model);
        model = NULL;
    }
    for (int i = 0; i < 2; i++) {
        hrm_trainer *trainer = make_trainer(&model);
        MUST(hrm_trainer_load(trainer, in(from, states[i], ".safetensors")));
        MUST(hrm_trainer_save(trainer, in(dir, states[i], ".safetensors"), NULL, 0));
        hrm_trainer_destroy(trainer);
        hrm_dataset_close(data);
    }
    hrm_model_destroy(model);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "make") == 0) make(argv[2]);
    else if (argc == 4 && strcmp(argv[1], "again") == 0) again(argv[2], argv[3]);
    else return 2;
    return 0;
}
