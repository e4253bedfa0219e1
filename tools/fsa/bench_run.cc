#include "tools/fsa/bench_run.h"

#include <algorithm>

#include "tuner/evaluator.h"
#include "tuner/statistics.h"

namespace fsa::cli {
namespace {

Choice choice_of(const PlanReport& report) {
  return {.variant = report.variant, .configs = Json::parse(report.configs_json, nullptr, false)};
}

Json config_of(const Choice& choice, const std::string& stage) {
  const auto it = choice.configs.find(stage);
  return it == choice.configs.end() ? Json::object() : *it;
}

}  // namespace

double Measured::median() const { return tuner::median(seconds); }
double Measured::fastest() const { return *std::ranges::min_element(seconds); }

/// A tuned choice of the variant that the user names is taken; what is known of other variants says nothing about it.
Result<BenchRun::PlanImpl> BenchRun::make_plan(const std::string& variant) const {
  if (variant.empty()) return engine_.plan(op_, problem_);
  FSA_RETURN_IF_ERROR(find_variant(op_, engine_.target().backend, variant));
  FSA_RETURN_IF_ERROR(op_.check(problem_, engine_.target()));
  if (engine_.choices().choose(op_, problem_).choice.variant == variant) return engine_.plan(op_, problem_);
  return engine_.plan(op_, problem_, Choice{.variant = variant});
}

Result<void> BenchRun::make_plans(const std::vector<std::string>& variants) {
  for (const std::string& variant : variants.empty() ? std::vector<std::string>{""} : variants) {
    FSA_ASSIGN_OR_RETURN(PlanImpl plan, make_plan(variant));
    FSA_ASSIGN_OR_RETURN(const ChainVariant* chosen, find_variant(op_, engine_.target().backend, plan->report().variant));
    const Roofline roofline = roofline_of(config_of(choice_of(plan->report()), chosen->main));
    results_.push_back({.plan = plan->report(), .measured = {op_.work(problem_), roofline, {}}, .steps = {}, .verdict = {}});
    plans_.push_back(std::move(plan));
  }
  return {};
}

Roofline BenchRun::roofline_of(const Json& config) {
  const std::string math = config.value("math", std::string("f32"));
  const auto [it, added] = rooflines_.try_emplace(math);
  if (added) it->second = device_roofline(engine_, math);
  return it->second;
}

Result<void> BenchRun::reserve(const reference::InputPattern& pattern) {
  std::size_t bytes = 1;
  for (const PlanImpl& plan : plans_) bytes = std::max(bytes, plan->chain().workspace_bytes());
  FSA_ASSIGN_OR_RETURN(inputs_, TuningInputs::create(*engine_.device(), op_, problem_, pattern));
  FSA_ASSIGN_OR_RETURN(workspace_, engine_.device()->allocate(bytes));
  return {};
}

template <class Enqueue>
Result<BenchRun::Timers> BenchRun::make_timers(const Enqueue& work) const {
  Timers timers;
  for (std::size_t set = 0; set < inputs_->sets(); ++set) {
    const auto enqueue = [work, tensors = inputs_->tensors(set)](void* stream) { return work(tensors, stream); };
    FSA_ASSIGN_OR_RETURN(auto timer, engine_.device()->make_timer(enqueue));
    FSA_RETURN_IF_ERROR(timer->run());
    timers.push_back(std::move(timer));
  }
  return timers;
}

Result<void> BenchRun::time_whole(int rounds) {
  std::vector<Timers> timers;
  for (const PlanImpl& plan : plans_) {
    const auto forward = [plan, memory = workspace()](const auto& tensors, void* stream) { return plan->forward(tensors, memory, stream); };
    FSA_ASSIGN_OR_RETURN(Timers whole, make_timers(forward));
    timers.push_back(std::move(whole));
  }
  std::vector<std::size_t> next(plans_.size(), 0);
  const auto run_once = [&](std::size_t i) { return timers[i][next[i]++ % timers[i].size()]->run(); };
  const auto samples = tuner::sample_interleaved(plans_.size(), {.rounds = rounds}, run_once, {});
  for (std::size_t i = 0; i < plans_.size(); ++i) {
    FSA_ASSIGN_OR_RETURN(results_[i].measured.seconds, samples[i]);
  }
  return {};
}

/// All sets hold the same values, so what the earlier steps made of one of them serves the timers of all.
Result<std::vector<double>> BenchRun::time_step(const Chain& chain, std::size_t step, int rounds) const {
  for (std::size_t i = 0; i < step; ++i) FSA_RETURN_IF_ERROR(chain.run_step(i, inputs_->tensors(0), workspace(), nullptr));
  FSA_RETURN_IF_ERROR(engine_.device()->synchronize());
  const auto alone = [&](const auto& tensors, void* stream) { return chain.run_step(step, tensors, workspace(), stream); };
  FSA_ASSIGN_OR_RETURN(const Timers timers, make_timers(alone));
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) {
    FSA_ASSIGN_OR_RETURN(const double time, timers[static_cast<std::size_t>(round) % timers.size()]->run());
    seconds.push_back(time);
  }
  return seconds;
}

Result<void> BenchRun::time_steps(std::size_t plan, int rounds) {
  // What the chain was bound from: its report names every config.
  FSA_ASSIGN_OR_RETURN(const auto steps, make_chain(op_, problem_, choice_of(results_[plan].plan), engine_.target()));
  const Chain& chain = plans_[plan]->chain();
  for (std::size_t i = 0; i < chain.num_steps(); ++i) {
    FSA_ASSIGN_OR_RETURN(auto seconds, time_step(chain, i, rounds));
    results_[plan].steps.push_back(
        {steps[i].stage, {steps[i].kernel->work(steps[i].problem), roofline_of(steps[i].config), std::move(seconds)}});
  }
  return {};
}

Result<void> BenchRun::check(std::size_t plan) {
  FSA_RETURN_IF_ERROR(inputs_->poison_outputs());
  FSA_RETURN_IF_ERROR(plans_[plan]->forward(inputs_->tensors(0), workspace(), nullptr));
  FSA_RETURN_IF_ERROR(engine_.device()->synchronize());
  FSA_ASSIGN_OR_RETURN(results_[plan].verdict, inputs_->compare_outputs());
  return {};
}

Result<std::vector<BenchResult>> BenchRun::measure(const Engine::Impl& engine, const Operator& op, const Json& problem,
                                                   const BenchOptions& options) {
  BenchRun run(engine, op, problem);
  FSA_RETURN_IF_ERROR(run.make_plans(options.variants));
  FSA_RETURN_IF_ERROR(run.reserve(options.inputs));
  FSA_RETURN_IF_ERROR(run.time_whole(options.rounds));
  for (std::size_t i = 0; i < run.plans_.size(); ++i) {
    if (options.each) FSA_RETURN_IF_ERROR(run.time_steps(i, options.rounds));
    if (options.check) FSA_RETURN_IF_ERROR(run.check(i));
  }
  return std::move(run.results_);
}

}  // namespace fsa::cli
