#include "runtime/branch_problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/public_problem.h"
#include "templates/dimension_check.h"
#include "templates/families.h"

namespace fsa {
namespace {

/// The fields that callers give, before defaults are resolved. Head counts have none: they are never guessed.
struct BranchFields {
  DType dtype = DType::kBF16;
  compress_kv::Mode mode = compress_kv::Mode::kMean;
  int positional = 0;
  int head_dim = 128;
  int head_dim_v = 128;
  int heads_q = 0;
  int heads_kv = 0;
  int kernel_size = 32;
  int stride = 16;
  int block_size = 64;
  int topk = 16;
  int init_blocks = 1;
  int local_blocks = 2;
  int window = 512;
  int num_seqs = 1;
  std::int64_t total_q = 0;
  std::int64_t total_k = 0;
  std::int64_t total_c = 0;
  float scale = 0;
};

const std::vector<EnumName>& mode_names() {
  using compress_kv::Mode;
  static const std::vector<EnumName> names{{static_cast<int>(Mode::kMean), "mean", ""},
                                           {static_cast<int>(Mode::kWeighted), "weighted", ""},
                                           {static_cast<int>(Mode::kLinear), "linear", ""}};
  return names;
}

/// What both sides of the translation have under one name.
template <class P>
FieldTable<P> shared_fields() {
  return {{"mode", &P::mode, mode_names()},
          {"positional", &P::positional},
          {"head_dim", &P::head_dim},
          {"head_dim_v", &P::head_dim_v},
          {"heads_kv", &P::heads_kv},
          {"kernel_size", &P::kernel_size},
          {"stride", &P::stride},
          {"block_size", &P::block_size},
          {"topk", &P::topk},
          {"init_blocks", &P::init_blocks},
          {"local_blocks", &P::local_blocks},
          {"window", &P::window},
          {"num_seqs", &P::num_seqs},
          {"total_q", &P::total_q},
          {"total_k", &P::total_k},
          {"total_c", &P::total_c},
          {"scale", &P::scale}};
}

const FieldTable<BranchProblem>& problem_fields() {
  static const FieldTable<BranchProblem> fields = [] {
    FieldTable<BranchProblem> all = shared_fields<BranchProblem>();
    all.emplace_back("element", &BranchProblem::element, element_names());
    all.emplace_back("output", &BranchProblem::output, element_names());
    all.emplace_back("group", &BranchProblem::group);
    return all;
  }();
  return fields;
}

/// The branch's part of all public fields, in its order.
FieldTable<BranchFields> public_fields(const Branch& branch) {
  FieldTable<BranchFields> all = shared_fields<BranchFields>(), own;
  all.emplace_back("dtype", &BranchFields::dtype, dtype_names());
  all.emplace_back("heads_q", &BranchFields::heads_q);
  for (const std::string_view name : branch.fields)
    own.push_back(*std::ranges::find_if(all, [&](const auto& field) { return field.name() == name; }));
  return own;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

/// A sequence of n tokens has at least (n - l + 1) / s compressed keys: together no fewer than this, and of one sequence
/// exactly as many. More is known only once cu_k is.
Result<void> check_total_c(const BranchProblem& p) {
  const std::int64_t least = ceil_div(p.total_k - static_cast<std::int64_t>(p.num_seqs) * (p.kernel_size - 1), p.stride);
  if (p.total_c >= least) return {};
  return make_error(
      ErrorKind::kInvalidArgument,
      {.given = fmt::format("total_c is {}", p.total_c),
       .supported = fmt::format("{} and up: so many compressed keys have {} keys in {} sequence{}, with kernel_size {} and stride {}",
                                least, p.total_k, p.num_seqs, p.num_seqs == 1 ? "" : "s", p.kernel_size, p.stride),
       .remedy = "pass a row for each compressed key: (n - kernel_size) / stride + 1, rounded down, of a sequence of n keys"});
}

}  // namespace

bool Branch::has(std::string_view field) const { return std::ranges::find(fields, field) != fields.end(); }

std::span<const Branch> all_branches() {
  static const std::array<Branch, 4> branches{
      Branch{BranchKind::kCompressedAttention,
             "compressed_attention",
             {"dtype", "head_dim", "head_dim_v", "heads_q", "heads_kv", "kernel_size", "stride", "num_seqs", "total_q", "total_k",
              "total_c", "scale"}},
      Branch{BranchKind::kSelectBlocks,
             "select_blocks",
             {"dtype", "head_dim", "heads_q", "heads_kv", "kernel_size", "stride", "block_size", "topk", "init_blocks", "local_blocks",
              "num_seqs", "total_q", "total_k", "total_c", "scale"}},
      Branch{BranchKind::kSlidingWindow,
             "sliding_window",
             {"dtype", "head_dim", "head_dim_v", "heads_q", "heads_kv", "window", "num_seqs", "total_q", "total_k", "scale"}},
      Branch{BranchKind::kCompressKv,
             "compress_kv",
             {"dtype", "mode", "positional", "head_dim", "heads_kv", "kernel_size", "stride", "num_seqs", "total_k", "total_c"}}};
  return branches;
}

Result<Json> to_problem_json(const Branch& branch, const Json& public_problem) {
  FSA_ASSIGN_OR_RETURN(const BranchFields p, from_json(public_fields(branch), public_problem, fmt::format("problem of {}", branch.name)));
  const bool attention = branch.has("heads_q");
  if (attention) FSA_RETURN_IF_ERROR(check_heads(p.heads_q, p.heads_kv));
  FSA_ASSIGN_OR_RETURN(const Element element, element_of(p.dtype, attention ? "q and keys" : "x"));
  // Fields of one name are copied by the names; what is left is what callers say otherwise than kernels.
  Json problem = Json::object();
  const Json given = to_json(public_fields(branch), p);
  for (const auto& field : shared_fields<BranchProblem>())
    if (branch.has(field.name())) problem[std::string(field.name())] = given.at(std::string(field.name()));
  problem["element"] = to_string(element);
  if (branch.has("head_dim_v")) problem["output"] = to_string(element);
  if (attention) problem["group"] = p.heads_q / p.heads_kv;
  if (branch.has("scale")) problem["scale"] = softmax_scale(p.scale, p.head_dim);
  // y without a number of rows gets room for the compressed keys of any sequences: at most one for each whole stride.
  if (branch.kind == BranchKind::kCompressKv && p.total_c == 0 && p.stride > 0) problem["total_c"] = p.total_k / p.stride;
  return problem;
}

BranchProblem branch_problem(const Json& problem) { return from_json(problem_fields(), problem, "problem of a branch").value(); }

Result<void> check_branch_problem(const Branch& branch, const Json& problem, const Target& target) {
  const Kernel* kernel = find_family(branch.name)->kernel(target.backend);
  FSA_RETURN_IF_ERROR(kernel->check(problem, target));
  return branch.compressed() ? check_total_c(branch_problem(problem)) : Result<void>();
}

}  // namespace fsa
