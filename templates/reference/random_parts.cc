#include "templates/reference/random_parts.h"

#include <numeric>
#include <utility>

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

std::vector<int> lengths(std::int64_t total, int parts, const InputPattern& pattern) {
  if (!pattern.mixed_lengths) return even_parts(total, parts);
  std::vector<std::int64_t> weights(parts);
  std::iota(weights.begin(), weights.end(), 1);
  Random random(pattern.seed, 5);
  for (std::size_t i = weights.size(); i > 1; --i) std::swap(weights[i - 1], weights[random.below(static_cast<std::uint32_t>(i))]);
  const std::int64_t all = static_cast<std::int64_t>(parts) * (parts + 1) / 2;
  std::vector<int> lens(parts);
  std::int64_t before = 0;
  for (int i = 0; i < parts; ++i) {
    const std::int64_t after = before + weights[i];
    lens[i] = static_cast<int>(total * after / all - total * before / all);
    before = after;
  }
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
