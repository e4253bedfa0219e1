#pragma once
// Owns Roofline: the least time that a device could take for given work, by its peak arithmetic and its memory bandwidth.
#include <string>

#include "codegen/kernel_facts.h"
#include "codegen/target.h"
#include "runtime/engine_impl.h"

namespace fsa {

struct Roofline {
  double flops = 0;             ///< per second, at most; 0: not known
  double bytes_per_second = 0;  ///< at most; 0: no bound is stated
  std::string basis;            ///< where the numbers come from, for people; empty: nothing is known

  /// The longer of arithmetic and memory traffic; 0 where neither bounds the work.
  double least_seconds(const Work& work) const;
  /// least_seconds() of the time taken: 1 is perfect. 0 where nothing bounds the work.
  double fraction(const Work& work, double seconds) const;
};

/// Multiply-adds count twice. Dense f16 and bf16 products with f32 sums, per clock and multiprocessor; 0 for architectures
/// that are not in the table. `geforce`: cards that sum in f32 at half the rate.
double tensor_flops_per_clock(const CudaLimits& arch, bool geforce);

/// Of a GPU, from what it states of itself: its clock is the highest it may reach, which long runs rarely hold.
Roofline gpu_roofline(const Target& target, const std::string& name, int units, DeviceRates rates);

/// Of an engine's device. CPUs: the measured multiply-add peak of `math` (see peak.h), and no bandwidth, since what a CPU
/// works on mostly stays in its caches. A peak that cannot be measured is left unknown.
Roofline device_roofline(const Engine::Impl& engine, const std::string& math);

}  // namespace fsa
