/* The answers of `hrm eval` to ARC tasks as `hrm render --answers` draws them: demonstrations, the test, what was answered, the
 * truth. */
#include "arc.h"

#include "pictures.h"
#include "render.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 2 /* answers to a test */ };

typedef struct drawing {
    picture_panel *panels; /* [rows, columns] */
    int32_t       *boards; /* taken one after the other */
    int            used, side, columns;
} drawing;

static const int32_t *board_of(drawing *d, const arc_board *b)
{
    int32_t *tokens = d->boards + (size_t)d->used++ * (size_t)(d->side * d->side);
    for (int i = 0; i < d->side * d->side; i++) tokens[i] = 0;
    for (int r = 0; r < b->rows; r++)
        for (int c = 0; c < b->cols; c++) tokens[r * d->side + c] = b->cells[r * b->cols + c] + 2;
    return tokens;
}

static int read_answer(arc_board *b, const hrm_json *grid, int side, const char *path)
{
    int cols = 0;
    b->rows = b->cols = 0;
    if (!grid || grid->type != HRM_JSON_ARRAY || (int)grid->count > side)
        return tool_error("%s: an answer that is no grid of up to %d rows", path, side);
    for (const hrm_json *row = grid->child; row; row = row->next, b->rows++) {
        if (row->type != HRM_JSON_ARRAY || (int)row->count > side || (b->rows && (int)row->count != cols))
            return tool_error("%s:%d: a row of an answer is not as the others", path, row->line);
        cols = (int)row->count;
        int c = 0;
        for (const hrm_json *cell = row->child; cell; cell = cell->next) {
            if (cell->type != HRM_JSON_NUMBER || !(cell->number >= 0 && cell->number < ARC_PALETTE))
                return tool_error("%s:%d: an answer holds what is no colour", path, cell->line);
            b->cells[b->rows * cols + c++] = (uint8_t)cell->number;
        }
    }
    b->cols = cols;
    if (!cols) b->rows = 0;
    return TOOL_OK;
}

static int draw_test(drawing *d, const arc_entry *t, int k, const hrm_json *test, picture_panel *top, picture_panel *below,
                     const char *path)
{
    /* three columns: the input above; two answers and the truth below */
    const arc_board *pair = &t->pairs[2 * (t->num_train + k)];
    const hrm_json *answers = hrm_json_get(test, "answers"), *votes = hrm_json_get(test, "predictions"),
                   *at = hrm_json_get(test, "truth_at");
    char title[64], note[96];
    int first = at && at->type == HRM_JSON_NUMBER ? (int)at->number : 0, n = 0;
    snprintf(title, sizeof title, t->num_test > 1 ? "test %d" : "test", k + 1);
    top[0] = picture_panel_arc(d->side, board_of(d, &pair[0]), NULL, title);
    const int32_t *truth = pair[1].rows ? board_of(d, &pair[1]) : NULL;
    if (!answers || answers->type != HRM_JSON_ARRAY || !votes)
        return tool_error("%s: task %s has no answers there as `hrm eval` writes them", path, t->name);
    for (const hrm_json *a = answers->child; a && n < SHOWN; a = a->next, n++) {
        const hrm_json *count = hrm_json_get(a, "votes");
        arc_board b;
        int status = read_answer(&b, hrm_json_get(a, "grid"), d->side, path);
        if (status != TOOL_OK) return status;
        snprintf(title, sizeof title, n ? "answer %d" : "prediction", n + 1);
        below[n] = picture_panel_arc(d->side, board_of(d, &b), truth, title);
        snprintf(note, sizeof note, "%.0f of %.0f votes%s", count ? count->number : 0, votes->number,
                 !truth            ? ""
                 : first == n + 1 ? ", exact"
                                  : ", wrong");
        snprintf(below[n].note, sizeof below[n].note, "%s", note);
    }
    if (truth) below[n] = picture_panel_arc(d->side, truth, NULL, "truth");
    if (truth && first > SHOWN) snprintf(below[n].note, sizeof below[n].note, "answer %d of those given", first);
    else if (truth && !first) snprintf(below[n].note, sizeof below[n].note, "not among the answers");
    return TOOL_OK;
}

static int draw_entry(drawing *d, const arc_entry *t, const hrm_json *found, picture_panel *top, int demonstrations,
                      const char *path)
{
    picture_panel *below = top + d->columns;
    const hrm_json *test = hrm_json_get(found, "tests");
    char title[64];
    for (int i = 0; i < t->num_train; i++) {
        snprintf(title, sizeof title, "input %d", i + 1);
        top[i] = picture_panel_arc(d->side, board_of(d, &t->pairs[2 * i]), NULL, title);
        snprintf(title, sizeof title, "output %d", i + 1);
        below[i] = picture_panel_arc(d->side, board_of(d, &t->pairs[2 * i + 1]), NULL, title);
    }
    test = test && test->type == HRM_JSON_ARRAY && (int)test->count == t->num_test ? test->child : NULL;
    if (!test) return tool_error("%s: task %s has not its %d tests there", path, t->name, t->num_test);
    for (int k = 0, at = demonstrations; k < t->num_test; k++, test = test->next, at += SHOWN + 1) {
        int status = draw_test(d, t, k, test, top + at, below + at, path);
        if (status != TOOL_OK) return status;
    }
    picture_panels_scale(top, 2 * d->columns, 168);
    return TOOL_OK;
}

static int draw(const render_answers *o, const arc_set *set, const hrm_json *tasks, canvas *c)
{
    int demonstrations = 0, tests = 0, boards = 0, solved = 0;
    char title[160], subtitle[200];
    drawing d;
    memset(&d, 0, sizeof d);
    d.side = set->side;
    for (long i = o->index; i < o->index + o->count; i++) {
        const arc_entry *t = &set->entries[i];
        const hrm_json *at = hrm_json_get(hrm_json_get(tasks, t->name), "solved_at");
        if (t->num_train > demonstrations) demonstrations = t->num_train;
        if (t->num_test > tests) tests = t->num_test;
        boards += 2 * t->num_train + (2 + SHOWN) * t->num_test;
        solved += at && at->type == HRM_JSON_NUMBER && at->number == 1;
    }
    d.columns = demonstrations + tests * (SHOWN + 1);
    size_t panels = (size_t)(2 * o->count) * (size_t)d.columns;
    d.panels = (picture_panel *)data_alloc(panels, sizeof *d.panels);
    d.boards = (int32_t *)data_alloc((size_t)boards * (size_t)(d.side * d.side), sizeof *d.boards);
    int status = d.panels && d.boards ? TOOL_OK : TOOL_ERROR;
    for (size_t k = 0; k < panels && status == TOOL_OK; k++) d.panels[k] = picture_panel_empty();
    for (long i = 0; i < o->count && status == TOOL_OK; i++) {
        const arc_entry *t = &set->entries[o->index + i];
        const hrm_json *found = hrm_json_get(tasks, t->name);
        picture_panel *top = d.panels + (size_t)(2 * i) * (size_t)d.columns;
        if (!found) status = tool_error("%s: no answers to task %s", o->answers, t->name);
        else status = draw_entry(&d, t, found, top, demonstrations, o->answers);
        if (status == TOOL_OK && o->count > 1) {
            char first[64];
            snprintf(first, sizeof first, "%.40s: input 1", t->name);
            snprintf(top[0].title, sizeof top[0].title, "%s", first);
        }
    }
    if (status == TOOL_OK) {
        if (o->count == 1) snprintf(title, sizeof title, "ARC task %.120s", set->entries[o->index].name);
        else snprintf(title, sizeof title, "ARC tasks %ld to %ld of %d", o->index, o->index + o->count - 1, set->num_entries);
        snprintf(subtitle, sizeof subtitle, "%.150s: %d of %ld solved by the first answer", o->answers, solved, o->count);
        picture_sheet sheet = picture_sheet_make(title, d.panels, (int)panels, d.columns);
        sheet.subtitle = subtitle;
        if (demonstrations * 2 >= d.columns) sheet.group = demonstrations; /* one gap: before the tests */
        sheet.scale = o->scale;
        if (picture_sheet_draw(c, &sheet) != HRM_OK) status = tool_failed();
    }
    free(d.panels);
    free(d.boards);
    return status;
}

int render_answers_draw(const render_answers *o)
{
    char path[TOOL_PATH];
    arc_set set;
    hrm_json_document *doc;
    canvas c;
    long named = -1;
    memset(&c, 0, sizeof c);
    if (!tool_join(path, o->data, "test_puzzles.json") || !tool_exists(path))
        return tool_error("%s: no test_puzzles.json in it, which holds the tasks", o->data);
    int status = arc_set_open(&set, o->data, ARC_MOST, 0);
    if (status != TOOL_OK) return status;
    if (hrm_json_open(&doc, o->answers, NULL) != HRM_OK) return arc_set_close(&set), tool_failed();
    render_answers one = *o;
    const hrm_json *tasks = hrm_json_get(hrm_json_root(doc), "tasks");
    for (int i = 0; o->name && i < set.num_entries; i++)
        if (strcmp(set.entries[i].name, o->name) == 0) named = i;
    if (named >= 0) one.index = named;
    if (o->name && named < 0) status = tool_error("%s: no task %s", path, o->name);
    else if (!tasks || tasks->type != HRM_JSON_OBJECT)
        status = tool_error("%s: no answers.json as `hrm eval` writes it: it has no \"tasks\"", o->answers);
    else if (one.index + one.count > set.num_entries)
        status = tool_error("%s: %d tasks, asked for %ld to %ld", path, set.num_entries, one.index, one.index + one.count - 1);
    if (status == TOOL_OK) status = draw(&one, &set, tasks, &c);
    if (status == TOOL_OK && canvas_save(&c, o->output) != HRM_OK) status = tool_failed();
    if (status == TOOL_OK) printf("%s: %d x %d%s\n", o->output, c.width, c.height, o->scale == CANVAS_SVG ? "" : " pixels");
    canvas_destroy(&c);
    hrm_json_close(doc);
    arc_set_close(&set);
    return status;
}
