#pragma once
// Owns the warpgroups that attend shared blocks and merge the outputs with the partials of the other blocks.
#include "cuda/hopper/range_attention.cuh"
#include "cuda/launch_order.cuh"
#include "partial_reduce/rows.cuh"
#include "shared_reduce/config.h"

namespace fsa::shared_reduce {

using cuda::hopper::barrier;

/// Attention over ranges whose steps have members, and what rows are merged of.
template <Shape kShape, Config kConfig>
struct Plan : cuda::hopper::RangePlan<range_shape(kShape), kConfig.range(kShape)> {
  static constexpr bool kMembers = true, kRestoresCounter = true, kHoldsQueries = kConfig.holds_queries(kShape);
  static constexpr bool kStartsEarly = kConfig.early != 0;
  static constexpr int kBlock = kShape.block_size, kParts = shared_blocks::ValueLayout::parts(kBlock);
  static constexpr int kUnitTokens = shared_blocks::unit_tokens(kShape.group), kTileTokens = tile(kShape).tokens();
  static constexpr int kStepWords = tile(kShape).step_words();
  static_assert(kConfig.units == tile(kShape).units);
  static constexpr int kUnitRows = kUnitTokens * kShape.group, kTileSlots = kTileTokens * kShape.topk;
  static constexpr partial_reduce::Shape kMergeShape = merge_shape(kShape);
  static constexpr Partial kPartial = kConfig.partial;
  static constexpr bool kPacked = kPartial == Partial::kI12;
  static constexpr int kTopk = kShape.topk, kRing = kConfig.ring, kWeightPitch = Config::weight_pitch(kShape);
  static constexpr int kRingWarpBytes = kConfig.ring_warp_bytes(kShape), kWarpBytes = kConfig.warp_bytes(kShape);
};

/// The partials of a tile's queries: of each those that there are, in the order of their slots.
template <class T>
struct List {
  int entry[T::kTileTokens][T::kTopk], count[T::kTileTokens];
};

/// What the warps of a thread block tell each other: of attention, and the partials of two tiles.
template <class T>
struct Tables : cuda::hopper::RangeTables<T> {
  unsigned long long list_full[2], list_empty[2];  // barriers
  List<T> lists[2];

  /// By one thread, before the others come.
  FSA_DEVICE void init() const {
    for (int i = 0; i < 2; ++i) {
      barrier(list_full[i]).init(T::kFinders);
      barrier(list_empty[i]).init(4 * T::kConsumers);
    }
    cuda::hopper::publish_barriers();
  }
};

/// A row's partials.
struct RowList {
  unsigned entries;  // address in shared memory
  int count, in_group;
  const char* rows;  // the lane's first piece of the partial of entry 0: of another it is a multiple of an entry's bytes further on
};

/// A lane's columns of a row, of every 32 columns 8 neighbours, and of partial rows as they come.
template <class T>
struct LaneColumns {
  static constexpr int kGroups = ceil_div(T::kDv, 32), kPieces = T::kPacked ? 1 : kGroups, kColumns = T::kPacked ? kGroups * 8 : 8;
  using Piece = partial_reduce::Piece<T::kPartial, kColumns>;
  static constexpr int kChunks = kPieces * Piece::kChunks, kChunkBytes = 4 * Piece::kChunkWords;

  FSA_DEVICE static bool has(int piece, int quarter) { return T::kPacked || piece * 32 + quarter * 8 < T::kDv; }
};

/// What the partials of a warp's 16 rows weigh, and where they come, kRing of each row at a time. Four lanes share two rows, eight apart;
/// of their partials a lane reads what it copied itself.
template <class T>
class WarpMemory {
 public:
  using Columns = LaneColumns<T>;
  using Piece = typename Columns::Piece;
  static_assert(2 * 32 * Columns::kChunks * Columns::kChunkBytes == T::kRingWarpBytes, "the plan and the ring must agree");

  FSA_DEVICE WarpMemory(unsigned address, int lane)
      : ring_(address + lane * Columns::kChunkBytes),
        weights_(address + T::kRing * T::kRingWarpBytes + lane / 4 * kPitch),
        quarter_(lane % 4) {}

  /// Starts the copies of the LSEs and scales of this lane's quarter of both rows' partials.
  FSA_DEVICE void copy_scales(const partial_reduce::Params& p, const RowList (&lists)[2]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const int t = 4 * i + quarter_;
        if (t >= lists[half].count) continue;
        const long long entry = cuda::load_smem(lists[half].entries + t * 4), row = entry * T::kGroup + lists[half].in_group;
        if constexpr (T::kPacked) {
          cuda::copy_async_or_zero<8>(weight(half, t), p.partial_lse + 2 * row, true);
        } else {
          cuda::copy4_async(weight(half, t), p.partial_lse + row);
          cuda::copy4_async(weight(half, t) + 4, p.entry_scale + entry);
        }
      }
    cuda::commit_copies();
  }

  /// The logarithm of the sum of a row's exponentials, of its `count` partials and of one more of which it is `log_sum`, all to base 2.
  /// Leaves in memory what each partial weighs, 0 where there is none; `own` is what that one does.
  FSA_DEVICE float weigh(int half, int count, float log_sum, float& own) const {
    float x[kEach], top = log_sum;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int t = 4 * i + quarter_;
      x[i] = t < count ? weight_of(half, t) * cuda::kLog2E : cuda::negative_infinity();
      top = fmaxf(top, x[i]);
    }
    top = cuda::quad_max(top);
    const float shift = top == cuda::negative_infinity() ? 0 : top;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) sum += x[i] = cuda::exp2_fast(x[i] - shift);
    own = cuda::exp2_fast(log_sum - shift);
    sum = cuda::quad_sum(sum) + own;
    const float inverse = sum == 0 ? 0 : cuda::reciprocal_fast(sum);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int t = 4 * i + quarter_;
      if (t >= T::kTopk) continue;
      // The step of a row of integers, or the inverse of a power of two; nobody's where there is no partial.
      const unsigned scale = cuda::load_smem(weight(half, t) + 4);
      const float factor = __uint_as_float(T::kPacked ? scale : (254u << 23) - scale);
      cuda::store_smem(weight(half, t), __float_as_uint(x[i] == 0 ? 0.0f : x[i] * inverse * factor));
    }
    own *= inverse;
    return sum == 0 ? cuda::negative_infinity() : shift + cuda::log2_fast(sum);
  }
  FSA_DEVICE float weight_of(int half, int t) const { return __uint_as_float(cuda::load_smem(weight(half, t))); }

  /// Starts the copies of the partials numbered t of both rows to stage `stage`; zeros where a row has none.
  FSA_DEVICE void copy(const RowList (&lists)[2], int t, int stage) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool exists = t < lists[half].count;
      const int entry = exists ? static_cast<int>(cuda::load_smem(lists[half].entries + t * 4)) : 0;
      const char* const rows = partial_reduce::entry_rows<T::kPartial>(lists[half].rows, entry, T::kGroup, T::kDv);
#pragma unroll
      for (int piece = 0; piece < Columns::kPieces; ++piece)
#pragma unroll
        for (int c = 0; c < Piece::kChunks; ++c)
          cuda::copy_async_or_zero<Columns::kChunkBytes>(chunk(stage, half, piece, c),
                                                         rows + Piece::template offset<T::kGroup>(0, T::kDv, piece * 4, c),
                                                         exists && Columns::has(piece, quarter_));
    }
    cuda::commit_copies();
  }

  FSA_DEVICE void load(Piece& to, int stage, int half, int piece) const {
#pragma unroll
    for (int c = 0; c < Piece::kChunks; ++c)
      cuda::load_smem_words<Piece::kChunkWords>(to.words + c * Piece::kChunkWords, chunk(stage, half, piece, c));
  }

 private:
  static constexpr int kEach = ceil_div(T::kTopk, 4), kPitch = 8 * T::kWeightPitch;

  FSA_DEVICE unsigned chunk(int stage, int half, int piece, int c) const {
    return ring_ + stage * T::kRingWarpBytes + (half * Columns::kChunks + piece * Piece::kChunks + c) * 32 * Columns::kChunkBytes;
  }
  FSA_DEVICE unsigned weight(int half, int t) const { return weights_ + half * 8 * kPitch + t * 8; }

  unsigned ring_, weights_;
  int quarter_;
};

/// A lane's columns of a row that is being merged.
template <class T>
class RowSums {
 public:
  using Columns = LaneColumns<T>;
  static constexpr int kGroups = Columns::kGroups;

  /// Begins with the dense outputs of the lane's first or second row, in the columns that products leave with it, times `factor`. Where
  /// V's columns are laid out in another order, these are the lane's eight neighbours already.
  template <class Outputs>
  FSA_DEVICE void begin(const Outputs& o, int half, float factor, int lane) {
    if constexpr (T::kPacked) factor /= cuda::kHeadroom12;
#pragma unroll
    for (int group = 0; group < kGroups; ++group)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        unsigned words[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int tile = 4 * group + i;
          words[i] = tile < T::kOutputTiles ? __float_as_uint(o[tile < T::kOutputTiles ? tile : 0][2 * half + e] * factor) : 0;
        }
        if constexpr (!T::kPermutesColumns) cuda::quad_transpose(words, lane);
#pragma unroll
        for (int i = 0; i < 4; ++i) column(group, 2 * i + e) = __uint_as_float(words[i]);
      }
  }

  /// Adds a partial row.
  FSA_DEVICE void add(const WarpMemory<T>& memory, int stage, int half, float weight, const cuda::Unpack12& unpack) {
#pragma unroll
    for (int i = 0; i < Columns::kPieces; ++i) {
      typename Columns::Piece piece;
      memory.load(piece, stage, half, i);
      piece.add_to(sums_[i], weight, unpack);
    }
    weight_sum_ += weight;
  }

  FSA_DEVICE void get(int group, float (&numbers)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      numbers[i] = column(group, i);
      if constexpr (T::kPacked) numbers[i] = fmaf(-cuda::kZero12, weight_sum_, numbers[i]) * cuda::kHeadroom12;
    }
  }

 private:
  FSA_DEVICE float& column(int group, int i) { return T::kPacked ? sums_[0][8 * group + i] : sums_[group][i]; }

  float sums_[Columns::kPieces][Columns::kColumns], weight_sum_ = 0;
};

/// A warpgroup that attends the shared blocks of its unit's rows, then adds the partials of the others and stores the outputs.
template <class T>
class Merger : cuda::hopper::RangeConsumer<T> {
 public:
  /// `memory_of_warps` is the address of kWarpBytes for each warp that merges.
  FSA_DEVICE Merger(const Params& p, const cuda::hopper::RangeMemory<T>& memory, Tables<T>& tables, unsigned memory_of_warps)
      : cuda::hopper::RangeConsumer<T>(p.range, memory),
        merged_(p.merged),
        merge_tables_(tables),
        warp_memory_(memory_of_warps + (this->group_ * 4 + this->warp_) * T::kWarpBytes, this->lane_) {}

  /// Partials are what the launch ahead leaves: with kStartsEarly a thread block's first tile is attended while that ends.
  FSA_DEVICE void run() {
    if (this->group_ == 1) this->pass_turn();
    int steps;
#pragma unroll 1
    for (int i = 0; this->take_on(i, steps); ++i) {
      barrier(merge_tables_.list_full[i & 1]).wait(i >> 1 & 1);
      const List<T>& partials = merge_tables_.lists[i & 1];
      const bool waits = T::kStartsEarly && i == 0;
      if (!waits) begin_copies(partials);
      this->attend(steps);
      if (waits) {
        cuda::await_launch_ahead();
        begin_copies(partials);
      }
      merge(partials, this->head_, this->first_row_ + this->group_ * T::kUnitRows);
      this->release(merge_tables_.list_empty[i & 1]);
    }
    if (this->group_ == 0) this->take_turn();  // the last that was passed on
  }

 private:
  using Row = partial_reduce::Row<T::kMergeShape>;
  using Piece = typename LaneColumns<T>::Piece;

  /// Of the unit's 64 rows the lane's first or second.
  FSA_DEVICE int row_of(int half) const { return this->warp_ * 16 + this->lane_ / 4 + 8 * half; }

  FSA_DEVICE void get_lists(const List<T>& list, RowList (&lists)[2]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = this->group_ * T::kUnitTokens + min(row_of(half) / T::kGroup, T::kUnitTokens - 1);
      const int in_group = row_of(half) % T::kGroup;
      lists[half] = {cuda::smem_address(list.entry[query]), list.count[query], in_group,
                     static_cast<const char*>(merged_.partial_o) + Piece::template offset<T::kGroup>(in_group, T::kDv, this->lane_ % 4, 0)};
    }
  }

  /// The first partials come while the warpgroup attends.
  FSA_DEVICE void begin_copies(const List<T>& list) const {
    RowList lists[2];
    get_lists(list, lists);
    warp_memory_.copy_scales(merged_, lists);
#pragma unroll
    for (int i = 0; i < T::kRing; ++i) warp_memory_.copy(lists, i, i);
  }

  FSA_DEVICE void merge(const List<T>& list, int head, int unit_row) {
    RowList lists[2];
    get_lists(list, lists);
    const int count = __reduce_max_sync(~0u, max(lists[0].count, lists[1].count));
    const cuda::Unpack12 unpack(this->p_.total_q);
    RowSums<T> sums[2];
    cuda::wait_copies<T::kRing>();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float factor = weigh(half, lists[half].count, head, unit_row);
      sums[half].begin(this->state_.o[0], half, factor, this->lane_);
    }
    __syncwarp();
    int stage = 0;
#pragma unroll 1
    for (int t = 0; t < count; ++t) {
      cuda::wait_copies<T::kRing - 1>();
#pragma unroll
      for (int half = 0; half < 2; ++half) sums[half].add(warp_memory_, stage, half, warp_memory_.weight_of(half, t), unpack);
      warp_memory_.copy(lists, t + T::kRing, stage);
      stage = stage + 1 == T::kRing ? 0 : stage + 1;
    }
    // Copies past the last partial, of zeros, may be under way: none may follow another to the same place.
    cuda::wait_copies<0>();
    __syncwarp();  // before the next tile's scales
    const long long head_row = static_cast<long long>(head) * this->p_.total_q * T::kGroup;
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (exists(unit_row, row_of(half))) store_row(Row(merged_, head_row + unit_row + row_of(half)), sums[half]);
  }

  FSA_DEVICE bool exists(int unit_row, int row) const { return row < T::kUnitRows && unit_row + row < this->p_.total_q * T::kGroup; }

  /// Weighs the row's partials, stores its LSE and returns what its dense outputs are to be multiplied by.
  FSA_DEVICE float weigh(int half, int count, int head, int unit_row) const {
    const int row = unit_row + row_of(half);
    const float sum = cuda::quad_sum(this->state_.sum[0][half]);
    float share;
    const float log_sum = warp_memory_.weigh(
        half, count, sum == 0 ? cuda::negative_infinity() : this->state_.reference[0][half] + cuda::log2_fast(sum), share);
    if (exists(unit_row, row_of(half)) && this->lane_ % 4 == 0)
      merged_.lse[static_cast<long long>(head * T::kGroup + row % T::kGroup) * this->p_.total_q + row / T::kGroup] = log_sum * cuda::kLn2;
    const float unscale = T::kF16 ? 1.0f : __uint_as_float(static_cast<unsigned>(254 - this->state_.field) << 23);
    return sum == 0 ? 0 : share * cuda::reciprocal_fast(sum) * unscale;
  }

  FSA_DEVICE void store_row(const Row& row, RowSums<T>& sums) const {
    constexpr int kGroups = RowSums<T>::kGroups;
    constexpr bool kGated = T::kMergeShape.gated == 1;
    const auto column_of = [&](int group) { return group * 32 + this->lane_ % 4 * 8; };
    // All of a row's other branches at once: one trip to memory.
    partial_reduce::BranchColumns<T::kMergeShape> cmp[kGated ? kGroups : 1], win[kGated ? kGroups : 1];
    cuda::Gates gates{};
    if constexpr (kGated) {
      gates = partial_reduce::load_gates<T::kMergeShape>(merged_, row.token, row.query_head());
#pragma unroll
      for (int group = 0; group < kGroups; ++group) {
        if (column_of(group) >= T::kDv) continue;
        cmp[group].load(merged_.o_cmp, merged_.cmp_stride, row.token, row.query_head(), column_of(group));
        win[group].load(merged_.o_win, merged_.win_stride, row.token, row.query_head(), column_of(group));
      }
    }
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float numbers[8];
      sums.get(group, numbers);
      if (column_of(group) >= T::kDv) continue;
      if constexpr (kGated) partial_reduce::add_branches<T::kMergeShape>(gates, cmp[group], win[group], numbers);
      partial_reduce::store_sums<T::kMergeShape>(merged_, row, column_of(group), numbers);
    }
  }

  const partial_reduce::Params& merged_;
  Tables<T>& merge_tables_;
  WarpMemory<T> warp_memory_;
};

}  // namespace fsa::shared_reduce
