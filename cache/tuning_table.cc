#include "cache/tuning_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cache/json_text.h"
#include "cache/problem_features.h"

namespace fsa {
namespace {

// A newer compiler shifts timings by percents, another size by far more; yet of two equally near entries the one from
// this toolchain should win.
constexpr double kOtherToolchain = 1;

bool same_device(const TuningQuery& query, const Json& tuned) {
  const Json& wanted = query.key.device;
  if (!query.any_device_of_arch) return equal_json(wanted, tuned);
  return wanted.contains("arch") && tuned.contains("arch") && wanted["arch"] == tuned["arch"];
}

/// "total_q=32768": the tuned value of a feature that differs.
std::string describe(const Json& problem, const std::string& feature) {
  const auto it = problem.find(feature);
  return fmt::format("{}={}", feature, it == problem.end() ? "unstated" : it->is_string() ? it->get<std::string>() : dump_json(*it));
}

std::string sentence(const TuningEntry& entry, const std::vector<std::string>& differing, bool other_toolchain, bool other_device) {
  std::vector<std::string> values;
  for (const std::string& feature : differing) values.push_back(describe(entry.key.problem, feature));
  std::string text = values.empty() ? "tuned for this problem" : fmt::format("nearest, from {}", fmt::join(values, ", "));
  if (other_toolchain) text += fmt::format(", with {}", entry.key.toolchain);
  if (other_device) text += fmt::format(", on {}", entry.provenance.device_name.empty() ? "another device" : entry.provenance.device_name);
  return text;
}

std::optional<TuningMatch> match(const TuningQuery& query, const TuningEntry& entry) {
  const TuningKey &wanted = query.key, &tuned = entry.key;
  if (tuned.op != wanted.op || tuned.families != wanted.families || !same_device(query, tuned.device)) return std::nullopt;
  const auto features = feature_distance(wanted.problem, tuned.problem);
  if (!features) return std::nullopt;
  const bool other_toolchain = !wanted.toolchain.empty() && wanted.toolchain != tuned.toolchain;
  const bool other_device = query.any_device_of_arch && !equal_json(wanted.device, tuned.device);
  const double distance = features->distance + (other_toolchain ? kOtherToolchain : 0);
  if (distance > query.max_distance) return std::nullopt;
  return TuningMatch{.entry = &entry,
                     .distance = distance,
                     .exact = features->differing.empty() && !other_toolchain && !other_device,
                     .sentence = sentence(entry, features->differing, other_toolchain, other_device)};
}

bool better(const TuningMatch& a, const TuningMatch& b) {
  if (a.exact != b.exact) return a.exact;
  if (a.distance != b.distance) return a.distance < b.distance;
  return a.entry->provenance.date > b.entry->provenance.date;
}

}  // namespace

std::vector<TuningMatch> TuningTable::find_all(const TuningQuery& query) const {
  std::vector<TuningMatch> matches;
  for (const TuningEntry& entry : entries_)
    if (auto found = match(query, entry)) matches.push_back(std::move(*found));
  std::stable_sort(matches.begin(), matches.end(), better);
  return matches;
}

std::optional<TuningMatch> TuningTable::find(const TuningQuery& query) const {
  std::vector<TuningMatch> matches = find_all(query);
  if (matches.empty()) return std::nullopt;
  return std::move(matches.front());
}

}  // namespace fsa
