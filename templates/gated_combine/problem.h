#pragma once
// Owns the problem of gated_combine: the gated sum of the three branches' outputs.
#include <cstdint>
#include <span>
#include <vector>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "templates/gated_combine/params.h"

namespace fsa {

struct GatedCombineProblem {
  Element element = Element::kBF16;  ///< of out; the branches' outputs are f32
  Element gates = Element::kBF16;    ///< of the gates
  int head_dim_v = 128;              ///< Dv
  int heads_q = 1;                   ///< Hq
  std::int64_t total_q = 0;          ///< Tq

  bool operator==(const GatedCombineProblem&) const = default;

  std::int64_t rows() const { return total_q * heads_q; }
};

}  // namespace fsa

namespace fsa::gated_combine {

using Problem = GatedCombineProblem;

const FieldTable<Problem>& problem_fields();
const FieldTable<Shape>& shape_fields();
Shape shape(const Problem& problem);
Result<void> check(const Problem& problem);
/// Reads three outputs and the gates, writes one output.
Work work(const Problem& problem);
/// "o_cmp", "o_sel", "o_win", "gates", "out": the same on both backends.
std::vector<TensorSpec> tensors(const Problem& problem);
Params pack(const Problem& problem, std::span<const TensorView> tensors);

}  // namespace fsa::gated_combine
