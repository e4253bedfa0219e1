#pragma once
// Owns the host description of the CUDA kernels of shared_attention.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/selected_problem.h"
#include "templates/shared_attention/config.h"
#include "templates/shared_attention/params.h"

namespace fsa::shared_attention {

/// What is unsupported beside what shared_blocks does not support: targets without wgmma, blocks whose logits registers do not hold
/// beside the outputs, and those of which shared memory does not hold two.
Result<void> check(const SelectedProblem& problem, const Target& target);

struct Cuda {
  using Config = shared_attention::Config;
  using Problem = SelectedProblem;
  static constexpr std::string_view kConfigType = "shared_attention::Config";
  static constexpr std::array<std::string_view, 2> kEntries{"prepare", "run"};

  static const FieldTable<Config>& config_fields();
  static Config default_config(const Problem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const Problem& problem, const Target& target);
  static std::string invalid_reason(const Problem& problem, const Config& config, const Target& target);
  static Resources resources(const Problem& problem, const Config& config);
  static std::vector<TensorSpec> tensors(const Problem& problem, const Config& config);
  static std::vector<Launch> launches(const Problem& problem, const Config& config);
  static Params pack(const Problem& problem, const Config& config, std::span<const TensorView> tensors);
};

}  // namespace fsa::shared_attention
