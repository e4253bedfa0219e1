// fsa inspect: shows the tuning cache and the compiled kernels, what a pack holds, or what a plan for a shape would take.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "cache/artifact_store.h"
#include "cache/pack.h"
#include "cache/tuning_cache.h"
#include "fsa/engine.h"
#include "runtime/engine_impl.h"
#include "tools/fsa/command.h"
#include "tools/fsa/shape_flags.h"
#include "tools/fsa/table.h"
#include "tools/fsa/units.h"

namespace fsa::cli {
namespace {

struct InspectFlags {
  ShapeFlags shape;
  std::string device = "cpu";
  std::string pack;
};

template <class T>
T member(const Json& json, const char* name, T missing) {
  const auto it = json.find(name);
  return it == json.end() || it->type() != Json(missing).type() ? missing : it->template get<T>();
}

/// "bf16 8x4 heads, d128, 32k tokens": kv heads x group.
std::string problem_text(const Json& p) {
  const auto number = [&](const char* name) {
    const auto it = p.find(name);
    return it != p.end() && it->is_number_integer() ? it->template get<std::int64_t>() : 0;
  };
  return fmt::format("{} heads {}x{} d{}/{} block {} topk {} seqs {} tokens {}/{}", member(p, "element", std::string("?")),
                     number("heads_kv"), number("group"), number("head_dim"), number("head_dim_v"), number("block_size"), number("topk"),
                     number("num_seqs"), format_count(number("total_q")), format_count(number("total_k")));
}

std::string speedup_text(const TuningMeasurement& m) {
  return m.seconds > 0 && m.default_seconds > 0 ? fmt::format("{:.2f}x", m.default_seconds / m.seconds) : "-";
}

void add_entry(Table& table, const TuningEntry& e) {
  table.add({member(e.key.device, "arch", std::string("?")), problem_text(e.key.problem), member(e.choice, "variant", std::string("?")),
             e.measurement.seconds > 0 ? format_seconds(e.measurement.seconds) : "-", speedup_text(e.measurement), e.provenance.date});
}

Table entry_table() { return Table({"arch", "problem", "variant", "time", "speedup", "date"}, {0, 1, 2, 5}); }

Json entries_json(const std::vector<TuningEntry>& entries) {
  Json json = Json::array();
  for (const TuningEntry& e : entries) json.push_back(e.to_json());
  return json;
}

Result<Outcome> inspect_cache(const EngineOptions& options) {
  FSA_ASSIGN_OR_RETURN(const std::string directory, cache_directory_of(options));
  TuningCache cache({.directory = directory});
  FSA_ASSIGN_OR_RETURN(const auto tuned, cache.load());
  const auto usage = ArtifactStore({.directory = directory}).usage();
  Outcome outcome{{{"directory", directory},
                   {"entries", entries_json(tuned->entries())},
                   {"artifacts", {{"files", usage.files}, {"bytes", usage.bytes}}}},
                  ""};
  Table table = entry_table();
  for (const TuningEntry& e : tuned->entries()) add_entry(table, e);
  outcome.text = fmt::format("{}: {} tuned problems, {} compiled kernels ({})\n", directory, tuned->entries().size(), usage.files,
                             format_bytes(static_cast<double>(usage.bytes)));
  if (!tuned->entries().empty()) outcome.text += "\n" + table.to_string();
  return outcome;
}

Json packed_kernel_json(const PackEntry& e) {
  return {{"digest", e.digest.hex()},  {"family", e.record.family},     {"target", e.record.target}, {"shape", e.record.shape},
          {"config", e.record.config}, {"compiler", e.record.compiler}, {"bytes", e.stored.size()},  {"sha256", e.sha256}};
}

Result<Outcome> inspect_pack(const std::string& path) {
  FSA_ASSIGN_OR_RETURN(const Pack pack, Pack::open(path));
  FSA_RETURN_IF_ERROR(pack.verify());
  Outcome outcome{{{"pack", path},
                   {"library", pack.library_version()},
                   {"targets", pack.targets()},
                   {"provenance", pack.provenance()},
                   {"kernels", Json::array()},
                   {"entries", entries_json(pack.choices())}},
                  ""};
  Table kernels({"target", "family", "config", "size"}, {0, 1, 2}), choices = entry_table();
  for (const PackEntry& e : pack.entries()) {
    kernels.add({e.record.target, e.record.family, e.record.config.dump(), format_bytes(static_cast<double>(e.stored.size()))});
    outcome.json["kernels"].push_back(packed_kernel_json(e));
  }
  for (const TuningEntry& e : pack.choices()) add_entry(choices, e);
  outcome.text = fmt::format("{}: written by fsa {} for {}; every checksum is right\n\n{}\n{}", path, pack.library_version(),
                             fmt::join(pack.targets(), ", "), kernels.to_string(), choices.to_string());
  return outcome;
}

Result<Outcome> inspect_choices(const EngineOptions& options, const InspectFlags& flags) {
  FSA_ASSIGN_OR_RETURN(const auto problems, flags.shape.problems());
  FSA_ASSIGN_OR_RETURN(const Engine engine, Engine::create(flags.device, options));
  Outcome outcome{{{"device", engine.device_name()}, {"target", engine.target()}, {"choices", Json::array()}},
                  fmt::format("{} ({})\n", engine.device_name(), engine.target())};
  for (const NamedProblem& named : problems) {
    const Operator& op = *named.op;
    const Json& problem = named.problem;
    FSA_RETURN_IF_ERROR(op.check(problem, engine.impl()->target()));
    const ChosenBy chosen = engine.impl()->choices().choose(op, problem);
    FSA_ASSIGN_OR_RETURN(const auto steps, make_chain(op, problem, chosen.choice, engine.impl()->target()));
    Json configs = Json::object();
    for (const ChainStep& step : steps) configs[step.stage] = step.config;
    outcome.json["choices"].push_back(
        {{"shape", named.label}, {"variant", chosen.choice.variant}, {"configs", configs}, {"source", chosen.source}, {"why", chosen.why}});
    outcome.text += fmt::format("\n{}\n  {}: {}\n  {} {}\n", named.label, chosen.source, chosen.why, chosen.choice.variant, configs.dump());
  }
  return outcome;
}

Result<Outcome> run_inspect(const CommonFlags& common, const InspectFlags& flags) {
  FSA_ASSIGN_OR_RETURN(const EngineOptions options, common.engine_options());
  if (!flags.pack.empty()) return inspect_pack(flags.pack);
  if (flags.shape.given()) return inspect_choices(options, flags);
  return inspect_cache(options);
}

}  // namespace

void add_inspect(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command =
      add_command(app, invocation, "inspect", "Show the tuning cache, a pack, or what a plan would take and why",
                  {{"The tuning cache and the compiled kernels", "fsa inspect"},
                   {"What a pack holds; checks every kernel", "fsa inspect llama3-8b.fsapack"},
                   {"What a plan would take for a shape, and why", "fsa inspect --device cuda:0 --preset llama3-8b --seqlen 16k"}});
  flags->shape.add_to(*command);
  command->add_option("--input", flags->shape.input, "Take the sizes of this input file of fsa run");
  command->add_option("--device", flags->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("pack", flags->pack, "A pack written by fsa export");
  command->callback([&invocation, flags] { invocation.action = [&invocation, flags] { return run_inspect(invocation.flags, *flags); }; });
}

}  // namespace fsa::cli
