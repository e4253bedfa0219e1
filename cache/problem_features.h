#pragma once
// Owns the distance between two problems, by which the nearest tuned entry is found.
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"

namespace fsa {

/// What tells selected-attention problems apart for tuning.
inline constexpr std::array<std::string_view, 10> kSelectedAttentionFeatures{"element", "head_dim", "head_dim_v", "group",   "block_size",
                                                                             "topk",    "heads_kv", "num_seqs",   "total_q", "total_k"};

/// The named members of a problem, in the order of `names`; those it lacks are left out.
Json select_features(const Json& problem, std::span<const std::string_view> names);

/// How far a tuned problem is from a wanted one.
struct FeatureDistance {
  double distance = 0;                 ///< weighted octaves: 1 is a factor of 2 in one size
  std::vector<std::string> differing;  ///< names of the features that are not equal, in the tuned problem's order
};

/// The sum over numeric features of weight * |log2(a) - log2(b)| with sizes below 1 taken as 1. Nothing when a feature
/// that must agree differs: element, head_dim, head_dim_v, block_size and everything that is not a number. group and topk
/// weigh 2, num_seqs 0.5, other numbers 1. A number that one side lacks is 1.
std::optional<FeatureDistance> feature_distance(const Json& wanted, const Json& tuned);

}  // namespace fsa
