#!/bin/sh
# Time by kernel of one training step, with ncu: profile.sh [CASE] [SKIP COUNT]   [sudoku:768 460 445]
case=${1:-sudoku:768} skip=${2:-460} count=${3:-445}
HRM_CUDA_SYNC=1 ncu --clock-control none --metrics gpu__time_duration.sum --launch-skip "$skip" --launch-count "$count" --kill yes --csv \
    build/cuda/tests/bench_cuda "$case" 2>/dev/null | python3 -c '
import csv, sys, collections, re
rows = list(csv.reader(l for l in sys.stdin if l.startswith("\"")))
head = rows[0]
name, value, unit, grid = (head.index(k) for k in ("Kernel Name", "Metric Value", "Metric Unit", "Grid Size"))
total, by = 0, collections.defaultdict(lambda: [0, 0.0, 1e9])
for r in rows[1:]:
    us = float(r[value].replace(",", "")) * {"ns": 1e-3, "us": 1, "ms": 1e3}.get(r[unit], 1)
    k = by[re.sub(r"\(.*", "", r[name].replace("(bool)", "").replace("(int)", "")) + " " + r[grid]]
    k[0] += 1; k[1] += us; k[2] = min(k[2], us); total += us
for k, (n, us, least) in sorted(by.items(), key=lambda x: -x[1][1])[:int(sys.argv[1])]:
    print("%8.0f us %5.1f %% %4d x %8.1f (least %8.1f)  %s" % (us, 100 * us / total, n, us / n, least, k))
print("%8.0f us in %d launches" % (total, len(rows) - 1))' "${4:-45}"
