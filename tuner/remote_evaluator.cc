#include "tuner/remote_evaluator.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "tuner/json_values.h"

namespace fsa::tuner {

namespace {

using Indices = std::vector<std::size_t>;

Result<CompileReport> report_of(const Result<Json>& reply) { return reply ? report_from_json(*reply) : reply.error(); }

WorkerRequest measure_request(std::span<const Candidate> all, const Indices& some, const MeasureOptions& options, double silence_seconds) {
  Json candidates = Json::array();
  for (std::size_t i : some) candidates.push_back(to_json(all[i]));
  Json params = {{"candidates", std::move(candidates)}, {"rounds", options.rounds}};
  if (std::isfinite(options.limit_seconds)) params["limit_seconds"] = options.limit_seconds;
  return {.method = "measure", .params = std::move(params), .silence_seconds = silence_seconds};
}

/// One measure() call: what is still to be measured, and the answers so far.
class MeasureCall {
 public:
  MeasureCall(WorkerPool& pool, std::span<const Candidate> candidates, const MeasureOptions& options, double silence_seconds,
              std::stop_token stop)
      : pool_(pool),
        candidates_(candidates),
        options_(options),
        silence_seconds_(silence_seconds),
        stop_(std::move(stop)),
        answers_(candidates.size()) {}

  std::vector<Samples> run() {
    Indices left;
    for (std::size_t i = 0; i < candidates_.size(); ++i) left.push_back(i);
    while (!left.empty()) left = attempt(left);
    std::vector<Samples> samples;
    for (auto& answer : answers_) samples.push_back(std::move(*answer));
    return samples;
  }

 private:
  /// Measures `some` together; returns those that have to be measured again, always fewer.
  Indices attempt(const Indices& some) {
    const WorkerRequest request = measure_request(candidates_, some, options_, silence_seconds_);
    const WorkerReply reply = pool_.run({&request, 1}, 1, {}, stop_).front();
    if (reply.result) return book(some, *reply.result);
    if (!reply.worker_lost) return book_all(some, reply.result.error());
    if (reply.last_beat && *reply.last_beat < some.size()) return book_culprit(some, *reply.last_beat, reply.result.error());
    if (some.size() == 1) return book_all(some, reply.result.error());
    for (std::size_t i : some)
      for (Indices alone{i}; !alone.empty();) alone = attempt(alone);
    return {};
  }

  Indices book(const Indices& some, const Json& reply) {
    const bool well_formed =
        reply.is_object() && reply.contains("samples") && reply["samples"].is_array() && reply["samples"].size() == some.size();
    if (!well_formed) return book_all(some, malformed("the reply to a measurement", reply, "samples for each candidate"));
    Indices again;
    bool faulted = false;
    for (std::size_t k = 0; k < some.size(); ++k) {
      Samples samples = samples_from_json(reply["samples"][k]);
      faulted = faulted || (!samples && samples.error().kind == ErrorKind::kDevice);
      answers_[some[k]] = std::move(samples);
    }
    if (!faulted) return {};
    // After a fault the device's state is unknown to that worker: a new one measures those that were left out.
    pool_.retire(0);
    for (std::size_t i : some)
      if (!*answers_[i] && answers_[i]->error().kind == ErrorKind::kUnavailable) again.push_back(i);
    return again;
  }

  Indices book_all(const Indices& some, const Error& error) {
    for (std::size_t i : some) answers_[i] = Samples(error);
    return {};
  }

  Indices book_culprit(const Indices& some, std::size_t culprit, const Error& error) {
    answers_[some[culprit]] = Samples(error);
    Indices rest = some;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(culprit));
    return rest;
  }

  WorkerPool& pool_;
  std::span<const Candidate> candidates_;
  const MeasureOptions& options_;
  double silence_seconds_;
  std::stop_token stop_;
  std::vector<std::optional<Samples>> answers_;
};

}  // namespace

std::vector<Result<CompileReport>> RemoteEvaluator::prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                                            std::stop_token stop) {
  std::vector<WorkerRequest> requests;
  for (const Candidate& c : candidates)
    requests.push_back({.method = "compile", .params = {{"candidate", to_json(c)}}, .silence_seconds = limits_.compile_seconds});
  const auto pass_on = [&](std::size_t i, const WorkerReply& reply) {
    if (on_prepared) on_prepared(i, report_of(reply.result));
  };
  std::vector<Result<CompileReport>> reports;
  for (const WorkerReply& reply : pool_.run(requests, pool_.size(), pass_on, stop)) reports.push_back(report_of(reply.result));
  return reports;
}

std::vector<Samples> RemoteEvaluator::measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) {
  return MeasureCall(pool_, candidates, options, limits_.measure_seconds, std::move(stop)).run();
}

Result<Verdict> RemoteEvaluator::verify(const Candidate& candidate, std::stop_token stop) {
  const WorkerRequest request{.method = "verify", .params = {{"candidate", to_json(candidate)}}, .silence_seconds = limits_.verify_seconds};
  const WorkerReply reply = pool_.run({&request, 1}, 1, {}, std::move(stop)).front();
  if (!reply.result) return reply.result.error();
  return verdict_from_json(*reply.result);
}

}  // namespace fsa::tuner
