#pragma once
// Owns the pass that lays the blocks of V out as shared memory holds them.
#include "cuda/hopper/range_tiles.cuh"
#include "cuda/sequences.cuh"
#include "shared_blocks/params.h"
#include "shared_blocks/value_layout.h"

namespace fsa::shared_blocks {

template <Shape kShape, int kThreadsOfBlock>
struct LayoutPlan : cuda::hopper::RangePlan<ValueLayout::range_shape(kShape), ValueLayout::range(kShape)> {
  static constexpr int kThreads = kThreadsOfBlock, kBlock = kShape.block_size, kParts = ValueLayout::parts(kBlock);
};

/// Lays out part `number` of all heads' parts, by a thread block. Rows past a sequence's end are zeros.
template <Shape kShape, int kThreads>
FSA_DEVICE void lay_out_part(const Params& p, int number) {
  using T = LayoutPlan<kShape, kThreads>;
  const RangeParams& values = p.values;
  const int parts = p.cells * T::kParts, head = number / parts, in_head = number % parts, cell = in_head / T::kParts;
  const int b = cuda::last_not_above(p.num_seqs, cell, [&](int x) { return cuda::first_cell<T::kBlock>(__ldg(p.cu_k + x), x); });
  const auto row = [&](int x) { return min(max(x, 0), values.total_k); };
  int begin = 0, end = 0;
  if (b >= 0) {
    const int first = row(__ldg(p.cu_k + b)), block = cell - cuda::first_cell<T::kBlock>(first, b);
    begin = row(first + block * T::kBlock + in_head % T::kParts * T::kKeys);
    end = row(min(__ldg(p.cu_k + b + 1), begin + T::kKeys));
  }
  cuda::hopper::lay_out_values<T>(values, head, begin, {begin, end}, in_head * T::kKeys);
}

}  // namespace fsa::shared_blocks
