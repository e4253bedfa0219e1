#pragma once
// Owns Chain: the kernels of one plan, bound: modules loaded, launches fixed, tensors resolved to slots, workspace laid out.
#include <array>
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

  /// The workspace that bind() would ask for: needs neither device nor modules.
  static Result<std::size_t> workspace_of(std::span<const ChainStep> steps, std::vector<TensorSpec> externals);

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  const std::vector<TensorSpec>& externals() const { return externals_; }
  const Device& device() const { return *device_; }
  /// Kernels that one run() launches.
  std::size_t num_launches() const;
  std::size_t num_steps() const { return steps_.size(); }

  /// Launches every kernel. `tensors` in the order of externals(), already checked. No lock, no allocation.
  Result<void> run(std::span<const TensorView> tensors, Workspace workspace, void* stream) const;
  /// Launches the kernels of one step alone. It reads what earlier steps left in the workspace, where later ones may
  /// overwrite it: run the steps before it first. From then on it can be repeated, for no step writes what it reads.
  Result<void> run_step(std::size_t step, std::span<const TensorView> tensors, Workspace workspace, void* stream) const;

 private:
  struct BoundStep {
    std::shared_ptr<const Module> module;
    std::unique_ptr<const Packer> packer;
    std::vector<Launch> launches;
    std::vector<std::size_t> slots;  // of each tensor the kernel names
    bool beside = false;             // on the side stream, from the start of the chain until join_
  };
  struct WorkspaceTensor {
    TensorView view;     // data is null
    std::size_t offset;  // bytes from the workspace's start
  };

  using Slots = std::array<TensorView, kMaxTensors>;
  /// The stack of one call: made once for all of its steps.
  struct Call {
    Slots all;    // every tensor of the chain, external ones first
    Slots named;  // those of the step at hand
  };

  /// A chain without device and modules: slots and workspace alone.
  static Result<Chain> lay_out_steps(std::span<const ChainStep> steps, std::vector<TensorSpec> externals);
  /// Where steps name the same internal tensor they mean the same bytes: another size is kInternal.
  Result<std::size_t> slot_of(const TensorSpec& spec, std::vector<std::string>& names);
  void resolve(std::span<const TensorView> tensors, Workspace workspace, Slots& slots) const;
  Result<void> launch(const BoundStep& step, Call& call, void* stream) const;
  /// Launches the steps [first, end) that are `beside`, or those that are not.
  Result<void> launch_steps(std::size_t first, std::size_t end, bool beside, Call& call, void* stream) const;
  /// The first step that reads what a step beside it wrote; the number of steps where none does.
  std::size_t find_join() const;
  /// Gives every internal tensor its place, once all steps are bound.
  void lay_out_workspace();

  std::shared_ptr<const Device> device_;
  std::vector<TensorSpec> externals_;
  std::vector<WorkspaceTensor> internals_;
  std::vector<BoundStep> steps_;
  std::unique_ptr<SideStream> side_;  // null: every step follows the one before
  std::size_t join_ = 0;
  std::size_t workspace_bytes_ = 0;
};

}  // namespace fsa
