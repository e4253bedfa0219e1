// Owns the selected-attention operator: its loop orders on each backend and how their kernels' problems depend on each other.
#include <fmt/format.h>

#include "runtime/operator.h"
#include "templates/problem_check.h"
#include "templates/selected_problem.h"

namespace fsa {
namespace {

class SelectedAttentionOperator final : public Operator {
 public:
  std::string_view name() const override { return "selected_attention"; }

  Result<void> check(const Json& json, const Target& target) const override {
    FSA_ASSIGN_OR_RETURN(const SelectedProblem problem, from_json(selected_problem_fields(), json, "selected-attention problem"));
    return check_selected_problem(problem, target);
  }

  const std::vector<ChainVariant>& variants(Backend backend) const override {
    static const std::vector<ChainVariant> cuda{
        {"block_major", {"block_index", "selected_block_major", "partial_reduce"}, "selected_block_major"},
        {"query_major", {"selected_query_major"}, "selected_query_major"},
    };
    static const std::vector<ChainVariant> cpu{
        {"block_major", {"selected_block_major"}, "selected_block_major"},
        {"query_major", {"selected_query_major"}, "selected_query_major"},
        {"block_major_partials", {"block_index", "selected_block_major", "partial_reduce"}, "selected_block_major"},
    };
    return backend == Backend::kCuda ? cuda : cpu;
  }

  std::string default_variant(const Json& problem, const Target& target) const override {
    // Measured on both backends (templates/*/README.md): block-major wins for small groups, and on a GPU up to where its
    // partial outputs cost more traffic than reading the blocks once per query.
    const int group = problem.at("group").get<int>();
    if (target.backend == Backend::kCpu) return group <= 2 ? "block_major" : "query_major";
    return group <= 16 ? "block_major" : "query_major";
  }

  Json step_problem(const Json& problem, const ChainVariant& variant, std::string_view family, const Json& main_config,
                    Backend backend) const override {
    Json step = problem;
    if (variant.families.size() == 1) return step;
    if (backend == Backend::kCpu) {
      // On a CPU a positive item_tokens asks for partial outputs, which are f32 there.
      step["item_tokens"] = kCpuItemTokens;
      step["partial"] = "f32";
    } else if (family != variant.main) {
      step["item_tokens"] = main_config.at("item_tokens");
      step["partial"] = main_config.at("partial");
    }
    return step;
  }

  const std::vector<std::string>& external_tensors() const override {
    static const std::vector<std::string> names{"q", "k", "v", "block_indices", "cu_q", "cu_k", "o", "lse"};
    return names;
  }

  std::vector<TensorSpec> external_specs(const Json& json) const override {
    const auto decoded = from_json(selected_problem_fields(), json, "selected-attention problem");
    const SelectedProblem& p = decoded.value();
    const std::int64_t heads_q = static_cast<std::int64_t>(p.heads_kv) * p.group;
    const DType element = dtype_of_element(p.element);
    return {{"q", Access::kRead, element, {p.total_q, heads_q, p.head_dim}},
            {"k", Access::kRead, element, {p.total_k, p.heads_kv, p.head_dim}},
            {"v", Access::kRead, element, {p.total_k, p.heads_kv, p.head_dim_v}},
            {"block_indices", Access::kRead, DType::kI32, {p.heads_kv, p.total_q, p.topk}},
            {"cu_q", Access::kRead, DType::kI32, {p.num_seqs + 1}},
            {"cu_k", Access::kRead, DType::kI32, {p.num_seqs + 1}},
            {"o", Access::kWrite, dtype_of_element(p.output), {p.total_q, heads_q, p.head_dim_v}},
            {"lse", Access::kWrite, DType::kF32, {heads_q, p.total_q}}};
  }

  Json features(const Json& problem) const override {
    Json features = problem;
    for (const char* internal : {"scale", "item_tokens", "partial"}) features.erase(internal);
    return features;
  }

 private:
  static constexpr int kCpuItemTokens = 256;
};

}  // namespace

const Operator& selected_attention_operator() {
  static const SelectedAttentionOperator op;
  return op;
}

}  // namespace fsa
