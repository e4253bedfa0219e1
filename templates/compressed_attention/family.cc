#include "templates/compressed_attention/family.h"

#include <fmt/format.h>

#include "templates/dimension_check.h"

namespace fsa {

RangeProblem range_problem(const CompressedAttentionProblem& p) {
  return {.element = p.element,
          .output = p.output,
          .head_dim = p.head_dim,
          .head_dim_v = p.head_dim_v,
          .group = p.group,
          .heads_kv = p.heads_kv,
          .num_seqs = p.num_seqs,
          .total_q = p.total_q,
          .total_k = p.total_k,
          .total_rows = p.total_c,
          .scale = p.scale,
          .kernel_size = p.kernel_size,
          .stride = p.stride,
          .scaled = p.scaled};
}

const FieldTable<CompressedAttentionProblem>& CompressedAttentionFamily::problem_fields() {
  using P = CompressedAttentionProblem;
  static const FieldTable<P> fields{{"element", &P::element, element_names()},
                                    {"output", &P::output, element_names()},
                                    {"head_dim", &P::head_dim},
                                    {"head_dim_v", &P::head_dim_v},
                                    {"group", &P::group},
                                    {"kernel_size", &P::kernel_size},
                                    {"stride", &P::stride},
                                    {"heads_kv", &P::heads_kv},
                                    {"num_seqs", &P::num_seqs},
                                    {"total_q", &P::total_q},
                                    {"total_k", &P::total_k},
                                    {"total_c", &P::total_c},
                                    {"scale", &P::scale},
                                    {"scaled", &P::scaled}};
  return fields;
}

Result<void> CompressedAttentionFamily::check(const Problem& p, const Target& target) {
  if (p.kernel_size < 1 || p.kernel_size > 256) return unsupported(fmt::format("kernel_size is {}", p.kernel_size), "1 to 256");
  if (p.stride < 1 || p.kernel_size % p.stride != 0)
    return unsupported(fmt::format("stride is {} and kernel_size {}", p.stride, p.kernel_size), "strides that divide kernel_size");
  return check_range_problem(range_problem(p), target);
}

}  // namespace fsa
