#pragma once
// Owns host tensors laid out with gaps, so that kernels meet every legal stride.
#include <memory>

#include "fsa/base/tensor_view.h"
#include "tests/families/selected_case.h"

namespace fsa::test {

/// A tensor [tokens, heads, dim] in host memory of its own.
class StridedCopy {
 public:
  /// Of the same shape as `packed` and, where `copy` is set, the same elements. Memory between rows holds 0xff bytes,
  /// except in Layout::kFar, where it is not touched.
  StridedCopy(const TensorView& packed, Layout layout, bool copy);

  const TensorView& view() const { return view_; }
  /// True when every byte outside the rows is `byte`. Always true in Layout::kFar.
  bool gaps_hold(unsigned char byte) const;
  /// True when the rows of tokens [first, last) are those of `other`, bit by bit.
  bool same_rows(const StridedCopy& other, std::int64_t first, std::int64_t last) const;
  /// True when every byte of the rows of tokens [first, last) is `byte`.
  bool rows_hold(unsigned char byte, std::int64_t first, std::int64_t last) const;

 private:
  std::size_t row_bytes() const { return static_cast<std::size_t>(view_.shape[2]) * size_of(view_.dtype); }
  const unsigned char* row(std::int64_t token, std::int64_t head) const;

  TensorView view_;
  Layout layout_;
  std::shared_ptr<void> memory_;
};

}  // namespace fsa::test
