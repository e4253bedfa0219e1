#pragma once
// Owns the CUDA Config of compressed_sequences. Clean for host and NVRTC.
#include "cuda/device.h"

namespace fsa::compressed_sequences {

struct Config {
  int warps = 8;  ///< of the one thread block: sequences that are summed at once, 32 each

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return 1; }
};

}  // namespace fsa::compressed_sequences
