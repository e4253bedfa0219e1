#pragma once
// Owns the tensors of select_blocks, the same on every backend, and how they become parameters.
#include <span>
#include <vector>

#include "fsa/base/tensor_view.h"
#include "templates/select_blocks/params.h"
#include "templates/select_blocks/problem.h"

namespace fsa::select_blocks {

/// q, ck, lse, cu_q, cu_k, cu_c and block_indices: the order in which pack_params() takes them.
std::vector<TensorSpec> tensor_specs(const Problem& problem);
Params pack_params(const Problem& problem, std::span<const TensorView> tensors);

}  // namespace fsa::select_blocks
