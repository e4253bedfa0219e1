#include <gtest/gtest.h>

#include "fsa/engine.h"
#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

const std::vector<std::string> kCommands = {"tune", "bench", "run", "sample", "export", "inspect", "doctor"};

TEST(CommandLine, HelpNamesEveryCommandAndTheExitCodes) {
  const CliResult help = run_cli({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const std::string& command : kCommands) EXPECT_NE(help.out.find("\n  " + command), std::string::npos) << command;
  EXPECT_NE(help.out.find("Exit codes:"), std::string::npos);
  EXPECT_EQ(help.out.find("worker"), std::string::npos) << "the worker is no command for users";
}

TEST(CommandLine, EveryCommandHasExamplesTheJsonFlagAndExitCodes) {
  for (const std::string& command : kCommands) {
    const CliResult help = run_cli({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    for (const char* part : {"--json", "Examples:", "Exit codes:"})
      EXPECT_NE(help.out.find(part), std::string::npos) << command << " " << part;
    EXPECT_NE(help.out.find("\n  fsa " + command), std::string::npos) << command;
  }
}

TEST(CommandLine, VersionIsTheLibrarys) {
  const CliResult version = run_cli({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out, "fsa " + std::string(library_version()) + "\n");
}

TEST(CommandLine, BadUsageEndsWithTwoAndSaysWhereHelpIs) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{}, {"fly"}, {"run"}, {"run", "--repeat", "many"}, {"doctor", "--wings"}}) {
    const CliResult result = run_cli(args);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("--help"), std::string::npos) << result.err;
  }
}

TEST(CommandLine, WithJsonAnErrorIsADocumentToo) {
  const CliResult result =
      run_cli({"run", "--json", "--input", "/nonexistent/in.safetensors", "--output", (test_folder() / "out").string()});
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_EQ(result.json()["error"]["kind"], "not_found");
  EXPECT_NE(result.json()["error"]["given"].get<std::string>().find("/nonexistent/in.safetensors"), std::string::npos);
  EXPECT_EQ(run_cli({"doctor", "--json", "--wings"}).json()["error"]["kind"], "invalid_argument");
}

TEST(CommandLine, AMalformedEnvironmentVariableIsNamed) {
  const CliResult result = run_cli({"doctor"}, {{"FSA_NUM_THREADS", "many"}});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("FSA_NUM_THREADS"), std::string::npos);
}

}  // namespace
}  // namespace fsa::test
