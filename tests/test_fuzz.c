/* The targets of tests/fuzz that need the interface and the command's sources: their seeds, and a fixed set of mutations of
 * each. (Those of the readers are in test_files.c; `make fuzz` runs all of them for longer.) A promise that breaks ends this.
 */
#ifndef _XOPEN_SOURCE
    #define _XOPEN_SOURCE 700
#endif
#include "hrm.h"
#include "harness.h"
#include "fuzz/command.h"
#include "fuzz/mutate.h"

#include <fcntl.h>
#include <time.h>

int main(void)
{
    command_seed seeds[COMMAND_SEEDS];
    int          n = command_seeds(seeds), loud = dup(2), quiet = open("/dev/null", O_WRONLY), covered = 0;
    CHECK(n > 0, "no seeds: %s", hrm_error_message());
    for (int i = 0; i < n; i++) {
        const command_target *t = &command_targets[seeds[i].target];
        hrm_random     r = hrm_random_make(1906, (uint64_t)i);
        size_t         room = seeds[i].size + 64;
        unsigned char *copy = (unsigned char *)malloc(room);
        int            accepted = 0, times = 0;
        fflush(stderr);
        dup2(quiet, 2); /* thousands of messages about wrong files */
        int    good = t->run(seeds[i].data, seeds[i].size);
        double until = (double)clock() + 0.15 * CLOCKS_PER_SEC; /* a fixed order; as much of it as there is time for */
        for (; copy && times < 5000 && (times < 50 || (double)clock() < until); times++) {
            memcpy(copy, seeds[i].data, seeds[i].size);
            size_t         size = fuzz_mutate(copy, seeds[i].size, room, &r);
            unsigned char *exact = (unsigned char *)malloc(size ? size : 1); /* a checker sees the first byte past it */
            if (!exact) break;
            memcpy(exact, copy, size);
            accepted += t->run(exact, size);
            free(exact);
        }
        dup2(loud, 2);
        CHECK(good || seeds[i].target == 3, "%s: seed %d is refused", t->name,
              i); /* a configuration may name what is not there */
        CHECK(times >= 50 && accepted < times, "%s: %d of %d mutations accepted", t->name, accepted, times);
        covered |= 1 << seeds[i].target;
        free(copy);
        free(seeds[i].data);
    }
    CHECK(covered == (1 << COMMAND_TARGETS) - 1, "targets %x", (unsigned)covered);
    return test_summary();
}
