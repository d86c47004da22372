/* The text and JSON of grids: see grid.h. */
#include "grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens and names ---------------------------------------------------------------------------------------------------- */
enum { GRID_UNKNOWN = -2 };

static int32_t grid_number(data_table *table, char ***list, int32_t *count, const char *text, size_t length, int closed)
{
    /* the number of a text, a new one when it is, or GRID_UNKNOWN when there are to be no new ones; -1: no memory */
    int added;
    uint64_t hash = data_hash(DATA_HASH, text, length);
    if (closed) return data_table_has(table, hash) ? *data_table_find(table, hash, &added) : GRID_UNKNOWN;
    if (2 * table->count >= table->room) {
        data_table larger;
        if (data_table_open(&larger, 4 * table->count + 64) != TOOL_OK) return -1;
        for (size_t i = 0; i < table->room; i++)
            if (table->keys[i]) *data_table_find(&larger, table->keys[i], &added) = table->values[i];
        data_table_close(table);
        *table = larger;
    }
    int32_t *value = data_table_find(table, hash, &added);
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

static int grid_push(grid_reader *r, int32_t token)
{
    if (r->buffered == r->buffer_room) {
        r->buffer_room = r->buffer_room ? 2 * r->buffer_room : 4096;
        int32_t *more = (int32_t *)realloc(r->buffer, (size_t)r->buffer_room * sizeof *more);
        if (!more) return tool_error("no memory for a grid of %lld cells", (long long)r->buffer_room);
        r->buffer = more;
    }
    r->buffer[r->buffered++] = token;
    return TOOL_OK;
}

static int grid_push_text(grid_reader *r, const char *text, size_t length)
{
    int32_t token = grid_number(&r->token_table, &r->tokens, &r->num_tokens, text, length, r->closed != NULL);
    if (token == GRID_UNKNOWN)
        return tool_error("%s:%d: \"%.*s\" is no token of %s", r->path, r->line, (int)(length < 60 ? length : 60), text,
                          r->closed);
    return token < 0 ? TOOL_ERROR : grid_push(r, token);
}

int grid_add_token(grid_reader *r, const char *token)
{
    return grid_number(&r->token_table, &r->tokens, &r->num_tokens, token, strlen(token), 0) < 0 ? TOOL_ERROR : TOOL_OK;
}

static int grid_push_line(grid_reader *r, const char *text, size_t length, int words)
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
        status = grid_push_text(r, text + i, n);
    }
    return status;
}

/* ---- one example --------------------------------------------------------------------------------------------------------- */
typedef struct grid_size { int rows, cols; } grid_size;

static int grid_row_done(const grid_reader *r, grid_size *size, int64_t start)
{
    /* a row has been pushed, from `start` of the buffer on */
    int cols = (int)(r->buffered - start);
    if (cols == 0) return tool_error("%s:%d: an empty row", r->path, r->line);
    if (size->rows++ == 0) size->cols = cols;
    return cols == size->cols
               ? TOOL_OK
               : tool_error("%s:%d: a row of %d tokens, expected %d as in the row before", r->path, r->line, cols,
                            size->cols);
}

static int grid_add(grid_reader *r, grid_list *s, const grid_size size[2], const char *puzzle, int line)
{
    /* the buffer holds the input and, unless that has no rows, the output */
    int answer = size[1].rows > 0;
    if (answer && (size[1].rows != size[0].rows || size[1].cols != size[0].cols))
        return tool_error("%s:%d: the output is %d x %d, expected %d x %d as its input", r->path, line, size[1].rows,
                          size[1].cols, size[0].rows, size[0].cols);
    if (!answer && r->answers) return tool_error("%s:%d: the example that begins here has no output", r->path, line);
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        grid_example *more = (grid_example *)realloc(s->examples, (size_t)s->room * sizeof *more);
        if (!more) return tool_error("%s: no memory for %lld examples", r->path, (long long)s->room);
        s->examples = more;
    }
    grid_example *e = &s->examples[s->count];
    memset(e, 0, sizeof *e);
    e->rows = size[0].rows, e->cols = size[0].cols, e->has_output = answer, e->line = line;
    if (puzzle) {
        e->identifier = 1 + grid_number(&r->name_table, &r->names, &r->num_names, puzzle, strlen(puzzle), 0);
        if (e->identifier == 0) return TOOL_ERROR;
    }
    e->cells = (int32_t *)data_alloc((size_t)r->buffered, sizeof *e->cells);
    if (!e->cells) return TOOL_ERROR;
    memcpy(e->cells, r->buffer, (size_t)r->buffered * sizeof *e->cells);
    r->buffered = 0;
    s->count++;
    return TOOL_OK;
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------- */
static int grid_json_token(grid_reader *r, const hrm_json *j, int is_output)
{
    r->line = j->line;
    if (j->type == HRM_JSON_NUMBER || (j->type == HRM_JSON_STRING && *j->string) || j->type == HRM_JSON_BOOL)
        return grid_push_text(r, j->string, strlen(j->string));
    if (j->type == HRM_JSON_NULL && is_output) return grid_push(r, -1);
    return tool_error("%s:%d: expected a number or a text for a token", r->path, j->line);
}

static int grid_json_grid(grid_reader *r, const hrm_json *pair, int is_output, grid_size *size)
{
    const char *key = is_output ? "output" : "input";
    const hrm_json *g = hrm_json_get(pair, key);
    int status = TOOL_OK;
    memset(size, 0, sizeof *size);
    if (!g && is_output && !r->answers) return TOOL_OK;
    if (!g) return tool_error("%s:%d: the example has no \"%s\"", r->path, pair->line, key);
    r->line = g->line;
    if (g->type == HRM_JSON_STRING) { /* rows of characters */
        for (const char *p = g->string; *p && status == TOOL_OK;) {
            size_t n = strcspn(p, "\n");
            int64_t start = r->buffered;
            status = grid_push_line(r, p, n, 0);
            if (status == TOOL_OK) status = grid_row_done(r, size, start);
            p += n + (p[n] == '\n');
        }
    } else if (g->type == HRM_JSON_ARRAY) {
        int is_grid = g->child && g->child->type == HRM_JSON_ARRAY;
        int64_t start = r->buffered;
        for (const hrm_json *row = g->child; row && status == TOOL_OK; row = row->next) {
            if (!is_grid) {
                status = grid_json_token(r, row, is_output);
                continue;
            }
            if (row->type != HRM_JSON_ARRAY)
                return tool_error("%s:%d: \"%s\" holds rows and something else", r->path, row->line, key);
            start = r->buffered;
            for (const hrm_json *cell = row->child; cell && status == TOOL_OK; cell = cell->next)
                status = grid_json_token(r, cell, is_output);
            if (status == TOOL_OK) r->line = row->line, status = grid_row_done(r, size, start);
        }
        if (status == TOOL_OK && !is_grid) status = grid_row_done(r, size, start);
    } else {
        return tool_error("%s:%d: \"%s\" is neither a list nor a text", r->path, g->line, key);
    }
    if (status == TOOL_OK && size->rows == 0) status = tool_error("%s:%d: \"%s\" is empty", r->path, g->line, key);
    return status;
}

static int grid_json_example(grid_reader *r, grid_list *s, const hrm_json *pair)
{
    grid_size size[2];
    const hrm_json *puzzle = hrm_json_get(pair, "puzzle");
    int status = TOOL_OK;
    if (pair->type != HRM_JSON_OBJECT)
        return tool_error("%s:%d: expected an object with \"input\" and \"output\"", r->path, pair->line);
    if (puzzle && puzzle->type != HRM_JSON_STRING && puzzle->type != HRM_JSON_NUMBER)
        return tool_error("%s:%d: \"puzzle\" is no name", r->path, puzzle->line);
    for (const hrm_json *j = pair->child; j; j = j->next)
        if (strcmp(j->key, "input") != 0 && strcmp(j->key, "output") != 0 && strcmp(j->key, "puzzle") != 0)
            return tool_error("%s:%d: unknown member \"%s\"", r->path, j->line, j->key);
    for (int k = 0; k < 2 && status == TOOL_OK; k++) status = grid_json_grid(r, pair, k, &size[k]);
    return status == TOOL_OK ? grid_add(r, s, size, puzzle ? puzzle->string : NULL, pair->line) : status;
}

int grid_read_json(grid_reader *r, grid_list *s, const char *path, const hrm_json *root)
{
    int status = TOOL_OK;
    r->path = path;
    if (root->type == HRM_JSON_OBJECT && !r->answers) return grid_json_example(r, s, root);
    if (root->type != HRM_JSON_ARRAY) return tool_error("%s:%d: expected a list of examples", path, root->line);
    for (const hrm_json *pair = root->child; pair && status == TOOL_OK; pair = pair->next) {
        status = grid_json_example(r, s, pair);
        if (data_stopped()) status = TOOL_ERROR;
    }
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

static int grid_text_end(grid_reader *r, grid_list *s, grid_size size[2], int line)
{
    int status = grid_add(r, s, size, NULL, line);
    memset(size, 0, 2 * sizeof *size);
    return status;
}

int grid_read_text(grid_reader *r, grid_list *s, const char *path, const char *p, size_t length)
{
    const char *end = p + length;
    int status = TOOL_OK, first_line = 0, part = 0; /* part: 0 input, 1 output */
    grid_size size[2];
    memset(size, 0, sizeof size);
    r->path = path;
    r->line = 0;
    if (length >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) p += 3; /* a byte order mark */
    if (r->words < 0) r->words = grid_has_blank(p, (size_t)(end - p));
    while (status == TOOL_OK && (p < end || part || size[0].rows)) {
        const char *text = p;
        while (p < end && *p != '\n' && *p != '\r') p++;
        size_t n = (size_t)(p - text);
        if (p + 1 < end && p[0] == '\r' && p[1] == '\n') p++; /* lines end in LF, CR LF or CR */
        if (p < end) p++;
        int line = ++r->line;
        if (!data_is_utf8(text, n)) return tool_error("%s:%d: the line is not UTF-8 text", path, line);
        while (r->words && n && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
        const char *arrow = grid_find(text, n, " -> ");
        int64_t start = r->buffered;
        if (n == 2 && memcmp(text, "->", 2) == 0) {
            if (part || !size[0].rows) status = tool_error("%s:%d: an arrow without an input before it", path, line);
            part = 1;
        } else if (n == 0) { /* the end of an example, or one more empty line */
            if (!part && !size[0].rows) continue;
            status = grid_text_end(r, s, size, first_line);
            part = 0;
        } else if (arrow) {
            size_t left = (size_t)(arrow - text);
            if (part || size[0].rows) status = tool_error("%s:%d: a sequence in the middle of a grid", path, line);
            if (status == TOOL_OK) status = grid_push_line(r, text, left, r->words);
            if (status == TOOL_OK) status = grid_row_done(r, &size[0], start);
            start = r->buffered;
            if (status == TOOL_OK) status = grid_push_line(r, arrow + 4, n - left - 4, r->words);
            if (status == TOOL_OK) status = grid_row_done(r, &size[1], start);
            if (status == TOOL_OK) status = grid_text_end(r, s, size, line);
        } else {
            if (!part && !size[0].rows) first_line = line;
            status = grid_push_line(r, text, n, r->words);
            if (status == TOOL_OK) status = grid_row_done(r, &size[part], start);
            if (status == TOOL_OK && r->lines) status = grid_text_end(r, s, size, line);
        }
        if (data_stopped()) status = TOOL_ERROR;
    }
    return status;
}

void grid_reader_close(grid_reader *r)
{
    for (int32_t i = 0; i < r->num_tokens; i++) free(r->tokens[i]);
    for (int32_t i = 0; i < r->num_names; i++) free(r->names[i]);
    free(r->tokens);
    free(r->names);
    free(r->buffer);
    data_table_close(&r->token_table);
    data_table_close(&r->name_table);
}

void grid_list_close(grid_list *s)
{
    for (int64_t i = 0; i < s->count; i++) free(s->examples[i].cells);
    free(s->examples);
}
