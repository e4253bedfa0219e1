#pragma once
// Owns the evaluator that has everything done in worker processes, so that a bad candidate costs itself and nothing else.
#include "tuner/evaluator.h"
#include "tuner/worker_pool.h"

namespace fsa::tuner {

/// Seconds without a sign of life after which a worker is killed.
struct RemoteLimits {
  double compile_seconds = 60;  ///< for one candidate
  double measure_seconds = 20;  ///< between beats: one load, warm-up or run of a candidate
  double verify_seconds = 60;
};

/// Compiles on all workers of the pool; times and verifies on the first one, alone, so that nothing else disturbs it.
class RemoteEvaluator final : public Evaluator {
 public:
  explicit RemoteEvaluator(WorkerPool& pool, RemoteLimits limits = {}) : pool_(pool), limits_(limits) {}

  std::vector<Result<CompileReport>> prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                             std::stop_token stop) override;
  /// When a worker dies over a call, the candidate it reported to be running is booked as the culprit and the others are
  /// measured again, together; without such a report, one by one.
  std::vector<Samples> measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) override;
  Result<Verdict> verify(const Candidate& candidate, std::stop_token stop) override;

 private:
  WorkerPool& pool_;
  RemoteLimits limits_;
};

}  // namespace fsa::tuner
