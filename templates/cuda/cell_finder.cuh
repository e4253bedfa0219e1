#pragma once
// Owns CellFinder: from a query's block to its cell, the number that a block of keys has among those of all sequences.
#include "cuda/sequences.cuh"

namespace fsa::cuda {

/// Follows ascending query tokens through the sequences and gives the cell of a block. Any content of cu_q and cu_k is
/// safe: a block whose cell is out of range is dropped.
template <int kBlockSize, class Params>
class CellFinder {
 public:
  FSA_DEVICE CellFinder(const Params& p, int token) : p_(p) {
    b_ = max(0, last_not_above(p.num_seqs, token, [&](int b) { return __ldg(p.cu_q + b); }));
    load();
  }

  FSA_DEVICE int cell(int token, int block) {
    while (token >= sequence_.q_end && b_ + 1 < p_.num_seqs) {
      ++b_;
      load();
    }
    if (token < sequence_.q_begin || token >= sequence_.q_end || block < 0) return -1;
    const int position = sequence_.position(token);
    if (position < 0 || block > position / kBlockSize) return -1;
    const int cell = first_cell_ + block;
    return cell >= 0 && cell < p_.cells ? cell : -1;
  }

 private:
  FSA_DEVICE void load() {
    if (b_ >= p_.num_seqs) return;  // no sequence at all: the empty one holds no token
    sequence_ = load_sequence(p_.cu_q, p_.cu_k, b_);
    first_cell_ = first_cell<kBlockSize>(sequence_.k_begin, b_);
  }

  const Params& p_;
  Sequence sequence_{};
  int b_ = 0, first_cell_ = 0;
};

}  // namespace fsa::cuda
