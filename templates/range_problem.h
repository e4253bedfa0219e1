#pragma once
// Owns RangeProblem: what the families of attention over ranges of keys are to their shared kernels, and what follows from it.
#include <cstdint>
#include <span>
#include <vector>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "templates/range_params.h"

namespace fsa {

/// Attention in which every query sees one run of the rows of k and v of its sequence.
struct RangeProblem {
  Element element, output;
  int head_dim, head_dim_v, group, heads_kv, num_seqs;
  std::int64_t total_q, total_k;
  std::int64_t total_rows;  ///< of k and v
  float scale;
  int kernel_size = 0, stride = 0;  ///< compressed attention alone
  int window = 0;                   ///< sliding window alone
  int scaled = 0;                   ///< 1: o is f16, whatever element is, and o_unit says what each row is to be multiplied by

  /// Rows are compressed keys: k, v and their prefix sums are named ck, cv and cu_c.
  bool compressed() const { return window == 0; }
};

const FieldTable<RangeShape>& range_shape_fields();
RangeShape range_shape(const RangeProblem& problem);
/// What no kernel supports: dims, group, sizes past the index type, scales, output types.
Result<void> check_range_problem(const RangeProblem& problem, const Target& target);
/// 2 * (D + Dv) flops for each visible (row, key) pair of sequences of equal length, and the compulsory traffic.
Work range_work(const RangeProblem& problem);
double range_tolerance(const RangeProblem& problem);
/// Queries of a sequence on average, 1 at least.
std::int64_t mean_queries(const RangeProblem& problem);

/// The tensors, the same on every backend: q, k, v, cu_q, cu_k, cu_c (of compressed rows), o, lse, o_unit (where scaled).
std::vector<TensorSpec> range_tensors(const RangeProblem& problem);
RangeParams range_params(const RangeProblem& problem, std::span<const TensorView> tensors);

}  // namespace fsa
