#include "tools/fsa/device_run.h"

#include <algorithm>

namespace fsa::cli {

Result<void*> DeviceRun::allocate(std::size_t bytes) {
  FSA_ASSIGN_OR_RETURN(auto buffer, device_->allocate(std::max<std::size_t>(bytes, 1)));
  buffers_.push_back(std::move(buffer));
  return buffers_.back()->data();
}

Result<void> DeviceRun::add_tensor(const TensorInfo& info, const HostTensor& host) {
  TensorView view = TensorView::contiguous(nullptr, info.dtype, info.shape);
  FSA_ASSIGN_OR_RETURN(view.data, allocate(static_cast<std::size_t>(view.num_elements()) * size_of(view.dtype)));
  if (!info.written) {
    view = host.view();  // as the file has it: the plan says what does not fit
    view.data = buffers_.back()->data();
    if (host.bytes() > 0) FSA_RETURN_IF_ERROR(device_->copy_to_device(view.data, host.data(), host.bytes()));
  }
  tensors_.push_back(view);
  return {};
}

Result<void> DeviceRun::add_workspace() {
  FSA_ASSIGN_OR_RETURN(void* scratch, allocate(plan_.workspace_bytes()));
  workspace_ = {scratch, plan_.workspace_bytes()};
  return {};
}

Result<DeviceRun> DeviceRun::create(const Device& device, const Plan& plan, const OperatorInput& input) {
  DeviceRun run(device, plan);
  for (std::size_t i = 0; i < plan.tensors().size(); ++i) FSA_RETURN_IF_ERROR(run.add_tensor(plan.tensors()[i], input.tensors[i]));
  FSA_RETURN_IF_ERROR(run.add_workspace());
  FSA_RETURN_IF_ERROR(plan.validate(run.tensors_));
  return run;
}

Result<std::vector<double>> DeviceRun::run(int repeat) {
  FSA_RETURN_IF_ERROR(plan_.forward(tensors_, workspace_));
  FSA_RETURN_IF_ERROR(device_->synchronize());
  std::vector<double> seconds;
  if (repeat < 1) return seconds;
  const auto forward = [this](void* stream) { return plan_.forward(tensors_, workspace_, stream); };
  FSA_ASSIGN_OR_RETURN(const auto timer, device_->make_timer(forward));
  for (int i = 0; i < repeat; ++i) {
    FSA_ASSIGN_OR_RETURN(const double time, timer->run());
    seconds.push_back(time);
  }
  FSA_RETURN_IF_ERROR(device_->synchronize());
  return seconds;
}

Result<std::vector<HostTensor>> DeviceRun::outputs() const {
  std::vector<HostTensor> outputs(tensors_.size());
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorInfo& info = plan_.tensors()[i];
    if (!info.written) continue;
    outputs[i] = HostTensor(info.dtype, info.shape);
    if (outputs[i].bytes() > 0) FSA_RETURN_IF_ERROR(device_->copy_to_host(outputs[i].data(), tensors_[i].data, outputs[i].bytes()));
  }
  return outputs;
}

}  // namespace fsa::cli
