#pragma once
// Owns the CUDA Config of block_index and what follows from it. Clean for host and NVRTC.
#include "cuda/device.h"
#include "selected_shape.h"

namespace fsa::block_index {

struct Config {
  int warps = 8;             ///< per thread block, which counts and fills one segment of queries
  int segment_tokens = 256;  ///< queries per segment, at least; more where the counts would outgrow the index itself

  /// Queries of a segment that are marked at a time, a bit each.
  static constexpr int kStepTokens = 128;
  /// Cells that a thread block marks at a time: all of them in most problems, in several passes for very long contexts.
  static constexpr int kPassCells = 2688;

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return 1; }
  /// Cells that one thread block of scan_cells numbers.
  FSA_HOST_DEVICE constexpr int tile_cells() const { return threads(); }
  /// Shared memory of fill for a pass over `cells` cells: marks, the first entry of each of their words, a number per cell.
  FSA_HOST_DEVICE static constexpr int fill_bytes(int cells) {
    return (2 * kStepTokens / 32 + 1) * 4 * (cells < kPassCells ? cells : kPassCells);
  }
  /// Of histogram: marks and a number per cell.
  FSA_HOST_DEVICE static constexpr int histogram_bytes(int cells) {
    return (kStepTokens / 32 + 1) * 4 * (cells < kPassCells ? cells : kPassCells);
  }
  /// The most that any problem takes.
  FSA_HOST_DEVICE constexpr int smem_bytes(SelectedShape) const { return fill_bytes(kPassCells); }
};

}  // namespace fsa::block_index
