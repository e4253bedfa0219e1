#include "tools/fsa/torch_peer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace fsa::cli {
namespace {

Json problem(const std::string& changes = "{}") {
  Json json = Json::parse(R"({"heads_q": 16, "heads_kv": 4, "head_dim": 64, "head_dim_v": 64, "block_size": 32, "topk": 8, "total_q": 4096,
                             "total_k": 4096})");
  json.update(Json::parse(changes));
  return selected_attention_operator().from_public(json).value();
}

std::string after(const std::vector<std::string>& command, const char* flag) {
  const auto it = std::ranges::find(command, flag);
  return it == command.end() ? "" : *(it + 1);
}

Result<std::vector<std::string>> command(const Json& json, const std::string& device = "cuda:1") {
  return torch_command({.script = "compare.py", .device = device, .rounds = 7}, selected_attention_operator(), json);
}

TEST(TorchPeer, TheCommandNamesTheSameShape) {
  const auto words = command(problem());
  ASSERT_TRUE(words.ok()) << words.error().message();
  const std::pair<const char*, const char*> expected[] = {
      {"python3", "compare.py"}, {"--device", "cuda:1"}, {"--rounds", "7"},    {"--dtype", "bf16"},    {"--seqlens", "4096"},
      {"--heads-q", "16"},       {"--heads-kv", "4"},    {"--head-dim", "64"}, {"--block-size", "32"}, {"--topk", "8"}};
  for (const auto& [flag, value] : expected) EXPECT_EQ(after(*words, flag), value) << flag;
  EXPECT_EQ(after(*words, "--only").substr(0, 9), "selected,");
}

TEST(TorchPeer, TheWholeOperatorNamesWhatItHasMore) {
  const Operator& nsa = native_sparse_attention_operator();
  const Json json =
      nsa.from_public(Json::parse(R"({"heads_q": 8, "heads_kv": 4, "head_dim": 64, "head_dim_v": 64, "total_q": 4096, "total_k": 4096,
                                                    "kernel_size": 16, "stride": 8, "window": 128, "compression": "mean"})"))
          .value();
  const auto words = torch_command({.script = "compare.py", .device = "cuda:0"}, nsa, json);
  ASSERT_TRUE(words.ok()) << words.error().message();
  const std::pair<const char*, const char*> expected[] = {
      {"--kernel-size", "16"}, {"--stride", "8"}, {"--window", "128"}, {"--compression", "mean"}};
  for (const auto& [flag, value] : expected) EXPECT_EQ(after(*words, flag), value) << flag;
  EXPECT_EQ(after(*words, "--only").substr(0, 4), "nsa,");
}

TEST(TorchPeer, WhatDenseAttentionCannotTakeIsRefused) {
  EXPECT_EQ(command(problem(), "cpu").error().kind, ErrorKind::kUnsupported);
  for (const char* changes : {R"({"num_seqs": 2})", R"({"total_q": 1})", R"({"head_dim_v": 32})"}) {
    const auto refused = command(problem(changes));
    ASSERT_FALSE(refused.ok()) << changes;
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported) << changes;
  }
}

TEST(TorchPeer, TheScriptIsFoundAboveTheProgramOrNamedAsMissing) {
  const auto found = find_torch_script(FSA_SOURCE_DIR "/build/x/tools/fsa");
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_TRUE(std::filesystem::exists(*found));
  EXPECT_EQ(find_torch_script("/nonexistent/fsa").error().kind, ErrorKind::kNotFound);
}

/// Measures with a script of the given lines in place of compare_torch.py.
Result<Json> measure_with(const std::string& lines) {
  const std::string path = testing::TempDir() + "fsa_torch_peer_test.py";
  std::ofstream(path) << lines;
  auto measured = measure_beside_torch({.script = path, .device = "cuda:0", .rounds = 1}, selected_attention_operator(), problem());
  std::filesystem::remove(path);
  return measured;
}

TEST(TorchPeer, WhatTheScriptPrintsComesBackAndHowItFailsIsToldApart) {
  if (std::system("python3 -c '' 2>/dev/null") != 0) GTEST_SKIP() << "python3 is not installed";
  const auto measured = measure_with("print('{\"samples\": []}')\n");
  ASSERT_TRUE(measured.ok()) << measured.error().message();
  EXPECT_EQ(measured->dump(), R"({"samples":[]})");
  EXPECT_EQ(measure_with("raise SystemExit(77)\n").error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(measure_with("raise SystemExit(3)\n").error().kind, ErrorKind::kDevice);
  EXPECT_EQ(measure_with("print('no JSON')\n").error().kind, ErrorKind::kDevice);
}

}  // namespace
}  // namespace fsa::cli
