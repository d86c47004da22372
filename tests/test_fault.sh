#!/usr/bin/env bash
# Every command with its n-th allocation, opening, read, write, sync, rename, map, lock, thread start and folder call failing:
# once, and from then on. It ends with 0, or with 1 and a message; it neither crashes nor hangs, leaves nothing half-written,
# and what stood there before is whole; what failed succeeds when it is done again without a fault, which also clears what a
# builder could not clear. `make fault` does all n, or each k-th from f on with EVERY=k FIRST=f, JOBS at a time; `make test` very few.
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
every=${EVERY:-$([ -n "$HRM_TEST_ALL" ] && echo 37 || echo 211)} first=${FIRST:-1} jobs=${JOBS:-1} faults=0
export HRM_MODELS=none
fault=$work/fault.so program=$hrm
if ! ${CC:-cc} -shared -fPIC -O1 "$root/tests/fault/fault.c" -o "$fault" -ldl 2> err; then
    echo "skipped: faults are injected on Linux with the GNU C library"
    echo "0 passed, 0 failed"
    exit 0
fi
# a program of one's own, with the library
${CC:-cc} -std=c99 -O1 $HRM_SANITIZE -I"$root" "$root/tests/fault/library.c" "$B/hrm.o" -o library -lm -pthread 2> err || bad "library.c"

# ---- what the commands work on ---------------------------------------------------------------------------------------------
small="arch.hidden_size=8 arch.num_heads=1 arch.H_layers=1 arch.L_layers=1 arch.expansion=1 arch.halt_max_steps=2 global_batch_size=4"
mkdir base && cd base || exit 1
"$hrm" data sudoku --output-dir data --generate 12 --size 4 --threads 1 2> ../err &&
    "$hrm" train data_path=data $small steps=4 lr_warmup_steps=1 threads=2 ema=true checkpoint_path=run tensorboard=true 2> ../err &&
    "$hrm" convert run/step_4.safetensors model.pt 2> ../err || { cd ..; bad "the fixtures"; }
mkdir tasks tasks/training own library
echo '{"train": [{"input": [[1,2],[3,4]], "output": [[4,3],[2,1]]}], "test": [{"input": [[7,8]], "output": [[8,7]]}]}' > tasks/training/a.json
printf '#..\n.#.\n->\n#oo\n.#o\n' > own/train.txt
printf 'question,answer\n1..4..1.2....3..,1234341221434321\n' > boards.csv
printf 'lr: 0.001\narch:\n  H_cycles: 1\n' > more.yaml
cd ..
base=$work/base

whole() # everything in the folder that others would read is whole, and no file of a writer is left
{
    local f
    for f in $(find . -name '*.safetensors'); do
        cmp -s "$f" "$base/$f" || "$hrm" info "$f" > info.txt 2>&1 || { echo "$f is broken: $(head -1 info.txt)"; return 1; }
    done
    f=$(find . -type ${1:-f} -name '*.tmp[0-9]*' | head -1)
    [ -z "$f" ] || { echo "$f is left"; return 1; }
    diff -r data "$base/data" > info.txt 2>&1 || "$hrm" eval checkpoint="$base/run/step_4.safetensors" data_path=data \
        threads=1 > info.txt 2>&1 || { echo "data is broken: $(tail -n 1 info.txt)"; return 1; }
}

one() # NAME FAULT ARGUMENTS…
{
    local name=$1 what=$2 status
    shift 2
    rm -rf work && cp -r "$base" work && cd work || exit 1
    timeout 60 env HRM_FAULT="$what" LD_PRELOAD="$fault" "$program" "$@" > ../out 2> ../err < /dev/null
    status=$?
    cd ..
    faults=$((faults + 1))
    judge "$name" "$what" $status "$@"
}

judge() # NAME FAULT STATUS ARGUMENTS…: what it left in work, and that it can be done again
{
    local name=$1 what=$2 status=$3 failed_then=$3 said
    shift 3
    if [ $status -gt 2 ]; then bad "$name, $what: status $status"; return; fi
    if [ $status -ne 0 ] && ! grep -q '^hrm: ' err; then bad "$name, $what: status $status and no message"; return; fi
    cd work && said=$(whole)
    status=$?
    cd ..
    if [ $status -ne 0 ]; then bad "$name, $what: $said"; return; fi
    if [ $failed_then -ne 0 ] || [ -n "$(find work -name '*.tmp[0-9]*')" ]; then
        cd work
        case "$name" in train | "train, overwrite") set -- "$@" overwrite=true ;; esac
        timeout 60 "$program" "$@" > ../out 2> ../err < /dev/null
        status=$?
        said=$(whole f,d)
        [ $? -eq 0 ] || status="$status, $said"
        cd ..
        if [ "$status" != "$clean" ]; then bad "$name, $what, then again: status $status"; return; fi
    fi
    ok
}

each() # NAME ARGUMENTS…
{
    local name=$1 kind count n at=0
    shift
    [[ $name =~ ${HRM_TEST_ONLY:-} ]] || return 0
    rm -rf work && cp -r "$base" work
    (cd work && HRM_FAULT=alloc:0 HRM_FAULT_COUNT=../counts LD_PRELOAD=$fault "$program" "$@" > ../out 2> ../err < /dev/null)
    clean=$? # solve ends with 1 when the answer is wrong
    [ $clean -le 1 ] && [ -s counts ] || { bad "$name without a fault"; return; }
    while read -r kind count; do
        for ((n = 1; n <= count; n++)); do
            at=$((at + 1))
            [ $((at % every)) -eq $((first % every)) ] && [ $((n % jobs)) -eq "$lane" ] || continue
            one "$name" "$kind:$n" "$@"
            one "$name" "$kind:$n+" "$@"
        done
    done < counts
    [ "$lane" -ne 0 ] || printf '%-24s %s\n' "$name" "$(tr '\n' ' ' < counts)"
}

# ---- the commands ------------------------------------------------------------------------------------------------------------
commands() # LANE: its share of all faults, in a folder of its own
{
    lane=$1
    mkdir "lane$lane" && cd "lane$lane" || exit 1
    each "data sudoku"       data sudoku --output-dir data --generate 3 --size 4 --threads 2
    each "data sudoku, CSV"  data sudoku --output-dir made --source-dir boards.csv --size 4 --threads 1
    each "data maze"         data maze --output-dir made --generate 2 --size 5 --min-path 3 --threads 1
    each "data arc"          data arc --output-dir made --dataset-dirs tasks --num-aug 1 --threads 1
    each "data grid"         data grid --output-dir made --source-dir own --threads 1
    each "train"             train --config more.yaml data_path=data $small steps=2 save_interval=1 threads=2 checkpoint_path=new keep_best=true
    each "train, resume"     train resume=run steps=6 threads=1
    each "train, overwrite"  train data_path=data $small steps=2 threads=1 checkpoint_path=run overwrite=true
    each "eval"              eval checkpoint=run/step_4.safetensors data_path=data threads=2 checkpoint_path=out "eval_save_outputs=[predictions]"
    each "solve"             solve sudoku checkpoint=run/step_4.safetensors 1..4..1.2....3.. threads=1
    each "convert to PyTorch" convert run/step_4.safetensors model.pt
    each "convert back"      convert model.pt run/step_4.safetensors --dtype bf16
    each "info"              info run
    each "plot"              plot run -o run/curve.svg
    each "render"            render data -o board.svg
    program=$work/library
    each "library"           data library
    program=$hrm
    [ "$lane" -ne 0 ] || full_disks
    echo "$passed $failed $faults" > sum
}

# A disk of 2 MB that has so many KB left; where root may mount one.
full() # NAME ARGUMENTS…
{
    local name=$1 room free status
    shift
    [[ $name =~ ${HRM_TEST_ONLY:-} ]] || return 0
    clean=0
    for room in 0 4 20 60 200; do
        rm -rf work; mkdir work
        mount -t tmpfs -o size=2m tmpfs work || return
        cp -r "$base/." work/
        free=$(df -k --output=avail work | tail -n 1)
        head -c $(((free - room) * 1024)) /dev/zero > work/filler
        (cd work && timeout 60 "$program" "$@" > ../out 2> ../err < /dev/null)
        status=$?
        full=$((full + (status != 0)))
        rm work/filler
        judge "$name" "a disk with $room KB" $status "$@"
        umount work
    done
}
full_disks()
{
    full=0
    mkdir probe
    if ! mount -t tmpfs -o size=2m tmpfs probe 2> err; then echo "skipped: no file system can be mounted, so none is full"; return; fi
    umount probe
    full "data sudoku"      data sudoku --output-dir data --generate 300 --size 4 --threads 1
    full "train"            train data_path=data $small steps=2 threads=1 checkpoint_path=new
    full "train, resume"    train resume=run steps=6 threads=1
    full "train, overwrite" train data_path=data $small steps=2 threads=1 checkpoint_path=run overwrite=true
    full "convert"          convert run/step_4.safetensors model.pt
    full "render"           render data -o board.svg
    program=$work/library
    full "library"          data library
    program=$hrm
    [ -n "$HRM_TEST_ONLY" ] || check "some disks were full" test $full -gt 6
    echo "$full commands ended for want of room"
}
for ((lane = 0; lane < jobs; lane++)); do (commands $lane) & done
wait
for ((lane = 0; lane < jobs; lane++)); do
    read -r p f n < "lane$lane/sum" || { p=0 f=1 n=0; echo "FAILED: lane $lane did not end"; }
    passed=$((passed + p)) failed=$((failed + f)) faults=$((faults + n))
done

echo "$faults faults"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
