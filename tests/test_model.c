/* Models as objects: sizes and memory known beforehand, no allocation in a step, every allocation failing in turn, save and
 * load, and arguments that do not fit. */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

static char PATH[400];

typedef struct little_data { uint8_t inputs[24 * 6], labels[24 * 6]; int32_t ids[24]; hrm_dataset_arrays arrays; } little_data;

static void little_init(little_data *l)
{
    hrm_random r = hrm_random_make(4, 4);
    memset(l, 0, sizeof *l);
    for (int i = 0; i < 24 * 6; i++) {
        l->inputs[i] = (uint8_t)hrm_random_below(&r, 5);
        l->labels[i] = (uint8_t)((l->inputs[i] + 1) % 5);
    }
    for (int i = 0; i < 24; i++) l->ids[i] = (int32_t)hrm_random_below(&r, 4);
    l->arrays.seq_len = 6, l->arrays.vocab_size = 5, l->arrays.num_puzzle_identifiers = 4;
    l->arrays.num_examples = 24, l->arrays.inputs = l->inputs, l->arrays.labels = l->labels,
    l->arrays.puzzle_identifiers = l->ids;
}

/* ---- the paper's size ------------------------------------------------------------------------------------------------ */
static void check_full_size(void)
{
    hrm_model_desc d;
    hrm_memory memory;
    hrm_model *model = NULL;
    counting c;
    counting_init(&c);
    memset(&d, 0, sizeof d);
    d.seq_len = 81, d.vocab_size = 11, d.allocator = &c.allocator;
    d.halt_max_steps = 2;
    CHECK_OK(hrm_model_memory(&memory, &d, 1));
    CHECK_OK(hrm_model_create(&model, &d));
    if (!model) return;
    CHECK(hrm_model_parameters(model) == 27275266, "%lld parameters for Sudoku, expected 27275266",
          (long long)hrm_model_parameters(model));
    const hrm_model_desc *r = hrm_model_describe(model);
    CHECK(r->hidden_size == 512 && r->num_heads == 8 && r->H_layers == 4 && r->L_layers == 4 && r->H_cycles == 2 &&
              r->L_cycles == 2 && r->puzzle_emb_ndim == 512 && r->num_puzzle_identifiers == 1 &&
              fabs((double)r->expansion - 4) <= 0 && r->halt_max_steps == 2 && fabs((double)r->rope_theta - 10000) <= 0 &&
              r->pos_encodings == HRM_ROPE && r->loss_type == HRM_STABLEMAX_CROSS_ENTROPY,
          "defaults are not the paper's");
    int64_t trained = 0;
    for (int i = 0; i < hrm_model_tensor_count(model); i++) {
        hrm_tensor t;
        hrm_role role;
        CHECK_OK(hrm_model_tensor(model, i, &t, &role));
        if (role == HRM_TRAINED) trained += (int64_t)(t.bytes / sizeof(hrm_real));
        CHECK(hrm_model_tensor_find(model, t.name) == i, "%s is not found under its own name", t.name);
    }
    CHECK(trained == 27275266, "the trained tensors have %lld elements", (long long)trained);

    /* the initial weights: standard deviations as asked for, cut off at two of the raw normal's */
    static const struct { const char *name; double std;
    } weights[] = {{"inner.embed_tokens.embedding_weight", 0.044194},
                   {"inner.lm_head.weight", 0.044194},
                   {"inner.H_init", 1},
                   {"inner.L_init", 1},
                   {"inner.H_level.layers.0.self_attn.qkv_proj.weight", 0.044194},
                   {"inner.L_level.layers.3.mlp.down_proj.weight", 0.025516},
                   {"inner.H_level.layers.3.mlp.gate_up_proj.weight", 0.044194}};
    for (size_t k = 0; k < HRM__COUNT(weights); k++) {
        int index = hrm_model_tensor_find(model, weights[k].name);
        CHECK(index >= 0, "no tensor %s", weights[k].name);
        if (index < 0) continue;
        size_t n = 0;
        hrm_real *v = tensor_values(model, index, &n, NULL);
        double mean = 0, square = 0, largest = 0;
        for (size_t i = 0; i < n; i++) {
            double x = (double)v[i];
            mean += x / (double)n;
            square += x * x / (double)n;
            largest = fmax(largest, fabs(x));
        }
        double std = sqrt(square - mean * mean), sigma = weights[k].std / sqrt((double)n);
        CHECK(fabs(mean) < 4.5 * sigma, "%s: mean %g", weights[k].name, mean);
        CHECK(fabs(std - weights[k].std) < 4 * sigma + 1e-5, "%s: standard deviation %g, expected %g", weights[k].name, std,
              weights[k].std);
        CHECK(largest <= 2 * weights[k].std / 0.87962 && largest > 1.8 * weights[k].std, "%s: largest %g", weights[k].name,
              largest);
        free(v);
    }
    size_t n = 0;
    hrm_real *bias = tensor_values(model, hrm_model_tensor_find(model, "inner.q_head.bias"), &n, NULL);
    CHECK(n == 2 && fabs((double)bias[0] + 5) <= 0 && fabs((double)bias[1] + 5) <= 0, "the q bias starts at -5");
    free(bias);

    /* a step and a solution */
    static uint8_t inputs[2 * 81], labels[2 * 81];
    hrm_dataset_arrays a;
    hrm_dataset *data = NULL;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < 2 * 81; i++) inputs[i] = (uint8_t)(1 + i % 10), labels[i] = (uint8_t)(2 + i % 9);
    a.seq_len = 81, a.vocab_size = 11, a.num_puzzle_identifiers = 1, a.num_examples = 2, a.inputs = inputs, a.labels = labels;
    CHECK_OK(hrm_dataset_from_arrays(&data, &a, NULL));
    hrm_train_desc td;
    hrm_trainer *trainer = NULL;
    hrm_metrics m;
    memset(&td, 0, sizeof td);
    memset(&m, 0, sizeof m);
    td.steps = 2, td.batch_size = 1;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    if (trainer) CHECK_OK(hrm_trainer_step(trainer, data, &m));
    CHECK(m.lm_loss > 1 && m.lm_loss < 10, "a first loss of %g", m.lm_loss);
    CHECK(c.live_bytes <= memory.model + memory.train, "%zu bytes to train, hrm_model_memory says %zu", c.live_bytes,
          memory.model + memory.train);
    hrm_trainer_destroy(trainer);
    int32_t puzzle[81], answer[81];
    for (int i = 0; i < 81; i++) puzzle[i] = inputs[i], answer[i] = -1;
    CHECK_OK(hrm_solve(model, puzzle, answer, NULL));
    for (int i = 0; i < 81; i++)
        if (answer[i] < 0 || answer[i] > 10) {
            CHECK(0, "token %d of the answer is %d", i, (int)answer[i]);
            break;
        }
    hrm_dataset_close(data);
    hrm_model_destroy(model);
    CHECK(c.live_blocks == 0 && c.wrong_sizes == 0, "%zu blocks left, %zu freed with another size", c.live_blocks,
          c.wrong_sizes);
}

/* ---- memory ---------------------------------------------------------------------------------------------------------- */
static void check_near(const char *what, size_t found, size_t predicted)
{
    CHECK(found <= predicted && (double)predicted <= (double)found * 1.05 + 4096, "%s: %zu bytes, hrm_model_memory says %zu",
          what, found, predicted);
}

static void check_memory(void)
{
    little_data little;
    little_init(&little);
    hrm_dataset *data = NULL;
    CHECK_OK(hrm_dataset_from_arrays(&data, &little.arrays, NULL));
    for (int variant = 0; variant < 6; variant++) {
        counting c;
        counting_init(&c);
        hrm_model_desc d = small_desc();
        d.allocator = &c.allocator;
        d.num_threads = 1 + variant % 3;
        if (variant & 1) d.no_puzzle_emb = 1, d.puzzle_emb_ndim = 0, d.pos_encodings = HRM_LEARNED;
        if (variant & 2) d.hidden_size = 64, d.H_layers = 2, d.causal = 1;
        if (variant & 4) d.halt_max_steps = 1, d.loss_type = HRM_SOFTMAX_CROSS_ENTROPY;
        int rows = 3 + variant;
        hrm_memory memory;
        hrm_model *model = NULL;
        hrm_trainer *trainer = NULL;
        CHECK_OK(hrm_model_memory(&memory, &d, rows));
        CHECK(c.calls == 0, "hrm_model_memory allocates");
        CHECK_OK(hrm_model_create(&model, &d));
        size_t model_bytes = c.live_bytes;
        check_near("model", model_bytes, memory.model);
        hrm_train_desc td;
        memset(&td, 0, sizeof td);
        td.steps = 100, td.batch_size = rows, td.lr = 1e-2f;
        CHECK_OK(hrm_trainer_create(&trainer, model, &td));
        check_near("train", c.live_bytes - model_bytes, memory.train);
        size_t calls = c.calls, trainer_bytes = c.live_bytes - model_bytes;
        for (int i = 0; i < 12; i++) {
            hrm_metrics m;
            CHECK_OK(hrm_trainer_step(trainer, data, i % 2 ? &m : NULL));
        }
        CHECK(c.calls == calls, "%zu allocations in 12 steps", c.calls - calls);
        int32_t puzzles[8 * 6], answers[8 * 6];
        for (int i = 0; i < 8 * 6; i++) puzzles[i] = little.inputs[i];
        hrm_solve_desc sd;
        memset(&sd, 0, sizeof sd);
        sd.rows = rows;
        CHECK_OK(hrm_solve(model, puzzles, answers, &sd));
        check_near("solve", c.live_bytes - model_bytes - trainer_bytes, memory.solve);
        calls = c.calls;
        for (int i = 0; i < 5; i++) CHECK_OK(hrm_solve(model, puzzles, answers, &sd));
        CHECK(c.calls == calls, "%zu allocations in 5 more calls of hrm_solve", c.calls - calls);
        hrm_trainer_destroy(trainer);
        hrm_model_destroy(model);
        CHECK(c.live_blocks == 0 && c.live_bytes == 0 && c.wrong_sizes == 0, "%zu blocks left, %zu freed with another size",
              c.live_blocks, c.wrong_sizes);
    }
    hrm_dataset_close(data);
}

/* Every call that allocates, with the n-th allocation failing, for n = 1, 2, … until it succeeds. */
static void check_failing_allocations(void)
{
    little_data little;
    little_init(&little);
    hrm_dataset *data = NULL;
    CHECK_OK(hrm_dataset_from_arrays(&data, &little.arrays, NULL));
    counting c;
    counting_init(&c);
    hrm_model_desc d = small_desc();
    d.allocator = &c.allocator;
    d.num_threads = 2;
    hrm_model *model = NULL;
    CHECK_OK(hrm_model_create(&model, &d));
    if (!model) return;
    model_decide(model, 1);
    CHECK_OK(hrm_model_save(model, PATH));
    size_t base_blocks = c.live_blocks;
    int32_t puzzles[2 * 6], right[2 * 6], answers[2 * 6];
    for (int i = 0; i < 12; i++) puzzles[i] = little.inputs[i];
    hrm_solve_desc sd;
    memset(&sd, 0, sizeof sd);
    sd.rows = 2;
    static const char *const calls[] = {"hrm_solve",      "hrm_model_create",       "hrm_run_create", "hrm_trainer_create",
                                        "hrm_model_load", "hrm_model_load_weights", "hrm_model_save", "hrm_dataset_from_arrays",
                                        "hrm_evaluate",   "hrm_trainer_save"};
    { /* the answer to expect, from a model of its own */
        hrm_model *other = NULL;
        hrm_model_desc plain = d;
        plain.allocator = NULL;
        CHECK_OK(hrm_model_load(&other, PATH, &plain));
        CHECK_OK(hrm_solve(other, puzzles, right, &sd));
        hrm_model_destroy(other);
    }
    for (size_t k = 0; k < HRM__COUNT(calls); k++) {
        hrm_status status = HRM_ERR_MEMORY;
        size_t n = 0, blocks = c.live_blocks;
        hrm_trainer *saved = NULL;
        hrm_train_desc td;
        memset(&td, 0, sizeof td);
        td.steps = 4, td.batch_size = 3;
        if (k == 9) {
            CHECK_OK(hrm_trainer_create(&saved, model, &td));
            blocks = c.live_blocks;
        }
        while (status == HRM_ERR_MEMORY && ++n < 500) {
            hrm_model *m = NULL;
            hrm_run *run = NULL;
            hrm_trainer *trainer = NULL;
            hrm_dataset *arrays = NULL;
            hrm_run_desc rd;
            hrm_dataset_desc dd;
            hrm_metrics metrics;
            memset(&rd, 0, sizeof rd);
            memset(&dd, 0, sizeof dd);
            rd.rows = 3, rd.train = 1;
            dd.allocator = &c.allocator;
            c.calls = 0, c.fail_at = n, c.fail_after = n % 2 == 0; /* one failure, or memory gone for good */
            switch (k) {
            case 0: status = hrm_solve(model, puzzles, answers, &sd); break;
            case 1: status = hrm_model_create(&m, &d); break;
            case 2: status = hrm_run_create(&run, model, &rd); break;
            case 3: status = hrm_trainer_create(&trainer, model, &td); break;
            case 4: status = hrm_model_load(&m, PATH, &d); break;
            case 5: status = hrm_model_load_weights(model, PATH); break;
            case 6: status = hrm_model_save(model, PATH); break;
            case 7: status = hrm_dataset_from_arrays(&arrays, &little.arrays, &dd); break;
            case 8: status = hrm_evaluate(model, data, NULL, &metrics); break;
            default: status = hrm_trainer_save(saved, PATH, NULL, 0); break;
            }
            c.fail_at = 0;
            if (status == HRM_ERR_MEMORY) {
                CHECK(!m && !run && !trainer && !arrays, "%s: an output was set although allocation %zu failed", calls[k], n);
                CHECK(strstr(hrm_error_message(), "memory"), "%s: message \"%s\"", calls[k], hrm_error_message());
                if (k != 0 && k != 8)
                    CHECK(c.live_blocks == blocks, "%s: %zu blocks left after allocation %zu failed", calls[k],
                          c.live_blocks - blocks, n);
            }
            hrm_run_destroy(run);
            hrm_trainer_destroy(trainer);
            hrm_model_destroy(m);
            hrm_dataset_close(arrays);
        }
        CHECK(status == HRM_OK, "%s: never succeeds, last \"%s\"", calls[k], hrm_error_message());
        CHECK(n > 1 || k == 5 || k == 6, "%s: no allocation failed", calls[k]);
        hrm_trainer_destroy(saved);
        CHECK_OK(hrm_solve(model, puzzles, answers, &sd)); /* still usable, and the same */
        CHECK(memcmp(answers, right, sizeof answers) == 0, "%s: the model answers differently after failures", calls[k]);
    }
    (void)base_blocks;
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    CHECK(c.live_blocks == 0 && c.wrong_sizes == 0, "%zu blocks left, %zu freed with another size", c.live_blocks,
          c.wrong_sizes);
    remove(PATH);
}

/* ---- save and load --------------------------------------------------------------------------------------------------- */
static void check_round_trip(void)
{
    for (int variant = 0; variant < 4; variant++) {
        hrm_model_desc d = small_desc();
        d.H_cycles = 3, d.L_cycles = 1, d.expansion = 3.5f, d.rms_norm_eps = 2e-5f, d.rope_theta = 77, d.halt_max_steps = 7,
        d.halt_exploration_prob = 0.25f;
        if (variant & 1)
            d.pos_encodings = HRM_LEARNED, d.loss_type = HRM_SOFTMAX_CROSS_ENTROPY, d.no_halt_exploration = 1,
            d.halt_exploration_prob = 0;
        if (variant & 2) d.no_puzzle_emb = 1, d.puzzle_emb_ndim = 0, d.causal = 1;
        hrm_model *model = NULL, *copy = NULL;
        CHECK_OK(hrm_model_create(&model, &d));
        model_decide(model, 5);
        CHECK_OK(hrm_model_save(model, PATH));
        CHECK_OK(hrm_model_load(&copy, PATH, NULL));
        if (!model || !copy) return;
        CHECK(models_equal(model, copy), "weights changed on the way through a file");
        hrm_model_desc a = *hrm_model_describe(model), b = *hrm_model_describe(copy);
        CHECK(a.seq_len == b.seq_len && a.vocab_size == b.vocab_size && a.num_puzzle_identifiers == b.num_puzzle_identifiers &&
                  a.puzzle_emb_ndim == b.puzzle_emb_ndim && a.no_puzzle_emb == b.no_puzzle_emb &&
                  a.hidden_size == b.hidden_size && a.num_heads == b.num_heads && a.H_layers == b.H_layers &&
                  a.L_layers == b.L_layers && a.H_cycles == b.H_cycles && a.L_cycles == b.L_cycles && a.causal == b.causal &&
                  a.pos_encodings == b.pos_encodings && a.loss_type == b.loss_type && a.halt_max_steps == b.halt_max_steps &&
                  a.no_halt_exploration == b.no_halt_exploration,
              "the configuration changed on the way through a file");
        CHECK(fabs((double)(a.expansion - b.expansion)) <= 0 && fabs((double)(a.rms_norm_eps - b.rms_norm_eps)) <= 0 &&
                  fabs((double)(a.rope_theta - b.rope_theta)) <= 0 &&
                  fabs((double)(a.halt_exploration_prob - b.halt_exploration_prob)) <= 0,
              "floats of the configuration changed on the way through a file");
        hrm_model_destroy(copy);

        hrm_model_desc stated;
        memset(&stated, 0, sizeof stated);
        CHECK_OK(hrm_checkpoint_describe(&stated, PATH, NULL));
        CHECK(stated.hidden_size == 8 && stated.H_cycles == 3, "hrm_checkpoint_describe: hidden_size %d", stated.hidden_size);

        copy = NULL; /* a description that contradicts the file names both values */
        memset(&stated, 0, sizeof stated);
        stated.hidden_size = 16;
        CHECK_FAILS(hrm_model_load(&copy, PATH, &stated), HRM_ERR_SHAPE, "hidden_size");
        CHECK(strstr(hrm_error_message(), "16") && strstr(hrm_error_message(), "8"), "message \"%s\"", hrm_error_message());
        CHECK(copy == NULL, "a failed load touched its output");

        hrm_metadata more = {"note", "half as wide"}; /* bfloat16 keeps 8 bits */
        CHECK_OK(hrm_model_save_as(model, PATH, HRM_BF16, &more, 1));
        CHECK_OK(hrm_model_load(&copy, PATH, NULL));
        for (int i = 0; copy && i < hrm_model_tensor_count(copy); i++) {
            size_t n = 0;
            hrm_real *x = tensor_values(model, i, &n, NULL), *y = tensor_values(copy, i, &n, NULL);
            double error = relative_error(y, x, n);
            CHECK(error < 1.0 / 256, "tensor %d through bfloat16: %g", i, error);
            free(x);
            free(y);
        }
        hrm_tensors *file = NULL;
        CHECK_OK(hrm_tensors_open(&file, PATH, NULL));
        CHECK(file && hrm_tensors_metadata(file, "note") && strcmp(hrm_tensors_metadata(file, "note"), "half as wide") == 0,
              "metadata");
        hrm_tensors_close(file);
        hrm_model_destroy(copy);

        /* weights that do not fit leave the model as it is */
        hrm_model_desc other = d;
        other.hidden_size = 16, other.num_heads = 2;
        hrm_model *wide = NULL, *before = NULL;
        CHECK_OK(hrm_model_create(&wide, &other));
        CHECK_OK(hrm_model_create(&before, &other));
        CHECK_FAILS(hrm_model_load_weights(wide, PATH), HRM_ERR_SHAPE, "inner.");
        CHECK(models_equal(wide, before), "a failed load changed the weights");
        hrm_model_destroy(wide);
        hrm_model_destroy(before);

        /* not finite, in the file */
        hrm_tensor tensors[64];
        hrm_real *values[64] = {NULL};
        int count = hrm_model_tensor_count(model);
        for (int i = 0; i < count; i++) {
            hrm_role role;
            size_t n = 0;
            CHECK_OK(hrm_model_tensor(model, i, &tensors[i], &role));
            values[i] = tensor_values(model, i, &n, NULL);
            if (strstr(tensors[i].name, "o_proj") && strstr(tensors[i].name, "L_level")) values[i][n / 2] = (hrm_real)NAN;
            tensors[i].data = values[i];
        }
        CHECK_OK(hrm_safetensors_save(PATH, tensors, (size_t)count, NULL, 0, HRM_F32, NULL));
        before = NULL;
        CHECK_OK(hrm_model_create(&before, &d));
        model_decide(before, 5);
        CHECK_FAILS(hrm_model_load_weights(model, PATH), HRM_ERR_NAN, "o_proj");
        CHECK(models_equal(model, before), "a failed load changed the weights");
        CHECK_OK(hrm_safetensors_save(PATH, tensors + 1, (size_t)count - 1, NULL, 0, HRM_F32, NULL));
        CHECK_FAILS(hrm_model_load_weights(model, PATH), HRM_ERR_FORMAT, tensors[0].name);
        CHECK(models_equal(model, before), "a failed load changed the weights");
        for (int i = 0; i < count; i++) free(values[i]);
        hrm_model_destroy(before);
        hrm_model_destroy(model);
    }
    hrm_model *none = NULL;
    remove(PATH);
    CHECK_FAILS(hrm_model_load(&none, PATH, NULL), HRM_ERR_IO, PATH);
    CHECK(none == NULL, "a failed load touched its output");
    hrm_model_desc d = small_desc();
    CHECK_OK(hrm_model_create(&none, &d));
    CHECK_FAILS(hrm_model_save(none, "build/no/such/folder/x.safetensors"), HRM_ERR_IO, "no/such/folder");
    hrm_model_destroy(none);
}

/* ---- arguments ------------------------------------------------------------------------------------------------------- */
static void check_arguments(void)
{
    static const struct { size_t offset; int value; const char *says;
    } wrong[] = {
        {offsetof(hrm_model_desc, seq_len), 0, "seq_len"},
        {offsetof(hrm_model_desc, seq_len), -3, "seq_len"},
        {offsetof(hrm_model_desc, vocab_size), 0, "vocab_size"},
        {offsetof(hrm_model_desc, vocab_size), 1, "vocab_size"},
        {offsetof(hrm_model_desc, hidden_size), -8, "hidden_size"},
        {offsetof(hrm_model_desc, hidden_size), 9, "hidden_size"},
        {offsetof(hrm_model_desc, hidden_size), 6, "head"},
        {offsetof(hrm_model_desc, num_heads), 3, "num_heads"},
        {offsetof(hrm_model_desc, num_heads), -2, "num_heads"},
        {offsetof(hrm_model_desc, H_layers), -1, "H_layers"},
        {offsetof(hrm_model_desc, L_layers), -1, "L_layers"},
        {offsetof(hrm_model_desc, H_cycles), -1, "H_cycles"},
        {offsetof(hrm_model_desc, L_cycles), -1, "L_cycles"},
        {offsetof(hrm_model_desc, halt_max_steps), -1, "halt_max_steps"},
        {offsetof(hrm_model_desc, num_puzzle_identifiers), -1, "num_puzzle_identifiers"},
        {offsetof(hrm_model_desc, puzzle_emb_ndim), -1, "puzzle_emb_ndim"},
        {offsetof(hrm_model_desc, num_threads), -1, "num_threads"},
        {offsetof(hrm_model_desc, hidden_size), INT_MAX - 7, ""},
        {offsetof(hrm_model_desc, seq_len), INT_MAX, ""},
        {offsetof(hrm_model_desc, vocab_size), INT_MAX, ""},
        {offsetof(hrm_model_desc, num_puzzle_identifiers), INT_MAX, ""},
        {offsetof(hrm_model_desc, L_layers), INT_MAX, ""},
    };
    for (size_t i = 0; i < HRM__COUNT(wrong); i++) {
        hrm_model_desc d = small_desc();
        hrm_model *model = NULL;
        counting c;
        counting_init(&c);
        c.fail_at = 1; /* sizes beyond reason are not asked of the system here */
        c.fail_after = 1;
        d.allocator = &c.allocator;
        memcpy((char *)&d + wrong[i].offset, &wrong[i].value, sizeof(int));
        hrm_status status = hrm_model_create(&model, &d);
        CHECK(status != HRM_OK && !model && c.live_blocks == 0, "wrong case %zu was taken", i);
        CHECK(strstr(hrm_error_message(), wrong[i].says), "case %zu: message \"%s\" does not name %s", i, hrm_error_message(),
              wrong[i].says);
        if (*wrong[i].says)
            CHECK(status == HRM_ERR_ARGUMENT || status == HRM_ERR_SHAPE || status == HRM_ERR_RANGE, "case %zu: status \"%s\"",
                  i, hrm_status_text(status));
        hrm_memory memory;
        if (*wrong[i].says && strcmp(wrong[i].says, "num_threads") != 0)
            CHECK(hrm_model_memory(&memory, &d, 1) != HRM_OK, "hrm_model_memory takes wrong case %zu", i);
    }
    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    d.halt_exploration_prob = 1.5f;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "halt_exploration_prob");
    d = small_desc();
    d.rms_norm_eps = -1;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "rms_norm_eps");
    d = small_desc();
    d.expansion = 0.01f; /* rounds to a width of nothing, whose training state could not be read again */
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "expansion 0.01 makes the SwiGLU 0 wide, expected 256 to");
    d.expansion = (float)NAN;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "expansion");
    d = small_desc();
    CHECK_OK(hrm_model_create(&model, &d));
    if (!model) return;
    hrm_memory memory;
    CHECK(hrm_model_memory(&memory, &d, 0) != HRM_OK && hrm_model_memory(&memory, &d, -1) != HRM_OK, "a batch of no rows");

    /* weights that are not finite are refused whole */
    hrm_model *before = NULL;
    CHECK_OK(hrm_model_create(&before, &d));
    size_t n = 0;
    hrm_real *w = tensor_values(model, 0, &n, NULL);
    w[n - 1] = (hrm_real)NAN;
    CHECK_FAILS(hrm_model_tensor_write(model, 0, w), HRM_ERR_NAN, "inner.");
    w[n - 1] = (hrm_real)INFINITY;
    CHECK_FAILS(hrm_model_tensor_write(model, 0, w), HRM_ERR_NAN, "inner.");
    CHECK(models_equal(model, before), "a refused write changed the weights");
    hrm_tensor t;
    hrm_role role;
    CHECK(hrm_model_tensor(model, -1, &t, &role) != HRM_OK &&
              hrm_model_tensor(model, hrm_model_tensor_count(model), &t, &role) != HRM_OK,
          "tensors out of range");
    CHECK(hrm_model_tensor_read(model, -1, w) != HRM_OK && hrm_model_tensor_write(model, 1000, w) != HRM_OK,
          "tensors out of range");
    CHECK(hrm_model_tensor_find(model, "inner.nothing") == -1, "found a tensor that is not there");
    free(w);

    /* batches: tokens, labels and ids out of range name the row */
    hrm_run_desc rd;
    hrm_run *run = NULL;
    memset(&rd, 0, sizeof rd);
    rd.rows = -1;
    CHECK_FAILS(hrm_run_create(&run, model, &rd), HRM_ERR_ARGUMENT, "rows");
    rd.rows = 2, rd.train = 1;
    CHECK_OK(hrm_run_create(&run, model, &rd));
    hrm_batch batch;
    hrm_random r = hrm_random_make(1, 1);
    batch_make(&batch, 2, 6);
    batch_draw(&batch, &d, &r);
    CHECK(hrm_run_backward(run) != HRM_OK, "a backward pass before any segment");
    int32_t kept = batch.inputs[7];
    batch.inputs[7] = 5;
    CHECK_FAILS(hrm_run_segment(run, &batch, NULL), HRM_ERR_RANGE, "row 1");
    batch.inputs[7] = -1;
    CHECK_FAILS(hrm_run_segment(run, &batch, NULL), HRM_ERR_RANGE, "row 1");
    batch.inputs[7] = kept, kept = batch.labels[3];
    batch.labels[3] = 5;
    CHECK_FAILS(hrm_run_segment(run, &batch, NULL), HRM_ERR_RANGE, "row 0");
    batch.labels[3] = -1;
    CHECK_FAILS(hrm_run_segment(run, &batch, NULL), HRM_ERR_RANGE, "row 0");
    batch.labels[3] = kept;
    batch.puzzle_identifiers[1] = 4;
    CHECK_FAILS(hrm_run_segment(run, &batch, NULL), HRM_ERR_RANGE, "row 1");
    batch.puzzle_identifiers[1] = 3;
    CHECK_OK(hrm_run_segment(run, &batch, NULL));
    batch.rows = 1;
    CHECK(hrm_run_segment(run, &batch, NULL) != HRM_OK, "a batch with fewer rows than the run");
    batch.rows = 2;
    hrm_run_destroy(run);
    batch_free(&batch);

    int32_t puzzle[6] = {0, 1, 2, 3, 4, 5}, answer[6];
    hrm_solve_desc sd;
    CHECK_FAILS(hrm_solve(model, puzzle, answer, NULL), HRM_ERR_RANGE, "5");
    puzzle[5] = 0;
    CHECK_OK(hrm_solve(model, puzzle, answer, NULL));
    const int32_t id = 4;
    memset(&sd, 0, sizeof sd);
    sd.puzzle_identifiers = &id;
    CHECK_FAILS(hrm_solve(model, puzzle, answer, &sd), HRM_ERR_RANGE, "4");
    memset(&sd, 0, sizeof sd);
    sd.rows = -1;
    CHECK_FAILS(hrm_solve(model, puzzle, answer, &sd), HRM_ERR_ARGUMENT, "rows");
    memset(&sd, 0, sizeof sd);
    sd.max_steps = -1;
    CHECK_FAILS(hrm_solve(model, puzzle, answer, &sd), HRM_ERR_ARGUMENT, "max_steps");
    memset(&sd, 0, sizeof sd);
    sd.start_noise = -1;
    CHECK_FAILS(hrm_solve(model, puzzle, answer, &sd), HRM_ERR_ARGUMENT, "start_noise is -1");
    sd.start_noise = (float)NAN;
    CHECK_FAILS(hrm_solve(model, puzzle, answer, &sd), HRM_ERR_ARGUMENT, "start_noise");

    hrm_trainer *trainer = NULL;
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    td.batch_size = -1;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "batch_size");
    memset(&td, 0, sizeof td);
    td.steps = -1;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "steps");
    memset(&td, 0, sizeof td);
    td.lr = (float)NAN;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "lr");
    memset(&td, 0, sizeof td);
    td.beta2 = 1.5f;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "beta2");
    CHECK(!trainer, "a refused trainer was made");

    /* a data set that does not fit the model */
    little_data little;
    little_init(&little);
    little.arrays.vocab_size = 6;
    hrm_dataset *data = NULL;
    CHECK_OK(hrm_dataset_from_arrays(&data, &little.arrays, NULL));
    memset(&td, 0, sizeof td);
    td.steps = 1, td.batch_size = 2;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    CHECK_FAILS(hrm_trainer_step(trainer, data, NULL), HRM_ERR_SHAPE, "vocab_size");
    hrm_metrics metrics;
    CHECK_FAILS(hrm_evaluate(model, data, NULL, &metrics), HRM_ERR_SHAPE, "vocab_size");
    hrm_trainer_destroy(trainer);
    hrm_dataset_close(data);
    hrm_model_destroy(NULL);
    hrm_trainer_destroy(NULL);
    hrm_run_destroy(NULL);
    hrm_model_destroy(before);
    hrm_model_destroy(model);
}

/* What else is refused, with what the message must name; nothing is left of it, and the model goes on. */
static void check_more_arguments(void)
{
    static const int no_layers[1] = {0}, layers[1] = {1};
    static const hrm_pass pass = {0, 0, HRM_INPUT_E, 0, 0, 0, 0};
    hrm_recurrence r;
    hrm_model *model = NULL;
    hrm_model_desc d = small_desc();
    memset(&r, 0, sizeof r);
    r.states = r.nets = r.num_passes = 1, r.layers = no_layers, r.passes = &pass;
    d.recurrence = &r;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "network 0 has 0 layers, expected 1 to 1024");
    d.recurrence = NULL, d.device = (hrm_device_kind)7;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "device 7");
    d.device = HRM_CPU, d.forward_dtype = (hrm_forward_dtype)-1;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "forward_dtype -1");
    d.forward_dtype = HRM_FORWARD_DEFAULT, d.mlp_t = 1, d.expansion = 1000, d.hidden_size = 512, d.seq_len = 1000000;
    d.pos_encodings = HRM_NO_POSITIONS;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_ARGUMENT, "over positions");
    hrm_device_table other = *hrm_cpu_device();
    d = small_desc(), d.device_table = &other;
    other.version = 1;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_DEVICE, "device cpu: its table is version 1 of");
    other = *hrm_cpu_device(), other.size = 8;
    CHECK_FAILS(hrm_model_create(&model, &d), HRM_ERR_DEVICE, "of 8 bytes");
    CHECK(!model, "a refused model was made");
    CHECK(strcmp(hrm_status_text(HRM_OK), hrm_status_text((hrm_status)1000)) != 0 &&
              strcmp(hrm_status_text((hrm_status)1000), "unknown status") == 0 && hrm_status_text(HRM_ERR_NAN)[0],
          "\"%s\" for what is no status", hrm_status_text((hrm_status)1000));

    d = small_desc();
    CHECK_OK(hrm_model_create(&model, &d));
    if (!model) return;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    memset(&rd, 0, sizeof rd);
    rd.rows = 2, rd.update = 1;
    CHECK_FAILS(hrm_run_create(&run, model, &rd), HRM_ERR_ARGUMENT, "a run with update needs train");
    rd.train = 1, rd.update = 0, rd.ema = 1;
    CHECK_FAILS(hrm_run_create(&run, model, &rd), HRM_ERR_ARGUMENT, "a run with ema needs update");
    rd.ema = 0, rd.update = 1, rd.optimizer = HRM_SIGN_SGD;
    CHECK_FAILS(hrm_run_create(&run, model, &rd), HRM_ERR_ARGUMENT, "optimizer is 3");
    rd.optimizer = HRM_MUON, rd.muon_ns_steps = 33;
    CHECK_FAILS(hrm_run_create(&run, model, &rd), HRM_ERR_ARGUMENT, "muon_ns_steps is 33");
    rd.muon_ns_steps = 0, rd.loss_scale_growth_interval = -1;
    CHECK_FAILS(hrm_run_create(&run, model, &rd), HRM_ERR_ARGUMENT, "loss_scale_growth_interval is -1");
    rd.loss_scale_growth_interval = 0, rd.loss_scale = 1e-30f;
    CHECK_FAILS(hrm_run_create(&run, model, &rd), HRM_ERR_ARGUMENT, "loss_scale is 1e-30");
    CHECK(!run, "a refused run was made");
    rd.loss_scale = 0;
    CHECK_OK(hrm_run_create(&run, model, &rd));
    hrm_update_desc u;
    memset(&u, 0, sizeof u);
    u.beta1 = u.beta2 = 0.9f, u.adam_eps = 0;
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_ARGUMENT, "adam_eps is 0");
    u.adam_eps = 1e-8f, u.ema_rate = 1;
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_ARGUMENT, "ema_rate is 1");
    u.ema_rate = 0, u.beta2 = 1;
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_ARGUMENT, "beta2 1");
    CHECK_FAILS(hrm_run_use_average(run, 1), HRM_ERR_ARGUMENT, "without ema");
    size_t n = 0;
    int at = hrm_model_tensor_find(model, "inner.H_init");
    hrm_real *values = tensor_values(model, at, &n, NULL);
    CHECK_FAILS(hrm_run_gradient(run, at, values), HRM_ERR_ARGUMENT, "tensor inner.H_init has no gradient");
    CHECK_FAILS(hrm_run_gradient(run, -1, values), HRM_ERR_ARGUMENT, "tensor -1");
    free(values);
    hrm_run_destroy(run);
    run = NULL, rd.train = rd.update = 0, rd.optimizer = HRM_ADAM_ATAN2;
    CHECK_OK(hrm_run_create(&run, model, &rd));
    CHECK_FAILS(hrm_run_update(run, &u), HRM_ERR_ARGUMENT, "without train");
    CHECK_FAILS(hrm_run_zero_gradients(run), HRM_ERR_ARGUMENT, "without train");
    hrm_run_destroy(run);

    hrm_trainer *trainer = NULL;
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    td.epochs = -1;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "epochs is -1");
    td.epochs = (double)NAN;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "epochs is");
    td.epochs = 0, td.lr_warmup_steps = -2;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "lr_warmup_steps is -2");
    td.lr_warmup_steps = 0, td.arch = (hrm_arch)99;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "arch is 99");
    td.arch = HRM_ARCH_HRM, td.ema = td.freeze_weights = 1;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "ema averages the weights");
    td.ema = td.freeze_weights = 0, td.batch_size = 9, td.grad_accumulation = 2;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "a batch of 9 rows does not part");
    CHECK(!trainer, "a refused trainer was made");

    /* a trainer's run is its own; data whose identifiers the model has not; what no iteration of epochs makes a step of */
    little_data little;
    hrm_dataset *data = NULL;
    hrm_evaluate_desc e;
    hrm_metrics metrics;
    little_init(&little);
    little.arrays.num_puzzle_identifiers = 9;
    CHECK_OK(hrm_dataset_from_arrays(&data, &little.arrays, NULL));
    memset(&td, 0, sizeof td), memset(&e, 0, sizeof e);
    td.batch_size = 4, td.epochs = 1;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    CHECK_FAILS(hrm_trainer_step(trainer, data, &metrics), HRM_ERR_SHAPE, "num_puzzle_identifiers is 9, the model's 4");
    CHECK_FAILS(hrm_run_zero_gradients(hrm_trainer_run(trainer)), HRM_ERR_ARGUMENT, "this run is a trainer's");
    hrm_batch none;
    memset(&none, 0, sizeof none);
    CHECK_FAILS(hrm_run_segment(hrm_trainer_run(trainer), &none, NULL), HRM_ERR_ARGUMENT, "this run is a trainer's");
    CHECK_FAILS(hrm_run_use_average(hrm_trainer_run(trainer), 1), HRM_ERR_ARGUMENT, "this run is a trainer's");
    CHECK_FAILS(hrm_trainer_use_average(trainer, 1), HRM_ERR_ARGUMENT, "without ema");
    hrm_trainer_destroy(trainer);
    hrm_dataset_close(data);
    data = NULL, trainer = NULL;
    little.arrays.num_puzzle_identifiers = 4;
    CHECK_OK(hrm_dataset_from_arrays(&data, &little.arrays, NULL));
    td.batch_size = 100;
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    CHECK_FAILS(hrm_trainer_step(trainer, data, &metrics), HRM_ERR_ARGUMENT, "1 epochs of 24 groups make 0 steps of 100 rows");
    CHECK(hrm_trainer_steps_total(trainer) == 0 && hrm_trainer_steps_done(trainer) == 0, "steps of no batch");
    hrm_trainer_destroy(trainer);
    e.batch_size = -1;
    CHECK_FAILS(hrm_evaluate(model, data, &e, &metrics), HRM_ERR_ARGUMENT, "batch_size is -1");
    e.batch_size = 0, e.max_steps = -1;
    CHECK_FAILS(hrm_evaluate(model, data, &e, &metrics), HRM_ERR_ARGUMENT, "max_steps -1");
    hrm_batch batch;
    hrm_position position;
    memset(&position, 0, sizeof position);
    batch_make(&batch, 2, 6);
    int32_t *ids = batch.puzzle_identifiers;
    batch.puzzle_identifiers = NULL;
    CHECK_FAILS(hrm_dataset_read(data, 0, &batch), HRM_ERR_ARGUMENT, "an array of the batch is NULL");
    CHECK_FAILS(hrm_dataset_next(data, &position, 1, 1, &batch, NULL), HRM_ERR_ARGUMENT, "an array of the batch is NULL");
    batch.puzzle_identifiers = ids, batch.rows = 0;
    CHECK_FAILS(hrm_dataset_read(data, 0, &batch), HRM_ERR_ARGUMENT, "a batch of 0 rows");
    batch.rows = 2;
    CHECK_FAILS(hrm_dataset_read(data, -1, &batch), HRM_ERR_ARGUMENT, "the first example is -1");
    CHECK(hrm_dataset_read(data, 24, &batch) == HRM_END, "an example past the last");
    position.group = 25;
    CHECK_FAILS(hrm_dataset_next(data, &position, 1, 1, &batch, NULL), HRM_ERR_RANGE, "group 25 does not exist");
    batch_free(&batch);
    hrm_dataset_close(data);

    /* a schedule of cycles is HRM's own */
    hrm_model *own = NULL;
    r.layers = layers;
    d = small_desc(), d.recurrence = &r, d.H_cycles_start = 1;
    CHECK_OK(hrm_model_create(&own, &d));
    memset(&td, 0, sizeof td);
    td.steps = 4, td.batch_size = 2, td.curriculum_steps = 2, trainer = NULL;
    if (own) CHECK_FAILS(hrm_trainer_create(&trainer, own, &td), HRM_ERR_ARGUMENT, "not a recurrence's of one's own");
    hrm_model_destroy(own);
    CHECK_FAILS(hrm_pool_create(&(hrm_pool *){NULL}, 2000, NULL), HRM_ERR_ARGUMENT, "num_threads is 2000");
    hrm_model_destroy(model);
}

/* States of training that say what cannot be: refused, and the trainer goes on from where it was. */
static void rewrite_state(const char *to, const char *from, const char *old_text, const char *new_text)
{
    /* in the metadata, to text of the same length */
    hrm_file_map map;
    CHECK(strlen(old_text) == strlen(new_text), "%s and %s", old_text, new_text);
    CHECK_OK(hrm_file_map_open(&map, from));
    char *copy = (char *)malloc(map.size);
    size_t n = strlen(old_text), found = 0;
    memcpy(copy, map.data, map.size);
    for (size_t i = 0; i + n <= map.size; i++)
        if (memcmp(copy + i, old_text, n) == 0) memcpy(copy + i, new_text, n), found++;
    CHECK(found == 1, "\"%s\" is there %zu times", old_text, found);
    FILE *f = fopen(to, "wb");
    CHECK(f && fwrite(copy, 1, map.size, f) == map.size && fclose(f) == 0, "%s", to);
    free(copy);
    hrm_file_map_close(&map);
}

/* The same tensors, another text about the training. */
static void save_with(const char *to, const char *from, const char *text)
{
    hrm_tensors *file = NULL;
    hrm_metadata meta[16];
    CHECK_OK(hrm_tensors_open(&file, from, NULL));
    size_t n = hrm_tensors_count(file), metas = hrm_tensors_metadata_count(file);
    hrm_tensor *all = (hrm_tensor *)malloc(n * sizeof *all);
    for (size_t i = 0; i < n; i++) all[i] = *hrm_tensors_at(file, i);
    for (size_t i = 0; i < metas && i < 16; i++) {
        meta[i] = hrm_tensors_metadata_at(file, i);
        if (strcmp(meta[i].key, "hrm.trainer") == 0) meta[i].value = text;
    }
    CHECK_OK(hrm_safetensors_save(to, all, n, meta, metas, HRM_DTYPE_COUNT, NULL));
    hrm_tensors_close(file);
    free(all);
}

/* A checkpoint tells of the curriculum it was trained by, which binds no one who goes on from it otherwise. */
static void check_past_curriculum(void)
{
    const char *path = own_file("grown");
    hrm_model *model = NULL, *again = NULL;
    hrm_trainer *trainer = NULL;
    hrm_model_desc d = small_desc(), less;
    hrm_train_desc td;
    d.H_cycles = 2, d.H_cycles_start = 2, d.L_cycles = 2, d.L_cycles_start = 1, d.halt_max_steps_start = d.halt_max_steps;
    d.halt_exploration_end = 0.05f;
    memset(&td, 0, sizeof td), memset(&less, 0, sizeof less);
    td.batch_size = 2;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "but not curriculum_steps");
    CHECK_OK(hrm_model_save(model, path));
    CHECK_OK(hrm_model_load(&again, path, NULL));
    CHECK(again && hrm_model_describe(again)->L_cycles_start == 1, "what a state needs is kept");
    CHECK_OK(hrm_trainer_create(&trainer, again, &td));
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(again);
    less.halt_max_steps = 1, again = NULL;
    CHECK_OK(hrm_model_load(&again, path, &less));
    CHECK(again && hrm_model_describe(again)->halt_max_steps_start == 0, "a start beyond the end");
    CHECK_OK(hrm_checkpoint_merge(&d, NULL, path, &less));
    CHECK(d.halt_max_steps == 1 && d.halt_max_steps_start == 0, "of what is merged too");
    hrm_model_destroy(again);
    hrm_model_destroy(model);
    remove(path);
}

/* Whole numbers are saved whole, beyond what a float tells apart. */
static void check_many_puzzles(void)
{
    const char *path = own_file("many");
    hrm_model *model = NULL, *again = NULL;
    hrm_model_desc d = small_desc();
    d.num_puzzle_identifiers = 67108869;
    d.no_puzzle_emb = 1;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_model_save(model, path));
    CHECK_OK(hrm_model_load(&again, path, NULL));
    CHECK(again && hrm_model_describe(again)->num_puzzle_identifiers == 67108869, "%d puzzles",
          again ? hrm_model_describe(again)->num_puzzle_identifiers : 0);
    hrm_model_destroy(model);
    hrm_model_destroy(again);
    remove(path);
}

/* Positions learned for fewer tokens than the puzzle's own embedding takes: no length can be told. */
static void check_positions(void)
{
    const char *good = own_file("learned"), *bad = own_file("short");
    hrm_model *model = NULL;
    hrm_model_desc d = small_desc(), found;
    hrm_tensors *file = NULL;
    d.pos_encodings = HRM_LEARNED;
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_model_save(model, good));
    CHECK_OK(hrm_tensors_open(&file, good, NULL));
    size_t n = hrm_tensors_count(file);
    hrm_tensor *all = (hrm_tensor *)malloc(n * sizeof *all);
    int cut = 0;
    for (size_t i = 0; i < n; i++) {
        all[i] = *hrm_tensors_at(file, i);
        if (!strstr(all[i].name, "embed_pos")) continue;
        all[i].bytes = all[i].bytes / (size_t)all[i].shape[0], all[i].shape[0] = 1, cut = 1;
    }
    CHECK(cut, "no positions in %s", good);
    CHECK_OK(hrm_safetensors_save(bad, all, n, NULL, 0, HRM_DTYPE_COUNT, NULL));
    CHECK_FAILS(hrm_checkpoint_describe(&found, bad, NULL), HRM_ERR_SHAPE,
                "1 positions, of which the puzzle's embedding takes 2");
    hrm_tensors_close(file);
    free(all);
    hrm_model_destroy(model);
    remove(good), remove(bad);
}

static void check_states(void)
{
    static const struct { const char *old_text, *new_text, *says; hrm_status status;
    } cases[] = {
        {"\\\"step\\\":3", "\\\"step\\\":9", "step 9 of 5", HRM_ERR_RANGE},
        {"\\\"seed\\\":\\\"2\\\"", "\\\"seed\\\":\\\"3\\\"", "the run's seed is 3 there, 2 here", HRM_ERR_ARGUMENT},
        {"\\\"total\\\":5", "\\\"total\\\":8", "the run has 8 steps there, 5 here", HRM_ERR_ARGUMENT},
        {"\\\"group\\\"", "\\\"grouq\\\"", "its training state lacks group", HRM_ERR_FORMAT},
        {"\\\"format\\\":2", "\\\"format\\\":7", "written by a later version", HRM_ERR_UNSUPPORTED},
    };
    const char *good = own_file("state"), *bad = own_file("odd");
    little_data little;
    hrm_dataset *data = NULL;
    hrm_model *model = NULL, *before = NULL;
    hrm_trainer *trainer = NULL, *wider = NULL;
    hrm_train_desc td;
    hrm_model_desc d = small_desc();
    little_init(&little);
    memset(&td, 0, sizeof td);
    td.steps = 5, td.batch_size = 4, td.seed = 2;
    CHECK_OK(hrm_dataset_from_arrays(&data, &little.arrays, NULL));
    CHECK_OK(hrm_model_create(&model, &d));
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    if (!trainer) return;
    for (int i = 0; i < 3; i++) CHECK_OK(hrm_trainer_step(trainer, data, NULL));
    CHECK_OK(hrm_trainer_save(trainer, good, NULL, 0));
    CHECK_OK(hrm_model_load(&before, good, NULL));
    for (size_t i = 0; i < HRM__COUNT(cases); i++) {
        rewrite_state(bad, good, cases[i].old_text, cases[i].new_text);
        CHECK_FAILS(hrm_trainer_load(trainer, bad), cases[i].status, cases[i].says);
        CHECK(models_equal(model, before) && hrm_trainer_steps_done(trainer) == 3, "%s: taken over", cases[i].says);
    }
    static const struct { const char *text, *says; hrm_status status;
    } texts[] = {
        {"{\"step\":true,\"total\":5}", "step is \"", HRM_ERR_FORMAT},
        {"{\"step\":-1,\"total\":5}", "step is \"", HRM_ERR_FORMAT},
        {"{\"step\":1}", "its training state lacks total", HRM_ERR_FORMAT},
        {"{\"step\":1,\"total\":5,\"iteration\":0,\"epoch\":0,\"group\":0,\"draws\":0}", "the run's seed is ? there",
         HRM_ERR_ARGUMENT},
        {"{\"step\":1,", "", HRM_ERR_FORMAT},
        {"{\"format\":0.5}", "format is", HRM_ERR_FORMAT},
    };
    for (size_t i = 0; i < HRM__COUNT(texts); i++) {
        save_with(bad, good, texts[i].text);
        CHECK_FAILS(hrm_trainer_load(trainer, bad), texts[i].status, texts[i].says);
        CHECK(models_equal(model, before) && hrm_trainer_steps_done(trainer) == 3, "%s: taken over", texts[i].text);
    }
    td.batch_size = 8;
    CHECK_OK(hrm_trainer_create(&wider, model, &td));
    CHECK_FAILS(hrm_trainer_load(wider, good), HRM_ERR_SHAPE, "tensor carry.z_H is F32 [4,");
    CHECK_OK(hrm_model_save(model, bad));
    CHECK_FAILS(hrm_trainer_load(trainer, bad), HRM_ERR_FORMAT, "weights only, no training state");
    CHECK_OK(hrm_trainer_step(trainer, data, NULL));
    hrm_trainer_destroy(trainer), hrm_trainer_destroy(wider);
    hrm_model_destroy(model), hrm_model_destroy(before);
    hrm_dataset_close(data);
    remove(good), remove(bad);
}

/* hrm_solve: rows do not influence each other, a row stops when it says so, callbacks see each segment. */
typedef struct watch { int calls, last_rows, wrong; int32_t last[3 * 6]; } watch;
static void on_segment(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                       const hrm_solve_result *results)
{
    watch *w = (watch *)user;
    w->calls++;
    if (segment != w->calls || num_rows < 1 || num_rows > 3 || (w->last_rows && num_rows > w->last_rows)) w->wrong = 1;
    w->last_rows = num_rows;
    for (int i = 0; i < num_rows; i++) {
        memcpy(w->last + rows[i] * 6, answers + i * 6, 6 * sizeof(int32_t));
        if (results[i].segments != segment) w->wrong = 1;
    }
}

static void check_solve(void)
{
    hrm_model_desc d = small_desc();
    hrm_model *model = NULL;
    d.halt_max_steps = 6;
    CHECK_OK(hrm_model_create(&model, &d));
    if (!model) return;
    int stopped_early = 0, different = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        model_decide(model, seed);
        int32_t puzzles[3 * 6], together[3 * 6], alone[6], ids[3] = {1, 3, 1};
        hrm_solve_result results[3], one;
        hrm_random r = hrm_random_make(seed, 5);
        for (int i = 0; i < 18; i++) puzzles[i] = (int32_t)hrm_random_below(&r, 5);
        hrm_solve_desc sd;
        watch w;
        memset(&sd, 0, sizeof sd);
        memset(&w, 0, sizeof w);
        sd.rows = 3, sd.results = results, sd.puzzle_identifiers = ids, sd.on_segment = on_segment, sd.user = &w;
        CHECK_OK(hrm_solve(model, puzzles, together, &sd));
        int longest = 0;
        for (int i = 0; i < 3; i++) {
            hrm_solve_desc single;
            memset(&single, 0, sizeof single);
            single.results = &one, single.puzzle_identifiers = ids + i;
            CHECK_OK(hrm_solve(model, puzzles + i * 6, alone, &single));
            CHECK(memcmp(alone, together + i * 6, sizeof alone) == 0 && one.segments == results[i].segments,
                  "row %d depends on the rows beside it (%d and %d segments)", i, one.segments, results[i].segments);
            CHECK(one.halted == (one.q_halt > one.q_continue) && (one.halted || one.segments == 6),
                  "row %d stops without reason", i);
            if (results[i].segments > longest) longest = results[i].segments;
            stopped_early += results[i].segments < 6;
            different += results[i].segments != results[0].segments;
        }
        CHECK(w.calls == longest && !w.wrong && memcmp(w.last, together, sizeof together) == 0,
              "the callback saw %d segments of %d, or other answers", w.calls, longest);
        sd.no_halting = 1, sd.max_steps = 9, sd.on_segment = NULL;
        CHECK_OK(hrm_solve(model, puzzles, together, &sd));
        for (int i = 0; i < 3; i++)
            CHECK(results[i].segments == 9, "without halting row %d ran %d of 9 segments", i, results[i].segments);
    }
    CHECK(stopped_early > 5 && different > 2, "only %d rows stopped early, %d unlike their neighbour: the test shows little",
          stopped_early, different);
    hrm_model_destroy(model);
}

int main(void)
{
    snprintf(PATH, sizeof PATH, "%s", own_file("model.safetensors"));
    check_full_size();
    check_memory();
    check_failing_allocations();
    check_round_trip();
    check_arguments();
    check_more_arguments();
    check_states();
    check_past_curriculum();
    check_many_puzzles();
    check_positions();
    check_solve();
    return test_summary();
}
