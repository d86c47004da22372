#!/bin/sh
# Downloads a public data set into a folder and checks it by sha256. docs/data.md and `hrm data --list` tell what they are.
#   tools/fetch-data.sh sudoku-extreme|maze-hard|arc-agi-1|arc-agi-2|conceptarc [DIR]          DIR: raw/NAME
# A file appears when it is complete and checked; a download that broke off goes on where it stopped at the next call. A sum that
# we do not know is recorded at the first download, in FILE.sha256, and compared from then on. HRM_DATA_MIRROR=URL takes the
# place of https://huggingface.co and https://github.com.
set -u
say() { echo "fetch-data: $*" >&2; }
fail() { say "$*"; exit 1; }

if command -v sha256sum > /dev/null 2>&1; then sha256=sha256sum
elif command -v shasum > /dev/null 2>&1; then sha256='shasum -a 256'
else fail "there is neither sha256sum nor shasum to check with"; fi
sum_of() { $sha256 < "$1" | cut -d ' ' -f 1; }
tree_sum() { (cd "$1" && find . -name '*.json' | LC_ALL=C sort | xargs $sha256 | $sha256 | cut -d ' ' -f 1); } # of names and contents

curl_to() # URL PART OPTION…: curl's status and $code, HTTP's; its last line into $why unless it is seen
{
    from=$1 to=$2
    shift 2
    if [ -t 2 ]; then code=$(curl -fL --progress-bar --retry 2 --connect-timeout 30 -w '%{http_code}' "$@" -o "$to" "$from") && return
    else code=$(curl -fLsS --retry 2 --connect-timeout 30 -w '%{http_code}' "$@" -o "$to" "$from" 2> "$to.log") && return
    fi
}

get() # URL PART: goes on with what is in PART. 0; else $why
{
    : > "$2.log"
    if command -v curl > /dev/null 2>&1; then
        curl_to "$1" "$2" -C -
        status=$?
        # complete already, or a server that cannot go on in the middle: from the start
        if [ $status -ne 0 ] && [ -s "$2" ] && { [ "$code" = 416 ] || [ $status -eq 33 ]; }; then
            rm -f "$2"
            curl_to "$1" "$2"
            status=$?
        fi
    elif command -v wget > /dev/null 2>&1; then
        wget -nv -c -t 3 -T 30 -O "$2" "$1" 2> "$2.log"
        status=$?
    else
        status=127
        echo "there is neither curl nor wget" > "$2.log"
    fi
    why=$(tail -n 1 "$2.log" | tr -d '\r')
    [ -n "$why" ] || why="status $status"
    rm -f "$2.log"
    [ -s "$2" ] || rm -f "$2"
    return $status
}

download() # URL FILE SUM (- when it is not known): FILE appears when it is complete and its sum is right
{
    url=$1 file=$2 sum=$3
    record=$file.sha256
    [ "$sum" = - ] && [ -s "$record" ] && sum=$(cut -d ' ' -f 1 "$record")
    if [ -e "$file" ]; then
        found=$(sum_of "$file")
        [ "$sum" = - ] || [ "$found" = "$sum" ] ||
            fail "$file: its sha256 is $found, expected $sum: it was changed or is broken; remove it to download it again"
    else
        say "$url"
        if ! get "$url" "$file.part"; then
            kept=
            [ -e "$file.part" ] && kept="; what came is kept, call again to go on"
            fail "$url could not be downloaded: $why$kept"
        fi
        found=$(sum_of "$file.part")
        if [ "$sum" != - ] && [ "$found" != "$sum" ]; then
            rm -f "$file.part"
            fail "$url: its sha256 is $found, expected $sum: removed"
        fi
        mv "$file.part" "$file" || exit 1
    fi
    if [ "$sum" = - ]; then
        echo "$found  $(basename "$file")" > "$record"
        say "$file: no sum is known to compare with; its sha256 is recorded in $record"
    fi
}

archive() # OWNER/REPOSITORY COMMIT TREE_SUM FOLDER: the folder with its tasks and the licence into $dir
{
    [ -d "$dir/$4" ] && found=$(tree_sum "$dir/$4") && {
        [ "$found" = "$3" ] || fail "$dir/$4: the sha256 over its files is $found, expected $3; remove it to download it again"
        return
    }
    url=$git/$1/archive/$2.tar.gz part=$dir/archive.tar.gz.part tree=$dir/unpacked.tmp
    say "$url"
    if ! get "$url" "$part"; then
        kept=
        [ -e "$part" ] && kept="; what came is kept, call again to go on"
        fail "$url could not be downloaded: $why$kept"
    fi
    rm -rf "$tree"
    trap 'rm -rf "$tree"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    mkdir "$tree" || exit 1
    if ! gzip -dc "$part" 2> /dev/null | tar -xf - -C "$tree" 2> /dev/null || ! [ -d "$tree"/*/"$4" ]; then
        rm -f "$part"
        fail "$url: no archive with $4 in it: removed"
    fi
    found=$(tree_sum "$tree"/*/"$4")
    if [ "$found" != "$3" ]; then
        rm -f "$part"
        fail "$url: the sha256 over the files of $4 is $found, expected $3: removed"
    fi
    [ ! -e "$tree"/*/LICENSE ] || mv "$tree"/*/LICENSE "$dir/"
    mv "$tree"/*/"$4" "$dir/$4" || exit 1
    rm -f "$part"
}

hub=${HRM_DATA_MIRROR:-https://huggingface.co} git=${HRM_DATA_MIRROR:-https://github.com}
name=${1-} dir=${2-raw/${1-}}
case $name in
sudoku-extreme | maze-hard | arc-agi-1 | arc-agi-2 | conceptarc) ;;
-h | --help) sed -n '2,/^set/s/^# *//p' "$0"; exit 0 ;;
*) say "expected sudoku-extreme, maze-hard, arc-agi-1, arc-agi-2 or conceptarc${name:+, not $name}"; exit 2 ;;
esac
mkdir -p "$dir" || exit 1
case $name in
sudoku-extreme)
    for f in train test; do download "$hub/datasets/sapientinc/sudoku-extreme/resolve/main/$f.csv" "$dir/$f.csv" - || exit 1; done
    build="hrm data sudoku --source-dir $dir --subsample-size 1000 --num-aug 1000 --output-dir data/sudoku-extreme" ;;
maze-hard)
    for f in train test; do download "$hub/datasets/sapientinc/maze-30x30-hard-1k/resolve/main/$f.csv" "$dir/$f.csv" - || exit 1; done
    build="hrm data maze --source-dir $dir --output-dir data/maze-hard" ;;
arc-agi-1)
    archive fchollet/ARC-AGI 399030444e0ab0cc8b4e199870fb20b863846f34 \
        c97e8d2b227d68ed58fa4a990750433fd0754837b52c4b4ae8fe0253c2a42f3a data
    build="hrm data arc --dataset-dirs $dir/data --output-dir data/arc-agi-1" ;;
arc-agi-2)
    archive arcprize/ARC-AGI-2 f3283f727488ad98fe575ea6a5ac981e4a188e49 \
        eb2c679355adcce3e885c40333a2ac12fd73c9a483feac3a0d04eec0f92fe19f data
    build="hrm data arc --dataset-dirs $dir/data --output-dir data/arc-agi-2" ;;
conceptarc)
    archive victorvikram/ConceptARC b22ef526b4656679816b7811e78f55cc24d736d7 \
        5cda903428a5a5acea1b03873efe7c4231f17532bcadc72abb640f0300611337 corpus
    build="hrm data arc --dataset-dirs $dir/corpus --output-dir data/conceptarc" ;;
esac
say "$dir is complete; next: $build"
