#pragma once
// Owns the packed sequences as CPU kernels see them: prefix sums clamped into the tensors, positions, cells.
#include "cpu/vector.h"

namespace fsa::cpu {

/// One sequence: its query tokens, its keys, and what turns a packed query token into its position among the keys.
struct Sequence {
  int index;
  int q_begin, q_end;
  int k_begin, k_end;
  FSA_INLINE int position(int token) const { return token - q_end + k_end - k_begin; }
};

/// Prefix sums that decrease or overrun are clamped: the answer is then meaningless, but nothing is read out of range.
FSA_INLINE int clamp(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

FSA_INLINE Sequence sequence(const int* cu_q, const int* cu_k, int b, int total_q, int total_k) {
  Sequence s;
  s.index = b;
  s.q_begin = clamp(cu_q[b], 0, total_q);
  s.q_end = clamp(cu_q[b + 1], s.q_begin, total_q);
  s.k_begin = clamp(cu_k[b], 0, total_k);
  s.k_end = clamp(cu_k[b + 1], s.k_begin, total_k);
  return s;
}

/// The first sequence that ends behind `token`; num_seqs when none does.
FSA_INLINE int sequence_of(const int* cu_q, int num_seqs, int token) {
  int low = 0, high = num_seqs;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (cu_q[middle + 1] > token) high = middle;
    else low = middle + 1;
  }
  return low;
}

/// True when a query at `position` sees keys of block `j`: not before the start, not in its future (so never past the end).
FSA_INLINE bool sees_block(int j, int position, int block_size) { return j >= 0 && position >= 0 && j <= position / block_size; }

/// Calls visit(sequence, first token, end token) for every sequence with queries in [begin, end).
template <class Visit>
FSA_INLINE void for_sequences(const int* cu_q, const int* cu_k, int num_seqs, int total_q, int total_k, int begin, int end, Visit visit) {
  for (int b = sequence_of(cu_q, num_seqs, begin); b < num_seqs; ++b) {
    const Sequence s = sequence(cu_q, cu_k, b, total_q, total_k);
    if (s.q_begin >= end) break;
    const int first = s.q_begin > begin ? s.q_begin : begin, last = s.q_end < end ? s.q_end : end;
    if (first < last) visit(s, first, last);
  }
}

}  // namespace fsa::cpu
