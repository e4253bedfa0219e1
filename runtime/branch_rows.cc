#include "runtime/branch_rows.h"

#include <algorithm>

namespace fsa {
namespace {

// Products of the oracle beyond which rows are sampled: some seconds on one core.
constexpr double kMostProducts = 4e9;
constexpr double kFewestRows = 256;

/// Rows that the oracle affords where each takes so many products.
std::int64_t affordable(double products) {
  return static_cast<std::int64_t>(std::max(kFewestRows, kMostProducts / std::max(products, 1.0)));
}

/// Rows of a sequence on average; a query sees that many at most.
double each_sequence(std::int64_t total, int sequences) { return static_cast<double>(total) / std::max(1, sequences); }

}  // namespace

std::vector<reference::Row> judged_attention_rows(const Branch& branch, const BranchProblem& p) {
  const double keys =
      branch.compressed() ? each_sequence(p.total_c, p.num_seqs) : std::min<double>(p.window, each_sequence(p.total_k, p.num_seqs));
  return reference::sample_rows(p.total_q, p.heads_q(), affordable(keys * (p.head_dim + p.head_dim_v)));
}

std::vector<reference::SelectionRow> judged_selection_rows(const BranchProblem& p) {
  // The inputs hold the LSE of the same rows, which takes as long again.
  const double products = 2 * each_sequence(p.total_c, p.num_seqs) * p.group * p.head_dim;
  return reference::sample_selection_rows(p.total_q, p.heads_kv, affordable(products));
}

std::vector<reference::Row> judged_compressed_rows(const BranchProblem& p, std::int64_t rows) {
  const double products = static_cast<double>(p.kernel_size) * p.head_dim * (p.mode == compress_kv::Mode::kLinear ? p.head_dim : 1);
  return reference::sample_rows(rows, p.heads_kv, affordable(products));
}

reference::SelectionRule selection_rule(const BranchProblem& p) {
  return {.kernel_size = p.kernel_size,
          .stride = p.stride,
          .block_size = p.block_size,
          .topk = p.topk,
          .init_blocks = p.init_blocks,
          .local_blocks = p.local_blocks};
}

}  // namespace fsa
