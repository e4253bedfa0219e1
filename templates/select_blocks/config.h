#pragma once
// Owns the CUDA Config of select_blocks and its shared-memory plan. Clean for host and NVRTC.
#include "cuda/device.h"
#include "cuda/smem_tile.h"
#include "select_blocks/shape.h"

namespace fsa::select_blocks {

struct Config {
  int tokens = 64;    ///< consecutive queries of a sequence per thread block
  int keys = 128;     ///< compressed keys per step
  int warps_m = 2;    ///< warps over the queries
  int warps_n = 4;    ///< warps over the keys of a step; each keeps its keys in registers for all heads of the group
  int q_buffers = 1;  ///< heads whose queries shared memory holds: the whole group, or fewer, read again at every step
  int k_buffers = 2;  ///< key tiles in shared memory
  int blocks = 1;     ///< thread blocks per multiprocessor that registers are bounded for

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps_m * warps_n; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  FSA_HOST_DEVICE constexpr int warp_rows() const { return tokens / warps_m; }
  FSA_HOST_DEVICE constexpr int warp_keys() const { return keys / warps_n; }

  FSA_HOST_DEVICE static constexpr int columns(const Shape& s) { return round_up(s.head_dim, 16); }
  /// Steps whose sums over the group are kept: the newest, and what unfinished blocks need of those before.
  FSA_HOST_DEVICE constexpr int ring(const Shape& s) const { return keys + s.halo(keys); }
  /// Floats from one key's sums to the next; 4 past a multiple of 16 spreads a warp's accumulators over all banks.
  FSA_HOST_DEVICE constexpr int sum_pitch() const { return tokens + 4; }
  /// Candidates kept for a query: the best so far, room for a step's, and more, since thinning them out is not free.
  FSA_HOST_DEVICE constexpr int capacity(const Shape& s) const { return round_up(s.choices() + s.blocks_per_tile(keys) + 32, 32); }
  /// Words from one query's candidates to the next; odd, so that queries differ in banks.
  FSA_HOST_DEVICE constexpr int candidate_pitch(const Shape& s) const { return capacity(s) + 1; }

  // Shared memory: Q and K tiles, the ring of sums, keys and numbers of the candidates, count and threshold of each query.
  FSA_HOST_DEVICE constexpr int q_bytes(const Shape& s) const { return cuda::tile_bytes(tokens, columns(s)); }
  FSA_HOST_DEVICE constexpr int k_bytes(const Shape& s) const { return cuda::tile_bytes(keys, columns(s)); }
  FSA_HOST_DEVICE constexpr int k_offset(const Shape& s) const { return q_buffers * q_bytes(s); }
  FSA_HOST_DEVICE constexpr int sum_offset(const Shape& s) const { return k_offset(s) + k_buffers * k_bytes(s); }
  FSA_HOST_DEVICE constexpr int candidate_offset(const Shape& s) const { return sum_offset(s) + ring(s) * sum_pitch() * 4; }
  FSA_HOST_DEVICE constexpr int state_offset(const Shape& s) const { return candidate_offset(s) + 2 * tokens * candidate_pitch(s) * 4; }
  FSA_HOST_DEVICE constexpr int smem_bytes(const Shape& s) const { return state_offset(s) + 2 * tokens * 4; }
};

}  // namespace fsa::select_blocks
