#pragma once
// Owns the checks of a caller's tensors against what a plan was made for.
#include <span>
#include <string_view>

#include "codegen/kernel_facts.h"
#include "fsa/selected_attention.h"

namespace fsa {

/// dtype, rank, shape, strides, alignment and null pointers of one tensor; packed i32 and f32 tensors must be contiguous.
Result<void> check_tensor(const TensorSpec& spec, const TensorView& tensor);

/// Size, alignment and null pointer of a workspace that must hold `needed` bytes.
Result<void> check_workspace(std::size_t needed, Workspace workspace);

/// Host copies of cu_q and cu_k: start at 0, never decrease, end at the totals, len_q <= len_k in every sequence.
Result<void> check_cu_seqlens(std::span<const int> cu_q, std::span<const int> cu_k, std::int64_t total_q, std::int64_t total_k);

}  // namespace fsa
