#pragma once
// Owns TensorMap: the 128 bytes of a kernel's parameters by which Hopper copies boxes of a tensor. Clean for host, NVRTC and bitcode.

namespace fsa {

/// A tensor of 16-bit numbers [rows, heads, columns], columns contiguous, and the box that one copy brings: of one head `box_rows` rows
/// by 64 columns, a panel of shared memory with the 128-byte swizzle. What of a box lies outside of the tensor comes as zeros.
struct BoxedTensor {
  const void* data;                ///< a multiple of 16, like the strides
  unsigned long long row_stride;   ///< bytes
  unsigned long long head_stride;  ///< bytes
  unsigned columns, rows, heads;   ///< 1 at least
  unsigned box_rows;               ///< 256 at most
};

/// Packing leaves the description here. The device puts the driver's encoding in its place, right before the launch that names it
/// (Launch::tensor_map): only the driver knows that one.
struct alignas(64) TensorMap {
  union {
    BoxedTensor tensor;
    unsigned char encoded[128];
  };
};
static_assert(sizeof(TensorMap) == 128 && sizeof(BoxedTensor) <= 128, "the driver's CUtensorMap");

}  // namespace fsa
