#pragma once
// Owns the CUDA Config of block_index and what follows from it. Clean for host and NVRTC.
#include "cuda/device.h"
#include "selected_shape.h"

namespace fsa::block_index {

struct Config {
  int warps = 8;             ///< per thread block; each counts and fills one segment of queries
  int segment_tokens = 128;  ///< queries per segment, at least; more where the counts would outgrow the index itself

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return 1; }
  /// Cells that one thread block of scan_cells numbers.
  FSA_HOST_DEVICE constexpr int tile_cells() const { return threads(); }
  /// Cells that a warp counts at a time: all of them in most problems, in several passes for very long contexts.
  FSA_HOST_DEVICE constexpr int pass_cells() const { return 24576 / warps; }
  /// Words between the counters of two warps: 4 banks apart, so that eight warps' counters of four cells are read at once.
  FSA_HOST_DEVICE static constexpr int counter_pitch(int cells) { return round_up(cells, 32) + 4; }
  /// Counters of a pass over `cells` cells, for histogram and fill.
  FSA_HOST_DEVICE constexpr int counter_bytes(int cells) const {
    return warps * counter_pitch(cells < pass_cells() ? cells : pass_cells()) * 4;
  }
  /// The most that any problem takes.
  FSA_HOST_DEVICE constexpr int smem_bytes(SelectedShape) const { return counter_bytes(pass_cells()); }
};

}  // namespace fsa::block_index
