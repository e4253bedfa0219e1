#include "runtime/roofline.h"

#include <gtest/gtest.h>

namespace fsa {
namespace {

const DeviceRates kRates{.clock_hz = 1.83e9, .bytes_per_second = 3.35e12};

Roofline of(const char* arch, const std::string& name, int units, DeviceRates rates = kRates) {
  return gpu_roofline(Target::parse(arch).value(), name, units, rates);
}

TEST(Roofline, StatedRatesGiveTheVendorsNumbers) {
  EXPECT_NEAR(of("sm_90a", "H100", 132).flops, 989e12, 2e12);
  EXPECT_NEAR(of("sm_80", "A100", 108, {.clock_hz = 1.41e9}).flops, 312e12, 1e12);
  EXPECT_NEAR(of("sm_89", "NVIDIA GeForce RTX 4090", 128, {.clock_hz = 2.52e9}).flops, 165e12, 1e12);
  EXPECT_NEAR(of("sm_89", "NVIDIA L40S", 142, {.clock_hz = 2.52e9}).flops, 366e12, 2e12);
  EXPECT_NE(of("sm_90a", "H100", 132).basis.find("3350 GB/s"), std::string::npos);
}

TEST(Roofline, TheSlowerOfArithmeticAndMemoryBounds) {
  const Roofline roofline{.flops = 100, .bytes_per_second = 10, .basis = ""};
  EXPECT_DOUBLE_EQ(roofline.least_seconds({.flops = 1000, .bytes = 50}), 10);
  EXPECT_DOUBLE_EQ(roofline.least_seconds({.flops = 100, .bytes = 50}), 5);
  EXPECT_DOUBLE_EQ(roofline.fraction({.flops = 100, .bytes = 50}, 20), 0.25);
}

TEST(Roofline, WhatIsNotKnownBoundsNothing) {
  CudaLimits unheard_of;
  unheard_of.major = 99;
  EXPECT_EQ(tensor_flops_per_clock(unheard_of, false), 0);
  EXPECT_EQ(of("sm_90a", "H100", 132, {}).fraction({.flops = 1, .bytes = 1}, 1), 0);
  EXPECT_EQ(of("sm_90a", "H100", 132, {}).basis, "");
  EXPECT_EQ(Roofline{}.fraction({.flops = 1, .bytes = 1}, 1), 0);
  EXPECT_EQ(Roofline{.flops = 1}.fraction({.flops = 1, .bytes = 1}, 0), 0) << "no time taken";
}

}  // namespace
}  // namespace fsa
