#include "cache/problem_features.h"

#include <algorithm>
#include <cmath>

#include "cache/json_text.h"

namespace fsa {
namespace {

struct Rule {
  std::string_view feature;
  bool exact = false;
  double weight = 1;
};

// Kernels are compiled for the exact ones, and tile sizes follow them. group and topk are compiled in as well, but configs
// carry over between neighbours. The number of sequences changes only the tails of the work lists.
constexpr Rule kRules[] = {{"element", true},   {"head_dim", true}, {"head_dim_v", true},    {"block_size", true},
                           {"group", false, 2}, {"topk", false, 2}, {"num_seqs", false, 0.5}};

Rule rule_of(std::string_view feature) {
  for (const Rule& rule : kRules)
    if (rule.feature == feature) return rule;
  return {feature};
}

const Json* member(const Json& json, const std::string& name) {
  const auto it = json.find(name);
  return it == json.end() ? nullptr : &*it;
}

bool is_size(const Json* value) { return value == nullptr || value->is_number(); }
double size_of_feature(const Json* value) { return value ? std::max(1.0, value->get<double>()) : 1.0; }

bool equal(const Json* a, const Json* b) { return a && b && equal_json(*a, *b); }

std::vector<std::string> names_of_both(const Json& tuned, const Json& wanted) {
  std::vector<std::string> names;
  for (const auto& [name, value] : tuned.items()) names.push_back(name);
  for (const auto& [name, value] : wanted.items())
    if (!tuned.contains(name)) names.push_back(name);
  return names;
}

}  // namespace

Json select_features(const Json& problem, std::span<const std::string_view> names) {
  Json features = Json::object();
  for (const std::string_view name : names)
    if (const Json* value = member(problem, std::string(name))) features[std::string(name)] = *value;
  return features;
}

std::optional<FeatureDistance> feature_distance(const Json& wanted, const Json& tuned) {
  FeatureDistance result;
  for (const std::string& name : names_of_both(tuned, wanted)) {
    const Json *a = member(wanted, name), *b = member(tuned, name);
    if (equal(a, b)) continue;
    const Rule rule = rule_of(name);
    if (rule.exact || !is_size(a) || !is_size(b)) return std::nullopt;
    result.distance += rule.weight * std::abs(std::log2(size_of_feature(a)) - std::log2(size_of_feature(b)));
    result.differing.push_back(name);
  }
  return result;
}

}  // namespace fsa
