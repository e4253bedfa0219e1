#pragma once
// Owns the highest logits of the two rows that a lane has numbers of.
#include "cuda/device.h"

namespace fsa::cuda {

/// The best of row `half`'s numbers, as get(tile, column) gives them: of the lane's own columns, or of all that its quad has.
template <bool kAcrossQuad, int kTiles, class Get, class Better>
FSA_DEVICE auto best_of_row(Get get, Better better) {
  decltype(get(0, 0)) x[2] = {get(0, 0), get(0, 1)};
#pragma unroll
  for (int n = 1; n < kTiles; ++n) x[n % 2] = better(better(x[n % 2], get(n, 0)), get(n, 1));
  auto best = better(x[0], x[1]);
  if constexpr (kAcrossQuad) {
    best = better(best, __shfl_xor_sync(~0u, best, 1));
    best = better(best, __shfl_xor_sync(~0u, best, 2));
  }
  return best;
}

/// The highest numbers of both rows, of the lane's own columns or of all that its quad has; what a row with a NaN gets is not said.
template <bool kAcrossQuad, int kTiles>
FSA_DEVICE void find_row_maxima(const float (&s)[kTiles][4], float (&top)[2]) {
#if __CUDA_ARCH__ == 900
  // Hopper takes maxima of three at once, but of integers. Bits order like numbers where one of these is positive, and in reverse where
  // all are negative.
  const auto best_bits = [&](int half, auto better) {
    return best_of_row<kAcrossQuad, kTiles>([&](int n, int e) { return __float_as_int(s[n][2 * half + e]); }, better);
  };
  int bits[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) bits[half] = best_bits(half, [](int a, int b) { return max(a, b); });
  if (__any_sync(~0u, (bits[0] | bits[1]) < 0)) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int least = best_bits(half, [](int a, int b) { return min(a, b); });
      if (bits[half] < 0) bits[half] = least;
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) top[half] = __int_as_float(bits[half]);
#else
#pragma unroll
  for (int half = 0; half < 2; ++half)
    top[half] =
        best_of_row<kAcrossQuad, kTiles>([&](int n, int e) { return s[n][2 * half + e]; }, [](float a, float b) { return fmaxf(a, b); });
#endif
}

}  // namespace fsa::cuda
