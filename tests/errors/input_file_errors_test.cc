// Input files that are damaged or hold the wrong tensors: each is refused by name, before a device is touched.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "cache/safetensors.h"
#include "runtime/selected_file.h"
#include "tests/errors/user_error.h"
#include "tests/tools/cli.h"

namespace fsa::test {
namespace {

std::string path() { return (test_folder() / "in.safetensors").string(); }

std::string sample_bytes() {
  std::ifstream file(sample_input(), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::string& bytes) { std::ofstream(path(), std::ios::binary | std::ios::trunc) << bytes; }

/// The sample's tensors and metadata, for each test to spoil in one way.
class InputFile : public testing::Test {
 protected:
  InputFile() : file(SafetensorsFile::open(sample_input()).value()), tensors(file.tensors()), metadata(file.metadata()) {}

  SafetensorsTensor& tensor(std::string_view name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const SafetensorsTensor& t) { return t.name == name; });
  }
  void expect_refused(ErrorKind kind, std::initializer_list<std::string_view> parts) {
    ASSERT_TRUE(write_safetensors(path(), tensors, metadata).ok());
    const auto read = read_selected_input(path());
    expect_user_error(read, kind, parts);
    if (read.ok()) return;
    EXPECT_NE(read.error().message().find(path()), std::string::npos) << "the file is not named: " << read.error().message();
  }
  /// Replaces an int32 tensor's values.
  void set_ints(std::string_view name, std::vector<int> values) {
    ints = std::move(values);
    tensor(name).shape = {static_cast<std::int64_t>(ints.size())};
    tensor(name).data = std::as_bytes(std::span(ints));
  }

  SafetensorsFile file;
  std::vector<SafetensorsTensor> tensors;
  SafetensorsMetadata metadata;
  std::vector<int> ints;
};

TEST_F(InputFile, TheSampleItselfIsSound) {
  const auto read = read_selected_input(sample_input());
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->problem.heads_q, 8);
  EXPECT_EQ(read->problem.heads_kv, 2);
  EXPECT_EQ(read->problem.block_size, 64);
  EXPECT_EQ(read->problem.total_q, 512);
}

TEST_F(InputFile, WhatIsWrittenIsReadBackEqual) {
  const auto read = read_selected_input(sample_input());
  ASSERT_TRUE(read.ok() && write_selected_input(path(), *read).ok());
  std::ifstream copy(path(), std::ios::binary);
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(copy), {}) == sample_bytes());
}

TEST_F(InputFile, EveryMissingTensorIsNamed) {
  for (const std::string name : {"q", "k", "v", "block_indices", "cu_q", "cu_k"}) {
    const auto all = tensors;
    std::erase_if(tensors, [&](const SafetensorsTensor& t) { return t.name == name; });
    ASSERT_TRUE(write_safetensors(path(), tensors, metadata).ok());
    const auto read = read_selected_input(path());
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().kind, ErrorKind::kNotFound);
    EXPECT_NE(read.error().message().find("'" + name + "'"), std::string::npos) << read.error().message();
    tensors = all;
  }
}

TEST_F(InputFile, BlockIndicesOfTheWrongTypeSayWhatToConvertTo) {
  tensor("block_indices").dtype = "F32";
  expect_refused(ErrorKind::kInvalidArgument, {"block_indices is F32 [2, 512, 6]", "I32 [Hkv, Tq, T]", "int32"});
  tensor("block_indices").dtype = "I64";
  tensor("block_indices").shape = {2, 512, 3};
  expect_refused(ErrorKind::kInvalidArgument, {"block_indices is I64", "int32"});
}

TEST_F(InputFile, BlockIndicesOfTheWrongShape) {
  tensor("block_indices").shape = {512, 2, 6};
  expect_refused(ErrorKind::kInvalidArgument, {"block_indices is i32 [512, 2, 6]", "i32 [2, 512, 6]"});
  tensor("block_indices").shape = {1024, 6};
  expect_refused(ErrorKind::kInvalidArgument, {"block_indices is I32 [1024, 6]", "[Hkv, Tq, T]"});
}

TEST_F(InputFile, KeysThatDoNotFitTheQueries) {
  tensor("k").shape = {512, 4, 32};
  expect_refused(ErrorKind::kInvalidArgument, {"k is bf16 [512, 4, 32]", "[512, 4, 64]"});
  tensor("k").shape = {512, 2, 64};
  tensor("v").dtype = "F16";
  expect_refused(ErrorKind::kInvalidArgument, {"v is f16", "bf16"});
}

TEST_F(InputFile, SequenceLengthsThatDecreaseOverrunOrDisagree) {
  set_ints("cu_k", {0, 600});
  expect_refused(ErrorKind::kInvalidArgument, {"cu_k ends at 600", "512"});
  set_ints("cu_k", {0, 300, 200, 512});
  tensor("cu_q").shape = {2};
  expect_refused(ErrorKind::kInvalidArgument, {"cu_k is i32 [4]"});
  set_ints("cu_k", {5, 512});
  expect_refused(ErrorKind::kInvalidArgument, {"cu_k starts at 5"});
}

TEST_F(InputFile, MetadataMustBeThereAndPositive) {
  metadata["block_size"] = "sixty-four";
  expect_refused(ErrorKind::kInvalidArgument, {"block_size 'sixty-four'"});
  metadata.erase("block_size");
  expect_refused(ErrorKind::kInvalidArgument, {"no 'block_size'"});
  metadata["block_size"] = "64";
  for (const char* scale : {"0", "-1", "nan", "inf", "1/8", ""}) {
    metadata["scale"] = scale;
    expect_refused(ErrorKind::kInvalidArgument, {"scale '" + std::string(scale) + "'"});
  }
}

TEST_F(InputFile, AFileCutShortAnywhereIsCorrupt) {
  const std::string bytes = sample_bytes();
  for (std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    write_bytes(bytes.substr(0, size));
    const auto read = read_selected_input(path());
    ASSERT_FALSE(read.ok()) << size;
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt) << size << ": " << read.error().message();
  }
}

// Whatever a damaged header says, reading ends with a value or an error of the user's: this runs under sanitizers too.
TEST_F(InputFile, RandomDamageToTheHeaderNeverCrashes) {
  const std::string bytes = sample_bytes();
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string damaged = bytes;
    for (int j = 0; j < 3; ++j) damaged[random() % 600] = static_cast<char>(random());
    write_bytes(damaged);
    const auto read = read_selected_input(path());
    if (read.ok()) continue;
    EXPECT_NE(read.error().kind, ErrorKind::kInternal) << read.error().message();
    ++refused;
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace fsa::test
