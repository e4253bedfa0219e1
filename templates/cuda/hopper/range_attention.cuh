#pragma once
// Owns the warps of attention over ranges for Hopper: those of one warpgroup look rows up and copy, the others multiply.
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
#pragma unroll 1
    for (int i = 0; list.has(i); ++i) {
      barrier(tables_.walk_empty[i & 1]).wait((i >> 1 & 1) ^ 1);
      find(list.first_row(i), tables_.tiles[i & 1]);
      if (threadIdx.x == 0) barrier(tables_.walk_full[i & 1]).arrive();
      barrier(tables_.q_empty).wait((i & 1) ^ 1);
      copy_queries<T, typename T::QTile, T::kFinders, 2>(p_, list.head(i), list.first_row(i), memory_.tiles);
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
      : p_(p), memory_(memory), tables_(memory.tables), lane_(threadIdx.x % 32) {}

  FSA_DEVICE void run() {
    const TileList<T> list(p_);
#pragma unroll 1
    for (int i = 0; list.has(i); ++i) {
      const RangeTile<T>& tile = tables_.tiles[i & 1];
      barrier(tables_.walk_full[i & 1]).wait(i >> 1 & 1);
      const int segments = tile.all.segments;
#pragma unroll 1
      for (int s = 0; s < segments; ++s) {
        const KeyRange segment = tile.segments[s];
#pragma unroll 1
        for (int first = RangeStep::first_of<T>(segment), end = max(segment.end, 1); first < end; first += T::kKeys)
          copy(list.head(i), first, segment);
      }
      barrier(tables_.walk_empty[i & 1]).arrive();
    }
  }

 private:
  FSA_DEVICE void copy(int head, int first, const KeyRange& segment) {
    const int* const fields = p_.v_fields + head * laid_out_blocks<T>(p_) + first / T::kKeys;
    const TileField field{__ldg(fields)}, next{__ldg(fields + (first % T::kKeys != 0))};
    const LaidOutRows<T, typename T::KTile> k(p_, head, first);
    const LaidOutRows<T, typename T::VTile> v(p_, head, first);
    const Mbarrier k_full = barrier(tables_.k_full[at_.stage]), v_full = barrier(tables_.v_full[at_.stage]);
    const RangeStep step = RangeStep::of<T>(first, segment, min(field.exponent(), next.exponent()));
    const bool exists = (field.is_finite() && next.is_finite()) || !step.template is_partial<T>();
    const bool whole = exists && field.exponent() == next.exponent();
    if (lane_ == 0) {
      barrier(tables_.k_empty[at_.stage]).wait(at_.parity ^ 1);
      tables_.steps[at_.stage] = step;
      k_full.arrive_expecting(T::kKBytes);
      copy_panels(memory_.k(at_.stage), p_.k_tiles, k, k_full);
      barrier(tables_.v_empty[at_.stage]).wait(at_.parity ^ 1);
      if (whole) {
        v_full.arrive_expecting(T::kVBytes);
        copy_panels(memory_.v(at_.stage), p_.v_tiles, v, v_full);
      }
    }
    __syncwarp();
    if (!whole) {
      const int own = T::kKeys - first % T::kKeys;
      copy_values(p_.v_tiles, v, step, own, step.field() - field.exponent(), step.field() - next.exponent(), memory_.v(at_.stage));
      if (lane_ == 0) v_full.arrive();
    }
    at_.advance();
  }

  template <class Rows>
  FSA_DEVICE static void copy_panels(unsigned tile, const unsigned char* panels, const Rows& rows, const Mbarrier& full) {
    constexpr int kBytes = T::kKeys * 128;
#pragma unroll
    for (int i = 0; i < Rows::kPanels; ++i) copy_bulk(tile + i * kBytes, panels + rows.offset + i * rows.pitch, kBytes, full);
  }

  /// A tile of V by pieces, where a bulk copy will not do: zeros for the rows that are not of the segment, as an infinity or NaN there
  /// would make NaN of a probability of 0; the others in units of the step, which the block of the first `own` rows and that of
  /// the rest are finer than by these powers of two.
  FSA_DEVICE void copy_values(const unsigned char* panels, const LaidOutRows<T, typename T::VTile>& rows, const RangeStep& step, int own,
                              int exponent, int next_exponent, unsigned v_tile) const {
    constexpr int kPanel = T::kKeys * 128;
    const float factor = exp2_fast(static_cast<float>(exponent)), next_factor = exp2_fast(static_cast<float>(next_exponent));
#pragma unroll 4
    for (int at = lane_ * 16; at < T::kVBytes; at += 32 * 16) {
      const int row = at / 128 % T::kKeys;
      uint4 x = make_uint4(0, 0, 0, 0);
      if (row >= step.begin() && row < step.end()) x = load16_streaming(panels + rows.offset + at / kPanel * rows.pitch + at % kPanel);
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

/// A consumer: a warpgroup with 64 of the tile's rows. Per step it starts Q K^T, then P V of the step before, and makes
/// probabilities of the former while the latter runs.
template <class T>
class RangeConsumer {
 public:
  FSA_DEVICE RangeConsumer(const RangeParams& p, const RangeMemory<T>& memory)
      : p_(p),
        memory_(memory),
        tables_(memory.tables),
        group_(__shfl_sync(~0u, threadIdx.x / 128 - 1, 0)),
        warp_(__shfl_sync(~0u, threadIdx.x / 32 % 4, 0)),
        lane_(threadIdx.x % 32),
        scale_log2_(p.scale * kLog2E) {}

  FSA_DEVICE void run() {
    const TileList<T> list(p_);
    if (group_ == 1) pass_turn();
#pragma unroll 1
    for (int i = 0; list.has(i); ++i) {
      attend(take_on(i));
      store(list, i, state_);
    }
    if (group_ == 0) take_turn();  // the last that was passed on
  }

 protected:
  /// Reads what is known of the thread block's tile i, and its Q where registers hold that; returns its steps.
  FSA_DEVICE int take_on(int i) {
    barrier(tables_.q_full).wait(i & 1);
    fence_async_proxy();
    const RangeTile<T>& tile = tables_.tiles[i & 1];
    const int in_tile = group_ * 64 + warp_ * 16 + lane_ / 4;
    rows_[0] = tile.rows[in_tile];
    rows_[1] = tile.rows[in_tile + 8];
    const WarpBounds a = tile.bounds[2 * group_], b = tile.bounds[2 * group_ + 1];
    bounds_ = {min(a.begin, b.begin), max(a.end, b.end), max(a.all_begin, b.all_begin), min(a.all_end, b.all_end)};
    const int steps = __reduce_max_sync(~0u, tile.all.steps);
    if constexpr (T::kHoldsQueries) {
      hold_queries();
      barrier(tables_.q_empty).arrive();
    }
    return steps;
  }

  FSA_DEVICE void attend(int left) {
    state_.clear();
    forget_units();
#pragma unroll 1
    while (true) {
      for (; left > 0 && !meets_next(); --left) skip();
      if (left == 0) break;
      attend_run(left);
    }
    if constexpr (!T::kHoldsQueries) barrier(tables_.q_empty).arrive();
  }

  FSA_DEVICE void forget_units() {
    state_.field = 0;
    coarsest_ = 1 << 20;
  }

  FSA_DEVICE void store(const TileList<T>& list, int i, const RangeState<T>& state) const {
    const int in_tile = group_ * 64 + warp_ * 16 + lane_ / 4;
    store_outputs<T, T::kOutput>(p_, state, list.head(i), list.first_row(i) + in_tile, lane_);
  }

  /// Steps that follow one another, of which the warpgroup's rows see something each.
  FSA_DEVICE void attend_run(int& left) {
    take_turn();
    wgmma_fence();
    start_scores();
    pass_turn();
    wgmma_wait<0>();
    pin(s_[0]);
    finish_scores();
    if (moves_) state_.scale(decay_);
    pack();
    settle_units();
#pragma unroll 1
    for (--left; left > 0 && meets_next(); --left) {
      take_turn();
      wgmma_fence();
      start_scores();
      start_outputs();
      pass_turn();
      wgmma_wait<1>();
      pin(s_[0]);
      finish_scores();
      finish_outputs();
      if (moves_) state_.scale(decay_);
      pack();
      settle_units();
    }
    wgmma_fence();
    start_outputs();
    finish_outputs();
  }

  /// With kTakesTurns the two warpgroups start a step's products one after the other: then one makes probabilities while the products
  /// of the other run. Left alone, both ask for products at once, and both wait for them. Every step is a turn, skipped ones too.
  FSA_DEVICE void take_turn() const {
    if constexpr (T::kTakesTurns) {
      if (group_ == 0)
        sync_named<2, 256>();
      else
        sync_named<3, 256>();
    }
  }
  FSA_DEVICE void pass_turn() const {
    if constexpr (T::kTakesTurns) {
      if (group_ == 0)
        arrive_named<3, 256>();
      else
        arrive_named<2, 256>();
    }
  }

  FSA_DEVICE void hold_queries() {
    const int row = group_ * 64 + warp_ * 16 + (lane_ & 15);
#pragma unroll
    for (int d = 0; d < T::kDepth / 16; ++d) {
      load_matrices(q_[d], memory_.tiles + T::QTile::offset(row, 2 * d + (lane_ >> 4)));
      pin(q_[d]);
    }
  }

  /// Waits for K of the next step.
  FSA_DEVICE void await_step() {
    barrier(tables_.k_full[k_.stage]).wait(k_.parity);
    RangeStep mine{};
    if (lane_ == 0) mine = tables_.steps[k_.stage];  // by the lane that gives the stage back
    step_ = {__shfl_sync(~0u, mine.first, 0), __shfl_sync(~0u, mine.packed, 0)};
  }

  /// Waits for K of the next step; whether one of the warpgroup's rows sees a key of it.
  FSA_DEVICE bool meets_next() {
    await_step();
    return __any_sync(~0u, bounds_.meets(step_.first + step_.begin(), step_.first + step_.end()));
  }

  FSA_DEVICE void skip() {
    take_turn();
    pass_turn();
    release(tables_.k_empty[k_.stage]);
    k_.advance();
    barrier(tables_.v_full[v_.stage]).wait(v_.parity);
    release(tables_.v_empty[v_.stage]);
    v_.advance();
  }

  FSA_DEVICE void start_scores() {
    const unsigned long long k = T::KTile::depth_major(memory_.k(k_.stage));
    const unsigned long long q = T::QTile::depth_major(memory_.tiles) + group_ * T::QTile::rows_on(8);
#pragma unroll
    for (int d = 0; d < T::kDepth / 16; ++d) {
      if constexpr (T::kHoldsQueries)
        wgmma<T::kF16>(s_[0], q_[d], k + T::KTile::columns_on(d), d > 0);
      else
        wgmma<T::kF16>(s_[0], q + T::QTile::columns_on(d), k + T::KTile::columns_on(d), d > 0);
    }
    wgmma_commit();
  }

  /// Adds to the outputs, or begins them.
  FSA_DEVICE void start_outputs(bool add = true) {
    barrier(tables_.v_full[v_.stage]).wait(v_.parity);
    wgmma_fence();
    const unsigned long long v = T::VTile::column_major(memory_.v(v_.stage));
#pragma unroll
    for (int k = 0; k < T::kKeys / 16; ++k) wgmma<true, true>(state_.o[0], a_[k], v + T::VTile::rows_on(2 * k), add || k > 0);
    wgmma_commit();
  }

  FSA_DEVICE void finish_outputs() {
    wgmma_wait<0>();
    pin(state_.o[0]);
    release_values();
  }

  FSA_DEVICE void release_values() {
    release(tables_.v_empty[v_.stage]);
    v_.advance();
  }

  FSA_DEVICE void settle_units() {
    if (!T::kF16 && __any_sync(~0u, field_ != state_.field)) change_units();
  }

  /// Outputs follow V's scale from tile to tile, to finer ones up to 2^64 only, lest they overflow: what is smaller by more than
  /// that against values that the tile met counts as 0.
  FSA_DEVICE void change_units() {
    coarsest_ = min(coarsest_, field_);
    const int field = min(field_, coarsest_ + 64);
    const float carry = state_.change_units(field);
    const float factor[1][2] = {{carry, carry}};
    state_.scale(factor);
    if (field != field_) clear_probabilities();
  }

  FSA_DEVICE void clear_probabilities() {
#pragma unroll
    for (int k = 0; k < T::kKeys / 16; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i) a_[k][i] = 0;
  }

  /// Logits to exponentials; whether references moved, and what outputs are to be scaled by then.
  FSA_DEVICE void finish_scores() {
    release(tables_.k_empty[k_.stage]);
    k_.advance();
    field_ = step_.field();
    const int begin = step_.first + step_.begin(), end = step_.first + step_.end();
    const bool all_seen = end - begin == T::kKeys && rows_[0].sees_all(begin, end) && rows_[1].sees_all(begin, end);
    if (__any_sync(~0u, !all_seen)) hide_unseen(begin, end);
    float top[1][2];
    moves_ = __any_sync(~0u, find_highest<T>(s_, state_, scale_log2_, top));
    if (moves_) state_.raise(top, decay_);
    exponentiate<T>(s_, state_, scale_log2_);
  }

  /// Minus infinity for the keys that a row does not see, and those that the step does not have.
  FSA_DEVICE void hide_unseen(int begin, int end) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int from = max(rows_[half].begin, begin), count = max(0, min(rows_[half].begin + rows_[half].count, end) - from);
      const int first = step_.first + 2 * (lane_ % 4) - from;
#pragma unroll
      for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if (static_cast<unsigned>(first + n * 8 + e) >= static_cast<unsigned>(count)) s_[0][n][2 * half + e] = negative_infinity();
    }
  }

  FSA_DEVICE void pack() {
#pragma unroll
    for (int k = 0; k < T::kKeys / 16; ++k) {
      pack_probabilities<T>(a_[k], s_[0], k);
      pin(a_[k]);
    }
  }

  /// An arrival of the warp's at a barrier.
  FSA_DEVICE void release(const unsigned long long& word) const {
    __syncwarp();
    if (lane_ == 0) barrier(word).arrive();
  }

  const RangeParams& p_;
  RangeMemory<T> memory_;
  RangeTables<T>& tables_;
  int group_, warp_, lane_;
  float scale_log2_;
  RowRange rows_[2];
  WarpBounds bounds_;
  RangeStep step_;
  int field_, coarsest_;  // of V's scales: of the step whose probabilities wait, the least of the tile
  RingPlace<T::kStages> k_, v_;
  unsigned q_[T::kHoldsQueries ? T::kDepth / 16 : 1][4];
  unsigned a_[T::kKeys / 16][4];
  float s_[1][T::kKeyTiles][4];
  RangeState<T> state_;
  float decay_[1][2];
  bool moves_;
};

}  // namespace fsa::cuda::hopper
