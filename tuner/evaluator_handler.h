#pragma once
// Owns the worker's side of the protocol: requests in, calls of an Evaluator, replies out.
#include <functional>
#include <memory>

#include "tuner/evaluator.h"
#include "tuner/worker_protocol.h"

namespace fsa::tuner {

/// Makes the evaluator that a worker serves, from the session that "init" carries.
using EvaluatorFactory = std::function<Result<std::unique_ptr<Evaluator>>(const Json& session)>;

/// The handler for worker_main(). A request other than "init" before it is kInvalidArgument.
WorkerHandler evaluator_handler(EvaluatorFactory factory);

}  // namespace fsa::tuner
