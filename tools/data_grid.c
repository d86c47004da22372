/* `hrm data grid`: a user's own pairs of grids or sequences of tokens, from JSON or text (hrm data --help says how they look).
 * The vocabulary is what both splits hold, numbers in their order, then texts in byte order, or what --vocabulary says; pad is
 * 0. Grids smaller than the largest stand top left, with pad around them, which is no label: nothing is learned there and
 * nothing counted.
 */
#include "grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct grid_split {
    char      path[TOOL_PATH]; /* of its source; "" when there is none */
    grid_list list;
    int       groups;
} grid_split;

typedef struct grid_build {
    data_build  build;
    grid_reader reader;
    int         rows, cols, least_rows, least_cols; /* of the largest and of the smallest */
    int         told_rows, told_cols;               /* of the vocabulary's grids, which are the largest; 0: it says nothing */
    grid_split  splits[2];
} grid_build;

/* ---- writing ------------------------------------------------------------------------------------------------------------- */
static int grid_is_number(const char *text, double *value)
{
    char *rest;
    *value = strtod(text, &rest);
    return rest != text && !*rest &&
           ((*text >= '0' && *text <= '9') || ((*text == '-' || *text == '.') && text[1] >= '0' && text[1] <= '9'));
}

typedef struct grid_token { const char *text; int32_t number; } grid_token;

static int grid_compare(const void *a, const void *b)
{
    const grid_token *x = (const grid_token *)a, *y = (const grid_token *)b;
    double u, v;
    int p = grid_is_number(x->text, &u), q = grid_is_number(y->text, &v);
    if (p != q) return q - p;
    if (p && u != v) return u < v ? -1 : 1;
    return strcmp(x->text, y->text);
}

static int grid_write_list(const grid_build *b, const char *name, const char *head, const char *const *texts, int32_t count,
                           const char *tail)
{
    /* a small JSON file: head, the texts quoted, tail */
    size_t room = strlen(head) + strlen(tail) + 1, at;
    for (int32_t i = 0; i < count; i++) room += 6 * strlen(texts[i]) + 4;
    char *out = (char *)data_alloc(room, 1);
    if (!out) return TOOL_ERROR;
    strcpy(out, head);
    at = strlen(head);
    for (int32_t i = 0; i < count; i++) {
        memcpy(out + at, ", \"", 3);
        at += 3;
        for (const char *p = texts[i]; *p; p++) {
            if (*p == '"' || *p == '\\') out[at++] = '\\';
            if ((unsigned char)*p < 32) at += (size_t)snprintf(out + at, room - at, "\\u%04x", (unsigned)(unsigned char)*p);
            else out[at++] = *p;
        }
        out[at++] = '"';
    }
    strcpy(out + at, tail);
    int status = data_build_text(&b->build, name, out);
    free(out);
    return status;
}

static void grid_group(grid_split *s, int32_t num_names)
{
    /* examples of one puzzle make a group, others one each; groups in the order of their first example */
    int32_t *group_of = (int32_t *)data_alloc((size_t)num_names + 1, sizeof *group_of);
    for (int64_t i = 0; group_of && i < s->list.count; i++) {
        grid_example *e = &s->list.examples[i];
        if (e->identifier == 0 || group_of[e->identifier] == 0) {
            e->group = s->groups++;
            group_of[e->identifier] = e->group + 1;
        } else {
            e->group = group_of[e->identifier] - 1;
        }
    }
    free(group_of);
}

static void grid_place(void *row, hrm_dtype dtype, const int32_t *cells, const grid_example *e, int cols, const int32_t *id_of)
{
    /* a grid's ids top left; row [rows * cols] is all pad before */
    for (int i = 0; i < e->rows * e->cols; i++) {
        int32_t id = cells[i] < 0 ? 0 : id_of[cells[i]];
        size_t at = (size_t)(i / e->cols) * (size_t)cols + (size_t)(i % e->cols);
        int16_t short_id = (int16_t)id;
        if (dtype == HRM_U8) ((unsigned char *)row)[at] = (unsigned char)id;
        else if (dtype == HRM_I16) memcpy((char *)row + 2 * at, &short_id, 2);
        else memcpy((char *)row + 4 * at, &id, 4);
    }
}

static int grid_write_split(grid_build *b, grid_split *s, const char *name, const int32_t *id_of)
{
    data_split out;
    size_t cells = (size_t)b->rows * (size_t)b->cols;
    int64_t count = s->list.count;
    const grid_example *examples = s->list.examples;
    int32_t vocab = b->reader.num_tokens + 1;
    hrm_dtype dtype = vocab <= 256 ? HRM_U8 : vocab <= 32768 ? HRM_I16 : HRM_I32;
    size_t bytes = cells * hrm_dtype_size(dtype);
    int status = data_split_open(&out, &b->build, name, (int)cells, dtype);
    if (status != TOOL_OK) return status;
    /* examples sorted by group, stably: first[g] counts, then tells where the next of group g goes */
    grid_group(s, b->reader.num_names);
    int64_t *first = (int64_t *)data_alloc((size_t)s->groups + 1, sizeof *first),
            *order = (int64_t *)data_alloc((size_t)count, sizeof *order);
    unsigned char *row = (unsigned char *)data_alloc(2, bytes);
    if (!first || !order || !row || !s->groups) status = TOOL_ERROR;
    for (int64_t i = 0; i < count && status == TOOL_OK; i++) first[examples[i].group + 1]++;
    for (int g = 0; g < s->groups && status == TOOL_OK; g++) first[g + 1] += first[g];
    for (int64_t i = 0; i < count && status == TOOL_OK; i++) order[first[examples[i].group]++] = i;
    int64_t in_puzzle = 0;
    for (int64_t k = 0; k < count && status == TOOL_OK; k++) {
        const grid_example *e = &examples[order[k]];
        memset(row, 0, 2 * bytes);
        grid_place(row, dtype, e->cells, e, b->cols, id_of);
        grid_place(row + bytes, dtype, e->cells + e->rows * e->cols, e, b->cols, id_of);
        status = data_split_rows(&out, row, row + bytes, 1);
        in_puzzle++;
        if (status == TOOL_OK && (k + 1 == count || examples[order[k + 1]].group != e->group)) {
            status = data_split_puzzle(&out, e->identifier, in_puzzle);
            if (status == TOOL_OK) status = data_split_group(&out);
            in_puzzle = 0;
        }
        if (data_stopped()) status = TOOL_ERROR;
    }
    free(first);
    free(order);
    free(row);
    if (status == TOOL_OK) return data_split_commit(&out, vocab, (int64_t)b->reader.num_names + 1);
    data_split_abort(&out);
    return status;
}

static int grid_write(grid_build *b)
{
    const grid_reader *r = &b->reader;
    int32_t n = r->num_tokens;
    grid_token *sorted = (grid_token *)data_alloc((size_t)n, sizeof *sorted);
    int32_t *id_of = (int32_t *)data_alloc((size_t)n, sizeof *id_of);
    const char **texts = (const char **)data_alloc((size_t)n, sizeof *texts);
    int status = sorted && id_of && texts ? TOOL_OK : TOOL_ERROR, mixed = b->least_rows < b->rows || b->least_cols < b->cols;
    if (status == TOOL_OK) {
        for (int32_t i = 0; i < n; i++) sorted[i].text = r->tokens[i], sorted[i].number = i;
        if (!r->closed) qsort(sorted, (size_t)n, sizeof *sorted, grid_compare);
        for (int32_t i = 0; i < n; i++) id_of[sorted[i].number] = i + 1, texts[i] = sorted[i].text;
    }
    for (int k = 0; k < 2 && status == TOOL_OK; k++)
        if (b->splits[k].list.count) status = grid_write_split(b, &b->splits[k], k ? "test" : "train", id_of);
    char head[256], least[96] = "", sizes[64] = "";
    if (mixed) snprintf(least, sizeof least, "\"least_rows\": %d, \"least_columns\": %d, ", b->least_rows, b->least_cols);
    if (mixed) snprintf(sizes, sizeof sizes, "%d x %d to ", b->least_rows, b->least_cols);
    snprintf(head, sizeof head, "{\"rows\": %d, \"columns\": %d, %s\"tokens\": [\"<pad>\"", b->rows, b->cols, least);
    if (status == TOOL_OK) status = grid_write_list(b, "vocabulary.json", head, texts, n, "]}\n");
    if (status == TOOL_OK)
        status = grid_write_list(b, "identifiers.json", "[\"<blank>\"", (const char *const *)r->names, r->num_names, "]");
    if (status == TOOL_OK)
        tool_note("%s%d x %d, vocabulary of %d with pad: %s%s%s%s", sizes, b->rows, b->cols, (int)n + 1, texts[0],
                  n > 1 ? " to " : "", n > 1 ? texts[n - 1] : "", " (vocabulary.json)");
    free(sorted);
    free(id_of);
    free(texts);
    return status;
}

static int grid_measure(grid_build *b, const grid_split *s)
{
    for (int64_t i = 0; i < s->list.count; i++) {
        const grid_example *e = &s->list.examples[i];
        if (e->rows > b->rows) b->rows = e->rows;
        if (e->cols > b->cols) b->cols = e->cols;
        if (!b->least_rows || e->rows < b->least_rows) b->least_rows = e->rows;
        if (!b->least_cols || e->cols < b->least_cols) b->least_cols = e->cols;
        if ((int64_t)b->rows * b->cols > GRID_CELLS)
            return tool_error("%s:%d: with it grids are %d x %d, more than %d cells", s->path, e->line, b->rows, b->cols,
                              GRID_CELLS);
        if (b->told_rows && (e->rows > b->told_rows || e->cols > b->told_cols))
            return tool_error("%s:%d: the grid is %d x %d, expected at most the %d x %d of %s", s->path, e->line, e->rows,
                              e->cols, b->told_rows, b->told_cols, b->reader.closed);
    }
    return TOOL_OK;
}

static int grid_read(grid_build *b, grid_split *s, int is_text)
{
    int status;
    if (is_text) {
        hrm_file_map map;
        if (hrm_file_map_open(&map, s->path) != HRM_OK) return tool_failed();
        status = grid_read_text(&b->reader, &s->list, s->path, (const char *)map.data, map.size);
        hrm_file_map_close(&map);
    } else {
        hrm_json_document *doc;
        if (hrm_json_open(&doc, s->path, NULL) != HRM_OK) return tool_failed();
        status = grid_read_json(&b->reader, &s->list, s->path, hrm_json_root(doc));
        hrm_json_close(doc);
    }
    return status == TOOL_OK ? grid_measure(b, s) : status;
}

static int grid_take_token(grid_build *b, const char *token, size_t length, int line)
{
    /* the next of --vocabulary */
    grid_reader *r = &b->reader;
    char text[256];
    int32_t before = r->num_tokens;
    if (!length || length >= sizeof text || !data_is_utf8(token, length))
        return tool_error("%s:%d: expected a token of 1 to %zu bytes of UTF-8", r->closed, line, sizeof text - 1);
    memcpy(text, token, length);
    text[length] = 0;
    if (grid_add_token(r, text) != TOOL_OK) return TOOL_ERROR;
    if (r->num_tokens == before) return tool_error("%s:%d: token \"%.60s\" is there twice", r->closed, line, text);
    size_t characters = 0;
    for (size_t i = 0; i < length; i++) characters += ((unsigned char)text[i] & 0xc0) != 0x80;
    if (r->words < 0 && characters > 1) r->words = 1;
    if (r->words < 0 && *text == ' ') r->words = 0;
    return TOOL_OK;
}

static int grid_take_vocabulary(grid_build *b, const char *path)
{
    /* vocabulary.json as a data set has it, with the size of its grids, or a token a line */
    size_t length;
    int line = 1;
    char *text = tool_read_text(path, &length);
    if (!text) return TOOL_ERROR;
    int status = TOOL_OK;
    b->reader.closed = path;
    if (text[strspn(text, " \t\r\n")] == '{') {
        grid_vocabulary v;
        status = grid_vocabulary_parse(&v, text, length, path);
        if (status == TOOL_OK) {
            b->rows = b->told_rows = v.rows, b->cols = b->told_cols = v.cols;
            for (int32_t i = 1; i < v.count && status == TOOL_OK; i++)
                status = grid_take_token(b, v.tokens[i], strlen(v.tokens[i]), line);
            grid_vocabulary_close(&v);
        }
    } else {
        for (const char *at = text; *at && status == TOOL_OK; line++) {
            size_t n = strcspn(at, "\r\n");
            status = grid_take_token(b, at, n, line);
            at += n + (at[n] == '\r' && at[n + 1] == '\n');
            at += *at != 0;
        }
        if (status == TOOL_OK && !b->reader.num_tokens) status = tool_error("%s: no tokens", path);
    }
    free(text);
    return status;
}

int data_grid(const data_options *o)
{
    static const char *const names[2][2] = {{"train.json", "train.txt"}, {"test.json", "test.txt"}};
    grid_build b;
    memset(&b, 0, sizeof b);
    b.reader.answers = 1;
    b.reader.words = o->tokens ? strcmp(o->tokens, "words") == 0 : -1;
    int status = data_build_open(&b.build, o);
    if (status != TOOL_OK) return status;
    if (o->vocabulary) status = grid_take_vocabulary(&b, o->vocabulary);
    for (int k = 0; k < 2 && status == TOOL_OK; k++) {
        grid_split *s = &b.splits[k];
        int found = 0;
        for (int kind = 0; kind < 2 && status == TOOL_OK; kind++) {
            char path[TOOL_PATH];
            data_kind look;
            if (!tool_join(path, o->source_dir, names[k][kind])) status = tool_error("%s: the path is too long", o->source_dir);
            else if ((look = data_look(path)) == DATA_UNKNOWN) status = TOOL_ERROR;
            else if (look != DATA_NONE) {
                if (found++) status = tool_error("%s: there is %s too; one of them", path, names[k][0]);
                memcpy(s->path, path, sizeof path);
                if (status == TOOL_OK) status = grid_read(&b, s, kind);
            }
        }
        if (status == TOOL_OK && !found && k == 0)
            status = tool_error(tool_exists(o->source_dir) && !tool_is_directory(o->source_dir)
                                    ? "%s: a file, expected the folder that holds train.json or train.txt"
                                    : "%s: there is neither train.json nor train.txt",
                                o->source_dir);
        if (status == TOOL_OK && found && s->list.count == 0) status = tool_error("%s: no examples", s->path);
    }
    if (status == TOOL_OK) status = grid_write(&b);
    for (int k = 0; k < 2; k++) grid_list_close(&b.splits[k].list);
    grid_reader_close(&b.reader);
    return data_build_close(&b.build, status);
}
