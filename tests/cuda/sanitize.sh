#!/bin/sh
# GPU tests under compute-sanitizer's memory, race and initialisation checkers: the small cases, those for wgmma, of some hundred rows, and
# with fp8. No errors allowed. SANITIZE="some:light" TOOLS=racecheck: those alone.
checker=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
[ -n "$checker" ] || { echo "skipped: no compute-sanitizer"; exit 0; }
failed=0
for tool in ${TOOLS:-memcheck racecheck initcheck}; do
    for cases in ${SANITIZE:-light wide some:light fp8}; do
        log=${TMPDIR:-/tmp}/sanitize.$tool.${cases%:*}
        if "$checker" --tool "$tool" --error-exitcode 9 "$1" ${cases%:*} $(echo "$cases" | sed -n 's/.*://p') > "$log" 2>&1; then
            echo "$tool $cases: $(grep ' passed' "$log"), $(tail -n 1 "$log")"
        else
            failed=1
            echo "$tool $cases: errors"
            grep -v '^ *$' "$log" | head -n 40
        fi
    done
done
exit $failed
