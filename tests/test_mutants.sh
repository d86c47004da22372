# The lists of tests/mutants still apply: every text is in its file, once, and every test named is there. `make mutants` runs them.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
passed=0 failed=0
for list in tests/mutants/list.txt tests/mutants/kernels.txt; do
    out=$(awk -v check=1 -f tests/mutants/apply.awk "$list")
    echo "$out" | sed '$d'
    counts=$(echo "$out" | tail -n 1)
    passed=$((passed + ${counts%% *})) counts=${counts#*, }
    failed=$((failed + ${counts%% *}))
done
for test in $(cat tests/mutants/*.txt | sed -n 's/^mutant [^ ]* [^ ]* [0-9]* //p' | tr ' ' '\n' | sort -u); do
    if [ -e "tests/$test" ] || [ -e "tests/$test.c" ] || [ -e "tests/cuda/$test.c" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED: no test $test"; fi
done
# what training, optimizers, resuming and the order of data are guarded by: two tests at least can be asked
awk -v names=1 -f tests/mutants/apply.awk tests/mutants/list.txt | awk 'NF < 3 + $3 { print "FAILED: " $1 " asks for " $3 " of " NF - 3; bad = 1 } END { exit bad }' &&
    passed=$((passed + 1)) || failed=$((failed + 1))
# and the change is that line alone
out=$(awk -v mutant=schedule-cosine -f tests/mutants/apply.awk tests/mutants/list.txt | diff hrm.h - | grep -c '^[<>]')
if [ "$out" -eq 2 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: a mutant changes $out lines"; fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
