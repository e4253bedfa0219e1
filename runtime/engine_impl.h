#pragma once
// Owns the implementation behind Engine: device, kernels, tuning cache and the making of plans.
#include <memory>
#include <optional>
#include <string>

#include "fsa/engine.h"
#include "runtime/choice_source.h"
#include "runtime/kernel_library.h"
#include "runtime/plan_impl.h"

namespace fsa {

class Engine::Impl {
 public:
  Impl(std::string device_name, EngineOptions options, std::unique_ptr<KernelLibrary> library, std::unique_ptr<ChoiceSource> choices)
      : device_name_(std::move(device_name)), options_(std::move(options)), library_(std::move(library)), choices_(std::move(choices)) {}

  /// Plans a problem as Operator::from_public() gives it, with the given choice or the best known one where there is none.
  Result<std::shared_ptr<const Plan::Impl>> plan(const Operator& op, const Json& problem, std::optional<Choice> forced = {}) const;

  const std::string& device_name() const { return device_name_; }
  const EngineOptions& options() const { return options_; }
  const std::shared_ptr<const Device>& device() const { return library_->device(); }
  const Target& target() const { return library_->device()->target(); }
  const KernelLibrary& library() const { return *library_; }
  const ChoiceSource& choices() const { return *choices_; }

 private:
  Result<Chain> bind(const Operator& op, const Json& problem, const Choice& choice, PlanReport& report) const;

  std::string device_name_;
  EngineOptions options_;
  std::unique_ptr<KernelLibrary> library_;
  std::unique_ptr<ChoiceSource> choices_;
};

}  // namespace fsa
