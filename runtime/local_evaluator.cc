#include "runtime/local_evaluator.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

namespace fsa {
namespace {

Choice as_choice(const tuner::Candidate& candidate) { return {.variant = candidate.variant, .configs = candidate.configs}; }

void merge(CompileReport& into, const CompileReport& from) {
  into.seconds += from.seconds;
  into.registers = std::max(into.registers, from.registers);
  into.spill_bytes += from.spill_bytes;
  into.stack_bytes = std::max(into.stack_bytes, from.stack_bytes);
  into.static_smem_bytes = std::max(into.static_smem_bytes, from.static_smem_bytes);
  into.warnings.insert(into.warnings.end(), from.warnings.begin(), from.warnings.end());
}

/// Hands finished indices from worker threads to the thread that reports them.
class Finished {
 public:
  void push(std::size_t index) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(index);
    ready_.notify_one();
  }
  std::size_t pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return !queue_.empty(); });
    const std::size_t index = queue_.front();
    queue_.pop_front();
    return index;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::size_t> queue_;
};

}  // namespace

Result<std::vector<ChainStep>> LocalEvaluator::steps(const tuner::Candidate& candidate) const {
  return make_chain(op_, problem_, as_choice(candidate), engine_->target());
}

Result<CompileReport> LocalEvaluator::compile(const tuner::Candidate& candidate, std::stop_token stop) const {
  FSA_ASSIGN_OR_RETURN(const auto chain, steps(candidate));
  CompileReport worst;
  for (const ChainStep& step : chain) {
    const Specialization specialization = step.kernel->specialize(step.problem, step.config, engine_->target());
    FSA_ASSIGN_OR_RETURN(const KernelBinary binary, engine_->library().source().get(specialization, stop));
    merge(worst, binary.report);
  }
  return worst;
}

std::vector<Result<CompileReport>> LocalEvaluator::prepare(std::span<const tuner::Candidate> candidates, const OnPrepared& on_prepared,
                                                           std::stop_token stop) {
  std::vector<Result<CompileReport>> reports(candidates.size(), CompileReport{});
  std::atomic<std::size_t> next{0};
  Finished finished;
  const auto work = [&] {
    for (std::size_t i = next++; i < candidates.size(); i = next++) {
      reports[i] = compile(candidates[i], stop);
      finished.push(i);
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < std::min<std::size_t>(candidates.size(), std::max(1u, std::thread::hardware_concurrency())); ++t) threads.emplace_back(work);
  for (std::size_t done = 0; done < candidates.size(); ++done) {
    const std::size_t index = finished.pop();
    if (on_prepared) on_prepared(index, reports[index]);
  }
  return reports;
}

Result<LocalEvaluator::Plan> LocalEvaluator::plan(const tuner::Candidate& candidate) const { return engine_->plan(op_, problem_, as_choice(candidate)); }

Result<void> LocalEvaluator::reserve(std::size_t bytes) {
  if (!inputs_) {
    FSA_ASSIGN_OR_RETURN(inputs_, TuningInputs::create(*engine_->device(), op_, problem_, pattern_));
  }
  if (workspace_ && workspace_->size() >= bytes) return {};
  workspace_.reset();
  FSA_ASSIGN_OR_RETURN(workspace_, engine_->device()->allocate(std::max<std::size_t>(bytes, 1)));
  return {};
}

Result<LocalEvaluator::Ready> LocalEvaluator::make_ready(const Plan& plan) {
  Ready ready{.plan = plan, .timers = {}};
  const Workspace workspace{workspace_->data(), workspace_->size()};
  for (std::size_t set = 0; set < inputs_->sets(); ++set) {
    const auto enqueue = [plan, workspace, tensors = inputs_->tensors(set)](void* stream) { return plan->forward(tensors, workspace, stream); };
    FSA_ASSIGN_OR_RETURN(auto timer, engine_->device()->make_timer(enqueue));
    FSA_ASSIGN_OR_RETURN(const double warm_up, timer->run());
    static_cast<void>(warm_up);
    ready.timers.push_back(std::move(timer));
  }
  return ready;
}

std::vector<tuner::Samples> LocalEvaluator::measure(std::span<const tuner::Candidate> candidates, const tuner::MeasureOptions& options,
                                                    std::stop_token stop) {
  // All plans first, so that the workspace can be the largest any of them needs before timers capture its address.
  std::vector<Result<Plan>> plans;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (options.on_run) options.on_run(i);
    plans.push_back(plan(candidates[i]));
    if (plans.back()) bytes = std::max(bytes, plans.back().value()->chain().workspace_bytes());
  }
  std::vector<Result<Ready>> ready;
  const Result<void> reserved = reserve(bytes);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (options.on_run) options.on_run(i);
    ready.push_back(!reserved ? Result<Ready>(reserved.error()) : !plans[i] ? Result<Ready>(plans[i].error()) : make_ready(*plans[i]));
  }
  const auto run_once = [&](std::size_t i) -> Result<double> {
    if (!ready[i]) return ready[i].error();
    Ready& r = *ready[i];
    return r.timers[r.next++ % r.timers.size()]->run();
  };
  auto samples = tuner::sample_interleaved(candidates.size(), options, run_once, stop);
  ready.clear();
  plans.clear();
  forget(candidates);
  return samples;
}

void LocalEvaluator::forget(std::span<const tuner::Candidate> candidates) const {
  for (const tuner::Candidate& candidate : candidates) {
    const auto chain = steps(candidate);
    if (!chain) continue;
    for (const ChainStep& step : *chain) engine_->library().forget(step);
  }
}

Result<tuner::Verdict> LocalEvaluator::verify(const tuner::Candidate& candidate, std::stop_token) {
  FSA_ASSIGN_OR_RETURN(const Plan checked, plan(candidate));
  FSA_RETURN_IF_ERROR(reserve(checked->chain().workspace_bytes()));
  FSA_RETURN_IF_ERROR(inputs_->poison_outputs());
  FSA_RETURN_IF_ERROR(checked->forward(inputs_->tensors(0), {workspace_->data(), workspace_->size()}, nullptr));
  FSA_RETURN_IF_ERROR(engine_->device()->synchronize());
  return inputs_->compare_outputs();
}

}  // namespace fsa
