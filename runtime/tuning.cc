#include "runtime/tuning.h"

#include <algorithm>
#include <memory>
#include <thread>

#include "runtime/local_evaluator.h"
#include "runtime/peak.h"
#include "runtime/tuning_session.h"
#include "tuner/log.h"
#include "tuner/logged_evaluator.h"
#include "tuner/remote_evaluator.h"
#include "tuner/search.h"

namespace fsa {
namespace {

/// The evaluator a run asks for, with what it stands on.
struct Evaluation {
  std::unique_ptr<tuner::WorkerPool> pool;
  std::unique_ptr<tuner::Evaluator> base;
  std::optional<tuner::TuningLog> log;
  std::unique_ptr<tuner::LoggedEvaluator> logged;

  tuner::Evaluator& top() { return logged ? *logged : *base; }
};

TuningSession session_of(const Engine::Impl& engine, const Operator& op, const Json& problem, const TuneOptions& options) {
  TuningSession session{.device = engine.device_name(),
                        .options = engine.options(),
                        .op = std::string(op.name()),
                        .problem = problem,
                        .seed = options.search.seed,
                        .overlap = options.overlap};
  session.options.log = {};
  return session;
}

Result<Evaluation> make_evaluation(const std::shared_ptr<const Engine::Impl>& engine, const Operator& op, const TuningKey& key, const Json& problem, const TuneOptions& options) {
  Evaluation e;
  if (options.worker_command.empty()) {
    const reference::InputPattern pattern{.seed = options.search.seed, .overlap = options.overlap};
    e.base = std::make_unique<LocalEvaluator>(engine, op, problem, pattern);
  } else {
    const int workers = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    e.pool = std::make_unique<tuner::WorkerPool>(tuner::WorkerPoolOptions{
        .argv = options.worker_command, .session = session_of(*engine, op, problem, options).to_json(), .workers = workers});
    e.base = std::make_unique<tuner::RemoteEvaluator>(
        *e.pool, tuner::RemoteLimits{.compile_seconds = options.candidate_seconds, .measure_seconds = options.candidate_seconds, .verify_seconds = options.candidate_seconds});
  }
  if (options.log_path.empty()) return e;
  Json identity{{"key", key.canonical()}, {"seed", options.search.seed}};
  if (options.overlap > 0) identity["overlap"] = options.overlap;
  FSA_ASSIGN_OR_RETURN(tuner::TuningLog log, tuner::TuningLog::open(options.log_path, identity));
  e.log.emplace(std::move(log));
  return e;
}

Error nothing_right(const tuner::TuningResult& result) {
  const std::string note = result.trials.empty() ? "nothing was tried" : result.trials.front().note;
  return make_error(result.partial ? ErrorKind::kCancelled : ErrorKind::kDevice,
                    {.given = "no configuration ran and gave the right result; the default: " + (note.empty() ? std::string("was not reached") : note),
                     .remedy = "run again with --log FILE and look at its lines"});
}

/// The variant's arithmetic on a CPU, as the peak's kernels name it.
std::string math_of(const Choice& choice, const ChainVariant& variant) {
  const auto it = choice.configs.find(variant.main);
  return it == choice.configs.end() ? "f32" : it->value("math", std::string("f32"));
}

void measure_outcome_peak(const Engine::Impl& engine, const Operator& op, TuneOutcome& outcome) {
  const auto variant = find_variant(op, engine.target().backend, outcome.choice.variant);
  if (!variant || engine.target().backend != Backend::kCpu) return;
  const auto peak = measure_peak(engine, math_of(outcome.choice, **variant));
  if (!peak) return;
  outcome.peak_flops = peak->flops;
  outcome.peak_name = peak->name;
}

TuningEntry entry_of(TuningKey key, const TuneOutcome& outcome, const Engine::Impl& engine) {
  const tuner::TuningResult& r = outcome.result;
  const auto winner = std::find_if(r.trials.begin(), r.trials.end(), [&](const tuner::Trial& t) { return t.candidate == *r.winner; });
  const int samples = winner == r.trials.end() ? 0 : static_cast<int>(winner->final_seconds.size());
  return {.key = std::move(key),
          .choice = outcome.choice.to_json(),
          .measurement = {.seconds = r.winner_seconds.median, .default_seconds = r.default_seconds ? r.default_seconds->median : 0, .samples = samples},
          .provenance = {.device_name = engine.device()->name(), .date = utc_timestamp(), .library = "fsa " + std::string(library_version())}};
}

}  // namespace

tuner::Space tuning_space(const Operator& op, const Json& problem, const Target& target) {
  const std::string first = op.default_variant(problem, target);
  tuner::Space space;
  for (const ChainVariant& variant : op.variants(target.backend)) {
    // With every config at its default; what the others are asked for follows the main family's config as the search goes.
    const auto steps = make_chain(op, problem, Choice{.variant = variant.name}, target);
    if (!steps) continue;
    tuner::Variant stages{.name = variant.name, .stages = {}};
    for (const ChainStep& step : *steps) {
      const bool main = step.stage == variant.main;
      tuner::Stage stage = tuner::make_stage(*step.kernel, step.problem, target);
      stage.name = step.stage;
      stages.stages.insert(main ? stages.stages.begin() : stages.stages.end(), std::move(stage));
    }
    space.variants.insert(variant.name == first ? space.variants.begin() : space.variants.end(), std::move(stages));
  }
  return space;
}

Result<TuneOutcome> tune(const Engine& engine, const Operator& op, const Json& problem, const TuneOptions& options) {
  const std::shared_ptr<const Engine::Impl> impl = engine.impl();
  FSA_RETURN_IF_ERROR(op.check(problem, impl->target()));
  // A cache that cannot be written is said before minutes are spent, not after.
  if (options.keep) FSA_RETURN_IF_ERROR(impl->choices().prepare());
  const TuningKey key = impl->choices().key(op, problem);
  FSA_ASSIGN_OR_RETURN(Evaluation evaluation, make_evaluation(impl, op, key, problem, options));
  if (evaluation.log) evaluation.logged = std::make_unique<tuner::LoggedEvaluator>(*evaluation.base, *evaluation.log);

  TuneOutcome outcome;
  outcome.result = tuner::tune(tuning_space(op, problem, impl->target()), evaluation.top(), options.search, options.progress, options.stop);
  if (!outcome.result.winner) return nothing_right(outcome.result);
  outcome.choice = {.variant = outcome.result.winner->variant, .configs = outcome.result.winner->configs};
  const Work work = op.work(problem);
  outcome.flops = work.flops;
  outcome.bytes = work.bytes;
  measure_outcome_peak(*impl, op, outcome);
  if (options.keep) {
    FSA_RETURN_IF_ERROR(impl->choices().keep(entry_of(key, outcome, *impl)));
    outcome.kept = true;
  }
  return outcome;
}

}  // namespace fsa
