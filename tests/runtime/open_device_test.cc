#include <gtest/gtest.h>

#include "runtime/device/cuda_driver.h"
#include "runtime/device/device.h"

namespace fsa {
namespace {

TEST(OpenDevice, AnUnknownNameListsTheKnownOnes) {
  for (std::string_view name : {"tpu", "", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:99999999999", "CPU"}) {
    const auto device = open_device(name);
    ASSERT_FALSE(device) << name;
    EXPECT_EQ(device.error().kind, ErrorKind::kInvalidArgument) << name;
    EXPECT_NE(device.error().given.find(name), std::string::npos) << device.error().message();
    EXPECT_NE(device.error().supported.find("cuda:N"), std::string::npos) << device.error().message();
  }
}

TEST(OpenDevice, WithoutAGpuTheErrorSaysWhatIsMissingAndPointsToTheCpu) {
  if (CudaDriver::load()) GTEST_SKIP() << "this machine has a GPU";
  for (std::string_view name : {"cuda", "cuda:0", "cuda:7"}) {
    const auto device = open_device(name);
    ASSERT_FALSE(device) << name;
    EXPECT_EQ(device.error().kind, ErrorKind::kUnavailable);
    EXPECT_NE(device.error().given.find("driver"), std::string::npos) << device.error().message();
    EXPECT_NE(device.error().remedy.find("'cpu'"), std::string::npos) << device.error().message();
  }
}

TEST(OpenDevice, AnOrdinalThatDoesNotExistSaysHowManyThereAre) {
  const auto driver = CudaDriver::load();
  if (!driver) GTEST_SKIP() << driver.error().message();
  const auto device = open_device("cuda:4096");
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(device.error().given.find("this machine has"), std::string::npos) << device.error().message();
  EXPECT_NE(device.error().remedy.find("'cpu'"), std::string::npos) << device.error().message();
}

}  // namespace
}  // namespace fsa
