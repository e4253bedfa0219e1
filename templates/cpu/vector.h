#pragma once
// Owns the 16-lane vectors that CPU kernels are written in: clang vector extensions, legalised for the JIT's target.
#include "cpu/tile_layout.h"

#define FSA_INLINE [[clang::always_inline]] inline
// For the parts of a kernel that run long: as functions of their own they compile a fifth faster than in one nest of loops.
#define FSA_NOINLINE [[clang::noinline]]
#define FSA_INLINE_LAMBDA __attribute__((always_inline))
#define FSA_UNROLL _Pragma("clang loop unroll(full)")

namespace fsa::cpu {

using F32x16 = float __attribute__((ext_vector_type(16)));
using F32x8 = float __attribute__((ext_vector_type(8)));
using I32x16 = int __attribute__((ext_vector_type(16)));
using U32x16 = unsigned __attribute__((ext_vector_type(16)));
using U16x16 = unsigned short __attribute__((ext_vector_type(16)));
using U16x32 = unsigned short __attribute__((ext_vector_type(32)));
using U16x8 = unsigned short __attribute__((ext_vector_type(8)));
using F16x16 = _Float16 __attribute__((ext_vector_type(16)));
using BF16x16 = __bf16 __attribute__((vector_size(32)));
using BF16x32 = __bf16 __attribute__((vector_size(64)));

/// Unaligned load and store of any trivially copyable type.
template <class V>
FSA_INLINE V load(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}
template <class V>
FSA_INLINE void store(void* p, V v) {
  __builtin_memcpy(p, &v, sizeof(V));
}

FSA_INLINE F32x16 splat(float x) { return F32x16(x); }

/// The larger operand; a NaN in `b` is returned, one in `a` is not. One instruction, unlike fmax.
FSA_INLINE F32x16 max(F32x16 a, F32x16 b) { return a > b ? a : b; }

/// Each step folds the upper half onto the lower one.
FSA_INLINE float reduce_max(F32x16 v) {
  v = max(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
  v = max(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7));
  v = max(v, __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3));
  v = max(v, __builtin_shufflevector(v, v, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
  return v[0];
}

FSA_INLINE float reduce_add(F32x16 v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
  v += __builtin_shufflevector(v, v, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
  return v[0];
}

/// Transposes 16 x 16 words in four rounds of 16 shuffles: 32-bit pairs, 64-bit pairs, then quarters twice.
FSA_INLINE void transpose(F32x16 (&r)[kLanes]) {
  F32x16 t[kLanes];
  FSA_UNROLL
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
  FSA_UNROLL
  for (int i = 0; i < kLanes; i += 4) {
    FSA_UNROLL
    for (int half = 0; half < 2; ++half) {
      const F32x16 a = t[i + half], b = t[i + half + 2];
      r[i + 2 * half] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      r[i + 2 * half + 1] = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  }
  // r[4i + j], quarter b: column 4b + j of rows 4i..4i+3.
  FSA_UNROLL
  for (int j = 0; j < 4; ++j) {
    const F32x16 a = r[j], b = r[j + 4], c = r[j + 8], d = r[j + 12];
    t[j] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    t[j + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    t[j + 8] = __builtin_shufflevector(c, d, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    t[j + 12] = __builtin_shufflevector(c, d, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  }
  FSA_UNROLL
  for (int j = 0; j < 4; ++j) {
    const F32x16 even_ab = t[j], odd_ab = t[j + 4], even_cd = t[j + 8], odd_cd = t[j + 12];
    r[j] = __builtin_shufflevector(even_ab, even_cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    r[j + 8] = __builtin_shufflevector(even_ab, even_cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    r[j + 4] = __builtin_shufflevector(odd_ab, odd_cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    r[j + 12] = __builtin_shufflevector(odd_ab, odd_cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  }
}

}  // namespace fsa::cpu
