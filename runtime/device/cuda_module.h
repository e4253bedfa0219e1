#pragma once
// Owns loaded CUDA binaries: a cubin in a context, with its entry points resolved and made ready to launch.
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "runtime/device/cuda_context.h"
#include "runtime/device/device.h"

namespace fsa {

class CudaModule final : public Module {
 public:
  /// Loads `binary` into the context. No launch of its entries loads anything later, so all of them can be captured.
  /// Errors: kUnsupported when the GPU or driver cannot run the binary or give it its shared memory; kNotFound for a
  /// symbol that is not in it; kInvalidArgument while a stream is known to be capturing.
  static Result<std::unique_ptr<Module>> load(std::shared_ptr<const CudaContext> context, std::span<const std::byte> binary,
                                              std::span<const Launch> launches);
  explicit CudaModule(std::shared_ptr<const CudaContext> context) : context_(std::move(context)) {}
  ~CudaModule() override;

  CudaDriver::Function entry(std::size_t index) const { return entries_[index]; }
  std::size_t size() const { return entries_.size(); }

 private:
  CudaDriver::Status load_image(std::span<const std::byte> binary);
  CudaDriver::Status find(const char* symbol, CudaDriver::Function& function) const;
  Result<void> add_entry(const Launch& launch);

  std::shared_ptr<const CudaContext> context_;
  CudaDriver::Library library_ = nullptr;  ///< or, with a driver before 12.0,
  CudaDriver::ModuleHandle module_ = nullptr;
  std::vector<CudaDriver::Function> entries_;
};

}  // namespace fsa
