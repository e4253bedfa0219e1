#pragma once
// Owns the warpgroups that multiply in Hopper's attention over ranges.
#include "cuda/hopper/range_producers.cuh"

namespace fsa::cuda::hopper {

/// A consumer: a warpgroup with 64 of the tile's rows. Per step it starts Q K^T, then P V of the step before, and makes
/// probabilities of the former while the latter runs.
template <class T>
class RangeConsumer {
 public:
  FSA_DEVICE RangeConsumer(const RangeParams& p, const RangeMemory<T>& memory)
      : p_(p),
        memory_(memory.uniform()),
        tables_(memory_.tables),
        group_(uniform(threadIdx.x / 128 - 1)),
        warp_(uniform(threadIdx.x / 32 % 4)),
        lane_(threadIdx.x % 32),
        scale_log2_(p.scale * kLog2E),
        reader_(kOwnRegisters ? opaque_zero() : 0),
        k_full_(uniform(smem_address(tables_.k_full))),
        v_full_(uniform(smem_address(tables_.v_full))),
        steps_(uniform(first_step())),
        keys_(uniform(T::KTile::place(T::KTile::depth_major(memory_.k(0))))),
        values_(uniform(T::VTile::place(T::VTile::column_major(memory_.v(0))))) {}

  FSA_DEVICE void run() {
    if (group_ == 1) pass_turn();
    int steps;
#pragma unroll 1
    for (int i = 0; take_on(i, steps); ++i) {
      attend(steps);
      store(head_, first_row_, state_);
    }
    if (group_ == 0) take_turn();  // the last that was passed on
  }

 protected:
  /// Reads what is known of the thread block's i-th tile, and its Q where registers hold that; whether there is one.
  FSA_DEVICE bool take_on(int i, int& steps) {
    barrier(tables_.q_full).wait(i & 1);
    fence_async_proxy();
    const RangeTile<T>& tile = tables_.tiles[i & 1];
    const int number = uniform(tile.number);
    if (number < 0) return false;
    head_ = uniform(tile.head);
    first_row_ = uniform(tile.first_row);
    const int in_tile = group_ * 64 + warp_ * 16 + lane_ / 4;
    rows_[0] = tile.rows[in_tile];
    rows_[1] = tile.rows[in_tile + 8];
    if constexpr (!T::kMembers) {
      const WarpBounds a = tile.bounds[2 * group_], b = tile.bounds[2 * group_ + 1];
      bounds_ = {min(a.begin, b.begin), max(a.end, b.end), max(a.all_begin, b.all_begin), min(a.all_end, b.all_end)};
    }
    steps = __reduce_max_sync(~0u, tile.all.steps);
    if constexpr (T::kHoldsQueries) {
      hold_queries();
      barrier(tables_.q_empty).arrive();
    }
    return true;
  }

  FSA_DEVICE void attend(int left) {
    state_.clear();
    forget_units();
    if (kReadsAhead && left > 0) read_step(k_);
#pragma unroll 1
    while (true) {
      for (; left > 0 && !meets_next(); --left) skip(left > 1);
      if (left == 0) break;
      attend_run(left);
    }
    if constexpr (!T::kHoldsQueries) barrier(tables_.q_empty).arrive();
  }

  FSA_DEVICE void forget_units() {
    state_.field = 0;
    coarsest_ = 1 << 20;
  }

  FSA_DEVICE void store(int head, int first_row, const RangeState<T>& state) const {
    const int unit = first_row + group_ * T::kUnitRows, end = min(unit + T::kUnitRows, p_.total_q * T::kGroup);
    store_outputs<T, T::kOutput>(p_, state, head, unit + warp_ * 16 + lane_ / 4, end, lane_);
  }

  /// Steps that follow one another, of which the warpgroup's rows see something each.
  FSA_DEVICE void attend_run(int& left) {
    begin_step();
    take_turn();
    wgmma_fence();
    start_scores();
    pass_turn();
    read_ahead(left > 1);
    wgmma_wait<0>();
    pin(s_[0]);
    finish_scores();
    if (moves_) state_.scale(decay_);
    pack();
    settle_units();
#pragma unroll 1
    for (--left; left > 0 && meets_next(); --left) {
      begin_step();
      take_turn();
      wgmma_fence();
      start_scores();
      start_outputs();
      pass_turn();
      read_ahead(left > 1);
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

  /// Where the first stage says what step it holds.
  FSA_DEVICE unsigned first_step() const {
    if constexpr (T::kMembers)
      return smem_address(tables_.unit_steps[0] + group_);
    else
      return smem_address(tables_.steps);
  }

  /// Waits for K of the step at a place of the ring, and reads what the step is and who is to see it.
  FSA_DEVICE void read_step(const RingPlace<T::kStages>& at) {
    Mbarrier(k_full_ + at.stage * 8).wait(at.parity);
    // By the lane that gives the stage back.
    unsigned words[4]{};
    if (lane_ == 0) {
      if constexpr (T::kMembers)
        load_smem_words<4>(words, steps_ + at.stage * static_cast<unsigned>(sizeof(tables_.unit_steps[0])));
      else
        load_smem_words<2>(words, steps_ + at.stage * static_cast<unsigned>(sizeof(RangeStep)));
    }
    next_ = {static_cast<int>(__shfl_sync(~0u, words[0], reader_)), __shfl_sync(~0u, words[1], reader_)};
    if constexpr (T::kMembers) next_members_ = make_uint2(__shfl_sync(~0u, words[2], reader_), __shfl_sync(~0u, words[3], reader_));
  }

  /// Whether one of the warpgroup's rows sees a key of the next step.
  FSA_DEVICE bool meets_next() {
    if constexpr (!kReadsAhead) read_step(k_);
    if constexpr (T::kMembers) return __any_sync(~0u, (next_members_.x | next_members_.y) != 0);
    return __any_sync(~0u, bounds_.meets(next_.first + next_.begin(), next_.first + next_.end()));
  }

  /// Turns to the step that was read last.
  FSA_DEVICE void begin_step() {
    step_ = next_;
    if constexpr (T::kMembers)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int query = (warp_ * 16 + lane_ / 4 + 8 * half) / T::kGroup;
        member_[half] = (T::kUnitTokens <= 32 || query < 32 ? next_members_.x >> query : next_members_.y >> (query - 32)) & 1;
      }
    scored_ = k_.stage;
    k_.advance();
  }

  /// Reads the step after the one that began, if there is one. Without a branch: products are under way.
  FSA_DEVICE void read_ahead(bool exists) {
    if constexpr (!kReadsAhead) return;
    RingPlace<T::kStages> at = k_;
    // The stage whose products are under way holds what it held.
    if (!exists) at = {scored_, k_.stage == 0 ? k_.parity ^ 1 : k_.parity};
    read_step(at);
  }

  FSA_DEVICE void skip(bool more) {
    take_turn();
    pass_turn();
    release(tables_.k_empty[k_.stage]);
    k_.advance();
    Mbarrier(v_full_ + v_.stage * 8).wait(v_.parity);
    release(tables_.v_empty[v_.stage]);
    v_.advance();
    if (kReadsAhead && more) read_step(k_);
  }

  FSA_DEVICE void start_scores() {
    const unsigned long long k = T::KTile::template at_stage<T::kKBytes>(keys_, scored_);
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
    Mbarrier(v_full_ + v_.stage * 8).wait(v_.parity);
    wgmma_fence();
    const unsigned long long v = T::VTile::template at_stage<T::kVBytes>(values_, v_.stage);
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
    release(tables_.k_empty[scored_]);
    field_ = step_.field();
    const int begin = step_.first + step_.begin(), end = step_.first + step_.end();
    if (__any_sync(~0u, end - begin < T::kKeys || !sees_all(0, begin, end) || !sees_all(1, begin, end))) hide_unseen(begin, end);
    float references[2];
    if constexpr (T::kMembers) hide_strangers(references);
    float top[1][2];
    moves_ = __any_sync(~0u, find_highest<T>(s_, state_, scale_log2_, top));
    if (moves_) state_.raise(top, decay_);
    exponentiate<T>(s_, state_, scale_log2_);
    if constexpr (T::kMembers)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        if (!member_[half]) state_.reference[0][half] = references[half];
  }

  /// Rows that are no members of the step get a reference for the while that makes zeros of their exponentials and no logit exceeds.
  FSA_DEVICE void hide_strangers(float (&references)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      references[half] = state_.reference[0][half];
      if (!member_[half]) state_.reference[0][half] = 3e38f;
    }
  }

  /// Whether one of the lane's rows sees all of [begin, end), or is no member of the step.
  FSA_DEVICE bool sees_all(int half, int begin, int end) const {
    if constexpr (T::kMembers)
      if (!member_[half]) return true;
    return rows_[half].sees_all(begin, end);
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

  /// A step is read behind the products of the one before it. Not where warpgroups leave steps out and merge: one that reads ahead waits
  /// for the other to give back a stage more.
  static constexpr bool kReadsAhead = !T::kMembers;

  /// Whether what a step is stays in the lanes' own registers. Wide outputs leave none.
  static constexpr bool kOwnRegisters = T::kDv <= 128;

  const RangeParams& p_;
  RangeMemory<T> memory_;
  RangeTables<T>& tables_;
  int group_, warp_, lane_;
  int head_ = 0, first_row_ = 0;  // of the tile
  float scale_log2_;
  unsigned reader_;                                   // the number of the lane that reads what a step is
  unsigned k_full_, v_full_, steps_, keys_, values_;  // of the first stage: addresses of barriers and of what it holds, operands' places
  RowRange rows_[2];
  WarpBounds bounds_;
  RangeStep step_, next_;
  uint2 next_members_;    // where steps have members: which queries are
  bool member_[2];        // whether the lane's rows are members of the step
  int field_, coarsest_;  // of V's scales: of the step whose probabilities wait, the least of the tile
  RingPlace<T::kStages> k_, v_;
  int scored_;  // stage of the latest Q K^T
  unsigned q_[T::kHoldsQueries ? T::kDepth / 16 : 1][4];
  unsigned a_[T::kKeys / 16][4];
  float s_[1][T::kKeyTiles][4];
  RangeState<T> state_;
  float decay_[1][2];
  bool moves_;
};

}  // namespace fsa::cuda::hopper
