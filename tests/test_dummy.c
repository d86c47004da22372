/* The GPU backend without a GPU: hrm_cuda.cu compiled as C++ for a processor that plays one (tests/cuda/dummy), in float32.
 * Every entry of its table against the CPU's, trainings, solving, replays; and every CUDA call failing in turn. */
#ifdef NO_DUMMY
    #include <stdio.h>
int main(void)
{
    printf("skipped: no C++ compiler for the GPU backend\n1 passed, 0 failed\n");
    return 0;
}
#else
    #define main cuda_main
    #include "cuda/test_cuda.c"
    #undef main

/* of tests/cuda/dummy/dummy.h */
extern long dummy_fail_at, dummy_calls, dummy_alive;

static int thorough(void)
{
    const char *all = getenv("HRM_TEST_LONG");
    return all && *all;
}

/* Creates, trains, saves, solves: -> the first status that is not HRM_OK. What failed is tried again once no call fails. */
static hrm_status session(hrm_dataset *data, int *recovered)
{
    hrm_model *model = NULL;
    hrm_trainer *trainer = NULL;
    hrm_model_desc d = hrm_model_desc_for(data);
    hrm_train_desc td;
    hrm_metrics m = {0};
    int32_t puzzle[2 * TOY_T], answer[2 * TOY_T];
    hrm_solve_desc sd;
    memset(&td, 0, sizeof td), memset(&sd, 0, sizeof sd);
    d.hidden_size = 8, d.num_heads = 1, d.one_network = 1, d.L_layers = 1, d.H_cycles = d.L_cycles = 1, d.halt_max_steps = 2;
    d.device = HRM_CUDA, d.forward_dtype = HRM_FORWARD_FLOAT32, d.seed = 1, d.expansion = 1;
    td.steps = 100, td.batch_size = 2, td.seed = 2, td.ema = 1, td.grad_clip = 1, td.gather_ahead = -1;
    for (int i = 0; i < 2 * TOY_T; i++) puzzle[i] = 1 + i % (TOY_V - 1);
    sd.rows = 2;
    hrm_status status = hrm_model_create(&model, &d), later;
    if (status == HRM_OK) status = hrm_trainer_create(&trainer, model, &td);
    for (int i = 0; i < 4 && status == HRM_OK; i++) status = hrm_trainer_step(trainer, data, &m); /* recorded, replayed */
    if (status == HRM_OK) status = hrm_trainer_use_average(trainer, 1);
    for (int i = 0; i < 3 && status == HRM_OK; i++) status = hrm_solve(model, puzzle, answer, &sd);
    *recovered = 1;
    if (status != HRM_OK && model) { /* usable, or dead with a message */
        long at = dummy_fail_at;
        dummy_fail_at = 0;
        char first[512];
        snprintf(first, sizeof first, "%s", hrm_error_message());
        later = trainer ? hrm_trainer_step(trainer, data, &m) : HRM_OK;
        *recovered = later == HRM_OK ? m.lm_loss == m.lm_loss || !trainer
                                     : strlen(hrm_error_message()) > 0 && (later == HRM_ERR_DEVICE || later == HRM_ERR_NAN);
        if (!*recovered) fprintf(stderr, "then status %d, loss %g: %s\n", (int)later, m.lm_loss, hrm_error_message());
        hrm_error_set(status, "%s", first);
        dummy_fail_at = at;
    }
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    return status;
}

static void check_calls(void)
{
    hrm_dataset *data = toy_data();
    int recovered = 0;
    dummy_fail_at = dummy_calls = 0;
    CHECK(dummy_alive == 0, "%ld objects of CUDA's are alive", dummy_alive);
    CHECK_OK(session(data, &recovered));
    CHECK(dummy_alive == 0, "%ld objects of CUDA's are left by a session", dummy_alive);
    long all = dummy_calls, step = thorough() ? 7 : 61;
    for (long n = 1; n <= all; n += n < 12 ? 1 : step) {
        dummy_fail_at = n, dummy_calls = 0;
        hrm_status status = session(data, &recovered);
        dummy_fail_at = 0;
        CHECK(status == HRM_OK || status == HRM_ERR_DEVICE, "call %ld of %ld: status %d, %s", n, all, (int)status,
              hrm_error_message());
        CHECK(status == HRM_OK || strstr(hrm_error_message(), "CUDA"), "call %ld: message \"%s\"", n, hrm_error_message());
        CHECK(recovered, "call %ld of %ld: not usable afterwards: %s", n, all, hrm_error_message());
        CHECK(dummy_alive == 0, "call %ld of %ld: %ld objects are left: %s", n, all, dummy_alive, hrm_error_message());
        CHECK(cudaPeekAtLastError() == 0, "call %ld: an error that was told stays", n);
    }
    CHECK_OK(session(data, &recovered)); /* as if nothing had been */
    hrm_dataset_close(data);
}

static hrm_trainer *trainer_on_dummy(hrm_dataset *data, hrm_model **model)
{
    hrm_trainer *t = NULL;
    hrm_model_desc d = hrm_model_desc_for(data);
    hrm_train_desc td;
    memset(&td, 0, sizeof td);
    d.hidden_size = 8, d.num_heads = 1, d.H_layers = d.L_layers = 1, d.halt_max_steps = 2, d.seed = 1, d.expansion = 1;
    d.device = HRM_CUDA, d.forward_dtype = HRM_FORWARD_FLOAT32;
    td.steps = 8, td.batch_size = 4, td.seed = 2, td.lr = 1e-2f, td.puzzle_emb_lr = 1e-2f, td.grad_clip = 0.5f;
    td.gather_ahead = -1;
    CHECK_OK(hrm_model_create(model, &d));
    if (*model) CHECK_OK(hrm_trainer_create(&t, *model, &td));
    if (!t) exit(test_summary());
    return t;
}

/* A step of which any call fails, run as it comes, recorded or replayed: the next one is as if nothing had been, or is refused
 * until a state is loaded, and then is. */
static void check_half_way(void)
{
    enum { STEPS = 4 };
    hrm_metrics expected[STEPS + 1], m = {0};
    long calls[STEPS] = {0};
    int refused = 0, gone_on = 0;
    hrm_model *model = NULL;
    hrm_dataset *data = toy_data();
    const char *state = own_file("half_way.safetensors");
    hrm_trainer *t = trainer_on_dummy(data, &model);
    for (int s = 0; s <= STEPS; s++) {
        dummy_calls = 0;
        CHECK_OK(hrm_trainer_step(t, data, &expected[s]));
        if (s < STEPS) calls[s] = dummy_calls;
    }
    hrm_trainer_destroy(t), hrm_model_destroy(model);
    for (int s = 0; s < STEPS; s++) {
        for (long n = 1; n <= calls[s]; n += thorough() ? 1 : 5) {
            model = NULL;
            t = trainer_on_dummy(data, &model);
            for (int k = 0; k < s; k++) CHECK_OK(hrm_trainer_step(t, data, &m));
            CHECK_OK(hrm_trainer_save(t, state, NULL, 0));
            dummy_fail_at = n, dummy_calls = 0;
            hrm_status status = hrm_trainer_step(t, data, &m);
            dummy_fail_at = 0;
            CHECK(status == HRM_ERR_DEVICE && strstr(hrm_error_message(), "CUDA"), "step %d, call %ld: status %d, %s", s + 1, n,
                  (int)status, hrm_error_message());
            status = hrm_trainer_step(t, data, &m);
            if (status == HRM_OK) gone_on++;
            else {
                CHECK(strstr(hrm_error_message(), "half-way"), "step %d, call %ld: then %s", s + 1, n, hrm_error_message());
                CHECK(hrm_trainer_save(t, state, NULL, 0) == HRM_ERR_DEVICE, "step %d, call %ld: is saved", s + 1, n);
                CHECK_OK(hrm_trainer_load(t, state));
                status = hrm_trainer_step(t, data, &m);
                CHECK(status == HRM_OK && m.step == s + 1, "step %d, call %ld: loaded: %s", s + 1, n, hrm_error_message());
                refused++;
            }
            CHECK(m.step == s + 1 || m.step == s + 2, "step %d, call %ld: then step %d", s + 1, n, (int)m.step);
            if (m.step == s + 1 || m.step == s + 2)
                CHECK(fabs(m.lm_loss - expected[m.step - 1].lm_loss) < 1e-6 &&
                          fabs(m.grad_norm - expected[m.step - 1].grad_norm) < 1e-5,
                      "step %d, call %ld: then step %d, loss %g, norm %g, expected %g, %g", s + 1, n, (int)m.step, m.lm_loss,
                      m.grad_norm, expected[m.step - 1].lm_loss, expected[m.step - 1].grad_norm);
            hrm_trainer_destroy(t), hrm_model_destroy(model);
        }
    }
    CHECK(refused > 0 && gone_on > 0, "%d refused, %d gone on", refused, gone_on);
    remove(state);
    hrm_dataset_close(data);
}

/* Calls are recorded at their second time and replayed from the third. Those that come again and again stay recorded, however
 * many others come between: what was not used for longest makes room. */
static void check_graphs(void)
{
    hrm_dataset *data = toy_data();
    hrm_model_desc d = hrm_model_desc_for(data);
    hrm_model *model = NULL;
    hrm_run *run = NULL;
    hrm_run_desc rd;
    int replayed = 0;
    memset(&rd, 0, sizeof rd);
    d.hidden_size = 8, d.num_heads = 1, d.H_layers = d.L_layers = 1, d.device = HRM_CUDA, d.forward_dtype = HRM_FORWARD_FLOAT32;
    rd.rows = 1;
    CHECK_OK(hrm_model_create(&model, &d));
    if (model) CHECK_OK(hrm_run_create(&run, model, &rd));
    for (uint64_t key = 1; run && key < 200; key++) {
        for (int time = 1; time <= 3; time++) {
            CHECK_OK(model->table->begin_step(model->dev, &run->w, key, &replayed));
            CHECK_OK(model->table->end_step(model->dev, &run->w, key));
            CHECK(replayed == (time == 3), "calls %d, time %d: replayed %d", (int)key, time, replayed);
        }
        CHECK_OK(model->table->begin_step(model->dev, &run->w, 1, &replayed));
        CHECK_OK(model->table->end_step(model->dev, &run->w, 1));
        CHECK(replayed, "after %d others, calls that came each time are not recorded any more", (int)key - 1);
    }
    if (run) CHECK_OK(model->table->begin_step(model->dev, &run->w, 2, &replayed));
    CHECK(!replayed, "of 199 recordings the oldest is still there");
    hrm_run_destroy(run);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    CHECK(dummy_alive == 0, "%ld objects of CUDA's are left", dummy_alive);
}

/* Memory comes zeroed; what is sent, copied, posted and fetched arrives where it was said, and is waited for. */
static void check_memory(void)
{
    enum { N = 1024 };
    hrm_dataset *data = toy_data();
    hrm_model_desc d = hrm_model_desc_for(data);
    hrm_model *model = NULL;
    unsigned char sent[N], found[N], none[N] = {0};
    void *p = NULL;
    for (int i = 0; i < N; i++) sent[i] = (unsigned char)(i * 7 + i / 256 + 1);
    d.hidden_size = 8, d.num_heads = 1, d.H_layers = d.L_layers = 1, d.device = HRM_CUDA, d.forward_dtype = HRM_FORWARD_FLOAT32;
    CHECK_OK(hrm_model_create(&model, &d));
    if (!model) exit(test_summary());
    const hrm_device_table *t = model->table;
    hrm_device *dev = model->dev;
    CHECK_OK(t->buffer_alloc(dev, &p, N));
    memset(found, 1, N);
    CHECK_OK(t->download(dev, found, p, N));
    CHECK(memcmp(found, none, N) == 0, "new memory is not zero");
    for (int round = 0; round < 20; round++) { /* more than wait at once for their turn */
        memset(found, 0, N);
        for (int i = 0; i < N; i += 128) CHECK_OK(t->upload(dev, (char *)p + i, sent + i, 128));
        CHECK_OK(t->post(dev, 0, 0, p, 16));
        CHECK_OK(t->post(dev, 0, 16, (char *)p + 300, 100));
        CHECK_OK(t->post(dev, 1, 0, (char *)p + 500, 256));
        CHECK_OK(t->zero(dev, (char *)p + 256, 64));
        CHECK_OK(t->copy(dev, (char *)p + 512, p, 32));
        CHECK_OK(t->collect(dev, 0, 16, found, 100)); /* as it was when it was posted */
        CHECK(memcmp(found, sent + 300, 100) == 0, "round %d: posted behind others", round);
        CHECK_OK(t->collect(dev, 0, 0, found, 16));
        CHECK_OK(t->collect(dev, 1, 0, found + 16, 256));
        CHECK(memcmp(found, sent, 16) == 0 && memcmp(found + 16, sent + 500, 256) == 0, "round %d: posted", round);
        CHECK_OK(t->download(dev, found, p, N));
        CHECK(memcmp(found, sent, 256) == 0 && memcmp(found + 256, none, 64) == 0 &&
                  memcmp(found + 320, sent + 320, 192) == 0 && memcmp(found + 512, sent, 32) == 0 &&
                  memcmp(found + 544, sent + 544, N - 544) == 0,
              "round %d: fetched", round);
        for (int i = 0; i < N; i++) sent[i] = (unsigned char)(sent[i] * 3 + round);
    }
    t->buffer_free(dev, p, N);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
}

/* A trainer tells of each step what one on the CPU does. */
static void check_told(void)
{
    hrm_dataset *data[2] = {toy_data(), toy_data()};
    hrm_model *model[2] = {NULL, NULL};
    hrm_trainer *t[2] = {NULL, NULL};
    hrm_metrics m[2];
    for (int k = 0; k < 2; k++) {
        hrm_model_desc d = hrm_model_desc_for(data[k]);
        hrm_train_desc td;
        memset(&td, 0, sizeof td);
        d.hidden_size = 8, d.num_heads = 1, d.H_layers = d.L_layers = 1, d.halt_max_steps = 2, d.seed = 1, d.expansion = 1;
        d.device = k ? HRM_CUDA : HRM_CPU, d.forward_dtype = HRM_FORWARD_FLOAT32;
        td.steps = 8, td.batch_size = 4, td.seed = 2, td.lr = 1e-3f, td.grad_clip = 0.5f;
        CHECK_OK(hrm_model_create(&model[k], &d));
        if (model[k]) CHECK_OK(hrm_trainer_create(&t[k], model[k], &td));
        if (!t[k]) exit(test_summary());
    }
    for (int step = 1; step <= 8; step++) {
        memset(m, 0, sizeof m);
        for (int k = 0; k < 2; k++) CHECK_OK(hrm_trainer_step(t[k], data[k], &m[k]));
        CHECK(m[1].step == step && m[0].grad_norm > 0 && fabs(m[1].grad_norm - m[0].grad_norm) < 1e-3 * m[0].grad_norm,
              "step %d, %d: norm %g, expected %g", step, (int)m[1].step, m[1].grad_norm, m[0].grad_norm);
        CHECK(m[1].rows >= 4 && m[1].rows <= 4 && fabs(m[1].count - m[0].count) <= 0 && fabs(m[1].steps - m[0].steps) <= 0,
              "step %d: %g rows, %g of %g halted after %g of %g", step, m[1].rows, m[1].count, m[0].count, m[1].steps,
              m[0].steps);
        CHECK(m[0].lm_loss > 0 && fabs(m[1].lm_loss - m[0].lm_loss) < 1e-4 * m[0].lm_loss &&
                  fabs(m[1].q_halt_loss - m[0].q_halt_loss) < 1e-4 && fabs(m[1].q_continue_loss - m[0].q_continue_loss) < 1e-4,
              "step %d: losses %g %g %g, expected %g %g %g", step, m[1].lm_loss, m[1].q_halt_loss, m[1].q_continue_loss,
              m[0].lm_loss, m[0].q_halt_loss, m[0].q_continue_loss);
    }
    for (int k = 0; k < 2; k++) hrm_trainer_destroy(t[k]), hrm_model_destroy(model[k]), hrm_dataset_close(data[k]);
}

int main(void)
{
    char *arguments[] = {(char *)"test_dummy", (char *)"float32", (char *)"brief", NULL};
    plain = 1;
    check_graphs();
    check_memory();
    check_told();
    check_recovery();
    check_half_way();
    check_calls();
    cuda_main(thorough() ? 2 : 3, arguments);
    return test_summary();
}
#endif
