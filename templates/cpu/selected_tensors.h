#pragma once
// Owns the tensors of the selected-attention CPU kernels by name: dtype and shape, the same for whoever writes or reads them.
#include <algorithm>
#include <string_view>
#include <vector>

#include "codegen/kernel_facts.h"
#include "templates/dimension_check.h"
#include "templates/selected_problem.h"
#include "templates/strides.h"

namespace fsa::cpu {

inline DType dtype_of(Element element) { return dtype_of_element(element); }

inline RowStrides row_strides(const TensorView& view) { return {view.stride[0], view.stride[1]}; }

/// Longest work item of block_index, in tokens.
inline int item_tokens(const SelectedProblem& p) { return p.item_tokens > 0 ? p.item_tokens : 256; }

/// Bounds the work items: a cell's list is cut into full ones and one rest.
inline std::int64_t max_items(const SelectedProblem& p) {
  return p.entries() / item_tokens(p) + std::min<std::int64_t>(p.entries(), p.heads_kv * p.cells());
}

inline TensorSpec q_spec(const SelectedProblem& p) {
  return {"q", Access::kRead, dtype_of(p.element), {p.total_q, static_cast<std::int64_t>(p.heads_kv) * p.group, p.head_dim}};
}
inline TensorSpec k_spec(const SelectedProblem& p) { return {"k", Access::kRead, dtype_of(p.element), {p.total_k, p.heads_kv, p.head_dim}}; }
inline TensorSpec v_spec(const SelectedProblem& p) { return {"v", Access::kRead, dtype_of(p.element), {p.total_k, p.heads_kv, p.head_dim_v}}; }
inline TensorSpec block_indices_spec(const SelectedProblem& p) { return {"block_indices", Access::kRead, DType::kI32, {p.heads_kv, p.total_q, p.topk}}; }
inline TensorSpec cu_q_spec(const SelectedProblem& p) { return {"cu_q", Access::kRead, DType::kI32, {p.num_seqs + 1}}; }
inline TensorSpec cu_k_spec(const SelectedProblem& p) { return {"cu_k", Access::kRead, DType::kI32, {p.num_seqs + 1}}; }
inline TensorSpec o_spec(const SelectedProblem& p) {
  return {"o", Access::kWrite, dtype_of(p.element), {p.total_q, static_cast<std::int64_t>(p.heads_kv) * p.group, p.head_dim_v}};
}
inline TensorSpec lse_spec(const SelectedProblem& p) {
  return {"lse", Access::kWrite, DType::kF32, {static_cast<std::int64_t>(p.heads_kv) * p.group, p.total_q}};
}
inline TensorSpec cell_offset_spec(const SelectedProblem& p, Access access) { return {"cell_offset", access, DType::kI32, {p.heads_kv * p.cells() + 1}}; }
inline TensorSpec entry_token_spec(const SelectedProblem& p, Access access) { return {"entry_token", access, DType::kI32, {p.entries()}}; }
inline TensorSpec entry_position_spec(const SelectedProblem& p, Access access) {
  return {"entry_position", access, DType::kI32, {p.heads_kv, p.total_q, p.topk}};
}
inline TensorSpec work_items_spec(const SelectedProblem& p, Access access) { return {"work_items", access, DType::kI32, {max_items(p), 4}}; }
inline TensorSpec work_count_spec(Access access) { return {"work_count", access, DType::kI32, {1}}; }
inline TensorSpec partial_o_spec(const SelectedProblem& p, Access access) { return {"partial_o", access, DType::kF32, {p.entries() * p.group, p.head_dim_v}}; }
inline TensorSpec partial_lse_spec(const SelectedProblem& p, Access access) { return {"partial_lse", access, DType::kF32, {p.entries() * p.group}}; }
inline TensorSpec entry_scale_spec(const SelectedProblem& p, Access access) { return {"entry_scale", access, DType::kF32, {p.entries()}}; }

inline const int* ints(const TensorView& view) { return static_cast<const int*>(view.data); }
inline int* mutable_ints(const TensorView& view) { return static_cast<int*>(view.data); }
inline float* floats(const TensorView& view) { return static_cast<float*>(view.data); }

}  // namespace fsa::cpu
