// On a GPU nobody looks at cu_q, cu_k and block_indices before a launch: whatever they hold, no kernel may leave its tensors.
#include <gtest/gtest.h>

#include <limits>

#include "tests/families/conformance.h"
#include "tests/families/strided_copy.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

using Lengths = std::vector<std::int32_t>;

struct HostileBounds {
  std::string name;
  Lengths cu_q, cu_k;
};

void PrintTo(const HostileBounds& bounds, std::ostream* out) { *out << bounds.name; }

class HostileSequenceBounds : public testing::TestWithParam<std::tuple<HostileBounds, std::string>> {};

TEST_P(HostileSequenceBounds, FaultNothing) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [bounds, variant] = GetParam();
  if (const std::string reason = reason_to_skip(selection_cases().at(0).problem, variant, lab.target()); !reason.empty())
    GTEST_SKIP() << reason;
  const auto inputs = selection_cases().at(0).make();
  auto steps = selected_steps(
      [&] {
        auto p = inputs.problem;
        p.num_seqs = 3;
        return p;
      }(),
      {.variant = variant}, lab.target());
  ASSERT_TRUE(steps) << steps.error().message();
  auto chain = KernelChain::build(lab, std::move(steps).value());
  ASSERT_TRUE(chain) << chain.error().message();
  const auto x = inputs.operands();
  const auto ints = [](const Lengths& v) { return TensorView::contiguous(v.data(), DType::kI32, {static_cast<std::int64_t>(v.size())}); };
  const auto ran = chain->run(
      {{"q", x.q}, {"k", x.k}, {"v", x.v}, {"block_indices", x.block_indices}, {"cu_q", ints(bounds.cu_q)}, {"cu_k", ints(bounds.cu_k)}},
      {});
  EXPECT_TRUE(ran) << ran.error().message();
}

constexpr int kMax = std::numeric_limits<int>::max(), kMin = std::numeric_limits<int>::min();

INSTANTIATE_TEST_SUITE_P(Bounds, HostileSequenceBounds,
                         testing::Combine(testing::Values(HostileBounds{"decreasing", {0, 300, 100, 400}, {0, 300, 100, 400}},
                                                          HostileBounds{"past_the_end", {0, 100, 200, 100000}, {0, 100, 200, 100000}},
                                                          HostileBounds{"negative", {-5000, -100, 200, 400}, {-5000, -100, 200, 400}},
                                                          HostileBounds{"extreme", {0, kMax, kMin, 400}, {kMin, kMax, 0, kMax}},
                                                          HostileBounds{"more_queries_than_keys", {0, 300, 350, 400}, {0, 10, 20, 400}}),
                                          testing::Values("block_major", "query_major", "hybrid")),
                         [](const auto& each) { return std::get<0>(each.param).name + "_" + std::get<1>(each.param); });

}  // namespace
}  // namespace fsa::test
