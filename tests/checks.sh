# Sourced by the scripts that run the examples: $dir is a folder for what these write, $dir/log their last output.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
B=$(cd "${B:-build}" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
check() # STATUS NAME: counts, and shows the last output after a failure
{
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $2"
        tail -n 15 "$dir/log"
    fi
}
says() { grep -q -- "$1" "$dir/log"; check $? "$2: expected \"$1\""; }
