// How a tensor's description in a kernel's parameters becomes what the driver makes of it; without a driver.
#include "runtime/device/cuda_tensor_map.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "templates/tensor_map.h"

namespace fsa {
namespace {

struct Params {
  int before = 17;
  TensorMap map;
  int after = 19;
};

/// What the driver was asked to encode.
struct Asked {
  int type, interleave, swizzle, fill;
  const void* address;
  std::vector<std::uint64_t> extents, strides;
  std::vector<unsigned> box, steps;
} asked;

CudaDriver::Status encode(void* map, int type, unsigned rank, void* address, const std::uint64_t* extents, const std::uint64_t* strides,
                          const unsigned* box, const unsigned* steps, int interleave, int swizzle, int, int fill) {
  asked = {type,
           interleave,
           swizzle,
           fill,
           address,
           {extents, extents + rank},
           {strides, strides + rank - 1},
           {box, box + rank},
           {steps, steps + rank}};
  std::memset(map, 0xab, sizeof(TensorMap));
  return reinterpret_cast<std::uintptr_t>(map) % 64 == 0 ? CudaDriver::kSuccess : CudaDriver::kInvalidValue;
}

CudaDriver::Status refuse(void*, int, unsigned, void*, const std::uint64_t*, const std::uint64_t*, const unsigned*, const unsigned*, int,
                          int, int, int) {
  return CudaDriver::kInvalidValue;
}

CudaDriver driver_with(decltype(CudaDriver::tensor_map_encode_tiled) function) {
  CudaDriver driver;
  driver.tensor_map_encode_tiled = function;
  driver.get_error_name = [](CudaDriver::Status, const char** name) { return *name = "NAME", CudaDriver::kSuccess; };
  driver.get_error_string = [](CudaDriver::Status, const char** text) { return *text = "text", CudaDriver::kSuccess; };
  return driver;
}

ParamBlock block() {
  Params params{};
  params.map.tensor = {.data = reinterpret_cast<void*>(0x1000),
                       .row_stride = 1024,
                       .head_stride = 256,
                       .columns = 128,
                       .rows = 77,
                       .heads = 4,
                       .box_rows = 112};
  ParamBlock block;
  block.set(params);
  return block;
}

TEST(TensorMapEncoding, AsksForPanelsOfSixtyFourSwizzledColumns) {
  ParamBlock encoded;
  ASSERT_TRUE(encode_tensor_map(driver_with(encode), block(), offsetof(Params, map), encoded));
  EXPECT_EQ(asked.type, 1);     // CU_TENSOR_MAP_DATA_TYPE_UINT16
  EXPECT_EQ(asked.swizzle, 3);  // CU_TENSOR_MAP_SWIZZLE_128B
  EXPECT_EQ(asked.interleave, 0);
  EXPECT_EQ(asked.fill, 0);
  EXPECT_EQ(asked.address, reinterpret_cast<void*>(0x1000));
  EXPECT_EQ(asked.extents, (std::vector<std::uint64_t>{128, 77, 4}));
  EXPECT_EQ(asked.strides, (std::vector<std::uint64_t>{1024, 256}));
  EXPECT_EQ(asked.box, (std::vector<unsigned>{64, 112, 1}));
  EXPECT_EQ(asked.steps, (std::vector<unsigned>{1, 1, 1}));
}

TEST(TensorMapEncoding, ReplacesTheDescriptionInACopy) {
  const ParamBlock params = block();
  ParamBlock encoded;
  ASSERT_TRUE(encode_tensor_map(driver_with(encode), params, offsetof(Params, map), encoded));
  ASSERT_EQ(encoded.size(), params.size());
  Params before, after;
  std::memcpy(&before, params.data(), sizeof(before));
  std::memcpy(&after, encoded.data(), sizeof(after));
  EXPECT_EQ(before.map.tensor.rows, 77u);
  EXPECT_EQ(after.before, 17);
  EXPECT_EQ(after.after, 19);
  for (const unsigned char byte : after.map.encoded) EXPECT_EQ(byte, 0xab);
}

TEST(TensorMapEncoding, ARefusalSaysOfWhat) {
  ParamBlock encoded;
  const auto done = encode_tensor_map(driver_with(refuse), block(), offsetof(Params, map), encoded);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kDevice);
  EXPECT_NE(done.error().given.find("77 rows, 4 heads and 128 columns, 1024 and 256 bytes apart: NAME (text)"), std::string::npos)
      << done.error().given;
}

TEST(TensorMapEncoding, AnOldDriverIsNamed) {
  EXPECT_TRUE(check_tensor_maps(driver_with(encode)));
  const auto checked = check_tensor_maps(CudaDriver{});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(checked.error().given.find("cuTensorMapEncodeTiled"), std::string::npos);
}

}  // namespace
}  // namespace fsa
