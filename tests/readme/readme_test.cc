// README.md says what is so: its commands run, its tables are the program's own.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "runtime/presets.h"
#include "tests/tools/cli.h"
#include "tools/fsa/exit_code.h"

namespace fsa::test {
namespace {

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The lines of README.md's shell blocks that call the command.
std::vector<std::string> tour() {
  std::vector<std::string> commands;
  std::istringstream lines(read_text(FSA_README));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("fsa ")) commands.push_back(line);
  return commands;
}

std::set<std::string> variables_in(const std::string& text) {
  static const std::regex name("FSA_[A-Z_]+");
  std::set<std::string> names;
  for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it) names.insert(it->str());
  for (const char* macro : {"FSA_API", "FSA_LLVM", "FSA_NVRTC", "FSA_LIBRARY"}) names.erase(macro);
  return names;
}

TEST(Readme, EveryCommandOfTheTourRuns) {
  ASSERT_GE(tour().size(), 8u);
  const std::string folder = std::filesystem::path(FSA_CLI_PATH).parent_path().string();
  for (const std::string& command : tour()) {
    const CliResult result =
        run_program({"/bin/sh", "-c", fmt::format("cd '{}' && PATH='{}':$PATH && {}", test_folder().string(), folder, command)},
                    {{"FSA_CACHE_DIR", (test_folder() / "cache").string()}});
    EXPECT_EQ(result.exit_code, 0) << command << "\n" << result.err << result.out;
  }
}

TEST(Readme, TheTourShowsEveryCommand) {
  const auto commands = tour();
  for (const char* name : {"doctor", "sample", "tune", "run", "bench", "inspect", "export"})
    EXPECT_TRUE(std::ranges::any_of(commands, [&](const std::string& c) { return c.starts_with(fmt::format("fsa {}", name)); })) << name;
}

TEST(Readme, TheExitCodesAreTheProgramsOwn) {
  const std::string text = read_text(FSA_README);
  for (const cli::ExitCode& e : cli::exit_codes())
    EXPECT_NE(text.find(fmt::format("| {} | {} |", e.code, e.meaning)), std::string::npos) << e.code;
}

TEST(Readme, TheEnvironmentTableIsThatOfTheOptions) {
  EXPECT_EQ(variables_in(read_text(FSA_README)), variables_in(read_text(FSA_OPTIONS_HEADER)));
}

TEST(Readme, EveryPresetIsNamed) {
  const std::string text = read_text(FSA_README);
  for (const ModelPreset& preset : model_presets()) EXPECT_NE(text.find(preset.name), std::string::npos) << preset.name;
}

}  // namespace
}  // namespace fsa::test
