#pragma once
// Owns the host description of the CUDA kernels of attention over ranges.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/cuda/range_config.h"
#include "templates/range_problem.h"

namespace fsa::cuda {

struct RangeKernels {
  using Config = RangeConfig;
  static constexpr std::string_view kConfigType = "cuda::RangeConfig";
  static constexpr std::array<std::string_view, 2> kEntries{"prepare", "run"};

  static const FieldTable<Config>& config_fields();
  static Config default_config(const RangeProblem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const RangeProblem& problem, const Target& target);
  static std::string invalid_reason(const RangeProblem& problem, const Config& config, const Target& target);
  static Resources resources(const RangeProblem& problem, const Config& config);
  /// "prepare", which is empty but for warpgroups, then "run".
  static std::vector<Launch> launches(const RangeProblem& problem, const Config& config);
  /// What follows the tensors of range_tensors(): V as tiles, where "prepare" makes them.
  static std::vector<TensorSpec> workspace(const RangeProblem& problem, const Config& config);
  /// Adds to the parameters that all backends share what this one needs besides. `tensors` are all, those of workspace() last.
  static void complete(const Config& config, std::span<const TensorView> tensors, RangeParams& params);
};

}  // namespace fsa::cuda
