#!/bin/sh
# One call that builds, checks and times the GPU backend on the machine at hand, short results last.
# usage: check.sh [test|golden|bench|sanitize]…   [all of them]
[ $# -gt 0 ] || set -- test golden bench sanitize
cd "$(dirname "$0")/../.." || exit 1
start=$(date +%s)
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
mkdir -p build
[ -f .carry/hrm_cuda.o ] && cp .carry/hrm_cuda.o build/ # built elsewhere from these sources
${MAKE:-make} -s -j8 WARNINGS=-w build/cuda/tests/test_cuda build/cuda/tests/golden build/cuda/tests/bench_cuda || exit 1
echo "built after $(($(date +%s) - start)) s"
failed=0
for what in "$@"; do
    log=build/check_$what.txt status=0
    case $what in
    test) timeout 400 build/cuda/tests/test_cuda > "$log" 2>&1 || status=$?; tail -n 60 "$log" ;;
    golden) timeout 100 build/cuda/tests/golden > "$log" 2>&1 || status=$?; tail -n 20 "$log" ;;
    bench) timeout 240 build/cuda/tests/bench_cuda $CASES || status=$? ;;
    sanitize) sh tests/cuda/sanitize.sh build/cuda/tests/test_cuda || status=$? ;;
    esac
    [ $status -eq 0 ] || failed=1
    echo "== $what: status $status, after $(($(date +%s) - start)) s"
done
exit $failed
