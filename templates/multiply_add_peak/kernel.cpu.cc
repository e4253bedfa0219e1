// Owns the CPU kernel of multiply_add_peak: independent multiply-adds on registers, and nothing else.
#include "cpu/microkernel.h"
#include "multiply_add_peak/params.h"

namespace fsa::multiply_add_peak {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

extern "C" void kernel_entry(const Params* params, long item, void*) {
  using namespace cpu;
  const int accumulators = fsa_constants.config.accumulators;
  const float a = __builtin_bit_cast(float, params->a);
  const F32x16 b = splat(__builtin_bit_cast(float, params->b));
  F32x16 sums[kMostAccumulators];
  FSA_UNROLL
  for (int i = 0; i < accumulators; ++i) sums[i] = splat(0);
#pragma clang loop unroll_count(4)
  for (long long round = params->steps / accumulators; round > 0; --round) {
    FSA_UNROLL
    for (int i = 0; i < accumulators; ++i) sums[i] = multiply_add(fsa_constants.shape.math, a, b, sums[i]);
  }
  float total = 0;
  FSA_UNROLL
  for (int i = 0; i < accumulators; ++i) total += reduce_add(sums[i]);
  params->sums[item] = total;
}

}  // namespace fsa::multiply_add_peak
