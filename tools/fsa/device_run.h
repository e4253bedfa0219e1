#pragma once
// Owns DeviceRun: one forward with its tensors on a device, for the tools.
#include <memory>
#include <vector>

#include "fsa/plan.h"
#include "runtime/device/device.h"
#include "runtime/operator_input.h"

namespace fsa::cli {

class DeviceRun {
 public:
  /// Uploads the inputs and allocates outputs and workspace. Everything that can be wrong with them is checked here.
  static Result<DeviceRun> create(const Device& device, const Plan& plan, const OperatorInput& input);

  /// Runs once, and `repeat` times more, of which it returns the seconds on the device's own clock.
  Result<std::vector<double>> run(int repeat);

  /// The outputs of the last run, copied to the host, in the order of the plan's tensors; inputs are empty.
  Result<std::vector<HostTensor>> outputs() const;

 private:
  DeviceRun(const Device& device, Plan plan) : device_(&device), plan_(std::move(plan)) {}

  Result<void> add_tensor(const TensorInfo& info, const HostTensor& host);
  Result<void> add_workspace();
  Result<void*> allocate(std::size_t bytes);

  const Device* device_;
  Plan plan_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<TensorView> tensors_;
  Workspace workspace_;
};

}  // namespace fsa::cli
