#pragma once
// Owns the statistics of timings: robust location, spread and intervals. Pure.
//
// Noise model. A sample is the true time multiplied by (1 + e). Most e are small and of either sign (clocks, alignment);
// some are large and positive (preemption, page faults, a neighbour). On top, everything drifts slowly (temperature,
// clock states), alike for all candidates that are measured in the same minute. Hence:
// - location is the median: it takes half of the samples to move it. The mean follows the outliers. The minimum is no
//   estimator either: it rewards the luckiest sample, and falls the more samples a candidate gets.
// - comparisons are made between samples of one interleaved call, round by round, so that the drift cancels.
// - intervals come from order statistics, which assume nothing about the shape of the noise.
#include <cstddef>
#include <span>
#include <vector>

#include "codegen/base/json.h"

namespace fsa::tuner {

/// A quantile by linear interpolation, q in [0, 1]. NaN for no samples.
double quantile(std::span<const double> samples, double q);
double median(std::span<const double> samples);
/// Median absolute deviation, scaled by 1.4826 so that it estimates sigma for normal noise.
double robust_spread(std::span<const double> samples);

/// A median with a confidence interval of at least 95 % (of all the samples' range below 6 samples).
struct Interval {
  double median = 0, low = 0, high = 0;
};
Interval median_interval(std::span<const double> samples);
Json to_json(const Interval& interval);

/// The interval of numerator / denominator, sample by sample: both were taken in the same rounds.
/// Precondition: equal sizes.
Interval paired_ratio(std::span<const double> numerator, std::span<const double> denominator);
/// The interval of the ratio of two medians that were not measured together: wider, as both are uncertain.
Interval unpaired_ratio(std::span<const double> numerator, std::span<const double> denominator);

}  // namespace fsa::tuner
