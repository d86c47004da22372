#!/usr/bin/env bash
# The header under every compiler, language and option at hand: it must build without a warning, train, solve, and start from
# the same loss. What is not installed is skipped and said so.
cd "$(dirname "$0")/.." || exit 1
out=${B:-build}/builds
mkdir -p "$out"
passed=0 failed=0
strict="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
loss=
job=0

result() # NAME STATUS TEXT
{
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $1: $3"
    fi
}

build_and_run() # NAME RUNNER COMMAND…: the program goes to $out/program
{
    local name=$1 runner=$2 text
    shift 2
    job=$((job + 1))
    if ! text=$("$@" -o "$out/program$job" 2>&1); then
        result "$name" 1 "$(echo "$text" | head -n 12)"
        return
    fi
    [ "$runner" != none ] || { result "$name" 0 ""; return; }
    if ! text=$($runner "$out/program$job" 2>&1); then
        result "$name" 1 "$text"
        return
    fi
    case $text in
    "ok "*) ;;
    *) result "$name" 1 "printed \"$text\""; return ;;
    esac
    loss=${loss:-${text#ok }} # rounding differs between builds, the computation does not
    awk -v a="$loss" -v b="${text#ok }" 'BEGIN { d = a - b; exit !(d < 1e-4 && d > -1e-4) }'
    result "$name" $? "starts from loss ${text#ok }, others from $loss"
    rm -f "$out/program$job"
}

have() { command -v "$1" >/dev/null 2>&1; }
runs() # COMPILER FLAGS…: can programs be built with these, for this machine or at all?
{
    printf '#include <math.h>\n#include <stdio.h>\nint main(void) { return 0; }\n' > "$out/probe.c"
    "$@" -x c "$out/probe.c" -o "$out/probe" -lm -pthread >/dev/null 2>&1
}

m=tests/builds/main.c
end="-lm -pthread"
for cc in gcc clang; do
    have $cc || { echo "skipped: no $cc"; continue; }
    c="$cc -std=c99 $strict -Wstrict-prototypes -I. -pthread"
    build_and_run "$cc -O0" "" $c -O0 $m $end
    build_and_run "$cc -O2" "" $c -O2 $m $end
    build_and_run "$cc -O3 -march=native" "" $c -O3 -march=native $m $end
    build_and_run "$cc -std=c11" "" $cc -std=c11 $strict -I. -O1 $m $end
    build_and_run "$cc without threads" "" $c -O1 -DHRM_NO_THREADS $m -lm
    build_and_run "$cc in double" "" $c -O1 -Dhrm_real=double $m $end
    build_and_run "$cc static" "" $c -O1 -DHRM_STATIC -Wno-unused-function $m $end
    build_and_run "$cc -ffast-math is survived" "" $cc -I. -O2 -ffast-math $m $end
    # the implementation in one unit, the interface in another; and the header compiled by itself
    if text=$($c -O1 -x c -DHRM_IMPLEMENTATION -c hrm.h -o "$out/hrm.o" 2>&1); then
        build_and_run "$cc two units" "" $c -O1 -DBUILDS_TWO_UNITS $m "$out/hrm.o" $end
    else
        result "$cc -c hrm.h" 1 "$text"
    fi
    if runs $cc -m32; then
        build_and_run "$cc -m32" "" $c -m32 -O1 $m $end
    else
        echo "skipped: $cc -m32 cannot link here"
    fi
done
for cxx in g++ clang++; do
    have $cxx || { echo "skipped: no $cxx"; continue; }
    build_and_run "$cxx -std=c++11" "" $cxx -std=c++11 $strict -I. -O1 -x c++ $m $end
    build_and_run "$cxx -std=c++17" "" $cxx -std=c++17 $strict -I. -O1 -x c++ $m $end
done
if [ "$(uname -m)" = x86_64 ] && have gcc; then # each instruction set by name
    gcc -std=c99 -O2 -I. $m -o "$out/dispatch" $end
    for isa in scalar avx2 avx512; do
        text=$(HRM_CPU=$isa "$out/dispatch" 2>&1)
        awk -v t="$text" -v a="$loss" 'BEGIN { sub("ok ", "", t); d = a - t; exit !(d < 1e-4 && d > -1e-4) }'
        result "HRM_CPU=$isa" $? "printed \"$text\", others start from $loss"
    done
fi
cross() # COMPILER RUNNER FLAGS…
{
    local cc=$1 runner=$2
    shift 2
    have "$cc" || { echo "skipped: no $cc"; return; }
    have "$runner" || { echo "note: no $runner, $cc builds only"; runner=none; }
    build_and_run "$cc" "$runner" "$cc" -std=c99 $strict -Wno-attributes -O1 -I. -static "$@" $m $end
}
cross aarch64-linux-gnu-gcc qemu-aarch64-static
cross s390x-linux-gnu-gcc qemu-s390x-static
cross x86_64-w64-mingw32-gcc wine
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
