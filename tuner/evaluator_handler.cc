#include "tuner/evaluator_handler.h"

#include <fmt/format.h>

#include "tuner/json_values.h"

namespace fsa::tuner {

namespace {

Result<Candidate> candidate_of(const Json& params) { return candidate_from_json(params.value("candidate", Json())); }

Result<Json> compile(Evaluator& evaluator, const Json& params) {
  FSA_ASSIGN_OR_RETURN(const Candidate candidate, candidate_of(params));
  FSA_ASSIGN_OR_RETURN(const CompileReport report, evaluator.prepare({&candidate, 1}, {}, {}).front());
  return to_json(report);
}

Result<Json> measure(Evaluator& evaluator, const Json& params, const Beat& beat) {
  FSA_ASSIGN_OR_RETURN(const std::vector<Candidate> candidates, candidates_from_json(params.value("candidates", Json())));
  MeasureOptions options{.on_run = beat};
  if (const auto it = params.find("rounds"); it != params.end() && it->is_number_integer()) options.rounds = it->get<int>();
  if (const auto it = params.find("limit_seconds"); it != params.end() && it->is_number()) options.limit_seconds = it->get<double>();
  Json list = Json::array();
  for (const Samples& samples : evaluator.measure(candidates, options, {})) list.push_back(to_json(samples));
  return Json{{"samples", std::move(list)}};
}

Result<Json> verify(Evaluator& evaluator, const Json& params) {
  FSA_ASSIGN_OR_RETURN(const Candidate candidate, candidate_of(params));
  FSA_ASSIGN_OR_RETURN(const Verdict verdict, evaluator.verify(candidate, {}));
  return to_json(verdict);
}

class EvaluatorHandler {
 public:
  explicit EvaluatorHandler(EvaluatorFactory factory) : factory_(std::move(factory)) {}

  Result<Json> operator()(std::string_view method, const Json& params, const Beat& beat) {
    if (!params.is_object()) return malformed("a request's params", params, "a JSON object");
    if (method == "init") return init(params);
    if (!evaluator_)
      return make_error(ErrorKind::kInvalidArgument,
                        {.given = fmt::format("'{}' came before 'init'", method), .supported = "'init' first"});
    if (method == "compile") return compile(*evaluator_, params);
    if (method == "measure") return measure(*evaluator_, params, beat);
    if (method == "verify") return verify(*evaluator_, params);
    return make_error(ErrorKind::kInvalidArgument,
                      {.given = fmt::format("the method is '{}'", method), .supported = "init, compile, measure, verify"});
  }

 private:
  Result<Json> init(const Json& session) {
    FSA_ASSIGN_OR_RETURN(evaluator_, factory_(session));
    return Json::object();
  }

  EvaluatorFactory factory_;
  std::unique_ptr<Evaluator> evaluator_;
};

}  // namespace

WorkerHandler evaluator_handler(EvaluatorFactory factory) {
  // std::function needs a copyable target; the copies share one evaluator.
  auto handler = std::make_shared<EvaluatorHandler>(std::move(factory));
  return [handler](std::string_view method, const Json& params, const Beat& beat) { return (*handler)(method, params, beat); };
}

}  // namespace fsa::tuner
