// Tensors that do not fit their plan: nothing runs and no output is touched.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "fsa/engine.h"
#include "runtime/engine_impl.h"
#include "runtime/host_tensor.h"
#include "runtime/selected_plan.h"
#include "tests/errors/user_error.h"

namespace fsa::test {
namespace {

constexpr int kTokens = 64, kHeadsQ = 4, kHeadsKv = 2, kDim = 64, kTopk = 4;
constexpr float kUntouched = 7;

const Result<SelectedAttentionPlan>& plan() {
  static const auto made = []() -> Result<SelectedAttentionPlan> {
    FSA_ASSIGN_OR_RETURN(const Engine engine, Engine::create("cpu", {.use_cache = false}));
    FSA_ASSIGN_OR_RETURN(const Json problem, to_problem_json({.dtype = DType::kF32,
                                                              .head_dim = kDim,
                                                              .head_dim_v = kDim,
                                                              .heads_q = kHeadsQ,
                                                              .heads_kv = kHeadsKv,
                                                              .block_size = 32,
                                                              .topk = kTopk,
                                                              .num_seqs = 2,
                                                              .total_q = kTokens,
                                                              .total_k = kTokens}));
    // The variant that needs a workspace, so that there is one to get wrong.
    FSA_ASSIGN_OR_RETURN(auto impl, engine.impl()->plan(selected_attention_operator(), problem, Choice{.variant = "block_major_partials"}));
    return SelectedAttentionPlan(Plan(std::move(impl)));
  }();
  return made;
}

/// Tensors that fit the plan, for each test to spoil in one way.
class ForwardErrors : public testing::Test {
 protected:
  ForwardErrors()
      : q(DType::kF32, {kTokens, kHeadsQ, kDim}),
        k(DType::kF32, {kTokens, kHeadsKv, kDim}),
        v(DType::kF32, {kTokens, kHeadsKv, kDim}),
        blocks(DType::kI32, {kHeadsKv, kTokens, kTopk}),
        cu_q(DType::kI32, {3}),
        cu_k(DType::kI32, {3}),
        o(DType::kF32, {kTokens, kHeadsQ, kDim}),
        lse(DType::kF32, {kHeadsQ, kTokens}),
        scratch(DType::kF32, {static_cast<std::int64_t>(plan() ? plan()->workspace_bytes() : 0) / 4 + 128}) {
    set_lengths(cu_q, {0, 24, kTokens});
    set_lengths(cu_k, {0, 24, kTokens});
    std::fill_n(static_cast<float*>(o.data()), o.view().num_elements(), kUntouched);
    tensors = {.q = q.view(),
               .k = k.view(),
               .v = v.view(),
               .block_indices = blocks.view(),
               .cu_q = cu_q.view(),
               .cu_k = cu_k.view(),
               .o = o.view(),
               .lse = lse.view()};
    auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
    workspace = {reinterpret_cast<void*>((address + 255) / 256 * 256), plan() ? plan()->workspace_bytes() : 0};
  }

  static void set_lengths(HostTensor& cu, std::vector<int> sums) { std::copy(sums.begin(), sums.end(), static_cast<int*>(cu.data())); }

  void expect_refused(std::initializer_list<std::string_view> parts) {
    ASSERT_TRUE(plan().ok()) << plan().error().message();
    expect_user_error(plan()->forward(tensors, workspace), ErrorKind::kInvalidArgument, parts);
    const float* out = static_cast<const float*>(o.data());
    EXPECT_TRUE(std::all_of(out, out + o.view().num_elements(), [](float x) { return x == kUntouched; })) << "an output was written";
  }

  HostTensor q, k, v, blocks, cu_q, cu_k, o, lse, scratch;
  SelectedAttentionTensors tensors;
  Workspace workspace;
};

TEST_F(ForwardErrors, TheSoundCallRuns) {
  ASSERT_TRUE(plan().ok()) << plan().error().message();
  const auto done = plan()->forward(tensors, workspace);
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_NE(static_cast<const float*>(o.data())[0], kUntouched);
}

TEST_F(ForwardErrors, BlockIndicesOfTheWrongShape) {
  tensors.block_indices = TensorView::contiguous(blocks.data(), DType::kI32, {kTokens, kHeadsKv, kTopk});
  expect_refused({"block_indices is i32 [64, 2, 4]", "i32 [2, 64, 4]"});
  tensors.block_indices = TensorView::contiguous(blocks.data(), DType::kI32, {kHeadsKv * kTokens, kTopk});
  expect_refused({"block_indices"});
}

TEST_F(ForwardErrors, BlockIndicesOfTheWrongType) {
  tensors.block_indices.dtype = DType::kF32;
  expect_refused({"block_indices is f32", "i32"});
}

TEST_F(ForwardErrors, BlockIndicesWithGaps) {
  tensors.block_indices.stride[1] *= 2;
  expect_refused({"block_indices", "contiguous"});
}

TEST_F(ForwardErrors, QueriesOfAnotherTypeThanThePlans) {
  tensors.q.dtype = DType::kBF16;
  expect_refused({"q is bf16", "f32 [64, 4, 64]"});
}

TEST_F(ForwardErrors, AMisalignedPointerInEveryTensor) {
  for (auto member :
       {&SelectedAttentionTensors::q, &SelectedAttentionTensors::k, &SelectedAttentionTensors::v, &SelectedAttentionTensors::o}) {
    const TensorView before = tensors.*member;
    (tensors.*member).data = static_cast<char*>(before.data) + 4;
    expect_refused({"misaligned", "16-byte"});
    tensors.*member = before;
  }
  tensors.cu_q.data = static_cast<char*>(tensors.cu_q.data) + 1;
  expect_refused({"cu_q", "misaligned"});
}

TEST_F(ForwardErrors, ANullPointerInEveryTensor) {
  for (auto member :
       {&SelectedAttentionTensors::q, &SelectedAttentionTensors::k, &SelectedAttentionTensors::v, &SelectedAttentionTensors::block_indices,
        &SelectedAttentionTensors::cu_q, &SelectedAttentionTensors::cu_k, &SelectedAttentionTensors::o, &SelectedAttentionTensors::lse}) {
    const TensorView before = tensors.*member;
    (tensors.*member).data = nullptr;
    expect_refused({"null pointer"});
    tensors.*member = before;
  }
}

TEST_F(ForwardErrors, StridesThatAreNoMultipleOfSixteenBytes) {
  tensors.k.stride[0] += 1;
  expect_refused({"k has a stride", "multiples of 4 elements"});
  tensors.k = k.view();
  tensors.v.stride[2] = 2;
  expect_refused({"v has stride 2", "stride 1"});
}

TEST_F(ForwardErrors, AWorkspaceThatIsTooSmallNullOrMisaligned) {
  ASSERT_TRUE(plan().ok());
  ASSERT_GT(workspace.bytes, 0u);
  const Workspace sound = workspace;
  workspace.bytes -= 1;
  expect_refused({"workspace has", "at least " + std::to_string(sound.bytes)});
  workspace = {nullptr, sound.bytes};
  expect_refused({"workspace is a null pointer"});
  workspace = {static_cast<char*>(sound.data) + 16, sound.bytes};
  expect_refused({"workspace", "256-byte"});
}

TEST_F(ForwardErrors, SequenceLengthsThatDecreaseOverrunOrStartLate) {
  const std::pair<std::vector<int>, std::string_view> spoilt[] = {{{0, kTokens + 8, kTokens}, "decreases from 72 to 64"},
                                                                  {{0, 24, kTokens + 1}, "ends at 65"},
                                                                  {{0, 24, kTokens - 1}, "ends at 63"},
                                                                  {{1, 24, kTokens}, "starts at 1"}};
  for (const auto& [sums, text] : spoilt) {
    set_lengths(cu_k, sums);
    expect_refused({"cu_k", text});
    set_lengths(cu_k, {0, 24, kTokens});
    set_lengths(cu_q, sums);
    expect_refused({"cu_q", text});
    set_lengths(cu_q, {0, 24, kTokens});
  }
}

TEST_F(ForwardErrors, MoreQueriesThanKeysInASequence) {
  set_lengths(cu_q, {0, 32, kTokens});
  expect_refused({"sequence 0", "32 queries", "24 keys"});
}

}  // namespace
}  // namespace fsa::test
