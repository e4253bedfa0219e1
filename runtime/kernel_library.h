#pragma once
// Owns KernelLibrary: the kernels loaded on one device, each loaded once however many plans use it.
#include <memory>
#include <span>

#include "cache/single_flight.h"
#include "runtime/device/device.h"
#include "runtime/kernel_source.h"
#include "runtime/operator.h"

namespace fsa {

/// Where the kernels of a plan came from.
struct KernelCounts {
  int compiled = 0, from_cache = 0, from_pack = 0, already_loaded = 0;
};

/// Thread-safe: one load per kernel at a time, others wait for it.
class KernelLibrary {
 public:
  KernelLibrary(std::shared_ptr<const Device> device, std::shared_ptr<const KernelSource> source) : device_(std::move(device)), source_(std::move(source)) {}

  /// The loaded module of a step; adds to `counts`.
  Result<std::shared_ptr<const Module>> load(const ChainStep& step, KernelCounts& counts) const;
  /// Drops a module that nothing else holds: the tuner tries many kernels and keeps few.
  void forget(const ChainStep& step) const;

  const std::shared_ptr<const Device>& device() const { return device_; }
  const KernelSource& source() const { return *source_; }

 private:
  std::shared_ptr<const Device> device_;
  std::shared_ptr<const KernelSource> source_;
  mutable SingleFlight<Digest, std::shared_ptr<const Module>> modules_;
};

}  // namespace fsa
