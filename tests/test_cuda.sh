#!/bin/bash
# The GPU backend where nvcc is: it compiles without a warning, links into the command and into its tests, and these pass; on a
# machine without a GPU that means one clear message. Nothing to do where nvcc is not.
B=${B:-build} passed=0 failed=0
MAKE=${MAKE:-make}
nvcc=$(ls "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" 2>/dev/null || command -v nvcc)
check() # NAME STATUS
{
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
if [ -z "$nvcc" ]; then
    echo "skipped: no nvcc"
    check "skipped" 0
else
    out=$($MAKE --no-print-directory -s B="$B" NVCC="$nvcc" "$B/cuda/tests/test_cuda" "$B/cuda/hrm" 2>&1)
    check "the build: $out" $?
    ! printf '%s' "$out" | grep -i warning
    check "no warnings" $?
    out=$("$B/cuda/tests/test_cuda" 2>&1)
    check "test_cuda: $out" $?
    echo "$out" | grep -i '^skipped'
    if echo "$out" | grep -q '^skipped'; then
        err=$("$B/cuda/hrm" train data_path=/nowhere device=cuda 2>&1)
        [ $? -ne 0 ]
        check "training without a GPU and data fails: $err" $?
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
