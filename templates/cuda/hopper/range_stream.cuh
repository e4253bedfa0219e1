#pragma once
// Owns the consumer of attention over ranges whose tiles are one stream of steps, and the kernel.
#include "cuda/hopper/range_attention.cuh"

namespace fsa::cuda::hopper {

/// A consumer that starts the first Q K^T of a tile with the last P V of the tile before, and stores that one's outputs while the
/// other warpgroup multiplies. It attends every step, those that none of its rows sees too: P V of the step before is under way.
template <class T>
class RangeStream : public RangeConsumer<T> {
 public:
  FSA_DEVICE RangeStream(const RangeParams& p, const RangeMemory<T>& memory) : RangeConsumer<T>(p, memory) {}

  FSA_DEVICE void run() {
    const TileList<T> list(this->p_);
    if (group_ == 1) pass_turn();
    begin_nothing();
    int ended = -1, steps;
#pragma unroll 1
    for (int i = 0; this->take_on(i, steps); ++i) {
      attend(list, ended, steps);
      ended = this->number_;
    }
    if (ended >= 0) {
      wgmma_fence();
      start_outputs(!begins_);
      finish_outputs();
      this->store(list, ended, state_);
    }
    if (group_ == 0) take_turn();  // the last that was passed on
  }

 private:
  using Base = RangeConsumer<T>;
  using Base::decay_, Base::group_, Base::moves_, Base::s_, Base::state_, Base::tables_;
  using Base::finish_outputs, Base::finish_scores, Base::pack, Base::pass_turn, Base::start_outputs, Base::start_scores, Base::take_turn;

  /// The first step finds no P V to start: probabilities of 0 meet the values of its own, and what becomes of them is not kept.
  FSA_DEVICE void begin_nothing() {
    state_.clear();
    this->forget_units();
    this->field_ = 0;
    this->clear_probabilities();
  }

  /// Attends a tile, but for its last P V, and ends the one before, `ended`, if there was one. Every tile has a step.
  FSA_DEVICE void attend(const TileList<T>& list, int ended, int left) {
    exchange_softmax();
    state_.clear_softmax();
    bool first = true;
#pragma unroll 1
    for (; left > 0; --left) {
      this->await_step();
      take_turn();
      wgmma_fence();
      start_scores();
      start_outputs(!begins_);
      pass_turn();
      wgmma_wait<1>();
      pin(s_[0]);
      finish_scores();
      wgmma_wait<0>();
      pin(state_.o[0]);
      if (ended >= 0 || !first) this->release_values();
      if (first && ended >= 0) store_ended(list, ended);
      if (first) this->forget_units();
      begins_ = first;
      first = false;
      if (moves_) state_.scale(decay_);
      pack();
      this->settle_units();
    }
    if constexpr (!T::kHoldsQueries) barrier(tables_.q_empty).arrive();
  }

  FSA_DEVICE void store_ended(const TileList<T>& list, int ended) {
    exchange_softmax();
    this->store(list, ended, state_);
    exchange_softmax();
  }

  FSA_DEVICE void exchange_softmax() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float reference = state_.reference[0][half], sum = state_.sum[0][half];
      state_.reference[0][half] = ended_reference_[half];
      state_.sum[0][half] = ended_sum_[half];
      ended_reference_[half] = reference;
      ended_sum_[half] = sum;
    }
  }

  bool begins_ = false;                      // whether the next P V begins outputs
  float ended_reference_[2], ended_sum_[2];  // of the tile before
};

template <RangeShape kShape, RangeConfig kConfig, class Rule>
FSA_DEVICE void attend_ranges(const RangeParams& p) {
  using T = RangePlan<kShape, kConfig>;
  extern __shared__ __align__(1024) unsigned char smem[];
  static_assert(sizeof(RangeTables<T>) <= kConfig.table_bytes(), "the plan and the tables must agree");
  const RangeMemory<T> memory{smem_address(smem), *reinterpret_cast<RangeTables<T>*>(smem + kConfig.table_offset(kShape))};
  if (threadIdx.x == 0) memory.init();
  __syncthreads();
  if (threadIdx.x < T::kCopiers) {
    if constexpr (T::kConsumers > 1) give_registers<T::kProducerRegisters>();
    if (threadIdx.x < T::kFinders)
      RangeFinder<T, Rule>(p, memory).run();
    else
      RangeFeeder<T>(p, memory).run();
  } else {
    if constexpr (T::kConsumers > 1) take_registers<T::kConsumerRegisters>();
    if constexpr (T::kStreams)
      RangeStream<T>(p, memory).run();
    else
      RangeConsumer<T>(p, memory).run();
  }
}

}  // namespace fsa::cuda::hopper
