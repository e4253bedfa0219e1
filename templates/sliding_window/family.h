#pragma once
// Owns the description of the sliding_window kernel family.
#include "templates/range_family.h"

namespace fsa {

/// Attention of every query over the last `window` keys up to its own; a window of the longest sequence is causal attention.
struct SlidingWindowProblem {
  Element element = Element::kBF16;  ///< of q, k and v
  Element output = Element::kBF16;   ///< of o: the same, or f32
  int head_dim = 128;                ///< D of q and k
  int head_dim_v = 128;              ///< Dv of v and o
  int group = 1;                     ///< g = Hq / Hkv
  int window = 512;                  ///< W, the query's own key included
  int heads_kv = 1;                  ///< Hkv
  int num_seqs = 1;                  ///< B; cu_q and cu_k have B + 1 entries
  std::int64_t total_q = 0;          ///< Tq
  std::int64_t total_k = 0;          ///< Tk
  float scale = 0;                   ///< softmax scale
  int scaled = 0;                    ///< 1: o is f16 with a power of two per row, o_unit; for what reads it next in a chain

  bool operator==(const SlidingWindowProblem&) const = default;
};

RangeProblem range_problem(const SlidingWindowProblem& problem);

struct SlidingWindowFamily : RangeFamily<SlidingWindowProblem> {
  static constexpr std::string_view kName = "sliding_window";
  static constexpr int kVersion = 8;
  static const FieldTable<Problem>& problem_fields();
  static Result<void> check(const Problem& problem, const Target& target);
};

}  // namespace fsa
