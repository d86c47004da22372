#!/bin/bash
# The command end to end: configuration, a run that is interrupted, killed and resumed, evaluation, solving, conversion, and
# what each says about wrong input. Small models, so that it ends within a minute or so.
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
await() { for _ in $(seq 1200); do grep -q -- "$1" "$2" 2> /dev/null && return; sleep 0.05; done; } # PATTERN FILE: a minute at most

# ---- the command itself ------------------------------------------------------------------------------------------------
check "version" test "$("$hrm" --version)" = "hrm $(sed -n 's/^#define HRM_VERSION  *"\(.*\)"/\1/p' "$root/hrm.h")"
good "help" --help
for c in data train adapt eval analyze solve convert info plot render; do
    good "$c --help" $c --help
    check "$c says how" grep -q "usage: hrm $c" out
    check "$c says it in 80 columns" test -z "$(LC_ALL=C.UTF-8 awk 'length > 80 && !/TinyRecursive/' out)"
done
refuse 2 'no command "trian"; did you mean train?' trian
refuse 2 'no command "xyzzy"; there are data, train' xyzzy
run; check "no command: usage" test $? -eq 2

"$hrm" train --help > out; "$hrm" eval --help >> out; "$hrm" solve --help >> out; "$hrm" analyze --help >> out
for key in $(sed -n 's/^  \([A-Za-z_.0-9]*\)=.*/\1/p' out | sort -u); do
    check "$key is in the manual page" grep -q "^\.BI $key=" "$root/docs/hrm.1"
    [ $key = arch.KEY ] || check "$key is in docs/options.md" grep -q "^| \`$key\` |" "$root/docs/options.md"
done

# ---- configuration -----------------------------------------------------------------------------------------------------
refuse 2 'did you mean arch.hidden_size?' train hidden_size=64
refuse 2 'did you mean lr_warmup_steps?' train lr_warmup_step=64
refuse 2 'did you mean data_path?' train datapath=x
refuse 2 'checkpoint' eval checkpont=x
refuse 2 'lr is not a key of hrm eval' eval lr=1
refuse 2 'lr is 20, expected 0 to 10' train data_path=x lr=20
refuse 2 'epochs is "many", expected a whole number' train data_path=x epochs=many
refuse 2 'epochs is "1.5", expected a whole number' train data_path=x epochs=1.5
refuse 2 'arch.pos_encodings is "sine", expected rope|learned|none' train data_path=x arch.pos_encodings=sine
refuse 2 'checkpoint_every_eval is "maybe", expected true or false' train data_path=x checkpoint_every_eval=maybe
refuse 2 'expected a divisor of epochs, 10' train data_path=x epochs=10 eval_interval=3
refuse 2 'expected a multiple of arch.num_heads, 8' train data_path=x arch.hidden_size=60
refuse 2 'neither KEY=VALUE nor an option' train stray
refuse 2 'neither KEY=VALUE nor an option: after -- there are none' train -- data_path=x
refuse 2 'steps has no value (null: as if not given)' train data_path=x steps=
refuse 2 'data --list: takes nothing more, but there is maze' data --list maze
refuse 2 'data_path=DIR is missing' train
refuse 1 'nowhere' train data_path=nowhere
refuse 1 'nowhere.yaml' train --config nowhere.yaml
refuse 2 'checkpoint=FILE is missing' eval
refuse 1 'nothing.safetensors' eval checkpoint=nothing.safetensors
refuse 1 'nothing' info nothing
refuse 2 'there are inputs, labels' train data_path=x 'eval_save_outputs=[logit]'
refuse 1 'no such folder' train resume=nowhere
for key in train:resume eval:checkpoint; do refuse 2 "${key#*:}: the path is too long" ${key%:*} ${key#*:}="$(printf '%02000d' 0)"; done
refuse 2 'a maze of 4 x 4 cells, which is not to be told from a Sudoku' data maze --generate 2 --size 4 --output-dir x
printf 'question,answer\nS  #        G  #,Sooo           #\n' > maze4.csv
refuse 1 'maze4.csv:2: a maze of 4 x 4 cells' data maze --source-dir maze4.csv --output-dir x

# ---- data: 4x4 boards from a fixed list, in the public layout -----------------------------------------------------------
good "data" data sudoku --output-dir data --generate 60 --size 4 --seed 1 --threads 1
small="global_batch_size=8 arch.hidden_size=16 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.expansion=1 arch.halt_max_steps=3 lr=1e-3 lr_warmup_steps=5 threads=1"

# the public files, with their comments, defaults and interpolation
mkdir -p config/arch
cat > config/cfg_pretrain.yaml <<'Y'
# ARC training config

defaults:
  - arch: hrm_v1
  - _self_

hydra:
  output_subdir: null

# Data path
data_path: data

# Hyperparams - Training
global_batch_size: 8

epochs: 4
eval_interval: 2
checkpoint_every_eval: True

lr: 1e-4
lr_min_ratio: 1.0
lr_warmup_steps: 5

# Standard hyperparameter settings
beta1: 0.9
beta2: 0.95
weight_decay: 0.1
puzzle_emb_weight_decay: 0.1

puzzle_emb_lr: 1e-2
Y
cat > config/arch/hrm_v1.yaml <<'Y'
name: hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1
loss:
  name: losses@ACTLossHead
  loss_type: stablemax_cross_entropy

halt_exploration_prob: 0.1
halt_max_steps: 3

H_cycles: 2
L_cycles: 2

H_layers: 1
L_layers: 1

hidden_size: 16
num_heads: 2  # min(2, hidden_size // 64)
expansion: 1

puzzle_emb_ndim: ${.hidden_size}

pos_encodings: rope
Y
good "public configuration" train --config config/cfg_pretrain.yaml arch.hidden_size=24 +run_name=x threads=1 checkpoint_path=run_public
check "interpolation follows the override" grep -q '^  puzzle_emb_ndim: 24$' run_public/all_config.yaml
check "seven steps an iteration, evaluated twice" test "$(grep -c 'eval/all/exact_accuracy' run_public/metrics.jsonl)" -eq 2
check "checkpoints of both evaluations" test -s run_public/step_15.safetensors -a -s run_public/step_30.safetensors
printf 'data_path: data\nlearning_rate: 1\n' > wrong.yaml
refuse 2 'wrong.yaml line 2' train --config wrong.yaml
printf 'data_path: data\nepochs: 0\n' > wrong.yaml
refuse 2 'epochs is 0, expected 1 to' train --config wrong.yaml
printf 'data_path: data\narch:\n  hidden_sise: 16\n' > wrong.yaml
refuse 2 'did you mean arch.hidden_size?' train --config wrong.yaml
printf 'data_path: data\nrun_name: r${seed}\nseed: 7\nema: Yes\ncheckpoint_path: run_${run_name}_${arch.halt_max_steps}\\${x}\n' > parts.yaml
good "references within texts" train --config parts.yaml $small steps=1 tensorboard=false
check "are followed" test -s 'run_r7_3${x}/step_1.safetensors'
good "and what stands for itself stays" train resume='run_r7_3\${x}' steps=2
check "in what a run keeps" grep -qF '"run_r7_3\\${x}"' 'run_r7_3${x}/all_config.yaml'
printf 'data_path: data\nrun_name: a${run_name}\n' > parts.yaml
refuse 2 'which leads in a circle' train --config parts.yaml
# groups: from the primary file's folder, under another package, Hydra's own, and one of the user's own
mkdir -p config/deep config/mine
printf 'defaults:\n  - /arch: hrm_v1\n  - override /hydra/launcher: slurm\n  - mine@_global_: run\n  - optional arch: nowhere\n  - _self_\nepochs: 3\n' > config/deep.yaml
printf 'defaults:\n  - /arch: hrm_v1\n' > config/deep/inner.yaml
printf 'data_path: data\nlr_warmup_steps: 1\n' > config/mine/run.yaml
good "absolute groups, packages" train --config config/deep.yaml steps=1 global_batch_size=8 threads=1 checkpoint_path=run_groups tensorboard=false
check "the group's keys" grep -q '^  hidden_size: 16$' run_groups/all_config.yaml
check "the package's keys" grep -q '^lr_warmup_steps: 1$' run_groups/all_config.yaml
printf 'defaults:\n  - arch: hrm_v1\n  - mine: run\n  - _self_\n' > config/own.yaml
refuse 2 'own.yaml line 3: defaults: "mine" is a group of your own' train --config config/own.yaml
printf 'wandb_version: 1\n_wandb:\n  desc: null\n  value:\n    cli_version: 0.16\ndata_path:\n  desc: null\n  value: data\nepochs:\n  desc: null\n  value: 5\narch:\n  desc: null\n  value:\n    hidden_size: 32\n    num_heads: 2\n    H_layers: 1\n    L_layers: 1\n' > wandb.yaml
good "a configuration of Weights & Biases" train --config wandb.yaml steps=1 global_batch_size=8 threads=1 checkpoint_path=run_wandb tensorboard=false
check "its values" grep -q '^  hidden_size: 32$' run_wandb/all_config.yaml
good "flat configuration" train --config run_public/all_config.yaml checkpoint_path=run_flat steps=1 tensorboard=false

# ---- a run: logs, early stopping, best -----------------------------------------------------------------------------------
good "train" train data_path=data $small steps=30 eval_interval=1 checkpoint_path=run_a seed=3 log_interval=5 keep_best=true
check "logged steps" test "$(grep -c 'train/lm_loss' run_a/metrics.jsonl)" -eq 6
for m in lm_loss lr accuracy exact_accuracy q_halt_accuracy q_halt_loss q_continue_loss steps count; do
    check "train/$m is logged" grep -q "\"train/$m\": " run_a/metrics.jsonl
done
check "best" test -s run_a/best.safetensors
check "state" test -s run_a/state.safetensors
check "events" test -s run_a/events.out.tfevents.*
check "that void those of a run before" grep -qaF "$(printf ':\002\010\001')" run_a/events.out.tfevents.*
good "a run that ends between two lines" train data_path=data $small epochs=4 eval_interval=2 log_interval=1000 lr=1e-50 checkpoint_path=run_odd tensorboard=false
check "logs the last" test "$(grep -c 'train/lm_loss' run_odd/metrics.jsonl)" -eq 1
check "a rate too small for a float is none, not the default" grep -q '"train/lr": 0}' run_odd/metrics.jsonl
good "early stopping" train data_path=data $small steps=40 checkpoint_path=run_early log_interval=1 early_stop_accuracy=1e-9 early_stop_patience=2 tensorboard=false
run train data_path=data $small steps=20 checkpoint_path=run_nan lr=10 puzzle_emb_lr=10 weight_decay=100 tensorboard=false arch.loss.loss_type=softmax_cross_entropy
status=$?
run train data_path=data $small steps=2 checkpoint_path=run_huge log_interval=1 lr=10 lr_warmup_steps=0 puzzle_emb_lr=10 weight_decay=1000 tensorboard=false arch.loss.loss_type=softmax_cross_entropy
huge=$?
check "an evaluation by what can no more be computed with: status $huge" test $huge -eq 1
check "its numbers are null" grep -q '"eval/all/lm_loss": null' run_huge/metrics.jsonl
check "and are told" grep -q 'lm_loss is not finite: null' err
check "metrics.jsonl holds neither nan nor inf" test -s run_huge/metrics.jsonl -a -z "$(grep -iE '(nan|inf)[,}]' run_huge/metrics.jsonl run_nan/metrics.jsonl)"
run train data_path=data $small steps=20 checkpoint_path=run_nan overwrite=true lr=10 puzzle_emb_lr=10 weight_decay=100 tensorboard=false arch.loss.loss_type=softmax_cross_entropy
status=$?
if [ $status -eq 0 ]; then echo "skipped: no loss that is not finite could be provoked"
else check "divergence names the step" grep -q 'step [0-9]*: the loss is not finite' err
    if grep -q 'the weights are those before it' err; then check "and keeps good weights" test -n "$(ls run_nan/step_*.safetensors)"
    else check "or says what is wrong with them" grep -q 'tensor inner\.[a-z_.]*: element [0-9]* is' err; check "and writes none" test -z "$(ls run_nan | grep step_)"; fi
fi

# ---- a folder that holds a run ---------------------------------------------------------------------------------------------
refuse 1 'run_a holds a run (state.safetensors)' train data_path=data $small steps=3 checkpoint_path=run_a
cp -r run_a over
rm over/state.safetensors
refuse 1 'over: no state.safetensors' train resume=over
refuse 1 'over holds a run' train data_path=data $small steps=3 checkpoint_path=over
cp run_a/state.safetensors over/
kept=$(cat over/*.safetensors over/all_config.yaml over/metrics.jsonl | cksum)
(ulimit -f 40; "$hrm" train data_path=data $small steps=3 checkpoint_path=over overwrite=true tensorboard=false > out 2> err < /dev/null)
check "a new run that cannot be written is an error" test $? -eq 1
check "and the old one stands" test "$kept" = "$(cat over/*.safetensors over/all_config.yaml over/metrics.jsonl | cksum)"
check "nothing else is left" test -z "$(ls over | grep new)"
cp over/all_config.yaml over/all_config.new.yaml; echo x > over/state.new.safetensors.tmp1 # killed while its state was written
refuse 1 'over holds a run' train data_path=data $small steps=3 checkpoint_path=over
check "nothing of it is left, and the old one stands" test "$kept" = "$(cat over/*.safetensors over/all_config.yaml over/metrics.jsonl | cksum)" -a -z "$(ls over | grep new)"
cp over/state.safetensors over/state.new.safetensors; cp over/all_config.yaml over/all_config.new.yaml # killed before its configuration stood
good "a new run that did not begin" train resume=over
check "is undone" test -z "$(ls over | grep new)"
cp over/state.safetensors over/state.new.safetensors; rm over/metrics.old.jsonl 2> /dev/null # killed after it
good "a new run that did begin" train resume=over
check "is carried out" test -z "$(ls over | grep new)" -a -s over/metrics.old.jsonl -a ! -e over/step_8.safetensors
rm -rf over; cp -r run_a over
good "overwrite" train data_path=data $small steps=10 checkpoint_path=over overwrite=true seed=3 log_interval=5
check "its weights alone are there" test "$(ls over/step_*)" = over/step_10.safetensors
check "the old log is kept" test -s over/metrics.old.jsonl
good "a run goes on past its end" train resume=over steps=20
good "one that was so long from the start" train data_path=data $small steps=20 checkpoint_path=straight seed=3 log_interval=5
same over/step_20.safetensors straight/step_20.safetensors
refuse 1 'the run has 20 steps there, 5 here; expected as many, or more' train resume=over steps=5
refuse 2 'was begun with steps=20' train resume=over epochs=5
mkdir stopped; cp over/state.safetensors stopped
refuse 1 'stopped: no checkpoint step_N in this folder: its run stopped before one was due, and goes on with hrm train resume=stopped' \
    eval checkpoint=stopped
good "with a falling rate" train data_path=data $small steps=10 lr_min_ratio=0.1 checkpoint_path=fall tensorboard=false
good "goes on too" train resume=fall steps=20
check "and says what differs" grep -q 'the learning rate of the first 10 fell as for 10' err
good "as Hydra adds a key" train +resume=fall steps=21
check "the run's own keys hold" grep -q '^lr_min_ratio: 0.1$' fall/all_config.yaml
good "a checkpoint so" eval ++checkpoint=run_a threads=1
good "an architecture so" train ++arch=trm data_path=data $small steps=1 checkpoint_path=plus tensorboard=false
check "is that one" grep -q 'no_ACT_continue: true' plus/all_config.yaml
good "another set" data sudoku --size 4 --generate 6 --test-size 3 --output-dir data3
good "to be evaluated instead" eval checkpoint=run_a data_path=data data_paths_test=[data3] eval_save_outputs=[labels] threads=1 checkpoint_path=other
check "is" grep -qaF "'shape': (3, 16)" other/*/labels.npy
echo mine > data4.lock
refuse 1 'data4.lock is in the way: it is no lock of this command' data sudoku --size 4 --generate 6 --output-dir data4
check "and stays" test "$(cat data4.lock)" = mine
rm data4.lock
"$hrm" data sudoku --size 4 --generate 6 --test-size 3 --output-dir data4 2>&- >&- <&-
check "with its streams closed nothing of them gets into files" diff -r data3 data4
check "no lock is left" test ! -e over/train.lock

# one trainer in a folder; a signal is answered at once, and a second one ends it
"$hrm" train data_path=data global_batch_size=512 threads=1 epochs=1000000 checkpoint_path=busy tensorboard=false > out1 2> err1 < /dev/null &
pid=$!
await 'a step' err1
check "it says how long it will take" grep -q 'on this CPU, .* s a step' err1
check "and what is smaller" grep -q 'smaller: arch.hidden_size=' err1
refuse 1 "process $pid on" train data_path=data $small steps=3 checkpoint_path=busy
refuse 1 "process $pid on" train resume=busy
sleep 0.5
kill -TERM $pid
await 'finishing the step' err1
check "a signal during a step is answered" grep -q 'finishing the step; again to stop at once' err1
kill -TERM $pid; wait $pid; status=$?
check "the second ends it, not $status" test $status -eq 143
printf 'process 1 on elsewhere' > busy/train.lock # left by one that was killed
good "a stale lock does not block" train data_path=data $small steps=1 checkpoint_path=busy tensorboard=false

# ---- a run that is interrupted and resumed (test_long.sh kills more) --------------------------------------------------------
long="data_path=data $small epochs=64 eval_interval=32 log_interval=7 save_interval=50 seed=5"
good "uninterrupted" train $long checkpoint_path=whole
check "480 steps" test -s whole/step_480.safetensors
for signal in INT TERM; do
    rm -rf part
    "$hrm" train $long checkpoint_path=part > out 2> err < /dev/null &
    pid=$!
    for i in $(seq 1200); do [ -s part/metrics.jsonl ] && [ "$(grep -c '' part/metrics.jsonl)" -ge 10 ] && break; sleep 0.05; done
    kill -$signal $pid; wait $pid; status=$?
    check "SIG$signal ends it with its status, not $status" test $status -eq $([ $signal = INT ] && echo 130 || echo 143)
    check "it says how to go on" grep -q 'hrm train resume=part' err
    good "resume after SIG$signal" train resume=part threads=2
    same whole/step_480.safetensors part/step_480.safetensors
    same whole/metrics.jsonl part/metrics.jsonl
done
rm -rf part # killed between an evaluation and the next state: the evaluation is done and written once more, not twice
"$hrm" train $long save_interval=240 checkpoint_path=part > out 2> err < /dev/null &
pid=$!
await '"step": 240, "eval' part/metrics.jsonl
kill -9 $pid; wait $pid 2> /dev/null
good "resume after an evaluation that no state knows" train resume=part
same whole/metrics.jsonl part/metrics.jsonl
refuse 1 'lr is 0.5 (command line), but 0.001' train resume=part lr=0.5
refuse 1 'arch.hidden_size is 32 (command line), but 16' train resume=part arch.hidden_size=32
cp -r data moved
good "the data in another folder" train resume=part data_path=moved
good "other examples" data sudoku --output-dir moved --generate 60 --size 4 --seed 2 --threads 1
refuse 1 'part/state.safetensors: the run was begun on other examples than moved has (content ' train resume=part data_path=moved
good "fewer" data sudoku --output-dir moved --generate 50 --size 4 --seed 1 --threads 1
refuse 1 'was begun on 60 examples in 60 groups, 16 tokens each, a vocabulary of 6, 1 puzzle identifiers, but moved has 50 examples in 50 groups' train resume=part data_path=moved
refuse 1 'load_checkpoint=part begins another' train resume=part data_path=moved

# ---- no room, no right -----------------------------------------------------------------------------------------------------
cp -r run_a full
before=$(cksum < full/state.safetensors)
(ulimit -f 8; "$hrm" train data_path=data $small steps=30 checkpoint_path=tight tensorboard=false > out 2> err < /dev/null)
check "a file-size limit is an error" test $? -eq 1
check "that names the file" grep -q 'tight/' err
check "and leaves no checkpoint" test -z "$(ls tight/*.safetensors 2> /dev/null)"
(ulimit -f 8; "$hrm" convert run_a/step_30.safetensors full/state.safetensors > out 2> err)
check "a failed write is an error" test $? -eq 1
check "the old file stands" test "$before" = "$(cksum < full/state.safetensors)"
touch notdir
refuse 1 'notdir' train data_path=data $small steps=3 checkpoint_path=notdir/run
if [ "$(id -u)" -ne 0 ]; then mkdir locked; chmod 555 locked; refuse 1 'locked' train data_path=data $small steps=3 checkpoint_path=locked; fi

# ---- evaluation ------------------------------------------------------------------------------------------------------------
good "eval" eval checkpoint=whole/step_480.safetensors threads=1
check "the last line is JSON" grep -q '^{"all": {"accuracy": .*"exact_accuracy": .*"lm_loss": .*"q_halt_accuracy": .*"q_halt_loss": .*"steps": 3' out
good "eval, adaptive" eval checkpoint=whole/step_480.safetensors halt=adaptive halt_max_steps=6 threads=1
check "segments saved, accuracy kept" grep -q '"segments_saved": .*"exact_accuracy_kept": ' out
good "eval, votes" eval checkpoint=whole/step_480.safetensors votes=8 vote=best_q threads=1 checkpoint_path=voted 'eval_save_outputs=[predictions,steps]'
check "of one copy, of any" grep -q '"steps": .*"votes": {"votes": 8, "one_copy_exact_accuracy": .*"any_copy_exact_accuracy": .*"rules": {"valid": ' out
check "the voted answers are saved" test -s voted/step_480_all_preds/predictions.npy
good "one vote is no vote" eval checkpoint=whole/step_480.safetensors votes=1 threads=1; check "the usual line" grep -q '"q_halt_loss"' out
refuse 2 'logits, but votes:' eval checkpoint=whole/step_480.safetensors votes=4 'eval_save_outputs=[logits]'
refuse 2 'logits, but start_noise' eval checkpoint=whole/step_480.safetensors start_noise=0.5 'eval_save_outputs=[logits]'
good "eval, noise" eval checkpoint=whole/step_480.safetensors votes=3 start_noise=0.5 threads=1; cp out noise.json
good "eval, the same noise in other batches" eval checkpoint=whole/step_480.safetensors votes=3 start_noise=0.5 threads=2 eval_batch_size=7; same out noise.json
good "eval, other noise" eval checkpoint=whole/step_480.safetensors votes=3 start_noise=50 noise_seed=1 threads=1
check "noise does something" test -n "$(cmp out noise.json 2>&1)"
refuse 2 'vote is "most", expected majority|first|best_q' eval checkpoint=whole/step_480.safetensors votes=4 vote=most
good "accuracy against compute" eval checkpoint=whole/step_480.safetensors compute=true votes=5 halt_max_steps=6 pictures=svg checkpoint_path=computed threads=1
check "1, 2, 4, 5 copies, 1, 3, 6 segments" test "$(grep -o '"votes": [0-9]*, "halt_max_steps": [0-9]*, "segments": [0-9]*' out | tr -dc '0-9\n ' | tr -s ' ' | tr '\n' ,)" = \
    " 1 1 1, 1 3 3, 1 6 6, 2 1 2, 2 3 6, 2 6 12, 4 1 4, 4 3 12, 4 6 24, 5 1 5, 5 3 15, 5 6 30,"
check "a table beside it" test "$(grep -cE '^ +[136]( +[0-9.]+ %){4}$' err)" -eq 3
exact() { sed 's/.*"votes": '"$1"', "halt_max_steps": '"$2"', [^}]*"exact_accuracy": \([0-9.]*\), "any.*/\1/' computed.json; }
check "and a picture" grep -q 'step_480.safetensors: accuracy against compute' computed/step_480_compute.svg; cp out computed.json
good "one of them by itself" eval checkpoint=whole/step_480.safetensors votes=4 halt_max_steps=3 threads=1
check "is what stood there" grep -q "\"exact_accuracy\": $(exact 4 3)," out
good "another" eval checkpoint=whole/step_480.safetensors halt_max_steps=6 threads=1
check "likewise" grep -q "\"exact_accuracy\": $(exact 1 6)," out
refuse 2 'halt is adaptive, but compute' eval checkpoint=whole/step_480.safetensors compute=true votes=4 halt=adaptive
refuse 2 'eval_save_outputs: predictions, but compute' eval checkpoint=whole/step_480.safetensors compute=true votes=4 'eval_save_outputs=[predictions]'
run solve sudoku checkpoint=whole/step_480.safetensors votes=6 1............... threads=1
check "solve: the copies that agree are told" grep -qE ' [1-6] of 6 copies agree; ' out
good "eval outputs" eval checkpoint=whole/step_480.safetensors checkpoint_path=preds 'eval_save_outputs=[inputs,labels,logits,q_halt_logits,predictions]' threads=1
check "saved as .npy" test "$(head -c 6 preds/step_480_all_preds/logits.npy | tail -c 5)" = NUMPY
check "evaluations in a run agree with hrm eval" test "$(grep '"step": 480, "eval' whole/metrics.jsonl | sed 's/.*exact_accuracy": \([0-9.e-]*\).*/\1/')" = "$(run eval checkpoint=whole/step_480.safetensors; sed 's/.*"exact_accuracy": \([0-9.e-]*\).*/\1/' out)"
good "data of 9x9" data sudoku --output-dir data9 --generate 4 --test-size 2 --threads 1
refuse 1 'seq_len is 81, but 16' eval checkpoint=whole/step_480.safetensors data_path=data9
cp -r data many
sed -i.bak 's/"vocab_size": *[0-9]*/"vocab_size": 9/' many/test/dataset.json
refuse 1 'vocab_size is 9, more than the 6' eval checkpoint=whole/step_480.safetensors data_path=many
good "data of mazes" data maze --output-dir maze5 --generate 4 --test-size 2 --size 5 --min-path 3 --threads 1
refuse 1 'arch.num_heads is 4' eval checkpoint=whole/step_480.safetensors arch.num_heads=4

# ---- solving ---------------------------------------------------------------------------------------------------------------
run solve sudoku checkpoint=whole/step_480.safetensors 1...............; status=$?
check "solve: status tells validity" test $status -le 1
check "solve: the board" test "$(grep -c '[1-4] [1-4] | [1-4] [1-4]' out)" -eq 4
check "solve: segments and q" grep -q '^[0-9]* segments\{0,1\}, q_halt .*q_continue' out
printf '1 2 | 3 4\n3 4 | 1 2\n----+----\n2 1 | 4 3\n4 3 | 2 .\n' > board.txt
run solve sudoku checkpoint=whole/step_480.safetensors board.txt --show-steps
check "solve: shows steps" grep -q '^segment 1' out
check "solve: no terminal codes in a pipe" test -z "$(grep "$(printf '\033')" out)"
"$hrm" solve sudoku checkpoint=whole/step_480.safetensors < board.txt > out 2> err
check "solve: standard input" test $? -le 1
refuse 1 'the puzzle has 15 cells' solve sudoku checkpoint=whole/step_480.safetensors 1234.....13.2..
refuse 1 'row 1, column 2: 7, expected 1 to 4' solve sudoku checkpoint=whole/step_480.safetensors 17..............
refuse 1 'is no digit' solve sudoku checkpoint=whole/step_480.safetensors '1?..............'
refuse 1 'vocab_size is 6' solve sudoku checkpoint=whole/step_480.safetensors $(printf '%081d' 0)
refuse 2 'expected sudoku, maze, arc or grid' solve chess checkpoint=x
refuse 2 'checkpoint=FILE is missing; a model comes with hrm for sudoku alone' solve maze 1234

# a model that has learned to copy what is given: a full board stays valid, one that breaks a rule does not
good "boards with one blank" data sudoku --output-dir copy --generate 200 --size 4 --givens 15 --threads 1
good "train to copy" train data_path=copy $small global_batch_size=32 arch.hidden_size=32 arch.H_cycles=1 arch.L_cycles=1 steps=250 lr=1e-2 \
    arch.loss.loss_type=softmax_cross_entropy arch.halt_max_steps=2 checkpoint_path=run_copy tensorboard=false
good "solve: a valid answer ends with 0" solve sudoku checkpoint=run_copy/step_250.safetensors 1234341221434321
check "solve: and is called valid" grep -q 'valid: full, keeps the givens' out
run solve sudoku checkpoint=run_copy/step_250.safetensors 1...............
check "solve: a wrong answer ends with 1" test $? -eq 1
check "solve: and says why" grep -q 'not valid' out

good "a maze model" train data_path=maze5 $small steps=1 checkpoint_path=run_maze global_batch_size=2 tensorboard=false
printf '#S   \n  #  \n #   \n  G# \n     \n' > maze.txt
run solve maze checkpoint=run_maze/step_1.safetensors maze.txt
check "solve: a maze" grep -q 'segment' out
run solve maze checkpoint=run_maze/step_1.safetensors maze.txt votes=8
check "solve: a maze eight times" grep -q ' of 8 copies agree' out
refuse 1 'votes is 9, but a maze has 8 symmetric copies' solve maze checkpoint=run_maze/step_1.safetensors maze.txt votes=9
refuse 1 'votes is 2, but without a known symmetry copies are equal' solve maze checkpoint=run_maze/step_1.safetensors maze.txt votes=2 symmetric=false
run solve maze checkpoint=run_maze/step_1.safetensors maze.txt votes=9 symmetric=false start_noise=1e-9
check "solve: a maze in equal copies" grep -q '9 of 9 copies agree' out
run eval checkpoint=run_maze/step_1.safetensors votes=2 symmetric=false
check "eval: equal copies that do not differ" grep -q 'votes is 2, but without a known symmetry' err
saved='eval_save_outputs=[predictions] threads=1'
good "mazes alone" eval checkpoint=run_maze/step_1.safetensors $saved checkpoint_path=one_copy
good "turned copies of mazes" eval checkpoint=run_maze/step_1.safetensors $saved votes=3 checkpoint_path=turned_copies
check "answer otherwise" test "$(cmp -s one_copy/*/predictions.npy turned_copies/*/predictions.npy; echo $?)" -eq 1
good "equal copies of mazes" eval checkpoint=run_maze/step_1.safetensors $saved votes=3 symmetric=false start_noise=1e-9 checkpoint_path=equal_copies
same one_copy/*/predictions.npy equal_copies/*/predictions.npy
printf '#S   \n  #  \n #   \n   # \n     \n' > maze.txt
refuse 1 '1 starts (S) and 0 goals (G)' solve maze checkpoint=run_maze/step_1.safetensors maze.txt
printf '#S   \n  #x \n #   \n  G# \n     \n' > maze.txt
refuse 1 'row 2, column 4: "x"' solve maze checkpoint=run_maze/step_1.safetensors maze.txt

# ---- the model that comes with the command: a small one in its place, and where it is looked for ---------------------------------
unset HRM_MODELS NO_COLOR
extreme=$root/examples/extreme.txt
good "a model of 9x9" train data_path=data9 $small global_batch_size=2 steps=1 checkpoint_path=run9 tensorboard=false
mkdir -p told none cut tree/build/more tree/models lone/bin
good "in its place" convert run9 told/sudoku.safetensors --dtype bf16
found() # NAME PATH PROGRAM: which model it solves with
{
    "$3" solve sudoku "$extreme" threads=1 > out 2> err < /dev/null
    check "$1: solved, not $?" test $? -le 1
    check "$1: with $2" grep -qF "hrm: solving with $2/sudoku.safetensors" err
    check "$1: an answer" test "$(grep -c '^. . . | . . . | . . .$' out)" -eq 9
}
HRM_MODELS=told found "the folder that HRM_MODELS names" told "$hrm"
cp told/sudoku.safetensors tree/models/; cp "$hrm" tree/build/; cp "$hrm" tree/build/more/; cp "$hrm" lone/bin/
found "beside the source tree" "$work/tree/models" tree/build/hrm
found "beside it, deeper" "$work/tree/models" "$work/tree/build/more/hrm"
HRM_MODELS=told found "HRM_MODELS goes first" told tree/build/hrm
in_place() { ${MAKE:-make} --no-print-directory -C "$root" B="$B" PREFIX=/opt/hrm "$@" > out 2> err; }
check "make install" in_place install DESTDIR="$work/stage" MODEL="$work/told/sudoku.safetensors"
found "installed" "$work/stage/opt/hrm/share/hrm/models" stage/opt/hrm/bin/hrm
same stage/opt/hrm/share/hrm/models/sudoku.safetensors told/sudoku.safetensors
mv stage/opt/hrm elsewhere
found "in a prefix that was moved" "$work/elsewhere/share/hrm/models" elsewhere/bin/hrm
mv elsewhere stage/opt/hrm
check "make uninstall" in_place uninstall DESTDIR="$work/stage"
check "leaves no file and no folder of its own" test -z "$(find stage -type f)" -a ! -e stage/opt/hrm/share/hrm
check "a tree without a model is installed" in_place install DESTDIR="$work/stage" MODEL=
check "its command" test -x stage/opt/hrm/bin/hrm -a ! -e stage/opt/hrm/share/hrm

HRM_MODELS=none refuse 1 'no sudoku.safetensors in none, the folder that HRM_MODELS names' solve sudoku "$extreme"
lone/bin/hrm solve sudoku "$extreme" > out 2> err; status=$?
if grep -q 'solving with' err; then echo "skipped: an installed model is found where none should be"
else
    check "no model anywhere: not $status, where it looked" test $status -eq 1 -a "$(grep -cF "no sudoku.safetensors in $work/lone/models, $work/lone/share/hrm/models, $work/models or" err)" -eq 1
    check "and what to do" grep -q 'name a checkpoint=FILE, or set HRM_MODELS' err
fi
head -c 5000 told/sudoku.safetensors > cut/sudoku.safetensors
HRM_MODELS=cut refuse 1 'cut/sudoku.safetensors' solve sudoku "$extreme"
cp whole/step_480.safetensors cut/sudoku.safetensors
HRM_MODELS=cut refuse 1 'cut/sudoku.safetensors: vocab_size is 6, but a sudoku of 9 x 9 has 11' solve sudoku "$extreme"
HRM_MODELS=told refuse 1 'the board is 4 x 4, and the model that comes with hrm solves 9 x 9' solve sudoku 1...............

# what --show-steps draws: signs in a pipe, colours on a terminal, there without them when NO_COLOR is set
export HRM_MODELS=$work/told
run solve sudoku "$extreme" --show-steps threads=1 halt_max_steps=2 halt=full
check "steps: the puzzle" grep -q '^puzzle: 23 givens$' out
check "steps: its givens" grep -qxF ' . [7] .  |  .  . [6] | [9][8] . ' out
check "steps: each segment" test "$(grep -cE '^segment 1: +[0-9.]+ s, q_halt .*, [0-9]+ filled|^segment 2: +[0-9.]+ s, q_halt .*, [0-9]+ changed' out)" -eq 2
check "steps: clashes are counted as they are drawn" test "$(sed -n '/^segment 1/,/^segment 2/p' out | grep -o '[0-9.]!' | wc -l)" = "$(sed -n 's/^segment 1.*filled, \([0-9]*\) clash.*/\1/p' out)"
check "steps: in 80 columns, no codes" test -z "$(grep '^segment' out | grep -E '.{81}'; grep "$(printf '\033')" out)"
if script -qec "stty cols 80" /dev/null > /dev/null 2>&1 < /dev/null; then
    watch="'$hrm' solve sudoku '$extreme' --show-steps threads=1 halt_max_steps=1"
    TERM=xterm script -qec "$watch" /dev/null > out 2> err < /dev/null
    check "steps: a terminal: in place, in colours" test "$(grep -c "$(printf '\033')\[11A" out)" -ge 1 -a "$(grep -c "$(printf '\033')\[1m[1-9]" out)" -ge 9
    NO_COLOR=1 TERM=xterm script -qec "$watch" /dev/null > out 2> err < /dev/null
    check "steps: NO_COLOR: in place, no colours" test "$(grep -c "$(printf '\033')\[11A" out)" -ge 1 -a -z "$(grep "$(printf '\033')\[[0-9;]*m" out)"
    TERM=dumb script -qec "$watch" /dev/null > out 2> err < /dev/null
    check "steps: a terminal that cannot" test -z "$(grep "$(printf '\033')" out)" -a "$(grep -c '^segment' out)" -ge 1
    { tr -d ' |+\n-' < "$extreme"; printf '\n\n'; sleep 3; } | TERM=dumb script -qec "'$hrm' solve sudoku threads=1 halt_max_steps=1" /dev/null > out 2> err
    check "a board typed on a terminal" test "$(grep -c 'an empty line ends it' out)" -eq 1 -a "$(grep -c '^1 segment, q_halt' out)" -eq 1
else
    echo "skipped: no terminal by script(1), steps are not watched on one"
fi
unset HRM_MODELS

# how it is made, tiny: tools/make-model.sh from puzzles to the file
HRM=$hrm PUZZLES=4 TEST_SIZE=2 MAX_DIFFICULTY=1 NUM_AUG=2 CONFIG=$root/examples/configs/sudoku_model.yaml DATA=made/data RUN=made/run MODEL=made/models/sudoku.safetensors \
    sh "$root/tools/make-model.sh" device=cpu threads=1 steps=2 global_batch_size=2 arch.hidden_size=16 arch.num_heads=2 tensorboard=false > out 2> err < /dev/null
check "tools/make-model.sh" test $? -eq 0
run info made/models/sudoku.safetensors
check "its model is the recipe's, smaller, in bfloat16" test "$(grep -cE '^ +(mlp_t +true|H_layers +0|no_ACT_continue +true|hidden_size +16|dtype +BF16)' out)" -eq 5
HRM_MODELS=made/models found "and solves" made/models "$hrm"
if [ -s "$root/models/sudoku.safetensors" ]; then
    HRM_MODELS=$root/models good "the model that comes with the command solves the example" solve sudoku "$extreme"
    check "in 10 MB" test "$(wc -c < "$root/models/sudoku.safetensors")" -le 10000000
else
    echo "skipped: models/sudoku.safetensors is not here"
fi

mkdir -p tasks/training tasks/evaluation
task='{"train": [{"input": [[1,2],[3,4]], "output": [[4,3],[2,1]]}, {"input": [[0,5,0]], "output": [[5]]}], "test": [{"input": [[7,8,9]], "output": [[9,8,7]]}]}'
for name in training/aa training/bb evaluation/cc; do echo "$task" > tasks/$name.json; done
good "ARC tasks" data arc --output-dir arc --dataset-dirs tasks --num-aug 2
good "an ARC model" train data_path=arc $small steps=1 epochs=100 global_batch_size=2 checkpoint_path=run_arc tensorboard=false
run solve arc checkpoint=run_arc/step_1.safetensors tasks/evaluation/cc.json
check "solve: a task" grep -q 'segment' out
check "solve: its embedding is found by name" test -z "$(grep 'embedding' err)"
mkdir -p bad; echo '{"test": [{"input": [[1,2],[3]]}]}' > bad/cc.json
refuse 1 'a row of 1 cells, expected 2' solve arc checkpoint=run_arc/step_1.safetensors bad/cc.json
refuse 1 'vocab_size is 12' solve sudoku checkpoint=run_arc/step_1.safetensors $(printf '%081d' 0)

# ---- conversion, info ------------------------------------------------------------------------------------------------------
mkdir -p torch
good "to PyTorch" convert whole/step_480.safetensors torch/step_480
check "its configuration beside it" test -s torch/step_480.yaml -a ! -e torch/all_config.yaml
good "and back" convert torch/step_480 back.safetensors
good "evaluate the PyTorch file" eval checkpoint=torch/step_480 data_path=data threads=1; cp out torch.json
good "evaluate what came back" eval checkpoint=back.safetensors data_path=data threads=1; cp out back.json
run eval checkpoint=whole/step_480.safetensors data_path=data threads=1
same out torch.json
same out back.json
# what a file says itself counts, then what lies beside it, and what nothing says is asked for
good "another model there" convert run_copy/step_250.safetensors torch/copy.pt
good "each has its own configuration" eval checkpoint=torch/step_480 data_path=data threads=1
same out torch.json
check "and tells where it is from" grep -q 'its configuration is from torch/step_480.yaml' err
cp torch/copy.yaml all_config.yaml
good "a file's own configuration wins over a neighbour's" eval checkpoint=back.safetensors data_path=data threads=1
same out torch.json
check "and that is told" grep -q 'back.safetensors: its configuration is from its own metadata' err
good "info" info torch/copy.pt
check "info: sources" grep -q 'num_heads  *2  *torch/copy.yaml' out
rm all_config.yaml
cp torch/step_480 alone.pt
for c in 'eval data_path=data checkpoint=alone.pt' 'solve sudoku 1............... checkpoint=alone.pt' 'info alone.pt' 'convert alone.pt x.safetensors' \
    "train data_path=data $small checkpoint_path=run_alone load_checkpoint=alone.pt"; do
    case $c in train*) c=${c/arch.num_heads=2/} ;; esac
    refuse 1 'alone.pt: nothing tells its num_heads' $c
done
check "nothing was made of it" test ! -e x.safetensors -a ! -e run_alone
said="arch.num_heads=2 arch.H_cycles=2 arch.L_cycles=2 arch.halt_max_steps=3"
good "said on the command line" eval checkpoint=alone.pt data_path=data threads=1 $said
same out torch.json
check "and that is told" grep -q 'said here: .*arch.num_heads' err
run solve sudoku 1............... checkpoint=alone.pt $said; check "solve takes it" test $? -le 1 -a -s out
good "info takes it" info alone.pt $said
good "convert takes it" convert alone.pt told.safetensors $said
good "and it is in the file" eval checkpoint=told.safetensors data_path=data threads=1
same out torch.json
refuse 1 'arch.num_heads is 4 (command line), but 2 in told.safetensors (its own metadata)' convert told.safetensors x.pt arch.num_heads=4
refuse 1 'arch.causal is true (command line), but false' info torch/step_480 arch.causal=true
sed 's/^  num_heads/  num_hats/' torch/step_480.yaml > alone.yaml
refuse 1 'num_hats' eval checkpoint=alone.pt data_path=data
printf 'no: configuration\n' > alone.yaml
refuse 1 'alone.yaml: it holds no model' convert whole/step_480.safetensors alone.pt
printf 'lr: [1\n' > alone.yaml # the run's, which nobody can read: its training keys are not made up
for c in 'convert alone.safetensors x.pt' 'eval checkpoint=alone.safetensors data_path=data' 'solve sudoku 1............... checkpoint=alone.safetensors'; do
    cp whole/step_480.safetensors alone.safetensors
    refuse 1 'alone.yaml' $c
done
check "and nothing was made" test ! -e x.pt -a ! -e x.yaml
rm alone.yaml
good "weights of another width than the default's" train data_path=data $small global_batch_size=32 arch.hidden_size=32 arch.expansion=4 steps=1 checkpoint_path=run_width tensorboard=false
good "as a PyTorch file" convert run_width/step_1.safetensors width.pt; rm width.yaml
good "start from it with the right expansion" train data_path=data $small arch.H_cycles=2 arch.L_cycles=2 arch.hidden_size=32 arch.expansion=4 steps=1 checkpoint_path=run_from load_checkpoint=width.pt tensorboard=false
refuse 1 'wide' train data_path=data $small arch.hidden_size=32 arch.expansion=16 steps=1 checkpoint_path=run_from2 load_checkpoint=width.pt
# a folder: its newest step
mkdir steps; cp whole/step_480.safetensors steps/step_99.safetensors; cp whole/step_480.safetensors steps/step_480.safetensors; mkdir steps/step_500_all_preds
for c in 'eval data_path=data threads=1 checkpoint=steps' 'info steps' 'convert steps newest.safetensors' \
    "train data_path=data $small steps=1 checkpoint_path=run_newest tensorboard=false load_checkpoint=steps"; do good "a folder: $c" $c; done
check "the newest by number" grep -q '^load_checkpoint: steps/step_480.safetensors$' run_newest/all_config.yaml
refuse 1 'data: no checkpoint step_N in this folder' info data

for type in bf16 f16 f32; do
    good "to $type" convert whole/step_480.safetensors $type.safetensors --dtype $type
    good "info of $type" info $type.safetensors
    check "its dtype" grep -qi "dtype  *$type" out
done
check "info: the total" grep -q 'parameters, trained' out
check "info: the step" grep -q 'training step  *480' out
good "info of a training state" info whole/state.safetensors
check "info: its step" grep -q 'training step  *480' out
refuse 2 'expected f32, bf16 or f16' convert whole/step_480.safetensors x.safetensors --dtype f8
refuse 2 'seq-len is "16x", expected 1 to' convert whole/step_480.safetensors x.safetensors --seq-len 16x
refuse 2 'tells no format' convert whole/step_480.safetensors x.onnx
head -c 20000 whole/step_480.safetensors > cut.safetensors
refuse 1 'cut.safetensors' info cut.safetensors
refuse 1 'cut.safetensors' eval checkpoint=cut.safetensors data_path=data
head -c 20000 torch/step_480 > cut.pt
refuse 1 'cut.pt' info cut.pt

# ---- the golden cases: their first batch as a data set, evaluated from both formats ------------------------------------------
number() { sed -n "s/.*\"$1\": *\([-0-9.e+]*\).*/\1/p" "$2" | head -1; }
close() # NAME EXPECTED.json RESULT
{
    local k a b
    for k in accuracy exact_accuracy q_halt_accuracy steps lm_loss q_halt_loss; do
        a=$(number $k "$2") b=$(number $k "$3")
        if awk "BEGIN { a = $a + 0; b = ${b:-1e9} + 0; d = a - b; if (d < 0) d = -d; exit !(d <= 1e-4 * (a > 1 ? a : 1)) }"; then ok; else bad "$1: $k is $b, expected $a"; fi
    done
}
if ${CC:-cc} -std=c99 -O1 $HRM_SANITIZE -I"$root" "$root/tests/golden_dataset.c" "$B/hrm.o" -lm -pthread -o dataset 2> err; then
    golden=
    for g in "$root"/tests/golden/*/ "$shared"/golden/*/; do
        [ -s "$g/config.json" ] || continue
        case $g in "$shared"*) golden=yes ;; esac
        name=$(basename "$g")
        mkdir -p "$name/test"
        check "$name as a data set" ./dataset "$g/batches.safetensors" "$name" "$(number vocab_size "$g/config.json")" "$(number num_puzzle_identifiers "$g/config.json")"
        cp "$g/all_config.yaml" "$name/"
        for f in final.safetensors:eval init.safetensors:eval_init checkpoint.pt:eval_init; do
            [ -s "$g/${f%:*}" ] || continue
            cp "$g/${f%:*}" "$name/"
            good "$name: eval ${f%:*}" eval checkpoint="$name/${f%:*}" data_path="$name" threads=1
            close "$name ${f%:*}" "$g/${f#*:}.json" out
        done
    done
    [ -n "$golden" ] || echo "skipped: no golden cases in $shared"
else
    bad "the data set writer does not build"
fi

# ---- weights too large to compute with -------------------------------------------------------------------------------------
patch() # NAME: that tensor of large.safetensors becomes 3e38 throughout
{
    local length from to
    length=$(od -An -tu4 -N4 large.safetensors | tr -d ' ')
    read -r from to < <(head -c $((8 + length)) large.safetensors | tail -c "$length" | sed -n "s/.*\"$1\":{[^}]*\"data_offsets\":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p")
    [ -n "$to" ] || return
    for _ in $(seq $(((to - from) / 4))); do printf '\231\262\141\177'; done | dd of=large.safetensors bs=1 seek=$((8 + length + from)) conv=notrunc 2> err
}
cp run_a/step_30.safetensors large.safetensors
check "a tensor is found" patch inner.lm_head.weight
run eval checkpoint=large.safetensors data_path=data threads=1
check "an evaluation of them: status 1" test $? -eq 1 -a "$(grep -c 'large.safetensors: losses that are not finite' err)" -eq 1
check "and null, as JSON has it" test "$(grep -c '"lm_loss": null' out)" -eq 1 -a -z "$(grep -iE '(nan|inf)[,}]' out)"
cp run_a/step_30.safetensors large.safetensors
check "another" patch inner.q_head.weight
run analyze checkpoint=large.safetensors data_path=data threads=1 pictures=svg
check "no analysis of them" test $? -eq 1 -a "$(grep -c 'large.safetensors: states or q that are not finite' err)" -eq 1 -a ! -e large_analysis/analysis.json

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
