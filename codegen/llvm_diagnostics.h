#pragma once
// Owns what LLVM says while it compiles: errors, warnings, and the remarks that count spills. Included by LLVM units only.
#include <llvm/IR/DiagnosticHandler.h>

#include <memory>
#include <string>
#include <vector>

namespace fsa {

struct LlvmDiagnostics {
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
  int spills = 0;       ///< spilled and reloaded registers, folded ones included, over all functions
  int stack_bytes = 0;  ///< the largest frame
};

/// A handler that collects into `diagnostics` and prints nothing. `diagnostics` must outlive the LLVM context.
std::unique_ptr<llvm::DiagnosticHandler> make_diagnostic_handler(LlvmDiagnostics& diagnostics);

}  // namespace fsa
