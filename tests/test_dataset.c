/* Data sets: the public layout on disk and arrays in memory, good and broken; the training order and its properties. */
#if !defined(_POSIX_C_SOURCE) && !defined(_WIN32)
    #define _POSIX_C_SOURCE 200809L
#endif
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"

#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#ifdef _WIN32
    #include <direct.h>
    #define mkdir(path, mode) _mkdir(path)
#else
    #include <unistd.h>
#endif

enum { T = 4, V = 9, SETS = 2 };

/* ---- a small data set on disk -------------------------------------------------------------------------------------------- */
static char root[256];

static const char *path_of(const char *split, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s%s%s", root, split, *split ? "/" : "", name);
    return path;
}

static void write_text(const char *split, const char *name, const char *text)
{
    FILE *f = fopen(path_of(split, name), "wb");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) exit(2);
}

static void write_npy(const char *split, const char *name, hrm_dtype dtype, int ndim, int64_t rows, int64_t cols,
                      const int *values)
{
    hrm_npy_writer w;
    int64_t shape[2] = {0, cols};
    CHECK_OK(hrm_npy_writer_open(&w, path_of(split, name), dtype, ndim, shape, NULL));
    for (int64_t i = 0; i < rows * cols; i++) {
        uint8_t u8 = (uint8_t)values[i];
        int16_t i16 = (int16_t)values[i];
        int32_t i32 = values[i];
        int64_t i64 = values[i];
        static unsigned char row[64];
        size_t size = hrm_dtype_size(dtype);
        const void *p = size == 1   ? (const void *)&u8
                        : size == 2 ? (const void *)&i16
                        : size == 4 ? (const void *)&i32
                                    : (const void *)&i64;
        memcpy(row + size * (size_t)(i % cols), p, size);
        if (i % cols == cols - 1) CHECK_OK(hrm_npy_writer_write(&w, row, 1));
    }
    CHECK_OK(hrm_npy_writer_commit(&w));
}

/* set a: 7 examples in 4 puzzles (1, 3, 2, 1) in 2 groups (3, 1); set b: 2 examples, 2 puzzles, 2 groups */
static const int a_puzzles[] = {0, 1, 4, 6, 7}, a_groups[] = {0, 3, 4}, a_ids[] = {1, 2, 3, 4};
static const int b_puzzles[] = {0, 1, 2}, b_groups[] = {0, 1, 2}, b_ids[] = {5, 5};

static const char good_json[] =
    "{\"pad_id\": 0, \"ignore_label_id\": 0, \"blank_identifier_id\": 0, \"vocab_size\": 9, \"seq_len\": 4, "
    "\"num_puzzle_identifiers\": 6, \"total_groups\": 4, \"mean_puzzle_examples\": 1.5, \"sets\": [\"a\", \"b\"]}";

static int token(int row, int column) { return (row * 3 + column * 5) % V; } /* some labels are 0: ignored */

static void write_good(hrm_dtype tokens, hrm_dtype indices)
{
    int inputs[9 * T], labels[9 * T];
    for (int i = 0; i < 9 * T; i++) {
        inputs[i] = token(i / T, i % T);
        labels[i] = token(i / T + 1, i % T);
    }
    write_text("train", "dataset.json", good_json);
    write_npy("train", "a__inputs.npy", tokens, 2, 7, T, inputs);
    write_npy("train", "a__labels.npy", tokens, 2, 7, T, labels);
    write_npy("train", "a__puzzle_identifiers.npy", indices, 1, 4, 1, a_ids);
    write_npy("train", "a__puzzle_indices.npy", indices, 1, 5, 1, a_puzzles);
    write_npy("train", "a__group_indices.npy", indices, 1, 3, 1, a_groups);
    write_npy("train", "b__inputs.npy", tokens, 2, 2, T, inputs + 7 * T);
    write_npy("train", "b__labels.npy", tokens, 2, 2, T, labels + 7 * T);
    write_npy("train", "b__puzzle_identifiers.npy", indices, 1, 2, 1, b_ids);
    write_npy("train", "b__puzzle_indices.npy", indices, 1, 3, 1, b_puzzles);
    write_npy("train", "b__group_indices.npy", indices, 1, 3, 1, b_groups);
}

static hrm_status open_train(int check_tokens)
{
    hrm_dataset *data = NULL;
    hrm_dataset_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.check_tokens = check_tokens;
    hrm_status status = hrm_dataset_open(&data, root, "train", &desc);
    CHECK((data != NULL) == (status == HRM_OK), "output and status disagree: %s", hrm_status_text(status));
    hrm_dataset_close(data);
    return status;
}

static int32_t buffer_inputs[64 * T], buffer_labels[64 * T], buffer_ids[64];
static hrm_batch batch_of(int rows)
{
    hrm_batch b;
    b.rows = rows;
    b.filled = -1;
    b.inputs = buffer_inputs;
    b.labels = buffer_labels;
    b.puzzle_identifiers = buffer_ids;
    return b;
}

static void test_files(void)
{
    static const hrm_dtype tokens[] = {HRM_U8, HRM_I8, HRM_I16, HRM_I32, HRM_U8},
                           indices[] = {HRM_I32, HRM_I32, HRM_I32, HRM_I16, HRM_I64};
    for (int k = 0; k < 5; k++) {
        hrm_dataset *data = NULL;
        write_good(tokens[k], indices[k]);
        CHECK_OK(open_train(1));
        CHECK_OK(hrm_dataset_open(&data, root, "train", NULL));
        if (!data) return;
        const hrm_dataset_info *info = hrm_dataset_describe(data);
        CHECK(info->seq_len == T && info->vocab_size == V && info->num_puzzle_identifiers == 6, "shapes");
        CHECK(info->total_examples == 9 && info->total_puzzles == 6 && info->total_groups == 4 && info->num_sets == 2,
              "totals");
        CHECK(info->ignore_label_id == 0 && info->pad_id == 0 && info->blank_identifier_id == 0 &&
                  info->mean_puzzle_examples == 1.5,
              "metadata");
        for (int first = 0; first < 9; first++) { /* from every example, over the boundary of the sets and past the end */
            static const int ids[] = {1, 2, 2, 2, 3, 3, 4, 5, 5};
            hrm_batch b = batch_of(4);
            CHECK_OK(hrm_dataset_read(data, first, &b));
            CHECK(b.filled == (first <= 5 ? 4 : 9 - first), "filled %d", b.filled);
            int bad = 0;
            for (int i = 0; i < 4; i++)
                for (int t = 0; t < T; t++) {
                    int row = first + i, label = token(row + 1, t), real = row < 9;
                    bad += b.inputs[i * T + t] != (real ? token(row, t) : 0) ||
                           b.labels[i * T + t] != (real && label ? label : -100);
                    bad += b.puzzle_identifiers[i] != (real ? ids[row] : 0);
                }
            CHECK(bad == 0, "%d wrong values from example %d", bad, first);
        }
        hrm_batch b = batch_of(1);
        CHECK(hrm_dataset_read(data, 9, &b) == HRM_END, "past the end");
        CHECK_FAILS(hrm_dataset_read(data, -1, &b), HRM_ERR_ARGUMENT, "-1");
        b.rows = 0;
        CHECK_FAILS(hrm_dataset_read(data, 0, &b), HRM_ERR_ARGUMENT, "0 rows");
        hrm_dataset_close(data);
    }
}

static void test_broken(void)
{
    static const struct { const char *from, *to; hrm_status status; const char *message;
    } json[] = {
        {"\"seq_len\": 4, ", "", HRM_ERR_FORMAT, "seq_len"},
        {"\"seq_len\": 4", "\"seq_len\": 5", HRM_ERR_SHAPE, "a__inputs.npy: rows of 4 tokens"},
        {"\"seq_len\": 4", "\"seq_len\": \"four\"", HRM_ERR_FORMAT, "seq_len"},
        {"\"vocab_size\": 9", "\"vocab_size\": 1", HRM_ERR_RANGE, "vocab_size"},
        {"\"pad_id\": 0", "\"pad_id\": 9", HRM_ERR_RANGE, "pad_id"},
        {"\"num_puzzle_identifiers\": 6", "\"num_puzzle_identifiers\": 5", HRM_ERR_RANGE,
         "b__puzzle_identifiers.npy: row 0 is 5"},
        {"\"total_groups\": 4", "\"total_groups\": 5", HRM_ERR_FORMAT, "\"total_groups\" is 5, but the sets have 4"},
        {"\"mean_puzzle_examples\": 1.5", "\"mean_puzzle_examples\": 2", HRM_ERR_FORMAT, "mean_puzzle_examples"},
        {"[\"a\", \"b\"]", "[]", HRM_ERR_FORMAT, "sets"},
        {"[\"a\", \"b\"]", "[\"a\", \"c\"]", HRM_ERR_IO, "c__inputs.npy"},
        {"[\"a\", \"b\"]", "[\"../a\"]", HRM_ERR_FORMAT, "../a"},
        {"{\"pad", "{pad", HRM_ERR_FORMAT, "dataset.json"},
    };
    write_good(HRM_U8, HRM_I32);
    for (size_t i = 0; i < sizeof json / sizeof *json; i++) {
        char text[512];
        const char *at = strstr(good_json, json[i].from);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good_json), good_json, json[i].to, at + strlen(json[i].from));
        write_text("train", "dataset.json", text);
        hrm_status status = open_train(0);
        CHECK(status != HRM_OK && (status == json[i].status || json[i].status == HRM_ERR_RANGE) &&
                  strstr(hrm_error_message(), json[i].message),
              "%s: status \"%s\", message \"%s\"", json[i].to, hrm_status_text(status), hrm_error_message());
    }
    write_text("train", "dataset.json", good_json);
    CHECK_OK(open_train(0));

    static const struct { const char *name; int n; int values[6]; hrm_status status; const char *message;
    } arrays[] = {
        {"a__puzzle_indices.npy", 5, {1, 2, 4, 6, 7}, HRM_ERR_RANGE, "a__puzzle_indices.npy: row 0 is 1"},
        {"a__puzzle_indices.npy", 5, {0, 4, 1, 6, 7}, HRM_ERR_RANGE, "a__puzzle_indices.npy: row 2 is 1 after 4"},
        {"a__puzzle_indices.npy", 5, {0, 4, 4, 6, 7}, HRM_ERR_RANGE, "row 2 is 4 after 4"},
        {"a__puzzle_indices.npy", 5, {0, 1, 4, 6, 8}, HRM_ERR_RANGE, "row, 4, is 8, expected the number of examples, 7"},
        {"a__puzzle_indices.npy", 4, {0, 1, 4, 7}, HRM_ERR_SHAPE, "a__puzzle_identifiers.npy: 4 rows, expected 3"},
        {"a__puzzle_indices.npy", 1, {0}, HRM_ERR_SHAPE, "a__puzzle_indices.npy: 1 rows"},
        {"a__group_indices.npy", 3, {0, 3, 3}, HRM_ERR_RANGE, "a__group_indices.npy: row 2"},
        {"a__group_indices.npy", 3, {0, 2, 3}, HRM_ERR_RANGE, "the number of puzzles, 4"},
        {"a__puzzle_identifiers.npy", 4, {1, 2, -3, 4}, HRM_ERR_RANGE, "a__puzzle_identifiers.npy: row 2 is -3"},
        {"a__puzzle_identifiers.npy",
         4,
         {1, 2, 6, 4},
         HRM_ERR_RANGE,
         "a__puzzle_identifiers.npy: row 2 is 6, expected an identifier of 0 to 5"},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        write_npy("train", arrays[i].name, HRM_I32, 1, arrays[i].n, 1, arrays[i].values);
        CHECK_FAILS(open_train(0), arrays[i].status, arrays[i].message);
        write_good(HRM_U8, HRM_I32);
    }

    /* shapes and types of the big ones */
    int values[9 * T] = {0};
    write_npy("train", "a__labels.npy", HRM_U8, 2, 6, T, values);
    CHECK_FAILS(open_train(0), HRM_ERR_SHAPE, "a__labels.npy: 6 rows, expected 7");
    write_npy("train", "a__labels.npy", HRM_I32, 1, 7, 1, values);
    CHECK_FAILS(open_train(0), HRM_ERR_SHAPE, "a__labels.npy: 1 dimensions");
    write_npy("train", "a__labels.npy", HRM_F32, 2, 7, T, values);
    CHECK_FAILS(open_train(0), HRM_ERR_FORMAT, "a__labels.npy: elements of type F32");
    write_text("train", "a__labels.npy", "no array");
    CHECK_FAILS(open_train(0), HRM_ERR_FORMAT, "a__labels.npy");
    remove(path_of("train", "a__labels.npy"));
    CHECK_FAILS(open_train(0), HRM_ERR_IO, "a__labels.npy");

    /* tokens: when they are read, or at once when asked to */
    write_good(HRM_U8, HRM_I32);
    for (int i = 0; i < 7 * T; i++) values[i] = token(i / T, i % T);
    values[5 * T + 2] = V;
    write_npy("train", "a__inputs.npy", HRM_I16, 2, 7, T, values);
    CHECK_OK(open_train(0));
    CHECK_FAILS(open_train(1), HRM_ERR_RANGE, "a__inputs.npy: row 5, position 2 is 9, expected 0 to 8");
    hrm_dataset *data = NULL;
    CHECK_OK(hrm_dataset_open(&data, root, "train", NULL));
    hrm_batch b = batch_of(5);
    CHECK_OK(hrm_dataset_read(data, 0, &b));
    CHECK_FAILS(hrm_dataset_read(data, 2, &b), HRM_ERR_RANGE, "a__inputs.npy: row 5, position 2 is 9");
    hrm_position p, start;
    memset(&p, 0, sizeof p);
    hrm_status status = HRM_OK;
    for (int i = 0; i < 100 && status == HRM_OK; i++) {
        start = p;
        status = hrm_dataset_next(data, &p, 1, 2, &b, NULL);
    }
    CHECK_FAILS(status, HRM_ERR_RANGE, "row 5, position 2");
    CHECK(memcmp(&p, &start, sizeof p) == 0, "the position moved on failure");
    hrm_dataset_close(data);
    values[5 * T + 2] = -100; /* the ignored label itself may stand in the labels, not in the inputs */
    write_npy("train", "a__inputs.npy", HRM_I16, 2, 7, T, values);
    CHECK_FAILS(open_train(1), HRM_ERR_RANGE, "is -100");
    write_good(HRM_U8, HRM_I32);
    write_npy("train", "a__labels.npy", HRM_I16, 2, 7, T, values);
    CHECK_OK(open_train(1));
    write_npy("train", "a__labels.npy", HRM_I8, 2, 7, T, values); /* in a byte it is 156 */
    CHECK_OK(open_train(1));
    write_npy("train", "a__puzzle_indices.npy", HRM_I8, 1, 5, 1, (const int[]){0, 1, 4, -2, 7});
    CHECK_FAILS(open_train(0), HRM_ERR_RANGE, "a__puzzle_indices.npy: row 3 is -2 after 4");

    CHECK_FAILS(hrm_dataset_open(&data, root, "nowhere", NULL), HRM_ERR_IO, "nowhere");
    CHECK_FAILS(hrm_dataset_open(&data, NULL, "train", NULL), HRM_ERR_ARGUMENT, "dir");
}

/* ---- the training order -------------------------------------------------------------------------------------------------- */
enum { GROUPS = 37, ROWS = 10 };

typedef struct world { /* group g has 1 + g % 3 puzzles, puzzle p has 1 + p % 5 examples; an example's tokens name it */
    uint8_t inputs[1000 * T], labels[1000 * T];
    int32_t ids[200], puzzles[201], groups[GROUPS + 1];
    int     puzzle_of[1000], group_of[200];
    hrm_dataset_arrays arrays;
} world;

static void make_world(world *w)
{
    memset(w, 0, sizeof *w);
    int p = 0, e = 0;
    for (int g = 0; g < GROUPS; g++) {
        for (int k = 0; k < 1 + g % 3; k++, p++) {
            w->group_of[p] = g;
            w->ids[p] = p + 1;
            for (int i = 0; i < 1 + p % 5; i++, e++) {
                w->puzzle_of[e] = p;
                w->inputs[e * T] = (uint8_t)(e % 250);
                w->inputs[e * T + 1] = (uint8_t)(e / 250);
                w->labels[e * T] = 1;
            }
            w->puzzles[p + 1] = e;
        }
        w->groups[g + 1] = p;
    }
    w->arrays.seq_len = T;
    w->arrays.vocab_size = 256;
    w->arrays.has_ignore_label = 1;
    w->arrays.num_examples = e;
    w->arrays.inputs = w->inputs;
    w->arrays.labels = w->labels;
    w->arrays.num_puzzles = p;
    w->arrays.puzzle_identifiers = w->ids;
    w->arrays.puzzle_indices = w->puzzles;
    w->arrays.num_groups = GROUPS;
    w->arrays.group_indices = w->groups;
}

static int example_of(const hrm_batch *b, int row) { return b->inputs[row * T] + 250 * b->inputs[row * T + 1]; }

static void test_order(void)
{
    static world w;
    make_world(&w);
    hrm_dataset *data = NULL, *again = NULL;
    CHECK_OK(hrm_dataset_from_arrays(&data, &w.arrays, NULL));
    CHECK_OK(hrm_dataset_from_arrays(&again, &w.arrays, NULL));
    if (!data || !again) return;
    CHECK(hrm_dataset_describe(data)->num_puzzle_identifiers == w.arrays.num_puzzles + 1, "identifiers");
    enum { EPOCHS = 3, ITERATIONS = 60 };
    hrm_position p;
    memset(&p, 0, sizeof p);
    uint64_t iteration = 0;
    int bad = 0, seen_example[1000] = {0}, seen_first[GROUPS] = {0}, visits[GROUPS] = {0}, batches = 0, dropped = 0,
        filled_groups = 0;
    for (;;) {
        hrm_batch b = batch_of(ROWS);
        hrm_position before = p;
        int fresh = -1, alone_fresh = -1;
        hrm_position alone = p;
        hrm_batch nothing;
        memset(&nothing, 0, sizeof nothing);
        nothing.rows = ROWS;
        CHECK_OK(hrm_dataset_next(data, &alone, 42, EPOCHS, &nothing, &alone_fresh));
        CHECK_OK(hrm_dataset_next(data, &p, 42, EPOCHS, &b, &fresh));
        CHECK(memcmp(&alone, &p, sizeof p) == 0 && alone_fresh == fresh && nothing.filled == ROWS,
              "a position that moves alone goes elsewhere");
        CHECK(b.filled == ROWS, "a batch of %d", b.filled);
        CHECK(fresh == (p.iteration != before.iteration), "new_iteration %d", fresh);
        if (p.iteration !=
            iteration) { /* the last is over: every group came at most EPOCHS times, the missing ones were dropped */
            int missing = 0;
            for (int g = 0; g < GROUPS; g++) {
                bad += visits[g] > EPOCHS;
                missing += EPOCHS - visits[g];
            }
            bad += missing > ROWS;
            dropped += missing > 0;
            memset(visits, 0, sizeof visits);
            iteration = p.iteration;
            if (iteration == ITERATIONS) break;
        }
        /* the same batch from its position alone, in another data set that has seen nothing before */
        int32_t inputs[ROWS * T], ids[ROWS];
        memcpy(inputs, b.inputs, sizeof inputs);
        memcpy(ids, b.puzzle_identifiers, sizeof ids);
        hrm_position q = before;
        hrm_dataset *other = again;
        CHECK_OK(hrm_dataset_next(other, &q, 42, EPOCHS, &b, NULL));
        CHECK(memcmp(&p, &q, sizeof p) == 0 && memcmp(inputs, b.inputs, sizeof inputs) == 0 &&
                  memcmp(ids, b.puzzle_identifiers, sizeof ids) == 0,
              "batch %d differs when resumed", batches);
        /* rows of one puzzle stand together, without repetition, complete but for the last */
        for (int i = 0; i < ROWS;) {
            int first = example_of(&b, i), puzzle = w.puzzle_of[first], n = 0, used = 0,
                size = w.puzzles[puzzle + 1] - w.puzzles[puzzle];
            for (; i < ROWS && n < size && w.puzzle_of[example_of(&b, i)] == puzzle; i++, n++) {
                int k = example_of(&b, i) - w.puzzles[puzzle];
                bad += used >> k & 1;
                used |= 1 << k;
                bad += b.puzzle_identifiers[i] != puzzle + 1;
                seen_example[example_of(&b, i)]++;
            }
            bad += n < size && i < ROWS;
            visits[w.group_of[puzzle]]++;
            if (batches == 0 || fresh == 1) seen_first[w.group_of[puzzle]]++;
            filled_groups++;
        }
        batches++;
    }
    int unseen = 0, first_unseen = 0;
    for (int e = 0; e < w.arrays.num_examples; e++) unseen += !seen_example[e];
    for (int g = 0; g < GROUPS; g++) first_unseen += !seen_first[g];
    CHECK(bad == 0, "%d violations of the order", bad);
    CHECK(unseen == 0, "%d examples never came in %d iterations", unseen, ITERATIONS);
    CHECK(first_unseen == 0, "%d groups never opened an iteration", first_unseen);
    CHECK(dropped > 0, "no iteration dropped a partial batch");
    CHECK(batches > ITERATIONS * 20 && filled_groups > batches, "%d batches", batches);

    /* within an epoch each group comes once: batches of one row, whose position says where they are */
    int count[GROUPS] = {0}, other_seed = 0, next_epoch = 0, order[3][GROUPS];
    memset(&p, 0, sizeof p);
    for (int k = 0; k < 2 * GROUPS; k++) {
        hrm_batch b = batch_of(1);
        CHECK_OK(hrm_dataset_next(data, &p, 7, 2, &b, NULL));
        order[k / GROUPS][k % GROUPS] = w.group_of[w.puzzle_of[example_of(&b, 0)]];
        CHECK(p.iteration == 0 && p.draws == (uint64_t)k + 1, "position");
    }
    memset(&p, 0, sizeof p);
    for (int k = 0; k < GROUPS; k++) {
        hrm_batch b = batch_of(1);
        CHECK_OK(hrm_dataset_next(data, &p, 8, 2, &b, NULL));
        order[2][k] = w.group_of[w.puzzle_of[example_of(&b, 0)]];
    }
    for (int k = 0; k < GROUPS; k++) {
        count[order[0][k]] += 1;
        count[order[1][k]] += 1;
        count[order[2][k]] += 1;
        next_epoch += order[0][k] != order[1][k];
        other_seed += order[0][k] != order[2][k];
    }
    for (int g = 0; g < GROUPS; g++) CHECK(count[g] == 3, "group %d came %d times in three epochs", g, count[g]);
    CHECK(next_epoch > GROUPS / 2 && other_seed > GROUPS / 2, "epochs or seeds share their order");

    /* an iteration that fills its last batch exactly goes on without a gap; what cannot be filled at all is refused */
    hrm_batch b = batch_of(64);
    memset(&p, 0, sizeof p);
    CHECK_OK(hrm_dataset_next(data, &p, 1, 1, &b, NULL));
    b.rows = ROWS;
    static uint8_t one[20 * T];
    hrm_dataset_arrays plain;
    memset(&plain, 0, sizeof plain);
    plain.seq_len = T;
    plain.vocab_size = 2;
    plain.num_examples = 20;
    plain.inputs = plain.labels = one;
    hrm_dataset_close(again);
    CHECK_OK(hrm_dataset_from_arrays(&again, &plain, NULL));
    memset(&p, 0, sizeof p);
    for (int k = 0; k < 6; k++) {
        int fresh = -1;
        CHECK_OK(hrm_dataset_next(again, &p, 1, 0, &b, &fresh));
        CHECK(p.iteration == (uint64_t)k / 2 && fresh == (k == 2 || k == 4), "batch %d in iteration %d", k, (int)p.iteration);
    }
    CHECK(hrm_dataset_describe(again)->total_groups == 20 && hrm_dataset_describe(again)->ignore_label_id == INT_MIN,
          "defaults");
    b = batch_of(21);
    hrm_position at = p;
    CHECK_FAILS(hrm_dataset_next(again, &p, 1, 1, &b, NULL), HRM_ERR_ARGUMENT, "21 rows");
    CHECK(memcmp(&at, &p, sizeof p) == 0, "the position moved on failure");
    CHECK_OK(hrm_dataset_next(again, &p, 1, 2, &b, NULL)); /* two epochs an iteration fill it */
    p.group = 1000;
    CHECK_FAILS(hrm_dataset_next(again, &p, 1, 1, &b, NULL), HRM_ERR_RANGE, "position");
    hrm_dataset_close(again);
    hrm_dataset_close(data);
}

/* The order itself, as 0.1.0 drew it: a training stopped by one version goes on by the next. */
static void test_known_order(void)
{
    static const int32_t puzzles[] = {0, 2, 3, 6, 7, 11, 12, 15}, groups[] = {0, 2, 3, 5, 7};
    static const int32_t known[2][24] = {
        {9, 7, 8, 3, 4, 5, 11, 1, 0, 9, 7, 10, 2, 4, 3, 11, 6, 3, 7, 9, 10, 1, 0, 12},
        {9, 7, 8, 3, 4, 5, 11, 1, 0, 7, 8, 10, 2, 3, 5, 12, 14, 13, 9, 7, 10, 2, 4, 3},
    };
    uint8_t tokens[15];
    hrm_dataset_arrays a;
    hrm_dataset *data = NULL;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < 15; i++) tokens[i] = (uint8_t)i;
    a.seq_len = 1, a.vocab_size = 15, a.num_examples = 15, a.inputs = a.labels = tokens;
    a.num_puzzles = 7, a.puzzle_indices = puzzles, a.num_groups = 4, a.group_indices = groups;
    CHECK_OK(hrm_dataset_from_arrays(&data, &a, NULL));
    for (int epochs = 1; epochs <= 2; epochs++) {
        hrm_position p;
        int32_t inputs[3], labels[3], ids[3];
        hrm_batch batch = {3, 0, inputs, labels, ids};
        memset(&p, 0, sizeof p);
        CHECK_OK(hrm_dataset_next(data, &p, 54321, epochs, &batch, NULL)); /* another's order is not kept for this one */
        memset(&p, 0, sizeof p);
        for (int b = 0; b < 8; b++) {
            CHECK_OK(hrm_dataset_next(data, &p, 12345, epochs, &batch, NULL));
            CHECK(memcmp(inputs, known[epochs - 1] + 3 * b, sizeof inputs) == 0, "%d epochs, batch %d: examples %d, %d, %d",
                  epochs, b, (int)inputs[0], (int)inputs[1], (int)inputs[2]);
        }
    }
    hrm_dataset_close(data);
}

static void test_sets(void)
{
    /* sets come one after another; a set's partial batch is dropped: of a (2 groups) and b (2 groups, 2 examples) */
    hrm_dataset *data = NULL;
    write_good(HRM_U8, HRM_I32);
    CHECK_OK(hrm_dataset_open(&data, root, "train", NULL));
    hrm_position p;
    memset(&p, 0, sizeof p);
    for (int k = 0; k < 50; k++) {
        hrm_batch b = batch_of(2);
        CHECK_OK(hrm_dataset_next(data, &p, 3, 1, &b, NULL));
        int in_b = p.epoch == 1;
        CHECK((b.puzzle_identifiers[0] == 5) == in_b && (b.puzzle_identifiers[1] == 5) == in_b, "a batch of both sets");
    }
    hrm_dataset_close(data);
}

static void test_only(void)
{
    /* groups with a puzzle of identifier 4 or 5: the second of a, both of b; by number all is read as before */
    unsigned char only[6] = {0, 0, 0, 0, 1, 1};
    hrm_dataset_desc desc;
    hrm_dataset *data = NULL;
    memset(&desc, 0, sizeof desc);
    desc.only = only, desc.num_only = 6;
    write_good(HRM_U8, HRM_I32);
    CHECK_OK(hrm_dataset_open(&data, root, "train", &desc));
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    CHECK(info->total_groups == 3 && info->total_puzzles == 3 && info->total_examples == 9, "%lld groups, %lld puzzles",
          (long long)info->total_groups, (long long)info->total_puzzles);
    CHECK(info->mean_puzzle_examples == 1, "%g examples a puzzle", info->mean_puzzle_examples);
    hrm_position p;
    memset(&p, 0, sizeof p);
    int seen[6] = {0};
    for (int k = 0; k < 30; k++) {
        hrm_batch b = batch_of(1);
        CHECK_OK(hrm_dataset_next(data, &p, 3, 1, &b, NULL));
        seen[b.puzzle_identifiers[0]]++;
    }
    CHECK(seen[4] == 10 && seen[5] == 20, "%d and %d of 30 are of 4 and 5", seen[4], seen[5]);
    hrm_batch b = batch_of(1);
    CHECK_OK(hrm_dataset_read(data, 0, &b));
    CHECK(b.puzzle_identifiers[0] == 1, "example 0 is of puzzle %d", (int)b.puzzle_identifiers[0]);
    hrm_dataset_close(data);
    only[4] = only[5] = 0, only[2] = 1; /* one of three puzzles is enough: a group is drawn from whole */
    CHECK_OK(hrm_dataset_open(&data, root, "train", &desc));
    info = hrm_dataset_describe(data);
    CHECK(info->total_puzzles == 3 && info->mean_puzzle_examples == 2, "the group of puzzle 2");
    hrm_dataset_close(data);
    data = NULL;
    only[2] = 0;
    CHECK_FAILS(hrm_dataset_open(&data, root, "train", &desc), HRM_ERR_ARGUMENT, "no group has a puzzle of those asked for");
    desc.num_only = 0;
    CHECK_FAILS(hrm_dataset_open(&data, root, "train", &desc), HRM_ERR_ARGUMENT, "no group has a puzzle of those asked for");
}

static void test_arrays(void)
{
    static world w;
    static const struct { const char *message; hrm_status status;
    } expected[] = {{"seq_len", HRM_ERR_ARGUMENT},
                    {"vocab_size", HRM_ERR_ARGUMENT},
                    {"num_examples", HRM_ERR_ARGUMENT},
                    {"labels is NULL", HRM_ERR_ARGUMENT},
                    {"puzzle_indices: row 0", HRM_ERR_RANGE},
                    {"group_indices: the last row", HRM_ERR_RANGE},
                    {"puzzle_identifiers: row 3", HRM_ERR_RANGE},
                    {"pad_id", HRM_ERR_RANGE},
                    {"blank_identifier_id", HRM_ERR_RANGE},
                    {"puzzle_indices: the last row", HRM_ERR_RANGE}};
    for (int k = 0; k < (int)(sizeof expected / sizeof *expected); k++) {
        hrm_dataset *data = NULL;
        make_world(&w);
        switch (k) {
        case 0: w.arrays.seq_len = 0; break;
        case 1: w.arrays.vocab_size = 1; break;
        case 2: w.arrays.num_examples = 0; break;
        case 3: w.arrays.labels = NULL; break;
        case 4: w.puzzles[0] = 1; break;
        case 5: w.groups[GROUPS]++; break;
        case 6: w.ids[3] = -1; break;
        case 7: w.arrays.pad_id = 256; break;
        case 8: w.arrays.blank_identifier_id = -1; break;
        default: w.arrays.puzzle_indices = NULL; break; /* counting does not cover all examples */
        }
        CHECK_FAILS(hrm_dataset_from_arrays(&data, &w.arrays, NULL), expected[k].status, expected[k].message);
        CHECK(data == NULL, "an output on failure");
    }
}

/* ---- memory -------------------------------------------------------------------------------------------------------------- */
static int allocations_left;
static long live;
static void *limited_alloc(size_t size, void *user)
{
    (void)user;
    if (allocations_left-- <= 0) return NULL;
    live += (long)size;
    return malloc(size);
}
static void limited_free(void *p, size_t size, void *user)
{
    (void)user;
    live -= (long)size;
    free(p);
}

static void test_memory(void)
{
    hrm_allocator a = {limited_alloc, limited_free, NULL};
    hrm_dataset_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.allocator = &a;
    write_good(HRM_U8, HRM_I32);
    int n = 0;
    for (;; n++) {
        hrm_dataset *data = NULL;
        allocations_left = n;
        hrm_status status = hrm_dataset_open(&data, root, "train", &desc);
        if (status == HRM_OK) {
            allocations_left = 0; /* and none after */
            hrm_position p;
            memset(&p, 0, sizeof p);
            for (int i = 0; i < 20; i++) {
                hrm_batch b = batch_of(2);
                CHECK_OK(hrm_dataset_next(data, &p, 1, 1, &b, NULL));
                CHECK_OK(hrm_dataset_read(data, i % 9, &b));
            }
            hrm_dataset_close(data);
            break;
        }
        CHECK(status == HRM_ERR_MEMORY && !data, "allocation %d: %s", n, hrm_error_message());
        CHECK(live == 0, "%ld bytes leak when allocation %d fails", live, n);
        if (live || n > 1000) return;
    }
    CHECK(live == 0 && n > 10, "%ld bytes leak", live);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/hrm_test_dataset_%ld", tmp ? tmp : "/tmp", (long)time(NULL) ^ (long)clock());
    if (mkdir(root, 0777) != 0 || mkdir(path_of("train", ""), 0777) != 0) return 2;
    test_files();
    test_broken();
    test_order();
    test_known_order();
    test_sets();
    test_only();
    test_arrays();
    test_memory();
    static const char *const names[] = {"inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices"};
    for (int i = 0; i < 10; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s__%s.npy", i < 5 ? "a" : "b", names[i % 5]);
        remove(path_of("train", name));
    }
    remove(path_of("train", "dataset.json"));
    rmdir(path_of("train", ""));
    rmdir(root);
    return test_summary();
}
