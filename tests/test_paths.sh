#!/bin/bash
# The tests that compare with references, on each instruction set this machine has. (test_gemm and test_quantized go through
# them by themselves; gradients are checked in double, which has one path.)
B=${B:-build}
passed=0 failed=0
for path in scalar avx2 avx512 neon; do
    for t in test_golden test_family test_threads test_act; do
        ${MAKE:-make} --no-print-directory "$B/tests/$t" > /dev/null || exit 1
        out=$(HRM_CPU=$path "$B/tests/$t" 2>&1)
        status=$?
        if grep -q "the best here is" <<< "$out"; then
            echo "skipped: no $path here"
            break
        fi
        if [ $status -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "HRM_CPU=$path $t:"; tail -n 8 <<< "$out"; fi
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
