/* hrm.h - v0.1.0 - the Hierarchical Reasoning Model (arXiv:2506.21734) in one C99 header: trains it, runs it, on any machine.
 *
 * MANUAL-PLACEHOLDER
 */
#ifndef HRM_H
#define HRM_H

#if defined(HRM_IMPLEMENTATION) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE) && !defined(_WIN32) && !defined(__APPLE__)
    #define _POSIX_C_SOURCE 200809L /* for -std=c99 */
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

#if defined(__GNUC__) || defined(__clang__)
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

HRM_API int        hrm_cpu_count(void); /* processors online, at least 1 */
HRM_API hrm_status hrm_pool_create(hrm_pool **pool, int num_threads /* 0: hrm_cpu_count() */, const hrm_allocator *allocator);
HRM_API void       hrm_pool_destroy(hrm_pool *pool); /* NULL is fine */
HRM_API int        hrm_pool_size(const hrm_pool *pool);
/* Calls function(context, 0..n-1, n) on n threads, the caller being thread 0, and returns when all have. Not reentrant. */
HRM_API void hrm_pool_run(hrm_pool *pool, hrm_pool_function function, void *context);
/* Inside such a call: waits until all n threads have come here. */
HRM_API void hrm_pool_barrier(hrm_pool *pool);

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
    const void *data; /* contiguous; in a mapped file it need not be aligned */
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
HRM_API hrm_status hrm_writer_open(hrm_writer **writer, const char *path, const hrm_allocator *allocator);
HRM_API hrm_status hrm_writer_write(hrm_writer *writer, const void *data, size_t bytes); /* buffered; the first error sticks */
HRM_API hrm_status hrm_writer_rewrite(hrm_writer *writer, uint64_t offset, const void *data, size_t bytes); /* patch a header */
HRM_API hrm_status hrm_writer_commit(hrm_writer *writer); /* sync, rename, free; on failure the old file stands */
HRM_API void       hrm_writer_abort(hrm_writer *writer);  /* drop what was written, free; NULL is fine */
/* Removes what an interrupted process left beside `path`. Signal handlers may call hrm_writer_abort_all(): it only unlinks. */
HRM_API void hrm_writer_abort_all(void);

/* JSON, and the subset of YAML that configurations use, as one tree. Strings are UTF-8, decoded, zero-terminated. */
typedef enum hrm_json_type { HRM_JSON_NULL, HRM_JSON_BOOL, HRM_JSON_NUMBER, HRM_JSON_STRING, HRM_JSON_ARRAY, HRM_JSON_OBJECT } hrm_json_type;
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
HRM_API hrm_status      hrm_json_parse(hrm_json_document **doc, const char *text, size_t length, const char *name, const hrm_allocator *a);
HRM_API hrm_status      hrm_yaml_parse(hrm_json_document **doc, const char *text, size_t length, const char *name, const hrm_allocator *a);
HRM_API hrm_status      hrm_json_open(hrm_json_document **doc, const char *path, const hrm_allocator *a); /* .yaml, .yml: YAML */
HRM_API const hrm_json *hrm_json_root(const hrm_json_document *doc);
HRM_API void            hrm_json_close(hrm_json_document *doc);
HRM_API const hrm_json *hrm_json_get(const hrm_json *object, const char *key); /* NULL when absent or not an object */

/* NumPy arrays on disk, C order, little-endian, version 1.0 to 3.0. */
typedef struct hrm_npy { hrm_tensor tensor; hrm_file_map map; } hrm_npy;
HRM_API hrm_status hrm_npy_open(hrm_npy *npy, const char *path);
HRM_API void       hrm_npy_close(hrm_npy *npy);
/* Streams rows of shape[1..] elements; shape[0] is what was written when it is committed. */
typedef struct hrm_npy_writer { hrm_writer *writer; hrm_tensor tensor; } hrm_npy_writer;
HRM_API hrm_status hrm_npy_writer_open(hrm_npy_writer *w, const char *path, hrm_dtype dtype, int ndim, const int64_t *shape, const hrm_allocator *a);
HRM_API hrm_status hrm_npy_writer_write(hrm_npy_writer *w, const void *rows, size_t num_rows);
HRM_API hrm_status hrm_npy_writer_commit(hrm_npy_writer *w);
HRM_API void       hrm_npy_writer_abort(hrm_npy_writer *w);

/* Checkpoint files: named tensors and text metadata. Reads safetensors and PyTorch's zip (told apart by content; of the
 * pickle only what tensors need, nothing is ever executed); tensors stay in the mapped file. */
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
/* Each tensor is converted to `as` on the way when it is a float type and as < HRM_DTYPE_COUNT. */
HRM_API hrm_status hrm_safetensors_save(const char *path, const hrm_tensor *tensors, size_t count, const hrm_metadata *metadata,
                                        size_t num_metadata, hrm_dtype as, const hrm_allocator *a);
HRM_API hrm_status hrm_torch_save(const char *path, const hrm_tensor *tensors, size_t count, hrm_dtype as, const hrm_allocator *a);

/* ==================================================================================================== >>api-dataset =======
 * The public code's data layout, DIR/{train,test}/…, mapped and never read whole; or arrays in memory. Reading is thread-safe.
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
    int                  no_check; /* skip the pass over all tokens that checks them against the vocabulary (it is done lazily then, batch by batch) */
} hrm_dataset_desc;

HRM_API hrm_status              hrm_dataset_open(hrm_dataset **data, const char *dir, const char *split, const hrm_dataset_desc *desc);
HRM_API hrm_status              hrm_dataset_from_arrays(hrm_dataset **data, const hrm_dataset_arrays *arrays, const hrm_dataset_desc *desc);
HRM_API void                    hrm_dataset_close(hrm_dataset *data);
HRM_API const hrm_dataset_info *hrm_dataset_describe(const hrm_dataset *data);

/* A batch: labels are -100 where ignored, padding rows have every label ignored. Arrays are the caller's. */
typedef struct hrm_batch {
    int      rows;   /* room */
    int      filled; /* rows that are real examples; the others are padding */
    int32_t *inputs, *labels;     /* [rows, seq_len] */
    int32_t *puzzle_identifiers;  /* [rows] */
} hrm_batch;

/* Where a pass over the data stands: plain data, save it to resume. Zero is the start. */
typedef struct hrm_position {
    uint64_t iteration; /* of epochs_per_iter epochs each */
    uint64_t epoch;     /* in the iteration */
    uint64_t group;     /* in the epoch's permutation */
    uint64_t draws;     /* examples groups drawn in this iteration */
} hrm_position;
/* The next batch in training order: per iteration epochs_per_iter permutations of the groups; from each group one random
 * puzzle, from it min(size, room) examples without replacement; an iteration's last partial batch is dropped. The order is a
 * function of (seed, position) alone. Returns HRM_OK; *new_iteration tells that this batch began another iteration. */
HRM_API hrm_status hrm_dataset_next(hrm_dataset *data, hrm_position *position, uint64_t seed, int epochs_per_iter, hrm_batch *batch, int *new_iteration);
/* Examples [first, first + rows) in file order, padded at the end; sequential evaluation. HRM_END past the last example. */
HRM_API hrm_status hrm_dataset_read(const hrm_dataset *data, int64_t first, hrm_batch *batch);

/* ==================================================================================================== >>api-model =========
 * What a model is made of. Zero in any field means the default in brackets, the paper's. Read the resolved values back with
 * hrm_model_describe(). Sizes are in elements.
 */
typedef enum hrm_pos_encodings { HRM_ROPE, HRM_LEARNED } hrm_pos_encodings;
typedef enum hrm_loss_type { HRM_STABLEMAX_CROSS_ENTROPY, HRM_SOFTMAX_CROSS_ENTROPY } hrm_loss_type;
typedef enum hrm_device_kind { HRM_CPU, HRM_CUDA } hrm_device_kind;
typedef enum hrm_forward_dtype { HRM_FORWARD_DEFAULT, HRM_FORWARD_FLOAT32, HRM_FORWARD_BFLOAT16, HRM_FORWARD_INT8 } hrm_forward_dtype;

typedef struct hrm_model_desc {
    int   seq_len;                /* T, tokens of a puzzle without the puzzle positions; required */
    int   vocab_size;             /* V; required, at least 2 */
    int   num_puzzle_identifiers; /* rows of the puzzle table [1] */
    int   puzzle_emb_ndim;        /* its columns [hidden_size] */
    int   no_puzzle_emb;          /* 1: no puzzle table (puzzle_emb_ndim 0 in the public code) */
    int   hidden_size;            /* D [512], a multiple of num_heads */
    int   num_heads;              /* [8] */
    int   H_layers, L_layers;     /* [4] blocks of the slow and of the fast level */
    int   H_cycles, L_cycles;     /* [2] passes of the slow level in a segment; of the fast level in each of those */
    float expansion;              /* [4] the SwiGLU width is round(expansion*D*2/3), up to a multiple of 256 */
    hrm_pos_encodings pos_encodings; /* [HRM_ROPE] */
    float rms_norm_eps;           /* [1e-5] */
    float rope_theta;             /* [10000] */
    int   causal;                 /* 1: a position attends to itself and those before it */
    int   halt_max_steps;         /* [16] segments at most */
    float halt_exploration_prob;  /* [0.1] in training */
    int   no_halt_exploration;    /* 1: probability 0 */
    hrm_loss_type loss_type;      /* [HRM_STABLEMAX_CROSS_ENTROPY] */
    uint64_t seed;                /* of the initial weights */
    /* where and how it runs; not stored in checkpoints */
    hrm_device_kind      device;        /* [HRM_CPU] */
    hrm_forward_dtype    forward_dtype; /* [float32 on the CPU, bfloat16 on CUDA]; on the CPU the others are for solving only */
    int                  num_threads;   /* [hrm_cpu_count()] */
    const hrm_allocator *allocator;
} hrm_model_desc;

typedef struct hrm_model hrm_model;

HRM_API hrm_model_desc hrm_model_desc_for(const hrm_dataset *data); /* seq_len, vocab_size, num_puzzle_identifiers; the rest 0 */
HRM_API hrm_status     hrm_model_create(hrm_model **model, const hrm_model_desc *desc); /* weights as the paper initialises them */
HRM_API void           hrm_model_destroy(hrm_model *model);                            /* after its trainers, runs; NULL is fine */
HRM_API const hrm_model_desc *hrm_model_describe(const hrm_model *model);              /* resolved; the model's own */
HRM_API int64_t        hrm_model_parameters(const hrm_model *model); /* trained by Adam-atan2; without buffers and puzzle table */

/* Bytes that a model and what runs on it will allocate, known before anything is; `batch` rows. */
typedef struct hrm_memory { size_t model, train, solve; } hrm_memory; /* train and solve come on top of model */
HRM_API hrm_status hrm_model_memory(hrm_memory *memory, const hrm_model_desc *desc, int batch);

/* Tensors under the public checkpoints' names ("inner.lm_head.weight"), in their order. `role` tells what moves them. */
typedef enum hrm_role { HRM_TRAINED, HRM_BUFFER, HRM_PUZZLE_TABLE } hrm_role;
HRM_API int        hrm_model_tensor_count(const hrm_model *model);
HRM_API hrm_status hrm_model_tensor(const hrm_model *model, int index, hrm_tensor *tensor, hrm_role *role); /* data NULL on a GPU */
HRM_API int        hrm_model_tensor_find(const hrm_model *model, const char *name);                        /* -1 when absent */
HRM_API hrm_status hrm_model_tensor_read(const hrm_model *model, int index, hrm_real *values);
HRM_API hrm_status hrm_model_tensor_write(hrm_model *model, int index, const hrm_real *values); /* refuses what is not finite */

/* Checkpoints. Loading reads safetensors and PyTorch zips (keys after an optional "_orig_mod." and "model."), the
 * configuration from the file's metadata or from the all_config.yaml beside it. */
HRM_API hrm_status hrm_model_save(const hrm_model *model, const char *path); /* safetensors, float32 */
HRM_API hrm_status hrm_model_save_as(const hrm_model *model, const char *path, hrm_dtype dtype, const hrm_metadata *more, size_t num_more);
/* `desc` gives device, threads, allocator and what the file does not say (0: as in the file; a contradiction is an error). */
HRM_API hrm_status hrm_model_load(hrm_model **model, const char *path, const hrm_model_desc *desc);
HRM_API hrm_status hrm_model_load_weights(hrm_model *model, const char *path); /* into an existing model; all or nothing */
/* The configuration a checkpoint states, without loading it. */
HRM_API hrm_status hrm_checkpoint_describe(hrm_model_desc *desc, const char *path, const hrm_allocator *a);

/* ==================================================================================================== >>api-metrics =======
 * As the public code logs them: losses per row, the others per counted row (one that has just halted and has a label).
 */
typedef struct hrm_metrics {
    int64_t step;  /* of the update, from 1; 0 in an evaluation */
    double  lr;
    double  rows;  /* over how many rows the losses are means */
    double  count; /* over how many the others are */
    double  accuracy, exact_accuracy, q_halt_accuracy, steps;
    double  lm_loss, q_halt_loss, q_continue_loss;
} hrm_metrics;
HRM_API void hrm_metrics_add(hrm_metrics *total, const hrm_metrics *more); /* weighted; step and lr become the later ones */

/* ==================================================================================================== >>api-run ===========
 * A run: a model at work on `rows` puzzles at once, with its carry (z_H, z_L, steps, halted, the puzzles in flight) and, when
 * it trains, the memory for gradients. One ACT segment at a time; a trainer and hrm_solve are loops over these calls. One run
 * is used by one thread at a time, runs of one model one after another. Nothing is allocated after creation.
 */
typedef struct hrm_run hrm_run;
typedef struct hrm_run_desc {
    int rows;  /* B [1] */
    int train; /* 1: segments keep what the backward pass needs, rows halt and explore as in training */
    uint64_t seed; /* of the exploration */
} hrm_run_desc;
HRM_API hrm_status hrm_run_create(hrm_run **run, hrm_model *model, const hrm_run_desc *desc);
HRM_API void       hrm_run_destroy(hrm_run *run);
HRM_API hrm_status hrm_run_reset(hrm_run *run); /* a fresh carry: halted everywhere */
/* One segment (SPEC: rows that have halted take the batch's row, the others go on). Checks tokens and ids first.
 * min_halt_steps [rows] replaces the exploration draw; NULL otherwise. Training leaves the loss's gradient unset. */
HRM_API hrm_status hrm_run_segment(hrm_run *run, const hrm_batch *batch, const int32_t *min_halt_steps);
/* Gradient of (sum of the losses / rows) of the segment just run, added to the run's gradients. */
HRM_API hrm_status hrm_run_backward(hrm_run *run);
HRM_API hrm_status hrm_run_zero_gradients(hrm_run *run);
HRM_API hrm_status hrm_run_gradient(const hrm_run *run, int tensor, hrm_real *values); /* puzzle table: [rows, ndim] of the rows in flight */
HRM_API hrm_status hrm_run_metrics(const hrm_run *run, hrm_metrics *metrics);          /* of the segment just run */
/* Copies of the segment's results; each pointer may be NULL. logits [rows,T,V]; the others [rows]. */
typedef struct hrm_run_outputs {
    hrm_real *logits, *q_halt, *q_continue, *target_q_continue;
    int32_t  *steps, *halted;
    int32_t  *predictions; /* [rows,T] arg max of the logits */
} hrm_run_outputs;
HRM_API hrm_status hrm_run_read(const hrm_run *run, const hrm_run_outputs *outputs);

/* ==================================================================================================== >>api-trainer =======
 * Deep supervision: every segment is one update of Adam-atan2 and SignSGD.
 */
typedef struct hrm_train_desc {
    int64_t  steps;      /* updates in all; or give epochs */
    double   epochs;     /* [1000 when steps is 0 too] steps = floor(epochs * total_groups * mean_puzzle_examples / batch_size) */
    int      batch_size; /* [768] rows a step */
    int      epochs_per_iter; /* [1] permutations of the groups between two partial batches that are dropped */
    float    lr;              /* [1e-4] */
    float    lr_min_ratio;    /* [1: constant after the warm-up] */
    int64_t  lr_warmup_steps; /* [2000, at most a tenth of steps] */
    int      no_warmup;
    float    beta1, beta2;    /* [0.9, 0.95] */
    float    weight_decay;    /* [0.1] */
    int      no_weight_decay;
    float    puzzle_emb_lr;   /* [1e-2] */
    float    puzzle_emb_weight_decay; /* [0.1] */
    int      no_puzzle_emb_weight_decay;
    uint64_t seed;            /* of data order and exploration */
} hrm_train_desc;

typedef struct hrm_trainer hrm_trainer;
HRM_API hrm_status hrm_trainer_create(hrm_trainer **trainer, hrm_model *model, const hrm_train_desc *desc);
HRM_API void       hrm_trainer_destroy(hrm_trainer *trainer); /* before its model */
HRM_API const hrm_train_desc *hrm_trainer_describe(const hrm_trainer *trainer);
/* One update. metrics (NULL: do not wait for them) are of this step. HRM_END once all steps are done; HRM_ERR_NAN when the
 * loss is not finite: the message names the step, the weights are those before it. */
HRM_API hrm_status hrm_trainer_step(hrm_trainer *trainer, hrm_dataset *data, hrm_metrics *metrics);
HRM_API int64_t    hrm_trainer_steps_done(const hrm_trainer *trainer);
HRM_API int64_t    hrm_trainer_steps_total(const hrm_trainer *trainer); /* 0 until known (epochs need the data set) */
HRM_API hrm_run   *hrm_trainer_run(hrm_trainer *trainer);               /* its carry and gradients; the trainer's own */
HRM_API hrm_position hrm_trainer_position(const hrm_trainer *trainer);
/* Everything a run needs to go on as if never stopped: weights, moments, carry, position, step; one safetensors file. */
HRM_API hrm_status hrm_trainer_save(const hrm_trainer *trainer, const char *path, const hrm_metadata *more, size_t num_more);
HRM_API hrm_status hrm_trainer_load(hrm_trainer *trainer, const char *path);

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
    hrm_solve_result *results;  /* [rows] or NULL */
    /* after every segment: the answers so far of the rows still running (indices into the call's rows) */
    void (*on_segment)(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers, const hrm_solve_result *results);
    void *user;
} hrm_solve_desc;
/* puzzles, answers [rows, seq_len]. A row stops after the first segment in which q_halt > q_continue. One thread at a time
 * a model. Memory for `rows` puzzles is allocated at the first call that needs it and kept with the model. */
HRM_API hrm_status hrm_solve(hrm_model *model, const int32_t *puzzles, int32_t *answers, const hrm_solve_desc *desc);

typedef struct hrm_evaluate_desc {
    int  batch_size;  /* [64] */
    int  adaptive;    /* 1: a row stops when it says so and leaves the batch; 0: as published, max_steps segments for all */
    int  max_steps;   /* [halt_max_steps] */
    int64_t max_examples; /* [all] */
    /* after every batch; anything but HRM_OK stops the evaluation, which returns it. `so_far` covers `done` of `total`. */
    hrm_status (*on_batch)(void *user, int64_t done, int64_t total, const hrm_metrics *so_far);
    /* every finished batch's rows: inputs, labels, predictions [rows,T], logits [rows,T,V] (when want_logits), q's, steps */
    hrm_status (*on_rows)(void *user, int64_t first, const hrm_batch *batch, const hrm_run_outputs *outputs);
    int   want_logits;
    void *user;
} hrm_evaluate_desc;
HRM_API hrm_status hrm_evaluate(hrm_model *model, const hrm_dataset *data, const hrm_evaluate_desc *desc, hrm_metrics *metrics);

/* ==================================================================================================== >>api-layers ========
 * The parts, for those who build their own. hrm_real arrays on the CPU, row-major, the caller's; the calls allocate nothing,
 * are thread-safe on disjoint outputs, and run in the calling thread. Gradients of activations are assigned, those of
 * parameters (dw, db) accumulated. `scratch` holds the number of elements that the function named beside it returns.
 */
HRM_API size_t hrm_linear_scratch(size_t rows, size_t out, size_t in);
HRM_API void hrm_linear_forward(hrm_real *y, const hrm_real *x, const hrm_real *w, const hrm_real *b /* or NULL */, size_t rows,
                                size_t out, size_t in, hrm_real *scratch);
HRM_API void hrm_linear_backward(hrm_real *dx /* or NULL */, hrm_real *dw, hrm_real *db /* or NULL */, const hrm_real *dy, const hrm_real *x,
                                 const hrm_real *w, size_t rows, size_t out, size_t in, hrm_real *scratch);
HRM_API void hrm_embedding_forward(hrm_real *y, const int32_t *tokens, const hrm_real *w, size_t rows, size_t D);
HRM_API void hrm_embedding_backward(hrm_real *dw, const hrm_real *dy, const int32_t *tokens, size_t rows, size_t D);
/* cos, sin [S, head_dim/2]; x [B,S,heads,head_dim] with `stride` elements from a position to the next, rotated in place. */
HRM_API void hrm_rope_table(hrm_real *cosines, hrm_real *sines, size_t S, size_t head_dim, double theta);
HRM_API void hrm_rope_forward(hrm_real *x, const hrm_real *cosines, const hrm_real *sines, size_t B, size_t S, size_t heads, size_t head_dim, size_t stride);
HRM_API void hrm_rope_backward(hrm_real *dx, const hrm_real *cosines, const hrm_real *sines, size_t B, size_t S, size_t heads, size_t head_dim, size_t stride);
/* qkv [B,S,3,heads,head_dim] -> o [B,S,heads,head_dim]; lse [B,heads,S] is kept for the backward pass (NULL: not wanted). */
HRM_API size_t hrm_attention_scratch(size_t S, size_t head_dim);
HRM_API void hrm_attention_forward(hrm_real *o, hrm_real *lse, const hrm_real *qkv, size_t B, size_t S, size_t heads, size_t head_dim, int causal, hrm_real *scratch);
HRM_API void hrm_attention_backward(hrm_real *dqkv, const hrm_real *d_o, const hrm_real *qkv, const hrm_real *o, const hrm_real *lse, size_t B, size_t S,
                                    size_t heads, size_t head_dim, int causal, hrm_real *scratch);
/* gate_up [rows, 2I], gate first -> h [rows, I] = silu(gate) up */
HRM_API void hrm_swiglu_forward(hrm_real *h, const hrm_real *gate_up, size_t rows, size_t I);
HRM_API void hrm_swiglu_backward(hrm_real *dgate_up, const hrm_real *dh, const hrm_real *gate_up, size_t rows, size_t I);
/* y = rms(x + f); f may be NULL; r [rows] is kept for the backward pass (NULL: not wanted) */
HRM_API void hrm_rms_norm_forward(hrm_real *y, hrm_real *r, const hrm_real *x, const hrm_real *f, size_t rows, size_t D, hrm_real eps);
HRM_API void hrm_rms_norm_backward(hrm_real *ds, const hrm_real *dy, const hrm_real *y, const hrm_real *r, size_t rows, size_t D);
/* One row of tokens: logits [T,V], labels [T] (-100 ignored) -> the mean over labelled tokens; dlogits (or NULL) is the
 * gradient of scale times that mean. *correct counts tokens whose arg max is their label, *labelled those with a label. */
HRM_API double hrm_cross_entropy(hrm_loss_type type, hrm_real *dlogits, const hrm_real *logits, const int32_t *labels, size_t T, size_t V,
                                 double scale, int *correct, int *labelled);
/* Binary cross entropy on a logit; *dlogit (or NULL) = sigmoid(logit) - target. */
HRM_API double hrm_bce(double logit, double target, double *dlogit);
/* One step t >= 1 over n parameters (Everett et al. 2024, eq. 1; SPEC "Optimizers"). m, v are the caller's moments. */
HRM_API void hrm_adam_atan2(hrm_real *p, hrm_real *m, hrm_real *v, const hrm_real *g, size_t n, double lr, double beta1, double beta2, double weight_decay, int64_t t);
/* Rows `ids` [rows] of table [.., ndim]: gradients of equal ids are summed, then each such row moves once. g is overwritten. */
HRM_API void hrm_sign_sgd(hrm_real *table, hrm_real *g, const int32_t *ids, size_t rows, size_t ndim, double lr, double weight_decay);

/* ==================================================================================================== >>api-device ========
 * For backends: what a device must offer to run the model. The model code is written once against this table; `hrm_cuda.cu`
 * exports hrm_cuda_device(). Pointers named `device memory` come from buffer_alloc and are only passed back to the table.
 */
#define HRM_DEVICE_VERSION 1

typedef struct hrm_dims { /* all sizes, resolved */
    int B;             /* rows of this run */
    int T, P, S, D, V; /* tokens, puzzle positions, S = P + T, hidden, vocabulary */
    int I, heads, head_dim;
    int layers[2], cycles[2]; /* [0] H, [1] L */
    int puzzle_ids, puzzle_ndim;
    int learned, causal, softmax; /* flags: learned positions, causal attention, softmax instead of stablemax */
    int halt_max_steps;
    float eps, theta, exploration;
    hrm_forward_dtype dtype;
} hrm_dims;

/* Where the parameters stand in their arena, in elements; every offset is a multiple of 32, gaps are 0. A block's tensors:
 * level_offset[level] + layer * block_size + block_offset[…]. Level 0 is H, 1 is L. Buffers come after `trained` elements. */
enum { HRM_QKV_PROJ, HRM_O_PROJ, HRM_GATE_UP_PROJ, HRM_DOWN_PROJ, HRM_BLOCK_TENSORS };
typedef struct hrm_layout {
    size_t embed_tokens, lm_head, q_head_weight, q_head_bias, embed_pos;
    size_t level_offset[2], block_size, block_offset[HRM_BLOCK_TENSORS];
    size_t trained; /* elements of the part with gradients and moments */
    size_t H_init, L_init;
    size_t total;
} hrm_layout;

/* What changes from step to step; one copy in device memory, so that a captured step can be replayed. */
typedef struct hrm_step {
    uint64_t seed, step;            /* exploration of row r: philox(seed, HRM_STREAM_EXPLORE + r, step), words 0 and 1 */
    float    lr, weight_decay, beta1, beta2, bias1, bias2; /* bias1 = 1 - beta1^t, bias2 = sqrt(1 - beta2^t) */
    float    puzzle_lr, puzzle_weight_decay;
    float    exploration;
    int32_t  fixed_exploration;     /* 1: take min_halt_steps as given */
    float    loss_scale;            /* 1 / global batch */
} hrm_step;
#define HRM_STREAM_EXPLORE ((uint64_t)1 << 32)
enum { HRM_M_COUNT, HRM_M_ACCURACY, HRM_M_EXACT, HRM_M_Q_HALT_ACCURACY, HRM_M_STEPS, HRM_M_LM_LOSS, HRM_M_Q_HALT_LOSS, HRM_M_Q_CONTINUE_LOSS, HRM_M_ROWS, HRM_METRIC_SUMS };

typedef struct hrm_work { /* one run's memory; everything is device memory unless said otherwise */
    hrm_dims   d;
    hrm_layout at;
    int        train;
    int        rows;       /* host: rows in use, <= d.B (a solver drops rows that have halted) */
    hrm_real  *params;     /* [at.total], master weights */
    hrm_real  *grads, *m, *v; /* [at.trained], training only */
    hrm_real  *puzzle;     /* [puzzle_ids, puzzle_ndim] master table; may be NULL */
    hrm_real  *puzzle_grad; /* [B, puzzle_ndim] */
    void      *prepared;   /* the device's own form of the weights, made by prepare() */
    void      *z_H, *z_L;  /* [B,S,D] the carry, in the device's activation type */
    void      *e;          /* [B,S,D] the embedded input */
    void      *t_H, *t_L;  /* [B,S,D] the carry of the second forward pass; training only */
    int32_t   *inputs, *labels, *ids, *steps, *halted;        /* the carry's data: [B,T] [B,T] [B] [B] [B] */
    int32_t   *new_inputs, *new_labels, *new_ids, *min_halt_steps; /* the batch offered */
    hrm_real  *logits;     /* [B,T,V] */
    hrm_real  *dlogits;    /* [B,T,V]; training only */
    hrm_real  *q, *dq;     /* [B,2] halt, continue */
    hrm_real  *q2;         /* [B,2] of the second forward pass */
    hrm_real  *target_q;   /* [B] */
    int32_t   *predictions; /* [B,T] */
    double    *metrics;    /* [HRM_METRIC_SUMS] sums over the rows of this segment */
    int32_t   *bad;        /* [1] not 0 once a loss was not finite: updates must then leave the weights alone */
    hrm_step  *step;
    void      *work;       /* the device's own: saved activations, scratch; sizes() told how much */
} hrm_work;

typedef struct hrm_device hrm_device; /* a backend's own state */
typedef struct hrm_device_desc { hrm_forward_dtype dtype; hrm_pool *pool; const hrm_allocator *allocator; } hrm_device_desc;
typedef struct hrm_device_sizes { size_t activation; /* bytes of one element of z */ size_t prepared, work; /* bytes */ } hrm_device_sizes;

typedef struct hrm_device_table {
    uint32_t    version, size; /* HRM_DEVICE_VERSION, sizeof(hrm_device_table); checked when opened */
    const char *name;
    hrm_status (*open)(hrm_device **dev, const hrm_device_desc *desc);
    void (*close)(hrm_device *dev);
    hrm_status (*buffer_alloc)(hrm_device *dev, void **p, size_t bytes);
    void (*buffer_free)(hrm_device *dev, void *p, size_t bytes);
    hrm_status (*upload)(hrm_device *dev, void *dst, const void *host, size_t bytes); /* host may be reused at once */
    hrm_status (*download)(hrm_device *dev, void *host, const void *src, size_t bytes); /* waits */
    hrm_status (*copy)(hrm_device *dev, void *dst, const void *src, size_t bytes);
    hrm_status (*zero)(hrm_device *dev, void *dst, size_t bytes);
    hrm_status (*sync)(hrm_device *dev);
    hrm_status (*sizes)(hrm_device *dev, const hrm_dims *d, int train, hrm_device_sizes *sizes);
    /* Replay: *replayed = 1 when the calls up to end_step were recorded before and have been launched again as one graph; the
     * caller then skips them. `key` tells different sequences of calls on one work apart. The CPU always says 0. */
    hrm_status (*begin_step)(hrm_device *dev, hrm_work *w, int key, int *replayed);
    hrm_status (*end_step)(hrm_device *dev, hrm_work *w, int key);
    void (*forget)(hrm_device *dev, hrm_work *w); /* w is about to be freed */
    /* The model, one call a part. All work on w->rows rows. */
    hrm_status (*prepare)(hrm_device *dev, hrm_work *w);  /* params -> prepared */
    hrm_status (*act_begin)(hrm_device *dev, hrm_work *w); /* rows that have halted take the new data, z = H_init / L_init, steps = 0 */
    hrm_status (*embed)(hrm_device *dev, hrm_work *w);    /* inputs, ids -> e */
    hrm_status (*cycles)(hrm_device *dev, hrm_work *w, void *z_H, void *z_L, int all); /* passes without gradient, in place: all, or all but the last L and H */
    hrm_status (*level_forward)(hrm_device *dev, hrm_work *w, int level); /* last pass with gradient: 1: z_L += z_H + e, blocks; 0: z_H += z_L, blocks; saves */
    hrm_status (*heads)(hrm_device *dev, hrm_work *w, const void *z_H, hrm_real *q, int with_logits); /* logits and predictions from P on; q from position 0 */
    hrm_status (*act_end)(hrm_device *dev, hrm_work *w);  /* steps + 1, halted (exploration when train) */
    hrm_status (*losses)(hrm_device *dev, hrm_work *w);   /* target_q from q2, metrics, bad; when train dlogits and dq, times loss_scale */
    hrm_status (*heads_backward)(hrm_device *dev, hrm_work *w);            /* dlogits, dq -> dz_H (in work); grads of both heads */
    hrm_status (*level_backward)(hrm_device *dev, hrm_work *w, int level); /* dz in work, in place; grads of the level */
    hrm_status (*embed_backward)(hrm_device *dev, hrm_work *w);            /* dz in work -> grads of embeddings, puzzle_grad */
    hrm_status (*adam_atan2)(hrm_device *dev, hrm_work *w); /* params, m, v from grads; zeroes grads */
    hrm_status (*sign_sgd)(hrm_device *dev, hrm_work *w);   /* puzzle rows of `ids` from puzzle_grad */
    hrm_status (*gather)(hrm_device *dev, hrm_work *w, const int32_t *rows, int n); /* host rows[n], ascending: carry row i = row rows[i]; sets w->rows = n */
    hrm_status (*all_reduce)(hrm_device *dev, hrm_work *w);  /* sums grads and puzzle gradients over ranks; nothing to do on one */
} hrm_device_table;

HRM_API const hrm_device_table *hrm_cuda_device(void); /* in hrm_cuda.o */

#ifdef __cplusplus
}
#endif
#endif /* HRM_H */

/* ========================================================================================================================
 *                                                    implementation
 * ======================================================================================================================== */
#ifdef HRM_IMPLEMENTATION
#ifndef HRM_IMPLEMENTATION_DONE
#define HRM_IMPLEMENTATION_DONE

/* ==================================================================================================== >>platform ==========*/
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#define HRM__COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Leaves the function with the status of `call` unless it is HRM_OK. */
#define HRM__TRY(call) \
    do { \
        hrm_status hrm__s = (call); \
        if (hrm__s != HRM_OK) return hrm__s; \
    } while (0)

static int     hrm__min_int(int a, int b) { return a < b ? a : b; }
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
#define hrm__fail hrm_error_set

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

static hrm_status hrm__strdup(const hrm_allocator *a, char **out, const char *s)
{
    size_t n = strlen(s) + 1;
    void *p;
    HRM__TRY(hrm__alloc(a, &p, n, 1, "a text"));
    memcpy(p, s, n);
    *out = (char *)p;
    return HRM_OK;
}
static void hrm__strfree(const hrm_allocator *a, char *s)
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
    #define hrm__add(p, n) (*(p) += (n)) /* -> the new value */
    #define hrm__store(p, n) (*(p) = (n))
#elif defined(_MSC_VER)
typedef volatile long hrm__atomic;
    #define hrm__load(p)   InterlockedCompareExchange((p), 0, 0)
    #define hrm__add(p, n) (InterlockedExchangeAdd((p), (n)) + (n))
    #define hrm__store(p, n) InterlockedExchange((p), (n))
#else
typedef int hrm__atomic;
    #define hrm__load(p)   __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define hrm__add(p, n) __atomic_add_fetch((p), (n), __ATOMIC_SEQ_CST)
    #define hrm__store(p, n) __atomic_store_n((p), (n), __ATOMIC_SEQ_CST)
#endif

#if defined(__x86_64__) || defined(__i386__)
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

HRM_API int hrm_cpu_count(void)
{
#ifdef _WIN32
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors > 0 ? (int)info.dwNumberOfProcessors : 1;
#elif defined(_SC_NPROCESSORS_ONLN)
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < 4096 ? (int)n : 1;
#else
    return 1;
#endif
}

#ifdef HRM_NO_THREADS

struct hrm_pool { const hrm_allocator *allocator; };

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
HRM_API void hrm_pool_run(hrm_pool *pool, hrm_pool_function function, void *context) { (void)pool; function(context, 0, 1); }
HRM_API void hrm_pool_barrier(hrm_pool *pool) { (void)pool; }

#else

typedef struct hrm__gate { hrm__atomic value, sleepers; } hrm__gate;
typedef struct hrm__worker { struct hrm_pool *pool; int id; hrm__thread thread; } hrm__worker;

struct hrm_pool {
    const hrm_allocator *allocator;
    int               size, started, spins;
    hrm_pool_function function; /* NULL: the workers leave */
    void             *context;
    hrm__gate         job, barrier;
    hrm__atomic       arrived;
    hrm__mutex        mutex;
    hrm__condition    condition;
    hrm__worker      *workers; /* [size], the first is the caller and has no thread */
};

static void hrm__gate_wait(hrm_pool *pool, hrm__gate *gate, int known)
{
    for (int i = 0; i < pool->spins; i++) {
        if (hrm__load(&gate->value) != known) return;
        hrm__pause();
    }
    hrm__mutex_lock(&pool->mutex);
    (void)hrm__add(&gate->sleepers, 1);
    while (hrm__load(&gate->value) == known) hrm__condition_wait(&pool->condition, &pool->mutex);
    (void)hrm__add(&gate->sleepers, -1);
    hrm__mutex_unlock(&pool->mutex);
}

static void hrm__gate_open(hrm_pool *pool, hrm__gate *gate)
{
    (void)hrm__add(&gate->value, 1);
    if (hrm__load(&gate->sleepers) == 0) return; /* a sleeper counts itself before it looks at the value: none is missed */
    hrm__mutex_lock(&pool->mutex);
    hrm__condition_wake(&pool->condition);
    hrm__mutex_unlock(&pool->mutex);
}

HRM_API void hrm_pool_barrier(hrm_pool *pool)
{
    if (pool->size == 1) return;
    int known = (int)hrm__load(&pool->barrier.value);
    if (hrm__add(&pool->arrived, 1) == pool->size) {
        hrm__store(&pool->arrived, 0);
        hrm__gate_open(pool, &pool->barrier);
    } else {
        hrm__gate_wait(pool, &pool->barrier, known);
    }
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

HRM_API void hrm_pool_run(hrm_pool *pool, hrm_pool_function function, void *context)
{
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
    if (pool->started) {
        pool->function = NULL;
        hrm__gate_open(pool, &pool->job);
        for (int i = 1; i <= pool->started; i++) {
#ifdef _WIN32
            WaitForSingleObject(pool->workers[i].thread, INFINITE);
            CloseHandle(pool->workers[i].thread);
#else
            pthread_join(pool->workers[i].thread, NULL);
#endif
        }
    }
    hrm__condition_destroy(&pool->condition);
    hrm__mutex_destroy(&pool->mutex);
    hrm__free(pool->allocator, pool->workers, (size_t)pool->size, sizeof *pool->workers);
    hrm__free(pool->allocator, pool, 1, sizeof *pool);
}

HRM_API hrm_status hrm_pool_create(hrm_pool **out, int num_threads, const hrm_allocator *allocator)
{
    if (num_threads < 0 || num_threads > 1024) return hrm__fail(HRM_ERR_ARGUMENT, "num_threads is %d, expected 0 to 1024", num_threads);
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
    pool->size = num_threads;
    pool->spins = num_threads > hrm_cpu_count() ? 0 : 20000; /* with more threads than processors an active wait only steals time */
    pool->workers = (hrm__worker *)workers;
    hrm__mutex_init(&pool->mutex);
    hrm__condition_init(&pool->condition);
    for (int i = 1; i < num_threads; i++) {
        hrm__worker *w = &pool->workers[i];
        w->pool = pool;
        w->id = i;
#ifdef _WIN32
        w->thread = CreateThread(NULL, 0, hrm__worker_main, w, 0, NULL);
        int ok = w->thread != NULL;
#else
        int ok = pthread_create(&w->thread, NULL, hrm__worker_main, w) == 0;
#endif
        if (!ok) {
            hrm_pool_destroy(pool);
            return hrm__fail(HRM_ERR_MEMORY, "thread %d of %d could not be started", i + 1, num_threads);
        }
        pool->started = i;
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
 * environment variable HRM_CPU (avx512, avx2, neon, scalar) forces a choice.
 *
 * Bodies and dispatchers stand between HRM__FAST_BEGIN and HRM__FAST_END: there gcc vectorises even when the program is built
 * with -O2, contracts a*b + c, which -std=c99 would turn off, and may compute a value that a condition then drops. No more of
 * "fast math" than that: the order of a reassociated sum would be the compiler's choice, so sums spell out their lanes
 * (hrm__sum, hrm__dot).
 */
#if defined(__GNUC__) && !defined(__clang__)
    #define HRM__FAST_BEGIN \
        _Pragma("GCC push_options") _Pragma("GCC optimize(\"O3\", \"fp-contract=fast\", \"no-trapping-math\")")
    #define HRM__FAST_END _Pragma("GCC pop_options")
#else
    #define HRM__FAST_BEGIN
    #define HRM__FAST_END
#endif

/* GCC for Windows aligns the stack to 16 bytes only: spilled AVX registers would fault there. */
#if defined(HRM__REAL_FLOAT) && !defined(HRM_NO_SIMD) && defined(__GNUC__)
    #if defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))
        #define HRM__X86 1
        #include <cpuid.h>
        #define HRM__AVX2   __attribute__((target("avx2,fma")))
        #define HRM__AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
    #elif defined(__aarch64__)
        #define HRM__NEON 1     /* the baseline there: no attribute needed */
    #endif
#endif

enum { HRM__CPU_UNKNOWN, HRM__CPU_SCALAR, HRM__CPU_NEON, HRM__CPU_AVX2, HRM__CPU_AVX512 };
static const char *const hrm__cpu_names[] = {"", "scalar", "neon", "avx2", "avx512"};

static int hrm__cpu_best(void)
{
    /* the widest instruction set that both the processor and the operating system support */
#if defined(HRM__X86)
    unsigned a, b, c, d, lo, hi;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return HRM__CPU_SCALAR;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    if ((lo & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return HRM__CPU_SCALAR;
    const unsigned wide = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    return (lo & 0xe6) == 0xe6 && (b & wide) == wide ? HRM__CPU_AVX512 : HRM__CPU_AVX2;
#elif defined(HRM__NEON)
    return HRM__CPU_NEON;
#else
    return HRM__CPU_SCALAR;
#endif
}

static hrm__atomic hrm__cpu_chosen;     /* HRM__CPU_UNKNOWN until the first look; every thread would write the same value */

/* Reads HRM_CPU. A name that is unknown or not supported here is an error; whoever ignores it gets the best there is. */
HRM__UNUSED static hrm_status hrm__cpu_select(void)
{
    int best = hrm__cpu_best(), want = best;
    const char *name = getenv("HRM_CPU");
    hrm_status status = HRM_OK;
    if (name && *name) {
        for (want = HRM__CPU_AVX512; want > 0 && strcmp(name, hrm__cpu_names[want]) != 0;) want--;
        if (want == HRM__CPU_UNKNOWN) {
            status = hrm__fail(HRM_ERR_ARGUMENT, "HRM_CPU=%s: expected avx512, avx2, neon or scalar", name);
            want = best;
        } else if (want > best || (want == HRM__CPU_NEON && best != HRM__CPU_NEON)) {
            status = hrm__fail(HRM_ERR_ARGUMENT, "HRM_CPU=%s: not supported here, the best is %s", name, hrm__cpu_names[best]);
            want = best;
        }
    }
    hrm__store(&hrm__cpu_chosen, want);
    return status;
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

#if defined(HRM__X86)
    #define HRM__DISPATCH(name, params, args) \
        static HRM__AVX512 void name##_avx512 params { name##_body args; } \
        static HRM__AVX2 void name##_avx2 params { name##_body args; } \
        static void name##_scalar params { name##_body args; } \
        static void name params \
        { \
            int hrm__isa = hrm__cpu(); \
            if (hrm__isa == HRM__CPU_AVX512) name##_avx512 args; \
            else if (hrm__isa == HRM__CPU_AVX2) name##_avx2 args; \
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
    if (sizeof(hrm_real) == sizeof(double)) return (hrm_real)exp((double)x);
    v = v < -87.33654f ? -87.33654f : v;
    v = v > 88.37626f ? 88.37626f : v;
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
    return (hrm_real)(p * scale);
}

/* ln x for normal x > 0, to 1e-7 relative (absolute where |ln x| < 1) */
HRM__INLINE hrm_real hrm__log(hrm_real x)
{
    float v = (float)x, m, e, z, p;
    int32_t bits, exponent;
    if (sizeof(hrm_real) == sizeof(double)) return (hrm_real)log((double)x);
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

HRM__INLINE hrm_real hrm__sigmoid(hrm_real x) { return 1 / (1 + hrm__exp(-x)); }
HRM__INLINE hrm_real hrm__silu(hrm_real x) { return x / (1 + hrm__exp(-x)); }

/* the square root, x >= 0; to 1e-7; libm's may set errno and so does not vectorise: Newton's iteration for 1/sqrt x */
HRM__INLINE hrm_real hrm__sqrt(hrm_real x)
{
    float v = (float)x, r, s;
    int32_t bits;
    if (sizeof(hrm_real) == sizeof(double)) return (hrm_real)sqrt((double)x);
    memcpy(&bits, &v, sizeof bits);
    bits = 0x5f375a86 - (bits >> 1);
    memcpy(&r, &bits, sizeof r);
    r = r * (1.5f - 0.5f * v * r * r);
    r = r * (1.5f - 0.5f * v * r * r);
    r = r * (1.5f - 0.5f * v * r * r);
    s = v * r;
    return (hrm_real)(s + 0.5f * r * (v - s * s));
}

/* the angle of (x, y) for x >= 0, to 2.5e-7 relative; 0 for (0, 0) */
HRM__INLINE hrm_real hrm__atan2(hrm_real y, hrm_real x)
{
    float u = (float)x, v = (float)y, w, lo, hi, num, den, t, z, p, base;
    if (sizeof(hrm_real) == sizeof(double)) return (hrm_real)atan2((double)y, (double)x);
    w = v < 0 ? -v : v;
    lo = w < u ? w : u;
    hi = w < u ? u : w;
    num = lo > 0.414213562f * hi ? lo - hi : lo;        /* above tan(pi/8): atan q = pi/4 + atan((q - 1)/(q + 1)) */
    den = lo > 0.414213562f * hi ? lo + hi : hi;
    base = lo > 0.414213562f * hi ? 0.785398163f : 0.0f;
    t = num / (hi > 0 ? den : 1.0f);
    z = t * t;
    p = 8.053646982e-2f;
    p = p * z - 1.387765706e-1f;
    p = p * z + 1.997770816e-1f;
    p = p * z - 3.333294988e-1f;
    p = base + (p * z * t + t);
    p = w < u ? p : 1.57079633f - p;
    p = hi > 0 ? p : 0.0f;
    return (hrm_real)(v < 0 ? -p : p);
}

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
    for (l = 0; j < n; j++, l++) lane[l] += x[j];
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
    for (l = 0; j < n; j++, l++) lane[l] += x[j] * y[j];
    return hrm__sum_lanes(lane);
}

/* x [n >= 1] -> the largest; float bits with the sign folded in order as integers, whose maximum vectorises, unlike a float's */
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

/* ==================================================================================================== >>dtype =============*/

/* ==================================================================================================== >>files =============*/

/* ==================================================================================================== >>json ==============*/

/* ==================================================================================================== >>npy ===============*/

/* ==================================================================================================== >>safetensors =======*/

/* ==================================================================================================== >>torch-zip =========*/

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
 * Every c[i][j] is one chain of multiply-adds over ascending k, whatever tile, block or thread it falls into (storing and
 * reloading it between blocks changes nothing): results are bitwise equal for any team and any split of the rows.
 */
HRM__FAST_BEGIN
#define HRM__GEMM_KC    384      /* inner block: a panel of it fits the first-level cache */
#define HRM__GEMM_BLOCK 98304    /* elements of A (or of packed B in gemm_tn) kept in the second-level cache */
#define HRM__GEMM_MC    256      /* rows of the long dimension in a block of gemm_tn; its sums are added block by block */
#define HRM__GEMM_MR    14       /* the largest mr and nr of all kernels */
#define HRM__GEMM_NR    32

typedef enum { HRM__TILE_SET, HRM__TILE_CONTINUE, HRM__TILE_ADD } hrm__tile_mode;

/* a [rows,K] with strides, b [K,nr] one panel -> c [rows,nr]: assigned, continued as the chain's start, or added to at the end.
 * From a_next and b_next on, a line a step is fetched ahead for the calls to come; any address will do. */
typedef void hrm__tile_fn(hrm_real *c, size_t ldc, const hrm_real *a, size_t a_row, size_t a_step, const hrm_real *b, size_t K,
                          hrm__tile_mode mode, const hrm_real *a_next, const hrm_real *b_next);
typedef struct hrm__gemm_kernel {
    size_t mr, nr;          /* nr = 2 vectors; the last panel is one vector wide where that is enough */
    hrm__tile_fn *const *tiles; /* of 1 row and 1 vector, 1 row and 2 vectors, 2 rows … mr rows and 2 vectors */
} hrm__gemm_kernel;

/* The micro-kernel for one instruction set: V is a vector of W elements. Rows r >= MR and the second vector where NV is 1
 * vanish at compile time, which leaves MR * NV multiply-adds, NV loads of B and MR broadcasts of A in the inner loop. Three
 * rows share a pointer, so that all of them fit the registers. */
#define HRM__ROWS(X) \
    X(0, p0, 0) X(1, p0, 1) X(2, p0, 2) X(3, p3, 0) X(4, p3, 1) X(5, p3, 2) X(6, p6, 0) \
    X(7, p6, 1) X(8, p6, 2) X(9, p9, 0) X(10, p9, 1) X(11, p9, 2) X(12, p12, 0) X(13, p12, 1)
#define HRM__ROW_ZERO(r, p, s) V c##r = {0}, d##r = {0};
#define HRM__ROW_LOAD(r, p, s) \
    if (r < MR) { \
        c##r = *(const V *)(c + r * ldc); \
        if (NV > 1) d##r = *(const V *)(c + r * ldc + W); \
    }
#define HRM__ROW_FMA(r, p, s) \
    if (r < MR) { \
        c##r += b0 * p[s * a_row]; \
        if (NV > 1) d##r += b1 * p[s * a_row]; \
    }
#define HRM__ROW_ADD(r, p, s) \
    if (r < MR) { \
        c##r += *(const V *)(c + r * ldc); \
        if (NV > 1) d##r += *(const V *)(c + r * ldc + W); \
    }
#define HRM__ROW_STORE(r, p, s) \
    if (r < MR) { \
        *(V *)(c + r * ldc) = c##r; \
        if (NV > 1) *(V *)(c + r * ldc + W) = d##r; \
    }
#define HRM__ROW_FETCH(r, p, s) \
    if (r < MR) { \
        HRM__PREFETCH_WRITE(c + r * ldc); \
        if (NV > 1) HRM__PREFETCH_WRITE(c + r * ldc + W); \
    }

#define HRM__TILE(name, target, vector, MR_, NV_) \
    static target void name##_##MR_##_##NV_(hrm_real *c, size_t ldc, const hrm_real *a, size_t a_row, size_t a_step, \
                                            const hrm_real *b, size_t K, hrm__tile_mode mode, const hrm_real *a_next, \
                                            const hrm_real *b_next) \
    { \
        typedef vector V; \
        enum { MR = MR_, NV = NV_, W = (int)(sizeof(V) / sizeof(hrm_real)), LINE = (int)(64 / sizeof(hrm_real)) }; \
        const hrm_real *p0 = a, *p3 = MR > 3 ? a + 3 * a_row : a, *p6 = MR > 6 ? a + 6 * a_row : a, \
                       *p9 = MR > 9 ? a + 9 * a_row : a, *p12 = MR > 12 ? a + 12 * a_row : a; \
        HRM__ROWS(HRM__ROW_ZERO) \
        if (mode == HRM__TILE_CONTINUE) { HRM__ROWS(HRM__ROW_LOAD) } else { HRM__ROWS(HRM__ROW_FETCH) } \
        for (size_t k = 0; k < K; k++, b += NV * W, p0 += a_step, p3 += a_step, p6 += a_step, p9 += a_step, p12 += a_step) { \
            V b0 = *(const V *)b, b1 = NV > 1 ? *(const V *)(b + (NV - 1) * W) : b0; \
            HRM__PREFETCH(a_next + k * LINE); \
            HRM__PREFETCH(b_next + k * LINE); \
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
#define HRM__TILE_KERNEL(name, target, vector, tiles, mr, nr) \
    tiles(HRM__TILE, name, target, vector) \
    static hrm__tile_fn *const name##_all[] = {tiles(HRM__TILE_NAME, name, target, vector)}; \
    static const hrm__gemm_kernel name = {mr, nr, name##_all};

/* Unaligned vectors that may alias arrays of their elements. The 16-byte one is SSE2, NEON, VSX or whatever is there. */
#if defined(__GNUC__)
    #define HRM__VECTOR(bytes) __attribute__((vector_size(bytes), aligned(sizeof(hrm_real)), may_alias))
    #define HRM__PREFETCH(p)       __builtin_prefetch((p), 0, 2)
    #define HRM__PREFETCH_WRITE(p) __builtin_prefetch((p), 1)
typedef hrm_real hrm__v16 HRM__VECTOR(16);
#else
    #define HRM__PREFETCH(p)       ((void)0)
    #define HRM__PREFETCH_WRITE(p) ((void)0)
typedef hrm_real hrm__v16;
#endif

HRM__TILE_KERNEL(hrm__tile_scalar, , hrm__v16, HRM__TILES_4, 4, 2 * sizeof(hrm__v16) / sizeof(hrm_real))
#if defined(HRM__X86)
typedef hrm_real hrm__v32 HRM__VECTOR(32);
typedef hrm_real hrm__v64 HRM__VECTOR(64);
HRM__TILE_KERNEL(hrm__tile_avx2, HRM__AVX2, hrm__v32, HRM__TILES_6, 6, 16)
HRM__TILE_KERNEL(hrm__tile_avx512, HRM__AVX512, hrm__v64, HRM__TILES_14, 14, 32)
#elif defined(HRM__NEON)
HRM__TILE_KERNEL(hrm__tile_neon, , hrm__v16, HRM__TILES_12, 12, 8)
#endif

static const hrm__gemm_kernel *hrm__gemm_kernel_get(void)
{
    switch (hrm__cpu()) {
#if defined(HRM__X86)
    case HRM__CPU_AVX512: return &hrm__tile_avx512;
    case HRM__CPU_AVX2: return &hrm__tile_avx2;
#elif defined(HRM__NEON)
    case HRM__CPU_NEON: return &hrm__tile_neon;
#endif
    default: return &hrm__tile_scalar;
    }
}

/* Columns a panel is stored with when `left` columns remain: nr, or one vector. */
static size_t hrm__panel_width(size_t left, size_t nr) { return 2 * left <= nr ? nr / 2 : nr; }

/* src [rows,cols] -> dst, where the row lengths of full tiles and panels are constants, and so a few moves each */
#define HRM__COPY_CASE(n) \
    case n: \
        for (; rows > 0; rows--, dst += ldd, src += lds) { \
            HRM__PREFETCH(src + 2 * n); \
            memcpy(dst, src, n * sizeof *dst); \
        } \
        break;
HRM__INLINE void hrm__copy_rows_body(hrm_real *dst, size_t ldd, const hrm_real *src, size_t lds, size_t rows, size_t cols)
{
    switch (cols) {
        HRM__COPY_CASE(4) HRM__COPY_CASE(6) HRM__COPY_CASE(8) HRM__COPY_CASE(12) HRM__COPY_CASE(14) HRM__COPY_CASE(16) HRM__COPY_CASE(32)
    default:
        for (; rows > 0; rows--, dst += ldd, src += lds) memcpy(dst, src, cols * sizeof *dst);
    }
}
HRM__DISPATCH(hrm__copy_rows, (hrm_real *dst, size_t ldd, const hrm_real *src, size_t lds, size_t rows, size_t cols),
              (dst, ldd, src, lds, rows, cols))

/* b [K,cols] with the strides b_k, b_col -> one panel [K,width], zeros in the columns past cols */
static void hrm__pack_panel(hrm_real *dst, const hrm_real *b, size_t b_k, size_t b_col, size_t K, size_t cols, size_t width)
{
    size_t k, j;
    if (b_col == 1 && cols == width) {
        hrm__copy_rows(dst, width, b, b_k, K, cols);
    } else {
        for (k = 0; k < K; k++) {
            for (j = 0; j < cols; j++) dst[k * width + j] = b[k * b_k + j * b_col];
            for (; j < width; j++) dst[k * width + j] = 0;
        }
    }
}

/* Elements that hrm__pack needs for w [N,K], plain or transposed. */
HRM__UNUSED static size_t hrm__pack_size(size_t N, size_t K)
{
    size_t plain = (N + HRM__GEMM_NR - 1) / HRM__GEMM_NR * HRM__GEMM_NR * K;
    size_t transposed = (K + HRM__GEMM_NR - 1) / HRM__GEMM_NR * HRM__GEMM_NR * N;
    return plain > transposed ? plain : transposed;
}

/* w [N,K] -> dst, the operand for y = x w^T (N columns, inner K), or if transposed for dx = dy w (K columns, inner N) */
HRM__UNUSED static void hrm__pack(hrm_real *dst, const hrm_real *w, size_t N, size_t K, int transposed, const hrm__team *t)
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

/* one tile into c [rows,cols], cols <= the panel's width; a narrower one goes through a buffer, so that nothing beyond c is touched */
static void hrm__tile(const hrm__gemm_kernel *kernel, hrm_real *c, size_t ldc, const hrm_real *a, size_t a_row, size_t a_step,
                      const hrm_real *b, size_t K, size_t rows, size_t cols, hrm__tile_mode mode, const hrm_real *a_next,
                      const hrm_real *b_next)
{
    const size_t width = hrm__panel_width(cols, kernel->nr);
    hrm__tile_fn *tile = kernel->tiles[2 * rows - (width == kernel->nr ? 1 : 2)];
    hrm_real edge[HRM__GEMM_MR * HRM__GEMM_NR];
    size_t i, j;
    if (cols >= width) {
        tile(c, ldc, a, a_row, a_step, b, K, mode, a_next, b_next);
        return;
    }
    if (mode != HRM__TILE_SET)
        for (i = 0; i < rows; i++) {
            for (j = 0; j < cols; j++) edge[i * width + j] = c[i * ldc + j];
            for (; j < width; j++) edge[i * width + j] = 0;
        }
    tile(edge, width, a, a_row, a_step, b, K, mode, a_next, b_next);
    for (i = 0; i < rows; i++)
        for (j = 0; j < cols; j++) c[i * ldc + j] = edge[i * width + j];
}

/* Elements of scratch that each member of the team needs for either product, of any shape. */
HRM__UNUSED static size_t hrm__gemm_scratch(void)
{
    return HRM__GEMM_BLOCK + HRM__GEMM_MC * HRM__GEMM_MR + HRM__GEMM_NR;
}

/* a [M,K] rows lda apart, packed operand of N columns -> c [M,N] rows ldc apart, assigned or accumulated. scratch: this member's own */
HRM__UNUSED static void hrm__gemm(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const hrm_real *packed, size_t M, size_t N, size_t K,
                      int accumulate, hrm_real *scratch, const hrm__team *t)
{
    const hrm__gemm_kernel *kernel = hrm__gemm_kernel_get();
    const size_t mr = kernel->mr, nr = kernel->nr, tiles = (M + mr - 1) / mr, panels = (N + nr - 1) / nr, size = (size_t)t->size;
    const int copy = lda * sizeof *a % 2048 == 0 && lda * sizeof *a > 2048;
    size_t m0 = 0, m1 = tiles, p0 = 0, p1 = panels, i, k, p, m, mc, kc;
    /* rows are split among the team, or columns where that leaves the busiest member less to do */
    if ((tiles + size - 1) / size * panels <= (panels + size - 1) / size * tiles) hrm__team_range(t, tiles, 1, &m0, &m1);
    else hrm__team_range(t, panels, 1, &p0, &p1);
    m1 = m1 * mr < M ? m1 * mr : M;
    for (m = m0 * mr; m < m1 && p0 < p1; m += mc) {
        kc = K < HRM__GEMM_KC ? K : HRM__GEMM_KC;
        mc = HRM__GEMM_BLOCK / (kc + 16) / mr * mr;
        if (mc > m1 - m) mc = m1 - m;
        for (k = 0; k < K; k += kc) {
            const hrm_real *block = a + m * lda + k;
            size_t stride = lda;
            kc = K - k < HRM__GEMM_KC ? K - k : HRM__GEMM_KC;
            if (copy) {
                stride = kc + 16;
                for (i = 0; i < mc; i++) memcpy(scratch + i * stride, block + i * lda, kc * sizeof *a);
                block = scratch;
            }
            for (p = p0; p < p1; p++) {
                size_t cols = N - p * nr < nr ? N - p * nr : nr;
                const hrm_real *b = packed + p * nr * K + k * hrm__panel_width(cols, nr);
                for (i = 0; i < mc; i += mr)
                    hrm__tile(kernel, c + (m + i) * ldc + p * nr, ldc, block + i * stride, stride, 1, b, kc, mc - i < mr ? mc - i : mr,
                              cols, accumulate || k > 0 ? HRM__TILE_CONTINUE : HRM__TILE_SET,
                              p == p0 && stride == kc ? block + (i + mr) * stride : block + i * stride,
                              p + 1 < p1 && i < 2 * mr ? b + nr * K + i / mr * kc * 16 : b);
            }
        }
    }
}

/* a [M,N], b [M,K] -> c [N,K] += a^T b. The sums run over blocks of MC rows, so M may be long without losing precision */
HRM__UNUSED static void hrm__gemm_tn(hrm_real *c, size_t ldc, const hrm_real *a, size_t lda, const hrm_real *b, size_t ldb, size_t M, size_t N,
                         size_t K, hrm_real *scratch, const hrm__team *t)
{
    const hrm__gemm_kernel *kernel = hrm__gemm_kernel_get();
    const size_t mr = kernel->mr, nr = kernel->nr, tiles = (N + mr - 1) / mr, panels = (K + nr - 1) / nr;
    size_t rows = (size_t)t->size, columns, g, best = (size_t)-1, n0, n1, p0, p1, q, m, mc, p, n;
    hrm_real *tile = scratch + HRM__GEMM_BLOCK;
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
    for (; p0 < p1; p0 = q) {
        q = p0 + HRM__GEMM_BLOCK / HRM__GEMM_MC / nr < p1 ? p0 + HRM__GEMM_BLOCK / HRM__GEMM_MC / nr : p1;
        for (m = 0; m < M; m += mc) {
            mc = M - m < HRM__GEMM_MC ? M - m : HRM__GEMM_MC;
            for (p = p0; p < q; p++) {
                size_t cols = K - p * nr < nr ? K - p * nr : nr;
                hrm__pack_panel(scratch + (p - p0) * nr * mc, b + m * ldb + p * nr, ldb, 1, mc, cols, hrm__panel_width(cols, nr));
            }
            for (n = n0 * mr; n < n1; n += mr) {
                size_t high = n1 - n < mr ? n1 - n : mr;
                hrm__copy_rows(tile, high, a + m * lda + n, lda, mc, high);
                for (p = p0; p < q; p++) {
                    size_t cols = K - p * nr < nr ? K - p * nr : nr;
                    hrm__tile(kernel, c + n * ldc + p * nr, ldc, tile, 1, high, scratch + (p - p0) * nr * mc, mc, high, cols,
                              HRM__TILE_ADD, tile, scratch + (p - p0) * nr * mc);
                }
            }
        }
    }
}
HRM__FAST_END

/* ==================================================================================================== >>layers ============*/

/* ==================================================================================================== >>losses ============*/

/* ==================================================================================================== >>optimizers ========*/

/* ==================================================================================================== >>cpu-backend =======*/

/* ==================================================================================================== >>model =============*/

/* ==================================================================================================== >>act ===============*/

/* ==================================================================================================== >>trainer ===========*/

/* ==================================================================================================== >>dataset ===========*/

/* ==================================================================================================== >>checkpoint ========*/

/* ==================================================================================================== >>solve =============*/

#endif /* HRM_IMPLEMENTATION_DONE */
#endif /* HRM_IMPLEMENTATION */
