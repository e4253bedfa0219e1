#pragma once
// Owns the sizes of the block-major index on CUDA, which its builder and its readers must agree on. Host only.
#include <algorithm>
#include <cstdint>

#include "templates/block_index/config.h"
#include "templates/cuda/host_kernel.h"

namespace fsa::block_index {

/// Tokens per work item where the planner has set none.
constexpr int kDefaultItemTokens = 256;

inline int item_tokens(const SelectedProblem& p) { return p.item_tokens > 0 ? p.item_tokens : kDefaultItemTokens; }

inline std::int64_t power_of_two_above(std::int64_t x) {
  std::int64_t power = 1;
  while (power < x) power *= 2;
  return power;
}

/// Queries whose work items run together, a power of two: their Q rows of one kv head, `mib` MiB of them, stay in L2 (of the 40 to 60 that
/// data-centre GPUs have), unless items would then fall under 512 rows on average and load K and V too often.
inline std::int64_t chunk_tokens(const SelectedProblem& p, int mib) {
  const std::int64_t cached = (std::int64_t{mib} << 20) / (std::int64_t{2} * p.group * p.head_dim);
  const std::int64_t filled = 512 * p.cells() / (std::int64_t{p.topk} * p.group);
  return power_of_two_above(std::max<std::int64_t>({cached, filled, 1024}));
}

/// Upper bound of the work items: every run of a (kv head, chunk, cell) adds at most one that is not full.
inline std::int64_t max_work_items(const SelectedProblem& p) {
  const std::int64_t runs =
      p.heads_kv * p.cells() * std::max<std::int64_t>(1, cuda::ceil_div64(p.total_q, chunk_tokens(p, Config::kLeastChunkMib)));
  return p.entries() / item_tokens(p) + std::min(p.entries(), runs);
}

inline TensorSpec cell_offset_tensor(const SelectedProblem& p, Access access) {
  return {"cell_offset", access, DType::kI32, {p.heads_kv * p.cells() + 1}};
}
inline TensorSpec entry_token_tensor(const SelectedProblem& p, Access access) {
  return {"entry_token", access, DType::kI32, {p.entries()}};
}
inline TensorSpec entry_position_tensor(const SelectedProblem& p, Access access) {
  return {"entry_position", access, DType::kI32, {p.heads_kv, p.total_q, p.topk}};
}
inline TensorSpec work_items_tensor(const SelectedProblem& p, Access access) {
  return {"work_items", access, DType::kI32, {max_work_items(p), 4}};
}
inline TensorSpec work_count_tensor(Access access) { return {"work_count", access, DType::kI32, {1}}; }

}  // namespace fsa::block_index
