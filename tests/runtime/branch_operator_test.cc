// Owns the tests of the branches as operators of their own: right by their oracles on the CPU, judged wrong where they are not,
// and what they refuse.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "fsa/engine.h"
#include "runtime/branch_oracle.h"
#include "runtime/branch_rows.h"
#include "runtime/engine_impl.h"
#include "runtime/operator.h"
#include "runtime/tuning.h"
#include "templates/reference/numeric.h"
#include "tests/errors/user_error.h"

namespace fsa {
namespace {

namespace fs = std::filesystem;

const Operator& operator_named(std::string_view name) { return **find_operator(name); }

Json attention(Json more) {
  Json problem{{"dtype", "f32"}, {"head_dim", 32}, {"heads_q", 6}, {"heads_kv", 2}, {"num_seqs", 2}, {"total_q", 300}, {"total_k", 500}};
  problem.update(more);
  return problem;
}

/// Problems by a name for the test's output: the operator's, and what is special.
struct Case {
  std::string op, what;
  Json problem;
};

std::vector<Case> cases() {
  const Json compressed{{"kernel_size", 16}, {"stride", 8}, {"total_c", 62}};
  Json selection = compressed;
  selection.update({{"block_size", 32}, {"topk", 4}});
  const Json short_vectors{{"head_dim_v", 24}, {"dtype", "bf16"}};
  Json compressed_short = compressed, window_short = short_vectors;
  compressed_short.update(short_vectors);
  window_short["window"] = 60;
  const auto compression = [](const char* dtype, const char* mode, int positional, std::int64_t total_c) {
    return Json{{"dtype", dtype}, {"mode", mode},  {"positional", positional}, {"head_dim", 24},    {"heads_kv", 3}, {"kernel_size", 8},
                {"stride", 4},    {"num_seqs", 2}, {"total_k", 301},           {"total_c", total_c}};
  };
  Json wide = compressed;
  wide["head_dim_v"] = 32;
  return {{"compressed_attention", "f32", attention(wide)},
          {"compressed_attention", "bf16", attention(compressed_short)},
          {"sliding_window", "f32", attention({{"window", 33}, {"head_dim_v", 32}})},
          {"sliding_window", "bf16", attention(window_short)},
          {"select_blocks", "f32", attention(selection)},
          {"compress_kv", "mean", compression("f16", "mean", 0, 0)},
          {"compress_kv", "weighted", compression("bf16", "weighted", 0, 75)},
          {"compress_kv", "linear", compression("f32", "linear", 0, 80)},
          {"compress_kv", "positional", compression("bf16", "linear", 1, 0)}};
}

class BranchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ranges::replace(name, '/', '_');
    directory_ = fs::temp_directory_path() / fmt::format("fsa_branch_test_{}_{}", ::getpid(), name);
    options_.cache_dir = directory_.string();
    const auto engine = Engine::create("cpu", options_);
    if (!engine) GTEST_SKIP() << engine.error().message();
    if (const auto compiler = engine->impl()->library().source().compiler(Backend::kCpu); !compiler)
      GTEST_SKIP() << compiler.error().message();
  }
  void TearDown() override { fs::remove_all(directory_); }

  Engine engine() const { return std::move(Engine::create("cpu", options_)).value(); }
  Result<Plan> plan(std::string_view op, const Json& problem) const { return engine().plan(op, problem.dump()); }

  fs::path directory_;
  EngineOptions options_;
};

class Branches : public BranchTest, public testing::WithParamInterface<Case> {};

/// An operator's random inputs and its outputs, which hold 0xff before they are written.
struct Tensors {
  Tensors(const Operator& op, const Json& problem)
      : specs(op.external_specs(problem)), memory(std::move(op.random_inputs(problem, {.seed = 3})).value()) {
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].access == Access::kRead) continue;
      memory[i] = HostTensor(specs[i].dtype, specs[i].shape);
      std::memset(memory[i].data(), 0xff, memory[i].bytes());
    }
    for (const HostTensor& tensor : memory) views.push_back(tensor.view());
  }
  const TensorView& named(std::string_view name) const {
    return views[static_cast<std::size_t>(std::ranges::find(specs, name, &TensorSpec::name) - specs.begin())];
  }

  std::vector<TensorSpec> specs;
  std::vector<HostTensor> memory;
  std::vector<TensorView> views;
};

Result<void> run(const Plan& plan, const Tensors& tensors) {
  std::vector<std::byte> scratch(plan.workspace_bytes() + 256);
  const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
  return plan.forward(tensors.views, {scratch.data() + (256 - address % 256) % 256, plan.workspace_bytes()});
}

/// Makes one value wrong: the largest of the first rows of a real tensor changes its sign, a block number becomes another.
void spoil(const TensorView& output) {
  if (output.dtype == DType::kI32) {
    static_cast<std::int32_t*>(output.data)[output.num_elements() - 1] += 1;
    return;
  }
  std::int64_t largest = 0;
  const auto magnitude = [&](std::int64_t i) { return std::abs(reference::load_element(output, i)); };
  for (std::int64_t i = 1; i < output.num_elements() / 2; ++i)
    if (magnitude(i) > magnitude(largest)) largest = i;
  reference::store_element(output, largest, -reference::load_element(output, largest));
}

TEST_P(Branches, AreRightByTheirOraclesAndWrongAfterOneValueChanged) {
  const Operator& op = operator_named(GetParam().op);
  const auto problem = op.from_public(GetParam().problem);
  ASSERT_TRUE(problem) << problem.error().message();
  const auto made = plan(GetParam().op, GetParam().problem);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->op(), GetParam().op);
  Tensors tensors(op, *problem);
  const auto done = run(*made, tensors);
  ASSERT_TRUE(done) << done.error().message();
  const auto oracle = op.make_oracle(*problem, tensors.views);
  ASSERT_TRUE(oracle) << oracle.error().message();
  const auto verdict = (*oracle)->compare(tensors.views);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_TRUE(verdict->right) << verdict->text;
  EXPECT_LE(verdict->error, verdict->tolerance);
  EXPECT_GT(verdict->rows, 0);
  EXPECT_EQ(verdict->rows, verdict->all_rows);

  for (std::size_t i = 0; i < tensors.specs.size(); ++i) {
    if (tensors.specs[i].access == Access::kRead) continue;
    const HostTensor kept = HostTensor::copy_of(tensors.views[i]);
    spoil(tensors.views[i]);
    EXPECT_FALSE((*oracle)->compare(tensors.views)->right) << tensors.specs[i].name;
    std::memcpy(tensors.views[i].data, kept.data(), kept.bytes());
  }
  EXPECT_TRUE((*oracle)->compare(tensors.views)->right);
}

TEST_P(Branches, HaveTheTensorsThatThePlanNames) {
  const Operator& op = operator_named(GetParam().op);
  const auto made = plan(GetParam().op, GetParam().problem);
  ASSERT_TRUE(made) << made.error().message();
  std::string names;
  for (const TensorInfo& tensor : made->tensors()) names += tensor.name + (tensor.written ? "! " : " ");
  const std::map<std::string, std::string> expected{{"compressed_attention", "q ck cv cu_q cu_k o! lse! "},
                                                    {"sliding_window", "q k v cu_q cu_k o! lse! "},
                                                    {"select_blocks", "q ck lse cu_q cu_k block_indices! "},
                                                    {"compress_kv", "x cu_k y! "}};
  std::string wanted = expected.at(GetParam().op);
  if (GetParam().what == "weighted" || GetParam().what == "linear") wanted = "x w cu_k y! ";
  if (GetParam().what == "positional") wanted = "x w pe cu_k y! ";
  EXPECT_EQ(names, wanted);
  for (const TensorInfo& tensor : made->tensors())
    EXPECT_EQ(tensor.layout == TensorLayout::kRows,
              tensor.shape.size() == 3 && tensor.name != "w" && tensor.name != "pe" && tensor.name != "block_indices")
        << tensor.name;
  const DType dtype = made->tensors().front().dtype;
  for (const TensorInfo& tensor : made->tensors())
    if (tensor.name == "o" || tensor.name == "y") {
      EXPECT_EQ(tensor.dtype, dtype);
    }
  EXPECT_TRUE(op.tune_flags(*op.from_public(GetParam().problem)).starts_with("--op " + GetParam().op + " --heads-q "))
      << made->report().why;
}

TEST_P(Branches, ChainOnEveryTargetAndHaveASearchSpace) {
  const Operator& op = operator_named(GetParam().op);
  Json problem = GetParam().problem;
  problem["dtype"] = "bf16";
  const Json planned = *op.from_public(problem);
  for (const std::string& name : Target::known()) {
    const Target target = *Target::parse(name);
    EXPECT_TRUE(op.check(planned, target)) << name;
    const auto steps = make_chain(op, planned, default_choice(op, planned, target), target);
    ASSERT_TRUE(steps) << name << ": " << steps.error().message();
    EXPECT_EQ(steps->back().kernel->family(), op.name());
    EXPECT_EQ(tuning_space(op, planned, target).variants.size(), 1u);
  }
  const Work work = op.work(planned);
  EXPECT_GT(work.flops, 0);
  EXPECT_GT(work.bytes, 0);
}

TEST_P(Branches, RefuseFieldsThatTheyDoNotHave) {
  Json problem = GetParam().problem;
  problem["gates_dtype"] = "bf16";
  test::expect_user_error(plan(GetParam().op, problem), ErrorKind::kInvalidArgument, {GetParam().op, "gates_dtype", "total_k"});
}

INSTANTIATE_TEST_SUITE_P(All, Branches, testing::ValuesIn(cases()), [](const auto& each) { return each.param.op + "_" + each.param.what; });

TEST_F(BranchTest, EachTakesItsOwnFieldsAlone) {
  test::expect_user_error(plan("sliding_window", attention({{"window", 8}, {"stride", 8}})), ErrorKind::kInvalidArgument,
                          {"stride", "window"});
  test::expect_user_error(plan("compress_kv", {{"heads_kv", 1}, {"heads_q", 1}}), ErrorKind::kInvalidArgument, {"heads_q"});
  test::expect_user_error(plan("select_blocks", attention({{"head_dim_v", 32}})), ErrorKind::kInvalidArgument, {"head_dim_v"});
}

TEST_F(BranchTest, HeadCountsAreNotGuessed) {
  for (const char* op : {"compressed_attention", "sliding_window", "select_blocks"})
    test::expect_user_error(plan(op, {{"dtype", "f32"}, {"total_q", 8}, {"total_k", 8}}), ErrorKind::kInvalidArgument,
                            {"heads_q is 0 and heads_kv is 0"});
  test::expect_user_error(plan("compress_kv", {{"dtype", "f32"}, {"total_k", 8}}), ErrorKind::kUnsupported, {"heads_kv is 0"});
}

TEST_F(BranchTest, ImpossibleSizesAreNamed) {
  test::expect_user_error(plan("sliding_window", attention({{"window", 0}})), ErrorKind::kUnsupported, {"window is 0"});
  test::expect_user_error(plan("sliding_window", attention({{"head_dim", 20}})), ErrorKind::kUnsupported, {"head_dim is 20"});
  test::expect_user_error(plan("compressed_attention", attention({{"stride", 0}, {"total_c", 62}})), ErrorKind::kUnsupported,
                          {"stride is 0"});
  test::expect_user_error(plan("compress_kv", {{"heads_kv", 1}, {"stride", 0}, {"total_k", 64}}), ErrorKind::kUnsupported, {"stride is 0"});
  test::expect_user_error(plan("select_blocks", attention({{"topk", 65}, {"total_c", 62}})), ErrorKind::kUnsupported, {"topk is 65"});
  test::expect_user_error(plan("compress_kv", {{"dtype", "i32"}, {"heads_kv", 1}}), ErrorKind::kUnsupported, {"dtype i32"});
  test::expect_user_error(plan("compress_kv", {{"dtype", "f32"}, {"heads_kv", 1}, {"positional", 1}}), ErrorKind::kUnsupported,
                          {"positional is 1"});
}

TEST_F(BranchTest, FewerRowsThanCompressedKeysAreRefused) {
  const Json sizes{{"num_seqs", 1}, {"total_q", 100}, {"total_k", 100}, {"kernel_size", 16}, {"stride", 8}};
  for (const char* op : {"compressed_attention", "select_blocks"})
    for (int total_c : {11, 10}) {
      Json problem = attention(sizes);
      problem["total_c"] = total_c;
      if (std::string_view(op) == "select_blocks") problem["block_size"] = 32;
      if (total_c == 11) {
        EXPECT_TRUE(plan(op, problem)) << op;
      } else {
        test::expect_user_error(plan(op, problem), ErrorKind::kInvalidArgument, {"total_c is 10", "11 and up", "100 keys in 1 sequence,"});
      }
    }
  const Json compress{{"dtype", "f32"},    {"heads_kv", 1}, {"num_seqs", 3}, {"total_k", 100},
                      {"kernel_size", 16}, {"stride", 8},   {"total_c", 6}};
  test::expect_user_error(plan("compress_kv", compress), ErrorKind::kInvalidArgument, {"total_c is 6", "7 and up", "3 sequences"});
}

TEST_F(BranchTest, ATensorOfOtherRowsThanTotalCIsRefused) {
  const Operator& op = operator_named("compress_kv");
  Json problem{{"dtype", "f32"}, {"head_dim", 16}, {"heads_kv", 1}, {"kernel_size", 8}, {"stride", 4}, {"total_k", 64}, {"total_c", 15}};
  const auto made = plan("compress_kv", problem);
  ASSERT_TRUE(made) << made.error().message();
  problem["total_c"] = 16;
  const Tensors larger(op, *op.from_public(problem));
  test::expect_user_error(run(*made, larger), ErrorKind::kInvalidArgument, {"y is", "[16, 1, 16]", "[15, 1, 16]"});
}

TEST_F(BranchTest, AMissingTotalCGivesCompressionRoomForAnySequences) {
  const auto made = plan("compress_kv", {{"dtype", "f32"}, {"heads_kv", 1}, {"kernel_size", 8}, {"stride", 4}, {"total_k", 67}});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->tensors().back().shape[0], 16);
}

/// The parts of a batch may be such that more rows are needed than total_c lets be known.
TEST_F(BranchTest, AnOracleRefusesSequencesThatTotalCHasNoRoomFor) {
  const Operator& op = operator_named("compress_kv");
  const auto problem = op.from_public({{"dtype", "f32"},
                                       {"head_dim", 16},
                                       {"heads_kv", 1},
                                       {"kernel_size", 8},
                                       {"stride", 4},
                                       {"num_seqs", 2},
                                       {"total_k", 64},
                                       {"total_c", 13}});
  const Tensors tensors(op, *problem);
  test::expect_user_error(op.make_oracle(*problem, tensors.views), ErrorKind::kInvalidArgument, {"total_c is 13", "14 and up"});
}

/// A problem whose oracle takes a sample: its LSE is exact in the sampled rows, near elsewhere, and the kernel is judged by it.
TEST_F(BranchTest, LargeSelectionsAreJudgedBySampledRowsWithTheirTrueLse) {
  const Operator& op = operator_named("select_blocks");
  const Json given{{"dtype", "bf16"},  {"head_dim", 128}, {"heads_q", 8},    {"heads_kv", 2},   {"kernel_size", 2}, {"stride", 1},
                   {"block_size", 64}, {"topk", 8},       {"total_q", 1024}, {"total_k", 8192}, {"total_c", 8191}};
  const Json problem = *op.from_public(given);
  Tensors tensors(op, problem);
  const auto made = plan("select_blocks", given);
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_TRUE(run(*made, tensors));
  const auto oracle = op.make_oracle(problem, tensors.views);
  ASSERT_TRUE(oracle) << oracle.error().message();
  const auto verdict = (*oracle)->compare(tensors.views);
  EXPECT_TRUE(verdict->right) << verdict->text;
  EXPECT_LT(verdict->rows, verdict->all_rows);

  // Every row against an LSE by compressed attention itself.
  const auto attention_plan = plan("compressed_attention", {{"dtype", "bf16"},
                                                            {"head_dim", 128},
                                                            {"head_dim_v", 128},
                                                            {"heads_q", 8},
                                                            {"heads_kv", 2},
                                                            {"kernel_size", 2},
                                                            {"stride", 1},
                                                            {"total_q", 1024},
                                                            {"total_k", 8192},
                                                            {"total_c", 8191}});
  ASSERT_TRUE(attention_plan) << attention_plan.error().message();
  Tensors attention_tensors(operator_named("compressed_attention"), *operator_named("compressed_attention")
                                                                         .from_public({{"dtype", "bf16"},
                                                                                       {"heads_q", 8},
                                                                                       {"heads_kv", 2},
                                                                                       {"kernel_size", 2},
                                                                                       {"stride", 1},
                                                                                       {"total_q", 1024},
                                                                                       {"total_k", 8192},
                                                                                       {"total_c", 8191}}));
  for (const char* name : {"q", "ck"})
    std::memcpy(attention_tensors.named(name).data, tensors.named(name).data,
                static_cast<std::size_t>(tensors.named(name).num_elements()) * 2);
  ASSERT_TRUE(run(*attention_plan, attention_tensors));
  const auto* expected = static_cast<const float*>(attention_tensors.named("lse").data);
  const auto* lse = static_cast<const float*>(tensors.named("lse").data);
  for (const reference::SelectionRow& row : judged_selection_rows(branch_problem(problem)))
    for (std::int64_t head = 4 * row.kv_head; head < 4 * (row.kv_head + 1); ++head)
      EXPECT_NEAR(lse[head * 1024 + row.token], expected[head * 1024 + row.token], 1e-4);
  for (std::int64_t i = 0; i < 8 * 1024; ++i) EXPECT_NEAR(lse[i], expected[i], 0.3);
}

}  // namespace
}  // namespace fsa
