#pragma once
// Owns the strides of the packed attention tensors as kernels receive them. Clean for host, NVRTC and bitcode.

namespace fsa {

/// Elements from one token (row) and one head to the next; the last dimension is contiguous.
struct RowStrides {
  long long token;
  long long head;
};

/// Element type of block-major partial outputs.
enum class Partial : int {
  kF16,
  kBF16,
  kF32,
  kI12,  ///< integers of 12 bits times a step of the row's own (cuda/packed12.cuh)
};

/// Whether rows of this many columns can be packed to 12 bits: a quarter of one is three pieces of 8 or 16 bytes.
constexpr bool packs12(int columns) { return columns == 64 || columns == 128; }

}  // namespace fsa
