#include "tuner/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace fsa::tuner {
namespace {

using Sizes = std::vector<std::size_t>;

TEST(ShareBudget, EverythingFitsInALargeBudget) { EXPECT_EQ(share_budget(Sizes{5, 300, 2}, 1000), (Sizes{5, 300, 2})); }

TEST(ShareBudget, SmallStagesAreTriedWholeAndLargeOnesShareTheRest) {
  EXPECT_EQ(share_budget(Sizes{500, 4, 300}, 104), (Sizes{50, 4, 50}));
}

TEST(ShareBudget, EveryStageGetsAtLeastItsDefault) { EXPECT_EQ(share_budget(Sizes{9, 9, 9}, 0), (Sizes{1, 1, 1})); }

TEST(SampleIndices, AllWhenTheyFit) { EXPECT_EQ(sample_indices(3, 5, 1, 1), (Sizes{0, 1, 2})); }

TEST(SampleIndices, DistinctAscendingAndAlwaysWithTheDefault) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Sizes s = sample_indices(100, 10, 42, seed);
    EXPECT_EQ(s.size(), 10u);
    EXPECT_TRUE(std::is_sorted(s.begin(), s.end()));
    EXPECT_EQ(std::adjacent_find(s.begin(), s.end()), s.end());
    EXPECT_TRUE(std::binary_search(s.begin(), s.end(), std::size_t{42}));
    EXPECT_LT(s.back(), 100u);
  }
}

TEST(SampleIndices, TheSeedDecides) {
  EXPECT_EQ(sample_indices(1000, 20, 0, 5), sample_indices(1000, 20, 0, 5));
  EXPECT_NE(sample_indices(1000, 20, 0, 5), sample_indices(1000, 20, 0, 6));
}

TEST(SampleIndices, EveryIndexIsReached) {
  std::vector<bool> seen(30);
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    for (std::size_t i : sample_indices(30, 5, 7, seed)) seen[i] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 30);
}

}  // namespace
}  // namespace fsa::tuner
