#!/usr/bin/env bash
# The header under every compiler, language and option at hand: it must build without a warning, train, solve, and start from
# the same loss. What is not installed is skipped and said so. `make matrix` takes every version of a language, level of
# optimisation and other machine, runs tests of files and numbers there, and compares the files that they write.
cd "$(dirname "$0")/.." || exit 1
out=${B:-build}/builds
mkdir -p "$out"
rm -f "$out"/*.result
unset HRM_CPU # each build picks for itself; one by one further down
strict="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow ${WERROR:-}" # -Werror in CI, for compilers that we know
job=0

# Every job writes one file: a line with its name, then "loss X", "built", "N passed" or what went wrong.
build_and_run() # NAME RUNNER COMMAND…: RUNNER "" runs the program as it is, "none" not at all
{
    [[ $1 =~ ${HRM_TEST_ONLY:-} ]] || return 0
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
    case $1 in *mingw*) program=$program.exe ;; esac
    if ! text=$("$@" -o "$program" 2>&1); then
        echo "$text" | head -n 12 >> "$file"
    elif [ "$runner" = none ]; then
        echo built >> "$file"
    elif text=$($runner "$program" 2>&1) && text=${text%$'\r'}; then
        case ${text##*$'\n'} in
        *" passed, 0 failed") echo "${text##*$'\n'}" | sed 's/,.*//' >> "$file" ;;
        *) echo "loss ${text#ok }" >> "$file" ;;
        esac
    else
        echo "ended with a failure: $text" >> "$file"
    fi
    if [ "$name" = "$keep" ]; then mv "$program" "$out/kept"; else rm -f "$program"; fi
}

have() { command -v "$1" >/dev/null 2>&1; }
emulator() { if have "qemu-$1-static" || ! have "qemu-$1"; then echo "qemu-$1-static"; else echo "qemu-$1"; fi; } # of either package
runs() # COMPILER FLAGS…: can programs be built with these, for this machine or at all?
{
    printf '#include <errno.h>\n#include <math.h>\n#include <stdio.h>\nint main(void) { return 0; }\n' > "$out/probe.c"
    "$@" -x c "$out/probe.c" -o "$out/probe" -lm -pthread >/dev/null 2>&1
}

m=tests/builds/main.c
end="-lm -pthread"
all=${HRM_TEST_ALL:-} # without it one compiler tells of each option, and no other machine's
level=${all:+-O2}     # whose warnings the build itself has, then
level=${level:--O0}
[ "$(uname -m)" = x86_64 ] && keep="gcc $level"
matrix=${HRM_TEST_MATRIX:-}
export WINEPREFIX=$PWD/$out/wine WINEDEBUG=-all # its settings are made at its first start
case $out in /*) WINEPREFIX=$out/wine ;; esac
[ -n "$all" ] && have wine && have x86_64-w64-mingw32-gcc && wine wineboot -i > /dev/null 2>&1
# Each thing is compiled once and no more optimised than it takes to see it: gcc's warnings want -O2, options only to build and to run.
for cc in gcc clang; do
    have $cc || { echo "skipped: no $cc"; continue; }
    c="$cc -std=c99 $strict -Wstrict-prototypes -I. -pthread"
    if [ $cc = gcc ] || [ -n "$all" ]; then
        build_and_run "$cc $level" "" $c $level $m $end
        build_and_run "$cc without threads" "" $c -O0 -DHRM_NO_THREADS $m -lm
        build_and_run "$cc in double" "" $c -O0 -Dhrm_real=double $m $end
        # the implementation in one unit, the interface in another; and the header compiled by itself: the Makefile's own way
        [ -z "$all" ] || build_and_run "$cc two units" "" sh -c "$c -O0 -x c -DHRM_IMPLEMENTATION -c hrm.h -o $out/hrm-$cc.o && $c -O0 -DBUILDS_TWO_UNITS $m $out/hrm-$cc.o $end \"\$@\"" sh
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
cross() # COMPILER RUNNER: a program for another machine; in the matrix also tests there, and the files it writes
{
    local cc=$1 runner=$2 c t with
    have "$cc" || { echo "skipped: no $cc"; return; }
    [ -z "$runner" ] || have "$runner" || { echo "note: no $runner, $cc builds only"; runner=none; }
    c="$cc -std=c99 $strict -Wno-attributes -I. -static"
    build_and_run "$cc" "$runner" $c -O1 $m $end
    [ -n "$matrix" ] && [ "$runner" != none ] || return 0
    for t in $there; do
        # of the large golden cases one trains a weight whose first gradient is rounding alone, and goes by its sign
        with=
        [ $t = golden ] && with="env HRM_SHARED=none "
        build_and_run "$cc test_$t" "$with$runner" $c -Wno-unused-function $([ $t = golden ] && echo -O1 || echo -O0) -DHRM_STATIC -Itools -Itests tests/test_$t.c $end
    done
    build_and_run "$cc files" "files_of $runner" $c -O1 tests/builds/files.c $end
}
there="dataset files golden" # tests of little time
files_of() # RUNNER… PROGRAM: what it writes is what this machine writes; so is what it writes of this machine's. Rounding alone may differ.
{
    local dir name
    dir=$(mktemp -d "$out/files.XXXXXX") && mkdir "$dir/made" "$dir/again" && "$@" make "$dir/made" && "$@" again "$out/files" "$dir/again" || return
    for name in $(ls "$out/files"); do
        cmp "$out/files/$name" "$dir/again/$name" || return
        [ "$name" = after.safetensors ] || cmp "$out/files/$name" "$dir/made/$name" || return
    done
    rm -r "$dir"
    echo "$(ls "$out/files" | wc -l) passed, 0 failed"
}
command_of() # RUNNER… HRM: its data, checkpoints and states are those of this machine's command, and each goes on with the other's run
{
    local dir at run name
    dir=$(mktemp -d "$out/command.XXXXXX") && mkdir "$dir/here" "$dir/there" || return
    printf '#..\n.#.\n->\n#oo\n.#o\n' > "$dir/train.txt"
    for at in here there; do
        [ $at = here ] && run="${B:-build}/hrm" || run="$*"
        $run data sudoku --output-dir "$dir/$at/sudoku" --generate 20 --size 6 --seed 3 --threads 1 2>&1 &&
            $run data maze --output-dir "$dir/$at/maze" --generate 8 --size 7 --min-path 4 --threads 1 2>&1 &&
            $run data grid --output-dir "$dir/$at/grid" --source-dir "$dir" --threads 1 2>&1 &&
            $run convert "$out/files/f32.safetensors" "$dir/$at/f32.pt" 2>&1 &&
            $run convert "$dir/here/f32.pt" "$dir/$at/bf16.safetensors" --dtype bf16 2>&1 || return
    done
    diff -r "$dir/here" "$dir/there" || return
    echo "$(find "$dir/here" -type f | wc -l) passed, 0 failed" > "$dir/same"
    for at in here there; do # rounding may differ, so of a run's files their names, sizes and what is said of them are the same
        [ $at = here ] && run="${B:-build}/hrm" || run="$*"
        $run train data_path="$dir/here/grid" arch.hidden_size=8 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2 \
            steps=4 global_batch_size=1 ema=true threads=1 checkpoint_path="$dir/run-$at" > "$dir/log" 2>&1 || { cat "$dir/log"; return 1; }
        (cd "$dir/run-$at" && ls -R | sed 's/^events.*/events/' && wc -c *.safetensors) > "$dir/list-$at"
        ${B:-build}/hrm info "$dir/run-$at" | sed "s/run-$at/run/" > "$dir/info-$at"
        cp -r "$dir/run-$at" "$dir/on-$at"
    done
    diff "$dir/list-here" "$dir/list-there" && diff "$dir/info-here" "$dir/info-there" || return
    $* train resume="$dir/on-here" steps=8 > "$dir/log" 2>&1 && ${B:-build}/hrm train resume="$dir/on-there" steps=8 >> "$dir/log" 2>&1 ||
        { cat "$dir/log"; return 1; }
    for at in here there; do ${B:-build}/hrm info "$dir/on-$at" | sed "s/on-$at/run/" > "$dir/info-$at"; done
    diff "$dir/info-here" "$dir/info-there" || return
    cat "$dir/same"
    rm -r "$dir"
}
for bench in tests/bench/*.c; do # nothing else in the tests compiles these
    build_and_run "$bench" none ${CC:-cc} -std=c99 $strict -I. -fsyntax-only "$bench"
done
if [ -n "$all" ]; then
    if have gcc; then # make compiles the implementation once for all of them; a person who copies one has both in one unit
        for example in examples/*.c; do
            build_and_run "$example by itself" none gcc -std=c99 $strict -I. -Itools -fsyntax-only "$example"
        done
        build_and_run "gcc -O3 -march=native" "" gcc -std=c99 $strict -I. -O3 -march=native $m $end
        # a row's bits are its own whatever a compiler's cost model fuses; that of Zen is the default's from GCC 13 on
        [ "$(uname -m)" = x86_64 ] && tune=-mtune=znver3 || tune=
        for flags in "-std=c99 -O1 $tune" "-std=gnu99 -O2 $tune" "-std=gnu99 -O3 -ffp-contract=fast $tune"; do
            runs gcc $flags && build_and_run "gcc $flags test_gemm" "" gcc $flags $strict -Wno-unused-function -I. tests/test_gemm.c $end
        done
    fi
    if have tcc; then
        build_and_run "tcc" "" tcc -std=c99 -I. $m -lm # no threads there
    else
        echo "skipped: no tcc"
    fi
    if [ -z "$matrix" ]; then # which has these, too
        cross aarch64-linux-gnu-gcc $(emulator aarch64)
        cross s390x-linux-gnu-gcc $(emulator s390x)
        cross x86_64-w64-mingw32-gcc wine
    fi
    if have x86_64-w64-mingw32-gcc; then # the command, too
        build_and_run "the command for Windows" none sh -c "for f in tools/*.c; do x86_64-w64-mingw32-gcc -std=c99 $strict -I. -Itools -fsyntax-only \$f || exit; done"
    fi
fi
known() { "$1" "$2" -E -x c${3:-} /dev/null > /dev/null 2>&1; } # COMPILER FLAG
newest() # STANDARD COMPILER: is it known there, and by no newer name?
{
    case $1 in
    c2x) known $2 -std=c2x && ! known $2 -std=c23 ;;
    c++2b) known $2 -std=c++2b ++ && ! known $2 -std=c++23 ++ ;;
    c++*) known $2 -std=$1 ++ ;;
    *) known $2 -std=$1 ;;
    esac
}
if [ -n "$matrix" ]; then
    for cc in gcc clang; do
        have $cc || continue
        c="$cc $strict -I. -pthread"
        for std in c99 c11 c17 c23 c2x gnu99 gnu11 gnu17; do
            newest $std $cc && build_and_run "$cc -std=$std" "" $c -std=$std -O0 $m $end
        done
        for o in -O0 -O1 -O3 -Os "-O2 -flto" "-O2 -march=native" "-O0 -DHRM_NO_MMAP" "-O1 -DHRM_STATIC -Wno-unused-function" \
            "-O0 -DHRM_NO_SIMD" "-O0 -DHRM_NO_THREADS -DHRM_NO_MMAP -DHRM_NO_SIMD"; do
            build_and_run "$cc $o" "" $c -std=c99 $o $m $end
        done
        cxx=$([ $cc = gcc ] && echo g++ || echo clang++)
        have $cxx || continue
        for std in c++11 c++14 c++17 c++20 c++23 c++2b; do
            newest $std $cxx && build_and_run "$cxx -std=$std" "" $cxx $strict -I. -pthread -std=$std -O0 -x c++ $m $end
        done
    done
    for cc in gcc-9 gcc-10 gcc-11 gcc-13 gcc-14 gcc-15 clang-11 clang-13 clang-15 clang-16 clang-17 clang-18 clang-19 clang-20 clang-21; do
        have $cc || continue # other versions, where there are any
        build_and_run "$cc -O2" "" $cc -std=c99 $strict -I. -pthread -O2 $m $end
        for std in c23 c2x; do
            newest $std $cc && { build_and_run "$cc -std=$std" "" $cc -std=$std $strict -I. -pthread -O0 $m $end; break; }
        done
    done
    # this machine's files, which all others' must equal
    rm -rf "$out/files"
    mkdir "$out/files"
    ${CC:-cc} -std=c99 -O1 -I. tests/builds/files.c -o "$out/files_here" $end && "$out/files_here" make "$out/files" || echo "FAILED: this machine's files"
    for pair in i686-linux-gnu-gcc: musl-gcc: "aarch64-linux-gnu-gcc:$(emulator aarch64)" "s390x-linux-gnu-gcc:$(emulator s390x)" \
        "arm-linux-gnueabihf-gcc:$(emulator arm)" "riscv64-linux-gnu-gcc:$(emulator riscv64)" \
        "powerpc64-linux-gnu-gcc:$(emulator ppc64)" "powerpc64le-linux-gnu-gcc:$(emulator ppc64le)" x86_64-w64-mingw32-gcc:wine; do
        cross "${pair%%:*}" "${pair#*:}"
    done
    have tcc && for t in $there; do build_and_run "tcc test_$t" "" tcc -std=c99 -I. -Itools -Itests -DHRM_STATIC tests/test_$t.c -lm; done
    # the command of a big-endian machine builds the same data and converts to the same checkpoints
    big=s390x-linux-gnu-gcc
    if have $big && have "$(emulator s390x)" && [ -x "${B:-build}/hrm" ]; then
        c="$big -std=c99 -O1 -static -pthread -I. -Itools"
        build_and_run "$big, the command" "command_of $(emulator s390x)" sh -c "$c -x c -DHRM_IMPLEMENTATION -c hrm.h -o $out/hrm-big.o && $c tools/*.c $out/hrm-big.o -lm \"\$@\"" sh
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
for file in "$out"/*.result; do cat "$file"; echo "--"; done | awk -v matrix="$matrix" '
    function finish() {
        if (text ~ /^loss [0-9.]+$/) {
            loss = substr(text, 6)
            if (first == "") first = loss
            good = loss - first < 1e-4 && first - loss < 1e-4
            text = "starts from loss " loss ", the first build from " first
        } else {
            good = text == "built" || text ~ /^[0-9]+ passed$/
        }
        if (good && matrix) print name ": " text
        if (good) passed++
        else { failed++; print "FAILED " name ": " text }
        name = text = ""
    }
    $0 == "--" { finish(); next }
    name == "" { name = $0; next }
    { text = text == "" ? $0 : text "\n" $0 }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }'
