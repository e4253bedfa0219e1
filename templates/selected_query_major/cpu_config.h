#pragma once
// Owns the configuration of selected_query_major on a CPU and the scratch it takes. Clean for host compilers and bitcode.
#include "cpu/tile_layout.h"

namespace fsa::selected_query_major {

using Math = cpu::Math;

inline constexpr int kMaxTokens = 64;  ///< of a work item: a set of its tokens is one 64-bit word

struct CpuConfig {
  Math math;
  int mr;      ///< rows of the microkernel
  int nr;      ///< 16-lane vectors in each of its rows
  int tokens;  ///< neighbouring query tokens that walk the union of their blocks together
};

constexpr cpu::TileShape tile_shape(const SelectedShape& shape, const CpuConfig& c) { return {shape, c.math, c.mr, c.nr}; }

/// Offsets, in 32-bit words, of a worker's scratch. `blocks` bounds the blocks of any one sequence.
struct CpuScratch {
  long states;   ///< [tokens * group][state_floats]
  long members;  ///< [blocks] 64-bit sets: bit i = the item's token i selects the block
  long end;
};

constexpr CpuScratch cpu_scratch(const SelectedShape& shape, const CpuConfig& c, long blocks) {
  const cpu::TileShape t = tile_shape(shape, c);
  CpuScratch s{};
  s.states = cpu::tile_layout(t).end;
  s.members = s.states + static_cast<long>(c.tokens) * shape.group * cpu::state_floats(t);
  s.end = s.members + 2 * blocks;
  return s;
}

/// Bounds the blocks of any sequence among `total_k` keys.
constexpr long most_blocks(long total_k, int block_size) { return (total_k + block_size - 1) / block_size; }

}  // namespace fsa::selected_query_major
