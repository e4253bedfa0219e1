#pragma once
// Owns the CUDA kernel that lays the blocks of V out as shared memory holds them.
#include "block_layout/config.h"
#include "block_layout/params.h"
#include "cuda/hopper/range_tiles.cuh"
#include "cuda/sequences.cuh"

namespace fsa::block_layout {

template <Shape kShape, Config kConfig>
struct Plan : cuda::hopper::RangePlan<Config::range_shape(kShape), Config::range(kShape)> {
  static constexpr int kThreads = kConfig.threads(), kBlock = kShape.block_size, kParts = parts(kBlock);
};

/// Grid: Hkv * C * parts. Rows past a sequence's end are zeros.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  using T = Plan<kShape, kConfig>;
  const int parts = p.cells * T::kParts, head = blockIdx.x / parts, in_head = blockIdx.x % parts, cell = in_head / T::kParts;
  const int b =
      cuda::last_not_above(p.range.num_seqs, cell, [&](int x) { return cuda::first_cell<T::kBlock>(__ldg(p.range.cu_k + x), x); });
  const auto row = [&](int x) { return min(max(x, 0), p.range.total_k); };
  int begin = 0, end = 0;
  if (b >= 0) {
    const int first = row(__ldg(p.range.cu_k + b)), block = cell - cuda::first_cell<T::kBlock>(first, b);
    begin = row(first + block * T::kBlock + in_head % T::kParts * T::kKeys);
    end = row(min(__ldg(p.range.cu_k + b + 1), begin + T::kKeys));
  }
  cuda::hopper::lay_out_values<T>(p.range, head, begin, {begin, end}, in_head * T::kKeys);
}

}  // namespace fsa::block_layout
