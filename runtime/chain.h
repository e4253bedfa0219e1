#pragma once
// Owns Chain: the kernels of one plan, bound: modules loaded, launches fixed, tensors resolved to slots, workspace laid out.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codegen/family.h"
#include "fsa/base/tensor_view.h"
#include "fsa/plan.h"
#include "runtime/device/device.h"
#include "runtime/operator.h"

namespace fsa {

class Chain {
 public:
  /// Most tensors a chain may name, external ones included: forward() keeps their views on the stack.
  static constexpr std::size_t kMaxTensors = 64;

  /// Binds steps to their loaded modules (one for each step, same order). `externals` are the caller's tensors.
  static Result<Chain> bind(std::shared_ptr<const Device> device, std::span<const ChainStep> steps, std::vector<std::shared_ptr<const Module>> modules,
                            std::vector<TensorSpec> externals);

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  const std::vector<TensorSpec>& externals() const { return externals_; }
  const Device& device() const { return *device_; }
  /// Kernels that one run() launches.
  std::size_t num_launches() const;

  /// Launches every kernel. `tensors` in the order of externals(), already checked. No lock, no allocation.
  Result<void> run(std::span<const TensorView> tensors, Workspace workspace, void* stream) const;

 private:
  struct BoundStep {
    std::shared_ptr<const Module> module;
    std::unique_ptr<const Packer> packer;
    std::vector<Launch> launches;
    std::vector<std::size_t> slots;  // of each tensor the kernel names
  };
  struct WorkspaceTensor {
    TensorView view;     // data is null
    std::size_t offset;  // bytes from the workspace's start
  };

  std::size_t slot_of(const TensorSpec& spec, std::vector<std::string>& names);
  /// Gives every internal tensor its place, once all steps are bound.
  void lay_out_workspace();

  std::shared_ptr<const Device> device_;
  std::vector<TensorSpec> externals_;
  std::vector<WorkspaceTensor> internals_;
  std::vector<BoundStep> steps_;
  std::size_t workspace_bytes_ = 0;
};

}  // namespace fsa
