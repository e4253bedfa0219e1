#pragma once
// Owns the parts that generated inputs are made of: lengths of packed sequences, their prefix sums, tensors of normal deviates.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fsa/base/dtype.h"
#include "templates/selected_shape.h"

namespace fsa::reference {

/// What generated inputs look like, beside their sizes.
struct InputPattern {
  std::uint64_t seed = 1;      ///< equal seeds give equal inputs
  double overlap = 0;          ///< chance that a selection holds a free block of the token before: trained models show 0.5 to 0.9
  bool mixed_lengths = false;  ///< packed sequences of lengths in the ratio 1 : 2 : 3 ..., in random order, instead of even ones
};

DType dtype_of(Element element);

/// `total` in `parts` lengths that differ by one at most.
std::vector<int> even_parts(std::int64_t total, int parts);
/// `total` in `parts` lengths as the pattern has them: the same ratios for every total.
std::vector<int> lengths(std::int64_t total, int parts, const InputPattern& pattern);
/// 0, lens[0], lens[0] + lens[1], ...
std::vector<std::int32_t> prefix_sums(std::span<const int> lens);
/// `count` elements with the given standard deviation.
std::vector<std::byte> normal_tensor(Element element, std::int64_t count, std::uint64_t seed, double deviation);

}  // namespace fsa::reference
