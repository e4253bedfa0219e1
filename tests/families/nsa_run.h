#pragma once
// Owns the running of one variant of the whole operator in tests, and the verdict of its oracle.
#include <string>
#include <vector>

#include "runtime/oracle.h"
#include "tests/families/nsa_case.h"
#include "tests/support/lab.h"

namespace fsa::test {

/// Why a problem cannot be run in a variant on the target; empty when it can.
std::string reason_to_skip(const Json& problem, const std::string& variant, const Target& target);

/// Runs a variant's chain with default configs on the inputs and fills their outputs. False, with the test failed, where it did not run.
bool run_variant(Lab& lab, NsaInputs& inputs, const std::string& variant);

std::vector<TensorView> views_of(const std::vector<HostTensor>& tensors);

/// What the oracle says of the outputs that run_variant() left.
Result<OracleVerdict> judge(const NsaInputs& inputs);

}  // namespace fsa::test
