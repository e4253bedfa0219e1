#pragma once
// Owns the CUDA Config of compress_kv and its shared-memory plan. Clean for host and NVRTC.
#include "compress_kv/params.h"
#include "cuda/device.h"
#include "cuda/smem_tile.h"

namespace fsa::compress_kv {

struct Config {
  int warps_m = 2;    ///< linear: warps over the rows of a tile; else all warps
  int warps_n = 2;    ///< linear: warps over the columns; else 1
  int row_tiles = 2;  ///< linear: 16-row tiles per warp
  int depth = 64;     ///< linear: numbers of a window, and rows of w, per step
  int stages = 4;     ///< linear: buffers of x and w
  int loads = 8;      ///< mean, weighted: tokens that a lane loads before it adds the first
  int blocks = 2;     ///< thread blocks per multiprocessor that registers are bounded for

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps_m * warps_n; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }

  /// Linear: compressed keys of a thread block's tile.
  FSA_HOST_DEVICE constexpr int tile_rows() const { return 16 * warps_m * row_tiles; }
  FSA_HOST_DEVICE static constexpr int columns(const Shape& s) { return round_up(s.head_dim, 16); }
  FSA_HOST_DEVICE constexpr int warp_columns(const Shape& s) const { return columns(s) / warps_n; }
  /// Else: (row, kv head) pairs of a thread block, D/8 lanes each.
  FSA_HOST_DEVICE constexpr int pairs(const Shape& s) const { return threads() / (s.head_dim / 8); }

  // Shared memory of the linear mode: stages of x and w, then the product of pe and w, then where the rows' windows begin.
  FSA_HOST_DEVICE constexpr int x_bytes() const { return cuda::tile_bytes(tile_rows(), depth); }
  FSA_HOST_DEVICE constexpr int stage_bytes(const Shape& s) const { return x_bytes() + cuda::tile_bytes(depth, columns(s)); }
  FSA_HOST_DEVICE constexpr int smem_bytes(const Shape& s) const {
    return s.mode == Mode::kLinear ? stages * stage_bytes(s) + columns(s) * 4 + tile_rows() * 4 : 0;
  }
};

/// Parts that the product of pe and w is summed in: tokens of the window are dealt to them evenly.
FSA_HOST_DEVICE constexpr int position_splits(const Shape& s) { return s.kernel_size < 32 ? s.kernel_size : 32; }

}  // namespace fsa::compress_kv
