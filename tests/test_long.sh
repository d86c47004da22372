#!/usr/bin/env bash
# Runs that are long, killed, or two in one folder, with the average of the weights, batches worked on in parts and Muon on: memory
# stays where it is and two runs are equal; whenever a run is killed, all that is there is whole, and it ends with the same bytes as
# one that was not; of two processes one works and the other says why not. `make long` does 100,000 steps, 200 kills and 200 pairs;
# `make test` few.
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
if [ -n "$HRM_TEST_LONG" ]; then steps=100000 kills=200 pairs=200
elif [ -n "$HRM_TEST_ALL" ]; then steps=10000 kills=30 pairs=16
else steps=1000 kills=10 pairs=4; fi
export HRM_MODELS=none
tiny="data_path=data arch.hidden_size=8 arch.num_heads=1 arch.H_layers=1 arch.L_layers=1 arch.expansion=1 arch.halt_max_steps=2
    global_batch_size=4 threads=1 seed=5 ema=true optimizer=muon grad_accumulation=2"
good "data" data sudoku --output-dir data --generate 80 --size 4 --seed 1 --threads 1 # 20 steps are an epoch
no_leftovers() { check "$1: nothing half-written is left" test -z "$(find "$2" -name '*.tmp[0-9]*' -o -name '*.lock')"; }

# ---- long ------------------------------------------------------------------------------------------------------------------
for at in once twice; do
    "$hrm" train $tiny epochs=$((steps / 20)) eval_interval=$((steps / 200)) save_interval=$((steps / 10)) log_interval=100 checkpoint_path=$at > $at.out 2> $at.err < /dev/null &
    pids="$pids $!"
done
pid=${pids##* }
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status 2> /dev/null; }
early=0 late=0 samples=0
while kill -0 $pid 2> /dev/null; do # the most resident kilobytes up to a fifth of the steps, and after it
    now=$(resident)
    done_steps=$(tail -n 1 twice/metrics.jsonl 2> /dev/null | sed -n 's/^{"step": *\([0-9]*\).*/\1/p')
    if [ -z "$now" ]; then :
    elif [ "${done_steps:-0}" -le $((steps / 5)) ]; then [ "$now" -gt $early ] && early=$now
    else samples=$((samples + 1)); [ "$now" -gt $late ] && late=$now; fi
    sleep 0.1
done
for p in $pids; do wait $p; check "a run of $steps steps ends well, not with $?" test $? -eq 0; done
same once/step_$steps.safetensors twice/step_$steps.safetensors
same once/state.safetensors twice/state.safetensors
same once/metrics.jsonl twice/metrics.jsonl
if [ $early -gt 0 ] && [ $samples -gt 3 ]; then
    check "memory grew from $early KB to $late KB" test "$late" -le $((early + 256))
    sampled=yes
    echo "$steps steps: $early KB resident up to a fifth of them, at most $late KB after it"
fi
[ -z "$HRM_TEST_LONG" ] || check "memory was looked at" test -n "$sampled" -o ! -e /proc/self/status
no_leftovers "two long runs" .

# ---- killed ----------------------------------------------------------------------------------------------------------------
length=1200 killed=0 rounds=0 wasted=0
run_of="$tiny epochs=60 eval_interval=15 log_interval=50"
good "not killed" train $run_of save_interval=400 checkpoint_path=whole
while [ $killed -lt $kills ]; do
    rm -rf part
    rounds=$((rounds + 1))
    while [ $killed -lt $kills ]; do
        if [ -s part/state.safetensors ]; then set -- resume=part; else set -- $run_of checkpoint_path=part overwrite=true; fi
        "$hrm" train "$@" save_interval=1 > out 2> err < /dev/null &
        pid=$!
        sleep 0.$(printf %03d $((RANDOM % 300 + 10)))
        kill -9 $pid 2> /dev/null
        wait $pid 2> /dev/null
        status=$?
        [ $status -eq 0 ] && break # it was done before
        [ $status -eq 137 ] || { bad "killed, but ended with $status"; break; }
        killed=$((killed + 1))
        [ -s part/state.safetensors ] || wasted=$((wasted + 1))
        for f in part/*.safetensors; do
            [ -e "$f" ] || continue
            if run info "$f"; then ok; else bad "killed -9: $f is broken"; fi
        done
    done
    if [ -s part/state.safetensors ]; then set -- resume=part; else set -- $run_of checkpoint_path=part overwrite=true; fi
    [ -e part/step_$length.safetensors ] || good "resumed" train "$@" save_interval=400
    same whole/step_$length.safetensors part/step_$length.safetensors
    same whole/metrics.jsonl part/metrics.jsonl
    no_leftovers "$killed kills" part
done
echo "$killed kills in $rounds runs, $wasted of them before there was a state"
check "some kills hit a run at work" test $wasted -lt $killed

# ---- two at once -----------------------------------------------------------------------------------------------------------
length=40
run_of="$tiny steps=$length log_interval=10"
good "alone" train $run_of checkpoint_path=alone
good "the data" data sudoku --output-dir made --generate 30 --size 4 --seed 1 --threads 1
good "half of it" train $run_of steps=20 checkpoint_path=half
refused=0
two() # NAME RESULT REFERENCE ARGUMENTS…: at the same time; one at least does it, another that does not says why
{
    local name=$1 result=$2 reference=$3 first second a b
    shift 3
    "$hrm" "$@" > out1 2> err1 < /dev/null & first=$!
    "$hrm" "$@" > out2 2> err2 < /dev/null & second=$!
    wait $first; a=$?
    wait $second; b=$?
    [ $a -eq 0 ] && [ $b -le 1 ] || [ $b -eq 0 ] && [ $a -le 1 ]
    check "two at once, $name: status $a and $b: $(tail -n 1 err1) $(tail -n 1 err2)" test $? -eq 0
    [ $a -eq 0 ] || { refused=$((refused + 1)); check "$name: the first says why" grep -q '^hrm: .' err1; }
    [ $b -eq 0 ] || { refused=$((refused + 1)); check "$name: the second says why" grep -q '^hrm: .' err2; }
    if diff -r "$result" "$reference" > out 2>&1; then ok; else bad "two at once, $name: $result is not as $reference"; fi
    no_leftovers "two at once, $name" "${result%%/*}"
}
for ((i = 0; i < pairs; i++)); do
    case $((i % 4)) in
    0) rm -rf pair; two "new" pair/step_$length.safetensors alone/step_$length.safetensors train $run_of checkpoint_path=pair ;;
    1) two "overwrite" pair/step_$length.safetensors alone/step_$length.safetensors train $run_of checkpoint_path=pair overwrite=true ;;
    2) rm -rf pair; cp -r half pair
       two "resume" pair/step_$length.safetensors alone/step_$length.safetensors train resume=pair steps=$length ;;
    3) rm -rf pair; two "data" pair made data sudoku --output-dir pair --generate 30 --size 4 --seed 1 --threads 1 ;;
    esac
done
echo "$pairs pairs, $refused refused"
check "some of them met" test $refused -gt 0

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
