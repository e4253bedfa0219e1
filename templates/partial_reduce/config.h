#pragma once
// Owns the CUDA Config of partial_reduce. Clean for host and NVRTC.
#include "cuda/device.h"
#include "partial_reduce/params.h"

namespace fsa::partial_reduce {

struct Config {
  int warps = 4;                    ///< per thread block; they share nothing
  int passes = 2;                   ///< output pieces per lane, of lane_columns(): a warp merges as many rows as fill them
  int loads = 8;                    ///< partial rows that a lane loads before it uses the first
  int blocks = 6;                   ///< thread blocks per multiprocessor that registers are bounded for
  Partial partial = Partial::kF16;  ///< as in selected_block_major

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  /// Columns of a row that a lane merges: 8 neighbours, or what a lane of the producer packed together.
  FSA_HOST_DEVICE constexpr int lane_columns(int head_dim_v) const { return partial == Partial::kI12 ? head_dim_v / 4 : 8; }
  /// Rows of a warp: several at once where rows are short.
  FSA_HOST_DEVICE constexpr int rows(const Shape& s) const {
    const int pieces = s.head_dim_v / lane_columns(s.head_dim_v);
    return 32 * passes >= pieces ? 32 * passes / pieces : 1;
  }
  /// Entry and weight of each (row, slot) of each warp.
  FSA_HOST_DEVICE constexpr int smem_bytes(const Shape& s) const { return warps * rows(s) * s.topk * 8; }
};

}  // namespace fsa::partial_reduce
