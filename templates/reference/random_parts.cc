#include "templates/reference/random_parts.h"

#include "fsa/base/tensor_view.h"
#include "templates/reference/random_numbers.h"

#include "templates/dimension_check.h"

namespace fsa::reference {

DType dtype_of(Element element) { return dtype_of_element(element); }

std::vector<int> even_parts(std::int64_t total, int parts) {
  std::vector<int> lens(parts);
  for (int i = 0; i < parts; ++i) lens[i] = static_cast<int>(total * (i + 1) / parts - total * i / parts);
  return lens;
}

std::vector<std::int32_t> prefix_sums(std::span<const int> lens) {
  std::vector<std::int32_t> sums{0};
  for (int n : lens) sums.push_back(sums.back() + n);
  return sums;
}

std::vector<std::byte> normal_tensor(Element element, std::int64_t count, std::uint64_t seed, double deviation) {
  const DType dtype = dtype_of(element);
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size_of(dtype));
  fill_normal(TensorView::contiguous(bytes.data(), dtype, {count}), seed, deviation);
  return bytes;
}

}  // namespace fsa::reference
