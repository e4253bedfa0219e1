#pragma once
// Owns the description of the shared_blocks kernel family.
#include "templates/selected_family.h"
#include "templates/shared_blocks/cuda_kernel.h"

namespace fsa {

/// Parts block_indices: blocks that many neighbouring queries share, to be attended by all of these at once, and the rest.
struct SharedBlocksFamily : SelectedFamily {
  static constexpr std::string_view kName = "shared_blocks";
  static constexpr int kVersion = 3;
  static Result<void> check(const Problem& p, const Target& target) { return shared_blocks::check(p, target); }
  static Work work(const Problem& p) { return {.flops = 0, .bytes = 8.0 * static_cast<double>(p.entries())}; }
  using Cuda = shared_blocks::Cuda;
};

}  // namespace fsa
