// A build without NVRTC and LLVM: runs the pack that a full build exported for this machine (FSA_TEST_PACK), and says what
// it cannot do.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

TEST(RuntimeOnly, APackRunsAndComesOutRight) {
  const char* pack = std::getenv("FSA_TEST_PACK");
  ASSERT_TRUE(pack) << "set FSA_TEST_PACK to a pack that a full build exported for the sample input, as tools/test.sh does";
  const CliResult run =
      run_cli({"run", "--json", "--input", sample_input(), "--output", (test_folder() / "out").string(), "--check"}, {{"FSA_PACK", pack}});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.json()["kernels"]["compiled"], 0);
  EXPECT_GT(run.json()["kernels"]["from_pack"].get<int>(), 0);
  EXPECT_EQ(run.json()["check"]["passed"], true);
}

TEST(RuntimeOnly, WithoutAPackItSaysHowToGetOne) {
  const std::string output = (test_folder() / "out").string();
  const CliResult run = run_cli({"run", "--input", sample_input(), "--output", output});
  EXPECT_EQ(run.exit_code, 4);
  EXPECT_NE(run.err.find("fsa export"), std::string::npos) << run.err;
  EXPECT_FALSE(std::filesystem::exists(output));
}

TEST(RuntimeOnly, DoctorNamesBothCompilersAsMissing) {
  const Json findings = run_cli({"doctor", "--json", "--device", "cpu"}).json()["findings"];
  int missing = 0;
  for (const Json& f : findings) missing += f["what"].get<std::string>().find("compiler") != std::string::npos && f["health"] == "missing";
  EXPECT_EQ(missing, 2);
}

}  // namespace
}  // namespace fsa::test
