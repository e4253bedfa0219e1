// Owns the tests of Engine and plans on the CPU: where kernels come from, what forward() refuses, what it does not do.
#include "fsa/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "codegen/base/json.h"
#include "runtime/engine_impl.h"
#include "runtime/exporter.h"
#include "runtime/selected_plan.h"
#include "runtime/tuning.h"
#include "runtime/tuning_inputs.h"
#include "tests/runtime/allocation_counter.h"

namespace fsa {
namespace {

namespace fs = std::filesystem;

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("fsa_engine_test_" + std::to_string(::getpid()) + "_" + testing::UnitTest::GetInstance()->current_test_info()->name());
    options_.cache_dir = directory_.string();
    const auto engine = Engine::create("cpu", options_);
    if (!engine) GTEST_SKIP() << engine.error().message();
    if (const auto compiler = engine->impl()->library().source().compiler(Backend::kCpu); !compiler) GTEST_SKIP() << compiler.error().message();
  }
  void TearDown() override { fs::remove_all(directory_); }

  Engine engine() const { return std::move(Engine::create("cpu", options_)).value(); }

  fs::path directory_;
  EngineOptions options_;
  SelectedAttentionProblem problem_{.dtype = DType::kF32, .head_dim = 32, .head_dim_v = 32, .heads_q = 2, .heads_kv = 1, .block_size = 32, .topk = 4,
                                    .total_q = 200, .total_k = 200};
};

ExportedProblem exported_problem(const SelectedAttentionProblem& problem) {
  return {&selected_attention_operator(), to_problem_json(problem).value()};
}

/// A plan with inputs, outputs and workspace.
struct Ready {
  Ready(const Engine& engine, const SelectedAttentionProblem& problem) : plan(engine.plan(problem).value()) {
    inputs = std::move(TuningInputs::create(*engine.impl()->device(), selected_attention_operator(), to_problem_json(problem).value(), {.seed = 7})).value();
    scratch = std::move(engine.impl()->device()->allocate(plan.workspace_bytes() + 1)).value();
  }
  Result<void> forward() const { return plan.forward(tensors(), workspace()); }
  SelectedAttentionTensors tensors() const {
    const std::vector<TensorView>& t = inputs->tensors(0);
    return {.q = t[0], .k = t[1], .v = t[2], .block_indices = t[3], .cu_q = t[4], .cu_k = t[5], .o = t[6], .lse = t[7]};
  }
  Workspace workspace() const { return {scratch->data(), scratch->size()}; }

  SelectedAttentionPlan plan;
  std::unique_ptr<TuningInputs> inputs;
  std::unique_ptr<Buffer> scratch;
};

TEST_F(EngineTest, ForwardAgreesWithTheOracle) {
  const Engine e = engine();
  Ready ready(e, problem_);
  ASSERT_TRUE(ready.inputs->poison_outputs().ok());
  const auto done = ready.forward();
  ASSERT_TRUE(done.ok()) << done.error().message();
  const auto verdict = ready.inputs->compare_outputs();
  ASSERT_TRUE(verdict.ok());
  EXPECT_TRUE(verdict->right()) << verdict->error;
}

TEST_F(EngineTest, TheFirstPlanCompilesAndASecondEngineFindsEverythingInTheCache) {
  const auto cold = engine().plan(problem_);
  ASSERT_TRUE(cold.ok()) << cold.error().message();
  EXPECT_GT(cold->report().compiled, 0);
  const auto warm = engine().plan(problem_);
  ASSERT_TRUE(warm.ok());
  EXPECT_EQ(warm->report().compiled, 0);
  EXPECT_EQ(warm->report().from_cache, cold->report().compiled);
  EXPECT_LT(warm->report().seconds, 0.2);
}

TEST_F(EngineTest, OneEngineLoadsAKernelOnce) {
  const Engine e = engine();
  ASSERT_TRUE(e.plan(problem_).ok());
  const auto again = e.plan(problem_);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->report().compiled + again->report().from_cache, 0);
  EXPECT_GT(again->report().already_loaded, 0);
}

TEST_F(EngineTest, AFrozenEngineSaysWhatItWouldHaveToCompile) {
  options_.allow_compile = false;
  const auto plan = engine().plan(problem_);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(plan.error().message().find("selected_"), std::string::npos);
  EXPECT_FALSE(plan.error().remedy.empty());
}

TEST_F(EngineTest, ForwardAllocatesNothing) {
  const Engine e = engine();
  Ready ready(e, problem_);
  ASSERT_TRUE(ready.forward().ok());
  const long before = test::allocation_count();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(ready.forward().ok());
  EXPECT_EQ(test::allocation_count() - before, 0);
}

TEST_F(EngineTest, ThreadsShareAPlanWithAWorkspaceEach) {
  const Engine e = engine();
  Ready first(e, problem_), second(e, problem_);
  std::atomic<int> failures{0};
  const auto loop = [&](Ready& mine) {
    for (int i = 0; i < 50; ++i) failures += !mine.forward().ok();
  };
  std::thread other([&] { loop(second); });
  loop(first);
  other.join();
  EXPECT_EQ(failures, 0);
  for (Ready* ready : {&first, &second}) EXPECT_TRUE(ready->inputs->compare_outputs()->right());
}

TEST_F(EngineTest, APlanOutlivesItsEngine) {
  auto e = std::make_unique<Engine>(engine());
  Ready ready(*e, problem_);
  const auto device = e->impl()->device();  // the test's own buffers live on it
  e.reset();
  EXPECT_TRUE(ready.forward().ok());
  EXPECT_TRUE(ready.inputs->compare_outputs()->right());
}

TEST_F(EngineTest, ForwardRefusesBadLengthsOnTheCpu) {
  const Engine e = engine();
  Ready ready(e, problem_);
  SelectedAttentionTensors tensors = ready.tensors();
  int bad[2] = {0, 201};
  tensors.cu_q.data = bad;
  const auto done = ready.plan.forward(tensors, ready.workspace());
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message().find("ends at 201"), std::string::npos);
}

TEST_F(EngineTest, TheChoiceThatWasTunedIsTheOneThatIsPlanned) {
  const Engine e = engine();
  TuneOptions tuning;
  tuning.search.max_candidates = 6;
  tuning.search.final_rounds = 3;
  const auto outcome = tune(e, selected_attention_operator(), to_problem_json(problem_).value(), tuning);
  ASSERT_TRUE(outcome.ok()) << outcome.error().message();
  EXPECT_TRUE(outcome->kept);
  const auto plan = engine().plan(problem_);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->report().source, "tuned");
  EXPECT_EQ(plan->report().variant, outcome->choice.variant);
  SelectedAttentionProblem larger = problem_;
  larger.total_q = larger.total_k = 300;
  const auto nearest = engine().plan(larger);
  ASSERT_TRUE(nearest.ok());
  EXPECT_EQ(nearest->report().source, "nearest");
  EXPECT_NE(nearest->report().why.find("200"), std::string::npos) << nearest->report().why;
}

TEST_F(EngineTest, APackServesAnEngineThatMayNotCompile) {
  const std::string path = (directory_ / "kernels.pack").string();
  fs::create_directories(directory_);
  const auto exported = export_pack({.targets = {"x86-64-v3"}, .problems = {exported_problem(problem_)}, .path = path}, options_);
  ASSERT_TRUE(exported.ok()) << exported.error().message();
  EXPECT_GT(exported->kernels, 0);
  options_.pack = path;
  options_.allow_compile = false;
  options_.use_cache = false;
  const Engine e = engine();
  Ready ready(e, problem_);
  EXPECT_EQ(ready.plan.report().source, "pack");
  EXPECT_GT(ready.plan.report().from_pack, 0);
  EXPECT_EQ(ready.plan.report().compiled, 0);
  ASSERT_TRUE(ready.forward().ok());
  EXPECT_TRUE(ready.inputs->compare_outputs()->right());
}

TEST_F(EngineTest, APackForAnotherArchSaysWhatItHoldsAndHowToExport) {
  const std::string path = (directory_ / "kernels.pack").string();
  fs::create_directories(directory_);
  const auto exported = export_pack({.targets = {"sm_90a"}, .problems = {exported_problem({.heads_q = 4, .total_q = 64, .total_k = 64})}, .path = path}, options_);
  if (!exported && exported.error().kind == ErrorKind::kUnavailable) GTEST_SKIP() << exported.error().message();
  ASSERT_TRUE(exported.ok()) << exported.error().message();
  options_.pack = path;
  options_.allow_compile = false;
  options_.use_cache = false;
  const auto plan = engine().plan(problem_);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().message().find("sm_90a"), std::string::npos) << plan.error().message();
  EXPECT_NE(plan.error().message().find("export"), std::string::npos);
}

TEST(Options, AMalformedEnvironmentVariableIsNamed) {
  ::setenv("FSA_NUM_THREADS", "many", 1);
  const auto options = EngineOptions::from_environment();
  ::unsetenv("FSA_NUM_THREADS");
  ASSERT_FALSE(options.ok());
  EXPECT_NE(options.error().message().find("FSA_NUM_THREADS"), std::string::npos);
}

TEST(EngineErrors, AnUnknownDeviceListsThoseThereAre) {
  const auto engine = Engine::create("tpu");
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(engine.error().supported.find("cpu"), std::string::npos);
}

}  // namespace
}  // namespace fsa
