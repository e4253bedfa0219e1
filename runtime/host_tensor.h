#pragma once
// Owns HostTensor: a packed tensor in host memory of its own.
#include <cstddef>
#include <vector>

#include "fsa/base/tensor_view.h"

namespace fsa {

/// A packed tensor in host memory of its own, aligned for kernels. Moves, but does not copy: a view follows the memory.
class HostTensor {
 public:
  HostTensor() = default;
  HostTensor(HostTensor&&) noexcept = default;
  HostTensor& operator=(HostTensor&&) noexcept = default;
  /// Zeros. At most four dimensions.
  HostTensor(DType dtype, std::vector<std::int64_t> shape);
  /// A copy of a contiguous tensor in host memory.
  static HostTensor copy_of(const TensorView& tensor);

  /// Valid while this object lives; it may be moved meanwhile.
  const TensorView& view() const { return view_; }
  void* data() const { return view_.data; }
  std::size_t bytes() const { return static_cast<std::size_t>(view_.num_elements()) * size_of(view_.dtype); }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> memory_;
  TensorView view_;
};

}  // namespace fsa
