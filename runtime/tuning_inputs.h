#pragma once
// Owns TuningInputs: an operator's random inputs on a device, in several sets, with outputs to write.
#include <memory>
#include <vector>

#include "runtime/device/device.h"
#include "runtime/operator.h"
#include "tuner/evaluator.h"

namespace fsa {

/// Several sets of inputs where one would fit the device's last-level cache, so that repeated runs do not find their
/// inputs there.
class TuningInputs {
 public:
  static Result<std::unique_ptr<TuningInputs>> create(const Device& device, const Operator& op, const Json& problem,
                                                      const reference::InputPattern& pattern);

  std::size_t sets() const { return sets_.size(); }
  /// Tensors of one set, in the order of the plan; outputs are shared by all sets.
  const std::vector<TensorView>& tensors(std::size_t set) const { return sets_[set]; }
  /// Fills the outputs with NaN.
  Result<void> poison_outputs() const;
  /// Compares the outputs of set 0 with the oracle, which is asked for here first: a process that only times needs none.
  Result<tuner::Verdict> compare_outputs();

 private:
  TuningInputs(const Device& device, const Operator& op, Json problem) : device_(device), op_(op), problem_(std::move(problem)) {}
  Result<void> make_outputs();
  Result<void> make_set();
  Result<TensorView> to_device(const TensorView& host);
  bool is_output(std::size_t i) const { return specs_[i].access != Access::kRead; }

  const Device& device_;
  const Operator& op_;
  Json problem_;
  std::vector<TensorSpec> specs_;
  std::vector<HostTensor> host_;  // inputs; outputs are empty
  std::unique_ptr<Oracle> oracle_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<TensorView> outputs_;  // inputs are empty views
  std::vector<std::vector<TensorView>> sets_;
};

}  // namespace fsa
