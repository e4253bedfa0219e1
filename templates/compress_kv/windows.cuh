#pragma once
// Owns the device's way from a row of y to its window of x.
#include "compress_kv/params.h"
#include "cuda/sequences.cuh"

namespace fsa::compress_kv {

/// First token of the window of `row`; -1 where there is no such row, or its window would leave x.
template <Shape kShape>
FSA_DEVICE int window_begin(const Params& p, int row) {
  const int b = row < p.total_c ? cuda::last_not_above(p.num_seqs, row, [&](int i) { return __ldg(p.cu_c + i); }) : -1;
  if (b < 0 || row >= __ldg(p.cu_c + b + 1)) return -1;
  const long long in_sequence = static_cast<long long>(row) - __ldg(p.cu_c + b);
  const long long begin = __ldg(p.cu_k + b) + in_sequence * kShape.stride;
  return begin >= 0 && begin + kShape.kernel_size <= p.total_k ? static_cast<int>(begin) : -1;
}

}  // namespace fsa::compress_kv
