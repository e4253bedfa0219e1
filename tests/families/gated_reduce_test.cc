// partial_reduce with the gated sum in the place of o: against the oracle, and against a separate gated_combine.
#include <gtest/gtest.h>

#include <ostream>

#include "templates/families.h"
#include "templates/gated_combine/problem.h"
#include "templates/reference/compare.h"
#include "templates/reference/gated_combine_reference.h"
#include "tests/families/conformance.h"
#include "tests/families/random_branches.h"
#include "tests/families/strided_copy.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

constexpr const char* kPartials = "block_major_partials";

struct GatedCase {
  std::string name;
  SelectedCase selection;
  Element gates = Element::kBF16;
  GateOptions gate_options = {};
};
void PrintTo(const GatedCase& c, std::ostream* out) { *out << c.name; }

constexpr const char* json_name(Element e) { return e == Element::kBF16 ? "bf16" : e == Element::kF16 ? "f16" : "f32"; }

/// Selected attention through partial outputs, its last step with `fields` added to the problem.
Result<std::vector<ChainStep>> steps_with(Lab& lab, const SelectedProblem& p, const Json& fields) {
  const bool cpu = backend_under_test() == Backend::kCpu;
  FSA_ASSIGN_OR_RETURN(auto steps, selected_steps(p, {.variant = cpu ? kPartials : "block_major"}, lab.target()));
  ChainStep& last = steps.back();
  last.problem.update(fields);
  FSA_RETURN_IF_ERROR(last.kernel->check(last.problem, lab.target()));
  FSA_ASSIGN_OR_RETURN(last.config, last.kernel->complete_config(last.problem, last.config, lab.target()));
  return steps;
}

/// Everything a gated chain reads, and the float64 answer.
class GatedInputs {
 public:
  explicit GatedInputs(const GatedCase& c)
      : selected(c.selection.make()),
        layout(c.selection.layout),
        gates(reference::dtype_of(c.gates), problem().total_q, heads(), c.gate_options),
        branches(problem().total_q, heads(), problem().head_dim_v, layout) {
    const auto x = selected.operands();
    attention = reference::selected_attention(x).value();
    std::vector<float> o(attention.o.begin(), attention.o.end());
    auto views = branches.views();
    views[1] = TensorView::contiguous(o.data(), DType::kF32, {problem().total_q, heads(), problem().head_dim_v});
    expected = reference::gated_combine(views, gates.view());
  }

  const SelectedProblem& problem() const { return selected.problem; }
  std::int64_t heads() const { return std::int64_t{problem().heads_kv} * problem().group; }
  StridedCopy output() const {
    return {TensorView::contiguous(nullptr, reference::dtype_of(problem().output), {problem().total_q, heads(), problem().head_dim_v}),
            layout, false};
  }
  std::vector<Binding> bindings() const {
    const auto x = selected.operands();
    const auto o = branches.views();
    return {{"q", x.q},
            {"k", x.k},
            {"v", x.v},
            {"block_indices", x.block_indices},
            {"cu_q", x.cu_q},
            {"cu_k", x.cu_k},
            {"o_cmp", o[0]},
            {"o_win", o[2]},
            {"gates", gates.view()}};
  }

  reference::SelectedInputs selected;
  Layout layout;
  RandomGates gates;
  RandomBranches branches;
  reference::SelectedOutputs attention;
  std::vector<double> expected;
};

class GatedReduce : public testing::TestWithParam<GatedCase> {};

TEST_P(GatedReduce, SumsTheBranchesUp) {
  FSA_LAB_OR_SKIP(lab);
  if (GetParam().selection.problem.element == Element::kF32 && backend_under_test() == Backend::kCuda)
    GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const GatedInputs inputs(GetParam());
  ASSERT_TRUE(inputs.branches.ok()) << "no address space for the test's tensors";
  auto steps = steps_with(lab, inputs.problem(), {{"gated", 1}, {"gates", json_name(GetParam().gates)}});
  ASSERT_TRUE(steps) << steps.error().message();
  const auto chain = KernelChain::build(lab, std::move(steps).value());
  ASSERT_TRUE(chain) << chain.error().message();

  const StridedCopy first = inputs.output(), second = inputs.output();
  std::vector<float> lse_values(inputs.attention.lse.size());
  const TensorView lse = TensorView::contiguous(lse_values.data(), DType::kF32, {inputs.heads(), inputs.problem().total_q});
  auto ran = chain->run(inputs.bindings(), {{"out", first.view()}, {"lse", lse}}, 0xff);
  ASSERT_TRUE(ran) << ran.error().message();
  const auto difference = reference::compare(first.view(), lse, {.o = inputs.expected, .lse = inputs.attention.lse});
  const ChainStep& last = chain->steps().back();
  EXPECT_TRUE(difference.within(last.kernel->tolerance(last.problem))) << difference.describe();
  EXPECT_TRUE(first.gaps_hold(0xff)) << "a kernel wrote between the rows of out";
  ran = chain->run(inputs.bindings(), {{"out", second.view()}}, 0x5a);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(first.same_rows(second, 0, inputs.problem().total_q)) << "two runs differ";
}

/// The reduction with f32 outputs, and gated_combine after it.
Result<std::vector<ChainStep>> separate_steps(Lab& lab, SelectedProblem p, Element gates) {
  const Json combine =
      to_json(gated_combine::problem_fields(),
              GatedCombineProblem{
                  .element = p.output, .gates = gates, .head_dim_v = p.head_dim_v, .heads_q = p.heads_kv * p.group, .total_q = p.total_q});
  p.output = Element::kF32;
  FSA_ASSIGN_OR_RETURN(auto steps, steps_with(lab, p, Json::object()));
  const Kernel* kernel = find_family("gated_combine")->kernel(lab.target().backend);
  steps.push_back({kernel, combine, kernel->default_config(combine, lab.target())});
  return steps;
}

TEST_P(GatedReduce, GivesTheBitsOfASeparateSum) {
  FSA_LAB_OR_SKIP(lab);
  if (GetParam().selection.problem.element == Element::kF32 && backend_under_test() == Backend::kCuda)
    GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const GatedInputs inputs(GetParam());
  ASSERT_TRUE(inputs.branches.ok()) << "no address space for the test's tensors";
  const SelectedProblem& p = inputs.problem();
  auto fused = steps_with(lab, p, {{"gated", 1}, {"gates", json_name(GetParam().gates)}});
  auto separate = separate_steps(lab, p, GetParam().gates);
  ASSERT_TRUE(fused && separate);
  const auto fused_chain = KernelChain::build(lab, std::move(fused).value());
  ASSERT_TRUE(fused_chain) << fused_chain.error().message();
  const StridedCopy out = inputs.output(), expected = inputs.output();
  auto ran = fused_chain->run(inputs.bindings(), {{"out", out.view()}});
  ASSERT_TRUE(ran) << ran.error().message();

  // What the reduction calls o, the sum calls o_sel.
  const ChainStep combine = separate->back();
  separate->pop_back();
  const auto reduce = KernelChain::build(lab, std::move(separate).value()), sum = KernelChain::build(lab, {combine});
  ASSERT_TRUE(reduce && sum);
  const StridedCopy o(TensorView::contiguous(nullptr, DType::kF32, {p.total_q, inputs.heads(), p.head_dim_v}), inputs.layout, false);
  ran = reduce->run(inputs.bindings(), {{"o", o.view()}});
  ASSERT_TRUE(ran) << ran.error().message();
  auto bindings = inputs.bindings();
  bindings.push_back({"o_sel", o.view()});
  ran = sum->run(bindings, {{"out", expected.view()}});
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(out.same_rows(expected, 0, p.total_q));
}

std::vector<GatedCase> cases() {
  constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;
  const auto selection = [](Element element, Element output, int d, int dv, int group) {
    return SelectedCase{.name = {},
                        .problem = {.element = element,
                                    .output = output,
                                    .head_dim = d,
                                    .head_dim_v = dv,
                                    .group = group,
                                    .block_size = 32,
                                    .topk = 5,
                                    .heads_kv = 2},
                        .options = {.lens_q = {90, 0, 60}, .lens_k = {90, 7, 130}}};
  };
  std::vector<GatedCase> list{
      {.name = "bf16_g4_d128", .selection = selection(kB, kB, 128, 128, 4)},
      {.name = "f16_g1_d64_gates_f32", .selection = selection(kH, kH, 64, 64, 1), .gates = kF},
      {.name = "f32_output_g3_dv72_gates_f16", .selection = selection(kB, kF, 64, 72, 3), .gates = kH},
      {.name = "f32_g2_d40", .selection = selection(kF, kF, 40, 24, 2), .gates = kF},
      {.name = "g5_dv256_gates_per_token", .selection = selection(kB, kB, 96, 256, 5), .gate_options = {.per_token = true}},
      {.name = "odd_gate_strides", .selection = selection(kH, kF, 64, 40, 2), .gate_options = {.token_stride = 17}}};
  GatedCase rows_without_blocks{.name = "rows_without_blocks", .selection = selection(kB, kB, 64, 64, 4)};
  rows_without_blocks.selection.options.empty_rows = 0.4;
  list.push_back(rows_without_blocks);
  GatedCase strided{.name = "gaps_between_rows", .selection = selection(kB, kB, 64, 40, 3)};
  strided.selection.layout = Layout::kPadded;
  list.push_back(strided);
  return list;
}

INSTANTIATE_TEST_SUITE_P(Cases, GatedReduce, testing::ValuesIn(cases()), [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace fsa::test
