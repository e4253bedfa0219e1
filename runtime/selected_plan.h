#pragma once
// Owns the implementation behind SelectedAttentionPlan, and the translation of the public problem to the kernels' one.
#include <array>

#include "codegen/base/json.h"
#include "fsa/selected_attention.h"
#include "runtime/chain.h"

namespace fsa {

class SelectedAttentionPlan::Impl {
 public:
  Impl(Chain chain, PlanReport plan_report) : chain_(std::move(chain)), report_(std::move(plan_report)) {}

  const Chain& chain() const { return chain_; }
  const PlanReport& report() const { return report_; }
  Result<void> forward(const SelectedAttentionTensors& tensors, Workspace workspace, void* stream) const;
  Result<void> validate(const SelectedAttentionTensors& tensors) const;

 private:
  static constexpr std::size_t kTensors = 8;
  Result<void> check_arguments(std::span<const TensorView, kTensors> tensors) const;
  /// cu_q and cu_k as the host reads them; they must be in host memory.
  Result<void> check_lengths(const int* cu_q, const int* cu_k) const;

  Chain chain_;
  PlanReport report_;
};

/// The problem as kernels know it (fields of SelectedProblem), or why it is none: Hq not a multiple of Hkv and the like.
Result<Json> to_problem_json(const SelectedAttentionProblem& problem);

}  // namespace fsa
