#pragma once
// Owns the reference of block_index: block_indices inverted into lists block -> query tokens.
#include <cstdint>
#include <vector>

#include "fsa/base/result.h"
#include "templates/reference/selected_reference.h"

namespace fsa::reference {

/// The inversion. C = Tk / block_size + B cells per kv head; block j of sequence b is cell cu_k[b] / block_size + b + j.
struct BlockLists {
  std::int64_t cells = 0;           ///< C
  std::vector<int> cell_offset;     ///< [Hkv*C + 1] first entry of each cell
  std::vector<int> entry_token;     ///< [entries] packed query token, cell by cell, tokens ascending
  std::vector<int> entry_position;  ///< [Hkv, Tq, T] entry of each slot, or -1 where the slot selects no visible block
};

/// Inverts; distinct block numbers are assumed, as everywhere. Errors: those of check_operands.
Result<BlockLists> invert_blocks(const SelectedOperands& operands);

}  // namespace fsa::reference
