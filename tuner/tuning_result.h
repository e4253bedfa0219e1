#pragma once
// Owns the outcome of a tuning run: the winner, by how much it won, and everything that was tried.
#include <optional>
#include <string>
#include <vector>

#include "codegen/base/json.h"
#include "tuner/choose.h"
#include "tuner/trial_book.h"

namespace fsa::tuner {

struct Counts {
  int enumerated = 0;          ///< configs of all stages, before any pruning
  int pruned_by_model = 0;     ///< of these, excluded by the resource model or found not to go together
  int over_budget = 0;         ///< of these, left out by sampling or because time was up
  int tried = 0;               ///< candidates handed to the compiler
  int pruned_by_compiler = 0;  ///< compiled, and rejected by the compiler's report
  int measured = 0;            ///< timed at least once; the wrong ones are not among them
  int stopped_early = 0;       ///< of these, dropped as too slow
  int failed = 0;              ///< did not compile, crashed, hung or faulted
  int wrong = 0;               ///< gave a wrong result
};

struct TuningResult {
  std::optional<Candidate> winner;          ///< verified; none when nothing ran and gave the right result
  bool winner_is_default = false;           ///< the winner is the operator's default
  Interval winner_seconds;                  ///< median and 95 % interval; zeros without a winner
  std::optional<Interval> default_seconds;  ///< of the operator's default; none when it did not run
  Interval over_default{1, 1, 1};           ///< winner / default
  std::vector<Trial> trials;                ///< all timings, the operator's default first
  Counts counts;
  double elapsed_seconds = 0;
  bool partial = false;    ///< the search was cut short
  std::string stopped_by;  ///< "the user", "the time limit" or, failing in the finals, "the device"
  std::string why;         ///< one sentence: why this candidate, its margin over the second
};

Json to_json(const Counts& counts);
/// The record of a run; `with_trials` adds every candidate with all its samples.
Json to_json(const TuningResult& result, bool with_trials = false);

/// The sentence for result.why. `finalists[i]` is the candidate of choose()'s finalist i.
std::string explain(const Choice& choice, const std::vector<Candidate>& finalists, double tie_band);

}  // namespace fsa::tuner
