#pragma once
// Owns the options of a search: its budget, how much it measures, and what counts as a tie.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>

namespace fsa::tuner {

struct SearchOptions {
  std::size_t max_candidates = 400;                              ///< tried in all, shared by the stages; beyond it configs are sampled
  double max_seconds = std::numeric_limits<double>::infinity();  ///< soft: exploring ends at 80 % of it, the finals follow
  std::uint64_t seed = 1;                                        ///< of the sampling
  /// Samples per candidate at first; doubled for the best third, and so on. Five, as the median of three falls to two
  /// outliers: on a fictional device with 10 % outliers the planted optimum, 4 % ahead, was lost in 4 % of 1000 runs with
  /// three, in 1 % with five, for 40 % more samples.
  int first_rounds = 5;
  int final_rounds = 25;      ///< samples per finalist, interleaved
  std::size_t finalists = 6;  ///< besides the default of every variant
  std::size_t keep = 4;       ///< a stage is narrowed to so many before its best is taken
  std::size_t batch = 12;     ///< candidates per interleaved call while exploring
  std::size_t chunk = 32;     ///< candidates compiled before the first of them is timed
  double early_stop = 2;      ///< a candidate slower than the best by this factor is dropped
  double tie_band = 0.01;     ///< finalists within this fraction of the fastest are equals
  /// Seconds since any fixed moment. Empty: the steady clock. Tests pass their own.
  std::function<double()> clock = {};
};

}  // namespace fsa::tuner
