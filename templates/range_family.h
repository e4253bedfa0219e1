#pragma once
// Owns what the families of attention over ranges have in common: shape, work, tolerance, and the kernels of both backends.
#include <array>
#include <string_view>
#include <utility>

#include "templates/cpu/range_kernel.h"
#include "templates/cuda/range_kernel.h"
#include "templates/range_problem.h"

namespace fsa {

/// The kernels of one backend for a family's Problem, which range_problem() turns into a RangeProblem. Kernels: the
/// backend's RangeKernels, the same functions of a RangeProblem.
template <class FamilyProblem, class Kernels>
struct RangeBackend {
  using Config = typename Kernels::Config;
  static constexpr std::string_view kConfigType = Kernels::kConfigType;
  static constexpr auto kEntries = Kernels::kEntries;

  static const FieldTable<Config>& config_fields() { return Kernels::config_fields(); }
  static Config default_config(const FamilyProblem& p, const Target& t) { return Kernels::default_config(range_problem(p), t); }
  static std::vector<Tunable<Config>> tunables(const FamilyProblem& p, const Target& t) { return Kernels::tunables(range_problem(p), t); }
  static std::string invalid_reason(const FamilyProblem& p, const Config& c, const Target& t) {
    return Kernels::invalid_reason(range_problem(p), c, t);
  }
  static Resources resources(const FamilyProblem& p, const Config& c) { return Kernels::resources(range_problem(p), c); }
  static std::vector<TensorSpec> tensors(const FamilyProblem& p, const Config& c) {
    std::vector<TensorSpec> tensors = range_tensors(range_problem(p));
    for (TensorSpec& each : Kernels::workspace(range_problem(p), c)) tensors.push_back(std::move(each));
    return tensors;
  }
  static std::vector<Launch> launches(const FamilyProblem& p, const Config& c) { return Kernels::launches(range_problem(p), c); }
  static RangeParams pack(const FamilyProblem& p, const Config& c, std::span<const TensorView> t) {
    RangeParams params = range_params(range_problem(p), t);
    Kernels::complete(c, t, params);
    return params;
  }
};

/// The rest of a family: it adds a name, a version, problem_fields() and check().
template <class FamilyProblem>
struct RangeFamily {
  using Problem = FamilyProblem;
  using Shape = RangeShape;
  static const FieldTable<Shape>& shape_fields() { return range_shape_fields(); }
  static Shape shape(const Problem& p) { return range_shape(range_problem(p)); }
  static Work work(const Problem& p) { return range_work(range_problem(p)); }
  static double tolerance(const Problem& p) { return range_tolerance(range_problem(p)); }
  using Cuda = RangeBackend<Problem, cuda::RangeKernels>;
  using Cpu = RangeBackend<Problem, cpu::RangeKernels>;
};

}  // namespace fsa
