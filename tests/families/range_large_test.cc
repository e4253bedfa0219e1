// Compressed attention, the sliding window and dense causal attention at the size of the public benchmark.
#include <gtest/gtest.h>

#include "tests/families/conformance.h"
#include "tests/families/range_case.h"

namespace fsa::test {
namespace {

class LargeRangeAttention : public testing::TestWithParam<RangeCase> {};

TEST_P(LargeRangeAttention, MatchesTheOracleInSampledRows) {
  FSA_LAB_OR_SKIP(lab);
  expect_right(lab, GetParam(), Json::object());
}

INSTANTIATE_TEST_SUITE_P(Large, LargeRangeAttention, testing::ValuesIn(range_large_cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace fsa::test
