#include "runtime/device/cuda_module.h"

#include <fmt/format.h>

#include "runtime/device/cuda_tensor_map.h"

namespace fsa {
namespace {

/// Lets this thread make calls that a capture in progress elsewhere would forbid (and be invalidated by).
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const CudaDriver& driver) : driver_(driver) { driver_.exchange_capture_mode(&mode_); }
  ~RelaxedCapture() { driver_.exchange_capture_mode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  const CudaDriver& driver_;
  CudaDriver::CaptureMode mode_ = CudaDriver::kCaptureRelaxed;
};

/// Asked about the default stream, the driver tells of captures on the streams that synchronise with it, and of no
/// others. Those others keep their captures: loading and unloading run under RelaxedCapture.
Result<void> check_not_capturing(const CudaDriver& driver) {
  int status = 0;
  if (driver.stream_is_capturing(nullptr, &status) != CudaDriver::kCaptureImplicit && status == 0) return {};
  return make_error(ErrorKind::kInvalidArgument, {.given = "a kernel was to be loaded while a stream is capturing",
                                                  .supported = "loading before the capture begins",
                                                  .remedy = "make the plan, or run it once, before cudaStreamBeginCapture"});
}

Error load_failed(const CudaContext& context, CudaDriver::Status status) {
  const bool mismatch =
      status == CudaDriver::kInvalidImage || status == CudaDriver::kNoBinaryForGpu || status == CudaDriver::kUnsupportedPtxVersion;
  return make_error(
      mismatch ? ErrorKind::kUnsupported : ErrorKind::kDevice,
      {.given = fmt::format("loading a kernel on cuda:{}, {}, failed: {}", context.ordinal(), context.describe(),
                            context.driver().describe(status)),
       .supported = mismatch ? "binaries for this GPU's architecture, made by an NVRTC no newer than the driver" : "",
       .remedy = mismatch ? "update the driver, or set FSA_NVRTC_PATH to an NVRTC of the driver's CUDA version and compile again" : ""});
}

Error missing_entry(const std::string& symbol) {
  return make_error(ErrorKind::kNotFound, {.given = fmt::format("a loaded kernel has no entry point '{}'", symbol)});
}

}  // namespace

Result<std::unique_ptr<Module>> CudaModule::load(std::shared_ptr<const CudaContext> context, std::span<const std::byte> binary,
                                                 std::span<const Launch> launches) {
  const CurrentContext current(*context);
  FSA_RETURN_IF_ERROR(check_not_capturing(context->driver()));
  const RelaxedCapture relaxed(context->driver());
  auto module = std::make_unique<CudaModule>(context);
  if (const auto status = module->load_image(binary); status != CudaDriver::kSuccess) return load_failed(*context, status);
  for (const Launch& launch : launches) FSA_RETURN_IF_ERROR(module->add_entry(launch));
  return std::unique_ptr<Module>(std::move(module));
}

CudaModule::~CudaModule() {
  const CurrentContext current(*context_);
  const RelaxedCapture relaxed(context_->driver());
  if (library_) context_->driver().library_unload(library_);
  if (module_) context_->driver().module_unload(module_);
}

CudaDriver::Status CudaModule::load_image(std::span<const std::byte> binary) {
  const CudaDriver& driver = context_->driver();
  if (!driver.has_libraries()) return driver.module_load_data(&module_, binary.data());
  return driver.library_load_data(&library_, binary.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
}

CudaDriver::Status CudaModule::find(const char* symbol, CudaDriver::Function& function) const {
  const CudaDriver& driver = context_->driver();
  if (module_) return driver.module_get_function(&function, module_, symbol);
  CudaDriver::KernelHandle kernel = nullptr;
  const auto status = driver.library_get_kernel(&kernel, library_, symbol);
  return status == CudaDriver::kSuccess ? driver.kernel_get_function(&function, kernel) : status;
}

Result<void> CudaModule::add_entry(const Launch& launch) {
  const CudaDriver& driver = context_->driver();
  if (launch.tensor_map >= 0) FSA_RETURN_IF_ERROR(check_tensor_maps(driver));
  CudaDriver::Function function = nullptr;
  // A lazy driver looks at the binary only now: a foreign or broken one shows here as well as at the load.
  const auto status = find(launch.symbol.c_str(), function);
  if (status == CudaDriver::kNotFound) return missing_entry(launch.symbol);
  if (status != CudaDriver::kSuccess) return load_failed(*context_, status);
  // Code reaches the GPU at the first launch, which a capture forbids; asking for an attribute brings it there now.
  int registers = 0;
  FSA_RETURN_IF_ERROR(
      driver.check(driver.function_get_attribute(&registers, CudaDriver::kNumRegisters, function), "loading '" + launch.symbol + "'"));
  const auto granted = driver.function_set_attribute(function, CudaDriver::kMaxDynamicSmemBytes, static_cast<int>(launch.scratch_bytes));
  if (granted != CudaDriver::kSuccess)
    return make_error(ErrorKind::kUnsupported, {.given = fmt::format("'{}' needs {} bytes of shared memory per block: {}", launch.symbol,
                                                                     launch.scratch_bytes, driver.describe(granted)),
                                                .remedy = "choose a smaller tile; `fsa tune` finds one that fits"});
  entries_.push_back(function);
  return {};
}

}  // namespace fsa
