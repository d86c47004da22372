#!/bin/sh
# Reads the named files without running them: clang-tidy as .clang-tidy says, cppcheck, gcc's analyzer, each where it is there, JOBS
# at a time and HRM_LINT_LIMIT seconds each (1800). Each is told of when it is done, whatever was found elsewhere; $B/lint has all that
# was said. Called by `make lint`.
B=${B:-build}
logs=$B/lint
inside() # FILE: a test that holds the implementation
{
    case $1 in tests/*) case " $OUTSIDE " in *" $(basename "$1" .c) "*) false ;; esac ;; *) false ;; esac
}

if [ "$1" = --one ]; then # CHECKER FILE: a line, and below it what was found
    checker=$2 file=$3 log=$logs/$2-$(echo "$3" | tr / -).txt status=0 start=$(date +%s)
    case $file in # what the Makefile builds it with
    hrm.h) flags="-x c -DHRM_IMPLEMENTATION" ;;
    tests/test_dummy.c) flags="-D_XOPEN_SOURCE=700 -DHRM_USE_CUDA -Itests" ;;
    tests/*) flags="-Itests $(inside "$file" && echo -DHRM_STATIC || echo -DHRM_IMPLEMENTATION_DONE)" ;;
    examples/*) flags=-DHRM_IMPLEMENTATION_DONE ;;
    *) flags= ;;
    esac
    flags="$FLAGS $flags -DHRM_MODELS_DIR=\"models\""
    # Left out of cppcheck: shifts of signed numbers, which every compiler for us has as arithmetic; pointers and values that one of
    # two branches has.
    left_out="missingIncludeSystem toomanyconfigs shiftNegativeLHS shiftTooManyBitsSigned nullPointerArithmetic
        nullPointerArithmeticRedundantCheck nullPointerRedundantCheck uninitvar compareBoolExpressionWithInt duplicateAssignExpression"
    case $checker in
    clang-tidy) set -- clang-tidy --quiet "$file" -- $flags ;;
    cppcheck) set -- cppcheck -q --inline-suppr --language=c --std=c99 --enable=warning,portability,performance --error-exitcode=1 \
        --max-configs=1 $(printf '%s\n' $flags | grep '^-[DI]') $(printf -- '--suppress=%s ' $left_out) "$file" ;;
    gcc) set -- $CC $flags -O1 -fanalyzer -c "$file" -o /dev/null ;;
    esac
    timeout "$LIMIT" "$@" > "$log" 2>&1 || status=$?
    kinds=': \(fatal error\|error\|warning\|portability\|performance\): '
    found=$(grep -c "$kinds" "$log")
    if [ "$status" -eq 124 ]; then said="not done after $LIMIT s"
    elif [ "$found" -gt 0 ]; then said="$found found"
    elif [ "$status" -ne 0 ]; then said="ended with status $status"
    else said=clean; fi
    { # at once, so that no two mix
        printf '%-10s %-28s %5ds  %s\n' "$checker" "$file" $(($(date +%s) - start)) "$said"
        [ "$found" -eq 0 ] || grep -A 2 "$kinds" "$log" | sed 's/^/  | /'
        [ "$said" != "ended with status $status" ] || tail -n 5 "$log" | sed 's/^/  | /'
    } > "$log.told"
    cat "$log.told"
    exit 0
fi

rm -rf "$logs"
mkdir -p "$logs"
export B LIMIT="${HRM_LINT_LIMIT:-1800}"
for checker in clang-tidy cppcheck gcc; do
    case $checker in
    gcc) $CC --version | grep -q 'Free Software' || { echo "skipped: $CC has no -fanalyzer"; continue; } ;;
    *) command -v $checker > /dev/null || { echo "skipped: no $checker"; continue; } ;;
    esac
    for file in "$@"; do # hrm.h once will do: it takes gcc minutes, and what cppcheck says of it within a test is wrong
        [ $checker != clang-tidy ] && inside "$file" || echo "$checker $file" >> "$logs/list"
    done
done
[ -e "$logs/list" ] || exit 0
xargs -P "${JOBS:-1}" -n 2 sh "$0" --one < "$logs/list"
all=$(grep -c . "$logs/list") clean=$(cat "$logs"/*.told | grep -c '  clean$')
echo "$clean of $all clean"
[ "$clean" -eq "$all" ]
