/* The golden cases of tests/test_golden.c with every model on the GPU, in float32. */
#define HRM_IMPLEMENTATION
#include "hrm.h"

static hrm_status create_on_gpu(hrm_model **model, const hrm_model_desc *desc)
{
    hrm_model_desc gpu = *desc;
    gpu.device = HRM_CUDA;
    gpu.forward_dtype = HRM_FORWARD_FLOAT32;
    return hrm_model_create(model, &gpu);
}
#define hrm_model_create create_on_gpu
#if defined(__GNUC__) && !defined(__clang__)
    #pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* gcc at -O3 does not follow CHECK */
#endif
#include "../test_golden.c"
