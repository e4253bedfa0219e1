#include "runtime/device/cuda_context.h"

#include <fmt/format.h>

#include <array>

namespace fsa {
namespace {

Error no_such_gpu(int ordinal, int count) {
  return make_error(ErrorKind::kUnavailable,
                    {.given = fmt::format("cuda:{}: this machine has {} GPU{} (CUDA_VISIBLE_DEVICES may hide some)", ordinal, count,
                                          count == 1 ? "" : "s"),
                     .supported = count == 0   ? "cpu"
                                  : count == 1 ? "cuda:0, cpu"
                                               : fmt::format("cuda:0 to cuda:{}, cpu", count - 1),
                     .remedy = "name a GPU that exists, or use the device 'cpu'"});
}

}  // namespace

Result<std::shared_ptr<const CudaContext>> CudaContext::open(int ordinal) {
  FSA_ASSIGN_OR_RETURN(auto driver, CudaDriver::load());
  int count = 0;
  FSA_RETURN_IF_ERROR(driver->check(driver->device_get_count(&count), "counting the GPUs"));
  if (ordinal < 0 || ordinal >= count) return no_such_gpu(ordinal, count);
  CudaDriver::DeviceHandle device = 0;
  FSA_RETURN_IF_ERROR(driver->check(driver->device_get(&device, ordinal), fmt::format("opening cuda:{}", ordinal)));
  CudaDriver::Context context = nullptr;
  FSA_RETURN_IF_ERROR(
      driver->check(driver->primary_context_retain(&context, device), fmt::format("starting a context on cuda:{}", ordinal)));
  return std::shared_ptr<const CudaContext>(std::make_shared<CudaContext>(std::move(driver), device, context, ordinal));
}

int CudaContext::attribute(CudaDriver::DeviceAttribute attribute) const {
  int value = 0;
  return driver_->device_get_attribute(&value, attribute, device_) == CudaDriver::kSuccess ? value : 0;
}

std::string CudaContext::describe() const {
  std::array<char, 256> name{};
  driver_->device_get_name(name.data(), static_cast<int>(name.size()) - 1, device_);
  int version = 0;
  driver_->driver_get_version(&version);
  return fmt::format("{} (CUDA driver {}.{})", name.data(), version / 1000, version % 1000 / 10);
}

}  // namespace fsa
