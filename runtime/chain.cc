#include "runtime/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fsa {
namespace {

constexpr std::size_t kWorkspaceAlignment = 256;

std::size_t align_up(std::size_t bytes) { return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment; }

TensorView packed_view(const TensorSpec& spec) {
  TensorView view{.data = nullptr, .dtype = spec.dtype, .rank = static_cast<int>(spec.shape.size()), .shape = {}, .stride = {}};
  std::int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    view.shape[i] = spec.shape[i];
    view.stride[i] = stride;
    stride *= spec.shape[i];
  }
  return view;
}

}  // namespace

std::size_t Chain::slot_of(const TensorSpec& spec, std::vector<std::string>& names) {
  if (const auto it = std::find(names.begin(), names.end(), spec.name); it != names.end()) return static_cast<std::size_t>(it - names.begin());
  const TensorView view = packed_view(spec);
  internals_.push_back({view, workspace_bytes_});
  workspace_bytes_ += align_up(static_cast<std::size_t>(view.num_elements()) * size_of(spec.dtype));
  names.push_back(spec.name);
  return names.size() - 1;
}

Result<Chain> Chain::bind(std::shared_ptr<const Device> device, std::span<const ChainStep> steps, std::vector<std::shared_ptr<const Module>> modules,
                          std::vector<TensorSpec> externals) {
  Chain chain;
  chain.device_ = std::move(device);
  std::vector<std::string> names;
  for (const TensorSpec& e : externals) names.push_back(e.name);
  chain.externals_ = std::move(externals);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const ChainStep& step = steps[i];
    BoundStep bound{std::move(modules[i]), step.kernel->packer(step.problem, step.config), step.kernel->launches(step.problem, step.config), {}};
    for (const TensorSpec& spec : step.kernel->tensors(step.problem, step.config)) bound.slots.push_back(chain.slot_of(spec, names));
    chain.steps_.push_back(std::move(bound));
  }
  if (names.size() > kMaxTensors)
    return make_error(ErrorKind::kInternal, {.given = fmt::format("a chain names {} tensors", names.size()), .supported = fmt::format("{}", kMaxTensors)});
  return chain;
}

Result<void> Chain::run(std::span<const TensorView> tensors, Workspace workspace, void* stream) const {
  std::array<TensorView, kMaxTensors> slots;
  std::copy(tensors.begin(), tensors.end(), slots.begin());
  for (std::size_t i = 0; i < internals_.size(); ++i) {
    slots[tensors.size() + i] = internals_[i].view;
    slots[tensors.size() + i].data = static_cast<std::byte*>(workspace.data) + internals_[i].offset;
  }
  std::array<TensorView, kMaxTensors> named;
  ParamBlock params;
  for (const BoundStep& step : steps_) {
    for (std::size_t i = 0; i < step.slots.size(); ++i) named[i] = slots[step.slots[i]];
    step.packer->pack(std::span(named.data(), step.slots.size()), params);
    for (std::size_t i = 0; i < step.launches.size(); ++i) FSA_RETURN_IF_ERROR(device_->launch(*step.module, i, step.launches[i], params, stream));
  }
  return {};
}

}  // namespace fsa
