#include "tuner/tuning_result.h"

#include <fmt/format.h>

namespace fsa::tuner {

namespace {

std::string margin(const Interval& ratio) { return fmt::format("{:.1f} %", 100 * (1 - ratio.median)); }

std::string margin_over_default(const Choice& choice) {
  const Interval& r = choice.over_default;
  return r.median < 1 ? fmt::format("; {} less time than the default (95 % interval {:.1f} to {:.1f} %)", margin(r), 100 * (1 - r.high),
                                    100 * (1 - r.low))
                      : std::string();
}

}  // namespace

std::string explain(const Choice& choice, const std::vector<Candidate>& finalists, double tie_band) {
  if (!choice.second) return "it is the only candidate that ran and gave the right result";
  const std::string second = finalists[*choice.second].to_string();
  if (choice.kept_default) return fmt::format("the default is kept: {} is not faster beyond doubt", second);
  std::string why;
  if (choice.over_second.median < 1 && choice.tied == 1)
    why = fmt::format("it takes {} less time than the second, {}", margin(choice.over_second), second);
  else
    why = fmt::format("{} candidates are within {:g} % of the fastest and it is the first of them that qualifies; the next is {}",
                      choice.tied, 100 * tie_band, second);
  return why + margin_over_default(choice);
}

Json to_json(const Counts& c) {
  return {{"enumerated", c.enumerated},
          {"pruned_by_model", c.pruned_by_model},
          {"over_budget", c.over_budget},
          {"tried", c.tried},
          {"pruned_by_compiler", c.pruned_by_compiler},
          {"measured", c.measured},
          {"stopped_early", c.stopped_early},
          {"failed", c.failed},
          {"wrong", c.wrong}};
}

Json to_json(const TuningResult& r, bool with_trials) {
  Json json = {{"winner", r.winner ? to_json(*r.winner) : Json(nullptr)}, {"winner_is_default", r.winner_is_default}};
  if (r.winner) json["winner_seconds"] = to_json(r.winner_seconds);
  json["default_seconds"] = r.default_seconds ? to_json(*r.default_seconds) : Json(nullptr);
  json["over_default"] = to_json(r.over_default);
  json["counts"] = to_json(r.counts);
  json["elapsed_seconds"] = r.elapsed_seconds;
  json["partial"] = r.partial;
  if (r.partial) json["stopped_by"] = r.stopped_by;
  json["why"] = r.why;
  if (with_trials) {
    json["trials"] = Json::array();
    for (const Trial& trial : r.trials) json["trials"].push_back(to_json(trial));
  }
  return json;
}

}  // namespace fsa::tuner
