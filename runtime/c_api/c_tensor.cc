#include "runtime/c_api/c_tensor.h"

#include <fmt/format.h>

#include <optional>

namespace fsa::c_api {
namespace {

Error bad_tensor(const TensorInfo& info, std::string given, std::string supported, std::string remedy) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = info.name + " " + given, .supported = std::move(supported), .remedy = std::move(remedy)});
}

std::string describe(DLDevice device) {
  switch (static_cast<int>(device.device_type)) {
    case kDLCPU:
      return "on the CPU";
    case kDLCUDA:
      return fmt::format("on cuda:{}", device.device_id);
    case kDLCUDAHost:
      return "in pinned host memory";
    case kDLCUDAManaged:
      return "in managed memory";
    default:
      return fmt::format("on a device of DLPack type {}", static_cast<int>(device.device_type));
  }
}

std::string describe(DLDataType type) {
  constexpr int kComplex = 5, kBool = 6;  // DLPack's; a caller's older dlpack.h does not name them
  if (type.code == kBool && type.lanes == 1) return "bool";
  const char* code = type.code == kDLInt      ? "int"
                     : type.code == kDLUInt   ? "uint"
                     : type.code == kDLFloat  ? "float"
                     : type.code == kDLBfloat ? "bfloat"
                     : type.code == kComplex  ? "complex"
                                              : nullptr;
  const std::string name = code ? fmt::format("{}{}", code, type.bits) : fmt::format("DLPack code {} of {} bits", type.code, type.bits);
  return type.lanes == 1 ? name : fmt::format("{} in {} lanes", name, type.lanes);
}

bool is_reachable(DLDevice given, DLDevice plan) {
  const int type = given.device_type;
  if (type == kDLCUDAManaged) return true;
  if (plan.device_type == kDLCPU) return type == kDLCPU || type == kDLCUDAHost;
  return type == kDLCUDA && given.device_id == plan.device_id;
}

std::optional<DType> dtype_of(DLDataType type) {
  if (type.lanes != 1) return {};
  if (type.code == kDLBfloat && type.bits == 16) return DType::kBF16;
  if (type.code == kDLFloat && type.bits == 16) return DType::kF16;
  if (type.code == kDLFloat && type.bits == 32) return DType::kF32;
  if (type.code == kDLInt && type.bits == 32) return DType::kI32;
  return {};
}

void copy_shape(const DLTensor& tensor, TensorView& view) {
  view.rank = tensor.ndim;
  std::int64_t packed = 1;
  for (int i = tensor.ndim - 1; i >= 0; --i) {
    view.shape[i] = tensor.shape[i];
    view.stride[i] = tensor.strides ? tensor.strides[i] : packed;
    packed *= tensor.shape[i];
  }
}

}  // namespace

DLDataType to_dlpack(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return {kDLBfloat, 16, 1};
    case DType::kF16:
      return {kDLFloat, 16, 1};
    case DType::kF32:
      return {kDLFloat, 32, 1};
    case DType::kI32:
      return {kDLInt, 32, 1};
  }
  return {};
}

Result<void> to_view(const DLTensor* tensor, const TensorInfo& info, DLDevice device, TensorView& view) {
  if (!tensor)
    return bad_tensor(info, "is a null DLTensor", fmt::format("a DLTensor {}", describe(device)),
                      "pass the tensors in the order of fsa_plan_get_tensor()");
  if (!is_reachable(tensor->device, device))
    return bad_tensor(info, "is " + describe(tensor->device), fmt::format("tensors {}, where this plan runs", describe(device)),
                      "move the tensor there, or make the plan with an engine of its device");
  const std::optional<DType> dtype = dtype_of(tensor->dtype);
  if (!dtype)
    return bad_tensor(info, "has elements of type " + describe(tensor->dtype), fmt::format("{} for this plan", to_string(info.dtype)),
                      "convert the tensor");
  if (tensor->ndim < 0 || tensor->ndim > TensorView::kMaxRank || (tensor->ndim > 0 && !tensor->shape))
    return bad_tensor(info, tensor->ndim > 0 && !tensor->shape ? "has a null shape" : fmt::format("has {} dimensions", tensor->ndim),
                      fmt::format("{} dimensions for this plan", info.shape.size()),
                      "pass the tensor with the shape that fsa_plan_get_tensor() states");
  view.dtype = *dtype;
  view.data = tensor->data ? static_cast<std::byte*>(tensor->data) + tensor->byte_offset : nullptr;
  copy_shape(*tensor, view);
  return {};
}

}  // namespace fsa::c_api
