// The fsa command: parses the command line, runs one subcommand, prints its outcome and maps errors to exit codes.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <filesystem>

#include "fsa/engine.h"
#include "tools/fsa/command.h"

namespace {

using namespace fsa;
using namespace fsa::cli;

std::string executable_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "fsa" : path.string();
}

void print_json(const Json& json) { fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace)); }

int fail(const Error& error, bool json) {
  if (json) print_json({{"error", error_json(error)}});
  fmt::print(stderr, "fsa: {}\n", error.message());
  return exit_code(error.kind);
}

bool wants_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--json") == 0) return true;
  return false;
}

int reject_usage(const CLI::ParseError& error, bool json) {
  return fail(make_error(ErrorKind::kInvalidArgument, {.given = error.what(), .remedy = "see fsa --help, or fsa COMMAND --help"}), json);
}

int run(const Invocation& invocation) {
  const Result<Outcome> outcome = invocation.action();
  if (!outcome) return fail(outcome.error(), invocation.flags.json);
  if (invocation.flags.json) {
    print_json(outcome->json);
  } else {
    fmt::print("{}", outcome->text);
  }
  return std::fflush(stdout) == 0 ? outcome->exit_code : exit_code(ErrorKind::kIo);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Sparse attention kernels, compiled and tuned at run time.", "fsa"};
  Invocation invocation{.program = executable_path(), .flags = {}, .action = {}};
  app.require_subcommand(1);
  app.set_version_flag("--version", fmt::format("fsa {}", library_version()));
  app.footer("\nfsa COMMAND --help shows a command's flags and examples.\n\n" + exit_code_help());
  for (auto add : {add_tune, add_bench, add_run, add_sample, add_export, add_inspect, add_doctor, add_worker}) add(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return reject_usage(e, wants_json(argc, argv));
  }
  return run(invocation);
}
