#include "runtime/workspace_layout.h"

#include <algorithm>
#include <numeric>

namespace fsa {
namespace {

struct Range {
  std::size_t begin, end;
};

bool together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

/// The lowest offset at which `bytes` fit between the taken ranges, which are sorted by their begin.
std::size_t lowest_gap(const std::vector<Range>& taken, std::size_t bytes) {
  std::size_t offset = 0;
  for (const Range& range : taken) {
    if (offset + bytes <= range.begin) break;
    offset = std::max(offset, range.end);
  }
  return offset;
}

}  // namespace

WorkspaceLayout lay_out(std::span<const Lifetime> tensors, std::size_t alignment) {
  const auto aligned = [&](std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return tensors[a].bytes > tensors[b].bytes; });

  WorkspaceLayout layout{.offsets = std::vector<std::size_t>(tensors.size())};
  std::vector<std::size_t> placed;
  for (const std::size_t i : order) {
    std::vector<Range> taken;
    for (const std::size_t j : placed)
      if (together(tensors[i], tensors[j])) taken.push_back({layout.offsets[j], layout.offsets[j] + aligned(tensors[j].bytes)});
    std::sort(taken.begin(), taken.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
    layout.offsets[i] = lowest_gap(taken, aligned(tensors[i].bytes));
    layout.bytes = std::max(layout.bytes, layout.offsets[i] + aligned(tensors[i].bytes));
    placed.push_back(i);
  }
  return layout;
}

}  // namespace fsa
