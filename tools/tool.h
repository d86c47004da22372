/* What the parts of the command `hrm` share: its subcommands and the way they report. */
#ifndef HRM_TOOL_H
#define HRM_TOOL_H
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include "hrm.h"

/* Each is called as main would be, its own name in argv[0], and returns the exit status: 0, 1 for data or a run, 2 for
 * usage. */
int command_data(int argc, char **argv);
int command_train(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_solve(int argc, char **argv);
int command_convert(int argc, char **argv);
int command_info(int argc, char **argv);
int command_plot(int argc, char **argv);
int command_render(int argc, char **argv);
int command_adapt(int argc, char **argv);
int command_analyze(int argc, char **argv);

enum { TOOL_OK = 0, TOOL_ERROR = 1, TOOL_USAGE = 2 };
enum { TOOL_PATH = 1024 }; /* room for a path or another text */

/* One line on stderr, "hrm: …"; the exit status that fits, which the compiler sees not to be TOOL_OK. */
void tool_say(const char *format, ...) HRM__PRINTF(1, 2);
#define tool_usage(...) (tool_say(__VA_ARGS__), TOOL_USAGE)
#define tool_error(...) (tool_say(__VA_ARGS__), TOOL_ERROR)
#define tool_failed()   tool_error("%s", hrm_error_message()) /* with the library's message */
void tool_note(const char *format, ...) HRM__PRINTF(1, 2);    /* of a run that goes on */
#define TOOL_S(count) ((count) == 1 ? "" : "s") /* "1 step", "2 steps" */
int tool_edit_distance(const char *a, const char *b); /* for "did you mean" */
/* Of several processes rank 0 alone speaks; of the others what went wrong is kept here, for devices.h. */
extern int  tool_rank;
extern char tool_said[1024];

/* The signal that asked the program to end, 0 before. The first lets the command finish what it does and save; a second of
 * them ends it at once. */
extern volatile sig_atomic_t tool_signal;
void tool_catch_signals(const char *note /* what the first says at once, a whole line; NULL: nothing */);

/* Paths. Each returns `path`, which has room for TOOL_PATH bytes, or NULL when the result is too long. */
char *tool_join(char *path, const char *dir, const char *name);
char *tool_directory(char *path, const char *file); /* of a file: "." when it names none */
const char *tool_basename(const char *path);
int         tool_real_path(char path[TOOL_PATH], const char *name); /* without links, "." and ".."; 0: there is no such file */
int         tool_exists(const char *path);
int         tool_is_directory(const char *path);
int         tool_is_terminal(int descriptor);
int         tool_terminal_width(int descriptor); /* columns; 80 where that is not known */
int         tool_terminal_codes(int descriptor); /* a terminal that understands its codes for colours and the cursor */
int         tool_make_directories(const char *path); /* 0, or -1 after it has said why not */
long        tool_process(void);                      /* its number */
int64_t     tool_step_of(const char *path);          /* 12 of "…/step_12" and "step_12.safetensors", else -1 */

/* A model that comes with the command, "sudoku.safetensors": in the folder that HRM_MODELS names; unless it names one, where
 * the program's file is: beside the source tree's build folder, in the prefix it was installed in (which may have been moved),
 * and then the prefix it was built for. 0, or 1 after it has said where it looked. */
int tool_find_model(char path[TOOL_PATH], const char *name);

/* A file beside what one process at a time may work on; it says who does, and goes with its process, however that ends. */
typedef struct tool_lock {
    char     path[TOOL_PATH];
    intptr_t handle;
    int      held;
    int      alone; /* 0 when held: there are no locks here, which was said; another process may be at work on the same */
} tool_lock;
/* 0, or an exit status after it has said who has `what`. */
int  tool_lock_take(tool_lock *lock, const char *path, const char *what);
void tool_lock_release(tool_lock *lock); /* one that was never taken is fine */

double tool_seconds(void); /* of a clock that never goes back */
void   tool_sleep(double seconds);

/* A whole file, or standard input for "-"; zero-terminated, freed by the caller with free(). NULL: said why. */
char *tool_read_text(const char *path, size_t *length);
int   tool_sync(FILE *file); /* what was written reaches the disk; 0, or -1 with errno */
/* Written aside and renamed. 0, or -1 after it has said why not. */
int tool_write_text(const char *path, const char *text, size_t length);

/* The shortest decimal that reads back as the same number; "1.0e-05" rather than "1e-05", which YAML takes for a text. */
char *tool_number(char text[40], double x);
char *tool_number_float(char text[40], float x);

#endif
