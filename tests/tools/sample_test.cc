#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "runtime/selected_file.h"
#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Sample, TheRepositorysSampleIsWhatTheDocumentedCommandWrites) {
  const std::string output = (test_folder() / "sample.safetensors").string();
  const CliResult result =
      run_cli({"sample", "--heads-q", "8", "--heads-kv", "2", "--head-dim", "64", "--seqlen", "512", "--topk", "6", "--output", output});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(bytes_of(output).empty());
  EXPECT_TRUE(bytes_of(output) == bytes_of(sample_input()));
}

TEST(Sample, DecodingAndBatchesComeOutAsAsked) {
  const std::string output = (test_folder() / "decode.safetensors").string();
  const CliResult result = run_cli(
      {"sample", "--preset", "llama3-8b", "--seqlen", "1k", "--queries", "1", "--num-seqs", "3", "--dtype", "f16", "--output", output});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto input = read_selected_input(output);
  ASSERT_TRUE(input.ok()) << input.error().message();
  EXPECT_EQ(input->problem.total_q, 3);
  EXPECT_EQ(input->problem.total_k, 3 * 1024);
  EXPECT_EQ(input->problem.num_seqs, 3);
  EXPECT_EQ(input->problem.heads_q, 32);
  EXPECT_EQ(input->problem.dtype, DType::kF16);
}

}  // namespace
}  // namespace fsa::test
