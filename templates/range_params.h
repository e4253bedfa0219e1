#pragma once
// Owns the parameters of attention over ranges of keys. Clean for host compilers, NVRTC and bitcode.
#include "range_shape.h"
#include "strides.h"
#include "tensor_map.h"

namespace fsa {

/// Every query sees one run of the rows of k and v that belong to its sequence; a family's Rule says which.
struct RangeParams {
  const void* q;       // element [Tq, Hq, D]
  const void* k;       // element [R, Hkv, D]
  const void* v;       // element [R, Hkv, Dv]
  const int* cu_q;     // [B+1]
  const int* cu_k;     // [B+1] tokens of each sequence: they give the queries their positions
  const int* cu_rows;  // [B+1] rows of k and v of each sequence: cu_k itself where a row is a token
  void* o;             // output element [Tq, Hq, Dv]
  float* lse;          // [Hq, Tq]
  float* o_unit;       // [Hq, Tq], where scaled: the power of two that a row of o is to be multiplied by
  RowStrides q_stride, k_stride, v_stride, o_stride;
  int total_q, total_k, total_rows, num_seqs, heads_kv;
  int kernel_size, stride;  // compressed attention alone
  int window;               // sliding window alone
  float scale;              // softmax scale
  // Of CUDA kernels that multiply by warpgroups alone. Workspace: V in panels of 64 columns, as shared memory holds them, laid out by
  // blocks of `keys` rows, ceil(R / keys) + 1 of them.
  unsigned char* v_tiles;  // [Hkv, panels, blocks * keys] lines of 128 bytes, f16
  int* v_fields;           // [Hkv, blocks]: exponent field of the power of two that a block of v was multiplied by
  int* next_tile;          // [1]: tiles of rows that thread blocks have taken, each beside its first
  TensorMap k_map;         // k by boxes of `keys` rows
};

/// Rows [begin, end).
struct KeyRange {
  int begin, end;
};

}  // namespace fsa
