#include "templates/reference/random_range.h"

#include <cmath>

#include "templates/reference/random_parts.h"

namespace fsa::reference {
namespace {

enum Stream : std::uint64_t { kQueries, kKeys, kValues };

}  // namespace

RangeOperands RangeInputs::operands() const {
  const RangeProblem& p = problem;
  const DType dtype = dtype_of(p.element);
  const std::int64_t bounds = p.num_seqs + 1;
  return {.q = TensorView::contiguous(q.data(), dtype, {p.total_q, p.heads_kv * p.group, p.head_dim}),
          .k = TensorView::contiguous(k.data(), dtype, {p.total_rows, p.heads_kv, p.head_dim}),
          .v = TensorView::contiguous(v.data(), dtype, {p.total_rows, p.heads_kv, p.head_dim_v}),
          .cu_q = TensorView::contiguous(cu_q.data(), DType::kI32, {bounds}),
          .cu_k = TensorView::contiguous(cu_k.data(), DType::kI32, {bounds}),
          .cu_rows = TensorView::contiguous(cu_rows.data(), DType::kI32, {bounds}),
          .scale = p.scale,
          .visible = p.compressed() ? compressed_rule(p.kernel_size, p.stride) : window_rule(p.window)};
}

RangeInputs random_range_inputs(RangeProblem p, const RangeInputOptions& options) {
  RangeInputs inputs;
  const auto lens_q = options.lens_q.empty() ? even_parts(p.total_q, p.num_seqs) : options.lens_q;
  const auto lens_k = !options.lens_k.empty() ? options.lens_k : options.lens_q.empty() ? even_parts(p.total_k, p.num_seqs) : lens_q;
  inputs.cu_q = prefix_sums(lens_q);
  inputs.cu_k = prefix_sums(lens_k);
  inputs.cu_rows = p.compressed() ? compressed_prefix_sums(inputs.cu_k, p.kernel_size, p.stride) : inputs.cu_k;
  p.num_seqs = static_cast<int>(lens_q.size());
  p.total_q = inputs.cu_q.back();
  p.total_k = inputs.cu_k.back();
  p.total_rows = inputs.cu_rows.back() + (p.compressed() ? options.spare_rows : 0);
  if (p.scale == 0) p.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(p.head_dim)));
  inputs.problem = p;
  inputs.q = normal_tensor(p.element, p.total_q * p.heads_kv * p.group * p.head_dim, options.seed * 4 + kQueries, options.gain);
  inputs.k = normal_tensor(p.element, p.total_rows * p.heads_kv * p.head_dim, options.seed * 4 + kKeys, options.gain);
  inputs.v = normal_tensor(p.element, p.total_rows * p.heads_kv * p.head_dim_v, options.seed * 4 + kValues, 1);
  return inputs;
}

}  // namespace fsa::reference
