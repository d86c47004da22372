# usage: devices.sh BENCH_DEVICES [BATCH[:ARCH]…]: one process for each of GPUS [2] GPUs of this machine; the same result first, then
# step times. Exit status 1 when a process fails.
bench=$1 port=$((20000 + $$ % 20000)) failed=0
shift
all() # ARGUMENTS: all ranks; rank 0 speaks
{
    local r pids=()
    port=$((port + 1))
    for ((r = 1; r < ${GPUS:-2}; r++)); do
        RANK=$r LOCAL_RANK=$r WORLD_SIZE=${GPUS:-2} MASTER_PORT=$port "$bench" "$@" > /dev/null & pids+=($!)
    done
    RANK=0 LOCAL_RANK=0 WORLD_SIZE=${GPUS:-2} MASTER_PORT=$port "$bench" "$@" || failed=1
    for r in "${pids[@]}"; do wait "$r" || failed=1; done
}
all --check
all "$@"
exit $failed
