#pragma once
// Owns what turns the description of a tensor in a kernel's parameters into the driver's encoding of it.
#include "codegen/kernel_facts.h"
#include "runtime/device/cuda_driver.h"

namespace fsa {

/// kUnsupported where the driver encodes no tensors. Before launches that ask for it.
Result<void> check_tensor_maps(const CudaDriver& driver);

/// Copies `params` to `encoded`, where the TensorMap at `offset` becomes what the driver makes of its description.
Result<void> encode_tensor_map(const CudaDriver& driver, const ParamBlock& params, int offset, ParamBlock& encoded);

}  // namespace fsa
