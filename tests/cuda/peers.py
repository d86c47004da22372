"""hrm.h against PyTorch, compiled, on the same GPU in the same run: make bench-cuda-torch PYTHON=path/to/python

The two take turns; the table has medians, and PyTorch's time over ours. PyTorch compiles all cases at once beforehand, each in a
process of its own that keeps its weights on the GPU; nothing else runs on it while one is timed. Environment:
  BENCH_TORCH  the script that times PyTorch       B      where build/cuda/tests/bench_cuda was built
  CASES        what is timed, NAME:BATCH           LOCK   a file locked while timing, to keep other work off the GPU
  ROUNDS       turns each
"""
import fcntl, inspect, json, os, statistics, subprocess, sys

PATH = os.environ.get("BENCH_TORCH", "../shared/reference/bench_torch.py")
CASES = os.environ.get("CASES", "sudoku:768 sudoku:384 maze:96").split()
ROUNDS = int(os.environ.get("ROUNDS", "2"))
OURS = os.path.join(os.environ.get("B", "build"), "cuda/tests/bench_cuda")


def worker(case):
    """Compiles and warms up, says so, then times once for each line it is sent."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(PATH)))
    import torch, bench_torch
    median_ms, calls = bench_torch.median_ms, []

    def warm_up(fn, device, warm, runs):    # in the place of bench_torch's own timing
        for _ in range(warm): fn()
        calls.append((fn, runs))
        return 1.0

    bench_torch.median_ms = warm_up
    memory = bench_torch.run(case, "cuda", True, 3, 9)["peak_MB"]
    model = inspect.getclosurevars(calls[0][0]).nonlocals["model"]
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    print(json.dumps(dict(torch=torch.__version__, gpu=torch.cuda.get_device_name())), flush=True)
    for _ in sys.stdin:
        times = []
        for i, (fn, runs) in enumerate(calls):
            model.train(i == 0)
            times.append(median_ms(fn, "cuda", 2, runs))
        torch.cuda.empty_cache()
        print(json.dumps(dict(zip(("train_ms", "solve_ms", "solve1_ms"), times), train_MB=memory)), flush=True)


def answer(process, case):
    for line in process.stdout:
        if line.startswith("{"): return json.loads(line)
    sys.exit(f"peers.py: PyTorch failed at {case}")


def main():
    try:
        import torch
    except ImportError as error:
        sys.exit(f"peers.py: {error}. Install it (pip install torch) and give that python: make bench-cuda-torch PYTHON=path/to/python")
    if not torch.cuda.is_available(): sys.exit("peers.py: PyTorch finds no GPU here")
    if not os.path.exists(PATH): sys.exit(f"peers.py: no {PATH}; give its path: make bench-cuda-torch BENCH_TORCH=path/to/bench_torch.py")
    workers = {case: subprocess.Popen([sys.executable, __file__, "--worker", case], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for case in CASES}
    ready = {case: answer(w, case) for case, w in workers.items()}
    results = {case: ([], []) for case in CASES}
    with open(os.environ.get("LOCK", os.devnull), "a") as lock:
        if "LOCK" in os.environ: fcntl.flock(lock, fcntl.LOCK_EX)
        for _ in range(ROUNDS):
            for case, (ours, theirs) in results.items():
                r = json.loads(subprocess.run([OURS, case], stdout=subprocess.PIPE, text=True, check=True).stdout)
                ours.append(dict(r, train_MB=1e3 * (r["model_GB"] + r["train_GB"])))
                print("one\n", end="", file=workers[case].stdin, flush=True)
                theirs.append(answer(workers[case], case))
    for w in workers.values():
        w.stdin.close()
        w.wait()
    print(f"{ready[CASES[0]]['gpu']}, PyTorch {ready[CASES[0]]['torch']} compiled; medians of {ROUNDS} turns each; ratio: PyTorch's over ours")
    print(f"{'':36}{'hrm.h':>12}{'PyTorch':>14}{'ratio':>9}")
    for case, sides in results.items():
        for key, what in (("train_ms", "training step"), ("train_MB", "its memory"), ("solve_ms", "solving the batch"), ("solve1_ms", "solving one")):
            a, b = (statistics.median(r[key] for r in side) for side in sides)
            print(f"{case if key == 'train_ms' else '':16}{what:20}{a:9.1f} {key[-2:]}{b:11.1f} {key[-2:]}{b / a:8.2f}x")


if __name__ == "__main__":
    worker(sys.argv[2]) if sys.argv[1:2] == ["--worker"] else main()
