#pragma once
// Owns the tuning of an operator on a device: space, isolated evaluation, search, and keeping of the winner.
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "fsa/engine.h"
#include "runtime/operator.h"
#include "tuner/progress.h"
#include "tuner/search_options.h"
#include "tuner/tuning_result.h"

namespace fsa {

struct TuneOptions {
  tuner::SearchOptions search;
  /// Chance that a token of the inputs selects a block of the token before again. The winner is kept for the problem, whatever the inputs.
  double overlap = 0;
  /// Candidates compile and run in worker processes made from this command line, which must call run_tuning_worker().
  /// Empty: in this process, where a crashing candidate takes the host along.
  std::vector<std::string> worker_command;
  double candidate_seconds = 60;  ///< a worker that is silent for so long is killed, its candidate recorded as failed
  std::string log_path;           ///< JSON Lines record of every compile and timing, also read to resume; empty: none
  bool keep = true;               ///< write the winner to the tuning cache
  tuner::ProgressSink progress;
  std::stop_token stop;
};

struct TuneOutcome {
  tuner::TuningResult result;
  Choice choice;                  ///< of the winner, every config complete
  double flops = 0;               ///< useful floating-point operations of one forward
  double bytes = 0;               ///< compulsory memory traffic of one forward
  double peak_flops = 0;          ///< measured multiply-add peak of the device for the winner's arithmetic; 0: not measured
  std::string peak_name;          ///< "fp32 multiply-add" or "bf16 dot product"; empty: not measured
  bool kept = false;              ///< the winner is in the tuning cache
};

/// Tunes an operator for `problem` (of Operator::from_public()) on the engine's device. Errors are of the problem, the device or the workers;
/// failing candidates are data in the result. A search that found nothing right is kDevice with the default's failure.
Result<TuneOutcome> tune(const Engine& engine, const Operator& op, const Json& problem, const TuneOptions& options);

/// The search space of an operator on a target: the default variant first.
tuner::Space tuning_space(const Operator& op, const Json& problem, const Target& target);

/// What a worker process runs: answers the requests of a tune() in its parent until that closes the channel.
Result<void> run_tuning_worker();

}  // namespace fsa
