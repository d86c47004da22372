/* `hrm data`: what the builders write, judged by checks of its own; wrong options, broken sources, interrupts. */
#if !defined(_XOPEN_SOURCE) && !defined(_WIN32)
    #define _XOPEN_SOURCE 700
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"

/* A file system without locks, when a test says so. */
static int unlocked;
static int lock_file(int file, int what, struct flock *range)
{
    return unlocked ? (errno = unlocked, -1) : fcntl(file, what, range);
}

#define main tool_main /* the command as it is, in this program */
#define run tool_run
#define fcntl(file, what, range) lock_file(file, what, range)
#include "../tools/hrm.c"
#undef main
#undef run
#undef fcntl

/* Folders that cannot be read to their end and files that cannot be removed, when a test says so. */
static int unread, kept;
static struct dirent *next_entry(DIR *d) { return unread && --unread == 0 ? (errno = EIO, (struct dirent *)NULL) : readdir(d); }
static int remove_file(const char *path) { return kept && strstr(path, "all__inputs") ? (errno = EACCES, -1) : remove(path); }
#define readdir(d) next_entry(d)
#define remove(path) remove_file(path)
#include "../tools/data.c"
#undef readdir
#undef remove
#include "../tools/data_arc.c"
#include "../tools/data_grid.c"
#include "../tools/grid.c"
#include "../tools/vocabulary.c"
#include "../tools/data_maze.c"
#include "../tools/data_sudoku.c"
#include "../tools/votes.h"
static int none(int argc) { return argc ? TOOL_USAGE : TOOL_ERROR; }
int command_train(int argc, char **argv) { return (void)argv, none(argc); }
int command_eval(int argc, char **argv) { return (void)argv, none(argc); }
int command_solve(int argc, char **argv) { return (void)argv, none(argc); }
int command_convert(int argc, char **argv) { return (void)argv, none(argc); }
int command_info(int argc, char **argv) { return (void)argv, none(argc); }
int command_plot(int argc, char **argv) { return (void)argv, none(argc); }
int command_render(int argc, char **argv) { return (void)argv, none(argc); }
int command_adapt(int argc, char **argv) { return (void)argv, none(argc); }
int command_analyze(int argc, char **argv) { return (void)argv, none(argc); }
int devices_close(int status) { return status; }

/* ---- running the command ------------------------------------------------------------------------------------------------- */
static char dir[128], shared[512];
static char said[4096]; /* on stderr */

static char *split_words(char *text, int *argc, char **argv)
{
    for (char *p = text; *p; p++)
        if (*p == ' ') *p = 0;
        else if (p == text || !p[-1]) argv[(*argc)++] = p;
    return text;
}

static int command(const char *format, ...) HRM__PRINTF(1, 2);
static int command(const char *format, ...)
{
    /* "sudoku --generate 3": words of one blank each; %s may hold paths */
    char text[2048], log[256], *argv[40];
    int argc = 0;
    va_list args;
    va_start(args, format);
    snprintf(text, sizeof text, "data ");
    vsnprintf(text + 5, sizeof text - 5, format, args);
    va_end(args);
    (void)split_words(text, &argc, argv);
    argv[argc] = NULL;
    snprintf(log, sizeof log, "%s/log", dir);
    fflush(stderr);
    int old = dup(2);
    FILE *f = fopen(log, "w+b");
    if (old < 0 || !f || dup2(fileno(f), 2) < 0) exit(2);
    tool_signal = 0;
    int status = command_data(argc, argv);
    fflush(stderr);
    (void)dup2(old, 2);
    close(old);
    rewind(f);
    said[fread(said, 1, sizeof said - 1, f)] = 0;
    fclose(f);
    remove(log);
    return status;
}

static int lines_said(void)
{
    /* but for those that tell every five seconds how far a command is, on a slow machine */
    int n = 0;
    for (const char *p = said; *p; p++) n += *p == '\n' && !(p - said >= 5 && memcmp(p - 5, " left", 5) == 0);
    return n;
}

#define CHECK_RUN(...) \
    do { \
        int run_status = command(__VA_ARGS__); \
        CHECK(run_status == 0, "status %d: %s", run_status, said); \
    } while (0)
/* One line that holds `text`, the status, and nothing left behind at dir/out. */
#define CHECK_REFUSED(status, text, ...)                                                                                       \
    do {                                                                                                                       \
        int run_status = command(__VA_ARGS__);                                                                                 \
        CHECK(run_status == (status) && strstr(said, (text)), "status %d, expected %d with \"%s\": %s", run_status, (status),  \
              (text), said);                                                                                                   \
        CHECK(lines_said() == 1, "%d lines: %s", lines_said(), said);                                                          \
        CHECK(!exists("out") && !beside("out", ""), "something was left behind");                                              \
    } while (0)

static const char *in_dir(const char *name)
{
    static char paths[8][800];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}
static int exists(const char *name) { return access(in_dir(name), F_OK) == 0; }

static int beside(const char *name, const char *what)
{
    /* entries that begin with name.what: "" any of what a build may leave beside its directory */
    char prefix[64];
    int n = 0;
    DIR *d = opendir(dir);
    snprintf(prefix, sizeof prefix, "%s.%s", name, what);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    if (d) closedir(d);
    return n;
}

static void remove_tree(const char *name)
{
    char **names, path[600];
    size_t count;
    if (!exists(name)) return;
    if (tool_is_directory(in_dir(name)) && data_list(in_dir(name), &names, &count) == 0) {
        for (size_t i = 0; i < count; i++) {
            snprintf(path, sizeof path, "%s/%s", name, names[i]);
            remove_tree(path);
        }
        data_list_free(names, count);
    }
    remove(in_dir(name));
}

static void make_dir(const char *name) { (void)mkdir(in_dir(name), 0777); }

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "wb");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) exit(2);
}

static int same_file(const char *a, const char *b)
{
    hrm_file_map x, y;
    if (hrm_file_map_open(&x, a) != HRM_OK) return access(b, F_OK) != 0; /* neither of them */
    if (hrm_file_map_open(&y, b) != HRM_OK) return hrm_file_map_close(&x), 0;
    int same = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    hrm_file_map_close(&x);
    hrm_file_map_close(&y);
    return same;
}

static void check_same(const char *a, const char *b)
{
    static const char *const files[] = {
        "dataset.json",          "all__inputs.npy", "all__labels.npy", "all__puzzle_identifiers.npy", "all__puzzle_indices.npy",
        "all__group_indices.npy"};
    char x[300], y[300];
    for (int i = 0; i < 14; i++) {
        const char *f = i < 12    ? files[i % 6]
                        : i == 12 ? "identifiers.json"
                                  : "test_puzzles.json",
                   *s = i < 6    ? "train/"
                        : i < 12 ? "test/"
                                 : "";
        snprintf(x, sizeof x, "%s/%s/%s%s", dir, a, s, f);
        snprintf(y, sizeof y, "%s/%s/%s%s", dir, b, s, f);
        CHECK(same_file(x, y), "%s and %s differ", x, y);
    }
}

/* ---- a split, read whole ------------------------------------------------------------------------------------------------- */
typedef struct whole { hrm_dataset_info info; hrm_batch batch; int32_t *puzzles, *groups; } whole;

static int32_t *read_indices(const char *name, const char *split, const char *field)
{
    char path[300];
    hrm_npy npy;
    snprintf(path, sizeof path, "%s/%s/%s/all__%s.npy", dir, name, split, field);
    if (hrm_npy_open(&npy, path) != HRM_OK) exit(2);
    int32_t *v = (int32_t *)malloc(npy.tensor.bytes);
    if (!v) exit(2);
    memcpy(v, npy.tensor.data, npy.tensor.bytes);
    hrm_npy_close(&npy);
    return v;
}

static int read_whole(whole *w, const char *name, const char *split)
{
    hrm_dataset *data = NULL;
    hrm_dataset_desc desc;
    memset(w, 0, sizeof *w);
    memset(&desc, 0, sizeof desc);
    desc.check_tokens = 1;
    CHECK_OK(hrm_dataset_open(&data, in_dir(name), split, &desc));
    if (!data) return 0;
    w->info = *hrm_dataset_describe(data);
    size_t n = (size_t)w->info.total_examples, T = (size_t)w->info.seq_len;
    w->batch.rows = (int)n;
    w->batch.inputs = (int32_t *)malloc(n * T * 4);
    w->batch.labels = (int32_t *)malloc(n * T * 4);
    w->batch.puzzle_identifiers = (int32_t *)malloc(n * 4);
    CHECK_OK(hrm_dataset_read(data, 0, &w->batch));
    w->puzzles = read_indices(name, split, "puzzle_indices");
    w->groups = read_indices(name, split, "group_indices");
    hrm_dataset_close(data);
    return 1;
}

static void free_whole(whole *w)
{
    free(w->batch.inputs);
    free(w->batch.labels);
    free(w->batch.puzzle_identifiers);
    free(w->puzzles);
    free(w->groups);
}

/* ---- Sudoku -------------------------------------------------------------------------------------------------------------- */
static int compare_ints(const void *a, const void *b)
{
    int x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void box_counts(const sudoku_shape *s, const uint8_t *puzzle, int counts[SUDOKU_MAX_SIZE])
{
    /* givens of each box, sorted: the same for every symmetric variant */
    memset(counts, 0, SUDOKU_MAX_SIZE * sizeof *counts);
    for (int c = 0; c < s->cells; c++)
        counts[c / s->size / s->box_rows * (s->size / s->box_cols) + c % s->size / s->box_cols] += puzzle[c] != 0;
    qsort(counts, (size_t)s->size, sizeof *counts, compare_ints);
}

static void check_ratings(const char *name, int min_rating, int max_rating)
{
    /* all of them between the two, and not all at one end */
    whole w;
    sudoku_shape s;
    int outside = 0, lower = 0;
    if (!sudoku_shape_make(&s, 9) || !read_whole(&w, name, "train")) return;
    for (int e = 0; e < w.batch.rows; e++) {
        uint8_t puzzle[81], found[81];
        for (int c = 0; c < 81; c++) puzzle[c] = (uint8_t)(w.batch.inputs[e * 81 + c] - 1);
        int rating = sudoku_rate(&s, puzzle);
        outside += sudoku_count_solutions(&s, puzzle, 2, found) != 1 || rating < min_rating || rating > max_rating;
        lower += 2 * rating < min_rating + max_rating;
    }
    CHECK(w.batch.rows > 0 && outside == 0, "%d of %d rated outside %d to %d", outside, (int)w.batch.rows, min_rating,
          max_rating);
    CHECK(4 * lower > w.batch.rows && 4 * lower < 3 * w.batch.rows, "%d of %d in the lower half", lower, (int)w.batch.rows);
    free_whole(&w);
}

static void check_sudoku(const char *name, const char *split, int size, int variants, int groups, int min_rating, int givens,
                         data_table *classes, int own_value)
{
    whole w;
    sudoku_shape s;
    int bad = 0, many = 0, easy = 0, fooled = 0, few = 0, apart = 0, foreign = 0, repeated = 0, first[SUDOKU_MAX_SIZE] = {0};
    if (!sudoku_shape_make(&s, size) || !read_whole(&w, name, split)) return;
    CHECK(w.info.seq_len == size * size && w.info.vocab_size == size + 2 && w.info.num_puzzle_identifiers == 1 &&
              w.info.ignore_label_id == 0,
          "metadata");
    CHECK(w.info.total_groups == groups && w.info.total_examples == (int64_t)groups * variants, "%d groups",
          (int)w.info.total_groups);
    for (int e = 0; e < w.batch.rows; e++) {
        uint8_t puzzle[81], solution[81], found[81];
        int counts[SUDOKU_MAX_SIZE], n = 0;
        for (int c = 0; c < s.cells; c++) {
            puzzle[c] = (uint8_t)(w.batch.inputs[e * s.cells + c] - 1);
            solution[c] = (uint8_t)(w.batch.labels[e * s.cells + c] - 1);
            n += puzzle[c] != 0;
        }
        bad += !sudoku_is_solution(&s, puzzle, solution);
        if (e % 7 == 0 || groups < 200)
            many += sudoku_count_solutions(&s, puzzle, 2, found) != 1 || memcmp(found, solution, (size_t)s.cells) != 0;
        if (min_rating > 0) {
            int rating = sudoku_rate(&s, puzzle);
            if (e % variants == 0) easy += rating < min_rating;
            else fooled += rating < min_rating / 3; /* in other orders of the cells it is about as hard */
        }
        few += n < givens;
        box_counts(&s, puzzle, counts);
        if (e % variants == 0) memcpy(first, counts, sizeof first);
        apart += memcmp(first, counts, sizeof first) != 0;
        if (e % variants)
            repeated +=
                memcmp(&w.batch.inputs[e * s.cells], &w.batch.inputs[(e - e % variants) * s.cells], (size_t)s.cells * 4) == 0;
        if (classes) {
            int added;
            int32_t *value = data_table_find(classes, sudoku_class(&s, solution), &added);
            if (added) *value = own_value;
            foreign += *value != own_value;
        }
    }
    for (int g = 0; g < groups; g++)
        bad += w.groups[g + 1] != (g + 1) * variants || w.puzzles[w.groups[g + 1]] != w.groups[g + 1];
    CHECK(bad == 0, "%s %s: %d boards are no Sudoku with its solution", name, split, bad);
    CHECK(many == 0, "%s %s: %d puzzles have another solution", name, split, many);
    CHECK(easy == 0 && few == 0, "%s %s: %d too easy, %d with too few givens", name, split, easy, few);
    CHECK(4 * fooled <= w.batch.rows, "%s %s: %d variants are much easier", name, split, fooled);
    CHECK(apart == 0, "%s %s: %d variants are not symmetric to their puzzle", name, split, apart);
    CHECK(size == 4 || repeated == 0, "%s %s: %d variants are the puzzle itself", name, split, repeated);
    CHECK(foreign == 0, "%s %s: %d solutions are in the other split, or relabelled", name, split, foreign);
    free_whole(&w);
}

#define Q9 "7..29........64..2.4.....5....7.1.........4813.....9...8..2..7...75..1.64.9......"
#define A9 "761295843593864712842173659924781365675932481318456927186329574237548196459617238"

static void test_sudoku_rating(void)
{
    /* the orders are of all cells and differ; the ratings are those of another program, written from the definition */
    static const char *const board[2] = {Q9,
                                         ".359.....17.83....9...57...8.....6......1.2.7.......9...3..9......37...879..8531."};
    static const int expected[2] = {1, 63};
    for (int size = 4; size <= 9; size += size == 4 ? 2 : 3) {
        sudoku_shape s;
        CHECK(sudoku_shape_make(&s, size), "size %d", size);
        for (int k = 0; k < SUDOKU_ORDERS; k++) {
            uint8_t seen[SUDOKU_MAX_CELLS] = {0};
            int n = 0, same = 0;
            for (int c = 0; c < s.cells; c++) n += !seen[s.order[k][c]]++;
            for (int j = 0; j < k; j++) same += memcmp(s.order[k], s.order[j], (size_t)s.cells) == 0;
            CHECK(n == s.cells && !same, "size %d, order %d: %d cells of %d", size, k, n, s.cells);
        }
        for (int i = 0; i < 2 && size == 9; i++) {
            uint8_t puzzle[81];
            for (int c = 0; c < 81; c++) puzzle[c] = (uint8_t)(board[i][c] == '.' ? 0 : board[i][c] - '0');
            int rating = sudoku_rate(&s, puzzle);
            CHECK(rating == expected[i], "board %d is rated %d, expected %d", i, rating, expected[i]);
        }
    }
}

static void test_sudoku_generated(void)
{
    static const struct {
        int size, train, test, aug, givens, rating;
    } cases[] = {
        {4, 150, 40, 3, 7, 0}, {6, 60, 20, 4, 0, 0}, {9, 40, 30, 5, 0, 0}, {9, 20, 2, 3, 0, 20}, {4, 1000, 50, 0, 6, 0}};
    for (int k = 0; k < 5; k++) {
        data_table classes;
        char more[64] = "";
        if (cases[k].givens) snprintf(more, sizeof more, " --givens %d", cases[k].givens);
        if (cases[k].rating) snprintf(more, sizeof more, " --min-difficulty %d", cases[k].rating);
        for (int threads = 1; threads <= 3; threads += 2)
            CHECK_RUN("sudoku --output-dir %s/s%d --generate %d --test-size=%d --size %d --num-aug %d%s --seed 5 --threads %d",
                      dir, threads, cases[k].train, cases[k].test, cases[k].size, cases[k].aug, more, threads);
        check_same("s1", "s3");
        CHECK(data_table_open(&classes, 10000) == 0, "memory");
        check_sudoku("s1", "train", cases[k].size, 1 + cases[k].aug, cases[k].train, cases[k].rating, cases[k].givens, &classes,
                     0);
        size_t train_classes = classes.count;
        check_sudoku("s1", "test", cases[k].size, 1, cases[k].test, cases[k].rating, cases[k].givens, &classes, 1);
        CHECK(k < 4 || (train_classes == 9 && classes.count == 12), "size 4: %d classes of solutions for training, %d in all",
              (int)train_classes, (int)classes.count);
        data_table_close(&classes);
    }
    CHECK_RUN("sudoku --output-dir %s/s1 --generate 40 --test-size 3 --num-aug 0 --seed 5", dir);
    CHECK_RUN("sudoku --output-dir %s/s3 --generate 40 --test-size 3 --num-aug 0 --seed 6", dir);
    whole one, other;
    int same = 0;
    if (!read_whole(&one, "s1", "train") || !read_whole(&other, "s3", "train")) return;
    for (int i = 0; i < 40 * 81; i += 81)
        same += memcmp(one.batch.inputs + i, other.batch.inputs + i, 81 * sizeof(int32_t)) == 0;
    CHECK(one.batch.filled == 40 && same == 0, "%d of %d puzzles are the same with two seeds", same, one.batch.filled);
    free_whole(&one);
    CHECK_RUN("sudoku --output-dir %s/s1 --generate 10 --test-size 3 --num-aug 5 --seed 6", dir);
    if (!read_whole(&one, "s1", "train")) return;
    for (int i = 0; i < 60; i++)
        for (int k = i / 6 * 6; k < i; k++)
            CHECK(memcmp(one.batch.inputs + 81 * i, one.batch.inputs + 81 * k, 81 * sizeof(int32_t)) != 0,
                  "variants %d and %d of puzzle %d are one", k % 6, i % 6, i / 6);
    free_whole(&one);
    free_whole(&other);
    CHECK_REFUSED(1, "rating of 5 or more", "sudoku --output-dir %s/out --generate 3 --size 4 --min-difficulty 5", dir);
    CHECK_RUN("sudoku --output-dir %s/s4 --generate 60 --test-size 4 --min-difficulty 3 --max-difficulty 12 --threads 3", dir);
    CHECK_RUN("sudoku --output-dir %s/s5 --generate 60 --test-size 4 --min-difficulty 3 --max-difficulty 12 --threads 1", dir);
    CHECK(same_file(in_dir("s4/train/all__inputs.npy"), in_dir("s5/train/all__inputs.npy")), "another set with other threads");
    check_ratings("s4", 3, 12);
    int solutions[2];
    for (int k = 0; k < 2; k++) { /* thirty puzzles of ten solutions, and of as many as there are */
        data_table different;
        for (int threads = 1; threads <= 3; threads += 2)
            CHECK_RUN("sudoku --output-dir %s/s%d --generate 30 --test-size 2 --max-difficulty 5 --per-solution %d%s",
                      dir, 3 + threads, k ? 1 : 3, threads == 1 ? " --threads 1" : " --threads 3");
        check_same("s4", "s6");
        check_ratings("s4", 0, 5);
        if (!read_whole(&one, "s4", "train") || data_table_open(&different, 30) != 0) return;
        for (int i = 0; i < one.batch.filled; i++) {
            int added;
            (void)data_table_find(&different, data_hash(DATA_HASH, one.batch.labels + 81 * i, 81 * sizeof(int32_t)), &added);
        }
        solutions[k] = (int)different.count;
        data_table_close(&different);
        free_whole(&one);
    }
    CHECK(solutions[0] >= 10 && solutions[0] < 20 && solutions[1] == 30, "%d and %d solutions, not ten or a few more and 30",
          solutions[0], solutions[1]);
    remove_tree("s6");
    remove_tree("s4");
    remove_tree("s5");
    remove_tree("s1");
    remove_tree("s3");
}

#define K9 "700290000000064002040000050000701000000000481300000900080020070007500106409000000"
#define B9 "7**29********64**2*4*****5****7*1*********4813*****9***8**2**7***75**1*64*9******"
#define C9 "7__29________64__2_4_____5____7_1_________4813_____9___8__2__7___75__1_64_9______"

static void write_csv(const char *name, const char *text)
{
    make_dir("csv");
    write_file(name, text);
}

static void test_subsample(void)
{
    /* nine boards that differ in what the digits are called: three are drawn, others by another seed, not the first three */
    char text[9 * 200] = "q,a\n";
    int drawn[4], in_order = 0, another = 0;
    for (int k = 0; k < 9; k++) {
        char *line = text + strlen(text);
        memcpy(line, Q9 "," A9 "\n", sizeof Q9 "," A9 "\n");
        for (char *c = line; *c; c++)
            if (*c >= '1' && *c <= '9') *c = (char)('1' + (*c - '1' + k) % 9);
    }
    write_csv("csv/train.csv", text);
    for (int seed = 0; seed < 4; seed++) {
        whole w;
        int which[3] = {0};
        CHECK_RUN("sudoku --output-dir %s/out --source-dir %s/csv --subsample-size 3 --seed %d", dir, dir, seed);
        if (!read_whole(&w, "out", "train")) return;
        CHECK(w.batch.filled == 3, "%d of 3 drawn", w.batch.filled);
        for (int i = 0; i < 3 && i < w.batch.filled; i++)
            which[i] = (w.batch.labels[81 * i] - 1 + 9 - (A9[0] - '0')) % 9; /* the first cell tells the board */
        CHECK(which[0] != which[1] && which[0] != which[2] && which[1] != which[2], "a board was drawn twice");
        in_order += which[0] == 0 && which[1] == 1 && which[2] == 2;
        drawn[seed] = which[0] + 9 * (which[1] + 9 * which[2]);
        another += drawn[seed] != drawn[0];
        free_whole(&w);
    }
    CHECK(in_order < 2 && another > 0, "the first boards %d times of 4; %d other draws than seed 0's", in_order, another);
}

static void test_sudoku_sources(void)
{
    write_csv("csv/train.csv",
              "source,question,answer,rating\nx," Q9 "," A9 ",3\r\n\"a, \"\"b\"\"\"," Q9 "," A9 ",12\n\nx," Q9 "," A9 ",25");
    write_csv("csv/test.csv", "source,q,a,rating\nx," Q9 "," A9 ",30\n");
    CHECK_RUN("sudoku --output-dir %s/out --source-dir %s/csv --num-aug 10", dir, dir);
    check_sudoku("out", "train", 9, 11, 3, 0, 0, NULL, 0);
    check_sudoku("out", "test", 9, 1, 1, 0, 0, NULL, 0);
    CHECK_RUN("sudoku --output-dir %s/out/ --source-dir %s/csv --min-difficulty 12 --subsample-size 1", dir,
              dir); /* replaces it */
    check_sudoku("out", "train", 9, 1, 1, 0, 0, NULL, 0);
    test_subsample();
    remove_tree("out");

    static const struct { const char *text, *message;
    } broken[] = {
        {"", "train.csv: the file is empty"},
        {"a,b,c\n", "train.csv:1: expected a header"},
        {"source,question,answer,rating\n", "train.csv: no rows"},
        {"source,question,answer,rating\nx," Q9 "," A9 ",0\nx," Q9 "," A9 "\n", "train.csv:3: 3 columns, expected 4"},
        {"source,question,answer,rating\nx," Q9 "5," A9 ",0\n",
         "train.csv:2: question of 82 and answer of 81 characters, expected 81"},
        {"source,question,answer,rating\nx,x" Q9 "," A9 ",0\n", "train.csv:2: question of 82"},
        {"source,question,answer,rating\nx,7..29........64..2.4.....5....7.1.........4813.....9...8..2..7...75..1.64.9....."
         "x," A9 ",0\n",
         "train.csv:2: the question has 'x' at character 81"},
        {"source,question,answer,rating\nx," Q9 "," A9 ",0\nx," Q9
         ",76129584359386471284217365992478136567593248131845692718632957423754819645961723.,1\n",
         "train.csv:3: the answer has '.' at character 81"},
        {"source,question,answer,rating\nx,6..29........64..2.4.....5....7.1.........4813.....9...8..2..7...75..1.64.9......"
         "," A9 ",0\n",
         "train.csv:2: the answer has 7 at character 1, where the question gives 6"},
        {"source,question,answer,rating\nx,.................................................................................,"
         "161295843593864712842173659924781365675932481318456927186329574237548196459617238,0\n",
         "train.csv:2: the answer has a digit twice"},
        {"source,question,answer,rating\n\"x," Q9 "," A9 ",0\n", "train.csv:2: a double quote that does not close"},
        {"question,answer\n" Q9 ",\"" A9 "\"x\n", "train.csv:2: a double quote that does not close"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_csv("csv/train.csv", broken[i].text);
        CHECK_REFUSED(1, broken[i].message, "sudoku --output-dir %s/out --source-dir %s/csv", dir, dir);
    }
    write_csv("csv/train.csv", "q,a,rating\n" Q9 "," A9 ",hard\n");
    CHECK_REFUSED(1, "train.csv:2: the rating \"hard\" is no number",
                  "sudoku --output-dir %s/out --source-dir %s/csv --min-difficulty 1", dir, dir);
    write_csv("csv/train.csv", "q,a,rating\n" Q9 "," A9 ",7\n");
    CHECK_REFUSED(1, "no row of a rating of at least 8", "sudoku --output-dir %s/out --source-dir %s/csv --min-difficulty 8",
                  dir, dir);
    CHECK_REFUSED(1, "no row of a rating of 0 to 6", "sudoku --output-dir %s/out --source-dir %s/csv --max-difficulty 6", dir,
                  dir);
    CHECK_RUN("sudoku --output-dir %s/out --source-dir %s/csv --min-difficulty 7 --max-difficulty 30", dir, dir);
    check_sudoku("out", "train", 9, 1, 1, 0, 0, NULL, 0);
    remove_tree("out");
    /* files as people have them: names of columns, their order and case, separators, blanks, line ends, marks */
    static const struct { const char *text; int rows, rated; } forms[] = {
        {"quizzes,solutions\n" K9 "," A9 "\n" K9 "," A9 "\n", 2, 0},
        {"Solution;Puzzle\r\n" A9 ";" Q9 "\r\n\r\n", 1, 0},
        {"\xef\xbb\xbfid, Question , Answer ,Rating\n1," Q9 "," A9 ", 5.0 \n2," Q9 "," A9 ",4.5\n \n", 1, 5},
        {"q\ta\r" Q9 "\t" A9 "\r" Q9 "\t" A9 "\r", 2, 0},
        {"\"puzzle\",\"solution\"\n\"" B9 "\",\"" A9 "\"\n", 1, 0},
        {"PUZZLE,SOLUTION\n" C9 "," A9, 1, 0},
        {"\"question\", \"answer\" \n\"" Q9 "\", \"" A9 "\" \n " Q9 " , " A9 " \n", 2, 0},
    };
    remove(in_dir("csv/test.csv"));
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        write_csv("csv/train.csv", forms[i].text);
        CHECK_RUN("sudoku --output-dir %s/out --source-dir %s/csv%s%s", dir, dir, i % 2 ? "/train.csv" : "",
                  forms[i].rated ? " --min-difficulty 5" : "");
        CHECK(strstr(said, "there is no test.csv"), "%s", said);
        CHECK(!exists("out/test"), "a test split from nowhere");
        check_sudoku("out", "train", 9, 1, forms[i].rows, 0, 0, NULL, 0);
    }
    remove_tree("out");
    remove_tree("csv");
}

/* ---- mazes --------------------------------------------------------------------------------------------------------------- */
static void turn(char *out, const char *in, int n, int t)
{
    /* quarter turns counter-clockwise, then for 4.. a mirror, by their definition on coordinates */
    static const int quarters[8] = {0, 1, 2, 3, 0, 2, 3, 1};
    char a[MAZE_MAX_CELLS], b[MAZE_MAX_CELLS];
    memcpy(a, in, (size_t)(n * n));
    for (int k = 0; k < quarters[t]; k++) {
        for (int r = 0; r < n; r++)
            for (int c = 0; c < n; c++) b[(n - 1 - c) * n + r] = a[r * n + c];
        memcpy(a, b, (size_t)(n * n));
    }
    for (int r = 0; r < n; r++)
        for (int c = 0; c < n; c++) out[r * n + (t < 4 ? c : n - 1 - c)] = a[r * n + c];
}

static int check_mazes(const char *name, const char *split, int size, int groups, int variants, int min_path)
{
    /* returns how many answers are not the first shortest path, as it is found by walking */
    whole w;
    int bad = 0, short_paths = 0, longer = 0, turned = 0, others = 0, n = size * size;
    if (!read_whole(&w, name, split)) return -1;
    CHECK(w.info.seq_len == n && w.info.vocab_size == 6 && w.info.total_groups == groups &&
              w.info.total_examples == (int64_t)groups * variants,
          "metadata");
    for (int e = 0; e < w.batch.rows; e++) {
        static char question[MAZE_MAX_CELLS], answer[MAZE_MAX_CELLS], first[MAZE_MAX_CELLS], expected[MAZE_MAX_CELLS],
            way[MAZE_MAX_CELLS];
        static int32_t distance[MAZE_MAX_CELLS], queue[MAZE_MAX_CELLS];
        int start = -1, goal = -1, path = 2;
        for (int c = 0; c < n; c++) {
            question[c] = " # SGo"[w.batch.inputs[e * n + c]];
            answer[c] = " # SGo"[w.batch.labels[e * n + c]];
            bad += answer[c] != question[c] && !(answer[c] == 'o' && question[c] == ' ');
            if (question[c] == 'S') start = c;
            if (question[c] == 'G') goal = c;
            path += answer[c] == 'o';
            way[c] = answer[c] == ' ' ? '#' : answer[c];
        }
        if (start < 0 || goal < 0) {
            bad++;
            continue;
        }
        (void)maze_bfs(question, size, size, start, distance, queue, NULL);
        longer += distance[goal] + 1 != path;
        short_paths += path < min_path;
        (void)maze_bfs(way, size, size, start, distance, queue, NULL);
        bad += distance[goal] + 1 != path;
        (void)maze_bfs(question, size, size, goal, distance, queue, NULL);
        int at = start, other = 0;
        for (int k = 0; at != goal && k < 4; k++) { /* down, left, right, up; from the first again after each step */
            int row = at / size + (k == 0) - (k == 3), col = at % size + (k == 2) - (k == 1), to = row * size + col;
            if (row < 0 || row >= size || col < 0 || col >= size || question[to] == '#') continue;
            if (distance[to] != distance[at] - 1) continue;
            other |= to != goal && answer[to] != 'o';
            at = to;
            k = -1;
        }
        others += other;
        if (e % variants == 0) memcpy(first, question, (size_t)n);
        turn(expected, first, size, e % variants);
        turned += memcmp(expected, question, (size_t)n) != 0;
    }
    CHECK(bad == 0, "%s %s: %d answers are no path through their maze", name, split, bad);
    CHECK(longer == 0, "%s %s: %d paths are not the shortest", name, split, longer);
    CHECK(short_paths == 0, "%s %s: %d paths of less than %d cells", name, split, short_paths, min_path);
    CHECK(turned == 0, "%s %s: %d variants are not the maze turned", name, split, turned);
    free_whole(&w);
    return others;
}

static void check_turned_mazes(const char *name, int size)
{
    /* no maze of either split is another one turned */
    static char questions[64][16], turned[16];
    int n = 0, cells = size * size;
    for (int split = 0; split < 2; split++) {
        whole w;
        if (!read_whole(&w, name, split ? "test" : "train")) return;
        for (int e = 0; e < w.batch.rows && n < 64; e++, n++)
            for (int c = 0; c < cells; c++) questions[n][c] = " # SGo"[w.batch.inputs[e * cells + c]];
        free_whole(&w);
    }
    for (int i = 0; i < n; i++)
        for (int t = 0; t < 8; t++) {
            turn(turned, questions[i], size, t);
            for (int k = 0; k < i; k++)
                CHECK(memcmp(turned, questions[k], (size_t)cells) != 0, "mazes %d and %d are one, turned", k, i);
        }
}

static void test_mazes(void)
{
    uint8_t grid[4] = {1, 2, 3, 4}, out[4];
    static const uint8_t turns[8][4] = {{1, 2, 3, 4}, {2, 4, 1, 3}, {4, 3, 2, 1}, {3, 1, 4, 2},
                                        {2, 1, 4, 3}, {3, 4, 1, 2}, {1, 3, 2, 4}, {4, 2, 3, 1}};
    for (int t = 0; t < 8; t++) {
        data_dihedral(out, grid, 2, 2, t);
        CHECK(memcmp(out, turns[t], 4) == 0, "dihedral transform %d", t);
    }
    for (int t = 0; t < 8; t++) { /* and back, of a grid that is not square */
        uint8_t six[6] = {1, 2, 3, 4, 5, 6}, turned[6], back[6];
        int swap = t == 1 || t == 3 || t >= 6;
        data_dihedral(turned, six, 2, 3, t);
        data_dihedral(back, turned, swap ? 3 : 2, swap ? 2 : 3, data_dihedral_inverse[t]);
        CHECK(memcmp(six, back, 6) == 0, "inverse of transform %d", t);
    }
    for (int threads = 1; threads <= 2; threads++) {
        CHECK_RUN("maze --output-dir %s/m%d --generate 12 --test-size 3 --threads %d --seed 3", dir, threads, threads);
        CHECK_RUN("maze --output-dir %s/n%d --generate 40 --size 11 --aug --threads %d", dir, threads, threads);
        CHECK(strstr(said, "--relabel keeps it"), "that answers are turned is told: %s", said);
    }
    check_same("m1", "m2");
    check_same("n1", "n2");
    check_mazes("m1", "train", 30, 12, 1, 110);
    check_mazes("m1", "test", 30, 3, 1, 110);
    int others = check_mazes("n1", "train", 11, 40, 8, 14);
    CHECK(others > 40 && others <= 40 * 7, "%d of 280 turned answers are not the first path", others);
    CHECK(check_mazes("n1", "test", 11, 4, 1, 14) == 0, "generated answers are the first path");
    CHECK_RUN("maze --output-dir %s/n2 --generate 40 --size 11 --aug --relabel", dir);
    CHECK(!strstr(said, "--relabel"), "and here they are not: %s", said);
    CHECK(check_mazes("n2", "train", 11, 40, 8, 14) == 0, "answers searched anew are the first path");
    CHECK_RUN("maze --output-dir %s/m1 --generate 8 --size 20 --min-path 60", dir);
    check_mazes("m1", "train", 20, 8, 1, 60);
    CHECK_RUN("maze --output-dir %s/m1 --generate 40 --test-size 5 --size 3 --min-path 3", dir);
    check_turned_mazes("m1", 3);
    remove_tree("m1");
    remove_tree("m2");
    remove_tree("n1");
    remove_tree("n2");
    CHECK_REFUSED(1, "no maze of size 3 with a shortest path of 9",
                  "maze --output-dir %s/out --generate 1 --size 3 --min-path 9", dir);
    CHECK_REFUSED(1, "different mazes of size 3", "maze --output-dir %s/out --generate 10000 --size 3", dir);

    write_csv("csv/test.csv", "source,question,answer,rating\n,S  #  G  ,S  #ooG  ,5\n");
    static const struct { const char *row, *message; } broken[] = {
        {",S  # xG  ,S  #ooG  ,5", "train.csv:3: the question has 'x' at character 6"},
        {",S  #  G  ,S  oooG  ,5", "train.csv:3: the answer has 'o' at character 4, where the question has '#'"},
        {",S  #  G S,S  #ooG S,5", "train.csv:3: 2 starts and 1 goals"},
        {",S  #  G G,S  #ooG G,5", "train.csv:3: 1 starts and 2 goals"},
        {",S  #  G   ,S  #ooG   ,5", "train.csv:3: question of 10"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char text[256];
        snprintf(text, sizeof text, "source,question,answer,rating\n,S  #  G  ,Soo#ooG  ,4\n%s\n", broken[i].row);
        write_csv("csv/train.csv", text);
        CHECK_REFUSED(1, broken[i].message, "maze --output-dir %s/out --source-dir %s/csv", dir, dir);
    }
    write_csv("csv/train.csv", "q,a\nS G,SoG\n");
    CHECK_REFUSED(1, "train.csv:2: a maze of 3 characters", "maze --output-dir %s/out --source-dir %s/csv", dir, dir);
    write_csv("csv/train.csv", "q,a\nS       G,Soo  o  G\nS       G,S  o  ooG\n");
    CHECK_RUN("maze --output-dir %s/out --source-dir %s/csv", dir, dir);
    CHECK(check_mazes("out", "train", 3, 2, 1, 5) == 1, "answers are taken as they are");
    CHECK_RUN("maze --output-dir %s/out --source-dir %s/csv --relabel", dir, dir);
    CHECK(strstr(said, "train.csv: 1 of 2 answers replaced"), "which is told: %s", said);
    CHECK(check_mazes("out", "train", 3, 2, 1, 5) == 0, "or searched anew");
    write_csv("csv/train.csv", "q,a\nS#####  G,S#####  G\n");
    CHECK_RUN("maze --output-dir %s/out --source-dir %s/csv", dir, dir);
    remove_tree("out");
    CHECK_REFUSED(1, "train.csv:2: no way leads from S to G", "maze --output-dir %s/out --source-dir %s/csv --relabel", dir,
                  dir);
    remove_tree("csv");
}

/* ---- ARC ----------------------------------------------------------------------------------------------------------------- */
typedef struct arc_board { int rows, cols, top, left; uint8_t cells[ARC_CELLS]; } arc_board;

static int read_board(arc_board *b, const int32_t *tokens)
{
    /* tokens -> the grid and where it stands; 0 when a token is not what it must be there. Ignored labels (-100) are pad */
    int right = -1, bottom = -1;
    b->top = b->left = ARC_SIDE;
    for (int i = 0; i < ARC_CELLS; i++) {
        if (tokens[i] < 2) continue;
        if (i / ARC_SIDE < b->top) b->top = i / ARC_SIDE;
        if (i % ARC_SIDE < b->left) b->left = i % ARC_SIDE;
        if (i / ARC_SIDE > bottom) bottom = i / ARC_SIDE;
        if (i % ARC_SIDE > right) right = i % ARC_SIDE;
    }
    b->rows = bottom - b->top + 1;
    b->cols = right - b->left + 1;
    for (int i = 0; i < ARC_CELLS; i++) {
        int r = i / ARC_SIDE, c = i % ARC_SIDE, t = tokens[i] < 0 ? 0 : tokens[i];
        int in_rows = r >= b->top && r <= bottom, in_cols = c >= b->left && c <= right;
        int eos = (r == bottom + 1 && in_cols) || (c == right + 1 && in_rows);
        if (in_rows && in_cols ? t < 2 : t != eos) return 0;
        if (in_rows && in_cols) b->cells[(r - b->top) * b->cols + c - b->left] = (uint8_t)(t - 2);
    }
    return b->rows > 0;
}

static int undo(arc_board *b, const char *name, const char *base)
{
    /* the transform that the name tells, undone -> 0: the name is none */
    static const int inverse[8] = {0, 3, 2, 1, 4, 5, 6, 7};
    size_t n = strlen(base);
    int colour[10], t;
    if (strncmp(name, base, n) != 0) return 0;
    if (!name[n]) return 1;
    if (strlen(name + n) != 14 || name[n + 1] != 't' || name[n + 3] != '_' || name[n + 4] != '0') return 0;
    t = name[n + 2] - '0';
    for (int c = 0; c < 10; c++) colour[name[n + 4 + (size_t)c] - '0'] = c;
    uint8_t out[ARC_CELLS];
    data_dihedral(out, b->cells, b->rows, b->cols, inverse[t]);
    int swap = t == 1 || t == 3 || t >= 6, rows = swap ? b->cols : b->rows;
    b->cols = b->rows + b->cols - rows;
    b->rows = rows;
    for (int i = 0; i < b->rows * b->cols; i++) b->cells[i] = (uint8_t)colour[out[i]];
    return 1;
}

static void check_arc(const char *name, const char *split, int groups, int max_variants, int *shared_ids)
{
    /* the first puzzle of a group is the task; every other one must become it again when undone, in each example */
    whole w;
    char path[300];
    hrm_json_document *doc = NULL;
    int bad = 0, names_bad = 0, differ = 0, equal = 0, placed = 0, moved = 0, in_place_missing = 0;
    unsigned turns = 0;
    int is_train = strcmp(split, "train") == 0;
    snprintf(path, sizeof path, "%s/%s/identifiers.json", dir, name);
    CHECK_OK(hrm_json_open(&doc, path, NULL));
    if (!doc || !read_whole(&w, name, split)) return;
    int num_ids = (int)hrm_json_root(doc)->count, n = 0;
    const char **names = (const char **)malloc((size_t)num_ids * sizeof *names);
    for (const hrm_json *j = hrm_json_root(doc)->child; names && j; j = j->next) names[n++] = j->string;
    if (!names) exit(2);
    CHECK(w.info.seq_len == 900 && w.info.vocab_size == 12 && w.info.num_puzzle_identifiers == num_ids &&
              strcmp(names[0], "<blank>") == 0,
          "metadata");
    CHECK(w.info.total_groups == groups, "%d groups, expected %d", (int)w.info.total_groups, groups);
    for (int g = 0; g < (int)w.info.total_groups; g++) {
        int first = w.groups[g], variants = w.groups[g + 1] - first, size = w.puzzles[first + 1] - w.puzzles[first];
        const char *base = names[w.batch.puzzle_identifiers[w.puzzles[first]]];
        bad += variants > max_variants;
        for (int p = first; p < w.groups[g + 1]; p++) {
            int in_place = 0, same = 1;
            const char *transform = strstr(names[w.batch.puzzle_identifiers[w.puzzles[p]]] + strlen(base), "_t");
            turns |= transform ? 1u << (transform[2] - '0') : 1u;
            bad += w.puzzles[p + 1] - w.puzzles[p] != size;
            for (int i = 0; i < size; i++) {
                arc_board b[2], original[2];
                int e = w.puzzles[p] + i, o = w.puzzles[first] + i;
                if (!read_board(&b[0], w.batch.inputs + e * 900) || !read_board(&b[1], w.batch.labels + e * 900) ||
                    !read_board(&original[0], w.batch.inputs + o * 900) ||
                    !read_board(&original[1], w.batch.labels + o * 900)) {
                    bad++;
                    continue;
                }
                placed += b[0].top != b[1].top || b[0].left != b[1].left;
                in_place += b[0].top == 0 && b[0].left == 0;
                moved += b[0].top != 0 || b[0].left != 0;
                for (int k = 0; k < 2; k++) {
                    int cells = b[k].rows * b[k].cols;
                    same &= b[k].rows == original[k].rows && memcmp(b[k].cells, original[k].cells, (size_t)cells) == 0;
                    if (!undo(&b[k], names[w.batch.puzzle_identifiers[e]], base)) names_bad++;
                    differ += b[k].rows != original[k].rows || b[k].cols != original[k].cols ||
                              memcmp(b[k].cells, original[k].cells, (size_t)cells) != 0;
                }
            }
            equal += p > first && same;
            in_place_missing += is_train ? in_place == 0 : in_place != size;
        }
        if (shared_ids) *shared_ids += w.batch.puzzle_identifiers[w.puzzles[first]];
    }
    CHECK(bad == 0, "%s %s: %d boards or groups are malformed", name, split, bad);
    CHECK(names_bad == 0, "%s %s: %d names that tell no transform", name, split, names_bad);
    CHECK(differ == 0, "%s %s: %d grids are not the task's when their transform is undone", name, split, differ);
    CHECK(equal == 0 || !is_train || max_variants < 10, "%s %s: %d variants are the task itself", name, split,
          equal); /* a part of a task's pairs may look the same */
    CHECK(max_variants < 50 || turns == 0xff, "%s %s: turned in the ways %x, expected all eight", name, split, turns);
    CHECK(placed == 0, "%s %s: %d inputs and outputs stand apart", name, split, placed);
    CHECK(in_place_missing == 0 && (is_train || moved == 0), "%s %s: %d puzzles without an example in place", name, split,
          in_place_missing);
    CHECK(!is_train || moved > 0, "%s: no translations", name);
    free(names);
    free_whole(&w);
    hrm_json_close(doc);
}

static const char task_a[] = "{\"train\": [{\"input\": [[1, 2, 3], [0, 0, 4]], \"output\": [[5]]}, {\"input\": [[7]], "
                             "\"output\": [[1, 2], [3, 4], [5, 6]]}],\n"
                             " \"test\": [{\"input\": [[9, 8]], \"output\": [[8, 9]]}]}";
static const char task_b[] =
    "{\"test\": [{\"output\": [[1, 1, 2]], \"input\": [[2, 1, 1]]}, {\"input\": [[3]], \"output\": [[4]]}],"
    " \"name\": \"named \\\"b\\\"\",\n"
    " \"train\": [{\"input\": [[1, 2]], \"output\": [[2, 3]]}, {\"input\": [[4, 2]], \"output\": [[2, 6]]}]}";
static const char task_black[] =
    "{\"train\": [{\"input\": [[0]], \"output\": [[0]]}], \"test\": [{\"input\": [[0]], \"output\": [[0]]}]}";

static void write_tasks(void)
{
    make_dir("arc");
    make_dir("arc/training");
    make_dir("arc/evaluation");
    write_file("arc/training/a.json", task_a);
    write_file("arc/training/black.json", task_black);
    write_file("arc/evaluation/b.json", task_b);
    write_file("arc/evaluation/c.json", task_a);
    write_file("arc/evaluation/notes.txt", "no task");
}

/* ARC as people have it: one folder of tasks, a repository, Kaggle's files, re-arc's lists, outputs that are not known,
 * strays. */
#define PAIR(a, b) "{\"input\": [[" a "]], \"output\": [[" b "]]}"
static int arc_examples(const char *name, const char *split, int groups, int examples)
{
    whole w;
    if (!read_whole(&w, name, split)) return 0;
    CHECK(w.info.total_groups == groups && w.info.total_examples == examples,
          "%s/%s: %d groups, %d examples, expected %d and %d: %s", name, split, (int)w.info.total_groups,
          (int)w.info.total_examples, groups, examples, said);
    free_whole(&w);
    return 1;
}

static void test_arc_forms(void)
{
    static const char *const folders[] = {"forms",
                                          "forms/lone",
                                          "forms/repo",
                                          "forms/repo/apps",
                                          "forms/repo/data",
                                          "forms/repo/data/training",
                                          "forms/repo/data/evaluation",
                                          "forms/kaggle",
                                          "forms/large"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) make_dir(folders[i]);
    write_file("forms/lone/a.json",
               "{\"train\": [" PAIR("1", "2") "], \"test\": [" PAIR("3", "4") "], \"comment\": {\"by\": \"me\"}}");
    write_file("forms/lone/b.json", "[" PAIR("1,1", "2") "," PAIR("3,3", "4") "," PAIR("5,5", "6") "]"); /* re-arc */
    write_file("forms/lone/._a.json", "\x00\x05\x16 junk");
    write_file("forms/repo/apps/x.html", "<html>");
    write_file("forms/repo/data/training/a.json", "{\"train\": [" PAIR("1", "2") "], \"test\": [" PAIR("3", "4") "]}");
    write_file("forms/repo/data/evaluation/b.json", "{\"train\": [" PAIR("1", "2") "], \"test\": [{\"input\": [[7,7]]}]}");
    write_file("forms/kaggle/arc-agi_training_challenges.json",
               "{\"a\": {\"train\": [" PAIR("1", "2") "], \"test\": [{\"input\": [[3]]}]}}");
    write_file("forms/kaggle/arc-agi_training_solutions.json", "{\"a\": [[[4]]]}");
    write_file("forms/kaggle/arc-agi_evaluation_challenges.json",
               "{\"b\": {\"train\": [" PAIR("1", "2") "], \"test\": [{\"input\": [[3]]}, {\"input\": [[5]]}]}}");
    write_file("forms/kaggle/arc-agi_evaluation_solutions.json", "{\"b\": [[[4]], [[6]]]}");
    write_file("forms/kaggle/arc-agi_test_challenges.json",
               "{\"c\": {\"train\": [" PAIR("1", "2") "], \"test\": [{\"input\": [[3]]}]}}");
    write_file("forms/kaggle/sample_submission.json", "{\"c\": [{\"attempt_1\": [[0]]}]}");
    write_file("forms/large/a.json", "{\"train\": [" PAIR("0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
                                                          "1") "], \"test\": [" PAIR("1", "1") "]}");
    write_file("forms/large/b.json", "{\"train\": [" PAIR("1", "2") "], \"test\": [" PAIR("1", "1") "]}");

    CHECK_RUN("arc --output-dir %s/f --dataset-dirs %s/forms/lone --num-aug 0", dir, dir);
    arc_examples("f", "train", 2, 5);
    CHECK_RUN("arc --output-dir %s/f --dataset-dirs %s/forms/repo --num-aug 0", dir, dir);
    arc_examples("f", "train", 2, 3);
    if (arc_examples("f", "test", 1, 1)) { /* what is not known is not scored */
        whole w;
        if (read_whole(&w, "f", "test")) {
            int labelled = 0;
            for (int i = 0; i < 900; i++) labelled += w.batch.labels[i] != -100;
            CHECK(labelled == 0 && w.batch.inputs[0] == 9 && w.batch.inputs[1] == 9, "%d labels of an output that is not known",
                  labelled);
            free_whole(&w);
        }
    }
    CHECK_RUN("arc --output-dir %s/f --dataset-dirs %s/forms/kaggle --num-aug 0", dir, dir);
    arc_examples("f", "train", 3, 4);
    arc_examples("f", "test", 2, 3);
    CHECK_RUN("arc --output-dir %s/f --dataset-dirs %s/forms/large --num-aug 0", dir, dir);
    CHECK(strstr(said, "task a is left out") && strstr(said, "1 tasks were left out"), "%s", said);
    arc_examples("f", "train", 1, 2);
    write_file("forms/kaggle/arc-agi_evaluation_solutions.json", "{\"b\": [[[4]]]}");
    CHECK_REFUSED(1, "the solutions of b are 1, its test inputs 2", "arc --output-dir %s/out --dataset-dirs %s/forms/kaggle",
                  dir, dir);
    remove(in_dir("forms/large/b.json"));
    CHECK(command("arc --output-dir %s/out --dataset-dirs %s/forms/large", dir, dir) == 1 &&
              strstr(said, "every task has a grid of more than"),
          "%s", said);
    remove_tree("forms");
    remove_tree("f");
}

static void test_arc(void)
{
    write_tasks();
    for (int threads = 1; threads <= 3; threads += 2)
        CHECK_RUN("arc --output-dir %s/a%d --dataset-dirs %s/arc --num-aug 50 --threads %d", dir, threads, dir, threads);
    CHECK(strstr(said, "1 of 4 tasks have fewer than 50"), "%s", said);
    check_same("a1", "a3");
    int train_ids = 0, test_ids = 0;
    check_arc("a1", "train", 4, 51, &train_ids);
    check_arc("a1", "test", 2, 51, &test_ids);
    whole w;
    if (read_whole(&w, "a1", "train")) { /* the demonstrations of all, the test pairs of training: 3 + 2 + 2 + 2 */
        CHECK(w.info.total_puzzles == 51 + 1 + 51 + 51, "%d puzzles", (int)w.info.total_puzzles);
        CHECK(w.info.total_examples == 51 * 3 + 2 + 51 * 2 + 51 * 2, "%d examples", (int)w.info.total_examples);
        CHECK(w.info.num_puzzle_identifiers == 155, "%d identifiers", w.info.num_puzzle_identifiers);
        free_whole(&w);
    }
    hrm_json_document *doc = NULL;
    CHECK_OK(hrm_json_open(&doc, in_dir("a1/test_puzzles.json"), NULL));
    if (doc) {
        const hrm_json *b = hrm_json_get(hrm_json_root(doc), "named \"b\""), *test = hrm_json_get(b, "test");
        CHECK(hrm_json_root(doc)->count == 2 && b && test && test->count == 2, "test_puzzles.json");
        CHECK(test && hrm_json_get(test->child, "input")->child->child->number == 2, "test_puzzles.json");
        hrm_json_close(doc);
    }
    CHECK_RUN("arc --output-dir %s/a3 --dataset-dirs %s/arc --num-aug 50 --seed 43", dir, dir);
    CHECK(!same_file(in_dir("a1/train/all__inputs.npy"), in_dir("a3/train/all__inputs.npy")), "two seeds, one data set");
    remove_tree("a1");
    remove_tree("a3");

    static const struct { const char *text, *message;
    } broken[] = {
        {"{\"train\": [", "b.json"},
        {"1", "b.json:1: expected an object"},
        {"[]", "b.json:1: \"train\" is no list of pairs"},
        {"{\"train\": []}", "b.json:1: \"train\" is no list of pairs"},
        {"{\"train\": [{\"input\": [[1]]}],\n\"test\": [{\"input\": [[1]], \"output\": [[1]]}]}",
         "b.json:1: the pair has no \"output\""},
        {"{\"train\": [{\"input\": [[1]], \"output\": [[1]]}],\n\"test\": [{\"output\": [[1]]}]}",
         "b.json:2: the pair has no \"input\""},
        {"{\"train\": [{\"input\": [[1]],\n\"output\": [[1, 10]]}], \"test\": [{\"input\": [[1]], \"output\": [[1]]}]}",
         "b.json:2: \"output\" holds 10, expected a colour"},
        {"{\"train\": [{\"input\": [[1]],\n\"output\": [[1, 1],\n[1]]}], \"test\": [{\"input\": [[1]], \"output\": [[1]]}]}",
         "b.json:3: a row of \"output\" has 1 colours, expected 2"},
        {"{\"train\": [{\"input\": [[1.5]], \"output\": [[1]]}], \"test\": [{\"input\": [[1]], \"output\": [[1]]}]}",
         "holds 1.5"},
        {"{\"train\": [{\"input\": [[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]], \"output\": [[1]]}], "
         "\"test\": []}",
         "b.json:1: \"test\" is no list"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_file("arc/evaluation/b.json", broken[i].text);
        CHECK_REFUSED(1, broken[i].message, "arc --output-dir %s/out --dataset-dirs %s/arc", dir, dir);
    }
    make_dir("arc/none");
    CHECK_REFUSED(1, "no tasks", "arc --output-dir %s/out --dataset-dirs %s/arc/none", dir, dir);
    test_arc_forms();
    CHECK_REFUSED(1, "nowhere", "arc --output-dir %s/out --dataset-dirs %s/nowhere", dir, dir);
    remove_tree("arc");
}

/* ---- grids of one's own -------------------------------------------------------------------------------------------------- */
static void check_rows(const char *split, int rows, int T, const int *inputs, const int *labels, const int *ids)
{
    whole w;
    if (!read_whole(&w, "out", split)) return;
    int bad = 0;
    CHECK(w.batch.rows == rows && w.info.seq_len == T, "%d rows of %d", w.batch.rows, w.info.seq_len);
    for (int i = 0; i < rows * T && w.batch.rows == rows && w.info.seq_len == T; i++)
        bad += w.batch.inputs[i] != inputs[i] || w.batch.labels[i] != (labels[i] ? labels[i] : -100);
    for (int i = 0; i < rows && ids && w.batch.rows == rows; i++) bad += w.batch.puzzle_identifiers[i] != ids[i];
    CHECK(bad == 0, "%s: %d wrong values", split, bad);
    free_whole(&w);
}

static void check_text(const char *name, const char *expected)
{
    hrm_file_map m;
    CHECK_OK(hrm_file_map_open(&m, in_dir(name)));
    CHECK(m.size == strlen(expected) && memcmp(m.data, expected, m.size) == 0, "%s is \"%.*s\", expected \"%s\"", name,
          (int)m.size, (const char *)m.data, expected);
    hrm_file_map_close(&m);
}

static void test_grid(void)
{
    make_dir("own");
    write_file("own/train.txt", "abc -> cba\nbbb -> bbb\r\n\ncab -> bac");
    write_file("own/test.txt", "a\xc3\xa9z -> z\xc3\xa9" "a\n");
    CHECK_RUN("grid --output-dir %s/out --source-dir %s/own", dir, dir);
    static const int in1[] = {1, 2, 3, 2, 2, 2, 3, 1, 2}, out1[] = {3, 2, 1, 2, 2, 2, 2, 1, 3}, in2[] = {1, 5, 4},
                     out2[] = {4, 5, 1};
    check_rows("train", 3, 3, in1, out1, NULL);
    check_rows("test", 1, 3, in2, out2, NULL);
    check_text("out/vocabulary.json",
               "{\"rows\": 1, \"columns\": 3, \"tokens\": [\"<pad>\", \"a\", \"b\", \"c\", \"z\", \"\xc3\xa9\"]}\n");
    remove(in_dir("own/test.txt"));

    write_file("own/train.txt",
               "10 2\n-1 x\n->\nx x\n2 2\n\n\n2 2\n2 2\n->\n2 2\n2 10\n"); /* words, numbers by value before texts */
    CHECK_RUN("grid --output-dir %s/out --source-dir %s/own", dir, dir);
    static const int in3[] = {3, 2, 1, 4, 2, 2, 2, 2}, out3[] = {4, 4, 2, 2, 2, 2, 2, 3};
    check_rows("train", 2, 4, in3, out3, NULL);
    check_text("out/vocabulary.json", "{\"rows\": 2, \"columns\": 2, \"tokens\": [\"<pad>\", \"-1\", \"2\", \"10\", \"x\"]}\n");
    CHECK(!exists("out/test"), "a test split from nothing");
    write_file("own/train.txt", "# \n #\n->\n##\n  \n");
    CHECK_RUN("grid --output-dir %s/out --source-dir %s/own --tokens characters", dir, dir);
    static const int in4[] = {2, 1, 1, 2}, out4[] = {2, 2, 1, 1};
    check_rows("train", 1, 4, in4, out4, NULL);
    write_file("own/train.txt", "\xef\xbb\xbf"
                                "2 1 -> 1 2 \r1 1 -> 2 2\t\r"); /* a mark in front, blanks at the end, other line ends */
    CHECK_RUN("grid --output-dir %s/out --source-dir %s/own", dir, dir);
    static const int in7[] = {2, 1, 1, 1}, out7[] = {1, 2, 2, 2};
    check_rows("train", 2, 2, in7, out7, NULL);
    check_text("out/vocabulary.json", "{\"rows\": 1, \"columns\": 2, \"tokens\": [\"<pad>\", \"1\", \"2\"]}\n");
    remove(in_dir("own/train.txt"));

    write_file("own/train.json",
               "[{\"input\": [[1, 2]], \"output\": [[2, null]], \"puzzle\": \"p\"}, {\"input\": [2, 2], \"output\": [1, 1]},\n"
               " {\"input\": \"ab\", \"output\": \"ba\", \"puzzle\": \"q\"}, {\"puzzle\": \"p\", \"input\": [\"a\", 1], "
               "\"output\": [1, \"a\"]}]");
    write_file("own/test.json", "[{\"input\": [1, 1], \"output\": [2, 2], \"puzzle\": \"q\"}]");
    CHECK_RUN("grid --output-dir %s/out --source-dir %s/own", dir, dir);
    static const int in5[] = {1, 2, 3, 1, 2, 2, 3, 4}, out5[] = {2, 0, 1, 3, 1, 1, 4, 3}, ids5[] = {1, 1, 0, 2}, in6[] = {1, 1},
                     out6[] = {2, 2}, ids6[] = {2};
    check_rows("train", 4, 2, in5, out5, ids5); /* examples of one puzzle stand together */
    check_rows("test", 1, 2, in6, out6, ids6);
    check_text("out/identifiers.json", "[\"<blank>\", \"p\", \"q\"]");
    whole w;
    if (read_whole(&w, "out", "train")) {
        CHECK(w.info.total_groups == 3 && w.info.total_puzzles == 3 && w.info.num_puzzle_identifiers == 3, "groups");
        free_whole(&w);
    }
    remove_tree("out");
    remove(in_dir("own/test.json"));
    remove(in_dir("own/train.json"));

    write_file("own/train.txt", "ab\nba\n->\naa\nbb\n\na -> b\n"); /* of several sizes: top left, padding around */
    write_file("own/test.txt", "bab -> aba\n");
    CHECK_RUN("grid --output-dir %s/out --source-dir %s/own", dir, dir);
    static const int in8[] = {1, 2, 0, 2, 1, 0, 1, 0, 0, 0, 0, 0}, out8[] = {1, 1, 0, 2, 2, 0, 2, 0, 0, 0, 0, 0},
                     in9[] = {2, 1, 2, 0, 0, 0}, out9[] = {1, 2, 1, 0, 0, 0};
    check_rows("train", 2, 6, in8, out8, NULL);
    check_rows("test", 1, 6, in9, out9, NULL);
    check_text("out/vocabulary.json", "{\"rows\": 2, \"columns\": 3, \"least_rows\": 1, \"least_columns\": 1, "
                                      "\"tokens\": [\"<pad>\", \"a\", \"b\"]}\n");
    remove_tree("out");
    remove(in_dir("own/test.txt"));

    static const struct { const char *name, *text, *message;
    } broken[] = {
        {"own/train.json", "{}", "train.json:1: expected a list"},
        {"own/train.json", "[]", "train.json: no examples"},
        {"own/train.json", "[1]", "train.json:1: expected an object"},
        {"own/train.json", "[{\"input\": [1]}]", "train.json:1: the example has no \"output\""},
        {"own/train.json", "[{\"input\": [1, 2], \"output\": [1]}]", "train.json:1: the output is 1 x 1, expected 1 x 2"},
        {"own/train.json", "[{\"input\": [1], \"output\": [[1], [1]]}]", "train.json:1: the output is 2 x 1"},
        {"own/train.json", "[{\"input\": [[1, 2],\n[1]], \"output\": [[1], [1]]}]",
         "train.json:2: a row of 1 tokens, expected 2"},
        {"own/train.json", "[{\"input\": [[1], 2], \"output\": [1]}]", "holds rows and something else"},
        {"own/train.json", "[{\"input\": [null], \"output\": [1]}]", "expected a number or a text"},
        {"own/train.json", "[{\"input\": [\"\"], \"output\": [1]}]", "expected a number or a text"},
        {"own/train.json", "[{\"input\": [], \"output\": [1]}]", "an empty row"},
        {"own/train.json", "[{\"input\": \"\", \"output\": \"\"}]", "\"input\" is empty"},
        {"own/train.json", "[{\"input\": 5, \"output\": [1]}]", "neither a list nor a text"},
        {"own/train.json", "[{\"input\": [1], \"output\": [1], \"outputs\": 1}]", "unknown member \"outputs\""},
        {"own/train.json", "[{\"input\": [1], \"output\": [1], \"puzzle\": [1]}]", "\"puzzle\" is no name"},
        {"own/train.txt", "", "train.txt: no examples"},
        {"own/train.txt", "ab\n", "train.txt:1: the example that begins here has no output"},
        {"own/train.txt", "a -> b\n\nab\nab\n->\n\n", "train.txt:3: the example that begins here has no output"},
        {"own/train.txt", "->\nab\n", "train.txt:1: an arrow without an input"},
        {"own/train.txt", "ab\nabc\n->\nab\nab\n", "train.txt:2: a row of 3 tokens, expected 2"},
        {"own/train.txt", "ab\nab -> ab\n", "train.txt:2: a sequence in the middle"},
        {"own/train.txt",
         "ab -> ba\na\xe9 -> \xe9"
         "a\n",
         "train.txt:2: the line is not UTF-8"}, /* Latin-1 */
        {"own/train.txt", "a\xed\xa0\x80 -> a\xed\xa0\x80\n", "train.txt:1: the line is not UTF-8"},
        {"own/train.txt", "ab -> ab\nab -> abc\n", "train.txt:2: the output is 1 x 3, expected 1 x 2"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        remove(in_dir("own/train.json"));
        remove(in_dir("own/train.txt"));
        write_file(broken[i].name, broken[i].text);
        CHECK_REFUSED(1, broken[i].message, "grid --output-dir %s/out --source-dir %s/own", dir, dir);
    }
    write_file("own/train.json", "[]");
    write_file("own/train.txt", "a -> b\n");
    CHECK_REFUSED(1, "train.json", "grid --output-dir %s/out --source-dir %s/own", dir, dir);
    remove_tree("own");
    make_dir("own");
    CHECK_REFUSED(1, "neither train.json nor train.txt", "grid --output-dir %s/out --source-dir %s/own", dir, dir);

    /* more than 255 tokens: wider arrays */
    FILE *f = fopen(in_dir("own/train.txt"), "wb");
    for (int i = 0; f && i < 400; i++) fprintf(f, "%d -> %d\n", i, 399 - i);
    if (f) fclose(f);
    CHECK_RUN("grid --output-dir %s/out --source-dir %s/own --tokens words", dir, dir);
    int many_in[400], many_out[400];
    for (int i = 0; i < 400; i++) many_in[i] = i + 1, many_out[i] = 400 - i;
    check_rows("train", 400, 1, many_in, many_out, NULL);
    remove_tree("own");
    remove_tree("out");
}

/* ---- options, directories, interrupts ------------------------------------------------------------------------------------ */
static void test_options(void)
{
    static const struct { const char *words, *message; } wrong[] = {
        {"", "expected sudoku, maze, arc or grid"},
        {"chess", "unknown kind chess"},
        {"sudoku", "--output-dir is missing"},
        {"sudoku --output-dir", "--output-dir wants a value"},
        {"sudoku --output-dir=", "--output-dir is empty"},
        {"sudoku --output-dir x", "either --source-dir or --generate"},
        {"sudoku --output-dir x --generate 1 --source-dir y", "either --source-dir or --generate"},
        {"sudoku --output-dir x --generate", "--generate wants a value"},
        {"sudoku --output-dir x --generate many", "--generate is many"},
        {"sudoku --output-dir x --generate 1e3", "--generate is 1e3"},
        {"sudoku --output-dir x --generate 0", "--generate is 0"},
        {"sudoku --output-dir x --generate -5", "--generate is -5"},
        {"sudoku --output-dir x --generate 99999999999999999999", "expected a number of 1 to"},
        {"sudoku --output-dir x --generate 5 --size 5", "--size is 5, expected 4, 6 or 9"},
        {"sudoku --output-dir x --generate 5 --size 4 --givens 17", "--givens is 17"},
        {"sudoku --output-dir x --generate 5 --givens 30 --min-difficulty 5", "exclude each other"},
        {"sudoku --output-dir x --generate 5 --givens 30 --max-difficulty 5", "--max-difficulty exclude each other"},
        {"sudoku --output-dir x --generate 5 --min-difficulty 6 --max-difficulty 5", "less than --min-difficulty"},
        {"sudoku --output-dir x --generate 5 --min-difficulty 255", "is 255, expected at most 254"},
        {"sudoku --output-dir x --generate 5 --per-solution 1",
         "--per-solution goes with --min-difficulty or --max-difficulty"},
        {"sudoku --output-dir x --generate 5 --max-difficulty 9 --per-solution 17", "--per-solution"},
        {"sudoku --output-dir x --source-dir y --per-solution 1", "--per-solution goes with --generate"},
        {"sudoku --output-dir x --generate 5 --subsample-size 3", "--subsample-size goes with --source-dir"},
        {"sudoku --output-dir x --source-dir y --test-size 3", "--test-size goes with --generate"},
        {"sudoku --output-dir x --generate 5 --aug", "unknown option --aug"},
        {"sudoku --output-dir x --generate 5 --relabel", "unknown option --relabel"},
        {"sudoku --output-dir x --generate 5 nonsense", "unknown option nonsense"},
        {"maze --output-dir x --generate 5 --num-aug 8", "it has no option --num-aug"},
        {"maze --output-dir x --generate 5 --size 200", "--size is 200"},
        {"maze --output-dir x --generate 5 --size 5 --min-path 26", "--min-path is 26"},
        {"maze --output-dir x --source-dir y --size 5", "--size goes with --generate"},
        {"arc --output-dir x", "--dataset-dirs is missing"},
        {"arc --output-dir x --dataset-dirs --num-aug 3", "--dataset-dirs is missing"},
        {"arc --output-dir x --dataset-dirs y --num-aug 9999999", "--num-aug is 9999999"},
        {"grid --output-dir x", "--source-dir is missing"},
        {"grid --output-dir x --source-dir y --tokens bytes", "--tokens is bytes"},
        {"grid --output-dir x --source-dir y --threads 0", "--threads is 0"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) CHECK_REFUSED(2, wrong[i].message, "%s", wrong[i].words);

    make_dir("mine");
    write_file("mine/thesis.txt", "precious");
    int status = command("sudoku --output-dir %s/mine --generate 2 --size 4", dir);
    CHECK(status == 1 && strstr(said, "no data set"), "status %d: %s", status, said);
    CHECK(exists("mine/thesis.txt") && !beside("mine", ""), "someone's files are gone");
    make_dir("mine.tmp");
    write_file("mine.tmp/thesis.txt", "precious");
    remove(in_dir("mine/thesis.txt"));
    status = command("sudoku --output-dir %s/mine --generate 2 --size 4", dir);
    CHECK(status == 0 && exists("mine/train/dataset.json") && exists("mine.tmp/thesis.txt"), "status %d: %s", status, said);
    remove(in_dir("mine.tmp/thesis.txt"));
    make_dir("mine.tmp77"); /* what killed builds leave, of this version and of others */
    make_dir("mine.tmp/train");
    write_file("mine.tmp/train/all__inputs.npy.tmp123", "half");
    write_file("mine.tmp77/identifiers.json", "half");
    CHECK_RUN("sudoku --output-dir %s/mine --generate 2 --size 4", dir);
    CHECK(exists("mine/train/dataset.json") && !beside("mine", ""), "an empty directory is a good place");

    /* killed between two renames: the set that was there before is whole, aside, and comes back whatever becomes of the next
     * build */
    CHECK(rename(in_dir("mine"), in_dir("mine.hrm-old")) == 0, "no rename");
    make_dir("mine.old"); /* a person's own */
    write_file("mine.old/dataset.json", "{}");
    status = command("sudoku --output-dir %s/mine --source-dir %s/nowhere", dir, dir);
    CHECK(status == 1 && strstr(said, "restored") && exists("mine/train/dataset.json") && beside("mine", "") == 1,
          "status %d: %s", status, said);
    CHECK(exists("mine.old/dataset.json"), "what a person set aside is gone");
    remove_tree("mine.old");
    remove_tree("mine");
}

static void test_places(void)
{
    /* a link stays one, and what it leads to is replaced; places that cannot be replaced are told before anything is built */
    make_dir("real");
    CHECK(symlink(in_dir("real"), in_dir("link")) == 0 && symlink(in_dir("nothing"), in_dir("loose")) == 0, "no links");
    for (int k = 0; k < 2; k++) {
        struct stat s;
        CHECK_RUN("sudoku --output-dir %s/link --generate %d --size 4", dir, 2 + k);
        CHECK(lstat(in_dir("link"), &s) == 0 && S_ISLNK(s.st_mode) && exists("real/train/dataset.json"),
              "the link was replaced");
        CHECK(!beside("link", "") && !beside("real", ""), "something was left behind");
    }
    CHECK_REFUSED(1, "loose is a link that leads nowhere", "sudoku --output-dir %s/loose --generate 2 --size 4", dir);
    CHECK_REFUSED(2, "expected a folder with a name of its own", "sudoku --output-dir %s/real/. --generate 2 --size 4", dir);
    CHECK_REFUSED(2, "expected a folder with a name of its own", "sudoku --output-dir / --generate 2 --size 4");

    /* a set before that cannot be removed: the new one stands, that is said, and the next build removes what is left */
    CHECK_RUN("sudoku --output-dir %s/out --generate 2 --size 4", dir);
    kept = 1;
    CHECK_RUN("sudoku --output-dir %s/out --generate 3 --size 4", dir);
    CHECK(strstr(said, "is complete; what is left in") && beside("out", "tmp") == 1, "%s", said);
    kept = 0;
    check_sudoku("out", "train", 4, 1, 3, 0, 0, NULL, 0);
    CHECK_RUN("sudoku --output-dir %s/out --generate 2 --size 4", dir);
    CHECK(!beside("out", ""), "something was left behind");
    remove_tree("out");

    /* where no lock can be had nothing is removed that a living build may be writing, and that is said */
    make_dir("out.tmp1");
    make_dir("out.tmp1/train");
    write_file("out.tmp1/train/dataset.json", "{}");
    unlocked = ENOLCK;
    CHECK_RUN("sudoku --output-dir %s/out --generate 2 --size 4", dir);
    CHECK(strstr(said, "out.lock: no lock can be had here (") &&
              strstr(said, "out.tmp1: of another build, killed or at work: it stays"),
          "%s", said);
    CHECK(exists("out.tmp1/train/dataset.json") && beside("out", "") == 1, "another build's folder was touched");
    CHECK(rename(in_dir("out"), in_dir("out.hrm-old")) == 0, "no set before");
    CHECK(command("sudoku --output-dir %s/out --generate 2 --size 4", dir) == 1 && strstr(said, "out.hrm-old is in the way"),
          "%s", said);
    CHECK(exists("out.hrm-old/train/dataset.json") && exists("out.tmp1/train/dataset.json") && !exists("out"),
          "another build's folder was touched");
    unlocked = 0;
    CHECK_RUN("sudoku --output-dir %s/out --generate 2 --size 4", dir);
    CHECK(!beside("out", ""), "with a lock what is left goes");
    remove_tree("out");

    /* what cannot be looked at is not taken for what is not there */
    static const struct { const char *file, *text, *loop, *words;
    } hidden[] = {
        {"h/train.csv", "q,a\n1234341221434321,1234341221434321\n", "h/test.csv", "sudoku --size 4 --source-dir"},
        {"h/train.txt", "1 2 -> 2 1\n", "h/test.txt", "grid --source-dir"},
        {"h/x_challenges.json", "{\"a\": {\"train\": [" PAIR("1", "2") "], \"test\": [{\"input\": [[3]]}]}}",
         "h/x_solutions.json", "arc --num-aug 0 --dataset-dirs"},
        {"h/a.json", "{\"train\": [" PAIR("1", "2") "], \"test\": [" PAIR("1", "2") "]}", "h/evaluation",
         "arc --num-aug 0 --dataset-dirs"},
    };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        make_dir("h");
        write_file(hidden[i].file, hidden[i].text);
        CHECK(symlink(in_dir(hidden[i].loop), in_dir(hidden[i].loop)) == 0, "no link");
        CHECK_REFUSED(1, hidden[i].loop, "%s %s/h --output-dir %s/out", hidden[i].words, dir, dir);
        remove(in_dir(hidden[i].loop));
        CHECK_RUN("%s %s/h --output-dir %s/out", hidden[i].words, dir, dir);
        remove_tree("out");
        for (int n = 1; i == 3 && n < 40; n++) { /* every list that breaks off: refused, or of no matter to the set */
            unread = n;
            int status = command("%s %s/h --output-dir %s/out", hidden[i].words, dir, dir), whole_list = unread > 0;
            unread = 0;
            CHECK(status == 0 || (status == 1 && strstr(said, "Input/output error")), "entry %d: status %d: %s", n, status,
                  said);
            if (status == 0) arc_examples("out", "train", 1, 2);
            remove_tree("out");
            if (whole_list) break;
        }
        remove_tree("h");
    }
    remove(in_dir("loose"));
    remove(in_dir("link"));
    remove_tree("real");
}

/* An allocator in whose call number `when`, then in every so many, and `left` times, another set takes the place of "set". */
typedef struct exchanging { hrm_allocator allocator; int when, every, left; } exchanging;
static void *exchange_alloc(size_t size, void *user)
{
    exchanging *e = (exchanging *)user;
    if (--e->when == 0 && e->left > 0) {
        e->left--;
        e->when = e->every;
        CHECK(rename(in_dir("set"), in_dir("third")) == 0 && rename(in_dir("other"), in_dir("set")) == 0 &&
                  rename(in_dir("third"), in_dir("other")) == 0, "not exchanged");
    }
    return malloc(size);
}
static void exchange_free(void *p, size_t size, void *user) { (void)size, (void)user, free(p); }

static void test_exchange(void)
{
    /* two sets of the same shapes, each with inputs that equal their labels: one is found whole, wherever they change places */
    make_dir("g");
    for (int k = 0; k < 2; k++) {
        write_file("g/train.txt", k ? "1 1 -> 1 1\n1 2 -> 1 2\n" : "2 2 -> 2 2\n2 1 -> 2 1\n");
        write_file("g/test.txt", "1 2 -> 2 1\n");
        CHECK_RUN("grid --source-dir %s/g --output-dir %s/%s", dir, dir, k ? "set" : "other");
    }
    exchanging e;
    hrm_dataset_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.allocator = &e.allocator;
    e.allocator.alloc = exchange_alloc, e.allocator.free = exchange_free, e.allocator.user = &e;
    int32_t inputs[4], labels[4], ids[2];
    hrm_batch batch;
    char set[800];
    snprintf(set, sizeof set, "%s/set", dir);
    e.every = 0;
    memset(&batch, 0, sizeof batch);
    batch.rows = 2, batch.inputs = inputs, batch.labels = labels, batch.puzzle_identifiers = ids;
    int n = 1;
    for (;; n++) {
        hrm_dataset *data = NULL;
        e.when = n, e.left = 1;
        CHECK_OK(hrm_dataset_open(&data, set, "train", &desc));
        if (data) CHECK_OK(hrm_dataset_read(data, 0, &batch));
        CHECK(data && memcmp(inputs, labels, sizeof inputs) == 0, "exchanged at allocation %d: a set of both", n);
        hrm_dataset_close(data);
        if (e.left) break; /* opening has no more allocations */
        CHECK(n < 1000, "no end of it");
    }
    hrm_dataset *data = NULL;
    e.when = 3, e.every = n - 3, e.left = 1000; /* once in every try: its allocations are all but the two for the path */
    CHECK_FAILS(hrm_dataset_open(&data, set, "train", &desc), HRM_ERR_IO,
                "train/dataset.json: it was replaced again and again");
    CHECK(!data && e.left > 0, "it ended otherwise");
    remove_tree("g");
    remove_tree("set");
    remove_tree("other");
}

static void test_interrupts(void)
{
    /* a build that takes minutes, interrupted when its directory is there; the data set that was there before stays */
    CHECK_RUN("sudoku --output-dir %s/out --generate 5 --size 4", dir);
    for (int k = 0; k < 2; k++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            int status = k ? command("maze --output-dir %s/out --generate 1000000", dir)
                           : command("sudoku --output-dir %s/out --generate 1000000 --min-difficulty 20", dir);
            _exit(strstr(said, "interrupted") ? status : 99);
        }
        struct timespec pause = {0, 10000000};
        for (int i = 0; i < 1000 && !beside("out", "tmp"); i++) nanosleep(&pause, NULL);
        CHECK(beside("out", "tmp") == 1, "the build has not begun");
        int second = command("sudoku --output-dir %s/out --generate 3 --size 4", dir); /* another one meanwhile */
        char who[40];
        snprintf(who, sizeof who, "process %ld on ", (long)child);
        CHECK(second == 1 && strstr(said, who) && strstr(said, "is at work on it") && lines_said() == 1, "status %d: %s",
              second, said);
        nanosleep(&pause, NULL);
        kill(child, k ? SIGTERM : SIGINT);
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 128 + (k ? SIGTERM : SIGINT),
              "status %d", WEXITSTATUS(status));
        CHECK(!beside("out", "") && exists("out/train/dataset.json"), "after an interrupt");
    }
    /* killed where it cannot clean up, again and again while it replaces a set: one of the two is there, whole, at every
     * moment */
    for (int k = 0; k < 12; k++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) _exit(command("sudoku --output-dir %s/out --generate %d --size 4", dir, 5 + k % 2));
        struct timespec pause = {0, 700000L * k};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        whole w;
        if (read_whole(&w, "out", "train")) free_whole(&w);
        if (read_whole(&w, "out", "test")) free_whole(&w);
    }
    CHECK_RUN("sudoku --output-dir %s/out --generate 5 --size 4", dir);
    CHECK(!beside("out", ""), "what killed builds left");
    remove_tree("out");
    /* a full disk, as far as one may be had: files of 100 kB at most */
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {100000, 100000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        int status = command("sudoku --output-dir %s/out --generate 200 --num-aug 20", dir);
        _exit(status == 1 && strstr(said, "all__") ? 0 : 99);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    CHECK(!exists("out") && !beside("out", ""), "something was left behind");
    remove_tree("log");
}

/* ---- the published data -------------------------------------------------------------------------------------------------- */
static void copy_csv(const char *from, const char *to)
{
    char path[700], text[4096];
    snprintf(path, sizeof path, "%s/data/sudoku/%s", shared, from);
    FILE *in = fopen(path, "rb"), *out = fopen(in_dir(to), "wb");
    if (!in || !out) exit(2);
    for (size_t n; (n = fread(text, 1, sizeof text, in)) > 0;) (void)fwrite(text, 1, n, out);
    fclose(in);
    fclose(out);
}

static void test_published(void)
{
    char path[600];
    snprintf(path, sizeof path, "%s/data", shared);
    if (access(path, F_OK) != 0) {
        printf("skipped: the published puzzles, which are not at %s\n", path);
        return;
    }
    make_dir("csv");
    copy_csv("train_1k.csv", "csv/train.csv"); /* columns question, answer */
    copy_csv("bench_100.csv", "csv/test.csv");
    CHECK_RUN("sudoku --output-dir %s/out --source-dir %s/csv --num-aug 3", dir, dir);
    check_sudoku("out", "train", 9, 4, 1000, 0, 17, NULL, 0);
    check_sudoku("out", "test", 9, 1, 100, 0, 17, NULL, 0);
    copy_csv("train_100k_own_rating.csv", "csv/train.csv"); /* columns q, a */
    CHECK_RUN("sudoku --output-dir %s/out --source-dir %s/csv --subsample-size 50 --num-aug 10", dir, dir);
    check_sudoku("out", "train", 9, 11, 50, 0, 17, NULL, 0);
    remove_tree("csv");
    remove_tree("out");

    CHECK_RUN("maze --output-dir %s/out --source-dir %s/maze --aug", dir, path);
    check_mazes("out", "train", 30, 1000, 8, 110);
    CHECK(check_mazes("out", "test", 30, 800, 1, 110) == 0, "Maze-Hard's answers are the first path");
    CHECK_RUN("maze --output-dir %s/out --source-dir %s/maze --aug --relabel", dir, path);
    CHECK(check_mazes("out", "train", 30, 1000, 8, 110) == 0, "and so are those of its variants, searched anew");
    remove_tree("out");

    CHECK_RUN("arc --output-dir %s/out --dataset-dirs %s/arc/ARC-AGI-1/data %s/arc/ConceptARC/corpus --num-aug 3", dir, path,
              path);
    check_arc("out", "train", 960, 4, NULL);
    check_arc("out", "test", 400, 4, NULL);
    CHECK_RUN("arc --output-dir %s/out --dataset-dirs %s/arc/ARC-AGI-2/data --num-aug 1", dir, path);
    check_arc("out", "train", 1120, 2, NULL);
    check_arc("out", "test", 120, 2, NULL);
    remove_tree("out");
}

/* ---- votes --------------------------------------------------------------------------------------------------------------- */
static void test_copies(score_task task, int side, const int32_t *puzzle, const int32_t *answer, int n)
{
    enum { MOST = 16 };
    static vote_copy copies[MOST];
    static int32_t turned[MOST][MAZE_MAX_CELLS], solved[MAZE_MAX_CELLS], back[MAZE_MAX_CELLS];
    size_t bytes = (size_t)(side * side) * sizeof(int32_t);
    int optimal;
    votes_make(copies, n, task, side, side * side);
    for (int k = 0; k < n; k++) {
        vote_turn(&copies[k], puzzle, turned[k]);
        vote_turn(&copies[k], answer, solved);
        int valid = task == SCORE_SUDOKU ? score_sudoku(turned[k], solved, side)
                                         : score_maze(turned[k], solved, side, &optimal);
        CHECK(valid, "%s %d: the answer's copy %d does not solve the puzzle's", score_task_name(task), side, k);
        vote_back(&copies[k], solved, back);
        CHECK(memcmp(back, answer, bytes) == 0, "%s %d: copy %d does not come back", score_task_name(task), side, k);
        int same = 0;
        for (int j = 0; j < k; j++) same += memcmp(turned[j], turned[k], bytes) == 0;
        CHECK(same == 0, "%s %d: copy %d is another one", score_task_name(task), side, k);
    }
    CHECK(memcmp(turned[0], puzzle, bytes) == 0, "%s %d: the first copy is not the puzzle", score_task_name(task), side);
}

static void test_votes(void)
{
    for (int size = 4; size <= 9; size += size == 4 ? 2 : 3) {
        sudoku_shape s;
        uint8_t puzzle[SUDOKU_MAX_CELLS], solution[SUDOKU_MAX_CELLS];
        int32_t p[SUDOKU_MAX_CELLS], a[SUDOKU_MAX_CELLS];
        hrm_random r = hrm_random_make(7, (uint64_t)size);
        sudoku_shape_make(&s, size);
        sudoku_generate(&s, &r, 0, puzzle, solution);
        for (int i = 0; i < s.cells; i++) p[i] = puzzle[i] + 1, a[i] = solution[i] + 1;
        test_copies(SCORE_SUDOKU, size, p, a, 16);
    }
    static char question[MAZE_MAX_CELLS], path[MAZE_MAX_CELLS];
    static int32_t p[MAZE_MAX_CELLS], a[MAZE_MAX_CELLS];
    for (int size = 5; size <= 30; size += 25) {
        hrm_random r = hrm_random_make(8, (uint64_t)size);
        while (!maze_generate(&r, size, size, question, path)) {}
        for (int i = 0; i < size * size; i++) {
            p[i] = (int32_t)(strchr(maze_characters, question[i]) - maze_characters) + 1;
            a[i] = (int32_t)(strchr(maze_characters, path[i]) - maze_characters) + 1;
        }
        test_copies(SCORE_MAZE, size, p, a, 8);
    }
    CHECK(votes_most(SCORE_SUDOKU) == 1024 && votes_most(SCORE_MAZE) == 8 && votes_most(SCORE_ARC) == 1, "how many copies");

    /* five copies: 1 2 3 say b, the best q is a's, the first that is sure is 3 */
    static const int32_t answers[5][2] = {{1, 1}, {2, 2}, {2, 2}, {2, 2}, {3, 3}};
    static const hrm_solve_result results[5] = {
        {1, 0, 0.9f, 0}, {1, 0, 0.1f, 0}, {1, 0, 0.3f, 0}, {1, 1, 0.2f, 0}, {1, 1, 0.8f, 0}};
    int agree;
    CHECK(votes_count(&answers[0][0], results, 5, 2, VOTE_MAJORITY, &agree) == 2 && agree == 3, "the majority, its best q");
    CHECK(votes_count(&answers[0][0], results, 5, 2, VOTE_FIRST, &agree) == 3 && agree == 3, "the first that is sure");
    CHECK(votes_count(&answers[0][0], results, 5, 2, VOTE_BEST_Q, &agree) == 0 && agree == 1, "the best q");
    CHECK(votes_count(&answers[0][0], results, 3, 2, VOTE_FIRST, NULL) == 0, "none is sure: the best q");
    CHECK(votes_count(&answers[3][0], results + 3, 2, 2, VOTE_MAJORITY, NULL) == 1, "a draw: the best q");
}

int main(void)
{
    const char *tmp = getenv("TMPDIR"), *where = getenv("HRM_SHARED");
    snprintf(dir, sizeof dir, "%.80s/hrm_test_data_%ld", tmp ? tmp : "/tmp", (long)getpid());
    snprintf(shared, sizeof shared, "%s", where ? where : "../shared");
    if (mkdir(dir, 0777) != 0) return 2;
    test_options();
    test_sudoku_rating();
    test_sudoku_generated();
    test_sudoku_sources();
    test_mazes();
    test_votes();
    test_arc();
    test_grid();
    test_places();
    test_exchange();
    test_interrupts();
    test_published();
    remove_tree("");
    return test_summary();
}
