"""hrm.h beside what else computes the same on this machine's processors, the two taking turns in one run.

usage: peers.py [--bench PROGRAM] [--reference bench_torch.py] [--threads N] [--rounds N] [--mode eager|compiled|best] [products] [CASE ...]

`products`: matrix products against PyTorch's and OpenBLAS's (as numpy brings it). CASE: a model, as in cpu.c, trained and solved,
against PyTorch. Without either: the products, and the three models of the README. Medians; a ratio is the peer's time over ours.
Needs PyTorch and numpy, and the reference model's timing script.
"""
import argparse, json, os, statistics, subprocess, sys, time

CASES = ["sudoku4:256:hidden_size=128,num_heads=4,H_layers=2,L_layers=2", "sudoku:32:hidden_size=256", "sudoku:8"]


def rate(call, flop):
    """GFLOP/s, the best of seven: what a machine can do, not what its other users leave."""
    n, best = 1 + int(1e9 / flop), 0
    for _ in range(7):
        t = time.perf_counter()
        for _ in range(n): call()
        best = max(best, flop * n / (time.perf_counter() - t) * 1e-9)
    return best


def peer_product(p):
    import numpy, torch
    torch.set_num_threads(p["threads"])
    M, N, K, dw = p["M"], p["N"], p["K"], p["dw"]
    a, b = torch.rand(M, N if dw else K) - 0.5, torch.rand(M if dw else N, K) - 0.5
    c = torch.zeros((N, K) if dw else (M, N))
    x, y, z = a.numpy(), b.numpy(), c.numpy()
    flop = 2.0 * M * N * K
    return (rate(lambda: torch.mm(a.t(), b, out=c) if dw else torch.mm(a, b.t(), out=c), flop),
            rate(lambda: numpy.matmul(x.T, y, out=z) if dw else numpy.matmul(x, y.T, out=z), flop))


def peer_case(o, case):
    """In a process of its own, for its memory. Solving the whole batch, the second of the script's timings, is left out."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(o.reference)))
    import bench_torch, torch
    torch.set_num_threads(o.threads)
    median_ms, calls = bench_torch.median_ms, []

    def timed(*arguments):
        calls.append(1)
        return float("nan") if len(calls) % 3 == 2 else median_ms(*arguments)

    bench_torch.median_ms = timed
    modes = {"eager": [False], "compiled": [True], "best": [False, True]}[o.mode]
    results = [bench_torch.run(case, "cpu", m, 3 if m else 1, 3) for m in modes]
    best = min(results, key=lambda r: r["train_ms"])
    best["peak_MB"] = results[0]["peak_MB"]  # before anything was compiled
    best["solve1_ms"] = min(r["solve1_ms"] for r in results)
    print(json.dumps(dict(best, torch=torch.__version__)))


def run(command, environment=None):
    out = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True).stdout.decode()
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def products(o, environment):
    print(f"matrix products, {o.threads} threads, GFLOP/s")
    print(f"{'':32}{'hrm.h':>6}{'of peak':>9}{'PyTorch':>9}{'ratio':>7}{'OpenBLAS':>10}{'ratio':>7}")
    for row in run([o.bench, "--threads", str(o.threads), "--products"]):
        again = [sys.executable, __file__, "--one-product", json.dumps(dict(row, threads=o.threads))]
        (peer,) = run(again, environment)
        print(f"  {'dw' if row['dw'] else 'y '} M {row['M']:4} N {row['N']:4} K {row['K']:4}   {row['gflops']:10.0f}{100 * row['gflops'] / row['peak']:8.0f} %"
              + "".join(f"{peer[k]:{w}.0f}{row['gflops'] / peer[k]:6.2f}x" for k, w in (("torch", 9), ("openblas", 10))), flush=True)


def models(o, cases, environment):
    print(f"\nmodels, {o.threads} threads, PyTorch {o.mode}; the better of its modes where there are two")
    print(f"{'':68}{'hrm.h':>10}{'PyTorch':>10}{'ratio':>8}")
    for case in cases:
        ours, theirs = [], []
        for _ in range(o.rounds):
            ours += run([o.bench, "--threads", str(o.threads), "--runs", "3", "--no-batch", case])
            theirs += run([sys.executable, __file__, "--one-case", case, "--reference", o.reference, "--threads", str(o.threads), "--mode", o.mode], environment)
        for key, name, unit in (("train_ms", "training step", "ms"), ("solve1_ms", "solving one", "ms"), ("peak_MB", "peak memory", "MB")):
            a, b = (statistics.median(r[key] for r in side) for side in (ours, theirs))
            print(f"{case if key == 'train_ms' else '':54}{name:14}{a:7.0f} {unit}{b:7.0f} {unit}{b / a:7.2f}x", flush=True)
        print(f"{'':54}PyTorch {theirs[0]['torch']}, {theirs[0]['mode']}")


def main():
    a = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    a.add_argument("--bench", default="build/bench/cpu")
    a.add_argument("--reference", default="../shared/reference/bench_torch.py")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("--rounds", type=int, default=2)
    a.add_argument("--mode", default="best", choices=("eager", "compiled", "best"))
    a.add_argument("--one-product", help=argparse.SUPPRESS)
    a.add_argument("--one-case", help=argparse.SUPPRESS)
    a.add_argument("what", nargs="*")
    o = a.parse_args()
    try:
        import numpy, torch
    except ImportError as error:
        sys.exit(f"peers.py: {error}. Install them (pip install torch numpy) and give that python: make bench-torch PYTHON=path/to/python")
    if o.one_product:
        t, b = peer_product(json.loads(o.one_product))
        print(json.dumps({"torch": t, "openblas": b}))
    elif o.one_case:
        peer_case(o, o.one_case)
    else:
        # numpy's OpenBLAS at its best: whatever kernel the environment forces on it is for other programs
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        environment["OPENBLAS_NUM_THREADS"] = str(o.threads)
        cases = [w for w in o.what if w != "products"] or ([] if o.what else CASES)
        if cases and not os.path.exists(o.reference):
            sys.exit(f"peers.py: no {o.reference}; give its path: make bench-torch BENCH_TORCH=path/to/bench_torch.py")
        if "products" in o.what or not o.what: products(o, environment)
        if cases: models(o, cases, environment)


if __name__ == "__main__":
    main()
