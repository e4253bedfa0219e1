// Owns the tuning part of the C interface.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stop_token>
#include <thread>

#include "runtime/c_api/c_handles.h"
#include "runtime/c_api/c_struct.h"
#include "runtime/tuning.h"

namespace fsa::c_api {
namespace {

const char* name_of(tuner::Step step) {
  switch (step) {
    case tuner::Step::kCompile:
      return "compile";
    case tuner::Step::kMeasure:
      return "measure";
    case tuner::Step::kVerify:
      return "verify";
    case tuner::Step::kFinished:
      return "finished";
  }
  return "";
}

tuner::ProgressSink progress_sink(const fsa_tune_options& c, std::stop_source stop) {
  if (!c.progress) return {};
  return [progress = c.progress, context = c.progress_context, stop](const tuner::Progress& p) mutable {
    const fsa_progress event{.size = sizeof event,
                             .step = name_of(p.step),
                             .variant = p.variant.c_str(),
                             .family = p.family.c_str(),
                             .note = p.note.c_str(),
                             .fraction = p.fraction(),
                             .elapsed_seconds = p.elapsed_seconds,
                             .best_seconds = p.best_seconds,
                             .default_seconds = p.default_seconds};
    if (progress(context, &event) != 0) stop.request_stop();
  };
}

Result<void> check(const fsa_tune_options& c) {
  const auto refuse = [](std::string_view name, double value) {
    return make_error(ErrorKind::kInvalidArgument,
                      {.given = fmt::format("{} is {}", name, value), .supported = "positive seconds; 0 for the default"});
  };
  if (!(c.max_seconds >= 0)) return refuse("max_seconds", c.max_seconds);
  if (!(c.candidate_seconds >= 0)) return refuse("candidate_seconds", c.candidate_seconds);
  return {};
}

TuneOptions tune_options(const fsa_tune_options& c, const std::stop_source& stop) {
  TuneOptions options;
  options.search.max_seconds = c.max_seconds > 0 ? c.max_seconds : 120;
  if (c.max_candidates) options.search.max_candidates = c.max_candidates;
  if (c.seed) options.search.seed = c.seed;
  if (c.candidate_seconds > 0) options.candidate_seconds = c.candidate_seconds;
  if (c.log_path) options.log_path = c.log_path;
  for (const char* const* word = c.worker_command; word && *word; ++word) options.worker_command.emplace_back(*word);
  options.keep = !c.no_save;
  options.progress = progress_sink(c, stop);
  options.stop = stop.get_token();
  return options;
}

/// Turns the caller's flag, which may be set from a signal handler, into a stop request.
std::jthread watch(const volatile std::int32_t* flag, std::stop_source stop) {
  if (!flag) return {};
  return std::jthread([flag, stop](const std::stop_token& ended) mutable {
    for (; !ended.stop_requested() && !stop.stop_requested(); std::this_thread::sleep_for(std::chrono::milliseconds(50)))
      if (*flag) stop.request_stop();
  });
}

std::string result_json(const TuneOutcome& outcome) {
  const tuner::TuningResult& r = outcome.result;
  Json json{{"variant", outcome.choice.variant}, {"configs", outcome.choice.configs}, {"seconds", r.winner_seconds.median}};
  json["default_seconds"] = r.default_seconds ? Json(r.default_seconds->median) : Json(nullptr);
  json["speedup"] = r.over_default.median > 0 ? 1 / r.over_default.median : 1;
  json["winner_is_default"] = r.winner_is_default;
  json["why"] = r.why;
  json["kept"] = outcome.kept;
  json["partial"] = r.partial;
  json["stopped_by"] = r.stopped_by;
  json["elapsed_seconds"] = r.elapsed_seconds;
  json["flops"] = outcome.flops;
  json["bytes"] = outcome.bytes;
  json["counts"] = tuner::to_json(r.counts);
  return json.dump();
}

char* copy_of(const std::string& text) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (!copy) throw std::bad_alloc();
  return static_cast<char*>(std::memcpy(copy, text.c_str(), text.size() + 1));
}

}  // namespace
}  // namespace fsa::c_api

using namespace fsa::c_api;  // NOLINT(google-build-using-namespace)

fsa_status fsa_tune(const fsa_engine* engine, const char* op, const char* problem_json, const fsa_tune_options* given, char** result) {
  return guarded([&]() -> fsa::Result<void> {
    if (result) *result = nullptr;
    FSA_RETURN_IF_ERROR(check_handle(engine, "engine"));
    if (!op) return null_argument("op");
    if (!problem_json) return null_argument("problem_json");
    FSA_ASSIGN_OR_RETURN(const fsa_tune_options options, read_struct(given, "fsa_tune_options"));
    FSA_RETURN_IF_ERROR(check(options));
    FSA_ASSIGN_OR_RETURN(const fsa::Operator* known, fsa::find_operator(op));
    FSA_ASSIGN_OR_RETURN(const fsa::Json problem, fsa::parse_public_problem(*known, problem_json));
    const std::stop_source stop;
    const std::jthread watcher = watch(options.stop, stop);
    FSA_ASSIGN_OR_RETURN(const fsa::TuneOutcome outcome, fsa::tune(engine->engine, *known, problem, tune_options(options, stop)));
    if (result) *result = copy_of(result_json(outcome));
    return {};
  });
}

fsa_status fsa_run_tuning_worker(void) {
  return guarded([] { return fsa::run_tuning_worker(); });
}

void fsa_string_free(char* string) { std::free(string); }
