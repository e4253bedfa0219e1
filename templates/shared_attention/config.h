#pragma once
// Owns the CUDA Config of shared_attention. Clean for host and NVRTC.
#include "cuda/range_config.h"
#include "shared_blocks/steps.h"

namespace fsa::shared_attention {

/// What kernels of attention over ranges are specialised on: outputs are f16 rows, each in units of its own.
FSA_HOST_DEVICE constexpr RangeShape range_shape(const SelectedShape& s) {
  return {.element = s.element, .output = Element::kF16, .head_dim = s.head_dim, .head_dim_v = s.head_dim_v, .group = s.group, .scaled = 1};
}

/// Attention over ranges by two warpgroups, a unit each, whose steps are blocks.
struct Config {
  int stages = 4;    ///< K and V buffers
  int tiles = 8;     ///< tiles of queries that a thread block attends, one after the other
  int pingpong = 0;  ///< 1: the warpgroups start their products in turns

  FSA_HOST_DEVICE constexpr cuda::RangeConfig range(const SelectedShape& s) const {
    return {.mma = cuda::Mma::kWarpgroup,
            .warps = 4 * shared_blocks::kUnits,
            .row_tiles = 1,
            .keys = s.block_size,
            .stages = stages,
            .blocks = 1,
            .tiles = tiles,
            .pingpong = pingpong};
  }
  /// Registers that members take beside what attention over ranges does.
  static constexpr int kOfMembers = 8;
  FSA_HOST_DEVICE constexpr bool holds_queries(const SelectedShape& s) const {
    const int held = range(s).held_registers(range_shape(s));
    return held > 0 && held + range(s).attending_registers(range_shape(s)) + kOfMembers <= range(s).consumer_registers();
  }
  FSA_HOST_DEVICE constexpr int threads() const { return 32 * 4 * (shared_blocks::kUnits + 1); }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return 1; }
  /// Beside what attention over ranges takes, the members of each stage.
  FSA_HOST_DEVICE constexpr int table_bytes(const SelectedShape& s) const {
    return range(s).table_bytes() + stages * shared_blocks::kUnits * 8;
  }
  FSA_HOST_DEVICE constexpr int smem_bytes(const SelectedShape& s) const { return range(s).table_offset(range_shape(s)) + table_bytes(s); }
};

}  // namespace fsa::shared_attention
