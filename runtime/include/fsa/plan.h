#pragma once
// Owns Plan: any operator bound to its kernels, its tensors by name and order; and what every plan reports.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/export.h"
#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"

namespace fsa {

/// Caller-owned scratch memory on the plan's device, 256-byte aligned. One per concurrent forward call.
struct Workspace {
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// How a plan came to be: what `fsa inspect` and log lines print.
struct PlanReport {
  std::string variant;        ///< loop order: "block_major", "query_major", "hybrid", ...
  std::string configs_json;   ///< {"selected_block_major":{...},...}
  std::string source;         ///< "tuned", "nearest", "default", "pack" or "forced"
  std::string why;            ///< one sentence: the margin, what was nearest, or the command that would tune
  int compiled = 0;           ///< kernels compiled for this plan
  int from_cache = 0;         ///< kernels taken from the artifact store
  int from_pack = 0;          ///< kernels taken from an export pack
  int already_loaded = 0;     ///< kernels this Engine had loaded before
  double seconds = 0;         ///< time plan() took
};

/// A tensor that a plan reads or writes.
struct TensorInfo {
  std::string name;                 ///< "q", "block_indices", ...
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  TensorLayout layout = TensorLayout::kPacked;
  bool written = false;             ///< an output; else an input, which is left as it is
};

/// An operator's forward bound to its kernels. Immutable: any number of threads may call forward() at once, each with its
/// own workspace. Outlives the Engine that made it.
class FSA_API Plan {
 public:
  class Impl;
  explicit Plan(std::shared_ptr<const Impl> impl);
  ~Plan();
  Plan(const Plan&);
  Plan(Plan&&) noexcept;
  Plan& operator=(const Plan&);
  Plan& operator=(Plan&&) noexcept;

  /// "selected_attention", ...
  std::string_view op() const;
  /// Every tensor, in the order that forward() takes them.
  const std::vector<TensorInfo>& tensors() const;
  /// Bytes of workspace forward() needs. Known before anything runs.
  std::size_t workspace_bytes() const;

  /// Computes the outputs. On CUDA: asynchronous on `stream` (a CUstream / cudaStream_t; null is the default stream), no
  /// host synchronisation, no lock, no allocation, may be captured in a CUDA graph. On the CPU: returns when done and
  /// checks cu_q and cu_k as validate() does. Errors (kInvalidArgument) name the tensor: wrong dtype, shape or strides,
  /// null or misaligned pointer, workspace too small. On CUDA the contents of cu_q, cu_k and block_indices are not
  /// looked at; kernels never read or write out of bounds whatever they hold.
  Result<void> forward(std::span<const TensorView> tensors, Workspace workspace, void* stream = nullptr) const;

  /// Everything forward() checks, that the pointers belong to the plan's device, and the contents of cu_q and cu_k: start
  /// at 0, never decrease, end at Tq and Tk, len_q <= len_k. Waits for the device: for debugging and for tools.
  Result<void> validate(std::span<const TensorView> tensors) const;

  const PlanReport& report() const;

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace fsa
