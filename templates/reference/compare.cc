#include "templates/reference/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "templates/reference/numeric.h"

namespace fsa::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Squares of norms, of the difference and of the reference.
struct Squares {
  double difference = 0;
  double expected = 0;
};

/// The quotient, infinite for NaN: a comparison with NaN is false, so that std::max would drop it.
double ratio(double difference, double scale) {
  if (difference == 0) return 0;
  const double value = difference / scale;
  return std::isnan(value) ? kInfinity : value;
}

Squares row_squares(const TensorView& o, Row row, std::span<const double> expected) {
  std::vector<float> values(expected.size());
  load_elements(o, row.token * o.stride[0] + row.head * o.stride[1], values);
  Squares s;
  for (std::size_t d = 0; d < values.size(); ++d) {
    const double difference = values[d] - expected[d];
    s.difference += difference * difference;
    s.expected += expected[d] * expected[d];
  }
  return s;
}

double lse_difference(double value, double expected) {
  if (value == expected) return 0;  // equal infinities too
  return ratio(std::abs(value - expected), std::max(1.0, std::isinf(expected) ? 1.0 : std::abs(expected)));
}

double at(const TensorView& lse, Row row) { return load_element(lse, row.head * lse.stride[0] + row.token * lse.stride[1]); }

/// Accumulates rows; `expected_lse` and `expected_o` belong to the row.
class Accumulator {
 public:
  void add(const TensorView& o, const TensorView& lse, Row row, std::span<const double> expected_o, double expected_lse) {
    add(o, row, expected_o);
    result_.lse = std::max(result_.lse, lse_difference(at(lse, row), expected_lse));
  }

  void add(const TensorView& o, Row row, std::span<const double> expected) { rows_.push_back(row_squares(o, row, expected)); }

  Comparison finish() && {
    Squares total;
    for (const Squares& s : rows_) {
      total.difference += s.difference;
      total.expected += s.expected;
    }
    result_.output = ratio(std::sqrt(total.difference), std::sqrt(total.expected));
    const double mean = rows_.empty() ? 0 : total.expected / static_cast<double>(rows_.size());
    for (const Squares& s : rows_)
      result_.worst_row = std::max(result_.worst_row, ratio(std::sqrt(s.difference), std::sqrt(std::max(s.expected, mean))));
    return result_;
  }

 private:
  std::vector<Squares> rows_;
  Comparison result_;
};

}  // namespace

bool Comparison::within(double output_tolerance, double lse_tolerance) const {
  return output <= output_tolerance && worst_row <= 5 * output_tolerance && lse <= lse_tolerance;
}

std::string Comparison::describe() const { return fmt::format("output {:.2e}, worst row {:.2e}, LSE {:.1e}", output, worst_row, lse); }

Comparison compare(const TensorView& o, const TensorView& lse, const SelectedOutputs& expected) {
  const std::int64_t total_q = o.shape[0], heads = o.shape[1], dv = o.shape[2];
  Accumulator sums;
  for (std::int64_t i = 0; i < total_q * heads; ++i) {
    const Row row{.token = i / heads, .head = i % heads};
    sums.add(o, lse, row, std::span(expected.o).subspan(i * dv, dv), expected.lse[row.head * total_q + row.token]);
  }
  return std::move(sums).finish();
}

Comparison compare_output(const TensorView& o, std::span<const double> expected) {
  const std::size_t columns = static_cast<std::size_t>(o.shape[2]);
  const std::int64_t heads = o.shape[1];
  Accumulator sums;
  for (std::size_t i = 0; i * columns < expected.size(); ++i) {
    const Row row{.token = static_cast<std::int64_t>(i) / heads, .head = static_cast<std::int64_t>(i) % heads};
    sums.add(o, row, expected.subspan(i * columns, columns));
  }
  return std::move(sums).finish();
}

Comparison compare_rows(const TensorView& o, const TensorView& lse, std::span<const Row> rows, const SelectedOutputs& expected) {
  const std::size_t dv = static_cast<std::size_t>(o.shape[2]);
  Accumulator sums;
  for (std::size_t i = 0; i < rows.size(); ++i) sums.add(o, lse, rows[i], std::span(expected.o).subspan(i * dv, dv), expected.lse[i]);
  return std::move(sums).finish();
}

}  // namespace fsa::reference
