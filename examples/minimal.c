/* The smallest program that trains: a data set in, a checkpoint out, one puzzle solved.
 *
 *   build/hrm data sudoku --generate 500 --size 4 --output-dir data/sudoku
 *   cc -O3 -pthread -I. examples/minimal.c -lm -o minimal && ./minimal data/sudoku     (two minutes on two cores)
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"

#include <stdio.h>
#include <stdlib.h>

static void check(hrm_status status)
{
    if (status == HRM_OK) return;
    fprintf(stderr, "minimal: %s\n", hrm_error_message());
    exit(1);
}

int main(int argc, char **argv)
{
    hrm_model *model;
    hrm_dataset *data;
    hrm_trainer *trainer;
    hrm_metrics metrics;
    hrm_status status;
    check(hrm_dataset_open(&data, argc > 1 ? argv[1] : "data/sudoku", "train", NULL));
    hrm_model_desc desc = hrm_model_desc_for(data); /* shapes from the data; every field 0 = the paper's default */
    desc.hidden_size = 64;
    desc.H_layers = desc.L_layers = 2;
    desc.halt_max_steps = 4;
    check(hrm_model_create(&model, &desc));
    check(hrm_trainer_create(&trainer, model,
                             &(hrm_train_desc){.lr = 3e-3f, .batch_size = 64, .steps = argc > 2 ? atoi(argv[2]) : 1500}));
    hrm_metrics sum = {0};
    while ((status = hrm_trainer_step(trainer, data, &metrics)) == HRM_OK) {
        hrm_metrics_add(&sum, &metrics);
        if (metrics.step % 100 != 0) continue;
        printf("step %d  loss %.3f  exact %.1f %%\n", (int)sum.step, sum.lm_loss, 100 * sum.exact_accuracy);
        fflush(stdout);
        sum = (hrm_metrics){0};
    }
    if (status != HRM_END) check(status);
    check(hrm_model_save(model, "minimal.safetensors"));

    int32_t puzzle[1024], label[1024], answer[1024], id;
    hrm_batch batch = {.rows = 1, .inputs = puzzle, .labels = label, .puzzle_identifiers = &id};
    if (desc.seq_len > 1024) return 0;
    check(hrm_dataset_read(data, 0, &batch));
    check(hrm_solve(model, puzzle, answer, &(hrm_solve_desc){.puzzle_identifiers = &id})); /* runs until the model halts */
    const int32_t *rows[] = {puzzle, answer, label};
    for (int k = 0; k < 3; k++) { /* tokens: of a Sudoku 1 is a blank, 2 is the digit 1 */
        printf("%s", k == 0 ? "puzzle  " : k == 1 ? "answer  " : "right   ");
        for (int i = 0; i < desc.seq_len; i++) printf("%d%c", (int)rows[k][i], i + 1 < desc.seq_len ? ' ' : '\n');
    }
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    return 0;
}
