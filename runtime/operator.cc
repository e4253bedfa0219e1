#include "runtime/operator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "templates/families.h"

namespace fsa {
namespace {

Error bad_choice(const Json& json) {
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("the choice {}", json.dump()),
                                                  .supported = R"({"variant": "...", "configs": {"family": {...}}})"});
}

Json config_of(const Choice& choice, std::string_view family) {
  const auto it = choice.configs.find(std::string(family));
  return it == choice.configs.end() ? Json::object() : *it;
}

Result<const Kernel*> find_kernel(std::string_view family, Backend backend) {
  const Family* found = find_family(family);
  const Kernel* kernel = found ? found->kernel(backend) : nullptr;
  if (kernel) return kernel;
  return make_error(ErrorKind::kInternal, {.given = fmt::format("the chain names the kernel '{}', which {} lacks", family, to_string(backend))});
}

Result<ChainStep> make_step(std::string_view family, Json problem, const Json& config, const Target& target) {
  FSA_ASSIGN_OR_RETURN(const Kernel* kernel, find_kernel(family, target.backend));
  FSA_RETURN_IF_ERROR(kernel->check(problem, target));
  FSA_ASSIGN_OR_RETURN(Json complete, kernel->complete_config(problem, config, target));
  return ChainStep{kernel, std::move(problem), std::move(complete)};
}

}  // namespace

Json Choice::to_json() const { return {{"variant", variant}, {"configs", configs}}; }

Result<Choice> Choice::from_json(const Json& json) {
  if (!json.is_object() || !json.contains("variant") || !json["variant"].is_string()) return bad_choice(json);
  Choice choice{.variant = json["variant"].get<std::string>()};
  if (json.contains("configs")) choice.configs = json["configs"];
  return choice.configs.is_object() ? Result<Choice>(std::move(choice)) : bad_choice(json);
}

Result<const ChainVariant*> find_variant(const Operator& op, Backend backend, std::string_view name) {
  std::vector<std::string_view> names;
  for (const ChainVariant& v : op.variants(backend)) {
    if (v.name == name) return &v;
    names.push_back(v.name);
  }
  return make_error(ErrorKind::kNotFound, {.given = fmt::format("{} has no variant '{}' on {}", op.name(), name, to_string(backend)),
                                           .supported = fmt::format("{}", fmt::join(names, ", "))});
}

std::map<std::string, int> family_versions(const Operator& op, Backend backend) {
  std::map<std::string, int> versions;
  for (const ChainVariant& variant : op.variants(backend))
    for (const std::string& family : variant.families)
      if (const auto kernel = find_kernel(family, backend)) versions[family] = (*kernel)->version();
  return versions;
}

Choice default_choice(const Operator& op, const Json& problem, const Target& target) {
  return {.variant = op.default_variant(problem, target)};
}

Result<std::vector<ChainStep>> make_chain(const Operator& op, const Json& problem, const Choice& choice, const Target& target) {
  FSA_ASSIGN_OR_RETURN(const ChainVariant* variant, find_variant(op, target.backend, choice.variant));
  // The main family is settled first: its config decides what the kernels around it are asked for.
  const auto problem_of = [&](std::string_view family, const Json& main_config) {
    return op.step_problem(problem, *variant, family, main_config, target.backend);
  };
  FSA_ASSIGN_OR_RETURN(const ChainStep main, make_step(variant->main, problem_of(variant->main, Json::object()), config_of(choice, variant->main), target));
  std::vector<ChainStep> steps;
  for (const std::string& family : variant->families) {
    const Json config = family == variant->main ? main.config : config_of(choice, family);
    FSA_ASSIGN_OR_RETURN(ChainStep step, make_step(family, problem_of(family, main.config), config, target));
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace fsa
