"""hrm.h against PyTorch on the same GPU in the same run: make bench-cuda-torch PYTHON=path/to/python

They take turns; the table has medians, and PyTorch's time over ours. Beforehand PyTorch gets ready, compiling all cases at
once, each in a process of its own that keeps its weights on the GPU; nothing else runs on it while one is timed. Environment:
  CASES        what is timed, NAME:BATCH, NAME:BATCH:no_ACT_continue (without the continue head, one forward pass fewer) or
               NAME:BATCH:fast (the fast recipe)
  ONLY         of these the ones with one of these words in their names: ONLY=fast
  MODES        of PyTorch, "compiled eager"            ROUNDS       turns each
  LIMIT        seconds that PyTorch may take to get ready, a case (the fast recipe compiles for minutes), and for a turn
  HRM_SHARED   where reference/ is with what times PyTorch: bench_torch.py, family_torch.py, trm_torch.py; BENCH_TORCH: the first's path
  B            where build/cuda/tests/bench_cuda was built; what PyTorch compiles is kept in its torch-cache
  LOCK         a file locked while timing, to keep other work off the GPU
"""
import fcntl, inspect, json, os, queue, statistics, subprocess, sys, threading, time, types

PATH = os.environ.get("BENCH_TORCH") or os.path.join(os.environ.get("HRM_SHARED") or "../shared", "reference/bench_torch.py")
HERE = os.path.dirname(os.path.abspath(PATH))
CASES = (os.environ.get("CASES") or "sudoku:768 sudoku:384 maze:96 sudoku:768:no_ACT_continue sudoku:384:fast").split()
ONLY = os.environ.get("ONLY", "").split()
MODES = (os.environ.get("MODES") or "compiled eager").split()
ROUNDS, LIMIT = int(os.environ.get("ROUNDS") or 2), float(os.environ.get("LIMIT") or 900)
B = os.environ.get("B") or "build"
OURS = os.path.join(B, "cuda/tests/bench_cuda")
KEYS = (("train_ms", "training step"), ("train_MB", "its memory"), ("solve_ms", "solving the batch"), ("solve1_ms", "solving one"))
DEVICE = "cuda"


def needs(case):
    return {"fast": "trm_torch.py", "no_ACT_continue": "family_torch.py"}.get(case.split(":")[2] if case.count(":") > 1 else "", "bench_torch.py")


def hrm_timer(case, compiled):
    """-> (a function that times once, peak MB) of bench_torch.py's training step and solving."""
    import torch, bench_torch
    if case.endswith(":no_ACT_continue"):   # the family's model in the place of HRM's, told to have no continue head
        import family_torch, hrm_torch
        def losses(*a):                     # the continue head's is a 0 on the CPU there
            total, parts = family_torch.losses(*a)
            return total, {k: v.to(total.device) for k, v in parts.items()}
        bench_torch.R = types.SimpleNamespace(Config=family_torch.Config, HRM=family_torch.Model, losses=losses, sign_sgd=hrm_torch.sign_sgd)
        case += "=1"
    median_ms, calls = bench_torch.median_ms, []

    def warm_up(fn, device, warm, runs):    # in the place of bench_torch's own timing
        for _ in range(warm): fn()
        calls.append((fn, runs))
        return 1.0

    bench_torch.median_ms = warm_up
    memory = bench_torch.run(case, DEVICE, compiled, 3, 9)["peak_MB"]
    model = inspect.getclosurevars(calls[0][0]).nonlocals["model"]

    def once():
        times = []
        for i, (fn, runs) in enumerate(calls):
            model.train(i == 0)
            times.append(median_ms(fn, DEVICE, 2, runs))
        return dict(zip(("train_ms", "solve_ms", "solve1_ms"), times))
    return once, memory


def fast_timer(case, compiled):
    """The same of trm_torch.py's."""
    import torch, bench_torch, trm_torch
    name, batch, _ = case.split(":")
    tokens, vocabulary, _ = bench_torch.TASKS[name]
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = True
    model = trm_torch.TRM(trm_torch.Config(seq_len=tokens, vocab_size=vocabulary)).to(DEVICE)
    f, dtype = trm_torch.fns(model, compiled), torch.bfloat16 if DEVICE == "cuda" else torch.float32
    once = lambda n: trm_torch.timing(f, model, types.SimpleNamespace(time=n, batch=int(batch)), DEVICE, dtype)
    once(1)
    return lambda: once(9), torch.cuda.max_memory_allocated() / 1e6


def worker(case, mode):
    """Compiles and warms up, says so, then times once for each line it is sent."""
    sys.path.insert(0, HERE)
    import torch
    once, memory = (fast_timer if case.endswith(":fast") else hrm_timer)(case, mode == "compiled")
    gpu = DEVICE == "cuda"
    if gpu: torch.cuda.synchronize(), torch.cuda.empty_cache()
    print(json.dumps(dict(torch=torch.__version__, gpu=torch.cuda.get_device_name() if gpu else "CPU")), flush=True)
    for _ in sys.stdin:
        result = once()
        if gpu: torch.cuda.empty_cache()
        print(json.dumps(dict(result, train_MB=memory)), flush=True)


class Peer:
    """A worker; once it has failed or taken too long it is gone, and `why` says so."""

    def __init__(self, case, mode):
        environment = dict(os.environ)
        environment.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.abspath(os.path.join(B, "torch-cache")))
        environment.setdefault("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")
        self.process = subprocess.Popen([sys.executable, __file__, "--worker", case, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.case, self.mode, self.lines, self.why, self.results = case, mode, queue.Queue(), None, []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"): self.lines.put(json.loads(line))
        self.lines.put(None)

    def answer(self, until):
        if self.why: return None
        try:
            got = self.lines.get(timeout=max(0.1, until - time.monotonic()))
        except queue.Empty:
            got, self.why = None, f"not done after {LIMIT:.0f} s (LIMIT)"
        if not got:
            self.why = self.why or "failed"
            print(f"peers.py: PyTorch, {self.mode}, at {self.case}: {self.why}", file=sys.stderr, flush=True)
            self.process.kill()
            self.process.wait()
        return got

    def turn(self):
        if self.why: return
        print("one", file=self.process.stdin, flush=True)
        got = self.answer(time.monotonic() + LIMIT)
        if got: self.results.append(got)

    def close(self):
        if not self.why: self.process.stdin.close()
        self.process.wait()


def main():
    try:
        import torch
    except ImportError as error:
        sys.exit(f"peers.py: {error}. Install it (pip install torch) and give that python: make bench-cuda-torch PYTHON=path/to/python")
    if DEVICE == "cuda" and not torch.cuda.is_available(): sys.exit("peers.py: PyTorch finds no GPU here")
    cases = [c for c in CASES if not ONLY or any(o in c for o in ONLY)]
    for case in list(cases):
        path = os.path.join(HERE, needs(case))
        if os.path.exists(path) and os.path.exists(PATH): continue
        print(f"peers.py: {case} is left out: no {path if os.path.exists(PATH) else PATH}; HRM_SHARED=DIR says where reference/ is", file=sys.stderr)
        cases.remove(case)
    if not cases: sys.exit("peers.py: nothing to time")
    begun, ready = time.monotonic(), None
    made = {(case, mode): Peer(case, mode) for case in cases for mode in MODES if mode != "eager"}
    for p in made.values(): ready = p.answer(begun + LIMIT) or ready
    for case in cases if "eager" in MODES else []:  # one after the other: nothing to compile, and the most memory
        p = made[case, "eager"] = Peer(case, "eager")
        ready = p.answer(time.monotonic() + LIMIT) or ready
    peers = {case: [made[case, mode] for mode in MODES] for case in cases}
    print(f"ready after {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    ours = {case: [] for case in cases}
    with open(os.environ.get("LOCK") or os.devnull, "a") as lock:
        if os.environ.get("LOCK"): fcntl.flock(lock, fcntl.LOCK_EX)
        for _ in range(ROUNDS):
            for case in cases:
                r = json.loads(subprocess.run([OURS, case], stdout=subprocess.PIPE, text=True, check=True).stdout)
                ours[case].append(dict(r, train_MB=1e3 * (r["model_GB"] + r["train_GB"])))
                for p in peers[case]: p.turn()
    if ready: print(f"{ready['gpu']}, PyTorch {ready['torch']}; medians of {ROUNDS} turns each; ratio: PyTorch's over ours")
    print(f"{'':48}{'hrm.h':>12}" + "".join(f"{mode:>14}{'ratio':>9}" for mode in MODES))
    for case in cases:
        for key, what in KEYS:
            a = statistics.median(r[key] for r in ours[case])
            line = f"{case if key == 'train_ms' else '':28}{what:20}{a:9.1f} {key[-2:]}"
            for p in peers[case]:
                b = statistics.median(r[key] for r in p.results) if p.results else None
                line += f"{'-':>14}{'':9}" if b is None else f"{b:11.1f} {key[-2:]}{b / a:8.2f}x"
            print(line.rstrip())
    failed = [p for all_ in peers.values() for p in all_ if p.why]
    for all_ in peers.values():
        for p in all_: p.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    worker(*sys.argv[2:]) if sys.argv[1:2] == ["--worker"] else main()
