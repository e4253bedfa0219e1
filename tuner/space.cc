#include "tuner/space.h"

#include <algorithm>

#include <fmt/format.h>

#include "tuner/json_values.h"
#include "tuner/prune.h"

namespace fsa::tuner {

namespace {

std::string config_text(const Json& config) {
  std::string text;
  for (const auto& [name, value] : config.items()) {
    if (!text.empty()) text += ", ";
    text += name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return "{" + text + "}";
}

}  // namespace

std::string Candidate::key() const { return variant + " " + configs.dump(); }

std::string Candidate::to_string() const {
  std::string text = variant + ":";
  for (const auto& [family, config] : configs.items()) text += " " + family + config_text(config);
  return text;
}

Stage make_stage(const Kernel& kernel, const Json& problem, const Target& target) {
  Stage stage{
      .name = std::string(kernel.family()),
      .default_config = kernel.default_config(problem, target),
  };
  std::vector<Json> legal = kernel.configs(problem, target);
  if (std::find(legal.begin(), legal.end(), stage.default_config) == legal.end()) legal.insert(legal.begin(), stage.default_config);
  for (Json& config : legal) {
    const bool keep = config == stage.default_config || prune_reason(kernel.resources(problem, config), target).empty();
    if (keep) stage.configs.push_back(std::move(config));
  }
  stage.pruned_by_model = static_cast<int>(legal.size() - stage.configs.size());
  return stage;
}

Candidate default_candidate(const Variant& variant) {
  Candidate candidate{.variant = variant.name};
  for (const Stage& stage : variant.stages) candidate.configs[stage.name] = stage.default_config;
  return candidate;
}

Json to_json(const Candidate& candidate) { return {{"variant", candidate.variant}, {"configs", candidate.configs}}; }

Result<Candidate> candidate_from_json(const Json& json) {
  const bool well_formed = json.is_object() && json.contains("variant") && json["variant"].is_string() && json.contains("configs") &&
                           json["configs"].is_object();
  if (!well_formed) return malformed("a candidate", json, R"({"variant": name, "configs": {family: config}})");
  return Candidate{.variant = json["variant"].get<std::string>(), .configs = json["configs"]};
}

Json to_json(std::span<const Candidate> candidates) {
  Json list = Json::array();
  for (const Candidate& c : candidates) list.push_back(to_json(c));
  return list;
}

Result<std::vector<Candidate>> candidates_from_json(const Json& json) {
  if (!json.is_array()) return malformed("a list of candidates", json, "a JSON array");
  std::vector<Candidate> list;
  for (const Json& item : json) {
    FSA_ASSIGN_OR_RETURN(Candidate candidate, candidate_from_json(item));
    list.push_back(std::move(candidate));
  }
  return list;
}

}  // namespace fsa::tuner
