#pragma once
// Owns the CUDA core of attention over ranges: every query row sees one run of the packed rows of K and V, which a family's
// Rule gives. A tile of query rows walks what its rows see, sequence by sequence, with an online softmax.
#include "cuda/hopper/range_stream.cuh"
#include "cuda/hopper/range_tiles.cuh"
#include "cuda/mma.cuh"
#include "cuda/range_config.h"
#include "cuda/range_softmax.cuh"
#include "cuda/tile_copy.cuh"

namespace fsa::cuda {

template <RangeShape kShape, RangeConfig kConfig>
struct RangePlan {
  static_assert(kConfig.keys % kConfig.slice() == 0 && kConfig.slice() % 16 == 0, "a step is cut into whole slices of 16 keys or more");
  static_assert(kConfig.stages >= 2, "a stage is filled while another is read");
  static_assert(kConfig.row_tiles == 1 || kConfig.row_tiles == 2, "a lane looks one row of its warp up");
  static_assert(kShape.head_dim % 8 == 0 && kShape.head_dim_v % 8 == 0, "rows are read and written in 16-byte pieces");

  static constexpr bool kF16 = kShape.element == Element::kF16, kScaled = kShape.scaled != 0;
  static constexpr int kWarps = kConfig.warps, kThreads = kConfig.threads(), kRowTiles = kConfig.row_tiles;
  static constexpr int kWarpRows = kConfig.warp_rows(), kRows = kConfig.rows(), kKeys = kConfig.keys, kStages = kConfig.stages;
  static constexpr int kGroup = kShape.group, kD = kShape.head_dim, kDv = kShape.head_dim_v;
  static constexpr int kSlice = kConfig.slice(), kKeyTiles = kSlice / 8;
  using KTile = SmemTile<RangeConfig::k_columns(kShape)>;
  using VTile = SmemTile<RangeConfig::v_columns(kShape)>;
  static constexpr int kOutputTiles = VTile::kChunks;
  static constexpr bool kPermutesColumns = false;
  static constexpr bool kHoldsQueries = kConfig.held_registers(kShape) > 0;
  /// How far, in units of log2, a row's maximum may rise above its reference before its sums move to a new one: f16
  /// probabilities reach 2^16, and a move is a pass over the accumulators.
  static constexpr float kHeadroom = 8.0f;
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

/// Looks the tile's rows up, a lane each, and lists its segments; returns their number.
template <class T, class Rule>
FSA_DEVICE int find_ranges(const RangeParams& p, RangeTables<T>& tables, int first_row) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, in_tile = warp * T::kWarpRows + lane % T::kWarpRows;
  const RowLookup found = RowLookup::of<T, Rule>(p, first_row, in_tile);
  const bool own = lane < T::kWarpRows;
  if (own) tables.rows[in_tile] = found.range();
  const WarpBounds bounds = found.bounds();
  const unsigned starts = __ballot_sync(~0u, own && found.starts_segment());
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
  if (own && found.starts_segment()) tables.segments[before + __popc(starts & ((1u << lane) - 1))] = found.segment;
  __syncthreads();
  return count;
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

/// The pieces of a stage's V that this thread copied, on their way from bf16 to f16, in place.
template <class T>
class OwnValues {
 public:
  FSA_DEVICE explicit OwnValues(unsigned v_tile) : tile_(v_tile) {}

  /// Bits of the largest magnitude, infinities included.
  FSA_DEVICE unsigned largest() const {
    LargestMagnitude most;
#pragma unroll 4
    for (int u = 0; u < kPieces; ++u) most.add(piece(u));
    return most.value();
  }

  /// The same without infinities: what a scale is chosen for.
  FSA_DEVICE unsigned largest_finite() const {
    LargestMagnitude most;
#pragma unroll 1
    for (int u = 0; u < kPieces; ++u) most.add_finite(piece(u));
    return most.value();
  }

  /// To f16, times the scale. Loads them anew: held over the barrier they would take registers that the outputs need.
  FSA_DEVICE void convert(const ValueScale& scale) const {
    const unsigned factor = scale.bf16x2();
#pragma unroll 4
    for (int u = 0; u < kPieces; ++u) {
      const uint4 x = piece(u);
      if (exists(u)) store_smem16(address(u), ValueScale::to_f16(x, factor));
    }
  }

 private:
  static constexpr int kChunks = T::kKeys * T::VTile::kChunks, kPieces = ceil_div(kChunks, T::kThreads);

  FSA_DEVICE static bool exists(int u) {
    return (u + 1) * T::kThreads <= kChunks || static_cast<int>(threadIdx.x) + u * T::kThreads < kChunks;
  }
  FSA_DEVICE unsigned address(int u) const {
    const int i = threadIdx.x + u * T::kThreads;
    return tile_ + T::VTile::offset(i / T::VTile::kChunks, i % T::VTile::kChunks);
  }
  FSA_DEVICE uint4 piece(int u) const { return exists(u) ? load_smem16(address(u)) : make_uint4(0, 0, 0, 0); }

  unsigned tile_;
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
  clear(s);
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

/// Turns logits into exponentials, in place, relative to references that suit them and to V's scale.
template <class T>
FSA_DEVICE void online_softmax(float (&s)[T::kRowTiles][T::kKeyTiles][4], RangeState<T>& state, float scale_log2, int field) {
  float top[T::kRowTiles][2];
  const bool moves = find_highest<T>(s, state, scale_log2, top) || (!T::kF16 && field != state.field);
  if (__any_sync(~0u, moves)) {
    float factor[T::kRowTiles][2];
    state.raise(top, factor);
    const float carry = state.change_units(field);
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) factor[r][half] *= carry;
    state.scale(factor);
  }
  exponentiate<T>(s, state, scale_log2);
}

/// o += P V, with P and V as f16.
template <class T>
FSA_DEVICE void accumulate(const float (&s)[T::kRowTiles][T::kKeyTiles][4], RangeState<T>& state, unsigned v) {
  using Tile = typename T::VTile;
#pragma unroll
  for (int k = 0; k < T::kKeyTiles / 2; ++k) {
    unsigned a[T::kRowTiles][4];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r) pack_probabilities<T>(a[r], s[r], k);
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

/// Grid: Hkv * ceil(Tq * g / rows), heads fastest, the last tiles first: they have most to do where all see the first key.
template <RangeShape kShape, RangeConfig kConfig, class Rule>
FSA_DEVICE void attend_ranges_by_warps(const RangeParams& p) {
  using T = RangePlan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  RangeTables<T>& tables = *reinterpret_cast<RangeTables<T>*>(smem + kConfig.table_offset(kShape));
  static_assert(sizeof(RangeTables<T>) <= kConfig.table_bytes(), "the plan and the tables must agree");
  constexpr int kStageBytes = kConfig.stage_bytes(kShape), kVOffset = kConfig.k_bytes(kShape);
  const unsigned q_tile = smem_address(smem), stages = q_tile + kConfig.q_bytes(kShape);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int head = blockIdx.x % p.heads_kv, tile = (gridDim.x - 1 - blockIdx.x) / p.heads_kv, first_row = tile * T::kRows;

  // Load: Q, meanwhile what its rows see, then the first steps.
  copy_queries<T, typename T::KTile, T::kThreads>(p, head, first_row, q_tile);
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
  store_outputs<T, kShape.output>(p, state, head, first_row + warp * T::kWarpRows + lane / 4, p.total_q * T::kGroup, lane);
}

/// What warpgroups need before attend_ranges. Grid: Hkv * (ceil(rows of V / keys) + 1); warps do without.
template <RangeShape kShape, RangeConfig kConfig>
FSA_DEVICE void prepare_ranges(const RangeParams& p) {
  if constexpr (kConfig.warpgroups()) hopper::lay_out_tiles<kShape, kConfig>(p);
}

/// Grid: Hkv * ceil(Tq * g / rows), or of warpgroups any number of thread blocks up to that: they take tiles one after the other.
template <RangeShape kShape, RangeConfig kConfig, class Rule>
FSA_DEVICE void attend_ranges(const RangeParams& p) {
  if constexpr (kConfig.warpgroups())
    hopper::attend_ranges<kShape, kConfig, Rule>(p);
  else
    attend_ranges_by_warps<kShape, kConfig, Rule>(p);
}

}  // namespace fsa::cuda
