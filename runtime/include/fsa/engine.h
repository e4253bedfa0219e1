#pragma once
// Owns Engine: one device with its kernels; turns problems into plans.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/export.h"
#include "fsa/base/result.h"
#include "fsa/options.h"
#include "fsa/plan.h"
#include "fsa/selected_attention.h"

namespace fsa {

/// One device (a GPU or the CPU) and the kernels loaded on it. Thread-safe.
class FSA_API Engine {
 public:
  /// Opens "cpu", "cuda" (the first GPU) or "cuda:N". kUnavailable says what this machine lacks.
  static Result<Engine> create(std::string_view device, const EngineOptions& options = {});

  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// Looks up the tuned choice (the nearest tuned problem, or the default where none is known), finds or compiles its
  /// kernels and binds them. Milliseconds when cached, some hundred milliseconds per kernel otherwise. Not to be called
  /// while a stream of this thread captures. kInvalidArgument and kUnsupported say what to change.
  Result<SelectedAttentionPlan> plan(const SelectedAttentionProblem& problem) const;

  /// The same for any of operator_names(). `problem_json` is an object of the fields of the operator's problem struct,
  /// dtypes as "bf16", "f16", "f32"; missing fields take the struct's defaults, unknown ones are kInvalidArgument.
  Result<Plan> plan(std::string_view op, std::string_view problem_json) const;

  /// Canonical name: "cpu" or "cuda:0".
  std::string_view device() const;
  /// Human-readable device name and driver, for logs.
  std::string_view device_name() const;
  /// What kernels are compiled for here, e.g. "sm_90a" or "x86-64-v4+avx512bf16".
  std::string_view target() const;

  class Impl;
  explicit Engine(std::shared_ptr<Impl> impl);
  /// The implementation, for the tools of this repository; not part of the API.
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

/// The operators that plans can be made for.
FSA_API std::vector<std::string> operator_names();

/// Version of the library, e.g. "0.1.0".
FSA_API std::string_view library_version();

}  // namespace fsa
