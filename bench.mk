# Against PyTorch on the same processors: make bench-torch PYTHON=path/to/python [MODE=best] [CASES="sudoku:8"] [ROUNDS=2]
PYTHON ?= python3
bench-torch: $(B)/bench/cpu
	@B="$(B)" PYTHON="$(PYTHON)" sh tests/bench/torch.sh
.PHONY: bench-torch
