#include "runtime/device/cpu_device.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "runtime/device/cpu_facts.h"
#include "runtime/device/object_loader.h"
#include "runtime/device/thread_pool.h"

namespace fsa {
namespace {

using Entry = void (*)(const void* params, long item, void* scratch);

class CpuModule final : public Module {
 public:
  struct Kernel {
    Entry entry = nullptr;
    std::size_t scratch_bytes = 0;  ///< reserved in the pool
  };
  CpuModule(std::unique_ptr<LoadedObject> object, std::span<const Launch> launches) : object_(std::move(object)) {
    for (std::size_t i = 0; i < launches.size(); ++i)
      kernels_.push_back({.entry = reinterpret_cast<Entry>(object_->entries()[i]), .scratch_bytes = launches[i].scratch_bytes});
  }
  const std::vector<Kernel>& kernels() const { return kernels_; }

 private:
  std::unique_ptr<LoadedObject> object_;
  std::vector<Kernel> kernels_;
};

class CpuBuffer final : public Buffer {
 public:
  CpuBuffer(void* data, std::size_t size) : data_(data), size_(size) {}
  ~CpuBuffer() override { std::free(data_); }
  CpuBuffer(const CpuBuffer&) = delete;
  CpuBuffer& operator=(const CpuBuffer&) = delete;
  void* data() const override { return data_; }
  std::size_t size() const override { return size_; }

 private:
  void* data_;
  std::size_t size_;
};

class CpuTimer final : public Timer {
 public:
  explicit CpuTimer(Device::Enqueue work) : work_(std::move(work)) {}
  Result<double> run() override {
    const auto start = std::chrono::steady_clock::now();
    FSA_RETURN_IF_ERROR(work_(nullptr));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  Device::Enqueue work_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice(Target target, std::unique_ptr<ThreadPool> pool, std::unique_ptr<ObjectLoader> loader)
      : target_(std::move(target)),
        pool_(std::move(pool)),
        loader_(std::move(loader)),
        name_(fmt::format("{}, {} threads", cpu_name(), pool_->threads())) {
    identity_ = {{"arch", target_.to_string()}, {"units", pool_->threads()}};
    identity_.update(cache_sizes());
  }

  const Target& target() const override { return target_; }
  const Json& identity() const override { return identity_; }
  const std::string& name() const override { return name_; }

  Result<std::unique_ptr<Module>> load(std::span<const std::byte> binary, std::span<const Launch> launches) const override {
    std::vector<std::string> symbols;
    for (const Launch& launch : launches) symbols.push_back(launch.symbol);
    FSA_ASSIGN_OR_RETURN(auto object, loader_->load(binary, symbols));
    for (const Launch& launch : launches) FSA_RETURN_IF_ERROR(pool_->reserve_scratch(launch.scratch_bytes));
    return std::unique_ptr<Module>(std::make_unique<CpuModule>(std::move(object), launches));
  }

  Result<void> launch(const Module& module, std::size_t index, const Launch& launch, const ParamBlock& params, void*) const override {
    const auto& kernels = static_cast<const CpuModule&>(module).kernels();
    if (index >= kernels.size() || launch.scratch_bytes > kernels[index].scratch_bytes) return not_loaded_so(kernels, index, launch);
    struct Call {
      Entry entry;
      const void* params;
    } call{kernels[index].entry, params.data()};
    const auto run_item = [](void* context, std::int64_t item, void* scratch) {
      const Call& c = *static_cast<const Call*>(context);
      c.entry(c.params, item, scratch);
    };
    pool_->run(launch.grid[0], run_item, &call);
    return {};
  }

  Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) const override {
    constexpr std::size_t kAlignment = 256;  // that of CUDA allocations: what is aligned there is aligned here
    void* data = bytes <= SIZE_MAX - kAlignment ? std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment) : nullptr;
    if (!data)
      return make_error(ErrorKind::kUnavailable,
                        {.given = fmt::format("{} bytes of host memory cannot be had", bytes), .remedy = "use a smaller problem"});
    return std::unique_ptr<Buffer>(std::make_unique<CpuBuffer>(data, bytes));
  }
  Result<void> copy_to_device(void* device, const void* host, std::size_t bytes) const override { return copy(device, host, bytes); }
  Result<void> copy_to_host(void* host, const void* device, std::size_t bytes) const override { return copy(host, device, bytes); }
  Result<void> fill(void* device, unsigned char byte, std::size_t bytes) const override {
    if (bytes) std::memset(device, byte, bytes);
    return {};
  }
  Result<void> synchronize() const override { return {}; }
  Result<std::shared_ptr<void>> make_stream() const override { return std::shared_ptr<void>(); }
  Result<std::unique_ptr<Timer>> make_timer(Enqueue work) const override {
    return std::unique_ptr<Timer>(std::make_unique<CpuTimer>(std::move(work)));
  }

  Result<void> check_pointer(const void* pointer, std::string_view what) const override {
    if (pointer) return {};
    return make_error(ErrorKind::kInvalidArgument,
                      {.given = fmt::format("{} is a null pointer", what), .supported = "host memory", .remedy = "pass the tensor's data"});
  }

 private:
  static Result<void> copy(void* to, const void* from, std::size_t bytes) {
    if (bytes) std::memcpy(to, from, bytes);
    return {};
  }
  static Error not_loaded_so(const std::vector<CpuModule::Kernel>& kernels, std::size_t index, const Launch& launch) {
    if (index >= kernels.size())
      return make_error(ErrorKind::kInternal,
                        {.given = fmt::format("entry {} of a module that was loaded with {}", index, kernels.size())});
    return make_error(ErrorKind::kInternal, {.given = fmt::format("{} was loaded with {} bytes of scratch and launched with {}",
                                                                  launch.symbol, kernels[index].scratch_bytes, launch.scratch_bytes)});
  }

  Target target_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<ObjectLoader> loader_;
  std::string name_;
  Json identity_;
};

}  // namespace

Result<std::unique_ptr<Device>> open_cpu_device(int num_threads) {
  FSA_ASSIGN_OR_RETURN(Target target, Target::host_cpu());
  FSA_ASSIGN_OR_RETURN(const int threads, thread_count(num_threads));
  FSA_ASSIGN_OR_RETURN(auto pool, ThreadPool::create(static_cast<unsigned>(threads)));
  FSA_ASSIGN_OR_RETURN(auto loader, make_object_loader());
  return std::unique_ptr<Device>(std::make_unique<CpuDevice>(std::move(target), std::move(pool), std::move(loader)));
}

}  // namespace fsa
