#pragma once
// Owns the description of the shared_reduce kernel family.
#include "templates/selected_family.h"
#include "templates/shared_reduce/cuda_kernel.h"

namespace fsa {

/// Merges, as partial_reduce does, the partial outputs of a row's blocks, and with them the blocks that many queries of a tile share, which
/// it attends itself: densely, query-major.
struct SharedReduceFamily {
  static constexpr std::string_view kName = "shared_reduce";
  static constexpr int kVersion = 4;
  using Problem = PartialReduceProblem;
  using Shape = shared_reduce::Shape;
  static const FieldTable<Problem>& problem_fields() { return partial_reduce::problem_fields(); }
  static const FieldTable<Shape>& shape_fields() { return shared_reduce::shape_fields(); }
  static Shape shape(const Problem& p) { return shared_reduce::shape(p); }
  static Result<void> check(const Problem& p, const Target& target) { return shared_reduce::check(p, target); }
  static Work work(const Problem& p) { return partial_reduce::work(p); }
  static double tolerance(const Problem& p) { return SelectedFamily::tolerance(p); }
  using Cuda = shared_reduce::Cuda;
};

}  // namespace fsa
