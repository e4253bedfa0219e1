#include "templates/reference/range_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "templates/reference/attend.h"
#include "templates/reference/parallel.h"

namespace fsa::reference {
namespace {

Result<void> check(const RangeOperands& x) {
  if (x.q.rank != 3 || x.k.rank != 3 || x.v.rank != 3) return invalid("ranks of the operands", "q, k and v of rank 3");
  for (const TensorView* t : {&x.q, &x.k, &x.v})
    if (t->dtype == DType::kI32 || t->dtype != x.q.dtype) return invalid(t->describe(), "q, k and v of one type: bf16, f16 or f32");
  const bool heads = x.k.shape[1] > 0 && x.q.shape[1] % x.k.shape[1] == 0 && x.v.shape[1] == x.k.shape[1];
  const bool bounds = x.cu_q.shape[0] == x.cu_k.shape[0] && x.cu_q.shape[0] == x.cu_rows.shape[0];
  if (!heads || !bounds || x.q.shape[2] != x.k.shape[2] || x.v.shape[0] != x.k.shape[0])
    return invalid(fmt::format("q {}, k {}, v {}, cu_q {}, cu_k {}, cu_rows {}", x.q.describe(), x.k.describe(), x.v.describe(),
                               x.cu_q.describe(), x.cu_k.describe(), x.cu_rows.describe()),
                   "q [Tq, Hq, D], k [R, Hkv, D], v [R, Hkv, Dv], cu_q, cu_k and cu_rows [B+1]");
  FSA_RETURN_IF_ERROR(check_prefix_sums("cu_q", x.cu_q, x.q.shape[0]));
  FSA_RETURN_IF_ERROR(check_prefix_sums("cu_k", x.cu_k, ints(x.cu_k).back()));
  return check_prefix_sums("cu_rows", x.cu_rows, x.k.shape[0], true);
}

/// Packed rows of k and v that query `token` sees.
RowSpan visible_rows(const RangeOperands& x, std::int64_t token) {
  const QueryPlace place = place_query(x.cu_q, x.cu_k, token);
  if (place.position < 0) return {};
  const auto first = ints(x.cu_rows)[static_cast<std::size_t>(place.sequence)];
  const RowSpan span = x.visible(place.position, ints(x.cu_rows)[static_cast<std::size_t>(place.sequence) + 1] - first);
  return {first + span.begin, first + span.end};
}

double attend(const RangeOperands& x, Row row, std::span<double> o) {
  const RowSpan span = visible_rows(x, row.token);
  std::vector<std::int64_t> keys(static_cast<std::size_t>(std::max<std::int64_t>(0, span.end - span.begin)));
  std::iota(keys.begin(), keys.end(), std::int64_t{0});
  return attend_keys(x.q, x.k, x.v, row, span.begin, keys, x.scale, o);
}

}  // namespace

VisibleRule window_rule(int window) {
  return [window](std::int64_t position, std::int64_t rows) {
    return RowSpan{std::max<std::int64_t>(0, position - window + 1), std::min(position + 1, rows)};
  };
}

VisibleRule compressed_rule(int kernel_size, int stride) {
  return [kernel_size, stride](std::int64_t position, std::int64_t rows) {
    RowSpan span;
    while (span.end < rows && position >= span.end * stride + kernel_size - 1) ++span.end;
    return span;
  };
}

std::vector<std::int32_t> compressed_prefix_sums(std::span<const std::int32_t> cu_k, int kernel_size, int stride) {
  std::vector<std::int32_t> sums{0};
  for (std::size_t b = 0; b + 1 < cu_k.size(); ++b) {
    const std::int32_t n = cu_k[b + 1] - cu_k[b];
    sums.push_back(sums.back() + (n >= kernel_size ? (n - kernel_size) / stride + 1 : 0));
  }
  return sums;
}

Result<SelectedOutputs> range_attention(const RangeOperands& operands) {
  FSA_RETURN_IF_ERROR(check(operands));
  const std::int64_t total_q = operands.q.shape[0], heads = operands.q.shape[1], dv = operands.v.shape[2];
  SelectedOutputs out{.o = std::vector<double>(total_q * heads * dv), .lse = std::vector<double>(total_q * heads)};
  parallel_for(total_q * heads, 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const Row row{.token = i / heads, .head = i % heads};
      out.lse[row.head * total_q + row.token] = attend(operands, row, std::span(out.o).subspan(i * dv, dv));
    }
  });
  return out;
}

Result<SelectedOutputs> range_attention_rows(const RangeOperands& operands, std::span<const Row> rows) {
  FSA_RETURN_IF_ERROR(check(operands));
  for (const Row& row : rows)
    if (row.token < 0 || row.token >= operands.q.shape[0] || row.head < 0 || row.head >= operands.q.shape[1])
      return invalid(fmt::format("row (token {}, head {})", row.token, row.head), "rows of " + operands.q.describe());
  const std::int64_t dv = operands.v.shape[2], count = static_cast<std::int64_t>(rows.size());
  SelectedOutputs out{.o = std::vector<double>(count * dv), .lse = std::vector<double>(count)};
  parallel_for(count, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) out.lse[i] = attend(operands, rows[i], std::span(out.o).subspan(i * dv, dv));
  });
  return out;
}

std::vector<bool> seen_rows(const RangeOperands& operands) {
  std::vector<bool> seen(static_cast<std::size_t>(operands.k.shape[0]), false);
  for (std::int64_t token = 0; token < operands.q.shape[0]; ++token) {
    const RowSpan span = visible_rows(operands, token);
    for (std::int64_t row = span.begin; row < span.end; ++row) seen[static_cast<std::size_t>(row)] = true;
  }
  return seen;
}

}  // namespace fsa::reference
