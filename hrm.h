/* hrm.h - v0.1.0 - the Hierarchical Reasoning Model (arXiv:2506.21734) in one C99 header: trains it, runs it, on any machine.
 *
 * Two recurrent transformer levels, H slow and L fast, think in segments and learn by Q-learning when to stop. With 27 million
 * parameters and 1,000 examples they solve extreme Sudoku, hard mazes and ARC tasks. This file holds all of it: tensors, layers
 * with their gradients, the ACT model, losses, optimizers, data loaders, checkpoints, a CPU backend with its own threads and
 * matrix products. Results are the same bit for bit for any number of threads.
 *
 * DO THIS
 *     #define HRM_IMPLEMENTATION        in one C or C++ file, before
 *     #include "hrm.h"                  and include it plainly everywhere else
 *   and link with -lm -lpthread (nothing on Windows). `cc -O2 -x c -DHRM_IMPLEMENTATION -c hrm.h -o hrm.o` works too.
 *
 * A PROGRAM THAT TRAINS
 *     hrm_model *model;  hrm_dataset *data;  hrm_trainer *trainer;  hrm_metrics metrics;
 *     if (hrm_dataset_open(&data, "data/sudoku", "train", NULL) != HRM_OK) die(hrm_error_message());
 *     hrm_model_desc desc = hrm_model_desc_for(data);          // shapes from the data; every field 0 = the paper's default
 *     desc.hidden_size = 128;
 *     hrm_model_create(&model, &desc);
 *     hrm_trainer_create(&trainer, model, &(hrm_train_desc){ .lr = 1e-4f, .steps = 2000, .batch_size = 32 });
 *     while (hrm_trainer_step(trainer, data, &metrics) == HRM_OK) printf("%g\n", metrics.lm_loss);
 *     hrm_model_save(model, "sudoku.safetensors");
 *     hrm_solve(model, puzzle, answer, &(hrm_solve_desc){0});  // runs until the model halts
 *
 * OPTIONS, defined before the include (what each costs)
 *     HRM_IMPLEMENTATION   this file's functions, once a program
 *     HRM_STATIC           all functions static, for use inside one file
 *     HRM_NO_THREADS       no pthreads or Win32 threads; one thread (always with tcc)
 *     HRM_NO_MMAP          files are read into memory instead of mapped
 *     HRM_USE_CUDA         device HRM_CUDA; link hrm_cuda.o, cudart
 *     HRM_CHUNK_ROWS n     rows of activations a thread works on at a time [512]; memory against cache misses
 *     HRM_BLOCK_ROWS n     of these, rows that go through the layers between two attentions together [112]; likewise
 *     hrm_real             float; double makes every number on the CPU double, on the plain path, several times slower
 *   The environment variable HRM_CPU=amx|avx512|avxvnni|avx2|neon|scalar picks an instruction set; the best one is the default.
 *   It is read once, when the first model is created.
 *
 * RULES
 *   Errors   A status, and a one-line message that names file, tensor, row or field: hrm_error_message(), per thread. The
 *            library never exits, prints or asserts on input. After a failure outputs are untouched and objects usable.
 *   Memory   Whoever creates destroys. An allocator may be given; everything is sized at creation (hrm_model_memory tells
 *            beforehand) and a training step or a segment allocates nothing.
 *   Threads  Functions on different objects are free to run at once. One model, its runs and trainers: one call at a time; the
 *            threads inside a call are the library's. Data sets and open files may be read by several threads.
 *   fork()   A child may use what its parent made, with threads of its own, except what is on a GPU. No call may be under way.
 *   Layout   Row-major, batch first. Token 0..vocab-1 in int32; label -100 is ignored.
 *
 * WHAT IT DOES NOT DO
 *   Attention masks other than causal, models larger than one device.
 *
 * CONTENTS (search for the tag)
 *     >>api-status     statuses and messages
 *     >>api-memory     the allocator
 *     >>api-threads    the thread pool
 *     >>api-random     Philox
 *     >>api-tensor     views and element types
 *     >>api-files      files, JSON and YAML, .npy, safetensors, PyTorch zips
 *     >>api-dataset    data sets and batches
 *     >>api-model      descriptions, models, their tensors and checkpoints
 *     >>api-metrics    what is measured
 *     >>api-comm       several processes that train or evaluate together
 *     >>api-run        one ACT segment at a time
 *     >>api-trainer    training and resuming
 *     >>api-solve      solving and evaluating
 *     >>api-layers     every layer, loss and optimizer by itself
 *     >>api-device     the table a backend fills in
 *   device code and host code alike:
 *     >>shared         Philox, exploration, halts, losses and optimizers by element: once for the CPU and hrm_cuda.cu
 *   implementation, the ground:
 *     >>platform       the compiler and the system       >>cpu-features   AVX-512, AVX2, NEON or plain C
 *     >>status         messages by thread                >>vector-math    exp, sums, maxima over rows
 *     >>memory         allocation, alignment             >>random         normal and uniform numbers
 *     >>threads        pools, teams, forks               >>dtype          bfloat16, float16, conversion
 *   layers, each forward and backward:
 *     >>layers         >>linear >>embedding >>rope >>attention >>swiglu >>rms-norm
 *     >>losses         >>stablemax, softmax; >>bce       >>optimizers     >>adam, >>adamw, >>muon, >>sign-sgd, >>schedule
 *     >>gemm           matrix products                   >>quantized      the same in bfloat16 or bytes, for solving
 *   the model on a device:
 *     >>passes         a recurrence as a list, laid out  >>halting        before and after a segment
 *     >>cpu-backend    how the work is shared            >>objective      the losses of a segment
 *     >>block          attention or mixing, SwiGLU       >>updates        gradients: measured, applied
 *     >>pass           states through networks           >>cpu-table      all of it as a device's table
 *     >>embed          what goes in                      >>heads          what comes out
 *   the model:
 *     >>model          >>describe, >>layout, >>create, >>tensors
 *     >>act            segments, runs, gradients         >>solve          >>solving, >>evaluate, >>budget
 *     >>trainer        steps, rates, the next batch      >>comm           what several processes agree on
 *   files:
 *     >>files          >>map, >>writer                   >>torch-zip      >>pickle, PyTorch's checkpoints
 *     >>json           >>yaml, >>interpolation           >>dataset        groups, puzzles, examples, batches
 *     >>npy            NumPy arrays                      >>checkpoint     >>weights, >>resume: configurations, states
 *     >>safetensors    named tensors
 */
#ifndef HRM_H
#define HRM_H

#if defined(HRM_IMPLEMENTATION) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE) && !defined(_WIN32) && !defined(__APPLE__)
    #define _POSIX_C_SOURCE 200809L /* for -std=c99 */
#endif
#if defined(HRM_IMPLEMENTATION) && !defined(_FILE_OFFSET_BITS)
    #define _FILE_OFFSET_BITS 64 /* files past 2 GB on 32-bit machines */
#endif

#if defined(HRM_IMPLEMENTATION) && defined(__MINGW32__) && !defined(__USE_MINGW_ANSI_STDIO)
    #define __USE_MINGW_ANSI_STDIO 1 /* %zu and %lld */
#endif

#include <stddef.h>
#include <stdint.h>

#define HRM_VERSION        "0.1.0"
#define HRM_VERSION_NUMBER 100 /* 10000 major + 100 minor + patch */

#ifndef HRM_API
    #ifdef HRM_STATIC
        #define HRM_API static
    #else
        #define HRM_API extern
    #endif
#endif

#ifndef hrm_real
    #define HRM__REAL_FLOAT 1
    #define hrm_real float /* of parameters and activations on the CPU; the gradient checks compile this file with double */
#endif

#if defined(__MINGW32__) && !defined(__clang__)
    #define HRM__PRINTF(f, a) __attribute__((format(gnu_printf, f, a))) /* printf there is checked as Microsoft's */
#elif defined(__GNUC__) || defined(__clang__)
    #define HRM__PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
    #define HRM__PRINTF(f, a)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ==================================================================================================== >>api-status ========
 * Every function that can fail returns a status and leaves a one-line message, which names the file, tensor, row or field at
 * fault, for the calling thread. Outputs go through pointers and are not touched on failure unless said otherwise.
 */
#define HRM_STATUS_LIST(X) \
    X(HRM_OK,              "ok") \
    X(HRM_END,             "nothing left to do") \
    X(HRM_ERR_ARGUMENT,    "an argument is not valid") \
    X(HRM_ERR_SHAPE,       "shapes do not fit") \
    X(HRM_ERR_FORMAT,      "not a valid file of its kind") \
    X(HRM_ERR_RANGE,       "a value is out of range") \
    X(HRM_ERR_NAN,         "a value is not finite") \
    X(HRM_ERR_MEMORY,      "out of memory") \
    X(HRM_ERR_IO,          "reading or writing failed") \
    X(HRM_ERR_DEVICE,      "the device failed or is not there") \
    X(HRM_ERR_UNSUPPORTED, "not supported by this build or machine") \
    X(HRM_ERR_CANCELLED,   "stopped by the caller")

typedef enum hrm_status {
#define HRM__ENUM(name, text) name,
    HRM_STATUS_LIST(HRM__ENUM)
#undef HRM__ENUM
    HRM_STATUS_COUNT
} hrm_status;

HRM_API const char *hrm_status_text(hrm_status status);
/* The message of this thread's last failure; "" before the first. Valid until the next failure in the same thread. */
HRM_API const char *hrm_error_message(void);
/* Sets that message and returns `status`: for backends and for callbacks that want to be heard. */
HRM_API hrm_status hrm_error_set(hrm_status status, const char *format, ...) HRM__PRINTF(2, 3);

/* ==================================================================================================== >>api-memory ========
 * Whoever creates may pass an allocator; it must outlive what it made. `size` in free is the size asked for in alloc.
 * Objects that are used by several threads call it from the creating thread only. NULL means malloc and free.
 */
typedef struct hrm_allocator {
    void *(*alloc)(size_t size, void *user); /* at least malloc's alignment; NULL when there is no memory */
    void (*free)(void *pointer, size_t size, void *user);
    void *user;
} hrm_allocator;

/* ==================================================================================================== >>api-threads =======
 * A pool of threads that run one function together. Threads wait actively for a few microseconds, then sleep.
 */
typedef struct hrm_pool hrm_pool;
typedef void (*hrm_pool_function)(void *context, int thread, int num_threads);

HRM_API int        hrm_cpu_count(void); /* processors that this process may run on, at least 1 */
HRM_API hrm_status hrm_pool_create(hrm_pool **pool, int num_threads /* 0: hrm_cpu_count() */, const hrm_allocator *allocator);
HRM_API void       hrm_pool_destroy(hrm_pool *pool); /* NULL is fine */
HRM_API int        hrm_pool_size(const hrm_pool *pool);
/* Calls function(context, 0..n-1, n) on n threads, the caller being thread 0, and returns when all have. Not reentrant. */
HRM_API void hrm_pool_run(hrm_pool *pool, hrm_pool_function function, void *context);
/* Inside such a call: waits until all n threads have come here. */
HRM_API void hrm_pool_barrier(hrm_pool *pool);
/* Inside such a call: 0, 1, 2 … in turn, each to one thread; for parts of work that take unlike times. */
HRM_API int hrm_pool_next(hrm_pool *pool);

/* ==================================================================================================== >>api-random ========
 * Philox4x32-10 (Salmon et al. 2011): a pure function of (seed, stream, counter), so that every device and any number of
 * threads draw the same numbers.
 */
HRM_API void hrm_philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t counter);

typedef struct hrm_random { /* the same numbers one after another */
    uint64_t seed, stream, counter;
    uint32_t block[4];
    uint32_t used; /* of block; 4: none left */
} hrm_random;
HRM_API hrm_random hrm_random_make(uint64_t seed, uint64_t stream);
HRM_API uint32_t   hrm_random_u32(hrm_random *r);
HRM_API uint32_t   hrm_random_below(hrm_random *r, uint32_t n); /* 0..n-1, every value equally likely; n > 0 */
HRM_API double     hrm_random_uniform(hrm_random *r);           /* [0,1), 32 random bits */
HRM_API void       hrm_random_shuffle(hrm_random *r, int32_t *items, uint32_t n);

/* ==================================================================================================== >>api-tensor ========
 * A tensor is a view: a name, an element type, a shape and a pointer to row-major data that somebody else owns.
 */
#define HRM_DTYPE_LIST(X) /* name, bytes, safetensors, numpy */ \
    X(HRM_F32, 4, "F32", "f4") X(HRM_F64, 8, "F64", "f8") X(HRM_F16, 2, "F16", "f2") X(HRM_BF16, 2, "BF16", "") \
    X(HRM_I8, 1, "I8", "i1") X(HRM_U8, 1, "U8", "u1") X(HRM_I16, 2, "I16", "i2") X(HRM_I32, 4, "I32", "i4") \
    X(HRM_I64, 8, "I64", "i8") X(HRM_BOOL, 1, "BOOL", "b1")

typedef enum hrm_dtype {
#define HRM__ENUM(name, bytes, st, np) name,
    HRM_DTYPE_LIST(HRM__ENUM)
#undef HRM__ENUM
    HRM_DTYPE_COUNT
} hrm_dtype;

HRM_API size_t      hrm_dtype_size(hrm_dtype dtype);
HRM_API const char *hrm_dtype_name(hrm_dtype dtype); /* as in safetensors: "F32" … */
/* n elements of one type into another; floats round to nearest even, integers must fit. dst and src do not overlap. */
HRM_API hrm_status hrm_convert(void *dst, hrm_dtype dst_dtype, const void *src, hrm_dtype src_dtype, size_t n);

#define HRM_MAX_DIMS 8
typedef struct hrm_tensor {
    const char *name;
    hrm_dtype   dtype;
    int         ndim;
    int64_t     shape[HRM_MAX_DIMS];
    const void *data; /* contiguous, in the machine's byte order; in a mapped file it need not be aligned */
    size_t      bytes;
} hrm_tensor;

/* ==================================================================================================== >>api-files =========
 * Readers map files and check every offset before use; writers write aside, sync, and rename, so that a file is either the
 * old one or the whole new one. Open objects may be read from several threads.
 */
typedef struct hrm_file_map { const unsigned char *data; size_t size; void *handle; } hrm_file_map;
HRM_API hrm_status hrm_file_map_open(hrm_file_map *map, const char *path); /* an empty file maps to size 0 */
HRM_API void       hrm_file_map_close(hrm_file_map *map);

typedef struct hrm_writer hrm_writer;
/* Writes beside `path`, into path.tmpNNN; removes such files that killed processes left there. */
HRM_API hrm_status hrm_writer_open(hrm_writer **writer, const char *path, const hrm_allocator *allocator);
HRM_API hrm_status hrm_writer_write(hrm_writer *writer, const void *data, size_t bytes); /* buffered; the first error sticks */
HRM_API hrm_status hrm_writer_rewrite(hrm_writer *writer, uint64_t offset, const void *data, size_t bytes); /* patch a header */
HRM_API hrm_status hrm_writer_commit(hrm_writer *writer); /* sync, rename, free; on failure the old file stands */
HRM_API void       hrm_writer_abort(hrm_writer *writer);  /* drop what was written, free; NULL is fine */
/* For signal handlers before they exit: unlinks every unfinished file of this process, and does nothing else. (Windows lets
 * nobody delete an open file: there they stay until the next writer of their path.) */
HRM_API void hrm_writer_abort_all(void);

/* JSON, and the subset of YAML that configurations use, as one tree. Strings are UTF-8, decoded, zero-terminated. */
typedef enum hrm_json_type {
    HRM_JSON_NULL,
    HRM_JSON_BOOL,
    HRM_JSON_NUMBER,
    HRM_JSON_STRING,
    HRM_JSON_ARRAY,
    HRM_JSON_OBJECT
} hrm_json_type;
typedef struct hrm_json {
    hrm_json_type    type;
    int              line;   /* where it stands in the text, from 1 */
    const char      *key;    /* of a member of an object, else NULL */
    const char      *string; /* of a string; of a number or bool its text */
    double           number; /* of a number; 0 or 1 of a bool */
    size_t           count;  /* children */
    struct hrm_json *child, *next;
} hrm_json;
typedef struct hrm_json_document hrm_json_document;
/* `name` stands in error messages. Nesting over 64 levels, numbers that are none, bytes after the end are refused. */
HRM_API hrm_status hrm_json_parse(hrm_json_document **doc, const char *text, size_t length, const char *name,
                                  const hrm_allocator *a);
HRM_API hrm_status hrm_yaml_parse(hrm_json_document **doc, const char *text, size_t length, const char *name,
                                  const hrm_allocator *a);
HRM_API hrm_status hrm_json_open(hrm_json_document **doc, const char *path, const hrm_allocator *a); /* .yaml, .yml: YAML */
/* Replaces in the tree's strings, as Hydra and OmegaConf would, ${oc.env:NAME}, ${oc.env:NAME,default} and ${now:%Y-%m-%d}, and
 * with `keys` also ${a.b} from the root, ${.a} and ${..a} from where they stand. What is not known stays. */
HRM_API hrm_status      hrm_json_expand(hrm_json_document *doc, int keys);
HRM_API const hrm_json *hrm_json_root(const hrm_json_document *doc);
HRM_API void            hrm_json_close(hrm_json_document *doc);
HRM_API const hrm_json *hrm_json_get(const hrm_json *object, const char *key); /* NULL when absent or not an object */
HRM_API hrm_status      hrm_json_integer(const hrm_json *node, int64_t *value); /* exact where a double would round */
/* The member `key` of an object, checked; an error names the file (`name`), line and key. When it is absent or null *value
 * stays as it is, unless it is required. */
HRM_API hrm_status hrm_json_read_number(const hrm_json *object, const char *key, double low, double high, int required,
                                        double *value, const char *name);
HRM_API hrm_status hrm_json_read_integer(const hrm_json *object, const char *key, int64_t low, int64_t high, int required,
                                         int64_t *value, const char *name);
HRM_API hrm_status hrm_json_read_bool(const hrm_json *object, const char *key, int required, int *value, const char *name);
HRM_API hrm_status hrm_json_read_string(const hrm_json *object, const char *key, int required, const char **value,
                                        const char *name);

/* NumPy arrays on disk, C order, version 1.0 to 3.0. Those mapped are little-endian and of a type above; of big-endian ones a
 * copy is made, and of u2, u4 and u8 one of the next larger signed type, into which they must fit. */
typedef struct hrm_npy { hrm_tensor tensor; hrm_file_map map; void *copy; size_t copy_bytes; } hrm_npy;
HRM_API hrm_status hrm_npy_open(hrm_npy *npy, const char *path);
HRM_API void       hrm_npy_close(hrm_npy *npy);
/* Streams rows of shape[1..] elements; shape[0] is what was written when it is committed. */
typedef struct hrm_npy_writer { hrm_writer *writer; hrm_tensor tensor; } hrm_npy_writer;
HRM_API hrm_status hrm_npy_writer_open(hrm_npy_writer *w, const char *path, hrm_dtype dtype, int ndim, const int64_t *shape,
                                       const hrm_allocator *a);
HRM_API hrm_status hrm_npy_writer_write(hrm_npy_writer *w, const void *rows, size_t num_rows);
HRM_API hrm_status hrm_npy_writer_commit(hrm_npy_writer *w);
HRM_API void       hrm_npy_writer_abort(hrm_npy_writer *w);

/* Checkpoint files: named tensors and text metadata. Reads safetensors and PyTorch's zip (told apart by content; of the pickle
 * dictionaries of tensors, "outer.inner" names those in one another; other objects are passed over, nothing is ever executed);
 * tensors stay in the mapped file. Those of a dtype not listed above, or not contiguous in PyTorch's, are left out. */
typedef struct hrm_tensors hrm_tensors;
typedef struct hrm_metadata { const char *key, *value; } hrm_metadata;
HRM_API hrm_status        hrm_tensors_open(hrm_tensors **file, const char *path, const hrm_allocator *a);
HRM_API void              hrm_tensors_close(hrm_tensors *file);
HRM_API size_t            hrm_tensors_count(const hrm_tensors *file);
HRM_API const hrm_tensor *hrm_tensors_at(const hrm_tensors *file, size_t index);          /* in the file's order */
HRM_API const hrm_tensor *hrm_tensors_find(const hrm_tensors *file, const char *name);    /* NULL when absent */
HRM_API const char       *hrm_tensors_metadata(const hrm_tensors *file, const char *key); /* NULL when absent */
HRM_API size_t            hrm_tensors_metadata_count(const hrm_tensors *file);
HRM_API hrm_metadata      hrm_tensors_metadata_at(const hrm_tensors *file, size_t index);
HRM_API int               hrm_tensors_is_torch(const hrm_tensors *file);
/* The name of a model's tensor without what training code put before it ("inner.lm_head.weight" of
 * "state_dict._orig_mod.model.inner.lm_head.weight"); NULL when it is no part of the model that would be loaded. */
HRM_API const char       *hrm_tensors_model_name(const hrm_tensors *file, const hrm_tensor *tensor);
/* Each tensor is converted to `as` on the way when it is a float type and as < HRM_DTYPE_COUNT. */
HRM_API hrm_status hrm_safetensors_save(const char *path, const hrm_tensor *tensors, size_t count, const hrm_metadata *metadata,
                                        size_t num_metadata, hrm_dtype as, const hrm_allocator *a);
HRM_API hrm_status hrm_torch_save(const char *path, const hrm_tensor *tensors, size_t count, hrm_dtype as,
                                  const hrm_allocator *a);

/* ==================================================================================================== >>api-dataset =======
 * The public code's data layout, DIR/{train,test}/…, mapped and never read whole; or arrays in memory. hrm_dataset_read may be
 * called from several threads at once; of hrm_dataset_next's callers one after another has its turn. Neither allocates.
 */
typedef struct hrm_dataset hrm_dataset;
typedef struct hrm_dataset_info {
    int     seq_len, vocab_size, num_puzzle_identifiers;
    int     pad_id, blank_identifier_id;
    int     ignore_label_id; /* INT_MIN when the data set has none */
    int64_t total_groups, total_puzzles, total_examples;
    double  mean_puzzle_examples;
    int     num_sets;
} hrm_dataset_info;
/* What stands in memory instead; every pointer stays the caller's and must outlive the data set. */
typedef struct hrm_dataset_arrays {
    int            seq_len, vocab_size, num_puzzle_identifiers; /* [max id + 1] */
    int            pad_id, blank_identifier_id;
    int            ignore_label_id;     /* used when has_ignore_label */
    int            has_ignore_label;
    int64_t        num_examples;
    const uint8_t *inputs, *labels;     /* [num_examples, seq_len] */
    int64_t        num_puzzles;         /* [num_examples, each example its own puzzle] */
    const int32_t *puzzle_identifiers;  /* [num_puzzles] [all 0] */
    const int32_t *puzzle_indices;      /* [num_puzzles + 1] [0, 1, 2, …] */
    int64_t        num_groups;          /* [num_puzzles, each puzzle its own group] */
    const int32_t *group_indices;       /* [num_groups + 1] [0, 1, 2, …] */
} hrm_dataset_arrays;
typedef struct hrm_dataset_desc {
    const hrm_allocator *allocator;
    /* [num_only] by identifier, 1: training draws from the groups that have such a puzzle alone, and total_groups,
     * total_puzzles and mean_puzzle_examples are theirs; NULL: from all. Reading by number is of every example. */
    const unsigned char *only;
    int64_t num_only;
    int check_tokens; /* 1: look at every token now; else opening takes milliseconds and each is checked when it is read */
} hrm_dataset_desc;

HRM_API hrm_status hrm_dataset_open(hrm_dataset **data, const char *dir, const char *split, const hrm_dataset_desc *desc);
HRM_API hrm_status hrm_dataset_from_arrays(hrm_dataset **data, const hrm_dataset_arrays *arrays, const hrm_dataset_desc *desc);
HRM_API void                    hrm_dataset_close(hrm_dataset *data);
HRM_API const hrm_dataset_info *hrm_dataset_describe(const hrm_dataset *data);

/* A batch: labels are -100 where ignored, padding rows have every label ignored. Arrays are the caller's. */
typedef struct hrm_batch {
    int      rows;   /* room */
    int      filled; /* rows that are real examples; the others are padding */
    int32_t *inputs, *labels;     /* [rows, seq_len] */
    int32_t *puzzle_identifiers;  /* [rows] [all 0] where a batch is read */
} hrm_batch;

/* Where a pass over the data stands: plain data, save it to resume. Zero is the start. */
typedef struct hrm_position {
    uint64_t iteration; /* of epochs_per_iter epochs each */
    uint64_t epoch;     /* in the iteration; with several sets those of the second come after those of the first */
    uint64_t group;     /* in the epoch's permutation: the next to draw from */
    uint64_t draws;     /* groups drawn from in this iteration */
} hrm_position;
/* The next batch in training order: per iteration epochs_per_iter permutations of the groups; from each group one random
 * puzzle, from it min(size, room) examples without replacement; an iteration's last partial batch is dropped (a set's, when
 * there are several). The order is a function of (seed, position) alone, and every position this leaves can be gone on from.
 * epochs_per_iter 0 means 1. *new_iteration (may be NULL) tells that the batch is the first of a later iteration than
 * *position was in. A batch that no iteration fills is HRM_ERR_ARGUMENT. On failure *position stands. A batch whose three
 * arrays are NULL is not filled: only *position moves. */
HRM_API hrm_status hrm_dataset_next(hrm_dataset *data, hrm_position *position, uint64_t seed, int epochs_per_iter,
                                    hrm_batch *batch, int *new_iteration);
/* Examples [first, first + rows) in file order, padded at the end; sequential evaluation. HRM_END past the last example. */
HRM_API hrm_status hrm_dataset_read(const hrm_dataset *data, int64_t first, hrm_batch *batch);

/* ==================================================================================================== >>api-model =========
 * What a model is made of. Zero in any field means the default in brackets, the paper's. Read the resolved values back with
 * hrm_model_describe(). Sizes are in elements.
 */
typedef enum hrm_pos_encodings { HRM_ROPE, HRM_LEARNED, HRM_NO_POSITIONS } hrm_pos_encodings;
typedef enum hrm_loss_type { HRM_STABLEMAX_CROSS_ENTROPY, HRM_SOFTMAX_CROSS_ENTROPY } hrm_loss_type;
typedef enum hrm_q_loss_type { HRM_Q_BCE, HRM_Q_MSE } hrm_q_loss_type;
typedef enum hrm_device_kind { HRM_CPU, HRM_CUDA } hrm_device_kind;
typedef enum hrm_forward_dtype {
    HRM_FORWARD_DEFAULT,
    HRM_FORWARD_FLOAT32,
    HRM_FORWARD_BFLOAT16,
    HRM_FORWARD_FLOAT16, /* on CUDA alone; training scales the loss, see hrm_run_desc.loss_scale */
    HRM_FORWARD_INT8
} hrm_forward_dtype;
typedef enum hrm_cycles_dtype { HRM_CYCLES_AS_FORWARD, HRM_CYCLES_FP8 } hrm_cycles_dtype;

/* Whose defaults a 0 means, in a model's description and in a trainer's. The names are those of `arch=NAME`. */
#define HRM_ARCHS(X) /* enum, name, what it sets of the lists below */ \
    X(HRM_ARCH_HRM, "hrm_v1", "") /* HRM as published: the defaults of the lists */ \
    X(HRM_ARCH_TRM, "trm", HRM_TRM_SETS) /* the Tiny Recursive Model, arXiv:2510.04871 */ \
    X(HRM_ARCH_TRM_MLP, "trm_mlp", HRM_TRM_SETS " mlp_t=1 pos_encodings=none") \
    X(HRM_ARCH_FAST, "fast", /* arXiv:2601.19085 */ \
      "H_layers=0 L_layers=2 hidden_size=512 mlp_t=1 mlp_norm=1 pos_encodings=none puzzle_emb_len=1 H_cycles=6 L_cycles=9 " \
      "grad_H_cycles=1 no_ACT_continue=1 loss_type=softmax_cross_entropy label_smoothing=0.2 q_loss_weight=0.05 " \
      "optimizer=muon muon_lr=0.02 muon_momentum=0.6 muon_weight_decay=0.005 muon_ns_steps=3 lr=1e-4 weight_decay=1 " \
      "grad_clip=1 beta1=0.9 beta2=0.95 puzzle_emb_lr=1e-4 puzzle_emb_weight_decay=1 lr_min_ratio=0 batch_size=384 ema=1 " \
      "ema_rate=0.9 ema_from=5000") /* and 8,000 steps without warm-up */ \
    X(HRM_ARCH_MICRO, "micro", HRM_SIZE_SETS("256", "4", "2", "2", "2", "4")) \
    X(HRM_ARCH_TINY, "tiny", HRM_SIZE_SETS("384", "6", "4", "2", "2", "6")) \
    X(HRM_ARCH_SMALL, "small", HRM_SIZE_SETS("512", "8", "6", "2", "3", "8")) \
    X(HRM_ARCH_BASE, "base", HRM_SIZE_SETS("768", "12", "8", "3", "3", "10")) \
    X(HRM_ARCH_LARGE, "large", HRM_SIZE_SETS("1024", "16", "12", "3", "4", "12")) \
    X(HRM_ARCH_XLARGE, "xlarge", HRM_SIZE_SETS("1536", "24", "16", "4", "4", "16"))
#define HRM_TRM_SETS \
    "H_layers=0 L_layers=2 H_cycles=3 L_cycles=6 grad_H_cycles=1 puzzle_emb_len=16 no_ACT_continue=1"
#define HRM_SIZE_SETS(width, heads, layers, H, L, segments) \
    "hidden_size=" width " num_heads=" heads " H_layers=" layers " L_layers=" layers " H_cycles=" H " L_cycles=" L \
    " halt_max_steps=" segments
typedef enum hrm_arch {
#define HRM__ARCH(index, name, sets) index,
    HRM_ARCHS(HRM__ARCH)
#undef HRM__ARCH
    HRM_ARCH_COUNT
} hrm_arch;
HRM_API const char *hrm_arch_name(hrm_arch arch);                       /* NULL: none of that number */
HRM_API hrm_status  hrm_arch_find(hrm_arch *arch, const char *name); /* HRM_ERR_ARGUMENT names all there are */

/* Every key of a model, once: from these lists come defaults, ranges, the configuration in a checkpoint, its reading and
 * merging, the command's keys and their help. X(A, kind, key, field, …) for each, A is passed on:
 *   INT, FLOAT  default, lowest, highest, the flag that says 0 (the field again: 0 means the default), help
 *   WORD        the words it may be, the first one the default; their numbers are those of its enum; help
 *   FLAG        help; in a description 1: yes, -1: no, 0: the default, which is no but for some of HRM_ARCHS */
#define HRM_DATA_KEYS(X, A) \
    X(A, INT, "seq_len", seq_len, 0, 1, 1048576, seq_len, "tokens of a puzzle") \
    X(A, INT, "vocab_size", vocab_size, 0, 2, 1048576, vocab_size, "kinds of tokens") \
    X(A, INT, "num_puzzle_identifiers", num_puzzle_identifiers, 1, 1, 2147483646, num_puzzle_identifiers, \
      "rows of the puzzle table")
#define HRM_ARCH_KEYS(X, A) \
    X(A, WORD, "loss.loss_type", loss_type, "stablemax_cross_entropy|softmax_cross_entropy", "of the tokens") \
    X(A, FLOAT, "halt_exploration_prob", halt_exploration_prob, 0.1, 0, 1, no_halt_exploration, \
      "how often a row is made to go on in training") \
    X(A, INT, "halt_max_steps", halt_max_steps, 16, 1, 1048576, halt_max_steps, "segments at most") \
    X(A, INT, "H_cycles", H_cycles, 2, 1, 1024, H_cycles, "passes of the slow level in a segment") \
    X(A, INT, "L_cycles", L_cycles, 2, 1, 1024, L_cycles, "passes of the fast level in each of those") \
    X(A, INT, "H_layers", H_layers, 4, 1, 1024, one_network, \
      "blocks of the slow level; 0: the fast level's network does both") \
    X(A, INT, "L_layers", L_layers, 4, 1, 1024, L_layers, "blocks of the fast level") \
    X(A, INT, "hidden_size", hidden_size, 512, 1, 65536, hidden_size, "width, a multiple of num_heads") \
    X(A, INT, "num_heads", num_heads, 8, 1, 4096, num_heads, "attention heads") \
    X(A, FLOAT, "expansion", expansion, 4, 0.001, 1024, expansion, "width of the SwiGLU, times 2/3 of hidden_size") \
    X(A, INT, "puzzle_emb_ndim", puzzle_emb_ndim, HRM_OF_HIDDEN_SIZE, 0, 1048576, no_puzzle_emb, \
      "width of a puzzle's own embedding; 0: none") \
    X(A, WORD, "pos_encodings", pos_encodings, "rope|learned|none", "how positions are told") \
    X(A, FLAG, "causal", causal, "a position attends to itself and those before it alone") \
    X(A, FLOAT, "rms_norm_eps", rms_norm_eps, 1e-5, 1e-12, 1, rms_norm_eps, "of the norms") \
    X(A, FLOAT, "rope_theta", rope_theta, 10000, 0.001, 1e30, rope_theta, "base of the rotary angles") \
    HRM_FAMILY_KEYS(X, A)
#define HRM_FAMILY_KEYS(X, A) /* what HRM as published has not; in a checkpoint only where it is not the default */ \
    X(A, FLAG, "mlp_t", mlp_t, "positions are mixed by a SwiGLU over them instead of attention") \
    X(A, FLAG, "mlp_norm", mlp_norm, "the SwiGLU's product is sigmoid(g) rms(g u)") \
    X(A, INT, "puzzle_emb_len", puzzle_emb_len, 0, 0, 65536, no_puzzle_emb_len, \
      "positions of a puzzle's own embedding; 0: as many as puzzle_emb_ndim fills") \
    X(A, FLAG, "no_ACT_continue", no_ACT_continue, "halt when q_halt > 0; nothing learns to continue") \
    X(A, INT, "grad_H_cycles", grad_H_cycles, 0, 0, 1024, no_grad_H_cycles, \
      "gradient through every pass of the last n H cycles; 0: through the last pass of each level") \
    X(A, FLOAT, "loss.label_smoothing", label_smoothing, 0, 0, 0.999999, no_label_smoothing, "part of a label given to all") \
    X(A, WORD, "loss.q_loss_type", q_loss_type, "bce|mse", "of both q") \
    X(A, FLOAT, "loss.q_loss_weight", q_loss_weight, 0.5, 0, 1000, no_q_loss, "of both q's losses") \
    X(A, FLOAT, "loss.ponder_weight", ponder_weight, 0, 0, 1000, ponder_weight, "of the chance of going on") \
    X(A, FLOAT, "dropout", dropout, 0, 0, 0.99, dropout, "of each residual branch, in training") \
    X(A, FLOAT, "halt_exploration_end", halt_exploration_end, 0, 0, 1, halt_exploration_end, \
      "what halt_exploration_prob becomes over exploration_steps") \
    X(A, INT, "halt_max_steps_start", halt_max_steps_start, 0, 0, 1048576, halt_max_steps_start, \
      "segments allowed at first, halt_max_steps after curriculum_steps; 0: the same throughout") \
    X(A, INT, "H_cycles_start", H_cycles_start, 0, 0, 1024, H_cycles_start, "likewise") \
    X(A, INT, "L_cycles_start", L_cycles_start, 0, 0, 1024, L_cycles_start, "likewise")
#define HRM_MODEL_KEYS(X, A) HRM_DATA_KEYS(X, A) HRM_ARCH_KEYS(X, A)
#define HRM_OF_HIDDEN_SIZE   0 /* then hidden_size is the default */

typedef struct hrm_model_desc {
    hrm_arch arch; /* [HRM_ARCH_HRM] whose defaults are meant; resolved it is HRM_ARCH_HRM, all else being told */
    int   seq_len;                /* T, tokens of a puzzle without the puzzle positions; required */
    int   vocab_size;             /* V; required, at least 2 */
    int   num_puzzle_identifiers; /* rows of the puzzle table [1] */
    int   puzzle_emb_ndim;        /* its columns [hidden_size] */
    int   no_puzzle_emb;          /* 1: no puzzle table (puzzle_emb_ndim 0 in the public code) */
    int   puzzle_emb_len;         /* P, its positions [as many as puzzle_emb_ndim fills]; the row is zero-padded */
    int   no_puzzle_emb_len;      /* 1: as many as it fills, whatever arch says */
    int   hidden_size;            /* D [512], a multiple of num_heads */
    int   num_heads;              /* [8] */
    int   H_layers, L_layers;     /* [4] blocks of the slow and of the fast level */
    int   one_network;            /* 1: H_layers is 0: the fast level's network does the slow level's passes too (TRM) */
    int   H_cycles, L_cycles;     /* [2] passes of the slow level in a segment; of the fast level in each of those */
    int   grad_H_cycles;          /* [0: the one-step gradient] through every pass of the last n H cycles */
    int   no_grad_H_cycles;       /* 1: 0 is meant, whatever arch says */
    int   mlp_t;                  /* 1: mixing over positions instead of attention */
    int   mlp_norm;               /* 1: the SwiGLU's product is sigmoid(g) rms(g u) */
    float expansion;              /* [4] the SwiGLU width is round(expansion*D*2/3), up to a multiple of 256 */
    hrm_pos_encodings pos_encodings; /* [HRM_ROPE] */
    float rms_norm_eps;           /* [1e-5] */
    float rope_theta;             /* [10000] */
    int   causal;                 /* 1: a position attends to itself and those before it */
    int   halt_max_steps;         /* [16] segments at most */
    float halt_exploration_prob;  /* [0.1] in training */
    int   no_halt_exploration;    /* 1: probability 0 */
    float halt_exploration_end;   /* [0] after the trainer's exploration_steps */
    int   no_ACT_continue;        /* 1: halt when q_halt > 0, no target, no second forward, no continue loss */
    /* [the same throughout] before the trainer's curriculum_steps; of a model from a file nothing without those */
    int halt_max_steps_start, H_cycles_start, L_cycles_start;
    float dropout;                /* [0] */
    hrm_loss_type loss_type;      /* [HRM_STABLEMAX_CROSS_ENTROPY] */
    float label_smoothing;        /* [0] */
    int   no_label_smoothing;     /* 1: 0 is meant, whatever arch says */
    hrm_q_loss_type q_loss_type;  /* [HRM_Q_BCE] */
    float q_loss_weight;          /* [0.5] */
    int   no_q_loss;              /* 1: weight 0 */
    float ponder_weight;          /* [0] */
    const struct hrm_recurrence
        *recurrence;              /* [HRM's] another list of passes, see >>api-device; then H_layers, L_layers, H_cycles and
                                     L_cycles mean nothing; read at creation, stored in no file */
    uint64_t seed;                /* of the initial weights */
    /* where and how it runs; not stored in checkpoints */
    hrm_device_kind      device;        /* [HRM_CPU] */
    const struct hrm_device_table *device_table; /* [the device's] a program's own instead; must outlive the model */
    hrm_forward_dtype forward_dtype; /* [float32 on the CPU, bfloat16 on CUDA]; on the CPU bfloat16 and int8 are for solving
                                           only, by its own products of them where it has these (AVX-512 BF16, VNNI) */
    hrm_cycles_dtype cycles_dtype; /* [as forward_dtype] fp8: in passes without gradient, in training and solving, the large
                                      products are of e4m3; on CUDA, compute capability 9.0, bfloat16, hidden_size 512 */
    int                  num_threads;   /* [hrm_cpu_count()] */
    const hrm_allocator *allocator;
} hrm_model_desc;

typedef struct hrm_model hrm_model;

HRM_API hrm_model_desc
hrm_model_desc_for(const hrm_dataset *data); /* seq_len, vocab_size, num_puzzle_identifiers; the rest 0 */
HRM_API hrm_status hrm_model_create(hrm_model **model, const hrm_model_desc *desc); /* weights as the paper initialises them */
HRM_API void hrm_model_destroy(hrm_model *model);                                   /* after its trainers, runs; NULL is fine */
HRM_API const hrm_model_desc *hrm_model_describe(const hrm_model *model);              /* resolved; the model's own */
HRM_API int64_t hrm_model_parameters(const hrm_model *model); /* trained by Adam-atan2; without buffers and puzzle table */

/* Bytes that a model and what runs on it will allocate, known before anything is; `batch` rows. */
typedef struct hrm_memory { size_t model, train, solve; } hrm_memory; /* train and solve come on top of model */
HRM_API hrm_status hrm_model_memory(hrm_memory *memory, const hrm_model_desc *desc, int batch);
struct hrm_train_desc; /* the same with what a trainer is told; batch_size rows */
HRM_API hrm_status hrm_trainer_memory(hrm_memory *memory, const hrm_model_desc *desc, const struct hrm_train_desc *train);

/* Tensors under the public checkpoints' names ("inner.lm_head.weight"), in their order. `role` tells what moves them. */
typedef enum hrm_role { HRM_TRAINED, HRM_BUFFER, HRM_PUZZLE_TABLE } hrm_role;
HRM_API int        hrm_model_tensor_count(const hrm_model *model);
/* tensor->data is NULL on a GPU */
HRM_API hrm_status hrm_model_tensor(const hrm_model *model, int index, hrm_tensor *tensor, hrm_role *role);
HRM_API int        hrm_model_tensor_find(const hrm_model *model, const char *name);                        /* -1 when absent */
HRM_API hrm_status hrm_model_tensor_read(const hrm_model *model, int index, hrm_real *values);
HRM_API hrm_status hrm_model_tensor_write(hrm_model *model, int index, const hrm_real *values); /* refuses what is not finite */

/* Checkpoints. Loading reads safetensors and PyTorch zips (names behind any "state_dict.", "module.", "_orig_mod.", "model.").
 * The configuration is the file's own metadata, else the first that lies beside it of NAME.yaml (the file's name without its
 * ending, or with it), all_config.yaml and config.json; an unknown key of the model there is an error. */
HRM_API hrm_status hrm_model_save(const hrm_model *model, const char *path); /* safetensors, float32 */
HRM_API hrm_status hrm_model_save_as(const hrm_model *model, const char *path, hrm_dtype dtype, const hrm_metadata *more,
                                     size_t num_more);
/* `desc` (may be NULL) gives device, threads, allocator and what the file does not say (0: as in the file). A contradiction is
 * an error that names the field and both values; but what no weight depends on (halt_max_steps, the exploration, what only
 * training looks at) is desc's. seq_len, num_heads, H_cycles, L_cycles and halt_max_steps must be told by one of them: no
 * tensor does, and no default is right. */
HRM_API hrm_status hrm_model_load(hrm_model **model, const char *path, const hrm_model_desc *desc);
/* Into an existing model, all or nothing. Only shapes are compared: the model's configuration is yours. */
HRM_API hrm_status hrm_model_load_weights(hrm_model *model, const char *path);
/* The configuration a checkpoint states, without loading it; what nothing tells is 0. */
HRM_API hrm_status hrm_checkpoint_describe(hrm_model_desc *desc, const char *path, const hrm_allocator *a);
/* The steps of hrm_model_load before it makes a model. First what the file, `desc` (may be NULL) and the tensors say together,
 * what nothing tells 0; `sources` may be NULL. When no one says the expansion, *merged has one of the width that the tensors
 * have. */
typedef struct hrm_sources { unsigned char from[64]; char beside[1024]; } hrm_sources; /* for hrm_sources_of */
HRM_API hrm_status hrm_checkpoint_merge(hrm_model_desc *merged, hrm_sources *sources, const char *path,
                                        const hrm_model_desc *desc);
/* Then HRM_ERR_ARGUMENT, naming every one that must be told and is not. */
HRM_API hrm_status hrm_checkpoint_complete(const hrm_model_desc *merged, const char *path);
/* Where the value of `key` ("num_heads", "loss_type" …) is from: "its own metadata", the path of a file beside it, "its
 * tensors", "the description", "the default"; NULL: nothing tells it. Of key NULL: the configuration as a whole, NULL: there is
 * none. */
HRM_API const char *hrm_sources_of(const hrm_sources *sources, const char *key);

/* ==================================================================================================== >>api-metrics =======
 * As the public code logs them: losses per row, the others per counted row (one that has just halted and has a label).
 */
typedef struct hrm_metrics {
    int64_t step;  /* of the update, from 1; 0 in an evaluation */
    double  lr;
    double  rows;  /* over how many rows the losses are means */
    double  count; /* over how many the others are, which are 0 where no row has halted: hrm_metrics_add keeps what was known */
    double  accuracy, exact_accuracy, q_halt_accuracy, steps;
    double  lm_loss, q_halt_loss, q_continue_loss, ponder_loss; /* in training with smoothing and the q loss it is trained by */
    double  grad_norm; /* of the weights' gradients before clipping; 0 where nothing needs it, and in a step that was skipped */
    double  loss_scale, skipped; /* in float16: of the next step; the steps so far that were skipped. Else 0 */
} hrm_metrics;
HRM_API void hrm_metrics_add(hrm_metrics *total, const hrm_metrics *more); /* weighted; step and lr become the later ones */

/* ==================================================================================================== >>api-comm ==========
 * Several processes with one model: each works on a part of every batch's rows, and they add up their gradients, so that what
 * comes of it is what one process would make of the whole batch, but for the order of sums. What they tell each other goes
 * through this table, given to a trainer or an evaluation: MPI, NCCL or plain TCP (tools/comm.h has all three), or one's own.
 * All ranks make the same calls of the library in the same order, with the same descriptions, weights and data; of each
 * function below they get the same bytes. A failure of one call on one rank leaves the others waiting: end the program, which
 * ends them too.
 */
typedef struct hrm_comm {
    int   rank, size; /* of this process, from 0; how many there are */
    void *user;
    /* values [n] of all ranks added up, in place. They are in the model's device memory, and it is only begun: values are left
     * alone until wait() returns. On a GPU both queue on `stream`, a cudaStream_t, and return at once; NULL on the CPU. */
    hrm_status (*sum)(void *user, hrm_real *values, size_t n, void *stream);
    hrm_status (*wait)(void *user, void *stream);
    /* to [size, bytes]: what `from` holds on each rank, by rank; on all of them, or with all 0 on rank 0 alone (elsewhere `to`
     * is NULL). stream NULL: host memory, done when it returns. Else device memory, all is 1, and it queues. */
    hrm_status (*gather)(void *user, void *to, const void *from, size_t bytes, int all, void *stream);
} hrm_comm;
/* A rank's part of `rows`: how many and the first of them; parts differ by one row at most. */
HRM_API int hrm_comm_rows(const hrm_comm *comm, int rank, int rows, int *first);

/* ==================================================================================================== >>api-run ===========
 * A run: a model at work on `rows` puzzles at once, with its carry (z_H, z_L, steps, halted, the puzzles in flight) and, when
 * it trains, the memory for gradients. One ACT segment at a time; a trainer and hrm_solve are loops over these calls. One run
 * is used by one thread at a time, runs of one model one after another. Nothing is allocated after creation.
 */
typedef struct hrm_run hrm_run;
typedef enum hrm_optimizer { HRM_ADAM_ATAN2, HRM_ADAMW, HRM_MUON, HRM_SIGN_SGD /* the puzzle table's */ } hrm_optimizer;
typedef struct hrm_run_desc {
    int rows;   /* B [1] */
    int train;  /* 1: segments keep what the backward pass needs, rows halt and explore as in training */
    int update; /* 1: hrm_run_update can be called: the optimizers' moments are kept too */
    hrm_optimizer optimizer; /* [HRM_ADAM_ATAN2] of the weights; HRM_MUON: of the blocks' matrices, HRM_ADAMW has the rest */
    int muon_ns_steps; /* [3] its Newton-Schulz iterations */
    int ema;    /* 1: updates keep an average of the weights */
    int freeze_weights; /* 1: only the puzzle table learns; no gradient of anything else is computed */
    int activation_checkpointing; /* 1: the backward pass computes blocks again from their inputs: less memory, same bits */
    /* In float16 gradients are computed of the loss times a scale, so that they are not lost for being small, and divided by it
     * before anything else sees them. Where one is then not finite, the update is skipped and the scale halved; after so many
     * updates without that it doubles. */
    float loss_scale;               /* [65536] what it starts from */
    int loss_scale_growth_interval; /* [2000] */
    uint64_t seed; /* of the exploration */
} hrm_run_desc;
HRM_API hrm_status hrm_run_create(hrm_run **run, hrm_model *model, const hrm_run_desc *desc);
HRM_API void       hrm_run_destroy(hrm_run *run);
HRM_API hrm_status hrm_run_reset(hrm_run *run); /* a fresh carry: halted everywhere */
/* One segment: rows that have halted take the batch's row, the others go on. Checks tokens and ids first. min_halt_steps [rows]
 * replaces the exploration draw; NULL otherwise. In training it leaves the loss's gradient for hrm_run_backward. */
HRM_API hrm_status hrm_run_segment(hrm_run *run, const hrm_batch *batch, const int32_t *min_halt_steps);
/* A segment of a run that does not train, pass by pass: after each `on_pass` hears which pass of the segment it was, from 0,
 * and which state it moved, and may read the states with hrm_run_read. Anything but HRM_OK ends the segment there and is
 * returned; the carry is half-way then, until hrm_run_reset. */
HRM_API hrm_status hrm_run_watch(hrm_run *run, const hrm_batch *batch,
                                 hrm_status (*on_pass)(void *user, int pass, int state), void *user);
/* Gradient of (sum of the losses / rows) of the segment just run, added to the run's gradients. Of the puzzle table each row
 * has its own: a row that takes a puzzle of another identifier starts it from 0, so it is read, or applied, before. */
HRM_API hrm_status hrm_run_backward(hrm_run *run);
/* A loss of one's own: between a segment and its backward pass, the gradient of (its sum / rows) with respect to the logits
 * [rows,T,V] and the q's [rows,2], halt then continue; NULL: as the segment left it. HRM_ERR_NAN, and nothing changed, where
 * one is not finite. */
HRM_API hrm_status hrm_run_set_gradient(hrm_run *run, const hrm_real *dlogits, const hrm_real *dq);
HRM_API hrm_status hrm_run_zero_gradients(hrm_run *run);
/* The puzzle table's is [rows, ndim], of the ids in flight. */
HRM_API hrm_status hrm_run_gradient(const hrm_run *run, int tensor, hrm_real *values);
/* The norm of all gradients but the puzzle table's, as clipping measures it; HRM_ERR_NAN when one is not finite: then no update
 * moves anything until hrm_run_zero_gradients. Waits for a GPU. */
HRM_API hrm_status hrm_run_gradient_norm(hrm_run *run, double *norm);
/* Applies the gradients and zeroes them: the run's optimizer on the weights, SignSGD on the puzzle rows in flight. The values
 * are taken as they are, 0 is 0, but must be finite. HRM_ERR_NAN when a loss since the last update was not finite, or with
 * grad_clip a gradient: nothing moved. Without, gradients are not looked at, and those that are not finite (of finite losses)
 * make such weights. In float16 an update whose gradients are not is skipped, which is no error: hrm_run_updates tells. Waits
 * for a GPU. */
typedef struct hrm_update_desc {
    float lr, weight_decay, beta1, beta2;
    float puzzle_emb_lr, puzzle_emb_weight_decay;
    float adam_eps;                                 /* AdamW */
    float muon_lr, muon_weight_decay, muon_momentum; /* Muon */
    float grad_clip; /* 0: none; else gradients are scaled so that their norm is at most this */
    float ema_rate;  /* average = ema_rate average + (1 - ema_rate) weights, after the update */
} hrm_update_desc;
HRM_API hrm_status hrm_run_update(hrm_run *run, const hrm_update_desc *desc);
/* Changes the model's weights for their average (on 1) and back (0), for solving, evaluating and saving. Training needs them
 * back. */
HRM_API hrm_status hrm_run_use_average(hrm_run *run, int on);
HRM_API int64_t    hrm_run_updates(const hrm_run *run); /* how many were applied: the t of the bias correction */
HRM_API hrm_status hrm_run_metrics(const hrm_run *run, hrm_metrics *metrics);          /* of the segment just run */
/* Copies of the segment's results; each pointer may be NULL. logits [rows,T,V]; the others [rows]. */
typedef struct hrm_run_outputs {
    hrm_real *logits, *q_halt, *q_continue;
    hrm_real *target_q_continue; /* of runs that train, with halt_max_steps over 1; asked of others it is HRM_ERR_ARGUMENT */
    int32_t  *steps, *halted;
    int32_t  *predictions; /* [rows,T] arg max of the logits */
    hrm_real *states;      /* [states,rows,P+T,D] the carry, z_H then z_L; the puzzle positions come first */
} hrm_run_outputs;
HRM_API hrm_status hrm_run_read(const hrm_run *run, const hrm_run_outputs *outputs);

/* ==================================================================================================== >>api-trainer =======
 * Deep supervision: every segment is one update of Adam-atan2 and SignSGD.
 */
#define HRM_RATE_KEYS(X, A) /* the trainer's, as HRM_ARCH_KEYS */ \
    X(A, FLOAT, "lr", lr, 1e-4, 0, 10, no_lr, "learning rate") \
    X(A, FLOAT, "lr_min_ratio", lr_min_ratio, 1, 0, 1, no_lr_min_ratio, "where the cosine ends, as a part of lr") \
    X(A, FLOAT, "beta1", beta1, 0.9, 0, 0.999999, no_beta1, "Adam, mean of gradients") \
    X(A, FLOAT, "beta2", beta2, 0.95, 0, 0.999999, no_beta2, "Adam, mean of squares") \
    X(A, FLOAT, "weight_decay", weight_decay, 0.1, 0, 1000, no_weight_decay, "of all parameters but the puzzle table") \
    X(A, FLOAT, "puzzle_emb_lr", puzzle_emb_lr, 1e-2, 0, 10, no_puzzle_emb_lr, "learning rate of the puzzle table") \
    X(A, FLOAT, "puzzle_emb_weight_decay", puzzle_emb_weight_decay, 0.1, 0, 1000, no_puzzle_emb_weight_decay, \
      "weight decay of the puzzle table")
#define HRM_TRAIN_KEYS(X, A) \
    X(A, INT, "global_batch_size", batch_size, 768, 1, 1048576, batch_size, "puzzles a step") \
    X(A, INT, "epochs_per_iter", epochs_per_iter, 1, 1, 2147483647, epochs_per_iter, \
      "permutations of the groups between two partial batches that are dropped") \
    HRM_RATE_KEYS(X, A) \
    HRM_TRAINING_KEYS(X, A)
#define HRM_TRAINING_KEYS(X, A) /* what the public HRM code has not */ \
    X(A, WORD, "optimizer", optimizer, "adam_atan2|adamw|muon", "of the weights; muon: of the blocks', adamw of the rest") \
    X(A, FLOAT, "adam_eps", adam_eps, 1e-8, 1e-20, 1, adam_eps, "of AdamW") \
    X(A, FLOAT, "muon_lr", muon_lr, 0.02, 0, 10, no_muon_lr, "learning rate of Muon, with the schedule of lr") \
    X(A, FLOAT, "muon_momentum", muon_momentum, 0.6, 0, 0.999999, no_muon_momentum, "of Muon") \
    X(A, FLOAT, "muon_weight_decay", muon_weight_decay, 0.005, 0, 1000, no_muon_weight_decay, "of Muon") \
    X(A, INT, "muon_ns_steps", muon_ns_steps, 3, 1, 32, muon_ns_steps, "Newton-Schulz iterations of Muon") \
    X(A, FLOAT, "grad_clip", grad_clip, 0, 0, 1e30, no_grad_clip, "the gradients' norm at most; 0: any") \
    X(A, FLAG, "ema", ema, "an average of the weights is kept, evaluated and saved") \
    X(A, FLOAT, "ema_rate", ema_rate, 0.999, 0, 0.9999999, no_ema_rate, "what the average keeps of itself at an update") \
    X(A, INT, "ema_from", ema_from, 0, 0, 2147483647, no_ema_from, "the update whose weights the average starts from") \
    X(A, INT, "grad_accumulation", grad_accumulation, 1, 1, 1048576, grad_accumulation, "parts that a batch is worked on in") \
    X(A, FLAG, "freeze_weights", freeze_weights, "only the puzzle table learns") \
    X(A, FLAG, "activation_checkpointing", activation_checkpointing, "less memory: blocks are computed again on the way back") \
    X(A, INT, "curriculum_steps", curriculum_steps, 0, 0, 2147483647, curriculum_steps, \
      "steps until halt_max_steps, H_cycles and L_cycles are reached from their _start") \
    X(A, INT, "exploration_steps", exploration_steps, 0, 0, 2147483647, exploration_steps, \
      "steps until halt_exploration_end is reached") \
    X(A, FLOAT, "loss_scale", loss_scale, 0, 0, 1e30, loss_scale, \
      "of float16, to begin with; halved where gradients overflow, and that step skipped; 0: 65536") \
    X(A, INT, "loss_scale_growth_interval", loss_scale_growth_interval, 2000, 1, 2147483647, loss_scale_growth_interval, \
      "steps without overflow until it doubles")

typedef struct hrm_train_desc {
    hrm_arch arch;       /* [HRM_ARCH_HRM] whose defaults are meant; only HRM_ARCH_FAST has some of its own */
    int64_t  steps;      /* updates in all; or give epochs */
    double epochs; /* [1000 when steps is 0 too] steps = floor(epochs * total_groups * mean_puzzle_examples / batch_size) */
    int      batch_size; /* [768] rows a step */
    int      epochs_per_iter; /* [1] permutations of the groups between two partial batches that are dropped */
    float    lr;              /* [1e-4] */
    float    lr_min_ratio;    /* [1: constant after the warm-up] */
    int64_t  lr_warmup_steps; /* [2000, at most a tenth of steps] */
    float    beta1, beta2;    /* [0.9, 0.95] */
    float    weight_decay;    /* [0.1] */
    float    puzzle_emb_lr;   /* [1e-2] */
    float    puzzle_emb_weight_decay; /* [0.1] */
    /* 1: 0 is meant, not the default */
    int no_warmup, no_lr, no_lr_min_ratio, no_beta1, no_beta2, no_weight_decay, no_puzzle_emb_lr, no_puzzle_emb_weight_decay;
    hrm_optimizer optimizer;  /* [HRM_ADAM_ATAN2] HRM_MUON: of the blocks' matrices, HRM_ADAMW has the rest */
    float    adam_eps;        /* [1e-8] */
    float    muon_lr, muon_momentum, muon_weight_decay; /* [0.02, 0.6, 0.005] */
    int      muon_ns_steps;   /* [3] */
    float    grad_clip;       /* [0: none] */
    int      ema;             /* 1: an average of the weights is kept, see hrm_trainer_use_average */
    float    ema_rate;        /* [0.999] */
    int      ema_from;        /* [0] the average starts from the weights after this update; 0: from the initial ones */
    int      grad_accumulation; /* [1] parts that a batch is worked on in: less memory, the same result, rounding aside */
    int      freeze_weights;  /* 1: only the puzzle table learns */
    int      activation_checkpointing; /* 1: blocks are computed again on the way back: less memory, the same bits */
    int      curriculum_steps, exploration_steps; /* [0] until the model's ends of both are reached from their starts */
    float    loss_scale;      /* [65536] of float16 at the start, see hrm_run_desc */
    int      loss_scale_growth_interval; /* [2000] */
    int no_muon_lr, no_muon_momentum, no_muon_weight_decay, no_grad_clip, no_ema_rate, no_ema_from; /* 1: 0 is meant */
    uint64_t seed;            /* of data order, exploration and dropout */
    int      gather_ahead;    /* 1: a thread gathers the next batch during a step, -1: none does [1 on a GPU, else -1]; what a
                                 data set in memory points to must not change meanwhile */
    const hrm_comm *comm;     /* [NULL: this process alone] batch_size is the whole batch's; metrics are of all its rows */
} hrm_train_desc;

typedef struct hrm_trainer hrm_trainer;
HRM_API hrm_status hrm_trainer_create(hrm_trainer **trainer, hrm_model *model, const hrm_train_desc *desc);
HRM_API void       hrm_trainer_destroy(hrm_trainer *trainer); /* before its model */
HRM_API const hrm_train_desc *hrm_trainer_describe(const hrm_trainer *trainer);
/* One update. metrics are of this step; NULL: do not wait for them, and hear of an error with the next step. HRM_END once all
 * steps are done; HRM_ERR_NAN when the loss is not finite: the message names the step and says whether the weights still are;
 * nothing moves any more, nor is it saved, until hrm_trainer_load brings a state, or hrm_run_reset of its run a fresh carry. So
 * it is, as HRM_ERR_DEVICE, after a step that a device or another process made fail half-way. */
HRM_API hrm_status hrm_trainer_step(hrm_trainer *trainer, hrm_dataset *data, hrm_metrics *metrics);
/* The same without waiting for a GPU: *metrics are those of the step before (its `step` is 0 when there is none to tell of).
 * Errors of a step come with its metrics. HRM_END once all steps are begun; hrm_trainer_catch_up tells of the last one. On the
 * CPU nothing is left to wait for, and *metrics are this step's. */
HRM_API hrm_status hrm_trainer_step_ahead(hrm_trainer *trainer, hrm_dataset *data, hrm_metrics *metrics);
/* Waits; metrics->step is 0 when all was told already. */
HRM_API hrm_status hrm_trainer_catch_up(hrm_trainer *trainer, hrm_metrics *metrics);
HRM_API int64_t    hrm_trainer_steps_done(const hrm_trainer *trainer);  /* with those begun */
HRM_API int64_t    hrm_trainer_steps_total(const hrm_trainer *trainer); /* 0 until known (epochs need the data set) */
HRM_API hrm_run *hrm_trainer_run(hrm_trainer *trainer); /* its carry; the trainer's own, gradients are applied and gone */
HRM_API hrm_position hrm_trainer_position(const hrm_trainer *trainer);
/* Everything a run needs to go on as if never stopped: weights, moments, carry, position, step; one safetensors file. With comm
 * all ranks call both, rank 0 writes, and all of them read; the file does not tell how many there were. More `steps` than it
 * had take a run past its end, with the warm-up that it had unless another is told; one that epochs measure ends where it was
 * to. The optimizer and the seed must be the run's; the rest may change. */
HRM_API hrm_status hrm_trainer_save(const hrm_trainer *trainer, const char *path, const hrm_metadata *more, size_t num_more);
HRM_API hrm_status hrm_trainer_load(hrm_trainer *trainer, const char *path);

/* The model's weights become their average (on 1) or what is being trained (0), for evaluating and saving; the next step
 * changes them back. Before ema_from they are the same. HRM_ERR_ARGUMENT without ema. A saved state has both. */
HRM_API hrm_status hrm_trainer_use_average(hrm_trainer *trainer, int on);

/* lr(step), step counted from 1: linear warm-up, then cosine to lr_min_ratio (the public code's schedule). */
HRM_API double hrm_schedule(int64_t step, double lr, int64_t warmup, int64_t total, double min_ratio);

/* ==================================================================================================== >>api-solve =========
 */
typedef struct hrm_solve_result { int segments; int halted; float q_halt, q_continue; } hrm_solve_result;
typedef struct hrm_solve_desc {
    int  rows;                  /* [1] puzzles, one after the other in `puzzles` and `answers` */
    const int32_t *puzzle_identifiers; /* [rows] [all 0] */
    int  max_steps;             /* [halt_max_steps] segments at most; may exceed training's */
    int  no_halting;            /* 1: always max_steps segments, as the published evaluation does */
    /* The states start from start_noise N(0,1) off their initial values, drawn by (noise_seed, copy, position, width): row r is
     * copy r mod `copies` [1], so that what a puzzle gets does not depend on which others are in the call. */
    float    start_noise;
    int      copies;
    uint64_t noise_seed;
    hrm_solve_result *results;  /* [rows] or NULL */
    /* after every segment: the answers so far of the rows still running (indices into the call's rows) */
    void (*on_segment)(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                       const hrm_solve_result *results);
    void *user;
} hrm_solve_desc;
/* puzzles, answers [rows, seq_len]. A row stops after the first segment in which q_halt > q_continue, or q_halt > 0 with
 * no_ACT_continue. One thread at a time a model. Memory for `rows` puzzles is allocated at the first call that needs it and
 * kept with the model. HRM_ERR_NAN when a row's q_halt is not finite at its end: rows that were done before have their answers.
 * Votes of symmetric copies are a matter of the task: more rows, turned before and back after, as tools/votes.h does. */
HRM_API hrm_status hrm_solve(hrm_model *model, const int32_t *puzzles, int32_t *answers, const hrm_solve_desc *desc);

typedef struct hrm_evaluate_desc {
    int  batch_size;  /* [64] */
    int  adaptive;    /* 1: a row stops when it says so and leaves the batch; 0: as published, max_steps segments for all */
    int  max_steps;   /* [halt_max_steps] */
    int64_t max_examples; /* [all] the first so many */
    int64_t first_example; /* [0] those before it are left out of the metrics; `done` counts them */
    /* after every batch; anything but HRM_OK stops the evaluation, which returns it. `so_far` covers `done` of `total`. */
    hrm_status (*on_batch)(void *user, int64_t done, int64_t total, const hrm_metrics *so_far);
    /* every finished batch's rows: inputs, labels, predictions [rows,T], logits [rows,T,V] (when want_logits), q's, steps */
    hrm_status (*on_rows)(void *user, int64_t first, const hrm_batch *batch, const hrm_run_outputs *outputs);
    int   want_logits;
    void *user;
    /* [NULL] batches are dealt to its ranks. All get the metrics; on_rows, which all must give or none, is called on rank 0
     * alone, in order; on_batch on all: where it stops one it stops all. */
    const hrm_comm *comm;
} hrm_evaluate_desc;
/* Without a description as published, all segments for all, where hrm_solve lets a row stop when it says so: adaptive = 1
 * measures what that gives. What cannot be computed is a metric that is not finite, which is no error. */
HRM_API hrm_status hrm_evaluate(hrm_model *model, const hrm_dataset *data, const hrm_evaluate_desc *desc, hrm_metrics *metrics);

/* ==================================================================================================== >>api-layers ========
 * The parts, for those who build their own. hrm_real arrays on the CPU, row-major, the caller's; the calls allocate nothing,
 * are thread-safe on disjoint outputs, and run in the calling thread. Gradients of activations are assigned, those of
 * parameters (dw, db) accumulated. `scratch` holds the number of elements that the function named beside it returns.
 */
HRM_API size_t hrm_linear_scratch(size_t out, size_t in);
HRM_API void hrm_linear_forward(hrm_real *y, const hrm_real *x, const hrm_real *w, const hrm_real *b /* or NULL */, size_t rows,
                                size_t out, size_t in, hrm_real *scratch);
HRM_API void hrm_linear_backward(hrm_real *dx /* or NULL */, hrm_real *dw, hrm_real *db /* or NULL */, const hrm_real *dy,
                                 const hrm_real *x, const hrm_real *w, size_t rows, size_t out, size_t in, hrm_real *scratch);
HRM_API void hrm_embedding_forward(hrm_real *y, const int32_t *tokens, const hrm_real *w, size_t rows, size_t D);
HRM_API void hrm_embedding_backward(hrm_real *dw, const hrm_real *dy, const int32_t *tokens, size_t rows, size_t D);
/* cos, sin [S, head_dim/2]; x [B,S,heads,head_dim] with `stride` elements from a position to the next, rotated in place. */
HRM_API void hrm_rope_table(hrm_real *cosines, hrm_real *sines, size_t S, size_t head_dim, double theta);
HRM_API void hrm_rope_forward(hrm_real *x, const hrm_real *cosines, const hrm_real *sines, size_t B, size_t S, size_t heads,
                              size_t head_dim, size_t stride);
HRM_API void hrm_rope_backward(hrm_real *dx, const hrm_real *cosines, const hrm_real *sines, size_t B, size_t S, size_t heads,
                               size_t head_dim, size_t stride);
/* qkv [B,S,3,heads,head_dim] -> o [B,S,heads,head_dim]; lse [B,heads,S] is kept for the backward pass (NULL: not wanted). */
HRM_API size_t hrm_attention_scratch(size_t S, size_t head_dim);
HRM_API void hrm_attention_forward(hrm_real *o, hrm_real *lse, const hrm_real *qkv, size_t B, size_t S, size_t heads,
                                   size_t head_dim, int causal, hrm_real *scratch);
HRM_API void hrm_attention_backward(hrm_real *dqkv, const hrm_real *d_o, const hrm_real *qkv, const hrm_real *o,
                                    const hrm_real *lse, size_t B, size_t S, size_t heads, size_t head_dim, int causal,
                                    hrm_real *scratch);
/* gate_up [rows, 2I], gate first -> h [rows, I] = silu(gate) up */
HRM_API void hrm_swiglu_forward(hrm_real *h, const hrm_real *gate_up, size_t rows, size_t I);
HRM_API void hrm_swiglu_backward(hrm_real *dgate_up, const hrm_real *dh, const hrm_real *gate_up, size_t rows, size_t I);
/* the same with h = sigmoid(gate) rms(gate up), the norm over a row's I */
HRM_API void hrm_swiglu_norm_forward(hrm_real *h, const hrm_real *gate_up, size_t rows, size_t I, hrm_real eps);
HRM_API void hrm_swiglu_norm_backward(hrm_real *dgate_up, const hrm_real *dh, const hrm_real *gate_up, size_t rows, size_t I,
                                      hrm_real eps);
/* y = rms(x + f); f may be NULL; r [rows] is kept for the backward pass (NULL: not wanted) */
HRM_API void hrm_rms_norm_forward(hrm_real *y, hrm_real *r, const hrm_real *x, const hrm_real *f, size_t rows, size_t D,
                                  hrm_real eps);
HRM_API void hrm_rms_norm_backward(hrm_real *ds, const hrm_real *dy, const hrm_real *y, const hrm_real *r, size_t rows,
                                   size_t D);
/* One row of tokens: logits [T,V], labels [T] (-100 ignored) -> the mean over labelled tokens; dlogits (or NULL) is the
 * gradient of scale times that mean. *correct counts tokens whose arg max is their label, *labelled those with a label. */
HRM_API double hrm_cross_entropy(hrm_loss_type type, hrm_real *dlogits, const hrm_real *logits, const int32_t *labels, size_t T,
                                 size_t V, double scale, int *correct, int *labelled);
/* The same with label smoothing: (1 - smoothing) of a label's loss and smoothing of the mean over all V. */
HRM_API double hrm_cross_entropy_smoothed(hrm_loss_type type, double smoothing, hrm_real *dlogits, const hrm_real *logits,
                                          const int32_t *labels, size_t T, size_t V, double scale, int *correct, int *labelled);
/* Binary cross entropy on a logit; *dlogit (or NULL) = sigmoid(logit) - target. */
HRM_API double hrm_bce(double logit, double target, double *dlogit);
/* One step t >= 1 over n parameters (Everett et al. 2024, eq. 1). m, v are the caller's moments. */
HRM_API void hrm_adam_atan2(hrm_real *p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, double lr, double beta1,
                            double beta2, double weight_decay, int64_t t);
/* The same of AdamW (Loshchilov & Hutter 2019). */
HRM_API void hrm_adamw(hrm_real *p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, double lr, double beta1,
                       double beta2, double eps, double weight_decay, int64_t t);
/* One step of Muon (Jordan et al. 2024) on a matrix [rows, columns]: m its momentum, ns_steps Newton-Schulz iterations. */
HRM_API size_t hrm_muon_scratch(size_t rows, size_t columns);
HRM_API void hrm_muon(hrm_real *p, hrm_real *m, const hrm_real *g, size_t rows, size_t columns, double lr, double momentum,
                      double weight_decay, int ns_steps, hrm_real *scratch);
/* Rows `ids` [rows] of table [.., ndim]: gradients of equal ids are summed, then each such row moves once. g is overwritten. */
HRM_API void hrm_sign_sgd(hrm_real *table, hrm_real *g, const int32_t *ids, size_t rows, size_t ndim, double lr,
                          double weight_decay);

/* ==================================================================================================== >>api-device ========
 * For backends: what a device must offer to run the model. The model code is written once against this table; `hrm_cuda.cu`
 * exports hrm_cuda_device(). Pointers named `device memory` come from buffer_alloc and are only passed back to the table.
 */
#define HRM_DEVICE_VERSION 7

/* The recurrence is a list of passes over states and networks, which need not belong together. A pass is
 *   z[state] = net(z[state] + the sum of its inputs);
 * state 0 is the one that the heads read. hrm_passes_lay() writes HRM's list (state and network 0: H, 1: L) and TRM's; another
 * schedule, or a third level, is another list. */
#define HRM_MAX_STATES 4
#define HRM_MAX_NETS   4
#define HRM_INPUT_E    (1u << HRM_MAX_STATES) /* the embedded input, in `inputs` */
typedef struct hrm_pass {
    int      state, net;
    unsigned inputs; /* bit s: state s; HRM_INPUT_E */
    int      index;  /* of the pass in its segment */
    /* where the backward pass finds what it needs; laid out by hrm_passes_place() */
    int      slot;   /* -1: no gradient; else its number among the passes with one */
    int      block;  /* the first of its blocks among all that are kept */
    int      out;    /* its output's number among those that a later pass overwrites; -1: the state still has it */
} hrm_pass;

/* Another recurrence: up to HRM_MAX_STATES states and HRM_MAX_NETS networks of some blocks each. Of its passes state, net and
 * inputs are given, and slot: 0 where a gradient is wanted, else -1. State 0 is what the heads read, so its last pass needs
 * one. */
typedef struct hrm_recurrence {
    int             states, nets;
    const int      *layers; /* [nets] */
    int             num_passes;
    const hrm_pass *passes;
} hrm_recurrence;

/* What a list needs: kept passes, blocks and outputs; and how many gradients of states and e live at once on the way back. */
typedef struct hrm_kept { int slots, blocks, outs, flows; } hrm_kept;

typedef struct hrm_dims { /* all sizes, resolved */
    int B;             /* rows of this run */
    int T, P, S, D, V; /* tokens, puzzle positions, S = P + T, hidden, vocabulary */
    int I, I_t;        /* widths of the SwiGLUs over channels, and over positions (mixer) */
    int heads, head_dim;
    int states, nets, layers[HRM_MAX_NETS]; /* blocks of each network */
    int two_levels;    /* flag: HRM's states and networks, named H and L; with one network that is L */
    int H_cycles, L_cycles, grad_H_cycles;
    hrm_kept kept;     /* for training */
    int puzzle_ids, puzzle_ndim;
    int rope, learned, causal, softmax; /* flags: positions, causal attention, softmax instead of stablemax */
    int mixer, mlp_norm; /* flags: mixing over positions instead of attention; sigmoid(g) rms(g u) in the SwiGLUs */
    int no_continue;     /* flag: nothing learns to continue: no second forward pass, q_halt > 0 halts */
    int halt_max_steps;
    float eps, theta, exploration;
    int threads;       /* of the host */
    hrm_forward_dtype dtype;
    int fp8;           /* flag: passes without gradient multiply e4m3 */
    /* of a run that trains */
    hrm_optimizer optimizer; /* of the weights */
    int muon_ns_steps;   /* 0: no Muon */
    int checkpointing;   /* flag: of a kept block its input only; the rest is computed again */
    int dropout;         /* flag: step.dropout is not 0 */
} hrm_dims;

/* Where the parameters stand in their arena, in elements; every offset is a multiple of 64, gaps are 0. A block's tensors:
 * net_offset[net] + layer * block_size + block_offset[…]. Buffers come after `trained` elements. */
#define HRM_MIXER_LIST(X) /* of a mixer's block, in the same order; S positions, I_t the width of the SwiGLU over them */ \
    X(HRM_MIX_GATE_UP,  "mlp_t.gate_up_proj.weight", 2 * I_t, S) \
    X(HRM_MIX_DOWN,     "mlp_t.down_proj.weight",    S,     I_t) \
    X(HRM_GATE_UP_PROJ, "mlp.gate_up_proj.weight", 2 * I, D) \
    X(HRM_DOWN_PROJ,    "mlp.down_proj.weight",      D,     I)
#define HRM_BLOCK_LIST(X) /* index, name in checkpoints, rows, columns; D hidden_size, I SwiGLU width */ \
    X(HRM_QKV_PROJ,     "self_attn.qkv_proj.weight", 3 * D, D) \
    X(HRM_O_PROJ,       "self_attn.o_proj.weight",   D,     D) \
    X(HRM_GATE_UP_PROJ, "mlp.gate_up_proj.weight",   2 * I, D) \
    X(HRM_DOWN_PROJ,    "mlp.down_proj.weight",      D,     I)
enum {
#define HRM__INDEX(index, name, rows, columns) index,
    HRM_BLOCK_LIST(HRM__INDEX)
#undef HRM__INDEX
    HRM_BLOCK_TENSORS, /* of either kind */
    HRM_MIX_GATE_UP = 0,
    HRM_MIX_DOWN
};
typedef struct hrm_layout {
    size_t embed_tokens, lm_head, q_head_weight, q_head_bias, embed_pos;
    size_t puzzle_emb; /* 0: a table of its own */
    size_t net_offset[HRM_MAX_NETS], block_size, block_offset[HRM_BLOCK_TENSORS];
    size_t trained; /* elements of the part with gradients and moments */
    size_t init[HRM_MAX_STATES]; /* what each state starts from, [D] */
    size_t total;
} hrm_layout;

/* Tensors that one optimizer moves: elements `from` on of the arena, or the puzzle rows in flight. A list of groups is what
 * update() applies, each at its own rate. */
#define HRM_MAX_GROUPS 4
enum { HRM_RATE_WEIGHTS, HRM_RATE_PUZZLE, HRM_RATE_MUON };
typedef struct hrm_group { hrm_optimizer optimizer; size_t from, count; int rate; /* index into hrm_step.rates */ } hrm_group;

/* All that may change from step to step; one copy in device memory, so that a captured step can be replayed. */
typedef struct hrm_step {
    uint64_t seed, step; /* exploration of row r: philox(seed, HRM_STREAM_EXPLORE + first_row + r, step), words 0 and 1 */
    int32_t  first_row;             /* of the global batch */
    int32_t  halt_max_steps;        /* segments allowed */
    float    exploration;
    int32_t  fixed_exploration;     /* 1: take min_halt_steps as given */
    float    label_smoothing, q_loss_weight, ponder_weight, loss_scale; /* loss_scale: 1 / global batch */
    int32_t  q_mse, no_continue;    /* flags: mean squares for both q; halt when q_halt > 0 */
    float    dropout;
    struct { float lr, weight_decay; } rates[HRM_MAX_GROUPS]; /* of the groups that are updated */
    float    beta1, beta2, bias1, bias2; /* bias1 = 1 - beta1^t, bias2 = sqrt(1 - beta2^t) */
    float    adam_eps, muon_momentum;
    float    grad_clip; /* 0: none; else update() takes g min(1, grad_clip / (sqrt(*norm) + 1e-6)) */
    float    ema_rate;
    uint64_t attempt;   /* the update's number from 1, with those that were skipped */
    int32_t  growth_interval; /* of hrm_scaling */
    float    start_noise;   /* what is added to the states that act_begin gives, see hrm__start_noise; of solving */
    int32_t  copies;        /* row r is copy r mod copies of a puzzle */
    uint64_t noise_seed;
} hrm_step;

/* The scale of a loss whose gradients are computed in float16, in device memory. */
#define HRM_LOSS_SCALE_LEAST 6.103515625e-05f /* 2^-14: what still overflows is no overflow */
typedef struct hrm_scaling {
    float   scale;
    int32_t good;    /* updates since it changed */
    int64_t skipped; /* updates so far whose gradients were not finite */
    int32_t skip;    /* 1: the update at hand is one */
} hrm_scaling;
#define HRM_STREAM_EXPLORE ((uint64_t)1 << 32)
#define HRM_STREAM_DROPOUT ((uint64_t)2 << 32)
#define HRM_STREAM_NOISE   ((uint64_t)3 << 32)
enum {
    HRM_M_COUNT,
    HRM_M_ACCURACY,
    HRM_M_EXACT,
    HRM_M_Q_HALT_ACCURACY,
    HRM_M_STEPS,
    HRM_M_LM_LOSS,
    HRM_M_Q_HALT_LOSS,
    HRM_M_Q_CONTINUE_LOSS,
    HRM_M_PONDER_LOSS,
    HRM_M_ROWS,
    HRM_METRIC_SUMS,
    HRM_SHARE /* a rank's sums and, as a number, `bad` */
};

typedef struct hrm_work { /* one run's memory; everything is device memory unless said otherwise */
    hrm_dims   d;
    hrm_layout at;
    int        train;      /* 1: gradients are kept, 2: the blocks' are applied as they come (a table with updates_at_once),
                              3: only the puzzle table's are computed; there are no grads then */
    int        rows;       /* host: rows in use, <= d.B (a solver drops rows that have halted) */
    int        first_row;  /* host: of these in the whole batch, where it is worked on in parts; losses() adds to the metrics
                              of the part before unless this is 0 */
    /* host: NULL, or the ranks that work on a batch. The way back may then begin to sum a block's gradients once they are
     * complete, in the `last_part` of the rows; reduce() has the rest. */
    const hrm_comm *comm;
    int        last_part;
    hrm_real  *params;     /* [at.total], master weights */
    hrm_real  *grads, *m, *v; /* [at.trained], training only; train 2: grads [at.net_offset[0]] */
    hrm_real  *average;    /* [at.trained] of params; NULL: not kept */
    hrm_real  *puzzle;     /* [puzzle_ids, puzzle_ndim] master table; may be NULL */
    hrm_real  *puzzle_grad; /* [B, puzzle_ndim] of the row's id, added to; a row that takes another id starts from 0 */
    /* what update() moves the table by: with comm all ranks' ids and puzzle_grad, [all_rows], which reduce() gathers; else
     * these */
    hrm_real  *all_puzzle_grad;
    int32_t   *all_ids;
    int        all_rows;   /* host */
    double    *shares;     /* [comm->size + 1, HRM_SHARE], the last a device's own; NULL without comm */
    void      *prepared;   /* the device's own form of the weights, made by prepare() */
    void      *z[HRM_MAX_STATES]; /* [B,S,D] the carry, in the device's activation type; one after the other in memory */
    void      *e;          /* [B,S,D] the embedded input */
    void      *t[HRM_MAX_STATES]; /* [B,S,D] the carry of the second forward pass, likewise; training only */
    int32_t   *inputs, *labels, *ids, *steps, *halted;        /* the carry's data: [B,T] [B,T] [B] [B] [B] */
    int32_t   *new_inputs, *new_labels, *new_ids, *min_halt_steps; /* the batch offered */
    hrm_real  *logits;     /* [B,T,V] */
    hrm_real  *dlogits;    /* [B,T,V]; training only */
    hrm_real  *q, *dq;     /* [B,2] halt, continue */
    hrm_real  *q2;         /* [B,2] of the second forward pass */
    hrm_real  *target_q;   /* [B] */
    int32_t   *predictions; /* [B,T] */
    double    *norm;       /* [1] the sum of the squares of grads; training only */
    double    *metrics;    /* [HRM_METRIC_SUMS] sums over the rows of this segment */
    int32_t   *bad;        /* [1] not 0 once a loss was not finite (2: the gradients, at the least loss scale): updates must
                              then leave the weights alone */
    hrm_scaling *scaling;  /* [1] training in float16; else NULL */
    hrm_step  *step;
    void      *work;       /* the device's own: saved activations, scratch; sizes() told how much */
    int        de;         /* host: in which of the gradients passes_backward() left that of e */
} hrm_work;

/* Where gradients stand on the way back through a list: `at` says in which buffer each state's is, and e's behind them; -1:
 * none has come. For devices, which walk a list from its end: buffers 0..kept.flows - 1 are [B,S,D]. */
typedef struct hrm_flow { int at[HRM_MAX_STATES + 1]; unsigned busy; } hrm_flow;
typedef struct hrm_flow_move { int to, from, add; } hrm_flow_move; /* buffer to = from, or += */
HRM_API void hrm_flow_begin(hrm_flow *flow); /* buffer 0 holds the gradient of z[0] */
/* Before pass i: the buffer with the gradient of its output, which becomes that of its input sum in place; -1: skip the
 * pass. */
HRM_API int hrm_flow_pass(hrm_flow *flow, const hrm_pass *list, int i);
/* After it: -> the number of moves [HRM_MAX_STATES + 1] that pass that gradient on to the states and to e. */
HRM_API int hrm_flow_moves(hrm_flow *flow, const hrm_pass *list, int i, int buffer, hrm_flow_move *moves);
/* last [HRM_MAX_NETS]: the pass after whose way back a network's gradient is complete; -1: it gets none. */
HRM_API void hrm_flow_last(const hrm_pass *list, int n, int *last);
/* Numbers slots, blocks and outputs of a list whose slot is not -1 where a gradient is wanted. layers [nets]; out [n] may be
 * list, or NULL: only counts. */
HRM_API hrm_kept hrm_passes_place(hrm_pass *out, const hrm_pass *list, int n, const int *layers);
/* HRM's and TRM's segment: H_cycles times (L_cycles times L, then H), each its own network or both one. gradient -1: none; 0:
 * the last L and the last H have slots; n: every pass of the last n H cycles has. -> how many passes there are; list NULL:
 * counts. */
HRM_API int hrm_passes_lay(hrm_pass *list, int nets, int H_cycles, int L_cycles, int gradient);

typedef struct hrm_device hrm_device; /* a backend's own state */
typedef struct hrm_device_desc { hrm_forward_dtype dtype; hrm_pool *pool; const hrm_allocator *allocator; } hrm_device_desc;
typedef struct hrm_device_sizes {
    size_t activation;     /* bytes of one element of z */
    size_t prepared, work; /* bytes */
} hrm_device_sizes;

/* The table: every call, once. All work on w->rows rows; device memory unless said otherwise. */
#define HRM_DEVICE_CALLS(X) \
    X(hrm_status, open, (hrm_device * *dev, const hrm_device_desc *desc)) \
    X(void, close, (hrm_device * dev)) \
    X(hrm_status, buffer_alloc, (hrm_device * dev, void **p, size_t bytes)) /* zeroed */ \
    X(void, buffer_free, (hrm_device * dev, void *p, size_t bytes)) \
    X(hrm_status, upload, (hrm_device * dev, void *dst, const void *host, size_t bytes))   /* host may be reused at once */ \
    X(hrm_status, download, (hrm_device * dev, void *host, const void *src, size_t bytes)) /* waits */ \
    X(hrm_status, copy, (hrm_device * dev, void *dst, const void *src, size_t bytes)) \
    X(hrm_status, zero, (hrm_device * dev, void *dst, size_t bytes)) \
    X(hrm_status, sync, (hrm_device * dev)) \
    X(hrm_status, sizes, (hrm_device * dev, const hrm_dims *d, int train, hrm_device_sizes *sizes)) /* dev may be NULL */ \
    /* Replay: *replayed = 1 when the calls up to end_step were recorded before and have been launched again as one graph; the \
     * caller then skips them. `key` tells sequences of calls on one work apart: a hash of their passes and of all that their \
     * kernels take by value. The CPU always says 0. */ \
    X(hrm_status, begin_step, (hrm_device * dev, hrm_work * w, uint64_t key, int *replayed)) \
    X(hrm_status, end_step, (hrm_device * dev, hrm_work * w, uint64_t key)) \
    X(void, forget, (hrm_device * dev, hrm_work * w)) /* w is about to be freed */ \
    /* A copy to the host that is not waited for: post() puts it behind all work so far, into one of two slots of 256 bytes; \
     * collect() waits for that slot's last copy alone. */ \
    X(hrm_status, post, (hrm_device * dev, int slot, size_t at, const void *src, size_t bytes)) \
    X(hrm_status, collect, (hrm_device * dev, int slot, size_t at, void *host, size_t bytes)) \
    /* the model */ \
    X(hrm_status, prepare, (hrm_device * dev, hrm_work * w)) /* params -> prepared */ \
    X(hrm_status, act_begin, \
      (hrm_device * dev, hrm_work * w)) /* rows that have halted take the new data, z = init, steps = 0, and \
                                                                puzzle_grad = 0 where the id is another */ \
    X(hrm_status, embed, (hrm_device * dev, hrm_work * w)) /* inputs, ids -> e */ \
    X(hrm_status, passes, \
      (hrm_device * dev, hrm_work * w, void *const *z, const hrm_pass *list, int n)) /* on the states z, in place; \
                                                                keeps what slots ask for */ \
    X(hrm_status, passes_ahead, \
      (hrm_device * dev, hrm_work * w, const hrm_pass *list, int n)) /* the same without slots on t, from z, which stays: \
                                                                of t only position 0 of state 0 is read after it */ \
    X(hrm_status, heads, \
      (hrm_device * dev, hrm_work * w, const void *state, hrm_real *q, int with_logits)) /* logits and predictions from \
                                                                P on; q from position 0 */ \
    X(hrm_status, act_end, (hrm_device * dev, hrm_work * w)) /* steps + 1, halted (exploration when train) */ \
    X(hrm_status, losses, \
      (hrm_device * dev, hrm_work * w)) /* target_q from q2, metrics, bad; when train dlogits, dq, times loss_scale */ \
    X(hrm_status, heads_backward, \
      (hrm_device * dev, hrm_work * w)) /* dlogits, dq, times scaling.scale, -> the gradient of z[0], the first of \
                                                                those in work; grads of both heads */ \
    X(hrm_status, passes_backward, \
      (hrm_device * dev, hrm_work * w, const hrm_pass *list, int n)) /* from the end; grads of the networks \
                                                                (train 2: their update); sets de */ \
    X(hrm_status, embed_backward, (hrm_device * dev, hrm_work * w))  /* gradient `de` -> grads of embeddings, puzzle_grad */ \
    X(hrm_status, unscale, \
      (hrm_device * dev, hrm_work * w)) /* only with scaling: grads and puzzle_grad over its scale; skip where one is not \
                                                                finite, and then hrm__scaling_next() */ \
    X(hrm_status, norm, (hrm_device * dev, hrm_work * w)) /* grads -> norm; bad where it is not finite, but for scaling */ \
    X(hrm_status, average, (hrm_device * dev, hrm_work * w, int swap)) /* params -> average, by step.ema_rate, not once bad \
                                                                is set; swap 1: params <-> average instead */ \
    X(hrm_status, reduce, \
      (hrm_device * dev, hrm_work * w)) /* grads, metrics and bad over all ranks, all_ids and all_puzzle_grad of them; nothing \
                                                                to do without comm */ \
    X(hrm_status, update, \
      (hrm_device * dev, hrm_work * w, const hrm_group *groups, int n)) /* not once bad is set, nor where scaling says skip, \
                                                                as average(); zeroes the gradients applied */ \
    X(hrm_status, gather, \
      (hrm_device * dev, hrm_work * w, const int32_t *rows, int n)) /* host rows[n], ascending: row i of carry and e = \
                                                                row rows[i]; sets w->rows = n */

typedef struct hrm_device_table {
    uint32_t    version, size; /* HRM_DEVICE_VERSION, sizeof(hrm_device_table); checked when opened */
    const char *name;
    int updates_at_once; /* 1: passes_backward can apply a block's gradient when it has it, which saves keeping them all */
    int         asynchronous;    /* 1: calls return before their work is done */
#define HRM__CALL(type, name, arguments) type (*name) arguments;
    HRM_DEVICE_CALLS(HRM__CALL)
#undef HRM__CALL
} hrm_device_table;

HRM_API const hrm_device_table *hrm_cpu_device(void);
extern const hrm_device_table *hrm_cuda_device(void); /* in hrm_cuda.o, also where HRM_API is static */

#ifdef __cplusplus
}
#endif

/* ==================================================================================================== >>shared ============
 * What every device has to compute alike, once for all: random numbers, halting, targets, losses, one element of an optimizer.
 * For the implementation and for nvcc; the reductions around them are each device's own.
 */
#if defined(HRM_IMPLEMENTATION) || defined(__CUDACC__)
    #include <float.h>
    #include <math.h>
    #include <string.h>

#if defined(__GNUC__) || defined(__clang__)
    #define HRM__UNUSED __attribute__((unused))
    #define HRM__INLINE static inline __attribute__((always_inline, unused))
#elif defined(_MSC_VER)
    #define HRM__UNUSED
    #define HRM__INLINE static __forceinline
#else
    #define HRM__UNUSED
    #define HRM__INLINE static inline
#endif
#ifdef __CUDACC__
    #define HRM__BOTH static __host__ __device__ __forceinline__
#else
    #define HRM__BOTH HRM__INLINE
#endif

/* Between these gcc vectorises even when the program is built with -O2, and contracts a*b + c, which -std=c99 would turn
 * off. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
    #define HRM__FAST_BEGIN \
        _Pragma("GCC push_options") _Pragma("GCC optimize(\"O3\", \"fp-contract=fast\", \"no-trapping-math\")")
    #define HRM__FAST_END _Pragma("GCC pop_options")
#else
    #define HRM__FAST_BEGIN
    #define HRM__FAST_END
#endif

/* In double, and where floats are computed in a wider type (x87) and rounded who knows when, the C library's functions. */
#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2 || FLT_EVAL_METHOD == -1
    #define HRM__WIDE_FLOATS 1
    #define HRM__PLAIN_MATH  1
#else
    #define HRM__WIDE_FLOATS 0
    #define HRM__PLAIN_MATH  (sizeof(hrm_real) == sizeof(double))
#endif

/* ---- a block's tensors -------------------------------------------------------------------------------------------------- */
HRM__BOTH size_t hrm__block_rows(const hrm_dims *d, int i)
{
    size_t D = (size_t)d->D, I = (size_t)d->I, S = (size_t)d->S, I_t = (size_t)d->I_t;
#define HRM__HEIGHT(index, name, rows, columns) rows,
    size_t rows[HRM_BLOCK_TENSORS] = {HRM_BLOCK_LIST(HRM__HEIGHT)}, mixer[HRM_BLOCK_TENSORS] = {HRM_MIXER_LIST(HRM__HEIGHT)};
#undef HRM__HEIGHT
    return d->mixer ? mixer[i] : rows[i];
}

HRM__BOTH size_t hrm__block_columns(const hrm_dims *d, int i)
{
    size_t D = (size_t)d->D, I = (size_t)d->I, S = (size_t)d->S, I_t = (size_t)d->I_t;
#define HRM__WIDTH(index, name, rows, columns) columns,
    size_t columns[HRM_BLOCK_TENSORS] = {HRM_BLOCK_LIST(HRM__WIDTH)},
           mixer[HRM_BLOCK_TENSORS] = {HRM_MIXER_LIST(HRM__WIDTH)};
#undef HRM__WIDTH
    return d->mixer ? mixer[i] : columns[i];
}

/* ---- random numbers --------------------------------------------------------------------------------------------------- */
HRM__BOTH void hrm__philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t counter)
{
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* ---- halting ---------------------------------------------------------------------------------------------------------- */
/* The smallest number of segments that row r has to make in this segment's decision; most rows may stop at once. */
HRM__BOTH int32_t hrm__exploration(const hrm_step *s, int32_t r)
{
    uint32_t u[4];
    hrm__philox(u, s->seed, HRM_STREAM_EXPLORE + (uint64_t)(s->first_row + r), s->step);
    if (!((float)(u[0] >> 8) * (1.0f / 16777216.0f) < s->exploration)) return 0;
    return 2 + (int32_t)(((uint64_t)u[1] * (uint64_t)(s->halt_max_steps - 1)) >> 32);
}

/* What a row's q [2] say, without exploration. */
HRM__BOTH int32_t hrm__wants_to_halt(int no_continue, const hrm_real *q) { return q[0] > (no_continue ? 0 : q[1]); }

/* Whether a row stops after its `steps` segments; q [2]. Outside training all go on to the end. */
HRM__BOTH int32_t hrm__halts(const hrm_step *s, int train, int32_t steps, const hrm_real *q, int32_t minimum)
{
    int last = steps >= s->halt_max_steps;
    if (!train || s->halt_max_steps <= 1) return last;
    return (last || hrm__wants_to_halt(s->no_continue, q)) && steps >= minimum;
}

/* ---- where a state starts ----------------------------------------------------------------------------------------------- */
/* What is added to element i of row r's [S,D] of a state: start_noise N(0,1), the same for a copy of every puzzle. */
HRM__BOTH float hrm__start_noise(const hrm_step *s, int32_t r, int state, uint32_t i)
{
    uint32_t u[4], pair = i / 2 % 2 * 2; /* two normal numbers of two words (Box and Muller 1958) */
    hrm__philox(u, s->noise_seed, HRM_STREAM_NOISE + (uint64_t)(r % s->copies), (uint64_t)state << 32 | i / 4);
    float radius = sqrtf(-2 * logf(((float)(u[pair] >> 8) + 0.5f) * (1.0f / 16777216.0f)));
    float angle = (float)(u[pair + 1] >> 8) * (6.28318531f / 16777216.0f);
    return s->start_noise * radius * (i & 1 ? sinf(angle) : cosf(angle));
}

/* ---- dropout ---------------------------------------------------------------------------------------------------------- */
/* What tells a residual branch's draws apart: 0 in `branch` is attention's or the mixing over positions', 1 the MLP's; `row` is
 * of the global batch. Element i of the branch's output, which is [S,D], of mixing [D,S], has word i % 4 of counter i / 4. */
typedef struct hrm__dropout { uint64_t key, stream; float p; } hrm__dropout;
HRM__BOTH hrm__dropout hrm__dropout_of(const hrm_step *s, int pass, int layer, int branch, int32_t row)
{
    hrm__dropout r;
    uint32_t u[4];
    hrm__philox(u, s->seed, HRM_STREAM_DROPOUT, s->step);
    r.key = (uint64_t)u[0] << 32 | u[1];
    r.stream = ((uint64_t)pass << 11 | (uint64_t)layer << 1 | (uint64_t)branch) << 32 | (uint64_t)(s->first_row + row);
    r.p = s->dropout;
    return r;
}
/* the factors of elements 4 i to 4 i + 3: 0, or 1 / (1 - p) */
HRM__BOTH void hrm__dropout_factors(hrm_real out[4], const hrm__dropout *r, uint64_t i)
{
    uint32_t u[4];
    hrm__philox(u, r->key, r->stream, i);
    for (int k = 0; k < 4; k++)
        out[k] = (float)(u[k] >> 8) * (1.0f / 16777216.0f) < r->p ? 0 : (hrm_real)(1 / (1 - (double)r->p));
}

/* ---- losses ----------------------------------------------------------------------------------------------------------- */
HRM__BOTH double hrm__bce(double x, double target, double *dx)
{
    /* -> the loss; dx = sigmoid(x) - target */
    *dx = 1 / (1 + exp(-x)) - target;
    return (x > 0 ? x : 0) - x * target + log1p(exp(-fabs(x)));
}

HRM__BOTH double hrm__stablemax(double x) { return x < 0 ? 1 / (1 - x + 1e-30) : x + 1; }

/* x [V] -> one token's cross entropy; dx [V] (or NULL) = weight times its gradient. With smoothing e the label's loss counts
 * 1 - e, the mean over all V tokens' e. The formulas stand at >>stablemax. */
HRM__BOTH double hrm__token_loss(int softmax, double smoothing, hrm_real *dx, const hrm_real *x, size_t V, size_t label,
                                 double weight)
{
    double sum = 0, top = (double)x[0], all = 0, each = smoothing / (double)V, own = 1 - smoothing;
    if (softmax) {
        for (size_t j = 1; j < V; j++) top = (double)x[j] > top ? (double)x[j] : top;
        for (size_t j = 0; j < V; j++) sum += exp((double)x[j] - top);
        if (dx)
            for (size_t j = 0; j < V; j++)
                dx[j] = (hrm_real)(weight * (exp((double)x[j] - top) / sum - (j == label ? own + each : each)));
        for (size_t j = 0; j < V && smoothing > 0; j++) all += (double)x[j] - top;
        return log(sum) - own * ((double)x[label] - top) - each * all;
    }
    double at_label = hrm__stablemax((double)x[label]);
    for (size_t j = 0; j < V; j++) sum += hrm__stablemax((double)x[j]);
    if (dx)
        for (size_t j = 0; j < V; j++) {
            double xj = (double)x[j], s = 1 / (1 - xj + 1e-30), slope = xj < 0 ? s * s : 1;
            double wanted = (j == label ? own : 0) + each;
            dx[j] = (hrm_real)(weight * (slope / sum - (wanted > 0 ? wanted * slope / hrm__stablemax(xj) : 0)));
        }
    if (!(smoothing > 0)) return log(sum / at_label);
    for (size_t j = 0; j < V; j++) all += log(hrm__stablemax((double)x[j]));
    return log(sum) - own * log(at_label) - each * all;
}

/* One q's loss and its gradient. */
HRM__BOTH double hrm__q_loss(int mse, double q, double target, double *dq)
{
    double p = 1 / (1 + exp(-q));
    if (!mse) return hrm__bce(q, target, dq);
    *dq = 2 * (p - target) * p * (1 - p);
    return (p - target) * (p - target);
}

/* A row's part of the metrics, sums [HRM_METRIC_SUMS], and what its q head learns from: `lm` is the mean over its `labelled`
 * tokens, `correct` of them right. q, q2, dq [2]; q2 of the second forward pass. */
HRM__BOTH void hrm__row_losses(double *sums, hrm_real *dq, hrm_real *target_q, const hrm_step *s, int train, const hrm_real *q,
                               const hrm_real *q2, int32_t steps, int32_t halted, int labelled, int correct, double lm)
{
    int exact = correct == labelled; /* a row without labels counts as solved here, and nowhere below */
    double dhalt, dcontinue = 0;
    for (int i = 0; i < HRM_METRIC_SUMS; i++) sums[i] = 0;
    sums[HRM_M_ROWS] = 1;
    sums[HRM_M_LM_LOSS] = lm;
    sums[HRM_M_Q_HALT_LOSS] = hrm__q_loss(train && s->q_mse, (double)q[0], exact, &dhalt);
    if (train && s->halt_max_steps > 1 && !s->no_continue) {
        double h = (double)q2[0], c = (double)q2[1], best = steps >= s->halt_max_steps || h > c ? h : c;
        *target_q = (hrm_real)(1 / (1 + exp(-best)));
        sums[HRM_M_Q_CONTINUE_LOSS] = hrm__q_loss(s->q_mse, (double)q[1], (double)*target_q, &dcontinue);
    }
    if (train) {
        dhalt *= (double)s->q_loss_weight;
        dcontinue *= (double)s->q_loss_weight;
        if (s->ponder_weight > 0) { /* the chance of going on */
            double p = 1 / (1 + exp((double)q[0] - (s->no_continue ? 0 : (double)q[1])));
            double slope = (double)s->ponder_weight * p * (1 - p);
            sums[HRM_M_PONDER_LOSS] = p;
            dhalt -= slope;
            if (!s->no_continue) dcontinue += slope;
        }
        dq[0] = (hrm_real)((double)s->loss_scale * dhalt);
        dq[1] = (hrm_real)((double)s->loss_scale * dcontinue);
    }
    if (!halted || !labelled) return;
    sums[HRM_M_COUNT] = 1;
    sums[HRM_M_ACCURACY] = (double)correct / labelled;
    sums[HRM_M_EXACT] = exact;
    sums[HRM_M_Q_HALT_ACCURACY] = ((double)q[0] >= 0) == exact;
    sums[HRM_M_STEPS] = steps;
}

/* ---- optimizers ------------------------------------------------------------------------------------------------------- */
HRM__FAST_BEGIN
/* the square root, x >= 0; to 1e-7, infinity's its own; libm's may set errno and so does not vectorise: Newton's iteration for
 * 1/sqrt x, on 2^48 x where x is so small that it has lost bits, or its square root's inverse could not be had */
HRM__BOTH hrm_real hrm__sqrt(hrm_real x)
{
    float v = (float)x, r, s, back;
    int32_t bits;
    if (HRM__PLAIN_MATH) return (hrm_real)sqrt((double)x);
    back = v < 1e-30f ? 5.9604644775390625e-8f : 1.0f;  /* 2^-24 */
    v = v < 1e-30f ? v * 281474976710656.0f : v;
    memcpy(&bits, &v, sizeof bits);
    bits = 0x5f375a86 - (bits >> 1);
    memcpy(&r, &bits, sizeof r);
    r = r * (1.5f - 0.5f * v * r * r);
    r = r * (1.5f - 0.5f * v * r * r);
    r = r * (1.5f - 0.5f * v * r * r);
    s = v * r;
    s = (s + 0.5f * r * (v - s * s)) * back;
    return v <= FLT_MAX ? (hrm_real)s : x;
}

/* the angle of (x, y) for x >= 0, to 2.5e-7 relative; 0 for (0, 0), NaN where one is */
HRM__BOTH hrm_real hrm__atan2(hrm_real y, hrm_real x)
{
    float u = (float)x, v = (float)y, w, lo, hi, num, den, t, z, p, base;
    if (HRM__PLAIN_MATH) return (hrm_real)atan2((double)y, (double)x);
    w = v < 0 ? -v : v;
    lo = w < u ? w : u;
    hi = w < u ? u : w;
    num = lo > 0.414213562f * hi ? lo - hi : lo;        /* above tan(pi/8): atan q = pi/4 + atan((q - 1)/(q + 1)) */
    den = lo > 0.414213562f * hi ? lo + hi : hi;
    base = lo > 0.414213562f * hi ? 0.785398163f : 0.0f;
    t = num / (hi == 0 ? 1.0f : den); /* not hi > 0: a NaN must come through */
    z = t * t;
    p = 8.053646982e-2f;
    p = p * z - 1.387765706e-1f;
    p = p * z + 1.997770816e-1f;
    p = p * z - 3.333294988e-1f;
    p = base + (p * z * t + t);
    p = w < u ? p : 1.57079633f - p;
    p = hi == 0 ? 0.0f : p;
    return (hrm_real)(v < 0 ? -p : p);
}

/* A gradient whose square is still a float: the update depends on the ratio of m and sqrt v alone, which this keeps. */
HRM__BOTH hrm_real hrm__bounded(hrm_real g)
{
    const hrm_real most = (hrm_real)(sizeof(hrm_real) == sizeof(float) ? 1.8e19 : 1.3e154);
    g = g > most ? most : g;
    return g < -most ? -most : g;
}

/* p, m, v: one element each; decay = 1 - lr wd, rate = lr / (1 - b1^t), root_bias2 = sqrt(1 - b2^t). The formulas: >>adam */
HRM__BOTH void hrm__adam_atan2_element(hrm_real *p, hrm_real *m, hrm_real *v, hrm_real g, hrm_real decay, hrm_real rate,
                                       hrm_real beta1, hrm_real beta2, hrm_real root_bias2)
{
    hrm_real gi = hrm__bounded(g), mi = *m + (gi - *m) * (1 - beta1), vi = *v + (gi * gi - *v) * (1 - beta2);
    *m = mi;
    *v = vi;
    *p = *p * decay - rate * hrm__atan2(mi, hrm__sqrt(vi) / root_bias2);
}

/* AdamW: rate = lr / (1 - b1^t), root_bias2 = sqrt(1 - b2^t) */
HRM__BOTH void hrm__adamw_element(hrm_real *p, hrm_real *m, hrm_real *v, hrm_real g, hrm_real decay, hrm_real rate,
                                  hrm_real beta1, hrm_real beta2, hrm_real root_bias2, hrm_real eps)
{
    hrm_real gi = hrm__bounded(g), mi = *m + (gi - *m) * (1 - beta1), vi = *v + (gi * gi - *v) * (1 - beta2);
    *m = mi;
    *v = vi;
    *p = *p * decay - rate * mi / (hrm__sqrt(vi) / root_bias2 + eps);
}

/* What a gradient is multiplied by; squares: the sum of the squares of all. */
HRM__BOTH hrm_real hrm__clip_factor(float grad_clip, double squares)
{
    double factor = (double)grad_clip / (sqrt(squares) + 1e-6);
    return grad_clip > 0 && factor < 1 ? (hrm_real)factor : 1;
}

/* Of one thread, before an update: `skip` tells whether a gradient is not finite; then it tells whether the update is skipped.
 * The scale for the next, and the bias correction, which counts updates that were made. */
HRM__BOTH void hrm__scaling_next(hrm_scaling *x, hrm_step *s, int32_t *bad)
{
    double t;
    int overflow = x->skip != 0;
    x->skip = overflow || *bad;
    if (*bad) return;
    if (overflow) {
        x->skipped++;
        x->good = 0;
        if (x->scale * 0.5f >= HRM_LOSS_SCALE_LEAST) x->scale *= 0.5f;
        else *bad = 2;
        return;
    }
    t = (double)s->attempt - (double)x->skipped;
    s->bias1 = (float)(1 - pow((double)s->beta1, t));
    s->bias2 = (float)sqrt(1 - pow((double)s->beta2, t));
    if (++x->good < s->growth_interval) return;
    x->good = 0;
    if (x->scale < 1e30f) x->scale *= 2;
}

/* ---- what ranks add up ------------------------------------------------------------------------------------------------- */
HRM__BOTH void hrm__unite(double *metrics, int32_t *bad, const double *shares, int size)
{
    /* shares [size, HRM_SHARE], in order: the same on all ranks */
    for (int k = 0; k < HRM_METRIC_SUMS; k++) metrics[k] = 0;
    for (int r = 0; r < size; r++) {
        const double *share = shares + r * HRM_SHARE;
        for (int k = 0; k < HRM_METRIC_SUMS; k++) metrics[k] += share[k];
        if (share[HRM_METRIC_SUMS] > (double)*bad) *bad = (int32_t)share[HRM_METRIC_SUMS];
    }
}

HRM__BOTH hrm_real hrm__sign_sgd_element(hrm_real p, hrm_real g, hrm_real decay, hrm_real rate)
{
    return g != g ? g : p * decay - rate * (hrm_real)((g > 0) - (g < 0));
}
HRM__FAST_END
#endif /* shared */
#endif /* HRM_H */

/* ========================================================================================================================
 *                                                    implementation
 * ======================================================================================================================== */
#ifdef HRM_IMPLEMENTATION
#ifndef HRM_IMPLEMENTATION_DONE
#define HRM_IMPLEMENTATION_DONE

/* ==================================================================================================== >>platform ==========*/
#ifdef __FAST_MATH__
        #error \
            "hrm.h: -ffast-math (and -Ofast) remove rounding and checks for NaN that this code rests on; build it with -O3"
#endif
#include <limits.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__TINYC__) && !defined(HRM_NO_THREADS)
    #define HRM_NO_THREADS /* tcc has neither thread-local variables nor atomic ones */
#endif

#ifdef _WIN32
    #ifndef WIN32_LEAN_AND_MEAN
        #define WIN32_LEAN_AND_MEAN
    #endif
    #ifndef NOMINMAX
        #define NOMINMAX
    #endif
    #include <windows.h>
#else
    #include <unistd.h>
    #ifdef __linux__
        #include <sys/syscall.h>
        #ifndef __cplusplus
extern long syscall(long, ...); /* hidden by -std=c99 */
        #endif
    #endif
    #ifndef HRM_NO_THREADS
        #include <pthread.h>
    #endif
#endif

#if defined(HRM_NO_THREADS)
    #define HRM__THREAD_LOCAL
#elif defined(_MSC_VER)
    #define HRM__THREAD_LOCAL __declspec(thread)
#elif defined(__GNUC__) || defined(__clang__)
    #define HRM__THREAD_LOCAL __thread
#else
    #define HRM__THREAD_LOCAL _Thread_local
#endif

#define HRM__COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Leaves the function with the status of `call` unless it is HRM_OK. */
#define HRM__TRY(call) \
    do { \
        hrm_status hrm__s = (call); \
        if (hrm__s != HRM_OK) return hrm__s; \
    } while (0)

static int64_t hrm__min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

/* ==================================================================================================== >>status ============*/
static HRM__THREAD_LOCAL char hrm__message[512];

HRM_API const char *hrm_status_text(hrm_status status)
{
    static const char *const texts[] = {
#define HRM__TEXT(name, text) text,
        HRM_STATUS_LIST(HRM__TEXT)
#undef HRM__TEXT
    };
    return (unsigned)status < HRM_STATUS_COUNT ? texts[status] : "unknown status";
}

HRM_API const char *hrm_error_message(void) { return hrm__message; }

HRM_API hrm_status hrm_error_set(hrm_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(hrm__message, sizeof hrm__message, format, args);
    va_end(args);
    for (char *c = hrm__message; *c; c++)
        if ((unsigned char)*c < 32) *c = ' '; /* one line, whatever a hostile file's names hold */
    return status;
}
    #define hrm__fail(status, ...) \
        ((void)hrm_error_set((status), __VA_ARGS__), (hrm_status)(status)) /* the compiler sees that it is not HRM_OK */

/* ==================================================================================================== >>memory ============
 * Blocks are aligned to 64 bytes, a cache line and an AVX-512 register, whatever the caller's allocator gives; the pointer it
 * gave stands just before the block.
 */
#define HRM__ALIGN 64

static int hrm__mul_overflows(size_t a, size_t b) { return b != 0 && a > SIZE_MAX / b; }
static size_t hrm__align(size_t n) { return (n + HRM__ALIGN - 1) & ~(size_t)(HRM__ALIGN - 1); }

static hrm_status hrm__alloc(const hrm_allocator *a, void **out, size_t count, size_t size, const char *what)
{
    /* count elements of size bytes, not zeroed -> *out */
    if (hrm__mul_overflows(count, size) || count * size > SIZE_MAX - 2 * HRM__ALIGN)
        return hrm__fail(HRM_ERR_MEMORY, "%s: %zu elements of %zu bytes do not fit the address space", what, count, size);
    size_t bytes = count * size + 2 * HRM__ALIGN;
    char *base = (char *)(a && a->alloc ? a->alloc(bytes, a->user) : malloc(bytes));
    if (!base) return hrm__fail(HRM_ERR_MEMORY, "%s: no memory for %zu bytes", what, bytes);
    char *p = base + HRM__ALIGN + (HRM__ALIGN - (uintptr_t)base % HRM__ALIGN) % HRM__ALIGN;
    memcpy(p - sizeof base, &base, sizeof base);
    *out = p;
    return HRM_OK;
}

static hrm_status hrm__alloc_zero(const hrm_allocator *a, void **out, size_t count, size_t size, const char *what)
{
    HRM__TRY(hrm__alloc(a, out, count, size, what));
    memset(*out, 0, count * size);
    return HRM_OK;
}

static void hrm__free(const hrm_allocator *a, void *p, size_t count, size_t size)
{
    /* the same count and size as in hrm__alloc; p may be NULL */
    if (!p) return;
    char *base;
    memcpy(&base, (char *)p - sizeof base, sizeof base);
    if (a && a->alloc) a->free(base, count * size + 2 * HRM__ALIGN, a->user);
    else free(base);
}

HRM__UNUSED static hrm_status hrm__strdup(const hrm_allocator *a, char **out, const char *s)
{
    size_t n = strlen(s) + 1;
    void *p;
    HRM__TRY(hrm__alloc(a, &p, n, 1, "a text"));
    memcpy(p, s, n);
    *out = (char *)p;
    return HRM_OK;
}
HRM__UNUSED static void hrm__strfree(const hrm_allocator *a, char *s)
{
    if (s) hrm__free(a, s, strlen(s) + 1, 1);
}

/* ==================================================================================================== >>threads ===========
 * Two kinds of waiting, one primitive: a gate is a number that grows; to wait is to see it leave the value one knows. A short
 * active wait first (a barrier between two products lasts less than waking a thread costs), then sleep under the lock.
 */
#if defined(HRM_NO_THREADS)
typedef int hrm__atomic;
    #define hrm__load(p)   (*(p))
    #define hrm__atomic_add(p, n) (*(p) += (n)) /* -> the new value */
    #define hrm__store(p, n) (*(p) = (n))
#elif defined(_MSC_VER)
typedef volatile long hrm__atomic;
    #define hrm__load(p)   InterlockedCompareExchange((p), 0, 0)
    #define hrm__atomic_add(p, n) (InterlockedExchangeAdd((p), (n)) + (n))
    #define hrm__store(p, n) InterlockedExchange((p), (n))
#else
typedef int hrm__atomic;
    #define hrm__load(p)   __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define hrm__atomic_add(p, n) __atomic_add_fetch((p), (n), __ATOMIC_SEQ_CST)
    #define hrm__store(p, n) __atomic_store_n((p), (n), __ATOMIC_SEQ_CST)
#endif

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
    #define hrm__pause() __builtin_ia32_pause()
#elif defined(_MSC_VER)
    #define hrm__pause() YieldProcessor()
#elif defined(__aarch64__)
    #define hrm__pause() __asm__ volatile("yield")
#else
    #define hrm__pause() ((void)0)
#endif

#if !defined(HRM_NO_THREADS) && defined(_WIN32)
typedef HANDLE             hrm__thread;
typedef SRWLOCK            hrm__mutex;
typedef CONDITION_VARIABLE hrm__condition;
    #define hrm__mutex_init(m)        InitializeSRWLock(m)
    #define hrm__mutex_lock(m)        AcquireSRWLockExclusive(m)
    #define hrm__mutex_unlock(m)      ReleaseSRWLockExclusive(m)
    #define hrm__mutex_destroy(m)     ((void)(m))
    #define hrm__condition_init(c)    InitializeConditionVariable(c)
    #define hrm__condition_wait(c, m) SleepConditionVariableSRW((c), (m), INFINITE, 0)
    #define hrm__condition_wake(c)    WakeAllConditionVariable(c)
    #define hrm__condition_destroy(c) ((void)(c))
    #define HRM__THREAD_RESULT        DWORD WINAPI
#elif !defined(HRM_NO_THREADS)
typedef pthread_t       hrm__thread;
typedef pthread_mutex_t hrm__mutex;
typedef pthread_cond_t  hrm__condition;
    #define hrm__mutex_init(m)        pthread_mutex_init((m), NULL)
    #define hrm__mutex_lock(m)        pthread_mutex_lock(m)
    #define hrm__mutex_unlock(m)      pthread_mutex_unlock(m)
    #define hrm__mutex_destroy(m)     pthread_mutex_destroy(m)
    #define hrm__condition_init(c)    pthread_cond_init((c), NULL)
    #define hrm__condition_wait(c, m) pthread_cond_wait((c), (m))
    #define hrm__condition_wake(c)    pthread_cond_broadcast(c)
    #define hrm__condition_destroy(c) pthread_cond_destroy(c)
    #define HRM__THREAD_RESULT        void *
#endif

static hrm__atomic hrm__temps_lock; /* of >>files */

#if !defined(HRM_NO_THREADS)
/* fork() copies one thread. Who has threads notes the number of forks when it starts them, and starts others when that has
 * grown. */
static hrm__atomic hrm__forks;
    #ifndef _WIN32
static hrm__atomic hrm__forks_watched;
static void hrm__forked(void)
{
    (void)hrm__atomic_add(&hrm__forks, 1);
    hrm__store(&hrm__temps_lock, 0); /* who held it is not here */
}
    #endif
#endif

/* Processors that this process may run on: a container or taskset may leave it few of the machine's. */
HRM_API int hrm_cpu_count(void)
{
#ifdef _WIN32
    DWORD_PTR ours = 0, all = 0;
    int n = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &ours, &all))
        for (; ours; ours &= ours - 1) n++;
    return n > 0 ? n : 1;
#else
    #if defined(__linux__) && defined(SYS_sched_getaffinity)
    unsigned long mask[4096 / (8 * sizeof(unsigned long))] = {0}; /* the C library's own call is hidden by -std=c99 */
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int count = 0;
    for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof mask[0]; i++)
        for (unsigned long m = mask[i]; m; m &= m - 1) count++;
    if (count > 0) return count;
    #endif
    #if defined(_SC_NPROCESSORS_ONLN)
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n > 0 && n < 4096) return (int)n;
    #endif
    return 1;
#endif
}

#ifdef HRM_NO_THREADS

struct hrm_pool {
    const hrm_allocator *allocator;
    int next;
};

HRM_API hrm_status hrm_pool_create(hrm_pool **pool, int num_threads, const hrm_allocator *allocator)
{
    void *p;
    (void)num_threads; /* there is one thread only */
    HRM__TRY(hrm__alloc_zero(allocator, &p, 1, sizeof(hrm_pool), "thread pool"));
    *pool = (hrm_pool *)p;
    (*pool)->allocator = allocator;
    return HRM_OK;
}
HRM_API void hrm_pool_destroy(hrm_pool *pool)
{
    if (pool) hrm__free(pool->allocator, pool, 1, sizeof *pool);
}
HRM_API int  hrm_pool_size(const hrm_pool *pool) { (void)pool; return 1; }
HRM_API void hrm_pool_barrier(hrm_pool *pool) { (void)pool; }
HRM_API int  hrm_pool_next(hrm_pool *pool) { return pool->next++; }
HRM_API void hrm_pool_run(hrm_pool *pool, hrm_pool_function function, void *context)
{
    pool->next = 0;
    function(context, 0, 1);
}

#else

typedef struct hrm__gate { hrm__atomic value, sleepers; } hrm__gate;
typedef struct hrm__worker { struct hrm_pool *pool; int id; hrm__thread thread; } hrm__worker;

struct hrm_pool {
    const hrm_allocator *allocator;
    int               size, room, started, spins, forks; /* size: room, or fewer where a child could not start as many */
    hrm_pool_function function; /* NULL: the workers leave */
    void             *context;
    hrm__gate         job, barrier;
    hrm__atomic       arrived, taken; /* at the barrier; numbers of hrm_pool_next */
    hrm__mutex        mutex;
    hrm__condition    condition;
    hrm__worker      *workers; /* [room], the first is the caller and has no thread */
};

static void hrm__gate_wait(hrm_pool *pool, hrm__gate *gate, int known)
{
    for (int i = 0; i < pool->spins; i++) {
        if (hrm__load(&gate->value) != known) return;
        hrm__pause();
    }
    hrm__mutex_lock(&pool->mutex);
    (void)hrm__atomic_add(&gate->sleepers, 1);
    while (hrm__load(&gate->value) == known) hrm__condition_wait(&pool->condition, &pool->mutex);
    (void)hrm__atomic_add(&gate->sleepers, -1);
    hrm__mutex_unlock(&pool->mutex);
}

static void hrm__gate_open(hrm_pool *pool, hrm__gate *gate)
{
    (void)hrm__atomic_add(&gate->value, 1);
    if (hrm__load(&gate->sleepers) == 0) return; /* a sleeper counts itself before it looks at the value: none is missed */
    hrm__mutex_lock(&pool->mutex);
    hrm__condition_wake(&pool->condition);
    hrm__mutex_unlock(&pool->mutex);
}

HRM_API int hrm_pool_size(const hrm_pool *pool) { return pool->size; }
HRM_API int hrm_pool_next(hrm_pool *pool) { return (int)hrm__atomic_add(&pool->taken, 1) - 1; }

HRM_API void hrm_pool_barrier(hrm_pool *pool)
{
    if (pool->size == 1) return;
    int known = (int)hrm__load(&pool->barrier.value);
    if (hrm__atomic_add(&pool->arrived, 1) == pool->size) {
        hrm__store(&pool->arrived, 0);
        hrm__gate_open(pool, &pool->barrier);
    } else {
        hrm__gate_wait(pool, &pool->barrier, known);
    }
}

typedef HRM__THREAD_RESULT hrm__thread_function(void *argument);
enum { HRM__STACK = 1 << 20 }; /* bytes at least: musl's threads have 128 KiB, less than a user's function may count on */

static int hrm__thread_start(hrm__thread *thread, hrm__thread_function *function, void *argument)
{
    /* -> 1 when it runs */
#ifdef _WIN32
    *thread = CreateThread(NULL, 0, function, argument, 0, NULL);
    return *thread != NULL;
#else
    if (!hrm__load(&hrm__forks_watched) && hrm__atomic_add(&hrm__forks_watched, 1) == 1 &&
        pthread_atfork(NULL, NULL, hrm__forked) != 0)
        return 0;
    pthread_attr_t how;
    size_t stack = 0;
    if (pthread_attr_init(&how) != 0) return 0;
    if (pthread_attr_getstacksize(&how, &stack) == 0 && stack < HRM__STACK) (void)pthread_attr_setstacksize(&how, HRM__STACK);
    int started = pthread_create(thread, &how, function, argument) == 0;
    (void)pthread_attr_destroy(&how);
    return started;
#endif
}

static void hrm__thread_join(hrm__thread thread)
{
#ifdef _WIN32
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
#else
    pthread_join(thread, NULL);
#endif
}

static HRM__THREAD_RESULT hrm__worker_main(void *argument)
{
    hrm__worker *w = (hrm__worker *)argument;
    hrm_pool *pool = w->pool;
    for (int job = 0;; job++) {
        hrm__gate_wait(pool, &pool->job, job);
        if (!pool->function) return 0;
        pool->function(pool->context, w->id, pool->size);
        hrm_pool_barrier(pool);
    }
}

static int hrm__pool_start(hrm_pool *pool)
{
    /* -> 1 when all of its threads run */
    hrm__mutex_init(&pool->mutex);
    hrm__condition_init(&pool->condition);
    pool->forks = (int)hrm__load(&hrm__forks);
    pool->started = 0;
    for (int i = 1; i < pool->size; i++) {
        hrm__worker *w = &pool->workers[i];
        w->pool = pool;
        w->id = i;
        if (!hrm__thread_start(&w->thread, hrm__worker_main, w)) return 0;
        pool->started = i;
    }
    return 1;
}

HRM_API void hrm_pool_run(hrm_pool *pool, hrm_pool_function function, void *context)
{
    if (pool->forks != (int)hrm__load(&hrm__forks)) { /* a child's threads are its own; with those that can be had */
        memset(&pool->job, 0, sizeof pool->job);
        memset(&pool->barrier, 0, sizeof pool->barrier);
        hrm__store(&pool->arrived, 0);
        if (!hrm__pool_start(pool)) pool->size = pool->started + 1;
    }
    hrm__store(&pool->taken, 0);
    if (pool->size == 1) {
        function(context, 0, 1);
        return;
    }
    pool->function = function;
    pool->context = context;
    hrm__gate_open(pool, &pool->job);
    function(context, 0, pool->size);
    hrm_pool_barrier(pool);
}

HRM_API void hrm_pool_destroy(hrm_pool *pool)
{
    if (!pool) return;
    if (pool->forks == (int)hrm__load(&hrm__forks)) {
        pool->function = NULL;
        hrm__gate_open(pool, &pool->job);
        for (int i = 1; i <= pool->started; i++) hrm__thread_join(pool->workers[i].thread);
        hrm__condition_destroy(&pool->condition);
        hrm__mutex_destroy(&pool->mutex);
    }
    hrm__free(pool->allocator, pool->workers, (size_t)pool->room, sizeof *pool->workers);
    hrm__free(pool->allocator, pool, 1, sizeof *pool);
}

HRM_API hrm_status hrm_pool_create(hrm_pool **out, int num_threads, const hrm_allocator *allocator)
{
    if (num_threads < 0 || num_threads > 1024)
        return hrm__fail(HRM_ERR_ARGUMENT, "num_threads is %d, expected 0 to 1024", num_threads);
    if (num_threads == 0) num_threads = hrm_cpu_count();
    void *p, *workers;
    HRM__TRY(hrm__alloc_zero(allocator, &p, 1, sizeof(hrm_pool), "thread pool"));
    hrm_pool *pool = (hrm_pool *)p;
    hrm_status status = hrm__alloc_zero(allocator, &workers, (size_t)num_threads, sizeof(hrm__worker), "thread pool");
    if (status != HRM_OK) {
        hrm__free(allocator, pool, 1, sizeof *pool);
        return status;
    }
    pool->allocator = allocator;
    pool->size = pool->room = num_threads;
    pool->spins =
        num_threads > hrm_cpu_count() ? 0 : 2000; /* with more threads than processors an active wait only steals time */
    pool->workers = (hrm__worker *)workers;
    if (!hrm__pool_start(pool)) {
        int thread = pool->started + 2;
        hrm_pool_destroy(pool);
        return hrm__fail(HRM_ERR_MEMORY, "thread %d of %d could not be started", thread, num_threads);
    }
    *out = pool;
    return HRM_OK;
}

#endif /* HRM_NO_THREADS */

/* A team: threads that run the same code on parts of the same work. Alone, a barrier is free. */
typedef struct hrm__team { int id, size; hrm_pool *pool; } hrm__team;

HRM__UNUSED static void hrm__team_barrier(const hrm__team *t)
{
    if (t->size > 1) hrm_pool_barrier(t->pool);
}

HRM__UNUSED static void hrm__team_range(const hrm__team *t, size_t n, size_t grain, size_t *begin, size_t *end)
{
    /* this member's part of 0..n-1, in multiples of grain */
    size_t blocks = (n + grain - 1) / grain, id = (size_t)t->id, size = (size_t)t->size;
    size_t b = blocks * id / size * grain, e = blocks * (id + 1) / size * grain;
    *begin = b < n ? b : n;
    *end = e < n ? e : n;
}

/* ==================================================================================================== >>cpu-features ======
 * A hot loop is written once, as plain C, in a function NAME_body marked HRM__INLINE. HRM__DISPATCH(NAME, (parameters),
 * (arguments)) compiles that body for every instruction set and defines NAME, which picks one of them at run time. The
 * environment variable HRM_CPU (one of hrm__cpu_names) forces a choice. avxvnni is avx2, and amx is avx512, but for the
 * products of >>quantized.
 *
 * Bodies and dispatchers stand between HRM__FAST_BEGIN and HRM__FAST_END, where gcc also may compute a value that a condition
 * then drops. No more of "fast math" than that: the order of a reassociated sum would be the compiler's choice, so sums spell
 * out their lanes (hrm__sum, hrm__dot).
 */
/* GCC for Windows aligns the stack to 16 bytes only: spilled AVX registers would fault there. */
#if defined(HRM__REAL_FLOAT) && !defined(HRM_NO_SIMD) && defined(__GNUC__)
    #if defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))
        #define HRM__X86 1
        #include <cpuid.h>
        #define HRM__AVX2   __attribute__((target("avx2,fma")))
        #define HRM__AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
        #define HRM__VNNI   __attribute__((target("avx512f,avx512vnni")))
        #if defined(__clang__) ? __clang_major__ >= 10 : __GNUC__ >= 10
            #define HRM__BF16 __attribute__((target("avx512f,avx512bf16")))
        #endif
        #if defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11
            #define HRM__AVXVNNI __attribute__((target("avx2,avxvnni")))
            #if defined(__linux__)
                #define HRM__AMX __attribute__((target("amx-tile,amx-int8,amx-bf16")))
            #endif
        #endif
        #include <immintrin.h>
    #elif defined(__aarch64__)
        #define HRM__NEON 1     /* the baseline there: no attribute needed */
        #include <arm_neon.h>
    #elif defined(__wasm_simd128__)
        #define HRM__WASM 1     /* WebAssembly: floats by the plain path's vectors, bytes by products of pairs */
        #include <wasm_simd128.h>
    #endif
#endif

enum { HRM__CPU_UNKNOWN, HRM__CPU_SCALAR, HRM__CPU_NEON, HRM__CPU_AVX2, HRM__CPU_AVXVNNI, HRM__CPU_AVX512, HRM__CPU_AMX };
static const char *const hrm__cpu_names[] = {"", "scalar", "neon", "avx2", "avxvnni", "avx512", "amx"};

/* -> a bit for each instruction set that both the processor and the operating system support. Linux grants AMX to a process
 * that asks, and wants larger signal stacks of it from then on; it is not asked where `name` is another's. */
static int hrm__cpu_here(const char *name)
{
    int here = 1 << HRM__CPU_SCALAR;
#if defined(HRM__X86)
    unsigned a, b, c, d, lo, hi;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return here;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    if ((lo & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return here;
    here |= 1 << HRM__CPU_AVX2;
    const unsigned wide = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    if ((lo & 0xe6) == 0xe6 && (b & wide) == wide) here |= 1 << HRM__CPU_AVX512;
    #if defined(HRM__AMX)
    const unsigned tiles = 1u << 24 | 1u << 25 | 1u << 22; /* and their products of bytes, of bfloat16 */
    if (here >> HRM__CPU_AVX512 && (lo & 0x60000) == 0x60000 && (d & tiles) == tiles &&
        (!name || !*name || !strcmp(name, "amx")) && syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18) == 0)
        here |= 1 << HRM__CPU_AMX;
    #endif
    #if defined(HRM__AVXVNNI)
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4)) here |= 1 << HRM__CPU_AVXVNNI;
    #endif
#elif defined(HRM__NEON)
    here |= 1 << HRM__CPU_NEON;
#endif
    (void)name;
    return here;
}

static int hrm__cpu_best(int here)
{
    int best = HRM__CPU_AMX;
    while (!(here >> best)) best--;
    return best;
}

enum { HRM__CPU_VNNI = 1, HRM__CPU_BF16 = 2 }; /* what not all with AVX-512 have: products of bytes, of bfloat16 */

static int hrm__cpu_extras(void)
{
    int extras = 0;
#if defined(HRM__X86)
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1u << 11)) extras |= HRM__CPU_VNNI;
    #if defined(HRM__BF16)
    int has = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5);
    /* "Genu"ineIntel's products of bfloat16 are slower than those of the floats that it can be made */
    if (has && __get_cpuid(0, &a, &b, &c, &d) && b != 0x756e6547) extras |= HRM__CPU_BF16;
    #endif
#endif
    return extras;
}

/* HRM__CPU_UNKNOWN until the first look, which is the only one: weights packed for one instruction set are no other's. (Asking
 * takes a virtual machine microseconds, too.) Threads that look at once write the same values. */
static hrm__atomic hrm__cpu_chosen, hrm__cpu_extra, hrm__cpu_refused;

/* Reads HRM_CPU, once a process. A name that is unknown or not supported here is an error, now and later; whoever ignores it
 * gets the best there is. In double there is one path, plain C, whatever the name. */
HRM__UNUSED static hrm_status hrm__cpu_select(void)
{
    const char *name = getenv("HRM_CPU");
    int here = hrm__cpu_here(name), best = hrm__cpu_best(here), want = best, refused = 0;
    if (hrm__load(&hrm__cpu_chosen) == HRM__CPU_UNKNOWN) {
        if (name && *name) {
            for (want = HRM__CPU_AMX; want > 0 && strcmp(name, hrm__cpu_names[want]) != 0;) want--;
            refused = want == HRM__CPU_UNKNOWN || (sizeof(hrm_real) == sizeof(float) && !(here >> want & 1));
            if (refused || sizeof(hrm_real) == sizeof(double)) want = best;
        }
        hrm__store(&hrm__cpu_refused, refused);
        hrm__store(&hrm__cpu_extra, want >= HRM__CPU_AVX512 ? hrm__cpu_extras() : 0);
        hrm__store(&hrm__cpu_chosen, want);
    }
    if (!hrm__load(&hrm__cpu_refused)) return HRM_OK;
    return hrm__fail(HRM_ERR_ARGUMENT, "HRM_CPU=%s: expected amx, avx512, avxvnni, avx2, neon or scalar; the best here is %s",
                     name ? name : "", hrm__cpu_names[hrm__cpu_best(hrm__cpu_here(NULL))]);
}

static int hrm__cpu(void)
{
    int cpu = hrm__load(&hrm__cpu_chosen);
    if (cpu == HRM__CPU_UNKNOWN) {
        hrm__cpu_select();
        cpu = hrm__load(&hrm__cpu_chosen);
    }
    return cpu;
}

HRM__UNUSED static int hrm__cpu_has(int extra)
{
    return hrm__cpu() >= HRM__CPU_AVX512 && (hrm__load(&hrm__cpu_extra) & extra) != 0;
}

    #if defined(HRM__X86)
        #define HRM__DISPATCH(name, params, args) \
            static HRM__AVX512 void name##_avx512 params { name##_body args; } \
            static HRM__AVX2 void name##_avx2 params { name##_body args; } \
            static void name##_scalar params { name##_body args; } \
            static void name params \
            { \
                int hrm__isa = hrm__cpu(); \
                if (hrm__isa >= HRM__CPU_AVX512) name##_avx512 args; \
                else if (hrm__isa >= HRM__CPU_AVX2) name##_avx2 args; \
                else name##_scalar args; \
            }
    #else
        #define HRM__DISPATCH(name, params, args) \
            static void name params { name##_body args; }
    #endif

/* ==================================================================================================== >>vector-math =======
 * Branch-free, so that loops over them vectorise. The polynomials are minimax fits on the reduced interval; the stated errors,
 * against double, are those that tests/test_gemm.c finds over the whole range.
 * Every sum has 16 lanes, lane l taking the elements l, l+16, …, added as a tree: the same order for every instruction set.
 */
HRM__FAST_BEGIN

/* e^x to 1.5e-7 relative; below -87.3 and above 88.3 it stays at the value there (1.2e-38, 2.4e38) */
HRM__INLINE hrm_real hrm__exp(hrm_real x)
{
    float v = (float)x, t, n, r, p, scale;
    int32_t bits;
    uint32_t clamped;
    if (HRM__PLAIN_MATH) return (hrm_real)exp((double)x);
    /* Clamped as integers: positive floats are in order as signed ones, negative in reverse as unsigned ones. A comparison of
     * floats invites compilers to follow either branch to the end, which doubles what comes after. */
    memcpy(&bits, &v, sizeof bits);
    bits = bits > 0x42b0c0a5 ? 0x42b0c0a5 : bits;                   /* 88.37626 */
    memcpy(&clamped, &bits, sizeof bits);
    clamped = clamped > 0xc2aeac4fu ? 0xc2aeac4fu : clamped;        /* -87.33654 */
    memcpy(&v, &clamped, sizeof v);
    t = v * 1.44269504f + 12582912.0f;          /* 1.5*2^23: the sum's low mantissa bits are the rounded integer n */
    n = t - 12582912.0f;
    r = v - n * 0.693145752f;                   /* x = n ln 2 + r, ln 2 in two parts, |r| <= ln 2 / 2 */
    r = r - n * 1.42860677e-6f;
    p = 1.395055908e-3f;
    p = p * r + 8.368928917e-3f;
    p = p * r + 4.166620597e-2f;
    p = p * r + 1.666651815e-1f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    memcpy(&bits, &t, sizeof bits);
    bits = (int32_t)(((uint32_t)bits << 23) + 0x3f800000u);
    memcpy(&scale, &bits, sizeof scale);
    return x != x ? x : (hrm_real)(p * scale);
}

/* ln x for normal x > 0, to 1e-7 relative (absolute where |ln x| < 1) */
HRM__INLINE hrm_real hrm__log(hrm_real x)
{
    float v = (float)x, m, e, z, p;
    int32_t bits, exponent;
    if (HRM__PLAIN_MATH) return (hrm_real)log((double)x);
    memcpy(&bits, &v, sizeof bits);
    exponent = (bits - 0x3f3504f3) >> 23;       /* so that the mantissa m lies in [sqrt(1/2), sqrt 2) */
    bits -= (int32_t)((uint32_t)exponent << 23);
    memcpy(&m, &bits, sizeof m);
    e = (float)exponent;
    m -= 1.0f;
    z = m * m;
    p = -7.634497434e-2f;
    p = p * m + 1.276157796e-1f;
    p = p * m - 1.316018254e-1f;
    p = p * m + 1.420175731e-1f;
    p = p * m - 1.662335694e-1f;
    p = p * m + 2.000122666e-1f;
    p = p * m - 2.500081956e-1f;
    p = p * m + 3.333333135e-1f;
    p = p * m * z + e * 1.42860677e-6f - 0.5f * z;
    return (hrm_real)(m + p + e * 0.693145752f);
}

/* 1 / x for x >= 1, to 1e-7; above 8e37 it stays at the value there. Newton's iteration takes a quarter of a division's time */
HRM__INLINE hrm_real hrm__reciprocal(hrm_real x)
{
    float v = (float)x, r;
    int32_t bits;
    if (HRM__PLAIN_MATH) return 1 / x;
    memcpy(&bits, &v, sizeof bits);
    bits = bits > 0x7e700000 ? 0x7e700000 : bits;
    memcpy(&v, &bits, sizeof v);
    bits = 0x7ef311c7 - bits;
    memcpy(&r, &bits, sizeof r);
    r = r * (2.0f - v * r);
    r = r * (2.0f - v * r);
    r = r + r * (1.0f - v * r);
    return (hrm_real)r;
}

HRM__INLINE hrm_real hrm__sigmoid(hrm_real x) { return hrm__reciprocal(1 + hrm__exp(-x)); }
HRM__INLINE hrm_real hrm__silu(hrm_real x) { return x * hrm__sigmoid(x); }

HRM__INLINE hrm_real hrm__sum_lanes(hrm_real *lane)
{
    int l, half;
    for (half = 8; half; half /= 2)
        for (l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

/* x [n] -> the sum, in 16 lanes */
HRM__INLINE hrm_real hrm__sum(const hrm_real *x, size_t n)
{
    hrm_real lane[16] = {0};
    size_t j = 0;
    int l;
    for (; j + 16 <= n; j += 16)
        for (l = 0; l < 16; l++) lane[l] += x[j + (size_t)l];
    for (l = 0; l < 15 && j < n; j++, l++) lane[l] += x[j];
    return hrm__sum_lanes(lane);
}

/* x, y [n] -> the inner product, in 16 lanes */
HRM__INLINE hrm_real hrm__dot(const hrm_real *x, const hrm_real *y, size_t n)
{
    hrm_real lane[16] = {0};
    size_t j = 0;
    int l;
    for (; j + 16 <= n; j += 16)
        for (l = 0; l < 16; l++) lane[l] += x[j + (size_t)l] * y[j + (size_t)l];
    for (l = 0; l < 15 && j < n; j++, l++) lane[l] += x[j] * y[j];
    return hrm__sum_lanes(lane);
}

/* x [n >= 1] -> the largest; float bits with the sign folded in order as integers, whose maximum vectorises, unlike a
 * float's */
HRM__INLINE hrm_real hrm__max(const hrm_real *x, size_t n)
{
    size_t j;
    if (sizeof(hrm_real) == sizeof(double)) {
        hrm_real m = x[0];
        for (j = 1; j < n; j++) m = x[j] > m ? x[j] : m;
        return m;
    } else {
        int32_t best = INT32_MIN, bits;
        float v;
        for (j = 0; j < n; j++) {
            v = (float)x[j];
            memcpy(&bits, &v, sizeof bits);
            bits ^= (bits >> 31) & 0x7fffffff;
            best = bits > best ? bits : best;
        }
        best ^= (best >> 31) & 0x7fffffff;
        memcpy(&v, &best, sizeof v);
        return (hrm_real)v;
    }
}
HRM__FAST_END

/* ==================================================================================================== >>random ============*/
HRM_API void hrm_philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t counter)
{
    hrm__philox(out, seed, stream, counter);
}

HRM_API hrm_random hrm_random_make(uint64_t seed, uint64_t stream)
{
    hrm_random r;
    memset(&r, 0, sizeof r);
    r.seed = seed;
    r.stream = stream;
    r.used = 4;
    return r;
}

HRM_API uint32_t hrm_random_u32(hrm_random *r)
{
    if (r->used >= 4) {
        hrm_philox(r->block, r->seed, r->stream, r->counter++);
        r->used = 0;
    }
    return r->block[r->used++];
}

HRM_API uint32_t hrm_random_below(hrm_random *r, uint32_t n)
{
    uint64_t m = (uint64_t)hrm_random_u32(r) * n;
    if ((uint32_t)m < n) /* Lemire 2019: the few low products that would favour some values are drawn again */
        for (uint32_t floor = (0u - n) % n; (uint32_t)m < floor;) m = (uint64_t)hrm_random_u32(r) * n;
    return (uint32_t)(m >> 32);
}

HRM_API double hrm_random_uniform(hrm_random *r) { return hrm_random_u32(r) * (1.0 / 4294967296.0); }

HRM_API void hrm_random_shuffle(hrm_random *r, int32_t *items, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = hrm_random_below(r, i);
        int32_t t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}

/* ==================================================================================================== >>dtype =============
 * Files are little-endian; memory is what the machine is. Readers hand out views in the machine's order (on a big-endian one
 * they swap a private copy of the mapping), writers swap on the way out, so nobody in between has to know.
 */
#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        #define HRM__BIG_ENDIAN 1
    #endif
#endif
#ifndef HRM__BIG_ENDIAN
    #define HRM__BIG_ENDIAN 0
#endif
#define HRM__REAL_DTYPE (sizeof(hrm_real) == 8 ? HRM_F64 : HRM_F32)

static const struct { size_t bytes; const char *name, *numpy; } hrm__dtypes[] = {
#define HRM__DTYPE(name, bytes, st, np) {bytes, st, np},
    HRM_DTYPE_LIST(HRM__DTYPE)
#undef HRM__DTYPE
};

HRM_API size_t      hrm_dtype_size(hrm_dtype dtype) { return (unsigned)dtype < HRM_DTYPE_COUNT ? hrm__dtypes[dtype].bytes : 0; }
HRM_API const char *hrm_dtype_name(hrm_dtype dtype)
{
    return (unsigned)dtype < HRM_DTYPE_COUNT ? hrm__dtypes[dtype].name : "unknown";
}

static int hrm__dtype_is_float(hrm_dtype d) { return d == HRM_F32 || d == HRM_F64 || d == HRM_F16 || d == HRM_BF16; }

static hrm_dtype hrm__dtype_find(const char *name)
{
    int i = 0;
    while (i < HRM_DTYPE_COUNT && strcmp(hrm__dtypes[i].name, name) != 0) i++;
    return (hrm_dtype)i; /* HRM_DTYPE_COUNT: there is none of that name */
}

static int hrm__shape_fits(hrm_dtype dtype, int ndim, const int64_t *shape, size_t *elements, size_t *bytes)
{
    /* -> 0 when the shape has a negative side or more bytes than half the address space */
    size_t n = 1, empty = 0;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0 || (uint64_t)shape[i] > SIZE_MAX) return 0;
        if (shape[i] == 0) empty = 1; /* the other sides are checked all the same */
        else if (hrm__mul_overflows(n, (size_t)shape[i])) return 0;
        else n *= (size_t)shape[i];
    }
    if (n > SIZE_MAX / 2 / hrm_dtype_size(dtype)) return 0;
    *elements = empty ? 0 : n;
    *bytes = *elements * hrm_dtype_size(dtype);
    return 1;
}

static void hrm__swap_bytes(void *data, size_t size, size_t n)
{
    /* n elements of size bytes, turned round in place */
    unsigned char *p = (unsigned char *)data;
    if (size == 1) return;
    for (size_t i = 0; i < n; i++, p += size)
        for (size_t j = 0; j < size / 2; j++) {
            unsigned char t = p[j];
            p[j] = p[size - 1 - j];
            p[size - 1 - j] = t;
        }
}

/* Little-endian numbers in headers. */
static uint64_t hrm__get_le(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}
static void hrm__put_le(unsigned char *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++, v >>= 8) p[i] = (unsigned char)(v & 255);
}

static float hrm__bf16_to_f32(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint16_t hrm__f32_to_bf16(float f)
{
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    if ((b & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(b >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((b + 0x7fffu + (b >> 16 & 1)) >> 16);
}

static float hrm__f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023, bits;
    float f;
    if (e == 0) {
        f = (float)m * (1.0f / 16777216.0f); /* subnormal: m 2^-24 */
        return sign ? -f : f;
    }
    bits = sign | (e == 31 ? 0x7f800000u : (e + 112) << 23) | m << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint16_t hrm__narrow_f64(double v, int exp_bits, int man_bits)
{
    /* to the 16-bit float of that form, in one rounding to nearest even; NaN stays one */
    uint64_t b, m, q, rest, half;
    memcpy(&b, &v, sizeof b);
    int sign = (int)(b >> 63), e = (int)(b >> 52 & 0x7ff), top = (1 << exp_bits) - 1, shift = 52 - man_bits;
    uint64_t out = (uint64_t)sign << 15;
    m = b & (((uint64_t)1 << 52) - 1);
    if (e == 0x7ff) return (uint16_t)(out | (uint64_t)top << man_bits | (m ? m >> shift | (uint64_t)1 << (man_bits - 1) : 0));
    int te = e - 1023 + (top >> 1);
    if (te >= top) return (uint16_t)(out | (uint64_t)top << man_bits);
    if (te <= 0) { /* subnormal there: the leading one becomes explicit */
        if (e) m |= (uint64_t)1 << 52;
        shift += 1 - te;
        te = 0;
        if (shift > 54) return (uint16_t)out;
    }
    q = m >> shift;
    rest = m & (((uint64_t)1 << shift) - 1);
    half = (uint64_t)1 << (shift - 1);
    if (rest > half || (rest == half && (q & 1))) q++;
    return (uint16_t)(out | (((uint64_t)te << man_bits) + q)); /* a carry runs into the exponent, up to infinity */
}

/* The conversion goes block by block over a middle type that holds the source exactly: double for floats, int64 for
 * integers. */
#define HRM__BLOCK 256

static void hrm__load_f64(double *out, const unsigned char *src, hrm_dtype dtype, size_t n)
{
    float f;
    uint16_t h;
    switch (dtype) {
    case HRM_F64: memcpy(out, src, n * 8); break;
    case HRM_F32: for (size_t i = 0; i < n; i++) { memcpy(&f, src + 4 * i, 4); out[i] = (double)f; } break;
    case HRM_F16: for (size_t i = 0; i < n; i++) { memcpy(&h, src + 2 * i, 2); out[i] = (double)hrm__f16_to_f32(h); } break;
    default: for (size_t i = 0; i < n; i++) { memcpy(&h, src + 2 * i, 2); out[i] = (double)hrm__bf16_to_f32(h); } break;
    }
}

static void hrm__load_i64(int64_t *out, const unsigned char *src, hrm_dtype dtype, size_t n)
{
    int16_t h;
    int32_t w;
    switch (dtype) {
    case HRM_I64: memcpy(out, src, n * 8); break;
    case HRM_I32: for (size_t i = 0; i < n; i++) { memcpy(&w, src + 4 * i, 4); out[i] = w; } break;
    case HRM_I16: for (size_t i = 0; i < n; i++) { memcpy(&h, src + 2 * i, 2); out[i] = h; } break;
    case HRM_I8: for (size_t i = 0; i < n; i++) out[i] = src[i] < 128 ? src[i] : src[i] - 256; break;
    case HRM_U8: for (size_t i = 0; i < n; i++) out[i] = src[i]; break;
    default: for (size_t i = 0; i < n; i++) out[i] = src[i] != 0; break;
    }
}

static void hrm__store_f64(unsigned char *dst, hrm_dtype dtype, const double *in, size_t n)
{
    float f;
    uint16_t h;
    switch (dtype) {
    case HRM_F64: memcpy(dst, in, n * 8); break;
    case HRM_F32: for (size_t i = 0; i < n; i++) { f = (float)in[i]; memcpy(dst + 4 * i, &f, 4); } break;
    case HRM_F16: for (size_t i = 0; i < n; i++) { h = hrm__narrow_f64(in[i], 5, 10); memcpy(dst + 2 * i, &h, 2); } break;
    default: for (size_t i = 0; i < n; i++) { h = hrm__narrow_f64(in[i], 8, 7); memcpy(dst + 2 * i, &h, 2); } break;
    }
}

static size_t hrm__store_i64(unsigned char *dst, hrm_dtype dtype, const int64_t *in, size_t n)
{
    /* -> how many were stored before one that does not fit */
    static const struct { hrm_dtype dtype; int64_t low, high; } ranges[] = {
        {HRM_I8, -128, 127}, {HRM_U8, 0, 255}, {HRM_I16, -32768, 32767}, {HRM_I32, INT32_MIN, INT32_MAX}, {HRM_BOOL, 0, 1}};
    size_t good = n;
    for (size_t r = 0; r < HRM__COUNT(ranges); r++)
        if (ranges[r].dtype == dtype)
            for (size_t i = 0; i < good; i++)
                if (in[i] < ranges[r].low || in[i] > ranges[r].high) good = i;
    switch (dtype) {
    case HRM_I64: memcpy(dst, in, good * 8); break;
    case HRM_I32: for (size_t i = 0; i < good; i++) { int32_t w = (int32_t)in[i]; memcpy(dst + 4 * i, &w, 4); } break;
    case HRM_I16: for (size_t i = 0; i < good; i++) { int16_t h = (int16_t)in[i]; memcpy(dst + 2 * i, &h, 2); } break;
    default: for (size_t i = 0; i < good; i++) dst[i] = (unsigned char)((uint64_t)in[i] & 255); break;
    }
    return good;
}

HRM_API hrm_status hrm_convert(void *dst, hrm_dtype dst_dtype, const void *src, hrm_dtype src_dtype, size_t n)
{
    /* src [n] -> dst [n], neither need be aligned */
    if ((unsigned)dst_dtype >= HRM_DTYPE_COUNT || (unsigned)src_dtype >= HRM_DTYPE_COUNT)
        return hrm__fail(HRM_ERR_ARGUMENT, "conversion from dtype %d to %d: no such dtype", (int)src_dtype, (int)dst_dtype);
    unsigned char *d = (unsigned char *)dst;
    const unsigned char *s = (const unsigned char *)src;
    size_t ds = hrm_dtype_size(dst_dtype), ss = hrm_dtype_size(src_dtype);
    if (n == 0) return HRM_OK;
    if (dst_dtype == src_dtype) {
        memcpy(d, s, n * ds);
        return HRM_OK;
    }
    if (src_dtype == HRM_F32 && dst_dtype == HRM_BF16) { /* the two that whole models go through */
        for (size_t i = 0; i < n; i++) {
            float f;
            memcpy(&f, s + 4 * i, 4);
            uint16_t h = hrm__f32_to_bf16(f);
            memcpy(d + 2 * i, &h, 2);
        }
        return HRM_OK;
    }
    if (src_dtype == HRM_BF16 && dst_dtype == HRM_F32) {
        for (size_t i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, s + 2 * i, 2);
            float f = hrm__bf16_to_f32(h);
            memcpy(d + 4 * i, &f, 4);
        }
        return HRM_OK;
    }
    double f[HRM__BLOCK];
    int64_t k[HRM__BLOCK];
    int from_float = hrm__dtype_is_float(src_dtype), to_float = hrm__dtype_is_float(dst_dtype);
    for (size_t begin = 0; begin < n; begin += HRM__BLOCK, s += HRM__BLOCK * ss, d += HRM__BLOCK * ds) {
        size_t m = n - begin < HRM__BLOCK ? n - begin : HRM__BLOCK;
        if (from_float) hrm__load_f64(f, s, src_dtype, m);
        else hrm__load_i64(k, s, src_dtype, m);
        if (from_float && !to_float)
            for (size_t i = 0; i < m; i++) {
                if (!(f[i] >= -9223372036854775808.0 && f[i] < 9223372036854775808.0) || f[i] != floor(f[i]))
                    return hrm__fail(HRM_ERR_RANGE, "element %zu is %g, which is no %s", begin + i, f[i],
                                     hrm_dtype_name(dst_dtype));
                k[i] = (int64_t)f[i];
            }
        if (!from_float && to_float)
            for (size_t i = 0; i < m; i++) {
                int64_t v = k[i], low = v & 0x7ff;
                /* past 53 bits a double rounds: what it would drop becomes one sticky bit, so that only the last step rounds */
                if (dst_dtype != HRM_F64 && low && (v > 9007199254740992 || v < -9007199254740992)) v = (v - low) | 0x800;
                f[i] = (double)v;
            }
        if (to_float) {
            hrm__store_f64(d, dst_dtype, f, m);
        } else {
            size_t good = hrm__store_i64(d, dst_dtype, k, m);
            if (good < m)
                return hrm__fail(HRM_ERR_RANGE, "element %zu is %lld, which does not fit %s", begin + good, (long long)k[good],
                                 hrm_dtype_name(dst_dtype));
        }
    }
    return HRM_OK;
}

/* ==================================================================================================== >>layers ============
 * One unit a layer: its mathematics, what it keeps, forward, backward. Rows are the caller's to split: every row, or (puzzle,
 * head) pair in attention, is computed the same way whatever stands beside it, so results do not depend on the threads.
 */
/* Matrix products and their operands, from >>gemm. */
static size_t hrm__pack_size(size_t N, size_t K);
static void hrm__pack(hrm_real *dst, const hrm_real *w, size_t N, size_t K, int transposed, const hrm__team *t);
static size_t hrm__gemm_scratch(void);
static void hrm__transpose(hrm_real *to, size_t ldt, const hrm_real *from, size_t ldf, size_t rows, size_t cols);
static void hrm__gemm(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const hrm_real *packed, size_t M, size_t N,
                      size_t K, int accumulate, hrm_real *scratch, const hrm__team *t);
static void hrm__gemm_tn(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const hrm_real *b, size_t ldb, size_t M,
                         size_t N, size_t K, int accumulate, hrm_real *scratch, const hrm__team *t);

HRM__FAST_BEGIN

/* ---- linear ---------------------------------------------------------------------------------------------- >>linear ------
 *
 *   y = x w^T + b,      dx = dy w,   dw += dy^T x,   db += sum over rows of dy
 */
HRM_API size_t hrm_linear_scratch(size_t out, size_t in)
{
    size_t forward = hrm__pack_size(out, in), backward = hrm__pack_size(in, out);
    return (forward > backward ? forward : backward) + hrm__gemm_scratch();
}

HRM_API void hrm_linear_forward(hrm_real *y, const hrm_real *x, const hrm_real *w, const hrm_real *b, size_t rows, size_t out,
                                size_t in, hrm_real *scratch)
{
    /* x [rows,in], w [out,in], b [out] -> y [rows,out] */
    hrm__team alone = {0, 1, NULL};
    hrm__pack(scratch, w, out, in, 0, &alone);
    hrm__gemm(y, out, x, in, scratch, rows, out, in, 0, scratch + hrm__pack_size(out, in), &alone);
    if (b)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < out; j++) y[i * out + j] += b[j];
}

HRM_API void hrm_linear_backward(hrm_real *dx, hrm_real *dw, hrm_real *db, const hrm_real *dy, const hrm_real *x,
                                 const hrm_real *w, size_t rows, size_t out, size_t in, hrm_real *scratch)
{
    /* dy [rows,out], x [rows,in], w [out,in] -> dx [rows,in], dw [out,in] +=, db [out] += */
    hrm__team alone = {0, 1, NULL};
    hrm_real *own = scratch + hrm__pack_size(in, out);
    if (dx) {
        hrm__pack(scratch, w, out, in, 1, &alone);
        hrm__gemm(dx, in, dy, out, scratch, rows, in, out, 0, own, &alone);
    }
    hrm__gemm_tn(dw, in, dy, out, x, in, rows, out, in, 1, own, &alone);
    if (db)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < out; j++) db[j] += dy[i * out + j];
}

/* ---- embedding -------------------------------------------------------------------------------------------- >>embedding ---
 *
 *   y_i = w[token_i],      dw[token_i] += dy_i          in the order of the rows, so that sums are reproducible
 */
HRM_API void hrm_embedding_forward(hrm_real *y, const int32_t *tokens, const hrm_real *w, size_t rows, size_t D)
{
    /* tokens [rows], w [V,D] -> y [rows,D] */
    for (size_t i = 0; i < rows; i++) memcpy(y + i * D, w + (size_t)tokens[i] * D, D * sizeof *y);
}

HRM_API void hrm_embedding_backward(hrm_real *dw, const hrm_real *dy, const int32_t *tokens, size_t rows, size_t D)
{
    /* dy [rows,D] -> dw [V,D] += */
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < D; j++) dw[(size_t)tokens[i] * D + j] += dy[i * D + j];
}

/* ---- rope -------------------------------------------------------------------------------------------------- >>rope -------
 *
 *   position s, pair j of a head:  angle = s theta^(-2j/d)
 *   (x_j, x_{j+d/2}) is turned by the angle; the backward pass turns back.       Su et al. 2021, half-rotation
 *
 * Angles are rounded to float32 first, as in the public code: at position 900 this decides the fourth digit.
 */
HRM_API void hrm_rope_table(hrm_real *cosines, hrm_real *sines, size_t S, size_t head_dim, double theta)
{
    /* -> cosines, sines [S,head_dim/2] */
    size_t half = head_dim / 2;
    for (size_t s = 0; s < S; s++)
        for (size_t j = 0; j < half; j++) {
            float angle = (float)s * (1.0f / (float)pow(theta, 2.0 * (double)j / (double)head_dim));
            cosines[s * half + j] = (hrm_real)cos((double)angle);
            sines[s * half + j] = (hrm_real)sin((double)angle);
        }
}

HRM__INLINE void hrm__rope_rows_body(hrm_real *x, const hrm_real *cosines, const hrm_real *sines, size_t rows, size_t first,
                                     size_t S, size_t heads, size_t head_dim, size_t stride, hrm_real direction)
{
    /* x [rows,heads,head_dim] in place, rows `stride` apart, the first at position first % S; direction 1 or, back, -1 */
    size_t half = head_dim / 2;
    for (size_t i = 0; i < rows; i++, x += stride) {
        const hrm_real *cosine = cosines + (first + i) % S * half, *sine = sines + (first + i) % S * half;
        for (size_t h = 0; h < heads; h++) {
            hrm_real *y = x + h * head_dim, *z = y + half;
            for (size_t j = 0; j < half; j++) {
                hrm_real a = y[j], b = z[j], c = cosine[j], n = direction * sine[j];
                y[j] = a * c - b * n;
                z[j] = b * c + a * n;
            }
        }
    }
}
HRM__DISPATCH(hrm__rope_rows,
              (hrm_real * x, const hrm_real *cosines, const hrm_real *sines, size_t rows, size_t first, size_t S, size_t heads,
               size_t head_dim, size_t stride, hrm_real direction),
              (x, cosines, sines, rows, first, S, heads, head_dim, stride, direction))

HRM_API void hrm_rope_forward(hrm_real *x, const hrm_real *cosines, const hrm_real *sines, size_t B, size_t S, size_t heads,
                              size_t head_dim, size_t stride)
{
    /* x [B,S,heads,head_dim] in place, rows `stride` apart */
    hrm__rope_rows(x, cosines, sines, B * S, 0, S, heads, head_dim, stride, 1);
}

HRM_API void hrm_rope_backward(hrm_real *dx, const hrm_real *cosines, const hrm_real *sines, size_t B, size_t S, size_t heads,
                               size_t head_dim, size_t stride)
{
    hrm__rope_rows(dx, cosines, sines, B * S, 0, S, heads, head_dim, stride, -1);
}

/* ---- attention ---------------------------------------------------------------------------------------------- >>attention --
 *
 *   s_ij = q_i . k_j / sqrt(d),   p_i = softmax(s_i),   o_i = sum_j p_ij v_j           over all j, or j <= i when causal
 *
 *   dv_j = sum_i p_ij do_i,   dp_ij = do_i . v_j,   ds_ij = p_ij (dp_ij - do_i . o_i)     since sum_j p_ij dp_ij = do_i . o_i
 *   dq_i = sum_j ds_ij k_j / sqrt(d),   dk_j = sum_i ds_ij q_i / sqrt(d)
 *
 * One (puzzle, head) pair at a time, HRM__ATTENTION_ROWS rows of scores at a time, in cache: no [S,S] matrix. Keeps
 * log sum exp(s_i), from which the backward pass makes p again.                              Vaswani et al. 2017, eq. 1
 */
#define HRM__ATTENTION_ROWS 64

/* scratch of one head: k and v packed both ways as they are needed, two blocks of scores, and the products' own */
typedef struct hrm__attention_space { hrm_real *copy, *k, *v, *kt, *p, *ds, *own; } hrm__attention_space;

static size_t hrm__plan_attention(size_t S, size_t head_dim, hrm_real *base, hrm__attention_space *a)
{
    size_t pack = hrm__pack_size(S, head_dim), block = S * (S < HRM__ATTENTION_ROWS ? S : HRM__ATTENTION_ROWS), used = 0;
    hrm_real **parts[] = {&a->copy, &a->k, &a->v, &a->kt, &a->p, &a->ds, &a->own};
    size_t sizes[] = {S * head_dim, pack, pack, pack, block, block, hrm__gemm_scratch()};
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < HRM__COUNT(sizes); i++) {
        if (base) *parts[i] = base + used;
        used += hrm__align(sizes[i]);
    }
    return used;
}

HRM_API size_t hrm_attention_scratch(size_t S, size_t head_dim)
{
    hrm__attention_space unused;
    return hrm__plan_attention(S, head_dim, NULL, &unused);
}

static void hrm__pack_head(hrm_real *packed, hrm_real *copy, const hrm_real *x, size_t stride, size_t S, size_t head_dim,
                           int transposed)
{
    /* x [S] rows of head_dim, `stride` apart -> the operand for y x^T, or for y x when transposed */
    hrm__team alone = {0, 1, NULL};
    for (size_t s = 0; s < S; s++) memcpy(copy + s * head_dim, x + s * stride, head_dim * sizeof *x);
    hrm__pack(packed, copy, S, head_dim, transposed, &alone);
}

/* p [rows,S] of scores q.k -> exp(scale (p - its row's largest)), sums [rows], tops [rows]; row i is position first + i */
HRM__INLINE void hrm__softmax_rows_body(hrm_real *p, hrm_real *sums, hrm_real *tops, size_t rows, size_t first, size_t S,
                                        hrm_real scale, int causal)
{
    for (size_t i = 0; i < rows; i++, p += S) {
        size_t n = causal ? first + i + 1 : S;
        hrm_real top = hrm__max(p, n);
        for (size_t j = 0; j < n; j++) p[j] = hrm__exp(scale * (p[j] - top));
        for (size_t j = n; j < S; j++) p[j] = 0;
        sums[i] = hrm__sum(p, n);
        tops[i] = scale * top;
    }
}
HRM__DISPATCH(hrm__softmax_rows,
              (hrm_real * p, hrm_real *sums, hrm_real *tops, size_t rows, size_t first, size_t S, hrm_real scale, int causal),
              (p, sums, tops, rows, first, S, scale, causal))

HRM__INLINE void hrm__divide_rows_body(hrm_real *o, size_t stride, const hrm_real *sums, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++, o += stride) {
        hrm_real r = 1 / sums[i];
        for (size_t j = 0; j < n; j++) o[j] *= r;
    }
}
HRM__DISPATCH(hrm__divide_rows, (hrm_real * o, size_t stride, const hrm_real *sums, size_t rows, size_t n),
              (o, stride, sums, rows, n))

static void hrm__attention_head_forward(hrm_real *o, size_t o_stride, hrm_real *lse, const hrm_real *q, const hrm_real *k,
                                        const hrm_real *v, size_t stride, size_t S, size_t head_dim, int causal,
                                        hrm_real *scratch)
{
    /* q, k, v [S] rows of head_dim, `stride` apart -> o the same, o_stride apart; lse [S] or NULL */
    hrm__team alone = {0, 1, NULL};
    hrm__attention_space a;
    hrm_real sums[HRM__ATTENTION_ROWS], tops[HRM__ATTENTION_ROWS], scale = 1 / hrm__sqrt((hrm_real)head_dim);
    hrm__plan_attention(S, head_dim, scratch, &a);
    hrm__pack_head(a.k, a.copy, k, stride, S, head_dim, 0);
    hrm__pack_head(a.v, a.copy, v, stride, S, head_dim, 1);
    for (size_t i = 0; i < S; i += HRM__ATTENTION_ROWS) {
        size_t rows = S - i < HRM__ATTENTION_ROWS ? S - i : HRM__ATTENTION_ROWS;
        hrm__gemm(a.p, S, q + i * stride, stride, a.k, rows, S, head_dim, 0, a.own, &alone);
        hrm__softmax_rows(a.p, sums, tops, rows, i, S, scale, causal);
        hrm__gemm(o + i * o_stride, o_stride, a.p, S, a.v, rows, head_dim, S, 0, a.own, &alone);
        hrm__divide_rows(o + i * o_stride, o_stride, sums, rows, head_dim);
        for (size_t j = 0; lse && j < rows; j++) lse[i + j] = tops[j] + hrm__log(sums[j]);
    }
}

/* p [rows,S] of scores -> probabilities; ds [rows,S] of do.v -> ds, with g, o the block's rows of d_o and o */
HRM__INLINE void hrm__softmax_rows_backward_body(hrm_real *p, hrm_real *ds, const hrm_real *lse, const hrm_real *g,
                                                 const hrm_real *o, size_t o_stride, size_t rows, size_t first, size_t S,
                                                 size_t head_dim, hrm_real scale, int causal)
{
    for (size_t i = 0; i < rows; i++, p += S, ds += S) {
        size_t n = causal ? first + i + 1 : S;
        hrm_real dot = hrm__dot(g + i * o_stride, o + i * o_stride, head_dim), l = lse[i];
        for (size_t j = 0; j < n; j++) p[j] = hrm__exp(scale * p[j] - l);
        for (size_t j = 0; j < n; j++) ds[j] = p[j] * (ds[j] - dot) * scale;
        for (size_t j = n; j < S; j++) p[j] = ds[j] = 0;
    }
}
HRM__DISPATCH(hrm__softmax_rows_backward,
              (hrm_real * p, hrm_real *ds, const hrm_real *lse, const hrm_real *g, const hrm_real *o, size_t o_stride,
               size_t rows, size_t first, size_t S, size_t head_dim, hrm_real scale, int causal),
              (p, ds, lse, g, o, o_stride, rows, first, S, head_dim, scale, causal))

static void hrm__attention_head_backward(hrm_real *dq, hrm_real *dk, hrm_real *dv, const hrm_real *d_o, const hrm_real *q,
                                         const hrm_real *k, const hrm_real *v, const hrm_real *o, const hrm_real *lse,
                                         size_t stride, size_t o_stride, size_t S, size_t head_dim, int causal,
                                         hrm_real *scratch)
{
    /* d_o, o [S] rows of head_dim, o_stride apart -> dq, dk, dv, stride apart as q, k, v */
    hrm__team alone = {0, 1, NULL};
    hrm__attention_space a;
    hrm_real scale = 1 / hrm__sqrt((hrm_real)head_dim);
    hrm__plan_attention(S, head_dim, scratch, &a);
    hrm__pack_head(a.k, a.copy, k, stride, S, head_dim, 0);
    hrm__pack_head(a.kt, a.copy, k, stride, S, head_dim, 1);
    hrm__pack_head(a.v, a.copy, v, stride, S, head_dim, 0);
    for (size_t i = 0; i < S; i += HRM__ATTENTION_ROWS) {
        size_t rows = S - i < HRM__ATTENTION_ROWS ? S - i : HRM__ATTENTION_ROWS;
        const hrm_real *qi = q + i * stride, *g = d_o + i * o_stride;
        hrm__gemm(a.p, S, qi, stride, a.k, rows, S, head_dim, 0, a.own, &alone);
        hrm__gemm(a.ds, S, g, o_stride, a.v, rows, S, head_dim, 0, a.own, &alone);
        hrm__softmax_rows_backward(a.p, a.ds, lse + i, g, o + i * o_stride, o_stride, rows, i, S, head_dim, scale, causal);
        hrm__gemm(dq + i * stride, stride, a.ds, S, a.kt, rows, head_dim, S, 0, a.own, &alone);
        hrm__gemm_tn(dk, stride, a.ds, S, qi, stride, rows, S, head_dim, i > 0, a.own, &alone);
        hrm__gemm_tn(dv, stride, a.p, S, g, o_stride, rows, S, head_dim, i > 0, a.own, &alone);
    }
}

HRM_API void hrm_attention_forward(hrm_real *o, hrm_real *lse, const hrm_real *qkv, size_t B, size_t S, size_t heads,
                                   size_t head_dim, int causal, hrm_real *scratch)
{
    size_t D = heads * head_dim;
    for (size_t b = 0; b < B; b++)
        for (size_t h = 0; h < heads; h++) {
            const hrm_real *q = qkv + b * S * 3 * D + h * head_dim;
            hrm__attention_head_forward(o + b * S * D + h * head_dim, D, lse ? lse + (b * heads + h) * S : NULL, q, q + D,
                                        q + 2 * D, 3 * D, S, head_dim, causal, scratch);
        }
}

HRM_API void hrm_attention_backward(hrm_real *dqkv, const hrm_real *d_o, const hrm_real *qkv, const hrm_real *o,
                                    const hrm_real *lse, size_t B, size_t S, size_t heads, size_t head_dim, int causal,
                                    hrm_real *scratch)
{
    size_t D = heads * head_dim;
    for (size_t b = 0; b < B; b++)
        for (size_t h = 0; h < heads; h++) {
            size_t at = b * S * 3 * D + h * head_dim, at_o = b * S * D + h * head_dim;
            hrm__attention_head_backward(dqkv + at, dqkv + at + D, dqkv + at + 2 * D, d_o + at_o, qkv + at, qkv + at + D,
                                         qkv + at + 2 * D, o + at_o, lse + (b * heads + h) * S, 3 * D, D, S, head_dim, causal,
                                         scratch);
        }
}

/* ---- swiglu -------------------------------------------------------------------------------------------------- >>swiglu ---
 *
 *   h = silu(g) u,   silu(g) = g s,   s = 1 / (1 + exp(-g))
 *
 *   dg = dh u s (1 + g (1 - s)),   du = dh silu(g)                                                         Shazeer 2020, eq. 6
 */
HRM__INLINE void hrm__swiglu_row_body(hrm_real *h, const hrm_real *gate, const hrm_real *up, size_t I)
{
    for (size_t j = 0; j < I; j++) h[j] = hrm__silu(gate[j]) * up[j];
}
HRM__DISPATCH(hrm__swiglu_row, (hrm_real *h, const hrm_real *gate, const hrm_real *up, size_t I), (h, gate, up, I))

HRM_API void hrm_swiglu_forward(hrm_real *h, const hrm_real *gate_up, size_t rows, size_t I)
{
    /* gate_up [rows,2I] -> h [rows,I] */
    for (size_t i = 0; i < rows; i++) hrm__swiglu_row(h + i * I, gate_up + i * 2 * I, gate_up + i * 2 * I + I, I);
}

HRM__INLINE void hrm__swiglu_row_backward_body(hrm_real *dgate, hrm_real *dup, const hrm_real *dh, const hrm_real *gate,
                                               const hrm_real *up, size_t I)
{
    for (size_t j = 0; j < I; j++) {
        hrm_real g = gate[j], u = up[j], d = dh[j], s = hrm__sigmoid(g);
        dgate[j] = d * u * s * (1 + g * (1 - s));
        dup[j] = d * g * s;
    }
}
HRM__DISPATCH(hrm__swiglu_row_backward,
              (hrm_real * dgate, hrm_real *dup, const hrm_real *dh, const hrm_real *gate, const hrm_real *up, size_t I),
              (dgate, dup, dh, gate, up, I))

HRM_API void hrm_swiglu_backward(hrm_real *dgate_up, const hrm_real *dh, const hrm_real *gate_up, size_t rows, size_t I)
{
    /* dh [rows,I], gate_up [rows,2I] -> dgate_up [rows,2I] */
    for (size_t i = 0; i < rows; i++)
        hrm__swiglu_row_backward(dgate_up + i * 2 * I, dgate_up + i * 2 * I + I, dh + i * I, gate_up + i * 2 * I,
                                 gate_up + i * 2 * I + I, I);
}

/* With a norm inside (arXiv:2601.19085):  h = s(g) n,  n = r p,  p = g u,  r = 1 / sqrt(mean p^2 + eps)
 *
 *   dn = dh s,   dp = r (dn - n mean(dn n)),   dg = dh n s (1 - s) + dp u,   du = dp g
 */
HRM__INLINE void hrm__swiglu_norm_row_body(hrm_real *h, const hrm_real *gate, const hrm_real *up, size_t I, hrm_real eps)
{
    for (size_t j = 0; j < I; j++) h[j] = gate[j] * up[j];
    hrm_real r = 1 / hrm__sqrt(hrm__dot(h, h, I) / (hrm_real)I + eps);
    for (size_t j = 0; j < I; j++) h[j] = hrm__sigmoid(gate[j]) * (h[j] * r);
}
HRM__DISPATCH(hrm__swiglu_norm_row, (hrm_real *h, const hrm_real *gate, const hrm_real *up, size_t I, hrm_real eps),
              (h, gate, up, I, eps))

/* The same for rows in parts, of HRM__SWIGLU_PART columns, in any order: h [rows,n] = silu(gate) up, rows ldh and ld apart;
 * where sums are asked for, a row's of p^2 by parts, rows lds apart. A norm's factor r, common to a row, then waits for the
 * last part, and multiplies whatever is linear in h: hrm__norm_rows. */
enum { HRM__SWIGLU_PART = 64 };
HRM__INLINE void hrm__swiglu_part_body(hrm_real *h, size_t ldh, const hrm_real *gate, const hrm_real *up, size_t ld,
                                       size_t rows, size_t n, hrm_real *sums, size_t lds)
{
    for (size_t i = 0; i < rows; i++, h += ldh, gate += ld, up += ld)
        for (size_t part = 0; part * HRM__SWIGLU_PART < n; part++) {
            const hrm_real *g = gate + part * HRM__SWIGLU_PART, *u = up + part * HRM__SWIGLU_PART;
            hrm_real p[HRM__SWIGLU_PART], *to = h + part * HRM__SWIGLU_PART;
            for (size_t j = 0; j < HRM__SWIGLU_PART; j++) to[j] = hrm__silu(g[j]) * u[j];
            if (!sums) continue;
            for (size_t j = 0; j < HRM__SWIGLU_PART; j++) p[j] = g[j] * u[j];
            sums[i * lds + part] = hrm__dot(p, p, HRM__SWIGLU_PART);
        }
}
HRM__DISPATCH(hrm__swiglu_part,
              (hrm_real * h, size_t ldh, const hrm_real *gate, const hrm_real *up, size_t ld, size_t rows, size_t n,
               hrm_real *sums, size_t lds),
              (h, ldh, gate, up, ld, rows, n, sums, lds))

HRM__INLINE void hrm__norm_rows_body(hrm_real *f, size_t rows, size_t N, const hrm_real *sums, size_t parts, hrm_real eps)
{
    for (size_t i = 0; i < rows; i++, f += N, sums += parts) {
        hrm_real sum = 0;
        for (size_t k = 0; k < parts; k++) sum += sums[k];
        hrm_real r = 1 / hrm__sqrt(sum / (hrm_real)(parts * HRM__SWIGLU_PART) + eps);
        for (size_t j = 0; j < N; j++) f[j] *= r;
    }
}
HRM__DISPATCH(hrm__norm_rows, (hrm_real * f, size_t rows, size_t N, const hrm_real *sums, size_t parts, hrm_real eps),
              (f, rows, N, sums, parts, eps))

HRM_API void hrm_swiglu_norm_forward(hrm_real *h, const hrm_real *gate_up, size_t rows, size_t I, hrm_real eps)
{
    for (size_t i = 0; i < rows; i++)
        hrm__swiglu_norm_row(h + i * I, gate_up + i * 2 * I, gate_up + i * 2 * I + I, I, eps);
}

HRM__INLINE void hrm__swiglu_norm_row_backward_body(hrm_real *dgate, hrm_real *dup, const hrm_real *dh, const hrm_real *gate,
                                                    const hrm_real *up, size_t I, hrm_real eps)
{
    for (size_t j = 0; j < I; j++) dup[j] = gate[j] * up[j], dgate[j] = dh[j] * hrm__sigmoid(gate[j]); /* p, dn */
    hrm_real r = 1 / hrm__sqrt(hrm__dot(dup, dup, I) / (hrm_real)I + eps), mean = hrm__dot(dgate, dup, I) * r / (hrm_real)I;
    for (size_t j = 0; j < I; j++) {
        hrm_real n = dup[j] * r, dn = dgate[j], dp = r * (dn - n * mean);
        dgate[j] = dn * n * (1 - hrm__sigmoid(gate[j])) + dp * up[j];
        dup[j] = dp * gate[j];
    }
}
HRM__DISPATCH(hrm__swiglu_norm_row_backward,
              (hrm_real * dgate, hrm_real *dup, const hrm_real *dh, const hrm_real *gate, const hrm_real *up, size_t I,
               hrm_real eps),
              (dgate, dup, dh, gate, up, I, eps))

HRM_API void hrm_swiglu_norm_backward(hrm_real *dgate_up, const hrm_real *dh, const hrm_real *gate_up, size_t rows, size_t I,
                                      hrm_real eps)
{
    for (size_t i = 0; i < rows; i++)
        hrm__swiglu_norm_row_backward(dgate_up + i * 2 * I, dgate_up + i * 2 * I + I, dh + i * I, gate_up + i * 2 * I,
                                      gate_up + i * 2 * I + I, I, eps);
}

/* ---- residual + rms norm ------------------------------------------------------------------------------------- >>rms-norm --
 *
 *   s = x + f            the residual branch joins here, so that it never makes a trip of its own through memory
 *   y = s r,             r = 1 / sqrt(mean(s^2) + eps)       over the last dimension, without a weight
 *
 *   ds = r (dy - y mean(dy y)),   dx = df = ds               mean(s^2) depends on every s_j, hence the second term
 *
 * Keeps r, one value a row; the backward pass needs y and r only, not s.         Zhang & Sennrich 2019, eq. 4 with g = 1
 */
HRM__INLINE void hrm__rms_norm_body(hrm_real *y, hrm_real *r, const hrm_real *x, const hrm_real *f, size_t rows, size_t D,
                                    hrm_real eps)
{
    for (size_t i = 0; i < rows; i++, x += D, y += D) {
        if (f)
            for (size_t j = 0; j < D; j++) y[j] = x[j] + f[j];
        else if (x != y)
            memcpy(y, x, D * sizeof *y);
        hrm_real scale = 1 / hrm__sqrt(hrm__dot(y, y, D) / (hrm_real)D + eps);
        for (size_t j = 0; j < D; j++) y[j] *= scale;
        if (r) r[i] = scale;
        if (f) f += D;
    }
}
HRM__DISPATCH(hrm__rms_norm,
              (hrm_real * y, hrm_real *r, const hrm_real *x, const hrm_real *f, size_t rows, size_t D, hrm_real eps),
              (y, r, x, f, rows, D, eps))

HRM_API void hrm_rms_norm_forward(hrm_real *y, hrm_real *r, const hrm_real *x, const hrm_real *f, size_t rows, size_t D,
                                  hrm_real eps)
{
    /* x, f [rows,D] (f may be NULL) -> y [rows,D], r [rows] or NULL; y may be x */
    hrm__rms_norm(y, r, x, f, rows, D, eps);
}

HRM__INLINE void hrm__rms_norm_gradient_body(hrm_real *ds, const hrm_real *dy, const hrm_real *y, const hrm_real *r,
                                             size_t rows, size_t D)
{
    for (size_t i = 0; i < rows; i++, dy += D, y += D, ds += D) {
        hrm_real mean = hrm__dot(dy, y, D) / (hrm_real)D, scale = r[i];
        for (size_t j = 0; j < D; j++) ds[j] = scale * (dy[j] - y[j] * mean);
    }
}
HRM__DISPATCH(hrm__rms_norm_gradient,
              (hrm_real * ds, const hrm_real *dy, const hrm_real *y, const hrm_real *r, size_t rows, size_t D),
              (ds, dy, y, r, rows, D))

HRM_API void hrm_rms_norm_backward(hrm_real *ds, const hrm_real *dy, const hrm_real *y, const hrm_real *r, size_t rows,
                                   size_t D)
{
    /* dy, y [rows,D], r [rows] -> ds [rows,D], the gradient of both x and f; ds may be dy */
    hrm__rms_norm_gradient(ds, dy, y, r, rows, D);
}
HRM__FAST_END

/* ==================================================================================================== >>losses ============*/

/* ---- cross entropy over stablemax or softmax ------------------------------------------------------------------ >>stablemax -
 *
 *   L = mean over labelled tokens of  log(sum_j s_j) - log s_y
 *   stablemax:  s(x) = x + 1 for x >= 0, 1 / (1 - x) below;   s'(x) = 1, or s(x)^2 below        Prieto et al. 2025, eq. 5
 *   softmax:    s(x) = exp(x)
 *
 *   dL/dx_j = (s'_j / sum s - [j = y] s'_y / s_y) / n
 *
 * Stablemax in double, as published (its small logits lose their meaning in float32).
 */
HRM_API double hrm_cross_entropy_smoothed(hrm_loss_type type, double smoothing, hrm_real *dlogits, const hrm_real *logits,
                                          const int32_t *labels, size_t T, size_t V, double scale, int *correct, int *labelled)
{
    /* logits [T,V], labels [T] -> the mean loss; dlogits [T,V] = scale dL/dx */
    int hits = 0, n = 0;
    double loss = 0;
    for (size_t t = 0; t < T; t++) n += labels[t] >= 0;
    double each = n ? scale / n : 0;
    for (size_t t = 0; t < T; t++, logits += V) {
        hrm_real *d = dlogits ? dlogits + t * V : NULL;
        if (labels[t] < 0) {
            if (d) memset(d, 0, V * sizeof *d);
            continue;
        }
        size_t label = (size_t)labels[t], best = 0;
        for (size_t j = 1; j < V; j++)
            if (logits[j] > logits[best]) best = j;
        hits += best == label;
        loss += hrm__token_loss(type == HRM_SOFTMAX_CROSS_ENTROPY, smoothing, d, logits, V, label, each);
    }
    if (correct) *correct = hits;
    if (labelled) *labelled = n;
    return n ? loss / n : 0;
}

HRM_API double hrm_cross_entropy(hrm_loss_type type, hrm_real *dlogits, const hrm_real *logits, const int32_t *labels, size_t T,
                                 size_t V, double scale, int *correct, int *labelled)
{
    return hrm_cross_entropy_smoothed(type, 0, dlogits, logits, labels, T, V, scale, correct, labelled);
}

/* ---- binary cross entropy -------------------------------------------------------------------------------------- >>bce -----
 *
 *   L = -t log s - (1 - t) log(1 - s) = max(x, 0) - x t + log(1 + exp(-|x|)),   s = sigmoid(x);   dL/dx = s - t
 */
HRM_API double hrm_bce(double logit, double target, double *dlogit)
{
    double unused;
    return hrm__bce(logit, target, dlogit ? dlogit : &unused);
}

/* ==================================================================================================== >>optimizers ========*/

/* ---- Adam-atan2 ------------------------------------------------------------------------------------------------ >>adam ----
 *
 *   p = p (1 - lr wd),   m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2
 *   p = p - lr / (1 - b1^t) atan2(m, sqrt(v) / sqrt(1 - b2^t))              no epsilon: the update is bounded and scale-free
 */
HRM__FAST_BEGIN
HRM__INLINE void hrm__adam_atan2_body(hrm_real *p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, hrm_real decay,
                                      hrm_real rate, hrm_real beta1, hrm_real beta2, hrm_real root_bias2)
{
    /* p, m, v, g [n] */
    for (size_t i = 0; i < n; i++) hrm__adam_atan2_element(&p[i], &m[i], &v[i], g[i], decay, rate, beta1, beta2, root_bias2);
}
HRM__DISPATCH(hrm__adam_atan2,
              (hrm_real * p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, hrm_real decay, hrm_real rate,
               hrm_real beta1, hrm_real beta2, hrm_real root_bias2),
              (p, m, v, g, n, decay, rate, beta1, beta2, root_bias2))
HRM__FAST_END

HRM_API void hrm_adam_atan2(hrm_real *p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, double lr, double beta1,
                            double beta2, double weight_decay, int64_t t)
{
    double bias1 = 1 - pow(beta1, (double)t), bias2 = 1 - pow(beta2, (double)t);
    hrm__adam_atan2(p, m, v, g, n, (hrm_real)(1 - lr * weight_decay), (hrm_real)(lr / bias1), (hrm_real)beta1, (hrm_real)beta2,
                    (hrm_real)sqrt(bias2));
}

/* ---- AdamW ----------------------------------------------------------------------------------------------------- >>adamw ---
 *
 *   m, v as above,   p = p (1 - lr wd) - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 */
HRM__FAST_BEGIN
HRM__INLINE void hrm__adamw_body(hrm_real *p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, hrm_real decay,
                                 hrm_real rate, hrm_real beta1, hrm_real beta2, hrm_real root_bias2, hrm_real eps)
{
    /* p, m, v, g [n] */
    for (size_t i = 0; i < n; i++) hrm__adamw_element(&p[i], &m[i], &v[i], g[i], decay, rate, beta1, beta2, root_bias2, eps);
}
HRM__DISPATCH(hrm__adamw,
              (hrm_real * p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, hrm_real decay, hrm_real rate,
               hrm_real beta1, hrm_real beta2, hrm_real root_bias2, hrm_real eps),
              (p, m, v, g, n, decay, rate, beta1, beta2, root_bias2, eps))
HRM__FAST_END

HRM_API void hrm_adamw(hrm_real *p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, double lr, double beta1,
                       double beta2, double eps, double weight_decay, int64_t t)
{
    double bias1 = 1 - pow(beta1, (double)t), bias2 = 1 - pow(beta2, (double)t);
    hrm__adamw(p, m, v, g, n, (hrm_real)(1 - lr * weight_decay), (hrm_real)(lr / bias1), (hrm_real)beta1, (hrm_real)beta2,
               (hrm_real)sqrt(bias2), (hrm_real)eps);
}

/* ---- Muon -------------------------------------------------------------------------------------------------------- >>muon --
 *
 *   m = b m + (1 - b) g,   u = (1 - b) g + b m,   p = p (1 - lr wd) - lr sqrt(max(1, rows / columns)) NS(u)
 *
 * NS(u) is about U V^T of u = U S V^T, by Newton-Schulz (Jordan et al. 2024): x = u / |u|, n x w, wide rather than tall, then
 * ns_steps times   x = f x,   f = 3.4445 + (-4.7750 + 2.0315 a) a,   a = x x^T.
 *
 * Where x is much wider than high the steps go on without it: a becomes f a f, and x is multiplied once by the product q of all
 * f, which costs two products with w columns instead of two a step. All but that one are their own transposes: half of each is
 * computed.
 */
enum { HRM__MUON_PARTS = 64 };
typedef struct hrm__muon_space { hrm_real *x, *y, *a, *f, *q, *t, *packed, *squares, *own; size_t n, w; } hrm__muon_space;

static size_t hrm__muon_plan(hrm__muon_space *s, hrm_real *base, size_t rows, size_t columns)
{
    /* x, y [n,w] with n <= w; a, f, q, t [n,n]; an operand packed; |x|^2 in parts -> elements without anyone's own scratch */
    size_t n = rows < columns ? rows : columns, w = rows < columns ? columns : rows, used = 0;
    size_t packed = hrm__pack_size(w, n) > hrm__pack_size(n, w) ? hrm__pack_size(w, n) : hrm__pack_size(n, w);
    if (hrm__pack_size(n, n) > packed) packed = hrm__pack_size(n, n);
    const size_t sizes[] = {n * w, n * w, n * n, n * n, n * n, n * n, packed, HRM__MUON_PARTS, 0};
    hrm_real *parts[HRM__COUNT(sizes)];
    for (size_t i = 0; i < HRM__COUNT(sizes); i++) {
        parts[i] = base ? base + used : NULL;
        used += hrm__align(sizes[i]);
    }
    s->x = parts[0], s->y = parts[1], s->a = parts[2], s->f = parts[3], s->q = parts[4], s->t = parts[5];
    s->packed = parts[6], s->squares = parts[7], s->own = parts[8];
    s->n = n, s->w = w;
    return used;
}

HRM__FAST_BEGIN
HRM__INLINE void hrm__squares_body(hrm_real *out, const hrm_real *x, size_t n) { *out = hrm__dot(x, x, n); }
HRM__DISPATCH(hrm__squares, (hrm_real *out, const hrm_real *x, size_t n), (out, x, n))

/* m and u of >>muon, from g * factor */
HRM__INLINE void hrm__muon_momentum_body(hrm_real *u, hrm_real *m, const hrm_real *g, size_t n, hrm_real factor, hrm_real keep)
{
    for (size_t i = 0; i < n; i++) {
        hrm_real gi = g[i] * factor, mi = m[i] + (gi - m[i]) * (1 - keep);
        m[i] = mi;
        u[i] = gi + (mi - gi) * keep;
    }
}
HRM__DISPATCH(hrm__muon_momentum, (hrm_real *u, hrm_real *m, const hrm_real *g, size_t n, hrm_real factor, hrm_real keep),
              (u, m, g, n, factor, keep))
HRM__FAST_END

static void hrm__muon_product(hrm_real *c, const hrm_real *a, hrm_real *packed, const hrm_real *b, size_t n, size_t w,
                              hrm_real *own, const hrm__team *team)
{
    /* a [n,n] times b [n,w] */
    hrm__pack(packed, b, n, w, 1, team);
    hrm__team_barrier(team);
    hrm__gemm(c, w, a, n, packed, n, w, n, 0, own, team);
    hrm__team_barrier(team);
}

static void hrm__muon_symmetric(hrm_real *c, const hrm_real *a, hrm_real *packed, const hrm_real *b, size_t n, size_t K,
                                hrm_real *own, const hrm__team *team)
{
    /* a [n,K] times b [n,K] transposed, known to be its own transpose; b NULL: what was packed last. The team shares the blocks
     * on the diagonal and above it, column by column; those below are copies. */
    const size_t side = 64; /* whole panels of every kernel */
    const size_t blocks = (n + side - 1) / side;
    size_t begin, end, at = 0;
    hrm__team alone = {0, 1, NULL};
    if (b) hrm__pack(packed, b, n, K, 0, team);
    hrm__team_barrier(team);
    hrm__team_range(team, blocks * (blocks + 1) / 2, 1, &begin, &end);
    for (size_t g = 0; g < blocks; at += ++g) {
        const size_t first = begin > at ? begin - at : 0, last = end <= at ? 0 : end - at <= g ? end - at : g + 1;
        const size_t row = first * side, column = g * side, columns = n - column < side ? n - column : side;
        if (first >= last) continue;
        hrm__gemm(c + row * n + column, n, a + row * K, K, packed + column * K,
                  (last <= g ? last * side : column + columns) - row, columns, K, 0, own, &alone);
        hrm__transpose(c + column * n + row, n, c + row * n + column, n, (last <= g ? last * side : column) - row, columns);
    }
    hrm__team_barrier(team);
}

static void hrm__exchange(hrm_real *to, const hrm_real *from, size_t puzzles, size_t rows, size_t columns,
                          const hrm__team *team)
{
    /* from [puzzles,rows,columns] -> to [puzzles,columns,rows]; the team shares the columns */
    size_t b, e;
    hrm__team_range(team, columns, 16, &b, &e);
    for (size_t p = 0; p < puzzles; p++, to += rows * columns, from += rows * columns)
        hrm__transpose(to + b * rows, rows, from + b, columns, rows, e - b);
    hrm__team_barrier(team);
}

static void hrm__muon(hrm_real *p, hrm_real *m, const hrm_real *g, hrm_real factor, size_t rows, size_t columns, double lr,
                      double momentum, double weight_decay, int ns_steps, const hrm__muon_space *s, hrm_real *own,
                      const hrm__team *team)
{
    /* factor: what g is multiplied by first; all of the team, each with scratch of its own */
    const size_t n = s->n, w = s->w, size = n * w, each = (size + HRM__MUON_PARTS - 1) / HRM__MUON_PARTS;
    const int tall = rows > columns, aside = 2 * w > 3 * n && ns_steps > 1;
    hrm_real *x = s->x, *y = s->y, *f = s->f, *q = s->q, *t = s->t, *swap;
    size_t b, e;
    double squares = 0;
    hrm__team_range(team, size, 16, &b, &e);
    hrm__muon_momentum((tall ? y : x) + b, m + b, g + b, e - b, factor, (hrm_real)momentum);
    hrm__team_barrier(team);
    if (tall) hrm__exchange(x, y, 1, rows, columns, team);
    hrm__team_range(team, HRM__MUON_PARTS, 1, &b, &e);
    for (; b < e; b++)
        hrm__squares(s->squares + b, x + (b * each < size ? b * each : size),
                     b * each < size ? (size - b * each < each ? size - b * each : each) : 0);
    hrm__team_barrier(team);
    for (int i = 0; i < HRM__MUON_PARTS; i++) squares += (double)s->squares[i];
    hrm_real norm = (hrm_real)(1 / (sqrt(squares) > 1e-7 ? sqrt(squares) : 1e-7));
    hrm__team_range(team, size, 16, &b, &e);
    for (size_t i = b; i < e; i++) x[i] *= norm;
    hrm__team_barrier(team);
    for (int k = 0; k < ns_steps; k++) {
        size_t first, last;
        if (k == 0 || !aside) hrm__muon_symmetric(s->a, x, s->packed, x, n, w, own, team);
        /* a is its own transpose, and so is all made of it */
        hrm__muon_symmetric(f, s->a, s->packed, s->a, n, n, own, team);
        hrm__team_range(team, n, 1, &first, &last);
        for (size_t i = first * n; i < last * n; i++) f[i] = (hrm_real)2.0315 * f[i] - (hrm_real)4.7750 * s->a[i];
        for (size_t i = first; i < last; i++) f[i * n + i] += (hrm_real)3.4445;
        hrm__team_barrier(team);
        if (!aside) {
            hrm__muon_product(y, f, s->packed, x, n, w, own, team);
            swap = x, x = y, y = swap;
            continue;
        }
        if (k + 1 < ns_steps) {
            hrm__muon_symmetric(t, f, s->packed, NULL, n, n, own, team); /* f a */
            hrm__muon_symmetric(s->a, t, s->packed, f, n, n, own, team);
        }
        if (k > 0) {
            hrm__muon_symmetric(t, f, s->packed, q, n, n, own, team);
            swap = q, q = t, t = swap;
        } else swap = q, q = f, f = swap;
    }
    if (aside) {
        hrm__muon_product(y, q, s->packed, x, n, w, own, team);
        swap = x, x = y, y = swap;
    }
    if (tall) {
        hrm__exchange(y, x, 1, columns, rows, team);
        x = y;
    }
    hrm_real decay = (hrm_real)(1 - lr * weight_decay), ratio = (hrm_real)rows / (hrm_real)columns,
             rate = (hrm_real)lr * hrm__sqrt(ratio > 1 ? ratio : 1);
    for (size_t i = b; i < e; i++) p[i] = p[i] * decay - rate * x[i];
    hrm__team_barrier(team);
}

HRM_API size_t hrm_muon_scratch(size_t rows, size_t columns)
{
    hrm__muon_space unused;
    return hrm__muon_plan(&unused, NULL, rows, columns) + hrm__gemm_scratch();
}

HRM_API void hrm_muon(hrm_real *p, hrm_real *m, const hrm_real *g, size_t rows, size_t columns, double lr, double momentum,
                      double weight_decay, int ns_steps, hrm_real *scratch)
{
    hrm__team alone = {0, 1, NULL};
    hrm__muon_space s;
    hrm__muon_plan(&s, scratch, rows, columns);
    hrm__muon(p, m, g, 1, rows, columns, lr, momentum, weight_decay, ns_steps, &s, s.own, &alone);
}

/* ---- SignSGD of the puzzle table --------------------------------------------------------------------------------- >>sign-sgd
 *
 *   g = sum of the gradients of one id's rows,   p = p (1 - lr wd) - lr sign(g)          for the ids of the batch only
 */
HRM_API void hrm_sign_sgd(hrm_real *table, hrm_real *g, const int32_t *ids, size_t rows, size_t ndim, double lr,
                          double weight_decay)
{
    /* table [..,ndim], g [rows,ndim], ids [rows] */
    hrm_real decay = (hrm_real)(1 - lr * weight_decay), rate = (hrm_real)lr;
    for (size_t i = 0; i < rows; i++) {
        size_t first = 0;
        while (ids[first] != ids[i]) first++;
        if (first == i) continue;
        for (size_t j = 0; j < ndim; j++) g[first * ndim + j] += g[i * ndim + j];
    }
    for (size_t i = 0; i < rows; i++) {
        size_t first = 0;
        while (ids[first] != ids[i]) first++;
        if (first != i) continue;
        hrm_real *p = table + (size_t)ids[i] * ndim, *s = g + i * ndim;
        for (size_t j = 0; j < ndim; j++) p[j] = hrm__sign_sgd_element(p[j], s[j], decay, rate);
    }
}

/* ---- schedule ------------------------------------------------------------------------------------------------- >>schedule */
HRM_API double hrm_schedule(int64_t step, double lr, int64_t warmup, int64_t total, double min_ratio)
{
    if (step < warmup) return lr * (double)step / (double)(warmup > 1 ? warmup : 1);
    double progress = (double)(step - warmup) / (double)(total - warmup > 1 ? total - warmup : 1);
    double cosine = (1 - min_ratio) * 0.5 * (1 + cos(3.14159265358979323846 * progress));
    return lr * (min_ratio + (cosine > 0 ? cosine : 0));
}

/* ==================================================================================================== >>gemm ==============
 *   y = x w^T       hrm__gemm with w packed plain             w [N,K] row-major, as checkpoints have it
 *   dx = dy w       hrm__gemm with w packed transposed
 *   dw += dy^T x    hrm__gemm_tn
 *
 * A tile of C, mr x nr, stays in registers while k runs: c[i][j] = fma(a[i][k], b[k][j], c[i][j]) with a vector over j. B is
 * packed into panels of nr columns, so that a step reads one contiguous row of a panel; weights are packed once per optimizer
 * step and serve all recurrent passes. A is read where it lies, or copied when its row stride would map a tile's rows onto one
 * cache set. Blocks keep a panel in the first-level cache and a block of A in the second.
 *
 * Every c[i][j] is one chain of multiply-adds over ascending k, or a sum of chains of a fixed length, whatever tile, block or
 * thread it falls into (storing and reloading it between blocks changes nothing): results are bitwise equal for any team and
 * any split of the rows.
 */
HRM__FAST_BEGIN
#define HRM__GEMM_KC    512      /* inner block */
#define HRM__GEMM_BLOCK 98304    /* elements of A (or of packed B in gemm_tn) kept in the second-level cache */
#define HRM__GEMM_MC    192      /* rows of the long dimension in a block of gemm_tn; its sums are added block by block */
#define HRM__GEMM_STRIP 4        /* tiles of A that gemm_tn packs together */
#define HRM__GEMM_MR    14       /* the largest mr and nr of all kernels */
#define HRM__GEMM_NR    32

typedef enum { HRM__TILE_SET, HRM__TILE_CONTINUE, HRM__TILE_ADD } hrm__tile_mode;

/* What a tile fetches into the second-level cache for those to come, a line of each a step: a in steps of `step`, b line after
 * line. Any address will do. */
#define HRM__LINE (64 / sizeof(hrm_real))
typedef struct hrm__ahead {
    const hrm_real *a, *b;
    size_t          step;
} hrm__ahead;

/* a [rows,K] with strides, b [K,nr] one panel -> c [rows,nr]: assigned, continued as the chain's start, or added to at the
 * end. */
typedef void hrm__tile_fn(hrm_real *c, size_t ldc, const hrm_real *a, size_t a_row, size_t a_step, const hrm_real *b, size_t K,
                          hrm__tile_mode mode, const hrm__ahead *ahead);
typedef struct hrm__gemm_kernel {
    size_t mr, nr;          /* nr = 2 vectors; the last panel is one vector wide where that is enough */
    size_t chain; /* the longest in hrm__gemm; where products are rounded before they are added, short ones are added up */
    hrm__tile_fn *const *tiles; /* of 1 row and 1 vector, 1 row and 2 vectors, 2 rows … mr rows and 2 vectors */
} hrm__gemm_kernel;

/* The micro-kernel for one instruction set: V is a vector of W elements, U one in memory. Rows r >= MR and the second vector
 * where NV is 1 vanish at compile time, which leaves MR * NV multiply-adds, NV loads of B and MR broadcasts of A in the inner
 * loop. Three rows share a pointer, so that all of them fit the registers. */
#define HRM__ROWS(X) \
    X(0, p0, 0) X(1, p0, 1) X(2, p0, 2) X(3, p3, 0) X(4, p3, 1) X(5, p3, 2) X(6, p6, 0) \
    X(7, p6, 1) X(8, p6, 2) X(9, p9, 0) X(10, p9, 1) X(11, p9, 2) X(12, p12, 0) X(13, p12, 1)
#define HRM__ROW_ZERO(r, p, s) V c##r = {0}, d##r = {0};
#define HRM__ROW_LOAD(r, p, s) \
    if (r < MR) { \
        c##r = *(const U *)(c + r * ldc); \
        if (NV > 1) d##r = *(const U *)(c + r * ldc + W); \
    }
#define HRM__ROW_FMA(r, p, s) \
    if (r < MR) { \
        HRM__FMA(c##r, b0, p[s * a_row]); \
        if (NV > 1) HRM__FMA(d##r, b1, p[s * a_row]); \
    }
#define HRM__ROW_ADD(r, p, s) \
    if (r < MR) { \
        c##r += *(const U *)(c + r * ldc); \
        if (NV > 1) d##r += *(const U *)(c + r * ldc + W); \
    }
#define HRM__ROW_STORE(r, p, s) \
    if (r < MR) { \
        *(U *)(c + r * ldc) = c##r; \
        if (NV > 1) *(U *)(c + r * ldc + W) = d##r; \
    }
#define HRM__ROW_FETCH(r, p, s) \
    if (r < MR) { \
        HRM__PREFETCH_WRITE(c + r * ldc); \
        if (NV > 1) HRM__PREFETCH_WRITE(c + r * ldc + W); \
    }

    #define HRM__TILE(name, target, vector, MR_, NV_) \
        static target void name##_##MR_##_##NV_(hrm_real *c, size_t ldc, const hrm_real *a, size_t a_row, size_t a_step, \
                                                const hrm_real *b, size_t K, hrm__tile_mode mode, const hrm__ahead *ahead) \
        { \
            typedef vector V; \
            typedef V U HRM__UNALIGNED; \
            enum { MR = MR_, NV = NV_, W = (int)(sizeof(V) / sizeof(hrm_real)), LINE = (int)HRM__LINE }; \
            const size_t step = ahead->step; \
            const hrm_real *fetch = ahead->a; \
            const hrm_real *p0 = a, *p3 = MR > 3 ? a + 3 * a_row : a, *p6 = MR > 6 ? a + 6 * a_row : a, \
                           *p9 = MR > 9 ? a + 9 * a_row : a, *p12 = MR > 12 ? a + 12 * a_row : a; \
            HRM__ROWS(HRM__ROW_ZERO) \
            if (mode == HRM__TILE_CONTINUE) { \
                HRM__ROWS(HRM__ROW_LOAD) \
            } else { \
                HRM__ROWS(HRM__ROW_FETCH) \
            } \
            for (size_t k = 0; k < K; \
                 k++, b += NV * W, fetch += step, p0 += a_step, p3 += a_step, p6 += a_step, p9 += a_step, p12 += a_step) { \
                V b0 = *(const U *)b, b1 = *(const U *)(b + (NV - 1) * W); \
                HRM__PREFETCH(fetch); \
                HRM__PREFETCH(ahead->b + k * LINE); \
                HRM__PREFETCH_NEAR(b + 12 * NV * W); \
                if (NV > 1 && (int)(NV * W) > (int)LINE) HRM__PREFETCH_NEAR(b + 13 * NV * W - W); \
                HRM__ROWS(HRM__ROW_FMA) \
                (void)b1; \
            } \
            if (mode == HRM__TILE_ADD) { HRM__ROWS(HRM__ROW_ADD) } \
            HRM__ROWS(HRM__ROW_STORE) \
        }

#define HRM__TILES_4(X, name, target, vector) \
    X(name, target, vector, 1, 1) X(name, target, vector, 1, 2) X(name, target, vector, 2, 1) X(name, target, vector, 2, 2) \
    X(name, target, vector, 3, 1) X(name, target, vector, 3, 2) X(name, target, vector, 4, 1) X(name, target, vector, 4, 2)
#define HRM__TILES_6(X, name, target, vector) \
    HRM__TILES_4(X, name, target, vector) \
    X(name, target, vector, 5, 1) X(name, target, vector, 5, 2) X(name, target, vector, 6, 1) X(name, target, vector, 6, 2)
#define HRM__TILES_12(X, name, target, vector) \
    HRM__TILES_6(X, name, target, vector) \
    X(name, target, vector, 7, 1) X(name, target, vector, 7, 2) X(name, target, vector, 8, 1) X(name, target, vector, 8, 2) \
    X(name, target, vector, 9, 1) X(name, target, vector, 9, 2) X(name, target, vector, 10, 1) X(name, target, vector, 10, 2) \
    X(name, target, vector, 11, 1) X(name, target, vector, 11, 2) X(name, target, vector, 12, 1) X(name, target, vector, 12, 2)
#define HRM__TILES_14(X, name, target, vector) \
    HRM__TILES_12(X, name, target, vector) \
    X(name, target, vector, 13, 1) X(name, target, vector, 13, 2) X(name, target, vector, 14, 1) X(name, target, vector, 14, 2)
#define HRM__TILE_NAME(name, target, vector, MR_, NV_) name##_##MR_##_##NV_,
#define HRM__TILE_KERNEL(name, target, vector, tiles, mr, nr, chain) \
    tiles(HRM__TILE, name, target, vector) \
    static hrm__tile_fn *const name##_all[] = {tiles(HRM__TILE_NAME, name, target, vector)}; \
    static const hrm__gemm_kernel name = {mr, nr, chain, name##_all};

#if defined(__GNUC__)
    #define HRM__UNALIGNED         __attribute__((aligned(sizeof(hrm_real)), may_alias)) /* of any address, and any elements */
    #define HRM__PREFETCH(p)       __builtin_prefetch((p), 0, 2)
    #define HRM__PREFETCH_NEAR(p)  __builtin_prefetch((p))
    #define HRM__PREFETCH_WRITE(p) __builtin_prefetch((p), 1)
#else
    #define HRM__UNALIGNED
    #define HRM__PREFETCH(p)       ((void)0)
    #define HRM__PREFETCH_NEAR(p)  ((void)0)
    #define HRM__PREFETCH_WRITE(p) ((void)0)
#endif
/* SSE2, NEON, VSX or whatever is there; one element with wide floats, which compilers do not multiply a vector by. */
#if defined(__GNUC__) && !HRM__WIDE_FLOATS
typedef hrm_real hrm__v16 __attribute__((vector_size(16)));
#else
typedef hrm_real hrm__v16;
#endif

/* A product is rounded before it is added in all tiles of a kernel or in none. Left to GCC, its cost model decides tile by
 * tile: version 13, or any tuned for Zen, fuses none where a step has one sum alone, and all elsewhere. So it is spelled
 * out. */
#if defined(__GNUC__) && !defined(__clang__) && (defined(__i386__) || defined(__x86_64__) || defined(__aarch64__))
    #pragma GCC push_options
    #pragma GCC optimize("fp-contract=off")
    #define HRM__FUSING_OFF 1
#endif
#define HRM__FMA(c, b, a) c += (b) * (a)
HRM__TILE_KERNEL(hrm__tile_scalar, , hrm__v16, HRM__TILES_4, 4, 2 * sizeof(hrm__v16) / sizeof(hrm_real), 32)
#undef HRM__FMA
#if defined(HRM__FUSING_OFF)
    #pragma GCC pop_options
#endif
#if defined(HRM__X86)
    #define HRM__FMA(c, b, a) c = _mm256_fmadd_ps(b, _mm256_set1_ps(a), c)
HRM__TILE_KERNEL(hrm__tile_avx2, HRM__AVX2, __m256, HRM__TILES_6, 6, 16, (size_t)-1)
    #undef HRM__FMA
    #define HRM__FMA(c, b, a) c = _mm512_fmadd_ps(b, _mm512_set1_ps(a), c)
HRM__TILE_KERNEL(hrm__tile_avx512, HRM__AVX512, __m512, HRM__TILES_14, 14, 32, (size_t)-1)
#elif defined(HRM__NEON)
    /* GCC would load all of a step's A first, and for that keep four of the 24 sums on the stack. */
    #if !defined(__clang__)
        #pragma GCC push_options
        #pragma GCC optimize("no-schedule-insns")
    #endif
    #define HRM__FMA(c, b, a) c = vfmaq_f32(c, b, vdupq_n_f32(a))
HRM__TILE_KERNEL(hrm__tile_neon, , float32x4_t, HRM__TILES_12, 12, 8, (size_t)-1)
    #if !defined(__clang__)
        #pragma GCC pop_options
    #endif
#endif

static const hrm__gemm_kernel *hrm__gemm_kernel_get(void)
{
    const int isa = hrm__cpu();
#if defined(HRM__X86)
    if (isa >= HRM__CPU_AVX2) return isa >= HRM__CPU_AVX512 ? &hrm__tile_avx512 : &hrm__tile_avx2;
#elif defined(HRM__NEON)
    if (isa == HRM__CPU_NEON) return &hrm__tile_neon;
#endif
    (void)isa;
    return &hrm__tile_scalar;
}

/* from [rows,cols], rows ldf apart -> to [cols,rows], rows ldt apart */
#if defined(HRM__X86)
static HRM__AVX2 void hrm__transpose_8x8(hrm_real *to, size_t ldt, const hrm_real *from, size_t ldf)
{
    /* four columns at a time, four rows in one lane and four in the other */
    for (int part = 0; part < 2; part++, from += 4, to += 4 * ldt) {
        __m256 r[4];
        for (size_t i = 0; i < 4; i++) {
            __m128 high = _mm_loadu_ps(from + (i + 4) * ldf);
            r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from + i * ldf)), high, 1);
        }
        __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1])), b = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
        __m256d c = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1])), d = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
        _mm256_storeu_ps(to, _mm256_castpd_ps(_mm256_unpacklo_pd(a, b)));
        _mm256_storeu_ps(to + ldt, _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
        _mm256_storeu_ps(to + 2 * ldt, _mm256_castpd_ps(_mm256_unpacklo_pd(c, d)));
        _mm256_storeu_ps(to + 3 * ldt, _mm256_castpd_ps(_mm256_unpackhi_pd(c, d)));
    }
}
#endif

static void hrm__transpose(hrm_real *to, size_t ldt, const hrm_real *from, size_t ldf, size_t rows, size_t cols)
{
    const size_t piece = 8;
    for (size_t c = 0; c < cols; c += piece)
        for (size_t r = 0; r < rows; r += piece) {
            const size_t wide = cols - c < piece ? cols - c : piece, high = rows - r < piece ? rows - r : piece;
#if defined(HRM__X86)
            if (wide == piece && high == piece && hrm__cpu() >= HRM__CPU_AVX2) {
                hrm__transpose_8x8(to + c * ldt + r, ldt, from + r * ldf + c, ldf);
                continue;
            }
#endif
            for (size_t j = c; j < c + wide; j++)
                for (size_t i = r; i < r + high; i++) to[j * ldt + i] = from[i * ldf + j];
        }
}

/* Columns a panel is stored with when `left` columns remain: nr, or one vector. */
static size_t hrm__panel_width(size_t left, size_t nr) { return 2 * left <= nr ? nr / 2 : nr; }

/* src [rows,parts,cols] -> dst, where the parts lie `part` apart; the row lengths of full tiles and panels are constants, and
 * so a few moves each. */
#define HRM__COPY_CASE(n) \
    case n: \
        for (; rows > 0; rows--, dst += n, src += lds) { \
            for (i = 0; i < parts; i++) memcpy(dst + i * part, src + i * n, n * sizeof *dst); \
        } \
        break;
HRM__INLINE void hrm__copy_rows_body(hrm_real *dst, size_t part, const hrm_real *src, size_t lds, size_t rows, size_t parts,
                                     size_t cols)
{
    size_t i;
    switch (cols) {
        HRM__COPY_CASE(4)
        HRM__COPY_CASE(6) HRM__COPY_CASE(8) HRM__COPY_CASE(12) HRM__COPY_CASE(14) HRM__COPY_CASE(16) HRM__COPY_CASE(32) default
            : for (; rows > 0; rows--, dst += cols, src += lds) for (i = 0; i < parts; i++)
                  memcpy(dst + i * part, src + i * cols, cols * sizeof *dst);
    }
}
HRM__DISPATCH(hrm__copy_rows,
              (hrm_real * dst, size_t part, const hrm_real *src, size_t lds, size_t rows, size_t parts, size_t cols),
              (dst, part, src, lds, rows, parts, cols))

/* b [K,cols] with the strides b_k, b_col, one of which is 1 -> one panel [K,width], zeros in the columns past cols */
static void hrm__pack_panel(hrm_real *dst, const hrm_real *b, size_t b_k, size_t b_col, size_t K, size_t cols, size_t width)
{
    size_t k, j;
    if (b_col == 1 && cols == width) {
        hrm__copy_rows(dst, 0, b, b_k, K, 1, cols);
        return;
    }
    if (b_k == 1) hrm__transpose(dst, width, b, b_col, cols, K);
    for (k = 0; k < K; k++) {
        for (j = 0; j < cols && b_k != 1; j++) dst[k * width + j] = b[k * b_k + j * b_col];
        for (j = cols; j < width; j++) dst[k * width + j] = 0;
    }
}

/* Elements that hrm__pack needs for w [N,K], plain or transposed. */
static size_t hrm__pack_size(size_t N, size_t K)
{
    size_t plain = (N + HRM__GEMM_NR - 1) / HRM__GEMM_NR * HRM__GEMM_NR * K;
    size_t transposed = (K + HRM__GEMM_NR - 1) / HRM__GEMM_NR * HRM__GEMM_NR * N;
    return plain > transposed ? plain : transposed;
}

/* w [N,K] -> dst, the operand for y = x w^T (N columns, inner K), or if transposed for dx = dy w (K columns, inner N) */
static void hrm__pack(hrm_real *dst, const hrm_real *w, size_t N, size_t K, int transposed, const hrm__team *t)
{
    const size_t nr = hrm__gemm_kernel_get()->nr, cols = transposed ? K : N, inner = transposed ? N : K;
    size_t p, begin, end;
    hrm__team_range(t, (cols + nr - 1) / nr, 1, &begin, &end);
    for (p = begin; p < end; p++) {
        size_t left = cols - p * nr, width = hrm__panel_width(left, nr);
        if (left > width) left = width;
        if (transposed) hrm__pack_panel(dst + p * nr * inner, w + p * nr, K, 1, inner, left, width);
        else hrm__pack_panel(dst + p * nr * inner, w + p * nr * K, 1, K, inner, left, width);
    }
}

/* one tile into c [rows,cols], cols <= the panel's width; a narrower one goes through a buffer, so that nothing beyond c is
 * touched */
static void hrm__tile(const hrm__gemm_kernel *kernel, hrm_real *c, size_t ldc, const hrm_real *a, size_t a_row, size_t a_step,
                      const hrm_real *b, size_t K, size_t rows, size_t cols, hrm__tile_mode mode, const hrm__ahead *ahead)
{
    const size_t width = hrm__panel_width(cols, kernel->nr);
    hrm__tile_fn *tile = kernel->tiles[2 * rows - (width == kernel->nr ? 1 : 2)];
    hrm_real edge[HRM__GEMM_MR * HRM__GEMM_NR];
    size_t i, j;
    if (cols >= width) {
        tile(c, ldc, a, a_row, a_step, b, K, mode, ahead);
        return;
    }
    if (mode != HRM__TILE_SET)
        for (i = 0; i < rows; i++) {
            for (j = 0; j < cols; j++) edge[i * width + j] = c[i * ldc + j];
            for (; j < width; j++) edge[i * width + j] = 0;
        }
    tile(edge, width, a, a_row, a_step, b, K, mode, ahead);
    for (i = 0; i < rows; i++)
        for (j = 0; j < cols; j++) c[i * ldc + j] = edge[i * width + j];
}

/* Elements of scratch that each member of the team needs for either product, of any shape. */
static size_t hrm__gemm_scratch(void)
{
    return HRM__GEMM_BLOCK + (size_t)HRM__GEMM_KC * HRM__GEMM_NR; /* the second part also holds gemm_tn's strip of tiles */
}

/* bfloat16 [n] -> dst */
HRM__INLINE void hrm__expand_bf16_body(hrm_real *dst, const uint16_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)src[i] << 16;
        float v;
        memcpy(&v, &bits, sizeof v);
        dst[i] = (hrm_real)v;
    }
}
HRM__DISPATCH(hrm__expand_bf16, (hrm_real *dst, const uint16_t *src, size_t n), (dst, src, n))

/* This member's rows m0 to m1 - 1 and panels p0 to p1 - 1 of a product [M,N]: the team shares the rows, or the columns where
 * that leaves the busiest member less to do. */
static void hrm__split_product(const hrm__team *t, size_t M, size_t N, size_t mr, size_t nr, size_t *m0, size_t *m1, size_t *p0,
                               size_t *p1)
{
    const size_t tiles = (M + mr - 1) / mr, panels = (N + nr - 1) / nr, size = (size_t)t->size;
    *m0 = *p0 = 0, *m1 = tiles, *p1 = panels;
    if ((tiles + size - 1) / size * panels <= (panels + size - 1) / size * tiles) hrm__team_range(t, tiles, 1, m0, m1);
    else hrm__team_range(t, panels, 1, p0, p1);
    *m0 *= mr;
    *m1 = *m1 * mr < M ? *m1 * mr : M;
}

/* a [M,K] rows lda apart, packed operand of N columns -> c [M,N] rows ldc apart, assigned or accumulated; packed16 instead of
 * packed: an operand in bfloat16, expanded block by block. scratch: this member's own */
static void hrm__gemm_either(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const hrm_real *packed,
                             const uint16_t *packed16, size_t M, size_t N, size_t K, int accumulate, hrm_real *scratch,
                             const hrm__team *t)
{
    const hrm__gemm_kernel *kernel = hrm__gemm_kernel_get();
    const size_t mr = kernel->mr, nr = kernel->nr;
    const size_t inner = kernel->chain < HRM__GEMM_KC ? kernel->chain : HRM__GEMM_KC;
    const hrm__tile_mode more = inner < kernel->chain ? HRM__TILE_CONTINUE : HRM__TILE_ADD;
    const int copy = lda * sizeof *a % 2048 == 0 && lda * sizeof *a > 2048;
    size_t m0, m1, p0, p1, i, k, p, m, mc, kc;
    hrm__split_product(t, M, N, mr, nr, &m0, &m1, &p0, &p1);
    for (m = m0; m < m1 && p0 < p1; m += mc) {
        kc = K < inner ? K : inner;
        mc = HRM__GEMM_BLOCK / (kc + 16) / mr * mr;
        if (mc > m1 - m) mc = m1 - m;
        for (k = 0; k < K; k += kc) {
            const hrm_real *block = a + m * lda + k;
            size_t stride = lda;
            kc = K - k < inner ? K - k : inner;
            if (copy) {
                stride = kc + 16;
                for (i = 0; i < mc; i++) memcpy(scratch + i * stride, block + i * lda, kc * sizeof *a);
                block = scratch;
            }
            for (p = p0; p < p1; p++) {
                size_t cols = N - p * nr < nr ? N - p * nr : nr;
                const size_t width = hrm__panel_width(cols, nr), at = p * nr * K + k * width;
                const hrm_real *b = packed16 ? scratch + HRM__GEMM_BLOCK : packed + at;
                if (packed16) hrm__expand_bf16(scratch + HRM__GEMM_BLOCK, packed16 + at, kc * width);
                for (i = 0; i < mc; i += mr) {
                    /* the first panel warms the next rows of A, the first two tiles the next panel of B */
                    hrm__ahead ahead = {block + i * stride, b, HRM__LINE};
                    if (p == p0 && stride == kc) ahead.a += mr * stride;
                    if (p + 1 < p1 && i < 2 * mr && !packed16) ahead.b += nr * K + i / mr * kc * HRM__LINE;
                    if (p + 1 < p1 && i == 0 && packed16) ahead.b = (const hrm_real *)(const void *)(packed16 + at + nr * K);
                    hrm__tile(kernel, c + (m + i) * ldc + p * nr, ldc, block + i * stride, stride, 1, b, kc,
                              mc - i < mr ? mc - i : mr, cols, accumulate || k > 0 ? more : HRM__TILE_SET, &ahead);
                }
            }
        }
    }
}

static void hrm__gemm(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const hrm_real *packed, size_t M, size_t N,
                      size_t K, int accumulate, hrm_real *scratch, const hrm__team *t)
{
    hrm__gemm_either(c, ldc, a, lda, packed, NULL, M, N, K, accumulate, scratch, t);
}

/* a [M,N], b [M,K] -> c [N,K] = a^T b, or += when it accumulates. The sums run over blocks of MC rows, so M may be long without
 * losing precision */
static void hrm__gemm_tn(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const hrm_real *b, size_t ldb, size_t M,
                         size_t N, size_t K, int accumulate, hrm_real *scratch, const hrm__team *t)
{
    const hrm__gemm_kernel *kernel = hrm__gemm_kernel_get();
    const size_t mr = kernel->mr, nr = kernel->nr, tiles = (N + mr - 1) / mr, panels = (K + nr - 1) / nr;
    size_t rows = (size_t)t->size, columns, g, best = (size_t)-1, n0, n1, p0, p1, q, m, mc, p, n, most, blocks, group;
    hrm_real *strip = scratch + HRM__GEMM_BLOCK;
    const hrm_real *next = a;
    /* the team as a grid over c, the one that leaves each member the shortest edges to pack */
    for (g = 1; g <= (size_t)t->size; g++)
        if ((size_t)t->size % g == 0) {
            size_t high = (tiles + g - 1) / g * mr, wide = (panels + (size_t)t->size / g - 1) / ((size_t)t->size / g) * nr;
            size_t cost = high * wide * 16 + (high + wide) * 64;
            if (cost < best) best = cost, rows = g;
        }
    columns = (size_t)t->size / rows;
    {
        hrm__team row = *t, column = *t;
        row.id = t->id / (int)columns, row.size = (int)rows;
        column.id = t->id % (int)columns, column.size = (int)columns;
        hrm__team_range(&row, tiles, 1, &n0, &n1);
        hrm__team_range(&column, panels, 1, &p0, &p1);
    }
    n1 = n1 * mr < N ? n1 * mr : N;
    most = HRM__GEMM_BLOCK / HRM__GEMM_MC / nr; /* panels a block has room for; the blocks have equally many */
    blocks = (p1 - p0 + most - 1) / most;
    group = blocks ? (p1 - p0 + blocks - 1) / blocks : 0;
    for (; p0 < p1; p0 = q) {
        q = p0 + group < p1 ? p0 + group : p1;
        for (m = 0; m < M; m += mc) {
            mc = M - m < HRM__GEMM_MC ? M - m : HRM__GEMM_MC;
            for (p = p0; p < q; p++) {
                size_t cols = K - p * nr < nr ? K - p * nr : nr;
                hrm__pack_panel(scratch + (p - p0) * nr * mc, b + m * ldb + p * nr, ldb, 1, mc, cols,
                                hrm__panel_width(cols, nr));
            }
            for (n = n0 * mr; n < n1; n += mr) {
                const size_t turn = (n / mr - n0) % HRM__GEMM_STRIP, high = n1 - n < mr ? n1 - n : mr;
                const hrm_real *tile = strip + turn * mc * mr;
                if (turn == 0) { /* a few tiles together, since they share cache lines of A; a lower one is the last */
                    const size_t after = n + HRM__GEMM_STRIP * mr;
                    next = after < n1 ? a + m * lda + after : m + mc < M ? a + (m + mc) * lda + n0 * mr : NULL;
                    const size_t full = (n1 - n) / mr < HRM__GEMM_STRIP ? (n1 - n) / mr : HRM__GEMM_STRIP;
                    hrm__copy_rows(strip, mc * mr, a + m * lda + n, lda, mc, full, mr);
                    if (full < HRM__GEMM_STRIP && n + full * mr < n1)
                        hrm__copy_rows(strip + full * mc * mr, 0, a + m * lda + n + full * mr, lda, mc, 1, n1 - n - full * mr);
                }
                for (p = p0; p < q; p++) {
                    size_t cols = K - p * nr < nr ? K - p * nr : nr;
                    const size_t line = turn * (q - p0) + p - p0;
                    hrm__ahead ahead = {tile, tile, HRM__LINE};
                    /* the strip after this one, a line of each row with each tile; rows begin and end within lines */
                    if (next && line <= HRM__GEMM_STRIP * mr / HRM__LINE + 1)
                        ahead.a = next + line * HRM__LINE, ahead.step = lda;
                    /* the next rows of B, a part with each tile */
                    if (p == p0 && m + 2 * mc <= M && ldb == K) ahead.b = b + (m + mc) * ldb + (n / mr - n0) * mc * HRM__LINE;
                    hrm__tile(kernel, c + n * ldc + p * nr, ldc, tile, 1, high, scratch + (p - p0) * nr * mc, mc, high, cols,
                              accumulate || m > 0 ? HRM__TILE_ADD : HRM__TILE_SET, &ahead);
                }
            }
        }
    }
}
HRM__FAST_END

/* ---- weights in bfloat16 or in bytes, for solving ------------------------------------------------------------ >>quantized --
 *   y_ij = sa_i sw_j sum_k qa_ik qw_jk        qw = round(w / sw) within +-127, sw_j = max_k |w_jk| / 127; qa, sa alike, row by
 *   row
 *
 * The sum is of integers and so the same in any order: with VNNI and AMX by products of bytes, with AVX2 and in WebAssembly of
 * 16 bits, elsewhere in floats, which are exact while a block's sum stays below 2^24. A panel is nr columns; four consecutive k
 * of a column lie together. After the panels: sw [N], then the columns' sums [N], for VNNI wants one operand unsigned and gets
 * qa + 128.
 *
 * bfloat16: with AVX-512 BF16 and AMX by products of pairs, two consecutive k of a column together, x rounded too; elsewhere
 * weights alone are, and become floats again block by block.
 *
 * AMX multiplies tiles of 16 rows and 64 bytes of k; a group of a panel is 128 bytes either way, so two tiles side by side.
 */
#define HRM__BYTE_ROWS 112 /* rows of a quantized together */
#define HRM__BYTE_NR   32
#define HRM__BYTE_MR   14
#define HRM__BYTE_KC   512 /* 512 * 127 * 127 < 2^24 */

/* q, rows `row` apart, one panel -> c [rows,HRM__BYTE_NR], rows ldc apart, of integers or floats. Rows up to the kernel's mr
 * are read and written whatever `rows` says; by AMX up to a multiple of 16. wide: q's bytes take 16 bits each. */
typedef void hrm__quantized_fn(void *c, size_t ldc, const void *q, size_t row, const void *panel, size_t groups, size_t rows);
typedef struct hrm__quantized_kernel { size_t mr, wide; hrm__quantized_fn *tile; } hrm__quantized_kernel;

#if defined(HRM__X86)
HRM__INLINE int hrm__four_bytes(const void *p)
{
    int four;
    memcpy(&four, p, sizeof four);
    return four;
}

/* The tile of hrm__gemm, four bytes or two bfloat16 a step, EACH elements of q. Two vectors hold SPAN bytes of a panel's group;
 * the columns come in as many parts. */
#define HRM__QUANTIZED_TILE(name, target, vector, Q, EACH, MR_, SPAN, LOAD, ADD, STORE) \
    static target void name(void *c, size_t ldc, const void *q, size_t row, const void *panel, size_t groups, size_t rows) \
    { \
        typedef vector V; \
        enum { MR = MR_ }; \
        (void)rows; \
        for (size_t part = 0; part < 128; part += SPAN) { \
            const Q *p0 = (const Q *)q, *p3 = p0 + 3 * row, *p6 = p0 + 6 * row, *p9 = p0 + 9 * row, *p12 = p0 + 12 * row; \
            const char *at = (const char *)panel + part; \
            int32_t *to = (int32_t *)c + part / 4; \
            HRM__ROWS(HRM__ROW_ZERO) \
            for (size_t g = 0; g < groups; g++, at += 128, p0 += EACH, p3 += EACH, p6 += EACH, p9 += EACH, p12 += EACH) { \
                V b0 = LOAD(at), b1 = LOAD(at + SPAN / 2), a; \
                HRM__PREFETCH(at + 128 * groups); /* the next panel, for which the first tile pays */ \
                if (SPAN > 64) HRM__PREFETCH(at + 128 * groups + 64); \
                HRM__ROWS(ADD) \
            } \
            HRM__ROWS(STORE) \
        } \
    }
#define HRM__QUANTIZED_STORE(r, p, s) \
    if (r < MR) { \
        memcpy(to + r * ldc, &c##r, sizeof c##r); \
        memcpy(to + r * ldc + sizeof c##r / 4, &d##r, sizeof d##r); \
    }

#define HRM__LOAD_512(at) _mm512_loadu_si512(at)
#define HRM__LOAD_256(at) _mm256_loadu_si256((const __m256i *)(const void *)(at))
#define HRM__LOAD_WIDE(at) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(at)))
#define HRM__VNNI_ADD(r, p, s) \
    a = _mm512_set1_epi32(hrm__four_bytes(p + s * row)); \
    c##r = _mm512_dpbusd_epi32(c##r, a, b0); \
    d##r = _mm512_dpbusd_epi32(d##r, a, b1);
HRM__QUANTIZED_TILE(hrm__tile_vnni, HRM__VNNI, __m512i, uint8_t, 4, 14, 128, HRM__LOAD_512, HRM__VNNI_ADD,
                    HRM__QUANTIZED_STORE)

/* Four columns a vector, two sums each, which are added at the end. */
#define HRM__WIDE_ADD(r, p, s) \
    if (r < MR) { \
        int64_t four; \
        memcpy(&four, p + s * row, 8); \
        a = _mm256_set1_epi64x(four); \
        c##r = _mm256_add_epi32(c##r, _mm256_madd_epi16(a, b0)); \
        d##r = _mm256_add_epi32(d##r, _mm256_madd_epi16(a, b1)); \
        __asm__ volatile("" : "+x"(c##r), "+x"(d##r)); /* row by row: together they outgrow the registers */ \
    }
#define HRM__WIDE_STORE(r, p, s) \
    if (r < MR) { \
        c##r = _mm256_permute4x64_epi64(_mm256_hadd_epi32(c##r, d##r), 0xd8); \
        memcpy(to + r * ldc, &c##r, sizeof c##r); \
    }
HRM__QUANTIZED_TILE(hrm__tile_wide, HRM__AVX2, __m256i, int16_t, 4, 6, 32, HRM__LOAD_WIDE, HRM__WIDE_ADD, HRM__WIDE_STORE)

#if defined(HRM__AVXVNNI)
#define HRM__AVXVNNI_ADD(r, p, s) \
    if (r < MR) { \
        a = _mm256_set1_epi32(hrm__four_bytes(p + s * row)); \
        c##r = _mm256_dpbusd_avx_epi32(c##r, a, b0); \
        d##r = _mm256_dpbusd_avx_epi32(d##r, a, b1); \
    }
HRM__QUANTIZED_TILE(hrm__tile_avxvnni, HRM__AVXVNNI, __m256i, uint8_t, 4, 6, 64, HRM__LOAD_256, HRM__AVXVNNI_ADD,
                    HRM__QUANTIZED_STORE)
#endif

#if defined(HRM__BF16)
#if defined(__clang__) && __clang_major__ >= 16 && __clang_major__ < 19
    #define HRM__BF16_HIDE(a) __asm__("" : "+v"(a)) /* clang 16 follows casts of a repeated element until its stack is full */
#else
    #define HRM__BF16_HIDE(a) (void)0
#endif
#define HRM__BF16_ADD(r, p, s) \
    a = _mm512_set1_epi32(hrm__four_bytes(p + s * row)); \
    HRM__BF16_HIDE(a); \
    c##r = (__m512i)_mm512_dpbf16_ps((__m512)c##r, (__m512bh)a, (__m512bh)b0); \
    d##r = (__m512i)_mm512_dpbf16_ps((__m512)d##r, (__m512bh)a, (__m512bh)b1);
HRM__QUANTIZED_TILE(hrm__tile_bf16, HRM__BF16, __m512i, uint16_t, 2, 14, 128, HRM__LOAD_512, HRM__BF16_ADD,
                    HRM__QUANTIZED_STORE)

HRM__FAST_BEGIN
static HRM__AVX512 void hrm__round_row(uint16_t *q, const hrm_real *x, size_t K, size_t row)
{
    /* x [K] -> q [row] in bfloat16 */
    for (size_t k = 0; k < K; k++) q[k] = hrm__f32_to_bf16((float)x[k]);
    for (size_t k = K; k < row; k++) q[k] = 0;
}
HRM__FAST_END
#endif

#if defined(HRM__AMX)
/* Two tiles of rows by two of columns; their sums are 0 to 3. Compilers do not know that a tile is loaded from memory. */
#define HRM__AMX_TILE(name, multiply, size) \
    static HRM__AMX void name(void *c, size_t ldc, const void *q, size_t row, const void *panel, size_t groups, size_t rows) \
    { \
        const char *a = (const char *)q, *b = (const char *)panel; \
        const size_t next = row * size, to = ldc * 4, ahead = groups * 128; \
        __asm__ volatile("" ::: "memory"); \
        _tile_zero(0); \
        _tile_zero(1); \
        _tile_zero(2); \
        _tile_zero(3); \
        for (; groups > 0; groups -= 16, a += 64, b += 16 * 128) { \
            _tile_loadd(4, a, next); \
            _tile_loadd(6, b, 128); \
            _tile_loadd(7, b + 64, 128); \
            for (size_t l = 0; l < 32; l++) HRM__PREFETCH(b + ahead + 64 * l); /* the next panel */ \
            multiply(0, 4, 6); \
            multiply(1, 4, 7); \
            if (rows <= 16) continue; \
            _tile_loadd(5, a + 16 * next, next); \
            multiply(2, 5, 6); \
            multiply(3, 5, 7); \
        } \
        _tile_stored(0, c, to); \
        _tile_stored(1, (char *)c + 64, to); \
        if (rows <= 16) return; \
        _tile_stored(2, (char *)c + 16 * to, to); \
        _tile_stored(3, (char *)c + 16 * to + 64, to); \
    }
HRM__AMX_TILE(hrm__tile_amx, _tile_dpbusd, 1)
HRM__AMX_TILE(hrm__tile_amx_bf16, _tile_dpbf16ps, 2)

static HRM__AMX void hrm__amx_set(int on)
{
    static const struct { uint8_t palette, rest[15]; uint16_t columns[16]; uint8_t rows[16]; } shape = {
        1, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    if (on) _tile_loadconfig(&shape);
    else _tile_release();
}
#endif
#endif

#if defined(HRM__WASM)
/* Four rows, four columns at a time. A vector holds four k of two columns; the sums of their first and their last two are added
 * at the end. */
#define HRM__WASM_ADD(r) \
    a = wasm_v128_load64_splat(p + r * row); \
    c##r = wasm_i32x4_add(c##r, wasm_i32x4_dot_i16x8(a, b0)); \
    d##r = wasm_i32x4_add(d##r, wasm_i32x4_dot_i16x8(a, b1));
#define HRM__WASM_STORE(r) \
    wasm_v128_store((int32_t *)c + r * ldc + j, wasm_i32x4_add(wasm_i32x4_shuffle(c##r, d##r, 0, 2, 4, 6), \
                                                                wasm_i32x4_shuffle(c##r, d##r, 1, 3, 5, 7)));
static void hrm__tile_wasm(void *c, size_t ldc, const void *q, size_t row, const void *panel, size_t groups, size_t rows)
{
    (void)rows;
    for (size_t j = 0; j < HRM__BYTE_NR; j += 4) {
        v128_t c0 = wasm_i32x4_splat(0), c1 = c0, c2 = c0, c3 = c0, d0 = c0, d1 = c0, d2 = c0, d3 = c0;
        const int16_t *p = (const int16_t *)q;
        const int8_t *at = (const int8_t *)panel + 4 * j;
        for (size_t g = 0; g < groups; g++, at += 4 * HRM__BYTE_NR, p += 4) {
            v128_t b0 = wasm_i16x8_load8x8(at), b1 = wasm_i16x8_load8x8(at + 8), a;
            HRM__WASM_ADD(0) HRM__WASM_ADD(1) HRM__WASM_ADD(2) HRM__WASM_ADD(3)
        }
        HRM__WASM_STORE(0) HRM__WASM_STORE(1) HRM__WASM_STORE(2) HRM__WASM_STORE(3)
    }
}
#endif

/* Of bytes, or of pairs of bfloat16; without a tile where products of floats take their place. */
static hrm__quantized_kernel hrm__quantized_kernel_get(int pairs)
{
    hrm__quantized_kernel kernel = {HRM__BYTE_MR, 0, NULL};
#if defined(HRM__WASM)
    if (!pairs) kernel.mr = 4, kernel.wide = 1, kernel.tile = hrm__tile_wasm;
#elif defined(HRM__X86)
    const int isa = hrm__cpu();
    #if defined(HRM__AMX)
    if (isa == HRM__CPU_AMX) kernel.mr = 32, kernel.tile = pairs ? hrm__tile_amx_bf16 : hrm__tile_amx;
    #endif
    #if defined(HRM__BF16)
    if (isa == HRM__CPU_AVX512 && pairs && hrm__cpu_has(HRM__CPU_BF16)) kernel.tile = hrm__tile_bf16;
    #endif
    if (isa == HRM__CPU_AVX512 && !pairs && hrm__cpu_has(HRM__CPU_VNNI)) kernel.tile = hrm__tile_vnni;
    if (isa == HRM__CPU_AVX2 && !pairs) kernel.mr = 6, kernel.wide = 1, kernel.tile = hrm__tile_wide;
    #if defined(HRM__AVXVNNI)
    if (isa == HRM__CPU_AVXVNNI && !pairs) kernel.mr = 6, kernel.tile = hrm__tile_avxvnni;
    #endif
#endif
    (void)pairs;
    return kernel;
}

/* Around products: AMX's tiles get their shape, and are off again, since the system would save what is in use with a thread. */
static void hrm__quantized_tiles(int on)
{
#if defined(HRM__AMX)
    if (hrm__cpu() == HRM__CPU_AMX) hrm__amx_set(on);
#endif
    (void)on;
}

/* Elements of `size` bytes that K of them become, filled up with zeros to groups of four bytes, or to whole tiles */
static size_t hrm__quantized_row(size_t K, size_t size)
{
    const size_t unit = (hrm__cpu() == HRM__CPU_AMX ? 64 : 4) / size;
    return (K + unit - 1) / unit * unit;
}

typedef struct hrm__bytes { int8_t *panels; float *scales; int32_t *sums; size_t groups; } hrm__bytes; /* groups: of four k */

static size_t hrm__plan_bytes(size_t N, size_t K, void *base, hrm__bytes *b)
{
    /* -> bytes */
    size_t panels = (N + HRM__BYTE_NR - 1) / HRM__BYTE_NR, groups = hrm__quantized_row(K, 1) / 4,
           weights = panels * groups * 4 * HRM__BYTE_NR;
    b->groups = groups;
    b->panels = (int8_t *)base;
    b->scales = NULL, b->sums = NULL;
    if (base) b->scales = (float *)(void *)((char *)base + weights);
    if (base) b->sums = (int32_t *)(void *)((char *)base + weights + panels * HRM__BYTE_NR * sizeof(float));
    return weights + panels * HRM__BYTE_NR * (sizeof(float) + sizeof(int32_t));
}

/* Elements that hrm__pack_bf16 needs for w [N,K]. */
static size_t hrm__bf16_size(size_t N, size_t K)
{
    size_t columns = (N + HRM__BYTE_NR - 1) / HRM__BYTE_NR * HRM__BYTE_NR, pairs = columns * hrm__quantized_row(K, 2),
           plain = hrm__pack_size(N, K);
    return pairs > plain ? pairs : plain;
}

/* w [N,K] -> packed, each member its panels: in bfloat16 laid out as hrm__pack does, or with two consecutive k of a column
 * together where the processor multiplies pairs */
static void hrm__pack_bf16(uint16_t *dst, const hrm_real *w, size_t N, size_t K, const hrm__team *t)
{
    const size_t each = hrm__quantized_kernel_get(1).tile ? 2 : 1, nr = each == 2 ? HRM__BYTE_NR : hrm__gemm_kernel_get()->nr,
                 long_K = each == 2 ? hrm__quantized_row(K, 2) : K;
    size_t begin, end;
    hrm__team_range(t, (N + nr - 1) / nr, 1, &begin, &end);
    for (size_t p = begin; p < end; p++) {
        size_t width = each == 2 ? nr : hrm__panel_width(N - p * nr, nr);
        for (size_t k = 0; k < long_K; k++)
            for (size_t j = 0; j < width; j++) {
                int there = p * nr + j < N && k < K;
                dst[p * nr * long_K + k / each * each * width + j * each + k % each] =
                    there ? hrm__f32_to_bf16((float)w[(p * nr + j) * K + k]) : 0;
            }
    }
}

static void hrm__pack_bytes(void *packed, const hrm_real *w, size_t N, size_t K, const hrm__team *t)
{
    hrm__bytes b;
    size_t begin, end;
    hrm__plan_bytes(N, K, packed, &b);
    hrm__team_range(t, (N + HRM__BYTE_NR - 1) / HRM__BYTE_NR, 1, &begin, &end);
    for (size_t j = begin * HRM__BYTE_NR; j < end * HRM__BYTE_NR; j++) {
        int8_t *column = b.panels + j / HRM__BYTE_NR * HRM__BYTE_NR * 4 * b.groups + j % HRM__BYTE_NR * 4;
        float top = 0;
        int32_t sum = 0;
        for (size_t k = 0; j < N && k < K; k++)
            top = (float)fabs((double)w[j * K + k]) > top ? (float)fabs((double)w[j * K + k]) : top;
        b.scales[j] = top / 127;
        for (size_t k = 0; k < b.groups * 4; k++) {
            int q = j < N && k < K && top > 0 ? (int)floor((double)w[j * K + k] * 127 / (double)top + 0.5) : 0;
            column[k / 4 * 4 * HRM__BYTE_NR + k % 4] = (int8_t)q;
            sum += q;
        }
        b.sums[j] = sum;
    }
}

HRM__FAST_BEGIN
HRM__INLINE void hrm__quantize_row_body(uint8_t *q, float *scale, const hrm_real *x, size_t K, size_t row)
{
    /* x [K] -> q [row] = 128 + round(x / scale) */
    int32_t top = 0, bits;
    float most, inverse, v;
    for (size_t k = 0; k < K; k++) {
        v = (float)x[k];
        memcpy(&bits, &v, sizeof bits);
        bits &= 0x7fffffff;
        top = bits > top ? bits : top; /* in order as integers, and NaN above all */
    }
    memcpy(&most, &top, sizeof most);
    inverse = top == 0 ? 0 : 127 / most;
    *scale = most / 127;
    for (size_t k = 0; k < K; k++) {
        v = (float)x[k] * inverse + 12582912.0f; /* 1.5*2^23: the low mantissa bits are the rounded integer */
        memcpy(&bits, &v, sizeof bits);
        q[k] = (uint8_t)((bits & 255) ^ 128);
    }
    for (size_t k = K; k < row; k++) q[k] = 128;
}
HRM__DISPATCH(hrm__quantize_row, (uint8_t *q, float *scale, const hrm_real *x, size_t K, size_t row),
              (q, scale, x, K, row))

HRM__INLINE void hrm__widen_rows_body(int16_t *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++) dst[i] = src[i];
}
HRM__DISPATCH(hrm__widen_rows, (int16_t *dst, const uint8_t *src, size_t n), (dst, src, n))

HRM__INLINE void hrm__bytes_out_body(hrm_real *c, size_t ldc, const int32_t *sums, const float *row_scales, const float *scales,
                                     const int32_t *offsets, size_t rows, size_t cols)
{
    /* sums [rows,nr] of (128 + qa) qw -> c [rows,cols]; offsets: the columns' sums */
    for (size_t i = 0; i < rows; i++, c += ldc, sums += HRM__BYTE_NR)
        for (size_t j = 0; j < cols; j++) c[j] = (hrm_real)((float)(sums[j] - 128 * offsets[j]) * (row_scales[i] * scales[j]));
}
HRM__DISPATCH(hrm__bytes_out,
              (hrm_real * c, size_t ldc, const int32_t *sums, const float *row_scales, const float *scales,
               const int32_t *offsets, size_t rows, size_t cols),
              (c, ldc, sums, row_scales, scales, offsets, rows, cols))

HRM__INLINE void hrm__expand_panel_body(hrm_real *dst, const int8_t *src, size_t groups, size_t nr, size_t part)
{
    /* groups of four k of one panel -> [4 groups,nr], its `part`-th nr columns */
    for (size_t g = 0; g < groups; g++, src += 4 * HRM__BYTE_NR, dst += 4 * nr)
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < nr; j++) dst[i * nr + j] = (hrm_real)src[(part * nr + j) * 4 + i];
}
HRM__DISPATCH(hrm__expand_panel, (hrm_real * dst, const int8_t *src, size_t groups, size_t nr, size_t part),
              (dst, src, groups, nr, part))

HRM__INLINE void hrm__expand_rows_body(hrm_real *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++) dst[i] = (hrm_real)((int)src[i] - 128);
}
HRM__DISPATCH(hrm__expand_rows, (hrm_real *dst, const uint8_t *src, size_t n), (dst, src, n))

HRM__INLINE void hrm__add_sums_body(int32_t *sums, const hrm_real *x, size_t rows, size_t nr)
{
    for (size_t i = 0; i < rows; i++, sums += HRM__BYTE_NR, x += nr)
        for (size_t j = 0; j < nr; j++) sums[j] += (int32_t)x[j];
}
HRM__DISPATCH(hrm__add_sums, (int32_t *sums, const hrm_real *x, size_t rows, size_t nr), (sums, x, rows, nr))

static void hrm__bytes_tiles(int32_t *sums, const hrm_real *a, size_t row, const int8_t *panel, const int32_t *offsets,
                             size_t rows, size_t groups, hrm_real *b)
{
    /* a [rows] `row` apart, qa as floats, one panel -> sums [rows,HRM__BYTE_NR], through the float tiles; b: for a block of the
     * panel */
    const hrm__gemm_kernel *kernel = hrm__gemm_kernel_get();
    hrm_real tile[HRM__GEMM_MR * HRM__GEMM_NR];
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < HRM__BYTE_NR; j++) sums[i * HRM__BYTE_NR + j] = 128 * offsets[j];
    for (size_t g = 0; g < groups; g += HRM__BYTE_KC / 4) {
        size_t some = groups - g < HRM__BYTE_KC / 4 ? groups - g : HRM__BYTE_KC / 4;
        for (size_t part = 0; part < HRM__BYTE_NR / kernel->nr; part++) {
            hrm__expand_panel(b, panel + g * 4 * HRM__BYTE_NR, some, kernel->nr, part);
            for (size_t i = 0; i < rows; i += kernel->mr) {
                size_t high = rows - i < kernel->mr ? rows - i : kernel->mr;
                hrm__ahead ahead = {a, b, HRM__LINE};
                hrm__tile(kernel, tile, kernel->nr, a + i * row + 4 * g, row, 1, b, 4 * some, high, kernel->nr, HRM__TILE_SET,
                          &ahead);
                hrm__add_sums(sums + i * HRM__BYTE_NR + part * kernel->nr, tile, high, kernel->nr);
            }
        }
    }
}
HRM__FAST_END

/* Elements of scratch that hrm__gemm_bf16 needs where pairs are multiplied; elsewhere it needs what hrm__gemm does. */
static size_t hrm__bf16_scratch(size_t K)
{
    return (HRM__BYTE_ROWS + HRM__BYTE_MR) * hrm__quantized_row(K, 2) * sizeof(uint16_t) / sizeof(hrm_real) + 1;
}

/* a [M,K] rows lda apart, packed bfloat16 of N columns -> c [M,N] rows ldc apart. Where the processor multiplies bfloat16, a is
 * rounded to it too, as on a GPU; elsewhere weights alone are. */
static void hrm__gemm_bf16(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const uint16_t *packed, size_t M, size_t N,
                           size_t K, hrm_real *scratch, const hrm__team *t)
{
#if defined(HRM__BF16)
    const hrm__quantized_kernel kernel = hrm__quantized_kernel_get(1);
    if (kernel.tile) {
        const size_t row = hrm__quantized_row(K, 2);
        size_t m0, m1, p0, p1;
        uint16_t *q = (uint16_t *)(void *)scratch;
        hrm_real edge[32 * HRM__BYTE_NR];
        hrm__split_product(t, M, N, kernel.mr, HRM__BYTE_NR, &m0, &m1, &p0, &p1);
        hrm__quantized_tiles(1);
        for (size_t m = m0; m < m1 && p0 < p1; m += HRM__BYTE_ROWS) {
            size_t rows = m1 - m < HRM__BYTE_ROWS ? m1 - m : HRM__BYTE_ROWS;
            for (size_t i = 0; i < rows; i++) hrm__round_row(q + i * row, a + (m + i) * lda, K, row);
            for (size_t p = p0; p < p1; p++) {
                size_t first = p * HRM__BYTE_NR, cols = N - first < HRM__BYTE_NR ? N - first : HRM__BYTE_NR;
                const uint16_t *panel = packed + first * row;
                for (size_t i = 0; i < rows; i += kernel.mr) {
                    hrm_real *to = c + (m + i) * ldc + first;
                    size_t high = rows - i < kernel.mr ? rows - i : kernel.mr;
                    if (high == kernel.mr && cols == HRM__BYTE_NR) {
                        kernel.tile(to, ldc, q + i * row, row, panel, row / 2, high);
                        continue;
                    }
                    /* whatever stands behind the rows is dropped */
                    kernel.tile(edge, HRM__BYTE_NR, q + i * row, row, panel, row / 2, high);
                    for (size_t r = 0; r < high; r++) memcpy(to + r * ldc, edge + r * HRM__BYTE_NR, cols * sizeof *to);
                }
            }
        }
        hrm__quantized_tiles(0);
        return;
    }
#endif
    hrm__gemm_either(c, ldc, a, lda, NULL, packed, M, N, K, 0, scratch, t);
}

/* What each member needs: a quantized [.,K], as bytes or as floats; its scales; a panel's sums; a block of a panel in
 * floats. */
typedef struct hrm__bytes_space { uint8_t *q; hrm_real *a, *b; float *scales; int32_t *sums; } hrm__bytes_space;

static size_t hrm__bytes_scratch(size_t K, hrm_real *base, hrm__bytes_space *space)
{
    /* -> elements */
    size_t row = hrm__quantized_row(K, 1), used = 0;
    size_t sizes[] = {(HRM__BYTE_ROWS + HRM__BYTE_MR) * row, HRM__BYTE_ROWS * row * sizeof(hrm_real),
                      HRM__BYTE_NR * HRM__BYTE_KC * sizeof(hrm_real), HRM__BYTE_ROWS * sizeof(float),
                      (HRM__BYTE_ROWS + HRM__BYTE_MR) * HRM__BYTE_NR * sizeof(int32_t)};
    void *parts[HRM__COUNT(sizes)];
    for (size_t i = 0; i < HRM__COUNT(sizes); i++) {
        parts[i] = base ? (char *)base + used : NULL;
        used += hrm__align(sizes[i]);
    }
    space->q = (uint8_t *)parts[0], space->a = (hrm_real *)parts[1], space->b = (hrm_real *)parts[2];
    space->scales = (float *)parts[3], space->sums = (int32_t *)parts[4];
    return used / sizeof(hrm_real) + 1;
}

/* a [M,K] rows lda apart, packed bytes of N columns -> c [M,N] rows ldc apart */
static void hrm__gemm_bytes(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const void *packed, size_t M, size_t N,
                            size_t K, hrm_real *scratch, const hrm__team *t)
{
    hrm__bytes b;
    const size_t row = hrm__quantized_row(K, 1);
    const hrm__quantized_kernel kernel = hrm__quantized_kernel_get(0);
    size_t m0, m1, p0, p1;
    hrm__bytes_space s;
    hrm__bytes_scratch(K, scratch, &s);
    hrm__plan_bytes(N, K, (void *)(uintptr_t)packed, &b);
    hrm__split_product(t, M, N, kernel.mr, HRM__BYTE_NR, &m0, &m1, &p0, &p1);
    hrm__quantized_tiles(1);
    for (size_t m = m0; m < m1 && p0 < p1; m += HRM__BYTE_ROWS) {
        size_t rows = m1 - m < HRM__BYTE_ROWS ? m1 - m : HRM__BYTE_ROWS;
        for (size_t i = 0; i < rows; i++) hrm__quantize_row(s.q + i * row, s.scales + i, a + (m + i) * lda, K, row);
        if (!kernel.tile) hrm__expand_rows(s.a, s.q, rows * row);
        if (kernel.wide) hrm__widen_rows((int16_t *)(void *)s.a, s.q, rows * row);
        for (size_t p = p0; p < p1; p++) {
            const int8_t *panel = b.panels + p * HRM__BYTE_NR * 4 * b.groups;
            const size_t first = p * HRM__BYTE_NR;
            if (!kernel.tile) hrm__bytes_tiles(s.sums, s.a, row, panel, b.sums + first, rows, b.groups, s.b);
            for (size_t i = 0; kernel.tile && i < rows; i += kernel.mr) {
                const void *q = kernel.wide ? (const void *)((const int16_t *)(const void *)s.a + i * row) : s.q + i * row;
                kernel.tile(s.sums + i * HRM__BYTE_NR, HRM__BYTE_NR, q, row, panel, b.groups, rows - i);
            }
            hrm__bytes_out(c + m * ldc + first, ldc, s.sums, s.scales, b.scales + first, b.sums + first, rows,
                           N - first < HRM__BYTE_NR ? N - first : HRM__BYTE_NR);
        }
    }
    hrm__quantized_tiles(0);
}

/* ==================================================================================================== >>passes ============
 * Lists of passes: HRM's, where a list keeps what, and which way gradients take through it.
 */
HRM_API int hrm_passes_lay(hrm_pass *list, int nets, int H_cycles, int L_cycles, int gradient)
{
    int n = 0;
    for (int h = 0; h < H_cycles; h++)
        for (int l = 0; l <= L_cycles; l++, n++) { /* the last of these is H's */
            int level = l < L_cycles, last = h == H_cycles - 1 && l >= L_cycles - 1;
            int learns = gradient == 0 ? last : gradient > 0 && h >= H_cycles - gradient;
            if (!list) continue;
            list[n].state = level;
            list[n].net = nets > 1 ? level : 0;
            list[n].inputs = level ? 1u << 0 | HRM_INPUT_E : 1u << 1; /* L is given z_H + e; H z_L, and never the input */
            list[n].index = n;
            list[n].slot = learns ? 0 : -1;
            list[n].block = list[n].out = -1;
        }
    return n;
}

HRM_API hrm_kept hrm_passes_place(hrm_pass *out, const hrm_pass *list, int n, const int *layers)
{
    hrm_kept kept;
    hrm_flow flow;
    hrm_flow_move moves[HRM_MAX_STATES + 1];
    unsigned overwritten = 0; /* states that a later pass writes */
    memset(&kept, 0, sizeof kept);
    hrm_flow_begin(&flow);
    kept.flows = 1;
    for (int i = n - 1; i >= 0; i--) {
        hrm_pass p = list[i];
        int buffer = hrm_flow_pass(&flow, list, i), count = buffer < 0 ? 0 : hrm_flow_moves(&flow, list, i, buffer, moves);
        for (int k = 0; k < count; k++)
            if (moves[k].to + 1 > kept.flows) kept.flows = moves[k].to + 1;
        p.index = i;
        p.block = p.out = -1;
        if (p.slot >= 0) {
            p.slot = kept.slots++;
            p.block = kept.blocks;
            kept.blocks += layers[p.net];
            if (overwritten >> p.state & 1) p.out = kept.outs++;
        }
        overwritten |= 1u << p.state;
        if (out) out[i] = p;
    }
    return kept;
}

HRM_API void hrm_flow_begin(hrm_flow *flow)
{
    for (int i = 0; i <= HRM_MAX_STATES; i++) flow->at[i] = -1;
    flow->at[0] = 0;
    flow->busy = 1;
}

HRM_API int hrm_flow_pass(hrm_flow *flow, const hrm_pass *list, int i)
{
    return list[i].slot < 0 ? -1 : flow->at[list[i].state];
}

HRM_API int hrm_flow_moves(hrm_flow *flow, const hrm_pass *list, int i, int buffer, hrm_flow_move *moves)
{
    /* A state's gradient is wanted where a pass with one wrote it last; e's always. The first taker gets the buffer
     * itself. */
    const hrm_pass *p = &list[i];
    int n = 0, given = 0;
    flow->at[p->state] = -1;
    for (int t = 0; t <= HRM_MAX_STATES; t++) {
        int wanted = t == HRM_MAX_STATES;
        if (t != p->state && !(p->inputs >> t & 1)) continue;
        for (int k = i - 1; k >= 0 && !wanted; k--) /* as the last before this one left it */
            if (list[k].state == t) {
                wanted = list[k].slot >= 0;
                break;
            }
        if (!wanted) continue;
        if (flow->at[t] < 0 && !given) {
            flow->at[t] = buffer;
            given = 1;
            continue;
        }
        moves[n].add = flow->at[t] >= 0;
        for (int free = 0; flow->at[t] < 0; free++)
            if (!(flow->busy >> free & 1)) flow->at[t] = free;
        flow->busy |= 1u << flow->at[t];
        moves[n].to = flow->at[t];
        moves[n++].from = buffer;
    }
    if (!given) flow->busy &= ~(1u << buffer);
    return n;
}

HRM_API void hrm_flow_last(const hrm_pass *list, int n, int *last)
{
    hrm_flow flow;
    hrm_flow_move moves[HRM_MAX_STATES + 1];
    for (int net = 0; net < HRM_MAX_NETS; net++) last[net] = -1;
    hrm_flow_begin(&flow);
    for (int i = n - 1; i >= 0; i--) {
        int buffer = hrm_flow_pass(&flow, list, i);
        if (buffer < 0) continue;
        hrm_flow_moves(&flow, list, i, buffer, moves);
        last[list[i].net] = i;
    }
}

/* ==================================================================================================== >>cpu-backend =======
 * The device table on the CPU, composed of the layers above.
 *
 * Threads share the work in one of two ways, and the code below is the same for both: with enough puzzles each thread takes its
 * own puzzles through a whole list of passes, in chunks that stay in its cache, and meets the others at the end ("alone"); with
 * few, all threads go through the same puzzles and split every product between them ("together").
 *
 *   alone: 6 puzzles, 2 threads                       together: 1 puzzle, 2 threads
 *
 *    puzzle   0    1    2  |  3    4    5              a product [rows,N] of its S rows
 *    thread   0    0    0  |  1    1    1              +-----------+-----------+
 *    chunk   [0    1] [2]  | [3    4] [5]              | thread 0  | thread 1  |  by rows, each with its own, and no barrier
 *             |                                        +-----------+-----------+  before attention; or, where rows are few,
 *             every pass of the list, then the next    |  columns  |  columns  |  by columns, with one after every product
 *
 *   within a chunk, between two attentions, rows go through the layers HRM_BLOCK_ROWS at a time:
 *
 *    rows    qkv, rope | attention | o, norm, gate_up, swiglu, down, norm, the next block's qkv, rope | attention …
 *    0..111  ========> |           | ======================================================> |
 *    112..   ========> | all heads | ======================================================> |
 */
#ifndef HRM_CHUNK_ROWS
    #define HRM_CHUNK_ROWS 512 /* rows of activations a thread works on at a time, at least one puzzle */
#endif
#ifndef HRM_BLOCK_ROWS
    #define HRM_BLOCK_ROWS 112 /* of these, how many go through the layers between two attentions together, in cache */
#endif

struct hrm_device {
    const hrm_allocator *allocator;
    hrm_pool            *pool; /* the model's */
    unsigned char        slots[2][256];
};

typedef struct hrm__block { const hrm_real *w[HRM_BLOCK_TENSORS]; } hrm__block; /* packed, in the model's forward_dtype */

/* Activations of one block for some puzzles: kept for the backward pass; or overwritten block by block, and then those from y1
 * on are NULL. The block's output y is the next one's x, or its state. A mixer has its first half's with positions and channels
 * exchanged, _t: a row a channel. */
#define HRM__ACTS(X) /* name, elements a puzzle; x, the block's input, comes before them */ \
    X(qkv, attends * S * 3 * D) /* after rope */ \
    X(o, attends * S * D)       /* attention's output */ \
    X(x_t, mixes * D * S) \
    X(y1_t, mixes * D * S) \
    X(y1, S * D)                /* after the first norm */ \
    X(gate_up_t, mixes * D * 2 * I_t) \
    X(gate_up, S * 2 * I) \
    X(lse, attends * heads * S) /* attention's, log of the sum of exponentials */ \
    X(r1, attends * S + mixes * D) /* the norms' factors */ \
    X(r2, S)
    #define HRM__ACTS_SIZES(d) \
        const size_t S = (size_t)(d)->S, D = (size_t)(d)->D, I = (size_t)(d)->I, I_t = (size_t)(d)->I_t, \
                     heads = (size_t)(d)->heads, mixes = (d)->mixer != 0, attends = !mixes
typedef struct hrm__acts {
    hrm_real *x;
#define HRM__MEMBER(name, each) hrm_real *name;
    HRM__ACTS(HRM__MEMBER)
#undef HRM__MEMBER
    hrm_real *y;
    size_t    puzzle;       /* the first of them */
    int       pass, layer;
    int       drops;        /* flag: dropout */
} hrm__acts;

enum { HRM__NORM_PARTS = 64 };

typedef struct hrm__cpu_work { /* hrm_work.work, taken apart */
    hrm_real  *scratch;         /* [threads, per_thread] */
    size_t     per_thread;
    size_t     chunk;           /* puzzles */
    hrm_real  *weights_t;       /* one block's weights, packed for dx = dy w */
    hrm_real  *dw;              /* the gradient of one of its tensors, when it is applied at once */
    /* backward, whole batch */
    hrm_real *dz, *ds1, *ds2, *dqkv, *dgate_up, *h; /* [flows,M,D] [M,D] [M,D] [M,3D] [M,2I] [M,I] */
    hrm_real *dgate_up_t, *h_t; /* of a mixer [B,D,2I_t] [B,D,I_t], and no dqkv */
    hrm_real *xs, *saved, *outs; /* kept blocks' inputs [blocks,M,D]; the rest of them, of one with checkpointing; kept outputs
                                    [outs,M,D] */
    hrm__muon_space muon;
    double   *row_sums;         /* [B, HRM_METRIC_SUMS] */
    double   *norm_parts;       /* [HRM__NORM_PARTS] */
} hrm__cpu_work;

static size_t hrm__rows(const hrm_dims *d, size_t puzzles) { return puzzles * (size_t)d->S; }
static size_t hrm__cpu_chunk(const hrm_dims *d)
{
    size_t chunk = HRM_CHUNK_ROWS / (size_t)d->S;
    if (chunk > (size_t)d->B) chunk = (size_t)d->B;
    return chunk ? chunk : 1;
}

/* Hands out pieces of one block of memory; with base NULL it only counts. */
typedef struct hrm__plan { char *base; size_t used; } hrm__plan;
static void *hrm__take(hrm__plan *a, size_t count, size_t size)
{
    void *p = a->base ? a->base + a->used : NULL;
    a->used += hrm__align(count * size);
    return p;
}
static hrm_real *hrm__take_real(hrm__plan *a, size_t count) { return (hrm_real *)hrm__take(a, count, sizeof(hrm_real)); }

static size_t hrm__max_size(size_t a, size_t b) { return a > b ? a : b; }
static size_t hrm__min_size(size_t a, size_t b) { return a < b ? a : b; }

static size_t hrm__acts_size(const hrm_dims *d)
{
    HRM__ACTS_SIZES(d);
#define HRM__PLUS(name, each) + (each)
    return 0 HRM__ACTS(HRM__PLUS);
#undef HRM__PLUS
}

static hrm__acts hrm__saved_acts(const hrm_dims *d, const hrm__cpu_work *c, int block, size_t first)
{
    /* activations of a kept block from puzzle `first` on; y and what follows it is set by the caller */
    HRM__ACTS_SIZES(d);
    size_t B = (size_t)d->B;
    hrm_real *p = c->saved + (d->checkpointing ? 0 : (size_t)block * B * hrm__acts_size(d));
    hrm__acts a;
    memset(&a, 0, sizeof a);
    a.x = c->xs + ((size_t)block * B + first) * S * D;
#define HRM__PLACE(name, each) a.name = p + first * (each), p += B * (each);
    HRM__ACTS(HRM__PLACE)
#undef HRM__PLACE
    return a;
}

/* The rows of a chunk that a thread does between attentions, or between transpositions, with `team`; and for HRM_BLOCK_ROWS of
 * them f, y1 [.,N], gate_up [.,2I], h [.,I] with rows HRM__HALF_GAP longer, which do not all lie in the same lines of a cache,
 * and for a norm the sums of h's parts [.,I/HRM__SWIGLU_PART]. part: what a thread needs of gate_up, HRM__HALF_PARTS each */
enum { HRM__HALF_GAP = 16, HRM__HALF_PARTS = 4 };
typedef struct hrm__share {
    hrm_real *f, *y1, *gate_up, *h, *sums, *part;
    size_t    begin, end;
    hrm__team team;
} hrm__share;

/* What one thread needs of a chunk of C rows: qkv [C,3D] and o [C,D], or a mixer's x_t [C,D]; and what layers ask for. */
typedef struct hrm__thread_scratch {
    hrm_real  *qkv, *o, *x_t, *own;
    hrm__share rows, channels; /* a row a position; a row a channel, of a mixer */
} hrm__thread_scratch;

static size_t hrm__own_scratch(const hrm_dims *d)
{
    size_t n = hrm__gemm_scratch(), K = (size_t)(d->D > d->I ? d->D : d->I);
    hrm__bytes_space unused;
    if (d->mixer) K = hrm__max_size(K, (size_t)(d->S > d->I_t ? d->S : d->I_t));
    else n = hrm__max_size(n, hrm_attention_scratch((size_t)d->S, (size_t)d->head_dim));
    if (d->dtype == HRM_FORWARD_BFLOAT16) return hrm__max_size(n, hrm__bf16_scratch(K));
    return d->dtype == HRM_FORWARD_INT8 ? hrm__max_size(n, hrm__bytes_scratch(K, NULL, &unused)) : n;
}

static size_t hrm__plan_scratch(const hrm_dims *d, hrm_real *base, hrm__thread_scratch *s)
{
    /* lays one thread's scratch out from base (NULL: counts) -> elements */
    size_t C = hrm__rows(d, hrm__cpu_chunk(d)), N = (size_t)(d->mixer && d->S > d->D ? d->S : d->D),
           I = (size_t)(d->I > d->I_t ? d->I : d->I_t), attends = !d->mixer;
    hrm__plan a = {(char *)base, 0};
    memset(s, 0, sizeof *s);
    s->qkv = hrm__take_real(&a, attends * C * 3 * (size_t)d->D);
    s->o = hrm__take_real(&a, attends * C * (size_t)d->D);
    s->x_t = hrm__take_real(&a, (1 - attends) * C * (size_t)d->D);
    s->rows.f = hrm__take_real(&a, HRM_BLOCK_ROWS * N);
    s->rows.y1 = hrm__take_real(&a, HRM_BLOCK_ROWS * N);
    s->rows.gate_up = hrm__take_real(&a, HRM_BLOCK_ROWS * (2 * I + HRM__HALF_GAP));
    s->rows.part = s->rows.gate_up;
    s->rows.h = hrm__take_real(&a, HRM_BLOCK_ROWS * (I + HRM__HALF_GAP));
    s->rows.sums = hrm__take_real(&a, HRM_BLOCK_ROWS * (I / HRM__SWIGLU_PART));
    s->own = hrm__take_real(&a, hrm__own_scratch(d));
    return a.used / sizeof(hrm_real);
}

static size_t hrm__plan_cpu_work(const hrm_dims *d, int train, void *base, hrm__cpu_work *c)
{
    /* lays hrm_work.work out -> bytes */
    hrm__plan a = {(char *)base, 0};
    hrm__thread_scratch unused;
    size_t M = hrm__rows(d, (size_t)d->B), D = (size_t)d->D, I = (size_t)d->I, channels = (size_t)d->B * D, muon = 0;
    memset(c, 0, sizeof *c);
    c->chunk = hrm__cpu_chunk(d);
    c->per_thread = hrm__plan_scratch(d, NULL, &unused);
    c->scratch = hrm__take_real(&a, (size_t)d->threads * c->per_thread);
    c->row_sums = (double *)hrm__take(&a, (size_t)d->B * HRM_METRIC_SUMS, sizeof(double));
    if (!train) return a.used;
    c->norm_parts = (double *)hrm__take(&a, HRM__NORM_PARTS, sizeof(double));
    size_t packed = 0;
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++)
        packed += hrm__align(hrm__pack_size(hrm__block_columns(d, i), hrm__block_rows(d, i)));
    packed = hrm__max_size(packed, hrm__pack_size(D, (size_t)d->V));
    c->weights_t = hrm__take_real(&a, packed);
    size_t largest = 0;
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++) {
        size_t N = hrm__block_rows(d, i), K = hrm__block_columns(d, i);
        hrm__muon_space unused_space;
        largest = hrm__max_size(largest, N * K);
        muon = hrm__max_size(muon, hrm__muon_plan(&unused_space, NULL, N, K));
    }
    if (train == 2) c->dw = hrm__take_real(&a, largest);
    if (d->muon_ns_steps) c->muon.x = hrm__take_real(&a, muon);
    c->dz = hrm__take_real(&a, (size_t)d->kept.flows * M * D);
    c->ds1 = hrm__take_real(&a, M * D);
    c->ds2 = hrm__take_real(&a, M * D);
    if (d->mixer) {
        c->dgate_up_t = hrm__take_real(&a, channels * 2 * (size_t)d->I_t);
        c->h_t = hrm__take_real(&a, channels * (size_t)d->I_t);
    } else c->dqkv = hrm__take_real(&a, M * 3 * D);
    c->dgate_up = hrm__take_real(&a, M * 2 * I);
    c->h = hrm__take_real(&a, M * I);
    c->xs = hrm__take_real(&a, (size_t)d->kept.blocks * M * D);
    c->saved = hrm__take_real(&a, (d->checkpointing ? 1 : (size_t)d->kept.blocks) * (size_t)d->B * hrm__acts_size(d));
    c->outs = hrm__take_real(&a, (size_t)d->kept.outs * M * D);
    return a.used;
}

/* The prepared weights: rope tables, every block's weights packed, the head's. */
typedef struct hrm__prepared {
    hrm_real *cosines, *sines, *blocks[HRM_MAX_NETS], *lm_head;
    size_t each, at[HRM_BLOCK_TENSORS];
} hrm__prepared;

static size_t hrm__operand_size(hrm_forward_dtype dtype, size_t N, size_t K)
{
    /* elements of hrm_real that w [N,K] packed takes */
    hrm__bytes unused;
    size_t one = sizeof(hrm_real), plain = hrm__pack_size(N, K);
    if (dtype == HRM_FORWARD_BFLOAT16) return (hrm__bf16_size(N, K) * sizeof(uint16_t) + one - 1) / one;
    return dtype == HRM_FORWARD_INT8 ? (hrm__plan_bytes(N, K, NULL, &unused) + one - 1) / one : plain;
}

static size_t hrm__plan_prepared(const hrm_dims *d, void *base, hrm__prepared *p)
{
    hrm__plan a = {(char *)base, 0};
    size_t table = (size_t)d->S * (size_t)(d->head_dim / 2);
    memset(p, 0, sizeof *p);
    p->cosines = hrm__take_real(&a, table);
    p->sines = hrm__take_real(&a, table);
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++) {
        p->at[i] = p->each;
        p->each += hrm__align(hrm__operand_size(d->dtype, hrm__block_rows(d, i), hrm__block_columns(d, i)));
    }
    for (int net = 0; net < d->nets; net++) p->blocks[net] = hrm__take_real(&a, (size_t)d->layers[net] * p->each);
    p->lm_head = hrm__take_real(&a, hrm__pack_size((size_t)d->V, (size_t)d->D));
    return a.used;
}

static hrm__block hrm__packed_block(const hrm__prepared *p, int net, int layer)
{
    hrm__block b;
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++) b.w[i] = p->blocks[net] + (size_t)layer * p->each + p->at[i];
    return b;
}

typedef struct hrm__move { hrm_real *to; const hrm_real *from; int add; } hrm__move;

/* One call of the table, run by all threads. */
typedef struct hrm__cpu_call {
    hrm_device   *dev;
    hrm_work     *w;
    hrm__cpu_work c;
    hrm__prepared prepared;
    /* of some puzzles, or of everything */
    void (*part)(const struct hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles);
    void (*whole)(const struct hrm__cpu_call *call, const hrm__team *team);
    const hrm_pass *list;
    int       n;        /* passes in it */
    void *const *z;     /* the states they work on */
    int       layer;    /* of the first pass's network, on the way back */
    hrm_real *dz;       /* [B,S,D] the gradient that goes through it */
    hrm__move move;
    hrm_group group;
    int       swap;
    const hrm_real *from; /* what the heads read */
    int       with_logits;
    hrm_real *q;
} hrm__cpu_call;

static void hrm__share_rows(hrm__share *mine, const hrm__share *first, size_t rows, const hrm__team *team)
{
    /* A thread has rows of its own, with nobody else at work on them; or, where there are too few tiles of rows to go round,
     * the team does all rows together, in the first one's memory, and splits every product. */
    const size_t mr = hrm__gemm_kernel_get()->mr, tiles = (rows + mr - 1) / mr, size = (size_t)team->size;
    hrm__team alone = {0, 1, NULL};
    if ((tiles + size - 1) / size * size * 4 <= tiles * 5) {
        mine->team = alone;
        hrm__team_range(team, rows, mr, &mine->begin, &mine->end);
    } else {
        hrm_real *part = mine->part;
        *mine = *first;
        mine->part = part;
        mine->team = *team;
        mine->begin = 0, mine->end = rows;
    }
}

static hrm__thread_scratch hrm__cpu_scratch(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t puzzles)
{
    /* a team shares the first thread's chunk */
    const hrm_dims *d = &call->w->d;
    hrm__thread_scratch mine, first;
    hrm__plan_scratch(d, call->c.scratch, &first);
    hrm__plan_scratch(d, call->c.scratch + (size_t)thread * call->c.per_thread, &mine);
    if (team->size > 1) mine.qkv = first.qkv, mine.o = first.o, mine.x_t = first.x_t;
    mine.channels = mine.rows;
    hrm__share_rows(&mine.rows, &first.rows, hrm__rows(d, puzzles), team);
    if (d->mixer) hrm__share_rows(&mine.channels, &first.rows, puzzles * (size_t)d->D, team);
    return mine;
}

static void hrm__cpu_thread(void *context, int id, int size)
{
    const hrm__cpu_call *call = (const hrm__cpu_call *)context;
    hrm__team together, alone = {0, 1, NULL};
    together.id = id, together.size = size, together.pool = call->dev->pool;
    if (call->whole) {
        call->whole(call, &together);
        return;
    }
    size_t begin = 0, end = (size_t)call->w->rows, chunk = call->c.chunk;
    int split = end >= 2 * (size_t)size || end % (size_t)size == 0;
    if (split) hrm__team_range(&together, end, 1, &begin, &end);
    for (size_t first = begin; first < end; first += chunk)
        call->part(call, split ? &alone : &together, id, first, end - first < chunk ? end - first : chunk);
}

static hrm_status hrm__cpu_run(hrm__cpu_call *call)
{
    hrm_pool_run(call->dev->pool, hrm__cpu_thread, call);
    return HRM_OK;
}

static hrm__cpu_call hrm__cpu_call_make(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call;
    memset(&call, 0, sizeof call);
    call.dev = dev;
    call.w = w;
    hrm__plan_cpu_work(&w->d, w->train, w->work, &call.c);
    hrm__plan_prepared(&w->d, w->prepared, &call.prepared);
    return call;
}

/* ---- one block -------------------------------------------------------------------------------------------- >>block -------
 *
 *   attention   y1 = rms(x + o_proj(attention(rope(qkv_proj(x)))))
 *   mixer       y1^T = rms(x^T + down_proj(swiglu(gate_up_proj(x^T)))), mlp_t's: positions and channels exchanged
 *   both        y = rms(y1 + down_proj(swiglu(gate_up_proj(y1)))), mlp's                                             post-norm
 */
static void hrm__project(const hrm__cpu_call *call, hrm_real *y, const hrm_real *x, size_t ldx, const hrm_real *w, size_t rows,
                         size_t N, size_t K, hrm_real *scratch, const hrm__team *team)
{
    /* x [rows,K], rows ldx apart, packed w [N,K] -> y [rows,N] */
    hrm_forward_dtype dtype = call->w->d.dtype;
    if (dtype == HRM_FORWARD_INT8) hrm__gemm_bytes(y, N, x, ldx, w, rows, N, K, scratch, team);
    else if (dtype == HRM_FORWARD_BFLOAT16)
        hrm__gemm_bf16(y, N, x, ldx, (const uint16_t *)(const void *)w, rows, N, K, scratch, team);
    else hrm__gemm(y, N, x, ldx, w, rows, N, K, 0, scratch, team);
    hrm__team_barrier(team);
}

static void hrm__drop(const hrm__cpu_call *call, hrm_real *f, const hrm__acts *a, int branch, size_t first, size_t rows,
                      size_t each, size_t N)
{
    /* f [rows,N], a branch's output or its gradient, from row `first` of the chunk on, `each` rows a puzzle */
    const hrm_work *w = call->w;
    for (size_t r = first; r < first + rows; r++, f += N) {
        size_t puzzle = a->puzzle + r / each, begin = r % each * N, end = begin + N;
        hrm__dropout drop = hrm__dropout_of(w->step, a->pass, a->layer, branch, w->first_row + (int32_t)puzzle);
        for (size_t i = begin / 4; 4 * i < end; i++) {
            hrm_real factors[4];
            hrm__dropout_factors(factors, &drop, i);
            for (size_t k = 0; k < 4; k++)
                if (4 * i + k >= begin && 4 * i + k < end) f[4 * i + k - begin] *= factors[k];
        }
    }
}

/* Half a block, the same for the MLP and for mixing, forward: y = rms(x + down_proj(swiglu(gate_up_proj(x)))); and backward:
 * dz, the gradient of y, becomes in place that of x, and what the weights' gradients need comes into ds, dgate_up and h. */
typedef struct hrm__half {
    size_t N, I, each;     /* width, inner width, rows a puzzle */
    int    branch;         /* of dropout */
    const hrm_real *gate_up_proj, *down_proj; /* packed; on the way back for dx = dy w */
    hrm_real *x, *y, *r, *gate_up; /* [.,N] [.,N] [.] [.,2I] of the chunk; r and gate_up NULL: not kept */
    hrm_real *dz, *ds, *dgate_up, *h; /* [.,N] [.,N] [.,2I] [.,I] */
} hrm__half;

static void hrm__swiglu(const hrm__cpu_call *call, hrm_real *h, const hrm_real *gate_up, size_t rows, size_t I)
{
    if (call->w->d.mlp_norm) hrm_swiglu_norm_forward(h, gate_up, rows, I, (hrm_real)call->w->d.eps);
    else hrm_swiglu_forward(h, gate_up, rows, I);
}

static void hrm__half_forward(const hrm__cpu_call *call, const hrm__half *v, const hrm__acts *a, const hrm__share *s,
                              hrm_real *own, size_t first, size_t rows)
{
    const hrm__team *team = &s->team;
    size_t N = v->N, I = v->I, ldh = I + HRM__HALF_GAP, parts = I / HRM__SWIGLU_PART, b, e, some;
    const int norm = call->w->d.mlp_norm;
    const hrm_real *x = v->x + first * N;
    hrm_real *y = v->y + first * N, *f = s->f, *h = s->h, *sums = norm ? s->sums : NULL;
    hrm__team alone = {0, 1, NULL};
    hrm_forward_dtype dtype = call->w->d.dtype;
    /* in float each thread makes its columns of h, from gates and ups in its own cache */
    if (dtype != HRM_FORWARD_BFLOAT16 && dtype != HRM_FORWARD_INT8) {
        hrm__team_range(team, parts, 1, &b, &e);
        for (size_t i = b; i < e; i += some) {
            some = hrm__min_size(e - i, HRM__HALF_PARTS);
            size_t j = i * HRM__SWIGLU_PART, n = some * HRM__SWIGLU_PART, ld = v->gate_up ? 2 * I : 2 * n + HRM__HALF_GAP;
            hrm_real *gate = v->gate_up ? v->gate_up + first * 2 * I + j : s->part, *up = gate + (v->gate_up ? I : n);
            hrm__gemm(gate, ld, x, N, v->gate_up_proj + j * N, rows, n, N, 0, own, &alone);
            hrm__gemm(up, ld, x, N, v->gate_up_proj + (I + j) * N, rows, n, N, 0, own, &alone);
            hrm__swiglu_part(h + j, ldh, gate, up, ld, rows, n, norm ? sums + i : NULL, parts);
        }
    } else { /* each its rows, so that x becomes bytes once */
        hrm__project(call, s->gate_up, x, N, v->gate_up_proj, rows, 2 * I, N, own, team);
        hrm__team_range(team, rows, 1, &b, &e);
        hrm__swiglu_part(h + b * ldh, ldh, s->gate_up + b * 2 * I, s->gate_up + b * 2 * I + I, 2 * I, e - b, I,
                         norm ? sums + b * parts : NULL, parts);
    }
    hrm__team_barrier(team);
    hrm__project(call, f, h, ldh, v->down_proj, rows, N, I, own, team);
    hrm__team_range(team, rows, 1, &b, &e);
    if (norm) hrm__norm_rows(f + b * N, e - b, N, sums + b * parts, parts, (hrm_real)call->w->d.eps);
    if (a->drops) hrm__drop(call, f + b * N, a, v->branch, first + b, e - b, v->each, N);
    hrm__rms_norm(y + b * N, v->r ? v->r + first + b : NULL, x + b * N, f + b * N, e - b, N, (hrm_real)call->w->d.eps);
    hrm__team_barrier(team);
}

static void hrm__half_backward(const hrm__cpu_call *call, const hrm__half *v, const hrm__acts *a, const hrm__share *s,
                               hrm_real *own, size_t first, size_t rows)
{
    const hrm__team *team = &s->team;
    size_t N = v->N, I = v->I, b, e;
    hrm_real *dz = v->dz + first * N, *ds = v->ds + first * N, *dgate_up = v->dgate_up + first * 2 * I, *h = v->h + first * I;
    const hrm_real *gate_up = v->gate_up + first * 2 * I;
    hrm__team_range(team, rows, 1, &b, &e);
    hrm__rms_norm_gradient(ds + b * N, dz + b * N, v->y + (first + b) * N, v->r + first + b, e - b, N);
    memcpy(dz + b * N, ds + b * N, (e - b) * N * sizeof *dz);
    if (a->drops) hrm__drop(call, ds + b * N, a, v->branch, first + b, e - b, v->each, N);
    hrm__team_barrier(team);
    hrm__gemm(s->h, I, ds, N, v->down_proj, rows, I, N, 0, own, team);
    hrm__team_barrier(team);
    hrm__swiglu(call, h + b * I, gate_up + b * 2 * I, e - b, I); /* made again: cheaper than keeping it */
    if (call->w->d.mlp_norm)
        hrm_swiglu_norm_backward(dgate_up + b * 2 * I, s->h + b * I, gate_up + b * 2 * I, e - b, I, (hrm_real)call->w->d.eps);
    else hrm_swiglu_backward(dgate_up + b * 2 * I, s->h + b * I, gate_up + b * 2 * I, e - b, I);
    hrm__team_barrier(team);
    hrm__gemm(dz, N, dgate_up, 2 * I, v->gate_up_proj, rows, N, 2 * I, 1, own, team);
    hrm__team_barrier(team);
}

/* calls function(…, first, rows, share) for a thread's rows, block by block */
#define HRM__EACH_BLOCK(i, rows, s) \
    for (size_t i = (s)->begin, rows; i < (s)->end && (rows = hrm__min_size((s)->end - i, HRM_BLOCK_ROWS), 1); i += rows)

static void hrm__block_qkv(const hrm__cpu_call *call, const hrm__block *w, const hrm__acts *a, const hrm__thread_scratch *s,
                           size_t first, size_t rows)
{
    /* rows from `first` on: a.x -> a.qkv, after rope */
    const hrm_dims *d = &call->w->d;
    const hrm__team *team = &s->rows.team;
    size_t D = (size_t)d->D;
    hrm_real *qkv = a->qkv + first * 3 * D;
    hrm__project(call, qkv, a->x + first * D, D, w->w[HRM_QKV_PROJ], rows, 3 * D, D, s->own, team);
    if (!d->rope) return;
    size_t b, e;
    hrm__team_range(team, rows, 1, &b, &e);
    hrm__rope_rows(qkv + b * 3 * D, call->prepared.cosines, call->prepared.sines, e - b, first + b, (size_t)d->S,
                   2 * (size_t)d->heads, (size_t)d->head_dim, 3 * D, 1);
}

static void hrm__block_attention(const hrm__cpu_call *call, const hrm__acts *a, const hrm__thread_scratch *s, size_t puzzles,
                                 const hrm__team *team)
{
    /* a.qkv -> a.o, a.lse: each thread its (puzzle, head) pairs */
    const hrm_dims *d = &call->w->d;
    size_t S = (size_t)d->S, D = (size_t)d->D, heads = (size_t)d->heads, hd = (size_t)d->head_dim, b, e;
    hrm__team_range(team, puzzles * heads, 1, &b, &e);
    for (size_t i = b; i < e; i++) {
        size_t row = i / heads * S, h = i % heads;
        const hrm_real *q = a->qkv + row * 3 * D + h * hd;
        hrm__attention_head_forward(a->o + row * D + h * hd, D, a->lse ? a->lse + i * S : NULL, q, q + D, q + 2 * D, 3 * D, S,
                                    hd, d->causal, s->own);
    }
}

static hrm__half hrm__mlp_half(const hrm_dims *d, const hrm__acts *a, hrm_real *y1)
{
    hrm__half v;
    memset(&v, 0, sizeof v);
    v.N = (size_t)d->D, v.I = (size_t)d->I, v.each = (size_t)d->S;
    v.branch = 1;
    v.x = y1, v.y = a->y, v.r = a->r2, v.gate_up = a->gate_up;
    return v;
}

static hrm__half hrm__mix_half(const hrm_dims *d, const hrm__acts *a)
{
    hrm__half v;
    memset(&v, 0, sizeof v);
    v.N = (size_t)d->S, v.I = (size_t)d->I_t, v.each = (size_t)d->D;
    v.x = a->x_t, v.y = a->y1_t, v.r = a->r1, v.gate_up = a->gate_up_t;
    return v;
}

static void hrm__block_out(const hrm__cpu_call *call, const hrm__block *w, const hrm__acts *a, const hrm__thread_scratch *s,
                           const hrm__half *mlp, size_t first, size_t rows)
{
    /* rows from `first` on: attention's a.o -> y1 -> a.y; y1 of these rows only, unless it is kept */
    const hrm_dims *d = &call->w->d;
    const hrm__team *team = &s->rows.team;
    size_t D = (size_t)d->D, b, e;
    hrm_real *f = s->rows.f, *y1 = a->y1 ? a->y1 + first * D : s->rows.y1;
    const hrm_real *x = a->x + first * D;
    hrm__half v = *mlp;
    hrm__team_range(team, rows, 1, &b, &e);
    hrm__project(call, f, a->o + first * D, D, w->w[HRM_O_PROJ], rows, D, D, s->own, team);
    if (a->drops) hrm__drop(call, f + b * D, a, 0, first + b, e - b, (size_t)d->S, D);
    hrm__rms_norm(y1 + b * D, a->r1 ? a->r1 + first + b : NULL, x + b * D, f + b * D, e - b, D, (hrm_real)d->eps);
    hrm__team_barrier(team);
    v.x = y1 - first * D;
    hrm__half_forward(call, &v, a, &s->rows, s->own, first, rows);
}

static void hrm__block_forward(const hrm__cpu_call *call, const hrm__block *w, const hrm__acts *a, const hrm__thread_scratch *s,
                               size_t puzzles, const hrm__team *team)
{
    /* a.x [puzzles,S,D] -> a.y, and everything between into a */
    const hrm_dims *d = &call->w->d;
    hrm_real *y1 = a->y1 ? a->y1 : a->y;
    hrm__half mlp = hrm__mlp_half(d, a, y1);
    mlp.gate_up_proj = w->w[HRM_GATE_UP_PROJ], mlp.down_proj = w->w[HRM_DOWN_PROJ];
    if (!d->mixer) {
        HRM__EACH_BLOCK(i, rows, &s->rows) hrm__block_qkv(call, w, a, s, i, rows);
        hrm__team_barrier(team);
        hrm__block_attention(call, a, s, puzzles, team);
        hrm__team_barrier(team);
        HRM__EACH_BLOCK(i, rows, &s->rows) hrm__block_out(call, w, a, s, &mlp, i, rows);
        return;
    }
    hrm__half mix = hrm__mix_half(d, a);
    mix.gate_up_proj = w->w[HRM_MIX_GATE_UP], mix.down_proj = w->w[HRM_MIX_DOWN];
    hrm__team_barrier(team); /* rows of others are read */
    hrm__exchange(mix.x, a->x, puzzles, (size_t)d->S, (size_t)d->D, team);
    HRM__EACH_BLOCK(i, rows, &s->channels) hrm__half_forward(call, &mix, a, &s->channels, s->own, i, rows);
    hrm__team_barrier(team);
    hrm__exchange(y1, mix.y, puzzles, (size_t)d->D, (size_t)d->S, team);
    HRM__EACH_BLOCK(i, rows, &s->rows) hrm__half_forward(call, &mlp, a, &s->rows, s->own, i, rows);
}

/* The block backward: dz, the gradient of its output, becomes in place that of its input. First the activations' gradients,
 * thread by puzzle, then the weights', by tile. */
typedef struct hrm__block_view { /* one block from some puzzle on */
    hrm__acts a; /* saved */
    hrm_real *wt[HRM_BLOCK_TENSORS], *dz, *ds1, *ds2, *dqkv;
    hrm__half mlp, mix;
} hrm__block_view;

static hrm__block_view hrm__view_block(const hrm__cpu_call *call, size_t first)
{
    const hrm_dims *d = &call->w->d;
    const hrm_pass *pass = call->list;
    const hrm__cpu_work *c = &call->c;
    size_t row = hrm__rows(d, first), D = (size_t)d->D, I = (size_t)d->I, I_t = (size_t)d->I_t, channel = first * D;
    hrm__block_view v;
    memset(&v, 0, sizeof v);
    v.dz = call->dz + row * D, v.ds1 = c->ds1 + row * D, v.ds2 = c->ds2 + row * D;
    v.a = hrm__saved_acts(d, c, pass->block + call->layer, first);
    v.a.puzzle = first;
    v.a.pass = pass->index, v.a.layer = call->layer;
    v.a.drops = d->dropout;
    if (call->layer + 1 < d->layers[pass->net]) v.a.y = hrm__saved_acts(d, c, pass->block + call->layer + 1, first).x;
    else
        v.a.y = (pass->out < 0 ? (hrm_real *)call->w->z[pass->state]
                               : c->outs + (size_t)pass->out * hrm__rows(d, (size_t)d->B) * D) +
                row * D;
    hrm_real *p = c->weights_t;
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++) {
        v.wt[i] = p;
        p += hrm__align(hrm__pack_size(hrm__block_columns(d, i), hrm__block_rows(d, i)));
    }
    v.mlp = hrm__mlp_half(d, &v.a, v.a.y1);
    v.mlp.gate_up_proj = v.wt[HRM_GATE_UP_PROJ], v.mlp.down_proj = v.wt[HRM_DOWN_PROJ];
    v.mlp.dz = v.dz, v.mlp.ds = v.ds2, v.mlp.dgate_up = c->dgate_up + row * 2 * I, v.mlp.h = c->h + row * I;
    if (d->mixer) {
        v.mix = hrm__mix_half(d, &v.a);
        v.mix.gate_up_proj = v.wt[HRM_MIX_GATE_UP], v.mix.down_proj = v.wt[HRM_MIX_DOWN];
        v.mix.ds = v.ds1; /* dz is in the thread's scratch */
        v.mix.dgate_up = c->dgate_up_t + channel * 2 * I_t, v.mix.h = c->h_t + channel * I_t;
    } else v.dqkv = c->dqkv + row * 3 * D;
    return v;
}

static void hrm__pack_block_t(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    hrm__block_view v = hrm__view_block(call, 0);
    const hrm_real *p = w->params + w->at.net_offset[call->list->net] + (size_t)call->layer * w->at.block_size;
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++)
        hrm__pack(v.wt[i], p + w->at.block_offset[i], hrm__block_rows(&w->d, i), hrm__block_columns(&w->d, i), 1, team);
}

static void hrm__block_out_backward(const hrm__cpu_call *call, const hrm__block_view *v, const hrm__thread_scratch *s,
                                    size_t first, size_t rows)
{
    /* rows from `first` on: dz of the output -> that of y1 -> ds1, and attention's gradient into the scratch's o */
    const hrm_dims *d = &call->w->d;
    const hrm__team *team = &s->rows.team;
    size_t D = (size_t)d->D, b, e;
    hrm_real *dz = v->dz + first * D, *ds1 = v->ds1 + first * D;
    hrm__half_backward(call, &v->mlp, &v->a, &s->rows, s->own, first, rows);
    hrm__team_range(team, rows, 1, &b, &e);
    hrm__rms_norm_gradient(ds1 + b * D, dz + b * D, v->a.y1 + (first + b) * D, v->a.r1 + first + b, e - b, D);
    memcpy(dz + b * D, ds1 + b * D, (e - b) * D * sizeof *dz);
    if (v->a.drops) hrm__drop(call, ds1 + b * D, &v->a, 0, first + b, e - b, (size_t)d->S, D);
    hrm__team_barrier(team);
    hrm__gemm(s->o + first * D, D, ds1, D, v->wt[HRM_O_PROJ], rows, D, D, 0, s->own, team);
    hrm__team_barrier(team);
}

static void hrm__block_qkv_backward(const hrm__cpu_call *call, const hrm__block_view *v, const hrm__thread_scratch *s,
                                    size_t first, size_t rows)
{
    /* rows from `first` on: dqkv before rope, dz += dqkv w */
    const hrm_dims *d = &call->w->d;
    const hrm__team *team = &s->rows.team;
    size_t D = (size_t)d->D, b, e;
    hrm_real *dqkv = v->dqkv + first * 3 * D;
    hrm__team_range(team, rows, 1, &b, &e);
    if (d->rope)
        hrm__rope_rows(dqkv + b * 3 * D, call->prepared.cosines, call->prepared.sines, e - b, first + b, (size_t)d->S,
                       2 * (size_t)d->heads, (size_t)d->head_dim, 3 * D, -1);
    hrm__team_barrier(team);
    hrm__gemm(v->dz + first * D, D, dqkv, 3 * D, v->wt[HRM_QKV_PROJ], rows, D, 3 * D, 1, s->own, team);
    hrm__team_barrier(team);
}

static void hrm__block_backward_part(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles)
{
    const hrm_dims *d = &call->w->d;
    hrm__thread_scratch s = hrm__cpu_scratch(call, team, thread, puzzles);
    hrm__block_view v = hrm__view_block(call, first);
    size_t S = (size_t)d->S, D = (size_t)d->D, heads = (size_t)d->heads, hd = (size_t)d->head_dim, b, e;
    if (d->checkpointing) {
        hrm__block w = hrm__packed_block(&call->prepared, call->list->net, call->layer);
        hrm__block_forward(call, &w, &v.a, &s, puzzles, team);
        hrm__team_barrier(team);
    }
    if (d->mixer) {
        HRM__EACH_BLOCK(i, rows, &s.rows) hrm__half_backward(call, &v.mlp, &v.a, &s.rows, s.own, i, rows);
        hrm__team_barrier(team);
        v.mix.dz = s.x_t;
        hrm__exchange(v.mix.dz, v.dz, puzzles, S, D, team);
        HRM__EACH_BLOCK(i, rows, &s.channels) hrm__half_backward(call, &v.mix, &v.a, &s.channels, s.own, i, rows);
        hrm__team_barrier(team);
        hrm__exchange(v.dz, v.mix.dz, puzzles, D, S, team);
        return;
    }
    HRM__EACH_BLOCK(i, rows, &s.rows) hrm__block_out_backward(call, &v, &s, i, rows);
    hrm__team_barrier(team);
    hrm__team_range(team, puzzles * heads, 1, &b, &e);
    for (size_t i = b; i < e; i++) {
        size_t at = i / heads * S * 3 * D + i % heads * hd, at_o = i / heads * S * D + i % heads * hd;
        const hrm_real *q = v.a.qkv + at;
        hrm__attention_head_backward(v.dqkv + at, v.dqkv + at + D, v.dqkv + at + 2 * D, s.o + at_o, q, q + D, q + 2 * D,
                                     v.a.o + at_o, v.a.lse + i * S, 3 * D, D, S, hd, d->causal, s.own);
    }
    hrm__team_barrier(team);
    HRM__EACH_BLOCK(i, rows, &s.rows) hrm__block_qkv_backward(call, &v, &s, i, rows);
}

static void hrm__adam_range(const hrm_work *w, hrm_optimizer optimizer, size_t from, hrm_real *g, size_t n, int rate,
                            const hrm__team *team);

static void hrm__block_gradients(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    const hrm__cpu_work *c = &call->c;
    hrm__thread_scratch s = hrm__cpu_scratch(call, team, team->id, 1);
    hrm__block_view v = hrm__view_block(call, 0);
    const hrm_real *dy[HRM_BLOCK_TENSORS], *x[HRM_BLOCK_TENSORS];
    if (d->mixer) {
        dy[HRM_MIX_GATE_UP] = c->dgate_up_t, x[HRM_MIX_GATE_UP] = v.a.x_t;
        dy[HRM_MIX_DOWN] = c->ds1, x[HRM_MIX_DOWN] = c->h_t;
    } else {
        dy[HRM_QKV_PROJ] = c->dqkv, x[HRM_QKV_PROJ] = v.a.x;
        dy[HRM_O_PROJ] = c->ds1, x[HRM_O_PROJ] = v.a.o;
    }
    dy[HRM_GATE_UP_PROJ] = c->dgate_up, x[HRM_GATE_UP_PROJ] = v.a.y1;
    dy[HRM_DOWN_PROJ] = c->ds2, x[HRM_DOWN_PROJ] = c->h;
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++) {
        size_t M = hrm__rows(d, (size_t)w->rows), N = hrm__block_rows(d, i), K = hrm__block_columns(d, i);
        size_t at = w->at.net_offset[call->list->net] + (size_t)call->layer * w->at.block_size + w->at.block_offset[i];
        if (d->mixer && i <= HRM_MIX_DOWN) M = (size_t)w->rows * (size_t)d->D;
        if (w->train != 2) {
            hrm__gemm_tn(w->grads + at, K, dy[i], N, x[i], K, M, N, K, 1, s.own, team);
            continue;
        }
        hrm__gemm_tn(c->dw, K, dy[i], N, x[i], K, M, N, K, 0, s.own, team);
        hrm__team_barrier(team);
        hrm__adam_range(w, d->optimizer, at, c->dw, N * K, HRM_RATE_WEIGHTS, team);
        hrm__team_barrier(team);
    }
}

/* ---- passes: states through networks, and back ----------------------------------------------------------------- >>pass -----
 *
 *   z = net(z + inputs);      on the way back dz, of the pass's output, becomes that of the sum, so of its state and inputs
 *   alike
 */
HRM__FAST_BEGIN
HRM__INLINE void hrm__add_body(hrm_real *out, const hrm_real *z, const hrm_real *a, const hrm_real *b, size_t n)
{
    if (b)
        for (size_t i = 0; i < n; i++) out[i] = z[i] + (a[i] + b[i]);
    else
        for (size_t i = 0; i < n; i++) out[i] = z[i] + a[i];
}
HRM__DISPATCH(hrm__add, (hrm_real *out, const hrm_real *z, const hrm_real *a, const hrm_real *b, size_t n), (out, z, a, b, n))
HRM__FAST_END

static void hrm__inject(hrm_real *out, const hrm_real *z, const hrm_real *const *inputs, int n, size_t D, const hrm__share *s)
{
    /* this thread's rows: out [.,D] = z + (inputs[0] + inputs[1]) + inputs[2] …; out may be z */
    size_t b, e;
    hrm__team_range(&s->team, (s->end - s->begin) * D, 16, &b, &e);
    b += s->begin * D, e += s->begin * D;
    if (n == 0 && out != z) memcpy(out + b, z + b, (e - b) * sizeof *out);
    for (int i = 0; i < n; i += i ? 1 : 2)
        hrm__add(out + b, (i ? out : z) + b, inputs[i] + b, i == 0 && n > 1 ? inputs[1] + b : NULL, e - b);
    hrm__team_barrier(&s->team);
}

static void hrm__pass_forward(const hrm__cpu_call *call, const hrm_pass *p, size_t first, size_t puzzles,
                              const hrm__thread_scratch *s, const hrm__team *team)
{
    /* one pass on the puzzles from `first` on: in place, or block by block through what is kept */
    const hrm_dims *d = &call->w->d;
    size_t D = (size_t)d->D, at = hrm__rows(d, first) * D;
    const hrm_real *inputs[HRM_MAX_STATES + 1];
    hrm_real *z = (hrm_real *)call->z[p->state] + at;
    hrm__acts a;
    int n = 0, layers = d->layers[p->net], kept = p->slot >= 0;
    for (int i = 0; i < d->states; i++)
        if (p->inputs >> i & 1) inputs[n++] = (const hrm_real *)call->z[i] + at;
    if (p->inputs & HRM_INPUT_E) inputs[n++] = (const hrm_real *)call->w->e + at;
    memset(&a, 0, sizeof a);
    a.qkv = s->qkv, a.o = s->o, a.x_t = a.y1_t = s->x_t;
    a.x = a.y = z;
    if (kept) a = hrm__saved_acts(d, &call->c, p->block, first);
    hrm__inject(a.x, z, inputs, n, D, &s->rows);
    for (int layer = 0; layer < layers; layer++) {
        hrm__block w = hrm__packed_block(&call->prepared, p->net, layer);
        hrm__acts next = a;
        if (kept) {
            if (layer + 1 < layers) next = hrm__saved_acts(d, &call->c, p->block + layer + 1, first);
            a.y = layer + 1 < layers ? next.x : z;
        }
        a.puzzle = first;
        a.pass = p->index, a.layer = layer;
        a.drops = d->dropout && call->z[0] == call->w->z[0]; /* not in the target's forward pass */
        hrm__block_forward(call, &w, &a, s, puzzles, team);
        a = next;
    }
    if (!kept || p->out < 0) return;
    size_t b, e; /* a later pass overwrites z: its value here is kept too; a thread's own rows, so nobody waits */
    hrm__team_range(&s->rows.team, (s->rows.end - s->rows.begin) * D, 16, &b, &e);
    b += s->rows.begin * D, e += s->rows.begin * D;
    memcpy(call->c.outs + (size_t)p->out * hrm__rows(d, (size_t)d->B) * D + at + b, z + b, (e - b) * sizeof *z);
    hrm__team_barrier(&s->rows.team);
}

static void hrm__passes_part(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles)
{
    hrm__thread_scratch s = hrm__cpu_scratch(call, team, thread, puzzles);
    for (int i = 0; i < call->n; i++) hrm__pass_forward(call, &call->list[i], first, puzzles, &s, team);
}

static hrm_status hrm__cpu_passes(hrm_device *dev, hrm_work *w, void *const *z, const hrm_pass *list, int n)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    call.part = hrm__passes_part;
    call.z = z;
    call.list = list;
    call.n = n;
    return hrm__cpu_run(&call);
}

static hrm_status hrm__cpu_passes_ahead(hrm_device *dev, hrm_work *w, const hrm_pass *list, int n)
{
    size_t each = hrm__rows(&w->d, (size_t)w->rows) * (size_t)w->d.D;
    for (int i = 0; i < w->d.states; i++) memcpy(w->t[i], w->z[i], each * sizeof(hrm_real));
    return hrm__cpu_passes(dev, w, w->t, list, n);
}

static void hrm__move_gradient(const hrm__cpu_call *call, const hrm__team *team)
{
    /* dz on to another gradient, or added to it */
    const hrm_dims *d = &call->w->d;
    size_t b, e;
    hrm__team_range(team, hrm__rows(d, (size_t)call->w->rows) * (size_t)d->D, 16, &b, &e);
    if (call->move.add) hrm__add(call->move.to + b, call->move.to + b, call->move.from + b, NULL, e - b);
    else memcpy(call->move.to + b, call->move.from + b, (e - b) * sizeof(hrm_real));
}

static hrm_status hrm__cpu_passes_backward(hrm_device *dev, hrm_work *w, const hrm_pass *list, int n)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    hrm_flow flow;
    hrm_flow_move moves[HRM_MAX_STATES + 1];
    const size_t each = hrm__rows(&w->d, (size_t)w->d.B) * (size_t)w->d.D;
    int last[HRM_MAX_NETS];
    if (w->train == 2 && *w->bad) return HRM_OK; /* nothing may move, and no gradient is kept */
    hrm_flow_last(list, n, last);
    hrm_flow_begin(&flow);
    for (int i = n - 1; i >= 0; i--) {
        int buffer = hrm_flow_pass(&flow, list, i);
        if (buffer < 0) continue;
        call.list = &list[i];
        call.dz = call.c.dz + (size_t)buffer * each;
        for (call.layer = w->d.layers[list[i].net] - 1; call.layer >= 0; call.layer--) {
            call.whole = hrm__pack_block_t;
            HRM__TRY(hrm__cpu_run(&call));
            call.whole = NULL;
            call.part = hrm__block_backward_part;
            HRM__TRY(hrm__cpu_run(&call));
            call.whole = hrm__block_gradients;
            if (w->train == 3) continue;
            HRM__TRY(hrm__cpu_run(&call));
            if (w->comm && w->last_part && last[list[i].net] == i)
                HRM__TRY(w->comm->sum(w->comm->user,
                                      w->grads + w->at.net_offset[list[i].net] + (size_t)call.layer * w->at.block_size,
                                      w->at.block_size, NULL));
        }
        int count = hrm_flow_moves(&flow, list, i, buffer, moves);
        for (int k = 0; k < count; k++) {
            call.move.to = call.c.dz + (size_t)moves[k].to * each;
            call.move.from = call.c.dz + (size_t)moves[k].from * each;
            call.move.add = moves[k].add;
            call.whole = hrm__move_gradient;
            HRM__TRY(hrm__cpu_run(&call));
        }
    }
    w->de = flow.at[HRM_MAX_STATES];
    return HRM_OK;
}

/* ---- embedded input ----------------------------------------------------------------------------------------- >>embed -----
 *
 *   e = sqrt(D) [puzzle row, zero-padded to P D; embed_tokens[token]],      sqrt(D) 0.7071 (… + embed_pos) with learned
 *   positions
 */
static void hrm__embed_part(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles)
{
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    size_t D = (size_t)d->D, S = (size_t)d->S, P = (size_t)d->P, T = (size_t)d->T, ndim = (size_t)d->puzzle_ndim, b, end;
    hrm_real scale = hrm__sqrt((hrm_real)d->D), *e = (hrm_real *)w->e;
    (void)thread;
    hrm__team_range(team, puzzles * S, 1, &b, &end);
    for (size_t i = first * S + b; i < first * S + end; i++) {
        size_t puzzle = i / S, s = i % S;
        hrm_real *out = e + i * D;
        if (s < P) {
            const hrm_real *row = w->puzzle + (size_t)w->ids[puzzle] * ndim;
            for (size_t j = 0; j < D; j++) out[j] = s * D + j < ndim ? row[s * D + j] : 0;
        } else {
            memcpy(out, w->params + w->at.embed_tokens + (size_t)w->inputs[puzzle * T + s - P] * D, D * sizeof *out);
        }
        if (d->learned) {
            const hrm_real *pos = w->params + w->at.embed_pos + s * D;
            for (size_t j = 0; j < D; j++) out[j] = (hrm_real)0.707106781 * (out[j] + pos[j]);
        }
        for (size_t j = 0; j < D; j++) out[j] *= scale;
    }
}

static hrm_status hrm__cpu_embed(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    call.part = hrm__embed_part;
    return hrm__cpu_run(&call);
}

static void hrm__embed_gradients(const hrm__cpu_call *call, const hrm__team *team)
{
    /* each thread its columns, all rows in order: sums do not depend on the number of threads */
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    size_t D = (size_t)d->D, S = (size_t)d->S, P = (size_t)d->P, T = (size_t)d->T, ndim = (size_t)d->puzzle_ndim, b, end;
    hrm_real scale = hrm__sqrt((hrm_real)d->D) * (d->learned ? (hrm_real)0.707106781 : 1);
    hrm_real *tokens = NULL, *pos = NULL;
    if (w->train != 3) tokens = w->grads + w->at.embed_tokens, pos = w->grads + w->at.embed_pos;
    const hrm_real *de = call->c.dz + (size_t)w->de * hrm__rows(d, (size_t)d->B) * D;
    hrm__team_range(team, D, 16, &b, &end);
    for (size_t i = 0; i < (size_t)w->rows; i++)
        for (size_t s = 0; s < S; s++) {
            const hrm_real *g = de + (i * S + s) * D;
            if (d->learned && pos)
                for (size_t j = b; j < end; j++) pos[s * D + j] += scale * g[j];
            if (s < P) {
                for (size_t j = b; j < end; j++)
                    if (s * D + j < ndim) w->puzzle_grad[i * ndim + s * D + j] += scale * g[j];
            } else if (tokens) {
                hrm_real *row = tokens + (size_t)w->inputs[i * T + s - P] * D;
                for (size_t j = b; j < end; j++) row[j] += scale * g[j];
            }
        }
}

static hrm_status hrm__cpu_embed_backward(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    if (w->de < 0) return HRM_OK; /* no pass with gradient reads e */
    call.whole = hrm__embed_gradients;
    return hrm__cpu_run(&call);
}

/* ---- heads: logits = lm_head z[0] from position P on, q = q_head z[0] at position 0 + bias ------------------ >>heads -----*/
static void hrm__heads_part(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles)
{
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    size_t D = (size_t)d->D, S = (size_t)d->S, T = (size_t)d->T, V = (size_t)d->V;
    hrm__thread_scratch s = hrm__cpu_scratch(call, team, thread, puzzles);
    for (size_t i = first; i < first + puzzles; i++) {
        const hrm_real *z = call->from + i * S * D;
        if (team->id == 0)
            for (size_t k = 0; k < 2; k++) {
                const hrm_real *weight = w->params + w->at.q_head_weight + k * D;
                hrm_real sum = 0;
                for (size_t j = 0; j < D; j++) sum += z[j] * weight[j];
                call->q[2 * i + k] = sum + w->params[w->at.q_head_bias + k];
            }
        if (!call->with_logits) continue;
        hrm_real *logits = w->logits + i * T * V;
        hrm__gemm(logits, V, z + (S - T) * D, D, call->prepared.lm_head, T, V, D, 0, s.own, team);
        hrm__team_barrier(team);
        if (team->id != 0) continue;
        for (size_t t = 0; t < T; t++) {
            size_t best = 0;
            for (size_t j = 1; j < V; j++)
                if (logits[t * V + j] > logits[t * V + best]) best = j;
            w->predictions[i * T + t] = (int32_t)best;
        }
    }
}

static hrm_status hrm__cpu_heads(hrm_device *dev, hrm_work *w, const void *z, hrm_real *q, int with_logits)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    call.part = hrm__heads_part;
    call.from = (const hrm_real *)z;
    call.q = q;
    call.with_logits = with_logits;
    return hrm__cpu_run(&call);
}

static void hrm__pack_lm_head_t(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    hrm__pack(call->c.weights_t, w->params + w->at.lm_head, (size_t)w->d.V, (size_t)w->d.D, 1, team);
}

static void hrm__heads_backward_part(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles)
{
    /* dz of state 0: logits' part from position P on, q's at position 0 (which may be a token's when P is 0), 0 elsewhere */
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    size_t D = (size_t)d->D, S = (size_t)d->S, T = (size_t)d->T, V = (size_t)d->V, P = S - T;
    hrm__thread_scratch s = hrm__cpu_scratch(call, team, thread, puzzles);
    for (size_t i = first; i < first + puzzles; i++) {
        hrm_real *dz = call->c.dz + i * S * D;
        if (team->id == 0) memset(dz, 0, P * D * sizeof *dz);
        hrm__gemm(dz + P * D, D, w->dlogits + i * T * V, V, call->c.weights_t, T, D, V, 0, s.own, team);
        hrm__team_barrier(team);
        if (team->id != 0) continue;
        const hrm_real *weight = w->params + w->at.q_head_weight;
        for (size_t j = 0; j < D; j++) dz[j] += w->dq[2 * i] * weight[j] + w->dq[2 * i + 1] * weight[D + j];
    }
}

static void hrm__heads_gradients(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    size_t D = (size_t)d->D, S = (size_t)d->S, T = (size_t)d->T, V = (size_t)d->V;
    hrm__thread_scratch s = hrm__cpu_scratch(call, team, team->id, 1);
    const hrm_real *z = (const hrm_real *)w->z[0];
    hrm_real *g = w->grads;
    for (size_t i = 0; i < (size_t)w->rows; i++) {
        hrm__gemm_tn(g + w->at.lm_head, D, w->dlogits + i * T * V, V, z + (i * S + S - T) * D, D, T, V, D, 1, s.own, team);
        hrm__team_barrier(team);
    }
    if (team->id != 0) return;
    for (size_t i = 0; i < (size_t)w->rows; i++)
        for (size_t k = 0; k < 2; k++) {
            hrm_real dq = w->dq[2 * i + k];
            for (size_t j = 0; j < D; j++) g[w->at.q_head_weight + k * D + j] += dq * z[i * S * D + j];
            g[w->at.q_head_bias + k] += dq;
        }
}

static hrm_status hrm__cpu_heads_backward(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    if (w->scaling) {
        size_t n = (size_t)w->rows, logits = n * (size_t)w->d.T * (size_t)w->d.V;
        for (size_t i = 0; i < logits; i++) w->dlogits[i] *= (hrm_real)w->scaling->scale;
        for (size_t i = 0; i < 2 * n; i++) w->dq[i] *= (hrm_real)w->scaling->scale;
    }
    call.whole = hrm__pack_lm_head_t;
    HRM__TRY(hrm__cpu_run(&call));
    call.whole = NULL;
    call.part = hrm__heads_backward_part;
    HRM__TRY(hrm__cpu_run(&call));
    call.whole = hrm__heads_gradients;
    return w->train == 3 ? HRM_OK : hrm__cpu_run(&call);
}

/* ---- adaptive computation: what happens before and after the model in a segment ------------------------------ >>halting --*/
static void hrm__act_begin_part(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles)
{
    hrm_work *w = call->w;
    size_t D = (size_t)w->d.D, S = (size_t)w->d.S, T = (size_t)w->d.T;
    (void)thread;
    if (team->id != 0) return;
    for (size_t i = first; i < first + puzzles; i++) {
        if (!w->halted[i]) continue;
        for (int state = 0; state < w->d.states; state++)
            for (size_t s = 0; s < S; s++) {
                hrm_real *z = (hrm_real *)w->z[state] + (i * S + s) * D;
                memcpy(z, w->params + w->at.init[state], D * sizeof(hrm_real));
                for (size_t k = 0; k < D && w->step->start_noise > 0; k++)
                    z[k] += (hrm_real)hrm__start_noise(w->step, w->first_row + (int32_t)i, state, (uint32_t)(s * D + k));
            }
        w->steps[i] = 0;
        memcpy(w->inputs + i * T, w->new_inputs + i * T, T * sizeof *w->inputs);
        memcpy(w->labels + i * T, w->new_labels + i * T, T * sizeof *w->labels);
        if (w->puzzle_grad && w->ids[i] != w->new_ids[i])
            memset(w->puzzle_grad + i * (size_t)w->d.puzzle_ndim, 0, (size_t)w->d.puzzle_ndim * sizeof *w->puzzle_grad);
        w->ids[i] = w->new_ids[i];
    }
}

static hrm_status hrm__cpu_act_begin(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    call.part = hrm__act_begin_part;
    return hrm__cpu_run(&call);
}

static hrm_status hrm__cpu_act_end(hrm_device *dev, hrm_work *w)
{
    (void)dev;
    for (int32_t i = 0; i < w->rows; i++) {
        int32_t minimum = w->step->fixed_exploration ? w->min_halt_steps[i] : hrm__exploration(w->step, w->first_row + i);
        w->halted[i] = hrm__halts(w->step, w->train, ++w->steps[i], w->q + 2 * i, minimum);
    }
    return HRM_OK;
}

/* ---- losses of the segment: CE + w (L(q_halt, exact) + L(q_continue, target)) + ponder -------------------- >>objective -*/
static void hrm__losses_part(const hrm__cpu_call *call, const hrm__team *team, int thread, size_t first, size_t puzzles)
{
    hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    size_t T = (size_t)d->T, V = (size_t)d->V;
    double scale = (double)w->step->loss_scale;
    (void)thread;
    if (team->id != 0) return;
    for (size_t i = first; i < first + puzzles; i++) {
        int correct, labelled;
        double lm = hrm_cross_entropy_smoothed(d->softmax ? HRM_SOFTMAX_CROSS_ENTROPY : HRM_STABLEMAX_CROSS_ENTROPY,
                                               w->train ? (double)w->step->label_smoothing : 0,
                                               w->train ? w->dlogits + i * T * V : NULL, w->logits + i * T * V,
                                               w->labels + i * T, T, V, scale, &correct, &labelled);
        size_t learns = w->train ? i : 0; /* what is there in training only */
        hrm__row_losses(call->c.row_sums + i * HRM_METRIC_SUMS, w->dq + 2 * learns, w->target_q + learns, w->step, w->train,
                        w->q + 2 * i, w->q2 + 2 * learns, w->steps[i], w->halted[i], labelled, correct, lm);
    }
}

static hrm_status hrm__cpu_losses(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    call.part = hrm__losses_part;
    HRM__TRY(hrm__cpu_run(&call));
    if (w->first_row == 0) memset(w->metrics, 0, HRM_METRIC_SUMS * sizeof *w->metrics);
    for (int i = 0; i < w->rows; i++)
        for (int k = 0; k < HRM_METRIC_SUMS; k++) w->metrics[k] += call.c.row_sums[i * HRM_METRIC_SUMS + k];
    double total = w->metrics[HRM_M_LM_LOSS] + w->metrics[HRM_M_Q_HALT_LOSS] + w->metrics[HRM_M_Q_CONTINUE_LOSS] +
                   w->metrics[HRM_M_PONDER_LOSS];
    if (!(total - total == 0)) *w->bad = 1; /* infinite or not a number */
    return HRM_OK;
}

/* ---- updates ------------------------------------------------------------------------------------------------- >>updates --*/
static void hrm__adam_range(const hrm_work *w, hrm_optimizer optimizer, size_t from, hrm_real *g, size_t n, int rate,
                            const hrm__team *team)
{
    /* params, m, v from `from` on, g [n] */
    const hrm_step *s = w->step;
    size_t b, e;
    hrm__team_range(team, n, 64, &b, &e);
    double lr = (double)s->rates[rate].lr;
    hrm_real decay = (hrm_real)(1 - lr * (double)s->rates[rate].weight_decay), step = (hrm_real)(lr / (double)s->bias1);
    hrm_real *p = w->params + from + b, *m = w->m + from + b, *v = w->v + from + b;
    if (optimizer == HRM_ADAM_ATAN2)
        hrm__adam_atan2(p, m, v, g + b, e - b, decay, step, (hrm_real)s->beta1, (hrm_real)s->beta2, (hrm_real)s->bias2);
    else
        hrm__adamw(p, m, v, g + b, e - b, decay, step, (hrm_real)s->beta1, (hrm_real)s->beta2, (hrm_real)s->bias2,
                   (hrm_real)s->adam_eps);
}

static size_t hrm__gradient_count(const hrm_layout *at, int train)
{
    return train == 3 ? 0 : train == 2 ? at->net_offset[0] : at->trained;
}

/* The sum of squares does not depend on the threads: the arena is cut into equal parts, each summed by one, added in order. */
static void hrm__norm_part(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    size_t n = hrm__gradient_count(&w->at, w->train), each = (n + HRM__NORM_PARTS - 1) / HRM__NORM_PARTS, b, e;
    hrm__team_range(team, HRM__NORM_PARTS, 1, &b, &e);
    for (; b < e; b++) {
        double sum = 0;
        for (size_t i = hrm__min_size(n, b * each); i < hrm__min_size(n, (b + 1) * each); i++)
            sum += (double)w->grads[i] * (double)w->grads[i];
        call->c.norm_parts[b] = sum;
    }
}

static hrm_status hrm__cpu_norm(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    call.whole = hrm__norm_part;
    HRM__TRY(hrm__cpu_run(&call));
    *w->norm = 0;
    for (int i = 0; i < HRM__NORM_PARTS; i++) *w->norm += call.c.norm_parts[i];
    if (!(*w->norm - *w->norm == 0) && !w->scaling) *w->bad = 1;
    return HRM_OK;
}

static int hrm__unscale(hrm_real *g, size_t n, float scale)
{
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        g[i] /= (hrm_real)scale;
        bad |= !(g[i] - g[i] == 0);
    }
    return bad;
}

static hrm_status hrm__cpu_unscale(hrm_device *dev, hrm_work *w)
{
    (void)dev;
    w->scaling->skip = hrm__unscale(w->grads, hrm__gradient_count(&w->at, w->train), w->scaling->scale);
    w->scaling->skip |= hrm__unscale(w->all_puzzle_grad, (size_t)w->all_rows * (size_t)w->d.puzzle_ndim, w->scaling->scale);
    hrm__scaling_next(w->scaling, w->step, w->bad);
    return HRM_OK;
}

static void hrm__update_part(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    const hrm_group *group = &call->group;
    hrm_real factor = hrm__clip_factor(w->step->grad_clip, *w->norm), *g = w->grads + group->from;
    size_t b, e;
    hrm__team_range(team, group->count, 64, &b, &e);
    for (size_t i = b; i < e && factor < 1; i++) g[i] *= factor;
    hrm__adam_range(w, group->optimizer, group->from, g, group->count, group->rate, team);
    memset(g + b, 0, (e - b) * sizeof *g);
}

static void hrm__muon_part(const hrm__cpu_call *call, const hrm__team *team)
{
    /* every matrix of every block, one after the other, by all */
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    hrm_real factor = hrm__clip_factor(w->step->grad_clip, *w->norm);
    double lr = (double)w->step->rates[call->group.rate].lr, decay = (double)w->step->rates[call->group.rate].weight_decay;
    hrm_real *own = hrm__cpu_scratch(call, team, team->id, 1).own;
    for (int net = 0; net < d->nets; net++)
        for (int i = 0; i < d->layers[net] * HRM_BLOCK_TENSORS; i++) {
            int tensor = i % HRM_BLOCK_TENSORS;
            size_t rows = hrm__block_rows(d, tensor), columns = hrm__block_columns(d, tensor), b, e;
            size_t at = w->at.net_offset[net] + (size_t)(i / HRM_BLOCK_TENSORS) * w->at.block_size + w->at.block_offset[tensor];
            hrm__muon_space space;
            hrm__muon_plan(&space, call->c.muon.x, rows, columns);
            hrm__muon(w->params + at, w->m + at, w->grads + at, factor, rows, columns, lr, (double)w->step->muon_momentum,
                      decay, d->muon_ns_steps, &space, own, team);
            hrm__team_range(team, rows * columns, 64, &b, &e);
            memset(w->grads + at + b, 0, (e - b) * sizeof *w->grads);
        }
}

static hrm_status hrm__cpu_update(hrm_device *dev, hrm_work *w, const hrm_group *groups, int n)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    size_t ndim = (size_t)w->d.puzzle_ndim, rows = (size_t)w->rows;
    if (*w->bad) return HRM_OK;
    if (w->scaling && w->scaling->skip) {
        memset(w->grads, 0, hrm__gradient_count(&w->at, w->train) * sizeof *w->grads);
        memset(w->puzzle_grad, 0, rows * ndim * sizeof *w->puzzle_grad);
        return HRM_OK;
    }
    for (int i = 0; i < n; i++) {
        call.group = groups[i];
        if (call.group.optimizer != HRM_SIGN_SGD) {
            call.whole = call.group.optimizer == HRM_MUON ? hrm__muon_part : hrm__update_part;
            HRM__TRY(hrm__cpu_run(&call));
            continue;
        }
        hrm_sign_sgd(w->puzzle, w->all_puzzle_grad, w->all_ids, (size_t)w->all_rows, ndim,
                     (double)w->step->rates[call.group.rate].lr, (double)w->step->rates[call.group.rate].weight_decay);
        memset(w->puzzle_grad, 0, rows * ndim * sizeof *w->puzzle_grad);
    }
    return HRM_OK;
}

static void hrm__average_part(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    hrm_real keep = (hrm_real)w->step->ema_rate, *p = w->params, *average = w->average;
    size_t b, e;
    hrm__team_range(team, w->at.trained, 64, &b, &e);
    for (size_t i = b; i < e; i++) {
        hrm_real had = average[i];
        average[i] = call->swap ? p[i] : keep * had + (1 - keep) * p[i];
        if (call->swap) p[i] = had;
    }
}

static hrm_status hrm__cpu_average(hrm_device *dev, hrm_work *w, int swap)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    if ((*w->bad || (w->scaling && w->scaling->skip)) && !swap) return HRM_OK;
    call.whole = hrm__average_part;
    call.swap = swap;
    return hrm__cpu_run(&call);
}

static void hrm__prepare_part(const hrm__cpu_call *call, const hrm__team *team)
{
    const hrm_work *w = call->w;
    const hrm_dims *d = &w->d;
    for (int net = 0; net < d->nets; net++)
        for (int layer = 0; layer < d->layers[net]; layer++)
            for (int i = 0; i < HRM_BLOCK_TENSORS; i++) {
                hrm_real *to = call->prepared.blocks[net] + (size_t)layer * call->prepared.each + call->prepared.at[i];
                const hrm_real *from =
                    w->params + w->at.net_offset[net] + (size_t)layer * w->at.block_size + w->at.block_offset[i];
                size_t N = hrm__block_rows(d, i), K = hrm__block_columns(d, i);
                if (d->dtype == HRM_FORWARD_INT8) hrm__pack_bytes(to, from, N, K, team);
                else if (d->dtype == HRM_FORWARD_BFLOAT16) hrm__pack_bf16((uint16_t *)(void *)to, from, N, K, team);
                else hrm__pack(to, from, N, K, 0, team);
            }
    hrm__pack(call->prepared.lm_head, w->params + w->at.lm_head, (size_t)d->V, (size_t)d->D, 0, team);
}

static hrm_status hrm__cpu_prepare(hrm_device *dev, hrm_work *w)
{
    hrm__cpu_call call = hrm__cpu_call_make(dev, w);
    if (call.prepared.cosines[0] != 1) /* cos 0: the tables were not made yet */
        hrm_rope_table(call.prepared.cosines, call.prepared.sines, (size_t)w->d.S, (size_t)w->d.head_dim, (double)w->d.theta);
    call.whole = hrm__prepare_part;
    return hrm__cpu_run(&call);
}

/* ---- the rest of the table ----------------------------------------------------------------------------------- >>cpu-table */
static hrm_status hrm__cpu_open(hrm_device **out, const hrm_device_desc *desc)
{
    void *p;
    HRM__TRY(hrm__alloc_zero(desc->allocator, &p, 1, sizeof(hrm_device), "device"));
    hrm_device *dev = (hrm_device *)p;
    dev->allocator = desc->allocator;
    dev->pool = desc->pool;
    *out = dev;
    return HRM_OK;
}
static void       hrm__cpu_close(hrm_device *dev) { hrm__free(dev->allocator, dev, 1, sizeof *dev); }
static hrm_status hrm__cpu_buffer_alloc(hrm_device *dev, void **p, size_t bytes)
{
    return hrm__alloc_zero(dev->allocator, p, bytes, 1, "model memory");
}
static void       hrm__cpu_buffer_free(hrm_device *dev, void *p, size_t bytes) { hrm__free(dev->allocator, p, bytes, 1); }
static hrm_status hrm__cpu_copy(hrm_device *dev, void *dst, const void *src, size_t bytes)
{
    (void)dev;
    if (bytes) memmove(dst, src, bytes);
    return HRM_OK;
}
static hrm_status hrm__cpu_upload(hrm_device *dev, void *dst, const void *host, size_t bytes)
{
    return hrm__cpu_copy(dev, dst, host, bytes);
}
static hrm_status hrm__cpu_download(hrm_device *dev, void *host, const void *src, size_t bytes)
{
    return hrm__cpu_copy(dev, host, src, bytes);
}
static hrm_status hrm__cpu_zero(hrm_device *dev, void *dst, size_t bytes)
{
    (void)dev;
    if (bytes) memset(dst, 0, bytes);
    return HRM_OK;
}
static hrm_status hrm__cpu_sync(hrm_device *dev) { (void)dev; return HRM_OK; }
static hrm_status hrm__cpu_sizes(hrm_device *dev, const hrm_dims *d, int train, hrm_device_sizes *sizes)
{
    hrm__cpu_work work;
    hrm__prepared prepared;
    (void)dev;
    sizes->activation = sizeof(hrm_real);
    sizes->prepared = hrm__plan_prepared(d, NULL, &prepared);
    sizes->work = hrm__plan_cpu_work(d, train, NULL, &work);
    return HRM_OK;
}
static hrm_status hrm__cpu_begin_step(hrm_device *dev, hrm_work *w, uint64_t key, int *replayed)
{
    (void)dev, (void)w, (void)key;
    *replayed = 0;
    return HRM_OK;
}
static hrm_status hrm__cpu_end_step(hrm_device *dev, hrm_work *w, uint64_t key)
{
    (void)dev, (void)w, (void)key;
    return HRM_OK;
}
static void       hrm__cpu_forget(hrm_device *dev, hrm_work *w) { (void)dev, (void)w; }
static hrm_status hrm__cpu_gather(hrm_device *dev, hrm_work *w, const int32_t *rows, int n)
{
    size_t z = (size_t)w->d.S * (size_t)w->d.D, T = (size_t)w->d.T;
    (void)dev;
    for (int i = 0; i < n; i++) {
        size_t to = (size_t)i, from = (size_t)rows[i];
        if (to == from) continue;
        for (int k = 0; k < w->d.states; k++)
            memcpy((hrm_real *)w->z[k] + to * z, (hrm_real *)w->z[k] + from * z, z * sizeof(hrm_real));
        memcpy((hrm_real *)w->e + to * z, (hrm_real *)w->e + from * z, z * sizeof(hrm_real));
        memcpy(w->inputs + to * T, w->inputs + from * T, T * sizeof *w->inputs);
        memcpy(w->labels + to * T, w->labels + from * T, T * sizeof *w->labels);
        w->ids[to] = w->ids[from];
        w->steps[to] = w->steps[from];
        w->halted[to] = w->halted[from];
    }
    w->rows = n;
    return HRM_OK;
}
/* A rank with a row less than others gathers one more: of an id that it has, its gradient 0, which changes no sum. */
static hrm_status hrm__cpu_reduce(hrm_device *dev, hrm_work *w)
{
    const hrm_comm *comm = w->comm;
    if (!comm) return HRM_OK;
    double *mine = w->shares + comm->size * HRM_SHARE;
    size_t most = (size_t)(w->all_rows / comm->size), ndim = (size_t)w->d.puzzle_ndim, n = (size_t)w->rows;
    (void)dev;
    if (w->train != 3) HRM__TRY(comm->sum(comm->user, w->grads, w->at.net_offset[0], NULL));
    if (ndim) {
        if (n < most) w->ids[n] = w->ids[0];
        HRM__TRY(comm->gather(comm->user, w->all_ids, w->ids, most * sizeof *w->ids, 1, NULL));
        HRM__TRY(comm->gather(comm->user, w->all_puzzle_grad, w->puzzle_grad, most * ndim * sizeof(hrm_real), 1, NULL));
    }
    memcpy(mine, w->metrics, HRM_METRIC_SUMS * sizeof *mine);
    mine[HRM_METRIC_SUMS] = *w->bad;
    HRM__TRY(comm->gather(comm->user, w->shares, mine, HRM_SHARE * sizeof *mine, 1, NULL));
    hrm__unite(w->metrics, w->bad, w->shares, comm->size);
    return comm->wait(comm->user, NULL);
}

static hrm_status hrm__cpu_post(hrm_device *dev, int slot, size_t at, const void *src, size_t bytes)
{
    memcpy(dev->slots[slot] + at, src, bytes);
    return HRM_OK;
}
static hrm_status hrm__cpu_collect(hrm_device *dev, int slot, size_t at, void *host, size_t bytes)
{
    memcpy(host, dev->slots[slot] + at, bytes);
    return HRM_OK;
}

static const hrm_device_table hrm__cpu_table = {
    HRM_DEVICE_VERSION, (uint32_t)sizeof(hrm_device_table), "cpu", 1, 0,
#define HRM__CALL(type, name, arguments) hrm__cpu_##name,
    HRM_DEVICE_CALLS(HRM__CALL)
#undef HRM__CALL
};

HRM_API const hrm_device_table *hrm_cpu_device(void) { return &hrm__cpu_table; }

/* ==================================================================================================== >>model =============*/

/* ---- what a description means, resolved and checked ------------------------------------------------------- >>describe ----*/
static const char *const hrm__forward_names[] = {"default", "float32", "bfloat16", "float16", "int8"};

static hrm_status hrm__resolve_recurrence(const hrm_recurrence *r, hrm_dims *d)
{
    int learns = 0; /* the last pass of state 0 has a gradient */
    if (r->states < 1 || r->states > HRM_MAX_STATES || r->nets < 1 || r->nets > HRM_MAX_NETS || r->num_passes < 1)
        return hrm__fail(HRM_ERR_ARGUMENT,
                         "recurrence: %d states, %d networks, %d passes, expected 1 to %d, 1 to %d, 1 or more", r->states,
                         r->nets, r->num_passes, HRM_MAX_STATES, HRM_MAX_NETS);
    for (int i = 0; i < r->nets; i++)
        if (r->layers[i] < 1 || r->layers[i] > 1 << 10)
            return hrm__fail(HRM_ERR_ARGUMENT, "recurrence: network %d has %d layers, expected 1 to %d", i, r->layers[i],
                             1 << 10);
    for (int i = 0; i < r->num_passes; i++) {
        const hrm_pass *p = &r->passes[i];
        if (p->state < 0 || p->state >= r->states || p->net < 0 || p->net >= r->nets ||
            p->inputs & ~(((1u << r->states) - 1) | HRM_INPUT_E))
            return hrm__fail(
                HRM_ERR_ARGUMENT,
                "recurrence: pass %d: state %d, network %d or inputs 0x%x is none of its %d states and %d networks", i,
                p->state, p->net, p->inputs, r->states, r->nets);
        if (p->state == 0) learns = p->slot >= 0;
    }
    if (!learns)
        return hrm__fail(HRM_ERR_ARGUMENT, "recurrence: the last pass of state 0, which the heads read, has no gradient");
    d->states = r->states;
    d->nets = r->nets;
    for (int i = 0; i < r->nets; i++) d->layers[i] = r->layers[i];
    d->kept = hrm_passes_place(NULL, r->passes, r->num_passes, d->layers);
    return HRM_OK;
}

static int hrm__lay_passes(const hrm_model_desc *desc, const hrm_dims *d, hrm_pass *list, int gradient)
{
    /* a segment's passes, placed; without gradient those of the target's and the solver's -> how many; list NULL: counts */
    const hrm_recurrence *r = desc->recurrence;
    int most =
        d->grad_H_cycles < d->H_cycles ? d->grad_H_cycles : d->H_cycles; /* fewer than that in a curriculum's beginning */
    int n = r ? r->num_passes : hrm_passes_lay(list, d->nets, d->H_cycles, d->L_cycles, gradient ? most : -1);
    if (!list) return n;
    if (r) memcpy(list, r->passes, (size_t)n * sizeof *list);
    for (int i = 0; i < n && !gradient; i++) list[i].slot = -1;
    hrm_passes_place(list, list, n, d->layers);
    return n;
}

static hrm_kept hrm__kept_of(const hrm_dims *d)
{
    /* what hrm_passes_place() counts of HRM's list, without a list of that length: how many gradients live at once is the same
     * from two cycles on, and of the outputs each state still has its last */
    hrm_pass list[6];
    int H = d->grad_H_cycles ? d->grad_H_cycles : 1, L = d->grad_H_cycles ? d->L_cycles : 1;
    int n = hrm_passes_lay(list, d->nets, H < 2 ? H : 2, L < 2 ? L : 2, d->grad_H_cycles);
    hrm_kept kept = hrm_passes_place(NULL, list, n, d->layers);
    kept.slots = H * (L + 1);
    kept.blocks = H * (L * d->layers[d->nets - 1] + d->layers[0]);
    kept.outs = kept.slots - 2;
    return kept;
}

/* The lists of keys as a table: where a value stands in its description, and the flag that says 0 (at the value itself: none
 * does). */
typedef enum hrm__kind { HRM__INT, HRM__FLOAT, HRM__FLAG, HRM__WORD } hrm__kind;
typedef struct hrm__key { const char *name, *words; hrm__kind kind; size_t at, zero; double standard, low, high; } hrm__key;
#define HRM__KEY(type, kind, key, ...)  HRM__KEY_##kind(type, __VA_ARGS__)
    #define HRM__KEY_INT(type, field, standard, low, high, none, help) \
        {#field, NULL, HRM__INT, offsetof(type, field), offsetof(type, none), standard, low, high},
    #define HRM__KEY_FLOAT(type, field, standard, low, high, none, help) \
        {#field, NULL, HRM__FLOAT, offsetof(type, field), offsetof(type, none), standard, low, high},
    #define HRM__KEY_FLAG(type, field, help) {#field, NULL, HRM__FLAG, offsetof(type, field), offsetof(type, field), 0, 0, 1},
    #define HRM__KEY_WORD(type, field, words, help) \
        {#field, words, HRM__WORD, offsetof(type, field), offsetof(type, field), 0, 0, HRM__MOST_WORDS},
enum { HRM__MOST_WORDS = 15 };
static const hrm__key hrm__model_keys[] = {HRM_MODEL_KEYS(HRM__KEY, hrm_model_desc)};
static const hrm__key hrm__train_keys[] = {HRM_TRAIN_KEYS(HRM__KEY, hrm_train_desc)};

static double hrm__key_get(const void *desc, const hrm__key *k, int *said)
{
    /* the value of a field; a 0 is not said, but where its flag says it */
    const char *p = (const char *)desc;
    float real;
    int whole, none = 0;
    memcpy(&real, p + k->at, sizeof real);
    memcpy(&whole, p + k->at, sizeof whole);
    if (k->zero != k->at) memcpy(&none, p + k->zero, sizeof none);
    double value = none ? 0 : k->kind == HRM__FLOAT ? (double)real : whole;
    *said = none || value != 0;
    return value;
}

static void hrm__key_set(void *desc, const hrm__key *k, double value)
{
    float real = (float)value;
    int whole = k->kind == HRM__FLOAT ? 0 : (int)value;
    memcpy((char *)desc + k->at, k->kind == HRM__FLOAT ? (const void *)&real : (const void *)&whole, 4);
}

static size_t hrm__key_word(const hrm__key *k, int i, const char **word)
{
    /* the i-th word of a WORD -> its length; 0 past the last */
    const char *p = k->words;
    while (i-- > 0 && *p) {
        p += strcspn(p, "|");
        p += *p == '|';
    }
    *word = p;
    return strcspn(p, "|");
}

static hrm_status hrm__keys_resolve(void *desc, const hrm__key *keys, size_t count)
{
    /* fills in the defaults of what was not said, and checks the range of everything */
    for (size_t i = 0; i < count; i++) {
        const hrm__key *k = &keys[i];
        const char *word;
        int said;
        double value = hrm__key_get(desc, k, &said);
        if (!said) value = k->kind == HRM__FLOAT ? (double)(float)k->standard : k->standard;
        if (k->kind == HRM__WORD && (value < 0 || value > k->high || !hrm__key_word(k, (int)value, &word)))
            return hrm__fail(HRM_ERR_ARGUMENT, "%s is %g, which is none of %s", k->name, value, k->words);
        if (k->kind == HRM__INT && !(value >= k->low && value <= k->high) && !(k->zero != k->at && value == 0))
            return hrm__fail(HRM_ERR_ARGUMENT, "%s is %.0f, expected %.0f to %.0f", k->name, value, k->low, k->high);
        if (k->kind == HRM__FLOAT && !(value >= (double)(float)k->low && value <= (double)(float)k->high))
            return hrm__fail(HRM_ERR_ARGUMENT, "%s is %g, expected %g to %g", k->name, value, k->low, k->high);
        hrm__key_set(desc, k, k->kind == HRM__FLAG ? value > 0 : value);
    }
    return HRM_OK;
}

static const char *const hrm__arch_names[] = {
#define HRM__ARCH(index, name, sets) name,
    HRM_ARCHS(HRM__ARCH)
#undef HRM__ARCH
};
static const char *const hrm__arch_sets[] = {
#define HRM__ARCH(index, name, sets) sets,
    HRM_ARCHS(HRM__ARCH)
#undef HRM__ARCH
};

HRM_API const char *hrm_arch_name(hrm_arch arch)
{
    return (int)arch >= 0 && arch < HRM_ARCH_COUNT ? hrm__arch_names[arch] : NULL;
}

HRM_API hrm_status hrm_arch_find(hrm_arch *arch, const char *name)
{
    char all[256] = "";
    size_t n = 0;
    for (int i = 0; i < (int)HRM_ARCH_COUNT; i++) {
        if (strcmp(name, hrm__arch_names[i]) == 0) {
            *arch = (hrm_arch)i;
            return HRM_OK;
        }
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", hrm__arch_names[i]);
    }
    return hrm__fail(HRM_ERR_ARGUMENT, "arch is \"%.80s\", expected one of %s", name, all);
}

static double hrm__plain_decimal(const char *p)
{
    /* 0.2, 1e-4: not by strtod, which reads as the locale writes */
    double value = 0;
    int exponent = 0, point = 0;
    for (; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.') point = 1;
        else value = 10 * value + (*p - '0'), exponent -= point;
    }
    if (*p == 'e') exponent += (int)strtol(p + 1, NULL, 10);
    return exponent < 0 ? value / pow(10, -exponent) : value * pow(10, exponent);
}

static int hrm__arch_value(hrm_arch arch, const hrm__key *k, double *value)
{
    /* what an arch sets a key to; 0: it does not */
    const char *p = hrm__arch_sets[arch], *word;
    size_t length = strlen(k->name), n;
    for (; *p; p += strcspn(p, " "), p += *p == ' ') {
        if (strncmp(p, k->name, length) != 0 || p[length] != '=') continue;
        p += length + 1;
        *value = strtod(p, NULL); /* whole numbers, or read below */
        if (k->kind == HRM__FLOAT) *value = hrm__plain_decimal(p);
        for (int i = 0; k->kind == HRM__WORD && (n = hrm__key_word(k, i, &word)) > 0; i++)
            if (strcspn(p, " ") == n && memcmp(p, word, n) == 0) *value = i;
        return 1;
    }
    return 0;
}

static hrm_status hrm__keys_arch(void *desc, hrm_arch arch, const hrm__key *keys, size_t count)
{
    /* an arch's values where nothing was said */
    double value;
    int said;
    const int yes = 1;
    if (!hrm_arch_name(arch))
        return hrm__fail(HRM_ERR_ARGUMENT, "arch is %d, expected 0 to %d", (int)arch, (int)HRM_ARCH_COUNT - 1);
    for (size_t i = 0; i < count; i++) {
        hrm__key_get(desc, &keys[i], &said);
        if (said || !hrm__arch_value(arch, &keys[i], &value)) continue;
        hrm__key_set(desc, &keys[i], value);
        if (value == 0 && keys[i].zero != keys[i].at) memcpy((char *)desc + keys[i].zero, &yes, sizeof yes);
    }
    return HRM_OK;
}

static double hrm__swiglu_width(double expansion, double D)
{
    return ceil(rint(expansion * D * 2 / 3) / 256) * 256; /* halves to the even number, as Python rounds */
}

static hrm_status hrm__resolve(hrm_model_desc *r, hrm_dims *d)
{
    /* fills in r's defaults, checks everything, -> d with B = 1 */
    HRM__TRY(hrm__keys_arch(r, r->arch, hrm__model_keys, HRM__COUNT(hrm__model_keys)));
    r->arch = HRM_ARCH_HRM; /* all is told now */
    HRM__TRY(hrm__keys_resolve(r, hrm__model_keys, HRM__COUNT(hrm__model_keys)));
    r->one_network = r->H_layers == 0;
    if (r->num_threads == 0) r->num_threads = hrm_cpu_count();
    if (r->num_threads < 1 || r->num_threads > 1024)
        return hrm__fail(HRM_ERR_ARGUMENT, "num_threads is %d, expected 1 to 1024", r->num_threads);
    if (!r->no_puzzle_emb && r->puzzle_emb_ndim == 0) r->puzzle_emb_ndim = r->hidden_size;
    if (r->hidden_size % r->num_heads != 0)
        return hrm__fail(HRM_ERR_SHAPE, "hidden_size %d is not a multiple of num_heads %d", r->hidden_size, r->num_heads);
    if (r->mlp_t && r->causal)
        return hrm__fail(HRM_ERR_ARGUMENT, "mlp_t mixes every position with every other, which causal forbids: choose one");
    if (r->grad_H_cycles > r->H_cycles)
        return hrm__fail(HRM_ERR_ARGUMENT, "grad_H_cycles is %d, more than the %d of H_cycles", r->grad_H_cycles, r->H_cycles);
    if (r->H_cycles_start > r->H_cycles || r->L_cycles_start > r->L_cycles || r->halt_max_steps_start > r->halt_max_steps) {
        int H = r->H_cycles_start > r->H_cycles, L = !H && r->L_cycles_start > r->L_cycles;
        return hrm__fail(HRM_ERR_ARGUMENT, "%s_start is %d, more than the %d it grows to",
                         H ? "H_cycles" : L ? "L_cycles" : "halt_max_steps",
                         H ? r->H_cycles_start : L ? r->L_cycles_start : r->halt_max_steps_start,
                         H ? r->H_cycles : L ? r->L_cycles : r->halt_max_steps);
    }
    if (r->pos_encodings == HRM_ROPE && !r->mlp_t && r->hidden_size / r->num_heads % 2 != 0)
        return hrm__fail(HRM_ERR_SHAPE, "rope needs an even head size; hidden_size %d over num_heads %d gives %d",
                         r->hidden_size, r->num_heads, r->hidden_size / r->num_heads);
    if ((int)r->device < 0 || r->device > HRM_CUDA || (int)r->forward_dtype < 0 || r->forward_dtype > HRM_FORWARD_INT8)
        return hrm__fail(HRM_ERR_ARGUMENT, "device %d or forward_dtype %d is not one of its values", (int)r->device,
                         (int)r->forward_dtype);
    if (r->forward_dtype == HRM_FORWARD_FLOAT16 && r->device == HRM_CPU)
        return hrm__fail(HRM_ERR_UNSUPPORTED,
                         "forward_dtype float16 is for CUDA; on the CPU float32 trains and solves, bfloat16 and int8 solve");
    if (r->forward_dtype == HRM_FORWARD_DEFAULT)
        r->forward_dtype = r->device == HRM_CUDA ? HRM_FORWARD_BFLOAT16 : HRM_FORWARD_FLOAT32;
    if ((int)r->cycles_dtype < 0 || r->cycles_dtype > HRM_CYCLES_FP8)
        return hrm__fail(HRM_ERR_ARGUMENT, "cycles_dtype %d is not one of its values", (int)r->cycles_dtype);
    if (r->cycles_dtype == HRM_CYCLES_FP8 && (r->device == HRM_CPU || r->forward_dtype != HRM_FORWARD_BFLOAT16))
        return hrm__fail(HRM_ERR_UNSUPPORTED,
                         "cycles_dtype fp8 is for CUDA with forward_dtype bfloat16, this model runs on %s in %s",
                         r->device == HRM_CPU ? "the CPU" : "CUDA", hrm__forward_names[r->forward_dtype]);
    memset(d, 0, sizeof *d);
    d->B = 1;
    d->T = r->seq_len;
    d->D = r->hidden_size;
    d->P = (r->puzzle_emb_ndim + d->D - 1) / d->D;
    if (r->puzzle_emb_len && r->puzzle_emb_ndim) {
        if (d->P > r->puzzle_emb_len)
            return hrm__fail(HRM_ERR_SHAPE, "puzzle_emb_ndim is %d, more than puzzle_emb_len %d times hidden_size %d holds",
                             r->puzzle_emb_ndim, r->puzzle_emb_len, d->D);
        d->P = r->puzzle_emb_len;
    }
    d->S = d->P + d->T;
    d->V = r->vocab_size;
    double width = hrm__swiglu_width((double)r->expansion, d->D);
    if (width < 256 || width > 1 << 20)
        return hrm__fail(HRM_ERR_ARGUMENT, "expansion %g makes the SwiGLU %g wide, expected 256 to %d", (double)r->expansion,
                         width, 1 << 20);
    d->I = (int)width;
    d->mixer = r->mlp_t;
    d->mlp_norm = r->mlp_norm;
    width = d->mixer ? hrm__swiglu_width((double)r->expansion, d->S) : 0;
    if (d->mixer && (width < 256 || width > 1 << 20))
        return hrm__fail(HRM_ERR_ARGUMENT, "expansion %g makes the SwiGLU over positions %g wide, expected 256 to %d",
                         (double)r->expansion, width, 1 << 20);
    d->I_t = (int)width;
    int widest = d->I > d->I_t ? d->I : d->I_t, longest = d->mixer && d->S > d->D ? d->S : d->D;
    if (r->device == HRM_CPU && r->forward_dtype == HRM_FORWARD_INT8 && (longest > 1 << 16 || widest > 1 << 16))
        return hrm__fail(HRM_ERR_UNSUPPORTED,
                         "forward_dtype int8 goes up to a width of %d; this model has one of %d, a SwiGLU %d wide", 1 << 16,
                         longest, widest);
    d->heads = r->num_heads;
    d->head_dim = d->D / d->heads;
    d->puzzle_ids = r->no_puzzle_emb ? 0 : r->num_puzzle_identifiers;
    d->puzzle_ndim = r->puzzle_emb_ndim;
    d->learned = r->pos_encodings == HRM_LEARNED;
    d->rope = r->pos_encodings == HRM_ROPE && !d->mixer;
    d->no_continue = r->no_ACT_continue;
    d->causal = r->causal != 0;
    d->softmax = r->loss_type == HRM_SOFTMAX_CROSS_ENTROPY;
    d->halt_max_steps = r->halt_max_steps;
    d->eps = r->rms_norm_eps;
    d->theta = r->rope_theta;
    d->exploration = r->halt_exploration_prob;
    d->dtype = r->forward_dtype;
    d->fp8 = r->cycles_dtype == HRM_CYCLES_FP8;
    d->threads = r->num_threads;
    if (r->recurrence) return hrm__resolve_recurrence(r->recurrence, d);
    d->two_levels = 1;
    d->states = 2;
    d->nets = r->one_network ? 1 : 2;
    d->layers[0] = r->one_network ? r->L_layers : r->H_layers, d->layers[1] = r->one_network ? 0 : r->L_layers;
    d->H_cycles = r->H_cycles, d->L_cycles = r->L_cycles;
    d->grad_H_cycles = r->grad_H_cycles;
    d->kept = hrm__kept_of(d);
    return HRM_OK;
}

/* ---- where every tensor stands ------------------------------------------------------------------------------ >>layout ----
 * One list for the tensors outside the blocks, in the order of public checkpoints; HRM_BLOCK_LIST has those inside.
 */
#define HRM__TOP_PARAMS(X) /* field of hrm_layout, name, role, rows (0: a vector), columns */ \
    X(embed_tokens, "inner.embed_tokens.embedding_weight", HRM_TRAINED, V, D) \
    X(lm_head, "inner.lm_head.weight", HRM_TRAINED, V, D) \
    X(q_head_weight, "inner.q_head.weight", HRM_TRAINED, 2, D) \
    X(q_head_bias, "inner.q_head.bias", HRM_TRAINED, 0, 2) \
    X(puzzle_emb, "inner.puzzle_emb.weights", HRM_PUZZLE_TABLE, (size_t)d->puzzle_ids, (size_t)d->puzzle_ndim) \
    X(embed_pos, "inner.embed_pos.embedding_weight", HRM_TRAINED, (d->learned ? (size_t)d->S : 0), (d->learned ? D : 0))

typedef struct hrm__entry { /* one tensor of a model */
    char     name[72];
    hrm_role role;
    size_t   rows, columns, offset; /* in the arena, or in the puzzle table */
    double   init;                  /* standard deviation of the initial values */
} hrm__entry;

static size_t hrm__entry_size(const hrm__entry *e) { return (e->rows ? e->rows : 1) * e->columns; }

static int hrm__plan_model(const hrm_dims *d, hrm_layout *at, hrm__entry *entries)
{
    /* -> at, entries (NULL: only counted), the number of tensors */
    size_t D = (size_t)d->D, V = (size_t)d->V, used = 0;
    int n = 0;
    double unit = 1 / sqrt((double)d->D);
    static const char *const names[2][HRM_BLOCK_TENSORS] = {
#define HRM__NAME(i, name, rows, columns) name,
        {HRM_BLOCK_LIST(HRM__NAME)}, {HRM_MIXER_LIST(HRM__NAME)}
#undef HRM__NAME
    };
    const char *const *block_names = names[d->mixer != 0];
    memset(at, 0, sizeof *at);
#define HRM__PLACE(field, name, kind, rows, columns) \
    if ((kind) == role) { \
        at->field = used; \
        used += hrm__align(((rows) ? (size_t)(rows) : 1) * (size_t)(columns)); \
    }
    hrm_role role = HRM_TRAINED;
    HRM__TOP_PARAMS(HRM__PLACE)
#undef HRM__PLACE
    for (int i = 0; i < HRM_BLOCK_TENSORS; i++) {
        at->block_offset[i] = at->block_size;
        at->block_size += hrm__align(hrm__block_rows(d, i) * hrm__block_columns(d, i));
    }
    for (int net = 0; net < d->nets; net++) {
        at->net_offset[net] = used;
        used += (size_t)d->layers[net] * at->block_size;
    }
    at->trained = used;
    for (int i = 0; i < d->states; i++, used += hrm__align(D)) at->init[i] = used;
    at->total = used;
    for (int i = 0; i < d->states; i++, n++) {
        if (!entries) continue;
        hrm__entry *e = &entries[n];
        if (d->two_levels) snprintf(e->name, sizeof e->name, "inner.%c_init", "HL"[i]);
        else snprintf(e->name, sizeof e->name, "inner.z_init.%d", i);
        e->role = HRM_BUFFER;
        e->columns = D;
        e->offset = at->init[i];
        e->init = 1;
    }
#define HRM__ENTER(field, label, kind, height, width) \
    if ((width) > 0) { \
        if (entries) { \
            hrm__entry *e = &entries[n]; \
            snprintf(e->name, sizeof e->name, "%s", label); \
            e->role = kind; \
            e->rows = (size_t)(height); \
            e->columns = (size_t)(width); \
            e->offset = at->field; \
            e->init = unit; \
            if ((kind) == HRM_PUZZLE_TABLE || !strncmp(label, "inner.q_head", 12)) e->init = 0; \
        } \
        n++; \
    }
    HRM__TOP_PARAMS(HRM__ENTER)
#undef HRM__ENTER
    for (int net = 0; net < d->nets; net++)
        for (int layer = 0; layer < d->layers[net]; layer++)
            for (int i = 0; i < HRM_BLOCK_TENSORS; i++, n++) {
                if (!entries) continue;
                hrm__entry *e = &entries[n];
                if (d->two_levels)
                    snprintf(e->name, sizeof e->name, "inner.%c_level.layers.%d.%s", "HL"[d->nets > 1 ? net : 1], layer,
                             block_names[i]);
                else snprintf(e->name, sizeof e->name, "inner.nets.%d.layers.%d.%s", net, layer, block_names[i]);
                e->role = HRM_TRAINED;
                e->rows = hrm__block_rows(d, i);
                e->columns = hrm__block_columns(d, i);
                e->offset = at->net_offset[net] + (size_t)layer * at->block_size + at->block_offset[i];
                e->init = 1 / sqrt((double)e->columns); /* linear: 1 / sqrt(fan in) */
            }
    return n;
}

/* ---- the model ----------------------------------------------------------------------------------------------- >>create ---*/
struct hrm_model {
    hrm_model_desc desc;
    hrm_dims       d; /* B = 1 */
    hrm_layout     at;
    hrm_allocator  allocator_copy;
    const hrm_allocator *allocator; /* the copy, or NULL */
    hrm_pool      *pool;
    const hrm_device_table *table;
    hrm_device    *dev;
    hrm_device_sizes sizes; /* of prepared */
    hrm_real      *params;  /* device memory */
    hrm_real      *puzzle;
    void          *prepared;
    int            stale;   /* params changed since prepared was made */
    int            loaded;  /* desc is a file's, which tells how that model was trained, too */
    int            count;
    hrm__entry    *entries;
    int            num_passes;
    hrm_pass      *learning, *thinking; /* [num_passes] a segment's passes, with and without gradient; one block of memory */
    uint64_t       passes_hash;
    hrm_recurrence recurrence;          /* what desc.recurrence points to, when it was given */
    struct hrm__solver *solver; /* what hrm_solve keeps */
    struct hrm_trainer *poster; /* whose metrics the device holds; NULL: nobody's */
};

static size_t hrm__params_bytes(const hrm_model *m) { return m->at.total * sizeof(hrm_real); }
static size_t hrm__puzzle_count(const hrm_dims *d) { return (size_t)d->puzzle_ids * (size_t)d->puzzle_ndim; }

/* Truncated normal at +-2 whose resulting standard deviation is `std`: the raw normal's is std / 0.8796… (jax's convention). */
static hrm_real hrm__truncated_normal(uint32_t u, double std)
{
    double x = 0.95449973610364159 * (((double)u + 0.5) * (2.0 / 4294967296.0) - 1); /* erf(2/sqrt 2) times (-1,1) */
    double w = -log((1 - x) * (1 + x)) - 2.5; /* inverse erf: Giles 2010, central branch */
    static const double c[] = {2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                               -0.00125372503, -0.00417768164, 0.246640727,    1.50140941};
    double p = c[0];
    for (size_t i = 1; i < HRM__COUNT(c); i++) p = p * w + c[i];
    return (hrm_real)(std / 0.87962566103423978 * 1.4142135623730951 * p * x);
}

typedef struct hrm__init_job { const hrm__entry *entry; hrm_real *values; uint64_t seed, stream; } hrm__init_job;

static void hrm__init_thread(void *context, int id, int size)
{
    const hrm__init_job *job = (const hrm__init_job *)context;
    hrm__team team = {0, 0, NULL};
    size_t b, e, n = hrm__entry_size(job->entry);
    uint32_t u[4];
    team.id = id, team.size = size;
    hrm__team_range(&team, n, 4, &b, &e);
    for (size_t i = b; i < e; i++) {
        if (i % 4 == 0) hrm_philox(u, job->seed, job->stream, i / 4);
        job->values[i] = hrm__truncated_normal(u[i % 4], job->entry->init);
    }
}

static void hrm__init_params(const hrm_model *m, hrm_real *params)
{
    for (int i = 0; i < m->count; i++) {
        hrm__init_job job;
        job.entry = &m->entries[i];
        if (job.entry->role == HRM_PUZZLE_TABLE || job.entry->init == 0) continue;
        job.values = params + job.entry->offset;
        job.seed = m->desc.seed;
        job.stream = (uint64_t)i;
        hrm_pool_run(m->pool, hrm__init_thread, &job);
    }
    params[m->at.q_head_bias] = params[m->at.q_head_bias + 1] = -5; /* halting starts at "almost never" */
}

static double hrm__estimate(const hrm_dims *d, int batch, int train)
{
    /* upper bound of any count of bytes below, in double: tells sizes that would overflow before they are computed */
    double rows = (double)batch * d->S, D = d->D, I = d->I, layers = 0, kept = d->states;
    double row = 20 * D + 6 * I + d->heads + 64 + (d->mixer ? (6.0 * d->I_t + 4.0 * d->S) * (1 + D / d->S) : 0);
    for (int net = 0; net < d->nets; net++) layers += d->layers[net];
    if (train) kept += d->kept.blocks + d->kept.slots + d->kept.outs + d->kept.flows;
    double thread = (HRM_CHUNK_ROWS + HRM_BLOCK_ROWS + (double)d->S) * row + 8 * ((double)d->S + 64) * (D + 192) +
                    2.0 * (double)hrm__gemm_scratch();
    return 2 * (double)sizeof(hrm_real) *
           ((layers + kept + 4) * (rows + d->S) * row + d->threads * thread +
            (2 * layers + 8) * (8 * D * D + 6 * D * I + 6.0 * d->S * d->I_t) + (rows + 4 * D) * d->V + D * d->S +
            (double)d->puzzle_ids * d->puzzle_ndim);
}

static const hrm_device_table *hrm__device_table(const hrm_model_desc *desc)
{
    hrm_device_kind kind = desc->device;
    if (desc->device_table) return desc->device_table;
#ifdef HRM_USE_CUDA
    if (kind == HRM_CUDA) return hrm_cuda_device();
#endif
    return kind == HRM_CPU ? &hrm__cpu_table : NULL;
}

static hrm_status hrm__open_table(const hrm_device_table **out, const hrm_model_desc *desc)
{
    const hrm_device_table *t = hrm__device_table(desc);
    if (!t) return hrm__fail(HRM_ERR_UNSUPPORTED, "device cuda: this program was built without HRM_USE_CUDA and hrm_cuda.cu");
    if (t->version != HRM_DEVICE_VERSION || t->size != sizeof *t)
        return hrm__fail(
            HRM_ERR_DEVICE,
            "device %s: its table is version %u of %u bytes, hrm.h has version %d of %zu bytes; compile both from one release",
            t->name, (unsigned)t->version, (unsigned)t->size, HRM_DEVICE_VERSION, sizeof *t);
    *out = t;
    return HRM_OK;
}

HRM_API hrm_model_desc hrm_model_desc_for(const hrm_dataset *data)
{
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    hrm_model_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.seq_len = info->seq_len;
    desc.vocab_size = info->vocab_size;
    desc.num_puzzle_identifiers = info->num_puzzle_identifiers;
    return desc;
}

static void hrm__solver_destroy(struct hrm__solver *solver);

HRM_API void hrm_model_destroy(hrm_model *m)
{
    if (!m) return;
    hrm__solver_destroy(m->solver);
    if (m->dev) {
        m->table->buffer_free(m->dev, m->prepared, m->sizes.prepared);
        m->table->buffer_free(m->dev, m->puzzle, hrm__puzzle_count(&m->d) * sizeof *m->puzzle);
        m->table->buffer_free(m->dev, m->params, hrm__params_bytes(m));
        m->table->close(m->dev);
    }
    hrm_pool_destroy(m->pool);
    hrm_allocator copy = m->allocator_copy;
    const hrm_allocator *a = m->allocator ? &copy : NULL;
    hrm__free(a, m->learning, 2 * (size_t)m->num_passes, sizeof *m->learning);
    hrm__free(a, m->entries, (size_t)m->count, sizeof *m->entries);
    hrm__free(a, m, 1, sizeof *m);
}

static uint64_t hrm__hash(const void *bytes, size_t n)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return h;
}

static hrm_status hrm__model_build(hrm_model *m, int initialise)
{
    /* m: resolved, zeroed otherwise; on failure the caller destroys it */
    void *p;
    const hrm_allocator *a = m->allocator;
    int count = hrm__plan_model(&m->d, &m->at, NULL);
    HRM__TRY(hrm__alloc_zero(a, &p, (size_t)count, sizeof *m->entries, "tensor list"));
    m->entries = (hrm__entry *)p;
    m->count = count;
    hrm__plan_model(&m->d, &m->at, m->entries);
    int passes = hrm__lay_passes(&m->desc, &m->d, NULL, 1);
    HRM__TRY(hrm__alloc_zero(a, &p, 2 * (size_t)passes, sizeof *m->learning, "passes"));
    m->learning = (hrm_pass *)p;
    m->thinking = m->learning + passes;
    m->num_passes = passes;
    hrm__lay_passes(&m->desc, &m->d, m->learning, 1);
    hrm__lay_passes(&m->desc, &m->d, m->thinking, 0);
    m->passes_hash = hrm__hash(m->learning, (size_t)passes * sizeof *m->learning);
    if (m->desc.recurrence) { /* the caller's may go */
        m->recurrence.states = m->d.states, m->recurrence.nets = m->d.nets;
        m->recurrence.layers = m->d.layers;
        m->recurrence.num_passes = passes, m->recurrence.passes = m->learning;
        m->desc.recurrence = &m->recurrence;
    }
    HRM__TRY(hrm_pool_create(&m->pool, m->desc.num_threads, a));
    m->d.threads = m->desc.num_threads = hrm_pool_size(m->pool);
    HRM__TRY(hrm__open_table(&m->table, &m->desc));
    hrm_device_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.dtype = m->desc.forward_dtype;
    desc.pool = m->pool;
    desc.allocator = a;
    HRM__TRY(m->table->open(&m->dev, &desc));
    HRM__TRY(m->table->sizes(m->dev, &m->d, 0, &m->sizes));
    HRM__TRY(m->table->buffer_alloc(m->dev, &p, hrm__params_bytes(m)));
    m->params = (hrm_real *)p;
    if (hrm__puzzle_count(&m->d)) {
        HRM__TRY(m->table->buffer_alloc(m->dev, &p, hrm__puzzle_count(&m->d) * sizeof *m->puzzle));
        m->puzzle = (hrm_real *)p;
    }
    HRM__TRY(m->table->buffer_alloc(m->dev, &m->prepared, m->sizes.prepared));
    m->stale = 1;
    if (!initialise) return HRM_OK;
    if (m->desc.device == HRM_CPU) {
        hrm__init_params(m, m->params);
        return HRM_OK;
    }
    HRM__TRY(hrm__alloc_zero(a, &p, m->at.total, sizeof(hrm_real), "initial weights"));
    hrm__init_params(m, (hrm_real *)p);
    hrm_status status = m->table->upload(m->dev, m->params, p, hrm__params_bytes(m));
    if (status == HRM_OK) status = m->table->sync(m->dev);
    hrm__free(a, p, m->at.total, sizeof(hrm_real));
    return status;
}

static hrm_status hrm__model_create(hrm_model **out, const hrm_model_desc *desc, int initialise)
{
    hrm_model_desc resolved = *desc;
    hrm_dims d;
    void *p;
    HRM__TRY(hrm__cpu_select());
    HRM__TRY(hrm__resolve(&resolved, &d));
    if (hrm__estimate(&d, 1, 0) > (double)(SIZE_MAX / 2))
        return hrm__fail(HRM_ERR_MEMORY, "a model of this size does not fit the address space");
    HRM__TRY(hrm__alloc_zero(desc->allocator, &p, 1, sizeof(hrm_model), "model"));
    hrm_model *m = (hrm_model *)p;
    m->desc = resolved;
    m->d = d;
    if (desc->allocator) {
        m->allocator_copy = *desc->allocator;
        m->allocator = m->desc.allocator = &m->allocator_copy;
    }
    hrm_status status = hrm__model_build(m, initialise);
    if (status != HRM_OK) {
        hrm_model_destroy(m);
        return status;
    }
    *out = m;
    return HRM_OK;
}

HRM_API hrm_status hrm_model_create(hrm_model **model, const hrm_model_desc *desc) { return hrm__model_create(model, desc, 1); }
HRM_API const hrm_model_desc *hrm_model_describe(const hrm_model *model) { return &model->desc; }

HRM_API int64_t hrm_model_parameters(const hrm_model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->count; i++)
        if (m->entries[i].role == HRM_TRAINED) n += (int64_t)hrm__entry_size(&m->entries[i]);
    return n;
}

/* ---- tensors of a model -------------------------------------------------------------------------------------- >>tensors --*/
HRM_API int hrm_model_tensor_count(const hrm_model *model) { return model->count; }

static hrm_real *hrm__entry_place(const hrm_model *m, const hrm__entry *e)
{
    return e->role == HRM_PUZZLE_TABLE ? m->puzzle : m->params + e->offset;
}

static hrm_status hrm__check_tensor(const hrm_model *m, int index)
{
    return index >= 0 && index < m->count ? HRM_OK
                                          : hrm__fail(HRM_ERR_ARGUMENT, "tensor %d of a model with %d", index, m->count);
}

HRM_API hrm_status hrm_model_tensor(const hrm_model *m, int index, hrm_tensor *tensor, hrm_role *role)
{
    HRM__TRY(hrm__check_tensor(m, index));
    const hrm__entry *e = &m->entries[index];
    memset(tensor, 0, sizeof *tensor);
    tensor->name = e->name;
    tensor->dtype = sizeof(hrm_real) == 4 ? HRM_F32 : HRM_F64;
    tensor->ndim = e->rows ? 2 : 1;
    tensor->shape[0] = (int64_t)(e->rows ? e->rows : e->columns);
    tensor->shape[1] = e->rows ? (int64_t)e->columns : 0;
    tensor->bytes = hrm__entry_size(e) * sizeof(hrm_real);
    tensor->data = m->desc.device == HRM_CPU ? hrm__entry_place(m, e) : NULL;
    if (role) *role = e->role;
    return HRM_OK;
}

HRM_API int hrm_model_tensor_find(const hrm_model *m, const char *name)
{
    for (int i = 0; i < m->count; i++)
        if (!strcmp(m->entries[i].name, name)) return i;
    return -1;
}

HRM_API hrm_status hrm_model_tensor_read(const hrm_model *m, int index, hrm_real *values)
{
    HRM__TRY(hrm__check_tensor(m, index));
    const hrm__entry *e = &m->entries[index];
    return m->table->download(m->dev, values, hrm__entry_place(m, e), hrm__entry_size(e) * sizeof *values);
}

static hrm_status hrm__check_finite(const char *name, const hrm_real *values, size_t n, size_t columns)
{
    for (size_t i = 0; i < n; i++)
        if (!(values[i] - values[i] == 0))
            return hrm__fail(HRM_ERR_NAN, "tensor %s: row %zu, column %zu is %g", name, i / columns, i % columns,
                             (double)values[i]);
    return HRM_OK;
}

static hrm_status hrm__check_weights(const hrm_model *m)
{
    /* every tensor, a piece at a time; HRM_ERR_NAN names the first that is not finite */
    hrm_real some[1024];
    for (int i = 0; i < m->count; i++) {
        const hrm__entry *e = &m->entries[i];
        size_t size = hrm__entry_size(e);
        for (size_t at = 0; at < size; at += HRM__COUNT(some)) {
            size_t n = size - at < HRM__COUNT(some) ? size - at : HRM__COUNT(some);
            HRM__TRY(m->table->download(m->dev, some, hrm__entry_place(m, e) + at, n * sizeof *some));
            for (size_t j = 0; j < n; j++)
                if (!(some[j] - some[j] == 0))
                    return hrm__fail(HRM_ERR_NAN, "tensor %s: element %zu is %g", e->name, at + j, (double)some[j]);
        }
    }
    return HRM_OK;
}

HRM_API hrm_status hrm_model_tensor_write(hrm_model *m, int index, const hrm_real *values)
{
    HRM__TRY(hrm__check_tensor(m, index));
    const hrm__entry *e = &m->entries[index];
    size_t n = hrm__entry_size(e);
    HRM__TRY(hrm__check_finite(e->name, values, n, e->columns));
    m->stale = 1;
    HRM__TRY(m->table->upload(m->dev, hrm__entry_place(m, e), values, n * sizeof *values));
    return m->table->sync(m->dev);
}

/* ==================================================================================================== >>act ===============
 * One ACT segment at a time. Which calls of the device table make a segment, its backward pass and an update stands in
 * hrm__segment, hrm__backward and hrm__update; everything else here moves data to and from them.
 */
static hrm_dtype hrm__activation_dtype(const hrm_model *m);
struct hrm_run {
    hrm_model *model;
    hrm_work   w;
    void      *memory; /* device memory for all of w's buffers */
    size_t     bytes;
    uint64_t   seed, segments;
    int64_t    updates;
    hrm_group  groups[HRM_MAX_GROUPS];
    int        num_groups;
    int        parts;      /* that its rows are worked on in; activations, logits and their gradients are of one */
    size_t     activation; /* bytes of one element of z */
    int        averaged;   /* 1: the model's weights are the average, w.average what is trained */
    int        growth_interval; /* of the loss scale */
    int64_t    skipped;    /* updates, by hrm_run_update */
    int        update;     /* as in its description */
    int        ran; /* 1: a segment was run, 2: its backward pass too */
    int        broken; /* what a call that failed left between two steps: HRM__CARRY, HRM__GRADIENTS, HRM__AHEAD */
    int        owned; /* by a trainer */
    const hrm_pass *learning, *thinking; /* the model's, or a trainer's own where cycles grow */
    int        num_passes;
    uint64_t   passes_hash;
    int        batch_rows, first_row; /* of the whole batch, and which of them this run's first is; without comm its own, 0 */
};

/* One part of a run's rows as work of its own; parts are the same in size. */
static hrm_work hrm__part(const hrm_run *run, int part)
{
    hrm_work w = run->w;
    w.last_part = part == run->parts - 1;
    if (run->parts == 1) return w;
    size_t n = (size_t)w.d.B / (size_t)run->parts, first = n * (size_t)part, T = (size_t)w.d.T;
    w.d.B = w.rows = (int)n;
    w.first_row = (int)first;
    for (int i = 0; i < w.d.states; i++)
        w.z[i] = (char *)w.z[i] + first * (size_t)w.d.S * (size_t)w.d.D * run->activation;
    w.inputs += first * T, w.labels += first * T, w.new_inputs += first * T, w.new_labels += first * T;
    w.ids += first, w.steps += first, w.halted += first, w.new_ids += first, w.min_halt_steps += first;
    w.q += 2 * first, w.dq += 2 * first, w.q2 += 2 * first, w.target_q += first;
    w.predictions += first * T;
    w.puzzle_grad += first * (size_t)w.d.puzzle_ndim;
    return w;
}

/* All rows, with the memory of one part. */
static hrm_work hrm__whole(const hrm_run *run)
{
    hrm_work w = run->w;
    w.d.B /= run->parts;
    return w;
}

/* What a captured sequence of calls is told apart by: which it is, its passes, the rows it works on. */
static uint64_t hrm__graph_key(const hrm_run *run, int which)
{
    uint64_t h = run->passes_hash;
    h = (h ^ (uint64_t)which) * 0x100000001b3u;
    return (h ^ (uint64_t)run->w.rows) * 0x100000001b3u;
}

enum {
    HRM__KEY_SEGMENT,
    HRM__KEY_BACKWARD,
    HRM__KEY_UPDATE,
    HRM__KEY_UPDATE_CLIPPED,
    HRM__KEY_STEP,
    HRM__KEY_SOLVE_FIRST,
    HRM__KEY_SOLVE_MORE
};

static void hrm__plan_shares(hrm__plan *a, hrm_work *w, int rows)
{
    /* `rows` of the whole batch */
    int size = w->comm->size;
    w->all_rows = size * ((rows + size - 1) / size);
    w->all_ids = (int32_t *)hrm__take(a, (size_t)w->all_rows, sizeof(int32_t));
    w->all_puzzle_grad = hrm__take_real(a, (size_t)w->all_rows * (size_t)w->d.puzzle_ndim);
    w->shares = (double *)hrm__take(a, ((size_t)size + 1) * HRM_SHARE, sizeof(double));
}

static size_t hrm__plan_run(const hrm_model *m, const hrm_device_sizes *sizes, const hrm_run_desc *desc, int parts, void *base,
                            hrm_work *w)
{
    /* lays the buffers of w (d and train set) out from base (NULL: counts) -> bytes */
    const hrm_dims *d = &w->d;
    hrm__plan a = {NULL, 0};
    size_t B = (size_t)d->B, n = B / (size_t)parts, T = (size_t)d->T, V = (size_t)d->V, z = hrm__rows(d, n) * (size_t)d->D;
    a.base = (char *)base;
    for (int i = 0; i < d->states; i++) w->z[i] = hrm__take(&a, z * (size_t)parts, sizes->activation);
    w->e = hrm__take(&a, z, sizes->activation);
    w->inputs = (int32_t *)hrm__take(&a, B * T, sizeof(int32_t));
    w->labels = (int32_t *)hrm__take(&a, B * T, sizeof(int32_t));
    w->ids = (int32_t *)hrm__take(&a, B + (w->comm != NULL), sizeof(int32_t));
    w->steps = (int32_t *)hrm__take(&a, B, sizeof(int32_t));
    w->halted = (int32_t *)hrm__take(&a, B, sizeof(int32_t));
    w->new_inputs = (int32_t *)hrm__take(&a, B * T, sizeof(int32_t));
    w->new_labels = (int32_t *)hrm__take(&a, B * T, sizeof(int32_t));
    w->new_ids = (int32_t *)hrm__take(&a, B, sizeof(int32_t));
    w->min_halt_steps = (int32_t *)hrm__take(&a, B, sizeof(int32_t));
    w->logits = hrm__take_real(&a, n * T * V);
    w->q = hrm__take_real(&a, B * 2);
    w->predictions = (int32_t *)hrm__take(&a, B * T, sizeof(int32_t));
    w->metrics = (double *)hrm__take(&a, HRM_METRIC_SUMS, sizeof(double));
    w->bad = (int32_t *)hrm__take(&a, 1, sizeof(int32_t));
    w->step = (hrm_step *)hrm__take(&a, 1, sizeof(hrm_step));
    if (w->train) {
        if (d->dtype == HRM_FORWARD_FLOAT16) w->scaling = (hrm_scaling *)hrm__take(&a, 1, sizeof(hrm_scaling));
        for (int i = 0; i < d->states && !d->no_continue; i++) w->t[i] = hrm__take(&a, z, sizes->activation);
        w->dlogits = hrm__take_real(&a, n * T * V);
        w->dq = hrm__take_real(&a, B * 2);
        w->q2 = hrm__take_real(&a, B * 2);
        w->target_q = hrm__take_real(&a, B);
        w->norm = (double *)hrm__take(&a, 1, sizeof(double));
        w->grads = hrm__take_real(&a, hrm__gradient_count(&m->at, w->train));
        w->puzzle_grad = hrm__take_real(&a, (B + (w->comm != NULL)) * (size_t)d->puzzle_ndim);
        w->all_rows = (int)B, w->all_ids = w->ids, w->all_puzzle_grad = w->puzzle_grad;
        if (w->comm) hrm__plan_shares(&a, w, desc->rows);
    }
    if (desc->update && w->train != 3) {
        w->m = hrm__take_real(&a, m->at.trained);
        w->v = hrm__take_real(&a, desc->optimizer == HRM_MUON ? m->at.net_offset[0] : m->at.trained);
    }
    if (desc->ema) w->average = hrm__take_real(&a, m->at.trained);
    w->work = hrm__take(&a, sizes->work, 1);
    return a.used;
}

HRM_API void hrm_run_destroy(hrm_run *run)
{
    if (!run) return;
    hrm_model *m = run->model;
    if (run->memory) {
        m->table->forget(m->dev, &run->w);
        m->table->buffer_free(m->dev, run->memory, run->bytes);
    }
    hrm__free(m->allocator, run, 1, sizeof *run);
}

static int hrm__update_groups(const hrm_model *m, int train, hrm_optimizer optimizer, hrm_group *groups)
{
    /* what moves what, at which of the step's rates -> how many; train 2: the backward pass applies the blocks' gradients
     * itself */
    int n = 0;
    memset(groups, 0, HRM_MAX_GROUPS * sizeof *groups);
    if (train != 3) {
        groups[n].optimizer = optimizer == HRM_MUON ? HRM_ADAMW : optimizer;
        groups[n].rate = HRM_RATE_WEIGHTS;
        groups[n++].count = optimizer == HRM_MUON ? m->at.net_offset[0] : hrm__gradient_count(&m->at, train);
        if (optimizer == HRM_MUON) {
            groups[n].optimizer = HRM_MUON;
            groups[n].rate = HRM_RATE_MUON;
            groups[n].from = m->at.net_offset[0];
            groups[n].count = m->at.trained - m->at.net_offset[0];
            n++;
        }
    }
    if (!hrm__puzzle_count(&m->d)) return n;
    groups[n].optimizer = HRM_SIGN_SGD;
    groups[n++].rate = HRM_RATE_PUZZLE;
    return n;
}

/* Whether blocks may be updated as soon as their gradient is there, which saves keeping them all: where nothing has to look at
 * all gradients first, and each network is passed once with one. */
static int hrm__updates_early(const hrm_model *m, const hrm_train_desc *t)
{
    const hrm_recurrence *r = m->desc.recurrence;
    unsigned seen = 0;
    if (t->optimizer == HRM_MUON || t->grad_clip > 0 || t->grad_accumulation > 1 || t->comm) return 0;
    if (m->desc.forward_dtype == HRM_FORWARD_FLOAT16) return 0;
    if (!r && m->d.kept.slots > m->d.nets) return 0;
    for (int i = 0; r && i < r->num_passes; i++) {
        if (r->passes[i].slot < 0) continue;
        if (seen >> r->passes[i].net & 1) return 0;
        seen |= 1u << r->passes[i].net;
    }
    return m->table->updates_at_once;
}

static void hrm__run_dims(hrm_dims *d, const hrm_model_desc *model, const hrm_run_desc *desc, int rows, int train)
{
    d->B = rows;
    if (!train) return;
    d->optimizer = desc->optimizer;
    d->muon_ns_steps = desc->optimizer != HRM_MUON ? 0 : desc->muon_ns_steps ? desc->muon_ns_steps : 3;
    d->checkpointing = desc->activation_checkpointing != 0;
    d->dropout = model->dropout > 0;
}

static hrm_status hrm__set_scaling(hrm_run *run, float scale)
{
    hrm_scaling s;
    memset(&s, 0, sizeof s);
    s.scale = scale;
    if (!run->w.scaling) return HRM_OK;
    return run->model->table->upload(run->model->dev, run->w.scaling, &s, sizeof s);
}

/* What its gradients are divided by when they are read, and the updates skipped; 1 and 0 where nothing is scaled. */
static hrm_status hrm__get_scaling(const hrm_run *run, hrm_scaling *s)
{
    memset(s, 0, sizeof *s);
    s->scale = 1;
    return run->w.scaling ? run->model->table->download(run->model->dev, s, run->w.scaling, sizeof *s) : HRM_OK;
}

static hrm_status hrm__run_create(hrm_run **out, hrm_model *m, const hrm_run_desc *desc, int train, int parts,
                                  const hrm_comm *comm)
{
    /* train as in hrm_work; with comm desc->rows is the whole batch's */
    int rows = desc->rows ? desc->rows : 1, first = 0;
    void *p;
    hrm_device_sizes sizes;
    if (rows < 1 || rows > 1 << 20) return hrm__fail(HRM_ERR_ARGUMENT, "rows is %d, expected 1 to %d", rows, 1 << 20);
    if (comm) rows = hrm_comm_rows(comm, comm->rank, rows, &first);
    if (train && (m->desc.forward_dtype == HRM_FORWARD_INT8 ||
                  (m->desc.device == HRM_CPU && m->desc.forward_dtype != HRM_FORWARD_FLOAT32)))
        return hrm__fail(HRM_ERR_UNSUPPORTED, "forward_dtype %s is for solving only",
                         hrm__forward_names[m->desc.forward_dtype]);
    if (!(desc->loss_scale >= 0 && desc->loss_scale <= 1e30f) ||
        (desc->loss_scale > 0 && desc->loss_scale < HRM_LOSS_SCALE_LEAST))
        return hrm__fail(HRM_ERR_ARGUMENT, "loss_scale is %g, expected %g to 1e30, or 0 for 65536", (double)desc->loss_scale,
                         (double)HRM_LOSS_SCALE_LEAST);
    if (desc->loss_scale_growth_interval < 0)
        return hrm__fail(HRM_ERR_ARGUMENT, "loss_scale_growth_interval is %d, expected 1 or more",
                         desc->loss_scale_growth_interval);
    if (train == 3 && !hrm__puzzle_count(&m->d))
        return hrm__fail(HRM_ERR_ARGUMENT, "freeze_weights leaves nothing to learn: the model has no puzzle table "
                                           "(puzzle_emb_ndim 0)");
    if (hrm__estimate(&m->d, rows, train > 0) > (double)(SIZE_MAX / 2))
        return hrm__fail(HRM_ERR_MEMORY, "a run of %d rows does not fit the address space", rows);
    HRM__TRY(hrm__alloc_zero(m->allocator, &p, 1, sizeof(hrm_run), "run"));
    hrm_run *run = (hrm_run *)p;
    run->model = m;
    run->seed = desc->seed;
    run->parts = parts;
    run->update = desc->update;
    run->growth_interval = desc->loss_scale_growth_interval ? desc->loss_scale_growth_interval : 2000;
    run->learning = m->learning, run->thinking = m->thinking;
    run->num_passes = m->num_passes;
    run->passes_hash = m->passes_hash;
    run->w.comm = comm;
    run->batch_rows = comm ? desc->rows : rows, run->first_row = first;
    run->w.d = m->d;
    hrm__run_dims(&run->w.d, &m->desc, desc, rows / parts, train);
    run->w.at = m->at;
    run->w.train = train;
    run->num_groups = hrm__update_groups(m, train, desc->optimizer, run->groups);
    hrm_status status = m->table->sizes(m->dev, &run->w.d, run->w.train, &sizes);
    if (status == HRM_OK) {
        run->activation = sizes.activation;
        run->w.d.B = run->w.rows = rows;
        run->bytes = hrm__plan_run(m, &sizes, desc, parts, NULL, &run->w);
        status = m->table->buffer_alloc(m->dev, &p, run->bytes);
    }
    if (status == HRM_OK) {
        run->memory = p;
        hrm__plan_run(m, &sizes, desc, parts, p, &run->w);
        run->w.params = m->params;
        run->w.puzzle = m->puzzle;
        run->w.prepared = m->prepared;
        status = hrm__set_scaling(run, desc->loss_scale > 0 ? desc->loss_scale : 65536);
        if (status == HRM_OK) status = m->table->zero(m->dev, run->w.bad, sizeof *run->w.bad);
        if (status == HRM_OK) status = hrm_run_reset(run);
    }
    if (status != HRM_OK) {
        hrm_run_destroy(run);
        return status;
    }
    *out = run;
    return HRM_OK;
}

HRM_API hrm_status hrm_run_create(hrm_run **run, hrm_model *m, const hrm_run_desc *desc)
{
    if (desc->update && !desc->train)
        return hrm__fail(HRM_ERR_ARGUMENT, "a run with update needs train: it is gradients that are applied");
    if (desc->ema && !desc->update)
        return hrm__fail(HRM_ERR_ARGUMENT, "a run with ema needs update: it averages what that makes");
    if ((int)desc->optimizer < 0 || desc->optimizer >= HRM_SIGN_SGD)
        return hrm__fail(HRM_ERR_ARGUMENT, "optimizer is %d, which is none of the weights'", (int)desc->optimizer);
    if (desc->muon_ns_steps < 0 || desc->muon_ns_steps > 32)
        return hrm__fail(HRM_ERR_ARGUMENT, "muon_ns_steps is %d, expected 1 to 32", desc->muon_ns_steps);
    return hrm__run_create(run, m, desc, desc->train ? desc->freeze_weights ? 3 : 1 : 0, 1, NULL);
}

static hrm_status hrm__fill_i32(hrm_run *run, int32_t *dst, int32_t value, size_t n)
{
    int32_t some[256];
    for (size_t i = 0; i < HRM__COUNT(some); i++) some[i] = value;
    for (size_t i = 0; i < n; i += HRM__COUNT(some))
        HRM__TRY(run->model->table->upload(run->model->dev, dst + i, some,
                                           (n - i < HRM__COUNT(some) ? n - i : HRM__COUNT(some)) * sizeof *some));
    return HRM_OK;
}

static hrm_status hrm__zero_puzzle_gradient(hrm_run *run)
{
    const hrm_work *w = &run->w;
    return run->model->table->zero(run->model->dev, w->puzzle_grad,
                                   (size_t)w->d.B * (size_t)w->d.puzzle_ndim * sizeof *w->puzzle_grad);
}

enum { HRM__CARRY = 1, HRM__GRADIENTS = 2, HRM__AHEAD = 4 /* the carry is ahead of the steps done */ };

static hrm_status hrm__check_whole(const hrm_run *run, int parts)
{
    if (!(run->broken & parts)) return HRM_OK;
    if ((run->broken & parts) == HRM__AHEAD)
        return hrm__fail(HRM_ERR_NAN,
                         "a step's loss was not finite, and the carry is not that of the steps done: load a state, or reset "
                         "the run to go on with the weights as they are");
    if (run->owned)
        return hrm__fail(HRM_ERR_DEVICE,
                         "a step before failed half-way: load a state, or reset the run to go on with the weights as they are");
    return hrm__fail(HRM_ERR_DEVICE, "a call before failed half-way: %s makes the %s whole again",
                     run->broken & parts & HRM__CARRY ? "hrm_run_reset" : "hrm_run_zero_gradients",
                     run->broken & parts & HRM__CARRY ? "carry" : "gradients");
}

static hrm_status hrm__recorded(hrm_run *run, int which, hrm_status (*calls)(hrm_run *run, int option), int option, int parts)
{
    /* calls that a device may record as one and replay later; `parts` of the run are whole again only when all were made */
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    uint64_t key = hrm__graph_key(run, which);
    char message[sizeof hrm__message];
    int replayed;
    HRM__TRY(t->begin_step(dev, &run->w, key, &replayed));
    hrm_status status = replayed ? HRM_OK : calls(run, option);
    if (status == HRM_OK) status = t->end_step(dev, &run->w, key);
    if (status == HRM_OK) return HRM_OK;
    run->broken |= parts;
    snprintf(message, sizeof message, "%s", hrm__message);
    if (t->sync(dev) != HRM_OK) hrm_error_set(status, "%s", message); /* it ends what was being recorded */
    return status;
}

static hrm_status hrm__recover(hrm_run *run)
{
    /* after a loss that was not finite: updates are done again, and what it left in a trainer's gradients is gone */
    const hrm_device_table *t = run->model->table;
    hrm_work *w = &run->w;
    HRM__TRY(t->zero(run->model->dev, w->bad, sizeof *w->bad));
    if (!run->owned) return HRM_OK;
    HRM__TRY(t->zero(run->model->dev, w->grads, hrm__gradient_count(&w->at, w->train) * sizeof *w->grads));
    return hrm__zero_puzzle_gradient(run);
}

HRM_API hrm_status hrm_run_reset(hrm_run *run)
{
    run->w.rows = run->w.d.B;
    run->ran = 0;
    if (run->owned || !run->w.train) HRM__TRY(hrm__recover(run)); /* a caller's gradients are left to hrm_run_zero_gradients */
    HRM__TRY(hrm__fill_i32(run, run->w.halted, 1, (size_t)run->w.d.B));
    run->broken &= run->owned ? 0 : HRM__GRADIENTS;
    return HRM_OK;
}

static hrm_status hrm__check_gradients(const hrm_run *run)
{
    if (!run->w.train) return hrm__fail(HRM_ERR_ARGUMENT, "this run was created without train");
    if (run->owned)
        return hrm__fail(HRM_ERR_ARGUMENT,
                         "this run is a trainer's, which applies gradients and does not keep them; create another for them");
    return HRM_OK;
}

HRM_API hrm_status hrm_run_zero_gradients(hrm_run *run)
{
    HRM__TRY(hrm__check_gradients(run));
    HRM__TRY(run->model->table->zero(run->model->dev, run->w.bad, sizeof *run->w.bad)); /* what was wrong is gone with them */
    HRM__TRY(run->model->table->zero(run->model->dev, run->w.grads,
                                     hrm__gradient_count(&run->w.at, run->w.train) * sizeof *run->w.grads));
    HRM__TRY(hrm__zero_puzzle_gradient(run));
    run->broken &= HRM__CARRY;
    return HRM_OK;
}

static hrm_status hrm__check_batch(const hrm_dims *d, const hrm_batch *batch, int rows, const char *what)
{
    if (batch->rows != rows) return hrm__fail(HRM_ERR_SHAPE, "%s has %d rows, the run %d", what, batch->rows, rows);
    for (int i = 0; i < rows; i++) {
        for (int t = 0; t < d->T; t++) {
            int32_t token = batch->inputs[(size_t)i * (size_t)d->T + (size_t)t];
            if (token < 0 || token >= d->V)
                return hrm__fail(HRM_ERR_RANGE, "%s: row %d, position %d: token %d is not below the vocabulary's %d", what, i,
                                 t, (int)token, d->V);
            if (!batch->labels) continue;
            int32_t label = batch->labels[(size_t)i * (size_t)d->T + (size_t)t];
            if (label != -100 && (label < 0 || label >= d->V))
                return hrm__fail(HRM_ERR_RANGE,
                                 "%s: row %d, position %d: label %d is neither -100 nor below the vocabulary's %d", what, i, t,
                                 (int)label, d->V);
        }
        if (d->puzzle_ids && batch->puzzle_identifiers &&
            (batch->puzzle_identifiers[i] < 0 || batch->puzzle_identifiers[i] >= d->puzzle_ids))
            return hrm__fail(HRM_ERR_RANGE, "%s: row %d: puzzle identifier %d is not below the table's %d", what, i,
                             (int)batch->puzzle_identifiers[i], d->puzzle_ids);
    }
    return HRM_OK;
}

static hrm_status hrm__offer(hrm_run *run, const hrm_batch *batch)
{
    /* the batch into device memory; labels and ids may be NULL */
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    hrm_work *w = &run->w;
    size_t n = (size_t)w->rows;
    HRM__TRY(hrm__check_batch(&w->d, batch, w->rows, "batch"));
    HRM__TRY(t->upload(dev, w->new_inputs, batch->inputs, n * (size_t)w->d.T * sizeof(int32_t)));
    if (batch->labels) HRM__TRY(t->upload(dev, w->new_labels, batch->labels, n * (size_t)w->d.T * sizeof(int32_t)));
    else HRM__TRY(hrm__fill_i32(run, w->new_labels, -100, n * (size_t)w->d.T));
    if (batch->puzzle_identifiers) return t->upload(dev, w->new_ids, batch->puzzle_identifiers, n * sizeof(int32_t));
    return hrm__fill_i32(run, w->new_ids, 0, n);
}

static hrm_status hrm__refresh(hrm_run *run)
{
    if (!run->model->stale) return HRM_OK;
    HRM__TRY(run->model->table->prepare(run->model->dev, &run->w));
    run->model->stale = 0;
    return HRM_OK;
}

static hrm_status hrm__segment(hrm_run *run, hrm_work *w)
{
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    HRM__TRY(t->act_begin(dev, w));
    HRM__TRY(t->embed(dev, w));
    HRM__TRY(t->passes(dev, w, w->z, w->train ? run->learning : run->thinking, run->num_passes));
    HRM__TRY(t->heads(dev, w, w->z[0], w->q, 1));
    HRM__TRY(t->act_end(dev, w));
    if (w->train && w->d.halt_max_steps > 1 && !w->d.no_continue) { /* what the next segment would say: q_continue's target */
        HRM__TRY(t->passes_ahead(dev, w, run->thinking, run->num_passes));
        HRM__TRY(t->heads(dev, w, w->t[0], w->q2, 0));
    }
    return t->losses(dev, w);
}

static hrm_status hrm__backward(hrm_run *run, hrm_work *w)
{
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    HRM__TRY(t->heads_backward(dev, w));
    HRM__TRY(t->passes_backward(dev, w, run->learning, run->num_passes));
    return t->embed_backward(dev, w);
}

static hrm_status hrm__update(hrm_run *run, int clip)
{
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    hrm_work w = hrm__whole(run);
    HRM__TRY(t->reduce(dev, &w));
    if (w.scaling) HRM__TRY(t->unscale(dev, &w));
    if (clip) HRM__TRY(t->norm(dev, &w));
    HRM__TRY(t->update(dev, &w, run->groups, run->num_groups));
    if (w.average) HRM__TRY(t->average(dev, &w, 0));
    return t->prepare(dev, &w);
}

static hrm_status hrm__average_begin(hrm_run *run)
{
    /* before the first update the average is of the initial weights */
    const hrm_model *m = run->model;
    return m->table->copy(m->dev, run->w.average, run->w.params, m->at.trained * sizeof *run->w.average);
}

static hrm_status hrm__use_average(hrm_run *run, int on)
{
    hrm_work w = hrm__whole(run);
    if (!w.average) return hrm__fail(HRM_ERR_ARGUMENT, "this run keeps no average of the weights: it was created without ema");
    if (run->averaged == (on != 0)) return HRM_OK;
    if (!run->owned && run->updates == 0 && on) HRM__TRY(hrm__average_begin(run));
    HRM__TRY(run->model->table->average(run->model->dev, &w, 1));
    run->averaged = on != 0;
    run->model->stale = 1;
    return HRM_OK;
}

HRM_API hrm_status hrm_run_use_average(hrm_run *run, int on)
{
    if (run->owned) return hrm__fail(HRM_ERR_ARGUMENT, "this run is a trainer's: hrm_trainer_use_average shows its average");
    return hrm__use_average(run, on);
}

static hrm_step hrm__step_make(const hrm_run *run, uint64_t seed, uint64_t number)
{
    const hrm_dims *d = &run->w.d;
    hrm_step s;
    memset(&s, 0, sizeof s);
    s.seed = seed;
    s.step = number;
    s.halt_max_steps = d->halt_max_steps;
    s.exploration = d->exploration;
    s.label_smoothing = run->model->desc.label_smoothing;
    s.q_loss_weight = run->model->desc.q_loss_weight;
    s.q_mse = run->model->desc.q_loss_type == HRM_Q_MSE;
    s.no_continue = d->no_continue;
    s.ponder_weight = run->model->desc.ponder_weight;
    s.dropout = run->model->desc.dropout;
    s.loss_scale = 1.0f / (float)run->batch_rows;
    s.first_row = run->first_row;
    s.growth_interval = run->growth_interval;
    s.bias1 = s.bias2 = 1;
    return s;
}

static void hrm__step_rates(hrm_step *s, const hrm_update_desc *u, int64_t t)
{
    s->attempt = (uint64_t)t; /* of float16 the device knows how many it has skipped, and corrects the bias itself */
    s->rates[HRM_RATE_WEIGHTS].lr = u->lr, s->rates[HRM_RATE_WEIGHTS].weight_decay = u->weight_decay;
    s->rates[HRM_RATE_PUZZLE].lr = u->puzzle_emb_lr, s->rates[HRM_RATE_PUZZLE].weight_decay = u->puzzle_emb_weight_decay;
    s->rates[HRM_RATE_MUON].lr = u->muon_lr, s->rates[HRM_RATE_MUON].weight_decay = u->muon_weight_decay;
    s->adam_eps = u->adam_eps;
    s->muon_momentum = u->muon_momentum;
    s->grad_clip = u->grad_clip;
    s->ema_rate = u->ema_rate;
    s->beta1 = u->beta1;
    s->beta2 = u->beta2;
    s->bias1 = (float)(1 - pow((double)u->beta1, (double)t));
    s->bias2 = (float)sqrt(1 - pow((double)u->beta2, (double)t));
}

static hrm_status hrm__segment_calls(hrm_run *run, int option)
{
    (void)option;
    return hrm__segment(run, &run->w);
}

HRM_API hrm_status hrm_run_segment(hrm_run *run, const hrm_batch *batch, const int32_t *min_halt_steps)
{
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    hrm_work *w = &run->w;
    hrm_step step;
    if (run->owned)
        return hrm__fail(HRM_ERR_ARGUMENT, "this run is a trainer's, which hrm_trainer_step works at; create another");
    HRM__TRY(hrm__check_whole(run, HRM__CARRY));
    HRM__TRY(hrm__offer(run, batch));
    run->ran = 0;
    step = hrm__step_make(run, run->seed, ++run->segments);
    if (min_halt_steps) {
        step.fixed_exploration = 1;
        HRM__TRY(t->upload(dev, w->min_halt_steps, min_halt_steps, (size_t)w->d.B * sizeof *min_halt_steps));
    }
    HRM__TRY(t->upload(dev, w->step, &step, sizeof step));
    HRM__TRY(hrm__refresh(run));
    HRM__TRY(hrm__recorded(run, HRM__KEY_SEGMENT, hrm__segment_calls, 0, HRM__CARRY));
    run->ran = 1;
    return HRM_OK;
}

HRM_API hrm_status hrm_run_watch(hrm_run *run, const hrm_batch *batch, hrm_status (*on_pass)(void *user, int pass, int state),
                                 void *user)
{
    /* as hrm_run_segment, but not recorded as a graph */
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    hrm_work *w = &run->w;
    if (w->train) return hrm__fail(HRM_ERR_ARGUMENT, "a run that trains cannot be watched pass by pass");
    HRM__TRY(hrm__check_whole(run, HRM__CARRY));
    HRM__TRY(hrm__offer(run, batch));
    hrm_step step = hrm__step_make(run, run->seed, ++run->segments);
    HRM__TRY(t->upload(dev, w->step, &step, sizeof step));
    HRM__TRY(hrm__refresh(run));
    run->broken |= HRM__CARRY; /* until all is done */
    HRM__TRY(t->act_begin(dev, w));
    HRM__TRY(t->embed(dev, w));
    run->ran = 1;
    for (int i = 0; i < run->num_passes; i++) {
        HRM__TRY(t->passes(dev, w, w->z, run->thinking + i, 1));
        if (on_pass) HRM__TRY(on_pass(user, i, run->thinking[i].state));
    }
    HRM__TRY(t->heads(dev, w, w->z[0], w->q, 1));
    HRM__TRY(t->act_end(dev, w));
    HRM__TRY(t->losses(dev, w));
    run->broken &= ~HRM__CARRY;
    return HRM_OK;
}

static hrm_status hrm__check_segment_done(const hrm_run *run)
{
    HRM__TRY(hrm__check_gradients(run));
    return run->ran == 1 ? HRM_OK
                         : hrm__fail(HRM_ERR_ARGUMENT, "a backward pass needs a segment before it, and each segment has one");
}

HRM_API hrm_status hrm_run_set_gradient(hrm_run *run, const hrm_real *dlogits, const hrm_real *dq)
{
    const hrm_device_table *t = run->model->table;
    const hrm_work *w = &run->w;
    size_t n = (size_t)w->rows;
    HRM__TRY(hrm__check_segment_done(run));
    if (dlogits) HRM__TRY(hrm__check_finite("dlogits", dlogits, n * (size_t)w->d.T * (size_t)w->d.V, (size_t)w->d.V));
    if (dq) HRM__TRY(hrm__check_finite("dq", dq, 2 * n, 2));
    if (dlogits)
        HRM__TRY(t->upload(run->model->dev, w->dlogits, dlogits, n * (size_t)w->d.T * (size_t)w->d.V * sizeof *dlogits));
    return dq ? t->upload(run->model->dev, w->dq, dq, 2 * n * sizeof *dq) : HRM_OK;
}

static hrm_status hrm__backward_calls(hrm_run *run, int option)
{
    (void)option;
    return hrm__backward(run, &run->w);
}

HRM_API hrm_status hrm_run_backward(hrm_run *run)
{
    HRM__TRY(hrm__check_segment_done(run));
    HRM__TRY(hrm__check_whole(run, HRM__GRADIENTS));
    run->ran = 2;
    return hrm__recorded(run, HRM__KEY_BACKWARD, hrm__backward_calls, 0, HRM__GRADIENTS);
}

HRM_API hrm_status hrm_run_gradient_norm(hrm_run *run, double *norm)
{
    const hrm_model *m = run->model;
    double squares;
    hrm_scaling scaling;
    HRM__TRY(hrm__check_gradients(run));
    if (run->w.train == 3) return hrm__fail(HRM_ERR_ARGUMENT, "the weights are frozen: they have no gradient");
    HRM__TRY(m->table->norm(m->dev, &run->w));
    HRM__TRY(m->table->download(m->dev, &squares, run->w.norm, sizeof squares));
    HRM__TRY(hrm__get_scaling(run, &scaling));
    if (!(squares - squares == 0)) return hrm__fail(HRM_ERR_NAN, "the gradients' norm is %g", sqrt(squares));
    *norm = sqrt(squares) / (double)scaling.scale;
    return HRM_OK;
}

static hrm_status hrm__fail_scaling(const char *when, const hrm_scaling *s)
{
    return hrm__fail(HRM_ERR_NAN,
                     "%sthe gradients are not finite even with a loss_scale of %g: float16 is too narrow for them, or the "
                     "learning rate too high; the weights are those before; forward_dtype bfloat16 and float32 have the range",
                     when, (double)s->scale);
}

HRM_API hrm_status hrm_run_update(hrm_run *run, const hrm_update_desc *desc)
{
    const hrm_model *m = run->model;
    hrm_step step = hrm__step_make(run, run->seed, run->segments);
    int32_t bad;
    hrm_scaling scaling;
    HRM__TRY(hrm__check_gradients(run));
    HRM__TRY(hrm__check_whole(run, HRM__GRADIENTS));
    if (!run->update) return hrm__fail(HRM_ERR_ARGUMENT, "this run was created without update");
    const struct { const char *name; float value; } given[] = {
        {"lr", desc->lr}, {"weight_decay", desc->weight_decay},
        {"puzzle_emb_lr", desc->puzzle_emb_lr}, {"puzzle_emb_weight_decay", desc->puzzle_emb_weight_decay},
        {"adam_eps", desc->adam_eps}, {"muon_lr", desc->muon_lr}, {"muon_weight_decay", desc->muon_weight_decay},
        {"muon_momentum", desc->muon_momentum}, {"grad_clip", desc->grad_clip}};
    for (size_t i = 0; i < HRM__COUNT(given); i++)
        if (!(given[i].value - given[i].value == 0))
            return hrm__fail(HRM_ERR_ARGUMENT, "%s is %g, expected a finite number", given[i].name, (double)given[i].value);
    if (!(desc->beta1 >= 0 && desc->beta1 < 1 && desc->beta2 >= 0 && desc->beta2 < 1))
        return hrm__fail(HRM_ERR_ARGUMENT, "beta1 is %g and beta2 %g, expected 0 to less than 1", (double)desc->beta1,
                         (double)desc->beta2);
    if (!(desc->ema_rate >= 0 && desc->ema_rate < 1))
        return hrm__fail(HRM_ERR_ARGUMENT, "ema_rate is %g, expected 0 to less than 1", (double)desc->ema_rate);
    if (run->w.train != 3 && run->w.d.optimizer != HRM_ADAM_ATAN2 && !(desc->adam_eps > 0))
        return hrm__fail(HRM_ERR_ARGUMENT, "adam_eps is %g: AdamW needs more than 0", (double)desc->adam_eps);
    int clip = desc->grad_clip > 0 && run->w.train != 3, which = clip ? HRM__KEY_UPDATE_CLIPPED : HRM__KEY_UPDATE;
    if (run->w.average) {
        HRM__TRY(hrm__use_average(run, 0));
        if (run->updates == 0) HRM__TRY(hrm__average_begin(run));
    }
    hrm__step_rates(&step, desc, run->updates + run->skipped + 1);
    HRM__TRY(m->table->upload(m->dev, run->w.step, &step, sizeof step));
    HRM__TRY(hrm__recorded(run, which, hrm__update, clip, HRM__GRADIENTS));
    HRM__TRY(m->table->download(m->dev, &bad, run->w.bad, sizeof bad));
    HRM__TRY(hrm__get_scaling(run, &scaling));
    if (bad == 2) return hrm__fail_scaling("", &scaling);
    if (bad) return hrm__fail(HRM_ERR_NAN, "a loss or a gradient is not finite; the weights are those before this update");
    run->updates += !scaling.skip;
    run->skipped += scaling.skip;
    return HRM_OK;
}

HRM_API int64_t hrm_run_updates(const hrm_run *run) { return run->updates; }

HRM_API hrm_status hrm_run_gradient(const hrm_run *run, int tensor, hrm_real *values)
{
    const hrm_model *m = run->model;
    HRM__TRY(hrm__check_tensor(m, tensor));
    const hrm__entry *e = &m->entries[tensor];
    HRM__TRY(hrm__check_gradients(run));
    if (e->role == HRM_BUFFER || (e->role == HRM_TRAINED && run->w.train == 3))
        return hrm__fail(HRM_ERR_ARGUMENT, "tensor %s has no gradient in this run", e->name);
    int table = e->role == HRM_PUZZLE_TABLE;
    size_t n = table ? (size_t)run->w.d.B * (size_t)run->w.d.puzzle_ndim : hrm__entry_size(e);
    hrm_scaling scaling;
    HRM__TRY(hrm__get_scaling(run, &scaling));
    HRM__TRY(m->table->download(m->dev, values, table ? run->w.puzzle_grad : run->w.grads + e->offset, n * sizeof *values));
    for (size_t i = 0; run->w.scaling && i < n; i++) values[i] /= (hrm_real)scaling.scale;
    return HRM_OK;
}

static hrm_metrics hrm__metrics_from(const double *sums)
{
    hrm_metrics m;
    double rows = sums[HRM_M_ROWS] > 1 ? sums[HRM_M_ROWS] : 1, count = sums[HRM_M_COUNT] > 1 ? sums[HRM_M_COUNT] : 1;
    memset(&m, 0, sizeof m);
    m.rows = sums[HRM_M_ROWS];
    m.count = sums[HRM_M_COUNT];
    m.accuracy = sums[HRM_M_ACCURACY] / count;
    m.exact_accuracy = sums[HRM_M_EXACT] / count;
    m.q_halt_accuracy = sums[HRM_M_Q_HALT_ACCURACY] / count;
    m.steps = sums[HRM_M_STEPS] / count;
    m.lm_loss = sums[HRM_M_LM_LOSS] / rows;
    m.q_halt_loss = sums[HRM_M_Q_HALT_LOSS] / rows;
    m.q_continue_loss = sums[HRM_M_Q_CONTINUE_LOSS] / rows;
    m.ponder_loss = sums[HRM_M_PONDER_LOSS] / rows;
    return m;
}

HRM_API void hrm_metrics_add(hrm_metrics *total, const hrm_metrics *more)
{
    double rows = total->rows + more->rows, count = total->count + more->count;
    double a = rows > 0 ? more->rows / rows : 0, b = count > 0 ? more->count / count : 0;
#define HRM__MIX(field, part) total->field += (more->field - total->field) * part;
    HRM__MIX(lm_loss, a) HRM__MIX(q_halt_loss, a) HRM__MIX(q_continue_loss, a) HRM__MIX(ponder_loss, a) HRM__MIX(grad_norm, a)
    HRM__MIX(accuracy, b) HRM__MIX(exact_accuracy, b) HRM__MIX(q_halt_accuracy, b) HRM__MIX(steps, b)
#undef HRM__MIX
    total->rows = rows;
    total->count = count;
    total->step = more->step;
    total->lr = more->lr;
    total->loss_scale = more->loss_scale;
    total->skipped = more->skipped;
}

HRM_API hrm_status hrm_run_metrics(const hrm_run *run, hrm_metrics *metrics)
{
    double sums[HRM_METRIC_SUMS];
    hrm_scaling scaling;
    if (!run->ran && !run->owned) return hrm__fail(HRM_ERR_ARGUMENT, "the run has no metrics before its first segment");
    HRM__TRY(run->model->table->download(run->model->dev, sums, run->w.metrics, sizeof sums));
    HRM__TRY(hrm__get_scaling(run, &scaling));
    *metrics = hrm__metrics_from(sums);
    if (run->w.scaling) metrics->loss_scale = (double)scaling.scale, metrics->skipped = (double)scaling.skipped;
    return HRM_OK;
}

static hrm_status hrm__read_states(const hrm_run *run, hrm_real *values)
{
    /* What is narrower than a float lands behind the place of the last one and is widened from there, front to back: no value
     * is written over one that is still to be read. */
    const hrm_model *m = run->model;
    const hrm_work *w = &run->w;
    size_t n = (size_t)w->rows * (size_t)w->d.S * (size_t)w->d.D, element = run->activation;
    for (int s = 0; s < w->d.states; s++, values += n) {
        char *raw = (char *)values + n * (sizeof *values - element);
        HRM__TRY(m->table->download(m->dev, raw, w->z[s], n * element));
        for (size_t i = 0; element < sizeof *values && i < n; i += 128) {
            unsigned char some[128 * sizeof *values];
            size_t count = n - i < 128 ? n - i : 128;
            memcpy(some, raw + i * element, count * element);
            HRM__TRY(hrm_convert(values + i, sizeof *values == 4 ? HRM_F32 : HRM_F64, some, hrm__activation_dtype(m), count));
        }
    }
    return HRM_OK;
}

HRM_API hrm_status hrm_run_read(const hrm_run *run, const hrm_run_outputs *o)
{
    const hrm_device_table *t = run->model->table;
    hrm_device *dev = run->model->dev;
    const hrm_work *w = &run->w;
    size_t n = (size_t)w->rows, T = (size_t)w->d.T, V = (size_t)w->d.V;
    if (!run->ran && !run->owned) return hrm__fail(HRM_ERR_ARGUMENT, "the run has no results before its first segment");
    if (o->target_q_continue && !(w->train && w->d.halt_max_steps > 1 && !w->d.no_continue))
        return hrm__fail(HRM_ERR_ARGUMENT,
                         "target_q_continue: only a run that trains has one, and only with halt_max_steps over 1 and a "
                         "continue head");
    if (o->logits && run->parts > 1)
        return hrm__fail(HRM_ERR_ARGUMENT, "logits: a batch worked on in %d parts keeps those of the last only", run->parts);
    if (o->logits) HRM__TRY(t->download(dev, o->logits, w->logits, n * T * V * sizeof *o->logits));
    if (o->predictions) HRM__TRY(t->download(dev, o->predictions, w->predictions, n * T * sizeof *o->predictions));
    if (o->steps) HRM__TRY(t->download(dev, o->steps, w->steps, n * sizeof *o->steps));
    if (o->halted) HRM__TRY(t->download(dev, o->halted, w->halted, n * sizeof *o->halted));
    if (o->states) HRM__TRY(hrm__read_states(run, o->states));
    if (o->target_q_continue) HRM__TRY(t->download(dev, o->target_q_continue, w->target_q, n * sizeof *o->target_q_continue));
    for (size_t i = 0; (o->q_halt || o->q_continue) && i < n; i += 64) {
        hrm_real some[128];
        size_t m = n - i < 64 ? n - i : 64;
        HRM__TRY(t->download(dev, some, w->q + 2 * i, 2 * m * sizeof *some));
        for (size_t j = 0; j < m; j++) {
            if (o->q_halt) o->q_halt[i + j] = some[2 * j];
            if (o->q_continue) o->q_continue[i + j] = some[2 * j + 1];
        }
    }
    return HRM_OK;
}

/* ==================================================================================================== >>comm ==============
 * What several processes agree on before they go on, so that a failure of one is all ranks' and not a wait for ever.
 */
typedef struct hrm__verdict { int32_t status; char message[sizeof hrm__message]; } hrm__verdict; /* a rank's */

HRM_API int hrm_comm_rows(const hrm_comm *comm, int rank, int rows, int *first)
{
    int64_t begin = (int64_t)rows * rank / comm->size, end = (int64_t)rows * (rank + 1) / comm->size;
    *first = (int)begin;
    return (int)(end - begin);
}

static hrm_status hrm__check_comm(const hrm_comm *comm)
{
    if (!comm) return HRM_OK;
    if (comm->size < 1 || comm->size > 1 << 16 || comm->rank < 0 || comm->rank >= comm->size)
        return hrm__fail(HRM_ERR_ARGUMENT, "comm: rank %d of %d", comm->rank, comm->size);
    if (!comm->sum || !comm->wait || !comm->gather)
        return hrm__fail(HRM_ERR_ARGUMENT, "comm: a function is missing; sum, wait and gather are needed");
    return HRM_OK;
}

static hrm_status hrm__agree(const hrm_comm *comm, hrm__verdict *room, hrm_status status)
{
    /* room [size] -> this rank's status, or where that is good and another's is not, that one with its message */
    hrm__verdict mine;
    if (!comm) return status;
    memset(&mine, 0, sizeof mine);
    mine.status = (int32_t)status;
    if (status != HRM_OK) memcpy(mine.message, hrm__message, sizeof mine.message);
    HRM__TRY(comm->gather(comm->user, room, &mine, sizeof mine, 1, NULL));
    for (int r = 0; status == HRM_OK && r < comm->size; r++)
        if (room[r].status != HRM_OK) status = hrm__fail((hrm_status)room[r].status, "rank %d: %.400s", r, room[r].message);
    return status;
}

static uint64_t hrm__hash_words(uint64_t h, const void *p, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)p;
    uint32_t word;
    for (; bytes >= sizeof word; bytes -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        h = (h ^ word) * 0x100000001b3u;
        h ^= h >> 32;
    }
    return h;
}

static hrm_status hrm__hash_weights(const hrm_model *m, uint64_t *hash)
{
    enum { PIECE = 8192 };
    hrm_real some[PIECE];
    for (int i = 0; i < m->count; i++) {
        const hrm_real *place = hrm__entry_place(m, &m->entries[i]);
        size_t size = hrm__entry_size(&m->entries[i]);
        if (m->desc.device == HRM_CPU) *hash = hrm__hash_words(*hash, place, size * sizeof *place);
        for (size_t at = 0; m->desc.device != HRM_CPU && at < size; at += PIECE) {
            size_t n = hrm__min_size(size - at, PIECE);
            HRM__TRY(m->table->download(m->dev, some, place + at, n * sizeof *some));
            *hash = hrm__hash_words(*hash, some, n * sizeof *some);
        }
    }
    return HRM_OK;
}

/* ==================================================================================================== >>trainer ===========*/
/* of >>dataset */
static void       hrm__dataset_take_turn(hrm_dataset *data);
static void       hrm__dataset_end_turn(hrm_dataset *data);
static int        hrm__dataset_serial(const hrm_dataset *data);
static hrm_status hrm__dataset_gather(hrm_dataset *data, hrm_position *position, uint64_t seed, int epochs_per_iter, int rows,
                                      int first, hrm_batch *batch, int *new_iteration);

typedef enum { HRM__IDLE, HRM__ORDERED, HRM__LEAVE } hrm__order;

/* A thread that gathers the batch after the one at work, into the trainer's. It holds the data set's turn from the order until
 * it is done, so that the data set may be closed, or drawn from by others, at any time. */
typedef struct hrm__gatherer {
    int          running; /* the thread was started */
    int          ahead;   /* a batch was ordered and not fetched yet */
    int          serial;  /* of its data set */
    int          forks;
    hrm_position from, to;
    hrm_status   status;
    char         message[sizeof hrm__message];
#ifndef HRM_NO_THREADS
    hrm__order     order;
    hrm_dataset   *data;
    hrm__thread    thread;
    hrm__mutex     mutex;
    hrm__condition condition;
#endif
} hrm__gatherer;

typedef struct hrm__begun { int64_t step; double lr; hrm_position before; } hrm__begun; /* a step */
typedef struct hrm__told {
    int there;
    int32_t bad;
    double norm, sums[HRM_METRIC_SUMS];
    hrm_scaling scaling;
} hrm__told; /* what the device says of it */

struct hrm_trainer {
    hrm_model     *model;
    hrm_train_desc desc;
    hrm_run       *run;
    int64_t        done, total;
    int64_t        warmup; /* as told, 0: of the total, which desc then has */
    hrm_position   position;
    hrm_batch      batch; /* host; the gatherer's while a batch is ordered */
    int32_t       *batch_memory;
    size_t         batch_count;
    hrm__gatherer  gatherer;
    hrm__begun     posted; /* whose metrics are still to be told; step 0: none */
    int            clip;   /* flag: gradients are measured, and scaled */
    int            H_cycles, L_cycles; /* as `passes` has them */
    hrm_pass      *passes; /* [2 num_passes] where cycles grow: the run's lists */
    hrm__told      held;   /* these, fetched when another trainer of the model posted its own; `there` until they are told */
    hrm__verdict  *verdicts; /* [comm->size]; NULL without comm */
    int            compared; /* flag: what it begins from is the same on all ranks */
};

#ifdef HRM_NO_THREADS
static hrm_status hrm__gatherer_start(hrm_trainer *t) { (void)t; return HRM_OK; }
static void       hrm__gatherer_stop(hrm_trainer *t) { (void)t; }
static void       hrm__gatherer_order(hrm_trainer *t, hrm_dataset *data, hrm_position from) { (void)t, (void)data, (void)from; }
static void       hrm__gatherer_wait(hrm_trainer *t) { (void)t; }
static hrm_status hrm__gatherer_revive(hrm_trainer *t) { (void)t; return HRM_OK; }
#else
static HRM__THREAD_RESULT hrm__gatherer_main(void *argument)
{
    hrm_trainer *t = (hrm_trainer *)argument;
    hrm__gatherer *g = &t->gatherer;
    for (;;) {
        hrm__mutex_lock(&g->mutex);
        while (g->order == HRM__IDLE) hrm__condition_wait(&g->condition, &g->mutex);
        int leave = g->order == HRM__LEAVE;
        hrm__mutex_unlock(&g->mutex);
        if (leave) return 0;
        g->to = g->from;
        g->status = hrm__dataset_gather(g->data, &g->to, t->desc.seed, t->desc.epochs_per_iter, t->run->batch_rows,
                                        t->run->first_row, &t->batch, NULL);
        if (g->status != HRM_OK) memcpy(g->message, hrm__message, sizeof g->message);
        hrm__dataset_end_turn(g->data);
        hrm__mutex_lock(&g->mutex);
        g->order = HRM__IDLE;
        hrm__condition_wake(&g->condition);
        hrm__mutex_unlock(&g->mutex);
    }
}

static void hrm__gatherer_tell(hrm__gatherer *g, hrm__order order)
{
    hrm__mutex_lock(&g->mutex);
    g->order = order;
    hrm__condition_wake(&g->condition);
    hrm__mutex_unlock(&g->mutex);
}

static void hrm__gatherer_wait(hrm_trainer *t)
{
    hrm__gatherer *g = &t->gatherer;
    hrm__mutex_lock(&g->mutex);
    while (g->order != HRM__IDLE) hrm__condition_wait(&g->condition, &g->mutex);
    hrm__mutex_unlock(&g->mutex);
}

static void hrm__gatherer_order(hrm_trainer *t, hrm_dataset *data, hrm_position from)
{
    hrm__gatherer *g = &t->gatherer;
    hrm__dataset_take_turn(data);
    g->data = data;
    g->serial = hrm__dataset_serial(data);
    g->from = from;
    g->ahead = 1;
    hrm__gatherer_tell(g, HRM__ORDERED);
}

static hrm_status hrm__gatherer_start(hrm_trainer *t)
{
    hrm__gatherer *g = &t->gatherer;
    hrm__mutex_init(&g->mutex);
    hrm__condition_init(&g->condition);
    g->forks = (int)hrm__load(&hrm__forks);
    g->order = HRM__IDLE;
    g->ahead = 0;
    g->running = hrm__thread_start(&g->thread, hrm__gatherer_main, t);
    if (g->running) return HRM_OK;
    hrm__condition_destroy(&g->condition);
    hrm__mutex_destroy(&g->mutex);
    return hrm__fail(HRM_ERR_MEMORY, "the thread that gathers batches could not be started");
}

static void hrm__gatherer_stop(hrm_trainer *t)
{
    hrm__gatherer *g = &t->gatherer;
    if (!g->running || g->forks != (int)hrm__load(&hrm__forks)) return; /* a parent's */
    hrm__gatherer_wait(t);
    hrm__gatherer_tell(g, HRM__LEAVE);
    hrm__thread_join(g->thread);
    hrm__condition_destroy(&g->condition);
    hrm__mutex_destroy(&g->mutex);
}

static hrm_status hrm__gatherer_revive(hrm_trainer *t)
{
    hrm__gatherer *g = &t->gatherer;
    return g->running && g->forks != (int)hrm__load(&hrm__forks) ? hrm__gatherer_start(t) : HRM_OK;
}
#endif

static hrm_status hrm__next_batch(hrm_trainer *t, hrm_dataset *data, hrm_position *position)
{
    /* the batch at *position into t->batch; the one gathered ahead where it is that one */
    hrm__gatherer *g = &t->gatherer;
    HRM__TRY(hrm__gatherer_revive(t));
    if (g->ahead) {
        hrm__gatherer_wait(t);
        g->ahead = 0;
        if (g->serial == hrm__dataset_serial(data) && memcmp(&g->from, position, sizeof *position) == 0) {
            if (g->status != HRM_OK) return hrm__fail(g->status, "%s", g->message);
            *position = g->to;
            return HRM_OK;
        }
    }
    hrm__dataset_take_turn(data);
    hrm_status status = hrm__dataset_gather(data, position, t->desc.seed, t->desc.epochs_per_iter, t->run->batch_rows,
                                            t->run->first_row, &t->batch, NULL);
    hrm__dataset_end_turn(data);
    return status;
}

static hrm_status hrm__resolve_training(hrm_train_desc *t)
{
    if (t->steps < 0) return hrm__fail(HRM_ERR_ARGUMENT, "steps is %lld, expected 0 or more", (long long)t->steps);
    if (t->arch == HRM_ARCH_FAST) {
        if (t->steps == 0 && t->epochs == 0) t->steps = 8000;
        if (t->lr_warmup_steps == 0) t->no_warmup = 1;
    }
    if (t->steps == 0 && t->epochs == 0) t->epochs = 1000;
    if (!(t->epochs >= 0 && t->epochs < 1e15))
        return hrm__fail(HRM_ERR_ARGUMENT, "epochs is %g, expected 0 or more", t->epochs);
    if (t->lr_warmup_steps < 0)
        return hrm__fail(HRM_ERR_ARGUMENT, "lr_warmup_steps is %lld, expected 0 or more", (long long)t->lr_warmup_steps);
    HRM__TRY(hrm__keys_arch(t, t->arch, hrm__train_keys, HRM__COUNT(hrm__train_keys)));
    t->arch = HRM_ARCH_HRM;
    HRM__TRY(hrm__keys_resolve(t, hrm__train_keys, HRM__COUNT(hrm__train_keys)));
    int rows = t->batch_size, first;
    HRM__TRY(hrm__check_comm(t->comm));
    if (t->comm && t->batch_size < t->comm->size)
        return hrm__fail(HRM_ERR_ARGUMENT, "a batch of %d rows is too small for %d processes", t->batch_size, t->comm->size);
    if (t->comm && t->comm->size == 1) t->comm = NULL;
    if (t->comm) rows = hrm_comm_rows(t->comm, t->comm->rank, t->batch_size, &first);
    if (t->comm && t->grad_accumulation > 1 && t->batch_size % (t->comm->size * t->grad_accumulation) != 0)
        return hrm__fail(HRM_ERR_ARGUMENT,
                         "a batch of %d rows does not part into grad_accumulation %d equal ones on each of %d processes",
                         t->batch_size, t->grad_accumulation, t->comm->size);
    if (rows % t->grad_accumulation != 0)
        return hrm__fail(HRM_ERR_ARGUMENT, "a batch of %d rows does not part into grad_accumulation %d equal ones",
                         t->batch_size, t->grad_accumulation);
    return HRM_OK;
}

static void hrm__settle_steps(hrm_trainer *t, int64_t total)
{
    t->total = total;
    if (t->desc.no_warmup) t->desc.lr_warmup_steps = 0;
    else t->desc.lr_warmup_steps = t->warmup ? t->warmup : hrm__min_i64(2000, total / 10);
}

static size_t hrm__batch_count(const hrm_dims *d, int rows) { return (size_t)rows * (2 * (size_t)d->T + 1); }

static void hrm__batch_place(hrm_batch *batch, int32_t *memory, const hrm_dims *d, int rows)
{
    size_t n = (size_t)rows * (size_t)d->T;
    batch->rows = rows;
    batch->filled = 0;
    batch->inputs = memory;
    batch->labels = memory + n;
    batch->puzzle_identifiers = memory + 2 * n;
}

HRM_API void hrm_trainer_destroy(hrm_trainer *t)
{
    if (!t) return;
    hrm_model *m = t->model;
    hrm__gatherer_stop(t);
    if (m->poster == t) m->poster = NULL;
    hrm_run_destroy(t->run);
    hrm__free(m->allocator, t->batch_memory, t->batch_count, sizeof *t->batch_memory);
    hrm__free(m->allocator, t->passes, 2 * (size_t)m->num_passes, sizeof *t->passes);
    if (t->verdicts) hrm__free(m->allocator, t->verdicts, (size_t)t->desc.comm->size, sizeof *t->verdicts);
    hrm__free(m->allocator, t, 1, sizeof *t);
}

/* What is allowed at step k (from 1) of a curriculum from start (0: none) to end. */
static int hrm__curriculum(int start, int end, int64_t k, int steps)
{
    if (!start || k > steps) return end;
    return start + (int)((int64_t)(end - start) * (k - 1) / steps);
}

static int hrm__cycles_grow(const hrm_model_desc *m, const hrm_train_desc *t)
{
    return t->curriculum_steps && (m->H_cycles_start || m->L_cycles_start);
}

static hrm_status hrm__lay_curriculum(hrm_trainer *t, int64_t step)
{
    /* the run's passes at a step; nothing to do while they stay the same */
    const hrm_model_desc *d = &t->model->desc;
    hrm_dims dims = t->model->d;
    hrm_run *run = t->run;
    dims.H_cycles = hrm__curriculum(d->H_cycles_start, d->H_cycles, step, t->desc.curriculum_steps);
    dims.L_cycles = hrm__curriculum(d->L_cycles_start, d->L_cycles, step, t->desc.curriculum_steps);
    if (!t->passes || (dims.H_cycles == t->H_cycles && dims.L_cycles == t->L_cycles)) return HRM_OK;
    t->H_cycles = dims.H_cycles, t->L_cycles = dims.L_cycles;
    run->learning = t->passes, run->thinking = t->passes + t->model->num_passes;
    run->num_passes = hrm__lay_passes(d, &dims, t->passes, 1);
    hrm__lay_passes(d, &dims, t->passes + t->model->num_passes, 0);
    run->passes_hash = hrm__hash(run->learning, (size_t)run->num_passes * sizeof *run->learning);
    return HRM_OK;
}

static hrm_run_desc hrm__trainer_run_desc(const hrm_train_desc *t)
{
    hrm_run_desc run;
    memset(&run, 0, sizeof run);
    run.rows = t->batch_size;
    run.seed = t->seed;
    run.update = 1;
    run.optimizer = t->optimizer;
    run.muon_ns_steps = t->muon_ns_steps;
    run.ema = t->ema;
    run.activation_checkpointing = t->activation_checkpointing;
    run.loss_scale = t->loss_scale;
    run.loss_scale_growth_interval = t->loss_scale_growth_interval;
    return run;
}

static hrm_status hrm__trainer_build(hrm_trainer *t)
{
    hrm_model *m = t->model;
    hrm_run_desc run = hrm__trainer_run_desc(&t->desc);
    void *p;
    if (t->desc.ema && t->desc.freeze_weights)
        return hrm__fail(HRM_ERR_ARGUMENT, "ema averages the weights, which freeze_weights leaves as they are: choose one");
    const hrm_model_desc *d = &m->desc;
    const char *start = d->halt_max_steps_start ? "halt_max_steps_start"
                        : d->H_cycles_start     ? "H_cycles_start"
                                                : "L_cycles_start";
    if ((d->halt_max_steps_start || d->H_cycles_start || d->L_cycles_start) && !t->desc.curriculum_steps && !m->loaded)
        return hrm__fail(HRM_ERR_ARGUMENT, "%s is given, but not curriculum_steps, over which it grows", start);
    if (d->halt_exploration_end > 0 && !t->desc.exploration_steps && !m->loaded)
        return hrm__fail(HRM_ERR_ARGUMENT,
                         "halt_exploration_end is given, but not exploration_steps, over which it is reached");
    t->clip = t->desc.grad_clip > 0 && !t->desc.freeze_weights;
    HRM__TRY(hrm__run_create(&t->run, m, &run, t->desc.freeze_weights ? 3 : hrm__updates_early(m, &t->desc) ? 2 : 1,
                             t->desc.grad_accumulation, t->desc.comm));
    t->run->owned = 1;
    if (t->desc.comm) {
        HRM__TRY(hrm__alloc_zero(m->allocator, &p, (size_t)t->desc.comm->size, sizeof *t->verdicts, "ranks"));
        t->verdicts = (hrm__verdict *)p;
    }
    if (hrm__cycles_grow(&m->desc, &t->desc)) {
        if (m->desc.recurrence)
            return hrm__fail(HRM_ERR_ARGUMENT, "H_cycles_start and L_cycles_start are HRM's, not a recurrence's of one's own");
        HRM__TRY(hrm__alloc_zero(m->allocator, &p, 2 * (size_t)m->num_passes, sizeof *t->passes, "passes"));
        t->passes = (hrm_pass *)p;
    }
    t->batch_count = hrm__batch_count(&m->d, t->run->w.d.B);
    HRM__TRY(hrm__alloc_zero(m->allocator, &p, t->batch_count, sizeof(int32_t), "batch"));
    t->batch_memory = (int32_t *)p;
    hrm__batch_place(&t->batch, t->batch_memory, &m->d, t->run->w.d.B);
    return t->desc.gather_ahead > 0 ? hrm__gatherer_start(t) : HRM_OK;
}

HRM_API hrm_status hrm_trainer_create(hrm_trainer **out, hrm_model *model, const hrm_train_desc *desc)
{
    hrm_train_desc resolved;
    void *p;
    memset(&resolved, 0, sizeof resolved);
    if (desc) resolved = *desc;
    HRM__TRY(hrm__resolve_training(&resolved));
    if (resolved.gather_ahead == 0) resolved.gather_ahead = model->table->asynchronous ? 1 : -1;
    HRM__TRY(hrm__alloc_zero(model->allocator, &p, 1, sizeof(hrm_trainer), "trainer"));
    hrm_trainer *t = (hrm_trainer *)p;
    t->model = model;
    t->desc = resolved;
    t->warmup = resolved.lr_warmup_steps;
    if (resolved.steps) hrm__settle_steps(t, resolved.steps);
    hrm_status status = hrm__trainer_build(t);
    if (status != HRM_OK) {
        hrm_trainer_destroy(t);
        return status;
    }
    *out = t;
    return HRM_OK;
}

HRM_API const hrm_train_desc *hrm_trainer_describe(const hrm_trainer *t) { return &t->desc; }
HRM_API int64_t      hrm_trainer_steps_done(const hrm_trainer *t) { return t->done; }
HRM_API int64_t      hrm_trainer_steps_total(const hrm_trainer *t) { return t->total; }
HRM_API hrm_run     *hrm_trainer_run(hrm_trainer *t) { return t->run; }
HRM_API hrm_position hrm_trainer_position(const hrm_trainer *t) { return t->position; }

static hrm_status hrm__check_data(const hrm_model *m, const hrm_dataset *data)
{
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    if (info->seq_len != m->d.T)
        return hrm__fail(HRM_ERR_SHAPE, "the data set's seq_len is %d, the model's %d", info->seq_len, m->d.T);
    if (info->vocab_size > m->d.V)
        return hrm__fail(HRM_ERR_SHAPE, "the data set's vocab_size is %d, the model's %d", info->vocab_size, m->d.V);
    if (m->d.puzzle_ids && info->num_puzzle_identifiers > m->d.puzzle_ids)
        return hrm__fail(HRM_ERR_SHAPE, "the data set's num_puzzle_identifiers is %d, the model's %d",
                         info->num_puzzle_identifiers, m->d.puzzle_ids);
    return HRM_OK;
}

static hrm_status hrm__compare(const hrm_trainer *t)
{
    /* that all ranks have the same weights and settings, and stand at the same place */
    const hrm_comm *comm = t->desc.comm;
    hrm__verdict mine;
    struct hrm__start { uint64_t weights, settings; } start = {0, 0}, first;
    const hrm_position *p = &t->position;
    const uint64_t where[8] = {t->desc.seed, (uint64_t)t->done, (uint64_t)t->total, (uint64_t)t->desc.lr_warmup_steps,
                               p->iteration, p->epoch,          p->group,           p->draws};
    if (!comm) return HRM_OK;
    HRM__TRY(hrm__hash_weights(t->model, &start.weights));
    start.settings = hrm__hash_words(0, where, sizeof where);
    for (size_t i = 0; i < HRM__COUNT(hrm__train_keys); i++)
        start.settings = hrm__hash_words(start.settings, (const char *)&t->desc + hrm__train_keys[i].at, sizeof(int32_t));
    memset(&mine, 0, sizeof mine);
    memcpy(mine.message, &start, sizeof start);
    HRM__TRY(comm->gather(comm->user, t->verdicts, &mine, sizeof mine, 1, NULL));
    memcpy(&first, t->verdicts[0].message, sizeof first);
    for (int r = 1; r < comm->size; r++) {
        memcpy(&start, t->verdicts[r].message, sizeof start);
        if (start.settings != first.settings)
            return hrm__fail(HRM_ERR_ARGUMENT, "rank %d trains otherwise than rank 0, or stands at another step: all processes "
                             "need the same settings and the same state", r);
        if (start.weights != first.weights)
            return hrm__fail(HRM_ERR_ARGUMENT, "step %lld: rank %d has other weights than rank 0: all processes have to begin "
                             "from the same, and to compute alike (the same program on the same kind of processor)",
                             (long long)t->done, r);
    }
    return HRM_OK;
}

static hrm_status hrm__step_calls(hrm_run *run, int clip)
{
    for (int part = 0; part < run->parts; part++) {
        hrm_work some = hrm__part(run, part);
        HRM__TRY(hrm__segment(run, &some));
        HRM__TRY(hrm__backward(run, &some));
    }
    return hrm__update(run, clip);
}

static hrm_status hrm__trainer_begin(hrm_trainer *t, hrm_dataset *data)
{
    /* the next step's calls; t->posted becomes it */
    hrm_model *m = t->model;
    const hrm_device_table *table = m->table;
    hrm_work *w = &t->run->w;
    hrm_position position = t->position;
    HRM__TRY(hrm__check_data(m, data));
    HRM__TRY(hrm__check_whole(t->run, HRM__CARRY | HRM__GRADIENTS));
    if (!t->total) {
        const hrm_dataset_info *info = hrm_dataset_describe(data);
        double total = floor(t->desc.epochs * (double)info->total_groups * info->mean_puzzle_examples / t->desc.batch_size);
        if (!(total >= 1 && total < 9e15))
            return hrm__fail(HRM_ERR_ARGUMENT, "%g epochs of %lld groups make %g steps of %d rows, expected at least 1",
                             t->desc.epochs, (long long)info->total_groups, total, t->desc.batch_size);
        hrm__settle_steps(t, (int64_t)total);
    }
    if (t->done >= t->total) return HRM_END;
    if (!t->compared) HRM__TRY(hrm__compare(t));
    t->compared = 1;
    HRM__TRY(hrm__next_batch(t, data, &position));
    HRM__TRY(hrm__offer(t->run, &t->batch)); /* copied: from here on the next one may be gathered */

    int64_t step = t->done + 1;
    if (t->gatherer.running && step < t->total) hrm__gatherer_order(t, data, position);
    const hrm_train_desc *d = &t->desc;
    const hrm_model_desc *md = &m->desc;
    hrm_step s = hrm__step_make(t->run, d->seed, (uint64_t)step);
    hrm_update_desc u;
    memset(&u, 0, sizeof u);
    s.halt_max_steps = hrm__curriculum(d->curriculum_steps ? md->halt_max_steps_start : 0, md->halt_max_steps, step,
                                       d->curriculum_steps);
    if (d->exploration_steps) {
        double part = step > d->exploration_steps ? 1 : (double)(step - 1) / d->exploration_steps;
        s.exploration = (float)((double)md->halt_exploration_prob +
                                ((double)md->halt_exploration_end - (double)md->halt_exploration_prob) * part);
    }
    HRM__TRY(hrm__lay_curriculum(t, step));
    if (w->average) {
        HRM__TRY(hrm__use_average(t->run, 0));
        if (step == 1) HRM__TRY(hrm__average_begin(t->run));
    }
    double factor = hrm_schedule(step, 1, d->lr_warmup_steps, t->total, (double)d->lr_min_ratio);
    u.lr = (float)hrm_schedule(step, (double)d->lr, d->lr_warmup_steps, t->total, (double)d->lr_min_ratio);
    u.puzzle_emb_lr =
        (float)hrm_schedule(step, (double)d->puzzle_emb_lr, d->lr_warmup_steps, t->total, (double)d->lr_min_ratio);
    u.weight_decay = d->weight_decay, u.puzzle_emb_weight_decay = d->puzzle_emb_weight_decay;
    u.beta1 = d->beta1, u.beta2 = d->beta2;
    u.adam_eps = d->adam_eps;
    u.muon_lr = (float)((double)d->muon_lr * factor);
    u.muon_weight_decay = d->muon_weight_decay, u.muon_momentum = d->muon_momentum;
    u.grad_clip = d->grad_clip;
    u.ema_rate = step > d->ema_from ? d->ema_rate : 0; /* until then the average is the weights */
    hrm__step_rates(&s, &u, step);
    HRM__TRY(table->upload(m->dev, w->step, &s, sizeof s));
    HRM__TRY(hrm__refresh(t->run));
    HRM__TRY(hrm__recorded(t->run, HRM__KEY_STEP, hrm__step_calls, t->clip, HRM__CARRY | HRM__GRADIENTS));
    t->posted.step = step;
    t->posted.lr = (double)u.lr;
    t->posted.before = t->position;
    t->done = step;
    t->position = position;
    return HRM_OK;
}

enum { /* in a slot */
    HRM__POST_NORM = HRM_METRIC_SUMS * sizeof(double),
    HRM__POST_SCALING = HRM__POST_NORM + sizeof(double),
    HRM__POST_BAD = HRM__POST_SCALING + sizeof(hrm_scaling)
};

static hrm_status hrm__trainer_fetch(hrm_trainer *t, int64_t step, hrm__told *told)
{
    const hrm_device_table *table = t->model->table;
    int slot = (int)(step & 1);
    if (t->held.there) {
        *told = t->held;
        t->held.there = 0;
        return HRM_OK;
    }
    HRM__TRY(table->collect(t->model->dev, slot, 0, told->sums, sizeof told->sums));
    HRM__TRY(table->collect(t->model->dev, slot, HRM__POST_NORM, &told->norm, sizeof told->norm));
    HRM__TRY(table->collect(t->model->dev, slot, HRM__POST_BAD, &told->bad, sizeof told->bad));
    memset(&told->scaling, 0, sizeof told->scaling);
    if (t->run->w.scaling)
        HRM__TRY(table->collect(t->model->dev, slot, HRM__POST_SCALING, &told->scaling, sizeof told->scaling));
    told->there = 1;
    return HRM_OK;
}

static hrm_status hrm__trainer_post(hrm_trainer *t)
{
    /* what the step came to begins its way to the host */
    hrm_model *m = t->model;
    int slot = (int)(t->posted.step & 1);
    if (m->poster && m->poster != t && m->poster->posted.step) { /* one device, one pair of slots */
        hrm__told told;
        HRM__TRY(hrm__trainer_fetch(m->poster, m->poster->posted.step, &told));
        m->poster->held = told;
    }
    m->poster = t;
    HRM__TRY(m->table->post(m->dev, slot, 0, t->run->w.metrics, HRM_METRIC_SUMS * sizeof(double)));
    HRM__TRY(m->table->post(m->dev, slot, HRM__POST_NORM, t->run->w.norm, sizeof(double)));
    if (t->run->w.scaling)
        HRM__TRY(m->table->post(m->dev, slot, HRM__POST_SCALING, t->run->w.scaling, sizeof(hrm_scaling)));
    return m->table->post(m->dev, slot, HRM__POST_BAD, t->run->w.bad, sizeof(int32_t));
}

static hrm_status hrm__trainer_start(hrm_trainer *t, hrm_dataset *data)
{
    HRM__TRY(hrm__trainer_begin(t, data));
    hrm_status status = hrm__trainer_post(t);
    if (status != HRM_OK) t->posted.step = 0; /* the step is done; what lies in its slot is another's */
    return status;
}

static hrm_status hrm__trainer_tell(hrm_trainer *t, hrm__begun begun, hrm_metrics *metrics)
{
    /* the metrics of a step that was posted */
    hrm__told told;
    HRM__TRY(hrm__trainer_fetch(t, begun.step, &told));
    if (told.bad) { /* nor did the steps begun since then change anything */
        t->done = begun.step - 1;
        t->position = begun.before;
        t->posted.step = 0;
        t->held.there = 0;
        t->run->broken |= HRM__AHEAD;
        hrm_status status = hrm__check_weights(t->model);
        if (status == HRM_OK && told.bad == 2) {
            char when[40];
            snprintf(when, sizeof when, "step %lld: ", (long long)begun.step);
            return hrm__fail_scaling(when, &told.scaling);
        }
        if (status == HRM_ERR_NAN)
            return hrm__fail(
                status,
                "step %lld: the loss is not finite, since an update before it left weights that are not; load an earlier state",
                (long long)begun.step);
        return status != HRM_OK ? status
                                : hrm__fail(HRM_ERR_NAN, "step %lld: the loss is not finite; the weights are those before it",
                                            (long long)begun.step);
    }
    if (metrics) {
        *metrics = hrm__metrics_from(told.sums);
        metrics->grad_norm = t->clip && !told.scaling.skip ? sqrt(told.norm) : 0;
        metrics->loss_scale = (double)told.scaling.scale;
        metrics->skipped = (double)told.scaling.skipped;
        metrics->step = begun.step;
        metrics->lr = begun.lr;
    }
    return HRM_OK;
}

HRM_API hrm_status hrm_trainer_catch_up(hrm_trainer *t, hrm_metrics *metrics)
{
    hrm__begun told = t->posted;
    if (told.step == 0) {
        if (metrics) memset(metrics, 0, sizeof *metrics);
        return HRM_OK;
    }
    t->posted.step = 0;
    return hrm__trainer_tell(t, told, metrics);
}

HRM_API hrm_status hrm_trainer_use_average(hrm_trainer *t, int on)
{
    if (on && t->done == 0 && t->run->w.average && !t->run->averaged) HRM__TRY(hrm__average_begin(t->run));
    return hrm__use_average(t->run, on);
}

HRM_API hrm_status hrm_trainer_step(hrm_trainer *t, hrm_dataset *data, hrm_metrics *metrics)
{
    if (!metrics) return hrm_trainer_step_ahead(t, data, NULL); /* nothing to wait for */
    HRM__TRY(hrm_trainer_catch_up(t, NULL)); /* what such steps left untold */
    HRM__TRY(hrm__trainer_start(t, data));
    return hrm_trainer_catch_up(t, metrics);
}

HRM_API hrm_status hrm_trainer_step_ahead(hrm_trainer *t, hrm_dataset *data, hrm_metrics *metrics)
{
    hrm__begun before = t->posted;
    HRM__TRY(hrm__trainer_start(t, data));
    if (!t->model->table->asynchronous) return hrm_trainer_catch_up(t, metrics);
    if (before.step) return hrm__trainer_tell(t, before, metrics);
    if (metrics) memset(metrics, 0, sizeof *metrics);
    return HRM_OK;
}

/* ==================================================================================================== >>solve =============
 * hrm_solve and hrm_evaluate are one loop: rows think segment by segment, and leave the batch when they are done.
 */
typedef struct hrm__solver {
    hrm_run  *run;
    int       rows;
    size_t    bytes;
    void     *memory;      /* host: all below */
    hrm_real *logits, *q;  /* [rows,T,V], [rows,2] */
    int32_t  *predictions; /* [rows,T] */
    int32_t  *alive;       /* [rows] which row of the call stands in each row of the run */
    int32_t  *keep;        /* [rows] */
    hrm_solve_result *results; /* [rows] */
} hrm__solver;

static size_t hrm__plan_solver(const hrm_dims *d, int rows, void *base, hrm__solver *s)
{
    hrm__plan a = {NULL, 0};
    size_t B = (size_t)rows, T = (size_t)d->T, V = (size_t)d->V;
    a.base = (char *)base;
    s->logits = hrm__take_real(&a, B * T * V);
    s->q = hrm__take_real(&a, B * 2);
    s->predictions = (int32_t *)hrm__take(&a, B * T, sizeof(int32_t));
    s->alive = (int32_t *)hrm__take(&a, B, sizeof(int32_t));
    s->keep = (int32_t *)hrm__take(&a, B, sizeof(int32_t));
    s->results = (hrm_solve_result *)hrm__take(&a, B, sizeof(hrm_solve_result));
    return a.used;
}

static void hrm__solver_destroy(hrm__solver *s)
{
    if (!s) return;
    const hrm_model *m = s->run ? s->run->model : NULL;
    const hrm_allocator *a = m ? m->allocator : NULL;
    hrm__free(a, s->memory, s->bytes, 1);
    hrm_run_destroy(s->run);
    hrm__free(a, s, 1, sizeof *s);
}

static hrm_status hrm__solver_for(hrm_model *m, int rows)
{
    void *p, *memory;
    hrm_run_desc desc;
    hrm_run *run;
    if (m->solver && m->solver->rows >= rows) return HRM_OK;
    hrm__solver_destroy(m->solver); /* first, so that never both need room */
    m->solver = NULL;
    memset(&desc, 0, sizeof desc);
    desc.rows = rows;
    HRM__TRY(hrm_run_create(&run, m, &desc));
    hrm__solver plan;
    memset(&plan, 0, sizeof plan);
    plan.rows = rows;
    plan.run = run;
    plan.bytes = hrm__plan_solver(&m->d, rows, NULL, &plan);
    hrm_status status = hrm__alloc(m->allocator, &memory, plan.bytes, 1, "solver");
    if (status != HRM_OK) {
        hrm_run_destroy(run);
        return status;
    }
    status = hrm__alloc(m->allocator, &p, 1, sizeof(hrm__solver), "solver");
    if (status != HRM_OK) {
        hrm__free(m->allocator, memory, plan.bytes, 1);
        hrm_run_destroy(run);
        return status;
    }
    plan.memory = memory;
    hrm__plan_solver(&m->d, rows, memory, &plan);
    m->solver = (hrm__solver *)p;
    *m->solver = plan;
    return HRM_OK;
}

typedef struct hrm__thinking {
    int max_steps, adaptive, want_logits;
    const hrm_solve_desc *noise; /* NULL: none */
    /* rows that are done: index in the call, and row of the solver's host buffers (predictions, logits, q) */
    hrm_status (*on_done)(void *user, const hrm__solver *s, int32_t row, size_t at, int segments, int halted);
    void (*on_segment)(void *user, const hrm__solver *s, int segment, int n);
    void *user;
} hrm__thinking;

static hrm_status hrm__think_calls(hrm_run *run, int segment)
{
    const hrm_model *m = run->model;
    hrm_work *w = &run->w;
    if (segment == 1) {
        HRM__TRY(m->table->act_begin(m->dev, w));
        HRM__TRY(m->table->embed(m->dev, w)); /* the input stays: embedded once */
    }
    HRM__TRY(m->table->passes(m->dev, w, w->z, m->thinking, m->num_passes));
    return m->table->heads(m->dev, w, w->z[0], w->q, 0); /* predictions when somebody looks at them */
}

static hrm_status hrm__think(hrm_model *m, const hrm_batch *batch, const hrm__thinking *how)
{
    hrm__solver *s = m->solver;
    hrm_run *run = s->run;
    hrm_work *w = &run->w;
    const hrm_device_table *t = m->table;
    size_t T = (size_t)w->d.T, V = (size_t)w->d.V;
    int n = batch->rows;
    w->rows = n;
    hrm_step start;
    memset(&start, 0, sizeof start);
    start.copies = 1;
    if (how->noise) {
        start.start_noise = how->noise->start_noise;
        start.noise_seed = how->noise->noise_seed;
        start.copies = how->noise->copies ? how->noise->copies : 1;
    }
    HRM__TRY(t->upload(m->dev, w->step, &start, sizeof start));
    HRM__TRY(hrm__offer(run, batch));
    HRM__TRY(hrm__fill_i32(run, w->halted, 1, (size_t)n));
    HRM__TRY(hrm__refresh(run));
    for (int i = 0; i < n; i++) s->alive[i] = i;
    for (int segment = 1; n > 0; segment++) {
        int which = segment == 1 ? HRM__KEY_SOLVE_FIRST : HRM__KEY_SOLVE_MORE, last = segment == how->max_steps, leaving = 0;
        HRM__TRY(hrm__recorded(run, which, hrm__think_calls, segment, 0)); /* each call thinks from the start */
        if (!last && !how->adaptive && !how->on_segment) continue;
        HRM__TRY(t->download(m->dev, s->q, w->q, (size_t)n * 2 * sizeof *s->q));
        for (int i = 0; i < n; i++) leaving += last || (how->adaptive && hrm__wants_to_halt(w->d.no_continue, s->q + 2 * i));
        if (leaving || how->on_segment) HRM__TRY(t->heads(m->dev, w, w->z[0], w->q, 1));
        if (leaving || how->on_segment)
            HRM__TRY(t->download(m->dev, s->predictions, w->predictions, (size_t)n * T * sizeof *s->predictions));
        if (leaving && how->want_logits)
            HRM__TRY(t->download(m->dev, s->logits, w->logits, (size_t)n * T * V * sizeof *s->logits));
        if (how->on_segment) how->on_segment(how->user, s, segment, n);
        int kept = 0;
        for (int i = 0; i < n; i++) {
            int halted = hrm__wants_to_halt(w->d.no_continue, s->q + 2 * i);
            if (last || (how->adaptive && halted)) {
                HRM__TRY(how->on_done(how->user, s, s->alive[i], (size_t)i, segment, halted));
            } else {
                s->keep[kept] = i;
                s->alive[kept++] = s->alive[i];
            }
        }
        if (kept && kept < n) HRM__TRY(t->gather(m->dev, w, s->keep, kept));
        n = kept;
    }
    return HRM_OK;
}

/* ---- hrm_solve ---------------------------------------------------------------------------------------------- >>solving ---*/
typedef struct hrm__solve_call { const hrm_solve_desc *desc; int32_t *answers; size_t T; } hrm__solve_call;

static void hrm__solve_result_set(hrm_solve_result *r, const hrm__solver *s, size_t at, int segments, int halted)
{
    r->segments = segments;
    r->halted = halted;
    r->q_halt = (float)s->q[2 * at];
    r->q_continue = (float)s->q[2 * at + 1];
}

static hrm_status hrm__solve_done(void *user, const hrm__solver *s, int32_t row, size_t at, int segments, int halted)
{
    const hrm__solve_call *call = (const hrm__solve_call *)user;
    hrm_real q = s->q[2 * at];
    if (!(q - q == 0))
        return hrm__fail(HRM_ERR_NAN,
                         "row %d: q_halt is %g after segment %d: the model's numbers are too large for forward_dtype %s",
                         (int)row, (double)q, segments, hrm__forward_names[s->run->w.d.dtype]);
    memcpy(call->answers + (size_t)row * call->T, s->predictions + at * call->T, call->T * sizeof *call->answers);
    if (call->desc->results) hrm__solve_result_set(&call->desc->results[row], s, at, segments, halted);
    return HRM_OK;
}

static void hrm__solve_segment(void *user, const hrm__solver *s, int segment, int n)
{
    const hrm__solve_call *call = (const hrm__solve_call *)user;
    for (int i = 0; i < n; i++)
        hrm__solve_result_set(&s->results[i], s, (size_t)i, segment, hrm__wants_to_halt(s->run->w.d.no_continue, s->q + 2 * i));
    call->desc->on_segment(call->desc->user, segment, n, s->alive, s->predictions, s->results);
}

HRM_API hrm_status hrm_solve(hrm_model *m, const int32_t *puzzles, int32_t *answers, const hrm_solve_desc *desc)
{
    hrm_solve_desc none;
    hrm_batch batch;
    hrm__thinking how;
    hrm__solve_call call;
    memset(&none, 0, sizeof none);
    if (!desc) desc = &none;
    int rows = desc->rows ? desc->rows : 1, max_steps = desc->max_steps ? desc->max_steps : m->d.halt_max_steps;
    if (rows < 1 || max_steps < 1)
        return hrm__fail(HRM_ERR_ARGUMENT, "rows is %d and max_steps %d, expected 1 or more", rows, max_steps);
    if (!(desc->start_noise >= 0 && desc->start_noise <= 1e6f) || desc->copies < 0)
        return hrm__fail(HRM_ERR_ARGUMENT, "start_noise is %g and copies %d, expected 0 to 1e6 and 0 or more",
                         (double)desc->start_noise, desc->copies);
    HRM__TRY(hrm__solver_for(m, rows));
    memset(&batch, 0, sizeof batch);
    batch.rows = batch.filled = rows;
    batch.inputs = (int32_t *)(uintptr_t)puzzles; /* read only */
    batch.puzzle_identifiers = (int32_t *)(uintptr_t)desc->puzzle_identifiers;
    call.desc = desc;
    call.answers = answers;
    call.T = (size_t)m->d.T;
    memset(&how, 0, sizeof how);
    how.max_steps = max_steps;
    how.adaptive = !desc->no_halting;
    how.noise = desc;
    how.on_done = hrm__solve_done;
    how.on_segment = desc->on_segment ? hrm__solve_segment : NULL;
    how.user = &call;
    return hrm__think(m, &batch, &how);
}

/* ---- hrm_evaluate ------------------------------------------------------------------------------------------- >>evaluate --*/
typedef struct hrm__evaluation {
    const hrm_evaluate_desc *desc;
    hrm_model      *model;
    hrm_batch       batch;
    hrm_run_outputs outputs; /* in the batch's order */
    double         *sums;    /* [B, HRM_METRIC_SUMS], summed in the batch's order: the same for any order of leaving */
    const hrm_comm *comm;    /* NULL: alone */
    hrm_run_outputs all;     /* what all ranks found, by rank: [size,B,…]; on rank 0 alone, and without comm `outputs` */
    double         *all_sums;
    hrm__verdict   *verdicts;
} hrm__evaluation;

static hrm_status hrm__evaluate_done(void *user, const hrm__solver *s, int32_t row, size_t at, int segments, int halted)
{
    hrm__evaluation *e = (hrm__evaluation *)user;
    const hrm_dims *d = &e->model->d;
    size_t T = (size_t)d->T, V = (size_t)d->V, r = (size_t)row;
    double *sums = e->sums + r * HRM_METRIC_SUMS, q_halt = (double)s->q[2 * at];
    int correct, labelled;
    (void)halted;
    memset(sums, 0, HRM_METRIC_SUMS * sizeof *sums);
    sums[HRM_M_LM_LOSS] = hrm_cross_entropy(e->model->desc.loss_type, NULL, s->logits + at * T * V, e->batch.labels + r * T, T,
                                            V, 1, &correct, &labelled);
    int exact = correct == labelled;
    sums[HRM_M_Q_HALT_LOSS] = hrm_bce(q_halt, exact, NULL);
    sums[HRM_M_ROWS] = 1;
    if (labelled) {
        sums[HRM_M_COUNT] = 1;
        sums[HRM_M_ACCURACY] = (double)correct / labelled;
        sums[HRM_M_EXACT] = exact;
        sums[HRM_M_Q_HALT_ACCURACY] = (q_halt >= 0) == exact;
        sums[HRM_M_STEPS] = segments;
    }
    memcpy(e->outputs.predictions + r * T, s->predictions + at * T, T * sizeof *s->predictions);
    e->outputs.q_halt[r] = s->q[2 * at];
    e->outputs.q_continue[r] = s->q[2 * at + 1];
    e->outputs.steps[r] = segments;
    if (e->outputs.logits) memcpy(e->outputs.logits + r * T * V, s->logits + at * T * V, T * V * sizeof *s->logits);
    return HRM_OK;
}

static size_t hrm__plan_evaluation(const hrm_dims *d, int B, int logits, void *base, hrm__evaluation *e)
{
    hrm__plan a = {NULL, 0};
    size_t n = (size_t)B, T = (size_t)d->T;
    a.base = (char *)base;
    int32_t *batch = (int32_t *)hrm__take(&a, hrm__batch_count(d, B), sizeof(int32_t));
    if (base) hrm__batch_place(&e->batch, batch, d, B);
    e->outputs.predictions = (int32_t *)hrm__take(&a, n * T, sizeof(int32_t));
    e->outputs.steps = (int32_t *)hrm__take(&a, n, sizeof(int32_t));
    e->outputs.q_halt = hrm__take_real(&a, n);
    e->outputs.q_continue = hrm__take_real(&a, n);
    e->outputs.logits = logits ? hrm__take_real(&a, n * T * (size_t)d->V) : NULL;
    e->sums = (double *)hrm__take(&a, n * HRM_METRIC_SUMS, sizeof(double));
    e->all = e->outputs, e->all_sums = e->sums;
    if (!e->comm) return a.used;
    n *= (size_t)e->comm->size;
    e->all_sums = (double *)hrm__take(&a, n * HRM_METRIC_SUMS, sizeof(double));
    e->verdicts = (hrm__verdict *)hrm__take(&a, (size_t)e->comm->size, sizeof(hrm__verdict));
    memset(&e->all, 0, sizeof e->all);
    if (!e->desc->on_rows || e->comm->rank) return a.used;
    e->all.predictions = (int32_t *)hrm__take(&a, n * T, sizeof(int32_t));
    e->all.steps = (int32_t *)hrm__take(&a, n, sizeof(int32_t));
    e->all.q_halt = hrm__take_real(&a, n);
    e->all.q_continue = hrm__take_real(&a, n);
    e->all.logits = logits ? hrm__take_real(&a, n * T * (size_t)d->V) : NULL;
    return a.used;
}

static hrm_status hrm__evaluate_gather(hrm__evaluation *e, int B)
{
    /* what all ranks found comes together */
    const hrm_comm *c = e->comm;
    const hrm_run_outputs *from = &e->outputs, *to = &e->all;
    size_t n = (size_t)B, T = (size_t)e->model->d.T;
    if (!c) return HRM_OK;
    HRM__TRY(c->gather(c->user, e->all_sums, e->sums, n * HRM_METRIC_SUMS * sizeof(double), 1, NULL));
    if (!e->desc->on_rows) return HRM_OK;
    HRM__TRY(c->gather(c->user, to->predictions, from->predictions, n * T * sizeof(int32_t), 0, NULL));
    HRM__TRY(c->gather(c->user, to->steps, from->steps, n * sizeof(int32_t), 0, NULL));
    HRM__TRY(c->gather(c->user, to->q_halt, from->q_halt, n * sizeof(hrm_real), 0, NULL));
    HRM__TRY(c->gather(c->user, to->q_continue, from->q_continue, n * sizeof(hrm_real), 0, NULL));
    if (!from->logits) return HRM_OK;
    return c->gather(c->user, to->logits, from->logits, n * T * (size_t)e->model->d.V * sizeof(hrm_real), 0, NULL);
}

static hrm_status hrm__evaluate_read(hrm__evaluation *e, const hrm_dataset *data, int64_t first, int64_t total, int B)
{
    e->batch.rows = B;
    HRM__TRY(hrm_dataset_read(data, first, &e->batch));
    e->batch.filled = (int)hrm__min_i64(e->batch.filled, total - first);
    e->batch.rows = e->batch.filled; /* padding is not worked on */
    return HRM_OK;
}

static hrm_status hrm__evaluate_tell(hrm__evaluation *e, const hrm_dataset *data, int r, int64_t first, int64_t total, int B)
{
    /* rank r's rows, to on_rows */
    size_t at = (size_t)r * (size_t)B, T = (size_t)e->model->d.T;
    hrm_run_outputs o = e->all;
    if (!e->desc->on_rows || (e->comm && e->comm->rank)) return HRM_OK;
    if (e->comm) HRM__TRY(hrm__evaluate_read(e, data, first, total, B));
    o.predictions += at * T, o.steps += at, o.q_halt += at, o.q_continue += at;
    if (o.logits) o.logits += at * T * (size_t)e->model->d.V;
    return e->desc->on_rows(e->desc->user, first, &e->batch, &o);
}

static hrm_status hrm__evaluate(hrm__evaluation *e, const hrm_dataset *data, const hrm__thinking *how, hrm_metrics *metrics)
{
    const hrm_evaluate_desc *d = e->desc;
    int64_t total = hrm_dataset_describe(data)->total_examples, first = d->first_example;
    int B = e->batch.rows, ranks = e->comm ? e->comm->size : 1, rank = e->comm ? e->comm->rank : 0;
    double sums[HRM_METRIC_SUMS] = {0};
    hrm_status status = HRM_OK;
    if (d->max_examples > 0) total = hrm__min_i64(total, d->max_examples);
    for (;; first += (int64_t)ranks * B) { /* a batch a rank */
        int64_t mine = first + (int64_t)rank * B;
        if (status == HRM_OK && mine < total) {
            status = hrm__evaluate_read(e, data, mine, total, B);
            if (status == HRM_OK) status = hrm__think(e->model, &e->batch, how);
        }
        HRM__TRY(hrm__agree(e->comm, e->verdicts, status));
        if (first >= total) return HRM_OK;
        HRM__TRY(hrm__evaluate_gather(e, B));
        for (int r = 0; r < ranks && status == HRM_OK && first + (int64_t)r * B < total; r++) {
            int64_t begin = first + (int64_t)r * B, filled = hrm__min_i64(B, total - begin);
            const double *found = e->all_sums + (size_t)r * (size_t)B * HRM_METRIC_SUMS;
            for (int64_t i = 0; i < filled; i++)
                for (int k = 0; k < HRM_METRIC_SUMS; k++) sums[k] += found[i * HRM_METRIC_SUMS + k];
            /* the published evaluation divides everything, losses too, by the rows counted */
            double rows = sums[HRM_M_ROWS];
            sums[HRM_M_ROWS] = sums[HRM_M_COUNT];
            *metrics = hrm__metrics_from(sums);
            sums[HRM_M_ROWS] = rows;
            status = hrm__evaluate_tell(e, data, r, begin, total, B);
            if (status == HRM_OK && d->on_batch) status = d->on_batch(d->user, begin + filled, total, metrics);
        }
    }
}

HRM_API hrm_status hrm_evaluate(hrm_model *m, const hrm_dataset *data, const hrm_evaluate_desc *desc, hrm_metrics *metrics)
{
    hrm_evaluate_desc none;
    hrm__evaluation e;
    hrm__thinking how;
    void *memory;
    memset(&none, 0, sizeof none);
    memset(&e, 0, sizeof e);
    e.desc = desc ? desc : &none;
    e.model = m;
    int B = e.desc->batch_size ? e.desc->batch_size : 64,
        max_steps = e.desc->max_steps ? e.desc->max_steps : m->d.halt_max_steps;
    if (B < 1 || max_steps < 1)
        return hrm__fail(HRM_ERR_ARGUMENT, "batch_size is %d and max_steps %d, expected 1 or more", B, max_steps);
    if (e.desc->first_example < 0)
        return hrm__fail(HRM_ERR_ARGUMENT, "first_example is %lld, expected 0 or more", (long long)e.desc->first_example);
    HRM__TRY(hrm__check_comm(e.desc->comm));
    if (e.desc->comm && e.desc->comm->size > 1) e.comm = e.desc->comm;
    HRM__TRY(hrm__check_data(m, data));
    int64_t most = hrm_dataset_describe(data)->total_examples;
    if (e.desc->max_examples > 0) most = hrm__min_i64(most, e.desc->max_examples);
    if (most > 0) B = (int)hrm__min_i64(B, most); /* no room for rows that there are not */
    HRM__TRY(hrm__solver_for(m, B));
    size_t bytes = hrm__plan_evaluation(&m->d, B, e.desc->want_logits, NULL, &e);
    HRM__TRY(hrm__alloc(m->allocator, &memory, bytes, 1, "evaluation"));
    hrm__plan_evaluation(&m->d, B, e.desc->want_logits, memory, &e);
    memset(&how, 0, sizeof how);
    how.max_steps = max_steps;
    how.adaptive = e.desc->adaptive;
    how.want_logits = 1;
    how.on_done = hrm__evaluate_done;
    how.user = &e;
    hrm_metrics found;
    memset(&found, 0, sizeof found);
    hrm_status status = hrm__evaluate(&e, data, &how, &found);
    hrm__free(m->allocator, memory, bytes, 1);
    if (status == HRM_OK) *metrics = found;
    return status;
}

/* ---- memory known beforehand --------------------------------------------------------------------------------- >>budget ---*/
static size_t hrm__block_bytes(size_t bytes) { return bytes + 2 * HRM__ALIGN; } /* what hrm__alloc asks the allocator for */

static hrm_status hrm__memory(hrm_memory *memory, const hrm_model_desc *desc, const hrm_train_desc *train_desc, int batch)
{
    hrm_model m;
    hrm_work w;
    hrm_device_sizes sizes;
    const hrm_device_table *table;
    hrm__solver solver;
    memset(&m, 0, sizeof m);
    m.desc = *desc;
    if (batch < 1 || batch > 1 << 20) return hrm__fail(HRM_ERR_ARGUMENT, "batch is %d, expected 1 to %d", batch, 1 << 20);
    HRM__TRY(hrm__cpu_select());
    HRM__TRY(hrm__resolve(&m.desc, &m.d));
    if (hrm__estimate(&m.d, batch, 1) > (double)(SIZE_MAX / 2))
        return hrm__fail(HRM_ERR_MEMORY, "a model of this size does not fit the address space");
    HRM__TRY(hrm__open_table(&table, &m.desc));
    m.count = hrm__plan_model(&m.d, &m.at, NULL);
    m.num_passes = hrm__lay_passes(&m.desc, &m.d, NULL, 1);
    size_t passes = hrm__block_bytes(2 * (size_t)m.num_passes * sizeof(hrm_pass));
    HRM__TRY(table->sizes(NULL, &m.d, 0, &sizes));
    memory->model = hrm__block_bytes(sizeof m) + hrm__block_bytes((size_t)m.count * sizeof(hrm__entry)) + passes +
                    hrm__block_bytes(sizeof(hrm_device)) + hrm__block_bytes(sizeof(hrm_pool)) +
                    hrm__block_bytes(hrm__params_bytes(&m)) + hrm__block_bytes(sizes.prepared) +
                    (hrm__puzzle_count(&m.d) ? hrm__block_bytes(hrm__puzzle_count(&m.d) * sizeof(hrm_real)) : 0);
#ifndef HRM_NO_THREADS
    memory->model += hrm__block_bytes((size_t)m.d.threads * sizeof(hrm__worker));
#endif
    hrm_run_desc run = hrm__trainer_run_desc(train_desc), solving;
    memset(&solving, 0, sizeof solving);
    m.table = table;
    int early = hrm__updates_early(&m, train_desc);
    for (int learns = 0; learns < 2; learns++) {
        int parts = learns ? train_desc->grad_accumulation : 1, rows = batch, first;
        memset(&w, 0, sizeof w);
        if (learns) w.comm = train_desc->comm;
        if (w.comm) rows = hrm_comm_rows(w.comm, w.comm->rank, batch, &first);
        w.d = m.d;
        w.train = !learns ? 0 : train_desc->freeze_weights ? 3 : early ? 2 : 1;
        hrm__run_dims(&w.d, &m.desc, &run, rows / parts, w.train);
        HRM__TRY(table->sizes(NULL, &w.d, w.train, &sizes));
        w.d.B = rows;
        size_t bytes = hrm__block_bytes(sizeof(hrm_run)) +
                       hrm__block_bytes(hrm__plan_run(&m, &sizes, learns ? &run : &solving, parts, NULL, &w));
        if (learns)
            memory->train = bytes + hrm__block_bytes(sizeof(hrm_trainer)) +
                            hrm__block_bytes(hrm__batch_count(&m.d, rows) * sizeof(int32_t)) +
                            (w.comm ? hrm__block_bytes((size_t)w.comm->size * sizeof(hrm__verdict)) : 0) +
                            (hrm__cycles_grow(&m.desc, train_desc) ? passes : 0);
        else
            memory->solve =
                bytes + hrm__block_bytes(sizeof(hrm__solver)) + hrm__block_bytes(hrm__plan_solver(&m.d, batch, NULL, &solver));
    }
    return HRM_OK;
}

HRM_API hrm_status hrm_model_memory(hrm_memory *memory, const hrm_model_desc *desc, int batch)
{
    hrm_train_desc train;
    memset(&train, 0, sizeof train);
    HRM__TRY(hrm__resolve_training(&train));
    return hrm__memory(memory, desc, &train, batch);
}

HRM_API hrm_status hrm_trainer_memory(hrm_memory *memory, const hrm_model_desc *desc, const hrm_train_desc *train)
{
    hrm_train_desc resolved = *train;
    HRM__TRY(hrm__resolve_training(&resolved));
    return hrm__memory(memory, desc, &resolved, resolved.batch_size);
}

/* ==================================================================================================== >>files =============
 * The operating system in a dozen calls, each returning 0 or its error number; then the map and the writer on top. Tests
 * define HRM__IO_FAULT() to make the n-th call fail.
 */
#ifndef HRM__IO_FAULT
    #define HRM__IO_FAULT() 0
#endif

#ifdef _WIN32
typedef HANDLE hrm__file;
    #define HRM__IO_ERROR     ERROR_IO_DEVICE
    #define HRM__IO_EXISTS    ERROR_FILE_EXISTS
    #define HRM__PATH_MAX     1024

static const char *hrm__os_reason(long error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return "no such file or folder";
    case ERROR_ACCESS_DENIED: return "permission denied";
    case ERROR_DIRECTORY: return "it is a folder";
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION: return "another process uses it";
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: return "no space left on the disk";
    case ERROR_WRITE_PROTECT: return "the disk is write-protected";
    case ERROR_TOO_MANY_OPEN_FILES: return "too many open files";
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME: return "not a valid name";
    case ERROR_FILENAME_EXCED_RANGE: return "the name is too long";
    case ERROR_NOT_ENOUGH_MEMORY: return "out of memory";
    default: return "input/output error";
    }
}

static int hrm__os_wide(wchar_t *wide, const char *path)
{
    /* paths are UTF-8 -> 0 when it is none or too long */
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, HRM__PATH_MAX) > 0;
}

static long hrm__os_create(hrm__file *file, const char *path)
{
    wchar_t wide[HRM__PATH_MAX];
    if (HRM__IO_FAULT()) return HRM__IO_ERROR;
    if (!hrm__os_wide(wide, path)) return ERROR_INVALID_NAME;
    *file = CreateFileW(wide, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    return *file == INVALID_HANDLE_VALUE ? (long)GetLastError() : 0;
}

static long hrm__os_write(hrm__file file, const void *data, size_t bytes)
{
    const char *p = (const char *)data;
    while (bytes) {
        DWORD part = bytes < (size_t)1 << 30 ? (DWORD)bytes : (DWORD)1 << 30, done = 0;
        if (HRM__IO_FAULT()) return HRM__IO_ERROR;
        if (!WriteFile(file, p, part, &done, NULL)) return (long)GetLastError();
        p += done;
        bytes -= done;
    }
    return 0;
}

static long hrm__os_seek(hrm__file file, uint64_t offset)
{
    LARGE_INTEGER to;
    to.QuadPart = (LONGLONG)offset;
    return SetFilePointerEx(file, to, NULL, FILE_BEGIN) ? 0 : (long)GetLastError();
}

static long hrm__os_sync(hrm__file file)
{
    if (HRM__IO_FAULT()) return HRM__IO_ERROR;
    return FlushFileBuffers(file) ? 0 : (long)GetLastError();
}

static long hrm__os_close(hrm__file file) { return CloseHandle(file) ? 0 : (long)GetLastError(); }

static long hrm__os_rename(const char *from, const char *to)
{
    wchar_t wide_from[HRM__PATH_MAX], wide_to[HRM__PATH_MAX];
    if (HRM__IO_FAULT()) return HRM__IO_ERROR;
    if (!hrm__os_wide(wide_from, from) || !hrm__os_wide(wide_to, to)) return ERROR_INVALID_NAME;
    return MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) ? 0 : (long)GetLastError();
}

static void hrm__os_unlink(const char *path)
{
    wchar_t wide[HRM__PATH_MAX];
    if (hrm__os_wide(wide, path)) DeleteFileW(wide);
}

static void hrm__os_sync_folder(const char *path) { (void)path; }

static unsigned long hrm__os_process(void) { return GetCurrentProcessId(); }

static int hrm__os_is_special(const char *path)
{
    /* something other than a file stands there, or a name that Windows keeps for a device */
    wchar_t wide[HRM__PATH_MAX];
    DWORD flags = hrm__os_wide(wide, path) ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    return flags != INVALID_FILE_ATTRIBUTES && (flags & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)) != 0;
}

static void hrm__os_remove_stale(const char *path)
{
    /* temporary files of a writer that lives are open without sharing, so only the others can be deleted */
    wchar_t wide[HRM__PATH_MAX], folder[HRM__PATH_MAX];
    WIN32_FIND_DATAW found;
    if (strlen(path) + 8 >= HRM__PATH_MAX || !hrm__os_wide(folder, path)) return;
    size_t n = wcslen(folder), base = n;
    memcpy(wide, folder, (n + 1) * sizeof *wide);
    memcpy(wide + n, L".tmp*", sizeof L".tmp*");
    while (base > 0 && folder[base - 1] != L'/' && folder[base - 1] != L'\\' && folder[base - 1] != L':') base--;
    HANDLE search = FindFirstFileW(wide, &found);
    if (search == INVALID_HANDLE_VALUE) return;
    do {
        const wchar_t *digits = found.cFileName + (n - base) + 4;
        if (wcslen(found.cFileName) <= n - base + 4 || digits[wcsspn(digits, L"0123456789_")] != 0) continue;
        if (base + wcslen(found.cFileName) >= HRM__PATH_MAX) continue;
        memcpy(folder + base, found.cFileName, (wcslen(found.cFileName) + 1) * sizeof *folder);
        DeleteFileW(folder);
    } while (FindNextFileW(search, &found));
    FindClose(search);
}

#else /* POSIX */
    #include <dirent.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <sys/types.h>
    #ifndef HRM_NO_MMAP
        #include <sys/mman.h>
    #endif
    #if defined(__STRICT_ANSI__) && !defined(__cplusplus)
extern int fsync(int); /* hidden by -std=c99 when a system header came before this one */
    #endif
typedef int hrm__file;
    #define HRM__IO_ERROR  EIO
    #define HRM__IO_EXISTS EEXIST

static const char *hrm__os_reason(long error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return "no such file or folder";
    case EACCES:
    case EPERM: return "permission denied";
    case ENOSPC: return "no space left on the disk";
    #ifdef EDQUOT
    case EDQUOT: return "the disk quota is used up";
    #endif
    case EROFS: return "the file system is read-only";
    case EISDIR: return "it is a folder";
    case EFBIG: return "the file would be too large for this system";
    case EMFILE:
    case ENFILE: return "too many open files";
    case ENAMETOOLONG: return "the name is too long";
    case ENOMEM: return "out of memory";
    case ENODEV:
    case ESPIPE:
    case ENXIO: return "it is not a regular file";
    case EBUSY:
    case ETXTBSY: return "another process uses it";
    default: return "input/output error";
    }
}

static long hrm__os_create(hrm__file *file, const char *path)
{
    if (HRM__IO_FAULT()) return HRM__IO_ERROR;
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0666);
        if (fd < 0) return errno;
        /* A lock tells others that we live, and goes with us. Who looked between the two calls has it, removes the file and
         * lets go: then again. Where there are no locks nobody removes anything. */
        struct flock lock;
        struct stat ours, there;
        memset(&lock, 0, sizeof lock);
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        while (fcntl(fd, F_SETLKW, &lock) != 0 && errno == EINTR) continue;
        errno = 0;
        if (fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
            *file = fd;
            return 0;
        }
        long error = errno == ENOENT ? 0 : errno;
        if (error) (void)unlink(path); /* ours: nobody else was told that it is there */
        close(fd);
        if (error) return error;
    }
}

static long hrm__os_write(hrm__file file, const void *data, size_t bytes)
{
    const char *p = (const char *)data;
    while (bytes) {
        if (HRM__IO_FAULT()) return HRM__IO_ERROR;
        ssize_t done = write(file, p, bytes < (size_t)1 << 30 ? bytes : (size_t)1 << 30);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        p += done;
        bytes -= (size_t)done;
    }
    return 0;
}

static long hrm__os_seek(hrm__file file, uint64_t offset) { return lseek(file, (off_t)offset, SEEK_SET) < 0 ? errno : 0; }

static long hrm__os_sync(hrm__file file)
{
    if (HRM__IO_FAULT()) return HRM__IO_ERROR;
    return fsync(file) == 0 || errno == EINVAL || errno == ENOSYS ? 0 : errno; /* some file systems have no such thing */
}

static long hrm__os_close(hrm__file file) { return close(file) == 0 || errno == EINTR ? 0 : errno; }

static long hrm__os_rename(const char *from, const char *to)
{
    if (HRM__IO_FAULT()) return HRM__IO_ERROR;
    return rename(from, to) == 0 ? 0 : errno;
}

static void hrm__os_unlink(const char *path) { (void)unlink(path); }

static unsigned long hrm__os_process(void) { return (unsigned long)getpid(); }

static int hrm__os_is_special(const char *path)
{
    /* a folder, a device, a pipe: renaming a file over it would be a mischief */
    struct stat s;
    return stat(path, &s) == 0 && !S_ISREG(s.st_mode);
}

static size_t hrm__os_folder(char *folder, size_t room, const char *path)
{
    /* the folder of path, "." when it names none -> where its last part begins; 0 in folder[0] when room is short */
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    folder[0] = 0;
    if (n + 2 > room) return n;
    memcpy(folder, n ? path : ".", n ? n : 1);
    folder[n ? n : 1] = 0;
    return n;
}

static void hrm__os_sync_folder(const char *path)
{
    /* so that the rename itself survives a power cut; best effort */
    char folder[1024];
    (void)hrm__os_folder(folder, sizeof folder, path);
    int fd = folder[0] ? open(folder, O_RDONLY) : -1;
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

static int hrm__temp_is_ours(const char *digits);

static void hrm__os_remove_stale(const char *path)
{
    /* PATH.tmp123 that no living process holds a lock on. Of our own, whatever PATH is called, a lock would not tell. */
    char folder[1024], full[1024];
    size_t at = hrm__os_folder(folder, sizeof folder, path), n = strlen(path + at);
    DIR *d = folder[0] ? opendir(folder) : NULL;
    if (!d) return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strncmp(e->d_name, path + at, n) != 0 || strncmp(e->d_name + n, ".tmp", 4) != 0) continue;
        const char *digits = e->d_name + n + 4;
        if (!*digits || digits[strspn(digits, "0123456789_")] || hrm__temp_is_ours(digits)) continue;
        if (snprintf(full, sizeof full, "%.*s%s", (int)at, path, e->d_name) >= (int)sizeof full) continue;
        struct flock lock;
        memset(&lock, 0, sizeof lock);
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        int fd = open(full, O_RDWR | O_NONBLOCK);
        if (fd < 0) continue;
        if (fcntl(fd, F_SETLK, &lock) == 0) (void)unlink(full);
        close(fd);
    }
    closedir(d);
}
#endif

/* ---- map --------------------------------------------------------------------------------------------------- >>map ---- */
static hrm_status hrm__map_fail(const char *path, long error)
{
    return hrm__fail(HRM_ERR_IO, "%s: cannot be read: %s", path, hrm__os_reason(error));
}

HRM_API void hrm_file_map_close(hrm_file_map *map)
{
    if (map->handle) {
#ifdef HRM_NO_MMAP
        free(map->handle);
#elif defined(_WIN32)
        UnmapViewOfFile(map->handle);
#else
        munmap(map->handle, map->size);
#endif
    }
    map->data = NULL;
    map->handle = NULL;
    map->size = 0;
}

#ifdef _WIN32
HRM_API hrm_status hrm_file_map_open(hrm_file_map *map, const char *path)
{
    wchar_t wide[HRM__PATH_MAX];
    LARGE_INTEGER length;
    if (!path || !*path) return hrm__fail(HRM_ERR_ARGUMENT, "no path given");
    if (HRM__IO_FAULT()) return hrm__map_fail(path, HRM__IO_ERROR);
    if (!hrm__os_wide(wide, path)) return hrm__map_fail(path, ERROR_INVALID_NAME);
    HANDLE file =
        CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        long reason = (long)GetLastError(); /* of a folder: access denied */
        return hrm__map_fail(path, hrm__os_is_special(path) ? ERROR_DIRECTORY : reason);
    }
    long error = GetFileSizeEx(file, &length) ? 0 : (long)GetLastError();
    if (!error && (uint64_t)length.QuadPart > SIZE_MAX / 2) error = ERROR_NOT_ENOUGH_MEMORY;
    size_t size = error ? 0 : (size_t)length.QuadPart;
    void *view = NULL;
    if (!error && size) {
    #ifdef HRM_NO_MMAP
        view = malloc(size);
        if (!view) error = ERROR_NOT_ENOUGH_MEMORY;
        for (size_t at = 0; !error && at < size;) {
            DWORD part = size - at < (size_t)1 << 30 ? (DWORD)(size - at) : (DWORD)1 << 30, done = 0;
            if (!ReadFile(file, (char *)view + at, part, &done, NULL)) error = (long)GetLastError();
            else if (!done) error = ERROR_HANDLE_EOF;
            at += done;
        }
        if (error) free(view);
    #else
        HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
        view = mapping ? MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0) : NULL;
        if (!view) error = (long)GetLastError();
        if (mapping) CloseHandle(mapping);
    #endif
    }
    CloseHandle(file);
    if (error) return hrm__map_fail(path, error);
    map->data = view ? (const unsigned char *)view : (const unsigned char *)"";
    map->size = size;
    map->handle = view;
    return HRM_OK;
}
#else
HRM_API hrm_status hrm_file_map_open(hrm_file_map *map, const char *path)
{
    char first;
    if (!path || !*path) return hrm__fail(HRM_ERR_ARGUMENT, "no path given");
    if (HRM__IO_FAULT()) return hrm__map_fail(path, HRM__IO_ERROR);
    int fd = open(path, O_RDONLY | O_NONBLOCK); /* a pipe without a writer must not hold us up */
    if (fd < 0) return hrm__map_fail(path, errno);
    off_t length = -1;
    long error = read(fd, &first, 1) < 0 ? errno : 0; /* a folder opens, but does not read */
    if (!error && (length = lseek(fd, 0, SEEK_END)) < 0) error = errno;
    if (!error && (uint64_t)length > SIZE_MAX / 2) error = ENOMEM;
    size_t size = error ? 0 : (size_t)length;
    void *view = NULL;
    if (!error && size) {
    #ifdef HRM_NO_MMAP
        view = malloc(size);
        if (!view) error = ENOMEM;
        else if (lseek(fd, 0, SEEK_SET) < 0) error = errno;
        for (size_t at = 0; !error && at < size;) {
            ssize_t done =
                HRM__IO_FAULT() ? 0 : read(fd, (char *)view + at, size - at < (size_t)1 << 30 ? size - at : (size_t)1 << 30);
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) error = done < 0 ? errno : EIO;
            else at += (size_t)done;
        }
        if (error) free(view);
    #else
        /* private; on a big-endian machine writable too, for the readers to turn the bytes round */
        view = mmap(NULL, size, HRM__BIG_ENDIAN ? PROT_READ | PROT_WRITE : PROT_READ, MAP_PRIVATE, fd, 0);
        if (view == MAP_FAILED) error = errno;
    #endif
    }
    close(fd);
    if (error) return hrm__map_fail(path, error);
    map->data = view ? (const unsigned char *)view : (const unsigned char *)"";
    map->size = size;
    map->handle = view;
    return HRM_OK;
}
#endif

static void hrm__map_to_native(const hrm_file_map *map, const void *data, hrm_dtype dtype, size_t n)
{
    /* n elements of the map from the file's byte order to the machine's; each once only */
    if (HRM__BIG_ENDIAN)
        hrm__swap_bytes((unsigned char *)map->handle + ((const unsigned char *)data - map->data), hrm_dtype_size(dtype), n);
}

/* ---- writer --------------------------------------------------------------------------------------------- >>writer ----
 * The names of unfinished files stand in a fixed table, first character last, so that a signal handler may read it any time.
 */
#define HRM__TEMPS 64
static volatile char hrm__temps[HRM__TEMPS][1024];
static unsigned long hrm__temps_process; /* whose they are: not a child's */
static char hrm__temps_own[48]; /* in all their names: the process and when it began, as numbers of processes come again */

/* The checksum of zip entries (CRC-32, polynomial 0xedb88320), eight bytes at a time. */
typedef struct hrm__crc { uint32_t value, table[8][256]; } hrm__crc;

static void hrm__crc_init(hrm__crc *crc)
{
    crc->value = 0;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int k = 0; k < 8; k++) v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
        crc->table[0][i] = v;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++) crc->table[k][i] = crc->table[k - 1][i] >> 8 ^ crc->table[0][crc->table[k - 1][i] & 255];
}

static void hrm__crc_add(hrm__crc *crc, const void *data, size_t n)
{
    const unsigned char *p = (const unsigned char *)data;
    uint32_t v = ~crc->value;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t low = v ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        v = crc->table[7][low & 255] ^ crc->table[6][low >> 8 & 255] ^ crc->table[5][low >> 16 & 255] ^
            crc->table[4][low >> 24] ^ crc->table[3][p[4]] ^ crc->table[2][p[5]] ^ crc->table[1][p[6]] ^ crc->table[0][p[7]];
    }
    for (; n; n--) v = v >> 8 ^ crc->table[0][(v ^ *p++) & 255];
    crc->value = ~v;
}

struct hrm_writer {
    const hrm_allocator *allocator;
    hrm__crc     *crc;           /* NULL, or where what is written is summed up */
    char         *path, *temp;
    size_t        temp_room;
    hrm__file     file;
    int           is_open, slot; /* slot in hrm__temps, -1: none was free */
    uint64_t      flushed;       /* bytes in the file; `fill` more wait in the buffer */
    size_t        fill;
    long          error;         /* the first; nothing is written after it */
    unsigned char buffer[1 << 16];
};

static void hrm__temps_acquire(void)
{
    while (hrm__atomic_add(&hrm__temps_lock, 1) != 1) {
        (void)hrm__atomic_add(&hrm__temps_lock, -1);
        hrm__pause();
    }
    if (hrm__temps_process == hrm__os_process()) return;
    for (int i = 0; i < HRM__TEMPS; i++) hrm__temps[i][0] = 0;
    hrm__temps_process = hrm__os_process();
    snprintf(hrm__temps_own, sizeof hrm__temps_own, "%lu_%llu", hrm__temps_process, (unsigned long long)time(NULL));
}

static void hrm__temps_release(void) { (void)hrm__atomic_add(&hrm__temps_lock, -1); }

static int hrm__temp_register(const char *temp)
{
    size_t n = strlen(temp);
    int slot = -1;
    if (n >= sizeof hrm__temps[0]) return -1; /* then a signal leaves it behind, and the next writer removes it */
    hrm__temps_acquire();
    for (int i = 0; i < HRM__TEMPS && slot < 0; i++)
        if (!hrm__temps[i][0]) slot = i;
    if (slot >= 0)
        for (size_t i = n + 1; i-- > 0;) hrm__temps[slot][i] = temp[i];
    hrm__temps_release();
    return slot;
}

static void hrm__temp_forget(int slot)
{
    if (slot < 0) return;
    hrm__temps_acquire();
    hrm__temps[slot][0] = 0;
    hrm__temps_release();
}

#ifndef _WIN32
static int hrm__temp_is_ours(const char *digits)
{
    hrm__temps_acquire();
    size_t n = strlen(hrm__temps_own);
    int ours = strncmp(digits, hrm__temps_own, n) == 0 && (!digits[n] || digits[n] == '_');
    hrm__temps_release();
    return ours;
}
#endif

HRM_API void hrm_writer_abort_all(void)
{
    for (int i = 0; i < HRM__TEMPS && hrm__temps_process == hrm__os_process(); i++)
        if (hrm__temps[i][0]) hrm__os_unlink((const char *)(uintptr_t)hrm__temps[i]);
}

static hrm_status hrm__writer_fail(hrm_writer *w, long error)
{
    if (!w->error) w->error = error;
    return hrm__fail(HRM_ERR_IO, "%s: cannot be written: %s", w->path, hrm__os_reason(w->error));
}

static void hrm__writer_free(hrm_writer *w)
{
    const hrm_allocator *a = w->allocator;
    hrm__temp_forget(w->slot);
    hrm__strfree(a, w->path);
    if (w->temp) hrm__free(a, w->temp, w->temp_room, 1);
    hrm__free(a, w, 1, sizeof *w);
}

HRM_API void hrm_writer_abort(hrm_writer *w)
{
    if (!w) return;
    if (w->is_open) {
        (void)hrm__os_close(w->file);
        hrm__os_unlink(w->temp);
    }
    hrm__writer_free(w);
}

static hrm_status hrm__writer_begin(hrm_writer *w, const char *path, const hrm_allocator *a)
{
    void *p;
    long error = HRM__IO_EXISTS;
    HRM__TRY(hrm__strdup(a, &w->path, path));
    w->temp_room = strlen(path) + sizeof hrm__temps_own + 16;
    HRM__TRY(hrm__alloc(a, &p, w->temp_room, 1, "a file name"));
    w->temp = (char *)p;
    if (hrm__os_is_special(path)) return hrm__fail(HRM_ERR_IO, "%s: cannot be written: it is not a regular file", path);
    hrm__temps_acquire();
    hrm__temps_release(); /* hrm__temps_own is this process's */
    hrm__os_remove_stale(path);
    for (int i = 0; i < 1000 && error == HRM__IO_EXISTS; i++) {
        int n = snprintf(w->temp, w->temp_room, "%s.tmp%s", path, hrm__temps_own);
        if (i) snprintf(w->temp + n, w->temp_room - (size_t)n, "_%d", i);
        w->slot = hrm__temp_register(w->temp); /* before it exists: a signal in between must find it */
        error = hrm__os_create(&w->file, w->temp);
        if (error) {
            hrm__temp_forget(w->slot);
            w->slot = -1;
        }
    }
    if (error) return hrm__writer_fail(w, error);
    w->is_open = 1;
    return HRM_OK;
}

HRM_API hrm_status hrm_writer_open(hrm_writer **writer, const char *path, const hrm_allocator *allocator)
{
    void *p;
    if (!path || !*path) return hrm__fail(HRM_ERR_ARGUMENT, "no path given");
    HRM__TRY(hrm__alloc(allocator, &p, 1, sizeof(hrm_writer), path));
    hrm_writer *w = (hrm_writer *)p;
    memset(w, 0, offsetof(hrm_writer, buffer));
    w->allocator = allocator;
    w->slot = -1;
    hrm_status status = hrm__writer_begin(w, path, allocator);
    if (status != HRM_OK) hrm_writer_abort(w);
    else *writer = w;
    return status;
}

static hrm_status hrm__writer_flush(hrm_writer *w)
{
    if (!w->error) w->error = hrm__os_write(w->file, w->buffer, w->fill);
    if (w->error) return hrm__writer_fail(w, w->error);
    w->flushed += w->fill;
    w->fill = 0;
    return HRM_OK;
}

static uint64_t hrm__writer_size(const hrm_writer *w) { return w->flushed + w->fill; }

HRM_API hrm_status hrm_writer_write(hrm_writer *w, const void *data, size_t bytes)
{
    if (w->error) return hrm__writer_fail(w, w->error);
    if (bytes == 0) return HRM_OK;
    if (w->crc) hrm__crc_add(w->crc, data, bytes);
    if (bytes > sizeof w->buffer - w->fill) {
        HRM__TRY(hrm__writer_flush(w));
        if (bytes >= sizeof w->buffer) { /* large ones go past the buffer */
            w->error = hrm__os_write(w->file, data, bytes);
            if (w->error) return hrm__writer_fail(w, w->error);
            w->flushed += bytes;
            return HRM_OK;
        }
    }
    memcpy(w->buffer + w->fill, data, bytes);
    w->fill += bytes;
    return HRM_OK;
}

HRM_API hrm_status hrm_writer_rewrite(hrm_writer *w, uint64_t offset, const void *data, size_t bytes)
{
    if (w->error) return hrm__writer_fail(w, w->error);
    if (offset > hrm__writer_size(w) || bytes > hrm__writer_size(w) - offset)
        return hrm__fail(HRM_ERR_ARGUMENT, "%s: %zu bytes at %llu to rewrite, but only %llu were written", w->path, bytes,
                         (unsigned long long)offset, (unsigned long long)hrm__writer_size(w));
    if (offset >= w->flushed) {
        if (bytes) memcpy(w->buffer + (offset - w->flushed), data, bytes);
        return HRM_OK;
    }
    HRM__TRY(hrm__writer_flush(w));
    w->error = hrm__os_seek(w->file, offset);
    if (!w->error) w->error = hrm__os_write(w->file, data, bytes);
    if (!w->error) w->error = hrm__os_seek(w->file, w->flushed);
    return w->error ? hrm__writer_fail(w, w->error) : HRM_OK;
}

HRM_API hrm_status hrm_writer_commit(hrm_writer *w)
{
    if (hrm__writer_flush(w) != HRM_OK) { /* its message stands */
        hrm_writer_abort(w);
        return HRM_ERR_IO;
    }
    long error = hrm__os_sync(w->file), closing = hrm__os_close(w->file);
    if (!error) error = closing;
    if (!error) error = hrm__os_rename(w->temp, w->path);
    if (error) {
        (void)hrm__writer_fail(w, error);
        hrm__os_unlink(w->temp);
    } else {
        hrm__os_sync_folder(w->path);
    }
    hrm__writer_free(w);
    return error ? HRM_ERR_IO : HRM_OK;
}

static hrm_status hrm__writer_elements(hrm_writer *w, hrm_dtype as, const void *data, hrm_dtype dtype, size_t n)
{
    /* data [n] in the machine's order -> the file, as type `as` and little-endian */
    unsigned char block[8 * 1024];
    size_t ss = hrm_dtype_size(dtype), ds = hrm_dtype_size(as);
    const unsigned char *src = (const unsigned char *)data;
    if (as == dtype && !HRM__BIG_ENDIAN) return hrm_writer_write(w, data, n * ss);
    for (size_t i = 0; i < n; i += 1024) {
        size_t m = n - i < 1024 ? n - i : 1024;
        HRM__TRY(hrm_convert(block, as, src + i * ss, dtype, m));
        if (HRM__BIG_ENDIAN) hrm__swap_bytes(block, ds, m);
        HRM__TRY(hrm_writer_write(w, block, m * ds));
    }
    return HRM_OK;
}

/* ==================================================================================================== >>json ==============
 * First a heap for what lives and dies together: blocks that double, nothing freed on its own.
 */
typedef struct hrm__chunk { struct hrm__chunk *next; size_t size, used; } hrm__chunk;
typedef struct hrm__arena {
    const hrm_allocator *allocator;
    hrm__chunk *chunks;
    const char *what; /* in error messages */
} hrm__arena;

static void hrm__arena_free(hrm__arena *arena)
{
    while (arena->chunks) {
        hrm__chunk *c = arena->chunks;
        arena->chunks = c->next;
        hrm__free(arena->allocator, c, c->size, 1);
    }
}

static hrm_status hrm__arena_take(hrm__arena *arena, void **out, size_t bytes)
{
    /* -> bytes aligned to 8, not zeroed */
    const size_t header = (sizeof(hrm__chunk) + 7) & ~(size_t)7;
    hrm__chunk *c = arena->chunks;
    if (bytes > SIZE_MAX / 2) return hrm__fail(HRM_ERR_MEMORY, "%s: no memory for %zu bytes", arena->what, bytes);
    bytes = (bytes + 7) & ~(size_t)7;
    if (!c || c->size - c->used < bytes) {
        size_t size = c ? c->size * 2 : 2048;
        void *p;
        if (size > (size_t)1 << 20) size = (size_t)1 << 20;
        if (size < header + bytes) size = header + bytes;
        HRM__TRY(hrm__alloc(arena->allocator, &p, size, 1, arena->what));
        c = (hrm__chunk *)p;
        c->next = arena->chunks;
        c->size = size;
        c->used = header;
        arena->chunks = c;
    }
    *out = (char *)c + c->used;
    c->used += bytes;
    return HRM_OK;
}

static hrm_status hrm__arena_string(hrm__arena *arena, char **out, const char *s, size_t n)
{
    void *p;
    HRM__TRY(hrm__arena_take(arena, &p, n + 1));
    memcpy(p, s, n);
    *out = (char *)p;
    (*out)[n] = 0;
    return HRM_OK;
}

static size_t hrm__utf8_bad(const char *s, size_t n)
{
    /* -> where the first byte stands that is not UTF-8, n when all is well; overlong forms and surrogates are not */
    const unsigned char *u = (const unsigned char *)s;
    for (size_t i = 0; i < n;) {
        unsigned c = u[i], low = 0x80, high = 0xbf;
        size_t more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
        if (more >= n - i) return i;
        if (c == 0xe0) low = 0xa0;
        if (c == 0xed) high = 0x9f;
        if (c == 0xf0) low = 0x90;
        if (c == 0xf4) high = 0x8f;
        for (size_t k = 1; k <= more; k++, low = 0x80, high = 0xbf)
            if (u[i + k] < low || u[i + k] > high) return i;
        i += more + 1;
    }
    return n;
}

static hrm_status hrm__check_content(const hrm_file_map *map, const char *path)
{
    /* what often lies where a file should: a pointer to it, a page about it */
    static const char lfs[] = "version https://git-lfs.github.com/spec/", *const pages[] = {"<!doctype html", "<html"};
    if (map->size >= sizeof lfs - 1 && memcmp(map->data, lfs, sizeof lfs - 1) == 0)
        return hrm__fail(HRM_ERR_FORMAT, "%s: a git-lfs pointer, not the file itself; run git lfs pull", path);
    size_t at = map->size >= 3 && memcmp(map->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < map->size && strchr(" \t\r\n", map->data[at]) && map->data[at]) at++;
    for (int k = 0; k < 2; k++) {
        size_t n = 0;
        while (pages[k][n] && at + n < map->size && (map->data[at + n] | (pages[k][n] >= 'a' ? 32 : 0)) == pages[k][n]) n++;
        if (!pages[k][n])
            return hrm__fail(HRM_ERR_FORMAT, "%s: an HTML page, not the file itself; download the file, not the page about it",
                             path);
    }
    return HRM_OK;
}

/* A text being read. */
typedef struct hrm__text { const char *p, *end, *name; int line; hrm__arena *arena; } hrm__text;

static hrm_status hrm__text_fail(const hrm__text *t, const char *what)
{
    return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: %s", t->name, t->line, what);
}

static void hrm__text_blank(hrm__text *t)
{
    for (; t->p < t->end && (*t->p == ' ' || *t->p == '\n' || *t->p == '\t' || *t->p == '\r'); t->p++)
        if (*t->p == '\n') t->line++;
}

static const char *hrm__number_end(const char *p, const char *end)
{
    /* -> past the longest JSON number at p; p itself when there is none */
    const char *start = p;
    if (p < end && *p == '-') p++;
    if (p == end || *p < '0' || *p > '9') return start;
    if (*p == '0') p++;
    else while (p < end && *p >= '0' && *p <= '9') p++;
    if (end - p > 1 && *p == '.' && p[1] >= '0' && p[1] <= '9')
        for (p++; p < end && *p >= '0' && *p <= '9';) p++;
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        if (q < end && (*q == '+' || *q == '-')) q++;
        if (q < end && *q >= '0' && *q <= '9') {
            while (q < end && *q >= '0' && *q <= '9') q++;
            p = q;
        }
    }
    return p;
}

static double hrm__number_value(const char *text)
{
    /* a zero-terminated JSON number, rounded correctly whatever the locale's decimal point is */
    static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t m = 0;
    int scale = 0, e = 0, exact = 1, e_sign = 1;
    const char *p = text + (*text == '-'), *point = NULL;
    for (; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.') {
            point = p;
            continue;
        }
        if (m > 900719925474098u) exact = 0; /* past 53 bits */
        else m = m * 10 + (uint64_t)(*p - '0');
        if (point) scale++;
    }
    const char *power = p;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-') e_sign = *p++ == '-' ? -1 : 1;
        for (; *p >= '0' && *p <= '9'; p++)
            if (e < 100000) e = e * 10 + (*p - '0');
    }
    e = e_sign * e - scale;
    if (exact && m == 0) return *text == '-' ? -0.0 : 0.0;
    if (exact && e >= -22 && e <= 22) { /* both operands exact: one rounding */
        double v = e < 0 ? (double)m / tens[-e] : (double)m * tens[e];
        return *text == '-' ? -v : v;
    }
    char *stop;
    double v = strtod(text, &stop);
    if (point && stop == point) { /* another decimal point rules in this process: once more with that one, of several bytes */
        char probe[16], copy[2048];
        int n = snprintf(probe, sizeof probe, "%.1f", 0.5) - 2; /* 0?5 */
        int digits = power - point > 800 ? 800 : (int)(power - point) - 1; /* more change nothing */
        snprintf(copy, sizeof copy, "%.*s%.*s%.*s%s", (int)(point - text), text, n > 0 ? n : 1, probe + 1, digits, point + 1,
                 power);
        v = strtod(copy, NULL);
    }
    return v;
}

static hrm_status hrm__json_node(hrm__text *t, hrm_json **out, hrm_json *parent, hrm_json *last, const char *key)
{
    /* a null, appended to parent after its last child */
    void *p;
    HRM__TRY(hrm__arena_take(t->arena, &p, sizeof(hrm_json)));
    hrm_json *node = (hrm_json *)p;
    memset(node, 0, sizeof *node);
    node->line = t->line;
    node->key = key;
    if (last) last->next = node;
    else if (parent) parent->child = node;
    if (parent) parent->count++;
    *out = node;
    return HRM_OK;
}

static hrm_status hrm__json_number(hrm__text *t, hrm_json *node, const char *p, size_t n)
{
    char *text;
    HRM__TRY(hrm__arena_string(t->arena, &text, p, n));
    node->type = HRM_JSON_NUMBER;
    node->string = text;
    node->number = hrm__number_value(text);
    if (!(node->number - node->number == 0))
        return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: the number %.40s is too large", t->name, t->line, node->string);
    return HRM_OK;
}

static int hrm__hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = p[i], digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
        if (digit < 0) return -1;
        v = v << 4 | digit;
    }
    return v;
}

static char *hrm__utf8_put(char *o, unsigned c)
{
    /* c below 0x110000, no surrogate -> past its one to four bytes */
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    *o++ = (char)(lead[more] | c >> 6 * more);
    while (more-- > 0) *o++ = (char)(0x80 | (c >> 6 * more & 0x3f));
    return o;
}

static hrm_status hrm__json_string(hrm__text *t, const char **out)
{
    /* at the opening quote -> past the closing one; what is decoded is never longer than what stands there */
    void *memory;
    const char *p = t->p + 1, *q = p;
    while (q < t->end && *q != '"' && (unsigned char)*q >= 32) q += *q == '\\' && t->end - q > 1 ? 2 : 1;
    if (q >= t->end) return hrm__text_fail(t, "a string does not end");
    if (*q != '"') return hrm__text_fail(t, "a line end or control character in a string");
    HRM__TRY(hrm__arena_take(t->arena, &memory, (size_t)(q - p) + 1));
    char *start = (char *)memory, *o = start;
    for (; p < q; p++) {
        if (*p != '\\') {
            *o++ = *p;
            continue;
        }
        static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
        const char *escape = *++p ? strchr(plain, *p) : NULL;
        if (escape) {
            *o++ = meaning[escape - plain];
            continue;
        }
        int c = *p == 'u' && q - p > 4 ? hrm__hex4(p + 1) : -1;
        if (c < 0) return hrm__text_fail(t, "an escape in a string that is none");
        p += 4;
        if (c >= 0xd800 && c < 0xe000) { /* half of a pair */
            int low = c < 0xdc00 && q - p > 6 && p[1] == '\\' && p[2] == 'u' ? hrm__hex4(p + 3) : -1;
            if (low < 0xdc00 || low >= 0xe000) return hrm__text_fail(t, "half a surrogate pair in a string");
            c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
            p += 6;
        }
        if (c == 0) return hrm__text_fail(t, "a zero character in a string");
        o = hrm__utf8_put(o, (unsigned)c);
    }
    *o = 0;
    if (hrm__utf8_bad(start, (size_t)(o - start)) < (size_t)(o - start)) return hrm__text_fail(t, "a string that is not UTF-8");
    t->p = q + 1;
    *out = start;
    return HRM_OK;
}

static int hrm__compare_keys(const void *a, const void *b)
{
    const hrm_json *x = *(const hrm_json *const *)a, *y = *(const hrm_json *const *)b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static hrm_status hrm__json_unique(hrm__text *t, const hrm_json *object)
{
    /* refuses an object in which a key stands twice */
    const hrm_json *few[32], **keys = few;
    void *p = NULL;
    size_t n = 0, count = object->count;
    if (count > HRM__COUNT(few)) {
        HRM__TRY(hrm__alloc(t->arena->allocator, &p, count, sizeof *keys, t->name));
        keys = (const hrm_json **)p;
    }
    for (const hrm_json *c = object->child; c; c = c->next) keys[n++] = c;
    qsort(keys, count, sizeof *keys, hrm__compare_keys);
    for (n = 1; n < count && strcmp(keys[n - 1]->key, keys[n]->key) != 0;) n++;
    hrm_status status = HRM_OK;
    if (n < count)
        status = hrm__fail(HRM_ERR_FORMAT, "%s: line %d: the key \"%.100s\" stands there a second time, first in line %d",
                           t->name, keys[n]->line, keys[n]->key, keys[n - 1]->line);
    hrm__free(t->arena->allocator, p, count, sizeof *keys);
    return status;
}

static hrm_status hrm__json_scalar(hrm__text *t, hrm_json *node)
{
    static const char *const words[] = {"null", "false", "true"};
    if (*t->p == '"') {
        node->type = HRM_JSON_STRING;
        return hrm__json_string(t, &node->string);
    }
    size_t room = (size_t)(t->end - t->p);
    for (size_t i = 0; i < HRM__COUNT(words); i++) {
        size_t n = strlen(words[i]);
        if (room < n || memcmp(t->p, words[i], n) != 0) continue;
        node->type = i ? HRM_JSON_BOOL : HRM_JSON_NULL;
        node->number = i == 2;
        node->string = i ? words[i] : NULL;
        t->p += n;
        return HRM_OK;
    }
    const char *stop = hrm__number_end(t->p, t->end), *start = t->p;
    if (stop == start || (stop < t->end && (*stop == '.' || (*stop >= '0' && *stop <= '9') || *stop == 'e' || *stop == 'E')))
        return hrm__text_fail(t, "expected a value");
    t->p = stop;
    return hrm__json_number(t, node, start, (size_t)(stop - start));
}

static hrm_status hrm__json_key(hrm__text *t, const char **key)
{
    hrm__text_blank(t);
    if (t->p == t->end || *t->p != '"') return hrm__text_fail(t, "expected a key in quotes");
    HRM__TRY(hrm__json_string(t, key));
    hrm__text_blank(t);
    if (t->p == t->end || *t->p != ':') return hrm__text_fail(t, "expected ':' after a key");
    t->p++;
    return HRM_OK;
}

#define HRM__JSON_DEPTH 64

static hrm_status hrm__json_tree(hrm__text *t, hrm_json **root)
{
    struct { hrm_json *node, *last; } stack[HRM__JSON_DEPTH]; /* the open arrays and objects */
    int depth = 0;
    const char *key = NULL;
    for (;;) {
        hrm__text_blank(t);
        if (t->p == t->end) return hrm__text_fail(t, "the text ends where a value should be");
        hrm_json *node;
        HRM__TRY(hrm__json_node(t, &node, depth ? stack[depth - 1].node : NULL, depth ? stack[depth - 1].last : NULL, key));
        if (depth) stack[depth - 1].last = node;
        else *root = node;
        key = NULL;
        int closing = 0;
        if (*t->p == '{' || *t->p == '[') {
            if (depth == HRM__JSON_DEPTH) return hrm__text_fail(t, "nested more than 64 levels deep");
            node->type = *t->p == '{' ? HRM_JSON_OBJECT : HRM_JSON_ARRAY;
            stack[depth].node = node;
            stack[depth++].last = NULL;
            t->p++;
            hrm__text_blank(t);
            closing = t->p < t->end && *t->p == (node->type == HRM_JSON_OBJECT ? '}' : ']');
            if (!closing) {
                if (node->type == HRM_JSON_OBJECT) HRM__TRY(hrm__json_key(t, &key));
                continue;
            }
        } else {
            HRM__TRY(hrm__json_scalar(t, node));
        }
        for (;;) { /* after a value: what closes, then a comma or the end */
            if (depth == 0) return HRM_OK;
            hrm_json *top = stack[depth - 1].node;
            hrm__text_blank(t);
            if (t->p < t->end && *t->p == ',' && !closing) {
                t->p++;
                if (top->type == HRM_JSON_OBJECT) HRM__TRY(hrm__json_key(t, &key));
                break;
            }
            closing = 0;
            if (t->p == t->end || *t->p != (top->type == HRM_JSON_OBJECT ? '}' : ']'))
                return hrm__text_fail(t, top->type == HRM_JSON_OBJECT ? "expected ',' or '}'" : "expected ',' or ']'");
            t->p++;
            if (top->type == HRM_JSON_OBJECT) HRM__TRY(hrm__json_unique(t, top));
            depth--;
        }
    }
}

struct hrm_json_document { hrm__arena arena; hrm_json *root; };

typedef hrm_status (*hrm__text_parser)(hrm__text *t, hrm_json **root);

static hrm_status hrm__text_parse(hrm_json_document **doc, const char *text, size_t length, const char *name,
                                  const hrm_allocator *a, hrm__text_parser parse)
{
    void *p;
    hrm__text t;
    if (length && memchr(text, 0, length)) return hrm__fail(HRM_ERR_FORMAT, "%s: not a text: it holds zero bytes", name);
    HRM__TRY(hrm__alloc_zero(a, &p, 1, sizeof(hrm_json_document), name));
    hrm_json_document *d = (hrm_json_document *)p;
    d->arena.allocator = a;
    d->arena.what = t.name = name;
    t.p = text;
    t.end = text + length;
    t.line = 1;
    t.arena = &d->arena;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) t.p += 3; /* a byte order mark */
    hrm_status status = parse(&t, &d->root);
    if (status == HRM_OK) hrm__text_blank(&t);
    if (status == HRM_OK && t.p < t.end) status = hrm__text_fail(&t, "more text after the end");
    d->arena.what = "";
    if (status != HRM_OK) hrm_json_close(d);
    else *doc = d;
    return status;
}

HRM_API hrm_status hrm_json_parse(hrm_json_document **doc, const char *text, size_t length, const char *name,
                                  const hrm_allocator *a)
{
    return hrm__text_parse(doc, text, length, name, a, hrm__json_tree);
}

HRM_API const hrm_json *hrm_json_root(const hrm_json_document *doc) { return doc->root; }

HRM_API void hrm_json_close(hrm_json_document *doc)
{
    if (!doc) return;
    const hrm_allocator *a = doc->arena.allocator;
    hrm__arena_free(&doc->arena);
    hrm__free(a, doc, 1, sizeof *doc);
}

HRM_API const hrm_json *hrm_json_get(const hrm_json *object, const char *key)
{
    if (!object || object->type != HRM_JSON_OBJECT) return NULL;
    const hrm_json *c = object->child;
    while (c && strcmp(c->key, key) != 0) c = c->next;
    return c;
}

static const char *hrm__json_type_name(hrm_json_type type)
{
    static const char *const names[] = {"null", "true or false", "a number", "a string", "an array", "an object"};
    return names[type];
}

static hrm_status hrm__json_want(const hrm_json *object, const char *key, hrm_json_type type, int required, const char *name,
                                 const hrm_json **out)
{
    /* the member of that type, NULL when absent or null and not required */
    const hrm_json *v = hrm_json_get(object, key);
    *out = NULL;
    if ((!v || v->type == HRM_JSON_NULL) && !required) return HRM_OK;
    if (!v) return hrm__fail(HRM_ERR_FORMAT, "%s: \"%s\" is missing", name, key);
    if (v->type != type)
        return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: \"%s\" is %s, expected %s", name, v->line, key,
                         hrm__json_type_name(v->type), hrm__json_type_name(type));
    *out = v;
    return HRM_OK;
}

HRM_API hrm_status hrm_json_read_number(const hrm_json *object, const char *key, double low, double high, int required,
                                        double *value, const char *name)
{
    const hrm_json *v;
    HRM__TRY(hrm__json_want(object, key, HRM_JSON_NUMBER, required, name, &v));
    if (!v) return HRM_OK;
    if (v->number < low || v->number > high)
        return hrm__fail(HRM_ERR_RANGE, "%s: line %d: \"%s\" is %.40s, expected %g to %g", name, v->line, key, v->string, low,
                         high);
    *value = v->number;
    return HRM_OK;
}

HRM_API hrm_status hrm_json_integer(const hrm_json *node, int64_t *value)
{
    /* the text decides where a double would round */
    const char *p = node->string;
    uint64_t m = 0;
    if (node->type == HRM_JSON_NUMBER) {
        int negative = *p == '-';
        for (p += negative || *p == '+'; *p >= '0' && *p <= '9' && m <= (UINT64_MAX - 9) / 10; p++)
            m = m * 10 + (uint64_t)(*p - '0');
        if (!*p && m <= (uint64_t)INT64_MAX + (uint64_t)negative) {
            *value = negative ? (m ? -(int64_t)(m - 1) - 1 : 0) : (int64_t)m;
            return HRM_OK;
        }
        if (node->number == floor(node->number) && fabs(node->number) < 9007199254740992.0) { /* 1e3, 7.0 */
            *value = (int64_t)node->number;
            return HRM_OK;
        }
    }
    return hrm__fail(HRM_ERR_FORMAT, "line %d: %.40s is not a whole number", node->line,
                     node->string ? node->string : hrm__json_type_name(node->type));
}

HRM_API hrm_status hrm_json_read_integer(const hrm_json *object, const char *key, int64_t low, int64_t high, int required,
                                         int64_t *value, const char *name)
{
    const hrm_json *v;
    int64_t n;
    HRM__TRY(hrm__json_want(object, key, HRM_JSON_NUMBER, required, name, &v));
    if (!v) return HRM_OK;
    if (hrm_json_integer(v, &n) != HRM_OK)
        return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: \"%s\" is %.40s, expected a whole number", name, v->line, key,
                         v->string);
    if (n < low || n > high)
        return hrm__fail(HRM_ERR_RANGE, "%s: line %d: \"%s\" is %lld, expected %lld to %lld", name, v->line, key, (long long)n,
                         (long long)low, (long long)high);
    *value = n;
    return HRM_OK;
}

HRM_API hrm_status hrm_json_read_string(const hrm_json *object, const char *key, int required, const char **value,
                                        const char *name)
{
    const hrm_json *v;
    HRM__TRY(hrm__json_want(object, key, HRM_JSON_STRING, required, name, &v));
    if (v) *value = v->string;
    return HRM_OK;
}

HRM_API hrm_status hrm_json_read_bool(const hrm_json *object, const char *key, int required, int *value, const char *name)
{
    const hrm_json *v;
    HRM__TRY(hrm__json_want(object, key, HRM_JSON_BOOL, required, name, &v));
    if (v) *value = v->number != 0;
    return HRM_OK;
}

/* ---- yaml ------------------------------------------------------------------------------------------------- >>yaml ----
 * What configurations are written in: block mappings and sequences by indentation, [a, b] and {a: b}, plain, 'single' and
 * "double" quoted scalars, | and > blocks, comments, anchors of values, aliases, merges (<<). An alias is a copy of what it
 * stands for; copies of more than HRM__YAML_COPIES nodes are refused, as are tags, "? key" and several documents.
 */
#define HRM__YAML_COPIES 10000

typedef struct hrm__yaml_anchor { const char *name; const hrm_json *node; struct hrm__yaml_anchor *next; } hrm__yaml_anchor;
typedef struct hrm__yaml {
    hrm__text t;
    int column;  /* of the content at t.p in its line; -1: the text has ended */
    int started; /* a line with content, or the --- before it, has been seen */
    int ended;   /* the ... behind it too */
    hrm__yaml_anchor *anchors; /* the latest first */
    int copies;  /* nodes that aliases have made */
} hrm__yaml;

static int hrm__yaml_at_end_of_line(const hrm__text *t, int after_blank)
{
    /* nothing but blanks and a comment before the line's end; a comment needs a blank before it */
    const char *p = t->p;
    while (p < t->end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    return p == t->end || *p == '\n' || (*p == '#' && (p > t->p || after_blank));
}

static hrm_status hrm__yaml_content(hrm__yaml *y)
{
    /* at the start of a line -> the first content from there on */
    hrm__text *t = &y->t;
    for (;; t->p++, t->line++) {
        const char *start = t->p;
        while (t->p < t->end && *t->p == ' ') t->p++;
        ptrdiff_t column = t->p - start;
        if (!hrm__yaml_at_end_of_line(t, 1)) {
            int mark = column == 0 && t->end - t->p >= 3 && (memcmp(t->p, "---", 3) == 0 || memcmp(t->p, "...", 3) == 0);
            if (*t->p == '\t') return hrm__text_fail(t, "a tab in the indentation");
            if (column > 10000) return hrm__text_fail(t, "indented too far");
            int ends = mark && *t->p == '.';
            if ((mark && y->started && !ends) || y->ended) return hrm__text_fail(t, "more than one document is not supported");
            y->started = 1;
            y->ended = ends;
            y->column = (int)column;
            if (!mark) return HRM_OK;
            t->p += 3;
            if (!hrm__yaml_at_end_of_line(t, 0)) return hrm__text_fail(t, "more text after --- or ...");
        }
        while (t->p < t->end && *t->p != '\n') t->p++;
        if (t->p == t->end) break;
    }
    y->column = -1;
    return HRM_OK;
}

static hrm_status hrm__yaml_next_line(hrm__yaml *y)
{
    hrm__text *t = &y->t;
    while (t->p < t->end && *t->p != '\n') t->p++;
    if (t->p < t->end) t->p++, t->line++;
    return hrm__yaml_content(y);
}

static int hrm__yaml_is_dash(const hrm__yaml *y)
{
    const hrm__text *t = &y->t;
    return y->column >= 0 && *t->p == '-' && (t->end - t->p == 1 || t->p[1] == ' ' || t->p[1] == '\n' || t->p[1] == '\r');
}

static const char *hrm__yaml_plain_end(const hrm__text *t, int flow)
{
    /* -> where the plain scalar at t->p ends: before ": ", " #", the line's end, in flow also before , ] } */
    const char *p = t->p, *last = p;
    for (; p < t->end && *p != '\n'; p++) {
        if (*p == ':' && (t->end - p == 1 || strchr(" \t\r\n", p[1]) || (flow && strchr(",]}", p[1])))) break;
        if (*p == '#' && p > t->p && (p[-1] == ' ' || p[-1] == '\t')) break;
        if (flow && (*p == ',' || *p == ']' || *p == '}' || *p == '[' || *p == '{')) break;
        if (*p != ' ' && *p != '\t' && *p != '\r') last = p + 1;
    }
    return last;
}

static const char *hrm__yaml_key_colon(const hrm__text *t)
{
    /* -> the ':' of the key at t->p, NULL when the line is no "key: …" */
    const char *p = t->p;
    if (strchr("[{|>&*", *p)) return NULL;
    if (*p == '"' || *p == '\'') {
        char quote = *p++;
        for (; p < t->end && *p != '\n' && *p != quote; p++)
            if (*p == '\\' && quote == '"' && t->end - p > 1) p++;
        if (p >= t->end || *p != quote) return NULL;
        p++;
    } else {
        p = hrm__yaml_plain_end(t, 0);
    }
    while (p < t->end && (*p == ' ' || *p == '\t')) p++;
    return p < t->end && p > t->p && *p == ':' && (t->end - p == 1 || strchr(" \t\r\n", p[1])) ? p : NULL;
}

static const char *hrm__yaml_fold(hrm__text *t, const char *p, const char *end, char **o, const char *low)
{
    /* at a line's end in a quoted string: it and the blanks around it are one blank, n empty lines n line ends; not below
     * `low` */
    int empty = -1;
    while (*o > low && ((*o)[-1] == ' ' || (*o)[-1] == '\t' || (*o)[-1] == '\r')) (*o)--;
    for (; p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'); p++)
        if (*p == '\n') empty++, t->line++;
    if (empty == 0) *(*o)++ = ' ';
    for (; empty > 0; empty--) *(*o)++ = '\n';
    return p;
}

static hrm_status hrm__yaml_quoted(hrm__text *t, const char **out)
{
    /* at the opening quote -> past the closing one; what is decoded is never longer than what stands there */
    void *memory;
    const char *p = t->p + 1, *q = p;
    const char quote = *t->p;
    while (q < t->end && (*q != quote || (quote == '\'' && t->end - q > 1 && q[1] == '\''))) /* '' stands for one */
        q += (*q == quote || (*q == '\\' && quote == '"')) && t->end - q > 1 ? 2 : 1;
    if (q >= t->end) return hrm__text_fail(t, "a quoted string does not end");
    HRM__TRY(hrm__arena_take(t->arena, &memory, (size_t)(q - p) + 1));
    char *start = (char *)memory, *o = start, *low = start;
    while (p < q) {
        static const char plain[] = "\"\\/abfnrtve ", meaning[] = "\"\\/\a\b\f\n\r\t\v\x1b ";
        if (*p == '\n') {
            p = hrm__yaml_fold(t, p, q, &o, low);
        } else if (quote == '\'' || *p != '\\') {
            if (*p == quote) p++;
            *o++ = *p++;
        } else {
            const char *escape = *++p ? strchr(plain, *p) : NULL;
            int digits = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
            unsigned c = *p == '_' ? 0xa0 : *p == 'N' ? 0x85 : 0;
            if (escape) {
                *o++ = meaning[escape - plain];
                p++;
            } else if (*p == '\n' || *p == '\r') { /* the line goes on in the next */
                for (t->line++; p < q && *p != '\n';) p++;
                for (p += p < q; p < q && (*p == ' ' || *p == '\t');) p++;
            } else {
                for (p++; digits && p < q && c < 0x110000; digits--, p++) {
                    int k = *p | 32, digit = *p >= '0' && *p <= '9' ? *p - '0' : k >= 'a' && k <= 'f' ? k - 'a' + 10 : -1;
                    if (digit < 0) break;
                    c = c << 4 | (unsigned)digit;
                }
                int second = c >= 0xd800 && c < 0xdc00 && q - p > 5 && p[0] == '\\' && p[1] == 'u' ? hrm__hex4(p + 2) : -1;
                if (second >= 0xdc00 && second < 0xe000) { /* a pair, as JSON has it */
                    c = 0x10000 + ((c & 0x3ff) << 10) + ((unsigned)second & 0x3ff);
                    p += 6;
                }
                if (digits || !c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
                    return hrm__text_fail(t, "an escape in a string that is none");
                o = hrm__utf8_put(o, c);
            }
            low = o; /* an escaped blank at a line's end stays */
        }
    }
    *o = 0;
    if (hrm__utf8_bad(start, (size_t)(o - start)) < (size_t)(o - start)) return hrm__text_fail(t, "a string that is not UTF-8");
    t->p = q + 1;
    *out = start;
    return HRM_OK;
}

static hrm_status hrm__yaml_plain(hrm__text *t, hrm_json *node, const char *p, size_t n)
{
    /* null, true, false, numbers; anything else is a string */
    static const struct { const char *word; hrm_json_type type; int value;
    } words[] = {{"~", HRM_JSON_NULL, 0},     {"null", HRM_JSON_NULL, 0},  {"Null", HRM_JSON_NULL, 0},
                 {"NULL", HRM_JSON_NULL, 0},  {"true", HRM_JSON_BOOL, 1},  {"True", HRM_JSON_BOOL, 1},
                 {"TRUE", HRM_JSON_BOOL, 1},  {"yes", HRM_JSON_BOOL, 1},   {"Yes", HRM_JSON_BOOL, 1},
                 {"on", HRM_JSON_BOOL, 1},    {"On", HRM_JSON_BOOL, 1},    {"false", HRM_JSON_BOOL, 0},
                 {"False", HRM_JSON_BOOL, 0}, {"FALSE", HRM_JSON_BOOL, 0}, {"no", HRM_JSON_BOOL, 0},
                 {"No", HRM_JSON_BOOL, 0},    {"off", HRM_JSON_BOOL, 0},   {"Off", HRM_JSON_BOOL, 0}};
    char *copy;
    if (n == 0) return HRM_OK;
    if (strchr("&*!|>%@`", *p))
        return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: a value that begins with '%c' is not supported", t->name, t->line, *p);
    HRM__TRY(hrm__arena_string(t->arena, &copy, p, n));
    node->string = copy;
    if (strlen(copy) != n || hrm__utf8_bad(copy, n) < n) return hrm__text_fail(t, "a value that is not UTF-8");
    for (size_t i = 0; i < HRM__COUNT(words); i++)
        if (strcmp(copy, words[i].word) == 0) {
            node->type = words[i].type;
            node->number = words[i].value;
            if (node->type == HRM_JSON_NULL) node->string = NULL;
            return HRM_OK;
        }
    node->type = HRM_JSON_STRING;
    if (n < 64 &&
        strpbrk(copy, "0123456789")) { /* a number in YAML may have a plus, and do without digits before or after its point */
        char number[72];
        const char *sign = *p == '-' ? "-" : "", *rest = copy + (*p == '-' || *p == '+');
        int m = snprintf(number, sizeof number, "%s%s%s", sign, *rest == '.' ? "0" : "", rest);
        if (m > 1 && number[m - 1] == '.' && copy[n - 2] != '.' && n > 1) number[--m] = 0;
        if (hrm__number_end(number, number + m) == number + m) return hrm__json_number(t, node, number, (size_t)m);
    }
    return HRM_OK;
}

static hrm_status hrm__yaml_key(hrm__text *t, int flow, const char **key)
{
    /* key and ':' -> past both */
    char *copy;
    const char *stop;
    if (*t->p == '"' || *t->p == '\'') {
        HRM__TRY(hrm__yaml_quoted(t, key));
    } else {
        stop = hrm__yaml_plain_end(t, flow);
        size_t n = (size_t)(stop - t->p);
        if (n == 0 || strchr("&*!|>%@`", *t->p) || (*t->p == '?' && n == 1))
            return hrm__text_fail(t, "expected \"key: value\"");
        HRM__TRY(hrm__arena_string(t->arena, &copy, t->p, n));
        if (strlen(copy) != n || hrm__utf8_bad(copy, n) < n) return hrm__text_fail(t, "a key that is not UTF-8");
        *key = copy;
        t->p = stop;
    }
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t')) t->p++;
    if (t->p == t->end || *t->p != ':') return hrm__text_fail(t, "expected \"key: value\"");
    t->p++;
    return HRM_OK;
}

static void hrm__yaml_flow_blank(hrm__text *t)
{
    for (hrm__text_blank(t); t->p < t->end && *t->p == '#'; hrm__text_blank(t))
        while (t->p < t->end && *t->p != '\n') t->p++;
}

static hrm_status hrm__yaml_copy(hrm__yaml *y, hrm_json *node, const hrm_json *from, int depth)
{
    /* the value of `from` into node, which keeps its key */
    hrm__text *t = &y->t;
    hrm_json *last = NULL;
    if (++y->copies > HRM__YAML_COPIES) return hrm__text_fail(t, "the aliases stand for too much");
    if (depth > HRM__JSON_DEPTH) return hrm__text_fail(t, "nested more than 64 levels deep");
    node->type = from->type;
    node->string = from->string;
    node->number = from->number;
    for (const hrm_json *c = from->child; c; c = c->next) {
        HRM__TRY(hrm__json_node(t, &last, node, last, c->key));
        HRM__TRY(hrm__yaml_copy(y, last, c, depth + 1));
    }
    return HRM_OK;
}

static hrm_status hrm__yaml_mark(hrm__yaml *y, const char **name)
{
    /* at & or * -> past the name behind it and the blanks after that */
    hrm__text *t = &y->t;
    char *copy;
    const char *start = ++t->p;
    while (t->p < t->end && !strchr(" \t\r\n,[]{}", *t->p)) t->p++;
    if (t->p == start) return hrm__text_fail(t, "an anchor or alias without a name");
    HRM__TRY(hrm__arena_string(t->arena, &copy, start, (size_t)(t->p - start)));
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t')) t->p++;
    *name = copy;
    return HRM_OK;
}

static hrm_status hrm__yaml_alias(hrm__yaml *y, hrm_json *node, int depth)
{
    const char *name;
    HRM__TRY(hrm__yaml_mark(y, &name));
    const hrm__yaml_anchor *a = y->anchors;
    while (a && strcmp(a->name, name) != 0) a = a->next;
    if (!a) return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: *%.80s: no value above has this anchor", y->t.name, y->t.line, name);
    return hrm__yaml_copy(y, node, a->node, depth);
}

static hrm_status hrm__yaml_anchor_set(hrm__yaml *y, const char *name, const hrm_json *node)
{
    void *p;
    if (!name) return HRM_OK;
    HRM__TRY(hrm__arena_take(y->t.arena, &p, sizeof(hrm__yaml_anchor)));
    hrm__yaml_anchor *a = (hrm__yaml_anchor *)p;
    a->name = name;
    a->node = node;
    a->next = y->anchors;
    y->anchors = a;
    return HRM_OK;
}

static hrm_status hrm__yaml_merge(hrm__yaml *y, hrm_json *node, int depth)
{
    /* a whole mapping: "<<: *a" or "<<: [*a, *b]" gives way to those of their members that it has not itself */
    hrm_json *before = NULL, *m = node->child;
    for (; m && strcmp(m->key, "<<") != 0; m = m->next) before = m;
    if (!m) return HRM_OK;
    if (before) before->next = m->next;
    else node->child = m->next;
    node->count--;
    hrm_json *last = node->child;
    while (last && last->next) last = last->next;
    for (const hrm_json *from = m->type == HRM_JSON_ARRAY ? m->child : m; from;
         from = m->type == HRM_JSON_ARRAY ? from->next : NULL) {
        if (from->type != HRM_JSON_OBJECT)
            return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: << takes a mapping, or a list of them", y->t.name, m->line);
        for (const hrm_json *c = from->child; c; c = c->next) {
            if (hrm_json_get(node, c->key)) continue;
            HRM__TRY(hrm__json_node(&y->t, &last, node, last, c->key));
            HRM__TRY(hrm__yaml_copy(y, last, c, depth + 1));
        }
    }
    return HRM_OK;
}

static hrm_status hrm__yaml_flow(hrm__yaml *y, hrm_json *node, int depth)
{
    /* [ … ], { … } or a scalar in one of them; node is a null so far */
    hrm__text *t = &y->t;
    const char *anchor = NULL;
    if (*t->p == '*') return hrm__yaml_alias(y, node, depth);
    if (*t->p == '&') {
        HRM__TRY(hrm__yaml_mark(y, &anchor));
        if (t->p == t->end) return hrm__text_fail(t, "expected a value");
    }
    if (*t->p == '"' || *t->p == '\'') {
        node->type = HRM_JSON_STRING;
        HRM__TRY(hrm__yaml_quoted(t, &node->string));
        return hrm__yaml_anchor_set(y, anchor, node);
    }
    if (*t->p != '[' && *t->p != '{') {
        const char *start = t->p;
        t->p = hrm__yaml_plain_end(t, 1);
        if (t->p == start) return hrm__text_fail(t, "expected a value");
        HRM__TRY(hrm__yaml_plain(t, node, start, (size_t)(t->p - start)));
        return hrm__yaml_anchor_set(y, anchor, node);
    }
    if (depth >= HRM__JSON_DEPTH) return hrm__text_fail(t, "nested more than 64 levels deep");
    node->type = *t->p == '{' ? HRM_JSON_OBJECT : HRM_JSON_ARRAY;
    const char close = *t->p++ == '{' ? '}' : ']';
    hrm_json *last = NULL;
    for (;;) {
        const char *key = NULL;
        hrm__yaml_flow_blank(t);
        if (t->p == t->end) return hrm__text_fail(t, close == ']' ? "a '[' without its ']'" : "a '{' without its '}'");
        if (*t->p == close) break; /* also after a last comma */
        if (close == '}') HRM__TRY(hrm__yaml_key(t, 1, &key));
        hrm__yaml_flow_blank(t);
        HRM__TRY(hrm__json_node(t, &last, node, last, key));
        if (t->p < t->end && !(close == '}' && (*t->p == ',' || *t->p == '}'))) HRM__TRY(hrm__yaml_flow(y, last, depth + 1));
        hrm__yaml_flow_blank(t);
        if (t->p < t->end && *t->p == ',') t->p++;
        else if (t->p < t->end && *t->p != close)
            return hrm__text_fail(t, close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
    }
    t->p++;
    if (node->type == HRM_JSON_OBJECT) {
        HRM__TRY(hrm__json_unique(t, node));
        HRM__TRY(hrm__yaml_merge(y, node, depth));
    }
    return hrm__yaml_anchor_set(y, anchor, node);
}

static hrm_status hrm__yaml_block_text(hrm__yaml *y, hrm_json *node, int parent)
{
    /* | or > with its marks (- and + for the last line ends, a digit for the indentation) and the deeper lines below -> the
     * next content */
    hrm__text *t = &y->t;
    const int folded = *t->p++ == '>', least = parent + 1;
    int indent = 0, keep = 0, more = 0; /* more: the line before was indented further */
    void *memory;
    for (; t->p < t->end && (*t->p == '-' || *t->p == '+' || (*t->p >= '1' && *t->p <= '9')); t->p++) {
        if (*t->p == '-' || *t->p == '+') keep = *t->p == '+' ? 1 : -1;
        else indent = (parent > 0 ? parent : 0) + (*t->p - '0');
    }
    if (!hrm__yaml_at_end_of_line(t, 0)) return hrm__text_fail(t, "more text after | or >");
    while (t->p < t->end && *t->p != '\n') t->p++;
    const char *start = t->p, *stop = start;
    for (const char *p = start; p < t->end;
         p = stop) { /* the first line with content sets the indentation, one with less ends the text */
        const char *line = p + 1, *q = line;
        while (q < t->end && *q == ' ') q++;
        for (stop = q; stop < t->end && *stop != '\n';) stop++;
        if (q == stop || (*q == '\r' && q + 1 == stop)) continue;
        if (!indent) indent = (int)hrm__min_i64(q - line, 10000);
        if (q - line < (indent > least ? indent : least) ||
            (q == line && t->end - q >= 3 && (memcmp(q, "---", 3) == 0 || memcmp(q, "...", 3) == 0))) {
            stop = p;
            break;
        }
    }
    HRM__TRY(hrm__arena_take(t->arena, &memory, (size_t)(stop - start) + 2));
    char *text = (char *)memory, *o = text;
    size_t breaks = 0; /* line ends not yet written */
    for (const char *p = start; p < stop;) {
        const char *line = ++p, *end;
        t->line++;
        for (; p < stop && *p != '\n';) p++;
        end = p > line && p[-1] == '\r' ? p - 1 : p;
        for (int i = 0; i < indent && line < end && *line == ' '; i++) line++;
        if (line < end) {
            int further = *line == ' ' || *line == '\t';
            if (folded && o > text && !further && !more && breaks) {
                if (--breaks == 0) *o++ = ' ';
            }
            for (; breaks; breaks--) *o++ = '\n';
            memcpy(o, line, (size_t)(end - line));
            o += end - line;
            more = further;
        }
        breaks++;
    }
    if (o > text && keep == 0) *o++ = '\n';
    for (; keep > 0 && breaks; breaks--) *o++ = '\n';
    *o = 0;
    if (hrm__utf8_bad(text, (size_t)(o - text)) < (size_t)(o - text)) return hrm__text_fail(t, "a value that is not UTF-8");
    node->type = HRM_JSON_STRING;
    node->string = text;
    t->p = stop;
    return hrm__yaml_next_line(y);
}

static hrm_status hrm__yaml_inline(hrm__yaml *y, hrm_json *node, int parent, int depth)
{
    /* the value that begins in this line -> the next line's content; a plain one goes on in lines deeper than `parent` */
    hrm__text *t = &y->t;
    if (*t->p == '|' || *t->p == '>') return hrm__yaml_block_text(y, node, parent);
    if (strchr("\"'[{*&", *t->p)) {
        HRM__TRY(hrm__yaml_flow(y, node, depth));
        if (!hrm__yaml_at_end_of_line(t, 0)) return hrm__text_fail(t, "more text after a value");
        return hrm__yaml_next_line(y);
    }
    const char *start = t->p, *stop = hrm__yaml_plain_end(t, 0);
    hrm__yaml first = *y, ahead = *y;
    size_t length = (size_t)(stop - start), lines = 1;
    for (t->p = stop;; lines++, length += 1 + (size_t)(stop - ahead.t.p), t->p = stop) {
        if (!hrm__yaml_at_end_of_line(t, 0)) return hrm__text_fail(t, "a second ':' in a value; put it in quotes");
        HRM__TRY(hrm__yaml_next_line(y));
        if (y->column <= parent) break;
        if (hrm__yaml_key_colon(t)) return hrm__text_fail(t, "indented deeper than the line it belongs to");
        ahead = *y;
        stop = hrm__yaml_plain_end(t, 0);
    }
    if (lines == 1) return hrm__yaml_plain(&first.t, node, start, length);
    void *memory; /* several lines make one string, joined with blanks */
    HRM__TRY(hrm__arena_take(t->arena, &memory, length + 1));
    char *o = (char *)memory;
    for (ahead = first; lines-- > 0;) {
        stop = hrm__yaml_plain_end(&ahead.t, 0);
        memcpy(o, ahead.t.p, (size_t)(stop - ahead.t.p));
        o += stop - ahead.t.p;
        if (!lines) break;
        *o++ = ' ';
        HRM__TRY(hrm__yaml_next_line(&ahead));
    }
    *o = 0;
    return hrm__yaml_plain(&first.t, node, (const char *)memory, length);
}

static hrm_status hrm__yaml_block(hrm__yaml *y, hrm_json *node, int parent, int depth)
{
    /* the value whose first content stands at y->column > parent; node is a null so far */
    hrm__text *t = &y->t;
    int column = y->column, dash = hrm__yaml_is_dash(y);
    hrm_json *last = NULL;
    if (depth > HRM__JSON_DEPTH) return hrm__text_fail(t, "nested more than 64 levels deep");
    if (!dash && !hrm__yaml_key_colon(t)) return hrm__yaml_inline(y, node, parent, depth);
    if (depth == HRM__JSON_DEPTH) return hrm__text_fail(t, "nested more than 64 levels deep");
    node->type = dash ? HRM_JSON_ARRAY : HRM_JSON_OBJECT;
    while (y->column == column && hrm__yaml_is_dash(y) == dash) {
        const char *key = NULL, *start = t->p;
        if (dash) {
            t->p++;
        } else {
            if (!hrm__yaml_key_colon(t)) return hrm__text_fail(t, "expected \"key: value\"");
            HRM__TRY(hrm__yaml_key(t, 0, &key));
        }
        HRM__TRY(hrm__json_node(t, &last, node, last, key));
        const char *anchor = NULL;
        const char *before = t->p;
        while (t->p < t->end && (*t->p == ' ' || *t->p == '\t')) t->p++;
        if (t->p < t->end && t->p > before && *t->p == '&') HRM__TRY(hrm__yaml_mark(y, &anchor));
        if (hrm__yaml_at_end_of_line(t, 1)) {
            HRM__TRY(hrm__yaml_next_line(y));
            /* a list may stand as far left as its key */
            if (y->column > column) HRM__TRY(hrm__yaml_block(y, last, column, depth + 1));
            else if (!dash && y->column == column && hrm__yaml_is_dash(y))
                HRM__TRY(hrm__yaml_block(y, last, column - 1, depth + 1));
        } else {
            if (dash && !anchor) {
                y->column = column + (int)hrm__min_i64(t->p - start, 10000); /* "- key: value" opens a mapping at the key */
                HRM__TRY(hrm__yaml_block(y, last, column, depth + 1));
            } else {
                HRM__TRY(hrm__yaml_inline(y, last, column, depth + 1));
            }
        }
        HRM__TRY(hrm__yaml_anchor_set(y, anchor, last));
    }
    if (y->column > parent && y->column != column) return hrm__text_fail(t, "the indentation fits no line above");
    /* the keys after a list that stands as far left as its key are not this block's */
    if (y->column == column && !(dash && column == parent + 1)) return hrm__text_fail(t, "a list and keys mixed");
    if (dash) return HRM_OK;
    HRM__TRY(hrm__json_unique(t, node));
    return hrm__yaml_merge(y, node, depth);
}

static hrm_status hrm__yaml_tree(hrm__text *t, hrm_json **root)
{
    hrm__yaml y;
    memset(&y, 0, sizeof y);
    y.t = *t;
    HRM__TRY(hrm__json_node(t, root, NULL, NULL, NULL));
    HRM__TRY(hrm__yaml_content(&y));
    if (y.column >= 0) {
        (*root)->line = y.t.line;
        HRM__TRY(hrm__yaml_block(&y, *root, -1, 0));
        if (y.column >= 0) return hrm__text_fail(&y.t, "the indentation fits no line above");
    }
    t->p = t->end;
    return HRM_OK;
}

HRM_API hrm_status hrm_yaml_parse(hrm_json_document **doc, const char *text, size_t length, const char *name,
                                  const hrm_allocator *a)
{
    return hrm__text_parse(doc, text, length, name, a, hrm__yaml_tree);
}

/* ---- interpolation ------------------------------------------------------------------------------- >>interpolation ---- */
#define HRM__EXPANSIONS    10000 /* in a document; what is left stays as it is */
#define HRM__EXPANDED_TEXT 2048  /* bytes of a string at most */

typedef struct hrm__expansion {
    hrm__text   t;    /* where new strings live */
    hrm_json   *root;
    int         keys, left, changed;
    struct tm   now;
    hrm_json   *parents[HRM__JSON_DEPTH + 2]; /* of the node being looked at, from the root on */
} hrm__expansion;

static int hrm__expand_now(const hrm__expansion *x, const char *format, char *out, size_t room)
{
    for (const char *p = format; *p; p++)
        if (*p == '%' && (!*++p || !strchr("YmdHMSyjBbAaIpZz%", *p))) return 0; /* strftime may do anything with others */
    return *format && strftime(out, room, format, &x->now) > 0;
}

static const hrm_json *hrm__expand_key(const hrm__expansion *x, const char *name, int depth)
{
    /* a.b from the root, .a beside the node, ..a one level further up */
    const hrm_json *v = x->root;
    char part[128];
    if (*name == '.') {
        for (name++; *name == '.'; name++) depth--;
        if (depth < 1) return NULL;
        v = x->parents[depth - 1];
    }
    while (v) {
        size_t n = strcspn(name, ".");
        if (!n || n >= sizeof part) return NULL;
        snprintf(part, sizeof part, "%.*s", (int)n, name);
        v = hrm_json_get(v, part);
        if (!name[n]) break;
        name += n + 1;
    }
    return v;
}

static int hrm__expand_one(const hrm__expansion *x, const char *name, int depth, char *out, size_t room)
{
    /* the text between ${ and } -> 1 and what it stands for */
    if (strncmp(name, "now:", 4) == 0) return hrm__expand_now(x, name + 4, out, room);
    if (strncmp(name, "oc.env:", 7) == 0) {
        char variable[128];
        size_t n = strcspn(name + 7, ",");
        const char *rest = name + 7 + n;
        snprintf(variable, sizeof variable, "%.*s", (int)(n < 127 ? n : 127), name + 7);
        const char *value = getenv(variable);
        if (!value && *rest == ',')
            for (value = rest + 1; *value == ' ';) value++;
        return value && hrm__utf8_bad(value, strlen(value)) == strlen(value) && (size_t)snprintf(out, room, "%s", value) < room;
    }
    if (!x->keys || strchr(name, ':')) return 0;
    const hrm_json *v = hrm__expand_key(x, name, depth);
    if (!v || v->type == HRM_JSON_ARRAY || v->type == HRM_JSON_OBJECT || (v->string && strstr(v->string, "${"))) return 0;
    return (size_t)snprintf(out, room, "%s", v->string ? v->string : "null") < room;
}

static hrm_status hrm__expand_string(hrm__expansion *x, hrm_json *node, int depth)
{
    char text[HRM__EXPANDED_TEXT], value[HRM__EXPANDED_TEXT], name[256];
    int whole = 0;
    if (strlen(node->string) >= sizeof text || strstr(node->string, "\\${")) return HRM_OK;
    strcpy(text, node->string);
    for (char *from = text, *open; (open = strstr(from, "${")) != NULL;) { /* the innermost first */
        char *close = strchr(open, '}');
        if (!close || x->left-- <= 0) break;
        for (char *p = open; p < close; p++)
            if (p[0] == '$' && p[1] == '{') open = p;
        size_t n = (size_t)(close - open) - 2, length = strlen(text), tail = length - (size_t)(close + 1 - text);
        snprintf(name, sizeof name, "%.*s", (int)hrm__min_i64((int64_t)n, 255), open + 2);
        if (n >= sizeof name || !hrm__expand_one(x, name, depth, value, sizeof value) ||
            length - n - 3 + strlen(value) >= sizeof text) {
            from = close + 1; /* not known, or not yet: it stays */
            continue;
        }
        whole = open == text && !tail;
        memmove(open + strlen(value), close + 1, tail + 1);
        memcpy(open, value, strlen(value));
    }
    if (strcmp(text, node->string) == 0) return HRM_OK;
    x->changed = 1;
    x->t.line = node->line;
    if (whole) {
        node->type = HRM_JSON_NULL;
        node->string = NULL;
        if (*text && !strchr("&*!|>%@`", *text))
            return hrm__yaml_plain(&x->t, node, text, strlen(text)); /* a number is one again */
        node->type = HRM_JSON_STRING;
    }
    char *copy;
    HRM__TRY(hrm__arena_string(x->t.arena, &copy, text, strlen(text)));
    node->string = copy;
    return HRM_OK;
}

static hrm_status hrm__expand_tree(hrm__expansion *x, hrm_json *node, int depth)
{
    x->parents[depth] = node;
    for (hrm_json *c = node->child; c; c = c->next) {
        if (c->type == HRM_JSON_STRING && strstr(c->string, "${")) HRM__TRY(hrm__expand_string(x, c, depth + 1));
        else if (c->child) HRM__TRY(hrm__expand_tree(x, c, depth + 1));
    }
    return HRM_OK;
}

HRM_API hrm_status hrm_json_expand(hrm_json_document *doc, int keys)
{
    hrm__expansion x;
    time_t now = time(NULL);
    memset(&x, 0, sizeof x);
#ifdef _WIN32
    const struct tm *local = localtime(&now); /* each thread has one there */
    if (local) x.now = *local;
#else
    (void)localtime_r(&now, &x.now);
#endif
    x.t.name = "an interpolation";
    x.t.arena = &doc->arena;
    x.root = doc->root;
    x.keys = keys;
    x.left = HRM__EXPANSIONS;
    for (int pass = 0; pass < 8; pass++) { /* what stands for a key waits until that key is known */
        x.changed = 0;
        HRM__TRY(hrm__expand_tree(&x, doc->root, 0));
        if (!x.changed) break;
    }
    return HRM_OK;
}

static int hrm__ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

HRM_API hrm_status hrm_json_open(hrm_json_document **doc, const char *path, const hrm_allocator *a)
{
    hrm_file_map map;
    HRM__TRY(hrm_file_map_open(&map, path));
    int yaml = hrm__ends_with(path, ".yaml") || hrm__ends_with(path, ".yml");
    hrm_status status = hrm__check_content(&map, path);
    if (status == HRM_OK)
        status = hrm__text_parse(doc, (const char *)map.data, map.size, path, a, yaml ? hrm__yaml_tree : hrm__json_tree);
    hrm_file_map_close(&map);
    return status;
}

/* ==================================================================================================== >>npy ===============
 * "\x93NUMPY" major minor, header length (2 bytes, from version 2 on 4), header, data. The header is a Python dictionary:
 * {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, blanks, a line end.
 */
typedef struct hrm__npy_text {
    const char *p, *end, *path;
    /* elements of another form than the tensor's dtype: 2 to 8 bytes without a sign, the first byte highest */
    int is_unsigned, is_big;
} hrm__npy_text;

static int hrm__npy_take(hrm__npy_text *t, const char *token)
{
    /* blanks, then the token -> 1 and past it */
    size_t n = strlen(token);
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\n')) t->p++;
    if ((size_t)(t->end - t->p) < n || memcmp(t->p, token, n) != 0) return 0;
    t->p += n;
    return 1;
}

static hrm_status hrm__npy_shape(hrm__npy_text *t, hrm_tensor *tensor)
{
    if (!hrm__npy_take(t, "(")) return hrm__fail(HRM_ERR_FORMAT, "%s: the header's shape is not a tuple", t->path);
    while (!hrm__npy_take(t, ")")) {
        uint64_t v = 0;
        const char *start = t->p;
        for (; t->p < t->end && *t->p >= '0' && *t->p <= '9' && v <= INT64_MAX / 10 - 1; t->p++)
            v = v * 10 + (uint64_t)(*t->p - '0');
        int digits = t->p > start;
        (void)hrm__npy_take(t, "L"); /* Python 2 wrote 5L */
        if (!digits || !(hrm__npy_take(t, ",") || (t->p < t->end && *t->p == ')')))
            return hrm__fail(HRM_ERR_FORMAT, "%s: the header's shape is not a tuple of sizes", t->path);
        if (tensor->ndim == HRM_MAX_DIMS)
            return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: more than %d dimensions", t->path, HRM_MAX_DIMS);
        tensor->shape[tensor->ndim++] = (int64_t)v;
    }
    return HRM_OK;
}

static hrm_status hrm__npy_dtype(hrm__npy_text *t, hrm_tensor *tensor)
{
    char order, descr[16];
    size_t n = 0;
    if (!hrm__npy_take(t, "'"))
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: only arrays of plain numbers are supported, no records", t->path);
    for (; t->p < t->end && *t->p != '\'' && n < sizeof descr - 1; t->p++) descr[n++] = *t->p;
    descr[n] = 0;
    if (!hrm__npy_take(t, "'") || n < 2) return hrm__fail(HRM_ERR_FORMAT, "%s: the header's descr is damaged", t->path);
    order = descr[0];
    t->is_unsigned = descr[1] == 'u' && descr[2] != '1';
    if (t->is_unsigned) descr[1] = 'i';
    int d = 0;
    while (d < HRM_DTYPE_COUNT && (!*hrm__dtypes[d].numpy || strcmp(hrm__dtypes[d].numpy, descr + 1) != 0)) d++;
    if (d == HRM_DTYPE_COUNT || !strchr("<>|=", order)) {
        if (t->is_unsigned) descr[1] = 'u';
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: element type '%s' is not supported; f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 are",
                         t->path, descr);
    }
    tensor->dtype = (hrm_dtype)d;
    t->is_big = order == '>' && hrm__dtypes[d].bytes > 1;
    return HRM_OK;
}

static hrm_status hrm__npy_header(hrm__npy_text *t, hrm_tensor *tensor)
{
    static const char *const keys[] = {"'descr':", "'fortran_order':", "'shape':"};
    int seen[3] = {0, 0, 0};
    int more = hrm__npy_take(t, "{");
    if (!more) return hrm__fail(HRM_ERR_FORMAT, "%s: the header is not a dictionary", t->path);
    while (!hrm__npy_take(t, "}")) {
        size_t k = 0;
        if (!more) return hrm__fail(HRM_ERR_FORMAT, "%s: a comma is missing in the header", t->path);
        while (k < 3 && !hrm__npy_take(t, keys[k])) k++;
        if (k == 3 || seen[k]++)
            return hrm__fail(HRM_ERR_FORMAT, "%s: the header has other keys than descr, fortran_order and shape", t->path);
        if (k == 0) HRM__TRY(hrm__npy_dtype(t, tensor));
        if (k == 1 && hrm__npy_take(t, "True"))
            return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: Fortran order is not supported; save np.ascontiguousarray(a)", t->path);
        if (k == 1 && !hrm__npy_take(t, "False"))
            return hrm__fail(HRM_ERR_FORMAT, "%s: the header's fortran_order is damaged", t->path);
        if (k == 2) HRM__TRY(hrm__npy_shape(t, tensor));
        more = hrm__npy_take(t, ",");
    }
    (void)hrm__npy_take(t, ""); /* the blanks */
    if (!seen[0] || !seen[1] || !seen[2] || t->p != t->end)
        return hrm__fail(HRM_ERR_FORMAT,
                         "%s: the header is damaged: descr, fortran_order and shape are expected, and nothing else", t->path);
    return HRM_OK;
}

static hrm_status hrm__npy_copy(hrm_npy *npy, const hrm__npy_text *form)
{
    /* the elements that no view can be of into memory of our own, turned and with a sign */
    hrm_tensor *t = &npy->tensor;
    const unsigned char *from = (const unsigned char *)t->data;
    int size = (int)hrm_dtype_size(t->dtype);
    size_t n;
    if (form->is_unsigned) t->dtype = t->dtype == HRM_I16 ? HRM_I32 : HRM_I64;
    if (!hrm__shape_fits(t->dtype, t->ndim, t->shape, &n, &t->bytes)) /* the wider elements, too */
        return hrm__fail(HRM_ERR_FORMAT, "%s: the shape in the header is too large", form->path);
    HRM__TRY(hrm__alloc(NULL, &npy->copy, n, hrm_dtype_size(t->dtype), form->path));
    npy->copy_bytes = t->bytes;
    unsigned char *to = (unsigned char *)npy->copy;
    for (size_t i = 0; i < n; i++, from += size) {
        uint64_t v = 0;
        for (int k = 0; k < size; k++) v |= (uint64_t)from[k] << 8 * (form->is_big ? size - 1 - k : k);
        if (form->is_unsigned && v > INT64_MAX)
            return hrm__fail(HRM_ERR_RANGE, "%s: element %zu is %llu, which no signed integer holds", form->path, i,
                             (unsigned long long)v);
        hrm__put_le(to + i * hrm_dtype_size(t->dtype), v, (int)hrm_dtype_size(t->dtype));
    }
    if (HRM__BIG_ENDIAN) hrm__swap_bytes(to, hrm_dtype_size(t->dtype), n);
    t->data = npy->copy;
    return HRM_OK;
}

static hrm_status hrm__npy_parse(hrm_npy *npy, const char *path)
{
    const hrm_file_map *map = &npy->map;
    hrm_tensor *tensor = &npy->tensor;
    size_t elements, at = 8, length;
    HRM__TRY(hrm__check_content(map, path));
    if (map->size < 10 || memcmp(map->data, "\x93NUMPY", 6) != 0) return hrm__fail(HRM_ERR_FORMAT, "%s: not a .npy file", path);
    int major = map->data[6], wide = major > 1 ? 4 : 2;
    if (major < 1 || major > 3)
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: .npy version %d is not supported, 1 to 3 are", path, major);
    at += (size_t)wide;
    if (map->size < at || (length = (size_t)hrm__get_le(map->data + 8, wide)) > map->size - at)
        return hrm__fail(HRM_ERR_FORMAT, "%s: the file ends in its header", path);
    hrm__npy_text t;
    t.p = (const char *)map->data + at;
    t.end = t.p + length;
    t.path = path;
    t.is_unsigned = t.is_big = 0;
    memset(tensor, 0, sizeof *tensor);
    tensor->name = "";
    HRM__TRY(hrm__npy_header(&t, tensor));
    if (!hrm__shape_fits(tensor->dtype, tensor->ndim, tensor->shape, &elements, &tensor->bytes))
        return hrm__fail(HRM_ERR_FORMAT, "%s: the shape in the header is too large", path);
    if (tensor->bytes != map->size - at - length)
        return hrm__fail(HRM_ERR_FORMAT, "%s: %zu bytes of data, but the header says %zu", path, map->size - at - length,
                         tensor->bytes);
    tensor->data = map->data + at + length;
    if (t.is_unsigned || t.is_big) return hrm__npy_copy(npy, &t);
    hrm__map_to_native(map, tensor->data, tensor->dtype, elements);
    return HRM_OK;
}

HRM_API hrm_status hrm_npy_open(hrm_npy *npy, const char *path)
{
    hrm_npy n;
    memset(&n, 0, sizeof n);
    HRM__TRY(hrm_file_map_open(&n.map, path));
    hrm_status status = hrm__npy_parse(&n, path);
    if (status == HRM_OK) *npy = n;
    else hrm_npy_close(&n);
    return status;
}

HRM_API void hrm_npy_close(hrm_npy *npy)
{
    hrm_file_map_close(&npy->map);
    hrm__free(NULL, npy->copy, npy->copy_bytes, 1);
    npy->copy = NULL;
    memset(&npy->tensor, 0, sizeof npy->tensor);
}

static size_t hrm__npy_make_header(unsigned char header[384], const hrm_tensor *t, size_t size)
{
    /* t -> a version 1 header of `size` bytes, 0: as many as it takes whatever shape[0] becomes, and a multiple of 64 */
    char *text = (char *)header + 10;
    size_t room = 384 - 10, n;
    const char *order = hrm_dtype_size(t->dtype) > 1 ? "<" : "|";
    n = (size_t)snprintf(text, room, "{'descr': '%s%s', 'fortran_order': False, 'shape': (", order,
                         hrm__dtypes[t->dtype].numpy);
    for (int i = 0; i < t->ndim; i++)
        n += (size_t)snprintf(text + n, room - n,
                              i == 0            ? "%lld,"
                              : i + 1 < t->ndim ? " %lld,"
                                                : " %lld",
                              (long long)t->shape[i]);
    n += (size_t)snprintf(text + n, room - n, "), }");
    if (!size) size = (10 + n + 20 + 63) / 64 * 64;
    memset(text + n, ' ', size - 10 - n);
    header[size - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    hrm__put_le(header + 8, size - 10, 2);
    return size;
}

HRM_API hrm_status hrm_npy_writer_open(hrm_npy_writer *w, const char *path, hrm_dtype dtype, int ndim, const int64_t *shape,
                                       const hrm_allocator *a)
{
    hrm_npy_writer n;
    unsigned char header[384];
    size_t elements;
    memset(&n, 0, sizeof n);
    if (ndim < 1 || ndim > HRM_MAX_DIMS)
        return hrm__fail(HRM_ERR_ARGUMENT, "%s: %d dimensions, expected 1 to %d", path, ndim, HRM_MAX_DIMS);
    if ((unsigned)dtype >= HRM_DTYPE_COUNT || !*hrm__dtypes[dtype].numpy)
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: NumPy has no element type %s", path, hrm_dtype_name(dtype));
    n.tensor.name = "";
    n.tensor.dtype = dtype;
    n.tensor.ndim = ndim;
    for (int i = 1; i < ndim; i++) n.tensor.shape[i] = shape[i];
    if (!hrm__shape_fits(dtype, ndim - 1, n.tensor.shape + 1, &elements, &n.tensor.bytes))
        return hrm__fail(HRM_ERR_ARGUMENT, "%s: the shape is too large", path);
    HRM__TRY(hrm_writer_open(&n.writer, path, a));
    size_t size = hrm__npy_make_header(header, &n.tensor, 0);
    n.tensor.bytes = size; /* of the header, until the commit */
    hrm_status status = hrm_writer_write(n.writer, header, size);
    if (status != HRM_OK) hrm_writer_abort(n.writer);
    else *w = n;
    return status;
}

HRM_API hrm_status hrm_npy_writer_write(hrm_npy_writer *w, const void *rows, size_t num_rows)
{
    size_t elements, bytes;
    hrm_tensor t = w->tensor;
    t.shape[0] = (int64_t)num_rows;
    if (t.shape[0] < 0 || t.shape[0] > INT64_MAX / 2 || w->tensor.shape[0] > INT64_MAX / 2 ||
        !hrm__shape_fits(t.dtype, t.ndim, t.shape, &elements, &bytes))
        return hrm__fail(HRM_ERR_ARGUMENT, "%zu rows are too many for one .npy file", num_rows);
    HRM__TRY(hrm__writer_elements(w->writer, t.dtype, rows, t.dtype, elements));
    w->tensor.shape[0] += (int64_t)num_rows;
    return HRM_OK;
}

HRM_API hrm_status hrm_npy_writer_commit(hrm_npy_writer *w)
{
    unsigned char header[384];
    hrm_writer *writer = w->writer;
    size_t size = hrm__npy_make_header(header, &w->tensor, w->tensor.bytes);
    w->writer = NULL;
    hrm_status status = hrm_writer_rewrite(writer, 0, header, size);
    if (status == HRM_OK) return hrm_writer_commit(writer);
    hrm_writer_abort(writer);
    return status;
}

HRM_API void hrm_npy_writer_abort(hrm_npy_writer *w)
{
    hrm_writer_abort(w->writer);
    w->writer = NULL;
}

/* ==================================================================================================== >>safetensors =======
 * 8 bytes header length, header, data. The header is JSON: {"__metadata__": {key: text}, name: {"dtype", "shape",
 * "data_offsets": [begin, end]}}, offsets from the header's end, without gaps. First what both kinds of checkpoint share.
 */
struct hrm_tensors {
    const hrm_allocator *allocator;
    hrm_file_map  map;
    hrm__arena    arena;    /* names and metadata */
    hrm_tensor   *tensors;
    hrm_tensor  **by_name;  /* sorted */
    size_t        count, room;
    hrm_metadata *metadata;
    size_t        num_metadata, metadata_room;
    int           is_torch;
    size_t num_others; /* after `count` in tensors: what no view can be made of; why not stands behind the name's zero */
    const char   *prefix;        /* of the model's names, prefix_length letters of a tensor's */
    size_t        prefix_length;
    int           num_models;    /* over 1: which of them is meant nobody knows */
};

HRM_API size_t hrm_tensors_count(const hrm_tensors *file) { return file->count; }
HRM_API const hrm_tensor *hrm_tensors_at(const hrm_tensors *file, size_t index)
{
    return index < file->count ? &file->tensors[index] : NULL;
}
HRM_API size_t hrm_tensors_metadata_count(const hrm_tensors *file) { return file->num_metadata; }
HRM_API int    hrm_tensors_is_torch(const hrm_tensors *file) { return file->is_torch; }

HRM_API hrm_metadata hrm_tensors_metadata_at(const hrm_tensors *file, size_t index)
{
    hrm_metadata none = {NULL, NULL};
    return index < file->num_metadata ? file->metadata[index] : none;
}

HRM_API const char *hrm_tensors_metadata(const hrm_tensors *file, const char *key)
{
    for (size_t i = 0; i < file->num_metadata; i++)
        if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
    return NULL;
}

HRM_API const hrm_tensor *hrm_tensors_find(const hrm_tensors *file, const char *name)
{
    for (size_t low = 0, high = file->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->name);
        if (order == 0) return file->by_name[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

HRM_API void hrm_tensors_close(hrm_tensors *f)
{
    if (!f) return;
    const hrm_allocator *a = f->allocator;
    hrm__free(a, f->tensors, f->room, sizeof *f->tensors);
    hrm__free(a, f->by_name, f->count + f->num_others, sizeof *f->by_name);
    hrm__free(a, f->metadata, f->metadata_room, sizeof *f->metadata);
    hrm__arena_free(&f->arena);
    hrm_file_map_close(&f->map);
    hrm__free(a, f, 1, sizeof *f);
}

static int hrm__compare_names(const void *a, const void *b)
{
    return strcmp((*(hrm_tensor *const *)a)->name, (*(hrm_tensor *const *)b)->name);
}

static int hrm__compare_data(const void *a, const void *b)
{
    const hrm_tensor *x = *(hrm_tensor *const *)a, *y = *(hrm_tensor *const *)b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    return p != q ? (p > q) - (p < q) : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int hrm__word_in(const char *word, const char *list)
{
    /* list: words between blanks */
    size_t n = strchr(word, ' ') ? 0 : strlen(word);
    for (const char *p = strstr(list, word); n && p; p = strstr(p + 1, word))
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return 1;
    return 0;
}

static int hrm__prefix_rank(const char *prefix, size_t n)
{
    /* what stands before the names of a model: 0 only what training code wraps around it, 2 an average of it, 1 anything
     * else */
    static const char *const wrappers = "module model _orig_mod state_dict model_state_dict";
    int rank = 0;
    for (size_t i = 0, part; i < n; i += part + 1) {
        char word[32];
        for (part = 0; i + part < n && prefix[i + part] != '.';) part++;
        snprintf(word, sizeof word, "%.*s", (int)(part < 31 ? part : 31), prefix + i);
        if (strstr(word, "ema") || strstr(word, "shadow") || strstr(word, "average")) return 2;
        if (!hrm__word_in(word, wrappers)) rank = 1;
    }
    return rank;
}

static void hrm__tensors_find_model(hrm_tensors *f)
{
    /* prefix: of the tensor that every model has; of several the one with the plainest */
    static const char anchor[] = "inner.embed_tokens.embedding_weight";
    int best = 3;
    f->prefix = "";
    for (size_t i = 0; i < f->count; i++) {
        const char *name = f->tensors[i].name;
        size_t n = strlen(name), m = sizeof anchor - 1;
        if (n < m || strcmp(name + n - m, anchor) != 0 || (n > m && name[n - m - 1] != '.')) continue;
        int rank = hrm__prefix_rank(name, n - m);
        if (rank == best) f->num_models++;
        if (rank >= best) continue;
        best = rank;
        f->num_models = 1;
        f->prefix = name;
        f->prefix_length = n - m;
    }
}

HRM_API const char *hrm_tensors_model_name(const hrm_tensors *f, const hrm_tensor *t)
{
    const char *name = t->name + f->prefix_length;
    return strncmp(t->name, f->prefix, f->prefix_length) == 0 && strncmp(name, "inner.", 6) == 0 ? name : NULL;
}

static hrm_status hrm__tensors_sort(hrm_tensors *f, const char *path)
{
    /* by_name of all, and no name twice */
    void *p;
    HRM__TRY(hrm__alloc(f->allocator, &p, f->count, sizeof *f->by_name, path));
    f->by_name = (hrm_tensor **)p;
    for (size_t i = 0; i < f->count; i++) f->by_name[i] = &f->tensors[i];
    qsort(f->by_name, f->count, sizeof *f->by_name, hrm__compare_names);
    for (size_t i = 1; i < f->count; i++)
        if (strcmp(f->by_name[i - 1]->name, f->by_name[i]->name) == 0)
            return hrm__fail(HRM_ERR_FORMAT, "%s: two tensors are named \"%.200s\"", path, f->by_name[i]->name);
    return HRM_OK;
}

static void hrm__tensors_index(hrm_tensors *f)
{
    /* those without a dtype of ours behind the others; by_name of the others; the model's prefix */
    size_t all = f->count;
    f->count = 0;
    for (size_t i = 0; i < all; i++) {
        hrm_tensor t = f->tensors[i];
        if (t.dtype == HRM_DTYPE_COUNT) continue;
        f->tensors[i] = f->tensors[f->count];
        f->tensors[f->count++] = t;
    }
    f->num_others = all - f->count;
    for (size_t i = 0; i < f->count; i++) f->by_name[i] = &f->tensors[i];
    qsort(f->by_name, f->count, sizeof *f->by_name, hrm__compare_names);
    hrm__tensors_find_model(f);
}

static hrm_status hrm__tensors_missing(const hrm_tensors *f, const char *path, const char *name)
{
    for (size_t i = f->count; i < f->count + f->num_others; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: tensor \"%.200s\" %s", path, name,
                             f->tensors[i].name + strlen(name) + 1);
    return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" is missing", path, name);
}

static hrm_status hrm__tensors_name(hrm_tensors *f, hrm_tensor *t, const char *name, size_t n, const char *why)
{
    /* the name into the file's memory; `why` NULL, or why there is no view of it */
    void *p;
    size_t m = why ? strlen(why) + 1 : 0;
    HRM__TRY(hrm__arena_take(&f->arena, &p, n + 1 + m));
    memcpy(p, name, n);
    ((char *)p)[n] = 0;
    if (why) memcpy((char *)p + n + 1, why, m);
    if (why) t->dtype = HRM_DTYPE_COUNT;
    t->name = (const char *)p;
    return HRM_OK;
}

#define HRM__SAFETENSORS_HEADER 100000000u /* bytes at most, as the reference implementation has it */

static hrm_status hrm__safetensors_metadata(hrm_tensors *f, const hrm_json *object, const char *path)
{
    void *p;
    if (object->type != HRM_JSON_OBJECT) return hrm__fail(HRM_ERR_FORMAT, "%s: __metadata__ is not an object", path);
    HRM__TRY(hrm__alloc(f->allocator, &p, object->count, sizeof *f->metadata, path));
    f->metadata = (hrm_metadata *)p;
    f->metadata_room = object->count;
    for (const hrm_json *m = object->child; m; m = m->next) {
        char *key, *value;
        if (m->type != HRM_JSON_STRING)
            return hrm__fail(HRM_ERR_FORMAT, "%s: metadata \"%.100s\" is not a string", path, m->key);
        HRM__TRY(hrm__arena_string(&f->arena, &key, m->key, strlen(m->key)));
        HRM__TRY(hrm__arena_string(&f->arena, &value, m->string, strlen(m->string)));
        f->metadata[f->num_metadata].key = key;
        f->metadata[f->num_metadata++].value = value;
    }
    return HRM_OK;
}

static hrm_status hrm__safetensors_tensor(hrm_tensors *f, const hrm_json *entry, const unsigned char *data, size_t size,
                                          const char *path)
{
    const hrm_json *dtype = hrm_json_get(entry, "dtype"), *shape = hrm_json_get(entry, "shape"),
                   *offsets = hrm_json_get(entry, "data_offsets");
    hrm_tensor *t = &f->tensors[f->count];
    int64_t begin, end;
    size_t elements;
    char why[96] = "";
    memset(t, 0, sizeof *t);
    if (!dtype || dtype->type != HRM_JSON_STRING || !shape || shape->type != HRM_JSON_ARRAY || !offsets ||
        offsets->type != HRM_JSON_ARRAY || offsets->count != 2 || entry->count != 3)
        return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" needs dtype, shape and two data_offsets, and nothing else",
                         path, entry->key);
    t->dtype = hrm__dtype_find(dtype->string);
    if (t->dtype == HRM_DTYPE_COUNT) snprintf(why, sizeof why, "has dtype %.20s, which is not supported", dtype->string);
    else if (shape->count > HRM_MAX_DIMS)
        snprintf(why, sizeof why, "has %zu dimensions, %d are supported", shape->count, HRM_MAX_DIMS);
    for (const hrm_json *side = *why ? NULL : shape->child; side; side = side->next)
        if (hrm_json_integer(side, &t->shape[t->ndim++]) != HRM_OK || t->shape[t->ndim - 1] < 0)
            return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" has a shape that is none", path, entry->key);
    if (hrm_json_integer(offsets->child, &begin) != HRM_OK || hrm_json_integer(offsets->child->next, &end) != HRM_OK ||
        begin < 0 || end < begin || (uint64_t)end > size)
        return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" lies at %.24s to %.24s of %zu bytes of data", path, entry->key,
                         offsets->child->string ? offsets->child->string : "?",
                         offsets->child->next->string ? offsets->child->next->string : "?", size);
    if (*why) t->bytes = (size_t)(end - begin);
    else if (!hrm__shape_fits(t->dtype, t->ndim, t->shape, &elements, &t->bytes) || t->bytes != (size_t)(end - begin))
        return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" has %lld bytes of data, which is not what its shape needs",
                         path, entry->key, (long long)(end - begin));
    HRM__TRY(hrm__tensors_name(f, t, entry->key, strlen(entry->key), *why ? why : NULL));
    t->data = data + begin;
    f->count++;
    return HRM_OK;
}

static hrm_status hrm__safetensors_read(hrm_tensors *f, const hrm_json *header, const unsigned char *data, size_t size,
                                        const char *path)
{
    void *p;
    if (header->type != HRM_JSON_OBJECT) return hrm__fail(HRM_ERR_FORMAT, "%s: the header is not an object", path);
    HRM__TRY(hrm__alloc(f->allocator, &p, header->count, sizeof *f->tensors, path));
    f->tensors = (hrm_tensor *)p;
    f->room = header->count;
    for (const hrm_json *e = header->child; e; e = e->next) {
        if (strcmp(e->key, "__metadata__") == 0) HRM__TRY(hrm__safetensors_metadata(f, e, path));
        else HRM__TRY(hrm__safetensors_tensor(f, e, data, size, path));
    }
    HRM__TRY(hrm__tensors_sort(f, path));
    /* for once by place: each begins where the last ended */
    qsort(f->by_name, f->count, sizeof *f->by_name, hrm__compare_data);
    const unsigned char *at = data;
    for (size_t i = 0; i < f->count; at += f->by_name[i++]->bytes)
        if (f->by_name[i]->data != at)
            return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" %s", path, f->by_name[i]->name,
                             (const unsigned char *)f->by_name[i]->data < at ? "overlaps another" : "has a gap before it");
    if (at != data + size)
        return hrm__fail(HRM_ERR_FORMAT, "%s: %zu bytes after the last tensor", path, (size_t)(data + size - at));
    hrm__tensors_index(f);
    for (size_t i = 0; i < f->count; i++)
        hrm__map_to_native(&f->map, f->tensors[i].data, f->tensors[i].dtype,
                           f->tensors[i].bytes / hrm_dtype_size(f->tensors[i].dtype));
    return HRM_OK;
}

static hrm_status hrm__safetensors_open(hrm_tensors *f, const char *path)
{
    hrm_json_document *doc;
    uint64_t length = f->map.size < 8 ? 0 : hrm__get_le(f->map.data, 8);
    if (f->map.size < 10 || length < 2 || (length <= f->map.size - 8 && f->map.data[8] != '{'))
        return hrm__fail(HRM_ERR_FORMAT, "%s: neither a safetensors file nor a PyTorch checkpoint", path);
    if (length > HRM__SAFETENSORS_HEADER || length > f->map.size - 8)
        return hrm__fail(HRM_ERR_FORMAT, "%s: a header of %llu bytes in a file of %zu: damaged, or not a checkpoint at all",
                         path, (unsigned long long)length, f->map.size);
    HRM__TRY(hrm_json_parse(&doc, (const char *)f->map.data + 8, (size_t)length, path, f->allocator));
    hrm_status status = hrm__safetensors_read(f, doc->root, f->map.data + 8 + length, f->map.size - 8 - (size_t)length, path);
    hrm_json_close(doc);
    return status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */
static hrm_dtype hrm__save_dtype(const hrm_tensor *t, hrm_dtype as)
{
    return (unsigned)as < HRM_DTYPE_COUNT && hrm__dtype_is_float(t->dtype) && hrm__dtype_is_float(as) ? as : t->dtype;
}

static hrm_status hrm__save_check(const char *path, const hrm_tensor *tensors, size_t count, hrm_dtype as,
                                  const hrm_allocator *a)
{
    /* every tensor is whole and named, fits as what it becomes, too, and no name stands twice */
    const hrm_tensor **sorted;
    void *p;
    size_t elements, bytes;
    for (size_t i = 0; i < count; i++) {
        const hrm_tensor *t = &tensors[i];
        size_t length = t->name ? strlen(t->name) : 0;
        if (!length || hrm__utf8_bad(t->name, length) < length || strcmp(t->name, "__metadata__") == 0)
            return hrm__fail(HRM_ERR_ARGUMENT, "%s: tensor %zu has no name, or one that cannot be used", path, i);
        if ((unsigned)t->dtype >= HRM_DTYPE_COUNT || t->ndim < 0 || t->ndim > HRM_MAX_DIMS ||
            !hrm__shape_fits(t->dtype, t->ndim, t->shape, &elements, &bytes) || bytes != t->bytes || (bytes && !t->data))
            return hrm__fail(HRM_ERR_ARGUMENT, "%s: tensor \"%.200s\": dtype, shape, bytes and data do not fit together", path,
                             t->name);
        if (!hrm__shape_fits(hrm__save_dtype(t, as), t->ndim, t->shape, &elements, &bytes))
            return hrm__fail(HRM_ERR_ARGUMENT, "%s: tensor \"%.200s\": its shape is too large for %s", path, t->name,
                             hrm_dtype_name(as));
    }
    HRM__TRY(hrm__alloc(a, &p, count, sizeof *sorted, path));
    sorted = (const hrm_tensor **)p;
    for (size_t i = 0; i < count; i++) sorted[i] = &tensors[i];
    qsort(sorted, count, sizeof *sorted, hrm__compare_names);
    hrm_status status = HRM_OK;
    for (size_t i = 1; i < count && status == HRM_OK; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            status = hrm__fail(HRM_ERR_ARGUMENT, "%s: two tensors are named \"%.200s\"", path, sorted[i]->name);
    hrm__free(a, p, count, sizeof *sorted);
    return status;
}

static hrm_status hrm__write_text(hrm_writer *w, const char *text) { return hrm_writer_write(w, text, strlen(text)); }

static hrm_status hrm__write_json_string(hrm_writer *w, const char *s)
{
    char escape[8];
    HRM__TRY(hrm__write_text(w, "\""));
    for (size_t n; *s; s += n) {
        for (n = 0; (unsigned char)s[n] >= 32 && s[n] != '"' && s[n] != '\\';) n++;
        HRM__TRY(hrm_writer_write(w, s, n));
        if (!s[n]) break;
        snprintf(escape, sizeof escape, s[n] == '"' || s[n] == '\\' ? "\\%c" : "\\u%04x", (unsigned char)s[n]);
        HRM__TRY(hrm__write_text(w, escape));
        n++;
    }
    return hrm__write_text(w, "\"");
}

static hrm_status hrm__safetensors_write(hrm_writer *w, const char *path, const hrm_tensor *tensors, size_t count,
                                         const hrm_metadata *metadata, size_t num_metadata, hrm_dtype as)
{
    unsigned char number[8];
    char text[64];
    uint64_t offset = 0;
    const char *comma = "";
    memset(number, 0, sizeof number);
    HRM__TRY(hrm_writer_write(w, number, 8));
    HRM__TRY(hrm__write_text(w, "{"));
    for (size_t i = 0; i < num_metadata; i++) {
        HRM__TRY(hrm__write_text(w, i ? "," : "\"__metadata__\":{"));
        HRM__TRY(hrm__write_json_string(w, metadata[i].key));
        HRM__TRY(hrm__write_text(w, ":"));
        HRM__TRY(hrm__write_json_string(w, metadata[i].value));
        if (i + 1 == num_metadata) HRM__TRY(hrm__write_text(w, "}"));
        comma = ",";
    }
    for (size_t size = 8; size; size /= 2) /* larger elements first: then all are aligned */
        for (size_t i = 0; i < count; i++) {
            const hrm_tensor *t = &tensors[i];
            hrm_dtype dtype = hrm__save_dtype(t, as);
            if (hrm_dtype_size(dtype) != size) continue;
            uint64_t bytes = (uint64_t)(t->bytes / hrm_dtype_size(t->dtype)) * size;
            HRM__TRY(hrm__write_text(w, comma));
            HRM__TRY(hrm__write_json_string(w, t->name));
            snprintf(text, sizeof text, ":{\"dtype\":\"%s\",\"shape\":[", hrm_dtype_name(dtype));
            HRM__TRY(hrm__write_text(w, text));
            for (int k = 0; k < t->ndim; k++) {
                snprintf(text, sizeof text, "%s%lld", k ? "," : "", (long long)t->shape[k]);
                HRM__TRY(hrm__write_text(w, text));
            }
            snprintf(text, sizeof text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                     (unsigned long long)offset + bytes);
            HRM__TRY(hrm__write_text(w, text));
            offset += bytes;
            comma = ",";
        }
    HRM__TRY(hrm__write_text(w, "}"));
    HRM__TRY(hrm_writer_write(w, "       ", (8 - hrm__writer_size(w) % 8) % 8));
    if (hrm__writer_size(w) - 8 > HRM__SAFETENSORS_HEADER)
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: the header would exceed 100 MB", path);
    hrm__put_le(number, hrm__writer_size(w) - 8, 8);
    HRM__TRY(hrm_writer_rewrite(w, 0, number, 8));
    for (size_t size = 8; size; size /= 2)
        for (size_t i = 0; i < count; i++) {
            hrm_dtype dtype = hrm__save_dtype(&tensors[i], as);
            if (hrm_dtype_size(dtype) != size) continue;
            HRM__TRY(hrm__writer_elements(w, dtype, tensors[i].data, tensors[i].dtype,
                                          tensors[i].bytes / hrm_dtype_size(tensors[i].dtype)));
        }
    return HRM_OK;
}

static hrm_status hrm__writer_finish(hrm_writer *w, hrm_status status)
{
    if (status == HRM_OK) return hrm_writer_commit(w);
    hrm_writer_abort(w);
    return status;
}

HRM_API hrm_status hrm_safetensors_save(const char *path, const hrm_tensor *tensors, size_t count, const hrm_metadata *metadata,
                                        size_t num_metadata, hrm_dtype as, const hrm_allocator *a)
{
    hrm_writer *w;
    HRM__TRY(hrm__save_check(path, tensors, count, as, a));
    for (size_t i = 0; i < num_metadata; i++) {
        const char *both[2];
        both[0] = metadata[i].key;
        both[1] = metadata[i].value;
        for (int k = 0; k < 2; k++)
            if (!both[k] || hrm__utf8_bad(both[k], strlen(both[k])) < strlen(both[k]))
                return hrm__fail(HRM_ERR_ARGUMENT, "%s: metadata %zu is not UTF-8", path, i);
        for (size_t j = 0; j < i; j++)
            if (strcmp(metadata[j].key, metadata[i].key) == 0)
                return hrm__fail(HRM_ERR_ARGUMENT, "%s: metadata \"%.100s\" twice", path, metadata[i].key);
    }
    HRM__TRY(hrm_writer_open(&w, path, a));
    return hrm__writer_finish(w, hrm__safetensors_write(w, path, tensors, count, metadata, num_metadata, as));
}

/* ==================================================================================================== >>torch-zip =========
 * torch.save since 1.6: a zip whose entries are stored, not compressed: NAME/data.pkl says what there is, NAME/data/0 … hold
 * the storages, little-endian. The zip's directory at the end is what counts; every place it names is checked before use, and
 * the checksum of every entry that is used.
 */
#ifndef HRM__ZIP_TRUST
    #define HRM__ZIP_TRUST 0 /* 1 where damage is to get past the checksums: in tests */
#endif

typedef struct hrm__zip_entry {
    const char *name; /* in the map, not terminated */
    size_t      name_length;
    uint64_t    header, data, size; /* offsets in the file */
    uint32_t    crc;
    int         stored, checked;
    int         native; /* dtype + 1 once its bytes are in the machine's order */
} hrm__zip_entry;

typedef struct hrm__zip {
    const hrm_allocator *allocator;
    const unsigned char *map;
    size_t          size;
    const char     *path;
    hrm__zip_entry *entries; /* sorted by name */
    size_t          count, room;
    hrm__crc        crc;
} hrm__zip;

static hrm_status hrm__zip_fail(const hrm__zip *z, const char *what)
{
    return hrm__fail(HRM_ERR_FORMAT, "%s: damaged zip: %s", z->path, what);
}

static int hrm__compare_places(const void *a, const void *b)
{
    const hrm__zip_entry *x = (const hrm__zip_entry *)a, *y = (const hrm__zip_entry *)b;
    return (x->header > y->header) - (x->header < y->header);
}

static int hrm__compare_entries(const void *a, const void *b)
{
    const hrm__zip_entry *x = (const hrm__zip_entry *)a, *y = (const hrm__zip_entry *)b;
    size_t n = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp(x->name, y->name, n);
    return order ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

static int hrm__zip_name_is_sane(const char *name, size_t n)
{
    /* not empty, not absolute, no part "..", no backslash or zero */
    if (!n || *name == '/' || memchr(name, '\\', n) || memchr(name, 0, n)) return 0;
    for (size_t i = 0, part = 0; i <= n; i++)
        if (i == n || name[i] == '/') {
            if (i - part == 2 && name[part] == '.' && name[part + 1] == '.') return 0;
            part = i + 1;
        }
    return 1;
}

static hrm_status hrm__zip_read_entry(const hrm__zip *z, const unsigned char **at, const unsigned char *end, uint64_t directory,
                                      hrm__zip_entry *e)
{
    /* one entry of the directory, and the local header that it points to */
    const unsigned char *p = *at;
    if (end - p < 46 || memcmp(p, "PK\x01\x02", 4) != 0) return hrm__zip_fail(z, "its directory ends early");
    unsigned flags = (unsigned)hrm__get_le(p + 8, 2), method = (unsigned)hrm__get_le(p + 10, 2);
    uint64_t packed = hrm__get_le(p + 20, 4);
    size_t extra = (size_t)hrm__get_le(p + 30, 2), comment = (size_t)hrm__get_le(p + 32, 2);
    memset(e, 0, sizeof *e);
    e->crc = (uint32_t)hrm__get_le(p + 16, 4);
    e->size = hrm__get_le(p + 24, 4);
    e->header = hrm__get_le(p + 42, 4);
    e->name_length = (size_t)hrm__get_le(p + 28, 2);
    e->name = (const char *)p + 46;
    if ((size_t)(end - p) - 46 < e->name_length + extra + comment) return hrm__zip_fail(z, "its directory ends early");
    p += 46 + e->name_length;
    for (const unsigned char *x = p, *stop = p + extra; stop - x >= 4;) {
        size_t id = (size_t)hrm__get_le(x, 2), n = (size_t)hrm__get_le(x + 2, 2);
        x += 4;
        if (n > (size_t)(stop - x)) return hrm__zip_fail(z, "an extra field ends early");
        if (id == 1) { /* zip64: those of the three that did not fit above, in this order */
            uint64_t *wide[3];
            size_t used = 0;
            wide[0] = &e->size, wide[1] = &packed, wide[2] = &e->header;
            for (int k = 0; k < 3; k++)
                if (*wide[k] == 0xffffffffu) {
                    if (n - used < 8) return hrm__zip_fail(z, "a zip64 field ends early");
                    *wide[k] = hrm__get_le(x + used, 8);
                    used += 8;
                }
        }
        x += n;
    }
    *at = p + extra + comment;
    if (!hrm__zip_name_is_sane(e->name, e->name_length)) return hrm__zip_fail(z, "an entry's name leads out of the archive");
    if (flags & 1) return hrm__zip_fail(z, "an entry is encrypted");
    int inside = e->header <= directory && directory - e->header >= 30;
    const unsigned char *local = z->map + (inside ? e->header : 0);
    if (!inside || memcmp(local, "PK\x03\x04", 4) != 0)
        return hrm__zip_fail(z, "an entry does not begin where the directory says");
    uint64_t head = 30 + hrm__get_le(local + 26, 2) + hrm__get_le(local + 28, 2), room = directory - e->header;
    if (head > room || packed > room - head) return hrm__zip_fail(z, "an entry reaches past its end");
    if (hrm__get_le(local + 26, 2) != e->name_length || memcmp(local + 30, e->name, e->name_length) != 0 ||
        hrm__get_le(local + 8, 2) != method)
        return hrm__zip_fail(z, "an entry and the directory disagree");
    e->data = e->header + head;
    e->stored = method == 0 && packed == e->size;
    if (!e->stored) e->size = packed;
    return HRM_OK;
}

static hrm_status hrm__zip_read(hrm__zip *z)
{
    /* map, size -> entries */
    size_t end = z->size < 22 ? 0 : z->size - 22, lowest = end > 0xffff ? end - 0xffff : 0;
    void *memory;
    while (end > lowest &&
           !(memcmp(z->map + end, "PK\x05\x06", 4) == 0 && hrm__get_le(z->map + end + 20, 2) == z->size - end - 22))
        end--;
    if (z->size < 22 || memcmp(z->map + end, "PK\x05\x06", 4) != 0)
        return hrm__zip_fail(z, "it has no directory, so the file is not whole");
    uint64_t count = hrm__get_le(z->map + end + 10, 2), bytes = hrm__get_le(z->map + end + 12, 4),
             directory = hrm__get_le(z->map + end + 16, 4);
    uint64_t limit = end;
    if (end >= 20 && memcmp(z->map + end - 20, "PK\x06\x07", 4) == 0) {
        uint64_t at = hrm__get_le(z->map + end - 12, 8);
        if (end < 76 || at > end - 76 || memcmp(z->map + at, "PK\x06\x06", 4) != 0)
            return hrm__zip_fail(z, "its zip64 directory is not there");
        count = hrm__get_le(z->map + at + 32, 8);
        bytes = hrm__get_le(z->map + at + 40, 8);
        directory = hrm__get_le(z->map + at + 48, 8);
        limit = at;
    }
    if (directory > limit || bytes > limit - directory || count > bytes / 46)
        return hrm__zip_fail(z, "its directory is not there");
    z->room = (size_t)count;
    HRM__TRY(hrm__alloc(z->allocator, &memory, z->room, sizeof *z->entries, z->path));
    z->entries = (hrm__zip_entry *)memory;
    hrm__crc_init(&z->crc);
    const unsigned char *at = z->map + directory, *stop = at + bytes;
    for (; z->count < z->room; z->count++) HRM__TRY(hrm__zip_read_entry(z, &at, stop, directory, &z->entries[z->count]));
    if (at != stop) return hrm__zip_fail(z, "its directory has another size than it says");
    qsort(z->entries, z->count, sizeof *z->entries, hrm__compare_places);
    for (size_t i = 1; i < z->count; i++)
        if (z->entries[i - 1].data + z->entries[i - 1].size > z->entries[i].header)
            return hrm__zip_fail(z, "two entries overlap");
    qsort(z->entries, z->count, sizeof *z->entries, hrm__compare_entries);
    for (size_t i = 1; i < z->count; i++)
        if (hrm__compare_entries(&z->entries[i - 1], &z->entries[i]) == 0) return hrm__zip_fail(z, "two entries have one name");
    return HRM_OK;
}

static hrm_status hrm__zip_find(hrm__zip *z, const char *name, int required, hrm__zip_entry **out)
{
    /* the entry, whole and unharmed; NULL when it is not there and need not be */
    hrm__zip_entry key;
    key.name = name;
    key.name_length = strlen(name);
    *out = NULL;
    for (size_t low = 0, high = z->count; low < high && !*out;) {
        size_t middle = low + (high - low) / 2;
        int order = hrm__compare_entries(&key, &z->entries[middle]);
        if (order == 0) *out = &z->entries[middle];
        else if (order < 0) high = middle;
        else low = middle + 1;
    }
    if (!*out) return required ? hrm__fail(HRM_ERR_FORMAT, "%s: the zip has no entry \"%.200s\"", z->path, name) : HRM_OK;
    if (!(*out)->stored)
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: the zip's entry \"%.200s\" is compressed; PyTorch stores it plain", z->path,
                         name);
    if ((*out)->checked || !(*out)->crc || HRM__ZIP_TRUST) return HRM_OK; /* 0: torch.save was told to leave it out */
    z->crc.value = 0;
    hrm__crc_add(&z->crc, z->map + (*out)->data, (size_t)(*out)->size);
    if (z->crc.value != (*out)->crc)
        return hrm__fail(HRM_ERR_FORMAT, "%s: damaged zip: the checksum of \"%.200s\" is %08lx, its directory says %08lx",
                         z->path, name, (unsigned long)z->crc.value, (unsigned long)(*out)->crc);
    (*out)->checked = 1;
    return HRM_OK;
}

/* ---- pickle --------------------------------------------------------------------------------------------- >>pickle ----
 * A pickle is a program for a stack machine. This one builds descriptions of the values that a dictionary of tensors takes, and
 * passes over everything else (classes, what would be made by calling them, sets, bytes); it calls nothing. Every instruction
 * makes at most one value, so memory is bounded by the pickle's length.
 */
typedef enum hrm__pickle_kind {
    HRM__P_NONE,
    HRM__P_BOOL,
    HRM__P_INT,
    HRM__P_FLOAT,
    HRM__P_STRING,
    HRM__P_TUPLE,
    HRM__P_LIST,
    HRM__P_DICT,
    HRM__P_DICT_TYPE,
    HRM__P_REBUILD_TENSOR,
    HRM__P_REBUILD_PARAMETER,
    HRM__P_REBUILD_FROM_TYPE,
    HRM__P_STORAGE_TYPE,
    HRM__P_STORAGE,
    HRM__P_TENSOR,
    HRM__P_OTHER /* a class, an object: its name, if it has one */
} hrm__pickle_kind;

typedef struct hrm__pickle_value {
    hrm__pickle_kind kind;
    hrm_dtype   dtype;       /* of a storage or its type, of a tensor; HRM_DTYPE_COUNT: none of ours */
    uint32_t first, last; /* cells of a tuple, list or dictionary (key, value, key, …); of a tensor its storage and shape, of a
                                storage its type in `first` */
    uint32_t    count;       /* items; of a tensor its strides */
    int64_t     number;      /* of a storage its elements, of a tensor its offset in it */
    const char *text;        /* of a string, storage, its type or a class: `length` bytes in the map */
    size_t      length;
} hrm__pickle_value;

typedef struct hrm__pickle_cell { uint32_t value, next; } hrm__pickle_cell;
typedef struct hrm__vector { void *data; size_t count, room, size; } hrm__vector; /* of elements of `size` bytes */

typedef struct hrm__pickle {
    const hrm_allocator *allocator;
    const unsigned char *start, *p, *end, *opcode;
    const char *path;
    hrm__vector values, cells; /* the first of each is not used: 0 means none */
    hrm__vector stack, marks, memo; /* value, height of the stack, value: uint32_t each */
} hrm__pickle;

static hrm_status hrm__vector_push(const hrm_allocator *a, hrm__vector *v, const void *item, const char *what)
{
    if (v->count == v->room) {
        size_t room = v->room ? v->room * 2 : 64;
        void *p;
        if (v->room > UINT32_MAX / 4) return hrm__fail(HRM_ERR_MEMORY, "%s: more than 2^31 values", what);
        HRM__TRY(hrm__alloc(a, &p, room, v->size, what));
        if (v->count) memcpy(p, v->data, v->count * v->size);
        hrm__free(a, v->data, v->room, v->size);
        v->data = p;
        v->room = room;
    }
    memcpy((char *)v->data + v->count++ * v->size, item, v->size);
    return HRM_OK;
}

static void hrm__vector_free(const hrm_allocator *a, hrm__vector *v) { hrm__free(a, v->data, v->room, v->size); }

static hrm__pickle_value *hrm__pickle_at(const hrm__pickle *m, uint32_t value)
{
    return (hrm__pickle_value *)m->values.data + value;
}
static hrm__pickle_cell *hrm__pickle_cell_at(const hrm__pickle *m, uint32_t cell)
{
    return (hrm__pickle_cell *)m->cells.data + cell;
}

static hrm_status hrm__pickle_fail(const hrm__pickle *m, const char *what)
{
    return hrm__fail(HRM_ERR_FORMAT, "%s: data.pkl, opcode 0x%02x at %zu: %s", m->path, *m->opcode,
                     (size_t)(m->opcode - m->start), what);
}

static hrm_status hrm__pickle_push(hrm__pickle *m, uint32_t value)
{
    return hrm__vector_push(m->allocator, &m->stack, &value, m->path);
}

static hrm_status hrm__pickle_new(hrm__pickle *m, hrm__pickle_kind kind, uint32_t *value)
{
    /* a new value on top of the stack */
    hrm__pickle_value v;
    memset(&v, 0, sizeof v);
    v.kind = kind;
    HRM__TRY(hrm__vector_push(m->allocator, &m->values, &v, m->path));
    *value = (uint32_t)(m->values.count - 1);
    return hrm__pickle_push(m, *value);
}

static hrm_status hrm__pickle_append(hrm__pickle *m, uint32_t container, uint32_t item)
{
    hrm__pickle_cell cell;
    cell.value = item;
    cell.next = 0;
    HRM__TRY(hrm__vector_push(m->allocator, &m->cells, &cell, m->path));
    hrm__pickle_value *c = hrm__pickle_at(m, container);
    uint32_t at = (uint32_t)(m->cells.count - 1);
    if (c->last) hrm__pickle_cell_at(m, c->last)->next = at;
    else c->first = at;
    c->last = at;
    c->count++;
    return HRM_OK;
}

static hrm_status hrm__pickle_mark(hrm__pickle *m, size_t *base)
{
    /* pops the last mark -> the stack's height at it */
    if (!m->marks.count) return hrm__pickle_fail(m, "there is no mark");
    *base = ((uint32_t *)m->marks.data)[--m->marks.count];
    return HRM_OK;
}

static hrm_status hrm__pickle_pop(hrm__pickle *m, uint32_t *value)
{
    size_t low = m->marks.count ? ((uint32_t *)m->marks.data)[m->marks.count - 1] : 0;
    if (m->stack.count <= low) return hrm__pickle_fail(m, "the stack is empty");
    *value = ((uint32_t *)m->stack.data)[--m->stack.count];
    return HRM_OK;
}

static hrm_status hrm__pickle_top(hrm__pickle *m, uint32_t *value)
{
    HRM__TRY(hrm__pickle_pop(m, value));
    m->stack.count++;
    return HRM_OK;
}

static hrm_status hrm__pickle_collect(hrm__pickle *m, uint32_t container, size_t base)
{
    /* what stands on the stack from base on goes into the container, if it is below them */
    for (size_t i = base; i < m->stack.count; i++) HRM__TRY(hrm__pickle_append(m, container, ((uint32_t *)m->stack.data)[i]));
    m->stack.count = base;
    return HRM_OK;
}

static hrm_status hrm__pickle_tuple(hrm__pickle *m, size_t base)
{
    uint32_t tuple;
    if (base > m->stack.count) return hrm__pickle_fail(m, "the stack is empty");
    HRM__TRY(hrm__pickle_new(m, HRM__P_TUPLE, &tuple));
    m->stack.count--;
    HRM__TRY(hrm__pickle_collect(m, tuple, base));
    return hrm__pickle_push(m, tuple);
}

static hrm_status hrm__pickle_set_items(hrm__pickle *m, hrm__pickle_kind kind, size_t base)
{
    /* the items above base into the list or dictionary just below; an object that is given keys and values is taken for one */
    size_t low = m->marks.count ? ((uint32_t *)m->marks.data)[m->marks.count - 1] : 0;
    if (base <= low || base > m->stack.count) return hrm__pickle_fail(m, "the stack is empty");
    uint32_t container = ((uint32_t *)m->stack.data)[base - 1];
    hrm__pickle_kind *is = &hrm__pickle_at(m, container)->kind;
    if (*is == HRM__P_OTHER && kind != HRM__P_DICT) {
        m->stack.count = base;
        return HRM_OK;
    }
    if (*is == HRM__P_OTHER) *is = kind;
    if (*is != kind || (kind == HRM__P_DICT && (m->stack.count - base) % 2))
        return hrm__pickle_fail(m, "items for something that takes none");
    return hrm__pickle_collect(m, container, base);
}

static hrm_status hrm__pickle_string(hrm__pickle *m, int length_bytes)
{
    uint32_t value;
    if (m->end - m->p < length_bytes) return hrm__pickle_fail(m, "the pickle ends early");
    uint64_t n = hrm__get_le(m->p, length_bytes);
    m->p += length_bytes;
    if (n > (uint64_t)(m->end - m->p)) return hrm__pickle_fail(m, "a string reaches past the end");
    HRM__TRY(hrm__pickle_new(m, HRM__P_STRING, &value));
    hrm__pickle_at(m, value)->text = (const char *)m->p;
    hrm__pickle_at(m, value)->length = (size_t)n;
    m->p += n;
    return HRM_OK;
}

static hrm_status hrm__pickle_skip(hrm__pickle *m, int length_bytes, hrm__pickle_kind kind)
{
    /* a value that nothing here needs: its length, its bytes */
    uint32_t value;
    HRM__TRY(hrm__pickle_string(m, length_bytes));
    HRM__TRY(hrm__pickle_pop(m, &value));
    hrm__pickle_at(m, value)->kind = kind;
    hrm__pickle_at(m, value)->length = 0;
    return hrm__pickle_push(m, value);
}

static hrm_status hrm__pickle_int(hrm__pickle *m, int bytes, int is_signed)
{
    uint32_t value;
    if (bytes > m->end - m->p) return hrm__pickle_fail(m, "the pickle ends early");
    uint64_t n = hrm__get_le(m->p, bytes);
    if (is_signed && bytes && bytes < 8 && m->p[bytes - 1] > 127) n |= ~(uint64_t)0 << 8 * bytes;
    m->p += bytes;
    HRM__TRY(hrm__pickle_new(m, HRM__P_INT, &value));
    hrm__pickle_at(m, value)->number = (int64_t)n;
    return HRM_OK;
}

/* What PyTorch calls a storage of each dtype, in the order of HRM_DTYPE_LIST. */
static const char *const hrm__torch_storages[HRM_DTYPE_COUNT] = {
    "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "CharStorage",
    "ByteStorage",  "ShortStorage",  "IntStorage",  "LongStorage",     "BoolStorage"};

static int hrm__text_is(const char *text, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(text, word, n) == 0;
}

static hrm_status hrm__pickle_global(hrm__pickle *m, const char *module, size_t module_length, const char *name,
                                     size_t name_length)
{
    static const struct { const char *module, *name; hrm__pickle_kind kind; } known[] = {
        {"collections", "OrderedDict", HRM__P_DICT_TYPE},
        {"collections", "defaultdict", HRM__P_DICT_TYPE},
        {"torch._utils", "_rebuild_tensor", HRM__P_REBUILD_TENSOR},
        {"torch._utils", "_rebuild_tensor_v2", HRM__P_REBUILD_TENSOR},
        {"torch._utils", "_rebuild_tensor_v3", HRM__P_REBUILD_TENSOR},
        {"torch._utils", "_rebuild_parameter", HRM__P_REBUILD_PARAMETER},
        {"torch._utils", "_rebuild_parameter_with_state", HRM__P_REBUILD_PARAMETER},
        {"torch._tensor", "_rebuild_from_type_v2", HRM__P_REBUILD_FROM_TYPE}};
    hrm__pickle_value v;
    uint32_t value;
    memset(&v, 0, sizeof v);
    v.kind = HRM__P_OTHER;
    v.dtype = HRM_DTYPE_COUNT;
    v.text = name;
    v.length = name_length;
    for (size_t i = 0; i < HRM__COUNT(known); i++)
        if (hrm__text_is(module, module_length, known[i].module) && hrm__text_is(name, name_length, known[i].name))
            v.kind = known[i].kind;
    for (int d = 0; d < HRM_DTYPE_COUNT && hrm__text_is(module, module_length, "torch"); d++)
        if (hrm__text_is(name, name_length, hrm__torch_storages[d])) v.kind = HRM__P_STORAGE_TYPE, v.dtype = (hrm_dtype)d;
    HRM__TRY(hrm__pickle_new(m, v.kind, &value));
    *hrm__pickle_at(m, value) = v;
    return HRM_OK;
}

static hrm_status hrm__pickle_global_lines(hrm__pickle *m)
{
    const char *text[2];
    size_t length[2];
    for (int i = 0; i < 2; i++) {
        const void *end = memchr(m->p, '\n', (size_t)(m->end - m->p));
        if (!end) return hrm__pickle_fail(m, "the pickle ends early");
        text[i] = (const char *)m->p;
        length[i] = (size_t)((const char *)end - text[i]);
        m->p += length[i] + 1;
    }
    return hrm__pickle_global(m, text[0], length[0], text[1], length[1]);
}

static hrm_status hrm__pickle_stack_global(hrm__pickle *m)
{
    uint32_t name, module;
    HRM__TRY(hrm__pickle_pop(m, &name));
    HRM__TRY(hrm__pickle_pop(m, &module));
    const hrm__pickle_value *n = hrm__pickle_at(m, name), *o = hrm__pickle_at(m, module);
    if (n->kind != HRM__P_STRING || o->kind != HRM__P_STRING) return hrm__pickle_fail(m, "a name that is no string");
    return hrm__pickle_global(m, o->text, o->length, n->text, n->length);
}

static size_t hrm__pickle_items(const hrm__pickle *m, uint32_t tuple, const hrm__pickle_value **items, uint32_t *ids,
                                size_t room)
{
    /* the first `room` items of a tuple -> how many it has; 0 when it is none */
    const hrm__pickle_value *t = hrm__pickle_at(m, tuple);
    if (t->kind != HRM__P_TUPLE) return 0;
    size_t n = 0;
    for (uint32_t c = t->first; c && n < room; c = hrm__pickle_cell_at(m, c)->next, n++) {
        ids[n] = hrm__pickle_cell_at(m, c)->value;
        items[n] = hrm__pickle_at(m, ids[n]);
    }
    return t->count;
}

static hrm_status hrm__pickle_storage(hrm__pickle *m)
{
    /* ('storage', torch.FloatStorage, key, device, elements) -> the storage */
    const hrm__pickle_value *item[5];
    uint32_t tuple, ids[5], value;
    HRM__TRY(hrm__pickle_pop(m, &tuple));
    if (hrm__pickle_items(m, tuple, item, ids, 5) != 5 || item[0]->kind != HRM__P_STRING ||
        !hrm__text_is(item[0]->text, item[0]->length, "storage") ||
        (item[1]->kind != HRM__P_STORAGE_TYPE && item[1]->kind != HRM__P_OTHER) || item[2]->kind != HRM__P_STRING ||
        item[4]->kind != HRM__P_INT || item[4]->number < 0)
        return hrm__pickle_fail(m, "a reference that is not to a storage");
    hrm__pickle_value s = *item[2];
    s.kind = HRM__P_STORAGE;
    s.dtype = item[1]->dtype;
    s.number = item[4]->number;
    s.first = ids[1];
    HRM__TRY(hrm__pickle_new(m, HRM__P_STORAGE, &value));
    *hrm__pickle_at(m, value) = s;
    return HRM_OK;
}

static hrm_status hrm__pickle_make(hrm__pickle *m, uint32_t function, uint32_t args, int depth)
{
    /* what PyTorch would get from the call: a dictionary, a tensor, or something that is passed over */
    const hrm__pickle_value *item[7], *called = hrm__pickle_at(m, function);
    uint32_t ids[7], value;
    size_t n = hrm__pickle_items(m, args, item, ids, 7);
    switch (called->kind) {
    case HRM__P_DICT_TYPE: /* a defaultdict has what makes its values as argument */
        if (n && item[0]->kind == HRM__P_LIST) return hrm__pickle_fail(m, "an OrderedDict made from arguments");
        return hrm__pickle_new(m, HRM__P_DICT, &value);
    case HRM__P_REBUILD_PARAMETER:
        if (n < 1 || (item[0]->kind != HRM__P_TENSOR && item[0]->kind != HRM__P_OTHER))
            return hrm__pickle_fail(m, "a parameter that is no tensor");
        return hrm__pickle_push(m, ids[0]);
    case HRM__P_REBUILD_FROM_TYPE: /* (function, class, its arguments, attributes) */
        if (n >= 3 && item[2]->kind == HRM__P_TUPLE && depth < 4) return hrm__pickle_make(m, ids[0], ids[2], depth + 1);
        break;
    case HRM__P_REBUILD_TENSOR: {
        if (n < 4 || item[0]->kind != HRM__P_STORAGE || item[1]->kind != HRM__P_INT || item[1]->number < 0 ||
            item[2]->kind != HRM__P_TUPLE || item[3]->kind != HRM__P_TUPLE || item[2]->count != item[3]->count)
            return hrm__pickle_fail(m, "a tensor that is not made of storage, offset, shape and strides");
        hrm__pickle_value t;
        memset(&t, 0, sizeof t);
        t.kind = HRM__P_TENSOR;
        t.dtype = item[0]->dtype;
        const hrm__pickle_value *type =
            n == 7 && item[6]->kind == HRM__P_OTHER ? item[6] : hrm__pickle_at(m, item[0]->first); /* v3 names the dtype */
        t.text = type->text;
        t.length = type->length;
        t.number = item[1]->number;
        t.first = ids[0];
        t.last = ids[2];
        t.count = ids[3];
        HRM__TRY(hrm__pickle_new(m, HRM__P_TENSOR, &value));
        *hrm__pickle_at(m, value) = t;
        return HRM_OK;
    }
    case HRM__P_OTHER: break;
    default: return hrm__pickle_fail(m, "a call of something that cannot be called");
    }
    hrm__pickle_value other = *called; /* `called` may move */
    HRM__TRY(hrm__pickle_new(m, HRM__P_OTHER, &value));
    other.kind = HRM__P_OTHER;
    *hrm__pickle_at(m, value) = other;
    return HRM_OK;
}

static hrm_status hrm__pickle_reduce(hrm__pickle *m, int keywords)
{
    /* function or class, arguments (and named ones) -> the result */
    uint32_t args, function;
    if (keywords) HRM__TRY(hrm__pickle_pop(m, &args));
    HRM__TRY(hrm__pickle_pop(m, &args));
    HRM__TRY(hrm__pickle_pop(m, &function));
    if (hrm__pickle_at(m, args)->kind != HRM__P_TUPLE && hrm__pickle_at(m, args)->kind != HRM__P_OTHER)
        return hrm__pickle_fail(m, "a call without a tuple of arguments");
    return hrm__pickle_make(m, function, args, 0);
}

static hrm_status hrm__pickle_build(hrm__pickle *m)
{
    /* attributes for the object below (state_dict's _metadata): not needed */
    uint32_t state, object;
    HRM__TRY(hrm__pickle_pop(m, &state));
    return hrm__pickle_top(m, &object);
}

static hrm_status hrm__pickle_line(hrm__pickle *m, hrm__pickle_kind kind)
{
    /* a number in digits, as protocol 1 has it: passed over, but for the two that mean true and false */
    uint32_t value;
    const unsigned char *end = (const unsigned char *)memchr(m->p, '\n', (size_t)(m->end - m->p));
    if (!end) return hrm__pickle_fail(m, "the pickle ends early");
    int truth = kind == HRM__P_INT && end - m->p == 2 && m->p[0] == '0';
    int64_t number = 0;
    int whole = kind == HRM__P_INT && end > m->p && end - m->p < 18;
    for (const unsigned char *p = m->p; p < end && whole; p++) {
        if (*p >= '0' && *p <= '9') number = number * 10 + (*p - '0');
        else whole = *p == 'L' && p + 1 == end;
    }
    m->p = end + 1;
    HRM__TRY(hrm__pickle_new(m, truth ? HRM__P_BOOL : whole ? HRM__P_INT : HRM__P_OTHER, &value));
    hrm__pickle_at(m, value)->number = number;
    return HRM_OK;
}

static hrm_status hrm__pickle_memo(hrm__pickle *m, int index_bytes, int put)
{
    /* puts the top under an index, or gets it; index_bytes 0: the next free one */
    const uint32_t none = 0;
    uint64_t index = m->memo.count;
    uint32_t value;
    if (m->end - m->p < index_bytes) return hrm__pickle_fail(m, "the pickle ends early");
    if (index_bytes) index = hrm__get_le(m->p, index_bytes);
    m->p += index_bytes;
    if (!put) {
        value = index < m->memo.count ? ((uint32_t *)m->memo.data)[index] : 0;
        return value ? hrm__pickle_push(m, value) : hrm__pickle_fail(m, "recalls what was not stored");
    }
    if (index > (uint64_t)(m->end - m->start))
        return hrm__pickle_fail(m, "a memo index past any that a pickle of this length can use");
    HRM__TRY(hrm__pickle_top(m, &value));
    while (m->memo.count <= index) HRM__TRY(hrm__vector_push(m->allocator, &m->memo, &none, m->path));
    ((uint32_t *)m->memo.data)[index] = value;
    return HRM_OK;
}

static hrm_status hrm__pickle_step(hrm__pickle *m, int *done)
{
    uint32_t value, height = (uint32_t)m->stack.count;
    size_t base = 0;
    m->opcode = m->p++;
    switch (*m->opcode) {
    case 0x80: /* PROTO */
        if (m->p == m->end) return hrm__pickle_fail(m, "the pickle ends early");
        if (*m->p < 2 || *m->p > 5) return hrm__pickle_fail(m, "a protocol other than 2 to 5");
        m->p++;
        return HRM_OK;
    case 0x95: /* FRAME: only a hint for readers of streams */
        if (m->end - m->p < 8) return hrm__pickle_fail(m, "the pickle ends early");
        m->p += 8;
        return HRM_OK;
    case '(': return hrm__vector_push(m->allocator, &m->marks, &height, m->path);
    case '}': return hrm__pickle_new(m, HRM__P_DICT, &value);
    case ']': return hrm__pickle_new(m, HRM__P_LIST, &value);
    case ')': return hrm__pickle_tuple(m, m->stack.count);
    case 'N': return hrm__pickle_new(m, HRM__P_NONE, &value);
    case 0x88: case 0x89: /* NEWTRUE, NEWFALSE */
        HRM__TRY(hrm__pickle_new(m, HRM__P_BOOL, &value));
        hrm__pickle_at(m, value)->number = *m->opcode == 0x88;
        return HRM_OK;
    case 'K': return hrm__pickle_int(m, 1, 0); /* BININT1 */
    case 'M': return hrm__pickle_int(m, 2, 0); /* BININT2 */
    case 'J': return hrm__pickle_int(m, 4, 1); /* BININT */
    case 0x8a: /* LONG1 */
        if (m->p == m->end) return hrm__pickle_fail(m, "the pickle ends early");
        if (*m->p > 8) return hrm__pickle_skip(m, 1, HRM__P_OTHER);
        m->p++;
        return hrm__pickle_int(m, m->p[-1], 1);
    case 0x8b: return hrm__pickle_skip(m, 4, HRM__P_OTHER); /* LONG4 */
    case 'I': case 'L': return hrm__pickle_line(m, HRM__P_INT);
    case 'F': return hrm__pickle_line(m, HRM__P_FLOAT);
    case 'G': /* BINFLOAT: nothing here needs its value */
        if (m->end - m->p < 8) return hrm__pickle_fail(m, "the pickle ends early");
        m->p += 8;
        return hrm__pickle_new(m, HRM__P_FLOAT, &value);
    case 0x8c: return hrm__pickle_string(m, 1); /* SHORT_BINUNICODE */
    case 'X': return hrm__pickle_string(m, 4);  /* BINUNICODE */
    case 0x8d: return hrm__pickle_string(m, 8); /* BINUNICODE8 */
    case 'U': return hrm__pickle_string(m, 1);  /* SHORT_BINSTRING */
    case 'T': return hrm__pickle_string(m, 4);  /* BINSTRING */
    case 'C': return hrm__pickle_skip(m, 1, HRM__P_OTHER);            /* SHORT_BINBYTES */
    case 'B': return hrm__pickle_skip(m, 4, HRM__P_OTHER);            /* BINBYTES */
    case 0x8e: case 0x96: return hrm__pickle_skip(m, 8, HRM__P_OTHER); /* BINBYTES8, BYTEARRAY8 */
    case 0x8f: return hrm__pickle_new(m, HRM__P_OTHER, &value);       /* EMPTY_SET */
    case 0x91: /* FROZENSET */
        HRM__TRY(hrm__pickle_mark(m, &base));
        if (base > m->stack.count) return hrm__pickle_fail(m, "the stack is empty");
        m->stack.count = base;
        return hrm__pickle_new(m, HRM__P_OTHER, &value);
    case '0': return hrm__pickle_pop(m, &value);
    case '1': /* POP_MARK */
        HRM__TRY(hrm__pickle_mark(m, &base));
        if (base > m->stack.count) return hrm__pickle_fail(m, "the stack is empty");
        m->stack.count = base;
        return HRM_OK;
    case '2': /* DUP */
        HRM__TRY(hrm__pickle_top(m, &value));
        return hrm__pickle_push(m, value);
    case 'q': return hrm__pickle_memo(m, 1, 1);
    case 'r': return hrm__pickle_memo(m, 4, 1);
    case 0x94: return hrm__pickle_memo(m, 0, 1);
    case 'h': return hrm__pickle_memo(m, 1, 0);
    case 'j': return hrm__pickle_memo(m, 4, 0);
    case 'c': return hrm__pickle_global_lines(m);
    case 0x93: return hrm__pickle_stack_global(m);
    case 't':
        HRM__TRY(hrm__pickle_mark(m, &base));
        return hrm__pickle_tuple(m, base);
    case 0x85: case 0x86: case 0x87: /* TUPLE1 to TUPLE3 */
        for (base = 0; base < (size_t)(*m->opcode - 0x84); base++) HRM__TRY(hrm__pickle_pop(m, &value)); /* are they there? */
        m->stack.count = height;
        return hrm__pickle_tuple(m, height - base);
    case 'Q': return hrm__pickle_storage(m);
    case 'R': case 0x81: return hrm__pickle_reduce(m, 0); /* REDUCE, NEWOBJ */
    case 0x92: return hrm__pickle_reduce(m, 1);           /* NEWOBJ_EX */
    case 'b': return hrm__pickle_build(m);
    case 's': return height < 3 ? hrm__pickle_fail(m, "the stack is empty") : hrm__pickle_set_items(m, HRM__P_DICT, height - 2);
    case 'a': return height < 2 ? hrm__pickle_fail(m, "the stack is empty") : hrm__pickle_set_items(m, HRM__P_LIST, height - 1);
    case 'u': case 'e': case 0x90: /* SETITEMS, APPENDS, ADDITEMS */
        HRM__TRY(hrm__pickle_mark(m, &base));
        return hrm__pickle_set_items(m, *m->opcode == 'u' ? HRM__P_DICT : HRM__P_LIST, base);
    case '.':
        *done = 1;
        return m->stack.count == 1 && !m->marks.count ? HRM_OK
                                                      : hrm__pickle_fail(m, "it ends with more or less than one value");
    default: return hrm__pickle_fail(m, "not one that a dictionary of tensors needs; refused");
    }
}

static hrm_status hrm__pickle_run(hrm__pickle *m, uint32_t *result)
{
    int done = 0;
    hrm__pickle_value none;
    hrm__pickle_cell no_cell;
    memset(&none, 0, sizeof none);
    memset(&no_cell, 0, sizeof no_cell);
    HRM__TRY(hrm__vector_push(m->allocator, &m->values, &none, m->path));
    HRM__TRY(hrm__vector_push(m->allocator, &m->cells, &no_cell, m->path));
    while (!done) {
        if (m->p >= m->end) return hrm__fail(HRM_ERR_FORMAT, "%s: data.pkl does not end", m->path);
        HRM__TRY(hrm__pickle_step(m, &done));
    }
    *result = *(uint32_t *)m->stack.data;
    return HRM_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */
#define HRM__TORCH_NAME  1024 /* bytes of a tensor's name at most */
#define HRM__TORCH_DEPTH 8    /* dictionaries in dictionaries */

typedef struct hrm__torch {
    hrm_tensors *file;
    hrm__zip     zip;
    hrm__pickle  pickle;
    hrm__vector  tensors;
    const char  *path, *folder; /* the archive's NAME, folder_length bytes */
    size_t       folder_length;
    size_t       visits; /* cells still to be looked at: shared dictionaries could otherwise multiply without end */
    char         name[HRM__TORCH_NAME];
} hrm__torch;

static hrm_status hrm__torch_entry(hrm__torch *t, const char *what, const char *key, size_t key_length, int required,
                                   hrm__zip_entry **entry)
{
    /* the zip's entry NAME/what + key */
    char name[512];
    if (t->folder_length + key_length + 32 > sizeof name)
        return hrm__fail(HRM_ERR_FORMAT, "%s: a storage's key is too long", t->path);
    snprintf(name, sizeof name, "%.*s/%s%.*s", (int)t->folder_length, t->folder, what, (int)key_length, key);
    return hrm__zip_find(&t->zip, name, required, entry);
}

static hrm_status hrm__torch_tensor(hrm__torch *t, uint32_t value, size_t name_length)
{
    /* the tensor t->name: storage, offset, shape, strides -> a view, if it is contiguous */
    const hrm__pickle *m = &t->pickle;
    const hrm__pickle_value *v = hrm__pickle_at(m, value), *storage = hrm__pickle_at(m, v->first),
                            *shape = hrm__pickle_at(m, v->last);
    hrm__zip_entry *entry;
    hrm_tensor out;
    char why[96] = "";
    size_t elements = 0, element = hrm_dtype_size(v->dtype);
    memset(&out, 0, sizeof out);
    out.dtype = v->dtype;
    if (v->dtype == HRM_DTYPE_COUNT)
        snprintf(why, sizeof why, "has dtype %.*s, which is not supported", (int)hrm__min_i64((int64_t)v->length, 40), v->text);
    else if (shape->count > HRM_MAX_DIMS)
        snprintf(why, sizeof why, "has %u dimensions, %d are supported", (unsigned)shape->count, HRM_MAX_DIMS);
    int64_t strides[HRM_MAX_DIMS], expected = 1;
    uint32_t side = *why ? 0 : shape->first, stride = hrm__pickle_at(m, v->count)->first;
    for (; side; out.ndim++, side = hrm__pickle_cell_at(m, side)->next, stride = hrm__pickle_cell_at(m, stride)->next) {
        const hrm__pickle_value *a = hrm__pickle_at(m, hrm__pickle_cell_at(m, side)->value),
                                *b = hrm__pickle_at(m, hrm__pickle_cell_at(m, stride)->value);
        if (a->kind != HRM__P_INT || b->kind != HRM__P_INT)
            return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" has a shape that is none", t->path, t->name);
        out.shape[out.ndim] = a->number;
        strides[out.ndim] = b->number;
    }
    if (!*why && !hrm__shape_fits(out.dtype, out.ndim, out.shape, &elements, &out.bytes))
        return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" has a shape that is none", t->path, t->name);
    for (int i = out.ndim; i-- > 0 && elements; expected *= out.shape[i])
        if (out.shape[i] != 1 && strides[i] != expected) {
            snprintf(why, sizeof why, "is not contiguous; save tensor.contiguous()");
            break;
        }
    HRM__TRY(hrm__tensors_name(t->file, &out, t->name, name_length, *why ? why : NULL));
    if (*why) return hrm__vector_push(t->file->allocator, &t->tensors, &out, t->path);
    HRM__TRY(hrm__torch_entry(t, "data/", storage->text, storage->length, 1, &entry));
    if (entry->size % element || entry->size / element != (uint64_t)storage->number)
        return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\": its storage has %llu bytes, not %lld elements of %zu", t->path,
                         t->name, (unsigned long long)entry->size, (long long)storage->number, element);
    if (v->number > storage->number || elements > (uint64_t)(storage->number - v->number))
        return hrm__fail(HRM_ERR_FORMAT, "%s: tensor \"%.200s\" reaches past its storage of %lld elements", t->path, t->name,
                         (long long)storage->number);
    if (!entry->native) {
        hrm__map_to_native(&t->file->map, t->zip.map + entry->data, out.dtype, (size_t)storage->number);
        entry->native = (int)out.dtype + 1;
    } else if (HRM__BIG_ENDIAN && entry->native != (int)out.dtype + 1) {
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: tensor \"%.200s\" shares its storage with one of another dtype", t->path,
                         t->name);
    }
    out.data = t->zip.map + entry->data + (size_t)v->number * element;
    return hrm__vector_push(t->file->allocator, &t->tensors, &out, t->path);
}

static hrm_status hrm__torch_dictionary(hrm__torch *t, uint32_t dictionary, size_t name_length, int depth)
{
    /* its tensors, and those of the dictionaries in it under joined names; everything else is passed over */
    const hrm__pickle *m = &t->pickle;
    if (depth == HRM__TORCH_DEPTH) return HRM_OK; /* no model is as deep as that */
    for (uint32_t c = hrm__pickle_at(m, dictionary)->first; c; c = hrm__pickle_cell_at(m, c)->next) {
        const hrm__pickle_value *key = hrm__pickle_at(m, hrm__pickle_cell_at(m, c)->value);
        c = hrm__pickle_cell_at(m, c)->next;
        uint32_t value = hrm__pickle_cell_at(m, c)->value;
        hrm__pickle_kind kind = hrm__pickle_at(m, value)->kind;
        if (!t->visits--) return hrm__fail(HRM_ERR_FORMAT, "%s: dictionaries that contain each other over and over", t->path);
        if ((kind != HRM__P_TENSOR && kind != HRM__P_DICT) || (key->kind != HRM__P_STRING && key->kind != HRM__P_INT)) continue;
        char number[24];
        size_t length = key->length, at = name_length;
        const char *text = key->text;
        if (key->kind == HRM__P_INT)
            length = (size_t)snprintf(number, sizeof number, "%lld", (long long)key->number), text = number;
        if (length > sizeof t->name - 2 - name_length || memchr(text, 0, length) || hrm__utf8_bad(text, length) < length)
            return hrm__fail(HRM_ERR_FORMAT, "%s: a key after \"%.100s\" is too long or not UTF-8", t->path, t->name);
        if (at) t->name[at++] = '.';
        memcpy(t->name + at, text, length);
        at += length;
        t->name[at] = 0;
        if (kind == HRM__P_TENSOR) HRM__TRY(hrm__torch_tensor(t, value, at));
        else HRM__TRY(hrm__torch_dictionary(t, value, at, depth + 1));
        t->name[name_length] = 0;
    }
    return HRM_OK;
}

static hrm_status hrm__torch_read(hrm__torch *t)
{
    hrm__zip_entry *entry;
    uint32_t root = 0;
    HRM__TRY(hrm__zip_read(&t->zip));
    for (size_t i = 0; i < t->zip.count; i++) { /* NAME is the first part of every entry */
        const hrm__zip_entry *e = &t->zip.entries[i];
        const void *slash = memchr(e->name, '/', e->name_length);
        size_t n = slash ? (size_t)((const char *)slash - e->name) : 0;
        if (!n || !hrm__text_is(e->name + n, e->name_length - n, "/data.pkl")) continue;
        if (t->folder) return hrm__fail(HRM_ERR_FORMAT, "%s: the zip holds more than one data.pkl", t->path);
        t->folder = e->name;
        t->folder_length = n;
    }
    if (!t->folder) return hrm__fail(HRM_ERR_FORMAT, "%s: a zip without NAME/data.pkl, so not a PyTorch checkpoint", t->path);
    HRM__TRY(hrm__torch_entry(t, "byteorder", "", 0, 0, &entry));
    if (entry && !hrm__text_is((const char *)t->zip.map + entry->data, (size_t)entry->size, "little"))
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: the checkpoint is big-endian, which is not supported", t->path);
    HRM__TRY(hrm__torch_entry(t, "data.pkl", "", 0, 1, &entry));
    t->pickle.start = t->pickle.p = t->zip.map + entry->data;
    t->pickle.end = t->pickle.start + entry->size;
    t->visits = (size_t)entry->size;
    HRM__TRY(hrm__pickle_run(&t->pickle, &root));
    const hrm__pickle_value *r = hrm__pickle_at(&t->pickle, root);
    if (r->kind == HRM__P_DICT) return hrm__torch_dictionary(t, root, 0, 0);
    if (r->kind == HRM__P_OTHER && r->length)
        return hrm__fail(HRM_ERR_UNSUPPORTED,
                         "%s: the checkpoint is an object of class %.*s, not a dictionary of tensors; save model.state_dict()",
                         t->path, (int)hrm__min_i64((int64_t)r->length, 80), r->text);
    return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: the checkpoint is not a dictionary of tensors; save model.state_dict()",
                     t->path);
}

static hrm_status hrm__torch_open(hrm_tensors *f, const char *path)
{
    const hrm_allocator *a = f->allocator;
    hrm__torch t;
    memset(&t, 0, sizeof t);
    t.file = f;
    t.path = t.zip.path = t.pickle.path = path;
    t.zip.allocator = t.pickle.allocator = a;
    t.zip.map = f->map.data;
    t.zip.size = f->map.size;
    t.tensors.size = sizeof(hrm_tensor);
    t.pickle.values.size = sizeof(hrm__pickle_value);
    t.pickle.cells.size = sizeof(hrm__pickle_cell);
    t.pickle.stack.size = t.pickle.marks.size = t.pickle.memo.size = sizeof(uint32_t);
    hrm_status status = hrm__torch_read(&t);
    hrm__vector_free(a, &t.pickle.memo);
    hrm__vector_free(a, &t.pickle.marks);
    hrm__vector_free(a, &t.pickle.stack);
    hrm__vector_free(a, &t.pickle.cells);
    hrm__vector_free(a, &t.pickle.values);
    hrm__free(a, t.zip.entries, t.zip.room, sizeof *t.zip.entries);
    f->tensors = (hrm_tensor *)t.tensors.data; /* freed with the file from here on */
    f->count = t.tensors.count;
    f->room = t.tensors.room;
    HRM__TRY(status);
    HRM__TRY(hrm__tensors_sort(f, path));
    hrm__tensors_index(f);
    return HRM_OK;
}

static hrm_status hrm__tensors_read(hrm_tensors *f, const char *path)
{
    /* f->map -> the rest */
    const hrm_file_map *map = &f->map;
    HRM__TRY(hrm__check_content(map, path));
    int pickled = map->size > 8 && map->data[0] == 0x80 && map->data[1] >= 2 && map->data[1] <= 5 && map->data[8] != '{';
    for (size_t i = 2; pickled && i < 16 && i + 12 <= map->size; i++)
        if (memcmp(map->data + i, "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12) == 0)
            return hrm__fail(
                HRM_ERR_UNSUPPORTED,
                "%s: PyTorch's form from before 1.6; with a later version, torch.save(torch.load(FILE), FILE) makes it a zip",
                path);
    if (pickled)
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: a bare Python pickle; torch.save writes the zip that can be read", path);
    f->is_torch = map->size >= 4 && memcmp(map->data, "PK\x03\x04", 4) == 0;
    return f->is_torch ? hrm__torch_open(f, path) : hrm__safetensors_open(f, path);
}

HRM_API hrm_status hrm_tensors_open(hrm_tensors **file, const char *path, const hrm_allocator *a)
{
    void *p;
    HRM__TRY(hrm__alloc_zero(a, &p, 1, sizeof(hrm_tensors), path ? path : "a checkpoint"));
    hrm_tensors *f = (hrm_tensors *)p;
    f->allocator = a;
    f->arena.allocator = a;
    f->arena.what = path;
    hrm_status status = hrm_file_map_open(&f->map, path);
    if (status == HRM_OK) status = hrm__tensors_read(f, path);
    f->arena.what = "";
    if (status != HRM_OK) hrm_tensors_close(f);
    else *file = f;
    return status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------------
 * Sizes and sums are not known beforehand: an entry's header is patched when its end is reached. Data begin at multiples of
 * 64, as PyTorch has them. From HRM__ZIP_LIMIT bytes on an entry or place is written in the zip64 way.
 */
#ifndef HRM__ZIP_LIMIT
    #define HRM__ZIP_LIMIT 0xffffffffu /* lower in tests */
#endif

typedef struct hrm__zip_out_entry { uint64_t header, size; uint32_t crc; int wide; char name[40]; } hrm__zip_out_entry;
typedef struct hrm__zip_out {
    hrm_writer         *w;
    hrm__zip_out_entry *entries;
    size_t              count;
    uint64_t            data; /* where the entry being written begins */
    hrm__crc            crc;
} hrm__zip_out;

static hrm_status hrm__zip_begin(hrm__zip_out *z, const char *name, uint64_t size)
{
    /* size: at least what the entry will have; it decides between the 32-bit form and the wide one */
    unsigned char head[30 + 40 + 20 + 4 + 64];
    hrm__zip_out_entry *e = &z->entries[z->count];
    size_t n = (size_t)snprintf(e->name, sizeof e->name, "archive/%s", name), at = 30 + n;
    e->header = hrm__writer_size(z->w);
    e->wide = size >= HRM__ZIP_LIMIT;
    memset(head, 0, sizeof head);
    memcpy(head, "PK\x03\x04", 4);
    hrm__put_le(head + 4, e->wide ? 45 : 20, 2);
    hrm__put_le(head + 12, 0x21, 2); /* the first of January 1980 */
    hrm__put_le(head + 26, n, 2);
    memcpy(head + 30, e->name, n);
    if (e->wide) {
        hrm__put_le(head + 18, 0xffffffffu, 4);
        hrm__put_le(head + 22, 0xffffffffu, 4);
        hrm__put_le(head + at, 1, 2);
        hrm__put_le(head + at + 2, 16, 2);
        at += 20;
    }
    size_t padding = (size_t)((64 - (e->header + at + 4) % 64) % 64);
    memcpy(head + at, "FB", 2); /* PyTorch's own padding field */
    hrm__put_le(head + at + 2, padding, 2);
    at += 4 + padding;
    hrm__put_le(head + 28, at - 30 - n, 2);
    HRM__TRY(hrm_writer_write(z->w, head, at));
    z->data = hrm__writer_size(z->w);
    z->crc.value = 0;
    z->w->crc = &z->crc;
    return HRM_OK;
}

static hrm_status hrm__zip_end(hrm__zip_out *z)
{
    unsigned char patch[16];
    hrm__zip_out_entry *e = &z->entries[z->count++];
    z->w->crc = NULL;
    e->size = hrm__writer_size(z->w) - z->data;
    e->crc = z->crc.value;
    hrm__put_le(patch, e->crc, 4);
    hrm__put_le(patch + 4, e->size, 4);
    hrm__put_le(patch + 8, e->size, 4);
    HRM__TRY(hrm_writer_rewrite(z->w, e->header + 14, patch, e->wide ? 4 : 12));
    hrm__put_le(patch, e->size, 8);
    hrm__put_le(patch + 8, e->size, 8);
    return e->wide ? hrm_writer_rewrite(z->w, e->header + 30 + strlen(e->name) + 4, patch, 16) : HRM_OK;
}

static hrm_status hrm__zip_finish(hrm__zip_out *z)
{
    unsigned char p[76];
    uint64_t start = hrm__writer_size(z->w);
    for (size_t i = 0; i < z->count; i++) {
        const hrm__zip_out_entry *e = &z->entries[i];
        /* some readers take a far entry only in the wide form */
        int distant = e->header >= HRM__ZIP_LIMIT, wide = e->wide || distant;
        size_t n = strlen(e->name), extra = (size_t)(wide ? 16 : 0) + (size_t)(distant ? 8 : 0), at = 46;
        memset(p, 0, sizeof p);
        memcpy(p, "PK\x01\x02", 4);
        hrm__put_le(p + 4, extra ? 45 : 20, 2);
        hrm__put_le(p + 6, extra ? 45 : 20, 2);
        hrm__put_le(p + 14, 0x21, 2);
        hrm__put_le(p + 16, e->crc, 4);
        hrm__put_le(p + 20, wide ? 0xffffffffu : e->size, 4);
        hrm__put_le(p + 24, wide ? 0xffffffffu : e->size, 4);
        hrm__put_le(p + 28, n, 2);
        hrm__put_le(p + 30, extra ? extra + 4 : 0, 2);
        hrm__put_le(p + 42, distant ? 0xffffffffu : e->header, 4);
        HRM__TRY(hrm_writer_write(z->w, p, at));
        HRM__TRY(hrm_writer_write(z->w, e->name, n));
        at = 4;
        hrm__put_le(p, 1, 2);
        hrm__put_le(p + 2, extra, 2);
        if (wide) {
            hrm__put_le(p + 4, e->size, 8);
            hrm__put_le(p + 12, e->size, 8);
            at = 20;
        }
        if (distant) hrm__put_le(p + at, e->header, 8);
        HRM__TRY(hrm_writer_write(z->w, p, extra ? extra + 4 : 0));
    }
    uint64_t end = hrm__writer_size(z->w), bytes = end - start;
    memset(p, 0, sizeof p);
    if (z->count >= 0xffff || end >= HRM__ZIP_LIMIT) {
        memcpy(p, "PK\x06\x06", 4);
        hrm__put_le(p + 4, 44, 8);
        hrm__put_le(p + 12, 45, 2);
        hrm__put_le(p + 14, 45, 2);
        hrm__put_le(p + 24, z->count, 8);
        hrm__put_le(p + 32, z->count, 8);
        hrm__put_le(p + 40, bytes, 8);
        hrm__put_le(p + 48, start, 8);
        memcpy(p + 56, "PK\x06\x07", 4);
        hrm__put_le(p + 64, end, 8);
        hrm__put_le(p + 72, 1, 4);
        HRM__TRY(hrm_writer_write(z->w, p, 76));
        memset(p, 0, sizeof p);
    }
    memcpy(p, "PK\x05\x06", 4);
    hrm__put_le(p + 8, z->count < 0xffff ? z->count : 0xffff, 2);
    hrm__put_le(p + 10, z->count < 0xffff ? z->count : 0xffff, 2);
    hrm__put_le(p + 12, bytes < HRM__ZIP_LIMIT ? bytes : 0xffffffffu, 4);
    hrm__put_le(p + 16, start < HRM__ZIP_LIMIT ? start : 0xffffffffu, 4);
    return hrm_writer_write(z->w, p, 22);
}

static hrm_status hrm__pickle_write_string(hrm_writer *w, const char *s)
{
    unsigned char head[5];
    head[0] = 'X';
    hrm__put_le(head + 1, strlen(s), 4);
    HRM__TRY(hrm_writer_write(w, head, 5));
    return hrm__write_text(w, s);
}

static hrm_status hrm__pickle_write_int(hrm_writer *w, int64_t v)
{
    /* v >= 0 */
    unsigned char code[10];
    int narrow = v <= INT32_MAX;
    code[0] = narrow ? 'J' : 0x8a;
    code[1] = 8;
    hrm__put_le(code + (narrow ? 1 : 2), (uint64_t)v, narrow ? 4 : 8);
    return hrm_writer_write(w, code, narrow ? 5 : 10);
}

static hrm_status hrm__pickle_write_tensor(hrm_writer *w, const hrm_tensor *t, hrm_dtype dtype, size_t key)
{
    /* name, then _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()) */
    char number[24];
    int64_t strides[HRM_MAX_DIMS], n = 1;
    for (int i = t->ndim; i-- > 0; n *= t->shape[i] > 1 ? t->shape[i] : 1) strides[i] = n;
    HRM__TRY(hrm__pickle_write_string(w, t->name));
    HRM__TRY(hrm__write_text(w, "ctorch._utils\n_rebuild_tensor_v2\n(("));
    HRM__TRY(hrm__pickle_write_string(w, "storage"));
    HRM__TRY(hrm__write_text(w, "ctorch\n"));
    HRM__TRY(hrm__write_text(w, hrm__torch_storages[dtype]));
    HRM__TRY(hrm__write_text(w, "\n"));
    snprintf(number, sizeof number, "%zu", key);
    HRM__TRY(hrm__pickle_write_string(w, number));
    HRM__TRY(hrm__pickle_write_string(w, "cpu"));
    HRM__TRY(hrm__pickle_write_int(w, (int64_t)(t->bytes / hrm_dtype_size(t->dtype))));
    HRM__TRY(hrm__write_text(w, "tQ"));
    HRM__TRY(hrm__pickle_write_int(w, 0));
    for (int k = 0; k < 2; k++) {
        HRM__TRY(hrm__write_text(w, "("));
        for (int i = 0; i < t->ndim; i++) HRM__TRY(hrm__pickle_write_int(w, k ? strides[i] : t->shape[i]));
        HRM__TRY(hrm__write_text(w, "t"));
    }
    return hrm__write_text(w, "\x89" "ccollections\nOrderedDict\n)RtR");
}

static hrm_status hrm__torch_write(hrm__zip_out *z, const hrm_tensor *tensors, size_t count, hrm_dtype as)
{
    char name[32];
    uint64_t length = 1024; /* of the pickle, at most */
    for (size_t i = 0; i < count; i++) length += strlen(tensors[i].name) + 512;
    HRM__TRY(hrm__zip_begin(z, "data.pkl", length));
    HRM__TRY(hrm__write_text(z->w, "\x80\x02" "ccollections\nOrderedDict\n)R("));
    for (size_t i = 0; i < count; i++)
        HRM__TRY(hrm__pickle_write_tensor(z->w, &tensors[i], hrm__save_dtype(&tensors[i], as), i));
    HRM__TRY(hrm__write_text(z->w, "u."));
    HRM__TRY(hrm__zip_end(z));
    HRM__TRY(hrm__zip_begin(z, "byteorder", 6));
    HRM__TRY(hrm__write_text(z->w, "little"));
    HRM__TRY(hrm__zip_end(z));
    for (size_t i = 0; i < count; i++) {
        const hrm_tensor *t = &tensors[i];
        hrm_dtype dtype = hrm__save_dtype(t, as);
        size_t elements = t->bytes / hrm_dtype_size(t->dtype);
        snprintf(name, sizeof name, "data/%zu", i);
        HRM__TRY(hrm__zip_begin(z, name, (uint64_t)elements * hrm_dtype_size(dtype)));
        HRM__TRY(hrm__writer_elements(z->w, dtype, t->data, t->dtype, elements));
        HRM__TRY(hrm__zip_end(z));
    }
    HRM__TRY(hrm__zip_begin(z, "version", 2));
    HRM__TRY(hrm__write_text(z->w, "3\n"));
    HRM__TRY(hrm__zip_end(z));
    return hrm__zip_finish(z);
}

HRM_API hrm_status hrm_torch_save(const char *path, const hrm_tensor *tensors, size_t count, hrm_dtype as,
                                  const hrm_allocator *a)
{
    hrm__zip_out z;
    void *p;
    HRM__TRY(hrm__save_check(path, tensors, count, as, a));
    for (size_t i = 0; i < count; i++)
        if (strlen(tensors[i].name) + 1 >= HRM__TORCH_NAME)
            return hrm__fail(HRM_ERR_ARGUMENT, "%s: tensor %.60s…: a name of %zu bytes, at most %d can be read again", path,
                             tensors[i].name, strlen(tensors[i].name), HRM__TORCH_NAME - 2);
    HRM__TRY(hrm__alloc(a, &p, count + 3, sizeof *z.entries, path));
    z.entries = (hrm__zip_out_entry *)p;
    z.count = 0;
    hrm__crc_init(&z.crc);
    hrm_status status = hrm_writer_open(&z.w, path, a);
    if (status == HRM_OK) status = hrm__writer_finish(z.w, hrm__torch_write(&z, tensors, count, as));
    hrm__free(a, p, count + 3, sizeof *z.entries);
    return status;
}

/* ==================================================================================================== >>dataset ===========
 * Five arrays a set (E examples, P puzzles, G groups):
 *   inputs, labels [E, seq_len]   puzzle_identifiers [P]   puzzle_indices [P + 1] into examples   group_indices [G + 1] into
 *   puzzles
 * They stay where they are, in mapped files or with the caller. Opening looks at the small ones entirely and at no token;
 * tokens are checked as they are read. hrm_npy_open has turned their bytes to the machine's order.
 */
#define HRM__DATASET_FIELDS(X) X(inputs) X(labels) X(puzzle_identifiers) X(puzzle_indices) X(group_indices)
enum {
#define HRM__ENUM(name) HRM__FIELD_##name,
    HRM__DATASET_FIELDS(HRM__ENUM)
#undef HRM__ENUM
    HRM__FIELD_COUNT
};

typedef struct hrm__ints { /* integers of any width, somewhere */
    const unsigned char *data; /* NULL: counting from 0 when `counts`, else all 0 */
    hrm_dtype dtype;
    int       counts;
    int64_t   count;
    char     *name; /* the file, for messages */
} hrm__ints;

typedef struct hrm__set {
    hrm__ints field[HRM__FIELD_COUNT];
    hrm_npy   file[HRM__FIELD_COUNT]; /* map.handle and data NULL: not from a file */
    int64_t   examples, puzzles, groups;
    int32_t  *kept;      /* [kept_room] of desc.only the groups; NULL: all, counting from 0 */
    size_t    kept_room;
} hrm__set;

static hrm__atomic hrm__dataset_serials;

struct hrm_dataset {
    const hrm_allocator *allocator;
    hrm_dataset_info info;
    hrm__set *sets;     /* [info.num_sets] */
    int32_t  *order;    /* [order_room] the permutation of groups that order_* tell, so that it is made once an epoch */
    int32_t  *choice;   /* [choice_room] examples of one puzzle */
    size_t    order_room, choice_room;
    uint64_t  order_seed, order_iteration, order_epoch;
    uint64_t  rows_read;
    int       order_set; /* -1: none yet */
    int       serial;    /* tells data sets apart that stood at one address */
#ifndef HRM_NO_THREADS
    int            forks;
    int            busy; /* somebody draws batches: a caller, or a trainer's thread that gathers ahead */
    hrm__mutex     mutex;
    hrm__condition condition;
#endif
};

static int hrm__dataset_serial(const hrm_dataset *data) { return data->serial; }

static void hrm__dataset_take_turn(hrm_dataset *data)
{
#ifdef HRM_NO_THREADS
    (void)data;
#else
    if (data->forks != (int)hrm__load(&hrm__forks)) { /* whose turn it was stayed in the parent, perhaps in the midst of it */
        data->forks = (int)hrm__load(&hrm__forks);
        data->busy = 0;
        data->order_set = -1;
        hrm__mutex_init(&data->mutex);
        hrm__condition_init(&data->condition);
    }
    hrm__mutex_lock(&data->mutex);
    while (data->busy) hrm__condition_wait(&data->condition, &data->mutex);
    data->busy = 1;
    hrm__mutex_unlock(&data->mutex);
#endif
}

static void hrm__dataset_end_turn(hrm_dataset *data)
{
    /* by whatever thread the turn was passed to */
#ifdef HRM_NO_THREADS
    (void)data;
#else
    hrm__mutex_lock(&data->mutex);
    data->busy = 0;
    hrm__condition_wake(&data->condition);
    hrm__mutex_unlock(&data->mutex);
#endif
}

static int64_t hrm__ints_at(const hrm__ints *a, int64_t i)
{
    const unsigned char *p = a->data;
    if (!p) return a->counts ? i : 0;
    p += (size_t)i * hrm_dtype_size(a->dtype);
    if (a->dtype == HRM_U8 || a->dtype == HRM_BOOL) return p[0];
    if (a->dtype == HRM_I8) return p[0] - 2 * (p[0] & 128);
    int16_t i16;
    int32_t i32;
    int64_t i64;
    if (a->dtype == HRM_I16) return memcpy(&i16, p, 2), i16;
    if (a->dtype == HRM_I32) return memcpy(&i32, p, 4), i32;
    return memcpy(&i64, p, 8), i64;
}

HRM_API void hrm_dataset_close(hrm_dataset *data)
{
    if (!data) return;
    hrm__dataset_take_turn(data); /* not while a batch is being gathered */
    for (int s = 0; data->sets && s < data->info.num_sets; s++)
        for (int f = 0; f < HRM__FIELD_COUNT; f++) {
            if (data->sets[s].file[f].map.data) hrm_npy_close(&data->sets[s].file[f]);
            hrm__strfree(data->allocator, data->sets[s].field[f].name);
        }
    for (int s = 0; data->sets && s < data->info.num_sets; s++)
        hrm__free(data->allocator, data->sets[s].kept, data->sets[s].kept_room, sizeof(int32_t));
    if (data->sets) hrm__free(data->allocator, data->sets, (size_t)data->info.num_sets, sizeof *data->sets);
    hrm__free(data->allocator, data->order, data->order_room, sizeof *data->order);
    hrm__free(data->allocator, data->choice, data->choice_room, sizeof *data->choice);
#ifndef HRM_NO_THREADS
    hrm__condition_destroy(&data->condition);
    hrm__mutex_destroy(&data->mutex);
#endif
    hrm__free(data->allocator, data, 1, sizeof *data);
}

HRM_API const hrm_dataset_info *hrm_dataset_describe(const hrm_dataset *data) { return &data->info; }

static hrm_status hrm__dataset_check_indices(const hrm__ints *a, int64_t end, const char *of, int64_t *longest)
{
    /* a [n + 1] must ascend from 0 to `end` -> *longest step */
    int64_t last = hrm__ints_at(a, 0);
    if (last != 0) return hrm__fail(HRM_ERR_RANGE, "%s: row 0 is %lld, expected 0", a->name, (long long)last);
    for (int64_t i = 1; i < a->count; i++) {
        int64_t v = hrm__ints_at(a, i);
        if (v <= last)
            return hrm__fail(HRM_ERR_RANGE, "%s: row %lld is %lld after %lld, expected it to ascend", a->name, (long long)i,
                             (long long)v, (long long)last);
        if (v - last > *longest) *longest = v - last;
        last = v;
    }
    if (last != end)
        return hrm__fail(HRM_ERR_RANGE, "%s: the last row, %lld, is %lld, expected the number of %s, %lld", a->name,
                         (long long)a->count - 1, (long long)last, of, (long long)end);
    return HRM_OK;
}

static hrm_status hrm__dataset_check_token(const hrm_dataset *data, const hrm__ints *a, int is_label, int64_t row,
                                           int64_t column, int64_t v)
{
    if (v >= 0 && v < data->info.vocab_size) return HRM_OK;
    if (is_label && (v == data->info.ignore_label_id || v == -100)) return HRM_OK;
    return hrm__fail(HRM_ERR_RANGE, "%s: row %lld, position %lld is %lld, expected 0 to %d, the vocabulary", a->name,
                     (long long)row, (long long)column, (long long)v, data->info.vocab_size - 1);
}

static hrm_status hrm__dataset_finish(hrm_dataset *data, const hrm_dataset_desc *desc)
{
    /* sets filled in -> totals, all checks but those of tokens, scratch memory */
    hrm_dataset_info *info = &data->info;
    int64_t longest = 0, most_groups = 0;
    for (int s = 0; s < info->num_sets; s++) {
        hrm__set *set = &data->sets[s];
        const hrm__ints *f = set->field;
        HRM__TRY(hrm__dataset_check_indices(&f[HRM__FIELD_puzzle_indices], set->examples, "examples", &longest));
        int64_t unused = 0;
        HRM__TRY(hrm__dataset_check_indices(&f[HRM__FIELD_group_indices], set->puzzles, "puzzles", &unused));
        for (int64_t i = 0; i < set->puzzles; i++) {
            int64_t id = hrm__ints_at(&f[HRM__FIELD_puzzle_identifiers], i);
            if (id < 0 || id >= info->num_puzzle_identifiers)
                return hrm__fail(HRM_ERR_RANGE, "%s: row %lld is %lld, expected an identifier of 0 to %d",
                                 f[HRM__FIELD_puzzle_identifiers].name, (long long)i, (long long)id,
                                 info->num_puzzle_identifiers - 1);
        }
        if (desc && desc->check_tokens)
            for (int k = HRM__FIELD_inputs; k <= HRM__FIELD_labels; k++)
                for (int64_t i = 0, n = set->examples * info->seq_len; i < n; i++)
                    HRM__TRY(hrm__dataset_check_token(data, &f[k], k == HRM__FIELD_labels, i / info->seq_len, i % info->seq_len,
                                                      hrm__ints_at(&f[k], i)));
        info->total_examples += set->examples;
        info->total_puzzles += set->puzzles;
        info->total_groups += set->groups;
        if (set->groups > most_groups) most_groups = set->groups;
    }
    void *p;
    HRM__TRY(hrm__alloc(data->allocator, &p, (size_t)most_groups, sizeof *data->order, "the order of the data set"));
    data->order = (int32_t *)p;
    data->order_room = (size_t)most_groups;
    HRM__TRY(hrm__alloc(data->allocator, &p, (size_t)longest, sizeof *data->choice, "the order of the data set"));
    data->choice = (int32_t *)p;
    data->choice_room = (size_t)longest;
    data->order_set = -1;
    return HRM_OK;
}

static hrm_status hrm__dataset_keep(hrm_dataset *data, const hrm_dataset_desc *desc)
{
    /* of a whole data set the groups that desc.only wants */
    hrm_dataset_info *info = &data->info;
    int64_t examples = 0;
    void *p;
    if (!desc || !desc->only) return HRM_OK;
    info->total_groups = info->total_puzzles = 0;
    for (int s = 0; s < info->num_sets; s++) {
        hrm__set *set = &data->sets[s];
        const hrm__ints *f = set->field;
        int64_t n = 0;
        HRM__TRY(hrm__alloc(data->allocator, &p, (size_t)set->groups, sizeof *set->kept, "groups of the data set"));
        set->kept = (int32_t *)p;
        set->kept_room = (size_t)set->groups;
        for (int64_t g = 0; g < set->groups; g++) {
            int64_t begin = hrm__ints_at(&f[HRM__FIELD_group_indices], g),
                    end = hrm__ints_at(&f[HRM__FIELD_group_indices], g + 1);
            int wanted = 0;
            for (int64_t i = begin; i < end && !wanted; i++) {
                int64_t id = hrm__ints_at(&f[HRM__FIELD_puzzle_identifiers], i);
                wanted = id < desc->num_only && desc->only[id];
            }
            if (!wanted) continue;
            set->kept[n++] = (int32_t)g;
            info->total_puzzles += end - begin;
            examples += hrm__ints_at(&f[HRM__FIELD_puzzle_indices], end) - hrm__ints_at(&f[HRM__FIELD_puzzle_indices], begin);
        }
        info->total_groups += set->groups = n;
    }
    if (info->total_groups == 0)
        return hrm__fail(HRM_ERR_ARGUMENT, "%s: no group has a puzzle of those asked for",
                         data->sets[0].field[HRM__FIELD_puzzle_identifiers].name);
    info->mean_puzzle_examples = (double)examples / (double)info->total_puzzles;
    return HRM_OK;
}

static hrm_status hrm__dataset_make(hrm_dataset **out, const hrm_dataset_desc *desc, int num_sets)
{
    void *p;
    const hrm_allocator *a = desc ? desc->allocator : NULL;
    HRM__TRY(hrm__alloc_zero(a, &p, 1, sizeof(hrm_dataset), "a data set"));
    hrm_dataset *data = (hrm_dataset *)p;
    data->allocator = a;
    data->info.num_sets = num_sets;
    data->serial = (int)hrm__atomic_add(&hrm__dataset_serials, 1);
#ifndef HRM_NO_THREADS
    data->forks = (int)hrm__load(&hrm__forks);
    hrm__mutex_init(&data->mutex);
    hrm__condition_init(&data->condition);
#endif
    hrm_status status = hrm__alloc_zero(a, &p, (size_t)num_sets, sizeof(hrm__set), "a data set");
    if (status == HRM_OK) {
        data->sets = (hrm__set *)p;
        *out = data;
    } else {
        hrm_dataset_close(data);
    }
    return status;
}

static hrm_status hrm__dataset_fill(hrm_dataset *data, const hrm_dataset_arrays *arrays)
{
    hrm_dataset_info *info = &data->info;
    hrm__set *set = &data->sets[0];
    if (arrays->seq_len < 1) return hrm__fail(HRM_ERR_ARGUMENT, "seq_len is %d, expected at least 1", arrays->seq_len);
    if (arrays->vocab_size < 2) return hrm__fail(HRM_ERR_ARGUMENT, "vocab_size is %d, expected at least 2", arrays->vocab_size);
    if (arrays->num_examples < 1 || arrays->num_examples > INT32_MAX)
        return hrm__fail(HRM_ERR_ARGUMENT, "num_examples is %lld, expected 1 to 2147483647", (long long)arrays->num_examples);
    if (!arrays->inputs || !arrays->labels)
        return hrm__fail(HRM_ERR_ARGUMENT, "%s is NULL", arrays->inputs ? "labels" : "inputs");
    set->examples = arrays->num_examples;
    set->puzzles = arrays->num_puzzles ? arrays->num_puzzles : set->examples;
    set->groups = arrays->num_groups ? arrays->num_groups : set->puzzles;
    const void *pointers[HRM__FIELD_COUNT];
    pointers[HRM__FIELD_inputs] = arrays->inputs;
    pointers[HRM__FIELD_labels] = arrays->labels;
    pointers[HRM__FIELD_puzzle_identifiers] = arrays->puzzle_identifiers;
    pointers[HRM__FIELD_puzzle_indices] = arrays->puzzle_indices;
    pointers[HRM__FIELD_group_indices] = arrays->group_indices;
    int64_t counts[HRM__FIELD_COUNT];
    counts[HRM__FIELD_inputs] = counts[HRM__FIELD_labels] = set->examples * arrays->seq_len;
    counts[HRM__FIELD_puzzle_identifiers] = set->puzzles;
    counts[HRM__FIELD_puzzle_indices] = set->puzzles + 1;
    counts[HRM__FIELD_group_indices] = set->groups + 1;
    static const char *const names[] = {
#define HRM__TEXT(name) "in memory: " #name,
        HRM__DATASET_FIELDS(HRM__TEXT)
#undef HRM__TEXT
    };
    for (int f = 0; f < HRM__FIELD_COUNT; f++) {
        hrm__ints *a = &set->field[f];
        a->data = (const unsigned char *)pointers[f];
        a->dtype = f <= HRM__FIELD_labels ? HRM_U8 : HRM_I32;
        a->counts = f >= HRM__FIELD_puzzle_indices;
        a->count = counts[f];
        HRM__TRY(hrm__strdup(data->allocator, &a->name, names[f]));
    }
    info->seq_len = arrays->seq_len;
    info->vocab_size = arrays->vocab_size;
    info->pad_id = arrays->pad_id;
    info->blank_identifier_id = arrays->blank_identifier_id;
    info->ignore_label_id = arrays->has_ignore_label ? arrays->ignore_label_id : INT_MIN;
    info->num_puzzle_identifiers = arrays->num_puzzle_identifiers;
    if (!info->num_puzzle_identifiers) {
        int64_t most = arrays->blank_identifier_id;
        for (int64_t i = 0; i < set->puzzles; i++) {
            int64_t id = hrm__ints_at(&set->field[HRM__FIELD_puzzle_identifiers], i);
            if (id > most) most = id;
        }
        if (most < INT_MAX) info->num_puzzle_identifiers = (int)most + 1;
    }
    if (info->pad_id < 0 || info->pad_id >= info->vocab_size)
        return hrm__fail(HRM_ERR_RANGE, "pad_id is %d, expected 0 to %d, the vocabulary", info->pad_id, info->vocab_size - 1);
    if (info->blank_identifier_id < 0 || info->blank_identifier_id >= info->num_puzzle_identifiers)
        return hrm__fail(HRM_ERR_RANGE, "blank_identifier_id is %d, expected 0 to %d", info->blank_identifier_id,
                         info->num_puzzle_identifiers - 1);
    info->mean_puzzle_examples = (double)set->examples / (double)set->puzzles;
    return HRM_OK;
}

HRM_API hrm_status hrm_dataset_from_arrays(hrm_dataset **out, const hrm_dataset_arrays *arrays, const hrm_dataset_desc *desc)
{
    hrm_dataset *data;
    HRM__TRY(hrm__dataset_make(&data, desc, 1));
    hrm_status status = hrm__dataset_fill(data, arrays);
    if (status == HRM_OK) status = hrm__dataset_finish(data, desc);
    if (status == HRM_OK) status = hrm__dataset_keep(data, desc);
    if (status == HRM_OK) *out = data;
    else hrm_dataset_close(data);
    return status;
}

static hrm_status hrm__dataset_path(const hrm_allocator *a, char **out, const char *dir, const char *split, const char *set,
                                    const char *field)
{
    /* DIR/SPLIT/SET__FIELD.npy, or DIR/SPLIT/dataset.json when set is NULL */
    size_t n = strlen(dir) + strlen(split) + (set ? strlen(set) + strlen(field) : 0) + 16;
    void *p;
    HRM__TRY(hrm__alloc(a, &p, n, 1, "a path"));
    if (set) snprintf((char *)p, n, "%s/%s/%s__%s.npy", dir, split, set, field);
    else snprintf((char *)p, n, "%s/%s/dataset.json", dir, split);
    hrm_status status = hrm__strdup(a, out, (const char *)p); /* strfree wants a block as long as its text */
    hrm__free(a, p, n, 1);
    return status;
}

static hrm_status hrm__dataset_open_set(hrm_dataset *data, hrm__set *set, const char *dir, const char *split, const char *name)
{
    static const char *const fields[] = {
#define HRM__TEXT(name) #name,
        HRM__DATASET_FIELDS(HRM__TEXT)
#undef HRM__TEXT
    };
    for (int f = 0; f < HRM__FIELD_COUNT; f++) {
        hrm__ints *a = &set->field[f];
        HRM__TRY(hrm__dataset_path(data->allocator, &a->name, dir, split, name, fields[f]));
        HRM__TRY(hrm_npy_open(&set->file[f], a->name));
        const hrm_tensor *t = &set->file[f].tensor;
        int ndim = f <= HRM__FIELD_labels ? 2 : 1;
        if (t->dtype != HRM_U8 && t->dtype != HRM_I8 && t->dtype != HRM_I16 && t->dtype != HRM_I32 && t->dtype != HRM_I64)
            return hrm__fail(HRM_ERR_FORMAT, "%s: elements of type %s, expected integers", a->name, hrm_dtype_name(t->dtype));
        if (t->ndim != ndim) return hrm__fail(HRM_ERR_SHAPE, "%s: %d dimensions, expected %d", a->name, t->ndim, ndim);
        if (ndim == 2 && t->shape[1] != data->info.seq_len)
            return hrm__fail(HRM_ERR_SHAPE, "%s: rows of %lld tokens, expected seq_len of dataset.json, %d", a->name,
                             (long long)t->shape[1], data->info.seq_len);
        if (t->shape[0] < (f < HRM__FIELD_puzzle_indices ? 1 : 2) || t->shape[0] > INT32_MAX)
            return hrm__fail(HRM_ERR_SHAPE, "%s: %lld rows", a->name, (long long)t->shape[0]);
        a->data = (const unsigned char *)t->data;
        a->dtype = t->dtype;
        a->count = t->shape[0];
    }
    hrm__ints *f = set->field;
    set->examples = f[HRM__FIELD_inputs].count;
    set->puzzles = f[HRM__FIELD_puzzle_indices].count - 1;
    set->groups = f[HRM__FIELD_group_indices].count - 1;
    if (f[HRM__FIELD_labels].count != set->examples)
        return hrm__fail(HRM_ERR_SHAPE, "%s: %lld rows, expected %lld as in inputs", f[HRM__FIELD_labels].name,
                         (long long)f[HRM__FIELD_labels].count, (long long)set->examples);
    if (f[HRM__FIELD_puzzle_identifiers].count != set->puzzles)
        return hrm__fail(HRM_ERR_SHAPE, "%s: %lld rows, expected %lld, one less than puzzle_indices",
                         f[HRM__FIELD_puzzle_identifiers].name, (long long)f[HRM__FIELD_puzzle_identifiers].count,
                         (long long)set->puzzles);
    return HRM_OK;
}

static hrm_status hrm__dataset_load(hrm_dataset **out, const hrm_json *root, const char *path, const char *dir,
                                    const char *split, const hrm_dataset_desc *desc)
{
    int64_t seq_len = 0, vocab = 0, ids = 0, pad = 0, blank = 0, ignore = INT_MIN, groups = 0;
    HRM__TRY(hrm_json_read_integer(root, "seq_len", 1, 1 << 24, 1, &seq_len, path));
    HRM__TRY(hrm_json_read_integer(root, "vocab_size", 2, 1 << 24, 1, &vocab, path));
    HRM__TRY(hrm_json_read_integer(root, "num_puzzle_identifiers", 1, INT_MAX, 1, &ids, path));
    HRM__TRY(hrm_json_read_integer(root, "pad_id", 0, vocab - 1, 1, &pad, path));
    HRM__TRY(hrm_json_read_integer(root, "blank_identifier_id", 0, ids - 1, 1, &blank, path));
    HRM__TRY(hrm_json_read_integer(root, "total_groups", 1, INT_MAX, 1, &groups, path));
    HRM__TRY(hrm_json_read_integer(root, "ignore_label_id", -INT_MAX, INT_MAX, 0, &ignore, path));
    double mean = 0;
    HRM__TRY(hrm_json_read_number(root, "mean_puzzle_examples", 1, 1e15, 1, &mean, path));
    const hrm_json *j, *sets = hrm_json_get(root, "sets");
    if (!sets || sets->type != HRM_JSON_ARRAY || sets->count < 1 || sets->count > 1024)
        return hrm__fail(HRM_ERR_FORMAT, "%s: \"sets\" is no list of 1 to 1024 names", path);
    for (j = sets->child; j; j = j->next)
        if (j->type != HRM_JSON_STRING || !j->string[0] || strpbrk(j->string, "/\\:"))
            return hrm__fail(HRM_ERR_FORMAT, "%s:%d: \"sets\" holds %s%s, expected the name of a set", path, j->line,
                             j->string ? j->string : "something else", j->string && !j->string[0] ? "\"\"" : "");

    hrm_dataset *data;
    HRM__TRY(hrm__dataset_make(&data, desc, (int)sets->count));
    hrm_dataset_info *info = &data->info;
    info->seq_len = (int)seq_len;
    info->vocab_size = (int)vocab;
    info->num_puzzle_identifiers = (int)ids;
    info->pad_id = (int)pad;
    info->blank_identifier_id = (int)blank;
    info->ignore_label_id = (int)ignore;
    info->mean_puzzle_examples = mean;
    hrm_status status = HRM_OK;
    int s = 0;
    for (j = sets->child; j && status == HRM_OK; j = j->next)
        status = hrm__dataset_open_set(data, &data->sets[s++], dir, split, j->string);
    if (status == HRM_OK) status = hrm__dataset_finish(data, desc);
    if (status == HRM_OK && info->total_groups != groups)
        status = hrm__fail(HRM_ERR_FORMAT, "%s: \"total_groups\" is %lld, but the sets have %lld", path, (long long)groups,
                           (long long)info->total_groups);
    double found = status == HRM_OK ? (double)info->total_examples / (double)info->total_puzzles : 0;
    if (status == HRM_OK && fabs(found - mean) > 1e-3 * found)
        status = hrm__fail(HRM_ERR_FORMAT, "%s: \"mean_puzzle_examples\" is %g, but the sets have %g", path, mean, found);
    if (status == HRM_OK) status = hrm__dataset_keep(data, desc);
    if (status == HRM_OK) *out = data;
    else hrm_dataset_close(data);
    return status;
}

static void hrm__dataset_identity(const char *path, uint64_t id[2])
{
    /* which file stands there; 0, 0 for none, or where the system does not tell */
    id[0] = id[1] = 0;
#ifdef _WIN32
    (void)path;
#else
    struct stat s;
    if (stat(path, &s) == 0) id[0] = (uint64_t)s.st_dev, id[1] = (uint64_t)s.st_ino;
#endif
}

HRM_API hrm_status hrm_dataset_open(hrm_dataset **data, const char *dir, const char *split, const hrm_dataset_desc *desc)
{
    const hrm_allocator *a = desc ? desc->allocator : NULL;
    if (!dir || !split) return hrm__fail(HRM_ERR_ARGUMENT, "%s is NULL", dir ? "split" : "dir");
    char *path;
    uint64_t before[2], after[2];
    HRM__TRY(hrm__dataset_path(a, &path, dir, split, NULL, NULL));
    hrm_status status;
    hrm__dataset_identity(path, before);
    for (int tries = 0;; tries++) {
        hrm_json_document *doc = NULL;
        hrm_dataset *found = NULL;
        status = hrm_json_open(&doc, path, a);
        if (status == HRM_OK) {
            status = hrm__dataset_load(&found, hrm_json_root(doc), path, dir, split, desc);
            hrm_json_close(doc);
        }
        hrm__dataset_identity(path, after);
        if (before[0] == after[0] && before[1] == after[1]) {
            if (status == HRM_OK) *data = found;
            break;
        }
        /* a build has put another set in its place: what we have may be of both, or miss files */
        hrm_dataset_close(found);
        memcpy(before, after, sizeof before);
        status = hrm__fail(HRM_ERR_IO, "%s: it was replaced again and again while it was opened", path);
        if (tries == 8) break;
    }
    hrm__strfree(a, path);
    return status;
}

/* Reading rows here and there maps more and more of the files' pages; they belong to the page cache, but count as resident. So
 * every so many rows a large file's are let go of, which costs little: the cache still has them. */
#if defined(__linux__) && !defined(HRM_NO_MMAP)
    #ifndef MADV_DONTNEED
        #define MADV_DONTNEED 4 /* with the declaration hidden by -std=c99 */
extern int madvise(void *, size_t, int);
    #endif
#endif
#define HRM__RELEASE_ROWS  128
#define HRM__RELEASE_BYTES ((size_t)256 << 20)

static void hrm__dataset_release(const hrm_dataset *data)
{
#if defined(MADV_DONTNEED) && !HRM__BIG_ENDIAN /* where pages were turned in place they would come back as the file has them */
    for (int s = 0; s < data->info.num_sets; s++)
        for (int f = HRM__FIELD_inputs; f <= HRM__FIELD_labels; f++) {
            const hrm_file_map *map = &data->sets[s].file[f].map;
            if (map->data && map->size >= HRM__RELEASE_BYTES)
                (void)madvise((void *)(uintptr_t)map->data, map->size, MADV_DONTNEED);
        }
#else
    (void)data;
#endif
}

static hrm_status hrm__dataset_row(const hrm_dataset *data, const hrm__set *set, int64_t example, int64_t puzzle,
                                   hrm_batch *batch, int row)
{
    /* one example, checked -> row `row` of the batch */
    int T = data->info.seq_len;
    for (int k = HRM__FIELD_inputs; k <= HRM__FIELD_labels; k++) {
        const hrm__ints *a = &set->field[k];
        int is_label = k == HRM__FIELD_labels;
        int32_t *dst = (is_label ? batch->labels : batch->inputs) + (size_t)row * (size_t)T;
        const unsigned char *bytes = a->data + (size_t)example * (size_t)T;
        for (int t = 0; t < T; t++) {
            int64_t v = a->dtype == HRM_U8 ? bytes[t] : hrm__ints_at(a, example * T + t);
            if (v < 0 || v >= data->info.vocab_size) HRM__TRY(hrm__dataset_check_token(data, a, is_label, example, t, v));
            dst[t] = is_label && v == data->info.ignore_label_id ? -100 : (int32_t)v;
        }
    }
    batch->puzzle_identifiers[row] = (int32_t)hrm__ints_at(&set->field[HRM__FIELD_puzzle_identifiers], puzzle);
    return HRM_OK;
}

static hrm_status hrm__dataset_check_batch(const hrm_batch *batch)
{
    if (!batch || batch->rows < 1)
        return hrm__fail(HRM_ERR_ARGUMENT, "a batch of %d rows, expected at least 1", batch ? batch->rows : 0);
    if (!batch->inputs || !batch->labels || !batch->puzzle_identifiers)
        return hrm__fail(HRM_ERR_ARGUMENT, "an array of the batch is NULL");
    return HRM_OK;
}

HRM_API hrm_status hrm_dataset_read(const hrm_dataset *data, int64_t first, hrm_batch *batch)
{
    HRM__TRY(hrm__dataset_check_batch(batch));
    if (first < 0) return hrm__fail(HRM_ERR_ARGUMENT, "the first example is %lld", (long long)first);
    if (first >= data->info.total_examples)
        return hrm__fail(HRM_END, "example %lld of %lld", (long long)first, (long long)data->info.total_examples);
    const hrm__set *set = data->sets;
    int64_t example = first, puzzle = -1;
    int row = 0;
    while (example >= set->examples) example -= set++->examples;
    for (; row < batch->rows && set < data->sets + data->info.num_sets; row++) {
        const hrm__ints *starts = &set->field[HRM__FIELD_puzzle_indices];
        if (puzzle < 0) { /* the last puzzle that starts at or before the example */
            int64_t end = set->puzzles;
            for (puzzle = 0; end - puzzle > 1;) {
                int64_t middle = puzzle + (end - puzzle) / 2;
                if (hrm__ints_at(starts, middle) <= example) puzzle = middle;
                else end = middle;
            }
        } else if (hrm__ints_at(starts, puzzle + 1) <= example) {
            puzzle++;
        }
        HRM__TRY(hrm__dataset_row(data, set, example, puzzle, batch, row));
        if (++example == set->examples) set++, example = 0, puzzle = -1;
    }
    if ((first + row) / HRM__RELEASE_ROWS != first / HRM__RELEASE_ROWS) hrm__dataset_release(data);
    batch->filled = row;
    for (; row < batch->rows; row++) {
        for (size_t t = 0, T = (size_t)data->info.seq_len; t < T; t++) {
            batch->inputs[(size_t)row * T + t] = data->info.pad_id;
            batch->labels[(size_t)row * T + t] = -100;
        }
        batch->puzzle_identifiers[row] = data->info.blank_identifier_id;
    }
    return HRM_OK;
}

/* Streams of random numbers: one a permutation, one a permutation for what is drawn from its groups, in which every group has
 * 2^24 blocks of its own. So a batch depends on its position alone, not on how one came there. */
static hrm_random hrm__dataset_random(uint64_t seed, unsigned tag, const hrm_position *p)
{
    return hrm_random_make(seed, (uint64_t)tag << 56 ^ p->iteration << 24 ^ p->epoch);
}

static const int32_t *hrm__dataset_order(hrm_dataset *data, const hrm_position *p, uint64_t seed, int set)
{
    /* -> the permutation of the set's groups in this epoch */
    if (data->order_set != set || data->order_seed != seed || data->order_iteration != p->iteration ||
        data->order_epoch != p->epoch) {
        hrm_random r = hrm__dataset_random(seed, 0xD0, p);
        uint32_t n = (uint32_t)data->sets[set].groups;
        const int32_t *kept = data->sets[set].kept;
        for (uint32_t i = 0; i < n; i++) data->order[i] = kept ? kept[i] : (int32_t)i;
        hrm_random_shuffle(&r, data->order, n);
        data->order_set = set;
        data->order_seed = seed;
        data->order_iteration = p->iteration;
        data->order_epoch = p->epoch;
    }
    return data->order;
}

static hrm_status hrm__dataset_gather(hrm_dataset *data, hrm_position *position, uint64_t seed, int epochs_per_iter, int rows,
                                      int first, hrm_batch *batch, int *new_iteration)
{
    /* Of the next `rows` those from `first` on that the batch has room for. Sets come one after another, each with its
     * epochs_per_iter permutations: epoch / epochs_per_iter is the set. */
    int only_position = batch && !batch->inputs && !batch->labels && !batch->puzzle_identifiers;
    if (!only_position || batch->rows < 1) HRM__TRY(hrm__dataset_check_batch(batch));
    hrm_position p = *position;
    uint64_t per_set = epochs_per_iter > 0 ? (uint64_t)epochs_per_iter : 1, epochs = per_set * (uint64_t)data->info.num_sets;
    if (p.epoch >= epochs || epochs >= 1u << 24 || p.group > (uint64_t)data->sets[p.epoch / per_set].groups)
        return hrm__fail(HRM_ERR_RANGE, "position: epoch %llu of %llu, group %llu does not exist in this data set",
                         (unsigned long long)p.epoch, (unsigned long long)epochs, (unsigned long long)p.group);
    int filled = 0;
    while (filled < rows) {
        int s = (int)(p.epoch / per_set);
        const hrm__set *set = &data->sets[s];
        if (p.group == (uint64_t)set->groups) {
            p.group = 0;
            if (++p.epoch % per_set == 0) filled = 0; /* the set's last epoch: what does not fill a batch is dropped */
            if (p.epoch == epochs) {
                p.epoch = p.draws = 0;
                if (++p.iteration - position->iteration > 2)
                    return hrm__fail(
                        HRM_ERR_ARGUMENT,
                        "an iteration of %llu epochs does not fill a batch of %d rows: make the batch smaller or "
                        "epochs_per_iter larger",
                        (unsigned long long)per_set, rows);
            }
            continue;
        }
        int64_t group = hrm__dataset_order(data, &p, seed, s)[p.group];
        hrm_random r = hrm__dataset_random(seed, 0xD1, &p);
        r.counter = p.group << 24;
        int64_t begin = hrm__ints_at(&set->field[HRM__FIELD_group_indices], group);
        int64_t puzzle =
            begin + hrm_random_below(&r, (uint32_t)(hrm__ints_at(&set->field[HRM__FIELD_group_indices], group + 1) - begin));
        int64_t start = hrm__ints_at(&set->field[HRM__FIELD_puzzle_indices], puzzle);
        uint32_t size = (uint32_t)(hrm__ints_at(&set->field[HRM__FIELD_puzzle_indices], puzzle + 1) - start);
        if (only_position) { /* which rows they are does not matter to it */
            filled += (int)(size < (uint32_t)(rows - filled) ? size : (uint32_t)(rows - filled));
            size = 0;
        }
        for (uint32_t i = 0; i < size; i++) data->choice[i] = (int32_t)i;
        for (uint32_t i = 0; i < size && filled < rows; i++, filled++) { /* a shuffle's first steps: no example comes twice */
            uint32_t j = i + hrm_random_below(&r, size - i);
            int32_t chosen = data->choice[j];
            data->choice[j] = data->choice[i];
            if (filled < first || filled >= first + batch->rows) continue;
            HRM__TRY(hrm__dataset_row(data, set, start + chosen, puzzle, batch, filled - first));
            if (++data->rows_read % HRM__RELEASE_ROWS == 0) hrm__dataset_release(data);
        }
        p.group++;
        p.draws++;
    }
    if (new_iteration) *new_iteration = p.iteration != position->iteration;
    batch->filled = batch->rows;
    *position = p;
    return HRM_OK;
}

HRM_API hrm_status hrm_dataset_next(hrm_dataset *data, hrm_position *position, uint64_t seed, int epochs_per_iter,
                                    hrm_batch *batch, int *new_iteration)
{
    hrm__dataset_take_turn(data);
    hrm_status status =
        hrm__dataset_gather(data, position, seed, epochs_per_iter, batch ? batch->rows : 0, 0, batch, new_iteration);
    hrm__dataset_end_turn(data);
    return status;
}

/* ==================================================================================================== >>checkpoint ========
 * Our files are safetensors whose metadata hold the configuration as JSON under "hrm.config", with the public code's keys;
 * a training state adds "hrm.trainer" and the tensors optimizer.*, carry.*. Files of the public code have the configuration
 * in the all_config.yaml beside them. The same keys serve both.
 */
enum {
#define HRM__INDEX(a, kind, key, field, ...) HRM__AT_##field,
    HRM_MODEL_KEYS(HRM__INDEX, 0)
#undef HRM__INDEX
    HRM__CONFIG_COUNT,
    HRM__FAMILY = HRM__AT_mlp_t, /* the first that HRM as published has not */
    HRM__CONFIG_ROOM = 64 * HRM__CONFIG_COUNT
};
static const char *const hrm__config_keys[] = { /* as hrm__model_keys, with the "loss." of those nested there */
#define HRM__CONFIG_KEY(a, kind, key, ...) key,
    HRM_MODEL_KEYS(HRM__CONFIG_KEY, 0)
#undef HRM__CONFIG_KEY
};

static int hrm__config_nested(int field) { return strncmp(hrm__config_keys[field], "loss.", 5) == 0; }

static int hrm__config_rule(int field)
{
    /* of training only: no weight depends on it */
    return field == HRM__AT_halt_max_steps || field == HRM__AT_halt_exploration_prob ||
           (field >= HRM__FAMILY && field != HRM__AT_mlp_t && field != HRM__AT_mlp_norm && field != HRM__AT_puzzle_emb_len &&
            field != HRM__AT_no_ACT_continue);
}

/* What is known of a model while it is put together: each value, and in `sources` who told it. */
typedef enum hrm__source {
    HRM__FROM_NOBODY,
    HRM__FROM_FILE,
    HRM__FROM_BESIDE,
    HRM__FROM_TENSORS,
    HRM__FROM_DESC,
    HRM__FROM_DEFAULT
} hrm__source;
typedef struct hrm__config { double value[HRM__CONFIG_COUNT]; hrm_sources sources; } hrm__config;

static void hrm__config_put(hrm_model_desc *d, const hrm__config *c)
{
    for (int i = 0; i < HRM__CONFIG_COUNT; i++) {
        const hrm__key *k = &hrm__model_keys[i];
        int none = c->sources.from[i] && c->sources.from[i] != HRM__FROM_DEFAULT && c->value[i] == 0;
        hrm__key_set(d, k, c->value[i]);
        if (k->zero != k->at) memcpy((char *)d + k->zero, &none, sizeof none);
    }
    d->arch = HRM_ARCH_HRM; /* all is said */
}

static const char *hrm__decimal(char out[32], double value)
{
    /* of a float: the fewest digits that tell it, with a point, whatever the locale's sign is */
    char text[32], *o = out;
    for (int digits = 6; digits == 6 || (digits < 10 && (float)strtod(text, NULL) != (float)value); digits++)
        snprintf(text, sizeof text, "%.*g", digits, value);
    for (const char *c = text; *c; c++) {
        int plain = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
        if (plain) *o++ = *c;
        else if (o == out || o[-1] != '.') *o++ = '.'; /* of several bytes in some locales */
    }
    *o = 0;
    return out;
}

static const char *hrm__config_value(char out[32], int field, double value)
{
    /* as a configuration has it, without the quotes of a word */
    const hrm__key *k = &hrm__model_keys[field];
    const char *word;
    if (k->kind == HRM__FLAG) return value > 0 ? "true" : "false";
    if (k->kind == HRM__FLOAT) return hrm__decimal(out, value);
    if (k->kind == HRM__INT) {
        snprintf(out, 32, "%.0f", value);
        return out;
    }
    size_t n = hrm__key_word(k, (int)value, &word);
    snprintf(out, 32, "%.*s", (int)n, word);
    return out;
}

static int hrm__config_stands(const hrm_model_desc *c, int field)
{
    /* whether a configuration names it: of the family's what is not HRM's; a reader may take one network for the public TRM
     * code's, whose defaults differ */
    const hrm__key *k = &hrm__model_keys[field];
    int said, trm = c->one_network && (field == HRM__AT_puzzle_emb_len || field == HRM__AT_no_ACT_continue);
    return field < HRM__FAMILY || trm || (float)hrm__key_get(c, k, &said) != (float)k->standard;
}

static void hrm__config_text(char out[HRM__CONFIG_ROOM], const hrm_model_desc *c)
{
    /* of a resolved description */
    const size_t size = HRM__CONFIG_ROOM;
    char number[32];
    int said, n = snprintf(out, size, "{");
    for (int nested = 0; nested < 2; nested++) {
        if (nested) n += snprintf(out + n, size - (size_t)n, "\"loss\":{");
        for (int i = 0; i < HRM__CONFIG_COUNT; i++) {
            const hrm__key *k = &hrm__model_keys[i];
            if (hrm__config_nested(i) != nested || !hrm__config_stands(c, i)) continue;
            const char *value = hrm__config_value(number, i, hrm__key_get(c, k, &said));
            const char *quote = k->kind == HRM__WORD ? "\"" : "";
            n += snprintf(out + n, size - (size_t)n, "\"%s\":%s%s%s,", k->name, quote, value, quote);
        }
    }
    snprintf(out + n - 1, size - (size_t)n + 1, "}}"); /* for the last comma */
}

static hrm_status hrm__config_number(const hrm_json *object, const char *key, double low, double high, const char *file,
                                     double *value, int *found)
{
    const hrm_json *v = hrm_json_get(object, key);
    *found = v != NULL && v->type != HRM_JSON_NULL;
    if (!*found) return HRM_OK;
    if (v->type != HRM_JSON_NUMBER || !(v->number >= low && v->number <= high))
        return hrm__fail(HRM_ERR_FORMAT, "%s: %s is \"%.80s\", expected a number from %g to %g", file, key,
                         v->string ? v->string : "?", low, high);
    *value = v->number;
    return HRM_OK;
}

static size_t hrm__distance(const char *a, const char *b)
{
    /* letters to insert, delete or change; of long words 99 */
    size_t row[40], n = strlen(a), m = strlen(b);
    if (n >= HRM__COUNT(row) || m >= HRM__COUNT(row)) return 99;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

static const hrm_json *hrm__config_unwrap(const hrm_json *v)
{
    /* Weights & Biases writes {key: {desc: …, value: …}} */
    const hrm_json *value = hrm_json_get(v, "value");
    return value && v->count == 1 + (size_t)(hrm_json_get(v, "desc") != NULL) ? value : v;
}

static hrm_status hrm__config_unknown(const hrm_json *v, const char *group, const char *file)
{
    const char *nearest = hrm__model_keys[0].name;
    for (int i = 1; i < HRM__CONFIG_COUNT; i++)
        if (hrm__distance(v->key, hrm__model_keys[i].name) < hrm__distance(v->key, nearest)) nearest = hrm__model_keys[i].name;
    return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: line %d: this version knows no key %s%.80s; the nearest is %s", file, v->line,
                     group, v->key, nearest);
}

static hrm_status hrm__config_take(hrm__config *c, const hrm_json *v, int field, const char *group, const char *file,
                                   hrm__source source)
{
    /* the value of one key */
    const hrm__key *k = &hrm__model_keys[field];
    const char *key = k->name, *text = v->string ? v->string : hrm__json_type_name(v->type), *word;
    double low = k->zero != k->at ? 0 : k->low, high = k->high, x = v->number;
    size_t n = 0;
    if (v->type == HRM_JSON_NULL) return HRM_OK;
    switch (k->kind) {
    case HRM__FLAG:
        if (v->type != HRM_JSON_BOOL && !(v->type == HRM_JSON_NUMBER && (strcmp(text, "0") == 0 || strcmp(text, "1") == 0)))
            return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: %s%s is \"%.80s\", expected true or false", file, v->line, group,
                             key, text);
        break;
    case HRM__WORD:
        for (x = 0; (n = hrm__key_word(k, (int)x, &word)) > 0 &&
                    !(v->type == HRM_JSON_STRING && strlen(v->string) == n && memcmp(v->string, word, n) == 0);)
            x++;
        if (n == 0)
            return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: %s%s is \"%.80s\", expected one of %s", file, v->line, group, key,
                             text, k->words);
        break;
    case HRM__INT:
        if (v->type != HRM_JSON_NUMBER || !(x >= low && x <= high) || x > floor(x))
            return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: %s%s is \"%.80s\", expected a whole number from %.0f to %.0f", file,
                             v->line, group, key, text, low, high);
        break;
    default:
        if (v->type != HRM_JSON_NUMBER || !(x >= low && x <= high))
            return hrm__fail(HRM_ERR_FORMAT, "%s: line %d: %s%s is \"%.80s\", expected a number from %g to %g", file, v->line,
                             group, key, text, low, high);
        x = (double)(float)x;
    }
    c->value[field] = x;
    c->sources.from[field] = (unsigned char)source;
    return HRM_OK;
}

static int hrm__config_field(const char *key)
{
    int i = 0;
    while (i < HRM__CONFIG_COUNT && strcmp(hrm__model_keys[i].name, key) != 0) i++;
    return i; /* HRM__CONFIG_COUNT: none of that name */
}

static hrm_status hrm__config_class(const hrm_json *v, const char *group, const char *file, int *trm)
{
    /* which of the public codes' classes it is: FILE@CLASS, the file behind its folders */
    static const char *const tiny = "trm@TinyRecursiveReasoningModel_ACTV1";
    const char *at = v->type == HRM_JSON_STRING ? strstr(v->string, tiny) : NULL;
    *trm = at && (at == v->string || at[-1] == '.' || at[-1] == '/');
    if (v->type != HRM_JSON_STRING || !strchr(v->string, '@') || *trm || strstr(v->string, "hrm_act_v1") ||
        strstr(v->string, "HierarchicalReasoningModel_ACTV1"))
        return HRM_OK;
    return hrm__fail(HRM_ERR_UNSUPPORTED,
                     "%s: line %d: %sname is \"%.100s\"; this version has hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1 and "
                     "recursive_reasoning.%s",
                     file, v->line, group, v->string, tiny);
}

static void hrm__config_trm(hrm__config *c, hrm__source source)
{
    /* what the public TRM code's class means where its configuration says nothing: it looks at no H_layers; of its blocks the
     * tensors tell */
    for (int i = 0; i < HRM__CONFIG_COUNT; i++) {
        double value;
        if (i == HRM__AT_L_layers || (c->sources.from[i] && i != HRM__AT_H_layers) ||
            !hrm__arch_value(HRM_ARCH_TRM, &hrm__model_keys[i], &value))
            continue;
        c->value[i] = value;
        c->sources.from[i] = (unsigned char)source;
    }
}

static hrm_status hrm__config_read(hrm__config *c, const hrm_json *arch, const char *group, int alone, const char *file,
                                   hrm__source source)
{
    /* every key of the object; `alone`: nothing but the model's keys is expected there */
    static const char *const others = /* of the public codes' training, of ours, of other libraries' files */
        "data_path global_batch_size epochs eval_interval checkpoint_every_eval lr lr_min_ratio lr_warmup_steps beta1 beta2 "
        "weight_decay puzzle_emb_lr puzzle_emb_weight_decay seed checkpoint_path eval_save_outputs project_name run_name "
        "load_checkpoint data_paths data_paths_test evaluators min_eval_interval ema ema_rate ema_from freeze_weights "
        "optimizer adam_eps muon_lr muon_momentum muon_weight_decay muon_ns_steps grad_clip grad_accumulation "
        "activation_checkpointing curriculum_steps exploration_steps loss_scale loss_scale_growth_interval "
        "architectures model_type torch_dtype dtype transformers_version auto_map library_name license tags wandb_version "
        "hydra defaults";
    int trm = 0;
    for (const hrm_json *m = arch ? arch->child : NULL; m; m = m->next) {
        const hrm_json *v = hrm__config_unwrap(m);
        int field = hrm__config_field(m->key);
        if (field < HRM__CONFIG_COUNT) {
            HRM__TRY(hrm__config_take(c, v, field, group, file, source));
        } else if (strcmp(m->key, "loss") == 0 && (v->type == HRM_JSON_OBJECT || v->type == HRM_JSON_NULL)) {
            for (const hrm_json *l = v->child; l; l = l->next) {
                char inner[32];
                snprintf(inner, sizeof inner, "%sloss.", group);
                field = hrm__config_field(l->key);
                if (field < HRM__CONFIG_COUNT && hrm__config_nested(field))
                    HRM__TRY(hrm__config_take(c, hrm__config_unwrap(l), field, inner, file, source));
                else if (strcmp(l->key, "name") != 0) return hrm__config_unknown(l, inner, file);
            }
        } else if (strcmp(m->key, "name") == 0) {
            HRM__TRY(hrm__config_class(v, group, file, &trm));
        } else if (!hrm__word_in(m->key, "forward_dtype cycles_dtype batch_size") &&
                   (alone || !(*m->key == '_' || hrm__word_in(m->key, others)))) {
            return hrm__config_unknown(m, group, file);
        }
    }
    if (trm) hrm__config_trm(c, source);
    return HRM_OK;
}

static int hrm__config_is_ours(const hrm_json *object)
{
    /* any configuration may lie beside a file; this one is meant when it says what only such a model has */
    const hrm_json *m = object && object->type == HRM_JSON_OBJECT ? object->child : NULL;
    while (m && !hrm__word_in(m->key, "H_cycles L_cycles H_layers L_layers halt_max_steps")) m = m->next;
    return m != NULL;
}

static hrm_status hrm__config_beside(hrm__config *c, const hrm_json *root, const char *file, int *found)
{
    /* under arch, as the public code has it, under config, or at the top */
    const hrm_json *arch = hrm__config_unwrap(hrm_json_get(root, "arch")),
                   *config = hrm__config_unwrap(hrm_json_get(root, "config"));
    int under_arch = arch && arch->type == HRM_JSON_OBJECT;
    *found = 1;
    if (!under_arch && !hrm__config_is_ours(config)) {
        *found = hrm__config_is_ours(root);
        return *found ? hrm__config_read(c, root, "", 0, file, HRM__FROM_BESIDE) : HRM_OK;
    }
    HRM__TRY(hrm__config_read(c, under_arch ? arch : config, under_arch ? "arch." : "config.", 1, file, HRM__FROM_BESIDE));
    for (const hrm_json *m = root->child; m; m = m->next) /* what a run's data told it */
        if (hrm__word_in(m->key, "seq_len vocab_size num_puzzle_identifiers"))
            HRM__TRY(hrm__config_take(c, hrm__config_unwrap(m), hrm__config_field(m->key), "", file, HRM__FROM_BESIDE));
    return HRM_OK;
}

static int hrm__path_stem(const char *path, int *folder)
{
    /* -> the length of the path without its name's ending; *folder: of its folder with the slash */
    const char *slash = strrchr(path, '/'), *back = strrchr(path, '\\');
    if (back && (!slash || back > slash)) slash = back;
    *folder = slash ? (int)hrm__min_i64(slash + 1 - path, 4096) : 0;
    const char *dot = strrchr(path + *folder, '.');
    return (int)hrm__min_i64(dot && dot > path + *folder ? dot - path : (int64_t)strlen(path), 4096);
}

static hrm_status hrm__config_neighbour(hrm__config *c, const char *path, const hrm_allocator *a)
{
    /* the first configuration beside the file: its name with .yaml, all_config.yaml, config.json */
    int folder, stem = hrm__path_stem(path, &folder);
    for (int k = 0, found = 0; k < 4 && !found; k++) {
        char *beside = c->sources.beside;
        int n = k == 0   ? snprintf(beside, sizeof c->sources.beside, "%.*s.yaml", stem, path)
                : k == 1 ? snprintf(beside, sizeof c->sources.beside, "%s.yaml", path)
                         : snprintf(beside, sizeof c->sources.beside, "%.*s%s", folder, path,
                                    k == 2 ? "all_config.yaml" : "config.json");
        FILE *there = n > 0 && (size_t)n < sizeof c->sources.beside && strcmp(beside, path) != 0 ? fopen(beside, "rb") : NULL;
        if (there) {
            hrm_json_document *doc;
            fclose(there);
            HRM__TRY(hrm_json_open(&doc, beside, a));
            hrm_status status = hrm_json_expand(doc, 1);
            if (status == HRM_OK) status = hrm__config_beside(c, hrm_json_root(doc), beside, &found);
            hrm_json_close(doc);
            HRM__TRY(status);
        }
        if (!found) *beside = 0;
    }
    return HRM_OK;
}

#define HRM__FULL_NAME (HRM__TORCH_NAME + 80)

static const char *hrm__full_name(char out[HRM__FULL_NAME], const hrm_tensors *file, const char *name)
{
    /* a model's name behind whatever this file puts before its names */
    snprintf(out, HRM__FULL_NAME, "%.*s%s", (int)file->prefix_length, file->prefix, name);
    return out;
}

static const hrm_tensor *hrm__find_public(const hrm_tensors *file, const char *name)
{
    char full[HRM__FULL_NAME];
    return hrm_tensors_find(file, hrm__full_name(full, file, name));
}

static hrm_status hrm__missing(const hrm_tensors *file, const char *path, const char *name)
{
    char full[HRM__FULL_NAME];
    return hrm__tensors_missing(file, path, hrm__full_name(full, file, name));
}

static int hrm__tensor_dim(const hrm_tensors *file, const char *name, int dim)
{
    const hrm_tensor *t = hrm__find_public(file, name);
    return t && dim < t->ndim && t->shape[dim] > 0 && t->shape[dim] < INT_MAX ? (int)t->shape[dim] : 0;
}

static const char *hrm__source_text(const hrm_sources *s, int from)
{
    static const char *const texts[] = {NULL, "its own metadata", NULL, "its tensors", "the description", "the default"};
    return from == HRM__FROM_BESIDE ? s->beside : texts[from];
}

HRM_API const char *hrm_sources_of(const hrm_sources *s, const char *key)
{
    if (key) {
        int field = hrm__config_field(key);
        return field < HRM__CONFIG_COUNT ? hrm__source_text(s, s->from[field]) : NULL;
    }
    for (int i = 0; i < HRM__CONFIG_COUNT; i++)
        if (s->from[i] == HRM__FROM_FILE) return hrm__source_text(s, HRM__FROM_FILE);
    return *s->beside ? s->beside : NULL;
}

static hrm_status hrm__config_agree(hrm__config *c, const char *path, int field, double value, hrm__source source)
{
    /* another word on a field: the first, or the same */
    char one[32], two[32];
    double had = c->value[field];
    int from = c->sources.from[field];
    if (from && had != value)
        return hrm__fail(HRM_ERR_SHAPE, "%s: %s is %s (%s), but %s (%s)", path, hrm__model_keys[field].name,
                         hrm__config_value(one, field, had), hrm__source_text(&c->sources, from),
                         hrm__config_value(two, field, value), hrm__source_text(&c->sources, (int)source));
    c->value[field] = value;
    if (!from) c->sources.from[field] = (unsigned char)source;
    return HRM_OK;
}

static hrm_status hrm__config_positions(hrm__config *c, const char *path, int positions, int hidden, int ndim)
{
    /* of a tensor with all of them, the puzzle's own and seq_len after; 0: there is none */
    int prefix = ndim / hidden + (ndim % hidden != 0), least = prefix;
    if (!positions) return HRM_OK;
    if (ndim && c->sources.from[HRM__AT_puzzle_emb_len] && c->value[HRM__AT_puzzle_emb_len] > 0) {
        prefix = (int)c->value[HRM__AT_puzzle_emb_len];
    } else if (ndim && !c->sources.from[HRM__AT_puzzle_emb_len] && c->sources.from[HRM__AT_seq_len]) {
        double rest = positions - c->value[HRM__AT_seq_len]; /* as many as it fills, or more */
        if (rest > least) {
            prefix = (int)rest;
            HRM__TRY(hrm__config_agree(c, path, HRM__AT_puzzle_emb_len, rest, HRM__FROM_TENSORS));
        }
    }
    if (positions <= prefix)
        return hrm__fail(HRM_ERR_SHAPE, "%s: %d positions, of which the puzzle's embedding takes %d", path, positions, prefix);
    return hrm__config_agree(c, path, HRM__AT_seq_len, positions - prefix, HRM__FROM_TENSORS);
}

static hrm_status hrm__config_tensors(hrm__config *c, const hrm_tensors *file, const char *path)
{
    /* what the shapes say */
    int hidden = hrm__tensor_dim(file, "inner.embed_tokens.embedding_weight", 1),
        vocab = hrm__tensor_dim(file, "inner.embed_tokens.embedding_weight", 0);
    int ndim = hrm__tensor_dim(file, "inner.puzzle_emb.weights", 1), ids = hrm__tensor_dim(file, "inner.puzzle_emb.weights", 0);
    int learned = hrm__tensor_dim(file, "inner.embed_pos.embedding_weight", 0),
        mixed = hrm__tensor_dim(file, "inner.L_level.layers.0.mlp_t.gate_up_proj.weight", 1),
        width = hrm__tensor_dim(file, "inner.L_level.layers.0.mlp.down_proj.weight", 1);
    if (file->num_models > 1)
        return hrm__fail(HRM_ERR_UNSUPPORTED, "%s: it holds several models, under \"%.*s\" and elsewhere; save one of them",
                         path, (int)hrm__min_i64((int64_t)file->prefix_length, 100), file->prefix);
    if (!hidden || !vocab)
        return hrm__fail(HRM_ERR_FORMAT, "%s: no tensor inner.embed_tokens.embedding_weight [V,D]; not a model of this kind",
                         path);
    HRM__TRY(hrm__config_agree(c, path, HRM__AT_hidden_size, hidden, HRM__FROM_TENSORS));
    HRM__TRY(hrm__config_agree(c, path, HRM__AT_vocab_size, vocab, HRM__FROM_TENSORS));
    HRM__TRY(hrm__config_agree(c, path, HRM__AT_puzzle_emb_ndim, ndim, HRM__FROM_TENSORS));
    if (ids) HRM__TRY(hrm__config_agree(c, path, HRM__AT_num_puzzle_identifiers, ids, HRM__FROM_TENSORS));
    for (int level = 0; level < 2; level++) {
        char name[64];
        int layers = -1;
        do snprintf(name, sizeof name, "inner.%c_level.layers.%d.mlp.down_proj.weight", "HL"[level], ++layers);
        while (hrm__find_public(file, name));
        if (!layers && level) return hrm__missing(file, path, name);
        HRM__TRY(hrm__config_agree(c, path, level ? HRM__AT_L_layers : HRM__AT_H_layers, layers, HRM__FROM_TENSORS));
    }
    HRM__TRY(hrm__config_agree(c, path, HRM__AT_mlp_t, mixed > 0, HRM__FROM_TENSORS));
    int none = (int)c->value[HRM__AT_pos_encodings] == HRM_NO_POSITIONS; /* which no tensor tells from rope */
    HRM__TRY(hrm__config_agree(c, path, HRM__AT_pos_encodings, learned ? HRM_LEARNED : none ? HRM_NO_POSITIONS : HRM_ROPE,
                               HRM__FROM_TENSORS));
    HRM__TRY(hrm__config_positions(c, path, learned, hidden, ndim));
    HRM__TRY(hrm__config_positions(c, path, mixed, hidden, ndim));
    double expansion = c->value[HRM__AT_expansion];
    if (c->sources.from[HRM__AT_expansion]) {
        if (hrm__swiglu_width(expansion, hidden) != width)
            return hrm__fail(HRM_ERR_SHAPE,
                             "%s: expansion is %g (%s), which makes the SwiGLU %.0f wide, but it is %d wide (its tensors)",
                             path, expansion, hrm__source_text(&c->sources, c->sources.from[HRM__AT_expansion]),
                             hrm__swiglu_width(expansion, hidden), width);
    } else { /* many expansions make one width; the paper's, if it is one of them */
        c->value[HRM__AT_expansion] = hrm__swiglu_width(4, hidden) == width ? 4 : (double)(float)(width * 1.5 / hidden);
        c->sources.from[HRM__AT_expansion] = HRM__FROM_TENSORS;
    }
    return HRM_OK;
}

static hrm_status hrm__config_of(hrm__config *c, const hrm_tensors *file, const char *path, const hrm_model_desc *desc)
{
    /* the file's own configuration, else one beside it; then `desc`; then the tensors */
    const char *text = hrm_tensors_metadata(file, "hrm.config");
    memset(c, 0, sizeof *c);
    if (text) {
        hrm_json_document *doc;
        char name[1024];
        snprintf(name, sizeof name, "%.900s, hrm.config in its metadata", path);
        HRM__TRY(hrm_json_parse(&doc, text, strlen(text), name, desc->allocator));
        hrm_status status = hrm__config_read(c, hrm_json_root(doc), "", 1, name, HRM__FROM_FILE);
        hrm_json_close(doc);
        HRM__TRY(status);
        static const int family[] = { /* what is not in ours is the default */
#define HRM__AT(a, kind, key, field, ...) HRM__AT_##field,
            HRM_FAMILY_KEYS(HRM__AT, 0)
#undef HRM__AT
        };
        for (size_t i = 0; i < HRM__COUNT(family); i++) {
            if (c->sources.from[family[i]] || hrm__config_rule(family[i])) continue;
            c->sources.from[family[i]] = HRM__FROM_FILE;
            c->value[family[i]] = hrm__model_keys[family[i]].standard;
        }
    } else {
        HRM__TRY(hrm__config_neighbour(c, path, desc->allocator));
    }
    hrm_model_desc all = *desc;
    HRM__TRY(hrm__keys_arch(&all, desc->arch, hrm__model_keys, HRM__COUNT(hrm__model_keys)));
    for (int i = 0; i < HRM__CONFIG_COUNT; i++) {
        int said, itself;
        double value = hrm__key_get(&all, &hrm__model_keys[i], &said);
        hrm__key_get(desc, &hrm__model_keys[i], &itself);
        if (hrm__model_keys[i].kind == HRM__FLAG) value = value > 0;
        if (!said || (!itself && c->sources.from[i] && hrm__config_rule(i))) continue;
        if (hrm__config_rule(i)) c->sources.from[i] = 0; /* the file's counts only where `desc` is silent */
        HRM__TRY(hrm__config_agree(c, path, i, value, HRM__FROM_DESC));
    }
    HRM__TRY(hrm__config_tensors(c, file, path));
    for (int i = 0; i < HRM__CONFIG_COUNT; i++) {
        int required = i == HRM__AT_seq_len || i == HRM__AT_num_heads || i == HRM__AT_H_cycles || i == HRM__AT_L_cycles ||
                       i == HRM__AT_halt_max_steps;
        if (!c->sources.from[i] && !required) c->sources.from[i] = HRM__FROM_DEFAULT; /* which every published file has */
    }
    return HRM_OK;
}

static hrm_status hrm__fail_in(const char *path, hrm_status status)
{
    /* the error just made, with the file's name before it */
    char message[256];
    snprintf(message, sizeof message, "%.255s", hrm_error_message());
    return hrm__fail(status, "%s: %s", path, message);
}

static hrm_status hrm__checkpoint_merge(hrm_model_desc *out, hrm_sources *sources, const hrm_tensors *file, const char *path,
                                        const hrm_model_desc *desc)
{
    hrm__config c;
    hrm_model_desc merged = *desc; /* where and how it runs */
    HRM__TRY(hrm__config_of(&c, file, path, desc));
    hrm__config_put(&merged, &c);
    /* where the file's curriculum began says nothing to one who asks for less than that */
    if (merged.halt_max_steps_start > merged.halt_max_steps && !desc->halt_max_steps_start) merged.halt_max_steps_start = 0;
    *out = merged;
    if (sources) *sources = c.sources;
    return HRM_OK;
}

HRM_API hrm_status hrm_checkpoint_merge(hrm_model_desc *merged, hrm_sources *sources, const char *path,
                                        const hrm_model_desc *desc)
{
    hrm_tensors *file;
    hrm_model_desc none;
    memset(&none, 0, sizeof none);
    if (!desc) desc = &none;
    HRM__TRY(hrm_tensors_open(&file, path, desc->allocator));
    hrm_status status = hrm__checkpoint_merge(merged, sources, file, path, desc);
    hrm_tensors_close(file);
    return status;
}

HRM_API hrm_status hrm_checkpoint_describe(hrm_model_desc *desc, const char *path, const hrm_allocator *a)
{
    hrm_model_desc none;
    memset(&none, 0, sizeof none);
    none.allocator = a;
    HRM__TRY(hrm_checkpoint_merge(desc, NULL, path, &none));
    desc->allocator = NULL;
    return HRM_OK;
}

HRM_API hrm_status hrm_checkpoint_complete(const hrm_model_desc *d, const char *path)
{
    static const char *const keys[] = {"num_heads", "H_cycles", "L_cycles", "halt_max_steps", "seq_len"};
    int value[HRM__COUNT(keys)], missing = 0, first = 0, n = 0;
    char list[96];
    value[0] = d->num_heads, value[1] = d->H_cycles, value[2] = d->L_cycles, value[3] = d->halt_max_steps,
    value[4] = d->seq_len;
    for (int i = (int)HRM__COUNT(keys); i-- > 0;)
        if (!value[i]) missing++, first = i;
    if (!missing) return HRM_OK;
    for (int i = first, left = missing; i < (int)HRM__COUNT(keys); i++)
        if (!value[i])
            n += snprintf(list + n, sizeof list - (size_t)n, "%s%s",
                          i == first  ? ""
                          : left == 1 ? " and "
                                      : ", ",
                          keys[i]),
                left--;
    if (first == 4)
        return hrm__fail(
            HRM_ERR_ARGUMENT,
            "%s: nothing tells its seq_len, the puzzle's length: give it in the description, or open it with its data set",
            path);
    int folder, stem = hrm__path_stem(path, &folder);
    return hrm__fail(
        HRM_ERR_ARGUMENT,
        "%s: nothing tells its %s: say arch.%s=N, in C the description's %s, or put its %.*s.yaml, all_config.yaml or "
        "config.json beside it",
        path, list, keys[first], keys[first], (int)hrm__min_i64(stem - folder, 80), path + folder);
}

/* ---- weights ------------------------------------------------------------------------------------------------ >>weights ---*/
static hrm_status hrm__check_shape(const char *path, const hrm_tensor *t, const hrm__entry *e)
{
    int64_t rows = (int64_t)(e->rows ? e->rows : e->columns), columns = (int64_t)(e->rows ? e->columns : 1);
    int64_t have0 = t->ndim > 0 ? t->shape[0] : 1, have1 = t->ndim > 1 ? t->shape[1] : 1;
    if (t->ndim != (e->rows ? 2 : 1) || have0 != rows || have1 != columns)
        return hrm__fail(HRM_ERR_SHAPE, "%s: tensor %s is %d-dimensional [%lld,%lld], the model's [%lld,%lld]", path, e->name,
                         t->ndim, (long long)have0, (long long)have1, (long long)rows, (long long)columns);
    return HRM_OK;
}

static hrm_status hrm__check_entries(const hrm_tensors *file, const char *path, const hrm__entry *entries, int count)
{
    /* every tensor of the model is there with its shape, and none that would be lost in silence */
    for (int i = 0; i < count; i++) {
        const hrm_tensor *t = hrm__find_public(file, entries[i].name);
        if (!t) return hrm__missing(file, path, entries[i].name);
        HRM__TRY(hrm__check_shape(path, t, &entries[i]));
    }
    for (size_t i = 0; i < hrm_tensors_count(file); i++) {
        const char *name = hrm_tensors_model_name(file, hrm_tensors_at(file, i));
        int known =
            !name || !(strstr(name, "_level.layers.") || strstr(name, "embed_pos") || strstr(name, "puzzle_emb.weights"));
        for (int k = 0; k < count && !known; k++) known = strcmp(entries[k].name, name) == 0;
        if (!known) return hrm__fail(HRM_ERR_SHAPE, "%s: tensor %s has no place in the model", path, name);
    }
    return HRM_OK;
}

static hrm_status hrm__load_entries(hrm_model *m, const hrm_tensors *file, const char *path, hrm_real *buffer, int write)
{
    hrm_dtype real = sizeof(hrm_real) == 4 ? HRM_F32 : HRM_F64;
    for (int i = 0; i < m->count; i++) {
        const hrm__entry *e = &m->entries[i];
        const hrm_tensor *t = hrm__find_public(file, e->name);
        HRM__TRY(hrm_convert(buffer, real, t->data, t->dtype, hrm__entry_size(e)));
        if (!write) {
            hrm_status status = hrm__check_finite(e->name, buffer, hrm__entry_size(e), e->columns);
            if (status != HRM_OK) return hrm__fail_in(path, status);
            continue;
        }
        HRM__TRY(m->table->upload(m->dev, hrm__entry_place(m, e), buffer, hrm__entry_size(e) * sizeof *buffer));
    }
    m->stale = 1;
    return m->table->sync(m->dev);
}

static hrm_status hrm__load_weights(hrm_model *m, const hrm_tensors *file, const char *path)
{
    size_t largest = 1;
    void *buffer;
    for (int i = 0; i < m->count; i++) largest = hrm__max_size(largest, hrm__entry_size(&m->entries[i]));
    HRM__TRY(hrm__check_entries(file, path, m->entries, m->count));
    HRM__TRY(hrm__alloc(m->allocator, &buffer, largest, sizeof(hrm_real), "loading"));
    hrm_status status = hrm__load_entries(m, file, path, (hrm_real *)buffer, 0);
    if (status == HRM_OK) status = hrm__load_entries(m, file, path, (hrm_real *)buffer, 1);
    hrm__free(m->allocator, buffer, largest, sizeof(hrm_real));
    return status;
}

HRM_API hrm_status hrm_model_load_weights(hrm_model *m, const char *path)
{
    hrm_tensors *file;
    HRM__TRY(hrm_tensors_open(&file, path, m->allocator));
    hrm_status status = hrm__load_weights(m, file, path);
    hrm_tensors_close(file);
    return status;
}

static hrm_status hrm__check_plan(const hrm_model_desc *desc, const hrm_tensors *file, const char *path)
{
    /* before a model of the size that a file claims is made: that the file holds it */
    hrm_model_desc resolved = *desc;
    hrm_layout at;
    hrm_dims d;
    void *p;
    hrm_status status = hrm__resolve(&resolved, &d);
    if (status != HRM_OK) return hrm__fail_in(path, status);
    int count = hrm__plan_model(&d, &at, NULL);
    HRM__TRY(hrm__alloc_zero(desc->allocator, &p, (size_t)count, sizeof(hrm__entry), "tensor list"));
    hrm__plan_model(&d, &at, (hrm__entry *)p);
    status = hrm__check_entries(file, path, (const hrm__entry *)p, count);
    hrm__free(desc->allocator, p, (size_t)count, sizeof(hrm__entry));
    return status;
}

HRM_API hrm_status hrm_model_load(hrm_model **out, const char *path, const hrm_model_desc *desc)
{
    hrm_model_desc merged, none;
    hrm_tensors *file = NULL;
    hrm_model *m = NULL;
    memset(&none, 0, sizeof none);
    if (!desc) desc = &none;
    HRM__TRY(hrm_tensors_open(&file, path, desc->allocator));
    hrm_status status = hrm__checkpoint_merge(&merged, NULL, file, path, desc);
    if (status == HRM_OK) status = hrm_checkpoint_complete(&merged, path);
    if (status == HRM_OK) status = hrm__check_plan(&merged, file, path);
    if (status == HRM_OK) status = hrm__model_create(&m, &merged, 0);
    if (status == HRM_OK) {
        m->loaded = 1;
        status = hrm__load_weights(m, file, path);
    }
    hrm_tensors_close(file);
    if (status != HRM_OK) {
        hrm_model_destroy(m);
        return status;
    }
    *out = m;
    return HRM_OK;
}

/* What a trainer has beyond the model's tensors, one by one, and which values each may hold: low to high, or `also`. */
typedef struct hrm__state {
    char       name[96];
    hrm_tensor tensor;
    double     low, high, also;
    int        split; /* flag: its rows are the whole batch's, of which each rank has its own */
} hrm__state;

static hrm_status hrm__check_values(const char *path, const hrm_tensor *t, double low, double high, double also)
{
    /* element by element, in pieces; no bound lets pass what is not a number */
    size_t size = hrm_dtype_size(t->dtype), count = t->bytes / size;
    const char *data = (const char *)t->data;
    double some[512];
    for (size_t at = 0; at < count; at += HRM__COUNT(some)) {
        size_t n = count - at < HRM__COUNT(some) ? count - at : HRM__COUNT(some);
        HRM__TRY(hrm_convert(some, HRM_F64, data + at * size, t->dtype, n));
        for (size_t i = 0; i < n; i++)
            if (!((some[i] >= low && some[i] <= high) || some[i] == also))
                return hrm__fail(some[i] - some[i] == 0 ? HRM_ERR_RANGE : HRM_ERR_NAN,
                                 "%s: tensor %s: element %zu is %g, expected %g to %g", path, t->name, at + i, some[i], low,
                                 high);
    }
    return HRM_OK;
}

/* ---- saving: on the CPU the file is written from where the tensors are; from a device they are brought over first ---------*/
typedef struct hrm__saving {
    hrm_tensor   *tensors;
    size_t        count, room;
    char         *host; /* copies of device memory, and of what other ranks have */
    size_t        host_bytes, host_used;
    const hrm_model *model;
    const hrm__state *state; /* what stands in `tensors` after the model's own; NULL: nothing */
} hrm__saving;

static void *hrm__saving_take(hrm__saving *s, size_t bytes)
{
    char *p = s->host + s->host_used;
    s->host_used += hrm__align(bytes);
    return p;
}

static hrm_status hrm__saving_add(hrm__saving *s, const char *name, hrm_dtype dtype, int64_t rows, int64_t columns,
                                  const void *place, int split)
{
    /* columns 0: a vector of `rows`; split: what is at `place` comes later, from all ranks */
    hrm_tensor *t = &s->tensors[s->count++];
    memset(t, 0, sizeof *t);
    t->name = name;
    t->dtype = dtype;
    t->ndim = columns ? 2 : 1;
    t->shape[0] = rows;
    t->shape[1] = columns;
    t->bytes = (size_t)rows * (size_t)(columns ? columns : 1) * hrm_dtype_size(dtype);
    t->data = place;
    if (split || s->model->desc.device == HRM_CPU) return HRM_OK;
    void *copy = hrm__saving_take(s, t->bytes);
    t->data = copy;
    return s->model->table->download(s->model->dev, copy, place, t->bytes);
}

static hrm_status hrm__saving_begin(hrm__saving *s, const hrm_model *m, int writes, size_t more_tensors, size_t more_bytes,
                                    size_t gathered)
{
    /* writes 0: this rank only gives its part, through the memory that is `gathered` */
    void *p;
    hrm_dtype real = sizeof(hrm_real) == 4 ? HRM_F32 : HRM_F64;
    memset(s, 0, sizeof *s);
    s->model = m;
    s->host_bytes = gathered;
    if (writes && m->desc.device != HRM_CPU)
        s->host_bytes += hrm__params_bytes(m) + hrm__align(hrm__puzzle_count(&m->d) * sizeof(hrm_real)) + more_bytes;
    if (s->host_bytes) {
        HRM__TRY(hrm__alloc(m->allocator, &p, s->host_bytes, 1, "saving"));
        s->host = (char *)p;
    }
    if (!writes) return HRM_OK;
    s->room = (size_t)m->count + more_tensors;
    HRM__TRY(hrm__alloc_zero(m->allocator, &p, s->room, sizeof *s->tensors, "saving"));
    s->tensors = (hrm_tensor *)p;
    for (int i = 0; i < m->count; i++) {
        const hrm__entry *e = &m->entries[i];
        HRM__TRY(hrm__saving_add(s, e->name, real, (int64_t)(e->rows ? e->rows : e->columns), e->rows ? (int64_t)e->columns : 0,
                                 hrm__entry_place(m, e), 0));
    }
    return HRM_OK;
}

static void hrm__saving_end(hrm__saving *s)
{
    hrm__free(s->model->allocator, s->host, s->host_bytes, 1);
    hrm__free(s->model->allocator, s->tensors, s->room, sizeof *s->tensors);
}

static hrm_status hrm__saving_check(const hrm__saving *s, const char *path, hrm_dtype as)
{
    /* before a good file is replaced: everything finite, as it will stand there, and what a trainer could go on from */
    double most = as == HRM_F16                                        ? 65519
                  : as == HRM_BF16                                     ? 3.38e38
                  : sizeof(hrm_real) == sizeof(float) || as == HRM_F32 ? (double)FLT_MAX
                                                                       : DBL_MAX;
    for (size_t i = 0; i < s->count; i++) {
        const hrm__state *state = i < (size_t)s->model->count ? NULL : &s->state[i - (size_t)s->model->count];
        HRM__TRY(hrm__check_values(path, &s->tensors[i], state ? state->low : -most, state ? state->high : most,
                                   state ? state->also : 0));
    }
    return HRM_OK;
}

static hrm_status hrm__saving_write(hrm__saving *s, const char *path, hrm_dtype as, const hrm_metadata *own, size_t num_own,
                                    const hrm_metadata *more, size_t num_more)
{
    void *p;
    char config[HRM__CONFIG_ROOM];
    const hrm_model *m = s->model;
    size_t n = 2 + num_own + num_more;
    HRM__TRY(hrm__alloc(m->allocator, &p, n, sizeof(hrm_metadata), "saving"));
    hrm_metadata *all = (hrm_metadata *)p;
    hrm__config_text(config, &m->desc);
    all[0].key = "format", all[0].value = "pt"; /* what the safetensors package writes and other readers look for */
    all[1].key = "hrm.config", all[1].value = config;
    for (size_t i = 0; i < num_own; i++) all[2 + i] = own[i];
    for (size_t i = 0; i < num_more; i++) all[2 + num_own + i] = more[i];
    hrm_status status = hrm__saving_check(s, path, as);
    if (status == HRM_OK) status = hrm_safetensors_save(path, s->tensors, s->count, all, n, as, m->allocator);
    hrm__free(m->allocator, p, n, sizeof(hrm_metadata));
    return status;
}

HRM_API hrm_status hrm_model_save_as(const hrm_model *m, const char *path, hrm_dtype dtype, const hrm_metadata *more,
                                     size_t num_more)
{
    hrm__saving s;
    hrm_status status = hrm__saving_begin(&s, m, 1, 0, 0, 0);
    if (status == HRM_OK) status = hrm__saving_write(&s, path, dtype, NULL, 0, more, num_more);
    hrm__saving_end(&s);
    return status;
}

HRM_API hrm_status hrm_model_save(const hrm_model *model, const char *path)
{
    return hrm_model_save_as(model, path, HRM_F32, NULL, 0);
}

/* ---- training state ----------------------------------------------------------------------------------------- >>resume ----*/
/* Its format is numbered, so that a later version reads it or says why not: 1 had the moments as one dump of the arena each, 2
 * has them by parameter. Written is the newest, read are all. */
enum { HRM__STATE_FORMAT = 2 };

static hrm_dtype hrm__activation_dtype(const hrm_model *m)
{
    if (m->sizes.activation == 2) return m->desc.forward_dtype == HRM_FORWARD_FLOAT16 ? HRM_F16 : HRM_BF16;
    return m->sizes.activation == 4 ? HRM_F32 : HRM_F64;
}

/* The list is made in one place, entry by entry; with list NULL it is only counted. */
typedef struct hrm__state_plan { hrm__state *list; size_t count, bytes; int split; } hrm__state_plan;

static void hrm__state_add(hrm__state_plan *plan, hrm_dtype dtype, size_t rows, size_t columns, const void *place, double low,
                           double high, double also, const char *prefix, const char *name)
{
    /* rows 0: a vector of `columns` */
    size_t bytes = (rows ? rows : 1) * columns * hrm_dtype_size(dtype);
    plan->bytes += hrm__align(bytes);
    if (plan->list) {
        hrm__state *s = &plan->list[plan->count];
        memset(s, 0, sizeof *s);
        snprintf(s->name, sizeof s->name, "%s%s", prefix, name);
        s->tensor.name = s->name;
        s->tensor.dtype = dtype;
        s->tensor.ndim = rows ? 2 : 1;
        s->tensor.shape[0] = (int64_t)(rows ? rows : columns);
        s->tensor.shape[1] = rows ? (int64_t)columns : 0;
        s->tensor.bytes = bytes;
        s->tensor.data = place;
        s->low = low, s->high = high, s->also = also;
        s->split = plan->split;
    }
    plan->count++;
}

static hrm__state_plan hrm__state_list(const hrm_trainer *t, int format, hrm__state *list)
{
    const hrm_model *m = t->model;
    const hrm_work *w = &t->run->w;
    size_t B = (size_t)t->run->batch_rows, T = (size_t)w->d.T, z = (size_t)w->d.S * (size_t)w->d.D;
    hrm_dtype real = sizeof(hrm_real) == 4 ? HRM_F32 : HRM_F64, activation = hrm__activation_dtype(m);
    double most = sizeof(hrm_real) == 4 ? (double)FLT_MAX : DBL_MAX, token = w->d.V - 1, steps = w->d.halt_max_steps;
    double id = w->d.puzzle_ids ? w->d.puzzle_ids - 1 : INT_MAX;
    hrm__state_plan p = {NULL, 0, 0, 0};
    p.list = list;
    for (int moment = 0; moment < 2; moment++) {
        const hrm_real *place = moment ? w->v : w->m;
        const char *name = moment ? "optimizer.v" : "optimizer.m";
        size_t have = w->train == 3 ? 0 : moment && w->d.optimizer == HRM_MUON ? w->at.net_offset[0] : w->at.trained;
        if (format == 1) hrm__state_add(&p, real, 0, w->at.trained, place, moment ? 0 : -most, most, 0, name, "");
        for (int i = 0; format > 1 && i < m->count; i++) {
            const hrm__entry *e = &m->entries[i];
            if (e->role == HRM_TRAINED && e->offset < have)
                hrm__state_add(&p, real, e->rows, e->columns, place + e->offset, moment ? 0 : -most, most, 0,
                               moment ? "optimizer.v." : "optimizer.m.", e->name);
        }
    }
    for (int i = 0; w->average && i < m->count; i++)
        if (m->entries[i].role == HRM_TRAINED)
            hrm__state_add(&p, real, m->entries[i].rows, m->entries[i].columns, w->average + m->entries[i].offset, -most, most,
                           0, "average.", m->entries[i].name);
    p.split = w->comm != NULL;
    for (int i = 0; i < w->d.states; i++) {
        char name[16];
        if (w->d.two_levels) snprintf(name, sizeof name, "z_%c", "HL"[i % 2]);
        else snprintf(name, sizeof name, "z_%d", i);
        hrm__state_add(&p, activation, B, z, w->z[i], -most, most, 0, "carry.", name);
    }
    hrm__state_add(&p, HRM_I32, 0, B, w->steps, 0, steps, 0, "carry.", "steps");
    hrm__state_add(&p, HRM_I32, 0, B, w->halted, 0, 1, 0, "carry.", "halted");
    hrm__state_add(&p, HRM_I32, B, T, w->inputs, 0, token, 0, "carry.", "inputs");
    hrm__state_add(&p, HRM_I32, B, T, w->labels, 0, token, -100, "carry.", "labels");
    hrm__state_add(&p, HRM_I32, 0, B, w->ids, 0, id, 0, "carry.", "puzzle_identifiers");
    p.split = 0;
    if (!w->scaling) return p;
    hrm__state_add(&p, HRM_F32, 0, 1, &w->scaling->scale, (double)HRM_LOSS_SCALE_LEAST, 4e30, 0, "loss_scale.", "scale");
    hrm__state_add(&p, HRM_I32, 0, 1, &w->scaling->good, 0, INT_MAX, 0, "loss_scale.", "good");
    hrm__state_add(&p, HRM_I64, 0, 1, &w->scaling->skipped, 0, 9e15, 0, "loss_scale.", "skipped");
    return p;
}

static hrm_status hrm__state_open(const hrm_trainer *t, int format, hrm__state_plan *plan)
{
    void *p;
    *plan = hrm__state_list(t, format, NULL);
    HRM__TRY(hrm__alloc(t->model->allocator, &p, plan->count, sizeof(hrm__state), "training state"));
    *plan = hrm__state_list(t, format, (hrm__state *)p);
    return HRM_OK;
}

static void hrm__state_close(const hrm_trainer *t, hrm__state_plan *plan)
{
    hrm__free(t->model->allocator, plan->list, plan->count, sizeof *plan->list);
}

static size_t hrm__most_rows(const hrm_run *run)
{
    size_t size = run->w.comm ? (size_t)run->w.comm->size : 1;
    return ((size_t)run->batch_rows + size - 1) / size;
}

static size_t hrm__gather_room(const hrm_trainer *t, const hrm__state_plan *plan)
{
    /* of the host, for hrm__saving_gather */
    const hrm_comm *comm = t->desc.comm;
    size_t most = hrm__most_rows(t->run), room = 0, all = comm && comm->rank == 0 ? (size_t)comm->size : 0;
    for (size_t i = 0; i < plan->count; i++) {
        size_t row = plan->list[i].tensor.bytes / (size_t)t->run->batch_rows;
        if (plan->list[i].split) room += hrm__align(most * row * all) + hrm__align(most * row);
    }
    return room;
}

static hrm_status hrm__saving_gather(hrm__saving *s, const hrm_trainer *t, const hrm__state *state, hrm_tensor *into)
{
    /* a tensor of which each rank has some rows; parts come as long as the longest and then close up */
    const hrm_comm *c = t->desc.comm;
    size_t row = state->tensor.bytes / (size_t)t->run->batch_rows, most = hrm__most_rows(t->run) * row;
    char *mine = (char *)hrm__saving_take(s, most), *all = c->rank ? NULL : (char *)hrm__saving_take(s, most * (size_t)c->size);
    memset(mine, 0, most);
    HRM__TRY(s->model->table->download(s->model->dev, mine, state->tensor.data, (size_t)t->run->w.d.B * row));
    HRM__TRY(c->gather(c->user, all, mine, most, 0, NULL));
    for (int r = 0, first; all && r < c->size; r++) {
        size_t n = (size_t)hrm_comm_rows(c, r, t->run->batch_rows, &first);
        memmove(all + (size_t)first * row, all + (size_t)r * most, n * row);
    }
    if (into) into->data = all;
    return HRM_OK;
}

static int hrm__optimizer_name(const hrm_trainer *t, const char **name)
{
    /* as the key has it -> its length */
    size_t i = 0;
    while (strcmp(hrm__train_keys[i].name, "optimizer") != 0) i++;
    return (int)hrm__key_word(&hrm__train_keys[i], (int)t->desc.optimizer, name);
}

static hrm_status hrm__trainer_write(const hrm_trainer *t, hrm__saving *s, const hrm__state_plan *plan, const char *path,
                                     const hrm_metadata *more, size_t num_more)
{
    char text[384];
    hrm_metadata own;
    const hrm_comm *comm = t->desc.comm;
    const hrm_position *p = &t->position;
    const char *optimizer;
    int length = hrm__optimizer_name(t, &optimizer);
    snprintf(
        text, sizeof text,
        "{\"format\":%d,\"step\":%lld,\"total\":%lld,\"warmup\":%lld,\"iteration\":%llu,\"epoch\":%llu,\"group\":%llu,"
        "\"draws\":%llu,\"seed\":\"%llu\",\"optimizer\":\"%.*s\"}",
        HRM__STATE_FORMAT, (long long)t->done, (long long)t->total, (long long)(t->total ? t->desc.lr_warmup_steps : 0),
        (unsigned long long)p->iteration, (unsigned long long)p->epoch, (unsigned long long)p->group,
        (unsigned long long)p->draws, (unsigned long long)t->desc.seed, length, optimizer);
    own.key = "hrm.trainer", own.value = text;
    for (size_t i = 0; i < plan->count; i++)
        if (plan->list[i].split)
            HRM__TRY(hrm__saving_gather(s, t, &plan->list[i], s->tensors ? &s->tensors[s->model->count + (int)i] : NULL));
    hrm_status status = comm && comm->rank ? HRM_OK : hrm__saving_write(s, path, HRM_DTYPE_COUNT, &own, 1, more, num_more);
    return hrm__agree(comm, t->verdicts, status);
}

HRM_API hrm_status hrm_trainer_save(const hrm_trainer *t, const char *path, const hrm_metadata *more, size_t num_more)
{
    if (t->run->averaged) { /* the file has both, each under its name */
        HRM__TRY(hrm__use_average(t->run, 0));
        hrm_status status = hrm_trainer_save(t, path, more, num_more), back = hrm__use_average(t->run, 1);
        return status != HRM_OK ? status : back;
    }
    hrm__saving s;
    hrm__state_plan plan;
    const hrm_model *m = t->model;
    if (t->run->broken & HRM__AHEAD) HRM__TRY(hrm__check_weights(t->model)); /* if it is they, that says more */
    HRM__TRY(hrm__check_whole(t->run, HRM__CARRY | HRM__GRADIENTS | HRM__AHEAD));
    if (t->posted.step) { /* begun and not told of: was it done? */
        int32_t bad = 0;
        HRM__TRY(m->table->download(m->dev, &bad, t->run->w.bad, sizeof bad));
        if (bad)
            return hrm__fail(HRM_ERR_NAN, "step %lld is not done: hrm_trainer_catch_up tells why", (long long)t->posted.step);
    }
    memset(&s, 0, sizeof s);
    s.model = m;
    HRM__TRY(hrm__compare(t)); /* ranks that came apart must not save what one of them has */
    int writes = !t->desc.comm || t->desc.comm->rank == 0;
    hrm_status status = hrm__state_open(t, HRM__STATE_FORMAT, &plan);
    if (status == HRM_OK) status = hrm__saving_begin(&s, m, writes, plan.count, plan.bytes, hrm__gather_room(t, &plan));
    s.state = plan.list;
    for (size_t i = 0; status == HRM_OK && writes && i < plan.count; i++) {
        const hrm_tensor *x = &plan.list[i].tensor;
        status = hrm__saving_add(&s, x->name, x->dtype, x->shape[0], x->ndim > 1 ? x->shape[1] : 0, x->data,
                                 plan.list[i].split);
    }
    status = hrm__agree(t->desc.comm, t->verdicts, status);
    if (status == HRM_OK) status = hrm__trainer_write(t, &s, &plan, path, more, num_more);
    hrm__saving_end(&s);
    hrm__state_close(t, &plan);
    return status;
}

static hrm_status hrm__state_optimizer(const hrm_trainer *t, const hrm_json *root, const char *path)
{
    /* another's moments would be taken for this one's; states before 0.2 do not tell */
    const hrm_json *told = hrm_json_get(root, "optimizer");
    const char *ours, *theirs = told && told->type == HRM_JSON_STRING ? told->string : "?";
    int n = hrm__optimizer_name(t, &ours);
    if (!told || t->run->w.train == 3 || (strncmp(theirs, ours, (size_t)n) == 0 && !theirs[n])) return HRM_OK;
    return hrm__fail(HRM_ERR_ARGUMENT, "%s: the run's optimizer is %.20s there, %.*s here", path, theirs, n, ours);
}

static hrm_status hrm__state_number(const hrm_json *root, const char *key, const char *path, uint64_t *value)
{
    double x = -1;
    int found;
    HRM__TRY(hrm__config_number(root, key, 0, 9e15, path, &x, &found));
    if (!found) return hrm__fail(HRM_ERR_FORMAT, "%s: its training state lacks %s", path, key);
    *value = (uint64_t)x;
    return HRM_OK;
}

static hrm_status hrm__state_check(const hrm_tensors *file, const char *path, const hrm__state *s)
{
    const hrm_tensor *ours = &s->tensor, *x = hrm_tensors_find(file, s->name);
    if (!x) return hrm__fail(HRM_ERR_FORMAT, "%s: tensor %s is missing; not a training state of this model", path, s->name);
    if (x->dtype != ours->dtype || x->ndim != ours->ndim || x->shape[0] != ours->shape[0] ||
        (x->ndim > 1 && x->shape[1] != ours->shape[1]))
        return hrm__fail(HRM_ERR_SHAPE, "%s: tensor %s is %s [%lld,…], this run's %s [%lld,…]", path, x->name,
                         hrm_dtype_name(x->dtype), (long long)x->shape[0], hrm_dtype_name(ours->dtype),
                         (long long)ours->shape[0]);
    return hrm__check_values(path, x, s->low, s->high, s->also);
}

static hrm_status hrm__trainer_restore(hrm_trainer *t, const hrm_tensors *file, const char *path, const hrm_json *root)
{
    hrm_model *m = t->model;
    hrm__state_plan plan;
    uint64_t step, total;
    double version = 1, warmup = 0;
    int said, shown = t->run->averaged;
    hrm_position p;
    char seed[32];
    const hrm_json *s = hrm_json_get(root, "seed");
    HRM__TRY(hrm__config_number(root, "format", 1, 1e9, path, &version, &said));
    if (version > (double)HRM__STATE_FORMAT)
        return hrm__fail(HRM_ERR_UNSUPPORTED,
                         "%s: a training state of format %g, written by a later version; this one reads up to %d", path,
                         version, HRM__STATE_FORMAT);
    int format = (int)version;
    if (format == 1 && (t->run->w.train == 3 || t->desc.optimizer == HRM_MUON))
        return hrm__fail(HRM_ERR_ARGUMENT, "%s: a training state of version 0.1.0, which knew no %s", path,
                         t->run->w.train == 3 ? "freeze_weights" : "Muon");
    HRM__TRY(hrm__state_number(root, "step", path, &step));
    HRM__TRY(hrm__state_number(root, "total", path, &total));
    HRM__TRY(hrm__state_number(root, "iteration", path, &p.iteration));
    HRM__TRY(hrm__state_number(root, "epoch", path, &p.epoch));
    HRM__TRY(hrm__state_number(root, "group", path, &p.group));
    HRM__TRY(hrm__state_number(root, "draws", path, &p.draws));
    HRM__TRY(hrm__config_number(root, "warmup", 0, 9e15, path, &warmup, &said));
    HRM__TRY(hrm__state_optimizer(t, root, path));
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->desc.seed);
    if (!s || s->type != HRM_JSON_STRING || strcmp(s->string, seed))
        return hrm__fail(HRM_ERR_ARGUMENT, "%s: the run's seed is %s there, %s here", path, s && s->string ? s->string : "?",
                         seed);
    if (t->desc.steps && (int64_t)total > t->total) /* more than it had: the run goes on past its end */
        return hrm__fail(HRM_ERR_ARGUMENT,
                         "%s: the run has %llu steps there, %lld here; expected as many, or more to go on past its end", path,
                         (unsigned long long)total, (long long)t->total);
    if (total && step > total)
        return hrm__fail(HRM_ERR_RANGE, "%s: step %llu of %llu", path, (unsigned long long)step, (unsigned long long)total);
    HRM__TRY(hrm__state_open(t, format, &plan));
    hrm_status status = HRM_OK;
    for (size_t i = 0; status == HRM_OK && i < plan.count; i++) status = hrm__state_check(file, path, &plan.list[i]);
    if (status == HRM_OK && shown) status = hrm__use_average(t->run, 0);
    if (status == HRM_OK) {
        status = hrm__load_weights(m, file, path); /* looks at all of them before the first is written */
        if (status != HRM_OK && shown) (void)hrm__use_average(t->run, 1);
    }
    for (size_t i = 0; status == HRM_OK && i < plan.count; i++) {
        const hrm_tensor *x = hrm_tensors_find(file, plan.list[i].name);
        size_t row = plan.list[i].split ? x->bytes / (size_t)t->run->batch_rows : 0;
        status = m->table->upload(m->dev, (void *)(uintptr_t)plan.list[i].tensor.data,
                                  (const char *)x->data + (size_t)t->run->first_row * row,
                                  row ? (size_t)t->run->w.d.B * row : x->bytes);
    }
    hrm__state_close(t, &plan);
    HRM__TRY(status);
    HRM__TRY(hrm__recover(t->run));
    t->run->broken = 0;
    t->held.there = 0;
    t->compared = 0;
    t->done = (int64_t)step;
    t->position = p;
    t->posted.step = 0;
    if (!t->desc.steps) t->total = (int64_t)total;
    if (t->total) hrm__settle_steps(t, t->total);
    if (said && total && !t->warmup && !t->desc.no_warmup) t->desc.lr_warmup_steps = (int64_t)warmup; /* of its total before */
    t->run->w.rows = t->run->w.d.B;
    return m->table->sync(m->dev);
}

HRM_API hrm_status hrm_trainer_load(hrm_trainer *t, const char *path)
{
    hrm_tensors *file = NULL;
    hrm_json_document *doc = NULL;
    const hrm_allocator *a = t->model->allocator;
    HRM__TRY(hrm_tensors_open(&file, path, a));
    const char *text = hrm_tensors_metadata(file, "hrm.trainer");
    hrm_status status = text ? hrm_json_parse(&doc, text, strlen(text), path, a)
                             : hrm__fail(HRM_ERR_FORMAT, "%s: weights only, no training state", path);
    if (status == HRM_OK) status = hrm__trainer_restore(t, file, path, hrm_json_root(doc));
    hrm_json_close(doc);
    hrm_tensors_close(file);
    return status;
}

#endif /* HRM_IMPLEMENTATION_DONE */
#endif /* HRM_IMPLEMENTATION */
