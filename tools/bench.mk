# Against PyTorch and OpenBLAS on the same processors: make bench-torch PYTHON=path/to/python [MODE=eager] [ISA=avx2] [SLICES=20]
# [WHAT="products sudoku:8 sudoku:4:arch=fast"]
PYTHON      ?= python3
BENCH_TORCH ?= $(or $(HRM_SHARED),../shared)/reference/bench_torch.py
bench-torch: $(B)/bench/cpu
	@$(PYTHON) tests/bench/peers.py --bench $(B)/bench/cpu --reference $(BENCH_TORCH) --mode $(or $(MODE),best) $(if $(ISA),--isa $(ISA)) \
	    $(if $(SLICES),--slices $(SLICES)) $(WHAT)

# One puzzle by each instruction set and type of weights, in turns: make bench-solving [PUZZLES=bench_100.csv] [WHAT="sudoku:1"]
bench-solving: $(B)/bench/cpu
	@$(B)/bench/cpu --runs $(or $(SLICES),20) --solving $(or $(WHAT),sudoku:1 sudoku:1:arch=fast) $(if $(PUZZLES),--puzzles $(PUZZLES))
.PHONY: bench-torch bench-solving
