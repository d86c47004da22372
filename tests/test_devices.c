/* Several ranks against one process: threads of this program as ranks, in double, where what another order of sums changes is
 * far below anything that is wrong. */
#define hrm_real double
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include "util.h"

/* ---- ranks that share a program -------------------------------------------------------------------------------------- */
enum { MOST = 5, PENDING = 64 };
typedef struct meeting { hrm_pool *pool; int size, at_once; void *place[MOST]; size_t count[MOST]; int unlike; } meeting;
typedef struct seat {
    meeting *m;
    int      rank, sums, early; /* early: sums begun before the last wait began, the most */
    struct { hrm_real *values; size_t n; } pending[PENDING];
} seat;

static void meet(seat *s, void *place, size_t count)
{
    s->m->place[s->rank] = place;
    s->m->count[s->rank] = count;
    hrm_pool_barrier(s->m->pool);
    if (s->m->count[0] != count) s->m->unlike = 1; /* ranks that call differently */
}

static void add_up(seat *s, hrm_real *values, size_t n)
{
    meet(s, values, n);
    for (size_t i = 0; s->rank == 0 && i < n; i++) {
        hrm_real sum = 0;
        for (int r = 0; r < s->m->size; r++) sum += ((hrm_real *)s->m->place[r])[i];
        for (int r = 0; r < s->m->size; r++) ((hrm_real *)s->m->place[r])[i] = sum;
    }
    hrm_pool_barrier(s->m->pool);
}

static hrm_status seat_sum(void *user, hrm_real *values, size_t n, void *stream)
{
    /* at once or not before wait(): it must not matter */
    seat *s = (seat *)user;
    if (stream || s->sums == PENDING) return hrm_error_set(HRM_ERR_ARGUMENT, "sum");
    if (s->m->at_once) add_up(s, values, n);
    else s->pending[s->sums].values = values, s->pending[s->sums].n = n;
    if (++s->sums > s->early) s->early = s->sums;
    return HRM_OK;
}

static hrm_status seat_wait(void *user, void *stream)
{
    seat *s = (seat *)user;
    for (int i = 0; i < s->sums && !s->m->at_once; i++) add_up(s, s->pending[i].values, s->pending[i].n);
    s->sums = 0;
    return stream ? HRM_ERR_ARGUMENT : HRM_OK;
}

static hrm_status seat_gather(void *user, void *to, const void *from, size_t bytes, int all, void *stream)
{
    seat *s = (seat *)user;
    union { const void *in; void *out; } from_here;
    from_here.in = from;
    meet(s, from_here.out, bytes);
    for (int r = 0; (all || s->rank == 0) && r < s->m->size; r++) memcpy((char *)to + (size_t)r * bytes, s->m->place[r], bytes);
    hrm_pool_barrier(s->m->pool);
    return stream || (to != NULL) != (all || s->rank == 0) ? HRM_ERR_ARGUMENT : HRM_OK;
}

static hrm_comm sit(seat *s, meeting *m, int rank)
{
    hrm_comm c;
    memset(s, 0, sizeof *s);
    s->m = m, s->rank = rank;
    c.rank = rank, c.size = m->size, c.user = s;
    c.sum = seat_sum, c.wait = seat_wait, c.gather = seat_gather;
    return c;
}

static void decide(const meeting *m, int rank, hrm_model *model)
{
    /* one after the other: checks are counted */
    for (int r = 0; r < m->size; r++) {
        if (r == rank && model) model_decide(model, 6);
        hrm_pool_barrier(m->pool);
    }
}

static hrm_model_desc tiny_desc(void)
{
    hrm_model_desc d = small_desc();
    d.num_puzzle_identifiers = 40; /* most are in no batch, and must not move */
    return d;
}

/* ---- the data: 23 groups of one to three puzzles, up to four examples each ---------------------------------------------- */
enum { GROUPS = 23 };
static struct {
    int32_t  puzzles[GROUPS * 3 + 1], groups[GROUPS + 1], ids[GROUPS * 3];
    uint8_t *tokens;
    hrm_dataset_arrays a;
} all;
static void data_make(const hrm_model_desc *d)
{
    hrm_random r = hrm_random_make(31, 1);
    hrm_dataset_arrays *a = &all.a;
    int32_t count = 0, examples = 0;
    for (int g = 0; g < GROUPS; g++) {
        for (uint32_t n = 1 + hrm_random_below(&r, 3); n > 0; n--) {
            all.ids[count] = (int32_t)hrm_random_below(&r, (uint32_t)d->num_puzzle_identifiers);
            examples += 1 + (int32_t)hrm_random_below(&r, 4);
            all.puzzles[++count] = examples;
        }
        all.groups[g + 1] = count;
    }
    size_t tokens = (size_t)examples * (size_t)d->seq_len;
    all.tokens = (uint8_t *)malloc(2 * tokens);
    for (size_t i = 0; i < 2 * tokens; i++) all.tokens[i] = (uint8_t)hrm_random_below(&r, (uint32_t)d->vocab_size);
    a->seq_len = d->seq_len, a->vocab_size = d->vocab_size;
    a->num_puzzle_identifiers = d->num_puzzle_identifiers;
    a->num_examples = examples, a->inputs = all.tokens, a->labels = all.tokens + tokens;
    a->num_puzzles = count, a->puzzle_identifiers = all.ids, a->puzzle_indices = all.puzzles;
    a->num_groups = GROUPS, a->group_indices = all.groups;
}

/* ---- a training, by one or by many --------------------------------------------------------------------------------------- */
enum { STEPS = 6, HALF = 3 };
typedef struct training {
    hrm_model_desc d;
    hrm_train_desc td;
    meeting        m;
    hrm_model     *models[MOST];
    hrm_metrics    metrics[MOST][STEPS + 1];
    hrm_status     status[MOST];
    char           message[MOST][200];
    int            early[MOST];
    size_t         live[MOST], told[MOST];
    const char    *half, *end; /* states written, or half NULL; from: read first */
    const char    *from;
    int            other_weights, other_rate, poison; /* what is wrong on the last rank; poison: from that step on */
} training;

static hrm_status work(training *t, int rank, hrm_comm *comm)
{
    hrm_dataset *data = NULL;
    hrm_trainer *trainer = NULL;
    hrm_train_desc td = t->td;
    hrm_model_desc d = t->d;
    hrm_memory tells = {0, 0, 0};
    static counting counts[MOST]; /* the models live on */
    counting *count = &counts[rank];
    counting_init(count);
    int last = rank == t->m.size - 1;
    if (t->m.size > 1) td.comm = comm;
    if (t->other_rate && last) td.lr = 2e-3f;
    if (t->other_weights && last) d.seed++;
    d.allocator = &count->allocator;
    hrm_status status = hrm_dataset_from_arrays(&data, &all.a, NULL);
    if (status == HRM_OK) status = hrm_model_create(&t->models[rank], &d);
    decide(&t->m, rank, t->models[rank]);
    if (status == HRM_OK) status = hrm_trainer_create(&trainer, t->models[rank], &td);
    if (status == HRM_OK) status = hrm_trainer_memory(&tells, hrm_model_describe(t->models[rank]), &td);
    t->live[rank] = count->live_bytes, t->told[rank] = tells.model + tells.train;
    if (status == HRM_OK && t->from) status = hrm_trainer_load(trainer, t->from);
    while (status == HRM_OK) {
        int64_t done = hrm_trainer_steps_done(trainer);
        if (done == t->poison && done > 0 && last) {
            memset(trainer->run->w.z[0], 0xff, sizeof(hrm_real)); /* of a row that goes on */
            trainer->run->w.halted[0] = 0;
        }
        status = hrm_trainer_step(trainer, data, &t->metrics[rank][done]);
        if (status == HRM_OK && done + 1 == HALF && t->half) status = hrm_trainer_save(trainer, t->half, NULL, 0);
    }
    if (status == HRM_END) status = t->end ? hrm_trainer_save(trainer, t->end, NULL, 0) : HRM_OK;
    hrm_trainer_destroy(trainer);
    hrm_dataset_close(data);
    return status;
}

static void work_job(void *context, int rank, int n)
{
    training *t = (training *)context;
    seat s;
    hrm_comm comm = sit(&s, &t->m, rank);
    (void)n;
    t->status[rank] = work(t, rank, &comm);
    snprintf(t->message[rank], sizeof t->message[rank], "%.199s", t->status[rank] == HRM_OK ? "" : hrm_error_message());
    t->early[rank] = s.early;
    hrm_pool_barrier(t->m.pool);
}

static int train(training *t, int size, int at_once)
{
    /* 0: without threads there are no ranks */
    memset(t->models, 0, sizeof t->models);
    memset(t->metrics, 0, sizeof t->metrics);
    memset(&t->m, 0, sizeof t->m);
    t->m.size = size, t->m.at_once = at_once;
    CHECK_OK(hrm_pool_create(&t->m.pool, size, NULL));
    int there = hrm_pool_size(t->m.pool) == size;
    if (there) hrm_pool_run(t->m.pool, work_job, t);
    hrm_pool_destroy(t->m.pool);
    return there;
}

static void end(training *t)
{
    for (int r = 0; r < MOST; r++) hrm_model_destroy(t->models[r]);
}

static double distance(const char *a, const char *b, int *same_names)
{
    /* the largest relative difference of two states' tensors */
    hrm_tensors *x = NULL, *y = NULL;
    double worst = 0;
    CHECK_OK(hrm_tensors_open(&x, a, NULL));
    CHECK_OK(hrm_tensors_open(&y, b, NULL));
    *same_names = x && y && hrm_tensors_count(x) == hrm_tensors_count(y);
    for (size_t i = 0; *same_names && i < hrm_tensors_count(x); i++) {
        const hrm_tensor *p = hrm_tensors_at(x, i), *q = hrm_tensors_find(y, p->name);
        if (!q || q->bytes != p->bytes || q->dtype != p->dtype) {
            *same_names = 0;
            break;
        }
        size_t n = p->bytes / hrm_dtype_size(p->dtype);
        hrm_real *v = (hrm_real *)malloc((2 * n + 1) * sizeof *v);
        CHECK_OK(hrm_convert(v, HRM_F64, p->data, p->dtype, n));
        CHECK_OK(hrm_convert(v + n, HRM_F64, q->data, q->dtype, n));
        double e = relative_error(v, v + n, n);
        if (e > worst) worst = e;
        free(v);
    }
    if (x) hrm_tensors_close(x);
    if (y) hrm_tensors_close(y);
    return worst;
}

static int metrics_close(const hrm_metrics *a, const hrm_metrics *b)
{
    const double x[] = {a->rows, a->count, a->accuracy, a->exact_accuracy, a->q_halt_accuracy, a->steps, a->lm_loss,
                        a->q_halt_loss, a->q_continue_loss, a->ponder_loss, a->grad_norm, a->lr};
    const double y[] = {b->rows, b->count, b->accuracy, b->exact_accuracy, b->q_halt_accuracy, b->steps, b->lm_loss,
                        b->q_halt_loss, b->q_continue_loss, b->ponder_loss, b->grad_norm, b->lr};
    for (int i = 0; i < 12; i++)
        if (!(fabs(x[i] - y[i]) <= 1e-9 * (1 + fabs(y[i])))) return 0;
    return a->step == b->step;
}

static void compare(const char *name, training *one, int size, int at_once)
{
    char half[400], whole[400], other[400];
    training many = *one, rest;
    strcpy(half, own_file("half")), strcpy(whole, own_file("end")), strcpy(other, own_file("other"));
    int names = 0, same = 1, fine = 1;
    many.half = half, many.end = whole;
    if (!train(&many, size, at_once)) return;
    for (int r = 0; r < size; r++) {
        CHECK(many.status[r] == HRM_OK, "%s, rank %d of %d: %s", name, r, size, many.message[r]);
        CHECK(many.live[r] == many.told[r], "%s, rank %d of %d takes %zu bytes, hrm_trainer_memory says %zu", name, r, size,
              many.live[r], many.told[r]);
        fine &= many.status[r] == HRM_OK;
        same &= fine && models_equal(many.models[0], many.models[r]);
        for (int k = 0; k < STEPS; k++)
            CHECK(metrics_close(&many.metrics[r][k], &one->metrics[0][k]),
                  "%s, rank %d of %d, step %d: loss %.12g, alone %.12g", name, r, size, k + 1, many.metrics[r][k].lm_loss,
                  one->metrics[0][k].lm_loss);
    }
    CHECK(same, "%s: %d ranks end with weights that differ", name, size);
    CHECK(!many.m.unlike, "%s: ranks make different calls", name);
    if (fine) {
        double far = distance(whole, one->end, &names);
        CHECK(names && far < 1e-9, "%s: %d ranks end %g from one", name, size, far);
        /* from the middle, by another number of ranks */
        for (int n = size == 2 ? 3 : 1; n > 0; n -= 2) {
            rest = *one;
            rest.from = half, rest.half = NULL, rest.end = other;
            rest.d.seed += 7;
            train(&rest, n, 1);
            for (int r = 0; r < n; r++) CHECK(rest.status[r] == HRM_OK, "%s, resumed by %d: %s", name, n, rest.message[r]);
            if (rest.status[0] == HRM_OK) {
                far = distance(other, one->end, &names);
                CHECK(names && far < 1e-9, "%s: %d ranks, then %d, end %g from one", name, size, n, far);
            }
            end(&rest);
        }
    }
    end(&many);
    remove(half), remove(whole), remove(other);
}

static void check_training(void)
{
    char path[400];
    strcpy(path, own_file("one"));
    for (int k = 0; k < 10; k++) {
        static const char *const names[] = {"hrm", "no puzzle table", "muon, clipped, averaged", "in parts", "frozen weights",
                                            "trm, two cycles back", "dropout", "computed again", "a mixer",
                                            "fast, 2 x 2 cycles"};
        training one;
        memset(&one, 0, sizeof one);
        one.d = tiny_desc();
        one.d.num_threads = 1;
        one.d.halt_exploration_prob = 0.5f;
        one.td.steps = STEPS, one.td.batch_size = 12, one.td.lr = 1e-3f, one.td.puzzle_emb_lr = 1e-2f, one.td.seed = 4;
        one.td.no_warmup = 1;
        if (k == 1) one.d.no_puzzle_emb = 1, one.d.puzzle_emb_ndim = 0;
        if (k == 2) one.td.optimizer = HRM_MUON, one.td.grad_clip = 0.05f, one.td.ema = 1, one.td.ema_rate = 0.9f;
        if (k == 3) one.td.grad_accumulation = 2, one.td.optimizer = HRM_ADAMW;
        if (k == 4) one.td.freeze_weights = 1;
        if (k == 5) one.d.arch = HRM_ARCH_TRM, one.d.H_cycles = one.d.L_cycles = one.d.grad_H_cycles = one.d.puzzle_emb_len = 2;
        if (k == 6) one.d.dropout = 0.2f, one.td.gather_ahead = 1;
        if (k == 7) one.td.activation_checkpointing = 1, one.td.lr_min_ratio = 0.1f;
        if (k == 8) one.d.mlp_t = 1, one.d.mlp_norm = 1;
        if (k == 9) one.d.arch = one.td.arch = HRM_ARCH_FAST, one.d.H_layers = one.d.L_layers = 0, one.d.puzzle_emb_ndim = 8;
        if (k == 9) one.td.ema_from = 2, one.d.H_cycles = one.d.L_cycles = 2; /* its 6 x 9 make 1e-5 of 1e-16 in six steps */
        one.end = path;
        train(&one, 1, 1);
        CHECK(one.status[0] == HRM_OK, "%s: %s", names[k], one.message[0]);
        end(&one);
        compare(names[k], &one, 2, 0);
        compare(names[k], &one, 3, 1);
        if (k != 3) compare(names[k], &one, 5, 0); /* 12 rows: 2 or 3 each */
    }
    remove(path);
}

static void check_early(void)
{
    /* with two networks of two blocks four sums are begun on the way back, and one for what is not a block's */
    training t;
    memset(&t, 0, sizeof t);
    t.d = tiny_desc();
    t.d.H_layers = t.d.L_layers = 2;
    t.td.steps = 2, t.td.batch_size = 4;
    if (!train(&t, 2, 0)) {
        printf("skipped: ranks, which need threads\n");
        return;
    }
    CHECK(t.status[0] == HRM_OK && t.early[0] == 5, "%d sums a step, %s", t.early[0], t.message[0]);
    end(&t);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------------- */
static void check_failures(void)
{
    training t, base;
    memset(&base, 0, sizeof base);
    base.d = tiny_desc();
    base.td.steps = STEPS, base.td.batch_size = 6;
    for (int k = 0; k < 4; k++) {
        static const char *const expected[] = {"rank 1 has other weights than rank 0", "rank 1 trains otherwise than rank 0",
                                               "step 3: the loss is not finite; the weights are those before it", ""};
        static const hrm_status kind[] = {HRM_ERR_ARGUMENT, HRM_ERR_ARGUMENT, HRM_ERR_NAN, HRM_ERR_IO};
        t = base;
        t.other_weights = k == 0, t.other_rate = k == 1;
        if (k == 2) t.poison = 2; /* the last rank's rows alone */
        if (k == 3) t.half = "/nowhere at all/state";
        if (!train(&t, 2, 1)) return;
        for (int r = 0; r < 2; r++)
            CHECK(t.status[r] == kind[k] && strstr(t.message[r], expected[k]), "rank %d: status %d, \"%s\", expected \"%s\"", r,
                  (int)t.status[r], t.message[r], expected[k]);
        if (k == 3) CHECK(strncmp(t.message[1], "rank 0: ", 8) == 0, "rank 1 says \"%s\" of rank 0's file", t.message[1]);
        if (k == 2) CHECK(models_equal(t.models[0], t.models[1]), "after a loss that was not finite ranks differ");
        end(&t);
    }
    hrm_trainer *trainer = NULL;
    hrm_model *model = NULL;
    hrm_comm c;
    hrm_train_desc td = base.td;
    CHECK_OK(hrm_model_create(&model, &base.d));
    memset(&c, 0, sizeof c);
    c.size = 2;
    td.comm = &c;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "comm: a function is missing");
    c.sum = seat_sum, c.wait = seat_wait, c.gather = seat_gather;
    c.rank = 2;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "comm: rank 2 of 2");
    c.rank = 1, c.size = 7;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT, "a batch of 6 rows is too small for 7 processes");
    c.size = 4, td.grad_accumulation = 3;
    CHECK_FAILS(hrm_trainer_create(&trainer, model, &td), HRM_ERR_ARGUMENT,
                "a batch of 6 rows does not part into grad_accumulation 3 equal ones on each of 4 processes");
    c.size = 1, c.rank = 0; /* alone: nothing of it is used */
    CHECK_OK(hrm_trainer_create(&trainer, model, &td));
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    for (int size = 1; size < 9; size++) {
        int next = 0;
        c.size = size;
        for (int r = 0; r < size; r++) {
            int first = -1, n = hrm_comm_rows(&c, r, 20, &first);
            CHECK(first == next && n >= 20 / size && n <= (20 + size - 1) / size, "rank %d of %d: %d rows from %d", r, size, n,
                  first);
            next += n;
        }
        CHECK(next == 20, "%d ranks have %d rows", size, next);
    }
}

/* ---- evaluating ---------------------------------------------------------------------------------------------------------- */
enum { ROWS = 400 };
typedef struct evaluation {
    meeting     m;
    hrm_metrics metrics[MOST];
    hrm_status  status[MOST];
    char        message[MOST][200];
    int64_t     first, most, stop; /* stop: the last rank stops it, once so many are done */
    int         fail;              /* rank 0's on_rows fails */
    int         told[MOST], batches[MOST];
    int64_t     examples[ROWS]; /* what rank 0 was told, in order */
    double      q[ROWS], logit[ROWS];
    int32_t     prediction[ROWS], label[ROWS];
} evaluation;
typedef struct listener { evaluation *e; int rank; } listener;

static hrm_status hear_rows(void *user, int64_t first, const hrm_batch *batch, const hrm_run_outputs *o)
{
    listener *l = (listener *)user;
    evaluation *e = l->e;
    for (int i = 0; i < batch->filled && e->told[l->rank] < ROWS; i++) {
        int n = e->told[l->rank]++;
        e->examples[n] = first + i;
        e->q[n] = o->q_halt[i] + 2 * o->q_continue[i] + o->steps[i];
        e->prediction[n] = o->predictions[i * 6 + 5];
        e->label[n] = batch->labels[i * 6 + 5];
        e->logit[n] = o->logits[(i * 6 + 5) * 5 + 4];
    }
    return e->fail ? hrm_error_set(HRM_ERR_IO, "no more room") : HRM_OK;
}

static hrm_status hear_batch(void *user, int64_t done, int64_t total, const hrm_metrics *so_far)
{
    listener *l = (listener *)user;
    (void)total, (void)so_far;
    l->e->batches[l->rank]++;
    int stops = l->e->stop && done >= l->e->stop && l->rank == l->e->m.size - 1;
    return stops ? hrm_error_set(HRM_ERR_CANCELLED, "enough") : HRM_OK;
}

static void evaluate_job(void *context, int rank, int n)
{
    evaluation *e = (evaluation *)context;
    seat s;
    hrm_comm comm = sit(&s, &e->m, rank);
    hrm_model_desc d = tiny_desc();
    hrm_model *model = NULL;
    hrm_evaluate_desc how;
    listener l;
    hrm_dataset *data = NULL;
    (void)n;
    l.e = e, l.rank = rank;
    memset(&how, 0, sizeof how);
    how.batch_size = 7;
    how.adaptive = 1;
    how.first_example = e->first, how.max_examples = e->most;
    how.want_logits = 1;
    how.on_rows = hear_rows, how.on_batch = hear_batch, how.user = &l;
    how.comm = &comm;
    e->status[rank] = hrm_dataset_from_arrays(&data, &all.a, NULL);
    if (e->status[rank] == HRM_OK) e->status[rank] = hrm_model_create(&model, &d);
    decide(&e->m, rank, model);
    if (e->status[rank] == HRM_OK) e->status[rank] = hrm_evaluate(model, data, &how, &e->metrics[rank]);
    snprintf(e->message[rank], sizeof e->message[rank], "%.199s", e->status[rank] == HRM_OK ? "" : hrm_error_message());
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    hrm_pool_barrier(e->m.pool);
}

static int evaluate(evaluation *e, int size)
{
    e->m.size = size;
    CHECK_OK(hrm_pool_create(&e->m.pool, size, NULL));
    int there = hrm_pool_size(e->m.pool) == size;
    if (there) hrm_pool_run(e->m.pool, evaluate_job, e);
    hrm_pool_destroy(e->m.pool);
    return there;
}

static void check_evaluating(void)
{
    static evaluation one, many;
    for (int k = 0; k < 3; k++) {
        memset(&one, 0, sizeof one);
        if (k == 1) one.first = 5;
        if (k > 0) one.most = k == 1 ? 60 : 8;
        evaluate(&one, 1);
        CHECK(one.status[0] == HRM_OK && one.told[0] > 7, "%s", one.message[0]);
        for (int size = 2; size <= 4; size++) {
            memset(&many, 0, sizeof many);
            many.first = one.first, many.most = one.most;
            if (!evaluate(&many, size)) return;
            for (int r = 0; r < size; r++) {
                CHECK(many.status[r] == HRM_OK, "rank %d of %d: %s", r, size, many.message[r]);
                CHECK(memcmp(&many.metrics[r], &one.metrics[0], sizeof one.metrics[0]) == 0,
                      "rank %d of %d: loss %.17g, alone %.17g", r, size, many.metrics[r].lm_loss, one.metrics[0].lm_loss);
                CHECK(many.batches[r] == one.batches[0], "rank %d of %d heard of %d batches", r, size, many.batches[r]);
                CHECK(many.told[r] == (r ? 0 : one.told[0]), "rank %d of %d was told %d rows", r, size, many.told[r]);
            }
            size_t n = (size_t)one.told[0];
            CHECK(memcmp(many.examples, one.examples, n * sizeof *one.examples) == 0 &&
                      memcmp(many.label, one.label, n * sizeof *one.label) == 0, "%d ranks: rows in another order", size);
            CHECK(memcmp(many.prediction, one.prediction, n * sizeof *one.prediction) == 0 &&
                      memcmp(many.q, one.q, n * sizeof *one.q) == 0 &&
                      memcmp(many.logit, one.logit, n * sizeof *one.logit) == 0,
                  "%d ranks: rows with other results", size);
            CHECK(!many.m.unlike, "ranks make different calls");
        }
    }
    memset(&many, 0, sizeof many);
    many.stop = 20;
    if (!evaluate(&many, 3)) return;
    for (int r = 0; r < 3; r++)
        CHECK(many.status[r] == HRM_ERR_CANCELLED && many.batches[r] <= 6, "rank %d: status %d after %d batches", r,
              (int)many.status[r], many.batches[r]);
    memset(&many, 0, sizeof many);
    many.fail = 1;
    evaluate(&many, 2);
    CHECK(many.status[0] == HRM_ERR_IO && many.status[1] == HRM_ERR_IO, "a failure of rank 0 is %d on rank 1",
          (int)many.status[1]);
    CHECK(strcmp(many.message[1], "rank 0: no more room") == 0, "rank 1 says \"%s\"", many.message[1]);
}

int main(int argc, char **argv)
{
    if (argc == 3) { /* for test_devices.sh: how far two states are from one another */
        int names;
        double far = distance(argv[1], argv[2], &names);
        printf("%g\n", names && test_failed == 0 ? far : HUGE_VAL);
        return 0;
    }
    hrm_model_desc d = tiny_desc();
    data_make(&d);
    check_early();
    check_training();
    check_failures();
    check_evaluating();
    free(all.tokens);
    return test_summary();
}
