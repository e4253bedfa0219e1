#include "runtime/host_tensor.h"

#include <cstring>

namespace fsa {

HostTensor::HostTensor(DType dtype, std::vector<std::int64_t> shape) : view_(TensorView::contiguous(nullptr, dtype, shape)) {
  memory_.resize(bytes() / sizeof(Line) + 1);
  view_.data = memory_.data();
}

HostTensor HostTensor::copy_of(const TensorView& tensor) {
  HostTensor copy(tensor.dtype, {tensor.shape.begin(), tensor.shape.begin() + tensor.rank});
  if (copy.bytes() > 0) std::memcpy(copy.data(), tensor.data, copy.bytes());
  return copy;
}

}  // namespace fsa
