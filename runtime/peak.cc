#include "runtime/peak.h"

#include <algorithm>
#include <limits>

#include "templates/families.h"

namespace fsa {
namespace {

constexpr int kRuns = 25;

/// The fastest of several runs: a peak is what the machine can do, and whatever else it does meanwhile only takes from that.
Result<double> best_seconds(const Device& device, const Device::Enqueue& work) {
  FSA_ASSIGN_OR_RETURN(const auto timer, device.make_timer(work));
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRuns; ++i) {
    FSA_ASSIGN_OR_RETURN(const double seconds, timer->run());
    best = std::min(best, seconds);
  }
  return best;
}

}  // namespace

Result<Peak> measure_peak(const Engine::Impl& engine, const std::string& math) {
  const Family* family = find_family("multiply_add_peak");
  const Kernel* kernel = family ? family->kernel(engine.target().backend) : nullptr;
  if (!kernel)
    return make_error(ErrorKind::kUnsupported, {.given = "a measured peak of " + engine.target().to_string(), .supported = "CPUs"});
  const Json problem{{"math", math}};
  FSA_RETURN_IF_ERROR(kernel->check(problem, engine.target()));
  const ChainStep step(kernel, problem, kernel->default_config(problem, engine.target()));
  KernelCounts counts;
  FSA_ASSIGN_OR_RETURN(auto module, engine.library().load(step, counts));
  FSA_ASSIGN_OR_RETURN(const Chain chain, Chain::bind(engine.device(), std::span(&step, 1), {std::move(module)}, {}));
  FSA_ASSIGN_OR_RETURN(const auto scratch, engine.device()->allocate(chain.workspace_bytes()));
  const auto work = [&](void* stream) { return chain.run({}, {scratch->data(), scratch->size()}, stream); };
  FSA_ASSIGN_OR_RETURN(const double seconds, best_seconds(*engine.device(), work));
  return Peak{kernel->work(problem).flops / seconds, math == "bf16_dot" ? "bf16 dot product" : "fp32 multiply-add"};
}

}  // namespace fsa
