// shared_blocks alone: which blocks become steps, of whom, and what is left of block_indices.
#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <span>

#include "templates/families.h"
#include "templates/shared_blocks/config.h"
#include "tests/families/conformance.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

/// Units of a tile, at most.
constexpr int kMostUnits = 3;

/// What shared_blocks wrote, or ought to.
struct SharedBlocks {
  std::vector<int> rest_indices, steps, count, next_tile;
};

/// The queries of a tile that chose a cell, by unit, as bits; the row that its block begins at, and the keys of it that the last query
/// of them sees.
struct Chosen {
  int row = 0;
  std::uint64_t members[kMostUnits] = {};
  int last_keys[kMostUnits] = {};
};

class SharedBlocksTest : public testing::TestWithParam<SelectedCase> {};

/// Where a slot's block is, or -1 where the slot names none.
struct SlotPlace {
  std::int64_t cell = -1;
  int row = 0;   // of k, that the block begins at
  int keys = 0;  // of the block that the query sees
};

SlotPlace place_of(const reference::SelectedOperands& x, std::int64_t token, int block) {
  const auto* cu_q = static_cast<const std::int32_t*>(x.cu_q.data);
  const auto* cu_k = static_cast<const std::int32_t*>(x.cu_k.data);
  for (std::int64_t b = 0; b + 1 < x.cu_q.shape[0]; ++b) {
    if (token < cu_q[b] || token >= cu_q[b + 1]) continue;
    const std::int64_t position = cu_k[b + 1] - cu_k[b] - (cu_q[b + 1] - token);
    if (block < 0 || position < 0 || block > position / x.block_size) return {};
    const auto seen = static_cast<int>(std::min<std::int64_t>(x.block_size, position + 1 - std::int64_t{block} * x.block_size));
    return {cu_k[b] / x.block_size + b + block, cu_k[b] + block * static_cast<int>(x.block_size), seen};
  }
  return {};
}

SharedBlocks expected_of(const reference::SelectedInputs& inputs, const shared_blocks::Config& config) {
  const reference::SelectedOperands x = inputs.operands();
  const SelectedProblem& p = inputs.problem;
  const auto tile = shared_blocks::TileShape::of(p);
  const int unit_tokens = shared_blocks::unit_tokens(p.group), tile_tokens = tile.tokens();
  // Without a tile nothing is launched.
  SharedBlocks expected{.rest_indices = inputs.block_indices, .steps = {}, .count = {}, .next_tile = {inputs.problem.total_q > 0 ? 0 : -1}};
  for (int head = 0; head < p.heads_kv; ++head)
    for (std::int64_t first = 0; first < p.total_q; first += tile_tokens) {
      std::map<std::int64_t, Chosen> chosen;
      const auto for_each_slot = [&](auto visit) {
        for (std::int64_t token = first; token < std::min(first + tile_tokens, p.total_q); ++token)
          for (int t = 0; t < p.topk; ++t) {
            const std::size_t slot = static_cast<std::size_t>((head * p.total_q + token) * p.topk + t);
            const SlotPlace place = place_of(x, token, inputs.block_indices[slot]);
            const auto unit = static_cast<int>((token - first) / unit_tokens);
            if (place.cell >= 0) visit(slot, place, unit, std::uint64_t{1} << (token - first) % unit_tokens);
          }
      };
      for_each_slot([&](std::size_t, const SlotPlace& place, int unit, std::uint64_t bit) {
        chosen[place.cell].row = place.row;
        chosen[place.cell].members[unit] |= bit;
        chosen[place.cell].last_keys[unit] = place.keys;
      });
      std::map<std::pair<int, std::int64_t>, std::vector<int>> steps;  // by turn and cell
      for (auto& [cell, c] : chosen) {
        int all = 0, keys = 0;
        unsigned units = 0;
        for (std::uint64_t& members : c.members) {
          if (std::popcount(members) < config.min_unit_queries()) members = 0;
          all += std::popcount(members);
        }
        for (int unit = 0; unit < kMostUnits; ++unit) {
          if (all < config.min_queries) c.members[unit] = 0;
          if (c.members[unit] != 0) keys = c.last_keys[unit], units |= 1u << unit;
        }
        if (keys == 0) continue;
        std::vector<int>& step = steps[{shared_blocks::TileShape::turn(units), cell}];
        step = {static_cast<int>(cell), c.row, keys};
        for (const std::uint64_t members : std::span(c.members).first(static_cast<std::size_t>(tile.units)))
          step.insert(step.end(), {static_cast<int>(members & 0xffffffffu), static_cast<int>(members >> 32)});
      }
      for (const auto& [place, step] : steps) expected.steps.insert(expected.steps.end(), step.begin(), step.end());
      expected.count.push_back(static_cast<int>(steps.size()));
      for_each_slot([&](std::size_t slot, const SlotPlace& place, int unit, std::uint64_t bit) {
        if (chosen[place.cell].members[unit] & bit) expected.rest_indices[slot] = -1;
      });
    }
  return expected;
}

/// Runs the kernel; steps come without the room between tiles.
Result<SharedBlocks> run_kernel(Lab& lab, const ChainStep& step, const reference::SelectedInputs& inputs) {
  FSA_ASSIGN_OR_RETURN(const KernelChain chain, KernelChain::build(lab, {step}));
  SharedBlocks got;
  std::vector<int> steps;
  std::map<std::string, std::vector<int>*> destinations{
      {"rest_indices", &got.rest_indices}, {"shared_steps", &steps}, {"shared_count", &got.count}, {"shared_next_tile", &got.next_tile}};
  std::vector<Binding> outputs;
  for (const TensorSpec& spec : step.tensors())
    if (destinations.contains(spec.name)) {
      std::vector<int>& values = *destinations.at(spec.name);
      values.resize(static_cast<std::size_t>(packed_view(spec).num_elements()));
      outputs.push_back({spec.name, TensorView::contiguous(values.data(), DType::kI32, spec.shape)});
    }
  const reference::SelectedOperands x = inputs.operands();
  FSA_RETURN_IF_ERROR(chain.run({{"block_indices", x.block_indices}, {"cu_q", x.cu_q}, {"cu_k", x.cu_k}, {"v", x.v}}, outputs));
  for (std::size_t tile = 0; tile < got.count.size(); ++tile) {
    const auto first = steps.begin() + static_cast<std::ptrdiff_t>(tile * (steps.size() / got.count.size()));
    got.steps.insert(got.steps.end(), first, first + std::ptrdiff_t{got.count[tile]} * shared_blocks::TileShape::of(inputs.problem).step_words());
  }
  return got;
}

TEST_P(SharedBlocksTest, AreThoseThatEnoughQueriesOfATileChose) {
  FSA_LAB_OR_SKIP(lab);
  const Kernel* kernel = find_family("shared_blocks")->kernel(lab.target().backend);
  if (!kernel) GTEST_SKIP() << "shared_blocks has kernels on GPUs alone";
  const auto inputs = GetParam().make();
  const Json problem = to_json(selected_problem_fields(), inputs.problem);
  for (const Json& config : kernel->configs(problem, lab.target())) {
    SCOPED_TRACE(config.dump());
    const auto got = run_kernel(lab, {kernel, problem, config}, inputs);
    ASSERT_TRUE(got) << got.error().message();
    const SharedBlocks expected = expected_of(inputs, {.min_queries = config.at("min_queries").get<int>()});
    EXPECT_EQ(got->count, expected.count);
    EXPECT_EQ(got->steps, expected.steps);
    EXPECT_EQ(got->rest_indices, expected.rest_indices);
    EXPECT_EQ(got->next_tile, expected.next_tile);
  }
}

std::vector<SelectedCase> cases() {
  std::vector<SelectedCase> list;
  for (auto* make : {sequence_cases, selection_cases, config_cases})
    for (auto& c : make())
      if (c.problem.element != Element::kF32) list.push_back(c);
  return list;
}

INSTANTIATE_TEST_SUITE_P(Steps, SharedBlocksTest, testing::ValuesIn(cases()), [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace fsa::test
