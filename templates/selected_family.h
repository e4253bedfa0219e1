#pragma once
// Owns what the families of selected attention have in common: problem, shape, checks and tolerance.
#include "templates/selected_problem.h"

namespace fsa {

struct SelectedFamily {
  using Problem = SelectedProblem;
  using Shape = SelectedShape;
  static const FieldTable<Problem>& problem_fields() { return selected_problem_fields(); }
  static const FieldTable<Shape>& shape_fields() { return selected_shape_fields(); }
  static Shape shape(const Problem& p) { return selected_shape(p); }
  static Result<void> check(const Problem& p, const Target& target) { return check_selected_problem(p, target); }
  /// Outputs are rounded to their type; P and the partial outputs to 16 bits (f32 problems keep f32 throughout).
  static double tolerance(const Problem& p) { return p.element == Element::kF32 ? 1e-5 : 2e-3; }
};

}  // namespace fsa
