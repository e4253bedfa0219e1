#pragma once
// Owns the CUDA Config of attention over ranges and its shared-memory plan. Clean for host and NVRTC.
#include "cuda/device.h"
#include "cuda/smem_tile.h"
#include "range_shape.h"

namespace fsa::cuda {

struct RangeConfig {
  int warps = 4;      ///< per thread block
  int row_tiles = 2;  ///< tiles of 16 rows that a warp holds, 1 or 2: two halve the reads of K and V from shared memory
  int keys = 64;      ///< keys per step
  int stages = 2;     ///< K and V buffers
  int blocks = 2;     ///< thread blocks per multiprocessor that registers are bounded for

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  FSA_HOST_DEVICE constexpr int warp_rows() const { return 16 * row_tiles; }
  /// Keys of a step that a warp attends at once: 32 logits per lane at most, or registers would not hold them.
  FSA_HOST_DEVICE constexpr int slice() const { return keys < 64 / row_tiles ? keys : 64 / row_tiles; }
  FSA_HOST_DEVICE constexpr int rows() const { return warp_rows() * warps; }

  FSA_HOST_DEVICE static constexpr int k_columns(const RangeShape& s) { return round_up(s.head_dim, 16); }
  /// Past 192 all 256: the addresses of tiles without the swizzle, beside that many accumulators, make ptxas spill.
  FSA_HOST_DEVICE static constexpr int v_columns(const RangeShape& s) { return s.head_dim_v > 192 ? 256 : round_up(s.head_dim_v, 16); }

  /// Registers that the warp's rows of Q take where a lane holds them, which it does up to 32.
  FSA_HOST_DEVICE constexpr int held_registers(const RangeShape& s) const {
    return row_tiles * k_columns(s) / 4 <= 32 ? row_tiles * k_columns(s) / 4 : 0;
  }

  // Shared memory: Q, then stages of K and V, then the tables.
  FSA_HOST_DEVICE constexpr int q_bytes(const RangeShape& s) const { return tile_bytes(rows(), k_columns(s)); }
  FSA_HOST_DEVICE constexpr int k_bytes(const RangeShape& s) const { return tile_bytes(keys, k_columns(s)); }
  FSA_HOST_DEVICE constexpr int stage_bytes(const RangeShape& s) const { return k_bytes(s) + tile_bytes(keys, v_columns(s)); }
  FSA_HOST_DEVICE constexpr int table_offset(const RangeShape& s) const { return q_bytes(s) + stages * stage_bytes(s); }
  /// Bounds of each warp 16 bytes, ranges of each row and of each segment 8 + 8, of each stage 8, a word per warp, a word.
  FSA_HOST_DEVICE constexpr int table_bytes() const { return round_up(16 * warps + 16 * rows() + 8 * stages + 4 * warps + 4, 16); }
  FSA_HOST_DEVICE constexpr int smem_bytes(const RangeShape& s) const { return table_offset(s) + table_bytes(); }
};

}  // namespace fsa::cuda
