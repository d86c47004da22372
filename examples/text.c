/* Plain text with causal attention: a model that spells words backwards, a letter at a time.
 *
 *   cc -O3 -pthread -I.. text.c -lm -o text && ./text [STEPS]
 *
 * The text is lines such as "stone>enots.". A position attends to itself and those before it, and its label is the next
 * character; the word's own characters have none (255 here, the data set's ignore label). Any text will do: tokens are numbers
 * below vocab_size, here the index in an alphabet.
 *
 * The q head reads position 0, which with causal attention sees a single character and cannot know when to stop. So segments
 * are a fixed number: with no q loss and no continue head q stays below 0, and nothing halts before halt_max_steps.
 */
#define HRM_IMPLEMENTATION
#include "hrm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 5, LENGTH = 2 * WORD + 2, T = LENGTH - 1, LINES = 8000, TEST = 200, IGNORED = 255 };
static const char alphabet[] = "etaoinshrdlu>.";

static void check(hrm_status status)
{
    if (status == HRM_OK) return;
    fprintf(stderr, "text: %s\n", hrm_error_message());
    exit(1);
}

static uint8_t token(char c) { return (uint8_t)(strchr(alphabet, c) - alphabet); }

static void write_line(char *text, uint64_t number)
{
    hrm_random r = hrm_random_make(1, number);
    for (int i = 0; i < WORD; i++) text[i] = text[2 * WORD - i] = alphabet[hrm_random_below(&r, 12)];
    text[WORD] = '>';
    memcpy(text + LENGTH - 1, ".", 2);
}

/* Writes on after the word, one character at a time. -> 1: right */
static int answer(hrm_model *model, const char *line, char *text)
{
    int32_t in[T] = {0}, out[T];
    memset(text, 0, LENGTH + 1);
    memcpy(text, line, WORD + 1);
    for (int i = 0; i <= WORD; i++) in[i] = token(text[i]);
    for (int i = WORD + 1; i < LENGTH; i++) { /* what is not written yet is not looked at either */
        check(hrm_solve(model, in, out, &(hrm_solve_desc){.no_halting = 1}));
        text[i] = alphabet[out[i - 1]];
        if (i < T) in[i] = out[i - 1];
    }
    return strcmp(text, line) == 0;
}

int main(int argc, char **argv)
{
    static uint8_t inputs[LINES * T], labels[LINES * T];
    char line[LENGTH + 1], text[LENGTH + 1];
    for (int i = 0; i < LINES; i++) {
        write_line(line, (uint64_t)i);
        for (int t = 0; t < T; t++) {
            inputs[i * T + t] = token(line[t]);
            labels[i * T + t] = t < WORD ? IGNORED : token(line[t + 1]);
        }
    }
    hrm_dataset *data;
    hrm_dataset_arrays a = {
        .seq_len = T, .vocab_size = sizeof alphabet - 1, .num_puzzle_identifiers = 1, .num_examples = LINES};
    a.inputs = inputs, a.labels = labels;
    a.has_ignore_label = 1, a.ignore_label_id = IGNORED;
    check(hrm_dataset_from_arrays(&data, &a, NULL));

    hrm_model *model;
    hrm_model_desc desc = hrm_model_desc_for(data);
    desc.arch = HRM_ARCH_TRM;
    desc.hidden_size = 32;
    desc.num_heads = 4;
    desc.H_cycles = desc.L_cycles = 2;
    desc.causal = 1;
    desc.pos_encodings = HRM_LEARNED;
    desc.no_puzzle_emb = 1;
    desc.no_q_loss = 1;
    desc.halt_max_steps = 2;
    desc.loss_type = HRM_SOFTMAX_CROSS_ENTROPY;
    check(hrm_model_create(&model, &desc));

    hrm_trainer *trainer;
    hrm_metrics m;
    hrm_status status;
    hrm_train_desc td = {.batch_size = 64, .optimizer = HRM_MUON, .lr = 1e-2f, .lr_min_ratio = 0.02f, .no_warmup = 1};
    td.steps = argc > 1 ? atoi(argv[1]) : 150;
    check(hrm_trainer_create(&trainer, model, &td));
    while ((status = hrm_trainer_step(trainer, data, &m)) == HRM_OK)
        if (m.step % 50 == 0)
            printf("step %3d  loss %.3f  exact %5.1f %%  segments %.0f\n", (int)m.step, m.lm_loss, 100 * m.exact_accuracy,
                   m.steps);
    if (status != HRM_END) check(status);
    int right = 0;
    for (int i = 0; i < TEST; i++) {
        write_line(line, LINES + (uint64_t)i); /* hardly ever one of those above: there are 248,832 words */
        int ok = answer(model, line, text);
        right += ok;
        if (i < 5) printf("%s %s\n", text, ok ? "right" : "wrong");
    }
    printf("%d of %d new words are right\n", right, TEST);
    hrm_trainer_destroy(trainer);
    hrm_model_destroy(model);
    hrm_dataset_close(data);
    return 0;
}
