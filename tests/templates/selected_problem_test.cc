#include "templates/selected_problem.h"

#include <gtest/gtest.h>

#include <limits>

namespace fsa {
namespace {

SelectedProblem good() { return {.total_q = 1000, .total_k = 1000, .scale = 0.1f}; }

/// The error of the changed problem; fails the test where it is accepted.
Error error_of(const SelectedProblem& problem, const char* target = "x86-64-v3") {
  const auto checked = check_selected_problem(problem, Target::parse(target).value());
  EXPECT_FALSE(checked.ok());
  return checked ? Error{} : checked.error();
}

void expect_unsupported(const Error& error, const std::string& given, const std::string& supported) {
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported);
  EXPECT_NE(error.given.find(given), std::string::npos) << error.given;
  EXPECT_NE(error.supported.find(supported), std::string::npos) << error.supported;
}

TEST(SelectedProblem, EveryDocumentedSizeIsAccepted) {
  const Target target = Target::parse("sm_80").value();
  for (int d = 16; d <= 256; d += 8) {
    auto p = good();
    p.head_dim = d;
    p.head_dim_v = 272 - d;
    EXPECT_TRUE(check_selected_problem(p, target)) << d;
  }
  for (int block = 16; block <= 128; block += 16) {
    auto p = good();
    p.block_size = block;
    p.group = block / 16;
    p.topk = block / 2;
    EXPECT_TRUE(check_selected_problem(p, target)) << block;
  }
}

TEST(SelectedProblem, EmptyProblemsAreAccepted) {
  auto p = good();
  p.total_q = p.total_k = p.num_seqs = 0;
  EXPECT_TRUE(check_selected_problem(p, Target::parse("sm_90a").value()));
}

TEST(SelectedProblem, AHeadDimThatIsNoMultipleOfEightIsToldHowToPad) {
  for (int d : {0, 8, 20, 260, 264, -16}) {
    auto p = good();
    p.head_dim = d;
    const Error error = error_of(p);
    expect_unsupported(error, "head_dim is " + std::to_string(d), "multiples of 8 from 16 to 256");
    EXPECT_NE(error.remedy.find("pad"), std::string::npos);
    p = good();
    p.head_dim_v = d;
    expect_unsupported(error_of(p), "head_dim_v is " + std::to_string(d), "multiples of 8 from 16 to 256");
  }
}

TEST(SelectedProblem, BlockSizeTopkAndGroupOutOfRangeAreNamed) {
  for (int block : {0, 8, 24, 144, 256}) {
    auto p = good();
    p.block_size = block;
    expect_unsupported(error_of(p), "block_size is " + std::to_string(block), "multiples of 16 from 16 to 128");
  }
  for (int topk : {-1, 0, 65}) {
    auto p = good();
    p.topk = topk;
    expect_unsupported(error_of(p), "topk is " + std::to_string(topk), "1 to 64");
  }
  auto p = good();
  p.group = 0;
  expect_unsupported(error_of(p), "is 0", "1 and up");
}

TEST(SelectedProblem, NegativeSizesAreNamed) {
  auto p = good();
  p.total_q = -1;
  expect_unsupported(error_of(p), "total_q is -1", "0 and up");
  p = good();
  p.num_seqs = -3;
  expect_unsupported(error_of(p), "num_seqs is -3", "0 and up");
  p = good();
  p.heads_kv = 0;
  expect_unsupported(error_of(p), "heads_kv is 0", "1 and up");
}

TEST(SelectedProblem, MoreSlotsThanAnIndexHoldsIsToldToSplit) {
  auto p = good();
  p.total_q = p.total_k = std::int64_t{1} << 27;
  p.topk = 16;
  const Error error = error_of(p);
  expect_unsupported(error, "134217728", "2^31");
  EXPECT_NE(error.remedy.find("split"), std::string::npos);
}

TEST(SelectedProblem, AScaleThatIsNotPositiveIsNamed) {
  for (float scale : {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    auto p = good();
    p.scale = scale;
    expect_unsupported(error_of(p), "scale is", "positive");
  }
}

TEST(SelectedProblem, Float32IsForCpusAlone) {
  auto p = good();
  p.element = p.output = Element::kF32;
  EXPECT_TRUE(check_selected_problem(p, Target::parse("x86-64-v4").value()));
  const Error error = error_of(p, "sm_90a");
  expect_unsupported(error, "f32", "bf16 and f16");
  EXPECT_NE(error.remedy.find("convert"), std::string::npos);
}

TEST(SelectedProblem, OutputsHaveTheElementTypeOrFloat32) {
  const Target gpu = Target::parse("sm_90a").value();
  for (Element element : {Element::kBF16, Element::kF16})
    for (Element output : {Element::kBF16, Element::kF16, Element::kF32}) {
      auto p = good();
      p.element = element;
      p.output = output;
      EXPECT_EQ(check_selected_problem(p, gpu).ok(), output == element || output == Element::kF32);
    }
  auto p = good();
  p.output = Element::kF16;
  const Error error = error_of(p);
  expect_unsupported(error, "output f16 of bf16 inputs", "bf16 and f32");
  EXPECT_NE(error.remedy.find("set output"), std::string::npos);
}

TEST(SelectedProblem, SurvivesJson) {
  SelectedProblem p{.element = Element::kF16,
                    .output = Element::kF32,
                    .head_dim = 96,
                    .head_dim_v = 64,
                    .group = 7,
                    .block_size = 48,
                    .topk = 5,
                    .heads_kv = 3,
                    .num_seqs = 2,
                    .total_q = 5'000'000'000,
                    .total_k = 77,
                    .scale = 0.088388346f,
                    .item_tokens = 128,
                    .partial = 1};
  const Json json = to_json(selected_problem_fields(), p);
  EXPECT_EQ(json["element"], "f16");
  EXPECT_EQ(json["output"], "f32");
  EXPECT_EQ(json["partial"], "bf16");
  const auto back = from_json(selected_problem_fields(), Json::parse(json.dump()), "problem");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, p);
}

TEST(SelectedProblem, CellsOfNeighbouringSequencesNeverOverlap) {
  // Sequence b owns cells cu_k[b] / block + b and up: one more than the blocks of all before it, at least.
  for (int block : {16, 48, 128})
    for (int first : {0, 1, 15, 16, 17, 127, 128, 129})
      for (int second : {0, 1, 47, 48, 200}) {
        SelectedProblem p{.block_size = block, .num_seqs = 2, .total_k = first + second};
        const int blocks_of_first = (first + block - 1) / block, blocks_of_second = (second + block - 1) / block;
        const int start_of_second = first / block + 1;
        EXPECT_LE(blocks_of_first, start_of_second);
        EXPECT_LE(start_of_second + blocks_of_second, p.cells());
      }
}

TEST(SelectedProblem, WorkCountsVisiblePairsOnce) {
  // One query row at the end of a long context sees topk * block_size keys, give or take its own block.
  SelectedProblem p{
      .head_dim = 64, .head_dim_v = 32, .group = 2, .block_size = 64, .topk = 4, .heads_kv = 3, .total_q = 100'000, .total_k = 100'000};
  const double rows = 100'000.0 * 6, most = 2 * rows * 256 * 96;
  EXPECT_LT(selected_work(p).flops, most);
  EXPECT_GT(selected_work(p).flops, 0.99 * most);
  const double qo = 2 * rows * 96, kv = 2 * 100'000.0 * 3 * 96, blocks = 4.0 * 100'000 * 3 * 4;
  EXPECT_DOUBLE_EQ(selected_work(p).bytes, qo + kv + blocks);
}

}  // namespace
}  // namespace fsa
