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

  /// On to a query, not before the latest one.
  FSA_DEVICE void move_to(int token) {
    while (token >= sequence_.q_end && b_ + 1 < p_.num_seqs) {
      ++b_;
      load();
    }
    const int position = token >= sequence_.q_begin && token < sequence_.q_end ? sequence_.position(token) : -1;
    blocks_ = position < 0 ? 0 : position / kBlockSize + 1;
  }
  /// Of a block of the query's sequence; -1 where there is none.
  FSA_DEVICE int cell(int block) const {
    const int cell = first_cell_ + block;
    return static_cast<unsigned>(block) < static_cast<unsigned>(blocks_) && static_cast<unsigned>(cell) < static_cast<unsigned>(p_.cells)
               ? cell
               : -1;
  }

 private:
  FSA_DEVICE void load() {
    if (b_ >= p_.num_seqs) return;  // no sequence at all: the empty one holds no token
    sequence_ = load_sequence(p_.cu_q, p_.cu_k, b_);
    first_cell_ = first_cell<kBlockSize>(sequence_.k_begin, b_);
  }

  const Params& p_;
  Sequence sequence_{};
  int b_ = 0, first_cell_ = 0, blocks_ = 0;  // blocks: that the query may choose
};

}  // namespace fsa::cuda
