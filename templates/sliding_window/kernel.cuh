#pragma once
// Owns the CUDA kernel of sliding_window: attention of every query over a window of its sequence's last keys.
#include "cuda/range_attention.cuh"
#include "sliding_window/params.h"

namespace fsa::sliding_window {

/// Grid: Hkv * (ceil(rows of V / keys) + 1); none for configs of single warps.
template <Shape kShape, cuda::RangeConfig kConfig>
FSA_DEVICE void prepare(const Params& p) {
  cuda::prepare_ranges<kShape, kConfig>(p);
}

/// Grid: Hkv * ceil(Tq * g / rows), or of warpgroups any number of thread blocks up to that.
template <Shape kShape, cuda::RangeConfig kConfig>
FSA_DEVICE void run(const Params& p) {
  cuda::attend_ranges<kShape, kConfig, Rule>(p);
}

}  // namespace fsa::sliding_window
