#include "templates/selected_problem.h"

#include <fmt/format.h>

#include <limits>

#include "templates/dimension_check.h"

namespace fsa {

const std::vector<EnumName>& partial_names() {
  static const std::vector<EnumName> names{
      {0, "f16", "Partial::kF16"}, {1, "bf16", "Partial::kBF16"}, {2, "f32", "Partial::kF32"}, {3, "i12", "Partial::kI12"}};
  return names;
}

namespace {

Result<void> check_dims(const SelectedProblem& p) {
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim", p.head_dim));
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim_v", p.head_dim_v));
  FSA_RETURN_IF_ERROR(check_group(p.group));
  FSA_RETURN_IF_ERROR(check_block_size(p.block_size));
  return check_topk(p.topk);
}

Result<void> check_slots(const SelectedProblem& p) {
  FSA_RETURN_IF_ERROR(check_sizes(p.heads_kv, p.num_seqs, p.total_q, p.total_k));
  if (p.entries() > std::numeric_limits<std::int32_t>::max() - 4096)
    return unsupported(fmt::format("total_q {} x heads_kv {} x topk {} selected blocks", p.total_q, p.heads_kv, p.topk),
                       "fewer than 2^31 in one call", "split the batch or the kv heads over several calls");
  return check_scale(p.scale);
}

Result<void> check_output(const SelectedProblem& p) {
  if (p.output == p.element || p.output == Element::kF32) return {};
  return unsupported(fmt::format("output {} of {} inputs", to_string(p.output), to_string(p.element)), fmt::format("{} and f32", to_string(p.element)),
                     "set output to the element type of q, k and v");
}

}  // namespace

const FieldTable<SelectedProblem>& selected_problem_fields() {
  using P = SelectedProblem;
  static const FieldTable<P> fields{
      {"element", &P::element, element_names()}, {"output", &P::output, element_names()}, {"head_dim", &P::head_dim}, {"head_dim_v", &P::head_dim_v}, {"group", &P::group},
      {"block_size", &P::block_size}, {"topk", &P::topk}, {"heads_kv", &P::heads_kv}, {"num_seqs", &P::num_seqs},
      {"total_q", &P::total_q}, {"total_k", &P::total_k}, {"scale", &P::scale}, {"item_tokens", &P::item_tokens},
      {"partial", &P::partial, partial_names()}};
  return fields;
}

const FieldTable<SelectedShape>& selected_shape_fields() {
  using S = SelectedShape;
  static const FieldTable<S> fields{{"element", &S::element, element_names()}, {"output", &S::output, element_names()}, {"head_dim", &S::head_dim}, {"head_dim_v", &S::head_dim_v},
                                    {"group", &S::group}, {"block_size", &S::block_size}, {"topk", &S::topk}};
  return fields;
}

SelectedShape selected_shape(const SelectedProblem& p) {
  return {.element = p.element, .output = p.output, .head_dim = p.head_dim, .head_dim_v = p.head_dim_v, .group = p.group, .block_size = p.block_size, .topk = p.topk};
}

Result<void> check_selected_problem(const SelectedProblem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_dims(p));
  FSA_RETURN_IF_ERROR(check_slots(p));
  FSA_RETURN_IF_ERROR(check_element(p.element, target));
  return check_output(p);
}

Work selected_work(const SelectedProblem& p) {
  const double rows = static_cast<double>(p.total_q) * p.heads_kv * p.group;
  const double mean_k = p.num_seqs > 0 ? static_cast<double>(p.total_k) / p.num_seqs : 0;
  // Visible keys per row of a causal sequence of mean length: limited by the context at the start, by topk later.
  const double selected = static_cast<double>(p.topk) * p.block_size;
  const double visible = mean_k <= selected ? mean_k / 2 : selected - selected * selected / (2 * mean_k);
  const double element_bytes = bytes_of_element(p.element);
  const double kv = static_cast<double>(p.total_k) * p.heads_kv * (p.head_dim + p.head_dim_v);
  return {.flops = 2 * rows * visible * (p.head_dim + p.head_dim_v),
          .bytes = element_bytes * (rows * p.head_dim + kv) + bytes_of_element(p.output) * rows * p.head_dim_v + 4.0 * static_cast<double>(p.entries())};
}

Work block_index_work(const SelectedProblem& p) { return {.flops = 0, .bytes = 12.0 * static_cast<double>(p.entries())}; }

Work partial_reduce_work(const SelectedProblem& p) {
  const double rows = static_cast<double>(p.total_q) * p.heads_kv * p.group;
  constexpr double kPartialBytes[] = {2, 2, 4, 1.5};  // of enum Partial
  return {.flops = 2 * rows * p.topk * p.head_dim_v,
          .bytes = rows * p.topk * (p.head_dim_v * kPartialBytes[p.partial] + 4) + rows * (p.head_dim_v * bytes_of_element(p.output) + 4.0) + 4.0 * static_cast<double>(p.entries())};
}

}  // namespace fsa
