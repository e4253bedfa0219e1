#include "tuner/replay_evaluator.h"

namespace fsa::tuner {

namespace {

Error unknown(const Candidate& candidate) {
  return make_error(ErrorKind::kNotFound, {.given = "the log has nothing on " + candidate.to_string()});
}

}  // namespace

std::vector<Result<CompileReport>> ReplayEvaluator::prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                                            std::stop_token) {
  std::vector<Result<CompileReport>> reports;
  for (const Candidate& c : candidates) {
    reports.push_back(known_.report(c).value_or(unknown(c)));
    if (on_prepared) on_prepared(reports.size() - 1, reports.back());
  }
  return reports;
}

std::vector<Samples> ReplayEvaluator::measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) {
  std::vector<Samples> pools;
  for (const Candidate& c : candidates) pools.push_back(known_.pooled(c).value_or(unknown(c)));
  const auto draw = [&](std::size_t i) -> Result<double> {
    if (!pools[i]) return pools[i].error();
    ++samples_drawn_;
    return (*pools[i])[random_() % pools[i]->size()];
  };
  return sample_interleaved(candidates.size(), options, draw, stop);
}

Result<Verdict> ReplayEvaluator::verify(const Candidate& candidate, std::stop_token) {
  return known_.verdict(candidate).value_or(unknown(candidate));
}

}  // namespace fsa::tuner
