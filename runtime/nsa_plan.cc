#include <algorithm>
#include <array>
#include <string_view>

#include "fsa/native_sparse_attention.h"

namespace fsa {
namespace {

/// The members of NativeSparseAttentionTensors, in their order.
constexpr std::array<std::string_view, 19> kNames{"q",   "k",     "v",       "ck",            "cv",    "w_k",     "w_v",   "pe",     "gates", "cu_q",
                                                  "cu_k", "out", "o_cmp", "lse_cmp", "block_indices", "o_sel", "lse_sel", "o_win", "lse_win"};

std::array<TensorView, kNames.size()> in_order(const NativeSparseAttentionTensors& t) {
  return {t.q,    t.k,   t.v,     t.ck,      t.cv,            t.w_k,   t.w_v,     t.pe,    t.gates,  t.cu_q,
          t.cu_k, t.out, t.o_cmp, t.lse_cmp, t.block_indices, t.o_sel, t.lse_sel, t.o_win, t.lse_win};
}

}  // namespace

NativeSparseAttentionPlan::NativeSparseAttentionPlan(Plan plan) : plan_(std::move(plan)) {
  static_assert(kNames.size() == kMostTensors);
  for (const TensorInfo& tensor : plan_.tensors())
    order_[count_++] = static_cast<std::size_t>(std::find(kNames.begin(), kNames.end(), tensor.name) - kNames.begin());
}

std::size_t NativeSparseAttentionPlan::workspace_bytes() const { return plan_.workspace_bytes(); }
const PlanReport& NativeSparseAttentionPlan::report() const { return plan_.report(); }
const Plan& NativeSparseAttentionPlan::plan() const { return plan_; }

Result<void> NativeSparseAttentionPlan::forward(const NativeSparseAttentionTensors& tensors, Workspace workspace, void* stream) const {
  const auto all = in_order(tensors);
  std::array<TensorView, kMostTensors> asked;
  for (std::size_t i = 0; i < count_; ++i) asked[i] = all[order_[i]];
  return plan_.forward(std::span(asked.data(), count_), workspace, stream);
}

Result<void> NativeSparseAttentionPlan::validate(const NativeSparseAttentionTensors& tensors) const {
  const auto all = in_order(tensors);
  std::array<TensorView, kMostTensors> asked;
  for (std::size_t i = 0; i < count_; ++i) asked[i] = all[order_[i]];
  return plan_.validate(std::span(asked.data(), count_));
}

}  // namespace fsa
