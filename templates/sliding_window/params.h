#pragma once
// Owns the parameters of sliding_window and its rule of visibility. Clean for host, NVRTC and bitcode.
#include "cuda/device.h"
#include "range_params.h"

namespace fsa::sliding_window {

using Shape = RangeShape;
using Params = RangeParams;

/// A query sees the last `window` keys up to its own.
struct Rule {
  static constexpr bool kStartMoves = true;  ///< not every query sees its sequence from the first row on

  /// What a query at `position` >= 0 sees of a sequence of `rows` > position rows. Both ends rise with the position.
  FSA_HOST_DEVICE static constexpr KeyRange visible(const RangeParams& p, int position, int rows) {
    return {position < p.window ? 0 : position - p.window + 1, position < rows ? position + 1 : rows};
  }
};

}  // namespace fsa::sliding_window
