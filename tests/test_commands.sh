#!/usr/bin/env bash
# The command where people meet it by hand: solving several boards, what is no puzzle, a full device, a narrow terminal.
. "$(dirname "$0")/checks.sh"
hrm=$B/hrm
says_once() # STATUS TEXT ARGUMENTS…: one line on stderr that holds the text, and that status
{
    local status=$1 text=$2
    shift 2
    "$hrm" "$@" > "$dir/out" 2> "$dir/log"
    [ $? -eq "$status" ] && grep -q -- "$text" "$dir/log" && [ "$(wc -l < "$dir/log")" -eq 1 ]
    check $? "hrm $*: expected status $status and \"$text\""
}

"$hrm" data sudoku --generate 40 --size 4 --givens 6 --output-dir "$dir/data" > "$dir/log" 2>&1 &&
    "$hrm" train data_path="$dir/data" checkpoint_path="$dir/run" steps=2 global_batch_size=8 threads=1 arch.hidden_size=16 arch.num_heads=2 \
        arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 > "$dir/log" 2>&1
check $? "a small model"
model=$dir/run/step_2.safetensors
good=341.2.4..23...24

printf '%s\n%s\n\n3 4|1 .\n2 .|4 .\n---+---\n. 2|3 .\n. .|2 4\n' $good $good > "$dir/three.txt"
"$hrm" solve sudoku checkpoint="$model" "$dir/three.txt" > "$dir/log" 2>&1
[ "$(grep -c '^board [123]$' "$dir/log")" -eq 3 ] && [ "$(grep -c 'q_halt' "$dir/log")" -eq 3 ]
check $? "three boards in a file"
"$hrm" solve sudoku checkpoint="$model" $good $good > "$dir/log" 2>&1
[ "$(grep -c '^board [12]$' "$dir/log")" -eq 2 ]
check $? "two boards as arguments"
"$hrm" solve sudoku checkpoint="$model" "$dir/three.txt" 2>&1 | grep -E '^[0-9.] [0-9.] \| [0-9.] [0-9.]$' | tr -d ' |\n' | fold -w 16 > "$dir/drawn"
"$hrm" solve sudoku checkpoint="$model" --lines "$dir/three.txt" > "$dir/lines" 2> "$dir/log"
[ $? -le 1 ] && [ "$(wc -l < "$dir/lines")" -eq 3 ] && [ "$(cat "$dir/drawn")" = "$(cat "$dir/lines")" ]
check $? "one answer a line, as they are drawn"
"$hrm" solve sudoku checkpoint="$model" votes=3 --json < "$dir/three.txt" > "$dir/log" 2> "$dir/err"
[ "$(grep -cE '^\{"puzzle": [123], "answer": "[1-4.]{16}", "valid": (true|false), "verdict": "[^"]*", "segments": [12], "halted": (true|false), "q_halt": -?[0-9.e+-]+, "q_continue": -?[0-9.e+-]+, "votes": 3, "agree": [123]\}$' "$dir/log")" -eq 3 ]
check $? "one object a line"
for i in 1 2 3 4 5 6 7 8 9; do for k in 1 2 3 4 5 6 7 8; do echo $good; done; done > "$dir/many.txt"
"$hrm" solve sudoku checkpoint="$model" --lines "$dir/many.txt" > "$dir/log" 2> "$dir/err"
[ "$(wc -l < "$dir/log")" -eq 72 ] && [ "$(sort -u "$dir/log")" = "$(head -n 1 "$dir/lines")" ]
check $? "72 boards, more than are solved at once, one answer each"
printf '\357\273\277%s\n' $good > "$dir/bom.txt"
"$hrm" solve sudoku checkpoint="$model" --lines "$dir/bom.txt" 2> "$dir/log" | cmp -s - <(head -n 1 "$dir/lines")
check $? "a byte order mark is none of the board"
printf '%s\n12\n' $good > "$dir/broken.txt"
"$hrm" solve sudoku checkpoint="$model" --lines "$dir/broken.txt" > "$dir/lines" 2> "$dir/log"
[ $? -eq 1 ] && [ "$(wc -l < "$dir/lines")" -eq 1 ] && grep -q 'broken.txt: board 2: the puzzle has 2 cells' "$dir/log"
check $? "answers of the boards before a broken one"
printf '3 4|1 .\n2 .|4 .\n---+---\n. 2|3 .\n. .|2 4\n' | "$hrm" solve sudoku checkpoint="$model" > "$dir/log" 2>&1
! grep -q '^board' "$dir/log" && grep -q q_halt "$dir/log"
check $? "one drawn board is one board"
says_once 1 'the givens contradict each other: 1 stands twice in a row, at row 1, column 1 and at row 1, column 2' solve sudoku checkpoint="$model" 11..2.4..23...24
says_once 1 'twice in a column, at row 1, column 1 and at row 4, column 1' solve sudoku checkpoint=/nowhere 1...........1...
says_once 1 'twice in a box' solve sudoku checkpoint=/nowhere 1....1..........
says_once 1 'boards.txt: no such file' solve sudoku checkpoint="$model" boards.txt
says_once 1 'dir/board: no such file' solve maze checkpoint="$model" dir/board
says_once 1 'task.json: no such file' solve arc checkpoint="$model" task.json
says_once 2 'one file at a time' solve sudoku checkpoint="$model" "$dir/three.txt" $good
says_once 1 'has 15 cells' solve sudoku checkpoint="$model" 41.2.4..23...24
says_once 1 'hrm: line 1 of the puzzle: "x" is no digit' solve sudoku checkpoint="$model" 341.2.4..23...2x
says_once 1 'hrm: row 4, column 4: "x", expected # S G or a space' solve maze checkpoint="$model" 'S  #        G  x'
: > "$dir/empty.txt"
says_once 1 "hrm: $dir/empty.txt: the puzzle has 0 cells" solve sudoku checkpoint="$model" "$dir/empty.txt"
says_once 1 "hrm: $dir/empty.txt: the puzzle has 0 cells" render --steps "$dir/empty.txt" checkpoint="$model" -o "$dir/none.svg"
says_once 1 'hrm: standard input: the puzzle has 0 cells' solve sudoku checkpoint="$model" -
says_once 1 "hrm: $dir/empty.txt: the folder could not be made: a file has that name" data sudoku --generate 1 --size 4 --output-dir "$dir/empty.txt/x"
says_once 1 "hrm: $dir/empty.txt: a file, expected the folder" data grid --source-dir "$dir/empty.txt" --output-dir "$dir/no"
"$hrm" solve --help > "$dir/log"
! grep -q '\[full\]' "$dir/log" && grep -q '\[adaptive\]' "$dir/log"
check $? "solve --help tells solve's halt"

if [ -c /dev/full ]; then
    "$hrm" solve sudoku checkpoint="$model" $good > /dev/full 2> "$dir/log" # of a model that has learned nothing: not valid
    [ $? -eq 1 ] && grep -q '^hrm: standard output: ' "$dir/log"
    check $? "a wrong answer to a full device"
    for words in --help --version help "train --help" "eval --help" "solve --help" "data --help" "info --help" "convert --help" "plot --help" "render --help" "info $model"; do
        "$hrm" $words > /dev/full 2> "$dir/log"
        [ $? -eq 1 ] && grep -q '^hrm: standard output: ' "$dir/log"
        check $? "hrm $words to a full device"
    done
else
    echo "skipped: no /dev/full"
fi
worst=0 failures=0
for kilobytes in 8000 9000 10000 11000 12000 13000 14000 16000 18000 20000 24000 28000 32000; do # memory runs out at one place or another
    (ulimit -v $kilobytes && exec "$hrm" plot "$dir/run" -o "$dir/curves.png") > "$dir/out" 2> "$dir/log"
    status=$?
    [ $status -eq 127 ] && continue # not even the libraries could be loaded
    [ $status -eq 0 ] || failures=$((failures + 1))
    [ $status -le 1 ] && { [ $status -eq 0 ] || grep -q '^hrm: ' "$dir/log"; } || worst=$status
done
[ $worst -eq 0 ] && [ $failures -gt 0 ]
check $? "hrm plot with too little memory ends with status $worst; $failures of 13 failed"

# ---- the first, the second, … allocation or call of the system fails -----------------------------------------------------
cat > "$dir/fail.c" <<'C'
/* Preloaded: call number N of one kind fails, FAIL=memory:N or the like; that it came to it is told by the file FAILED. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static int fails(const char *kind, int error)
{
    static int left = -1;
    const char *said = getenv("FAIL");
    size_t n = strlen(kind);
    if (!said || strncmp(said, kind, n) != 0 || said[n] != ':') return 0;
    if (left < 0) left = atoi(said + n + 1);
    if (left == 0 || --left > 0) return 0;
    close(open(getenv("FAILED"), O_WRONLY | O_CREAT, 0666));
    errno = error;
    return 1;
}
#define NEXT(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))
void *malloc(size_t n) { return fails("memory", ENOMEM) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails("memory", ENOMEM) ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails("memory", ENOMEM) ? NULL : __libc_realloc(p, n); }
int rename(const char *a, const char *b) { return fails("rename", EIO) ? -1 : NEXT(int, rename, const char *, const char *)(a, b); }
int fsync(int file) { return fails("fsync", EIO) ? -1 : NEXT(int, fsync, int)(file); }
ssize_t write(int file, const void *p, size_t n)
{
    return fails("write", ENOSPC) ? -1 : NEXT(ssize_t, write, int, const void *, size_t)(file, p, n);
}
C
fail() # KIND:N ARGUMENTS…: hrm with that call failing; not 0 when it did not come to it
{
    local what=$1
    shift
    rm -f "$dir/failed"
    FAIL=$what FAILED=$dir/failed LD_PRELOAD=$dir/fail.so "$hrm" "$@" > "$dir/out" 2> "$dir/log"
    status=$?
    [ -e "$dir/failed" ]
}
state() # of $dir/at; a picture's two ends, as without memory for a palette it is another one
{
    (cd "$dir/at" && for f in *; do
        echo "$f"
        case $f in *.png) head -c 8 "$f"; tail -c 8 "$f" ;; *) cat "$f" ;; esac
    done) | cksum
}
again() { rm -rf "$dir/at" && cp -r "$dir/before" "$dir/at"; }
every() # KIND TEXT ARGUMENTS…: one line with the text, status 1 and $dir/at as before, whichever of these calls fails; or all as ever
{
    local kind=$1 text=$2 n=1 before wrong= usual want want_state
    shift 2
    again && before=$(state)
    "$hrm" "$@" > "$dir/want" 2> "$dir/usual"
    usual=$? want_state=$(state)
    while again && fail "$kind:$n" "$@"; do
        if [ $status -eq $usual ] && cmp -s "$dir/out" "$dir/want" && [ "$(state)" = "$want_state" ]; then :; # it does without
        elif [ $status -eq 1 ] && [ "$(grep -vxFf "$dir/usual" "$dir/log" | grep -c "^hrm: .*$text")" -eq 1 ] &&
            [ "$(grep -cvxFf "$dir/usual" "$dir/log")" -eq 1 ] && [ "$(state)" = "$before" ]; then :;
        else wrong="$wrong $n"; cp "$dir/log" "$dir/wrong"; fi
        n=$((n < 60 ? n + 1 : n + 89)) # an encoder's are many and alike
    done
    [ -z "$wrong" ] && [ $n -gt 1 ] || cp "$dir/wrong" "$dir/log" 2> /dev/null
    [ -z "$wrong" ] && [ $n -gt 1 ]
    check $? "hrm $*: of the failures of $kind, up to $n, these went wrong:$wrong"
}
mkdir "$dir/before"
"$hrm" convert "$model" "$dir/before/old.pt" > "$dir/log" 2>&1 && sed -i 's/^epochs: .*/epochs: 77/' "$dir/before/old.yaml" && echo old > "$dir/before/old.png"
check $? "what stands there before"
if ${CC:-cc} -shared -fPIC "$dir/fail.c" -o "$dir/fail.so" -ldl > "$dir/log" 2>&1 && fail memory:1 info "$model"; then
    echo $good > "$dir/board.txt"
    every memory '\(memory\|allocate\)' solve sudoku threads=1 checkpoint="$model" "$dir/board.txt"
    every memory '\(memory\|allocate\)' solve sudoku --json threads=1 checkpoint="$model" "$dir/board.txt"
    every memory '\(memory\|allocate\)' render "$dir/data" -o "$dir/at/old.png"
    for kind in memory rename fsync write; do
        case $kind in memory) text='\(memory\|allocate\)' ;; write) text='[Nn]o space' ;; *) text='[Ii]nput/output error' ;; esac
        every $kind "$text" convert "$model" "$dir/at/old.pt"
        every $kind "$text" convert "$model" "$dir/at/new.pt"
        [ $kind = memory ] || every $kind "$text" render "$dir/data" -o "$dir/at/old.png"
        [ $kind = memory ] || every $kind "$text" render "$dir/data" -o "$dir/at/new.svg"
    done
else
    echo "skipped: nothing can be preloaded here, calls that fail are not tried"
fi

if script -qec "stty cols 60" /dev/null > /dev/null 2>&1 < /dev/null; then
    for columns in 60 80 100; do # a bar that reached the edge would wrap, and could not be drawn over
        script -qec "stty cols $columns; '$hrm' train data_path='$dir/data' checkpoint_path='$dir/run$columns' steps=40 global_batch_size=8 threads=1 \
            arch.hidden_size=16 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 log_interval=1" /dev/null > "$dir/screen" 2>&1 < /dev/null
        tr '\r' '\n' < "$dir/screen" | grep '^train  ' | sed 's/ *$//' > "$dir/log"
        widest=$(awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }' "$dir/log")
        [ "$widest" -gt 20 ] && [ "$widest" -lt "$columns" ]
        check $? "the bar at $columns columns is $widest wide"
    done
else
    echo "skipped: no terminal by script(1), bars are not measured"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
