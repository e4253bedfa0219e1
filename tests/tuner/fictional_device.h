#pragma once
// Owns a fictional device: an Evaluator whose true times, failures and noise a test sets, and a space to search on it.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tuner/evaluator.h"

namespace fsa::tuner {

/// Two variants: "block" of a main stage (rows x stages) and a small reduce stage, "query" of one stage.
inline Space fictional_space() {
  Stage main{.name = "main", .default_config = {{"rows", 64}, {"stages", 2}}};
  for (int rows : {16, 32, 64, 96, 128, 192})
    for (int stages : {1, 2, 3, 4, 5}) main.configs.push_back({{"rows", rows}, {"stages", stages}});
  Stage reduce{.name = "reduce", .default_config = {{"rows", 4}}};
  for (int rows : {1, 2, 4, 8}) reduce.configs.push_back({{"rows", rows}});
  Stage query{.name = "query", .default_config = {{"tile", 32}}};
  for (int tile : {16, 32, 64, 128}) query.configs.push_back({{"tile", tile}});
  return {.variants = {{.name = "block", .stages = {main, reduce}}, {.name = "query", .stages = {query}}}};
}

/// The optimum that fictional_seconds() plants.
inline Candidate planted_optimum() {
  return {.variant = "block", .configs = {{"main", {{"rows", 96}, {"stages", 5}}}, {"reduce", {{"rows", 8}}}}};
}

/// Main stage: 1.00 ms at best, the next best 4 % slower, the default 30 %. Reduce: 0.10 to 0.18 ms. Query: 2 ms and more.
inline double fictional_seconds(const Candidate& c) {
  if (c.variant == "query") return 2e-3 + 1e-5 * c.configs["query"]["tile"].get<int>();
  const int rows = c.configs["main"]["rows"], stages = c.configs["main"]["stages"], reduce = c.configs["reduce"]["rows"];
  const double main = 1e-3 * (1 + 0.04 * (5 - stages) + 0.3 * std::abs(std::log2(rows / 96.0)));
  return main + 1e-4 * (1 + 0.1 * (8 - reduce));
}

class FictionalDevice final : public Evaluator {
 public:
  explicit FictionalDevice(std::uint64_t seed = 1) : random_(seed) {}

  std::function<double(const Candidate&)> true_seconds = fictional_seconds;
  double noise = 0;                                               ///< sigma of the relative noise of every sample
  double outlier_chance = 0;                                      ///< of a sample that takes half as long again
  double drift_per_second = 0;                                    ///< of everything, relative, over the device's own time
  std::set<std::string> wrong, crashing, uncompilable, spilling;  ///< by key
  std::function<void()> on_work = [] {};                          ///< before each compile, run and verification

  int compiles = 0, samples = 0, verifications = 0;
  int largest_call = 0;  ///< samples of the largest timing call
  double clock = 0;      ///< seconds that compiles and runs have taken

  std::vector<Result<CompileReport>> prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                             std::stop_token stop) override {
    std::vector<Result<CompileReport>> reports;
    for (const Candidate& c : candidates) {
      on_work();
      reports.push_back(stop.stop_requested() ? Result<CompileReport>(make_error(ErrorKind::kCancelled, {.given = "stopped"}))
                                              : compile(c));
      if (on_prepared) on_prepared(reports.size() - 1, reports.back());
    }
    return reports;
  }

  std::vector<Samples> measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) override {
    const auto run_once = [&](std::size_t i) -> Result<double> {
      on_work();
      if (crashing.contains(candidates[i].key())) return make_error(ErrorKind::kTimeout, {.given = "the worker gave no sign of life"});
      return sample(candidates[i]);
    };
    const int before = samples;
    std::vector<Samples> taken = sample_interleaved(candidates.size(), options, run_once, stop);
    largest_call = std::max(largest_call, samples - before);
    return taken;
  }

  Result<Verdict> verify(const Candidate& c, std::stop_token stop) override {
    on_work();
    if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, {.given = "stopped"});
    ++verifications;
    return Verdict{.error = wrong.contains(c.key()) ? 0.5 : 1e-3, .tolerance = 2e-3};
  }

 private:
  Result<CompileReport> compile(const Candidate& c) {
    ++compiles;
    clock += 0.1;
    if (uncompilable.contains(c.key())) return make_error(ErrorKind::kCompile, {.given = "the compiler rejected it"});
    return CompileReport{.seconds = 0.1, .registers = 100, .spill_bytes = spilling.contains(c.key()) ? 8 : 0, .warnings = {}};
  }

  double sample(const Candidate& c) {
    ++samples;
    double seconds = true_seconds(c) * (1 + drift_per_second * clock) * (1 + noise * normal_(random_));
    if (uniform_(random_) < outlier_chance) seconds *= 1.5;
    clock += seconds;
    return seconds;
  }

  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> uniform_;
};

}  // namespace fsa::tuner
