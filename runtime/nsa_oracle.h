#pragma once
// Owns the oracle of the whole operator, and the random inputs it is tuned and tested with.
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codegen/kernel_facts.h"
#include "runtime/host_tensor.h"
#include "runtime/nsa_problem.h"
#include "runtime/oracle.h"
#include "templates/reference/random_parts.h"

namespace fsa {

/// `specs`: the operator's external tensors; `inputs` in their order.
Result<std::unique_ptr<Oracle>> make_nsa_oracle(const NsaProblem& problem, std::vector<TensorSpec> specs, std::span<const TensorView> inputs);

/// Normal deviates for q, k, v and what compresses them, gates through the sigmoid, sequences of equal length whose last
/// tokens are the queries. Outputs are left empty.
std::vector<HostTensor> random_nsa_inputs(const NsaProblem& problem, std::span<const TensorSpec> specs, const reference::InputPattern& pattern);

}  // namespace fsa
