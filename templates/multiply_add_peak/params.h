#pragma once
// Owns the parameters of the multiply_add_peak kernel. Clean for host compilers and bitcode.
#include "multiply_add_peak/config.h"

namespace fsa::multiply_add_peak {

struct Params {
  float* sums;     // [items] sum over the lanes of an item's accumulators: steps * 16 * elements per word * a * b
  long long steps; // 16-lane multiply-adds of one item
  unsigned a, b;   // the words that are multiplied: an fp32, or two bf16
};

}  // namespace fsa::multiply_add_peak
