#pragma once
// Owns the shape and configuration of multiply_add_peak. Clean for host compilers and bitcode.
#include "cpu/tile_layout.h"

namespace fsa::multiply_add_peak {

/// Which multiply-add is measured.
struct Shape {
  cpu::Math math;
};

struct CpuConfig {
  int accumulators;  ///< independent 16-lane sums: enough to hide the latency, few enough to stay in registers
};

inline constexpr int kMostAccumulators = 24;
inline constexpr int kStepUnit = 48;  ///< steps come in multiples of this, which every legal number of accumulators divides

}  // namespace fsa::multiply_add_peak
