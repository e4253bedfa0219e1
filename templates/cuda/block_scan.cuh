#pragma once
// Owns the prefix sum over a thread block.
#include "cuda/device.h"

namespace fsa::cuda {

/// Sum of x over the threads before this one; `sums` is shared scratch of one number per warp. All threads take part.
template <int kWarps, class Number>
FSA_DEVICE Number block_sum_before(Number x, Number* sums) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Number sum = x;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const Number left = __shfl_up_sync(~0u, sum, step);
    if (lane >= step) sum += left;
  }
  __syncthreads();
  if (lane == 31) sums[warp] = sum;
  __syncthreads();
  Number before = sum - x;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) before += w < warp ? sums[w] : 0;
  return before;
}

/// Sum over the whole thread block of what the latest block_sum_before with these `sums` was given.
template <int kWarps, class Number>
FSA_DEVICE Number block_total(const Number* sums) {
  Number total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) total += sums[w];
  return total;
}

}  // namespace fsa::cuda
