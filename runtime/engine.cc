#include "fsa/engine.h"

#include <chrono>

#include "runtime/engine_impl.h"

namespace fsa {

Result<Chain> Engine::Impl::bind(const Operator& op, const Json& problem, const Choice& choice, PlanReport& report) const {
  FSA_ASSIGN_OR_RETURN(const std::vector<ChainStep> steps, make_chain(op, problem, choice, target()));
  std::vector<std::shared_ptr<const Module>> modules;
  Json configs = Json::object();
  KernelCounts counts;
  for (const ChainStep& step : steps) {
    FSA_ASSIGN_OR_RETURN(auto module, library_->load(step, counts));
    modules.push_back(std::move(module));
    configs[std::string(step.kernel->family())] = step.config;
  }
  report.variant = choice.variant;
  report.configs_json = configs.dump();
  report.compiled = counts.compiled;
  report.from_cache = counts.from_cache;
  report.from_pack = counts.from_pack;
  report.already_loaded = counts.already_loaded;
  return Chain::bind(device(), steps, std::move(modules), op.external_specs(problem));
}

Result<std::shared_ptr<const SelectedAttentionPlan::Impl>> Engine::Impl::plan(const Json& problem, std::optional<Choice> forced) const {
  const auto start = std::chrono::steady_clock::now();
  const Operator& op = selected_attention_operator();
  FSA_RETURN_IF_ERROR(op.check(problem, target()));
  const ChosenBy chosen = forced ? ChosenBy{std::move(*forced), "forced", "the caller named it"} : choices_->choose(op, problem);
  PlanReport report{.source = chosen.source, .why = chosen.why};
  FSA_ASSIGN_OR_RETURN(Chain chain, bind(op, problem, chosen.choice, report));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::make_shared<const SelectedAttentionPlan::Impl>(std::move(chain), std::move(report));
}

Result<Engine> Engine::create(std::string_view name, const EngineOptions& options) {
  FSA_ASSIGN_OR_RETURN(std::shared_ptr<const Device> device, open_device(name, {.num_threads = options.num_threads}));
  FSA_ASSIGN_OR_RETURN(std::shared_ptr<const KernelSource> source, KernelSource::create(options));
  auto choices = std::make_unique<ChoiceSource>(device, source, options);
  auto library = std::make_unique<KernelLibrary>(device, source);
  return Engine(std::make_shared<Impl>(std::string(name), options, std::move(library), std::move(choices)));
}

Engine::Engine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Result<SelectedAttentionPlan> Engine::plan(const SelectedAttentionProblem& problem) const {
  FSA_ASSIGN_OR_RETURN(const Json json, to_problem_json(problem));
  FSA_ASSIGN_OR_RETURN(auto impl, impl_->plan(json));
  return SelectedAttentionPlan(std::move(impl));
}

std::string_view Engine::device() const { return impl_->device_name(); }
std::string_view Engine::device_name() const { return impl_->device()->name(); }
std::string_view Engine::target() const { return impl_->target().to_string(); }

}  // namespace fsa
