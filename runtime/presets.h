#pragma once
// Owns the model presets: attention shapes of models by name, for tools and tests.
#include <span>
#include <string_view>

#include "fsa/base/result.h"
#include "fsa/selected_attention.h"

namespace fsa {

/// The attention shape of a published model, from the config.json its authors ship.
struct ModelPreset {
  std::string_view name;
  int heads_q = 0;
  int heads_kv = 0;
  int head_dim = 0;  ///< of q, k and v
};

/// Every preset, in the order help texts list them.
std::span<const ModelPreset> model_presets();

/// The preset of that name; kNotFound lists those there are.
Result<ModelPreset> find_preset(std::string_view name);

/// One sequence of `tokens` of the model in training or prefill, with the library's default block size and topk.
SelectedAttentionProblem preset_problem(const ModelPreset& preset, std::int64_t tokens);

}  // namespace fsa
