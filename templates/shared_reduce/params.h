#pragma once
// Owns the shape and the parameters of the shared_reduce kernel. Clean for host and NVRTC.
#include "partial_reduce/params.h"
#include "range_params.h"

namespace fsa::shared_reduce {

/// The dimensions kernels are specialised on, those of partial_reduce::Shape among them; every member is one 32-bit word, and none a
/// base's: generated source names each.
struct Shape {
  Element element;  ///< of q, k and v
  Element output;   ///< of o, or of out
  int head_dim;     ///< D of q and k: 16..256, a multiple of 8
  int head_dim_v;   ///< Dv of v and o: 16..256, a multiple of 8
  int group;        ///< g = Hq / Hkv, 1..64
  int block_size;   ///< keys per selection block
  int topk;         ///< T
  int gated;        ///< as in partial_reduce
  int scaled;       ///< as in partial_reduce
  Element gates;    ///< where gated
};

// Names as in shared_blocks/params.h.
struct Params {
  RangeParams range;              // rows of V as shared_blocks has laid them out, of K by k_map; no outputs
  partial_reduce::Params merged;  // the partials of the blocks that are not shared, and the outputs
  const int* shared_steps;        // [Hkv, X, TileShape::tokens() * T, step words]
  const int* shared_count;        // [Hkv, X]
};

}  // namespace fsa::shared_reduce
