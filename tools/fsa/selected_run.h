#pragma once
// Owns DeviceRun: one selected-attention forward with its tensors on a device, for the tools.
#include <memory>
#include <vector>

#include "fsa/selected_attention.h"
#include "runtime/device/device.h"
#include "runtime/tensor_file.h"
#include "templates/reference/compare.h"

namespace fsa::cli {

class DeviceRun {
 public:
  /// Uploads the inputs and allocates outputs and workspace. Everything that can be wrong with them is checked here.
  static Result<DeviceRun> create(const Device& device, const SelectedAttentionPlan& plan, const SelectedInput& input);

  /// Runs once, or `repeat` times, and returns the seconds of each run on the device's own clock.
  Result<std::vector<double>> run(int repeat);

  /// o and lse of the last run, copied to the host.
  Result<HostTensor> output() const { return download(tensors_.o); }
  Result<HostTensor> lse() const { return download(tensors_.lse); }

 private:
  DeviceRun(const Device& device, SelectedAttentionPlan plan) : device_(&device), plan_(std::move(plan)) {}

  Result<void> upload_inputs(const SelectedInput& input);
  Result<void> allocate_outputs(const SelectedAttentionProblem& problem);
  /// Device memory for a packed tensor like `like`.
  Result<TensorView> allocate(const TensorView& like);
  Result<void*> allocate_bytes(std::size_t bytes);
  Result<HostTensor> download(const TensorView& tensor) const;

  const Device* device_;
  SelectedAttentionPlan plan_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  SelectedAttentionTensors tensors_;
  Workspace workspace_;
};

/// The float64 oracle's verdict on a result. Large problems are checked in a sample of their rows.
struct Check {
  reference::Comparison comparison;
  double tolerance = 0;       ///< of the output
  std::int64_t rows = 0;      ///< compared
  std::int64_t all_rows = 0;  ///< of the result
  bool passed() const { return comparison.within(tolerance); }
};

Result<Check> check_against_oracle(const SelectedInput& input, const TensorView& o, const TensorView& lse);

}  // namespace fsa::cli
