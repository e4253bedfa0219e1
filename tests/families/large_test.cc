// The sizes of the public benchmark: partial outputs and queries past 2^31 elements.
#include <gtest/gtest.h>

#include "tests/families/conformance.h"

namespace fsa::test {
namespace {

class LargeSelectedAttention : public testing::TestWithParam<std::tuple<SelectedCase, std::string>> {};

TEST_P(LargeSelectedAttention, MatchesTheOracleInSampledRows) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [description, variant] = GetParam();
  expect_right(lab, description, {.variant = variant});
}

INSTANTIATE_TEST_SUITE_P(Large, LargeSelectedAttention,
                         testing::Combine(testing::ValuesIn(large_cases()), testing::Values("block_major", "query_major", "hybrid")),
                         [](const auto& each) { return std::get<0>(each.param).name + "_" + std::get<1>(each.param); });

}  // namespace
}  // namespace fsa::test
