/* hrm solve grid: grids and sequences of one's own task, in the vocabulary that the checkpoint carries. */
#include "grid.h"
#include "solve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct grid_task {
    config         *c;
    grid_vocabulary vocabulary;
    char           *vocabulary_text;
    grid_reader     reader;
    grid_list       list;
    hrm_model      *model;
    int             words, width; /* how answers are written: blanks between tokens; the widest token */
    int             halt_only, over, colour, lines; /* on a terminal over the last `lines`, in colours */
    const grid_example *shown;
} grid_task;

/* ---- what the checkpoint says ------------------------------------------------------------------------------------------ */
static int grid_characters(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int grid_find_vocabulary(grid_task *t)
{
    /* in the checkpoint's metadata, else beside the data set */
    const config *c = t->c;
    hrm_tensors *file;
    char where[TOOL_PATH];
    size_t length = 0;
    int status = TOOL_OK;
    if (hrm_tensors_open(&file, c->checkpoint, NULL) != HRM_OK) return tool_failed();
    const char *text = hrm_tensors_metadata(file, GRID_VOCABULARY);
    if (text) {
        length = strlen(text);
        t->vocabulary_text = (char *)data_alloc(length + 1, 1);
        if (t->vocabulary_text) memcpy(t->vocabulary_text, text, length + 1);
        else status = TOOL_ERROR;
    }
    hrm_tensors_close(file);
    if (text) snprintf(where, sizeof where, "%.900s: " GRID_VOCABULARY, c->checkpoint);
    else snprintf(where, sizeof where, "%.900s/vocabulary.json", c->data_path);
    if (!text) status = grid_vocabulary_text(&t->vocabulary_text, &length, c->data_path);
    if (status != TOOL_OK) return status;
    if (!t->vocabulary_text)
        return tool_error("%s carries no vocabulary (" GRID_VOCABULARY " in its metadata), and %s", c->checkpoint,
                          *c->data_path ? "data_path holds no vocabulary.json" : "no data_path=DIR is given to find it");
    return grid_vocabulary_parse(&t->vocabulary, t->vocabulary_text, length, where);
}

static int grid_load(grid_task *t)
{
    hrm_model_desc stated;
    hrm_sources sources;
    config *c = t->c;
    const grid_vocabulary *v = &t->vocabulary;
    int status = config_checkpoint(c, c->checkpoint, &stated, &sources), cells = v->rows * v->cols;
    if (status == TOOL_OK && stated.vocab_size != v->count)
        status = tool_error("%s: vocab_size is %d, but its vocabulary has %d tokens", c->checkpoint, stated.vocab_size,
                            (int)v->count);
    if (status == TOOL_OK && stated.seq_len && stated.seq_len != cells)
        status = tool_error("%s: seq_len is %d, but its grids of %d x %d have %d cells", c->checkpoint, stated.seq_len, v->rows,
                            v->cols, cells);
    if (status == TOOL_OK) status = evaluation_check_votes((int)c->votes, (float)c->start_noise, SCORE_NONE);
    if (status == TOOL_OK) status = config_load_model(c, &t->model, c->checkpoint, &stated, &sources, cells);
    if (status == TOOL_OK) t->halt_only = hrm_model_describe(t->model)->no_ACT_continue;
    return status;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */
static int grid_is_json(const grid_task *t, const char *text, const char *file)
{
    /* by the file's name; else by how it begins, where no token begins like that */
    const char *dot = strrchr(tool_basename(file), '.');
    if (dot && strcmp(dot, ".json") == 0) return 1;
    text += strspn(text, " \t\r\n");
    if ((*text != '[' && *text != '{') || (dot && strcmp(dot, ".txt") == 0)) return 0;
    for (int32_t i = 1; i < t->vocabulary.count; i++)
        if (t->vocabulary.tokens[i][0] == *text) return 0;
    return 1;
}

static int grid_check_sizes(const grid_task *t, const char *file)
{
    const grid_vocabulary *v = &t->vocabulary;
    int small = 0;
    for (int64_t i = 0; i < t->list.count; i++) {
        const grid_example *e = &t->list.examples[i];
        if (e->rows > v->rows || e->cols > v->cols)
            return tool_error("%s:%d: the grid is %d x %d, expected at most %d x %d as in training", file, e->line, e->rows,
                              e->cols, v->rows, v->cols);
        if ((e->rows < v->least_rows || e->cols < v->least_cols) && !small++)
            tool_note("%s:%d: the grid is %d x %d, smaller than the %d x %d of training: nothing was learned about such", file,
                      e->line, e->rows, e->cols, v->least_rows, v->least_cols);
    }
    return t->list.count ? TOOL_OK : tool_error("%s: no grids", file);
}

static int grid_read(grid_task *t, const char *text, size_t length, const char *file)
{
    const grid_vocabulary *v = &t->vocabulary;
    grid_reader *r = &t->reader;
    int status = TOOL_OK, is_json = grid_is_json(t, text, file);
    r->closed = t->c->checkpoint;
    r->lines = v->rows == 1;
    r->words = v->words ? 1 : -1;
    for (int32_t i = 1; i < v->count && status == TOOL_OK; i++) {
        status = grid_add_token(r, v->tokens[i]);
        if (strcmp(v->tokens[i], " ") == 0) r->words = 0;
        if (grid_characters(v->tokens[i]) > t->width) t->width = grid_characters(v->tokens[i]);
    }
    if (status == TOOL_OK && is_json) {
        hrm_json_document *doc;
        if (hrm_json_parse(&doc, text, length, file, NULL) != HRM_OK) return tool_failed();
        status = grid_read_json(r, &t->list, file, hrm_json_root(doc));
        hrm_json_close(doc);
    } else if (status == TOOL_OK) {
        status = grid_read_text(r, &t->list, file, text, length);
    }
    t->words = is_json || r->words == 1;
    return status == TOOL_OK ? grid_check_sizes(t, file) : status;
}

static int grid_identify(grid_task *t)
{
    /* numbers of names, as read, into rows of the puzzle table by data_path's identifiers.json; unknown ones get the blank's */
    char path[TOOL_PATH];
    const char *dir = t->c->data_path;
    hrm_json_document *doc = NULL;
    int32_t names = t->reader.num_names, *row = (int32_t *)data_alloc((size_t)names + 1, sizeof *row);
    if (!row) return TOOL_ERROR;
    int there = names > 0 && *dir && tool_join(path, dir, "identifiers.json") && tool_exists(path);
    if (there && hrm_json_open(&doc, path, NULL) != HRM_OK) {
        free(row);
        return tool_failed();
    }
    int32_t i = 0, unknown = 0, most = hrm_model_describe(t->model)->num_puzzle_identifiers;
    for (const hrm_json *id = doc ? hrm_json_root(doc)->child : NULL; id && i < most; id = id->next, i++)
        for (int32_t k = 0; k < names && id->type == HRM_JSON_STRING && i > 0; k++)
            if (strcmp(id->string, t->reader.names[k]) == 0) row[k + 1] = i;
    if (doc) hrm_json_close(doc);
    for (int32_t k = 1; k <= names; k++) unknown += row[k] == 0;
    if (unknown) tool_note("%d of %d puzzle names are not in %s: solved without an embedding of their own", (int)unknown,
                           (int)names, there ? path : "an identifiers.json (data_path=DIR would find it)");
    for (int64_t k = 0; k < t->list.count; k++) t->list.examples[k].identifier = row[t->list.examples[k].identifier];
    free(row);
    return TOOL_OK;
}

/* ---- answers ----------------------------------------------------------------------------------------------------------- */
static int32_t grid_token_at(const grid_task *t, const grid_example *e, const int32_t *answer, int i)
{
    int32_t token = answer[i / e->cols * t->vocabulary.cols + i % e->cols];
    return token > 0 && token < t->vocabulary.count ? token : 0;
}

static void grid_draw(grid_task *t, const grid_example *e, const int32_t *answer)
{
    for (int i = 0; i < e->rows * e->cols; i++) {
        int32_t token = grid_token_at(t, e, answer, i);
        const char *text = token ? t->vocabulary.tokens[token] : "?", *on = "", *off = "";
        if (t->colour && token != e->cells[i] + 1) on = token ? "\033[36m" : "\033[31m", off = "\033[0m";
        int last = i % e->cols == e->cols - 1, pad = t->words && !last ? t->width - grid_characters(text) + 1 : 0;
        printf("%s%s%s%*s%s", on, text, off, pad, "", last ? "\n" : "");
        t->lines += last;
    }
}

static void grid_line(const grid_task *t, const grid_example *e, const int32_t *answer)
{
    /* --lines: the rows one after the other */
    for (int i = 0; i < e->rows * e->cols; i++) {
        int32_t token = grid_token_at(t, e, answer, i);
        if (i > 0) fputs(i % e->cols == 0 ? (t->words ? " / " : "/") : t->words ? " " : "", stdout);
        fputs(token ? t->vocabulary.tokens[token] : "?", stdout);
    }
    printf("\n");
}

static void grid_json_token(const char *text)
{
    /* numbers as numbers, as far as JSON writes them so */
    const char *c = text + (*text == '-');
    size_t digits = strspn(c, "0123456789");
    if (digits > 0 && !c[digits] && (digits == 1 || *c != '0')) fputs(text, stdout);
    else solve_json_text(text, 1);
}

static void grid_json(const grid_task *t, const grid_example *e, const int32_t *answer)
{
    /* as the puzzle was given: characters as a text with its rows on lines, else lists of tokens, null where there is none */
    int flat = t->vocabulary.rows == 1;
    printf("\"answer\": %s", t->words ? "[" : "\"");
    for (int i = 0; i < e->rows * e->cols; i++) {
        int32_t token = grid_token_at(t, e, answer, i);
        int first = i % e->cols == 0;
        if (!t->words) {
            if (i && first) printf("\\n");
            solve_json_text(token ? t->vocabulary.tokens[token] : "?", 0);
            continue;
        }
        if (!flat && first) printf("%s[", i ? "], " : "");
        else if (i) printf(", ");
        if (token) grid_json_token(t->vocabulary.tokens[token]);
        else printf("null");
    }
    printf("%s", !t->words ? "\"" : flat ? "]" : "]]");
}

static int grid_judge(const grid_task *t, const grid_example *e, const int32_t *answer, char verdict[160])
{
    /* 1: equal to the known output; 0: not, or no answer at all; -1: nobody knows */
    int cells = e->rows * e->cols, wrong = 0, blank = 0, told = 0;
    for (int i = 0; i < cells; i++) {
        int32_t token = grid_token_at(t, e, answer, i), known = e->has_output ? e->cells[cells + i] : -1;
        blank += !token;
        told += known >= 0;
        wrong += known >= 0 && token != known + 1;
    }
    if (wrong) snprintf(verdict, 160, "not valid: %d of %d cells differ from the known output", wrong, cells);
    else if (told) strcpy(verdict, "valid: equal to the known output");
    else if (blank) snprintf(verdict, 160, "not valid: %d cell%s without a token", blank, blank == 1 ? "" : "s");
    else strcpy(verdict, "no output is told to compare with");
    return wrong || (blank && !told) ? 0 : told ? 1 : -1;
}

static void grid_on_segment(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                            const hrm_solve_result *results)
{
    grid_task *t = (grid_task *)user;
    char q[64];
    if (num_rows < 1 || rows[0] != 0) return;
    if (t->over && t->lines) printf("\033[%dA\033[J", t->lines); /* the lines about segments stay above the grid */
    t->lines = 0;
    printf("segment %d: %s\n", segment, solve_q_text(q, &results[0], t->halt_only, 2));
    grid_draw(t, t->shown, answers);
    if (!t->over) printf("\n");
    fflush(stdout);
    if (t->over) tool_sleep(0.3);
}

static int grid_tell(grid_task *t, int64_t number, const solve_rows *rows, int k)
{
    /* the answer of row k in the form asked for; 0: it is not valid */
    const config *c = t->c;
    const grid_example *e = &t->list.examples[number];
    const int32_t *answer = rows->answers + (size_t)k * (size_t)rows->cells;
    const hrm_solve_result *r = &rows->results[k];
    char verdict[160], q[64], votes[64] = "";
    int valid = grid_judge(t, e, answer, verdict);
    if (c->lines) {
        grid_line(t, e, answer);
    } else if (c->json) {
        printf("{\"puzzle\": %lld, ", (long long)number + 1);
        grid_json(t, e, answer);
        solve_json_end(c, valid, verdict, r, rows->agree[k], t->halt_only);
    } else {
        if (t->over && t->lines) printf("\033[%dA\033[J", t->lines);
        if (c->votes > 1) snprintf(votes, sizeof votes, ", %d of %d copies agree", rows->agree[k], (int)c->votes);
        grid_draw(t, e, answer);
        printf("%d segment%s, %s%s%s; %s\n", r->segments, r->segments == 1 ? "" : "s", solve_q_text(q, r, t->halt_only, 3),
               r->halted ? "" : " (did not halt by itself)", votes, verdict);
    }
    fflush(stdout);
    return valid != 0;
}

static int grid_solve_all(grid_task *t)
{
    const config *c = t->c;
    const grid_vocabulary *v = &t->vocabulary;
    int T = v->rows * v->cols, drawn = !c->lines && !c->json, most = drawn ? 1 : solve_rows_most(c, T), worst = TOOL_OK;
    size_t n = (size_t)most;
    int32_t *tokens = (int32_t *)data_alloc(n * (size_t)T, sizeof *tokens), *ids = (int32_t *)data_alloc(n, sizeof *ids);
    solve_rows rows;
    memset(&rows, 0, sizeof rows);
    rows.cells = T;
    rows.task = SCORE_NONE;
    rows.tokens = tokens, rows.identifiers = ids;
    rows.answers = (int32_t *)data_alloc(n * (size_t)T, sizeof *rows.answers);
    rows.results = (hrm_solve_result *)data_alloc(n, sizeof *rows.results);
    rows.agree = (int *)data_alloc(n, sizeof *rows.agree);
    rows.on_segment = c->show_steps ? grid_on_segment : NULL;
    rows.user = t;
    int status = tokens && ids && rows.answers && rows.results && rows.agree ? TOOL_OK : TOOL_ERROR;
    for (int64_t first = 0; first < t->list.count && status == TOOL_OK; first += rows.count) {
        rows.count = t->list.count - first < most ? (int)(t->list.count - first) : most;
        memset(tokens, 0, (size_t)rows.count * (size_t)T * sizeof *tokens);
        for (int k = 0; k < rows.count; k++) {
            const grid_example *e = &t->list.examples[first + k];
            for (int i = 0; i < e->rows * e->cols; i++) tokens[k * T + i / e->cols * v->cols + i % e->cols] = e->cells[i] + 1;
            ids[k] = e->identifier;
        }
        t->shown = &t->list.examples[first];
        t->lines = 0;
        if (drawn && t->list.count > 1) printf("%spuzzle %lld\n", first ? "\n" : "", (long long)first + 1);
        status = solve_rows_run(c, t->model, &rows);
        for (int k = 0; k < rows.count && status == TOOL_OK; k++)
            if (!grid_tell(t, first + k, &rows, k)) worst = TOOL_ERROR;
    }
    free(tokens);
    free(ids);
    free(rows.answers);
    free(rows.results);
    free(rows.agree);
    return status != TOOL_OK ? status : worst;
}

int solve_grid(config *c, char *text, size_t length, const char *file)
{
    grid_task t;
    memset(&t, 0, sizeof t);
    t.c = c;
    t.over = tool_terminal_codes(1);
    t.colour = t.over && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
    int status = grid_find_vocabulary(&t);
    if (status == TOOL_OK) status = grid_read(&t, text, length, file);
    if (status == TOOL_OK) status = grid_load(&t);
    if (status == TOOL_OK) status = grid_identify(&t);
    if (status == TOOL_OK) status = grid_solve_all(&t);
    hrm_model_destroy(t.model);
    grid_list_close(&t.list);
    grid_reader_close(&t.reader);
    grid_vocabulary_close(&t.vocabulary);
    free(t.vocabulary_text);
    return status;
}
