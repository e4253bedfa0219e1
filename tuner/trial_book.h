#pragma once
// Owns the trials of a search: every candidate that was touched, what became of it, and all of its samples.
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "codegen/compiler.h"
#include "tuner/evaluator.h"

namespace fsa::tuner {

/// What became of a candidate.
enum class Outcome {
  kPending,    ///< not measured: not reached, or interrupted
  kMeasured,   ///< has samples
  kUnfitting,  ///< its configs do not go together, or not with the problem
  kPruned,     ///< compiled, and not worth running by the compiler's report
  kFailed,     ///< did not compile, crashed, hung or faulted
  kWrong,      ///< ran, and its output is wrong
};
std::string_view to_string(Outcome outcome);

struct Trial {
  Candidate candidate = {};
  bool is_default = false;  ///< every stage at its default
  Outcome outcome = Outcome::kPending;
  std::string note = {};                     ///< why it was pruned, how it failed
  std::optional<CompileReport> report = {};  ///< set once compiled
  std::vector<double> seconds = {};          ///< samples while exploring
  std::vector<double> relative = {};         ///< the same, divided by the yardstick's median in the same call
  std::vector<double> final_seconds = {};    ///< samples of the finalists' interleaved run; equal index = same round
  std::optional<Verdict> verdict = {};       ///< set once verified
  bool stopped_early = false;                ///< dropped at a multiple of the best

  bool usable() const { return outcome == Outcome::kMeasured; }
  bool verified() const { return usable() && verdict && verdict->right(); }
  /// Median of `relative`, lower is faster; infinity without samples.
  double score() const;
};

/// All samples, the report and the verdict of a trial, for records.
Json to_json(const Trial& trial);

/// Trials by candidate, in the order they were first asked for.
class TrialBook {
 public:
  /// The index of the candidate's trial, made when it is new.
  std::size_t open(const Candidate& candidate);
  Trial& operator[](std::size_t index) { return trials_[index]; }
  const Trial& operator[](std::size_t index) const { return trials_[index]; }
  std::size_t size() const { return trials_.size(); }
  const std::vector<Trial>& trials() const { return trials_; }

  /// The usable ones of `indices`, fastest first, ties in the order opened.
  std::vector<std::size_t> ranked(const std::vector<std::size_t>& indices) const;
  std::vector<std::size_t> ranked() const;

 private:
  std::vector<Trial> trials_;
  std::map<std::string, std::size_t> index_;
};

}  // namespace fsa::tuner
