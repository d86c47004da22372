/* Targets that need hrm.h's interface and the command's sources: training states with one step on them, whole checkpoints, data
 * sets, configurations with arguments, puzzles, what the builders read. Files lie in memory where the system has such a folder.
 * Included after hrm.h; tools/solve.c is part of it, for its parsers are its own. Used by fuzz.c and test_fuzz.c. */
#ifndef HRM_FUZZ_COMMAND_H
#define HRM_FUZZ_COMMAND_H
#include "solve.c"
#include "config.h"
#include "data.h"
#include "grid.h"

#include <sys/stat.h>
#include <unistd.h>

#define COMMAND_CHECK(condition) ((condition) ? (void)0 : command_broken(__LINE__, #condition))
static void command_broken(int line, const char *promise)
{
    printf("%s:%d: %s (%s)\n", __FILE__, line, promise, hrm_error_message());
    fflush(stdout);
    abort();
}

/* ---- files --------------------------------------------------------------------------------------------------------------- */
static char command_root[128]; /* of this process; removed at the end */

static const char *command_path(const char *name)
{
    static char paths[4][300];
    static int  next;
    char       *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", command_root, name);
    return path;
}

static void command_remove(const char *dir)
{
    char **names, path[TOOL_PATH];
    size_t count;
    if (data_list(dir, &names, &count) != 0) return;
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%.500s/%.500s", dir, names[i]);
        if (tool_is_directory(path)) command_remove(path);
        else remove(path);
    }
    data_list_free(names, count);
    rmdir(dir);
}

static void command_close(void) { command_remove(command_root); }

static void command_open(void)
{
    const char *tmp = getenv("TMPDIR");
    if (*command_root) return;
    if (!tmp) tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(command_root, sizeof command_root, "%.80s/hrm_fuzz_%ld", tmp, (long)getpid());
    COMMAND_CHECK(mkdir(command_root, 0700) == 0);
    atexit(command_close);
    COMMAND_CHECK(mkdir(command_path("train"), 0700) == 0 && mkdir(command_path("source"), 0700) == 0);
}

static const char *command_put(const char *name, const void *data, size_t size)
{
    const char *path = command_path(name);
    FILE       *f = fopen(path, "wb");
    COMMAND_CHECK(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    return path;
}

static char *command_text(const unsigned char *data, size_t size)
{
    char *text = (char *)malloc(size + 1); /* as tool_read_text gives it */
    COMMAND_CHECK(text);
    if (size) memcpy(text, data, size);
    text[size] = 0;
    return text;
}

/* Several files in one input stand one after the other, each after a line of this. */
static const char command_mark[] = "\n====\n";
static const unsigned char *command_part(const unsigned char **data, const unsigned char *end, size_t *size)
{
    const unsigned char *p = *data, *at = p;
    const size_t n = sizeof command_mark - 1;
    while (at < end && ((size_t)(end - at) < n || memcmp(at, command_mark, n) != 0)) at++;
    *size = (size_t)(at - p);
    *data = at < end ? at + n : end;
    return p;
}

/* ---- a training state, and one step on it ------------------------------------------------------------------------------ */
enum { STATE_T = 4, STATE_V = 5 };
static hrm_model   *state_model;
static hrm_trainer *state_trainer;
static hrm_dataset *state_data;

static void state_close(void)
{
    hrm_trainer_destroy(state_trainer);
    hrm_model_destroy(state_model);
    hrm_dataset_close(state_data);
}

static void state_open(void)
{
    static uint8_t     tokens[8 * STATE_T];
    hrm_dataset_arrays arrays;
    hrm_model_desc     d;
    hrm_train_desc     t;
    hrm_metrics        m;
    if (state_trainer) return;
    command_open();
    for (size_t i = 0; i < sizeof tokens; i++) tokens[i] = (uint8_t)(1 + i * 7 % (STATE_V - 1));
    memset(&arrays, 0, sizeof arrays);
    memset(&d, 0, sizeof d);
    memset(&t, 0, sizeof t);
    arrays.seq_len = STATE_T;
    arrays.vocab_size = STATE_V;
    arrays.num_puzzle_identifiers = 2;
    arrays.num_examples = 8;
    arrays.inputs = arrays.labels = tokens;
    COMMAND_CHECK(hrm_dataset_from_arrays(&state_data, &arrays, NULL) == HRM_OK);
    d.seq_len = STATE_T;
    d.vocab_size = STATE_V;
    d.num_puzzle_identifiers = 2;
    d.hidden_size = d.puzzle_emb_ndim = 2;
    d.num_heads = d.L_layers = d.H_cycles = d.L_cycles = 1;
    d.one_network = 1;
    d.halt_max_steps = 3;
    d.num_threads = 1;
    t.steps = 1000;
    t.batch_size = 2;
    t.ema = 1;
    t.grad_accumulation = 2;
    t.optimizer = HRM_MUON;
    t.gather_ahead = -1;
    COMMAND_CHECK(hrm_model_create(&state_model, &d) == HRM_OK);
    COMMAND_CHECK(hrm_trainer_create(&state_trainer, state_model, &t) == HRM_OK);
    for (int i = 0; i < 3; i++) COMMAND_CHECK(hrm_trainer_step(state_trainer, state_data, &m) == HRM_OK);
    COMMAND_CHECK(hrm_trainer_save(state_trainer, command_path("good.safetensors"), NULL, 0) == HRM_OK);
    atexit(state_close);
}

static int fuzz_state(const unsigned char *data, size_t size)
{
    hrm_metrics m;
    state_open();
    hrm_status loaded = hrm_trainer_load(state_trainer, command_put("state.safetensors", data, size));
    COMMAND_CHECK(loaded == HRM_OK || *hrm_error_message());
    if (loaded != HRM_OK) return COMMAND_CHECK(hrm_trainer_steps_done(state_trainer) == 3), 0; /* nothing changed */
    hrm_status stepped = hrm_trainer_step(state_trainer, state_data, &m);
    COMMAND_CHECK(stepped == HRM_OK || stepped == HRM_END || *hrm_error_message());
    COMMAND_CHECK(hrm_trainer_load(state_trainer, command_path("good.safetensors")) == HRM_OK); /* whatever went wrong */
    if (stepped != HRM_OK) { /* and all goes on from there */
        COMMAND_CHECK(hrm_trainer_step(state_trainer, state_data, &m) == HRM_OK);
        COMMAND_CHECK(hrm_trainer_load(state_trainer, command_path("good.safetensors")) == HRM_OK);
    }
    return 1;
}

/* ---- a checkpoint as a model --------------------------------------------------------------------------------------------- */
static int fuzz_model(const unsigned char *data, size_t size)
{
    hrm_model     *model = NULL;
    hrm_model_desc desc;
    command_open();
    memset(&desc, 0, sizeof desc);
    desc.num_threads = 1;
    hrm_status status = hrm_model_load(&model, command_put("model.safetensors", data, size), &desc);
    COMMAND_CHECK((status == HRM_OK) == (model != NULL) && (status == HRM_OK || *hrm_error_message()));
    for (int i = 0; model && i < hrm_model_tensor_count(model); i++) {
        hrm_tensor t;
        hrm_role   role;
        COMMAND_CHECK(hrm_model_tensor(model, i, &t, &role) == HRM_OK && hrm_model_tensor_find(model, t.name) == i);
    }
    hrm_model_destroy(model);
    return status == HRM_OK;
}

/* ---- a data set ---------------------------------------------------------------------------------------------------------- */
static const char *const dataset_files[6] = {"train/dataset.json",           "train/all__inputs.npy",
                                             "train/all__labels.npy",        "train/all__puzzle_identifiers.npy",
                                             "train/all__puzzle_indices.npy", "train/all__group_indices.npy"};

static int fuzz_dataset(const unsigned char *data, size_t size)
{
    const unsigned char *end = data + size;
    hrm_dataset         *d = NULL;
    hrm_dataset_desc     desc;
    command_open();
    for (int i = 0; i < 6; i++) {
        size_t               n;
        const unsigned char *part = command_part(&data, end, &n);
        command_put(dataset_files[i], part, n);
    }
    memset(&desc, 0, sizeof desc);
    desc.check_tokens = 1;
    hrm_status status = hrm_dataset_open(&d, command_root, "train", &desc);
    COMMAND_CHECK((status == HRM_OK) == (d != NULL) && (status == HRM_OK || *hrm_error_message()));
    if (!d) return 0;
    const hrm_dataset_info *info = hrm_dataset_describe(d);
    hrm_position            position;
    hrm_batch               b;
    memset(&position, 0, sizeof position);
    COMMAND_CHECK(info->seq_len > 0 && info->vocab_size > 0);
    b.rows = 3;
    b.inputs = (int32_t *)calloc(3 * (size_t)info->seq_len, sizeof *b.inputs);
    b.labels = (int32_t *)calloc(3 * (size_t)info->seq_len, sizeof *b.labels);
    b.puzzle_identifiers = (int32_t *)calloc(3, sizeof *b.puzzle_identifiers);
    COMMAND_CHECK(b.inputs && b.labels && b.puzzle_identifiers);
    for (int step = 0; step < 6; step++) {
        status = step < 3 ? hrm_dataset_next(d, &position, 1, 2, &b, NULL) : hrm_dataset_read(d, 3 * (step - 3), &b);
        if (status != HRM_OK) {
            COMMAND_CHECK(status == HRM_END || *hrm_error_message());
            continue;
        }
        COMMAND_CHECK(b.filled >= 0 && b.filled <= 3);
        for (int i = 0; i < 3 * info->seq_len; i++) {
            COMMAND_CHECK(b.inputs[i] >= 0 && b.inputs[i] < info->vocab_size);
            COMMAND_CHECK(b.labels[i] == -100 || (b.labels[i] >= 0 && b.labels[i] < info->vocab_size));
        }
        for (int i = 0; i < 3; i++)
            COMMAND_CHECK(b.puzzle_identifiers[i] >= 0 && b.puzzle_identifiers[i] < info->num_puzzle_identifiers);
    }
    free(b.inputs);
    free(b.labels);
    free(b.puzzle_identifiers);
    hrm_dataset_close(d);
    return 1;
}

/* ---- a configuration, its arguments, and what is written of it ----------------------------------------------------------- */
static int fuzz_config(const unsigned char *data, size_t size)
{
    enum { MOST = 32 };
    static const int     commands[] = {CONFIG_TRAIN, CONFIG_EVAL, CONFIG_SOLVE, CONFIG_INFO};
    const unsigned char *end = data + size;
    char                *argv[MOST + 3], named[] = "fuzz", option[] = "--config", path[300];
    int                  argc = 3;
    size_t               n;
    command_open();
    const unsigned char *part = command_part(&data, end, &n);
    snprintf(path, sizeof path, "%s", command_put("config.yaml", part, n));
    char *text = command_text(data, (size_t)(end - data));
    argv[0] = named, argv[1] = option, argv[2] = path;
    for (char *at = text; *at && argc < MOST;) { /* an argument a line; none that names another file */
        size_t length = strcspn(at, "\n");
        int    last = !at[length];
        at[length] = 0;
        if (*at && *at != '-' && !strchr(at, '/') && strncmp(at, "resume", 6) != 0) argv[argc++] = at;
        at += length + !last;
    }
    config *c = config_create(commands[size % 4]);
    COMMAND_CHECK(c);
    int status = config_parse(c, argc, argv);
    COMMAND_CHECK(status == TOOL_OK || status == TOOL_ERROR || status == TOOL_USAGE);
    if (status == TOOL_OK && !c->help) {
        hrm_model_desc desc;
        hrm_train_desc train;
        size_t         length = 0, same = 0;
        memset(&desc, 0, sizeof desc);
        config_model_desc(c, &desc);
        config_train_desc(c, &train);
        char *yaml = config_yaml(c, &desc, &length);
        config *again = config_create(CONFIG_TRAIN);
        COMMAND_CHECK(yaml && again);
        /* what is written can be read again, and says the same */
        if (commands[size % 4] == CONFIG_TRAIN) {
            COMMAND_CHECK(config_read_file(again, command_put("written.yaml", yaml, length), CONFIG_FILE) == TOOL_OK &&
                          config_finish(again) == TOOL_OK);
            char *rewritten = config_yaml(again, &desc, &same);
            COMMAND_CHECK(rewritten && same == length && memcmp(rewritten, yaml, length) == 0);
            free(rewritten);
        }
        config_free(again);
        free(yaml);
    }
    config_free(c);
    free(text);
    return status == TOOL_OK;
}

/* ---- puzzles of `hrm solve` ---------------------------------------------------------------------------------------------- */
static int puzzle_holds(const puzzle *p, int least, int most)
{
    for (int i = 0; i < p->cells; i++)
        if (p->tokens[i] < least || p->tokens[i] > most) return 0;
    return p->cells == p->side * p->side && p->cells <= MAX_CELLS;
}

static int fuzz_puzzle(const unsigned char *data, size_t size)
{
    static puzzle p;
    char         *text = command_text(data, size), *rest, *board;
    int           line, first = 1, accepted = 0;
    hrm_json_document *doc = NULL;
    if (hrm_json_parse(&doc, text, size, "fuzz", NULL) == HRM_OK) {
        const hrm_json *test = hrm_json_get(hrm_json_root(doc), "test");
        for (const hrm_json *pair = test ? test->child : NULL; pair; pair = pair->next)
            if (parse_arc(&p, pair, "fuzz") == TOOL_OK) accepted = 1, COMMAND_CHECK(puzzle_holds(&p, 0, 11));
    }
    hrm_json_close(doc);
    for (int kind = 0; kind < 2; kind++) { /* one board, then many in one text, which is cut up on the way */
        char *copy = command_text(data, size);
        p.kind = kind ? TASK_MAZE : TASK_SUDOKU;
        if (read_board(&p, text, 1, arguments, 1) == TOOL_OK)
            accepted = 1, COMMAND_CHECK(puzzle_holds(&p, 1, kind ? 5 : p.side + 1));
        rest = copy, line = 1;
        while ((board = next_board(p.kind, &rest, &line, &first)) != NULL) {
            COMMAND_CHECK(board >= copy && board <= copy + size && rest > board && rest <= copy + size);
            if (read_board(&p, board, first, arguments, 1) != TOOL_OK) continue;
            accepted = 1;
            COMMAND_CHECK(puzzle_holds(&p, 1, kind ? 5 : p.side + 1));
        }
        free(copy);
    }
    free(text);
    return accepted;
}

/* ---- grids of one's own, and their vocabulary ---------------------------------------------------------------------------- */
static int fuzz_grid(const unsigned char *data, size_t size)
{
    char *text = command_text(data, size);
    int   accepted = 0;
    for (int words = -1; words < 2; words++) {
        grid_reader        r;
        grid_list          list;
        hrm_json_document *doc = NULL;
        memset(&r, 0, sizeof r);
        memset(&list, 0, sizeof list);
        r.path = "fuzz";
        r.words = words;
        int status = TOOL_ERROR;
        if (words < 0 && hrm_json_parse(&doc, text, size, "fuzz", NULL) == HRM_OK)
            status = grid_read_json(&r, &list, "fuzz", hrm_json_root(doc));
        else if (words >= 0) status = grid_read_text(&r, &list, "fuzz", text, size);
        for (int64_t i = 0; status == TOOL_OK && i < list.count; i++) {
            const grid_example *e = &list.examples[i];
            int64_t             n = (int64_t)e->rows * e->cols * (e->has_output ? 2 : 1);
            COMMAND_CHECK(e->rows > 0 && e->cols > 0 && e->identifier >= 0 && e->identifier <= r.num_names);
            for (int64_t k = 0; k < n; k++) COMMAND_CHECK(e->cells[k] >= -1 && e->cells[k] <= r.num_tokens);
        }
        accepted |= status == TOOL_OK;
        hrm_json_close(doc);
        grid_list_close(&list);
        grid_reader_close(&r);
    }
    grid_vocabulary v;
    if (grid_vocabulary_parse(&v, text, size, "fuzz") == TOOL_OK) {
        accepted = 1;
        COMMAND_CHECK(v.rows > 0 && v.cols > 0 && v.least_rows <= v.rows && v.least_cols <= v.cols && v.count >= 2);
        for (int32_t i = 0; i < v.count; i++) COMMAND_CHECK(*v.tokens[i]);
        grid_vocabulary_close(&v);
    }
    free(text);
    return accepted;
}

/* ---- what the builders read: the whole build, into a folder of its own --------------------------------------------------- */
static int command_build(int (*build)(const data_options *), const char *source, int64_t size)
{
    static const char *dirs[1];
    data_options       o;
    char               out[300], from[300];
    snprintf(out, sizeof out, "%s", command_path("built"));
    snprintf(from, sizeof from, "%s", source);
    memset(&o, 0, sizeof o);
    o.output_dir = out;
    o.source_dir = from;
    dirs[0] = from;
    o.dataset_dirs = dirs;
    o.num_dataset_dirs = 1;
    o.generate = o.test_size = o.subsample_size = o.min_difficulty = o.max_difficulty = o.givens = o.min_path = -1;
    o.num_aug = 1;
    o.aug = 1;
    o.size = size;
    o.threads = 1;
    int status = build(&o);
    COMMAND_CHECK(status == TOOL_OK || status == TOOL_ERROR || status == TOOL_USAGE);
    if (status == TOOL_OK) { /* what was built can be opened */
        hrm_dataset     *d = NULL;
        hrm_dataset_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.check_tokens = 1;
        COMMAND_CHECK(hrm_dataset_open(&d, out, "train", &desc) == HRM_OK);
        hrm_dataset_close(d);
    } else {
        COMMAND_CHECK(!tool_exists(out)); /* and of what was refused nothing is there */
    }
    if (status == TOOL_OK) command_remove(out);
    return status == TOOL_OK;
}

static int fuzz_csv(const unsigned char *data, size_t size)
{
    static const int64_t lengths[] = {0, 16, 81};
    data_csv             csv;
    int                  accepted = 0;
    command_open();
    const char *path = command_put("source/train.csv", data, size);
    for (int i = 0; i < 3; i++) {
        if (data_csv_open(&csv, path, 0, lengths[i], i == 1 ? 2 : -1, i == 1 ? 9 : -1) != TOOL_OK) continue;
        accepted |= 1 << i;
        const char *begin = (const char *)csv.map.data, *end = begin + csv.map.size;
        COMMAND_CHECK(csv.count > 0 && csv.length > 0);
        for (int64_t k = 0; k < csv.count; k++) {
            const data_row *row = &csv.rows[k];
            COMMAND_CHECK(row->question >= begin && row->question + csv.length <= end && row->line > 1);
            COMMAND_CHECK(row->answer >= begin && row->answer + csv.length <= end);
        }
        data_csv_close(&csv);
    }
    if (!accepted) return 0;
    int built = command_build(data_sudoku, command_path("source"), 4) | command_build(data_maze, command_path("source"), -1);
    return built;
}

static int fuzz_task(const unsigned char *data, size_t size)
{
    command_open();
    command_put("source/train.json", data, size);
    int accepted = command_build(data_grid, command_path("source"), -1);
    remove(command_path("source/train.json"));
    mkdir(command_path("arc"), 0700);
    mkdir(command_path("arc/training"), 0700);
    command_put("arc/training/aa.json", data, size);
    return accepted | command_build(data_arc, command_path("arc"), -1);
}

/* ---- what mutations start from ------------------------------------------------------------------------------------------- */
typedef int (*command_function)(const unsigned char *data, size_t size);
typedef struct command_target { const char *name; command_function run; } command_target;
static const command_target command_targets[] = {{"state", fuzz_state}, {"model", fuzz_model}, {"dataset", fuzz_dataset},
                                                 {"config", fuzz_config}, {"puzzle", fuzz_puzzle}, {"grid", fuzz_grid},
                                                 {"csv", fuzz_csv}, {"task", fuzz_task}};
enum { COMMAND_TARGETS = sizeof command_targets / sizeof *command_targets, COMMAND_SEEDS = 24 };

typedef struct command_seed { int target; unsigned char *data; size_t size; } command_seed;

static const struct { int target; const char *text; } command_texts[] = {
    {3, "arch:\n  hidden_size: 64\n  num_heads: 2\n  loss:\n    loss_type: softmax_cross_entropy\n  puzzle_emb_ndim: "
        "${.hidden_size}\n"
        "data_path: data\nepochs: 10\neval_interval: 5\nlr: 1e-4\n\n====\nlr=0.5\narch.halt_max_steps=3\nseed=7\n"},
    {3, "defaults:\n  - _self_\ndata_paths: [data]\nglobal_batch_size: 8\nema: True\noptimizer: muon\neval_save_outputs: "
        "[inputs]\n"
        "\n====\narch=trm\nsteps=5\n+run_name=x\ndata_path=d\n"},
    {3, "arch:\n  name: trm@TinyRecursiveReasoningModel_ACTV1\ndata_paths: ['a [b], {c} 1']\nrun_name: \"x\\\\${now:%Y}\"\n"
        "\n====\nsteps=5000\nproject_name=NULL\ndata_paths_test=x, ${oc.env:X,1}y]\neval_save_outputs=inputs labels\n"},
    {3,
     "wandb_version: 1\nlr:\n  desc: null\n  value: 0.1\narch:\n  value:\n    H_cycles: 3\n\n====\nvotes=4\ncheckpoint=none\n"},
    {4, "1 2 | 3 4\n3 4 | 1 2\n----+----\n2 1 | 4 3\n4 3 | 2 .\n"},
    {4, "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79\n"
        "1..4..2.3....3..\n\n1..4\n..2.\n3...\n.3..\n"},
    {4, "#S  \n  # \n #  \n  G#\n\n#S  \n  # \n #  \n  G#\n"},
    {4, "{\"train\": [], \"test\": [{\"input\": [[7,8,9],[0,0,1]], \"output\": [[9],[7]]}, {\"input\": [[1]]}]}"},
    {5, "#..\n.#.\n->\n#oo\n.#o\n\n...\n#..\n->\nooo\n#oo\n"},
    {5, "a b -> b a\nlong word -> word long\n"},
    {5, "[{\"input\": [[1, 2], [3, \"x\"]], \"output\": [[2, 1], [null, 3]], \"puzzle\": \"p\", \"group\": 1}]"},
    {5, "{\"rows\": 3, \"columns\": 4, \"least_rows\": 2, \"least_columns\": 4, \"tokens\": [\"<pad>\", \"a\", \"word\"]}"},
    {6, "source,question,answer,rating\na,1..4..1.2....3..,1234341221434321,3\n\"b\",\"............4321\",1234341221434321,"
        "\"0\"\n"},
    {6, "quizzes;solutions\r\n#S  ###  ###  ###  ###  G;#So ###o ###o ###o ###ooG\r\n"},
    {6, "question\tanswer\n#S  ###  ###  ###  ###  G\t\"#So ###o ###o ###o ###ooG\"\n"},
    {7, "{\"train\": [{\"input\": [[1,2],[3,4]], \"output\": [[4,3],[2,1]]}, {\"input\": [[0,5,0]], \"output\": [[5]]}],"
        " \"test\": [{\"input\": [[7,8,9]], \"output\": [[9,8,7]]}]}"},
    {7, "[{\"input\": [\"ab\", \"ba\"], \"output\": [\"ba\", \"ab\"]}]"},
};

static int command_seed_of(command_seed *seed, int target, const char *path)
{
    hrm_file_map map;
    seed->target = target;
    if (hrm_file_map_open(&map, path) != HRM_OK) return 0;
    seed->size = map.size;
    seed->data = (unsigned char *)malloc(map.size + 1);
    if (seed->data) memcpy(seed->data, map.data, map.size);
    hrm_file_map_close(&map);
    return seed->data != NULL;
}

static int command_dataset(char *blob, size_t *size)
{
    static const uint8_t tokens[3 * STATE_T] = {1, 2, 3, 4, 4, 3, 2, 1, 0, 1, 0, 1};
    static const int32_t ids[2] = {0, 1}, puzzles[3] = {0, 1, 3}, groups[3] = {0, 1, 2};
    static const struct { const void *values; hrm_dtype dtype; int ndim; size_t rows;
    } arrays[5] = {{tokens, HRM_U8, 2, 3},
                   {tokens, HRM_U8, 2, 3},
                   {ids, HRM_I32, 1, 2},
                   {puzzles, HRM_I32, 1, 3},
                   {groups, HRM_I32, 1, 3}};
    static const int64_t shape[2] = {0, STATE_T};
    int length = sprintf(
        blob, "{\"pad_id\": 0, \"ignore_label_id\": 0, \"blank_identifier_id\": 0, \"vocab_size\": 5, \"seq_len\": 4, "
              "\"num_puzzle_identifiers\": 2, \"total_groups\": 2, \"mean_puzzle_examples\": 1.5, \"sets\": [\"all\"]}");
    *size = (size_t)length;
    for (int i = 0; i < 5; i++) {
        hrm_npy_writer w;
        hrm_file_map   map;
        char           path[300];
        snprintf(path, sizeof path, "%s", command_path("seed.npy"));
        if (hrm_npy_writer_open(&w, path, arrays[i].dtype, arrays[i].ndim, shape, NULL) != HRM_OK ||
            hrm_npy_writer_write(&w, arrays[i].values, arrays[i].rows) != HRM_OK || hrm_npy_writer_commit(&w) != HRM_OK ||
            hrm_file_map_open(&map, path) != HRM_OK)
            return 0;
        memcpy(blob + *size, command_mark, sizeof command_mark - 1);
        memcpy(blob + *size + sizeof command_mark - 1, map.data, map.size);
        *size += sizeof command_mark - 1 + map.size;
        hrm_file_map_close(&map);
    }
    return 1;
}

static int command_seeds(command_seed *seeds) /* -> how many; 0: something failed */
{
    static char blob[4096];
    char        path[300];
    int         n = 0;
    size_t      size;
    command_open();
    state_open();
    if (!command_seed_of(&seeds[n++], 0, command_path("good.safetensors"))) return 0;
    snprintf(path, sizeof path, "%s", command_path("seed.safetensors"));
    if (hrm_model_save_as(state_model, path, HRM_BF16, NULL, 0) != HRM_OK || !command_seed_of(&seeds[n++], 1, path)) return 0;
    if (!command_dataset(blob, &size)) return 0;
    seeds[n].target = 2;
    seeds[n].size = size;
    seeds[n++].data = (unsigned char *)command_text((const unsigned char *)blob, size);
    for (size_t i = 0; i < sizeof command_texts / sizeof *command_texts; i++, n++) {
        seeds[n].target = command_texts[i].target;
        seeds[n].size = strlen(command_texts[i].text);
        seeds[n].data = (unsigned char *)command_text((const unsigned char *)command_texts[i].text, seeds[n].size);
    }
    return n;
}
#endif
