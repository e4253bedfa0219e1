#pragma once
// Owns the parameters of the partial_reduce kernels. Clean for host, NVRTC and bitcode.
#include "selected_shape.h"
#include "strides.h"

namespace fsa::partial_reduce {

using Shape = SelectedShape;

// Names as in selected_block_major/params.h.
struct Params {
  const void* partial_o;      // partial element [E*g, Dv]
  const float* partial_lse;   // [E*g]
  const float* entry_scale;   // [E]
  const int* entry_position;  // [Hkv, Tq, T], -1 = no partial
  void* o;                    // element [Tq, Hq, Dv]
  float* lse;                 // [Hq, Tq]; 0 rows and -inf where a row has no partial with a finite LSE
  RowStrides o_stride;
  int total_q, heads_kv;
};

}  // namespace fsa::partial_reduce
