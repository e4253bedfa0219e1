#pragma once
// Owns the random numbers of generated inputs: fast, deterministic, the same on every machine.
#include <cstdint>
#include <vector>

#include "fsa/base/tensor_view.h"

namespace fsa::reference {

/// SplitMix64 (Steele, Lea, Flood 2014): one independent stream for each (seed, stream) pair.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream) : state_(mix(seed) ^ mix(stream + 0x632be59bd9b4e019u)) {}

  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15u); }
  /// Uniform in [0, bound), bound >= 1. The bias, below bound / 2^32, does not matter here.
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32); }
  /// True with the given probability.
  bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }

 private:
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

/// Fills a contiguous bf16, f16 or f32 tensor with normal deviates of the given standard deviation, on several threads.
/// Deviates are drawn from 4096 equally likely quantiles: a table look-up each, since benchmarks need 10^8 of them.
void fill_normal(const TensorView& tensor, std::uint64_t seed, double deviation);

/// The `count` equally likely quantiles of the standard normal distribution, ascending.
std::vector<double> normal_quantiles(int count);

}  // namespace fsa::reference
