#pragma once
// Owns the description of the block_index kernel family.
#include "templates/block_index/cpu_kernel.h"
#include "templates/block_index/cuda_kernel.h"
#include "templates/selected_family.h"

namespace fsa {

/// Inverts block_indices into lists block -> query tokens (FSA, arXiv 2508.18224, section 3).
struct BlockIndexFamily : SelectedFamily {
  static constexpr std::string_view kName = "block_index";
  static constexpr int kVersion = 6;
  static Work work(const Problem& p) { return block_index_work(p); }
  using Cuda = block_index::Cuda;
  using Cpu = block_index::Cpu;
};

}  // namespace fsa
