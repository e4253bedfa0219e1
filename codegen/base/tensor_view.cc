#include "fsa/base/tensor_view.h"

#include <cassert>

namespace fsa {

TensorView TensorView::contiguous(const void* data, DType dtype, std::initializer_list<std::int64_t> shape) {
  return contiguous(data, dtype, std::span(shape.begin(), shape.size()));
}

TensorView TensorView::contiguous(const void* data, DType dtype, std::span<const std::int64_t> shape) {
  assert(shape.size() <= kMaxRank);
  TensorView view;
  // Views are not const-correct on purpose: one type serves inputs and outputs, and kernels declare which is which.
  view.data = const_cast<void*>(data);
  view.dtype = dtype;
  for (std::int64_t extent : shape) view.shape[view.rank++] = extent;
  std::int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    view.stride[i] = stride;
    stride *= view.shape[i];
  }
  return view;
}

std::int64_t TensorView::num_elements() const {
  std::int64_t n = 1;
  for (int i = 0; i < rank; ++i) n *= shape[i];
  return n;
}

bool TensorView::is_contiguous() const {
  std::int64_t expected = 1;
  for (int i = rank - 1; i >= 0; --i) {
    if (shape[i] != 1 && stride[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

std::string TensorView::describe() const {
  std::string text(to_string(dtype));
  text += " [";
  for (int i = 0; i < rank; ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace fsa
