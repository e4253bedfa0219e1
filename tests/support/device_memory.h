#pragma once
// Owns the memory that kernels under test work on: on the CPU it ends at an unreadable page, so a stray access faults.
#include <cstddef>
#include <memory>

#include "fsa/base/tensor_view.h"
#include "runtime/device/device.h"

namespace fsa::test {

/// Bytes from the first to the last element of a strided tensor.
std::size_t extent_bytes(const TensorView& view);

/// Memory for one tensor on a device.
class DeviceMemory {
 public:
  /// On the CPU `bytes`, rounded up to the alignment of the base, end at an unreadable page.
  static Result<DeviceMemory> allocate(const Device& device, std::size_t bytes, std::size_t alignment);

  void* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<void> owner_;
};

/// Copies a tensor of any strides; gaps between rows are not touched when they are large (over 64 MiB in all).
Result<void> upload(const Device& device, const TensorView& host, void* destination);
Result<void> download(const Device& device, const void* source, const TensorView& host);

}  // namespace fsa::test
