#pragma once
// Owns the timing of GPU work: captured once into a graph, replayed between two events of the device's clock.
#include <memory>

#include "runtime/device/cuda_context.h"
#include "runtime/device/device.h"

namespace fsa {

/// Resolution is that of CUDA events, about half a microsecond. Work that cannot be captured is enqueued anew each time.
class CudaTimer final : public Timer {
 public:
  /// Captures `work` on a stream of the timer's own. Errors: those of `work`; kDevice.
  static Result<std::unique_ptr<Timer>> make(std::shared_ptr<const CudaContext> context, Device::Enqueue work);
  CudaTimer(std::shared_ptr<const CudaContext> context, Device::Enqueue work) : context_(std::move(context)), work_(std::move(work)) {}
  ~CudaTimer() override;

  Result<double> run() override;
  /// Whether run() replays a graph.
  bool captured() const { return graph_ != nullptr; }

 private:
  Result<void> create_handles();
  void capture();
  Result<void> enqueue() const;

  std::shared_ptr<const CudaContext> context_;
  Device::Enqueue work_;
  CudaDriver::Stream stream_ = nullptr;
  CudaDriver::Event begin_ = nullptr;
  CudaDriver::Event end_ = nullptr;
  CudaDriver::GraphExec graph_ = nullptr;
};

}  // namespace fsa
