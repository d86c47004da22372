#include "adapt.h"
#include "devices.h"
#include "eval.h"
#include "grid.h"
#include "progress.h"
#include "tensorboard.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A run: what it works on, where it writes, and what must survive an interruption beside the trainer's own state. */
typedef struct train_run {
    config      *c;
    hrm_dataset *train, *test; /* test NULL: there is none */
    char        *vocabulary;   /* vocabulary.json's text, for the checkpoints; NULL: none */
    hrm_model   *model;
    hrm_trainer *trainer;
    char         dir[TOOL_PATH], log_path[TOOL_PATH];
    tool_lock lock; /* of dir */
    FILE *log;      /* metrics.jsonl */
    tensorboard *board;
    progress     bar;
    int64_t      total;      /* steps */
    int64_t      iterations; /* of eval_interval epochs; 0: `total` alone decides */
    int          epochs_per_iter;
    int64_t      saved_step; /* of the state on disk */
    int64_t      first;      /* steps done before this process began, at `started` */
    double       started;
    int not_finite;          /* of so many numbers metrics.jsonl holds null */
    hrm_metrics  shown;      /* the last window in which rows halted */
    /* saved with the state */
    hrm_metrics  window;    /* since the last line of metrics.jsonl */
    int64_t      last_eval; /* step of the last evaluation */
    int64_t      calm;      /* logged steps in a row at or above early_stop_accuracy */
    int64_t      stopped;   /* 1: early */
    int64_t planned;        /* `total` of the state that was read, 0: not told */
    double       best;      /* exact accuracy of best.safetensors; -1: none yet */
    char         data_shape[160], data_content[24]; /* of the training split */
} train_run;

/* ---- logs ------------------------------------------------------------------------------------------------------------- */
#define TRAIN_METRICS(X) /* name, field, when it is logged */ \
    X("lm_loss", lm_loss, 1) X("q_halt_loss", q_halt_loss, 1) X("q_continue_loss", q_continue_loss, !d->no_ACT_continue) \
    X("ponder_loss", ponder_loss, d->ponder_weight > 0) X("accuracy", accuracy, 1) X("exact_accuracy", exact_accuracy, 1) \
    X("q_halt_accuracy", q_halt_accuracy, 1) X("steps", steps, 1) X("count", count, 1) X("lr", lr, 1) \
    X("grad_norm", grad_norm, r->c->grad_clip > 0 && !r->c->freeze_weights) \
    X("loss_scale", loss_scale, d->forward_dtype == HRM_FORWARD_FLOAT16) \
    X("skipped", skipped, d->forward_dtype == HRM_FORWARD_FLOAT16)
#define EVAL_METRICS(X) \
    X("lm_loss", lm_loss) X("q_halt_loss", q_halt_loss) X("accuracy", accuracy) X("exact_accuracy", exact_accuracy) \
    X("q_halt_accuracy", q_halt_accuracy) X("steps", steps)

static int is_finite(double x) { return x - x == 0; }

static void log_value(train_run *r, int64_t step, const char *name, double value)
{
    if (!is_finite(value)) { /* JSON has no word for it, and a curve no place */
        fprintf(r->log, ", \"%s\": null", name);
        if (!r->not_finite++)
            tool_note("step %lld: %s is not finite: null in metrics.jsonl, left out for TensorBoard", (long long)step, name);
        return;
    }
    fprintf(r->log, ", \"%s\": %.9g", name, value);
    tensorboard_scalar(r->board, step, name, value);
}

static int log_metrics(train_run *r, int64_t step, const hrm_metrics *m, int is_eval)
{
    const hrm_model_desc *d = hrm_model_describe(r->model);
    if (devices_rank()) return TOOL_OK;
    fprintf(r->log, "{\"step\": %lld", (long long)step);
#define LOG(name, field, when) \
    if (when) log_value(r, step, "train/" name, m->field);
    if (!is_eval) { TRAIN_METRICS(LOG) }
#undef LOG
#define LOG(name, field) log_value(r, step, "eval/all/" name, m->field);
    if (is_eval) { EVAL_METRICS(LOG) }
#undef LOG
    fprintf(r->log, "}\n");
    if (fflush(r->log) != 0 || ferror(r->log)) return tool_error("%s: writing failed: %s", r->log_path, strerror(errno));
    return tensorboard_flush(r->board) == 0 ? TOOL_OK : TOOL_ERROR;
}

static int trim_log(train_run *r, int64_t step)
{
    /* A run that goes on from `step` writes the later lines again, and the evaluation of that step unless it was known when the
     * state was saved; a line that a kill cut short goes too. */
    size_t length, kept = 0;
    if (!tool_exists(r->log_path)) return TOOL_OK;
    char *text = tool_read_text(r->log_path, &length);
    if (!text) return TOOL_ERROR;
    for (size_t at = 0; at < length;) {
        char *end = (char *)memchr(text + at, '\n', length - at);
        long long of_line;
        if (!end) break;
        size_t n = (size_t)(end - (text + at)) + 1;
        *end = 0;
        int again = strstr(text + at, "\"eval/") != NULL && r->last_eval != step;
        *end = '\n';
        if (sscanf(text + at, "{\"step\": %lld", &of_line) == 1 && (of_line < step || (of_line == step && !again))) {
            memmove(text + kept, text + at, n);
            kept += n;
        }
        at += n;
    }
    int failed = kept != length && tool_write_text(r->log_path, text, kept) != 0;
    free(text);
    return failed ? TOOL_ERROR : TOOL_OK;
}

static int open_logs(train_run *r, int64_t step)
{
    if (devices_rank()) return TOOL_OK;
    if (!tool_join(r->log_path, r->dir, "metrics.jsonl")) return tool_error("%s: the path is too long", r->dir);
    int status = step > 0 ? trim_log(r, step) : TOOL_OK;
    if (status != TOOL_OK) return status;
    r->log = fopen(r->log_path, step > 0 ? "ab" : "wb");
    if (!r->log) return tool_error("%s: %s", r->log_path, strerror(errno));
    if (!r->c->tensorboard) return TOOL_OK;
    return tensorboard_open(&r->board, r->dir, step + 1) == 0 ? TOOL_OK : TOOL_ERROR;
}

/* ---- saving and going on ---------------------------------------------------------------------------------------------- */
typedef struct saved_value { const char *key; double *real; int64_t *whole; } saved_value;
enum { SAVED_VALUES = 18 };

static void saved_values(train_run *r, saved_value values[SAVED_VALUES])
{
    /* what the state file holds beside the trainer's own */
    hrm_metrics *w = &r->window;
    const saved_value all[SAVED_VALUES] = {
        {"run.window.step", NULL, &w->step},
        {"run.window.lr", &w->lr, NULL},
        {"run.window.rows", &w->rows, NULL},
        {"run.window.count", &w->count, NULL},
        {"run.window.accuracy", &w->accuracy, NULL},
        {"run.window.exact_accuracy", &w->exact_accuracy, NULL},
        {"run.window.q_halt_accuracy", &w->q_halt_accuracy, NULL},
        {"run.window.steps", &w->steps, NULL},
        {"run.window.lm_loss", &w->lm_loss, NULL},
        {"run.window.q_halt_loss", &w->q_halt_loss, NULL},
        {"run.window.q_continue_loss", &w->q_continue_loss, NULL},
        {"run.window.ponder_loss", &w->ponder_loss, NULL},
        {"run.window.grad_norm", &w->grad_norm, NULL},
        {"run.best", &r->best, NULL},
        {"run.last_eval", NULL, &r->last_eval},
        {"run.calm", NULL, &r->calm},
        {"run.stopped", NULL, &r->stopped},
        {"run.total", NULL, &r->planned},
    };
    memcpy(values, all, sizeof all);
}

/* What a run was begun on, in its state: a set that was moved or built anew is the same, with other examples it is another. */
#define DATA_SHAPE   "run.data"
#define DATA_CONTENT "run.data.content"

static int describe_data(train_run *r)
{
    /* the training split in words, and a hash of 64 of its examples, evenly spaced */
    const hrm_dataset_info *d = hrm_dataset_describe(r->train);
    size_t T = (size_t)d->seq_len;
    int32_t *tokens = (int32_t *)calloc(2 * T + 1, sizeof *tokens);
    uint64_t hash = DATA_HASH;
    hrm_batch batch;
    int status = tokens ? TOOL_OK : tool_error("no memory for an example of %d tokens", d->seq_len);
    memset(&batch, 0, sizeof batch);
    batch.rows = 1;
    batch.inputs = tokens, batch.labels = tokens + T, batch.puzzle_identifiers = tokens + 2 * T;
    int64_t n = d->total_examples < 64 ? d->total_examples : 64;
    for (int64_t k = 0; k < n && status == TOOL_OK; k++) {
        int64_t at = n > 1 ? k * ((d->total_examples - 1) / (n - 1)) : 0;
        if (hrm_dataset_read(r->train, at, &batch) != HRM_OK) status = tool_failed();
        for (size_t i = 0; i <= 2 * T; i++) {
            uint32_t v = (uint32_t)tokens[i];
            for (int b = 0; b < 4; b++, v >>= 8) { /* the same on every machine */
                unsigned char byte = (unsigned char)v;
                hash = data_hash(hash, &byte, 1);
            }
        }
    }
    snprintf(r->data_shape, sizeof r->data_shape,
             "%lld examples in %lld groups, %d tokens each, a vocabulary of %d, %d puzzle identifiers",
             (long long)d->total_examples, (long long)d->total_groups, d->seq_len, d->vocab_size, d->num_puzzle_identifiers);
    snprintf(r->data_content, sizeof r->data_content, "%016llx", (unsigned long long)hash);
    free(tokens);
    return status;
}

static int check_data(const train_run *r)
{
    /* that a run goes on with the data it was begun on; older states do not tell */
    char path[TOOL_PATH];
    hrm_tensors *file;
    if (!tool_join(path, r->dir, "state.safetensors") || !tool_exists(path)) return TOOL_OK;
    if (hrm_tensors_open(&file, path, NULL) != HRM_OK) return tool_failed();
    const char *shape = hrm_tensors_metadata(file, DATA_SHAPE), *content = hrm_tensors_metadata(file, DATA_CONTENT);
    int status = TOOL_OK;
    if (shape && strcmp(shape, r->data_shape) != 0)
        status = tool_error("%s: the run was begun on %.160s, but %s has %s; load_checkpoint=%s begins another from its "
                            "weights",
                            path, shape, r->c->data_path, r->data_shape, r->dir);
    else if (content && strcmp(content, r->data_content) != 0)
        status = tool_error("%s: the run was begun on other examples than %s has (content %.16s, but %s); load_checkpoint=%s "
                            "begins another from its weights",
                            path, r->c->data_path, content, r->data_content, r->dir);
    hrm_tensors_close(file);
    return status;
}

static int save_state_as(train_run *r, const char *name)
{
    saved_value values[SAVED_VALUES];
    hrm_metadata more[SAVED_VALUES + 4];
    char texts[SAVED_VALUES][40], step_text[24], path[TOOL_PATH];
    r->planned = r->total;
    saved_values(r, values);
    for (int i = 0; i < SAVED_VALUES; i++) {
        more[i].key = values[i].key;
        more[i].value = texts[i];
        if (values[i].real) tool_number(texts[i], *values[i].real); /* reads back exactly */
        else snprintf(texts[i], sizeof texts[i], "%lld", (long long)*values[i].whole);
    }
    if (!tool_join(path, r->dir, name)) return tool_error("%s: the path is too long", r->dir);
    snprintf(step_text, sizeof step_text, "%lld", (long long)hrm_trainer_steps_done(r->trainer));
    const hrm_metadata texts_of[4] = {
        {"step", step_text}, {DATA_SHAPE, r->data_shape}, {DATA_CONTENT, r->data_content}, {GRID_VOCABULARY, r->vocabulary}};
    memcpy(more + SAVED_VALUES, texts_of, sizeof texts_of);
    size_t n = SAVED_VALUES + (r->vocabulary ? 4 : 3);
    if (hrm_trainer_save(r->trainer, path, more, n) != HRM_OK) return tool_failed();
    r->saved_step = hrm_trainer_steps_done(r->trainer);
    return TOOL_OK;
}

static int save_state(train_run *r) { return save_state_as(r, "state.safetensors"); }

static int load_state(train_run *r)
{
    saved_value values[SAVED_VALUES];
    char path[TOOL_PATH];
    hrm_tensors *file;
    if (!tool_join(path, r->dir, "state.safetensors")) return tool_error("%s: the path is too long", r->dir);
    if (!tool_exists(path)) {
        tool_note("%s: no state saved yet; the run starts again", r->dir);
        return TOOL_OK;
    }
    if (hrm_trainer_load(r->trainer, path) != HRM_OK || hrm_tensors_open(&file, path, NULL) != HRM_OK) return tool_failed();
    saved_values(r, values);
    for (int i = 0; i < SAVED_VALUES; i++) {
        const char *text = hrm_tensors_metadata(file, values[i].key);
        if (text && values[i].real) *values[i].real = is_finite(strtod(text, NULL)) ? strtod(text, NULL) : 0;
        if (text && values[i].whole) *values[i].whole = strtoll(text, NULL, 10);
    }
    hrm_tensors_close(file);
    r->saved_step = hrm_trainer_steps_done(r->trainer);
    return TOOL_OK;
}

static int save_weights(train_run *r, const char *name)
{
    char path[TOOL_PATH], step[24];
    snprintf(step, sizeof step, "%lld", (long long)hrm_trainer_steps_done(r->trainer));
    const hrm_metadata more[2] = {{"step", step}, {GRID_VOCABULARY, r->vocabulary}};
    if (devices_rank()) return TOOL_OK;
    if (!tool_join(path, r->dir, name)) return tool_error("%s: the path is too long", r->dir);
    return hrm_model_save_as(r->model, path, HRM_F32, more, r->vocabulary ? 2 : 1) == HRM_OK ? TOOL_OK : tool_failed();
}

static int show_average(train_run *r)
{
    /* what is evaluated and saved from here on: the weights' average, where there is one; the next step changes them back */
    return !r->c->ema || hrm_trainer_use_average(r->trainer, 1) == HRM_OK ? TOOL_OK : tool_failed();
}

static int save_step(train_run *r)
{
    char name[64];
    if (show_average(r) != TOOL_OK) return TOOL_ERROR;
    snprintf(name, sizeof name, "step_%lld.safetensors", (long long)hrm_trainer_steps_done(r->trainer));
    return save_weights(r, name);
}

/* ---- evaluations ------------------------------------------------------------------------------------------------------ */
static int evaluate(train_run *r)
{
    char folder[TOOL_PATH], name[64];
    evaluation e;
    int64_t step = hrm_trainer_steps_done(r->trainer);
    if ((int64_t)hrm_trainer_position(r->trainer).iteration < r->c->min_eval_interval) return TOOL_OK; /* as the public code */
    if (show_average(r) != TOOL_OK) return TOOL_ERROR;
    if (r->test) {
        memset(&e, 0, sizeof e);
        e.title = "eval";
        e.batch_size = evaluation_batch_size(r->c);
        e.max_examples = r->c->eval_examples;
        e.own = r->vocabulary != NULL;
        e.outputs = r->c->eval_save_outputs;
        snprintf(name, sizeof name, "step_%lld_all_preds", (long long)step);
        if (!tool_join(folder, r->dir, name)) return tool_error("%s: the path is too long", r->dir);
        e.directory = folder;
        progress_clear(&r->bar);
        e.comm = devices_comm();
        int status = evaluation_run(&e, r->model, r->test);
        if (status == TOOL_OK) {
            tool_note("step %lld: exact accuracy %.2f %%, accuracy %.2f %%, loss %.4f on the test split", (long long)step,
                      100 * e.metrics.exact_accuracy, 100 * e.metrics.accuracy, e.metrics.lm_loss);
            status = log_metrics(r, step, &e.metrics, 1);
        }
        if (status == TOOL_OK && r->c->keep_best && e.metrics.exact_accuracy > r->best) {
            status = save_weights(r, "best.safetensors");
            if (status == TOOL_OK) r->best = e.metrics.exact_accuracy;
        }
        if (status < 0) return status; /* all ranks' */
        status = devices_agree(status);
        if (status != TOOL_OK) return status;
    }
    r->last_eval = step;
    return devices_agree(r->c->checkpoint_every_eval ? save_step(r) : TOOL_OK);
}

static int iteration_ended(train_run *r, int *ended)
{
    /* whether the next batch would begin another iteration: a copy of the position moves on, without the batch */
    hrm_position position = hrm_trainer_position(r->trainer);
    hrm_batch nothing;
    memset(&nothing, 0, sizeof nothing);
    nothing.rows = (int)r->c->global_batch_size;
    *ended = 0;
    if (r->c->eval_interval == 0 || hrm_trainer_steps_done(r->trainer) == 0) return TOOL_OK;
    uint64_t before = position.iteration;
    int fresh;
    if (hrm_dataset_next(r->train, &position, (uint64_t)r->c->seed, r->epochs_per_iter, &nothing, &fresh) != HRM_OK)
        return tool_failed();
    *ended = position.iteration != before;
    return TOOL_OK;
}

/* ---- the loop --------------------------------------------------------------------------------------------------------- */
static int early_stop(train_run *r)
{
    if (r->c->early_stop_accuracy <= 0 || r->window.count <= 0) return 0;
    r->calm = r->window.exact_accuracy >= r->c->early_stop_accuracy ? r->calm + 1 : 0;
    return r->calm >= r->c->early_stop_patience;
}

static void show(train_run *r, int64_t done)
{
    /* the window's means so far, and the speed since the start */
    char text[128], halted[64] = "";
    double seconds = tool_seconds() - r->started;
    if (r->window.count > 0) r->shown = r->window; /* until rows halt, what those before them did */
    if (r->shown.count > 0)
        snprintf(halted, sizeof halted, "  exact %.1f %%  segments %.2f", 100 * r->shown.exact_accuracy, r->shown.steps);
    snprintf(text, sizeof text, "loss %.4f%s  %.1f steps/s", r->window.lm_loss, halted,
             seconds > 0 ? (double)(done - r->first) / seconds : 0.0);
    progress_update(&r->bar, (double)done, text);
}

static int account(train_run *r, hrm_status status, const hrm_metrics *m)
{
    /* what came of a step: with a GPU, of the one before the one begun; m->step 0: of none yet */
    if (status == HRM_ERR_NAN) { /* the weights are those before the step that went wrong */
        progress_clear(&r->bar);
        (void)tool_failed();
        if (save_step(r) == TOOL_OK)
            tool_note("the last good weights are in %s/step_%lld.safetensors", r->dir,
                      (long long)hrm_trainer_steps_done(r->trainer));
        return devices_agree(TOOL_ERROR);
    }
    if (status != HRM_OK) return progress_clear(&r->bar), tool_failed();
    if (m->step == 0) return TOOL_OK;
    int64_t done = m->step;
    hrm_metrics_add(&r->window, m);
    show(r, done);
    if (done % r->c->log_interval != 0 && done != r->total) return TOOL_OK;
    int logged = log_metrics(r, done, &r->window, 0);
    if (early_stop(r)) {
        r->stopped = 1;
        progress_clear(&r->bar);
        tool_note("step %lld: training exact accuracy stayed at or above %g for %lld logged steps: enough", (long long)done,
                  r->c->early_stop_accuracy, (long long)r->calm);
    }
    memset(&r->window, 0, sizeof r->window);
    return logged;
}

static int catch_up(train_run *r)
{
    hrm_metrics m;
    hrm_status status = hrm_trainer_catch_up(r->trainer, &m);
    return account(r, status, &m);
}

static int finish(train_run *r)
{
    int status = devices_agree(save_step(r));
    if (status == TOOL_OK) status = devices_agree(save_state(r));
    long long steps = (long long)hrm_trainer_steps_done(r->trainer);
    r->bar.done = (double)steps;
    progress_end(&r->bar, NULL);
    if (status == TOOL_OK)
        tool_note("%lld step%s done; weights in %s/step_%lld.safetensors", steps, TOOL_S(steps), r->dir, steps);
    if (status == TOOL_OK && r->not_finite)
        return tool_error("%s: %d of the logged numbers were not finite: null there", r->log_path, r->not_finite);
    return status;
}

static int interrupted(train_run *r)
{
    progress_clear(&r->bar);
    if (r->saved_step != hrm_trainer_steps_done(r->trainer) || r->saved_step == 0) {
        int status = devices_agree(save_state(r));
        if (status != TOOL_OK) return status;
    }
    tool_note("stopped at step %lld; `hrm train resume=%s` goes on", (long long)r->saved_step, r->dir);
    return devices_agree(128 + (int)tool_signal);
}

static int loop(train_run *r)
{
    for (;;) {
        int ended = 0, status = TOOL_OK;
        int asked = devices_any((int)tool_signal);
        if (asked) tool_signal = asked; /* never back to 0: one may come while ranks meet */
        if (asked) {
            status = catch_up(r);
            return status == TOOL_OK ? interrupted(r) : status;
        }
        status = iteration_ended(r, &ended);
        if (status != TOOL_OK) return status;
        int64_t done = hrm_trainer_steps_done(r->trainer);
        int over = done >= r->total || r->stopped ||
                   (ended && r->iterations > 0 && (int64_t)hrm_trainer_position(r->trainer).iteration + 1 >= r->iterations);
        if (ended || over) status = catch_up(r);
        if (status != TOOL_OK) return status;
        if ((ended || over) && r->last_eval != done) {
            status = evaluate(r);
            if (status < 0) return interrupted(r);
            if (status != TOOL_OK) return status;
        }
        if (over && r->window.step) { /* the last line, where the run ends between two */
            status = log_metrics(r, done, &r->window, 0);
            if (status != TOOL_OK) return status;
        }
        if (over) return finish(r);
        hrm_metrics m;
        hrm_status begun = hrm_trainer_step_ahead(r->trainer, r->train, &m);
        status = account(r, begun, &m);
        done = hrm_trainer_steps_done(r->trainer);
        int early = devices_comm() && r->saved_step == 0; /* where one of several may die there is a state to go on from */
        if (status == TOOL_OK && r->c->save_interval > 0 && (done % r->c->save_interval == 0 || early) && done < r->total) {
            status = catch_up(r);
            if (status == TOOL_OK) status = devices_agree(save_state(r));
        }
        if (status != TOOL_OK) return status;
    }
}

/* ---- setting up ------------------------------------------------------------------------------------------------------- */

static void train_desc(const train_run *r, hrm_train_desc *d)
{
    config_train_desc(r->c, d);
    d->steps = r->total;
    d->epochs_per_iter = r->epochs_per_iter;
    d->comm = devices_comm();
}

static int count_steps(train_run *r)
{
    /* the public code's: floor(epochs * groups * mean puzzle examples / batch), in iterations of eval_interval epochs */
    const config *c = r->c;
    const hrm_dataset_info *d = hrm_dataset_describe(r->train);
    double examples = (double)d->total_groups * d->mean_puzzle_examples;
    int64_t per_iter = c->eval_interval ? c->eval_interval : c->epochs;
    if (per_iter > 2147483647) per_iter = 2147483647;
    r->epochs_per_iter = (int)per_iter;
    if ((double)per_iter * examples < (double)c->global_batch_size)
        return tool_error("global_batch_size is %lld, but %lld epoch%s of %s have %.0f examples; raise %s or lower the batch",
                          (long long)c->global_batch_size, (long long)per_iter, per_iter == 1 ? "" : "s", c->data_path,
                          (double)per_iter * examples, c->eval_interval ? "eval_interval" : "epochs");
    r->total = c->steps ? c->steps : (int64_t)((double)c->epochs * examples / (double)c->global_batch_size);
    r->iterations = c->steps ? 0 : c->epochs / c->eval_interval;
    return TOOL_OK;
}

static int run_folder(train_run *r)
{
    config *c = r->c;
    char stamp[40];
    time_t now = time(NULL);
    if (*c->resume) return strcpy(r->dir, c->resume), TOOL_OK;
    size_t n = strlen(c->data_path);
    while (n > 1 && c->data_path[n - 1] == '/') n--;
    char data[TOOL_PATH];
    memcpy(data, c->data_path, n);
    data[n] = 0;
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime(&now));
    if (!*c->project_name) snprintf(c->project_name, sizeof c->project_name, "%s", tool_basename(data));
    if (!*c->run_name) snprintf(c->run_name, sizeof c->run_name, "hrm-%s", stamp);
    if (!*c->checkpoint_path) {
        int length = snprintf(c->checkpoint_path, sizeof c->checkpoint_path, "checkpoints/%s/%s", c->project_name, c->run_name);
        if (length >= (int)sizeof c->checkpoint_path) return tool_error("checkpoint_path: the path is too long");
    }
    strcpy(r->dir, c->checkpoint_path);
    return tool_make_directories(r->dir) == 0 ? TOOL_OK : TOOL_ERROR;
}

/* A new run in a folder that holds one is written beside it first: all_config.new.yaml, then state.new.safetensors. The moment
 * the former becomes all_config.yaml, the old run is gone; what is left then can be done again by whoever comes next. So the
 * new state without the new configuration means that moment: made second, it is also removed first. */
static int is_weights(const char *name)
{
    const char *rest = name + (tool_step_of(name) >= 0 ? 5 + strspn(name + 5, "0123456789") : 0);
    return strcmp(name, "best.safetensors") == 0 || (rest != name && (!*rest || strcmp(rest, ".safetensors") == 0));
}

static int each_weights(const train_run *r, char found[TOOL_PATH], int delete_them)
{
    /* -> how many files of weights the folder holds, and the path of one; -1: said why not */
    char path[TOOL_PATH];
    int n = 0;
    DIR *d = opendir(r->dir);
    if (!d) return tool_say("%s: %s", r->dir, strerror(errno)), -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!is_weights(e->d_name) || !tool_join(path, r->dir, e->d_name) || tool_is_directory(path)) continue;
        strcpy(found, path);
        n++;
        if (delete_them && remove(path) != 0) { /* it would be taken for the new run's */
            tool_say("%s: cannot be removed: %s", path, strerror(errno));
            closedir(d);
            return -1;
        }
    }
    closedir(d);
    return n;
}

static int move(const char *from, const char *to)
{
#ifdef _WIN32
    remove(to);
#endif
    return rename(from, to) == 0 ? TOOL_OK : tool_error("%s: renaming failed: %s", from, strerror(errno));
}

typedef struct folder {
    char lock[TOOL_PATH], state[TOOL_PATH], config[TOOL_PATH], new_state[TOOL_PATH], new_config[TOOL_PATH], log[TOOL_PATH],
        old_log[TOOL_PATH];
} folder;

static int folder_paths(folder *f, const char *dir)
{
    return tool_join(f->lock, dir, "train.lock") && tool_join(f->state, dir, "state.safetensors") &&
                   tool_join(f->config, dir, "all_config.yaml") && tool_join(f->new_state, dir, "state.new.safetensors") &&
                   tool_join(f->new_config, dir, "all_config.new.yaml") && tool_join(f->log, dir, "metrics.jsonl") &&
                   tool_join(f->old_log, dir, "metrics.old.jsonl")
               ? TOOL_OK
               : tool_error("%s: the path is too long", dir);
}

static int undo_new(const folder *f)
{
    const char *const files[2] = {f->new_state, f->new_config};
    for (int i = 0; i < 2; i++)
        if (tool_exists(files[i]) && remove(files[i]) != 0)
            return tool_error("%s: cannot be removed: %s", files[i], strerror(errno));
    return TOOL_OK;
}

static void sweep(const char *dir)
{
    /* what a kill cut short of these two; of the files that every run writes the next writing does it */
    static const char *const begun[] = {"state.new.safetensors.tmp", "all_config.new.yaml.tmp"};
    char path[TOOL_PATH];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        for (int i = 0; i < 2; i++)
            if (strncmp(e->d_name, begun[i], strlen(begun[i])) == 0 && tool_join(path, dir, e->d_name)) remove(path);
    if (d) closedir(d);
}

static int settle_folder(const train_run *r, const folder *f)
{
    /* ends what a new run that was interrupted at its start left: undone before that moment, carried out after it */
    char path[TOOL_PATH];
    sweep(r->dir);
    if (tool_exists(f->new_config)) return undo_new(f);
    if (!tool_exists(f->new_state)) return TOOL_OK;
    int status = tool_exists(f->log) ? move(f->log, f->old_log) : TOOL_OK;
    if (status == TOOL_OK && each_weights(r, path, 1) < 0) status = TOOL_ERROR;
    return status == TOOL_OK ? move(f->new_state, f->state) : status;
}

static int take_folder(train_run *r)
{
    /* the lock, and what must not be there for a run that begins or goes on */
    folder f;
    char found[TOOL_PATH];
    int status = folder_paths(&f, r->dir);
    if (status == TOOL_OK) status = tool_lock_take(&r->lock, f.lock, r->dir);
    if (status == TOOL_OK) status = settle_folder(r, &f);
    if (status != TOOL_OK || !*r->c->resume || tool_exists(f.state)) return status;
    int weights = each_weights(r, found, 0);
    if (weights < 0) return TOOL_ERROR;
    if (weights)
        return tool_error("%s: no state.safetensors, without which the run cannot go on as it was; a new one from its weights: "
                          "load_checkpoint=%s",
                          r->dir, found);
    return TOOL_OK;
}

static int begin_folder(train_run *r, folder *f, int *replaces)
{
    /* the folder of a new run, its configuration written; *replaces: beside that of the run that was there */
    const config *c = r->c;
    const hrm_model_desc *desc = hrm_model_describe(r->model);
    char found[TOOL_PATH];
    int status = run_folder(r);
    if (status == TOOL_OK) status = take_folder(r);
    if (status == TOOL_OK) status = folder_paths(f, r->dir);
    if (status != TOOL_OK) return status;
    int state = tool_exists(f->state), weights = each_weights(r, found, 0);
    if (weights < 0) return TOOL_ERROR;
    if (!state && !weights) { /* at most a log, of a run that saved nothing */
        if (tool_exists(f->log)) status = move(f->log, f->old_log);
        return status == TOOL_OK ? config_write(c, desc, f->config) : status;
    }
    if (!c->overwrite)
        return tool_error("%s holds a run (%s): hrm train resume=%s goes on with it, overwrite=true begins a new one there",
                          r->dir, tool_basename(state ? f->state : found), r->dir);
    *replaces = 1;
    return config_write(c, desc, f->new_config);
}

static int begin_run(train_run *r)
{
    folder f;
    int replaces = 0;
    memset(&f, 0, sizeof f);
    int status = devices_agree(devices_rank() ? TOOL_OK : begin_folder(r, &f, &replaces));
    replaces = devices_any(replaces);
    if (!replaces) return status;
    if (status == TOOL_OK) status = save_state_as(r, "state.new.safetensors");
    if (devices_rank()) return status;
    if (status == TOOL_OK) status = move(f.new_config, f.config);
    if (status != TOOL_OK) {
        undo_new(&f);
        return status;
    }
    tool_note("%s held a run: its log is kept as metrics.old.jsonl", r->dir);
    return settle_folder(r, &f);
}

static int open_vocabulary(train_run *r)
{
    /* of grids of one's own: every checkpoint carries it, and answers without the data set */
    const char *dir = r->c->data_path;
    grid_vocabulary v;
    size_t length;
    char where[TOOL_PATH];
    int status = grid_vocabulary_text(&r->vocabulary, &length, dir), size = hrm_dataset_describe(r->train)->vocab_size;
    if (status != TOOL_OK || !r->vocabulary) return status;
    snprintf(where, sizeof where, "%.1000s/vocabulary.json", dir);
    status = grid_vocabulary_parse(&v, r->vocabulary, length, where);
    if (status != TOOL_OK) return status;
    if (v.count != size) status = tool_error("%s: %d tokens, but vocab_size is %d in the data set", where, (int)v.count, size);
    grid_vocabulary_close(&v);
    return status;
}

static int open_data(train_run *r)
{
    char test[TOOL_PATH];
    const config *c = r->c;
    if (!*c->data_path) return tool_usage("train: data_path=DIR is missing");
    hrm_dataset_desc how;
    unsigned char *only = NULL;
    memset(&how, 0, sizeof how);
    if (c->test_puzzles_only) {
        int status = adapt_puzzles(&only, &how.num_only, c->data_path);
        if (status != TOOL_OK) return status;
        how.only = only;
    }
    hrm_status opened = hrm_dataset_open(&r->train, c->data_path, "train", &how);
    free(only);
    if (opened != HRM_OK) return tool_failed();
    if (open_vocabulary(r) != TOOL_OK || describe_data(r) != TOOL_OK) return TOOL_ERROR;
    if (c->test_puzzles_only) return TOOL_OK;
    const char *from = *c->data_paths_test ? c->data_paths_test : c->data_path;
    if (!*c->data_paths_test && (!tool_join(test, from, "test") || !tool_exists(test)))
        return tool_note("%s has no test split: no evaluations", from), TOOL_OK;
    return hrm_dataset_open(&r->test, from, "test", NULL) == HRM_OK ? TOOL_OK : tool_failed();
}

static int copy_tensor(train_run *r, const hrm_model *from, int index)
{
    /* of the puzzle table, for each of its rows the mean of the rows there: nobody has seen these puzzles */
    hrm_tensor ours, theirs;
    hrm_role role;
    if (hrm_model_tensor(r->model, index, &ours, &role) != HRM_OK) return tool_failed();
    int there = hrm_model_tensor_find(from, ours.name);
    if (there < 0 || hrm_model_tensor(from, there, &theirs, &role) != HRM_OK) return tool_failed();
    size_t n = theirs.bytes / sizeof(hrm_real), most = ours.bytes / sizeof(hrm_real), width = (size_t)ours.shape[1];
    hrm_real *values = (hrm_real *)malloc((n > most ? n : most) * sizeof *values);
    if (!values) return tool_error("no memory for %s", ours.name);
    hrm_status status = hrm_model_tensor_read(from, there, values);
    for (size_t k = 0; status == HRM_OK && role == HRM_PUZZLE_TABLE && k < width; k++) {
        double sum = 0;
        for (size_t i = k; i < n; i += width) sum += (double)values[i];
        values[k] = (hrm_real)(sum / ((double)n / (double)width));
    }
    for (size_t i = width; role == HRM_PUZZLE_TABLE && i < most; i++) values[i] = values[i - width];
    if (status == HRM_OK) status = hrm_model_tensor_write(r->model, index, values);
    free(values);
    return status == HRM_OK ? TOOL_OK : tool_failed();
}

static int start_from(train_run *r, const char *path, const hrm_model_desc *stated)
{
    /* the weights; where the data set has more puzzles than the table's rows, with a table of its size, as the public TRM
     * code */
    const hrm_model_desc *d = hrm_model_describe(r->model);
    hrm_model_desc desc = *stated;
    hrm_model *from;
    char said[300];
    int status;
    if (grid_vocabulary_differs(said, path, r->c->data_path, &status))
        tool_note("%s: %s in %s: what it learned means something else here", r->c->data_path, said, path);
    if (status != TOOL_OK) return status;
    if (d->no_puzzle_emb || d->num_puzzle_identifiers == stated->num_puzzle_identifiers)
        return hrm_model_load_weights(r->model, path) == HRM_OK ? TOOL_OK : tool_failed();
    desc.seq_len = d->seq_len, desc.halt_max_steps = d->halt_max_steps, desc.num_threads = d->num_threads;
    if (hrm_model_load(&from, path, &desc) != HRM_OK) return tool_failed();
    for (int i = 0; i < hrm_model_tensor_count(r->model) && status == TOOL_OK; i++) status = copy_tensor(r, from, i);
    hrm_model_destroy(from);
    if (status == TOOL_OK)
        tool_note("%s: its puzzle table has %d rows, the data set %d puzzles: each begins as the mean of those", path,
                  stated->num_puzzle_identifiers, d->num_puzzle_identifiers);
    return status;
}

static int creation_failed(hrm_status status)
{
    if (status != HRM_ERR_MEMORY) return tool_failed();
    return tool_error("%s; hrm info with the same keys tells how much a training takes, a smaller global_batch_size or "
                      "grad_accumulation=N takes less", hrm_error_message());
}

static int make_model(train_run *r)
{
    config *c = r->c;
    hrm_model_desc desc = hrm_model_desc_for(r->train), stated;
    char test[TOOL_PATH];
    int status;
    char state[TOOL_PATH];
    hrm_sources sources;
    const char *start = *c->resume ? tool_join(state, c->resume, "state.safetensors") : NULL;
    if (!start || !tool_exists(start)) start = *c->load_checkpoint ? c->load_checkpoint : NULL;
    if (start) {
        status = config_checkpoint(c, start, &stated, &sources);
        hrm_model_desc shapes = stated;
        if (start == c->load_checkpoint) shapes.num_puzzle_identifiers = 0; /* there a larger table is made */
        if (status == TOOL_OK) status = evaluation_check_data(&shapes, start, r->train, c->data_path);
        if (status != TOOL_OK) return status;
        if (stated.vocab_size) desc.vocab_size = stated.vocab_size; /* the data may use fewer */
        if (stated.num_puzzle_identifiers > desc.num_puzzle_identifiers)
            desc.num_puzzle_identifiers = stated.num_puzzle_identifiers;
    }
    /* what a checkpoint tells of its own training */
    if (!c->curriculum_steps) c->halt_max_steps_start = c->H_cycles_start = c->L_cycles_start = 0;
    if (!c->exploration_steps) c->halt_exploration_end = 0;
    config_model_desc(c, &desc);
    desc.device = (hrm_device_kind)c->device;
    desc.num_threads = c->threads ? (int)c->threads : devices_threads();
    config_dtypes(c, &desc);
    if (r->test) {
        snprintf(test, sizeof test, "%.1000s, test split", *c->data_paths_test ? c->data_paths_test : c->data_path);
        status = evaluation_check_data(&desc, "its train split", r->test, test);
        if (status != TOOL_OK) return status;
    }
    hrm_status created = hrm_model_create(&r->model, &desc);
    if (created != HRM_OK) return creation_failed(created);
    return start && start == c->load_checkpoint ? start_from(r, start, &stated) : TOOL_OK;
}

static int go_on(train_run *r)
{
    /* a run that goes on, perhaps further than it was to go; its configuration as it is from now on */
    config *c = r->c;
    char path[TOOL_PATH];
    int64_t done = hrm_trainer_steps_done(r->trainer), before = r->planned;
    int more = before > 0 && r->total > before;
    if (c->raw[CONFIG_epochs].origin == CONFIG_COMMAND && c->steps)
        return tool_usage("epochs: %s was begun with steps=%lld, which says how long it is; give steps", r->dir,
                          (long long)c->steps);
    if (more && c->lr_min_ratio < 1 && done > c->lr_warmup_steps)
        tool_note("%lld steps instead of %lld: the learning rate of the first %lld fell as for %lld; one run of %lld would "
                  "have had higher ones",
                  (long long)r->total, (long long)before, (long long)done, (long long)before, (long long)r->total);
    if (r->stopped && (more || c->raw[CONFIG_early_stop_accuracy].origin == CONFIG_COMMAND))
        r->stopped = 0, r->calm = 0; /* asked to go on, or under another rule */
    if (devices_rank()) return TOOL_OK;
    if (!tool_join(path, r->dir, "all_config.yaml")) return tool_error("%s: the path is too long", r->dir);
    return config_write(c, hrm_model_describe(r->model), path);
}

/* ---- how long it will take -------------------------------------------------------------------------------------------- */
static const char *duration(char text[40], double seconds)
{
    if (seconds < 5400) snprintf(text, 40, "%.0f minutes", ceil(seconds / 60));
    else if (seconds < 172800) snprintf(text, 40, "%.0f hours", seconds / 3600);
    else snprintf(text, 40, "%.0f days", seconds / 86400);
    return text;
}

static void foretell(train_run *r)
{
    /* On a CPU a full model takes days: before it starts a few puzzles are solved, and what that took tells the rest. */
    static const struct {
        int hidden, heads, layers, batch, steps;
    } smaller[] = {{256, 8, 2, 64, 10000}, {128, 4, 2, 64, 10000}, {128, 4, 1, 32, 5000}};
    const hrm_model_desc *m = hrm_model_describe(r->model);
    const config *c = r->c;
    int64_t left = r->total - hrm_trainer_steps_done(r->trainer);
    config_work row = config_work_of(m, c->activation_checkpointing);
    int ranks = devices_comm() ? devices_comm()->size : 1;
    double work = row.train * (double)c->global_batch_size * (double)left / ranks, least = 1e30;
    hrm_evaluate_desc e;
    hrm_metrics metrics;
    char text[40], other[40];
    if (m->device != HRM_CPU || work < 2e13 || devices_rank()) return; /* minutes at most */
    memset(&e, 0, sizeof e);
    e.max_examples = e.batch_size = 4;
    e.max_steps = 1;
    for (int i = 0; i < 2; i++) { /* the first time weights are packed and threads awake */
        double start = tool_seconds();
        if (hrm_evaluate(r->model, r->train, &e, &metrics) != HRM_OK) return;
        double took = tool_seconds() - start;
        if (took < least) least = took;
    }
    double one = 4 * row.forward;
    double seconds = work / one * least;
    if (seconds < 600) return;
    tool_note("about %s on this CPU, %.3g s a step", duration(text, seconds), seconds / (double)left);
    if (seconds < 43200 || *c->resume) return;
    for (int i = 0; i < 3; i++) {
        hrm_model_desc s = *m;
        s.hidden_size = smaller[i].hidden;
        s.L_layers = smaller[i].layers;
        if (!s.one_network) s.H_layers = s.L_layers;
        s.puzzle_emb_ndim = s.hidden_size;
        double time = 1.5 * config_work_of(&s, c->activation_checkpointing).train * smaller[i].batch * smaller[i].steps / one *
                      least; /* small products are slower */
        if (time > 21600 && i < 2) continue;
        tool_note("smaller: arch.hidden_size=%d arch.num_heads=%d arch.H_layers=%d arch.L_layers=%d global_batch_size=%d "
                  "steps=%d takes about %s",
                  smaller[i].hidden, smaller[i].heads, s.H_layers, smaller[i].layers, smaller[i].batch, smaller[i].steps,
                  duration(other, time));
        return;
    }
}

static void describe_run(const train_run *r)
{
    const hrm_dataset_info *d = hrm_dataset_describe(r->train);
    const hrm_train_desc *how = hrm_trainer_describe(r->trainer);
    hrm_memory memory;
    char size[48] = "";
    if (hrm_trainer_memory(&memory, hrm_model_describe(r->model), how) == HRM_OK)
        snprintf(size, sizeof size, ", %.2f GB of memory", (double)(memory.model + memory.train) / 1e9);
    double examples = (double)d->total_puzzles * d->mean_puzzle_examples; /* of the groups that are drawn from */
    if (devices_comm()) tool_note("%d processes, each with its part of a batch", devices_comm()->size);
    tool_note("%lld parameters%s; %.0f example%s in %lld group%s; %lld step%s; %s", (long long)hrm_model_parameters(r->model),
              size, examples, TOOL_S(examples), (long long)d->total_groups, TOOL_S(d->total_groups), (long long)r->total,
              TOOL_S(r->total), r->dir);
}

static int run(train_run *r)
{
    hrm_train_desc desc;
    config *c = r->c;
    int status = evaluation_check_outputs(c->eval_save_outputs);
    if (status == TOOL_OK && *c->resume && *c->load_checkpoint && c->raw[CONFIG_load_checkpoint].origin == CONFIG_COMMAND)
        status = tool_usage("resume and load_checkpoint exclude each other");
    if (status == TOOL_OK) config_skip_evaluators(c);
    if (status == TOOL_OK) status = open_data(r);
    if (status == TOOL_OK) status = count_steps(r);
    if (status == TOOL_OK && *c->resume) status = run_folder(r);
    if (status == TOOL_OK && *c->resume && !devices_rank()) status = take_folder(r);
    status = devices_agree(status);
    if (status == TOOL_OK && *c->resume) status = check_data(r);
    if (status == TOOL_OK) status = make_model(r);
    if (status == TOOL_OK) {
        train_desc(r, &desc);
        hrm_status created = hrm_trainer_create(&r->trainer, r->model, &desc);
        if (created != HRM_OK) status = creation_failed(created);
    }
    status = devices_agree(status);
    if (status != TOOL_OK) return status;

    if (*c->resume) {
        status = load_state(r);
        if (status == TOOL_OK) status = go_on(r);
    } else status = begin_run(r);
    if (status == TOOL_OK) status = open_logs(r, hrm_trainer_steps_done(r->trainer));
    status = devices_agree(status);
    if (status != TOOL_OK) return status;
    describe_run(r);
    foretell(r);
    tool_catch_signals("hrm: finishing the step; again to stop at once\n");
    r->first = hrm_trainer_steps_done(r->trainer);
    r->started = tool_seconds();
    r->bar = progress_begin("train", (double)r->total);
    r->bar.from = (double)r->first;
    return loop(r);
}

static void print_usage(void)
{
    printf(
        "usage: hrm train [--config FILE.yaml] data_path=DIR [KEY=VALUE…]\n"
        "       hrm train resume=RUN_DIR [KEY=VALUE…]\n\n"
        "Trains a model on a data set. A run writes into checkpoint_path:\n"
        "all_config.yaml, metrics.jsonl, TensorBoard events, step_N.safetensors, and\n"
        "state.safetensors, from which resume goes on exactly; with steps=N or epochs=N\n"
        "also past the end. A folder that holds a run is refused without overwrite=true,\n"
        "and so is one in which another process trains.\n"
        "SIGINT and SIGTERM finish the step, save and stop; a second one stops at once.\n"
        "Several processes train together under mpirun (make MPI=1) or with RANK,\n"
        "WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT set as torchrun does, on\n"
        "GPUs one a process (make cuda NCCL=1): global_batch_size is parted among them.\n\n");
    config_help(CONFIG_TRAIN);
}

int command_train(int argc, char **argv)
{
    train_run r;
    memset(&r, 0, sizeof r);
    r.best = -1;
    r.last_eval = -1;
    r.c = config_create(CONFIG_TRAIN);
    if (!r.c) return TOOL_ERROR;
    int status = config_parse(r.c, argc, argv);
    if (status == TOOL_OK && r.c->help) print_usage();
    else if (status == TOOL_OK) status = devices_open((hrm_device_kind)r.c->device);
    if (status == TOOL_OK && !r.c->help) status = run(&r);
    if (r.log && fclose(r.log) != 0 && status == TOOL_OK)
        status = tool_error("%s: writing failed: %s", r.log_path, strerror(errno));
    tool_lock_release(&r.lock);
    tensorboard_close(r.board);
    hrm_trainer_destroy(r.trainer);
    hrm_model_destroy(r.model);
    if (r.train) hrm_dataset_close(r.train);
    if (r.test) hrm_dataset_close(r.test);
    free(r.vocabulary);
    config_free(r.c);
    return status;
}
