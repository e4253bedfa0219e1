#include "runtime/device/cuda_side_stream.h"

namespace fsa {

Result<std::unique_ptr<SideStream>> CudaSideStream::make(std::shared_ptr<const CudaContext> context) {
  auto side = std::make_unique<CudaSideStream>(std::move(context));
  FSA_RETURN_IF_ERROR(side->create_handles());
  return std::unique_ptr<SideStream>(std::move(side));
}

Result<void> CudaSideStream::create_handles() {
  const CurrentContext current(*context_);
  const CudaDriver& driver = context_->driver();
  FSA_RETURN_IF_ERROR(driver.check(driver.stream_create(&stream_, CudaDriver::kStreamNonBlocking), "making a stream"));
  for (CudaDriver::Event* event : {&forked_, &joined_})
    FSA_RETURN_IF_ERROR(driver.check(driver.event_create(event, CudaDriver::kEventDisableTiming), "making an event"));
  return {};
}

CudaSideStream::~CudaSideStream() {
  const CurrentContext current(*context_);
  for (CudaDriver::Event event : {forked_, joined_})
    if (event) context_->driver().event_destroy(event);
  if (stream_) context_->driver().stream_destroy(stream_);
}

bool CudaSideStream::goes_with(CudaDriver::Stream stream) const {
  const CudaDriver& driver = context_->driver();
  int status = 0, own_status = 0;
  std::uint64_t id = 0, own_id = 0;
  if (driver.stream_get_capture_info(stream, &status, &id, nullptr, nullptr, nullptr) != CudaDriver::kSuccess) return false;
  if (driver.stream_get_capture_info(stream_, &own_status, &own_id, nullptr, nullptr, nullptr) != CudaDriver::kSuccess) return false;
  return own_status == 0 || (status != 0 && id == own_id);
}

Result<void> CudaSideStream::order(CudaDriver::Stream awaited, CudaDriver::Event event, CudaDriver::Stream waiting) const {
  const CudaDriver& driver = context_->driver();
  FSA_RETURN_IF_ERROR(driver.check(driver.event_record(event, awaited), "recording an event"));
  return driver.check(driver.stream_wait_event(waiting, event, 0), "making a stream wait for an event");
}

Result<void*> CudaSideStream::fork(void* stream) const {
  if (taken_.test_and_set(std::memory_order_acquire)) return static_cast<void*>(nullptr);
  const CurrentContext current(*context_);
  const auto caller = static_cast<CudaDriver::Stream>(stream);
  if (goes_with(caller)) {
    const Result<void> ordered = order(caller, forked_, stream_);
    if (ordered) return static_cast<void*>(stream_);
    taken_.clear(std::memory_order_release);
    return ordered.error();
  }
  taken_.clear(std::memory_order_release);
  return static_cast<void*>(nullptr);
}

Result<void> CudaSideStream::join(void* stream) const {
  const CurrentContext current(*context_);
  Result<void> ordered = order(stream_, joined_, static_cast<CudaDriver::Stream>(stream));
  taken_.clear(std::memory_order_release);
  return ordered;
}

}  // namespace fsa
