#pragma once
// Owns the measurement of a CPU's multiply-add peak, by the multiply_add_peak kernels: what fractions of peak refer to.
#include <string>

#include "runtime/engine_impl.h"

namespace fsa {

struct Peak {
  double flops = 0;   ///< per second, all worker threads
  std::string name;   ///< "fp32 multiply-add" or "bf16 dot product"
};

/// The best of several runs. `math` is a value of the kernels' `math` tunable: "f32" or "bf16_dot". kUnsupported on GPUs.
Result<Peak> measure_peak(const Engine::Impl& engine, const std::string& math);

}  // namespace fsa
