#!/bin/bash
# The tests that compare with references, on each instruction set this machine has. (test_gemm and test_quantized go through
# them by themselves; gradients are checked in double, which has one path.) Its best is what they take when nothing is said: of
# that only the shortest is done again.
B=${B:-build}
passed=0 failed=0
count() # PATH TEST STATUS OUTPUT
{
    if [ "$3" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "HRM_CPU=$1 $2:"; tail -n 8 <<< "$4"; fi
}
for t in test_act test_golden test_family test_threads; do
    ${MAKE:-make} --no-print-directory "$B/tests/$t" > /dev/null || exit 1
done
paths=
for path in scalar avx2 avx512 neon; do
    out=$(HRM_CPU=$path "$B/tests/test_act" 2>&1)
    status=$?
    if grep -q "the best here is" <<< "$out"; then echo "skipped: no $path here"; continue; fi
    paths="$paths $path"
    count $path test_act $status "$out"
done
for path in ${paths% *}; do
    for t in test_golden test_family test_threads; do
        out=$(HRM_CPU=$path "$B/tests/$t" 2>&1)
        count $path $t $? "$out"
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
