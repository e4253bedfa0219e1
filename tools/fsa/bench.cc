// fsa bench: how long an operator takes, whole and kernel by kernel, how near that is to what the device could do, and beside others.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "fsa/engine.h"
#include "tools/fsa/bench_run.h"
#include "tools/fsa/command.h"
#include "tools/fsa/shape_flags.h"
#include "tools/fsa/table.h"
#include "tools/fsa/torch_peer.h"
#include "tools/fsa/units.h"

namespace fsa::cli {
namespace {

/// The parts of a flag that may be left out.
std::vector<std::string> parts_of(const std::string& text) { return text.empty() ? std::vector<std::string>{} : split_commas(text); }

struct BenchFlags {
  ShapeFlags shape;
  std::string device = "cpu";
  std::string against;   // comma separated
  std::string variants;  // comma separated
  std::string torch_script;
  BenchOptions options;

  bool compares_with(std::string_view peer) const { return std::ranges::count(parts_of(against), peer) > 0; }
};

/// One shape, all variants of it.
struct Row {
  std::string label, op;
  std::vector<BenchResult> results;
  Json torch;  // null unless asked for
};

std::string percent(double fraction) { return fraction > 0 ? fmt::format("{:.1f} %", 100 * fraction) : "-"; }

std::vector<std::string> speed_cells(const Measured& m) {
  return {format_seconds(m.median()), format_seconds(m.fastest()), fmt::format("{:.3g}", m.flops_per_second() / 1e12),
          fmt::format("{:.3g}", m.bytes_per_second() / 1e9), percent(m.of_roofline())};
}

std::string verdict_text(const tuner::Verdict& v) { return v.right() ? fmt::format("{:.1e} of {:.1e}", v.error, v.tolerance) : "WRONG"; }

std::string table_text(const std::vector<Row>& rows, bool checked) {
  std::vector<std::string> header{"shape", "variant", "choice", "median", "fastest", "TFLOP/s", "GB/s", "of roofline"};
  if (checked) header.push_back("error, of allowed");
  Table table(header, {0, 1, 2});
  for (const Row& row : rows)
    for (const BenchResult& r : row.results) {
      std::vector<std::string> cells{row.label, r.plan.variant, r.plan.source};
      for (std::string& cell : speed_cells(r.measured)) cells.push_back(std::move(cell));
      if (checked) cells.push_back(r.verdict ? verdict_text(*r.verdict) : "-");
      table.add(std::move(cells));
    }
  return table.to_string();
}

std::string steps_text(const std::string& label, const BenchResult& r) {
  Table table({"kernel", "median", "fastest", "TFLOP/s", "GB/s", "of roofline", "of the whole"});
  for (const BenchStep& step : r.steps) {
    std::vector<std::string> cells{step.stage};
    for (std::string& cell : speed_cells(step.measured)) cells.push_back(std::move(cell));
    cells.push_back(percent(step.measured.median() / r.measured.median()));
    table.add(std::move(cells));
  }
  return fmt::format("\n{}, {}: each kernel alone, on what those before it left\n{}", label, r.plan.variant, table.to_string());
}

std::string torch_text(const std::string& label, const Json& torch) {
  Table table({"sample", "median", "fastest"});
  std::string failures;
  for (const Json& sample : torch.at("samples"))
    for (const Json& result : sample.at("results")) {
      const bool timed = result.contains("median_ms") && result["median_ms"].is_number();
      const auto cell = [&](const char* field) { return timed ? format_seconds(result.at(field).get<double>() * 1e-3) : std::string("-"); };
      table.add({sample.at("label").get<std::string>(), cell("median_ms"), cell("min_ms")});
      if (!timed)
        failures += fmt::format("  {}: {}\n", sample.at("label").get<std::string>(), result.value("error", std::string("not measured")));
    }
  return fmt::format("\n{} beside PyTorch {}, in one process\n{}{}", label, torch.value("torch", std::string("?")), table.to_string(),
                     failures);
}

std::string roofline_text(const std::vector<Row>& rows) {
  std::vector<std::string> bases;
  for (const Row& row : rows)
    for (const BenchResult& r : row.results) {
      bases.push_back(r.measured.roofline.basis);
      for (const BenchStep& step : r.steps) bases.push_back(step.measured.roofline.basis);
    }
  std::string text;
  std::ranges::sort(bases);
  const auto repeated = std::ranges::unique(bases);
  bases.erase(repeated.begin(), repeated.end());
  for (const std::string& basis : bases)
    if (!basis.empty()) text += fmt::format("\nroofline: {}\n", basis);
  return text;
}

Json measured_json(const Measured& m) {
  Json json{{"seconds", {{"median", m.median()}, {"fastest", m.fastest()}, {"samples", m.seconds}}},
            {"flops", m.work.flops},
            {"bytes", m.work.bytes},
            {"tflops", m.flops_per_second() / 1e12},
            {"gbytes_per_second", m.bytes_per_second() / 1e9}};
  const auto known = [](double value) { return value > 0 ? Json(value) : Json(nullptr); };
  json["roofline"] = {{"peak_flops", known(m.roofline.flops)},
                      {"bytes_per_second", known(m.roofline.bytes_per_second)},
                      {"basis", m.roofline.basis},
                      {"fraction", known(m.of_roofline())}};
  return json;
}

Json result_json(const Row& row, const BenchResult& r) {
  Json json = measured_json(r.measured);
  json.update({{"shape", row.label}, {"op", row.op}, {"variant", r.plan.variant}, {"source", r.plan.source}, {"why", r.plan.why}});
  json["configs"] = Json::parse(r.plan.configs_json, nullptr, false);
  if (r.verdict)  // JSON has no infinity: what an output that is wrong all over has for an error
    json["check"] = {{"passed", r.verdict->right()},
                     {"error", r.verdict->right() ? Json(r.verdict->error) : Json(nullptr)},
                     {"tolerance", r.verdict->tolerance}};
  for (const BenchStep& step : r.steps) {
    Json part = measured_json(step.measured);
    part["stage"] = step.stage;
    part["of_whole"] = step.measured.median() / r.measured.median();
    json["steps"].push_back(std::move(part));
  }
  return json;
}

Outcome report(const Engine& engine, const BenchFlags& flags, const std::vector<Row>& rows) {
  Outcome outcome{
      {{"device", engine.device_name()}, {"target", engine.target()}, {"rounds", flags.options.rounds}, {"results", Json::array()}},
      "",
      kOk};
  outcome.text = fmt::format("{} ({}), {} rounds\n\n{}", engine.device_name(), engine.target(), flags.options.rounds,
                             table_text(rows, flags.options.check));
  for (const Row& row : rows) {
    for (const BenchResult& r : row.results) {
      if (!r.steps.empty()) outcome.text += steps_text(row.label, r);
      outcome.json["results"].push_back(result_json(row, r));
      if (r.verdict && !r.verdict->right()) outcome.exit_code = kCheckFailed;
    }
    if (row.torch.is_null()) continue;
    outcome.text += torch_text(row.label, row.torch);
    outcome.json["torch"].push_back({{"shape", row.label}, {"measured", row.torch}});
  }
  outcome.text += roofline_text(rows);
  return outcome;
}

Result<void> check_peers(const BenchFlags& flags) {
  for (const std::string& peer : parts_of(flags.against))
    if (peer != "oracle" && peer != "torch")
      return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("--against {}", peer), .supported = "oracle, torch"});
  return {};
}

/// What --against torch needs, found before minutes are spent.
Result<TorchRequest> torch_request(const Invocation& invocation, const BenchFlags& flags, const std::vector<NamedProblem>& problems) {
  TorchRequest request{.script = flags.torch_script, .device = flags.device, .rounds = flags.options.rounds};
  if (!flags.compares_with("torch")) return request;
  if (request.script.empty()) {
    FSA_ASSIGN_OR_RETURN(request.script, find_torch_script(invocation.program));
  }
  for (const NamedProblem& named : problems) FSA_RETURN_IF_ERROR(torch_command(request, *named.op, named.problem));
  return request;
}

Result<Outcome> run_bench(const Invocation& invocation, const BenchFlags& given) {
  BenchFlags flags = given;
  FSA_RETURN_IF_ERROR(check_peers(flags));
  flags.options.check = flags.compares_with("oracle");
  flags.options.variants = parts_of(flags.variants);
  FSA_ASSIGN_OR_RETURN(const auto problems, flags.shape.problems());
  FSA_ASSIGN_OR_RETURN(const TorchRequest torch, torch_request(invocation, flags, problems));
  FSA_ASSIGN_OR_RETURN(const EngineOptions engine_options, invocation.flags.compiling_options());
  FSA_ASSIGN_OR_RETURN(const Engine engine, Engine::create(flags.device, engine_options));
  std::vector<Row> rows;
  for (const NamedProblem& named : problems) {
    if (!invocation.flags.quiet) fmt::print(stderr, "timing {} on {}\n", named.label, engine.device_name());
    Row row{named.label, std::string(named.op->name()), {}, nullptr};
    FSA_ASSIGN_OR_RETURN(row.results, BenchRun::measure(*engine.impl(), *named.op, named.problem, flags.options));
    if (flags.compares_with("torch")) {
      FSA_ASSIGN_OR_RETURN(row.torch, measure_beside_torch(torch, *named.op, named.problem));
    }
    rows.push_back(std::move(row));
  }
  return report(engine, flags, rows);
}

}  // namespace

void add_bench(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = add_command(
      app, invocation, "bench", "Time an operator on random inputs, and say how near it is to what the device could do",
      {{"The whole operator at two lengths, with every kernel of it",
        "fsa bench --op nsa --device cuda:0 --preset llama3-8b --seqlen 8k,32k --each"},
       {"Two loop orders beside each other, and checked",
        "fsa bench --heads-q 16 --heads-kv 4 --variant block_major,query_major --against oracle"},
       {"Beside dense attention by PyTorch", "fsa bench --device cuda:0 --heads-q 16 --heads-kv 4 --seqlen 32k --against torch"}});
  flags->shape.add_to(*command);
  command->add_option("--input", flags->shape.input, "Take the sizes of this input file of fsa run");
  command->add_option("--device", flags->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--rounds", flags->options.rounds, "Samples of each time")->capture_default_str()->check(CLI::Range(1, 1000000));
  command->add_option("--variant", flags->variants, "Loop orders to time, comma separated (default: the best known one)");
  command->add_flag("--each", flags->options.each, "Time every kernel of the chain alone, too");
  command->add_option(
      "--against", flags->against,
      "oracle: compare with the float64 oracle, a wrong result ends with 5; torch: time PyTorch's dense attention beside it");
  command->add_option("--torch-script", flags->torch_script, "compare_torch.py (default: tools/bench/ of the checkout)");
  ShapeFlags::add_pattern_to(*command, flags->options.inputs);
  command->callback([&invocation, flags] { invocation.action = [&invocation, flags] { return run_bench(invocation, *flags); }; });
}

}  // namespace fsa::cli
