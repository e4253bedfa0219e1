#pragma once
// Owns the description of the partial_reduce kernel family.
#include "templates/partial_reduce/cpu_kernel.h"
#include "templates/partial_reduce/cuda_kernel.h"
#include "templates/selected_family.h"

namespace fsa {

/// Merges the partial outputs of a row's blocks by their LSE (the reduction kernel of FSA); where gated, sums the result up
/// with the outputs of the other branches, which saves a write and a read of it.
struct PartialReduceFamily {
  static constexpr std::string_view kName = "partial_reduce";
  static constexpr int kVersion = 6;
  using Problem = PartialReduceProblem;
  using Shape = partial_reduce::Shape;
  static const FieldTable<Problem>& problem_fields() { return partial_reduce::problem_fields(); }
  static const FieldTable<Shape>& shape_fields() { return partial_reduce::shape_fields(); }
  static Shape shape(const Problem& p) { return partial_reduce::shape(p); }
  static Result<void> check(const Problem& p, const Target& target) { return partial_reduce::check(p, target); }
  static Work work(const Problem& p) { return partial_reduce::work(p); }
  static double tolerance(const Problem& p) { return SelectedFamily::tolerance(p); }
  using Cuda = partial_reduce::Cuda;
  using Cpu = partial_reduce::Cpu;
};

}  // namespace fsa
