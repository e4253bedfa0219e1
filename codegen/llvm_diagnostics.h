#pragma once
// Owns what LLVM says while it compiles: errors, warnings, and the remarks that state stack frames. Included by LLVM units only.
#include <llvm/IR/DiagnosticHandler.h>

#include <memory>
#include <string>
#include <vector>

namespace fsa {

struct LlvmDiagnostics {
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
  int stack_bytes = 0;  ///< the largest frame
};

/// A handler that collects into `diagnostics` and prints nothing. `diagnostics` must outlive the LLVM context.
std::unique_ptr<llvm::DiagnosticHandler> make_diagnostic_handler(LlvmDiagnostics& diagnostics);

}  // namespace fsa
