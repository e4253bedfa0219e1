#pragma once
// Owns the CUDA device: loading, launching, memory, streams and timing on one GPU through the driver interface.
#include <memory>

#include "runtime/device/device.h"

namespace fsa {

/// Opens GPU `ordinal` and shares its primary context with the process. Errors: kUnavailable without a driver or that
/// GPU (the message says how many there are); kUnsupported for a compute capability that is not covered.
Result<std::unique_ptr<Device>> open_cuda_device(int ordinal);

}  // namespace fsa
