#pragma once
// Owns the parameters of the shared_blocks kernel. Clean for host and NVRTC.
#include "range_params.h"
#include "selected_shape.h"

namespace fsa::shared_blocks {

using Shape = SelectedShape;

// Names as in block_index/params.h; X = ceil(Tq / TileShape::tokens()) tiles of queries per kv head.
struct Params {
  const int* block_indices;  // [Hkv, Tq, T]
  const int* cu_q;           // [B+1]
  const int* cu_k;           // [B+1]
  int* rest_indices;         // [Hkv, Tq, T]: block_indices without the slots that steps stand for, which are -1
  int* shared_steps;         // [Hkv, X, TileShape::tokens() * T, step words] steps of each tile, in turns, then ascending in cell
  int* shared_count;         // [Hkv, X] steps in use
  int* shared_next_tile;     // [1] 0, for RangeParams::next_tile of shared_reduce
  int total_q, num_seqs, heads_kv;
  int cells;  // C
  int tiles;  // X
  // V, and how it is laid out: v, v_stride, total_k, total_rows = C * block_size; v_tiles and v_fields are written. Nothing else is used.
  RangeParams values;
  int parts;   // of all heads, that are laid out
  int period;  // of as many thread blocks the first lays out, until all parts are
};

}  // namespace fsa::shared_blocks
