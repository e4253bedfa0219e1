#include "templates/reference/compress_reference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "templates/reference/gated_combine_reference.h"
#include "tests/support/golden.h"

namespace fsa::reference {
namespace {

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) largest = std::max(largest, std::fabs(a[i] - b[i]));
  return largest;
}

std::vector<std::int32_t> ints(const TensorView& t) {
  const auto* data = static_cast<const std::int32_t*>(t.data);
  return {data, data + t.num_elements()};
}

class CompressionOnGolden : public testing::TestWithParam<std::string> {};

TEST_P(CompressionOnGolden, GivesWhatThePythonOracleGives) {
  const auto golden = test::Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  EXPECT_EQ(compressed_cu(ints(golden->tensor("cu_k")), golden->number("kernel_size"), golden->number("stride")),
            ints(golden->tensor("cu_c")));
  EXPECT_LT(largest_difference(
                gated_combine({golden->tensor("o_cmp"), golden->tensor("o_sel"), golden->tensor("o_win")}, golden->tensor("gates")),
                golden->values("out")),
            2e-6);  // of branch outputs that were rounded to float32
  if (!golden->has("ck_exact")) return;
  const CompressOperands keys{.x = golden->tensor("k"),
                              .w = golden->tensor("w_k"),
                              .pe = golden->tensor("pe"),
                              .cu_k = golden->tensor("cu_k"),
                              .kernel_size = golden->number("kernel_size"),
                              .stride = golden->number("stride")};
  CompressOperands values = keys;
  values.x = golden->tensor("v"), values.w = golden->tensor("w_v"), values.pe = {};
  const auto ck = compress(keys), cv = compress(values);
  ASSERT_TRUE(ck && cv);
  EXPECT_LT(largest_difference(*ck, golden->values("ck_exact")), 1e-6);
  EXPECT_LT(largest_difference(*cv, golden->values("cv_exact")), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Golden, CompressionOnGolden, testing::ValuesIn(test::golden_names()), [](const auto& each) { return each.param; });

/// Two sequences of 5 and 3 tokens, one head, one column: x = 1, 2, 4, ... 128.
struct Powers {
  std::vector<float> x{1, 2, 4, 8, 16, 32, 64, 128};
  std::vector<std::int32_t> cu_k{0, 5, 8};
  CompressOperands operands() const {
    return {.x = TensorView::contiguous(x.data(), DType::kF32, {8, 1, 1}),
            .w = {},
            .pe = {},
            .cu_k = TensorView::contiguous(cu_k.data(), DType::kI32, {3}),
            .kernel_size = 2,
            .stride = 1};
  }
};

TEST(CompressReference, MeansAndWeightedSumsOfWindows) {
  const Powers powers;
  auto o = powers.operands();
  EXPECT_EQ(*compress(o), (std::vector<double>{1.5, 3, 6, 12, 48, 96}));
  const std::vector<float> weights{1, 10};
  o.w = TensorView::contiguous(weights.data(), DType::kF32, {1, 2});
  EXPECT_EQ(*compress(o), (std::vector<double>{21, 42, 84, 168, 672, 1344}));
  o.stride = 2;
  EXPECT_EQ(*compress(o), (std::vector<double>{21, 84, 672}));
}

TEST(CompressReference, LinearAddsThePositionalTermFirst) {
  const Powers powers;
  auto o = powers.operands();
  const std::vector<float> weights{1, 10}, pe{100, 1000};
  o.w = TensorView::contiguous(weights.data(), DType::kF32, {1, 2, 1});
  o.pe = TensorView::contiguous(pe.data(), DType::kF32, {1, 2, 1});
  o.stride = 2;
  EXPECT_EQ(*compress(o), (std::vector<double>{10121, 10184, 10772}));
}

TEST(CompressReference, ShapesThatDisagreeAreRefused) {
  const Powers powers;
  auto o = powers.operands();
  o.w = TensorView::contiguous(powers.x.data(), DType::kF32, {1, 3});
  EXPECT_FALSE(compress(o));
}

TEST(CompressReference, NegativeLengthsCountAsNothing) {
  EXPECT_EQ(compressed_cu(std::vector<std::int32_t>{0, 40, 10, 43}, 32, 16), (std::vector<std::int32_t>{0, 1, 1, 2}));
}

}  // namespace
}  // namespace fsa::reference
