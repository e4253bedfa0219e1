#pragma once
// Owns a GPU's second stream for work beside a caller's stream.
#include <atomic>
#include <memory>

#include "runtime/device/cuda_context.h"
#include "runtime/device/device.h"

namespace fsa {

/// One stream for all callers: who finds it taken goes on without. Between fork() and join() it belongs to one thread, and from
/// the first fork() of a capture to the capture's end it belongs to that capture.
class CudaSideStream final : public SideStream {
 public:
  static Result<std::unique_ptr<SideStream>> make(std::shared_ptr<const CudaContext> context);
  explicit CudaSideStream(std::shared_ptr<const CudaContext> context) : context_(std::move(context)) {}
  ~CudaSideStream() override;

  Result<void*> fork(void* stream) const override;
  Result<void> join(void* stream) const override;

 private:
  Result<void> create_handles();
  /// Whether work of `stream` may be enqueued here: neither is part of a capture that the other is no part of and cannot join.
  bool goes_with(CudaDriver::Stream stream) const;
  /// Makes `waiting` wait, by `event`, for what `awaited` holds.
  Result<void> order(CudaDriver::Stream awaited, CudaDriver::Event event, CudaDriver::Stream waiting) const;

  std::shared_ptr<const CudaContext> context_;
  CudaDriver::Stream stream_ = nullptr;
  CudaDriver::Event forked_ = nullptr, joined_ = nullptr;
  mutable std::atomic_flag taken_;
};

}  // namespace fsa
