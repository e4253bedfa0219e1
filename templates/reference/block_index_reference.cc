#include "templates/reference/block_index_reference.h"

#include <algorithm>
#include <numeric>

namespace fsa::reference {
namespace {

/// One slot of block_indices that selects a visible block.
struct Selected {
  std::int64_t cell;  // counted over all kv heads
  std::int64_t slot;  // flat position in block_indices
};

std::vector<Selected> selected_slots(const SelectedOperands& x, std::int64_t cells) {
  const auto* blocks = static_cast<const std::int32_t*>(x.block_indices.data);
  const auto* cu_q = static_cast<const std::int32_t*>(x.cu_q.data);
  const auto* cu_k = static_cast<const std::int32_t*>(x.cu_k.data);
  const std::int64_t total_q = x.q.shape[0], topk = x.block_indices.shape[2];
  std::vector<Selected> found;
  for (std::int64_t head = 0; head < x.k.shape[1]; ++head)
    for (std::int64_t b = 0; b + 1 < x.cu_q.shape[0]; ++b)
      for (std::int64_t token = cu_q[b]; token < cu_q[b + 1]; ++token) {
        const std::int64_t position = cu_k[b + 1] - cu_k[b] - (cu_q[b + 1] - token);
        for (std::int64_t slot = (head * total_q + token) * topk; slot < (head * total_q + token + 1) * topk; ++slot)
          if (blocks[slot] >= 0 && position >= 0 && blocks[slot] <= position / x.block_size)
            found.push_back({.cell = head * cells + cu_k[b] / x.block_size + b + blocks[slot], .slot = slot});
      }
  return found;
}

}  // namespace

Result<BlockLists> invert_blocks(const SelectedOperands& operands) {
  FSA_RETURN_IF_ERROR(check_operands(operands));
  const std::int64_t heads_kv = operands.k.shape[1], total_q = operands.q.shape[0], topk = operands.block_indices.shape[2];
  BlockLists lists{.cells = operands.k.shape[0] / operands.block_size + operands.cu_k.shape[0] - 1,
                   .cell_offset = {},
                   .entry_token = {},
                   .entry_position = {}};
  auto slots = selected_slots(operands, lists.cells);
  // Slots were found tokens ascending within a kv head: a stable sort by cell keeps them so within a cell.
  std::stable_sort(slots.begin(), slots.end(), [](const Selected& a, const Selected& b) { return a.cell < b.cell; });
  lists.cell_offset.assign(heads_kv * lists.cells + 1, 0);
  lists.entry_position.assign(heads_kv * total_q * topk, -1);
  for (std::size_t entry = 0; entry < slots.size(); ++entry) {
    ++lists.cell_offset[slots[entry].cell + 1];
    lists.entry_token.push_back(static_cast<int>(slots[entry].slot / topk % total_q));
    lists.entry_position[slots[entry].slot] = static_cast<int>(entry);
  }
  std::partial_sum(lists.cell_offset.begin(), lists.cell_offset.end(), lists.cell_offset.begin());
  return lists;
}

}  // namespace fsa::reference
