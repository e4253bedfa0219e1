#pragma once
// Owns the entry of the CUDA kernels of select_blocks: the config says which instruction multiplies.
#include "select_blocks/mma_kernel.cuh"
#include "select_blocks/wgmma_kernel.cuh"

namespace fsa::select_blocks {

/// Grid: Hkv * (Tq / tokens + B), heads fastest, the last queries first.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  if constexpr (kConfig.wgmma())
    run_wgmma<kShape, kConfig>(p);
  else
    run_mma<kShape, kConfig>(p);
}

}  // namespace fsa::select_blocks
