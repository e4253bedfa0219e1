#pragma once
// Owns the space that is searched: variants of an operator, their kernel stages, and one point of it, a Candidate.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "codegen/family.h"
#include "fsa/base/result.h"

namespace fsa::tuner {

/// One kernel of a variant and the configs it may take. The default config is always among `configs`.
struct Stage {
  std::string name;                ///< the kernel's family, or what the variant calls it
  Json default_config;
  std::vector<Json> configs = {};  ///< in a stable order, which is the tie-break
  int pruned_by_model = 0;         ///< configs that the resource model excluded before this list was made
};

/// One way to compute the operator, e.g. block-major: its stages, the main kernel first.
struct Variant {
  std::string name;
  std::vector<Stage> stages;
};

/// All there is to search. The first variant's default is the operator's default: what an untuned plan would run.
struct Space {
  std::vector<Variant> variants;
};

/// One point of the space: a config for every stage of a variant.
struct Candidate {
  std::string variant;
  Json configs = Json::object();  ///< stage -> config

  bool operator==(const Candidate&) const = default;
  /// Identity within a space, usable as a map key.
  std::string key() const;
  /// "block_major: selected_block_major{rows=64, partial=f16} partial_reduce{rows=4}".
  std::string to_string() const;
};

/// The stage of `kernel` for a problem that passed its check(): enumerated, then pruned by the resource model.
Stage make_stage(const Kernel& kernel, const Json& problem, const Target& target);

/// Every stage at its default config.
Candidate default_candidate(const Variant& variant);

/// {"variant":...,"configs":{stage:{...}}}.
Json to_json(const Candidate& candidate);
/// The inverse; kCorrupt when the JSON is not of that form.
Result<Candidate> candidate_from_json(const Json& json);
Json to_json(std::span<const Candidate> candidates);
Result<std::vector<Candidate>> candidates_from_json(const Json& json);

}  // namespace fsa::tuner
