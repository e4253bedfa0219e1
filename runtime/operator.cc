#include "runtime/operator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "templates/families.h"

namespace fsa {
namespace {

Error bad_choice(const Json& json) {
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("the choice {}", json.dump()),
                                                  .supported = R"({"variant": "...", "configs": {"family": {...}}})"});
}

Json config_of(const Choice& choice, const std::string& stage) {
  const auto it = choice.configs.find(stage);
  return it == choice.configs.end() ? Json::object() : *it;
}

Result<const Kernel*> find_kernel(std::string_view family, Backend backend) {
  const Family* found = find_family(family);
  const Kernel* kernel = found ? found->kernel(backend) : nullptr;
  if (kernel) return kernel;
  return make_error(ErrorKind::kInternal, {.given = fmt::format("the chain names the kernel '{}', which {} lacks", family, to_string(backend))});
}

Result<ChainStep> make_step(const ChainStage& stage, Json problem, const Json& config, const Target& target) {
  FSA_ASSIGN_OR_RETURN(const Kernel* kernel, find_kernel(stage.family, target.backend));
  FSA_RETURN_IF_ERROR(kernel->check(problem, target));
  FSA_ASSIGN_OR_RETURN(Json complete, kernel->complete_config(problem, config, target));
  return ChainStep(stage, kernel, std::move(problem), std::move(complete));
}

const ChainStage& main_stage(const ChainVariant& variant) {
  return *std::find_if(variant.stages.begin(), variant.stages.end(), [&](const ChainStage& s) { return s.name == variant.main; });
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
    for (const ChainStage& stage : variant.stages)
      if (const auto kernel = find_kernel(stage.family, backend)) versions[stage.family] = (*kernel)->version();
  return versions;
}

Choice default_choice(const Operator& op, const Json& problem, const Target& target) {
  return {.variant = op.default_variant(problem, target)};
}

Result<std::vector<ChainStep>> make_chain(const Operator& op, const Json& problem, const Choice& choice, const Target& target) {
  FSA_ASSIGN_OR_RETURN(const ChainVariant* variant, find_variant(op, target.backend, choice.variant));
  FSA_RETURN_IF_ERROR(op.check_variant(problem, *variant));
  // The main stage is settled first: its config decides what the kernels around it are asked for.
  const auto problem_of = [&](const ChainStage& stage, const Json& main_config) {
    return op.step_problem(problem, *variant, stage, main_config, target.backend);
  };
  const ChainStage& first = main_stage(*variant);
  FSA_ASSIGN_OR_RETURN(const ChainStep main, make_step(first, problem_of(first, Json::object()), config_of(choice, first.name), target));
  std::vector<ChainStep> steps;
  for (const ChainStage& stage : variant->stages) {
    const Json config = stage.name == variant->main ? main.config : config_of(choice, stage.name);
    Json step_problem = problem_of(stage, main.config);
    if (step_problem.is_null()) continue;
    FSA_ASSIGN_OR_RETURN(ChainStep step, make_step(stage, std::move(step_problem), config, target));
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<TensorSpec> ChainStep::tensors() const {
  std::vector<TensorSpec> specs = kernel->tensors(problem, config);
  for (TensorSpec& spec : specs)
    if (const auto it = renames.find(spec.name); it != renames.end()) spec.name = it->second;
  return specs;
}

Result<Json> parse_public_problem(const Operator& op, std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("the problem of {} is not JSON: {}", op.name(), text.substr(0, 200)),
                                                    .supported = R"(an object such as {"heads_q": 32, "heads_kv": 8, "total_q": 4096, "total_k": 4096})"});
  return op.from_public(json);
}

std::span<const Operator* const> all_operators() {
  static const std::vector<const Operator*> operators = [] {
    std::vector<const Operator*> all{&selected_attention_operator(), &native_sparse_attention_operator()};
    all.insert(all.end(), branch_operators().begin(), branch_operators().end());
    return all;
  }();
  return operators;
}

Result<const Operator*> find_operator(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Operator* op : all_operators()) {
    if (op->name() == name) return op;
    names.push_back(op->name());
  }
  return make_error(ErrorKind::kUnsupported, {.given = fmt::format("the operator '{}'", name), .supported = fmt::format("{}", fmt::join(names, ", "))});
}

}  // namespace fsa
