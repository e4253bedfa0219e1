#pragma once
// Owns the problem of a block selection: sizes, rule and totals. Kernels are specialised on its Shape.
#include <cstdint>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "templates/select_blocks/shape.h"

namespace fsa::select_blocks {

/// Everything a selection is planned for.
struct Problem {
  Element element = Element::kBF16;  ///< of q and ck
  int head_dim = 128;                ///< D
  int group = 1;                     ///< g = Hq / Hkv
  int kernel_size = 32;              ///< l: tokens that a compressed key covers
  int stride = 16;                   ///< s: tokens from one compressed key to the next
  int block_size = 64;               ///< keys per selection block
  int topk = 16;                     ///< T
  int init_blocks = 1;               ///< first blocks that every query takes
  int local_blocks = 2;              ///< most recent blocks that every query takes, its own included
  int heads_kv = 1;                  ///< Hkv
  int num_seqs = 1;                  ///< B; cu_q, cu_k and cu_c have B + 1 entries
  std::int64_t total_q = 0;          ///< Tq, query tokens over all sequences
  std::int64_t total_k = 0;          ///< Tk, key tokens over all sequences
  std::int64_t total_c = 0;          ///< Tc, rows of ck: compressed keys over all sequences, or more
  float scale = 0;                   ///< softmax scale; the natural choice is 1/sqrt(D)

  bool operator==(const Problem&) const = default;
  Shape shape() const { return {element, head_dim, group, kernel_size, stride, block_size, topk, init_blocks, local_blocks}; }
};

const FieldTable<Problem>& problem_fields();
const FieldTable<Shape>& shape_fields();
/// What no kernel supports: dims, compression, block sizes, forced blocks, sizes past the index type.
Result<void> check_problem(const Problem& problem, const Target& target);
/// 2*g*D flops for each visible (query, compressed key) pair, and the compulsory traffic.
Work work_of(const Problem& problem);

}  // namespace fsa::select_blocks
