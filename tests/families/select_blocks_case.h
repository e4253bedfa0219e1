#pragma once
// Owns the problems that select_blocks is tested on.
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "templates/reference/block_selection_reference.h"
#include "templates/select_blocks/problem.h"
#include "tests/families/selected_case.h"

namespace fsa::test {

/// Inputs in host memory, owned, and the rows that are compared.
struct SelectBlocksInputs {
  select_blocks::Problem problem;
  std::vector<std::byte> q, ck;  ///< element [Tq, Hq, D], [Tc, Hkv, D]
  std::vector<float> lse;        ///< [Hq, Tq]
  std::vector<std::int32_t> cu_q, cu_k, cu_c;
  std::vector<reference::SelectionRow> rows;

  /// Views of the above, valid while this object is neither changed nor copied from.
  reference::SelectionOperands operands() const;
};

/// One problem: how its inputs are made, laid out, and what is special about it.
struct SelectBlocksCase {
  std::string name;
  select_blocks::Problem problem = {};  ///< totals and num_seqs come from the lengths
  std::vector<int> lens_q, lens_k;      ///< of each sequence; no lens_k: lens_q
  double gain = 1;                      ///< standard deviation of q and ck
  Layout layout = Layout::kPacked;
  std::int64_t sampled_rows = 0;                            ///< compare that many rows, and estimate the LSEs; 0: all, exactly
  int spare_keys = 0;                                       ///< rows of ck that belong to no sequence
  std::function<void(SelectBlocksInputs&)> change = {};     ///< applied to the random inputs, before the LSEs are made
  std::function<void(SelectBlocksInputs&)> after_lse = {};  ///< applied at the end

  SelectBlocksInputs make() const;
};

void PrintTo(const SelectBlocksCase& c, std::ostream* out);

namespace select_blocks_cases {
/// Head dims, groups, compressions, block sizes, topk and element types.
std::vector<SelectBlocksCase> shapes();
/// Packed sequences: empty ones, single tokens, query suffixes, more queries than keys, nothing at all.
std::vector<SelectBlocksCase> sequences();
/// Forced blocks: none, all, more than there are slots.
std::vector<SelectBlocksCase> rules();
/// Values: ties, huge logits, rows that see nothing, NaN where nobody looks.
std::vector<SelectBlocksCase> values();
/// Strides.
std::vector<SelectBlocksCase> layouts();
/// The problems that many configs are tried on.
std::vector<SelectBlocksCase> configs();
/// Sizes of the public benchmark and beyond, for GPUs.
std::vector<SelectBlocksCase> large();
}  // namespace select_blocks_cases

}  // namespace fsa::test
