#pragma once
// Owns LocalEvaluator: compiles, times and verifies candidates of an operator on a device of this process.
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/engine_impl.h"
#include "runtime/tuning_inputs.h"
#include "tuner/evaluator.h"

namespace fsa {

class LocalEvaluator final : public tuner::Evaluator {
 public:
  /// `problem` is one of Operator::from_public(). Inputs are generated as `pattern` has them when a candidate first runs, so that a
  /// process that only compiles takes no device memory.
  LocalEvaluator(std::shared_ptr<const Engine::Impl> engine, const Operator& op, Json problem, const reference::InputPattern& pattern)
      : engine_(std::move(engine)), op_(op), problem_(std::move(problem)), pattern_(pattern) {}

  std::vector<Result<CompileReport>> prepare(std::span<const tuner::Candidate> candidates, const OnPrepared& on_prepared, std::stop_token stop) override;
  std::vector<tuner::Samples> measure(std::span<const tuner::Candidate> candidates, const tuner::MeasureOptions& options, std::stop_token stop) override;
  Result<tuner::Verdict> verify(const tuner::Candidate& candidate, std::stop_token stop) override;

 private:
  using Plan = std::shared_ptr<const fsa::Plan::Impl>;
  /// A candidate made ready to run: its plan and a timer for each set of inputs.
  struct Ready {
    Plan plan;
    std::vector<std::unique_ptr<Timer>> timers;
    std::size_t next = 0;
  };

  Result<CompileReport> compile(const tuner::Candidate& candidate, std::stop_token stop) const;
  Result<Plan> plan(const tuner::Candidate& candidate) const;
  Result<std::vector<ChainStep>> steps(const tuner::Candidate& candidate) const;
  /// Makes the inputs and a workspace of at least `bytes`.
  Result<void> reserve(std::size_t bytes);
  Result<Ready> make_ready(const Plan& plan);
  void forget(std::span<const tuner::Candidate> candidates) const;

  std::shared_ptr<const Engine::Impl> engine_;
  const Operator& op_;
  Json problem_;
  reference::InputPattern pattern_;
  std::unique_ptr<TuningInputs> inputs_;
  std::unique_ptr<Buffer> workspace_;
};

}  // namespace fsa
