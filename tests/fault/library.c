/* A program of one's own, from data to converted checkpoints, for test_fault.sh: `library DATA FOLDER`. Every call succeeds, or
 * fails with a message; what it was called on can then be used or destroyed, and is tried once more. At the end every byte is
 * given back with the size it was taken with, and every file is closed. Ends with 0 when all went well, 1 when a call failed,
 * 3 when a promise was broken. */
#include "hrm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static long live; /* bytes taken and not given back */
static int  failures, broken;

static void *take(size_t size, void *user)
{
    size_t *p = (size_t *)malloc(size + 64); /* the size in front, the alignment kept */
    (void)user;
    if (!p) return NULL;
    *p = size;
    live += (long)size;
    return (char *)p + 64;
}

static void give(void *pointer, size_t size, void *user)
{
    (void)user;
    if (!pointer) return;
    size_t *p = (size_t *)(void *)((char *)pointer - 64);
    if (*p != size) fprintf(stderr, "hrm: %zu bytes are given back as %zu\n", *p, size), broken = 1;
    live -= (long)*p;
    free(p);
}

static const hrm_allocator counting = {take, give, NULL};

static int good(const char *what, hrm_status status)
{
    if (status == HRM_OK || status == HRM_END) return 1;
    failures++;
    fprintf(stderr, "hrm: %s: %s\n", what, hrm_error_message());
    if (!*hrm_error_message()) broken = 1;
    return 0;
}
/* What failed once may be done again at once; that too succeeds or says why. */
#define GOOD(call) (good(#call, call) || good("once more, " #call, call))

static const char *in(const char *folder, const char *name)
{
    static char paths[4][300];
    static int  next;
    char       *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%.200s/%s", folder, name);
    return path;
}

static void build(const char *folder) /* an array and a text */
{
    static const int64_t shape[2] = {0, 4};
    const uint8_t        rows[8] = {1, 2, 3, 4, 4, 3, 2, 1};
    hrm_npy_writer       w;
    hrm_writer          *text = NULL;
    hrm_npy              npy;
    if (GOOD(hrm_npy_writer_open(&w, in(folder, "rows.npy"), HRM_U8, 2, shape, &counting))) {
        if (good("rows", hrm_npy_writer_write(&w, rows, 2))) good("commit", hrm_npy_writer_commit(&w));
        else hrm_npy_writer_abort(&w);
    }
    if (GOOD(hrm_writer_open(&text, in(folder, "text.json"), &counting))) {
        if (good("text", hrm_writer_write(text, "{\"a\": 1}\n", 9))) good("commit", hrm_writer_commit(text));
        else hrm_writer_abort(text);
    }
    if (GOOD(hrm_npy_open(&npy, in(folder, "rows.npy")))) hrm_npy_close(&npy);
}

static hrm_trainer *trainer_of(hrm_model *model)
{
    hrm_trainer   *trainer = NULL;
    hrm_train_desc t;
    memset(&t, 0, sizeof t);
    t.steps = 40;
    t.batch_size = 4;
    t.ema = 1;
    t.grad_accumulation = 2;
    t.optimizer = HRM_MUON;
    t.gather_ahead = 1;
    (void)GOOD(hrm_trainer_create(&trainer, model, &t));
    return trainer;
}

static void train(const char *folder, hrm_dataset *data)
{
    hrm_model     *model = NULL;
    hrm_model_desc d = hrm_model_desc_for(data);
    hrm_metrics    m;
    d.hidden_size = 8;
    d.num_heads = d.H_layers = d.L_layers = 1;
    d.halt_max_steps = 2;
    d.num_threads = 2;
    d.allocator = &counting;
    if (!GOOD(hrm_model_create(&model, &d))) return;
    hrm_trainer *trainer = trainer_of(model);
    for (int i = 0; trainer && i < 3; i++) (void)GOOD(hrm_trainer_step(trainer, data, &m));
    if (trainer) {
        (void)GOOD(hrm_trainer_save(trainer, in(folder, "state.safetensors"), NULL, 0));
        (void)GOOD(hrm_model_save(model, in(folder, "model.safetensors")));
    }
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
}

static void go_on(const char *folder, hrm_dataset *data, const hrm_dataset *test)
{
    hrm_model        *model = NULL;
    hrm_model_desc    d;
    hrm_metrics       m;
    hrm_evaluate_desc how;
    int32_t           puzzle[16], answer[16];
    memset(&d, 0, sizeof d);
    memset(&how, 0, sizeof how);
    d.allocator = &counting;
    d.num_threads = 1;
    for (int i = 0; i < 16; i++) puzzle[i] = 1 + i % 5;
    if (!GOOD(hrm_model_load(&model, in(folder, "model.safetensors"), &d))) return;
    hrm_trainer *trainer = trainer_of(model);
    if (trainer && GOOD(hrm_trainer_load(trainer, in(folder, "state.safetensors")))) {
        (void)GOOD(hrm_trainer_step(trainer, data, &m));
        (void)GOOD(hrm_trainer_save(trainer, in(folder, "state.safetensors"), NULL, 0));
    }
    hrm_trainer_destroy(trainer);
    (void)GOOD(hrm_evaluate(model, test, &how, &m));
    (void)GOOD(hrm_solve(model, puzzle, answer, NULL));
    hrm_model_destroy(model);
}

static void convert(const char *folder)
{
    hrm_tensors *file = NULL;
    hrm_tensor   tensors[64];
    hrm_metadata configuration;
    if (!GOOD(hrm_tensors_open(&file, in(folder, "model.safetensors"), &counting))) return;
    size_t count = hrm_tensors_count(file);
    for (size_t i = 0; i < count && i < 64; i++) tensors[i] = *hrm_tensors_at(file, i);
    configuration.key = "hrm.config";
    configuration.value = hrm_tensors_metadata(file, configuration.key);
    (void)GOOD(hrm_torch_save(in(folder, "model.pt"), tensors, count, HRM_DTYPE_COUNT, &counting));
    (void)GOOD(hrm_safetensors_save(in(folder, "half.safetensors"), tensors, count, &configuration, 1, HRM_BF16, &counting));
    hrm_tensors_close(file);
}

static int files_open(void)
{
    int n = 0;
    for (int fd = 0; fd < 64; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

int main(int argc, char **argv)
{
    hrm_dataset     *data = NULL, *test = NULL;
    hrm_dataset_desc desc;
    if (argc != 3) return 2;
    const int files = files_open();
    memset(&desc, 0, sizeof desc);
    desc.allocator = &counting;
    build(argv[2]);
    if (GOOD(hrm_dataset_open(&data, argv[1], "train", &desc)) && GOOD(hrm_dataset_open(&test, argv[1], "test", &desc))) {
        train(argv[2], data);
        go_on(argv[2], data, test);
    }
    convert(argv[2]);
    hrm_dataset_close(data);
    hrm_dataset_close(test);
    if (live) fprintf(stderr, "hrm: %ld bytes leak\n", live), broken = 1;
    if (files_open() != files) fprintf(stderr, "hrm: %d files open, %d before\n", files_open(), files), broken = 1;
    return broken ? 3 : failures > 0;
}
