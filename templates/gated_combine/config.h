#pragma once
// Owns the CUDA Config of gated_combine. Clean for host and NVRTC.
#include "cuda/device.h"
#include "gated_combine/params.h"

namespace fsa::gated_combine {

struct Config {
  int warps = 8;   ///< per thread block
  int pieces = 2;  ///< of 4 columns that a lane has in flight: three loads of 16 bytes each
  int blocks = 4;  ///< thread blocks per multiprocessor that registers are bounded for

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  /// Rows of a thread block: as many whole ones as its lanes' pieces make up.
  FSA_HOST_DEVICE constexpr int rows(const Shape& s) const { return threads() * pieces / (s.head_dim_v / 4); }
};

}  // namespace fsa::gated_combine
