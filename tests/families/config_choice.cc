#include "tests/families/config_choice.h"

#include <algorithm>

#include "templates/families.h"

namespace fsa::test {

Result<Json> pick_config(const Kernel& kernel, const Json& problem, Pick pick, reference::Random& random, const Target& target) {
  const auto configs = kernel.configs(problem, target);
  if (configs.empty()) return make_error(ErrorKind::kInternal, {.given = std::string(kernel.family()) + " has no legal config"});
  if (pick == Pick::kRandom) return configs[random.below(static_cast<std::uint32_t>(configs.size()))];
  const auto size = [&](const Json& c) {
    const Resources r = kernel.resources(problem, c);
    return std::pair(r.scratch_bytes, r.threads);
  };
  const auto [smallest, largest] =
      std::minmax_element(configs.begin(), configs.end(), [&](const Json& a, const Json& b) { return size(a) < size(b); });
  return pick == Pick::kSmallest ? *smallest : *largest;
}

Result<Json> pick_config(const Kernel& kernel, const Json& problem, Pick pick, std::uint64_t seed, const Target& target) {
  reference::Random random(seed, 0);
  return pick_config(kernel, problem, pick, random, target);
}

Result<Choice> pick_configs(const SelectedProblem& problem, const std::string& variant_name, Pick pick, std::uint64_t seed,
                            const Target& target) {
  const Operator& op = selected_attention_operator();
  const Json json = to_json(selected_problem_fields(), problem);
  FSA_ASSIGN_OR_RETURN(const ChainVariant* variant, find_variant(op, target.backend, variant_name));
  Choice choice{.variant = variant_name};
  reference::Random random(seed, 0);
  const auto add = [&](const ChainStage& stage, const Json& main_config) -> Result<void> {
    const Json step = op.step_problem(json, *variant, stage, main_config, target.backend);
    FSA_ASSIGN_OR_RETURN(choice.configs[stage.name], pick_config(*find_family(stage.family)->kernel(target.backend), step, pick, random, target));
    return {};
  };
  for (const ChainStage& stage : variant->stages)
    if (stage.name == variant->main) FSA_RETURN_IF_ERROR(add(stage, Json::object()));
  const Json main_config = choice.configs[variant->main];
  for (const ChainStage& stage : variant->stages)
    if (stage.name != variant->main) FSA_RETURN_IF_ERROR(add(stage, main_config));
  return choice;
}

}  // namespace fsa::test
