#pragma once
// Owns the description of the shared_attention kernel family.
#include "templates/selected_family.h"
#include "templates/shared_attention/cuda_kernel.h"

namespace fsa {

/// Attention of tiles of neighbouring queries to the blocks that many of them share, query-major: one more partial output of each row.
struct SharedAttentionFamily : SelectedFamily {
  static constexpr std::string_view kName = "shared_attention";
  static constexpr int kVersion = 1;
  static Result<void> check(const Problem& p, const Target& target) { return shared_attention::check(p, target); }
  static Work work(const Problem& p) { return selected_work(p); }
  using Cuda = shared_attention::Cuda;
};

}  // namespace fsa
