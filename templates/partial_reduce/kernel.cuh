#pragma once
// Owns the CUDA kernel that merges the partial outputs of each row by their log-sum-exp.
#include "cuda/memory.cuh"
#include "cuda/numeric.cuh"
#include "partial_reduce/config.h"
#include "partial_reduce/params.h"

namespace fsa::partial_reduce {

/// Where an output row stands. Rows are numbered head-major, [Hkv, Tq, g], as block_major stores their partials.
template <Shape kShape>
struct Row {
  int token, head, in_group;

  FSA_DEVICE Row(const Params& p, long long row) {
    const long long query = row / kShape.group;
    in_group = static_cast<int>(row - query * kShape.group);
    head = static_cast<int>(query / p.total_q);
    token = static_cast<int>(query - static_cast<long long>(head) * p.total_q);
  }
  FSA_DEVICE int query_head() const { return head * kShape.group + in_group; }
};

/// A partial row and what it counts in the merged output; no row: -1 and 0.
struct Term {
  int entry;
  float weight;
};

/// Fills terms [rows, T] with the entries of each row's slots and, as weights, their LSEs.
template <Shape kShape, int kRows>
FSA_DEVICE void load_terms(const Params& p, Term* terms, long long first_row, long long rows, int lane) {
  for (int i = lane; i < kRows * kShape.topk; i += 32) {
    Term term{-1, cuda::negative_infinity()};
    const long long r = first_row + i / kShape.topk;
    if (r < rows) {
      const Row<kShape> row(p, r);
      term.entry = __ldg(p.entry_position + (static_cast<long long>(row.head) * p.total_q + row.token) * kShape.topk + i % kShape.topk);
      if (term.entry >= 0) term.weight = __ldg(p.partial_lse + static_cast<long long>(term.entry) * kShape.group + row.in_group);
    }
    terms[i] = term;
  }
}

/// Turns the LSEs of terms [rows, T] into weights that undo the partials' scale, and stores the rows' LSE.
template <Shape kShape, int kRows>
FSA_DEVICE void weigh_terms(const Params& p, Term* terms, long long first_row, long long rows, int lane) {
  constexpr int kT = kShape.topk;
#pragma unroll
  for (int base = 0; base < kRows * kT; base += 32) {
    const int i = base + lane, row = i / kT;
    float weight = 0;
    if (i < kRows * kT) {
      const Term mine = terms[i];
      float top = cuda::negative_infinity();
      for (int t = 0; t < kT; ++t) top = fmaxf(top, terms[row * kT + t].weight);
      const float shift = top == cuda::negative_infinity() ? 0 : top;
      float sum = 0;
      for (int t = 0; t < kT; ++t) sum += cuda::exp2_fast((terms[row * kT + t].weight - shift) * cuda::kLog2E);
      if (mine.entry >= 0 && sum != 0) {
        const float scale = __ldg(p.entry_scale + mine.entry);
        weight = cuda::exp2_fast((mine.weight - shift) * cuda::kLog2E) / sum / scale;
      }
      if (i % kT == 0 && first_row + row < rows) {
        const Row<kShape> at(p, first_row + row);
        p.lse[static_cast<long long>(at.query_head()) * p.total_q + at.token] = sum == 0 ? cuda::negative_infinity() : shift + cuda::log2_fast(sum) * cuda::kLn2;
      }
    }
    // Rows of several 32-term rounds read each other's LSEs: weights wait in registers until a row's last round.
    if constexpr (32 % kT == 0) {
      __syncwarp();
      if (i < kRows * kT) terms[i].weight = weight;
      __syncwarp();
    } else {
      terms[kRows * kT + i].weight = weight;
    }
  }
}

}  // namespace fsa::partial_reduce
