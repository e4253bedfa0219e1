// Compressed attention and the sliding window: default configs on every problem, other configs on some, the golden files, and
// prefix sums that nobody checked.
#include <gtest/gtest.h>

#include <limits>

#include "tests/families/config_choice.h"
#include "tests/families/conformance.h"
#include "tests/families/range_case.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

class RangeAttention : public testing::TestWithParam<RangeCase> {};

TEST_P(RangeAttention, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  expect_right(lab, GetParam(), Json::object());
}

const auto case_name = [](const auto& each) { return each.param.name; };
INSTANTIATE_TEST_SUITE_P(Shapes, RangeAttention, testing::ValuesIn(range_shape_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Sequences, RangeAttention, testing::ValuesIn(range_sequence_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Values, RangeAttention, testing::ValuesIn(range_value_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Layouts, RangeAttention, testing::ValuesIn(range_layout_cases()), case_name);

/// A pick and its seed.
struct RangePick {
  std::string name;
  Pick pick;
  std::uint64_t seed = 0;
};

void PrintTo(const RangePick& pick, std::ostream* out) { *out << pick.name; }

class RangeAttentionConfig : public testing::TestWithParam<std::tuple<RangeCase, RangePick>> {};

TEST_P(RangeAttentionConfig, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [description, pick] = GetParam();
  if (description.problem.element == Element::kF32 && backend_under_test() == Backend::kCuda)
    GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const RangeProblem problem = description.make().problem;
  reference::Random random(pick.seed, 0);
  const auto config = pick_config(*range_kernel(problem, backend_under_test()), range_json(problem), pick.pick, random, lab.target());
  ASSERT_TRUE(config) << config.error().message();
  expect_right(lab, description, *config);
}

std::vector<RangePick> range_picks() {
  std::vector<RangePick> list{{"smallest", Pick::kSmallest}, {"largest", Pick::kLargest}};
  for (std::uint64_t seed = 1; seed <= 4; ++seed) list.push_back({"random" + std::to_string(seed), Pick::kRandom, seed});
  return list;
}

INSTANTIATE_TEST_SUITE_P(Configs, RangeAttentionConfig,
                         testing::Combine(testing::ValuesIn(range_config_cases()), testing::ValuesIn(range_picks())),
                         [](const auto& each) { return std::get<0>(each.param).name + "_" + std::get<1>(each.param).name; });

/// The problem and operands of one branch of a golden file: "cmp" or "win".
struct GoldenBranch {
  RangeProblem problem;
  reference::RangeOperands operands;
};

GoldenBranch golden_branch(const Golden& golden, const std::string& branch, Element output) {
  const SelectedProblem p = golden.problem();
  const bool compressed = branch == "cmp";
  const TensorView k = golden.tensor(compressed ? "ck" : "k"), v = golden.tensor(compressed ? "cv" : "v");
  GoldenBranch b{.problem = {.element = p.element,
                             .output = output,
                             .head_dim = p.head_dim,
                             .head_dim_v = p.head_dim_v,
                             .group = p.group,
                             .heads_kv = p.heads_kv,
                             .num_seqs = p.num_seqs,
                             .total_q = p.total_q,
                             .total_k = p.total_k,
                             .total_rows = k.shape[0],
                             .scale = p.scale},
                 .operands = {.q = golden.tensor("q"),
                              .k = k,
                              .v = v,
                              .cu_q = golden.tensor("cu_q"),
                              .cu_k = golden.tensor("cu_k"),
                              .cu_rows = golden.tensor(compressed ? "cu_c" : "cu_k"),
                              .scale = p.scale,
                              .visible = {}}};
  if (compressed) {
    b.problem.kernel_size = golden.number("kernel_size");
    b.problem.stride = golden.number("stride");
  } else {
    b.problem.window = golden.number("window");
  }
  return b;
}

class GoldenRange : public testing::TestWithParam<std::tuple<std::string, std::string, Element>> {};

TEST_P(GoldenRange, IsReproduced) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [file, branch, output] = GetParam();
  const auto golden = Golden::load(file);
  ASSERT_TRUE(golden) << golden.error().message();
  const GoldenBranch b = golden_branch(*golden, branch, output);
  expect_right(lab, b.problem, b.operands, Json::object(), Layout::kPacked, golden->expected(branch));
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenRange,
                         testing::Combine(testing::ValuesIn(golden_names()), testing::Values("cmp", "win"),
                                          testing::Values(Element::kBF16, Element::kF32)),
                         [](const auto& each) {
                           return std::get<0>(each.param) + "_" + std::get<1>(each.param) +
                                  (std::get<2>(each.param) == Element::kF32 ? "_to_f32" : "_to_bf16");
                         });

using Lengths = std::vector<std::int32_t>;

struct BadBounds {
  std::string name;
  Lengths cu;
};

void PrintTo(const BadBounds& bounds, std::ostream* out) { *out << bounds.name; }

class RangeWithBadBounds : public testing::TestWithParam<std::tuple<BadBounds, bool>> {};

/// Nobody looks at prefix sums on a GPU before a launch: whatever they hold, no kernel may leave its tensors. On a CPU these end at
/// unreadable pages.
TEST_P(RangeWithBadBounds, FaultsNothing) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [bounds, compressed] = GetParam();
  RangeProblem p{.element = Element::kBF16,
                 .output = Element::kF32,
                 .head_dim = 64,
                 .head_dim_v = 64,
                 .group = 3,
                 .heads_kv = 2,
                 .num_seqs = 3,
                 .total_q = 400,
                 .total_k = 400,
                 .total_rows = 0,
                 .scale = 0};
  (compressed ? p.kernel_size : p.window) = 16;
  p.stride = compressed ? 8 : 0;
  const auto inputs = reference::random_range_inputs(p);
  const auto x = inputs.operands();
  const Kernel* kernel = range_kernel(inputs.problem, lab.target().backend);
  const Json json = range_json(inputs.problem);
  const auto chain = KernelChain::build(lab, {{kernel, json, kernel->default_config(json, lab.target())}});
  ASSERT_TRUE(chain) << chain.error().message();
  const TensorView cu = TensorView::contiguous(bounds.cu.data(), DType::kI32, {4});
  std::vector<Binding> bindings{{"q", x.q}, {compressed ? "ck" : "k", x.k}, {compressed ? "cv" : "v", x.v}, {"cu_q", cu}, {"cu_k", cu}};
  if (compressed) bindings.push_back({"cu_c", cu});
  const auto ran = chain->run(bindings, {});
  EXPECT_TRUE(ran) << ran.error().message();
}

constexpr int kMax = std::numeric_limits<int>::max(), kMin = std::numeric_limits<int>::min();

INSTANTIATE_TEST_SUITE_P(
    Bounds, RangeWithBadBounds,
    testing::Combine(testing::Values(BadBounds{"decreasing", {0, 300, 100, 400}}, BadBounds{"past_the_end", {0, 100, 200, 100000}},
                                     BadBounds{"negative", {-5000, -100, 200, 400}}, BadBounds{"extreme", {kMin, kMax, 0, kMax}},
                                     BadBounds{"late_start", {50, 60, 200, 300}}),
                     testing::Bool()),
    [](const auto& each) { return std::get<0>(each.param).name + (std::get<1>(each.param) ? "_compressed" : "_window"); });

}  // namespace
}  // namespace fsa::test
