#include "tests/families/two_runs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "templates/reference/compare.h"
#include "templates/reference/numeric.h"
#include "tests/families/strided_copy.h"

namespace fsa::test {
namespace {

/// The outputs of one run.
struct Outputs {
  Outputs(const OutputShape& s, Layout layout)
      : lse_values(static_cast<std::size_t>(s.heads * s.total_q)),
        o(TensorView::contiguous(nullptr, s.dtype, {s.total_q, s.heads, s.head_dim_v}), layout, false),
        lse(TensorView::contiguous(lse_values.data(), DType::kF32, {s.heads, s.total_q})) {}

  std::vector<float> lse_values;
  StridedCopy o;
  TensorView lse;
};

/// How far a number is from the nearest that bf16 or f16 has.
double past_16_bits(double x) {
  const auto narrow = static_cast<float>(x);
  return std::min(std::abs(x - reference::from_bf16(reference::to_bf16(narrow))), std::abs(x - reference::from_f16(reference::to_f16(narrow))));
}

bool has_bits_past_16(const TensorView& o) {
  for (std::int64_t token = 0; token < o.shape[0]; ++token)
    for (std::int64_t head = 0; head < o.shape[1]; ++head)
      for (std::int64_t i = 0; i < o.shape[2]; ++i)
        if (past_16_bits(reference::load_element(o, token * o.stride[0] + head * o.stride[1] + i)) > 0) return true;
  return false;
}

/// Rows that see one key, or one above all others, are rows of V and need none.
bool needs_bits_past_16(const reference::SelectedOutputs& expected) {
  return std::ranges::any_of(expected.o, [](double x) { return past_16_bits(x) > 1e-5 * std::abs(x); });
}

bool same_bits(const Outputs& a, const Outputs& b) {
  if (!a.o.same_rows(b.o, 0, a.o.view().shape[0])) return false;
  return a.lse_values.empty() || std::memcmp(a.lse_values.data(), b.lse_values.data(), a.lse_values.size() * sizeof(float)) == 0;
}

}  // namespace

void expect_outputs(const KernelChain& chain, const std::vector<Binding>& inputs, const OutputShape& shape, Layout layout,
                    const reference::SelectedOutputs& expected, std::span<const reference::Row> rows) {
  const Outputs first(shape, layout), second(shape, layout);
  ASSERT_TRUE(first.o.view().data && second.o.view().data) << "no address space for the test's tensors";
  auto ran = chain.run(inputs, {{"o", first.o.view()}, {"lse", first.lse}});
  ASSERT_TRUE(ran) << ran.error().message();
  const auto difference = rows.empty() ? reference::compare(first.o.view(), first.lse, expected)
                                       : reference::compare_rows(first.o.view(), first.lse, rows, expected);
  const ChainStep& last = chain.steps().back();
  EXPECT_TRUE(difference.within(last.kernel->tolerance(last.problem))) << difference.describe();
  EXPECT_TRUE(first.o.gaps_hold(0xff)) << "a kernel wrote between the rows of o";
  const bool widened = shape.exact && shape.dtype == DType::kF32 && last.problem.at("element") != "f32" && shape.total_q > 0;
  EXPECT_TRUE(!widened || !needs_bits_past_16(expected) || has_bits_past_16(first.o.view())) << "outputs were rounded to 16 bits before they were stored as f32";

  // Other garbage in every output and in the workspace: whatever is not written, or read before it is written, shows.
  ran = chain.run(inputs, {{"o", second.o.view()}, {"lse", second.lse}}, 0x5a, /*repeats=*/true);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(same_bits(first, second)) << "two runs differ";
}

}  // namespace fsa::test
