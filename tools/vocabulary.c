/* What the numbers of a grid stand for: see grid.h. */
#include "grid.h"

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
