// What a user can get wrong on the command line: a message that says what to do, the documented exit code, no output file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cache/safetensors.h"
#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

std::string output() { return (test_folder() / "out.safetensors").string(); }

std::vector<std::string> run_args(const std::string& input) { return {"run", "--device", "cpu", "--input", input, "--output", output()}; }

void expect_refused(const CliResult& result, int exit_code, std::initializer_list<std::string_view> parts) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  for (const std::string_view part : parts)
    EXPECT_NE(result.err.find(part), std::string::npos) << "'" << part << "' is not in: " << result.err;
  // Nothing is left behind: neither the output nor a temporary file beside it.
  for (const auto& entry : std::filesystem::directory_iterator(test_folder())) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(name.find("out.safetensors"), std::string::npos) << name << " was left behind";
  }
}

/// A copy of the sample with another shape or other metadata.
template <class Change>
std::string changed_sample(Change change) {
  const auto file = SafetensorsFile::open(sample_input()).value();
  auto tensors = file.tensors();
  auto metadata = file.metadata();
  change(tensors, metadata);
  const std::string path = (test_folder() / "in.safetensors").string();
  EXPECT_TRUE(write_safetensors(path, tensors, metadata).ok());
  return path;
}

void reshape(std::vector<SafetensorsTensor>& tensors, std::string_view name, std::vector<std::int64_t> shape) {
  for (auto& t : tensors)
    if (t.name == name) t.shape = shape;
}

TEST(CliErrors, AnUnsupportedHeadDim) {
  const std::string input = changed_sample([](auto& tensors, auto&) {
    reshape(tensors, "q", {512, 128, 4});
    reshape(tensors, "k", {512, 32, 4});
    reshape(tensors, "v", {512, 32, 4});
    reshape(tensors, "block_indices", {32, 512, 6});
    static std::vector<std::byte> indices(32 * 512 * 6 * 4);
    for (auto& t : tensors)
      if (t.name == "block_indices") t.data = indices;
  });
  expect_refused(run_cli(run_args(input)), 3, {"head_dim is 4", "16 to 256", "pad"});
}

TEST(CliErrors, QueryHeadsThatAreNoMultipleOfKeyHeads) {
  expect_refused(run_cli({"tune", "--heads-q", "12", "--heads-kv", "5", "--quiet"}), 2, {"heads_q is 12 and heads_kv is 5", "multiple"});
}

TEST(CliErrors, BlockIndicesOfTheWrongShape) {
  const std::string input = changed_sample([](auto& tensors, auto&) { reshape(tensors, "block_indices", {512, 2, 6}); });
  expect_refused(run_cli(run_args(input)), 2, {"block_indices", "[2, 512, 6]"});
}

TEST(CliErrors, AnUnknownPresetListsTheKnownOnes) {
  for (const char* command : {"tune", "inspect"})
    expect_refused(run_cli({command, "--preset", "llama9"}), 6, {"llama9", "llama3-8b", "qwen2.5-32b"});
}

TEST(CliErrors, NoShapeAtAllSaysWhatToGive) { expect_refused(run_cli({"tune"}), 2, {"--preset"}); }

TEST(CliErrors, AMissingInputFile) { expect_refused(run_cli(run_args("/nonexistent/in.safetensors")), 6, {"/nonexistent/in.safetensors"}); }

TEST(CliErrors, ACorruptInputFile) {
  const std::string input = (test_folder() / "in.safetensors").string();
  std::filesystem::copy_file(sample_input(), input);
  std::filesystem::resize_file(input, 10000);
  expect_refused(run_cli(run_args(input)), 8, {input});
}

TEST(CliErrors, ACacheFolderThatCannotBeWritten) {
  // A path below a file: not even root can make a folder there.
  std::ofstream(test_folder() / "file") << "x";
  const std::string cache = (test_folder() / "file" / "cache").string();
  expect_refused(run_cli(run_args(sample_input()), {{"FSA_CACHE_DIR", cache}}), 4, {cache, "FSA_CACHE_DIR"});
  expect_refused(run_cli({"tune", "--input", sample_input()}, {{"FSA_CACHE_DIR", cache}}), 4, {cache, "FSA_CACHE_DIR"});
}

TEST(CliErrors, AnOutputThatCannotBeWritten) {
  expect_refused(run_cli({"run", "--input", sample_input(), "--output", "/nonexistent/out.safetensors", "--quiet"}), 7,
                 {"/nonexistent/out.safetensors"});
}

TEST(CliErrors, NoGpuForADeviceThatNamesOne) {
  const CliResult result =
      run_cli({"run", "--device", "cuda:0", "--input", sample_input(), "--output", output()}, {{"CUDA_VISIBLE_DEVICES", ""}});
  expect_refused(result, 4, {"cpu"});
}

TEST(CliErrors, AnUnknownDeviceAndAnUnknownOperator) {
  expect_refused(run_cli({"run", "--device", "tpu", "--input", sample_input(), "--output", output()}), 2, {"tpu", "cpu", "cuda:N"});
  expect_refused(run_cli({"run", "--op", "dense", "--input", sample_input(), "--output", output()}), 3, {"dense", "selected"});
}

TEST(CliErrors, AFileThatIsNoPack) {
  expect_refused(run_cli(run_args(sample_input()), {{"FSA_PACK", sample_input()}}), 8, {sample_input()});
  expect_refused(run_cli({"inspect", "/nonexistent/kernels.fsapack"}), 6, {"/nonexistent/kernels.fsapack"});
}

}  // namespace
}  // namespace fsa::test
