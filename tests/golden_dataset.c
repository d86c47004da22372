/* golden_dataset BATCHES DIR VOCAB_SIZE NUM_PUZZLE_IDENTIFIERS: batch 1 of a golden case as the test split of a data set in the
 * public layout, for the scripts that evaluate the case on the command line. */
#include "hrm.h"
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
static void die(void) { fprintf(stderr, "%s\n", hrm_error_message()); exit(1); }
static void write_array(const char *dir, const char *name, int ndim, const int64_t *shape, const int32_t *values)
{
    char path[600];
    hrm_npy_writer w;
    snprintf(path, sizeof path, "%s/test/all__%s.npy", dir, name);
    if (hrm_npy_writer_open(&w, path, HRM_I32, ndim, shape, NULL) != HRM_OK ||
        hrm_npy_writer_write(&w, values, (size_t)shape[0]) != HRM_OK || hrm_npy_writer_commit(&w) != HRM_OK)
        die();
}
int main(int argc, char **argv)
{
    static int32_t inputs[4096], labels[4096], ids[64], index[65];
    hrm_tensors *file = NULL;
    char path[600];
    if (argc != 5 || hrm_tensors_open(&file, argv[1], NULL) != HRM_OK) die();
    const hrm_tensor *x = hrm_tensors_find(file, "inputs.1"), *y = hrm_tensors_find(file, "labels.1"),
                     *p = hrm_tensors_find(file, "puzzle_identifiers.1");
    int64_t n = x->shape[0], T = x->shape[1], shape[2] = {n, T}, one[1] = {n + 1};
    memcpy(inputs, x->data, x->bytes);
    memcpy(labels, y->data, y->bytes);
    memcpy(ids, p->data, p->bytes);
    for (int64_t i = 0; i < n * T; i++)
        if (labels[i] == -100) labels[i] = 0; /* never a label there: the data set's ignore id */
    for (int i = 0; i <= n; i++) index[i] = i;
    write_array(argv[2], "inputs", 2, shape, inputs);
    write_array(argv[2], "labels", 2, shape, labels);
    write_array(argv[2], "puzzle_identifiers", 1, shape, ids);
    write_array(argv[2], "puzzle_indices", 1, one, index);
    write_array(argv[2], "group_indices", 1, one, index);
    snprintf(path, sizeof path, "%s/test/dataset.json", argv[2]);
    FILE *f = fopen(path, "w");
    if (!f) return perror(path), 1;
    fprintf(
        f,
        "{\"pad_id\": 0, \"ignore_label_id\": 0, \"blank_identifier_id\": 0, \"vocab_size\": %s, \"seq_len\": %d, "
        "\"num_puzzle_identifiers\": %s, \"total_groups\": %d, \"mean_puzzle_examples\": 1.0, \"sets\": [\"all\"]}\n",
        argv[3], (int)T, argv[4], (int)n);
    fclose(f);
    hrm_tensors_close(file);
    return 0;
}
