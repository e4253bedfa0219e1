#pragma once
// Owns the execution-space markers, so that headers shared with host compilers stay clean.

#if defined(__CUDACC__)
#define FSA_DEVICE __device__ __forceinline__
#define FSA_HOST_DEVICE __host__ __device__
#else
#define FSA_HOST_DEVICE
#endif

namespace fsa {

FSA_HOST_DEVICE constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }
FSA_HOST_DEVICE constexpr int round_up(int a, int b) { return ceil_div(a, b) * b; }

}  // namespace fsa
