#pragma once
// Owns the problem of compress_kv: windows of neighbouring keys or values, each turned into one.
#include <cstdint>
#include <span>
#include <vector>

#include "codegen/fields.h"
#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "templates/compress_kv/params.h"

namespace fsa {

struct CompressKvProblem {
  Element element = Element::kBF16;  ///< of x, w, pe and y
  compress_kv::Mode mode = compress_kv::Mode::kMean;
  int positional = 0;        ///< 1: pe is added to the window's tokens; linear mode alone
  int kernel_size = 32;      ///< l
  int stride = 16;           ///< s
  int head_dim = 128;        ///< D
  int heads_kv = 1;          ///< Hkv
  int num_seqs = 1;          ///< B
  std::int64_t total_k = 0;  ///< Tk
  std::int64_t total_c = 0;  ///< Tc, rows of y: at least cu_c[B]

  bool operator==(const CompressKvProblem&) const = default;
};

}  // namespace fsa

namespace fsa::compress_kv {

using Problem = CompressKvProblem;

const FieldTable<Problem>& problem_fields();
const FieldTable<Shape>& shape_fields();
Shape shape(const Problem& problem);
Result<void> check(const Problem& problem, const Target& target);
/// x, w and y once; the products of the windows, not those of pe.
Work work(const Problem& problem);
/// "x", "w" (weighted, linear), "pe" (positional), "cu_k", "cu_c", "y", "pe_product" (positional, [Hkv, splits, D]).
std::vector<TensorSpec> tensors(const Problem& problem, int splits);
Params pack(const Problem& problem, std::span<const TensorView> tensors);

}  // namespace fsa::compress_kv
