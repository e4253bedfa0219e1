#include "runtime/selected_plan.h"

#include <fmt/format.h>

#include <cmath>

#include "runtime/tensor_check.h"
#include "templates/selected_problem.h"

namespace fsa {
namespace {

enum Slot { kQ, kK, kV, kBlockIndices, kCuQ, kCuK, kO, kLse };  // the order of Operator::external_tensors()

std::array<TensorView, 8> in_order(const SelectedAttentionTensors& t) { return {t.q, t.k, t.v, t.block_indices, t.cu_q, t.cu_k, t.o, t.lse}; }

std::span<const int> as_ints(const void* data, const TensorSpec& spec) {
  return {static_cast<const int*>(data), static_cast<std::size_t>(spec.shape[0])};
}

Result<Element> element_of(DType dtype) {
  if (dtype == DType::kBF16) return Element::kBF16;
  if (dtype == DType::kF16) return Element::kF16;
  if (dtype == DType::kF32) return Element::kF32;
  return make_error(ErrorKind::kUnsupported, {.given = fmt::format("dtype {} for q, k and v", to_string(dtype)), .supported = "bf16, f16; f32 on the CPU"});
}

Result<void> check_heads(const SelectedAttentionProblem& p) {
  if (p.heads_kv >= 1 && p.heads_q >= 1 && p.heads_q % p.heads_kv == 0) return {};
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("heads_q is {} and heads_kv is {}", p.heads_q, p.heads_kv),
                                                  .supported = "heads_q a positive multiple of heads_kv",
                                                  .remedy = "pass q as [Tq, Hq, D] and k as [Tk, Hkv, D] of one grouped-query model"});
}

}  // namespace

Result<Json> to_problem_json(const SelectedAttentionProblem& p) {
  FSA_RETURN_IF_ERROR(check_heads(p));
  FSA_ASSIGN_OR_RETURN(const Element element, element_of(p.dtype));
  const float natural_scale = p.head_dim > 0 ? 1.0f / std::sqrt(static_cast<float>(p.head_dim)) : 1.0f;
  return to_json(selected_problem_fields(), SelectedProblem{.element = element,
                                                            .output = element,
                                                            .head_dim = p.head_dim,
                                                            .head_dim_v = p.head_dim_v,
                                                            .group = p.heads_q / p.heads_kv,
                                                            .block_size = p.block_size,
                                                            .topk = p.topk,
                                                            .heads_kv = p.heads_kv,
                                                            .num_seqs = p.num_seqs,
                                                            .total_q = p.total_q,
                                                            .total_k = p.total_k,
                                                            .scale = p.scale == 0 ? natural_scale : p.scale});
}

Result<void> SelectedAttentionPlan::Impl::check_arguments(std::span<const TensorView, kTensors> tensors) const {
  for (std::size_t i = 0; i < kTensors; ++i) FSA_RETURN_IF_ERROR(check_tensor(chain_.externals()[i], tensors[i]));
  return {};
}

Result<void> SelectedAttentionPlan::Impl::check_lengths(const int* cu_q, const int* cu_k) const {
  const auto& specs = chain_.externals();
  return check_cu_seqlens(as_ints(cu_q, specs[kCuQ]), as_ints(cu_k, specs[kCuK]), specs[kQ].shape[0], specs[kK].shape[0]);
}

Result<void> SelectedAttentionPlan::Impl::forward(const SelectedAttentionTensors& public_tensors, Workspace workspace, void* stream) const {
  const auto tensors = in_order(public_tensors);
  FSA_RETURN_IF_ERROR(check_arguments(tensors));
  FSA_RETURN_IF_ERROR(check_workspace(chain_.workspace_bytes(), workspace));
  if (chain_.device().target().backend == Backend::kCpu)
    FSA_RETURN_IF_ERROR(check_lengths(static_cast<const int*>(tensors[kCuQ].data), static_cast<const int*>(tensors[kCuK].data)));
  return chain_.run(tensors, workspace, stream);
}

Result<void> SelectedAttentionPlan::Impl::validate(const SelectedAttentionTensors& public_tensors) const {
  const auto tensors = in_order(public_tensors);
  FSA_RETURN_IF_ERROR(check_arguments(tensors));
  const auto& specs = chain_.externals();
  for (std::size_t i = 0; i < kTensors; ++i)
    if (tensors[i].num_elements() > 0) FSA_RETURN_IF_ERROR(chain_.device().check_pointer(tensors[i].data, specs[i].name));
  std::vector<int> cu_q(static_cast<std::size_t>(specs[kCuQ].shape[0])), cu_k(cu_q.size());
  FSA_RETURN_IF_ERROR(chain_.device().copy_to_host(cu_q.data(), tensors[kCuQ].data, cu_q.size() * sizeof(int)));
  FSA_RETURN_IF_ERROR(chain_.device().copy_to_host(cu_k.data(), tensors[kCuK].data, cu_k.size() * sizeof(int)));
  return check_lengths(cu_q.data(), cu_k.data());
}

SelectedAttentionPlan::SelectedAttentionPlan(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
SelectedAttentionPlan::~SelectedAttentionPlan() = default;
SelectedAttentionPlan::SelectedAttentionPlan(const SelectedAttentionPlan&) = default;
SelectedAttentionPlan::SelectedAttentionPlan(SelectedAttentionPlan&&) noexcept = default;
SelectedAttentionPlan& SelectedAttentionPlan::operator=(const SelectedAttentionPlan&) = default;
SelectedAttentionPlan& SelectedAttentionPlan::operator=(SelectedAttentionPlan&&) noexcept = default;

std::size_t SelectedAttentionPlan::workspace_bytes() const { return impl_->chain().workspace_bytes(); }
Result<void> SelectedAttentionPlan::forward(const SelectedAttentionTensors& tensors, Workspace workspace, void* stream) const {
  return impl_->forward(tensors, workspace, stream);
}
Result<void> SelectedAttentionPlan::validate(const SelectedAttentionTensors& tensors) const { return impl_->validate(tensors); }
const PlanReport& SelectedAttentionPlan::report() const { return impl_->report(); }

}  // namespace fsa
