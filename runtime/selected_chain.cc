#include "runtime/selected_chain.h"

#include <algorithm>

namespace fsa {
namespace {

constexpr int kCpuItemTokens = 256;
/// Query rows (tokens times heads) from which on the hybrid order is the default.
constexpr std::int64_t kRowsOfHybrid = 32768;

}  // namespace

const std::vector<ChainVariant>& selected_variants(Backend backend) {
  static const std::vector<ChainVariant> cuda{
      {"block_major", {"block_index", "selected_block_major", "partial_reduce"}, "selected_block_major"},
      {"query_major", {"selected_query_major"}, "selected_query_major"},
      {"hybrid",
       {"shared_blocks",
        {"block_index", "block_index", {{"block_indices", "rest_indices"}}},
        "selected_block_major",
        "shared_reduce"},
       "selected_block_major"},
  };
  static const std::vector<ChainVariant> cpu{
      {"block_major", {"selected_block_major"}, "selected_block_major"},
      {"query_major", {"selected_query_major"}, "selected_query_major"},
      {"block_major_partials", {"block_index", "selected_block_major", "partial_reduce"}, "selected_block_major"},
  };
  return backend == Backend::kCuda ? cuda : cpu;
}

std::string_view default_selected_variant(const Operator& op, const Json& problem, const Target& target) {
  // Measured on both backends (templates/*/README.md): block-major wins for small groups, and on a GPU up to where its
  // partial outputs cost more traffic than reading the blocks once per query.
  const int group = problem.at("group").get<int>();
  if (target.backend == Backend::kCpu) return group <= 2 ? "block_major" : "query_major";
  // The blocks that every query selects, its own and its neighbours', are cheaper attended at once than one by one, where rows are
  // many enough for the kernel that finds them. It lays out all of V, too: not for few queries of long contexts, such as decoding.
  const std::int64_t rows = problem.at("total_q").get<std::int64_t>() * group;
  const bool many = rows * problem.at("heads_kv").get<std::int64_t>() >= kRowsOfHybrid && rows >= problem.at("total_k").get<std::int64_t>();
  if (group >= 3 && many && make_chain(op, problem, {.variant = "hybrid"}, target).ok()) return "hybrid";
  return group <= 16 ? "block_major" : "query_major";
}

Json selected_step_problem(const Json& problem, const ChainVariant& variant, const ChainStage& stage, const Json& main_config,
                           Backend backend) {
  Json step = problem;
  if (!has_partials(variant)) return step;
  if (backend == Backend::kCpu) {
    // On a CPU a positive item_tokens asks for partial outputs, which are f32 there.
    step["item_tokens"] = kCpuItemTokens;
    step["partial"] = "f32";
  } else if (stage.name != variant.main) {
    step["item_tokens"] = main_config.at("item_tokens");
    step["partial"] = main_config.at("partial");
  }
  return step;
}

bool reduces_partials(const ChainStage& stage) { return stage.family == "partial_reduce" || stage.family == "shared_reduce"; }

bool has_partials(const ChainVariant& variant) { return std::ranges::any_of(variant.stages, reduces_partials); }

}  // namespace fsa
