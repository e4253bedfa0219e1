#pragma once
// Owns the generation of inputs of attention over ranges for tuning, tests and benchmarks.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "templates/range_problem.h"
#include "templates/reference/range_reference.h"

namespace fsa::reference {

struct RangeInputOptions {
  std::uint64_t seed = 1;
  double gain = 1;          ///< standard deviation of q and of k
  std::vector<int> lens_q;  ///< query tokens of each sequence; empty: total_q in even parts
  std::vector<int> lens_k;  ///< key tokens of each sequence; empty: lens_q, or total_k in even parts if that is empty too
  int spare_rows = 0;       ///< rows of ck and cv past those in use
};

/// Inputs in host memory, owned.
struct RangeInputs {
  RangeProblem problem;
  std::vector<std::byte> q, k, v;                 ///< element [Tq, Hq, D], [R, Hkv, D], [R, Hkv, Dv]
  std::vector<std::int32_t> cu_q, cu_k, cu_rows;  ///< [B+1]

  /// Views of the above with the family's rule, valid while this object is neither changed nor copied from.
  RangeOperands operands() const;
};

/// Inputs for `problem`, the same for equal arguments on every machine. A scale of 0 becomes 1/sqrt(head_dim); lengths in
/// `options` take precedence over the problem's num_seqs, total_q and total_k; total_rows follows from them.
RangeInputs random_range_inputs(RangeProblem problem, const RangeInputOptions& options = {});

}  // namespace fsa::reference
