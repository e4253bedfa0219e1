#include "runtime/device/cuda_timer.h"

namespace fsa {

Result<std::unique_ptr<Timer>> CudaTimer::make(std::shared_ptr<const CudaContext> context, Device::Enqueue work) {
  const CurrentContext current(*context);
  auto timer = std::make_unique<CudaTimer>(context, std::move(work));
  FSA_RETURN_IF_ERROR(timer->create_handles());
  timer->capture();
  return std::unique_ptr<Timer>(std::move(timer));
}

CudaTimer::~CudaTimer() {
  const CurrentContext current(*context_);
  const CudaDriver& driver = context_->driver();
  if (graph_) driver.graph_exec_destroy(graph_);
  if (begin_) driver.event_destroy(begin_);
  if (end_) driver.event_destroy(end_);
  if (stream_) driver.stream_destroy(stream_);
}

Result<void> CudaTimer::create_handles() {
  const CudaDriver& driver = context_->driver();
  FSA_RETURN_IF_ERROR(driver.check(driver.stream_create(&stream_, CudaDriver::kStreamNonBlocking), "making a stream"));
  FSA_RETURN_IF_ERROR(driver.check(driver.event_create(&begin_, 0), "making an event"));
  return driver.check(driver.event_create(&end_, 0), "making an event");
}

/// The events are nodes of the graph, so the host's cost of launching it is not timed. Any failure leaves graph_ null.
void CudaTimer::capture() {
  const CudaDriver& driver = context_->driver();
  if (driver.stream_begin_capture(stream_, CudaDriver::kCaptureThreadLocal) != CudaDriver::kSuccess) return;
  bool good = driver.event_record_with_flags(begin_, stream_, CudaDriver::kEventRecordExternal) == CudaDriver::kSuccess;
  good = good && work_(stream_).ok();
  good = good && driver.event_record_with_flags(end_, stream_, CudaDriver::kEventRecordExternal) == CudaDriver::kSuccess;
  CudaDriver::Graph graph = nullptr;
  if (driver.stream_end_capture(stream_, &graph) != CudaDriver::kSuccess || !graph) return;
  if (good && driver.graph_instantiate(&graph_, graph, 0) != CudaDriver::kSuccess) graph_ = nullptr;
  driver.graph_destroy(graph);
}

Result<void> CudaTimer::enqueue() const {
  const CudaDriver& driver = context_->driver();
  if (graph_) return driver.check(driver.graph_launch(graph_, stream_), "replaying timed work");
  FSA_RETURN_IF_ERROR(driver.check(driver.event_record(begin_, stream_), "recording an event"));
  FSA_RETURN_IF_ERROR(work_(stream_));
  return driver.check(driver.event_record(end_, stream_), "recording an event");
}

Result<double> CudaTimer::run() {
  const CurrentContext current(*context_);
  const CudaDriver& driver = context_->driver();
  FSA_RETURN_IF_ERROR(enqueue());
  FSA_RETURN_IF_ERROR(driver.check(driver.stream_synchronize(stream_), "timed work on the GPU"));
  float milliseconds = 0;
  FSA_RETURN_IF_ERROR(driver.check(driver.event_elapsed_ms(&milliseconds, begin_, end_), "reading the GPU's clock"));
  return milliseconds * 1e-3;
}

}  // namespace fsa
