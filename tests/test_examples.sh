#!/usr/bin/env bash
# The examples as a person runs them, with little training: do they build, end well, write what they say, refuse wrong input?
. "$(dirname "$0")/checks.sh"

sudoku=$B/examples/sudoku
small=$([ -n "$HRM_TEST_ALL" ] || echo "--hidden 32")
"$sudoku" --steps 30 --boards 500 --batch 32 $small --save "$dir/s.safetensors" > "$dir/log" 2>&1
check $? "sudoku ends well"
says "step 30/30" "a progress line with the step"
says "exact .* segments .* left" "a progress line with accuracy, segments and time left"
says "Unseen boards: .* of 2000 exact" "2000 unseen boards"
says "The hardest, 4 and 5 givens: " "the hardest boards apart"
[ "$(grep -c '^Board [123]: .* givens, .* segment' "$dir/log")" -eq 3 ]
check $? "three boards"
says "--solve" "how to solve one's own board"
[ -s "$dir/s.safetensors" ]
check $? "a checkpoint"
"$sudoku" --load "$dir/s.safetensors" --solve "1..4..2.3....3.." > "$dir/log" 2>&1
[ $? -le 1 ] # right or wrong after so little training
check $? "--solve ends with 0 or 1"
says "Your board: 5 givens" "the board solved"
"$sudoku" --load "$dir/s.safetensors" --solve "1..4" > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "a board that is too short is a mistake in usage"
says "4 characters, expected 16" "what is wrong with the board"
"$sudoku" --load "$dir/none.safetensors" --solve "1..4..2.3....3.." > "$dir/log" 2>&1
[ $? -eq 1 ]
check $? "a missing checkpoint is a failure"
says "none.safetensors" "which file is missing"
"$sudoku" --nonsense 3 > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "an unknown option is a mistake in usage"

cat > "$dir/train.csv" <<'CSV'
source,question,answer,rating
a,53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79,534678912672195348198342567859761423426853791713924856961537284287419635345286179,0
CSV
printf 'source,q,a,rating\r\nb,53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79,534678912672195348198342567859761423426853791713924856961537284287419635345286179,0\r\n' > "$dir/test.csv"
mkdir "$dir/clean"
(cd "$dir/clean" && "$sudoku" --csv ../train.csv --test ../test.csv --variants 40 --steps 3 --batch 4 --hidden 32 > ../log 2>&1)
check $? "9x9 from CSV, both headers"
[ -z "$(ls "$dir/clean")" ]
check $? "without --save nothing is written"
says "of 1 exact" "the test file's board"
# the same seed gives the same weights, whatever the number of threads
same_weights() # OPTIONS…
{
    "$sudoku" "$@" --threads 1 --save "$dir/a.safetensors" > "$dir/log" 2>&1 &&
        "$sudoku" "$@" --threads 2 --save "$dir/b.safetensors" >> "$dir/log" 2>&1 &&
        cmp "$dir/a.safetensors" "$dir/b.safetensors" >> "$dir/log" 2>&1
    check $? "one and two threads give the same checkpoint"
}
same_weights --csv "$dir/train.csv" --test "$dir/test.csv" --variants 40 --steps 10 --batch 16 --hidden 32
[ -z "$HRM_TEST_ALL" ] || same_weights --steps 10 --boards 300 --batch 16 # of 4x4, with the default's size
sed -i 's/9\.\.5\.\.\.\.8\.\.79,5/9..5....8..79,6/' "$dir/train.csv"
"$sudoku" --csv "$dir/train.csv" --steps 3 > "$dir/log" 2>&1
[ $? -eq 1 ]
check $? "a wrong answer in a CSV is refused"
says "train.csv:2" "file and line of the wrong answer"

if [ -x "$B/hrm" ] && "$B/hrm" data sudoku --generate 80 --size 4 --num-aug 2 --output-dir "$dir/data" > "$dir/log" 2>&1; then
    (cd "$dir" && "$B/examples/minimal" data 20 > log 2>&1)
    check $? "minimal on generated data"
    [ -s "$dir/minimal.safetensors" ]
    check $? "minimal's checkpoint"
else
    echo "skipped: minimal, build/hrm made no data"
fi
"$B/examples/minimal" "$dir/nothing" > "$dir/log" 2>&1
[ $? -eq 1 ]
check $? "minimal without data is a failure"
says "nothing" "which data set is missing"

# the family's: what they print; with time, that it was learned
many=${HRM_TEST_ALL:+100}
(cd "$dir" && "$B/examples/trm" "${many:-50}" > log 2>&1)
check $? "trm ends well"
says "^step *${many:-50}  loss .* gradient [0-9]" "trm's steps with the gradient's norm"
says "^their average: " "trm's average"
[ -s "$dir/trm.safetensors" ]
check $? "trm's checkpoint"
if [ -n "$many" ]; then
    awk '/^their average: / && $3 > 50 { found = 1 } END { exit !found }' "$dir/log"
    check $? "trm's average solves more than half of the unseen boards"
fi
"$B/examples/text" 10 > "$dir/log" 2>&1
check $? "text ends well"
"$B/examples/loop" "${many:-20}" > "$dir/log" 2>&1
check $? "loop ends well"
says "stopping at the same answer twice [0-9]* with [1-4]\.[0-9]* segments" "loop's own halting"
if [ -n "$many" ]; then
    awk '/^batch +50 / { first = $5 } /^batch 100 / { second = $5 } /^of 384: / { mean = $14 + 0 } END { exit !(second < first && mean > 50) }' "$dir/log"
    check $? "loop's focal loss falls, many are sorted"
    "$B/examples/text" > "$dir/log" 2>&1
    check $? "text learns"
    says "^[a-z]*>[a-z]*\. right" "a word backwards"
    awk '/ new words are right/ && $1 > 100 { found = 1 } END { exit !found }' "$dir/log"
    check $? "most of the new words are right"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
