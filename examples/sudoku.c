/* Sudoku, from nothing to solved boards: `make demo`.
 *
 *   sudoku                                  makes 4x4 puzzles, trains on them, solves boards it has never seen
 *   sudoku --csv TRAIN.csv --test TEST.csv  9x9 puzzles from files (columns source,question,answer,rating, or q,a)
 *   sudoku --save FILE                      and keeps the model; without it nothing is written
 *   sudoku --load FILE --solve BOARD        solves one board with what was saved; '.' or 0 is an empty cell
 *
 * A 4x4 board has 288 solutions, which are 12 up to renaming the digits. Some of these 12 are set aside: boards with such a
 * solution are for testing, and training never sees one of them under any names. What learns 4x4 is the fast recipe of
 * HRM_ARCH_FAST, smaller: one network that mixes cells without attention. Its strong decay makes it find rules rather than
 * boards: with Muon's usual 0.005 it knows all it was trained on as soon, and solves fewer that it has not seen.
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "../tools/puzzles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifndef _WIN32
    #include <unistd.h>
#endif

enum { TEST_BOARDS = 2000, HARD_BOARDS = 500, MAX_GIVENS = 10, MIN_GIVENS = 6, HARD_GIVENS = 4 };

typedef struct options {
    const char *csv, *test_csv, *board, *load, *save;
    int   boards, test_classes; /* 4x4: training boards made, solutions set aside */
    int   variants;             /* CSV: variants of each training puzzle */
    int   limit;                /* CSV: test puzzles at most */
    int   hidden, heads, layers, cycles, segments, batch, steps, threads;
    float lr, weight_decay;
    uint64_t seed;
} options;

static void fail(const char *message)
{
    fprintf(stderr, "sudoku: %s\n", message);
    exit(1);
}
static void check(hrm_status status)
{
    if (status != HRM_OK) fail(hrm_error_message());
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- boards and tokens ------------------------------------------------------------------------------------------------
 * As in the public data sets: token 1 is an empty cell, 2.. are the digits, 0 is padding and unused here.
 */
typedef struct boards { /* questions and answers, tokens, [count, cells] */
    sudoku_shape shape;
    size_t   count, room;
    uint8_t *inputs, *labels;
} boards;

static void boards_add(boards *b, const uint8_t *puzzle, const uint8_t *solution)
{
    size_t cells = (size_t)b->shape.cells;
    if (b->count == b->room) {
        b->room = b->room ? 2 * b->room : 1024;
        b->inputs = (uint8_t *)realloc(b->inputs, b->room * cells);
        b->labels = (uint8_t *)realloc(b->labels, b->room * cells);
        if (!b->inputs || !b->labels) fail("out of memory");
    }
    for (size_t i = 0; i < cells; i++) {
        b->inputs[b->count * cells + i] = (uint8_t)(puzzle[i] + 1);
        b->labels[b->count * cells + i] = (uint8_t)(solution[i] + 1);
    }
    b->count++;
}

static void boards_free(boards *b)
{
    free(b->inputs);
    free(b->labels);
}

static hrm_dataset *boards_dataset(const boards *b, int32_t *groups, int64_t num_groups)
{
    /* groups [num_groups + 1]: variants of one puzzle, one of which is shown an epoch; NULL: each board its own group */
    hrm_dataset *data;
    hrm_dataset_arrays a;
    memset(&a, 0, sizeof a);
    a.seq_len = b->shape.cells;
    a.vocab_size = b->shape.size + 2;
    a.num_puzzle_identifiers = 1;
    a.num_examples = (int64_t)b->count;
    a.inputs = b->inputs;
    a.labels = b->labels;
    a.group_indices = groups;
    a.num_groups = groups ? num_groups : 0;
    check(hrm_dataset_from_arrays(&data, &a, NULL));
    return data;
}

/* ---- 4x4: made here --------------------------------------------------------------------------------------------------- */
static void generate(boards *train, boards *test, boards *hard, const options *o)
{
    uint64_t classes[12]; /* solutions up to renaming the digits, in random order; the first ones are for testing */
    int found = 0;
    uint8_t puzzle[SUDOKU_MAX_CELLS], solution[SUDOKU_MAX_CELLS];
    sudoku_shape_make(&train->shape, 4);
    test->shape = hard->shape = train->shape;
    hrm_random r = hrm_random_make(o->seed, 0);
    while (found < 12) {
        sudoku_fill(&train->shape, &r, solution);
        uint64_t class = sudoku_class(&train->shape, solution);
        int known = 0;
        for (int i = 0; i < found; i++) known |= classes[i] == class;
        if (!known) classes[found++] = class;
    }
    for (uint64_t n = 1; train->count < (size_t)o->boards || test->count < TEST_BOARDS || hard->count < HARD_BOARDS; n++) {
        r = hrm_random_make(o->seed, n);
        int aim = n % 2 ? MIN_GIVENS + (int)hrm_random_below(&r, MAX_GIVENS - MIN_GIVENS + 1) : HARD_GIVENS;
        int givens = sudoku_generate(&train->shape, &r, aim, puzzle, solution), unseen = 0;
        uint64_t class = sudoku_class(&train->shape, solution);
        for (int i = 0; i < o->test_classes; i++) unseen |= classes[i] == class;
        if (givens > MAX_GIVENS) continue;
        boards *b = !unseen ? train : givens >= MIN_GIVENS ? test : hard;
        if (b->count < (b == train ? (size_t)o->boards : b == test ? TEST_BOARDS : HARD_BOARDS))
            boards_add(b, puzzle, solution);
    }
}

/* ---- 9x9: from CSV files ---------------------------------------------------------------------------------------------- */
static int parse_board(const sudoku_shape *s, const char *text, size_t length, uint8_t *board)
{
    if (length != (size_t)s->cells) return 0;
    for (size_t i = 0; i < length; i++) {
        int c = text[i] == '.' || text[i] == '0' ? 0 : text[i] >= '1' && text[i] <= '0' + s->size ? text[i] - '0' : -1;
        if (c < 0) return 0;
        board[i] = (uint8_t)c;
    }
    return 1;
}

static void variant(const sudoku_shape *s, const uint8_t *board, const int32_t *map, uint8_t *out)
{
    /* map: [cells] where each cell comes from, then [size] the digits' new names */
    for (int i = 0; i < s->cells; i++) out[i] = board[map[i]] ? (uint8_t)map[s->cells + board[map[i]] - 1] : 0;
}

static void draw_variant(const sudoku_shape *s, hrm_random *r, int32_t *map)
{
    /* rows: bands permuted, and the rows in each; the same for columns; perhaps transposed; digits renamed */
    int32_t lines[2][SUDOKU_MAX_SIZE] = {{0}}, bands[SUDOKU_MAX_SIZE], within[SUDOKU_MAX_SIZE];
    for (int axis = 0; axis < 2; axis++) {
        int height = axis ? s->box_cols : s->box_rows, count = s->size / height;
        for (int i = 0; i < count; i++) bands[i] = i;
        hrm_random_shuffle(r, bands, (uint32_t)count);
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < height; j++) within[j] = j;
            hrm_random_shuffle(r, within, (uint32_t)height);
            for (int j = 0; j < height; j++) lines[axis][i * height + j] = bands[i] * height + within[j];
        }
    }
    int transposed = s->box_rows == s->box_cols && hrm_random_below(r, 2);
    for (int i = 0; i < s->cells; i++) {
        int row = lines[0][i / s->size], column = lines[1][i % s->size];
        map[i] = transposed ? column * s->size + row : row * s->size + column;
    }
    for (int i = 0; i < s->size; i++) map[s->cells + i] = i + 1;
    hrm_random_shuffle(r, map + s->cells, (uint32_t)s->size);
}

static int read_field(const char **text, const char *end, const char **field, size_t *length)
{
    /* the next field of a line; quotes do not occur in these files. 0 at the end of the line */
    const char *p = *text;
    if (p > end) return 0;
    *field = p;
    while (p < end && *p != ',') p++;
    *length = (size_t)(p - *field);
    *text = p + 1;
    return 1;
}

static void read_csv(boards *b, const char *path, const options *o, int variants, size_t limit)
{
    hrm_file_map map;
    int32_t way[SUDOKU_MAX_CELLS + SUDOKU_MAX_SIZE];
    uint8_t puzzle[SUDOKU_MAX_CELLS], solution[SUDOKU_MAX_CELLS], p[SUDOKU_MAX_CELLS], q[SUDOKU_MAX_CELLS];
    int question = -1, answer = -1, line = 0;
    check(hrm_file_map_open(&map, path));
    const char *text = (const char *)map.data, *last = text + map.size;
    for (size_t taken = 0; text < last && taken < limit;) {
        const char *end = (const char *)memchr(text, '\n', (size_t)(last - text)), *next, *field, *fields[8];
        size_t length, lengths[8];
        int n = 0;
        next = end ? end + 1 : last;
        if (!end) end = last;
        if (end > text && end[-1] == '\r') end--;
        line++;
        while (n < 8 && read_field(&text, end, &field, &length)) fields[n] = field, lengths[n++] = length;
        text = next;
        if (line == 1) { /* the header */
            for (int i = 0; i < n; i++) {
                if ((lengths[i] == 8 && !memcmp(fields[i], "question", 8)) || (lengths[i] == 1 && *fields[i] == 'q'))
                    question = i;
                if ((lengths[i] == 6 && !memcmp(fields[i], "answer", 6)) || (lengths[i] == 1 && *fields[i] == 'a')) answer = i;
            }
            if (question < 0 || answer < 0) {
                fprintf(stderr, "sudoku: %s:1: no columns question and answer (or q and a)\n", path);
                exit(1);
            }
            continue;
        }
        if (n == 1 && lengths[0] == 0) continue;
        if (question >= n || answer >= n || !parse_board(&b->shape, fields[question], lengths[question], puzzle) ||
            !parse_board(&b->shape, fields[answer], lengths[answer], solution) ||
            !sudoku_is_solution(&b->shape, puzzle, solution)) {
            fprintf(stderr, "sudoku: %s:%d: not a puzzle of %d cells and its solution\n", path, line, b->shape.cells);
            exit(1);
        }
        boards_add(b, puzzle, solution);
        hrm_random r = hrm_random_make(o->seed, taken++);
        for (int v = 0; v < variants; v++) {
            draw_variant(&b->shape, &r, way);
            variant(&b->shape, puzzle, way, p);
            variant(&b->shape, solution, way, q);
            boards_add(b, p, q);
        }
    }
    hrm_file_map_close(&map);
    if (!b->count) {
        fprintf(stderr, "sudoku: %s: no puzzles\n", path);
        exit(1);
    }
}

/* ---- training --------------------------------------------------------------------------------------------------------- */
static int on_terminal(void)
{
#ifdef _WIN32
    return 0;
#else
    return isatty(2);
#endif
}

static void progress(const hrm_metrics *m, int64_t total, double elapsed)
{
    static hrm_metrics told; /* of the last step in which a row halted: others know nothing of that */
    if (m->count > 0) told = *m;
    double left = elapsed / (double)m->step * (double)(total - m->step);
    char bar[11];
    for (int i = 0; i < 10; i++) bar[i] = i < (int)(10 * m->step / total) ? '#' : '.';
    bar[10] = 0;
    fprintf(stderr, "%s[%s] step %d/%d  loss %.3f  exact %5.1f %%  segments %.2f  %d:%02d left %s", on_terminal() ? "\r" : "",
            bar, (int)m->step, (int)total, m->lm_loss, 100 * told.exact_accuracy, told.steps, (int)left / 60, (int)left % 60,
            on_terminal() ? "" : "\n");
}

static void train(hrm_model *model, hrm_dataset *data, const options *o)
{
    hrm_trainer *trainer;
    hrm_train_desc td;
    hrm_metrics recent, m;
    hrm_status status;
    memset(&td, 0, sizeof td);
    td.steps = o->steps;
    td.batch_size = o->batch;
    td.epochs_per_iter =
        (int)(1 + 10 * (int64_t)o->batch / hrm_dataset_describe(data)->total_groups); /* few puzzles still fill batches */
    td.lr = o->lr;
    td.lr_warmup_steps = o->steps < 500 ? o->steps / 10 : 50;
    td.lr_min_ratio = 0.02f; /* the last steps settle what the first ones found */
    if (!o->csv) {
        td.arch = HRM_ARCH_FAST; /* Muon, clipping, the average of the weights … */
        td.muon_weight_decay = 1;
        td.ema_rate = 0.95f;
        td.no_ema_from = 1; /* … from the start */
    }
    td.weight_decay = o->weight_decay;
    td.seed = o->seed;
    check(hrm_trainer_create(&trainer, model, &td));
    double start = seconds(), shown = start;
    memset(&recent, 0, sizeof recent);
    while ((status = hrm_trainer_step(trainer, data, &m)) == HRM_OK) {
        hrm_metrics_add(&recent, &m);
        double now = seconds();
        if (now - shown < (on_terminal() ? 0.5 : 5) && m.step < o->steps) continue;
        progress(&recent, o->steps, now - start);
        memset(&recent, 0, sizeof recent);
        shown = now;
    }
    fprintf(stderr, on_terminal() ? "\n" : "");
    if (status != HRM_END) fail(hrm_error_message());
    if (td.arch == HRM_ARCH_FAST) check(hrm_trainer_use_average(trainer, 1));
    printf("Trained %d steps in %.0f seconds.\n", (int)hrm_trainer_steps_done(trainer), seconds() - start);
    hrm_trainer_destroy(trainer);
}

/* ---- solving ---------------------------------------------------------------------------------------------------------- */
static void print_board(const sudoku_shape *s, const int32_t *puzzle, const int32_t *answer)
{
    /* tokens; [3] was given, 3 was found, 3! is wrong: it breaks a rule or a given */
    for (int row = 0; row < s->size; row++) {
        printf("    ");
        for (int column = 0; column < s->size; column++) {
            int i = row * s->size + column, given = puzzle[i] > 1, wrong = given && puzzle[i] != answer[i];
            for (int k = 0; k < s->num_peers; k++) wrong |= answer[s->peers[i][k]] == answer[i];
            if (answer[i] < 2) printf(" ? ");
            else if (given) printf("[%d]", (int)answer[i] - 1);
            else printf(" %d%c", (int)answer[i] - 1, wrong ? '!' : ' ');
            if ((column + 1) % s->box_cols == 0 && column + 1 < s->size) printf(" |");
        }
        printf("\n");
        if ((row + 1) % s->box_rows == 0 && row + 1 < s->size) {
            printf("    ");
            for (int i = 0; i < s->size / s->box_cols; i++) {
                for (int j = 0; j < 3 * s->box_cols + (i > 0); j++) printf("-");
                printf("%s", i + 1 < s->size / s->box_cols ? "-+" : "\n");
            }
        }
    }
}

static int solve(hrm_model *model, const sudoku_shape *s, const int32_t *puzzle, const char *title)
{
    /* prints the board; 1 when the answer is right, and there is only one: it keeps the givens and breaks no rule */
    int32_t answer[SUDOKU_MAX_CELLS];
    uint8_t givens[SUDOKU_MAX_CELLS], board[SUDOKU_MAX_CELLS];
    hrm_solve_result result;
    hrm_solve_desc sd;
    memset(&sd, 0, sizeof sd);
    sd.results = &result;
    check(hrm_solve(model, puzzle, answer, &sd));
    int count = 0;
    for (int i = 0; i < s->cells; i++) {
        givens[i] = (uint8_t)(puzzle[i] - 1);
        board[i] = (uint8_t)(answer[i] > 1 ? answer[i] - 1 : 0);
        count += puzzle[i] > 1;
    }
    int right = sudoku_is_solution(s, givens, board);
    printf("\n%s: %d givens, %d segment%s, %s\n", title, count, result.segments, result.segments == 1 ? "" : "s",
           right ? "right" : "wrong");
    print_board(s, puzzle, answer);
    return right;
}

static void evaluate(hrm_model *model, const boards *b, const char *what)
{
    hrm_dataset *data = boards_dataset(b, NULL, 0);
    hrm_evaluate_desc ed;
    hrm_metrics all, adaptive;
    memset(&ed, 0, sizeof ed);
    ed.batch_size = b->shape.cells > 16 ? 64 : 250;
    check(hrm_evaluate(model, data, &ed, &all));
    ed.adaptive = 1;
    check(hrm_evaluate(model, data, &ed, &adaptive));
    printf("%s: %d of %d exact = %.2f %%, %.2f %% of the cells (all %.0f segments); halting by itself %.2f %% with %.2f "
           "segments\n",
           what, (int)(all.exact_accuracy * all.count + 0.5), (int)all.count, 100 * all.exact_accuracy, 100 * all.accuracy,
           all.steps, 100 * adaptive.exact_accuracy, adaptive.steps);
    hrm_dataset_close(data);
}

static int solve_one(const options *o)
{
    hrm_model *model;
    hrm_model_desc desc;
    sudoku_shape shape;
    uint8_t board[SUDOKU_MAX_CELLS];
    int32_t puzzle[SUDOKU_MAX_CELLS];
    memset(&desc, 0, sizeof desc);
    desc.num_threads = o->threads;
    check(hrm_model_load(&model, o->load, &desc));
    int cells = hrm_model_describe(model)->seq_len, size = cells == 16 ? 4 : cells == 36 ? 6 : 9;
    if (!sudoku_shape_make(&shape, size) || shape.cells != cells) fail("the checkpoint is not of a Sudoku");
    if (!parse_board(&shape, o->board, strlen(o->board), board)) {
        fprintf(stderr, "sudoku: the board has %d characters, expected %d: digits 1 to %d, '.' or 0 for an empty cell\n",
                (int)strlen(o->board), cells, size);
        exit(2);
    }
    for (int i = 0; i < cells; i++) puzzle[i] = board[i] + 1;
    int solutions = sudoku_count_solutions(&shape, board, 2, NULL);
    int right = solve(model, &shape, puzzle, "Your board");
    if (solutions != 1) printf("    (it has %s)\n", solutions ? "more than one solution" : "no solution");
    hrm_model_destroy(model);
    return right ? 0 : 1;
}

/* ---- the program ------------------------------------------------------------------------------------------------------ */
static void usage(void)
{
    fprintf(stderr, "usage: sudoku [--csv FILE [--test FILE]] [--steps N] [--batch N] [--lr X] [--hidden N] [--layers N] "
                    "[--segments N] [--seed N]\n"
                    "              [--boards N] [--variants N] [--threads N] [--save FILE] | --load FILE --solve BOARD\n");
    exit(2);
}

static options parse(int argc, char **argv)
{
    options o;
    memset(&o, 0, sizeof o);
    o.boards = 60000, o.test_classes = 2, o.variants = 200, o.limit = 1000;
    o.hidden = 48, o.heads = 4, o.layers = 2, o.cycles = 2, o.segments = 4, o.batch = 64, o.lr = 3e-3f, o.weight_decay = 0.5f;
    for (int i = 1; i < argc; i++) { /* 9x9 boards ask for another model */
        if (strcmp(argv[i], "--csv") == 0) o.hidden = 128, o.batch = 32, o.segments = 8, o.lr = 1e-3f, o.weight_decay = 1;
    }
    for (int i = 1; i < argc; i++) {
        const char *key = argv[i], *value = i + 1 < argc ? argv[++i] : NULL;
        struct { const char *name; int *integer; const char **string; float *number; } known[] = {
            {"--csv", NULL, &o.csv, NULL},       {"--test", NULL, &o.test_csv, NULL}, {"--solve", NULL, &o.board, NULL},
            {"--load", NULL, &o.load, NULL},     {"--save", NULL, &o.save, NULL},     {"--steps", &o.steps, NULL, NULL},
            {"--batch", &o.batch, NULL, NULL},   {"--hidden", &o.hidden, NULL, NULL}, {"--heads", &o.heads, NULL, NULL},
            {"--layers", &o.layers, NULL, NULL}, {"--cycles", &o.cycles, NULL, NULL}, {"--segments", &o.segments, NULL, NULL},
            {"--boards", &o.boards, NULL, NULL}, {"--variants", &o.variants, NULL, NULL}, {"--threads", &o.threads, NULL, NULL},
            {"--limit", &o.limit, NULL, NULL},   {"--unseen", &o.test_classes, NULL, NULL}, {"--lr", NULL, NULL, &o.lr},
            {"--weight-decay", NULL, NULL, &o.weight_decay}};
        size_t k = 0;
        if (!value) usage();
        if (strcmp(key, "--seed") == 0) {
            o.seed = strtoull(value, NULL, 10);
            continue;
        }
        while (k < sizeof known / sizeof *known && strcmp(key, known[k].name) != 0) k++;
        if (k == sizeof known / sizeof *known) usage();
        char *end = NULL;
        if (known[k].integer) *known[k].integer = (int)strtol(value, &end, 10);
        else if (known[k].number) *known[k].number = strtof(value, &end);
        else *known[k].string = value;
        if (end && (*end || end == value)) usage();
    }
    if (!o.steps) o.steps = 400;
    if (!o.board != !o.load) usage();
    if (o.boards < 1 || o.test_classes < 1 || o.test_classes > 11 || o.variants < 0 || o.steps < 1 || o.limit < 1) usage();
    return o;
}

int main(int argc, char **argv)
{
    options o = parse(argc, argv);
    if (o.board) return solve_one(&o);
    boards train_set, test_set, hard_set;
    int32_t *groups = NULL;
    int64_t num_groups = 0;
    memset(&train_set, 0, sizeof train_set);
    memset(&test_set, 0, sizeof test_set);
    memset(&hard_set, 0, sizeof hard_set);
    double start = seconds();
    if (o.csv) {
        sudoku_shape_make(&train_set.shape, 9);
        test_set.shape = train_set.shape;
        read_csv(&train_set, o.csv, &o, o.variants, SIZE_MAX);
        if (o.test_csv) read_csv(&test_set, o.test_csv, &o, 0, (size_t)o.limit);
        num_groups = (int64_t)train_set.count / (1 + o.variants);
        groups = (int32_t *)malloc((size_t)(num_groups + 1) * sizeof *groups);
        if (!groups) fail("out of memory");
        for (int64_t i = 0; i <= num_groups; i++) groups[i] = (int32_t)(i * (1 + o.variants));
        printf("%d puzzles, %d variants of each\n", (int)num_groups, o.variants);
    } else {
        generate(&train_set, &test_set, &hard_set, &o);
        printf("%d boards to train on, %d to %d givens; %d others to test, whose solutions never occur in training, whatever "
               "the digits are called (%.1f s)\n",
               (int)train_set.count, HARD_GIVENS, MAX_GIVENS, (int)(test_set.count + hard_set.count), seconds() - start);
    }
    hrm_dataset *data = boards_dataset(&train_set, groups, num_groups);
    hrm_model *model;
    hrm_model_desc desc = hrm_model_desc_for(data);
    desc.hidden_size = o.hidden;
    desc.num_heads = o.heads;
    desc.L_layers = o.layers;
    desc.H_cycles = desc.L_cycles = o.cycles;
    desc.halt_max_steps = o.segments;
    desc.no_puzzle_emb = 1; /* all boards are one task */
    if (o.csv) {
        desc.H_layers = o.layers;
        desc.loss_type = HRM_SOFTMAX_CROSS_ENTROPY;
        /* a cell's row, column and box are facts to know by heart: learned several times faster than RoPE */
        desc.pos_encodings = HRM_LEARNED;
    } else {
        desc.arch = HRM_ARCH_FAST;
        desc.label_smoothing = 0.1f;
        desc.q_loss_weight = 0.5f;
    }
    desc.num_threads = o.threads;
    desc.seed = o.seed;
    check(hrm_model_create(&model, &desc));
    printf("%.1f thousand parameters, %d threads\n", (double)hrm_model_parameters(model) / 1000,
           hrm_model_describe(model)->num_threads);
    train(model, data, &o);

    if (test_set.count) evaluate(model, &test_set, "Unseen boards");
    if (hard_set.count) evaluate(model, &hard_set, "The hardest, 4 and 5 givens");
    const boards *shown = test_set.count ? &test_set : &train_set;
    for (size_t k = 0; k < 3 && k < shown->count; k++) {
        int32_t puzzle[SUDOKU_MAX_CELLS];
        char title[32];
        for (int i = 0; i < shown->shape.cells; i++) puzzle[i] = shown->inputs[k * (size_t)shown->shape.cells + (size_t)i];
        snprintf(title, sizeof title, "Board %d", (int)k + 1);
        solve(model, &shown->shape, puzzle, title);
    }
    if (o.save) {
        char example[SUDOKU_MAX_CELLS + 1] = {0};
        check(hrm_model_save(model, o.save));
        for (int i = 0; i < shown->shape.cells; i++) {
            int token = shown->inputs[3 % shown->count * (size_t)shown->shape.cells + (size_t)i];
            example[i] = (char)(token > 1 ? '0' + token - 1 : '.');
        }
        printf("\nSaved as %s (%.0f s in all). Your own board:\n  %s --load %s --solve %s\n", o.save, seconds() - start,
               argv[0], o.save, example);
    } else {
        printf("\n%.0f s in all; --save FILE keeps the model\n", seconds() - start);
    }
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    boards_free(&train_set);
    boards_free(&test_set);
    boards_free(&hard_set);
    free(groups);
    return 0;
}
