#pragma once
// Owns the description of select_blocks' CPU kernel.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/select_blocks/cpu_config.h"
#include "templates/select_blocks/params.h"
#include "templates/select_blocks/problem.h"

namespace fsa::select_blocks {

struct Cpu {
  using Config = CpuConfig;
  static constexpr std::string_view kConfigType = "select_blocks::CpuConfig";
  static constexpr std::array<std::string_view, 1> kEntries{"run"};

  static const FieldTable<Config>& config_fields();
  static Config default_config(const Problem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const Problem& problem, const Target& target);
  static std::string invalid_reason(const Problem& problem, const Config& config, const Target& target);
  static Resources resources(const Problem& problem, const Config& config);
  static std::vector<TensorSpec> tensors(const Problem& problem, const Config& config);
  static std::vector<Launch> launches(const Problem& problem, const Config& config);
  static Params pack(const Problem& problem, const Config& config, std::span<const TensorView> tensors);
};

}  // namespace fsa::select_blocks
