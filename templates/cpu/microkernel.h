#pragma once
// Owns the microkernel: a register tile of C = A B, A read word by word (broadcast), B from a packed panel.
#include "cpu/vector.h"

namespace fsa::cpu {

/// [rows][width] vectors. Indices must be constants after unrolling, so that the tile lives in registers.
struct Accumulators {
  F32x16 v[kMaxRows][kMaxWidth];
};

FSA_INLINE F32x16 multiply_add(Math math, float a, F32x16 b, F32x16 sum) {
  if (math == Math::kBF16Dot) return (F32x16)__builtin_ia32_dpbf16ps_512(sum, (BF16x32)splat(a), (BF16x32)b);
  return __builtin_elementwise_fma(splat(a), b, sum);
}

/// acc[r][c] += sum over k < depth of a[r * stride + k] * b[k][c]. `depth` is a multiple of 4; `a` counts in words.
FSA_INLINE void multiply_panel(Math math, int rows, int width, int depth, const float* a, int stride, const float* b, Accumulators& acc) {
  constexpr int kStep = 2;
#pragma clang loop unroll(disable)
  for (int k = 0; k < depth; k += kStep) {
    FSA_UNROLL
    for (int s = 0; s < kStep; ++s) {
      F32x16 column[kMaxWidth];
      FSA_UNROLL
      for (int c = 0; c < width; ++c) column[c] = load<F32x16>(b + ((k + s) * width + c) * kLanes);
      FSA_UNROLL
      for (int r = 0; r < rows; ++r) {
        const float word = a[r * stride + k + s];
        FSA_UNROLL
        for (int c = 0; c < width; ++c) acc.v[r][c] = multiply_add(math, word, column[c], acc.v[r][c]);
      }
    }
  }
}

}  // namespace fsa::cpu
