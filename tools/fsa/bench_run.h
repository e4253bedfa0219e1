#pragma once
// Owns the measurement behind fsa bench: an operator's chains on a device, whole and kernel by kernel.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/engine_impl.h"
#include "runtime/roofline.h"
#include "runtime/tuning_inputs.h"

namespace fsa::cli {

struct BenchOptions {
  int rounds = 20;
  bool each = false;                  ///< every step of the chain alone, too
  bool check = false;                 ///< compare with the oracle
  std::vector<std::string> variants;  ///< empty: the best known one
  reference::InputPattern inputs;
};

/// How long something took, for how much work, and how little it could have taken.
struct Measured {
  Work work;
  Roofline roofline;
  std::vector<double> seconds;  ///< one for each round

  double median() const;
  double fastest() const;
  double flops_per_second() const { return work.flops / median(); }
  double bytes_per_second() const { return work.bytes / median(); }
  double of_roofline() const { return roofline.fraction(work, median()); }
};

struct BenchStep {
  std::string stage;
  Measured measured;
};

/// One variant of one problem.
struct BenchResult {
  PlanReport plan;
  Measured measured;
  std::vector<BenchStep> steps;  ///< launch order; empty unless asked for
  std::optional<tuner::Verdict> verdict;
};

/// Times an operator on random inputs. Variants are timed interleaved, A B C A B C, each in every set of inputs in turn.
class BenchRun {
 public:
  /// `problem` is one of Operator::from_public().
  static Result<std::vector<BenchResult>> measure(const Engine::Impl& engine, const Operator& op, const Json& problem,
                                                  const BenchOptions& options);

 private:
  using PlanImpl = std::shared_ptr<const Plan::Impl>;
  using Timers = std::vector<std::unique_ptr<Timer>>;  // one for each set of inputs

  BenchRun(const Engine::Impl& engine, const Operator& op, const Json& problem) : engine_(engine), op_(op), problem_(problem) {}

  Result<PlanImpl> make_plan(const std::string& variant) const;
  Result<void> make_plans(const std::vector<std::string>& variants);
  /// Inputs, and a workspace that fits every plan.
  Result<void> reserve(const reference::InputPattern& pattern);
  Workspace workspace() const { return {workspace_->data(), workspace_->size()}; }
  /// Timers of `work`, which takes a set's tensors and a stream, warmed up.
  template <class Enqueue>
  Result<Timers> make_timers(const Enqueue& work) const;
  Result<void> time_whole(int rounds);
  Result<void> time_steps(std::size_t plan, int rounds);
  Result<std::vector<double>> time_step(const Chain& chain, std::size_t step, int rounds) const;
  Result<void> check(std::size_t plan);
  Roofline roofline_of(const Json& config);

  const Engine::Impl& engine_;
  const Operator& op_;
  const Json& problem_;
  std::vector<PlanImpl> plans_;
  std::vector<BenchResult> results_;  // of each plan
  std::unique_ptr<TuningInputs> inputs_;
  std::unique_ptr<Buffer> workspace_;
  std::map<std::string, Roofline> rooflines_;  // by arithmetic
};

}  // namespace fsa::cli
