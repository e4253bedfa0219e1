#include "templates/partial_reduce/problem.h"

#include <fmt/format.h>

#include "templates/dimension_check.h"

namespace fsa::partial_reduce {

const FieldTable<Problem>& problem_fields() {
  static const FieldTable<Problem> fields = [] {
    FieldTable<Problem> all(selected_problem_fields().begin(), selected_problem_fields().end());
    all.emplace_back("gated", &Problem::gated);
    all.emplace_back("scaled", &Problem::scaled);
    all.emplace_back("gates", &Problem::gates, element_names());
    return all;
  }();
  return fields;
}

const FieldTable<Shape>& shape_fields() {
  static const FieldTable<Shape> fields{{"output", &Shape::output, element_names()},
                                        {"head_dim_v", &Shape::head_dim_v},
                                        {"group", &Shape::group},
                                        {"topk", &Shape::topk},
                                        {"gated", &Shape::gated},
                                        {"scaled", &Shape::scaled},
                                        {"gates", &Shape::gates, element_names()}};
  return fields;
}

Shape shape(const Problem& p) {
  return {.output = p.output,
          .head_dim_v = p.head_dim_v,
          .group = p.group,
          .topk = p.topk,
          .gated = p.gated,
          .scaled = p.scaled,
          .gates = p.gated ? p.gates : Element::kF32};
}

Result<void> check(const Problem& p, const Target& target) {
  if (p.gated != 0 && p.gated != 1) return unsupported(fmt::format("gated is {}", p.gated), "0 and 1");
  if (p.scaled != 0 && (p.scaled != 1 || p.gated == 0 || target.backend != Backend::kCuda))
    return unsupported(fmt::format("scaled is {} and gated {}", p.scaled, p.gated), "0, and 1 where gated is 1, on a GPU");
  return check_selected_problem(p, target);
}

Work work(const Problem& p) {
  Work work = partial_reduce_work(p);
  const double rows = static_cast<double>(p.total_q) * p.heads_kv * p.group;
  if (!p.gated) return work;
  work.flops += 5 * rows * p.head_dim_v;
  work.bytes += rows * ((p.scaled ? 4.0 : 8.0) * p.head_dim_v + 3.0 * bytes_of_element(p.gates));
  return work;
}

std::vector<TensorSpec> output_tensors(const Problem& p) {
  const std::int64_t heads = std::int64_t{p.heads_kv} * p.group;
  const std::vector<std::int64_t> output{p.total_q, heads, p.head_dim_v};
  std::vector<TensorSpec> list;
  const DType branch = p.scaled ? DType::kF16 : DType::kF32;
  if (p.gated)
    list = {{"o_cmp", Access::kRead, branch, output},
            {"o_win", Access::kRead, branch, output},
            {"gates", Access::kRead, dtype_of_element(p.gates), {p.total_q, heads, 3}}};
  if (p.scaled)
    for (const char* name : {"cmp_unit", "win_unit"}) list.push_back({name, Access::kRead, DType::kF32, {heads, p.total_q}});
  list.push_back({p.gated ? "out" : "o", Access::kWrite, dtype_of_element(p.output), output});
  list.push_back({"lse", Access::kWrite, DType::kF32, {heads, p.total_q}});
  return list;
}

void pack_outputs(const Problem& p, std::span<const TensorView> t, Params& params) {
  const auto strides = [](const TensorView& tensor) { return RowStrides{tensor.stride[0], tensor.stride[1]}; };
  std::size_t next = 0;
  if (p.gated) {
    params.o_cmp = t[0].data;
    params.o_win = t[1].data;
    params.gates = t[2].data;
    params.cmp_stride = strides(t[0]);
    params.win_stride = strides(t[1]);
    params.gates_stride = strides(t[2]);
    next = 3;
  }
  if (p.scaled) {
    params.cmp_unit = static_cast<const float*>(t[next].data);
    params.win_unit = static_cast<const float*>(t[next + 1].data);
    next += 2;
  }
  params.o = t[next].data;
  params.o_stride = strides(t[next]);
  params.lse = static_cast<float*>(t[next + 1].data);
  params.total_q = static_cast<int>(p.total_q);
  params.heads_kv = p.heads_kv;
}

}  // namespace fsa::partial_reduce
