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
  /// `bytes` end at an unreadable page on the CPU (at most 15 bytes before it: the base is aligned to 16).
  static Result<DeviceMemory> allocate(const Device& device, std::size_t bytes);

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
