#pragma once
// Owns the problems that compressed attention and the sliding window are tested on.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codegen/base/json.h"
#include "templates/reference/random_range.h"
#include "tests/families/selected_case.h"
#include "tests/support/lab.h"

namespace fsa::test {

/// One problem of either family: how its inputs are made, laid out, and what is special about it.
struct RangeCase {
  std::string name;
  RangeProblem problem;
  reference::RangeInputOptions options = {};
  std::function<void(reference::RangeInputs&)> change = {};  ///< applied to the random inputs
  Layout layout = Layout::kPacked;
  std::int64_t sampled_rows = 0;  ///< compare that many rows; 0: all

  reference::RangeInputs make() const;
};

/// Parameters print as their names, not as bytes.
void PrintTo(const RangeCase& c, std::ostream* out);

/// Head dims, groups, windows, kernel sizes, element and output types.
std::vector<RangeCase> range_shape_cases();
/// Packed sequences: empty ones, single tokens, query suffixes, sequences too short to see a key.
std::vector<RangeCase> range_sequence_cases();
/// Values: huge logits, values out of f16's range and of mixed size, NaN and infinity where nobody looks.
std::vector<RangeCase> range_value_cases();
/// Strides.
std::vector<RangeCase> range_layout_cases();
/// The problems that many configs are tried on.
std::vector<RangeCase> range_config_cases();
/// Sizes of the public benchmark, for GPUs.
std::vector<RangeCase> range_large_cases();

/// The kernel of the problem's family, and the problem as it takes it.
const Kernel* range_kernel(const RangeProblem& problem, Backend backend);
Json range_json(const RangeProblem& problem);

/// Checks one config (completed from the default) on given inputs; see two_runs.h.
void expect_right(Lab& lab, const RangeProblem& problem, const reference::RangeOperands& inputs, const Json& config, Layout layout,
                  const reference::SelectedOutputs& expected, std::span<const reference::Row> rows = {});
/// The same on a case, against the oracle; skips, saying why, where the element type has no kernel on this backend.
void expect_right(Lab& lab, const RangeCase& description, const Json& config);

}  // namespace fsa::test
