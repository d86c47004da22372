/* Training on what a test shows of itself: see adapt.c. */
#ifndef HRM_ADAPT_H
#define HRM_ADAPT_H
#include <stdint.h>

/* The identifiers of the puzzles in a data set's test split: *only [*count], freed by the caller, is 1 for each. Of that split
 * nothing else is read: no inputs, no labels. An exit status. */
int adapt_puzzles(unsigned char **only, int64_t *count, const char *dir);

#endif
