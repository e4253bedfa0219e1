// fsa run: runs an operator on an input file and writes its outputs; checks and times on request.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "codegen/family.h"
#include "fsa/engine.h"
#include "runtime/engine_impl.h"
#include "tools/fsa/command.h"
#include "tools/fsa/device_run.h"
#include "tools/fsa/units.h"

namespace fsa::cli {
namespace {

struct RunFlags {
  std::string op = "selected";
  std::string device = "cpu";
  std::string input;
  std::string output;
  bool check = false;
  int repeat = 0;
};

/// What a run found out, for both forms of the report.
struct RunResult {
  std::string device_name, target;
  PlanReport plan;
  std::vector<double> seconds;
  std::optional<OracleVerdict> check;
};

double median_of(std::vector<double> seconds) {
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

std::string kernel_counts(const PlanReport& r) {
  std::string text = fmt::format("{} compiled, {} from cache", r.compiled, r.from_cache);
  if (r.from_pack > 0) text += fmt::format(", {} from pack", r.from_pack);
  return text;
}

std::string check_text(const OracleVerdict& v) {
  const std::string rows = v.rows == v.all_rows ? fmt::format("all {} rows", v.rows) : fmt::format("{} of {} rows", v.rows, v.all_rows);
  return fmt::format("{}: {}; allowed {:.1e} (float64 oracle, {})", v.right ? "right" : "WRONG", v.text, v.tolerance, rows);
}

std::string to_text(const RunFlags& flags, const RunResult& r, bool wrote) {
  std::string text = fmt::format("device   {} ({})\n", r.device_name, r.target);
  text += fmt::format("plan     {} {}\n", r.plan.variant, r.plan.configs_json);
  text += fmt::format("         {}: {}\n", r.plan.source, r.plan.why);
  text += fmt::format("kernels  {}; plan ready in {}\n", kernel_counts(r.plan), format_seconds(r.plan.seconds));
  if (!r.seconds.empty())
    text += fmt::format("time     {} (median of {}, fastest {})\n", format_seconds(median_of(r.seconds)), r.seconds.size(),
                        format_seconds(*std::ranges::min_element(r.seconds)));
  if (r.check) text += fmt::format("check    {}\n", check_text(*r.check));
  text += fmt::format("output   {}\n", wrote ? flags.output : "not written, because the result is wrong");
  return text;
}

Json to_json(const RunFlags& flags, const RunResult& r, bool wrote) {
  Json json{{"device", r.device_name}, {"target", r.target}, {"variant", r.plan.variant}};
  json["configs"] = Json::parse(r.plan.configs_json, nullptr, false);
  json["source"] = r.plan.source;
  json["why"] = r.plan.why;
  json["kernels"] = {{"compiled", r.plan.compiled}, {"from_cache", r.plan.from_cache}, {"from_pack", r.plan.from_pack}};
  json["plan_seconds"] = r.plan.seconds;
  if (!r.seconds.empty()) json["seconds"] = {{"median", median_of(r.seconds)}, {"samples", r.seconds}};
  if (r.check) {
    json["check"] = r.check->measures;
    json["check"].update({{"passed", r.check->right}, {"tolerance", r.check->tolerance}, {"rows", r.check->rows}});
  }
  json["output"] = wrote ? Json(flags.output) : Json(nullptr);
  return json;
}

Result<Outcome> run_operator(const CommonFlags& common, const RunFlags& flags) {
  FSA_ASSIGN_OR_RETURN(const Operator* op, operator_by_short_name(flags.op));
  FSA_ASSIGN_OR_RETURN(const EngineOptions options, common.compiling_options());
  FSA_ASSIGN_OR_RETURN(const OperatorInput input, read_operator_input(*op, flags.input));
  FSA_ASSIGN_OR_RETURN(const Engine engine, Engine::create(flags.device, options));
  FSA_ASSIGN_OR_RETURN(auto impl, engine.impl()->plan(*op, input.problem));
  const Plan plan(std::move(impl));
  FSA_ASSIGN_OR_RETURN(DeviceRun run, DeviceRun::create(*engine.impl()->device(), plan, input));
  RunResult result{.device_name = std::string(engine.device_name()),
                   .target = std::string(engine.target()),
                   .plan = plan.report(),
                   .seconds = {},
                   .check = {}};
  FSA_ASSIGN_OR_RETURN(result.seconds, run.run(flags.repeat));
  FSA_ASSIGN_OR_RETURN(const std::vector<HostTensor> outputs, run.outputs());
  std::vector<TensorView> tensors;
  for (std::size_t i = 0; i < outputs.size(); ++i) tensors.push_back(plan.tensors()[i].written ? outputs[i].view() : input.tensors[i].view());
  if (flags.check) {
    FSA_ASSIGN_OR_RETURN(const auto oracle, op->make_oracle(input.problem, tensors));
    FSA_ASSIGN_OR_RETURN(result.check, oracle->compare(tensors));
  }
  const bool right = !result.check || result.check->right;
  if (right)
    FSA_RETURN_IF_ERROR(
        write_operator_output(input, tensors, flags.output, {{"variant", result.plan.variant}, {"target", result.target}}));
  return Outcome{to_json(flags, result, right), to_text(flags, result, right), right ? kOk : kCheckFailed};
}

}  // namespace

void add_run(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = add_command(
      app, invocation, "run", "Run an operator on an input file",
      {{"Run on the CPU and compare with the float64 oracle",
        "fsa run --device cpu --input in.safetensors --output out.safetensors --check"},
       {"Time 50 runs on the first GPU", "fsa run --device cuda:0 --input in.safetensors --output out.safetensors --repeat 50"}});
  command->add_option("--op", flags->op, "Operator: selected, or nsa for the whole of Native Sparse Attention")->capture_default_str();
  command->add_option("--device", flags->device, "cpu, cuda or cuda:N")->capture_default_str();
  command
      ->add_option("--input", flags->input, "Safetensors file with the operator's inputs, by name (README: Files in and out)")
      ->required();
  command->add_option("--output", flags->output, "Safetensors file to write the outputs to")->required();
  command->add_flag("--check", flags->check, "Compare with the float64 oracle; a wrong result is not written and ends with 5");
  command->add_option("--repeat", flags->repeat, "Time so many further runs")->check(CLI::Range(0, 1000000));
  command->callback([&invocation, flags] { invocation.action = [&invocation, flags] { return run_operator(invocation.flags, *flags); }; });
}

}  // namespace fsa::cli
