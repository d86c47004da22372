#!/bin/bash
# The GPU backend where nvcc is: it compiles without a warning, links into the command and into its tests, and these pass; on a
# machine without a GPU that means one clear message. Nothing to do where nvcc is not; compiled in `make test-all`, or where it
# was compiled before.
B=${B:-build} passed=0 failed=0
MAKE=${MAKE:-make}
nvcc=$(ls "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" 2>/dev/null || command -v nvcc)
check() # NAME STATUS
{
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}

# What `make cuda` asks of nvcc, for whatever nvidia-smi says; both made up here.
fake=$(mktemp -d)
trap 'rm -rf "$fake"' EXIT
printf '#!/bin/sh\ncat "%s/says"\n' "$fake" > "$fake/nvidia-smi"
printf '#!/bin/sh\nprintf "compute_%%s\\n" 75 80 86 89 90 100\n' > "$fake/nvcc"
chmod +x "$fake/nvidia-smi" "$fake/nvcc"
asks() # WHAT-NVIDIA-SMI-SAYS ARCHITECTURES [WORD THAT MAKE SAYS]
{
    printf '%s\n' "$1" > "$fake/says"
    out=$(PATH=$fake:$PATH $MAKE -n -B NVCC="$fake/nvcc" cuda 2>&1)
    archs=$(printf '%s' "$out" | grep -o 'code=sm_[0-9a-z]*' | sort -u | sed 's/code=sm_//' | tr '\n' ' ')
    [ "$archs" = "$2 " ] && printf '%s' "$out" | grep -q -- '-gencode arch=compute_80,code=compute_80' && printf '%s' "$out" | grep -q -- "${3:-}"
    check "nvidia-smi says \"$1\": code for $archs, expected $2" $?
}
asks 9.0 90a
asks 8.6 86
asks "$(printf '8.0\n9.0')" "80 90a"
asks 'Failed to initialize NVML: Driver/library version mismatch' "80 90a"
asks '[N/A]' "80 90a"
asks '' "80 90a"
asks 7.5 "80 90a" 'below 8.0'
asks "$(printf '7.5\n8.9')" 89 'below 8.0'
asks 12.0 "80 90a" # a toolkit that does not know it: the portable code does
# The object is made again when it is for others than asked for, and only then.
printf '%s\n' '#!/bin/sh' 'for last; do :; done' ': > "$last"' >> "$fake/nvcc"
makes() # 0 or 1, WITH...
{
    local want=$1; shift
    made=$($MAKE --no-print-directory B="$fake/b" NVCC="$fake/nvcc" "$@" "$fake/b/hrm_cuda.o" 2>&1 | grep -c "^$fake/nvcc.* -c hrm_cuda.cu")
    [ "$made" -eq "$want" ]
    check "make cuda $*: $made times nvcc, expected $want" $?
}
makes 1 CUDA_ARCH=86
makes 0 CUDA_ARCH=86
makes 1 CUDA_ARCH="80 90a"
makes 1 CUDA_ARCH="80 90a" CUBLAS=1
makes 0 CUDA_ARCH="80 90a" CUBLAS=1
rm "$fake/b/hrm_cuda.for"
makes 0 CUDA_ARCH=86

if [ -z "$nvcc" ]; then
    echo "skipped: no nvcc, the GPU backend is not compiled"
elif [ -z "$HRM_TEST_ALL" ] && [ ! -e "$B/hrm_cuda.o" ]; then
    echo "skipped: the GPU backend, which make test-all compiles"
else
    # one architecture with every path in it, and the portable code of the others; or what is there
    made_for=$(cat "$B/hrm_cuda.for" 2>/dev/null || echo 90a)
    case $made_for in cublas*) with=CUBLAS=1 ;; *) with= ;; esac
    out=$($MAKE --no-print-directory -s B="$B" NVCC="$nvcc -Xptxas -v" CUDA_ARCH="${made_for#cublas }" $with CFLAGS=-O1 "$B/cuda/tests/test_cuda" "$B/cuda/hrm" 2>&1)
    status=$?
    check "the build: $(printf '%s' "$out" | grep -v '^ptxas info\|bytes stack frame')" $status
    # what ptxas says of each kernel, two lines
    spilled=$(printf '%s\n' "$out" | sed -n '/Function properties for .*attention_[a-z]*_mma/{N;/ 0 bytes spill stores/!p}')
    [ -z "$spilled" ]
    check "registers of the attention on mma are spilled: $spilled" $?
    ! printf '%s' "$out" | grep -i warning
    check "no warnings" $?
    out=$("$B/cuda/tests/test_cuda" 2>&1)
    check "test_cuda: $out" $?
    echo "$out" | grep -i '^skipped'
    if echo "$out" | grep -q '^skipped'; then
        err=$("$B/cuda/hrm" train data_path=/nowhere device=cuda 2>&1)
        [ $? -ne 0 ]
        check "training without a GPU and data fails: $err" $?
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
