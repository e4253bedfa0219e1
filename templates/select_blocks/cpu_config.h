#pragma once
// Owns the configuration of select_blocks on a CPU and the scratch it takes. Clean for host compilers and bitcode.
#include "cpu/tile_layout.h"
#include "select_blocks/shape.h"

namespace fsa::select_blocks {

using Math = cpu::Math;

struct CpuConfig {
  Math math;
  int mr;      ///< rows of the microkernel
  int nr;      ///< 16-lane vectors in each of its rows
  int tokens;  ///< neighbouring query tokens that share a pass over the compressed keys
  int keys;    ///< compressed keys that are packed at a time
};

/// The packing and the microkernel take the compressed keys for blocks of `keys`; there are no values.
constexpr cpu::TileShape tile_shape(const Shape& s, const CpuConfig& c) {
  return {{.element = s.element, .head_dim = s.head_dim, .head_dim_v = s.head_dim, .group = s.group, .block_size = c.keys, .topk = s.topk},
          c.math,
          c.mr,
          c.nr};
}

constexpr int query_stride(const cpu::TileShape& t) { return cpu::round_up(cpu::key_words(t), cpu::kLanes); }
/// Floats from one token's sums to the next: the halo, rounded up so that a tile's sums are aligned, then the tile.
constexpr int sums_before(const Shape& s, const CpuConfig& c) { return cpu::round_up(s.halo(c.keys), cpu::kLanes); }
constexpr int sums_stride(const Shape& s, const CpuConfig& c) { return sums_before(s, c) + c.keys; }

/// Offsets, in 32-bit words, of a worker's scratch; vectors stay aligned.
struct CpuScratch {
  long keys;     ///< [panels][head_dim words, up to 16 more][width * 16]: K^T of the tile
  long queries;  ///< [tokens * group, and a microkernel's rows more][query_stride]
  long sums;     ///< [tokens][sums_stride]
  long best;     ///< [tokens][T][2]: key and number of the best blocks so far, as a heap
  long counts;   ///< [tokens]: entries of each heap
  long end;
};

constexpr CpuScratch cpu_scratch(const Shape& shape, const CpuConfig& c) {
  const cpu::TileShape t = tile_shape(shape, c);
  CpuScratch s{};
  s.queries = static_cast<long>(c.keys) * query_stride(t);
  s.sums = s.queries + (static_cast<long>(c.tokens) * shape.group + cpu::kMaxRows) * query_stride(t);
  s.best = s.sums + static_cast<long>(c.tokens) * sums_stride(shape, c);
  s.counts = s.best + static_cast<long>(c.tokens) * shape.topk * 2;
  s.end = s.counts + c.tokens;
  return s;
}

}  // namespace fsa::select_blocks
