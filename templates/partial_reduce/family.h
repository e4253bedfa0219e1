#pragma once
// Owns the description of the partial_reduce kernel family.
#include "templates/partial_reduce/cpu_kernel.h"
#include "templates/partial_reduce/cuda_kernel.h"
#include "templates/selected_family.h"

namespace fsa {

/// Merges the partial outputs of a row's blocks by their LSE (the reduction kernel of FSA).
struct PartialReduceFamily : SelectedFamily {
  static constexpr std::string_view kName = "partial_reduce";
  static constexpr int kVersion = 1;
  static Work work(const Problem& p) { return partial_reduce_work(p); }
  using Cuda = partial_reduce::Cuda;
  using Cpu = partial_reduce::Cpu;
};

}  // namespace fsa
