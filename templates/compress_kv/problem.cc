#include "templates/compress_kv/problem.h"

#include <fmt/format.h>

#include <limits>

#include "templates/dimension_check.h"

namespace fsa::compress_kv {
namespace {

const std::vector<EnumName>& mode_names() {
  static const std::vector<EnumName> names{{0, "mean", "compress_kv::Mode::kMean"},
                                           {1, "weighted", "compress_kv::Mode::kWeighted"},
                                           {2, "linear", "compress_kv::Mode::kLinear"}};
  return names;
}

Result<void> check_sizes(const Problem& p) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() - 4096;
  if (p.heads_kv < 1) return unsupported(fmt::format("heads_kv is {}", p.heads_kv), "1 and up");
  if (p.num_seqs < 0) return unsupported(fmt::format("num_seqs is {}", p.num_seqs), "0 and up");
  if (p.total_k < 0 || p.total_c < 0) return unsupported(fmt::format("total_k is {} and total_c is {}", p.total_k, p.total_c), "0 and up");
  if (p.total_k > kMost || p.total_c > kMost / p.heads_kv)
    return unsupported(fmt::format("total_k {}, total_c {} x heads_kv {}", p.total_k, p.total_c, p.heads_kv),
                       "fewer than 2^31 - 4096 in one call", "split the batch over several calls");
  return {};
}

}  // namespace

const FieldTable<Problem>& problem_fields() {
  static const FieldTable<Problem> fields{{"element", &Problem::element, element_names()},
                                          {"mode", &Problem::mode, mode_names()},
                                          {"positional", &Problem::positional},
                                          {"kernel_size", &Problem::kernel_size},
                                          {"stride", &Problem::stride},
                                          {"head_dim", &Problem::head_dim},
                                          {"heads_kv", &Problem::heads_kv},
                                          {"num_seqs", &Problem::num_seqs},
                                          {"total_k", &Problem::total_k},
                                          {"total_c", &Problem::total_c}};
  return fields;
}

const FieldTable<Shape>& shape_fields() {
  static const FieldTable<Shape> fields{
      {"element", &Shape::element, element_names()}, {"mode", &Shape::mode, mode_names()}, {"positional", &Shape::positional},
      {"kernel_size", &Shape::kernel_size},          {"stride", &Shape::stride},           {"head_dim", &Shape::head_dim}};
  return fields;
}

Shape shape(const Problem& p) {
  return {.element = p.element,
          .mode = p.mode,
          .positional = p.positional,
          .kernel_size = p.kernel_size,
          .stride = p.stride,
          .head_dim = p.head_dim};
}

Result<void> check(const Problem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim", p.head_dim));
  FSA_RETURN_IF_ERROR(check_windows(p.kernel_size, p.stride));
  if (p.positional < 0 || p.positional > 1 || (p.positional == 1 && p.mode != Mode::kLinear))
    return unsupported(fmt::format("positional is {} in a mode other than linear, or not 0 or 1", p.positional), "0; 1 in mode linear",
                       "add the positional term to x before a mean or a weighted sum");
  if (target.backend == Backend::kCuda && p.element == Element::kF32)
    return unsupported("element type f32 on a GPU", "bf16 and f16 (f32 on the CPU)", "convert x, w and pe to bf16 or f16");
  return check_sizes(p);
}

Work work(const Problem& p) {
  const double rows = static_cast<double>(p.total_c) * p.heads_kv, x = static_cast<double>(p.total_k) * p.heads_kv * p.head_dim;
  const double weights = static_cast<double>(p.heads_kv) * p.kernel_size;
  const bool linear = p.mode == Mode::kLinear;
  const double w = p.mode == Mode::kMean ? 0 : linear ? weights * p.head_dim * p.head_dim : weights;
  return {.flops = (p.mode == Mode::kMean ? 1.0 : 2.0) * rows * p.kernel_size * p.head_dim * (linear ? p.head_dim : 1),
          .bytes = bytes_of_element(p.element) * (x + w + rows * p.head_dim)};
}

std::vector<TensorSpec> tensors(const Problem& p, int splits) {
  const DType element = dtype_of_element(p.element);
  const std::int64_t length = p.kernel_size, entries = std::int64_t{p.num_seqs} + 1;
  std::vector<TensorSpec> list{{"x", Access::kRead, element, {p.total_k, p.heads_kv, p.head_dim}}};
  if (p.mode == Mode::kWeighted) list.push_back({"w", Access::kRead, element, {p.heads_kv, length}});
  if (p.mode == Mode::kLinear) list.push_back({"w", Access::kRead, element, {p.heads_kv, length * p.head_dim, p.head_dim}});
  if (p.positional) list.push_back({"pe", Access::kRead, element, {p.heads_kv, length, p.head_dim}});
  list.push_back({"cu_k", Access::kRead, DType::kI32, {entries}});
  list.push_back({"cu_c", Access::kRead, DType::kI32, {entries}});
  list.push_back({"y", Access::kWrite, element, {p.total_c, p.heads_kv, p.head_dim}});
  if (p.positional) list.push_back({"pe_product", Access::kReadWrite, DType::kF32, {p.heads_kv, splits, p.head_dim}});
  return list;
}

Params pack(const Problem& p, std::span<const TensorView> t) {
  std::size_t next = 0;
  const TensorView& x = t[next++];
  Params params{};
  params.x = x.data;
  params.x_stride = {x.stride[0], x.stride[1]};
  if (p.mode != Mode::kMean) params.w = t[next++].data;
  if (p.positional) params.pe = t[next++].data;
  params.cu_k = static_cast<const int*>(t[next++].data);
  params.cu_c = static_cast<const int*>(t[next++].data);
  const TensorView& y = t[next++];
  params.y = y.data;
  params.y_stride = {y.stride[0], y.stride[1]};
  if (p.positional) params.pe_product = static_cast<float*>(t[next++].data);
  params.total_k = static_cast<int>(p.total_k);
  params.total_c = static_cast<int>(p.total_c);
  params.num_seqs = p.num_seqs;
  params.heads_kv = p.heads_kv;
  return params;
}

}  // namespace fsa::compress_kv
