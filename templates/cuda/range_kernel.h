#pragma once
// Owns the host description of the CUDA kernels of attention over ranges.
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

  static const FieldTable<Config>& config_fields();
  static Config default_config(const RangeProblem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const RangeProblem& problem, const Target& target);
  static std::string invalid_reason(const RangeProblem& problem, const Config& config, const Target& target);
  static Resources resources(const RangeProblem& problem, const Config& config);
  static std::vector<Launch> launches(const RangeProblem& problem, const Config& config);
};

}  // namespace fsa::cuda
