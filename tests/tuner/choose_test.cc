#include "tuner/choose.h"

#include <gtest/gtest.h>

namespace fsa::tuner {
namespace {

Finalist steady(double seconds, bool is_default = false) { return {.seconds = std::vector<double>(15, seconds), .is_default = is_default}; }

TEST(Choose, TakesTheFastest) {
  const std::vector<Finalist> list{steady(2, true), steady(1.5), steady(1)};
  const Choice choice = choose(list, 0.01, true);
  EXPECT_EQ(choice.winner, 2u);
  EXPECT_EQ(choice.second, 1u);
  EXPECT_DOUBLE_EQ(choice.over_default.median, 0.5);
  EXPECT_NEAR(choice.over_second.median, 1 / 1.5, 1e-12);
}

TEST(Choose, WithinTheTieBandTheFirstInOrderWins) {
  const std::vector<Finalist> list{steady(2, true), steady(1.005), steady(1), steady(1.02)};
  const Choice choice = choose(list, 0.01, true);
  EXPECT_EQ(choice.winner, 1u);
  EXPECT_EQ(choice.tied, 2u);
}

TEST(Choose, TheDefaultWinsATie) {
  const std::vector<Finalist> list{steady(1.009, true), steady(1)};
  EXPECT_EQ(choose(list, 0.01, true).winner, 0u);
  EXPECT_TRUE(choose(list, 0.01, true).kept_default);
}

TEST(Choose, KeepsTheDefaultWhenTheGainIsInDoubt) {
  Finalist standard = steady(1, true), shaky = steady(0.9);
  for (std::size_t i = 0; i < 7; ++i) shaky.seconds[i] = 1.3;  // faster by the median, but 7 of 15 rounds say otherwise
  const std::vector<Finalist> list{standard, shaky};
  const Choice choice = choose(list, 0.01, true);
  EXPECT_EQ(choice.winner, 0u);
  EXPECT_TRUE(choice.kept_default);
}

TEST(Choose, DriftThatHitsAllAlikeCancels) {
  Finalist standard = steady(1, true), faster = steady(0.95);
  for (std::size_t i = 0; i < 15; ++i) {
    standard.seconds[i] *= 1 + 0.1 * static_cast<double>(i);
    faster.seconds[i] *= 1 + 0.1 * static_cast<double>(i);
  }
  const std::vector<Finalist> list{standard, faster};
  EXPECT_EQ(choose(list, 0.01, true).winner, 1u);
  EXPECT_EQ(choose(list, 0.01, false).winner, 0u) << "not paired, the drift hides the difference";
}

TEST(Choose, WithoutADefaultTheFastestWins) {
  const std::vector<Finalist> list{steady(1.2), steady(1)};
  EXPECT_EQ(choose(list, 0.01, true).winner, 1u);
}

TEST(Choose, ASingleFinalistWins) {
  const std::vector<Finalist> list{steady(1, true)};
  const Choice choice = choose(list, 0.01, true);
  EXPECT_EQ(choice.winner, 0u);
  EXPECT_FALSE(choice.second);
  EXPECT_FALSE(choice.kept_default);
}

}  // namespace
}  // namespace fsa::tuner
