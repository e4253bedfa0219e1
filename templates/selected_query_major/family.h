#pragma once
// Owns the description of the selected_query_major kernel family.
#include "templates/selected_query_major/cpu_kernel.h"
#include "templates/selected_query_major/cuda_kernel.h"
#include "templates/selected_family.h"

namespace fsa {

/// Selected attention with the query outside and its blocks inside (NSA order, arXiv 2502.11089).
struct SelectedQueryMajorFamily : SelectedFamily {
  static constexpr std::string_view kName = "selected_query_major";
  static constexpr int kVersion = 2;
  static Work work(const Problem& p) { return selected_work(p); }
  using Cuda = selected_query_major::Cuda;
  using Cpu = selected_query_major::Cpu;
};

}  // namespace fsa
