#!/usr/bin/env bash
# The examples maze and arc, and the pictures of the command, as a person makes them, with next to no training.
. "$(dirname "$0")/checks.sh"
is_png() { [ "$(head -c 8 "$1" 2> /dev/null | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] && [ "$(tail -c 8 "$1" | head -c 4)" = IEND ]; }
picture() # FILE: is there, or the program says how to get the means to write it
{
    if [ -n "$have_png" ]; then
        is_png "$1"
        check $? "a picture $(basename "$1")"
    else
        says "libstb-dev" "how to get pictures"
        [ ! -e "$1" ]
        check $? "no $(basename "$1")"
    fi
}

is_svg() { [ "$(head -c 4 "$1" 2> /dev/null)" = "<svg" ] && [ "$(tail -c 7 "$1" | tr -d '\n')" = "</svg>" ]; }
shapes() { is_svg "$1"; check $? "a picture $(basename "$1")"; } # FILE, of the examples

"$B/examples/maze" --size 5 --train 20 --test 2 --steps 1 --batch 2 --hidden 8 --heads 2 --layers 1 --segments 2 --out "$dir/m" > "$dir/log" 2>&1
check $? "maze ends well"
says "2 new mazes: exact .* %, valid .* %, optimal .* %, .* segments" "what came of it"
shapes "$dir/m.svg"
shapes "$dir/m_steps.svg"
"$B/examples/maze" --size 2 > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "a size out of range is a mistake in usage"
says "\"2\", expected 3 to 128" "the range"
"$B/examples/maze" --sise 8 > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "an unknown option is a mistake in usage"
"$B/examples/maze" --steps > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "an option without its value is a mistake in usage"
"$B/examples/maze" --size 5 --train 4 --test 1 --hidden 8 --heads 2 --layers 1 --segments 2 --load "$dir/none.safetensors" > "$dir/log" 2>&1
[ $? -eq 1 ]
check $? "missing weights are a failure"
says "none.safetensors" "which file is missing"

"$B/examples/arc" --steps 1 --pairs 20 --out "$dir/own" > "$dir/log" 2>&1
check $? "arc without a checkpoint ends well"
for task in mirror gravity fill unfold; do
    says "^$task: Prediction: " "what came of $task"
    shapes "$dir/own_$task.svg"
done
"$B/examples/arc" --task "$dir/x.json" > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "a task from a file needs a model"
says "needs --checkpoint" "that it does"

# a task of ARC's kind from its file, and from a data set, with a model that has hardly learnt anything
mkdir -p "$dir/src/training" "$dir/src/evaluation"
for folder in training/aaaa0001 evaluation/bbbb0002; do
    cat > "$dir/src/$folder.json" <<'JSON'
{"train": [{"input": [[1, 0, 2], [3, 0, 0]], "output": [[2, 0, 1], [0, 0, 3]]}, {"input": [[0, 5], [7, 7], [0, 1]], "output": [[5, 0], [7, 7], [1, 0]]}],
 "test": [{"input": [[4, 4, 0], [0, 6, 8]], "output": [[0, 4, 4], [8, 6, 0]]}]}
JSON
done
"$B/hrm" data arc --dataset-dirs "$dir/src" --output-dir "$dir/data" --num-aug 2 > "$dir/log" 2>&1
check $? "a small ARC data set"
"$B/hrm" train "data_path=$dir/data" "checkpoint_path=$dir/run" global_batch_size=2 epochs=1 eval_interval=1 log_interval=1 arch.hidden_size=16 arch.puzzle_emb_ndim=16 \
    arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 arch.expansion=1 > "$dir/log" 2>&1
check $? "a run on it"
model=$(ls "$dir"/run/step_* 2> /dev/null | head -n 1)
"$B/examples/arc" --checkpoint "$model" --data "$dir/data" --out "$dir/a" > "$dir/log" 2>&1
check $? "an example of the data set"
says "Prediction: .* segments" "what the model made of it"
shapes "$dir/a.svg"
"$B/examples/arc" --checkpoint "$model" --data "$dir/data" --task "$dir/src/evaluation/bbbb0002.json" --out "$dir/b" > "$dir/log" 2>&1
check $? "a task file"
shapes "$dir/b.svg"
"$B/examples/arc" --checkpoint "$model" --task "$dir/src/evaluation/bbbb0002.json" > "$dir/log" 2>&1
[ $? -eq 1 ]
check $? "a task without its number is a failure"
says "give --id" "what to do"
echo '{"train": [{"input": [[1, 2], [3]], "output": [[1]]}], "test": [{"input": [[1]]}]}' > "$dir/bad.json"
"$B/examples/arc" --checkpoint "$model" --task "$dir/bad.json" --id 1 > "$dir/log" 2>&1
[ $? -eq 1 ]
check $? "a ragged grid is a failure"
says "bad.json" "which file is no task"

# does this build write PNG?
have_png=yes expected=0 # of a command that writes one
"$B/hrm" plot "$dir/run" > "$dir/log" 2>&1
status=$?
grep -q "built without PNG" "$dir/log" && have_png= expected=1
[ -n "$have_png" ] || echo "skipped: the PNG pictures, this build has no stb_image_write"
[ $status -eq $expected ]
check $? "the curves of the run"
picture "$dir/run/curves.png"
"$B/hrm" render "$dir/data" -o "$dir/r.png" > "$dir/log" 2>&1
[ $? -eq $expected ]
check $? "an example of the data set drawn"
picture "$dir/r.png"
"$B/hrm" render "$dir/data" --index 99 -o "$dir/none.png" > "$dir/log" 2>&1
[ $? -eq 1 ] && [ ! -e "$dir/none.png" ]
check $? "an example that is not there is a failure, and leaves no file"
"$B/hrm" render > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "no data set is a mistake in usage"

# shapes, which need no stb; and an answer forming
"$B/hrm" plot "$dir/run" -o "$dir/c.svg" > "$dir/log" 2>&1 && "$B/hrm" render "$dir/data" -o "$dir/r.svg" > "$dir/log" 2>&1
check $? "curves and boards as SVG"
for values in '-1e308 1e307 1' '0 5e-324 1' '1e-310 1e-310 1e-310' '-1e299 1e299 0' '1e18 1000000000000000128 1e18'; do
    echo $values | tr ' ' '\n' | awk '{ printf "{\"step\": %d, \"a\": %s, \"b\": 1}\n", NR, $1 }' > "$dir/extreme.jsonl"
    timeout 60 "$B/hrm" plot "$dir/extreme.jsonl" -o "$dir/x.svg" > "$dir/log" 2>&1 && ! grep -qiE '[ "](-?nan|-?inf)' "$dir/x.svg"
    check $? "a curve of $values"
done
"$B/hrm" render --steps "$dir/data" checkpoint="$model" threads=1 -o "$dir/s.svg" > "$dir/log" 2>&1
check $? "an answer forming, as SVG"
says "s.svg: 3 frames, 2 segments" "its frames"
grep -q "@keyframes" "$dir/s.svg"
check $? "it moves"
"$B/hrm" render --steps "$dir/data" checkpoint="$model" threads=1 -o "$dir/s.png" > "$dir/log" 2>&1
[ $? -eq $expected ]
check $? "an answer forming, as PNG"
picture "$dir/s.png"
if command -v xmllint > /dev/null; then
    for f in c r s; do
        xmllint --noout "$dir/$f.svg" > "$dir/log" 2>&1
        check $? "$f.svg is XML"
    done
else
    echo "skipped: no xmllint, SVG is checked by test_pictures alone"
fi
"$B/hrm" render --steps 11..2.4..23...24 checkpoint="$model" -o "$dir/none.svg" > "$dir/log" 2>&1
[ $? -eq 1 ] && [ ! -e "$dir/none.svg" ] && grep -q 'the givens contradict each other: 1 stands twice in a row' "$dir/log"
check $? "givens that contradict each other are refused, as by hrm solve"
"$B/hrm" render --steps ....1.4.2...3... -o "$dir/none.svg" > "$dir/log" 2>&1
[ $? -eq 2 ] && [ ! -e "$dir/none.svg" ]
check $? "a board of 4 x 4 without a model is a mistake in usage"
says "checkpoint=FILE is missing" "what is missing"
if [ -e models/sudoku.safetensors ]; then
    HRM_MODELS=models "$B/hrm" render --steps examples/extreme.txt threads=1 -o "$dir/e.svg" > "$dir/log" 2>&1
    check $? "the board of the first minute, by the model that comes with hrm"
fi
"$B/hrm" render --steps "$dir/data" checkpoint="$model" votes=8 -o "$dir/none.svg" > "$dir/log" 2>&1
[ $? -eq 2 ]
check $? "votes are not shown"
"$B/hrm" render --steps "$dir/data" checkpoint="$model" -o "$dir/none.gif" > "$dir/log" 2>&1
[ $? -eq 2 ] && [ ! -e "$dir/none.gif" ] && [ "$(wc -l < "$dir/log")" -eq 1 ]
check $? "a name that ends otherwise is a mistake in usage"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
