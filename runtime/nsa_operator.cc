// Owns the whole operator: its branches and how they chain into one forward, for every loop order of the selected branch.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/nsa_problem.h"
#include "runtime/nsa_oracle.h"
#include "runtime/operator.h"
#include "templates/dimension_check.h"
#include "templates/families.h"
#include "runtime/selected_chain.h"

namespace fsa {
namespace {

/// The selected branch by the kernel of the window, wide enough for the whole sequence: what a selection of every block is.
constexpr const char* kDenseStage = "dense_attention";
/// The reduction of partial outputs that also forms the gated sum.
constexpr const char* kGatedReduce = "gated_reduce";

const ChainStage& window_stage() {
  static const ChainStage stage("sliding_window", "sliding_window", {{"o", "o_win"}, {"lse", "lse_win"}, {"o_unit", "win_unit"}},
                                /*runs_beside=*/true);
  return stage;
}

/// From keys to selected blocks: what every variant begins with.
std::vector<ChainStage> leading_stages() {
  return {"compressed_sequences",
          {"compress_k", "compress_kv", {{"x", "k"}, {"w", "w_k"}, {"y", "ck"}}},
          {"compress_v", "compress_kv", {{"x", "v"}, {"w", "w_v"}, {"y", "cv"}}},
          {"compressed_attention", "compressed_attention", {{"o", "o_cmp"}, {"lse", "lse_cmp"}, {"o_unit", "cmp_unit"}}},
          {"select_blocks", "select_blocks", {{"lse", "lse_cmp"}}}};
}

/// The branches one after the other, then their gated sum. The window comes last: its output takes the memory that the
/// partial outputs of the selected branch have left.
ChainVariant with_selected(const ChainVariant& selected) {
  ChainVariant variant{selected.name, leading_stages(), selected.main};
  for (ChainStage stage : selected.stages) {
    stage.renames.insert({{"o", "o_sel"}, {"lse", "lse_sel"}});
    variant.stages.push_back(std::move(stage));
  }
  variant.stages.push_back(window_stage());
  variant.stages.push_back("gated_combine");
  return variant;
}

/// The gated sum formed by the reduction, which saves the selected branch a trip through memory.
ChainVariant gated(const ChainVariant& partials) {
  ChainVariant variant{partials.name + "_gated", leading_stages(), partials.main};
  variant.stages.push_back(window_stage());
  for (const ChainStage& stage : partials.stages)
    variant.stages.push_back(reduces_partials(stage) ? ChainStage(kGatedReduce, stage.family, {{"lse", "lse_sel"}}) : stage);
  return variant;
}

ChainVariant dense() {
  ChainVariant variant{"dense", leading_stages(), kDenseStage};
  // Its layout of V is its own: the window may run at the same time, with other tiles.
  variant.stages.push_back({kDenseStage,
                            "sliding_window",
                            {{"o", "o_sel"},
                             {"lse", "lse_sel"},
                             {"v_tiles", "dense_v_tiles"},
                             {"v_fields", "dense_v_fields"},
                             {"next_tile", "dense_next_tile"}}});
  variant.stages.push_back(window_stage());
  variant.stages.push_back("gated_combine");
  return variant;
}

std::vector<ChainVariant> make_variants(Backend backend) {
  std::vector<ChainVariant> variants;
  for (const ChainVariant& selected : selected_variants(backend)) {
    variants.push_back(with_selected(selected));
    if (has_partials(selected)) variants.push_back(gated(selected));
  }
  variants.push_back(dense());
  return variants;
}

/// The named members of a problem.
Json pick(const Json& problem, std::initializer_list<const char*> fields) {
  Json picked = Json::object();
  for (const char* field : fields) picked[field] = problem.at(field);
  return picked;
}

/// The branch whose output goes to the gated sum: f32, so that it is not rounded twice.
Json branch(Json problem) {
  problem["output"] = "f32";
  return problem;
}

/// True for variants whose reduction forms the gated sum from the other branches. Nobody else reads these, so they come as f16 rows,
/// each with a power of two of its own: half the bytes of f32, and 11 bits of every number.
bool scales_branches(const ChainVariant& variant, Backend backend) { return backend == Backend::kCuda && variant.name.ends_with("_gated"); }

Json scaled_branch(Json problem, bool scaled) {
  if (!scaled) return problem;
  problem["output"] = "f16";
  problem["scaled"] = 1;
  return problem;
}

NsaProblem decode(const Json& json) { return from_json(nsa_problem_fields(), json, "problem of native_sparse_attention").value(); }

/// True when every block fits into a selection, so that selecting is seeing everything.
bool selects_everything(const Json& p) {
  return p.at("total_k").get<std::int64_t>() <= p.at("topk").get<std::int64_t>() * p.at("block_size").get<std::int64_t>();
}

Json compress_problem(const Json& p, bool keys) {
  if (p.at("compression") == "none") return nullptr;
  Json step = pick(p, {"element", "kernel_size", "stride", "heads_kv", "num_seqs", "total_k", "total_c"});
  step["mode"] = p.at("compression");
  step["positional"] = keys ? p.at("positional") : Json(0);
  step["head_dim"] = p.at(keys ? "head_dim" : "head_dim_v");
  return step;
}

Json compressed_problem(const Json& p) {
  return branch(pick(p, {"element", "head_dim", "head_dim_v", "group", "kernel_size", "stride", "heads_kv", "num_seqs", "total_q", "total_k",
                         "total_c", "scale"}));
}

Json selected_problem(const Json& p) {
  return branch(pick(p, {"element", "head_dim", "head_dim_v", "group", "block_size", "topk", "heads_kv", "num_seqs", "total_q", "total_k",
                         "scale"}));
}

Json window_problem(const Json& p, const Json& window) {
  Json step = branch(pick(p, {"element", "head_dim", "head_dim_v", "group", "heads_kv", "num_seqs", "total_q", "total_k", "scale"}));
  step["window"] = window;
  return step;
}

Json select_problem(const Json& p, bool needed) {
  if (!needed) return nullptr;
  return pick(p, {"element", "head_dim", "group", "kernel_size", "stride", "block_size", "topk", "init_blocks", "local_blocks", "heads_kv",
                  "num_seqs", "total_q", "total_k", "total_c", "scale"});
}

Json combine_problem(const Json& p) {
  Json step = pick(p, {"element", "gates", "head_dim_v", "total_q"});
  step["heads_q"] = p.at("heads_kv").get<int>() * p.at("group").get<int>();
  return step;
}

class NsaOperator final : public Operator {
 public:
  std::string_view name() const override { return "native_sparse_attention"; }

  std::vector<std::string_view> public_fields() const override { return field_names(nsa_public_fields()); }
  Result<Json> from_public(const Json& json) const override {
    FSA_ASSIGN_OR_RETURN(const auto problem, from_json(nsa_public_fields(), json, "problem of native_sparse_attention"));
    return to_problem_json(problem);
  }

  Result<void> check(const Json& json, const Target& target) const override {
    FSA_ASSIGN_OR_RETURN(const NsaProblem problem, from_json(nsa_problem_fields(), json, "problem of native_sparse_attention"));
    return check_nsa_problem(problem, target);
  }

  const std::vector<ChainVariant>& variants(Backend backend) const override {
    static const std::vector<ChainVariant> cuda = make_variants(Backend::kCuda), cpu = make_variants(Backend::kCpu);
    return backend == Backend::kCuda ? cuda : cpu;
  }

  Result<void> check_variant(const Json& problem, const ChainVariant& variant) const override {
    if (variant.name == "dense" && !selects_everything(problem))
      return make_error(ErrorKind::kUnsupported, {.given = fmt::format("the variant dense for {} keys", problem.at("total_k").get<std::int64_t>()),
                                                  .supported = "problems whose every block is selected: total_k <= topk * block_size"});
    if (variant.name.ends_with("_gated") && problem.at("branch_outputs") != 0)
      return make_error(ErrorKind::kUnsupported, {.given = fmt::format("the variant {} with branch_outputs", variant.name),
                                                  .supported = "problems without branch_outputs: the selected branch's output is not formed"});
    return {};
  }

  std::string default_variant(const Json& problem, const Target& target) const override {
    if (selects_everything(problem)) return "dense";
    const std::string selected(default_selected_variant(*this, problem, target));
    const bool fused = target.backend == Backend::kCuda && selected != "query_major" && problem.at("branch_outputs") == 0;
    return fused ? selected + "_gated" : selected;
  }

  Json step_problem(const Json& p, const ChainVariant& variant, const ChainStage& stage, const Json& main_config,
                    Backend backend) const override {
    const std::string& name = stage.name;
    if (name == "compressed_sequences") return pick(p, {"kernel_size", "stride", "num_seqs"});
    if (stage.family == "compress_kv") return compress_problem(p, name == "compress_k");
    const bool scaled = scales_branches(variant, backend);
    if (name == "compressed_attention") return scaled_branch(compressed_problem(p), scaled);
    if (name == "select_blocks") return select_problem(p, variant.name != "dense" || p.at("branch_outputs") != 0);
    if (name == "sliding_window") return scaled_branch(window_problem(p, p.at("window")), scaled);
    if (name == kDenseStage) return window_problem(p, std::max<std::int64_t>(p.at("total_k").get<std::int64_t>(), 1));
    if (name == "gated_combine") return combine_problem(p);
    return selected_stage_problem(p, variant, stage, main_config, backend);
  }

  std::vector<TensorSpec> external_specs(const Json& json) const override {
    const NsaProblem p = decode(json);
    const DType element = dtype_of_element(p.element);
    constexpr Access kIn = Access::kRead, kOut = Access::kWrite;
    constexpr TensorLayout kRows = TensorLayout::kRows;
    std::vector<TensorSpec> specs{{"q", kIn, element, {p.total_q, p.heads_q(), p.head_dim}, kRows},
                                  {"k", kIn, element, {p.total_k, p.heads_kv, p.head_dim}, kRows},
                                  {"v", kIn, element, {p.total_k, p.heads_kv, p.head_dim_v}, kRows}};
    add_compression(p, element, specs);
    specs.push_back({"gates", kIn, dtype_of_element(p.gates), {p.total_q, p.heads_q(), 3}, TensorLayout::kScalars});
    specs.push_back({"cu_q", kIn, DType::kI32, {p.num_seqs + 1}});
    specs.push_back({"cu_k", kIn, DType::kI32, {p.num_seqs + 1}});
    specs.push_back({"out", kOut, element, {p.total_q, p.heads_q(), p.head_dim_v}, kRows});
    if (p.branch_outputs) add_branches(p, specs);
    return specs;
  }

  Work work(const Json& p) const override {
    Work sum;
    for (const auto& [family, problem] : branch_problems(p)) {
      const Work branch_work = kernel_of(family).work(problem);
      sum.flops += branch_work.flops;
      sum.bytes += branch_work.bytes;
    }
    return sum;
  }

  Json features(const Json& problem) const override {
    Json features = problem;
    features.erase("scale");
    return features;
  }

  std::string tune_flags(const Json& problem) const override {
    const NsaProblem p = decode(problem);
    return fmt::format(
        "--op nsa --heads-q {} --heads-kv {} --head-dim {} --block-size {} --topk {} --kernel-size {} --stride {} --window {} --seqlen {}",
        p.heads_q(), p.heads_kv, p.head_dim, p.block_size, p.topk, p.kernel_size, p.stride, p.window, p.total_k);
  }

  Result<std::vector<HostTensor>> random_inputs(const Json& problem, const reference::InputPattern& pattern) const override {
    return random_nsa_inputs(decode(problem), external_specs(problem), pattern);
  }

  Result<std::unique_ptr<Oracle>> make_oracle(const Json& problem, std::span<const TensorView> inputs) const override {
    return make_nsa_oracle(decode(problem), external_specs(problem), inputs);
  }

 private:
  /// A family's kernel on whatever backend has one: they agree on what work a problem is.
  static const Kernel& kernel_of(std::string_view family) {
    const Family* found = find_family(family);
    return found->cuda ? *found->cuda : *found->cpu;
  }

  /// The branches, each by the family that does its work.
  static std::vector<std::pair<std::string, Json>> branch_problems(const Json& p) {
    std::vector<std::pair<std::string, Json>> branches{{"compressed_attention", compressed_problem(p)},
                                                       {"select_blocks", select_problem(p, true)},
                                                       {"selected_query_major", selected_problem(p)},
                                                       {"sliding_window", window_problem(p, p.at("window"))},
                                                       {"gated_combine", combine_problem(p)}};
    for (const bool keys : {true, false})
      if (Json compress = compress_problem(p, keys); !compress.is_null()) branches.emplace_back("compress_kv", std::move(compress));
    return branches;
  }

  Json selected_stage_problem(const Json& p, const ChainVariant& variant, const ChainStage& stage, const Json& main_config,
                              Backend backend) const {
    Json step = selected_step_problem(selected_problem(p), variant, stage, main_config, backend);
    if (stage.name != kGatedReduce) return step;
    step["output"] = p.at("element");
    step["gated"] = 1;
    step["scaled"] = scales_branches(variant, backend) ? 1 : 0;
    step["gates"] = p.at("gates");
    return step;
  }

  static void add_compression(const NsaProblem& p, DType element, std::vector<TensorSpec>& specs) {
    constexpr Access kIn = Access::kRead;
    const std::int64_t heads = p.heads_kv, l = p.kernel_size;
    switch (p.compression) {
      case Compression::kNone:
        specs.push_back({"ck", kIn, element, {p.total_c, heads, p.head_dim}, TensorLayout::kRows});
        specs.push_back({"cv", kIn, element, {p.total_c, heads, p.head_dim_v}, TensorLayout::kRows});
        return;
      case Compression::kMean:
        return;
      case Compression::kWeighted:
        specs.push_back({"w_k", kIn, element, {heads, l}});
        specs.push_back({"w_v", kIn, element, {heads, l}});
        return;
      case Compression::kLinear:
        specs.push_back({"w_k", kIn, element, {heads, l * p.head_dim, p.head_dim}});
        specs.push_back({"w_v", kIn, element, {heads, l * p.head_dim_v, p.head_dim_v}});
        if (p.positional) specs.push_back({"pe", kIn, element, {heads, l, p.head_dim}});
    }
  }

  static void add_branches(const NsaProblem& p, std::vector<TensorSpec>& specs) {
    for (const char* name : {"cmp", "sel", "win"}) {
      specs.push_back({fmt::format("o_{}", name), Access::kWrite, DType::kF32, {p.total_q, p.heads_q(), p.head_dim_v}, TensorLayout::kRows});
      specs.push_back({fmt::format("lse_{}", name), Access::kWrite, DType::kF32, {p.heads_q(), p.total_q}});
      if (std::string_view(name) == "cmp")
        specs.push_back({"block_indices", Access::kWrite, DType::kI32, {p.heads_kv, p.total_q, p.topk}});
    }
  }
};

}  // namespace

const Operator& native_sparse_attention_operator() {
  static const NsaOperator op;
  return op;
}

}  // namespace fsa
