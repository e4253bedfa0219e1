// block_index alone: the lists block -> tokens and the work items cut from them.
#include <gtest/gtest.h>

#include "templates/families.h"
#include "templates/reference/block_index_reference.h"
#include "tests/families/config_choice.h"
#include "tests/families/conformance.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

/// A work item as kernels read it.
struct WorkItem {
  int kv_head, cell, first, count;
};

/// What block_index wrote.
struct Index {
  std::vector<int> cell_offset, entry_token, entry_position, work_items, work_count;
};

class BlockIndex : public testing::TestWithParam<SelectedCase> {};

std::size_t elements(const ChainStep& step, const std::string& name) {
  for (const TensorSpec& spec : step.kernel->tensors(step.problem, step.config))
    if (spec.name == name) {
      std::size_t n = 1;
      for (std::int64_t extent : spec.shape) n *= static_cast<std::size_t>(extent);
      return n;
    }
  ADD_FAILURE() << "block_index has no tensor " << name;
  return 0;
}

TensorView ints(std::vector<int>& values) {
  return TensorView::contiguous(values.data(), DType::kI32, {static_cast<std::int64_t>(values.size())});
}

Result<Index> run_block_index(Lab& lab, const ChainStep& step, const reference::SelectedOperands& x) {
  FSA_ASSIGN_OR_RETURN(const KernelChain chain, KernelChain::build(lab, {step}));
  Index index;
  std::vector<Binding> outputs;
  for (auto [name, values] : {std::pair{"cell_offset", &index.cell_offset},
                              {"entry_token", &index.entry_token},
                              {"entry_position", &index.entry_position},
                              {"work_items", &index.work_items},
                              {"work_count", &index.work_count}}) {
    values->resize(elements(step, name));
    outputs.push_back({name, ints(*values)});
  }
  FSA_RETURN_IF_ERROR(chain.run({{"block_indices", x.block_indices}, {"cu_q", x.cu_q}, {"cu_k", x.cu_k}}, outputs));
  return index;
}

/// Every entry is in one work item, of the right kv head and cell, and no item is empty or too long.
void expect_items_cover(const Index& index, const reference::BlockLists& lists, int item_tokens) {
  ASSERT_EQ(index.work_count.size(), 1u);
  ASSERT_LE(static_cast<std::size_t>(index.work_count[0]) * 4, index.work_items.size());
  std::vector<int> covered(lists.entry_token.size(), 0);
  for (int i = 0; i < index.work_count[0]; ++i) {
    const WorkItem item{index.work_items[4 * i], index.work_items[4 * i + 1], index.work_items[4 * i + 2], index.work_items[4 * i + 3]};
    ASSERT_GE(item.count, 1);
    ASSERT_LE(item.count, item_tokens);
    const std::int64_t cell = item.kv_head * lists.cells + item.cell;
    ASSERT_TRUE(item.cell >= 0 && item.cell < lists.cells && cell + 1 < static_cast<std::int64_t>(lists.cell_offset.size()));
    ASSERT_GE(item.first, lists.cell_offset[cell]);
    ASSERT_LE(item.first + item.count, lists.cell_offset[cell + 1]);
    for (int e = item.first; e < item.first + item.count; ++e) ++covered[e];
  }
  for (int times : covered) ASSERT_EQ(times, 1);
}

void expect_inverted(Lab& lab, const SelectedCase& description, const Json& config, int item_tokens) {
  const auto inputs = description.make();
  const auto lists = reference::invert_blocks(inputs.operands());
  ASSERT_TRUE(lists) << lists.error().message();
  Json problem = to_json(selected_problem_fields(), inputs.problem);
  problem["item_tokens"] = item_tokens;
  const Kernel* kernel = find_family("block_index")->kernel(lab.target().backend);
  const auto complete = kernel->complete_config(problem, config, lab.target());
  ASSERT_TRUE(complete) << complete.error().message();
  SCOPED_TRACE(complete->dump());
  auto index = run_block_index(lab, {kernel, problem, *complete}, inputs.operands());
  ASSERT_TRUE(index) << index.error().message();

  EXPECT_EQ(index->cell_offset, lists->cell_offset);
  EXPECT_EQ(index->entry_position, lists->entry_position);
  index->entry_token.resize(lists->entry_token.size());
  EXPECT_EQ(index->entry_token, lists->entry_token);
  expect_items_cover(*index, *lists, item_tokens);
}

TEST_P(BlockIndex, InvertsTheSelectionTokensAscending) {
  FSA_LAB_OR_SKIP(lab);
  expect_inverted(lab, GetParam(), Json::object(), 64);
}

TEST_P(BlockIndex, IsTheSameForEveryConfig) {
  FSA_LAB_OR_SKIP(lab);
  Json problem = to_json(selected_problem_fields(), GetParam().make().problem);
  problem["item_tokens"] = 48;
  const auto configs = find_family("block_index")->kernel(lab.target().backend)->configs(problem, lab.target());
  ASSERT_FALSE(configs.empty());
  for (std::size_t i = 0; i < configs.size(); i += std::max<std::size_t>(1, configs.size() / 6))
    expect_inverted(lab, GetParam(), configs[i], 48);
}

std::vector<SelectedCase> cases() {
  std::vector<SelectedCase> list;
  for (auto* make : {sequence_cases, selection_cases, config_cases})
    for (auto& c : make())
      if (c.problem.element != Element::kF32) list.push_back(c);
  SelectedCase big{.name = "many_segments",
                   .problem = {.head_dim = 16, .head_dim_v = 16, .topk = 16, .heads_kv = 2, .total_q = 20000, .total_k = 20000}};
  list.push_back(big);
  return list;
}

INSTANTIATE_TEST_SUITE_P(Index, BlockIndex, testing::ValuesIn(cases()), [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace fsa::test
