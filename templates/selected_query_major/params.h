#pragma once
// Owns the parameters of the selected_query_major kernels. Clean for host, NVRTC and bitcode.
#include "selected_shape.h"
#include "strides.h"

namespace fsa::selected_query_major {

using Shape = SelectedShape;

struct Params {
  const void* q;             // element [Tq, Hq, D]
  const void* k;             // element [Tk, Hkv, D]
  const void* v;             // element [Tk, Hkv, Dv]
  const int* block_indices;  // [Hkv, Tq, T], sequence-local; negative, future or past the end: no block
  const int* cu_q;           // [B+1]
  const int* cu_k;           // [B+1]
  void* o;                   // output element [Tq, Hq, Dv]
  float* lse;                // [Hq, Tq]
  RowStrides q_stride, k_stride, v_stride, o_stride;
  int total_q, total_k, num_seqs, heads_kv;
  float scale;               // softmax scale
};

}  // namespace fsa::selected_query_major
