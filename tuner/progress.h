#pragma once
// Owns the progress events of a tuning run. The library prints nothing: a callback gets these.
#include <cstddef>
#include <functional>
#include <limits>
#include <string>

namespace fsa::tuner {

enum class Step { kCompile, kMeasure, kVerify, kFinished };

struct Progress {
  Step step = Step::kCompile;
  std::string variant;              ///< being explored; empty for the defaults and the finalists
  std::string family;               ///< the stage being explored
  std::size_t done = 0, total = 1;  ///< units of work: one per compile, per first timing and per refinement
  double elapsed_seconds = 0;
  double best_seconds = std::numeric_limits<double>::quiet_NaN();     ///< fastest so far
  double default_seconds = std::numeric_limits<double>::quiet_NaN();  ///< the operator's default
  std::string note;  ///< a sentence worth a line of its own: a candidate failed, the run finished; else empty

  double fraction() const { return total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total); }
  /// Seconds left if work goes on at the speed so far; NaN before anything is done.
  double eta_seconds() const {
    return done == 0 ? std::numeric_limits<double>::quiet_NaN() : elapsed_seconds * (1 - fraction()) / fraction();
  }
};

/// Called from the thread that runs the search.
using ProgressSink = std::function<void(const Progress&)>;

}  // namespace fsa::tuner
