/* hrm_cuda.cu - the device table of hrm.h on NVIDIA GPUs: the whole model, training and solving, without the host in the loop.
 *
 *   nvcc -O3 -c hrm_cuda.cu -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a \
 *        -gencode arch=compute_80,code=compute_80
 *
 * then compile the program with -DHRM_USE_CUDA and link hrm_cuda.o, cudart and the C++ library. CUDA 12.5 or later, compute
 * capability 8.0 and up. A model has one GPU; HRM_CUDA_DEVICE=N in the environment chooses it. Nothing but the CUDA runtime is
 * needed; with -DHRM_USE_CUBLAS (and -lcublasLt) the products without a fused ending go to cuBLASLt.
 * HRM_CUDA_SYNC=1 in the environment waits after every kernel, so that a fault is reported under the kernel's own name.
 *
 * How a block runs. T is the type of activations, bfloat16, float16 or float; M = rows * S.
 *
 *   qkv = r0 (s0 Wqkv^T)      the RMS norm has no weight, so it is a factor per row: the stream stays unnormalised (s), and
 *   o   = attention(qkv)      whoever reads it multiplies by r = 1/sqrt(mean(s^2)+eps), from sums of squares that the
 *   s1  = r0 s0 + o Wo^T      product before left behind, one per row and column tile
 *   h   = swiglu(r1 s1 Wgu^T)
 *   s2  = r1 s1 + h Wd^T
 *
 * so a pass without gradient is five kernels a block, four where the first two are one (attention_whole_wgmma), or one for
 * all passes where rows are few (few_passes). RoPE, SwiGLU, residual and norm are endings of the products. The pass that is
 * differentiated normalises in place, keeps qkv, o, lse, y1, y2 and recomputes the SwiGLU product on the way back.
 *
 * A mixer's block has the MLP's half twice, first with positions and channels exchanged: its stream is [B D,S'], S' being S up
 * to a multiple of 8. What is beyond S is 0 in the stream and in the prepared weights, and so stays 0 everywhere. On Hopper, up
 * to 88 positions, it is one kernel forward and two back, on the stream as it is (>>cuda-mixer).
 *
 * With arch.cycles_dtype=fp8 a pass without gradient multiplies e4m3: each ending that writes rows writes them in e4m3 too, or
 * alone, at a fixed scale; rows, sums of squares and residuals are as before (strips_e4m3, gemm_wgmma<.., true>).
 *
 * Prepared weights have their rows permuted: gate and up in alternating groups of eight, and of each q and k head the two
 * halves interleaved, so that what meets in SwiGLU and in RoPE lies side by side. Gradients are permuted back when added.
 *
 * Contents: >>cuda-basics >>cuda-endings >>cuda-gemm-simt >>cuda-gemm-mma >>cuda-gemm-wgmma >>cuda-strips
 *           >>cuda-attention >>cuda-few >>cuda-attention-short >>cuda-mixer >>cuda-attention-whole >>cuda-rows >>cuda-act
 *           >>cuda-heads >>cuda-optimizers >>cuda-device >>cuda-plan >>cuda-products >>cuda-table
 */
#include "hrm.h"

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#ifdef HRM_USE_CUBLAS
    #include <cublasLt.h>
#endif

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ==================================================================================================== >>cuda-basics ======*/
typedef __nv_bfloat16 bf16;
typedef __half        f16;
typedef uint8_t       e4m3; /* 4 bits of exponent, 3 of mantissa, up to 448 */

#define TRY(call) \
    do { \
        hrm_status try_status = (call); \
        if (try_status != HRM_OK) return try_status; \
    } while (0)

static __host__ __device__ inline int ceil_div(int a, int b) { return (a + b - 1) / b; }
static inline int min_int(int a, int b) { return a < b ? a : b; }

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float to_float(f16 x) { return __half2float(x); }
template <class T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) { return __float2bfloat16_rn(x); }
template <> __device__ __forceinline__ f16 from_float<f16>(float x) { return __float2half_rn(x); } /* too large: infinity */

/* two of a 16-bit type */
template <class T = bf16> __device__ __forceinline__ uint32_t pack2(float a, float b)
{
    __nv_bfloat162 p = __floats2bfloat162_rn(a, b);
    return *(uint32_t *)&p;
}
template <> __device__ __forceinline__ uint32_t pack2<f16>(float a, float b)
{
    __half2 p = __floats2half2_rn(a, b);
    return *(uint32_t *)&p;
}
template <class T = bf16> __device__ __forceinline__ void unpack2(float *a, uint32_t p)
{
    a[0] = __uint_as_float(p << 16);
    a[1] = __uint_as_float(p & 0xffff0000u);
}
template <> __device__ __forceinline__ void unpack2<f16>(float *a, uint32_t p)
{
    float2 f = __half22float2(*(__half2 *)&p);
    a[0] = f.x, a[1] = f.y;
}

/* Operands in e4m3 of passes without gradient (arch.cycles_dtype=fp8). As it is a floating type a fixed scale serves each kind:
 * states have a root mean square of about 1 to 4, attention's of 0.1 to 2, weights of 0.05, SwiGLUs of 0.3 to 5. What is
 * too large becomes the largest value. */
#define E4M3_STATE    2.0f
#define E4M3_WEIGHT   64.0f
#define E4M3_ATTENDED 8.0f
__host__ __device__ constexpr float e4m3_inner(bool norm) { return norm ? 0.25f : 1.0f; } /* norm: it is normalised later */
/* two, the first in the lower byte */
__device__ __forceinline__ uint32_t pack2_e4m3(float a, float b)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    uint16_t p;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(p) : "f"(b), "f"(a));
    return p;
#else
    return 0;
#endif
}
/* Where column k of 32 stands in such an operand: what a lane has of a product's 32 columns, two of every eight, together. */
static __host__ __device__ inline int e4m3_place(int k) { return (k & ~31) | (k >> 1 & 3) << 3 | (k >> 3 & 3) << 1 | (k & 1); }

/* W consecutive elements, W = 8 (16-byte aligned), of floats 4, or 1 */
template <int W> __device__ __forceinline__ void load(float *v, const float *p)
{
    if (W == 8) {
        float4 a = ((const float4 *)p)[0], b = ((const float4 *)p)[1];
        v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
    } else if (W == 4) {
        float4 a = *(const float4 *)p;
        v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
    } else v[0] = *p;
}
template <int W, class T> __device__ __forceinline__ void load(float *v, const T *p)
{
    if (W == 8) {
        uint4 a = *(const uint4 *)p;
        unpack2<T>(v, a.x), unpack2<T>(v + 2, a.y), unpack2<T>(v + 4, a.z), unpack2<T>(v + 6, a.w);
    } else v[0] = to_float(*p);
}
template <int W> __device__ __forceinline__ void store(float *p, const float *v)
{
    if (W == 8) {
        ((float4 *)p)[0] = make_float4(v[0], v[1], v[2], v[3]);
        ((float4 *)p)[1] = make_float4(v[4], v[5], v[6], v[7]);
    } else if (W == 4) *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
    else *p = v[0];
}
template <int W, class T> __device__ __forceinline__ void store(T *p, const float *v)
{
    if (W == 8)
        *(uint4 *)p = make_uint4(pack2<T>(v[0], v[1]), pack2<T>(v[2], v[3]), pack2<T>(v[4], v[5]), pack2<T>(v[6], v[7]));
    else *p = from_float<T>(v[0]);
}
/* n <= 8 elements; vector: all eight at once are allowed */
template <class T> __device__ __forceinline__ void load_some(float *v, const T *p, int n, int vector)
{
    if (vector) load<8>(v, p);
    else
        for (int i = 0; i < 8; i++) v[i] = i < n ? to_float(p[i]) : 0.0f;
}
template <class T> __device__ __forceinline__ void store_some(T *p, const float *v, int n, int vector)
{
    if (vector) store<8>(p, v);
    else
        for (int i = 0; i < n && i < 8; i++) p[i] = from_float<T>(v[i]);
}

__device__ __forceinline__ float warp_sum(float x)
{
    for (int i = 16; i > 0; i >>= 1) x += __shfl_xor_sync(0xffffffffu, x, i);
    return x;
}
__device__ __forceinline__ double warp_sum(double x)
{
    for (int i = 16; i > 0; i >>= 1) x += __shfl_xor_sync(0xffffffffu, x, i);
    return x;
}

__device__ __forceinline__ uint32_t shared_address(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }

/* Kernels that follow one another closely are launched as a chain (sm_90): the next may start while the one before drains, and
 * waits here before it touches anything a kernel before it wrote. Every kernel of a chain does, so waiting for the one before
 * is waiting for all. Prepared weights alone are read before the wait (gemm_mma), and a kernel may begin while the one before
 * the one before it still runs: so what writes them is launched whole, by LAUNCH, without chain(); see written_whole(). */
__device__ __forceinline__ void chain_allow_next()
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    asm volatile("griddepcontrol.launch_dependents;\n" ::: "memory");
#endif
}
__device__ __forceinline__ void chain_wait()
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}
__device__ __forceinline__ void chain()
{
    chain_allow_next();
    chain_wait();
}

/* ==================================================================================================== >>cuda-endings =====
 * What a product C = A B^T does with its result before it goes to memory. Every ending works on eight neighbouring columns of
 * a row (SwiGLU on sixteen). `rs` is the row's norm factor, 1 when the stream is normalised already.
 */
enum ending_kind {
    END_STORE,       /* out = rs acc, rotated by RoPE in the first rope_columns */
    END_RESIDUAL,    /* out = acc + rs x; sums of squares of out for the next norm */
    END_SWIGLU,      /* out = silu(rs gate) (rs up), half as many columns */
    END_ADD,         /* out = acc + x */
    END_SWIGLU_BACK, /* acc = dh; x holds gate and up and becomes their gradient; out = h */
    END_PART,        /* part = acc in float: one split of a product */
    END_SWIGLU_NORM, /* END_SWIGLU; sums of squares of gate times up for the norm inside */
    END_RESIDUAL_NORM, /* END_RESIDUAL with acc times that norm's factor of the row */
    END_SCALED       /* out = alpha acc + beta x, x NULL: alpha acc; a product for each blockIdx.z, operands `step` apart */
};

template <class T> struct ending {
    T            *out;
    const T      *residual; /* END_RESIDUAL, END_ADD */
    T            *gate_up;  /* END_SWIGLU_BACK */
    float        *part;     /* [splits,M,N] */
    const float  *squares;  /* [M,slots] of the stream that is read; NULL: it is normalised */
    float        *squares_out; /* [M,slots_out] */
    const float2 *rope;     /* [S,head_dim/2] cosine and sine; NULL: no rotation */
    int           M, N;     /* valid rows and columns of the product */
    int           slots, slots_out;
    int           S, head_dim, rope_columns;
    int           vector;   /* eight elements may be moved at once */
    float         inv_D, eps;
    const float  *inner;    /* [M,inner_slots] END_RESIDUAL_NORM: squares of gate times up, I of them */
    int           inner_slots;
    float         inv_I;
    float         alpha, beta; /* END_SCALED */
    size_t        step_A, step_B, step_out; /* elements from one matrix to the next; x lies as out does */
    float         scale;    /* of a product of e4m3: what it is multiplied by */
    e4m3         *small;    /* out in e4m3: END_RESIDUAL as well, unless NULL; SwiGLU's of e4m3 have no other */
    const float  *r, *k;    /* [M] END_SWIGLU_BACK with a norm inside: its factor, and see normalise_backward_kernel; or NULL */
};
__host__ __device__ constexpr bool ends_swiglu(int kind) { return kind == END_SWIGLU || kind == END_SWIGLU_NORM; }
__host__ __device__ constexpr bool ends_residual(int kind) { return kind == END_RESIDUAL || kind == END_RESIDUAL_NORM; }
__host__ __device__ constexpr bool ends_with_squares(int kind) { return kind == END_SWIGLU_NORM || ends_residual(kind); }
/* of the products with weights: others have operands that a kernel before has just written */
__host__ __device__ constexpr bool has_weights(int kind) { return kind != END_PART && kind != END_SCALED; }

template <class T> __device__ __forceinline__ float row_factor(const ending<T> &e, int row)
{
    if (!e.squares || row >= e.M) return 1.0f;
    float sum = 0;
    for (int i = 0; i < e.slots; i++) sum += e.squares[(size_t)row * e.slots + i];
    return rsqrtf(sum * e.inv_D + e.eps);
}

template <class T> __device__ __forceinline__ float inner_factor(const ending<T> &e, int row)
{
    float sum = 0;
    if (row >= e.M) return 1.0f;
    for (int i = 0; i < e.inner_slots; i++) sum += e.inner[(size_t)row * e.inner_slots + i];
    return rsqrtf(sum * e.inv_I + e.eps);
}

__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

/* SwiGLU with a norm of factor r inside, dh times r: gate and up become their gradients, the result is h / r */
__device__ __forceinline__ float swiglu_norm_back(float *gate, float *up, float dh, float sigmoid, float k)
{
    float g = *gate, u = *up, p = g * u, dn = dh * sigmoid, dp = fmaf(-k, p, dn);
    *gate = fmaf(fmaf(-dn, sigmoid, dn), p, dp * u);
    *up = dp * g;
    return sigmoid * p;
}

template <int KIND, class T>
__device__ __forceinline__ void end_chunk(const ending<T> &e, int row, int col, float *v, float rs, float *squares)
{
    /* v [8] at (row, col), in range -> memory; END_STORE expects v multiplied by rs already */
    int n = e.N - col;
    size_t at = (size_t)row * e.N + col;
    if (KIND == END_STORE) {
        if (e.rope && col < e.rope_columns) {
            const float2 *table = e.rope + (size_t)(row % e.S) * (e.head_dim / 2);
            int c = col % e.head_dim;
#pragma unroll
            for (int i = 0; i < 8; i += 2) {
                if (col + i < e.rope_columns) {
                    float2 cs = table[c >> 1];
                    float a = v[i], b = v[i + 1];
                    v[i] = a * cs.x - b * cs.y;
                    v[i + 1] = b * cs.x + a * cs.y;
                }
                if ((c += 2) >= e.head_dim) c = 0;
            }
        }
        store_some(e.out + at, v, n, e.vector);
    } else if (ends_residual(KIND)) { /* END_RESIDUAL_NORM expects v multiplied by the inner norm's factor */
        float x[8];
        load_some(x, e.residual + at, n, e.vector);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            v[i] = i < n ? v[i] + rs * x[i] : 0.0f;
            *squares += v[i] * v[i];
        }
        store_some(e.out + at, v, n, e.vector);
    } else if (KIND == END_ADD) {
        float x[8];
        load_some(x, e.residual + at, n, e.vector);
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] += x[i];
        store_some(e.out + at, v, n, e.vector);
    } else if (KIND == END_SCALED) {
        float x[8] = {};
        at += (size_t)blockIdx.z * e.step_out;
        if (e.residual) load_some(x, e.residual + at, n, e.vector);
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] = e.alpha * v[i] + e.beta * x[i];
        store_some(e.out + at, v, n, e.vector);
    } else if (KIND == END_SWIGLU_BACK) {
        /* gate and up of columns col..col+7 are the sixteen elements from 2 col on */
        float g[8], u[8], h[8];
        T *gate_up = e.gate_up + (size_t)row * 2 * e.N + 2 * col;
        load<8>(g, gate_up);
        load<8>(u, gate_up + 8);
        if (e.k) {
            float r = e.r[row], k = e.k[row];
            for (int i = 0; i < 8; i++) {
                float sigmoid = __fdividef(1.0f, 1.0f + __expf(-g[i]));
                h[i] = swiglu_norm_back(&g[i], &u[i], r * v[i], sigmoid, k) * r;
            }
        } else {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float sigmoid = __fdividef(1.0f, 1.0f + __expf(-g[i])), s = g[i] * sigmoid, d = v[i];
                h[i] = s * u[i];
                g[i] = d * u[i] * (sigmoid + s * (1.0f - sigmoid)); /* silu' = sigmoid + x sigmoid (1 - sigmoid) */
                u[i] = d * s;
            }
        }
        store<8>(gate_up, g);
        store<8>(gate_up + 8, u);
        store<8>(e.out + at, h);
    }
}

/* The ending of a tile that stands in shared memory as floats, C [BM,ldc]. */
template <int KIND, class T, int BM, int BN, int THREADS>
__device__ __forceinline__ void end_tile(const ending<T> &e, const float *C, int ldc, int m0, int n0, int slot, int split)
{
    constexpr int STEP = ends_swiglu(KIND) ? 16 : 8, PER_ROW = BN / STEP;
    for (int i = (int)threadIdx.x; i < BM * PER_ROW; i += THREADS) {
        int r = i / PER_ROW, c = i % PER_ROW * STEP, row = m0 + r, col = n0 + c;
        int inside = row < e.M && col < e.N;
        const float *from = C + r * ldc + c;
        float v[8], squares = 0, rs = row_factor(e, row);
        if (KIND == END_PART) {
            if (inside) {
                float *part = e.part + ((size_t)split * e.M + row) * e.N + col;
                for (int j = 0; j < 8 && col + j < e.N; j++) part[j] = from[j];
            }
        } else if (ends_swiglu(KIND)) { /* the width is a multiple of 256 */
            for (int j = 0; j < 8; j++) {
                float g = rs * from[j], u = rs * from[8 + j];
                v[j] = silu(g) * u;
                if (KIND == END_SWIGLU_NORM) squares += g * u * (g * u);
            }
            if (inside) store<8>(e.out + (size_t)row * (e.N / 2) + col / 2, v);
        } else {
            float f = KIND == END_STORE ? rs : KIND == END_RESIDUAL_NORM ? inner_factor(e, row) : 1.0f;
            for (int j = 0; j < 8; j++) v[j] = f * from[j];
            if (inside) end_chunk<KIND, T>(e, row, col, v, rs, &squares);
        }
        if (ends_with_squares(KIND)) {
            for (int j = PER_ROW / 2; j > 0; j >>= 1) squares += __shfl_xor_sync(0xffffffffu, squares, j);
            if (c == 0 && row < e.M) e.squares_out[(size_t)row * e.slots_out + slot] = squares;
        }
    }
}

/* ==================================================================================================== >>cuda-gemm-simt ===
 * C [M,N] = A B^T with plain multiply-adds, any type and size: the float32 path, and the others in sizes that the tensor
 * cores' loads do not take. A is [M,K], or [K,M] when TRANS; B [N,K] or [K,N].
 */
enum { SIMT_M = 64, SIMT_N = 64, SIMT_K = 16, SIMT_THREADS = 256 };

template <int KIND, class T, bool TRANS>
__global__ void __launch_bounds__(SIMT_THREADS) gemm_simt(const T *A, const T *B, int K, int splits, ending<T> e)
{
    __shared__ float a[SIMT_K][SIMT_M + 4], b[SIMT_K][SIMT_N + 4], c[SIMT_M][SIMT_N + 4];
    int tid = (int)threadIdx.x, tx = tid % 16, ty = tid / 16;
    int m_tiles = ceil_div(e.M, SIMT_M), n_tile = (int)blockIdx.x / m_tiles;
    int m0 = (int)blockIdx.x % m_tiles * SIMT_M, n0 = n_tile * SIMT_N, split = (int)blockIdx.y;
    if (KIND == END_SCALED) A += (size_t)blockIdx.z * e.step_A, B += (size_t)blockIdx.z * e.step_B;
    int steps = ceil_div(K, SIMT_K), k_begin = (int)((long long)steps * split / splits) * SIMT_K;
    int k_end = min((int)((long long)steps * (split + 1) / splits) * SIMT_K, K);
    float acc[4][4] = {};
    chain();
    for (int k0 = k_begin; k0 < k_end; k0 += SIMT_K) {
        for (int i = tid; i < SIMT_K * SIMT_M; i += SIMT_THREADS) {
            int m = TRANS ? i % SIMT_M : i / SIMT_K, k = TRANS ? i / SIMT_M : i % SIMT_K;
            int ok = m0 + m < e.M && k0 + k < k_end;
            a[k][m] = ok ? to_float(TRANS ? A[(size_t)(k0 + k) * e.M + m0 + m] : A[(size_t)(m0 + m) * K + k0 + k]) : 0.0f;
            ok = n0 + m < e.N && k0 + k < k_end;
            b[k][m] = ok ? to_float(TRANS ? B[(size_t)(k0 + k) * e.N + n0 + m] : B[(size_t)(n0 + m) * K + k0 + k]) : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < SIMT_K; k++) {
            float4 x = *(const float4 *)&a[k][ty * 4], y = *(const float4 *)&b[k][tx * 4];
            float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) acc[i][j] = fmaf(xs[i], ys[j], acc[i][j]);
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) c[ty * 4 + i][tx * 4 + j] = acc[i][j];
    __syncthreads();
    end_tile<KIND, T, SIMT_M, SIMT_N, SIMT_THREADS>(e, &c[0][0], SIMT_N + 4, m0, n0, n_tile, split);
}

/* ==================================================================================================== >>cuda-gemm-mma ====
 * The same on tensor cores, compute capability 8.0 and up: cp.async into a ring of swizzled tiles, ldmatrix, mma.m16n8k16
 * with float32 accumulators. Needs M, N (transposed) or K (not) to be multiples of 8.
 */
__device__ __forceinline__ void cp_async16(uint32_t dst, const void *src, bool inside)
{
    int bytes = inside ? 16 : 0; /* what is outside becomes zero */
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(dst), "l"(src), "r"(bytes) : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
template <int N> __device__ __forceinline__ void cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

template <bool TRANS> __device__ __forceinline__ void ldmatrix4(uint32_t *r, uint32_t address)
{
    if (TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(address)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(address)
                     : "memory");
}
template <class T> __device__ __forceinline__ void mma16816(float *c, const uint32_t *a, uint32_t b0, uint32_t b1);
template <> __device__ __forceinline__ void mma16816<f16>(float *c, const uint32_t *a, uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <> __device__ __forceinline__ void mma16816<bf16>(float *c, const uint32_t *a, uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

enum { MMA_K = 64 };
constexpr int mma_shared(int BM, int BN, int stages)
{
    int ring = (BM + BN) * MMA_K * 2 * stages, tile = BM * (BN + 4) * 4;
    return ring > tile ? ring : tile;
}

/* byte offset of the 16-byte chunk (row, chunk) of a tile with CHUNKS of them a row, so that eight rows hit all banks */
template <int CHUNKS> __device__ __forceinline__ uint32_t swizzled(int row, int chunk)
{
    int x = CHUNKS >= 8 ? row & 7 : (row >> 1) & 3;
    return (uint32_t)((row * CHUNKS + (chunk ^ x)) * 16);
}

/* [ROWS,COLS] of a matrix with `ld` elements a row into a tile; from: its corner; rows, cols: how many are there, the rest is
 * zero. A thread's chunks are a fixed number of rows apart, so that all but one addition stays outside the caller's loop. */
template <int ROWS, int COLS, int THREADS, class T>
__device__ __forceinline__ void mma_load(uint32_t tile, const T *from, int ld, int rows, int cols)
{
    constexpr int CHUNKS = COLS / 8, STEP = THREADS / CHUNKS;
    static_assert(STEP % 8 == 0 && ROWS % STEP == 0, "the swizzle must not change from one of a thread's rows to the next");
    int r = (int)threadIdx.x / CHUNKS, c = (int)threadIdx.x % CHUNKS;
    const T *p = from + (size_t)r * ld + c * 8;
    uint32_t to = tile + swizzled<CHUNKS>(r, c);
    bool there = c * 8 < cols;
#pragma unroll
    for (int i = 0; i < ROWS; i += STEP) {
        bool inside = there && r + i < rows;
        cp_async16(to + (uint32_t)(i * CHUNKS * 16), inside ? p + (size_t)i * ld : p, inside);
    }
}

template <int KIND, class T, bool TRANS, int BM, int BN, int WARPS_M, int WARPS_N, int STAGES>
__global__ void __launch_bounds__(32 * WARPS_M * WARPS_N) gemm_mma(const T *A, const T *B, int K, int splits, ending<T> e)
{
    constexpr int THREADS = 32 * WARPS_M * WARPS_N, WM = BM / WARPS_M, WN = BN / WARPS_N, MT = WM / 16, NT = WN / 8;
    constexpr int A_BYTES = BM * MMA_K * 2, STAGE = (BM + BN) * MMA_K * 2;
    extern __shared__ __align__(128) unsigned char shared[];
    uint32_t base = shared_address(shared);
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, wm = warp / WARPS_N * WM, wn = warp % WARPS_N * WN;
    int n_tiles = ceil_div(e.N, BN), tile = (int)blockIdx.x, split = (int)blockIdx.y;
    int m0 = tile / n_tiles * BM, n0 = tile % n_tiles * BN;
    unsigned all = (unsigned)ceil_div(K, MMA_K); /* times the splits, at most 64 of them, still below 2^32 */
    int step = (int)(all * (unsigned)split / (unsigned)splits), last = (int)(all * (unsigned)(split + 1) / (unsigned)splits);
    float acc[MT][NT][4] = {};
    if (KIND == END_SCALED) A += (size_t)blockIdx.z * e.step_A, B += (size_t)blockIdx.z * e.step_B;

    auto fetch_a = [&](int s, int slot) {
        uint32_t a = base + (uint32_t)(slot * STAGE);
        if (TRANS) mma_load<MMA_K, BM, THREADS>(a, A + (size_t)(s * MMA_K) * e.M + m0, e.M, K - s * MMA_K, e.M - m0);
        else mma_load<BM, MMA_K, THREADS>(a, A + (size_t)m0 * K + s * MMA_K, K, e.M - m0, K - s * MMA_K);
    };
    auto fetch_b = [&](int s, int slot) {
        uint32_t b = base + (uint32_t)(slot * STAGE) + A_BYTES;
        if (TRANS) mma_load<MMA_K, BN, THREADS>(b, B + (size_t)(s * MMA_K) * e.N + n0, e.N, K - s * MMA_K, e.N - n0);
        else mma_load<BN, MMA_K, THREADS>(b, B + (size_t)n0 * K + s * MMA_K, K, e.N - n0, K - s * MMA_K);
    };
    /* where B holds weights, nothing in a chain writes them, and they need not wait for the kernel before */
    constexpr bool EARLY = !TRANS && has_weights(KIND);
    int fetched = step;
    chain_allow_next();
    if (!EARLY) chain_wait();
    /* loops, not a hundred lines of straight code that a small product has to fetch before it can begin */
#pragma unroll 1
    for (int i = 0; i < STAGES - 1; i++)
        if (step + i < last) fetch_b(step + i, i);
    if (EARLY) chain_wait();
#pragma unroll 1
    for (int i = 0; i < STAGES - 1; i++) {
        if (fetched < last) fetch_a(fetched, i);
        fetched++;
        cp_async_commit();
    }
    for (int slot = 0; step < last; step++, slot = slot + 1 == STAGES ? 0 : slot + 1) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        int next = slot == 0 ? STAGES - 1 : slot - 1; /* the slot that everybody left before the barrier */
        if (fetched < last) fetch_a(fetched, next), fetch_b(fetched, next);
        fetched++;
        cp_async_commit();
        uint32_t a_tile = base + (uint32_t)(slot * STAGE), b_tile = a_tile + A_BYTES;
#pragma unroll
        for (int k = 0; k < MMA_K / 16; k++) {
            uint32_t a[MT][4], b[NT / 2][4];
#pragma unroll
            for (int i = 0; i < MT; i++) {
                int m = wm + i * 16;
                if (TRANS)
                    ldmatrix4<true>(a[i],
                                    a_tile + swizzled<BM / 8>(k * 16 + (lane & 7) + (lane >> 4 << 3), m / 8 + (lane >> 3 & 1)));
                else ldmatrix4<false>(a[i], a_tile + swizzled<MMA_K / 8>(m + (lane & 15), k * 2 + (lane >> 4)));
            }
#pragma unroll
            for (int j = 0; j < NT / 2; j++) {
                int n = wn + j * 16;
                if (TRANS)
                    ldmatrix4<true>(
                        b[j], b_tile + swizzled<BN / 8>(k * 16 + (lane & 7) + ((lane >> 3 & 1) << 3), n / 8 + (lane >> 4)));
                else
                    ldmatrix4<false>(b[j],
                                     b_tile + swizzled<MMA_K / 8>(n + (lane & 7) + (lane >> 4 << 3), k * 2 + (lane >> 3 & 1)));
            }
#pragma unroll
            for (int i = 0; i < MT; i++)
#pragma unroll
                for (int j = 0; j < NT; j++) mma16816<T>(acc[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
    }
    cp_async_wait<0>();
    __syncthreads();
    float *C = (float *)shared;
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++) {
            float *c = C + (wm + i * 16 + lane / 4) * (BN + 4) + wn + j * 8 + lane % 4 * 2;
            *(float2 *)c = make_float2(acc[i][j][0], acc[i][j][1]);
            *(float2 *)(c + 8 * (BN + 4)) = make_float2(acc[i][j][2], acc[i][j][3]);
        }
    __syncthreads();
    end_tile<KIND, T, BM, BN, THREADS>(e, C, BN + 4, m0, n0, n0 / BN, split);
}

/* ==================================================================================================== >>cuda-gemm-wgmma ==
 * The same on Hopper (sm_90a): one warp group asks the copy engine for tiles, two multiply 64x256 each with wgmma straight
 * from shared memory, over a persistent grid. An ending works on the accumulators as they lie in registers; sixteen rows of
 * sixty-four columns at a time go through a box of shared memory, a warp's own, to the copy engine, and a residual comes the
 * same way. What reads much and computes little, weight gradients, runs in clusters of two, which share B.
 */
enum { WG_M = 128, WG_N = 256, WG_K = 64, WG_STAGES = 4, WG_THREADS = 384 };
enum { WG_A_BYTES = WG_M * WG_K * 2, WG_B_BYTES = WG_N * WG_K * 2, WG_STAGE = WG_A_BYTES + WG_B_BYTES };
enum { WG_BOX_ROWS = 16, WG_BOX_COLUMNS = 64, WG_BOX = WG_BOX_ROWS * WG_BOX_COLUMNS * 2, WG_WARPS = 8, WG_BOXES = 2 };
enum { WG_SHARED = WG_STAGES * WG_STAGE + WG_WARPS * WG_BOXES * WG_BOX + 1024 + 256 };
constexpr int wg_cluster(bool trans) { return trans ? 2 : 1; }

/* A and B; out; the residual; B by halves. END_SWIGLU_BACK: in: the gradient of gate and up; a2, b2: its second product's */
struct wg_maps { CUtensorMap a, b, out, in, a2, b2; };

__device__ __forceinline__ void barrier_init(uint32_t barrier, int count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(barrier), "r"(count) : "memory");
}
__device__ __forceinline__ void barrier_wait(uint32_t barrier, int parity)
{
    asm volatile("{\n.reg .pred p;\nwait_%=:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
                 "@p bra done_%=;\nbra wait_%=;\ndone_%=:\n}\n" ::"r"(barrier), "r"(parity)
                 : "memory");
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
__device__ __forceinline__ void fence_async() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }
__device__ __forceinline__ void barrier_arrive(uint32_t barrier)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(barrier) : "memory");
}
/* the barrier at the same place in a CTA of the cluster */
__device__ __forceinline__ void barrier_arrive_at(uint32_t barrier, uint32_t cta)
{
    asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
                 "mbarrier.arrive.shared::cluster.b64 _, [there];\n}\n" ::"r"(barrier), "r"(cta)
                 : "memory");
}
__device__ __forceinline__ void barrier_expect(uint32_t barrier, int bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ __forceinline__ void copy_tile(uint32_t dst, const CUtensorMap *map, int x, int y, uint32_t barrier)
{
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];\n" ::"r"(
            dst),
        "l"((uint64_t)map), "r"(barrier), "r"(x), "r"(y)
        : "memory");
}
/* the same into both CTAs of a cluster, each of whose barriers counts it */
__device__ __forceinline__ void copy_tile_to_both(uint32_t dst, const CUtensorMap *map, int x, int y, uint32_t barrier)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
                 "[%0], [%1, {%3, %4}], [%2], %5;\n" ::"r"(dst),
                 "l"((uint64_t)map), "r"(barrier), "r"(x), "r"(y), "h"((uint16_t)3)
                 : "memory");
}
/* before the kernel before is waited for: the first copy need not wait for its map then */
__device__ __forceinline__ void prefetch_map(const CUtensorMap *map)
{
    asm volatile("prefetch.tensormap [%0];\n" ::"l"((uint64_t)map) : "memory");
}
__device__ __forceinline__ void store_tile(const CUtensorMap *map, int x, int y, uint32_t src)
{
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];\n"
                 "cp.async.bulk.commit_group;\n" ::"l"((uint64_t)map),
                 "r"(x), "r"(y), "r"(src)
                 : "memory");
}
/* until what this thread stored may be overwritten, but for its last N tiles */
template <int N> __device__ __forceinline__ void store_wait_read()
{
    asm volatile("cp.async.bulk.wait_group.read %0;\n" ::"n"(N) : "memory");
}
__device__ __forceinline__ uint32_t cluster_rank()
{
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;\n" : "=r"(rank));
    return rank;
}
/* not aligned: some threads of a warp may come later */
__device__ __forceinline__ void cluster_sync()
{
    asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;\n" ::: "memory");
}
__device__ __forceinline__ void stmatrix4(uint32_t address, const uint32_t *r)
{
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};\n" ::"r"(address), "r"(r[0]), "r"(r[1]),
                 "r"(r[2]), "r"(r[3])
                 : "memory");
}
/* a matrix in shared memory with the 128-byte swizzle; lbo and sbo in bytes */
__device__ __forceinline__ uint64_t matrix_descriptor(uint32_t address, uint32_t lbo, uint32_t sbo)
{
    return (uint64_t)((address & 0x3ffffu) >> 4) | (uint64_t)(lbo >> 4) << 16 | (uint64_t)(sbo >> 4) << 32 | (uint64_t)1 << 62;
}
/* sixteen of K, the k-th of a tile: 32 bytes in a swizzled row; transposed, sixteen rows of 128 bytes */
template <bool TRANS> __device__ __forceinline__ uint64_t operand(uint32_t tile, uint32_t k)
{
    return TRANS ? matrix_descriptor(tile + k * 2048, 8192, 1024) : matrix_descriptor(tile + k * 32, 16, 1024);
}

    #define WG_D4(i)  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
    #define WG_D16(i) WG_D4(i), WG_D4(i + 4), WG_D4(i + 8), WG_D4(i + 12)
    #define WG_D64(i) WG_D16(i), WG_D16(i + 16), WG_D16(i + 32), WG_D16(i + 48)
    #define WG_LIST64 \
        "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30," \
        "%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58," \
        "%59,%60,%61,%62,%63"
    #define WG_LIST96 \
        WG_LIST64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89," \
                  "%90,%91,%92,%93,%94,%95"
    #define WG_LIST128 \
        WG_LIST96 ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116," \
                  "%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
/* d [64,128 or 256] (+)= a b^T, of 32 bytes of K: sixteen of bf16, 32 of e4m3, which has no transposed operands */
template <bool E4M3> __device__ __forceinline__ void wgmma_128(float *d, uint64_t a, uint64_t b, int add)
{
    #define WG_TEXT(types, end) \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128" types " {" WG_LIST64 \
        "}, %64, %65, p, 1, 1" end ";\n}\n"
    if constexpr (E4M3) asm volatile(WG_TEXT("k32.f32.e4m3.e4m3", "") : WG_D64(0) : "l"(a), "l"(b), "r"(add));
    else asm volatile(WG_TEXT("k16.f32.bf16.bf16", ", 0, 0") : WG_D64(0) : "l"(a), "l"(b), "r"(add));
    #undef WG_TEXT
}
template <int TRANS, bool E4M3> __device__ __forceinline__ void wgmma_256(float *d, uint64_t a, uint64_t b, int add)
{
    #define WG_TEXT(types, end) \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\nwgmma.mma_async.sync.aligned.m64n256" types " {" WG_LIST128 \
        "}, %128, %129, p, 1, 1" end ";\n}\n"
    if constexpr (E4M3) asm volatile(WG_TEXT("k32.f32.e4m3.e4m3", "") : WG_D64(0), WG_D64(64) : "l"(a), "l"(b), "r"(add));
    else
        asm volatile(WG_TEXT("k16.f32.bf16.bf16", ", %131, %131")
                     : WG_D64(0), WG_D64(64)
                     : "l"(a), "l"(b), "r"(add), "n"(TRANS));
    #undef WG_TEXT
}
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
template <int N> __device__ __forceinline__ void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(N) : "memory");
}
template <int N> __device__ __forceinline__ void settle(float *d)
{
#pragma unroll
    for (int i = 0; i < N; i++) asm volatile("" : "+f"(d[i])::"memory");
}

/* lane t of four gives element j of its p to lane j and keeps what the others have for it: p[j] = lane j's p[t] */
__device__ __forceinline__ void transpose4(uint32_t *p, int t)
{
    uint32_t a = t & 1 ? p[0] : p[1], b = t & 1 ? p[2] : p[3];
    a = __shfl_xor_sync(0xffffffffu, a, 1), b = __shfl_xor_sync(0xffffffffu, b, 1);
    if (t & 1) p[0] = a, p[2] = b;
    else p[1] = a, p[3] = b;
    a = t & 2 ? p[0] : p[2], b = t & 2 ? p[1] : p[3];
    a = __shfl_xor_sync(0xffffffffu, a, 2), b = __shfl_xor_sync(0xffffffffu, b, 2);
    if (t & 2) p[0] = a, p[1] = b;
    else p[2] = a, p[3] = b;
}

/* What an ending reads, asked for while the products run and touched only after them: lane t of a row's four takes every
 * fourth sum of squares, the first few of them ahead. */
enum { SUMS_AHEAD = 4 };
struct ahead {
    float  squares[2][SUMS_AHEAD], inner[2][SUMS_AHEAD];
    float2 turn[2][8]; /* cosine and sine of each pair of columns: they repeat every 64 */
};
__device__ __forceinline__ void load_sums(float *to, const float *from, int row, int slots)
{
    int t = (int)threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < SUMS_AHEAD; i++) to[i] = t + 4 * i < slots ? from[(size_t)row * slots + t + 4 * i] : 0.0f;
}
__device__ __forceinline__ float factor_of(const float *ahead, const float *from, int row, int slots, float inverse, float eps)
{
    float sum = 0;
#pragma unroll
    for (int i = 0; i < SUMS_AHEAD; i++) sum += ahead[i];
    for (int i = (int)threadIdx.x % 4 + 4 * SUMS_AHEAD; i < slots; i += 4) sum += from[(size_t)row * slots + i];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    return rsqrtf(sum * inverse + eps);
}
__host__ __device__ constexpr bool takes_factor(int kind)
{
    return kind == END_STORE || ends_swiglu(kind) || ends_residual(kind);
}
template <int KIND> __device__ __forceinline__ bool turns_repeat(const ending<bf16> &e, int n0)
{
    return KIND == END_STORE && e.rope && n0 + WG_N <= e.rope_columns && 64 % e.head_dim == 0 && e.head_dim >= 8;
}
template <int KIND> __device__ __forceinline__ void load_ahead(const ending<bf16> &e, ahead &p, int m0, int n0)
{
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = min(m0 + g + 8 * half, e.M - 1);
        if (takes_factor(KIND) && e.squares) load_sums(p.squares[half], e.squares, row, e.slots);
        if (KIND == END_RESIDUAL_NORM) load_sums(p.inner[half], e.inner, row, e.inner_slots);
        if (turns_repeat<KIND>(e, n0)) {
            const float2 *table = e.rope + (unsigned)row % (unsigned)e.S * (unsigned)(e.head_dim / 2);
#pragma unroll
            for (int u = 0; u < 8; u++) p.turn[half][u] = table[((8 * u + 2 * t) & (e.head_dim - 1)) >> 1];
        }
    }
}
__device__ __forceinline__ float exp2_fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
__device__ __forceinline__ float tanh_fast(float x)
{
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
/* one special function instead of two, to within 2^-12; so a small one is wrong in its leading digits, by a tenth at -6 */
__device__ __forceinline__ float sigmoid_fast(float x) { return fmaf(0.5f, tanh_fast(0.5f * x), 0.5f); }
__device__ __forceinline__ void turn(float *pair, float2 cs)
{
    float a = pair[0], b = pair[1];
    pair[0] = a * cs.x - b * cs.y;
    pair[1] = b * cs.x + a * cs.y;
}

/* d: row g of the warp's sixteen in d[4i], d[4i+1], row g + 8 in d[4i+2], d[4i+3]; columns 8i + 2t, 8i + 2t + 1. dh: the same
 * of END_SWIGLU_BACK's second product. boxes: the warp's; arrived, parity: of the residual that waits in them already */
template <int KIND, bool E4M3>
__device__ __forceinline__ void end_registers(const ending<bf16> &e, const wg_maps &maps, float *d, const float *dh,
                                              const ahead &p, uint32_t boxes, uint32_t arrived, int &parity, int m0, int n0,
                                              int columns, int split)
{
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    if (KIND == END_PART) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = m0 + g + 8 * half;
            float *part = e.part + ((size_t)split * e.M + row) * e.N + n0 + 2 * t;
#pragma unroll
            for (int i = 0; i < 32; i++)
                if (row < e.M && n0 + 8 * i < e.N)
                    *(float2 *)(part + 8 * i) = make_float2(d[4 * i + 2 * half], d[4 * i + 2 * half + 1]);
        }
        return;
    }
    constexpr bool ADDS = ends_residual(KIND) || KIND == END_ADD, BACK = KIND == END_SWIGLU_BACK, SWIGLU = ends_swiglu(KIND);
    float squares[2] = {}, rs[2] = {1.0f, 1.0f}, inner[2] = {1.0f, 1.0f}, mean[2] = {};
    int end = min(n0 + columns, BACK ? 2 * e.N : e.N);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = min(m0 + g + 8 * half, e.M - 1);
        if (takes_factor(KIND) && e.squares)
            rs[half] = factor_of(p.squares[half], e.squares, row, e.slots, e.inv_D, e.eps);
        if (E4M3 && KIND == END_STORE) rs[half] *= e.scale;
        if (BACK && e.k) inner[half] = e.r[row], mean[half] = e.k[row];
        if (KIND == END_RESIDUAL_NORM) inner[half] = factor_of(p.inner[half], e.inner, row, e.inner_slots, e.inv_I, e.eps);
        if (E4M3) inner[half] *= e.scale;
    }
    if (KIND == END_STORE) {
        if (turns_repeat<KIND>(e, n0)) {
            float2 cs[2][8];
#pragma unroll
            for (int i = 0; i < 16; i++) {
                float2 c = p.turn[i & 1][i / 2];
                cs[i & 1][i / 2] = make_float2(rs[i & 1] * c.x, rs[i & 1] * c.y);
            }
#pragma unroll
            for (int i = 0; i < 64; i++) turn(d + 2 * i, cs[i & 1][i / 2 % 8]);
        } else {
            if (e.squares || E4M3)
#pragma unroll
                for (int i = 0; i < 128; i++) d[i] *= rs[i / 2 & 1];
            if (e.rope && n0 < e.rope_columns) {
                const float2 *table = e.rope + (size_t)((m0 + g) % e.S) * (e.head_dim / 2),
                             *below = e.rope + (size_t)((m0 + g + 8) % e.S) * (e.head_dim / 2);
#pragma unroll
                for (int i = 0; i < 32; i++) {
                    int col = n0 + 8 * i + 2 * t, c = col % e.head_dim / 2;
                    if (col < e.rope_columns) turn(d + 4 * i, table[c]), turn(d + 4 * i + 2, below[c]);
                }
            }
        }
    }
    /* lane l addresses row l % 16 of a box, and of two neighbouring chunks of eight columns the first or the second */
    uint32_t row_at = (uint32_t)(lane % 16 * 128), chunk_at = (uint32_t)((lane & 7) ^ (lane >> 4)) * 16;
    int stored = 0; /* known when compiled */
    auto fence_and_store = [&](const CUtensorMap *map, uint32_t box, int x) {
        fence_async();
        __syncwarp();
        if (lane == 0) store_tile(map, x, m0, box);
        stored++;
    };
    auto free_box = [&]() { /* the next in turn */
        if (stored >= WG_BOXES) {
            if (lane == 0) store_wait_read<WG_BOXES - 1>();
            __syncwarp();
        }
        return boxes + (uint32_t)(stored % WG_BOXES * WG_BOX);
    };
    uint32_t packed[4][4]; /* of SwiGLU: half as many columns; a box is full every second time */
    if (ADDS) barrier_wait(arrived, parity), parity ^= 1;
    else if (lane == 0) store_wait_read<0>();
    __syncwarp();
#pragma unroll
    for (int j = 0; j < 4; j++) {
        float *v = d + 32 * j;
        int col = n0 + 64 * j;
        if (col >= end) break;
        if (ADDS && j == WG_BOXES) { /* the other half of the residual */
            if (lane == 0) {
                store_wait_read<0>();
                barrier_expect(arrived, WG_BOXES * WG_BOX);
                for (int i = 0; i < WG_BOXES; i++)
                    copy_tile(boxes + (uint32_t)(i * WG_BOX), &maps.in, col + 64 * i, m0, arrived);
            }
            __syncwarp();
            barrier_wait(arrived, parity), parity ^= 1;
        }
        uint32_t box = ADDS ? boxes + (uint32_t)(j % WG_BOXES * WG_BOX) : SWIGLU ? 0 : free_box();
        if (SWIGLU) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                int half = i & 1;
                const float *gate = v + 8 * (i / 2) + 2 * half, *up = gate + 4;
                float a = rs[half] * gate[0], b = rs[half] * gate[1], x = rs[half] * up[0], y = rs[half] * up[1];
                packed[j % 2 * 2 + i / 4][i & 3] = pack2(silu(a) * x, silu(b) * y);
                if (KIND == END_SWIGLU_NORM) squares[half] = fmaf(a * x, a * x, fmaf(b * y, b * y, squares[half]));
            }
        } else if (BACK) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                uint32_t q[4];
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    float x[2], y[2], h[2];
#pragma unroll
                    for (int c = 0; c < 2; c++) {
                        x[c] = v[8 * i + 2 * half + c], y[c] = v[8 * i + 4 + 2 * half + c];
                        float sigmoid = __fdividef(1.0f, 1.0f + __expf(-x[c]));
                        h[c] = inner[half] * swiglu_norm_back(&x[c], &y[c], inner[half] * dh[4 * (4 * j + i) + 2 * half + c],
                                                              sigmoid, mean[half]);
                    }
                    q[half] = pack2(x[0], x[1]), q[2 + half] = pack2(y[0], y[1]);
                    packed[j % 2 * 2 + i / 2][i % 2 * 2 + half] = pack2(h[0], h[1]);
                }
                stmatrix4(box + row_at + (chunk_at ^ (uint32_t)(i * 32)), q);
            }
            fence_and_store(&maps.in, box, col);
        } else {
            uint32_t small[2][2] = {};
#pragma unroll
            for (int i = 0; i < 8; i += 2) {
                uint32_t x[4], at = box + row_at + (chunk_at ^ (uint32_t)(i * 16));
                if (ADDS) ldmatrix4<false>(x, at);
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    int half = k & 1;
                    const float *y = v + 4 * (i + k / 2) + 2 * half;
                    float a = y[0], b = y[1];
                    if (KIND == END_RESIDUAL_NORM || (E4M3 && ends_residual(KIND))) a *= inner[half], b *= inner[half];
                    if (ADDS) {
                        float r[2];
                        unpack2(r, x[k]);
                        a = ends_residual(KIND) ? fmaf(rs[half], r[0], a) : a + r[0];
                        b = ends_residual(KIND) ? fmaf(rs[half], r[1], b) : b + r[1];
                        if (ends_residual(KIND)) squares[half] = fmaf(a, a, fmaf(b, b, squares[half]));
                    }
                    x[k] = pack2(a, b);
                    if (ends_residual(KIND) && e.small) {
                        uint32_t two = pack2_e4m3(E4M3_STATE * a, E4M3_STATE * b);
                        if (k < 2) small[half][i / 2 & 1] = two;
                        else small[half][i / 2 & 1] |= two << 16;
                    }
                }
                stmatrix4(at, x);
                if (ends_residual(KIND) && e.small && i % 4 == 2)
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        int row = m0 + g + 8 * half;
                        e4m3 *to = e.small + (size_t)row * e.N + col + 8 * i - 16 + 8 * t;
                        if (row < e.M) *(uint2 *)to = make_uint2(small[half][0], small[half][1]);
                    }
            }
            fence_and_store(&maps.out, box, col);
        }
        if ((SWIGLU || BACK) && (j % 2 == 1 || col + 64 >= end)) {
            box = free_box();
#pragma unroll
            for (int i = 0; i < 8; i += 2)
                if (j % 2 == 1 || i < 4)
                    stmatrix4(box + row_at + (chunk_at ^ (uint32_t)(i * 16)), packed[i / 2]);
            fence_and_store(&maps.out, box, n0 / 2 + j / 2 * 64);
        }
    }
    if (ends_with_squares(KIND))
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = m0 + g + 8 * half;
            float sum = squares[half];
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            if (row >= e.M || t > 1) continue;
            /* a slot for each tile; END_RESIDUAL: for each half, a whole tile's second is 0 */
            int slot = ends_residual(KIND) ? n0 / (WG_N / 2) + t : n0 / WG_N;
            if (ends_residual(KIND) ? (t == 0 || columns == WG_N) && slot < e.slots_out : t == 0)
                e.squares_out[(size_t)row * e.slots_out + slot] = t ? 0.0f : sum;
        }
}
#endif

/* Tile after tile, those of one split first. From `whole` on a tile is two halves of 128 columns: those of a last round that
 * would have had work for less than half the GPU. */
struct wg_item { int m0, n0, columns, split, first, last; };
__device__ __forceinline__ wg_item item_at(int i, int whole, int n_tiles, int tiles, int all, int splits, int rows)
{
    wg_item x;
    bool half = i >= whole;
    int tile = half ? whole + (i - whole) / 2 : i;
    x.split = tile / tiles, tile %= tiles;
    x.columns = half ? WG_N / 2 : WG_N;
    x.m0 = tile / n_tiles * rows, x.n0 = tile % n_tiles * WG_N + (half ? (i - whole) % 2 * (WG_N / 2) : 0);
    x.first = (int)((long long)all * x.split / splits), x.last = (int)((long long)all * (x.split + 1) / splits);
    return x;
}
template <bool HALF> struct wg_half { static constexpr bool value = HALF; };
/* not where sums of squares have one slot a tile */
__host__ __device__ constexpr bool wg_halves(int kind, bool trans)
{
    return !trans && kind != END_PART && kind != END_SWIGLU_BACK && kind != END_SWIGLU_NORM;
}

/* END_SWIGLU_BACK: a tile is gate and up, 256 columns of A B^T, and with them dh, 128 columns of A2 B2^T. */
template <int KIND, bool TRANS, bool E4M3 = false>
__global__ void __launch_bounds__(WG_THREADS, 1)
    gemm_wgmma(const __grid_constant__ wg_maps maps, int K, int splits, int whole,
               const __grid_constant__ ending<bf16> e)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr int CLUSTER = TRANS ? 2 : 1;
    constexpr bool ADDS = ends_residual(KIND) || KIND == END_ADD, BACK = KIND == END_SWIGLU_BACK,
                   HALVES = wg_halves(KIND, TRANS);
    constexpr int STEP = E4M3 ? 2 * WG_K : WG_K; /* of K: 128 bytes */
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, boxes = base + WG_STAGES * WG_STAGE;
    uint32_t full = boxes + WG_WARPS * WG_BOXES * WG_BOX, empty = full + 8 * WG_STAGES, arrived = empty + 8 * WG_STAGES;
    int group = (int)threadIdx.x / 128;
    uint32_t rank = CLUSTER == 2 ? cluster_rank() : 0;
    if (threadIdx.x == 0) {
        for (int i = 0; i < WG_STAGES; i++) {
            barrier_init(full + 8 * (uint32_t)i, 1);
            barrier_init(empty + 8 * (uint32_t)i, WG_WARPS * CLUSTER);
        }
        for (int i = 0; ADDS && i < WG_WARPS; i++) barrier_init(arrived + 8 * (uint32_t)i, 1);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    if (CLUSTER == 2) cluster_sync();
    else __syncthreads();
    chain();
    /* the CTAs of a cluster take rows that follow one another, of the same columns */
    int n_tiles = ceil_div(BACK ? 2 * e.N : e.N, WG_N), tiles = ceil_div(e.M, WG_M * CLUSTER) * n_tiles,
        all = ceil_div(K, STEP);
    if (!HALVES) whole = tiles * splits;
    int items = 2 * tiles * splits - whole;
    int slot = 0, phase = 0;
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;\n");
        if (threadIdx.x == 0)
            for (int item = (int)blockIdx.x / CLUSTER; item < items; item += (int)gridDim.x / CLUSTER) {
                wg_item x = item_at(item, whole, n_tiles, tiles, all, splits, WG_M * CLUSTER);
                int m0 = x.m0 + (int)rank * WG_M, n0 = x.n0, last = x.last;
                for (int i = x.first; i < (BACK ? 2 * last : last); i++) {
                    uint32_t at = base + (uint32_t)(slot * WG_STAGE), ready = full + 8 * (uint32_t)slot;
                    barrier_wait(empty + 8 * (uint32_t)slot, phase ^ 1);
                    if (BACK && i >= last) {
                        barrier_expect(ready, WG_A_BYTES + WG_B_BYTES / 2);
                        copy_tile(at, &maps.a2, (i - last) * WG_K, m0, ready);
                        copy_tile(at + WG_A_BYTES, &maps.b2, (i - last) * WG_K, n0 / 2, ready);
                    } else if (TRANS) {
                        barrier_expect(ready, WG_STAGE);
                        for (int j = 0; j < WG_M / 64; j++)
                            copy_tile(at + (uint32_t)(j * 8192), &maps.a, m0 + 64 * j, i * WG_K, ready);
                        for (int j = (int)rank * 2; j < (int)rank * 2 + 2; j++)
                            copy_tile_to_both(at + WG_A_BYTES + (uint32_t)(j * 8192), &maps.b, n0 + 64 * j, i * WG_K, ready);
                    } else if (HALVES && x.columns < WG_N) {
                        barrier_expect(ready, WG_A_BYTES + WG_B_BYTES / 2);
                        copy_tile(at, &maps.a, i * STEP, m0, ready);
                        copy_tile(at + WG_A_BYTES, &maps.b2, i * STEP, n0, ready);
                    } else {
                        barrier_expect(ready, WG_STAGE);
                        copy_tile(at, &maps.a, i * STEP, m0, ready);
                        copy_tile(at + WG_A_BYTES, &maps.b, i * STEP, n0, ready);
                    }
                    if (++slot == WG_STAGES) slot = 0, phase ^= 1;
                }
            }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;\n");
        float d[128], dh[BACK ? 64 : 1];
        int warp = (int)threadIdx.x / 32 - 4, lane = (int)threadIdx.x % 32, parity = 0;
        boxes += (uint32_t)(warp * WG_BOXES * WG_BOX);
        arrived += 8 * (uint32_t)warp;
        auto leave_slot = [&](int s) { /* in both CTAs: each fills half of the other's B */
            uint32_t barrier = empty + 8 * (uint32_t)s;
            if (CLUSTER == 1 && lane == 0) barrier_arrive(barrier);
            if (CLUSTER == 2 && lane < 2) barrier_arrive_at(barrier, (uint32_t)lane);
        };
        for (int item = (int)blockIdx.x / CLUSTER; item < items; item += (int)gridDim.x / CLUSTER) {
            wg_item x = item_at(item, whole, n_tiles, tiles, all, splits, WG_M * CLUSTER);
            int m0 = x.m0 + (int)rank * WG_M + warp * 16, n0 = x.n0, first = x.first;
            ahead p;
            /* two loops: with a branch within one, ptxas has each product wait for the one before (C7520) */
            auto multiply = [&](auto half) {
                for (int step = first; step < x.last; step++) {
                    barrier_wait(full + 8 * (uint32_t)slot, phase);
                    uint32_t a = base + (uint32_t)(slot * WG_STAGE) + (uint32_t)(group - 1) * 8192,
                             b = base + (uint32_t)(slot * WG_STAGE) + WG_A_BYTES;
                    wgmma_fence();
#pragma unroll
                    for (uint32_t k = 0; k < WG_K / 16; k++)
                        if constexpr (half.value)
                            wgmma_128<E4M3>(d, operand<false>(a, k), operand<false>(b, k), step != first || k != 0);
                        else wgmma_256<TRANS, E4M3>(d, operand<TRANS>(a, k), operand<TRANS>(b, k), step != first || k != 0);
                    wgmma_commit();
                    if (step == first) {
                        if (ADDS && lane == 0) {
                            store_wait_read<0>();
                            barrier_expect(arrived, WG_BOXES * WG_BOX);
                            for (int j = 0; j < WG_BOXES; j++)
                                copy_tile(boxes + (uint32_t)(j * WG_BOX), &maps.in, n0 + 64 * j, m0, arrived);
                        }
                        load_ahead<KIND>(e, p, m0, n0);
                    } else {
                        wgmma_wait<1>(); /* the products of the slot before are done: it may be filled again */
                        leave_slot(slot == 0 ? WG_STAGES - 1 : slot - 1);
                    }
                    if (++slot == WG_STAGES) slot = 0, phase ^= 1;
                }
            };
            if (HALVES && x.columns < WG_N) multiply(wg_half<HALVES>());
            else multiply(wg_half<false>());
            for (int step = 0; BACK && step < all; step++) {
                barrier_wait(full + 8 * (uint32_t)slot, phase);
                uint32_t a = base + (uint32_t)(slot * WG_STAGE) + (uint32_t)(group - 1) * 8192,
                         b = base + (uint32_t)(slot * WG_STAGE) + WG_A_BYTES;
                wgmma_fence();
#pragma unroll
                for (uint32_t k = 0; k < WG_K / 16; k++)
                    wgmma_128<false>(dh, operand<false>(a, k), operand<false>(b, k), step != 0 || k != 0);
                wgmma_commit();
                wgmma_wait<1>();
                leave_slot(slot == 0 ? WG_STAGES - 1 : slot - 1);
                if (++slot == WG_STAGES) slot = 0, phase ^= 1;
            }
            wgmma_wait<0>();
            leave_slot(slot == 0 ? WG_STAGES - 1 : slot - 1);
            settle<128>(d);
            if (BACK) settle<BACK ? 64 : 1>(dh);
            end_registers<KIND, E4M3>(e, maps, d, dh, p, boxes, arrived, parity, m0, n0, x.columns,
                                x.split);
        }
        if (lane == 0) asm volatile("cp.async.bulk.wait_group 0;\n" ::: "memory");
    }
    if (CLUSTER == 2) cluster_sync(); /* the other may still arrive at a barrier here */
#else
    (void)maps, (void)K, (void)splits, (void)whole, (void)e;
#endif
}

__global__ void probe_wgmma(int *there)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    *there = 1;
#else
    *there = 0;
#endif
}

/* ==================================================================================================== >>cuda-strips =======
 * SwiGLU's product where K is 512, for Hopper: the 128 rows of a strip stay in shared memory, all of K, and only the weights
 * come and go. Two warp groups multiply 128 x 192 in turns, so that one's ending runs under the other's products.
 */
enum {
    ST_N = 192, ST_PIECES = 8, /* of 64 of K */
    ST_A = 128 * 128, ST_B = ST_N * 128, ST_SLOTS = 4,
    ST_RING_AT = ST_PIECES * ST_A, ST_BARRIERS = ST_RING_AT + ST_SLOTS * ST_B,
    ST_SHARED = ST_BARRIERS + 16 * (ST_PIECES + ST_SLOTS) + 1024
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    /* what a first product writes without having read it: as "+f" it would stay alive from item to item */
    #define WG_E4(i)  "=f"(d[i]), "=f"(d[i + 1]), "=f"(d[i + 2]), "=f"(d[i + 3])
    #define WG_E16(i) WG_E4(i), WG_E4(i + 4), WG_E4(i + 8), WG_E4(i + 12)
/* d [64,192] (+)= a b^T */
template <bool ADD, bool E4M3> __device__ __forceinline__ void wgmma_192(float *d, uint64_t a, uint64_t b)
{
    #define WG_TEXT(types, end) \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %98, 0;\nwgmma.mma_async.sync.aligned.m64n192" types " {" WG_LIST96 \
        "}, %96, %97, p, 1, 1" end ";\n}\n"
    #define WG_ASK(text) \
        if constexpr (ADD) asm volatile(text : WG_D64(0), WG_D16(64), WG_D16(80) : "l"(a), "l"(b), "n"(1)); \
        else \
            asm volatile(text \
                         : WG_E16(0), WG_E16(16), WG_E16(32), WG_E16(48), WG_E16(64), WG_E16(80) \
                         : "l"(a), "l"(b), "n"(0))
    if constexpr (E4M3) {
        WG_ASK(WG_TEXT("k32.f32.e4m3.e4m3", ""));
    } else {
        WG_ASK(WG_TEXT("k16.f32.bf16.bf16", ", 0, 0"));
    }
    #undef WG_ASK
    #undef WG_TEXT
}
#endif

template <int KIND>
__global__ void __launch_bounds__(WG_THREADS, 1)
    strips_wgmma(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap b_map,
                 const __grid_constant__ ending<bf16> e)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr bool NORM = KIND == END_SWIGLU_NORM;
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, ring = base + ST_RING_AT, full = base + ST_BARRIERS,
             empty = full + 8 * ST_SLOTS, full_a = empty + 8 * ST_SLOTS, empty_a = full_a + 8 * ST_PIECES;
    int group = (int)threadIdx.x / 128 - 1, wide = e.N / ST_N, tiles = ceil_div(e.M, 128) * wide,
        first = (int)((long long)tiles * blockIdx.x / gridDim.x), last = (int)((long long)tiles * (blockIdx.x + 1) / gridDim.x);
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < ST_SLOTS; i++) barrier_init(full + 8 * i, 1), barrier_init(empty + 8 * i, 4);
        for (uint32_t i = 0; i < ST_PIECES; i++) barrier_init(full_a + 8 * i, 1), barrier_init(empty_a + 8 * i, 4);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    if (group < 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 24;\n");
        if (threadIdx.x == 0) {
            int phase_a = 1;
            for (int tile = first; tile < last; tile++) {
                int strip = tile / wide, column = tile - strip * wide;
                bool begins = tile == first || column == 0;
                for (uint32_t k = 0; k < ST_PIECES; k++) {
                    uint32_t slot = k % ST_SLOTS;
                    if (begins) {
                        barrier_wait(empty_a + 8 * k, phase_a);
                        barrier_expect(full_a + 8 * k, ST_A);
                        copy_tile(base + k * ST_A, &a_map, (int)k * 64, strip * 128, full_a + 8 * k);
                    }
                    barrier_wait(empty + 8 * slot, k < ST_SLOTS);
                    barrier_expect(full + 8 * slot, ST_B);
                    copy_tile(ring + slot * ST_B, &b_map, (int)k * 64, column * ST_N, full + 8 * slot);
                }
                if (begins) phase_a ^= 1;
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 240;\n");
        int warp = (int)threadIdx.x / 32 % 4, lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
        int start = first / wide;
        for (int tile = first + group; tile < last; tile += 2) {
            int strip = tile / wide, column = tile - strip * wide, phase_a = (strip - start) & 1,
                row0 = strip * 128 + warp * 16 + g;
            bool ends = column == wide - 1;
            float d[2][96], rs[2][2];
            auto take = [&](uint32_t k, auto add) {
                uint32_t slot = k % ST_SLOTS;
                barrier_wait(full_a + 8 * k, phase_a);
                barrier_wait(full + 8 * slot, k >= ST_SLOTS);
                uint32_t at = base + k * ST_A, b = ring + slot * ST_B;
                wgmma_fence();
#pragma unroll
                for (uint32_t i = 0; i < 4; i++)
#pragma unroll
                    for (uint32_t j = 0; j < 2; j++)
                        if (i) wgmma_192<true, false>(d[j], operand<false>(at + j * 8192, i), operand<false>(b, i));
                        else wgmma_192<add.value, false>(d[j], operand<false>(at + j * 8192, i), operand<false>(b, i));
                wgmma_commit();
            };
            auto leave = [&](uint32_t k) {
                if (lane == 0) {
                    barrier_arrive(empty + 8 * (k % ST_SLOTS));
                    if (ends) barrier_arrive(empty_a + 8 * k);
                }
            };
            /* the other has asked for all of its products */
            if (tile > first) asm volatile("bar.sync %0, 256;\n" ::"r"(1 + group) : "memory");
            take(0, wg_half<false>());
#pragma unroll
            for (int j = 0; j < 2; j++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    int row = min(row0 + 64 * j + 8 * h, e.M - 1);
                    rs[j][h] = 0;
                    if (e.squares)
                        for (int i = t; i < e.slots; i += 4) rs[j][h] += e.squares[(size_t)row * e.slots + i];
                }
#pragma unroll 1
            for (uint32_t k = 1; k < ST_PIECES; k++) {
                take(k, wg_half<true>());
                wgmma_wait<1>();
                leave(k - 1);
            }
            if (tile + 1 < last) asm volatile("bar.arrive %0, 256;\n" ::"r"(2 - group) : "memory");
            wgmma_wait<0>();
            leave(ST_PIECES - 1);
            settle<96>(d[0]);
            settle<96>(d[1]);
#pragma unroll
            for (int j = 0; j < 2; j++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    int row = row0 + 64 * j + 8 * h;
                    float r = 1.0f, squares = 0;
                    if (e.squares) {
                        float sum = rs[j][h];
                        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
                        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
                        r = rsqrtf(sum * e.inv_D + e.eps);
                    }
                    bf16 *to = e.out + (size_t)row * (size_t)(e.N / 2) + (uint32_t)(column * (ST_N / 2) + 8 * t);
#pragma unroll
                    for (int c = 0; c < 3; c++) {
                        uint32_t q[4];
#pragma unroll
                        for (int b = 0; b < 4; b++) {
                            const float *gate = d[j] + 8 * (4 * c + b) + 2 * h, *up = gate + 4;
                            float p = r * gate[0], o = r * gate[1], x = r * up[0], y = r * up[1];
                            q[b] = pack2(silu(p) * x, silu(o) * y);
                            if (NORM) squares = fmaf(p * x, p * x, fmaf(o * y, o * y, squares));
                        }
                        transpose4(q, t);
                        if (row < e.M) *(uint4 *)(to + 32 * c) = make_uint4(q[0], q[1], q[2], q[3]);
                    }
                    if (NORM) {
                        squares += __shfl_xor_sync(0xffffffffu, squares, 1);
                        squares += __shfl_xor_sync(0xffffffffu, squares, 2);
                        if (t == 0 && row < e.M) e.squares_out[(size_t)row * e.slots_out + column] = squares;
                    }
                }
        }
    }
#else
    (void)e;
#endif
}

/* The same for operands in e4m3: 256 rows stay, each group has 128 of them, and the groups take turns on the same weights. What
 * a lane has of h lies together (e4m3_place). */
enum {
    S8_PIECES = 4, /* of 128 of K */
    S8_GROUP_A = S8_PIECES * ST_A, S8_SLOTS = 4,
    S8_RING_AT = 2 * S8_GROUP_A, S8_BARRIERS = S8_RING_AT + S8_SLOTS * ST_B,
    S8_SHARED = S8_BARRIERS + 16 * (2 * S8_PIECES + S8_SLOTS) + 1024
};

template <int KIND>
__global__ void __launch_bounds__(WG_THREADS, 1)
    strips_e4m3(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap b_map,
                const __grid_constant__ ending<bf16> e)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr bool NORM = KIND == END_SWIGLU_NORM;
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, ring = base + S8_RING_AT, full = base + S8_BARRIERS,
             empty = full + 8 * S8_SLOTS, full_a = empty + 8 * S8_SLOTS, empty_a = full_a + 8 * 2 * S8_PIECES;
    int group = (int)threadIdx.x / 128 - 1, wide = e.N / ST_N, tiles = ceil_div(e.M, 256) * wide,
        first = (int)((long long)tiles * blockIdx.x / gridDim.x), last = (int)((long long)tiles * (blockIdx.x + 1) / gridDim.x);
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < S8_SLOTS; i++) barrier_init(full + 8 * i, 1), barrier_init(empty + 8 * i, 8);
        for (uint32_t i = 0; i < 2 * S8_PIECES; i++) barrier_init(full_a + 8 * i, 1), barrier_init(empty_a + 8 * i, 4);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    if (group < 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 24;\n");
        if (threadIdx.x % 32 == 0 && threadIdx.x < 96) {
            int which = (int)threadIdx.x / 32 - 1, phase_a = 1; /* the weights, or a group's rows */
            for (int tile = first; tile < last; tile++) {
                int strip = tile / wide, column = tile - strip * wide;
                if (which < 0)
                    for (uint32_t k = 0; k < S8_PIECES; k++) {
                        barrier_wait(empty + 8 * k, (tile - first + 1) & 1);
                        barrier_expect(full + 8 * k, ST_B);
                        copy_tile(ring + k * ST_B, &b_map, (int)k * 128, column * ST_N, full + 8 * k);
                    }
                else if (tile == first || column == 0) {
                    for (uint32_t i = 0; i < S8_PIECES; i++) {
                        uint32_t k = (uint32_t)which * S8_PIECES + i;
                        barrier_wait(empty_a + 8 * k, phase_a);
                        barrier_expect(full_a + 8 * k, ST_A);
                        copy_tile(base + k * ST_A, &a_map, (int)i * 128, strip * 256 + which * 128, full_a + 8 * k);
                    }
                    phase_a ^= 1;
                }
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 240;\n");
        int warp = (int)threadIdx.x / 32 % 4, lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
        int start = first / wide;
        uint32_t mine = (uint32_t)group * S8_PIECES;
        for (int tile = first; tile < last; tile++) {
            int strip = tile / wide, column = tile - strip * wide, phase_a = (strip - start) & 1, phase = (tile - first) & 1,
                row0 = strip * 256 + group * 128 + warp * 16 + g;
            bool ends = column == wide - 1;
            float d[2][96], rs[2][2];
            auto take = [&](uint32_t k, auto add) {
                barrier_wait(full_a + 8 * (mine + k), phase_a);
                barrier_wait(full + 8 * k, phase);
                uint32_t at = base + (mine + k) * ST_A, b = ring + k * ST_B;
                wgmma_fence();
#pragma unroll
                for (uint32_t i = 0; i < 4; i++)
#pragma unroll
                    for (uint32_t j = 0; j < 2; j++)
                        if (i) wgmma_192<true, true>(d[j], operand<false>(at + j * 8192, i), operand<false>(b, i));
                        else wgmma_192<add.value, true>(d[j], operand<false>(at + j * 8192, i), operand<false>(b, i));
                wgmma_commit();
            };
            auto leave = [&](uint32_t k) {
                if (lane == 0) {
                    barrier_arrive(empty + 8 * k);
                    if (ends) barrier_arrive(empty_a + 8 * (mine + k));
                }
            };
            /* the other has asked for all of its products */
            if (group || tile > first) asm volatile("bar.sync %0, 256;\n" ::"r"(1 + group) : "memory");
            take(0, wg_half<false>());
#pragma unroll
            for (int j = 0; j < 2; j++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    int row = min(row0 + 64 * j + 8 * h, e.M - 1);
                    rs[j][h] = 0;
                    if (e.squares)
                        for (int i = t; i < e.slots; i += 4) rs[j][h] += e.squares[(size_t)row * e.slots + i];
                }
#pragma unroll 1
            for (uint32_t k = 1; k < S8_PIECES; k++) {
                take(k, wg_half<true>());
                wgmma_wait<1>();
                leave(k - 1);
            }
            if (group == 0 || tile + 1 < last) asm volatile("bar.arrive %0, 256;\n" ::"r"(2 - group) : "memory");
            wgmma_wait<0>();
            leave(S8_PIECES - 1);
            settle<96>(d[0]);
            settle<96>(d[1]);
#pragma unroll
            for (int j = 0; j < 2; j++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    int row = row0 + 64 * j + 8 * h;
                    float r = e.scale, squares = 0;
                    if (e.squares) {
                        float sum = rs[j][h];
                        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
                        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
                        r *= rsqrtf(sum * e.inv_D + e.eps);
                    }
                    /* silu(r gate) (r up) = r^2 gate up / (1 + e^-(r gate)) */
                    float to_exponent = -1.44269504f * r, to_h = r * r * e4m3_inner(NORM);
                    e4m3 *to = e.small + (size_t)row * (size_t)(e.N / 2) + (uint32_t)(column * (ST_N / 2) + 8 * t);
#pragma unroll
                    for (int c = 0; c < 3; c++) {
                        uint32_t q[4];
#pragma unroll
                        for (int b = 0; b < 4; b++) {
                            const float *gate = d[j] + 8 * (4 * c + b) + 2 * h, *up = gate + 4;
                            float p = gate[0] * up[0], o = gate[1] * up[1];
                            float x = __fdividef(p, 1.0f + exp2_fast(gate[0] * to_exponent)),
                                  y = __fdividef(o, 1.0f + exp2_fast(gate[1] * to_exponent));
                            q[b] = pack2_e4m3(x * to_h, y * to_h);
                            if (NORM) squares = fmaf(p, p, fmaf(o, o, squares));
                        }
                        if (row < e.M) *(uint2 *)(to + 32 * c) = make_uint2(q[0] | q[1] << 16, q[2] | q[3] << 16);
                    }
                    if (NORM) {
                        squares += __shfl_xor_sync(0xffffffffu, squares, 1);
                        squares += __shfl_xor_sync(0xffffffffu, squares, 2);
                        squares *= r * r * (r * r);
                        if (t == 0 && row < e.M) e.squares_out[(size_t)row * e.slots_out + column] = squares;
                    }
                }
        }
    }
#else
    (void)e;
#endif
}

/* ==================================================================================================== >>cuda-attention ===
 *   P = softmax(c Q K^T),  O = P V,  c = 1 / sqrt(head_dim)
 *   delta = rowsum(dO o O),  dV = P^T dO,  dS = c P o (dO V^T - delta),  dQ = dS K,  dK = dS^T Q
 *
 * qkv [B,S,3,heads,head_dim] rotated already, o and d_o [B,S,heads,head_dim], lse and delta [B,heads,Sp]; lse = log2 sum 2^(…),
 * with log2(e) in the factor. No [S,S] matrix is ever stored: forward keeps a running maximum and sum (Dao et al. 2022); the
 * backward pass recomputes P twice, once by rows for dQ and once by columns for dK and dV, so that nothing is added
 * atomically and two runs are equal bit by bit. dQ and dK are rotated back on their way out.
 *
 * First any type and any head_dim up to 512 with one warp a row, then tensor cores.
 */
enum { ATTENTION_WARPS = 4, ATTENTION_REGISTERS = 16 };

template <class T> struct attention_args {
    T            *o, *dqkv;
    float        *lse, *delta;
    const T      *qkv, *d_o;
    const float2 *rope; /* NULL: learned positions */
    int           S, Sp, heads, head_dim, causal; /* Sp: elements between rows of lse and delta, S up to a multiple of 64 */
    float         scale, scale_log2;
};

template <class T> __global__ void attention_forward_simt(attention_args<T> x, int rows)
{
    extern __shared__ float attention_shared[];
    chain();
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, hd = x.head_dim, D = x.heads * hd;
    int index = (int)blockIdx.x * ATTENTION_WARPS + warp; /* (b, head, i) */
    if (index >= rows) return;
    int i = index % x.S, head = index / x.S % x.heads, b = index / x.S / x.heads, end = x.causal ? i + 1 : x.S;
    const T *q = x.qkv + ((size_t)(b * x.S + i) * 3) * D + head * hd;
    const T *k = x.qkv + ((size_t)b * x.S * 3 + 1) * D + head * hd, *v = k + D;
    float *mine = attention_shared + warp * hd, acc[ATTENTION_REGISTERS], m = -INFINITY, l = 0;
    for (int d = lane; d < hd; d += 32) mine[d] = to_float(q[d]) * x.scale_log2;
#pragma unroll
    for (int r = 0; r < ATTENTION_REGISTERS; r++) acc[r] = 0;
    __syncwarp();
    for (int j0 = 0; j0 < end; j0 += 32) {
        int j = j0 + lane;
        float s = -INFINITY;
        if (j < end) {
            s = 0;
            for (int d = 0; d < hd; d++) s = fmaf(mine[d], to_float(k[(size_t)j * 3 * D + d]), s);
        }
        float high = s;
        for (int step = 16; step > 0; step >>= 1) high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, step));
        float m_new = fmaxf(m, high), fix = exp2f(m - m_new), p = exp2f(s - m_new);
        l = l * fix + warp_sum(p);
        m = m_new;
#pragma unroll
        for (int r = 0; r < ATTENTION_REGISTERS; r++) acc[r] *= fix;
        for (int jj = 0; jj < 32 && j0 + jj < end; jj++) {
            float pj = __shfl_sync(0xffffffffu, p, jj);
#pragma unroll
            for (int r = 0; r < ATTENTION_REGISTERS; r++)
                if (r * 32 + lane < hd) acc[r] = fmaf(pj, to_float(v[(size_t)(j0 + jj) * 3 * D + r * 32 + lane]), acc[r]);
        }
    }
    T *o = x.o + (size_t)(b * x.S + i) * D + head * hd;
#pragma unroll
    for (int r = 0; r < ATTENTION_REGISTERS; r++)
        if (r * 32 + lane < hd) o[r * 32 + lane] = from_float<T>(acc[r] / l);
    if (x.lse && lane == 0) x.lse[(size_t)(index / x.S) * x.Sp + i] = m + log2f(l);
}

/* W elements a thread, head_dim / W neighbouring lanes a head when that is a power of two up to 32; else a thread a head */
template <class T, int W> __global__ void attention_delta(attention_args<T> x, size_t n)
{
    int hd = x.head_dim, D = x.heads * hd, lanes = W == 8 ? hd / 8 : 1;
    size_t index = (size_t)blockIdx.x * blockDim.x + threadIdx.x, unit = index < n ? index : n - 1,
           first = unit * (size_t)(hd / lanes);
    float sum = 0, p[8], q[8];
    chain();
    for (int d = 0; d < hd / lanes; d += W) {
        load<W>(p, x.o + first + d), load<W>(q, x.d_o + first + d);
        for (int j = 0; j < W; j++) sum = fmaf(p[j], q[j], sum);
    }
    for (int step = lanes / 2; step > 0; step >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (index >= n || (W == 8 && index % (size_t)lanes != 0)) return;
    size_t row = first / (size_t)D;
    int head = (int)(first % (size_t)D) / hd, i = (int)(row % (size_t)x.S), b = (int)(row / (size_t)x.S);
    x.delta[((size_t)b * x.heads + head) * x.Sp + i] = sum;
}

template <class T, bool KV> __global__ void attention_backward_simt(attention_args<T> x, int rows)
{
    /* a warp a row: of Q with all keys, giving dQ, or (KV) of K and V with all queries, giving dK and dV */
    extern __shared__ float attention_shared[];
    chain();
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, hd = x.head_dim, D = x.heads * hd;
    int index = (int)blockIdx.x * ATTENTION_WARPS + warp;
    if (index >= rows) return;
    int i = index % x.S, head = index / x.S % x.heads, b = index / x.S / x.heads;
    int begin = KV && x.causal ? i / 32 * 32 : 0, end = !KV && x.causal ? i + 1 : x.S;
    const T *q = x.qkv + (size_t)b * x.S * 3 * D + head * hd, *k = q + D, *v = q + 2 * D,
            *d_o = x.d_o + (size_t)b * x.S * D + head * hd;
    const float *lse = x.lse + (size_t)(b * x.heads + head) * x.Sp, *delta = x.delta + (size_t)(b * x.heads + head) * x.Sp;
    float *x1 = attention_shared + warp * 2 * hd, *x2 = x1 + hd, out1[ATTENTION_REGISTERS], out2[ATTENTION_REGISTERS];
    for (int d = lane; d < hd; d += 32) {
        x1[d] = to_float((KV ? k : q)[(size_t)i * 3 * D + d]);
        x2[d] = to_float(KV ? v[(size_t)i * 3 * D + d] : d_o[(size_t)i * D + d]);
    }
#pragma unroll
    for (int r = 0; r < ATTENTION_REGISTERS; r++) out1[r] = out2[r] = 0;
    __syncwarp();
    for (int j0 = begin; j0 < end; j0 += 32) {
        int j = j0 + lane;
        float p = 0, ds = 0;
        if (j < end && (!KV || !x.causal || j >= i)) {
            const T *y1 = (KV ? q : k) + (size_t)j * 3 * D, *y2 = KV ? d_o + (size_t)j * D : v + (size_t)j * 3 * D;
            float s = 0, dp = 0;
            for (int d = 0; d < hd; d++) {
                s = fmaf(x1[d], to_float(y1[d]), s);
                dp = fmaf(x2[d], to_float(y2[d]), dp);
            }
            int query = KV ? j : i;
            p = exp2f(s * x.scale_log2 - lse[query]);
            ds = p * (dp - delta[query]) * x.scale;
        }
        for (int jj = 0; jj < 32 && j0 + jj < end; jj++) {
            float pj = __shfl_sync(0xffffffffu, p, jj), dsj = __shfl_sync(0xffffffffu, ds, jj);
            const T *y1 = (KV ? q : k) + (size_t)(j0 + jj) * 3 * D, *y2 = d_o + (size_t)(j0 + jj) * D;
#pragma unroll
            for (int r = 0; r < ATTENTION_REGISTERS; r++)
                if (r * 32 + lane < hd) {
                    out1[r] = fmaf(dsj, to_float(y1[r * 32 + lane]), out1[r]);
                    if (KV) out2[r] = fmaf(pj, to_float(y2[r * 32 + lane]), out2[r]);
                }
        }
    }
    T *to = x.dqkv + (size_t)(b * x.S + i) * 3 * D + head * hd + (KV ? D : 0);
#pragma unroll
    for (int r = 0; r < ATTENTION_REGISTERS; r++) {
        float other = __shfl_xor_sync(0xffffffffu, out1[r], 1), mine = out1[r];
        int d = r * 32 + lane;
        if (d >= hd) continue;
        if (x.rope) {
            float2 cs = x.rope[(size_t)i * (hd / 2) + d / 2];
            mine = mine * cs.x + (d & 1 ? -other : other) * cs.y;
        }
        to[d] = from_float<T>(mine);
        if (KV) to[D + d] = from_float<T>(out2[r]);
    }
}

/* Tensor cores: 16-bit types, head_dim a multiple of 8, filled up with zeros to HD. Tiles stand in shared memory with rows of
 * HD + 8 elements, which keeps ldmatrix free of bank conflicts. */
template <int HD, class T>
__device__ __forceinline__ void attention_load(uint32_t tile, const T *from, int stride, int r0, int rows, int S, int hd)
{
    constexpr int CHUNKS = HD / 8;
    for (int i = (int)threadIdx.x; i < rows * CHUNKS; i += (int)blockDim.x) {
        int r = i / CHUNKS, c = i % CHUNKS;
        bool inside = r0 + r < S && c * 8 < hd;
        cp_async16(tile + (uint32_t)((r * (HD + 8) + c * 8) * 2), inside ? from + (size_t)(r0 + r) * stride + c * 8 : from,
                   inside);
    }
}
/* 16 rows of registers (as mma leaves them) through this warp's rows of a tile to memory */
template <int HD, class T>
__device__ __forceinline__ void attention_store(T *to, int stride, T *tile, const float (*v)[4], int r0, int S, int hd)
{
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    __syncwarp();
#pragma unroll
    for (int n = 0; n < HD / 8; n++) {
        *(uint32_t *)(tile + g * (HD + 8) + n * 8 + 2 * t) = pack2<T>(v[n][0], v[n][1]);
        *(uint32_t *)(tile + (g + 8) * (HD + 8) + n * 8 + 2 * t) = pack2<T>(v[n][2], v[n][3]);
    }
    __syncwarp();
    for (int i = lane; i < 16 * (HD / 8); i += 32) {
        int r = i / (HD / 8), c = i % (HD / 8);
        if (r0 + r < S && c * 8 < hd)
            *(uint4 *)(to + (size_t)(r0 + r) * stride + c * 8) = *(const uint4 *)(tile + r * (HD + 8) + c * 8);
    }
}

enum { ATTENTION_KEYS = 64 };
template <int HD, int MT> constexpr int attention_forward_shared(int warps)
{
    return (warps * 16 * MT + 4 * ATTENTION_KEYS) * (HD + 8) * 2;
}

template <int HD, int MT, int NT, class T>
__device__ __forceinline__ void attention_step(float (*o)[HD / 8][4], float (*m)[2], float (*l)[2],
                                               const uint32_t (*q)[HD / 16][4], uint32_t k_tile, uint32_t v_tile, int row,
                                               int col, int S, int causal, float scale)
{
    /* NT * 8 keys from col on, for the warp's 16 MT queries; row: this lane's first */
    int lane = (int)threadIdx.x % 32;
    float s[MT][NT][4] = {};
#pragma unroll
    for (int k = 0; k < HD / 16; k++)
#pragma unroll
        for (int n = 0; n < NT / 2; n++) {
            uint32_t b[4];
            ldmatrix4<false>(
                b,
                k_tile + (uint32_t)(((n * 16 + (lane & 7) + (lane >> 4 << 3)) * (HD + 8) + k * 16 + (lane >> 3 & 1) * 8) * 2));
#pragma unroll
            for (int i = 0; i < MT; i++) {
                mma16816<T>(s[i][2 * n], q[i][k], b[0], b[1]);
                mma16816<T>(s[i][2 * n + 1], q[i][k], b[2], b[3]);
            }
        }
    if (causal || col + NT * 8 > S) {
#pragma unroll
        for (int i = 0; i < MT; i++)
#pragma unroll
            for (int n = 0; n < NT; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    int c = col + n * 8 + lane % 4 * 2 + (e & 1), r = row + i * 16 + (e >> 1) * 8;
                    if (c >= S || (causal && c > r)) s[i][n][e] = -INFINITY;
                }
    }
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float high = s[i][0][2 * h];
#pragma unroll
            for (int n = 0; n < NT; n++) high = fmaxf(high, fmaxf(s[i][n][2 * h], s[i][n][2 * h + 1]));
            high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 1));
            high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 2));
            float m_new = fmaxf(m[i][h], high * scale), fix = exp2f(m[i][h] - m_new), sum = 0;
            m[i][h] = m_new;
#pragma unroll
            for (int n = 0; n < NT; n++)
#pragma unroll
                for (int e = 2 * h; e < 2 * h + 2; e++) {
                    float p;
                    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(p) : "f"(fmaf(s[i][n][e], scale, -m_new)));
                    s[i][n][e] = p;
                    sum += p;
                }
            l[i][h] = l[i][h] * fix + sum;
#pragma unroll
            for (int n = 0; n < HD / 8; n++) o[i][n][2 * h] *= fix, o[i][n][2 * h + 1] *= fix;
        }
#pragma unroll
    for (int n = 0; n < NT / 2; n++) {
        uint32_t p[MT][4];
#pragma unroll
        for (int i = 0; i < MT; i++) {
            p[i][0] = pack2<T>(s[i][2 * n][0], s[i][2 * n][1]), p[i][1] = pack2<T>(s[i][2 * n][2], s[i][2 * n][3]);
            p[i][2] = pack2<T>(s[i][2 * n + 1][0], s[i][2 * n + 1][1]);
            p[i][3] = pack2<T>(s[i][2 * n + 1][2], s[i][2 * n + 1][3]);
        }
#pragma unroll
        for (int d = 0; d < HD / 16; d++) {
            uint32_t b[4];
            ldmatrix4<true>(b, v_tile + (uint32_t)(((n * 16 + (lane & 15)) * (HD + 8) + d * 16 + (lane >> 4) * 8) * 2));
#pragma unroll
            for (int i = 0; i < MT; i++) {
                mma16816<T>(o[i][2 * d], p[i], b[0], b[1]);
                mma16816<T>(o[i][2 * d + 1], p[i], b[2], b[3]);
            }
        }
    }
}

/* registers for three blocks of six warps, which is what S = 82 makes, on a multiprocessor */
constexpr int attention_registers(int HD, int MT) { return HD <= 64 && MT == 1 ? 112 : 255; }

template <int HD, int MT, class T>
__global__ void __maxnreg__(attention_registers(HD, MT)) attention_forward_mma(attention_args<T> x)
{
    extern __shared__ __align__(128) unsigned char shared[];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, rows = (int)blockDim.x / 32 * 16 * MT, hd = x.head_dim,
        D = x.heads * hd;
    int head = (int)blockIdx.y, b = (int)blockIdx.z, q0 = (int)blockIdx.x * rows, first = q0 + warp * 16 * MT;
    constexpr int TILE = ATTENTION_KEYS * (HD + 8) * 2;
    uint32_t q_tile = shared_address(shared), ring = q_tile + (uint32_t)(rows * (HD + 8) * 2);
    const T *q = x.qkv + (size_t)b * x.S * 3 * D + head * hd;
    int end = x.causal ? min(x.S, q0 + rows) : x.S, steps = ceil_div(end, ATTENTION_KEYS);
    auto fetch = [&](int j) {
        uint32_t at = ring + (uint32_t)((j & 1) * 2 * TILE);
        int n = min(ATTENTION_KEYS, (end - j * ATTENTION_KEYS + 31) / 32 * 32);
        attention_load<HD>(at, q + D, 3 * D, j * ATTENTION_KEYS, n, x.S, hd);
        attention_load<HD>(at + TILE, q + 2 * D, 3 * D, j * ATTENTION_KEYS, n, x.S, hd);
        cp_async_commit();
    };
    chain();
    attention_load<HD>(q_tile, q, 3 * D, q0, rows, x.S, hd);
    fetch(0);
    float o[MT][HD / 8][4] = {}, m[MT][2], l[MT][2] = {};
    uint32_t fragments[MT][HD / 16][4];
#pragma unroll
    for (int i = 0; i < MT; i++) m[i][0] = m[i][1] = -INFINITY;
    for (int j = 0; j < steps; j++) {
        cp_async_wait<0>();
        __syncthreads();
        if (j + 1 < steps) fetch(j + 1);
        if (j == 0)
#pragma unroll
            for (int i = 0; i < MT; i++)
#pragma unroll
                for (int k = 0; k < HD / 16; k++)
                    ldmatrix4<false>(
                        fragments[i][k],
                        q_tile + (uint32_t)((((warp * MT + i) * 16 + (lane & 15)) * (HD + 8) + k * 16 + (lane >> 4) * 8) * 2));
        uint32_t k_tile = ring + (uint32_t)((j & 1) * 2 * TILE);
        int col = j * ATTENTION_KEYS;
        if (end - col > 32)
            attention_step<HD, MT, 8, T>(o, m, l, fragments, k_tile, k_tile + TILE, first + lane / 4, col, x.S, x.causal,
                                         x.scale_log2);
        else
            attention_step<HD, MT, 4, T>(o, m, l, fragments, k_tile, k_tile + TILE, first + lane / 4, col, x.S, x.causal,
                                         x.scale_log2);
    }
#pragma unroll
    for (int i = 0; i < MT; i++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            l[i][h] += __shfl_xor_sync(0xffffffffu, l[i][h], 1);
            l[i][h] += __shfl_xor_sync(0xffffffffu, l[i][h], 2);
            int row = first + i * 16 + lane / 4 + 8 * h;
            if (x.lse && lane % 4 == 0 && row < x.S)
                x.lse[(size_t)(b * x.heads + head) * x.Sp + row] = m[i][h] + log2f(l[i][h]);
            float inverse = 1.0f / l[i][h];
#pragma unroll
            for (int n = 0; n < HD / 8; n++) o[i][n][2 * h] *= inverse, o[i][n][2 * h + 1] *= inverse;
        }
        attention_store<HD>(x.o + (size_t)b * x.S * D + head * hd, D, (T *)shared + (warp * MT + i) * 16 * (HD + 8), o[i],
                            first + i * 16, x.S, hd);
    }
}

enum { ATTENTION_COLUMNS = 32 };
template <int HD> constexpr int attention_backward_shared(int warps)
{
    return (2 * warps * 16 + 4 * ATTENTION_COLUMNS) * (HD + 8) * 2;
}

template <int HD, bool KV, class T>
__global__ void __maxnreg__(attention_registers(HD, 1)) attention_backward_mma(attention_args<T> x)
{
    /* X1, X2: this block's rows, Q and dO, or (KV) K and V. Y1, Y2: what passes by, K and V, or Q and dO. Each warp has 16
     * rows. */
    constexpr int ROW = HD + 8, TILE = ATTENTION_COLUMNS * ROW * 2;
    constexpr int NT = KV && (HD == 32 || HD == 64) ? 2 : 4, COLUMNS = NT * 8; /* at once: what the registers hold */
    extern __shared__ __align__(128) unsigned char shared[];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, rows = (int)blockDim.x / 32 * 16, hd = x.head_dim,
        D = x.heads * hd;
    int head = (int)blockIdx.y, b = (int)blockIdx.z, r0 = (int)blockIdx.x * rows, first = r0 + warp * 16;
    uint32_t x1 = shared_address(shared), x2 = x1 + (uint32_t)(rows * ROW * 2), ring = x2 + (uint32_t)(rows * ROW * 2);
    const T *q = x.qkv + (size_t)b * x.S * 3 * D + head * hd, *d_o = x.d_o + (size_t)b * x.S * D + head * hd;
    uint32_t sums = (uint32_t)(b * x.heads + head) * (uint32_t)x.Sp; /* where lse and delta begin: two pointers are dear */
    int begin = KV && x.causal ? r0 / ATTENTION_COLUMNS : 0;
    int end = ceil_div(!KV && x.causal ? min(x.S, r0 + rows) : x.S, ATTENTION_COLUMNS);
    auto fetch = [&](int j) {
        uint32_t at = ring + (uint32_t)((j & 1) * 2 * TILE);
        attention_load<HD>(at, KV ? q : q + D, 3 * D, j * ATTENTION_COLUMNS, ATTENTION_COLUMNS, x.S, hd);
        attention_load<HD>(at + TILE, KV ? d_o : q + 2 * D, KV ? D : 3 * D, j * ATTENTION_COLUMNS, ATTENTION_COLUMNS, x.S, hd);
        cp_async_commit();
    };
    chain();
    attention_load<HD>(x1, KV ? q + D : q, 3 * D, r0, rows, x.S, hd);
    attention_load<HD>(x2, KV ? q + 2 * D : d_o, KV ? 3 * D : D, r0, rows, x.S, hd);
    fetch(begin);
    float out1[HD / 8][4] = {}, out2[KV ? HD / 8 : 1][4] = {}, row_lse[2] = {}, row_delta[2] = {};
    if (!KV)
        for (int h = 0; h < 2; h++) {
            int row = first + lane / 4 + 8 * h;
            if (row < x.S) row_lse[h] = x.lse[sums + row], row_delta[h] = x.delta[sums + row];
        }
    for (int j = begin; j < end; j++) {
        cp_async_wait<0>();
        __syncthreads();
        if (j + 1 < end) fetch(j + 1);
        uint32_t y1 = ring + (uint32_t)((j & 1) * 2 * TILE), y2 = y1 + TILE;
#pragma unroll 1
        for (int col = j * ATTENTION_COLUMNS; col < (j + 1) * ATTENTION_COLUMNS; col += COLUMNS) {
            float s[NT][4] = {}, dp[NT][4] = {};
#pragma unroll (NT == 2 ? 1 : HD / 16)
            for (int k = 0; k < HD / 16; k++) {
                uint32_t a1[4], a2[4], at = (uint32_t)(((warp * 16 + (lane & 15)) * ROW + k * 16 + (lane >> 4) * 8) * 2);
                ldmatrix4<false>(a1, x1 + at);
                ldmatrix4<false>(a2, x2 + at);
#pragma unroll
                for (int n = 0; n < NT / 2; n++) {
                    uint32_t y[4],
                        from = (uint32_t)(((n * 16 + (lane & 7) + (lane >> 4 << 3)) * ROW + k * 16 + (lane >> 3 & 1) * 8) * 2);
                    ldmatrix4<false>(y, y1 + from);
                    mma16816<T>(s[2 * n], a1, y[0], y[1]);
                    mma16816<T>(s[2 * n + 1], a1, y[2], y[3]);
                    ldmatrix4<false>(y, y2 + from);
                    mma16816<T>(dp[2 * n], a2, y[0], y[1]);
                    mma16816<T>(dp[2 * n + 1], a2, y[2], y[3]);
                }
            }
            bool mask = col + COLUMNS > x.S || x.causal;
#pragma unroll
            for (int n = 0; n < NT; n++) {
                int c0 = col + n * 8 + lane % 4 * 2; /* below Sp */
                float2 col_lse = make_float2(0, 0), col_delta = col_lse;
                if (KV) col_lse = *(const float2 *)(x.lse + (sums + c0)), col_delta = *(const float2 *)(x.delta + (sums + c0));
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    int c = c0 + (e & 1), r = first + lane / 4 + (e >> 1) * 8;
                    float a = KV ? (e & 1 ? col_lse.y : col_lse.x) : row_lse[e >> 1],
                          d = KV ? (e & 1 ? col_delta.y : col_delta.x) : row_delta[e >> 1], p;
                    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(p) : "f"(fmaf(s[n][e], x.scale_log2, -a)));
                    if (mask && (c >= x.S || (x.causal && (KV ? r > c : c > r)))) p = 0, d = 0; /* delta ends at S */
                    s[n][e] = p;
                    dp[n][e] = p * (dp[n][e] - d);
                }
            }
#pragma unroll
            for (int n = 0; n < NT / 2; n++) {
                uint32_t ds[4] = {pack2<T>(dp[2 * n][0], dp[2 * n][1]), pack2<T>(dp[2 * n][2], dp[2 * n][3]),
                                  pack2<T>(dp[2 * n + 1][0], dp[2 * n + 1][1]), pack2<T>(dp[2 * n + 1][2], dp[2 * n + 1][3])};
                uint32_t p[4] = {pack2<T>(s[2 * n][0], s[2 * n][1]), pack2<T>(s[2 * n][2], s[2 * n][3]),
                                 pack2<T>(s[2 * n + 1][0], s[2 * n + 1][1]), pack2<T>(s[2 * n + 1][2], s[2 * n + 1][3])};
#pragma unroll
                for (int d = 0; d < HD / 16; d++) {
                    uint32_t y[4], from = (uint32_t)(((n * 16 + (lane & 15)) * ROW + d * 16 + (lane >> 4) * 8) * 2);
                    ldmatrix4<true>(y, y1 + from);
                    mma16816<T>(out1[2 * d], ds, y[0], y[1]);
                    mma16816<T>(out1[2 * d + 1], ds, y[2], y[3]);
                    if (KV) {
                        ldmatrix4<true>(y, y2 + from);
                        mma16816<T>(out2[KV ? 2 * d : 0], p, y[0], y[1]);
                        mma16816<T>(out2[KV ? 2 * d + 1 : 0], p, y[2], y[3]);
                    }
                }
            }
            y1 += COLUMNS * ROW * 2, y2 += COLUMNS * ROW * 2;
        }
    }
#pragma unroll
    for (int n = 0; n < HD / 8; n++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float a = out1[n][2 * h] * x.scale, c = out1[n][2 * h + 1] * x.scale;
            int row = first + lane / 4 + 8 * h, col = n * 8 + lane % 4 * 2;
            if (x.rope && row < x.S && col < hd) {
                float2 cs = x.rope[(size_t)row * (hd / 2) + col / 2];
                float turned = a * cs.x + c * cs.y;
                c = c * cs.x - a * cs.y;
                a = turned;
            }
            out1[n][2 * h] = a, out1[n][2 * h + 1] = c;
        }
    T *tile = (T *)shared + warp * 16 * ROW, *to = x.dqkv + (size_t)b * x.S * 3 * D + head * hd + (KV ? D : 0);
    attention_store<HD>(to, 3 * D, tile, out1, first, x.S, hd);
    if (KV) attention_store<HD>(to + D, 3 * D, tile, out2, first, x.S, hd);
}

/* On Hopper, heads of 64: a row of a head is one 128-byte swizzled line, tiles come by the copy engine from qkv seen as
 * [B,S,3D], and all products are wgmma: P and dS pass from accumulators to operands in registers, V, and Y on its second use,
 * are read transposed from the same tiles. One warp group asks for tiles; each of the others has 64 rows. */
enum {
    AF_GROUPS = 3,
    AF_KEYS = 128,
    AF_STAGES = 5,
    AF_STAGE = 2 * AF_KEYS * 128,
    AF_SHARED = 2 * AF_GROUPS * 8192 + AF_STAGES * AF_STAGE + 1024 + 128
};
enum {
    AB_GROUPS = 2,
    AB_COLUMNS = 64,
    AB_STAGES = 6,
    AB_STAGE = 2 * AB_COLUMNS * 128,
    AB_SUMS = 2 * AB_COLUMNS * 4, /* lse and delta of a stage's columns */
    AB_SHARED = AB_GROUPS * 16384 + AB_STAGES * (AB_STAGE + AB_SUMS) + 1024 + 128
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
__device__ __forceinline__ void copy_tile3(uint32_t dst, const CUtensorMap *map, int x, int y, int z, uint32_t barrier)
{
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];\n" ::
            "r"(dst),
        "l"((uint64_t)map), "r"(barrier), "r"(x), "r"(y), "r"(z)
        : "memory");
}
    #define WG_LIST16 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
    #define WG_LIST32 WG_LIST16 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
    #define WG_LIST48 WG_LIST32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
    #define WG_LIST56 WG_LIST48 ",%48,%49,%50,%51,%52,%53,%54,%55"
/* d [64,N] (+)= a b^T, both as rows of 64 elements in shared memory; k-th sixteen of them */
template <int N> __device__ __forceinline__ void wgmma_rows(float *d, uint32_t a, uint32_t b, int k)
{
    uint64_t da = matrix_descriptor(a + (uint32_t)k * 32, 16, 1024), db = matrix_descriptor(b + (uint32_t)k * 32, 16, 1024);
    if constexpr (N == 128)
        asm volatile(
            "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WG_LIST64
            "}, %64, %65, p, 1, 1, 0, 0;\n}\n"
            : WG_D64(0)
            : "l"(da), "l"(db), "r"(k));
    else if constexpr (N == 112)
        asm volatile(
            "{\n.reg .pred p;\nsetp.ne.b32 p, %58, 0;\nwgmma.mma_async.sync.aligned.m64n112k16.f32.bf16.bf16 {" WG_LIST56
            "}, %56, %57, p, 1, 1, 0, 0;\n}\n"
            : WG_D16(0), WG_D16(16), WG_D16(32), WG_D4(48), WG_D4(52)
            : "l"(da), "l"(db), "r"(k));
    else if constexpr (N == 96)
        asm volatile(
            "{\n.reg .pred p;\nsetp.ne.b32 p, %50, 0;\nwgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {" WG_LIST48
            "}, %48, %49, p, 1, 1, 0, 0;\n}\n"
            : WG_D16(0), WG_D16(16), WG_D16(32)
            : "l"(da), "l"(db), "r"(k));
    else if constexpr (N == 64)
        asm volatile(
            "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WG_LIST32
            "}, %32, %33, p, 1, 1, 0, 0;\n}\n"
            : WG_D16(0), WG_D16(16)
            : "l"(da), "l"(db), "r"(k));
    else
        asm volatile(
            "{\n.reg .pred p;\nsetp.ne.b32 p, %18, 0;\nwgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {" WG_LIST16
            "}, %16, %17, p, 1, 1, 0, 0;\n}\n"
            : WG_D16(0)
            : "l"(da), "l"(db), "r"(k));
}
/* d [64,64] += a b, a [64,16] in registers, b the k-th sixteen rows of a tile */
__device__ __forceinline__ void wgmma_columns(float *d, const uint32_t *a, uint32_t b, int k)
{
    uint64_t db = matrix_descriptor(b + (uint32_t)k * 2048, 8192, 1024);
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WG_LIST32 "}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;\n"
                 : WG_D16(0), WG_D16(16)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(db));
}
__device__ __forceinline__ float2 read_pair(uint32_t at)
{
    float2 v;
    asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];\n" : "=f"(v.x), "=f"(v.y) : "r"(at));
    return v;
}
/* an operand's fragment [16,16] of a warp, as the k-th sixteen columns of a swizzled tile; row: the warp's first in the tile */
__device__ __forceinline__ void store_fragment(uint32_t tile, int row, int k, const uint32_t *p)
{
    int lane = (int)threadIdx.x % 32, r = row + lane % 16, chunk = 2 * k + lane / 16;
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};\n" ::"r"(
                     tile + (uint32_t)(r * 128 + (chunk ^ (r & 7)) * 16)),
                 "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3])
                 : "memory");
}
/* the counterpart of store_fragment */
__device__ __forceinline__ void load_fragment(uint32_t *p, uint32_t tile, int row, int k)
{
    int lane = (int)threadIdx.x % 32, r = row + lane % 16, chunk = 2 * k + lane / 16;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(p[0]), "=r"(p[1]), "=r"(p[2]), "=r"(p[3])
                 : "r"(tile + (uint32_t)(r * 128 + (chunk ^ (r & 7)) * 16))
                 : "memory");
}
/* d [64,64] (+)= a b^T, a [64,16] in registers, b as rows of 64 elements in shared memory, k-th sixteen of them */
__device__ __forceinline__ void wgmma_rows_of(float *d, const uint32_t *a, uint32_t b, int k)
{
    uint64_t db = matrix_descriptor(b + (uint32_t)k * 32, 16, 1024);
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WG_LIST32
                 "}, {%32,%33,%34,%35}, %36, p, 1, 1, 0;\n}\n"
                 : WG_D16(0), WG_D16(16)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(db), "r"(k));
}
/* rotations of two rows' column pairs, as accumulators hold them; and the way back */
__device__ __forceinline__ void load_turns(float2 (*cs)[8], const float2 *rope, int row, int S)
{
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 8; i++)
            cs[h][i] = rope ? rope[(size_t)min(row + 8 * h, S - 1) * 32 + 4 * i + (int)threadIdx.x % 4] : make_float2(1, 0);
}
__device__ __forceinline__ void turn_back(float *d, const float2 (*cs)[8], float scale)
{
#pragma unroll
    for (int i = 0; i < 16; i++) {
        float a = d[2 * i] * scale, c = d[2 * i + 1] * scale;
        float2 by = cs[i & 1][i / 2];
        d[2 * i] = a * by.x + c * by.y;
        d[2 * i + 1] = c * by.x - a * by.y;
    }
}
/* [64,64] of a warp group's registers to memory, 16 bytes a lane; r0: the warp's first row */
__device__ __forceinline__ void store_head(bf16 *to, int stride, const float *d, int r0, int S)
{
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
        for (int i = 0; i < 8; i += 4) {
            uint32_t q[4];
#pragma unroll
            for (int j = 0; j < 4; j++) q[j] = pack2(d[4 * (i + j) + 2 * half], d[4 * (i + j) + 2 * half + 1]);
            transpose4(q, t);
            int row = r0 + g + 8 * half;
            if (row < S) *(uint4 *)(to + (size_t)row * stride + 8 * (i + t)) = make_uint4(q[0], q[1], q[2], q[3]);
        }
}

/* Warp groups 1 to GROUPS issue products in turns, so that one's softmax runs under another's products; without, they drift
 * until all multiply and all do their softmax at the same time. Group GROUPS opens the first turn, group 1's. */
__device__ __forceinline__ void turn_open() { asm volatile("bar.arrive 1, 256;\n" ::: "memory"); }
__device__ __forceinline__ void turn_wait(int group) { asm volatile("bar.sync %0, 256;\n" ::"r"(group) : "memory"); }
template <int GROUPS> __device__ __forceinline__ void turn_pass(int group)
{
    asm volatile("bar.arrive %0, 256;\n" ::"r"(group % GROUPS + 1) : "memory");
}

/* Scores of N keys from col on, and their softmax in p; meanwhile the BEFORE keys before, still in p, are multiplied with
 * their V. last: there is no turn after this one. */
template <int GROUPS, int N, int BEFORE>
__device__ __forceinline__ void attention_wgmma_step(float *o, float *m, float *l, uint32_t (*p)[4], uint32_t q,
                                                     uint32_t k_tile, uint32_t v_before, int row, int col, int S, int causal,
                                                     float scale, int group, bool last)
{
    float s[N / 2], fix[2];
    int t = (int)threadIdx.x % 4;
    if (GROUPS > 1) turn_wait(group);
    else asm volatile("bar.sync %0, 128;\n" ::"r"(group) : "memory");
    if (BEFORE) settle<32>(o);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++) wgmma_rows<N>(s, q, k_tile, k);
    wgmma_commit();
#pragma unroll
    for (int k = 0; k < BEFORE / 16; k++) wgmma_columns(o, p[k], v_before, k);
    if (BEFORE) wgmma_commit();
    if (GROUPS > 1 && !last) turn_pass<GROUPS>(group);
    if (BEFORE) wgmma_wait<1>();
    else wgmma_wait<0>();
    settle<N / 2>(s);
    if (col + N > S || (causal && col + N > row)) {
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            int c = col + i / 4 * 8 + 2 * t + (i & 1), r = row + (i >> 1 & 1) * 8;
            if (c >= S || (causal && c > r)) s[i] = -INFINITY;
        }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float high[2] = {s[2 * h], s[2 * h + 1]}, sum[2] = {0, 0};
#pragma unroll
        for (int i = 1; i < N / 8; i++)
            high[0] = fmaxf(high[0], s[4 * i + 2 * h]), high[1] = fmaxf(high[1], s[4 * i + 2 * h + 1]);
        high[0] = fmaxf(high[0], high[1]);
        high[0] = fmaxf(high[0], __shfl_xor_sync(0xffffffffu, high[0], 1));
        high[0] = fmaxf(high[0], __shfl_xor_sync(0xffffffffu, high[0], 2));
        float m_new = fmaxf(m[h], high[0] * scale);
        fix[h] = exp2_fast(m[h] - m_new);
        m[h] = m_new;
#pragma unroll
        for (int i = 0; i < N / 8; i++)
#pragma unroll
            for (int j = 0; j < 2; j++) {
                float &e = s[4 * i + 2 * h + j];
                e = exp2_fast(fmaf(e, scale, -m_new));
                sum[j] += e;
            }
        l[h] = l[h] * fix[h] + (sum[0] + sum[1]);
    }
    if (BEFORE) {
        wgmma_wait<0>();
        settle<32>(o);
#pragma unroll
        for (int i = 0; i < 32; i++) o[i] *= fix[i >> 1 & 1];
    }
#pragma unroll
    for (int i = 0; i < N / 4; i++) p[i / 4][i % 4] = pack2(s[2 * i], s[2 * i + 1]);
}
#endif

/* items: blocks of 64 GROUPS queries of each row and head, a persistent grid walks over them; GROUPS 1 where they are few */
template <int GROUPS> __global__ void __launch_bounds__(128 * (AF_GROUPS + 1), 1)
    attention_forward_wgmma(const __grid_constant__ CUtensorMap rows_map, const __grid_constant__ CUtensorMap keys_map,
                            attention_args<bf16> x, int items)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr int Q = GROUPS * 8192;
    extern __shared__ unsigned char shared_raw[];
    uint32_t q_tiles = (shared_address(shared_raw) + 1023u) & ~1023u, ring = q_tiles + 2 * Q,
             full = ring + AF_STAGES * AF_STAGE, empty = full + 8 * AF_STAGES, q_full = empty + 8 * AF_STAGES,
             q_empty = q_full + 16;
    int group = (int)threadIdx.x / 128, D = x.heads * 64, blocks = ceil_div(x.S, 64 * GROUPS);
    if (threadIdx.x == 0) {
        for (int i = 0; i < AF_STAGES; i++) {
            barrier_init(full + 8 * (uint32_t)i, 1);
            barrier_init(empty + 8 * (uint32_t)i, 4 * GROUPS);
        }
        for (int i = 0; i < 2; i++) {
            barrier_init(q_full + 8 * (uint32_t)i, 1);
            barrier_init(q_empty + 8 * (uint32_t)i, 4 * GROUPS);
        }
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    int slot = 0, phase = 0, q_slot = 0, q_phase = 0;
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 32;\n");
        if (threadIdx.x == 0)
            for (int item = (int)blockIdx.x; item < items; item += (int)gridDim.x) {
                int q0 = item % blocks * 64 * GROUPS, head = item / blocks % x.heads, b = item / blocks / x.heads,
                    end = x.causal ? min(x.S, q0 + 64 * GROUPS) : x.S, steps = ceil_div(end, AF_KEYS);
                uint32_t ready = q_full + 8 * (uint32_t)q_slot;
                barrier_wait(q_empty + 8 * (uint32_t)q_slot, q_phase ^ 1);
                barrier_expect(ready, Q);
                for (int i = 0; i < GROUPS; i++)
                    copy_tile3(q_tiles + (uint32_t)(q_slot * Q + i * 8192), &rows_map, head * 64, q0 + 64 * i, b, ready);
                q_slot ^= 1, q_phase ^= !q_slot;
                for (int j = 0; j < steps; j++) {
                    barrier_wait(empty + 8 * (uint32_t)slot, phase ^ 1);
                    uint32_t at = ring + (uint32_t)(slot * AF_STAGE);
                    ready = full + 8 * (uint32_t)slot;
                    barrier_expect(ready, AF_STAGE);
                    copy_tile3(at, &keys_map, D + head * 64, j * AF_KEYS, b, ready);
                    copy_tile3(at + AF_STAGE / 2, &keys_map, 2 * D + head * 64, j * AF_KEYS, b, ready);
                    if (++slot == AF_STAGES) slot = 0, phase ^= 1;
                }
            }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 160;\n");
        int lane = (int)threadIdx.x % 32;
        if (GROUPS > 1 && group == GROUPS && (int)blockIdx.x < items) turn_open();
        for (int item = (int)blockIdx.x; item < items; item += (int)gridDim.x) {
            int q0 = item % blocks * 64 * GROUPS, head = item / blocks % x.heads, b = item / blocks / x.heads,
                end = x.causal ? min(x.S, q0 + 64 * GROUPS) : x.S, steps = ceil_div(end, AF_KEYS);
            int r0 = q0 + (group - 1) * 64 + (int)threadIdx.x / 32 % 4 * 16, row = r0 + lane / 4;
            bool final = group == GROUPS && item + (int)gridDim.x >= items;
            uint32_t q = q_tiles + (uint32_t)(q_slot * Q + (group - 1) * 8192), k_tile, v_before = 0, before = 0, p[8][4];
            float o[32], m[2] = {-INFINITY, -INFINITY}, l[2] = {0, 0};
            barrier_wait(q_full + 8 * (uint32_t)q_slot, q_phase);
            barrier_wait(full + 8 * (uint32_t)slot, phase);
            k_tile = ring + (uint32_t)(slot * AF_STAGE);
            attention_wgmma_step<GROUPS, 128, 0>(o, m, l, p, q, k_tile, 0, row, 0, x.S, x.causal, x.scale_log2, group,
                                         final && steps == 1);
            v_before = k_tile + AF_STAGE / 2, before = empty + 8 * (uint32_t)slot;
            if (++slot == AF_STAGES) slot = 0, phase ^= 1;
#pragma unroll
            for (int i = 0; i < 32; i++) o[i] = 0;
            bool few = (end - 1) % AF_KEYS < 32;
            for (int j = 1; j < steps; j++) {
                barrier_wait(full + 8 * (uint32_t)slot, phase);
                k_tile = ring + (uint32_t)(slot * AF_STAGE);
                if (few && j == steps - 1)
                    attention_wgmma_step<GROUPS, 32, 128>(o, m, l, p, q, k_tile, v_before, row, j * AF_KEYS, x.S, x.causal,
                                                  x.scale_log2, group, final);
                else
                    attention_wgmma_step<GROUPS, 128, 128>(o, m, l, p, q, k_tile, v_before, row, j * AF_KEYS, x.S, x.causal,
                                                   x.scale_log2, group, final && j == steps - 1);
                if (lane == 0) barrier_arrive(before);
                v_before = k_tile + AF_STAGE / 2, before = empty + 8 * (uint32_t)slot;
                if (++slot == AF_STAGES) slot = 0, phase ^= 1;
            }
            if (lane == 0) barrier_arrive(q_empty + 8 * (uint32_t)q_slot);
            q_slot ^= 1, q_phase ^= !q_slot;
            settle<32>(o);
            wgmma_fence();
            wgmma_columns(o, p[0], v_before, 0);
            wgmma_columns(o, p[1], v_before, 1);
            if (!few)
#pragma unroll
                for (int k = 2; k < 8; k++) wgmma_columns(o, p[k], v_before, k);
            wgmma_commit();
#pragma unroll
            for (int h = 0; h < 2; h++) {
                l[h] += __shfl_xor_sync(0xffffffffu, l[h], 1);
                l[h] += __shfl_xor_sync(0xffffffffu, l[h], 2);
                if (x.lse && lane % 4 == 0 && row + 8 * h < x.S)
                    x.lse[(size_t)(b * x.heads + head) * x.Sp + row + 8 * h] = m[h] + log2f(l[h]);
            }
            wgmma_wait<0>();
            settle<32>(o);
            if (lane == 0) barrier_arrive(before);
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float inverse = 1.0f / l[h];
#pragma unroll
                for (int i = 0; i < 8; i++) o[4 * i + 2 * h] *= inverse, o[4 * i + 2 * h + 1] *= inverse;
            }
            store_head(x.o + (size_t)b * x.S * D + head * 64, D, o, r0, x.S);
        }
    }
#else
    (void)x, (void)items;
#endif
}

/* The same for so few queries that a block has 64 of them: three warp groups share the keys, by turns of AF_KEYS, and their
 * sums are joined in order. Every step has a key for every query, and every group a step: not causal, more than 256 keys. */
enum { AK_GROUPS = 3, AK_STAGES = 6, AK_SUMS = 64 * 68 * 4, AK_SHARED = 8192 + AK_STAGES * AF_STAGE + 1024 + 128 };
static_assert((AK_GROUPS - 1) * (AK_SUMS + 512) <= AK_STAGES * AF_STAGE, "sums stand where keys stood");
__global__ void __launch_bounds__(128 * (AK_GROUPS + 1), 1)
    attention_forward_keys(const __grid_constant__ CUtensorMap rows_map, const __grid_constant__ CUtensorMap keys_map,
                           attention_args<bf16> x)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ unsigned char shared_raw[];
    uint32_t q = (shared_address(shared_raw) + 1023u) & ~1023u, ring = q + 8192, full = ring + AK_STAGES * AF_STAGE,
             empty = full + 8 * AK_STAGES, q_full = empty + 8 * AK_STAGES;
    int group = (int)threadIdx.x / 128, D = x.heads * 64, blocks = ceil_div(x.S, 64),
        rounds = ceil_div(x.S, AK_GROUPS * AF_KEYS), item = (int)blockIdx.x, q0 = item % blocks * 64,
        head = item / blocks % x.heads, b = item / blocks / x.heads;
    if (threadIdx.x == 0) {
        for (int i = 0; i < AK_STAGES; i++) barrier_init(full + 8 * (uint32_t)i, 1), barrier_init(empty + 8 * (uint32_t)i, 4);
        barrier_init(q_full, 1);
        prefetch_map(&rows_map), prefetch_map(&keys_map);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 32;\n");
        if (threadIdx.x == 0) {
            barrier_expect(q_full, 8192);
            copy_tile3(q, &rows_map, head * 64, q0, b, q_full);
            for (int j = 0; j < rounds * AK_GROUPS; j++) { /* the last may be zeros */
                uint32_t slot = (uint32_t)(j % AK_STAGES), at = ring + slot * AF_STAGE, ready = full + 8 * slot;
                if (j >= AK_STAGES) barrier_wait(empty + 8 * slot, (j / AK_STAGES - 1) & 1);
                barrier_expect(ready, AF_STAGE);
                copy_tile3(at, &keys_map, D + head * 64, j * AF_KEYS, b, ready);
                copy_tile3(at + AF_STAGE / 2, &keys_map, 2 * D + head * 64, j * AF_KEYS, b, ready);
            }
        }
        return;
    }
    asm volatile("setmaxnreg.inc.sync.aligned.u32 160;\n");
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4, r0 = q0 + warp * 16, row = r0 + lane / 4;
    uint32_t v_before = 0, before = 0, p[8][4];
    float o[32], m[2] = {-INFINITY, -INFINITY}, l[2] = {0, 0};
    int j = group - 1;
    auto arrived = [&]() {
        uint32_t slot = (uint32_t)(j % AK_STAGES);
        barrier_wait(full + 8 * slot, j / AK_STAGES & 1);
        return slot;
    };
    barrier_wait(q_full, 0);
    uint32_t slot = arrived(), k_tile = ring + slot * AF_STAGE;
    attention_wgmma_step<1, 128, 0>(o, m, l, p, q, k_tile, 0, row, j * AF_KEYS, x.S, 0, x.scale_log2, group, false);
    v_before = k_tile + AF_STAGE / 2, before = empty + 8 * slot;
#pragma unroll
    for (int i = 0; i < 32; i++) o[i] = 0;
    for (int i = 1; i < rounds; i++) { /* as often in every group: a divergent loop would have products wait (C7520) */
        j += AK_GROUPS;
        slot = arrived(), k_tile = ring + slot * AF_STAGE;
        attention_wgmma_step<1, 128, 128>(o, m, l, p, q, k_tile, v_before, row, j * AF_KEYS, x.S, 0, x.scale_log2, group,
                                          false);
        if (lane == 0) barrier_arrive(before);
        v_before = k_tile + AF_STAGE / 2, before = empty + 8 * slot;
    }
    settle<32>(o);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 8; k++) wgmma_columns(o, p[k], v_before, k);
    wgmma_commit();
    wgmma_wait<0>();
    settle<32>(o);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        l[h] += __shfl_xor_sync(0xffffffffu, l[h], 1);
        l[h] += __shfl_xor_sync(0xffffffffu, l[h], 2);
    }
    asm volatile("bar.sync 4, 384;\n" ::: "memory"); /* the keys have been read */
    float *sums = (float *)(shared_raw + (ring - shared_address(shared_raw)));
    int mine = (warp * 16 + lane / 4) * 68 + lane % 4 * 2;
    if (group > 1) {
        float *to = sums + (group - 2) * ((AK_SUMS + 512) / 4), *most = to + AK_SUMS / 4;
#pragma unroll
        for (int h = 0; h < 2; h++) {
#pragma unroll
            for (int i = 0; i < 8; i++)
                *(float2 *)(to + mine + h * 8 * 68 + 8 * i) = make_float2(o[4 * i + 2 * h], o[4 * i + 2 * h + 1]);
            if (lane % 4 == 0) ((float2 *)most)[warp * 16 + lane / 4 + 8 * h] = make_float2(m[h], l[h]);
        }
    }
    asm volatile("bar.sync 4, 384;\n" ::: "memory");
    if (group > 1) return;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float2 other[AK_GROUPS - 1];
        float most = m[h], sum, f;
#pragma unroll
        for (int i = 0; i < AK_GROUPS - 1; i++) {
            other[i] = ((const float2 *)(sums + i * ((AK_SUMS + 512) / 4) + AK_SUMS / 4))[warp * 16 + lane / 4 + 8 * h];
            most = fmaxf(most, other[i].x);
        }
        f = exp2_fast(m[h] - most), sum = l[h] * f;
#pragma unroll
        for (int i = 0; i < 8; i++) o[4 * i + 2 * h] *= f, o[4 * i + 2 * h + 1] *= f;
#pragma unroll
        for (int k = 0; k < AK_GROUPS - 1; k++) {
            f = exp2_fast(other[k].x - most), sum = fmaf(other[k].y, f, sum);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float2 u = *(const float2 *)(sums + k * ((AK_SUMS + 512) / 4) + mine + h * 8 * 68 + 8 * i);
                o[4 * i + 2 * h] = fmaf(u.x, f, o[4 * i + 2 * h]), o[4 * i + 2 * h + 1] = fmaf(u.y, f, o[4 * i + 2 * h + 1]);
            }
        }
        if (x.lse && lane % 4 == 0 && row + 8 * h < x.S)
            x.lse[(size_t)(b * x.heads + head) * x.Sp + row + 8 * h] = most + log2f(sum);
        f = 1.0f / sum;
#pragma unroll
        for (int i = 0; i < 8; i++) o[4 * i + 2 * h] *= f, o[4 * i + 2 * h + 1] *= f;
    }
    store_head(x.o + (size_t)b * x.S * D + head * 64, D, o, r0, x.S);
#else
    (void)x;
#endif
}

/* Backward: X1, X2, Y1, Y2 as in attention_backward_mma; X1 and X2 stay in registers. The products of dP and P with Y run under
 * the next step's. Only with two sums to a product (KV) do turns pay. */
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
template <bool KV>
__device__ __forceinline__ void attention_wgmma_sums(float *out1, float *out2, const uint32_t (*p)[4], const uint32_t (*ds)[4],
                                                     uint32_t y)
{
    settle<32>(out1);
    if (KV) settle<KV ? 32 : 1>(out2);
#pragma unroll
    for (int k = 0; k < 4; k++) {
        wgmma_columns(out1, ds[k], y, k);
        if constexpr (KV) wgmma_columns(out2, p[k], y + 8192, k);
    }
    wgmma_commit();
}
/* One tile of columns: P and dS of it; meanwhile those of the tile before, if there is one, are multiplied with y_before.
 * sums: lse and delta of the columns, or (not KV) row_sums those of the rows. */
template <bool KV, bool FIRST>
__device__ __forceinline__ void attention_wgmma_back(float *out1, float *out2, uint32_t (*p)[4], uint32_t (*ds)[4],
                                                     const uint32_t (*x1)[4], const uint32_t (*x2)[4], uint32_t y,
                                                     uint32_t y_before, uint32_t sums, const float (*row_sums)[2], int row,
                                                     int col, const attention_args<bf16> &x, int group, bool pass)
{
    float s[32], dp[32];
    int t = (int)threadIdx.x % 4;
    if (KV) turn_wait(group);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++) wgmma_rows_of(s, x1[k], y, k);
#pragma unroll
    for (int k = 0; k < 4; k++) wgmma_rows_of(dp, x2[k], y + 8192, k);
    wgmma_commit();
    if (!FIRST) attention_wgmma_sums<KV>(out1, out2, p, ds, y_before);
    if (KV && pass) turn_pass<AB_GROUPS>(group);
    if (FIRST) wgmma_wait<0>();
    else wgmma_wait<1>();
    settle<32>(s);
    settle<32>(dp);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        float2 lse = make_float2(0, 0);
        if (KV) lse = read_pair(sums + (uint32_t)(8 * i + 2 * t) * 4);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int e = 4 * i + 2 * h;
            s[e] = exp2_fast(fmaf(s[e], x.scale_log2, -(KV ? lse.x : row_sums[0][h])));
            s[e + 1] = exp2_fast(fmaf(s[e + 1], x.scale_log2, -(KV ? lse.y : row_sums[0][h])));
        }
    }
    if (col + AB_COLUMNS > x.S || x.causal) {
#pragma unroll
        for (int i = 0; i < 32; i++) {
            int c = col + i / 4 * 8 + 2 * t + (i & 1), r = row + (i >> 1 & 1) * 8;
            if (c >= x.S || (x.causal && (KV ? r > c : c > r))) s[i] = 0;
        }
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        float2 delta = make_float2(0, 0);
        if (KV) {
            int c = col + 8 * i + 2 * t; /* from S on there may be anything, also in delta times P = 0 */
            delta = read_pair(sums + (uint32_t)(AB_COLUMNS + 8 * i + 2 * t) * 4);
            if (c >= x.S) delta.x = 0;
            if (c + 1 >= x.S) delta.y = 0;
        }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int e = 4 * i + 2 * h;
            dp[e] = s[e] * (dp[e] - (KV ? delta.x : row_sums[1][h]));
            dp[e + 1] = s[e + 1] * (dp[e + 1] - (KV ? delta.y : row_sums[1][h]));
        }
    }
    if (FIRST) {
#pragma unroll
        for (int i = 0; i < 32; i++) out1[i] = out2[KV ? i : 0] = 0;
    } else {
        wgmma_wait<0>();
        settle<32>(out1);
        if (KV) settle<KV ? 32 : 1>(out2);
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        if (KV) p[KV ? i / 4 : 0][i % 4] = pack2(s[2 * i], s[2 * i + 1]);
        ds[i / 4][i % 4] = pack2(dp[2 * i], dp[2 * i + 1]);
    }
}
#endif

template <bool KV>
__global__ void __launch_bounds__(128 * (AB_GROUPS + 1), 1)
    attention_backward_wgmma(const __grid_constant__ CUtensorMap qkv_map, const __grid_constant__ CUtensorMap d_o_map,
                             const __grid_constant__ CUtensorMap lse_map, const __grid_constant__ CUtensorMap delta_map,
                             attention_args<bf16> x, int items)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ unsigned char shared_raw[];
    uint32_t x_tiles = (shared_address(shared_raw) + 1023u) & ~1023u, ring = x_tiles + AB_GROUPS * 16384,
             sums = ring + AB_STAGES * AB_STAGE, full = sums + AB_STAGES * AB_SUMS, empty = full + 8 * AB_STAGES,
             x_full = empty + 8 * AB_STAGES, x_empty = x_full + 8;
    int group = (int)threadIdx.x / 128, D = x.heads * 64, blocks = ceil_div(x.S, 64 * AB_GROUPS);
    if (threadIdx.x == 0) {
        for (int i = 0; i < AB_STAGES; i++) {
            barrier_init(full + 8 * (uint32_t)i, 1);
            barrier_init(empty + 8 * (uint32_t)i, 4 * AB_GROUPS);
        }
        barrier_init(x_full, 1);
        barrier_init(x_empty, 4 * AB_GROUPS);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    int slot = 0, phase = 0, x_phase = 0;
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;\n");
        if (threadIdx.x == 0)
            for (int item = (int)blockIdx.x; item < items; item += (int)gridDim.x) {
                int q0 = item % blocks * 64 * AB_GROUPS, unit = item / blocks, head = unit % x.heads, b = unit / x.heads,
                    begin = KV && x.causal ? q0 / AB_COLUMNS : 0,
                    end = ceil_div(!KV && x.causal ? min(x.S, q0 + 64 * AB_GROUPS) : x.S, AB_COLUMNS);
                barrier_wait(x_empty, x_phase ^ 1);
                barrier_expect(x_full, AB_GROUPS * 16384);
                for (int i = 0; i < AB_GROUPS; i++) {
                    uint32_t at = x_tiles + (uint32_t)(i * 16384);
                    copy_tile3(at, &qkv_map, (KV ? D : 0) + head * 64, q0 + 64 * i, b, x_full);
                    if (KV) copy_tile3(at + 8192, &qkv_map, 2 * D + head * 64, q0 + 64 * i, b, x_full);
                    else copy_tile3(at + 8192, &d_o_map, head * 64, q0 + 64 * i, b, x_full);
                }
                x_phase ^= 1;
                for (int j = begin; j < end; j++) {
                    barrier_wait(empty + 8 * (uint32_t)slot, phase ^ 1);
                    uint32_t at = ring + (uint32_t)(slot * AB_STAGE), ready = full + 8 * (uint32_t)slot;
                    barrier_expect(ready, AB_STAGE + (KV ? AB_SUMS : 0));
                    copy_tile3(at, &qkv_map, (KV ? 0 : D) + head * 64, j * AB_COLUMNS, b, ready);
                    if (KV) copy_tile3(at + 8192, &d_o_map, head * 64, j * AB_COLUMNS, b, ready);
                    else copy_tile3(at + 8192, &qkv_map, 2 * D + head * 64, j * AB_COLUMNS, b, ready);
                    if (KV) { /* Sp is a multiple of AB_COLUMNS */
                        uint32_t to = sums + (uint32_t)(slot * AB_SUMS);
                        copy_tile(to, &lse_map, j * AB_COLUMNS, unit, ready);
                        copy_tile(to + AB_SUMS / 2, &delta_map, j * AB_COLUMNS, unit, ready);
                    }
                    if (++slot == AB_STAGES) slot = 0, phase ^= 1;
                }
            }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;\n");
        int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4;
        if (KV && group == AB_GROUPS && (int)blockIdx.x < items) turn_open();
        for (int item = (int)blockIdx.x; item < items; item += (int)gridDim.x) {
            int q0 = item % blocks * 64 * AB_GROUPS, unit = item / blocks, begin = KV && x.causal ? q0 / AB_COLUMNS : 0,
                end = ceil_div(!KV && x.causal ? min(x.S, q0 + 64 * AB_GROUPS) : x.S, AB_COLUMNS);
            int r0 = q0 + (group - 1) * 64 + warp * 16, row = r0 + lane / 4;
            bool more = group < AB_GROUPS || item + (int)gridDim.x < items;
            float out1[32], out2[KV ? 32 : 1], row_sums[2][2] = {{0, 0}, {0, 0}};
            uint32_t x1[4][4], x2[4][4], p[KV ? 4 : 1][4], ds[4][4], y = ring + (uint32_t)(slot * AB_STAGE), y_before, before,
                     x_tile = x_tiles + (uint32_t)((group - 1) * 16384);
            for (int h = 0; h < 2 && !KV; h++)
                if (row + 8 * h < x.S) {
                    row_sums[0][h] = x.lse[(size_t)unit * x.Sp + row + 8 * h];
                    row_sums[1][h] = x.delta[(size_t)unit * x.Sp + row + 8 * h];
                }
            barrier_wait(x_full, x_phase);
            x_phase ^= 1;
#pragma unroll
            for (int k = 0; k < 4; k++) {
                load_fragment(x1[k], x_tile, warp * 16, k);
                load_fragment(x2[k], x_tile + 8192, warp * 16, k);
            }
            __syncwarp();
            if (lane == 0) barrier_arrive(x_empty);
            barrier_wait(full + 8 * (uint32_t)slot, phase);
            attention_wgmma_back<KV, true>(out1, out2, p, ds, x1, x2, y, 0, sums + (uint32_t)(slot * AB_SUMS), row_sums, row,
                                           begin * AB_COLUMNS, x, group, more || begin + 1 < end);
            for (int j = begin + 1;; j++) {
                y_before = y, before = empty + 8 * (uint32_t)slot;
                if (++slot == AB_STAGES) slot = 0, phase ^= 1;
                if (j == end) break;
                y = ring + (uint32_t)(slot * AB_STAGE);
                barrier_wait(full + 8 * (uint32_t)slot, phase);
                attention_wgmma_back<KV, false>(out1, out2, p, ds, x1, x2, y, y_before, sums + (uint32_t)(slot * AB_SUMS),
                                                row_sums, row, j * AB_COLUMNS, x, group, more || j + 1 < end);
                __syncwarp(); /* all lanes have read the sums */
                if (lane == 0) barrier_arrive(before);
            }
            float2 cs[2][8];
            wgmma_fence();
            attention_wgmma_sums<KV>(out1, out2, p, ds, y_before);
            load_turns(cs, x.rope, row, x.S);
            wgmma_wait<0>();
            settle<32>(out1);
            if (KV) settle<KV ? 32 : 1>(out2);
            __syncwarp();
            if (lane == 0) barrier_arrive(before);
            bf16 *to = x.dqkv + (size_t)(unit / x.heads) * x.S * 3 * D + unit % x.heads * 64 + (KV ? D : 0);
            turn_back(out1, cs, x.scale);
            store_head(to, 3 * D, out1, r0, x.S);
            if constexpr (KV) store_head(to + D, 3 * D, out2, r0, x.S);
        }
    }
#else
    (void)x, (void)items;
#endif
}

/* ==================================================================================================== >>cuda-few =========
 * A whole list of passes in one kernel, for so few rows that launches and not products are what takes the time. One block a
 * multiprocessor stays for all of it; five phases a block of the network:
 *
 *   q, k, v = r0 (s0 Wqkv^T)   o = attention   s1 = r0 s0 + o Wo^T   h = swiglu(r1 s1 Wgu^T)   s2 = r1 s1 + h Wd^T
 *
 * A phase's products are cut into items of some rows and columns. The eight warps of a block share an item's K; what one of
 * them needs of A and B goes straight into its registers, in the order that mma wants, and so no element comes twice. The
 * weights are asked for before it waits for A. Sums over warps go through shared memory in their order.
 *
 * There is no barrier between phases: data say themselves whether they are there. What is not yet written is all ones, which
 * no conversion gives (a NaN's sign is 0), and a warp asks for what it wants until none of it is. Every buffer is there four
 * times, and block n has copy n % 4. Whoever writes an element in block n makes it all ones in the copy of block n + 2: all
 * that read block n - 2's there have done so, since what block n writes follows from them; and who will read block n + 2's
 * sees no older value, since it has read block n + 1's of the same element, which the same thread wrote after a fence that
 * came after the ones (one a block, few_fence).
 *
 * Between phases matrices stand in pieces of eight neighbouring columns, [columns/8][Mp rows][8], so that 16 bytes are two
 * k-steps of a lane and eight rows are a line. V is transposed: [row,head][keys/8][head_dim][8]. What fills up is read but
 * never part of a result: a row of a product depends on that row of A alone.
 *
 * A mixer's block (heads of 0) is three phases: s1 = rms(r0 s0 + mix(r0 s0)) along the positions, an item of eight channels
 * of a row after the other, and then the last two with s1 as it is. With a norm inside h's rows have a factor of their own.
 *
 * D and I are known to the compiler for the models as published, 0 means that they are not.
 */
enum { FEW_THREADS = 256, FEW_WARPS = 8, FEW_PASSES = 64, FEW_SLOTS = 24, FEW_D = 512, FEW_I = 1536, FEW_POSITIONS = 164 };
enum { FEW_INNER = 64, FEW_MIX_S = 88, FEW_MIX_I = 256, FEW_MIX_K = 96, FEW_MIX_PIECES = 24 + FEW_MIX_S / 8 };
enum { FEW_QKV, FEW_O, FEW_GATE_UP, FEW_DOWN, FEW_PRODUCTS, FEW_COPIES = 4 };
struct few_pass {
    uint8_t state, layers;
    uint16_t block;
    uint32_t inputs;
};
/* how a product is cut: into groups of rows and tiles of columns; by_*: 2^20 / number, rounded up; weights: elements of a
 * tile's and of all */
struct few_cut {
    int groups, rows, items;
    unsigned by_groups, by_rows, tile_weights, all_weights;
};
struct few_args {
    const bf16 *weights; /* prepared */
    size_t block, to[HRM_BLOCK_TENSORS];
    const float2 *rope;
    bf16 *z[HRM_MAX_STATES];
    const bf16 *e;
    bf16 *s[2], *first, *qk, *vt, *o, *h; /* FEW_COPIES of each; first: what a pass starts from, its copies go by the pass */
    float *squares[2], *inner; /* [Mp,FEW_SLOTS] of s[0], s[1]; [Mp,FEW_INNER] of gate times up; likewise */
    size_t copy_s, copy_qk, copy_vt, copy_h, copy_squares, copy_inner; /* elements from one to the next; o and first as s */
    unsigned *arrived;
    int rows, S, M, Mp, D, I, heads, key_pieces, causal, count, tiles;
    int I_t, mix_width, norm, mix_sets; /* of a mixer */
    unsigned by_S, by_heads, by_tiles;
    float inv_D, inv_S, inv_I, inv_I_t, eps, scale_log2;
    few_cut cut[FEW_PRODUCTS];
    few_pass pass[FEW_PASSES];
};
__host__ __device__ constexpr int few_mt(int product) { return product == FEW_QKV ? 2 : product == FEW_GATE_UP ? 3 : 1; }
__host__ __device__ constexpr int few_nt(int product) { return product == FEW_QKV ? 5 : product == FEW_GATE_UP ? 6 : 3; }
__host__ __device__ constexpr int few_stride(int product) { return few_nt(product) * 8 + 4; }
enum { FEW_SHARED = FEW_WARPS * 48 * 56 * 4, FEW_MIX_SHARED = FEW_SHARED + FEW_MIX_PIECES * FEW_THREADS * 16 };

__device__ __forceinline__ int few_over(int x, unsigned by) { return (int)((unsigned)x * by >> 20); }

/* of what other blocks write, and whether all of it is there */
__device__ __forceinline__ uint4 few_load(const void *p)
{
    uint4 v;
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
}
__device__ __forceinline__ uint2 few_load2(const void *p)
{
    uint2 v;
    asm volatile("ld.relaxed.gpu.global.v2.u32 {%0,%1}, [%2];\n" : "=r"(v.x), "=r"(v.y) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ float few_load1(const float *p)
{
    float v;
    asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];\n" : "=f"(v) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ bool few_there(uint2 v) { return v.x != ~0u && v.y != ~0u; }
__device__ __forceinline__ bool few_there(uint4 v) { return v.x != ~0u && v.y != ~0u && v.z != ~0u && v.w != ~0u; }
/* the same where the halves of a word have two writers: neither is all ones */
__device__ __forceinline__ uint32_t few_missing_half(uint32_t v) { return (~v - 0x00010001u) & v & 0x80008000u; }
__device__ __forceinline__ bool few_there_by_halves(uint4 v)
{
    return !(few_missing_half(v.x) | few_missing_half(v.y) | few_missing_half(v.z) | few_missing_half(v.w));
}
template <class F> __device__ __forceinline__ void few_until(F &&there) /* a warp's together */
{
    while (!__all_sync(0xffffffffu, there())) {}
}
/* a value for others, and the ones where the block after the next will have it: `ones` elements further */
__device__ __forceinline__ void few_put(bf16 *p, ptrdiff_t ones, uint4 v)
{
    asm volatile("st.relaxed.gpu.global.v4.u32 [%0], {%1,%2,%3,%4};\n" ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                 : "memory");
    asm volatile("st.relaxed.gpu.global.v4.u32 [%0], {%1,%1,%1,%1};\n" ::"l"(p + ones), "r"(~0u) : "memory");
}
__device__ __forceinline__ void few_put(bf16 *p, ptrdiff_t ones, uint2 v)
{
    asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1,%2};\n" ::"l"(p), "r"(v.x), "r"(v.y) : "memory");
    asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1,%1};\n" ::"l"(p + ones), "r"(~0u) : "memory");
}
__device__ __forceinline__ void few_put(bf16 *p, ptrdiff_t ones, bf16 v)
{
    asm volatile("st.relaxed.gpu.global.b16 [%0], %1;\n" ::"l"(p), "h"(__bfloat16_as_ushort(v)) : "memory");
    asm volatile("st.relaxed.gpu.global.b16 [%0], %1;\n" ::"l"(p + ones), "h"((unsigned short)0xffff) : "memory");
}
__device__ __forceinline__ void few_put(float *p, ptrdiff_t ones, float v)
{
    asm volatile("st.relaxed.gpu.global.f32 [%0], %1;\n" ::"l"(p), "f"(v) : "memory");
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;\n" ::"l"(p + ones), "r"(~0u) : "memory");
}
__device__ __forceinline__ void few_fence() { asm volatile("fence.acq_rel.gpu;\n" ::: "memory"); }
/* block n's copy of a buffer, and how far from it the one is that block n + 2 will have */
template <class E> __device__ __forceinline__ E *few_copy(E *p, size_t copy, int n)
{
    return p + (size_t)(n % FEW_COPIES) * copy;
}
__device__ __forceinline__ ptrdiff_t few_ones(size_t copy, int n)
{
    return n % FEW_COPIES < 2 ? 2 * (ptrdiff_t)copy : -2 * (ptrdiff_t)copy;
}
/* what a block reads: the stream, its squares or NULL */
struct few_block {
    int          n;
    const bf16  *s;
    const float *squares;
};
__device__ __forceinline__ uint4 few_load_weight(const void *p)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}

/* A barrier over the grid, once: before it all buffers become ones. Bit 31 turns when all have arrived, the bits below are 0
 * then: nothing needs to be reset from one launch to the next. The bit cannot turn before this block arrives, so it can be read
 * at the start. */
__device__ __forceinline__ unsigned few_look(const few_args &a)
{
    unsigned n;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];\n" : "=r"(n) : "l"(a.arrived) : "memory");
    return n;
}
__device__ __forceinline__ void few_barrier(const few_args &a, unsigned bit)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("red.release.gpu.global.add.u32 [%0], %1;\n" ::"l"(a.arrived),
                     "r"(blockIdx.x == 0 ? 0x80000001u - gridDim.x : 1u)
                     : "memory");
        while (!((few_look(a) ^ bit) & 0x80000000u)) {}
    }
    __syncthreads();
}

/* the rows' norm factors into shared memory: four lanes a row; squares NULL: 1 */
template <int ROWS, int SLOTS = FEW_SLOTS> struct few_factors {
    static constexpr int N = (SLOTS + 15) / 16;
    uint4 v[N];
    __device__ __forceinline__ bool fetch(const float *squares, int r0, int rows) /* whether they are there */
    {
        int row = (int)threadIdx.x / 4, lane = (int)threadIdx.x % 4;
        const float *from = squares + (size_t)(r0 + row) * SLOTS + 4 * lane;
        bool there = true;
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = squares && row < rows && lane + 4 * i < SLOTS / 4 ? few_load(from + 16 * i) : make_uint4(0, 0, 0, 0);
#pragma unroll
        for (int i = 0; i < N; i++) there = there && few_there(v[i]);
        return there;
    }
    __device__ __forceinline__ void put(float by, float eps, float *factor, bool any)
    {
        if (threadIdx.x >= 4 * ROWS) return;
        float sum = 0;
#pragma unroll
        for (int i = 0; i < N; i++)
            sum += __uint_as_float(v[i].x) + __uint_as_float(v[i].y) + (__uint_as_float(v[i].z) + __uint_as_float(v[i].w));
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (threadIdx.x % 4 == 0) factor[threadIdx.x / 4] = any ? rsqrtf(sum * by + eps) : 1.0f;
    }
};
__device__ __forceinline__ void few_unpack4(float *v, uint2 x) { unpack2(v, x.x), unpack2(v + 2, x.y); }

/* C = A W^T and what a phase does with it. SMALL: K where D and I are not known. */
template <int P, int NW, int KT> struct few_product {
    static constexpr int MT = few_mt(P), NT = few_nt(P), STRIDE = few_stride(P);
    uint4 b[NW][NT];

    __device__ __forceinline__ void fetch(const bf16 *W, int N, int K_, int n0)
    {
        int K = KT ? KT : K_, lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32,
            each = KT ? NW : ceil_div(K, 32 * FEW_WARPS);
        const bf16 *from = W + (size_t)(n0 + lane / 4) * K + warp * each * 32 + lane % 4 * 8;
#pragma unroll
        for (int j = 0; j < NW; j++)
#pragma unroll
            for (int i = 0; i < NT; i++)
                b[j][i] = (KT || (j < each && (warp * each + j) * 32 < K)) && n0 + 8 * i < N
                              ? few_load_weight(from + (size_t)(8 * i) * K + j * 32)
                              : make_uint4(0, 0, 0, 0);
    }
    __device__ __forceinline__ void fetch_first(const few_args &a, const bf16 *W, int N, int K_)
    {
        int item = (int)blockIdx.x;
        fetch(W, N, K_, item < a.cut[P].items ? few_over(item, a.cut[P].by_groups) * 8 * NT : N);
    }
    /* rows r0.. of A times the weights, this warp's part of K, into its part of shared memory. too: asks for what else is
     * wanted, and says whether it is there */
    template <class F>
    __device__ __forceinline__ void run(const few_args &a, float *part, const bf16 *A, int K_, int r0, int rows, F &&too)
    {
        int K = KT ? KT : K_, lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4,
            each = KT ? NW : ceil_div(K, 32 * FEW_WARPS);
        const bf16 *from = A + ((size_t)(warp * each * 4 + t) * a.Mp + r0) * 8;
        uint4 x[NW][MT][2];
        few_until([&]() {
#pragma unroll
            for (int m = 0; m < MT; m++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    const bf16 *row = from + min(16 * m + 8 * h + g, rows - 1) * 8;
#pragma unroll
                    for (int j = 0; j < NW; j++)
                        x[j][m][h] = KT || (j < each && (warp * each + j) * 32 < K) ? few_load(row + (size_t)(j * 4) * a.Mp * 8)
                                                                                    : make_uint4(0, 0, 0, 0); /* as weights */
                }
            bool there = too();
#pragma unroll
            for (int m = 0; m < MT; m++)
#pragma unroll
                for (int h = 0; h < 2; h++)
#pragma unroll
                    for (int j = 0; j < NW; j++) there = there && few_there(x[j][m][h]);
            return there;
        });
        float acc[MT][NT][4] = {};
#pragma unroll
        for (int j = 0; j < NW; j++)
#pragma unroll
            for (int m = 0; m < MT; m++) {
                uint32_t lower[4] = {x[j][m][0].x, x[j][m][1].x, x[j][m][0].y, x[j][m][1].y},
                         upper[4] = {x[j][m][0].z, x[j][m][1].z, x[j][m][0].w, x[j][m][1].w};
#pragma unroll
                for (int i = 0; i < NT; i++) mma16816<bf16>(acc[m][i], lower, b[j][i].x, b[j][i].y);
#pragma unroll
                for (int i = 0; i < NT; i++) mma16816<bf16>(acc[m][i], upper, b[j][i].z, b[j][i].w);
            }
        float *to = part + (warp * 16 * MT + g) * STRIDE + 2 * t;
#pragma unroll
        for (int m = 0; m < MT; m++)
#pragma unroll
            for (int i = 0; i < NT; i++) {
                *(float2 *)(to + 16 * m * STRIDE + 8 * i) = make_float2(acc[m][i][0], acc[m][i][1]);
                *(float2 *)(to + (16 * m + 8) * STRIDE + 8 * i) = make_float2(acc[m][i][2], acc[m][i][3]);
            }
    }
    /* four columns of a row, the warps' parts added in their order */
    __device__ __forceinline__ static void sum(float *v, const float *part, int row, int col)
    {
        const float *from = part + row * STRIDE + col;
        float4 s = *(const float4 *)from;
#pragma unroll
        for (int w = 1; w < FEW_WARPS; w++) {
            float4 u = *(const float4 *)(from + w * 16 * MT * STRIDE);
            s.x += u.x, s.y += u.y, s.z += u.z, s.w += u.w;
        }
        v[0] = s.x, v[1] = s.y, v[2] = s.z, v[3] = s.w;
    }
};
__device__ __forceinline__ uint2 few_pack4(const float *v) { return make_uint2(pack2(v[0], v[1]), pack2(v[2], v[3])); }

/* One product's items, the first with weights that are asked for already. too, end (r0, rows, tile): as in run(); when the
 * parts stand in shared memory. then (): with what too() fetched, which is there */
template <int P_, class P, class F, class H, class G>
__device__ __forceinline__ void few_items(const few_args &a, P &product, float *part, const bf16 *A, const bf16 *W, int N,
                                          int K, F &&too, H &&then, G &&end)
{
    const few_cut &cut = a.cut[P_];
#pragma unroll 1
    for (int item = (int)blockIdx.x; item < cut.items; item += (int)gridDim.x) {
        int tile = few_over(item, cut.by_groups), r0 = (item - tile * cut.groups) * cut.rows, rows = min(cut.rows, a.M - r0);
        if (item != (int)blockIdx.x) product.fetch(W, N, K, tile * 8 * P::NT);
        __syncthreads(); /* nobody reads the parts and factors before any more */
        product.run(a, part, A, K, r0, rows, [&]() { return too(r0, rows, tile); });
        then();
        __syncthreads();
        end(r0, rows, tile);
    }
}

template <int DT, int HD, class P>
__device__ __forceinline__ void few_qkv(const few_args &a, const few_block &x, float *part, float *factor, P &product,
                                        const bf16 *W)
{
    int D = DT ? DT : a.D, N = 3 * D;
    const few_cut &cut = a.cut[FEW_QKV];
    bf16 *qk = few_copy(a.qk, a.copy_qk, x.n), *vt = few_copy(a.vt, a.copy_vt, x.n);
    ptrdiff_t ones = few_ones(a.copy_qk, x.n), ones_v = few_ones(a.copy_vt, x.n);
    few_factors<16 * P::MT> f;
    static_assert(16 * P::MT * P::NT <= FEW_THREADS, "eight columns of a row are a thread's");
    int c = few_over((int)threadIdx.x, cut.by_rows), r = (int)threadIdx.x - c * cut.rows;
    float4 cs[2];
    few_items<FEW_QKV>(
        a, product, part, x.s, W, N, D,
        [&](int r0, int rows, int tile) {
            int col = (tile * P::NT + c) * 8, at = r0 + r - few_over(r0 + r, a.by_S) * a.S;
            cs[0] = cs[1] = make_float4(1, 0, 1, 0);
            if (a.rope && r < rows && col < 2 * D) {
                const float4 *table = (const float4 *)(a.rope + at * (HD / 2) + col % HD / 2);
                cs[0] = __ldg(table), cs[1] = __ldg(table + 1);
            }
            return f.fetch(x.squares, r0, rows);
        },
        [&]() { f.put(a.inv_D, a.eps, factor, x.squares != NULL); },
        [&](int r0, int rows, int tile) {
            int row = r0 + r, col = (tile * P::NT + c) * 8, b = few_over(row, a.by_S), at = row - b * a.S;
            if (c >= P::NT || col >= N || r >= rows) return;
            float v[8], by = factor[r];
            P::sum(v, part, r, 8 * c), P::sum(v + 4, part, r, 8 * c + 4);
#pragma unroll
            for (int j = 0; j < 8; j++) v[j] *= by;
            if (col < 2 * D) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    float p = v[4 * j], y = v[4 * j + 1], z = v[4 * j + 2], u = v[4 * j + 3];
                    v[4 * j] = p * cs[j].x - y * cs[j].y, v[4 * j + 1] = y * cs[j].x + p * cs[j].y;
                    v[4 * j + 2] = z * cs[j].z - u * cs[j].w, v[4 * j + 3] = u * cs[j].z + z * cs[j].w;
                }
                few_put(qk + ((size_t)(col / 8) * a.Mp + row) * 8, ones,
                        make_uint4(pack2(v[0], v[1]), pack2(v[2], v[3]), pack2(v[4], v[5]), pack2(v[6], v[7])));
            } else {
                int d = col - 2 * D;
                bf16 *to = vt + (((size_t)(b * a.heads + d / HD) * a.key_pieces + at / 8) * HD + d % HD) * 8 + at % 8;
#pragma unroll
                for (int j = 0; j < 8; j++) few_put(to + 8 * j, ones_v, __float2bfloat16_rn(v[j]));
            }
        });
}

/* MIX: s1 is normalised; with a norm inside its squares are wanted */
template <bool MIX, int DT, int IT, class P>
__device__ __forceinline__ void few_swiglu(const few_args &a, const few_block &x, float *part, float *factor, P &product,
                                           const bf16 *W)
{
    bf16 *h = few_copy(a.h, a.copy_h, x.n);
    const float *squares = few_copy(a.squares[1], a.copy_squares, x.n);
    ptrdiff_t ones = few_ones(a.copy_h, x.n);
    int D = DT ? DT : a.D, N = 2 * (IT ? IT : a.I);
    float *sums = part + FEW_WARPS * 16 * P::MT * P::STRIDE; /* [rows,8] of four columns */
    static_assert((FEW_WARPS * 16 * P::MT * P::STRIDE + 8 * 16 * P::MT) * 4 <= FEW_SHARED, "");
    few_factors<16 * P::MT> f;
    few_items<FEW_GATE_UP>(
        a, product, part, few_copy(a.s[1], a.copy_s, x.n), W, N, D,
        [&](int r0, int rows, int) { return MIX || f.fetch(squares, r0, rows); },
        [&]() {
            if (!MIX) f.put(a.inv_D, a.eps, factor, true);
        },
        [&](int r0, int rows, int tile) {
            const few_cut &cut = a.cut[FEW_GATE_UP];
            int n0 = tile * 8 * P::NT;
#pragma unroll 1
            for (int i = (int)threadIdx.x; i < cut.rows * P::NT; i += FEW_THREADS) {
                int c = few_over(i, cut.by_rows), r = i - c * cut.rows, col = c / 2 * 16 + c % 2 * 4;
                bool inside = n0 + col < N && r < rows;
                float g[4], u[4], by = MIX ? 1.0f : factor[r], sum = 0;
                if (inside) {
                    P::sum(g, part, r, col);
                    P::sum(u, part, r, col + 8);
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        float p = g[j] * u[j];
                        sum = fmaf(p, p, sum);
                        g[j] = silu(by * g[j]) * (by * u[j]);
                    }
                    few_put(h + ((size_t)((n0 + col) / 16) * a.Mp + r0 + r) * 8 + col % 8, ones, few_pack4(g));
                }
                if (MIX) sums[8 * r + c] = sum;
            }
            if (MIX && a.norm) {
                __syncthreads();
                int r = (int)threadIdx.x;
                if (r >= rows) return;
                float sum = 0;
#pragma unroll
                for (int c = 0; c < P::NT; c++) sum += sums[8 * r + c];
                few_put(few_copy(a.inner, a.copy_inner, x.n) + (size_t)(r0 + r) * FEW_INNER + tile,
                        few_ones(a.copy_inner, x.n), sum);
            }
        });
}

/* s[to] = factor from + A W^T; INNER: A's rows have a factor too */
template <int P_, bool INNER, int DT, class P>
__device__ __forceinline__ void few_join(const few_args &a, const few_block &x, float *part, float *factor, P &product,
                                         const bf16 *A, const bf16 *W, int K, int to, const bf16 *from, const float *squares)
{
    int D = DT ? DT : a.D, r = (int)threadIdx.x / 8, c = (int)threadIdx.x % 8;
    bf16 *s = few_copy(a.s[to], a.copy_s, x.n);
    float *sums = few_copy(a.squares[to], a.copy_squares, x.n);
    const float *inner = few_copy(a.inner, a.copy_inner, x.n);
    few_factors<16, INNER ? FEW_INNER : FEW_SLOTS> f;
    uint2 residual = make_uint2(0, 0);
    few_items<P_>(
        a, product, part, A, W, D, K,
        [&](int r0, int rows, int tile) {
            int col = tile * 8 * P::NT + 4 * c;
            if (r < rows && c < 6 && col < D) residual = few_load2(from + ((size_t)(col / 8) * a.Mp + r0 + r) * 8 + col % 8);
            return f.fetch(INNER ? a.norm ? inner : NULL : squares, r0, rows) & few_there(residual);
        },
        [&]() { f.put(INNER ? a.inv_I : a.inv_D, a.eps, factor, INNER ? a.norm != 0 : squares != NULL); },
        [&](int r0, int rows, int tile) {
            if (threadIdx.x < 128) {
                int col = tile * 8 * P::NT + 4 * c;
                float sum = 0;
                if (r < rows && c < 6 && col < D) {
                    float v[4], y[4], by = factor[r];
                    few_unpack4(y, residual);
                    P::sum(v, part, r, 4 * c);
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        v[j] = INNER ? fmaf(by, v[j], y[j]) : fmaf(by, y[j], v[j]);
                        sum = fmaf(v[j], v[j], sum);
                    }
                    few_put(s + ((size_t)(col / 8) * a.Mp + r0 + r) * 8 + col % 8, few_ones(a.copy_s, x.n), few_pack4(v));
                }
                sum += __shfl_xor_sync(0xffffffffu, sum, 1);
                sum += __shfl_xor_sync(0xffffffffu, sum, 2);
                sum += __shfl_xor_sync(0xffffffffu, sum, 4);
                if (c == 0 && r < rows)
                    few_put(sums + (size_t)(r0 + r) * FEW_SLOTS + tile, few_ones(a.copy_squares, x.n), sum);
            }
        });
}

/* Sixteen queries of a head; the warps share the keys, 32 at a time. In a tile of eight keys number 2t + e is key
 * 8t + 2i + e of the 32 (i: the tile), so that probabilities meet 16 bytes of V. */
__device__ __forceinline__ float few_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
template <int DT, int HD> __device__ __forceinline__ void few_attention(const few_args &a, const few_block &b_, float *part)
{
    const bf16 *qk = few_copy(a.qk, a.copy_qk, b_.n), *vt = few_copy(a.vt, a.copy_vt, b_.n);
    constexpr int W = HD / 32, STRIDE = HD + 4;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4, D = DT ? DT : a.D;
    float *high = part + FEW_WARPS * 16 * STRIDE, *total = high + FEW_WARPS * 16;
    for (int item = (int)blockIdx.x; item < a.rows * a.heads * a.tiles; item += (int)gridDim.x) {
        int rest = few_over(item, a.by_heads), head = item - rest * a.heads, b = few_over(rest, a.by_tiles),
            q0 = (rest - b * a.tiles) * 16;
        int end = a.causal ? min(a.S, q0 + 16) : a.S, working = min(FEW_WARPS, ceil_div(end, 32));
        const bf16 *q = qk + ((size_t)(head * (HD / 8) + t) * a.Mp + (size_t)b * a.S) * 8, *k = q + (size_t)(D / 8) * a.Mp * 8,
                   *v = vt + (((size_t)(b * a.heads + head) * a.key_pieces + t) * HD + g) * 8;
        __syncthreads();
        if (warp < working) {
            float o[HD / 8][4] = {}, m[2] = {-INFINITY, -INFINITY}, l[2] = {};
            uint4 x[W][2];
#pragma unroll 1
            for (int k0 = warp * 32; k0 < end; k0 += FEW_WARPS * 32) {
                uint4 y[4][W], u[HD / 8];
                float s[4][4] = {};
                few_until([&]() { /* beyond S nobody writes: its last, masked below, and V's 0 */
                    bool there = true;
#pragma unroll
                    for (int j = 0; j < W; j++)
#pragma unroll
                        for (int h = 0; h < 2; h++)
                            x[j][h] = few_load(q + ((size_t)(4 * j) * a.Mp + min(q0 + g + 8 * h, a.S - 1)) * 8);
#pragma unroll
                    for (int j = 0; j < W; j++)
#pragma unroll
                        for (int i = 0; i < 4; i++)
                            y[i][j] = few_load(
                                k + ((size_t)(4 * j) * a.Mp + min(k0 + g / 2 * 8 + g % 2 + 2 * i, a.S - 1)) * 8);
#pragma unroll
                    for (int n = 0; n < HD / 8; n++) u[n] = few_load(v + (k0 * (HD / 8) + 8 * n) * 8);
#pragma unroll
                    for (int j = 0; j < W; j++) {
                        there = there && few_there(x[j][0]) && few_there(x[j][1]);
#pragma unroll
                        for (int i = 0; i < 4; i++) there = there && few_there(y[i][j]);
                    }
#pragma unroll
                    for (int n = 0; n < HD / 8; n++) there = there && few_there_by_halves(u[n]);
                    return there;
                });
#pragma unroll
                for (int j = 0; j < W; j++) {
                    uint32_t lower[4] = {x[j][0].x, x[j][1].x, x[j][0].y, x[j][1].y},
                             upper[4] = {x[j][0].z, x[j][1].z, x[j][0].w, x[j][1].w};
#pragma unroll
                    for (int i = 0; i < 4; i++) mma16816<bf16>(s[i], lower, y[i][j].x, y[i][j].y);
#pragma unroll
                    for (int i = 0; i < 4; i++) mma16816<bf16>(s[i], upper, y[i][j].z, y[i][j].w);
                }
                if (k0 + 32 > a.S || a.causal)
#pragma unroll
                    for (int i = 0; i < 4; i++)
#pragma unroll
                        for (int e = 0; e < 4; e++) {
                            int key = k0 + 8 * t + 2 * i + (e & 1), row = q0 + g + (e >> 1) * 8;
                            if (key >= a.S || (a.causal && key > row)) s[i][e] = -INFINITY;
                        }
                uint32_t p[4][2];
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    float most = s[0][2 * h];
#pragma unroll
                    for (int i = 0; i < 4; i++) most = fmaxf(most, fmaxf(s[i][2 * h], s[i][2 * h + 1]));
                    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
                    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
                    float now = fmaxf(m[h], most * a.scale_log2), from = now == -INFINITY ? 0.0f : now,
                          fix = few_exp2(m[h] - from), sum = 0;
                    m[h] = now;
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        float c = few_exp2(fmaf(s[i][2 * h], a.scale_log2, -from)),
                              d = few_exp2(fmaf(s[i][2 * h + 1], a.scale_log2, -from));
                        sum += c + d;
                        p[i][h] = pack2(c, d);
                    }
                    l[h] = l[h] * fix + sum;
#pragma unroll
                    for (int n = 0; n < HD / 8; n++) o[n][2 * h] *= fix, o[n][2 * h + 1] *= fix;
                }
                uint32_t lower[4] = {p[0][0], p[0][1], p[1][0], p[1][1]}, upper[4] = {p[2][0], p[2][1], p[3][0], p[3][1]};
#pragma unroll
                for (int n = 0; n < HD / 8; n++) mma16816<bf16>(o[n], lower, u[n].x, u[n].y);
#pragma unroll
                for (int n = 0; n < HD / 8; n++) mma16816<bf16>(o[n], upper, u[n].z, u[n].w);
            }
#pragma unroll
            for (int h = 0; h < 2; h++) {
                l[h] += __shfl_xor_sync(0xffffffffu, l[h], 1);
                l[h] += __shfl_xor_sync(0xffffffffu, l[h], 2);
                int r = warp * 16 + g + 8 * h;
                if (t == 0) high[r] = m[h], total[r] = l[h];
#pragma unroll
                for (int n = 0; n < HD / 8; n++)
                    *(float2 *)(part + r * STRIDE + 8 * n + 2 * t) = make_float2(o[n][2 * h], o[n][2 * h + 1]);
            }
        }
        __syncthreads();
        int r = (int)threadIdx.x % 16, c = (int)threadIdx.x / 16;
        if (c < HD / 4 && q0 + r < a.S) {
            float most = -INFINITY, sum = 0, out[4] = {};
            for (int w = 0; w < working; w++) most = fmaxf(most, high[w * 16 + r]);
            for (int w = 0; w < working; w++) {
                float f = few_exp2(high[w * 16 + r] - most);
                float4 from = *(const float4 *)(part + (w * 16 + r) * STRIDE + 4 * c);
                sum = fmaf(total[w * 16 + r], f, sum);
                out[0] = fmaf(from.x, f, out[0]), out[1] = fmaf(from.y, f, out[1]);
                out[2] = fmaf(from.z, f, out[2]), out[3] = fmaf(from.w, f, out[3]);
            }
            float inverse = 1.0f / sum;
#pragma unroll
            for (int j = 0; j < 4; j++) out[j] *= inverse;
            few_put(few_copy(a.o, a.copy_s, b_.n) +
                        ((size_t)(head * (HD / 8) + c / 2) * a.Mp + (size_t)b * a.S + q0 + r) * 8 + c % 2 * 4,
                    few_ones(a.copy_s, b_.n), few_pack4(out));
        }
    }
}

/* Eight channels of a row, all its positions. A warp has 32 columns inside and their share of the product that follows. What a
 * lane needs of the weights, in pieces of 16 bytes for two k-steps as above, goes into its own part of shared memory as soon as
 * the mixing before is done. Where half of the CTAs are enough for a mixing there are two sets of them that take turns: with
 * two blocks in all, each keeps its weights for good. Number 8 (g / 2) + 2 i + g % 2 of the 32 is row g of tile i, so that the
 * tiles, turned in registers, are the next product's operand. */
__device__ __forceinline__ void few_mix_fetch(const few_args &a, const unsigned char *shared, const bf16 *W)
{
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4;
    int width = a.mix_width, column = 32 * warp + g / 2 * 8, k = 32 * warp + 8 * t;
    uint32_t to = shared_address(shared) + FEW_SHARED + threadIdx.x * 16;
    const bf16 *gate_up = W + a.to[HRM_MIX_GATE_UP], *down = W + a.to[HRM_MIX_DOWN];
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int w = 0; w < FEW_MIX_K / 32; w++, to += FEW_THREADS * 16) { /* i / 2: the tile, i % 2: its upper half */
            bool inside = column < a.I_t && 32 * w + 8 * t < width;
            cp_async16(to, inside ? gate_up + (2 * column + g % 2 + i / 2 * 2 + i % 2 * 8) * width + 32 * w + 8 * t : gate_up,
                       inside);
        }
#pragma unroll
    for (int i = 0; i < FEW_MIX_S / 8; i++, to += FEW_THREADS * 16) {
        bool inside = k < a.I_t && 8 * i + g < width;
        cp_async16(to, inside ? down + (8 * i + g) * a.I_t + k : down, inside);
    }
    cp_async_commit();
}
__device__ __forceinline__ uint32_t few_turned(uint32_t x)
{
    uint32_t y;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;\n" : "=r"(y) : "r"(x));
    return y;
}
template <int DT> __device__ __forceinline__ void few_mix(const few_args &a, const few_block &x_, unsigned char *shared)
{
    const float *squares = x_.squares;
    bf16 *s1 = few_copy(a.s[1], a.copy_s, x_.n);
    constexpr int K = FEW_MIX_K, TILES = K / 16;
    static_assert(FEW_SLOTS == 24 && 2 * K <= FEW_THREADS, "two lanes a position");
    float *part = (float *)shared;
    bf16 *turned = (bf16 *)(part + FEW_WARPS * K * 8);                          /* [channels,positions] */
    float *inside = (float *)(turned + 8 * K), *along = inside + FEW_WARPS * 8; /* [warps,channels] sums of squares */
    const unsigned char *weights = shared + FEW_SHARED + threadIdx.x * 16;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4;
    int pieces = (DT ? DT : a.D) / 8, items = a.rows * pieces, at = (int)threadIdx.x / 2, half = (int)threadIdx.x % 2,
        begin = (int)blockIdx.x - (a.mix_sets > 1 ? x_.n % a.mix_sets * items : 0);
    if (begin < 0 || begin >= items) return;
    auto weight = [&](int i) { return *(const uint4 *)(weights + i * FEW_THREADS * 16); };
    cp_async_wait<0>(); /* a thread's own */
#pragma unroll 1
    for (int item = begin; item < items; item += (int)gridDim.x) {
        int b = item / pieces, row = b * a.S + at;
        size_t in_stream = ((size_t)(item - b * pieces) * a.Mp + row) * 8 + 4 * half;
        bool there = at < a.S;
        float x[4] = {}, sum = 0;
        uint2 from = make_uint2(0, 0);
        uint4 sums[3] = {};
        __syncthreads();
        few_until([&]() {
            bool all = true;
            if (there) {
                from = few_load2(x_.s + in_stream);
#pragma unroll
                for (int i = 0; i < 3; i++)
                    if (squares) sums[i] = few_load(squares + (size_t)row * FEW_SLOTS + 12 * half + 4 * i);
                all = few_there(from);
#pragma unroll
                for (int i = 0; i < 3; i++) all = all && few_there(sums[i]);
            }
            return all;
        });
        few_unpack4(x, from);
#pragma unroll
        for (int i = 0; i < 3; i++)
            sum += __uint_as_float(sums[i].x) + __uint_as_float(sums[i].y) +
                   (__uint_as_float(sums[i].z) + __uint_as_float(sums[i].w));
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        if (squares) {
            sum = rsqrtf(sum * a.inv_D + a.eps);
#pragma unroll
            for (int j = 0; j < 4; j++) x[j] = __bfloat162float(__float2bfloat16_rn(sum * x[j]));
        }
        if (at < K)
#pragma unroll
            for (int j = 0; j < 4; j++) turned[(4 * half + j) * K + at] = __float2bfloat16_rn(x[j]);
        __syncthreads();
        float acc[4][4] = {}, o[TILES][4] = {}, square[2] = {};
        uint32_t h[4];
#pragma unroll
        for (int k = 0; k < K / 32; k++) {
            uint4 y = *(const uint4 *)(turned + g * K + 32 * k + 8 * t);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                uint4 u = weight(6 * i + k), v = weight(6 * i + 3 + k);
                uint32_t lower[4] = {u.x, v.x, u.y, v.y}, upper[4] = {u.z, v.z, u.w, v.w};
                mma16816<bf16>(acc[i], lower, y.x, y.y);
                mma16816<bf16>(acc[i], upper, y.z, y.w);
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float v[2];
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float p = acc[i][e] * acc[i][2 + e];
                square[e] = fmaf(p, p, square[e]);
                v[e] = silu(acc[i][e]) * acc[i][2 + e];
            }
            h[i] = few_turned(pack2(v[0], v[1]));
        }
#pragma unroll
        for (int m = 0; m < TILES; m++) {
            uint4 u = weight(24 + 2 * m), v = 2 * m + 1 < FEW_MIX_S / 8 ? weight(25 + 2 * m) : make_uint4(0, 0, 0, 0);
            uint32_t lower[4] = {u.x, v.x, u.y, v.y}, upper[4] = {u.z, v.z, u.w, v.w};
            mma16816<bf16>(o[m], lower, h[0], h[1]);
            mma16816<bf16>(o[m], upper, h[2], h[3]);
        }
        float *to = part + (warp * K + g) * 8 + 2 * t;
#pragma unroll
        for (int m = 0; m < TILES; m++) {
            *(float2 *)(to + 128 * m) = make_float2(o[m][0], o[m][1]);
            *(float2 *)(to + 128 * m + 64) = make_float2(o[m][2], o[m][3]);
        }
#pragma unroll
        for (int e = 0; e < 2; e++) {
#pragma unroll
            for (int i = 4; i < 32; i *= 2) square[e] += __shfl_xor_sync(0xffffffffu, square[e], i);
            if (g == 0) inside[warp * 8 + 2 * t + e] = square[e];
        }
        __syncthreads();
        float v[4] = {}, q[4] = {};
        if (at < K) {
#pragma unroll
            for (int i = 0; i < FEW_WARPS; i++) {
                float4 p = *(const float4 *)(part + (i * K + at) * 8 + 4 * half),
                       u = *(const float4 *)(inside + i * 8 + 4 * half);
                v[0] += p.x, v[1] += p.y, v[2] += p.z, v[3] += p.w;
                q[0] += u.x, q[1] += u.y, q[2] += u.z, q[3] += u.w;
            }
#pragma unroll
            for (int j = 0; j < 4; j++) {
                v[j] = there ? fmaf(a.norm ? rsqrtf(q[j] * a.inv_I_t + a.eps) : 1.0f, v[j], x[j]) : 0.0f;
                q[j] = v[j] * v[j];
#pragma unroll
                for (int i = 2; i < 32; i *= 2) q[j] += __shfl_xor_sync(0xffffffffu, q[j], i);
            }
            if (lane < 2) *(float4 *)(along + warp * 8 + 4 * half) = make_float4(q[0], q[1], q[2], q[3]);
        }
        __syncthreads();
        if (there) {
            q[0] = q[1] = q[2] = q[3] = 0;
#pragma unroll
            for (int i = 0; i < 2 * K / 32; i++) {
                float4 u = *(const float4 *)(along + i * 8 + 4 * half);
                q[0] += u.x, q[1] += u.y, q[2] += u.z, q[3] += u.w;
            }
#pragma unroll
            for (int j = 0; j < 4; j++) v[j] *= rsqrtf(q[j] * a.inv_S + a.eps);
            few_put(s1 + in_stream, few_ones(a.copy_s, x_.n), few_pack4(v));
        }
    }
}

/* The block `steps` after layer `layer` of pass i, -1 at the end. */
__device__ __forceinline__ int few_block_after(const few_args &a, int i, int layer, int steps)
{
    while (steps-- > 0)
        if (++layer == a.pass[i].layers && (layer = 0, ++i == a.count)) return -1;
    return a.pass[i].block + layer;
}

/* The next block's weights, that L2 may not have: a tile's by the CTA that has its first rows. */
__device__ __forceinline__ void few_prefetch(const few_args &a, int block)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    if (block < 0 || threadIdx.x >= FEW_PRODUCTS) return;
    const few_cut &cut = a.cut[threadIdx.x];
    const bf16 *W = a.weights + (size_t)block * a.block + a.to[threadIdx.x];
    for (int item = (int)blockIdx.x; item < cut.items; item += (int)gridDim.x) {
        int tile = few_over(item, cut.by_groups);
        unsigned from = (unsigned)tile * cut.tile_weights, n = min(cut.tile_weights, cut.all_weights - from);
        if (item == tile * cut.groups)
            asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;\n" ::"l"(W + from), "r"(n * 2) : "memory");
    }
#else
    (void)a, (void)block;
#endif
}

/* The state of the pass that ends is its stream, normalised; the next one's stream is its state and what is added. A thread has
 * the same elements every time, so states need no barrier. last, next: indices, or -1 and count; n: blocks so far. */
__device__ __forceinline__ void few_turn(const few_args &a, int last, int next, int n)
{
    const bf16 *ended = few_copy(a.s[0], a.copy_s, n + FEW_COPIES - 1);
    const float *squares = few_copy(a.squares[0], a.copy_squares, n + FEW_COPIES - 1);
    int lane = (int)threadIdx.x % 32, pieces = a.D / 8, parts = ceil_div(pieces, 32);
    for (int i = (int)blockIdx.x + (int)threadIdx.x / 32 * (int)gridDim.x; i < a.M * parts; i += (int)gridDim.x * FEW_WARPS) {
        int row = i / parts, piece = i % parts * 32 + lane;
        bool inside = piece < pieces;
        size_t at = (size_t)row * a.D + piece * 8, in_stream = ((size_t)piece * a.Mp + row) * 8;
        float y[8] = {}, v[8], u[8];
        int before = last >= 0 ? (int)a.pass[last].state : -1;
        if (last >= 0) {
            uint4 s = make_uint4(0, 0, 0, 0);
            float sum = 0;
            few_until([&]() {
                if (inside) s = few_load(ended + in_stream);
                if (lane < FEW_SLOTS) sum = few_load1(squares + (size_t)row * FEW_SLOTS + lane);
                return few_there(s) && __float_as_uint(sum) != ~0u;
            });
            float f = rsqrtf(warp_sum(sum) * a.inv_D + a.eps);
            unpack2(y, s.x), unpack2(y + 2, s.y), unpack2(y + 4, s.z), unpack2(y + 6, s.w);
#pragma unroll
            for (int j = 0; j < 8; j++) y[j] = __bfloat162float(__float2bfloat16_rn(f * y[j]));
            if (inside) store<8>(a.z[before] + at, y);
        }
        if (next >= a.count || !inside) continue;
        const few_pass &p = a.pass[next];
        auto read = [&](float *to, int state) {
            if (state == before) {
#pragma unroll
                for (int j = 0; j < 8; j++) to[j] = y[j];
            } else load<8>(to, state == HRM_MAX_STATES ? a.e + at : a.z[state] + at);
        };
        read(v, p.state);
        int added = 0;
#pragma unroll 1
        for (int state = 0; state <= HRM_MAX_STATES; state++) { /* the last is e */
            if (!(p.inputs >> state & 1)) continue;
            read(u, state);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                v[j] += u[j];
                if (added > 0) v[j] = __bfloat162float(__float2bfloat16_rn(v[j]));
            }
            added++;
        }
        few_put(few_copy(a.first, a.copy_s, next) + in_stream, few_ones(a.copy_s, next),
                make_uint4(pack2(v[0], v[1]), pack2(v[2], v[3]), pack2(v[4], v[5]), pack2(v[6], v[7])));
    }
}

template <int HD, int DT, int IT>
__global__ void __launch_bounds__(FEW_THREADS, 1) few_passes(const __grid_constant__ few_args a)
{
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ float factor[64];
    float *part = (float *)shared;
    constexpr bool MIX = HD == 0;
    unsigned bit = few_look(a) & 0x80000000u;
    int D = DT ? DT : a.D, I = IT ? IT : a.I;
    { /* all ones, but for V's end and the slots that nobody writes, which are 0 */
        int step = (int)gridDim.x * FEW_THREADS, i0 = (int)(blockIdx.x * FEW_THREADS + threadIdx.x);
        auto ones = [&](void *p, size_t bytes) {
            for (size_t i = (size_t)i0; i < bytes / 16; i += (size_t)step) ((uint4 *)p)[i] = make_uint4(~0u, ~0u, ~0u, ~0u);
        };
        size_t copies = FEW_COPIES * sizeof(bf16);
        ones(a.first, a.copy_s * copies), ones(a.h, a.copy_h * copies);
        for (int i = 0; i < 2; i++) ones(a.s[i], a.copy_s * copies);
        if (!MIX) {
            ones(a.qk, a.copy_qk * copies), ones(a.o, a.copy_s * copies);
            for (int copy = 0; copy < FEW_COPIES; copy++)
                for (int i = i0; i < a.rows * a.heads * a.key_pieces * HD; i += step) {
                    uint32_t v[4];
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        int at = i / (HD ? HD : 1) % a.key_pieces * 8 + 2 * j;
                        v[j] = (at < a.S ? 0xffffu : 0) | (at + 1 < a.S ? 0xffff0000u : 0);
                    }
                    *(uint4 *)(a.vt + (size_t)copy * a.copy_vt + (size_t)i * 8) = make_uint4(v[0], v[1], v[2], v[3]);
                }
        }
        int tiles = ceil_div(D, 8 * few_nt(FEW_DOWN)), inner = ceil_div(2 * I, 8 * few_nt(FEW_GATE_UP));
        for (int i = i0; i < (int)(FEW_COPIES * a.copy_squares); i += step)
            a.squares[0][i] = a.squares[1][i] = __uint_as_float(i % FEW_SLOTS < tiles ? ~0u : 0);
        for (int i = i0; MIX && i < (int)(FEW_COPIES * a.copy_inner); i += step)
            a.inner[i] = __uint_as_float(i % FEW_INNER < inner ? ~0u : 0);
    }
    /* a mixer's: the block whose weights this CTA has, and its set */
    int held = -1, items = a.rows * (D / 8),
        set = a.mix_sets > 1 ? (int)blockIdx.x / items : (int)blockIdx.x < items ? 0 : 1;
    auto mix_fetch = [&](int block) {
        if (block >= 0 && block != held) few_mix_fetch(a, shared, a.weights + (size_t)block * a.block);
        held = block;
    };
    if (MIX && set < a.mix_sets) mix_fetch(few_block_after(a, 0, 0, set));
    few_barrier(a, bit);
    few_block x = {0, NULL, NULL};
#pragma unroll 1
    for (int i = 0; i < a.count; i++) {
        few_turn(a, i - 1, i, x.n);
#pragma unroll 1
        for (int layer = 0; layer < a.pass[i].layers; layer++, x.n++) {
            const bf16 *W = a.weights + (size_t)(a.pass[i].block + layer) * a.block, *s1 = few_copy(a.s[1], a.copy_s, x.n);
            x.s = layer ? few_copy(a.s[0], a.copy_s, x.n + FEW_COPIES - 1) : few_copy(a.first, a.copy_s, i);
            x.squares = layer ? few_copy(a.squares[0], a.copy_squares, x.n + FEW_COPIES - 1) : NULL;
            few_product<FEW_GATE_UP, 2, DT> gate_up;
            few_product<FEW_DOWN, 6, IT> down;
            if constexpr (MIX) {
                if (DT) gate_up.fetch_first(a, W + a.to[HRM_GATE_UP_PROJ], 2 * I, D); /* else registers do not suffice */
                few_mix<DT>(a, x, shared);
                if (!DT) gate_up.fetch_first(a, W + a.to[HRM_GATE_UP_PROJ], 2 * I, D);
                if (x.n % a.mix_sets == set) mix_fetch(few_block_after(a, i, layer, a.mix_sets));
                few_fence();
            } else {
                few_product<FEW_QKV, 2, DT> qkv;
                few_product<FEW_O, 2, DT> o;
                qkv.fetch_first(a, W + a.to[HRM_QKV_PROJ], 3 * D, D);
                few_prefetch(a, few_block_after(a, i, layer, 1));
                few_qkv<DT, HD>(a, x, part, factor, qkv, W + a.to[HRM_QKV_PROJ]);
                o.fetch_first(a, W + a.to[HRM_O_PROJ], D, D);
                few_attention<DT, HD>(a, x, part);
                few_fence(); /* here most wait anyway */
                gate_up.fetch_first(a, W + a.to[HRM_GATE_UP_PROJ], 2 * I, D);
                few_join<FEW_O, false, DT>(a, x, part, factor, o, few_copy(a.o, a.copy_s, x.n), W + a.to[HRM_O_PROJ], D, 1,
                                           x.s, x.squares);
            }
            few_swiglu<MIX, DT, IT>(a, x, part, factor, gate_up, W + a.to[HRM_GATE_UP_PROJ]);
            down.fetch_first(a, W + a.to[HRM_DOWN_PROJ], D, I);
            few_join<FEW_DOWN, MIX, DT>(a, x, part, factor, down, few_copy(a.h, a.copy_h, x.n), W + a.to[HRM_DOWN_PROJ], I, 0,
                                        s1, few_copy(a.squares[1], a.copy_squares, x.n));
        }
    }
    few_turn(a, a.count - 1, a.count, x.n);
}

/* ==================================================================================================== >>cuda-attention-short
 * Rows of up to 128 positions, heads of 64, on Hopper: a block has a whole row and head in shared memory, so Q K^T is there in
 * one go, without a running maximum, and the backward pass is five products in one kernel. Both are bound by memory: several
 * blocks share a multiprocessor, and one's loads hide behind another's products. R: positions filled up, the rows of a tile;
 * the copy engine fills up with 0. Two tiles of 64 queries may reach beyond Q and dO, into rows nobody stores.
 */
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/* d [64,64] (+)= a^T b, sixteen rows of tiles of 64 columns */
__device__ __forceinline__ void wgmma_transposed(float *d, uint32_t a, uint32_t b, int add)
{
    uint64_t da = matrix_descriptor(a, 8192, 1024), db = matrix_descriptor(b, 8192, 1024);
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WG_LIST32
                 "}, %32, %33, p, 1, 1, 1, 1;\n}\n"
                 : WG_D16(0), WG_D16(16)
                 : "l"(da), "l"(db), "r"(add));
}
#endif

template <int R> struct short_forward {
    static constexpr int TILE = R * 128, SHARED = 3 * TILE + 1024 + 16, MASKED = R <= 64 ? 0 : R <= 96 ? 64 : R - 16;
};
template <int R>
__global__ void __launch_bounds__(128)
    attention_forward_short(const __grid_constant__ CUtensorMap qkv_map, attention_args<bf16> x)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr int TILE = R * 128;
    extern __shared__ unsigned char shared_raw[];
    uint32_t q_tile = (shared_address(shared_raw) + 1023u) & ~1023u, k_tile = q_tile + TILE, v_tile = k_tile + TILE,
             full = v_tile + TILE;
    int lane = (int)threadIdx.x % 32, t = lane % 4, D = x.heads * 64, unit = (int)blockIdx.x, head = unit % x.heads,
        b = unit / x.heads;
    if (threadIdx.x == 0) {
        barrier_init(full, 1), prefetch_map(&qkv_map);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    if (threadIdx.x == 0) {
        barrier_expect(full, 3 * TILE);
        for (int i = 0; i < 3; i++) copy_tile3(q_tile + (uint32_t)(i * TILE), &qkv_map, i * D + head * 64, 0, b, full);
    }
    barrier_wait(full, 0);
#pragma unroll 1
    for (int r0 = (int)threadIdx.x / 32 * 16; r0 / 64 * 64 < x.S; r0 += 64) { /* 64 queries */
        float s[R / 2], o[32], l[2], m[2];
        int row = r0 + lane / 4;
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; k++) wgmma_rows<R>(s, q_tile + (uint32_t)(r0 / 64 * 8192), k_tile, k);
        wgmma_commit();
        wgmma_wait<0>();
        settle<R / 2>(s);
        uint32_t p[R / 16][4];
        if (r0 < x.S) {
#pragma unroll
            for (int i = 0; i < R / 2; i++) {
                int c = i / 4 * 8 + 2 * t + (i & 1);
                if (i / 4 * 8 >= short_forward<R>::MASKED && c >= x.S) s[i] = -INFINITY;
            }
            if (x.causal) {
#pragma unroll
                for (int i = 0; i < R / 2; i++)
                    if (i / 4 * 8 + 2 * t + (i & 1) > row + (i >> 1 & 1) * 8) s[i] = -INFINITY;
            }
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float high = s[2 * h], sum = 0;
#pragma unroll
                for (int i = 0; i < R / 8; i++) high = fmaxf(high, fmaxf(s[4 * i + 2 * h], s[4 * i + 2 * h + 1]));
                high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 1));
                m[h] = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 2)) * x.scale_log2;
#pragma unroll
                for (int i = 0; i < R / 8; i++) {
                    float a = exp2_fast(fmaf(s[4 * i + 2 * h], x.scale_log2, -m[h])),
                          c = exp2_fast(fmaf(s[4 * i + 2 * h + 1], x.scale_log2, -m[h]));
                    sum += a + c;
                    p[i / 2][i % 2 * 2 + h] = pack2(a, c);
                }
                sum += __shfl_xor_sync(0xffffffffu, sum, 1);
                l[h] = sum + __shfl_xor_sync(0xffffffffu, sum, 2);
            }
        } else {
            l[0] = l[1] = 1, m[0] = m[1] = 0;
#pragma unroll
            for (int i = 0; i < R / 4; i++) p[i / 4][i % 4] = 0;
        }
        __syncwarp();
#pragma unroll
        for (int i = 0; i < 32; i++) o[i] = 0;
        settle<32>(o);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < R / 16; k++) wgmma_columns(o, p[k], v_tile, k);
        wgmma_commit();
        if (x.lse && t == 0)
            for (int h = 0; h < 2; h++)
                if (row + 8 * h < x.S) x.lse[(size_t)unit * x.Sp + row + 8 * h] = m[h] + log2f(l[h]);
        wgmma_wait<0>();
        settle<32>(o);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float inverse = 1.0f / l[h];
#pragma unroll
            for (int i = 0; i < 8; i++) o[4 * i + 2 * h] *= inverse, o[4 * i + 2 * h + 1] *= inverse;
        }
        store_head(x.o + (size_t)b * x.S * D + head * 64, D, o, r0, x.S);
    }
#else
    (void)x;
#endif
}

/* A warp group has 64 queries: P and dS of them, and dQ; then 64 keys: P and dS pass through shared memory, in tiles of 64
 * keys, and are P^T and dS^T to dV and dK. delta is the row's sum of P o dP, so o is not read. Of more than 96 positions the
 * second half of P stands where V was. */
template <int R> struct short_backward {
    static constexpr int GROUPS = (R + 63) / 64, TILE = R * 128, P = 4 * TILE, P_ROWS = R <= 96 ? R : 64,
                         DS = P + GROUPS * P_ROWS * 128, FULL = DS + GROUPS * TILE, SHARED = FULL + 16 + 1024,
                         MASKED = R <= 64 ? 0 : R <= 96 ? 64 : R - 16;
};

template <int R>
__global__ void __launch_bounds__(128 * short_backward<R>::GROUPS, R <= 64 ? 3 : 2)
    attention_backward_short(const __grid_constant__ CUtensorMap qkv_map, const __grid_constant__ CUtensorMap d_o_map,
                             attention_args<bf16> x)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    typedef short_backward<R> at;
    constexpr int TILE = at::TILE;
    extern __shared__ unsigned char shared_raw[];
    uint32_t q_tile = (shared_address(shared_raw) + 1023u) & ~1023u, k_tile = q_tile + TILE, v_tile = k_tile + TILE,
             d_o = v_tile + TILE, p_tiles = q_tile + at::P, ds_tiles = q_tile + at::DS, full = q_tile + at::FULL;
    int lane = (int)threadIdx.x % 32, t = lane % 4, group = (int)threadIdx.x / 128, r0 = (int)threadIdx.x / 32 * 16,
        row = r0 + lane / 4, D = x.heads * 64, unit = (int)blockIdx.x, head = unit % x.heads, b = unit / x.heads;
    if (threadIdx.x == 0) {
        barrier_init(full, 1);
        barrier_init(full + 8, 1);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    if (threadIdx.x == 0) {
        barrier_expect(full, 2 * TILE);
        copy_tile3(q_tile, &qkv_map, head * 64, 0, b, full);
        copy_tile3(k_tile, &qkv_map, D + head * 64, 0, b, full);
        barrier_expect(full + 8, 2 * TILE);
        copy_tile3(d_o, &d_o_map, head * 64, 0, b, full + 8);
        copy_tile3(v_tile, &qkv_map, 2 * D + head * 64, 0, b, full + 8);
    }
    bf16 *dq = x.dqkv + (size_t)b * x.S * 3 * D + head * 64;
    float s[R / 2], dp[R / 2], lse[2];
    uint32_t p[R / 16][4];
#pragma unroll
    for (int h = 0; h < 2; h++) lse[h] = row + 8 * h < x.S ? x.lse[(size_t)unit * x.Sp + row + 8 * h] : INFINITY; /* P = 0 */
    barrier_wait(full, 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++) wgmma_rows<R>(s, q_tile + (uint32_t)(group * 8192), k_tile, k);
    wgmma_commit();
    auto multiply_dp = [&] {
        barrier_wait(full + 8, 0);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; k++) wgmma_rows<R>(dp, d_o + (uint32_t)(group * 8192), v_tile, k);
        wgmma_commit();
    };
    if (R <= 96) {
        multiply_dp();
        wgmma_wait<1>();
    } else wgmma_wait<0>(); /* not both at once: they would not fit in registers */
    settle<R / 2>(s);
    float delta[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < R / 2; i++) {
        int c = i / 4 * 8 + 2 * t + (i & 1);
        s[i] = exp2_fast(fmaf(s[i], x.scale_log2, -lse[i >> 1 & 1]));
        if (i / 4 * 8 >= at::MASKED && c >= x.S) s[i] = 0;
    }
    if (x.causal) {
#pragma unroll
        for (int i = 0; i < R / 2; i++)
            if (i / 4 * 8 + 2 * t + (i & 1) > row + (i >> 1 & 1) * 8) s[i] = 0;
    }
#pragma unroll
    for (int i = 0; i < R / 4; i++) p[i / 4][i % 4] = pack2(s[2 * i], s[2 * i + 1]);
    __syncwarp();
    if (R > 96) multiply_dp();
    wgmma_wait<0>();
    settle<R / 2>(dp);
#pragma unroll
    for (int i = 0; i < R / 4; i++) {
        float v[2];
        unpack2(v, p[i / 4][i % 4]);
        delta[i & 1] = fmaf(v[0], dp[2 * i], fmaf(v[1], dp[2 * i + 1], delta[i & 1]));
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        delta[h] += __shfl_xor_sync(0xffffffffu, delta[h], 1);
        delta[h] += __shfl_xor_sync(0xffffffffu, delta[h], 2);
    }
    uint32_t ds[R / 16][4];
#pragma unroll
    for (int i = 0; i < R / 4; i++) {
        float v[2];
        unpack2(v, p[i / 4][i % 4]);
        ds[i / 4][i % 4] = pack2(v[0] * (dp[2 * i] - delta[i & 1]), v[1] * (dp[2 * i + 1] - delta[i & 1]));
    }
    __syncwarp();
    float out[32];
    float2 cs[2][8];
#pragma unroll
    for (int i = 0; i < 32; i++) out[i] = 0;
    settle<32>(out);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < R / 16; k++) wgmma_columns(out, ds[k], k_tile, k);
    wgmma_commit();
    if (R > 96) __syncthreads(); /* nobody reads V any more */
    uint32_t p_at = R > 96 && group ? v_tile : p_tiles, p_step = R > 96 && group ? (R - 64) * 128 : at::P_ROWS * 128;
    if (r0 < R) {
#pragma unroll
        for (int k = 0; k < R / 16; k++) {
            store_fragment(p_at + (uint32_t)(k / 4) * p_step, R > 96 ? r0 % 64 : r0, k % 4, p[k]);
            store_fragment(ds_tiles + (uint32_t)(k / 4 * TILE), r0, k % 4, ds[k]);
        }
    }
    if (R <= 96) load_turns(cs, x.rope, row, x.S);
    fence_async();
    __syncthreads();
    wgmma_wait<0>();
    if (R > 96) load_turns(cs, x.rope, row, x.S);
    settle<32>(out);
    turn_back(out, cs, x.scale);
    store_head(dq, 3 * D, out, r0, x.S);
    float dk[32];
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < R / 16; k++) /* 64 keys of each sixteen queries */
        wgmma_transposed(out, R > 96 && k >= 4 ? v_tile + (uint32_t)(group * (R - 64) * 128 + (k - 4) * 2048)
                                               : p_tiles + (uint32_t)(group * at::P_ROWS * 128 + k * 2048),
                         d_o + (uint32_t)(k * 2048), k);
    wgmma_commit();
#pragma unroll
    for (int k = 0; k < R / 16; k++)
        wgmma_transposed(dk, ds_tiles + (uint32_t)(group * TILE + k * 2048), q_tile + (uint32_t)(k * 2048), k);
    wgmma_commit();
    wgmma_wait<1>();
    settle<32>(out);
    store_head(dq + 2 * D, 3 * D, out, r0, x.S);
    wgmma_wait<0>();
    settle<32>(dk);
    turn_back(dk, cs, x.scale);
    store_head(dq + D, 3 * D, dk, r0, x.S);
#else
    (void)x;
#endif
}

/* ==================================================================================================== >>cuda-mixer =======
 * Half a mixer's block in one kernel (sm_90a), y = rms(x + mix(x)) along the positions, of streams [B,S,D] as they are: a tile
 * is [positions, 64 channels] of one puzzle, 128 bytes a row, which wgmma reads transposed, so that a row of the products is a
 * channel. The weights stay in shared memory; one warp group moves tiles, each of the others works on one at a time. Gate and
 * up of 64 columns are multiplied, become h in registers, and h is the next product's operand there. What is beyond S is read
 * as 0, times weights that are 0, and not written.
 */
enum {
    MX_S = 88,      /* most positions */
    MX_ROWS = 96,   /* of a tile: sixteen a product */
    MX_I = 256,     /* most columns inside */
    MX_GROUPS = 3,  /* that work */
    MX_SLOTS = 6,
    MX_TILE = MX_ROWS * 128,
    MX_GATE_UP = 2 * MX_I / 64 * MX_TILE, /* [positions, 64 of gate and up] */
    MX_DOWN_BOX = MX_S * 128,             /* [positions, 64 of h] */
    MX_DOWN = MX_I / 64 * MX_DOWN_BOX,
    MX_SHARED = MX_GATE_UP + MX_DOWN + MX_SLOTS * MX_TILE + 8 * (3 * MX_SLOTS + MX_I / 64) + 1024,
    MX_THREADS = 128 * (MX_GROUPS + 1)
};

struct mixer_args {
    const float *squares; /* [B S,slots] of x; NULL: it is normalised */
    float       *r, *inner; /* [B,D] factors of the norms along positions and inside; forward they may be NULL */
    float       *k;         /* [B,D] of the way back, see there */
    e4m3        *small;     /* [B,S,D] forward: y in e4m3 as well; NULL: it is not wanted */
    int          slots, S, D, I, norm, units;
    float        inv_D, inv_S, inv_I, eps;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    #define WG_D8(i)  WG_D4(i), WG_D4(i + 4)
    #define WG_LIST44 WG_LIST32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43"
/* d [64,128] (+)= a^T b, both sixteen rows in shared memory */
__device__ __forceinline__ void wgmma_mix_up(float *d, uint64_t a, uint64_t b, int add)
{
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WG_LIST64
                 "}, %64, %65, p, 1, 1, 1, 1;\n}\n"
                 : WG_D64(0)
                 : "l"(a), "l"(b), "r"(add));
}
/* d [64,88] (+)= a b^T, a in registers, b sixteen elements of rows in shared memory */
__device__ __forceinline__ void wgmma_mix_down(float *d, const uint32_t *a, uint64_t b, int add)
{
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %49, 0;\nwgmma.mma_async.sync.aligned.m64n88k16.f32.bf16.bf16 {" WG_LIST44
                 "}, {%44,%45,%46,%47}, %48, p, 1, 1, 0;\n}\n"
                 : WG_D16(0), WG_D16(16), WG_D8(32), WG_D4(40)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
}
__device__ __forceinline__ void stmatrix4_trans(uint32_t address, const uint32_t *r)
{
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};\n" ::"r"(address), "r"(r[0]), "r"(r[1]),
                 "r"(r[2]), "r"(r[3])
                 : "memory");
}
__device__ __forceinline__ void store_tile3(const CUtensorMap *map, uint32_t from, int x, int y, int z)
{
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4}], [%1];\n" ::"l"((uint64_t)map),
                 "r"(from), "r"(x), "r"(y), "r"(z)
                 : "memory");
    asm volatile("cp.async.bulk.commit_group;\n" ::: "memory");
}
__device__ __forceinline__ void group_barrier(int group) { asm volatile("bar.sync %0, 128;\n" ::"r"(group) : "memory"); }
#endif

__global__ void __launch_bounds__(MX_THREADS, 1)
    mixer_forward_wgmma(const __grid_constant__ CUtensorMap x_map, const __grid_constant__ CUtensorMap y_map,
                        const __grid_constant__ CUtensorMap gate_up_map, const __grid_constant__ CUtensorMap down_map,
                        mixer_args a)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, gate_up = base, down = base + MX_GATE_UP,
             tiles = down + MX_DOWN, full = tiles + MX_SLOTS * MX_TILE, scaled = full + 8 * MX_SLOTS,
             done = scaled + 8 * MX_SLOTS, there = done + 8 * MX_SLOTS;
    int group = (int)threadIdx.x / 128, warp = (int)threadIdx.x / 32 % 4, lane = (int)threadIdx.x % 32,
        across = ceil_div(a.D, 64), steps = ceil_div(a.I, 64),
        mine = (a.units - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < MX_SLOTS; i++) {
            barrier_init(full + 8 * i, 1);
            barrier_init(scaled + 8 * i, 96);
            barrier_init(done + 8 * i, 4);
        }
        for (uint32_t i = 0; i < MX_I / 64; i++) barrier_init(there + 8 * i, 1);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain();
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 32;\n");
        if (threadIdx.x == 0) {
            auto load_tile = [&](int i) {
                int unit = (int)blockIdx.x + i * (int)gridDim.x;
                uint32_t slot = (uint32_t)(i % MX_SLOTS);
                barrier_expect(full + 8 * slot, MX_TILE);
                copy_tile3(tiles + slot * MX_TILE, &x_map, unit % across * 64, 0, unit / across, full + 8 * slot);
            };
            for (int i = 0; i < MX_SLOTS; i++) {
                if (i < mine) load_tile(i);
                if (i < steps) {
                    uint32_t ready = there + 8 * (uint32_t)i, at = gate_up + (uint32_t)(2 * i * MX_TILE);
                    barrier_expect(ready, 2 * MX_TILE + MX_DOWN_BOX);
                    copy_tile(at, &gate_up_map, i * 128, 0, ready);
                    copy_tile(at + MX_TILE, &gate_up_map, i * 128 + 64, 0, ready);
                    copy_tile(down + (uint32_t)(i * MX_DOWN_BOX), &down_map, i * 64, 0, ready);
                }
            }
            for (int i = 0; i < mine; i++) {
                int unit = (int)blockIdx.x + i * (int)gridDim.x;
                uint32_t slot = (uint32_t)(i % MX_SLOTS);
                barrier_wait(done + 8 * slot, i / MX_SLOTS & 1);
                store_tile3(&y_map, tiles + slot * MX_TILE, unit % across * 64, 0, unit / across);
                if (i + MX_SLOTS < mine) {
                    asm volatile("cp.async.bulk.wait_group.read 0;\n" ::: "memory");
                    load_tile(i + MX_SLOTS);
                }
            }
            asm volatile("cp.async.bulk.wait_group 0;\n" ::: "memory");
        } else if (warp > 0 && a.squares) { /* a lane finds the factor of a row, eight lanes multiply one by its */
            for (int i = 0; i < mine; i++) {
                int s = 32 * (warp - 1) + lane, b = ((int)blockIdx.x + i * (int)gridDim.x) / across;
                uint32_t slot = (uint32_t)(i % MX_SLOTS);
                uint32_t at = tiles + slot * MX_TILE + (uint32_t)((warp - 1) * 4096 + lane * 16);
                float sum = 0;
                for (int j = 0; s < a.S && j < a.slots; j++) sum += a.squares[((size_t)b * a.S + s) * a.slots + j];
                sum = s < a.S ? rsqrtf(sum * a.inv_D + a.eps) : 0;
                barrier_wait(full + 8 * slot, i / MX_SLOTS & 1);
#pragma unroll
                for (int k = 0; k < 8; k++) {
                    float f = __shfl_sync(0xffffffffu, sum, 4 * k + lane / 8), v[8];
                    uint32_t x[4];
                    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];\n"
                                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                                 : "r"(at + (uint32_t)k * 512));
#pragma unroll
                    for (int j = 0; j < 4; j++) unpack2(v + 2 * j, x[j]), x[j] = pack2(f * v[2 * j], f * v[2 * j + 1]);
                    asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};\n" ::"r"(at + (uint32_t)k * 512), "r"(x[0]), "r"(x[1]),
                                 "r"(x[2]), "r"(x[3])
                                 : "memory");
                }
                fence_async();
                barrier_arrive(scaled + 8 * slot);
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 160;\n");
        float acc[64], o[44];
        int g = lane / 4, t = lane % 4;
        /* where a lane's rows of the tile's matrices of eight by eight begin: the warp's sixteen channels, transposed */
        uint32_t turned =
            (uint32_t)((lane & 7) * 128 + (lane >> 4) * 1024 + (((warp * 2 + (lane >> 3 & 1)) ^ (lane & 7)) << 4));
        for (int i = group - 1; i < mine; i += MX_GROUPS) {
            int unit = (int)blockIdx.x + i * (int)gridDim.x, channel0 = unit % across * 64 + warp * 16 + g;
            uint32_t slot = (uint32_t)(i % MX_SLOTS), tile = tiles + slot * MX_TILE;
            float squares[2] = {0, 0};
            barrier_wait((a.squares ? scaled : full) + 8 * slot, i / MX_SLOTS & 1);
            for (int c = 0; c < steps; c++) {
                uint32_t h[4][4], b = gate_up + (uint32_t)(2 * c * MX_TILE), b2 = down + (uint32_t)(c * MX_DOWN_BOX);
                if (i < MX_GROUPS) barrier_wait(there + 8 * (uint32_t)c, 0);
                wgmma_fence();
#pragma unroll
                for (uint32_t k = 0; k < MX_ROWS / 16; k++)
                    wgmma_mix_up(acc, matrix_descriptor(tile + k * 2048, MX_TILE, 1024),
                                 matrix_descriptor(b + k * 2048, MX_TILE, 1024), k != 0);
                wgmma_commit();
                wgmma_wait<0>();
                settle<64>(acc);
#pragma unroll
                for (int j = 0; j < 8; j++)
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        const float *gate = acc + 8 * j + 2 * half, *up = gate + 4;
                        float p[2];
#pragma unroll
                        for (int e = 0; e < 2; e++) { /* silu(g) u = q + q tanh(g / 2), q = g u / 2 */
                            float s = 0.5f * gate[e], q = s * up[e];
                            squares[half] = fmaf(q, q, squares[half]);
                            p[e] = fmaf(q, tanh_fast(s), q);
                        }
                        h[j / 2][j % 2 * 2 + half] = pack2(p[0], p[1]);
                    }
                settle<44>(o);
                wgmma_fence();
#pragma unroll
                for (uint32_t k = 0; k < 4; k++)
                    wgmma_mix_down(o, h[k], matrix_descriptor(b2 + k * 32, 16, 1024), c != 0 || k != 0);
                wgmma_commit();
            }
            float f[2] = {1.0f, 1.0f}, sum[2] = {0, 0};
#pragma unroll
            for (int half = 0; half < 2; half++) {
                squares[half] += __shfl_xor_sync(0xffffffffu, squares[half], 1);
                squares[half] += __shfl_xor_sync(0xffffffffu, squares[half], 2);
                if (a.norm) f[half] = rsqrtf(4.0f * squares[half] * a.inv_I + a.eps);
                int channel = channel0 + 8 * half;
                if (a.inner && t == 0 && channel < a.D) a.inner[(size_t)(unit / across) * a.D + channel] = f[half];
            }
            wgmma_wait<0>();
            settle<44>(o);
#pragma unroll
            for (int j = 0; j < 11; j += 2) {
                uint32_t x[4];
                ldmatrix4<true>(x, tile + turned + (uint32_t)(j * 1024));
#pragma unroll
                for (int e = 0; e < (j == 10 ? 2 : 4); e++) {
                    float v[2], *to = o + 4 * (j + e / 2) + e % 2 * 2;
                    unpack2(v, x[e]);
                    to[0] = fmaf(f[e % 2], to[0], v[0]), to[1] = fmaf(f[e % 2], to[1], v[1]);
                    sum[e % 2] = fmaf(to[0], to[0], fmaf(to[1], to[1], sum[e % 2]));
                }
            }
#pragma unroll
            for (int half = 0; half < 2; half++) {
                sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 1);
                sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 2);
                f[half] = rsqrtf(sum[half] * a.inv_S + a.eps);
                int channel = channel0 + 8 * half;
                if (a.r && t == 0 && channel < a.D) a.r[(size_t)(unit / across) * a.D + channel] = f[half];
            }
            group_barrier(group); /* nobody reads the tile any more */
#pragma unroll
            for (int j = 0; j < 12; j += 2) {
                uint32_t x[4];
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const float *v = o + 4 * (j + e / 2) + e % 2 * 2;
                    x[e] = j + e / 2 < 11 ? pack2(f[e % 2] * v[0], f[e % 2] * v[1]) : 0;
                }
                stmatrix4_trans(tile + turned + (uint32_t)(j * 1024), x);
            }
            if (a.small) { /* eight channels of a position a thread */
                e4m3 *to = a.small + (size_t)(unit / across) * a.S * a.D + unit % across * 64;
                group_barrier(group);
                for (int k = (int)threadIdx.x % 128; k < a.S * 8; k += 128) {
                    int s = k / 8, c = k % 8;
                    float v[8];
                    uint32_t x[4], q[4];
                    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];\n"
                                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                                 : "r"(tile + (uint32_t)(s * 128 + ((c ^ (s & 7)) << 4))));
#pragma unroll
                    for (int j = 0; j < 4; j++)
                        unpack2(v + 2 * j, x[j]), q[j] = pack2_e4m3(E4M3_STATE * v[2 * j], E4M3_STATE * v[2 * j + 1]);
                    *(uint2 *)(to + (size_t)s * a.D + c * 8) = make_uint2(q[0] | q[1] << 16, q[2] | q[3] << 16);
                }
            }
            fence_async();
            __syncwarp();
            if (lane == 0) barrier_arrive(done + 8 * slot);
        }
    }
#else
    (void)a;
#endif
}

/* The way back of it, dz -> dx in place, with what the weights' gradients need besides x: ds and k. ds = rms'(dz) is one
 * product's operand in registers, d[gate,up] the other's. With the norm inside of factor r and its mean of dn n,
 *   dp = r dn - k gate up,  k = r^2 mean,  I mean = sum of dh h = sum of ds branch = S eps r1^2 mean(dz y) - sum of ds x
 * as ds is at right angles to y; so one look at gate and up suffices. r is in ds from the start.
 * Weights stand in chunks of 64 columns inside, [positions, 64] of down, gate and up, the first chunk last: where the last
 * sixteen positions reach past the end they meet what has been there before, times 0.
 */
enum {
    MB_GROUPS = 2,
    MB_CHUNK = 3 * MX_DOWN_BOX,
    MB_WEIGHTS = MX_I / 64 * MB_CHUNK + 1024,
    MB_GROUP = 2 * MX_TILE + 2 * MX_DOWN_BOX, /* x twice; dz and y */
    MB_BARRIERS = 6,
    MB_SHARED = MB_WEIGHTS + MB_GROUPS * MB_GROUP + 8 * (MB_GROUPS * MB_BARRIERS + MX_I / 64) + 1024,
    MB_THREADS = 128 * (MB_GROUPS + 1)
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/* d [64,64] (+)= a b, a in registers, b sixteen rows in shared memory */
__device__ __forceinline__ void wgmma_mix_back(float *d, const uint32_t *a, uint64_t b, int add)
{
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WG_LIST32
                 "}, {%32,%33,%34,%35}, %36, p, 1, 1, 1;\n}\n"
                 : WG_D16(0), WG_D16(16)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
}
__device__ __forceinline__ void stmatrix2_trans(uint32_t address, const uint32_t *r)
{
    asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1,%2};\n" ::"r"(address), "r"(r[0]), "r"(r[1])
                 : "memory");
}
/* of 64 columns inside, dh in the accumulators' layout: d[gate] and d[up] as operands, and h where it is wanted */
template <bool H>
__device__ __forceinline__ void mixer_swiglu_back(uint32_t (*d)[4], uint32_t (*h)[4], const float *gate_up, const float *dh,
                                                  const float *k)
{
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const float *gate = gate_up + 8 * j + 2 * half, *up = gate + 4, *back = dh + 4 * j + 2 * half;
            float dg[2], du[2], out[2];
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float sigmoid = sigmoid_fast(gate[e]), p = gate[e] * up[e], dn = back[e] * sigmoid,
                      dp = fmaf(-k[half], p, dn);
                dg[e] = fmaf(fmaf(-dn, sigmoid, dn), p, dp * up[e]);
                du[e] = dp * gate[e];
                out[e] = sigmoid * p;
            }
            d[j][half] = pack2(dg[0], dg[1]);
            d[j][2 + half] = pack2(du[0], du[1]);
            if (H) h[j / 2][j % 2 * 2 + half] = pack2(out[0], out[1]);
        }
}
#endif

__global__ void __launch_bounds__(MB_THREADS, 1)
    mixer_backward_wgmma(const __grid_constant__ CUtensorMap x_map, const __grid_constant__ CUtensorMap y_map,
                         const __grid_constant__ CUtensorMap dz_map, const __grid_constant__ CUtensorMap ds_map,
                         const __grid_constant__ CUtensorMap gate_up_map, const __grid_constant__ CUtensorMap down_map,
                         mixer_args a)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, last = base + (MX_I / 64 - 1) * MB_CHUNK,
             there = base + MB_WEIGHTS + MB_GROUPS * (MB_GROUP + 8 * MB_BARRIERS);
    int group = (int)threadIdx.x / 128, warp = (int)threadIdx.x / 32 % 4, lane = (int)threadIdx.x % 32,
        across = ceil_div(a.D, 64), steps = ceil_div(a.I, 64),
        mine = (a.units - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
    /* the group that works, or that this warp moves tiles for */
    int of = group ? group - 1 : warp;
    uint32_t x_tiles = base + MB_WEIGHTS + (uint32_t)of * MB_GROUP, dz_tile = x_tiles + 2 * MX_TILE,
             y_tile = dz_tile + MX_DOWN_BOX, x_full = base + MB_WEIGHTS + MB_GROUPS * MB_GROUP + (uint32_t)of * 8 * MB_BARRIERS,
             x_done = x_full + 16, full = x_done + 16, done = full + 8;
    if (threadIdx.x < MB_GROUPS) {
        uint32_t at = base + MB_WEIGHTS + MB_GROUPS * MB_GROUP + threadIdx.x * 8 * MB_BARRIERS;
        for (uint32_t i = 0; i < 2; i++) barrier_init(at + 8 * i, 1), barrier_init(at + 16 + 8 * i, 4);
        barrier_init(at + 32, 1), barrier_init(at + 40, 4);
        if (threadIdx.x == 0)
            for (uint32_t i = 0; i < MX_I / 64; i++) barrier_init(there + 8 * i, 1);
        asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
    }
    if (threadIdx.x < 256)
        asm volatile("st.shared.u32 [%0], %1;\n" ::"r"(last + MB_CHUNK + threadIdx.x * 4), "r"(0) : "memory");
    fence_async();
    __syncthreads();
    chain();
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;\n");
        if (warp < MB_GROUPS && lane == 0) {
            auto unit = [&](int j) { return (int)blockIdx.x + (of + j * MB_GROUPS) * (int)gridDim.x; };
            auto load_x = [&](int j) {
                uint32_t ready = x_full + 8 * (uint32_t)(j & 1);
                barrier_expect(ready, MX_TILE);
                copy_tile3(x_tiles + (uint32_t)((j & 1) * MX_TILE), &x_map, unit(j) % across * 64, 0, unit(j) / across, ready);
            };
            int n = (mine - of + MB_GROUPS - 1) / MB_GROUPS;
            if (n > 0) {
                barrier_expect(full, 2 * MX_DOWN_BOX);
                copy_tile3(dz_tile, &dz_map, unit(0) % across * 64, 0, unit(0) / across, full);
                copy_tile3(y_tile, &y_map, unit(0) % across * 64, 0, unit(0) / across, full);
                load_x(0);
            }
            if (of == 0)
                for (int c = 0; c < steps; c++) {
                    uint32_t ready = there + 8 * (uint32_t)c, at = last - (uint32_t)(c * MB_CHUNK);
                    barrier_expect(ready, MB_CHUNK);
                    copy_tile(at, &down_map, c * 64, 0, ready);
                    copy_tile(at + MX_DOWN_BOX, &gate_up_map, c * 128, 0, ready);
                    copy_tile(at + 2 * MX_DOWN_BOX, &gate_up_map, c * 128 + 64, 0, ready);
                }
            if (n > 1) load_x(1);
            for (int j = 0; j < n; j++) {
                barrier_wait(done, j & 1);
                if (j + 1 < n) {
                    barrier_expect(full, 2 * MX_DOWN_BOX);
                    copy_tile3(dz_tile, &dz_map, unit(j + 1) % across * 64, 0, unit(j + 1) / across, full);
                }
                store_tile3(&ds_map, y_tile, unit(j) % across * 64, 0, unit(j) / across);
                asm volatile("cp.async.bulk.wait_group.read 0;\n" ::: "memory");
                if (j + 1 < n) copy_tile3(y_tile, &y_map, unit(j + 1) % across * 64, 0, unit(j + 1) / across, full);
                barrier_wait(x_done + 8 * (uint32_t)(j & 1), j >> 1 & 1);
                store_tile3(&dz_map, x_tiles + (uint32_t)((j & 1) * MX_TILE), unit(j) % across * 64, 0, unit(j) / across);
                asm volatile("cp.async.bulk.wait_group.read 0;\n" ::: "memory");
                if (j + 2 < n) load_x(j + 2);
            }
            asm volatile("cp.async.bulk.wait_group 0;\n" ::: "memory");
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;\n");
        float acc[64], dh[32], o[44];
        int g = lane / 4, t = lane % 4, j = 0;
        uint32_t turned =
            (uint32_t)((lane & 7) * 128 + (lane >> 4) * 1024 + (((warp * 2 + (lane >> 3 & 1)) ^ (lane & 7)) << 4));
        float next_r[2], next_inner[2];
        auto load_factors = [&](int i) {
            int unit = (int)blockIdx.x + i * (int)gridDim.x, channel = unit % across * 64 + warp * 16 + g;
            size_t at = (size_t)(unit / across) * a.D + channel;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                bool inside = i < mine && channel + 8 * half < a.D;
                next_r[half] = inside ? a.r[at + 8 * half] : 0;
                next_inner[half] = inside && a.norm ? a.inner[at + 8 * half] : 1.0f;
            }
        };
        load_factors(of);
        for (int i = of; i < mine; i += MB_GROUPS, j++) {
            int unit = (int)blockIdx.x + i * (int)gridDim.x, channel = unit % across * 64 + warp * 16 + g;
            uint32_t ds[6][4], x_tile = x_tiles + (uint32_t)((j & 1) * MX_TILE);
            float r[2] = {next_r[0], next_r[1]}, inner[2] = {next_inner[0], next_inner[1]}, k[2] = {0, 0}, m[2] = {0, 0};
            size_t at = (size_t)(unit / across) * a.D + channel;
            barrier_wait(full, j & 1);
            {
                uint32_t dz[6][4], y[6][4];
#pragma unroll
                for (int q = 0; q < 6; q++) {
                    uint32_t from = turned + (uint32_t)(q < 5 ? q * 2048 : 10240 - (lane >> 4) * 1024); /* no more rows */
                    ldmatrix4<true>(dz[q], dz_tile + from);
                    ldmatrix4<true>(y[q], y_tile + from);
#pragma unroll
                    for (int e = 0; e < (q == 5 ? 2 : 4); e++) {
                        float u[2], v[2];
                        unpack2(u, dz[q][e]), unpack2(v, y[q][e]);
                        m[e % 2] = fmaf(u[0], v[0], fmaf(u[1], v[1], m[e % 2]));
                    }
                }
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    m[half] += __shfl_xor_sync(0xffffffffu, m[half], 1);
                    m[half] += __shfl_xor_sync(0xffffffffu, m[half], 2);
                    m[half] *= a.inv_S;
                }
                barrier_wait(x_full + 8 * (uint32_t)(j & 1), j >> 1 & 1);
#pragma unroll
                for (int q = 0; q < 6; q++) {
                    uint32_t x[4];
                    ldmatrix4<true>(x, x_tile + turned + (uint32_t)(q * 2048));
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        float u[2], v[2], w[2];
                        ds[q][e] = 0;
                        if (q == 5 && e > 1) continue;
                        unpack2(u, dz[q][e]), unpack2(v, y[q][e]), unpack2(w, x[e]);
                        u[0] = r[e % 2] * fmaf(-m[e % 2], v[0], u[0]), u[1] = r[e % 2] * fmaf(-m[e % 2], v[1], u[1]);
                        k[e % 2] = fmaf(u[0], w[0], fmaf(u[1], w[1], k[e % 2]));
                        ds[q][e] = pack2(inner[e % 2] * u[0], inner[e % 2] * u[1]);
                    }
                    if (q < 5) stmatrix4_trans(y_tile + turned + (uint32_t)(q * 2048), ds[q]);
                    else stmatrix2_trans(y_tile + turned + (uint32_t)(q * 2048), ds[q]);
                }
            }
            fence_async();
            __syncwarp();
            if (lane == 0) barrier_arrive(done);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                k[half] += __shfl_xor_sync(0xffffffffu, k[half], 1);
                k[half] += __shfl_xor_sync(0xffffffffu, k[half], 2);
                k[half] = a.norm ? inner[half] * inner[half] * a.inv_I *
                                       ((float)a.S * a.eps * r[half] * r[half] * m[half] - k[half])
                                 : 0;
                if (t == 0 && channel + 8 * half < a.D) a.k[at + 8 * half] = k[half];
            }
            for (int c = 0; c < steps; c++) {
                uint32_t d[8][4], b = last - (uint32_t)(c * MB_CHUNK), b2 = b + MX_DOWN_BOX;
                if (i < MB_GROUPS) barrier_wait(there + 8 * (uint32_t)c, 0);
                wgmma_fence();
#pragma unroll
                for (uint32_t q = 0; q < 6; q++)
                    wgmma_mix_up(acc, matrix_descriptor(x_tile + q * 2048, MX_TILE, 1024),
                                 matrix_descriptor(b2 + q * 2048, MX_DOWN_BOX, 1024), q != 0);
#pragma unroll
                for (uint32_t q = 0; q < 6; q++)
                    wgmma_mix_back(dh, ds[q], matrix_descriptor(b + q * 2048, MX_DOWN_BOX, 1024), q != 0);
                wgmma_commit();
                wgmma_wait<0>();
                settle<64>(acc);
                settle<32>(dh);
                mixer_swiglu_back<false>(d, NULL, acc, dh, k);
                settle<44>(o);
                wgmma_fence();
#pragma unroll
                for (uint32_t q = 0; q < 8; q++)
                    wgmma_mix_down(o, d[q], matrix_descriptor(b2 + q / 4 * MX_DOWN_BOX + q % 4 * 32, 16, 1024),
                                   c != 0 || q != 0);
                wgmma_commit();
            }
            load_factors(i + MB_GROUPS);
            wgmma_wait<0>();
            settle<44>(o);
            group_barrier(group); /* nobody reads x any more */
            m[0] = 1.0f / inner[0], m[1] = 1.0f / inner[1];
#pragma unroll
            for (int q = 0; q < 6; q++) {
                uint32_t x[4];
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    float v[2];
                    x[e] = 0;
                    if (q == 5 && e > 1) continue;
                    const float *from = o + 4 * (2 * q + e / 2) + e % 2 * 2;
                    unpack2(v, ds[q][e]);
                    x[e] = pack2(fmaf(m[e % 2], v[0], from[0]), fmaf(m[e % 2], v[1], from[1]));
                }
                stmatrix4_trans(x_tile + turned + (uint32_t)(q * 2048), x);
            }
            fence_async();
            __syncwarp();
            if (lane == 0) barrier_arrive(x_done + 8 * (uint32_t)(j & 1));
        }
    }
#else
    (void)a;
#endif
}

/* The gradients of its weights: a block has 64 columns inside and a share of the tiles. Two warp groups compute d[gate,up] and
 * h of every other tile again, from x, ds and k, and leave them in shared memory; the third adds their products with x and ds
 * to the sums that it holds. A share's sums are a split of their own in `parts`.
 */
enum {
    MW_GROUPS = 2, /* that compute */
    MW_SLOTS = 6,
    MW_PAIR = MX_TILE + MX_DOWN_BOX, /* x, ds */
    MW_BACK = 3 * 8192,              /* [64 channels, 64] of the first, the second half of d[gate,up], and of h */
    MW_SHARED = MB_CHUNK + 1024 + MW_GROUPS * MW_BACK + MW_SLOTS * MW_PAIR + 8 * (2 * MW_SLOTS + 3 * MW_GROUPS + 1) + 1024,
    MW_THREADS = 128 * (MW_GROUPS + 2)
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/* d [64,88] += a^T b^T, a sixteen rows, b sixteen elements of rows in shared memory */
__device__ __forceinline__ void wgmma_mix_weight(float *d, uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n88k16.f32.bf16.bf16 {" WG_LIST44 "}, %44, %45, 1, 1, 1, 1, 0;\n"
                 : WG_D16(0), WG_D16(16), WG_D8(32), WG_D4(40)
                 : "l"(a), "l"(b));
}
#endif

__global__ void __launch_bounds__(MW_THREADS, 1)
    mixer_gradient_wgmma(const __grid_constant__ CUtensorMap x_map, const __grid_constant__ CUtensorMap ds_map,
                         const __grid_constant__ CUtensorMap gate_up_map, const __grid_constant__ CUtensorMap down_map,
                         mixer_args a, float *gate_up_parts, float *down_parts, int shares)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, gate_up = base + MX_DOWN_BOX, back = base + MB_CHUNK + 1024,
             tiles = back + MW_GROUPS * MW_BACK, full = tiles + MW_SLOTS * MW_PAIR, empty = full + 8 * MW_SLOTS,
             ready = empty + 8 * MW_SLOTS, taken = ready + 8 * MW_GROUPS, turns = taken + 8 * MW_GROUPS,
             there = turns + 8 * MW_GROUPS;
    int group = (int)threadIdx.x / 128, warp = (int)threadIdx.x / 32 % 4, lane = (int)threadIdx.x % 32, g = lane / 4,
        t = lane % 4, across = ceil_div(a.D, 64), slices = (int)gridDim.x / shares, slice = (int)blockIdx.x % slices,
        share = (int)blockIdx.x / slices, mine = (a.units - share + shares - 1) / shares;
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < 2 * MW_SLOTS; i++) barrier_init(full + 8 * i, 1);
        for (uint32_t i = 0; i < MW_GROUPS; i++) {
            barrier_init(ready + 8 * i, 4);
            barrier_init(taken + 8 * i, 1);
            barrier_init(turns + 8 * i, 1);
        }
        barrier_init(there, 1);
        asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
    }
    if (threadIdx.x < 256)
        asm volatile("st.shared.u32 [%0], %1;\n" ::"r"(base + MB_CHUNK + threadIdx.x * 4), "r"(0) : "memory");
    fence_async();
    __syncthreads();
    chain();
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 32;\n");
        if (threadIdx.x == 0) {
            barrier_expect(there, MB_CHUNK);
            copy_tile(base, &down_map, slice * 64, 0, there);
            copy_tile(gate_up, &gate_up_map, slice * 128, 0, there);
            copy_tile(gate_up + MX_DOWN_BOX, &gate_up_map, slice * 128 + 64, 0, there);
            for (int i = 0; i < mine; i++) {
                int unit = share + i * shares;
                uint32_t slot = (uint32_t)(i % MW_SLOTS), at = tiles + slot * MW_PAIR;
                if (i >= MW_SLOTS) barrier_wait(empty + 8 * slot, (i / MW_SLOTS - 1) & 1);
                barrier_expect(full + 8 * slot, MW_PAIR);
                copy_tile3(at, &x_map, unit % across * 64, 0, unit / across, full + 8 * slot);
                copy_tile3(at + MX_TILE, &ds_map, unit % across * 64, 0, unit / across, full + 8 * slot);
            }
        }
    } else if (group <= MW_GROUPS) {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 160;\n");
        float acc[64], dh[32], next[2];
        int of = group - 1;
        uint32_t turned =
            (uint32_t)((lane & 7) * 128 + (lane >> 4) * 1024 + (((warp * 2 + (lane >> 3 & 1)) ^ (lane & 7)) << 4));
        /* a lane's row and, of two groups of eight columns, the one it gives the address of */
        uint32_t row = back + (uint32_t)(of * MW_BACK + (warp * 16 + (lane & 15)) * 128),
                 column = (uint32_t)(((lane >> 4) ^ (lane & 7)) << 4);
        auto load_k = [&](int i) {
            int unit = share + i * shares, channel = unit % across * 64 + warp * 16 + g;
#pragma unroll
            for (int half = 0; half < 2; half++)
                next[half] = i < mine && channel + 8 * half < a.D ? a.k[(size_t)(unit / across) * a.D + channel + 8 * half] : 0;
        };
        load_k(of);
        barrier_wait(there, 0);
        for (int i = of; i < mine; i += MW_GROUPS) {
            uint32_t slot = (uint32_t)(i % MW_SLOTS), x_tile = tiles + slot * MW_PAIR, ds[6][4], d[8][4], h[4][4];
            float k[2] = {next[0], next[1]};
            load_k(i + MW_GROUPS);
            barrier_wait(full + 8 * slot, i / MW_SLOTS & 1);
#pragma unroll
            for (int q = 0; q < 6; q++)
                ldmatrix4<true>(ds[q], x_tile + MX_TILE + turned +
                                           (uint32_t)(q < 5 ? q * 2048 : 10240 - (lane >> 4) * 1024)); /* no more rows */
            ds[5][2] = ds[5][3] = 0;
            /* in turns, or both would multiply at the same time and rest at the same time */
            if (i > 0) barrier_wait(turns + 8 * (uint32_t)(1 - of), (i - 1) / MW_GROUPS & 1);
            wgmma_fence();
#pragma unroll
            for (uint32_t q = 0; q < 6; q++)
                wgmma_mix_up(acc, matrix_descriptor(x_tile + q * 2048, MX_TILE, 1024),
                             matrix_descriptor(gate_up + q * 2048, MX_DOWN_BOX, 1024), q != 0);
            wgmma_commit();
#pragma unroll
            for (uint32_t q = 0; q < 6; q++)
                wgmma_mix_back(dh, ds[q], matrix_descriptor(base + q * 2048, MX_DOWN_BOX, 1024), q != 0);
            wgmma_commit();
            wgmma_wait<1>();
            if (threadIdx.x % 128 == 0) barrier_arrive(turns + 8 * (uint32_t)of);
            wgmma_wait<0>();
            settle<64>(acc);
            settle<32>(dh);
            mixer_swiglu_back<true>(d, h, acc, dh, k);
            if (i >= MW_GROUPS) barrier_wait(taken + 8 * (uint32_t)of, (i / MW_GROUPS - 1) & 1);
#pragma unroll
            for (int q = 0; q < 8; q++) stmatrix4(row + (uint32_t)(q / 4 * 8192) + (column ^ (uint32_t)(q % 4 * 32)), d[q]);
#pragma unroll
            for (int q = 0; q < 4; q++) stmatrix4(row + 16384 + (column ^ (uint32_t)(q * 32)), h[q]);
            fence_async();
            __syncwarp();
            if (lane == 0) barrier_arrive(ready + 8 * (uint32_t)of);
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 160;\n");
        float sums[3][44]; /* of gate and up's rows, twice 64, and of down's columns */
#pragma unroll
        for (int i = 0; i < 44; i++) sums[0][i] = sums[1][i] = sums[2][i] = 0;
        for (int i = 0; i < mine; i++) {
            uint32_t of = (uint32_t)(i % MW_GROUPS), slot = (uint32_t)(i % MW_SLOTS), from = back + of * MW_BACK,
                     x_tile = tiles + slot * MW_PAIR;
            barrier_wait(full + 8 * slot, i / MW_SLOTS & 1);
            barrier_wait(ready + 8 * of, i / MW_GROUPS & 1);
#pragma unroll
            for (int n = 0; n < 3; n++) settle<44>(sums[n]);
            wgmma_fence();
#pragma unroll
            for (uint32_t n = 0; n < 3; n++)
#pragma unroll
                for (uint32_t q = 0; q < 4; q++)
                    wgmma_mix_weight(sums[n], matrix_descriptor(from + n * 8192 + q * 2048, 8192, 1024),
                                     matrix_descriptor(x_tile + (n == 2 ? MX_TILE : 0) + q * 32, 16, 1024));
            wgmma_commit();
            wgmma_wait<0>();
#pragma unroll
            for (int n = 0; n < 3; n++) settle<44>(sums[n]);
            group_barrier(group); /* all four warps' products are done */
            if (threadIdx.x % 128 == 0) {
                barrier_arrive(taken + 8 * of);
                barrier_arrive(empty + 8 * slot);
            }
        }
        int mix = (a.S + 7) / 8 * 8;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int of = warp * 16 + g + 8 * half, inside = slice * 64 + of;
#pragma unroll
            for (int i = 0; i < 11; i++) {
                int e = 4 * i + 2 * half, s = 8 * i + 2 * t;
                if (8 * i >= mix) continue;
#pragma unroll
                for (int n = 0; n < 2; n++) {
                    int to = slice * 128 + n * 64 + of;
                    if (to < 2 * a.I)
                        *(float2 *)(gate_up_parts + ((size_t)share * 2 * a.I + to) * mix + s) =
                            make_float2(sums[n][e], sums[n][e + 1]);
                }
                if (inside < a.I) {
                    down_parts[((size_t)share * mix + s) * a.I + inside] = sums[2][e];
                    down_parts[((size_t)share * mix + s + 1) * a.I + inside] = sums[2][e + 1];
                }
            }
        }
    }
#else
    (void)a, (void)gate_up_parts, (void)down_parts, (void)shares;
#endif
}

/* ==================================================================================================== >>cuda-attention-whole
 * Attention and the product before it in one kernel, for passes without gradient, on Hopper, heads of 64 and three rows of the
 * batch in 256 of the product's: q, k and v of a head and three rows never leave the multiprocessor. One warp group asks for
 * tiles of the stream and of the head's weights; two multiply 128 x 192 each, as two times 64 rows. Then q stays in registers
 * as the next product's operand, k and v go to shared memory, a tile a row of the batch, and each group attends for its own
 * queries. Of its 64 x 64 tiles the outer one lies within one row of the batch, the inner one in two: there scores are the sum
 * of two products, each with the other's queries set to 0, and the output likewise.
 */
enum {
    AW_ROWS = 3, /* of the batch */
    AW_MIN_S = 77, AW_MAX_S = 85,
    AW_A = 128 * 128, /* 128 rows of 64 of K, in e4m3 of 128 */
    AW_A_SLOTS = 5,
    AW_B = 192 * 128, /* q, k and v of a head, as much of K */
    AW_B_SLOTS = 3,
    AW_TILE = 88 * 128, /* keys or values of a row of the batch */
    AW_B_AT = AW_A_SLOTS * AW_A,
    AW_K_AT = AW_B_AT + AW_B_SLOTS * AW_B,
    AW_V_AT = AW_K_AT + AW_ROWS * AW_TILE + 4096,                  /* after them up to 25 rows that nobody wants */
    AW_BARRIERS = AW_V_AT + AW_ROWS * AW_TILE + (256 - AW_ROWS * AW_MIN_S) * 128,
    AW_SHARED = AW_BARRIERS + 16 * (AW_A_SLOTS + AW_B_SLOTS) + 1024
};
struct attention_whole_args {
    attention_args<bf16> x;
    const float *squares; /* [M,slots] of the stream; NULL: it is normalised */
    int          slots, M, items;
    float        inv_D, eps, scale; /* of e4m3: what the product is multiplied by */
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/* d [64,88] (+)= a b^T, a [64,16] in registers, b as rows of 64 elements in shared memory, k-th sixteen of them */
template <bool ADD> __device__ __forceinline__ void wgmma_scores(float *d, const uint32_t *a, uint32_t b, int k)
{
    uint64_t db = matrix_descriptor(b + (uint32_t)k * 32, 16, 1024);
    #define WG_TEXT \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %49, 0;\n" \
        "wgmma.mma_async.sync.aligned.m64n88k16.f32.bf16.bf16 {" WG_LIST44 \
        "}, {%44,%45,%46,%47}, %48, p, 1, 1, 0;\n}\n"
    if constexpr (ADD)
        asm volatile(WG_TEXT
                     : WG_D16(0), WG_D16(16), WG_D8(32), WG_D4(40)
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(db), "n"(1));
    else
        asm volatile(WG_TEXT
                     : WG_E16(0), WG_E16(16), WG_E4(32), WG_E4(36), WG_E4(40)
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(db), "n"(0));
    #undef WG_TEXT
}
/* d [64,64] (+)= a b, a [64,16] in registers, b the k-th sixteen rows of a tile */
template <bool ADD> __device__ __forceinline__ void wgmma_values(float *d, const uint32_t *a, uint32_t b, int k)
{
    uint64_t db = matrix_descriptor(b + (uint32_t)k * 2048, 8192, 1024);
    #define WG_TEXT \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n" \
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WG_LIST32 \
        "}, {%32,%33,%34,%35}, %36, p, 1, 1, 1;\n}\n"
    if constexpr (ADD)
        asm volatile(WG_TEXT : WG_D16(0), WG_D16(16) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(db), "n"(1));
    else asm volatile(WG_TEXT : WG_E16(0), WG_E16(16) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(db), "n"(0));
    #undef WG_TEXT
}
/* p = 2^(scale (s - the row's maximum)), l its sum */
__device__ __forceinline__ void attention_whole_softmax(uint32_t (*p)[4], float *l, float *s, int S, float scale)
{
    int t = (int)threadIdx.x % 4;
#pragma unroll
    for (int i = AW_MIN_S / 8 * 4; i < 44; i++)
        if (i / 4 * 8 + 2 * t + (i & 1) >= S) s[i] = -INFINITY;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float high = s[2 * h], sum = 0;
#pragma unroll
        for (int i = 0; i < 11; i++) high = fmaxf(high, fmaxf(s[4 * i + 2 * h], s[4 * i + 2 * h + 1]));
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 1));
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 2)) * scale;
#pragma unroll
        for (int i = 0; i < 11; i++) {
            float a = exp2_fast(fmaf(s[4 * i + 2 * h], scale, -high)), c = exp2_fast(fmaf(s[4 * i + 2 * h + 1], scale, -high));
            sum += a + c;
            p[i / 2][i % 2 * 2 + h] = pack2(a, c);
        }
        p[5][2 + h] = 0;
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        l[h] = sum + __shfl_xor_sync(0xffffffffu, sum, 2);
    }
}
#endif

template <bool E4M3>
__global__ void __launch_bounds__(WG_THREADS, 1)
    attention_whole_wgmma(const __grid_constant__ CUtensorMap s_map, const __grid_constant__ CUtensorMap weight_map,
                          const __grid_constant__ attention_whole_args a)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, k_tiles = base + AW_K_AT, v_tiles = base + AW_V_AT,
             full_a = base + AW_BARRIERS, full_b = full_a + 8 * AW_A_SLOTS, empty_a = full_b + 8 * AW_B_SLOTS,
             empty_b = empty_a + 8 * AW_A_SLOTS;
    constexpr int STEP = E4M3 ? 128 : 64;
    int group = (int)threadIdx.x / 128 - 1, S = a.x.S, D = a.x.heads * 64, rows = AW_ROWS * S, parts = D / STEP;
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < AW_A_SLOTS; i++) barrier_init(full_a + 8 * i, 1), barrier_init(empty_a + 8 * i, 4);
        for (uint32_t i = 0; i < AW_B_SLOTS; i++) barrier_init(full_b + 8 * i, 1), barrier_init(empty_b + 8 * i, 8);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    /* beyond S values stay 0 */
    for (uint32_t i = v_tiles + threadIdx.x * 16; i < base + AW_BARRIERS; i += WG_THREADS * 16)
        asm volatile("st.shared.v4.u32 [%0], {%1,%1,%1,%1};\n" ::"r"(i), "r"(0) : "memory");
    fence_async();
    __syncthreads();
    chain();
    if (group < 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 24;\n");
        if (threadIdx.x == 0) {
            uint32_t slot_a = 0, slot_b = 0;
            int phase_a = 1, phase_b = 1;
            for (int item = (int)blockIdx.x; item < a.items; item += (int)gridDim.x) {
                int row = item / a.x.heads * rows, column = item % a.x.heads * 64;
                for (int step = 0; step < parts; step++) {
                    uint32_t ready = full_b + 8 * slot_b;
                    barrier_wait(empty_b + 8 * slot_b, phase_b);
                    barrier_expect(ready, AW_B);
                    for (int i = 0; i < 3; i++)
                        copy_tile(base + AW_B_AT + slot_b * AW_B + (uint32_t)(i * 8192), &weight_map, step * STEP,
                                  i * D + column, ready);
                    if (++slot_b == AW_B_SLOTS) slot_b = 0, phase_b ^= 1;
                    for (int i = 0; i < 2; i++) {
                        ready = full_a + 8 * slot_a;
                        barrier_wait(empty_a + 8 * slot_a, phase_a);
                        barrier_expect(ready, AW_A);
                        copy_tile(base + slot_a * AW_A, &s_map, step * STEP, row + 128 * i, ready);
                        if (++slot_a == AW_A_SLOTS) slot_a = 0, phase_a ^= 1;
                    }
                }
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 240;\n");
        int warp = (int)threadIdx.x / 32 % 4, lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
        /* of 64 rows each, the outer tile first */
        int first[2] = {group * 192 + warp * 16, 64 + group * 64 + warp * 16};
        uint32_t to_k[2], tile_at[2] = {(uint32_t)group * 8192, (uint32_t)(1 - group) * 8192};
#pragma unroll
        for (int j = 0; j < 2; j++) { /* where a lane's row of a box of sixteen goes */
            int row = first[j] + lane % 16, of = row / S, pos = row - of * S;
            to_k[j] = k_tiles + (uint32_t)(of * AW_TILE + pos * 128 + ((lane >> 4 ^ (pos & 7)) << 4));
        }
        bool later[2]; /* the inner tile's rows of the second of two rows of the batch */
#pragma unroll
        for (int h = 0; h < 2; h++) later[h] = first[1] + g + 8 * h >= (group + 1) * S;
        uint32_t slot_a = (uint32_t)group, slot_b = 0, before_a = 0, before_b = 0;
        int phase_a = 0, phase_b = 0;
        auto leave = [&] {
            if (lane == 0) barrier_arrive(empty_a + 8 * before_a), barrier_arrive(empty_b + 8 * before_b);
        };
        for (int item = (int)blockIdx.x; item < a.items; item += (int)gridDim.x) {
            int row0 = item / a.x.heads * rows, head = item % a.x.heads;
            float d[2][96], squares[2][2] = {};
            auto take = [&](auto add) {
                barrier_wait(full_b + 8 * slot_b, phase_b);
                barrier_wait(full_a + 8 * slot_a, phase_a);
                uint32_t at = base + slot_a * AW_A, b = base + AW_B_AT + slot_b * AW_B;
                wgmma_fence();
#pragma unroll
                for (uint32_t k = 0; k < 4; k++)
#pragma unroll
                    for (int j = 0; j < 2; j++)
                        if (k) wgmma_192<true, E4M3>(d[j], operand<false>(at + tile_at[j], k), operand<false>(b, k));
                        else wgmma_192<add.value, E4M3>(d[j], operand<false>(at + tile_at[j], k), operand<false>(b, k));
                wgmma_commit();
            };
            auto next = [&] {
                before_a = slot_a, before_b = slot_b;
                if ((slot_a += 2) >= AW_A_SLOTS) slot_a -= AW_A_SLOTS, phase_a ^= 1;
                if (++slot_b == AW_B_SLOTS) slot_b = 0, phase_b ^= 1;
            };
            take(wg_half<false>());
            next();
#pragma unroll
            for (int j = 0; j < 2; j++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    int row = min(row0 + first[j] + g + 8 * h, a.M - 1);
                    if (a.squares)
                        for (int i = t; i < a.slots; i += 4) squares[j][h] += a.squares[(size_t)row * a.slots + i];
                }
            for (int step = 1; step < parts; step++) {
                take(wg_half<true>());
                wgmma_wait<1>();
                leave();
                next();
            }
            wgmma_wait<0>();
            leave();
            settle<96>(d[0]);
            settle<96>(d[1]);
            asm volatile("bar.sync 1, 256;\n" ::: "memory"); /* nobody reads k and v any more */
            uint32_t q[2][4][4];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                float *v = d[j];
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    float rs = 1.0f;
                    if (a.squares) {
                        float sum = squares[j][h];
                        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
                        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
                        rs = rsqrtf(sum * a.inv_D + a.eps);
                    }
                    if (E4M3) rs *= a.scale;
                    const float2 *table = a.x.rope + (first[j] + g + 8 * h) % S * 32 + t;
#pragma unroll
                    for (int i = 0; i < 8; i++) {
                        float *w = v + 4 * i + 2 * h;
                        float2 cs = make_float2(rs, 0);
                        if (a.x.rope) cs = table[4 * i], cs.x *= rs, cs.y *= rs;
                        turn(w, cs), turn(w + 32, cs);
                        w[64] *= rs, w[65] *= rs;
                    }
                }
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    uint32_t kv[2][4];
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        const float *w = v + 8 * k + 2 * i;
                        q[j][k][i] = pack2(w[0], w[1]), kv[0][i] = pack2(w[32], w[33]), kv[1][i] = pack2(w[64], w[65]);
                    }
                    stmatrix4(to_k[j] ^ (uint32_t)(k * 32), kv[0]);
                    stmatrix4((to_k[j] ^ (uint32_t)(k * 32)) + (AW_V_AT - AW_K_AT), kv[1]);
                }
            }
            fence_async();
            asm volatile("bar.sync 1, 256;\n" ::: "memory");
            uint32_t outer = (uint32_t)(2 * group * AW_TILE), inner = (uint32_t)(group * AW_TILE), p[6][4], p1[6][4], p2[6][4];
            float s[44], s1[44], o[32], o1[32], l[2], l1[2];
            uint32_t q1[4][4], q2[4][4];
#pragma unroll
            for (int k = 0; k < 4; k++)
#pragma unroll
                for (int i = 0; i < 4; i++) q1[k][i] = later[i & 1] ? 0 : q[1][k][i], q2[k][i] = later[i & 1] ? q[1][k][i] : 0;
            __syncwarp();
            wgmma_fence();
#pragma unroll
            for (int k = 0; k < 4; k++) if (k) wgmma_scores<true>(s, q[0][k], k_tiles + outer, k);
                else wgmma_scores<false>(s, q[0][k], k_tiles + outer, k);
            wgmma_commit();
#pragma unroll
            for (int k = 0; k < 4; k++) if (k) wgmma_scores<true>(s1, q1[k], k_tiles + inner, k);
                else wgmma_scores<false>(s1, q1[k], k_tiles + inner, k);
#pragma unroll
            for (int k = 0; k < 4; k++) wgmma_scores<true>(s1, q2[k], k_tiles + inner + AW_TILE, k);
            wgmma_commit();
            wgmma_wait<1>();
            settle<44>(s);
            attention_whole_softmax(p, l, s, S, a.x.scale_log2);
            __syncwarp();
            wgmma_fence();
#pragma unroll
            for (int k = 0; k < 6; k++) if (k) wgmma_values<true>(o, p[k], v_tiles + outer, k);
                else wgmma_values<false>(o, p[k], v_tiles + outer, k);
            wgmma_commit();
            wgmma_wait<1>();
            settle<44>(s1);
            attention_whole_softmax(p1, l1, s1, S, a.x.scale_log2);
#pragma unroll
            for (int k = 0; k < 6; k++)
#pragma unroll
                for (int i = 0; i < 4; i++) p2[k][i] = later[i & 1] ? p1[k][i] : 0, p1[k][i] = later[i & 1] ? 0 : p1[k][i];
            __syncwarp();
            wgmma_fence();
#pragma unroll
            for (int k = 0; k < 6; k++) if (k) wgmma_values<true>(o1, p1[k], v_tiles + inner, k);
                else wgmma_values<false>(o1, p1[k], v_tiles + inner, k);
#pragma unroll
            for (int k = 0; k < 6; k++) wgmma_values<true>(o1, p2[k], v_tiles + inner + AW_TILE, k);
            wgmma_commit();
            bf16 *to = a.x.o + (size_t)row0 * (size_t)D + head * 64;
            e4m3 *small = (e4m3 *)a.x.o + (size_t)row0 * (size_t)D + head * 64 + 8 * t;
            int there = min(rows, a.M - row0);
            auto finish = [&](float *v, const float *sum, int row) {
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    float inverse = (E4M3 ? E4M3_ATTENDED : 1.0f) / sum[h];
                    uint32_t q[8];
#pragma unroll
                    for (int i = 0; i < 8; i++) {
                        float *w = v + 4 * i + 2 * h;
                        w[0] *= inverse, w[1] *= inverse;
                        if (E4M3) q[i] = pack2_e4m3(w[0], w[1]);
                    }
                    if (E4M3 && row + g + 8 * h < there)
#pragma unroll
                        for (int i = 0; i < 8; i += 4)
                            *(uint2 *)(small + (size_t)(row + g + 8 * h) * (size_t)D + 8 * i) =
                                make_uint2(q[i] | q[i + 1] << 16, q[i + 2] | q[i + 3] << 16);
                }
                if (!E4M3) store_head(to, D, v, row, there);
            };
            wgmma_wait<1>();
            settle<32>(o);
            finish(o, l, first[0]);
            wgmma_wait<0>();
            settle<32>(o1);
            finish(o1, l1, first[1]);
        }
    }
#else
    (void)a;
#endif
}

/* The same for few rows: a block has one row of the batch and a head, in 128 rows of the product's. */
enum { AO_ROWS = 128, AO_A = AO_ROWS * 128, AO_STAGE = AO_A + AW_B, AO_STAGES = 4, AO_K_AT = AO_STAGES * AO_STAGE,
       AO_TILE = AO_ROWS * 128, AO_V_AT = AO_K_AT + AO_TILE, AO_BARRIERS = AO_V_AT + AO_TILE,
       AO_SHARED = AO_BARRIERS + 16 * AO_STAGES + 1024, AO_THREADS = 288 };
__global__ void __launch_bounds__(AO_THREADS, 1)
    attention_one_wgmma(const __grid_constant__ CUtensorMap s_map, const __grid_constant__ CUtensorMap weight_map,
                        const __grid_constant__ attention_whole_args a)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ unsigned char shared_raw[];
    uint32_t base = (shared_address(shared_raw) + 1023u) & ~1023u, k_tile = base + AO_K_AT, v_tile = base + AO_V_AT,
             full = base + AO_BARRIERS, empty = full + 8 * AO_STAGES;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, S = a.x.S, D = a.x.heads * 64,
        head = (int)blockIdx.x % a.x.heads, b = (int)blockIdx.x / a.x.heads;
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < AO_STAGES; i++) barrier_init(full + 8 * i, 1), barrier_init(empty + 8 * i, 8);
        asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" ::: "memory");
    }
    __syncthreads();
    chain_allow_next();
    if (warp == 8) {
        if (lane == 0) {
            auto fetch = [&](int step, bool weights) {
                uint32_t slot = (uint32_t)(step % AO_STAGES), at = base + slot * AO_STAGE, ready = full + 8 * slot;
                if (weights) {
                    barrier_expect(ready, AO_STAGE);
                    for (int i = 0; i < 3; i++)
                        copy_tile(at + AO_A + (uint32_t)(i * 8192), &weight_map, step * 64, i * D + head * 64, ready);
                } else copy_tile3(at, &s_map, step * 64, 0, b, ready);
            };
            prefetch_map(&s_map);
            for (int i = 0; i < a.x.heads && i < AO_STAGES; i++) fetch(i, true);
            chain_wait();
            for (int i = 0; i < a.x.heads && i < AO_STAGES; i++) fetch(i, false);
            for (int i = AO_STAGES; i < a.x.heads; i++) {
                barrier_wait(empty + 8 * (uint32_t)(i % AO_STAGES), (i / AO_STAGES - 1) & 1);
                fetch(i, true), fetch(i, false);
            }
        }
        return;
    }
    chain_wait();
    int g = lane / 4, t = lane % 4, first = warp * 16; /* its rows; two warp groups of 64 */
    float d[96], squares[2] = {};
    auto take = [&](uint32_t step, auto add) {
        uint32_t slot = step % AO_STAGES, at = base + slot * AO_STAGE, w = at + AO_A;
        at += (uint32_t)(warp / 4 * 8192);
        barrier_wait(full + 8 * slot, step / AO_STAGES & 1);
        wgmma_fence();
#pragma unroll
        for (uint32_t k = 0; k < 4; k++)
            if (k) wgmma_192<true, false>(d, operand<false>(at, k), operand<false>(w, k));
            else wgmma_192<add.value, false>(d, operand<false>(at, k), operand<false>(w, k));
        wgmma_commit();
    };
    take(0, wg_half<false>());
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int row = b * S + min(first + g + 8 * h, S - 1);
        if (a.squares)
            for (int i = t; i < a.slots; i += 4) squares[h] += a.squares[(size_t)row * a.slots + i];
    }
    for (int step = 1; step < a.x.heads; step++) {
        take((uint32_t)step, wg_half<true>());
        wgmma_wait<1>();
        if (lane == 0) barrier_arrive(empty + 8 * (uint32_t)((step - 1) % AO_STAGES));
    }
    wgmma_wait<0>();
    settle<96>(d);
    int to_row = first + lane % 16; /* where a lane's row of a box of sixteen goes; beyond S rows are 0, as those of s are */
    uint32_t to_k = k_tile + (uint32_t)(to_row * 128 + ((lane >> 4 ^ (to_row & 7)) << 4)), q[4][4];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float rs = 1.0f;
        if (a.squares) {
            float sum = squares[h];
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            rs = rsqrtf(sum * a.inv_D + a.eps);
        }
        const float2 *table = a.x.rope + min(first + g + 8 * h, S - 1) * 32 + t;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float *w = d + 4 * i + 2 * h;
            float2 cs = make_float2(rs, 0);
            if (a.x.rope) cs = table[4 * i], cs.x *= rs, cs.y *= rs;
            turn(w, cs), turn(w + 32, cs);
            w[64] *= rs, w[65] *= rs;
        }
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
        uint32_t kv[2][4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float *w = d + 8 * k + 2 * i;
            q[k][i] = pack2(w[0], w[1]), kv[0][i] = pack2(w[32], w[33]), kv[1][i] = pack2(w[64], w[65]);
        }
        stmatrix4(to_k ^ (uint32_t)(k * 32), kv[0]);
        stmatrix4((to_k ^ (uint32_t)(k * 32)) + AO_TILE, kv[1]);
    }
    fence_async();
    asm volatile("bar.sync 1, 256;\n" ::: "memory");
    uint32_t p[6][4];
    float s[44], o[32], l[2];
    __syncwarp();
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (k) wgmma_scores<true>(s, q[k], k_tile, k);
        else wgmma_scores<false>(s, q[k], k_tile, k);
    wgmma_commit();
    wgmma_wait<0>();
    settle<44>(s);
    attention_whole_softmax(p, l, s, S, a.x.scale_log2);
    __syncwarp();
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 6; k++)
        if (k) wgmma_values<true>(o, p[k], v_tile, k);
        else wgmma_values<false>(o, p[k], v_tile, k);
    wgmma_commit();
    wgmma_wait<0>();
    settle<32>(o);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float inverse = 1.0f / l[h];
#pragma unroll
        for (int i = 0; i < 8; i++) o[4 * i + 2 * h] *= inverse, o[4 * i + 2 * h + 1] *= inverse;
    }
    store_head(a.x.o + (size_t)b * (size_t)S * (size_t)D + head * 64, D, o, first, S);
#else
    (void)a;
#endif
}

/* ==================================================================================================== >>cuda-rows ========
 * Kernels that walk over rows of D elements, a warp a row. W elements at once: 8, or 1 where D is no multiple of 8.
 */
enum { ROW_WARPS = 8 };
#define ROW_KERNEL_INDEX() ((int)(blockIdx.x * ROW_WARPS + threadIdx.x / 32))

/* Rows that are normalised, or whose norms' factors the squares [M,slots] tell. */
template <class T> struct stream { T *at; const float *squares; int slots; };
template <class T> __device__ __forceinline__ float stream_factor(const stream<T> &s, size_t row, float inv_D, float eps)
{
    float sum = 0;
    if (!s.squares) return 1.0f;
    for (int i = 0; i < s.slots; i++) sum += s.squares[row * (size_t)s.slots + (size_t)i];
    return rsqrtf(sum * inv_D + eps);
}

/* out = x + a + b (these may be nothing), normalised: what a pass starts from. Row i is row i * to of out, i * from of x.
 * small: the same in e4m3, D a multiple of 512; or NULL */
template <class T, int W>
__global__ void sum_kernel(T *out, e4m3 *small, stream<T> x, stream<T> a, stream<T> b, int M, int D, int to, int from,
                           float inv_D, float eps)
{
    chain();
    int row = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32;
    if (row >= M) return;
    size_t read = (size_t)row * (size_t)from, at = read * (size_t)D;
    out += (size_t)row * (size_t)to * (size_t)D;
    for (int d0 = lane * W; d0 < D; d0 += 64 * W) { /* two pieces of each at once */
        float u[2][W], v[2][W], w[2][W];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            size_t d = at + (size_t)min(d0 + 32 * W * h, D - W);
            load<W>(u[h], x.at + d);
            if (a.at) load<W>(v[h], a.at + d);
            if (b.at) load<W>(w[h], b.at + d);
        }
        float fx = stream_factor(x, read, inv_D, eps), fa = stream_factor(a, read, inv_D, eps),
              fb = stream_factor(b, read, inv_D, eps);
#pragma unroll
        for (int h = 0; h < 2; h++) {
#pragma unroll
            for (int j = 0; j < W; j++) {
                u[h][j] *= fx;
                if (a.at) u[h][j] = fmaf(fa, v[h][j], u[h][j]);
                if (b.at) u[h][j] = fmaf(fb, w[h][j], u[h][j]);
            }
            if (d0 + 32 * W * h < D) store<W>(out + d0 + 32 * W * h, u[h]);
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
            if constexpr (W == 8)
                if (small) {
                    uint32_t q[4];
#pragma unroll
                    for (int j = 0; j < 4; j++) q[j] = pack2_e4m3(E4M3_STATE * u[h][2 * j], E4M3_STATE * u[h][2 * j + 1]);
                    transpose4(q, lane % 4);
                    *(uint2 *)(small + (size_t)row * D + (d0 + 32 * W * h) / 32 * 32 + lane % 4 * 8) =
                        make_uint2(q[0] | q[1] << 16, q[2] | q[3] << 16);
                }
#endif
        }
    }
}

/* Attention for the query at position 0 alone: q, o [B,D], kv [B,S,2 D] with keys and values. A block a row and head; eight
 * lanes take a key, W elements at once. */
enum { FIRST_THREADS = 128, FIRST_KEYS = FIRST_THREADS / 8 };
template <class T, int W>
__global__ void __launch_bounds__(FIRST_THREADS)
    attention_first(T *o, const T *q, const T *kv, int S, int keys, int heads, int head_dim, float scale_log2)
{
    extern __shared__ float first_shared[];
    float *query = first_shared, *sums = query + head_dim, *scores = sums + FIRST_THREADS / 32 * head_dim; /* [keys] */
    int b = (int)blockIdx.x / heads, at = (int)blockIdx.x % heads * head_dim, D = heads * head_dim,
        lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, mine = (int)threadIdx.x % 8 * W,
        key = (int)threadIdx.x / 8;
    chain();
    q += (size_t)b * D + at, o += (size_t)b * D + at, kv += (size_t)b * S * 2 * D + at;
    for (int i = (int)threadIdx.x; i < head_dim; i += FIRST_THREADS) query[i] = to_float(q[i]) * scale_log2;
    __syncthreads();
#pragma unroll 3
    for (int j0 = 0; j0 < keys; j0 += FIRST_KEYS) {
        float dot = 0, x[8];
        for (int c = mine; c < head_dim && j0 + key < keys; c += 8 * W) {
            load<W>(x, kv + (size_t)(j0 + key) * 2 * D + c);
            for (int i = 0; i < W; i++) dot = fmaf(x[i], query[c + i], dot);
        }
        for (int i = 4; i > 0; i >>= 1) dot += __shfl_xor_sync(0xffffffffu, dot, i);
        if (mine == 0 && j0 + key < keys) scores[j0 + key] = dot;
    }
    __syncthreads();
    float most = -INFINITY, sum = 0;
    for (int j = lane; j < keys; j += 32) most = fmaxf(most, scores[j]);
    for (int i = 16; i > 0; i >>= 1) most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, i));
    for (int j = lane; j < keys; j += 32) sum += exp2f(scores[j] - most);
    sum = warp_sum(sum);
    for (int c0 = 0; c0 < head_dim; c0 += 8 * W) {
        int c = c0 + mine;
        float acc[W] = {}, x[8];
#pragma unroll 3
        for (int j = key; j < keys && c < head_dim; j += FIRST_KEYS) {
            load<W>(x, kv + (size_t)j * 2 * D + D + c);
            float p = exp2f(scores[j] - most);
            for (int i = 0; i < W; i++) acc[i] = fmaf(p, x[i], acc[i]);
        }
        for (int i = 0; i < W; i++) {
            acc[i] += __shfl_xor_sync(0xffffffffu, acc[i], 8);
            acc[i] += __shfl_xor_sync(0xffffffffu, acc[i], 16);
            if (lane < 8 && c < head_dim) sums[warp * head_dim + c + i] = acc[i];
        }
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < head_dim; i += FIRST_THREADS) {
        float all = 0;
        for (int w = 0; w < FIRST_THREADS / 32; w++) all += sums[w * head_dim + i];
        o[i] = from_float<T>(all / sum);
    }
}

/* What dropout multiplies a residual branch's output [M,N] by; the draws' formulas: hrm__dropout. */
struct drop_args {
    const hrm_step *step;
    int pass, layer, branch, first_row, each, N; /* each: rows of a puzzle; N: columns, without those that fill up */
};
__device__ __forceinline__ void drop(float *v, int W, const hrm__dropout &from, uint64_t first)
{
    /* v [W], whose first element is the branch's element `first` */
    float factors[4] = {};
    for (int j = 0; j < W; j++) {
        uint64_t i = first + (uint64_t)j;
        if (j == 0 || (i & 3) == 0) hrm__dropout_factors(factors, &from, i >> 2);
        v[j] *= (i & 2) ? ((i & 1) ? factors[3] : factors[2]) : ((i & 1) ? factors[1] : factors[0]);
    }
}
__device__ __forceinline__ hrm__dropout drop_row(const drop_args &a, int row)
{
    return hrm__dropout_of(a.step, a.pass, a.layer, a.branch, a.first_row + row / a.each);
}

/* out [M,N] = x through dropout */
template <class T, int W> __global__ void drop_kernel(T *out, const T *x, drop_args a, int M, int N)
{
    chain();
    int row = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32;
    if (row >= M) return;
    hrm__dropout from = drop_row(a, row);
    float v[8];
    for (int d = lane * W; d < N; d += 32 * W) {
        load<W>(v, x + (size_t)row * N + d);
        drop(v, W, from, (uint64_t)(row % a.each) * (uint64_t)a.N + (uint64_t)d);
        store<W>(out + (size_t)row * N + d, v);
    }
}

/* y = rms(x + f through dropout), over `count` of N columns, the rest being 0; r [M]; y may be x; y2, r may be NULL */
template <class T, int W>
__global__ void drop_join_kernel(T *y, T *y2, float *r, const T *x, const T *f, drop_args a, int M, int N, int count, float eps)
{
    chain();
    int row = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32;
    if (row >= M) return;
    hrm__dropout from = drop_row(a, row);
    x += (size_t)row * N, f += (size_t)row * N, y += (size_t)row * N;
    float sum = 0, u[8], v[8];
    for (int d = lane * W; d < N; d += 32 * W) {
        load<W>(u, x + d), load<W>(v, f + d);
        drop(v, W, from, (uint64_t)(row % a.each) * (uint64_t)a.N + (uint64_t)d);
        for (int j = 0; j < W; j++) u[j] += v[j], sum += u[j] * u[j];
        store<W>(y + d, u); /* a lane's own, to be read again */
    }
    float scale = rsqrtf(warp_sum(sum) / (float)count + eps);
    for (int d = lane * W; d < N; d += 32 * W) {
        load<W>(u, y + d);
        for (int j = 0; j < W; j++) u[j] *= scale;
        store<W>(y + d, u);
        if (y2) store<W>(y2 + (size_t)row * N + d, u);
    }
    if (r && lane == 0) r[row] = scale;
}

/* SwiGLU with a norm inside, formulas at hrm.h >>swiglu: gate_up [M,2I] in groups of eight becomes its gradient, and dh [M,I]
 * becomes h. On the way forward h is SwiGLU's product times a factor per row, which the next product's ending multiplies by. */
template <class T> __global__ void swiglu_norm_backward_kernel(T *gate_up, T *dh, int M, int I, float eps)
{
    chain();
    int row = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32;
    if (row >= M) return;
    gate_up += (size_t)row * 2 * I, dh += (size_t)row * I;
    float squares = 0, dot = 0, g[8], u[8], v[8];
    for (int d = lane * 8; d < I; d += 256) {
        load<8>(g, gate_up + 2 * d), load<8>(u, gate_up + 2 * d + 8), load<8>(v, dh + d);
        for (int j = 0; j < 8; j++) {
            float p = g[j] * u[j], dn = v[j] * __fdividef(1.0f, 1.0f + __expf(-g[j]));
            squares += p * p, dot += dn * p;
        }
    }
    float r = rsqrtf(warp_sum(squares) / (float)I + eps), mean = warp_sum(dot) * r / (float)I;
    for (int d = lane * 8; d < I; d += 256) {
        load<8>(g, gate_up + 2 * d), load<8>(u, gate_up + 2 * d + 8), load<8>(v, dh + d);
        for (int j = 0; j < 8; j++) {
            float sigmoid = __fdividef(1.0f, 1.0f + __expf(-g[j])), n = g[j] * u[j] * r, dn = v[j] * sigmoid,
                  dp = r * (dn - n * mean), dg = dn * n * (1.0f - sigmoid) + dp * u[j];
            u[j] = dp * g[j];
            g[j] = dg;
            v[j] = sigmoid * n;
        }
        store<8>(gate_up + 2 * d, g), store<8>(gate_up + 2 * d + 8, u), store<8>(dh + d, v);
    }
}

/* from [B,rows,ld_from], its first `columns` -> to [B,columns,ld_to], filled up with zeros from `rows` on. With squares
 * [.,slots] from's rows are multiplied by their norms' factors. V elements, of even rows 2, travel together. */
template <class T, int V>
__global__ void turn_kernel(T *to, const T *from, const float *squares, int slots, float inverse, float eps, int rows,
                            int columns, int ld_from, int ld_to)
{
    constexpr int SIDE = 64; /* of a tile: a line of bfloat16 each way */
    struct alignas(V * sizeof(T)) piece { T v[V]; };
    __shared__ float tile[SIDE][SIDE + 1], factors[SIDE];
    chain();
    int across = ceil_div(columns, SIDE), tiles = across * ceil_div(ld_to, SIDE), tx = (int)threadIdx.x % 32,
        ty = (int)threadIdx.x / 32, b = (int)blockIdx.x / tiles, r0 = (int)blockIdx.x % tiles / across * SIDE,
        c0 = (int)blockIdx.x % across * SIDE;
    piece got[SIDE / 8][2 / V];
#pragma unroll
    for (int i = 0; i < SIDE / 8; i++)
#pragma unroll
        for (int k = 0; k < 2 / V; k++) {
            int r = r0 + ty + 8 * i, c = c0 + V * tx + 32 * k;
            if (r < rows && c < columns) got[i][k] = *(const piece *)(from + ((size_t)b * rows + r) * ld_from + c);
            else
                for (int v = 0; v < V; v++) got[i][k].v[v] = from_float<T>(0.0f);
        }
    if ((int)threadIdx.x < SIDE) {
        float sum = 0;
        int r = r0 + (int)threadIdx.x;
        for (int i = 0; squares && r < rows && i < slots; i++) sum += squares[((size_t)b * rows + r) * slots + i];
        factors[threadIdx.x] = squares ? rsqrtf(sum * inverse + eps) : 1.0f;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SIDE / 8; i++)
#pragma unroll
        for (int k = 0; k < 2; k++)
            tile[ty + 8 * i][V == 2 ? 2 * tx + k : tx + 32 * k] = factors[ty + 8 * i] * to_float(got[i][k / V].v[k % V]);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SIDE / 8; i++)
#pragma unroll
        for (int k = 0; k < 2 / V; k++) {
            int c = c0 + ty + 8 * i, r = V * tx + 32 * k;
            piece out;
            for (int v = 0; v < V; v++) out.v[v] = from_float<T>(tile[r + v][ty + 8 * i]);
            if (c < columns && r0 + r < ld_to) *(piece *)(to + ((size_t)b * columns + c) * ld_to + r0 + r) = out;
        }
}

/* s [M,D] -> y = rms(s), over `count` of D columns, the rest being 0; r [M]; y may be s; y2, r may be NULL */
template <class T, int W>
__global__ void normalise_kernel(T *y, T *y2, float *r, const T *s, int M, int D, int count, float eps)
{
    chain();
    int row = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32;
    if (row >= M) return;
    s += (size_t)row * D, y += (size_t)row * D;
    float sum = 0, v[8];
    for (int d = lane * W; d < D; d += 32 * W) {
        load<W>(v, s + d);
        for (int j = 0; j < W; j++) sum += v[j] * v[j];
    }
    float f = rsqrtf(warp_sum(sum) / (float)count + eps);
    for (int d = lane * W; d < D; d += 32 * W) {
        load<W>(v, s + d);
        for (int j = 0; j < W; j++) v[j] *= f;
        store<W>(y + d, v);
        if (y2) store<W>(y2 + (size_t)row * D + d, v);
    }
    if (r && lane == 0) r[row] = f;
}

/* ds = r (dy - y mean(dy y)), of y = r (x + branch). With x, and the factors of the norm inside the branch's SwiGLU of width I:
 * its gradient is dp = inner dn - k gate up with k = inner^2 mean, I mean = sum of dh h = sum of ds branch, which ds, at right
 * angles to y, makes D eps r^2 mean(dy y) - sum of ds x: known before dh is. */
template <class T, int W>
__global__ void normalise_backward_kernel(T *ds, const T *dy, const T *y, const float *r, int M, int D, int count, const T *x,
                                          const float *inner, float *k, float inv_I, float eps)
{
    chain();
    int row = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32;
    if (row >= M) return;
    ds += (size_t)row * D, dy += (size_t)row * D, y += (size_t)row * D;
    float sum = 0, u[8], v[8], f = r[row];
    for (int d = lane * W; d < D; d += 32 * W) {
        load<W>(u, dy + d), load<W>(v, y + d);
        for (int j = 0; j < W; j++) sum += u[j] * v[j];
    }
    float mean = warp_sum(sum) / (float)count;
    sum = 0;
    for (int d = lane * W; d < D; d += 32 * W) {
        load<W>(u, dy + d), load<W>(v, y + d);
        for (int j = 0; j < W; j++) u[j] = f * (u[j] - v[j] * mean);
        store<W>(ds + d, u);
        if (!x) continue;
        load<W>(v, x + (size_t)row * D + d);
        for (int j = 0; j < W; j++) sum += u[j] * v[j];
    }
    if (!x) return;
    sum = warp_sum(sum);
    if (lane == 0) k[row] = inner[row] * inner[row] * inv_I * ((float)count * eps * f * f * mean - sum);
}
/* r [M] = 1 / sqrt(sum of squares [M,slots] / I + eps) */
__global__ void factors_kernel(float *r, const float *squares, int slots, int M, float inv_I, float eps)
{
    chain();
    int row = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    float sum = 0;
    if (row >= M) return;
    for (int i = 0; i < slots; i++) sum += squares[(size_t)row * slots + i];
    r[row] = rsqrtf(sum * inv_I + eps);
}

/* Weights of one kind, all layers: w [rows,columns] float -> to [N,K] with permuted rows, filled up with zeros, and its
 * transpose. 64x64 tiles; V elements, of even sides 2, travel together. */
enum { PERMUTE_NONE, PERMUTE_QKV, PERMUTE_GATE_UP };
static __host__ __device__ inline int permuted_row(int kind, int n, int N, int head_dim)
{
    /* the row of the parameter that stands in row n of the prepared weight */
    if (kind == PERMUTE_GATE_UP) return n % 16 < 8 ? n / 16 * 8 + n % 16 : N / 2 + n / 16 * 8 + n % 16 - 8;
    if (kind == PERMUTE_QKV && n < N / 3 * 2 && head_dim % 2 == 0) {
        int c = n % head_dim;
        return n - c + c / 2 + (c & 1) * (head_dim / 2);
    }
    return n;
}
struct layer_offsets { size_t from, block_size, to, to_transposed, to_block; };
/* the same weights in e4m3, from layer to layer `step` apart; at NULL: not wanted. placed: columns as by e4m3_place() */
struct small_weights { e4m3 *at; size_t step; int placed; };

template <class T, int V>
__global__ void __launch_bounds__(256) prepare_kernel(T *prepared, const float *params, layer_offsets at, int rows, int columns,
                                                      int N, int K, int kind, int head_dim, small_weights small)
{
    constexpr int SIDE = 64;
    struct alignas(V * sizeof(T)) piece { T v[V]; };
    struct alignas(V * sizeof(float)) floats { float v[V]; };
    __shared__ float tile[SIDE][SIDE + 1];
    int layer = (int)blockIdx.y, tx = (int)threadIdx.x % 32, ty = (int)threadIdx.x / 32;
    const float *w = params + at.from + (size_t)layer * at.block_size;
    T *to = prepared + (size_t)layer * at.to_block;
    int across = ceil_div(K, SIDE), n0 = (int)blockIdx.x / across * SIDE, k0 = (int)blockIdx.x % across * SIDE;
#pragma unroll
    for (int i = ty; i < SIDE; i += 8)
#pragma unroll
        for (int c = 0; c < 2; c += V) {
            int n = n0 + i, at_k = V * tx + 32 * c, k = k0 + at_k;
            floats x = {};
            if (n < rows && k < columns)
                x = *(const floats *)(w + (size_t)permuted_row(kind, n, N, head_dim) * columns + k);
            piece out;
            for (int v = 0; v < V; v++) tile[i][at_k + v] = x.v[v], out.v[v] = from_float<T>(x.v[v]);
            if (n < N && k < K) *(piece *)(to + at.to + (size_t)n * K + k) = out;
            if constexpr (V == 2)
                if (small.at && n < N && k < K)
                    *(uint16_t *)(small.at + layer * small.step + (size_t)n * K + (small.placed ? e4m3_place(k) : k)) =
                        (uint16_t)pack2_e4m3(E4M3_WEIGHT * x.v[0], E4M3_WEIGHT * x.v[1]);
        }
    __syncthreads();
#pragma unroll
    for (int i = ty; i < SIDE; i += 8)
#pragma unroll
        for (int c = 0; c < 2; c += V) {
            int at_n = V * tx + 32 * c, n = n0 + at_n, k = k0 + i;
            piece out;
            for (int v = 0; v < V; v++) out.v[v] = from_float<T>(tile[at_n + v][i]);
            if (n < N && k < K) *(piece *)(to + at.to_transposed + (size_t)k * N + n) = out;
        }
}

__global__ void rope_table_kernel(float2 *rope, int S, int half, float theta)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= S * half) return;
    double angle = (double)(i / half) * pow((double)theta, -(double)(i % half) / half);
    rope[i] = make_float2((float)cos(angle), (float)sin(angle));
}

/* grads [rows,columns] += sum of the splits [N,K] in their order, rows permuted back, without what fills up; W elements at
 * once */
template <int W>
__global__ void __launch_bounds__(128) reduce_parts_kernel(float *grads, const float *parts, int splits, int rows, int columns,
                                                           int N, int K, int kind, int head_dim)
{
    chain();
    size_t n = (size_t)N * K, i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * W;
    int row = (int)(i / (size_t)K), column = (int)(i % (size_t)K);
    if (row >= rows || column >= columns) return;
    constexpr int AHEAD = W == 4 ? 4 : 16; /* parts on their way at once */
    float sum[W] = {}, *to = grads + (size_t)permuted_row(kind, row, N, head_dim) * columns + column;
    for (int s0 = 0; s0 < splits; s0 += AHEAD) {
        float x[AHEAD][W] = {};
#pragma unroll
        for (int s = 0; s < AHEAD; s++)
            if (s0 + s < splits) load<W>(x[s], parts + (size_t)(s0 + s) * n + i);
#pragma unroll
        for (int s = 0; s < AHEAD; s++)
            for (int j = 0; j < W; j++) sum[j] += x[s][j];
    }
    if (W == 4 && columns % 4 == 0) {
        float x[W];
        load<W>(x, to);
        for (int j = 0; j < W; j++) x[j] += sum[j];
        store<W>(to, x);
    } else
        for (int j = 0; j < W && column + j < columns; j++) to[j] += sum[j];
}

/* e [M,D] = f (puzzle row, then tokens) (+ positions when learned), times sqrt(D), from the master weights: rounded once */
template <class T, int W>
__global__ void embed_kernel(T *e, const int32_t *inputs, const int32_t *ids, const float *tokens, const float *puzzle,
                             const float *positions, int M, int S, int P, int D, int puzzle_ndim, float factor)
{
    int row = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32, b = row / S, s = row % S;
    if (row >= M) return;
    const float *from = s >= P ? tokens + (size_t)inputs[(size_t)b * (S - P) + s - P] * D
                               : puzzle + (size_t)ids[b] * puzzle_ndim + (size_t)s * D;
    for (int d = lane * W; d < D; d += 32 * W) {
        float v[8], u[8];
        if (s >= P) load<W>(v, from + d);
        else
            for (int j = 0; j < W; j++) v[j] = s * D + d + j < puzzle_ndim ? from[d + j] : 0.0f;
        if (positions) load<W>(u, positions + (size_t)s * D + d);
        for (int j = 0; j < W; j++) v[j] = (positions ? v[j] + u[j] : v[j]) * factor;
        store<W>(e + (size_t)row * D + d, v);
    }
}

template <class T>
__global__ void puzzle_gradient_kernel(float *grad, const T *de, int S, int D, int puzzle_ndim, float factor, size_t n)
{
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x)
        grad[i] += factor * to_float(de[i / (size_t)puzzle_ndim * S * D + i % (size_t)puzzle_ndim]);
}

template <class T> __global__ void position_gradient_kernel(float *grad, const T *de, int B, int SD, float factor)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= SD) return;
    float sum = 0;
#pragma unroll 4
    for (int b = 0; b < B; b++) sum += to_float(de[(size_t)b * SD + i]);
    grad[i] += factor * sum;
}

/* Rows of z that meet a table of V rows: with weights [rows,V] (a head's gradient), or by token (an embedding's). Row i of
 * `rows` is row (i / T) S + P + i % T of z. A thread has W columns and some of the table's rows, groups of threads take eight
 * rows of z in turns and add up in the end, and a block has a share of the rows; parts [splits,V,D]. */
enum {
    TABLE_THREADS = 256, TABLE_ACROSS = 64, TABLE_VALUES = 12, TABLE_ROWS = 32,
    TOKEN_VALUES = 64, TOKEN_COLUMNS = 64, TOKEN_ROWS = 16 /* of a large table */
};
template <class T, int W>
__global__ void __launch_bounds__(TABLE_THREADS)
    table_rows_kernel(float *parts, const T *z, const float *weights, const int32_t *tokens, int rows, int T_, int S, int P,
                      int D, int V, float factor)
{
    constexpr int GROUPS = TABLE_THREADS / TABLE_ACROSS, EACH = TABLE_ROWS / GROUPS, STEP = 4;
    __shared__ alignas(16) float w[TABLE_ROWS][TABLE_VALUES];
    __shared__ float sums[TABLE_THREADS * W];
    __shared__ int from[TABLE_ROWS];
    int split = (int)blockIdx.z, splits = (int)gridDim.z, group = (int)threadIdx.x / TABLE_ACROSS,
        lane = (int)threadIdx.x % TABLE_ACROSS, d = ((int)blockIdx.y * TABLE_ACROSS + lane) * W,
        v0 = (int)blockIdx.x * TABLE_VALUES;
    int begin = (int)((long long)rows * split / splits), end = (int)((long long)rows * (split + 1) / splits);
    float acc[TABLE_VALUES][W] = {};
    for (int r0 = begin; r0 < end; r0 += TABLE_ROWS) {
        __syncthreads();
        for (int i = (int)threadIdx.x; i < TABLE_ROWS * TABLE_VALUES; i += TABLE_THREADS) {
            int r = r0 + i / TABLE_VALUES, v = v0 + i % TABLE_VALUES;
            w[i / TABLE_VALUES][i % TABLE_VALUES] = r >= end || v >= V ? 0.0f
                                                    : tokens           ? (tokens[r] == v ? 1.0f : 0.0f)
                                                                       : weights[(size_t)r * V + v];
        }
        if ((int)threadIdx.x < TABLE_ROWS) {
            int r = min(r0 + (int)threadIdx.x, end - 1);
            from[threadIdx.x] = r / T_ * S + P + r % T_;
        }
        __syncthreads();
        if (d >= D) continue;
#pragma unroll
        for (int i0 = group * EACH; i0 < (group + 1) * EACH; i0 += STEP) {
            float x[STEP][W];
#pragma unroll
            for (int i = 0; i < STEP; i++) load<W>(x[i], z + (size_t)from[i0 + i] * D + d);
#pragma unroll
            for (int i = 0; i < STEP; i++)
#pragma unroll
                for (int v = 0; v < TABLE_VALUES; v++)
#pragma unroll
                    for (int j = 0; j < W; j++) acc[v][j] = fmaf(w[i0 + i][v], x[i][j], acc[v][j]);
        }
    }
#pragma unroll
    for (int v = 0; v < TABLE_VALUES; v++) {
        __syncthreads();
        for (int j = 0; j < W; j++) sums[(group * W + j) * TABLE_ACROSS + lane] = acc[v][j];
        __syncthreads();
        for (int i = (int)threadIdx.x; i < TABLE_ACROSS * W && v0 + v < V; i += TABLE_THREADS) {
            int column = ((int)blockIdx.y * TABLE_ACROSS + i % TABLE_ACROSS) * W + i / TABLE_ACROSS;
            float sum = 0;
            for (int g = 0; g < GROUPS; g++) sum += sums[g * W * TABLE_ACROSS + i];
            if (column < D) parts[((size_t)split * V + v0 + v) * D + column] = factor * sum;
        }
    }
}

/* The same by token for a large table: sums in shared memory. */
template <class T>
__global__ void token_rows_kernel(float *parts, const T *de, const int32_t *tokens, int rows, int T_, int S, int P, int D,
                                  int V, float factor)
{
    __shared__ float acc[TOKEN_VALUES][TOKEN_COLUMNS];
    int split = (int)blockIdx.z, splits = (int)gridDim.z, tx = (int)threadIdx.x, d = (int)blockIdx.y * TOKEN_COLUMNS + tx,
        v0 = (int)blockIdx.x * TOKEN_VALUES;
    int begin = (int)((long long)rows * split / splits), end = (int)((long long)rows * (split + 1) / splits);
    for (int v = 0; v < TOKEN_VALUES; v++) acc[v][tx] = 0; /* a thread meets its own column only */
    for (int r0 = begin; r0 < end; r0 += TOKEN_ROWS) {
        float x[TOKEN_ROWS];
        int token[TOKEN_ROWS];
#pragma unroll
        for (int i = 0; i < TOKEN_ROWS; i++) {
            int r = r0 + i;
            token[i] = r < end ? tokens[r] - v0 : -1;
            x[i] = r < end && d < D ? to_float(de[((size_t)(r / T_) * S + P + r % T_) * D + d]) : 0.0f;
        }
#pragma unroll
        for (int i = 0; i < TOKEN_ROWS; i++)
            if (token[i] >= 0 && token[i] < TOKEN_VALUES) acc[token[i]][tx] += x[i];
    }
    if (d < D)
        for (int v = 0; v < TOKEN_VALUES && v0 + v < V; v++) parts[((size_t)split * V + v0 + v) * D + d] = factor * acc[v][tx];
}

/* ==================================================================================================== >>cuda-act =========*/
/* rows that have halted take the new data and start over: so many blocks a row */
template <class T> __global__ void act_begin_kernel(hrm_work w, int blocks)
{
    int b = (int)blockIdx.x / blocks;
    if (!w.halted[b]) return;
    int SD = w.d.S * w.d.D, Tn = w.d.T, step = blocks * (int)blockDim.x,
        i0 = (int)blockIdx.x % blocks * (int)blockDim.x + (int)threadIdx.x;
    for (int state = 0; state < w.d.states; state++)
        for (int i = i0; i < SD; i += step)
            ((T *)w.z[state])[(size_t)b * SD + i] = from_float<T>(
                w.params[w.at.init[state] + (size_t)(i % w.d.D)] +
                (w.step->start_noise > 0 ? hrm__start_noise(w.step, w.first_row + b, state, (uint32_t)i) : 0.0f));
    for (int i = i0; i < Tn; i += step) {
        w.inputs[(size_t)b * Tn + i] = w.new_inputs[(size_t)b * Tn + i];
        w.labels[(size_t)b * Tn + i] = w.new_labels[(size_t)b * Tn + i];
    }
    if (i0 == 0) {
        w.steps[b] = 0;
        if (!w.puzzle_grad) w.ids[b] = w.new_ids[b];
    }
}

/* after it, where there are gradients: a row's id, and its gradient anew where the id is another */
__global__ void act_begin_ids_kernel(hrm_work w)
{
    int b = (int)blockIdx.x, id = w.new_ids[b], before = w.ids[b];
    if (!w.halted[b] || id == before) return;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < w.d.puzzle_ndim; i += (int)blockDim.x)
        w.puzzle_grad[(size_t)b * w.d.puzzle_ndim + i] = 0;
    if (threadIdx.x == 0) w.ids[b] = id;
}

__global__ void act_end_kernel(hrm_work w, int rows)
{
    int b = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (b >= rows) return;
    int32_t steps = w.steps[b] + 1,
            minimum = w.step->fixed_exploration ? w.min_halt_steps[b] : hrm__exploration(w.step, w.first_row + b);
    w.steps[b] = steps;
    w.halted[b] = hrm__halts(w.step, w.train, steps, w.q + 2 * b, minimum);
}

/* dst row i = src row rows[i], through scratch, since rows move onto one another */
template <class W> __global__ void gather_kernel(W *dst, const W *src, const int32_t *rows, size_t row_words, size_t n)
{
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x)
        dst[i] = src[(size_t)rows[i / row_words] * row_words + i % row_words];
}

/* ==================================================================================================== >>cuda-heads =======*/
enum { HEAD_ROWS = 4 };
/* logits [rows,V] = z W^T with the master weights, and their arg max (the first of equals); a warp has four rows */
template <class T, int W>
__global__ void lm_head_kernel(float *logits, int32_t *predictions, const T *z, const float *weight, int rows, int T_, int S,
                               int P, int D, int V)
{
    int r0 = ROW_KERNEL_INDEX() * HEAD_ROWS, lane = (int)threadIdx.x % 32;
    if (r0 >= rows) return;
    const T *from[HEAD_ROWS];
    float best[HEAD_ROWS];
    int arg[HEAD_ROWS];
#pragma unroll
    for (int i = 0; i < HEAD_ROWS; i++) {
        int r = min(r0 + i, rows - 1);
        from[i] = z + ((size_t)(r / T_) * S + P + r % T_) * D;
        best[i] = -INFINITY, arg[i] = 0;
    }
    for (int v = 0; v < V; v++) {
        float sum[HEAD_ROWS] = {}, w[8], x[8];
        for (int d = lane * W; d < D; d += 32 * W) {
            load<W>(w, weight + (size_t)v * D + d);
#pragma unroll
            for (int i = 0; i < HEAD_ROWS; i++) {
                load<W>(x, from[i] + d);
#pragma unroll
                for (int j = 0; j < W; j++) sum[i] = fmaf(x[j], w[j], sum[i]);
            }
        }
#pragma unroll
        for (int i = 0; i < HEAD_ROWS; i++) {
            float x_ = warp_sum(sum[i]);
            if (x_ > best[i]) best[i] = x_, arg[i] = v;
            if (lane == 0 && r0 + i < rows) logits[(size_t)(r0 + i) * V + v] = x_;
        }
    }
#pragma unroll
    for (int i = 0; i < HEAD_ROWS; i++)
        if (lane == 0 && r0 + i < rows) predictions[r0 + i] = arg[i];
}

/* q [rows,2] = z at position 0 times W^T + b: a warp a row. Weights and result are rounded to T, as the public code's linear
 * layer does: in bfloat16 both values stay equal, and rows go on, until they differ by more than noise. */
template <class T> __device__ __forceinline__ float rounded(float x) { return to_float(from_float<T>(x)); }

template <class T, int W>
__global__ void q_head_kernel(float *q, const T *z, const float *weight, const float *bias, int rows, int S, int D)
{
    int b = ROW_KERNEL_INDEX(), lane = (int)threadIdx.x % 32;
    if (b >= rows) return;
    float sum[2] = {}, x[8], w[8];
    for (int d = lane * W; d < D; d += 32 * W) {
        load<W>(x, z + (size_t)b * S * D + d);
        for (int k = 0; k < 2; k++) {
            load<W>(w, weight + k * D + d);
            for (int j = 0; j < W; j++) sum[k] = fmaf(x[j], rounded<T>(w[j]), sum[k]);
        }
    }
    for (int k = 0; k < 2; k++) {
        sum[k] = warp_sum(sum[k]);
        if (lane == 0) q[2 * b + k] = rounded<T>(sum[k] + rounded<T>(bias[k]));
    }
}

/* dz [B,S,D] = dlogits W from P on, plus dq Wq at position 0. A thread has W columns of eight rows, a block 32 rows. */
enum { BACK_THREADS = 256, BACK_ACROSS = 64, BACK_ROWS = 32, BACK_VALUES = 16 };
template <class T, int W>
__global__ void __launch_bounds__(BACK_THREADS)
    heads_backward_kernel(T *dz, const float *dlogits, const float *dq, const float *lm_weight, const float *q_weight, int M,
                          int S, int P, int D, int V)
{
    constexpr int EACH = BACK_ROWS * BACK_ACROSS / BACK_THREADS;
    __shared__ alignas(16) float g[BACK_VALUES][BACK_ROWS];
    int r0 = (int)blockIdx.x * BACK_ROWS, mine = (int)threadIdx.x / BACK_ACROSS * EACH,
        d = ((int)blockIdx.y * BACK_ACROSS + (int)threadIdx.x % BACK_ACROSS) * W;
    float acc[EACH][W] = {}, w[8];
    for (int v0 = 0; v0 < V; v0 += BACK_VALUES) {
        __syncthreads();
        for (int i = (int)threadIdx.x; i < BACK_ROWS * BACK_VALUES; i += BACK_THREADS) {
            int r = r0 + i / BACK_VALUES, v = v0 + i % BACK_VALUES, s = r % S;
            g[i % BACK_VALUES][i / BACK_VALUES] =
                r < M && s >= P && v < V ? dlogits[((size_t)(r / S) * (S - P) + s - P) * V + v] : 0.0f;
        }
        __syncthreads();
        for (int v = 0; v < BACK_VALUES && v0 + v < V && d < D; v++) {
            load<W>(w, lm_weight + (size_t)(v0 + v) * D + d);
#pragma unroll
            for (int i = 0; i < EACH; i++)
#pragma unroll
                for (int j = 0; j < W; j++) acc[i][j] = fmaf(g[v][mine + i], w[j], acc[i][j]);
        }
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int r = r0 + mine + i;
        if (r >= M || d >= D) break;
        if (r % S == 0)
            for (int k = 0; k < 2; k++) {
                load<W>(w, q_weight + k * D + d);
                for (int j = 0; j < W; j++) acc[i][j] = fmaf(dq[r / S * 2 + k], w[j], acc[i][j]);
            }
        store<W>(dz + (size_t)r * D + d, acc[i]);
    }
}

__global__ void q_bias_gradient_kernel(float *grad, const float *dq, int rows)
{
    /* a warp: lanes in strides, then a fixed tree */
    float sum[2] = {};
    for (int b = (int)threadIdx.x; b < rows; b += 32) sum[0] += dq[2 * b], sum[1] += dq[2 * b + 1];
    for (int k = 0; k < 2; k++) {
        sum[k] = warp_sum(sum[k]);
        if (threadIdx.x == 0) grad[k] += sum[k];
    }
}

/* Losses of a row, a block a row; sums [rows,HRM_METRIC_SUMS] are added up afterwards in a fixed order. */
enum { LOSS_THREADS = 128 };
__global__ void __launch_bounds__(LOSS_THREADS) losses_kernel(hrm_work w, double *sums)
{
    __shared__ double partial[LOSS_THREADS / 32][3];
    int b = (int)blockIdx.x, T = w.d.T, V = w.d.V, lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int32_t *labels = w.labels + (size_t)b * T;
    int labelled = 0, right = 0;
    for (int t = (int)threadIdx.x; t < T; t += LOSS_THREADS) {
        if (labels[t] == -100) continue;
        labelled++;
        right += w.predictions[(size_t)b * T + t] == labels[t];
    }
    double count[2] = {warp_sum((double)labelled), warp_sum((double)right)};
    if (lane == 0) partial[warp][0] = count[0], partial[warp][1] = count[1];
    __syncthreads();
    double n = 0, correct = 0;
    for (int i = 0; i < LOSS_THREADS / 32; i++) n += partial[i][0], correct += partial[i][1];
    double divisor = n > 0 ? n : 1, weight = (double)w.step->loss_scale / divisor, loss = 0,
           smoothing = w.train ? (double)w.step->label_smoothing : 0;
    for (int t = (int)threadIdx.x; t < T; t += LOSS_THREADS) {
        const float *x = w.logits + ((size_t)b * T + t) * V;
        float *dx = w.train ? w.dlogits + ((size_t)b * T + t) * V : NULL;
        int y = labels[t];
        if (y == -100) {
            if (dx)
                for (int v = 0; v < V; v++) dx[v] = 0;
            continue;
        }
        loss += hrm__token_loss(w.d.softmax, smoothing, dx, x, (size_t)V, (size_t)y, weight);
    }
    loss = warp_sum(loss);
    if (lane == 0) partial[warp][2] = loss;
    __syncthreads();
    if (threadIdx.x != 0) return;
    loss = 0;
    for (int i = 0; i < LOSS_THREADS / 32; i++) loss += partial[i][2];
    int learns = w.train ? b : 0; /* what is there in training only */
    hrm__row_losses(sums + (size_t)b * HRM_METRIC_SUMS, w.dq + 2 * learns, w.target_q + learns, w.step, w.train, w.q + 2 * b,
                    w.q2 + 2 * learns, w.steps[b], w.halted[b], (int)n, (int)correct, loss / divisor);
}

__global__ void sum_metrics_kernel(double *metrics, int32_t *bad, const double *sums, int rows, int add)
{
    /* a warp a metric */
    int metric = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    double sum = 0;
    for (int b = lane; b < rows; b += 32) sum += sums[(size_t)b * HRM_METRIC_SUMS + metric];
    sum = warp_sum(sum);
    if (lane == 0) {
        metrics[metric] = add ? metrics[metric] + sum : sum;
        if (!isfinite(sum)) *bad = 1;
    }
}

/* ==================================================================================================== >>cuda-optimizers ==*/
/* a and b times the scale of a loss in float16 */
__global__ void scale_kernel(float *a, size_t n, float *b, size_t m, const hrm_scaling *s)
{
    float scale = s->scale;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n + m; i += (size_t)gridDim.x * blockDim.x)
        *(i < n ? a + i : b + (i - n)) *= scale;
}
/* gradients over it; skip where one is not finite */
__global__ void unscale_kernel(float *g, size_t n, hrm_scaling *s)
{
    float scale = s->scale;
    int bad = 0;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        float x = g[i] / scale;
        bad |= !isfinite(x);
        g[i] = x;
    }
    if (bad) s->skip = 1;
}
__global__ void scaling_next_kernel(hrm_scaling *s, hrm_step *step, int32_t *bad) { hrm__scaling_next(s, step, bad); }

/* n elements (a multiple of 4); grads are zeroed on the way; norm: of all gradients, squared, where they are clipped */
template <int OPTIMIZER>
__global__ void adam_kernel(float *p, float *m, float *v, float *g, size_t n, const hrm_step *s, int rate, const double *norm,
                            const int32_t *bad)
{
    float lr = s->rates[rate].lr, decay = 1.0f - lr * s->rates[rate].weight_decay, by = lr / s->bias1,
          factor = hrm__clip_factor(s->grad_clip, *norm);
    int skip = *bad;
    for (size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * 4; i < n; i += (size_t)gridDim.x * blockDim.x * 4) {
        float4 G = *(const float4 *)(g + i), P = *(const float4 *)(p + i), M = *(const float4 *)(m + i),
               V = *(const float4 *)(v + i);
        float *gs = &G.x, *ps = &P.x, *ms = &M.x, *vs = &V.x;
#pragma unroll
        for (int j = 0; j < 4 && !skip; j++) {
            if (OPTIMIZER == HRM_ADAM_ATAN2)
                hrm__adam_atan2_element(&ps[j], &ms[j], &vs[j], gs[j] * factor, decay, by, s->beta1, s->beta2, s->bias2);
            else
                hrm__adamw_element(&ps[j], &ms[j], &vs[j], gs[j] * factor, decay, by, s->beta1, s->beta2, s->bias2,
                                   s->adam_eps);
        }
        /* a store to what is still on its way here would wait in L2: twice the time */
        *(float4 *)(p + i) = P, *(float4 *)(m + i) = M, *(float4 *)(v + i) = V, *(float4 *)(g + i) = make_float4(0, 0, 0, 0);
    }
}

/* The sum of squares: a part a block, each added in a fixed order, then the parts in theirs. */
enum { NORM_PARTS = 256 };
__device__ static double block_sum(double x)
{
    __shared__ double partial[8];
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < 8; i++) sum += partial[i];
    return sum;
}
__global__ void __launch_bounds__(256) squares_kernel(double *parts, const float *g, size_t n)
{
    double sum = 0;
    for (size_t i = (size_t)blockIdx.x * 256 + threadIdx.x; i < n; i += (size_t)NORM_PARTS * 256)
        sum += (double)g[i] * (double)g[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
__global__ void __launch_bounds__(256) sum_squares_kernel(double *norm, int32_t *bad, const double *parts)
{
    double sum = block_sum(parts[threadIdx.x]);
    if (threadIdx.x != 0) return;
    *norm = sum;
    if (bad && !isfinite(sum)) *bad = 1;
}

/* Muon, formulas at hrm.h >>muon: one matrix of every block at once, `step` elements apart, each with blockIdx.y. First the
 * momentum, and u in place of the gradient, with the parts of its sum of squares. */
__global__ void __launch_bounds__(256) muon_begin_kernel(float *g, float *m, double *parts, size_t n, size_t step,
                                                         const hrm_step *s, const double *norm, const int32_t *bad)
{
    chain();
    float factor = hrm__clip_factor(s->grad_clip, *norm), keep = s->muon_momentum;
    int skip = *bad;
    double sum = 0;
    g += blockIdx.y * step, m += blockIdx.y * step;
    for (size_t i = (size_t)blockIdx.x * 256 + threadIdx.x; i < n && !skip; i += (size_t)NORM_PARTS * 256) {
        float gi = g[i] * factor, mi = m[i] + (gi - m[i]) * (1 - keep), u = gi + (mi - gi) * keep;
        m[i] = mi;
        g[i] = u;
        sum += (double)u * (double)u;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.y * NORM_PARTS + blockIdx.x] = sum;
}
/* x [N,K] = u / |u|, u [rows,columns], the rest 0; x matrix after matrix */
template <class T>
__global__ void __launch_bounds__(256)
    muon_scale_kernel(T *x, const float *u, const double *parts, size_t step, int rows, int columns, int N, int K)
{
    chain();
    double size = sqrt(block_sum(parts[blockIdx.y * NORM_PARTS + threadIdx.x]));
    float by = (float)(1 / (size > 1e-7 ? size : 1e-7));
    size_t n = (size_t)N * K;
    u += blockIdx.y * step, x += blockIdx.y * n;
    for (size_t i = (size_t)blockIdx.x * 256 + threadIdx.x; i < n; i += (size_t)gridDim.x * 256) {
        int row = (int)(i / (size_t)K), column = (int)(i % (size_t)K);
        x[i] = from_float<T>(row < rows && column < columns ? by * u[(size_t)row * columns + column] : 0.0f);
    }
}
template <class T>
__global__ void muon_end_kernel(float *p, float *g, const T *x, size_t step, int rows, int columns, int N, int K,
                                const hrm_step *s, int rate, const int32_t *bad)
{
    chain();
    float lr = s->rates[rate].lr, decay = 1.0f - lr * s->rates[rate].weight_decay,
          by = lr * sqrtf(fmaxf((float)rows / (float)columns, 1.0f));
    int skip = *bad;
    size_t n = (size_t)rows * columns;
    p += blockIdx.y * step, g += blockIdx.y * step, x += blockIdx.y * (size_t)N * K;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        g[i] = 0;
        if (!skip) p[i] = p[i] * decay - by * to_float(x[i / (size_t)columns * (size_t)K + i % (size_t)columns]);
    }
}

/* average = rate average + (1 - rate) p; swap: the two change places */
__global__ void average_kernel(float *average, float *p, size_t n, const hrm_step *s, int swap, const int32_t *bad)
{
    float keep = s->ema_rate;
    if (!swap && *bad) return;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        float had = average[i];
        average[i] = swap ? p[i] : keep * had + (1 - keep) * p[i];
        if (swap) p[i] = had;
    }
}

/* The first row with an id sums the gradients of all rows with it, in their order, and moves the table's row: a block for each
 * row and columns. Of the other rows it looks at the ids, and reads gradients of its own id alone. */
enum { SIGN_THREADS = 128 };
__global__ void __launch_bounds__(SIGN_THREADS)
    sign_sgd_kernel(float *table, const float *grad, const int32_t *ids, int rows, int ndim, const hrm_step *s, int rate,
                    const int32_t *bad)
{
    __shared__ int same[SIGN_THREADS], counts[SIGN_THREADS / 32];
    int b = (int)blockIdx.x, id = ids[b], d = (int)blockIdx.y * SIGN_THREADS + (int)threadIdx.x,
        lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    if (*bad) return;
    int seen = 0;
    for (int i = (int)threadIdx.x; i < b && !seen; i += SIGN_THREADS) seen = ids[i] == id;
    if (__syncthreads_or(seen)) return;
    float sum = 0;
    for (int i0 = b; i0 < rows; i0 += SIGN_THREADS) {
        int i = i0 + (int)threadIdx.x, mine = i < rows && ids[i] == id, before = 0, n = 0;
        unsigned votes = __ballot_sync(0xffffffffu, mine);
        if (lane == 0) counts[warp] = __popc(votes);
        __syncthreads();
        for (int k = 0; k < SIGN_THREADS / 32; k++) before += k < warp ? counts[k] : 0, n += counts[k];
        if (mine) same[before + __popc(votes & ((1u << lane) - 1))] = i;
        __syncthreads();
        if (d < ndim) {
#pragma unroll 16
            for (int k = 0; k < n; k++) sum += grad[(size_t)same[k] * ndim + d];
        }
        __syncthreads();
    }
    if (d >= ndim) return;
    float *p = table + (size_t)id * ndim + d, lr = s->rates[rate].lr;
    *p = hrm__sign_sgd_element(*p, sum, 1.0f - lr * s->rates[rate].weight_decay, lr);
}

/* ==================================================================================================== >>cuda-device ======
 * One device, one stream. Uploads go through a ring of pinned blocks, so the caller's memory is free at once and the copy
 * queues behind the kernels before it; nothing waits but download and sync.
 */
typedef CUresult (*encode_function)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
                                    const cuuint64_t *, const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave,
                                    CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

enum { RING_SLOTS = 8, POST_BYTES = 256, MAX_GRAPHS = 64 };
static const size_t RING_BYTES = (size_t)1 << 21;
struct ring_slot { void *host; cudaEvent_t done; int used; };
struct graph_entry { hrm_work *w; uint64_t key, used; int seen; cudaGraphExec_t exec; };

struct hrm_device {
    const hrm_allocator *allocator;
    hrm_forward_dtype    dtype;
    int                  index, sms, wgmma, chains, wait_always, capturing;
    int                  whole;     /* the kernel launched last waits for all before it and lets none start before its end */
    int                  shared_most; /* bytes of shared memory that a block may have */
    int                  few; /* flag: few_passes() may be launched */
    size_t               allocated; /* bytes */
    hrm_dims             asked;     /* by the last sizes(), for the message when memory runs out */
    int                  asked_train;
    size_t               asked_bytes;
    cudaStream_t         stream;
    cudaStream_t         side; /* what goes on between ranks while the way back goes on; made when there are some */
    cudaEvent_t          fork, join;
    ring_slot            ring[RING_SLOTS], posts[2]; /* uploads; copies to the host that are fetched later */
    int                  ring_next;
    graph_entry          graphs[MAX_GRAPHS];
    uint64_t             graph_time;
    encode_function      encode;
#ifdef HRM_USE_CUBLAS
    cublasLtHandle_t lt;
    void            *lt_workspace;
#endif
};

static hrm_status cuda_failed(cudaError_t error, const char *what)
{
    cudaGetLastError(); /* as launched() does */
    return hrm_error_set(error == cudaErrorMemoryAllocation ? HRM_ERR_MEMORY : HRM_ERR_DEVICE, "CUDA: %s: %s", what,
                         cudaGetErrorString(error));
}
#define CUDA_TRY(call, what) \
    do { \
        cudaError_t cuda_error = (call); \
        if (cuda_error != cudaSuccess) return cuda_failed(cuda_error, what); \
    } while (0)

/* What is refused is told of where it is called. CUDA's last error is then left clean, so that no later call finds it, and is
 * never asked for what went wrong, since it may be another's in this program. */
static void       abandon_capture(hrm_device *dev);
static hrm_status launched(hrm_device *dev, const char *kernel, cudaError_t error = cudaSuccess)
{
    if (error == cudaSuccess && dev->wait_always && !dev->capturing) error = cudaStreamSynchronize(dev->stream);
    if (error == cudaSuccess) return HRM_OK;
    cudaGetLastError();
    abandon_capture(dev); /* the step ends here: the next one's uploads are outside it */
    return hrm_error_set(error == cudaErrorMemoryAllocation ? HRM_ERR_MEMORY : HRM_ERR_DEVICE, "CUDA: kernel %s failed: %s",
                         kernel, cudaGetErrorString(error));
}
/* cluster: blocks of one */
#define LAUNCH_AS(dev, early, cluster, kernel, grid_size, block_size, shared_bytes, ...) \
    do { \
        cudaLaunchConfig_t launch_config = {}; \
        cudaLaunchAttribute launch_attributes[2] = {}; \
        launch_attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization; \
        launch_attributes[0].val.programmaticStreamSerializationAllowed = (early) ? 1 : 0; \
        launch_attributes[1].id = cudaLaunchAttributeClusterDimension; \
        launch_attributes[1].val.clusterDim.x = (cluster); \
        launch_attributes[1].val.clusterDim.y = launch_attributes[1].val.clusterDim.z = 1; \
        launch_config.gridDim = dim3(grid_size); \
        launch_config.blockDim = dim3((unsigned)(block_size)); \
        launch_config.dynamicSmemBytes = (size_t)(shared_bytes); \
        launch_config.stream = (dev)->stream; \
        launch_config.attrs = launch_attributes; \
        launch_config.numAttrs = (cluster) > 1 ? 2 : (early) ? 1 : 0; \
        (dev)->whole = !(early); \
        TRY(launched((dev), #kernel, cudaLaunchKernelEx(&launch_config, kernel, __VA_ARGS__))); \
    } while (0)
/* LAUNCH(dev, (kernel<...>), grid, block, shared bytes, arguments…): the kernel's own text is its name in messages */
#define LAUNCH(dev, kernel, ...) LAUNCH_AS(dev, 0, 1, kernel, __VA_ARGS__)
/* The same for kernels that call chain(): on sm_90 they may start early. */
#define CHAIN(dev, kernel, ...) LAUNCH_AS(dev, (dev)->chains, 1, kernel, __VA_ARGS__)

/* after what writes prepared weights: nothing that is launched from here on may begin before they are there */
static hrm_status written_whole(const hrm_device *dev)
{
    return dev->whole ? HRM_OK : hrm_error_set(HRM_ERR_DEVICE, "CUDA: a kernel that writes weights was launched in a chain");
}

template <class F> static hrm_status allow_shared(F *kernel, int bytes, const char *name)
{
    if (bytes <= 48 * 1024) return HRM_OK;
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error == cudaSuccess) return HRM_OK;
    cudaGetLastError();
    return hrm_error_set(HRM_ERR_UNSUPPORTED, "CUDA: kernel %s wants %d bytes of shared memory: %s", name, bytes,
                         cudaGetErrorString(error));
}

template <class F> static hrm_status allow_shared(hrm_device *dev, F *kernel, int bytes, const char *name)
{
    if (bytes > dev->shared_most)
        return hrm_error_set(HRM_ERR_UNSUPPORTED, "CUDA: kernel %s wants %d bytes of shared memory, this GPU gives %d", name,
                             bytes, dev->shared_most);
    return allow_shared(kernel, bytes, name);
}

static void abandon_capture(hrm_device *dev)
{
    if (!dev->capturing) return;
    cudaGraph_t graph = NULL;
    cudaStreamEndCapture(dev->stream, &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    dev->capturing = 0;
    for (int i = 0; i < MAX_GRAPHS; i++) /* to be recorded the next time */
        if (dev->graphs[i].seen == 2 && !dev->graphs[i].exec) dev->graphs[i].seen = 1;
}

static void cuda_close(hrm_device *dev)
{
    if (!dev) return;
    abandon_capture(dev);
    if (dev->stream) cudaStreamSynchronize(dev->stream);
    for (int i = 0; i < MAX_GRAPHS; i++)
        if (dev->graphs[i].exec) cudaGraphExecDestroy(dev->graphs[i].exec);
    for (int i = 0; i < RING_SLOTS + 2; i++) {
        ring_slot *slot = i < RING_SLOTS ? &dev->ring[i] : &dev->posts[i - RING_SLOTS];
        if (slot->done) cudaEventDestroy(slot->done);
        if (slot->host) cudaFreeHost(slot->host);
    }
#ifdef HRM_USE_CUBLAS
    if (dev->lt) cublasLtDestroy(dev->lt);
    if (dev->lt_workspace) cudaFree(dev->lt_workspace);
#endif
    if (dev->fork) cudaEventDestroy(dev->fork);
    if (dev->join) cudaEventDestroy(dev->join);
    if (dev->side) cudaStreamDestroy(dev->side);
    if (dev->stream) cudaStreamDestroy(dev->stream);
    cudaGetLastError();
    const hrm_allocator *a = dev->allocator;
    if (a && a->alloc) a->free(dev, sizeof *dev, a->user);
    else free(dev);
}

static hrm_status open_device(hrm_device *dev)
{
    int count = 0, driver = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) cudaGetLastError();
    if (error == cudaErrorInsufficientDriver) {
        cudaDriverGetVersion(&driver);
        if (driver == 0) return hrm_error_set(HRM_ERR_DEVICE, "CUDA: there is no NVIDIA driver on this machine");
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver is too old: it supports CUDA %d.%d, this build needs %d.%d",
                             driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    }
    if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: there is no GPU on this machine");
    if (error != cudaSuccess) return cuda_failed(error, "looking for a GPU");
    const char *which = getenv("HRM_CUDA_DEVICE");
    char *rest = NULL;
    long index = which ? strtol(which, &rest, 10) : 0;
    dev->index = (int)index;
    if (index < 0 || index >= count || (which && (rest == which || *rest)))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: HRM_CUDA_DEVICE is %s, there are %d GPUs", which, count);
    CUDA_TRY(cudaSetDevice(dev->index), "choosing the GPU");
    cudaDeviceProp properties;
    CUDA_TRY(cudaGetDeviceProperties(&properties, dev->index), "asking for the GPU's properties");
    if (properties.major < 8)
        return hrm_error_set(HRM_ERR_UNSUPPORTED, "CUDA: %s has compute capability %d.%d, at least 8.0 is needed",
                             properties.name, properties.major, properties.minor);
    dev->sms = properties.multiProcessorCount;
    dev->shared_most = (int)properties.sharedMemPerBlockOptin;
    const char *shared_most = getenv("HRM_CUDA_SHARED"); /* a smaller GPU's, for tests */
    if (shared_most && atoi(shared_most) > 0) dev->shared_most = min_int(dev->shared_most, atoi(shared_most));
    const char *wait = getenv("HRM_CUDA_SYNC");
    dev->wait_always = wait && wait[0] && wait[0] != '0';
    CUDA_TRY(cudaStreamCreateWithFlags(&dev->stream, cudaStreamNonBlocking), "creating a stream");
    for (int i = 0; i < RING_SLOTS + 2; i++) {
        ring_slot *slot = i < RING_SLOTS ? &dev->ring[i] : &dev->posts[i - RING_SLOTS];
        CUDA_TRY(cudaMallocHost(&slot->host, i < RING_SLOTS ? (size_t)RING_BYTES : (size_t)POST_BYTES),
                 "allocating pinned memory");
        CUDA_TRY(cudaEventCreateWithFlags(&slot->done, cudaEventDisableTiming), "creating an event");
    }
    /* code for this GPU, and wgmma in it? */
    int *there = NULL, answer = 0;
    CUDA_TRY(cudaMalloc((void **)&there, sizeof *there), "allocating memory");
    cudaGetLastError(); /* another's */
    probe_wgmma<<<1, 1, 0, dev->stream>>>(there);
    error = cudaGetLastError();
    if (error == cudaSuccess) error = cudaMemcpyAsync(&answer, there, sizeof answer, cudaMemcpyDeviceToHost, dev->stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(dev->stream);
    cudaFree(there);
    cudaGetLastError();
    if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion)
        return hrm_error_set(
            HRM_ERR_UNSUPPORTED,
            "CUDA: hrm_cuda.o has no code for %s, compute capability %d.%d; compile it with -gencode "
            "arch=compute_%d%d,code=sm_%d%d",
            properties.name, properties.major, properties.minor, properties.major, properties.minor, properties.major,
            properties.minor);
    CUDA_TRY(error, "running the first kernel");
    dev->chains = answer; /* compiled for sm_90a: the kernels of a chain do wait */
    const char *no_wgmma = getenv("HRM_CUDA_NO_WGMMA");
    if (answer && dev->dtype != HRM_FORWARD_FLOAT16 && dev->shared_most >= WG_SHARED && !(no_wgmma && no_wgmma[0] == '1')) {
        void *function = NULL;
        cudaDriverEntryPointQueryResult found;
        error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found);
        if (error == cudaSuccess && found == cudaDriverEntryPointSuccess && function) {
            dev->encode = (encode_function)function;
            dev->wgmma = 1;
        } else cudaGetLastError();
    }
    const char *no_few = getenv("HRM_CUDA_NO_FEW");
    int cooperative = 0;
    CUDA_TRY(cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, dev->index), "asking for the GPU's properties");
    dev->few = cooperative && dev->shared_most >= FEW_SHARED && !(no_few && no_few[0] == '1');
#ifdef HRM_USE_CUBLAS
    if (cublasLtCreate(&dev->lt) != CUBLAS_STATUS_SUCCESS)
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: cuBLASLt does not start");
    CUDA_TRY(cudaMalloc(&dev->lt_workspace, (size_t)32 << 20), "allocating cuBLASLt's workspace");
#endif
    return HRM_OK;
}

static hrm_status cuda_open(hrm_device **out, const hrm_device_desc *desc)
{
    if (desc->dtype == HRM_FORWARD_INT8)
        return hrm_error_set(HRM_ERR_UNSUPPORTED, "forward_dtype int8 is not there on CUDA; use bfloat16, float16 or float32");
    const hrm_allocator *a = desc->allocator;
    hrm_device *dev = (hrm_device *)(a && a->alloc ? a->alloc(sizeof *dev, a->user) : malloc(sizeof *dev));
    if (!dev) return hrm_error_set(HRM_ERR_MEMORY, "CUDA device: no memory for %zu bytes", sizeof *dev);
    memset(dev, 0, sizeof *dev);
    dev->allocator = a;
    dev->dtype = desc->dtype == HRM_FORWARD_DEFAULT ? HRM_FORWARD_BFLOAT16 : desc->dtype;
    hrm_status status = open_device(dev);
    if (status != HRM_OK) {
        cuda_close(dev);
        return status;
    }
    *out = dev;
    return HRM_OK;
}

static hrm_status cuda_buffer_alloc(hrm_device *dev, void **p, size_t bytes)
{
    size_t room = 0, total = 0;
    cudaError_t error = cudaMalloc(p, bytes ? bytes : 16);
    if (error == cudaSuccess) {
        error = cudaMemsetAsync(*p, 0, bytes ? bytes : 16, dev->stream); /* as the CPU's is */
        if (error == cudaSuccess) {
            dev->allocated += bytes;
            return HRM_OK;
        }
        cudaFree(*p), *p = NULL;
        return cuda_failed(error, "zeroing memory");
    }
    cudaGetLastError();
    if (error != cudaErrorMemoryAllocation) return cuda_failed(error, "allocating memory");
    cudaMemGetInfo(&room, &total);
    double fits = (double)room * 0.95 / (double)bytes *
                  dev->asked.B; /* nearly everything grows with the batch; a twentieth for the rest */
    if (dev->asked_bytes > 0 && bytes >= dev->asked_bytes / 2 && fits >= 1)
        return hrm_error_set(
            HRM_ERR_MEMORY,
            "CUDA: out of memory: %.2f GB needed for %d rows at once, %.2f of %.2f GB free; about %d at once would fit",
            (double)bytes * 1e-9, dev->asked.B, (double)room * 1e-9, (double)total * 1e-9, (int)fits);
    return hrm_error_set(HRM_ERR_MEMORY, "CUDA: out of memory: %.2f GB needed, %.2f of %.2f GB free", (double)bytes * 1e-9,
                         (double)room * 1e-9, (double)total * 1e-9);
}

static void cuda_buffer_free(hrm_device *dev, void *p, size_t bytes)
{
    if (!p) return;
    abandon_capture(dev);
    cudaStreamSynchronize(dev->stream);
    cudaFree(p);
    cudaGetLastError(); /* what failed was told, or will be */
    dev->allocated -= bytes;
}

static hrm_status outside_step(hrm_device *dev, const char *what)
{
    if (!dev->capturing) return HRM_OK;
    abandon_capture(dev);
    return hrm_error_set(HRM_ERR_ARGUMENT, "CUDA: %s inside a step that is being recorded", what);
}

static hrm_status cuda_upload(hrm_device *dev, void *dst, const void *host, size_t bytes)
{
    TRY(outside_step(dev, "an upload"));
    for (size_t at = 0; at < bytes;) {
        ring_slot *slot = &dev->ring[dev->ring_next];
        size_t n = bytes - at < RING_BYTES ? bytes - at : RING_BYTES;
        dev->ring_next = (dev->ring_next + 1) % RING_SLOTS;
        if (slot->used) CUDA_TRY(cudaEventSynchronize(slot->done), "waiting for an upload");
        memcpy(slot->host, (const char *)host + at, n);
        CUDA_TRY(cudaMemcpyAsync((char *)dst + at, slot->host, n, cudaMemcpyHostToDevice, dev->stream), "an upload");
        CUDA_TRY(cudaEventRecord(slot->done, dev->stream), "an upload");
        slot->used = 1;
        at += n;
    }
    return HRM_OK;
}

static hrm_status waited(cudaError_t error)
{
    if (error == cudaSuccess) return HRM_OK;
    return hrm_error_set(HRM_ERR_DEVICE,
                         "CUDA: a kernel failed while running: %s (HRM_CUDA_SYNC=1 in the environment names it)",
                         cudaGetErrorString(error));
}

static hrm_status cuda_sync(hrm_device *dev)
{
    TRY(outside_step(dev, "waiting"));
    return waited(cudaStreamSynchronize(dev->stream));
}

static hrm_status cuda_download(hrm_device *dev, void *host, const void *src, size_t bytes)
{
    TRY(outside_step(dev, "a download"));
    CUDA_TRY(cudaMemcpyAsync(host, src, bytes, cudaMemcpyDeviceToHost, dev->stream), "a download");
    return cuda_sync(dev);
}

static hrm_status cuda_post(hrm_device *dev, int slot, size_t at, const void *src, size_t bytes)
{
    TRY(outside_step(dev, "a download"));
    CUDA_TRY(cudaMemcpyAsync((char *)dev->posts[slot].host + at, src, bytes, cudaMemcpyDeviceToHost, dev->stream),
             "a download");
    CUDA_TRY(cudaEventRecord(dev->posts[slot].done, dev->stream), "a download");
    return HRM_OK;
}

static hrm_status cuda_collect(hrm_device *dev, int slot, size_t at, void *host, size_t bytes)
{
    TRY(waited(cudaEventSynchronize(dev->posts[slot].done)));
    memcpy(host, (const char *)dev->posts[slot].host + at, bytes);
    return HRM_OK;
}

static hrm_status cuda_copy(hrm_device *dev, void *dst, const void *src, size_t bytes)
{
    return launched(dev, "cudaMemcpyAsync", cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, dev->stream));
}

static hrm_status cuda_zero(hrm_device *dev, void *dst, size_t bytes)
{
    return launched(dev, "cudaMemsetAsync", cudaMemsetAsync(dst, 0, bytes, dev->stream));
}

/* A sequence of calls runs as it comes the first time (which also loads its kernels), is recorded the second, replayed from
 * then on. Rows that leave a batch make a sequence of their own for each number of rows left; those of a few rows, whose
 * kernels are shorter than their launch, come again with each batch and stay, those of many come rarely and need no graph. */
static hrm_status cuda_begin_step(hrm_device *dev, hrm_work *w, uint64_t key, int *replayed)
{
    *replayed = 0;
    abandon_capture(dev);
    if (dev->wait_always) return HRM_OK;
    graph_entry *g = NULL;
    for (int i = 0; i < MAX_GRAPHS && !g; i++)
        if (dev->graphs[i].w == w && dev->graphs[i].key == key) g = &dev->graphs[i];
    if (!g) { /* in the place of what was not used for longest */
        g = &dev->graphs[0];
        for (int i = 1; i < MAX_GRAPHS; i++)
            if (dev->graphs[i].used < g->used) g = &dev->graphs[i];
        if (g->exec) {
            CUDA_TRY(cudaStreamSynchronize(dev->stream), "waiting for a graph");
            cudaGraphExecDestroy(g->exec);
        }
        g->w = w, g->key = key, g->seen = 0, g->exec = NULL;
    }
    g->used = ++dev->graph_time;
    if (g->exec) {
        CUDA_TRY(cudaGraphLaunch(g->exec, dev->stream), "launching a step");
        *replayed = 1;
    } else if (++g->seen == 2) {
        CUDA_TRY(cudaStreamBeginCapture(dev->stream, cudaStreamCaptureModeThreadLocal), "recording a step");
        dev->capturing = 1;
    }
    return HRM_OK;
}

static hrm_status cuda_end_step(hrm_device *dev, hrm_work *w, uint64_t key)
{
    if (!dev->capturing) return HRM_OK;
    cudaGraph_t graph = NULL;
    dev->capturing = 0;
    CUDA_TRY(cudaStreamEndCapture(dev->stream, &graph), "recording a step");
    for (int i = 0; i < MAX_GRAPHS; i++) {
        graph_entry *g = &dev->graphs[i];
        if (g->w != w || g->key != key) continue;
        cudaError_t error = cudaGraphInstantiate(&g->exec, graph, 0);
        cudaGraphDestroy(graph);
        CUDA_TRY(error, "making a graph of a step");
        CUDA_TRY(cudaGraphLaunch(g->exec, dev->stream), "launching a step");
        return HRM_OK;
    }
    cudaGraphDestroy(graph);
    return hrm_error_set(HRM_ERR_ARGUMENT, "CUDA: end_step without its begin_step");
}

static void cuda_forget(hrm_device *dev, hrm_work *w)
{
    abandon_capture(dev);
    cudaStreamSynchronize(dev->stream);
    for (int i = 0; i < MAX_GRAPHS; i++) {
        graph_entry *g = &dev->graphs[i];
        if (g->w != w) continue;
        if (g->exec) cudaGraphExecDestroy(g->exec);
        memset(g, 0, sizeof *g);
    }
    cudaGetLastError();
}

/* ==================================================================================================== >>cuda-plan ========
 * Where things stand in `work` and `prepared`. Sizes depend on the dims alone.
 */
struct prepared_plan {
    size_t to[HRM_BLOCK_TENSORS], transposed[HRM_BLOCK_TENSORS], block; /* elements; network by network */
    size_t rope, bytes;                                                 /* bytes */
    size_t small[HRM_BLOCK_TENSORS], small_at, small_block;             /* bytes: those in e4m3, see has_small() */
};

static size_t align_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* A mixer's positions, filled up. */
static int mix_width(const hrm_dims *d) { return (int)align_up((size_t)d->S, 8); }
/* of a prepared weight */
static void tensor_shape(const hrm_dims *d, int tensor, int *N, int *K)
{
    *N = (int)hrm__block_rows(d, tensor), *K = (int)hrm__block_columns(d, tensor);
    if (!d->mixer) return;
    if (tensor == HRM_MIX_GATE_UP) *K = mix_width(d);
    if (tensor == HRM_MIX_DOWN) *N = mix_width(d);
}
static int tensor_permutation(const hrm_dims *d, int tensor)
{
    if (tensor == HRM_GATE_UP_PROJ || (d->mixer && tensor == HRM_MIX_GATE_UP)) return PERMUTE_GATE_UP;
    return !d->mixer && tensor == HRM_QKV_PROJ ? PERMUTE_QKV : PERMUTE_NONE;
}

static int blocks_before(const hrm_dims *d, int net)
{
    int n = 0;
    for (int i = 0; i < net; i++) n += d->layers[i];
    return n;
}
static int all_blocks(const hrm_dims *d) { return blocks_before(d, d->nets); }

/* tensors that passes in e4m3 multiply by, and whether their columns are in the order of e4m3_place(): as the rows are */
static bool has_small(const hrm_dims *d, int tensor)
{
    return d->fp8 && (!d->mixer || tensor == HRM_GATE_UP_PROJ || tensor == HRM_DOWN_PROJ);
}
static int small_placed(const hrm_dims *d, int tensor) { return tensor == HRM_DOWN_PROJ || !d->mixer; }

static prepared_plan plan_prepared(const hrm_dims *d, size_t element)
{
    prepared_plan p;
    size_t at = 0;
    p.small_block = 0;
    for (int t = 0; t < HRM_BLOCK_TENSORS; t++) {
        int N, K;
        tensor_shape(d, t, &N, &K);
        p.to[t] = at, at = align_up(at + (size_t)N * (size_t)K, 128);
        p.transposed[t] = at, at = align_up(at + (size_t)N * (size_t)K, 128);
        p.small[t] = p.small_block;
        if (has_small(d, t)) p.small_block = align_up(p.small_block + (size_t)N * (size_t)K, 128);
    }
    p.block = at;
    p.rope = align_up(at * (size_t)all_blocks(d) * element, 256);
    p.small_at = p.rope + align_up((size_t)d->S * (size_t)(d->head_dim / 2) * sizeof(float2), 256);
    p.bytes = p.small_at + align_up(p.small_block * (size_t)all_blocks(d), 256);
    return p;
}

static int padded_positions(const hrm_dims *d) { return ceil_div(d->S, 64) * 64; }

/* The MLP's norm inside goes back within the product before (normalise_backward_kernel); in float32 after it. */
static bool norm_goes_ahead(const hrm_dims *d, size_t element) { return d->mlp_norm && element == sizeof(bf16); }

/* What is kept of a block for the backward pass, in this order, besides its output, which is the next one's input; each begins
 * at a multiple of 256 bytes. MA: M where there is attention, else 0. */
#define SAVED_LIST(X) /* type, name, bytes */ \
    X(char, qkv, 3 * MA * D * element) \
    X(char, o, MA * D * element) \
    X(char, y1, M * D * element) \
    X(float, lse, MA ? per_head : 0) \
    X(float, r1, (d->mixer ? (size_t)d->B * D : M) * sizeof(float)) \
    X(float, inner, d->mixer && d->mlp_norm ? (size_t)d->B * D * sizeof(float) : 0) \
    X(float, r2, M * sizeof(float)) \
    X(float, inner2, norm_goes_ahead(d, element) ? M * sizeof(float) : 0)
struct saved_layer {
#define MEMBER(type, name, bytes) type *name;
    SAVED_LIST(MEMBER)
#undef MEMBER
};
static size_t per_head_bytes(const hrm_dims *d)
{
    return (size_t)d->B * (size_t)padded_positions(d) * (size_t)d->heads * sizeof(float);
}
static size_t place_saved(const hrm_dims *d, size_t element, char *at, saved_layer *l)
{
    size_t M = (size_t)d->B * (size_t)d->S, D = (size_t)d->D, MA = d->mixer ? 0 : M, per_head = per_head_bytes(d), used = 0;
#define PLACE(type, name, bytes) l->name = (type *)(at + used), used += align_up(bytes, 256);
    SAVED_LIST(PLACE)
#undef PLACE
    return used;
}
struct work_plan {
    char    *s;                   /* [flows,M,D] stream, and the gradients of states and e behind it */
    char    *o, *big, *h;         /* attention, a mixer's stream, and ds; qkv, swiglu or its product; swiglu */
    e4m3    *small;               /* [M,D] the stream in e4m3 */
    char    *f, *turned;          /* a branch before, or its gradient after dropout; the gradient of a mixer's stream */
    float   *squares[2], *inner;  /* [M,slots] */
    float   *state_squares[HRM_MAX_STATES]; /* of a state that is not normalised yet, within a list of passes */
    float   *parts, *delta;       /* splits of weight gradients; [B,heads,S] */
    double  *sums, *norm_parts;   /* [B,HRM_METRIC_SUMS], [NORM_PARTS], with Muon for each block */
    int32_t *rows;                /* [B] */
    char    *inputs, *outputs;    /* [slots] what each pass with gradient starts from, [M,D]; [blocks] what each block gives */
    char    *layers;              /* saved_layer after saved_layer, or one */
    char    *muon_x, *muon_y, *muon_a, *muon_b; /* matrix after matrix, of one tensor of every block */
    few_args few;                 /* its pointers, for up to few_rows() */
    size_t   row_bytes, layer_bytes, part_floats, bytes;
    size_t   M;
    const hrm_dims *d;
    size_t   element;
};

/* The most rows that few_passes() takes, 0 where it does not take the sizes. */
static int few_rows(const hrm_dims *d, size_t element)
{
    bool block = d->mixer ? d->S <= FEW_MIX_S && d->I_t <= FEW_MIX_I && d->I_t % 8 == 0
                          : !d->mlp_norm && (d->head_dim == 32 || d->head_dim == 64);
    bool takes = d->dtype == HRM_FORWARD_BFLOAT16 && element == sizeof(bf16) && block && d->D <= FEW_D && d->D % 32 == 0 &&
                 d->I <= FEW_I && d->I % 32 == 0;
    return takes ? min_int(d->B, FEW_POSITIONS / d->S) : 0;
}

static size_t most_of(size_t a, size_t b) { return a > b ? a : b; }

static work_plan plan_work(const hrm_dims *d, int train, size_t element, void *base)
{
    work_plan p;
    memset(&p, 0, sizeof p);
    size_t B = (size_t)d->B, M = B * (size_t)d->S, D = (size_t)d->D, at = 0;
    size_t mix = d->mixer ? (size_t)mix_width(d) : 0, MT = B * D * mix; /* a mixer's stream [B D,mix] */
    size_t products = most_of(M * (size_t)d->I, d->mixer ? B * D * (size_t)d->I_t : 0), stream = most_of(M * D, MT);
    auto take = [&](size_t bytes) {
        char *q = (char *)base + at;
        at += align_up(bytes, 256);
        return q;
    };
    p.d = d, p.element = element, p.M = M;
    p.row_bytes = align_up(M * D * element, 256);
    p.s = take(p.row_bytes * (size_t)(train ? d->kept.flows : 1));
    p.o = take(stream * element);
    p.big = take(most_of(train ? 2 * products : products, d->mixer ? stream : 3 * M * D) * element);
    for (int i = 0; i < 2; i++)
        p.squares[i] = (float *)take(most_of(M * ((D + 31) / 32), B * D * ((mix + 31) / 32)) * sizeof(float));
    for (int i = 0; i < d->states; i++) p.state_squares[i] = (float *)take(M * ((D + 31) / 32) * sizeof(float));
    if (d->mlp_norm) p.inner = (float *)take(products / 16 * sizeof(float));
    if (d->fp8) p.small = (e4m3 *)take(M * D);
    p.sums = (double *)take(B * HRM_METRIC_SUMS * sizeof(double));
    p.rows = (int32_t *)take(B * sizeof(int32_t));
    if (train) {
        p.h = take(most_of(products, stream) * element);
        if (d->dropout) p.f = take(stream * element);
        if (d->mixer) p.turned = take(MT * element);
        else p.delta = (float *)take(per_head_bytes(d));
        size_t largest = 0, square = 0, filled = 0; /* of Muon: both sides filled up to multiples of 8 */
        for (int t = 0; t < HRM_BLOCK_TENSORS; t++) {
            int N, K;
            tensor_shape(d, t, &N, &K);
            size_t rows = align_up((size_t)N, 8), columns = align_up((size_t)K, 8), less = rows < columns ? rows : columns;
            largest = most_of(largest, (size_t)N * (size_t)K);
            filled = most_of(filled, rows * columns);
            square = most_of(square, less * less);
        }
        p.part_floats = most_of(8 * largest, 16 * (size_t)d->V * D);
        p.parts = (float *)take(p.part_floats * sizeof(float));
        size_t blocks = d->muon_ns_steps ? (size_t)all_blocks(d) : 1;
        p.norm_parts = (double *)take(NORM_PARTS * blocks * sizeof(double));
        p.inputs = take(p.row_bytes * (size_t)d->kept.slots);
        p.outputs = take(p.row_bytes * (size_t)d->kept.blocks);
        saved_layer unused;
        p.layer_bytes = place_saved(d, element, NULL, &unused);
        p.layers = take(p.layer_bytes * (size_t)(d->checkpointing ? 1 : d->kept.blocks));
        if (d->muon_ns_steps) {
            p.muon_x = take(filled * blocks * element);
            p.muon_y = take(filled * blocks * element);
            p.muon_a = take(square * blocks * element);
            p.muon_b = take(square * blocks * element);
        }
    }
    if (size_t rows = (size_t)few_rows(d, element)) {
        size_t most = align_up(rows * (size_t)d->S, 8), keys = align_up((size_t)d->S, 32);
        few_args *f = &p.few;
        f->copy_s = most * D, f->copy_qk = 2 * most * D, f->copy_vt = rows * keys * D, f->copy_h = most * (size_t)d->I;
        f->copy_squares = most * FEW_SLOTS, f->copy_inner = d->mixer ? most * FEW_INNER : 0;
        for (int i = 0; i < 2; i++) {
            f->s[i] = (bf16 *)take(FEW_COPIES * f->copy_s * element);
            f->squares[i] = (float *)take(FEW_COPIES * f->copy_squares * sizeof(float));
        }
        f->first = (bf16 *)take(FEW_COPIES * f->copy_s * element);
        if (d->mixer) f->inner = (float *)take(FEW_COPIES * f->copy_inner * sizeof(float));
        else {
            f->qk = (bf16 *)take(FEW_COPIES * f->copy_qk * element);
            f->vt = (bf16 *)take(FEW_COPIES * f->copy_vt * element);
            f->o = (bf16 *)take(FEW_COPIES * f->copy_s * element);
        }
        f->h = (bf16 *)take(FEW_COPIES * f->copy_h * element);
        p.few.arrived = (unsigned *)take(sizeof(unsigned));
    }
    p.bytes = at;
    return p;
}

static saved_layer plan_layer(const work_plan *p, int block)
{
    saved_layer l;
    place_saved(p->d, p->element, p->layers + p->layer_bytes * (size_t)(p->d->checkpointing ? 0 : block), &l);
    return l;
}

static size_t element_size(const hrm_device *dev) { return dev->dtype == HRM_FORWARD_FLOAT32 ? sizeof(float) : sizeof(bf16); }

static hrm_status cuda_sizes(hrm_device *dev, const hrm_dims *d, int train, hrm_device_sizes *sizes)
{
    if (!d->mixer && d->head_dim > 32 * ATTENTION_REGISTERS)
        return hrm_error_set(HRM_ERR_UNSUPPORTED, "head_dim is %d, CUDA takes up to %d", d->head_dim, 32 * ATTENTION_REGISTERS);
    if ((double)d->B * (d->S > d->D && d->mixer ? d->S : d->D) / 32 * (d->S / 32 + 1) > 2147483647.0 && d->mixer)
        return hrm_error_set(HRM_ERR_RANGE, "a batch of %d rows of %d positions is too large for CUDA", d->B, d->S);
    if ((double)d->B * d->S * (d->heads > 3 ? d->heads : 3) > 2147483647.0 ||
        (!d->mixer && (double)d->B * d->heads * padded_positions(d) > 4294967295.0))
        return hrm_error_set(HRM_ERR_RANGE, "a batch of %d rows of %d positions is too large for CUDA", d->B, d->S);
    if (all_blocks(d) > 65535) /* a grid's y and z */
        return hrm_error_set(HRM_ERR_RANGE, "the networks have %d layers in all, CUDA takes up to 65535", all_blocks(d));
    if (d->fp8 && dev && !dev->wgmma)
        return hrm_error_set(HRM_ERR_UNSUPPORTED, "CUDA: cycles_dtype fp8 needs compute capability 9.0, and that wgmma is not "
                                                  "turned off");
    if (d->fp8 && (d->D != S8_PIECES * 128 || 2 * d->I % ST_N != 0))
        return hrm_error_set(HRM_ERR_UNSUPPORTED,
                             "CUDA: cycles_dtype fp8 takes hidden_size %d and a SwiGLU of a multiple of %d, not %d and %d",
                             S8_PIECES * 128, ST_N / 2, d->D, d->I);
    if (d->fp8 && d->mixer && (d->S > MX_S || d->I_t > MX_I)) /* mixer_forward_wgmma writes what they start from */
        return hrm_error_set(HRM_ERR_UNSUPPORTED,
                             "CUDA: cycles_dtype fp8 takes a mixer of up to %d positions, %d inside, not %d and %d",
                             MX_S, MX_I, d->S, d->I_t);
    size_t element = d->dtype == HRM_FORWARD_FLOAT32 ? sizeof(float) : sizeof(bf16);
    sizes->activation = element;
    sizes->prepared = plan_prepared(d, element).bytes;
    sizes->work = plan_work(d, train, element, NULL).bytes;
    if (!dev) return HRM_OK;
    dev->asked = *d;
    dev->asked_train = train;
    dev->asked_bytes = sizes->work;
    return HRM_OK;
}

/* ==================================================================================================== >>cuda-products ====
 * gemm() picks the kernel for C [M,N] = A B^T with an ending; e.M, e.N are set already.
 */
template <class T> constexpr bool has_wgmma = false; /* kernels of it; dev->wgmma says the rest */
template <> constexpr bool        has_wgmma<bf16> = true;
struct product {
    const void *A, *B;
    int         K, trans, splits, count;   /* count: of END_SCALED's, else 1 */
    const void *A2 = NULL, *B2 = NULL;     /* END_SWIGLU_BACK on wgmma: A, B give gate and up, these dh */
};

static bool tensor_map(hrm_device *dev, CUtensorMap *map, const void *p, int inner, int outer, int box_inner, int box_outer,
                       bool small = false)
{
    cuuint64_t sizes[2] = {(cuuint64_t)inner, (cuuint64_t)outer};
    cuuint64_t strides[1] = {(cuuint64_t)inner * (small ? sizeof(e4m3) : sizeof(bf16))};
    cuuint32_t box[2] = {(cuuint32_t)box_inner, (cuuint32_t)box_outer}, steps[2] = {1, 1};
    return dev->encode(map, small ? CU_TENSOR_MAP_DATA_TYPE_UINT8 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, (void *)p, sizes,
                       strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                       CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

static bool on_wgmma(const hrm_device *dev, int M, int N, int splits)
{
    return dev->wgmma && ceil_div(M, WG_M) * ceil_div(N, WG_N) * splits >= dev->sms / 2;
}
/* a Maze alone, a few Sudokus: even a quarter of the GPU is faster so than all of it in small tiles that ask for everything
 * four times */
template <int KIND, bool TRANS> static bool on_halves(const hrm_device *dev, int M, int N)
{
    return !TRANS && (KIND == END_STORE || KIND == END_SWIGLU || ends_residual(KIND)) && dev->wgmma &&
           ceil_div(M, WG_M) * ceil_div(N, WG_N / 2) >= dev->sms / 5;
}
template <int KIND, bool TRANS, bool E4M3 = false>
static hrm_status gemm_on_wgmma(hrm_device *dev, const product &x, ending<bf16> &e)
{
    constexpr int cluster = wg_cluster(TRANS), step = E4M3 ? 2 * WG_K : WG_K;
    constexpr bool back = KIND == END_SWIGLU_BACK;
    int N = back ? 2 * e.N : e.N, items = ceil_div(e.M, WG_M * cluster) * ceil_div(N, WG_N) * x.splits, whole = items;
    if (wg_halves(KIND, TRANS) && items % dev->sms <= dev->sms / 2) whole -= items % dev->sms, items += items % dev->sms;
    wg_maps maps;
    memset(&maps, 0, sizeof maps);
    bool ok = TRANS ? tensor_map(dev, &maps.a, x.A, e.M, x.K, 64, WG_K) && tensor_map(dev, &maps.b, x.B, N, x.K, 64, WG_K)
                    : tensor_map(dev, &maps.a, x.A, x.K, e.M, step, WG_M, E4M3) &&
                          tensor_map(dev, &maps.b, x.B, x.K, N, step, WG_N, E4M3);
    if (wg_halves(KIND, TRANS)) ok = ok && tensor_map(dev, &maps.b2, x.B, x.K, N, step, WG_N / 2, E4M3);
    if (back)
        ok = ok && tensor_map(dev, &maps.a2, x.A2, x.K, e.M, WG_K, WG_M) &&
             tensor_map(dev, &maps.b2, x.B2, x.K, e.N, WG_K, WG_N / 2);
    if (KIND != END_PART)
        ok = ok && tensor_map(dev, &maps.out, e.out, ends_swiglu(KIND) ? N / 2 : e.N, e.M, WG_BOX_COLUMNS, WG_BOX_ROWS);
    if (back || ends_residual(KIND) || KIND == END_ADD)
        ok = ok && tensor_map(dev, &maps.in, back ? e.gate_up : e.residual, N, e.M, WG_BOX_COLUMNS, WG_BOX_ROWS);
    if (!ok) return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", e.M, N, x.K);
    TRY(allow_shared(dev, gemm_wgmma<KIND, TRANS, E4M3>, WG_SHARED, "gemm_wgmma"));
    LAUNCH_AS(dev, dev->chains, cluster, (gemm_wgmma<KIND, TRANS, E4M3>), cluster * min_int(items, dev->sms / cluster),
              WG_THREADS, WG_SHARED, maps, x.K, x.splits, whole, e);
    return HRM_OK;
}

/* in strips: two tiles for each multiprocessor at least, so that its two groups have something to take turns with */
static bool on_strips(const hrm_device *dev, const product &x, const ending<bf16> &e)
{
    return x.K == ST_PIECES * 64 && e.N % ST_N == 0 && x.splits == 1 && ceil_div(e.M, 128) * (e.N / ST_N) >= 2 * dev->sms;
}
template <int KIND> static hrm_status gemm_in_strips(hrm_device *dev, const product &x, ending<bf16> &e)
{
    CUtensorMap a, b;
    e.slots_out = e.N / ST_N;
    if (!tensor_map(dev, &a, x.A, x.K, e.M, 64, 128) || !tensor_map(dev, &b, x.B, x.K, e.N, 64, ST_N))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", e.M, e.N, x.K);
    TRY(allow_shared(dev, strips_wgmma<KIND>, ST_SHARED, "strips_wgmma"));
    CHAIN(dev, strips_wgmma<KIND>, dev->sms, WG_THREADS, ST_SHARED, a, b, e);
    return HRM_OK;
}

/* the same two of operands in e4m3: SwiGLU in strips, the rest in tiles */
template <int KIND>
static hrm_status gemm_e4m3(hrm_device *dev, const e4m3 *A, const e4m3 *B, int M, int N, int K, ending<bf16> &e)
{
    product x = {A, B, K, 0, 1, 1};
    e.M = M, e.N = N, e.vector = 1;
    if constexpr (ends_swiglu(KIND)) {
        CUtensorMap a, b;
        e.slots_out = N / ST_N;
        if (!tensor_map(dev, &a, A, K, M, 128, 128, true) || !tensor_map(dev, &b, B, K, N, 128, ST_N, true))
            return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", M, N, K);
        TRY(allow_shared(dev, strips_e4m3<KIND>, S8_SHARED, "strips_e4m3"));
        CHAIN(dev, strips_e4m3<KIND>, dev->sms, WG_THREADS, S8_SHARED, a, b, e);
        return HRM_OK;
    } else {
        e.slots_out = ceil_div(N, ends_residual(KIND) ? WG_N / 2 : WG_N);
        return gemm_on_wgmma<KIND, false, true>(dev, x, e);
    }
}

template <int KIND, bool TRANS> static hrm_status gemm_of(hrm_device *dev, const product &x, ending<float> &e)
{
    e.slots_out = ceil_div(e.N, SIMT_N);
    e.vector = e.N % 8 == 0;
    CHAIN(dev, (gemm_simt<KIND, float, TRANS>),
          dim3((unsigned)(ceil_div(e.M, SIMT_M) * ceil_div(e.N, SIMT_N)), (unsigned)x.splits, (unsigned)x.count),
          SIMT_THREADS, 0, (const float *)x.A, (const float *)x.B, x.K, x.splits, e);
    return HRM_OK;
}

template <int KIND, bool TRANS, int BM, int BN, int WARPS_M, int WARPS_N, int STAGES, class T>
static hrm_status gemm_on_mma(hrm_device *dev, const product &x, ending<T> &e)
{
    constexpr int shared_bytes = mma_shared(BM, BN, STAGES);
    e.slots_out = ceil_div(e.N, BN);
    TRY(allow_shared(dev, gemm_mma<KIND, T, TRANS, BM, BN, WARPS_M, WARPS_N, STAGES>, shared_bytes, "gemm_mma"));
    CHAIN(dev, (gemm_mma<KIND, T, TRANS, BM, BN, WARPS_M, WARPS_N, STAGES>),
          dim3((unsigned)(ceil_div(e.M, BM) * ceil_div(e.N, BN)), (unsigned)x.splits, (unsigned)x.count),
          32 * WARPS_M * WARPS_N, shared_bytes, (const T *)x.A, (const T *)x.B, x.K, x.splits, e);
    return HRM_OK;
}

#ifdef HRM_USE_CUBLAS
/* Products without a fused ending: out = A B^T, out = residual + A B^T, and a weight gradient in one part. Row-major C [M,N]
 * is column-major C^T [N,M] = B A^T, so the operands change places. */
static hrm_status gemm_on_cublas(hrm_device *dev, const product &x, bool trans, void *out, const void *residual, bool to_float_,
                                 int M, int N)
{
    cublasLtMatmulDesc_t operation = NULL;
    cublasLtMatrixLayout_t a = NULL, b = NULL, c = NULL;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found;
    cublasOperation_t op_b = trans ? CUBLAS_OP_N : CUBLAS_OP_T, op_a = trans ? CUBLAS_OP_T : CUBLAS_OP_N;
    cudaDataType type = dev->dtype == HRM_FORWARD_FLOAT16 ? CUDA_R_16F : CUDA_R_16BF;
    size_t workspace = (size_t)32 << 20;
    float one = 1, beta = residual ? 1.0f : 0.0f;
    int count = 0;
    bool ok =
        cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_b, sizeof op_b) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_a, sizeof op_a) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatrixLayoutCreate(&b, type, (uint64_t)(trans ? N : x.K), (uint64_t)(trans ? x.K : N),
                                   trans ? N : x.K) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatrixLayoutCreate(&a, type, (uint64_t)(trans ? M : x.K), (uint64_t)(trans ? x.K : M),
                                   trans ? M : x.K) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatrixLayoutCreate(&c, to_float_ ? CUDA_R_32F : type, (uint64_t)N, (uint64_t)M, N) ==
            CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulPreferenceCreate(&preference) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                             sizeof workspace) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulAlgoGetHeuristic(dev->lt, operation, b, a, c, c, preference, 1, &found, &count) ==
            CUBLAS_STATUS_SUCCESS &&
        count > 0 &&
        cublasLtMatmul(dev->lt, operation, &one, x.B, b, x.A, a, &beta, residual ? residual : out, c, out, c, &found.algo,
                       dev->lt_workspace, workspace, dev->stream) == CUBLAS_STATUS_SUCCESS;
    cublasLtMatmulPreferenceDestroy(preference);
    cublasLtMatrixLayoutDestroy(c);
    cublasLtMatrixLayoutDestroy(a);
    cublasLtMatrixLayoutDestroy(b);
    cublasLtMatmulDescDestroy(operation);
    if (!ok) return hrm_error_set(HRM_ERR_DEVICE, "CUDA: cuBLASLt refuses a product of %d x %d x %d", M, N, x.K);
    return launched(dev, "cublasLtMatmul");
}
#endif

template <int KIND, bool TRANS, class T> static hrm_status gemm_of(hrm_device *dev, const product &x, ending<T> &e)
{
    int aligned = TRANS ? e.M % 8 == 0 && e.N % 8 == 0 : x.K % 8 == 0 && e.N % 8 == 0;
    e.vector = e.N % 8 == 0;
    if (!aligned) {
        e.slots_out = ceil_div(e.N, SIMT_N);
        CHAIN(dev, (gemm_simt<KIND, T, TRANS>),
              dim3((unsigned)(ceil_div(e.M, SIMT_M) * ceil_div(e.N, SIMT_N)), (unsigned)x.splits, (unsigned)x.count),
              SIMT_THREADS, 0, (const T *)x.A, (const T *)x.B, x.K, x.splits, e);
        return HRM_OK;
    }
#ifdef HRM_USE_CUBLAS
    if (KIND == END_PART) return gemm_on_cublas(dev, x, TRANS, e.part, NULL, true, e.M, e.N);
    if (KIND == END_ADD) return gemm_on_cublas(dev, x, TRANS, e.out, e.residual, false, e.M, e.N);
    if (KIND == END_STORE && !e.rope && !e.squares) return gemm_on_cublas(dev, x, TRANS, e.out, NULL, false, e.M, e.N);
#endif
    if constexpr (has_wgmma<T>)
        if (KIND == END_SWIGLU_BACK ? x.A2 != NULL
                                    : on_wgmma(dev, e.M, e.N, x.splits) || on_halves<KIND, TRANS>(dev, e.M, e.N)) {
            if constexpr (ends_swiglu(KIND))
                if (on_strips(dev, x, e)) return gemm_in_strips<KIND>(dev, x, e);
            e.slots_out = ceil_div(e.N, ends_residual(KIND) ? WG_N / 2 : WG_N);
            return gemm_on_wgmma<KIND, TRANS>(dev, x, e);
        }
    if (TRANS || ceil_div(e.M, 128) * ceil_div(e.N, 128) >= dev->sms / 2)
        return gemm_on_mma<KIND, TRANS, 128, 128, 2, 4, 3>(dev, x, e);
    return gemm_on_mma<KIND, false, 32, 32, 2, 2, 8>(dev, x, e);
}

template <int KIND, class T>
static hrm_status gemm(hrm_device *dev, const void *A, const void *B, int M, int N, int K, ending<T> &e)
{
    product x = {A, B, K, 0, 1, 1};
    e.M = M, e.N = N;
    return gemm_of<KIND, false>(dev, x, e);
}

/* whether END_SWIGLU_BACK computes gate and up itself: [M,2I] = A [M,K] B^T, next to dh [M,I] */
template <class T> static bool takes_both(const hrm_device *dev, int M, int I, int K)
{
    return has_wgmma<T> && K % 8 == 0 && I % 8 == 0 && on_wgmma(dev, M, 2 * I, 1);
}

/* C [M,N] in parts: in how many splits over K the GPU is full */
static int choose_splits(hrm_device *dev, const work_plan *p, int M, int N, int K)
{
    int tiles = dev->dtype == HRM_FORWARD_FLOAT32 ? ceil_div(M, SIMT_M) * ceil_div(N, SIMT_N)
                : dev->wgmma                      ? ceil_div(M, WG_M) * ceil_div(N, WG_N)
                                                  : ceil_div(M, 128) * ceil_div(N, 128);
    int most = (int)(p->part_floats / ((size_t)M * (size_t)N)), steps = ceil_div(K, 64), splits = 1;
    double best = 0;
    if (most > 64) most = 64;
    for (int s = 1; s <= most && s <= steps; s++) {
        double filled = (double)(tiles * s) / ((double)ceil_div(tiles * s, dev->sms) * dev->sms) - 0.002 * s;
        if (filled > best + 0.01) best = filled, splits = s;
    }
#ifdef HRM_USE_CUBLAS
    if (dev->dtype != HRM_FORWARD_FLOAT32 && M % 8 == 0 && N % 8 == 0) splits = 1;
#endif
    return splits;
}
/* C [M,N] = A B^T, or A^T B, into p->parts */
template <class T, bool TRANS>
static hrm_status product_in_parts(hrm_device *dev, const work_plan *p, const void *A, const void *B, int M, int N, int K,
                                   int *splits)
{
    ending<T> e;
    memset(&e, 0, sizeof e);
    e.part = p->parts;
    e.M = M, e.N = N;
    *splits = choose_splits(dev, p, M, N, K);
    product q = {A, B, K, TRANS, *splits, 1};
    return gemm_of<END_PART, TRANS>(dev, q, e);
}

static hrm_status reduce_parts(hrm_device *dev, float *grads, const float *parts, int splits, int rows, int columns, int N,
                               int K, int kind, int head_dim)
{
    size_t n = (size_t)N * (size_t)K;
    if (K % 4 == 0 && n >= (size_t)dev->sms * 2048)
        CHAIN(dev, reduce_parts_kernel<4>, (unsigned)((n / 4 + 127) / 128), 128, 0, grads, parts, splits, rows, columns, N, K,
              kind, head_dim);
    else
        CHAIN(dev, reduce_parts_kernel<1>, (unsigned)((n + 127) / 128), 128, 0, grads, parts, splits, rows, columns, N, K, kind,
              head_dim);
    return HRM_OK;
}
/* grads [rows,columns] of a tensor += the splits [N,K], rows and columns filled up, in their order */
static hrm_status add_parts(hrm_device *dev, const work_plan *p, float *grads, const float *parts, int splits, int tensor)
{
    int N, K;
    tensor_shape(p->d, tensor, &N, &K);
    return reduce_parts(dev, grads, parts, splits, (int)hrm__block_rows(p->d, tensor), (int)hrm__block_columns(p->d, tensor), N,
                        K, tensor_permutation(p->d, tensor), p->d->head_dim);
}
/* grads [rows,columns] += dy [M,N]^T x [M,K], in splits over M that fill the GPU, added in their order; N and K are rows and
 * columns, filled up */
template <class T>
static hrm_status weight_gradient(hrm_device *dev, const work_plan *p, float *grads, const void *dy, const void *x, int M,
                                  int tensor)
{
    int N, K, splits;
    tensor_shape(p->d, tensor, &N, &K);
    TRY((product_in_parts<T, true>(dev, p, dy, x, N, K, M, &splits)));
    return add_parts(dev, p, grads, p->parts, splits, tensor);
}

template <class T> static hrm_status attention_forward_on_simt(hrm_device *dev, attention_args<T> &x, int B)
{
    int rows = B * x.heads * x.S;
    CHAIN(dev, attention_forward_simt<T>, ceil_div(rows, ATTENTION_WARPS), 32 * ATTENTION_WARPS,
          ATTENTION_WARPS * x.head_dim * (int)sizeof(float), x, rows);
    return HRM_OK;
}
template <class T> static hrm_status attention_delta_of(hrm_device *dev, attention_args<T> &x, int M)
{
    int lanes = x.head_dim % 8 == 0 ? x.head_dim / 8 : 0;
    if (lanes > 0 && lanes <= 32 && (lanes & (lanes - 1)) == 0) {
        size_t n = (size_t)M * (size_t)x.heads * (size_t)lanes;
        CHAIN(dev, (attention_delta<T, 8>), (unsigned)((n + 255) / 256), 256, 0, x, n);
    } else {
        size_t n = (size_t)M * (size_t)x.heads;
        CHAIN(dev, (attention_delta<T, 1>), (unsigned)((n + 255) / 256), 256, 0, x, n);
    }
    return HRM_OK;
}
template <class T> static hrm_status attention_backward_on_simt(hrm_device *dev, attention_args<T> &x, int B)
{
    int rows = B * x.heads * x.S, shared_bytes = 2 * ATTENTION_WARPS * x.head_dim * (int)sizeof(float);
    TRY(attention_delta_of(dev, x, B * x.S));
    CHAIN(dev, (attention_backward_simt<T, false>), ceil_div(rows, ATTENTION_WARPS), 32 * ATTENTION_WARPS, shared_bytes, x,
          rows);
    CHAIN(dev, (attention_backward_simt<T, true>), ceil_div(rows, ATTENTION_WARPS), 32 * ATTENTION_WARPS, shared_bytes, x,
          rows);
    return HRM_OK;
}

template <int HD, int MT, class T>
static hrm_status attention_forward_on_mma(hrm_device *dev, attention_args<T> &x, int B, int warps)
{
    int shared_bytes = attention_forward_shared<HD, MT>(warps);
    TRY(allow_shared(dev, attention_forward_mma<HD, MT, T>, shared_bytes, "attention_forward_mma"));
    CHAIN(dev, (attention_forward_mma<HD, MT, T>),
          dim3((unsigned)ceil_div(x.S, warps * 16 * MT), (unsigned)x.heads, (unsigned)B), 32 * warps, shared_bytes, x);
    return HRM_OK;
}
template <int HD, class T> static hrm_status attention_forward_of(hrm_device *dev, attention_args<T> &x, int B)
{
    int warps = min_int(8, ceil_div(x.S, 16));
    constexpr int MT = HD <= 64 ? 2 : 1;
    if (MT == 2 && x.S > 128 && B * x.heads * ceil_div(x.S, 128) >= dev->sms)
        return attention_forward_on_mma<HD, MT, T>(dev, x, B, 4);
    while (warps > 2 && B * x.heads * ceil_div(x.S, warps * 16) < dev->sms / 2) warps = (warps + 1) / 2;
    while (warps > 1 && attention_forward_shared<HD, 1>(warps) > dev->shared_most) warps--;
    return attention_forward_on_mma<HD, 1, T>(dev, x, B, warps);
}
template <int HD, class T> static hrm_status attention_backward_of(hrm_device *dev, attention_args<T> &x, int B)
{
    int warps = x.S <= 128 ? ceil_div(x.S, 16) : 4;
    while (warps > 1 && attention_backward_shared<HD>(warps) > dev->shared_most) warps--;
    int shared_bytes = attention_backward_shared<HD>(warps);
    dim3 grid((unsigned)ceil_div(x.S, warps * 16), (unsigned)x.heads, (unsigned)B);
    TRY(allow_shared(dev, attention_backward_mma<HD, false, T>, shared_bytes, "attention_backward_mma"));
    TRY(allow_shared(dev, attention_backward_mma<HD, true, T>, shared_bytes, "attention_backward_mma"));
    CHAIN(dev, (attention_backward_mma<HD, false, T>), grid, 32 * warps, shared_bytes, x);
    CHAIN(dev, (attention_backward_mma<HD, true, T>), grid, 32 * warps, shared_bytes, x);
    return HRM_OK;
}
/* a [B,S,columns] matrix in boxes of 64 columns and some rows, of one batch row */
static bool head_map(hrm_device *dev, CUtensorMap *map, const void *p, int B, int S, int columns, int box_rows)
{
    cuuint64_t sizes[3] = {(cuuint64_t)columns, (cuuint64_t)S, (cuuint64_t)B};
    cuuint64_t strides[2] = {(cuuint64_t)columns * sizeof(bf16), (cuuint64_t)columns * (cuuint64_t)S * sizeof(bf16)};
    cuuint32_t box[3] = {64, (cuuint32_t)box_rows, 1}, steps[3] = {1, 1, 1};
    return dev->encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, (void *)p, sizes, strides, box, steps,
                       CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                       CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}
/* lse or delta, [units,Sp], in boxes of AB_COLUMNS of one unit */
static bool sums_map(hrm_device *dev, CUtensorMap *map, const float *p, int units, int Sp)
{
    cuuint64_t sizes[2] = {(cuuint64_t)Sp, (cuuint64_t)units}, stride = (cuuint64_t)Sp * sizeof(float);
    cuuint32_t box[2] = {AB_COLUMNS, 1}, steps[2] = {1, 1};
    return dev->encode(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)p, sizes, &stride, box, steps,
                       CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                       CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}
/* groups: of 64 rows, for each block */
static bool attention_on_wgmma(const hrm_device *dev, const attention_args<bf16> &x, int B, int groups)
{
    return dev->wgmma && x.head_dim == 64 && x.S > 128 && B * x.heads * ceil_div(x.S, 64 * groups) >= dev->sms / 2;
}

template <int GROUPS> static hrm_status attention_forward_on_wgmma(hrm_device *dev, attention_args<bf16> &x, int B)
{
    CUtensorMap rows, keys;
    int D = x.heads * 64, items = B * x.heads * ceil_div(x.S, 64 * GROUPS);
    if (!head_map(dev, &rows, x.qkv, B, x.S, 3 * D, 64) || !head_map(dev, &keys, x.qkv, B, x.S, 3 * D, AF_KEYS))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", B, x.S, 3 * D);
    TRY(allow_shared(attention_forward_wgmma<GROUPS>, AF_SHARED, "attention_forward_wgmma"));
    CHAIN(dev, attention_forward_wgmma<GROUPS>, (unsigned)min_int(items, dev->sms), 128 * (GROUPS + 1), AF_SHARED, rows, keys,
          x, items);
    return HRM_OK;
}
/* where 64 queries a block are not yet a block for each multiprocessor */
static bool attention_by_keys(const hrm_device *dev, const attention_args<bf16> &x, int B)
{
    return attention_on_wgmma(dev, x, B, 1) && !x.causal && x.S > (AK_GROUPS - 1) * AF_KEYS &&
           B * x.heads * ceil_div(x.S, 64) <= dev->sms;
}
static hrm_status attention_forward_by_keys(hrm_device *dev, attention_args<bf16> &x, int B)
{
    CUtensorMap rows, keys;
    int D = x.heads * 64;
    if (!head_map(dev, &rows, x.qkv, B, x.S, 3 * D, 64) || !head_map(dev, &keys, x.qkv, B, x.S, 3 * D, AF_KEYS))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", B, x.S, 3 * D);
    TRY(allow_shared(attention_forward_keys, AK_SHARED, "attention_forward_keys"));
    CHAIN(dev, attention_forward_keys, (unsigned)(B * x.heads * ceil_div(x.S, 64)), 128 * (AK_GROUPS + 1), AK_SHARED, rows,
          keys, x);
    return HRM_OK;
}
static hrm_status attention_backward_on_wgmma(hrm_device *dev, attention_args<bf16> &x, int B)
{
    CUtensorMap qkv, d_o, lse, delta;
    int D = x.heads * 64, items = B * x.heads * ceil_div(x.S, 64 * AB_GROUPS);
    unsigned grid = (unsigned)min_int(items, dev->sms);
    if (!head_map(dev, &qkv, x.qkv, B, x.S, 3 * D, 64) || !head_map(dev, &d_o, x.d_o, B, x.S, D, 64) ||
        !sums_map(dev, &lse, x.lse, B * x.heads, x.Sp) || !sums_map(dev, &delta, x.delta, B * x.heads, x.Sp))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", B, x.S, 3 * D);
    TRY(allow_shared(attention_backward_wgmma<false>, AB_SHARED, "attention_backward_wgmma"));
    TRY(allow_shared(attention_backward_wgmma<true>, AB_SHARED, "attention_backward_wgmma"));
    CHAIN(dev, attention_backward_wgmma<false>, grid, 128 * (AB_GROUPS + 1), AB_SHARED, qkv, d_o, lse, delta, x, items);
    CHAIN(dev, attention_backward_wgmma<true>, grid, 128 * (AB_GROUPS + 1), AB_SHARED, qkv, d_o, lse, delta, x, items);
    return HRM_OK;
}

static bool attention_on_short(const hrm_device *dev, const attention_args<bf16> &x)
{
    return dev->wgmma && x.head_dim == 64 && x.S <= 128;
}
template <int R> static hrm_status attention_forward_on_short(hrm_device *dev, attention_args<bf16> &x, int B)
{
    typedef short_forward<R> at;
    CUtensorMap qkv;
    if (!head_map(dev, &qkv, x.qkv, B, x.S, 3 * x.heads * 64, R))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", B, x.S, 3 * x.heads * 64);
    TRY(allow_shared(attention_forward_short<R>, at::SHARED, "attention_forward_short"));
    CHAIN(dev, attention_forward_short<R>, (unsigned)(B * x.heads), 128, at::SHARED, qkv, x);
    return HRM_OK;
}
template <int R> static hrm_status attention_backward_on_short(hrm_device *dev, attention_args<bf16> &x, int B)
{
    typedef short_backward<R> at;
    CUtensorMap qkv, d_o;
    int D = x.heads * 64;
    if (!head_map(dev, &qkv, x.qkv, B, x.S, 3 * D, R) || !head_map(dev, &d_o, x.d_o, B, x.S, D, R))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", B, x.S, 3 * D);
    TRY(allow_shared(attention_backward_short<R>, at::SHARED, "attention_backward_short"));
    CHAIN(dev, attention_backward_short<R>, (unsigned)(B * x.heads), 128 * at::GROUPS, at::SHARED, qkv, d_o, x);
    return HRM_OK;
}

static hrm_status attention_forward(hrm_device *dev, attention_args<float> &x, int B)
{
    return attention_forward_on_simt(dev, x, B);
}
static hrm_status attention_backward(hrm_device *dev, attention_args<float> &x, int B)
{
    return attention_backward_on_simt(dev, x, B);
}
template <class T> static bool attention_on_mma(const attention_args<T> &x) { return x.head_dim % 8 == 0 && x.head_dim <= 128; }
template <class T> static hrm_status attention_forward(hrm_device *dev, attention_args<T> &x, int B)
{
    if constexpr (has_wgmma<T>) {
        if (attention_on_short(dev, x))
            return x.S <= 64    ? attention_forward_on_short<64>(dev, x, B)
                   : x.S <= 96  ? attention_forward_on_short<96>(dev, x, B)
                   : x.S <= 112 ? attention_forward_on_short<112>(dev, x, B)
                                : attention_forward_on_short<128>(dev, x, B);
        if (attention_on_wgmma(dev, x, B, AF_GROUPS)) return attention_forward_on_wgmma<AF_GROUPS>(dev, x, B);
        if (attention_by_keys(dev, x, B)) return attention_forward_by_keys(dev, x, B);
        if (attention_on_wgmma(dev, x, B, 1)) return attention_forward_on_wgmma<1>(dev, x, B);
    }
    if (!attention_on_mma(x)) return attention_forward_on_simt(dev, x, B);
    if (x.head_dim <= 16) return attention_forward_of<16>(dev, x, B);
    if (x.head_dim <= 32) return attention_forward_of<32>(dev, x, B);
    return x.head_dim <= 64 ? attention_forward_of<64>(dev, x, B) : attention_forward_of<128>(dev, x, B);
}
template <class T> static hrm_status attention_backward(hrm_device *dev, attention_args<T> &x, int B)
{
    if constexpr (has_wgmma<T>)
        if (attention_on_short(dev, x))
            return x.S <= 64    ? attention_backward_on_short<64>(dev, x, B)
                   : x.S <= 96  ? attention_backward_on_short<96>(dev, x, B)
                   : x.S <= 112 ? attention_backward_on_short<112>(dev, x, B)
                                : attention_backward_on_short<128>(dev, x, B);
    if (!attention_on_mma(x)) return attention_backward_on_simt(dev, x, B);
    TRY(attention_delta_of(dev, x, B * x.S));
    if constexpr (has_wgmma<T>)
        if (attention_on_wgmma(dev, x, B, AF_GROUPS)) return attention_backward_on_wgmma(dev, x, B);
    if (x.head_dim <= 16) return attention_backward_of<16>(dev, x, B);
    if (x.head_dim <= 32) return attention_backward_of<32>(dev, x, B);
    return x.head_dim <= 64 ? attention_backward_of<64>(dev, x, B) : attention_backward_of<128>(dev, x, B);
}

/* Both of them for any number of rows, as many at a time as a grid's z takes. */
enum { ATTENTION_ROWS = 65535 };
template <class T> static attention_args<T> attention_rows(const attention_args<T> &x, int b)
{
    attention_args<T> y = x; /* from row b on */
    size_t at = (size_t)b * (size_t)x.S * (size_t)(x.heads * x.head_dim), heads = (size_t)b * (size_t)x.heads * (size_t)x.Sp;
    y.qkv += 3 * at, y.o += at;
    if (x.lse) y.lse += heads;
    if (x.dqkv) y.dqkv += 3 * at, y.d_o += at, y.delta += heads;
    return y;
}
template <class T> static hrm_status attention_forward_all(hrm_device *dev, const attention_args<T> &x, int B)
{
    for (int b = 0; b < B; b += ATTENTION_ROWS) {
        attention_args<T> some = attention_rows(x, b);
        TRY(attention_forward(dev, some, min_int(B - b, ATTENTION_ROWS)));
    }
    return HRM_OK;
}
template <class T> static hrm_status attention_backward_all(hrm_device *dev, const attention_args<T> &x, int B)
{
    for (int b = 0; b < B; b += ATTENTION_ROWS) {
        attention_args<T> some = attention_rows(x, b);
        TRY(attention_backward(dev, some, min_int(B - b, ATTENTION_ROWS)));
    }
    return HRM_OK;
}

/* ==================================================================================================== >>cuda-table =======*/
static int row_blocks(int rows) { return ceil_div(rows, ROW_WARPS); }
static int flat_blocks(const hrm_device *dev, size_t n, int each)
{
    size_t blocks = (n + (size_t)each - 1) / (size_t)each, most = (size_t)dev->sms * 64;
    return (int)(blocks < most ? blocks : most);
}

/* One call with T the activation type, and W the elements that a lane moves at once. */
#define BY_TYPE(dev, call) \
    ((dev)->dtype == HRM_FORWARD_FLOAT32 ? call<float> : (dev)->dtype == HRM_FORWARD_FLOAT16 ? call<f16> : call<bf16>)
#define LAUNCH_ROWS(dev, kernel, D, rows, ...) \
    do { \
        if ((D) % 8 == 0) LAUNCH(dev, (kernel<T, 8>), row_blocks(rows), 32 * ROW_WARPS, 0, __VA_ARGS__); \
        else LAUNCH(dev, (kernel<T, 1>), row_blocks(rows), 32 * ROW_WARPS, 0, __VA_ARGS__); \
    } while (0)

#define CHAIN_ROWS(dev, kernel, D, rows, ...) \
    do { \
        if ((D) % 8 == 0) CHAIN(dev, (kernel<T, 8>), row_blocks(rows), 32 * ROW_WARPS, 0, __VA_ARGS__); \
        else CHAIN(dev, (kernel<T, 1>), row_blocks(rows), 32 * ROW_WARPS, 0, __VA_ARGS__); \
    } while (0)

template <class T>
static hrm_status normalise(hrm_device *dev, T *y, T *y2, float *r, const T *s, int M, int D, int count, float eps)
{
    CHAIN_ROWS(dev, normalise_kernel, D, M, y, y2, r, s, M, D, count, eps);
    return HRM_OK;
}
template <class T>
static hrm_status sum(hrm_device *dev, T *out, const stream<T> &x, const stream<T> &a, const stream<T> &b, int M,
                      const hrm_dims *d, int to = 1, int from = 1, e4m3 *small = NULL)
{
    CHAIN_ROWS(dev, sum_kernel, d->D, M, out, small, x, a, b, M, d->D, to, from, 1.0f / (float)d->D, d->eps);
    return HRM_OK;
}

template <class T>
static const T *weight(const hrm_work *w, const prepared_plan *pre, int net, int layer, int tensor, int transposed)
{
    return (const T *)w->prepared + (size_t)(blocks_before(&w->d, net) + layer) * pre->block +
           (transposed ? pre->transposed[tensor] : pre->to[tensor]);
}
static const float2 *rope_table(const hrm_work *w, const prepared_plan *pre)
{
    return w->d.rope ? (const float2 *)((const char *)w->prepared + pre->rope) : NULL;
}

template <class T> static attention_args<T> attention_for(const hrm_work *w, const prepared_plan *pre)
{
    attention_args<T> x;
    memset(&x, 0, sizeof x);
    x.rope = rope_table(w, pre);
    x.S = w->d.S, x.Sp = padded_positions(&w->d), x.heads = w->d.heads, x.head_dim = w->d.head_dim, x.causal = w->d.causal;
    x.scale = 1.0f / sqrtf((float)w->d.head_dim);
    x.scale_log2 = x.scale * 1.44269504088896341f;
    return x;
}

/* ---- blocks: attention or mixing, then the MLP ----------------------------------------------------------------------------*/
struct block_call {
    hrm_device     *dev;
    const hrm_work *w;
    prepared_plan   pre;
    work_plan       p;
    int             net, layer, pass; /* pass: its index, for dropout */
    bool            drops, small, small_out; /* products of e4m3, the stream stands in p.small too; it is to after the block */
};
/* Operands in e4m3, where nothing is kept and rows fill the GPU: 256 of them a multiprocessor's strip, in shares of columns. */
static bool multiplies_e4m3(const hrm_device *dev, const hrm_work *w, const hrm_pass *pass, bool drops)
{
    int M = w->rows * w->d.S;
    return w->d.fp8 && dev->wgmma && pass->slot < 0 && !drops && on_wgmma(dev, M, w->d.D, 1) &&
           ceil_div(M, 2 * WG_M) * (2 * w->d.I / ST_N) >= 2 * dev->sms;
}
template <class T> static block_call block_call_for(hrm_device *dev, const hrm_work *w, const hrm_pass *pass, bool drops)
{
    block_call c = {dev, w, plan_prepared(&w->d, sizeof(T)), plan_work(&w->d, w->train, sizeof(T), w->work), pass->net, 0,
                    pass->index, drops, sizeof(T) == sizeof(bf16) && multiplies_e4m3(dev, w, pass, drops), false};
    return c;
}
template <class T> static T *block_output(const block_call &c, int block)
{
    return (T *)(c.p.outputs + c.p.row_bytes * (size_t)block);
}
template <class T> static const T *weight_of(const block_call &c, int tensor, int transposed)
{
    return weight<T>(c.w, &c.pre, c.net, c.layer, tensor, transposed);
}

static const e4m3 *small_weight_of(const block_call &c, int tensor)
{
    size_t block = (size_t)(blocks_before(&c.w->d, c.net) + c.layer);
    return (const e4m3 *)c.w->prepared + c.pre.small_at + block * c.pre.small_block + c.pre.small[tensor];
}

/* What half a block works on, [M,N] with `count` of N columns in use: the MLP's rows are positions, mixing's are channels. */
struct half_block {
    int M, N, count, I, gate_up, down;
    int branch, each; /* of dropout; rows a puzzle */
};
static half_block mlp_half(const hrm_work *w)
{
    const hrm_dims *d = &w->d;
    half_block h = {w->rows * d->S, d->D, d->D, d->I, HRM_GATE_UP_PROJ, HRM_DOWN_PROJ, 1, d->S};
    return h;
}
static half_block mix_half(const hrm_work *w)
{
    const hrm_dims *d = &w->d;
    half_block h = {w->rows * d->D, mix_width(d), d->S, d->I_t, HRM_MIX_GATE_UP, HRM_MIX_DOWN, 0, d->D};
    return h;
}
static drop_args drop_for(const block_call &c, const half_block &h)
{
    drop_args a = {c.w->step, c.pass, c.layer, h.branch, c.w->first_row, h.each, h.count};
    return a;
}
template <class T> static ending<T> ending_for(const hrm_dims *d, int count)
{
    ending<T> e;
    memset(&e, 0, sizeof e);
    e.S = d->S, e.head_dim = d->head_dim, e.inv_D = 1.0f / (float)count, e.eps = d->eps;
    return e;
}

/* from [B,rows,ld_from] -> to [B,columns,ld_to] */
template <class T>
static hrm_status turn(const block_call &c, T *to, const stream<T> &from, int rows, int columns, int ld_from, int ld_to)
{
    int blocks = c.w->rows * ceil_div(columns, 64) * ceil_div(ld_to, 64);
    float inverse = 1.0f / (float)columns, eps = c.w->d.eps;
    if (ld_from % 2 == 0 && ld_to % 2 == 0)
        CHAIN(c.dev, (turn_kernel<T, 2>), blocks, 256, 0, to, (const T *)from.at, from.squares, from.slots, inverse, eps, rows,
              columns, ld_from, ld_to);
    else
        CHAIN(c.dev, (turn_kernel<T, 1>), blocks, 256, 0, to, (const T *)from.at, from.squares, from.slots, inverse, eps, rows,
              columns, ld_from, ld_to);
    return HRM_OK;
}

/* s -> out = s + a W^T, through dropout: normalised where `now`, with r kept and a copy in out2 (both may be NULL), else with
 * its squares. a's rows may have a factor of their own to come, of a norm over K. small: out in e4m3 too */
template <class T>
static hrm_status join(const block_call &c, const half_block &h, stream<T> *s, T *out, T *out2, float *r, bool now,
                       const stream<T> &a, int K, int tensor, e4m3 *small = NULL)
{
    ending<T> e = ending_for<T>(&c.w->d, h.count);
    const T *W = weight_of<T>(c, tensor, 0);
    float eps = c.w->d.eps;
    if (c.drops) {
        e.out = (T *)c.p.f, e.squares = a.squares, e.slots = a.slots, e.inv_D = 1.0f / (float)K;
        TRY((gemm<END_STORE, T>(c.dev, a.at, W, h.M, h.N, K, e)));
        CHAIN_ROWS(c.dev, drop_join_kernel, h.N, h.M, out, out2, r, (const T *)s->at, (const T *)c.p.f, drop_for(c, h), h.M,
                   h.N, h.count, eps);
    } else {
        e.out = out, e.residual = s->at, e.squares = s->squares, e.slots = s->slots, e.squares_out = c.p.squares[h.branch];
        e.inner = a.squares, e.inner_slots = a.slots, e.inv_I = 1.0f / (float)K;
        e.small = small;
        if (a.squares) TRY((gemm<END_RESIDUAL_NORM, T>(c.dev, a.at, W, h.M, h.N, K, e)));
        else TRY((gemm<END_RESIDUAL, T>(c.dev, a.at, W, h.M, h.N, K, e)));
        if (now) TRY(normalise<T>(c.dev, out, out2, r, out, h.M, h.N, h.count, eps));
    }
    s->at = out;
    s->squares = now ? NULL : e.squares_out, s->slots = e.slots_out;
    return HRM_OK;
}

template <class T>
static hrm_status half_forward(const block_call &c, const half_block &h, stream<T> *s, T *out, T *out2, float *r, float *inner,
                               bool now)
{
    const T *W = weight_of<T>(c, h.gate_up, 0);
    stream<T> product = {(T *)c.p.big, NULL, 0};
    ending<T> e = ending_for<T>(&c.w->d, h.count);
    e.out = product.at, e.squares = s->squares, e.slots = s->slots;
    if (c.w->d.mlp_norm) {
        e.squares_out = c.p.inner;
        TRY((gemm<END_SWIGLU_NORM, T>(c.dev, s->at, W, h.M, 2 * h.I, h.N, e)));
        product.squares = c.p.inner, product.slots = e.slots_out;
        if (inner)
            CHAIN(c.dev, factors_kernel, ceil_div(h.M, 128), 128, 0, inner, c.p.inner, e.slots_out, h.M, 1.0f / (float)h.I,
                  c.w->d.eps);
    } else TRY((gemm<END_SWIGLU, T>(c.dev, s->at, W, h.M, 2 * h.I, h.N, e)));
    return join<T>(c, h, s, out, out2, r, now, product, h.I, h.down);
}

/* join() of rows and weights in e4m3; inner: sums of squares of the norm that a's rows are to have, or NULL; small: out in e4m3
 * too, or NULL */
static hrm_status join_e4m3(const block_call &c, const half_block &h, stream<bf16> *s, bf16 *out, const e4m3 *a, int K,
                            int tensor, float scale, const float *inner, int inner_slots, e4m3 *small)
{
    ending<bf16> e = ending_for<bf16>(&c.w->d, h.count);
    const e4m3 *W = small_weight_of(c, tensor);
    e.out = out, e.residual = s->at, e.squares = s->squares, e.slots = s->slots, e.squares_out = c.p.squares[h.branch];
    e.inner = inner, e.inner_slots = inner_slots, e.inv_I = 1.0f / (float)K;
    e.scale = 1.0f / (scale * E4M3_WEIGHT), e.small = small;
    if (inner) TRY(gemm_e4m3<END_RESIDUAL_NORM>(c.dev, a, W, h.M, h.N, K, e));
    else TRY(gemm_e4m3<END_RESIDUAL>(c.dev, a, W, h.M, h.N, K, e));
    s->at = out, s->squares = e.squares_out, s->slots = e.slots_out;
    return HRM_OK;
}
/* the MLP's half in e4m3, from c.p.small */
static hrm_status half_forward_e4m3(const block_call &c, const half_block &h, stream<bf16> *s, bf16 *out)
{
    int norm = c.w->d.mlp_norm;
    const e4m3 *W = small_weight_of(c, h.gate_up);
    ending<bf16> e = ending_for<bf16>(&c.w->d, h.count);
    e.small = (e4m3 *)c.p.big, e.scale = 1.0f / (E4M3_STATE * E4M3_WEIGHT);
    e.squares = s->squares, e.slots = s->slots, e.squares_out = c.p.inner;
    if (norm) TRY(gemm_e4m3<END_SWIGLU_NORM>(c.dev, c.p.small, W, h.M, 2 * h.I, h.N, e));
    else TRY(gemm_e4m3<END_SWIGLU>(c.dev, c.p.small, W, h.M, 2 * h.I, h.N, e));
    return join_e4m3(c, h, s, out, e.small, h.I, h.down, e4m3_inner(norm), norm ? c.p.inner : NULL, e.slots_out,
                     c.small_out ? c.p.small : NULL);
}

/* ---- mixing in one kernel where it fits ---- */
static bool mixes_at_once(const block_call &c)
{
    const hrm_dims *d = &c.w->d;
    return d->mixer && c.dev->dtype == HRM_FORWARD_BFLOAT16 && c.dev->wgmma && !c.drops && d->S <= MX_S && d->D % 8 == 0 &&
           d->I_t <= MX_I && d->I_t % 8 == 0;
}
static mixer_args mixer_for(const block_call &c)
{
    const hrm_dims *d = &c.w->d;
    mixer_args a;
    memset(&a, 0, sizeof a);
    a.S = d->S, a.D = d->D, a.I = d->I_t, a.norm = d->mlp_norm, a.units = c.w->rows * ceil_div(d->D, 64), a.eps = d->eps;
    a.inv_D = 1.0f / (float)d->D, a.inv_S = 1.0f / (float)d->S, a.inv_I = 1.0f / (float)d->I_t;
    return a;
}
/* the maps of the stream's tiles of so many rows, and of the weights */
static hrm_status mixer_map(const block_call &c, CUtensorMap *map, const void *p, int rows)
{
    int S = c.w->d.S, D = c.w->d.D;
    if (head_map(c.dev, map, p, c.w->rows, S, D, rows)) return HRM_OK;
    return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d x %d", c.w->rows, S, D);
}
static hrm_status mixer_weight_maps(const block_call &c, CUtensorMap *gate_up, CUtensorMap *down, int gate_up_rows)
{
    const hrm_dims *d = &c.w->d;
    int mix = mix_width(d);
    if (tensor_map(c.dev, gate_up, weight_of<bf16>(c, HRM_MIX_GATE_UP, 1), 2 * d->I_t, mix, 64, gate_up_rows) &&
        tensor_map(c.dev, down, weight_of<bf16>(c, HRM_MIX_DOWN, 0), d->I_t, mix, 64, MX_S))
        return HRM_OK;
    return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d", mix, 2 * d->I_t);
}
/* y = rms(s + mix(s)); keep may be NULL */
static hrm_status mix_forward(const block_call &c, const saved_layer *keep, const stream<bf16> &s, bf16 *y)
{
    CUtensorMap x_map, y_map, gate_up, down;
    mixer_args a = mixer_for(c);
    a.squares = s.squares, a.slots = s.slots;
    if (keep) a.r = keep->r1, a.inner = a.norm ? keep->inner : NULL;
    if (c.small) a.small = c.p.small;
    TRY(mixer_map(c, &x_map, s.at, MX_ROWS));
    TRY(mixer_map(c, &y_map, y, MX_ROWS));
    TRY(mixer_weight_maps(c, &gate_up, &down, MX_ROWS));
    TRY(allow_shared(mixer_forward_wgmma, MX_SHARED, "mixer_forward_wgmma"));
    CHAIN(c.dev, mixer_forward_wgmma, min_int(a.units, c.dev->sms), MX_THREADS, MX_SHARED, x_map, y_map, gate_up, down, a);
    return HRM_OK;
}
/* dz, the gradient of y, becomes that of x; grads: of the block; NULL: none are wanted */
static hrm_status mix_backward(const block_call &c, const saved_layer &keep, const bf16 *x, bf16 *dz, float *grads)
{
    CUtensorMap x_map, y_map, dz_map, ds_map, gate_up, down;
    mixer_args a = mixer_for(c);
    const size_t *at = c.w->at.block_offset;
    int slices = ceil_div(a.I, 64), shares = min_int(c.dev->sms / slices, a.units);
    size_t each = (size_t)a.I * (size_t)mix_width(&c.w->d); /* floats of a share of down's, half of gate and up's */
    shares = min_int(shares, (int)(c.p.part_floats / (3 * each)));
    a.r = keep.r1, a.inner = keep.inner, a.k = c.p.squares[0];
    TRY(mixer_map(c, &x_map, x, MX_ROWS));
    TRY(mixer_map(c, &y_map, keep.y1, MX_S));
    TRY(mixer_map(c, &dz_map, dz, MX_S));
    TRY(mixer_map(c, &ds_map, c.p.o, MX_S));
    TRY(mixer_weight_maps(c, &gate_up, &down, MX_S));
    TRY(allow_shared(mixer_backward_wgmma, MB_SHARED, "mixer_backward_wgmma"));
    CHAIN(c.dev, mixer_backward_wgmma, min_int(a.units, c.dev->sms), MB_THREADS, MB_SHARED, x_map, y_map, dz_map, ds_map,
          gate_up, down, a);
    if (!grads) return HRM_OK;
    float *down_parts = c.p.parts + (size_t)shares * 2 * each;
    TRY(allow_shared(mixer_gradient_wgmma, MW_SHARED, "mixer_gradient_wgmma"));
    CHAIN(c.dev, mixer_gradient_wgmma, slices * shares, MW_THREADS, MW_SHARED, x_map, ds_map, gate_up, down, a, c.p.parts,
          down_parts, shares);
    TRY(add_parts(c.dev, &c.p, grads + at[HRM_MIX_GATE_UP], c.p.parts, shares, HRM_MIX_GATE_UP));
    return add_parts(c.dev, &c.p, grads + at[HRM_MIX_DOWN], down_parts, shares, HRM_MIX_DOWN);
}

/* ---- attention with its product in one kernel, where nothing is kept and rows fit well ---- */
static bool attends_one(const block_call &c) /* a row of the batch and a head for each multiprocessor */
{
    return c.w->rows * c.w->d.heads <= c.dev->sms;
}
static bool attends_at_once(const block_call &c)
{
    const hrm_dims *d = &c.w->d;
    return c.dev->dtype == HRM_FORWARD_BFLOAT16 && c.dev->wgmma && d->head_dim == 64 && !d->causal && d->S >= AW_MIN_S &&
           d->S <= AW_MAX_S && (attends_one(c) || ceil_div(c.w->rows, AW_ROWS) * d->heads >= c.dev->sms / 2);
}
/* o = attention(s Wqkv^T), in e4m3 where c.small */
static hrm_status attend(const block_call &c, const stream<bf16> &s, bf16 *o)
{
    const hrm_dims *d = &c.w->d;
    CUtensorMap s_map, weights;
    attention_whole_args a;
    memset(&a, 0, sizeof a);
    a.x = attention_for<bf16>(c.w, &c.pre);
    a.x.o = o, a.squares = s.squares, a.slots = s.slots, a.M = c.w->rows * d->S;
    a.items = ceil_div(c.w->rows, AW_ROWS) * d->heads, a.inv_D = 1.0f / (float)d->D, a.eps = d->eps;
    a.scale = 1.0f / (E4M3_STATE * E4M3_WEIGHT);
    bool one = !c.small && attends_one(c);
    const void *from = c.small ? (const void *)c.p.small : s.at,
               *by = c.small ? (const void *)small_weight_of(c, HRM_QKV_PROJ) : weight_of<bf16>(c, HRM_QKV_PROJ, 0);
    if (!(one ? head_map(c.dev, &s_map, s.at, c.w->rows, d->S, d->D, AO_ROWS)
              : tensor_map(c.dev, &s_map, from, d->D, a.M, c.small ? 128 : 64, 128, c.small)) ||
        !tensor_map(c.dev, &weights, by, d->D, 3 * d->D, c.small ? 128 : 64, 64, c.small))
        return hrm_error_set(HRM_ERR_DEVICE, "CUDA: the driver refuses a tensor map of %d x %d", a.M, d->D);
    if (one) {
        TRY(allow_shared(attention_one_wgmma, AO_SHARED, "attention_one_wgmma"));
        CHAIN(c.dev, attention_one_wgmma, c.w->rows * d->heads, AO_THREADS, AO_SHARED, s_map, weights, a);
        return HRM_OK;
    }
    TRY(allow_shared(attention_whole_wgmma<false>, AW_SHARED, "attention_whole_wgmma"));
    TRY(allow_shared(attention_whole_wgmma<true>, AW_SHARED, "attention_whole_wgmma"));
    if (c.small)
        CHAIN(c.dev, attention_whole_wgmma<true>, min_int(a.items, c.dev->sms), WG_THREADS, AW_SHARED, s_map, weights, a);
    else CHAIN(c.dev, attention_whole_wgmma<false>, min_int(a.items, c.dev->sms), WG_THREADS, AW_SHARED, s_map, weights, a);
    return HRM_OK;
}

/* s -> s at y1, mixed and normalised */
template <class T> static hrm_status mix(const block_call &c, const saved_layer *keep, stream<T> *s, T *y1)
{
    const hrm_dims *d = &c.w->d;
    if (mixes_at_once(c)) {
        stream<bf16> from = {(bf16 *)s->at, s->squares, s->slots};
        TRY(mix_forward(c, keep, from, (bf16 *)y1));
    } else {
        half_block half = mix_half(c.w);
        stream<T> t = {(T *)c.p.o, NULL, 0};
        TRY(turn<T>(c, t.at, *s, d->S, d->D, d->D, half.N));
        TRY(half_forward<T>(c, half, &t, t.at, NULL, keep ? keep->r1 : NULL, NULL, true));
        TRY(turn<T>(c, y1, t, d->D, d->S, half.N, d->D));
    }
    s->at = y1, s->squares = NULL;
    return HRM_OK;
}

/* s -> s at y2; between, in place unless something is kept. now, out2: see join */
template <class T>
static hrm_status block_forward(const block_call &c, const saved_layer *keep, stream<T> *s, T *y2, T *out2, bool now)
{
    const hrm_dims *d = &c.w->d;
    T *y1 = keep ? (T *)keep->y1 : s->at;
    half_block mlp = mlp_half(c.w);
    if (d->mixer) {
        TRY(mix<T>(c, keep, s, y1));
    } else {
        half_block attention = mlp;
        T *qkv = (T *)(keep ? keep->qkv : c.p.big), *o = (T *)(keep ? keep->o : c.p.o);
        attention.branch = 0;
        if (!keep && attends_at_once(c)) {
            stream<bf16> from = {(bf16 *)s->at, s->squares, s->slots};
            TRY(attend(c, from, (bf16 *)o));
        } else {
            ending<T> e = ending_for<T>(d, d->D);
            e.out = qkv, e.squares = s->squares, e.slots = s->slots;
            e.rope = rope_table(c.w, &c.pre), e.rope_columns = 2 * d->D;
            e.scale = 1.0f / (E4M3_STATE * E4M3_WEIGHT);
            if (!c.small) TRY((gemm<END_STORE, T>(c.dev, s->at, weight_of<T>(c, HRM_QKV_PROJ, 0), mlp.M, 3 * d->D, d->D, e)));
            else if constexpr (has_wgmma<T>)
                TRY(gemm_e4m3<END_STORE>(c.dev, c.p.small, small_weight_of(c, HRM_QKV_PROJ), mlp.M, 3 * d->D, d->D, e));
            attention_args<T> x = attention_for<T>(c.w, &c.pre);
            x.qkv = qkv, x.o = o, x.lse = keep ? keep->lse : NULL;
            TRY(attention_forward_all(c.dev, x, c.w->rows));
        }
        stream<T> a = {o, NULL, 0};
        if constexpr (has_wgmma<T>)
            if (c.small && attends_at_once(c)) {
                TRY(join_e4m3(c, attention, s, y1, (const e4m3 *)o, d->D, HRM_O_PROJ, E4M3_ATTENDED, NULL, 0, c.p.small));
                return half_forward_e4m3(c, mlp, s, y2);
            }
        TRY(join<T>(c, attention, s, y1, NULL, keep ? keep->r1 : NULL, now, a, d->D, HRM_O_PROJ, c.small ? c.p.small : NULL));
    }
    if constexpr (has_wgmma<T>)
        if (c.small) return half_forward_e4m3(c, mlp, s, y2);
    float *inner = keep && norm_goes_ahead(d, sizeof(T)) ? keep->inner2 : NULL;
    return half_forward<T>(c, mlp, s, y2, out2, keep ? keep->r2 : NULL, inner, now);
}

/* A block without gradient or dropout of whose output z only position 0 is read: all rows up to keys and values, or up to what
 * mixing gives, one row a puzzle from there on. */
template <class T> static hrm_status block_at_first(const block_call &c, stream<T> s, T *z)
{
    const hrm_dims *d = &c.w->d;
    int B = c.w->rows, M = B * d->S, D = d->D;
    T *o = (T *)c.p.o, *kv = (T *)c.p.big, *q = kv + (size_t)M * 2 * (size_t)D;
    stream<T> none = {}, row = {o + (size_t)B * (size_t)D, NULL, 0};
    half_block h = mlp_half(c.w);
    h.M = B;
    if (d->mixer) TRY(mix<T>(c, NULL, &s, s.at));
    TRY(sum<T>(c.dev, row.at, s, none, none, B, d, 1, d->S));
    if (!d->mixer) {
        half_block attention = h;
        const T *W = weight_of<T>(c, HRM_QKV_PROJ, 0);
        attention.branch = 0;
        ending<T> e = ending_for<T>(d, D);
        e.out = q; /* RoPE turns nothing at position 0 */
        TRY((gemm<END_STORE, T>(c.dev, row.at, W, B, D, D, e)));
        e.out = kv, e.squares = s.squares, e.slots = s.slots;
        e.rope = rope_table(c.w, &c.pre), e.rope_columns = D;
        TRY((gemm<END_STORE, T>(c.dev, s.at, W + (size_t)D * (size_t)D, M, 2 * D, D, e)));
        attention_args<T> x = attention_for<T>(c.w, &c.pre);
        int keys = d->causal ? 1 : d->S, shared_bytes = (keys + (1 + FIRST_THREADS / 32) * d->head_dim) * (int)sizeof(float);
        if (d->head_dim % 8 == 0)
            CHAIN(c.dev, (attention_first<T, 8>), (unsigned)(B * d->heads), FIRST_THREADS, shared_bytes, o, q, kv, d->S, keys,
                  d->heads, d->head_dim, x.scale_log2);
        else
            CHAIN(c.dev, (attention_first<T, 1>), (unsigned)(B * d->heads), FIRST_THREADS, shared_bytes, o, q, kv, d->S, keys,
                  d->heads, d->head_dim, x.scale_log2);
        stream<T> a = {o, NULL, 0};
        TRY(join<T>(c, attention, &row, row.at, NULL, NULL, false, a, D, HRM_O_PROJ));
    }
    TRY(half_forward<T>(c, h, &row, row.at, NULL, NULL, NULL, false));
    return sum<T>(c.dev, z, row, none, none, B, d, d->S, 1);
}
/* In float32, where every bit is to stay, and for rows that do not fit, the whole is computed. */
template <class T> static bool takes_first(const hrm_dims *d) { return sizeof(T) < sizeof(float) && d->S > 1 && d->S <= 8192; }

/* One pass on its state, whose new value goes to z; with a slot what the backward pass needs is kept. Between passes a state
 * need be neither at its place nor normalised. first: only its position 0 is read then. */
template <class T>
static hrm_status run_pass(hrm_device *dev, hrm_work *w, stream<T> *states, T *z, const hrm_pass *pass, bool drops, bool first)
{
    const hrm_dims *d = &w->d;
    bool save = pass->slot >= 0, now = save || drops;
    block_call c = block_call_for<T>(dev, w, pass, drops);
    int M = w->rows * d->S, layers = d->layers[pass->net], n = 1;
    stream<T> s = {save ? (T *)(c.p.inputs + c.p.row_bytes * (size_t)pass->slot) : (T *)c.p.s, NULL, 0},
              terms[HRM_MAX_STATES + 4] = {states[pass->state]};
    for (int i = 0; i < d->states; i++)
        if (pass->inputs >> i & 1) terms[n++] = states[i];
    if (pass->inputs & HRM_INPUT_E) terms[n++].at = (T *)w->e;
    e4m3 *small = c.small && !d->mixer ? c.p.small : NULL;
    TRY(sum<T>(dev, s.at, terms[0], terms[1], terms[2], M, d, 1, 1, n <= 3 ? small : NULL));
    for (int i = 3; i < n; i += 2)
        TRY(sum<T>(dev, s.at, s, terms[i], terms[i + 1], M, d, 1, 1, i + 2 >= n ? small : NULL));
    for (; c.layer < layers; c.layer++) {
        bool last = c.layer == layers - 1;
        saved_layer keep = save ? plan_layer(&c.p, pass->block + c.layer) : saved_layer();
        if constexpr (sizeof(T) < sizeof(float))
            if (last && first) {
                TRY(block_at_first<T>(c, s, z));
                s.at = z, s.squares = NULL;
                break;
            }
        c.small_out = small && !last;
        if (last) c.p.squares[1] = c.p.state_squares[pass->state]; /* they go with the state */
        TRY(block_forward<T>(c, save ? &keep : NULL, &s, save ? block_output<T>(c, pass->block + c.layer) : last ? z : s.at,
                             save && last && pass->out < 0 ? z : NULL, now));
    }
    if (save && layers > 0 && pass->out < 0) s.at = z;
    if (layers == 0) {
        TRY(cuda_copy(dev, z, s.at, (size_t)M * (size_t)d->D * sizeof(T)));
        s.at = z;
    }
    states[pass->state] = s;
    return HRM_OK;
}

template <class T> static hrm_status prepare_of(hrm_device *dev, hrm_work *w)
{
    const hrm_dims *d = &w->d;
    prepared_plan pre = plan_prepared(d, sizeof(T));
    for (int t = 0; t < HRM_BLOCK_TENSORS; t++) {
        int N, K;
        layer_offsets at;
        tensor_shape(d, t, &N, &K); /* filled up */
        at.from = w->at.net_offset[0] + w->at.block_offset[t]; /* networks stand one after the other */
        at.block_size = w->at.block_size, at.to = pre.to[t], at.to_transposed = pre.transposed[t], at.to_block = pre.block;
        dim3 grid((unsigned)(ceil_div(K, 64) * ceil_div(N, 64)), (unsigned)all_blocks(d));
        int rows = (int)hrm__block_rows(d, t), columns = (int)hrm__block_columns(d, t);
        small_weights small = {has_small(d, t) ? (e4m3 *)w->prepared + pre.small_at + pre.small[t] : NULL, pre.small_block,
                               small_placed(d, t)};
        if (grid.y == 0) continue;
        if (columns % 2 == 0 && N % 2 == 0 && K % 2 == 0)
            LAUNCH(dev, (prepare_kernel<T, 2>), grid, 256, 0, (T *)w->prepared, w->params, at, rows, columns, N, K,
                   tensor_permutation(d, t), d->head_dim, small);
        else
            LAUNCH(dev, (prepare_kernel<T, 1>), grid, 256, 0, (T *)w->prepared, w->params, at, rows, columns, N, K,
                   tensor_permutation(d, t), d->head_dim, small);
    }
    int pairs = d->head_dim / 2;
    if (d->rope)
        LAUNCH(dev, rope_table_kernel, ceil_div(d->S * pairs, 128), 128, 0, (float2 *)((char *)w->prepared + pre.rope), d->S,
               pairs, d->theta);
    return written_whole(dev);
}
static hrm_status cuda_prepare(hrm_device *dev, hrm_work *w) { return BY_TYPE(dev, prepare_of)(dev, w); }

template <class T> static hrm_status act_begin_of(hrm_device *dev, hrm_work *w)
{
    int blocks = min_int(ceil_div(w->d.S * w->d.D, 256), 16);
    LAUNCH(dev, act_begin_kernel<T>, blocks * w->rows, 256, 0, *w, blocks);
    if (w->puzzle_grad) LAUNCH(dev, act_begin_ids_kernel, w->rows, 128, 0, *w);
    return HRM_OK;
}
static hrm_status cuda_act_begin(hrm_device *dev, hrm_work *w) { return BY_TYPE(dev, act_begin_of)(dev, w); }

static float embed_factor(const hrm_dims *d) { return sqrtf((float)d->D) * (d->learned ? 0.707106781f : 1.0f); }

template <class T> static hrm_status embed_of(hrm_device *dev, hrm_work *w)
{
    const hrm_dims *d = &w->d;
    int M = w->rows * d->S;
    LAUNCH_ROWS(dev, embed_kernel, d->D, M, (T *)w->e, w->inputs, w->ids, w->params + w->at.embed_tokens, w->puzzle,
                d->learned ? w->params + w->at.embed_pos : NULL, M, d->S, d->P, d->D, d->puzzle_ndim, embed_factor(d));
    return HRM_OK;
}
static hrm_status cuda_embed(hrm_device *dev, hrm_work *w) { return BY_TYPE(dev, embed_of)(dev, w); }

/* ---- few rows: all passes in one kernel -----------------------------------------------------------------------------------*/
static bool few_take(const hrm_device *dev, const hrm_work *w, void *const *z, const hrm_pass *list, int n)
{
    const hrm_dims *d = &w->d;
    if (!dev->few || w->rows < 1 || w->rows > few_rows(d, element_size(dev)) || n < 1 || n > FEW_PASSES) return false;
    if (d->dropout && z[0] == w->z[0]) return false;
    for (int i = 0; i < n; i++)
        if (list[i].slot >= 0 || d->layers[list[i].net] < 1 || d->layers[list[i].net] > 255) return false;
    return all_blocks(d) < 65536;
}
static unsigned few_inverse(int n) { return (1u << 20) / (unsigned)n + 1; }

template <int HD, int DT, int IT> static cudaError_t few_launch(hrm_device *dev, const few_args &a)
{
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
    config.gridDim = dim3((unsigned)dev->sms), config.blockDim = dim3(FEW_THREADS);
    config.dynamicSmemBytes = HD ? (int)FEW_SHARED : (int)FEW_MIX_SHARED, config.stream = dev->stream;
    config.attrs = &attribute, config.numAttrs = 1;
    cudaError_t error = cudaFuncSetAttribute(few_passes<HD, DT, IT>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             (int)config.dynamicSmemBytes);
    return error != cudaSuccess ? error : cudaLaunchKernelEx(&config, few_passes<HD, DT, IT>, a);
}

/* *done 0: the blocks do not all fit on this GPU at once (it may be shared), so everything goes the other way from now on */
static hrm_status few_run(hrm_device *dev, hrm_work *w, void *const *z, const hrm_pass *list, int n, bool *done)
{
    const hrm_dims *d = &w->d;
    prepared_plan pre = plan_prepared(d, sizeof(bf16));
    few_args a = plan_work(d, w->train, sizeof(bf16), w->work).few;
    a.weights = (const bf16 *)w->prepared, a.block = pre.block, a.rope = rope_table(w, &pre), a.e = (const bf16 *)w->e;
    for (int i = 0; i < d->states; i++) a.z[i] = (bf16 *)z[i];
    a.rows = w->rows, a.S = d->S, a.M = a.rows * d->S, a.Mp = (int)align_up((size_t)a.M, 8), a.D = d->D, a.I = d->I;
    a.heads = d->heads, a.key_pieces = ceil_div(d->S, 32) * 4, a.causal = d->causal, a.count = n, a.tiles = ceil_div(d->S, 16);
    a.by_S = few_inverse(a.S), a.by_heads = few_inverse(a.heads), a.by_tiles = few_inverse(a.tiles);
    a.inv_D = 1.0f / (float)d->D, a.eps = d->eps, a.scale_log2 = 1.44269504088896341f / sqrtf((float)d->head_dim);
    a.inv_I = 1.0f / (float)d->I, a.norm = d->mlp_norm;
    if (d->mixer) {
        a.I_t = d->I_t, a.mix_width = mix_width(d);
        a.inv_S = 1.0f / (float)d->S, a.inv_I_t = 1.0f / (float)d->I_t;
    }
    for (int t = 0; t < HRM_BLOCK_TENSORS; t++) { /* the products are in the tensors' order */
        int N, K;
        few_cut *cut = &a.cut[t];
        tensor_shape(d, t, &N, &K);
        a.to[t] = pre.to[t];
        cut->groups = ceil_div(a.M, 16 * few_mt(t)), cut->rows = ceil_div(a.M, cut->groups);
        cut->items = cut->groups * ceil_div(N, 8 * few_nt(t));
        cut->by_groups = few_inverse(cut->groups), cut->by_rows = few_inverse(cut->rows);
        cut->tile_weights = (unsigned)(8 * few_nt(t) * K), cut->all_weights = (unsigned)(N * K);
    }
    /* two sets where one puzzle's channels need half of the blocks; each has a share in every product, so that what one writes
     * follows from what the other wrote before (few_put) */
    int channels = d->D / 8;
    a.mix_sets = a.rows == 1 && 2 * channels <= dev->sms && a.cut[FEW_DOWN].items >= dev->sms ? 2 : 1;
    for (int i = 0; i < n; i++) {
        few_pass *p = &a.pass[i];
        p->state = (uint8_t)list[i].state, p->layers = (uint8_t)d->layers[list[i].net];
        p->block = (uint16_t)blocks_before(d, list[i].net), p->inputs = list[i].inputs;
    }
    bool published = d->D == FEW_D && d->I == FEW_I;
    cudaError_t error = d->mixer              ? published ? few_launch<0, FEW_D, FEW_I>(dev, a) : few_launch<0, 0, 0>(dev, a)
                        : d->head_dim == 32   ? few_launch<32, 0, 0>(dev, a)
                        : published           ? few_launch<64, FEW_D, FEW_I>(dev, a)
                                              : few_launch<64, 0, 0>(dev, a);
    *done = error == cudaSuccess;
    if (*done) return launched(dev, "few_passes");
    cudaGetLastError();
    if (dev->capturing) return cuda_failed(error, "recording few_passes");
    dev->few = 0;
    return HRM_OK;
}

/* from -> z; ahead: of which only position 0 of state 0 is read */
template <class T>
static hrm_status passes_of(hrm_device *dev, hrm_work *w, void *const *from, void *const *z, const hrm_pass *list, int n,
                            bool ahead)
{
    const hrm_dims *d = &w->d;
    int M = w->rows * d->S;
    bool done = false, drops = d->dropout && z[0] == w->z[0]; /* not in the target's forward pass */
    stream<T> none = {}, states[HRM_MAX_STATES] = {};
    if (few_take(dev, w, z, list, n)) {
        for (int i = 0; i < d->states && from != z; i++)
            TRY(cuda_copy(dev, z[i], from[i], (size_t)M * (size_t)d->D * sizeof(T)));
        TRY(few_run(dev, w, z, list, n, &done));
    }
    if (done) return HRM_OK;
    for (int i = 0; i < d->states; i++) states[i].at = (T *)from[i];
    for (int i = 0; i < n; i++)
        TRY(run_pass<T>(dev, w, states, (T *)z[list[i].state], &list[i], drops,
                        ahead && i == n - 1 && list[i].state == 0 && list[i].slot < 0 && takes_first<T>(d)));
    for (int i = 0; i < (ahead ? 1 : d->states); i++)
        if (states[i].squares || states[i].at != (T *)z[i]) TRY(sum<T>(dev, (T *)z[i], states[i], none, none, M, d));
    return HRM_OK;
}
static hrm_status cuda_passes(hrm_device *dev, hrm_work *w, void *const *z, const hrm_pass *list, int n)
{
    return BY_TYPE(dev, passes_of)(dev, w, z, z, list, n, false);
}
static hrm_status cuda_passes_ahead(hrm_device *dev, hrm_work *w, const hrm_pass *list, int n)
{
    return BY_TYPE(dev, passes_of)(dev, w, w->z, w->t, list, n, true);
}

template <class T> static hrm_status heads_of(hrm_device *dev, hrm_work *w, const void *state, hrm_real *q, int with_logits)
{
    const hrm_dims *d = &w->d;
    int rows = w->rows * d->T;
    const T *z = (const T *)state;
    if (with_logits)
        LAUNCH_ROWS(dev, lm_head_kernel, d->D, ceil_div(rows, HEAD_ROWS), w->logits, w->predictions, z,
                    w->params + w->at.lm_head, rows, d->T, d->S, d->P, d->D, d->V);
    LAUNCH_ROWS(dev, q_head_kernel, d->D, w->rows, q, z, w->params + w->at.q_head_weight, w->params + w->at.q_head_bias,
                w->rows, d->S, d->D);
    return HRM_OK;
}
static hrm_status cuda_heads(hrm_device *dev, hrm_work *w, const void *state, hrm_real *q, int with_logits)
{
    return BY_TYPE(dev, heads_of)(dev, w, state, q, with_logits);
}

static hrm_status cuda_act_end(hrm_device *dev, hrm_work *w)
{
    LAUNCH(dev, act_end_kernel, ceil_div(w->rows, 128), 128, 0, *w, w->rows);
    return HRM_OK;
}

static hrm_status cuda_losses(hrm_device *dev, hrm_work *w)
{
    work_plan p = plan_work(&w->d, w->train, element_size(dev), w->work);
    LAUNCH(dev, losses_kernel, w->rows, LOSS_THREADS, 0, *w, p.sums);
    LAUNCH(dev, sum_metrics_kernel, 1, 32 * HRM_METRIC_SUMS, 0, w->metrics, w->bad, p.sums, w->rows, w->first_row > 0);
    return HRM_OK;
}

/* grads [V,D] += factor times the sums of z's rows with weights or, where these are NULL, by token */
template <class T>
static hrm_status table_gradient(hrm_device *dev, const work_plan *p, float *grads, const T *z, const float *weights,
                                 const int32_t *tokens, int rows, int T_, int P, int V, float factor)
{
    int D = p->d->D, S = p->d->S, W = D % 8 ? 1 : 8, in_shared = !weights && V > 4 * TABLE_VALUES,
        values = ceil_div(V, in_shared ? TOKEN_VALUES : TABLE_VALUES),
        columns = ceil_div(D, in_shared ? TOKEN_COLUMNS : TABLE_ACROSS * W),
        splits = ceil_div((in_shared ? 16 : 1) * dev->sms, values * columns),
        most = (int)(p->part_floats / ((size_t)V * (size_t)D));
    splits = min_int(min_int(splits, most), ceil_div(rows, in_shared ? TOKEN_ROWS : TABLE_ROWS));
    dim3 grid((unsigned)values, (unsigned)columns, (unsigned)splits);
    if (in_shared) LAUNCH(dev, token_rows_kernel<T>, grid, TOKEN_COLUMNS, 0, p->parts, z, tokens, rows, T_, S, P, D, V, factor);
    else if (W == 8)
        LAUNCH(dev, (table_rows_kernel<T, 8>), grid, TABLE_THREADS, 0, p->parts, z, weights, tokens, rows, T_, S, P, D, V,
               factor);
    else
        LAUNCH(dev, (table_rows_kernel<T, 1>), grid, TABLE_THREADS, 0, p->parts, z, weights, tokens, rows, T_, S, P, D, V,
               factor);
    return reduce_parts(dev, grads, p->parts, splits, V, D, V, D, PERMUTE_NONE, 1);
}

template <class T> static hrm_status heads_backward_of(hrm_device *dev, hrm_work *w)
{
    const hrm_dims *d = &w->d;
    work_plan p = plan_work(d, w->train, sizeof(T), w->work);
    int M = w->rows * d->S, rows = w->rows * d->T, D = d->D, V = d->V;
    const T *z = (const T *)w->z[0];
    if (w->scaling) {
        size_t logits = (size_t)rows * (size_t)V, q = 2 * (size_t)w->rows;
        LAUNCH(dev, scale_kernel, flat_blocks(dev, logits + q, 1024), 256, 0, w->dlogits, logits, w->dq, q, w->scaling);
    }
    dim3 grid((unsigned)ceil_div(M, BACK_ROWS), (unsigned)ceil_div(D, BACK_ACROSS * (D % 8 ? 1 : 8)));
    if (D % 8 == 0)
        LAUNCH(dev, (heads_backward_kernel<T, 8>), grid, BACK_THREADS, 0, (T *)p.s, w->dlogits, w->dq,
               w->params + w->at.lm_head, w->params + w->at.q_head_weight, M, d->S, d->P, D, V);
    else
        LAUNCH(dev, (heads_backward_kernel<T, 1>), grid, BACK_THREADS, 0, (T *)p.s, w->dlogits, w->dq,
               w->params + w->at.lm_head, w->params + w->at.q_head_weight, M, d->S, d->P, D, V);
    if (w->train == 3) return HRM_OK;
    TRY(table_gradient<T>(dev, &p, w->grads + w->at.lm_head, z, w->dlogits, NULL, rows, d->T, d->P, V, 1));
    TRY(table_gradient<T>(dev, &p, w->grads + w->at.q_head_weight, z, w->dq, NULL, w->rows, 1, 0, 2, 1));
    LAUNCH(dev, q_bias_gradient_kernel, 1, 32, 0, w->grads + w->at.q_head_bias, w->dq, w->rows);
    return HRM_OK;
}
static hrm_status cuda_heads_backward(hrm_device *dev, hrm_work *w) { return BY_TYPE(dev, heads_backward_of)(dev, w); }

/* dz, the gradient of y, becomes that of x, of half a block:
 *   ds = rms'(dz);  [gate,up] = x Wgu^T again;  dh = ds Wd -> d[gate,up], h;  dWd, dWgu;  dx = ds + d[gate,up] Wgu
 * and what goes into the branch, through dropout where there is some, is df. grads: of the block; NULL: none are wanted.
 * Of mixing x is [B S,D] still, and is turned into dz's place, free once ds is there. */
template <class T>
static hrm_status branch_gradient(const block_call &c, const half_block &h, const T *dz, const T *y, const float *r,
                                  const T **df, const T *x, const float *inner)
{
    T *ds = (T *)c.p.o;
    CHAIN_ROWS(c.dev, normalise_backward_kernel, h.N, h.M, ds, dz, y, r, h.M, h.N, h.count, inner ? x : NULL, inner,
               c.p.squares[h.branch], 1.0f / (float)h.I, c.w->d.eps);
    if (c.drops) CHAIN_ROWS(c.dev, drop_kernel, h.N, h.M, (T *)c.p.f, (const T *)ds, drop_for(c, h), h.M, h.N);
    *df = (const T *)(c.drops ? c.p.f : c.p.o);
    return HRM_OK;
}
template <class T>
static hrm_status half_backward(const block_call &c, const half_block &h, const T *x, const T *y, const float *r,
                                const float *inner, T *dz, float *grads)
{
    T *gate_up = (T *)c.p.big, *product = (T *)c.p.h;
    const T *df;
    const size_t *at = c.w->at.block_offset;
    TRY(branch_gradient<T>(c, h, dz, y, r, &df, x, inner));
    if (h.branch == 0) { /* mixing */
        stream<T> rows = {(T *)x, NULL, 0};
        TRY(turn<T>(c, dz, rows, c.w->d.S, c.w->d.D, c.w->d.D, h.N));
        x = dz;
    }
    ending<T> base = ending_for<T>(&c.w->d, h.count), e = base;
    e.out = gate_up;
    bool at_once = (!c.w->d.mlp_norm || inner) && takes_both<T>(c.dev, h.M, h.I, h.N);
    if (!at_once) TRY((gemm<END_STORE, T>(c.dev, x, weight_of<T>(c, h.gate_up, 0), h.M, 2 * h.I, h.N, e)));
    e = base;
    e.out = product, e.gate_up = gate_up;
    if (inner) e.r = inner, e.k = c.p.squares[h.branch];
    if (at_once) {
        struct product both = {x, weight_of<T>(c, h.gate_up, 0), h.N, 0, 1, 1, df, weight_of<T>(c, h.down, 1)};
        e.M = h.M, e.N = h.I;
        TRY((gemm_of<END_SWIGLU_BACK, false>(c.dev, both, e)));
    } else if (c.w->d.mlp_norm && !inner) {
        TRY((gemm<END_STORE, T>(c.dev, df, weight_of<T>(c, h.down, 1), h.M, h.I, h.N, e)));
        CHAIN(c.dev, swiglu_norm_backward_kernel<T>, row_blocks(h.M), 32 * ROW_WARPS, 0, gate_up, product, h.M, h.I,
              c.w->d.eps);
    } else TRY((gemm<END_SWIGLU_BACK, T>(c.dev, df, weight_of<T>(c, h.down, 1), h.M, h.I, h.N, e)));
    if (grads) {
        TRY(weight_gradient<T>(c.dev, &c.p, grads + at[h.down], df, product, h.M, h.down));
        TRY(weight_gradient<T>(c.dev, &c.p, grads + at[h.gate_up], gate_up, x, h.M, h.gate_up));
    }
    e = base;
    e.out = dz, e.residual = (const T *)c.p.o;
    return gemm<END_ADD, T>(c.dev, gate_up, weight_of<T>(c, h.gate_up, 1), h.M, h.N, 2 * h.I, e);
}
/*   ds = rms'(dz);  dWo;  do = ds Wo;  dqkv = attention'(do);  dWqkv;  dz = ds + dqkv Wqkv */
template <class T>
static hrm_status attention_half_backward(const block_call &c, const saved_layer &keep, const T *x, T *dz, float *grads)
{
    half_block h = mlp_half(c.w);
    int D = h.N;
    T *dqkv = (T *)c.p.big, *d_o = (T *)c.p.h;
    const T *df;
    const size_t *at = c.w->at.block_offset;
    h.branch = 0;
    TRY(branch_gradient<T>(c, h, dz, (const T *)keep.y1, keep.r1, &df, (const T *)NULL, NULL));
    if (grads) TRY(weight_gradient<T>(c.dev, &c.p, grads + at[HRM_O_PROJ], df, keep.o, h.M, HRM_O_PROJ));
    ending<T> base = ending_for<T>(&c.w->d, D), e = base;
    e.out = d_o;
    TRY((gemm<END_STORE, T>(c.dev, df, weight_of<T>(c, HRM_O_PROJ, 1), h.M, D, D, e)));
    attention_args<T> a = attention_for<T>(c.w, &c.pre);
    a.qkv = (const T *)keep.qkv, a.o = (T *)keep.o, a.d_o = d_o, a.lse = keep.lse, a.delta = c.p.delta, a.dqkv = dqkv;
    TRY(attention_backward_all(c.dev, a, c.w->rows));
    if (grads) TRY(weight_gradient<T>(c.dev, &c.p, grads + at[HRM_QKV_PROJ], dqkv, x, h.M, HRM_QKV_PROJ));
    e = base;
    e.out = dz, e.residual = (const T *)c.p.o;
    return gemm<END_ADD, T>(c.dev, dqkv, weight_of<T>(c, HRM_QKV_PROJ, 1), h.M, D, 3 * D, e);
}

/* ---- between ranks ------------------------------------------------------------------------------------------------------ */
/* What was launched so far comes before what goes on the side from here on. Recorded into a step's graph as a branch of it. */
static hrm_status fork_aside(hrm_device *dev)
{
    int least, greatest;
    if (!dev->side) { /* in the first step, which is not recorded */
        CUDA_TRY(cudaDeviceGetStreamPriorityRange(&least, &greatest), "creating a stream");
        CUDA_TRY(cudaStreamCreateWithPriority(&dev->side, cudaStreamNonBlocking, greatest), "creating a stream");
        CUDA_TRY(cudaEventCreateWithFlags(&dev->fork, cudaEventDisableTiming), "creating an event");
        CUDA_TRY(cudaEventCreateWithFlags(&dev->join, cudaEventDisableTiming), "creating an event");
    }
    CUDA_TRY(cudaEventRecord(dev->fork, dev->stream), "a fork");
    CUDA_TRY(cudaStreamWaitEvent(dev->side, dev->fork, 0), "a fork");
    return HRM_OK;
}
static hrm_status join_aside(hrm_device *dev)
{
    CUDA_TRY(cudaEventRecord(dev->join, dev->side), "a join");
    CUDA_TRY(cudaStreamWaitEvent(dev->stream, dev->join, 0), "a join");
    return HRM_OK;
}

__global__ void share_kernel(double *mine, const double *metrics, const int32_t *bad)
{
    int k = (int)threadIdx.x;
    if (k < HRM_METRIC_SUMS) mine[k] = metrics[k];
    if (k == HRM_METRIC_SUMS) mine[k] = (double)*bad;
}
__global__ void unite_kernel(double *metrics, int32_t *bad, const double *shares, int size)
{
    hrm__unite(metrics, bad, shares, size);
}

static hrm_status cuda_reduce(hrm_device *dev, hrm_work *w)
{
    const hrm_comm *c = w->comm;
    if (!c) return HRM_OK; /* what this GPU has is the sum */
    size_t most = (size_t)(w->all_rows / c->size), ndim = (size_t)w->d.puzzle_ndim, n = (size_t)w->rows;
    double *mine = w->shares + c->size * HRM_SHARE;
    if (ndim && n < most) TRY(cuda_copy(dev, w->ids + n, w->ids, sizeof *w->ids)); /* as the CPU's does */
    LAUNCH(dev, share_kernel, 1, 32, 0, mine, w->metrics, w->bad);
    TRY(fork_aside(dev));
    if (w->train != 3) TRY(c->sum(c->user, w->grads, w->at.net_offset[0], dev->side));
    if (ndim) {
        TRY(c->gather(c->user, w->all_ids, w->ids, most * sizeof *w->ids, 1, dev->side));
        TRY(c->gather(c->user, w->all_puzzle_grad, w->puzzle_grad, most * ndim * sizeof(float), 1, dev->side));
    }
    TRY(c->gather(c->user, w->shares, mine, HRM_SHARE * sizeof *mine, 1, dev->side));
    TRY(c->wait(c->user, dev->side));
    TRY(join_aside(dev));
    LAUNCH(dev, unite_kernel, 1, 1, 0, w->metrics, w->bad, w->shares, c->size);
    return HRM_OK;
}

/* dz stands in one of the gradients at p.s; complete: of its network's blocks no gradient comes after these */
template <class T> static hrm_status pass_backward(hrm_device *dev, hrm_work *w, const hrm_pass *pass, T *dz, bool complete)
{
    const hrm_dims *d = &w->d;
    block_call c = block_call_for<T>(dev, w, pass, d->dropout != 0);
    for (c.layer = d->layers[c.net] - 1; c.layer >= 0; c.layer--) {
        int block = pass->block + c.layer;
        saved_layer keep = plan_layer(&c.p, block);
        T *x = c.layer ? block_output<T>(c, block - 1) : (T *)(c.p.inputs + c.p.row_bytes * (size_t)pass->slot),
          *y2 = block_output<T>(c, block);
        float *grads = w->train == 3 ? NULL : w->grads + w->at.net_offset[c.net] + (size_t)c.layer * w->at.block_size;
        if (d->checkpointing) {
            stream<T> s = {x, NULL, 0};
            TRY(block_forward<T>(c, &keep, &s, y2, NULL, true));
        }
        TRY(half_backward<T>(c, mlp_half(w), (const T *)keep.y1, y2, keep.r2,
                             norm_goes_ahead(d, sizeof(T)) ? keep.inner2 : NULL, dz, grads));
        if (!d->mixer) {
            TRY(attention_half_backward<T>(c, keep, x, dz, grads));
        } else if (mixes_at_once(c)) {
            TRY(mix_backward(c, keep, (const bf16 *)x, (bf16 *)dz, grads));
        } else {
            half_block mix = mix_half(w);
            stream<T> down = {dz, NULL, 0}, turned = {(T *)c.p.turned, NULL, 0}, y1 = {(T *)keep.y1, NULL, 0};
            TRY(turn<T>(c, turned.at, down, d->S, d->D, d->D, mix.N));
            TRY(turn<T>(c, (T *)c.p.h, y1, d->S, d->D, d->D, mix.N)); /* read before h is written */
            TRY(half_backward<T>(c, mix, x, (const T *)c.p.h, keep.r1, NULL, turned.at, grads));
            TRY(turn<T>(c, dz, turned, d->D, d->S, mix.N, d->D));
        }
        if (!w->comm || !complete || !grads) continue;
        TRY(fork_aside(dev));
        TRY(w->comm->sum(w->comm->user, grads, w->at.block_size, dev->side));
    }
    return HRM_OK;
}

template <class T> static hrm_status passes_backward_of(hrm_device *dev, hrm_work *w, const hrm_pass *list, int n)
{
    work_plan p = plan_work(&w->d, w->train, sizeof(T), w->work);
    int M = w->rows * w->d.S, D = w->d.D;
    hrm_flow flow;
    hrm_flow_move moves[HRM_MAX_STATES + 1];
    auto gradient = [&](int buffer) { return (T *)(p.s + p.row_bytes * (size_t)buffer); };
    int last[HRM_MAX_NETS];
    hrm_flow_last(list, n, last);
    hrm_flow_begin(&flow);
    for (int i = n - 1; i >= 0; i--) {
        int buffer = hrm_flow_pass(&flow, list, i);
        if (buffer < 0) continue;
        TRY(pass_backward<T>(dev, w, &list[i], gradient(buffer), w->last_part && last[list[i].net] == i));
        int count = hrm_flow_moves(&flow, list, i, buffer, moves);
        for (int k = 0; k < count; k++) {
            T *to = gradient(moves[k].to), *from = gradient(moves[k].from);
            stream<T> x = {to, NULL, 0}, y = {from, NULL, 0}, none = {};
            if (moves[k].add) TRY(sum<T>(dev, to, x, y, none, M, &w->d));
            else TRY(cuda_copy(dev, to, from, (size_t)M * (size_t)D * sizeof(T)));
        }
    }
    w->de = flow.at[HRM_MAX_STATES];
    return HRM_OK;
}
static hrm_status cuda_passes_backward(hrm_device *dev, hrm_work *w, const hrm_pass *list, int n)
{
    return BY_TYPE(dev, passes_backward_of)(dev, w, list, n);
}

template <class T> static hrm_status embed_backward_of(hrm_device *dev, hrm_work *w)
{
    const hrm_dims *d = &w->d;
    work_plan p = plan_work(d, w->train, sizeof(T), w->work);
    int SD = d->S * d->D;
    if (w->de < 0) return HRM_OK; /* no pass with gradient reads e */
    const T *de = (const T *)(p.s + p.row_bytes * (size_t)w->de);
    float factor = embed_factor(d);
    if (w->train != 3)
        TRY(table_gradient<T>(dev, &p, w->grads + w->at.embed_tokens, de, NULL, w->inputs, w->rows * d->T, d->T, d->P, d->V,
                              factor));
    if (d->learned && w->train != 3)
        LAUNCH(dev, position_gradient_kernel<T>, ceil_div(SD, 128), 128, 0, w->grads + w->at.embed_pos, de, w->rows, SD,
               factor);
    size_t n = (size_t)w->rows * (size_t)d->puzzle_ndim;
    if (n > 0 && w->puzzle_grad)
        LAUNCH(dev, puzzle_gradient_kernel<T>, flat_blocks(dev, n, 256), 256, 0, w->puzzle_grad, de, d->S, d->D, d->puzzle_ndim,
               factor, n);
    return HRM_OK;
}
static hrm_status cuda_embed_backward(hrm_device *dev, hrm_work *w) { return BY_TYPE(dev, embed_backward_of)(dev, w); }

static hrm_status cuda_norm(hrm_device *dev, hrm_work *w)
{
    work_plan p = plan_work(&w->d, w->train, element_size(dev), w->work);
    LAUNCH(dev, squares_kernel, NORM_PARTS, 256, 0, p.norm_parts, w->grads, w->at.trained);
    LAUNCH(dev, sum_squares_kernel, 1, 256, 0, w->norm, w->scaling ? NULL : w->bad, p.norm_parts);
    return HRM_OK;
}

static hrm_status cuda_unscale(hrm_device *dev, hrm_work *w)
{
    size_t weights = w->train == 3 ? 0 : w->at.trained, rows = (size_t)w->all_rows * (size_t)w->d.puzzle_ndim;
    TRY(cuda_zero(dev, &w->scaling->skip, sizeof w->scaling->skip));
    if (weights) LAUNCH(dev, unscale_kernel, flat_blocks(dev, weights, 1024), 256, 0, w->grads, weights, w->scaling);
    if (rows) LAUNCH(dev, unscale_kernel, flat_blocks(dev, rows, 1024), 256, 0, w->all_puzzle_grad, rows, w->scaling);
    LAUNCH(dev, scaling_next_kernel, 1, 1, 0, w->scaling, w->step, w->bad);
    return HRM_OK;
}
/* what an update looks at: whether it leaves everything as it is */
static const int32_t *skip_of(const hrm_work *w) { return w->scaling ? &w->scaling->skip : w->bad; }

template <bool TRANS> static hrm_status scaled_product(hrm_device *dev, const product &q, ending<float> &e)
{
    return gemm_of<END_SCALED, TRANS>(dev, q, e);
}
template <bool TRANS> static hrm_status scaled_product(hrm_device *dev, const product &q, ending<bf16> &e)
{
    e.vector = 1; /* sides are multiples of 8 */
    return gemm_on_mma<END_SCALED, TRANS, 64, 64, 2, 2, 4>(dev, q, e);
}
/* out [M,N] = alpha A B^T, or A^T B, + beta x: `count` times, operands one matrix after the other */
template <class T>
static hrm_status muon_product(hrm_device *dev, bool trans, T *out, const T *A, const T *B, int M, int N, int K, float alpha,
                               const T *x, float beta, int count)
{
    ending<T> e;
    memset(&e, 0, sizeof e);
    e.out = out, e.residual = x, e.alpha = alpha, e.beta = beta, e.M = M, e.N = N;
    e.step_A = (size_t)M * (size_t)K, e.step_B = (size_t)N * (size_t)K, e.step_out = (size_t)M * (size_t)N;
    product q = {A, B, K, trans, 1, count};
    return trans ? scaled_product<true>(dev, q, e) : scaled_product<false>(dev, q, e);
}
/* A wide x [N,K] takes its short side from the left, a tall one from the right: a = x x^T and x = (b I + c a + d a a) x, or
 * a = x^T x and x = x (b I + c a + d a a). */
template <class T> static hrm_status muon_tensor(hrm_device *dev, hrm_work *w, const work_plan *p, int tensor, int rate)
{
    int rows = (int)hrm__block_rows(&w->d, tensor), columns = (int)hrm__block_columns(&w->d, tensor), count = all_blocks(&w->d);
    int N = (int)align_up((size_t)rows, 8), K = (int)align_up((size_t)columns, 8), tall = rows > columns, n = tall ? K : N;
    size_t step = w->at.block_size, at = w->at.net_offset[0] + w->at.block_offset[tensor]; /* networks stand in a row */
    T *x = (T *)p->muon_x, *y = (T *)p->muon_y, *a = (T *)p->muon_a, *b = (T *)p->muon_b;
    dim3 flat((unsigned)flat_blocks(dev, (size_t)N * (size_t)K, 1024), (unsigned)count);
    CHAIN(dev, muon_begin_kernel, dim3(NORM_PARTS, (unsigned)count), 256, 0, w->grads + at, w->m + at, p->norm_parts,
          (size_t)rows * (size_t)columns, step, w->step, w->norm, skip_of(w));
    CHAIN(dev, muon_scale_kernel<T>, flat, 256, 0, x, w->grads + at, p->norm_parts, step, rows, columns, N, K);
    for (int i = 0; i < w->d.muon_ns_steps; i++) {
        T *had = x;
        TRY(muon_product<T>(dev, tall, a, x, x, n, n, tall ? N : K, 1, NULL, 0, count));
        TRY(muon_product<T>(dev, false, b, a, a, n, n, n, 2.0315f, a, -4.7750f, count));
        if (tall) TRY(muon_product<T>(dev, false, y, x, b, N, K, K, 1, x, 3.4445f, count));
        else TRY(muon_product<T>(dev, true, y, b, x, N, K, N, 1, x, 3.4445f, count)); /* b is its own transpose */
        x = y, y = had;
    }
    CHAIN(dev, muon_end_kernel<T>, flat, 256, 0, w->params + at, w->grads + at, (const T *)x, step, rows, columns, N, K,
          w->step, rate, skip_of(w));
    return HRM_OK;
}
template <class T> static hrm_status muon_of(hrm_device *dev, hrm_work *w, int rate)
{
    work_plan p = plan_work(&w->d, w->train, sizeof(T), w->work);
    for (int tensor = 0; tensor < HRM_BLOCK_TENSORS && all_blocks(&w->d) > 0; tensor++)
        TRY(muon_tensor<T>(dev, w, &p, tensor, rate));
    return HRM_OK;
}
static hrm_status cuda_muon(hrm_device *dev, hrm_work *w, int rate)
{
    return dev->dtype == HRM_FORWARD_FLOAT32 ? muon_of<float>(dev, w, rate) : muon_of<bf16>(dev, w, rate);
}

static hrm_status cuda_update(hrm_device *dev, hrm_work *w, const hrm_group *groups, int count)
{
    for (int i = 0; i < count; i++) {
        const hrm_group *g = &groups[i];
        size_t n = align_up(g->count, 4), at = g->from; /* groups begin and end where tensors do, at multiples of 64 */
        if (g->optimizer == HRM_ADAM_ATAN2) {
            LAUNCH(dev, adam_kernel<HRM_ADAM_ATAN2>, flat_blocks(dev, n, 1024), 256, 0, w->params + at, w->m + at, w->v + at,
                   w->grads + at, n, w->step, g->rate, w->norm, skip_of(w));
        } else if (g->optimizer == HRM_ADAMW) {
            LAUNCH(dev, adam_kernel<HRM_ADAMW>, flat_blocks(dev, n, 1024), 256, 0, w->params + at, w->m + at, w->v + at,
                   w->grads + at, n, w->step, g->rate, w->norm, skip_of(w));
        } else if (g->optimizer == HRM_MUON) {
            TRY(cuda_muon(dev, w, g->rate));
        } else if (w->puzzle && w->d.puzzle_ndim > 0) {
            LAUNCH(dev, sign_sgd_kernel, dim3((unsigned)w->all_rows, (unsigned)ceil_div(w->d.puzzle_ndim, SIGN_THREADS)),
                   SIGN_THREADS, 0, w->puzzle, w->all_puzzle_grad, w->all_ids, w->all_rows, w->d.puzzle_ndim, w->step, g->rate,
                   skip_of(w));
            TRY(cuda_zero(dev, w->puzzle_grad, (size_t)w->rows * (size_t)w->d.puzzle_ndim * sizeof(float)));
        }
    }
    return HRM_OK;
}

static hrm_status cuda_average(hrm_device *dev, hrm_work *w, int swap)
{
    LAUNCH(dev, average_kernel, flat_blocks(dev, w->at.trained, 256), 256, 0, w->average, w->params, w->at.trained, w->step,
           swap, skip_of(w));
    return HRM_OK;
}

template <class W> static hrm_status gather_words(hrm_device *dev, const work_plan *p, void *array, size_t words, int n)
{
    size_t all = words * (size_t)n;
    LAUNCH(dev, gather_kernel<W>, flat_blocks(dev, all, 256), 256, 0, (W *)p->big, (const W *)array, p->rows, words, all);
    return cuda_copy(dev, array, p->big, all * sizeof(W));
}
static hrm_status gather_rows(hrm_device *dev, const work_plan *p, void *array, size_t row_bytes, int n)
{
    return row_bytes % 4 ? gather_words<uint16_t>(dev, p, array, row_bytes / 2, n)
                         : gather_words<uint32_t>(dev, p, array, row_bytes / 4, n);
}

static hrm_status cuda_gather(hrm_device *dev, hrm_work *w, const int32_t *rows, int n)
{
    if (n < 0 || n > w->rows) return hrm_error_set(HRM_ERR_ARGUMENT, "CUDA: %d rows gathered of %d", n, w->rows);
    work_plan p = plan_work(&w->d, w->train, element_size(dev), w->work);
    size_t z = (size_t)w->d.S * (size_t)w->d.D * element_size(dev), tokens = (size_t)w->d.T * sizeof(int32_t);
    if (n > 0) {
        TRY(cuda_upload(dev, p.rows, rows, (size_t)n * sizeof(int32_t)));
        for (int i = 0; i < w->d.states; i++) TRY(gather_rows(dev, &p, w->z[i], z, n));
        TRY(gather_rows(dev, &p, w->e, z, n));
        TRY(gather_rows(dev, &p, w->inputs, tokens, n));
        TRY(gather_rows(dev, &p, w->labels, tokens, n));
        TRY(gather_rows(dev, &p, w->ids, sizeof(int32_t), n));
        TRY(gather_rows(dev, &p, w->steps, sizeof(int32_t), n));
        TRY(gather_rows(dev, &p, w->halted, sizeof(int32_t), n));
    }
    w->rows = n;
    return HRM_OK;
}

/* Every call with its own GPU as the calling thread's: CUDA keeps one for each thread, and another thread may call, or this one
 * may have used another device since. It stays chosen. */
static hrm_status choose(const hrm_device *dev)
{
    int now = -1;
    if (!dev || (cudaGetDevice(&now) == cudaSuccess && now == dev->index)) return HRM_OK;
    CUDA_TRY(cudaSetDevice(dev->index), "choosing the GPU");
    return HRM_OK;
}
template <class F, F *CALL> struct chosen {
    static hrm_status call(hrm_device **dev, const hrm_device_desc *desc) { return CALL(dev, desc); } /* open */
};
template <class... A, hrm_status (*CALL)(hrm_device *, A...)> struct chosen<hrm_status(hrm_device *, A...), CALL> {
    static hrm_status call(hrm_device *dev, A... a)
    {
        TRY(choose(dev));
        return CALL(dev, a...);
    }
};
template <class... A, void (*CALL)(hrm_device *, A...)> struct chosen<void(hrm_device *, A...), CALL> {
    static void call(hrm_device *dev, A... a)
    {
        choose(dev);
        CALL(dev, a...);
    }
};

extern "C" const hrm_device_table *hrm_cuda_device(void)
{
    static const hrm_device_table table = {
        HRM_DEVICE_VERSION, sizeof(hrm_device_table), "cuda", 0, 1,
#define CALL(type, name, arguments) chosen<decltype(cuda_##name), cuda_##name>::call,
        HRM_DEVICE_CALLS(CALL)
#undef CALL
    };
    return &table;
}
