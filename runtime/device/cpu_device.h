#pragma once
// Owns the CPU device: a thread pool that runs the items of kernels, and plain host memory.
#include <memory>

#include "runtime/device/device.h"

namespace fsa {

/// Opens the CPU. `num_threads` counts the launching thread; 0 takes every CPU that this process may run on. kUnavailable
/// below x86-64-v3, kInvalidArgument for a thread count outside 0..4096.
///
/// Kernels are `extern "C" void entry(const Params*, long item, void* scratch)`. load() reserves the scratch, so that
/// launch() allocates nothing; it may be called from several threads at once.
Result<std::unique_ptr<Device>> open_cpu_device(int num_threads = 0);

}  // namespace fsa
