#pragma once
// Owns the configuration of attention over ranges on a CPU and the scratch it takes. Clean for host compilers and bitcode.
#include "cpu/tile_layout.h"
#include "range_shape.h"

namespace fsa::cpu {

struct RangeConfig {
  Math math;
  int mr;      ///< rows of the microkernel
  int nr;      ///< 16-lane vectors in each of its rows
  int keys;    ///< keys that are packed and attended at once: a multiple of 16
  int tokens;  ///< query tokens whose states one work item holds
};

/// A block of keys is to the tile what a selection block is.
constexpr TileShape range_tile(const RangeShape& s, const RangeConfig& c) {
  return {{.element = s.element, .head_dim = s.head_dim, .head_dim_v = s.head_dim_v, .group = s.group, .block_size = c.keys, .topk = 1},
          c.math,
          c.mr,
          c.nr};
}

/// Offsets, in 32-bit words, of a worker's scratch.
struct RangeScratch {
  long states;  ///< [tokens * group][state_floats]
  long ranges;  ///< [tokens] rows of K and V that each token sees
  long end;
};

constexpr RangeScratch range_scratch(const RangeShape& shape, const RangeConfig& c) {
  const TileShape t = range_tile(shape, c);
  RangeScratch s{};
  s.states = tile_layout(t).end;
  s.ranges = s.states + static_cast<long>(c.tokens) * shape.group * state_floats(t);
  s.end = s.ranges + 2L * c.tokens;
  return s;
}

}  // namespace fsa::cpu
