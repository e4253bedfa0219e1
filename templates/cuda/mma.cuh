#pragma once
// Owns the warp-wide matrix product m16n8k16 and the lane addresses of its operands in shared-memory tiles.
//
// Lane l holds of the accumulator rows l/4 (d[0], d[1]) and l/4 + 8 (d[2], d[3]), columns 2*(l%4) and one more.
#include "cuda/memory.cuh"
#include "cuda/smem_tile.h"

namespace fsa::cuda {

/// d += a * b with 16-bit operands and float accumulators.
template <bool kF16>
FSA_DEVICE void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  if constexpr (kF16)
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Offset from which a lane loads the 16x16 left operand at the tile's origin (rows are the product's rows).
template <class Tile>
FSA_DEVICE unsigned left_operand_offset(int lane) {
  return Tile::offset(lane & 15, lane >> 4);
}

/// Offset from which a lane loads two 16x8 right operands whose columns are the tile's rows (keys of a score product).
template <class Tile>
FSA_DEVICE unsigned right_operand_offset(int lane) {
  return Tile::offset((lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1);
}

/// Offset for load_matrices_transposed of two 16x8 right operands whose rows are the tile's rows (values).
template <class Tile>
FSA_DEVICE unsigned right_operand_transposed_offset(int lane) {
  return Tile::offset(lane & 15, lane >> 4);
}

/// Zeros for accumulators.
template <int kRows, int kColumns>
FSA_DEVICE void clear(float (&tiles)[kRows][kColumns][4]) {
#pragma unroll
  for (int r = 0; r < kRows; ++r)
#pragma unroll
    for (int n = 0; n < kColumns; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) tiles[r][n][e] = 0;
}

/// Sums or maxima over the four lanes that share accumulator rows.
FSA_DEVICE float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
FSA_DEVICE float quad_sum(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

/// Transposes 4 x 4 words over the four lanes that share accumulator rows: word j of lane i becomes word i of lane j.
FSA_DEVICE void quad_transpose(unsigned (&w)[4], int lane) {
  const bool upper = lane & 2, odd = lane & 1;
  unsigned a = __shfl_xor_sync(~0u, upper ? w[0] : w[2], 2), b = __shfl_xor_sync(~0u, upper ? w[1] : w[3], 2);
  w[0] = upper ? a : w[0];
  w[1] = upper ? b : w[1];
  w[2] = upper ? w[2] : a;
  w[3] = upper ? w[3] : b;
  a = __shfl_xor_sync(~0u, odd ? w[0] : w[1], 1);
  b = __shfl_xor_sync(~0u, odd ? w[2] : w[3], 1);
  w[0] = odd ? a : w[0];
  w[1] = odd ? w[1] : a;
  w[2] = odd ? b : w[2];
  w[3] = odd ? w[3] : b;
}

}  // namespace fsa::cuda
