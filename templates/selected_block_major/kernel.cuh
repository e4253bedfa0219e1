#pragma once
// Owns the CUDA kernel of selected attention in block-major order: one K and V block against the queries that chose it.
#include "cuda/launch_order.cuh"
#include "cuda/mma.cuh"
#include "selected_block_major/tiles.cuh"
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#include "selected_block_major/warpgroup.cuh"
#endif

namespace fsa::selected_block_major {

/// s = Q K^T, unscaled.
template <class T>
FSA_DEVICE void score(float (&s)[T::kRowTiles][T::kKeyTiles][4], unsigned q_tile, unsigned k_tile, int lane) {
  using Tile = typename T::KTile;
  cuda::clear(s);
  unsigned q = q_tile + cuda::left_operand_offset<Tile>(lane), k = k_tile + cuda::right_operand_offset<Tile>(lane);
  constexpr int kPanel = Tile::kChunks % 8 == 0 ? 8 : Tile::kChunks;
#pragma unroll 1
  for (int panel = 0; panel < Tile::kChunks; panel += kPanel) {
#pragma unroll
    for (int d = 0; d < kPanel; d += 2) {
      unsigned a[T::kRowTiles][4];
#pragma unroll
      for (int r = 0; r < T::kRowTiles; ++r) cuda::load_matrices(a[r], Tile::advance(q, d) + r * 16 * Tile::kPitch);
#pragma unroll
      for (int n = 0; n < T::kKeyTiles; n += 2) {
        unsigned b[4];
        cuda::load_matrices(b, Tile::advance(k, d) + n * 8 * Tile::kPitch);
#pragma unroll
        for (int r = 0; r < T::kRowTiles; ++r) {
          cuda::mma<T::kF16>(s[r][n], a[r], b[0], b[1]);
          cuda::mma<T::kF16>(s[r][n + 1], a[r], b[2], b[3]);
        }
      }
    }
    q += kPanel * 16;
    k += kPanel * 16;
  }
}

/// Softmax of one row of a tile (`half` 0: row lane/4, 1: that + 8) in place, times `scale`; returns the row's LSE.
template <class T>
FSA_DEVICE float softmax(float (&s)[T::kKeyTiles][4], int half, float scale_log2, float scale) {
  float top = cuda::kMasked;
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n) top = fmaxf(top, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
  top = cuda::quad_max(top);
  // Where every key is masked the shift is 0, so that all exponentials vanish.
  const float shift = top == cuda::kMasked ? 0 : top * scale_log2;
  float sum = 0;
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
    for (int e = 2 * half; e < 2 * half + 2; ++e) {
      s[n][e] = cuda::exp2_fast(fmaf(s[n][e], scale_log2, -shift));
      sum += s[n][e];
    }
  sum = cuda::quad_sum(sum);
  const float normaliser = sum == 0 ? 0 : __fdividef(scale, sum);
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n) {
    s[n][2 * half] *= normaliser;
    s[n][2 * half + 1] *= normaliser;
  }
  return sum == 0 ? cuda::negative_infinity() : (shift + cuda::log2_fast(sum)) * cuda::kLn2;
}

/// The address `columns` further on in the same row of a tile, from that of any multiple of `columns`.
template <class Tile, int kColumns>
FSA_DEVICE unsigned step_columns(unsigned address) {
  static_assert(!Tile::kSwizzled || kColumns % 64 == 0, "the swizzle repeats every 64 columns");
  return address + kColumns * 2;
}

/// P V for every row of the tile, stored column group by column group. `row0` is the tile's first row within the item.
template <class T, Partial kPartial>
FSA_DEVICE void accumulate_and_store(const Params& p, const Item& item, const unsigned (&probabilities)[T::kRowTiles][T::kKeyTiles / 2][4],
                                     unsigned v_tile, int row0, int rows, unsigned long long policy, int lane) {
  using Tile = typename T::VTile;
  constexpr int kPartialBytes = kPartial == Partial::kF32 ? 4 : 2;
  const long long first_row = static_cast<long long>(item.first_entry) * T::kGroup + row0 + lane / 4;
  char* out = static_cast<char*>(p.partial_o) + (first_row * T::kDv + item.first_column + 8 * (lane % 4)) * kPartialBytes;
  unsigned v = v_tile + cuda::right_operand_transposed_offset<Tile>(lane);
  const int rows_left = rows - row0 - lane / 4;
  // A real loop: unrolled, it would only take longer to compile.
#pragma unroll 1
  for (int pass = 0; pass < T::kVColumns; pass += T::kPassColumns) {
    constexpr int kTiles = T::kPassColumns / 8;
    float o[T::kRowTiles][kTiles][4] = {};
#pragma unroll
    for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
      for (int n = 0; n < kTiles; n += 2) {
        unsigned b[4];
        cuda::load_matrices_transposed(b, Tile::advance(v, n) + k * 16 * Tile::kPitch);
#pragma unroll
        for (int r = 0; r < T::kRowTiles; ++r) {
          cuda::mma<true>(o[r][n], probabilities[r][k], b[0], b[1]);
          cuda::mma<true>(o[r][n + 1], probabilities[r][k], b[2], b[3]);
        }
      }
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = r * 16 + half * 8;
        if (row >= rows_left) continue;
#pragma unroll
        for (int n = 0; n < kTiles; n += 4) {
          float x[8];
#pragma unroll
          for (int i = 0; i < 8; ++i) x[i] = o[r][n + i / 2][2 * half + i % 2];
          if (T::kDv % T::kVColumns == 0 || item.first_column + pass + n * 8 + 8 * (lane % 4) < T::kDv)
            store_columns<kPartial>(out + static_cast<long long>(row) * T::kDv * kPartialBytes, n * 8, x, policy);
        }
      }
    v = step_columns<Tile, T::kPassColumns>(v);
    out += T::kPassColumns * kPartialBytes;
  }
}

/// One warp's tiles of rows by mma: from scores to stored partials.
template <Shape kShape, Config kConfig>
class Warp {
  using T = Plan<kShape, kConfig>;

 public:
  FSA_DEVICE Warp(const Params& p, const Item& item, unsigned k_tile, unsigned v_tile, float output_scale, int lane)
      : p_(p),
        item_(item),
        k_tile_(k_tile),
        v_tile_(v_tile),
        output_scale_(output_scale),
        scale_log2_(p.scale * cuda::kLog2E),
        policy_(cuda::evict_first_policy()),
        lane_(lane) {}
  static FSA_DEVICE void publish_block() {}

  /// `start_next` starts the copy of the tile that takes this one's place in the buffer.
  template <class StartNext>
  FSA_DEVICE void run(const QueryTiles<T>& queries, int index, int stage, StartNext start_next) const {
    const int row0 = index * T::kRows;
    float s[T::kRowTiles][T::kKeyTiles][4];
    score<T>(s, queries.tile(stage), k_tile_, lane_);
    int limits[T::kRowTiles][2];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) limits[r][half] = queries.token(index, r * 16 + half * 8 + lane_ / 4) + item_.limit_shift;
    const int first_limit = queries.token(index, 0) + item_.limit_shift;  // the smallest: tokens ascend
    __syncwarp();
    start_next();

    // bf16 values carry the scale themselves.
    const float probability_scale = T::kF16 ? output_scale_ : 1.0f;
    unsigned probabilities[T::kRowTiles][T::kKeyTiles / 2][4];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r) {
      if (first_limit < item_.keys - 1 || item_.keys < T::kKeys)
        mask<T>(s[r], min(limits[r][0], item_.keys - 1), min(limits[r][1], item_.keys - 1), lane_);
      float lse[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) lse[half] = softmax<T>(s[r], half, scale_log2_, probability_scale);
#pragma unroll
      for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          probabilities[r][k][i] = cuda::pack2<true>(s[r][2 * k + i / 2][2 * (i % 2)], s[r][2 * k + i / 2][2 * (i % 2) + 1]);
      const int row = row0 + r * 16 + lane_ / 4 + 8 * (lane_ % 2);
      if (lane_ % 4 < 2 && row < queries.rows() && blockIdx.y == 0) {
        p_.partial_lse[static_cast<long long>(item_.first_entry) * T::kGroup + row] = lane_ % 2 ? lse[1] : lse[0];
        if (row % T::kGroup == 0) p_.entry_scale[item_.first_entry + row / T::kGroup] = output_scale_;
      }
    }
    accumulate_and_store<T, kConfig.partial>(p_, item_, probabilities, v_tile_, row0, queries.rows(), policy_, lane_);
  }

 private:
  const Params& p_;
  const Item& item_;
  unsigned k_tile_, v_tile_;
  float output_scale_, scale_log2_;
  unsigned long long policy_;
  int lane_;
};

/// What multiplies a warp's tiles.
template <Shape kShape, Config kConfig, Mma kMma = kConfig.mma>
struct MultiplierOf {
  using Type = Warp<kShape, kConfig>;
};
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
template <Shape kShape, Config kConfig>
struct MultiplierOf<kShape, kConfig, Mma::kWarpgroup> {
  using Type = Warpgroup<kShape, kConfig>;
};
#endif

/// Grid: x work items at most, y v_splits.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  using T = Plan<kShape, kConfig>;
  using Multiplier = typename MultiplierOf<kShape, kConfig>::Type;
  extern __shared__ __align__(1024) unsigned char smem[];
  cuda::let_next_launch_start();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  Item item;
  if (!load_item<T>(p, lane, item)) return;
  const unsigned k_tile = cuda::smem_address(smem), v_tile = k_tile + kConfig.v_offset(kShape);
  unsigned* const magnitudes = reinterpret_cast<unsigned*>(smem + kConfig.magnitude_offset(kShape));

  // Load: tokens, K and the first Q tiles in the background, V by registers meanwhile.
  const Tokens<T> tokens(k_tile + kConfig.token_offset(kShape));
  tokens.copy(p, item);
  cuda::commit_copies();
  item.set_last_token(__ldg(p.entry_token + item.first_entry + item.entries - 1), T::kKeys);
  const QueryTiles<T> queries(p, item, tokens, k_tile + kConfig.q_offset(kShape) + warp * T::kStages * kConfig.q_bytes(kShape), lane);
  const int tiles = queries.tiles();
  queries.zero_padding();
  copy_keys<T>(p, item, k_tile);
  cuda::wait_copies<0>();  // of the groups so far: K is in the next one
  __syncthreads();
#pragma unroll
  for (int s = 0; s < T::kStages; ++s) {
    if (warp + s * T::kWarps < tiles) queries.copy(warp + s * T::kWarps, s);
    cuda::commit_copies();
  }
  Values<T> values(p, item, warp, lane);
  const unsigned largest = __reduce_max_sync(~0u, values.load());
  if (lane == 0) magnitudes[warp] = largest;
  __syncthreads();
  const float output_scale = value_scale<T>(magnitudes);
  values.store(v_tile, output_scale);
  cuda::wait_copies<T::kStages - 1>();
  Multiplier::publish_block();
  __syncthreads();

  const Multiplier multiplier(p, item, k_tile, v_tile, output_scale, lane);
  int stage = 0;
  for (int index = warp; index < tiles; index += T::kWarps) {
    const int next = index + T::kStages * T::kWarps;
    cuda::wait_copies<T::kStages - 1>();
    __syncwarp();
    multiplier.run(queries, index, stage, [&] {
      if (next < tiles) queries.copy(next, stage);
      cuda::commit_copies();
    });
    stage = stage + 1 == T::kStages ? 0 : stage + 1;
  }
}

}  // namespace fsa::selected_block_major
