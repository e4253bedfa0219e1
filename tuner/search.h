#pragma once
// Owns the search: from a space and an evaluator to the configs to use.
//
// Every variant is searched by coordinate descent: stage by stage, the main kernel first, all configs of the stage (or a
// seeded sample that holds the default) with the other stages at the best so far. A stage is narrowed by repeated
// thirds: few samples for all, twice as many for the best third, and so on; the best one whose output is right becomes
// the base of the next stage. The fastest over all variants and the default of each are then verified, timed together
// in one interleaved call, and chosen between (choose.h). Given the same samples, the outcome is the same.
#include <stop_token>

#include "tuner/evaluator.h"
#include "tuner/progress.h"
#include "tuner/search_options.h"
#include "tuner/space.h"
#include "tuner/tuning_result.h"

namespace fsa::tuner {

/// Never fails: what went wrong with a candidate is in its trial. On a stop request the best candidate known so far to be
/// right and faster than the default is returned, with `partial` set.
TuningResult tune(const Space& space, Evaluator& evaluator, const SearchOptions& options = {}, const ProgressSink& sink = {},
                  std::stop_token stop = {});

}  // namespace fsa::tuner
