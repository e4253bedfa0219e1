#pragma once
// Owns the CUDA kernel of compressed_sequences: prefix sums of the sequences' numbers of windows.
#include "compressed_length.h"
#include "compressed_sequences/config.h"
#include "compressed_sequences/params.h"
#include "cuda/block_scan.cuh"

namespace fsa::compressed_sequences {

/// Grid: 1. The thread block goes over the sequences a block's width at a time, so their number is free.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  __shared__ long long sums[kConfig.warps];
  long long total = 0;
#pragma unroll 1
  for (int first = 0; first <= p.num_seqs; first += kConfig.threads()) {
    const int b = first + threadIdx.x;
    long long windows = 0;
    if (b < p.num_seqs) {
      const long long tokens = static_cast<long long>(__ldg(p.cu_k + b + 1)) - __ldg(p.cu_k + b);
      windows = compressed_length(tokens, kShape.kernel_size, kShape.stride);
    }
    const long long before = total + cuda::block_sum_before<kConfig.warps>(windows, sums);
    if (b <= p.num_seqs) p.cu_c[b] = static_cast<int>(min(before, kLargest));
    total += cuda::block_total<kConfig.warps>(sums);
  }
}

}  // namespace fsa::compressed_sequences
