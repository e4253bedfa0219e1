#include "tuner/search.h"

#include <algorithm>

#include <fmt/format.h>

#include "tuner/sampling.h"
#include "tuner/trial_runner.h"

namespace fsa::tuner {

namespace {

using Ids = std::vector<std::size_t>;

constexpr std::size_t kUnitsPerConfig = 3;  // of progress: compile, first timing, refinement
constexpr std::size_t kUnitsPerFinalist = 3;
constexpr std::size_t kThird = 3;

class Search {
 public:
  Search(const Space& space, Evaluator& evaluator, const SearchOptions& options, const ProgressSink& sink, const std::stop_token& stop)
      : space_(space), options_(options), runner_(book_, evaluator, options, sink, stop) {}

  TuningResult run() {
    plan_budget();
    try_defaults();
    std::size_t stage = 0;
    for (const Variant& variant : space_.variants) explore(variant, stage);
    Ids finalists;
    if (!runner_.stopped()) finalists = run_finals();
    return conclude(finalists);
  }

 private:
  /// Whether to go on with work that is left.
  bool proceed() {
    if (runner_.stopped() || runner_.expired()) cut_short_ = true;
    return !cut_short_;
  }

  void plan_budget() {
    std::vector<std::size_t> sizes;
    for (const Variant& variant : space_.variants)
      for (const Stage& stage : variant.stages) sizes.push_back(stage.configs.size());
    quotas_ = share_budget(sizes, options_.max_candidates);
    std::size_t units = kUnitsPerFinalist * (options_.finalists + space_.variants.size());
    for (std::size_t quota : quotas_) units += kUnitsPerConfig * quota;
    runner_.set_total(units);
  }

  /// Opens the defaults first, so that they lead every tie-break and trial 0 is the operator's default.
  void try_defaults() {
    for (const Variant& variant : space_.variants) {
      defaults_.push_back(book_.open(default_candidate(variant)));
      book_[defaults_.back()].is_default = true;
    }
    runner_.prepare(defaults_);
    runner_.measure(defaults_, options_.first_rounds);
    Ids right;
    for (std::size_t id : defaults_)
      if (!runner_.stopped() && runner_.verify(id)) right.push_back(id);
    if (!right.empty()) runner_.set_yardstick(right.front());
  }

  void explore(const Variant& variant, std::size_t& stage_number) {
    Candidate base = default_candidate(variant);
    for (const Stage& stage : variant.stages) {
      runner_.set_place(variant.name, stage.name);
      if (proceed()) base = explore_stage(base, stage, stage_number);
      ++stage_number;
    }
  }

  /// The best right candidate that differs from `base` in this stage only, or `base`.
  Candidate explore_stage(const Candidate& base, const Stage& stage, std::size_t stage_number) {
    const Ids ids = open_candidates(base, stage, stage_number);
    for (std::size_t begin = 0; begin < ids.size() && proceed(); begin += options_.chunk) {
      const Ids chunk(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                      ids.begin() + static_cast<std::ptrdiff_t>(std::min(begin + options_.chunk, ids.size())));
      runner_.prepare(chunk);
      runner_.measure(chunk, options_.first_rounds);
      runner_.add_done(chunk.size());
      tried_configs_ += static_cast<int>(chunk.size());
      settle_lead(ids);
    }
    const Ids best = narrow(ids);
    runner_.add_done(ids.size());
    return best.empty() || !book_[best.front()].verified() ? base : book_[best.front()].candidate;
  }

  Ids open_candidates(const Candidate& base, const Stage& stage, std::size_t stage_number) {
    const auto standard = std::find(stage.configs.begin(), stage.configs.end(), stage.default_config);
    const std::size_t always = standard == stage.configs.end() ? 0 : static_cast<std::size_t>(standard - stage.configs.begin());
    Ids ids;
    for (std::size_t i : sample_indices(stage.configs.size(), quotas_[stage_number], always, options_.seed + stage_number)) {
      Candidate candidate = base;
      candidate.configs[stage.name] = stage.configs[i];
      ids.push_back(book_.open(candidate));
    }
    return ids;
  }

  Ids in_the_race(const Ids& ids) const {
    Ids race = book_.ranked(ids);
    std::erase_if(race, [&](std::size_t id) { return book_[id].stopped_early; });
    return race;
  }

  /// Verifies the fastest until one is right, so that a fast wrong candidate neither sets the pace for the early stop nor
  /// leads anything astray, and that an interrupted search has a verified winner. Returns who is left, fastest first.
  Ids settle_lead(const Ids& ids) {
    Ids race = in_the_race(ids);
    while (!race.empty() && !runner_.stopped() && !runner_.verify(race.front())) race.erase(race.begin());
    return race;
  }

  /// Repeated thirds; fastest first.
  Ids narrow(const Ids& ids) {
    Ids race = settle_lead(ids);
    int rounds = options_.first_rounds;
    while (race.size() > 1 && proceed()) {
      const bool last = race.size() <= options_.keep;
      if (!last) race.resize(std::max(options_.keep, (race.size() + kThird - 1) / kThird));
      rounds = std::min(2 * rounds, std::max(options_.final_rounds, options_.first_rounds));
      runner_.measure(race, rounds);
      race = settle_lead(race);
      if (last || race.size() <= options_.keep) break;
    }
    return race;
  }

  /// The defaults that are right and the fastest others that are, timed together, in tie-break order. None when that
  /// common run was not completed: comparing those that happened to finish could leave out the default or the best.
  Ids run_finals() {
    runner_.set_place("", "");
    Ids finalists = verified_finalists();
    if (finalists.empty()) return {};
    runner_.measure_finals(finalists, options_.final_rounds);
    std::erase_if(finalists, [&](std::size_t id) { return !book_[id].verified(); });
    const bool complete = std::none_of(finalists.begin(), finalists.end(), [&](std::size_t id) { return book_[id].final_seconds.empty(); });
    return complete ? finalists : Ids();
  }

  Ids verified_finalists() {
    Ids finalists;
    for (std::size_t id : defaults_)
      if (runner_.verify(id)) finalists.push_back(id);
    const std::size_t wanted = finalists.size() + options_.finalists;
    std::size_t attempts = 4 * options_.finalists;  // a space of wrong candidates must not be verified whole
    for (std::size_t id : book_.ranked()) {
      if (finalists.size() >= wanted || attempts == 0 || runner_.stopped()) break;
      if (book_[id].is_default || book_[id].stopped_early) continue;
      --attempts;
      if (runner_.verify(id)) finalists.push_back(id);
    }
    std::sort(finalists.begin(), finalists.end());
    return finalists;
  }

  TuningResult conclude(Ids finalists) {
    TuningResult result;
    const bool final = !finalists.empty();
    if (!final)
      for (std::size_t id = 0; id < book_.size(); ++id)
        if (book_[id].verified()) finalists.push_back(id);
    if (finalists.empty())
      result.why = nothing_ran();
    else
      decide(finalists, final, result);
    result.partial = cut_short_ || (!final && result.winner);
    if (result.partial) result.stopped_by = runner_.stopped() ? "the user" : cut_short_ ? "the time limit" : "the device";
    result.trials = book_.trials();
    result.counts = count();
    result.elapsed_seconds = runner_.elapsed_seconds();
    runner_.finish(result.winner ? "chosen: " + result.winner->to_string() : result.why);
    return result;
  }

  /// `final`: by the finalists' common run; else by what was booked while exploring, relative to the yardstick.
  void decide(const Ids& finalists, bool final, TuningResult& result) const {
    std::vector<Finalist> list;
    std::vector<Candidate> candidates;
    for (std::size_t id : finalists) {
      list.push_back({.seconds = final ? book_[id].final_seconds : book_[id].relative, .is_default = id == defaults_.front()});
      candidates.push_back(book_[id].candidate);
    }
    const Choice choice = choose(list, options_.tie_band, final);
    const auto seconds = [&](std::size_t id) { return median_interval(final ? book_[id].final_seconds : book_[id].seconds); };
    result.winner = candidates[choice.winner];
    result.winner_is_default = finalists[choice.winner] == defaults_.front();
    result.winner_seconds = seconds(finalists[choice.winner]);
    if (finalists.front() == defaults_.front()) result.default_seconds = seconds(finalists.front());
    result.over_default = choice.over_default;
    result.why = explain(choice, candidates, options_.tie_band);
  }

  std::string nothing_ran() const {
    for (const Trial& trial : book_.trials())
      if (!trial.note.empty())
        return fmt::format("no candidate ran and gave the right result; the first, {}: {}", trial.candidate.to_string(), trial.note);
    return "no candidate was measured";
  }

  Counts count() const {
    Counts c;
    int configs = 0;
    for (const Variant& variant : space_.variants)
      for (const Stage& stage : variant.stages) {
        configs += static_cast<int>(stage.configs.size());
        c.pruned_by_model += stage.pruned_by_model;
      }
    c.enumerated = configs + c.pruned_by_model;
    c.over_budget = configs - tried_configs_;
    for (const Trial& trial : book_.trials()) add(trial, c);
    return c;
  }

  static void add(const Trial& trial, Counts& c) {
    c.tried += trial.outcome != Outcome::kPending || trial.report;
    c.pruned_by_model += trial.outcome == Outcome::kUnfitting;
    c.pruned_by_compiler += trial.outcome == Outcome::kPruned;
    c.measured += trial.outcome == Outcome::kMeasured;
    c.stopped_early += trial.usable() && trial.stopped_early;
    c.failed += trial.outcome == Outcome::kFailed;
    c.wrong += trial.outcome == Outcome::kWrong;
  }

  const Space& space_;
  const SearchOptions& options_;
  TrialBook book_;
  TrialRunner runner_;
  Ids defaults_;
  std::vector<std::size_t> quotas_;
  int tried_configs_ = 0;
  bool cut_short_ = false;
};

}  // namespace

TuningResult tune(const Space& space, Evaluator& evaluator, const SearchOptions& options, const ProgressSink& sink, std::stop_token stop) {
  return Search(space, evaluator, options, sink, stop).run();
}

}  // namespace fsa::tuner
