/* `hrm data maze`: from CSV or generated. Tokens: pad 0, then the characters '#', ' ', 'S', 'G', 'o' as 1 to 5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "progress.h"
#include "puzzles.h"

enum { MAZE_CHUNK = 64, MAZE_ATTEMPTS = 200 };
static const char maze_characters[] = "# SGo";

typedef struct maze_build {
    const data_options *o;
    data_build build;
    int        size, cells, min_path;
    int        split;
    int64_t    first, count, relabelled;
    char      *questions, *answers; /* [MAZE_CHUNK, cells] */
    int        failed[MAZE_CHUNK];
} maze_build;

static int maze_make(const maze_build *b, int64_t index, int64_t attempt, char *question, char *answer)
{
    hrm_random r = data_random(b->o->seed, DATA_MAZE, b->split, index, attempt);
    return maze_generate(&r, b->size, b->min_path, question, answer) != 0;
}

static void maze_make_part(void *context, int thread, int num_threads)
{
    maze_build *b = (maze_build *)context;
    for (int64_t i = thread; i < b->count && !data_stopped(); i += num_threads)
        b->failed[i] = !maze_make(b, b->first + i, 0, b->questions + i * b->cells, b->answers + i * b->cells);
}

static uint64_t maze_class(const maze_build *b, const char *question)
{
    /* the same for a maze and its rotations and reflections */
    uint8_t turned[MAZE_MAX_CELLS];
    uint64_t sum = 0;
    for (int t = 0; t < 8; t++) {
        data_dihedral(turned, (const uint8_t *)question, b->size, b->size, t);
        sum += data_mix(data_hash(DATA_HASH, turned, (size_t)b->cells));
    }
    return sum;
}

static int maze_add(const maze_build *b, data_split *out, const char *question, const char *answer)
{
    /* one group: the maze, with --aug in the training split its 8 dihedral variants. A turned answer is the first shortest
     * path no more: which one it is depends on the turn, that the model is not told; hence --relabel. */
    uint8_t turned[2][MAZE_MAX_CELLS], tokens[2][MAZE_MAX_CELLS];
    int status = TOOL_OK;
    for (int t = 0; t < (b->o->aug && b->split == 0 ? 8 : 1) && status == TOOL_OK; t++) {
        for (int k = 0; k < 2; k++) data_dihedral(turned[k], (const uint8_t *)(k ? answer : question), b->size, b->size, t);
        if (b->o->relabel) (void)maze_answer((const char *)turned[0], b->size, (char *)turned[1]);
        for (int k = 0; k < 2; k++)
            for (int c = 0; c < b->cells; c++)
                tokens[k][c] = (uint8_t)(strchr(maze_characters, turned[k][c]) - maze_characters + 1);
        status = data_split_rows(out, tokens[0], tokens[1], 1);
        if (status == TOOL_OK) status = data_split_puzzle(out, 0, 1);
    }
    return status == TOOL_OK ? data_split_group(out) : status;
}

static int maze_generate_split(maze_build *b, data_split *out, int64_t count, data_table *seen)
{
    int status = TOOL_OK;
    progress p = progress_begin(b->split ? "generate test" : "generate train", (double)count);
    for (b->first = 0; b->first < count && status == TOOL_OK; b->first += b->count) {
        b->count = count - b->first < MAZE_CHUNK ? count - b->first : MAZE_CHUNK;
        hrm_pool_run(b->build.pool, maze_make_part, b);
        if (data_stopped()) return TOOL_ERROR;
        for (int64_t i = 0; i < b->count && status == TOOL_OK; i++) {
            char *question = b->questions + i * b->cells, *answer = b->answers + i * b->cells;
            int added = 0, ok = !b->failed[i];
            for (int64_t attempt = 1; ok; attempt++) {
                (void)data_table_find(seen, maze_class(b, question), &added);
                if (added || attempt > MAZE_ATTEMPTS) break;
                ok = maze_make(b, b->first + i, attempt, question, answer);
            }
            if (ok && added) {
                status = maze_add(b, out, question, answer);
                continue;
            }
            progress_clear(&p);
            status =
                ok ? tool_error("only %lld different mazes of size %d were found: ask for fewer", (long long)seen->count,
                                b->size)
                   : tool_error("no maze of size %d with a shortest path of %d cells was found: ask for a shorter --min-path",
                                b->size, b->min_path);
        }
        progress_update(&p, (double)(b->first + b->count), NULL);
    }
    if (status == TOOL_OK) progress_end(&p, NULL);
    return status;
}

static int maze_check(maze_build *b, const data_csv *csv, const data_row *row)
{
    int starts = 0, goals = 0;
    for (int c = 0; c < b->cells; c++) {
        char q = row->question[c], a = row->answer[c];
        if (!q || !strchr("# SG", q))
            return tool_error("%s:%lld: the question has '%c' at character %d, expected one of \"# SG\"", csv->path,
                              (long long)row->line, q, c + 1);
        if (a != q && !(a == 'o' && q == ' '))
            return tool_error("%s:%lld: the answer has '%c' at character %d, where the question has '%c'", csv->path,
                              (long long)row->line, a, c + 1, q);
        starts += q == 'S';
        goals += q == 'G';
    }
    if (starts != 1 || goals != 1)
        return tool_error("%s:%lld: %d starts and %d goals, expected one of each", csv->path, (long long)row->line, starts,
                          goals);
    if (b->o->relabel) {
        char first[MAZE_MAX_CELLS];
        if (!maze_answer(row->question, b->size, first))
            return tool_error("%s:%lld: no way leads from S to G", csv->path, (long long)row->line);
        b->relabelled += memcmp(first, row->answer, (size_t)b->cells) != 0;
    }
    return TOOL_OK;
}

static const char maze_is_sudoku[] = "a maze of 4 x 4 cells, which is not to be told from a Sudoku of that size";

static int maze_read_split(maze_build *b, data_csv *csv)
{
    int status = data_csv_open(csv, b->o->source_dir, b->split, b->cells, -1, -1);
    if (status != TOOL_OK || csv->count == 0) return status;
    b->cells = (int)(csv->length < MAZE_MAX_CELLS ? csv->length : MAZE_MAX_CELLS);
    for (b->size = 1; b->size * b->size < b->cells;) b->size++;
    if (b->cells == 16) return tool_error("%s:%lld: %s", csv->path, (long long)csv->rows[0].line, maze_is_sudoku);
    if (csv->length > MAZE_MAX_CELLS || b->size * b->size != b->cells)
        return tool_error("%s:%lld: a maze of %lld characters, expected the square of a side up to %d", csv->path,
                          (long long)csv->rows[0].line, (long long)csv->length, MAZE_MAX_SIZE);
    b->relabelled = 0;
    for (int64_t i = 0; i < csv->count && status == TOOL_OK; i++) status = maze_check(b, csv, &csv->rows[i]);
    if (b->o->relabel && status == TOOL_OK)
        tool_note("%s: %lld of %lld answers replaced by the first shortest path", csv->path,
                  (long long)b->relabelled, (long long)csv->count);
    return status;
}

static int maze_write_split(maze_build *b, data_split *out, const data_csv *csv)
{
    int64_t count;
    int status = TOOL_OK;
    int32_t *chosen = data_choose(csv->count, b->split ? -1 : b->o->subsample_size, b->o->seed, &count);
    if (!chosen) return TOOL_ERROR;
    progress p = progress_begin(b->split ? "write test" : "write train", (double)count);
    for (int64_t i = 0; i < count && status == TOOL_OK; i++) {
        status = maze_add(b, out, csv->rows[chosen[i]].question, csv->rows[chosen[i]].answer);
        if (data_stopped()) status = TOOL_ERROR;
        progress_update(&p, (double)i + 1, NULL);
    }
    if (status == TOOL_OK) progress_end(&p, NULL);
    free(chosen);
    return status;
}

int data_maze(const data_options *o)
{
    maze_build b;
    data_csv csv[2];
    data_table seen;
    memset(&b, 0, sizeof b);
    memset(csv, 0, sizeof csv);
    memset(&seen, 0, sizeof seen);
    b.o = o;
    if (!o->source_dir) {
        b.size = o->size > 0 ? (int)o->size : 30;
        b.cells = b.size * b.size;
        if (b.size == 4) return tool_usage("data maze: %s", maze_is_sudoku);
        b.min_path = o->min_path > 0 ? (int)o->min_path : maze_default_path(b.size);
        if (b.min_path > b.cells)
            return tool_usage("data maze: --min-path is %d, more than the cells of a maze of size %d", b.min_path, b.size);
    }
    if (o->aug && !o->relabel)
        tool_note("--aug turns answers with their mazes, and so their rule among shortest paths; --relabel keeps it");
    int status = data_build_open(&b.build, o);
    if (status != TOOL_OK) return status;
    for (b.split = 0; o->source_dir && b.split < 2 && status == TOOL_OK; b.split++) status = maze_read_split(&b, &csv[b.split]);
    if (!o->source_dir) {
        b.questions = (char *)data_alloc(MAZE_CHUNK * (size_t)b.cells, 1);
        b.answers = (char *)data_alloc(MAZE_CHUNK * (size_t)b.cells, 1);
        status = b.questions && b.answers ? data_table_open(&seen, (size_t)(o->generate + o->test_size)) : TOOL_ERROR;
    }
    for (b.split = 0; b.split < 2 && status == TOOL_OK; b.split++) {
        data_split out;
        if (o->source_dir && csv[b.split].count == 0) continue;
        status = data_split_open(&out, &b.build, b.split ? "test" : "train", b.cells, HRM_U8);
        if (status != TOOL_OK) break;
        if (o->source_dir) status = maze_write_split(&b, &out, &csv[b.split]);
        else status = maze_generate_split(&b, &out, b.split ? o->test_size : o->generate, &seen);
        if (status == TOOL_OK) status = data_split_commit(&out, (int)sizeof maze_characters, 1);
        else data_split_abort(&out);
    }
    if (status == TOOL_OK) status = data_build_text(&b.build, "identifiers.json", "[\"<blank>\"]");
    for (int split = 0; split < 2; split++)
        if (csv[split].rows) data_csv_close(&csv[split]);
    data_table_close(&seen);
    free(b.questions);
    free(b.answers);
    return data_build_close(&b.build, status);
}
