#pragma once
// Owns the shape and the parameters of the compressed_sequences kernels. Clean for host, NVRTC and bitcode.

namespace fsa::compressed_sequences {

/// The dimensions kernels are specialised on; every member is one 32-bit word.
struct Shape {
  int kernel_size;  ///< l: tokens of a window, 1..256
  int stride;       ///< s: tokens from one window to the next, a divisor of l
};

struct Params {
  const int* cu_k;  // [B+1] any content: a sequence that ends before it begins has no windows
  int* cu_c;        // [B+1] ascends from 0; sums past 2^31 - 1 stay there
  int num_seqs;     // B
};

inline constexpr long long kLargest = 0x7fffffff;  ///< of an entry of cu_c

}  // namespace fsa::compressed_sequences
