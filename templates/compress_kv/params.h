#pragma once
// Owns the shape and the parameters of the compress_kv kernels. Clean for host, NVRTC and bitcode.
#include "selected_shape.h"
#include "strides.h"

namespace fsa::compress_kv {

/// How the tokens of a window become one.
enum class Mode : int {
  kMean,
  kWeighted,  ///< a weight per (kv head, token of the window)
  kLinear,    ///< a matrix per (kv head, token of the window)
};

/// The dimensions kernels are specialised on; every member is one 32-bit word.
struct Shape {
  Element element;  ///< of x, w, pe and y (kF32: CPU only)
  Mode mode;
  int positional;   ///< 1: pe is added to the window's tokens; linear mode alone
  int kernel_size;  ///< l: tokens of a window, 1..256
  int stride;       ///< s: tokens from one window to the next, a divisor of l
  int head_dim;     ///< D: 16..256, a multiple of 8
};

struct Params {
  const void* x;      // element [Tk, Hkv, D]
  const void* w;      // element; weighted: [Hkv, l], linear: [Hkv, l*D, D], mean: absent
  const void* pe;     // element [Hkv, l, D], where positional
  const int* cu_k;    // [B+1]
  const int* cu_c;    // [B+1] from compressed_sequences
  void* y;            // element [Tc, Hkv, D]; rows past cu_c[B] are not written
  float* pe_product;  // [Hkv, splits, D] scratch, where positional: parts of the sum of pe[h, t] @ w[h, t]
  RowStrides x_stride, y_stride;
  int total_k, total_c, num_seqs, heads_kv;
};

}  // namespace fsa::compress_kv
