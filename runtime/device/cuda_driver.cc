#include "runtime/device/cuda_driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

namespace fsa {
namespace {

constexpr std::string_view kRemedy =
    "install the NVIDIA driver (in a container: start it with the GPU passed through), or use the device 'cpu'";

/// Resolves functions one after the other and remembers the first required one that the driver lacks.
class Resolver {
 public:
  explicit Resolver(void* handle) : handle_(handle) {}

  template <class Function>
  Resolver& optional(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(handle_, name));
    return *this;
  }
  template <class Function>
  Resolver& required(Function& function, const char* name) {
    optional(function, name);
    if (!function && !missing_) missing_ = name;
    return *this;
  }
  const char* missing() const { return missing_; }

 private:
  void* handle_;
  const char* missing_ = nullptr;
};

void resolve_device(Resolver& r, CudaDriver& d) {
  r.required(d.get_error_name, "cuGetErrorName").required(d.get_error_string, "cuGetErrorString").required(d.init, "cuInit");
  r.required(d.driver_get_version, "cuDriverGetVersion")
      .required(d.device_get_count, "cuDeviceGetCount")
      .required(d.device_get, "cuDeviceGet");
  r.required(d.device_get_name, "cuDeviceGetName").required(d.device_get_attribute, "cuDeviceGetAttribute");
  r.required(d.primary_context_retain, "cuDevicePrimaryCtxRetain").required(d.primary_context_release, "cuDevicePrimaryCtxRelease_v2");
  r.required(d.context_get_current, "cuCtxGetCurrent").required(d.context_push, "cuCtxPushCurrent_v2");
  r.required(d.context_pop, "cuCtxPopCurrent_v2").required(d.context_synchronize, "cuCtxSynchronize");
}

void resolve_code(Resolver& r, CudaDriver& d) {
  r.optional(d.library_load_data, "cuLibraryLoadData").optional(d.library_unload, "cuLibraryUnload");
  r.optional(d.library_get_kernel, "cuLibraryGetKernel").optional(d.kernel_get_function, "cuKernelGetFunction");
  r.required(d.module_load_data, "cuModuleLoadData").required(d.module_unload, "cuModuleUnload");
  r.required(d.module_get_function, "cuModuleGetFunction").required(d.function_get_attribute, "cuFuncGetAttribute");
  r.required(d.function_set_attribute, "cuFuncSetAttribute").required(d.launch_kernel, "cuLaunchKernel");
  r.optional(d.launch_kernel_with_attributes, "cuLaunchKernelEx");
  r.optional(d.tensor_map_encode_tiled, "cuTensorMapEncodeTiled");
}

void resolve_memory(Resolver& r, CudaDriver& d) {
  r.required(d.memory_allocate, "cuMemAlloc_v2").required(d.memory_free, "cuMemFree_v2").required(d.copy_to_device, "cuMemcpyHtoD_v2");
  r.required(d.copy_to_host, "cuMemcpyDtoH_v2").required(d.fill_bytes, "cuMemsetD8_v2");
  r.required(d.pointer_get_attribute, "cuPointerGetAttribute");
}

void resolve_streams(Resolver& r, CudaDriver& d) {
  r.required(d.stream_create, "cuStreamCreate").required(d.stream_destroy, "cuStreamDestroy_v2");
  r.required(d.stream_synchronize, "cuStreamSynchronize").required(d.stream_is_capturing, "cuStreamIsCapturing");
  r.required(d.stream_get_capture_info, "cuStreamGetCaptureInfo_v2").required(d.stream_wait_event, "cuStreamWaitEvent");
  r.required(d.stream_begin_capture, "cuStreamBeginCapture_v2").required(d.stream_end_capture, "cuStreamEndCapture");
  r.required(d.exchange_capture_mode, "cuThreadExchangeStreamCaptureMode").required(d.event_create, "cuEventCreate");
  r.required(d.event_destroy, "cuEventDestroy_v2").required(d.event_record, "cuEventRecord");
  r.required(d.event_record_with_flags, "cuEventRecordWithFlags").required(d.event_synchronize, "cuEventSynchronize");
  r.required(d.event_elapsed_ms, "cuEventElapsedTime").required(d.graph_instantiate, "cuGraphInstantiateWithFlags");
  r.required(d.graph_launch, "cuGraphLaunch")
      .required(d.graph_destroy, "cuGraphDestroy")
      .required(d.graph_exec_destroy, "cuGraphExecDestroy");
}

Error unavailable(std::string given) {
  return make_error(ErrorKind::kUnavailable,
                    {.given = std::move(given), .supported = "a GPU with a driver for CUDA 12 or 13", .remedy = std::string(kRemedy)});
}

/// libcuda from the loader's path, or where WSL and container runtimes put it.
Result<void*> open_library() {
  constexpr std::array kNames = {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1"};
  std::string reason;
  for (const char* name : kNames) {
    if (void* handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE)) return handle;
    if (reason.empty()) reason = dlerror();
  }
  return unavailable("no CUDA driver on this machine (" + reason + ")");
}

}  // namespace

Result<std::shared_ptr<const CudaDriver>> CudaDriver::load() {
  FSA_ASSIGN_OR_RETURN(void* const handle, open_library());
  auto driver = std::make_shared<CudaDriver>();
  Resolver resolver(handle);
  resolve_device(resolver, *driver);
  resolve_code(resolver, *driver);
  resolve_memory(resolver, *driver);
  resolve_streams(resolver, *driver);
  if (resolver.missing()) return unavailable(fmt::format("the CUDA driver is too old: it has no {}", resolver.missing()));
  const Status status = driver->init(0);
  if (status == kNoDevice) return unavailable("the CUDA driver finds no GPU on this machine");
  if (status != kSuccess) return unavailable("the CUDA driver does not start: " + driver->describe(status));
  return std::shared_ptr<const CudaDriver>(std::move(driver));
}

std::string CudaDriver::describe(Status status) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (get_error_name(status, &name) != kSuccess || !name) return fmt::format("CUDA error {}", status);
  if (get_error_string(status, &text) != kSuccess || !text) return name;
  return fmt::format("{} ({})", name, text);
}

Result<void> CudaDriver::check(Status status, std::string_view action, std::source_location where) const {
  if (status == kSuccess) return {};
  return make_error(ErrorKind::kDevice, {.given = fmt::format("{} failed: {}", action, describe(status))}, where);
}

}  // namespace fsa
