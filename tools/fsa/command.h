#pragma once
// Owns what every subcommand shares: the flags they all take, the outcome they return, and where messages go.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/json.h"
#include "fsa/base/result.h"
#include "fsa/options.h"
#include "tools/fsa/exit_code.h"

namespace fsa::cli {

/// What a subcommand has to say on standard output: `json` with --json, `text` without.
struct Outcome {
  Json json = Json::object();
  std::string text;
  int exit_code = kOk;
};

/// Flags that every subcommand takes.
struct CommonFlags {
  bool json = false;
  bool verbose = false;
  bool quiet = false;

  /// Engine options from the environment; log lines go to standard error as the flags say.
  Result<EngineOptions> engine_options() const;
  /// The same for commands that compile: a cache folder that cannot be written is an error before anything is done.
  Result<EngineOptions> compiling_options() const;
};

/// The command line as parsed: which action to run.
struct Invocation {
  std::string program;  ///< absolute path of this executable
  CommonFlags flags;
  std::function<Result<Outcome>()> action;
};

/// One usage example: what it does and the command.
struct Example {
  std::string_view purpose;
  std::string_view command;
};

/// Adds a subcommand with the common flags and a help footer of examples and exit codes.
CLI::App* add_command(CLI::App& app, Invocation& invocation, const std::string& name, const std::string& purpose,
                      std::vector<Example> examples);

/// {"kind","given","supported","remedy"}.
Json error_json(const Error& error);

// The subcommands, each in the file of its name.
void add_tune(CLI::App& app, Invocation& invocation);
void add_bench(CLI::App& app, Invocation& invocation);
void add_run(CLI::App& app, Invocation& invocation);
void add_sample(CLI::App& app, Invocation& invocation);
void add_export(CLI::App& app, Invocation& invocation);
void add_inspect(CLI::App& app, Invocation& invocation);
void add_doctor(CLI::App& app, Invocation& invocation);
void add_worker(CLI::App& app, Invocation& invocation);

}  // namespace fsa::cli
