#include "tests/families/conformance.h"

#include <algorithm>
#include <cstring>

#include "templates/reference/compare.h"
#include "templates/reference/numeric.h"
#include "tests/families/strided_copy.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

using reference::SelectedOperands;

double output_tolerance(const ChainStep& last) { return last.kernel->tolerance(last.problem); }

/// The outputs of one run.
struct Outputs {
  Outputs(const SelectedProblem& p, Layout layout)
      : lse_values(static_cast<std::size_t>(p.heads_kv * p.group * p.total_q)),
        o(TensorView::contiguous(nullptr, reference::dtype_of(p.output), {p.total_q, p.heads_kv * p.group, p.head_dim_v}), layout, false),
        lse(TensorView::contiguous(lse_values.data(), DType::kF32, {p.heads_kv * p.group, p.total_q})) {}

  std::vector<float> lse_values;
  StridedCopy o;
  TensorView lse;
};

bool same_bits(const Outputs& a, const Outputs& b) {
  if (!a.o.same_rows(b.o, 0, a.o.view().shape[0])) return false;
  return a.lse_values.empty() || std::memcmp(a.lse_values.data(), b.lse_values.data(), a.lse_values.size() * sizeof(float)) == 0;
}

/// True when some f32 of the tensor is no bf16 and no f16 number.
bool has_bits_past_16(const TensorView& o) {
  for (std::int64_t i = 0; i < o.shape[2]; ++i)
    if (const float x = reference::load_element(o, (o.shape[0] - 1) * o.stride[0] + i);
        x != reference::from_bf16(reference::to_bf16(x)) && x != reference::from_f16(reference::to_f16(x)))
      return true;
  return false;
}

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
                  const reference::SelectedOutputs& expected, std::span<const reference::Row> rows) {
  auto steps = selected_steps(problem, choice, lab.target());
  ASSERT_TRUE(steps) << steps.error().message();
  auto chain = KernelChain::build(lab, std::move(steps).value());
  ASSERT_TRUE(chain) << chain.error().message();
  SCOPED_TRACE(choice.variant + "\n" + describe(*chain));

  const BoundInputs bound(inputs, layout);
  const Outputs first(problem, layout), second(problem, layout);
  ASSERT_TRUE(bound.ok() && first.o.view().data && second.o.view().data) << "no address space for the test's tensors";
  auto ran = chain->run(bound.bindings(), {{"o", first.o.view()}, {"lse", first.lse}});
  ASSERT_TRUE(ran) << ran.error().message();
  const auto difference = rows.empty() ? reference::compare(first.o.view(), first.lse, expected)
                                       : reference::compare_rows(first.o.view(), first.lse, rows, expected);
  EXPECT_TRUE(difference.within(output_tolerance(chain->steps().back()))) << difference.describe();
  EXPECT_TRUE(first.o.gaps_hold(0xff)) << "a kernel wrote between the rows of o";
  const bool widened = problem.output == Element::kF32 && problem.element != Element::kF32;
  EXPECT_TRUE(!widened || has_bits_past_16(first.o.view())) << "outputs were rounded to 16 bits before they were stored as f32";

  // Other garbage in every output and in the workspace: whatever is not written, or read before it is written, shows.
  ran = chain->run(bound.bindings(), {{"o", second.o.view()}, {"lse", second.lse}}, 0x5a);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(same_bits(first, second)) << "two runs differ";
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

void expect_right(Lab& lab, const SelectedCase& description, const Choice& choice) {
  if (description.problem.element == Element::kF32 && lab.target().backend == Backend::kCuda)
    GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const auto prepared = prepare(description);
  ASSERT_FALSE(testing::Test::HasFailure());
  expect_right(lab, prepared->inputs.problem, prepared->inputs.operands(), choice, description.layout, prepared->expected, prepared->rows);
}

}  // namespace fsa::test
