#pragma once
// Owns Oracle: the float64 reference's verdict on the outputs of one problem with given inputs.
#include <cstdint>
#include <span>
#include <string>

#include "codegen/base/json.h"
#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"

namespace fsa {

/// How far outputs are from the oracle's.
struct OracleVerdict {
  bool right = false;          ///< every measure is within its limit
  double error = 0;            ///< of the main output, ||out - ref|| / ||ref||
  double tolerance = 0;        ///< of that error
  std::string text;            ///< every measure, for people
  Json measures;               ///< the same by name
  std::int64_t rows = 0;       ///< (query, head) rows that were compared
  std::int64_t all_rows = 0;   ///< of the problem
};

class Oracle {
 public:
  virtual ~Oracle() = default;
  /// `tensors` in the order of Operator::external_specs(), all in host memory; the inputs are those the oracle was made for.
  /// Large problems are compared in sampled rows. What the reference computes is kept for the next call.
  virtual Result<OracleVerdict> compare(std::span<const TensorView> tensors) = 0;
};

}  // namespace fsa
