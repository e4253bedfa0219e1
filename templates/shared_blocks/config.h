#pragma once
// Owns the CUDA Config of shared_blocks and its shared-memory plan. Clean for host and NVRTC.
#include "selected_shape.h"
#include "shared_blocks/steps.h"

namespace fsa::shared_blocks {

struct Config {
  int warps = 4;         ///< per thread block, which takes one tile
  int min_queries = 11;  ///< queries of a tile that must share a block for them to attend it densely; 1: all blocks are dense

  /// Of a unit, or these stay out: the block comes to the tile once, but each unit multiplies for itself.
  FSA_HOST_DEVICE constexpr int min_unit_queries() const { return min_queries < 4 ? 1 : min_queries / 4; }
  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return 1; }
  /// Slots of block_indices that a tile has.
  FSA_HOST_DEVICE static constexpr int slots(const SelectedShape& s) { return TileShape::of(s).tokens() * s.topk; }
  /// Places of the hash table of a tile's blocks: more than it can have.
  FSA_HOST_DEVICE static constexpr int places(const SelectedShape& s) { return slots(s) * 5 / 4 + 1; }
  /// A cell and the members of each place, then a list of places.
  FSA_HOST_DEVICE static constexpr int smem_bytes(const SelectedShape& s) { return places(s) * (TileShape::of(s).step_words() - 2) * 4 + slots(s) * 4; }
};

}  // namespace fsa::shared_blocks
