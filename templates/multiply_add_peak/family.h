#pragma once
// Owns the description of the multiply_add_peak kernel family.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "codegen/tunable.h"
#include "templates/multiply_add_peak/config.h"
#include "templates/multiply_add_peak/params.h"

namespace fsa {

/// A measurement of a CPU's multiply-add peak: what the fractions in tuning tables refer to.
struct PeakProblem {
  cpu::Math math = cpu::Math::kF32;
  int items = 64;                 ///< work items, at least a few for each worker thread
  std::int64_t steps = 4'800'000; ///< 16-lane multiply-adds of each item, a multiple of 48
};

struct MultiplyAddPeakFamily {
  static constexpr std::string_view kName = "multiply_add_peak";
  static constexpr int kVersion = 1;
  using Problem = PeakProblem;
  using Shape = multiply_add_peak::Shape;
  static const FieldTable<Problem>& problem_fields();
  static const FieldTable<Shape>& shape_fields();
  static Shape shape(const Problem& problem) { return {problem.math}; }
  static Result<void> check(const Problem& problem, const Target& target);
  static Work work(const Problem& problem);
  static double tolerance(const Problem&) { return 1e-5; }

  struct Cpu {
    using Config = multiply_add_peak::CpuConfig;
    static constexpr std::string_view kConfigType = "multiply_add_peak::CpuConfig";
    static constexpr std::array<std::string_view, 1> kEntries{"run"};
    static const FieldTable<Config>& config_fields();
    static Config default_config(const Problem& problem, const Target& target);
    static std::vector<Tunable<Config>> tunables(const Problem& problem, const Target& target);
    static std::string invalid_reason(const Problem& problem, const Config& config, const Target& target);
    static Resources resources(const Problem& problem, const Config& config);
    /// "sums" f32 [items], written.
    static std::vector<TensorSpec> tensors(const Problem& problem, const Config& config);
    static std::vector<Launch> launches(const Problem& problem, const Config& config);
    static multiply_add_peak::Params pack(const Problem& problem, const Config& config, std::span<const TensorView> tensors);
  };
};

}  // namespace fsa
