#pragma once
// Owns the description of the select_blocks kernel family.
#include "templates/select_blocks/cpu_kernel.h"
#include "templates/select_blocks/cuda_kernel.h"

namespace fsa {

/// The blocks that each query attends to: forced ones, then those of the largest scores (arXiv 2502.11089, section 3.3.2).
struct SelectBlocksFamily {
  static constexpr std::string_view kName = "select_blocks";
  static constexpr int kVersion = 3;
  using Problem = select_blocks::Problem;
  using Shape = select_blocks::Shape;
  static const FieldTable<Problem>& problem_fields() { return select_blocks::problem_fields(); }
  static const FieldTable<Shape>& shape_fields() { return select_blocks::shape_fields(); }
  static Shape shape(const Problem& p) { return p.shape(); }
  static Result<void> check(const Problem& p, const Target& target) { return select_blocks::check_problem(p, target); }
  static Work work(const Problem& p) { return select_blocks::work_of(p); }
  /// Relative difference of two scores below which either block may be chosen.
  static double tolerance(const Problem&) { return 1e-5; }
  using Cuda = select_blocks::Cuda;
  using Cpu = select_blocks::Cpu;
};

}  // namespace fsa
