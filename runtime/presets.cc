#include "runtime/presets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

namespace fsa {
namespace {

constexpr std::array kPresets = {
    ModelPreset{.name = "llama3-8b", .heads_q = 32, .heads_kv = 8, .head_dim = 128},
    ModelPreset{.name = "qwen3-14b", .heads_q = 40, .heads_kv = 8, .head_dim = 128},
    ModelPreset{.name = "qwen2.5-32b", .heads_q = 40, .heads_kv = 8, .head_dim = 128},
    ModelPreset{.name = "llama3-70b", .heads_q = 64, .heads_kv = 8, .head_dim = 128},
};

}  // namespace

std::span<const ModelPreset> model_presets() { return kPresets; }

Result<ModelPreset> find_preset(std::string_view name) {
  const auto it = std::ranges::find(kPresets, name, &ModelPreset::name);
  if (it != kPresets.end()) return *it;
  std::vector<std::string_view> names;
  for (const ModelPreset& p : kPresets) names.push_back(p.name);
  return make_error(ErrorKind::kNotFound, {.given = fmt::format("the preset '{}'", name),
                                           .supported = fmt::format("{}", fmt::join(names, ", ")),
                                           .remedy = "take one of these, or give the shape with --heads-q, --heads-kv and --head-dim"});
}

SelectedAttentionProblem preset_problem(const ModelPreset& preset, std::int64_t tokens) {
  return {.head_dim = preset.head_dim,
          .head_dim_v = preset.head_dim,
          .heads_q = preset.heads_q,
          .heads_kv = preset.heads_kv,
          .total_q = tokens,
          .total_k = tokens};
}

}  // namespace fsa
