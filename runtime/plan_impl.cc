#include "runtime/plan_impl.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/tensor_check.h"

namespace fsa {
namespace {

std::string names_of(const std::vector<TensorInfo>& tensors) {
  std::vector<std::string_view> names;
  for (const TensorInfo& t : tensors) names.push_back(t.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Plan::Impl::Impl(const Operator& op, const Json& problem, Chain chain, PlanReport report)
    : op_(op.name()),
      chain_(std::move(chain)),
      report_(std::move(report)),
      total_q_(problem.value("total_q", std::int64_t{0})),
      total_k_(problem.value("total_k", std::int64_t{0})) {
  for (const TensorSpec& spec : chain_.externals()) {
    if (spec.name == "cu_q") cu_q_ = tensors_.size();
    if (spec.name == "cu_k") cu_k_ = tensors_.size();
    tensors_.push_back({spec.name, spec.dtype, spec.shape, spec.layout, spec.access != Access::kRead});
  }
}

Result<void> Plan::Impl::check_arguments(std::span<const TensorView> tensors) const {
  if (tensors.size() != tensors_.size())
    return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{} tensors", tensors.size()),
                                                    .supported = fmt::format("the {} of this plan: {}", tensors_.size(), names_of(tensors_)),
                                                    .remedy = "pass them in the order of plan.tensors()"});
  for (std::size_t i = 0; i < tensors.size(); ++i) FSA_RETURN_IF_ERROR(check_tensor(chain_.externals()[i], tensors[i]));
  return {};
}

std::span<const int> Plan::Impl::as_ints(const int* data, std::size_t slot) const {
  return {data, static_cast<std::size_t>(tensors_[slot].shape[0])};
}

Result<void> Plan::Impl::check_lengths(const int* cu_q, const int* cu_k) const {
  if (!cu_k_) return {};
  if (!cu_q_) return check_cu_k(as_ints(cu_k, *cu_k_), total_k_);
  return check_cu_seqlens(as_ints(cu_q, *cu_q_), as_ints(cu_k, *cu_k_), total_q_, total_k_);
}

Result<void> Plan::Impl::forward(std::span<const TensorView> tensors, Workspace workspace, void* stream) const {
  FSA_RETURN_IF_ERROR(check_arguments(tensors));
  FSA_RETURN_IF_ERROR(check_workspace(chain_.workspace_bytes(), workspace));
  if (chain_.device().target().backend == Backend::kCpu) {
    const auto ints = [&](std::optional<std::size_t> slot) { return slot ? static_cast<const int*>(tensors[*slot].data) : nullptr; };
    FSA_RETURN_IF_ERROR(check_lengths(ints(cu_q_), ints(cu_k_)));
  }
  return chain_.run(tensors, workspace, stream);
}

Result<void> Plan::Impl::validate(std::span<const TensorView> tensors) const {
  FSA_RETURN_IF_ERROR(check_arguments(tensors));
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].num_elements() > 0) FSA_RETURN_IF_ERROR(chain_.device().check_pointer(tensors[i].data, tensors_[i].name));
  std::vector<int> cu_q, cu_k;
  for (const auto& [slot, copy] : {std::pair{cu_q_, &cu_q}, {cu_k_, &cu_k}}) {
    if (!slot) continue;
    copy->resize(static_cast<std::size_t>(tensors_[*slot].shape[0]));
    FSA_RETURN_IF_ERROR(chain_.device().copy_to_host(copy->data(), tensors[*slot].data, copy->size() * sizeof(int)));
  }
  return check_lengths(cu_q.data(), cu_k.data());
}

Plan::Plan(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;
Plan::Plan(const Plan&) = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(const Plan&) = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

std::string_view Plan::op() const { return impl_->op(); }
const std::vector<TensorInfo>& Plan::tensors() const { return impl_->tensors(); }
std::size_t Plan::workspace_bytes() const { return impl_->chain().workspace_bytes(); }
Result<void> Plan::forward(std::span<const TensorView> tensors, Workspace workspace, void* stream) const {
  return impl_->forward(tensors, workspace, stream);
}
Result<void> Plan::validate(std::span<const TensorView> tensors) const { return impl_->validate(tensors); }
const PlanReport& Plan::report() const { return impl_->report(); }

}  // namespace fsa
