#pragma once
// Owns the problem of compressed_sequences: how windows are laid over how many sequences.
#include <span>
#include <vector>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "templates/compressed_sequences/params.h"

namespace fsa {

struct CompressedSequencesProblem {
  int kernel_size = 32;  ///< l: tokens of a window
  int stride = 16;       ///< s: tokens from one window to the next
  int num_seqs = 1;      ///< B

  bool operator==(const CompressedSequencesProblem&) const = default;
};

}  // namespace fsa

namespace fsa::compressed_sequences {

using Problem = CompressedSequencesProblem;

const FieldTable<Problem>& problem_fields();
const FieldTable<Shape>& shape_fields();
Result<void> check(const Problem& problem);
/// "cu_k", "cu_c": the same on both backends.
std::vector<TensorSpec> tensors(const Problem& problem);
Params pack(const Problem& problem, std::span<const TensorView> tensors);

}  // namespace fsa::compressed_sequences
