#pragma once
// Owns the evaluator that writes every answer to a timing log, and takes from it what a former run already knew.
#include <optional>

#include "tuner/evaluator.h"
#include "tuner/log.h"
#include "tuner/log_index.h"

namespace fsa::tuner {

/// Resume: a search with the same space, options and seed asks the same questions in the same order, as long as it gets
/// the same answers; a timing call counts as answered only when all its candidates and rounds are the same, so samples
/// that are compared were still taken together.
class LoggedEvaluator final : public Evaluator {
 public:
  LoggedEvaluator(Evaluator& inner, TuningLog& log) : inner_(inner), log_(log), known_(log.history()) {}

  std::vector<Result<CompileReport>> prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                             std::stop_token stop) override;
  std::vector<Samples> measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) override;
  Result<Verdict> verify(const Candidate& candidate, std::stop_token stop) override;

  /// Answers that came from the log.
  int resumed() const { return resumed_; }
  /// The first failure to write; the search itself is not disturbed by it.
  const std::optional<Error>& log_error() const { return log_error_; }

 private:
  void record(std::string_view event, const Json& fields);

  Evaluator& inner_;
  TuningLog& log_;
  LogIndex known_;
  int resumed_ = 0;
  std::optional<Error> log_error_;
};

}  // namespace fsa::tuner
