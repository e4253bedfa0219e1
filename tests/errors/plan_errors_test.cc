// Problems that no kernel covers, and engines that cannot be made.
#include <gtest/gtest.h>

#include <cstdlib>

#include "fsa/engine.h"
#include "runtime/presets.h"
#include "tests/errors/user_error.h"

namespace fsa::test {
namespace {

SelectedAttentionProblem sound() {
  return {.dtype = DType::kF32,
          .head_dim = 64,
          .head_dim_v = 64,
          .heads_q = 4,
          .heads_kv = 2,
          .block_size = 32,
          .topk = 4,
          .total_q = 64,
          .total_k = 64};
}

class PlanErrors : public testing::Test {
 protected:
  static Result<SelectedAttentionPlan> plan(const SelectedAttentionProblem& problem) {
    static const auto engine = Engine::create("cpu", {.use_cache = false});
    if (!engine) return engine.error();
    return engine->plan(problem);
  }
  template <class Member, class Value>
  static Result<SelectedAttentionPlan> plan_with(Member member, Value value) {
    SelectedAttentionProblem problem = sound();
    problem.*member = value;
    return plan(problem);
  }
};

TEST_F(PlanErrors, TheSoundProblemPlans) { ASSERT_TRUE(plan(sound()).ok()) << plan(sound()).error().message(); }

TEST_F(PlanErrors, AnUnsupportedHeadDimSaysWhatToPadTo) {
  for (const int dim : {0, 8, 20, 65, 264, -64}) {
    expect_user_error(plan_with(&SelectedAttentionProblem::head_dim, dim), ErrorKind::kUnsupported,
                      {"head_dim is " + std::to_string(dim), "16 to 256", "pad"});
    expect_user_error(plan_with(&SelectedAttentionProblem::head_dim_v, dim), ErrorKind::kUnsupported,
                      {"head_dim_v is " + std::to_string(dim), "16 to 256"});
  }
}

TEST_F(PlanErrors, QueryHeadsMustBeAMultipleOfKeyHeads) {
  for (const int heads : {3, 1, 0, -2})
    expect_user_error(plan_with(&SelectedAttentionProblem::heads_q, heads), ErrorKind::kInvalidArgument,
                      {"heads_q is " + std::to_string(heads), "multiple of heads_kv"});
  for (const int heads : {3, 0, -1})
    expect_user_error(plan_with(&SelectedAttentionProblem::heads_kv, heads), ErrorKind::kInvalidArgument, {"heads_kv"});
}

TEST_F(PlanErrors, BlockSizeAndTopkHaveLimits) {
  for (const int size : {0, 8, 40, 144, -32})
    expect_user_error(plan_with(&SelectedAttentionProblem::block_size, size), ErrorKind::kUnsupported, {"block_size", "16 to 128"});
  for (const int topk : {0, 65, -1})
    expect_user_error(plan_with(&SelectedAttentionProblem::topk, topk), ErrorKind::kUnsupported, {"topk", "1 to 64"});
}

TEST_F(PlanErrors, SizesBeyondTheIndexTypeAreRefused) {
  expect_user_error(plan_with(&SelectedAttentionProblem::total_q, std::int64_t{1} << 40), ErrorKind::kUnsupported, {"2^31"});
  expect_user_error(plan_with(&SelectedAttentionProblem::total_q, std::int64_t{-1}), ErrorKind::kUnsupported, {"total_q"});
  expect_user_error(plan_with(&SelectedAttentionProblem::num_seqs, -1), ErrorKind::kUnsupported, {"num_seqs"});
}

TEST_F(PlanErrors, AScaleMustBePositive) {
  expect_user_error(plan_with(&SelectedAttentionProblem::scale, -1.0f), ErrorKind::kUnsupported, {"scale is -1"});
}

TEST_F(PlanErrors, IntegersAreNoElementType) {
  expect_user_error(plan_with(&SelectedAttentionProblem::dtype, DType::kI32), ErrorKind::kUnsupported, {"i32", "bf16"});
}

TEST(EngineErrors, AnUnknownDeviceListsTheKnownOnes) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"})
    expect_user_error(Engine::create(name), ErrorKind::kInvalidArgument, {"cpu", "cuda:N"});
}

TEST(EngineErrors, AMissingOrForeignPackIsNamed) {
  expect_user_error(Engine::create("cpu", {.pack = "/nonexistent/kernels.fsapack"}), ErrorKind::kNotFound,
                    {"/nonexistent/kernels.fsapack"});
}

TEST(PresetErrors, AnUnknownPresetListsTheKnownOnes) {
  expect_user_error(find_preset("llama9"), ErrorKind::kNotFound, {"llama9", "llama3-8b", "qwen3-14b", "qwen2.5-32b", "llama3-70b"});
}

TEST(Presets, EveryPresetIsAProblemTheLibraryPlans) {
  ASSERT_EQ(model_presets().size(), 4u);
  for (const ModelPreset& preset : model_presets()) {
    EXPECT_EQ(find_preset(preset.name)->heads_q, preset.heads_q);
    EXPECT_EQ(preset.heads_q % preset.heads_kv, 0) << preset.name;
    EXPECT_EQ(preset_problem(preset, 4096).total_k, 4096);
  }
}

}  // namespace
}  // namespace fsa::test
