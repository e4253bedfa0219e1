#pragma once
// Owns the choice of who multiplies matrices in a CUDA kernel. Clean for host and NVRTC.

namespace fsa::cuda {

enum class Mma : int {
  kWarp,       ///< single warps with mma.sync: every target
  kWarpgroup,  ///< four warps in step with wgmma, which reads shared memory itself: sm_90a
};

}  // namespace fsa::cuda
