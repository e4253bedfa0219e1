#pragma once
// Owns the check of an attention chain's outputs: two runs over differently poisoned memory, one answer.
#include <span>
#include <vector>

#include "templates/reference/selected_reference.h"
#include "tests/families/selected_case.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {

/// What o [total_q, heads, head_dim_v] looks like; lse is f32 [heads, total_q].
struct OutputShape {
  DType dtype;
  std::int64_t total_q, heads;
  int head_dim_v;
  bool exact = true;  ///< false: f32 outputs may be partial outputs of 16 bits as they are
};

/// Runs the chain twice and checks: outputs within the last kernel's tolerance of `expected` (of every row, or of `rows` where
/// there are any), both runs equal bit by bit, gaps of a strided o untouched.
void expect_outputs(const KernelChain& chain, const std::vector<Binding>& inputs, const OutputShape& shape, Layout layout,
                    const reference::SelectedOutputs& expected, std::span<const reference::Row> rows);

}  // namespace fsa::test
