#include "templates/reference/random_numbers.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "templates/reference/numeric.h"
#include "templates/reference/parallel.h"

namespace fsa::reference {
namespace {

constexpr int kQuantileBits = 12;
constexpr int kQuantiles = 1 << kQuantileBits;
constexpr int kDrawsPerWord = 64 / kQuantileBits;
constexpr std::int64_t kRange = 1 << 16;  // elements per stream; part of what a seed means

/// The quantiles as elements of the tensor's type.
template <class Element>
std::vector<Element> element_table(DType dtype, double deviation) {
  std::vector<Element> table(kQuantiles);
  const auto view = TensorView::contiguous(table.data(), dtype, {kQuantiles});
  const auto quantiles = normal_quantiles(kQuantiles);
  for (int i = 0; i < kQuantiles; ++i) store_element(view, i, static_cast<float>(deviation * quantiles[i]));
  return table;
}

template <class Element>
void fill(const TensorView& tensor, std::uint64_t seed, double deviation) {
  const auto table = element_table<Element>(tensor.dtype, deviation);
  auto* out = static_cast<Element*>(tensor.data);
  parallel_for(tensor.num_elements(), kRange, [&](std::int64_t first, std::int64_t last) {
    Random random(seed, static_cast<std::uint64_t>(first / kRange));
    for (std::int64_t i = first; i < last;) {
      std::uint64_t word = random.next();
      for (int draw = 0; draw < kDrawsPerWord && i < last; ++draw, word >>= kQuantileBits) out[i++] = table[word % kQuantiles];
    }
  });
}

}  // namespace

std::vector<double> normal_quantiles(int count) {
  std::vector<double> quantiles(count);
  double x = -4;
  for (int i = 0; i < count; ++i) {
    const double probability = (i + 0.5) / count;
    // Newton's method from the neighbouring quantile; in the flat tail a step is limited to stay on the right branch.
    for (int step = 0; step < 30; ++step) {
      const double error = 0.5 * std::erfc(-x / std::numbers::sqrt2) - probability;
      const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
      const double move = std::fmin(0.5, std::fmax(-0.5, error / density));
      x -= move;
      if (std::fabs(move) < 1e-12) break;
    }
    quantiles[i] = x;
  }
  return quantiles;
}

void fill_normal(const TensorView& tensor, std::uint64_t seed, double deviation) {
  if (tensor.dtype == DType::kF32) return fill<float>(tensor, seed, deviation);
  fill<std::uint16_t>(tensor, seed, deviation);
}

}  // namespace fsa::reference
