#pragma once
// Owns the shape and the parameters of the gated_combine kernels. Clean for host, NVRTC and bitcode.
#include "selected_shape.h"
#include "strides.h"

namespace fsa::gated_combine {

/// The dimensions kernels are specialised on; every member is one 32-bit word.
struct Shape {
  Element element;  ///< of out
  Element gates;
  int head_dim_v;  ///< Dv: 16..256, a multiple of 8
};

struct Params {
  const float* o_cmp;  // [Tq, Hq, Dv]
  const float* o_sel;  // [Tq, Hq, Dv]
  const float* o_win;  // [Tq, Hq, Dv]
  const void* gates;   // [Tq, Hq, 3] for compressed, selected, window; the head stride may be 0
  void* out;           // element [Tq, Hq, Dv]
  RowStrides cmp_stride, sel_stride, win_stride, gates_stride, out_stride;
  int total_q, heads_q;
};

}  // namespace fsa::gated_combine
