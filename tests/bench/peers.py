"""hrm.h beside what else computes the same on this machine's processors, the two taking turns in one run.

usage: peers.py [--bench PROGRAM] [--reference bench_torch.py] [--threads N] [--rounds N] [--slices N] [--mode eager|compiled|best] [products] [CASE ...]

`products`: matrix products against PyTorch's and OpenBLAS's (as numpy brings it). CASE: a model, as in cpu.c, trained and solved,
against PyTorch. Without either: the products, and the three models of the README. Medians; a ratio is the peer's time over ours.
With arch=fast, as in sudoku:4:arch=fast, it is the fast recipe, against trm_torch.py beside the timing script, which is compiled only
where --mode compiled asks for it: that takes minutes.
Needs PyTorch and numpy, and the reference model's timing script.
"""
import argparse, json, os, statistics, subprocess, sys, time

CASES = ["sudoku4:256:hidden_size=128,num_heads=4,H_layers=2,L_layers=2", "sudoku:32:hidden_size=256", "sudoku:8"]


def rate(call, flop, length=0.1):
    """GFLOP/s over a tenth of a second."""
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < length:
        call()
        n += 1
    return flop * n / (time.perf_counter() - start) * 1e-9


def peer_product(p):
    """A line with both rates for each line of standard input. PyTorch's bfloat16 and bytes are its operands from the start."""
    import numpy, torch
    torch.set_num_threads(p["threads"])
    M, N, K, dw = p["M"], p["N"], p["K"], p["dw"]
    a, b = torch.rand(M, N if dw else K) - 0.5, torch.rand(M if dw else N, K) - 0.5
    c = torch.zeros((N, K) if dw else (M, N))
    x, y, z = a.numpy(), b.numpy(), c.numpy()
    flop, calls = 2.0 * M * N * K, {"torch": lambda: torch.mm(a.t(), b, out=c) if dw else torch.mm(a, b.t(), out=c)}
    if p["dtype"] == "float32": calls["openblas"] = lambda: numpy.matmul(x.T, y, out=z) if dw else numpy.matmul(x, y.T, out=z)
    elif p["dtype"] == "bfloat16":
        a16, b16 = a.bfloat16(), b.bfloat16()
        calls["torch"] = lambda: torch.mm(a16, b16.t())
    else:
        a8, b8 = (a * 254).to(torch.int8), (b * 254).to(torch.int8)
        calls["torch"] = lambda: torch._int_mm(a8, b8.t())
    for call in calls.values(): rate(call, flop)
    for _ in sys.stdin: print(json.dumps({name: rate(call, flop) for name, call in calls.items()}), flush=True)


def needs(o, case):
    """The file that a case is timed by."""
    return os.path.join(os.path.dirname(os.path.abspath(o.reference)), "trm_torch.py") if "arch=fast" in case else o.reference


def fast_case(o, case):
    """trm_torch.py's training step and solving one puzzle, as its own --time has them but for the batch, which takes minutes here."""
    import resource, torch, bench_torch, trm_torch as R
    name, batch, keys = case.split(":")
    if keys != "arch=fast": sys.exit(f"peers.py: {case}: arch=fast has no other keys here")
    tokens, vocabulary, _ = bench_torch.TASKS[name]
    torch.manual_seed(0)
    c = R.Config(seq_len=tokens, vocab_size=vocabulary)
    model = R.TRM(c)
    f = R.fns(model, o.mode == "compiled")
    x, y = (torch.randint(1, vocabulary, (int(batch), tokens)) for _ in range(2))
    matrices = [p for b in model.blocks for p in b.parameters()]
    ids = {id(p) for p in matrices}
    muon, adam = R.Muon(matrices, lr=1e-3), torch.optim.AdamW([p for p in model.parameters() if id(p) not in ids], lr=1e-4, weight_decay=1.0)
    start = lambda n: tuple(v.expand(n, c.puzzle_emb_len + tokens, -1).contiguous() for v in (model.H_init, model.L_init))

    def step():
        _, _, logits, q = R.segment(f, model, x, *start(int(batch)))
        for p in model.parameters(): p.grad = None
        R.loss_of(c, logits, q, y)[0].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        adam.step()
        muon.step()

    def solve():
        z = start(1)
        with torch.no_grad():
            for _ in range(c.halt_max_steps): z = R.segment(f, model, x[:1], *z, grad=False)[:2]

    train = bench_torch.median_ms(step, "cpu", 1, 3)
    peak = 1024e-6 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(dict(mode="compiled" if o.mode == "compiled" else "eager", train_ms=train, peak_MB=peak,
                          solve1_ms=bench_torch.median_ms(solve, "cpu", 0, 2), torch=torch.__version__)))


def peer_case(o, case):
    """In a process of its own, for its memory. Solving the whole batch, the second of the script's timings, is left out."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(o.reference)))
    import bench_torch, torch
    torch.set_num_threads(o.threads)
    if "arch=fast" in case: return fast_case(o, case)
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


def start(command, environment=None):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)


def ask(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def products(o, environment):
    print(f"matrix products, {o.threads} threads: medians of {o.slices} slices of a tenth of a second, in turns; GFLOP/s")
    print(f"{'':42}{'hrm.h':>6}{'of peak':>9}{'PyTorch':>9}{'ratio':>7}{'OpenBLAS':>10}{'ratio':>7}")
    ours, rows = start([o.bench, "--threads", str(o.threads), "--products"]), []
    while (line := ours.stdout.readline().strip()): rows.append(json.loads(line))
    for i, row in enumerate(rows):
        peer = start([sys.executable, __file__, "--one-product", json.dumps(dict(row, threads=o.threads))], environment)
        slices = [(ask(ours, i), ask(peer, "")) for _ in range(o.slices)]
        peer.communicate()
        middle = lambda of: statistics.median(of(a, b) for a, b in slices)
        print(f"  {'dw' if row['dw'] else 'y '} M {row['M']:4} N {row['N']:4} K {row['K']:4}  {row['dtype']:8}{middle(lambda a, b: a['gflops']):10.0f}"
              f"{100 * middle(lambda a, b: a['gflops'] / a['peak']):8.0f} %"
              + "".join(f"{middle(lambda a, b: b[k]):{w}.0f}{middle(lambda a, b: a['gflops'] / b[k]):6.2f}x"
                        for k, w in (("torch", 9), ("openblas", 10)) if k in slices[0][1]), flush=True)
    ours.communicate()


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
    a.add_argument("--slices", type=int, default=20)
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
        peer_product(json.loads(o.one_product))
    elif o.one_case:
        peer_case(o, o.one_case)
    else:
        # numpy's OpenBLAS at its best: whatever kernel the environment forces on it is for other programs
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        environment["OPENBLAS_NUM_THREADS"] = str(o.threads)
        cases = [w for w in o.what if w != "products"] or ([] if o.what else CASES)
        for path in [o.reference] * bool(cases) + [needs(o, case) for case in cases]:
            if not os.path.exists(path):
                sys.exit(f"peers.py: no {path}; give the folder of reference/ or the script: make bench-torch HRM_SHARED=DIR or BENCH_TORCH=path/to/bench_torch.py")
        if "products" in o.what or not o.what: products(o, environment)
        if cases: models(o, cases, environment)


if __name__ == "__main__":
    main()
