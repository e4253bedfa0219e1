// Compressed attention and the sliding window with f16 rows that each have a power of two: times that, they are the f32 rows.
#include <gtest/gtest.h>

#include <cmath>

#include "templates/reference/numeric.h"
#include "tests/families/conformance.h"
#include "tests/families/range_case.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

std::vector<Binding> bindings(const RangeProblem& p, const reference::RangeOperands& x) {
  std::vector<Binding> list{
      {"q", x.q}, {p.compressed() ? "ck" : "k", x.k}, {p.compressed() ? "cv" : "v", x.v}, {"cu_q", x.cu_q}, {"cu_k", x.cu_k}};
  if (p.compressed()) list.push_back({"cu_c", x.cu_rows});
  return list;
}

struct ScaledRows {
  explicit ScaledRows(const RangeProblem& p)
      : rows(p.total_q),
        heads(std::int64_t{p.heads_kv} * p.group),
        columns(p.head_dim_v),
        wide(count()),
        narrow(count()),
        units(rows * heads) {}
  std::size_t count() const { return static_cast<std::size_t>(rows * heads * columns); }

  TensorView wide_view() { return TensorView::contiguous(wide.data(), DType::kF32, {rows, heads, columns}); }
  TensorView narrow_view() { return TensorView::contiguous(narrow.data(), DType::kF16, {rows, heads, columns}); }
  TensorView units_view() { return TensorView::contiguous(units.data(), DType::kF32, {heads, rows}); }

  /// The largest error of a row, by its norm.
  double error() const {
    double worst = 0;
    for (std::int64_t row = 0; row < rows * heads; ++row) {
      const double unit = units[static_cast<std::size_t>(row % heads * rows + row / heads)];
      double difference = 0, norm = 0;
      for (std::int64_t c = row * columns; c < (row + 1) * columns; ++c) {
        const double expected = wide[static_cast<std::size_t>(c)], got = reference::from_f16(narrow[static_cast<std::size_t>(c)]) * unit;
        difference = std::hypot(difference, got - expected);
        norm = std::hypot(norm, expected);
      }
      if (!(difference <= 1e-37)) worst = std::isnan(difference) ? 1 : std::max(worst, difference / norm);
    }
    return worst;
  }

  std::int64_t rows, heads, columns;
  std::vector<float> wide;
  std::vector<std::uint16_t> narrow;
  std::vector<float> units;
};

class ScaledRange : public testing::TestWithParam<RangeCase> {};

TEST_P(ScaledRange, RowsTimesTheirPowersOfTwoAreTheRows) {
  FSA_LAB_OR_SKIP(lab);
  auto inputs = GetParam().make();
  if (inputs.problem.element == Element::kF32) GTEST_SKIP() << "float32 has kernels on the CPU alone";
  inputs.problem.output = Element::kF32;
  const Kernel* kernel = range_kernel(inputs.problem, lab.target().backend);
  const Json wide = range_json(inputs.problem);
  Json scaled = wide;
  scaled.update({{"output", "f16"}, {"scaled", 1}});
  if (backend_under_test() == Backend::kCpu) {
    EXPECT_FALSE(kernel->check(scaled, lab.target())) << "kernels of the CPU do not scale rows";
    return;
  }
  ScaledRows rows(inputs.problem);
  for (const Json& problem : {wide, scaled}) {
    const auto supported = kernel->check(problem, lab.target());
    ASSERT_TRUE(supported) << supported.error().message();
    const auto chain = KernelChain::build(lab, {{kernel, problem, kernel->default_config(problem, lab.target())}});
    ASSERT_TRUE(chain) << chain.error().message();
    std::vector<Binding> outputs{{"o", problem == wide ? rows.wide_view() : rows.narrow_view()}};
    if (problem == scaled) outputs.push_back({"o_unit", rows.units_view()});
    const auto ran = chain->run(bindings(inputs.problem, inputs.operands()), outputs);
    ASSERT_TRUE(ran) << ran.error().message();
  }
  EXPECT_LE(rows.error(), 4e-4);
}

const auto case_name = [](const auto& each) { return each.param.name; };
INSTANTIATE_TEST_SUITE_P(Shapes, ScaledRange, testing::ValuesIn(range_shape_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Sequences, ScaledRange, testing::ValuesIn(range_sequence_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Values, ScaledRange, testing::ValuesIn(range_value_cases()), case_name);

}  // namespace
}  // namespace fsa::test
