#include "runtime/nsa_problem.h"

#include <fmt/format.h>

#include "runtime/public_problem.h"
#include "templates/dimension_check.h"

namespace fsa {
namespace {

const std::vector<EnumName>& compression_names() {
  static const std::vector<EnumName> names{{static_cast<int>(Compression::kNone), "none", ""},
                                           {static_cast<int>(Compression::kMean), "mean", ""},
                                           {static_cast<int>(Compression::kWeighted), "weighted", ""},
                                           {static_cast<int>(Compression::kLinear), "linear", ""}};
  return names;
}

Result<void> check_compression(const NsaProblem& p) {
  FSA_RETURN_IF_ERROR(check_windows(p.kernel_size, p.stride));
  if (p.block_size % p.stride)
    return unsupported(fmt::format("block_size is {} and stride is {}", p.block_size, p.stride), "block_size a multiple of stride");
  if (p.positional && p.compression != Compression::kLinear)
    return make_error(ErrorKind::kInvalidArgument, {.given = "positional without linear compression", .supported = "positional with compression linear",
                                                    .remedy = "leave positional out"});
  return {};
}

Result<void> check_selection(const NsaProblem& p) {
  if (p.window < 1) return unsupported(fmt::format("window is {}", p.window), "1 and up, the query's own key included");
  if (p.init_blocks < 0 || p.local_blocks < 0)
    return unsupported(fmt::format("init_blocks is {} and local_blocks is {}", p.init_blocks, p.local_blocks), "0 and up");
  return {};
}

}  // namespace

const FieldTable<NsaProblem>& nsa_problem_fields() {
  using P = NsaProblem;
  static const FieldTable<P> fields{{"element", &P::element, element_names()},
                                    {"gates", &P::gates, element_names()},
                                    {"head_dim", &P::head_dim},
                                    {"head_dim_v", &P::head_dim_v},
                                    {"group", &P::group},
                                    {"kernel_size", &P::kernel_size},
                                    {"stride", &P::stride},
                                    {"block_size", &P::block_size},
                                    {"topk", &P::topk},
                                    {"init_blocks", &P::init_blocks},
                                    {"local_blocks", &P::local_blocks},
                                    {"window", &P::window},
                                    {"compression", &P::compression, compression_names()},
                                    {"positional", &P::positional},
                                    {"branch_outputs", &P::branch_outputs},
                                    {"heads_kv", &P::heads_kv},
                                    {"num_seqs", &P::num_seqs},
                                    {"total_q", &P::total_q},
                                    {"total_k", &P::total_k},
                                    {"total_c", &P::total_c},
                                    {"scale", &P::scale}};
  return fields;
}

const FieldTable<NativeSparseAttentionProblem>& nsa_public_fields() {
  using P = NativeSparseAttentionProblem;
  static const FieldTable<P> fields{{"dtype", &P::dtype, dtype_names()},
                                    {"gates_dtype", &P::gates_dtype, dtype_names()},
                                    {"head_dim", &P::head_dim},
                                    {"head_dim_v", &P::head_dim_v},
                                    {"heads_q", &P::heads_q},
                                    {"heads_kv", &P::heads_kv},
                                    {"kernel_size", &P::kernel_size},
                                    {"stride", &P::stride},
                                    {"block_size", &P::block_size},
                                    {"topk", &P::topk},
                                    {"init_blocks", &P::init_blocks},
                                    {"local_blocks", &P::local_blocks},
                                    {"window", &P::window},
                                    {"compression", &P::compression, compression_names()},
                                    {"positional", &P::positional},
                                    {"branch_outputs", &P::branch_outputs},
                                    {"num_seqs", &P::num_seqs},
                                    {"total_q", &P::total_q},
                                    {"total_k", &P::total_k},
                                    {"total_c", &P::total_c},
                                    {"scale", &P::scale}};
  return fields;
}

Result<Json> to_problem_json(const NativeSparseAttentionProblem& p) {
  FSA_RETURN_IF_ERROR(check_heads(p.heads_q, p.heads_kv));
  FSA_ASSIGN_OR_RETURN(const Element element, element_of(p.dtype, "q, k and v"));
  FSA_ASSIGN_OR_RETURN(const Element gates, element_of(p.gates_dtype, "gates"));
  // Compressed keys of all sequences together: at most one for each whole stride of tokens.
  const std::int64_t room = p.stride > 0 ? p.total_k / p.stride : 0;
  return to_json(nsa_problem_fields(), NsaProblem{.element = element,
                                                  .gates = gates,
                                                  .head_dim = p.head_dim,
                                                  .head_dim_v = p.head_dim_v,
                                                  .group = p.heads_q / p.heads_kv,
                                                  .kernel_size = p.kernel_size,
                                                  .stride = p.stride,
                                                  .block_size = p.block_size,
                                                  .topk = p.topk,
                                                  .init_blocks = p.init_blocks,
                                                  .local_blocks = p.local_blocks,
                                                  .window = p.window,
                                                  .compression = p.compression,
                                                  .positional = p.positional,
                                                  .branch_outputs = p.branch_outputs,
                                                  .heads_kv = p.heads_kv,
                                                  .num_seqs = p.num_seqs,
                                                  .total_q = p.total_q,
                                                  .total_k = p.total_k,
                                                  .total_c = p.compression == Compression::kNone ? p.total_c : room,
                                                  .scale = softmax_scale(p.scale, p.head_dim)});
}

Result<void> check_nsa_problem(const NsaProblem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_element(p.element, target));
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim", p.head_dim));
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim_v", p.head_dim_v));
  FSA_RETURN_IF_ERROR(check_group(p.group));
  FSA_RETURN_IF_ERROR(check_block_size(p.block_size));
  FSA_RETURN_IF_ERROR(check_topk(p.topk));
  FSA_RETURN_IF_ERROR(check_sizes(p.heads_kv, p.num_seqs, p.total_q, p.total_k));
  FSA_RETURN_IF_ERROR(check_compression(p));
  FSA_RETURN_IF_ERROR(check_selection(p));
  return check_scale(p.scale);
}

}  // namespace fsa
