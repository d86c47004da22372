#!/bin/sh
# The targets named in FUZZ under libFuzzer, SECONDS each, JOBS processes at a time: executions, executions a second of one process,
# edges; ends with 1 when one found something. Where there are more processes than targets, the slow ones get several, which share
# their corpus. Called by `make fuzz`, or with FUZZER, SEEDS and OUT by hand.
B=${B:-build}
FUZZER=${FUZZER:-$B/fuzz/fuzz} SEEDS=${SEEDS:-$B/fuzz/seeds} OUT=${OUT:-$B/fuzz}
SECONDS_EACH=${SECONDS_EACH:-60} JOBS=${JOBS:-1}
export FUZZER SEEDS OUT SECONDS_EACH

if [ "$1" = --one ]; then # one process on TARGET-NUMBER; after a find it goes on for the time that is left
    t=${2%-*} log=$OUT/log/$2.txt most=8192 end=$(($(date +%s) + SECONDS_EACH)) finds=0
    case $t in state | model) most=65536 ;; esac # whole tensors
    : > "$log"
    while left=$((end - $(date +%s))) && [ $left -gt 0 ] && [ $finds -lt 5 ]; do
        ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} HRM_FUZZ=$t "$FUZZER" -max_total_time=$left -max_len=$most -rss_limit_mb=2048 -timeout=10 \
            -reload=5 -close_fd_mask=1 -print_final_stats=1 -dict="$SEEDS/$t.dict" -artifact_prefix="$OUT/found/$2-" \
            "$OUT/corpus/$t" "$SEEDS/$t" 2>&1 > /dev/null | grep -av '^hrm: ' >> "$log"
        grep -aq '^Done ' "$log" && break
        finds=$((finds + 1))
    done
    exit 0
fi

mkdir -p "$OUT/found" "$OUT/log"
rm -f "$OUT"/log/*
for t in $FUZZ; do mkdir -p "$OUT/corpus/$t"; done
# One process for each target, and what more there are go to these in turn.
{
    for t in $FUZZ; do echo "$t-1"; done
    spare=$((JOBS - $(echo $FUZZ | wc -w))) round=1
    while [ $spare -gt 0 ]; do
        round=$((round + 1)) before=$spare
        for t in state config task model dataset csv checkpoint; do
            case " $FUZZ " in *" $t "*) ;; *) continue ;; esac
            [ $spare -gt 0 ] && echo "$t-$round" && spare=$((spare - 1))
        done
        [ $spare -lt $before ] || break
    done
} | xargs -P "$JOBS" -n 1 sh "$0" --one

failed=0 total=0
printf '%-12s %12s %10s %8s %8s\n' target executions "a second" edges inputs
for t in $FUZZ; do
    runs=$(cat "$OUT/log/$t"-*.txt | sed -n 's/^stat::number_of_executed_units: *//p' | awk '{ n += $1 } END { print n + 0 }')
    speed=$(cat "$OUT/log/$t"-*.txt | sed -n 's/^stat::average_exec_per_sec: *//p' | awk '{ n += $1; k++ } END { print k ? int(n / k) : 0 }')
    edges=$(cat "$OUT/log/$t"-*.txt | sed -n 's/.* cov: \([0-9]*\) .*/\1/p' | sort -n | tail -n 1)
    printf '%-12s %12s %10s %8s %8s\n' "$t" "$runs" "$speed" "${edges:-0}" "$(ls "$OUT/corpus/$t" | wc -l)"
    total=$((total + runs))
    [ "$runs" -gt 0 ] || { failed=1; echo "  did not run:"; tail -n 3 "$OUT/log/$t-1.txt"; }
    for log in "$OUT/log/$t"-*.txt; do
        grep -aq 'ERROR\|runtime error' "$log" || continue
        failed=1
        echo "  FOUND: $OUT/found/$(basename "$log" .txt)-…, told in $log"
        grep -a -m 5 'ERROR\|runtime error\|SUMMARY' "$log" | sed 's/^/  | /'
    done
done
echo "$total executions"
exit $failed
