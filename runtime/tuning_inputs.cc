#include "runtime/tuning_inputs.h"

#include <algorithm>
#include <limits>

namespace fsa {
namespace {

constexpr std::size_t kMostSets = 8;

std::size_t bytes_of(const TensorView& view) { return static_cast<std::size_t>(view.num_elements()) * size_of(view.dtype); }

/// Enough sets that one round through them is twice the last-level cache. CPUs take one: their kernels are compute-bound.
std::size_t count_sets(const Device& device, std::span<const HostTensor> inputs) {
  std::size_t bytes = 0;
  for (const HostTensor& tensor : inputs) bytes += tensor.bytes();
  const std::size_t cache = device.identity().value("l2_mib", std::size_t{0}) << 20;
  if (device.target().backend == Backend::kCpu || bytes == 0) return 1;
  return std::clamp<std::size_t>(2 * cache / bytes + 1, 1, kMostSets);
}

}  // namespace

Result<std::unique_ptr<TuningInputs>> TuningInputs::create(const Device& device, const Operator& op, const Json& problem,
                                                           const reference::InputPattern& pattern) {
  std::unique_ptr<TuningInputs> inputs(new TuningInputs(device, op, problem));
  inputs->specs_ = op.external_specs(problem);
  FSA_ASSIGN_OR_RETURN(inputs->host_, op.random_inputs(problem, pattern));
  FSA_RETURN_IF_ERROR(inputs->make_outputs());
  const std::size_t sets = count_sets(device, inputs->host_);
  for (std::size_t i = 0; i < sets; ++i) FSA_RETURN_IF_ERROR(inputs->make_set());
  return inputs;
}

Result<TensorView> TuningInputs::to_device(const TensorView& host) {
  FSA_ASSIGN_OR_RETURN(auto buffer, device_.allocate(std::max<std::size_t>(bytes_of(host), 16)));
  TensorView view = host;
  view.data = buffer->data();
  buffers_.push_back(std::move(buffer));
  if (host.data && bytes_of(host) > 0) FSA_RETURN_IF_ERROR(device_.copy_to_device(view.data, host.data, bytes_of(host)));
  return view;
}

Result<void> TuningInputs::make_outputs() {
  outputs_.resize(specs_.size());
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (!is_output(i)) continue;
    FSA_ASSIGN_OR_RETURN(outputs_[i], to_device(packed_view(specs_[i])));
  }
  return {};
}

Result<void> TuningInputs::make_set() {
  std::vector<TensorView> set = outputs_;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (is_output(i)) continue;
    FSA_ASSIGN_OR_RETURN(set[i], to_device(host_[i].view()));
  }
  sets_.push_back(std::move(set));
  return {};
}

Result<void> TuningInputs::poison_outputs() const {
  for (std::size_t i = 0; i < specs_.size(); ++i)
    if (is_output(i) && bytes_of(outputs_[i]) > 0) FSA_RETURN_IF_ERROR(device_.fill(outputs_[i].data, 0xff, bytes_of(outputs_[i])));
  return {};
}

Result<tuner::Verdict> TuningInputs::compare_outputs() {
  std::vector<TensorView> host;
  for (const HostTensor& tensor : host_) host.push_back(tensor.view());
  if (!oracle_) {
    FSA_ASSIGN_OR_RETURN(oracle_, op_.make_oracle(problem_, host));
  }
  std::vector<HostTensor> copies;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (!is_output(i)) continue;
    copies.emplace_back(specs_[i].dtype, specs_[i].shape);
    host[i] = copies.back().view();
    if (copies.back().bytes() > 0) FSA_RETURN_IF_ERROR(device_.copy_to_host(host[i].data, outputs_[i].data, copies.back().bytes()));
  }
  FSA_ASSIGN_OR_RETURN(const OracleVerdict verdict, oracle_->compare(host));
  // The measure that failed may not be the main output's: the verdict must fail with it.
  return tuner::Verdict{.error = verdict.right ? verdict.error : std::numeric_limits<double>::infinity(), .tolerance = verdict.tolerance};
}

}  // namespace fsa
