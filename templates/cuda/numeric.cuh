#pragma once
// Owns number conversions and the fast base-2 exponential and logarithm.
#include "cuda/device.h"
#include "selected_shape.h"
#include "strides.h"

namespace fsa::cuda {

constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;
/// A masked logit. Finite, so that differences of two masked logits are no NaN.
constexpr float kMasked = -1e30f;

FSA_DEVICE float negative_infinity() { return __int_as_float(0xff800000); }

/// 2^x within 2 ulp; results below 2^-126 are 0.
FSA_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// log2(x) within 2^-22 absolute or relative.
FSA_DEVICE float log2_fast(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 1 / x within 1 ulp; 0 for what exceeds 2^126.
FSA_DEVICE float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two floats as a word of two 16-bit numbers, `low` in the lower half, rounded to nearest even.
template <bool kF16>
FSA_DEVICE unsigned pack2(float low, float high) {
  unsigned word;
  if constexpr (kF16)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

/// The inverse of pack2, exact.
template <bool kF16>
FSA_DEVICE float2 unpack2(unsigned word) {
  if constexpr (!kF16) return make_float2(__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u));
  float2 pair;
  asm("{\n.reg .b16 low, high;\nmov.b32 {low, high}, %2;\ncvt.f32.f16 %0, low;\ncvt.f32.f16 %1, high;\n}"
      : "=f"(pair.x), "=f"(pair.y)
      : "r"(word));
  return pair;
}

/// Number `index` of a tensor. 16-bit numbers need no more than their own alignment.
template <Element kElement>
FSA_DEVICE float load_number(const void* tensor, long long index) {
  if constexpr (kElement == Element::kF32) return __ldg(static_cast<const float*>(tensor) + index);
  return unpack2 < kElement == Element::kF16 > (__ldg(static_cast<const unsigned short*>(tensor) + index)).x;
}

/// sum += weight * eight 16-bit numbers.
template <bool kF16>
FSA_DEVICE void multiply_add8(float (&sum)[8], uint4 numbers, float weight) {
  const unsigned words[4] = {numbers.x, numbers.y, numbers.z, numbers.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = unpack2<kF16>(words[i]);
    sum[2 * i] = fmaf(weight, pair.x, sum[2 * i]);
    sum[2 * i + 1] = fmaf(weight, pair.y, sum[2 * i + 1]);
  }
}

/// Eight floats as 16-bit numbers.
template <bool kF16>
FSA_DEVICE uint4 pack8(const float (&x)[8]) {
  return make_uint4(pack2<kF16>(x[0], x[1]), pack2<kF16>(x[2], x[3]), pack2<kF16>(x[4], x[5]), pack2<kF16>(x[6], x[7]));
}

/// Eight 16-bit numbers times a factor, rounded to nearest even.
template <bool kF16>
FSA_DEVICE uint4 multiply8(uint4 numbers, float factor) {
  const auto multiply = [factor](unsigned word) {
    const float2 pair = unpack2<kF16>(word);
    return pack2<kF16>(pair.x * factor, pair.y * factor);
  };
  return make_uint4(multiply(numbers.x), multiply(numbers.y), multiply(numbers.z), multiply(numbers.w));
}

/// Both numbers of a word of two bf16 times those of another, rounded to nearest even.
FSA_DEVICE unsigned multiply_bf16x2(unsigned a, unsigned b) {
  constexpr unsigned kMinusZeros = 0x80008000u;
  unsigned word;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(word) : "r"(a), "r"(b), "r"(kMinusZeros));
  return word;
}

/// The larger of each of the words' two bf16; a NaN gives way to a number.
FSA_DEVICE unsigned max_bf16x2(unsigned a, unsigned b) {
  unsigned word;
  asm("max.bf16x2 %0, %1, %2;" : "=r"(word) : "r"(a), "r"(b));
  return word;
}

/// The larger magnitude of a word's two 16-bit numbers, as the bits of that magnitude: bits order like magnitudes.
FSA_DEVICE unsigned max_magnitude2(unsigned word) { return max(word & 0x7fffu, (word >> 16) & 0x7fffu); }

/// The magnitude whose 16 bits max_magnitude2 gave.
template <bool kF16>
FSA_DEVICE float magnitude(unsigned bits) {
  return unpack2<kF16>(bits).x;
}

/// Stores eight neighbouring numbers of a tensor, from the 16-byte aligned one at `index` on.
template <Element kElement>
FSA_DEVICE void store8(void* tensor, long long index, const float (&x)[8]) {
  if constexpr (kElement == Element::kF32) {
    float4* const at = reinterpret_cast<float4*>(static_cast<float*>(tensor) + index);
    at[0] = make_float4(x[0], x[1], x[2], x[3]);
    at[1] = make_float4(x[4], x[5], x[6], x[7]);
  } else {
    *reinterpret_cast<uint4*>(static_cast<unsigned short*>(tensor) + index) = pack8<kElement == Element::kF16>(x);
  }
}

}  // namespace fsa::cuda
