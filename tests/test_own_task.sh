#!/bin/bash
# A task of one's own: the commands of examples/own_task/README.md with next to no training, then what hrm solve grid takes and
# tells, of grids of several sizes and of sequences.
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
mkdir build
ln -s "$root/examples" examples
ln -s "$hrm" build/hrm
readme=$root/examples/own_task/README.md
steps=$(sed -n 's/.* steps=\([0-9]*\).*/\1/p' "$readme")
awk '/^```/ { inside = !inside; on = inside && $0 == "```"; next } on' "$readme" | sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' \
    -e "s/steps=$steps/steps=3 threads=1/; s/step_$steps/step_3/; s/n=10000/n=40/; s/n=500/n=8/" > commands
check "thirteen commands" test "$(wc -l < commands)" -eq 13
while read -r command; do
    sh -c "$command" > out 2> err < /dev/null
    status=$?
    case $command in
    *' solve '*) check "$command: status $status" test $status -le 1 -a -s out ;;
    *' render '*)
        if grep -q 'libstb-dev' err; then echo "skipped: the picture, this build has no stb_image_write"
        else check "$command" test $status -eq 0 -a -s build/paint/paint.png; fi ;;
    *' info '*) check "$command" grep -q '^  grids  *3 x 3 to 5 x 5 of # \. o$' out ;;
    *) check "$command: status $status" test $status -eq 0 ;;
    esac
    case $command in
    *--lines*) cp out lines; check "three answers, a line each" test "$(grep -cxE '([#.o?]+/)+[#.o?]+' out)" -eq 3 -a "$(wc -l < out)" -eq 3 ;;
    *--json*) cp out json; check "three objects" test "$(grep -c '^{"puzzle": [123], "answer": "[#.o?\\n]*", "valid": .*"segments": [0-9]*, .*}$' out)" -eq 3 ;;
    *run\ build/paint/new.txt) check "three drawn" test "$(grep -c '^puzzle [123]$' out)" -eq 3
        cp out drawn ;;
    esac
done < commands
shapes() { tr -c '/\n' x; }
check "answers have the size of their puzzles" test "$(shapes < lines)" = "$(awk 'BEGIN { RS = ""; FS = "\n" } { l = $1; for (i = 2; i <= NF; i++) l = l "/" $i; print l }' build/paint/new.txt | shapes)"
check "drawn, as lines and as JSON they are the same" test "$(tr '/' '\n' < lines)" = "$(grep -E '^[#.o?]+$' drawn)" -a "$(sed 's/.*"answer": "\([^"]*\)".*/\1/; s/\\n/\//g' json)" = "$(cat lines)"
if command -v python3 > /dev/null; then check "JSON for others too" python3 -c 'import json, sys; [json.loads(l) for l in open("json")]'; fi

# the file alone, away from its run and data; converted
mkdir alone
cp build/paint/run/step_3.safetensors alone/model.safetensors
good "a checkpoint by itself" convert alone/model.safetensors alone/half.safetensors --dtype f16
for m in model half; do run solve grid checkpoint=alone/$m.safetensors threads=1 --lines build/paint/new.txt; check "$m answers" test "$(wc -l < out)" -eq 3 -a "$(shapes < out)" = "$(shapes < lines)"; done
good "to PyTorch, which has no place for it" convert alone/model.safetensors alone/model.pt
check "which is said" grep -q "alone/model.pt: PyTorch's files have no place for the vocabulary" err
refuse 1 'carries no vocabulary' solve grid checkpoint=alone/model.pt '.o..'
run solve grid checkpoint=alone/model.pt data_path=build/paint/data threads=1 --lines build/paint/new.txt
check "with the data set's" test "$(cat out)" = "$(cat lines)"
m=checkpoint=alone/model.safetensors
printf '....\n.x..\n....\n....\n' > wrong.txt
refuse 1 'wrong.txt:2: "x" is no token of alone/model.safetensors' solve grid $m wrong.txt
printf '.......\n' > wrong.txt
refuse 1 'wrong.txt:1: the grid is 1 x 7, expected at most 5 x 5' solve grid $m wrong.txt
printf '\n\n' > wrong.txt
refuse 1 'wrong.txt: no grids' solve grid $m wrong.txt
printf '....\n...\n' > wrong.txt
refuse 1 'wrong.txt:2: a row of 3 tokens, expected 4' solve grid $m wrong.txt
refuse 1 'nothing.txt: no such file' solve grid $m nothing.txt
refuse 2 '--lines and --json exclude each other' solve grid $m --lines --json '....'
refuse 2 '--show-steps and --json exclude each other' solve grid $m --json --show-steps '....'
refuse 1 'votes is 2' solve grid $m votes=2 '....' '.o..' '....' '....'
run solve grid $m threads=1 '..' 'o.'
check "a smaller grid is told" grep -q 'the grid is 2 x 2, smaller than the 3 x 3 of training' err
run solve grid $m threads=1 --show-steps '....' '.o..' '....' '....'
check "segments are shown" test "$(grep -c '^segment [0-9]' out)" -ge 1
awk 'BEGIN { RS = ""; ORS = "\n\n" } NR <= 3' build/paint/test.txt > known.txt # with outputs: judged
run solve grid $m threads=1 --json known.txt
check "known outputs" test "$(grep -cE '"valid": (true|false), "verdict": "(valid: equal to the known output|not valid: [0-9]+ of [0-9]+ cells differ)' out)" -eq 3
run solve grid $m threads=1 --json '[{"input": [["#", ".", ".", "o"], [".", ".", ".", "."], [".", ".", ".", "."], [".", ".", ".", "."]], "puzzle": "p"}]'
check "JSON in, JSON out" grep -qE '"answer": \[\[(("[#.o]"|null)(, )?){4}\], \[' out
check "a name that is not known is told" grep -q '1 of 1 puzzle names are not in' err

# sequences of several lengths, words, named puzzles
mkdir mine
printf '[{"input": [10, 2], "output": [2, 10], "puzzle": "sort"}, {"input": [7, 2, 10], "output": [2, 7, 10], "puzzle": "sort"},\n {"input": [7, 7], "output": [7, null]}]' > mine/train.json
good "sequences" data grid --source-dir mine --output-dir sequences
good "trained" train data_path=sequences checkpoint_path=run steps=2 global_batch_size=2 arch.hidden_size=16 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 threads=1 tensorboard=false
printf '10 2\n7 2 10\n\n2 7 -> 2 7\n' > in.txt
run solve grid checkpoint=run threads=1 --lines in.txt
check "a line each" test "$(awk '{ print NF }' out | tr '\n' ' ')" = "2 3 2 " -a "$(grep -cE '^((2|7|10|\?) ?)+$' out)" -eq 3
"$hrm" solve grid checkpoint=run threads=1 --json < in.txt > out 2> err
check "a list each" test "$(grep -cE '"answer": \[((2|7|10|null)(, )?)+\], "valid": ' out)" -eq 3
run solve grid checkpoint=run threads=1 --json '{"input": [7, 10], "puzzle": "sort"}'
check "one example, its name known" test "$(grep -c '' out)" -eq 1 -a -z "$(grep 'puzzle names' err)"
run solve grid checkpoint=run threads=1 --json '{"input": [7, 10], "output": [null, null], "puzzle": "sort"}'
check "an output that tells nothing judges nothing" grep -q '"valid": null' out
printf '[{"input": [10, 2], "output": [2, 10], "puzzle": "sort"}, {"input": [2, 7], "output": [null, null], "puzzle": "sort"}]' > mine/test.json
good "a test of which half is known" data grid --source-dir mine --output-dir half
rm mine/test.json
good "learned by heart" train data_path=half checkpoint_path=run_half steps=60 global_batch_size=1 lr=1e-2 lr_warmup_steps=0 arch.hidden_size=16 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 threads=1 tensorboard=false
good "what is known is right" eval checkpoint=run_half data_path=half threads=1
check "all of it" grep -q '"accuracy": 1, "exact_accuracy": 1,' out
good "and by votes" eval checkpoint=run_half data_path=half threads=1 votes=2 start_noise=1e-9
check "all of it, too" grep -q '"accuracy": 1, "exact_accuracy": 1,.*"one_copy_exact_accuracy": 1, "any_copy_exact_accuracy": 1' out
# 2 x 2 grids of five tokens look like mazes, which they are not
rm mine/train.json
printf '12\n34\n->\n12\n35\n' | tee mine/train.txt > mine/test.txt
good "grids like mazes" data grid --source-dir mine --output-dir like
good "trained" train data_path=like checkpoint_path=run_like steps=1 global_batch_size=2 arch.hidden_size=16 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 threads=1 tensorboard=false
good "measured" eval checkpoint=run_like threads=1
check "by no rules" sh -c '! grep -q rules out'
good "with what they were trained on" train data_path=like load_checkpoint=run_like checkpoint_path=run_more steps=1 global_batch_size=2 threads=1 tensorboard=false
check "nothing is said" sh -c '! grep -q "means something else" err'
sed -i 's/5/6/' mine/train.txt mine/test.txt
good "another vocabulary of that size" data grid --source-dir mine --output-dir other
good "trained on" train data_path=other load_checkpoint=run_like checkpoint_path=run_other steps=1 global_batch_size=2 threads=1 tensorboard=false
check "that is told" grep -q 'other: token 5 is 6, but 5 in run_like/step_1.safetensors: what it learned means something else' err
refuse 1 'other: token 5 is 6, but 5 in run_like/step_1.safetensors' eval checkpoint=run_like data_path=other
# its tokens told beforehand: in the order of a file, and in the order and size of another set
printf '#\n9\n.\n' > tokens
mkdir few && printf '.#\n->\n#.\n' > few/train.txt
good "a vocabulary of one's own" data grid --source-dir few --output-dir few/data --vocabulary tokens
check "numbered by it" grep -qx '{"rows": 1, "columns": 2, "tokens": \["<pad>", "#", "9", "\."\]}' few/data/vocabulary.json
check "and written so" test "$(tail -c 2 few/data/train/all__inputs.npy | od -An -tu1 | tr -d ' ')" = 31
good "another set's" data grid --source-dir few --output-dir few/more --vocabulary build/paint/data/vocabulary.json
check "its grids' size too" grep -qx '{"rows": 5, "columns": 5, "least_rows": 1, "least_columns": 2, "tokens": \["<pad>", "#", "\.", "o"\]}' few/more/vocabulary.json
good "which goes on from its model" train data_path=few/more load_checkpoint=build/paint/run checkpoint_path=run_few steps=1 global_batch_size=1 threads=1 tensorboard=false
check "nothing is said of it" sh -c '! grep -q "means something else" err'
printf '.#\nx#\n->\n#.\n#.\n' > few/train.txt
refuse 1 'few/train.txt:2: "x" is no token of tokens' data grid --source-dir few --output-dir few/none --vocabulary tokens
printf '.#....\n->\n#.....\n' > few/train.txt
refuse 1 'few/train.txt:1: the grid is 1 x 6, expected at most the 5 x 5 of build/paint/data/vocabulary.json' data grid --source-dir few --output-dir few/none --vocabulary build/paint/data/vocabulary.json
printf '#\n.\n#\n' > tokens
refuse 1 'tokens:3: token "#" is there twice' data grid --source-dir few --output-dir few/none --vocabulary tokens
sed -i 's/"1", //' like/vocabulary.json
refuse 1 'vocabulary.json: 5 tokens, but vocab_size is 6' train data_path=like checkpoint_path=run_wrong steps=1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
