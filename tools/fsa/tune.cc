// fsa tune: finds the fastest configurations for shapes on a device, keeps them in the tuning cache, and says what was won.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "runtime/tuning.h"
#include "tools/fsa/command.h"
#include "tools/fsa/interrupt.h"
#include "tools/fsa/shape_flags.h"
#include "tools/fsa/table.h"
#include "tools/fsa/units.h"
#include "tuner/progress_text.h"

namespace fsa::cli {
namespace {

struct TuneFlags {
  ShapeFlags shape;
  std::string device = "cpu";
  double max_seconds = 120;
  double candidate_seconds = 60;
  std::size_t max_candidates = 400;
  std::uint64_t seed = 1;
  double overlap = 0;
  std::string log;
  bool no_save = false;
  bool no_isolation = false;
};

/// One tuned shape.
struct Row {
  std::string label;
  TuneOutcome outcome;

  const tuner::TuningResult& result() const { return outcome.result; }
  double seconds() const { return result().winner_seconds.median; }
  double flops_per_second() const { return seconds() > 0 ? outcome.flops / seconds() : 0; }
  /// Fraction of the device's peak; 0 where that is not known.
  double of_peak() const { return outcome.peak_flops > 0 ? flops_per_second() / outcome.peak_flops : 0; }
  double speedup() const { return result().over_default.median > 0 ? 1 / result().over_default.median : 1; }
};

tuner::ProgressSink progress_sink() {
  winsize window{};
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const int width = terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 20 ? window.ws_col : 80;
  auto text = std::make_shared<tuner::ProgressText>(terminal, width);
  return [text](const tuner::Progress& progress) {
    std::fputs(text->update(progress).c_str(), stderr);
    std::fflush(stderr);
  };
}

TuneOptions tune_options(const TuneFlags& flags, const Invocation& invocation, std::stop_token stop) {
  TuneOptions options;
  options.search.max_seconds = flags.max_seconds;
  options.search.max_candidates = flags.max_candidates;
  options.search.seed = flags.seed;
  options.overlap = flags.overlap;
  if (!flags.no_isolation) options.worker_command = {invocation.program, "worker"};
  options.candidate_seconds = flags.candidate_seconds;
  options.log_path = flags.log;
  options.keep = !flags.no_save;
  if (!invocation.flags.quiet) options.progress = progress_sink();
  options.stop = std::move(stop);
  return options;
}

std::string percent(double fraction) { return fraction > 0 ? fmt::format("{:.0f} %", 100 * fraction) : "-"; }

std::string table_text(const std::vector<Row>& rows) {
  Table table({"shape", "variant", "time", "default", "speedup", "GFLOP/s", "of peak"}, {0, 1});
  for (const Row& row : rows)
    table.add({row.label, row.outcome.choice.variant, format_seconds(row.seconds()),
               row.result().default_seconds ? format_seconds(row.result().default_seconds->median) : "-",
               fmt::format("{:.2f}x", row.speedup()), fmt::format("{:.0f}", row.flops_per_second() / 1e9), percent(row.of_peak())});
  return table.to_string();
}

std::string details_text(const Row& row) {
  const tuner::Counts& c = row.result().counts;
  std::string text = fmt::format("\n{}\n  {}\n  {}\n", row.label, row.result().winner->to_string(), row.result().why);
  text += fmt::format("  {} tried, {} timed, {} too slow early, {} failed, {} wrong; {} pruned before compiling, {} after; {}\n", c.tried,
                      c.measured, c.stopped_early, c.failed, c.wrong, c.pruned_by_model, c.pruned_by_compiler,
                      format_seconds(row.result().elapsed_seconds));
  if (row.of_peak() > 0)
    text += fmt::format("  peak: {:.0f} GFLOP/s {}, measured on this machine\n", row.outcome.peak_flops / 1e9, row.outcome.peak_name);
  if (row.result().partial) text += fmt::format("  cut short by {}\n", row.result().stopped_by);
  return text;
}

Json row_json(const Row& row) {
  const tuner::TuningResult& r = row.result();
  Json json{{"shape", row.label},
            {"variant", row.outcome.choice.variant},
            {"configs", row.outcome.choice.configs},
            {"seconds", r.winner_seconds.median}};
  json["default_seconds"] = r.default_seconds ? Json(r.default_seconds->median) : Json(nullptr);
  json["speedup"] = row.speedup();
  json["gflops"] = row.flops_per_second() / 1e9;
  json["peak_gflops"] = row.outcome.peak_flops > 0 ? Json(row.outcome.peak_flops / 1e9) : Json(nullptr);
  json["peak_name"] = row.outcome.peak_name;
  json["fraction_of_peak"] = row.of_peak() > 0 ? Json(row.of_peak()) : Json(nullptr);
  json["winner_is_default"] = r.winner_is_default;
  json["kept"] = row.outcome.kept;
  json["search"] = tuner::to_json(r);
  return json;
}

Outcome report(const Engine& engine, const std::vector<Row>& rows, bool interrupted) {
  Outcome outcome{
      {{"device", engine.device_name()}, {"target", engine.target()}, {"results", Json::array()}}, "", interrupted ? kInterrupted : kOk};
  outcome.text = fmt::format("{} ({})\n\n{}", engine.device_name(), engine.target(), table_text(rows));
  for (const Row& row : rows) {
    outcome.text += details_text(row);
    outcome.json["results"].push_back(row_json(row));
  }
  return outcome;
}

Result<Outcome> run_tune(const Invocation& invocation, const TuneFlags& flags) {
  FSA_ASSIGN_OR_RETURN(const auto problems, flags.shape.problems());
  FSA_ASSIGN_OR_RETURN(const EngineOptions engine_options, invocation.flags.compiling_options());
  const Interrupt interrupt;
  FSA_ASSIGN_OR_RETURN(const Engine engine, Engine::create(flags.device, engine_options));
  std::vector<Row> rows;
  for (const NamedProblem& named : problems) {
    if (interrupt.requested()) break;
    if (!invocation.flags.quiet) fmt::print(stderr, "tuning {} on {}\n", named.label, engine.device_name());
    auto outcome = tune(engine, *named.op, named.problem, tune_options(flags, invocation, interrupt.token()));
    // What earlier shapes gave is kept and shown; without any, the error is all there is to say.
    if (!outcome && !(interrupt.requested() && !rows.empty())) return outcome.error();
    if (outcome) rows.push_back({named.label, std::move(outcome).value()});
  }
  return report(engine, rows, interrupt.requested());
}

}  // namespace

void add_tune(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<TuneFlags>();
  CLI::App* command =
      add_command(app, invocation, "tune", "Find the fastest configurations for shapes on a device and keep them",
                  {{"A model at two context lengths on the first GPU", "fsa tune --device cuda:0 --preset llama3-8b --seqlen 8k,32k"},
                   {"The sizes of an input file on the CPU", "fsa tune --device cpu --input in.safetensors"},
                   {"Any other shape, half a minute", "fsa tune --heads-q 12 --heads-kv 4 --head-dim 96 --seqlen 4k --max-seconds 30"}});
  flags->shape.add_to(*command);
  command->add_option("--input", flags->shape.input, "Take the sizes of this input file of fsa run");
  command->add_option("--device", flags->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--max-seconds", flags->max_seconds, "Time for each shape, about")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--max-candidates", flags->max_candidates, "Configurations to try for each shape at most")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--candidate-seconds", flags->candidate_seconds, "A candidate that hangs for so long is given up")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", flags->seed, "Of inputs and sampling")->capture_default_str();
  command
      ->add_option("--overlap", flags->overlap,
                   "Chance that a token of the inputs selects a block of the token before again (selected); the winner is kept for the shape")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--log", flags->log, "Record every compile and timing in this file (JSON Lines); what it holds is not done again");
  command->add_flag("--no-save", flags->no_save, "Leave the tuning cache as it is");
  command->add_flag("--no-isolation", flags->no_isolation, "Run candidates in this process, for debuggers: one that crashes ends the run");
  command->callback([&invocation, flags] { invocation.action = [&invocation, flags] { return run_tune(invocation, *flags); }; });
}

}  // namespace fsa::cli
