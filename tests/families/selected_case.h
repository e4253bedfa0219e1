#pragma once
// Owns the problems that selected attention is tested on.
#include <functional>
#include <string>
#include <vector>

#include "templates/reference/random_problem.h"

namespace fsa::test {

/// How q, k, v and o lie in memory.
enum class Layout {
  kPacked,     // [tokens, heads, dim]
  kPadded,     // gaps after each head and each token
  kHeadMajor,  // [heads, tokens, dim]
  kFar,        // the last token past 2^31 elements from the first
};

/// One problem: how its inputs are made, laid out, and what is special about it.
struct SelectedCase {
  std::string name;
  SelectedProblem problem;
  reference::InputOptions options = {};
  std::function<void(reference::SelectedInputs&)> change = {};  ///< applied to the random inputs
  Layout layout = Layout::kPacked;
  std::int64_t sampled_rows = 0;  ///< compare that many rows; 0: all
  bool merges = true;             ///< false: rows may all be of one block, or of one above all others: partial outputs as they are

  reference::SelectedInputs make() const;
};

/// Head dims, groups, block sizes, topk and element types.
std::vector<SelectedCase> shape_cases();
/// Packed sequences: empty ones, single tokens, query suffixes, nothing at all.
std::vector<SelectedCase> sequence_cases();
/// Selections: rows without blocks, unsorted, more slots than blocks, illegal numbers.
std::vector<SelectedCase> selection_cases();
/// Values: huge logits, huge and tiny values, NaN and infinity where nobody looks.
std::vector<SelectedCase> value_cases();
/// Strides.
std::vector<SelectedCase> layout_cases();
/// Outputs in f32 of 16-bit problems.
std::vector<SelectedCase> output_cases();
/// The problems that many configs are tried on: each exercises tails in another dimension.
std::vector<SelectedCase> config_cases();
/// Sizes of the public benchmark, for GPUs.
std::vector<SelectedCase> large_cases();

}  // namespace fsa::test
