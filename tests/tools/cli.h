#pragma once
// Owns run_cli: runs the fsa command as a user would, and what the tests of it share.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "codegen/base/json.h"

namespace fsa::test {

struct CliResult {
  int exit_code = -1;
  std::string out;
  std::string err;

  /// Standard output as JSON; a discarded value, which no test expects, where it is none.
  Json json() const { return Json::parse(out, nullptr, false); }
};

/// Runs `fsa args...` with a cache folder of the calling test, and `environment` over the test's own.
CliResult run_cli(const std::vector<std::string>& args, const std::map<std::string, std::string>& environment = {});

/// Runs any program the same way.
CliResult run_program(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment = {});

/// A folder of the calling test, empty when first asked for and removed when the program ends.
std::filesystem::path test_folder();

/// The sample input shipped in the repository.
std::string sample_input();

}  // namespace fsa::test
