# Against PyTorch and OpenBLAS on the same processors: make bench-torch PYTHON=path/to/python [MODE=eager] [ROUNDS=2]
# [WHAT="products sudoku:8 sudoku:4:arch=fast"]
PYTHON      ?= python3
BENCH_TORCH ?= $(or $(HRM_SHARED),../shared)/reference/bench_torch.py
bench-torch: $(B)/bench/cpu
	@$(PYTHON) tests/bench/peers.py --bench $(B)/bench/cpu --reference $(BENCH_TORCH) --mode $(or $(MODE),best) $(if $(ROUNDS),--rounds $(ROUNDS)) $(WHAT)
.PHONY: bench-torch
