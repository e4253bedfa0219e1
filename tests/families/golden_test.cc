// Every loop order on every golden file.
#include <gtest/gtest.h>

#include "tests/families/conformance.h"
#include "tests/support/golden.h"

namespace fsa::test {
namespace {

using FileAndVariant = std::tuple<std::string, std::string>;

class GoldenFile : public testing::TestWithParam<FileAndVariant> {};

TEST_P(GoldenFile, IsReproduced) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [file, variant] = GetParam();
  const auto golden = Golden::load(file);
  ASSERT_TRUE(golden) << golden.error().message();
  if (const std::string reason = reason_to_skip(golden->problem(), variant, lab.target()); !reason.empty()) GTEST_SKIP() << reason;
  expect_right(lab, golden->problem(), golden->operands(), {.variant = variant}, Layout::kPacked, golden->expected());
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenFile, testing::Combine(testing::ValuesIn(golden_names()), testing::ValuesIn(variant_names())),
                         [](const auto& each) { return std::get<0>(each.param) + "_" + std::get<1>(each.param); });

}  // namespace
}  // namespace fsa::test
