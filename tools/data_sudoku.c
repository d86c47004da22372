/* `hrm data sudoku`: from CSV or generated, with variants by the symmetries of Sudoku. Tokens: pad 0, blank 1, digits from
 * 2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "progress.h"
#include "puzzles.h"

enum { SUDOKU_CHUNK = 16384, SUDOKU_ATTEMPTS = 200, SUDOKU_CLASSES = 12,
       SUDOKU_CHANGES = 3 /* from one puzzle of a climb to the next */ };

typedef struct sudoku_item { uint8_t puzzle[SUDOKU_MAX_CELLS], solution[SUDOKU_MAX_CELLS]; } sudoku_item;

typedef struct sudoku_build {
    const data_options *o;
    sudoku_shape shape;
    data_build   build;
    /* which solutions belong to which split, by the name of their class; only for generated puzzles */
    uint64_t classes[SUDOKU_CLASSES];
    int      num_classes, num_test_classes;
    /* the work of the pool */
    int          split; /* 0 train, 1 test */
    int64_t      first, count; /* items first.. of this call */
    sudoku_item *items;
    int         *failed; /* [count] generating: 1 when no puzzle came of it */
    int64_t      variants; /* of a puzzle, itself included */
    uint8_t     *inputs, *labels; /* [count, cells] */
} sudoku_build;

/* ---- which split a solution is in -----------------------------------------------------------------------------------------
 * Size 4 has 288 boards, 12 when digits are renamed: 3 of those, drawn by the seed, are for testing. The larger sizes have
 * plenty: one half, by a hash of the class, is for testing.
 */
static int sudoku_compare_classes(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static void sudoku_list_classes(sudoku_build *b)
{
    b->num_classes = 0;
    for (int64_t i = 0; b->num_classes < SUDOKU_CLASSES; i++) {
        uint8_t board[SUDOKU_MAX_CELLS];
        int known = 0;
        hrm_random r = data_random(0, DATA_SUDOKU_CLASS, 0, i, 0);
        sudoku_fill(&b->shape, &r, board);
        uint64_t name = sudoku_class(&b->shape, board);
        for (int k = 0; k < b->num_classes; k++) known |= b->classes[k] == name;
        if (!known) b->classes[b->num_classes++] = name;
    }
    qsort(b->classes, SUDOKU_CLASSES, sizeof *b->classes, sudoku_compare_classes);
    hrm_random r = data_random(b->o->seed, DATA_SUDOKU_CLASS, 1, 0, 0);
    for (int i = SUDOKU_CLASSES; i > 1; i--) {
        int j = (int)hrm_random_below(&r, (uint32_t)i);
        uint64_t t = b->classes[i - 1];
        b->classes[i - 1] = b->classes[j];
        b->classes[j] = t;
    }
    b->num_test_classes = 3;
}

static int sudoku_split_of(const sudoku_build *b, const uint8_t *solution)
{
    uint64_t name = sudoku_class(&b->shape, solution);
    for (int k = 0; k < b->num_test_classes; k++)
        if (b->classes[k] == name) return 1;
    return b->num_classes ? 0 : (int)(data_mix(name ^ data_mix(b->o->seed + 1)) & 1);
}

/* ---- generating ---------------------------------------------------------------------------------------------------------- */
static int sudoku_hard(const sudoku_build *b)
{
    return b->o->min_difficulty > 0 || b->o->max_difficulty >= 0;
}

/* Puzzles that share a solution when they are to be hard: finding hard ones is most of the work, and they are close by. */
static int sudoku_climb(const sudoku_build *b)
{
    return !sudoku_hard(b) ? 1 : b->o->per_solution > 0 ? (int)b->o->per_solution : SUDOKU_PER_SOLUTION;
}

static int sudoku_make(const sudoku_build *b, int64_t index, int64_t attempt, sudoku_item *items, int count)
{
    /* `count` puzzles from one climb, or from as many as it takes -> how many came of it */
    const data_options *o = b->o;
    int least[SUDOKU_PER_SOLUTION] = {0}, most = (int)o->max_difficulty, made = 0;
    hrm_random r = data_random(o->seed, DATA_SUDOKU, b->split, index, attempt);
    for (int i = 0; i < count && sudoku_hard(b); i++) { /* in ascending order */
        int k = i, rating = o->min_difficulty > 0 ? (int)o->min_difficulty : 0;
        if (most >= 0) rating += (int)hrm_random_below(&r, (uint32_t)(3 * (most - rating) / 4 + 1)); /* what comes is more */
        for (; k > 0 && least[k - 1] > rating; k--) least[k] = least[k - 1];
        least[k] = rating;
    }
    for (int tries = 0, on = 0; made < count && tries < 100 && !data_stopped();) {
        sudoku_item *item = &items[made];
        if (on) *item = items[made - 1];
        else {
            do sudoku_fill(&b->shape, &r, item->solution);
            while (sudoku_split_of(b, item->solution) != b->split);
            (void)sudoku_dig(&b->shape, &r, o->givens > 0 ? (int)o->givens : 0, item->puzzle, item->solution);
        }
        if (sudoku_hard(b)) {
            int rating = sudoku_harden(&b->shape, &r, least[made], most, on ? SUDOKU_CHANGES : 0, item->puzzle,
                                       item->solution);
            int fits = rating >= least[made] && (most < 0 || rating <= most), again = 0;
            for (int i = 0; i < made && !again; i++) again = memcmp(item->puzzle, items[i].puzzle, (size_t)b->shape.cells) == 0;
            on = fits && !again;
            if (!fits && most >= 0) { /* few get to the top: for less */
                int lowest = o->min_difficulty > 0 ? (int)o->min_difficulty : 0;
                least[made] = lowest + (int)hrm_random_below(&r, (uint32_t)(least[made] - lowest + 1));
            }
            if (!on) { /* no way on from there: from another solution */
                tries++;
                continue;
            }
            tries = 0;
        }
        made++;
    }
    return made;
}

static void sudoku_make_part(void *context, int thread, int num_threads)
{
    sudoku_build *b = (sudoku_build *)context;
    int step = sudoku_climb(b);
    (void)thread, (void)num_threads; /* climbs take unlike times, so whoever is free takes the next */
    for (int64_t i; (i = (int64_t)hrm_pool_next(b->build.pool) * step) < b->count && !data_stopped();) {
        int count = b->count - i < step ? (int)(b->count - i) : step;
        int made = sudoku_make(b, b->first + i, 0, &b->items[b->first + i], count);
        for (int k = 0; k < count; k++) b->failed[i + k] = k >= made;
    }
}

static int sudoku_generate_split(sudoku_build *b, int split, int64_t count, sudoku_item *items, data_table *seen)
{
    /* `count` puzzles, none of which is in `seen`; what is made in parallel depends on its number alone, repetitions are
     * replaced in order */
    enum { AT_ONCE = 4096 };
    int failed[AT_ONCE], status = TOOL_OK;
    int step = sudoku_climb(b);
    int64_t at_once = sudoku_hard(b) ? 8 * SUDOKU_PER_SOLUTION * (int64_t)b->build.threads : AT_ONCE;
    at_once = (at_once < AT_ONCE ? at_once : AT_ONCE) / step * step; /* whole climbs, whatever the threads */
    int64_t most = b->o->max_difficulty;
    progress p = progress_begin(split ? "generate test" : "generate train", (double)count);
    b->split = split;
    b->items = items;
    b->failed = failed;
    for (b->first = 0; b->first < count && status == TOOL_OK; b->first += b->count) {
        b->count = count - b->first < at_once ? count - b->first : at_once;
        hrm_pool_run(b->build.pool, sudoku_make_part, b);
        if (data_stopped()) return TOOL_ERROR;
        for (int64_t i = 0; i < b->count && status == TOOL_OK; i++) {
            sudoku_item *item = &items[b->first + i];
            int added = 0, ok = !failed[i];
            for (int64_t attempt = 1; ok; attempt++) {
                (void)data_table_find(seen, data_hash(DATA_HASH, item->puzzle, (size_t)b->shape.cells), &added);
                if (added || attempt > SUDOKU_ATTEMPTS) break;
                ok = sudoku_make(b, b->first + i, attempt, item, 1);
            }
            if (!ok) {
                progress_clear(&p);
                status = tool_error(
                    "no Sudoku of size %lld with a rating of %lld or more was found: ask for a lower --%s-difficulty",
                    (long long)b->o->size, (long long)(most >= 0 ? most : b->o->min_difficulty), most >= 0 ? "max" : "min");
            } else if (!added) {
                progress_clear(&p);
                status = tool_error("only %lld different puzzles of size %lld were found: ask for fewer",
                                    (long long)seen->count, (long long)b->o->size);
            }
        }
        progress_update(&p, (double)(b->first + b->count), NULL);
    }
    b->failed = NULL;
    if (status == TOOL_OK) progress_end(&p, NULL);
    return status;
}

/* ---- variants ------------------------------------------------------------------------------------------------------------ */
static void sudoku_variant(const sudoku_build *b, int64_t index, int64_t variant, const sudoku_item *item, uint8_t *input,
                           uint8_t *label)
{
    /* variant 0 is the puzzle itself */
    const sudoku_shape *s = &b->shape;
    uint8_t digit[SUDOKU_MAX_SIZE + 1], from[SUDOKU_MAX_CELLS], solution[SUDOKU_MAX_CELLS];
    hrm_random r = data_random(b->o->seed, DATA_SUDOKU_VARIANT, b->split, index, variant);
    for (int d = 0; d <= s->size; d++) digit[d] = (uint8_t)d;
    for (int c = 0; c < s->cells; c++) from[c] = (uint8_t)c;
    while (variant > 0) {
        sudoku_symmetry(s, &r, from, digit);
        if (b->o->source_dir) break;
        for (int c = 0; c < s->cells; c++)
            solution[c] = item->solution[from[c]]; /* our own: not into the other split's solutions */
        if (sudoku_split_of(b, solution) == b->split) break;
    }
    for (int c = 0; c < s->cells; c++) {
        input[c] = (uint8_t)(digit[item->puzzle[from[c]]] + 1);
        label[c] = (uint8_t)(digit[item->solution[from[c]]] + 1);
    }
}

static void sudoku_variant_part(void *context, int thread, int num_threads)
{
    sudoku_build *b = (sudoku_build *)context;
    int64_t begin = b->count * thread / num_threads, end = b->count * (thread + 1) / num_threads;
    for (int64_t i = begin; i < end; i++) {
        int64_t k = b->first + i, at = i * b->shape.cells;
        sudoku_variant(b, k / b->variants, k % b->variants, &b->items[k / b->variants], b->inputs + at, b->labels + at);
    }
}

static int sudoku_write_split(sudoku_build *b, int split, sudoku_item *items, int64_t puzzles)
{
    data_split out;
    int status = data_split_open(&out, &b->build, split ? "test" : "train", b->shape.cells, HRM_U8);
    if (status != TOOL_OK) return status;
    b->split = split;
    b->items = items;
    b->variants = split || b->o->num_aug < 0 ? 1 : 1 + b->o->num_aug;
    int64_t total = puzzles * b->variants;
    size_t room = (size_t)SUDOKU_CHUNK * (size_t)b->shape.cells;
    progress p = progress_begin(split ? "write test" : "write train", (double)total);
    b->inputs = (uint8_t *)data_alloc(room, 1);
    b->labels = (uint8_t *)data_alloc(room, 1);
    if (!b->inputs || !b->labels) status = TOOL_ERROR;
    for (b->first = 0; b->first < total && status == TOOL_OK; b->first += b->count) {
        b->count = total - b->first < SUDOKU_CHUNK ? total - b->first : SUDOKU_CHUNK;
        hrm_pool_run(b->build.pool, sudoku_variant_part, b);
        status = data_split_rows(&out, b->inputs, b->labels, b->count);
        for (int64_t i = 0; i < b->count && status == TOOL_OK; i++) {
            status = data_split_puzzle(&out, 0, 1);
            if (status == TOOL_OK && (b->first + i + 1) % b->variants == 0) status = data_split_group(&out);
        }
        if (data_stopped()) status = TOOL_ERROR;
        progress_update(&p, (double)(b->first + b->count), NULL);
    }
    free(b->inputs);
    free(b->labels);
    if (status == TOOL_OK) {
        progress_end(&p, NULL);
        return data_split_commit(&out, b->shape.size + 2, 1);
    }
    data_split_abort(&out);
    return status;
}

/* ---- sources ------------------------------------------------------------------------------------------------------------- */
static int sudoku_parse(const sudoku_shape *s, const data_csv *csv, const data_row *row, sudoku_item *item)
{
    for (int c = 0; c < s->cells; c++) {
        int q = row->question[c] && strchr(".*_-", row->question[c]) ? 0 : row->question[c] - '0', a = row->answer[c] - '0';
        if (q < 0 || q > s->size)
            return tool_error("%s:%lld: the question has '%c' at character %d, expected 0 . * _ or - for a blank, or 1 to %d",
                              csv->path, (long long)row->line, row->question[c], c + 1, s->size);
        if (a < 1 || a > s->size)
            return tool_error("%s:%lld: the answer has '%c' at character %d, expected 1 to %d", csv->path, (long long)row->line,
                              row->answer[c], c + 1, s->size);
        if (q && q != a)
            return tool_error("%s:%lld: the answer has %d at character %d, where the question gives %d", csv->path,
                              (long long)row->line, a, c + 1, q);
        item->puzzle[c] = (uint8_t)q;
        item->solution[c] = (uint8_t)a;
    }
    if (!sudoku_is_consistent(s, item->solution))
        return tool_error("%s:%lld: the answer has a digit twice in a row, column or box", csv->path, (long long)row->line);
    return TOOL_OK;
}

static int sudoku_read_split(sudoku_build *b, int split, sudoku_item **items, int64_t *count)
{
    data_csv csv;
    int status = data_csv_open(&csv, b->o->source_dir, split, b->shape.cells, b->o->min_difficulty,
                               b->o->max_difficulty);
    *count = 0;
    if (status != TOOL_OK || csv.count == 0) return status;
    int32_t *chosen = data_choose(csv.count, split ? -1 : b->o->subsample_size, b->o->seed, count);
    sudoku_item unused;
    *items = chosen ? (sudoku_item *)data_alloc((size_t)*count, sizeof **items) : NULL;
    if (!*items) status = TOOL_ERROR;
    for (int64_t i = 0; i < csv.count && status == TOOL_OK; i++)
        status = sudoku_parse(&b->shape, &csv, &csv.rows[i], &unused); /* those left out too */
    for (int64_t i = 0; i < *count && status == TOOL_OK; i++)
        status = sudoku_parse(&b->shape, &csv, &csv.rows[chosen[i]], &(*items)[i]);
    free(chosen);
    data_csv_close(&csv);
    return status;
}

int data_sudoku(const data_options *o)
{
    sudoku_build b;
    memset(&b, 0, sizeof b);
    b.o = o;
    (void)sudoku_shape_make(&b.shape, (int)o->size);
    int status = data_build_open(&b.build, o);
    if (status != TOOL_OK) return status;
    sudoku_item *items[2] = {NULL, NULL};
    int64_t count[2] = {o->generate, o->test_size};
    if (o->source_dir) {
        for (int split = 0; split < 2 && status == TOOL_OK; split++)
            status = sudoku_read_split(&b, split, &items[split], &count[split]);
    } else {
        data_table seen;
        status = data_table_open(&seen, (size_t)(count[0] + count[1]));
        if (o->size == 4) sudoku_list_classes(&b);
        for (int split = 0; split < 2 && status == TOOL_OK; split++) {
            items[split] = (sudoku_item *)data_alloc((size_t)count[split], sizeof **items);
            status = items[split] ? sudoku_generate_split(&b, split, count[split], items[split], &seen) : TOOL_ERROR;
        }
        data_table_close(&seen);
    }
    for (int split = 0; split < 2 && status == TOOL_OK; split++)
        if (count[split]) status = sudoku_write_split(&b, split, items[split], count[split]);
    if (status == TOOL_OK) status = data_build_text(&b.build, "identifiers.json", "[\"<blank>\"]");
    free(items[0]);
    free(items[1]);
    return data_build_close(&b.build, status);
}
