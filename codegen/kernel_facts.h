#pragma once
// Owns the small value types a kernel family answers with: tensors, launches, resources, work, parameters.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "fsa/base/tensor_view.h"

namespace fsa {

/// How one kernel uses a tensor.
enum class Access { kRead, kWrite, kReadWrite };

/// One tensor of a kernel. Equal names link the kernels of a chain: what one writes, a later one reads. Tensors that
/// are neither inputs nor outputs of the operator live in its workspace, packed, and need no initial value.
struct TensorSpec {
  std::string name;                 ///< e.g. "q", "entry_token"
  Access access = Access::kRead;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  TensorLayout layout = TensorLayout::kPacked;  ///< what strides it may have, where it is a caller's tensor
};

/// A contiguous view of a spec's shape, without data.
inline TensorView packed_view(const TensorSpec& spec) { return TensorView::contiguous(nullptr, spec.dtype, spec.shape); }

/// One kernel launch. On CUDA a grid of thread blocks; on a CPU grid.x work items, each one call of the entry.
struct Launch {
  std::string symbol = "kernel_entry";
  std::array<std::uint32_t, 3> grid{1, 1, 1};  ///< CUDA: blocks. CPU: {items, 1, 1}
  std::uint32_t threads = 1;                   ///< CUDA: threads per block. CPU: 1
  std::size_t scratch_bytes = 0;               ///< CUDA: dynamic shared memory per block. CPU: scratch per worker, 64-byte aligned
  bool early = false;                          ///< CUDA: may start while the launch ahead on the stream still runs; its kernel waits for that itself
  int tensor_map = -1;                         ///< CUDA: offset in the parameters of a tensor's description that the device is to encode; -1: none
};

/// What a config needs, from the family's own model; the tuner prunes by it before anything is compiled.
struct Resources {
  int threads = 1;
  std::size_t scratch_bytes = 0;      ///< CUDA: shared memory per block. CPU: scratch per worker
  int registers = 0;                  ///< CUDA: estimated registers per thread. CPU: vector registers the microkernel holds
};

/// The work a problem requires at least, for roofline fractions. Families count useful work: masked-out products do not count.
struct Work {
  double flops = 0;
  double bytes = 0;  ///< each input read once, each output written once
};

/// The kernel's parameter struct, packed on the stack of a launch. Large and aligned enough for TMA descriptors.
class ParamBlock {
 public:
  static constexpr std::size_t kCapacity = 1024;

  template <class Params>
  void set(const Params& params) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kCapacity && alignof(Params) <= 64);
    std::memcpy(bytes_.data(), &params, sizeof(Params));
    size_ = sizeof(Params);
  }
  /// Takes over another's parameters, and not the bytes behind them.
  void copy(const ParamBlock& from) {
    std::memcpy(bytes_.data(), from.bytes_.data(), from.size_);
    size_ = from.size_;
  }
  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  std::size_t size() const { return size_; }

 private:
  alignas(64) std::array<std::byte, kCapacity> bytes_;
  std::size_t size_ = 0;
};

}  // namespace fsa
