#include "runtime/device/cuda_device.h"

#include <fmt/format.h>

#include <cmath>

#include "runtime/device/cuda_context.h"
#include "runtime/device/cuda_module.h"
#include "runtime/device/cuda_side_stream.h"
#include "runtime/device/cuda_tensor_map.h"
#include "runtime/device/cuda_timer.h"

namespace fsa {
namespace {

CudaDriver::Pointer address(const void* pointer) { return reinterpret_cast<CudaDriver::Pointer>(pointer); }

/// Peak memory bandwidth in bytes per second. Two transfers per clock.
double bandwidth(const CudaContext& context) {
  const double clock = context.attribute(CudaDriver::kMemoryClockKHz) * 1e3;
  return 2 * clock * context.attribute(CudaDriver::kMemoryBusBits) / 8.0;
}

/// In GB/s, to the nearest 100: tells apart cards that share an architecture.
int bandwidth_class(const CudaContext& context) { return static_cast<int>(std::lround(bandwidth(context) * 1e-11)) * 100; }

Json make_identity(const CudaContext& context, const Target& target) {
  return {{"arch", target.to_string()},
          {"units", context.attribute(CudaDriver::kMultiprocessorCount)},
          {"smem_per_sm_kib", context.attribute(CudaDriver::kSmemPerMultiprocessor) / 1024},
          {"l2_mib", context.attribute(CudaDriver::kL2Bytes) / (1024 * 1024)},
          {"bandwidth_class", bandwidth_class(context)}};
}

/// Whether GPU and driver know programmatic dependent launch, in captured graphs, too: from Hopper and CUDA 12.3 on. Without, launches that
/// may start early start in order.
bool knows_early_launches(const CudaContext& context) {
  const CudaDriver& driver = context.driver();
  int version = 0;
  driver.driver_get_version(&version);
  return context.attribute(CudaDriver::kMajor) >= 9 && version >= 12030 && driver.launch_kernel_with_attributes;
}

class CudaBuffer final : public Buffer {
 public:
  CudaBuffer(std::shared_ptr<const CudaContext> context, CudaDriver::Pointer pointer, std::size_t size)
      : context_(std::move(context)), pointer_(pointer), size_(size) {}
  ~CudaBuffer() override {
    const CurrentContext current(*context_);
    context_->driver().memory_free(pointer_);
  }
  void* data() const override { return reinterpret_cast<void*>(pointer_); }
  std::size_t size() const override { return size_; }

 private:
  std::shared_ptr<const CudaContext> context_;
  CudaDriver::Pointer pointer_;
  std::size_t size_;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(std::shared_ptr<const CudaContext> context, Target target)
      : context_(std::move(context)),
        target_(std::move(target)),
        identity_(make_identity(*context_, target_)),
        name_(context_->describe()),
        starts_early_(knows_early_launches(*context_)) {}

  const Target& target() const override { return target_; }
  const Json& identity() const override { return identity_; }
  const std::string& name() const override { return name_; }
  DeviceRates rates() const override {
    return {.clock_hz = context_->attribute(CudaDriver::kClockKHz) * 1e3, .bytes_per_second = bandwidth(*context_)};
  }

  Result<std::unique_ptr<Module>> load(std::span<const std::byte> binary, std::span<const Launch> launches) const override {
    return CudaModule::load(context_, binary, launches);
  }

  Result<void> launch(const Module& module, std::size_t index, const Launch& launch, const ParamBlock& params,
                      void* stream) const override {
    const auto& [x, y, z] = launch.grid;
    if (x == 0 || y == 0 || z == 0) return {};
    const CurrentContext current(*context_);
    ParamBlock encoded;
    if (launch.tensor_map >= 0) FSA_RETURN_IF_ERROR(encode_tensor_map(driver(), params, launch.tensor_map, encoded));
    void* arguments[] = {const_cast<void*>(launch.tensor_map >= 0 ? encoded.data() : params.data())};
    const CudaDriver::Function entry = static_cast<const CudaModule&>(module).entry(index);
    const auto scratch = static_cast<unsigned>(launch.scratch_bytes);
    const auto queue = static_cast<CudaDriver::Stream>(stream);
    CudaDriver::Status status;
    if (launch.early && starts_early_) {
      CudaDriver::LaunchAttribute early{.id = CudaDriver::kProgrammaticSerialization, .value = {.flag = 1}};
      const CudaDriver::LaunchConfig config{{x, y, z}, {launch.threads, 1, 1}, scratch, queue, &early, 1};
      status = driver().launch_kernel_with_attributes(&config, entry, arguments, nullptr);
    } else {
      status = driver().launch_kernel(entry, x, y, z, launch.threads, 1, 1, scratch, queue, arguments, nullptr);
    }
    if (status == CudaDriver::kSuccess) [[likely]]
      return {};
    return launch_failed(launch, status);
  }

  Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) const override {
    const CurrentContext current(*context_);
    CudaDriver::Pointer pointer = 0;
    const auto status = driver().memory_allocate(&pointer, bytes == 0 ? 1 : bytes);
    if (status == CudaDriver::kOutOfMemory)
      return make_error(ErrorKind::kDevice, {.given = fmt::format("cuda:{} has no {:.1f} MiB of memory left", context_->ordinal(),
                                                                  static_cast<double>(bytes) / 1048576),
                                             .remedy = "free memory on the GPU, or choose a smaller problem"});
    FSA_RETURN_IF_ERROR(driver().check(status, "allocating GPU memory"));
    return std::unique_ptr<Buffer>(std::make_unique<CudaBuffer>(context_, pointer, bytes));
  }

  // Copies and fills are complete when they return, also for streams that do not wait for the default one: the driver
  // returns from a copy of pageable memory, and from any fill, before the GPU has finished it.
  Result<void> copy_to_device(void* device, const void* host, std::size_t bytes) const override {
    const CurrentContext current(*context_);
    if (bytes == 0) return {};
    FSA_RETURN_IF_ERROR(driver().check(driver().copy_to_device(address(device), host, bytes), "copying to the GPU"));
    return driver().check(driver().stream_synchronize(nullptr), "copying to the GPU");
  }
  Result<void> copy_to_host(void* host, const void* device, std::size_t bytes) const override {
    FSA_RETURN_IF_ERROR(synchronize());
    const CurrentContext current(*context_);
    if (bytes == 0) return {};
    return driver().check(driver().copy_to_host(host, address(device), bytes), "copying from the GPU");
  }
  Result<void> fill(void* device, unsigned char byte, std::size_t bytes) const override {
    const CurrentContext current(*context_);
    if (bytes == 0) return {};
    FSA_RETURN_IF_ERROR(driver().check(driver().fill_bytes(address(device), byte, bytes), "filling GPU memory"));
    return driver().check(driver().stream_synchronize(nullptr), "filling GPU memory");
  }

  Result<void> synchronize() const override {
    const CurrentContext current(*context_);
    const auto status = driver().context_synchronize();
    if (status == CudaDriver::kSuccess) return {};
    return make_error(ErrorKind::kDevice,
                      {.given = fmt::format("work on cuda:{} failed: {}", context_->ordinal(), driver().describe(status)),
                       .remedy = "start the process again: its GPU context is lost; compute-sanitizer names the faulting kernel"});
  }

  Result<std::shared_ptr<void>> make_stream() const override {
    const CurrentContext current(*context_);
    CudaDriver::Stream stream = nullptr;
    FSA_RETURN_IF_ERROR(driver().check(driver().stream_create(&stream, CudaDriver::kStreamNonBlocking), "making a stream"));
    return std::shared_ptr<void>(stream, [context = context_](void* handle) {
      const CurrentContext scope(*context);
      context->driver().stream_destroy(static_cast<CudaDriver::Stream>(handle));
    });
  }

  Result<std::unique_ptr<SideStream>> make_side_stream() const override { return CudaSideStream::make(context_); }
  Result<std::unique_ptr<Timer>> make_timer(Enqueue work) const override { return CudaTimer::make(context_, std::move(work)); }

  Result<void> check_pointer(const void* pointer, std::string_view what) const override {
    if (!pointer) return wrong_pointer(pointer, what, "is null");
    const CurrentContext current(*context_);
    int type = 0;
    const auto status = driver().pointer_get_attribute(&type, CudaDriver::kMemoryType, address(pointer));
    // Some systems let the GPU read any host memory, slowly: there, too, an unregistered pointer is rather a mistake.
    if (status == CudaDriver::kInvalidValue) return wrong_pointer(pointer, what, "is host memory");
    FSA_RETURN_IF_ERROR(driver().check(status, "checking a pointer"));
    if (type != CudaDriver::kMemoryTypeDevice) return {};  // pinned host memory: mapped for every GPU
    unsigned managed = 0;
    driver().pointer_get_attribute(&managed, CudaDriver::kIsManaged, address(pointer));
    int ordinal = context_->ordinal();
    driver().pointer_get_attribute(&ordinal, CudaDriver::kDeviceOrdinal, address(pointer));
    if (managed || ordinal == context_->ordinal()) return {};
    return wrong_pointer(pointer, what, fmt::format("is memory of cuda:{}", ordinal));
  }

 private:
  const CudaDriver& driver() const { return context_->driver(); }

  Error launch_failed(const Launch& launch, CudaDriver::Status status) const {
    return make_error(ErrorKind::kDevice,
                      {.given = fmt::format("launching '{}' with {}x{}x{} blocks of {} threads and {} bytes of shared memory failed: {}",
                                            launch.symbol, launch.grid[0], launch.grid[1], launch.grid[2], launch.threads,
                                            launch.scratch_bytes, driver().describe(status))});
  }
  Error wrong_pointer(const void* pointer, std::string_view what, std::string_view problem) const {
    return make_error(ErrorKind::kInvalidArgument,
                      {.given = fmt::format("{} ({}) {}", what, fmt::ptr(pointer), problem),
                       .supported = fmt::format("memory of cuda:{}, managed or pinned memory", context_->ordinal()),
                       .remedy = "copy the tensor to that GPU first"});
  }

  std::shared_ptr<const CudaContext> context_;
  Target target_;
  Json identity_;
  std::string name_;
  bool starts_early_;
};

}  // namespace

Result<std::unique_ptr<Device>> open_cuda_device(int ordinal) {
  FSA_ASSIGN_OR_RETURN(auto context, CudaContext::open(ordinal));
  FSA_ASSIGN_OR_RETURN(Target target, Target::cuda_device(context->attribute(CudaDriver::kMajor), context->attribute(CudaDriver::kMinor)));
  return std::unique_ptr<Device>(std::make_unique<CudaDevice>(std::move(context), std::move(target)));
}

}  // namespace fsa
