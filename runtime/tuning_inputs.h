#pragma once
// Owns TuningInputs: random inputs of a selected-attention problem on a device, outputs to write, and the oracle's answer.
#include <memory>
#include <vector>

#include "fsa/selected_attention.h"
#include "runtime/device/device.h"
#include "templates/reference/random_problem.h"
#include "templates/reference/selected_reference.h"
#include "tuner/evaluator.h"

namespace fsa {

/// Uniform random causal selection with the first block and the two most recent ones forced, the public kernels' own
/// benchmark. Several sets of inputs where one would fit the device's last-level cache, so that repeated runs do not
/// find their inputs there.
class TuningInputs {
 public:
  /// `problem` holds the fields of SelectedProblem; equal seeds give equal inputs.
  static Result<std::unique_ptr<TuningInputs>> create(const Device& device, const Json& problem, std::uint64_t seed);

  std::size_t sets() const { return sets_.size(); }
  /// Tensors of one set; outputs are shared by all sets.
  const SelectedAttentionTensors& tensors(std::size_t set) const { return sets_[set].tensors; }
  /// Fills the outputs with NaN.
  Result<void> poison_outputs() const;
  /// Compares the outputs of set 0 with the oracle on sampled rows.
  Result<tuner::Verdict> compare_outputs();

 private:
  struct Set {
    std::vector<std::unique_ptr<Buffer>> buffers;
    SelectedAttentionTensors tensors;
  };

  explicit TuningInputs(const Device& device) : device_(device) {}
  Result<void> upload(std::size_t count);
  Result<void> make_set();
  Result<TensorView> to_device(Set& set, const TensorView& host);
  Result<void> make_outputs();

  const Device& device_;
  reference::SelectedInputs host_;
  std::vector<Set> sets_;
  std::vector<std::unique_ptr<Buffer>> output_buffers_;
  TensorView o_, lse_;
  std::vector<reference::Row> rows_;
  reference::SelectedOutputs expected_;  // of rows_, computed on first use
  double tolerance_ = 0;
};

}  // namespace fsa
