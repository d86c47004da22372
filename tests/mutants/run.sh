#!/bin/sh
# Puts every fault of a list into a copy of the sources and runs the tests that must notice it, JOBS at a time [as many as there are
# processors]: `make mutants`. MUTANTS="name name" runs these alone, LIST another list, LIMIT ends a test after so many seconds.
# Scratch is build/mutants; a line each in build/mutants/results.
B=${B:-build}
LIST=${LIST:-tests/mutants/list.txt}
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
LIMIT=${LIMIT:-300}
MAKE=${MAKE:-make}
CFLAGS=${MUTANT_CFLAGS:--O1}
case $B in /*) ;; *) B=$PWD/$B ;; esac

if [ "$1" = --one ]; then # one mutant -> a line: caught, survived or broken, its name, and by what
    name=$2
    set -- $(awk -v names=1 -f tests/mutants/apply.awk "$LIST" | grep "^$name ")
    file=$2 want=$3
    shift 3
    tree=$B/mutants/$name
    rm -rf "$tree"
    mkdir -p "$tree/build"
    for entry in *; do # folders of their own, and links for files
        [ "$entry" = build ] || cp -rs "$PWD/$entry" "$tree/"
    done
    rm "$tree/$file"
    awk -v mutant="$name" -f tests/mutants/apply.awk "$LIST" > "$tree/$file" || { echo "broken $name does not apply"; exit 0; }
    cd "$tree" || exit 1
    caught=0 by= not=
    unset MAKEFLAGS MFLAGS MAKELEVEL
    export HRM_TEST_FIRST=1 # one failure tells
    for test in "$@"; do
        [ "$caught" -lt "$want" ] || break
        goal=build/tests/$test
        case $test in *.sh) goal="all lib" ;; test_cuda) goal=build/cuda/tests/test_cuda ;; esac
        if ! $MAKE -s B=build CFLAGS="$CFLAGS -w" $goal > "$test.build" 2>&1; then
            echo "broken $name: $test does not build: $(grep -m 1 error "$test.build")"
            exit 0
        fi
        status=0
        case $test in
        *.sh) B=build timeout "$LIMIT" bash "tests/$test" > "$test.txt" 2>&1 || status=$? ;;
        test_dummy) # a moment of it notices most
            { timeout "$LIMIT" build/tests/test_dummy && HRM_TEST_LONG=1 timeout "$LIMIT" build/tests/test_dummy; } > "$test.txt" 2>&1 || status=$? ;;
        test_cuda) timeout "$LIMIT" build/cuda/tests/test_cuda light > "$test.txt" 2>&1 || status=$? ;;
        *) timeout "$LIMIT" "build/tests/$test" > "$test.txt" 2>&1 || status=$? ;;
        esac
        [ "$status" -ne 124 ] || test="$test(time)"
        if [ "$status" -ne 0 ]; then caught=$((caught + 1)) by="$by $test"; else not="$not $test"; fi
    done
    if [ "$caught" -ge "$want" ]; then echo "caught $name:$by"
    else echo "survived $name: $caught of $want${by:+, by$by}, not by$not"; fi
    [ -n "$KEEP" ] || rm -rf "$tree"
    exit 0
fi

if [ "$(id -u)" -eq 0 ] && [ -z "$MUTANTS_AS_ROOT" ]; then
    echo "mutants: not as root: a faulty program wrote over /dev/null; as another user, or with MUTANTS_AS_ROOT=1 where it does not matter" >&2
    exit 2
fi
mkdir -p "$B/mutants" || exit 2
[ -n "$MUTANTS" ] || MUTANTS=$(awk -v names=1 -f tests/mutants/apply.awk "$LIST" | sed 's/ .*//')
start=$(date +%s)
export B LIST LIMIT MAKE CFLAGS KEEP
for name in $MUTANTS; do echo "$name"; done | xargs -P "$JOBS" -n 1 sh "$0" --one | tee "$B/mutants/results"
count() { grep -c "^$1 " "$B/mutants/results"; }
echo "$(count caught) caught, $(count survived) survived, $(count broken) broken in $(($(date +%s) - start)) s"
[ "$(count survived)" -eq 0 ] && [ "$(count broken)" -eq 0 ]
