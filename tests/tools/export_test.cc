// A pack is written for named targets, its kernels run without compiling, and one for another architecture is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cache/pack.h"
#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

std::string pack_path() { return (test_folder() / "kernels.fsapack").string(); }

CliResult export_for(const std::string& targets) {
  return run_cli({"export", "--json", "--target", targets, "--input", sample_input(), "--output", pack_path()});
}

TEST(Export, APackRunsFrozenWithoutCompilingAnything) {
  const CliResult exported = export_for("native");
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_GT(exported.json()["kernels"].get<int>(), 0);
  const CliResult run = run_cli({"run", "--json", "--input", sample_input(), "--output", (test_folder() / "out").string(), "--check"},
                                {{"FSA_PACK", pack_path()}, {"FSA_FREEZE", "1"}, {"FSA_CACHE_DIR", (test_folder() / "other").string()}});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.json()["kernels"]["compiled"], 0);
  EXPECT_GT(run.json()["kernels"]["from_pack"].get<int>(), 0);
  EXPECT_EQ(run.json()["check"]["passed"], true);
}

TEST(Export, InspectListsEveryTargetOfAPack) {
  ASSERT_EQ(export_for("x86-64-v3,x86-64-v4").exit_code, 0);
  const CliResult result = run_cli({"inspect", "--json", pack_path()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["targets"], Json::parse(R"(["x86-64-v3","x86-64-v4"])"));
}

TEST(Export, AnUnknownTargetListsTheKnownOnesAndWritesNothing) {
  const CliResult result = export_for("sm_12345");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("sm_90a"), std::string::npos);
  EXPECT_NE(result.err.find("x86-64-v4"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(pack_path()));
}

TEST(Export, ADamagedPackIsRefusedByInspectAndRun) {
  ASSERT_EQ(export_for("native").exit_code, 0);
  const auto size = std::filesystem::file_size(pack_path());
  std::fstream file(pack_path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(size) - 100);
  file << "damage";
  file.close();
  EXPECT_EQ(run_cli({"inspect", pack_path()}).exit_code, 8);
  std::filesystem::resize_file(pack_path(), size / 2);
  const std::string output = (test_folder() / "out").string();
  const CliResult run = run_cli({"run", "--input", sample_input(), "--output", output}, {{"FSA_PACK", pack_path()}});
  EXPECT_EQ(run.exit_code, 8) << run.err;
  EXPECT_FALSE(std::filesystem::exists(output));
}

/// Turns a pack for this machine into one for a GPU.
void relabel_pack(const std::string& target) {
  const auto pack = Pack::open(pack_path());
  ASSERT_TRUE(pack.ok()) << pack.error().message();
  PackContents contents{.library_version = pack->library_version(), .kernels = {}, .choices = {}};
  for (const PackEntry& entry : pack->entries()) {
    auto kernel = pack->load(entry);
    ASSERT_TRUE(kernel.ok());
    kernel->record.target = target;
    contents.kernels.push_back(std::move(kernel).value());
  }
  ASSERT_TRUE(write_pack(pack_path(), contents).ok());
}

TEST(Export, APackForAnotherArchitectureIsRefusedWithBothNames) {
  ASSERT_EQ(export_for("native").exit_code, 0);
  relabel_pack("sm_80");
  const std::string output = (test_folder() / "out").string();
  const CliResult run = run_cli({"run", "--input", sample_input(), "--output", output},
                                {{"FSA_PACK", pack_path()}, {"FSA_FREEZE", "1"}, {"FSA_CACHE_DIR", (test_folder() / "empty").string()}});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_NE(run.err.find("sm_80"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("x86-64"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("export again with --target x86-64"), std::string::npos) << run.err;
  EXPECT_FALSE(std::filesystem::exists(output));
}

}  // namespace
}  // namespace fsa::test
