# The GPU backend; included by the Makefile. Needs nvcc (CUDA 12.5 or later), not a GPU: where one is there its architecture is
# built, otherwise an object for all of them.
#   make cuda        build/cuda/hrm and build/cuda/examples/NAME with the GPU backend in
#   make test-cuda   every kernel against the CPU; on a machine without a GPU it only builds        make bench-cuda   timings
#   make bench-cuda-torch PYTHON=path/to/python    the same beside PyTorch on the same GPU [CASES="sudoku:768"] [ONLY=fast]
#                                                  [MODES=compiled] [ROUNDS=2] [LIMIT=900]; tests/cuda/peers.py tells what each does
#   make bench-devices NCCL=1 [GPUS=2] [CASES="768 384:fast"]    several GPUs against one: the same result, and step times
# CUDA_ARCH="80 90a" chooses architectures; CUBLAS=1 sends plain products to cuBLASLt. NCCL=1 trains on several GPUs (docs/devices.md);
# it is looked for in CUDA_HOME unless NCCL_HOME names a folder with include and lib.
CUDA_HOME ?= $(firstword $(wildcard /usr/local/cuda /opt/cuda /usr/lib/cuda))
NVCC      ?= $(firstword $(wildcard $(CUDA_HOME)/bin/nvcc) nvcc)
# What nvidia-smi says is taken where it is a capability such as 8.6 (it also says "Failed to initialize NVML", "[N/A]"), from 8.0 on,
# and one that this nvcc has code for; a newer GPU runs the portable code below, which the driver compiles when a program starts.
CUDA_GOALS := $(filter cuda test-cuda bench-cuda bench-cuda-torch bench-devices build/cuda/%,$(MAKECMDGOALS))
CUDA_SEEN  := $(if $(CUDA_GOALS),$(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -n 's/^ *\([0-9][0-9]*\)\.\([0-9]\) *$$/\1\2/p' | sort -un))
CUDA_OLD   := $(filter 10 11 12 13 20 21 30 32 35 37 50 52 53 60 61 62 70 72 75,$(CUDA_SEEN))
CUDA_HERE  := $(filter-out $(CUDA_OLD),$(CUDA_SEEN))
CUDA_KNOWN := $(if $(CUDA_HERE),$(patsubst compute_%,%,$(shell $(NVCC) --list-gpu-arch 2>/dev/null)))
CUDA_ARCH  ?= $(or $(patsubst 90,90a,$(if $(CUDA_KNOWN),$(filter $(CUDA_KNOWN),$(CUDA_HERE)),$(CUDA_HERE))),80 90a)
CUDA_GEN   := $(foreach a,$(CUDA_ARCH),-gencode arch=compute_$(a),code=sm_$(a)) -gencode arch=compute_80,code=compute_80
ifneq ($(CUDA_OLD),)
    $(warning a GPU of compute capability below 8.0 is here, which is not supported; code for others is built)
endif
CUDA_LIBS := -L$(CUDA_HOME)/lib64 $(if $(CUBLAS),-lcublasLt) -lcudart -lstdc++
HRM_CUDA_C = $(HRM_C) -DHRM_USE_CUDA
NCCL_HOME  ?= $(CUDA_HOME)
NCCL_LIBS  := $(if $(NCCL),-L$(NCCL_HOME)/lib -lnccl)

# The object is made again when it was made for others; one that was put there by hand, without the note of what for, stays.
CUDA_FOR := $(strip $(if $(CUBLAS),cublas) $(CUDA_ARCH))
CUDA_WAS := $(if $(wildcard $(B)/hrm_cuda.for),$(shell cat $(B)/hrm_cuda.for))
$(B)/hrm_cuda.o: hrm_cuda.cu hrm.h $(if $(CUDA_WAS),$(if $(filter-out $(subst $() ,_,$(CUDA_FOR)),$(subst $() ,_,$(CUDA_WAS))),cuda-again)) | $(B)
	$(NVCC) -O3 -std=c++17 -Xcompiler -Wall,-Wextra,-fPIC $(if $(CUBLAS),-DHRM_USE_CUBLAS) $(CUDA_GEN) -c $< -o $@
	@echo "$(CUDA_FOR)" > $(B)/hrm_cuda.for
cuda-again:

$(B)/cuda $(B)/cuda/tools $(B)/cuda/examples $(B)/cuda/tests:
	mkdir -p $@

$(B)/cuda/hrm.o: hrm.h | $(B)/cuda
	$(HRM_CUDA_C) -fPIC -x c -DHRM_IMPLEMENTATION -c hrm.h -o $@
$(B)/cuda/tools/%.o: tools/%.c hrm.h $(wildcard tools/*.h) | $(B)/cuda/tools
	$(HRM_CUDA_C) -c $< -o $@
$(B)/cuda/tools/comm_mpi_there.o: tools/comm_mpi.c tools/comm.h hrm.h | $(B)/cuda/tools
	$(HRM_CUDA_C) $(MPI_CFLAGS) -c $< -o $@
$(B)/cuda/tools/comm_nccl_there.o: tools/comm_nccl.c tools/comm.h hrm.h | $(B)/cuda/tools
	$(HRM_CUDA_C) -DHRM_USE_NCCL -isystem $(NCCL_HOME)/include -isystem $(CUDA_HOME)/include -c $< -o $@
CUDA_COMM   = $(B)/cuda/tools/comm_mpi$(if $(MPI),_there).o $(B)/cuda/tools/comm_nccl$(if $(NCCL),_there).o
CUDA_OTHERS = $(patsubst tools/%.c,$(B)/cuda/tools/%.o,$(filter-out tools/comm_mpi.c tools/comm_nccl.c,$(TOOLS)))
CUDA_WITH   = $(B)/cuda/with-$(if $(MPI),mpi)-$(if $(NCCL),nccl)
$(B)/cuda/hrm: $(CUDA_OTHERS) $(CUDA_COMM) $(B)/cuda/hrm.o $(B)/hrm_cuda.o $(CUDA_WITH)
	$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LIBS) $(CUDA_LIBS) $(NCCL_LIBS) $(if $(MPI),$(MPI_LIBS)) -o $@
$(CUDA_WITH): | $(B)/cuda
	@rm -f $(B)/cuda/with-*; touch $@
$(B)/cuda/examples/%: examples/%.c $(B)/cuda/hrm.o hrm.h $(B)/hrm_cuda.o | $(B)/cuda/examples
	$(HRM_CUDA_C) $(ONCE) $(LDFLAGS) $< $(B)/cuda/hrm.o $(B)/hrm_cuda.o $(LIBS) $(CUDA_LIBS) -o $@
$(B)/cuda/tests/%: tests/cuda/%.c $(wildcard tests/cuda/*.h) tests/harness.h tests/util.h tests/test_golden.c hrm.h $(B)/hrm_cuda.o | $(B)/cuda/tests
	$(HRM_CUDA_C) -Itests $(LDFLAGS) $< $(B)/hrm_cuda.o $(LIBS) $(CUDA_LIBS) -o $@

cuda: $(if $(TOOLS),$(B)/cuda/hrm) $(EXAMPLES:%=$(B)/cuda/examples/%)
test-cuda: $(B)/cuda/tests/test_cuda $(B)/cuda/tests/golden
	$(B)/cuda/tests/test_cuda
	$(if $(CUDA_HERE),$(B)/cuda/tests/golden,@echo "skipped: no GPU, golden cases not run")
	$(if $(CUDA_HERE),sh tests/cuda/sanitize.sh $(B)/cuda/tests/test_cuda)
bench-cuda: $(B)/cuda/tests/bench_cuda
	$(B)/cuda/tests/bench_cuda $(CASES)
$(B)/cuda/tests/bench_devices: tests/cuda/bench_devices.c tests/cuda/timing.h $(B)/cuda/tools/comm_tcp.o $(B)/cuda/tools/comm_nccl_there.o hrm.h $(B)/hrm_cuda.o | $(B)/cuda/tests
	$(HRM_CUDA_C) $(LDFLAGS) $(filter %.c %.o,$^) $(LIBS) $(CUDA_LIBS) -L$(NCCL_HOME)/lib -lnccl -o $@
bench-devices: $(B)/cuda/tests/bench_devices
	GPUS=$(GPUS) bash tests/cuda/devices.sh $< $(CASES)
PYTHON      ?= python3
bench-cuda-torch: $(B)/cuda/tests/bench_cuda
	@B="$(B)" $(foreach v,BENCH_TORCH HRM_SHARED CASES ONLY MODES ROUNDS LIMIT LOCK,$(if $($(v)),$(v)="$($(v))")) $(PYTHON) tests/cuda/peers.py

.PHONY: cuda cuda-again test-cuda bench-cuda bench-cuda-torch bench-devices
