#pragma once
// Owns the parameters of the select_blocks kernels. Clean for host, NVRTC and bitcode.
#include "select_blocks/shape.h"
#include "strides.h"

namespace fsa::select_blocks {

struct Params {
  const void* q;       // element [Tq, Hq, D]
  const void* ck;      // element [Tc, Hkv, D]
  const float* lse;    // [Hq, Tq], natural logarithm, of compressed attention; -inf: the row sees nothing
  const int* cu_q;     // [B+1]
  const int* cu_k;     // [B+1]
  const int* cu_c;     // [B+1]
  int* block_indices;  // [Hkv, Tq, T], sequence-local, ascending, -1 last
  RowStrides q_stride, ck_stride;
  int total_q, total_k, total_c, num_seqs, heads_kv;
  float scale;  // softmax scale
};

}  // namespace fsa::select_blocks
