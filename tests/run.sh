#!/bin/sh
# Runs tests by name (test_x: tests/test_x.c, built first; test_x.sh: a script) and adds up their last lines. A test that does
# not build, crashes, or ends without that line counts as one failure. Called by `make test`.
B=${B:-build}
passed=0 failed=0
mkdir -p "$B/tests"
log=$B/tests/log.txt

line() # NAME STATUS: adds up the last line of $log
{
    counts=$(tail -n 1 "$log" | sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p')
    p=${counts% *} f=${counts#* }
    [ -n "$counts" ] || { p=0 f=1; }
    [ "$2" -eq 0 ] || [ "$f" -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f))
    printf '%-28s %6d passed, %d failed   %ds\n' "$1" "$p" "$f" "$(($(date +%s) - start))"
    [ "$f" -eq 0 ] || { [ -n "$counts" ] && [ "$2" -le 1 ] || echo "  ended with status $2"; sed 's/^/  | /' "$log" | tail -n 60; }
    grep -i '^skipped' "$log" | sed 's/^/  /'
}

start=$(date +%s)
programs=
for t in "$@"; do case $t in *.sh) ;; *) programs="$programs $B/tests/$t" ;; esac; done
# all at once; what fails here is told one by one below
${MAKE:-make} --no-print-directory -k -j"$(nproc 2>/dev/null || echo 2)" B="$B" all $programs > "$log" 2>&1
if ! ${MAKE:-make} --no-print-directory B="$B" all > "$log" 2>&1; then
    echo "1 failed: the build" >> "$log"
    line "make all" 1
fi
if ! ${MAKE:-make} --no-print-directory format-check > "$log" 2>&1; then
    echo "0 passed, 1 failed" >> "$log"
    line "make format-check" 1
fi
for t in "$@"; do
    start=$(date +%s)
    case $t in
    *.sh) timeout "${HRM_TEST_TIMEOUT:-600}" bash "tests/$t" > "$log" 2>&1; status=$? ;;
    *)
        if ${MAKE:-make} --no-print-directory B="$B" "$B/tests/$t" > "$log" 2>&1; then
            timeout "${HRM_TEST_TIMEOUT:-600}" $HRM_TEST_RUNNER "$B/tests/$t" > "$log" 2>&1
            status=$?
        else
            status=1
        fi ;;
    esac
    line "$t" "$status"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
