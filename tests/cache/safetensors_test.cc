#include "cache/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "cache/safetensors_header.h"
#include "tests/cache/temp_folder.h"

namespace fsa {
namespace {

using namespace test;

/// The bytes of a file with this header and so many data bytes.
std::string container(std::string_view header, std::size_t data_bytes) {
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i) file[static_cast<std::size_t>(i)] = static_cast<char>(header.size() >> (8 * i));
  file += header;
  file.append(data_bytes, 'd');
  return file;
}

/// Opens a file of these bytes and returns its error, which must name the file.
Error error_of(std::string_view bytes) {
  const TempFolder folder;
  write_text(folder / "t.safetensors", bytes);
  const auto file = SafetensorsFile::open(folder / "t.safetensors");
  EXPECT_FALSE(file.ok()) << bytes.substr(8);
  if (file) return {};
  EXPECT_NE(file.error().message().find(folder / "t.safetensors"), std::string::npos) << file.error().message();
  return file.error();
}

SafetensorsTensor tensor(std::string name, std::string dtype, std::vector<std::int64_t> shape, std::span<const std::byte> data) {
  return {std::move(name), std::move(dtype), std::move(shape), data};
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  const TempFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const std::vector<std::byte> codes = bytes_of("abc");
  const std::vector<SafetensorsTensor> tensors{tensor("codes", "U8", {3}, codes),
                                               tensor("values", "F32", {2, 3}, std::as_bytes(std::span(values)))};
  ASSERT_TRUE(write_safetensors(folder / "t", tensors, {{"scale", "0.125"}, {"unicode", "gr\xC3\xBC\xC3\x9F \"x\""}}).ok());
  const auto file = SafetensorsFile::open(folder / "t");
  ASSERT_TRUE(file.ok()) << file.error().message();
  EXPECT_EQ(file->metadata().at("unicode"), "gr\xC3\xBC\xC3\x9F \"x\"");
  EXPECT_EQ(file->metadata().at("scale"), "0.125");
  const auto read = file->get("values");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ((*read)->dtype, "F32");
  EXPECT_EQ((*read)->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp((*read)->data.data(), values.data(), (*read)->data.size()), 0);
  EXPECT_TRUE(std::ranges::equal(file->find("codes")->data, codes));
}

TEST(Safetensors, WideElementsComeFirstSoThatAllAreAligned) {
  const TempFolder folder;
  const std::vector<std::byte> data(24);
  const std::vector<SafetensorsTensor> tensors{tensor("a", "U8", {3}, std::span(data).first(3)), tensor("b", "F64", {3}, data),
                                               tensor("c", "BF16", {1}, std::span(data).first(2))};
  ASSERT_TRUE(write_safetensors(folder / "t", tensors).ok());
  const auto file = SafetensorsFile::open(folder / "t");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->tensors()[0].name, "b");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file->tensors()[0].data.data()) % 64, 0u);
  EXPECT_EQ(file->tensors()[1].name, "c");
}

TEST(Safetensors, EmptyTensorsScalarsAndEmptyFilesAreLegal) {
  const TempFolder folder;
  const std::vector<std::byte> eight(8);
  const std::vector<SafetensorsTensor> tensors{tensor("none", "F32", {0, 5}, {}), tensor("scalar", "I64", {}, eight),
                                               tensor("also_none", "I32", {0}, {})};
  ASSERT_TRUE(write_safetensors(folder / "t", tensors).ok());
  const auto file = SafetensorsFile::open(folder / "t");
  ASSERT_TRUE(file.ok()) << file.error().message();
  EXPECT_EQ(file->tensors().size(), 3u);
  EXPECT_TRUE(file->find("none")->data.empty());
  EXPECT_EQ(file->find("scalar")->data.size(), 8u);
  ASSERT_TRUE(write_safetensors(folder / "e", {}).ok());
  EXPECT_TRUE(SafetensorsFile::open(folder / "e")->tensors().empty());
}

TEST(Safetensors, AMissingTensorListsTheOnesThereAre) {
  const TempFolder folder;
  const std::vector<std::byte> four(4);
  const std::vector<SafetensorsTensor> tensors{tensor("q", "F32", {1}, four), tensor("k", "F32", {1}, four)};
  ASSERT_TRUE(write_safetensors(folder / "t", tensors).ok());
  const auto file = SafetensorsFile::open(folder / "t");
  const auto missing = file->get("v");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(missing.error().supported, "k, q");
}

TEST(Safetensors, AMissingFileIsNotFound) {
  const TempFolder folder;
  EXPECT_EQ(SafetensorsFile::open(folder / "no").error().kind, ErrorKind::kNotFound);
}

TEST(Safetensors, EveryTruncationIsCorrupt) {
  const TempFolder folder;
  const std::vector<std::byte> data(40);
  const std::vector<SafetensorsTensor> tensors{tensor("x", "F32", {10}, data)};
  ASSERT_TRUE(write_safetensors(folder / "t", tensors, {{"key", "value"}}).ok());
  const std::string whole = read_text(folder / "t");
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_EQ(error_of(whole.substr(0, length)).kind, ErrorKind::kCorrupt) << length;
}

TEST(Safetensors, FlippedHeaderBitsNeverCrashAndNeverMisplaceData) {
  const TempFolder folder;
  const std::vector<std::byte> data(40);
  const std::vector<SafetensorsTensor> tensors{tensor("x", "F32", {10}, data)};
  ASSERT_TRUE(write_safetensors(folder / "t", tensors, {{"key", "value"}}).ok());
  const std::string whole = read_text(folder / "t");
  for (std::size_t i = 0; i < whole.size() - data.size(); ++i)
    for (const int bit : {0, 7}) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      write_text(folder / "f", flipped);
      const auto file = SafetensorsFile::open(folder / "f");
      if (!file)
        EXPECT_EQ(file.error().kind, ErrorKind::kCorrupt);
      else
        for (const auto& t : file->tensors()) EXPECT_EQ(t.data.size(), 40u);  // a name or a string changed: legal
    }
}

TEST(Safetensors, AHugeHeaderLengthIsCorruptAndAllocatesNothing) {
  for (const unsigned char top : {0x7F, 0xFF}) {
    std::string file = container("{}", 0);
    file[7] = static_cast<char>(top);
    EXPECT_EQ(error_of(file).kind, ErrorKind::kCorrupt);
  }
  EXPECT_EQ(error_of(std::string("\x03\0\0\0\0\0\0\0{}", 10)).kind, ErrorKind::kCorrupt) << "one byte more than there is";
}

TEST(Safetensors, ASparseFileCannotClaimALongHeader) {
  const TempFolder folder;
  write_text(folder / "s", std::string("\x00\x00\x00\x00\x01\x00\x00\x00", 8));  // 4 GiB of header
  std::filesystem::resize_file(folder / "s", std::uintmax_t{6} << 30);
  const auto file = SafetensorsFile::open(folder / "s");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().kind, ErrorKind::kCorrupt);
}

struct BadHeader {
  const char* header;
  std::size_t data_bytes;
  const char* fault;
};

TEST(Safetensors, EachMalformedHeaderIsCorruptAndNamesItsFault) {
  const BadHeader cases[] = {
      {R"([])", 0, "not a JSON object"},
      {R"({"x":1})", 0, "lacks dtype"},
      {R"({"x":{"dtype":"F32","shape":[1]}})", 4, "lacks dtype"},
      {R"({"x":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})", 4, "dtype is not a string"},
      {R"({"x":{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}})", 4, "its dtype is 'Q7'"},
      {R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "shape is not"},
      {R"({"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "shape is not"},
      {R"({"x":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, "shape is not"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "data_offsets are not"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "data_offsets are not"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})", 4, "data_offsets are not"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999999]}})", 4, "data_offsets are not"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "needs 8 bytes but"},
      {R"({"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "larger than any memory"},
      {R"({"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0, "larger than any memory"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "truncated"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})", 6, "overlaps"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "overlaps"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "4 bytes before tensor 'x'"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "1 bytes after the last tensor"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "stands twice"},
      {R"({"__metadata__":7})", 0, "__metadata__ is not an object"},
      {R"({"__metadata__":{"a":7}})", 0, "the metadata 'a' is not a string"},
      {R"({"x")", 0, "no valid JSON"},
  };
  for (const BadHeader& bad : cases) {
    const Error error = error_of(container(bad.header, bad.data_bytes));
    EXPECT_EQ(error.kind, ErrorKind::kCorrupt) << bad.header;
    EXPECT_NE(error.message().find(bad.fault), std::string::npos) << bad.header << "\n" << error.message();
  }
}

TEST(Safetensors, TensorsThatCannotBeWrittenAreRefusedBeforeTheFileIsTouched) {
  const TempFolder folder;
  const std::vector<std::byte> four(4);
  const std::vector<std::vector<SafetensorsTensor>> cases{{tensor("x", "F32", {2}, four)},
                                                          {tensor("x", "Q7", {4}, four)},
                                                          {tensor("x", "F32", {-1}, four)},
                                                          {tensor("__metadata__", "F32", {1}, four)},
                                                          {tensor("x", "F32", {1}, four), tensor("x", "F32", {1}, four)}};
  for (const auto& tensors : cases) {
    const auto written = write_safetensors(folder / "t", tensors);
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().kind, ErrorKind::kInvalidArgument);
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(Safetensors, ThousandsOfTensorsAreReadInOrder) {
  const TempFolder folder;
  const std::vector<std::byte> four(4);
  std::vector<SafetensorsTensor> tensors;
  for (int i = 0; i < 5000; ++i) tensors.push_back(tensor(std::string("t").append(std::to_string(i)), "F32", {1}, four));
  ASSERT_TRUE(write_safetensors(folder / "t", tensors).ok());
  const auto file = SafetensorsFile::open(folder / "t");
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->tensors().size(), 5000u);
  EXPECT_EQ(file->tensors()[4321].name, "t4321");
}

TEST(Safetensors, ACopyKeepsTheBytesAlive) {
  const TempFolder folder;
  const std::vector<std::byte> data = bytes_of("hello");
  const std::vector<SafetensorsTensor> tensors{tensor("x", "U8", {5}, data)};
  ASSERT_TRUE(write_safetensors(folder / "t", tensors).ok());
  std::optional<SafetensorsFile> copy;
  {
    const auto file = SafetensorsFile::open(folder / "t");
    ASSERT_TRUE(file.ok());
    copy = *file;
  }
  EXPECT_TRUE(std::ranges::equal(copy->find("x")->data, data));
}

}  // namespace
}  // namespace fsa
