#pragma once
// Owns exp2 and log2 in fp32 for CPU kernels, which link no libm.
#include "cpu/vector.h"

namespace fsa::cpu {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kLn2 = 0.693147181f;
inline constexpr float kInfinity = __builtin_inff();

/// 2^x for x <= 1, to 1e-7 relative; exactly 0 from -127 down, so that -infinity masks a key without another instruction.
/// Own fit of (2^f - 1) / f on [-1/2, 1/2] with the constant held at 1, relative error 9.2e-8 before rounding.
FSA_INLINE F32x16 exp2(F32x16 x) {
  x = max(splat(-127.0f), x);  // a NaN stays
  const F32x16 shifted = x + 12582912.0f;  // 1.5 * 2^23: the low bits now hold the nearest integer
  const F32x16 f = x - (shifted - 12582912.0f);
  F32x16 p = splat(1.326472721e-3f);
  p = __builtin_elementwise_fma(p, f, splat(9.671512813e-3f));
  p = __builtin_elementwise_fma(p, f, splat(5.550733745e-2f));
  p = __builtin_elementwise_fma(p, f, splat(2.402224208e-1f));
  p = __builtin_elementwise_fma(p, f, splat(6.931469776e-1f));
  p = __builtin_elementwise_fma(p, f, splat(1.0f));
  return (F32x16)((U32x16)p + ((U32x16)shifted << 23));
}

/// The same to 3e-6 relative, in two thirds of the instructions, some of which only AVX-512 has; 0 from -150 down. For
/// probabilities that are rounded to 8 bits, the microkernel leaving the softmax the longer part of the time.
FSA_INLINE F32x16 exp2_avx512(F32x16 x) {
  constexpr int kNearest = 8, kCurrentRounding = 4;  // of the immediate: no exception flags; of MXCSR
  constexpr unsigned short kAllLanes = 0xffff;
  x = max(splat(-256.0f), x);
  const F32x16 n = __builtin_ia32_rndscaleps_mask(x, kNearest, x, kAllLanes, kCurrentRounding);
  const F32x16 f = x - n;
  F32x16 p = splat(9.582853221e-3f);
  p = __builtin_elementwise_fma(p, f, splat(5.590642621e-2f));
  p = __builtin_elementwise_fma(p, f, splat(2.402409862e-1f));
  p = __builtin_elementwise_fma(p, f, splat(6.931241932e-1f));
  p = __builtin_elementwise_fma(p, f, splat(1.0f));
  return __builtin_ia32_scalefps512_mask(p, n, p, kAllLanes, kCurrentRounding);
}

/// log2 of a positive normal number, to 1e-7 absolute: the exponent, and 2 artanh((m-1)/(m+1)) of the mantissa m in [1/sqrt2, sqrt2).
FSA_INLINE float log2(float x) {
  const int bits = __builtin_bit_cast(int, x);
  const int exponent = (bits - 0x3f3504f3) >> 23;  // 0x3f3504f3: 1/sqrt2
  const float m = __builtin_bit_cast(float, bits - (exponent << 23));
  const float t = (m - 1.0f) / (m + 1.0f), s = t * t;
  const float series = 1.0f + s * (0.333333333f + s * (0.2f + s * (0.142857143f + s * 0.111111111f)));
  return static_cast<float>(exponent) + 2.0f * kLog2E * t * series;
}

}  // namespace fsa::cpu
