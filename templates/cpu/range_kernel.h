#pragma once
// Owns the host description of the CPU kernels of attention over ranges.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/cpu/range_config.h"
#include "templates/range_problem.h"

namespace fsa::cpu {

struct RangeKernels {
  using Config = RangeConfig;
  static constexpr std::string_view kConfigType = "cpu::RangeConfig";
  static constexpr std::array<std::string_view, 1> kEntries{"run"};

  static const FieldTable<Config>& config_fields();
  static Config default_config(const RangeProblem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const RangeProblem& problem, const Target& target);
  static std::string invalid_reason(const RangeProblem& problem, const Config& config, const Target& target);
  static Resources resources(const RangeProblem& problem, const Config& config);
  static std::vector<Launch> launches(const RangeProblem& problem, const Config& config);
  static std::vector<TensorSpec> workspace(const RangeProblem&, const Config&) { return {}; }
  static void complete(const Config&, std::span<const TensorView>, RangeParams&) {}
};

}  // namespace fsa::cpu
