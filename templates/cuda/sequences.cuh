#pragma once
// Owns the device's view of packed sequences: which one a token or a cell belongs to, and where it stands in it.
#include "cuda/device.h"

namespace fsa::cuda {

/// One packed sequence. Queries are its last tokens.
struct Sequence {
  int q_begin, q_end, k_begin, k_end;

  /// Key position of query `token`, sequence-local; negative where a sequence has more queries than keys.
  FSA_DEVICE int position(int token) const { return (token - q_end) + (k_end - k_begin); }
};

FSA_DEVICE Sequence load_sequence(const int* cu_q, const int* cu_k, int b) {
  return {__ldg(cu_q + b), __ldg(cu_q + b + 1), __ldg(cu_k + b), __ldg(cu_k + b + 1)};
}

/// First cell of sequence `b`: cells of different sequences never meet, empty sequences included.
template <int kBlockSize>
FSA_DEVICE int first_cell(int k_begin, int b) {
  return k_begin / kBlockSize + b;
}

/// Largest i in [0, n) with value(i) <= x for ascending values; -1 where there is none.
template <class Value>
FSA_DEVICE int last_not_above(int n, int x, Value value) {
  int low = 0, high = n;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (value(middle) <= x)
      low = middle + 1;
    else
      high = middle;
  }
  return low - 1;
}

/// The same, by a whole warp: 32 probes at a time, since each round is a trip to memory.
template <class Value>
FSA_DEVICE int warp_last_not_above(int n, int x, int lane, Value value) {
  int low = 0;
  bool found = false;
  while (n > 0) {
    const int step = (n + 31) / 32;
    const int i = lane * step;
    const int below = __popc(__ballot_sync(~0u, i < n && value(low + i) <= x));
    if (below == 0) break;
    found = true;
    low += (below - 1) * step;
    n = min(step, n - (below - 1) * step);
    if (step == 1) break;
  }
  return found ? low : -1;
}

}  // namespace fsa::cuda
