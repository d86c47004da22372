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

if [ -c /dev/full ]; then
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

if command -v script > /dev/null 2>&1; then
    for columns in 60 80 100; do # a bar that reached the edge would wrap, and could not be drawn over
        script -qec "stty cols $columns; '$hrm' train data_path='$dir/data' checkpoint_path='$dir/run$columns' steps=40 global_batch_size=8 threads=1 \
            arch.hidden_size=16 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 log_interval=1" /dev/null > "$dir/screen" 2>&1 < /dev/null
        tr '\r' '\n' < "$dir/screen" | grep '^train  ' | sed 's/ *$//' > "$dir/log"
        widest=$(awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }' "$dir/log")
        [ "$widest" -gt 20 ] && [ "$widest" -lt "$columns" ]
        check $? "the bar at $columns columns is $widest wide"
    done
else
    echo "skipped: no script(1), bars are not measured"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
