#pragma once
// Owns the choice of the rows by which a branch's outputs are judged: all, or as many as the float64 reference affords.
#include <vector>

#include "runtime/branch_problem.h"
#include "templates/reference/block_selection_reference.h"
#include "templates/reference/selected_reference.h"

namespace fsa {

/// Of o: (token, query head). Compressed attention and the sliding window.
std::vector<reference::Row> judged_attention_rows(const Branch& branch, const BranchProblem& problem);
/// Of block_indices.
std::vector<reference::SelectionRow> judged_selection_rows(const BranchProblem& problem);
/// Of y: (compressed key, kv head), of the `rows` compressed keys that there are.
std::vector<reference::Row> judged_compressed_rows(const BranchProblem& problem, std::int64_t rows);

reference::SelectionRule selection_rule(const BranchProblem& problem);

}  // namespace fsa
