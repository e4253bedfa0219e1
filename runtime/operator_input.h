#pragma once
// Owns OperatorInput: an operator's problem with its inputs in host memory, read from a file; and the file of its outputs.
#include <map>
#include <string>
#include <vector>

#include "runtime/host_tensor.h"
#include "runtime/operator.h"

namespace fsa {

struct OperatorInput {
  const Operator* op = nullptr;
  Json problem;                      ///< as Operator::from_public() gives it
  std::vector<HostTensor> tensors;   ///< in the order of Operator::external_specs(); outputs are empty
};

/// Operators by the names that users type: "selected", "nsa", or what Operator::name() gives.
Result<const Operator*> operator_by_short_name(std::string_view name);

/// Reads an input file of the operator. Errors: those of its reader (selected_file.h, nsa_file.h).
Result<OperatorInput> read_operator_input(const Operator& op, const std::string& path);

/// Writes the outputs (bf16 and f16 as F32) under the names of the file interface, whole or not at all. `tensors` in the
/// order of Operator::external_specs(), in host memory.
Result<void> write_operator_output(const OperatorInput& input, std::span<const TensorView> tensors, const std::string& path,
                                   const std::map<std::string, std::string>& metadata);

}  // namespace fsa
