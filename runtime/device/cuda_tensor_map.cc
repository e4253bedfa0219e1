#include "runtime/device/cuda_tensor_map.h"

#include <fmt/format.h>

#include <cassert>
#include <cstring>

#include "templates/tensor_map.h"

namespace fsa {
namespace {

constexpr unsigned kPanelColumns = 64;  // 128 bytes, what the swizzle permutes

/// Elements are copied, not computed with: any type of 16 bits does.
CudaDriver::Status encode(const CudaDriver& driver, const BoxedTensor& t, void* map) {
  const std::uint64_t extents[] = {t.columns, t.rows, t.heads}, strides[] = {t.row_stride, t.head_stride};
  const unsigned box[] = {kPanelColumns, t.box_rows, 1}, steps[] = {1, 1, 1};
  constexpr int kNoInterleave = 0, kFillZeros = 0;
  return driver.tensor_map_encode_tiled(map, CudaDriver::kTensorMapUint16, 3, const_cast<void*>(t.data), extents, strides, box, steps,
                                        kNoInterleave, CudaDriver::kTensorMapSwizzle128, CudaDriver::kTensorMapPromote256, kFillZeros);
}

Error not_encoded(const CudaDriver& driver, const BoxedTensor& t, CudaDriver::Status status) {
  return make_error(
      ErrorKind::kDevice,
      {.given = fmt::format("the driver refuses a tensor at {} of {} rows, {} heads and {} columns, {} and {} bytes apart: {}",
                            fmt::ptr(t.data), t.rows, t.heads, t.columns, t.row_stride, t.head_stride, driver.describe(status)),
       .remedy = "copy the tensor to a contiguous one"});
}

}  // namespace

Result<void> check_tensor_maps(const CudaDriver& driver) {
  if (driver.tensor_map_encode_tiled) return {};
  return make_error(ErrorKind::kUnsupported, {.given = "the CUDA driver is too old for this kernel: it has no cuTensorMapEncodeTiled",
                                              .supported = "a driver for CUDA 12 or 13",
                                              .remedy = "update the driver, or choose another config with `fsa tune`"});
}

Result<void> encode_tensor_map(const CudaDriver& driver, const ParamBlock& params, int offset, ParamBlock& encoded) {
  assert(offset % 64 == 0 && offset + sizeof(TensorMap) <= params.size());
  encoded.copy(params);
  TensorMap map;
  auto* const place = static_cast<std::byte*>(encoded.data()) + offset;
  std::memcpy(&map, place, sizeof(map));
  const BoxedTensor tensor = map.tensor;
  const auto status = encode(driver, tensor, place);
  if (status == CudaDriver::kSuccess) [[likely]]
    return {};
  return not_encoded(driver, tensor, status);
}

}  // namespace fsa
