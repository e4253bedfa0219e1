// Owns the tests of the whole operator's plans through the public API, on the CPU.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "fsa/engine.h"
#include "runtime/engine_impl.h"
#include "runtime/nsa_problem.h"
#include "runtime/tuning_inputs.h"
#include "tests/runtime/allocation_counter.h"

namespace fsa {
namespace {

class NsaPlan : public testing::Test {
 protected:
  void SetUp() override {
    const auto engine = Engine::create("cpu", {.cache_dir = FSA_TEST_CACHE});
    if (!engine) GTEST_SKIP() << engine.error().message();
    if (const auto compiler = engine->impl()->library().source().compiler(Backend::kCpu); !compiler) GTEST_SKIP() << compiler.error().message();
  }
  Engine engine() const { return std::move(Engine::create("cpu", {.cache_dir = FSA_TEST_CACHE})).value(); }

  NativeSparseAttentionProblem problem_{.dtype = DType::kF32, .gates_dtype = DType::kF32, .head_dim = 32, .head_dim_v = 32, .heads_q = 4, .heads_kv = 2,
                                        .kernel_size = 16, .stride = 8, .block_size = 16, .topk = 4, .window = 24,
                                        .compression = Compression::kMean, .total_q = 200, .total_k = 200};
};

/// A plan with inputs, outputs and a workspace of exactly the bytes that it asks for.
struct Ready {
  Ready(const Engine& engine, const NativeSparseAttentionProblem& problem) : plan(engine.plan_nsa(problem).value()) {
    inputs = std::move(TuningInputs::create(*engine.impl()->device(), native_sparse_attention_operator(), to_problem_json(problem).value(), {.seed = 3})).value();
    scratch = std::move(engine.impl()->device()->allocate(std::max<std::size_t>(plan.workspace_bytes(), 1))).value();
  }
  NativeSparseAttentionTensors tensors() const {
    NativeSparseAttentionTensors t;
    const std::pair<const char*, TensorView*> members[] = {
        {"q", &t.q}, {"k", &t.k}, {"v", &t.v}, {"ck", &t.ck}, {"cv", &t.cv}, {"gates", &t.gates}, {"cu_q", &t.cu_q}, {"cu_k", &t.cu_k},
        {"out", &t.out}, {"o_cmp", &t.o_cmp}, {"lse_cmp", &t.lse_cmp}, {"block_indices", &t.block_indices}, {"o_sel", &t.o_sel},
        {"lse_sel", &t.lse_sel}, {"o_win", &t.o_win}, {"lse_win", &t.lse_win}};
    for (std::size_t i = 0; i < plan.plan().tensors().size(); ++i)
      for (const auto& [name, view] : members)
        if (plan.plan().tensors()[i].name == name) *view = inputs->tensors(0)[i];
    return t;
  }
  Workspace workspace() const { return {scratch->data(), plan.workspace_bytes()}; }
  Result<void> forward() const { return plan.forward(tensors(), workspace()); }

  NativeSparseAttentionPlan plan;
  std::unique_ptr<TuningInputs> inputs;
  std::unique_ptr<Buffer> scratch;
};

TEST_F(NsaPlan, ForwardAgreesWithTheOracleThoughTensorsShareMemory) {
  for (const bool branches : {false, true}) {
    problem_.branch_outputs = branches;
    const Engine e = engine();
    Ready ready(e, problem_);
    ASSERT_TRUE(ready.plan.validate(ready.tensors()).ok());
    std::memset(ready.scratch->data(), 0xff, ready.scratch->size());
    ASSERT_TRUE(ready.inputs->poison_outputs().ok());
    const auto done = ready.forward();
    ASSERT_TRUE(done.ok()) << done.error().message();
    const auto verdict = ready.inputs->compare_outputs();
    ASSERT_TRUE(verdict.ok());
    EXPECT_TRUE(verdict->right()) << verdict->error;
  }
}

TEST_F(NsaPlan, AShortContextIsAttendedDenselyAndTheReportSaysSo) {
  const Engine e = engine();
  EXPECT_NE(e.plan_nsa(problem_)->report().variant, "dense");
  problem_.total_q = problem_.total_k = 64;
  const auto plan = e.plan_nsa(problem_);
  ASSERT_TRUE(plan.ok()) << plan.error().message();
  EXPECT_EQ(plan->report().variant, "dense");
  EXPECT_EQ(plan->report().configs_json.find("select_blocks"), std::string::npos);
}

TEST_F(NsaPlan, TensorsThatTheProblemDoesNotAskForAreIgnored) {
  const Engine e = engine();
  Ready ready(e, problem_);
  NativeSparseAttentionTensors tensors = ready.tensors();
  tensors.ck = TensorView::contiguous(nullptr, DType::kI32, {1});
  tensors.o_win = tensors.ck;
  EXPECT_TRUE(ready.plan.forward(tensors, ready.workspace()).ok());
}

TEST_F(NsaPlan, AMissingTensorIsNamed) {
  problem_.compression = Compression::kNone;
  problem_.total_c = 24;
  const Engine e = engine();
  Ready ready(e, problem_);
  NativeSparseAttentionTensors tensors = ready.tensors();
  tensors.ck = {};
  const auto done = ready.plan.forward(tensors, ready.workspace());
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(done.error().message().find("ck "), std::string::npos) << done.error().message();
}

TEST_F(NsaPlan, ImpossibleProblemsAreRefusedByName) {
  const Engine e = engine();
  const auto refused = [&](auto change, const char* word) {
    NativeSparseAttentionProblem bad = problem_;
    change(bad);
    const auto plan = e.plan_nsa(bad);
    ASSERT_FALSE(plan.ok()) << word;
    EXPECT_NE(plan.error().message().find(word), std::string::npos) << plan.error().message();
    EXPECT_FALSE(plan.error().supported.empty()) << word;
  };
  refused([](auto& p) { p.heads_q = 3; }, "heads_q is 3");
  refused([](auto& p) { p.head_dim = 20; }, "head_dim is 20");
  refused([](auto& p) { p.stride = 5; }, "stride is 5");
  refused([](auto& p) { p.stride = 0; }, "stride is 0");
  refused([](auto& p) { p.block_size = 40; }, "block_size is 40");
  refused([](auto& p) { p.kernel_size = 48, p.stride = 12; }, "block_size is 16 and stride is 12");
  refused([](auto& p) { p.topk = 65; }, "topk is 65");
  refused([](auto& p) { p.window = 0; }, "window is 0");
  refused([](auto& p) { p.local_blocks = -1; }, "local_blocks is -1");
  refused([](auto& p) { p.positional = true; }, "positional");
  refused([](auto& p) { p.scale = -1; }, "scale is -1");
  refused([](auto& p) { p.gates_dtype = DType::kI32; }, "gates");
  refused([](auto& p) { p.total_q = -1; }, "total_q is -1");
}

TEST_F(NsaPlan, AWorkspaceTooSmallIsRefused) {
  const Engine e = engine();
  Ready ready(e, problem_);
  ASSERT_GT(ready.plan.workspace_bytes(), 0u);
  const auto done = ready.plan.forward(ready.tensors(), {ready.scratch->data(), ready.plan.workspace_bytes() - 1});
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message().find("workspace"), std::string::npos);
}

TEST_F(NsaPlan, ForwardAllocatesNothing) {
  const Engine e = engine();
  Ready ready(e, problem_);
  ASSERT_TRUE(ready.forward().ok());
  const NativeSparseAttentionTensors tensors = ready.tensors();
  const long before = test::allocation_count();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ready.plan.forward(tensors, ready.workspace()).ok());
  EXPECT_EQ(test::allocation_count(), before);
}

TEST_F(NsaPlan, ThreadsMayShareOnePlan) {
  const Engine e = engine();
  Ready ready(e, problem_);
  ASSERT_TRUE(ready.forward().ok());
  const TensorView out = ready.tensors().out;
  const std::size_t bytes = static_cast<std::size_t>(out.num_elements()) * sizeof(float);
  std::vector<std::vector<float>> results(4, std::vector<float>(static_cast<std::size_t>(out.num_elements())));
  std::vector<std::thread> threads;
  for (auto& result : results)
    threads.emplace_back([&] {
      const auto scratch = std::move(e.impl()->device()->allocate(ready.plan.workspace_bytes())).value();
      NativeSparseAttentionTensors tensors = ready.tensors();
      const auto own = std::move(e.impl()->device()->allocate(bytes)).value();
      tensors.out.data = own->data();
      for (int i = 0; i < 5; ++i)
        if (!ready.plan.forward(tensors, {scratch->data(), scratch->size()}).ok()) return;
      std::memcpy(result.data(), own->data(), bytes);
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(std::memcmp(result.data(), out.data, bytes), 0);
}

TEST_F(NsaPlan, TheDoorByNameTakesTheSameProblem) {
  const Engine e = engine();
  const auto plan = e.plan("native_sparse_attention", R"({"dtype": "f32", "heads_q": 4, "heads_kv": 2, "head_dim": 32, "head_dim_v": 32, "compression": "mean",
                                                          "total_q": 200, "total_k": 200})");
  ASSERT_TRUE(plan.ok()) << plan.error().message();
  EXPECT_EQ(plan->op(), "native_sparse_attention");
  EXPECT_EQ(plan->tensors().front().name, "q");
  EXPECT_TRUE(plan->tensors().back().written);
  const auto unknown = e.plan("native_sparse_attention", R"({"heads": 4})");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message().find("heads"), std::string::npos);
  EXPECT_FALSE(e.plan("native_sparse_attention", "heads_q: 4").ok());
  EXPECT_EQ(e.plan("no_such_operator", "{}").error().kind, ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace fsa
