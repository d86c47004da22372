#ifndef _WIN32
    #define _XOPEN_SOURCE 700
#endif
#include "devices.h"
#include "comm.h"

#include <stdlib.h>
#include <string.h>

static struct {
    hrm_comm host, comm; /* host memory's; the one in use, of GPUs through NCCL */
    int      open, mpi, nccl, local_size, agreed;
} devices;

typedef struct devices_word { int32_t status; char said[508]; } devices_word; /* a rank's */

/* ---- how it was started ----------------------------------------------------------------------------------------------- */
typedef struct devices_launch {
    int         rank, size, local_rank, local_size;
    const char *by;
} devices_launch;

static int number_of(const char *name, int *value)
{
    const char *text = getenv(name);
    char *end;
    if (!text || !*text) return 0;
    long n = strtol(text, &end, 10);
    if (*end || n < 0 || n > 65536) return 0;
    *value = (int)n;
    return 1;
}

static int launched(devices_launch *l, int mpirun)
{
    /* what the environment says, or of it mpirun; 0: alone */
    static const struct {
        const char *by, *rank, *size, *local_rank, *local_size;
    } ways[] = {{"RANK and WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
                {"mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
                {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                 "OMPI_COMM_WORLD_LOCAL_SIZE"}};
    for (int i = mpirun ? 1 : 0; i < 3; i++) {
        memset(l, 0, sizeof *l);
        if (!number_of(ways[i].rank, &l->rank) || !number_of(ways[i].size, &l->size) || l->size < 2) continue;
        l->by = ways[i].by;
        if (!number_of(ways[i].local_rank, &l->local_rank)) l->local_rank = l->rank;
        if (!number_of(ways[i].local_size, &l->local_size)) l->local_size = l->size;
        return 1;
    }
    return 0;
}

static int by_mpirun(void)
{
    /* also where only MPI itself knows how many there are */
    return getenv("PMI_RANK") || getenv("PMIX_RANK") || getenv("OMPI_COMM_WORLD_RANK");
}

/* ---- ends that come from elsewhere ------------------------------------------------------------------------------------ */
static void on_lost(void *user, int rank, const char *why)
{
    /* Another rank ended. Nothing of a step that it has not finished can be kept, and a GPU may be waiting for it. */
    (void)user;
    char of[24] = "";
    if (tool_rank) snprintf(of, sizeof of, "rank %d: ", tool_rank);
    if (tool_rank == 0 && *why) fprintf(stderr, "hrm: rank %d: %s\n", rank, why);
    else if ((tool_rank == 0 || rank == 0) && !*why)
        fprintf(stderr, "hrm: %srank %d of %d is gone (killed, or its machine): ending\n", of, rank, devices.host.size);
    fflush(stderr);
    hrm_writer_abort_all(); /* files are written aside: what stands is whole */
    _Exit(TOOL_ERROR);
}

/* ---- opening and closing ---------------------------------------------------------------------------------------------- */
static int open_tcp(const devices_launch *l)
{
    comm_tcp_desc d;
    const char *agent = getenv("TORCHELASTIC_USE_AGENT_STORE");
    memset(&d, 0, sizeof d);
    d.rank = l->rank, d.size = l->size;
    d.address = getenv("MASTER_ADDR");
    if (!d.address || !*d.address) {
        if (l->local_size != l->size)
            return tool_usage("started as rank %d of %d by %s, on several machines: MASTER_ADDR and MASTER_PORT have to name "
                              "rank 0's", l->rank, l->size, l->by);
        d.address = "127.0.0.1";
    }
    d.port = 29500;
    if (getenv("MASTER_PORT") && !number_of("MASTER_PORT", &d.port))
        return tool_usage("MASTER_PORT is \"%.40s\", expected a port's number", getenv("MASTER_PORT"));
    if (agent && strcmp(agent, "True") == 0) d.port++; /* there torchrun itself listens */
    d.lost = on_lost;
    return comm_tcp_open(&devices.host, &d) == HRM_OK ? TOOL_OK : tool_failed();
}

int devices_open(hrm_device_kind device)
{
    devices_launch l;
    char index[16];
    int mpi = comm_mpi_there() && by_mpirun(), several = launched(&l, mpi), status = TOOL_OK;
    if (devices.open || (!mpi && !several)) return TOOL_OK;
    if (mpi) {
        if (comm_mpi_open(&devices.host, &l.local_rank, &l.local_size) != HRM_OK) return tool_failed();
        if (several && devices.host.size != l.size) { /* each would believe that it is alone */
            tool_rank = 0;
            return tool_error("mpirun started %d processes, but MPI tells of %d: it is another MPI's mpirun than this program "
                              "was built with", l.size, devices.host.size);
        }
        devices.mpi = 1;
    } else {
        tool_rank = l.rank;
        status = open_tcp(&l);
        if (status != TOOL_OK && l.rank) fprintf(stderr, "hrm: rank %d: %s\n", l.rank, tool_said);
        if (status != TOOL_OK) return status;
    }
    devices.open = 1;
    tool_rank = devices.host.rank;
    devices.local_size = l.local_size > 0 ? l.local_size : 1;
    devices.comm = devices.host;
    if (device != HRM_CUDA || devices.host.size == 1) return TOOL_OK;
    snprintf(index, sizeof index, "%d", l.local_rank);
#ifdef _WIN32
    if (!getenv("HRM_CUDA_DEVICE")) _putenv_s("HRM_CUDA_DEVICE", index);
#else
    setenv("HRM_CUDA_DEVICE", index, 0);
#endif
    if (comm_nccl_open(&devices.comm, &devices.host, atoi(getenv("HRM_CUDA_DEVICE"))) != HRM_OK) status = tool_failed();
    else devices.nccl = 1;
    return devices_agree(status);
}

const hrm_comm *devices_comm(void) { return devices.open && devices.host.size > 1 ? &devices.comm : NULL; }
int             devices_rank(void) { return tool_rank; }

int devices_threads(void)
{
    int processors = hrm_cpu_count();
    if (!devices_comm()) return 0;
    return processors > devices.local_size ? processors / devices.local_size : 1;
}

int devices_agree(int status)
{
    const hrm_comm *c = &devices.host;
    devices_word mine;
    int worst = status;
    if (!devices_comm()) return status;
    memset(&mine, 0, sizeof mine);
    mine.status = status;
    snprintf(mine.said, sizeof mine.said, "%.500s", tool_said);
    devices_word *all = (devices_word *)calloc((size_t)c->size, sizeof *all);
    if (!all) return tool_error("no memory for %d processes", c->size);
    if (c->gather(c->user, all, &mine, sizeof mine, 1, NULL) != HRM_OK) {
        free(all);
        return tool_failed();
    }
    for (int r = 0; r < c->size && worst == TOOL_OK; r++) {
        worst = all[r].status;
        if (worst != TOOL_OK && tool_rank == 0) tool_say("rank %d: %.480s", r, all[r].said);
    }
    devices.agreed = worst != TOOL_OK;
    free(all);
    return worst;
}

int devices_any(int value)
{
    const hrm_comm *c = &devices.host;
    int32_t mine = value, some[64], *all = some;
    if (!devices_comm()) return value;
    if (c->size > 64) all = (int32_t *)calloc((size_t)c->size, sizeof *all);
    if (!all || c->gather(c->user, all, &mine, sizeof mine, 1, NULL) != HRM_OK) {
        if (all != some) free(all);
        return value; /* the next thing that ranks do together fails likewise, and says why */
    }
    for (int r = 0; r < c->size; r++)
        if (all[r] > value) value = all[r];
    if (all != some) free(all);
    return value;
}

int devices_close(int status)
{
    if (!devices.open) return status;
    devices.open = 0;
    if (status != TOOL_OK && !devices.agreed) {
        if (tool_rank && *tool_said && devices.mpi) fprintf(stderr, "hrm: rank %d: %s\n", tool_rank, tool_said);
        fflush(stderr);
        if (devices.mpi) comm_mpi_stop(status);
        else comm_tcp_stop(&devices.host, *tool_said ? tool_said : "stopped");
        return status; /* NCCL may wait for the others: it goes with the process */
    }
    if (devices.nccl) comm_nccl_close(&devices.comm);
    if (devices.mpi) comm_mpi_close(&devices.host);
    else comm_tcp_close(&devices.host);
    return status;
}
