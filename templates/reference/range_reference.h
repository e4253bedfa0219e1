#pragma once
// Owns the float64 oracle of attention over ranges: compressed attention and the sliding window.
//
// Source: Native Sparse Attention, arXiv 2502.11089, sections 3.3.1 and 3.3.3. The rules are written as the paper states them,
// not as kernels compute them.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "templates/reference/selected_reference.h"

namespace fsa::reference {

/// Rows [begin, end) of a sequence.
struct RowSpan {
  std::int64_t begin = 0, end = 0;
};

/// What a query at `position` >= 0 sees of the `rows` rows of its sequence.
using VisibleRule = std::function<RowSpan(std::int64_t position, std::int64_t rows)>;
/// The last `window` keys up to the query's own.
VisibleRule window_rule(int window);
/// The compressed keys i whose tokens, up to i * stride + kernel_size - 1, the query has reached.
VisibleRule compressed_rule(int kernel_size, int stride);

/// cu_c: prefix sums of floor((n - kernel_size) / stride) + 1 for sequences of n tokens, 0 for shorter ones than a kernel.
std::vector<std::int32_t> compressed_prefix_sums(std::span<const std::int32_t> cu_k, int kernel_size, int stride);

/// The inputs of one forward, in host memory. q, k, v: bf16, f16 or f32, any strides.
struct RangeOperands {
  TensorView q;        ///< [Tq, Hq, D]
  TensorView k;        ///< [R, Hkv, D]
  TensorView v;        ///< [R, Hkv, Dv]
  TensorView cu_q;     ///< i32 [B+1]
  TensorView cu_k;     ///< i32 [B+1]: tokens, which give the queries their positions
  TensorView cu_rows;  ///< i32 [B+1]: rows of k and v, R or fewer in all
  float scale = 0;     ///< softmax scale
  VisibleRule visible;
};

/// Every row. Errors: shapes that do not agree, prefix sums that decrease or end elsewhere than at their totals.
Result<SelectedOutputs> range_attention(const RangeOperands& operands);
/// The given rows alone. Errors: the same; a row out of range.
Result<SelectedOutputs> range_attention_rows(const RangeOperands& operands, std::span<const Row> rows);

/// [R] whether any query sees the row.
std::vector<bool> seen_rows(const RangeOperands& operands);

}  // namespace fsa::reference
