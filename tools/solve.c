/* hrm solve sudoku|maze|arc|grid: puzzles from the arguments, a file or standard input; the answers, and whether they hold. */
#include "boards.h"
#include "solve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum task { TASK_SUDOKU, TASK_MAZE, TASK_ARC, TASK_GRID } task;
static const char *const task_names[] = {"sudoku", "maze", "arc", "grid"};
static score_task score_of(task kind)
{
    return kind == TASK_SUDOKU ? SCORE_SUDOKU : kind == TASK_MAZE ? SCORE_MAZE : SCORE_ARC;
}
enum { ARC_SIDE = 30, ARC_CELLS = ARC_SIDE * ARC_SIDE, MAX_CELLS = MAZE_MAX_CELLS };

/* A puzzle as the model sees it, and its board as a person does. */
typedef struct puzzle {
    task    kind;
    int     side, cells;
    int32_t tokens[MAX_CELLS], answer[MAX_CELLS];
    int32_t identifier;
    int     rows, columns, known; /* ARC: the size of the input; whether `truth` is known */
    int     explained;            /* what --show-steps draws, at the first puzzle */
    int32_t truth[ARC_CELLS];
} puzzle;

/* ---- reading ---------------------------------------------------------------------------------------------------------- */
static const char arguments[] = "the puzzle"; /* its file, where it is typed into the command */

static int read_board(puzzle *p, const char *text, int line, const char *file, int number)
{
    /* `file` as `gather` names it; of several boards in it which is at fault */
    char where[TOOL_PATH + 40] = "";
    if (file != arguments)
        snprintf(where, sizeof where, "%.*s: ", TOOL_PATH - 8, strcmp(file, "-") == 0 ? "standard input" : file);
    if (number > 1) snprintf(where + strlen(where), 40, "board %d: ", number);
    int status = p->kind == TASK_SUDOKU ? board_read_sudoku(p->tokens, &p->side, text, line, where)
                                        : board_read_maze(p->tokens, &p->side, text, where);
    p->cells = p->side * p->side;
    return status;
}

static int read_grid(const hrm_json *grid, const char *where, int32_t cells[ARC_CELLS], int *rows, int *columns)
{
    /* [[0..9, …], …], 1 to 30 on a side -> rows * columns values */
    if (!grid || grid->type != HRM_JSON_ARRAY || grid->count < 1 || grid->count > ARC_SIDE ||
        grid->child->type != HRM_JSON_ARRAY)
        return tool_error("%s: expected a grid of 1 to 30 rows", where);
    *rows = (int)grid->count;
    *columns = (int)grid->child->count;
    int i = 0;
    for (const hrm_json *row = grid->child; row; row = row->next) {
        if (row->type != HRM_JSON_ARRAY || (int)row->count != *columns || *columns < 1 || *columns > ARC_SIDE)
            return tool_error("%s: line %d: a row of %zu cells, expected %d (1 to 30)", where, row->line, row->count, *columns);
        for (const hrm_json *cell = row->child; cell; cell = cell->next) {
            if (cell->type != HRM_JSON_NUMBER || cell->number < 0 || cell->number > 9 || cell->number != (int)cell->number)
                return tool_error("%s: line %d: a cell that is no colour 0 to 9", where, cell->line);
            cells[i++] = (int32_t)cell->number;
        }
    }
    return TOOL_OK;
}

static int parse_arc(puzzle *p, const hrm_json *pair, const char *where)
{
    /* the grid top left, colours as tokens 2..11, a row below and a column right of it marked with 1, the rest 0 */
    int32_t grid[ARC_CELLS] = {0};
    char name[TOOL_PATH];
    snprintf(name, sizeof name, "%.900s: input", where);
    int status = read_grid(hrm_json_get(pair, "input"), name, grid, &p->rows, &p->columns);
    if (status != TOOL_OK) return status;
    p->side = ARC_SIDE;
    p->cells = ARC_CELLS;
    memset(p->tokens, 0, sizeof p->tokens);
    for (int r = 0; r < p->rows; r++)
        for (int c = 0; c < p->columns; c++) p->tokens[r * ARC_SIDE + c] = grid[r * p->columns + c] + 2;
    for (int c = 0; c < p->columns && p->rows < ARC_SIDE; c++) p->tokens[p->rows * ARC_SIDE + c] = 1;
    for (int r = 0; r < p->rows && p->columns < ARC_SIDE; r++) p->tokens[r * ARC_SIDE + p->columns] = 1;
    p->known = 0;
    const hrm_json *output = hrm_json_get(pair, "output");
    if (!output || output->type == HRM_JSON_NULL) return TOOL_OK;
    int rows, columns;
    snprintf(name, sizeof name, "%.900s: output", where);
    status = read_grid(output, name, grid, &rows, &columns);
    if (status != TOOL_OK) return status;
    p->known = 1;
    memset(p->truth, 0, sizeof p->truth);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) p->truth[r * ARC_SIDE + c] = grid[r * columns + c] + 2;
    return TOOL_OK;
}

/* ---- drawing ---------------------------------------------------------------------------------------------------------- */
typedef struct drawing {
    int            over, colour; /* over the last board, in colours: on a terminal */
    int            lines;        /* of that board */
    int            steps;        /* --show-steps: tells apart what changed and what cannot be */
    const int32_t *before;       /* the answer one segment ago, or NULL */
} drawing;

static void crop(const int32_t *tokens, int *rows, int *columns)
{
    /* the largest rectangle of colours from the top left corner */
    int width = ARC_SIDE, best = 0;
    *rows = *columns = 0;
    for (int r = 0; r < ARC_SIDE; r++) {
        int n = 0;
        while (n < width && tokens[r * ARC_SIDE + n] >= 2 && tokens[r * ARC_SIDE + n] <= 11) n++;
        width = n;
        if ((r + 1) * width > best) best = (r + 1) * width, *rows = r + 1, *columns = width;
    }
}

static void draw_sudoku(const puzzle *p, const int32_t *tokens, drawing *out)
{
    /* --show-steps without colours: a sign beside each digit, as show_puzzle tells */
    enum { GIVEN, FOUND, CHANGED, CONFLICT };
    static const char *const colours[] = {"\033[1m", "\033[36m", "\033[1;33m", "\033[31m"}, *const signs = "] *!";
    int box_rows = p->side == 9 ? 3 : 2, box_columns = p->side == 4 ? 2 : 3, signed_ = out->steps && !out->colour;
    uint8_t conflict[SUDOKU_MAX_CELLS] = {0};
    (void)score_clashes(p->tokens, tokens, p->side, conflict);
    for (int r = 0; r < p->side; r++) {
        for (int c = 0; r > 0 && r % box_rows == 0 && c < p->side; c++) {
            int first = c > 0 && c % box_columns == 0, last = c + 1 == p->side;
            if (signed_) printf("%s---%s", first ? "+-" : "", last ? "\n" : (c + 1) % box_columns == 0 ? "-" : "");
            else printf("%s%s", first ? "+-" : "", last ? "-\n" : "--");
            out->lines += last;
        }
        for (int c = 0; c < p->side; c++) {
            int i = r * p->side + c, token = tokens[i];
            char digit = token >= 2 && token <= p->side + 1 ? (char)('0' + token - 1) : '.';
            int kind = conflict[i]                              ? CONFLICT
                       : p->tokens[i] >= 2                      ? GIVEN
                       : out->before && out->before[i] != token ? CHANGED
                                                                : FOUND;
            int plain = digit == '.' && kind != CONFLICT;
            const char *end = c + 1 == p->side ? "\n" : signed_ ? (c + 1) % box_columns == 0 ? " " : "" : " ";
            if (c > 0 && c % box_columns == 0) printf("| ");
            if (signed_) printf("%c%c%c%s", kind == GIVEN ? '[' : ' ', digit, plain ? ' ' : signs[kind], end);
            else if (out->colour && !plain) printf("%s%c\033[0m%s", colours[kind], digit, end);
            else printf("%c%s", digit, end);
        }
        out->lines++;
    }
}

static void draw_maze(const puzzle *p, const int32_t *tokens, drawing *out)
{
    for (int r = 0; r < p->side; r++) {
        for (int c = 0; c < p->side; c++) {
            int token = tokens[r * p->side + c];
            char cell = token >= 1 && token <= 5 ? "# SGo"[token - 1] : '?';
            if (out->colour && cell == 'o') printf("\033[1;33mo\033[0m");
            else if (out->colour && cell == '#') printf("\033[2m#\033[0m");
            else printf("%c", cell);
        }
        printf("\n");
        out->lines++;
    }
}

static void draw_arc(const int32_t *tokens, drawing *out)
{
    static const int colours[10] = {16, 27, 160, 34, 220, 244, 201, 208, 81, 88}; /* of a 256-colour terminal */
    int rows, columns;
    crop(tokens, &rows, &columns);
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
            int value = tokens[r * ARC_SIDE + c] - 2;
            if (out->colour)
                printf("\033[48;5;%dm\033[38;5;%dm%d \033[0m", colours[value],
                       value == 0 || value == 1 || value == 2 || value == 9 ? 250 : 16, value);
            else printf("%d%s", value, c + 1 < columns ? " " : "");
        }
        printf("\n");
        out->lines++;
    }
    if (!rows) printf("(no grid)\n"), out->lines++;
}

static void draw(const puzzle *p, const int32_t *tokens, drawing *out)
{
    if (p->kind == TASK_SUDOKU) draw_sudoku(p, tokens, out);
    else if (p->kind == TASK_MAZE) draw_maze(p, tokens, out);
    else draw_arc(tokens, out);
}

/* What a person who watches is shown; `slept` of the seconds since `began` were for the eye. */
typedef struct show {
    puzzle *p;
    drawing out;
    int32_t before[MAX_CELLS];
    int     halt_only, full; /* no_ACT_continue: it halts when q_halt > 0; halt=full: it does not */
    double  began, slept;
} show;

static void show_puzzle(show *s)
{
    int givens = 0;
    if (!s->p->explained && s->p->kind == TASK_SUDOKU)
        printf(s->out.colour ? "\033[1mgiven\033[0m, \033[36mfound\033[0m, \033[1;33mchanged\033[0m since the segment before, "
                               "\033[31mclashes\033[0m\n"
                             : "[1] given, 1 found, 1* changed since the segment before, 1! clashes\n");
    if (!s->p->explained && !s->full)
        printf("The model halts when it holds its answer for right: q_halt above %s.\n", s->halt_only ? "0" : "q_continue");
    s->p->explained = 1;
    for (int i = 0; i < s->p->cells; i++) givens += s->p->tokens[i] >= 2;
    if (s->p->kind == TASK_SUDOKU) printf("puzzle: %d givens\n", givens);
    else printf("puzzle:\n");
    draw(s->p, s->p->tokens, &s->out);
    if (!s->out.over) printf("\n");
    fflush(stdout);
    s->began = tool_seconds();
}

static void on_segment(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                       const hrm_solve_result *results)
{
    show *s = (show *)user;
    const puzzle *p = s->p;
    char q[64], name[32];
    uint8_t in_conflict[SUDOKU_MAX_CELLS];
    int changed = 0, wrong = p->kind == TASK_SUDOKU ? score_clashes(p->tokens, answers, p->side, in_conflict) : 0;
    if (num_rows < 1 || rows[0] != 0) return; /* of copies only the puzzle itself is shown */
    for (int i = 0; i < p->cells; i++) changed += answers[i] != (s->out.before ? s->before : p->tokens)[i];
    if (s->out.over) printf("\033[%dA\033[J", s->out.lines); /* the lines about segments stay above the board */
    s->out.lines = 0;
    snprintf(name, sizeof name, "segment %d:", segment);
    printf("%-12s%5.2f s, %s, %d %s", name, tool_seconds() - s->began - s->slept,
           solve_q_text(q, &results[0], s->halt_only, 2), changed,
           p->kind == TASK_SUDOKU && !s->out.before ? "filled" : "changed");
    if (wrong) printf(", %d clash", wrong);
    printf("%s\n", results[0].halted && !s->full ? ", halts" : "");
    draw(p, answers, &s->out);
    if (!s->out.over) printf("\n");
    fflush(stdout);
    memcpy(s->before, answers, (size_t)p->cells * sizeof *answers);
    s->out.before = s->before;
    double now = tool_seconds();
    if (s->out.over) tool_sleep(0.3);
    s->slept += tool_seconds() - now;
}

/* ---- judging ---------------------------------------------------------------------------------------------------------- */
static int judge(const puzzle *p, char verdict[160])
{
    /* 1: the answer holds */
    if (p->kind == TASK_SUDOKU) {
        int valid = score_sudoku(p->tokens, p->answer, p->side), blanks = 0, changed = 0;
        for (int i = 0; i < p->cells; i++) {
            blanks += p->answer[i] < 2 || p->answer[i] > p->side + 1;
            changed += p->tokens[i] >= 2 && p->answer[i] != p->tokens[i];
        }
        if (valid) strcpy(verdict, "valid: full, keeps the givens, breaks no rule");
        else if (blanks) snprintf(verdict, 160, "not valid: %d cell%s without a digit", blanks, blanks == 1 ? "" : "s");
        else if (changed) snprintf(verdict, 160, "not valid: %d of the givens changed", changed);
        else strcpy(verdict, "not valid: a digit stands twice in a row, column or box");
        return valid;
    }
    if (p->kind == TASK_MAZE) {
        int optimal, length = 1, valid = score_maze(p->tokens, p->answer, p->side, &optimal);
        for (int i = 0; i < p->cells; i++) length += p->answer[i] == SCORE_PATH;
        if (valid && optimal) snprintf(verdict, 160, "valid: a path of %d steps, and none is shorter", length);
        else if (valid) snprintf(verdict, 160, "not the shortest: a path of %d steps", length);
        else strcpy(verdict, "not valid: the marked cells are no single path from S to G");
        return valid && optimal;
    }
    int rows, columns, same = p->known;
    crop(p->answer, &rows, &columns);
    int32_t grid[ARC_CELLS];
    memset(grid, 0, sizeof grid);
    for (int r = 0; r < rows; r++) memcpy(grid + r * ARC_SIDE, p->answer + r * ARC_SIDE, (size_t)columns * sizeof *grid);
    if (p->known) same = memcmp(grid, p->truth, sizeof grid) == 0;
    if (!rows) strcpy(verdict, "not valid: no grid of colours at the top left");
    else if (p->known) strcpy(verdict, same ? "valid: equal to the known output" : "not valid: the known output differs");
    else snprintf(verdict, 160, "a grid of %d x %d; the task tells no output to compare with", rows, columns);
    return p->known ? same : rows > 0;
}

static int solve(const config *c, hrm_model *model, puzzle *p)
{
    hrm_solve_result result;
    solve_rows rows;
    show shown;
    char verdict[160], q[64], votes[64] = "";
    int agree;
    memset(&rows, 0, sizeof rows);
    memset(&shown, 0, sizeof shown);
    shown.p = p;
    shown.halt_only = hrm_model_describe(model)->no_ACT_continue;
    shown.full = c->halt == 0;
    shown.out.over = tool_terminal_codes(1);
    shown.out.colour = shown.out.over && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
    shown.out.steps = c->show_steps;
    rows.count = 1, rows.cells = p->cells, rows.side = p->side, rows.task = score_of(p->kind);
    rows.tokens = p->tokens, rows.identifiers = &p->identifier;
    rows.answers = p->answer, rows.results = &result, rows.agree = &agree;
    rows.on_segment = c->show_steps ? on_segment : NULL;
    rows.user = &shown;
    if (c->show_steps) show_puzzle(&shown);
    int status = solve_rows_run(c, model, &rows);
    if (status != TOOL_OK) return status;
    if (c->votes > 1) snprintf(votes, sizeof votes, ", %d of %d copies agree", agree, (int)c->votes);
    if (shown.out.over && shown.out.lines) printf("\033[%dA\033[J", shown.out.lines);
    shown.out.steps = 0;
    shown.out.before = NULL;
    draw(p, p->answer, &shown.out);
    int valid = judge(p, verdict);
    printf("%d segment%s, %s%s%s; %s\n", result.segments, result.segments == 1 ? "" : "s",
           solve_q_text(q, &result, shown.halt_only, 3), result.halted ? "" : " (did not halt by itself)", votes, verdict);
    fflush(stdout); /* before what is said of the next board */
    return valid ? TOOL_OK : TOOL_ERROR;
}

/* ---- one answer a line, many puzzles at once ---------------------------------------------------------------------------- */
typedef struct queue { /* of puzzles of one kind and size that are solved together */
    puzzle    *puzzles;
    solve_rows rows;
    int32_t   *tokens, *ids;
    int        room;
    int64_t    told;
} queue;

static void queue_close(queue *q)
{
    free(q->puzzles);
    free(q->tokens);
    free(q->ids);
    free(q->rows.answers);
    free(q->rows.results);
    free(q->rows.agree);
}

static int queue_open(queue *q, const config *c, const puzzle *p)
{
    size_t n = (size_t)(q->room = solve_rows_most(c, p->cells)), T = (size_t)p->cells;
    q->puzzles = (puzzle *)calloc(n, sizeof *q->puzzles);
    q->tokens = (int32_t *)calloc(n * T, sizeof *q->tokens);
    q->ids = (int32_t *)calloc(n, sizeof *q->ids);
    q->rows.answers = (int32_t *)calloc(n * T, sizeof *q->rows.answers);
    q->rows.results = (hrm_solve_result *)calloc(n, sizeof *q->rows.results);
    q->rows.agree = (int *)calloc(n, sizeof *q->rows.agree);
    q->rows.cells = p->cells, q->rows.side = p->side, q->rows.task = score_of(p->kind);
    q->rows.tokens = q->tokens, q->rows.identifiers = q->ids;
    if (q->puzzles && q->tokens && q->ids && q->rows.answers && q->rows.results && q->rows.agree) return TOOL_OK;
    return tool_error("no memory for %d puzzles", q->room);
}

static void answer_line(const puzzle *p)
{
    /* as the data sets have it: a Sudoku's digits, a maze's characters; an ARC grid as its task's file would */
    int rows, columns;
    if (p->kind == TASK_ARC) {
        crop(p->answer, &rows, &columns);
        printf("[");
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < columns; i++)
                printf("%s%d%s", i ? ", " : r ? ", [" : "[", p->answer[r * ARC_SIDE + i] - 2, i + 1 < columns ? "" : "]");
        printf("]");
    }
    for (int i = 0; i < p->cells && p->kind != TASK_ARC; i++) {
        int t = p->answer[i];
        if (p->kind == TASK_MAZE) putchar(t >= 1 && t <= 5 ? "# SGo"[t - 1] : '?');
        else putchar(t >= 2 && t <= p->side + 1 ? '0' + t - 1 : '.');
    }
}

static int queue_flush(queue *q, const config *c, hrm_model *model, int *worst)
{
    /* solves what waits and tells it */
    if (!q->rows.count) return TOOL_OK;
    int status = solve_rows_run(c, model, &q->rows), halt_only = hrm_model_describe(model)->no_ACT_continue;
    for (int i = 0; i < q->rows.count && status == TOOL_OK; i++) {
        puzzle *p = &q->puzzles[i];
        char verdict[160];
        memcpy(p->answer, q->rows.answers + i * p->cells, (size_t)p->cells * sizeof *p->answer);
        int valid = judge(p, verdict), unknown = p->kind == TASK_ARC && !p->known && valid;
        if (!valid) *worst = TOOL_ERROR;
        if (c->json) printf("{\"puzzle\": %lld, \"answer\": %s", (long long)++q->told, p->kind == TASK_ARC ? "" : "\"");
        answer_line(p);
        if (!c->json) printf("\n");
        else if (p->kind != TASK_ARC) printf("\"");
        if (c->json) solve_json_end(c, unknown ? -1 : valid, verdict, &q->rows.results[i], q->rows.agree[i], halt_only);
    }
    fflush(stdout);
    q->rows.count = 0;
    return status;
}

static int queue_add(queue *q, const config *c, hrm_model *model, const puzzle *p, int *worst)
{
    int status = q->room ? TOOL_OK : queue_open(q, c, p), i = q->rows.count;
    if (status != TOOL_OK) return status;
    memcpy(q->tokens + i * p->cells, p->tokens, (size_t)p->cells * sizeof *p->tokens);
    q->ids[i] = p->identifier;
    q->puzzles[i] = *p;
    return ++q->rows.count == q->room ? queue_flush(q, c, model, worst) : TOOL_OK;
}

/* ---- the command ------------------------------------------------------------------------------------------------------ */
static int load(config *c, const puzzle *p, hrm_model **model)
{
    hrm_model_desc stated;
    hrm_sources sources;
    int status = TOOL_OK;
    if (!*c->checkpoint && p->side != 9)
        return tool_error("the board is %d x %d, and the model that comes with hrm solves 9 x 9: name a checkpoint=FILE",
                          p->side, p->side);
    if (!*c->checkpoint) status = tool_find_model(c->checkpoint, "sudoku.safetensors");
    if (status == TOOL_OK) status = config_checkpoint(c, c->checkpoint, &stated, &sources);
    if (status != TOOL_OK) return status;
    int vocab = p->kind == TASK_SUDOKU ? p->side + 2 : p->kind == TASK_MAZE ? 6 : 12;
    if (stated.vocab_size != vocab)
        return tool_error("%s: vocab_size is %d, but a %s of %d x %d has %d", c->checkpoint, stated.vocab_size,
                          task_names[p->kind], p->side, p->side, vocab);
    if (stated.seq_len && stated.seq_len != p->cells)
        return tool_error("%s: seq_len is %d, but the puzzle has %d cells", c->checkpoint, stated.seq_len, p->cells);
    status = evaluation_check_votes((int)c->votes, (float)c->start_noise, c->symmetric ? score_of(p->kind) : SCORE_NONE);
    if (status != TOOL_OK) return status;
    return config_load_model(c, model, c->checkpoint, &stated, &sources, p->cells);
}

static int arc_identifier(const config *c, const char *file, int32_t *identifier)
{
    /* the task's row of the puzzle table, by its name in DATA/identifiers.json; unknown tasks get the blank one */
    char name[TOOL_PATH], path[TOOL_PATH];
    hrm_json_document *doc;
    *identifier = 0;
    snprintf(name, sizeof name, "%s", tool_basename(file));
    char *dot = strrchr(name, '.');
    if (dot) *dot = 0;
    if (!*c->data_path || !tool_join(path, c->data_path, "identifiers.json") || !tool_exists(path)) {
        tool_note("no identifiers.json (data_path=DIR would find it): %s is solved without an embedding of its own", name);
        return TOOL_OK;
    }
    if (hrm_json_open(&doc, path, NULL) != HRM_OK) return tool_failed();
    const hrm_json *root = hrm_json_root(doc);
    int32_t i = 0, found = -1;
    for (const hrm_json *id = root->type == HRM_JSON_ARRAY ? root->child : NULL; id; id = id->next, i++)
        if (id->type == HRM_JSON_STRING && strcmp(id->string, name) == 0) found = i;
    hrm_json_close(doc);
    if (found < 0) tool_note("%s does not name %s: solved without an embedding of its own", path, name);
    else *identifier = found;
    return TOOL_OK;
}

static int solve_arc(config *c, puzzle *p, const char *text, size_t length, const char *file)
{
    hrm_json_document *doc;
    hrm_model *model = NULL;
    char where[TOOL_PATH];
    if (hrm_json_parse(&doc, text, length, file, NULL) != HRM_OK) return tool_failed();
    const hrm_json *root = hrm_json_root(doc), *test = hrm_json_get(root, "test");
    int status = TOOL_OK, worst = TOOL_OK, number = 0, lines = c->lines || c->json;
    queue q;
    memset(&q, 0, sizeof q);
    if (!test || test->type != HRM_JSON_ARRAY || test->count == 0) status = tool_error("%s: no \"test\" pairs in it", file);
    if (status == TOOL_OK) status = arc_identifier(c, file, &p->identifier);
    for (const hrm_json *pair = status == TOOL_OK ? test->child : NULL; pair && status == TOOL_OK; pair = pair->next) {
        snprintf(where, sizeof where, "%.900s: test %d", file, ++number);
        status = parse_arc(p, pair, where);
        if (status == TOOL_OK && !model) status = load(c, p, &model);
        if (status != TOOL_OK) break;
        if (lines) status = queue_add(&q, c, model, p, &worst);
        if (lines) continue;
        if (test->count > 1) printf("test %d of %zu\n", number, test->count);
        if (solve(c, model, p) != TOOL_OK) worst = TOOL_ERROR;
    }
    if (lines && queue_flush(&q, c, model, &worst) != TOOL_OK) status = TOOL_ERROR;
    queue_close(&q);
    hrm_model_destroy(model);
    hrm_json_close(doc);
    return status != TOOL_OK ? status : worst;
}

static int is_whole(task kind, const char *line, size_t n)
{
    /* whether a line holds a board of its own: all cells of a Sudoku, or a maze in one line, as in the data sets */
    size_t cells = 0;
    for (size_t i = 0; i < n; i++) cells += kind == TASK_MAZE ? line[i] != '\r' : !board_is_ruling(line[i]);
    return kind == TASK_MAZE ? cells >= 16 && score_side(cells < 1000000 ? (int)cells : 0) > 0
                             : cells == 81 || cells == 36 || cells == 16;
}

static char *next_board(task kind, char **at, int *line, int *first)
{
    /* the next board of the text, cut off; *first: its first line. Boards have empty lines between them, or a line each */
    char *begin = NULL, *p = *at;
    int lines = 0;
    while (*p) {
        size_t n = strcspn(p, "\n"), blank = strspn(p, " \t\r");
        int empty = kind == TASK_MAZE ? n == 0 || (n == 1 && *p == '\r') : blank >= n;
        int alone = !empty && is_whole(kind, p, n);
        if (alone && kind == TASK_MAZE) { /* a square of as many lines is one maze: its lines may be square numbers long */
            size_t same = 0;
            for (char *q = p; *q && strcspn(q, "\n") == n; q += n + (q[n] == '\n')) same++;
            alone = same != n && lines == 0;
        }
        if (begin && (empty || alone)) break;
        if (!empty && !begin) begin = p, *first = *line;
        lines += !empty;
        ++*line;
        p += n + (p[n] == '\n');
        if (alone) break;
    }
    if (begin && p > begin && p[-1] == '\n') p[-1] = 0;
    *at = p;
    return begin;
}

static int solve_text(config *c, puzzle *p, char *text, size_t length, const char *file)
{
    hrm_model *model = NULL;
    char *rest = text;
    int line = 1, first = 1, cells = 0, worst = TOOL_OK, status = TOOL_OK, number = 0, lines = c->lines || c->json;
    queue q;
    memset(&q, 0, sizeof q);
    if (p->kind == TASK_GRID) return solve_grid(c, text, length, file);
    if (p->kind == TASK_ARC) return solve_arc(c, p, text, length, file);
    char *board = next_board(p->kind, &rest, &line, &first);
    if (!board) return read_board(p, "", 1, file, 1);
    for (int more = 0; board && status == TOOL_OK; number++) {
        char *next;
        int next_first = first;
        status = read_board(p, board, first, file, number + 1);
        if (status == TOOL_OK && model && p->cells != cells)
            status = tool_error("board %d has %d cells, those before it %d", number + 1, p->cells, cells);
        if (status == TOOL_OK && !model) status = load(c, p, &model);
        if (status != TOOL_OK) break;
        next = next_board(p->kind, &rest, &line, &next_first);
        cells = p->cells;
        more |= next != NULL;
        if (more && !lines) printf("%sboard %d\n", number ? "\n" : "", number + 1);
        if (lines) status = queue_add(&q, c, model, p, &worst);
        else if (solve(c, model, p) != TOOL_OK) worst = TOOL_ERROR;
        board = next;
        first = next_first;
    }
    if (lines && queue_flush(&q, c, model, &worst) != TOOL_OK) status = TOOL_ERROR; /* those before a broken one too */
    queue_close(&q);
    hrm_model_destroy(model);
    if (status == TOOL_OK && worst != TOOL_OK && c->votes == 1)
        tool_note("not solved; votes=8 takes what most of eight symmetric copies say");
    return status != TOOL_OK ? status : worst;
}

static int is_file_name(task kind, const char *text)
{
    /* something that no puzzle could be: a path, or letters that stand for no cell (a few are slips in a board) */
    if (kind == TASK_ARC) return *text != '{';
    if (kind == TASK_GRID) { /* whose tokens may be anything */
        const char *dot = strrchr(text, '.');
        return dot && (strcmp(dot, ".txt") == 0 || strcmp(dot, ".json") == 0);
    }
    return board_is_name(text, kind == TASK_MAZE);
}

static char *read_typed(size_t *length)
{
    /* from a terminal: up to an empty line */
    enum { ROOM = 65536 };
    char *text = (char *)malloc(ROOM);
    if (!text) return tool_say("no memory for the puzzle"), (char *)NULL;
    tool_note("type or paste the puzzle; an empty line ends it");
    *length = 0;
    text[0] = 0;
    while (*length < ROOM - 1 && fgets(text + *length, (int)(ROOM - *length), stdin)) {
        size_t n = strlen(text + *length);
        if (n == strspn(text + *length, "\r\n") && *length > 0) break;
        *length += n;
    }
    return text;
}

static char *gather(const config *c, task kind, size_t *length, const char **file)
{
    /* the puzzle's text: a file, "-" or nothing for standard input, or the arguments themselves, a line each */
    int n = c->num_positional - 1;
    char **rest = c->positional + 1;
    *file = n > 0 ? rest[0] : "-";
    if (n == 0 && tool_is_terminal(0) && kind == TASK_ARC) tool_note("reading the task from standard input");
    else if (n == 0 && tool_is_terminal(0)) return read_typed(length);
    if (n == 0 || (n == 1 && (strcmp(rest[0], "-") == 0 || is_file_name(kind, rest[0]) || tool_exists(rest[0]))))
        return tool_read_text(*file, length);
    size_t bytes = 1;
    for (int i = 0; i < n; i++) bytes += strlen(rest[i]) + 1;
    char *text = (char *)malloc(bytes);
    if (!text) return tool_say("no memory for the puzzle"), (char *)NULL;
    *length = 0;
    for (int i = 0; i < n; i++) *length += (size_t)snprintf(text + *length, bytes - *length, "%s\n", rest[i]);
    *file = arguments;
    return text;
}

static int run(config *c)
{
    int kind = -1;
    size_t length;
    const char *file;
    for (int i = 0; i < 4 && c->num_positional > 0; i++)
        if (strcmp(c->positional[0], task_names[i]) == 0) kind = i;
    if (kind < 0)
        return tool_usage("solve: expected sudoku, maze, arc or grid%s%.60s", c->num_positional > 0 ? ", not " : " first",
                          c->num_positional > 0 ? c->positional[0] : "");
    if (c->lines + c->json + c->show_steps > 1)
        return tool_usage("solve: %s and %s exclude each other", c->show_steps ? "--show-steps" : "--lines",
                          c->json ? "--json" : "--lines");
    if (!*c->checkpoint && kind != TASK_SUDOKU)
        return tool_usage("solve: checkpoint=FILE is missing; a model comes with hrm for sudoku alone");
    for (int i = 1; i < c->num_positional; i++) {
        const char *word = c->positional[i];
        if (strcmp(word, "-") == 0 || !is_file_name((task)kind, word)) continue;
        if (!tool_exists(word)) return tool_error("%s: %s", word, errno == ENOENT ? "no such file" : strerror(errno));
        if (c->num_positional > 2)
            return tool_usage("solve: one file at a time; there are \"%.60s\" and %d more", word, c->num_positional - 2);
    }
    char *text = gather(c, (task)kind, &length, &file);
    puzzle *p = (puzzle *)calloc(1, sizeof *p);
    int status = text && p ? TOOL_OK : TOOL_ERROR;
    if (text && !p) tool_say("no memory for the puzzle");
    if (status == TOOL_OK) {
        p->kind = (task)kind;
        status = solve_text(c, p, text, length, file);
    }
    free(text);
    free(p);
    return status;
}

static void print_usage(void)
{
    printf("usage: hrm solve sudoku|maze|arc|grid [PUZZLE] [checkpoint=FILE] [--show-steps]\n"
           "                 [--lines|--json] [KEY=VALUE…]\n\n"
           "PUZZLE is the puzzle itself, a file with it, or - for standard input, which is\n"
           "also read without it:\n"
           "  sudoku  81 cells (or 36, 16) with . or 0 for blanks; a board drawn with |\n"
           "          and - is understood\n"
           "  maze    lines of # S G and spaces\n"
           "          several boards of either: a line each, or an empty line between them\n"
           "  arc     a task's JSON file; its name finds the task's embedding through\n"
           "          data_path's identifiers.json\n"
           "  grid    of a task of your own: text or JSON as hrm data grid takes it, the\n"
           "          outputs may be missing; the checkpoint carries its vocabulary\n"
           "Without checkpoint=FILE a 9x9 Sudoku is solved by sudoku.safetensors, which\n"
           "comes with hrm: of the folder HRM_MODELS if that is set, else of models beside\n"
           "the folder hrm was built in, of share/hrm/models beside its bin, or of where it\n"
           "was built to be installed.\n"
           "--lines prints one answer a line and nothing else, --json one object a line;\n"
           "they solve many puzzles at a time.\n"
           "--show-steps draws the board after every segment: in place and in colours on a\n"
           "terminal (NO_COLOR is respected). The answer is checked by the task's rules; the\n"
           "exit status is 0 when it is valid, 1 when not.\n\n");
    config_help(CONFIG_SOLVE);
}

int command_solve(int argc, char **argv) { return config_command(CONFIG_SOLVE, argc, argv, print_usage, run); }
