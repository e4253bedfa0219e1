// compressed_sequences: prefix sums for any number of sequences and any content of cu_k.
#include <gtest/gtest.h>

#include <limits>

#include "templates/compressed_sequences/problem.h"
#include "templates/families.h"
#include "templates/reference/compress_reference.h"
#include "templates/reference/random_numbers.h"
#include "tests/families/conformance.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

TensorView ints(const std::vector<std::int32_t>& values) {
  return TensorView::contiguous(values.data(), DType::kI32, {static_cast<std::int64_t>(values.size())});
}

/// What the kernel makes of cu_k.
Result<std::vector<std::int32_t>> run(Lab& lab, const std::vector<std::int32_t>& cu_k, int kernel_size, int stride,
                                      unsigned char poison = 0xff) {
  const Kernel* kernel = find_family("compressed_sequences")->kernel(backend_under_test());
  const CompressedSequencesProblem p{.kernel_size = kernel_size, .stride = stride, .num_seqs = static_cast<int>(cu_k.size()) - 1};
  const Json json = to_json(compressed_sequences::problem_fields(), p);
  FSA_RETURN_IF_ERROR(kernel->check(json, lab.target()));
  FSA_ASSIGN_OR_RETURN(const KernelChain chain, KernelChain::build(lab, {{kernel, json, kernel->default_config(json, lab.target())}}));
  std::vector<std::int32_t> cu_c(cu_k.size());
  FSA_RETURN_IF_ERROR(chain.run({{"cu_k", ints(cu_k)}}, {{"cu_c", ints(cu_c)}}, poison));
  return cu_c;
}

void expect_right(Lab& lab, const std::vector<std::int32_t>& cu_k, int kernel_size, int stride) {
  for (unsigned char poison : {0xff, 0x5a}) {
    const auto cu_c = run(lab, cu_k, kernel_size, stride, poison);
    ASSERT_TRUE(cu_c) << cu_c.error().message();
    EXPECT_EQ(*cu_c, reference::compressed_cu(cu_k, kernel_size, stride));
  }
}

TEST(CompressedSequences, AreTheOraclesForAnyNumberOfSequences) {
  FSA_LAB_OR_SKIP(lab);
  reference::Random random(3, 0);
  for (int count : {0, 1, 2, 31, 32, 33, 255, 256, 257, 700, 5000}) {
    SCOPED_TRACE(count);
    std::vector<std::int32_t> cu_k{0};
    for (int b = 0; b < count; ++b) cu_k.push_back(cu_k.back() + static_cast<int>(random.below(b % 7 == 0 ? 1 : 200)));
    expect_right(lab, cu_k, 32, 16);
    expect_right(lab, cu_k, 12, 4);
  }
}

TEST(CompressedSequences, CountWindowsAroundTheirLength) {
  FSA_LAB_OR_SKIP(lab);
  expect_right(lab, {0, 0, 1, 32, 64, 97, 144, 192, 241}, 32, 16);
  expect_right(lab, {0, 0, 1, 3, 1 << 20, (1 << 20) + 7}, 1, 1);
  expect_right(lab, {0, 255, 511, 768, 1200}, 256, 32);
  EXPECT_EQ(*run(lab, {0, 31, 63, 96, 144}, 32, 16), (std::vector<std::int32_t>{0, 0, 1, 2, 4}));
}

TEST(CompressedSequences, AscendWhateverTheBoundsAre) {
  FSA_LAB_OR_SKIP(lab);
  constexpr int kMax = std::numeric_limits<int>::max(), kMin = std::numeric_limits<int>::min();
  expect_right(lab, {0, 300, 100, 400}, 32, 16);
  expect_right(lab, {kMin, kMax, kMin, kMax, 0, kMax}, 1, 1);
  expect_right(lab, {kMax, kMin, 0, -1000, 50}, 256, 16);
  EXPECT_EQ(*run(lab, {kMin, kMax, kMin, kMax}, 1, 1), (std::vector<std::int32_t>{0, kMax, kMax, kMax}));
}

class CompressedSequencesGolden : public testing::TestWithParam<std::string> {};

TEST_P(CompressedSequencesGolden, FileIsReproduced) {
  FSA_LAB_OR_SKIP(lab);
  const auto golden = Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const auto vector_of = [&](const char* name) {
    const TensorView t = golden->tensor(name);
    const auto* data = static_cast<const std::int32_t*>(t.data);
    return std::vector<std::int32_t>(data, data + t.num_elements());
  };
  const auto cu_c = run(lab, vector_of("cu_k"), golden->number("kernel_size"), golden->number("stride"));
  ASSERT_TRUE(cu_c) << cu_c.error().message();
  EXPECT_EQ(*cu_c, vector_of("cu_c"));
}

INSTANTIATE_TEST_SUITE_P(Golden, CompressedSequencesGolden, testing::ValuesIn(golden_names()), [](const auto& each) { return each.param; });

}  // namespace
}  // namespace fsa::test
