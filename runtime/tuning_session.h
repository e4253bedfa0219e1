#pragma once
// Owns TuningSession: what a worker process must know to evaluate candidates as its parent would, as JSON.
#include <cstdint>
#include <string>

#include "codegen/base/json.h"
#include "fsa/options.h"

namespace fsa {

struct TuningSession {
  std::string device;
  EngineOptions options;  ///< without the log handler
  std::string op;         ///< Operator::name()
  Json problem;           ///< as Operator::from_public() gives it
  std::uint64_t seed = 1;  ///< of the inputs
  double overlap = 0;      ///< of their selections, as in reference::InputPattern

  Json to_json() const;
  static Result<TuningSession> from_json(const Json& json);
};

}  // namespace fsa
