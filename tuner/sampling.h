#pragma once
// Owns the split of a budget of candidates over stages, and the seeded sampling within a stage. Pure.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fsa::tuner {

/// How many of each stage's configs to try so that at most `budget` are tried in all (one per stage at least). Small
/// stages are tried whole; what they leave is shared evenly by the large ones.
std::vector<std::size_t> share_budget(std::span<const std::size_t> stage_sizes, std::size_t budget);

/// `count` of the indices 0..size-1, ascending, `always` among them. All of them when count >= size. The same seed gives
/// the same sample on every machine.
std::vector<std::size_t> sample_indices(std::size_t size, std::size_t count, std::size_t always, std::uint64_t seed);

}  // namespace fsa::tuner
