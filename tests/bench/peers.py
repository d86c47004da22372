"""hrm.h beside what else computes the same on this machine's processors, the two taking turns in one run.

usage: peers.py [--bench PROGRAM] [--reference bench_torch.py] [--threads N] [--slices N] [--seconds N] [--mode eager|compiled|best] [--isa avx2] [products[:TEXT]] [CASE ...]

`products`: matrix products against PyTorch's and OpenBLAS's (as numpy brings it); `products:TEXT`: those with TEXT in their
line "y M N K dtype" or "dw M N K dtype". CASE: a model, as in cpu.c, trained and solved,
against PyTorch. Without either: the products, and the three models of the README. Medians; a ratio is the median over the turns of
the peer's time over ours. --isa holds all of them to an instruction set.
With arch=fast, as in sudoku:4:arch=fast, it is the fast recipe, against trm_torch.py beside the timing script, which is compiled only
where --mode compiled asks for it: that takes minutes.
Needs PyTorch and numpy, and the reference model's timing script.
"""
import argparse, importlib.util, json, os, statistics, subprocess, sys, time

# What holds PyTorch's products, oneDNN's and OpenBLAS to one
ISAS = {"avx2": dict(ATEN_CPU_CAPABILITY="avx2", MKL_ENABLE_INSTRUCTIONS="AVX2", ONEDNN_MAX_CPU_ISA="AVX2", OPENBLAS_CORETYPE="Haswell")}
PAUSE = 0.03  # in which the threads of the one before go to sleep
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


def fast_case(o, case, compiled):
    """trm_torch.py's training step and one segment of one puzzle, as its own --time has them but for the batch, which takes minutes here."""
    import torch, bench_torch, trm_torch as R
    name, batch, keys = case.split(":")
    if keys != "arch=fast": sys.exit(f"peers.py: {case}: arch=fast has no other keys here")
    tokens, vocabulary, _ = bench_torch.TASKS[name]
    torch.manual_seed(0)
    c = R.Config(seq_len=tokens, vocab_size=vocabulary)
    model = R.TRM(c)
    f = R.fns(model, compiled)
    x, y = (torch.randint(1, vocabulary, (int(batch), tokens)) for _ in range(2))
    matrices = [p for b in model.blocks for p in b.parameters()]
    ids = {id(p) for p in matrices}
    muon, adam = R.Muon(matrices, lr=1e-3), torch.optim.AdamW([p for p in model.parameters() if id(p) not in ids], lr=1e-4, weight_decay=1.0)
    start = lambda n: tuple(v.expand(n, c.puzzle_emb_len + tokens, -1).contiguous() for v in (model.H_init, model.L_init))

    def train():
        _, _, logits, q = R.segment(f, model, x, *start(int(batch)))
        for p in model.parameters(): p.grad = None
        R.loss_of(c, logits, q, y)[0].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        adam.step()
        muon.step()

    def solve():
        with torch.no_grad(): R.segment(f, model, x[:1], *start(1), grad=False)

    return train, solve


def hrm_case(o, case, compiled):
    """bench_torch.py's training step and its solving of one puzzle, here of one segment."""
    import bench_torch
    config, make, steps, models = bench_torch.parse(case), bench_torch.R.HRM, [], []
    segments = config.halt_max_steps
    bench_torch.parse = lambda text: config
    bench_torch.median_ms = lambda function, *rest: steps.append(function) or 1.0
    bench_torch.R.HRM = lambda c: models.append(make(c)) or models[0]
    bench_torch.run(case, "cpu", compiled, 0, 0)

    def train():
        models[0].train()
        config.halt_max_steps = segments
        steps[0]()

    def solve():
        models[0].eval()
        config.halt_max_steps = 1
        steps[2]()

    return train, solve


def peer_case(o, case):
    """Milliseconds for a line `train` or `solve` of standard input, megabytes so far for `memory`."""
    import resource, torch
    sys.path.insert(0, os.path.dirname(os.path.abspath(o.reference)))
    torch.set_num_threads(o.threads)
    train, solve = (fast_case if "arch=fast" in case else hrm_case)(o, case, o.mode == "compiled")
    for line in map(str.strip, sys.stdin):
        begin = time.perf_counter()
        if line == "memory": print(1024e-6 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
        else:
            (train if line == "train" else solve)()
            print(1e3 * (time.perf_counter() - begin), flush=True)


def start(command, environment=None):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)


def ask(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def products(o, what, environment):
    print(f"matrix products, {o.threads} threads: medians of {o.slices} slices of a tenth of a second, in turns; GFLOP/s")
    print(f"{'':42}{'hrm.h':>6}{'of peak':>9}{'PyTorch':>9}{'ratio':>7}{'OpenBLAS':>10}{'ratio':>7}")
    ours, rows = start([o.bench, "--threads", str(o.threads), "--products"], dict(os.environ, HRM_CPU=o.isa or os.environ.get("HRM_CPU", ""))), []
    while (line := ours.stdout.readline().strip()): rows.append(json.loads(line))
    for i, row in enumerate(rows):
        if what not in f"{'dw' if row['dw'] else 'y'} {row['M']} {row['N']} {row['K']} {row['dtype']}": continue
        peer = start([sys.executable, __file__, "--one-product", json.dumps(dict(row, threads=o.threads))], environment)
        slices = [(time.sleep(PAUSE), ask(ours, i), time.sleep(PAUSE), ask(peer, ""))[1::2] for _ in range(o.slices)]
        peer.communicate()
        middle = lambda of: statistics.median(of(a, b) for a, b in slices)
        print(f"  {'dw' if row['dw'] else 'y '} M {row['M']:4} N {row['N']:4} K {row['K']:4}  {row['dtype']:8}{middle(lambda a, b: a['gflops']):10.0f}"
              f"{100 * middle(lambda a, b: a['gflops'] / a['peak']):8.0f} %"
              + "".join(f"{middle(lambda a, b: b[k]):{w}.0f}{middle(lambda a, b: a['gflops'] / b[k]):6.2f}x"
                        for k, w in (("torch", 9), ("openblas", 10)) if k in slices[0][1]), flush=True)
    ours.communicate()


def models(o, cases, environment):
    modes = {"eager": ["eager"], "compiled": ["compiled"]}.get(o.mode, ["eager", "compiled"])
    print(f"\nmodels, {o.threads} threads: medians of {o.slices} turns, or as many as fit in {o.seconds} s but 3; a training step, a segment of one puzzle")
    print(f"{'':42}{'':16}{'hrm.h':>10}" + "".join(f"{'PyTorch ' + m:>19}{'ratio':>7}" for m in modes), flush=True)
    for case in cases:
        names = modes if "arch=fast" not in case or o.mode != "best" else ["eager"]
        sides = [start([o.bench, "--threads", str(o.threads), "--turns", case], dict(os.environ, HRM_CPU=o.isa or os.environ.get("HRM_CPU", "")))]
        for m in names:
            sides.append(start([sys.executable, __file__, "--one-case", case, "--reference", o.reference, "--threads", str(o.threads), "--mode", m], environment))
        for what, name in (("train", "training step"), ("solve", "segment")):
            for side in sides:
                for _ in range(2): ask(side, what)
            turns, begin = [], time.monotonic()
            while len(turns) < o.slices and (len(turns) < 3 or time.monotonic() - begin < o.seconds):
                turns.append([])
                for side in sides:
                    time.sleep(PAUSE)
                    turns[-1].append(ask(side, what))
            middle = lambda of: statistics.median(map(of, turns))
            print(f"{case if what == 'train' else '':42.42}{name:14}{middle(lambda t: t[0]):9.1f} ms"
                  + "".join(f"{middle(lambda t: t[i]):16.1f} ms{middle(lambda t: t[i] / t[0]):6.2f}x" for i in range(1, len(sides))) + f"   {len(turns)} turns", flush=True)
            if what == "train":
                peak = [ask(side, "memory") for side in sides]
                print(f"{'':42}{'peak memory':14}{peak[0]:9.0f} MB" + "".join(f"{p:16.0f} MB{p / peak[0]:6.2f}x" for p in peak[1:]), flush=True)
        for side in sides: side.communicate()


def main():
    a = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    a.add_argument("--bench", default="build/bench/cpu")
    a.add_argument("--reference", default="../shared/reference/bench_torch.py")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("--seconds", type=float, default=120)
    a.add_argument("--isa", default="", choices=("", *ISAS))
    a.add_argument("--slices", type=int, default=20)
    a.add_argument("--mode", default="best", choices=("eager", "compiled", "best"))
    a.add_argument("--one-product", help=argparse.SUPPRESS)
    a.add_argument("--one-case", help=argparse.SUPPRESS)
    a.add_argument("what", nargs="*")
    o = a.parse_args()
    if any(importlib.util.find_spec(name) is None for name in ("numpy", "torch")):  # not imported: a process counts its parent's memory as its own
        sys.exit(f"peers.py: no numpy or no torch. Install them (pip install torch numpy) and give that python: make bench-torch PYTHON=path/to/python")
    if o.one_product:
        peer_product(json.loads(o.one_product))
    elif o.one_case:
        peer_case(o, o.one_case)
    else:
        # numpy's OpenBLAS at its best: whatever kernel the environment forces on it is for other programs
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        environment["OPENBLAS_NUM_THREADS"] = str(o.threads)
        environment["OPENBLAS_THREAD_TIMEOUT"] = "22"  # its threads spin for 2^22 cycles after a call, not 2^28, in which others would take turns
        environment.update(ISAS.get(o.isa, {}))
        cases = [w for w in o.what if not w.startswith("products")] or ([] if o.what else CASES)
        for path in [o.reference] * bool(cases) + [needs(o, case) for case in cases]:
            if not os.path.exists(path):
                sys.exit(f"peers.py: no {path}; give the folder of reference/ or the script: make bench-torch HRM_SHARED=DIR or BENCH_TORCH=path/to/bench_torch.py")
        for w in [w for w in o.what or ["products"] if w.startswith("products")]: products(o, w[9:], environment)
        if cases: models(o, cases, environment)


if __name__ == "__main__":
    main()
