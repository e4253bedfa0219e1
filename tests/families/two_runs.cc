#include "tests/families/two_runs.h"

#include <gtest/gtest.h>

#include <cstring>

#include "templates/reference/compare.h"
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

bool same_bits(const Outputs& a, const Outputs& b) {
  const TensorView &x = a.o.view(), &y = b.o.view();
  const std::size_t row = static_cast<std::size_t>(x.shape[2]) * size_of(x.dtype);
  for (std::int64_t t = 0; t < x.shape[0]; ++t)
    for (std::int64_t h = 0; h < x.shape[1]; ++h) {
      const std::int64_t offset = (t * x.stride[0] + h * x.stride[1]) * static_cast<std::int64_t>(size_of(x.dtype));
      if (std::memcmp(static_cast<const char*>(x.data) + offset, static_cast<const char*>(y.data) + offset, row) != 0) return false;
    }
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

  // Other garbage in every output and in the workspace: whatever is not written, or read before it is written, shows.
  ran = chain.run(inputs, {{"o", second.o.view()}, {"lse", second.lse}}, 0x5a);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(same_bits(first, second)) << "two runs differ";
}

}  // namespace fsa::test
