/* The ways in which processes that train together reach each other: hrm_comm of hrm.h over MPI, over TCP, and over NCCL. They
 * need hrm.h alone, so a program of one's own may take these files as they are (docs/devices.md shows how).
 *
 *   hrm_comm comm;
 *   if (comm_tcp_open(&comm, &(comm_tcp_desc){.rank = rank, .size = size, .address = "10.0.0.1", .port = 29500}) != HRM_OK) …
 *   train_desc.comm = &comm;
 *   …
 *   comm_tcp_close(&comm);
 */
#ifndef HRM_COMM_H
#define HRM_COMM_H
#include "hrm.h"

/* MPI, compiled in by HRM_USE_MPI (make MPI=1); else opening it is HRM_ERR_UNSUPPORTED. The program was started by mpirun; MPI
 * is initialised unless it was already. local_rank and local_size (or NULL): among the processes of this machine. */
int        comm_mpi_there(void); /* 1: compiled in */
hrm_status comm_mpi_open(hrm_comm *comm, int *local_rank, int *local_size);
void       comm_mpi_close(hrm_comm *comm); /* waits for all */
void       comm_mpi_stop(int status);      /* ends all processes, whatever they do */

/* TCP: all connect to rank 0, which adds up; for a few processes on CPUs, for what NCCL's have to tell each other besides, and
 * so that each hears at once when another ends. Nothing is encrypted, nobody asked who he is: for networks that are trusted.
 * Not on Windows: there opening it is HRM_ERR_UNSUPPORTED. */
typedef struct comm_tcp_desc {
    int         rank, size;
    const char *address; /* of rank 0: a name or number */
    int         port;
    double      patience; /* [60] seconds until all are there */
    /* Another rank is gone: it was stopped, with what it said, or died, which is "". Called once, by a thread of its own or by
     * a call that noticed; every call then fails, and a GPU may wait for that rank for ever, so the program had better end.
     * NULL: calls fail. */
    void (*lost)(void *user, int rank, const char *why);
    void *user;
} comm_tcp_desc;
hrm_status comm_tcp_open(hrm_comm *comm, const comm_tcp_desc *desc);
void       comm_tcp_close(hrm_comm *comm);                 /* waits for all */
void       comm_tcp_stop(hrm_comm *comm, const char *why); /* the others hear why; then end the program */

/* NCCL, compiled in by HRM_USE_NCCL (make cuda NCCL=1). Sums and gathers in device memory go from GPU to GPU, of this process
 * number `gpu`; those in host memory through `host`, which stays the caller's and is closed after it. */
int        comm_nccl_there(void);
hrm_status comm_nccl_open(hrm_comm *comm, const hrm_comm *host, int gpu);
void       comm_nccl_close(hrm_comm *comm);

#endif
