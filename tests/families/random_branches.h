#pragma once
// Owns random outputs of the three branches, and gates, for tests of what sums them up.
#include <array>
#include <cstddef>
#include <vector>

#include "tests/families/strided_copy.h"

namespace fsa::test {

struct GateOptions {
  std::int64_t token_stride = 0;  ///< 0: packed
  bool per_token = false;         ///< head stride 0
  float value = -1;               ///< of every gate; below 0: random in [0, 1)
};

/// Gates [tokens, heads, 3] in memory that they fill: any strides, odd ones too.
class RandomGates {
 public:
  RandomGates(DType dtype, std::int64_t tokens, std::int64_t heads, const GateOptions& options);
  const TensorView& view() const { return view_; }

 private:
  std::vector<std::byte> memory_;
  TensorView view_;
};

/// o_cmp, o_sel and o_win, f32 [tokens, heads, columns].
class RandomBranches {
 public:
  RandomBranches(std::int64_t tokens, std::int64_t heads, std::int64_t columns, Layout layout);
  std::array<TensorView, 3> views() const { return {copies_[0].view(), copies_[1].view(), copies_[2].view()}; }
  /// False where there was no address space for them.
  bool ok() const { return copies_[0].view().data && copies_[1].view().data && copies_[2].view().data; }

 private:
  std::vector<StridedCopy> copies_;
};

}  // namespace fsa::test
