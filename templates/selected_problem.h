#pragma once
// Owns SelectedProblem: a selected-attention forward in the sizes that kernels are planned for.
#include <cstdint>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "templates/selected_shape.h"

namespace fsa {

/// One selected-attention forward over packed sequences (Native Sparse Attention, arXiv 2502.11089).
struct SelectedProblem {
  Element element = Element::kBF16;  ///< of q, k and v
  Element output = Element::kBF16;   ///< of o: that of q, k and v, or f32
  int head_dim = 128;                ///< D of q and k
  int head_dim_v = 128;              ///< Dv of v and o
  int group = 1;                     ///< g = Hq / Hkv
  int block_size = 64;               ///< keys per selection block
  int topk = 16;                     ///< T
  int heads_kv = 1;                  ///< Hkv
  int num_seqs = 1;                  ///< B; cu_q and cu_k have B + 1 entries
  std::int64_t total_q = 0;          ///< Tq, query tokens over all sequences
  std::int64_t total_k = 0;          ///< Tk, key tokens over all sequences
  float scale = 0;                   ///< softmax scale; the natural choice is 1/sqrt(D)
  int item_tokens = 0;               ///< block-major on CUDA: tokens per work item, set by the planner from the config
  int partial = 0;                   ///< element of the partial outputs (enum Partial), set by the planner

  bool operator==(const SelectedProblem&) const = default;

  /// Cells of the block-major index per kv head. A sequence b owns cells cu_k[b]/bs + b and up, which never overlap.
  std::int64_t cells() const { return total_k / block_size + num_seqs; }
  /// Slots of block_indices: Hkv * Tq * T.
  std::int64_t entries() const { return static_cast<std::int64_t>(heads_kv) * total_q * topk; }
};

/// Element types of block-major partial outputs (Partial), in problems and configs.
const std::vector<EnumName>& partial_names();

const FieldTable<SelectedProblem>& selected_problem_fields();
const FieldTable<SelectedShape>& selected_shape_fields();
SelectedShape selected_shape(const SelectedProblem& problem);
/// What no selected-attention kernel supports: dims, group, block size, topk, sizes past the index type.
Result<void> check_selected_problem(const SelectedProblem& problem, const Target& target);
/// 2*g*(D+Dv) flops for each visible (query, key) pair of an all-causal selection, and the compulsory traffic.
Work selected_work(const SelectedProblem& problem);
/// Reads block_indices once, writes a list entry and a position per slot.
Work block_index_work(const SelectedProblem& problem);
/// Reads every partial row and its LSE once, writes the outputs once.
Work partial_reduce_work(const SelectedProblem& problem);

}  // namespace fsa
