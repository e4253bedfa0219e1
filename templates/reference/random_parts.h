#pragma once
// Owns the parts that generated inputs are made of: lengths of packed sequences, their prefix sums, tensors of normal deviates.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fsa/base/dtype.h"
#include "templates/selected_shape.h"

namespace fsa::reference {

DType dtype_of(Element element);

/// `total` in `parts` lengths that differ by one at most.
std::vector<int> even_parts(std::int64_t total, int parts);
/// 0, lens[0], lens[0] + lens[1], ...
std::vector<std::int32_t> prefix_sums(std::span<const int> lens);
/// `count` elements with the given standard deviation.
std::vector<std::byte> normal_tensor(Element element, std::int64_t count, std::uint64_t seed, double deviation);

}  // namespace fsa::reference
