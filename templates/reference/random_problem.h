#pragma once
// Owns the generation of selected-attention inputs for tuning, tests and benchmarks.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "templates/reference/random_parts.h"
#include "templates/reference/selected_reference.h"
#include "templates/selected_problem.h"

namespace fsa::reference {

/// What inputs look like. The default is the selection of the public benchmarks: causal, the first block and the two most
/// recent ones forced, the rest uniform.
struct InputOptions {
  std::uint64_t seed = 1;
  int init_blocks = 1;      ///< first blocks of the sequence that every query selects
  int local_blocks = 2;     ///< most recent blocks that every query selects, its own included
  double overlap = 0;       ///< chance that a free block of the token before is selected again: trained models show 0.5 to 0.9
  bool shuffled = false;    ///< slots in random order, -1 anywhere; else ascending with -1 last
  double empty_rows = 0;    ///< share of (kv head, token) rows that select no block at all
  double gain = 1;          ///< standard deviation of q and of k
  std::vector<int> lens_q;  ///< query tokens of each sequence; empty: total_q in even parts
  std::vector<int> lens_k;  ///< key tokens of each sequence; empty: lens_q, or total_k in even parts if that is empty too
};

/// Inputs in host memory, owned.
struct SelectedInputs {
  SelectedProblem problem;
  std::vector<std::byte> q, k, v;           ///< element [Tq, Hq, D], [Tk, Hkv, D], [Tk, Hkv, Dv]
  std::vector<std::int32_t> block_indices;  ///< [Hkv, Tq, T]
  std::vector<std::int32_t> cu_q, cu_k;     ///< [B+1]

  /// Views of the above, valid while this object is neither changed nor copied from.
  SelectedOperands operands() const;
};

/// Inputs for `problem`, the same for equal arguments on every machine. A scale of 0 becomes 1/sqrt(head_dim); lengths in
/// `options` take precedence over the problem's num_seqs, total_q and total_k.
SelectedInputs random_inputs(SelectedProblem problem, const InputOptions& options = {});

}  // namespace fsa::reference
