#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
    #define _POSIX_C_SOURCE 200809L
#endif
#include "runlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#ifdef _WIN32
    #include <io.h>
    #include <process.h>
    #include <share.h>
#else
    #include <unistd.h>
#endif

static int held_by_another(const char *path, const char *dir)
{
    char text[160] = "";
    FILE *f = fopen(path, "rb");
    if (f) {
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        fclose(f);
    }
    text[strcspn(text, "\r\n")] = 0;
    return tool_error("%s: another hrm train works there%s%s", dir, *text ? ": " : "", text);
}

#ifdef _WIN32
int runlock_take(runlock *l, const char *dir)
{
    /* nobody else may open it for writing while we have it open */
    char text[64];
    if (!tool_join(l->path, dir, "train.lock")) return tool_error("%s: the path is too long", dir);
    int file = -1, error = _sopen_s(&file, l->path, _O_RDWR | _O_CREAT | _O_BINARY, _SH_DENYWR, _S_IREAD | _S_IWRITE);
    if (error == EACCES) return held_by_another(l->path, dir);
    if (error) return tool_error("%s: %s", l->path, strerror(error));
    int n = snprintf(text, sizeof text, "process %d\n", (int)_getpid());
    if (_chsize(file, 0) == 0) (void)_write(file, text, (unsigned)n);
    l->file = file + 1;
    return TOOL_OK;
}

void runlock_release(runlock *l)
{
    if (!l->file) return;
    _close(l->file - 1);
    remove(l->path);
    l->file = 0;
}
#else
int runlock_take(runlock *l, const char *dir)
{
    char text[160], host[100] = "localhost";
    if (!tool_join(l->path, dir, "train.lock")) return tool_error("%s: the path is too long", dir);
    for (;;) {
        struct flock range;
        struct stat ours, there;
        int file = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file < 0) return tool_error("%s: %s", l->path, strerror(errno));
        memset(&range, 0, sizeof range);
        range.l_type = F_WRLCK;
        range.l_whence = SEEK_SET;
        if (fcntl(file, F_SETLK, &range) != 0) {
            int error = errno;
            close(file);
            if (error == EINTR) continue;
            if (error == EACCES || error == EAGAIN) return held_by_another(l->path, dir);
            remove(l->path);
            tool_note("%s: no locks in this file system (%s): take care that no other hrm train works there", dir, strerror(error));
            return TOOL_OK;
        }
        /* one that ended removed its file: what we have locked must be what others find under the name */
        if (fstat(file, &ours) != 0 || stat(l->path, &there) != 0 || ours.st_ino != there.st_ino || ours.st_dev != there.st_dev) {
            close(file);
            continue;
        }
        if (gethostname(host, sizeof host) != 0) strcpy(host, "localhost");
        host[sizeof host - 1] = 0;
        int n = snprintf(text, sizeof text, "host %s, process %ld\n", host, (long)getpid());
        if (ftruncate(file, 0) != 0 || write(file, text, (size_t)n) != n) { /* a full disk: the lock holds all the same */ }
        l->file = file + 1;
        return TOOL_OK;
    }
}

void runlock_release(runlock *l)
{
    if (!l->file) return;
    remove(l->path); /* before it is free: nobody can have it by this name then but us */
    close(l->file - 1);
    l->file = 0;
}
#endif
