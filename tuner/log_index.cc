#include "tuner/log_index.h"

#include <algorithm>

#include "tuner/json_values.h"

namespace fsa::tuner {

namespace {

std::string call_key(std::span<const Candidate> candidates, int rounds) {
  std::string key = std::to_string(rounds);
  for (const Candidate& c : candidates) {
    key += '\n';
    key += c.key();
  }
  return key;
}

/// Whether an error belongs to the candidate, and not to the run it happened in.
bool is_of_candidate(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kCompile:
    case ErrorKind::kDevice:
    case ErrorKind::kTimeout:
    case ErrorKind::kUnsupported:
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kCorrupt:
      return true;
    default:
      return false;
  }
}

template <class T>
bool settles(const Result<T>& result) {
  return result.ok() || is_of_candidate(result.error());
}

const Json& member(const Json& line, const char* name) {
  static const Json kNull;
  const auto it = line.find(name);
  return it == line.end() ? kNull : *it;
}

template <class T, class Read>
void add(std::map<std::string, Result<T>>& known, const Json& line, const char* value_name, Read read) {
  const Result<Candidate> candidate = candidate_from_json(member(line, "candidate"));
  if (!candidate) return;
  const Json& error = member(line, "error");
  Result<T> value = error.is_null() ? read(member(line, value_name)) : Result<T>(error_from_json(error));
  if (settles(value)) known.insert_or_assign(candidate->key(), std::move(value));
}

template <class T>
std::optional<T> find(const std::map<std::string, T>& known, const std::string& key) {
  const auto it = known.find(key);
  return it == known.end() ? std::nullopt : std::optional<T>(it->second);
}

}  // namespace

LogIndex::LogIndex(const std::vector<Json>& lines) {
  for (const Json& line : lines) {
    const Json& event = member(line, "event");
    if (event == "compile") add(reports_, line, "report", report_from_json);
    if (event == "verify") add(verdicts_, line, "verdict", verdict_from_json);
    if (event == "measure") add_call(line);
  }
}

void LogIndex::add_call(const Json& line) {
  const Result<std::vector<Candidate>> candidates = candidates_from_json(member(line, "candidates"));
  const Json& rounds = member(line, "rounds");
  const Json& samples = member(line, "samples");
  if (!candidates || !rounds.is_number_integer() || !samples.is_array() || samples.size() != candidates->size()) return;
  std::vector<Samples> call;
  for (const Json& s : samples) call.push_back(samples_from_json(s));
  for (std::size_t i = 0; i < call.size(); ++i) {
    if (!settles(call[i])) continue;
    const auto [it, is_new] = pooled_.try_emplace((*candidates)[i].key(), call[i]);
    if (is_new) continue;
    if (it->second && call[i])
      it->second->insert(it->second->end(), call[i]->begin(), call[i]->end());
    else
      it->second = call[i];
  }
  const bool complete = std::all_of(call.begin(), call.end(), [](const Samples& s) { return settles(s); });
  if (complete) calls_[call_key(*candidates, rounds.get<int>())].push_back(std::move(call));
}

std::optional<Result<CompileReport>> LogIndex::report(const Candidate& c) const { return find(reports_, c.key()); }
std::optional<Result<Verdict>> LogIndex::verdict(const Candidate& c) const { return find(verdicts_, c.key()); }
std::optional<Samples> LogIndex::pooled(const Candidate& c) const { return find(pooled_, c.key()); }

std::optional<std::vector<Samples>> LogIndex::take_call(std::span<const Candidate> candidates, int rounds) {
  const auto it = calls_.find(call_key(candidates, rounds));
  if (it == calls_.end() || it->second.empty()) return std::nullopt;
  std::vector<Samples> call = std::move(it->second.front());
  it->second.pop_front();
  return call;
}

}  // namespace fsa::tuner
