#pragma once
// Owns the CUDA Config of shared_blocks and its shared-memory plan. Clean for host and NVRTC.
#include "selected_shape.h"
#include "shared_blocks/steps.h"
#include "shared_blocks/value_layout.h"

namespace fsa::shared_blocks {

struct Config {
  int warps = 4;         ///< per thread block, which takes one tile, or lays out one part of V
  int min_queries = 11;  ///< queries of a tile that must share a block for them to attend it densely; 1: all blocks are dense

  /// Of a unit, or these stay out: the block comes to the tile once, but each unit multiplies for itself.
  FSA_HOST_DEVICE constexpr int min_unit_queries() const { return min_queries < 4 ? 1 : min_queries / 4; }
  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  /// Finding steps waits for memory again and again: warps hide it, of 64 registers a lane.
  FSA_HOST_DEVICE constexpr int min_blocks() const { return warps < 32 ? 32 / warps : 1; }
  /// Slots of block_indices that a tile has.
  FSA_HOST_DEVICE static constexpr int slots(const SelectedShape& s) { return TileShape::of(s).tokens() * s.topk; }
  /// Places of the hash table of a tile's blocks: more than it can have.
  FSA_HOST_DEVICE static constexpr int places(const SelectedShape& s) { return slots(s) * 5 / 4 + 1; }
  static constexpr int kMostPlaces = 65535;  // 16 bits number them
  /// A cell and the members of each place; the places that are kept, with their steps' turns; the place of each slot, 16 bits.
  FSA_HOST_DEVICE static constexpr int smem_bytes(const SelectedShape& s) {
    return places(s) * (TileShape::of(s).step_words() - 2) * 4 + slots(s) * (4 + 2);
  }
};

}  // namespace fsa::shared_blocks
