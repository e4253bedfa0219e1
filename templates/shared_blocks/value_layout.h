#pragma once
// Owns how the blocks of V are laid out for attention whose steps they are. Clean for host and NVRTC.
#include "cuda/range_config.h"
#include "selected_shape.h"

namespace fsa::shared_blocks {

/// V in parts, each what a step of attention takes: a block, or of a long one half. Rows are numbered by cell: key i of a block is row
/// cell * block_size + i.
struct ValueLayout {
  FSA_HOST_DEVICE static constexpr int part_keys(int block_size) {
    return block_size > 64 && block_size % 32 == 0 ? block_size / 2 : block_size;
  }
  FSA_HOST_DEVICE static constexpr int parts(int block_size) { return block_size / part_keys(block_size); }

  /// What a part is laid out for: attention over ranges.
  FSA_HOST_DEVICE static constexpr RangeShape range_shape(const SelectedShape& s) {
    return {.element = s.element, .output = s.output, .head_dim = s.head_dim, .head_dim_v = s.head_dim_v, .group = s.group, .scaled = 0};
  }
  FSA_HOST_DEVICE static constexpr cuda::RangeConfig range(const SelectedShape& s) {
    return {.mma = cuda::Mma::kWarpgroup, .warps = 8, .row_tiles = 1, .keys = part_keys(s.block_size), .stages = 2, .blocks = 1};
  }
  /// 16-byte pieces of a part that a thread holds at once, where it has `threads`.
  FSA_HOST_DEVICE static constexpr int pieces(const SelectedShape& s, int threads) {
    return ceil_div(part_keys(s.block_size) * round_up(s.head_dim_v, 64) / 8, threads);
  }
};

}  // namespace fsa::shared_blocks
