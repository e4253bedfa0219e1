#pragma once
// Owns the float64 oracle of selected attention, forward: what every kernel is checked against.
//
// Source: Native Sparse Attention, arXiv 2502.11089, section 3.3.2. Written for clarity: one loop per (token, head).
#include <cstdint>
#include <span>
#include <vector>

#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"

namespace fsa::reference {

/// The inputs of one selected-attention forward, in host memory. q, k, v: bf16, f16 or f32, any strides.
struct SelectedOperands {
  TensorView q;              ///< [Tq, Hq, D]
  TensorView k;              ///< [Tk, Hkv, D]
  TensorView v;              ///< [Tk, Hkv, Dv]
  TensorView block_indices;  ///< i32 [Hkv, Tq, T], contiguous; negative, future or repeated numbers select nothing more
  TensorView cu_q;           ///< i32 [B+1]
  TensorView cu_k;           ///< i32 [B+1]
  int block_size = 0;        ///< keys per block
  float scale = 0;           ///< softmax scale
};

/// One output row.
struct Row {
  std::int64_t token = 0;  ///< packed query token
  std::int64_t head = 0;   ///< query head
};

/// Outputs of the oracle. Rows that see no key have o 0 and lse -infinity.
struct SelectedOutputs {
  std::vector<double> o;    ///< [Tq, Hq, Dv], or [rows, Dv] of the sampled form
  std::vector<double> lse;  ///< natural logarithm: [Hq, Tq], or [rows] of the sampled form
};

/// Shapes and dtypes agree, cu_q and cu_k start at 0, never decrease and end at Tq and Tk: else kInvalidArgument.
Result<void> check_operands(const SelectedOperands& operands);

/// Every row. Errors: those of check_operands.
Result<SelectedOutputs> selected_attention(const SelectedOperands& operands);

/// The given rows alone, for problems too large to compute whole. Errors: those of check_operands; a row out of range.
Result<SelectedOutputs> selected_attention_rows(const SelectedOperands& operands, std::span<const Row> rows);

/// `count` rows spread evenly over tokens and heads (all of them if there are fewer), the first and last token among them.
std::vector<Row> sample_rows(std::int64_t total_q, std::int64_t heads_q, std::int64_t count);

/// Key positions, sequence-local and ascending, that a query at `position` sees through `blocks`. Empty for position < 0.
std::vector<std::int64_t> visible_keys(std::span<const std::int32_t> blocks, std::int64_t position, int block_size, std::int64_t len_k);

}  // namespace fsa::reference
