#include "runtime/selected_chain.h"

#include <algorithm>

namespace fsa {
namespace {

constexpr int kCpuItemTokens = 256;

}  // namespace

const std::vector<ChainVariant>& selected_variants(Backend backend) {
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

std::string_view default_selected_variant(int group, Backend backend) {
  // Measured on both backends (templates/*/README.md): block-major wins for small groups, and on a GPU up to where its
  // partial outputs cost more traffic than reading the blocks once per query.
  if (backend == Backend::kCpu) return group <= 2 ? "block_major" : "query_major";
  return group <= 16 ? "block_major" : "query_major";
}

Json selected_step_problem(const Json& problem, std::string_view stage, bool partials, std::string_view main, const Json& main_config,
                           Backend backend) {
  Json step = problem;
  if (!partials) return step;
  if (backend == Backend::kCpu) {
    // On a CPU a positive item_tokens asks for partial outputs, which are f32 there.
    step["item_tokens"] = kCpuItemTokens;
    step["partial"] = "f32";
  } else if (stage != main) {
    step["item_tokens"] = main_config.at("item_tokens");
    step["partial"] = main_config.at("partial");
  }
  return step;
}

bool has_partials(const ChainVariant& variant) {
  return std::any_of(variant.stages.begin(), variant.stages.end(), [](const ChainStage& s) { return s.family == "partial_reduce"; });
}

}  // namespace fsa
