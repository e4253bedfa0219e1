#pragma once
// Owns the description of block_index's CPU kernels.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/block_index/cpu_config.h"
#include "templates/block_index/params.h"
#include "templates/selected_problem.h"

namespace fsa::block_index {

struct Cpu {
  using Config = CpuConfig;
  static constexpr std::string_view kConfigType = "block_index::CpuConfig";
  static constexpr std::array<std::string_view, 3> kEntries{"count", "scan", "fill"};
  static const FieldTable<Config>& config_fields();
  static Config default_config(const SelectedProblem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const SelectedProblem& problem, const Target& target);
  static std::string invalid_reason(const SelectedProblem& problem, const Config& config, const Target& target);
  static Resources resources(const SelectedProblem& problem, const Config& config);
  static std::vector<TensorSpec> tensors(const SelectedProblem& problem, const Config& config);
  static std::vector<Launch> launches(const SelectedProblem& problem, const Config& config);
  static Params pack(const SelectedProblem& problem, const Config& config, std::span<const TensorView> tensors);
};

}  // namespace fsa::block_index
