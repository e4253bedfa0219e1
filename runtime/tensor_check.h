#pragma once
// Owns the checks of a caller's tensors against what a plan was made for.
#include <span>
#include <string_view>

#include "codegen/kernel_facts.h"
#include "fsa/plan.h"

namespace fsa {

/// dtype, rank, shape, strides, alignment and null pointers of one tensor; what strides are free is stated by the layout.
Result<void> check_tensor(const TensorSpec& spec, const TensorView& tensor);

/// Size, alignment and null pointer of a workspace that must hold `needed` bytes.
Result<void> check_workspace(std::size_t needed, Workspace workspace);

/// A host copy of cu_k: starts at 0, never decreases, ends at total_k.
Result<void> check_cu_k(std::span<const int> cu_k, std::int64_t total_k);

/// Host copies of cu_q and cu_k: start at 0, never decrease, end at the totals, len_q <= len_k in every sequence.
Result<void> check_cu_seqlens(std::span<const int> cu_q, std::span<const int> cu_k, std::int64_t total_q, std::int64_t total_k);

}  // namespace fsa
