# Sourced by the scripts that test the command: $hrm is it, $root the repository, the current folder one of their own; out and
# err hold what its last call wrote.
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=${HRM_SHARED:-$root/../shared}
case $shared in /*) ;; *) shared=$PWD/$shared ;; esac
hrm=$B/hrm
[ -x "$hrm" ] || { echo "FAILED: no $hrm"; echo "0 passed, 1 failed"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

ok()   { passed=$((passed + 1)); }
bad()  { failed=$((failed + 1)); echo "FAILED: $*"; [ -s out ] && sed 's/^/  out: /' out | head -5; [ -s err ] && sed 's/^/  err: /' err | tail -5; }
check() # NAME COMMAND...: it must succeed
{
    local name=$1; shift
    if "$@"; then ok; else bad "$name"; fi
}
run() { "$hrm" "$@" > out 2> err < /dev/null; } # its exit status
good() # NAME ARGUMENTS: hrm must succeed
{
    local name=$1 status; shift
    run "$@"; status=$?
    if [ $status -eq 0 ]; then ok; else bad "$name: status $status"; fi
}
refuse() # STATUS TEXT ARGUMENTS: hrm must end with that status and one line on stderr that holds the text; how far it is on a slow machine does not count
{
    local want=$1 text=$2 status; shift 2
    run "$@"; status=$?
    if [ $status -eq "$want" ] && grep -qF -- "$text" err && [ "$(grep -vc ' left$' err)" -eq 1 ]; then ok; else bad "$*: status $status, expected $want and one line with \"$text\""; fi
}
same() { if cmp -s "$1" "$2"; then ok; else bad "$1 and $2 differ"; fi; }
