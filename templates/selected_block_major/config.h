#pragma once
// Owns the CUDA Config of selected_block_major and its shared-memory plan. Clean for host and NVRTC.
#include "cuda/device.h"
#include "cuda/multiplier.h"
#include "cuda/smem_tile.h"
#include "selected_shape.h"
#include "strides.h"

namespace fsa::selected_block_major {

using cuda::Mma;

struct Config {
  int warps = 8;                    ///< per thread block; each walks its own row tiles against the shared K and V block
  int row_tiles = 1;                ///< tiles of 16 rows that a warp scores at once, 1 or 2: two halve the reads of K and V
  int stages = 2;                   ///< Q buffers per warp: tiles in flight
  int blocks = 2;                   ///< thread blocks per multiprocessor that registers are bounded for
  int v_splits = 1;                 ///< thread blocks that share a work item's output columns, where K and V do not fit together
  int item_tokens = 256;            ///< queries per work item at most, a multiple of 16
  Partial partial = Partial::kF16;  ///< element of the partial outputs
  Mma mma = Mma::kWarp;

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  FSA_HOST_DEVICE constexpr int rows() const { return 16 * row_tiles; }

  /// Columns of K and Q in shared memory: whole 16-column steps.
  FSA_HOST_DEVICE static constexpr int k_columns(const SelectedShape& s) { return round_up(s.head_dim, 16); }
  /// Columns of V and of the output that one thread block computes: whole groups of 32, which a lane quad stores as one.
  FSA_HOST_DEVICE constexpr int v_columns(const SelectedShape& s) const { return round_up(ceil_div(s.head_dim_v, v_splits), 32); }

  /// Bytes of K or V; wgmma reads panels of 64 columns.
  FSA_HOST_DEVICE constexpr int block_bytes(int keys, int columns) const {
    return mma == Mma::kWarpgroup ? round_up(columns, 64) * keys * 2 : cuda::tile_bytes(keys, columns);
  }
  /// Rows of the last tile of four warps may lie past the item: entries that the list of tokens has room for.
  static constexpr int kSpareTokens = 64;

  // Shared memory: K, V, Q buffers [warps, stages], the item's query tokens, largest |V| per warp.
  FSA_HOST_DEVICE constexpr int v_offset(const SelectedShape& s) const { return block_bytes(s.block_size, k_columns(s)); }
  FSA_HOST_DEVICE constexpr int q_offset(const SelectedShape& s) const { return v_offset(s) + block_bytes(s.block_size, v_columns(s)); }
  FSA_HOST_DEVICE constexpr int q_bytes(const SelectedShape& s) const { return cuda::tile_bytes(rows(), k_columns(s)); }
  FSA_HOST_DEVICE constexpr int token_offset(const SelectedShape& s) const { return q_offset(s) + warps * stages * q_bytes(s); }
  FSA_HOST_DEVICE constexpr int magnitude_offset(const SelectedShape& s) const {
    return token_offset(s) + (item_tokens + kSpareTokens) * 4;
  }
  FSA_HOST_DEVICE constexpr int smem_bytes(const SelectedShape& s) const { return magnitude_offset(s) + warps * 4; }
};

}  // namespace fsa::selected_block_major
