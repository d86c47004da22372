/* One trainer in a run's folder: a lock that ends with its process, whatever ends that. */
#ifndef HRM_RUNLOCK_H
#define HRM_RUNLOCK_H
#include "tool.h"

typedef struct runlock { char path[TOOL_PATH]; int file; } runlock; /* zeroed: none held */
/* DIR/train.lock, which holds the host and the process. 0, or an exit status: another has it, and the reason names that one. */
int  runlock_take(runlock *lock, const char *dir);
void runlock_release(runlock *lock); /* and removes the file; of a lock that is not held nothing */

#endif
