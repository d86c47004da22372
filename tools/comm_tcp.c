/* hrm_comm over TCP; see comm.h. Rank 0 is the hub of a star: each other rank has two connections to it, one for data and one
 * that says nothing until a rank ends.
 *
 *   sum      a thread of its own works through what was begun, piece by piece: rank 0 receives a piece of each rank in order,
 *            adds it to its own and sends the result back, so that all have the same bits
 *   gather   after that, by the calling thread
 *   ends     a watcher waits on the second connections. One that closes without a word is a rank that died; rank 0 tells the
 *            others
 */
#ifndef _WIN32
    #define _XOPEN_SOURCE   700
    #define _DEFAULT_SOURCE 1 /* TCP_KEEPIDLE */
    #define _DARWIN_C_SOURCE 1
#endif
#include "comm.h"

#if defined(_WIN32) || defined(HRM_NO_THREADS)
hrm_status comm_tcp_open(hrm_comm *comm, const comm_tcp_desc *desc)
{
    (void)comm, (void)desc;
    return hrm_error_set(HRM_ERR_UNSUPPORTED, "several processes over TCP: not in this build");
}
void comm_tcp_close(hrm_comm *comm) { (void)comm; }
void comm_tcp_stop(hrm_comm *comm, const char *why) { (void)comm, (void)why; }
#else

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef MSG_NOSIGNAL
    #define TCP_FLAGS MSG_NOSIGNAL
#else
    #define TCP_FLAGS 0
#endif

enum { TCP_PIECE = 1 << 18 /* elements */, TCP_QUEUE = 256, TCP_DATA = 0, TCP_WATCH = 1 };

typedef struct tcp_hello { char magic[8]; int32_t rank, size, kind, real; } tcp_hello;
enum { TCP_BYE = 1, TCP_GONE };
typedef struct tcp_news { int32_t what, rank; char why[504]; } tcp_news; /* on the second connections */

typedef struct tcp_peer { int data, watch, left; } tcp_peer; /* left: it said good-bye */

typedef struct comm_tcp {
    int       rank, size;
    tcp_peer *peers; /* [size]; of rank 0 all but itself, of the others rank 0 alone */
    struct pollfd *watched; /* [size + 1] the watcher's */
    hrm_real *piece; /* [TCP_PIECE] rank 0's */
    void (*lost)(void *user, int rank, const char *why);
    void     *user;
    int       alarm[2]; /* a pipe that wakes the watcher */
    int       threads;  /* that were started: 1 the worker, 2 the watcher too */
    pthread_t worker, watcher;
    pthread_mutex_t mutex;
    pthread_cond_t  changed;
    /* under the mutex */
    struct { hrm_real *values; size_t n; } queue[TCP_QUEUE];
    unsigned  begun, done; /* sums so far */
    int       leaving, gone, told; /* gone: rank + 1; told: lost() has returned */
    char      why[504];
} comm_tcp;

static double tcp_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int tcp_send(int file, const void *p, size_t bytes)
{
    const char *at = (const char *)p;
    while (bytes) {
        ssize_t n = send(file, at, bytes, TCP_FLAGS);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        at += n, bytes -= (size_t)n;
    }
    return 1;
}

static int tcp_receive(int file, void *p, size_t bytes)
{
    char *at = (char *)p;
    while (bytes) {
        ssize_t n = recv(file, at, bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        at += n, bytes -= (size_t)n;
    }
    return 1;
}

/* ---- a rank that is gone ---------------------------------------------------------------------------------------------- */
static void tcp_lose(comm_tcp *c, int rank, const char *why)
{
    /* the first to notice tells the others and the caller; whoever works on a connection is woken */
    pthread_mutex_lock(&c->mutex);
    int first = !c->gone && !c->leaving;
    if (first) {
        c->gone = rank + 1;
        strncpy(c->why, why, sizeof c->why - 1);
    }
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    if (!first) return;
    tcp_news news;
    memset(&news, 0, sizeof news);
    news.what = TCP_GONE, news.rank = rank;
    memcpy(news.why, c->why, sizeof news.why);
    for (int r = 1; c->rank == 0 && r < c->size; r++)
        if (r != rank) tcp_send(c->peers[r].watch, &news, sizeof news);
    if (c->lost) c->lost(c->user, rank, c->why);
    for (int r = 0; r < c->size; r++)
        if (c->peers[r].data >= 0) shutdown(c->peers[r].data, SHUT_RDWR);
    pthread_mutex_lock(&c->mutex);
    c->told = 1;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static hrm_status tcp_failed(comm_tcp *c, int peer)
{
    /* A connection closed: its rank died, or is about to say why it ends. The second connection has it, if anything was
     * said. */
    struct timespec moment = {0, 50000000};
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&c->mutex);
        int gone = c->gone;
        pthread_mutex_unlock(&c->mutex);
        if (gone) break;
        nanosleep(&moment, NULL);
    }
    tcp_lose(c, peer, "");
    pthread_mutex_lock(&c->mutex);
    while (c->gone && !c->told) pthread_cond_wait(&c->changed, &c->mutex); /* which may end the program */
    int gone = c->gone ? c->gone - 1 : peer;
    pthread_mutex_unlock(&c->mutex);
    if (c->why[0]) return hrm_error_set(HRM_ERR_IO, "rank %d stopped: %.400s", gone, c->why);
    return hrm_error_set(HRM_ERR_IO, "rank %d is gone", gone);
}

static void *tcp_watch(void *user)
{
    comm_tcp *c = (comm_tcp *)user;
    for (;;) {
        nfds_t n = 0;
        c->watched[n].fd = c->alarm[0], c->watched[n].events = POLLIN, c->watched[n++].revents = 0;
        for (int r = 0; r < c->size; r++)
            if (c->peers[r].watch >= 0 && !c->peers[r].left) {
                c->watched[n].fd = c->peers[r].watch, c->watched[n].events = POLLIN, c->watched[n++].revents = 0;
            }
        if (poll(c->watched, n, -1) < 0 && errno != EINTR) return NULL;
        if (c->watched[0].revents) return NULL;
        for (nfds_t i = 1; i < n; i++) {
            tcp_news news;
            int rank = 0;
            if (!c->watched[i].revents) continue;
            while (c->peers[rank].watch != c->watched[i].fd) rank++;
            if (!tcp_receive(c->watched[i].fd, &news, sizeof news)) {
                tcp_lose(c, rank, "");
                return NULL;
            }
            news.why[sizeof news.why - 1] = 0;
            if (news.what == TCP_BYE) {
                c->peers[rank].left = 1;
                continue;
            }
            tcp_lose(c, c->rank ? news.rank : rank, news.why);
            return NULL;
        }
    }
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */
static int tcp_add(comm_tcp *c, hrm_real *values, size_t n)
{
    /* -> 0, or the rank that is gone, + 1 */
    for (size_t at = 0; at < n; at += TCP_PIECE) {
        size_t piece = n - at < TCP_PIECE ? n - at : TCP_PIECE, bytes = piece * sizeof *values;
        hrm_real *v = values + at;
        if (c->rank) {
            if (!tcp_send(c->peers[0].data, v, bytes) || !tcp_receive(c->peers[0].data, v, bytes)) return 1;
            continue;
        }
        for (int r = 1; r < c->size; r++) {
            if (!tcp_receive(c->peers[r].data, c->piece, bytes)) return r + 1;
            for (size_t i = 0; i < piece; i++) v[i] += c->piece[i];
        }
        for (int r = 1; r < c->size; r++)
            if (!tcp_send(c->peers[r].data, v, bytes)) return r + 1;
    }
    return 0;
}

static void *tcp_work(void *user)
{
    comm_tcp *c = (comm_tcp *)user;
    pthread_mutex_lock(&c->mutex);
    for (;;) {
        while (c->begun == c->done && !c->leaving && !c->gone) pthread_cond_wait(&c->changed, &c->mutex);
        if (c->leaving || c->gone) break;
        hrm_real *values = c->queue[c->done % TCP_QUEUE].values;
        size_t n = c->queue[c->done % TCP_QUEUE].n;
        pthread_mutex_unlock(&c->mutex);
        int gone = tcp_add(c, values, n);
        if (gone) tcp_failed(c, gone - 1);
        pthread_mutex_lock(&c->mutex);
        if (!gone) c->done++;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

static hrm_status tcp_until(comm_tcp *c, unsigned left)
{
    /* until at most so many sums are still to be done */
    pthread_mutex_lock(&c->mutex);
    while (c->begun - c->done > left && !c->gone) pthread_cond_wait(&c->changed, &c->mutex);
    int gone = c->gone;
    pthread_mutex_unlock(&c->mutex);
    return gone ? tcp_failed(c, gone - 1) : HRM_OK;
}

static hrm_status tcp_wait(void *user, void *stream) { (void)stream; return tcp_until((comm_tcp *)user, 0); }

static hrm_status tcp_sum(void *user, hrm_real *values, size_t n, void *stream)
{
    comm_tcp *c = (comm_tcp *)user;
    if (stream) return hrm_error_set(HRM_ERR_UNSUPPORTED, "TCP adds up in host memory; for GPUs there is NCCL");
    hrm_status status = tcp_until(c, TCP_QUEUE - 1);
    if (status != HRM_OK) return status;
    pthread_mutex_lock(&c->mutex);
    c->queue[c->begun % TCP_QUEUE].values = values;
    c->queue[c->begun++ % TCP_QUEUE].n = n;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    return HRM_OK;
}

static hrm_status tcp_gather(void *user, void *to, const void *from, size_t bytes, int all, void *stream)
{
    comm_tcp *c = (comm_tcp *)user;
    size_t whole = bytes * (size_t)c->size;
    if (stream) return hrm_error_set(HRM_ERR_UNSUPPORTED, "TCP gathers host memory; for GPUs there is NCCL");
    hrm_status status = tcp_until(c, 0);
    if (status != HRM_OK) return status;
    if (c->rank) {
        char word = 0;
        int fine = bytes ? tcp_send(c->peers[0].data, from, bytes) : tcp_send(c->peers[0].data, &word, 1);
        if (fine && all) fine = bytes ? tcp_receive(c->peers[0].data, to, whole) : tcp_receive(c->peers[0].data, &word, 1);
        return fine ? HRM_OK : tcp_failed(c, 0);
    }
    if (bytes) memcpy(to, from, bytes);
    for (int r = 1; r < c->size; r++) {
        char word;
        if (!(bytes ? tcp_receive(c->peers[r].data, (char *)to + (size_t)r * bytes, bytes)
                    : tcp_receive(c->peers[r].data, &word, 1))) return tcp_failed(c, r);
    }
    for (int r = 1; all && r < c->size; r++) {
        char word = 0;
        if (!(bytes ? tcp_send(c->peers[r].data, to, whole) : tcp_send(c->peers[r].data, &word, 1))) return tcp_failed(c, r);
    }
    return HRM_OK;
}

/* ---- meeting ---------------------------------------------------------------------------------------------------------- */
static void tcp_settle(int file)
{
    int on = 1;
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(file, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); /* a machine that is gone says nothing */
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
    int idle = 5, interval = 2, count = 3;
    setsockopt(file, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(file, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(file, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
#endif
#ifdef SO_NOSIGPIPE
    setsockopt(file, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

static void tcp_limit(int file, double seconds)
{
    /* how long a receive may take; 0: for ever */
    struct timeval t;
    t.tv_sec = (time_t)seconds;
    t.tv_usec = (suseconds_t)((seconds - (double)t.tv_sec) * 1e6);
    setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
}

static hrm_status tcp_resolve(struct addrinfo **found, const comm_tcp_desc *d, int listens)
{
    char port[16];
    struct addrinfo wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    if (listens) wanted.ai_flags = AI_PASSIVE;
    snprintf(port, sizeof port, "%d", d->port);
    int error = getaddrinfo(d->address, port, &wanted, found);
    if (error) return hrm_error_set(HRM_ERR_IO, "%s: no such address: %s", d->address, gai_strerror(error));
    return HRM_OK;
}

static hrm_status tcp_listen(int *out, const comm_tcp_desc *d)
{
    struct addrinfo *found;
    int on = 1, file = -1, error = 0;
    hrm_status status = tcp_resolve(&found, d, 1);
    if (status != HRM_OK) return status;
    for (struct addrinfo *a = found; a && file < 0; a = a->ai_next) {
        file = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (file < 0) continue;
        setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(file, a->ai_addr, a->ai_addrlen) == 0 && listen(file, 2 * d->size) == 0) break;
        error = errno;
        close(file);
        file = -1;
    }
    freeaddrinfo(found);
    if (file < 0)
        return hrm_error_set(HRM_ERR_IO, "rank 0 cannot listen at %s port %d: %s", d->address, d->port, strerror(error));
    *out = file;
    return HRM_OK;
}

static void tcp_take(comm_tcp *c, int file)
{
    /* a connection that says which it is; others are turned away */
    tcp_hello hello;
    tcp_settle(file);
    tcp_limit(file, 5);
    if (tcp_receive(file, &hello, sizeof hello) && memcmp(hello.magic, "hrmcomm1", 8) == 0 && hello.rank > 0 &&
        hello.rank < c->size && hello.size == c->size && hello.real == (int32_t)sizeof(hrm_real)) {
        int *place = hello.kind == TCP_WATCH ? &c->peers[hello.rank].watch : &c->peers[hello.rank].data;
        if (*place < 0) {
            tcp_limit(file, 0);
            *place = file;
            return;
        }
    }
    close(file);
}

static int tcp_there(const comm_tcp *c)
{
    int there = 1;
    for (int r = 1; r < c->size; r++) there += c->peers[r].data >= 0 && c->peers[r].watch >= 0;
    return there;
}

static hrm_status tcp_accept(comm_tcp *c, const comm_tcp_desc *d, double until)
{
    int file = -1;
    char go = 1;
    hrm_status status = tcp_listen(&file, d);
    if (status != HRM_OK) return status;
    while (tcp_there(c) < c->size) {
        struct pollfd p;
        double left = until - tcp_seconds();
        p.fd = file, p.events = POLLIN, p.revents = 0;
        if (left <= 0) break;
        if (poll(&p, 1, (int)(left * 1000) + 1) <= 0) continue;
        int one = accept(file, NULL, NULL);
        if (one >= 0) tcp_take(c, one);
    }
    close(file);
    if (tcp_there(c) < c->size)
        return hrm_error_set(HRM_ERR_IO, "rank 0 waited at %s port %d for %d processes, of which %d came", d->address, d->port,
                             c->size, tcp_there(c));
    for (int r = 1; r < c->size; r++)
        if (!tcp_send(c->peers[r].data, &go, 1)) return hrm_error_set(HRM_ERR_IO, "rank %d is gone", r);
    return HRM_OK;
}

static int tcp_connect(const struct addrinfo *found)
{
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        int file = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (file < 0) continue;
        if (connect(file, a->ai_addr, a->ai_addrlen) == 0) return file;
        int error = errno;
        close(file);
        errno = error;
    }
    return -1;
}

static hrm_status tcp_join(comm_tcp *c, const comm_tcp_desc *d, double until)
{
    struct addrinfo *found;
    struct timespec moment = {0, 50000000};
    tcp_hello hello;
    char go;
    hrm_status status = tcp_resolve(&found, d, 0);
    if (status != HRM_OK) return status;
    memset(&hello, 0, sizeof hello);
    memcpy(hello.magic, "hrmcomm1", 8);
    hello.rank = c->rank, hello.size = c->size, hello.real = (int32_t)sizeof(hrm_real);
    for (int kind = TCP_DATA; kind <= TCP_WATCH && status == HRM_OK; kind++) {
        int file;
        while ((file = tcp_connect(found)) < 0 && tcp_seconds() < until) nanosleep(&moment, NULL);
        if (file < 0) {
            status = hrm_error_set(HRM_ERR_IO, "rank 0 does not answer at %s port %d: %s", d->address, d->port,
                                   strerror(errno));
            break;
        }
        *(kind == TCP_WATCH ? &c->peers[0].watch : &c->peers[0].data) = file;
        tcp_settle(file);
        hello.kind = kind;
        if (!tcp_send(file, &hello, sizeof hello)) status = hrm_error_set(HRM_ERR_IO, "rank 0 is gone");
    }
    freeaddrinfo(found);
    if (status != HRM_OK) return status;
    double left = until - tcp_seconds();
    tcp_limit(c->peers[0].data, left > 1 ? left : 1);
    if (!tcp_receive(c->peers[0].data, &go, 1))
        return hrm_error_set(HRM_ERR_IO, "rank %d of %d was turned away by %s port %d, or not all processes came", c->rank,
                             c->size, d->address, d->port);
    tcp_limit(c->peers[0].data, 0);
    return HRM_OK;
}

/* ---- opening and closing ---------------------------------------------------------------------------------------------- */
static void tcp_free(comm_tcp *c)
{
    for (int r = 0; c->peers && r < c->size; r++) {
        if (c->peers[r].data >= 0) close(c->peers[r].data);
        if (c->peers[r].watch >= 0) close(c->peers[r].watch);
    }
    for (int i = 0; i < 2; i++)
        if (c->alarm[i] >= 0) close(c->alarm[i]);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->changed);
    free(c->peers);
    free(c->watched);
    free(c->piece);
    free(c);
}

static void tcp_end(comm_tcp *c)
{
    /* both threads, then everything */
    char word = 0;
    pthread_mutex_lock(&c->mutex);
    c->leaving = 1;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    ssize_t woken = c->alarm[1] >= 0 ? write(c->alarm[1], &word, 1) : 0;
    (void)woken;
    if (c->threads > 0) pthread_join(c->worker, NULL);
    if (c->threads > 1) pthread_join(c->watcher, NULL);
    tcp_free(c);
}

hrm_status comm_tcp_open(hrm_comm *comm, const comm_tcp_desc *d)
{
    comm_tcp *c = (comm_tcp *)calloc(1, sizeof *c);
    double until = tcp_seconds() + (d->patience > 0 ? d->patience : 60);
    if (d->size < 1 || d->rank < 0 || d->rank >= d->size || d->port < 1 || d->port > 65535) {
        free(c);
        return hrm_error_set(HRM_ERR_ARGUMENT, "rank %d of %d at port %d: there is no such", d->rank, d->size, d->port);
    }
    if (!c) return hrm_error_set(HRM_ERR_MEMORY, "no memory for %d processes", d->size);
    c->rank = d->rank, c->size = d->size;
    c->lost = d->lost, c->user = d->user;
    c->alarm[0] = c->alarm[1] = -1;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->peers = (tcp_peer *)malloc((size_t)c->size * sizeof *c->peers);
    c->watched = (struct pollfd *)calloc((size_t)c->size + 1, sizeof *c->watched);
    c->piece = (hrm_real *)malloc(TCP_PIECE * sizeof *c->piece);
    for (int r = 0; c->peers && r < c->size; r++) c->peers[r].data = c->peers[r].watch = -1, c->peers[r].left = 0;
    hrm_status status = HRM_OK;
    if (!c->peers || !c->watched || !c->piece || pipe(c->alarm) != 0)
        status = hrm_error_set(HRM_ERR_MEMORY, "no memory for %d processes", d->size);
    if (status == HRM_OK) status = c->rank ? tcp_join(c, d, until) : tcp_accept(c, d, until);
    if (status == HRM_OK && pthread_create(&c->worker, NULL, tcp_work, c) == 0) c->threads++;
    if (c->threads == 1 && pthread_create(&c->watcher, NULL, tcp_watch, c) == 0) c->threads++;
    if (status == HRM_OK && c->threads < 2) status = hrm_error_set(HRM_ERR_MEMORY, "a thread could not be started");
    if (status != HRM_OK) {
        tcp_end(c);
        return status;
    }
    memset(comm, 0, sizeof *comm);
    comm->rank = c->rank, comm->size = c->size;
    comm->user = c;
    comm->sum = tcp_sum, comm->wait = tcp_wait, comm->gather = tcp_gather;
    return HRM_OK;
}

static void tcp_tell(comm_tcp *c, int what, const char *why)
{
    tcp_news news;
    memset(&news, 0, sizeof news);
    news.what = what, news.rank = c->rank;
    strncpy(news.why, why, sizeof news.why - 1);
    for (int r = 0; r < c->size; r++)
        if (c->peers[r].watch >= 0) tcp_send(c->peers[r].watch, &news, sizeof news);
}

void comm_tcp_close(hrm_comm *comm)
{
    comm_tcp *c = (comm_tcp *)comm->user;
    tcp_tell(c, TCP_BYE, "");
    tcp_gather(c, NULL, NULL, 0, 1, NULL); /* who leaves first must not look like who died */
    tcp_end(c);
    memset(comm, 0, sizeof *comm);
}

void comm_tcp_stop(hrm_comm *comm, const char *why)
{
    comm_tcp *c = (comm_tcp *)comm->user;
    pthread_mutex_lock(&c->mutex);
    c->leaving = 1; /* what comes of it is no news here */
    pthread_mutex_unlock(&c->mutex);
    tcp_tell(c, TCP_GONE, why);
}
#endif
