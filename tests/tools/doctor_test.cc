#include <gtest/gtest.h>

#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

Json finding(const Json& report, const std::string& what) {
  for (const Json& f : report["findings"])
    if (f["what"] == what) return f;
  return nullptr;
}

TEST(Doctor, FindsTheCpuReady) {
  const CliResult result = run_cli({"doctor", "--json", "--device", "cpu"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(finding(result.json(), "device cpu")["health"], "ok");
  EXPECT_EQ(finding(result.json(), "cache folder")["detail"], (test_folder() / "cache").string());
}

TEST(Doctor, SaysWhatIsMissingForAGpuThatIsNotThere) {
  const CliResult result = run_cli({"doctor", "--json", "--device", "cuda:0"}, {{"CUDA_VISIBLE_DEVICES", ""}});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(finding(result.json(), "device cuda:0")["health"], "missing");
  EXPECT_NE(finding(result.json(), "device cuda:0")["remedy"], "");
}

TEST(Doctor, ShowsTheEnvironmentThatIsInForce) {
  const CliResult result = run_cli({"doctor", "--json"}, {{"FSA_NUM_THREADS", "2"}});
  EXPECT_EQ(finding(result.json(), "FSA_NUM_THREADS")["detail"], "2");
}

}  // namespace
}  // namespace fsa::test
