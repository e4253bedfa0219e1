#pragma once
// Owns the shape and the parameters of the partial_reduce kernels. Clean for host, NVRTC and bitcode.
#include "selected_shape.h"
#include "strides.h"

namespace fsa::partial_reduce {

/// The dimensions kernels are specialised on; every member is one 32-bit word.
struct Shape {
  Element output;  ///< of o, or of out
  int head_dim_v;  ///< Dv: 16..256, a multiple of 8
  int group;       ///< g = Hq / Hkv
  int topk;        ///< T
  int gated;       ///< 1: the gated sum of all branches is written in the place of o
  int scaled;      ///< 1, where gated (CUDA only): o_cmp and o_win are f16, with a power of two per row
  Element gates;   ///< where gated
};

// Names as in selected_block_major/params.h.
struct Params {
  const void* partial_o;      // partial element [E*g, Dv]
  const float* partial_lse;   // [E*g], or [E*g, 2] where partial is i12
  const float* entry_scale;   // [E], or none
  const int* entry_position;  // [Hkv, Tq, T], -1 = no partial
  const void* o_cmp;          // [Tq, Hq, Dv], where gated: f32, or f16 where scaled
  const void* o_win;          // the same
  const float* cmp_unit;      // [Hq, Tq], where scaled: what a row of o_cmp is to be multiplied by
  const float* win_unit;      // the same of o_win
  const void* gates;          // [Tq, Hq, 3], where gated; the head stride may be 0
  void* o;                    // output element [Tq, Hq, Dv]: o, or out where gated
  float* lse;                 // [Hq, Tq]; 0 rows and -inf where a row has no partial with a finite LSE
  RowStrides cmp_stride, win_stride, gates_stride, o_stride;
  int total_q, heads_kv;
};

}  // namespace fsa::partial_reduce
