#include "tests/families/select_blocks_run.h"

#include <gtest/gtest.h>

#include <memory>

#include "templates/families.h"
#include "tests/families/strided_copy.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

/// A case's inputs and the oracle's scores. Keeps the latest: parametrised tests visit one case with all configs in turn.
struct Prepared {
  std::string name;
  SelectBlocksInputs inputs;
  std::vector<reference::RowScores> scores;
};

std::vector<reference::RowScores> scores_of(const SelectBlocksInputs& inputs) {
  auto scores = reference::block_scores(inputs.operands(), inputs.rows);
  EXPECT_TRUE(scores) << scores.error().message();
  return scores ? std::move(scores).value() : std::vector<reference::RowScores>();
}

std::shared_ptr<const Prepared> prepare(const SelectBlocksCase& description) {
  static std::shared_ptr<const Prepared> latest;
  if (latest && latest->name == description.name) return latest;
  auto prepared = std::make_shared<Prepared>(Prepared{description.name, description.make(), {}});
  prepared->scores = scores_of(prepared->inputs);
  return latest = prepared;
}

Result<KernelChain> build(Lab& lab, const select_blocks::Problem& problem, const Json& config) {
  const Kernel* kernel = find_family("select_blocks")->kernel(lab.target().backend);
  const Json json = to_json(select_blocks::problem_fields(), problem);
  FSA_RETURN_IF_ERROR(kernel->check(json, lab.target()));
  FSA_ASSIGN_OR_RETURN(const Json complete, kernel->complete_config(json, config, lab.target()));
  return KernelChain::build(lab, {{kernel, json, complete}});
}

void expect_selected(Lab& lab, const SelectBlocksInputs& inputs, const std::vector<reference::RowScores>& scores, const Json& config,
                     Layout layout) {
  ASSERT_EQ(scores.size(), inputs.rows.size());
  auto chain = build(lab, inputs.problem, config);
  ASSERT_TRUE(chain) << chain.error().message();
  SCOPED_TRACE(chain->steps().front().config.dump());
  const auto x = inputs.operands();
  const StridedCopy q(x.q, layout, true), ck(x.ck, layout, true);
  ASSERT_TRUE(q.view().data && ck.view().data) << "no address space for the test's tensors";
  const std::vector<Binding> bindings{{"q", q.view()},  {"ck", ck.view()}, {"lse", x.lse},
                                      {"cu_q", x.cu_q}, {"cu_k", x.cu_k},  {"cu_c", x.cu_c}};

  const select_blocks::Problem& p = inputs.problem;
  const std::size_t slots = static_cast<std::size_t>(p.heads_kv * p.total_q * p.topk);
  std::vector<std::int32_t> first(slots), second(slots);
  const auto view = [&](std::vector<std::int32_t>& v) {
    return TensorView::contiguous(v.data(), DType::kI32, {p.heads_kv, p.total_q, p.topk});
  };
  auto ran = chain->run(bindings, {{"block_indices", view(first)}});
  ASSERT_TRUE(ran) << ran.error().message();
  const auto comparison = reference::compare_selection(view(first), inputs.rows, scores, x.rule);
  EXPECT_TRUE(comparison.right()) << comparison.describe();
  // Near ties are rare but where heads put all their weight on one key each: elsewhere scores would be worse than they should be.
  EXPECT_LE(comparison.exchanged, 2 + comparison.rows / 8) << comparison.describe();

  // Other garbage in all memory: whatever is not written, or read before it is written, shows.
  ran = chain->run(bindings, {{"block_indices", view(second)}}, 0x5a);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(first == second) << "two runs differ";
}

}  // namespace

void expect_selected(Lab& lab, const SelectBlocksCase& description, const Json& config) {
  if (description.problem.element == Element::kF32 && lab.target().backend == Backend::kCuda)
    GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const auto prepared = prepare(description);
  expect_selected(lab, prepared->inputs, prepared->scores, config, description.layout);
}

void expect_selected(Lab& lab, const SelectBlocksInputs& inputs, const Json& config, Layout layout) {
  expect_selected(lab, inputs, scores_of(inputs), config, layout);
}

}  // namespace fsa::test
