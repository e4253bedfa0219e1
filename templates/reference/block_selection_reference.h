#pragma once
// Owns the float64 oracle of block selection, and the comparison of selected blocks with it.
//
// Source: Native Sparse Attention, arXiv 2502.11089, section 3.3.2. Written for clarity: one loop per (token, kv head).
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"

namespace fsa::reference {

/// How blocks are scored and chosen.
struct SelectionRule {
  int kernel_size = 0;   ///< l: tokens that a compressed key covers
  int stride = 0;        ///< s: tokens from one compressed key to the next; divides l and the block size
  int block_size = 0;    ///< keys per block
  int topk = 0;          ///< T: blocks of a query
  int init_blocks = 0;   ///< first blocks, which come before all others
  int local_blocks = 0;  ///< most recent blocks, which do too
};

/// The inputs of one block selection, in host memory. q and ck: bf16, f16 or f32, any strides.
struct SelectionOperands {
  TensorView q;     ///< [Tq, Hq, D]
  TensorView ck;    ///< [Tc, Hkv, D]
  TensorView lse;   ///< f32 [Hq, Tq], contiguous: of compressed attention, natural logarithm
  TensorView cu_q;  ///< i32 [B+1]
  TensorView cu_k;  ///< i32 [B+1]
  TensorView cu_c;  ///< i32 [B+1]
  SelectionRule rule;
  float scale = 0;  ///< softmax scale
};

/// One row of block_indices.
struct SelectionRow {
  std::int64_t token = 0;    ///< packed query token
  std::int64_t kv_head = 0;  ///< key/value head
};

/// What the comparison allows: scores that differ by less, relative to the larger, may change places.
inline constexpr double kNearTie = 1e-5;
/// Kernels hold logits in float32: of a row whose largest is L they know the exponentials to about L times this.
inline constexpr double kLogitError = 0x1p-22;
/// Scores below the smallest float32 number count as equal: selections are made from float32 scores.
inline constexpr double kLeastScore = 0x1p-126;

/// What the oracle computes of one row.
struct RowScores {
  std::vector<double> blocks;  ///< scores of blocks 0 to the query's own; none for a query before its sequence's first key
  double largest_logit = 0;    ///< largest magnitude of a logit behind them
};

/// Ranks, dtypes and shapes agree, prefix sums rise from 0 to the totals (cu_c to Tc or less), each sequence has the
/// compressed keys of its length, and the rule is sound: else kInvalidArgument.
Result<void> check_selection(const SelectionOperands& operands);

/// Scores of the given rows. Errors: those of check_selection; a row out of range.
Result<std::vector<RowScores>> block_scores(const SelectionOperands& operands, std::span<const SelectionRow> rows);

/// Every row, kv head by kv head, as block_indices holds them; or `count` of them, evenly spread, the first and the last
/// among them.
std::vector<SelectionRow> selection_rows(std::int64_t total_q, std::int64_t heads_kv);
std::vector<SelectionRow> sample_selection_rows(std::int64_t total_q, std::int64_t heads_kv, std::int64_t count);

/// The best `topk` of the blocks whose scores are given, ascending, then -1: forced ones first, then the larger score,
/// then the smaller number.
std::vector<std::int32_t> choose_blocks(std::span<const double> scores, const SelectionRule& rule);

/// How selections differ from the oracle's.
struct SelectionComparison {
  std::int64_t rows = 0;       ///< compared
  std::int64_t exchanged = 0;  ///< rows that differ from the oracle's by near ties alone: scores within kNearTie, or what
                               ///< large logits leave open
  std::int64_t wrong = 0;      ///< rows that no near tie excuses
  double worst = 0;            ///< the largest relative difference of two scores that changed places; infinite for a row that is
                               ///< no selection, or that lacks a forced block
  std::string first_wrong;     ///< the first wrong row: what it holds and what it should

  bool right() const { return wrong == 0; }
  /// "2000 rows, 1 near tie, 0 wrong".
  std::string describe() const;
};

/// Compares one row's blocks with the oracle's on `scores`; returns the largest relative difference of two scores that
/// changed places: 0 where the rows are equal.
double selection_difference(std::span<const std::int32_t> blocks, std::span<const double> scores, const SelectionRule& rule);

/// Compares the given rows of block_indices i32 [Hkv, Tq, T], contiguous, with the oracle's on their scores.
SelectionComparison compare_selection(const TensorView& block_indices, std::span<const SelectionRow> rows,
                                      std::span<const RowScores> scores, const SelectionRule& rule);

}  // namespace fsa::reference
