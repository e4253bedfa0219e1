#include "templates/reference/attend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "templates/reference/numeric.h"

namespace fsa::reference {
namespace {

/// Sums in eight strands, which the compiler keeps in vector registers without reordering a sum on its own.
double dot(std::span<const float> a, std::span<const float> b) {
  std::array<double, 8> strands{};
  std::size_t i = 0;
  for (; i + 8 <= a.size(); i += 8)
    for (std::size_t j = 0; j < 8; ++j) strands[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
  for (; i < a.size(); ++i) strands[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((strands[0] + strands[4]) + (strands[1] + strands[5])) + ((strands[2] + strands[6]) + (strands[3] + strands[7]));
}

std::int64_t offset_of(const TensorView& t, std::int64_t token, std::int64_t head) { return token * t.stride[0] + head * t.stride[1]; }

}  // namespace

Error invalid(std::string given, std::string supported) {
  return make_error(ErrorKind::kInvalidArgument, {.given = std::move(given), .supported = std::move(supported)});
}

std::span<const std::int32_t> ints(const TensorView& t) {
  return {static_cast<const std::int32_t*>(t.data), static_cast<std::size_t>(t.num_elements())};
}

Result<void> check_prefix_sums(std::string_view name, const TensorView& cu, std::int64_t total, bool or_less) {
  if (cu.dtype != DType::kI32 || !cu.is_contiguous() || cu.rank != 1 || cu.shape[0] < 1)
    return invalid(fmt::format("{} {}", name, cu.describe()), "contiguous i32 [B+1]");
  const auto values = ints(cu);
  const bool ends = values.back() == total || (or_less && values.back() < total);
  if (values.front() == 0 && ends && std::is_sorted(values.begin(), values.end())) return {};
  return invalid(fmt::format("{} starts at {}, ends at {}, or decreases", name, values.front(), values.back()),
                 fmt::format("0, ..., {}{}, never decreasing", total, or_less ? " or less" : ""));
}

QueryPlace place_query(const TensorView& cu_q, const TensorView& cu_k, std::int64_t token) {
  const auto q = ints(cu_q), k = ints(cu_k);
  const auto b = std::upper_bound(q.begin(), q.end(), token) - q.begin() - 1;
  const std::int64_t len_k = k[b + 1] - k[b];
  return {.sequence = b, .len_k = len_k, .position = len_k - (q[b + 1] - token)};
}

double attend_keys(const TensorView& q, const TensorView& k, const TensorView& v, Row row, std::int64_t first,
                   std::span<const std::int64_t> keys, float scale, std::span<double> o) {
  if (keys.empty()) return -std::numeric_limits<double>::infinity();
  const std::int64_t kv_head = row.head / (q.shape[1] / k.shape[1]);
  std::vector<float> query(q.shape[2]), key(query.size()), value(o.size());
  std::vector<double> scores(keys.size());
  load_elements(q, offset_of(q, row.token, row.head), query);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    load_elements(k, offset_of(k, first + keys[i], kv_head), key);
    scores[i] = dot(query, key) * scale;
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - largest);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    load_elements(v, offset_of(v, first + keys[i], kv_head), value);
    const double weight = scores[i] / sum;
    for (std::size_t d = 0; d < value.size(); ++d) o[d] += weight * value[d];
  }
  return largest + std::log(sum);
}

}  // namespace fsa::reference
