#pragma once
// Owns the export of packs: the chosen or default kernels of problems, compiled for named targets without their devices.
#include <string>
#include <vector>

#include "fsa/options.h"
#include "runtime/operator.h"

namespace fsa {

/// An operator and a problem as its from_public() gives it.
struct ExportedProblem {
  const Operator* op = nullptr;
  Json problem;
};

struct ExportRequest {
  std::vector<std::string> targets;                ///< "sm_80", "sm_90a", "x86-64-v4", ...
  std::vector<ExportedProblem> problems;           ///< sizes matter for the choice of configs only, not for the kernels
  std::string path;                                ///< of the pack to write
};

/// One choice that went into a pack.
struct ExportedChoice {
  std::string target;
  std::string variant;
  std::string source;  ///< "tuned", "nearest" or "default"
  int kernels = 0;     ///< of the chain
};

struct ExportSummary {
  std::vector<ExportedChoice> choices;
  int kernels = 0;      ///< distinct binaries in the pack
  int compiled = 0;     ///< of these, compiled now
  std::size_t bytes = 0;  ///< of all binaries
};

/// Compiles what is not in the artifact store yet and writes the pack, whole or not at all. Choices come from the tuning
/// cache (any device of the target's architecture) and else from the defaults.
Result<ExportSummary> export_pack(const ExportRequest& request, const EngineOptions& options);

}  // namespace fsa
