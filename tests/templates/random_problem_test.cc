#include "templates/reference/random_problem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "templates/reference/numeric.h"
#include "templates/reference/random_numbers.h"

namespace fsa::reference {
namespace {

SelectedProblem problem(std::int64_t tokens, int topk = 8) {
  return {.head_dim = 16, .head_dim_v = 16, .block_size = 32, .topk = topk, .heads_kv = 2, .total_q = tokens, .total_k = tokens};
}

std::vector<int> chosen(const SelectedInputs& in, std::int64_t row) {
  std::vector<int> blocks(in.block_indices.begin() + row * in.problem.topk, in.block_indices.begin() + (row + 1) * in.problem.topk);
  std::erase(blocks, -1);
  return blocks;
}

TEST(RandomProblem, TheSameSeedGivesTheSameInputs) {
  const auto a = random_inputs(problem(700)), b = random_inputs(problem(700)), c = random_inputs(problem(700), {.seed = 2});
  EXPECT_EQ(a.q, b.q);
  EXPECT_EQ(a.k, b.k);
  EXPECT_EQ(a.v, b.v);
  EXPECT_EQ(a.block_indices, b.block_indices);
  EXPECT_NE(a.q, c.q);
  EXPECT_NE(a.block_indices, c.block_indices);
  EXPECT_NE(a.k, a.v);
}

TEST(RandomProblem, SelectionsAreCausalDistinctAscendingAndAsManyAsFit) {
  const auto in = random_inputs(problem(1500));
  for (std::int64_t row = 0; row < 3000; ++row) {
    const auto blocks = chosen(in, row);
    const int own = static_cast<int>(row % 1500 / 32);
    ASSERT_EQ(static_cast<int>(blocks.size()), std::min(8, own + 1));
    ASSERT_TRUE(std::is_sorted(blocks.begin(), blocks.end()));
    ASSERT_EQ(std::set<int>(blocks.begin(), blocks.end()).size(), blocks.size());
    ASSERT_LE(blocks.back(), own);
    // Forced: the first block and the two most recent ones.
    ASSERT_EQ(blocks.front(), 0);
    ASSERT_EQ(blocks.back(), own);
    if (own > 0) {
      ASSERT_TRUE(std::count(blocks.begin(), blocks.end(), own - 1));
    }
  }
}

TEST(RandomProblem, FreeBlocksAreUniform) {
  const auto in = random_inputs(problem(20'000, 16));
  // Rows of block 600 and up have 597 or more free candidates; count how often one of a tenth of them is drawn.
  double low = 0, all = 0;
  for (std::int64_t token = 600 * 32; token < 20'000; ++token)
    for (int b : chosen(in, token))
      if (b > 0 && b < 590) {
        ++all;
        low += b < 60;
      }
  EXPECT_NEAR(low / all, 0.1, 0.02);
}

TEST(RandomProblem, OverlapKeepsTheBlocksOfTheTokenBefore) {
  const auto kept_share = [](double overlap) {
    const auto in = random_inputs(problem(8000), {.overlap = overlap});
    double kept = 0, free = 0;
    for (std::int64_t token = 4000; token < 7999; ++token) {
      const auto now = chosen(in, token), next = chosen(in, token + 1);
      for (int b : now)
        if (b > 0 && b < token / 32 - 1) {
          ++free;
          kept += std::count(next.begin(), next.end(), b);
        }
    }
    return kept / free;
  };
  EXPECT_LT(kept_share(0), 0.1);
  EXPECT_NEAR(kept_share(0.8), 0.8, 0.05);
}

TEST(RandomProblem, ShuffledSlotsHoldTheSameBlocksInAnotherOrder) {
  const auto in = random_inputs(problem(1000), {.shuffled = true});
  bool unsorted = false, gap_before_a_block = false;
  for (std::int64_t row = 0; row < 2000; ++row) {
    const auto blocks = chosen(in, row);
    unsorted |= !std::is_sorted(blocks.begin(), blocks.end());
    const auto* slots = in.block_indices.data() + row * 8;
    for (int i = 0; i + 1 < 8; ++i) gap_before_a_block |= slots[i] < 0 && slots[i + 1] >= 0;
  }
  EXPECT_TRUE(unsorted);
  EXPECT_TRUE(gap_before_a_block);
}

TEST(RandomProblem, EmptyRowsAreAsManyAsAsked) {
  const auto in = random_inputs(problem(4000), {.empty_rows = 0.25});
  int empty = 0;
  for (std::int64_t row = 0; row < 8000; ++row) empty += chosen(in, row).empty();
  EXPECT_NEAR(empty / 8000.0, 0.25, 0.03);
}

TEST(RandomProblem, MixedLengthsAddUpAndDiffer) {
  const InputPattern pattern{.seed = 3, .mixed_lengths = true};
  for (const std::int64_t total : {0, 7, 1000, 65536}) {
    auto lens = lengths(total, 16, pattern);
    EXPECT_EQ(std::accumulate(lens.begin(), lens.end(), std::int64_t{0}), total);
    if (total < 1000) continue;
    EXPECT_FALSE(std::ranges::is_sorted(lens));
    std::ranges::sort(lens);
    EXPECT_GE(lens.back(), 12 * lens.front()) << "the ratios are 1 to 16";
  }
  EXPECT_EQ(lengths(100, 3, {}), even_parts(100, 3));
  EXPECT_NE(lengths(1000, 16, pattern), lengths(1000, 16, {.seed = 4, .mixed_lengths = true}));
}

TEST(RandomProblem, LengthsMakePackedSequences) {
  const auto in = random_inputs(problem(1), {.lens_q = {3, 0, 7}, .lens_k = {50, 9, 7}});
  EXPECT_EQ(in.cu_q, (std::vector<std::int32_t>{0, 3, 3, 10}));
  EXPECT_EQ(in.cu_k, (std::vector<std::int32_t>{0, 50, 59, 66}));
  EXPECT_EQ(in.problem.num_seqs, 3);
  EXPECT_EQ(in.problem.total_q, 10);
  EXPECT_EQ(in.problem.total_k, 66);
  EXPECT_FLOAT_EQ(in.problem.scale, 0.25f);
  EXPECT_EQ(chosen(in, 2), (std::vector<int>{0, 1}));
  EXPECT_TRUE(check_operands(in.operands()));
}

TEST(RandomProblem, TotalsAreSplitEvenlyOverSequences) {
  auto p = problem(10);
  p.num_seqs = 3;
  p.total_k = 31;
  const auto in = random_inputs(p);
  EXPECT_EQ(in.cu_q.back(), 10);
  EXPECT_EQ(in.cu_k.back(), 31);
  for (std::size_t b = 0; b < 3; ++b) EXPECT_GE(in.cu_k[b + 1] - in.cu_k[b], in.cu_q[b + 1] - in.cu_q[b]);
}

TEST(RandomNumbers, NormalDeviatesHaveTheirMoments) {
  for (DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
    std::vector<float> memory(200'000);
    const auto view = TensorView::contiguous(memory.data(), dtype, {200'000});
    fill_normal(view, 5, 2);
    double sum = 0, squares = 0, fourths = 0, neighbours = 0, before = 0;
    for (int i = 0; i < 200'000; ++i) {
      const double x = load_element(view, i) / 2;
      sum += x;
      squares += x * x;
      fourths += x * x * x * x;
      neighbours += x * before;
      before = x;
    }
    EXPECT_NEAR(sum / 200'000, 0, 0.01);
    EXPECT_NEAR(squares / 200'000, 1, 0.02);
    EXPECT_NEAR(fourths / 200'000, 3, 0.12);
    EXPECT_NEAR(neighbours / 200'000, 0, 0.01);
  }
}

TEST(RandomNumbers, QuantilesAreThoseOfTheNormalDistribution) {
  const auto quantiles = normal_quantiles(1000);
  EXPECT_NEAR(quantiles[499] + quantiles[500], 0, 1e-9);
  EXPECT_NEAR(quantiles[841], 1.0003, 0.002);
  EXPECT_NEAR(quantiles[0], -3.2905, 0.001);
  EXPECT_NEAR(quantiles[999], 3.2905, 0.001);
}

}  // namespace
}  // namespace fsa::reference
