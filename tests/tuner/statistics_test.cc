#include "tuner/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace fsa::tuner {
namespace {

TEST(Statistics, MedianOfOddAndEvenCounts) {
  EXPECT_DOUBLE_EQ(median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{4, 1, 2, 3}), 2.5);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(Statistics, QuantilesInterpolate) {
  const std::vector<double> s{0, 10, 20, 30};
  EXPECT_DOUBLE_EQ(quantile(s, 0), 0);
  EXPECT_DOUBLE_EQ(quantile(s, 1), 30);
  EXPECT_DOUBLE_EQ(quantile(s, 0.25), 7.5);
}

TEST(Statistics, SpreadEstimatesSigmaInSpiteOfOutliers) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal(10, 0.5);
  std::vector<double> samples;
  for (int i = 0; i < 2000; ++i) samples.push_back(i % 20 == 0 ? 1000 : normal(random));
  EXPECT_NEAR(robust_spread(samples), 0.5, 0.07);
}

TEST(Statistics, FewSamplesHaveTheirWholeRangeAsInterval) {
  const Interval interval = median_interval(std::vector<double>{5, 1, 3});
  EXPECT_DOUBLE_EQ(interval.low, 1);
  EXPECT_DOUBLE_EQ(interval.high, 5);
}

TEST(Statistics, IntervalUsesTheTabulatedOrderStatistics) {
  // Ranks of the 95 % interval of the median from binomial tables: n = 10: 2..9, n = 25: 8..18, n = 100: 40..61.
  for (const auto& [n, low, high] : {std::tuple{10, 2, 9}, {25, 8, 18}, {100, 40, 61}}) {
    std::vector<double> ranks;
    for (int i = 1; i <= n; ++i) ranks.push_back(i);
    EXPECT_DOUBLE_EQ(median_interval(ranks).low, low) << n;
    EXPECT_DOUBLE_EQ(median_interval(ranks).high, high) << n;
  }
}

TEST(Statistics, IntervalCoversTheMedianOfSkewedNoise) {
  std::mt19937_64 random(5);
  std::exponential_distribution<double> skewed(1);
  for (std::size_t n : {7u, 25u, 101u}) {
    int covered = 0;
    for (int trial = 0; trial < 1000; ++trial) {
      std::vector<double> samples;
      for (std::size_t i = 0; i < n; ++i) samples.push_back(skewed(random));
      const Interval interval = median_interval(samples);
      covered += interval.low <= std::log(2.0) && std::log(2.0) <= interval.high;
    }
    EXPECT_GE(covered, 940) << n;
  }
}

TEST(Statistics, PairedRatioCancelsSharedDrift) {
  std::vector<double> a, b;
  for (int i = 1; i <= 20; ++i) {
    a.push_back(2.0 * i);
    b.push_back(4.0 * i);
  }
  const Interval paired = paired_ratio(a, b), unpaired = unpaired_ratio(a, b);
  EXPECT_DOUBLE_EQ(paired.low, 0.5);
  EXPECT_DOUBLE_EQ(paired.high, 0.5);
  EXPECT_LT(unpaired.low, 0.4);
  EXPECT_GT(unpaired.high, 0.6);
}

}  // namespace
}  // namespace fsa::tuner
