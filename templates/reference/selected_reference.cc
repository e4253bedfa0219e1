#include "templates/reference/selected_reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/reference/attend.h"
#include "templates/reference/parallel.h"

namespace fsa::reference {
namespace {

Result<void> check_shapes(const SelectedOperands& x) {
  if (x.q.rank != 3 || x.k.rank != 3 || x.v.rank != 3 || x.block_indices.rank != 3 || x.cu_q.rank != 1 || x.cu_k.rank != 1)
    return invalid("ranks of the operands", "q, k, v and block_indices of rank 3, cu_q and cu_k of rank 1");
  for (const TensorView* t : {&x.q, &x.k, &x.v})
    if (t->dtype == DType::kI32 || t->dtype != x.q.dtype) return invalid(t->describe(), "q, k and v of one type: bf16, f16 or f32");
  for (const TensorView* t : {&x.block_indices, &x.cu_q, &x.cu_k})
    if (t->dtype != DType::kI32 || !t->is_contiguous()) return invalid(t->describe(), "contiguous i32");
  const bool heads = x.k.shape[1] > 0 && x.q.shape[1] % x.k.shape[1] == 0 && x.v.shape[1] == x.k.shape[1];
  const bool dims = x.q.shape[2] == x.k.shape[2] && x.v.shape[0] == x.k.shape[0];
  const bool index = x.block_indices.shape[0] == x.k.shape[1] && x.block_indices.shape[1] == x.q.shape[0];
  if (!heads || !dims || !index || x.cu_q.shape[0] != x.cu_k.shape[0] || x.cu_q.shape[0] < 1)
    return invalid(fmt::format("q {}, k {}, v {}, block_indices {}, cu_q {}, cu_k {}", x.q.describe(), x.k.describe(), x.v.describe(),
                               x.block_indices.describe(), x.cu_q.describe(), x.cu_k.describe()),
                   "q [Tq, Hq, D], k [Tk, Hkv, D], v [Tk, Hkv, Dv], block_indices [Hkv, Tq, T], cu_q and cu_k [B+1]");
  if (x.block_size < 1) return invalid(fmt::format("block_size is {}", x.block_size), "1 and up");
  return {};
}

/// Computes one row into `o` [Dv], which holds zeros, and returns its LSE.
double attend(const SelectedOperands& x, Row row, std::span<double> o) {
  const std::int64_t kv_head = row.head / (x.q.shape[1] / x.k.shape[1]);
  const std::int64_t topk = x.block_indices.shape[2];
  const auto blocks =
      ints(x.block_indices).subspan(static_cast<std::size_t>((kv_head * x.q.shape[0] + row.token) * topk), static_cast<std::size_t>(topk));
  const QueryPlace place = place_query(x.cu_q, x.cu_k, row.token);
  return attend_keys(x.q, x.k, x.v, row, ints(x.cu_k)[static_cast<std::size_t>(place.sequence)],
                     visible_keys(blocks, place.position, x.block_size, place.len_k), x.scale, o);
}

}  // namespace

std::vector<std::int64_t> visible_keys(std::span<const std::int32_t> blocks, std::int64_t position, int block_size, std::int64_t len_k) {
  if (position < 0) return {};
  std::vector<std::int64_t> chosen;
  for (std::int32_t b : blocks)
    if (b >= 0 && b <= position / block_size) chosen.push_back(b);
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  std::vector<std::int64_t> keys;
  for (std::int64_t b : chosen)
    for (std::int64_t key = b * block_size; key < std::min({(b + 1) * block_size, position + 1, len_k}); ++key) keys.push_back(key);
  return keys;
}

Result<void> check_operands(const SelectedOperands& operands) {
  FSA_RETURN_IF_ERROR(check_shapes(operands));
  FSA_RETURN_IF_ERROR(check_prefix_sums("cu_q", operands.cu_q, operands.q.shape[0]));
  return check_prefix_sums("cu_k", operands.cu_k, operands.k.shape[0]);
}

Result<SelectedOutputs> selected_attention(const SelectedOperands& operands) {
  FSA_RETURN_IF_ERROR(check_operands(operands));
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

Result<SelectedOutputs> selected_attention_rows(const SelectedOperands& operands, std::span<const Row> rows) {
  FSA_RETURN_IF_ERROR(check_operands(operands));
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

std::vector<Row> sample_rows(std::int64_t total_q, std::int64_t heads_q, std::int64_t count) {
  const std::int64_t all = total_q * heads_q, taken = std::min(count, all);
  std::vector<Row> rows;
  for (std::int64_t i = 0; i < taken; ++i) {
    // Even steps over all (token, head) pairs from the first to the last, so that heads vary as well as tokens.
    const std::int64_t at =
        taken > 1 ? static_cast<std::int64_t>(static_cast<double>(i) * static_cast<double>(all - 1) / static_cast<double>(taken - 1))
                  : all - 1;
    rows.push_back({.token = at / heads_q, .head = at % heads_q});
  }
  return rows;
}

}  // namespace fsa::reference
