#pragma once
// Owns the choice between finalists. Pure: the same samples always give the same winner.
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "tuner/statistics.h"

namespace fsa::tuner {

/// A candidate that gave the right result, with its samples. Finalists stand in tie-break order: the operator's default
/// first, then the other variants' defaults, then the rest in the order of the space.
struct Finalist {
  std::vector<double> seconds;
  bool is_default = false;  ///< of the operator: what the winner must beat
};

struct Choice {
  std::size_t winner = 0;
  std::optional<std::size_t> second = {};  ///< the fastest of the others
  std::size_t tied = 1;                    ///< finalists within the tie band of the fastest, which is among them
  Interval over_default{1, 1, 1};          ///< winner / default; below 1 is faster. 1 when the default wins or did not run
  Interval over_second{1, 1, 1};           ///< winner / second
  bool kept_default = false;               ///< something looked faster, but not beyond doubt
};

/// Within `tie_band` of the fastest median the first in order wins, so that noise does not pick between equals. A
/// candidate displaces the default only if the whole 95 % interval of their ratio lies below 1: never worse than default.
/// `paired`: all were sampled in the same rounds, so that ratios can be formed round by round.
/// Precondition: at least one finalist; each has samples.
Choice choose(std::span<const Finalist> finalists, double tie_band, bool paired);

}  // namespace fsa::tuner
