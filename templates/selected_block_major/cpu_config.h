#pragma once
// Owns the configuration of selected_block_major on a CPU and the scratch it takes. Clean for host compilers and bitcode.
#include "cpu/tile_layout.h"

namespace fsa::selected_block_major {

using Math = cpu::Math;

/// Where the contributions of a row's blocks meet.
enum class Merge : int {
  kInPlace,   ///< in the states of a chunk of queries, held by one worker: no partial outputs, no further kernel
  kPartials,  ///< in partial_reduce, from partial outputs of block_index's work items: parallel even with few queries
};

struct CpuConfig {
  Merge merge;
  Math math;
  int mr;     ///< rows of the microkernel
  int nr;     ///< 16-lane vectors in each of its rows
  int chunk;  ///< kInPlace: query tokens whose states one work item holds
};

constexpr cpu::TileShape tile_shape(const SelectedShape& shape, const CpuConfig& c) { return {shape, c.math, c.mr, c.nr}; }

/// Offsets, in 32-bit words, of a worker's scratch. `blocks` bounds the blocks of any one sequence.
struct CpuScratch {
  long states;   ///< kInPlace: [chunk * group][state_floats]; kPartials: [kTileRows][state_floats]
  long offsets;  ///< kInPlace: [blocks + 1] first entry of each block's list
  long latest;   ///< kInPlace: [blocks] token that was listed last, to drop repeated blocks
  long tokens;   ///< kInPlace: [chunk * topk] the lists, block by block
  long end;
};

constexpr CpuScratch cpu_scratch(const SelectedShape& shape, const CpuConfig& c, long blocks) {
  const cpu::TileShape t = tile_shape(shape, c);
  const bool in_place = c.merge == Merge::kInPlace;
  CpuScratch s{};
  s.states = cpu::tile_layout(t).end;
  s.offsets = s.states + (in_place ? static_cast<long>(c.chunk) * shape.group : cpu::kTileRows) * cpu::state_floats(t);
  s.latest = s.offsets + (in_place ? blocks + 1 : 0);
  s.tokens = s.latest + (in_place ? blocks : 0);
  s.end = s.tokens + (in_place ? static_cast<long>(c.chunk) * shape.topk : 0);
  return s;
}

/// Bounds the blocks of any sequence among `total_k` keys.
constexpr long most_blocks(long total_k, int block_size) { return (total_k + block_size - 1) / block_size; }

}  // namespace fsa::selected_block_major
