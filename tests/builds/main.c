/* Trains and solves a little, in whatever way it was built; prints "ok" and the first loss. The implementation is in
 * another file when BUILDS_TWO_UNITS is defined. */
#ifndef BUILDS_TWO_UNITS
    #define HRM_IMPLEMENTATION
#endif
#include "hrm.h"
#include "hrm.h" /* twice does no harm */

#include <stdio.h>
#include <string.h>

static int failed(const char *what)
{
    printf("%s: %s\n", what, hrm_error_message());
    return 1;
}

int main(void)
{
    uint8_t inputs[32 * 6], labels[32 * 6];
    int32_t puzzle[6], answer[6];
    hrm_dataset_arrays arrays;
    hrm_dataset *data = NULL;
    hrm_model *model = NULL;
    hrm_trainer *trainer = NULL;
    hrm_train_desc td;
    hrm_metrics first, last;
    int i;
    hrm_random r = hrm_random_make(1, 2);
    for (i = 0; i < 32 * 6; i++) {
        inputs[i] = (uint8_t)hrm_random_below(&r, 5);
        labels[i] = (uint8_t)((inputs[i] + 1) % 5);
    }
    memset(&arrays, 0, sizeof arrays);
    memset(&td, 0, sizeof td);
    memset(&first, 0, sizeof first);
    memset(&last, 0, sizeof last);
    arrays.seq_len = 6;
    arrays.vocab_size = 5;
    arrays.num_puzzle_identifiers = 1;
    arrays.num_examples = 32;
    arrays.inputs = inputs;
    arrays.labels = labels;
    if (hrm_dataset_from_arrays(&data, &arrays, NULL) != HRM_OK) return failed("data set");
    hrm_model_desc desc = hrm_model_desc_for(data);
    desc.hidden_size = 16;
    desc.num_heads = 2;
    desc.H_layers = desc.L_layers = 1;
    desc.halt_max_steps = 3;
    desc.num_threads = 2;
    desc.no_halt_exploration = 1;
    if (hrm_model_create(&model, &desc) != HRM_OK) return failed("model");
    td.steps = 40;
    td.batch_size = 8;
    td.lr = 1e-2f;
    td.lr_warmup_steps = 4;
    if (hrm_trainer_create(&trainer, model, &td) != HRM_OK) return failed("trainer");
    if (hrm_trainer_step(trainer, data, &first) != HRM_OK) return failed("step");
    while (hrm_trainer_step(trainer, data, &last) == HRM_OK) {}
    if (last.step != 40 || !(last.lm_loss < 0.7 * first.lm_loss)) {
        printf("step %d: loss %g after %g\n", (int)last.step, last.lm_loss, first.lm_loss);
        return 1;
    }
    for (i = 0; i < 6; i++) puzzle[i] = inputs[i];
    if (hrm_solve(model, puzzle, answer, NULL) != HRM_OK) return failed("solve");
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    printf("ok %.6f\n", first.lm_loss);
    return 0;
}
