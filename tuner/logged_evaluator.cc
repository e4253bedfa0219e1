#include "tuner/logged_evaluator.h"

#include "tuner/json_values.h"

namespace fsa::tuner {

namespace {

template <class T>
Json outcome_fields(const Candidate& candidate, const char* value_name, const Result<T>& result) {
  Json fields = {{"candidate", to_json(candidate)}};
  if (result)
    fields[value_name] = to_json(*result);
  else
    fields["error"] = to_json(result.error());
  return fields;
}

}  // namespace

void LoggedEvaluator::record(std::string_view event, const Json& fields) {
  const Result<void> written = log_.append(event, fields);
  if (!written && !log_error_) log_error_ = written.error();
}

std::vector<Result<CompileReport>> LoggedEvaluator::prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                                            std::stop_token stop) {
  std::vector<std::optional<Result<CompileReport>>> answers(candidates.size());
  std::vector<Candidate> unknown;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    answers[i] = known_.report(candidates[i]);
    if (!answers[i]) {
      unknown.push_back(candidates[i]);
      places.push_back(i);
      continue;
    }
    ++resumed_;
    if (on_prepared) on_prepared(i, *answers[i]);
  }
  const auto log_and_pass_on = [&](std::size_t i, const Result<CompileReport>& report) {
    record("compile", outcome_fields(unknown[i], "report", report));
    if (on_prepared) on_prepared(places[i], report);
  };
  if (!unknown.empty()) {
    auto fresh = inner_.prepare(unknown, log_and_pass_on, stop);
    for (std::size_t i = 0; i < fresh.size(); ++i) answers[places[i]] = std::move(fresh[i]);
  }
  std::vector<Result<CompileReport>> reports;
  for (auto& answer : answers) reports.push_back(std::move(*answer));
  return reports;
}

std::vector<Samples> LoggedEvaluator::measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) {
  if (auto call = known_.take_call(candidates, options.rounds)) {
    ++resumed_;
    return std::move(*call);
  }
  std::vector<Samples> samples = inner_.measure(candidates, options, stop);
  Json list = Json::array();
  for (const Samples& s : samples) list.push_back(to_json(s));
  record("measure", {{"rounds", options.rounds}, {"candidates", to_json(candidates)}, {"samples", std::move(list)}});
  return samples;
}

Result<Verdict> LoggedEvaluator::verify(const Candidate& candidate, std::stop_token stop) {
  if (auto verdict = known_.verdict(candidate)) {
    ++resumed_;
    return *verdict;
  }
  Result<Verdict> verdict = inner_.verify(candidate, stop);
  record("verify", outcome_fields(candidate, "verdict", verdict));
  return verdict;
}

}  // namespace fsa::tuner
