/* hrm render: puzzles, answers and predictions of a data set as a picture; an answer forming as an animation. */
#include "boards.h"
#include "grid.h"

#include "pictures.h"
#include "render.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char render_help[] =
    "usage: hrm render DATA_DIR [OPTION…] -o FILE.png|FILE.svg\n"
    "       hrm render DATA_DIR --answers FILE.json [OPTION…] -o FILE\n"
    "       hrm render --steps BOARD|FILE|DATA_DIR [checkpoint=FILE]\n"
    "                  [KEY=VALUE…] -o FILE\n\n"
    "Draws Sudokus, mazes, ARC grids or grids of your own of a data set, and a\n"
    "model's predictions beside them.\n\n"
    "  --split train|test      which part of the data set [test]\n"
    "  --index N               the first example, from 0 [0]\n"
    "  --count N               how many [1]\n"
    "  --predictions FILE.npy  answers as `hrm eval` saves them: [examples, seq_len],\n"
    "                          or logits [examples, seq_len, vocab_size]\n"
    "  --answers FILE.json     ARC tasks with what `hrm eval` answered to them: the\n"
    "                          demonstrations, the test, its first two answers, the\n"
    "                          truth; --index and --count then count tasks\n"
    "  --name ID               with it, the task of that name\n"
    "  --task KIND             how to draw it: sudoku, maze, arc or grid [auto: grid\n"
    "                          with a vocabulary.json, else by the data's shapes]\n"
    "  --scale N               pixels a unit of length of a .png, 1 to 8 [2]\n"
    "  -o FILE                 the picture, .png or .svg\n\n"
    "--steps solves one board and shows its answer forming, segment by segment: an\n"
    "animated PNG, or an animated SVG. The board is an example of a data set, or a\n"
    "Sudoku or maze as `hrm solve` reads them, itself or in a file. Keys are those of\n"
    "`hrm solve` but votes; without checkpoint=FILE a 9x9 Sudoku is solved by the\n"
    "model that comes with hrm.\n";

typedef struct render_options {
    const char *data, *split, *predictions, *answers, *name, *output;
    long        index, count;
    score_task  task; /* SCORE_NONE: auto */
    int         grid; /* --task grid */
    grid_vocabulary vocabulary; /* of a grid; rows 0: there is none */
    int         scale;
    int         steps;    /* --steps, with its keys */
    char      **keys;     /* [num_keys], at the front of argv */
    int         num_keys;
} render_options;

static int render_number(const char *name, const char *text, long low, long *value)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || *end || v < low || v > INT_MAX)
        return tool_usage("render: %s is \"%s\", expected a whole number from %ld", name, text, low);
    *value = v;
    return TOOL_OK;
}

static int render_is_key(const char *text)
{
    /* KEY=VALUE; a drawn board may begin with a digit, a dot or a sign */
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.+");
    return text[n] == '=' && strpbrk(text, "abcdefghijklmnopqrstuvwxyz") < text + n &&
           strpbrk(text, "abcdefghijklmnopqrstuvwxyz");
}

static int render_parse(render_options *o, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    o->split = "test";
    o->count = 1;
    o->scale = CANVAS_SCALE;
    o->keys = argv + 1;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = NULL;
        if (strcmp(name, "--steps") == 0) {
            o->steps = 1;
            continue;
        }
        if (render_is_key(name)) {
            o->keys[o->num_keys++] = argv[i];
            continue;
        }
        if (name[0] != '-' || !name[1]) {
            if (o->data) return tool_usage("render: one data set at a time; there are \"%s\" and \"%s\"", o->data, name);
            o->data = name;
            continue;
        }
        static const char *const known[] = {"--split", "--index", "--count",   "--predictions", "--task",
                                            "--scale", "-o",      "--answers", "--name",        "--output"};
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(name, known[k]) != 0) k++;
        if (k == sizeof known / sizeof known[0])
            return tool_usage("render: no option \"%s\"; `hrm render --help` lists them", name);
        if (++i == argc) return tool_usage("render: %s needs a value", name);
        value = argv[i];
        if (k == 0) {
            o->split = value;
        } else if (k == 1) {
            if (render_number(name, value, 0, &o->index)) return TOOL_USAGE;
        } else if (k == 2) {
            if (render_number(name, value, 1, &o->count)) return TOOL_USAGE;
        } else if (k == 3) {
            o->predictions = value;
        } else if (k == 4) {
            o->task = strcmp(value, "sudoku") == 0 ? SCORE_SUDOKU
                      : strcmp(value, "maze") == 0 ? SCORE_MAZE
                      : strcmp(value, "arc") == 0  ? SCORE_ARC
                                                   : SCORE_NONE;
            o->grid = strcmp(value, "grid") == 0;
            if (o->task == SCORE_NONE && !o->grid && strcmp(value, "auto") != 0)
                return tool_usage("render: --task is \"%s\", expected sudoku, maze, arc, grid or auto", value);
        } else if (k == 5) {
            if (value[0] < '1' || value[0] > '0' + CANVAS_MAX_SCALE || value[1])
                return tool_usage("render: --scale is \"%s\", expected 1 to %d", value, CANVAS_MAX_SCALE);
            o->scale = value[0] - '0';
        } else if (k == 7) {
            o->answers = value;
        } else if (k == 8) {
            o->name = value;
        } else {
            o->output = value;
        }
    }
    if (!o->data) return tool_usage("render: which data set? usage: hrm render DATA_DIR -o FILE.png");
    if (!o->output) return tool_usage("render: where to? give -o FILE.png");
    o->scale = canvas_scale_of(o->output, o->scale);
    if (o->scale < 0) return tool_usage("render: %s: the picture's name ends in neither .png nor .svg", o->output);
    if (o->num_keys && !o->steps) return tool_usage("render: %s: keys are for --steps", o->keys[0]);
    if (o->answers && (o->predictions || o->steps || o->task != SCORE_NONE || o->grid || strcmp(o->split, "test") != 0))
        return tool_usage("render: --answers goes with --name, --index, --count and --scale");
    if (o->name && (!o->answers || o->index || o->count > 1))
        return tool_usage("render: --name names one task of --answers");
    if (o->steps && (o->predictions || o->count > 1))
        return tool_usage("render: --steps shows one board, which it solves itself");
    return TOOL_OK;
}

static hrm_status render_predictions(int32_t *answers, const char *path, const hrm_dataset_info *info, long first, long count)
{
    /* rows first..first+count-1 of the file -> answers [count, seq_len] */
    hrm_npy npy;
    hrm_status status = hrm_npy_open(&npy, path);
    if (status != HRM_OK) return status;
    const hrm_tensor *t = &npy.tensor;
    size_t T = (size_t)info->seq_len, V = (size_t)info->vocab_size, size = hrm_dtype_size(t->dtype);
    int logits = t->ndim == 3;
    if ((t->ndim != 2 && t->ndim != 3) || t->shape[1] != info->seq_len || (logits && t->shape[2] != info->vocab_size)) {
        status = hrm_error_set(HRM_ERR_SHAPE, "%s: its shape is not [examples, %d] nor [examples, %d, %d]", path, info->seq_len,
                               info->seq_len, info->vocab_size);
    } else if (t->shape[0] < first + count) {
        status = hrm_error_set(HRM_ERR_RANGE, "%s: has %lld predictions, asked for %ld to %ld", path, (long long)t->shape[0],
                               first, first + count - 1);
    } else if (!logits) {
        status = hrm_convert(answers, HRM_I32, (const unsigned char *)t->data + (size_t)first * T * size, t->dtype,
                             (size_t)count * T);
    } else {
        float *row = (float *)malloc(T * V * sizeof *row);
        if (!row) status = hrm_error_set(HRM_ERR_MEMORY, "%s: no memory for a row of logits", path);
        for (size_t r = 0; status == HRM_OK && r < (size_t)count; r++) {
            status =
                hrm_convert(row, HRM_F32, (const unsigned char *)t->data + ((size_t)first + r) * T * V * size, t->dtype, T * V);
            for (size_t i = 0; status == HRM_OK && i < T; i++) {
                size_t best = 0;
                for (size_t v = 1; v < V; v++)
                    if (row[i * V + v] > row[i * V + best]) best = v;
                answers[r * T + i] = (int32_t)best;
            }
        }
        free(row);
    }
    hrm_npy_close(&npy);
    return status;
}

/* What was right about an answer, in words. */
static void render_judge(picture_panel *p, score_task task, const int32_t *input, const int32_t *answer, int side, int wrong)
{
    char rules[32] = "", size[96];
    int optimal = 0;
    if (task == SCORE_SUDOKU) snprintf(rules, sizeof rules, "%s", score_sudoku(input, answer, side) ? "valid" : "not valid");
    if (task == SCORE_MAZE)
        snprintf(rules, sizeof rules, "%s",
                 !score_maze(input, answer, side, &optimal) ? "no valid path"
                 : optimal                                  ? "a shortest path"
                                                            : "a longer path");
    snprintf(size, sizeof size, "%s", p->note); /* what ARC's crop found */
    if (wrong == 0) snprintf(p->note, sizeof p->note, "exact");
    else
        snprintf(p->note, sizeof p->note, "%d cell%s wrong%s%.15s%s%.44s", wrong, wrong == 1 ? "" : "s", rules[0] ? ", " : "",
                 rules, size[0] ? ", " : "", size);
}

static int render_panel_count(score_task task, int with_answer)
{
    return task == SCORE_MAZE ? (with_answer ? 4 : 2) : with_answer ? 3 : 2;
}

static void render_panels(picture_panel *p, score_task task, int side, long index, const int32_t *input, const int32_t *label,
                          const int32_t *answer, int *exact)
{
    /* an example's inputs, labels and prediction (or NULL) [side * side] -> its panels */
    int panels = render_panel_count(task, answer != NULL), wrong = 0;
    char title[64];
    for (int i = 0; answer && i < side * side; i++) wrong += label[i] >= 0 && label[i] != answer[i];
    *exact = answer && wrong == 0;
    if (task == SCORE_SUDOKU) {
        snprintf(title, sizeof title, "puzzle %ld", index);
        p[0] = picture_panel_make(PICTURE_SUDOKU, side, input, NULL, NULL, title);
        if (answer) p[1] = picture_panel_make(PICTURE_SUDOKU, side, input, answer, label, "prediction");
        p[panels - 1] = picture_panel_make(PICTURE_SUDOKU, side, input, label, NULL, "solution");
        if (answer) render_judge(&p[1], task, input, answer, side, wrong);
    } else if (task == SCORE_MAZE) {
        snprintf(title, sizeof title, "maze %ld", index);
        p[0] = picture_panel_make(PICTURE_MAZE, side, input, NULL, NULL, title);
        p[1] = picture_panel_make(PICTURE_MAZE_TRUE, side, input, NULL, label, "true path");
        if (answer) {
            p[2] = picture_panel_make(PICTURE_MAZE_PREDICTED, side, input, answer, NULL, "predicted path");
            p[3] = picture_panel_make(PICTURE_MAZE_DIFFERENCES, side, input, answer, label, "differences");
            render_judge(&p[2], task, input, answer, side, wrong);
        }
    } else {
        snprintf(title, sizeof title, "input %ld", index);
        p[0] = picture_panel_arc(side, input, NULL, title);
        if (answer) p[1] = picture_panel_arc(side, answer, label, "prediction");
        p[panels - 1] = picture_panel_arc(side, label, NULL, answer ? "truth" : "output");
        if (answer) render_judge(&p[1], task, input, answer, side, wrong);
        picture_panels_scale(p, panels, 360);
    }
}

static void render_grid_panels(const render_options *o, picture_panel *p, long index, const int32_t *input,
                               const int32_t *label, const int32_t *answer, int *exact)
{
    /* likewise of a grid, without the padding around it */
    const grid_vocabulary *v = &o->vocabulary;
    int rows = 1, cols = 1, wrong = 0;
    char title[64];
    for (int i = 0; i < v->rows * v->cols; i++) {
        if (input[i] > 0 && i / v->cols >= rows) rows = i / v->cols + 1;
        if (input[i] > 0 && i % v->cols >= cols) cols = i % v->cols + 1;
        wrong += answer && label[i] >= 0 && label[i] != answer[i];
    }
    *exact = answer && wrong == 0;
    snprintf(title, sizeof title, "input %ld", index);
    p[0] = picture_panel_grid(v->cols, rows, cols, v->tokens, v->count, input, NULL, NULL, title);
    if (answer) p[1] = picture_panel_grid(v->cols, rows, cols, v->tokens, v->count, input, answer, label, "prediction");
    p[answer ? 2 : 1] =
        picture_panel_grid(v->cols, rows, cols, v->tokens, v->count, input, label, NULL, answer ? "truth" : "output");
    if (answer) render_judge(&p[1], SCORE_NONE, input, answer, 0, wrong);
}

static int render_vocabulary(render_options *o, int seq_len)
{
    /* of a grid, where there is one; else its numbers, square or in a row */
    char *text, where[TOOL_PATH];
    size_t length;
    grid_vocabulary *v = &o->vocabulary;
    if (o->task != SCORE_NONE) return TOOL_OK;
    int status = grid_vocabulary_text(&text, &length, o->data);
    if (status != TOOL_OK) return status;
    snprintf(where, sizeof where, "%.1000s/vocabulary.json", o->data);
    if (text) status = grid_vocabulary_parse(v, text, length, where);
    else if (o->grid) v->rows = score_side(seq_len) ? score_side(seq_len) : 1, v->cols = seq_len / v->rows;
    free(text);
    if (status == TOOL_OK && v->rows && v->rows * v->cols != seq_len)
        status = tool_error("%s: %d x %d, but the examples have %d cells", where, v->rows, v->cols, seq_len);
    return status;
}

static int render_groups(const picture_panel *p, int panels, int count)
{
    /* how many examples stand side by side, for a sheet about half as wide again as high */
    int best = 1, width = 0, height = 0;
    double closest = 1e9;
    for (int k = 0; k < panels * count; k++) {
        if (p[k].cols * p[k].cell + 26 > width) width = p[k].cols * p[k].cell + 26;
        if (p[k].rows * p[k].cell + 70 > height) height = p[k].rows * p[k].cell + 70;
    }
    for (int g = 1; g <= count; g++) {
        double shape = log((double)g * panels * width / ((double)((count + g - 1) / g) * height) / 1.5);
        if (fabs(shape) < closest) closest = fabs(shape), best = g;
    }
    return best;
}

static void render_tell(const render_options *o, int width, int height)
{
    printf("%s: %d x %d%s\n", o->output, width, height, o->scale == CANVAS_SVG ? "" : " pixels");
}

static int render_task(const render_options *o, const hrm_dataset_info *info, score_task *found)
{
    /* how the data set's examples o->index… are drawn: *found, SCORE_NONE with a vocabulary; refused when they cannot be */
    int side = score_side(info->seq_len), own = o->vocabulary.rows > 0;
    score_task task = o->task != SCORE_NONE || own ? o->task : score_task_detect(info->vocab_size, info->seq_len);
    if (task == SCORE_NONE && !own)
        return tool_error("%s: boards of %d cells with a vocabulary of %d are no task known here; give --task", o->data,
                          info->seq_len, info->vocab_size);
    int fits = side && (task != SCORE_SUDOKU || side == 4 || side == 6 || side == 9) &&
               (task != SCORE_MAZE || side <= MAZE_MAX_SIZE);
    if (!own && !fits)
        return tool_error("%s: boards of %d cells cannot be drawn as %s", o->data, info->seq_len, score_task_name(task));
    if (o->index + o->count > info->total_examples)
        return tool_error("%s: the %s split has %lld examples, asked for %ld to %ld", o->data, o->split,
                          (long long)info->total_examples, o->index, o->index + o->count - 1);
    *found = task;
    return TOOL_OK;
}

static int render_draw(const render_options *o, const hrm_dataset *data)
{
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    int side = score_side(info->seq_len), own = o->vocabulary.rows > 0;
    score_task task;
    int usable = render_task(o, info, &task);
    if (usable != TOOL_OK) return usable;
    size_t T = (size_t)info->seq_len, rows = (size_t)o->count;
    int panels = render_panel_count(task, o->predictions != NULL);
    int32_t *tokens = (int32_t *)calloc(3 * rows * T + rows, sizeof *tokens);
    picture_panel *p = (picture_panel *)calloc(rows * (size_t)panels, sizeof *p);
    hrm_status status = tokens && p ? HRM_OK : hrm_error_set(HRM_ERR_MEMORY, "no memory for %ld examples", o->count);
    canvas c;
    memset(&c, 0, sizeof c);
    if (status == HRM_OK) {
        hrm_batch batch;
        memset(&batch, 0, sizeof batch);
        batch.rows = (int)o->count;
        batch.inputs = tokens, batch.labels = tokens + rows * T, batch.puzzle_identifiers = tokens + 3 * rows * T;
        status = hrm_dataset_read(data, o->index, &batch);
    }
    int32_t *answers = o->predictions ? tokens + 2 * rows * T : NULL;
    if (status == HRM_OK && answers) status = render_predictions(answers, o->predictions, info, o->index, o->count);
    if (status == HRM_OK) {
        int exact = 0;
        score judged = score_make(info->vocab_size, info->seq_len);
        if (own) judged.task = SCORE_NONE;
        for (size_t r = 0; r < rows; r++) {
            int one = 0;
            const int32_t *input = tokens + r * T, *label = input + rows * T, *answer = answers ? answers + r * T : NULL;
            picture_panel *to = p + r * (size_t)panels;
            if (own) render_grid_panels(o, to, o->index + (long)r, input, label, answer, &one);
            else render_panels(to, task, side, o->index + (long)r, input, label, answer, &one);
            if (answers) score_add(&judged, tokens + r * T, answers + r * T);
            exact += one;
        }
        char title[256], subtitle[256], rules[96];
        if (o->count == 1)
            snprintf(title, sizeof title, "%.120s, %.40s: example %ld of %lld", o->data, o->split, o->index,
                     (long long)info->total_examples);
        else
            snprintf(title, sizeof title, "%.120s, %.40s: examples %ld to %ld of %lld", o->data, o->split, o->index,
                     o->index + o->count - 1, (long long)info->total_examples);
        (void)score_text(&judged, rules, sizeof rules);
        snprintf(subtitle, sizeof subtitle, "%.120s: %d of %ld exact%s%s", o->predictions ? o->predictions : "", exact,
                 o->count, rules[0] ? ", " : "", rules);
        picture_sheet sheet = picture_sheet_make(title, p, (int)rows * panels, panels * render_groups(p, panels, (int)rows));
        sheet.group = panels;
        if (rows == 1 && panels == 4 && side >= 20) sheet.columns = sheet.group = 2; /* large mazes in a square */
        sheet.scale = o->scale;
        if (answers && o->count > 1) sheet.subtitle = subtitle;
        status = picture_sheet_draw(&c, &sheet);
    }
    if (status == HRM_OK) status = canvas_save(&c, o->output);
    if (status == HRM_OK) render_tell(o, c.width, c.height);
    canvas_destroy(&c);
    free(p);
    free(tokens);
    return status == HRM_OK ? TOOL_OK : tool_failed();
}

/* ---- --steps ---------------------------------------------------------------------------------------------------------------
 */

typedef struct render_board { /* to be solved */
    score_task task;
    int        side, has_label; /* side: the board's width */
    char       title[256];
    int32_t    tokens[MAZE_MAX_CELLS], label[MAZE_MAX_CELLS];
} render_board;

static int render_read_board(render_board *b, const char *source)
{
    /* a board, or a file with it */
    char *text = NULL;
    size_t length;
    if (tool_exists(source) && !(text = tool_read_text(source, &length))) return TOOL_ERROR;
    const char *board = text ? text : source;
    char where[TOOL_PATH + 8] = "";
    if (text) snprintf(where, sizeof where, "%.*s: ", TOOL_PATH, source);
    int maze = strpbrk(board, "#SG") != NULL, givens = 0;
    int status = !text && board_is_name(source, maze) ? tool_error("%s: no such file or data set", source)
                 : maze                               ? board_read_maze(b->tokens, &b->side, board, where)
                                                      : board_read_sudoku(b->tokens, &b->side, board, 1, where);
    b->task = maze ? SCORE_MAZE : SCORE_SUDOKU;
    for (int i = 0; i < b->side * b->side; i++) givens += b->tokens[i] > 1;
    if (maze) snprintf(b->title, sizeof b->title, "Maze, %d x %d", b->side, b->side);
    else snprintf(b->title, sizeof b->title, "Sudoku, %d x %d, %d givens", b->side, b->side, givens);
    free(text);
    return status;
}

static void render_verdict(char verdict[96], const render_board *b, int cells, const int32_t *answer)
{
    int wrong = 0, optimal = 0, side = b->side;
    for (int i = 0; i < cells; i++) wrong += b->has_label && b->label[i] >= 0 && b->label[i] != answer[i];
    if (b->task == SCORE_SUDOKU)
        snprintf(verdict, 96, "%s", score_sudoku(b->tokens, answer, side) ? "valid: breaks no rule" : "not valid");
    else if (b->task == SCORE_MAZE)
        snprintf(verdict, 96, "%s", !score_maze(b->tokens, answer, side, &optimal) ? "no valid path"
                                    : optimal                                      ? "valid: a shortest path"
                                                                                   : "valid, but a longer path");
    else if (!b->has_label) verdict[0] = 0;
    else if (wrong) snprintf(verdict, 96, "%d cell%s wrong", wrong, wrong == 1 ? "" : "s");
    else snprintf(verdict, 96, "exact");
}

static void render_frame_grid(picture_panel *p, const grid_vocabulary *v, const int32_t *input, const int32_t *answer)
{
    /* the part of a board that is shown: of a vocabulary's grid that of the input, of ARC's what input and answer take */
    int top = 0, left = 0, rows = 1, cols = 1;
    if (v->rows) {
        for (int i = 0; i < v->rows * v->cols; i++) {
            if (input[i] > 0 && i / v->cols >= rows) rows = i / v->cols + 1;
            if (input[i] > 0 && i % v->cols >= cols) cols = i % v->cols + 1;
        }
        *p = picture_panel_grid(v->cols, rows, cols, v->tokens, v->count, input, NULL, NULL, "");
        return;
    }
    int y0 = p->side, x0 = p->side, y1 = 0, x1 = 0;
    for (int k = 0; k < 2; k++)
        if (picture_arc_find(k ? answer : input, p->side, &top, &left, &rows, &cols)) {
            if (top < y0) y0 = top;
            if (left < x0) x0 = left;
            if (top + rows > y1) y1 = top + rows;
            if (left + cols > x1) x1 = left + cols;
        }
    if (y1 > y0) p->top = y0, p->left = x0, p->rows = y1 - y0, p->cols = x1 - x0;
    picture_panels_scale(p, 1, 360);
}

static int render_tell_story(const render_options *o, const render_board *b, const render_run *run)
{
    picture_step steps[RENDER_SEGMENTS + 1];
    picture_story story;
    char subtitle[256], verdict[96];
    uint8_t clash[SUDOKU_MAX_CELLS];
    size_t T = (size_t)run->cells;
    const hrm_solve_result *last = &run->results[run->count - 1];
    memset(steps, 0, sizeof steps);
    memset(&story, 0, sizeof story);
    steps[0].answer = b->tokens;
    for (int k = 1; k <= run->count; k++) {
        picture_step *s = &steps[k];
        const int32_t *before = run->answers + (2 * (size_t)k - 1) * T;
        s->segment = run->segments[k - 1];
        s->answer = before - T;
        s->before = s->segment > 1 ? before : NULL;
        s->q_halt = (double)run->results[k - 1].q_halt, s->q_continue = (double)run->results[k - 1].q_continue;
        for (size_t i = 0; i < T; i++) s->changed += s->answer[i] != before[i];
        s->clashes = b->task == SCORE_SUDOKU ? score_clashes(b->tokens, s->answer, b->side, clash) : 0;
    }
    snprintf(subtitle, sizeof subtitle, "%.160s: %d segment%s, %s", tool_basename(run->model), last->segments,
             last->segments == 1 ? "" : "s", last->halted ? "then it holds its answer for right" : "it did not halt by itself");
    render_verdict(verdict, b, run->cells, steps[run->count].answer);
    picture_kind kind = b->task == SCORE_SUDOKU ? PICTURE_SUDOKU : b->task == SCORE_MAZE ? PICTURE_MAZE : PICTURE_ARC;
    story.board = picture_panel_make(kind, b->side, b->tokens, NULL, NULL, "");
    if (kind == PICTURE_ARC) render_frame_grid(&story.board, &o->vocabulary, b->tokens, steps[run->count].answer);
    story.title = b->title, story.subtitle = subtitle, story.verdict = verdict;
    story.steps = steps, story.count = run->count + 1;
    story.halt_only = run->halt_only;
    story.scale = o->scale;
    if (picture_story_save(&story, o->output) != HRM_OK) return tool_failed();
    printf("%s: %d frames, %d segment%s%s%s\n", o->output, story.count, last->segments, last->segments == 1 ? "" : "s",
           verdict[0] ? ", " : "", verdict);
    return TOOL_OK;
}

static int render_steps(const render_options *o, render_board *b, int vocab_size, int cells, int32_t identifier)
{
    render_run run;
    memset(&run, 0, sizeof run);
    run.keys = o->keys, run.num_keys = o->num_keys;
    run.task = b->task, run.vocab_size = vocab_size, run.cells = cells;
    run.tokens = b->tokens, run.identifier = identifier;
    int status = render_solve(&run);
    if (status == TOOL_OK) status = render_tell_story(o, b, &run);
    free(run.answers);
    return status;
}

static int render_data_steps(const render_options *o, render_board *b, const hrm_dataset *data)
{
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    int32_t identifier = 0;
    hrm_batch batch;
    int status = render_task(o, info, &b->task);
    if (status != TOOL_OK) return status;
    if (info->seq_len > MAZE_MAX_CELLS)
        return tool_error("%s: boards of %d cells are too large for --steps", o->data, info->seq_len);
    memset(&batch, 0, sizeof batch);
    batch.rows = 1;
    batch.inputs = b->tokens, batch.labels = b->label, batch.puzzle_identifiers = &identifier;
    if (hrm_dataset_read(data, o->index, &batch) != HRM_OK) return tool_failed();
    b->side = o->vocabulary.rows ? o->vocabulary.cols : score_side(info->seq_len);
    b->has_label = 1;
    snprintf(b->title, sizeof b->title, "%.120s, %.40s: example %ld", o->data, o->split, o->index);
    return render_steps(o, b, info->vocab_size, info->seq_len, identifier);
}

int command_render(int argc, char **argv)
{
    render_options o;
    hrm_dataset_desc desc;
    hrm_dataset *data;
    render_board *board = NULL;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return fputs(render_help, stdout), TOOL_OK;
    int result = render_parse(&o, argc, argv);
    if (result != TOOL_OK) return result;
    if (o.answers) {
        render_answers a;
        a.data = o.data, a.answers = o.answers, a.output = o.output, a.name = o.name;
        a.index = o.index, a.count = o.count, a.scale = o.scale;
        return render_answers_draw(&a);
    }
    if (o.steps && !(board = (render_board *)calloc(1, sizeof *board))) return tool_error("no memory for a board");
    if (board && !tool_is_directory(o.data)) {
        result = render_read_board(board, o.data);
        int cells = board->side * board->side, vocab = board->task == SCORE_SUDOKU ? board->side + 2 : 6;
        if (result == TOOL_OK) result = render_steps(&o, board, vocab, cells, 0);
        free(board);
        return result;
    }
    memset(&desc, 0, sizeof desc);
    if (hrm_dataset_open(&data, o.data, o.split, &desc) != HRM_OK) {
        free(board);
        return tool_failed();
    }
    result = render_vocabulary(&o, hrm_dataset_describe(data)->seq_len);
    if (result == TOOL_OK) result = board ? render_data_steps(&o, board, data) : render_draw(&o, data);
    grid_vocabulary_close(&o.vocabulary);
    hrm_dataset_close(data);
    free(board);
    return result;
}
