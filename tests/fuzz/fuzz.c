/* Fuzzing one reader with libFuzzer, a target a program (fuzz_json, fuzz_yaml, fuzz_npy, fuzz_checkpoint):
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. -DHRM_FUZZ=fuzz_checkpoint tests/fuzz/fuzz.c -o fuzz -lm -pthread
 *   cc -I. -DHRM_FUZZ_CORPUS tests/fuzz/fuzz.c -o corpus -lm -pthread && mkdir -p seeds && ./corpus seeds
 *   ./fuzz -max_total_time=600 -max_len=4096 work seeds
 *
 * Without a fuzzer, any compiler: -DHRM_FUZZ_REPLAY builds a program that runs the target on the files it is given.
 */
#define HRM__ZIP_TRUST 1
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "targets.h"

#ifdef HRM_FUZZ_CORPUS
int main(int argc, char **argv)
{
    fuzz_seed seeds[FUZZ_SEEDS];
    char path[1024];
    const char *folder = argc > 1 ? argv[1] : ".";
    snprintf(path, sizeof path, "%s/unfinished", folder);
    int n = fuzz_seeds(seeds, path);
    for (int i = 0; i < n; i++) {
        hrm_writer *w;
        snprintf(path, sizeof path, "%s/%s_%d", folder, seeds[i].name, i);
        if (hrm_writer_open(&w, path, NULL) == HRM_OK) {
            (void)hrm_writer_write(w, seeds[i].data, seeds[i].size);
            if (hrm_writer_commit(w) == HRM_OK) continue;
        }
        fprintf(stderr, "%s\n", hrm_error_message());
        return 1;
    }
    if (n == 0) fprintf(stderr, "%s\n", hrm_error_message());
    return n == 0;
}
#else
    #ifndef HRM_FUZZ
        #define HRM_FUZZ fuzz_checkpoint
    #endif
    #ifdef __cplusplus
extern "C"
    #endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)HRM_FUZZ(data, size);
    (void)fuzz_seeds;
    (void)fuzz_mutate;
    return 0;
}

    #ifdef HRM_FUZZ_REPLAY
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        hrm_file_map map;
        if (hrm_file_map_open(&map, argv[i]) != HRM_OK) {
            fprintf(stderr, "%s\n", hrm_error_message());
            return 1;
        }
        printf("%s: %s\n", argv[i], HRM_FUZZ(map.data, map.size) ? "accepted" : hrm_error_message());
        hrm_file_map_close(&map);
    }
    return 0;
}
    #endif
#endif
