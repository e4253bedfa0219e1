// select_blocks with its default config on every problem, with many configs on some, and on every golden file.
#include <gtest/gtest.h>

#include <map>

#include "templates/families.h"
#include "tests/families/config_choice.h"
#include "tests/families/conformance.h"
#include "tests/families/select_blocks_run.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

class SelectBlocks : public testing::TestWithParam<SelectBlocksCase> {};

TEST_P(SelectBlocks, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  expect_selected(lab, GetParam());
}

std::string case_name(const testing::TestParamInfo<SelectBlocksCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Shapes, SelectBlocks, testing::ValuesIn(select_blocks_cases::shapes()), case_name);
INSTANTIATE_TEST_SUITE_P(Sequences, SelectBlocks, testing::ValuesIn(select_blocks_cases::sequences()), case_name);
INSTANTIATE_TEST_SUITE_P(Rules, SelectBlocks, testing::ValuesIn(select_blocks_cases::rules()), case_name);
INSTANTIATE_TEST_SUITE_P(Values, SelectBlocks, testing::ValuesIn(select_blocks_cases::values()), case_name);
INSTANTIATE_TEST_SUITE_P(Layouts, SelectBlocks, testing::ValuesIn(select_blocks_cases::layouts()), case_name);

/// Smallest, largest and random configs.
struct ConfigPick {
  std::string name;
  Pick pick;
  std::uint64_t seed = 0;
};

void PrintTo(const ConfigPick& pick, std::ostream* out) { *out << pick.name; }

class SelectBlocksConfig : public testing::TestWithParam<std::tuple<SelectBlocksCase, ConfigPick>> {};

TEST_P(SelectBlocksConfig, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [description, pick] = GetParam();
  if (description.problem.element == Element::kF32 && lab.target().backend == Backend::kCuda)
    GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const Kernel& kernel = *find_family("select_blocks")->kernel(lab.target().backend);
  const Json problem = to_json(select_blocks::problem_fields(), description.make().problem);
  const auto config = pick_config(kernel, problem, pick.pick, pick.seed, lab.target());
  ASSERT_TRUE(config) << config.error().message();
  expect_selected(lab, description, *config);
}

std::vector<ConfigPick> picks() {
  std::vector<ConfigPick> list{{"smallest", Pick::kSmallest}, {"largest", Pick::kLargest}};
  for (std::uint64_t seed = 1; seed <= 6; ++seed) list.push_back({"random" + std::to_string(seed), Pick::kRandom, seed});
  return list;
}

INSTANTIATE_TEST_SUITE_P(Configs, SelectBlocksConfig,
                         testing::Combine(testing::ValuesIn(select_blocks_cases::configs()), testing::ValuesIn(picks())),
                         [](const auto& each) { return std::get<0>(each.param).name + "_" + std::get<1>(each.param).name; });

/// Every problem again with the kernels that multiply by warpgroups, by the queries of a thread block: what default configs of short
/// sequences leave out.
class SelectBlocksByWarpgroups : public testing::TestWithParam<SelectBlocksCase> {};

TEST_P(SelectBlocksByWarpgroups, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const Kernel& kernel = *find_family("select_blocks")->kernel(lab.target().backend);
  const Json problem = to_json(select_blocks::problem_fields(), GetParam().make().problem);
  std::map<int, Json> by_tokens;
  for (const Json& config : kernel.configs(problem, lab.target()))
    if (config.value("instruction", "") == "wgmma") by_tokens.emplace(config.at("tokens").get<int>(), config);
  if (by_tokens.empty()) GTEST_SKIP() << "no such kernel for this problem on this target";
  for (const auto& [tokens, config] : by_tokens) {
    SCOPED_TRACE(tokens);
    expect_selected(lab, GetParam(), config);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SelectBlocksByWarpgroups, testing::ValuesIn(select_blocks_cases::shapes()), case_name);
INSTANTIATE_TEST_SUITE_P(Sequences, SelectBlocksByWarpgroups, testing::ValuesIn(select_blocks_cases::sequences()), case_name);
INSTANTIATE_TEST_SUITE_P(Rules, SelectBlocksByWarpgroups, testing::ValuesIn(select_blocks_cases::rules()), case_name);
INSTANTIATE_TEST_SUITE_P(Values, SelectBlocksByWarpgroups, testing::ValuesIn(select_blocks_cases::values()), case_name);
INSTANTIATE_TEST_SUITE_P(Layouts, SelectBlocksByWarpgroups, testing::ValuesIn(select_blocks_cases::layouts()), case_name);
INSTANTIATE_TEST_SUITE_P(Configs, SelectBlocksByWarpgroups, testing::ValuesIn(select_blocks_cases::configs()), case_name);

/// The selection of a golden file, with its own scores beside the oracle's.
class SelectBlocksOnGolden : public testing::TestWithParam<std::string> {};

template <class T>
std::vector<T> values_of(const TensorView& t) {
  const T* data = static_cast<const T*>(t.data);
  return {data, data + t.num_elements()};
}

SelectBlocksInputs golden_inputs(const Golden& golden) {
  const SelectedProblem s = golden.problem();
  const auto number = [&](const char* name) { return std::stoi(golden.metadata(name)); };
  SelectBlocksInputs in{.problem = {.element = s.element,
                                    .head_dim = s.head_dim,
                                    .group = s.group,
                                    .kernel_size = number("kernel_size"),
                                    .stride = number("stride"),
                                    .block_size = s.block_size,
                                    .topk = s.topk,
                                    .init_blocks = number("init_blocks"),
                                    .local_blocks = number("local_blocks"),
                                    .heads_kv = s.heads_kv,
                                    .num_seqs = s.num_seqs,
                                    .total_q = s.total_q,
                                    .total_k = s.total_k,
                                    .total_c = golden.tensor("ck").shape[0],
                                    .scale = s.scale}};
  const auto bytes = [&](const char* name) {
    const TensorView t = golden.tensor(name);
    const auto* data = static_cast<const std::byte*>(t.data);
    return std::vector<std::byte>(data, data + t.num_elements() * static_cast<std::int64_t>(size_of(t.dtype)));
  };
  in.q = bytes("q");
  in.ck = bytes("ck");
  in.lse = values_of<float>(golden.tensor("lse_cmp"));
  in.cu_q = values_of<std::int32_t>(golden.tensor("cu_q"));
  in.cu_k = values_of<std::int32_t>(golden.tensor("cu_k"));
  in.cu_c = values_of<std::int32_t>(golden.tensor("cu_c"));
  in.rows = reference::selection_rows(in.problem.total_q, in.problem.heads_kv);
  return in;
}

TEST_P(SelectBlocksOnGolden, GivesTheBlocksOfThePythonOracle) {
  FSA_LAB_OR_SKIP(lab);
  const auto golden = Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  const SelectBlocksInputs inputs = golden_inputs(*golden);
  expect_selected(lab, inputs);
  // The file's own blocks pass the same comparison: both oracles agree on what is near enough.
  const auto scores = reference::block_scores(inputs.operands(), inputs.rows);
  ASSERT_TRUE(scores) << scores.error().message();
  const auto comparison = reference::compare_selection(golden->tensor("block_indices"), inputs.rows, *scores, inputs.operands().rule);
  EXPECT_TRUE(comparison.right()) << comparison.describe();
}

INSTANTIATE_TEST_SUITE_P(Golden, SelectBlocksOnGolden, testing::ValuesIn(golden_names()), [](const auto& each) { return each.param; });

// Scores that are equal in every arithmetic: no near tie excuses anything here.
TEST(SelectBlocksTies, GoToTheSmallerBlock) {
  FSA_LAB_OR_SKIP(lab);
  SelectBlocksInputs inputs = select_blocks_cases::values().front().make();
  const select_blocks::Problem& p = inputs.problem;
  const Kernel* kernel = find_family("select_blocks")->kernel(lab.target().backend);
  const Json json = to_json(select_blocks::problem_fields(), p);
  auto chain = KernelChain::build(lab, {{kernel, json, kernel->default_config(json, lab.target())}});
  ASSERT_TRUE(chain) << chain.error().message();
  const auto x = inputs.operands();
  std::vector<std::int32_t> blocks(static_cast<std::size_t>(p.heads_kv * p.total_q * p.topk));
  const auto ran = chain->run({{"q", x.q}, {"ck", x.ck}, {"lse", x.lse}, {"cu_q", x.cu_q}, {"cu_k", x.cu_k}, {"cu_c", x.cu_c}},
                              {{"block_indices", TensorView::contiguous(blocks.data(), DType::kI32, {p.heads_kv, p.total_q, p.topk})}});
  ASSERT_TRUE(ran) << ran.error().message();
  // Block 0 is the first, the last two are local; of equal scores between, 1, 2 and 3 come first.
  for (std::int64_t token = 0; token < p.total_q; ++token) {
    const int own = static_cast<int>(p.total_k - p.total_q + token) / p.block_size;
    const std::vector<std::int32_t> row(blocks.begin() + token * p.topk, blocks.begin() + (token + 1) * p.topk);
    EXPECT_EQ(row, (std::vector<std::int32_t>{0, 1, 2, 3, own - 1, own})) << token;
  }
}

}  // namespace
}  // namespace fsa::test
