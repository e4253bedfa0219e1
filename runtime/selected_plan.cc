#include "runtime/selected_plan.h"

#include <array>

#include "runtime/public_problem.h"
#include "templates/selected_problem.h"

namespace fsa {
namespace {

/// The order of the operator's external tensors.
std::array<TensorView, 8> in_order(const SelectedAttentionTensors& t) { return {t.q, t.k, t.v, t.block_indices, t.cu_q, t.cu_k, t.o, t.lse}; }

}  // namespace

const FieldTable<SelectedAttentionProblem>& selected_public_fields() {
  using P = SelectedAttentionProblem;
  static const FieldTable<P> fields{
      {"dtype", &P::dtype, dtype_names()}, {"head_dim", &P::head_dim}, {"head_dim_v", &P::head_dim_v}, {"heads_q", &P::heads_q},
      {"heads_kv", &P::heads_kv}, {"block_size", &P::block_size}, {"topk", &P::topk}, {"num_seqs", &P::num_seqs},
      {"total_q", &P::total_q}, {"total_k", &P::total_k}, {"scale", &P::scale}};
  return fields;
}

Result<Json> to_problem_json(const SelectedAttentionProblem& p) {
  FSA_RETURN_IF_ERROR(check_heads(p.heads_q, p.heads_kv));
  FSA_ASSIGN_OR_RETURN(const Element element, element_of(p.dtype, "q, k and v"));
  return to_json(selected_problem_fields(), SelectedProblem{.element = element,
                                                            .head_dim = p.head_dim,
                                                            .head_dim_v = p.head_dim_v,
                                                            .group = p.heads_q / p.heads_kv,
                                                            .block_size = p.block_size,
                                                            .topk = p.topk,
                                                            .heads_kv = p.heads_kv,
                                                            .num_seqs = p.num_seqs,
                                                            .total_q = p.total_q,
                                                            .total_k = p.total_k,
                                                            .scale = softmax_scale(p.scale, p.head_dim)});
}

SelectedAttentionPlan::SelectedAttentionPlan(Plan plan) : plan_(std::move(plan)) {}
const Plan& SelectedAttentionPlan::plan() const { return plan_; }
std::size_t SelectedAttentionPlan::workspace_bytes() const { return plan_.workspace_bytes(); }
Result<void> SelectedAttentionPlan::forward(const SelectedAttentionTensors& tensors, Workspace workspace, void* stream) const {
  return plan_.forward(in_order(tensors), workspace, stream);
}
Result<void> SelectedAttentionPlan::validate(const SelectedAttentionTensors& tensors) const { return plan_.validate(in_order(tensors)); }
const PlanReport& SelectedAttentionPlan::report() const { return plan_.report(); }

}  // namespace fsa
