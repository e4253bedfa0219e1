#pragma once
// Owns the compile-time part of a selected-attention problem. Clean for host compilers, NVRTC and bitcode.

namespace fsa {

/// Element type of a tensor as kernels see it.
enum class Element : int { kBF16, kF16, kF32 };

/// The dimensions kernels are specialised on; every member is one 32-bit word.
struct SelectedShape {
  Element element;   ///< of q, k, v (kF32: CPU only)
  Element output;    ///< of o: the same, or kF32
  int head_dim;      ///< D of q and k: 16..256, a multiple of 8
  int head_dim_v;    ///< Dv of v and o: 16..256, a multiple of 8
  int group;         ///< g = Hq / Hkv, any positive integer
  int block_size;    ///< keys per selection block: a multiple of 16 from 16 to 128
  int topk;          ///< T: slots of block_indices per (kv head, query), 1..64
};

}  // namespace fsa
