# Several processes that train and evaluate together, over TCP and, where mpirun is there, over MPI: against one process, with
# ranks that are killed, that fail, that are stopped, and resumed by another number of them.
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
distance() { "$B/tests/test_devices" "$1" "$2"; } # of two states
port=$((20000 + $$ % 20000))

# ranks N ARGUMENTS: hrm as N processes over TCP; what rank r says is in out.r and err.r, its exit status in code.r
ranks()
{
    local n=$1 r; shift
    start "$n" "$@"
    for ((r = 0; r < n; r++)); do wait "${pids[r]}"; echo $? > "code.$r"; done
    cp out.0 out; cp err.0 err
}
start() # N ARGUMENTS: the same without waiting; pids
{
    local n=$1 r; shift
    port=$((port + 1)) pids=()
    rm -f out.* err.* code.*
    for ((r = 0; r < n; r++)); do
        WORLD_SIZE=$n RANK=$r LOCAL_RANK=$r MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$hrm" "$@" > "out.$r" 2> "err.$r" < /dev/null &
        pids+=($!)
    done
}
codes() { cat code.*; } # one a line
all_are() { [ "$(codes | sort -u)" = "$1" ]; }
until_there() { for ((i = 0; i < 200; i++)); do [ -e "$1" ] && return 0; sleep 0.1; done; return 1; }
near() # NAME STATE STATE
{
    local d; d=$(distance "$2" "$3")
    if awk "BEGIN { exit !($d < 1e-4) }" 2> /dev/null; then ok; else bad "$1: $d apart"; fi
}

good "data" data sudoku --size 4 --generate 200 --test-size 50 --givens 7 --seed 1 --output-dir data
small="data_path=data arch.hidden_size=32 arch.num_heads=2 arch.H_layers=1 arch.L_layers=2 arch.halt_max_steps=4 threads=1
    arch.halt_exploration_prob=0.5 lr_warmup_steps=1 lr=1e-3 log_interval=1 tensorboard=false"
train="train $small global_batch_size=20 eval_save_outputs=[predictions,q_halt_logits]"

# ---- one, two, three ------------------------------------------------------------------------------------------------------
good "one process" $train steps=12 checkpoint_path=one
good "one process, half" $train steps=6 checkpoint_path=half
good "one process goes on" train resume=half steps=12 threads=1
for n in 2 3; do
    ranks $n $train steps=12 checkpoint_path=tcp$n
    check "$n ranks" all_are 0
    near "$n ranks against one process" tcp$n/state.safetensors one/state.safetensors
    for ((r = 1; r < n; r++)); do check "rank $r of $n is silent" test ! -s err.$r -a ! -s out.$r; done
    check "it says how many" grep -q "$n processes" err.0
    check "lines of metrics" test "$(wc -l < tcp$n/metrics.jsonl)" -eq "$(wc -l < one/metrics.jsonl)"
    check "the same exact accuracies" diff <(grep -o '"[a-z/]*exact_accuracy": [0-9.]*' tcp$n/metrics.jsonl) \
        <(grep -o '"[a-z/]*exact_accuracy": [0-9.]*' one/metrics.jsonl)
    check "the same predictions" cmp tcp$n/step_12_all_preds/predictions.npy one/step_12_all_preds/predictions.npy
    ls one > a; ls tcp$n > b
    check "the same files" cmp a b
done
ranks 3 $train steps=6 checkpoint_path=other
ranks 2 train resume=other steps=12 threads=1
check "resumed by two" all_are 0
near "three ranks, then two" other/state.safetensors half/state.safetensors
good "resumed by one" train resume=other steps=13 threads=1

# ---- evaluating -----------------------------------------------------------------------------------------------------------
for what in "halt=full eval_batch_size=7" "halt=adaptive eval_batch_size=7 eval_examples=31" "votes=4 eval_batch_size=16"; do
    rm -rf one/step_12_all_preds
    good "eval $what" eval checkpoint=one/step_12.safetensors $what eval_save_outputs=[predictions,steps] threads=1
    cp out alone; cp -r one/step_12_all_preds preds
    for n in 2 ${HRM_TEST_ALL:+3}; do
        rm -rf one/step_12_all_preds
        ranks $n eval checkpoint=one/step_12.safetensors $what eval_save_outputs=[predictions,steps] threads=1
        check "eval $what, $n ranks" all_are 0
        check "eval $what, $n ranks: the same result" cmp alone out.0
        check "eval $what, $n ranks: rank 1 is silent" test ! -s out.1 -a ! -s err.1
        check "eval $what, $n ranks: the same outputs" diff -r preds one/step_12_all_preds
    done
    rm -rf preds
done

# ---- what goes wrong ------------------------------------------------------------------------------------------------------
ranks 3 train $small global_batch_size=2 steps=3 checkpoint_path=none
check "too small a batch" all_are 1
check "which is told once" test "$(cat err.* | grep -c 'a batch of 2 rows is too small for 3 processes')" -eq 1
check "and nothing else" test "$(cat err.* | wc -l)" -eq 1
ranks 2 $train steps=12 checkpoint_path=one
check "a folder that holds a run" all_are 1
check "is refused by rank 0" grep -q "one holds a run" err.0
ranks 2 $train steps=4 checkpoint_path=tcp2 overwrite=true
check "and replaced when asked" all_are 0
check "with the old log kept" test -s tcp2/metrics.old.jsonl
ranks 2 $train steps=4 checkpoint_path=none device=cuda
check "GPUs without NCCL" grep -q "NCCL" err.0
check "end all" all_are 1
one_is_other() # ARGUMENT: rank 1 is started with another
{
    rm -f out.* err.* code.*
    port=$((port + 1))
    WORLD_SIZE=2 RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$hrm" $train steps=4 checkpoint_path=none2 overwrite=true > out.0 2> err.0 &
    WORLD_SIZE=2 RANK=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$hrm" $train steps=4 checkpoint_path=none2 overwrite=true "$1" > out.1 2> err.1
    echo $? > code.1
    wait $!; echo $? > code.0
    cp err.0 err; cp out.0 out
}
one_is_other data_path=nowhere
check "a rank without data ends all" all_are 1
check "rank 0 says why" grep -q "rank 1: nowhere" err.0
check "in one line" test "$(cat err.0 err.1 | wc -l)" -eq 1
one_is_other lr=1e-2
check "a rank that trains otherwise ends all" all_are 1
check "and is named" grep -q "rank 1 trains otherwise than rank 0" err.0
MASTER_PORT=x WORLD_SIZE=2 RANK=0 refuse 2 "MASTER_PORT is \"x\"" $train steps=2 checkpoint_path=none

# ---- ranks that end -------------------------------------------------------------------------------------------------------
for victim in 1 0; do
    start 3 $train steps=1000000 checkpoint_path=killed$victim save_interval=5
    check "a state is there" until_there killed$victim/state.safetensors
    sleep 0.3
    kill -9 "${pids[victim]}"
    SECONDS=0
    for ((r = 0; r < 3; r++)); do wait "${pids[r]}" 2> /dev/null; echo $? > code.$r; done
    check "rank $victim killed: the others end in seconds" test $SECONDS -le 5
    check "with status 1" test "$(codes | sort -n | tr '\n' ' ')" = "1 1 137 "
    told=$((victim == 0))
    check "and say so" grep -q "rank $victim of 3 is gone" err.$told
    check "in one line each" test "$(cat err.* | grep -c gone)" -eq $((victim == 0 ? 2 : 1))
    step=$("$hrm" info killed$victim/state.safetensors 2> /dev/null | grep -c .)
    check "the state can be read" test "$step" -gt 0
    mkdir keep; cp killed$victim/all_config.yaml killed$victim/state.safetensors keep
    start 2 train resume=killed$victim steps=1000000 threads=1
    sleep 1
    kill -TERM "${pids[1]}" # one rank is asked to stop: all save and stop
    for ((r = 0; r < 2; r++)); do wait "${pids[r]}" 2> /dev/null; echo $? > code.$r; done
    check "gone on with by two until one is told to stop" all_are 143
    check "rank 0 says where" grep -q "stopped at step" err.0
    rm -rf keep
done

# ---- MPI ------------------------------------------------------------------------------------------------------------------
if [ -x "$B/hrm-mpi" ] && command -v mpirun > /dev/null; then
    more=
    mpirun --version 2>&1 | grep -qi 'open' && more="--oversubscribe" && export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    for n in 2 3; do
        mpirun $more -n $n "$B/hrm-mpi" $train steps=12 checkpoint_path=mpi$n > out 2> err < /dev/null
        check "mpirun -n $n" test $? -eq 0
        near "mpirun -n $n against one process" mpi$n/state.safetensors one/state.safetensors
        check "rank 0 alone speaks" test "$(grep -c 'weights in' err)" -eq 1
    done
    good "alone" eval checkpoint=one/step_12.safetensors eval_batch_size=7 eval_examples=31 halt=adaptive threads=1
    cp out alone
    mpirun $more -n 2 "$B/hrm-mpi" eval checkpoint=one/step_12.safetensors eval_batch_size=7 eval_examples=31 halt=adaptive threads=1 \
        > out 2> err < /dev/null
    check "mpirun hrm eval: the same result" cmp alone out
    mpirun $more -n 3 "$B/hrm-mpi" train $small global_batch_size=2 steps=3 checkpoint_path=none > out 2> err < /dev/null
    check "mpirun ends with the command's status" test $? -eq 1
    check "told once" test "$(grep -c 'a batch of 2 rows is too small for 3 processes' err)" -eq 1
    mpirun $more -n 3 "$B/hrm-mpi" $train steps=1000000 checkpoint_path=mpikilled save_interval=5 > out 2> err < /dev/null &
    launcher=$!
    check "a state is there" until_there mpikilled/state.safetensors
    sleep 0.3
    victim=
    for p in /proc/[0-9]*; do # a process of ours, of that run, rank 1
        tr '\0' '\n' < "$p/cmdline" | grep -qx checkpoint_path=mpikilled || continue
        [ "$(readlink "$p/cwd")" = "$work" ] || continue
        tr '\0' '\n' < "$p/environ" | grep -qE '^(PMI_RANK|OMPI_COMM_WORLD_RANK)=1$' && victim=${p#/proc/}
    done 2> /dev/null
    if [ -n "$victim" ]; then
        kill -9 "$victim"
        SECONDS=0
        wait $launcher
        check "mpirun ends with status" test $? -ne 0
        check "within seconds" test $SECONDS -le 5
        start 1 train resume=mpikilled steps=1000000 threads=1
        sleep 0.7
        kill -TERM "${pids[0]}"; wait "${pids[0]}" 2> /dev/null
        check "one process goes on" test $? -eq 143
    else
        kill $launcher; wait $launcher 2> /dev/null
        echo "skipped: the kill of an MPI process, which /proc does not show"
    fi
else
    echo "skipped: MPI, which is not here"
fi

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
