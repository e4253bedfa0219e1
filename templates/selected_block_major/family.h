#pragma once
// Owns the description of the selected_block_major kernel family.
#include "templates/selected_block_major/cpu_kernel.h"
#include "templates/selected_block_major/cuda_kernel.h"
#include "templates/selected_family.h"

namespace fsa {

/// Selected attention with the key block outside and its queries inside (FSA order, arXiv 2508.18224).
struct SelectedBlockMajorFamily : SelectedFamily {
  static constexpr std::string_view kName = "selected_block_major";
  static constexpr int kVersion = 8;
  static Work work(const Problem& p) { return selected_work(p); }
  using Cuda = selected_block_major::Cuda;
  using Cpu = selected_block_major::Cpu;
};

}  // namespace fsa
