#pragma once
// Owns the warpgroup that serves the others in Hopper's attention over ranges: it looks rows up and brings Q, K and V.
#include "cuda/hopper/range_tables.cuh"
#include "cuda/range_softmax.cuh"

namespace fsa::cuda::hopper {

/// The first warpgroup's first three warps: they look the rows of the tiles up and bring Q, a tile ahead of what is attended.
template <class T, class Rule>
class RangeFinder {
 public:
  FSA_DEVICE RangeFinder(const RangeParams& p, const RangeMemory<T>& memory)
      : p_(p), memory_(memory), tables_(memory.tables), warp_(threadIdx.x / 32), lane_(threadIdx.x % 32) {}

  FSA_DEVICE void run() const {
    const TileList<T> list(p_);
    int taken = static_cast<int>(blockIdx.x);
#pragma unroll 1
    for (int i = 0, number = 0; number >= 0; ++i) {
      RangeTile<T>& tile = tables_.tiles[i & 1];
      barrier(tables_.walk_empty[i & 1]).wait((i >> 1 & 1) ^ 1);
      if (threadIdx.x == 0) {
        if (i == 1) await_launch_ahead();  // it sets the counter to 0
        if (i > 0) taken = list.take(p_.next_tile, taken);
        list.describe(taken, tile);
      }
      sync_named<1, T::kFinders>();
      number = tile.number;
      if (number >= 0) find(tile.first_row, tile);
      if (threadIdx.x == 0) barrier(tables_.walk_full[i & 1]).arrive();
      barrier(tables_.q_empty).wait((i & 1) ^ 1);
      if (number >= 0) copy_queries<T, typename T::QTile, T::kFinders, 2>(p_, tile.head, tile.first_row, memory_.tiles);
      barrier(tables_.q_full).arrive_after_copies();
      if (threadIdx.x == 0) barrier(tables_.q_full).arrive();
    }
  }

 private:
  /// Looks the tile's rows up, a lane each, and lists its segments.
  FSA_DEVICE void find(int first_row, RangeTile<T>& tile) const {
    constexpr int kRounds = ceil_div(T::kLookups, T::kFinders / 32);
    KeyRange segments[kRounds];
    unsigned starts[kRounds];
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      const int lookup = warp_ + r * (T::kFinders / 32), in_tile = lookup * 32 + lane_;
      if (lookup >= T::kLookups) break;
      const RowLookup found = RowLookup::of<T, Rule>(p_, first_row, in_tile);
      segments[r] = found.segment;
      tile.rows[in_tile] = found.range();
      const WarpBounds bounds = found.bounds();
      starts[r] = __ballot_sync(~0u, found.starts_segment());
      const int steps = __reduce_add_sync(
          ~0u, found.starts_segment() ? ceil_div(found.segment.end - RangeStep::first_of<T>(found.segment), T::kKeys) : 0);
      if (lane_ == 0) {
        tile.bounds[lookup] = bounds;
        tile.counts[lookup] = {__popc(starts[r]), steps};
      }
    }
    sync_named<1, T::kFinders>();
    SegmentCount before{0, 0};
#pragma unroll
    for (int lookup = 0; lookup < T::kLookups; ++lookup) {
      const int r = lookup / (T::kFinders / 32);
      if (lookup % (T::kFinders / 32) == warp_ && (starts[r] >> lane_ & 1) != 0)
        tile.segments[before.segments + __popc(starts[r] & ((1u << lane_) - 1))] = segments[r];
      before.segments += tile.counts[lookup].segments;
      before.steps += tile.counts[lookup].steps;
    }
    if (threadIdx.x == 0) tile.all = before.segments > 0 ? before : none(tile);
    sync_named<1, T::kFinders>();
  }

  /// Of a tile that sees nothing: a step without keys, so that every tile has one.
  FSA_DEVICE static SegmentCount none(RangeTile<T>& tile) {
    tile.segments[0] = {0, 0};
    return {1, 1};
  }

  const RangeParams& p_;
  RangeMemory<T> memory_;
  RangeTables<T>& tables_;
  int warp_, lane_;
};

/// The first warpgroup's last warp: it fills the stages with what the tiles' segments hold.
template <class T>
class RangeFeeder {
 public:
  FSA_DEVICE RangeFeeder(const RangeParams& p, const RangeMemory<T>& memory)
      : p_(p), memory_(memory), tables_(memory.tables), lane_(threadIdx.x % 32) {
    if (lane_ == 0) prefetch_map(p_.k_map);
  }

  FSA_DEVICE void run() {
    await_launch_ahead();  // it lays V out
#pragma unroll 1
    for (int i = 0;; ++i) {
      const RangeTile<T>& tile = tables_.tiles[i & 1];
      barrier(tables_.walk_full[i & 1]).wait(i >> 1 & 1);
      const int number = uniform(tile.number), segments = tile.all.segments, head = tile.head;
      if (number < 0) return;
#pragma unroll 1
      for (int s = 0; s < segments; ++s) {
        const KeyRange segment = tile.segments[s];
#pragma unroll 1
        for (int first = RangeStep::first_of<T>(segment), end = max(segment.end, 1); first < end; first += T::kKeys)
          copy(head, first, segment);
      }
      barrier(tables_.walk_empty[i & 1]).arrive();
    }
  }

 protected:
  /// Fills the next stage with the step's rows: those of K from k_row on, which may lie outside of it, those of V as it is laid out from
  /// `first` on. The latter lie in one block, or begin in it and end in the next; announce(stage) says what else consumers are to know of
  /// the stage. Rows of K that the step does not have come, too, whatever they hold: their logits do not count.
  template <class Announce>
  FSA_DEVICE void copy(int head, int k_row, int first, const RangeStep& step, const TileField& field, const TileField& next,
                       Announce announce) {
    const LaidOutRows<T> v(p_, head, first);
    const Mbarrier k_full = barrier(tables_.k_full[at_.stage]), v_full = barrier(tables_.v_full[at_.stage]);
    const bool exists = (field.is_finite() && next.is_finite()) || !step.template is_partial<T>();
    const bool whole = exists && field.exponent() == next.exponent();
    if (lane_ == 0) {
      barrier(tables_.k_empty[at_.stage]).wait(at_.parity ^ 1);
      tables_.steps[at_.stage] = step;
      announce(at_.stage);
      k_full.arrive_expecting(T::kKBytes);
      copy_keys(head, k_row, memory_.k(at_.stage), k_full);
      barrier(tables_.v_empty[at_.stage]).wait(at_.parity ^ 1);
      if (whole) {
        v_full.arrive_expecting(T::kVBytes);
        copy_values(v, memory_.v(at_.stage), v_full);
      }
    }
    __syncwarp();
    if (!whole) {
      const int own = T::kKeys - first % T::kKeys;
      copy_values_by_pieces(v, step, own, step.field() - field.exponent(), step.field() - next.exponent(), memory_.v(at_.stage));
      if (lane_ == 0) v_full.arrive();
    }
    at_.advance();
  }

 private:
  FSA_DEVICE void copy(int head, int first, const KeyRange& segment) {
    const int* const fields = p_.v_fields + head * laid_out_blocks<T>(p_) + first / T::kKeys;
    const TileField field{__ldg(fields)}, next{__ldg(fields + (first % T::kKeys != 0))};
    copy(head, first, first, RangeStep::of<T>(first, segment, min(field.exponent(), next.exponent())), field, next, [](int) {});
  }

  static constexpr int kPanelBytes = T::kKeys * 128;

  FSA_DEVICE void copy_keys(int head, int row, unsigned k_tile, const Mbarrier& full) const {
    static_assert(T::KTile::kPanelBytes == kPanelBytes && kPanelBytes % 1024 == 0,
                  "a box is a panel, and the swizzle repeats every 1024 bytes");
#pragma unroll
    for (int i = 0; i < T::kKBytes / kPanelBytes; ++i) copy_box(k_tile + i * kPanelBytes, p_.k_map, i * 64, row, head, full);
  }

  FSA_DEVICE void copy_values(const LaidOutRows<T>& rows, unsigned v_tile, const Mbarrier& full) const {
#pragma unroll
    for (int i = 0; i < rows.kPanels; ++i)
      copy_bulk(v_tile + i * kPanelBytes, p_.v_tiles + rows.offset + i * rows.pitch, kPanelBytes, full);
  }

  /// A tile of V by pieces, where a bulk copy will not do: zeros for the rows that are not of the segment, as an infinity or NaN there
  /// would make NaN of a probability of 0; the others in units of the step, which the block of the first `own` rows and that of
  /// the rest are finer than by these powers of two.
  FSA_DEVICE void copy_values_by_pieces(const LaidOutRows<T>& rows, const RangeStep& step, int own, int exponent, int next_exponent,
                                        unsigned v_tile) const {
    const float factor = exp2_fast(static_cast<float>(exponent)), next_factor = exp2_fast(static_cast<float>(next_exponent));
#pragma unroll 2
    for (int at = lane_ * 16; at < T::kVBytes; at += 32 * 16) {
      const int row = at / 128 % T::kKeys;
      uint4 x = make_uint4(0, 0, 0, 0);
      if (row >= step.begin() && row < step.end())
        x = load16_streaming(p_.v_tiles + rows.offset + at / kPanelBytes * rows.pitch + at % kPanelBytes);
      if constexpr (!T::kF16) x = multiply8<true>(x, row < own ? factor : next_factor);
      store_smem16(v_tile + at, x);
    }
    fence_async_proxy();
    __syncwarp();
  }

  const RangeParams& p_;
  RangeMemory<T> memory_;
  RangeTables<T>& tables_;
  int lane_;
  RingPlace<T::kStages> at_;
};

}  // namespace fsa::cuda::hopper
