#pragma once
// Owns the gates of an output row, and the sum of the branches that they weigh.
#include "cpu/element.h"
#include "strides.h"

namespace fsa::cpu {

struct Gates {
  float cmp, sel, win;

  /// Of [Tq, Hq, 3].
  FSA_INLINE static Gates load(Element element, const void* gates, const RowStrides& stride, int token, int head) {
    const char* at = static_cast<const char*>(gates) + (token * stride.token + head * stride.head) * bytes_of(element);
    return {load_element(element, at), load_element(element, at + bytes_of(element)), load_element(element, at + 2 * bytes_of(element))};
  }

  FSA_INLINE F32x16 sum(F32x16 o_cmp, F32x16 o_sel, F32x16 o_win) const {
    return __builtin_elementwise_fma(splat(win), o_win, __builtin_elementwise_fma(splat(sel), o_sel, o_cmp * cmp));
  }
};

/// Columns [column, column + n) of a row of a branch's output, n = 8 or 16.
FSA_INLINE F32x16 load_branch(const float* o, const RowStrides& stride, int token, int head, int column, int n) {
  return load_elements(Element::kF32, reinterpret_cast<const char*>(o + token * stride.token + head * stride.head + column), n);
}

}  // namespace fsa::cpu
