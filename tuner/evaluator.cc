#include "tuner/evaluator.h"

namespace fsa::tuner {

namespace {

/// Samples of one interleaved call as they accumulate.
class Round {
 public:
  Round(std::size_t candidates, const MeasureOptions& options) : options_(options), samples_(candidates, Samples(std::vector<double>{})) {}

  bool wants(std::size_t i) const {
    if (!samples_[i]) return false;
    const std::vector<double>& seconds = *samples_[i];
    const bool too_slow = i != 0 && !seconds.empty() && seconds.front() > options_.limit_seconds;
    return seconds.size() < static_cast<std::size_t>(options_.rounds) && !too_slow;
  }
  void record(std::size_t i, const Result<double>& seconds) {
    if (seconds)
      samples_[i]->push_back(*seconds);
    else
      samples_[i] = seconds.error();
  }
  /// Ends the call: candidates that still want samples get `error`.
  std::vector<Samples> finish(const Error& error) && {
    for (std::size_t i = 0; i < samples_.size(); ++i)
      if (wants(i)) samples_[i] = error;
    return std::move(samples_);
  }

 private:
  const MeasureOptions& options_;
  std::vector<Samples> samples_;
};

}  // namespace

std::vector<Samples> sample_interleaved(std::size_t candidates, const MeasureOptions& options,
                                        const std::function<Result<double>(std::size_t)>& run_once, std::stop_token stop) {
  Round round(candidates, options);
  for (int r = 0; r < options.rounds; ++r)
    for (std::size_t step = 0; step < candidates; ++step) {
      const std::size_t i = (step + static_cast<std::size_t>(r)) % candidates;
      if (!round.wants(i)) continue;
      if (stop.stop_requested())
        return std::move(round).finish(make_error(ErrorKind::kCancelled, {.given = "the measurement was interrupted"}));
      if (options.on_run) options.on_run(i);
      const Result<double> seconds = run_once(i);
      round.record(i, seconds);
      if (!seconds && seconds.error().kind == ErrorKind::kDevice)
        return std::move(round).finish(make_error(ErrorKind::kUnavailable, {.given = "the device failed while another candidate ran"}));
    }
  return std::move(round).finish(make_error(ErrorKind::kInternal, {.given = "a candidate was left without samples"}));
}

}  // namespace fsa::tuner
