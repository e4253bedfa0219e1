#include "tools/fsa/command.h"

#include <fmt/format.h>

#include <cstdio>

#include "cache/directory.h"
#include "runtime/kernel_source.h"

namespace fsa::cli {

Result<EngineOptions> CommonFlags::engine_options() const {
  FSA_ASSIGN_OR_RETURN(EngineOptions options, EngineOptions::from_environment());
  if (quiet) return options;
  options.log = [all = verbose](LogLevel level, std::string_view line) {
    if (level == LogLevel::kDebug && !all) return;
    fmt::print(stderr, "{}{}\n", level == LogLevel::kWarning ? "warning: " : "", line);
  };
  return options;
}

Result<EngineOptions> CommonFlags::compiling_options() const {
  FSA_ASSIGN_OR_RETURN(EngineOptions options, engine_options());
  // A pack serves deployments, whose file systems may be read-only.
  if (!options.use_cache || !options.pack.empty()) return options;
  FSA_ASSIGN_OR_RETURN(const std::string directory, cache_directory_of(options));
  FSA_RETURN_IF_ERROR(prepare_cache_directory(directory));
  return options;
}

CLI::App* add_command(CLI::App& app, Invocation& invocation, const std::string& name, const std::string& purpose,
                      std::vector<Example> examples) {
  CLI::App* command = app.add_subcommand(name, purpose);
  command->add_flag("--json", invocation.flags.json, "Print one JSON document on standard output");
  command->add_flag("-v,--verbose", invocation.flags.verbose, "Say more on standard error");
  command->add_flag("-q,--quiet", invocation.flags.quiet, "Say nothing on standard error but errors");
  std::string footer = "\nExamples:\n";
  for (const Example& e : examples) footer += fmt::format("  # {}\n  {}\n", e.purpose, e.command);
  command->footer(footer + "\n" + exit_code_help());
  return command;
}

Json error_json(const Error& error) {
  return {{"kind", to_string(error.kind)}, {"given", error.given}, {"supported", error.supported}, {"remedy", error.remedy}};
}

}  // namespace fsa::cli
