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
    if (group_ == 1) pass_turn();
    begin_nothing();
    int steps;
#pragma unroll 1
    for (int i = 0; this->take_on(i, steps); ++i) attend(steps);
    if (ended_steps_ > 0) {
      wgmma_fence();
      start_outputs(ended_steps_ > 1);
      finish_outputs();
      this->store(ended_head_, ended_row_, state_);
    }
    if (group_ == 0) take_turn();  // the last that was passed on
  }

 private:
  using Base = RangeConsumer<T>;
  using Base::decay_, Base::group_, Base::k_, Base::moves_, Base::s_, Base::state_, Base::tables_, Base::v_;
  using Base::finish_outputs, Base::finish_scores, Base::pack, Base::pass_turn, Base::start_outputs, Base::start_scores, Base::take_turn;

  /// The first step finds no P V to start: probabilities of 0 meet the values of its own, and what becomes of them is not kept.
  FSA_DEVICE void begin_nothing() {
    state_.clear();
    this->forget_units();
    this->field_ = 0;
    this->clear_probabilities();
  }

  /// Attends a tile, but for its last P V, and ends the one before, if there was one. Every tile has a step.
  FSA_DEVICE void attend(int steps) {
    exchange_softmax();
    state_.clear_softmax();
#pragma unroll 1
    for (int left = steps; left > 0; --left) {
      // Of the step before this one, whose P V is started here: whether it was its tile's first, and whether there was one.
      const bool begins = left == steps ? ended_steps_ == 1 : left == steps - 1;
      const bool first = left == steps, exists = !first || ended_steps_ > 0;
      this->read_step(k_);
      this->begin_step();
      take_turn();
      wgmma_fence();
      start_scores();
      start_outputs(!begins);
      pass_turn();
      const int added = v_.stage;
      if (exists) v_.advance();
      wgmma_wait<1>();
      pin(s_[0]);
      finish_scores();
      wgmma_wait<0>();
      pin(state_.o[0]);
      if (exists) this->release(tables_.v_empty[added]);
      if (first && exists) store_ended();
      if (first) this->forget_units();
      if (moves_) state_.scale(decay_);
      pack();
      this->settle_units();
    }
    if constexpr (!T::kHoldsQueries) barrier(tables_.q_empty).arrive();
    ended_head_ = this->head_;
    ended_row_ = this->first_row_;
    ended_steps_ = steps;
  }

  FSA_DEVICE void store_ended() {
    exchange_softmax();
    this->store(ended_head_, ended_row_, state_);
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

  // Of the tile before, if there was one:
  int ended_steps_ = 0, ended_head_ = 0, ended_row_ = 0;
  float ended_reference_[2], ended_sum_[2];
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
