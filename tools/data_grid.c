/* `hrm data grid`: a user's own pairs of equally sized grids or sequences of tokens, from JSON or text (hrm data --help says
 * how they look). The vocabulary is what both splits hold: numbers in their order, then texts in byte order; pad is 0.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "progress.h"

typedef struct grid_example {
    int32_t *cells;
    int group;
    int32_t identifier;
} grid_example; /* cells: input, then output; tokens by number, -1: null */

typedef struct grid_split {
    char          path[TOOL_PATH]; /* of its source; "" when there is none */
    grid_example *examples;
    int64_t       count, room;
    int           groups;
} grid_split;

typedef struct grid_build {
    const data_options *o;
    data_build build;
    int        rows, cols;  /* of every grid; 0 before the first */
    char     **tokens;      /* [num_tokens], in the order in which they came */
    int32_t    num_tokens;
    data_table token_table, name_table; /* hashes of tokens, of puzzles' names; grown when half full */
    char     **names;       /* [num_names] of puzzles; the identifier is one more */
    int32_t    num_names;
    int32_t   *buffer;      /* cells of the grid being read, */
    int64_t    buffered, buffer_room;
    int        words;       /* of text files */
    grid_split splits[2];
} grid_build;

/* ---- tokens and names ---------------------------------------------------------------------------------------------------- */
static int32_t grid_number(data_table *table, char ***list, int32_t *count, const char *text, size_t length)
{
    /* the number of a text, a new one when it is; -1: no memory */
    int added;
    if (2 * table->count >= table->room) {
        data_table larger;
        if (data_table_open(&larger, 4 * table->count + 64) != TOOL_OK) return -1;
        for (size_t i = 0; i < table->room; i++)
            if (table->keys[i]) *data_table_find(&larger, table->keys[i], &added) = table->values[i];
        data_table_close(table);
        *table = larger;
    }
    int32_t *value = data_table_find(table, data_hash(DATA_HASH, text, length), &added);
    if (!added) return *value;
    if (*count % 64 == 0) {
        char **more = (char **)realloc(*list, ((size_t)*count + 64) * sizeof *more);
        if (!more) return (void)tool_error("no memory for %d different texts", *count), -1;
        *list = more;
    }
    char *copy = (char *)data_alloc(length + 1, 1);
    if (!copy) return -1;
    memcpy(copy, text, length);
    (*list)[*count] = copy;
    return *value = (*count)++;
}

static int grid_push(grid_build *b, int32_t token)
{
    if (b->buffered == b->buffer_room) {
        b->buffer_room = b->buffer_room ? 2 * b->buffer_room : 4096;
        int32_t *more = (int32_t *)realloc(b->buffer, (size_t)b->buffer_room * sizeof *more);
        if (!more) return tool_error("no memory for a grid of %lld cells", (long long)b->buffer_room);
        b->buffer = more;
    }
    b->buffer[b->buffered++] = token;
    return TOOL_OK;
}

static int grid_push_text(grid_build *b, const char *text, size_t length)
{
    int32_t token = grid_number(&b->token_table, &b->tokens, &b->num_tokens, text, length);
    return token < 0 ? TOOL_ERROR : grid_push(b, token);
}

static int grid_push_line(grid_build *b, const char *text, size_t length, int words)
{
    /* one row of words, or of characters (UTF-8) */
    int status = TOOL_OK;
    for (size_t i = 0, n; i < length && status == TOOL_OK; i += n) {
        n = 1;
        if (words) {
            if (text[i] == ' ' || text[i] == '\t') continue;
            while (i + n < length && text[i + n] != ' ' && text[i + n] != '\t') n++;
        } else {
            while (i + n < length && ((unsigned char)text[i + n] & 0xc0) == 0x80) n++;
        }
        status = grid_push_text(b, text + i, n);
    }
    return status;
}

/* ---- one example --------------------------------------------------------------------------------------------------------- */
typedef struct grid_size { int rows, cols; } grid_size;

static int grid_row_done(const grid_build *b, grid_size *size, int64_t start, const char *path, int line)
{
    /* a row has been pushed, from `start` of the buffer on */
    int cols = (int)(b->buffered - start);
    if (cols == 0) return tool_error("%s:%d: an empty row", path, line);
    if (size->rows++ == 0) size->cols = cols;
    return cols == size->cols
               ? TOOL_OK
               : tool_error("%s:%d: a row of %d tokens, expected %d as in the row before", path, line, cols, size->cols);
}

static int grid_add(grid_build *b, grid_split *s, const grid_size size[2], const char *puzzle, int line)
{
    /* the buffer holds input and output */
    for (int k = 0; k < 2; k++) {
        if (b->rows == 0) b->rows = size[k].rows, b->cols = size[k].cols;
        if (size[k].rows != b->rows || size[k].cols != b->cols)
            return tool_error("%s:%d: the %s is %d x %d, expected %d x %d as everything before", s->path, line,
                              k ? "output" : "input", size[k].rows, size[k].cols, b->rows, b->cols);
    }
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        grid_example *more = (grid_example *)realloc(s->examples, (size_t)s->room * sizeof *more);
        if (!more) return tool_error("%s: no memory for %lld examples", s->path, (long long)s->room);
        s->examples = more;
    }
    grid_example *e = &s->examples[s->count];
    e->identifier = 0;
    e->group = -1;
    if (puzzle) {
        e->identifier = 1 + grid_number(&b->name_table, &b->names, &b->num_names, puzzle, strlen(puzzle));
        if (e->identifier == 0) return TOOL_ERROR;
    }
    e->cells = (int32_t *)data_alloc((size_t)b->buffered, sizeof *e->cells);
    if (!e->cells) return TOOL_ERROR;
    memcpy(e->cells, b->buffer, (size_t)b->buffered * sizeof *e->cells);
    b->buffered = 0;
    s->count++;
    return TOOL_OK;
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------- */
static int grid_json_token(grid_build *b, const hrm_json *j, int is_output, const char *path)
{
    if (j->type == HRM_JSON_NUMBER || j->type == HRM_JSON_STRING || j->type == HRM_JSON_BOOL)
        return grid_push_text(b, j->string, strlen(j->string));
    if (j->type == HRM_JSON_NULL && is_output) return grid_push(b, -1);
    return tool_error("%s:%d: expected a number or a text for a token", path, j->line);
}

static int grid_json_grid(grid_build *b, const hrm_json *pair, int is_output, grid_size *size, const char *path)
{
    const char *key = is_output ? "output" : "input";
    const hrm_json *g = hrm_json_get(pair, key);
    int status = TOOL_OK;
    memset(size, 0, sizeof *size);
    if (!g) return tool_error("%s:%d: the example has no \"%s\"", path, pair->line, key);
    if (g->type == HRM_JSON_STRING) { /* rows of characters */
        for (const char *p = g->string; *p && status == TOOL_OK;) {
            size_t n = strcspn(p, "\n");
            int64_t start = b->buffered;
            status = grid_push_line(b, p, n, 0);
            if (status == TOOL_OK) status = grid_row_done(b, size, start, path, g->line);
            p += n + (p[n] == '\n');
        }
    } else if (g->type == HRM_JSON_ARRAY) {
        int is_grid = g->child && g->child->type == HRM_JSON_ARRAY;
        int64_t start = b->buffered;
        for (const hrm_json *row = g->child; row && status == TOOL_OK; row = row->next) {
            if (!is_grid) {
                status = grid_json_token(b, row, is_output, path);
                continue;
            }
            if (row->type != HRM_JSON_ARRAY)
                return tool_error("%s:%d: \"%s\" holds rows and something else", path, row->line, key);
            start = b->buffered;
            for (const hrm_json *cell = row->child; cell && status == TOOL_OK; cell = cell->next)
                status = grid_json_token(b, cell, is_output, path);
            if (status == TOOL_OK) status = grid_row_done(b, size, start, path, row->line);
        }
        if (status == TOOL_OK && !is_grid) status = grid_row_done(b, size, start, path, g->line);
    } else {
        return tool_error("%s:%d: \"%s\" is neither a list nor a text", path, g->line, key);
    }
    if (status == TOOL_OK && size->rows == 0) status = tool_error("%s:%d: \"%s\" is empty", path, g->line, key);
    return status;
}

static int grid_read_json(grid_build *b, grid_split *s)
{
    hrm_json_document *doc;
    int status = TOOL_OK;
    if (hrm_json_open(&doc, s->path, NULL) != HRM_OK) return tool_failed();
    const hrm_json *root = hrm_json_root(doc);
    if (root->type != HRM_JSON_ARRAY) status = tool_error("%s:%d: expected a list of examples", s->path, root->line);
    for (const hrm_json *pair = root->child; pair && status == TOOL_OK; pair = pair->next) {
        grid_size size[2];
        const hrm_json *puzzle = hrm_json_get(pair, "puzzle");
        if (pair->type != HRM_JSON_OBJECT)
            status = tool_error("%s:%d: expected an object with \"input\" and \"output\"", s->path, pair->line);
        else if (puzzle && puzzle->type != HRM_JSON_STRING && puzzle->type != HRM_JSON_NUMBER)
            status = tool_error("%s:%d: \"puzzle\" is no name", s->path, puzzle->line);
        for (const hrm_json *j = pair->child; j && status == TOOL_OK; j = j->next)
            if (strcmp(j->key, "input") != 0 && strcmp(j->key, "output") != 0 && strcmp(j->key, "puzzle") != 0)
                status = tool_error("%s:%d: unknown member \"%s\"", s->path, j->line, j->key);
        for (int k = 0; k < 2 && status == TOOL_OK; k++) status = grid_json_grid(b, pair, k, &size[k], s->path);
        if (status == TOOL_OK) status = grid_add(b, s, size, puzzle ? puzzle->string : NULL, pair->line);
        if (data_stopped()) status = TOOL_ERROR;
    }
    hrm_json_close(doc);
    return status;
}

/* ---- text ---------------------------------------------------------------------------------------------------------------- */
static const char *grid_find(const char *text, size_t length, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= length; i++)
        if (memcmp(text + i, what, n) == 0) return text + i;
    return NULL;
}

static int grid_has_blank(const char *text, size_t length)
{
    /* whether any line, but for the blanks around its arrow, has one */
    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ' && text[i] != '\t') continue;
        if (i + 4 <= length && memcmp(text + i, " -> ", 4) == 0) i += 3;
        else return 1;
    }
    return 0;
}

static int grid_read_text(grid_build *b, grid_split *s)
{
    hrm_file_map map;
    int status = TOOL_OK, line = 0, first_line = 0, part = 0; /* part: 0 input, 1 output */
    grid_size size[2];
    memset(size, 0, sizeof size);
    if (hrm_file_map_open(&map, s->path) != HRM_OK) return tool_failed();
    const char *p = (const char *)map.data, *end = p + map.size;
    if (map.size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) p += 3; /* a byte order mark */
    if (b->words < 0) b->words = p < end ? grid_has_blank(p, (size_t)(end - p)) : 0;
    while (status == TOOL_OK && (p < end || part || size[0].rows)) {
        const char *text = p;
        while (p < end && *p != '\n' && *p != '\r') p++;
        size_t n = (size_t)(p - text);
        if (p + 1 < end && p[0] == '\r' && p[1] == '\n') p++; /* lines end in LF, CR LF or CR */
        if (p < end) p++;
        line++;
        if (!data_is_utf8(text, n)) {
            status = tool_error("%s:%d: the line is not UTF-8 text", s->path, line);
            break;
        }
        while (b->words && n && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
        const char *arrow = grid_find(text, n, " -> ");
        int64_t start = b->buffered;
        if (n == 2 && memcmp(text, "->", 2) == 0) {
            if (part || !size[0].rows) status = tool_error("%s:%d: an arrow without an input before it", s->path, line);
            part = 1;
        } else if (n == 0) { /* the end of an example, or one more empty line */
            if (!part && !size[0].rows) continue;
            if (!part || !size[1].rows)
                status = tool_error("%s:%d: the example that begins here has no output", s->path, first_line);
            else status = grid_add(b, s, size, NULL, first_line);
            memset(size, 0, sizeof size);
            part = 0;
        } else if (arrow) {
            size_t left = (size_t)(arrow - text);
            if (part || size[0].rows) status = tool_error("%s:%d: a sequence in the middle of a grid", s->path, line);
            if (status == TOOL_OK) status = grid_push_line(b, text, left, b->words);
            if (status == TOOL_OK) status = grid_row_done(b, &size[0], start, s->path, line);
            start = b->buffered;
            if (status == TOOL_OK) status = grid_push_line(b, arrow + 4, n - left - 4, b->words);
            if (status == TOOL_OK) status = grid_row_done(b, &size[1], start, s->path, line);
            if (status == TOOL_OK) status = grid_add(b, s, size, NULL, line);
            memset(size, 0, sizeof size);
        } else {
            if (!part && !size[0].rows) first_line = line;
            status = grid_push_line(b, text, n, b->words);
            if (status == TOOL_OK) status = grid_row_done(b, &size[part], start, s->path, line);
        }
        if (data_stopped()) status = TOOL_ERROR;
    }
    hrm_file_map_close(&map);
    return status;
}

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
    for (int64_t i = 0; group_of && i < s->count; i++) {
        grid_example *e = &s->examples[i];
        if (e->identifier == 0 || group_of[e->identifier] == 0) {
            e->group = s->groups++;
            group_of[e->identifier] = e->group + 1;
        } else {
            e->group = group_of[e->identifier] - 1;
        }
    }
    free(group_of);
}

static int grid_write_split(grid_build *b, grid_split *s, const char *name, const int32_t *id_of)
{
    data_split out;
    size_t cells = (size_t)b->rows * (size_t)b->cols;
    int32_t vocab = b->num_tokens + 1;
    hrm_dtype dtype = vocab <= 256 ? HRM_U8 : vocab <= 32768 ? HRM_I16 : HRM_I32;
    int status = data_split_open(&out, &b->build, name, (int)cells, dtype);
    if (status != TOOL_OK) return status;
    /* examples sorted by group, stably: first[g] counts, then tells where the next of group g goes */
    grid_group(s, b->num_names);
    int64_t *first = (int64_t *)data_alloc((size_t)s->groups + 1, sizeof *first),
            *order = (int64_t *)data_alloc((size_t)s->count, sizeof *order);
    unsigned char *row = (unsigned char *)data_alloc(2 * cells, sizeof(int32_t));
    if (!first || !order || !row || !s->groups) status = TOOL_ERROR;
    for (int64_t i = 0; i < s->count && status == TOOL_OK; i++) first[s->examples[i].group + 1]++;
    for (int g = 0; g < s->groups && status == TOOL_OK; g++) first[g + 1] += first[g];
    for (int64_t i = 0; i < s->count && status == TOOL_OK; i++) order[first[s->examples[i].group]++] = i;
    int64_t in_puzzle = 0;
    for (int64_t k = 0; k < s->count && status == TOOL_OK; k++) {
        const grid_example *e = &s->examples[order[k]];
        for (size_t c = 0; c < 2 * cells; c++) {
            int32_t id = e->cells[c] < 0 ? 0 : id_of[e->cells[c]];
            int16_t short_id = (int16_t)id;
            if (dtype == HRM_U8) row[c] = (unsigned char)id;
            else if (dtype == HRM_I16) memcpy(row + 2 * c, &short_id, 2);
            else memcpy(row + 4 * c, &id, 4);
        }
        status = data_split_rows(&out, row, row + cells * hrm_dtype_size(dtype), 1);
        in_puzzle++;
        if (status == TOOL_OK && (k + 1 == s->count || s->examples[order[k + 1]].group != e->group)) {
            status = data_split_puzzle(&out, e->identifier, in_puzzle);
            if (status == TOOL_OK) status = data_split_group(&out);
            in_puzzle = 0;
        }
        if (data_stopped()) status = TOOL_ERROR;
    }
    free(first);
    free(order);
    free(row);
    if (status == TOOL_OK) return data_split_commit(&out, vocab, (int64_t)b->num_names + 1);
    data_split_abort(&out);
    return status;
}

static int grid_write(grid_build *b)
{
    grid_token *sorted = (grid_token *)data_alloc((size_t)b->num_tokens, sizeof *sorted);
    int32_t *id_of = (int32_t *)data_alloc((size_t)b->num_tokens, sizeof *id_of);
    const char **texts = (const char **)data_alloc((size_t)b->num_tokens, sizeof *texts);
    int status = sorted && id_of && texts ? TOOL_OK : TOOL_ERROR;
    if (status == TOOL_OK) {
        for (int32_t i = 0; i < b->num_tokens; i++) sorted[i].text = b->tokens[i], sorted[i].number = i;
        qsort(sorted, (size_t)b->num_tokens, sizeof *sorted, grid_compare);
        for (int32_t i = 0; i < b->num_tokens; i++) id_of[sorted[i].number] = i + 1, texts[i] = sorted[i].text;
    }
    for (int k = 0; k < 2 && status == TOOL_OK; k++)
        if (b->splits[k].count) status = grid_write_split(b, &b->splits[k], k ? "test" : "train", id_of);
    char head[128];
    snprintf(head, sizeof head, "{\"rows\": %d, \"columns\": %d, \"tokens\": [\"<pad>\"", b->rows, b->cols);
    if (status == TOOL_OK) status = grid_write_list(b, "vocabulary.json", head, texts, b->num_tokens, "]}\n");
    if (status == TOOL_OK)
        status = grid_write_list(b, "identifiers.json", "[\"<blank>\"", (const char *const *)b->names, b->num_names, "]");
    if (status == TOOL_OK)
        tool_note("%d x %d, vocabulary of %d with pad: %s%s%s%s", b->rows, b->cols, (int)b->num_tokens + 1, texts[0],
                  b->num_tokens > 1 ? " to " : "", b->num_tokens > 1 ? texts[b->num_tokens - 1] : "", " (vocabulary.json)");
    free(sorted);
    free(id_of);
    free(texts);
    return status;
}

int data_grid(const data_options *o)
{
    static const char *const names[2][2] = {{"train.json", "train.txt"}, {"test.json", "test.txt"}};
    grid_build b;
    memset(&b, 0, sizeof b);
    b.o = o;
    b.words = o->tokens ? strcmp(o->tokens, "words") == 0 : -1;
    int status = data_build_open(&b.build, o);
    if (status != TOOL_OK) return status;
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
                if (status == TOOL_OK) status = kind ? grid_read_text(&b, s) : grid_read_json(&b, s);
            }
        }
        if (status == TOOL_OK && !found && k == 0)
            status = tool_error("%s: there is neither train.json nor train.txt", o->source_dir);
        if (status == TOOL_OK && found && s->count == 0) status = tool_error("%s: no examples", s->path);
    }
    if (status == TOOL_OK) status = grid_write(&b);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < b.splits[k].count; i++) free(b.splits[k].examples[i].cells);
        free(b.splits[k].examples);
    }
    for (int32_t i = 0; i < b.num_tokens; i++) free(b.tokens[i]);
    for (int32_t i = 0; i < b.num_names; i++) free(b.names[i]);
    free(b.tokens);
    free(b.names);
    free(b.buffer);
    data_table_close(&b.token_table);
    data_table_close(&b.name_table);
    return data_build_close(&b.build, status);
}
