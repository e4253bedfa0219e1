#pragma once
// Owns a GPU's primary context, the one that the CUDA runtime and other libraries of the process share.
#include <memory>
#include <string>

#include "runtime/device/cuda_driver.h"

namespace fsa {

/// A retained primary context; released with the last handle. Modules, buffers, streams and timers share it.
class CudaContext {
 public:
  /// Retains the context of GPU `ordinal`. Errors: kUnavailable without a driver or without that GPU; kDevice.
  static Result<std::shared_ptr<const CudaContext>> open(int ordinal);
  CudaContext(std::shared_ptr<const CudaDriver> driver, CudaDriver::DeviceHandle device, CudaDriver::Context context, int ordinal)
      : driver_(std::move(driver)), device_(device), context_(context), ordinal_(ordinal) {}
  ~CudaContext() { driver_->primary_context_release(device_); }
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  const CudaDriver& driver() const { return *driver_; }
  CudaDriver::Context handle() const { return context_; }
  int ordinal() const { return ordinal_; }
  /// The attribute's value, 0 where the driver does not tell.
  int attribute(CudaDriver::DeviceAttribute attribute) const;
  /// The marketing name and the CUDA version of the driver.
  std::string describe() const;

 private:
  std::shared_ptr<const CudaDriver> driver_;
  CudaDriver::DeviceHandle device_;
  CudaDriver::Context context_;
  int ordinal_;
};

/// Makes a context current in this thread for a scope. Pushes only where another one is current: that is the rare case,
/// and asking costs a few nanoseconds.
class CurrentContext {
 public:
  explicit CurrentContext(const CudaContext& context) : driver_(context.driver()) {
    CudaDriver::Context current = nullptr;
    driver_.context_get_current(&current);
    if (current != context.handle()) pushed_ = driver_.context_push(context.handle()) == CudaDriver::kSuccess;
  }
  ~CurrentContext() {
    CudaDriver::Context popped = nullptr;
    if (pushed_) driver_.context_pop(&popped);
  }
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  const CudaDriver& driver_;
  bool pushed_ = false;
};

}  // namespace fsa
