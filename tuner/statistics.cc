#include "tuner/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace fsa::tuner {

namespace {

std::vector<double> sorted(std::span<const double> samples) {
  std::vector<double> copy(samples.begin(), samples.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

/// How many samples to cut from each end so that the rest covers the median with at least 95 %: the largest j with
/// P(Binomial(n, 1/2) < j) <= 2.5 %. The normal approximation beyond 100 samples.
std::size_t order_statistic_cut(std::size_t n) {
  const double size = static_cast<double>(n);
  if (n > 100) return static_cast<std::size_t>((size - 1.96 * std::sqrt(size)) / 2.0) - 1;
  double probability = std::pow(0.5, size), below = probability;
  std::size_t j = 0;
  while (below <= 0.025) {
    ++j;
    probability *= (size - static_cast<double>(j) + 1) / static_cast<double>(j);
    below += probability;
  }
  return j == 0 ? 0 : j - 1;
}

}  // namespace

double quantile(std::span<const double> samples, double q) {
  if (samples.empty()) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> s = sorted(samples);
  const double position = q * static_cast<double>(s.size() - 1);
  const std::size_t low = static_cast<std::size_t>(position);
  const std::size_t high = std::min(low + 1, s.size() - 1);
  return s[low] + (position - static_cast<double>(low)) * (s[high] - s[low]);
}

double median(std::span<const double> samples) { return quantile(samples, 0.5); }

double robust_spread(std::span<const double> samples) {
  const double middle = median(samples);
  std::vector<double> deviations;
  for (double s : samples) deviations.push_back(std::abs(s - middle));
  return 1.4826 * median(deviations);
}

Interval median_interval(std::span<const double> samples) {
  if (samples.empty()) return {median(samples), median(samples), median(samples)};
  const std::vector<double> s = sorted(samples);
  const std::size_t cut = order_statistic_cut(s.size());
  return {median(samples), s[cut], s[s.size() - 1 - cut]};
}

Json to_json(const Interval& interval) { return {{"median", interval.median}, {"low", interval.low}, {"high", interval.high}}; }

Interval paired_ratio(std::span<const double> numerator, std::span<const double> denominator) {
  assert(numerator.size() == denominator.size());
  std::vector<double> ratios;
  for (std::size_t i = 0; i < numerator.size(); ++i) ratios.push_back(numerator[i] / denominator[i]);
  return median_interval(ratios);
}

Interval unpaired_ratio(std::span<const double> numerator, std::span<const double> denominator) {
  const Interval n = median_interval(numerator), d = median_interval(denominator);
  return {n.median / d.median, n.low / d.high, n.high / d.low};
}

}  // namespace fsa::tuner
