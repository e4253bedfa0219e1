#include "templates/reference/block_selection_reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/golden.h"

namespace fsa::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

SelectionOperands golden_operands(const test::Golden& golden) {
  const auto number = [&](const char* name) { return std::stoi(golden.metadata(name)); };
  return {.q = golden.tensor("q"),
          .ck = golden.tensor("ck"),
          .lse = golden.tensor("lse_cmp"),
          .cu_q = golden.tensor("cu_q"),
          .cu_k = golden.tensor("cu_k"),
          .cu_c = golden.tensor("cu_c"),
          .rule = {number("kernel_size"), number("stride"), number("block_size"), number("topk"), number("init_blocks"),
                   number("local_blocks")},
          .scale = std::stof(golden.metadata("scale"))};
}

class BlockSelectionOnGolden : public testing::TestWithParam<std::string> {};

TEST_P(BlockSelectionOnGolden, GivesTheScoresOfThePythonOracle) {
  const auto golden = test::Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const auto x = golden_operands(*golden);
  const auto rows = selection_rows(x.q.shape[0], x.ck.shape[1]);
  const auto scores = block_scores(x, rows);
  ASSERT_TRUE(scores) << scores.error().message();
  const TensorView expected = golden->tensor("scores");  // [Hkv, Tq, most blocks], float32, zeros past a sequence's end
  const float* values = static_cast<const float*>(expected.data);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    // The LSE of the file is float32: relative errors of its magnitude are in every exponential.
    const double tolerance = 1e-6 + 1e-7 * (*scores)[i].largest_logit;
    for (std::size_t j = 0; j < (*scores)[i].blocks.size(); ++j) {
      const double value = values[(rows[i].kv_head * expected.shape[1] + rows[i].token) * expected.shape[2] + static_cast<std::int64_t>(j)];
      EXPECT_NEAR((*scores)[i].blocks[j], value, tolerance * std::max(value, 1e-30)) << "row " << i << " block " << j;
    }
  }
}

TEST_P(BlockSelectionOnGolden, GivesTheBlocksOfThePythonOracle) {
  const auto golden = test::Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const auto x = golden_operands(*golden);
  const auto rows = selection_rows(x.q.shape[0], x.ck.shape[1]);
  const auto scores = block_scores(x, rows);
  ASSERT_TRUE(scores) << scores.error().message();
  const auto* blocks = static_cast<const std::int32_t*>(golden->tensor("block_indices").data);
  int different = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto chosen = choose_blocks((*scores)[i].blocks, x.rule);
    different += !std::equal(chosen.begin(), chosen.end(), blocks + static_cast<std::int64_t>(i) * x.rule.topk);
  }
  EXPECT_EQ(different, 0);
}

INSTANTIATE_TEST_SUITE_P(Golden, BlockSelectionOnGolden, testing::ValuesIn(test::golden_names()),
                         [](const auto& each) { return each.param; });

/// One sequence, one head, D = 1 padded with zeros to 16: the logits of key i are those given, for every query.
struct Handmade {
  Handmade(std::vector<float> logits, int tokens, SelectionRule rule)
      : q(static_cast<std::size_t>(tokens) * 16, 0.0f),
        ck(logits.size() * 16, 0.0f),
        lse(static_cast<std::size_t>(tokens), 0.0f),
        cu_q{0, tokens},
        cu_c{0, static_cast<std::int32_t>(logits.size())},
        rule_(rule) {
    for (int t = 0; t < tokens; ++t) q[t * 16] = 1;
    for (std::size_t i = 0; i < logits.size(); ++i) ck[i * 16] = logits[i];
  }
  SelectionOperands operands() const {
    const std::int64_t tokens = cu_q[1], keys = cu_c[1];
    return {.q = TensorView::contiguous(q.data(), DType::kF32, {tokens, 1, 16}),
            .ck = TensorView::contiguous(ck.data(), DType::kF32, {keys, 1, 16}),
            .lse = TensorView::contiguous(lse.data(), DType::kF32, {1, tokens}),
            .cu_q = TensorView::contiguous(cu_q.data(), DType::kI32, {2}),
            .cu_k = TensorView::contiguous(cu_q.data(), DType::kI32, {2}),
            .cu_c = TensorView::contiguous(cu_c.data(), DType::kI32, {2}),
            .rule = rule_,
            .scale = 1};
  }
  RowScores last_row() const {
    const SelectionRow last{.token = cu_q[1] - 1, .kv_head = 0};
    return block_scores(operands(), {&last, 1}).value().front();
  }

  std::vector<float> q, ck, lse;
  std::vector<std::int32_t> cu_q, cu_c;
  SelectionRule rule_;
};

constexpr SelectionRule kPaper{.kernel_size = 32, .stride = 16, .block_size = 64, .topk = 2, .init_blocks = 0, .local_blocks = 0};

TEST(BlockScores, WeighKeysByTheirOverlapWithABlock) {
  // exp(logit) is 1 for one key alone: of 15 keys of 256 tokens, each shows its weight in every block.
  const double weights[4][15] = {{2, 2, 2, 1},  //
                                 {0, 0, 0, 1, 2, 2, 2, 1},
                                 {0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 1},
                                 {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2}};
  for (int key = 0; key < 15; ++key) {
    std::vector<float> logits(15, -1000.0f);
    logits[key] = 0;
    const auto scores = Handmade(logits, 256, kPaper).last_row();
    ASSERT_EQ(scores.blocks.size(), 4u);
    for (int block = 0; block < 4; ++block) EXPECT_DOUBLE_EQ(scores.blocks[block], weights[block][key]) << block << " " << key;
  }
}

TEST(BlockScores, CountVisibleKeysAlone) {
  // Position 62 is one short of the third key's end.
  const std::vector<float> logits{0, 0, 0};
  Handmade handmade(logits, 64, kPaper);
  const SelectionRow rows[2]{{.token = 62, .kv_head = 0}, {.token = 63, .kv_head = 0}};
  const auto scores = block_scores(handmade.operands(), rows);
  ASSERT_TRUE(scores) << scores.error().message();
  EXPECT_DOUBLE_EQ((*scores)[0].blocks[0], 4);
  EXPECT_DOUBLE_EQ((*scores)[1].blocks[0], 6);
  EXPECT_EQ((*scores)[1].largest_logit, 0);
}

TEST(BlockScores, ARowThatSeesNothingScoresZero) {
  Handmade handmade({0, 0, 0}, 64, kPaper);
  handmade.lse.back() = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(handmade.last_row().blocks, std::vector<double>{0});
}

TEST(BlockScores, InconsistentOperandsAreRefused) {
  const Handmade good({0, 0, 0}, 64, kPaper);
  EXPECT_TRUE(check_selection(good.operands()));
  EXPECT_FALSE(check_selection(Handmade({0, 0}, 64, kPaper).operands()));  // 64 tokens have 3 compressed keys
  auto x = good.operands();
  x.rule.stride = 24;
  EXPECT_FALSE(check_selection(x));
  x = good.operands();
  x.lse.shape[1] = 63;
  EXPECT_FALSE(check_selection(x));
  x = good.operands();
  x.ck.dtype = DType::kBF16;
  EXPECT_FALSE(check_selection(x));
  const SelectionRow outside{.token = 64, .kv_head = 0};
  EXPECT_FALSE(block_scores(good.operands(), {&outside, 1}));
}

using Blocks = std::vector<std::int32_t>;

SelectionRule rule(int topk, int init, int local) {
  return {.kernel_size = 32, .stride = 16, .block_size = 64, .topk = topk, .init_blocks = init, .local_blocks = local};
}

TEST(ChooseBlocks, TakesForcedBlocksThenTheLargestScores) {
  const std::vector<double> scores{0.1, 0.9, 0.8, 0.7, 0.2, 0.3};
  EXPECT_EQ(choose_blocks(scores, rule(3, 0, 0)), (Blocks{1, 2, 3}));
  EXPECT_EQ(choose_blocks(scores, rule(3, 1, 0)), (Blocks{0, 1, 2}));
  EXPECT_EQ(choose_blocks(scores, rule(4, 1, 2)), (Blocks{0, 1, 4, 5}));
}

TEST(ChooseBlocks, LetsForcedBlocksCompeteWhereThereAreTooMany) {
  EXPECT_EQ(choose_blocks(std::vector<double>{0.1, 0.9, 0.8, 0.7, 0.2, 0.3}, rule(2, 1, 2)), (Blocks{4, 5}));
  EXPECT_EQ(choose_blocks(std::vector<double>{0.1, 0.9, 0.8, 0.7, 0.1, 0.1}, rule(2, 1, 2)), (Blocks{0, 4}));
}

TEST(ChooseBlocks, GivesTiesToTheSmallerNumberAndPads) {
  EXPECT_EQ(choose_blocks(std::vector<double>{0.5, 0.5, 0.5, 0.5}, rule(2, 0, 0)), (Blocks{0, 1}));
  EXPECT_EQ(choose_blocks(std::vector<double>{0.5, 0.5}, rule(4, 1, 2)), (Blocks{0, 1, -1, -1}));
  EXPECT_EQ(choose_blocks({}, rule(2, 1, 2)), (Blocks{-1, -1}));
}

/// Blocks 1 and 2 tie nearly; 3 is far behind.
const std::vector<double> kScores{0.1, 0.8, 0.8 * (1 - 1e-6), 0.4, 0.3, 0.0, 0.0, 0.05};

TEST(SelectionDifference, IsZeroForTheOraclesOwn) {
  for (const SelectionRule& r : {rule(3, 1, 1), rule(2, 0, 0), rule(8, 0, 0), rule(20, 3, 3), rule(2, 3, 3)})
    EXPECT_EQ(selection_difference(choose_blocks(kScores, r), kScores, r), 0);
}

TEST(SelectionDifference, MeasuresTheScoresThatChangedPlaces) {
  EXPECT_EQ(choose_blocks(kScores, rule(1, 0, 0)), Blocks{1});
  EXPECT_NEAR(selection_difference(Blocks{2}, kScores, rule(1, 0, 0)), 1e-6, 1e-9);
  EXPECT_NEAR(selection_difference(Blocks{3}, kScores, rule(1, 0, 0)), 0.5, 1e-9);
  EXPECT_NEAR(selection_difference(Blocks{0, 2}, kScores, rule(2, 0, 0)), 0.875, 1e-9);
}

TEST(SelectionDifference, IsInfiniteWithoutAForcedBlock) {
  EXPECT_EQ(selection_difference(Blocks{1, 2, 7}, kScores, rule(3, 1, 1)), kInfinity);
  EXPECT_EQ(selection_difference(Blocks{0, 1, 2}, kScores, rule(3, 1, 1)), kInfinity);
  EXPECT_EQ(selection_difference(Blocks{0, 2, 7}, kScores, rule(3, 1, 1)), 1 - kScores[2] / kScores[1]);
}

TEST(SelectionDifference, IsInfiniteForWhatIsNoSelection) {
  const auto r = rule(3, 0, 0);
  for (const Blocks& blocks :
       {Blocks{2, 1, 3}, Blocks{1, 1, 2}, Blocks{1, 2, -1}, Blocks{-1, 1, 2}, Blocks{1, 2, 8}, Blocks{1, 2}, Blocks{1, 2, 3, 4}})
    EXPECT_EQ(selection_difference(blocks, kScores, r), kInfinity);
  EXPECT_EQ(selection_difference(Blocks{0, 1, 2}, std::vector<double>{0.5, 0.2}, r), kInfinity);
  EXPECT_EQ(selection_difference(Blocks{0, -1, -1}, std::vector<double>{0.5, 0.2}, r), kInfinity);
  EXPECT_EQ(selection_difference(Blocks{0, 1, -1}, std::vector<double>{0.5, 0.2}, r), 0);
}

TEST(SelectionDifference, TakesScoresBelowFloatForEqual) {
  EXPECT_EQ(selection_difference(Blocks{1}, std::vector<double>{1e-200, 1e-300}, rule(1, 0, 0)), 0);
  EXPECT_GT(selection_difference(Blocks{1}, std::vector<double>{1e-30, 1e-200}, rule(1, 0, 0)), 0.9);
}

SelectionComparison compare_one(Blocks blocks, double largest_logit = 1) {
  const SelectionRow row{.token = 0, .kv_head = 0};
  const RowScores scores{.blocks = kScores, .largest_logit = largest_logit};
  const auto topk = static_cast<std::int64_t>(blocks.size());
  return compare_selection(TensorView::contiguous(blocks.data(), DType::kI32, {1, 1, topk}), {&row, 1}, {&scores, 1},
                           rule(static_cast<int>(topk), 0, 0));
}

TEST(CompareSelection, PassesEqualRowsAndNearTies) {
  const auto equal = compare_one({1, 2, 3});
  EXPECT_TRUE(equal.right());
  EXPECT_EQ(equal.rows, 1);
  EXPECT_EQ(equal.exchanged, 0);
  const auto tie = compare_one({2});
  EXPECT_TRUE(tie.right());
  EXPECT_EQ(tie.exchanged, 1);
  EXPECT_NEAR(tie.worst, 1e-6, 1e-9);
}

TEST(CompareSelection, RejectsAWrongRowAndSaysWhich) {
  const auto wrong = compare_one({0, 2});
  EXPECT_FALSE(wrong.right());
  EXPECT_EQ(wrong.wrong, 1);
  EXPECT_NE(wrong.describe().find("[0 2] instead of [1 2]"), std::string::npos) << wrong.describe();
  EXPECT_FALSE(compare_one({1, 4}).right());
  EXPECT_FALSE(compare_one({2, 1}).right());
  EXPECT_FALSE(compare_one({1, -1}).right());
  EXPECT_FALSE(compare_one({1, 1'000'000}).right());
}

TEST(CompareSelection, AllowsForLargeLogits) {
  // 0.4 and 0.3 are a quarter apart: logits of a million are not known that well, logits of a thousand are.
  EXPECT_TRUE(compare_one({1, 2, 4}, 2e6).right());
  EXPECT_FALSE(compare_one({1, 2, 4}, 1e3).right());
}

TEST(CompareSelection, ReadsTheRowsOfTheGivenHeadsAndTokens) {
  Blocks all(2 * 3 * 2, -1);
  const SelectionRow row{.token = 1, .kv_head = 1};
  const RowScores scores{.blocks = kScores, .largest_logit = 1};
  const auto compared = [&] {
    return compare_selection(TensorView::contiguous(all.data(), DType::kI32, {2, 3, 2}), {&row, 1}, {&scores, 1}, rule(2, 0, 0));
  };
  EXPECT_FALSE(compared().right());
  all[(1 * 3 + 1) * 2] = 1;
  all[(1 * 3 + 1) * 2 + 1] = 2;
  EXPECT_TRUE(compared().right());
}

TEST(SelectionRows, CoverAllAndSampleTheEnds) {
  const auto all = selection_rows(5, 3);
  ASSERT_EQ(all.size(), 15u);
  EXPECT_EQ(all[7].kv_head, 1);
  EXPECT_EQ(all[7].token, 2);
  const auto sample = sample_selection_rows(1000, 4, 7);
  ASSERT_EQ(sample.size(), 7u);
  EXPECT_EQ(sample.front().token, 0);
  EXPECT_EQ(sample.front().kv_head, 0);
  EXPECT_EQ(sample.back().token, 999);
  EXPECT_EQ(sample.back().kv_head, 3);
  EXPECT_TRUE(selection_rows(0, 4).empty());
}

}  // namespace
}  // namespace fsa::reference
