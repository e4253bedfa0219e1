#pragma once
// Owns the file interface of selected attention: safetensors files to problems and host tensors, and results to files.
//
// An input file holds q [Tq, Hq, D], k [Tk, Hkv, D] and v [Tk, Hkv, Dv] (all BF16, F16 or F32), block_indices I32
// [Hkv, Tq, T], cu_q and cu_k I32 [B+1], and the metadata block_size and, where it is not 1/sqrt(D), scale. Other tensors
// and metadata are ignored. An output file holds o_sel F32 [Tq, Hq, Dv] and lse_sel F32 [Hq, Tq].
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"
#include "fsa/selected_attention.h"

namespace fsa {

/// A packed tensor in host memory of its own, aligned for kernels. Moves, but does not copy: a view follows the memory.
class HostTensor {
 public:
  HostTensor() = default;
  HostTensor(HostTensor&&) noexcept = default;
  HostTensor& operator=(HostTensor&&) noexcept = default;
  /// Zeros. At most four dimensions.
  HostTensor(DType dtype, std::vector<std::int64_t> shape);

  /// Valid while this object lives; it may be moved meanwhile.
  const TensorView& view() const { return view_; }
  void* data() const { return view_.data; }
  std::size_t bytes() const { return static_cast<std::size_t>(view_.num_elements()) * size_of(view_.dtype); }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> memory_;
  TensorView view_;
};

/// The inputs of one selected-attention forward.
struct SelectedInput {
  SelectedAttentionProblem problem;
  HostTensor q, k, v, block_indices, cu_q, cu_k;
};

/// Reads an input file. Its tensors fit together and cu_q and cu_k are sound; whether a kernel covers the problem is for
/// plan() to say. kNotFound, kIo, kCorrupt: the file; kInvalidArgument, kUnsupported: a tensor or metadata key, by name.
Result<SelectedInput> read_selected_input(const std::string& path);

/// Writes an input file, whole or not at all.
Result<void> write_selected_input(const std::string& path, const SelectedInput& input);

/// Writes o (bf16, f16 or f32; [Tq, Hq, Dv]) and lse (f32, [Hq, Tq]), both in host memory, as an output file, whole or not
/// at all.
Result<void> write_selected_output(const std::string& path, const TensorView& o, const TensorView& lse,
                                   const std::map<std::string, std::string>& metadata);

}  // namespace fsa
