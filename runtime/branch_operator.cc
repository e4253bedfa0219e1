// Owns the operators that compute one branch of Native Sparse Attention each: a kernel family, after the bounds of the compressed
// sequences where it needs those.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "runtime/branch_oracle.h"
#include "runtime/branch_problem.h"
#include "runtime/operator.h"
#include "templates/families.h"

namespace fsa {
namespace {

/// There is one order of loops.
constexpr const char* kVariant = "single";
constexpr const char* kSequences = "compressed_sequences";

/// Tensors whose token and head strides are free.
constexpr std::array<std::string_view, 8> kRowTensors{"q", "k", "v", "ck", "cv", "x", "y", "o"};

/// Flags of `fsa tune` for the fields of a problem, beside those that every problem has.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kFlags{{{"block_size", "--block-size"},
                                                                               {"topk", "--topk"},
                                                                               {"kernel_size", "--kernel-size"},
                                                                               {"stride", "--stride"},
                                                                               {"window", "--window"},
                                                                               {"mode", "--compression"}}};

std::string as_text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

class BranchOperator final : public Operator {
 public:
  explicit BranchOperator(const Branch& branch) : branch_(branch) {
    ChainVariant variant{kVariant, {}, std::string(branch.name)};
    if (branch.compressed()) variant.stages.push_back(kSequences);
    variant.stages.push_back(variant.main.c_str());
    variants_.push_back(std::move(variant));
  }

  std::string_view name() const override { return branch_.name; }
  std::vector<std::string_view> public_fields() const override { return branch_.fields; }
  Result<Json> from_public(const Json& json) const override { return to_problem_json(branch_, json); }
  Result<void> check(const Json& problem, const Target& target) const override { return check_branch_problem(branch_, problem, target); }
  const std::vector<ChainVariant>& variants(Backend) const override { return variants_; }
  std::string default_variant(const Json&, const Target&) const override { return kVariant; }

  Json step_problem(const Json& problem, const ChainVariant&, const ChainStage& stage, const Json&, Backend) const override {
    if (stage.name != kSequences) return problem;
    return {{"kernel_size", problem.at("kernel_size")}, {"stride", problem.at("stride")}, {"num_seqs", problem.at("num_seqs")}};
  }

  /// The kernel's tensors without what the chain makes itself: cu_c, and memory to work in.
  std::vector<TensorSpec> external_specs(const Json& problem) const override {
    std::vector<TensorSpec> specs = kernel().tensors(problem, Json::object());
    std::erase_if(specs, [](const TensorSpec& spec) { return spec.name == "cu_c" || spec.access == Access::kReadWrite; });
    for (TensorSpec& spec : specs)
      if (std::ranges::find(kRowTensors, spec.name) != kRowTensors.end()) spec.layout = TensorLayout::kRows;
    return specs;
  }

  Work work(const Json& problem) const override { return kernel().work(problem); }

  Json features(const Json& problem) const override {
    Json features = problem;
    features.erase("scale");
    return features;
  }

  std::string tune_flags(const Json& problem) const override {
    const BranchProblem p = branch_problem(problem);
    std::string flags = fmt::format("--op {} --heads-q {} --heads-kv {} --head-dim {}", branch_.name, p.heads_q(), p.heads_kv, p.head_dim);
    if (branch_.has("head_dim_v") && p.head_dim_v != p.head_dim) flags += fmt::format(" --head-dim-v {}", p.head_dim_v);
    for (const auto& [field, flag] : kFlags)
      if (branch_.has(field)) flags += fmt::format(" {} {}", flag, as_text(problem.at(std::string(field))));
    return flags + fmt::format(" --seqlen {}", p.total_k);
  }

  Result<std::vector<HostTensor>> random_inputs(const Json& problem, const reference::InputPattern& pattern) const override {
    return random_branch_inputs(branch_, branch_problem(problem), external_specs(problem), pattern);
  }

  Result<std::unique_ptr<Oracle>> make_oracle(const Json& problem, std::span<const TensorView> inputs) const override {
    return make_branch_oracle(branch_, branch_problem(problem), external_specs(problem), inputs, kernel().tolerance(problem));
  }

 private:
  /// Of either backend: they agree on tensors, work and tolerance.
  const Kernel& kernel() const { return *find_family(branch_.name)->cpu; }

  const Branch& branch_;
  std::vector<ChainVariant> variants_;
};

}  // namespace

std::span<const Operator* const> branch_operators() {
  static const std::vector<BranchOperator> operators(all_branches().begin(), all_branches().end());
  static const std::vector<const Operator*> list = [] {
    std::vector<const Operator*> pointers;
    for (const BranchOperator& op : operators) pointers.push_back(&op);
    return pointers;
  }();
  return list;
}

}  // namespace fsa
