#pragma once
// Owns the CUDA Config of select_blocks and its shared-memory plan. Clean for host and NVRTC.
#include "cuda/device.h"
#include "cuda/multiplier.h"
#include "cuda/smem_tile.h"
#include "select_blocks/shape.h"

namespace fsa::select_blocks {

/// Candidates more than the best that a thinned out list may keep: the first bits of a threshold cost less than all of them.
constexpr int kSpareCandidates = 4;

struct Config {
  int tokens = 64;    ///< consecutive queries of a sequence per thread block
  int keys = 128;     ///< compressed keys per step
  int warps_m = 2;    ///< warps over the queries
  int warps_n = 4;    ///< warps over the keys of a step; each keeps its keys in registers for all heads of the group
  int q_buffers = 1;  ///< heads whose queries shared memory holds: the whole group, or fewer, read again at every step
  int k_buffers = 2;  ///< key tiles in shared memory; none with wgmma, which has them in registers alone
  int blocks = 1;     ///< thread blocks per multiprocessor that registers are bounded for
  /// Single warps: each its queries with its keys. A warpgroup: 16 of 64 keys each warp, with all queries of the thread block.
  cuda::Mma mma = cuda::Mma::kWarp;

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps_m * warps_n; }
  FSA_HOST_DEVICE constexpr int min_blocks() const { return blocks; }
  FSA_HOST_DEVICE constexpr int warp_rows() const { return tokens / warps_m; }
  FSA_HOST_DEVICE constexpr int warp_keys() const { return keys / warps_n; }
  FSA_HOST_DEVICE constexpr bool wgmma() const { return mma == cuda::Mma::kWarpgroup; }

  /// Columns of Q and K as they are multiplied; with wgmma a lane's 16 bytes of a row are columns of two products.
  FSA_HOST_DEVICE constexpr int columns(const Shape& s) const { return round_up(s.head_dim, wgmma() ? 32 : 16); }
  /// Keys whose sums over the group are kept: a step's, and what unfinished blocks need of those before.
  FSA_HOST_DEVICE constexpr int ring(const Shape& s) const { return keys + s.halo(keys); }
  /// Floats from one key's sums to the next: a warp's accumulators, which lie across with wgmma, spread over all banks.
  FSA_HOST_DEVICE constexpr int sum_pitch() const { return tokens + (wgmma() ? 8 : 4); }

  /// Threads that score the blocks of one query with wgmma, and blocks of a step for each.
  FSA_HOST_DEVICE constexpr int scorers() const { return threads() / tokens; }
  FSA_HOST_DEVICE constexpr int offers(const Shape& s) const { return s.blocks_per_tile(keys) / scorers(); }
  /// Candidates kept in a list: the best so far, room for a step's, and more, since thinning them out is not free. With wgmma each
  /// scorer has a list of its own; the best spread over them, but all may come from one.
  FSA_HOST_DEVICE constexpr int capacity(const Shape& s) const {
    if (wgmma()) return round_up(s.choices() + kSpareCandidates + offers(s) + 3, 4);
    return round_up(s.choices() + s.blocks_per_tile(keys) + 32, 32);
  }
  /// Words from one query's candidates to the next; odd, so that queries differ in banks.
  FSA_HOST_DEVICE constexpr int candidate_pitch(const Shape& s) const { return capacity(s) + 1; }
  /// Keys and numbers of the candidates, and without wgmma the count and the threshold of each query.
  FSA_HOST_DEVICE constexpr int candidate_bytes(const Shape& s) const {
    return 8 * (wgmma() ? threads() * capacity(s) : tokens * candidate_pitch(s) + tokens);
  }

  // Shared memory: Q and K tiles, with wgmma the exponents that LSEs give, the ring of sums, the candidates.
  FSA_HOST_DEVICE constexpr int q_bytes(const Shape& s) const {
    return wgmma() ? tokens * columns(s) * 2 : cuda::tile_bytes(tokens, columns(s));
  }
  FSA_HOST_DEVICE constexpr int k_bytes(const Shape& s) const { return cuda::tile_bytes(keys, columns(s)); }
  FSA_HOST_DEVICE constexpr int exponent_bytes(const Shape& s) const { return wgmma() ? s.group * (tokens + 16) * 4 : 0; }
  FSA_HOST_DEVICE constexpr int k_offset(const Shape& s) const { return q_buffers * q_bytes(s); }
  FSA_HOST_DEVICE constexpr int exponent_offset(const Shape& s) const { return k_offset(s) + k_buffers * k_bytes(s); }
  FSA_HOST_DEVICE constexpr int sum_offset(const Shape& s) const { return exponent_offset(s) + exponent_bytes(s); }
  FSA_HOST_DEVICE constexpr int candidate_offset(const Shape& s) const { return sum_offset(s) + ring(s) * sum_pitch() * 4; }
  FSA_HOST_DEVICE constexpr int state_offset(const Shape& s) const { return candidate_offset(s) + 8 * tokens * candidate_pitch(s); }
  FSA_HOST_DEVICE constexpr int smem_bytes(const Shape& s) const { return candidate_offset(s) + candidate_bytes(s); }
};

}  // namespace fsa::select_blocks
