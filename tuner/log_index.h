#pragma once
// Owns the reading side of a timing log: what is already known of a candidate or of a timing call.
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codegen/base/json.h"
#include "tuner/evaluator.h"

namespace fsa::tuner {

/// Answers from log lines. Failures that say nothing about a candidate (kCancelled, kUnavailable, ...) are left out, so
/// that a resumed run tries again.
class LogIndex {
 public:
  explicit LogIndex(const std::vector<Json>& lines);

  std::optional<Result<CompileReport>> report(const Candidate& candidate) const;
  std::optional<Result<Verdict>> verdict(const Candidate& candidate) const;
  /// The next unused timing call of exactly these candidates and rounds.
  std::optional<std::vector<Samples>> take_call(std::span<const Candidate> candidates, int rounds);
  /// All samples of the candidate over all calls, or the error of its last failure; nothing when it was never timed.
  std::optional<Samples> pooled(const Candidate& candidate) const;

 private:
  void add_call(const Json& line);

  std::map<std::string, Result<CompileReport>> reports_;
  std::map<std::string, Result<Verdict>> verdicts_;
  std::map<std::string, std::deque<std::vector<Samples>>> calls_;
  std::map<std::string, Samples> pooled_;
};

}  // namespace fsa::tuner
