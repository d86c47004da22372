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
for what in "$@"; do
    case $what in
    test) timeout 240 build/cuda/tests/test_cuda 2>&1 | tail -n 60 ;;
    golden) timeout 100 build/cuda/tests/golden 2>&1 | tail -n 20 ;;
    bench) timeout 240 build/cuda/tests/bench_cuda $CASES ;;
    sanitize) sh tests/cuda/sanitize.sh build/cuda/tests/test_cuda ;;
    esac
    echo "== $what: after $(($(date +%s) - start)) s"
done
