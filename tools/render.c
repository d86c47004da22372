/* hrm render: puzzles, answers and predictions of a data set as a picture. */
#include "grid.h"

#include "pictures.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char render_help[] = "usage: hrm render DATA_DIR [OPTION…] -o FILE.png\n\n"
                                  "Draws Sudokus, mazes, ARC grids or grids of your own of a data set, and a\n"
                                  "model's predictions beside them.\n\n"
                                  "  --split train|test      which part of the data set [test]\n"
                                  "  --index N               the first example, from 0 [0]\n"
                                  "  --count N               how many [1]\n"
                                  "  --predictions FILE.npy  answers as `hrm eval` saves them: [examples, seq_len],\n"
                                  "                          or logits [examples, seq_len, vocab_size]\n"
                                  "  --task KIND             how to draw it: sudoku, maze, arc or grid [auto: grid\n"
                                  "                          with a vocabulary.json, else by the data's shapes]\n"
                                  "  -o FILE.png             the picture\n";

typedef struct render_options {
    const char *data, *split, *predictions, *output;
    long        index, count;
    score_task  task; /* SCORE_NONE: auto */
    int         grid; /* --task grid */
    grid_vocabulary vocabulary; /* of a grid; rows 0: there is none */
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

static int render_parse(render_options *o, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    o->split = "test";
    o->count = 1;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = NULL;
        if (name[0] != '-' || !name[1]) {
            if (o->data) return tool_usage("render: one data set at a time; there are \"%s\" and \"%s\"", o->data, name);
            o->data = name;
            continue;
        }
        static const char *const known[] = {"--split", "--index", "--count", "--predictions", "--task", "-o", "--output"};
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
        } else {
            o->output = value;
        }
    }
    if (!o->data) return tool_usage("render: which data set? usage: hrm render DATA_DIR -o FILE.png");
    if (!o->output) return tool_usage("render: where to? give -o FILE.png");
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

static int render_draw(const render_options *o, const hrm_dataset *data)
{
    const hrm_dataset_info *info = hrm_dataset_describe(data);
    int side = score_side(info->seq_len);
    int own = o->vocabulary.rows > 0;
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
        if (answers && o->count > 1) sheet.subtitle = subtitle;
        status = picture_sheet_draw(&c, &sheet);
    }
    if (status == HRM_OK) status = canvas_save(&c, o->output);
    if (status == HRM_OK) printf("%s: %d x %d pixels\n", o->output, c.width, c.height);
    canvas_destroy(&c);
    free(p);
    free(tokens);
    return status == HRM_OK ? TOOL_OK : tool_failed();
}

int command_render(int argc, char **argv)
{
    render_options o;
    hrm_dataset_desc desc;
    hrm_dataset *data;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return fputs(render_help, stdout), TOOL_OK;
    int usage = render_parse(&o, argc, argv);
    if (usage != TOOL_OK) return usage;
    memset(&desc, 0, sizeof desc);
    if (hrm_dataset_open(&data, o.data, o.split, &desc) != HRM_OK) return tool_failed();
    int result = render_vocabulary(&o, hrm_dataset_describe(data)->seq_len);
    if (result == TOOL_OK) result = render_draw(&o, data);
    grid_vocabulary_close(&o.vocabulary);
    hrm_dataset_close(data);
    return result;
}
