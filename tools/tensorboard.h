/* Event files as TensorBoard reads them: scalars only. */
#ifndef HRM_TENSORBOARD_H
#define HRM_TENSORBOARD_H
#include <stdint.h>

typedef struct tensorboard tensorboard;
/* A new file in `dir`; what earlier files say from first_step on is void (of a run that goes on, or was overwritten). 0, or -1
 * with the reason printed. */
int  tensorboard_open(tensorboard **board, const char *dir, int64_t first_step);
void tensorboard_scalar(tensorboard *board, int64_t step, const char *tag, double value);
int  tensorboard_flush(tensorboard *board); /* -1: writing failed, said so */
void tensorboard_close(tensorboard *board); /* NULL is fine */

#endif
