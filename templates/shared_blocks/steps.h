#pragma once
// Owns the steps of a tile: the blocks that many queries of it share, as their finder writes and attention reads them. Clean for host
// and NVRTC.
#include "cuda/device.h"

namespace fsa::shared_blocks {

/// A unit is what a warpgroup multiplies at once: the rows (query, head) of whole queries, 64 at most. A tile is two units.
constexpr int kUnitRows = 64, kUnits = 2;
FSA_HOST_DEVICE constexpr int unit_tokens(int group) { return kUnitRows / group; }
FSA_HOST_DEVICE constexpr int tile_tokens(int group) { return kUnits * unit_tokens(group); }

/// A block that units of a tile attend densely.
struct Step {
  int cell;                     ///< of the block, as in block_index
  int row;                      ///< of k, that the block begins at
  int keys;                     ///< of the block that the tile's members see: the first ones
  unsigned members[kUnits][2];  ///< the unit's queries that chose it, a bit each; none where they are too few
};
constexpr int kStepWords = 3 + 2 * kUnits;

}  // namespace fsa::shared_blocks
