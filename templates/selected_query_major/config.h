#pragma once
// Owns the CUDA Config of selected_query_major and its shared-memory plan. Clean for host and NVRTC.
#include "cuda/device.h"
#include "cuda/smem_tile.h"
#include "selected_shape.h"

namespace fsa::selected_query_major {

struct Config {
  int tokens = 1;   ///< consecutive queries per tile, which walk the union of their blocks
  int warps_m = 1;  ///< warps over rows, 16 each; with one token, further rows go to further thread blocks
  int warps_k = 4;  ///< warps over the keys of a step, merged at the end
  int keys = 64;    ///< keys per step, a divisor of the block size
  int stages = 2;   ///< K and V buffers
  int blocks = 2;   ///< thread blocks per multiprocessor that registers are bounded for

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps_m * warps_k; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  FSA_HOST_DEVICE constexpr int rows() const { return 16 * warps_m; }
  /// Thread blocks that share a token's heads.
  FSA_HOST_DEVICE constexpr int row_splits(const SelectedShape& s) const { return ceil_div(tokens * s.group, rows()); }

  FSA_HOST_DEVICE static constexpr int k_columns(const SelectedShape& s) { return round_up(s.head_dim, 16); }
  /// Past 192 all 256: the addresses of tiles without the swizzle, beside that many accumulators, make ptxas spill.
  FSA_HOST_DEVICE static constexpr int v_columns(const SelectedShape& s) { return s.head_dim_v > 192 ? 256 : round_up(s.head_dim_v, 16); }
  /// Floats from one row of the merged output to the next; the pad keeps eight rows in different banks.
  FSA_HOST_DEVICE static constexpr int output_pitch(const SelectedShape& s) { return v_columns(s) + 8; }

  // Shared memory: Q, then K and V stages; the merge of the outputs reuses the stages. At the end the lists.
  FSA_HOST_DEVICE constexpr int q_bytes(const SelectedShape& s) const { return cuda::tile_bytes(rows(), k_columns(s)); }
  FSA_HOST_DEVICE constexpr int k_bytes(const SelectedShape& s) const { return cuda::tile_bytes(keys, k_columns(s)); }
  FSA_HOST_DEVICE constexpr int stage_bytes(const SelectedShape& s) const { return k_bytes(s) + cuda::tile_bytes(keys, v_columns(s)); }
  FSA_HOST_DEVICE constexpr int merge_bytes(const SelectedShape& s) const { return rows() * output_pitch(s) * 4; }
  FSA_HOST_DEVICE constexpr int list_offset(const SelectedShape& s) const {
    return q_bytes(s) + (stages * stage_bytes(s) > merge_bytes(s) ? stages * stage_bytes(s) : merge_bytes(s));
  }
  /// Queries [tokens, 4]; union [tokens * T, 4]; candidates [tokens * T, 2]; max and sum of each warp's rows.
  FSA_HOST_DEVICE constexpr int list_bytes(const SelectedShape& s) const {
    return tokens * 16 + tokens * s.topk * 24 + warps_k * rows() * 8;
  }
  FSA_HOST_DEVICE constexpr int smem_bytes(const SelectedShape& s) const { return list_offset(s) + list_bytes(s); }
};

}  // namespace fsa::selected_query_major
