#pragma once
// Owns the implementation behind Plan: a bound chain, what the caller's tensors must look like, and the checks of them.
#include <optional>
#include <vector>

#include "codegen/base/json.h"
#include "fsa/plan.h"
#include "runtime/chain.h"
#include "runtime/operator.h"

namespace fsa {

class Plan::Impl {
 public:
  /// `problem` is the kernels' one that the chain was bound for.
  Impl(const Operator& op, const Json& problem, Chain chain, PlanReport report);

  std::string_view op() const { return op_; }
  const Chain& chain() const { return chain_; }
  const PlanReport& report() const { return report_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  Result<void> forward(std::span<const TensorView> tensors, Workspace workspace, void* stream) const;
  Result<void> validate(std::span<const TensorView> tensors) const;

 private:
  Result<void> check_arguments(std::span<const TensorView> tensors) const;
  /// Prefix sums as the host reads them, in host memory.
  Result<void> check_lengths(const int* cu_q, const int* cu_k) const;
  std::span<const int> as_ints(const int* data, std::size_t slot) const;

  std::string_view op_;  // a literal
  Chain chain_;
  PlanReport report_;
  std::vector<TensorInfo> tensors_;
  std::optional<std::size_t> cu_q_, cu_k_;  // slots
  std::int64_t total_q_ = 0, total_k_ = 0;
};

}  // namespace fsa
