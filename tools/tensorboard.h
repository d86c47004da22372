/* Event files as TensorBoard reads them: scalars only. */
#ifndef HRM_TENSORBOARD_H
#define HRM_TENSORBOARD_H
#include <stdint.h>

typedef struct tensorboard tensorboard;
/* A new file in `dir`. first_step > 0: what earlier files say from that step on is void (a run that goes on). 0, or -1 with
 * the reason printed. */
int  tensorboard_open(tensorboard **board, const char *dir, int64_t first_step);
void tensorboard_scalar(tensorboard *board, int64_t step, const char *tag, double value);
int  tensorboard_flush(tensorboard *board); /* -1: writing failed, said so */
void tensorboard_close(tensorboard *board); /* NULL is fine */

#endif
