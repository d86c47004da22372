#!/bin/sh
# The small cases of the GPU tests under compute-sanitizer's memory, race and initialisation checkers: no errors allowed.
checker=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
[ -n "$checker" ] || { echo "skipped: no compute-sanitizer"; exit 0; }
failed=0
for tool in ${TOOLS:-memcheck racecheck initcheck}; do
    if "$checker" --tool "$tool" --error-exitcode 9 "$1" light > "${TMPDIR:-/tmp}/sanitize.$tool" 2>&1; then
        echo "$tool: $(tail -n 1 "${TMPDIR:-/tmp}/sanitize.$tool")"
    else
        failed=1
        echo "$tool: errors"
        grep -v '^ *$' "${TMPDIR:-/tmp}/sanitize.$tool" | head -n 40
    fi
done
exit $failed
