#pragma once
// Owns the translation of DLPack tensors to the library's views.
#include "fsa/base/tensor_view.h"
#include "fsa/dlpack.h"
#include "fsa/plan.h"

namespace fsa::c_api {

DLDataType to_dlpack(DType dtype);

/// The view of a caller's tensor `info` for a plan on `device`. Checks what a view cannot say: device, dtype, rank. Shape,
/// strides and alignment are the plan's to check. Allocates nothing unless it fails.
Result<void> to_view(const DLTensor* tensor, const TensorInfo& info, DLDevice device, TensorView& view);

}  // namespace fsa::c_api
