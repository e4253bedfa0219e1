// Every loop order with the smallest, the largest and random configs of every kernel.
#include <gtest/gtest.h>

#include "tests/families/config_choice.h"
#include "tests/families/conformance.h"

namespace fsa::test {
namespace {

struct ConfigPick {
  std::string name;
  Pick pick;
  std::uint64_t seed = 0;
};

void PrintTo(const ConfigPick& pick, std::ostream* out) { *out << pick.name; }

using Parameters = std::tuple<SelectedCase, std::string, ConfigPick>;

class SelectedAttentionConfig : public testing::TestWithParam<Parameters> {};

TEST_P(SelectedAttentionConfig, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [description, variant, pick] = GetParam();
  if (const std::string reason = reason_to_skip(description.problem, variant, lab.target()); !reason.empty()) GTEST_SKIP() << reason;
  const auto choice = pick_configs(prepare(description)->inputs.problem, variant, pick.pick, pick.seed, lab.target());
  ASSERT_TRUE(choice) << choice.error().message();
  expect_right(lab, description, *choice);
}

std::vector<ConfigPick> picks() {
  std::vector<ConfigPick> list{{"smallest", Pick::kSmallest}, {"largest", Pick::kLargest}};
  for (std::uint64_t seed = 1; seed <= 4; ++seed) list.push_back({"random" + std::to_string(seed), Pick::kRandom, seed});
  return list;
}

INSTANTIATE_TEST_SUITE_P(Configs, SelectedAttentionConfig,
                         testing::Combine(testing::ValuesIn(config_cases()), testing::ValuesIn(variant_names()),
                                          testing::ValuesIn(picks())),
                         [](const auto& each) {
                           return std::get<0>(each.param).name + "_" + std::get<1>(each.param) + "_" + std::get<2>(each.param).name;
                         });

}  // namespace
}  // namespace fsa::test
