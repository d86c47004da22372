#!/bin/sh
# hrm.h against PyTorch on the same work, the two taking turns in one run: medians and ratios (PyTorch's time over ours).
#   PYTHON  one that has torch     BENCH_TORCH  the script that times PyTorch     ROUNDS  turns each     CASES  what is timed
#   MODE    eager, compiled or best (of both; compiling takes minutes)            THREADS
PYTHON=${PYTHON:-python3}
BENCH_TORCH=${BENCH_TORCH:-../shared/reference/bench_torch.py}
ROUNDS=${ROUNDS:-2} MODE=${MODE:-eager} B=${B:-build}
THREADS=${THREADS:-$(getconf _NPROCESSORS_ONLN)}
CASES=${CASES:-sudoku4:256:hidden_size=128,num_heads=4,H_layers=2,L_layers=2 sudoku:32:hidden_size=256 sudoku:8}

if ! "$PYTHON" -c 'import torch' 2>/dev/null; then
    echo "bench-torch: $PYTHON has no torch. Install it (pip install torch numpy) and give that python: make bench-torch PYTHON=path/to/python"
    exit 1
fi
if [ ! -f "$BENCH_TORCH" ]; then
    echo "bench-torch: no $BENCH_TORCH; give its path: make bench-torch BENCH_TORCH=path/to/bench_torch.py"
    exit 1
fi
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for case in $CASES; do
    i=0
    while [ $i -lt "$ROUNDS" ]; do
        printf 'hrm ' >> "$lines"
        "$B/bench/cpu" --threads "$THREADS" --runs 3 --no-batch "$case" >> "$lines" || exit 1
        printf 'torch ' >> "$lines"
        "$PYTHON" - "$BENCH_TORCH" "$case" "$THREADS" "$MODE" >> "$lines" <<'END' || exit 1
# Times the step and one puzzle; solving the whole batch, the second of its three timings, says no more and takes a minute.
import json, os, sys
path, case, threads, mode = sys.argv[1:]
sys.path.insert(0, os.path.dirname(path))
import torch, bench_torch
torch.set_num_threads(int(threads))
median_ms, calls = bench_torch.median_ms, []
def timed(*arguments):
    calls.append(1)
    return float("nan") if len(calls) % 3 == 2 else median_ms(*arguments)
bench_torch.median_ms = timed
modes = {"eager": [False], "compiled": [True], "best": [True, False]}[mode]
results = [bench_torch.run(case, "cpu", m, 1, 3) for m in modes]
best = min(results, key=lambda r: r["train_ms"])
best["solve1_ms"] = min(r["solve1_ms"] for r in results)
print(json.dumps(dict(torch=torch.__version__, **best)))
END
        i=$((i + 1))
    done
done
"$PYTHON" - "$lines" "$THREADS" "$MODE" <<'END'
import json, statistics, sys
rows = {}
for line in open(sys.argv[1]):
    who, result = line.split(" ", 1)
    result = json.loads(result)
    rows.setdefault(result["case"], {}).setdefault(who, []).append(result)
    version = result.get("torch", "")
print(f"PyTorch {version} {sys.argv[3]}, {sys.argv[2]} threads; medians; the ratio is PyTorch's over ours")
print(f"{'':70}{'hrm.h':>8}{'PyTorch':>10}{'ratio':>9}")
for case, sides in rows.items():
    for key, name, unit in (("train_ms", "training step", "ms"), ("solve1_ms", "solving one", "ms"), ("peak_MB", "peak memory", "MB")):
        a, b = (statistics.median(r[key] for r in sides[who]) for who in ("hrm", "torch"))
        print(f"{case if key == 'train_ms' else '':54}{name:16}{a:5.0f} {unit}{b:7.0f} {unit}{b / a:8.2f}x")
END
