#include "tests/families/random_branches.h"

#include "templates/reference/numeric.h"
#include "templates/reference/random_numbers.h"

namespace fsa::test {

RandomGates::RandomGates(DType dtype, std::int64_t tokens, std::int64_t heads, const GateOptions& options)
    : view_(TensorView::contiguous(nullptr, dtype, {tokens, heads, 3})) {
  if (options.per_token) view_.stride[0] = 3, view_.stride[1] = 0;
  if (options.token_stride > 0) view_.stride[0] = options.token_stride;
  const std::int64_t elements = tokens * view_.stride[0] + heads * view_.stride[1] + 3;
  memory_.resize(static_cast<std::size_t>(elements) * size_of(dtype));
  view_.data = memory_.data();
  reference::Random random(17, 0);
  for (std::int64_t i = 0; i < elements; ++i)
    reference::store_element(view_, i, options.value >= 0 ? options.value : static_cast<float>(random.below(1000)) / 1000);
}

RandomBranches::RandomBranches(std::int64_t tokens, std::int64_t heads, std::int64_t columns, Layout layout) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::int64_t count = tokens * heads * columns;
    std::vector<float> values(static_cast<std::size_t>(count));
    reference::fill_normal(TensorView::contiguous(values.data(), DType::kF32, {count}), 20 + i, 1);
    copies_.emplace_back(TensorView::contiguous(values.data(), DType::kF32, {tokens, heads, columns}), layout, true);
  }
}

}  // namespace fsa::test
