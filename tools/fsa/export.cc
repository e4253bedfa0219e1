// fsa export: compiles the tuned or default kernels of shapes for named targets, without those devices, into one file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "codegen/target.h"
#include "runtime/exporter.h"
#include "tools/fsa/command.h"
#include "tools/fsa/shape_flags.h"
#include "tools/fsa/table.h"
#include "tools/fsa/units.h"

namespace fsa::cli {
namespace {

struct ExportFlags {
  ShapeFlags shape;
  std::string targets;
  std::string output;
};

/// "native" stands for this machine's CPU, and nothing else: a GPU is named by its architecture.
Result<std::vector<std::string>> parse_targets(std::string_view text) {
  std::vector<std::string> targets;
  for (const std::string& name : split_commas(text)) {
    FSA_ASSIGN_OR_RETURN(const Target target, name == "native" ? Target::host_cpu() : Target::parse(name));
    targets.push_back(target.to_string());
  }
  return targets;
}

Json summary_json(const ExportFlags& flags, const ExportSummary& s) {
  Json json{{"output", flags.output}, {"kernels", s.kernels}, {"compiled", s.compiled}, {"bytes", s.bytes}, {"choices", Json::array()}};
  for (const ExportedChoice& c : s.choices)
    json["choices"].push_back({{"target", c.target}, {"variant", c.variant}, {"source", c.source}, {"kernels", c.kernels}});
  return json;
}

std::string summary_text(const ExportFlags& flags, const ExportSummary& s) {
  Table table({"target", "variant", "choice", "kernels"}, {0, 1, 2});
  for (const ExportedChoice& c : s.choices) table.add({c.target, c.variant, c.source, fmt::format("{}", c.kernels)});
  return fmt::format("{}\n{}: {} kernels, {} compiled now, {}\n", table.to_string(), flags.output, s.kernels, s.compiled,
                     format_bytes(static_cast<double>(s.bytes)));
}

Result<Outcome> run_export(const CommonFlags& common, const ExportFlags& flags) {
  FSA_ASSIGN_OR_RETURN(const EngineOptions options, common.compiling_options());
  FSA_ASSIGN_OR_RETURN(const auto problems, flags.shape.problems());
  ExportRequest request{.targets = {}, .problems = {}, .path = flags.output};
  FSA_ASSIGN_OR_RETURN(request.targets, parse_targets(flags.targets));
  for (const NamedProblem& p : problems) request.problems.push_back({p.op, p.problem});
  FSA_ASSIGN_OR_RETURN(const ExportSummary summary, export_pack(request, options));
  return Outcome{summary_json(flags, summary), summary_text(flags, summary)};
}

}  // namespace

void add_export(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = add_command(
      app, invocation, "export", "Compile kernels for named targets, without those devices, into one file",
      {{"Kernels of a model for two GPUs and every AVX-512 CPU",
        "fsa export --target sm_80,sm_90a,x86-64-v4 --preset llama3-8b --seqlen 8k,32k --output llama3-8b.fsapack"},
       {"Use them where there is no compiler", "FSA_PACK=llama3-8b.fsapack fsa run --input in.safetensors --output out.safetensors"}});
  flags->shape.add_to(*command);
  command->add_option("--input", flags->shape.input, "Take the sizes of this input file of fsa run");
  command
      ->add_option("--target", flags->targets, fmt::format("Comma separated: {}, or native for this CPU", fmt::join(Target::known(), ", ")))
      ->required();
  command->add_option("--output", flags->output, "Pack to write")->required();
  command->callback([&invocation, flags] { invocation.action = [&invocation, flags] { return run_export(invocation.flags, *flags); }; });
}

}  // namespace fsa::cli
