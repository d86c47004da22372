#!/bin/sh
# One target after the other under libFuzzer, SECONDS each: executions, executions a second, edges; ends with 1 when one found
# something. Called by `make fuzz`.
B=${B:-build} failed=0 total=0
mkdir -p "$B/fuzz/found"
printf '%-12s %12s %10s %8s %8s\n' target executions "a second" edges inputs
for t in $FUZZ; do
    mkdir -p "$B/fuzz/corpus/$t"
    log=$B/fuzz/$t.txt most=8192
    case $t in state | model) most=65536 ;; esac # whole tensors
    ASAN_OPTIONS=detect_leaks=1 HRM_FUZZ=$t "$B/fuzz/fuzz" -max_total_time="${SECONDS:-60}" -max_len=$most -rss_limit_mb=2048 \
        -timeout=10 -close_fd_mask=1 -print_final_stats=1 -dict="$B/fuzz/seeds/$t.dict" -artifact_prefix="$B/fuzz/found/$t-" \
        "$B/fuzz/corpus/$t" "$B/fuzz/seeds/$t" > /dev/null 2> "$log.all"
    status=$?
    grep -v '^hrm: ' "$log.all" > "$log"
    rm -f "$log.all"
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf '%-12s %12s %10s %8s %8s\n' "$t" "${runs:-0}" "${speed:-0}" "${edges:-0}" "$(ls "$B/fuzz/corpus/$t" | wc -l)"
    total=$((total + ${runs:-0}))
    if [ $status -ne 0 ]; then
        failed=1
        echo "  FOUND: $B/fuzz/found/$t-…, told in $log"
        grep -m 5 'ERROR\|runtime error\|SUMMARY' "$log" | sed 's/^/  | /'
    fi
done
echo "$total executions"
exit $failed
