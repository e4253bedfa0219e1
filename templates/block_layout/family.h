#pragma once
// Owns the description of the block_layout kernel family.
#include "templates/block_layout/cuda_kernel.h"
#include "templates/dimension_check.h"
#include "templates/selected_family.h"

namespace fsa {

/// Lays the blocks of V out as Hopper's shared memory holds them, in f16, for shared_reduce.
struct BlockLayoutFamily : SelectedFamily {
  static constexpr std::string_view kName = "block_layout";
  static constexpr int kVersion = 2;
  static Result<void> check(const Problem& p, const Target& target) { return block_layout::check(p, target); }
  /// V is read once and written once.
  static Work work(const Problem& p) {
    const double numbers = static_cast<double>(p.total_k) * p.heads_kv * p.head_dim_v;
    return {.flops = 0, .bytes = numbers * (bytes_of_element(p.element) + 2.0)};
  }
  using Cuda = block_layout::Cuda;
};

}  // namespace fsa
