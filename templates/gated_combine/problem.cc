#include "templates/gated_combine/problem.h"

#include <fmt/format.h>

#include <limits>

#include "templates/dimension_check.h"

namespace fsa::gated_combine {

const FieldTable<Problem>& problem_fields() {
  static const FieldTable<Problem> fields{{"element", &Problem::element, element_names()},
                                          {"gates", &Problem::gates, element_names()},
                                          {"head_dim_v", &Problem::head_dim_v},
                                          {"heads_q", &Problem::heads_q},
                                          {"total_q", &Problem::total_q}};
  return fields;
}

const FieldTable<Shape>& shape_fields() {
  static const FieldTable<Shape> fields{
      {"element", &Shape::element, element_names()}, {"gates", &Shape::gates, element_names()}, {"head_dim_v", &Shape::head_dim_v}};
  return fields;
}

Shape shape(const Problem& p) { return {.element = p.element, .gates = p.gates, .head_dim_v = p.head_dim_v}; }

Result<void> check(const Problem& p) {
  constexpr std::int64_t kMostRows = std::numeric_limits<std::int32_t>::max() - 4096;
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim_v", p.head_dim_v));
  if (p.heads_q < 1) return unsupported(fmt::format("heads_q is {}", p.heads_q), "1 and up");
  if (p.total_q < 0) return unsupported(fmt::format("total_q is {}", p.total_q), "0 and up");
  if (p.total_q > kMostRows / p.heads_q)
    return unsupported(fmt::format("total_q {} x heads_q {} rows", p.total_q, p.heads_q), "fewer than 2^31 - 4096 in one call",
                       "split the batch over several calls");
  return {};
}

Work work(const Problem& p) {
  const double numbers = static_cast<double>(p.rows()) * p.head_dim_v;
  return {.flops = 5 * numbers,
          .bytes = numbers * (12 + bytes_of_element(p.element)) + 3.0 * static_cast<double>(p.rows()) * bytes_of_element(p.gates)};
}

std::vector<TensorSpec> tensors(const Problem& p) {
  const std::vector<std::int64_t> output{p.total_q, p.heads_q, p.head_dim_v};
  return {{"o_cmp", Access::kRead, DType::kF32, output},
          {"o_sel", Access::kRead, DType::kF32, output},
          {"o_win", Access::kRead, DType::kF32, output},
          {"gates", Access::kRead, dtype_of_element(p.gates), {p.total_q, p.heads_q, 3}},
          {"out", Access::kWrite, dtype_of_element(p.element), output}};
}

Params pack(const Problem& p, std::span<const TensorView> t) {
  const auto strides = [](const TensorView& tensor) { return RowStrides{tensor.stride[0], tensor.stride[1]}; };
  return {.o_cmp = static_cast<const float*>(t[0].data),
          .o_sel = static_cast<const float*>(t[1].data),
          .o_win = static_cast<const float*>(t[2].data),
          .gates = t[3].data,
          .out = t[4].data,
          .cmp_stride = strides(t[0]),
          .sel_stride = strides(t[1]),
          .win_stride = strides(t[2]),
          .gates_stride = strides(t[3]),
          .out_stride = strides(t[4]),
          .total_q = static_cast<int>(p.total_q),
          .heads_q = p.heads_q};
}

}  // namespace fsa::gated_combine
