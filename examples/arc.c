/* An ARC task as a picture: its demonstrations, the test input, the model's prediction, the truth.
 *
 *   arc                                                trains for a few minutes on four tasks written down below, shows each
 *   arc --checkpoint FILE --data DIR [--index N]       example N of the test split of what `hrm data arc` built
 *   arc --checkpoint FILE --data DIR --task FILE.json  a task's own file; DIR/identifiers.json tells its puzzle's number
 *   arc --checkpoint FILE --task FILE.json --id N      the same with the number given
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"

#include "../tools/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_DEMONSTRATIONS = 10, MAX_TESTS = 4, MAX_SIDE = 30, MAX_CELLS = MAX_SIDE * MAX_SIDE };

static void die(const char *what)
{
    fprintf(stderr, "arc: %s\n", what);
    exit(1);
}
#define TRY(call) do { if ((call) != HRM_OK) die(hrm_error_message()); } while (0)

/* ---- grids and boards --------------------------------------------------------------------------------------------------- */

typedef struct grid { int rows, cols; uint8_t at[MAX_SIDE][MAX_SIDE]; } grid; /* colours 0..9 */

static void board_of(int32_t *board, int side, const grid *g)
{
    /* as the data sets have it: the grid in the corner as 2..11, 1 along the row below it and the column beside it, else 0 */
    memset(board, 0, (size_t)(side * side) * sizeof *board);
    for (int y = 0; y < g->rows; y++)
        for (int x = 0; x < g->cols; x++) board[y * side + x] = g->at[y][x] + 2;
    for (int y = 0; y < g->rows && g->cols < side; y++) board[y * side + g->cols] = 1;
    for (int x = 0; x < g->cols && g->rows < side; x++) board[g->rows * side + x] = 1;
}

/* ---- one task, one picture ----------------------------------------------------------------------------------------------- */

typedef struct task {
    char    name[64];
    int     side, id, demonstrations, tests, has_truth;
    int32_t demonstration[MAX_DEMONSTRATIONS][2][MAX_CELLS]; /* input, output */
    int32_t test[MAX_TESTS][2][MAX_CELLS];
} task;

static void draw_task(hrm_model *model, const task *t, const char *path)
{
    /* a column a demonstration, input above output; then test input above prediction, and the truth beside it */
    static picture_panel panels[2 * (MAX_DEMONSTRATIONS + 2 * MAX_TESTS)];
    static int32_t answers[MAX_TESTS][MAX_CELLS];
    int columns = t->demonstrations + t->tests * (1 + t->has_truth), column = 0;
    char title[160], subtitle[256];
    size_t used = 0;
    for (int d = 0; d < t->demonstrations; d++, column++) {
        snprintf(title, sizeof title, "demonstration %d", d + 1);
        panels[column] = picture_panel_arc(t->side, t->demonstration[d][0], NULL, title);
        panels[columns + column] = picture_panel_arc(t->side, t->demonstration[d][1], NULL, "output");
    }
    snprintf(subtitle, sizeof subtitle, "Prediction:");
    for (int k = 0; k < t->tests; k++) {
        hrm_solve_result result;
        hrm_solve_desc desc;
        memset(&desc, 0, sizeof desc);
        int32_t id = t->id;
        desc.puzzle_identifiers = &id;
        desc.results = &result;
        TRY(hrm_solve(model, t->test[k][0], answers[k], &desc));
        int wrong = 0, labelled = 0;
        for (int i = 0; t->has_truth && i < t->side * t->side; i++)
            if (t->test[k][1][i] > 0) labelled++, wrong += answers[k][i] != t->test[k][1][i];
        snprintf(title, sizeof title, "test %d", k + 1);
        panels[column] = picture_panel_arc(t->side, t->test[k][0], NULL, t->tests > 1 ? title : "test");
        panels[columns + column] = picture_panel_arc(t->side, answers[k], t->has_truth ? t->test[k][1] : NULL, "prediction");
        column++;
        if (t->has_truth) {
            panels[column] = picture_panel_empty();
            panels[columns + column] = picture_panel_arc(t->side, t->test[k][1], NULL, "truth");
            column++;
        }
        used = strlen(subtitle);
        snprintf(title, sizeof title, "%d of %d cells wrong, ", wrong, labelled);
        snprintf(subtitle + used, sizeof subtitle - used, "%s %s%d segment%s", k ? ";" : "",
                 !t->has_truth ? ""
                 : wrong       ? title
                               : "exact, ",
                 result.segments, result.segments == 1 ? "" : "s");
    }
    picture_panels_scale(panels, 2 * columns, columns > 8 ? 180 : 300);
    snprintf(title, sizeof title, "ARC task %s", t->name);
    picture_sheet sheet = picture_sheet_make(title, panels, 2 * columns, columns);
    sheet.subtitle = subtitle;
    sheet.scale = CANVAS_SVG;
    sheet.group = t->demonstrations > t->tests * (1 + t->has_truth) ? t->demonstrations : 0; /* a gap before the test */
    printf("%s: %s\n", t->name, subtitle);
    canvas c;
    TRY(picture_sheet_draw(&c, &sheet));
    if (canvas_save(&c, path) == HRM_OK) printf("%s\n", path);
    else fprintf(stderr, "arc: %s\n", hrm_error_message());
    canvas_destroy(&c);
}

/* ---- tasks from files ---------------------------------------------------------------------------------------------------- */

static int grid_read(grid *g, const hrm_json *rows)
{
    /* [[0, 1], [2, 3]] -> 0 when it is no grid */
    memset(g, 0, sizeof *g);
    if (!rows || rows->type != HRM_JSON_ARRAY || rows->count < 1 || rows->count > MAX_SIDE) return 0;
    for (const hrm_json *row = rows->child; row; row = row->next, g->rows++) {
        if (row->type != HRM_JSON_ARRAY || row->count < 1 || row->count > MAX_SIDE || (g->rows && (int)row->count != g->cols))
            return 0;
        g->cols = 0;
        for (const hrm_json *cell = row->child; cell; cell = cell->next) {
            if (cell->type != HRM_JSON_NUMBER || !(cell->number >= 0 && cell->number <= 9)) return 0;
            g->at[g->rows][g->cols++] = (uint8_t)cell->number;
        }
    }
    return 1;
}

static int pair_read(int32_t pair[2][MAX_CELLS], int side, const hrm_json *object, int *has_output)
{
    grid g;
    const hrm_json *output = hrm_json_get(object, "output");
    if (!grid_read(&g, hrm_json_get(object, "input"))) return 0;
    board_of(pair[0], side, &g);
    *has_output = output != NULL;
    if (!output) return 1;
    if (!grid_read(&g, output)) return 0;
    board_of(pair[1], side, &g);
    return 1;
}

static void task_from_json(task *t, const char *path)
{
    hrm_json_document *doc;
    char message[256];
    const char *base = path;
    for (const char *p = path; *p; p++)
        if (*p == '/') base = p + 1;
    const char *dot = strrchr(base, '.');
    snprintf(t->name, sizeof t->name, "%.*s", dot ? (int)(dot - base) : 40, base);
    t->side = MAX_SIDE;
    t->has_truth = 1;
    TRY(hrm_json_open(&doc, path, NULL));
    const hrm_json *root = hrm_json_root(doc), *train = hrm_json_get(root, "train"), *test = hrm_json_get(root, "test");
    int has_output = 0;
    snprintf(message, sizeof message,
             "%.160s: not an ARC task: {\"train\": [{\"input\": grid, \"output\": grid}, …], \"test\": […]}", path);
    if (!train || !test || !test->count) die(message);
    for (const hrm_json *pair = train->child; pair && t->demonstrations < MAX_DEMONSTRATIONS; pair = pair->next)
        if (!pair_read(t->demonstration[t->demonstrations++], t->side, pair, &has_output) || !has_output) die(message);
    for (const hrm_json *pair = test->child; pair && t->tests < MAX_TESTS; pair = pair->next) {
        if (!pair_read(t->test[t->tests++], t->side, pair, &has_output)) die(message);
        t->has_truth &= has_output;
    }
    hrm_json_close(doc);
}

static int identifier_of(const char *dir, const char *name)
{
    /* the position of `name` in DIR/identifiers.json; -1 when it is not there */
    char path[1024];
    hrm_json_document *doc;
    snprintf(path, sizeof path, "%.1000s/identifiers.json", dir);
    TRY(hrm_json_open(&doc, path, NULL));
    int id = -1, i = 0;
    const hrm_json *root = hrm_json_root(doc);
    for (const hrm_json *c = root->type == HRM_JSON_ARRAY ? root->child : NULL; c && id < 0; c = c->next, i++)
        if (c->type == HRM_JSON_STRING && strcmp(c->string, name) == 0) id = i;
    hrm_json_close(doc);
    return id;
}

static void identifier_name(char name[64], const char *dir, int id)
{
    char path[1024];
    hrm_json_document *doc;
    snprintf(name, 64, "number %d", id);
    snprintf(path, sizeof path, "%.1000s/identifiers.json", dir);
    if (hrm_json_open(&doc, path, NULL) != HRM_OK) return; /* it has no names then */
    const hrm_json *root = hrm_json_root(doc), *c = root->type == HRM_JSON_ARRAY ? root->child : NULL;
    for (int i = 0; c && i < id; i++) c = c->next;
    if (c && c->type == HRM_JSON_STRING) snprintf(name, 64, "%.63s", c->string);
    hrm_json_close(doc);
}

static void read_example(const hrm_dataset *data, int64_t index, int32_t pair[2][MAX_CELLS], int32_t *id)
{
    hrm_batch batch;
    memset(&batch, 0, sizeof batch);
    batch.rows = 1;
    batch.inputs = pair[0], batch.labels = pair[1], batch.puzzle_identifiers = id;
    TRY(hrm_dataset_read(data, index, &batch));
}

static void task_from_data(task *t, const char *dir, int64_t index)
{
    /* the test example, and from the train split the examples of the same puzzle */
    hrm_dataset *data;
    hrm_dataset_desc desc;
    hrm_npy ids, indices;
    char path[1024];
    int32_t id, pair_id;
    memset(&desc, 0, sizeof desc);
    TRY(hrm_dataset_open(&data, dir, "test", &desc));
    if (hrm_dataset_describe(data)->seq_len != MAX_CELLS) die("the data set's boards are not 30 x 30");
    read_example(data, index, t->test[0], &id);
    hrm_dataset_close(data);
    t->tests = t->has_truth = 1;
    t->side = MAX_SIDE;
    t->id = id;
    identifier_name(t->name, dir, id);
    TRY(hrm_dataset_open(&data, dir, "train", &desc));
    snprintf(path, sizeof path, "%.960s/train/all__puzzle_identifiers.npy", dir);
    TRY(hrm_npy_open(&ids, path));
    snprintf(path, sizeof path, "%.960s/train/all__puzzle_indices.npy", dir);
    TRY(hrm_npy_open(&indices, path));
    for (int64_t p = 0; p < ids.tensor.shape[0] && p + 1 < indices.tensor.shape[0]; p++) {
        int32_t this_id, begin, end;
        const unsigned char *from = (const unsigned char *)indices.tensor.data;
        size_t size = hrm_dtype_size(indices.tensor.dtype);
        TRY(hrm_convert(&this_id, HRM_I32,
                        (const unsigned char *)ids.tensor.data + (size_t)p * hrm_dtype_size(ids.tensor.dtype), ids.tensor.dtype,
                        1));
        if (this_id != id) continue;
        TRY(hrm_convert(&begin, HRM_I32, from + (size_t)p * size, indices.tensor.dtype, 1));
        TRY(hrm_convert(&end, HRM_I32, from + (size_t)(p + 1) * size, indices.tensor.dtype, 1));
        for (int32_t e = begin; e < end && t->demonstrations < MAX_DEMONSTRATIONS; e++)
            read_example(data, e, t->demonstration[t->demonstrations++], &pair_id);
    }
    hrm_npy_close(&ids);
    hrm_npy_close(&indices);
    hrm_dataset_close(data);
}

/* ---- tasks of our own ---------------------------------------------------------------------------------------------------- */

enum { OWN_TASKS = 4, OWN_SIDE = 7, OWN_CELLS = OWN_SIDE * OWN_SIDE, OWN_DEMONSTRATIONS = 3 };
static const char *const own_names[OWN_TASKS] = {"mirror", "gravity", "fill", "unfold"};

static void own_pair(int which, hrm_random *r, grid *in, grid *out)
{
    memset(in, 0, sizeof *in);
    in->rows = 3 + (int)hrm_random_below(r, 4);
    in->cols = which == 3 ? 2 + (int)hrm_random_below(r, 2) : 3 + (int)hrm_random_below(r, 4);
    if (which == 2) { /* an empty box */
        in->rows = 4 + (int)hrm_random_below(r, 3), in->cols = 4 + (int)hrm_random_below(r, 3);
        int top = (int)hrm_random_below(r, (uint32_t)in->rows - 3), left = (int)hrm_random_below(r, (uint32_t)in->cols - 3);
        int bottom = top + 2 + (int)hrm_random_below(r, (uint32_t)(in->rows - top - 2)),
            right = left + 2 + (int)hrm_random_below(r, (uint32_t)(in->cols - left - 2));
        uint8_t colour = (uint8_t)(1 + hrm_random_below(r, 9));
        for (int y = top; y <= bottom; y++)
            for (int x = left; x <= right; x++)
                if (y == top || y == bottom || x == left || x == right) in->at[y][x] = colour;
        *out = *in; /* is filled with yellow, or with red when it is yellow itself */
        for (int y = top + 1; y < bottom; y++)
            for (int x = left + 1; x < right; x++) out->at[y][x] = colour == 4 ? 2 : 4;
        return;
    }
    for (int y = 0; y < in->rows; y++)
        for (int x = 0; x < in->cols; x++)
            if (hrm_random_below(r, 5) < 2) in->at[y][x] = (uint8_t)(1 + hrm_random_below(r, 9));
    *out = *in;
    if (which == 0) { /* left and right change places */
        for (int y = 0; y < in->rows; y++)
            for (int x = 0; x < in->cols; x++) out->at[y][x] = in->at[y][in->cols - 1 - x];
    } else if (which == 1) { /* everything falls */
        memset(out->at, 0, sizeof out->at);
        for (int x = 0; x < in->cols; x++)
            for (int y = in->rows - 1, floor = y; y >= 0; y--)
                if (in->at[y][x]) out->at[floor--][x] = in->at[y][x];
    } else { /* the mirror image is put beside it */
        out->cols = 2 * in->cols;
        for (int y = 0; y < in->rows; y++)
            for (int x = 0; x < in->cols; x++) out->at[y][in->cols + x] = in->at[y][in->cols - 1 - x];
    }
}

static hrm_model *own_model(long steps, long pairs, long threads)
{
    /* trains on `pairs` pairs of each task; the puzzle id tells the tasks apart, as in ARC */
    size_t n = (size_t)pairs * OWN_TASKS;
    uint8_t *tokens = (uint8_t *)malloc(2 * n * OWN_CELLS);
    int32_t *ids = (int32_t *)malloc(n * sizeof *ids), board[OWN_CELLS];
    if (!tokens || !ids) die("out of memory");
    for (size_t i = 0; i < n; i++) {
        grid pair[2];
        hrm_random r = hrm_random_make(1, 1000 + i);
        own_pair((int)(i % OWN_TASKS), &r, &pair[0], &pair[1]);
        ids[i] = (int32_t)(i % OWN_TASKS) + 1; /* 0 is no puzzle */
        for (int k = 0; k < 2; k++) {
            board_of(board, OWN_SIDE, &pair[k]);
            for (int c = 0; c < OWN_CELLS; c++) tokens[((size_t)k * n + i) * OWN_CELLS + (size_t)c] = (uint8_t)board[c];
        }
    }
    hrm_dataset_arrays arrays;
    memset(&arrays, 0, sizeof arrays);
    arrays.seq_len = OWN_CELLS;
    arrays.vocab_size = 12;
    arrays.num_puzzle_identifiers = OWN_TASKS + 1;
    arrays.has_ignore_label = 1; /* nothing is asked about what lies outside a grid and its edge */
    arrays.ignore_label_id = 0;
    arrays.num_examples = arrays.num_puzzles = (int64_t)n;
    arrays.inputs = tokens;
    arrays.labels = tokens + n * OWN_CELLS;
    arrays.puzzle_identifiers = ids;
    hrm_dataset *data;
    TRY(hrm_dataset_from_arrays(&data, &arrays, NULL));

    hrm_model *model;
    hrm_model_desc desc = hrm_model_desc_for(data);
    desc.hidden_size = 64;
    desc.num_heads = 4;
    desc.H_layers = desc.L_layers = 2;
    desc.halt_max_steps = 4;
    desc.num_threads = (int)threads;
    TRY(hrm_model_create(&model, &desc));

    hrm_trainer *trainer;
    hrm_train_desc train;
    hrm_metrics m, sum;
    memset(&train, 0, sizeof train);
    memset(&sum, 0, sizeof sum);
    train.steps = steps;
    train.batch_size = 64;
    train.lr = 2e-3f;
    train.lr_min_ratio = 0.1f;
    train.lr_warmup_steps = steps / 20 + 1;
    TRY(hrm_trainer_create(&trainer, model, &train));
    time_t begin = time(NULL);
    for (hrm_status status; (status = hrm_trainer_step(trainer, data, &m)) != HRM_END;) {
        if (status != HRM_OK) die(hrm_error_message());
        hrm_metrics_add(&sum, &m);
        if (m.step != 10 && m.step % 100 && m.step != steps) continue;
        long spent = (long)(time(NULL) - begin);
        fprintf(stderr, "step %5ld of %ld   loss %.3f   exact %5.1f %%   segments %4.1f   %ld s, %ld left\n",
                (long)m.step, steps,
                sum.lm_loss, 100 * sum.exact_accuracy, sum.steps, spent, spent * (steps - (long)m.step) / (long)m.step);
        memset(&sum, 0, sizeof sum);
    }
    hrm_trainer_destroy(trainer);
    hrm_dataset_close(data);
    free(tokens);
    free(ids);
    return model;
}

static void own_task(task *t, int which, uint64_t seed)
{
    grid in, out;
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", own_names[which]);
    t->side = OWN_SIDE;
    t->id = which + 1;
    t->tests = t->has_truth = 1;
    t->demonstrations = OWN_DEMONSTRATIONS;
    for (int k = 0; k <= OWN_DEMONSTRATIONS; k++) {
        hrm_random r = hrm_random_make(seed + 2, (uint64_t)which * 10 + (uint64_t)k); /* not those of the training pairs */
        own_pair(which, &r, &in, &out);
        board_of(k < OWN_DEMONSTRATIONS ? t->demonstration[k][0] : t->test[0][0], OWN_SIDE, &in);
        board_of(k < OWN_DEMONSTRATIONS ? t->demonstration[k][1] : t->test[0][1], OWN_SIDE, &out);
    }
}

/* ---- options ------------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static task t;
    const char *checkpoint = NULL, *dir = NULL, *file = NULL, *out = "arc";
    long index = 0, id = -1, steps = 1000, pairs = 20000, threads = 0, seed = 0;
    const struct { const char *name; const char **text; long *number; long low; const char *help;
    } list[] = {
        {"--checkpoint", &checkpoint, NULL, 0,
         "a trained model; without one a small model is trained on the tasks in this file"},
        {"--data", &dir, NULL, 0, "a folder that `hrm data arc` built"},
        {"--index", NULL, &index, 0, "which example of its test split [0]"},
        {"--task", &file, NULL, 0, "a task as ARC publishes it, JSON"},
        {"--id", NULL, &id, 0, "the puzzle's number [by its name in --data]"},
        {"--out", &out, NULL, 0, "the pictures' names begin with this [arc]"},
        {"--steps", NULL, &steps, 1, "updates, without a checkpoint [1000]"},
        {"--pairs", NULL, &pairs, 1, "training pairs a task, without a checkpoint [20000]"},
        {"--seed", NULL, &seed, 0, "of the pairs shown, without a checkpoint [0]"},
        {"--threads", NULL, &threads, 0, "threads [one a processor]"},
    };
    for (int i = 1; i < argc; i++) {
        size_t k = 0, count = sizeof list / sizeof list[0];
        while (k < count && strcmp(argv[i], list[k].name) != 0) k++;
        if (k == count) {
            int help = strcmp(argv[i], "--help") == 0;
            if (!help) fprintf(stderr, "arc: no option \"%s\"\n", argv[i]);
            for (k = 0; k < count; k++) fprintf(help ? stdout : stderr, "  %-14s%s\n", list[k].name, list[k].help);
            return help ? 0 : 2;
        }
        char *end = NULL;
        const char *value = i + 1 < argc ? argv[++i] : "";
        if (list[k].text) *list[k].text = value;
        else *list[k].number = strtol(value, &end, 10);
        if (!value[0] || (end && (*end || *list[k].number < list[k].low || *list[k].number > 100000000))) {
            fprintf(stderr, "arc: %s is \"%s\", expected %s\n", list[k].name, value,
                    list[k].text ? "a text" : "a whole number");
            return 2;
        }
    }
    if (!checkpoint && (file || dir)) {
        fprintf(stderr, "arc: a task from a file needs --checkpoint, the model that knows it\n");
        return 2;
    }
    if (checkpoint && !file && !dir) {
        fprintf(stderr, "arc: which task? give --data DIR or --task FILE.json\n");
        return 2;
    }

    hrm_model *model;
    char path[1024];
    if (!checkpoint) {
        model = own_model(steps, pairs, threads);
        for (int which = 0; which < OWN_TASKS; which++) {
            own_task(&t, which, (uint64_t)seed);
            snprintf(path, sizeof path, "%.900s_%s.svg", out, own_names[which]);
            draw_task(model, &t, path);
        }
    } else {
        hrm_model_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.num_threads = (int)threads;
        TRY(hrm_model_load(&model, checkpoint, &desc));
        if (hrm_model_describe(model)->seq_len != MAX_CELLS || hrm_model_describe(model)->vocab_size < 12)
            die("the checkpoint is not a model of ARC: its boards are not 30 x 30");
        if (file) task_from_json(&t, file);
        else task_from_data(&t, dir, index);
        if (file && id < 0 && dir) id = identifier_of(dir, t.name);
        if (file && id < 0) die("the model does not know this task by name: give --id, or --data with its identifiers.json");
        if (id >= 0) t.id = (int)id;
        snprintf(path, sizeof path, "%.900s.svg", out);
        draw_task(model, &t, path);
    }
    hrm_model_destroy(model);
    return 0;
}
