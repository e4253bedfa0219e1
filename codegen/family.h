#pragma once
// Owns the descriptor of a kernel family: what an author states once, erased so that planners and tuners see no types.
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "codegen/kernel_facts.h"
#include "codegen/specialization.h"
#include "codegen/target.h"

namespace fsa {

/// Packs a bound kernel's parameters from tensors in the order of Kernel::tensors(). Holds problem and config decoded,
/// so that packing neither allocates nor parses.
class Packer {
 public:
  virtual ~Packer() = default;
  virtual void pack(std::span<const TensorView> tensors, ParamBlock& params) const = 0;
};

/// One kernel family on one backend, erased: problems and configs are JSON objects of named fields.
/// `problem` must have passed check(), `config` check_config(), before any other call.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::string_view family() const = 0;
  virtual int version() const = 0;
  virtual Backend backend() const = 0;

  /// What is unsupported about the problem on this target, with the reason; success otherwise.
  virtual Result<void> check(const Json& problem, const Target& target) const = 0;
  /// A config that is right everywhere and decent, without any tuning.
  virtual Json default_config(const Json& problem, const Target& target) const = 0;
  /// Every legal config that fits the target by the resource model, in a stable order.
  virtual std::vector<Json> configs(const Json& problem, const Target& target) const = 0;
  /// The config with missing fields at their defaults, or why it is not legal here.
  virtual Result<Json> complete_config(const Json& problem, const Json& config, const Target& target) const = 0;
  virtual Resources resources(const Json& problem, const Json& config) const = 0;
  virtual std::vector<TensorSpec> tensors(const Json& problem, const Json& config) const = 0;
  virtual std::vector<Launch> launches(const Json& problem, const Json& config) const = 0;
  virtual Work work(const Json& problem) const = 0;
  /// Largest relative error ||out - ref|| / ||ref|| that a right kernel may show on this problem.
  virtual double tolerance(const Json& problem) const = 0;
  virtual Specialization specialize(const Json& problem, const Json& config, const Target& target) const = 0;
  virtual std::unique_ptr<Packer> packer(const Json& problem, const Json& config) const = 0;
};

/// A kernel family: its name and its kernel on each backend it supports.
struct Family {
  std::string_view name;
  std::unique_ptr<const Kernel> cuda;  ///< null where there is no CUDA kernel
  std::unique_ptr<const Kernel> cpu;   ///< null where there is no CPU kernel

  const Kernel* kernel(Backend backend) const { return backend == Backend::kCuda ? cuda.get() : cpu.get(); }
};

}  // namespace fsa
