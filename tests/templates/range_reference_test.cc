#include "templates/reference/range_reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "templates/reference/random_problem.h"
#include "templates/reference/random_range.h"
#include "tests/support/golden.h"

namespace fsa::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double largest_gap(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    if (a[i] != b[i]) largest = std::max(largest, std::fabs(a[i] - b[i]));
  return largest;
}

class RangeReferenceOnGolden : public testing::TestWithParam<std::string> {};

TEST_P(RangeReferenceOnGolden, GivesTheOutputsOfThePythonOracle) {
  const auto golden = test::Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const auto tensor = [&](const char* name) { return golden->tensor(name); };
  const RangeOperands window{.q = tensor("q"),
                             .k = tensor("k"),
                             .v = tensor("v"),
                             .cu_q = tensor("cu_q"),
                             .cu_k = tensor("cu_k"),
                             .cu_rows = tensor("cu_k"),
                             .scale = golden->scale(),
                             .visible = window_rule(golden->number("window"))};
  const RangeOperands compressed{.q = tensor("q"),
                                 .k = tensor("ck"),
                                 .v = tensor("cv"),
                                 .cu_q = tensor("cu_q"),
                                 .cu_k = tensor("cu_k"),
                                 .cu_rows = tensor("cu_c"),
                                 .scale = golden->scale(),
                                 .visible = compressed_rule(golden->number("kernel_size"), golden->number("stride"))};
  for (const auto& [branch, operands] : {std::pair{"win", window}, {"cmp", compressed}}) {
    SCOPED_TRACE(branch);
    const auto out = range_attention(operands);
    ASSERT_TRUE(out) << out.error().message();
    const auto expected = golden->expected(branch);
    EXPECT_LT(largest_gap(out->o, expected.o), 1e-6);  // golden outputs are stored as float32
    EXPECT_LT(largest_gap(out->lse, expected.lse), 1e-5);
  }
}

TEST_P(RangeReferenceOnGolden, CountsTheCompressedKeysAsThePythonOracleDoes) {
  const auto golden = test::Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const auto values = [&](const char* name) {
    const TensorView t = golden->tensor(name);
    const auto* first = static_cast<const std::int32_t*>(t.data);
    return std::vector<std::int32_t>(first, first + t.shape[0]);
  };
  EXPECT_EQ(compressed_prefix_sums(values("cu_k"), golden->number("kernel_size"), golden->number("stride")), values("cu_c"));
}

INSTANTIATE_TEST_SUITE_P(Golden, RangeReferenceOnGolden, testing::ValuesIn(test::golden_names()),
                         [](const auto& each) { return each.param; });

TEST(RangeRules, AWindowEndsAtTheQueryAndStartsWithTheSequence) {
  const auto rule = window_rule(3);
  for (const auto& [position, begin] : {std::pair{0, 0}, {1, 0}, {2, 0}, {3, 1}, {9, 7}}) {
    EXPECT_EQ(rule(position, 10).begin, begin) << position;
    EXPECT_EQ(rule(position, 10).end, position + 1) << position;
  }
}

TEST(RangeRules, ACompressedKeyIsSeenFromItsLastTokenOn) {
  const auto rule = compressed_rule(4, 2);
  for (const auto& [position, seen] : {std::pair{0, 0}, {2, 0}, {3, 1}, {4, 1}, {5, 2}, {7, 3}, {100, 5}}) {
    EXPECT_EQ(rule(position, 5).begin, 0);
    EXPECT_EQ(rule(position, 5).end, seen) << position;
  }
}

RangeProblem small_problem() {
  return {.element = Element::kF32,
          .output = Element::kF32,
          .head_dim = 16,
          .head_dim_v = 24,
          .group = 2,
          .heads_kv = 2,
          .num_seqs = 1,
          .total_q = 60,
          .total_k = 60,
          .total_rows = 0,
          .scale = 0,
          .window = 9};
}

TEST(RangeReference, AWindowOfTheWholeSequenceIsSelectedAttentionWithAllBlocks) {
  auto inputs = random_inputs({.element = Element::kF32,
                               .head_dim = 16,
                               .head_dim_v = 24,
                               .group = 2,
                               .block_size = 16,
                               .topk = 4,
                               .heads_kv = 2,
                               .total_q = 60,
                               .total_k = 60});
  const auto x = inputs.operands();
  const auto selected = selected_attention(x);
  const auto dense = range_attention(
      {.q = x.q, .k = x.k, .v = x.v, .cu_q = x.cu_q, .cu_k = x.cu_k, .cu_rows = x.cu_k, .scale = x.scale, .visible = window_rule(60)});
  ASSERT_TRUE(selected && dense);
  EXPECT_LT(largest_gap(selected->o, dense->o), 1e-12);
  EXPECT_LT(largest_gap(selected->lse, dense->lse), 1e-12);
}

TEST(RangeReference, SampledRowsEqualTheRowsOfTheWhole) {
  const auto inputs = random_range_inputs(small_problem());
  const auto rows = sample_rows(60, 4, 37);
  const auto whole = range_attention(inputs.operands());
  const auto sampled = range_attention_rows(inputs.operands(), rows);
  ASSERT_TRUE(whole && sampled);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(sampled->lse[i], whole->lse[rows[i].head * 60 + rows[i].token]);
    for (int d = 0; d < 24; ++d) EXPECT_EQ(sampled->o[i * 24 + d], whole->o[(rows[i].token * 4 + rows[i].head) * 24 + d]);
  }
}

TEST(RangeReference, RowsBeforeTheFirstCompleteKernelAreZeroWithInfiniteLse) {
  RangeProblem p = small_problem();
  p.window = 0, p.kernel_size = 8, p.stride = 4;
  const auto inputs = random_range_inputs(p);
  const auto out = range_attention(inputs.operands());
  ASSERT_TRUE(out);
  for (std::int64_t token = 0; token < 60; ++token) EXPECT_EQ(out->lse[token] == -kInfinity, token < 7) << token;
  for (std::size_t i = 0; i < 7 * 4 * 24; ++i) EXPECT_EQ(out->o[i], 0);
}

TEST(RangeReference, SeenRowsAreThoseThatSomeQuerySees) {
  RangeProblem p = small_problem();
  const auto inputs = random_range_inputs(p, {.lens_q = {2, 0, 3}, .lens_k = {20, 4, 3}});
  const auto seen = seen_rows(inputs.operands());
  for (std::size_t row = 0; row < seen.size(); ++row) EXPECT_EQ(seen[row], (row >= 10 && row < 20) || row >= 24) << row;
}

TEST(RangeReference, InconsistentOperandsAreRefused) {
  const auto inputs = random_range_inputs(small_problem());
  auto x = inputs.operands();
  x.k.shape[1] = 3;
  EXPECT_FALSE(range_attention(x));
  x = inputs.operands();
  const std::int32_t cu[2] = {0, 61};
  x.cu_rows = TensorView::contiguous(cu, DType::kI32, {2});
  const auto refused = range_attention(x);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().given.find("cu_rows"), std::string::npos);
  const Row outside{.token = 60, .head = 0};
  EXPECT_FALSE(range_attention_rows(inputs.operands(), {&outside, 1}));
}

TEST(RandomRange, TheSameSeedGivesTheSameInputs) {
  const auto a = random_range_inputs(small_problem()), b = random_range_inputs(small_problem()),
             c = random_range_inputs(small_problem(), {.seed = 2});
  EXPECT_EQ(a.q, b.q);
  EXPECT_EQ(a.k, b.k);
  EXPECT_EQ(a.v, b.v);
  EXPECT_NE(a.q, c.q);
  EXPECT_NE(a.k, c.k);
}

}  // namespace
}  // namespace fsa::reference
