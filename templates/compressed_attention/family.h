#pragma once
// Owns the description of the compressed_attention kernel family.
#include "templates/range_family.h"

namespace fsa {

/// Attention of every query over the compressed keys whose tokens it has all passed (NSA, arXiv 2502.11089, section 3.3.1).
struct CompressedAttentionProblem {
  Element element = Element::kBF16;  ///< of q, ck and cv
  Element output = Element::kBF16;   ///< of o: the same, or f32
  int head_dim = 128;                ///< D of q and ck
  int head_dim_v = 128;              ///< Dv of cv and o
  int group = 1;                     ///< g = Hq / Hkv
  int kernel_size = 32;              ///< l: tokens that a compressed key stands for
  int stride = 16;                   ///< s: tokens from one compressed key to the next, a divisor of l
  int heads_kv = 1;                  ///< Hkv
  int num_seqs = 1;                  ///< B; cu_q, cu_k and cu_c have B + 1 entries
  std::int64_t total_q = 0;          ///< Tq
  std::int64_t total_k = 0;          ///< Tk, tokens before compression
  std::int64_t total_c = 0;          ///< Tc, rows of ck and cv: those in use or more
  float scale = 0;                   ///< softmax scale
  int scaled = 0;                    ///< 1: o is f16 with a power of two per row, o_unit; for what reads it next in a chain

  bool operator==(const CompressedAttentionProblem&) const = default;
};

RangeProblem range_problem(const CompressedAttentionProblem& problem);

struct CompressedAttentionFamily : RangeFamily<CompressedAttentionProblem> {
  static constexpr std::string_view kName = "compressed_attention";
  static constexpr int kVersion = 8;
  static const FieldTable<Problem>& problem_fields();
  static Result<void> check(const Problem& problem, const Target& target);
};

}  // namespace fsa
