// select_blocks on sequences of up to a million tokens, and on prefix sums that nobody looked at.
#include <gtest/gtest.h>

#include <limits>

#include "templates/families.h"
#include "tests/families/conformance.h"
#include "tests/families/select_blocks_run.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

class LargeSelectBlocks : public testing::TestWithParam<SelectBlocksCase> {};

TEST_P(LargeSelectBlocks, MatchesTheOracleInSampledRows) {
  FSA_LAB_OR_SKIP(lab);
  expect_selected(lab, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Large, LargeSelectBlocks, testing::ValuesIn(select_blocks_cases::large()),
                         [](const auto& each) { return each.param.name; });

using Lengths = std::vector<std::int32_t>;

struct HostileSums {
  std::string name;
  Lengths cu_q, cu_k, cu_c;
};

void PrintTo(const HostileSums& sums, std::ostream* out) { *out << sums.name; }

class HostileSelectBlocks : public testing::TestWithParam<HostileSums> {};

TEST_P(HostileSelectBlocks, FaultsNothing) {
  FSA_LAB_OR_SKIP(lab);
  SelectBlocksCase description{
      .name = "hostile", .problem = {.head_dim = 64, .group = 2, .topk = 4, .heads_kv = 2}, .lens_q = {200, 100, 100}};
  const SelectBlocksInputs inputs = description.make();
  const Kernel* kernel = find_family("select_blocks")->kernel(lab.target().backend);
  const Json json = to_json(select_blocks::problem_fields(), inputs.problem);
  auto chain = KernelChain::build(lab, {{kernel, json, kernel->default_config(json, lab.target())}});
  ASSERT_TRUE(chain) << chain.error().message();
  const auto x = inputs.operands();
  const auto ints = [](const Lengths& v) { return TensorView::contiguous(v.data(), DType::kI32, {static_cast<std::int64_t>(v.size())}); };
  const HostileSums& sums = GetParam();
  const auto ran = chain->run(
      {{"q", x.q}, {"ck", x.ck}, {"lse", x.lse}, {"cu_q", ints(sums.cu_q)}, {"cu_k", ints(sums.cu_k)}, {"cu_c", ints(sums.cu_c)}}, {});
  EXPECT_TRUE(ran) << ran.error().message();
}

constexpr int kMax = std::numeric_limits<int>::max(), kMin = std::numeric_limits<int>::min();

INSTANTIATE_TEST_SUITE_P(Sums, HostileSelectBlocks,
                         testing::Values(HostileSums{"decreasing", {0, 300, 100, 400}, {0, 300, 100, 400}, {0, 17, 4, 23}},
                                         HostileSums{"past_the_end", {0, 100, 200, 100000}, {0, 100, 200, 100000}, {0, 4, 9, 100000}},
                                         HostileSums{"negative", {-5000, -100, 200, 400}, {-5000, -100, 200, 400}, {-300, -6, 9, 23}},
                                         HostileSums{"extreme", {0, kMax, kMin, 400}, {kMin, kMax, 0, kMax}, {kMax, kMin, kMax, 0}},
                                         HostileSums{"more_queries_than_keys", {0, 300, 350, 400}, {0, 10, 20, 400}, {0, 0, 0, 23}},
                                         HostileSums{
                                             "more_compressed_keys_than_fit", {0, 300, 350, 400}, {0, 300, 350, 400}, {0, 23, 23, 23}}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace fsa::test
