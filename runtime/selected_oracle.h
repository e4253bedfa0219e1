#pragma once
// Owns the oracle of the selected-attention operator.
#include <memory>
#include <span>

#include "runtime/oracle.h"
#include "templates/selected_problem.h"

namespace fsa {

/// `inputs` in the order of the operator's external tensors: q, k, v, block_indices, cu_q, cu_k.
Result<std::unique_ptr<Oracle>> make_selected_oracle(const SelectedProblem& problem, std::span<const TensorView> inputs);

}  // namespace fsa
