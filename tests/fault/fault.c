/* Preloaded into the command, makes its n-th call of a kind fail; Linux with the GNU C library.
 *
 *   HRM_FAULT=KIND:N     that call alone, counted from 1; KIND:N+ that and every one after it; KIND:0 none
 *   HRM_FAULT_COUNT=FILE takes a line with the number of calls of each kind when the program ends
 *
 * Kinds: alloc, open, read, write, sync, rename, map, lock, thread, folder. A stream that fails is marked so, as the C library
 * does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALLOC, OPEN, READ, WRITE, SYNC, RENAME, MAP, LOCK, THREAD, FOLDER, KINDS };
static const char *const kinds[KINDS] = {"alloc", "open", "read", "write", "sync", "rename", "map", "lock", "thread", "folder"};
static long calls[KINDS], fail_at;
static int  kind_that_fails = -1, from_then_on, armed;
static char count_path[1024];

static int fails(int kind)
{
    if (!armed) return 0;
    long n = __atomic_add_fetch(&calls[kind], 1, __ATOMIC_RELAXED);
    return kind == kind_that_fails && fail_at > 0 && (n == fail_at || (from_then_on && n > fail_at));
}

/* The C library's own, looked up by name; dlsym may allocate, so that allocation has other names for it. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name)

void *malloc(size_t size) { return fails(ALLOC) ? (errno = ENOMEM, NULL) : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails(ALLOC) ? (errno = ENOMEM, NULL) : __libc_calloc(count, size); }
void *realloc(void *p, size_t size) { return fails(ALLOC) ? (errno = ENOMEM, NULL) : __libc_realloc(p, size); }
void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(ALLOC) ? (errno = ENOMEM, NULL) : __libc_memalign(alignment, size);
}
int posix_memalign(void **p, size_t alignment, size_t size)
{
    if (fails(ALLOC)) return ENOMEM;
    *p = __libc_memalign(alignment, size);
    return *p ? 0 : ENOMEM;
}

int open(const char *path, int flags, ...)
{
    NEXT(open);
    va_list more;
    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    return fails(OPEN) ? (errno = EMFILE, -1) : next(path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    NEXT(open64);
    va_list more;
    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    return fails(OPEN) ? (errno = EMFILE, -1) : next(path, flags, mode);
}
FILE *fopen(const char *path, const char *mode)
{
    NEXT(fopen);
    return fails(OPEN) ? (errno = EMFILE, NULL) : next(path, mode);
}
FILE *fopen64(const char *path, const char *mode)
{
    NEXT(fopen64);
    return fails(OPEN) ? (errno = EMFILE, NULL) : next(path, mode);
}
DIR *opendir(const char *path)
{
    NEXT(opendir);
    return fails(FOLDER) ? (errno = EMFILE, NULL) : next(path);
}
struct dirent *readdir(DIR *d)
{
    NEXT(readdir);
    return fails(FOLDER) ? (errno = EIO, NULL) : next(d);
}
struct dirent64 *readdir64(DIR *d)
{
    NEXT(readdir64);
    return fails(FOLDER) ? (errno = EIO, NULL) : next(d);
}
int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    return fails(FOLDER) ? (errno = ENOSPC, -1) : next(path, mode);
}

static int stream_failed(FILE *f, int error)
{
    f->_flags |= 0x20; /* what ferror() looks at */
    errno = error;
    return EOF;
}
ssize_t read(int fd, void *data, size_t size)
{
    NEXT(read);
    return fails(READ) ? (errno = EIO, -1) : next(fd, data, size);
}
size_t fread(void *data, size_t size, size_t count, FILE *f)
{
    NEXT(fread);
    return fails(READ) ? (stream_failed(f, EIO), 0) : next(data, size, count, f);
}
ssize_t write(int fd, const void *data, size_t size)
{
    NEXT(write);
    if (fd == 2) return next(fd, data, size); /* messages are what the test reads */
    return fails(WRITE) ? (errno = ENOSPC, -1) : next(fd, data, size);
}
size_t fwrite(const void *data, size_t size, size_t count, FILE *f)
{
    NEXT(fwrite);
    if (f == stderr) return next(data, size, count, f);
    return fails(WRITE) ? (stream_failed(f, ENOSPC), 0) : next(data, size, count, f);
}
int fflush(FILE *f)
{
    NEXT(fflush);
    if (!f || f == stderr) return next(f);
    return fails(WRITE) ? stream_failed(f, ENOSPC) : next(f);
}
int fclose(FILE *f)
{
    NEXT(fclose);
    int failed = fails(WRITE), status = next(f);
    return failed ? (errno = EIO, EOF) : status;
}
int fsync(int fd)
{
    NEXT(fsync);
    return fails(SYNC) ? (errno = EIO, -1) : next(fd);
}
int rename(const char *from, const char *to)
{
    NEXT(rename);
    return fails(RENAME) ? (errno = EACCES, -1) : next(from, to);
}
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    NEXT(mmap);
    return fails(MAP) ? (errno = ENOMEM, MAP_FAILED) : next(at, size, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    NEXT(mmap64);
    return fails(MAP) ? (errno = ENOMEM, MAP_FAILED) : next(at, size, protection, flags, fd, offset);
}
/* with 64-bit offsets the C library calls it by another name */
#define FCNTL(name) \
    int name(int fd, int command, ...) \
    { \
        NEXT(name); \
        va_list more; \
        va_start(more, command); \
        void *argument = va_arg(more, void *); \
        va_end(more); \
        if ((command == F_SETLK || command == F_SETLKW) && fails(LOCK)) return errno = ENOLCK, -1; \
        return next(fd, command, argument); \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *argument)
{
    NEXT(pthread_create);
    return fails(THREAD) ? EAGAIN : next(thread, attributes, function, argument);
}

__attribute__((constructor)) static void fault_open(void)
{
    const char *what = getenv("HRM_FAULT"), *count = getenv("HRM_FAULT_COUNT"), *colon = what ? strchr(what, ':') : NULL;
    if (count) snprintf(count_path, sizeof count_path, "%s", count);
    for (int i = 0; colon && i < KINDS; i++)
        if (strncmp(kinds[i], what, (size_t)(colon - what)) == 0 && !kinds[i][colon - what]) kind_that_fails = i;
    if (kind_that_fails < 0) return;
    fail_at = atol(colon + 1);
    from_then_on = what[strlen(what) - 1] == '+';
    armed = 1;
}

__attribute__((destructor)) static void fault_close(void)
{
    armed = 0;
    if (!*count_path) return;
    FILE *f = fopen(count_path, "w");
    for (int i = 0; f && i < KINDS; i++) fprintf(f, "%s %ld\n", kinds[i], calls[i]);
    if (f) fclose(f);
}
