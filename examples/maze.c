/* Shortest paths: makes mazes, trains a small model on them, solves new ones, and draws what came out.
 *
 *   maze [--size 6] [--steps N] [--out PREFIX] …  `maze --help` lists the options; the defaults take minutes and say how many
 *
 *   cc -O3 -pthread -I. examples/maze.c -lm -o maze && ./maze     in the repository, where `make` makes build/examples/maze
 *
 * PREFIX.svg          some of the new mazes: true path, predicted path, differences
 * PREFIX_steps.svg    how one answer forms, segment by segment
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"

#include "../tools/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_SHOWN = 8, MAX_SEGMENTS = 32 };

typedef struct options {
    long size, path, train, test, steps, batch, hidden, layers, heads, segments, seed, threads, show;
    double lr;
    const char *out, *load, *save;
} options;

static void die(const char *what)
{
    fprintf(stderr, "maze: %s\n", what);
    exit(1);
}
#define TRY(call) do { if ((call) != HRM_OK) die(hrm_error_message()); } while (0)

static void *room(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p) die("out of memory");
    return p;
}

/* ---- data: mazes as tokens ---------------------------------------------------------------------------------------------- */

static void make_mazes(uint8_t *inputs, uint8_t *labels, long count, const options *o, uint64_t first_stream)
{
    /* `count` mazes -> tokens [count, size * size]; each maze has a random stream of its own, so training and test never share
     * one */
    char question[MAZE_MAX_CELLS], answer[MAZE_MAX_CELLS];
    int cells = (int)(o->size * o->size);
    for (long i = 0; i < count; i++) {
        hrm_random r = hrm_random_make((uint64_t)o->seed, first_stream + (uint64_t)i);
        if (!maze_generate(&r, (int)o->size, (int)o->path, question, answer)) die("no maze of this size has so long a path");
        for (int c = 0; c < cells; c++, inputs++, labels++) {
            *inputs = (uint8_t)(strchr("# SGo", question[c]) - "# SGo" + 1);
            *labels = (uint8_t)(strchr("# SGo", answer[c]) - "# SGo" + 1);
        }
    }
}

static hrm_dataset *dataset_of(const uint8_t *inputs, const uint8_t *labels, long count, const options *o)
{
    hrm_dataset_arrays arrays;
    hrm_dataset *data;
    memset(&arrays, 0, sizeof arrays);
    arrays.seq_len = (int)(o->size * o->size);
    arrays.vocab_size = 6; /* 0 is never used: padding */
    arrays.num_puzzle_identifiers = 1;
    arrays.num_examples = count;
    arrays.inputs = inputs;
    arrays.labels = labels;
    TRY(hrm_dataset_from_arrays(&data, &arrays, NULL));
    return data;
}

/* ---- training ----------------------------------------------------------------------------------------------------------- */

static void train(hrm_model *model, hrm_dataset *data, const options *o)
{
    hrm_trainer *trainer;
    hrm_train_desc desc;
    hrm_metrics m;
    memset(&desc, 0, sizeof desc);
    desc.steps = o->steps;
    desc.batch_size = (int)o->batch;
    desc.lr = (float)o->lr;
    desc.lr_min_ratio = 0.1f;
    desc.lr_warmup_steps = o->steps / 20 + 1;
    desc.seed = (uint64_t)o->seed;
    TRY(hrm_trainer_create(&trainer, model, &desc));
    time_t begin = time(NULL);
    hrm_metrics sum;
    memset(&sum, 0, sizeof sum);
    for (;;) {
        hrm_status status = hrm_trainer_step(trainer, data, &m);
        if (status == HRM_END) break;
        if (status != HRM_OK) die(hrm_error_message());
        hrm_metrics_add(&sum, &m);
        if (m.step == 10 || m.step % 100 == 0 || m.step == o->steps) {
            long spent = (long)(time(NULL) - begin);
            fprintf(stderr, "step %5ld of %ld   loss %.3f   exact %5.1f %%   segments %4.1f   %ld s, %ld left\n",
                    (long)m.step, o->steps,
                    sum.lm_loss, 100 * sum.exact_accuracy, sum.steps, spent, spent * (o->steps - (long)m.step) / (long)m.step);
            memset(&sum, 0, sizeof sum);
        }
    }
    hrm_trainer_destroy(trainer);
}

/* ---- what becomes of an answer from segment to segment ------------------------------------------------------------------- */

typedef struct story {
    int      cells, segments, halted_at;
    int32_t *answers; /* [MAX_SEGMENTS, cells] */
} story;

static void tell(void *user, int segment, int num_rows, const int32_t *rows, const int32_t *answers,
                 const hrm_solve_result *results)
{
    /* one row only; segments count from 1 */
    story *s = (story *)user;
    (void)rows;
    if (num_rows < 1 || segment < 1 || segment > MAX_SEGMENTS) return;
    memcpy(s->answers + (size_t)(segment - 1) * (size_t)s->cells, answers, (size_t)s->cells * sizeof *answers);
    s->segments = segment;
    if (!s->halted_at && results && results[0].q_halt > results[0].q_continue) s->halted_at = segment;
}

static void draw_story(hrm_model *model, const int32_t *maze, const int32_t *truth, long number, const options *o)
{
    static picture_panel panels[MAX_SEGMENTS + 1];
    char title[96], path[1024], subtitle[128];
    int32_t *answer = (int32_t *)room((size_t)(o->size * o->size), sizeof *answer);
    story s;
    memset(&s, 0, sizeof s);
    s.cells = (int)(o->size * o->size);
    s.answers = (int32_t *)room((size_t)MAX_SEGMENTS * (size_t)s.cells, sizeof *s.answers);
    hrm_solve_result result;
    hrm_solve_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.no_halting = 1; /* goes on after the model would stop: what would become of the answer? */
    desc.results = &result;
    desc.on_segment = tell;
    desc.user = &s;
    TRY(hrm_solve(model, maze, answer, &desc));
    for (int k = 0; k < s.segments; k++) {
        const int32_t *now = s.answers + (size_t)k * (size_t)s.cells, *before = k ? now - s.cells : maze;
        int changed = 0, optimal, wrong = 0;
        for (int c = 0; c < s.cells; c++) changed += now[c] != before[c], wrong += now[c] != truth[c];
        int valid = score_maze(maze, now, (int)o->size, &optimal);
        snprintf(title, sizeof title, "segment %d%s", k + 1, k + 1 == s.halted_at ? ": halts" : "");
        panels[k] = picture_panel_make(PICTURE_MAZE_PREDICTED, (int)o->size, maze, now, NULL, title);
        snprintf(panels[k].note, sizeof panels[k].note, "%d changed, %s", changed,
                 !valid       ? "no path yet"
                 : wrong == 0 ? "exact"
                 : optimal    ? "a shortest path"
                              : "a longer path");
    }
    panels[s.segments] = picture_panel_make(PICTURE_MAZE_TRUE, (int)o->size, maze, NULL, truth, "true path");
    int columns = s.segments + 1 <= 5 ? s.segments + 1 : (s.segments + 2) / 2 <= 6 ? (s.segments + 2) / 2 : 6;
    snprintf(title, sizeof title, "How the answer forms: maze %ld", number);
    if (s.halted_at) snprintf(subtitle, sizeof subtitle, "The model would stop after segment %d", s.halted_at);
    else snprintf(subtitle, sizeof subtitle, "The model would not stop in %d segments", s.segments);
    picture_sheet sheet = picture_sheet_make(title, panels, s.segments + 1, columns);
    sheet.subtitle = subtitle;
    sheet.scale = CANVAS_SVG;
    canvas c;
    TRY(picture_sheet_draw(&c, &sheet));
    snprintf(path, sizeof path, "%s_steps.svg", o->out);
    if (canvas_save(&c, path) == HRM_OK) printf("%s\n", path);
    else fprintf(stderr, "maze: %s\n", hrm_error_message());
    canvas_destroy(&c);
    free(s.answers);
    free(answer);
}

/* ---- solving ------------------------------------------------------------------------------------------------------------ */

static void solve(hrm_model *model, const uint8_t *inputs, const uint8_t *labels, const options *o)
{
    static picture_panel panels[4 * MAX_SHOWN];
    int side = (int)o->size;
    size_t T = (size_t)side * (size_t)side, rows = (size_t)o->test;
    int32_t *mazes = (int32_t *)room(3 * rows * T, sizeof *mazes), *truths = mazes + rows * T, *answers = truths + rows * T;
    hrm_solve_result *results = (hrm_solve_result *)room(rows, sizeof *results);
    for (size_t i = 0; i < rows * T; i++) mazes[i] = inputs[i], truths[i] = labels[i];
    hrm_solve_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.rows = (int)rows;
    desc.results = results;
    TRY(hrm_solve(model, mazes, answers, &desc));

    score judged = score_make(6, (int)T);
    long exact = 0, segments = 0, longest = 0;
    for (size_t r = 0; r < rows; r++) {
        int wrong = 0, optimal, valid;
        for (size_t i = 0; i < T; i++) wrong += answers[r * T + i] != truths[r * T + i];
        score_add(&judged, mazes + r * T, answers + r * T);
        exact += wrong == 0;
        segments += results[r].segments;
        if (results[r].segments > results[longest].segments) longest = (long)r;
        if (r >= (size_t)o->show) continue;
        static const picture_kind kinds[4] = {PICTURE_MAZE, PICTURE_MAZE_TRUE, PICTURE_MAZE_PREDICTED,
                                              PICTURE_MAZE_DIFFERENCES};
        static const char *const names[4] = {"maze", "true path", "predicted path", "differences"};
        for (int k = 0; k < 4; k++) {
            picture_panel *p = &panels[r * 4 + (size_t)k];
            *p = picture_panel_make(kinds[k], side, mazes + r * T, answers + r * T, truths + r * T, names[k]);
            if (k == 0) snprintf(p->title, sizeof p->title, "maze %ld", (long)r);
        }
        valid = score_maze(mazes + r * T, answers + r * T, side, &optimal);
        snprintf(panels[r * 4 + 2].note, sizeof panels[0].note, "%d segment%s, %s", results[r].segments,
                 results[r].segments == 1 ? "" : "s",
                 wrong == 0 ? "exact"
                 : !valid   ? "no valid path"
                 : optimal  ? "a shortest path"
                            : "a longer path");
        snprintf(panels[r * 4 + 3].note, sizeof panels[0].note, "%d of %d cells differ", wrong, (int)T);
    }
    char rules[96], text[192], path[1024];
    score_text(&judged, rules, sizeof rules);
    snprintf(text, sizeof text, "%ld new mazes: exact %.2f %%, %s, %.1f segments", o->test,
             100.0 * (double)exact / (double)rows, rules, (double)segments / (double)rows);
    printf("%s\n", text);
    picture_sheet sheet =
        picture_sheet_make("Mazes never seen in training", panels, 4 * (int)(o->show < o->test ? o->show : o->test), 4);
    sheet.subtitle = text;
    sheet.scale = CANVAS_SVG;
    canvas c;
    TRY(picture_sheet_draw(&c, &sheet));
    snprintf(path, sizeof path, "%s.svg", o->out);
    if (canvas_save(&c, path) == HRM_OK) printf("%s\n", path);
    else fprintf(stderr, "maze: %s\n", hrm_error_message());
    canvas_destroy(&c);
    draw_story(model, mazes + (size_t)longest * T, truths + (size_t)longest * T, longest, o);
    free(results);
    free(mazes);
}

/* ---- options ------------------------------------------------------------------------------------------------------------ */

typedef struct option {
    const char *name;
    long *number;
    double *real;
    const char **text;
    long low, high;
    const char *help;
} option;

static void parse(options *o, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    o->size = 6, o->train = 100000, o->test = 500, o->steps = 1500, o->batch = 64, o->hidden = 64, o->layers = 2, o->heads = 4,
    o->segments = 4, o->show = 3;
    o->lr = 2e-3;
    o->out = "maze";
    const option list[] = {
        {"--size", &o->size, NULL, NULL, 3, MAZE_MAX_SIZE, "cells each way"},
        {"--path", &o->path, NULL, NULL, 0, MAZE_MAX_CELLS,
         "cells of the shortest path at least, both ends counted (0: by the size)"},
        {"--train", &o->train, NULL, NULL, 1, 10000000, "mazes to train on"},
        {"--test", &o->test, NULL, NULL, 1, 1000000, "new mazes to solve"},
        {"--steps", &o->steps, NULL, NULL, 1, 100000000, "updates"},
        {"--batch", &o->batch, NULL, NULL, 1, 65536, "mazes an update"},
        {"--lr", NULL, &o->lr, NULL, 0, 1, "learning rate"},
        {"--hidden", &o->hidden, NULL, NULL, 8, 4096, "hidden_size"},
        {"--layers", &o->layers, NULL, NULL, 1, 64, "blocks a level"},
        {"--heads", &o->heads, NULL, NULL, 1, 64, "attention heads"},
        {"--segments", &o->segments, NULL, NULL, 1, MAX_SEGMENTS, "segments at most"},
        {"--seed", &o->seed, NULL, NULL, 0, 2147483647, "of mazes, weights and order"},
        {"--threads", &o->threads, NULL, NULL, 0, 1024, "threads (0: one a processor)"},
        {"--show", &o->show, NULL, NULL, 1, MAX_SHOWN, "mazes in the picture"},
        {"--out", NULL, NULL, &o->out, 0, 0, "the pictures' names begin with this"},
        {"--load", NULL, NULL, &o->load, 0, 0, "weights to start from"},
        {"--save", NULL, NULL, &o->save, 0, 0, "where to put the trained model"},
    };
    const size_t count = sizeof list / sizeof list[0];
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < count && strcmp(argv[i], list[k].name) != 0) k++;
        if (k == count) {
            int help = strcmp(argv[i], "--help") == 0;
            if (!help) fprintf(stderr, "maze: no option \"%s\"\n", argv[i]);
            fprintf(help ? stdout : stderr, "usage: maze [OPTION VALUE]…\n");
            for (k = 0; k < count; k++) fprintf(help ? stdout : stderr, "  %-11s%s\n", list[k].name, list[k].help);
            exit(help ? 0 : 2);
        }
        char *end = NULL;
        if (i + 1 == argc) {
            fprintf(stderr, "maze: %s needs a value\n", argv[i]);
            exit(2);
        }
        const char *value = argv[++i];
        double number = strtod(value, &end);
        if (list[k].text) *list[k].text = value;
        if (!list[k].text && (end == value || *end || !(number >= (double)list[k].low && number <= (double)list[k].high))) {
            fprintf(stderr, "maze: %s is \"%s\", expected %ld to %ld\n", list[k].name, value, list[k].low, list[k].high);
            exit(2);
        }
        if (list[k].number) *list[k].number = (long)number;
        if (list[k].real) *list[k].real = number;
    }
    if (!o->path) o->path = maze_default_path((int)o->size) > o->size ? maze_default_path((int)o->size) : o->size;
}

int main(int argc, char **argv)
{
    options o;
    parse(&o, argc, argv);
    size_t T = (size_t)(o.size * o.size), n = (size_t)(o.train + o.test);
    uint8_t *inputs = (uint8_t *)room(n * T, 1), *labels = (uint8_t *)room(n * T, 1);
    make_mazes(inputs, labels, o.test + o.train, &o, 0);
    const uint8_t *train_inputs = inputs + (size_t)o.test * T,
                  *train_labels = labels + (size_t)o.test * T; /* the test mazes come first */
    hrm_dataset *data = dataset_of(train_inputs, train_labels, o.train, &o);

    hrm_model *model;
    hrm_model_desc desc = hrm_model_desc_for(data);
    desc.hidden_size = (int)o.hidden;
    desc.num_heads = (int)o.heads;
    desc.H_layers = desc.L_layers = (int)o.layers;
    desc.halt_max_steps = (int)o.segments;
    desc.seed = (uint64_t)o.seed;
    desc.num_threads = (int)o.threads;
    TRY(hrm_model_create(&model, &desc));
    if (o.load) TRY(hrm_model_load_weights(model, o.load));
    printf("%ldx%ld mazes, shortest paths of at least %ld cells; %lld parameters\n", o.size, o.size, o.path,
           (long long)hrm_model_parameters(model));
    if (!o.load || o.save) train(model, data, &o);
    if (o.save) TRY(hrm_model_save(model, o.save));
    solve(model, inputs, labels, &o);

    hrm_model_destroy(model);
    hrm_dataset_close(data);
    free(inputs);
    free(labels);
    return 0;
}
