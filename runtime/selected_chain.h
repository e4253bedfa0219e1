#pragma once
// Owns the loop orders of selected attention as chains of kernels, for every operator that has selected attention in it.
#include <string_view>
#include <vector>

#include "runtime/operator.h"

namespace fsa {

/// The loop orders on a backend, the most general one first. Tensors have the names of the selected-attention operator.
const std::vector<ChainVariant>& selected_variants(Backend backend);

/// The loop order that is decent without tuning, of those that `op` can plan. `problem` has the fields of SelectedProblem, among others.
std::string_view default_selected_variant(const Operator& op, const Json& problem, const Target& target);

/// `problem` (fields of SelectedProblem) as a stage of `variant` sees it, whose main stage has `main_config`.
Json selected_step_problem(const Json& problem, const ChainVariant& variant, const ChainStage& stage, const Json& main_config,
                           Backend backend);

/// True for a stage that merges partial outputs.
bool reduces_partials(const ChainStage& stage);
/// True for a chain with such a stage.
bool has_partials(const ChainVariant& variant);

}  // namespace fsa
