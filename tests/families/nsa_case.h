#pragma once
// Owns the problems that the whole operator is tested on.
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/host_tensor.h"
#include "codegen/kernel_facts.h"
#include "runtime/nsa_problem.h"

namespace fsa::test {

struct NsaCase {
  std::string name;
  NsaProblem problem;
  std::vector<int> lens_q = {}, lens_k = {};  ///< of the packed sequences; empty: equal lengths
  std::uint64_t seed = 11;                    ///< of the inputs
};

/// The problem with its totals, as the lengths of the case give them, and its inputs.
struct NsaInputs {
  Json problem;
  std::vector<TensorSpec> specs;
  std::vector<HostTensor> tensors;  ///< outputs are zeros
};
NsaInputs make_inputs(const NsaCase& description);

/// Shapes, compressions, sequences, short and long contexts, every type.
std::vector<NsaCase> nsa_cases();

}  // namespace fsa::test
