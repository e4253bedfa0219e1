#pragma once
// Owns the CUDA kernel of selected attention in query-major order: a tile of queries against the union of their blocks.
#include "cuda/mma.cuh"
#include "cuda/numeric.cuh"
#include "cuda/sequences.cuh"
#include "cuda/tile_copy.cuh"
#include "selected_query_major/config.h"
#include "selected_query_major/params.h"

namespace fsa::selected_query_major {

template <Shape kShape, Config kConfig>
struct Plan {
  static_assert(kConfig.keys % (16 * kConfig.warps_k) == 0 && kShape.block_size % kConfig.keys == 0,
                "a step is cut into whole 16-key slices");
  static_assert(kConfig.tokens <= 32, "membership is one word");
  static_assert(kConfig.tokens == 1 || kConfig.tokens * kShape.group <= kConfig.rows(), "only a single token's heads are split");

  static constexpr bool kF16 = kShape.element == Element::kF16;
  static constexpr int kTokens = kConfig.tokens, kRows = kConfig.rows(), kGroup = kShape.group, kTopk = kShape.topk;
  static constexpr int kWarpsM = kConfig.warps_m, kWarpsK = kConfig.warps_k, kThreads = kConfig.threads();
  static constexpr int kKeys = kConfig.keys, kWarpKeys = kKeys / kWarpsK, kStages = kConfig.stages, kBlock = kShape.block_size;
  static constexpr int kSteps = kBlock / kKeys, kD = kShape.head_dim, kDv = kShape.head_dim_v;
  static constexpr int kSplits = kConfig.row_splits(kShape);
  using KTile = cuda::SmemTile<Config::k_columns(kShape)>;
  using VTile = cuda::SmemTile<Config::v_columns(kShape)>;
  static constexpr int kOutputTiles = VTile::kChunks;
  /// Exponentials are 2^-shift of the usual ones, so that sums of up to 64 * 128 terms times any bf16 |V| stay finite.
  /// f16 values need no such care, and f16 probabilities have no such range.
  static constexpr float kExponentShift = kF16 ? 0.0f : 13.0f;
};

/// A query of the tile. No key is visible where last_key is -1.
struct Query {
  int last_key;    // row of K and V of the last visible key
  int first_cell;  // cell of its sequence's first block
  int key_begin;   // row of its sequence's first key
  int last_block;  // sequence-local
};

/// A block of the union.
struct Block {
  int key_begin, key_end;  // rows of K and V that some member sees
  unsigned members;        // bit i: query i of the tile selected it
  int unused;
};

/// The tile's queries and the union of their blocks, in shared memory.
struct Lists {
  Query* queries;  // [tokens]
  Block* blocks;   // [tokens * T], the first `count` in use, ascending by cell
  int* cells;      // [tokens * T] candidate cells; kNoCell for none
  int* is_first;   // [tokens * T] the candidate stands for its cell
};

constexpr int kNoCell = 0x7fffffff;

/// Looks the tile's queries up.
template <class T>
FSA_DEVICE void find_queries(const Params& p, const Lists& lists, int first_token) {
  const int i = threadIdx.x;
  if (i >= T::kTokens) return;
  const int token = first_token + i;
  Query query{-1, 0, 0, -1};
  const int b = token < p.total_q ? cuda::last_not_above(p.num_seqs, token, [&](int x) { return __ldg(p.cu_q + x); }) : -1;
  if (b >= 0) {
    const cuda::Sequence s = cuda::load_sequence(p.cu_q, p.cu_k, b);
    const int position = s.position(token);
    if (token < s.q_end && position >= 0 && s.k_begin >= 0) {
      const int last_key = min(s.k_begin + position, p.total_k - 1);
      query = {last_key, cuda::first_cell<T::kBlock>(s.k_begin, b), s.k_begin, position / T::kBlock};
    }
  }
  lists.queries[i] = query;
}

/// Makes the union of the queries' blocks, ascending by cell whatever the order of the lists; returns its size.
template <class T>
FSA_DEVICE int unite_blocks(const Params& p, const Lists& lists, int head, int first_token) {
  constexpr int kCandidates = T::kTokens * T::kTopk;
  for (int i = threadIdx.x; i < kCandidates; i += T::kThreads) {
    const Query query = lists.queries[i / T::kTopk];
    int cell = kNoCell;
    if (query.last_key >= 0) {
      const long long row = static_cast<long long>(head) * p.total_q + first_token + i / T::kTopk;
      const int block = __ldg(p.block_indices + row * T::kTopk + i % T::kTopk);
      if (block >= 0 && block <= query.last_block) cell = query.first_cell + block;
    }
    lists.cells[i] = cell;
  }
  __syncthreads();
  int count = 0;
  for (int base = 0; base < kCandidates; base += T::kThreads) {
    const int i = base + threadIdx.x;
    bool first = false;
    if (i < kCandidates) {
      first = lists.cells[i] != kNoCell;
      for (int j = 0; j < i; ++j) first = first && lists.cells[j] != lists.cells[i];
      lists.is_first[i] = first;
    }
    count += __syncthreads_count(first);
  }
  for (int i = threadIdx.x; i < kCandidates; i += T::kThreads) {
    if (!lists.is_first[i]) continue;
    const int cell = lists.cells[i];
    const Query query = lists.queries[i / T::kTopk];
    Block block{query.key_begin + (cell - query.first_cell) * T::kBlock, 0, 0, 0};
    int rank = 0;
#pragma unroll 4
    for (int j = 0; j < kCandidates; ++j) {
      const int other = lists.cells[j];
      rank += other < cell && lists.is_first[j];
      if (other == cell) {
        block.members |= 1u << (j / T::kTopk);
        block.key_end = max(block.key_end, lists.queries[j / T::kTopk].last_key + 1);
      }
    }
    block.key_end = min(block.key_end, block.key_begin + T::kBlock);
    lists.blocks[rank] = block;
  }
  __syncthreads();
  return count;
}

/// Starts the copy of Q [rows, D]; rows of no query and columns past D are zeros.
template <class T>
FSA_DEVICE void copy_queries(const Params& p, int head, int first_token, int first_row, unsigned q_tile) {
  for (int i = threadIdx.x; i < T::kRows * T::KTile::kChunks; i += T::kThreads) {
    const int row = i / T::KTile::kChunks, chunk = i % T::KTile::kChunks, tile_row = first_row + row;
    const int token = first_token + tile_row / T::kGroup;
    const bool exists = chunk < T::kD / 8 && tile_row < T::kTokens * T::kGroup && token < p.total_q;
    const long long offset = token * p.q_stride.token + (head * T::kGroup + tile_row % T::kGroup) * p.q_stride.head + chunk * 8;
    cuda::copy16_async_or_zero(q_tile + T::KTile::offset(row, chunk), exists ? static_cast<const char*>(p.q) + offset * 2 : p.q, exists);
  }
}

/// Starts the copies of step `step` of the walk over the union, if there is such a step.
template <class T>
FSA_DEVICE void copy_step(const Params& p, const Lists& lists, int head, int step, int steps, unsigned stage, int v_offset) {
  if (step < steps) {
    const Block block = lists.blocks[step / T::kSteps];
    const int begin = block.key_begin + step % T::kSteps * T::kKeys;
    cuda::copy_rows<typename T::KTile, T::kD, T::kKeys, T::kThreads>(p.k, p.k_stride, head, begin, block.key_end, stage);
    cuda::copy_rows<typename T::VTile, T::kDv, T::kKeys, T::kThreads>(p.v, p.v_stride, head, begin, block.key_end, stage + v_offset);
  }
  cuda::commit_copies();
}

/// A warp's running softmax over its slices of the steps: 16 rows, of which a lane holds lane/4 and that + 8.
template <class T>
struct Accumulator {
  float o[T::kOutputTiles][4];
  float top[2];  // largest logit so far, times scale_log2; kMasked before the first
  float sum[2];  // of the lane's own columns

  FSA_DEVICE void clear() {
#pragma unroll
    for (int n = 0; n < T::kOutputTiles; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) o[n][e] = 0;
    top[0] = top[1] = cuda::kMasked;
    sum[0] = sum[1] = 0;
  }
};

/// s = Q K^T over the warp's slice of keys, unscaled.
template <class T>
FSA_DEVICE void score(float (&s)[T::kWarpKeys / 8][4], unsigned q, unsigned k) {
  using Tile = typename T::KTile;
#pragma unroll
  for (int n = 0; n < T::kWarpKeys / 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) s[n][e] = 0;
#pragma unroll
  for (int d = 0; d < Tile::kChunks; d += 2) {
    unsigned a[4];
    cuda::load_matrices(a, Tile::advance(q, d));
#pragma unroll
    for (int n = 0; n < T::kWarpKeys / 8; n += 2) {
      unsigned b[4];
      cuda::load_matrices(b, Tile::advance(k, d) + n * 8 * Tile::kPitch);
      cuda::mma<T::kF16>(s[n], a, b[0], b[1]);
      cuda::mma<T::kF16>(s[n + 1], a, b[2], b[3]);
    }
  }
}

/// Turns logits into exponentials against the new maximum, and rescales what was accumulated.
template <class T>
FSA_DEVICE void online_softmax(float (&s)[T::kWarpKeys / 8][4], Accumulator<T>& acc, float scale_log2) {
  float decay[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float top = cuda::kMasked;
#pragma unroll
    for (int n = 0; n < T::kWarpKeys / 8; ++n) top = fmaxf(top, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
    top = cuda::quad_max(top);
    top = fmaxf(acc.top[half], top == cuda::kMasked ? top : top * scale_log2);
    // While every key is masked the shift is 0, so that all exponentials vanish.
    const float shift = top == cuda::kMasked ? 0 : top + T::kExponentShift;
    decay[half] = cuda::exp2_fast(acc.top[half] - top);
    acc.top[half] = top;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < T::kWarpKeys / 8; ++n)
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) {
        s[n][e] = cuda::exp2_fast(fmaf(s[n][e], scale_log2, -shift));
        sum += s[n][e];
      }
    acc.sum[half] = acc.sum[half] * decay[half] + sum;
  }
  if (__any_sync(~0u, decay[0] != 1 || decay[1] != 1)) {
#pragma unroll
    for (int n = 0; n < T::kOutputTiles; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) acc.o[n][e] *= decay[e / 2];
  }
}

/// acc.o += P V over the warp's slice of keys. bf16 probabilities are multiplied as the sum of two: rounded once, they
/// would add as much error as the rounding of the output does.
template <class T>
FSA_DEVICE void accumulate(const float (&s)[T::kWarpKeys / 8][4], Accumulator<T>& acc, unsigned v) {
  using Tile = typename T::VTile;
#pragma unroll
  for (int k = 0; k < T::kWarpKeys / 16; ++k) {
    unsigned high[4], low[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float x = s[2 * k + i / 2][2 * (i % 2)], y = s[2 * k + i / 2][2 * (i % 2) + 1];
      high[i] = cuda::pack2<T::kF16>(x, y);
      const float2 rounded = cuda::unpack2<T::kF16>(high[i]);
      low[i] = T::kF16 ? 0 : cuda::pack2<T::kF16>(x - rounded.x, y - rounded.y);
    }
#pragma unroll
    for (int n = 0; n < T::kOutputTiles; n += 2) {
      unsigned b[4];
      cuda::load_matrices_transposed(b, Tile::advance(v, n) + k * 16 * Tile::kPitch);
      cuda::mma<T::kF16>(acc.o[n], high, b[0], b[1]);
      cuda::mma<T::kF16>(acc.o[n + 1], high, b[2], b[3]);
      if constexpr (!T::kF16) {
        cuda::mma<false>(acc.o[n], low, b[0], b[1]);
        cuda::mma<false>(acc.o[n + 1], low, b[2], b[3]);
      }
    }
  }
}

/// Max and sum of a row over a warp's slices, or over all of them.
struct RowState {
  float top, sum;
};

/// Merges the warps' states of one row.
template <class T>
FSA_DEVICE RowState merge_states(const RowState* states, int row) {
  RowState all{cuda::kMasked, 0};
#pragma unroll
  for (int w = 0; w < T::kWarpsK; ++w) all.top = fmaxf(all.top, states[w * T::kRows + row].top);
#pragma unroll
  for (int w = 0; w < T::kWarpsK; ++w)
    all.sum += states[w * T::kRows + row].sum * cuda::exp2_fast(states[w * T::kRows + row].top - all.top);
  return all;
}

/// Adds the warps' normalised outputs up in a fixed order, in merged [rows, pitch].
template <class T, int kPitch>
FSA_DEVICE void merge_outputs(const Accumulator<T>& acc, float* merged, const RowState* states, int warp_m, int warp_k, int lane) {
  float factor[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const RowState all = merge_states<T>(states, warp_m * 16 + lane / 4 + 8 * half);
    factor[half] = all.sum == 0 ? 0 : cuda::exp2_fast(acc.top[half] - all.top) / all.sum;
  }
#pragma unroll 1
  for (int w = 0; w < T::kWarpsK; ++w) {
    if (w == warp_k) {
#pragma unroll
      for (int n = 0; n < T::kOutputTiles; ++n)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          float2* const at = reinterpret_cast<float2*>(merged + (warp_m * 16 + lane / 4 + 8 * half) * kPitch + n * 8 + 2 * (lane % 4));
          float2 sum = w == 0 ? make_float2(0, 0) : *at;
          sum.x = fmaf(acc.o[n][2 * half], factor[half], sum.x);
          sum.y = fmaf(acc.o[n][2 * half + 1], factor[half], sum.y);
          *at = sum;
        }
    }
    __syncthreads();
  }
}

/// Stores O and the LSEs of the tile's rows.
template <class T, int kPitch>
FSA_DEVICE void store(const Params& p, const float* merged, const RowState* states, int head, int first_token, int first_row) {
  constexpr int kPieces = T::kDv / 8;
  for (int i = threadIdx.x; i < T::kRows * kPieces; i += T::kThreads) {
    const int row = i / kPieces, column = i % kPieces * 8, tile_row = first_row + row;
    const int token = first_token + tile_row / T::kGroup, query_head = head * T::kGroup + tile_row % T::kGroup;
    if (tile_row >= T::kTokens * T::kGroup || token >= p.total_q) continue;
    const float4 low = *reinterpret_cast<const float4*>(merged + row * kPitch + column),
                 high = *reinterpret_cast<const float4*>(merged + row * kPitch + column + 4);
    const uint4 words = make_uint4(cuda::pack2<T::kF16>(low.x, low.y), cuda::pack2<T::kF16>(low.z, low.w),
                                   cuda::pack2<T::kF16>(high.x, high.y), cuda::pack2<T::kF16>(high.z, high.w));
    const long long offset = token * p.o_stride.token + query_head * p.o_stride.head + column;
    *reinterpret_cast<uint4*>(static_cast<char*>(p.o) + offset * 2) = words;
    if (column == 0) {
      const RowState all = merge_states<T>(states, row);
      p.lse[static_cast<long long>(query_head) * p.total_q + token] =
          all.sum == 0 ? cuda::negative_infinity() : (all.top + T::kExponentShift + cuda::log2_fast(all.sum)) * cuda::kLn2;
    }
  }
}

/// Grid: Hkv * row splits * ceil(Tq / tokens), tokens fastest: neighbours share blocks in L2.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  using T = Plan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  constexpr int kCandidates = T::kTokens * T::kTopk;
  Lists lists;
  lists.queries = reinterpret_cast<Query*>(smem + kConfig.list_offset(kShape));
  lists.blocks = reinterpret_cast<Block*>(lists.queries + T::kTokens);
  lists.cells = reinterpret_cast<int*>(lists.blocks + kCandidates);
  lists.is_first = lists.cells + kCandidates;
  RowState* const states = reinterpret_cast<RowState*>(lists.is_first + kCandidates);  // [warps_k, rows]
  const unsigned q_tile = cuda::smem_address(smem), stages = q_tile + kConfig.q_bytes(kShape);

  const int tiles = ceil_div(p.total_q, T::kTokens);
  const int tile = blockIdx.x % tiles, split = blockIdx.x / tiles % T::kSplits, head = blockIdx.x / tiles / T::kSplits;
  const int first_token = tile * T::kTokens, first_row = split * T::kRows;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warp_m = warp % T::kWarpsM, warp_k = warp / T::kWarpsM;

  // Load: the list, then Q with the first steps.
  copy_queries<T>(p, head, first_token, first_row, q_tile);
  find_queries<T>(p, lists, first_token);
  __syncthreads();
  const int steps = unite_blocks<T>(p, lists, head, first_token) * T::kSteps;
#pragma unroll
  for (int s = 0; s < T::kStages - 1; ++s)
    copy_step<T>(p, lists, head, s, steps, stages + s * kConfig.stage_bytes(kShape), kConfig.k_bytes(kShape));

  // The lane's two rows: the bit of their query in the membership words, and the last key it sees.
  unsigned member[2];
  int last_key[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int tile_row = first_row + warp_m * 16 + lane / 4 + 8 * half, query = tile_row / T::kGroup;
    const bool exists = tile_row < T::kTokens * T::kGroup;
    member[half] = exists ? 1u << query : 0;
    last_key[half] = exists ? lists.queries[query].last_key : -1;
  }

  const float scale_log2 = p.scale * cuda::kLog2E;
  const unsigned q = q_tile + warp_m * 16 * T::KTile::kPitch + cuda::left_operand_offset<typename T::KTile>(lane);
  const unsigned k_offset = warp_k * T::kWarpKeys * T::KTile::kPitch + cuda::right_operand_offset<typename T::KTile>(lane);
  const unsigned v_offset =
      kConfig.k_bytes(kShape) + warp_k * T::kWarpKeys * T::VTile::kPitch + cuda::right_operand_transposed_offset<typename T::VTile>(lane);
  Accumulator<T> acc;
  acc.clear();
  int stage = 0;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    if constexpr (T::kStages > 1) cuda::wait_copies<T::kStages - 2>();
    if constexpr (T::kStages == 1) {
      __syncthreads();
      copy_step<T>(p, lists, head, step, steps, stages, kConfig.k_bytes(kShape));
      cuda::wait_copies<0>();
    }
    __syncthreads();
    if constexpr (T::kStages > 1) {
      const int ahead = stage == 0 ? T::kStages - 1 : stage - 1;  // the buffer of the step before
      copy_step<T>(p, lists, head, step + T::kStages - 1, steps, stages + ahead * kConfig.stage_bytes(kShape), kConfig.k_bytes(kShape));
    }
    const Block block = lists.blocks[step / T::kSteps];
    const unsigned buffer = stages + stage * kConfig.stage_bytes(kShape);
    stage = stage + 1 == T::kStages ? 0 : stage + 1;
    if (!__any_sync(~0u, (block.members & (member[0] | member[1])) != 0)) continue;  // no row of this warp wants it

    float s[T::kWarpKeys / 8][4];
    score<T>(s, q, buffer + k_offset);
    const int first_key = block.key_begin + step % T::kSteps * T::kKeys + warp_k * T::kWarpKeys;
    const int limit_low = block.members & member[0] ? last_key[0] - first_key : -1,
              limit_high = block.members & member[1] ? last_key[1] - first_key : -1;
    if (__any_sync(~0u, min(limit_low, limit_high) < T::kWarpKeys - 1)) {
#pragma unroll
      for (int n = 0; n < T::kWarpKeys / 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (n * 8 + 2 * (lane % 4) + e % 2 > (e < 2 ? limit_low : limit_high)) s[n][e] = cuda::kMasked;
    }
    online_softmax<T>(s, acc, scale_log2);
    accumulate<T>(s, acc, buffer + v_offset);
  }
  cuda::wait_copies<0>();
  __syncthreads();

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = cuda::quad_sum(acc.sum[half]);
    if (lane % 4 == 0) states[warp_k * T::kRows + warp_m * 16 + lane / 4 + 8 * half] = {acc.top[half], sum};
  }
  __syncthreads();
  float* const merged = reinterpret_cast<float*>(smem + kConfig.q_bytes(kShape));
  constexpr int kPitch = Config::output_pitch(kShape);
  merge_outputs<T, kPitch>(acc, merged, states, warp_m, warp_k, lane);
  store<T, kPitch>(p, merged, states, head, first_token, first_row);
}

}  // namespace fsa::selected_query_major
