#include "runtime/tuning_inputs.h"

#include <algorithm>
#include <limits>

#include "templates/reference/compare.h"
#include "templates/selected_family.h"

namespace fsa {
namespace {

constexpr std::int64_t kCheckedRows = 512;  // of the float64 oracle: some milliseconds at any size
constexpr std::size_t kMostSets = 8;

std::size_t bytes_of(const reference::SelectedInputs& inputs) {
  return inputs.q.size() + inputs.k.size() + inputs.v.size() + inputs.block_indices.size() * sizeof(std::int32_t);
}

/// Enough sets that one round through them is twice the last-level cache. CPUs take one: their kernels are compute-bound.
std::size_t count_sets(const Device& device, std::size_t bytes) {
  const std::size_t cache = device.identity().value("l2_mib", std::size_t{0}) << 20;
  if (device.target().backend == Backend::kCpu || bytes == 0) return 1;
  return std::clamp<std::size_t>(2 * cache / bytes + 1, 1, kMostSets);
}

std::size_t bytes_of(const TensorView& view) { return static_cast<std::size_t>(view.num_elements()) * size_of(view.dtype); }

}  // namespace

Result<std::unique_ptr<TuningInputs>> TuningInputs::create(const Device& device, const Json& problem, std::uint64_t seed) {
  FSA_ASSIGN_OR_RETURN(const SelectedProblem selected, from_json(selected_problem_fields(), problem, "selected-attention problem"));
  std::unique_ptr<TuningInputs> inputs(new TuningInputs(device));
  inputs->host_ = reference::random_inputs(selected, {.seed = seed});
  inputs->tolerance_ = SelectedFamily::tolerance(selected);
  FSA_RETURN_IF_ERROR(inputs->make_outputs());
  FSA_RETURN_IF_ERROR(inputs->upload(count_sets(device, bytes_of(inputs->host_))));
  return inputs;
}

Result<TensorView> TuningInputs::to_device(Set& set, const TensorView& host) {
  FSA_ASSIGN_OR_RETURN(auto buffer, device_.allocate(std::max<std::size_t>(bytes_of(host), 16)));
  FSA_RETURN_IF_ERROR(device_.copy_to_device(buffer->data(), host.data, bytes_of(host)));
  TensorView view = host;
  view.data = buffer->data();
  set.buffers.push_back(std::move(buffer));
  return view;
}

Result<void> TuningInputs::make_set() {
  const reference::SelectedOperands host = host_.operands();
  Set set;
  FSA_ASSIGN_OR_RETURN(set.tensors.q, to_device(set, host.q));
  FSA_ASSIGN_OR_RETURN(set.tensors.k, to_device(set, host.k));
  FSA_ASSIGN_OR_RETURN(set.tensors.v, to_device(set, host.v));
  FSA_ASSIGN_OR_RETURN(set.tensors.block_indices, to_device(set, host.block_indices));
  FSA_ASSIGN_OR_RETURN(set.tensors.cu_q, to_device(set, host.cu_q));
  FSA_ASSIGN_OR_RETURN(set.tensors.cu_k, to_device(set, host.cu_k));
  set.tensors.o = o_;
  set.tensors.lse = lse_;
  sets_.push_back(std::move(set));
  return {};
}

Result<void> TuningInputs::upload(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) FSA_RETURN_IF_ERROR(make_set());
  return {};
}

Result<void> TuningInputs::make_outputs() {
  const SelectedProblem& p = host_.problem;
  const std::int64_t heads_q = static_cast<std::int64_t>(p.heads_kv) * p.group;
  o_ = TensorView::contiguous(nullptr, reference::dtype_of(p.output), {p.total_q, heads_q, p.head_dim_v});
  lse_ = TensorView::contiguous(nullptr, DType::kF32, {heads_q, p.total_q});
  for (TensorView* view : {&o_, &lse_}) {
    FSA_ASSIGN_OR_RETURN(auto buffer, device_.allocate(std::max<std::size_t>(bytes_of(*view), 16)));
    view->data = buffer->data();
    output_buffers_.push_back(std::move(buffer));
  }
  return {};
}

Result<void> TuningInputs::poison_outputs() const {
  FSA_RETURN_IF_ERROR(device_.fill(o_.data, 0xff, bytes_of(o_)));
  return device_.fill(lse_.data, 0xff, bytes_of(lse_));
}

Result<tuner::Verdict> TuningInputs::compare_outputs() {
  if (rows_.empty()) {
    rows_ = reference::sample_rows(o_.shape[0], o_.shape[1], kCheckedRows);
    FSA_ASSIGN_OR_RETURN(expected_, reference::selected_attention_rows(host_.operands(), rows_));
  }
  std::vector<std::byte> o(bytes_of(o_)), lse(bytes_of(lse_));
  FSA_RETURN_IF_ERROR(device_.copy_to_host(o.data(), o_.data, o.size()));
  FSA_RETURN_IF_ERROR(device_.copy_to_host(lse.data(), lse_.data, lse.size()));
  TensorView host_o = o_, host_lse = lse_;
  host_o.data = o.data();
  host_lse.data = lse.data();
  const reference::Comparison comparison = reference::compare_rows(host_o, host_lse, rows_, expected_);
  const bool right = comparison.within(tolerance_, reference::kLseTolerance);
  // The measure that failed may be the worst row or the LSE: the verdict must fail with it.
  return tuner::Verdict{.error = right ? comparison.output : std::numeric_limits<double>::infinity(), .tolerance = tolerance_};
}

}  // namespace fsa
