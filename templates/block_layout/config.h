#pragma once
// Owns the CUDA Config of block_layout, and the parts that blocks are laid out in. Clean for host and NVRTC.
#include "cuda/range_config.h"
#include "selected_shape.h"

namespace fsa::block_layout {

/// Keys of a part, which is what a step of attention takes: a block, or of a long one half.
FSA_HOST_DEVICE constexpr int part_keys(int block_size) { return block_size > 64 && block_size % 32 == 0 ? block_size / 2 : block_size; }
FSA_HOST_DEVICE constexpr int parts(int block_size) { return block_size / part_keys(block_size); }

struct Config {
  int warps = 12;  ///< per thread block, which lays out a part's V

  /// What a part is laid out for: attention over ranges whose steps are parts.
  FSA_HOST_DEVICE static constexpr RangeShape range_shape(const SelectedShape& s) {
    return {.element = s.element, .output = s.output, .head_dim = s.head_dim, .head_dim_v = s.head_dim_v, .group = s.group, .scaled = 0};
  }
  FSA_HOST_DEVICE static constexpr cuda::RangeConfig range(const SelectedShape& s) {
    return {.mma = cuda::Mma::kWarpgroup, .warps = 8, .row_tiles = 1, .keys = part_keys(s.block_size), .stages = 2, .blocks = 1};
  }
  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return 1; }
};

}  // namespace fsa::block_layout
