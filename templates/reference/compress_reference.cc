#include "templates/reference/compress_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "templates/reference/numeric.h"
#include "templates/reference/parallel.h"

namespace fsa::reference {
namespace {

std::span<const std::int32_t> ints(const TensorView& t) {
  return {static_cast<const std::int32_t*>(t.data), static_cast<std::size_t>(t.num_elements())};
}

bool has_shape(const TensorView& t, std::initializer_list<std::int64_t> shape) {
  return t.rank == static_cast<int>(shape.size()) && std::equal(shape.begin(), shape.end(), t.shape.begin()) && t.is_contiguous();
}

Result<void> check(const CompressOperands& o) {
  const std::int64_t heads = o.x.shape[1], d = o.x.shape[2], l = o.kernel_size;
  const bool w = o.w.rank == 0 || has_shape(o.w, {heads, l}) || has_shape(o.w, {heads, l * d, d});
  const bool pe = o.pe.rank == 0 || has_shape(o.pe, {heads, l, d});
  if (o.x.rank == 3 && w && pe && o.cu_k.rank == 1 && o.cu_k.shape[0] >= 1 && o.kernel_size >= 1 && o.stride >= 1) return {};
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("x {}, w {}, pe {}, cu_k {}", o.x.describe(), o.w.describe(), o.pe.describe(), o.cu_k.describe()),
                     .supported = "x [Tk, Hkv, D]; w none, [Hkv, l] or [Hkv, l*D, D]; pe none or [Hkv, l, D]; cu_k [B+1]"});
}

/// Token `t` of the window that begins at `begin`, with pe: [D].
std::vector<double> window_token(const CompressOperands& o, std::int64_t begin, std::int64_t head, int t) {
  std::vector<float> x(static_cast<std::size_t>(o.x.shape[2])), pe(x.size());
  load_elements(o.x, (begin + t) * o.x.stride[0] + head * o.x.stride[1], x);
  if (o.pe.rank != 0) load_elements(o.pe, (head * o.kernel_size + t) * o.x.shape[2], pe);
  std::vector<double> token(x.size());
  for (std::size_t d = 0; d < x.size(); ++d) token[d] = static_cast<double>(x[d]) + pe[d];
  return token;
}

/// y += token @ w[head, t].
void add_product(const CompressOperands& o, std::span<const double> token, std::int64_t head, int t, std::span<double> y) {
  const std::int64_t d = o.x.shape[2];
  std::vector<float> row(static_cast<std::size_t>(d));
  for (std::int64_t i = 0; i < d; ++i) {
    load_elements(o.w, ((head * o.kernel_size + t) * d + i) * d, row);
    for (std::int64_t c = 0; c < d; ++c) y[c] += token[i] * row[c];
  }
}

void compress_row(const CompressOperands& o, std::int64_t begin, std::int64_t head, std::span<double> y) {
  for (int t = 0; t < o.kernel_size; ++t) {
    const auto token = window_token(o, begin, head, t);
    if (o.w.rank == 3) {
      add_product(o, token, head, t, y);
      continue;
    }
    const double weight = o.w.rank == 2 ? load_element(o.w, head * o.kernel_size + t) : 1.0 / o.kernel_size;
    for (std::size_t d = 0; d < y.size(); ++d) y[d] += weight * token[d];
  }
}

}  // namespace

std::vector<std::int32_t> compressed_cu(std::span<const std::int32_t> cu_k, int kernel_size, int stride) {
  std::vector<std::int32_t> cu_c{0};
  std::int64_t sum = 0;
  for (std::size_t b = 1; b < cu_k.size(); ++b) {
    const std::int64_t tokens = std::int64_t{cu_k[b]} - cu_k[b - 1];
    for (std::int64_t begin = 0; begin + kernel_size <= std::min<std::int64_t>(tokens, 1 << 20); begin += stride) ++sum;
    if (tokens > 1 << 20) sum += (tokens - kernel_size) / stride - ((1 << 20) - kernel_size) / stride;
    cu_c.push_back(static_cast<std::int32_t>(std::min<std::int64_t>(sum, std::numeric_limits<std::int32_t>::max())));
  }
  return cu_c;
}

Result<std::vector<double>> compress(const CompressOperands& o) {
  FSA_RETURN_IF_ERROR(check(o));
  const auto cu_c = compressed_cu(ints(o.cu_k), o.kernel_size, o.stride);
  std::vector<Row> rows;
  for (std::int64_t row = 0; row < cu_c.back(); ++row)
    for (std::int64_t head = 0; head < o.x.shape[1]; ++head) rows.push_back({.token = row, .head = head});
  return compress_rows(o, rows);
}

Result<std::vector<double>> compress_rows(const CompressOperands& o, std::span<const Row> rows) {
  FSA_RETURN_IF_ERROR(check(o));
  const auto cu_k = ints(o.cu_k);
  const auto cu_c = compressed_cu(cu_k, o.kernel_size, o.stride);
  for (const Row& row : rows)
    if (row.token < 0 || row.token >= cu_c.back() || row.head < 0 || row.head >= o.x.shape[1])
      return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("row (compressed key {}, kv head {})", row.token, row.head),
                                                      .supported = fmt::format("{} compressed keys of x {}", cu_c.back(), o.x.describe())});
  const std::int64_t d = o.x.shape[2], count = std::ssize(rows);
  std::vector<double> y(static_cast<std::size_t>(count * d));
  parallel_for(count, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const auto b = std::upper_bound(cu_c.begin(), cu_c.end(), rows[i].token) - cu_c.begin() - 1;
      compress_row(o, cu_k[b] + (rows[i].token - cu_c[b]) * o.stride, rows[i].head, std::span(y).subspan(i * d, d));
    }
  });
  return y;
}

}  // namespace fsa::reference
