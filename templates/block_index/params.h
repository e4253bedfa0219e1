#pragma once
// Owns the parameters of the block_index kernels. Clean for host, NVRTC and bitcode.
#include "selected_shape.h"

namespace fsa::block_index {

using Shape = SelectedShape;

// Names: B sequences, C = cells = Tk/block_size + B per kv head, S = segments of queries, E = Hkv*Tq*T entries at most.
// Cell of block j of sequence b: cu_k[b]/block_size + b + j. Entries of a cell are ascending in token.
struct Params {
  const int* block_indices;  // [Hkv, Tq, T], sequence-local; negative, future or past the end: no block
  const int* cu_q;           // [B+1]
  const int* cu_k;           // [B+1]
  int* segment_counts;       // scratch: entries of each cell within each segment, then their prefix sums; CUDA [Hkv, S, C], CPU [Hkv, C, S]
  int* cell_offset;          // [Hkv*C + 1] first entry of each cell
  int* entry_token;          // [E] packed query token of each entry, in cell order
  int* entry_position;       // [Hkv, Tq, T] entry of each slot, or -1
  int* work_items;           // [max_items, 4] {kv head, cell, first entry, entries <= item_tokens}
  int* work_count;           // [1] work items in use
  int total_q, total_k, num_seqs, heads_kv;
  int cells;               // C
  int segments;            // S
  int segment_tokens;      // queries per segment
  int item_tokens;         // longest work item, in tokens
  int chunk_segments = 0;  // CUDA only: segments whose entries of a cell make up one run of work items
};

}  // namespace fsa::block_index
