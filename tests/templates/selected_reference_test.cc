#include "templates/reference/selected_reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "templates/reference/block_index_reference.h"
#include "templates/reference/compare.h"
#include "templates/reference/random_problem.h"
#include "tests/support/golden.h"

namespace fsa::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    if (a[i] != b[i]) largest = std::max(largest, std::fabs(a[i] - b[i]));
  return largest;
}

class ReferenceOnGolden : public testing::TestWithParam<std::string> {};

TEST_P(ReferenceOnGolden, GivesTheOutputsOfThePythonOracle) {
  const auto golden = test::Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const auto out = selected_attention(golden->operands());
  ASSERT_TRUE(out) << out.error().message();
  const auto expected = golden->expected();
  EXPECT_LT(largest_difference(out->o, expected.o), 1e-6);  // golden outputs are stored as float32
  EXPECT_LT(largest_difference(out->lse, expected.lse), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Golden, ReferenceOnGolden, testing::ValuesIn(test::golden_names()), [](const auto& each) { return each.param; });

SelectedInputs small_inputs(const InputOptions& options = {}) {
  return random_inputs({.element = Element::kF32,
                        .head_dim = 16,
                        .head_dim_v = 24,
                        .group = 2,
                        .block_size = 16,
                        .topk = 3,
                        .heads_kv = 2,
                        .total_q = 60,
                        .total_k = 60},
                       options);
}

TEST(SelectedReference, SampledRowsEqualTheRowsOfTheWhole) {
  const auto inputs = small_inputs();
  const auto rows = sample_rows(60, 4, 37);
  ASSERT_EQ(rows.size(), 37u);
  const auto whole = selected_attention(inputs.operands());
  const auto sampled = selected_attention_rows(inputs.operands(), rows);
  ASSERT_TRUE(whole && sampled);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(sampled->lse[i], whole->lse[rows[i].head * 60 + rows[i].token]);
    for (int d = 0; d < 24; ++d) EXPECT_EQ(sampled->o[i * 24 + d], whole->o[(rows[i].token * 4 + rows[i].head) * 24 + d]);
  }
}

TEST(SelectedReference, SamplesHoldTheFirstAndTheLastRow) {
  const auto rows = sample_rows(1000, 6, 10);
  EXPECT_EQ(rows.front().token, 0);
  EXPECT_EQ(rows.front().head, 0);
  EXPECT_EQ(rows.back().token, 999);
  EXPECT_EQ(rows.back().head, 5);
  EXPECT_EQ(sample_rows(3, 2, 100).size(), 6u);
  EXPECT_TRUE(sample_rows(0, 2, 100).empty());
}

TEST(SelectedReference, ARowWithoutKeysIsZeroWithInfiniteLse) {
  const auto inputs = small_inputs({.empty_rows = 1});
  const auto out = selected_attention(inputs.operands());
  ASSERT_TRUE(out);
  for (double lse : out->lse) EXPECT_EQ(lse, -kInfinity);
  for (double value : out->o) EXPECT_EQ(value, 0);
}

TEST(SelectedReference, VisibleKeysAreCausalOnceEachAndSorted) {
  const std::vector<std::int32_t> blocks{2, -1, 0, 2, 5, std::numeric_limits<int>::max()};
  EXPECT_EQ(visible_keys(blocks, 9, 4, 100), (std::vector<std::int64_t>{0, 1, 2, 3, 8, 9}));
  EXPECT_EQ(visible_keys(blocks, 9, 4, 9), (std::vector<std::int64_t>{0, 1, 2, 3, 8}));
  EXPECT_TRUE(visible_keys(blocks, -1, 4, 100).empty());
}

TEST(SelectedReference, InconsistentOperandsAreRefused) {
  const auto inputs = small_inputs();
  auto x = inputs.operands();
  x.k.shape[1] = 3;
  EXPECT_FALSE(selected_attention(x));
  x = inputs.operands();
  x.v.dtype = DType::kBF16;
  EXPECT_FALSE(selected_attention(x));
  x = inputs.operands();
  const std::int32_t cu[2] = {0, 61};
  x.cu_k = TensorView::contiguous(cu, DType::kI32, {2});
  const auto refused = selected_attention(x);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().given.find("cu_k"), std::string::npos);
  const Row outside{.token = 60, .head = 0};
  EXPECT_FALSE(selected_attention_rows(inputs.operands(), {&outside, 1}));
}

TEST(BlockIndexReference, ListsHoldEverySelectedTokenAscending) {
  const auto inputs = small_inputs({.shuffled = true, .empty_rows = 0.1, .lens_q = {20, 0, 33}, .lens_k = {50, 10, 33}});
  const auto lists = invert_blocks(inputs.operands());
  ASSERT_TRUE(lists);
  const SelectedProblem& p = inputs.problem;
  EXPECT_EQ(lists->cells, p.cells());
  ASSERT_EQ(static_cast<std::int64_t>(lists->cell_offset.size()), p.heads_kv * p.cells() + 1);
  EXPECT_EQ(lists->cell_offset.back(), static_cast<int>(lists->entry_token.size()));
  for (std::size_t cell = 0; cell + 1 < lists->cell_offset.size(); ++cell)
    for (int e = lists->cell_offset[cell] + 1; e < lists->cell_offset[cell + 1]; ++e)
      EXPECT_LT(lists->entry_token[e - 1], lists->entry_token[e]);
  for (std::int64_t slot = 0; slot < p.entries(); ++slot) {
    const int entry = lists->entry_position[slot];
    EXPECT_EQ(entry >= 0, inputs.block_indices[slot] >= 0);
    if (entry < 0) continue;
    const int token = static_cast<int>(slot / p.topk % p.total_q), seq = token < 20 ? 0 : 2;
    EXPECT_EQ(lists->entry_token[entry], token);
    const std::int64_t cell = slot / (p.topk * p.total_q) * p.cells() + inputs.cu_k[seq] / p.block_size + seq + inputs.block_indices[slot];
    EXPECT_GE(entry, lists->cell_offset[cell]);
    EXPECT_LT(entry, lists->cell_offset[cell + 1]);
  }
}

/// A float32 output of `rows` rows of two values, one head, beside its reference.
struct Pair {
  std::vector<float> o{1, 2, 3, 4}, lse{0.5f, -std::numeric_limits<float>::infinity()};
  SelectedOutputs expected{.o = {1, 2, 3, 4}, .lse = {0.5, -kInfinity}};
  Comparison compared() const {
    return compare(TensorView::contiguous(o.data(), DType::kF32, {2, 1, 2}), TensorView::contiguous(lse.data(), DType::kF32, {1, 2}),
                   expected);
  }
};

TEST(Compare, EqualOutputsDifferByZeroInfinitiesIncluded) {
  const Comparison c = Pair{}.compared();
  EXPECT_EQ(c.output, 0);
  EXPECT_EQ(c.worst_row, 0);
  EXPECT_EQ(c.lse, 0);
  EXPECT_TRUE(c.within());
}

TEST(Compare, MeasuresAreThoseOfTheDefinition) {
  Pair pair;
  pair.o[0] = 2;
  pair.lse[0] = 0.75f;
  const Comparison c = pair.compared();
  EXPECT_DOUBLE_EQ(c.output, 1 / std::sqrt(30.0));
  EXPECT_DOUBLE_EQ(c.worst_row, 1 / std::sqrt(15.0));
  EXPECT_DOUBLE_EQ(c.lse, 0.25);
  EXPECT_FALSE(c.within());
}

TEST(Compare, NanNeverPasses) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 0; i < 4; ++i) {
    Pair pair;
    pair.o[i] = nan;
    EXPECT_EQ(pair.compared().output, kInfinity);
    EXPECT_EQ(pair.compared().worst_row, kInfinity);
    EXPECT_FALSE(pair.compared().within(1e300, 1e300));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    Pair pair;
    pair.lse[i] = nan;
    EXPECT_EQ(pair.compared().lse, kInfinity);
  }
}

TEST(Compare, AnInfinityOnOneSideAloneNeverPasses) {
  Pair pair;
  pair.lse[1] = -1e30f;
  EXPECT_EQ(pair.compared().lse, kInfinity);
  pair = Pair{};
  pair.lse[0] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(pair.compared().lse, kInfinity);
  pair = Pair{};
  pair.o[2] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(pair.compared().within(1e300, 1e300));
}

TEST(Compare, AnythingWhereZeroIsExpectedNeverPasses) {
  Pair pair;
  pair.expected.o = {0, 0, 0, 0};
  EXPECT_EQ(pair.compared().output, kInfinity);
  pair.o = {0, 0, 0, 0};
  EXPECT_EQ(pair.compared().output, 0);
}

TEST(Compare, OneWrongRowAmongManyShows) {
  constexpr int kRows = 100'000;
  std::vector<float> o(kRows, 1.0f), lse(kRows, 0.0f);
  SelectedOutputs expected{.o = std::vector<double>(kRows, 1.0), .lse = std::vector<double>(kRows, 0.0)};
  o[777] = 1.5f;
  const auto c = compare(TensorView::contiguous(o.data(), DType::kF32, {kRows, 1, 1}),
                         TensorView::contiguous(lse.data(), DType::kF32, {1, kRows}), expected);
  EXPECT_LT(c.output, kOutputTolerance);
  EXPECT_DOUBLE_EQ(c.worst_row, 0.5);
  EXPECT_FALSE(c.within());
}

}  // namespace
}  // namespace fsa::reference
