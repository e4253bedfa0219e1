#include "tests/families/conformance.h"

#include "tests/families/strided_copy.h"
#include "tests/families/two_runs.h"

namespace fsa::test {
namespace {

using reference::SelectedOperands;

/// The inputs in the layout under test, as bindings.
class BoundInputs {
 public:
  BoundInputs(const SelectedOperands& x, Layout layout) : q_(x.q, layout, true), k_(x.k, layout, true), v_(x.v, layout, true) {
    bindings_ = {{"q", q_.view()}, {"k", k_.view()}, {"v", v_.view()}, {"block_indices", x.block_indices},
                 {"cu_q", x.cu_q}, {"cu_k", x.cu_k}};
  }
  const std::vector<Binding>& bindings() const { return bindings_; }
  bool ok() const { return q_.view().data && k_.view().data && v_.view().data; }

 private:
  StridedCopy q_, k_, v_;
  std::vector<Binding> bindings_;
};

std::string describe(const KernelChain& chain) {
  std::string text;
  for (const ChainStep& s : chain.steps()) text += std::string(s.kernel->family()) + " " + s.config.dump() + "\n";
  return text;
}

}  // namespace

Backend backend_under_test() { return std::string_view(device_under_test()) == "cpu" ? Backend::kCpu : Backend::kCuda; }

std::vector<std::string> variant_names() {
  std::vector<std::string> names;
  for (const auto& v : selected_attention_operator().variants(backend_under_test())) names.push_back(v.name);
  return names;
}

void expect_right(Lab& lab, const SelectedProblem& problem, const SelectedOperands& inputs, const Choice& choice, Layout layout,
                  const reference::SelectedOutputs& expected, std::span<const reference::Row> rows, bool merges) {
  auto steps = selected_steps(problem, choice, lab.target());
  ASSERT_TRUE(steps) << steps.error().message();
  auto chain = KernelChain::build(lab, std::move(steps).value());
  ASSERT_TRUE(chain) << chain.error().message();
  SCOPED_TRACE(choice.variant + "\n" + describe(*chain));

  const BoundInputs bound(inputs, layout);
  ASSERT_TRUE(bound.ok()) << "no address space for the test's tensors";
  const OutputShape shape{reference::dtype_of(problem.output), problem.total_q, problem.heads_kv * problem.group, problem.head_dim_v, merges};
  expect_outputs(*chain, bound.bindings(), shape, layout, expected, rows);
}

std::shared_ptr<const PreparedCase> prepare(const SelectedCase& description) {
  static std::shared_ptr<const PreparedCase> latest;
  if (latest && latest->description.name == description.name) return latest;
  auto prepared = std::make_shared<PreparedCase>(PreparedCase{description, description.make(), {}, {}});
  const SelectedProblem& p = prepared->inputs.problem;
  if (description.sampled_rows > 0) prepared->rows = reference::sample_rows(p.total_q, p.heads_kv * p.group, description.sampled_rows);
  auto expected = prepared->rows.empty() ? reference::selected_attention(prepared->inputs.operands())
                                         : reference::selected_attention_rows(prepared->inputs.operands(), prepared->rows);
  EXPECT_TRUE(expected) << expected.error().message();
  if (expected) prepared->expected = std::move(expected).value();
  latest = prepared;
  return latest;
}

std::string reason_to_skip(const SelectedProblem& problem, const std::string& variant, const Target& target) {
  if (problem.element == Element::kF32 && target.backend == Backend::kCuda) return "float32 has kernels on the CPU alone";
  if (variant != "hybrid") return {};
  // Of Hopper, and not for the widest heads with the largest blocks.
  SelectedProblem scaled = problem;
  if (scaled.scale == 0) scaled.scale = 1;  // that of a description: its inputs will have the natural one
  const auto steps = selected_steps(scaled, {.variant = variant}, target);
  return steps || steps.error().kind != ErrorKind::kUnsupported ? std::string() : steps.error().message();
}

void expect_right(Lab& lab, const SelectedCase& description, const Choice& choice) {
  if (const std::string reason = reason_to_skip(description.problem, choice.variant, lab.target()); !reason.empty()) GTEST_SKIP() << reason;
  const auto prepared = prepare(description);
  ASSERT_FALSE(testing::Test::HasFailure());
  expect_right(lab, prepared->inputs.problem, prepared->inputs.operands(), choice, description.layout, prepared->expected, prepared->rows,
               description.merges);
}

}  // namespace fsa::test
