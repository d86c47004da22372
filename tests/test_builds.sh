#!/usr/bin/env bash
# The header under every compiler, language and option at hand: it must build without a warning, train, solve, and start from
# the same loss. What is not installed is skipped and said so.
cd "$(dirname "$0")/.." || exit 1
out=${B:-build}/builds
mkdir -p "$out"
rm -f "$out"/*.result
unset HRM_CPU # each build picks for itself; one by one further down
strict="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow ${WERROR:-}" # -Werror in CI, for compilers that we know
job=0

# Every job writes one file: a line with its name, then "loss X", "built" or what went wrong.
build_and_run() # NAME RUNNER COMMAND…: RUNNER "" runs the program as it is, "none" not at all
{
    job=$((job + 1))
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    one_job "$(printf %03d $job)" "$@" &
}

keep= # the name of a build whose program stays, as $out/kept
one_job() # NUMBER NAME RUNNER COMMAND…
{
    local program=$out/program$1 file=$out/$1.result name=$2 runner=$3 text
    echo "$2" > "$file"
    shift 3
    if ! text=$("$@" -o "$program" 2>&1); then
        echo "$text" | head -n 12 >> "$file"
    elif [ "$runner" = none ]; then
        echo built >> "$file"
    elif text=$($runner "$program" 2>&1); then
        echo "loss ${text#ok }" >> "$file"
    else
        echo "ended with a failure: $text" >> "$file"
    fi
    if [ "$name" = "$keep" ]; then mv "$program" "$out/kept"; else rm -f "$program"; fi
}

have() { command -v "$1" >/dev/null 2>&1; }
runs() # COMPILER FLAGS…: can programs be built with these, for this machine or at all?
{
    printf '#include <errno.h>\n#include <math.h>\n#include <stdio.h>\nint main(void) { return 0; }\n' > "$out/probe.c"
    "$@" -x c "$out/probe.c" -o "$out/probe" -lm -pthread >/dev/null 2>&1
}

m=tests/builds/main.c
end="-lm -pthread"
[ "$(uname -m)" = x86_64 ] && keep="gcc -O2"
all=${HRM_TEST_ALL:-} # without it one compiler tells of each option, and no other machine's
# Each thing is compiled once and no more optimised than it takes to see it: gcc's warnings want -O2, options only to build and to run.
for cc in gcc clang; do
    have $cc || { echo "skipped: no $cc"; continue; }
    c="$cc -std=c99 $strict -Wstrict-prototypes -I. -pthread"
    if [ $cc = gcc ] || [ -n "$all" ]; then
        build_and_run "$cc -O2" "" $c -O2 $m $end
        build_and_run "$cc without threads" "" $c -O0 -DHRM_NO_THREADS $m -lm
        build_and_run "$cc in double" "" $c -O0 -Dhrm_real=double $m $end
        # the implementation in one unit, the interface in another; and the header compiled by itself
        build_and_run "$cc two units" "" sh -c "$c -O0 -x c -DHRM_IMPLEMENTATION -c hrm.h -o $out/hrm-$cc.o && $c -O0 -DBUILDS_TWO_UNITS $m $out/hrm-$cc.o $end \"\$@\"" sh
    else
        build_and_run "$cc -O0" "" $c -O0 $m $end
    fi
    build_and_run "$cc -std=c11" none $cc -std=c11 $strict -I. -fsyntax-only $m
    build_and_run "$cc static" none $c -fsyntax-only -DHRM_STATIC -Wno-unused-function $m
    build_and_run "$cc -ffast-math is refused" none sh -c "! text=\$($cc -I. -ffast-math -fsyntax-only $m 2>&1) && echo \"\$text\" | grep -q 'ffast-math'"
    if [ -z "$all" ]; then :
    elif runs $cc -m32; then
        build_and_run "$cc -m32" "" $c -m32 -O0 $m $end
    else
        echo "skipped: $cc -m32 cannot link here"
    fi
done
for cxx in g++ clang++; do
    have $cxx || { echo "skipped: no $cxx"; continue; }
    if [ $cxx = g++ ] || [ -n "$all" ]; then build_and_run "$cxx -std=c++11" "" $cxx -std=c++11 $strict -I. -O0 -x c++ $m $end; fi
    build_and_run "$cxx -std=c++17" none $cxx -std=c++17 $strict -I. -fsyntax-only -x c++ $m
done
# Pictures are optional: make notices whether stb is there.
if have make; then
    build_and_run "make without stb" none sh -c "make -pn CPPFLAGS=-nostdinc 2>&1 | grep -q '^STB := *\$'"
    if [ -e /usr/include/stb/stb_image_write.h ]; then
        build_and_run "make with stb" none sh -c "make -pn 2>&1 | grep -q '^STB := -DHRM_HAVE_STB\$'"
    fi
fi
cross() # COMPILER RUNNER FLAGS…
{
    local cc=$1 runner=$2
    shift 2
    have "$cc" || { echo "skipped: no $cc"; return; }
    have "$runner" || { echo "note: no $runner, $cc builds only"; runner=none; }
    build_and_run "$cc" "$runner" "$cc" -std=c99 $strict -Wno-attributes -O1 -I. -static "$@" $m $end
}
if [ -n "$all" ]; then
    if have gcc; then # make compiles the implementation once for all of them; a person who copies one has both in one unit
        for example in examples/*.c; do
            build_and_run "$example by itself" none gcc -std=c99 $strict -I. -Itools -fsyntax-only "$example"
        done
        build_and_run "gcc -O3 -march=native" "" gcc -std=c99 $strict -I. -O3 -march=native $m $end
    fi
    if have tcc; then
        build_and_run "tcc" "" tcc -std=c99 -I. $m -lm # no threads there
    else
        echo "skipped: no tcc"
    fi
    cross aarch64-linux-gnu-gcc qemu-aarch64-static
    cross s390x-linux-gnu-gcc qemu-s390x-static
    cross x86_64-w64-mingw32-gcc wine
    if have x86_64-w64-mingw32-gcc; then # the command, too
        build_and_run "the command for Windows" none sh -c "for f in tools/*.c; do x86_64-w64-mingw32-gcc -std=c99 $strict -I. -Itools -fsyntax-only \$f || exit; done"
    fi
fi
wait
# Each instruction set by name, in one build of them all. What the machine lacks is refused, and skipped here.
if [ -e "$out/kept" ]; then
    for isa in scalar avx2 avx512; do
        job=$((job + 1))
        text=$(HRM_CPU=$isa "$out/kept" 2>&1)
        case $text in
        ok*) printf 'HRM_CPU=%s\nloss %s\n' "$isa" "${text#ok }" > "$out/$(printf %03d $job).result" ;;
        *"the best here is"*) echo "skipped: HRM_CPU=$isa, which this machine lacks" ;;
        *) printf 'HRM_CPU=%s\nended with a failure: %s\n' "$isa" "$text" > "$out/$(printf %03d $job).result" ;;
        esac
    done
    rm -f "$out/kept"
fi
# Rounding differs between builds, the computation does not: all start from the same loss.
for file in "$out"/*.result; do cat "$file"; echo "--"; done | awk '
    function finish() {
        if (text ~ /^loss [0-9.]+$/) {
            loss = substr(text, 6)
            if (first == "") first = loss
            good = loss - first < 1e-4 && first - loss < 1e-4
            text = "starts from loss " loss ", the first build from " first
        } else {
            good = text == "built"
        }
        if (good) passed++
        else { failed++; print "FAILED " name ": " text }
        name = text = ""
    }
    $0 == "--" { finish(); next }
    name == "" { name = $0; next }
    { text = text == "" ? $0 : text "\n" $0 }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }'
