#!/bin/bash
# ARC on the command line: TRM's way of naming the tasks, smaller boards, voting, an evaluation that was stopped, adapting to the
# test's demonstrations without its outputs, pictures. The tasks are ours and their rule is known: two colours change places,
# which two is the task's.
. "$(dirname "$0")/command.sh"

tasks() # DIR TRAINING EVALUATION: 3 x 3 grids, 4 demonstrations and a test each
{
    mkdir -p "$1/training" "$1/evaluation"
    awk -v dir="$1" -v train="$2" -v all="$(($2 + $3))" '
    function random(n) { state = (state * 16807) % 2147483647; return int(state / 2147483647 * n) }
    function grid(swap, i, r, c, t, v) {
        for (i = 0; i < 9; i++) {
            v = cell[i]; if (swap) v = v == a ? b : v == b ? a : v
            t = t (i % 3 ? "," : i ? "],[" : "[[") v
        }
        return t "]]"
    }
    function pair(i) {
        for (i = 0; i < 9; i++) cell[i] = 1 + random(9)
        cell[random(9)] = a; cell[random(9)] = b
        return "{\"input\": " grid(0) ", \"output\": " grid(1) "}"
    }
    BEGIN {
        state = 12345; n = 0
        for (a = 1; a < 9; a++) for (b = a + 1; b <= 9; b++) { first[n] = a; other[n++] = b }
        for (i = n - 1; i > 0; i--) { j = random(i + 1); t = first[i]; first[i] = first[j]; first[j] = t; t = other[i]; other[i] = other[j]; other[j] = t }
        for (k = 0; k < all; k++) {
            a = first[k]; b = other[k]
            file = sprintf("%s/%s/t%02d.json", dir, k < train ? "training" : "evaluation", k)
            printf "{\"train\": [%s, %s, %s, %s], \"test\": [%s]}\n", pair(), pair(), pair(), pair(), pair() > file
            close(file)
        }
    }'
}
number() { sed -n "s/.*\"$1\": \([0-9.e-]*\).*/\1/p" "${2:-out}"; }      # NAME [FILE]: of a result
between() { awk -v x="$1" -v low="$2" -v high="$3" 'BEGIN { exit !(x != "" && x >= low && x <= high) }'; }
is() { check "$1: $2, expected $3 to $4" between "$2" "$3" "$4"; }       # NAME VALUE LOW HIGH

# ---- data -----------------------------------------------------------------------------------------------------------------
tasks tasks 12 10
good "tasks" data arc --output-dir arc --dataset-dirs tasks --num-aug 24 --size 3
check "a board of its size" grep -q '"seq_len": 9' arc/test/dataset.json
good "the training tasks alone" data arc --output-dir base --dataset-dirs tasks/training --num-aug 24 --size 3
for d in tasks/evaluation/ tasks/evaluation// tasks/training/../evaluation; do
    good "a folder as $d" data arc --output-dir slash --dataset-dirs $d tasks/training/ --num-aug 24 --size 3
    same slash/test/all__inputs.npy arc/test/all__inputs.npy
done
cd tasks/evaluation || exit 1
good "the folder that one is in" data arc --output-dir "$work/slash" --dataset-dirs . ../training --num-aug 24 --size 3
rm -f out err; cd "$work" || exit 1
same slash/test/all__inputs.npy arc/test/all__inputs.npy
good "training tasks twice" data arc --output-dir slash --dataset-dirs tasks tasks/training --num-aug 1 --size 3
check "are told" grep -q '12 tasks for training have the name of one before' err
kaggle() # FILES...: as one file of Kaggle's
{
    printf '{'; sep=
    for f in "$@"; do printf '%s"%s": ' "$sep" "$(basename "$f" .json)"; cat "$f"; sep=,; done; printf '}'
}
kaggle tasks/training/*.json > arc-agi_training_challenges.json
kaggle tasks/evaluation/*.json > arc-agi_evaluation_challenges.json
good "TRM's builder's options" data arc --input-file-prefix arc-agi --subsets evaluation training --test-set-name evaluation --output-dir trm --num-aug 24 --size 3
for f in test_puzzles.json identifiers.json test/all__inputs.npy train/all__labels.npy; do same trm/$f arc/$f; done
for f in my_evaluation arc-test arc_test_2 latest_training contest; do
    rm -rf words; mkdir words; cp arc-agi_evaluation_challenges.json words/${f}_challenges.json
    good "Kaggle's $f" data arc --dataset-dirs words --output-dir x --num-aug 0 --size 3
    case $f in latest_training | contest) check "$f is no test" test ! -e x/test ;; *) check "$f is a test" test -e x/test ;; esac
done
good "without a test set" data arc --input-file-prefix=arc-agi --subsets training --output-dir trm2 --num-aug 2
check "there is none" test ! -e trm2/test
refuse 2 '--input-file-prefix goes with --subsets' data arc --input-file-prefix arc-agi --output-dir x
refuse 2 '--subsets goes with --input-file-prefix' data arc --subsets training --output-dir x
refuse 2 '--test-set-name goes with --input-file-prefix' data arc --dataset-dirs tasks --test-set-name training --output-dir x
refuse 2 '--test-set-name is test, which is none of --subsets' data arc --input-file-prefix arc-agi --subsets training --test-set-name test --output-dir x
refuse 1 'arc-agi_nowhere_challenges.json' data arc --input-file-prefix arc-agi --subsets nowhere --output-dir x
refuse 2 '--size is 31, expected 3 to 30' data arc --dataset-dirs tasks --size 31 --output-dir x
mkdir -p large/training; echo '{"train": [{"input": [[1,2,3,4]], "output": [[1]]}], "test": [{"input": [[1]], "output": [[2]]}]}' > large/training/a.json
refuse 1 'every task has a grid of more than 3 rows or columns' data arc --dataset-dirs large --size 3 --output-dir x

cp -r tasks both; cp both/evaluation/t12.json both/training/
good "an evaluation task among the others" data arc --dataset-dirs both --output-dir x --num-aug 1 --size 3
check "is told" grep -q '1 tasks for training are evaluation tasks too' err
mkdir -p again/evaluation; sed 's/"test": .*/"test": [{"input": [[5]], "output": [[6]]}]}/' tasks/evaluation/t12.json > again/evaluation/t12.json
good "evaluation tasks of one name" data arc --dataset-dirs tasks again --output-dir x --num-aug 1 --size 3
check "are told" grep -q '1 evaluation tasks are left out: there is one of that name before' err
check "and the first stays" test "$(grep -c '"t12"' x/test_puzzles.json)" -eq 1 -a -z "$(grep '\[\[5\]\]' x/test_puzzles.json)"
long=$(printf '%0256d' 7); mkdir -p long/training; sed "s/^{/{\"name\": \"$long\", /" tasks/training/t00.json > long/training/a.json
refuse 1 "a.json:1: a task's name of 256 bytes, expected 255 at most" data arc --dataset-dirs long --output-dir long_set
sed -i 's/"0/"/' long/training/a.json
good "a long name" data arc --dataset-dirs long --output-dir long_set --num-aug 1 --size 3
check "stands whole" grep -q "\"${long#0}\", \"${long#0}_t" long_set/identifiers.json

# ---- a model that knows the rule, but none of the test's tasks ------------------------------------------------------------------
quiet="threads=1 tensorboard=false global_batch_size=64"
good "train" train data_path=base checkpoint_path=run $quiet steps=500 lr=3e-3 lr_warmup_steps=50 save_interval=0 log_interval=100 \
    arch.hidden_size=32 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.expansion=2 arch.halt_max_steps=1 arch.H_cycles=1 arch.L_cycles=1
adapt="adapt checkpoint=run data_path=arc $quiet"
good "embeddings as they begin" $adapt steps=1 puzzle_emb_lr=0 checkpoint_path=before
good "as train takes them" adapt checkpoint=run 'data_paths=[arc]' $quiet weights=True evaluate=no global_batch_size=8 epochs=1 eval_interval=1 checkpoint_path=
check "an epoch, beside the checkpoint" test "$(ls run/step_500_adapted/step_*)" = run/step_500_adapted/step_5.safetensors
check "a log of it" test -s before/metrics.jsonl -a -z "$(grep -v '^{' before/metrics.jsonl)"
good "evaluate" eval checkpoint=before threads=1
is "pass@1 without adapting" "$(number pass@1)" 0 0.2
is "pass@2 without adapting" "$(number pass@2)" 0 0.3
good "adapt" $adapt steps=60 puzzle_emb_lr=2e-2 checkpoint_path=after
tensors() # FILE: names and sums of its weights, but for the puzzles' embeddings
{
    local n=$(($(od -An -tu8 -N8 "$1")))
    head -c $((8 + n)) "$1" | tail -c $n | grep -o '"[A-Za-z_.0-9]*": *{[^{}]*"data_offsets": *\[[0-9, ]*\]' |
        sed 's/^"\([^"]*\)".*\[\([0-9]*\), *\([0-9]*\)\]/\1 \2 \3/' | grep -v puzzle_emb |
        while read -r name from to; do echo "$name $(tail -c +$((8 + n + from + 1)) "$1" | head -c $((to - from)) | cksum)"; done
}
tensors run/step_500.safetensors > weights
tensors after/step_60.safetensors > weights.after
check "the weights are there" test "$(wc -l < weights)" -ge 10
same weights weights.after
good "evaluate what was adapted" eval checkpoint=after threads=1
is "pass@1 after adapting" "$(number pass@1)" 0.8 1
is "pass@2" "$(number pass@2)" 0.9 1
is "without votes" "$(number without_votes)" 0 0.75
is "one variant at a time" "$(number exact_accuracy)" 0 0.75
check "every variant is predicted" test "$(number tasks)" = 10 -a "$(grep -c '"predictions": 25' after/step_60_all_preds/answers.json)" -eq 10
cp out first.json

# ---- what it reads ----------------------------------------------------------------------------------------------------------
cp -r arc blind
head -c 128 arc/test/all__labels.npy > blind/test/all__labels.npy
head -c $(($(wc -c < arc/test/all__labels.npy) - 128)) /dev/zero | tr '\0' '\377' >> blind/test/all__labels.npy
sed 's/"output": \[\[/"output": [[9,9,9],[9,9,9],[9,9,9]], "no": [[/g' arc/test_puzzles.json > blind/test_puzzles.json
good "adapt with other outputs in the test" $adapt data_path=blind steps=60 puzzle_emb_lr=2e-2 checkpoint_path=blind_run
same after/step_60.safetensors blind_run/step_60.safetensors
rm blind/test/all__labels.npy blind/test/all__inputs.npy blind/test_puzzles.json
good "adapt without a test but its names" $adapt data_path=blind steps=60 puzzle_emb_lr=2e-2 checkpoint_path=blind_run overwrite=true
same after/step_60.safetensors blind_run/step_60.safetensors
good "weights too" $adapt steps=2 weights=true checkpoint_path=whole
check "they move, but for the first states" test "$(tensors whole/step_2.safetensors | grep -xF -f weights | sed 's/ .*//; s/.*\.//' | sort | tr '\n' ' ')" = "H_init L_init "
good "half of it" $adapt steps=60 puzzle_emb_lr=2e-2 checkpoint_path=halves save_interval=30 evaluate=true eval_batch_size=50
check "evaluates when asked" grep -q '"arc": {"tasks": 10' out
good "a run like others" train resume=halves steps=62
check "that stays with the test's puzzles" grep -q 'test_puzzles_only: true' halves/all_config.yaml
refuse 2 'adapt: checkpoint=FILE is missing' adapt data_path=arc
refuse 2 'adapt: data_path=DIR is missing' adapt checkpoint=run
refuse 2 'weights is "perhaps", expected true or false' $adapt weights=perhaps
refuse 2 'resume is not a key of hrm adapt' $adapt resume=run
refuse 1 'base/test/dataset.json' $adapt data_path=base checkpoint_path=x

# ---- stopping and going on -----------------------------------------------------------------------------------------------------
preds=after/step_60_all_preds
cp $preds/answers.json answers1.json; cp $preds/submission.json submission1.json
good "again" eval checkpoint=after threads=1
check "nothing is predicted twice" grep -q '250 of 250 predictions are there' err
same out first.json
same $preds/answers.json answers1.json
check "Kaggle's form" test "$(grep -o '"attempt_[12]": \[\[' $preds/submission.json | wc -l)" -eq 20
slow="eval checkpoint=after threads=1 halt_max_steps=600 eval_batch_size=5 checkpoint_path=slow"
good "in one go" $slow; mv slow slow1; cp out slow.json
"$hrm" $slow > out 2> err < /dev/null &
pid=$!
for i in $(seq 300); do [ -s slow/step_60_all_preds/predictions.arc ] && break; sleep 0.05; done
kill -INT $pid; wait $pid; status=$?
check "an interrupted evaluation says so" test $status -eq 130 -a "$(grep -c 'predictions are kept in slow/step_60_all_preds/predictions.arc; the same command goes on' err)" -eq 1
check "and has no answers yet" test ! -e slow/step_60_all_preds/answers.json
kept=$(sed -n 's/^hrm: \([0-9]*\) of 250 predictions are kept.*/\1/p' err)
good "and goes on" $slow
check "where it was: at $kept" grep -q "predictions.arc: $kept of 250 predictions are there" err
same out slow.json
same slow/step_60_all_preds/answers.json slow1/step_60_all_preds/answers.json
same slow/step_60_all_preds/submission.json slow1/step_60_all_preds/submission.json
good "other weights there" eval checkpoint=before/step_1.safetensors data_path=arc threads=1 checkpoint_path=mixed
mv mixed/step_1_all_preds mixed/step_60_all_preds
good "are told apart" eval checkpoint=after threads=1 checkpoint_path=mixed
check "and done anew" grep -q 'is of other weights, data or settings: begun anew' err
same out first.json

# ---- pictures -------------------------------------------------------------------------------------------------------------------
good "a task with its answers" render arc --answers $preds/answers.json --name t14 -o t14.svg
check "demonstrations, prediction, truth" test "$(grep -c 'ARC task t14' t14.svg)" -ge 1
good "several" render arc --answers $preds/answers.json --index 2 --count 3 -o three.svg
check "are larger" test "$(wc -c < three.svg)" -gt "$(wc -c < t14.svg)"
refuse 1 'no task t99' render arc --answers $preds/answers.json --name t99 -o x.svg
refuse 1 '10 tasks, asked for 9 to 11' render arc --answers $preds/answers.json --index 9 --count 3 -o x.svg
refuse 1 'no answers.json as' render arc --answers $preds/submission.json -o x.svg
refuse 1 'no test_puzzles.json in it' render after --answers $preds/answers.json -o x.svg
refuse 2 '--answers goes with' render arc --answers $preds/answers.json --steps -o x.svg
refuse 2 '--name names one task of --answers' render arc --name t14 -o x.svg

# ---- what is not as it should be ------------------------------------------------------------------------------------------------
cp -r arc odd
sed 's/"t12"/"x"/' arc/test_puzzles.json > odd/test_puzzles.json
refuse_last() # TEXT ARGUMENTS: fails, and the last line says why
{
    local text=$1; shift
    run "$@"
    check "$*: $text" test $? -gt 0 -a "$(tail -n 1 err | grep -cF -- "$text")" -eq 1
}
refuse_last 'which is no task of test_puzzles.json' eval checkpoint=after data_path=odd threads=1 checkpoint_path=x
sed 's/"test": \[{"input": \[\[./"test": [{"input": [[0/' arc/test_puzzles.json > odd/test_puzzles.json
refuse_last "test inputs in test_puzzles.json" eval checkpoint=after data_path=odd threads=1 checkpoint_path=x
echo '{"t12": 3}' > odd/test_puzzles.json
refuse_last 'has no list "train"' eval checkpoint=after data_path=odd threads=1 checkpoint_path=x
rm odd/test_puzzles.json
good "without it the usual" eval checkpoint=after data_path=odd threads=1 checkpoint_path=y
check "and no more" test -z "$(grep arc out)" -a ! -e y
sed 's/, "output": \[\[[0-9]*,[0-9]*,[0-9]*\],\[[0-9]*,[0-9]*,[0-9]*\],\[[0-9]*,[0-9]*,[0-9]*\]\]}\]}/}]}/' arc/test_puzzles.json > odd/test_puzzles.json
good "outputs that nobody knows" eval checkpoint=after data_path=odd threads=1 checkpoint_path=y
check "make a submission" test -s y/step_60_all_preds/submission.json -a -z "$(grep '"correct"' y/step_60_all_preds/answers.json)"
same y/step_60_all_preds/submission.json submission1.json

mkdir -p twice/evaluation
sed 's/"test": \[\(.*\)\]}$/"test": [\1, \1]}/' tasks/evaluation/t12.json > twice/evaluation/t12.json
good "one test input twice" data arc --dataset-dirs twice --output-dir twice_set --num-aug 3 --size 3
good "predicts both" eval checkpoint=after data_path=twice_set threads=1 checkpoint_path=z
check "with as many votes" test "$(grep -o '"votes": [0-9]*' z/step_60_all_preds/answers.json | awk '{ n += $2 } END { print n }')" -eq 8 -a \
    "$(number tasks)" = 1 -a -z "$(grep '\[\[0\]\]' z/step_60_all_preds/submission.json)"
sed 's/, "output": \(\[\[[0-9,]*\],\[[0-9,]*\],\[[0-9,]*\]\]\)}\]}$/}]}/' tasks/evaluation/t12.json > twice/evaluation/t12.json
good "an output not known" data arc --dataset-dirs twice --output-dir twice_set --num-aug 3 --size 3
good "is no label" eval checkpoint=after data_path=twice_set threads=1 checkpoint_path=z
good "and in no group" analyze checkpoint=after data_path=twice_set threads=1 halt_max_steps=2 pictures=svg checkpoint_path=z
check "whose examples have labels" grep -q '"groups": \[\]' z/step_60_analysis/analysis.json
cp tasks/evaluation/t12.json twice/evaluation/
good "and then known" data arc --dataset-dirs twice --output-dir twice_set --num-aug 3 --size 3
good "is measured" eval checkpoint=after data_path=twice_set threads=1 checkpoint_path=z
check "by the labels there are now" awk -v loss="$(number lm_loss)" 'BEGIN { exit !(loss > 0) }'

# ---- looking inside -------------------------------------------------------------------------------------------------------------
good "analyze" analyze checkpoint=after data_path=arc threads=1 halt_max_steps=3 puzzles=[0,30] pictures=svg eval_batch_size=40 eval_examples=100
cp out analyzed.json
inside=after/step_60_analysis
check "charts and answers" test -s $inside/charts.svg -a -s $inside/answers.svg
good "in other batches" analyze checkpoint=after data_path=arc threads=1 halt_max_steps=3 puzzles=[0,30] pictures=svg eval_batch_size=7 eval_examples=100 checkpoint_path=other
is "participation ratio of z_H" "$(number z_H)" 1 32
check "the same" awk -v a="$(number z_H)" -v b="$(number z_H analyzed.json)" 'BEGIN { exit !(a - b < 1e-3 && b - a < 1e-3) }'
tr -d ' \n' < $inside/analysis.json > flat.json
check "a residual for every pass" grep -q '"passes":2,.*"z_H":{"pass":\[2,4,6\],"residual":\[[^,]*,[^,]*,[^]]*\]},"z_L":{"pass":\[1,3,5\]' flat.json
check "accuracy of every segment" grep -q '"by_segment":{"accuracy":\[[^,]*,[^,]*,[^]]*\],"exact_accuracy":\[[^,]*,[^,]*,[^]]*\]},"by_segments_allowed"' flat.json
run eval checkpoint=after data_path=arc threads=1 eval_examples=100 checkpoint_path=part
check "that of the first as eval has it" grep -q "\"by_segment\":{\"accuracy\":\[[^]]*\],\"exact_accuracy\":\[$(number exact_accuracy)," flat.json
check "two puzzles, three answers each" test "$(grep -o '"example":' flat.json | wc -l)" -eq 2 -a "$(grep -o '"answer":' flat.json | wc -l)" -eq 6
check "every puzzle is in a group" test "$(grep -o '"examples":[0-9]*,"exact_accuracy"' flat.json | tr -dc '0-9\n' | awk '{ n += $1 } END { print n }')" -eq 100
refuse 2 'analyze: checkpoint=FILE is missing' analyze data_path=arc
refuse_last 'there is no example 300 among the first 250' analyze checkpoint=after data_path=arc threads=1 puzzles=300
refuse_last 'puzzles is "[x]", expected numbers' analyze checkpoint=after data_path=arc threads=1 puzzles=[x]
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
