#pragma once
// Owns the compile-time part of attention over ranges of keys. Clean for host compilers, NVRTC and bitcode.
#include "selected_shape.h"

namespace fsa {

/// The dimensions kernels are specialised on; every member is one 32-bit word.
struct RangeShape {
  Element element;  ///< of q, k and v (kF32: CPU only)
  Element output;   ///< of o: the same, or kF32
  int head_dim;     ///< D of q and k: 16..256, a multiple of 8
  int head_dim_v;   ///< Dv of v and o: 16..256, a multiple of 8
  int group;        ///< g = Hq / Hkv, any positive integer
  int scaled;       ///< 1 (CUDA only): rows of o are f16, each in units of a power of two of its own
};

}  // namespace fsa
