#pragma once
// Owns the gates of an output row, and the sum of the branches that they weigh.
#include "cuda/numeric.cuh"

namespace fsa::cuda {

struct Gates {
  float cmp, sel, win;

  /// Of [Tq, Hq, 3]; they need no more than their own alignment.
  template <Element kElement>
  static FSA_DEVICE Gates load(const void* gates, const RowStrides& stride, int token, int head) {
    const long long at = token * stride.token + head * stride.head;
    return {load_number<kElement>(gates, at), load_number<kElement>(gates, at + 1), load_number<kElement>(gates, at + 2)};
  }

  FSA_DEVICE float sum(float o_cmp, float o_sel, float o_win) const { return fmaf(win, o_win, fmaf(sel, o_sel, cmp * o_cmp)); }
};

}  // namespace fsa::cuda
