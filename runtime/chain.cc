#include "runtime/chain.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/workspace_layout.h"

namespace fsa {
namespace {

constexpr std::size_t kWorkspaceAlignment = 256;

std::size_t bytes_of(const TensorView& view) { return static_cast<std::size_t>(view.num_elements()) * size_of(view.dtype); }

/// A step that leaves multiprocessors of a large GPU idle gains from company: on an H200 the window beside the other branches
/// saves 17 to 26 % of the whole up to 1,024 tokens of 16 heads, less than 4 % beyond (tools/bench/overlap.py), where its
/// output would have to have memory of its own all the while.
constexpr unsigned kFewThreadBlocks = 132;

bool leaves_room(const ChainStep& step, const std::vector<Launch>& launches) {
  return step.beside && step.kernel->backend() == Backend::kCuda && std::ranges::all_of(launches, [](const Launch& launch) {
           return static_cast<std::uint64_t>(launch.grid[0]) * launch.grid[1] * launch.grid[2] <= kFewThreadBlocks;
         });
}

}  // namespace

Result<std::size_t> Chain::slot_of(const TensorSpec& spec, std::vector<std::string>& names) {
  if (const auto it = std::find(names.begin(), names.end(), spec.name); it != names.end()) {
    const auto slot = static_cast<std::size_t>(it - names.begin());
    if (slot >= externals_.size() && bytes_of(internals_[slot - externals_.size()].view) != bytes_of(packed_view(spec)))
      return make_error(ErrorKind::kInternal, {.given = fmt::format("two steps of a chain name '{}' and mean tensors of different sizes", spec.name),
                                               .remedy = "rename it in one of the stages"});
    return slot;
  }
  internals_.push_back({packed_view(spec), 0});
  names.push_back(spec.name);
  return names.size() - 1;
}

void Chain::lay_out_workspace() {
  std::vector<Lifetime> lifetimes;
  for (const WorkspaceTensor& t : internals_)
    lifetimes.push_back({bytes_of(t.view), static_cast<int>(steps_.size()), -1});
  for (std::size_t step = 0; step < steps_.size(); ++step)
    for (const std::size_t slot : steps_[step].slots) {
      if (slot < externals_.size()) continue;
      Lifetime& lifetime = lifetimes[slot - externals_.size()];
      lifetime.first = steps_[step].beside ? 0 : std::min(lifetime.first, static_cast<int>(step));
      lifetime.last = std::max(lifetime.last, static_cast<int>(steps_[step].beside ? std::max(step, join_) : step));
    }
  const WorkspaceLayout layout = lay_out(lifetimes, kWorkspaceAlignment);
  for (std::size_t i = 0; i < internals_.size(); ++i) internals_[i].offset = layout.offsets[i];
  workspace_bytes_ = layout.bytes;
}

Result<Chain> Chain::bind(std::shared_ptr<const Device> device, std::span<const ChainStep> steps, std::vector<std::shared_ptr<const Module>> modules,
                          std::vector<TensorSpec> externals) {
  FSA_ASSIGN_OR_RETURN(Chain chain, lay_out_steps(steps, std::move(externals)));
  chain.device_ = std::move(device);
  for (std::size_t i = 0; i < steps.size(); ++i) chain.steps_[i].module = std::move(modules[i]);
  if (std::ranges::any_of(chain.steps_, &BoundStep::beside)) {
    FSA_ASSIGN_OR_RETURN(chain.side_, chain.device_->make_side_stream());
  }
  return chain;
}

Result<std::size_t> Chain::workspace_of(std::span<const ChainStep> steps, std::vector<TensorSpec> externals) {
  FSA_ASSIGN_OR_RETURN(const Chain chain, lay_out_steps(steps, std::move(externals)));
  return chain.workspace_bytes();
}

Result<Chain> Chain::lay_out_steps(std::span<const ChainStep> steps, std::vector<TensorSpec> externals) {
  Chain chain;
  std::vector<std::string> names;
  for (const TensorSpec& e : externals) names.push_back(e.name);
  chain.externals_ = std::move(externals);
  for (const ChainStep& step : steps) {
    BoundStep bound{nullptr, step.kernel->packer(step.problem, step.config), step.kernel->launches(step.problem, step.config), {}};
    bound.beside = leaves_room(step, bound.launches);
    for (const TensorSpec& spec : step.tensors()) {
      FSA_ASSIGN_OR_RETURN(const std::size_t slot, chain.slot_of(spec, names));
      bound.slots.push_back(slot);
    }
    chain.steps_.push_back(std::move(bound));
  }
  if (names.size() > kMaxTensors)
    return make_error(ErrorKind::kInternal, {.given = fmt::format("a chain names {} tensors", names.size()), .supported = fmt::format("{}", kMaxTensors)});
  chain.join_ = chain.find_join();
  chain.lay_out_workspace();
  return chain;
}

std::size_t Chain::find_join() const {
  const auto written_beside = [&](std::size_t slot) {
    return std::ranges::any_of(steps_, [&](const BoundStep& step) { return step.beside && std::ranges::count(step.slots, slot) > 0; });
  };
  for (std::size_t reader = 0; reader < steps_.size(); ++reader) {
    if (steps_[reader].beside) continue;
    for (const std::size_t slot : steps_[reader].slots)
      if (slot >= externals_.size() && written_beside(slot)) return reader;
  }
  return steps_.size();
}

std::size_t Chain::num_launches() const {
  std::size_t count = 0;
  for (const BoundStep& step : steps_) count += step.launches.size();
  return count;
}

void Chain::resolve(std::span<const TensorView> tensors, Workspace workspace, Slots& slots) const {
  std::copy(tensors.begin(), tensors.end(), slots.begin());
  for (std::size_t i = 0; i < internals_.size(); ++i) {
    slots[tensors.size() + i] = internals_[i].view;
    slots[tensors.size() + i].data = static_cast<std::byte*>(workspace.data) + internals_[i].offset;
  }
}

Result<void> Chain::launch(const BoundStep& step, Call& call, void* stream) const {
  ParamBlock params;
  for (std::size_t i = 0; i < step.slots.size(); ++i) call.named[i] = call.all[step.slots[i]];
  step.packer->pack(std::span(call.named.data(), step.slots.size()), params);
  for (std::size_t i = 0; i < step.launches.size(); ++i) FSA_RETURN_IF_ERROR(device_->launch(*step.module, i, step.launches[i], params, stream));
  return {};
}

Result<void> Chain::launch_steps(std::size_t first, std::size_t end, bool beside, Call& call, void* stream) const {
  for (std::size_t i = first; i < end; ++i)
    if (steps_[i].beside == beside) FSA_RETURN_IF_ERROR(launch(steps_[i], call, stream));
  return {};
}

Result<void> Chain::run(std::span<const TensorView> tensors, Workspace workspace, void* stream) const {
  Call call;
  resolve(tensors, workspace, call.all);
  void* side = nullptr;
  if (side_) {
    FSA_ASSIGN_OR_RETURN(side, side_->fork(stream));
  }
  if (!side) {
    for (const BoundStep& step : steps_) FSA_RETURN_IF_ERROR(launch(step, call, stream));
    return {};
  }
  Result<void> enqueued = launch_steps(0, steps_.size(), true, call, side);
  if (enqueued) enqueued = launch_steps(0, join_, false, call, stream);
  const Result<void> joined = side_->join(stream);  // whatever happened: the caller's stream must not run ahead of the side
  FSA_RETURN_IF_ERROR(enqueued);
  FSA_RETURN_IF_ERROR(joined);
  return launch_steps(join_, steps_.size(), false, call, stream);
}

Result<void> Chain::run_step(std::size_t step, std::span<const TensorView> tensors, Workspace workspace, void* stream) const {
  Call call;
  resolve(tensors, workspace, call.all);
  return launch(steps_[step], call, stream);
}

}  // namespace fsa
