// Every loop order with its default configs, on every problem.
#include <gtest/gtest.h>

#include "tests/families/conformance.h"

namespace fsa::test {
namespace {

using CaseAndVariant = std::tuple<SelectedCase, std::string>;

class SelectedAttention : public testing::TestWithParam<CaseAndVariant> {};

TEST_P(SelectedAttention, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [description, variant] = GetParam();
  expect_right(lab, description, {.variant = variant});
}

std::string case_name(const testing::TestParamInfo<CaseAndVariant>& info) {
  return std::get<0>(info.param).name + "_" + std::get<1>(info.param);
}

auto all_variants(std::vector<SelectedCase> cases) {
  return testing::Combine(testing::ValuesIn(std::move(cases)), testing::ValuesIn(variant_names()));
}

INSTANTIATE_TEST_SUITE_P(Shapes, SelectedAttention, all_variants(shape_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Sequences, SelectedAttention, all_variants(sequence_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Selections, SelectedAttention, all_variants(selection_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Values, SelectedAttention, all_variants(value_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Layouts, SelectedAttention, all_variants(layout_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Outputs, SelectedAttention, all_variants(output_cases()), case_name);

}  // namespace

/// Parameters print as their names, not as bytes.
void PrintTo(const SelectedCase& c, std::ostream* out) { *out << c.name; }

}  // namespace fsa::test
