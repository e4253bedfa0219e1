#include "tests/support/kernel_chain.h"

#include <map>

#include "tests/support/device_memory.h"

namespace fsa::test {
namespace {

// What callers of the library promise: no more, or a kernel that assumes more would pass.
constexpr std::size_t kCallerAlignment = 16, kWorkspaceAlignment = 256;

/// The tensors of one run on the device, by name.
class Tensors {
 public:
  Tensors(const Device& device, unsigned char poison) : device_(device), poison_(poison) {}

  /// Memory shaped as `like`, strides included.
  Result<void> add(const std::string& name, TensorView like, std::size_t alignment = kCallerAlignment) {
    FSA_ASSIGN_OR_RETURN(DeviceMemory memory, DeviceMemory::allocate(device_, extent_bytes(like), alignment));
    // Tensors of gigabytes exist to reach far offsets: their gaps stay untouched, which on the CPU costs no memory.
    constexpr std::size_t kMostPoisoned = std::size_t{4} << 30;
    if (memory.size() > 0 && memory.size() <= kMostPoisoned) FSA_RETURN_IF_ERROR(device_.fill(memory.data(), poison_, memory.size()));
    like.data = memory.data();
    views_[name] = like;
    owned_.push_back(std::move(memory));
    return {};
  }
  Result<void> add_missing(const TensorSpec& spec) {
    if (views_.contains(spec.name)) return {};
    return add(spec.name, packed_view(spec), kWorkspaceAlignment);
  }
  const TensorView& at(const std::string& name) const { return views_.at(name); }

 private:
  const Device& device_;
  unsigned char poison_;
  std::map<std::string, TensorView> views_;
  std::vector<DeviceMemory> owned_;
};

Result<void> launch_step(const Device& device, const Module& module, const ChainStep& step, const Tensors& tensors) {
  std::vector<TensorView> views;
  for (const TensorSpec& spec : step.tensors()) views.push_back(tensors.at(spec.name));
  ParamBlock params;
  step.kernel->packer(step.problem, step.config)->pack(views, params);
  const auto launches = step.kernel->launches(step.problem, step.config);
  for (std::size_t i = 0; i < launches.size(); ++i) FSA_RETURN_IF_ERROR(device.launch(module, i, launches[i], params, nullptr));
  return {};
}

}  // namespace

Result<KernelChain> KernelChain::build(Lab& lab, std::vector<ChainStep> steps) {
  KernelChain chain;
  chain.lab_ = &lab;
  for (const ChainStep& step : steps) {
    const auto launches = step.kernel->launches(step.problem, step.config);
    FSA_ASSIGN_OR_RETURN(auto module, lab.load(step.kernel->specialize(step.problem, step.config, lab.target()), launches));
    chain.modules_.push_back(std::move(module));
  }
  chain.steps_ = std::move(steps);
  return chain;
}

Result<void> KernelChain::run(const std::vector<Binding>& inputs, const std::vector<Binding>& outputs, unsigned char poison,
                              bool repeats) const {
  const Device& device = lab_->device();
  Tensors tensors(device, poison);
  for (const auto* bindings : {&inputs, &outputs})
    for (const Binding& b : *bindings) FSA_RETURN_IF_ERROR(tensors.add(b.name, b.host));
  for (const ChainStep& step : steps_)
    for (const TensorSpec& spec : step.tensors()) FSA_RETURN_IF_ERROR(tensors.add_missing(spec));
  for (const Binding& b : inputs) FSA_RETURN_IF_ERROR(upload(device, b.host, tensors.at(b.name).data));
  for (std::size_t i = 0; i < steps_.size(); ++i) FSA_RETURN_IF_ERROR(launch_step(device, *modules_[i], steps_[i], tensors));
  if (repeats) FSA_RETURN_IF_ERROR(launch_step(device, *modules_.back(), steps_.back(), tensors));
  FSA_RETURN_IF_ERROR(device.synchronize());
  for (const Binding& b : outputs) FSA_RETURN_IF_ERROR(download(device, tensors.at(b.name).data, b.host));
  return {};
}

Result<std::vector<ChainStep>> selected_steps(const SelectedProblem& problem, const Choice& choice, const Target& target) {
  const Json json = to_json(selected_problem_fields(), problem);
  FSA_RETURN_IF_ERROR(selected_attention_operator().check(json, target));
  return make_chain(selected_attention_operator(), json, choice, target);
}

}  // namespace fsa::test
