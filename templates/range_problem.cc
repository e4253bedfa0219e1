#include "templates/range_problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "templates/cuda/host_kernel.h"
#include "templates/dimension_check.h"

namespace fsa {
namespace {

/// Most query rows in one call: rows are ints, and tiles of them may reach past the last.
constexpr std::int64_t kMostRows = std::numeric_limits<std::int32_t>::max() - 4096;

Result<void> check_rows(const RangeProblem& p) {
  FSA_RETURN_IF_ERROR(check_sizes(p.heads_kv, p.num_seqs, p.total_q, p.total_k));
  if (p.total_rows < 0) return unsupported(fmt::format("total_c is {}", p.total_rows), "0 and up");
  if (p.total_q * p.heads_kv <= kMostRows / p.group && p.total_k <= kMostRows && p.total_rows <= kMostRows) return {};
  return unsupported(fmt::format("total_q {} x heads_kv {} x group {} query rows, {} keys", p.total_q, p.heads_kv, p.group,
                                 std::max(p.total_k, p.total_rows)),
                     "fewer than 2^31 of each in one call", "split the batch or the kv heads over several calls");
}

Result<void> check_output(const RangeProblem& p, const Target& target) {
  if (p.scaled != 0) {
    if (p.scaled == 1 && p.output == Element::kF16 && target.backend == Backend::kCuda) return {};
    return unsupported(fmt::format("scaled is {} and output {}", p.scaled, to_string(p.output)), "0, and 1 with f16 output on a GPU");
  }
  if (p.output == Element::kF32 || p.output == p.element) return {};
  return unsupported(fmt::format("output type {} of {} inputs", to_string(p.output), to_string(p.element)),
                     fmt::format("{} and f32", to_string(p.element)));
}

/// Integral over x in [0, end) of min(max(x, 0), most): the keys that positions below `end` see, where each sees one more than the
/// one before, up to `most`.
double ramp(double end, double most) {
  const double rising = std::clamp(end, 0.0, most);
  return rising * rising / 2 + std::max(0.0, end - most) * most;
}

/// Keys that a query sees on average, where all sequences are alike.
double mean_visible(const RangeProblem& p) {
  if (p.num_seqs == 0 || p.total_q == 0) return 0;
  const double len_q = static_cast<double>(p.total_q) / p.num_seqs, len_k = static_cast<double>(p.total_k) / p.num_seqs;
  const double first = std::max(0.0, len_k - len_q);
  if (!p.compressed()) return (ramp(len_k, p.window) - ramp(first, p.window)) / len_q;
  const double rows = static_cast<double>(p.total_rows) / p.num_seqs;
  const auto seen = [&](double position) { return (position - p.kernel_size) / p.stride + 1; };
  return (ramp(seen(len_k), rows) - ramp(seen(first), rows)) * p.stride / len_q;
}

}  // namespace

const FieldTable<RangeShape>& range_shape_fields() {
  using S = RangeShape;
  static const FieldTable<S> fields{{"element", &S::element, element_names()},
                                    {"output", &S::output, element_names()},
                                    {"head_dim", &S::head_dim},
                                    {"head_dim_v", &S::head_dim_v},
                                    {"group", &S::group},
                                    {"scaled", &S::scaled}};
  return fields;
}

RangeShape range_shape(const RangeProblem& p) {
  return {
      .element = p.element, .output = p.output, .head_dim = p.head_dim, .head_dim_v = p.head_dim_v, .group = p.group, .scaled = p.scaled};
}

Result<void> check_range_problem(const RangeProblem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim", p.head_dim));
  FSA_RETURN_IF_ERROR(check_head_dim("head_dim_v", p.head_dim_v));
  FSA_RETURN_IF_ERROR(check_group(p.group));
  FSA_RETURN_IF_ERROR(check_rows(p));
  FSA_RETURN_IF_ERROR(check_scale(p.scale));
  FSA_RETURN_IF_ERROR(check_element(p.element, target));
  return check_output(p, target);
}

Work range_work(const RangeProblem& p) {
  const double rows = static_cast<double>(p.total_q) * p.heads_kv * p.group;
  const double element_bytes = p.element == Element::kF32 ? 4 : 2, output_bytes = p.output == Element::kF32 ? 4 : 2;
  const double kv = static_cast<double>(p.total_rows) * p.heads_kv * (p.head_dim + p.head_dim_v);
  return {.flops = 2 * rows * mean_visible(p) * (p.head_dim + p.head_dim_v),
          .bytes = element_bytes * (rows * p.head_dim + kv) + rows * (output_bytes * p.head_dim_v + 4)};
}

/// Outputs are rounded to 16 bits, or P is; f32 problems keep f32 throughout.
double range_tolerance(const RangeProblem& p) { return p.element == Element::kF32 ? 1e-5 : 2e-3; }

std::int64_t mean_queries(const RangeProblem& p) { return std::max<std::int64_t>(1, p.total_q / std::max(1, p.num_seqs)); }

std::vector<TensorSpec> range_tensors(const RangeProblem& p) {
  const DType element = cuda::element_dtype(p.element);
  const std::int64_t heads_q = std::int64_t{p.heads_kv} * p.group, bounds = std::int64_t{p.num_seqs} + 1;
  std::vector<TensorSpec> tensors{{"q", Access::kRead, element, {p.total_q, heads_q, p.head_dim}},
                                  {p.compressed() ? "ck" : "k", Access::kRead, element, {p.total_rows, p.heads_kv, p.head_dim}},
                                  {p.compressed() ? "cv" : "v", Access::kRead, element, {p.total_rows, p.heads_kv, p.head_dim_v}},
                                  {"cu_q", Access::kRead, DType::kI32, {bounds}},
                                  {"cu_k", Access::kRead, DType::kI32, {bounds}}};
  if (p.compressed()) tensors.push_back({"cu_c", Access::kRead, DType::kI32, {bounds}});
  tensors.push_back({"o", Access::kWrite, cuda::element_dtype(p.output), {p.total_q, heads_q, p.head_dim_v}});
  tensors.push_back({"lse", Access::kWrite, DType::kF32, {heads_q, p.total_q}});
  if (p.scaled) tensors.push_back({"o_unit", Access::kWrite, DType::kF32, {heads_q, p.total_q}});
  return tensors;
}

RangeParams range_params(const RangeProblem& p, std::span<const TensorView> t) {
  const TensorView *const outputs = &t[p.compressed() ? 6 : 5], &rows = p.compressed() ? t[5] : t[4], &o = outputs[0];
  return {.q = t[0].data,
          .k = t[1].data,
          .v = t[2].data,
          .cu_q = cuda::pointer<const int>(t[3]),
          .cu_k = cuda::pointer<const int>(t[4]),
          .cu_rows = cuda::pointer<const int>(rows),
          .o = o.data,
          .lse = cuda::pointer<float>(outputs[1]),
          .o_unit = p.scaled ? cuda::pointer<float>(outputs[2]) : nullptr,
          .q_stride = cuda::row_strides(t[0]),
          .k_stride = cuda::row_strides(t[1]),
          .v_stride = cuda::row_strides(t[2]),
          .o_stride = cuda::row_strides(o),
          .total_q = static_cast<int>(p.total_q),
          .total_k = static_cast<int>(p.total_k),
          .total_rows = static_cast<int>(p.total_rows),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .kernel_size = p.kernel_size,
          .stride = p.stride,
          .window = p.window,
          .scale = p.scale,
          .v_tiles = nullptr,
          .v_fields = nullptr,
          .next_tile = nullptr,
          .k_map = {}};
}

}  // namespace fsa
