#!/bin/sh
# hrm_cuda.cu as a C++ compiler takes it, for tests/cuda/dummy/dummy.h: what the language has not is written otherwise, line by line,
# and lines of the GPU's own become calls that say so. usage: translate.sh hrm_cuda.cu > hrm_dummy.cpp
echo '#include "dummy.h"'
echo '#line 1 "hrm_cuda.cu"'
sed -e '/^#include <cuda/s/.*//' \
    -e 's/extern __shared__ \(__align__([0-9]*) \)\{0,1\}\([a-z ]*\) \([a-z_]*\)\[\];/\2 *\3 = (\2 *)dummy_shared;/' \
    -e 's/__shared__ alignas(16)/__shared__ __align__(16)/' \
    -e 's/asm volatile *(/DUMMY_PTX(/' -e 's/\([^_a-z]\)asm(/\1DUMMY_PTX(/' \
    -e 's/\([a-z_]*\)<<<1, 1, 0, \([a-z>-]*\)>>>(\(.*\));/dummy_launch(\2, \1, \3);/' "$1"
