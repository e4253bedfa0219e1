#pragma once
// Owns the evaluator that answers from a timing log alone, to compare search strategies without a device.
#include <cstdint>
#include <random>

#include "tuner/evaluator.h"
#include "tuner/log_index.h"

namespace fsa::tuner {

/// Draws each candidate's samples, with replacement, from all that were ever logged for it. A candidate that the log
/// does not know fails with kNotFound.
class ReplayEvaluator final : public Evaluator {
 public:
  ReplayEvaluator(const std::vector<Json>& log_lines, std::uint64_t seed) : known_(log_lines), random_(seed) {}

  std::vector<Result<CompileReport>> prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                             std::stop_token stop) override;
  std::vector<Samples> measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) override;
  Result<Verdict> verify(const Candidate& candidate, std::stop_token stop) override;

  /// Samples drawn so far: the cost of a strategy.
  int samples_drawn() const { return samples_drawn_; }

 private:
  LogIndex known_;
  std::mt19937_64 random_;
  int samples_drawn_ = 0;
};

}  // namespace fsa::tuner
