#pragma once
// Owns the kernel of select_blocks whose warps multiply together: block scores by the step, and the best blocks of every query,
// kept as they come. For sm_90a alone.
#include "cuda/hopper/mbarrier.cuh"
#include "cuda/hopper/wgmma.cuh"
#include "cuda/numeric.cuh"
#include "select_blocks/config.h"
#include "select_blocks/own_list.cuh"
#include "select_blocks/queries.cuh"

namespace fsa::select_blocks {

/// Products are K Q^T: rows are the 64 keys of a step, 16 to each warp, and columns the queries of one head.
template <Shape kShape, Config kConfig>
struct WgmmaPlan {
  static_assert(kConfig.keys == 64 && kConfig.warps_m == 1 && kConfig.warps_n == 4, "the keys of a step are the rows of a product");
  static_assert(kConfig.keys % kShape.keys_per_block() == 0 && kShape.span() <= kConfig.keys, "blocks end where steps end");
  static_assert(kConfig.q_buffers == kShape.group && kConfig.k_buffers == 0, "shared memory holds the queries, registers the keys");
  static_assert(kConfig.tokens % 16 == 0 && kConfig.threads() % kConfig.tokens == 0, "each thread scores blocks of one query");
  static_assert(kShape.blocks_per_tile(kConfig.keys) % kConfig.scorers() == 0, "the scorers of a query have as many blocks each");

  static constexpr Shape kShapeOf = kShape;
  static constexpr bool kF16 = kShape.element == Element::kF16;
  static constexpr int kD = kShape.head_dim, kGroup = kShape.group, kTopk = kShape.topk;
  static constexpr int kTokens = kConfig.tokens, kKeys = kConfig.keys, kThreads = kConfig.threads(), kWarps = kThreads / 32;
  static constexpr int kPerBlock = kShape.keys_per_block(), kBand = kShape.band(), kHalo = kShape.span() - 1;
  static constexpr int kSumPitch = kConfig.sum_pitch(), kChoices = kShape.choices();
  static constexpr int kTiles = kTokens / 8;                    // 8-query tiles of a product
  static constexpr int kSlices = kConfig.columns(kShape) / 32;  // 16 bytes of a row for each lane of a quad
  static constexpr int kScorers = kConfig.scorers(), kOffers = kConfig.offers(kShape), kCapacity = kConfig.capacity(kShape);
  static constexpr int kWarpTokens = kTokens / kWarps;
};

/// What a thread scores: of the blocks of every step part number `part`, for one query. The scorers of a query are kWarpTokens lanes
/// apart.
template <class T>
struct Scorer {
  int part, token;
  int own, end;  // the query's block, and the end of those that it may choose

  FSA_DEVICE explicit Scorer(const Queries& queries) {
    const int lane = threadIdx.x % 32;
    part = lane / T::kWarpTokens;
    token = threadIdx.x / 32 * T::kWarpTokens + lane % T::kWarpTokens;
    own = T::kShapeOf.own_block(queries.position + token);
    end = token < queries.tokens ? T::kShapeOf.choice_end(own) : 0;
  }
};

/// The queries of all heads of the group in shared memory as 8x8 matrices of 128 bytes, those of the same depth one after another.
/// A lane of a quad has 16 bytes of a key's row per slice of 32 columns, so of a slice's two products the first takes the halves
/// of each 16 bytes that come first; the columns of Q are dealt alike.
template <class T>
struct QueryTiles {
  static constexpr int kDepthBytes = T::kTokens * 16;  // 8 columns of all queries
  static constexpr int kHeadBytes = T::kSlices * 4 * kDepthBytes;

  /// A thread takes 16 bytes, a quad 64, of every kPassTokens-th query and every kPassSlices-th slice of all heads.
  FSA_DEVICE static void load(const Params& p, const Queries& queries, unsigned tiles) {
    constexpr int kRows = T::kThreads / 4, kPassTokens = T::kTokens < kRows ? T::kTokens : kRows, kPassSlices = kRows / kPassTokens;
    constexpr int kPasses = T::kTokens / kPassTokens, kSlicePasses = ceil_div(T::kSlices, kPassSlices);
    // Heads whose pieces are under way at once: 16 pieces are, where a head does not have more.
    constexpr int kRoom = 16 / (kPasses * kSlicePasses), kHeads = kRoom < 1 ? 1 : kRoom < T::kGroup ? kRoom : T::kGroup;
    const int row = threadIdx.x / 4, token = row % kPassTokens, slice = row / kPassTokens, quarter = threadIdx.x % 4;
    const long long group = static_cast<long long>(queries.head) * T::kGroup, token_bytes = p.q_stride.token * 2;
    const char* from = static_cast<const char*>(p.q) + group * p.q_stride.head * 2 + (queries.first_token + token) * token_bytes +
                       slice * 64 + quarter * 16;
    unsigned to = tiles + slice * 4 * kDepthBytes + token * 16 + quarter * 4;
#pragma unroll 1
    for (int head = 0; head < T::kGroup; head += kHeads) {
      uint4 pieces[kHeads][kPasses][kSlicePasses];
      const auto for_each_piece = [&](auto visit) {
#pragma unroll
        for (int h = 0; h < kHeads; ++h)
#pragma unroll
          for (int pass = 0; pass < kPasses; ++pass)
#pragma unroll
            for (int s = 0; s < kSlicePasses; ++s)
              if (T::kGroup % kHeads == 0 || head + h < T::kGroup)
                if (T::kSlices % kPassSlices == 0 || slice + s * kPassSlices < T::kSlices)
                  visit(pieces[h][pass][s], h, pass * kPassTokens, s * kPassSlices);
      };
      for_each_piece([&](uint4& piece, int h, int further_token, int further_slice) {
        const bool exists =
            token + further_token < queries.tokens && (T::kD % 32 == 0 || (slice + further_slice) * 32 + quarter * 8 < T::kD);
        piece = make_uint4(0, 0, 0, 0);
        if (exists) piece = cuda::load16_streaming(from + h * p.q_stride.head * 2 + further_token * token_bytes + further_slice * 64);
      });
      for_each_piece([&](const uint4& piece, int h, int further_token, int further_slice) {
        const unsigned at = to + h * kHeadBytes + further_slice * 4 * kDepthBytes + further_token * 16;
        cuda::store_smem(at, piece.x);
        cuda::store_smem(at + kDepthBytes, piece.y);
        cuda::store_smem(at + 2 * kDepthBytes, piece.z);
        cuda::store_smem(at + 3 * kDepthBytes, piece.w);
      });
      from += kHeads * p.q_stride.head * 2;
      to += kHeads * kHeadBytes;
    }
  }

  /// The right operand of a product of depth 16: matrices kDepthBytes apart along the depth, 128 along the queries.
  FSA_DEVICE static unsigned long long operand(unsigned tiles) {
    return static_cast<unsigned long long>(128 >> 4) << 32 | static_cast<unsigned long long>(kDepthBytes >> 4) << 16 |
           (tiles & 0x3ffff) >> 4;
  }
  /// To product `step` of head `h`.
  FSA_DEVICE static constexpr unsigned long long on(int h, int step) { return (h * kHeadBytes + step * 2 * kDepthBytes) >> 4; }
};

/// Where a lane finds its keys: 16 bytes of a row, and as many 64 bytes further on.
template <class T>
class LaneKeys {
 public:
  FSA_DEVICE LaneKeys(const Params& p, const Queries& queries, const Extent& extent, int warp, int lane)
      : rows_(static_cast<const char*>(p.ck) +
              (queries.first_key * p.ck_stride.token + queries.head * p.ck_stride.head + lane % 4 * 8) * 2),
        row_bytes_(p.ck_stride.token * 2),
        first_(warp * 16 + lane / 4),
        last_(extent.keys - 1) {}

  /// Row lane/4 (`half` 0) or the eighth after it of the warp's rows of a step. Rows past the last key repeat it: their sums are masked,
  /// or belong to no block that is scored.
  FSA_DEVICE const char* row(int step, int half) const { return rows_ + min(step * T::kKeys + first_ + half * 8, last_) * row_bytes_; }

 private:
  const char* rows_;
  long long row_bytes_;
  int first_, last_;
};

/// A warp's 16 keys of a step on their way: of key lane/4 and of the eighth after it a lane has 16 bytes per slice.
template <class T>
struct KeyPieces {
  uint4 pieces[T::kSlices][2];

  FSA_DEVICE void load(const LaneKeys<T>& keys, int step, int lane) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const char* const row = keys.row(step, half);
#pragma unroll
      for (int s = 0; s < T::kSlices; ++s) {
        const bool exists = (s + 1) * 32 <= T::kD || s * 32 + lane % 4 * 8 < T::kD;
        pieces[s][half] = exists ? cuda::load16_streaming(row + s * 64) : make_uint4(0, 0, 0, 0);
      }
    }
  }
};

/// The same keys as left operands of products.
template <class T>
struct KeyRows {
  unsigned words[T::kSlices * 2][4];

  FSA_DEVICE void take(const KeyPieces<T>& next) {
#pragma unroll
    for (int s = 0; s < T::kSlices; ++s)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint4 piece = next.pieces[s][half];
        words[2 * s][half] = piece.x, words[2 * s][2 + half] = piece.y;
        words[2 * s + 1][half] = piece.z, words[2 * s + 1][2 + half] = piece.w;
      }
  }
};

/// A warp's products or sums: of key lane/4 and that + 8, queries 8i + 2*(lane%4) and one more.
template <class T>
using KeySums = float[T::kTiles][4];

template <class T>
FSA_DEVICE void clear(KeySums<T>& sum) {
#pragma unroll
  for (int i = 0; i < T::kTiles; ++i)
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[i][e] = 0;
}

/// Starts s = K Q^T with the queries of a head. `zero` is 0, and the product starts after whatever it is made from.
template <class T>
FSA_DEVICE void start_product(KeySums<T>& s, const KeyRows<T>& keys, unsigned long long queries, int zero) {
  cuda::hopper::pin(s);
  cuda::hopper::wgmma_fence();
#pragma unroll
  for (int step = 0; step < T::kSlices * 2; ++step)
    cuda::hopper::wgmma<T::kF16>(s, keys.words[step], queries + QueryTiles<T>::on(0, step), step > 0 ? 1 : zero);
  cuda::hopper::wgmma_commit();
}

/// 0, made from all sums, in a way that the compiler does not see through: they are not negative, and no NaN has a sign here.
template <class T>
FSA_DEVICE int zero_after(const KeySums<T>& sum) {
  unsigned bits = 0;
#pragma unroll
  for (int i = 0; i < T::kTiles; ++i)
#pragma unroll
    for (int e = 0; e < 4; ++e) bits |= __float_as_uint(sum[i][e]);
  return bits >> 31;
}

/// Exponentials by one multiplication and addition: exp(s * scale - lse) = 2^(s * in_log2 - lse / ln 2). in_log2 is rounded, which logits
/// of a thousand would feel in their fourth digit; so LSEs are multiplied by in_log2 / scale, not by 1 / ln 2. What is left of that error
/// is relative to the logit's distance from the LSE.
struct ScaleLog2 {
  float in_log2, beyond;  // scale / ln 2, and in_log2 / scale - kLog2E

  FSA_DEVICE explicit ScaleLog2(float scale) : in_log2(scale * cuda::kLog2E), beyond(fmaf(-scale, cuda::kLog2E, in_log2) / scale) {}

  /// The exponent that belongs to a logit of 0, shifted. A row that sees nothing gets one that makes all its exponentials vanish.
  FSA_DEVICE float exponent(float lse) const {
    if (lse == cuda::negative_infinity()) return -1e30f;
    const float product = lse * cuda::kLog2E;
    return kScoreShift - (fabsf(product) < 1e30f ? product + fmaf(lse, beyond, fmaf(lse, cuda::kLog2E, -product)) : product);
  }
};

/// The exponents of all heads' queries, in the order in which lanes take them: of queries 2q, 2q + 1, 8 + 2q, 8 + 2q + 1, ... for q = 0
/// to 3, kPitch apart.
template <class T>
struct LaneExponents {
  static constexpr int kPitch = T::kTiles * 2 + 4;  // the lanes of a quad meet no bank twice
  float of_query[T::kTiles * 2];

  FSA_DEVICE static void store(const Params& p, const Queries& queries, const ScaleLog2& scale, float* exponents) {
    for (int i = threadIdx.x; i < T::kGroup * T::kTokens; i += T::kThreads) {
      const int h = i / T::kTokens, token = i % T::kTokens;
      const long long row = (static_cast<long long>(queries.head) * T::kGroup + h) * p.total_q + queries.first_token;
      const float lse = __ldg(p.lse + row + max(0, min(token, queries.tokens - 1)));
      exponents[(h * 4 + token % 8 / 2) * kPitch + token / 8 * 2 + token % 2] = scale.exponent(lse);
    }
  }
  /// Those of head `h` for the lane whose first are at `exponents`.
  FSA_DEVICE void load(const float* exponents, int h) {
#pragma unroll
    for (int i = 0; i < T::kTiles * 2; i += 4) {
      const float4 four = *reinterpret_cast<const float4*>(exponents + h * 4 * kPitch + i);
      of_query[i] = four.x, of_query[i + 1] = four.y, of_query[i + 2] = four.z, of_query[i + 3] = four.w;
    }
  }
};

/// sum += 2^shift * exp(s * scale - lse), or the first such.
template <class T>
FSA_DEVICE void add_exponentials(KeySums<T>& sum, bool first, const KeySums<T>& s, const LaneExponents<T>& exponents, float in_log2) {
#pragma unroll
  for (int i = 0; i < T::kTiles; ++i)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float exponential = cuda::exp2_fast(fmaf(s[i][e], in_log2, exponents.of_query[2 * i + e % 2]));
      sum[i][e] = first ? exponential : sum[i][e] + exponential;
    }
}

/// Clears the sums of keys that a query does not see. By selection, not by a factor: such a key may hold NaN.
template <class T>
FSA_DEVICE void mask(KeySums<T>& sum, const Queries& queries, int first_key, int column) {
#pragma unroll
  for (int i = 0; i < T::kTiles; ++i)
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      const int limit = T::kShapeOf.visible_keys(queries.position + i * 8 + column + odd, queries.len_c) - first_key;
      if (limit <= 0) sum[i][odd] = 0;
      if (limit <= 8) sum[i][2 + odd] = 0;
    }
}

/// The sums of the latest keys: kHalo of the steps before, then a step's. The columns of each kPartRows rows are exchanged another
/// way, so that the scorers of a query, who read as many rows apart, meet no bank twice.
template <class T>
class SumWindow {
  static constexpr int kPartRows = T::kOffers * T::kPerBlock;
  static constexpr int kExchanged = T::kTokens < 32 ? T::kTokens / T::kWarpTokens : T::kScorers;
  static_assert((kExchanged & (kExchanged - 1)) == 0, "columns are exchanged by some of their bits");

 public:
  FSA_DEVICE explicit SumWindow(float* sums) : sums_(sums) {}

  /// Zeros where the first step finds what a step before would have left; it stores all else.
  FSA_DEVICE void clear() const {
    for (int i = threadIdx.x; i < T::kHalo * T::kSumPitch; i += T::kThreads) sums_[i] = 0;
  }

  /// Stores a lane's sums, of which `key` and `column` are the first. What this lane stored of the last kHalo keys a step ago goes
  /// before the new ones.
  FSA_DEVICE void store(const KeySums<T>& sum, int key, int column) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = T::kHalo + key + half * 8;
      // A warp's first eight keys are not among the last kHalo where these are few.
      if (T::kHalo > 0 && (half == 1 || T::kHalo > 8) && row >= T::kKeys)
#pragma unroll
        for (int i = 0; i < T::kTiles; ++i)
          *reinterpret_cast<float2*>(at(row - T::kKeys, i, column)) = *reinterpret_cast<const float2*>(at(row, i, column));
#pragma unroll
      for (int i = 0; i < T::kTiles; ++i)
        *reinterpret_cast<float2*>(at(row, i, column)) = make_float2(sum[i][2 * half], sum[i][2 * half + 1]);
    }
  }

  /// The scores of a scorer's blocks of the step.
  FSA_DEVICE void score(float (&scores)[T::kOffers], const Scorer<T>& scorer) const {
    constexpr int kUnroll = T::kOffers * T::kBand <= 64 ? T::kBand : 4;
#pragma unroll
    for (int u = 0; u < T::kOffers; ++u) {
      scores[u] = 0;
#pragma unroll kUnroll
      for (int o = 0; o < T::kBand; ++o)
        scores[u] = fmaf(static_cast<float>(T::kShapeOf.weight(o)), *part_row(scorer, u * T::kPerBlock + o), scores[u]);
    }
  }

  /// Room for the chosen blocks of all queries, once nothing is scored any more.
  FSA_DEVICE int* chosen() const { return reinterpret_cast<int*>(sums_); }

 private:
  FSA_DEVICE static int exchange(int part) { return part % kExchanged * T::kWarpTokens; }
  /// Column `column` of tile `tile` in row `row`. What the compiler knows of it comes last, so that tiles share addresses.
  FSA_DEVICE float* at(int row, int tile, int column) const {
    constexpr int kMask = (kExchanged - 1) * T::kWarpTokens;
    const int exchanged = exchange(row / kPartRows) ^ (column & kMask) ^ (tile * 8 & kMask);
    return sums_ + row * T::kSumPitch + (column & ~kMask) + exchanged + (tile * 8 & ~kMask);
  }
  /// Row `row` of a scorer's own, at its query.
  FSA_DEVICE const float* part_row(const Scorer<T>& scorer, int row) const {
    return sums_ + (scorer.part * kPartRows + row) * T::kSumPitch + (scorer.token ^ exchange(scorer.part + row / kPartRows));
  }

  float* sums_;
};

/// The sums of the exponentials of the group. The product of head 0 is done, in s[0]. That of head h starts when that of h - 1 has ended
/// and the exponentials of h - 2 have been taken; it is issued part by part, and the exponentials of h - 1 fill the gaps. Left alone, the
/// compiler puts all exponentials off until the products are done.
template <class T>
FSA_DEVICE void add_group(KeySums<T>& sum, KeySums<T> (&s)[2], const KeyRows<T>& keys, unsigned long long operand, const float* exponents,
                          float in_log2) {
#pragma unroll
  for (int h = 0; h < T::kGroup; ++h) {
    LaneExponents<T> exponents_of_head;
    exponents_of_head.load(exponents, h);
    if (h > 0) cuda::hopper::wgmma_wait<0>();
    cuda::hopper::pin(s[h % 2]);
    if (h + 1 < T::kGroup) start_product<T>(s[(h + 1) % 2], keys, operand + QueryTiles<T>::on(h + 1, 0), h == 0 ? 0 : zero_after<T>(sum));
    add_exponentials<T>(sum, h == 0, s[h % 2], exponents_of_head, in_log2);
  }
}

/// Scores the blocks of a step, the first of which is `step_block`, and takes up what may be among the best. Without a branch: a
/// product is under way.
template <class T>
FSA_DEVICE void offer_blocks(const SumWindow<T>& window, OwnList<T>& list, const Scorer<T>& scorer, int step_block) {
  float scores[T::kOffers];
  window.score(scores, scorer);
#pragma unroll
  for (int u = 0; u < T::kOffers; ++u) {
    const int block = step_block + scorer.part * T::kOffers + u;
    list.offer(block, scores[u], block < scorer.end && T::kShapeOf.may_choose(block, scorer.own));
  }
}

/// Grid: Hkv * (Tq / tokens + B), heads fastest, the last queries first.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run_wgmma(const Params& p) {
  using T = WgmmaPlan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  Queries queries;
  if (!load_queries<T>(p, queries)) return;
  Extent extent = extent_of<T>(queries);
  // The compiler has to see that warps do not part where products are under way.
  extent.steps = __shfl_sync(~0u, extent.steps, 0), extent.dense = __shfl_sync(~0u, extent.dense, 0);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int key = warp * 16 + lane / 4, column = 2 * (lane % 4);  // a lane's first in a product
  float* const exponents = reinterpret_cast<float*>(smem + kConfig.exponent_offset(kShape));
  const ScaleLog2 scale(p.scale);
  const SumWindow<T> window(reinterpret_cast<float*>(smem + kConfig.sum_offset(kShape)));
  const Scorer<T> scorer(queries);
  OwnList<T> list(smem + kConfig.candidate_offset(kShape));

  const LaneKeys<T> lane_keys(p, queries, extent, warp, lane);
  KeyPieces<T> first_keys = {};
  if (extent.dense > 0) {
    first_keys.load(lane_keys, 0, lane);
    QueryTiles<T>::load(p, queries, cuda::smem_address(smem));
    LaneExponents<T>::store(p, queries, scale, exponents);
    cuda::hopper::fence_async_proxy();
  }
  window.clear();
  __syncthreads();

  const unsigned long long operand = QueryTiles<T>::operand(cuda::smem_address(smem));
  const float* const lane_exponents = exponents + lane % 4 * LaneExponents<T>::kPitch;
  const int all_see = kShape.visible_keys(queries.position, queries.len_c);
  KeyRows<T> keys;
  keys.take(first_keys);
  KeySums<T> s[2];
  start_product<T>(s[0], keys, operand, 0);
  cuda::hopper::wgmma_wait<0>();
#pragma unroll 1
  for (int step = 0; step < extent.steps; ++step) {
    const int first_key = step * T::kKeys;
    KeySums<T> sum;
    if (step < extent.dense) {
      // The keys of the next step come while this one multiplies.
      KeyPieces<T> next = {};
      if (step + 1 < extent.dense) next.load(lane_keys, step + 1, lane);
      cuda::hopper::pin(s[0]);
      add_group<T>(sum, s, keys, operand, lane_exponents, scale.in_log2);
      keys.take(next);
      if (first_key + T::kKeys > all_see) mask<T>(sum, queries, first_key + key, column);
    } else {
      clear<T>(sum);
    }
    window.store(sum, key, column);
    __syncthreads();
    // The first product of the next step, unused after the last, runs while this step's blocks are scored.
    start_product<T>(s[0], keys, operand, 0);
    offer_blocks<T>(window, list, scorer, first_key / T::kPerBlock);
    cuda::hopper::wgmma_wait<0>();
    cuda::hopper::pin(s[0]);
    if (__syncthreads_or(list.full())) list.thin_out(T::kChoices + kSpareCandidates);
  }
  list.thin_out(T::kChoices);
  list.gather(window.chosen() + scorer.token);
  __syncwarp();
  if (scorer.token < queries.tokens)
    store_blocks<T, T::kScorers, T::kTokens>(blocks_of<T>(p, queries, scorer.token), scorer.own, window.chosen() + scorer.token,
                                             scorer.part);
}

}  // namespace fsa::select_blocks
