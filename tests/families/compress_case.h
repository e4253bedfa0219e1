#pragma once
// Owns the problems that compression is tested on.
#include <functional>
#include <string>
#include <vector>

#include "templates/compress_kv/problem.h"
#include "templates/reference/compress_reference.h"
#include "tests/families/selected_case.h"

namespace fsa::test {

/// Inputs in host memory, owned.
struct CompressInputs {
  CompressKvProblem problem;
  std::vector<std::byte> x, w, pe;  ///< empty where the mode has none
  std::vector<std::int32_t> cu_k, cu_c;

  /// Views of the above, valid while this object is neither changed nor copied from.
  reference::CompressOperands operands() const;
  TensorView cu_c_view() const { return TensorView::contiguous(cu_c.data(), DType::kI32, {std::int64_t{problem.num_seqs} + 1}); }
};

/// One problem: how its inputs are made, laid out, and what is special about it.
struct CompressCase {
  std::string name;
  CompressKvProblem problem;  ///< num_seqs and totals come from `lens`
  std::vector<int> lens;      ///< tokens of each sequence
  int spare_rows = 0;         ///< rows of y past the compressed keys
  std::function<void(CompressInputs&)> change = {};
  Layout layout = Layout::kPacked;

  CompressInputs make() const;
};

/// Modes, element types, head dims, windows.
std::vector<CompressCase> compress_shape_cases();
/// Packed sequences: empty ones, shorter than a window, exactly one, many; more rows than compressed keys.
std::vector<CompressCase> compress_sequence_cases();
/// Values: large ones, a positional term beside large ones, NaN where no window is.
std::vector<CompressCase> compress_value_cases();
std::vector<CompressCase> compress_layout_cases();
/// The problems that many configs are tried on.
std::vector<CompressCase> compress_config_cases();

/// Parameters print as their names, not as bytes.
void PrintTo(const CompressCase& c, std::ostream* out);

}  // namespace fsa::test
