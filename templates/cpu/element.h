#pragma once
// Owns loads and stores of bf16, f16 and f32 elements as fp32 vectors or as words of the multiply-add.
#include "cpu/vector.h"

namespace fsa::cpu {

FSA_INLINE long bytes_of(Element e) { return e == Element::kF32 ? 4 : 2; }

/// The first `n` 32-bit words at p, zeros behind them. `n` is a multiple of 4 known at compile time; nothing past it is read.
FSA_INLINE U32x16 load_words(const char* p, int n) {
  if (n >= kLanes) return load<U32x16>(p);
  U32x16 v = 0;
  __builtin_memcpy(&v, p, static_cast<unsigned long>(n) * 4);
  return v;
}

/// The first `n` (8 or 16 and more) 16-bit elements at p, zeros behind them.
FSA_INLINE U16x16 load_halves(const char* p, int n) {
  if (n >= kLanes) return load<U16x16>(p);
  const U16x8 low = load<U16x8>(p), zero = 0;
  return __builtin_shufflevector(low, zero, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

FSA_INLINE F32x16 widen_bf16(U16x16 bits) { return (F32x16)(__builtin_convertvector(bits, U32x16) << 16); }

/// The first `n` (8 or 16 and more) elements at p, widened to fp32.
FSA_INLINE F32x16 load_elements(Element e, const char* p, int n) {
  if (e == Element::kF32) {
    if (n >= kLanes) return load<F32x16>(p);
    const F32x8 low = load<F32x8>(p), zero = 0;
    return __builtin_shufflevector(low, zero, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  const U16x16 bits = load_halves(p, n);
  if (e == Element::kBF16) return widen_bf16(bits);
  return __builtin_convertvector((F16x16)bits, F32x16);
}

/// One element, widened to fp32.
FSA_INLINE float load_element(Element e, const char* p) {
  if (e == Element::kF32) return load<float>(p);
  if (e == Element::kF16) return static_cast<float>(load<_Float16>(p));
  return __builtin_bit_cast(float, static_cast<unsigned>(load<unsigned short>(p)) << 16);
}

/// Rounds to nearest even; a NaN becomes the quiet NaN of its sign.
FSA_INLINE U16x16 narrow_bf16(F32x16 x) {
  const U32x16 bits = (U32x16)x;
  const U32x16 rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const U32x16 quiet = (bits >> 16) | 0x40u;
  return __builtin_convertvector((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded, U16x16);
}

/// The same by one instruction, under Math::kBF16Dot alone.
FSA_INLINE BF16x16 narrow_bf16_native(F32x16 x) { return (BF16x16)__builtin_ia32_cvtneps2bf16_512_mask(x, BF16x16{}, 0xffff); }

/// Stores the first `n` (8 or 16 and more) lanes, rounded to the element type.
FSA_INLINE void store_elements(Element e, char* p, F32x16 x, int n) {
  if (e == Element::kF32) {
    if (n >= kLanes) return store(p, x);
    return store(p, __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7));
  }
  const U16x16 bits = e == Element::kBF16 ? narrow_bf16(x) : (U16x16)__builtin_convertvector(x, F16x16);
  if (n >= kLanes) return store(p, bits);
  store(p, __builtin_shufflevector(bits, bits, 0, 1, 2, 3, 4, 5, 6, 7));
}

/// 16 words of the multiply-add from element p on: fp32 values, or pairs of bf16. `words` left in the row, a multiple of 4.
FSA_INLINE F32x16 load_operand(const TileShape& t, const char* p, int words) {
  if (t.math == Math::kBF16Dot) return (F32x16)load_words(p, words);
  return load_elements(t.shape.element, p, words);
}

/// Bytes of one word of the multiply-add in memory.
FSA_INLINE long word_bytes(const TileShape& t) { return bytes_of(t.shape.element) * per_word(t.math); }

}  // namespace fsa::cpu
