#!/bin/bash
# README.md and docs/: links and their anchors, files, tags and functions that they name, the width of code; and the README's
# program, compiled and run.
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
cd "$root" || exit 1
out=$work/out err=$work/err
pages=$(ls README.md docs/*.md examples/*/README.md)

# ---- prose and code apart; headings as anchors -------------------------------------------------------------------------
prose() { awk '/^```/ { code = !code; next } !code' "$1"; }
code() { awk '/^```/ { code = !code; next } code' "$1"; }
anchors() # as GitHub makes them: lower case, blanks to hyphens, other signs dropped
{
    prose "$1" | sed -n 's/^#\{1,6\}  *//p' | sed 's/\[\([^]]*\)\]([^)]*)/\1/g' | tr '[:upper:]' '[:lower:]' | tr -d '`' |
        sed -e 's/[]!"#$%&'\''()*+,./:;<=>?@[\\^{|}~]//g' -e 's/ /-/g' -e 's/×//g'
}
for page in $pages; do
    here=$(dirname "$page")
    for link in $(prose "$page" | grep -oE '\]\([^) ]+\)' | sed 's/^](\(.*\))$/\1/' | sort -u); do
        case $link in http://* | https://*) continue ;; esac
        file=${link%%#*} to=$page
        [ -z "$file" ] || to=$here/$file
        check "$page: $link: no such file" test -e "$to"
        case $link in *'#'*) check "$page: $link: no such heading" grep -qxF -- "${link#*#}" <(anchors "$to") ;; esac
    done
    # paths of the repository, in prose or code; what a command makes is not among these folders
    for file in $(grep -oE '(^|[^A-Za-z0-9_./-])(docs|examples|models|tests|tools)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' "$page" | sed 's/^[^a-z]//' | sort -u); do
        case $file in *NAME* | models/*.py) continue ;; esac # a pattern; the public Python code's
        check "$page: $file: no such file" test -e "$file"
    done
    for tag in $(prose "$page" | grep -oE '>>[a-z][a-z-]*' | grep -v -- '-$' | sort -u); do
        check "$page: $tag: no section of that name" grep -qE "(=|-) *$tag( |\$|\*)" hrm.h hrm_cuda.cu
    done
    for name in $(prose "$page" | grep -oE '`[^`]*`' | grep -oE '\b(hrm_[a-z0-9_]+|hrm__[a-z0-9_]+|HRM_[A-Z0-9_]+)\b' | sort -u); do
        case $name in hrm_noun_verb | hrm_noun | hrm__name | HRM_NOUN | hrm__cpu_ | hrm_cuda | hrm_v1 | hrm_act_v1) continue ;; esac
        check "$page: $name: not in the sources" grep -rqw -- "$name" hrm.h hrm_cuda.cu Makefile CMakeLists.txt tools tests
    done
done
check "README.md has at most 250 lines" test "$(wc -l < README.md)" -le 250
check "its code at most 80 columns" test -z "$(code README.md | LC_ALL=C.UTF-8 awk 'length > 80')"
for word in $(code README.md | tr -s ' \\' '\n' | grep -E '^(arch\.|steps=|global_batch_size=|ema=)'); do
    check "its own task is the example's: $word" grep -qF -- " $word" examples/own_task/README.md
done

# ---- the README's program ----------------------------------------------------------------------------------------------
awk '/^```c$/ { code = 1; next } /^```/ { code = 0 } code' README.md > "$work/program.c"
check "README.md holds a program" grep -q 'int main' "$work/program.c"
${CC:-cc} -std=c99 -Wall -Wextra -Werror -I. -DHRM_IMPLEMENTATION_DONE "$work/program.c" "$B/hrm.o" -lm -pthread -o "$work/program" > "$err" 2>&1
check "it compiles: $(head -n 1 "$err")" test -x "$work/program"
if [ -s models/sudoku.safetensors ]; then
    "$work/program" > "$out" 2> "$err"
    check "and solves its board" grep -qx '5 3 4 6 7 8 9 1 2' "$out"
else
    echo "skipped: the README's program, models/sudoku.safetensors is not here"
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
