#include "templates/partial_reduce/problem.h"

#include <fmt/format.h>

#include "templates/dimension_check.h"

namespace fsa::partial_reduce {

const FieldTable<Problem>& problem_fields() {
  static const FieldTable<Problem> fields = [] {
    FieldTable<Problem> all(selected_problem_fields().begin(), selected_problem_fields().end());
    all.emplace_back("gated", &Problem::gated);
    all.emplace_back("scaled", &Problem::scaled);
    all.emplace_back("shared", &Problem::shared);
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
                                        {"shared", &Shape::shared},
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
          .shared = p.shared,
          .gates = p.gated ? p.gates : Element::kF32};
}

Result<void> check(const Problem& p, const Target& target) {
  if (p.gated != 0 && p.gated != 1) return unsupported(fmt::format("gated is {}", p.gated), "0 and 1");
  if (p.scaled != 0 && (p.scaled != 1 || p.gated == 0 || target.backend != Backend::kCuda))
    return unsupported(fmt::format("scaled is {} and gated {}", p.scaled, p.gated), "0, and 1 where gated is 1, on a GPU");
  if (p.shared != 0 && (p.shared != 1 || target.backend != Backend::kCuda))
    return unsupported(fmt::format("shared is {}", p.shared), "0, and 1 on a GPU");
  return check_selected_problem(p, target);
}

Work work(const Problem& p) {
  Work work = partial_reduce_work(p);
  const double rows = static_cast<double>(p.total_q) * p.heads_kv * p.group;
  if (p.shared) work.bytes += rows * (2.0 * p.head_dim_v + 8.0);
  if (!p.gated) return work;
  work.flops += 5 * rows * p.head_dim_v;
  work.bytes += rows * ((p.scaled ? 4.0 : 8.0) * p.head_dim_v + 3.0 * bytes_of_element(p.gates));
  return work;
}

std::vector<TensorSpec> output_tensors(const Problem& p) {
  const std::int64_t heads = std::int64_t{p.heads_kv} * p.group;
  const std::vector<std::int64_t> output{p.total_q, heads, p.head_dim_v};
  std::vector<TensorSpec> list;
  if (p.shared)
    list = {{"shared_o", Access::kRead, DType::kF16, output},
            {"shared_unit", Access::kRead, DType::kF32, {heads, p.total_q}},
            {"shared_lse", Access::kRead, DType::kF32, {heads, p.total_q}}};
  const DType branch = p.scaled ? DType::kF16 : DType::kF32;
  if (p.gated)
    list.insert(list.end(), {{"o_cmp", Access::kRead, branch, output},
                             {"o_win", Access::kRead, branch, output},
                             {"gates", Access::kRead, dtype_of_element(p.gates), {p.total_q, heads, 3}}});
  if (p.scaled)
    for (const char* name : {"cmp_unit", "win_unit"}) list.push_back({name, Access::kRead, DType::kF32, {heads, p.total_q}});
  list.push_back({p.gated ? "out" : "o", Access::kWrite, dtype_of_element(p.output), output});
  list.push_back({"lse", Access::kWrite, DType::kF32, {heads, p.total_q}});
  return list;
}

void pack_outputs(const Problem& p, std::span<const TensorView> t, Params& params) {
  const auto strides = [](const TensorView& tensor) { return RowStrides{tensor.stride[0], tensor.stride[1]}; };
  std::size_t next = 0;
  if (p.shared) {
    params.shared_o = t[0].data;
    params.shared_stride = strides(t[0]);
    params.shared_unit = static_cast<const float*>(t[1].data);
    params.shared_lse = static_cast<const float*>(t[2].data);
    next = 3;
  }
  if (p.gated) {
    params.o_cmp = t[next].data;
    params.o_win = t[next + 1].data;
    params.gates = t[next + 2].data;
    params.cmp_stride = strides(t[next]);
    params.win_stride = strides(t[next + 1]);
    params.gates_stride = strides(t[next + 2]);
    next += 3;
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
