#include "tests/families/nsa_run.h"

#include <gtest/gtest.h>

#include "runtime/operator.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {

std::vector<TensorView> views_of(const std::vector<HostTensor>& tensors) {
  std::vector<TensorView> views;
  for (const HostTensor& tensor : tensors) views.push_back(tensor.view());
  return views;
}

bool run_variant(Lab& lab, NsaInputs& inputs, const std::string& variant) {
  const Operator& op = native_sparse_attention_operator();
  const auto supported = op.check(inputs.problem, lab.target());
  EXPECT_TRUE(supported) << supported.error().message();
  auto steps = make_chain(op, inputs.problem, {.variant = variant}, lab.target());
  EXPECT_TRUE(steps) << steps.error().message();
  if (!supported || !steps) return false;
  auto chain = KernelChain::build(lab, std::move(steps).value());
  EXPECT_TRUE(chain) << chain.error().message();
  if (!chain) return false;
  std::vector<Binding> in, out;
  for (std::size_t i = 0; i < inputs.specs.size(); ++i)
    (inputs.specs[i].access == Access::kRead ? in : out).push_back({inputs.specs[i].name, inputs.tensors[i].view()});
  const auto ran = chain->run(in, out);
  EXPECT_TRUE(ran) << ran.error().message();
  return ran.ok();
}

std::string reason_to_skip(const Json& problem, const std::string& variant, const Target& target) {
  const Operator& op = native_sparse_attention_operator();
  if (target.backend == Backend::kCuda && problem.at("element") == "f32") return "float32 has kernels on the CPU alone";
  const auto legal = op.check_variant(problem, **find_variant(op, target.backend, variant));
  if (!legal) return legal.error().message();
  if (!variant.starts_with("hybrid")) return {};
  const auto steps = make_chain(op, problem, {.variant = variant}, target);
  return steps || steps.error().kind != ErrorKind::kUnsupported ? std::string() : steps.error().message();
}

Result<OracleVerdict> judge(const NsaInputs& inputs) {
  const auto views = views_of(inputs.tensors);
  FSA_ASSIGN_OR_RETURN(const auto oracle, native_sparse_attention_operator().make_oracle(inputs.problem, views));
  return oracle->compare(views);
}

}  // namespace fsa::test
