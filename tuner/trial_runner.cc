#include "tuner/trial_runner.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "tuner/prune.h"
#include "tuner/statistics.h"

namespace fsa::tuner {

namespace {

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Failures that say nothing about the candidate: it stays as it was.
bool is_no_verdict(const Error& error) { return error.kind == ErrorKind::kCancelled || error.kind == ErrorKind::kUnavailable; }

bool are_times(const std::vector<double>& seconds) {
  return !seconds.empty() && std::all_of(seconds.begin(), seconds.end(), [](double s) { return std::isfinite(s) && s > 0; });
}

Error not_times() {
  return make_error(ErrorKind::kInternal, {.given = "the evaluator returned no samples or times that are not positive"});
}

}  // namespace

TrialRunner::TrialRunner(TrialBook& book, Evaluator& evaluator, const SearchOptions& options, ProgressSink sink, std::stop_token stop)
    : book_(book),
      evaluator_(evaluator),
      options_(options),
      sink_(std::move(sink)),
      stop_(std::move(stop)),
      clock_(options.clock ? options.clock : steady_seconds),
      start_(clock_()) {}

bool TrialRunner::expired() const { return elapsed_seconds() > 0.8 * options_.max_seconds; }

void TrialRunner::set_yardstick(std::size_t id) {
  yardstick_ = id;
  const double reference = book_[id].score() * last_reference_;
  for (std::size_t i = 0; i < book_.size(); ++i)
    for (double& r : book_[i].relative) r *= last_reference_ / reference;
  last_reference_ = reference;
}

void TrialRunner::set_place(std::string variant, std::string family) {
  progress_.variant = std::move(variant);
  progress_.family = std::move(family);
}

void TrialRunner::add_done(std::size_t units) { progress_.done = std::min(progress_.done + units, progress_.total); }

void TrialRunner::finish(const std::string& sentence) {
  set_place("", "");
  progress_.done = progress_.total;
  report(Step::kFinished, sentence);
}

void TrialRunner::report(Step step, std::string note) {
  if (!sink_) return;
  progress_.step = step;
  progress_.elapsed_seconds = elapsed_seconds();
  progress_.note = std::move(note);
  sink_(progress_);
}

std::vector<Candidate> TrialRunner::candidates_of(const std::vector<std::size_t>& ids) const {
  std::vector<Candidate> list;
  for (std::size_t id : ids) list.push_back(book_[id].candidate);
  return list;
}

void TrialRunner::prepare(const std::vector<std::size_t>& ids) {
  std::vector<std::size_t> pending;
  for (std::size_t id : ids)
    if (book_[id].outcome == Outcome::kPending && !book_[id].report) pending.push_back(id);
  add_done(ids.size() - pending.size());
  if (pending.empty()) return;
  report(Step::kCompile);
  const auto on_prepared = [&](std::size_t i, const Result<CompileReport>& result) {
    add_done(1);
    book_report(pending[i], result);
  };
  evaluator_.prepare(candidates_of(pending), on_prepared, stop_);
}

void TrialRunner::book_report(std::size_t id, const Result<CompileReport>& result) {
  Trial& trial = book_[id];
  if (!result) return book_failure(id, result.error());
  trial.report = *result;
  if (!trial.is_default) trial.note = prune_reason(*result);
  if (!trial.note.empty()) trial.outcome = Outcome::kPruned;
  report(Step::kCompile);
}

void TrialRunner::book_failure(std::size_t id, const Error& error) {
  Trial& trial = book_[id];
  trial.note = error.message();
  if (is_no_verdict(error)) return;
  const bool unfitting = error.kind == ErrorKind::kUnsupported || error.kind == ErrorKind::kInvalidArgument;
  trial.outcome = unfitting ? Outcome::kUnfitting : Outcome::kFailed;
  if (!unfitting) report(progress_.step, fmt::format("failed: {}: {}", trial.candidate.to_string(), trial.note));
}

void TrialRunner::measure(const std::vector<std::size_t>& ids, int rounds) {
  std::vector<std::size_t> batch;
  const auto flush = [&] {
    if (!batch.empty() && !stopped()) measure_batch(batch, rounds);
    batch.clear();
  };
  for (std::size_t id : ids) {
    const Trial& trial = book_[id];
    if (!trial.report || trial.stopped_early || (trial.outcome != Outcome::kPending && !trial.usable())) continue;
    batch.push_back(id);
    if (batch.size() == options_.batch) flush();
  }
  flush();
  drop_slow(ids);
}

void TrialRunner::measure_batch(const std::vector<std::size_t>& batch, int rounds) {
  std::vector<std::size_t> ids;
  if (yardstick_ && book_[*yardstick_].usable()) ids.push_back(*yardstick_);
  for (std::size_t id : batch)
    if (ids.empty() || id != ids.front()) ids.push_back(id);
  report(Step::kMeasure);
  MeasureOptions how{.rounds = rounds};
  if (const auto best = best_verified()) how.limit_seconds = options_.early_stop * median(book_[*best].seconds);
  const std::vector<Samples> samples = evaluator_.measure(candidates_of(ids), how, stop_);
  const double reference = reference_of(ids, samples);
  for (std::size_t i = 0; i < ids.size(); ++i) book_samples(ids[i], samples[i], rounds, reference);
}

double TrialRunner::reference_of(const std::vector<std::size_t>& ids, const std::vector<Samples>& samples) {
  if (yardstick_ && ids.front() == *yardstick_ && samples.front() && are_times(*samples.front()))
    last_reference_ = median(*samples.front());
  return last_reference_;
}

void TrialRunner::book_samples(std::size_t id, const Samples& samples, int rounds, double reference) {
  if (!samples) return book_failure(id, samples.error());
  if (!are_times(*samples)) return book_failure(id, not_times());
  Trial& trial = book_[id];
  trial.outcome = Outcome::kMeasured;
  for (double s : *samples) {
    trial.seconds.push_back(s);
    trial.relative.push_back(s / reference);
  }
  trial.stopped_early = trial.stopped_early || samples->size() < static_cast<std::size_t>(rounds);
  if (id == 0) progress_.default_seconds = median(trial.seconds);
}

std::optional<std::size_t> TrialRunner::best_verified() const {
  for (std::size_t id : book_.ranked())
    if (book_[id].verified()) return id;
  return std::nullopt;
}

void TrialRunner::drop_slow(const std::vector<std::size_t>& ids) {
  const std::optional<std::size_t> best = best_verified();
  if (!best) return;
  const double limit = options_.early_stop * book_[*best].score();
  for (std::size_t id : ids)
    if (book_[id].usable() && book_[id].score() > limit) book_[id].stopped_early = true;
}

void TrialRunner::measure_finals(const std::vector<std::size_t>& ids, int rounds) {
  report(Step::kMeasure);
  const std::vector<Samples> samples = evaluator_.measure(candidates_of(ids), {.rounds = rounds}, stop_);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!samples[i])
      book_failure(ids[i], samples[i].error());
    else if (!are_times(*samples[i]))
      book_failure(ids[i], not_times());
    else
      book_[ids[i]].final_seconds = *samples[i];
  }
}

bool TrialRunner::verify(std::size_t id) {
  Trial& trial = book_[id];
  if (!trial.usable() || trial.verdict) return trial.verified();
  report(Step::kVerify);
  const Result<Verdict> verdict = evaluator_.verify(trial.candidate, stop_);
  if (!verdict) {
    book_failure(id, verdict.error());
    return false;
  }
  trial.verdict = *verdict;
  if (verdict->right()) {
    // fmin: the first time replaces NaN. Only verified times count: a wrong kernel may be as fast as it likes.
    progress_.best_seconds = std::fmin(progress_.best_seconds, median(trial.seconds));
    return true;
  }
  trial.outcome = Outcome::kWrong;
  trial.note = fmt::format("relative error {:.2e}, {:.2e} is accepted", verdict->error, verdict->tolerance);
  report(Step::kVerify, fmt::format("wrong result: {}: {}", trial.candidate.to_string(), trial.note));
  return false;
}

}  // namespace fsa::tuner
