/* What the numbers of a grid stand for: see grid.h. */
#include "grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int grid_vocabulary_parse(grid_vocabulary *v, const char *text, size_t length, const char *where)
{
    int64_t size[4] = {0, 0, 0, 0};
    static const char *const keys[4] = {"rows", "columns", "least_rows", "least_columns"};
    memset(v, 0, sizeof *v);
    if (hrm_json_parse(&v->doc, text, length, where, NULL) != HRM_OK) return tool_failed();
    const hrm_json *root = hrm_json_root(v->doc), *tokens = hrm_json_get(root, "tokens");
    int status = TOOL_OK;
    for (int i = 0; i < 4 && status == TOOL_OK; i++) {
        if (i >= 2) size[i] = size[i - 2]; /* none is smaller */
        if (hrm_json_read_integer(root, keys[i], 1, i < 2 ? INT32_MAX : size[i - 2], i < 2, &size[i], where) != HRM_OK)
            status = tool_failed();
    }
    if (status == TOOL_OK && (!tokens || tokens->type != HRM_JSON_ARRAY || tokens->count < 2))
        status = tool_error("%s: expected \"tokens\", a list of padding and at least one token", where);
    v->rows = (int)size[0], v->cols = (int)size[1], v->least_rows = (int)size[2], v->least_cols = (int)size[3];
    if (status == TOOL_OK) v->tokens = (const char **)calloc(tokens->count, sizeof *v->tokens);
    if (status == TOOL_OK && !v->tokens) status = tool_error("%s: no memory for %zu tokens", where, tokens->count);
    for (const hrm_json *t = status == TOOL_OK ? tokens->child : NULL; t && status == TOOL_OK; t = t->next) {
        if (t->type != HRM_JSON_STRING || !*t->string)
            status = tool_error("%s:%d: a token that is no text", where, t->line);
        else if (v->count > 0) {
            int characters = 0;
            for (const char *c = t->string; *c; c++) characters += ((unsigned char)*c & 0xc0) != 0x80;
            v->words |= characters > 1;
        }
        v->tokens[v->count++] = t->string;
    }
    if (status != TOOL_OK) grid_vocabulary_close(v);
    return status;
}

void grid_vocabulary_close(grid_vocabulary *v)
{
    if (v->doc) hrm_json_close(v->doc);
    free(v->tokens);
    memset(v, 0, sizeof *v);
}

int grid_vocabulary_text(char **text, size_t *length, const char *dir)
{
    char path[TOOL_PATH];
    *text = NULL;
    *length = 0;
    if (!grid_is_own(dir) || !tool_join(path, dir, "vocabulary.json")) return TOOL_OK;
    *text = tool_read_text(path, length);
    return *text ? TOOL_OK : TOOL_ERROR;
}

int grid_is_own(const char *dir)
{
    char path[TOOL_PATH];
    return *dir && tool_join(path, dir, "vocabulary.json") && tool_exists(path);
}

static int first_difference(char said[300], const grid_vocabulary *a, const grid_vocabulary *b)
{
    int32_t most = a->count > b->count ? a->count : b->count;
    if (a->rows != b->rows || a->cols != b->cols) {
        snprintf(said, 300, "grids of %d x %d, but %d x %d", a->rows, a->cols, b->rows, b->cols);
        return 1;
    }
    for (int32_t i = 1; i < most; i++) {
        const char *x = i < a->count ? a->tokens[i] : "nothing", *y = i < b->count ? b->tokens[i] : "nothing";
        if (i < a->count && i < b->count && strcmp(x, y) == 0) continue;
        snprintf(said, 300, "token %d is %.60s, but %.60s", (int)i, x, y);
        return 1;
    }
    return 0;
}

int grid_vocabulary_differs(char said[300], const char *checkpoint, const char *dir, int *status)
{
    grid_vocabulary ours, theirs;
    hrm_tensors *file;
    char *text, where[TOOL_PATH];
    size_t length;
    int differs = 0;
    *status = grid_vocabulary_text(&text, &length, dir);
    if (!text) return 0;
    snprintf(where, sizeof where, "%.1000s/vocabulary.json", dir);
    *status = grid_vocabulary_parse(&ours, text, length, where);
    free(text);
    if (*status != TOOL_OK) return 0;
    if (hrm_tensors_open(&file, checkpoint, NULL) != HRM_OK) {
        grid_vocabulary_close(&ours);
        *status = tool_failed();
        return 0;
    }
    const char *carried = hrm_tensors_metadata(file, GRID_VOCABULARY);
    if (carried) *status = grid_vocabulary_parse(&theirs, carried, strlen(carried), checkpoint);
    if (carried && *status == TOOL_OK) {
        differs = first_difference(said, &ours, &theirs);
        grid_vocabulary_close(&theirs);
    }
    hrm_tensors_close(file);
    grid_vocabulary_close(&ours);
    return differs;
}
