#pragma once
// Owns the steps of a tile: the blocks that many queries of it share, as their finder writes and attention reads them. Clean for host
// and NVRTC.
#include "cuda/device.h"

namespace fsa::shared_blocks {

/// A unit is what a warpgroup multiplies at once: the rows (query, head) of whole queries, 64 at most.
constexpr int kUnitRows = 64;
FSA_HOST_DEVICE constexpr int unit_tokens(int group) { return kUnitRows / group; }

/// A tile: as many units as a multiprocessor has registers and shared memory for.
struct TileShape {
  int units, group;

  /// Of a problem or a shape.
  template <class Problem>
  FSA_HOST_DEVICE static constexpr TileShape of(const Problem& p) {
    return {.units = p.head_dim <= 64 && p.head_dim_v <= 64 ? 3 : 2, .group = p.group};
  }
  FSA_HOST_DEVICE constexpr int tokens() const { return units * unit_tokens(group); }
  /// Words of a step: the cell of a block that units attend densely, as in block_index; the row of k that it begins at; its keys that the
  /// tile's members see, the first ones; then of each unit its queries that chose it, a bit each in two words, none where they are too few.
  FSA_HOST_DEVICE constexpr int step_words() const { return 3 + 2 * units; }
  /// Where steps of the units in `mask`, a bit each, stand among a tile's: those of a unit one after the other, as far as may be, for a
  /// unit that leaves out a step between two pays for it. Two units: the first alone, both, the second alone.
  FSA_HOST_DEVICE static constexpr int turn(unsigned mask) {
    constexpr int kTurns[8] = {0, 0, 6, 1, 5, 3, 4, 2};
    return kTurns[mask];
  }
};

}  // namespace fsa::shared_blocks
