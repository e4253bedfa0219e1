#pragma once
// Owns the CUDA Config of partial_reduce. Clean for host and NVRTC.
#include "cuda/device.h"
#include "selected_shape.h"
#include "strides.h"

namespace fsa::partial_reduce {

struct Config {
  int warps = 4;                    ///< per thread block; they share nothing
  int passes = 1;                   ///< output pieces of 8 columns per lane: a warp merges as many rows as fill them
  int loads = 8;                    ///< partial rows that a lane loads before it uses the first
  int blocks = 8;                   ///< thread blocks per multiprocessor that registers are bounded for
  Partial partial = Partial::kF16;  ///< as in selected_block_major

  constexpr int threads() const { return 32 * warps; }
  constexpr int min_blocks() const { return blocks; }
  /// Rows of a warp: its lanes take 8 columns each, several rows at once where rows are short.
  constexpr int rows(const SelectedShape& s) const { return 32 * passes >= s.head_dim_v / 8 ? 32 * passes / (s.head_dim_v / 8) : 1; }
  /// Entry and weight of each (row, slot) of each warp.
  constexpr int smem_bytes(const SelectedShape& s) const { return warps * rows(s) * s.topk * 8; }
};

}  // namespace fsa::partial_reduce
