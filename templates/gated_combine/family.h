#pragma once
// Owns the description of the gated_combine kernel family.
#include "templates/gated_combine/cpu_kernel.h"
#include "templates/gated_combine/cuda_kernel.h"

namespace fsa {

/// The gated sum of compressed, selected and sliding attention (Native Sparse Attention, arXiv 2502.11089, equation 5).
struct GatedCombineFamily {
  static constexpr std::string_view kName = "gated_combine";
  static constexpr int kVersion = 1;
  using Problem = GatedCombineProblem;
  using Shape = gated_combine::Shape;
  static const FieldTable<Problem>& problem_fields() { return gated_combine::problem_fields(); }
  static const FieldTable<Shape>& shape_fields() { return gated_combine::shape_fields(); }
  static Shape shape(const Problem& p) { return gated_combine::shape(p); }
  static Result<void> check(const Problem& p, const Target&) { return gated_combine::check(p); }
  static Work work(const Problem& p) { return gated_combine::work(p); }
  /// Inputs are f32 and so is the sum; a 16-bit output is rounded once.
  static double tolerance(const Problem& p) { return p.element == Element::kF32 ? 1e-5 : 2e-3; }
  using Cuda = gated_combine::Cuda;
  using Cpu = gated_combine::Cpu;
};

}  // namespace fsa
