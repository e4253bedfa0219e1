#pragma once
// Owns the parameters of the block_layout kernel. Clean for host and NVRTC.
#include "range_params.h"

namespace fsa::block_layout {

using Shape = SelectedShape;

// Rows of V are numbered by cell: key i of a block is row cell * block_size + i. A cell is as in block_index/params.h.
struct Params {
  RangeParams range;  // v, cu_k; total_rows = C * block_size; v_tiles and v_fields are written; nothing else is used
  int cells;          // C
};

}  // namespace fsa::block_layout
