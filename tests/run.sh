#!/bin/sh
# Runs tests by name (test_x: tests/test_x.c, built first; test_x.sh: a script) and adds up their last lines, as many at a time
# as there are processors (or HRM_TEST_LANES). Each writes to a file of its own, which is told when it ends. A test that does
# not build, crashes, or ends without that line counts as one failure. Called by `make test`.
B=${B:-build}
logs=$B/tests/logs
mk() { ${MAKE:-make} --no-print-directory B="$B" "$@"; }

if [ "$1" = --one ]; then # one lane's work -> its name, status and seconds
    t=$2 status=0 start=$(date +%s)
    case $t in
    *.sh) timeout "${HRM_TEST_TIMEOUT:-600}" bash "tests/$t" > "$logs/$t.txt" 2>&1 || status=$? ;;
    *)
        if mk "$B/tests/$t" > "$logs/$t.txt" 2>&1; then
            timeout "${HRM_TEST_TIMEOUT:-600}" $HRM_TEST_RUNNER "$B/tests/$t" > "$logs/$t.txt" 2>&1 || status=$?
        else
            status=1
        fi ;;
    esac
    echo "$t $status $(($(date +%s) - start))"
    exit 0
fi

passed=0 failed=0
line() # NAME STATUS SECONDS: adds up the last line of its log
{
    log=$logs/$1.txt
    counts=$(tail -n 1 "$log" | sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p')
    p=${counts% *} f=${counts#* }
    [ -n "$counts" ] || { p=0 f=1; }
    [ "$2" -eq 0 ] || [ "$f" -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f))
    printf '%-28s %6d passed, %d failed   %ds\n' "$1" "$p" "$f" "$3"
    [ "$f" -eq 0 ] || { [ -n "$counts" ] && [ "$2" -le 1 ] || echo "  ended with status $2"; sed 's/^/  | /' "$log" | tail -n 60; }
    grep -i '^skipped' "$log" | sed 's/^/  /'
}

rm -rf "$logs"
mkdir -p "$logs"
start=$(date +%s)
lanes=${HRM_TEST_LANES:-$(nproc 2>/dev/null || echo 2)}
# All that tests share is built before they start, so that no two of them build it at once; what fails is told one by one.
goals="all lib"
for t in "$@"; do
    case $t in
    test_devices.sh)
        goals="$goals $B/tests/test_devices"
        command -v "${MPICC:-mpicc}" > /dev/null && goals="$goals $B/hrm-mpi" ;;
    test_paths.sh) for p in golden family threads act; do goals="$goals $B/tests/test_$p"; done ;;
    *.sh) ;;
    *) goals="$goals $B/tests/$t" ;;
    esac
done
mk -k -j"$lanes" $(printf '%s\n' $goals | sort -u) > "$logs/build.txt" 2>&1
if ! mk all lib > "$logs/make.txt" 2>&1; then
    echo "0 passed, 1 failed" >> "$logs/make.txt"
    line make 1 0
fi
if ! mk format-check > "$logs/format-check.txt" 2>&1; then
    echo "0 passed, 1 failed" >> "$logs/format-check.txt"
    line format-check 1 0
fi
echo "built in $(($(date +%s) - start))s"

# The longest first, so that none of them is left alone at the end.
longest="test_builds.sh test_cuda.sh test_packages.sh test_gradients test_examples.sh test_cli.sh test_devices.sh test_web.sh test_paths.sh test_data
    test_python.sh test_commands.sh test_family.sh test_quantized test_pictures"
order()
{
    for t in $longest "$@"; do
        case " $* " in *" $t "*) case " $seen " in *" $t "*) ;; *) seen="$seen $t"; echo "$t" ;; esac ;; esac
    done
}
order "$@" | xargs -P "$lanes" -n 1 sh "$0" --one | {
    while read -r name status seconds; do line "$name" "$status" "$seconds"; done
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
