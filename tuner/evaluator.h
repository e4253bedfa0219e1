#pragma once
// Owns the Evaluator interface: compiles, times and checks candidates, so that the search sees no device and no compiler.
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <stop_token>
#include <vector>

#include "codegen/compiler.h"
#include "fsa/base/result.h"
#include "tuner/space.h"

namespace fsa::tuner {

/// Seconds of one run of the whole operator, one per sample; or why the candidate could not be timed.
using Samples = Result<std::vector<double>>;

struct MeasureOptions {
  int rounds = 1;  ///< samples per candidate, taken A B C A B C
  /// A candidate slower than this is of no interest: it may get fewer samples than `rounds`, at least one. The first
  /// candidate is exempt: it is what the others are compared with.
  double limit_seconds = std::numeric_limits<double>::infinity();
  /// Called before candidate `index` is loaded or run: the sign of life of a worker, and what tells which one killed it.
  std::function<void(std::size_t index)> on_run = {};
};

/// How far a candidate's output is from the oracle (or from the default config's output).
struct Verdict {
  double error = 0;                                  ///< relative error ||out - ref|| / ||ref||
  double tolerance = 0;                              ///< the largest that is accepted
  bool right() const { return error <= tolerance; }  // false for NaN
};

/// What a failure of one candidate is: data. It is returned as its Error (kCompile, kTimeout, kDevice, ...) and the others
/// go on. kUnsupported and kInvalidArgument mean that the candidate's configs do not go together; kCancelled that the
/// stop token cut the work short.
class Evaluator {
 public:
  /// Called as each candidate finishes, one call at a time, from the thread that called prepare().
  using OnPrepared = std::function<void(std::size_t index, const Result<CompileReport>& report)>;

  virtual ~Evaluator() = default;

  /// Compiles all kernels of each candidate, in parallel where it can. The report is the worst over a candidate's
  /// kernels (seconds are the sum). Result i belongs to candidate i.
  virtual std::vector<Result<CompileReport>> prepare(std::span<const Candidate> candidates, const OnPrepared& on_prepared,
                                                     std::stop_token stop) = 0;
  /// Times the candidates interleaved. Compiles on demand: a candidate may have been prepared in another process.
  virtual std::vector<Samples> measure(std::span<const Candidate> candidates, const MeasureOptions& options, std::stop_token stop) = 0;
  /// Runs the candidate once and compares its output. Compiles on demand.
  virtual Result<Verdict> verify(const Candidate& candidate, std::stop_token stop) = 0;
};

/// The interleaved loop, for implementations of measure(): calls `run_once(index)`, which runs a loaded and warmed-up
/// candidate and returns its seconds. Each round starts one candidate later, so that none always follows the same
/// neighbour. A kDevice error ends the call, for the device's state is then unknown: candidates that lack samples get
/// kUnavailable.
std::vector<Samples> sample_interleaved(std::size_t candidates, const MeasureOptions& options,
                                        const std::function<Result<double>(std::size_t index)>& run_once, std::stop_token stop);

}  // namespace fsa::tuner
