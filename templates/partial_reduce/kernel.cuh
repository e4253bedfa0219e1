#pragma once
// Owns the CUDA kernel that merges the partial outputs of each row by their log-sum-exp.
#include "partial_reduce/config.h"
#include "partial_reduce/rows.cuh"

namespace fsa::partial_reduce {

/// Finds the partials of each of a warp's rows and weighs them by their share in the row's sum of exponentials; stores the rows' LSEs.
/// Terms [rows, topk].
template <Shape kShape, Config kConfig>
FSA_DEVICE void find_terms(const Params& p, Term* terms, long long first_row, long long rows, int lane) {
  using Lanes = RowLanes<kShape>;
  constexpr int kRows = kConfig.rows(kShape);
#pragma unroll 2
  for (int first = 0; first < kRows; first += Lanes::kRows) {
    const int r = first + lane / Lanes::kWidth;
    const bool exists = r < kRows && first_row + r < rows;
    const Row<kShape> row(p, exists ? first_row + r : first_row);
    Slots<kShape, kConfig.partial> slots;
    slots.load(p, row, exists, lane);
    const RowSum all = slots.sum_up();
    slots.write(terms + r * kShape.topk, all.sum == 0 ? 0 : cuda::reciprocal_fast(all.sum), r < kRows, lane);
    if (exists && lane % Lanes::kWidth == 0)
      p.lse[static_cast<long long>(row.query_head()) * p.total_q + row.token] =
          all.sum == 0 ? cuda::negative_infinity() : all.top + cuda::log2_fast(all.sum) * cuda::kLn2;
  }
}

/// The merged columns of piece `piece` of a row.
template <Shape kShape, Config kConfig, int kColumns>
FSA_DEVICE void merge_columns(const Params& p, const Term* terms, int in_group, int piece, float (&sum)[kColumns]) {
  constexpr int kLoads = kConfig.loads < kShape.topk ? kConfig.loads : kShape.topk;
  const cuda::Unpack12 unpack(p.total_q);
  float weight_sum = 0;
#pragma unroll
  for (int i = 0; i < kColumns; ++i) sum[i] = 0;
#pragma unroll 1
  for (int first = 0; first < kShape.topk; first += kLoads) {
    if (terms[first].entry < 0) break;  // and none after it
    Piece<kConfig.partial, kColumns> pieces[kLoads];
    float weights[kLoads];
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      for (unsigned& word : pieces[u].words) word = 0;
      weights[u] = 0;
      if (kShape.topk % kLoads != 0 && first + u >= kShape.topk) continue;
      const Term term = terms[first + u];
      if (term.entry < 0) continue;
      weights[u] = term.weight;
      using P = Piece<kConfig.partial, kColumns>;
      const char* const rows = entry_rows<kConfig.partial>(p.partial_o, term.entry, kShape.group, kShape.head_dim_v);
#pragma unroll
      for (int c = 0; c < P::kChunks; ++c)
        cuda::load_words_streaming<P::kChunkWords>(pieces[u].words + c * P::kChunkWords,
                                                   rows + P::template offset<kShape.group>(in_group, kShape.head_dim_v, piece, c));
    }
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      pieces[u].add_to(sum, weights[u], unpack);
      weight_sum += weights[u];
    }
  }
  if constexpr (kConfig.partial == Partial::kI12) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) sum[i] = fmaf(-cuda::kZero12, weight_sum, sum[i]) * cuda::kHeadroom12;
  }
}

/// Grid: ceil(Hkv * Tq * g / (warps * rows)).
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  constexpr int kColumns = kConfig.lane_columns(kShape.head_dim_v), kPieces = kShape.head_dim_v / kColumns;
  constexpr int kRows = kConfig.rows(kShape), kTerms = kRows * kShape.topk;
  extern __shared__ __align__(16) unsigned char smem[];  // [warps][kTerms] terms
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  Term* const terms_of_warp = reinterpret_cast<Term*>(smem) + warp * kTerms;
  const long long rows = static_cast<long long>(p.heads_kv) * p.total_q * kShape.group;
  const long long first_row = (static_cast<long long>(blockIdx.x) * kConfig.warps + warp) * kRows;
  if (first_row >= rows) return;

  find_terms<kShape, kConfig>(p, terms_of_warp, first_row, rows, lane);
  __syncwarp();
#pragma unroll 1
  for (int i = lane; i < kRows * kPieces; i += 32) {
    const int r = i / kPieces, piece = i % kPieces;
    if (first_row + r >= rows) break;
    const Row<kShape> row(p, first_row + r);
    const Term* const terms = terms_of_warp + r * kShape.topk;
    float merged[kColumns];
    merge_columns<kShape, kConfig>(p, terms, row.in_group, piece, merged);
#pragma unroll
    for (int group = 0; group < kColumns / 8; ++group) {
      float sum[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[i] = merged[group * 8 + i];
      store_columns<kShape>(p, row, group * 32 + piece * 8, sum);
    }
  }
}

}  // namespace fsa::partial_reduce
