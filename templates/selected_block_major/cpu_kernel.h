#pragma once
// Owns the description of selected_block_major's CPU kernel.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/selected_block_major/cpu_config.h"
#include "templates/selected_block_major/params.h"
#include "templates/selected_problem.h"

namespace fsa::selected_block_major {

struct Cpu {
  using Config = CpuConfig;
  static constexpr std::string_view kConfigType = "selected_block_major::CpuConfig";
  static constexpr std::array<std::string_view, 1> kEntries{"run"};
  static const FieldTable<Config>& config_fields();
  static Config default_config(const SelectedProblem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const SelectedProblem& problem, const Target& target);
  static std::string invalid_reason(const SelectedProblem& problem, const Config& config, const Target& target);
  static Resources resources(const SelectedProblem& problem, const Config& config);
  static std::vector<TensorSpec> tensors(const SelectedProblem& problem, const Config& config);
  static std::vector<Launch> launches(const SelectedProblem& problem, const Config& config);
  static Params pack(const SelectedProblem& problem, const Config& config, std::span<const TensorView> tensors);
};

}  // namespace fsa::selected_block_major
