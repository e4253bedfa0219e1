#pragma once
// Owns the random inputs that operators over packed sequences are tuned and tested with, made from their tensors' specs.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "codegen/kernel_facts.h"
#include "runtime/host_tensor.h"
#include "templates/reference/random_parts.h"

namespace fsa {

/// Rows of all sequences together.
struct PackedSequences {
  int num_seqs = 1;
  std::int64_t total_q = 0;
  std::int64_t total_k = 0;
};

/// In the order of `specs`, outputs left empty: cu_q and cu_k hold the sequences' prefix sums, the rest normal deviates whose
/// standard deviation `deviation` gives by the tensor's name.
std::vector<HostTensor> random_tensors(std::span<const TensorSpec> specs, const PackedSequences& sequences,
                                       const reference::InputPattern& pattern, const std::function<double(const std::string& name)>& deviation);

}  // namespace fsa
