#include <gtest/gtest.h>

#include <fstream>

#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

TEST(Inspect, AnEmptyCacheIsNoError) {
  const CliResult result = run_cli({"inspect", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["entries"].size(), 0u);
  EXPECT_EQ(result.json()["artifacts"]["files"], 0);
}

TEST(Inspect, CompiledKernelsAreCounted) {
  const CliResult run = run_cli({"run", "--json", "--input", sample_input(), "--output", (test_folder() / "out").string()});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const CliResult result = run_cli({"inspect", "--json"});
  EXPECT_EQ(result.json()["artifacts"]["files"], run.json()["kernels"]["compiled"]);
}

TEST(Inspect, AnUntunedPlanSaysWhichCommandWouldTuneIt) {
  const CliResult result = run_cli({"inspect", "--json", "--device", "cpu", "--preset", "llama3-8b", "--seqlen", "4k"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json choice = result.json()["choices"][0];
  EXPECT_EQ(choice["source"], "default");
  EXPECT_NE(choice["why"].get<std::string>().find("fsa tune --device cpu"), std::string::npos);
  EXPECT_FALSE(choice["configs"].empty());
}

TEST(Inspect, ADamagedTuningCacheIsReportedWithItsPath) {
  std::filesystem::create_directories(test_folder() / "cache");
  std::ofstream(test_folder() / "cache" / "tuning.json") << "{ not json";
  const CliResult result = run_cli({"inspect"});
  EXPECT_EQ(result.exit_code, 8);
  EXPECT_NE(result.err.find((test_folder() / "cache" / "tuning.json").string()), std::string::npos) << result.err;
}

}  // namespace
}  // namespace fsa::test
