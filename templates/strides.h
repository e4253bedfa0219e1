#pragma once
// Owns the strides of the packed attention tensors as kernels receive them. Clean for host, NVRTC and bitcode.

namespace fsa {

/// Elements from one token (row) and one head to the next; the last dimension is contiguous.
struct RowStrides {
  long long token;
  long long head;
};

/// Element type of block-major partial outputs.
enum class Partial : int { kF16, kBF16, kF32 };

}  // namespace fsa
