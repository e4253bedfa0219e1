#pragma once
// Owns the branches of Native Sparse Attention as operators of their own, as data, and the problem they are planned for.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "codegen/fields.h"
#include "codegen/target.h"
#include "fsa/base/dtype.h"
#include "fsa/base/result.h"
#include "templates/compress_kv/params.h"

namespace fsa {

enum class BranchKind {
  kCompressedAttention,
  kSlidingWindow,
  kSelectBlocks,
  kCompressKv,
};

/// One branch: an operator with the name of the kernel family that does its work.
struct Branch {
  BranchKind kind;
  std::string_view name;
  std::vector<std::string_view> fields;  ///< of the public problem, by name

  bool has(std::string_view field) const;
  /// Compressed keys take part: where each sequence's begin is computed first.
  bool compressed() const { return kind != BranchKind::kSlidingWindow; }
};

std::span<const Branch> all_branches();

/// The sizes and options that branches have, as kernels are planned for them; each has those of its own family.
struct BranchProblem {
  Element element = Element::kBF16;  ///< of the inputs
  Element output = Element::kBF16;   ///< of o: the same
  compress_kv::Mode mode = compress_kv::Mode::kMean;
  int positional = 0;
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
  int heads_kv = 1;
  int num_seqs = 1;
  std::int64_t total_q = 0;
  std::int64_t total_k = 0;
  std::int64_t total_c = 0;
  float scale = 0;

  std::int64_t heads_q() const { return static_cast<std::int64_t>(heads_kv) * group; }
};

/// A public problem as the branch's kernels know it, every default resolved; or why it is none.
Result<Json> to_problem_json(const Branch& branch, const Json& public_problem);
/// The inverse of what the above writes.
BranchProblem branch_problem(const Json& problem);

/// What is unsupported about the problem, or contradicts itself.
Result<void> check_branch_problem(const Branch& branch, const Json& problem, const Target& target);

}  // namespace fsa
