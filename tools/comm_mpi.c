/* hrm_comm over MPI; see comm.h. Sums are begun with MPI_Iallreduce and go on whenever the next one begins. */
#include "comm.h"

#ifdef HRM_USE_MPI
#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

enum { MPI_PIECE = 1 << 26 }; /* elements or bytes at a time: MPI counts in int */

typedef struct comm_mpi {
    MPI_Comm     comm;
    MPI_Request *requests;
    int          count, room;
    int          ours; /* flag: MPI was initialised here */
} comm_mpi;

static hrm_status mpi_checked(int error, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (error == MPI_SUCCESS) return HRM_OK;
    MPI_Error_string(error, text, &length);
    return hrm_error_set(HRM_ERR_IO, "MPI: %s: %.300s", what, text);
}
#define MPI_TRY(call, what) \
    do { \
        hrm_status mpi_status = mpi_checked((call), what); \
        if (mpi_status != HRM_OK) return mpi_status; \
    } while (0)

static hrm_status mpi_wait(void *user, void *stream)
{
    comm_mpi *c = (comm_mpi *)user;
    int n = c->count;
    (void)stream;
    c->count = 0;
    for (int i = 0; i < n; i++) MPI_TRY(MPI_Wait(&c->requests[i], MPI_STATUS_IGNORE), "adding up");
    return HRM_OK;
}

static hrm_status mpi_sum(void *user, hrm_real *values, size_t n, void *stream)
{
    comm_mpi *c = (comm_mpi *)user;
    int done;
    if (stream) return hrm_error_set(HRM_ERR_UNSUPPORTED, "MPI adds up in host memory; for GPUs there is NCCL");
    for (size_t at = 0; at < n; at += MPI_PIECE) {
        if (c->count == c->room) {
            int room = c->room ? 2 * c->room : 64;
            MPI_Request *more = (MPI_Request *)realloc(c->requests, (size_t)room * sizeof *more);
            if (!more) return hrm_error_set(HRM_ERR_MEMORY, "MPI: no memory for %d requests", room);
            c->requests = more, c->room = room;
        }
        int piece = n - at < MPI_PIECE ? (int)(n - at) : MPI_PIECE;
        MPI_TRY(MPI_Iallreduce(MPI_IN_PLACE, values + at, piece, sizeof(hrm_real) == sizeof(double) ? MPI_DOUBLE : MPI_FLOAT,
                               MPI_SUM, c->comm, &c->requests[c->count]), "adding up");
        c->count++;
    }
    /* those begun go on whenever MPI is called */
    return c->count ? mpi_checked(MPI_Test(&c->requests[0], &done, MPI_STATUS_IGNORE), "adding up") : HRM_OK;
}

static hrm_status mpi_gather(void *user, void *to, const void *from, size_t bytes, int all, void *stream)
{
    comm_mpi *c = (comm_mpi *)user;
    int rank, size;
    MPI_Comm_rank(c->comm, &rank);
    MPI_Comm_size(c->comm, &size);
    if (stream) return hrm_error_set(HRM_ERR_UNSUPPORTED, "MPI gathers host memory; for GPUs there is NCCL");
    if (all) {
        if (bytes > INT_MAX) return hrm_error_set(HRM_ERR_RANGE, "MPI: %zu bytes are too many to gather on all", bytes);
        return mpi_checked(MPI_Allgather(from, (int)bytes, MPI_BYTE, to, (int)bytes, MPI_BYTE, c->comm), "gathering");
    }
    if (rank == 0 && bytes) memcpy(to, from, bytes);
    for (size_t at = 0; at < bytes; at += MPI_PIECE) {
        int piece = bytes - at < MPI_PIECE ? (int)(bytes - at) : MPI_PIECE;
        if (rank) MPI_TRY(MPI_Send((const char *)from + at, piece, MPI_BYTE, 0, 0, c->comm), "gathering");
        for (int r = 1; rank == 0 && r < size; r++)
            MPI_TRY(MPI_Recv((char *)to + (size_t)r * bytes + at, piece, MPI_BYTE, r, 0, c->comm, MPI_STATUS_IGNORE),
                    "gathering");
    }
    return HRM_OK;
}

int comm_mpi_there(void) { return 1; }

hrm_status comm_mpi_open(hrm_comm *comm, int *local_rank, int *local_size)
{
    int there = 0, level = 0, threads = MPI_THREAD_SINGLE;
    MPI_Comm here;
    comm_mpi *c = (comm_mpi *)calloc(1, sizeof *c);
    if (!c) return hrm_error_set(HRM_ERR_MEMORY, "MPI: no memory");
    MPI_Initialized(&there);
    c->ours = !there;
    if (there) MPI_Query_thread(&threads);
    else level = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &threads); /* the library's threads never call it */
    if (level != MPI_SUCCESS || threads < MPI_THREAD_FUNNELED) {
        free(c);
        return hrm_error_set(HRM_ERR_UNSUPPORTED, "MPI does not start beside threads (MPI_THREAD_FUNNELED)");
    }
    hrm_status status = mpi_checked(MPI_Comm_dup(MPI_COMM_WORLD, &c->comm), "starting");
    if (status != HRM_OK) {
        free(c);
        return status;
    }
    MPI_Comm_set_errhandler(c->comm, MPI_ERRORS_RETURN);
    memset(comm, 0, sizeof *comm);
    comm->user = c;
    comm->sum = mpi_sum, comm->wait = mpi_wait, comm->gather = mpi_gather;
    MPI_Comm_rank(c->comm, &comm->rank);
    MPI_Comm_size(c->comm, &comm->size);
    MPI_TRY(MPI_Comm_split_type(c->comm, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &here), "starting");
    if (local_rank) MPI_Comm_rank(here, local_rank);
    if (local_size) MPI_Comm_size(here, local_size);
    return mpi_checked(MPI_Comm_free(&here), "starting");
}

void comm_mpi_close(hrm_comm *comm)
{
    comm_mpi *c = (comm_mpi *)comm->user;
    MPI_Comm_free(&c->comm);
    if (c->ours) MPI_Finalize();
    free(c->requests);
    free(c);
    memset(comm, 0, sizeof *comm);
}

void comm_mpi_stop(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

#else
int        comm_mpi_there(void) { return 0; }
hrm_status comm_mpi_open(hrm_comm *comm, int *local_rank, int *local_size)
{
    (void)comm, (void)local_rank, (void)local_size;
    return hrm_error_set(HRM_ERR_UNSUPPORTED, "built without MPI; make MPI=1 has it");
}
void comm_mpi_close(hrm_comm *comm) { (void)comm; }
void comm_mpi_stop(int status) { (void)status; }
#endif
