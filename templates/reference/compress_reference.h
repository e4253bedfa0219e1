#pragma once
// Owns the float64 oracles of compression: the compressed sequences' bounds, and the compressed keys or values.
//
// Source: Native Sparse Attention, arXiv 2502.11089, section 3.3.1.
#include <cstdint>
#include <span>
#include <vector>

#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"
#include "templates/reference/selected_reference.h"

namespace fsa::reference {

/// Prefix sums of the sequences' numbers of windows; negative lengths count as 0, sums end at 2^31 - 1.
std::vector<std::int32_t> compressed_cu(std::span<const std::int32_t> cu_k, int kernel_size, int stride);

/// The inputs of one compression, in host memory: bf16, f16 or f32; x with any strides, w and pe contiguous.
struct CompressOperands {
  TensorView x;     ///< [Tk, Hkv, D]
  TensorView w;     ///< mean: none (rank 0); weighted: [Hkv, l]; linear: [Hkv, l*D, D]
  TensorView pe;    ///< none (rank 0), or [Hkv, l, D] that is added to the window
  TensorView cu_k;  ///< i32 [B+1]
  int kernel_size = 0;
  int stride = 0;
};

/// Every row below the last of compressed_cu: [rows, Hkv, D]. Errors: ranks and shapes that do not agree.
Result<std::vector<double>> compress(const CompressOperands& operands);
/// The given rows alone, (compressed key, kv head) each: [rows, D]. Errors: the same; a row out of range.
Result<std::vector<double>> compress_rows(const CompressOperands& operands, std::span<const Row> rows);

}  // namespace fsa::reference
