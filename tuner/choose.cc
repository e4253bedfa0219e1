#include "tuner/choose.h"

#include <algorithm>
#include <cassert>

namespace fsa::tuner {

namespace {

class Comparison {
 public:
  Comparison(std::span<const Finalist> finalists, bool paired) : finalists_(finalists), paired_(paired) {
    for (const Finalist& f : finalists) medians_.push_back(median(f.seconds));
  }
  Interval ratio(std::size_t a, std::size_t b) const {
    const auto& x = finalists_[a].seconds;
    const auto& y = finalists_[b].seconds;
    return paired_ && x.size() == y.size() ? paired_ratio(x, y) : unpaired_ratio(x, y);
  }
  std::optional<std::size_t> fastest_but(std::optional<std::size_t> excluded) const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < medians_.size(); ++i)
      if (i != excluded && (!best || medians_[i] < medians_[*best])) best = i;
    return best;
  }
  std::optional<std::size_t> default_index() const {
    for (std::size_t i = 0; i < finalists_.size(); ++i)
      if (finalists_[i].is_default) return i;
    return std::nullopt;
  }

 private:
  std::span<const Finalist> finalists_;
  bool paired_;
  std::vector<double> medians_;
};

}  // namespace

Choice choose(std::span<const Finalist> finalists, double tie_band, bool paired) {
  assert(!finalists.empty());
  const Comparison compare(finalists, paired);
  const std::size_t fastest = *compare.fastest_but(std::nullopt);
  const std::optional<std::size_t> standard = compare.default_index();
  const auto tied = [&](std::size_t i) { return i == fastest || compare.ratio(i, fastest).median <= 1 + tie_band; };
  const auto admissible = [&](std::size_t i) { return !standard || i == *standard || compare.ratio(i, *standard).high < 1; };

  Choice choice{.winner = standard.value_or(fastest), .tied = 0};
  bool found = false;
  for (std::size_t i = 0; i < finalists.size(); ++i) {
    if (!tied(i)) continue;
    ++choice.tied;
    if (!found && admissible(i)) {
      choice.winner = i;
      found = true;
    }
  }
  choice.kept_default = choice.winner == standard && fastest != choice.winner;
  choice.second = compare.fastest_but(choice.winner);
  if (standard && *standard != choice.winner) choice.over_default = compare.ratio(choice.winner, *standard);
  if (choice.second) choice.over_second = compare.ratio(choice.winner, *choice.second);
  return choice;
}

}  // namespace fsa::tuner
