#pragma once
// Owns the parameters of the shared_attention kernels. Clean for host and NVRTC.
#include "range_params.h"

namespace fsa::shared_attention {

using Shape = SelectedShape;

// Names as in shared_blocks/params.h. Rows of K and V are numbered by cell: key i of a block is row cell * block_size + i.
struct Params {
  RangeParams range;        // k and v: [Tk, Hkv, ..]; total_rows = C * block_size; its tiles are cells
  const int* shared_steps;  // [Hkv, X, tile_tokens(g) * T] shared_blocks::Step
  const int* shared_count;  // [Hkv, X]
  int cells;                // C
  int tiles;                // X
};

}  // namespace fsa::shared_attention
