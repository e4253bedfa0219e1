#include "runtime/device/device.h"

#include <fmt/format.h>

#include <charconv>

#include "runtime/device/cpu_device.h"
#include "runtime/device/cuda_device.h"

namespace fsa {
namespace {

Error unknown_device(std::string_view name) {
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("device '{}'", name),
                                                  .supported = "cpu, cuda (the first GPU), cuda:N",
                                                  .remedy = "name one of these; `fsa doctor` lists what this machine has"});
}

}  // namespace

Result<std::unique_ptr<Device>> open_device(std::string_view name, const DeviceOptions& options) {
  constexpr std::string_view kPrefix = "cuda:";
  if (name == "cpu") return open_cpu_device(options.num_threads);
  if (name == "cuda") return open_cuda_device(0);
  if (!name.starts_with(kPrefix)) return unknown_device(name);
  const std::string_view number = name.substr(kPrefix.size());
  int ordinal = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), ordinal);
  if (error != std::errc{} || end != number.data() + number.size() || ordinal < 0) return unknown_device(name);
  return open_cuda_device(ordinal);
}

}  // namespace fsa
