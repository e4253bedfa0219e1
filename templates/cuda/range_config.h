#pragma once
// Owns the CUDA Config of attention over ranges and its shared-memory plan. Clean for host and NVRTC.
#include "cuda/device.h"
#include "cuda/multiplier.h"
#include "cuda/smem_tile.h"
#include "range_shape.h"

namespace fsa::cuda {

struct RangeConfig {
  Mma mma = Mma::kWarp;
  int warps = 4;      ///< per thread block that multiply; warpgroups have four more that copy for them
  int row_tiles = 2;  ///< tiles of 16 rows that a warp holds, 1 or 2: two halve the reads of K and V from shared memory
  int keys = 64;      ///< keys per step
  int stages = 2;     ///< K and V buffers
  int blocks = 2;     ///< thread blocks per multiprocessor that registers are bounded for
  int pingpong = 0;   ///< 1: two warpgroups start their products in turns
  int stream = 0;     ///< 1: a warpgroup's tiles are one stream of steps: a tile's first product runs with the last one's last

  /// Of warpgroups: steps begin at multiples of so many rows of K and V, and of as many exist that all of a step do.
  static constexpr int kStepAlign = 16;

  FSA_HOST_DEVICE constexpr bool warpgroups() const { return mma == Mma::kWarpgroup; }
  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps + (warpgroups() ? 128 : 0); }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  FSA_HOST_DEVICE constexpr int warp_rows() const { return 16 * row_tiles; }
  /// Keys of a step that a warp attends at once: 32 logits per lane at most, or registers would not hold them.
  FSA_HOST_DEVICE constexpr int slice() const { return keys < 64 / row_tiles ? keys : 64 / row_tiles; }
  FSA_HOST_DEVICE constexpr int rows() const { return warp_rows() * warps; }

  FSA_HOST_DEVICE static constexpr int k_columns(const RangeShape& s) { return round_up(s.head_dim, 16); }
  /// Past 192 all 256: the addresses of tiles without the swizzle, beside that many accumulators, make ptxas spill.
  FSA_HOST_DEVICE static constexpr int v_columns(const RangeShape& s) { return s.head_dim_v > 192 ? 256 : round_up(s.head_dim_v, 16); }

  /// Registers that the warp's rows of Q take where a lane holds them: what the others leave, of warps up to 32.
  FSA_HOST_DEVICE constexpr int held_registers(const RangeShape& s) const {
    const int needed = row_tiles * k_columns(s) / 4;
    const int left = warpgroups() ? consumer_registers() - attending_registers(s) : 255 - warp_registers(s);
    return needed <= left && (warpgroups() || needed <= 32) ? needed : 0;
  }
  /// Warps: registers of a lane without Q: outputs, the logits of a slice, and addresses with what passes through. The constant was
  /// found by compiling for every target.
  FSA_HOST_DEVICE constexpr int warp_registers(const RangeShape& s) const { return row_tiles * (v_columns(s) + slice()) / 2 + 88; }

  // Warpgroups: registers. A multiprocessor's 512 per lane of four warps are dealt out in eights.
  /// Of the warpgroup that copies.
  FSA_HOST_DEVICE static constexpr int producer_registers() { return 56; }
  FSA_HOST_DEVICE constexpr int consumer_registers() const {
    const int all = 512 / (warps / 4 + 1) / 8 * 8 * (warps / 4 + 1), each = (all - producer_registers()) / (warps / 4) / 8 * 8;
    return each < 240 ? each : 240;
  }
  /// Of those that attend, without Q: logits, probabilities, outputs, and addresses with what passes through. A stream knows two tiles.
  FSA_HOST_DEVICE constexpr int attending_registers(const RangeShape& s) const {
    return keys / 2 + keys / 4 + s.head_dim_v / 2 + 32 + (stream != 0 ? 12 : 0);
  }

  // Shared memory: Q, then stages of K and V, then the tables.
  FSA_HOST_DEVICE constexpr int tile(int tile_rows, int columns) const {
    return warpgroups() ? panel_bytes(tile_rows, columns) : tile_bytes(tile_rows, columns);
  }
  FSA_HOST_DEVICE constexpr int q_bytes(const RangeShape& s) const { return tile(rows(), k_columns(s)); }
  FSA_HOST_DEVICE constexpr int k_bytes(const RangeShape& s) const { return tile(keys, k_columns(s)); }
  FSA_HOST_DEVICE constexpr int v_bytes(const RangeShape& s) const { return tile(keys, warpgroups() ? s.head_dim_v : v_columns(s)); }
  FSA_HOST_DEVICE constexpr int stage_bytes(const RangeShape& s) const { return k_bytes(s) + v_bytes(s); }
  FSA_HOST_DEVICE constexpr int table_offset(const RangeShape& s) const { return q_bytes(s) + stages * stage_bytes(s); }
  /// Ranges of each row and of each segment 8 + 8. Bounds of each warp 16 bytes, of each stage 8, a word per warp, a word. Of
  /// warpgroups: bounds and counts of 32 rows each, counts of all and three numbers, of two tiles; of each stage 8 and four barriers, six
  /// barriers.
  FSA_HOST_DEVICE constexpr int table_bytes() const {
    if (warpgroups()) return round_up(2 * (16 * rows() + 24 * rows() / 32 + 20) + 40 * stages + 48, 16);
    return round_up(16 * rows() + 20 * warps + 8 * stages + 4, 16);
  }
  FSA_HOST_DEVICE constexpr int smem_bytes(const RangeShape& s) const { return table_offset(s) + table_bytes(); }
};

}  // namespace fsa::cuda
