#include "cache/problem_features.h"

#include <gtest/gtest.h>

#include "tests/cache/tuning_samples.h"

namespace fsa {
namespace {

using namespace test;

/// The sample problem with one feature changed.
Json with(const char* feature, Json value) {
  Json problem = sample_problem();
  problem[feature] = std::move(value);
  return problem;
}

TEST(ProblemFeatures, EqualProblemsAreNoDistanceApart) {
  const auto d = feature_distance(sample_problem(), sample_problem());
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->distance, 0);
  EXPECT_TRUE(d->differing.empty());
}

TEST(ProblemFeatures, AFactorOfTwoInOneSizeIsOneOctaveEitherWay) {
  EXPECT_DOUBLE_EQ(feature_distance(sample_problem(), with("total_q", 32768))->distance, 1);
  EXPECT_DOUBLE_EQ(feature_distance(with("total_q", 32768), sample_problem())->distance, 1);
  EXPECT_DOUBLE_EQ(feature_distance(sample_problem(32768), sample_problem())->distance, 2);
}

TEST(ProblemFeatures, WhatKernelsAreCompiledForMustAgree) {
  EXPECT_FALSE(feature_distance(sample_problem(), with("element", "f16")).has_value());
  EXPECT_FALSE(feature_distance(sample_problem(), with("head_dim", 64)).has_value());
  EXPECT_FALSE(feature_distance(sample_problem(), with("head_dim_v", 64)).has_value());
  EXPECT_FALSE(feature_distance(sample_problem(), with("block_size", 32)).has_value());
}

TEST(ProblemFeatures, GroupAndTopkWeighMoreThanSizesAndSequencesLess) {
  EXPECT_DOUBLE_EQ(feature_distance(sample_problem(), with("group", 8))->distance, 2);
  EXPECT_DOUBLE_EQ(feature_distance(sample_problem(), with("topk", 8))->distance, 2);
  EXPECT_DOUBLE_EQ(feature_distance(sample_problem(), with("num_seqs", 4))->distance, 1);
}

TEST(ProblemFeatures, SizesOfZeroAndMissingSizesCountAsOne) {
  EXPECT_DOUBLE_EQ(feature_distance(with("total_q", 0), with("total_q", 2))->distance, 1);
  Json old_entry = sample_problem();
  old_entry.erase("num_seqs");
  const auto d = feature_distance(sample_problem(), old_entry);
  ASSERT_TRUE(d.has_value());
  EXPECT_DOUBLE_EQ(d->distance, 0);
  EXPECT_EQ(d->differing, std::vector<std::string>{"num_seqs"});
}

TEST(ProblemFeatures, AMissingExactFeatureNeverMatches) {
  Json old_entry = sample_problem();
  old_entry.erase("head_dim_v");
  EXPECT_FALSE(feature_distance(sample_problem(), old_entry).has_value());
}

TEST(ProblemFeatures, FeaturesOfLaterOperatorsWorkWithoutARule) {
  EXPECT_DOUBLE_EQ(feature_distance(with("window", 512), with("window", 1024))->distance, 1);
  EXPECT_FALSE(feature_distance(with("mode", "mean"), with("mode", "linear")).has_value());
}

TEST(ProblemFeatures, SelectionKeepsTheNamedOnesOnly) {
  Json problem = sample_problem();
  problem["scale"] = 0.5;
  EXPECT_EQ(select_features(problem, kSelectedAttentionFeatures), sample_problem());
}

}  // namespace
}  // namespace fsa
