#include "templates/reference/block_selection_reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "templates/reference/numeric.h"
#include "templates/reference/parallel.h"

namespace fsa::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Error invalid(std::string given, std::string supported) {
  return make_error(ErrorKind::kInvalidArgument, {.given = std::move(given), .supported = std::move(supported)});
}

std::span<const std::int32_t> ints(const TensorView& t) {
  return {static_cast<const std::int32_t*>(t.data), static_cast<std::size_t>(t.num_elements())};
}

Result<void> check_rule(const SelectionRule& r) {
  if (r.kernel_size >= 1 && r.stride >= 1 && r.kernel_size % r.stride == 0 && r.block_size >= 1 && r.block_size % r.stride == 0 &&
      r.topk >= 1 && r.init_blocks >= 0 && r.local_blocks >= 0)
    return {};
  return invalid(fmt::format("kernel_size {}, stride {}, block_size {}, topk {}, init_blocks {}, local_blocks {}", r.kernel_size, r.stride,
                             r.block_size, r.topk, r.init_blocks, r.local_blocks),
                 "a stride that divides the kernel size and the block size, topk of 1 and up, no negative number of blocks");
}

Result<void> check_shapes(const SelectionOperands& x) {
  for (const TensorView* t : {&x.cu_q, &x.cu_k, &x.cu_c})
    if (t->rank != 1 || t->dtype != DType::kI32 || !t->is_contiguous() || t->shape[0] < 1 || t->shape[0] != x.cu_q.shape[0])
      return invalid(t->describe(), "cu_q, cu_k and cu_c: contiguous i32 [B+1]");
  const bool types = x.q.dtype != DType::kI32 && x.ck.dtype == x.q.dtype && x.lse.dtype == DType::kF32 && x.lse.is_contiguous();
  const bool ranks = x.q.rank == 3 && x.ck.rank == 3 && x.lse.rank == 2;
  if (!types || !ranks || x.ck.shape[1] < 1 || x.q.shape[1] % x.ck.shape[1] != 0 || x.ck.shape[2] != x.q.shape[2] ||
      x.lse.shape[0] != x.q.shape[1] || x.lse.shape[1] != x.q.shape[0])
    return invalid(fmt::format("q {}, ck {}, lse {}", x.q.describe(), x.ck.describe(), x.lse.describe()),
                   "q [Tq, Hq, D] and ck [Tc, Hkv, D] of one type, lse f32 [Hq, Tq] contiguous");
  return {};
}

Result<void> check_cu(std::string_view name, const TensorView& cu, std::int64_t total) {
  const auto values = ints(cu);
  const bool reaches = name == "cu_c" ? values.back() <= total : values.back() == total;
  if (values.front() == 0 && reaches && std::is_sorted(values.begin(), values.end())) return {};
  return invalid(fmt::format("{} starts at {}, ends at {}, or decreases", name, values.front(), values.back()),
                 fmt::format("0, ..., {}, never decreasing", total));
}

std::int64_t compressed_length(std::int64_t n, const SelectionRule& rule) {
  return n >= rule.kernel_size ? (n - rule.kernel_size) / rule.stride + 1 : 0;
}

Result<void> check_compressed_lengths(const SelectionOperands& x) {
  const auto cu_k = ints(x.cu_k), cu_c = ints(x.cu_c);
  for (std::size_t b = 0; b + 1 < cu_k.size(); ++b)
    if (cu_c[b + 1] - cu_c[b] != compressed_length(cu_k[b + 1] - cu_k[b], x.rule))
      return invalid(fmt::format("sequence {} has {} keys and {} compressed keys", b, cu_k[b + 1] - cu_k[b], cu_c[b + 1] - cu_c[b]),
                     fmt::format("{} compressed keys", compressed_length(cu_k[b + 1] - cu_k[b], x.rule)));
  return {};
}

/// Where a query token stands.
struct Place {
  std::int64_t position;   // of the query in its sequence; negative when len_q > len_k
  std::int64_t key_start;  // row of ck of the sequence's first compressed key
  std::int64_t visible;    // compressed keys it sees
};

Place place_of(const SelectionOperands& x, std::int64_t token) {
  const auto cu_q = ints(x.cu_q), cu_k = ints(x.cu_k), cu_c = ints(x.cu_c);
  const auto b = std::upper_bound(cu_q.begin(), cu_q.end(), token) - cu_q.begin() - 1;
  const std::int64_t position = cu_k[b + 1] - cu_k[b] - (cu_q[b + 1] - token);
  return {.position = position,
          .key_start = cu_c[b],
          .visible = std::min<std::int64_t>(compressed_length(position + 1, x.rule), cu_c[b + 1] - cu_c[b])};
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// S: probabilities of the visible compressed keys, summed over the heads of the group.
std::vector<double> key_scores(const SelectionOperands& x, SelectionRow row, const Place& place, double& largest_logit) {
  const std::int64_t group = x.q.shape[1] / x.ck.shape[1];
  std::vector<double> sums(static_cast<std::size_t>(place.visible), 0.0);
  std::vector<float> q(static_cast<std::size_t>(x.q.shape[2])), k(q.size());
  for (std::int64_t head = row.kv_head * group; head < (row.kv_head + 1) * group; ++head) {
    const double lse = load_element(x.lse, head * x.lse.shape[1] + row.token);
    if (lse == -kInfinity) continue;
    load_elements(x.q, row.token * x.q.stride[0] + head * x.q.stride[1], q);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      load_elements(x.ck, (place.key_start + static_cast<std::int64_t>(i)) * x.ck.stride[0] + row.kv_head * x.ck.stride[1], k);
      const double logit = dot(q, k) * x.scale;
      largest_logit = std::max(largest_logit, std::abs(logit));
      sums[i] += std::exp(logit - lse);
    }
  }
  return sums;
}

/// w: how many (stride of a compressed key, stride of a block) pairs meet at each compressed key that overlaps a block.
std::vector<double> overlap_weights(const SelectionRule& rule) {
  const int spans = rule.kernel_size / rule.stride, strides = rule.block_size / rule.stride;
  std::vector<double> weights(static_cast<std::size_t>(spans + strides - 1), 0.0);
  for (int m = 0; m < spans; ++m)
    for (int n = 0; n < strides; ++n) ++weights[m + n];
  return weights;
}

RowScores row_scores(const SelectionOperands& x, SelectionRow row) {
  const Place place = place_of(x, row.token);
  if (place.position < 0) return {};
  RowScores result;
  const auto sums = key_scores(x, row, place, result.largest_logit);
  const auto weights = overlap_weights(x.rule);
  const std::int64_t spans = x.rule.kernel_size / x.rule.stride, strides = x.rule.block_size / x.rule.stride;
  result.blocks.assign(static_cast<std::size_t>(place.position / x.rule.block_size + 1), 0.0);
  for (std::size_t j = 0; j < result.blocks.size(); ++j)
    for (std::size_t o = 0; o < weights.size(); ++o) {
      const std::int64_t key = strides * static_cast<std::int64_t>(j) - (spans - 1) + static_cast<std::int64_t>(o);
      if (key >= 0 && key < static_cast<std::int64_t>(sums.size())) result.blocks[j] += weights[o] * sums[key];
    }
  return result;
}

bool is_forced(std::int64_t block, std::int64_t own, const SelectionRule& rule) {
  return block < rule.init_blocks || block > own - rule.local_blocks;
}

/// Ascending blocks out of [0, blocks), as many as there must be, then -1.
bool is_selection(std::span<const std::int32_t> chosen, std::int64_t blocks, int topk) {
  if (static_cast<std::int64_t>(chosen.size()) != topk) return false;
  const std::int64_t count = std::min<std::int64_t>(topk, blocks);
  for (std::int64_t i = 0; i < topk; ++i) {
    if (i >= count && chosen[i] != -1) return false;
    if (i < count && (chosen[i] < 0 || chosen[i] >= blocks || (i > 0 && chosen[i] <= chosen[i - 1]))) return false;
  }
  return true;
}

std::vector<std::int32_t> only_in(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  std::vector<std::int32_t> difference;
  for (std::int32_t block : a)
    if (std::find(b.begin(), b.end(), block) == b.end()) difference.push_back(block);
  return difference;
}

/// Relative to the larger one; 0 where float32 may hold neither.
double relative_difference(double a, double b) {
  const double larger = std::max(a, b);
  if (larger < kLeastScore) return 0;
  const double difference = std::abs(a - b) / larger;
  return std::isnan(difference) ? kInfinity : difference;
}

std::string describe_row(SelectionRow row, std::span<const std::int32_t> blocks, std::span<const std::int32_t> expected) {
  return fmt::format("token {}, kv head {}: [{}] instead of [{}]", row.token, row.kv_head, fmt::join(blocks, " "),
                     fmt::join(expected, " "));
}

}  // namespace

Result<void> check_selection(const SelectionOperands& x) {
  FSA_RETURN_IF_ERROR(check_rule(x.rule));
  FSA_RETURN_IF_ERROR(check_shapes(x));
  FSA_RETURN_IF_ERROR(check_cu("cu_q", x.cu_q, x.q.shape[0]));
  const auto keys = ints(x.cu_k);
  FSA_RETURN_IF_ERROR(check_cu("cu_k", x.cu_k, keys.back()));
  FSA_RETURN_IF_ERROR(check_cu("cu_c", x.cu_c, x.ck.shape[0]));
  return check_compressed_lengths(x);
}

Result<std::vector<RowScores>> block_scores(const SelectionOperands& operands, std::span<const SelectionRow> rows) {
  FSA_RETURN_IF_ERROR(check_selection(operands));
  for (const SelectionRow& row : rows)
    if (row.token < 0 || row.token >= operands.q.shape[0] || row.kv_head < 0 || row.kv_head >= operands.ck.shape[1])
      return invalid(fmt::format("row (token {}, kv head {})", row.token, row.kv_head),
                     fmt::format("rows of q {} and ck {}", operands.q.describe(), operands.ck.describe()));
  std::vector<RowScores> scores(rows.size());
  parallel_for(static_cast<std::int64_t>(rows.size()), 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) scores[i] = row_scores(operands, rows[i]);
  });
  return scores;
}

std::vector<SelectionRow> selection_rows(std::int64_t total_q, std::int64_t heads_kv) {
  return sample_selection_rows(total_q, heads_kv, total_q * heads_kv);
}

std::vector<SelectionRow> sample_selection_rows(std::int64_t total_q, std::int64_t heads_kv, std::int64_t count) {
  const std::int64_t all = total_q * heads_kv, taken = std::min(count, all);
  std::vector<SelectionRow> rows;
  for (std::int64_t i = 0; i < taken; ++i) {
    const std::int64_t at =
        taken == all ? i
        : taken > 1  ? static_cast<std::int64_t>(static_cast<double>(i) * static_cast<double>(all - 1) / static_cast<double>(taken - 1))
                     : all - 1;
    rows.push_back({.token = at % total_q, .kv_head = at / total_q});
  }
  return rows;
}

std::vector<std::int32_t> choose_blocks(std::span<const double> scores, const SelectionRule& rule) {
  const auto own = static_cast<std::int64_t>(scores.size()) - 1;
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const bool a_forced = is_forced(a, own, rule), b_forced = is_forced(b, own, rule);
    return a_forced != b_forced ? a_forced : scores[a] > scores[b];
  });
  std::vector<std::int32_t> chosen(order.begin(), order.begin() + std::min<std::ptrdiff_t>(rule.topk, std::ssize(order)));
  std::sort(chosen.begin(), chosen.end());
  chosen.resize(static_cast<std::size_t>(rule.topk), -1);
  return chosen;
}

std::string SelectionComparison::describe() const {
  return fmt::format("{} rows, {} near tie{}, {} wrong{}{}", rows, exchanged, exchanged == 1 ? "" : "s", wrong, wrong > 0 ? ": " : "",
                     first_wrong);
}

double selection_difference(std::span<const std::int32_t> blocks, std::span<const double> scores, const SelectionRule& rule) {
  if (!is_selection(blocks, std::ssize(scores), rule.topk)) return kInfinity;
  const auto expected = choose_blocks(scores, rule);
  const std::int64_t own = std::ssize(scores) - 1;
  double worst = 0;
  for (std::int32_t taken : only_in(blocks, expected))
    for (std::int32_t missed : only_in(expected, blocks)) {
      if (is_forced(taken, own, rule) != is_forced(missed, own, rule)) return kInfinity;
      worst = std::max(worst, relative_difference(scores[taken], scores[missed]));
    }
  return worst;
}

SelectionComparison compare_selection(const TensorView& block_indices, std::span<const SelectionRow> rows,
                                      std::span<const RowScores> scores, const SelectionRule& rule) {
  SelectionComparison result{.rows = std::ssize(rows)};
  const auto all = ints(block_indices);
  const std::int64_t total_q = block_indices.shape[1], topk = block_indices.shape[2];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto blocks =
        all.subspan(static_cast<std::size_t>((rows[i].kv_head * total_q + rows[i].token) * topk), static_cast<std::size_t>(topk));
    const auto expected = choose_blocks(scores[i].blocks, rule);
    if (std::equal(blocks.begin(), blocks.end(), expected.begin(), expected.end())) continue;
    const double difference = selection_difference(blocks, scores[i].blocks, rule);
    const bool excused = difference <= std::max(kNearTie, kLogitError * scores[i].largest_logit);
    result.worst = std::max(result.worst, difference);
    ++(excused ? result.exchanged : result.wrong);
    if (!excused && result.first_wrong.empty()) result.first_wrong = describe_row(rows[i], blocks, expected);
  }
  return result;
}

}  // namespace fsa::reference
