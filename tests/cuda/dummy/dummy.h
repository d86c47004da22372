/* A GPU without a GPU: enough of CUDA to compile hrm_cuda.cu with a C++ compiler and to run on the processor what it launches,
 * but for tensor cores and clusters. A thread of a block is a fiber; the blocks of a grid come one after the other. What is put
 * on the stream runs when somebody waits for it, so that a wait that is missing shows; memory is not zeroed; everything made is
 * counted; and the n-th call fails when asked to. hrm_cuda.cu goes through tests/cuda/dummy/translate.sh first. */
#ifndef HRM_DUMMY_H
#define HRM_DUMMY_H
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>
#include <ucontext.h>

/* ---- the language ------------------------------------------------------------------------------------------------------- */
#define __CUDACC__ 1
#define __host__
#define __device__
#define __global__
#define __shared__      static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __maxnreg__(n)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
template <class A, class B> static inline auto min(A a, B b) -> decltype(+a + +b) { return b < a ? +b : +a; }
template <class A, class B> static inline auto max(A a, B b) -> decltype(+a + +b) { return a < b ? +b : +a; }

static inline unsigned __float_as_uint(float x)
{
    unsigned u;
    memcpy(&u, &x, 4);
    return u;
}
static inline float __uint_as_float(unsigned u)
{
    float x;
    memcpy(&x, &u, 4);
    return x;
}
#define fmaf(x, y, z) ((x) * (y) + (z)) /* rounded twice, and ten times as fast */
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
#define __expf expf /* the C library has that name to itself */
static inline float __fdividef(float x, float y) { return x / y; }
static inline int __popc(unsigned u) { return __builtin_popcount(u); }
template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }

/* bfloat16 and float16, rounded to the nearest, ties to even */
struct __nv_bfloat16 {
    uint16_t bits;
};
struct __half {
    uint16_t bits;
};
struct __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
struct __half2 {
    __half x, y;
};
static inline float __bfloat162float(__nv_bfloat16 h) { return __uint_as_float((unsigned)h.bits << 16); }
static inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
    unsigned u = __float_as_uint(x);
    if (x != x) return {(uint16_t)(u >> 16 | 0x40)};
    return {(uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
static inline float __half2float(__half h)
{
    int e = h.bits >> 10 & 31, m = h.bits & 1023;
    float x = e == 31 ? (m ? NAN : INFINITY) : e ? ldexpf((float)(1024 + m), e - 25) : ldexpf((float)m, -24);
    return h.bits & 0x8000 ? -x : x;
}
static inline __half __float2half_rn(float x)
{
    uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    float a = fabsf(x);
    if (x != x) return {(uint16_t)(sign | 0x7e00)};
    if (a >= 65520) return {(uint16_t)(sign | 0x7c00)};
    int e = 0;
    frexpf(a, &e);
    if (e < -13) return {(uint16_t)(sign | (int)nearbyintf(ldexpf(a, 24)))};
    int m = (int)nearbyintf(ldexpf(a, 11 - e)); /* 1024 to 2048 */
    return {(uint16_t)(sign | (((e + 14) << 10) + m - 1024))};
}
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y)
{
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}
static inline __half2 __floats2half2_rn(float x, float y) { return {__float2half_rn(x), __float2half_rn(y)}; }
static inline float2 __half22float2(__half2 h) { return {__half2float(h.x), __half2float(h.y)}; }

/* ---- what runs a block -------------------------------------------------------------------------------------------------- */
enum { DUMMY_THREADS = 1024, DUMMY_STACK = 128 << 10, DUMMY_SHARED = 227 << 10 };
struct dummy_barrier {
    int arrived, generation, live;
};
struct dummy_fiber {
    ucontext_t at;
    char *stack;
    uint3 thread;
    int warp, lane, done, exchanges;
};
static dummy_fiber dummy_fibers[DUMMY_THREADS], *dummy_now;
static ucontext_t dummy_main;
static dummy_barrier dummy_block, dummy_warps[DUMMY_THREADS / 32];
static uint64_t dummy_slots[2][DUMMY_THREADS];
static int dummy_votes, dummy_moved;
static uint3 dummy_block_index;
static dim3 dummy_block_size, dummy_grid_size;
static std::function<void()> *dummy_body;
static const char *dummy_wrong; /* what a kernel cannot do here */
alignas(1024) static unsigned char dummy_shared[DUMMY_SHARED];
#define threadIdx (dummy_now->thread)
#define blockIdx  dummy_block_index
#define blockDim  dummy_block_size
#define gridDim   dummy_grid_size

#if defined(__x86_64__)
/* A switch of stacks without the system call that swapcontext() makes for signals. */
extern "C" void dummy_switch(void **from, void *to);
__asm__(".text\n.globl dummy_switch\ndummy_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
static void *dummy_main_stack, *dummy_stacks[DUMMY_THREADS];
static void dummy_leave() { dummy_switch(&dummy_stacks[dummy_now - dummy_fibers], dummy_main_stack); }
static void dummy_enter(int i) { dummy_switch(&dummy_main_stack, dummy_stacks[i]); }
#else
static void dummy_leave() { swapcontext(&dummy_now->at, &dummy_main); }
static void dummy_enter(int i) { swapcontext(&dummy_main, &dummy_fibers[i].at); }
#endif

static void dummy_release(dummy_barrier *b)
{
    if (b->arrived == 0 || b->arrived < b->live) return;
    b->arrived = 0;
    b->generation++;
    dummy_moved = 1;
}
static void dummy_wait(dummy_barrier *b)
{
    int generation = b->generation;
    b->arrived++;
    dummy_release(b);
    while (b->generation == generation) dummy_leave();
}
static void dummy_fiber_main()
{
    (*dummy_body)();
    dummy_now->done = 1;
    dummy_moved = 1;
    dummy_block.live--, dummy_release(&dummy_block);
    dummy_warps[dummy_now->warp].live--, dummy_release(&dummy_warps[dummy_now->warp]);
    for (;;) dummy_leave();
}
static void dummy_fiber_make(int i)
{
    dummy_fiber *f = &dummy_fibers[i];
    if (!f->stack) f->stack = (char *)malloc(DUMMY_STACK);
#if defined(__x86_64__)
    void **top = (void **)((uintptr_t)(f->stack + DUMMY_STACK) & ~(uintptr_t)63);
    *--top = NULL;                     /* as a call leaves it: a multiple of 16, and 8 */
    *--top = (void *)dummy_fiber_main; /* where the switch returns to */
    dummy_stacks[i] = top - 6;
#else
    getcontext(&f->at);
    f->at.uc_stack.ss_sp = f->stack, f->at.uc_stack.ss_size = DUMMY_STACK, f->at.uc_link = NULL;
    makecontext(&f->at, dummy_fiber_main, 0);
#endif
}

static const char *dummy_run_block(std::function<void()> *body)
{
    int n = (int)(blockDim.x * blockDim.y * blockDim.z), left = n;
    dummy_body = body;
    dummy_wrong = NULL;
    dummy_block = {0, 0, n};
    for (int i = 0; i < n; i++) {
        dummy_fiber *f = &dummy_fibers[i];
        f->thread = {(unsigned)i % blockDim.x, (unsigned)i / blockDim.x % blockDim.y, (unsigned)i / blockDim.x / blockDim.y};
        f->warp = i / 32, f->lane = i % 32, f->done = f->exchanges = 0;
        if (f->lane == 0) dummy_warps[f->warp] = {0, 0, min(32, n - i)};
        dummy_fiber_make(i);
    }
    while (left > 0) {
        left = dummy_moved = 0;
        for (int i = 0; i < n; i++) {
            if (dummy_fibers[i].done) continue;
            dummy_now = &dummy_fibers[i];
            dummy_enter(i);
            if (dummy_wrong) return dummy_wrong; /* the others' stacks are simply left */
            left += !dummy_fibers[i].done;
        }
        if (left && !dummy_moved) return "threads wait for one another";
    }
    return NULL;
}

static void __syncthreads() { dummy_wait(&dummy_block); }
static void __syncwarp(unsigned = 0) { dummy_wait(&dummy_warps[dummy_now->warp]); }
static int __syncthreads_or(int x)
{
    if (x) dummy_votes = 1;
    __syncthreads();
    int any = dummy_votes;
    __syncthreads();
    dummy_votes = 0;
    __syncthreads();
    return any;
}
template <class T> static T dummy_exchange(T x, int lane)
{
    /* in turns through one of two slots: who writes the first again has seen all write the second, and so read the first */
    uint64_t *slots = dummy_slots[dummy_now->exchanges++ & 1] + dummy_now->warp * 32;
    memcpy(&slots[dummy_now->lane], &x, sizeof x);
    __syncwarp();
    memcpy(&x, &slots[lane], sizeof x);
    return x;
}
template <class T> static T __shfl_xor_sync(unsigned, T x, int mask) { return dummy_exchange(x, dummy_now->lane ^ mask); }
template <class T> static T __shfl_sync(unsigned, T x, int lane, int width = 32)
{
    return dummy_exchange(x, dummy_now->lane / width * width + lane % width);
}
static unsigned __ballot_sync(unsigned, int x)
{
    unsigned all = 0;
    for (int i = 0; i < 32; i++) all |= (unsigned)(dummy_exchange(x, i) != 0) << i;
    return all;
}
static int __all_sync(unsigned mask, int x) { return __ballot_sync(mask, x) == 0xffffffffu; }
static size_t __cvta_generic_to_shared(const void *p) { return (size_t)p; }
/* stands where hrm_cuda.cu has a line of the GPU's own */
static void dummy_ptx()
{
    dummy_wrong = "tensor cores and what belongs to them are not there";
    dummy_leave();
}
#define DUMMY_PTX(...) dummy_ptx()

/* ---- the runtime -------------------------------------------------------------------------------------------------------- */
typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorUnsupportedPtxVersion = 222,
    cudaErrorLaunchFailure = 719,
    cudaErrorNotSupported = 801,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorUnknown = 999
} cudaError_t;
typedef int CUresult;
enum { CUDA_SUCCESS = 0, CUDART_VERSION = 12080 };
typedef uint32_t cuuint32_t;
typedef uint64_t cuuint64_t;
struct alignas(64) CUtensorMap {
    uint64_t words[16];
};
typedef int CUtensorMapDataType, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill;
enum {
    CU_TENSOR_MAP_DATA_TYPE_UINT8,
    CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
    CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
    CU_TENSOR_MAP_INTERLEAVE_NONE,
    CU_TENSOR_MAP_SWIZZLE_NONE,
    CU_TENSOR_MAP_SWIZZLE_32B,
    CU_TENSOR_MAP_SWIZZLE_64B,
    CU_TENSOR_MAP_SWIZZLE_128B,
    CU_TENSOR_MAP_L2_PROMOTION_NONE,
    CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
    CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
    CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE
};
struct dummy_stream;
struct dummy_graph;
typedef dummy_stream *cudaStream_t;
typedef struct dummy_event {
    uint64_t number;
} * cudaEvent_t;
typedef dummy_graph *cudaGraph_t;
typedef dummy_graph *cudaGraphExec_t;
struct dummy_graph {
    std::vector<std::function<cudaError_t()>> work;
};
struct dummy_stream {
    std::vector<std::function<cudaError_t()>> queue; /* what nobody has waited for */
    uint64_t queued, ran;                            /* by number, for events */
    dummy_graph *capture;
    cudaError_t failed; /* the first error of what ran */
};
struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount;
    size_t sharedMemPerBlockOptin;
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum {
    cudaStreamNonBlocking = 1,
    cudaEventDisableTiming = 2,
    cudaStreamCaptureModeThreadLocal = 1,
    cudaEnableDefault = 0,
    cudaDevAttrCooperativeLaunch = 95,
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8
};
enum cudaDriverEntryPointQueryResult { cudaDriverEntryPointSuccess, cudaDriverEntryPointSymbolNotFound };
enum cudaLaunchAttributeID {
    cudaLaunchAttributeCooperative = 2,
    cudaLaunchAttributeClusterDimension = 4,
    cudaLaunchAttributeProgrammaticStreamSerialization = 6
};
struct cudaLaunchAttribute {
    int id;
    struct {
        int cooperative, programmaticStreamSerializationAllowed;
        struct {
            unsigned x, y, z;
        } clusterDim;
    } val;
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
};

/* Of the tests: which call fails (from 1; 0 none), how many there were, what is alive, and how large the memory is. */
extern "C" {
long dummy_fail_at = 0, dummy_calls = 0, dummy_alive = 0, dummy_launches = 0;
size_t dummy_bytes = 0, dummy_memory = (size_t)1 << 30;
}
static thread_local cudaError_t dummy_last;
static std::recursive_mutex dummy_mutex;
static std::map<char *, size_t> dummy_blocks;
static std::vector<cudaStream_t> dummy_streams;
static std::map<cudaEvent_t, cudaStream_t> dummy_recorded;

static cudaError_t dummy_say(cudaError_t e)
{
    if (e != cudaSuccess) dummy_last = e;
    return e;
}
#define DUMMY_LOCK() std::lock_guard<std::recursive_mutex> dummy_lock(dummy_mutex)
#define DUMMY_CALL(...)                                                                                                        \
    DUMMY_LOCK();                                                                                                              \
    do {                                                                                                                       \
        if (++dummy_calls == dummy_fail_at) return dummy_say(cudaErrorUnknown);                                                \
    } while (0)

static int dummy_inside(const void *p, size_t bytes)
{
    auto it = dummy_blocks.upper_bound((char *)p);
    if (it == dummy_blocks.begin()) return 0;
    --it;
    return (char *)p >= it->first && (char *)p + bytes <= it->first + it->second;
}
static cudaError_t dummy_put(cudaStream_t s, std::function<cudaError_t()> f)
{
    if (s->capture) {
        s->capture->work.push_back(f);
        return cudaSuccess;
    }
    s->queue.push_back(f);
    s->queued++;
    return cudaSuccess;
}
static cudaError_t dummy_run(cudaStream_t s, uint64_t until)
{
    size_t n = 0;
    while (s->ran < until && n < s->queue.size()) {
        cudaError_t e = s->failed == cudaSuccess ? s->queue[n]() : s->failed;
        if (e != cudaSuccess && s->failed == cudaSuccess) s->failed = e;
        n++, s->ran++;
    }
    s->queue.erase(s->queue.begin(), s->queue.begin() + (long)n);
    return dummy_say(s->failed);
}

extern "C" {
cudaError_t cudaGetLastError(void)
{
    cudaError_t e = dummy_last;
    dummy_last = cudaSuccess;
    return e;
}
cudaError_t cudaPeekAtLastError(void) { return dummy_last; }
const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaErrorMemoryAllocation ? "out of memory"
           : e == cudaErrorUnknown        ? "unknown error"
           : e == cudaErrorLaunchFailure  ? "unspecified launch failure"
           : e == cudaErrorNotSupported   ? "operation not supported"
                                          : "invalid argument";
}
cudaError_t cudaGetDeviceCount(int *n)
{
    DUMMY_CALL();
    *n = 2;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *v)
{
    *v = 12080;
    return cudaSuccess;
}
static thread_local int dummy_device;
cudaError_t cudaSetDevice(int i)
{
    DUMMY_CALL();
    if (i < 0 || i > 1) return dummy_say(cudaErrorInvalidDevice);
    dummy_device = i;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int *i)
{
    *i = dummy_device;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    DUMMY_CALL();
    memset((void *)p, 0, sizeof *p);
    strcpy(p->name, "no GPU");
    p->major = 8, p->minor = 0, p->multiProcessorCount = 4, p->sharedMemPerBlockOptin = 163 << 10;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *v, int, int)
{
    DUMMY_CALL();
    *v = 0;
    return cudaSuccess;
} /* no cooperative launches */
cudaError_t cudaGetDriverEntryPointByVersion(const char *, void **f, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult *r)
{
    *f = NULL, *r = cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *left, size_t *all)
{
    DUMMY_CALL();
    *all = dummy_memory, *left = dummy_memory - dummy_bytes;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    DUMMY_CALL();
    *s = new dummy_stream();
    dummy_streams.push_back(*s);
    dummy_alive++;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *low, int *high)
{
    *low = 0, *high = -1;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int) { return cudaStreamCreateWithFlags(s, flags); }
cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    DUMMY_CALL();
    if (s->capture) return dummy_say(cudaErrorStreamCaptureInvalidated);
    return dummy_run(s, s->queued);
}
cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    DUMMY_LOCK();
    dummy_streams.erase(std::find(dummy_streams.begin(), dummy_streams.end(), s));
    delete s;
    dummy_alive--;
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, int)
{
    DUMMY_CALL();
    s->capture = new dummy_graph();
    dummy_alive++;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    DUMMY_LOCK();
    *g = s->capture; /* ends whatever comes of it */
    s->capture = NULL;
    if (++dummy_calls == dummy_fail_at) {
        delete *g, *g = NULL, dummy_alive--;
        return dummy_say(cudaErrorUnknown);
    }
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long)
{
    DUMMY_CALL();
    *e = new dummy_graph(*g);
    dummy_alive++;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    DUMMY_LOCK();
    delete g;
    dummy_alive--;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g)
{
    DUMMY_LOCK();
    delete g;
    dummy_alive--;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t s)
{
    DUMMY_CALL();
    for (auto &f : g->work) dummy_put(s, f);
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    DUMMY_CALL();
    *e = new dummy_event();
    dummy_alive++;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    DUMMY_LOCK();
    dummy_recorded.erase(e);
    delete e;
    dummy_alive--;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    DUMMY_CALL();
    e->number = s->queued;
    dummy_recorded[e] = s;
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    DUMMY_CALL();
    auto it = dummy_recorded.find(e);
    return it == dummy_recorded.end() ? cudaSuccess : dummy_run(it->second, e->number);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    DUMMY_CALL();
    auto it = dummy_recorded.find(e);
    if (it == dummy_recorded.end()) return cudaSuccess;
    cudaStream_t other = it->second;
    uint64_t number = e->number;
    return dummy_put(s, [=] { return dummy_run(other, number); });
}
cudaError_t cudaMallocHost(void **p, size_t n)
{
    DUMMY_CALL();
    *p = malloc(n);
    dummy_alive++;
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void *p)
{
    DUMMY_LOCK();
    free(p);
    dummy_alive--;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t s)
{
    DUMMY_CALL();
    if ((kind != cudaMemcpyDeviceToHost && !dummy_inside(to, n)) || (kind != cudaMemcpyHostToDevice && !dummy_inside(from, n)))
        return dummy_say(cudaErrorInvalidValue);
    return dummy_put(s, [=] {
        memcpy(to, from, n);
        return cudaSuccess;
    });
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t n, cudaStream_t s)
{
    DUMMY_CALL();
    if (!dummy_inside(to, n)) return dummy_say(cudaErrorInvalidValue);
    return dummy_put(s, [=] {
        memset(to, value, n);
        return cudaSuccess;
    });
}
}
static cudaError_t dummy_malloc(void **p, size_t n)
{
    DUMMY_CALL();
    if (dummy_bytes + n > dummy_memory) return dummy_say(cudaErrorMemoryAllocation);
    *p = aligned_alloc(256, (n + 511) / 256 * 256);
    memset(*p, 0xff, (n + 511) / 256 * 256); /* not a number */
    dummy_blocks[(char *)*p] = n;
    dummy_bytes += n, dummy_alive++;
    return cudaSuccess;
}
template <class T> static cudaError_t cudaMalloc(T **p, size_t n) { return dummy_malloc((void **)p, n); }
template <class T> static cudaError_t cudaMallocHost(T **p, size_t n) { return cudaMallocHost((void **)p, n); }
static cudaError_t cudaFree(void *p)
{
    DUMMY_LOCK();
    if (!p) return cudaSuccess;
    for (cudaStream_t s : dummy_streams) dummy_run(s, s->queued); /* it waits for all there is */
    dummy_bytes -= dummy_blocks[(char *)p], dummy_alive--;
    dummy_blocks.erase((char *)p);
    free(p);
    return cudaSuccess;
}
template <class F> static cudaError_t cudaFuncSetAttribute(F *, int, int)
{
    DUMMY_CALL();
    return cudaSuccess;
}
template <class... P, class... A>
static cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *c, void (*kernel)(P...), A &&...a)
{
    DUMMY_CALL();
    dim3 grid = c->gridDim, block = c->blockDim;
    size_t shared = c->dynamicSmemBytes, threads = (size_t)block.x * block.y * block.z;
    if (threads < 1 || threads > DUMMY_THREADS || grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > 65535 || grid.z > 65535 ||
        shared > DUMMY_SHARED)
        return dummy_say(cudaErrorInvalidValue);
    auto arguments = std::make_shared<std::tuple<P...>>(std::forward<A>(a)...);
    return dummy_put(c->stream, [=]() -> cudaError_t {
        std::function<void()> body = [&] { std::apply(kernel, *arguments); };
        dummy_grid_size = grid, dummy_block_size = block;
        dummy_launches++;
        for (unsigned z = 0; z < grid.z; z++)
            for (unsigned y = 0; y < grid.y; y++)
                for (unsigned x = 0; x < grid.x; x++) {
                    dummy_block_index = {x, y, z};
                    memset(dummy_shared, 0xff, shared);
                    if (const char *wrong = dummy_run_block(&body)) {
                        fprintf(stderr, "dummy GPU: %s\n", wrong);
                        return cudaErrorLaunchFailure;
                    }
                }
        return cudaSuccess;
    });
}
/* what <<<1, 1>>> becomes */
template <class... P, class... A> static void dummy_launch(cudaStream_t s, void (*kernel)(P...), A &&...a)
{
    cudaLaunchConfig_t c = {};
    c.stream = s;
    c.gridDim = c.blockDim = dim3(1);
    cudaLaunchKernelEx(&c, kernel, std::forward<A>(a)...);
}
#endif
