#include "fsa/engine.h"

#include <chrono>

#include "runtime/engine_impl.h"
#include "runtime/nsa_problem.h"
#include "runtime/selected_plan.h"

namespace fsa {

Result<Chain> Engine::Impl::bind(const Operator& op, const Json& problem, const Choice& choice, PlanReport& report) const {
  FSA_ASSIGN_OR_RETURN(const std::vector<ChainStep> steps, make_chain(op, problem, choice, target()));
  std::vector<std::shared_ptr<const Module>> modules;
  Json configs = Json::object();
  KernelCounts counts;
  for (const ChainStep& step : steps) {
    FSA_ASSIGN_OR_RETURN(auto module, library_->load(step, counts));
    modules.push_back(std::move(module));
    configs[step.stage] = step.config;
  }
  report.variant = choice.variant;
  report.configs_json = configs.dump();
  report.compiled = counts.compiled;
  report.from_cache = counts.from_cache;
  report.from_pack = counts.from_pack;
  report.already_loaded = counts.already_loaded;
  return Chain::bind(device(), steps, std::move(modules), op.external_specs(problem));
}

Result<std::shared_ptr<const Plan::Impl>> Engine::Impl::plan(const Operator& op, const Json& problem, std::optional<Choice> forced) const {
  const auto start = std::chrono::steady_clock::now();
  FSA_RETURN_IF_ERROR(op.check(problem, target()));
  const ChosenBy chosen = forced ? ChosenBy{std::move(*forced), "forced", "the caller named it"} : choices_->choose(op, problem);
  PlanReport report{.source = chosen.source, .why = chosen.why};
  FSA_ASSIGN_OR_RETURN(Chain chain, bind(op, problem, chosen.choice, report));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::make_shared<const Plan::Impl>(op, problem, std::move(chain), std::move(report));
}

Result<Engine> Engine::create(std::string_view name, const EngineOptions& options) {
  FSA_ASSIGN_OR_RETURN(std::shared_ptr<const Device> device, open_device(name, {.num_threads = options.num_threads}));
  FSA_ASSIGN_OR_RETURN(std::shared_ptr<const KernelSource> source, KernelSource::create(options));
  auto choices = std::make_unique<ChoiceSource>(device, source, options);
  auto library = std::make_unique<KernelLibrary>(device, source);
  return Engine(std::make_shared<Impl>(name == "cuda" ? "cuda:0" : std::string(name), options, std::move(library), std::move(choices)));
}

Engine::Engine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Result<SelectedAttentionPlan> Engine::plan(const SelectedAttentionProblem& problem) const {
  FSA_ASSIGN_OR_RETURN(const Json json, to_problem_json(problem));
  FSA_ASSIGN_OR_RETURN(auto impl, impl_->plan(selected_attention_operator(), json));
  return SelectedAttentionPlan(Plan(std::move(impl)));
}

Result<NativeSparseAttentionPlan> Engine::plan_nsa(const NativeSparseAttentionProblem& problem) const {
  FSA_ASSIGN_OR_RETURN(const Json json, to_problem_json(problem));
  FSA_ASSIGN_OR_RETURN(auto impl, impl_->plan(native_sparse_attention_operator(), json));
  return NativeSparseAttentionPlan(Plan(std::move(impl)));
}

Result<Plan> Engine::plan(std::string_view name, std::string_view problem_json) const {
  FSA_ASSIGN_OR_RETURN(const Operator* op, find_operator(name));
  FSA_ASSIGN_OR_RETURN(const Json problem, parse_public_problem(*op, problem_json));
  FSA_ASSIGN_OR_RETURN(auto impl, impl_->plan(*op, problem));
  return Plan(std::move(impl));
}

std::vector<std::string> operator_names() {
  std::vector<std::string> names;
  for (const Operator* op : all_operators()) names.emplace_back(op->name());
  return names;
}

std::string_view Engine::device() const { return impl_->device_name(); }
std::string_view Engine::device_name() const { return impl_->device()->name(); }
std::string_view Engine::target() const { return impl_->target().to_string(); }

}  // namespace fsa
