#pragma once
// Owns the steps a search is made of: compile, time and verify sets of trials, book what comes back, report progress.
#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "tuner/evaluator.h"
#include "tuner/progress.h"
#include "tuner/search_options.h"
#include "tuner/trial_book.h"

namespace fsa::tuner {

/// Every timing call while exploring carries the yardstick, one candidate known to be right (the default where it works):
/// times are booked relative to it, so that slow drift between calls does not decide.
class TrialRunner {
 public:
  TrialRunner(TrialBook& book, Evaluator& evaluator, const SearchOptions& options, ProgressSink sink, std::stop_token stop);

  /// Compiles the pending ones of `ids`; prunes by the compiler's report (never a default, which must stay measurable).
  void prepare(const std::vector<std::size_t>& ids);
  /// Times the usable ones of `ids`, in interleaved calls of at most options.batch; drops those too slow to be of interest.
  void measure(const std::vector<std::size_t>& ids, int rounds);
  /// Times all of `ids` in one interleaved call, nothing dropped, into final_seconds.
  void measure_finals(const std::vector<std::size_t>& ids, int rounds);
  /// True when the trial's output is right. Asks the evaluator once per trial.
  bool verify(std::size_t id);

  /// Makes `id`, which has samples, the yardstick. Trials booked before become relative to it.
  void set_yardstick(std::size_t id);
  void set_place(std::string variant, std::string family);
  void set_total(std::size_t units) { progress_.total = units; }
  void add_done(std::size_t units);
  /// Reports that the run is over.
  void finish(const std::string& sentence);

  bool stopped() const { return stop_.stop_requested(); }
  bool expired() const;
  double elapsed_seconds() const { return clock_() - start_; }

 private:
  void measure_batch(const std::vector<std::size_t>& ids, int rounds);
  void book_report(std::size_t id, const Result<CompileReport>& report);
  void book_samples(std::size_t id, const Samples& samples, int rounds, double reference);
  void book_failure(std::size_t id, const Error& error);
  double reference_of(const std::vector<std::size_t>& ids, const std::vector<Samples>& samples);
  std::vector<Candidate> candidates_of(const std::vector<std::size_t>& ids) const;
  std::optional<std::size_t> best_verified() const;
  void drop_slow(const std::vector<std::size_t>& ids);
  void report(Step step, std::string note = {});

  TrialBook& book_;
  Evaluator& evaluator_;
  const SearchOptions& options_;
  ProgressSink sink_;
  std::stop_token stop_;
  std::function<double()> clock_;
  double start_;
  Progress progress_;
  std::optional<std::size_t> yardstick_;
  double last_reference_ = 1;  // the yardstick's last median; 1 while there is none
};

}  // namespace fsa::tuner
