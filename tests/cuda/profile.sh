#!/bin/sh
# The kernels of one training step, with ncu: how often each runs, the operations that its tensor cores did and the bytes that it
# moved to and from memory, both as counted by the GPU, the time that these take at the GPU's limits (the floor: launch by launch the
# longer of the two), and the time it took. Kernel by kernel (HRM_CUDA_SYNC=1), so without what overlaps in a real step.
# usage: profile.sh [CASE] [LINES]   [sudoku:768 40]   CASE as in bench_cuda.c
# TFLOPS, TBS: the limits, in TFLOP/s and TB/s [778 and 2.96, measured on an H100]; B: the build folder; FROM: a saved CSV of ncu's
case=${1:-sudoku:768}
ends=$(sed -n '/^enum ending_kind {/,/^};/s/^ *END_\([A-Z_]*\).*/\1/p' "$(dirname "$0")/../../hrm_cuda.cu" 2>/dev/null | tr 'A-Z\n' 'a-z ')
{
    if [ -n "$FROM" ]; then cat "$FROM"; else
        HRM_CUDA_SYNC=1 ncu --clock-control none --cache-control none --profile-from-start off --print-units base --csv --metrics \
            gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum,sm__ops_path_tensor_src_bf16_dst_fp32.sum \
            "${B:-build}/cuda/tests/bench_cuda" --profile "$case"
    fi
} | python3 -c '
import collections, csv, re, sys
case, most, tflops, tbs = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) * 1e12, float(sys.argv[4]) * 1e12
rows = list(csv.reader(l for l in sys.stdin if l.startswith("\"")))
if len(rows) < 2: sys.exit("profile.sh: ncu gave nothing: is it installed, and may it read the counters?")
at = {name: i for i, name in enumerate(rows[0])}
launches = collections.defaultdict(dict)
for r in rows[1:]:
    k = launches[r[at["ID"]]]
    k["name"], k[r[at["Metric Name"]]] = r[at["Kernel Name"]], float(r[at["Metric Value"]].replace(",", "") or 0)
ends = sys.argv[5].split()  # of the products, as numbered in the code
def title(name):
    name = re.sub(r"^void |\(.*|\((?:bool|int|ending_kind)\)", "", re.sub(r"\((?:bool|int|ending_kind)\)", "", name)).replace("__nv_bfloat16", "bf16")
    m = re.match(r"(gemm_\w+)<(\d+)(.*)", name)
    return f"{m[1]}<{ends[int(m[2])]}{m[3]}" if m and int(m[2]) < len(ends) else name
by = collections.defaultdict(lambda: [0, 0.0, 0.0, 0.0, 0.0])
for k in launches.values():
    flop = next((v for n, v in k.items() if n.startswith("sm__ops")), 0.0)
    moved, us = k["dram__bytes_read.sum"] + k["dram__bytes_write.sum"], k["gpu__time_duration.sum"] * 1e-3
    for i, x in enumerate((1, flop, moved, 1e6 * max(flop / tflops, moved / tbs), us)): by[title(k["name"])][i] += x
total = [sum(v[i] for v in by.values()) for i in range(5)]
print(f"{case}: one training step\n\n| kernel | launches | GFLOP | GB | floor, us | measured, us | of the step |\n|---|---|---|---|---|---|---|")
def line(what, v): print(f"| {what} | {v[0]} | {v[1] * 1e-9:.0f} | {v[2] * 1e-9:.2f} | {v[3]:.0f} | {v[4]:.0f} | {100 * v[4] / total[4]:.1f} % |")
order = sorted(by.items(), key=lambda x: -x[1][4])
for k, v in order[:most]: line(f"`{k}`", v)
if order[most:]: line(f"{len(order) - most} more", [sum(v[i] for _, v in order[most:]) for i in range(5)])
line("all", total)' "$case" "${2:-40}" "${TFLOPS:-778}" "${TBS:-2.96}" "$ends"
