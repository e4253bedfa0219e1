#pragma once
// Owns the CUDA core of attention over ranges: every query row sees one run of the packed rows of K and V, which a family's
// Rule gives. A tile of query rows walks what its rows see, sequence by sequence, with an online softmax.
#include "cuda/mma.cuh"
#include "cuda/numeric.cuh"
#include "cuda/range_config.h"
#include "cuda/sequences.cuh"
#include "cuda/tile_copy.cuh"
#include "range_params.h"

namespace fsa::cuda {

template <RangeShape kShape, RangeConfig kConfig>
struct RangePlan {
  static_assert(kConfig.keys % kConfig.slice() == 0 && kConfig.slice() % 16 == 0, "a step is cut into whole slices of 16 keys or more");
  static_assert(kConfig.stages >= 2, "a stage is filled while another is read");
  static_assert(kConfig.row_tiles == 1 || kConfig.row_tiles == 2, "a lane looks one row of its warp up");
  static_assert(kShape.head_dim % 8 == 0 && kShape.head_dim_v % 8 == 0, "rows are read and written in 16-byte pieces");

  static constexpr bool kF16 = kShape.element == Element::kF16;
  static constexpr int kWarps = kConfig.warps, kThreads = kConfig.threads(), kRowTiles = kConfig.row_tiles;
  static constexpr int kWarpRows = kConfig.warp_rows(), kRows = kConfig.rows(), kKeys = kConfig.keys, kStages = kConfig.stages;
  static constexpr int kGroup = kShape.group, kD = kShape.head_dim, kDv = kShape.head_dim_v;
  static constexpr int kSlice = kConfig.slice(), kKeyTiles = kSlice / 8;
  using KTile = SmemTile<RangeConfig::k_columns(kShape)>;
  using VTile = SmemTile<RangeConfig::v_columns(kShape)>;
  static constexpr int kOutputTiles = VTile::kChunks;
  static constexpr bool kHoldsQueries = kConfig.held_registers(kShape) > 0;
  /// How far, in units of log2, a row's maximum may rise above its reference before its sums move to a new one: f16
  /// probabilities reach 2^16, and a move is a pass over the accumulators.
  static constexpr float kHeadroom = 8.0f;
};

/// The rows of K and V that a warp's rows see at all, and those that every one of them sees.
struct WarpBounds {
  int begin, end, all_begin, all_end;

  FSA_DEVICE bool meets(int first, int last) const { return max(first, begin) < min(last, end); }
  FSA_DEVICE bool all_see(int first, int last) const { return first >= all_begin && last <= all_end; }
};

/// The range of one row.
struct RowRange {
  int begin, count;
};

/// What a thread block knows about its tile, in shared memory.
template <class T>
struct RangeTables {
  WarpBounds warps[T::kWarps];
  RowRange rows[T::kRows];
  KeyRange segments[T::kRows];  // what the tile's rows see, sequence by sequence; as many as find_ranges returned
  KeyRange steps[T::kStages];   // what each stage holds: its first row, and the end of its segment
  int counts[T::kWarps];        // segments that start in each warp's rows
  unsigned largest;             // bits of the largest finite |V| that a scale was chosen for
};

/// A packed sequence, its bounds inside the tensors whatever cu_q, cu_k and cu_rows hold.
struct RangeSequence {
  int q_begin, q_end, tokens, row_begin, row_end;

  FSA_DEVICE RangeSequence(const RangeParams& p, int b) {
    const auto clamped = [](int x, int low, int high) { return min(max(x, low), high); };
    q_begin = clamped(__ldg(p.cu_q + b), 0, p.total_q);
    q_end = clamped(__ldg(p.cu_q + b + 1), q_begin, p.total_q);
    const int k_begin = clamped(__ldg(p.cu_k + b), 0, p.total_k);
    tokens = clamped(__ldg(p.cu_k + b + 1), k_begin, p.total_k) - k_begin;
    row_begin = clamped(__ldg(p.cu_rows + b), 0, p.total_rows);
    row_end = clamped(__ldg(p.cu_rows + b + 1), row_begin, p.total_rows);
  }
  FSA_DEVICE int position(int token) const { return tokens - (q_end - token); }

  /// Rows of K and V that query `token` sees.
  template <class Rule>
  FSA_DEVICE KeyRange visible(const RangeParams& p, int token) const {
    if (position(token) < 0) return {row_begin, row_begin};
    const KeyRange local = Rule::visible(p, position(token), row_end - row_begin);
    return {row_begin + local.begin, row_begin + local.end};
  }
  /// What the queries [first, last] see together: one run, as both ends rise with the position.
  template <class Rule>
  FSA_DEVICE KeyRange visible(const RangeParams& p, int first, int last) const {
    if (position(last) < 0) return {row_begin, row_begin};
    return {visible<Rule>(p, first + max(0, -position(first))).begin, visible<Rule>(p, last).end};
  }
};

/// Looks the tile's rows up, a lane each, and lists its segments; returns their number. Rows past the last repeat it.
template <class T, class Rule>
FSA_DEVICE int find_ranges(const RangeParams& p, RangeTables<T>& tables, int first_row) {
  constexpr int kNone = 0x7fffffff;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, in_tile = warp * T::kWarpRows + lane % T::kWarpRows;
  const int last_row = p.total_q * T::kGroup - 1, row = min(first_row + in_tile, last_row), token = row / T::kGroup;
  KeyRange mine{kNone, 0}, segment{0, 0};
  const int b = last_not_above(p.num_seqs, token, [&](int x) { return __ldg(p.cu_q + x); });
  if (b >= 0) {
    const RangeSequence s(p, b);
    if (token >= s.q_begin && token < s.q_end) {
      const KeyRange seen = s.template visible<Rule>(p, token);
      if (seen.begin < seen.end) mine = seen;
      const bool starts = in_tile == 0 || (token == s.q_begin && row % T::kGroup == 0);
      const int last_token = min(first_row + T::kRows - 1, last_row) / T::kGroup;
      if (starts && lane < T::kWarpRows && first_row + in_tile <= last_row)
        segment = s.template visible<Rule>(p, token, min(last_token, s.q_end - 1));
    }
  }
  if (lane < T::kWarpRows) tables.rows[in_tile] = {mine.begin, max(0, mine.end - mine.begin)};
  const WarpBounds bounds{__reduce_min_sync(~0u, mine.begin), __reduce_max_sync(~0u, mine.end), __reduce_max_sync(~0u, mine.begin),
                          __reduce_min_sync(~0u, mine.end)};
  const unsigned starts = __ballot_sync(~0u, segment.begin < segment.end);
  if (lane == 0) {
    tables.warps[warp] = bounds;
    tables.counts[warp] = __popc(starts);
  }
  __syncthreads();
  int before = 0, count = 0;
#pragma unroll
  for (int w = 0; w < T::kWarps; ++w) {
    if (w < warp) before += tables.counts[w];
    count += tables.counts[w];
  }
  if (segment.begin < segment.end) tables.segments[before + __popc(starts & ((1u << lane) - 1))] = segment;
  __syncthreads();
  return count;
}

/// Starts the copy of Q [rows, D]; rows of no query and columns past D are zeros.
template <class T>
FSA_DEVICE void copy_queries(const RangeParams& p, int head, int first_row, unsigned q_tile) {
  const int rows = p.total_q * T::kGroup;
#pragma unroll 4
  for (int i = threadIdx.x; i < T::kRows * T::KTile::kChunks; i += T::kThreads) {
    const int in_tile = i / T::KTile::kChunks, chunk = i % T::KTile::kChunks, row = first_row + in_tile;
    const bool exists = chunk < T::kD / 8 && row < rows;
    const int token = row / T::kGroup, query_head = head * T::kGroup + row % T::kGroup;
    const long long offset = token * p.q_stride.token + query_head * p.q_stride.head + chunk * 8;
    copy16_async_or_zero(q_tile + T::KTile::offset(in_tile, chunk), exists ? static_cast<const char*>(p.q) + offset * 2 : p.q, exists);
  }
}

/// The walk over the tile's segments in steps of kKeys rows, as the copies see it: ahead of the products.
template <class T>
class StepCopies {
 public:
  FSA_DEVICE StepCopies(const RangeParams& p, RangeTables<T>& tables, int segments, int head, unsigned stages, int stage_bytes,
                        int v_offset)
      : p_(p), tables_(tables), segments_(segments), head_(head), stages_(stages), stage_bytes_(stage_bytes), v_offset_(v_offset) {
    if (segments > 0) left_ = tables.segments[0];
  }

  /// Starts the copies of the next step to `stage`, as a group that is empty where there is none; returns the number of steps.
  FSA_DEVICE int start(int stage) {
    const bool exists = left_.begin < left_.end;
    if (exists) {
      const unsigned buffer = stages_ + stage * stage_bytes_;
      copy_rows<typename T::KTile, T::kD, T::kKeys, T::kThreads>(p_.k, p_.k_stride, head_, left_.begin, left_.end, buffer);
      copy_rows<typename T::VTile, T::kDv, T::kKeys, T::kThreads>(p_.v, p_.v_stride, head_, left_.begin, left_.end, buffer + v_offset_);
      if (threadIdx.x == 0) tables_.steps[stage] = left_;
      left_.begin += T::kKeys;
      if (left_.begin >= left_.end && segment_ + 1 < segments_) left_ = tables_.segments[++segment_];
    }
    commit_copies();
    return exists;
  }

 private:
  const RangeParams& p_;
  RangeTables<T>& tables_;
  int segments_, head_;
  unsigned stages_;
  int stage_bytes_, v_offset_;
  int segment_ = 0;
  KeyRange left_{0, 0};
};

/// The power of two that takes V to f16, as its exponent field; 0 before the first is chosen. bf16 probabilities would add
/// as much error as the rounding of a bf16 output does, so they are f16, and so is V: exact down to 2^-26 of the largest
/// |V| the tile has met, which is taken to 2^11 or 2^12. V up to 16 times as large still fits; then a new scale is chosen.
struct ValueScale {
  int field = 0;
  unsigned limit = 0;  // bits of the smallest bf16 magnitude that overflows

  FSA_DEVICE void choose(unsigned largest_bits) {
    field = min(max(127 + 138 - static_cast<int>(largest_bits >> 7), 7), 247);
    limit = static_cast<unsigned>(270 - field) << 7;
  }
  FSA_DEVICE unsigned bf16x2() const { return static_cast<unsigned>(field) << 7 | static_cast<unsigned>(field) << 23; }
};

/// The pieces of a stage's V that this thread copied, on their way from bf16 to f16, in place.
template <class T>
class OwnValues {
 public:
  FSA_DEVICE explicit OwnValues(unsigned v_tile) : tile_(v_tile) {}

  /// Bits of the largest magnitude, infinities included.
  FSA_DEVICE unsigned largest() const {
    unsigned bits = 0;
#pragma unroll 4
    for (int u = 0; u < kPieces; ++u) {
      const uint4 x = piece(u);
      const unsigned words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
      for (unsigned word : words) bits = max_bf16x2(bits, word & 0x7fff7fffu);
    }
    return max(bits & 0xffffu, bits >> 16);
  }

  /// The same without infinities: what a scale is chosen for. Seldom asked for, so small rather than fast.
  FSA_DEVICE unsigned largest_finite() const {
    unsigned bits = 0;
#pragma unroll 1
    for (int u = 0; u < kPieces; ++u) {
      const uint4 x = piece(u);
      const unsigned words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
      for (unsigned word : words) {
        const unsigned low = word & 0x7fffu, high = word >> 16 & 0x7fffu;
        bits = max(bits, max(low < kInfinity ? low : 0, high < kInfinity ? high : 0));
      }
    }
    return bits;
  }

  /// To f16, times the scale. Loads them anew: held over the barrier they would take registers that the outputs need.
  FSA_DEVICE void convert(const ValueScale& scale) const {
    const unsigned factor = scale.bf16x2();
#pragma unroll 4
    for (int u = 0; u < kPieces; ++u) {
      const uint4 x = piece(u);
      if (exists(u))
        store_smem16(address(u), make_uint4(to_f16(x.x, factor), to_f16(x.y, factor), to_f16(x.z, factor), to_f16(x.w, factor)));
    }
  }

 private:
  static constexpr unsigned kInfinity = 0x7f80;
  static constexpr int kChunks = T::kKeys * T::VTile::kChunks, kPieces = ceil_div(kChunks, T::kThreads);

  FSA_DEVICE static bool exists(int u) {
    return (u + 1) * T::kThreads <= kChunks || static_cast<int>(threadIdx.x) + u * T::kThreads < kChunks;
  }
  FSA_DEVICE unsigned address(int u) const {
    const int i = threadIdx.x + u * T::kThreads;
    return tile_ + T::VTile::offset(i / T::VTile::kChunks, i % T::VTile::kChunks);
  }
  FSA_DEVICE uint4 piece(int u) const { return exists(u) ? load_smem16(address(u)) : make_uint4(0, 0, 0, 0); }
  FSA_DEVICE static unsigned to_f16(unsigned word, unsigned factor) {
    const float2 pair = unpack2<false>(multiply_bf16x2(word, factor));
    return pack2<true>(pair.x, pair.y);
  }

  unsigned tile_;
};

/// A warp's running softmax. Of each of its row tiles a lane holds the rows lane/4 and that + 8.
template <class T>
struct RangeState {
  float o[T::kRowTiles][T::kOutputTiles][4];  // relative to 2^reference and to V's scale
  float reference[T::kRowTiles][2];           // in units of log2; kMasked before the first key
  float sum[T::kRowTiles][2];                 // of the lane's own columns
  int field = 0;                              // of the scale that o is in units of

  FSA_DEVICE void clear() {
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r) {
#pragma unroll
      for (int n = 0; n < T::kOutputTiles; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) o[r][n][e] = 0;
      reference[r][0] = reference[r][1] = kMasked;
      sum[r][0] = sum[r][1] = 0;
    }
  }

  /// Moves to references that suit the logits' maxima `top` (of the lane's own columns), and to V's scale.
  FSA_DEVICE void move(const float (&top)[T::kRowTiles][2], int new_field) {
    const float carry = field == 0 || field == new_field ? 1.0f : exp2_fast(static_cast<float>(new_field - field));
    field = new_field;
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float row_top = quad_max(top[r][half]), before = reference[r][half];
        if (row_top > before + T::kHeadroom) reference[r][half] = row_top;
        const float decay = exp2_fast(before - reference[r][half]);
        sum[r][half] *= decay;
#pragma unroll
        for (int n = 0; n < T::kOutputTiles; ++n) {
          o[r][n][2 * half] *= decay * carry;
          o[r][n][2 * half + 1] *= decay * carry;
        }
      }
  }
};

/// Loads the left operands of columns [8 * chunk, 8 * chunk + 16) of the warp's rows of Q.
template <class T>
FSA_DEVICE void load_queries(unsigned (&a)[T::kRowTiles][4], unsigned q, int chunk) {
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r) load_matrices(a[r], T::KTile::advance(q, chunk) + r * 16 * T::KTile::kPitch);
}

/// The warp's rows of Q, where registers hold them.
template <class T>
struct HeldQueries {
  static constexpr int kSteps = T::kHoldsQueries ? T::KTile::kChunks / 2 : 1;
  unsigned a[kSteps][T::kRowTiles][4];

  FSA_DEVICE void load(unsigned q) {
#pragma unroll
    for (int d = 0; d < kSteps; ++d) load_queries<T>(a[d], q, 2 * d);
  }
};

/// s = Q K^T, unscaled.
template <class T>
FSA_DEVICE void score(float (&s)[T::kRowTiles][T::kKeyTiles][4], const HeldQueries<T>& held, unsigned q, unsigned k) {
  using Tile = typename T::KTile;
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) s[r][n][e] = 0;
#pragma unroll
  for (int d = 0; d < Tile::kChunks / 2; ++d) {
    unsigned fresh[T::kRowTiles][4];
    if constexpr (!T::kHoldsQueries) load_queries<T>(fresh, q, 2 * d);
    const auto& a = T::kHoldsQueries ? held.a[T::kHoldsQueries ? d : 0] : fresh;
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; n += 2) {
      unsigned b[4];
      load_matrices(b, Tile::advance(k, 2 * d) + n * 8 * Tile::kPitch);
#pragma unroll
      for (int r = 0; r < T::kRowTiles; ++r) {
        mma<T::kF16>(s[r][n], a[r], b[0], b[1]);
        mma<T::kF16>(s[r][n + 1], a[r], b[2], b[3]);
      }
    }
  }
}

/// Minus infinity for the keys that a row does not see, and for those from `end` on, which the buffer does not hold: a row of
/// the next segment may well see them. `rows` is the range of the lane's first row.
template <class T>
FSA_DEVICE void mask(float (&s)[T::kRowTiles][T::kKeyTiles][4], const RowRange* rows, int first_key, int end, int lane) {
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const RowRange range = rows[r * 16 + half * 8];
      const int first = first_key + 2 * (lane % 4) - range.begin, count = max(0, min(range.count, end - range.begin));
#pragma unroll
      for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if (static_cast<unsigned>(first + n * 8 + e) >= static_cast<unsigned>(count)) s[r][n][2 * half + e] = negative_infinity();
    }
}

/// Turns logits into exponentials, in place, and adds them to the rows' sums.
template <class T>
FSA_DEVICE void online_softmax(float (&s)[T::kRowTiles][T::kKeyTiles][4], RangeState<T>& state, float scale_log2, int field) {
  float top[T::kRowTiles][2];
  bool moves = !T::kF16 && field != state.field;
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float x = s[r][0][2 * half];
#pragma unroll
      for (int n = 0; n < T::kKeyTiles; ++n) x = fmaxf(x, fmaxf(s[r][n][2 * half], s[r][n][2 * half + 1]));
      top[r][half] = x * scale_log2;
      moves |= top[r][half] > state.reference[r][half] + T::kHeadroom;
    }
  if (__any_sync(~0u, moves)) state.move(top, field);
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        s[r][n][e] = exp2_fast(fmaf(s[r][n][e], scale_log2, -state.reference[r][e / 2]));
        state.sum[r][e / 2] += s[r][n][e];
      }
}

/// o += P V, with P and V as f16.
template <class T>
FSA_DEVICE void accumulate(const float (&s)[T::kRowTiles][T::kKeyTiles][4], RangeState<T>& state, unsigned v) {
  using Tile = typename T::VTile;
#pragma unroll
  for (int k = 0; k < T::kKeyTiles / 2; ++k) {
    unsigned a[T::kRowTiles][4];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int i = 0; i < 4; ++i) a[r][i] = pack2<true>(s[r][2 * k + i / 2][2 * (i % 2)], s[r][2 * k + i / 2][2 * (i % 2) + 1]);
#pragma unroll
    for (int n = 0; n < T::kOutputTiles; n += 2) {
      unsigned b[4];
      load_matrices_transposed(b, Tile::advance(v, n) + k * 16 * Tile::kPitch);
#pragma unroll
      for (int r = 0; r < T::kRowTiles; ++r) {
        mma<true>(state.o[r][n], a[r], b[0], b[1]);
        mma<true>(state.o[r][n + 1], a[r], b[2], b[3]);
      }
    }
  }
}

/// Stores the first `columns` (nothing where that is negative) of a row's columns in four output tiles; x[i] are the lane's
/// two of tile i, `at` is column 0 of the first.
template <Element kOutput>
FSA_DEVICE void store_columns(char* at, int columns, const float (&x)[4][2], int lane) {
  if constexpr (kOutput == Element::kF32) {
    // The quad's four stores of 8 bytes fill a sector of memory.
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (i * 8 < columns) *reinterpret_cast<float2*>(at + (i * 8 + 2 * (lane % 4)) * 4) = make_float2(x[i][0], x[i][1]);
  } else {
    unsigned words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) words[i] = pack2 < kOutput == Element::kF16 > (x[i][0], x[i][1]);
    quad_transpose(words, lane);
    if (8 * (lane % 4) < columns) *reinterpret_cast<uint4*>(at + 8 * (lane % 4) * 2) = make_uint4(words[0], words[1], words[2], words[3]);
  }
}

/// Stores O and the LSEs of the warp's rows, of which `first_row` is the lane's first.
template <class T, Element kOutput>
FSA_DEVICE void store_outputs(const RangeParams& p, const RangeState<T>& state, int head, int first_row, int lane) {
  constexpr int kBytes = kOutput == Element::kF32 ? 4 : 2;
  const float unscale = T::kF16 ? 1.0f : __uint_as_float(static_cast<unsigned>(254 - state.field) << 23);
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + r * 16 + half * 8, token = row / T::kGroup, query_head = head * T::kGroup + row % T::kGroup;
      const bool exists = row < p.total_q * T::kGroup;
      const float sum = quad_sum(state.sum[r][half]), inverse = sum == 0 ? 0 : 1.0f / sum;
      if (exists && lane % 4 == 0)
        p.lse[static_cast<long long>(query_head) * p.total_q + token] =
            sum == 0 ? negative_infinity() : (state.reference[r][half] + log2_fast(sum)) * kLn2;
      char* const at = static_cast<char*>(p.o) + (token * p.o_stride.token + query_head * p.o_stride.head) * kBytes;
      const float factor = inverse * unscale;
#pragma unroll
      for (int n = 0; n < T::kOutputTiles; n += 4) {
        float x[4][2];
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int e = 0; e < 2; ++e)
            x[i][e] = n + i < T::kOutputTiles ? state.o[r][n + i < T::kOutputTiles ? n + i : 0][2 * half + e] * factor : 0;
        store_columns<kOutput>(at + n * 8 * kBytes, exists ? T::kDv - n * 8 : -1, x, lane);
      }
    }
}

/// Grid: Hkv * ceil(Tq * g / rows), heads fastest, the last tiles first: they have most to do where all see the first key.
template <RangeShape kShape, RangeConfig kConfig, class Rule>
FSA_DEVICE void attend_ranges(const RangeParams& p) {
  using T = RangePlan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  RangeTables<T>& tables = *reinterpret_cast<RangeTables<T>*>(smem + kConfig.table_offset(kShape));
  static_assert(sizeof(RangeTables<T>) <= kConfig.table_bytes(), "the plan and the tables must agree");
  constexpr int kStageBytes = kConfig.stage_bytes(kShape), kVOffset = kConfig.k_bytes(kShape);
  const unsigned q_tile = smem_address(smem), stages = q_tile + kConfig.q_bytes(kShape);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int head = blockIdx.x % p.heads_kv, tile = (gridDim.x - 1 - blockIdx.x) / p.heads_kv, first_row = tile * T::kRows;

  // Load: Q, meanwhile what its rows see, then the first steps.
  copy_queries<T>(p, head, first_row, q_tile);
  if (threadIdx.x == 0) tables.largest = 0;
  const int segments = find_ranges<T, Rule>(p, tables, first_row);
  StepCopies<T> copies(p, tables, segments, head, stages, kStageBytes, kVOffset);
  int ahead = 0;  // steps that are copied, or under way, and not attended yet
#pragma unroll
  for (int s = 0; s < T::kStages - 1; ++s) ahead += copies.start(s);

  const unsigned q = q_tile + warp * T::kWarpRows * T::KTile::kPitch + left_operand_offset<typename T::KTile>(lane);
  const unsigned k_offset = right_operand_offset<typename T::KTile>(lane);
  const unsigned v_offset = kVOffset + right_operand_transposed_offset<typename T::VTile>(lane);
  const RowRange* const rows = tables.rows + warp * T::kWarpRows + lane / 4;
  const float scale_log2 = p.scale * kLog2E;
  HeldQueries<T> held;
  if constexpr (T::kHoldsQueries) {
    wait_copies<T::kStages - 2>();
    __syncthreads();
    held.load(q);
  }
  RangeState<T> state;
  state.clear();
  ValueScale scale;
  int stage = 0;
#pragma unroll 1
  for (; ahead > 0; --ahead) {
    const unsigned buffer = stages + stage * kStageBytes;
    wait_copies<T::kStages - 2>();
    OwnValues<T> values(buffer + kVOffset);
    bool overflows = false;
    if constexpr (T::kF16)
      __syncthreads();
    else
      overflows = __syncthreads_or(values.largest() >= scale.limit);
    const KeyRange step = tables.steps[stage];
    if constexpr (!T::kF16) {
      if (overflows) {
        atomicMax(&tables.largest, values.largest_finite());
        __syncthreads();
        scale.choose(tables.largest);
      }
      values.convert(scale);
    }
    ahead += copies.start(stage == 0 ? T::kStages - 1 : stage - 1);  // to the buffer of the step before

    const WarpBounds bounds = tables.warps[warp];
    // A real loop: as many logits at once as registers hold beside the outputs.
#pragma unroll 1
    for (int slice = 0; slice < T::kKeys; slice += T::kSlice) {
      const int first_key = step.begin + slice;
      const bool meets = bounds.meets(first_key, min(first_key + T::kSlice, step.end));
      float s[T::kRowTiles][T::kKeyTiles][4];
      if (meets) {
        score<T>(s, held, q, buffer + k_offset + slice * T::KTile::kPitch);
        if (first_key + T::kSlice > step.end || !bounds.all_see(first_key, first_key + T::kSlice))
          mask<T>(s, rows, first_key, step.end, lane);
        online_softmax<T>(s, state, scale_log2, scale.field);
      }
      if (!T::kF16 && slice == 0) __syncthreads();  // all of V is f16 now
      if (meets) accumulate<T>(s, state, buffer + v_offset + slice * T::VTile::kPitch);
    }
    stage = stage + 1 == T::kStages ? 0 : stage + 1;
  }
  wait_copies<0>();
  store_outputs<T, kShape.output>(p, state, head, first_row + warp * T::kWarpRows + lane / 4, lane);
}

}  // namespace fsa::cuda
