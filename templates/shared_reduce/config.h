#pragma once
// Owns the CUDA Config of shared_reduce. Clean for host and NVRTC.
#include "shared_blocks/steps.h"
#include "shared_blocks/value_layout.h"
#include "shared_reduce/params.h"

namespace fsa::shared_reduce {

/// What attention over ranges is specialised on.
FSA_HOST_DEVICE constexpr RangeShape range_shape(const Shape& s) {
  return {.element = s.element, .output = s.output, .head_dim = s.head_dim, .head_dim_v = s.head_dim_v, .group = s.group, .scaled = 0};
}

FSA_HOST_DEVICE constexpr shared_blocks::TileShape tile(const Shape& s) { return shared_blocks::TileShape::of(s); }

/// What merging is specialised on.
FSA_HOST_DEVICE constexpr partial_reduce::Shape merge_shape(const Shape& s) {
  return {.output = s.output,
          .head_dim_v = s.head_dim_v,
          .group = s.group,
          .topk = s.topk,
          .gated = s.gated,
          .scaled = s.scaled,
          .gates = s.gates};
}

/// Attention over ranges by warpgroups, a unit each, whose steps are blocks; then each adds the partials of its rows.
struct Config {
  int units = 2;                    ///< warpgroups that attend and merge: as many as a tile has units
  int stages = 2;                   ///< K and V buffers
  int ring = 3;                     ///< partials of a row that come at once
  Partial partial = Partial::kF16;  ///< as in selected_block_major
  int pingpong = 0;                 ///< 1: the two warpgroups of a tile of two units start their products in turns
  int early = 0;                    ///< 1: starts while selected_block_major still runs, and attends a first tile until that has ended

  /// Registers that members and merging take beside what attention over ranges does.
  static constexpr int kOfMembersAndMerging = 20;
  FSA_HOST_DEVICE constexpr cuda::RangeConfig range(const Shape& s) const {
    return {.mma = cuda::Mma::kWarpgroup,
            .warps = 4 * units,
            .row_tiles = 1,
            .keys = shared_blocks::ValueLayout::part_keys(s.block_size),
            .stages = stages,
            .blocks = 1,
            .pingpong = pingpong};
  }
  /// Registers of a lane that attends, without Q.
  FSA_HOST_DEVICE constexpr int attending_registers(const Shape& s) const {
    return range(s).attending_registers(range_shape(s)) + kOfMembersAndMerging;
  }
  FSA_HOST_DEVICE constexpr bool holds_queries(const Shape& s) const {
    const int held = range(s).held_registers(range_shape(s));
    return held > 0 && held + attending_registers(s) <= range(s).consumer_registers();
  }
  FSA_HOST_DEVICE constexpr int threads() const { return 32 * 4 * (units + 1); }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return 1; }
  /// Beside what attention over ranges takes: what each stage holds to each unit; of the partials of two tiles two barriers, entries and
  /// counts.
  FSA_HOST_DEVICE constexpr int table_bytes(const Shape& s) const {
    return round_up(range(s).table_bytes() + stages * units * 16 + 2 * (16 + tile(s).tokens() * (s.topk + 1) * 4), 16);
  }
  /// Weights of a row's partials are so far apart that a warp's eight rows lie in different banks.
  FSA_HOST_DEVICE static constexpr int weight_pitch(const Shape& s) { return s.topk | 1; }
  /// Of a partial of each of a warp's 16 rows, of whole groups of 32 columns, of which a lane has 8.
  FSA_HOST_DEVICE constexpr int ring_warp_bytes(const Shape& s) const {
    const int columns = round_up(s.head_dim_v, 32);
    return 16 * (partial == Partial::kI12 ? columns / 2 * 3 : partial == Partial::kF32 ? columns * 4 : columns * 2);
  }
  /// Of a warp that merges: the ring, then LSEs (weights, later) and scales of the partials of its 16 rows.
  FSA_HOST_DEVICE constexpr int warp_bytes(const Shape& s) const { return ring * ring_warp_bytes(s) + 2 * 16 * 4 * weight_pitch(s); }
  FSA_HOST_DEVICE constexpr int warps_offset(const Shape& s) const {
    return round_up(range(s).table_offset(range_shape(s)) + table_bytes(s), 128);
  }
  FSA_HOST_DEVICE constexpr int smem_bytes(const Shape& s) const { return warps_offset(s) + 4 * units * warp_bytes(s); }
};

}  // namespace fsa::shared_reduce
