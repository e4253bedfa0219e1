#pragma once
// Owns the comparison with PyTorch: runs tools/bench/compare_torch.py for a problem and reads what it measured.
#include <string>
#include <vector>

#include "codegen/base/json.h"
#include "fsa/base/result.h"
#include "runtime/operator.h"

namespace fsa::cli {

struct TorchRequest {
  std::string script;  ///< path of compare_torch.py
  std::string device;  ///< "cuda:0"
  int rounds = 20;
};

/// compare_torch.py of the checkout that `program` was built in. kNotFound where that is none.
Result<std::string> find_torch_script(const std::string& program);

/// The command line that measures `problem`: this library's operator and dense attention by PyTorch, in one process.
/// kUnsupported: problems that PyTorch's kernels do not take as they are.
Result<std::vector<std::string>> torch_command(const TorchRequest& request, const Operator& op, const Json& problem);

/// Runs it. Its JSON: {"torch", "device", ..., "samples": [{"name", "label", "results": [{"seqlen", "median_ms", ...}]}]}.
/// kUnavailable: no python3 or no torch.
Result<Json> measure_beside_torch(const TorchRequest& request, const Operator& op, const Json& problem);

}  // namespace fsa::cli
