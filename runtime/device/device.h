#pragma once
// Owns the Device interface: what plans, tuner and tools need of a GPU or CPU, so that none of them sees CUDA or LLVM.
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codegen/base/json.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "fsa/base/result.h"

namespace fsa {

/// A loaded binary with its entry points resolved. Unloads when destroyed; must not outlive its Device.
class Module {
 public:
  virtual ~Module() = default;
};

/// Device memory, freed when destroyed. For tools, tuner and tests: a forward call never allocates.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() const = 0;
  virtual std::size_t size() const = 0;
};

/// Repeats captured work and times it on the device's own clock, launch overhead excluded where the device allows.
class Timer {
 public:
  virtual ~Timer() = default;
  /// Runs the work once more and returns its seconds.
  virtual Result<double> run() = 0;
};

/// A second stream, for work beside that of a caller's stream. Any number of threads may share it.
class SideStream {
 public:
  virtual ~SideStream() = default;
  /// The stream to enqueue on, where work starts after what `stream` holds so far; to be followed by join(). Null while another
  /// thread or another capture uses it: then all goes to `stream`. No lock, no allocation.
  virtual Result<void*> fork(void* stream) const = 0;
  /// Makes `stream` wait for what was enqueued since fork().
  virtual Result<void> join(void* stream) const = 0;
};

/// What a device states of its own speed; 0: it does not tell.
struct DeviceRates {
  double clock_hz = 0;          ///< of its units, at most
  double bytes_per_second = 0;  ///< between them and its memory, at most
};

class Device {
 public:
  /// Enqueues work on the given stream (a CUstream on CUDA, null on the CPU).
  using Enqueue = std::function<Result<void>(void* stream)>;

  virtual ~Device() = default;
  virtual const Target& target() const = 0;
  /// What makes two devices the same for tuning: {"arch","units","l2_mib","bandwidth_class",...}. No marketing name.
  virtual const Json& identity() const = 0;
  /// Human-readable name, for provenance and messages.
  virtual const std::string& name() const = 0;
  /// No part of the identity: two devices that differ in it alone run the same configs best.
  virtual DeviceRates rates() const { return {}; }

  /// Loads a binary that was compiled for a target that this device runs. `launches` name the entry points and the
  /// shared memory to opt in to. Must not be called while a stream is capturing (kInvalidArgument).
  virtual Result<std::unique_ptr<Module>> load(std::span<const std::byte> binary, std::span<const Launch> launches) const = 0;
  /// Launches entry `index` (of load's launches) with `launch`'s grid. No lock, no allocation. CUDA: asynchronous on
  /// `stream`; CPU: returns when done. An empty grid is a no-op.
  virtual Result<void> launch(const Module& module, std::size_t index, const Launch& launch, const ParamBlock& params, void* stream) const = 0;

  virtual Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) const = 0;
  virtual Result<void> copy_to_device(void* device, const void* host, std::size_t bytes) const = 0;
  virtual Result<void> copy_to_host(void* host, const void* device, std::size_t bytes) const = 0;
  virtual Result<void> fill(void* device, unsigned char byte, std::size_t bytes) const = 0;
  /// Waits for all work; reports a fault of any earlier launch.
  virtual Result<void> synchronize() const = 0;
  /// A stream for the caller's own use, destroyed with the returned handle; null data on the CPU.
  virtual Result<std::shared_ptr<void>> make_stream() const = 0;
  /// Null where launches are done when they return.
  virtual Result<std::unique_ptr<SideStream>> make_side_stream() const { return std::unique_ptr<SideStream>(); }
  virtual Result<std::unique_ptr<Timer>> make_timer(Enqueue work) const = 0;
  /// Checks that `pointer` can be read by kernels of this device, without touching it. Cheap; used by validation only.
  virtual Result<void> check_pointer(const void* pointer, std::string_view what) const = 0;
};

struct DeviceOptions {
  int num_threads = 0;  ///< CPU: worker threads; 0: one for each core this process may use
};

/// Opens "cpu" or "cuda:N". kUnavailable says what is missing on this machine (driver, GPU) and what to do.
Result<std::unique_ptr<Device>> open_device(std::string_view name, const DeviceOptions& options = {});

}  // namespace fsa
