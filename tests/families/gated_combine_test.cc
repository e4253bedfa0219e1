// gated_combine against the oracle and the golden files.
#include <gtest/gtest.h>

#include <ostream>

#include "templates/families.h"
#include "templates/gated_combine/problem.h"
#include "templates/reference/compare.h"
#include "templates/reference/gated_combine_reference.h"
#include "templates/reference/numeric.h"
#include "templates/reference/random_numbers.h"
#include "templates/reference/random_problem.h"
#include "tests/families/config_choice.h"
#include "tests/families/conformance.h"
#include "tests/families/strided_copy.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;

struct CombineCase {
  std::string name;
  GatedCombineProblem problem;
  std::int64_t gates_token_stride = 0;  ///< 0: packed
  bool gates_per_token = false;         ///< head stride 0
  Layout layout = Layout::kPacked;
  float gate = -1;  ///< of every branch; below 0: random in [0, 1)
};
void PrintTo(const CombineCase& c, std::ostream* out) { *out << c.name; }

const Kernel& kernel() { return *find_family("gated_combine")->kernel(backend_under_test()); }

/// Gates with the case's strides, odd numbers among them, in memory that they fill.
class Gates {
 public:
  explicit Gates(const CombineCase& c) {
    const GatedCombineProblem& p = c.problem;
    view_ = TensorView::contiguous(nullptr, reference::dtype_of(p.gates), {p.total_q, p.heads_q, 3});
    if (c.gates_per_token) view_.stride[0] = 3, view_.stride[1] = 0;
    if (c.gates_token_stride > 0) view_.stride[0] = c.gates_token_stride;
    const std::int64_t elements = p.total_q * view_.stride[0] + p.heads_q * view_.stride[1] + 3;
    memory_.resize(static_cast<std::size_t>(elements) * size_of(view_.dtype));
    view_.data = memory_.data();
    reference::Random random(17, 0);
    for (std::int64_t i = 0; i < elements; ++i)
      reference::store_element(view_, i, c.gate >= 0 ? c.gate : static_cast<float>(random.below(1000)) / 1000);
  }
  const TensorView& view() const { return view_; }

 private:
  std::vector<std::byte> memory_;
  TensorView view_;
};

/// The branches' outputs, random, in the layout under test.
class Branches {
 public:
  Branches(const GatedCombineProblem& p, Layout layout) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      std::vector<float> values(static_cast<std::size_t>(p.rows() * p.head_dim_v));
      reference::fill_normal(TensorView::contiguous(values.data(), DType::kF32, {p.rows() * p.head_dim_v}), 20 + i, 1);
      copies_.emplace_back(TensorView::contiguous(values.data(), DType::kF32, {p.total_q, p.heads_q, p.head_dim_v}), layout, true);
    }
  }
  std::array<TensorView, 3> views() const { return {copies_[0].view(), copies_[1].view(), copies_[2].view()}; }

 private:
  std::vector<StridedCopy> copies_;
};

void expect_combined(Lab& lab, const GatedCombineProblem& p, const std::array<TensorView, 3>& branches, const TensorView& gates,
                     const Json& config, Layout layout, std::span<const double> expected) {
  const Json json = to_json(gated_combine::problem_fields(), p);
  ASSERT_TRUE(kernel().check(json, lab.target()));
  const auto complete = kernel().complete_config(json, config, lab.target());
  ASSERT_TRUE(complete) << complete.error().message();
  SCOPED_TRACE(complete->dump());
  const auto chain = KernelChain::build(lab, {{&kernel(), json, *complete}});
  ASSERT_TRUE(chain) << chain.error().message();
  const TensorView packed = TensorView::contiguous(nullptr, reference::dtype_of(p.element), {p.total_q, p.heads_q, p.head_dim_v});
  const StridedCopy first(packed, layout, false), second(packed, layout, false);
  const std::vector<Binding> inputs{{"o_cmp", branches[0]}, {"o_sel", branches[1]}, {"o_win", branches[2]}, {"gates", gates}};
  auto ran = chain->run(inputs, {{"out", first.view()}}, 0xff);
  ASSERT_TRUE(ran) << ran.error().message();
  const auto difference = reference::compare_output(first.view(), expected);
  EXPECT_TRUE(difference.within(kernel().tolerance(json))) << difference.describe();
  EXPECT_TRUE(first.gaps_hold(0xff)) << "a kernel wrote between the rows of out";
  ran = chain->run(inputs, {{"out", second.view()}}, 0x5a);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(first.same_rows(second, 0, p.total_q)) << "two runs differ";
}

class GatedCombine : public testing::TestWithParam<CombineCase> {};

TEST_P(GatedCombine, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const CombineCase& c = GetParam();
  const Gates gates(c);
  const Branches branches(c.problem, c.layout);
  for (const TensorView& o : branches.views()) ASSERT_NE(o.data, nullptr) << "no address space for the test's tensors";
  expect_combined(lab, c.problem, branches.views(), gates.view(), Json::object(), c.layout,
                  reference::gated_combine(branches.views(), gates.view()));
}

GatedCombineProblem problem(Element element, Element gates, int dv, int heads, std::int64_t tokens) {
  return {.element = element, .gates = gates, .head_dim_v = dv, .heads_q = heads, .total_q = tokens};
}

std::vector<CombineCase> cases() {
  std::vector<CombineCase> list;
  constexpr const char* kNames[] = {"bf16", "f16", "f32"};
  for (Element element : {kB, kH, kF})
    for (Element gates : {kB, kH, kF})
      for (int dv : {16, 72, 128, 256}) {
        const std::string name = std::string(kNames[static_cast<int>(element)]) + "_gates_" + kNames[static_cast<int>(gates)];
        list.push_back({.name = name + "_dv" + std::to_string(dv), .problem = problem(element, gates, dv, 5, 77)});
      }
  const auto base = problem(kB, kB, 96, 4, 130);
  list.push_back({.name = "gates_per_token", .problem = base, .gates_per_token = true});
  list.push_back({.name = "gates_with_odd_strides", .problem = base, .gates_token_stride = 19});
  list.push_back(
      {.name = "gates_per_token_f32_odd", .problem = problem(kF, kF, 40, 3, 50), .gates_token_stride = 7, .gates_per_token = true});
  list.push_back({.name = "gates_of_0", .problem = base, .gate = 0});
  list.push_back({.name = "one_row", .problem = problem(kH, kF, 64, 1, 1)});
  list.push_back({.name = "no_rows", .problem = problem(kH, kF, 64, 3, 0)});
  list.push_back({.name = "many_rows", .problem = problem(kB, kB, 128, 16, 3000)});
  for (const auto& [name, layout] : {std::pair{"gaps_between_rows", Layout::kPadded},
                                     {"heads_outside_tokens", Layout::kHeadMajor},
                                     {"offsets_past_2_to_the_31", Layout::kFar}})
    list.push_back({.name = name, .problem = problem(kB, kH, 72, 3, 60), .layout = layout});
  return list;
}

INSTANTIATE_TEST_SUITE_P(Cases, GatedCombine, testing::ValuesIn(cases()), [](const auto& each) { return each.param.name; });

TEST(GatedCombineConfig, OfAnySizeMatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const CombineCase c{.name = "configs", .problem = problem(kB, kF, 104, 7, 333)};
  const Gates gates(c);
  const Branches branches(c.problem, Layout::kPacked);
  const auto expected = reference::gated_combine(branches.views(), gates.view());
  const Json json = to_json(gated_combine::problem_fields(), c.problem);
  for (const Json& config : kernel().configs(json, lab.target()))
    expect_combined(lab, c.problem, branches.views(), gates.view(), config, Layout::kPacked, expected);
}

class GatedCombineGolden : public testing::TestWithParam<std::string> {};

TEST_P(GatedCombineGolden, FileIsReproduced) {
  FSA_LAB_OR_SKIP(lab);
  const auto golden = Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const TensorView o = golden->tensor("out");
  for (Element element : {kF, kB})
    expect_combined(lab, problem(element, kB, static_cast<int>(o.shape[2]), static_cast<int>(o.shape[1]), o.shape[0]),
                    {golden->tensor("o_cmp"), golden->tensor("o_sel"), golden->tensor("o_win")}, golden->tensor("gates"), Json::object(),
                    Layout::kPacked, golden->values("out"));
}

INSTANTIATE_TEST_SUITE_P(Golden, GatedCombineGolden, testing::ValuesIn(golden_names()), [](const auto& each) { return each.param; });

}  // namespace
}  // namespace fsa::test
