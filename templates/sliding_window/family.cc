#include "templates/sliding_window/family.h"

#include <fmt/format.h>

#include "templates/dimension_check.h"

namespace fsa {

RangeProblem range_problem(const SlidingWindowProblem& p) {
  return {.element = p.element,
          .output = p.output,
          .head_dim = p.head_dim,
          .head_dim_v = p.head_dim_v,
          .group = p.group,
          .heads_kv = p.heads_kv,
          .num_seqs = p.num_seqs,
          .total_q = p.total_q,
          .total_k = p.total_k,
          .total_rows = p.total_k,
          .scale = p.scale,
          .window = p.window,
          .scaled = p.scaled};
}

const FieldTable<SlidingWindowProblem>& SlidingWindowFamily::problem_fields() {
  using P = SlidingWindowProblem;
  static const FieldTable<P> fields{{"element", &P::element, element_names()},
                                    {"output", &P::output, element_names()},
                                    {"head_dim", &P::head_dim},
                                    {"head_dim_v", &P::head_dim_v},
                                    {"group", &P::group},
                                    {"window", &P::window},
                                    {"heads_kv", &P::heads_kv},
                                    {"num_seqs", &P::num_seqs},
                                    {"total_q", &P::total_q},
                                    {"total_k", &P::total_k},
                                    {"scale", &P::scale},
                                    {"scaled", &P::scaled}};
  return fields;
}

Result<void> SlidingWindowFamily::check(const Problem& p, const Target& target) {
  if (p.window < 1) return unsupported(fmt::format("window is {}", p.window), "1 and up: a query always sees its own key");
  return check_range_problem(range_problem(p), target);
}

}  // namespace fsa
