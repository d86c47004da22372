#!/bin/bash
# tools/fetch-data.sh against a server of our own: sums that are known and that are not, downloads that break off and go on,
# broken files, no network; and `hrm data --list`, docs/data.md and the script name the same sets.
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
fetch=$root/tools/fetch-data.sh

good "data --list" data --list
cp out list
for set in sudoku-extreme maze-hard arc-agi-1 arc-agi-2 conceptarc; do
    check "$set is listed" grep -q "^$set " list
    check "$set is in the docs" grep -q "^| $set |" "$root/docs/data.md"
    check "how $set is fetched" grep -q "tools/fetch-data.sh $set" list
    check "the script knows $set" grep -q "^$set)" "$fetch"
done
sets=$(grep -c '^[a-z][a-z0-9-]*  [^ ]' list)
for what in home licence fetch build; do check "$what of all $sets" test "$(grep -c "^  $what " list)" -eq "$sets"; done
check "80 columns" test -z "$(awk 'length > 80' list)"

get() { HRM_DATA_MIRROR=$mirror sh "$fetch" "$@" > out 2> err < /dev/null; } # its exit status
got() { local name=$1; shift; get "$@"; local status=$?; if [ $status -eq 0 ]; then ok; else bad "$name: status $status"; fi; }
told() # STATUS TEXT ARGUMENTS: that status and the text in the last line
{
    local want=$1 text=$2 status; shift 2
    get "$@"; status=$?
    if [ $status -eq "$want" ] && tail -n 1 err | grep -qF -- "$text"; then ok; else bad "$*: status $status, expected $want and \"$text\""; fi
}
mirror=http://127.0.0.1:9
told 2 'expected sudoku-extreme' nonsense
told 2 'expected sudoku-extreme'
if ! command -v curl > /dev/null && ! command -v wget > /dev/null; then
    echo "skipped: neither curl nor wget, nothing is downloaded"
elif ! python3 -c '' 2> /dev/null; then
    echo "skipped: no python3 for a server, nothing is downloaded"
else
    told 1 'could not be downloaded' sudoku-extreme none
    check "and nothing half-written" test -z "$(ls none)"
    # serves the folder, with ranges; of a file named in `break` only that many bytes come, and the connection ends
    cat > server.py <<'P'
import http.server, os, sys
class H(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        path = "www" + self.path
        if not os.path.isfile(path): return self.send_error(404)
        data = open(path, "rb").read()
        first = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0]) if not os.path.exists("no_ranges") else 0
        if first >= len(data): return self.send_error(416)
        with open("requests", "a") as log: log.write("%s %d\n" % (self.path, first))
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        if first: self.send_header("Content-Range", "bytes %d-%d/%d" % (first, len(data) - 1, len(data)))
        self.end_headers()
        end = len(data)
        if os.path.exists("break"): end = int(open("break").read())
        self.wfile.write(data[first:end])
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", 0), H)
print(server.server_port, flush=True)
server.serve_forever()
P
    sudoku=www/datasets/sapientinc/sudoku-extreme/resolve/main
    mkdir -p $sudoku
    board=53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79
    solved=534678912672195348198342567859761423426853791713924856961537284287419635345286179
    printf 'source,question,answer,rating\nx,%s,%s,3\n' $board $solved | tee $sudoku/train.csv > $sudoku/test.csv
    python3 server.py > port 2> server.err &
    server=$!
    trap 'kill $server 2> /dev/null; rm -rf "$work"' EXIT
    for _ in $(seq 200); do [ -s port ] && break; sleep 0.05; done
    mirror=http://127.0.0.1:$(cat port)

    got "a set whose sums are not known" sudoku-extreme raw
    check "its files" cmp -s raw/train.csv $sudoku/train.csv
    check "the sums are recorded" sh -c 'cd raw && sha256sum -c --quiet train.csv.sha256 test.csv.sha256'
    check "that is said" grep -q 'no sum is known to compare with' err
    check "and what comes next" grep -q 'next: hrm data sudoku --source-dir raw' err
    check "nothing else is left" test "$(ls raw | tr '\n' ' ')" = "test.csv test.csv.sha256 train.csv train.csv.sha256 "
    good "the next command" data sudoku --source-dir raw --output-dir data
    : > requests
    got "a second call" sudoku-extreme raw
    check "downloads nothing" test ! -s requests
    rm raw/train.csv
    echo more >> $sudoku/train.csv
    told 1 'expected' sudoku-extreme raw
    check "another file than the recorded one is not kept" test ! -e raw/train.csv -a ! -e raw/train.csv.part
    echo x >> raw/test.csv
    sed -i '$d' $sudoku/train.csv
    told 1 'it was changed or is broken' sudoku-extreme raw

    echo 100 > break
    told 1 'what came is kept, call again to go on' sudoku-extreme broken
    check "a part" test "$(wc -c < broken/train.csv.part)" -eq 100
    rm break
    : > requests
    got "going on" sudoku-extreme broken
    check "where it stopped" grep -q 'train.csv 100$' requests
    check "the whole file" cmp -s broken/train.csv $sudoku/train.csv
    rm broken/train.csv
    cp $sudoku/train.csv broken/train.csv.part # killed before it was renamed
    got "a part that is complete" sudoku-extreme broken
    check "is the file" cmp -s broken/train.csv $sudoku/train.csv
    rm broken/train.csv
    head -c 50 $sudoku/train.csv > broken/train.csv.part
    : > no_ranges
    got "a server that cannot go on" sudoku-extreme broken
    check "from the start then" cmp -s broken/train.csv $sudoku/train.csv
    told 1 'could not be downloaded' maze-hard none
    check "what is not there leaves nothing" test -z "$(ls none)"

    rm no_ranges
    if command -v curl > /dev/null && command -v wget > /dev/null; then # the other one, as where there is no curl
        mkdir tools
        for t in sh sed cut sort xargs find sha256sum mkdir rm mv tail tr basename wget; do ln -s "$(command -v $t)" tools/$t; done
        usual=$PATH
        echo 100 > break
        PATH=$work/tools
        get sudoku-extreme other
        status=$?
        PATH=$usual
        check "wget: a part is kept" test $status -eq 1 -a "$(wc -c < other/train.csv.part)" -eq 100
        rm break
        : > requests
        PATH=$work/tools
        get sudoku-extreme other
        status=$?
        PATH=$usual
        check "and goes on" test $status -eq 0
        check "where it stopped" grep -q 'train.csv 100$' requests
        check "the file" cmp -s other/train.csv $sudoku/train.csv
        PATH=$work/tools
        get maze-hard none
        status=$?
        PATH=$usual
        check "what is not there" test $status -eq 1 -a -z "$(ls none)"
    fi

    at=$(sed -n 's/^ *archive victorvikram\/ConceptARC \([0-9a-f]*\) .*/\1/p' "$fetch")
    concept=www/victorvikram/ConceptARC/archive
    mkdir -p $concept ConceptARC-$at/corpus/Count
    echo '{"train": [], "test": []}' > ConceptARC-$at/corpus/Count/Count1.json
    tar -cf - ConceptARC-$at | gzip > $concept/$at.tar.gz
    told 1 'the sha256 over the files of corpus is' conceptarc arc
    check "tasks of another sum are not kept" test -z "$(ls arc)"
    echo nonsense > $concept/$at.tar.gz
    told 1 'no archive with corpus in it' conceptarc arc
    check "nor what is no archive" test -z "$(ls arc)"
    if [ -d "$shared/data/arc/ConceptARC/corpus" ]; then
        rm -rf ConceptARC-$at/corpus
        cp -r "$shared/data/arc/ConceptARC/corpus" ConceptARC-$at/
        tar -cf - ConceptARC-$at | gzip > $concept/$at.tar.gz
        got "the published tasks" conceptarc arc
        check "and they alone" test "$(ls arc)" = corpus -a "$(find arc -name '*.json' | wc -l)" -eq 160
        : > requests
        got "a second call" conceptarc arc
        check "downloads nothing" test ! -s requests
    else
        echo "skipped: no published ARC tasks here, their sum is not tried"
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
