#!/usr/bin/env bash
# What others build with: an installation by make and one by CMake, each used through find_package and pkg-config; this folder as
# FetchContent takes it; the archive of `make dist`, unpacked and built. What is not installed here is skipped and said so.
. "${BASH_SOURCE[0]%/*}/checks.sh"
root=$PWD
version=$(sed -n 's/^#define HRM_VERSION *"\(.*\)"/\1/p' hrm.h)
make() { command "${MAKE:-make}" --no-print-directory B="$B" "$@"; }
have() { command -v "$1" > /dev/null 2>&1; }
do_check() # NAME COMMAND…
{
    local name=$1
    shift
    "$@" > "$dir/log" 2>&1
    check $? "$name"
}
runs() { do_check "$1 runs" "${@:2}"; says '^ok [0-9.]*$' "$1"; }
unset CFLAGS LDFLAGS CPPFLAGS DESTDIR PKG_CONFIG_PATH CMAKE_PREFIX_PATH HRM_MODELS HRM_CPU
export CMAKE_BUILD_PARALLEL_LEVEL=2

# ---- the archive: the same bytes twice, and again from what it unpacks to --------------------------------------------------------
archive=
if tar --version 2> /dev/null | grep -q GNU; then
    do_check "make dist" make dist
    archive=hrm-$version.tar.gz tree=$dir/hrm-$version
    mv "$B/$archive" "$dir/first.tar.gz"
    tar xzf "$dir/first.tar.gz" -C "$dir"
    for file in hrm.h hrm_cuda.cu Makefile CMakeLists.txt LICENSE docs/hrm.1 tools/hrm.c tools/cuda.mk models/sudoku.safetensors; do
        [ ! -e $file ] || do_check "$file in the archive" cmp $file "$tree/$file"
    done
    (cd "$tree" && umask 077 && cp -R . ../again && touch ../again/* && ${MAKE:-make} -C ../again B=build dist) > "$dir/log" 2>&1
    check $? "make dist in an unpacked archive"
    do_check "the same bytes" cmp "$dir/first.tar.gz" "$dir/again/build/$archive"
    rm -rf "$dir/again"
else
    echo "skipped: no GNU tar, no archive"
fi

# ---- by CMake: FetchContent with the archive for its source, its installation, the command, all of one build ------------------
has_cmake=
if have cmake && cmake --version | awk '{ split($3, v, "."); exit !(v[1] > 3 || (v[1] == 3 && v[2] >= 16)) }'; then has_cmake=1; fi
consumer() # NAME OPTIONS…: tests/builds as a project of its own, in $dir/NAME
{
    do_check "$1: configured" cmake -S tests/builds -B "$dir/$1" "${@:2}"
    do_check "$1: built" cmake --build "$dir/$1"
    for program in "$dir/$1"/with_*; do runs "$1, ${program##*/}" "$program"; done
}
if [ -n "$has_cmake" ]; then
    (
        passed=0 failed=0 counts=$dir/counts dir=$dir/aside # beside what is done below
        mkdir "$dir"
        consumer fetched -DHRM_SOURCE="${tree:-$root}" -DHRM_INSTALL=ON -DHRM_TOOLS=ON -DCMAKE_C_FLAGS="-O0 -DHRM_NO_SIMD" \
            -DCMAKE_INSTALL_PREFIX=/nowhere
        do_check "cmake --install" cmake --install "$dir/fetched" --prefix "$dir/by cmake"
        do_check "its command" "$dir/by cmake/bin/hrm" info arch=micro
        do_check "its man page" cmp docs/hrm.1 "$dir/by cmake/share/man/man1/hrm.1"
        consumer found-by-cmake -DCMAKE_PREFIX_PATH="$dir/by cmake" -DHRM_WANTED="${version%.*}"
        echo "$passed $failed" > "$counts"
    ) > "$dir/fetched.txt" 2>&1 &
else
    echo "skipped: no cmake of 3.16 or later"
fi

# ---- by make: installed, moved, found ---------------------------------------------------------------------------------------
prefix=/opt/hrm
do_check "make install" make install PREFIX=$prefix DESTDIR="$dir/stage" MODEL=
do_check "moved" mv "$dir/stage/opt/hrm" "$dir/moved"
if [ -n "$has_cmake" ]; then
    log=$dir/log
    consumer found -DCMAKE_PREFIX_PATH="$dir/moved" -DHRM_HEADER_ONLY=1 -DHRM_WANTED="$version"
    for wanted in 0.0 99.0; do
        ! cmake -S tests/builds -B "$dir/wrong" -DCMAKE_PREFIX_PATH="$dir/moved" -DHRM_WANTED=$wanted > "$log" 2>&1
        check $? "find_package(hrm $wanted) finds $version"
        says "version: $version" "find_package(hrm $wanted)"
    done
fi
if have pkg-config; then
    export PKG_CONFIG_PATH=$dir/moved/lib/pkgconfig
    check "$([ "$(pkg-config --modversion hrm libhrm | sort -u)" = "$version" ]; echo $?)" "pkg-config knows the version"
    pc() { pkg-config --define-prefix "$@"; }
    cc="${CC:-cc} -std=c99 -O0 -DBUILDS_TWO_UNITS"
    # what a program that holds the implementation needs beside it, which here is compiled already
    do_check "pkg-config hrm" $cc $(pc --cflags hrm) tests/builds/main.c "$B/hrm.o" $(pc --libs hrm) -o "$dir/by-hrm"
    runs "pkg-config hrm" "$dir/by-hrm"
    do_check "pkg-config libhrm" $cc $(pc --cflags libhrm) tests/builds/main.c $(pc --libs libhrm) -o "$dir/by-libhrm"
    runs "pkg-config libhrm" env LD_LIBRARY_PATH="$dir/moved/lib" "$dir/by-libhrm"
    for name in hrm libhrm; do
        pc --cflags --libs $name > "$dir/log"
        says "-I$dir/moved/include" "pkg-config $name"
    done
else
    echo "skipped: no pkg-config"
fi
mv "$dir/moved" "$dir/stage/opt/hrm"
do_check "make uninstall" make uninstall PREFIX=$prefix DESTDIR="$dir/stage"
find "$dir/stage" -type f -o -type l -o -name hrm -path '*cmake*' > "$dir/log"
check "$([ -s "$dir/log" ]; echo $((1 - $?)))" "make uninstall leaves nothing"

# ---- the archive by make: its command links and solves, of the objects that were made from the same files ---------------------
if [ -n "$archive" ]; then
    mkdir "$tree/build" && cp -R "$B/hrm.o" "$B/tools" "$tree/build/" && find "$tree/build" -type f -exec touch {} +
    do_check "make in the archive" ${MAKE:-make} -C "$tree" B=build build/hrm
    if [ -e models/sudoku.safetensors ]; then
        do_check "it solves" "$tree/build/hrm" solve sudoku examples/extreme.txt
        grep -v '^hrm:' "$dir/log" > "$dir/answer"
        "$B/hrm" solve sudoku examples/extreme.txt 2> /dev/null | cmp - "$dir/answer"
        check $? "what it solves"
    fi
fi
if [ -n "$has_cmake" ]; then
    wait
    cat "$dir/fetched.txt"
    if read -r p f < "$dir/counts"; then passed=$((passed + p)) failed=$((failed + f)); else failed=$((failed + 1)); fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
