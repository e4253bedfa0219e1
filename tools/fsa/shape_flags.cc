#include "tools/fsa/shape_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/presets.h"
#include "runtime/operator_input.h"
#include "runtime/selected_plan.h"
#include "tools/fsa/units.h"

namespace fsa::cli {
namespace {

std::string preset_help() {
  std::vector<std::string_view> names;
  for (const ModelPreset& p : model_presets()) names.push_back(p.name);
  return fmt::format("Model whose attention shape to take, comma separated: {}", fmt::join(names, ", "));
}

Result<std::vector<ModelPreset>> find_presets(std::string_view names) {
  std::vector<ModelPreset> presets;
  for (const std::string& name : split_commas(names)) {
    FSA_ASSIGN_OR_RETURN(const ModelPreset preset, find_preset(name));
    presets.push_back(preset);
  }
  return presets;
}

Result<std::vector<NamedProblem>> problem_of_file(const Operator& op, const std::string& path) {
  FSA_ASSIGN_OR_RETURN(OperatorInput input, read_operator_input(op, path));
  const std::size_t slash = path.find_last_of('/');
  return std::vector{NamedProblem{path.substr(slash == std::string::npos ? 0 : slash + 1), &op, std::move(input.problem)}};
}

}  // namespace

void ShapeFlags::add_to(CLI::App& command) {
  command.add_option("--op", op, "Operator: selected, nsa (the whole of Native Sparse Attention), compressed_attention, select_blocks, sliding_window or compress_kv")->capture_default_str();
  command.add_option("--preset", presets, preset_help());
  command.add_option("--heads-q", heads_q, "Query heads (in place of a preset)")->check(CLI::PositiveNumber);
  command.add_option("--heads-kv", heads_kv, "Key/value heads")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--head-dim", head_dim, "Head dimension of q and k")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--head-dim-v", head_dim_v, "Head dimension of v (default: that of q and k)")->check(CLI::PositiveNumber);
  command.add_option("--seqlen", seqlens, "Tokens per sequence, comma separated: 8k,32k")->capture_default_str();
  command.add_option("--queries", queries, "Queries per sequence, its last ones (default: all tokens; 1 is decoding)")
      ->check(CLI::PositiveNumber);
  command.add_option("--num-seqs", num_seqs, "Sequences packed together")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--block-size", block_size, "Keys per selected block")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--topk", topk, "Blocks selected per query")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--kernel-size", kernel_size, "Tokens per compressed key (nsa)")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--stride", stride, "Tokens between compressed keys (nsa)")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--init-blocks", init_blocks, "First blocks that every query selects (nsa)")->capture_default_str()->check(CLI::NonNegativeNumber);
  command.add_option("--local-blocks", local_blocks, "Latest blocks that every query selects (nsa)")->capture_default_str()->check(CLI::NonNegativeNumber);
  command.add_option("--window", window, "Keys of the sliding window (nsa)")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--compression", compression, "none (compressed keys are inputs), mean, weighted or linear (nsa)")->capture_default_str();
  command.add_option("--dtype", dtype, "bf16, f16, or f32 (CPU only)")->capture_default_str();
}

void ShapeFlags::add_pattern_to(CLI::App& command, reference::InputPattern& pattern) {
  command.add_option("--seed", pattern.seed, "Equal seeds give equal inputs")->capture_default_str();
  command.add_option("--overlap", pattern.overlap, "Chance that a token selects a block of the token before again (selected)")
      ->check(CLI::Range(0.0, 1.0));
  command.add_flag("--mixed-lengths", pattern.mixed_lengths, "Lengths of the --num-seqs sequences in the ratio 1 : 2 : 3 ..., in random order");
}

SelectedAttentionProblem ShapeFlags::selected_problem(const ModelPreset& model, std::int64_t length, DType element) const {
  SelectedAttentionProblem p = preset_problem(model, length * num_seqs);
  p.dtype = element;
  if (head_dim_v > 0) p.head_dim_v = head_dim_v;
  p.block_size = block_size;
  p.topk = topk;
  p.num_seqs = num_seqs;
  if (queries > 0) p.total_q = queries * num_seqs;
  return p;
}

Result<Json> ShapeFlags::problem_of(const Operator& named_op, const SelectedAttentionProblem& p) const {
  const std::int64_t length = p.num_seqs > 0 ? p.total_k / p.num_seqs : 0;
  std::int64_t compressed = 0;  // room enough for several sequences of whatever lengths
  if (stride > 0 && length >= kernel_size) compressed = p.num_seqs == 1 ? (length - kernel_size) / stride + 1 : p.total_k / stride;
  const Json all{{"dtype", to_string(p.dtype)},  {"head_dim", p.head_dim},     {"head_dim_v", p.head_dim_v},   {"heads_q", p.heads_q},
                 {"heads_kv", p.heads_kv},       {"kernel_size", kernel_size}, {"stride", stride},             {"block_size", p.block_size},
                 {"topk", p.topk},               {"init_blocks", init_blocks}, {"local_blocks", local_blocks}, {"window", window},
                 {"compression", compression},   {"num_seqs", p.num_seqs},     {"total_q", p.total_q},         {"total_k", p.total_k},
                 {"mode", compression == "none" ? "mean" : compression},       {"total_c", compressed}};
  Json problem = Json::object();
  for (const std::string_view field : named_op.public_fields())
    if (const auto it = all.find(std::string(field)); it != all.end()) problem[it.key()] = it.value();
  return named_op.from_public(problem);
}

Result<std::vector<NamedProblem>> ShapeFlags::problems() const {
  FSA_ASSIGN_OR_RETURN(const Operator* named_op, operator_by_short_name(op));
  if (!input.empty()) return problem_of_file(*named_op, input);
  if (!given())
    return make_error(ErrorKind::kInvalidArgument, {.given = "no shape",
                                                    .supported = "--preset NAME, or --heads-q N and what differs from the defaults",
                                                    .remedy = "for instance --preset llama3-8b --seqlen 8k"});
  std::vector<ModelPreset> models{{.name = "", .heads_q = heads_q, .heads_kv = heads_kv, .head_dim = head_dim}};
  if (!presets.empty()) {
    FSA_ASSIGN_OR_RETURN(models, find_presets(presets));
  }
  FSA_ASSIGN_OR_RETURN(const DType element, parse_dtype(dtype));
  FSA_ASSIGN_OR_RETURN(const auto lengths, parse_counts(seqlens, "--seqlen"));
  std::vector<NamedProblem> problems;
  for (const ModelPreset& model : models) {
    for (const std::int64_t length : lengths) {
      const SelectedAttentionProblem p = selected_problem(model, length, element);
      const std::string model_name =
          model.name.empty() ? fmt::format("{}/{}x{}", p.heads_q, p.heads_kv, p.head_dim) : std::string(model.name);
      FSA_ASSIGN_OR_RETURN(Json problem, problem_of(*named_op, p));
      problems.push_back({fmt::format("{} {}", model_name, format_count(length)), named_op, std::move(problem)});
    }
  }
  return problems;
}

}  // namespace fsa::cli
