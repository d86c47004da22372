/* hrm_comm over NCCL, GPU to GPU; see comm.h. What is in host memory goes through another hrm_comm, which also hands the
 * group's name round and notices when a rank dies: NCCL's kernels would wait for it for ever. */
#include "comm.h"

#ifdef HRM_USE_NCCL
#include <cuda_runtime_api.h>
#include <nccl.h>
#include <stdlib.h>
#include <string.h>

typedef struct comm_nccl {
    ncclComm_t comm;
    hrm_comm   host;
} comm_nccl;

static hrm_status nccl_checked(ncclResult_t result, const char *what)
{
    if (result == ncclSuccess) return HRM_OK;
    return hrm_error_set(HRM_ERR_DEVICE, "NCCL: %s: %s: %.300s", what, ncclGetErrorString(result), ncclGetLastError(NULL));
}

static hrm_status nccl_sum(void *user, hrm_real *values, size_t n, void *stream)
{
    const comm_nccl *c = (const comm_nccl *)user;
    ncclDataType_t type = sizeof(hrm_real) == sizeof(double) ? ncclFloat64 : ncclFloat32;
    return nccl_checked(ncclAllReduce(values, values, n, type, ncclSum, c->comm, (cudaStream_t)stream), "adding up");
}

static hrm_status nccl_wait(void *user, void *stream)
{
    const comm_nccl *c = (const comm_nccl *)user;
    return stream ? HRM_OK : c->host.wait(c->host.user, NULL); /* in a stream everything has its turn */
}

static hrm_status nccl_gather(void *user, void *to, const void *from, size_t bytes, int all, void *stream)
{
    const comm_nccl *c = (const comm_nccl *)user;
    if (!stream) return c->host.gather(c->host.user, to, from, bytes, all, NULL);
    return nccl_checked(ncclAllGather(from, to, bytes, ncclInt8, c->comm, (cudaStream_t)stream), "gathering");
}

static hrm_status nccl_agree(const hrm_comm *host, hrm_status status)
{
    int32_t mine = (int32_t)status, *all = (int32_t *)calloc((size_t)host->size, sizeof *all);
    if (!all || host->gather(host->user, all, &mine, sizeof mine, 1, NULL) != HRM_OK) status = HRM_ERR_IO;
    for (int r = 0; status == HRM_OK && r < host->size; r++)
        if (all[r] != HRM_OK) status = hrm_error_set((hrm_status)all[r], "NCCL: rank %d has no GPU", r);
    free(all);
    return status;
}

int comm_nccl_there(void) { return 1; }

hrm_status comm_nccl_open(hrm_comm *comm, const hrm_comm *host, int gpu)
{
    size_t each = sizeof(ncclUniqueId);
    ncclUniqueId id;
    hrm_status status = HRM_OK;
    comm_nccl *c = (comm_nccl *)calloc(1, sizeof *c);
    ncclUniqueId *all = (ncclUniqueId *)calloc((size_t)host->size, each);
    if (!c || !all) status = hrm_error_set(HRM_ERR_MEMORY, "NCCL: no memory for %d processes", host->size);
    memset(&id, 0, sizeof id);
    if (status == HRM_OK && host->rank == 0) status = nccl_checked(ncclGetUniqueId(&id), "starting");
    if (all && host->gather(host->user, all, &id, each, 1, NULL) != HRM_OK) status = HRM_ERR_IO;
    if (status == HRM_OK) {
        cudaError_t error = cudaSetDevice(gpu);
        if (error != cudaSuccess)
            status = hrm_error_set(HRM_ERR_DEVICE, "CUDA: choosing GPU %d for rank %d: %s", gpu, host->rank,
                                   cudaGetErrorString(error));
    }
    status = nccl_agree(host, status); /* who is not there would be waited for */
    if (status == HRM_OK) status = nccl_checked(ncclCommInitRank(&c->comm, host->size, all[0], host->rank), "starting");
    free(all);
    if (status != HRM_OK) {
        free(c);
        return status;
    }
    c->host = *host;
    memset(comm, 0, sizeof *comm);
    comm->rank = host->rank, comm->size = host->size;
    comm->user = c;
    comm->sum = nccl_sum, comm->wait = nccl_wait, comm->gather = nccl_gather;
    return HRM_OK;
}

void comm_nccl_close(hrm_comm *comm)
{
    comm_nccl *c = (comm_nccl *)comm->user;
    ncclCommDestroy(c->comm);
    free(c);
    memset(comm, 0, sizeof *comm);
}

#else
int        comm_nccl_there(void) { return 0; }
hrm_status comm_nccl_open(hrm_comm *comm, const hrm_comm *host, int gpu)
{
    (void)comm, (void)host, (void)gpu;
    return hrm_error_set(HRM_ERR_UNSUPPORTED, "several processes on GPUs need NCCL, which this build has not; make cuda NCCL=1 "
                                              "has it");
}
void comm_nccl_close(hrm_comm *comm) { (void)comm; }
#endif
