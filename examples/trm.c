/* The fast recipe of the Tiny Recursive Model (arXiv:2601.19085), smaller, on 4x4 Sudoku.
 *
 *   cc -O3 -pthread -I.. trm.c -lm -o trm && ./trm [STEPS]
 *
 * One network does the work of both levels, mixes positions by a SwiGLU instead of attention, and learns through the passes of
 * the last H cycle; Muon moves its matrices, AdamW the rest, and the average of the weights solves. All of that is `desc.arch =
 * HRM_ARCH_FAST`, for the model and for training: what stands below is what differs. In full size it is `hrm train arch=fast`.
 *
 * A 4x4 board has 288 solutions, 12 up to the digits' names: boards with one of these 12 are set aside for the test.
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "../tools/puzzles.h"

#include <stdio.h>
#include <stdlib.h>

enum { BOARDS = 8000, TEST = 1000, CELLS = 16 };

static void check(hrm_status status)
{
    if (status == HRM_OK) return;
    fprintf(stderr, "trm: %s\n", hrm_error_message());
    exit(1);
}

static hrm_dataset *make_boards(int count, int unseen)
{
    /* boards of 6 to 10 givens whose solution is, or is not, of the class set aside; tokens: 1 an empty cell, 2 to 5 the
     * digits */
    static uint8_t inputs[BOARDS * CELLS], labels[BOARDS * CELLS];
    uint8_t puzzle[SUDOKU_MAX_CELLS], solution[SUDOKU_MAX_CELLS];
    sudoku_shape shape;
    sudoku_shape_make(&shape, 4);
    hrm_random r = hrm_random_make(1, 0);
    sudoku_fill(&shape, &r, solution);
    uint64_t aside = sudoku_class(&shape, solution);
    for (int n = 0, number = 1; n < count; number++) {
        r = hrm_random_make(1, (uint64_t)number);
        sudoku_generate(&shape, &r, 6 + (int)hrm_random_below(&r, 5), puzzle, solution);
        if ((sudoku_class(&shape, solution) == aside) != unseen) continue;
        for (int i = 0; i < CELLS; i++) {
            inputs[n * CELLS + i] = (uint8_t)(puzzle[i] + 1);
            labels[n * CELLS + i] = (uint8_t)(solution[i] + 1);
        }
        n++;
    }
    hrm_dataset *data;
    hrm_dataset_arrays a = {.seq_len = CELLS,
                            .vocab_size = 6,
                            .num_puzzle_identifiers = 1,
                            .num_examples = count,
                            .inputs = inputs,
                            .labels = labels};
    check(hrm_dataset_from_arrays(&data, &a, NULL));
    return data;
}

int main(int argc, char **argv)
{
    hrm_metrics m;
    hrm_model *model;
    hrm_trainer *trainer;
    hrm_status status;
    hrm_dataset *data = make_boards(BOARDS, 0);

    hrm_model_desc desc = hrm_model_desc_for(data);
    desc.arch = HRM_ARCH_FAST;
    desc.hidden_size = 32;
    desc.H_cycles = desc.L_cycles = 2; /* 6 and 9 in full */
    desc.halt_max_steps = 4;
    check(hrm_model_create(&model, &desc));

    hrm_train_desc td = {.arch = HRM_ARCH_FAST};
    td.steps = argc > 1 ? atoi(argv[1]) : 150;
    td.batch_size = 32;
    td.lr = 5e-3f;                    /* so few steps ask for a faster AdamW */
    td.weight_decay = 0.1f;
    td.ema_from = (int)td.steps / 2;
    check(hrm_trainer_create(&trainer, model, &td));
    printf("%.1f thousand parameters\n", (double)hrm_model_parameters(model) / 1000);
    while ((status = hrm_trainer_step(trainer, data, &m)) == HRM_OK)
        if (m.step % 50 == 0)
            printf("step %3d  loss %.3f  exact %5.1f %%  gradient %.2f\n", (int)m.step, m.lm_loss, 100 * m.exact_accuracy,
                   m.grad_norm);
    if (status != HRM_END) check(status);
    hrm_dataset_close(data); /* what it was made of is used again */

    data = make_boards(TEST, 1);
    for (int average = 0; average < 2; average++) {
        check(hrm_trainer_use_average(trainer, average));
        check(hrm_evaluate(model, data, &(hrm_evaluate_desc){.batch_size = 250, .adaptive = 1}, &m));
        printf("%s: %.1f %% of %d unseen boards exact, %.1f %% of the cells, %.2f segments\n",
               average ? "their average" : "the last weights", 100 * m.exact_accuracy, TEST, 100 * m.accuracy, m.steps);
    }
    check(hrm_model_save(model, "trm.safetensors")); /* of the average, which is in use */
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    return 0;
}
