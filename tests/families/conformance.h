#pragma once
// Owns the check of one choice of kernels on one problem against the float64 oracle.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "runtime/operator.h"
#include "templates/reference/selected_reference.h"
#include "tests/families/selected_case.h"
#include "tests/support/lab.h"

namespace fsa::test {

/// The device this test program runs on: "cpu" or "cuda:0". Each program links one definition.
const char* device_under_test();
/// Its backend, known without opening it.
Backend backend_under_test();

/// The variants (loop orders) of selected attention on the backend under test.
std::vector<std::string> variant_names();

/// Runs the choice twice, over memory poisoned differently, and checks: outputs within tolerance of `expected` (of every row,
/// or of `rows` where there are any), both runs equal bit by bit, gaps of a strided o untouched; `merges` as in SelectedCase.
void expect_right(Lab& lab, const SelectedProblem& problem, const reference::SelectedOperands& inputs, const Choice& choice, Layout layout,
                  const reference::SelectedOutputs& expected, std::span<const reference::Row> rows = {}, bool merges = true);

/// The case's inputs and what the oracle says, computed once for all choices that are tried on it.
struct PreparedCase {
  SelectedCase description;
  reference::SelectedInputs inputs;
  std::vector<reference::Row> rows;  ///< the sample, or empty: all rows
  reference::SelectedOutputs expected;
};
/// Keeps the latest case: parametrised tests visit one case with all variants before the next.
std::shared_ptr<const PreparedCase> prepare(const SelectedCase& description);

/// Why the backend has no kernels for a variant and a problem; empty where it has.
std::string reason_to_skip(const SelectedProblem& problem, const std::string& variant, const Target& target);

/// expect_right on a case; skips where there is a reason_to_skip().
void expect_right(Lab& lab, const SelectedCase& description, const Choice& choice);

}  // namespace fsa::test

/// Declares `lab` or skips the test with the reason why the device cannot be had.
#define FSA_LAB_OR_SKIP(lab)                                                    \
  auto lab##_result = ::fsa::test::Lab::open(::fsa::test::device_under_test()); \
  if (!lab##_result) GTEST_SKIP() << lab##_result.error().message();            \
  ::fsa::test::Lab& lab = **lab##_result
