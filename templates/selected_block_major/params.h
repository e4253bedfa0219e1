#pragma once
// Owns the parameters of the selected_block_major kernels. Clean for host, NVRTC and bitcode.
#include "selected_shape.h"
#include "strides.h"

namespace fsa::selected_block_major {

using Shape = SelectedShape;

// Names as in block_index/params.h; g = group, element = the shape's element type. An entry has g rows, head by head.
struct Params {
  const void* q;             // element [Tq, Hq, D]
  const void* k;             // element [Tk, Hkv, D]
  const void* v;             // element [Tk, Hkv, Dv]
  const int* block_indices;  // [Hkv, Tq, T]; CPU in-place merge only
  const int* cu_q;           // [B+1]
  const int* cu_k;           // [B+1]
  const int* cell_offset;    // [Hkv*C + 1]
  const int* entry_token;    // [E]
  const int* work_items;     // [max_items, 4] {kv head, cell, first entry, entries}
  const int* work_count;     // [1]
  void* partial_o;           // partial element [E*g, Dv]: each row's softmax-normalised output over one block, times entry_scale
                             // i12: an entry's g rows in three pieces (cuda/packed12.cuh)
  float* partial_lse;        // [E*g] natural log of the row's sum of exponentials; -inf, or far less than any other's, when it
                             // sees no key of the block. i12: [E*g, 2], then the step of the row's integers, times kUnits12 /
                             // kHeadroom12: whoever reads one reads both
  float* entry_scale;        // [E] power of two that keeps partial_o in range (1 unless |v| is near the type's limit). i12: none
  void* o;                   // output element [Tq, Hq, Dv]; CPU in-place merge only
  float* lse;                // [Hq, Tq]; CPU in-place merge only
  RowStrides q_stride, k_stride, v_stride, o_stride;
  int total_q, total_k, num_seqs, heads_kv;
  int cells;    // C
  float scale;  // softmax scale
};

}  // namespace fsa::selected_block_major
