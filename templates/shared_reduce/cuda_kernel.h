#pragma once
// Owns the host description of the CUDA kernel of shared_reduce.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_facts.h"
#include "codegen/tunable.h"
#include "templates/partial_reduce/problem.h"
#include "templates/shared_reduce/config.h"
#include "templates/shared_reduce/params.h"

namespace fsa::shared_reduce {

using Problem = PartialReduceProblem;

const FieldTable<Shape>& shape_fields();
Shape shape(const Problem& problem);
/// What is unsupported beside what shared_blocks does not support: targets without wgmma, blocks whose logits registers do not hold
/// beside the outputs, and those of which shared memory does not hold two.
Result<void> check(const Problem& problem, const Target& target);

struct Cuda {
  using Config = shared_reduce::Config;
  using Problem = shared_reduce::Problem;
  static constexpr std::string_view kConfigType = "shared_reduce::Config";
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

}  // namespace fsa::shared_reduce
