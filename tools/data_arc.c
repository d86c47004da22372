/* `hrm data arc`: tasks from folders of JSON, with variants by the 8 symmetries of the square and permutations of the colours.
 *
 * They are named by DIRS, or as the public TRM code does by the prefix of Kaggle's files and the subsets to take. DIRS hold
 * folders of tasks, {"train": [{"input": grid, "output": grid}…], "test": […]}; other forms that people have are at arc_read.
 * The training split takes the demonstrations of every task and the test pairs of all but those in folders named `evaluation`;
 * the test split the test pairs of these. A test pair may lack its output: its labels are then left out of scoring. A task is a
 * group, each of its variants a puzzle with an identifier, its pairs are the examples. Tokens on 30x30, or a smaller board that
 * leaves out what does not fit: pad 0, end of the grid 1, colours from 2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "progress.h"

enum {
    ARC_SIDE = 30, /* at most */
    ARC_CELLS = ARC_SIDE * ARC_SIDE,
    ARC_COLOURS = 10,
    ARC_TRIES = 5,
    ARC_ROOM = 16384 /* examples in memory at once */
};

typedef struct arc_grid {
    int rows, cols;
    uint8_t *cells[8];
} arc_grid; /* [0] as given, the others turned; only [0] stays after the task */
typedef struct arc_pair { arc_grid grid[2]; } arc_pair;                  /* input, output */
typedef struct arc_variant { uint8_t turn, colour[ARC_COLOURS]; } arc_variant;

typedef struct arc_task {
    char     *name, *path;
    int       is_evaluation, num_train, num_test; /* num_test 0: a list of pairs, all of them demonstrations */
    arc_pair *pairs; /* [num_train + num_test] */
    arc_variant *variants; /* [num_variants], the task itself first; only while it is being written */
    int64_t      num_variants;
} arc_task;

typedef struct arc_build {
    const data_options *o;
    data_build build;
    arc_task  *tasks;
    int64_t    num_tasks, room;
    int        side;                 /* of the board */
    int64_t    num_aug, num_skipped; /* tasks with a grid that is too large */
    data_split split[2];
    int        has_split[2];
    data_table ids;    /* of names */
    int64_t    num_ids; /* 0 is blank */
    hrm_writer *names;  /* identifiers.json */
    /* the work of the pool */
    int64_t  first, count;       /* tasks to plan; or variants to draw */
    int      failed;
    const arc_task *task;
    int64_t  task_index;
    int      into, first_pair, num_pairs;
    uint8_t *inputs, *labels;    /* [ARC_ROOM, ARC_CELLS] */
} arc_build;

/* ---- reading ------------------------------------------------------------------------------------------------------------- */
static void arc_free_task(arc_task *t)
{
    for (int p = 0; t->pairs && p < t->num_train + t->num_test; p++)
        for (int k = 0; k < 2; k++) free(t->pairs[p].grid[k].cells[0]);
    free(t->pairs);
    free(t->variants);
    free(t->name);
    free(t->path);
}

static char *arc_copy(const char *text)
{
    char *copy = (char *)data_alloc(strlen(text) + 1, 1);
    if (copy) strcpy(copy, text);
    return copy;
}

/* ARC_SKIP beside the exit statuses: the task has a grid that is too large */
enum { ARC_SKIP = -1, ARC_MOST_PAIRS = 16384, ARC_MOST_NAME = 255 };

static int arc_read_grid(arc_grid *g, const hrm_json *j, const char *key, const char *path)
{
    if (j->type != HRM_JSON_ARRAY || j->count < 1)
        return tool_error("%s:%d: \"%s\" is no list of 1 to 30 rows", path, j->line, key);
    if (j->count > ARC_SIDE) return ARC_SKIP;
    g->rows = (int)j->count;
    for (const hrm_json *row = j->child; row; row = row->next) {
        if (row->type != HRM_JSON_ARRAY || row->count < 1)
            return tool_error("%s:%d: a row of \"%s\" is no list of 1 to 30 colours", path, row->line, key);
        if (row->count > ARC_SIDE) return ARC_SKIP;
        if (!g->cells[0]) {
            g->cols = (int)row->count;
            g->cells[0] = (uint8_t *)data_alloc((size_t)g->rows * (size_t)g->cols, 1);
            if (!g->cells[0]) return TOOL_ERROR;
        }
        if ((int)row->count != g->cols)
            return tool_error("%s:%d: a row of \"%s\" has %d colours, expected %d as in the first", path, row->line, key,
                              (int)row->count, g->cols);
    }
    int n = 0;
    for (const hrm_json *row = j->child; row; row = row->next)
        for (const hrm_json *cell = row->child; cell; cell = cell->next) {
            if (cell->type != HRM_JSON_NUMBER || !(cell->number >= 0 && cell->number <= 9) || cell->number != (int)cell->number)
                return tool_error("%s:%d: \"%s\" holds %s, expected a colour of 0 to 9", path, cell->line, key,
                                  cell->string ? cell->string : "something else");
            g->cells[0][n++] = (uint8_t)cell->number;
        }
    return TOOL_OK;
}

static int arc_read_pairs(arc_task *t, int *n, const hrm_json *list, int is_test, const hrm_json *answers)
{
    /* the pairs of a list, from pair *n on; answers: outputs of the test pairs from elsewhere, or NULL */
    const hrm_json *answer = answers ? answers->child : NULL;
    int status = TOOL_OK;
    for (const hrm_json *j = list->child; j && status == TOOL_OK; j = j->next, ++*n, answer = answer ? answer->next : NULL) {
        const hrm_json *input = hrm_json_get(j, "input"), *output = hrm_json_get(j, "output");
        if (!output) output = answer;
        if (output && output->type == HRM_JSON_NULL) output = NULL;
        if (!input || (!output && !is_test))
            return tool_error("%s:%d: the pair has no \"%s\"", t->path, j->line, input ? "output" : "input");
        status = arc_read_grid(&t->pairs[*n].grid[0], input, "input", t->path);
        if (status == TOOL_OK && output) status = arc_read_grid(&t->pairs[*n].grid[1], output, "output", t->path);
    }
    return status;
}

static int arc_parse_task(arc_task *t, const hrm_json *root, const hrm_json *answers)
{
    const hrm_json *part[2] = {hrm_json_get(root, "train"), hrm_json_get(root, "test")}, *name = hrm_json_get(root, "name");
    if (root->type == HRM_JSON_ARRAY) part[0] = root, part[1] = NULL; /* re-arc: a list of pairs */
    else if (root->type != HRM_JSON_OBJECT)
        return tool_error("%s:%d: expected an object with \"train\" and \"test\", or a list of pairs", t->path, root->line);
    size_t count[2] = {0, 0};
    for (int k = 0; k < (root->type == HRM_JSON_ARRAY ? 1 : 2); k++) {
        if (!part[k] || part[k]->type != HRM_JSON_ARRAY || part[k]->count < 1 || part[k]->count > ARC_MOST_PAIRS / 2)
            return tool_error("%s:%d: \"%s\" is no list of pairs", t->path, part[k] ? part[k]->line : root->line,
                              k ? "test" : "train");
        count[k] = part[k]->count;
    }
    if (answers && (answers->type != HRM_JSON_ARRAY || answers->count != count[1]))
        return tool_error("%s:%d: the solutions of %s are %d, its test inputs %d", t->path, answers->line, t->name,
                          (int)answers->count, (int)count[1]);
    if (name && name->type == HRM_JSON_STRING) {
        free(t->name);
        t->name = arc_copy(name->string);
        if (!t->name) return TOOL_ERROR;
    }
    t->pairs = (arc_pair *)data_alloc(count[0] + count[1], sizeof *t->pairs);
    if (!t->pairs) return TOOL_ERROR;
    t->num_train = (int)count[0];
    t->num_test = (int)count[1];
    int n = 0, status = arc_read_pairs(t, &n, part[0], 0, NULL);
    return status == TOOL_OK && part[1] ? arc_read_pairs(t, &n, part[1], 1, answers) : status;
}

static int arc_add_task(arc_build *b, const char *path, const char *name, size_t length, int is_evaluation,
                        const hrm_json *root, const hrm_json *answers)
{
    if (b->num_tasks == b->room) {
        int64_t room = b->room ? 2 * b->room : 512;
        arc_task *more = (arc_task *)realloc(b->tasks, (size_t)room * sizeof *more);
        if (!more) return tool_error("no memory for %lld tasks", (long long)room);
        b->tasks = more, b->room = room;
    }
    arc_task *t = &b->tasks[b->num_tasks++];
    memset(t, 0, sizeof *t);
    if (!data_is_utf8(name, length)) return tool_error("%s: its name is not UTF-8, which names of tasks must be", path);
    t->is_evaluation = is_evaluation;
    t->path = arc_copy(path);
    t->name = (char *)data_alloc(length + 1, 1);
    if (!t->path || !t->name) return TOOL_ERROR;
    memcpy(t->name, name, length);
    int status = arc_parse_task(t, root, answers);
    if (status == TOOL_OK && strlen(t->name) > ARC_MOST_NAME)
        status = tool_error("%s:%d: a task's name of %d bytes, expected %d at most", path, root->line, (int)strlen(t->name),
                            ARC_MOST_NAME);
    for (int p = 0; p < 2 * (t->num_train + t->num_test) && status == TOOL_OK; p++) {
        const arc_grid *g = &t->pairs[p / 2].grid[p % 2];
        if (g->rows > b->side || g->cols > b->side) status = ARC_SKIP;
    }
    if (status != ARC_SKIP) return status;
    if (b->side == ARC_SIDE) tool_note("%s: task %s is left out: a grid of more than 30 rows or columns", path, t->name);
    arc_free_task(t);
    b->num_tasks--;
    b->num_skipped++;
    return TOOL_OK;
}

static int arc_ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int arc_read_challenges(arc_build *b, const char *path, int is_evaluation)
{
    /* Kaggle's form: {"ID": task…}, the outputs of the test pairs in X_solutions.json as {"ID": [grid…]…}, where that is
     * there */
    static const char end[] = "challenges.json";
    char other[TOOL_PATH];
    hrm_json_document *doc, *solved = NULL;
    int status = TOOL_OK;
    snprintf(other, sizeof other, "%.*ssolutions.json", (int)(strlen(path) - (sizeof end - 1)), path);
    if (hrm_json_open(&doc, path, NULL) != HRM_OK) return tool_failed();
    data_kind look = data_look(other);
    if (look == DATA_UNKNOWN) status = TOOL_ERROR;
    else if (look != DATA_NONE && hrm_json_open(&solved, other, NULL) != HRM_OK) status = tool_failed();
    const hrm_json *root = hrm_json_root(doc), *answers = solved ? hrm_json_root(solved) : NULL;
    if (status == TOOL_OK && root->type != HRM_JSON_OBJECT)
        status = tool_error("%s:%d: expected an object with a task for every name", path, root->line);
    for (const hrm_json *j = root->child; j && status == TOOL_OK; j = j->next) {
        status =
            arc_add_task(b, path, j->key, strlen(j->key), is_evaluation, j, answers ? hrm_json_get(answers, j->key) : NULL);
        if (data_stopped()) status = TOOL_ERROR;
    }
    hrm_json_close(doc);
    hrm_json_close(solved);
    return status;
}

static void arc_shuffle(arc_build *b, int64_t begin)
{
    hrm_random r = data_random(b->o->seed, DATA_SHUFFLE, 0, begin, 0);
    for (int64_t i = b->num_tasks - begin; i > 1; i--) {
        int64_t j = begin + hrm_random_below(&r, (uint32_t)i);
        arc_task swap = b->tasks[begin + i - 1];
        b->tasks[begin + i - 1] = b->tasks[j];
        b->tasks[j] = swap;
    }
}

static int arc_read_subsets(arc_build *b)
{
    /* PREFIX_SUBSET_challenges.json, as the public TRM code has them */
    const data_options *o = b->o;
    int status = TOOL_OK;
    for (int i = 0; i < o->num_subsets && status == TOOL_OK; i++) {
        char path[TOOL_PATH];
        const char *name = o->subsets[i];
        int64_t begin = b->num_tasks;
        int is_test = (o->test_set_name && strcmp(name, o->test_set_name) == 0) ||
                      strcmp(name, o->test_set_name2 ? o->test_set_name2 : "evaluation2") == 0;
        int n = snprintf(path, sizeof path, "%s_%s_challenges.json", o->input_file_prefix, name);
        if (n >= (int)sizeof path) return tool_error("%s_%s: the path is too long", o->input_file_prefix, name);
        status = arc_read_challenges(b, path, is_test);
        if (status == TOOL_OK) arc_shuffle(b, begin);
    }
    return status;
}

static int arc_names_a_test(const char *file)
{
    /* arc-agi_test_challenges.json, arc-agi_evaluation_…: "test" is a word of it, or one begins with "evaluation" */
    for (const char *word = file; *word;) {
        size_t n = strcspn(word, "_-.");
        if ((n == 4 && strncmp(word, "test", 4) == 0) || strncmp(word, "evaluation", 10) == 0) return 1;
        word += n;
        word += strspn(word, "_-.");
    }
    return 0;
}

static int arc_is_evaluation(const char *dir)
{
    /* a folder of this name, with slashes behind it too, or "." in it */
    size_t n = strlen(dir);
    while (n > 1 && (dir[n - 1] == '/' || dir[n - 1] == '\\')) n--;
    char path[TOOL_PATH];
    snprintf(path, sizeof path, "%.*s", (int)(n < sizeof path ? n : sizeof path - 1), dir);
    const char *base = tool_basename(path);
    if (strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
        if (!tool_real_path(path, dir)) return 0;
        base = tool_basename(path);
    }
    return strcmp(base, "evaluation") == 0;
}

static int arc_read_folder(arc_build *b, const char *folder, int is_evaluation)
{
    /* every *.json in it, in the order of their names, then shuffled */
    char **names;
    size_t count;
    int64_t begin = b->num_tasks;
    int status = TOOL_OK;
    if (data_list(folder, &names, &count) != 0) return TOOL_ERROR;
    for (size_t i = 0; i < count && status == TOOL_OK; i++) {
        size_t n = strlen(names[i]);
        char path[TOOL_PATH];
        data_kind look;
        hrm_json_document *doc;
        if (n < 6 || !arc_ends_with(names[i], ".json") || names[i][0] == '.')
            continue; /* "._x.json" is what some systems add */
        if (arc_ends_with(names[i], "_solutions.json") || strcmp(names[i], "sample_submission.json") == 0) continue;
        if (!tool_join(path, folder, names[i])) status = tool_error("%s/%s: the path is too long", folder, names[i]);
        else if ((look = data_look(path)) == DATA_UNKNOWN) status = TOOL_ERROR;
        else if (look == DATA_FOLDER) continue;
        else if (arc_ends_with(names[i], "_challenges.json")) {
            status = arc_read_challenges(b, path, arc_names_a_test(names[i]));
        }
        else if (hrm_json_open(&doc, path, NULL) != HRM_OK) status = tool_failed();
        else {
            status = arc_add_task(b, path, names[i], n - 5, is_evaluation, hrm_json_root(doc), NULL);
            hrm_json_close(doc);
        }
        if (data_stopped()) status = TOOL_ERROR;
    }
    data_list_free(names, count);
    if (status == TOOL_OK) arc_shuffle(b, begin);
    return status;
}

static int arc_read(arc_build *b, const char *dir)
{
    /* the folders of tasks in it; or it is one itself; or it is a repository with these in data (ARC-AGI) or corpus
     * (ConceptARC) */
    char **names, path[TOOL_PATH];
    size_t count;
    int64_t before = b->num_tasks + b->num_skipped;
    int status = TOOL_OK;
    int inner = 0;
    data_kind look;
    if (data_list(dir, &names, &count) != 0) return TOOL_ERROR;
    for (size_t i = 0; i < count && !inner && status == TOOL_OK; i++) {
        if (strcmp(names[i], "data") != 0 && strcmp(names[i], "corpus") != 0) continue;
        if (!tool_join(path, dir, names[i])) status = tool_error("%s/%s: the path is too long", dir, names[i]);
        else if ((look = data_look(path)) == DATA_UNKNOWN) status = TOOL_ERROR;
        else inner = look == DATA_FOLDER;
    }
    if (inner) status = arc_read(b, path);
    else if (status == TOOL_OK) status = arc_read_folder(b, dir, arc_is_evaluation(dir));
    for (size_t i = 0; i < count && status == TOOL_OK && !inner; i++) {
        if (names[i][0] == '.') continue;
        if (!tool_join(path, dir, names[i])) status = tool_error("%s/%s: the path is too long", dir, names[i]);
        else if ((look = data_look(path)) == DATA_UNKNOWN) status = TOOL_ERROR;
        else if (look == DATA_FOLDER) status = arc_read_folder(b, path, strcmp(names[i], "evaluation") == 0);
    }
    data_list_free(names, count);
    if (status == TOOL_OK && b->num_tasks + b->num_skipped == before)
        status = tool_error("%s: no tasks: expected folders of *.json in it, such as training and evaluation", dir);
    return status;
}

/* ---- variants ---------------------------------------------------------------------------------------------------------------
 * Two variants with the same grids are one. Equality is that of a 64-bit sum over the pairs, so that their order is of no
 * matter.
 */
static int arc_rows(const arc_grid *g, int turn)
{
    return turn == 1 || turn == 3 || turn >= 6 ? g->cols : g->rows;
} /* of the turned grid */
static int arc_cols(const arc_grid *g, int turn) { return g->rows + g->cols - arc_rows(g, turn); }

static uint64_t arc_hash_grid(const arc_grid *g, const arc_variant *v)
{
    uint64_t hash = DATA_HASH ^ (uint64_t)arc_rows(g, v->turn);
    int n = g->rows * g->cols;
    const uint8_t *cells = g->cells[v->turn];
    for (int i = 0; i < n;) {
        uint64_t word = 1; /* 15 cells of four bits */
        for (int k = 0; k < 15 && i < n; k++) word = word << 4 | v->colour[cells[i++]];
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static uint64_t arc_hash(const arc_task *t, const arc_variant *v)
{
    uint64_t sum = 0;
    for (int p = 0; p < t->num_train + t->num_test; p++)
        sum += data_mix(arc_hash_grid(&t->pairs[p].grid[0], v) + 3 * data_mix(arc_hash_grid(&t->pairs[p].grid[1], v)));
    return sum;
}

static int arc_plan(const arc_build *b, arc_task *t, int64_t index)
{
    /* turned grids and variants of a task -> 0: no memory */
    data_table seen;
    for (int p = 0; p < t->num_train + t->num_test; p++)
        for (int k = 0; k < 2; k++) {
            arc_grid *g = &t->pairs[p].grid[k];
            size_t n = (size_t)g->rows * (size_t)g->cols; /* 0: an output that is not known */
            uint8_t *turned = (uint8_t *)data_alloc(8 * n, 1);
            if (!turned) return 0;
            for (int turn = 0; turn < 8; turn++) data_dihedral(turned + (size_t)turn * n, g->cells[0], g->rows, g->cols, turn);
            free(g->cells[0]);
            for (int turn = 0; turn < 8; turn++) g->cells[turn] = turned + (size_t)turn * n;
        }
    t->variants = (arc_variant *)data_alloc((size_t)b->num_aug + 1, sizeof *t->variants);
    if (!t->variants || data_table_open(&seen, (size_t)b->num_aug + 1) != TOOL_OK) return 0;
    hrm_random r = data_random(b->o->seed, DATA_ARC_VARIANT, 0, index, 0);
    int added;
    arc_variant *v = &t->variants[0];
    for (int c = 0; c < ARC_COLOURS; c++) v->colour[c] = (uint8_t)c;
    (void)data_table_find(&seen, arc_hash(t, v), &added);
    t->num_variants = 1;
    for (int64_t tries = 0; tries < ARC_TRIES * b->num_aug && t->num_variants <= b->num_aug; tries++) {
        int32_t colours[ARC_COLOURS - 1];
        v = &t->variants[t->num_variants];
        v->turn = (uint8_t)hrm_random_below(&r, 8);
        for (int c = 1; c < ARC_COLOURS; c++) colours[c - 1] = c;
        hrm_random_shuffle(&r, colours, ARC_COLOURS - 1); /* black stays black */
        for (int c = 1; c < ARC_COLOURS; c++) v->colour[c] = (uint8_t)colours[c - 1];
        (void)data_table_find(&seen, arc_hash(t, v), &added);
        t->num_variants += added;
    }
    data_table_close(&seen);
    return 1;
}

static void arc_plan_part(void *context, int thread, int num_threads)
{
    arc_build *b = (arc_build *)context;
    for (int64_t i = b->first + thread; i < b->first + b->count; i += num_threads)
        if (!arc_plan(b, &b->tasks[i], i)) b->failed = 1;
}

static void arc_draw(uint8_t *out, const arc_grid *g, const arc_variant *v, int side, int top, int left)
{
    /* the grid with its upper left corner at (top, left), a line of 1 below and one to its right, pad elsewhere; without a grid
     * pad alone, which as a label is ignored */
    int rows = arc_rows(g, v->turn), cols = arc_cols(g, v->turn);
    const uint8_t *cell = g->cells[v->turn];
    memset(out, 0, (size_t)side * (size_t)side);
    if (!rows) return;
    out += top * side + left;
    for (int r = 0; r < rows; r++, out += side) {
        for (int c = 0; c < cols; c++) out[c] = (uint8_t)(v->colour[*cell++] + 2);
        if (left + cols < side) out[cols] = 1;
    }
    if (top + rows < side) memset(out, 1, (size_t)cols);
}

static void arc_draw_part(void *context, int thread, int num_threads)
{
    /* in the training split all examples of a puzzle but one, drawn, stand where they are moved to, input and output alike */
    arc_build *b = (arc_build *)context;
    const arc_task *t = b->task;
    int64_t begin = b->count * thread / num_threads, end = b->count * (thread + 1) / num_threads;
    for (int64_t i = begin; i < end; i++) {
        const arc_variant *v = &t->variants[b->first + i];
        hrm_random r = data_random(b->o->seed, DATA_ARC_PLACE, 0, b->task_index, b->first + i);
        int in_place = (int)hrm_random_below(&r, (uint32_t)b->num_pairs);
        for (int p = 0; p < b->num_pairs; p++) {
            const arc_grid *g = t->pairs[b->first_pair + p].grid;
            int top = 0, left = 0;
            if (b->into == 0 && p != in_place) {
                int rows[2] = {arc_rows(&g[0], v->turn), arc_rows(&g[1], v->turn)},
                    cols[2] = {arc_cols(&g[0], v->turn), arc_cols(&g[1], v->turn)};
                top = (int)hrm_random_below(&r, (uint32_t)(b->side - (rows[0] > rows[1] ? rows[0] : rows[1]) + 1));
                left = (int)hrm_random_below(&r, (uint32_t)(b->side - (cols[0] > cols[1] ? cols[0] : cols[1]) + 1));
            }
            size_t at = (size_t)(i * b->num_pairs + p) * (size_t)(b->side * b->side);
            arc_draw(b->inputs + at, &g[0], v, b->side, top, left);
            arc_draw(b->labels + at, &g[1], v, b->side, top, left);
        }
    }
}

/* ---- writing ------------------------------------------------------------------------------------------------------------- */
static int arc_print(hrm_writer *w, const char *text)
{
    return hrm_writer_write(w, text, strlen(text)) == HRM_OK ? TOOL_OK : tool_failed();
}

static int arc_print_quoted(hrm_writer *w, const char *text)
{
    char out[8] = "\"";
    int status = arc_print(w, out);
    for (; *text && status == TOOL_OK; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') snprintf(out, sizeof out, "\\%c", c);
        else if (c < 32) snprintf(out, sizeof out, "\\u%04x", c);
        else out[0] = (char)c, out[1] = 0;
        status = arc_print(w, out);
    }
    return status == TOOL_OK ? arc_print(w, "\"") : status;
}

static int arc_identify(arc_build *b, const arc_task *t, const arc_variant *v, int32_t *id)
{
    /* the number of the variant's name, ID_tK_PERMUTATION; tasks of one name share theirs */
    char name[ARC_MOST_NAME + 32], *end = name;
    int added, status = TOOL_OK;
    end += snprintf(name, ARC_MOST_NAME + 1, "%s", t->name);
    if (v != t->variants) {
        end += snprintf(end, 8, "_t%d_", v->turn);
        for (int c = 0; c < ARC_COLOURS; c++) *end++ = (char)('0' + v->colour[c]);
        *end = 0;
    }
    int32_t *known = data_table_find(&b->ids, data_hash(DATA_HASH, name, strlen(name)), &added);
    if (added) {
        *known = (int32_t)b->num_ids++;
        status = arc_print(b->names, ", ");
        if (status == TOOL_OK) status = arc_print_quoted(b->names, name);
    }
    *id = *known;
    return status;
}

static int arc_write_group(arc_build *b, int into, int64_t index, int first_pair, int num_pairs)
{
    /* pairs first_pair.. of all variants of a task, a group of split `into` */
    const arc_task *t = &b->tasks[index];
    int64_t at_once = ARC_ROOM / num_pairs;
    int status = TOOL_OK;
    b->task = t;
    b->task_index = index;
    b->into = into;
    b->first_pair = first_pair;
    b->num_pairs = num_pairs;
    for (b->first = 0; b->first < t->num_variants && status == TOOL_OK; b->first += b->count) {
        b->count = t->num_variants - b->first < at_once ? t->num_variants - b->first : at_once;
        hrm_pool_run(b->build.pool, arc_draw_part, b);
        status = data_split_rows(&b->split[into], b->inputs, b->labels, b->count * num_pairs);
        for (int64_t i = 0; i < b->count && status == TOOL_OK; i++) {
            int32_t id = 0;
            status = arc_identify(b, t, &t->variants[b->first + i], &id);
            if (status == TOOL_OK) status = data_split_puzzle(&b->split[into], id, num_pairs);
        }
        if (data_stopped()) status = TOOL_ERROR;
    }
    return status == TOOL_OK ? data_split_group(&b->split[into]) : status;
}

static int arc_write_tasks(arc_build *b)
{
    double total = 0, done = 0;
    int64_t short_of = 0;
    int status = TOOL_OK;
    for (int64_t i = 0; i < b->num_tasks; i++)
        total += (double)(b->tasks[i].num_train + b->tasks[i].num_test) * (double)(1 + b->num_aug);
    progress p = progress_begin("write examples", total);
    int64_t chunk = 4 * (int64_t)b->build.threads;
    for (int64_t i = 0; i < b->num_tasks && status == TOOL_OK; i++) {
        arc_task *t = &b->tasks[i];
        if (i % chunk == 0) {
            b->first = i;
            b->count = b->num_tasks - i < chunk ? b->num_tasks - i : chunk;
            hrm_pool_run(b->build.pool, arc_plan_part, b);
            if (b->failed || data_stopped()) status = TOOL_ERROR;
        }
        int train = t->is_evaluation ? t->num_train : t->num_train + t->num_test;
        while (train > t->num_train && !t->pairs[train - 1].grid[1].rows)
            train--; /* without its output there is nothing to learn */
        if (status == TOOL_OK) status = arc_write_group(b, 0, i, 0, train);
        if (status == TOOL_OK && t->is_evaluation && t->num_test) status = arc_write_group(b, 1, i, t->num_train, t->num_test);
        short_of += t->num_variants <= b->num_aug;
        done += (double)(t->num_train + t->num_test) * (double)(1 + b->num_aug);
        progress_update(&p, done, t->name);
        for (int k = 0; k < 2 * (t->num_train + t->num_test); k++) { /* only the grids as given are kept */
            arc_grid *g = &t->pairs[k / 2].grid[k % 2];
            uint8_t *own = g->rows ? (uint8_t *)realloc(g->cells[0], (size_t)g->rows * (size_t)g->cols) : NULL;
            if (own) g->cells[0] = own;
        }
        free(t->variants);
        t->variants = NULL;
    }
    if (status != TOOL_OK) return status;
    progress_end(&p, NULL);
    if (b->num_skipped)
        tool_note("%lld tasks were left out for grids of more than %d rows or columns", (long long)b->num_skipped, b->side);
    if (short_of)
        tool_note("%lld of %lld tasks have fewer than %lld different variants", (long long)short_of, (long long)b->num_tasks,
                  (long long)b->num_aug);
    return TOOL_OK;
}

static int arc_print_pairs(hrm_writer *w, const arc_pair *pairs, int n)
{
    char text[ARC_CELLS * 3 + 200];
    int status = TOOL_OK;
    for (int p = 0; p < n; p++)
        for (int k = 0; k < 2 && status == TOOL_OK; k++) {
            const arc_grid *g = &pairs[p].grid[k];
            if (!g->rows) { /* an output that is not known */
                status = arc_print(w, "}");
                continue;
            }
            int at = snprintf(text, sizeof text, "%s\"%s\": [", k ? ", " : p ? ", {" : "{", k ? "output" : "input");
            for (int r = 0; r < g->rows; r++)
                for (int c = 0; c < g->cols; c++)
                    at += snprintf(text + at, sizeof text - (size_t)at, "%s%d",
                                   c   ? ","
                                   : r ? "],["
                                       : "[",
                                   g->cells[0][r * g->cols + c]);
            snprintf(text + at, sizeof text - (size_t)at, "]]%s", k ? "}" : "");
            status = arc_print(w, text);
        }
    return status;
}

static int arc_write_test_puzzles(const arc_build *b)
{
    /* {"ID": {"train": [pairs], "test": [pairs]}…} of the evaluation tasks as they were given: what answers are scored
     * against */
    char path[TOOL_PATH];
    hrm_writer *w;
    int status = TOOL_OK, any = 0;
    if (!tool_join(path, b->build.work, "test_puzzles.json")) return tool_error("%s: the path is too long", b->build.work);
    if (hrm_writer_open(&w, path, NULL) != HRM_OK) return tool_failed();
    for (int64_t i = 0; i < b->num_tasks && status == TOOL_OK; i++) {
        const arc_task *t = &b->tasks[i];
        if (!t->is_evaluation || !t->num_test) continue;
        status = arc_print(w, any++ ? ",\n" : "{");
        if (status == TOOL_OK) status = arc_print_quoted(w, t->name);
        if (status == TOOL_OK) status = arc_print(w, ": {\"train\": [");
        if (status == TOOL_OK) status = arc_print_pairs(w, t->pairs, t->num_train);
        if (status == TOOL_OK) status = arc_print(w, "], \"test\": [");
        if (status == TOOL_OK) status = arc_print_pairs(w, t->pairs + t->num_train, t->num_test);
        if (status == TOOL_OK) status = arc_print(w, "]}");
    }
    if (status == TOOL_OK) status = arc_print(w, any ? "}\n" : "{}\n");
    if (status == TOOL_OK) return hrm_writer_commit(w) == HRM_OK ? TOOL_OK : tool_failed();
    hrm_writer_abort(w);
    return status;
}

static int arc_write(arc_build *b)
{
    static const char *const split_names[2] = {"train", "test"};
    char path[TOOL_PATH];
    int status = TOOL_OK;
    b->inputs = (uint8_t *)data_alloc(ARC_ROOM, ARC_CELLS);
    b->labels = (uint8_t *)data_alloc(ARC_ROOM, ARC_CELLS);
    if (!b->inputs || !b->labels) return TOOL_ERROR;
    if (data_table_open(&b->ids, (size_t)(b->num_tasks * (1 + b->num_aug))) != TOOL_OK) return TOOL_ERROR;
    b->has_split[0] = 1;
    for (int64_t i = 0; i < b->num_tasks; i++) b->has_split[1] |= b->tasks[i].is_evaluation && b->tasks[i].num_test;
    if (!tool_join(path, b->build.work, "identifiers.json")) return tool_error("%s: the path is too long", b->build.work);
    if (hrm_writer_open(&b->names, path, NULL) != HRM_OK) return tool_failed();
    b->num_ids = 1;
    status = arc_print(b->names, "[\"<blank>\"");
    for (int k = 0; k < 2 && status == TOOL_OK; k++)
        if (b->has_split[k]) status = data_split_open(&b->split[k], &b->build, split_names[k], b->side * b->side, HRM_U8);
    if (status == TOOL_OK) status = arc_write_tasks(b);
    if (status == TOOL_OK) status = arc_print(b->names, "]");
    for (int k = 0; k < 2; k++) {
        if (status == TOOL_OK && b->has_split[k]) status = data_split_commit(&b->split[k], ARC_COLOURS + 2, b->num_ids);
        else data_split_abort(&b->split[k]);
    }
    if (status == TOOL_OK) {
        hrm_writer *names = b->names;
        b->names = NULL;
        if (hrm_writer_commit(names) != HRM_OK) return tool_failed();
        status = arc_write_test_puzzles(b);
    }
    return status;
}

static int arc_settle_names(arc_build *b)
{
    /* Of evaluation tasks of one name the first stays: answers are scored by name. Tasks of both kinds under one name are told:
     * their identifiers are the same, and the test's answers are trained on. */
    data_table evaluation, training;
    int64_t shared = 0, again = 0, left = 0, twice = 0;
    int added;
    if (data_table_open(&evaluation, (size_t)b->num_tasks + 1) != TOOL_OK) return TOOL_ERROR;
    if (data_table_open(&training, (size_t)b->num_tasks + 1) != TOOL_OK) return data_table_close(&evaluation), TOOL_ERROR;
    for (int64_t i = 0; i < b->num_tasks; i++) {
        arc_task *t = &b->tasks[i];
        if (t->is_evaluation && t->num_test) {
            (void)data_table_find(&evaluation, data_hash(DATA_HASH, t->name, strlen(t->name)), &added);
            if (!added) {
                arc_free_task(t);
                again++;
                continue;
            }
        } else if (!t->is_evaluation) {
            (void)data_table_find(&training, data_hash(DATA_HASH, t->name, strlen(t->name)), &added);
            twice += !added;
        }
        b->tasks[left++] = *t;
    }
    b->num_tasks = left;
    for (int64_t i = 0; i < b->num_tasks; i++)
        shared += !b->tasks[i].is_evaluation && b->tasks[i].num_test > 0 &&
                  data_table_has(&evaluation, data_hash(DATA_HASH, b->tasks[i].name, strlen(b->tasks[i].name)));
    data_table_close(&evaluation);
    data_table_close(&training);
    if (twice)
        tool_note("%lld tasks for training have the name of one before: each is trained on as often as it is there",
                  (long long)twice);
    if (again)
        tool_note("%lld evaluation tasks are left out: there is one of that name before, and answers go by the name",
                  (long long)again);
    if (shared)
        tool_note("%lld tasks for training are evaluation tasks too, by name: the training split has their test outputs",
                  (long long)shared);
    return TOOL_OK;
}

int data_arc(const data_options *o)
{
    arc_build b;
    memset(&b, 0, sizeof b);
    b.o = o;
    b.num_aug = o->num_aug >= 0 ? o->num_aug : 1000;
    b.side = o->size > 0 ? (int)o->size : ARC_SIDE;
    int status = data_build_open(&b.build, o);
    if (status != TOOL_OK) return status;
    for (int i = 0; i < o->num_dataset_dirs && status == TOOL_OK; i++) status = arc_read(&b, o->dataset_dirs[i]);
    if (status == TOOL_OK) status = arc_read_subsets(&b);
    if (status == TOOL_OK && b.num_tasks == 0)
        status = tool_error("every task has a grid of more than %d rows or columns", b.side);
    if (status == TOOL_OK) status = arc_settle_names(&b);
    if (status == TOOL_OK) status = arc_write(&b);
    hrm_writer_abort(b.names);
    for (int64_t i = 0; i < b.num_tasks; i++) arc_free_task(&b.tasks[i]);
    free(b.tasks);
    free(b.inputs);
    free(b.labels);
    data_table_close(&b.ids);
    return data_build_close(&b.build, status);
}
