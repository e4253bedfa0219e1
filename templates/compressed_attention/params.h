#pragma once
// Owns the parameters of compressed_attention and its rule of visibility. Clean for host, NVRTC and bitcode.
#include "cuda/device.h"
#include "range_params.h"

namespace fsa::compressed_attention {

using Shape = RangeShape;
using Params = RangeParams;

/// Row i stands for the tokens [i * stride, i * stride + kernel_size) and is seen once the query is at the last of them.
struct Rule {
  static constexpr bool kStartMoves = false;  ///< every query sees its sequence from the first row on

  /// What a query at `position` >= 0 sees of a sequence of `rows` rows. Both ends rise with the position.
  FSA_HOST_DEVICE static constexpr KeyRange visible(const RangeParams& p, int position, int rows) {
    const int complete = position < p.kernel_size - 1 ? 0 : (position - p.kernel_size + 1) / p.stride + 1;
    return {0, complete < rows ? complete : rows};
  }
};

}  // namespace fsa::compressed_attention
