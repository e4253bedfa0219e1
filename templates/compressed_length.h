#pragma once
// Owns the number of compressed keys of a sequence. Clean for host, NVRTC and bitcode.
#include "cuda/device.h"

namespace fsa {

/// Windows of `kernel_size` tokens, one every `stride`, that fit into a sequence; 0 for lengths below 0.
FSA_HOST_DEVICE constexpr long long compressed_length(long long tokens, int kernel_size, int stride) {
  return tokens < kernel_size ? 0 : (tokens - kernel_size) / stride + 1;
}

}  // namespace fsa
