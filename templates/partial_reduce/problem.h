#pragma once
// Owns the problem of partial_reduce: a selected-attention forward, and whether its output is summed up with the other branches'.
#include <span>
#include <vector>

#include "templates/partial_reduce/params.h"
#include "templates/selected_problem.h"

namespace fsa {

struct PartialReduceProblem : SelectedProblem {
  int gated = 0;                   ///< 1: write g0 * o_cmp + g1 * o + g2 * o_win in the place of o
  int scaled = 0;                  ///< 1, where gated: o_cmp and o_win are f16, and cmp_unit and win_unit what their rows are multiplied by
  Element gates = Element::kBF16;  ///< of the gates

  bool operator==(const PartialReduceProblem&) const = default;
};

}  // namespace fsa

namespace fsa::partial_reduce {

using Problem = PartialReduceProblem;

const FieldTable<Problem>& problem_fields();
const FieldTable<Shape>& shape_fields();
Shape shape(const Problem& problem);
Result<void> check(const Problem& problem, const Target& target);
/// Reads every partial row and its LSE once, and what is summed up with it; writes the outputs once.
Work work(const Problem& problem);
/// "o_cmp", "o_win", "gates", "cmp_unit" and "win_unit" (where scaled), "out", "lse"
/// where gated, else "o", "lse": what follows the partials on both backends.
std::vector<TensorSpec> output_tensors(const Problem& problem);
/// Sets the parameters that belong to output_tensors().
void pack_outputs(const Problem& problem, std::span<const TensorView> tensors, Params& params);

}  // namespace fsa::partial_reduce
