#pragma once
// Owns the kernel of select_blocks whose warps multiply on their own: block scores by the step, and the best blocks of every
// query, kept as they come. For every target.
#include "cuda/mma.cuh"
#include "cuda/numeric.cuh"
#include "select_blocks/config.h"
#include "select_blocks/queries.cuh"

namespace fsa::select_blocks {

template <Shape kShape, Config kConfig>
struct Plan {
  static_assert(kConfig.warp_rows() % 16 == 0 && kConfig.warp_rows() * kConfig.warps_m == kConfig.tokens, "rows go to warps by 16");
  static_assert(kConfig.warp_keys() % 16 == 0 && kConfig.warp_keys() * kConfig.warps_n == kConfig.keys, "keys go to warps by 16");
  static_assert(kConfig.tokens <= 32 * kConfig.warps_m * kConfig.warps_n, "a lane looks after one query of its warp");
  static_assert(kConfig.q_buffers == kShape.group || (kConfig.q_buffers >= 2 && kConfig.q_buffers < kShape.group && kConfig.k_buffers == 1),
                "queries that are read again come two heads ahead, and their keys then have one buffer");

  static constexpr Shape kShapeOf = kShape;
  static constexpr bool kF16 = kShape.element == Element::kF16;
  static constexpr int kD = kShape.head_dim, kGroup = kShape.group, kTopk = kShape.topk;
  static constexpr int kTokens = kConfig.tokens, kKeys = kConfig.keys, kThreads = kConfig.threads(), kWarps = kThreads / 32;
  static constexpr int kWarpsM = kConfig.warps_m, kWarpRows = kConfig.warp_rows(), kWarpKeys = kConfig.warp_keys();
  static constexpr int kRowTiles = kWarpRows / 16, kKeyTiles = kWarpKeys / 8;
  static constexpr bool kResident = kConfig.q_buffers == kShape.group;
  static constexpr int kQBuffers = kConfig.q_buffers, kKBuffers = kConfig.k_buffers;
  static constexpr int kPerBlock = kShape.keys_per_block(), kSpan = kShape.span(), kBand = kShape.band();
  static constexpr int kRing = kConfig.ring(kShape), kSumPitch = kConfig.sum_pitch();
  static constexpr int kChoices = kShape.choices(), kNewBlocks = kShape.blocks_per_tile(kKeys);
  static constexpr int kCapacity = kConfig.capacity(kShape), kCandidatePitch = kConfig.candidate_pitch(kShape);
  static constexpr int kEntries = kCapacity / 32;
  using Tile = cuda::SmemTile<kConfig.columns(kShape)>;
  static constexpr int kDepth = Tile::kChunks / 2;
};

/// The Q and K tiles in shared memory and the copies that fill them.
template <class T>
class Operands {
  using Tile = typename T::Tile;
  static constexpr int kQBytes = cuda::tile_bytes(T::kTokens, Tile::kChunks * 8), kKBytes = cuda::tile_bytes(T::kKeys, Tile::kChunks * 8);

 public:
  FSA_DEVICE Operands(const Params& p, const Queries& queries, const Extent& extent, unsigned q_tiles, unsigned k_tiles)
      : p_(p), queries_(queries), extent_(extent), q_tiles_(q_tiles), k_tiles_(k_tiles) {}

  /// Starts the first copies.
  FSA_DEVICE void start() {
    if constexpr (T::kResident) {
#pragma unroll 1
      for (int h = 0; h < T::kGroup; ++h) copy_queries(h, h);
      copy_keys(0);
      cuda::commit_copies();
    } else {
#pragma unroll 1
      for (int i = 0; i < T::kQBuffers - 1; ++i) copy_ahead();
    }
  }

  /// Makes the keys of `step` and the queries of head 0 visible to all threads. Every thread is past the step before.
  FSA_DEVICE void open(int step) {
    if constexpr (T::kResident) {
      cuda::wait_copies<0>();
      __syncthreads();
      if constexpr (T::kKBuffers == 2) {
        copy_keys(step + 1);
        cuda::commit_copies();
      }
    } else {
      open_head();
    }
  }

  /// To be called once a warp holds the keys of `step` in registers.
  FSA_DEVICE void release_keys(int step) {
    if constexpr (T::kResident && T::kKBuffers == 1) {
      __syncthreads();
      copy_keys(step + 1);
      cuda::commit_copies();
    }
  }

  /// Makes the queries of head `h` > 0 of the open step visible.
  FSA_DEVICE void advance() {
    if constexpr (!T::kResident) open_head();
  }

  FSA_DEVICE unsigned keys(int step) const { return k_tiles_ + (step % T::kKBuffers) * kKBytes; }
  /// The queries opened last; `h` is their head.
  FSA_DEVICE unsigned queries(int h) const { return q_tiles_ + (T::kResident ? h : buffer_) * kQBytes; }

 private:
  /// Waits for the oldest of the heads under way and starts the copy of one more, into the buffer of the head before.
  FSA_DEVICE void open_head() {
    cuda::wait_copies<T::kQBuffers - 2>();
    __syncthreads();
    buffer_ = buffer_ + 1 == T::kQBuffers ? 0 : buffer_ + 1;
    copy_ahead();
  }

  /// Starts the copy of the next (step, head) in order; a step's keys come with its first head. By then every thread has
  /// the keys of the step before in registers, since fewer heads are under way than a step has.
  FSA_DEVICE void copy_ahead() {
    if (next_step_ < extent_.dense) {
      copy_queries(next_head_, next_buffer_);
      if (next_head_ == 0) copy_keys(next_step_);
    }
    cuda::commit_copies();
    next_buffer_ = next_buffer_ + 1 == T::kQBuffers ? 0 : next_buffer_ + 1;
    if (++next_head_ == T::kGroup) next_head_ = 0, ++next_step_;
  }

  /// Rows of no query and columns past D are zeros.
  FSA_DEVICE void copy_queries(int h, int buffer) const {
    const long long head = static_cast<long long>(queries_.head) * T::kGroup + h;
    const char* const first = static_cast<const char*>(p_.q) + (queries_.first_token * p_.q_stride.token + head * p_.q_stride.head) * 2;
    copy_rows<T::kTokens>(first, p_.q_stride.token * 2, queries_.tokens, p_.q, q_tiles_ + buffer * kQBytes);
  }

  /// Keys that no query of the tile sees are zeros.
  FSA_DEVICE void copy_keys(int step) const {
    if (step >= extent_.dense) return;
    const int begin = step * T::kKeys;
    const char* const first =
        static_cast<const char*>(p_.ck) + ((queries_.first_key + begin) * p_.ck_stride.token + queries_.head * p_.ck_stride.head) * 2;
    copy_rows<T::kKeys>(first, p_.ck_stride.token * 2, extent_.keys - begin, p_.ck, k_tiles_ + (step % T::kKBuffers) * kKBytes);
  }

  template <int kRows>
  FSA_DEVICE static void copy_rows(const char* first, long long row_bytes, int rows, const void* readable, unsigned tile) {
#pragma unroll 4
    for (int i = threadIdx.x; i < kRows * Tile::kChunks; i += T::kThreads) {
      const int row = i / Tile::kChunks, chunk = i % Tile::kChunks;
      const bool exists = row < rows && chunk < T::kD / 8;
      cuda::copy16_async_or_zero(tile + Tile::offset(row, chunk), exists ? first + row * row_bytes + chunk * 16 : readable, exists);
    }
  }

  const Params& p_;
  const Queries& queries_;
  const Extent& extent_;
  unsigned q_tiles_, k_tiles_;
  int buffer_ = T::kQBuffers - 1;                        // of the head opened last
  int next_step_ = 0, next_head_ = 0, next_buffer_ = 0;  // of the copy to start next
};

/// A warp's slice of a step's keys, as right operands.
template <class T>
struct Keys {
  unsigned words[T::kDepth][T::kKeyTiles / 2][4];

  FSA_DEVICE void load(unsigned tile) {
#pragma unroll
    for (int d = 0; d < T::kDepth; ++d)
#pragma unroll
      for (int n = 0; n < T::kKeyTiles / 2; ++n) cuda::load_matrices(words[d][n], T::Tile::advance(tile, 2 * d) + n * 16 * T::Tile::kPitch);
  }
};

/// A warp's sums over the heads: 16-row tiles x 8-key tiles, of which a lane holds rows lane/4 and that + 8.
template <class T>
using Sums = float[T::kRowTiles][T::kKeyTiles][4];

/// s = Q K^T, unscaled.
template <class T>
FSA_DEVICE void score(Sums<T>& s, const Keys<T>& keys, unsigned q) {
  cuda::clear(s);
#pragma unroll
  for (int d = 0; d < T::kDepth; ++d) {
    unsigned a[T::kRowTiles][4];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r) cuda::load_matrices(a[r], T::Tile::advance(q, 2 * d) + r * 16 * T::Tile::kPitch);
#pragma unroll
    for (int n = 0; n < T::kKeyTiles / 2; ++n)
#pragma unroll
      for (int r = 0; r < T::kRowTiles; ++r) {
        cuda::mma<T::kF16>(s[r][2 * n], a[r], keys.words[d][n][0], keys.words[d][n][1]);
        cuda::mma<T::kF16>(s[r][2 * n + 1], a[r], keys.words[d][n][2], keys.words[d][n][3]);
      }
  }
}

/// The LSEs of a lane's rows of one head; `lse` belongs to the tile's first query. A row that sees nothing gets one that
/// makes all its exponentials vanish.
template <class T>
FSA_DEVICE void load_lse(float (&value)[T::kRowTiles][2], const float* lse, int first_row, int tokens) {
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float x = __ldg(lse + min(first_row + r * 16 + half * 8, tokens - 1));
      value[r][half] = x == cuda::negative_infinity() ? 1e30f : x;
    }
}

/// sum += 2^shift * exp(s * scale - lse). The difference comes first: large logits would lose their low bits in the change
/// of base.
template <class T>
FSA_DEVICE void add_exponentials(Sums<T>& sum, const Sums<T>& s, const float (&lse)[T::kRowTiles][2], float scale) {
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[r][n][e] += cuda::exp2_fast(fmaf(fmaf(s[r][n][e], scale, -lse[r][e / 2]), cuda::kLog2E, kScoreShift));
}

/// The sums of the latest keys [ring, tokens + 4], key by key. Key i of the sequence lies at place (i + halo) % ring;
/// places before key 0 hold zeros.
template <class T>
class Ring {
 public:
  FSA_DEVICE explicit Ring(float* sums) : sums_(sums) {}

  FSA_DEVICE void clear() const {
    for (int i = threadIdx.x; i < T::kRing * T::kSumPitch; i += T::kThreads) sums_[i] = 0;
  }

  /// Place of key `first` + `offset`, -halo <= offset < keys of a step, where `first`, the step's first key, lies at `head`.
  FSA_DEVICE static int place(int head, int offset) {
    const int at = head + offset;
    return at < 0 ? at + T::kRing : at >= T::kRing ? at - T::kRing : at;
  }

  /// Stores a warp's sums; `row` and `column` are the lane's first.
  FSA_DEVICE void store(const Sums<T>& sum, int head, int row, int column) const {
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
      for (int odd = 0; odd < 2; ++odd) {
        float* const at = sums_ + place(head, column + n * 8 + odd) * T::kSumPitch + row;
#pragma unroll
        for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
          for (int half = 0; half < 2; ++half) at[r * 16 + half * 8] = sum[r][n][2 * half + odd];
      }
  }

  /// The weighted sum of the band of keys that begins at place `at`, in ascending order.
  FSA_DEVICE float band(int at, int token) const {
    constexpr int kUnroll = T::kBand <= 16 ? T::kBand : 4;
    float sum = 0;
#pragma unroll kUnroll
    for (int o = 0; o < T::kBand; ++o) {
      sum = fmaf(static_cast<float>(T::kShapeOf.weight(o)), sums_[at * T::kSumPitch + token], sum);
      at = at + 1 == T::kRing ? 0 : at + 1;
    }
    return sum;
  }

 private:
  float* sums_;
};

/// What is kept of each query's candidates, in no particular order. A key is the bits of a score, plus one: they order
/// like the scores, which are not negative, and 0 stands for nothing.
template <class T>
class Candidates {
 public:
  FSA_DEVICE Candidates(void* lists, void* states)
      : keys_(static_cast<unsigned*>(lists)),
        blocks_(reinterpret_cast<int*>(keys_ + T::kTokens * T::kCandidatePitch)),
        counts_(static_cast<int*>(states)),
        thresholds_(reinterpret_cast<unsigned*>(counts_ + T::kTokens)) {}

  FSA_DEVICE void clear() const {
    for (int i = threadIdx.x; i < T::kTokens; i += T::kThreads) counts_[i] = 0, thresholds_[i] = 0;
  }

  /// Takes block `block` up unless kChoices better ones are known. Those have smaller numbers, so that they win ties.
  FSA_DEVICE void offer(int token, int block, float score) const {
    const unsigned key = (__float_as_uint(score) & 0x7fffffffu) + 1;
    if (key <= thresholds_[token]) return;
    const int at = token * T::kCandidatePitch + atomicAdd(counts_ + token, 1);
    keys_[at] = key;
    blocks_[at] = block;
  }

  /// Thins out the lists that might not hold what the next step offers. The queries of a warp are its number and every
  /// kWarps-th further on.
  FSA_DEVICE void make_room(int warp, int lane) const {
    const int mine = warp + lane * T::kWarps;
    unsigned full = __ballot_sync(~0u, mine < T::kTokens && counts_[mine < T::kTokens ? mine : 0] > T::kCapacity - T::kNewBlocks);
    for (; full; full &= full - 1) thin_out(warp + (__ffs(full) - 1) * T::kWarps, lane);
  }

  /// The query's best kChoices, in no particular order; the lane's part is entries lane and lane + 32. Returns their list.
  FSA_DEVICE const int* best(int token, int lane) const {
    if (counts_[token] > T::kChoices) thin_out(token, lane);
    return blocks_ + token * T::kCandidatePitch;
  }

 private:
  /// Leaves the query's best kChoices of the more that it has.
  FSA_DEVICE void thin_out(int token, int lane) const {
    unsigned* const keys = keys_ + token * T::kCandidatePitch;
    int* const blocks = blocks_ + token * T::kCandidatePitch;
    const int count = counts_[token];
    unsigned key[T::kEntries];
    int block[T::kEntries];
    unsigned smallest = ~0u, largest = 0;
#pragma unroll
    for (int e = 0; e < T::kEntries; ++e) {
      const int i = e * 32 + lane;
      key[e] = i < count ? keys[i] : 0;
      block[e] = i < count ? blocks[i] : 0;
      largest = max(largest, key[e]);
      smallest = min(smallest, i < count ? key[e] : ~0u);
    }
    const auto number = [&](auto holds) {
      int n = 0;
#pragma unroll
      for (int e = 0; e < T::kEntries; ++e) n += __popc(__ballot_sync(~0u, holds(e)));
      return n;
    };

    // The kChoices-th largest key: at least so many are >= low, fewer are >= high.
    unsigned low = __reduce_min_sync(~0u, smallest), high = __reduce_max_sync(~0u, largest) + 1;
    int at_least = count;
    while (high - low > 1 && at_least != T::kChoices) {
      const unsigned middle = low + (high - low) / 2;
      const int n = number([&](int e) { return key[e] >= middle; });
      if (n >= T::kChoices)
        low = middle, at_least = n;
      else
        high = middle;
    }
    // More than kChoices: there are ties at `low`, of which the smallest block numbers stay.
    int last_tie = 1 << 30;
    if (at_least != T::kChoices) {
      const int wanted = T::kChoices - number([&](int e) { return key[e] > low; });
      int below = -1;
      while (last_tie - below > 1) {
        const int middle = below + (last_tie - below) / 2;
        if (number([&](int e) { return key[e] == low && block[e] <= middle; }) >= wanted)
          last_tie = middle;
        else
          below = middle;
      }
    }

    __syncwarp();  // all entries are in registers
    unsigned worst = ~0u;
    int kept = 0;
#pragma unroll
    for (int e = 0; e < T::kEntries; ++e) {
      const bool keeps = key[e] > low || (key[e] == low && block[e] <= last_tie);
      const unsigned keepers = __ballot_sync(~0u, keeps);
      if (keeps) {
        const int at = kept + __popc(keepers & ((1u << lane) - 1));
        keys[at] = key[e];
        blocks[at] = block[e];
        worst = min(worst, key[e]);
      }
      kept += __popc(keepers);
    }
    worst = __reduce_min_sync(~0u, worst);
    if (lane == 0) counts_[token] = kept, thresholds_[token] = worst;
    __syncwarp();
  }

  unsigned* keys_;
  int* blocks_;
  int* counts_;
  unsigned* thresholds_;
};

/// Scores the blocks [begin, end), which the step whose first key is `first_key` has finished, and offers them.
template <class T>
FSA_DEVICE void offer_blocks(const Queries& queries, const Ring<T>& ring, const Candidates<T>& candidates, int head, int first_key,
                             int begin, int end) {
  constexpr int kAtOnce = T::kBand <= 16 ? 4 : 1;
  const int items = (end - begin) * T::kTokens;
#pragma unroll 1
  for (int base = threadIdx.x; base < items; base += kAtOnce * T::kThreads) {
    float scores[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      const int item = min(base + u * T::kThreads, items - 1);
      const int first = (begin + item / T::kTokens) * T::kPerBlock - (T::kSpan - 1);
      scores[u] = ring.band(Ring<T>::place(head, first - first_key), item % T::kTokens);
    }
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      const int item = base + u * T::kThreads, token = item % T::kTokens, block = begin + item / T::kTokens;
      const int own = T::kShapeOf.own_block(queries.position + token);
      if (item < items && token < queries.tokens && block < T::kShapeOf.choice_end(own) && T::kShapeOf.may_choose(block, own))
        candidates.offer(token, block, scores[u]);
    }
  }
}

/// Grid: Hkv * (Tq / tokens + B), heads fastest, the last queries first.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run_mma(const Params& p) {
  using T = Plan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  Queries queries;
  if (!load_queries<T>(p, queries)) return;
  const Extent extent = extent_of<T>(queries);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const unsigned tiles = cuda::smem_address(smem);
  const Ring<T> ring(reinterpret_cast<float*>(smem + kConfig.sum_offset(kShape)));
  const Candidates<T> candidates(smem + kConfig.candidate_offset(kShape), smem + kConfig.state_offset(kShape));

  Operands<T> operands(p, queries, extent, tiles, tiles + kConfig.k_offset(kShape));
  if (extent.dense > 0) operands.start();
  ring.clear();
  candidates.clear();

  // The warp's slice of every step, and the lane's first row and column in the step.
  const int slice_row = warp % T::kWarpsM * T::kWarpRows, slice_key = warp / T::kWarpsM * T::kWarpKeys;
  const int row = slice_row + lane / 4, column = slice_key + 2 * (lane % 4);
  const unsigned q_offset = slice_row * T::Tile::kPitch + cuda::left_operand_offset<typename T::Tile>(lane);
  const unsigned k_offset = slice_key * T::Tile::kPitch + cuda::right_operand_offset<typename T::Tile>(lane);
  const int last_row = min(slice_row + T::kWarpRows, queries.tokens) - 1;
  const int slice_end = last_row < slice_row ? 0 : T::kShapeOf.visible_keys(queries.position + last_row, queries.len_c);

  int head = kShape.halo(T::kKeys);  // place of the step's first key
  int done = 0;                      // blocks that are scored
#pragma unroll 1
  for (int step = 0; step < extent.steps; ++step) {
    const int first_key = step * T::kKeys;
    if (step < extent.dense)
      operands.open(step);
    else
      __syncthreads();
    candidates.make_room(warp, lane);

    Sums<T> sum = {};
    if (step < extent.dense) {
      const bool sees = slice_end > first_key + slice_key;
      Keys<T> keys;
      keys.load(operands.keys(step) + k_offset);
      operands.release_keys(step);
#pragma unroll 1
      for (int h = 0; h < T::kGroup; ++h) {
        if (h > 0) operands.advance();
        if (!sees) continue;
        float lse[T::kRowTiles][2];
        load_lse<T>(lse, p.lse + (static_cast<long long>(queries.head) * T::kGroup + h) * p.total_q + queries.first_token, row,
                    queries.tokens);
        Sums<T> s;
        score<T>(s, keys, operands.queries(h) + q_offset);
        add_exponentials<T>(sum, s, lse, p.scale);
      }
      // Masked by selection, not by a factor: a key that a query does not see may hold NaN.
#pragma unroll
      for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int limit = T::kShapeOf.visible_keys(queries.position + row + r * 16 + half * 8, queries.len_c) - first_key - column;
          if (__all_sync(~0u, limit >= T::kWarpKeys)) continue;
#pragma unroll
          for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
            for (int odd = 0; odd < 2; ++odd)
              if (n * 8 + odd >= limit) sum[r][n][2 * half + odd] = 0;
        }
    }
    ring.store(sum, head, row, column);
    __syncthreads();
    const int end = min((first_key + T::kKeys) / T::kPerBlock, extent.blocks);
    offer_blocks<T>(queries, ring, candidates, head, first_key, done, end);
    done = end;
    head = Ring<T>::place(head, T::kKeys);
  }
  __syncthreads();

  for (int token = warp; token < queries.tokens; token += T::kWarps) {
    const int own = T::kShapeOf.own_block(queries.position + token);
    const int* const chosen = own < T::kTopk ? nullptr : candidates.best(token, lane);
    store_blocks<T, 32, 1>(blocks_of<T>(p, queries, token), own, chosen, lane);
  }
}

}  // namespace fsa::select_blocks
