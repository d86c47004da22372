/* The command `hrm`: picks the subcommand, and holds what all of them share. */
#if !defined(_WIN32) && !defined(_XOPEN_SOURCE)
    #define _XOPEN_SOURCE 700
#endif
#include "devices.h"
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#ifdef _WIN32
    #define WIN32_LEAN_AND_MEAN
    #include <windows.h>
    #include <direct.h>
    #include <io.h>
    #include <process.h>
#else
    #ifdef __APPLE__
        #include <mach-o/dyld.h>
    #endif
    #include <fcntl.h>
    #include <sys/ioctl.h>
    #include <unistd.h>
#endif

/* ---- reporting -------------------------------------------------------------------------------------------------------- */
int  tool_rank;
char tool_said[1024];

static void tool_print(const char *format, va_list args)
{
    vsnprintf(tool_said, sizeof tool_said, format, args);
    for (char *c = tool_said; *c; c++)
        if ((unsigned char)*c < 32) *c = ' '; /* one line, whatever was quoted */
    if (tool_rank == 0) fprintf(stderr, "hrm: %s\n", tool_said);
}

void tool_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tool_print(format, args);
    va_end(args);
}

void tool_note(const char *format, ...)
{
    va_list args;
    if (tool_rank) return;
    va_start(args, format);
    tool_print(format, args);
    va_end(args);
}

/* ---- signals ---------------------------------------------------------------------------------------------------------- */
volatile sig_atomic_t tool_signal;
static const char *volatile signal_note;

static void tool_on_signal(int number)
{
    if (tool_signal) { /* asked twice: leave now, without half-written files */
        hrm_writer_abort_all();
        _exit(128 + number);
    }
    tool_signal = number;
    const char *note = signal_note;
    if (note && tool_rank == 0) {
        int error = errno; /* of what was interrupted */
#ifdef _WIN32
        if (_isatty(2)) (void)_write(2, "\n", 1);
        (void)_write(2, note, (unsigned)strlen(note));
#else
        int said = isatty(2) && write(2, "\n", 1) == 1; /* under the progress bar */
        said |= write(2, note, strlen(note)) > 0;
        (void)said;
#endif
        errno = error;
    }
#ifdef _WIN32
    signal(number, tool_on_signal);
#endif
}

void tool_catch_signals(const char *note)
{
    signal_note = note;
#ifdef _WIN32
    signal(SIGINT, tool_on_signal);
    signal(SIGTERM, tool_on_signal);
#else
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = tool_on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
#endif
}

/* ---- paths and files -------------------------------------------------------------------------------------------------- */
char *tool_join(char *path, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    int slash = n > 0 && dir[n - 1] != '/';
    int length = snprintf(path, TOOL_PATH, "%s%s%s", dir, slash ? "/" : "", name);
    return length >= 0 && length < TOOL_PATH ? path : NULL;
}

const char *tool_basename(const char *path)
{
    const char *base = path;
    for (const char *c = path; *c; c++)
        if (*c == '/' || *c == '\\') base = c + 1;
    return base;
}

char *tool_directory(char *path, const char *file)
{
    size_t n = (size_t)(tool_basename(file) - file);
    if (n >= TOOL_PATH) return NULL;
    if (n > 1) n--; /* without the slash, but "/" stays */
    memcpy(path, file, n);
    path[n] = 0;
    return n ? path : strcpy(path, ".");
}

int tool_edit_distance(const char *a, const char *b)
{
    /* letters to insert, delete, change or swap with their neighbour */
    enum { MOST = 48 };
    int n = (int)strlen(a), m = (int)strlen(b), row[3][MOST + 1];
    if (n > MOST || m > MOST) return 2 * MOST;
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two[j - 2] + 1 < best) best = two[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

int tool_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

int tool_is_directory(const char *path)
{
    struct stat s;
#ifdef _WIN32
    return stat(path, &s) == 0 && (s.st_mode & _S_IFDIR) != 0;
#else
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
#endif
}

long tool_process(void)
{
#ifdef _WIN32
    return (long)_getpid();
#else
    return (long)getpid();
#endif
}

int tool_terminal_width(int descriptor)
{
#ifdef _WIN32
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (GetConsoleScreenBufferInfo(GetStdHandle(descriptor == 2 ? STD_ERROR_HANDLE : STD_OUTPUT_HANDLE), &info))
        return info.dwSize.X;
#elif defined(TIOCGWINSZ)
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
#endif
    return 80;
}

int tool_terminal_codes(int descriptor)
{
    if (!tool_is_terminal(descriptor)) return 0;
#ifdef _WIN32
    DWORD mode; /* a console understands them once it is told to */
    HANDLE console = GetStdHandle(descriptor == 2 ? STD_ERROR_HANDLE : STD_OUTPUT_HANDLE);
    return GetConsoleMode(console, &mode) && SetConsoleMode(console, mode | 4);
#else
    const char *term = getenv("TERM");
    return !term || strcmp(term, "dumb") != 0;
#endif
}

/* ---- what comes with the command -------------------------------------------------------------------------------------- */
static const char *tool_called; /* argv[0] */

int tool_real_path(char path[TOOL_PATH], const char *name)
{
#ifdef _WIN32
    char *real = _fullpath(NULL, name, 0);
    for (char *c = real; c && *c; c++)
        if (*c == '\\') *c = '/';
#else
    char *real = realpath(name, NULL);
#endif
    int fits = real && strlen(real) < TOOL_PATH;
    if (fits) strcpy(path, real);
    free(real);
    return fits;
}

static int program_path(char path[TOOL_PATH])
{
    /* where this program's file is; 0: not known. The one place that asks the system for it. */
#ifdef _WIN32
    DWORD length = GetModuleFileNameA(NULL, path, TOOL_PATH);
    for (char *c = path; length > 0 && length < TOOL_PATH && *c; c++)
        if (*c == '\\') *c = '/';
    return length > 0 && length < TOOL_PATH;
#else
    char name[TOOL_PATH];
    #ifdef __APPLE__
    uint32_t room = sizeof name;
    if (_NSGetExecutablePath(name, &room) == 0 && tool_real_path(path, name)) return 1;
    #elif defined(__linux__)
    if (tool_real_path(path, "/proc/self/exe")) return 1;
    #endif
    if (!tool_called) return 0;
    if (strchr(tool_called, '/')) return tool_real_path(path, tool_called);
    for (const char *at = getenv("PATH"); at;) { /* found as the shell did */
        size_t n = strcspn(at, ":");
        snprintf(name, sizeof name, "%.*s/%s", n ? (int)n : 1, n ? at : ".", tool_called);
        if (access(name, X_OK) == 0 && !tool_is_directory(name)) return tool_real_path(path, name);
        at = at[n] ? at + n + 1 : NULL;
    }
    return 0;
#endif
}

int tool_find_model(char path[TOOL_PATH], const char *name)
{
    char dir[TOOL_PATH], looked[800] = "", places[4][TOOL_PATH];
    const char *told = getenv("HRM_MODELS");
    int n = 0;
    if (told && *told) {
        if (tool_join(path, told, name) && tool_exists(path)) return TOOL_OK;
        return tool_error("no %s in %.700s, the folder that HRM_MODELS names: set it to the one that has it, or name a "
                          "checkpoint=FILE", name, told);
    }
    if (program_path(path) && tool_directory(dir, path)) {
        static const char *const there[] = {"models", "share/hrm/models", "models"}; /* of build/hrm, bin/hrm, build/cuda/hrm */
        for (int i = 0; i < 3; i++) {
            if (i != 1 && !(tool_directory(path, dir) && strcpy(dir, path))) break;
            if (tool_join(places[n], dir, there[i])) n++;
        }
    }
#ifdef HRM_MODELS_DIR
    strcpy(places[n++], HRM_MODELS_DIR);
#endif
    for (int i = 0; i < n; i++) {
        size_t at = strlen(looked);
        if (tool_join(path, places[i], name) && tool_exists(path)) return TOOL_OK;
        snprintf(looked + at, sizeof looked - at, "%s%.190s", i == 0 ? "" : i + 1 < n ? ", " : " or ", places[i]);
    }
    return tool_error("no %s in %s: name a checkpoint=FILE, or set HRM_MODELS to the folder that has it", name, looked);
}

/* The lock is on the open file, not its being there: a killed process leaves none. The holder removes the file while it has the
 * lock, so whoever waited for that name looks again which file it is. Where a file system has no locks nobody is kept out: that
 * is said, and whoever takes it must leave alone what may be another's. */
#ifdef _WIN32
int tool_lock_take(tool_lock *lock, const char *path, const char *what)
{
    memset(lock, 0, sizeof *lock);
    HANDLE file =
        CreateFileA(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    if (file == INVALID_HANDLE_VALUE && GetLastError() == ERROR_SHARING_VIOLATION)
        return tool_error("%s: another process is at work on it", what);
    if (file == INVALID_HANDLE_VALUE) return tool_error("%s: cannot be written: error %lu", path, GetLastError());
    lock->held = lock->alone = 1;
    lock->handle = (intptr_t)file;
    return TOOL_OK;
}

void tool_lock_release(tool_lock *lock)
{
    if (lock->held) CloseHandle((HANDLE)lock->handle);
    lock->held = 0;
}
#else
int tool_lock_take(tool_lock *lock, const char *path, const char *what)
{
    char text[300] = "";
    memset(lock, 0, sizeof *lock);
    if (snprintf(lock->path, sizeof lock->path, "%s", path) >= (int)sizeof lock->path)
        return tool_error("%s: the path is too long", path);
    for (;;) {
        struct flock range;
        struct stat ours, there;
        int file = open(path, O_RDWR | O_CREAT, 0666);
        if (file < 0) return tool_error("%s: cannot be written: %s", path, strerror(errno));
        memset(&range, 0, sizeof range);
        range.l_type = F_WRLCK;
        range.l_whence = SEEK_SET;
        int refused = fcntl(file, F_SETLK, &range) != 0 ? errno : 0;
        if (refused == EACCES || refused == EAGAIN) {
            ssize_t n = read(file, text, sizeof text - 1);
            text[n > 0 ? n : 0] = 0;
            close(file);
            return tool_error("%s: %s is at work on it", what, *text ? text : "another process");
        }
        errno = 0;
        if (fstat(file, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
            ssize_t before = pread(file, text, sizeof text - 1, 0);
            text[before > 0 ? before : 0] = 0;
            if (*text && strncmp(text, "process ", 8) != 0) {
                close(file);
                return tool_error("%s is in the way: it is no lock of this command", path);
            }
            char host[200] = "";
            (void)gethostname(host, sizeof host - 1);
            int n = snprintf(text, sizeof text, "process %ld on %s", (long)getpid(), host);
            if (ftruncate(file, 0) != 0 || write(file, text, (size_t)n) != n) text[0] = 0; /* a full disk: then it says less */
            if (refused)
                tool_note("%s: no lock can be had here (%s): another process at work on %s would not be noticed", path,
                          strerror(refused), what);
            lock->handle = file;
            lock->held = 1;
            lock->alone = !refused;
            return TOOL_OK;
        }
        if (errno && errno != ENOENT) {
            tool_say("%s: cannot be looked at: %s", path, strerror(errno));
            close(file);
            return TOOL_ERROR;
        }
        close(file); /* the one before removed it meanwhile */
    }
}

void tool_lock_release(tool_lock *lock)
{
    if (!lock->held) return;
    (void)remove(lock->path);
    close((int)lock->handle);
    lock->held = 0;
}
#endif

int tool_is_terminal(int descriptor)
{
#ifdef _WIN32
    return _isatty(descriptor);
#else
    return isatty(descriptor);
#endif
}

int tool_make_directories(const char *path)
{
    char part[TOOL_PATH];
    size_t n = strlen(path);
    if (n >= sizeof part) return tool_say("%.60s…: the path is too long", path), -1;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
#ifdef _WIN32
        int made = _mkdir(part);
#else
        int made = mkdir(part, 0777);
#endif
        int why = errno; /* before tool_is_directory has another */
        if (made != 0 && !tool_is_directory(part))
            return tool_say("%s: the folder could not be made: %s", part,
                            why == EEXIST ? "a file has that name" : strerror(why)), -1;
    }
    return 0;
}

int64_t tool_step_of(const char *path)
{
    const char *base = tool_basename(path);
    if (strncmp(base, "step_", 5) != 0 || base[5] < '0' || base[5] > '9') return -1;
    return strtoll(base + 5, NULL, 10);
}

double tool_seconds(void)
{
#ifdef _WIN32
    return (double)GetTickCount64() * 1e-3;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
#endif
}

void tool_sleep(double seconds)
{
#ifdef _WIN32
    Sleep((DWORD)(seconds * 1e3));
#else
    struct timespec t;
    t.tv_sec = (time_t)seconds;
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    nanosleep(&t, NULL);
#endif
}

char *tool_read_text(const char *path, size_t *length)
{
    int standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "rb");
    if (!f) return tool_say("%s: %s", path, strerror(errno)), (char *)NULL;
    size_t n = 0, room = 4096;
    char *text = (char *)malloc(room);
    int large = 0;
    errno = 0;
    while (text) {
        n += fread(text + n, 1, room - n - 1, f);
        if (n < room - 1) break;
        large = room >= (size_t)1 << 29; /* logs of long runs have some hundred megabytes */
        char *more = large ? NULL : (char *)realloc(text, room *= 2);
        if (!more) free(text);
        text = more;
    }
    int failed = ferror(f) ? errno ? errno : EIO : 0;
    if (!standard) fclose(f);
    if (!text && large) return tool_say("%s: too large to be read as a text", path), (char *)NULL;
    if (!text) return tool_say("%s: no memory to read it", path), (char *)NULL;
    if (failed) {
        free(text);
        return tool_say("%s: reading failed: %s", path, strerror(failed)), (char *)NULL;
    }
    text[n] = 0;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) memmove(text, text + 3, (n -= 3) + 1); /* a byte order mark */
    *length = n;
    return text;
}

int tool_sync(FILE *file)
{
    if (fflush(file) != 0) return -1;
#ifdef _WIN32
    return _commit(_fileno(file));
#else
    return fsync(fileno(file));
#endif
}

int tool_write_text(const char *path, const char *text, size_t length)
{
    hrm_writer *w;
    if (hrm_writer_open(&w, path, NULL) != HRM_OK) return (void)tool_failed(), -1;
    if (hrm_writer_write(w, text, length) != HRM_OK) {
        (void)tool_failed();
        hrm_writer_abort(w);
        return -1;
    }
    if (hrm_writer_commit(w) != HRM_OK) return (void)tool_failed(), -1;
    return 0;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */
static void tool_tidy(char text[40], double x)
{
    /* 1e+04 -> 10000; 1e-05 -> 1.0e-05 */
    char *e = strchr(text, 'e');
    if (!e) return;
    if (x > -1e15 && x < 1e15 && x == (double)(int64_t)x) {
        snprintf(text, 40, "%.0f", x);
        return;
    }
    if (strchr(text, '.')) return;
    memmove(e + 2, e, strlen(e) + 1);
    memcpy(e, ".0", 2);
}

char *tool_number(char text[40], double x)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, 40, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    tool_tidy(text, x);
    return text;
}

char *tool_number_float(char text[40], float x)
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, 40, "%.*g", digits, (double)x);
        if ((float)strtod(text, NULL) == x) break;
    }
    tool_tidy(text, (double)x);
    return text;
}

/* ---- subcommands ------------------------------------------------------------------------------------------------------ */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"data", command_data, "build a data set: Sudoku, mazes, ARC, or grids of your own"},
    {"train", command_train, "train a model on a data set, or go on with a run"},
    {"eval", command_eval, "measure a checkpoint on a data set's test split"},
    {"solve", command_solve, "solve puzzles: sudoku, maze, arc, or grids of your own"},
    {"adapt", command_adapt, "train the test's puzzle embeddings on its demonstrations"},
    {"analyze", command_analyze, "look inside a model: its states, passes, segments, halts"},
    {"convert", command_convert, "turn a checkpoint into safetensors or a PyTorch file"},
    {"info", command_info, "show a checkpoint's configuration, or what arch=NAME takes"},
    {"plot", command_plot, "draw a run's learning curves, as PNG or SVG"},
    {"render", command_render, "draw puzzles, predictions, answers forming, as PNG or SVG"},
};
enum { COMMANDS = (int)(sizeof commands / sizeof commands[0]) };

static void print_usage(FILE *f)
{
    fprintf(f, "usage: hrm COMMAND [ARGUMENT…]        hrm COMMAND --help tells more\n\n");
    for (int i = 0; i < COMMANDS; i++) fprintf(f, "  %-9s%s\n", commands[i].name, commands[i].help);
    fprintf(f, "\nhrm --version    the version        hrm --help    this text\n");
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return TOOL_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        if (argc < 3) return print_usage(stdout), TOOL_OK;
        static char help[] = "--help"; /* hrm help train: the same as hrm train --help */
        name = argv[1] = argv[2];
        argv[2] = help;
        argc = 3;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 || strcmp(name, "version") == 0) {
        printf("hrm %s\n", HRM_VERSION);
        return TOOL_OK;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    const char *nearest = NULL; /* `near` is a word of Windows' headers */
    for (int i = 0, least = (int)strlen(name) / 2; i < COMMANDS; i++) {
        int d = tool_edit_distance(name, commands[i].name);
        if (d <= least) nearest = commands[i].name, least = d - 1;
    }
    if (nearest) return tool_usage("no command \"%.80s\"; did you mean %s?", name, nearest);
    return tool_usage(
        "no command \"%.80s\"; there are data, train, eval, solve, adapt, analyze, convert, info, plot and render", name);
}

int main(int argc, char **argv)
{
    tool_called = argc > 0 ? argv[0] : NULL;
#ifndef _WIN32
    struct stat stream;
    for (int i = 0; i < 3; i++) /* one that came closed would be the first file opened, and get what is said there */
        if (fstat(i, &stream) != 0 && errno == EBADF) (void)open("/dev/null", O_RDWR);
#endif
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is then a failed write, which is reported */
#endif
    int status = devices_close(run(argc, argv));
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) { /* told with a wrong answer's status, too: the answer is lost */
        int lost = tool_error("standard output: %s", errno ? strerror(errno) : "not all of it could be written");
        if (status == TOOL_OK) status = lost;
    }
    return status;
}
