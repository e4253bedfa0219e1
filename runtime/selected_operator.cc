// Owns the selected-attention operator: its loop orders on each backend and how their kernels' problems depend on each other.
#include <fmt/format.h>

#include "runtime/operator.h"
#include "runtime/selected_chain.h"
#include "templates/dimension_check.h"
#include "runtime/selected_plan.h"
#include "runtime/selected_oracle.h"
#include "templates/reference/random_problem.h"
#include "templates/selected_problem.h"

namespace fsa {
namespace {

class SelectedAttentionOperator final : public Operator {
 public:
  std::string_view name() const override { return "selected_attention"; }

  std::vector<std::string_view> public_fields() const override { return field_names(selected_public_fields()); }
  Result<Json> from_public(const Json& json) const override {
    FSA_ASSIGN_OR_RETURN(const SelectedAttentionProblem problem, from_json(selected_public_fields(), json, "problem of selected_attention"));
    return to_problem_json(problem);
  }

  Result<void> check(const Json& json, const Target& target) const override {
    FSA_ASSIGN_OR_RETURN(const SelectedProblem problem, from_json(selected_problem_fields(), json, "selected-attention problem"));
    return check_selected_problem(problem, target);
  }

  const std::vector<ChainVariant>& variants(Backend backend) const override { return selected_variants(backend); }

  std::string default_variant(const Json& problem, const Target& target) const override {
    return std::string(default_selected_variant(*this, problem, target));
  }

  Json step_problem(const Json& problem, const ChainVariant& variant, const ChainStage& stage, const Json& main_config,
                    Backend backend) const override {
    return selected_step_problem(problem, variant, stage, main_config, backend);
  }

  std::vector<TensorSpec> external_specs(const Json& json) const override {
    const auto decoded = from_json(selected_problem_fields(), json, "selected-attention problem");
    const SelectedProblem& p = decoded.value();
    const std::int64_t heads_q = static_cast<std::int64_t>(p.heads_kv) * p.group;
    const DType element = dtype_of_element(p.element);
    constexpr TensorLayout kRows = TensorLayout::kRows;
    return {{"q", Access::kRead, element, {p.total_q, heads_q, p.head_dim}, kRows},
            {"k", Access::kRead, element, {p.total_k, p.heads_kv, p.head_dim}, kRows},
            {"v", Access::kRead, element, {p.total_k, p.heads_kv, p.head_dim_v}, kRows},
            {"block_indices", Access::kRead, DType::kI32, {p.heads_kv, p.total_q, p.topk}},
            {"cu_q", Access::kRead, DType::kI32, {p.num_seqs + 1}},
            {"cu_k", Access::kRead, DType::kI32, {p.num_seqs + 1}},
            {"o", Access::kWrite, dtype_of_element(p.output), {p.total_q, heads_q, p.head_dim_v}, kRows},
            {"lse", Access::kWrite, DType::kF32, {heads_q, p.total_q}}};
  }

  Work work(const Json& json) const override {
    return selected_work(from_json(selected_problem_fields(), json, "selected-attention problem").value());
  }

  Json features(const Json& problem) const override {
    Json features = problem;
    for (const char* internal : {"scale", "item_tokens", "partial"}) features.erase(internal);
    return features;
  }

  std::string tune_flags(const Json& problem) const override {
    const int heads_kv = problem.at("heads_kv").get<int>();
    return fmt::format("--heads-q {} --heads-kv {} --head-dim {} --block-size {} --topk {} --seqlen {}", heads_kv * problem.at("group").get<int>(), heads_kv,
                       problem.at("head_dim").get<int>(), problem.at("block_size").get<int>(), problem.at("topk").get<int>(),
                       problem.at("total_k").get<std::int64_t>());
  }

  Result<std::vector<HostTensor>> random_inputs(const Json& json, const reference::InputPattern& pattern) const override {
    FSA_ASSIGN_OR_RETURN(const SelectedProblem problem, from_json(selected_problem_fields(), json, "selected-attention problem"));
    const reference::SelectedInputs inputs = reference::random_inputs(
        problem, {.seed = pattern.seed,
                  .overlap = pattern.overlap,
                  .lens_q = reference::lengths(problem.total_q, problem.num_seqs, pattern),
                  .lens_k = reference::lengths(problem.total_k, problem.num_seqs, pattern)});
    const reference::SelectedOperands x = inputs.operands();
    std::vector<HostTensor> tensors;
    for (const TensorView& view : {x.q, x.k, x.v, x.block_indices, x.cu_q, x.cu_k}) tensors.push_back(HostTensor::copy_of(view));
    tensors.resize(8);
    return tensors;
  }

  Result<std::unique_ptr<Oracle>> make_oracle(const Json& json, std::span<const TensorView> inputs) const override {
    FSA_ASSIGN_OR_RETURN(const SelectedProblem problem, from_json(selected_problem_fields(), json, "selected-attention problem"));
    return make_selected_oracle(problem, inputs);
  }
};

}  // namespace

const Operator& selected_attention_operator() {
  static const SelectedAttentionOperator op;
  return op;
}

}  // namespace fsa
