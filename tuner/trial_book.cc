#include "tuner/trial_book.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "tuner/json_values.h"
#include "tuner/statistics.h"

namespace fsa::tuner {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPending:
      return "pending";
    case Outcome::kMeasured:
      return "measured";
    case Outcome::kUnfitting:
      return "unfitting";
    case Outcome::kPruned:
      return "pruned";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kWrong:
      return "wrong";
  }
  return "pending";
}

double Trial::score() const { return relative.empty() ? std::numeric_limits<double>::infinity() : median(relative); }

Json to_json(const Trial& trial) {
  Json json = to_json(trial.candidate);
  json["outcome"] = to_string(trial.outcome);
  if (trial.is_default) json["default"] = true;
  if (!trial.note.empty()) json["note"] = trial.note;
  if (trial.stopped_early) json["stopped_early"] = true;
  if (trial.report) json["report"] = to_json(*trial.report);
  if (!trial.seconds.empty()) json["seconds"] = trial.seconds;
  if (!trial.final_seconds.empty()) json["final_seconds"] = trial.final_seconds;
  if (trial.verdict) json["verdict"] = to_json(*trial.verdict);
  return json;
}

std::size_t TrialBook::open(const Candidate& candidate) {
  const auto [it, is_new] = index_.try_emplace(candidate.key(), trials_.size());
  if (is_new) trials_.push_back({.candidate = candidate});
  return it->second;
}

std::vector<std::size_t> TrialBook::ranked(const std::vector<std::size_t>& indices) const {
  std::vector<std::size_t> list;
  for (std::size_t i : indices)
    if (trials_[i].usable()) list.push_back(i);
  std::sort(list.begin(), list.end());
  std::stable_sort(list.begin(), list.end(), [&](std::size_t a, std::size_t b) { return trials_[a].score() < trials_[b].score(); });
  return list;
}

std::vector<std::size_t> TrialBook::ranked() const {
  std::vector<std::size_t> all(trials_.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return ranked(all);
}

}  // namespace fsa::tuner
