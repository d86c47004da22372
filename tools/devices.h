/* The processes that `hrm train` or `hrm eval` was started as: by mpirun, or with RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and
 * MASTER_PORT as torchrun sets them. One that was started alone has nothing of this: devices_comm() is NULL, the rest does
 * nothing. Rank 0 writes and speaks, also of what goes wrong on another; under MPI a rank that ends all says so itself. */
#ifndef HRM_DEVICES_H
#define HRM_DEVICES_H
#include "tool.h"

/* Finds the others; device as in hrm_model_desc. Called again it does nothing. 0, or an exit status with the reason printed. */
int devices_open(hrm_device_kind device);
/* Of this process, to hand on. */
const hrm_comm *devices_comm(void);
int devices_rank(void); /* 0 when alone */
int devices_threads(void); /* of this process's share of the machine; 0 when alone: no matter */
/* Ranks meet: the worst status of all, and where this rank's is good, rank 0 tells whose is not and why. Each rank calls it. */
int devices_agree(int status);
int devices_any(int value); /* the largest of all ranks' */
/* At the end of the program. A status that was not agreed on ends the others too. -> the status */
int devices_close(int status);

#endif
