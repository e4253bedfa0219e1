#pragma once
// Owns NsaProblem: the whole operator's forward in the sizes that its kernels are planned for, and its public counterpart.
#include <cstdint>

#include "codegen/base/json.h"
#include "codegen/fields.h"
#include "codegen/target.h"
#include "templates/selected_shape.h"
#include "fsa/native_sparse_attention.h"

namespace fsa {

/// As NativeSparseAttentionProblem, with the group in place of the query heads and every default resolved.
struct NsaProblem {
  Element element = Element::kBF16;
  Element gates = Element::kBF16;
  int head_dim = 128;
  int head_dim_v = 128;
  int group = 1;
  int kernel_size = 32;
  int stride = 16;
  int block_size = 64;
  int topk = 16;
  int init_blocks = 1;
  int local_blocks = 2;
  int window = 512;
  Compression compression = Compression::kNone;
  int positional = 0;
  int branch_outputs = 0;
  int heads_kv = 1;
  int num_seqs = 1;
  std::int64_t total_q = 0;
  std::int64_t total_k = 0;
  std::int64_t total_c = 0;  ///< rows of ck and cv: the caller's, or room for all that the sequences can have
  float scale = 0;

  bool operator==(const NsaProblem&) const = default;
  std::int64_t heads_q() const { return static_cast<std::int64_t>(heads_kv) * group; }
};

const FieldTable<NsaProblem>& nsa_problem_fields();
const FieldTable<NativeSparseAttentionProblem>& nsa_public_fields();

/// The problem as kernels know it, or why it is none.
Result<Json> to_problem_json(const NativeSparseAttentionProblem& problem);

/// What no variant supports, beyond what the families say of their own parts.
Result<void> check_nsa_problem(const NsaProblem& problem, const Target& target);

}  // namespace fsa
