#include "tools/fsa/selected_run.h"

#include <algorithm>
#include <utility>

#include "templates/reference/selected_reference.h"

namespace fsa::cli {
namespace {

// Products of the oracle beyond which a sample of the rows is compared: some seconds on one core.
constexpr double kOracleProducts = 4e9;
constexpr std::int64_t kSampledRows = 4096;

reference::SelectedOperands operands(const SelectedInput& input) {
  return {.q = input.q.view(),
          .k = input.k.view(),
          .v = input.v.view(),
          .block_indices = input.block_indices.view(),
          .cu_q = input.cu_q.view(),
          .cu_k = input.cu_k.view(),
          .block_size = input.problem.block_size,
          .scale = input.problem.scale};
}

double oracle_products(const SelectedAttentionProblem& p) {
  const double keys = std::min<double>(static_cast<double>(p.topk) * p.block_size, static_cast<double>(p.total_k));
  return static_cast<double>(p.total_q) * p.heads_q * keys * (p.head_dim + p.head_dim_v);
}

}  // namespace

Result<void*> DeviceRun::allocate_bytes(std::size_t bytes) {
  FSA_ASSIGN_OR_RETURN(auto buffer, device_->allocate(std::max<std::size_t>(bytes, 1)));
  buffers_.push_back(std::move(buffer));
  return buffers_.back()->data();
}

Result<TensorView> DeviceRun::allocate(const TensorView& like) {
  TensorView view = like;
  FSA_ASSIGN_OR_RETURN(view.data, allocate_bytes(static_cast<std::size_t>(like.num_elements()) * size_of(like.dtype)));
  return view;
}

Result<void> DeviceRun::upload_inputs(const SelectedInput& input) {
  const std::pair<const HostTensor*, TensorView*> inputs[] = {
      {&input.q, &tensors_.q},       {&input.k, &tensors_.k},      {&input.v, &tensors_.v}, {&input.block_indices, &tensors_.block_indices},
      {&input.cu_q, &tensors_.cu_q}, {&input.cu_k, &tensors_.cu_k}};
  for (const auto& [host, view] : inputs) {
    FSA_ASSIGN_OR_RETURN(*view, allocate(host->view()));
    if (host->bytes() > 0) FSA_RETURN_IF_ERROR(device_->copy_to_device(view->data, host->data(), host->bytes()));
  }
  return {};
}

Result<void> DeviceRun::allocate_outputs(const SelectedAttentionProblem& p) {
  FSA_ASSIGN_OR_RETURN(tensors_.o, allocate(TensorView::contiguous(nullptr, p.dtype, {p.total_q, p.heads_q, p.head_dim_v})));
  FSA_ASSIGN_OR_RETURN(tensors_.lse, allocate(TensorView::contiguous(nullptr, DType::kF32, {p.heads_q, p.total_q})));
  FSA_ASSIGN_OR_RETURN(void* scratch, allocate_bytes(plan_.workspace_bytes()));
  workspace_ = {scratch, plan_.workspace_bytes()};
  return {};
}

Result<DeviceRun> DeviceRun::create(const Device& device, const SelectedAttentionPlan& plan, const SelectedInput& input) {
  DeviceRun run(device, plan);
  FSA_RETURN_IF_ERROR(run.upload_inputs(input));
  FSA_RETURN_IF_ERROR(run.allocate_outputs(input.problem));
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

Result<HostTensor> DeviceRun::download(const TensorView& tensor) const {
  HostTensor host(tensor.dtype, {tensor.shape.begin(), tensor.shape.begin() + tensor.rank});
  if (host.bytes() > 0) FSA_RETURN_IF_ERROR(device_->copy_to_host(host.data(), tensor.data, host.bytes()));
  return host;
}

Result<Check> check_against_oracle(const SelectedInput& input, const TensorView& o, const TensorView& lse) {
  const SelectedAttentionProblem& p = input.problem;
  Check check;
  check.all_rows = p.total_q * p.heads_q;
  check.tolerance = p.dtype == DType::kF32 ? 1e-5 : reference::kOutputTolerance;
  if (oracle_products(p) <= kOracleProducts) {
    FSA_ASSIGN_OR_RETURN(const auto expected, reference::selected_attention(operands(input)));
    check.comparison = reference::compare(o, lse, expected);
    check.rows = check.all_rows;
    return check;
  }
  const auto rows = reference::sample_rows(p.total_q, p.heads_q, kSampledRows);
  FSA_ASSIGN_OR_RETURN(const auto expected, reference::selected_attention_rows(operands(input), rows));
  check.comparison = reference::compare_rows(o, lse, rows, expected);
  check.rows = static_cast<std::int64_t>(rows.size());
  return check;
}

}  // namespace fsa::cli
