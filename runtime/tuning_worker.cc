// Owns the worker side of tuning: a process that opens the device on its own and answers a parent's requests.
#include <memory>

#include "runtime/local_evaluator.h"
#include "runtime/tuning.h"
#include "runtime/tuning_session.h"
#include "tuner/evaluator_handler.h"
#include "tuner/worker_protocol.h"

namespace fsa {
namespace {

Result<std::unique_ptr<tuner::Evaluator>> make_evaluator(const Json& session) {
  FSA_ASSIGN_OR_RETURN(const TuningSession decoded, TuningSession::from_json(session));
  FSA_ASSIGN_OR_RETURN(const Engine engine, Engine::create(decoded.device, decoded.options));
  FSA_ASSIGN_OR_RETURN(const Operator* op, find_operator(decoded.op));
  const reference::InputPattern pattern{.seed = decoded.seed, .overlap = decoded.overlap};
  return std::unique_ptr<tuner::Evaluator>(std::make_unique<LocalEvaluator>(engine.impl(), *op, decoded.problem, pattern));
}

}  // namespace

Result<void> run_tuning_worker() { return tuner::worker_main(tuner::evaluator_handler(make_evaluator)); }

}  // namespace fsa
