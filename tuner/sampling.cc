#include "tuner/sampling.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace fsa::tuner {

std::vector<std::size_t> share_budget(std::span<const std::size_t> stage_sizes, std::size_t budget) {
  std::vector<std::size_t> by_size(stage_sizes.size()), share(stage_sizes.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(), [&](std::size_t a, std::size_t b) { return stage_sizes[a] < stage_sizes[b]; });
  std::size_t left = budget, stages_left = by_size.size();
  for (std::size_t stage : by_size) {
    const std::size_t even = std::max<std::size_t>(left / stages_left--, 1);
    share[stage] = std::min(stage_sizes[stage], even);
    left -= std::min(left, share[stage]);
  }
  return share;
}

std::vector<std::size_t> sample_indices(std::size_t size, std::size_t count, std::size_t always, std::uint64_t seed) {
  std::vector<std::size_t> indices(size);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  if (count >= size) return indices;
  std::swap(indices[0], indices[always]);
  std::mt19937_64 random(seed);
  // Own shuffle: std::shuffle and the distributions differ between standard libraries. The modulo's bias is below 2^-40.
  for (std::size_t i = 1; i < count; ++i) std::swap(indices[i], indices[i + random() % (size - i)]);
  indices.resize(std::max<std::size_t>(count, 1));
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace fsa::tuner
