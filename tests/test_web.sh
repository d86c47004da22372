#!/usr/bin/env bash
# The page for browsers: built, opened from its file in headless Chromium, used. The program for threads is left out, for time.
cd "$(dirname "$0")/.." || exit 1
mkdir -p "${B:-build}/tests"
. tests/checks.sh

${MAKE:-make} --no-print-directory web EMCC="$dir/emcc" B="$dir/none" > "$dir/log" 2>&1
[ $? -ne 0 ] && [ ! -e "$dir/none/web/index.html" ]
check $? "without emscripten no page is made"
says "make web needs emscripten" "what is missing"

for chromium in chromium chromium-headless-shell google-chrome; do command -v $chromium > /dev/null && break; chromium=; done
missing=
command -v emcc > /dev/null || missing=emscripten
command -v node > /dev/null || missing="$missing node"
[ -n "$chromium" ] || missing="$missing Chromium"
if [ -n "$missing" ]; then
    echo "skipped: the page in a browser, not installed: $missing"
    echo "$passed passed, $failed failed"
    exit "$((failed > 0))"
fi

page=$B/tests/web/index.html
${MAKE:-make} --no-print-directory web WEB_PROGRAMS=one B="$B/tests" > "$dir/log" 2>&1
check $? "make web"
[ "$(grep -cE '(src|href)="?(https?:)?//' "$page")" -eq 0 ]
check $? "the page asks nobody for anything"
timeout 120 node tests/web/drive.js "$chromium" "file://$page" > "$dir/log" 2>&1
check $? "Chromium opens the page"
says "^fits 360: true" "no scrolling sideways on a narrow screen"
says "^clash: 5 stands twice in a row: at row 1, column 1 and at row 1, column 2$" "a board that breaks the rules names the cells"
says "^letter: \"x\" is no digit" "a letter is refused"
says "^short: The board has 2 cells, expected 81$" "a short board is refused"
says "^typed: 9$" "a digit typed"
says "^erased: true$" "a digit erased"
says "^sudoku: Solved: .* 1 segment, " "the pasted board is solved"
says "^answer: 319528764846917352725643981451396827683472195972851643238765419197284536564139278$" "by the right answer"
says "^rows: 1$" "one segment is told"
says "^stopped: Stopped.$" "stopped while it thinks"
says "^again: Solved" "and solves after that"
says "^maze: Solved: a way of 4 steps, and none is shorter" "a maze is drawn and solved"
says "^walled: No way leads from S to G" "a maze without a way is refused"
says "^exceptions: 0$" "no exception"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
