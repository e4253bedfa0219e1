#pragma once
// Owns the entries of compress_kv on CUDA: one for the product of pe and w, one for the windows.
#include "compress_kv/linear.cuh"
#include "compress_kv/weighted_sum.cuh"

namespace fsa::compress_kv {

/// Launched where positional alone.
template <Shape kShape, Config kConfig>
FSA_DEVICE void positions(const Params& p) {
  if constexpr (kShape.positional == 1) position_product<kShape, kConfig>(p);
}

template <Shape kShape, Config kConfig>
FSA_DEVICE void windows(const Params& p) {
  if constexpr (kShape.mode == Mode::kLinear)
    linear<kShape, kConfig>(p);
  else
    weighted_sum<kShape, kConfig>(p);
}

}  // namespace fsa::compress_kv
