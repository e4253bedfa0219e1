#pragma once
// Owns the description of the shared_blocks kernel family.
#include "templates/dimension_check.h"
#include "templates/selected_family.h"
#include "templates/shared_blocks/cuda_kernel.h"

namespace fsa {

/// Parts block_indices: blocks that many neighbouring queries share, to be attended by all of these at once, and the rest. Lays V out for
/// that attention.
struct SharedBlocksFamily : SelectedFamily {
  static constexpr std::string_view kName = "shared_blocks";
  static constexpr int kVersion = 6;
  static Result<void> check(const Problem& p, const Target& target) { return shared_blocks::check(p, target); }
  /// Indices are read once and written once, and so is V.
  static Work work(const Problem& p) {
    const double numbers = static_cast<double>(p.total_k) * p.heads_kv * p.head_dim_v;
    return {.flops = 0, .bytes = 8.0 * static_cast<double>(p.entries()) + numbers * (bytes_of_element(p.element) + 2.0)};
  }
  using Cuda = shared_blocks::Cuda;
};

}  // namespace fsa
