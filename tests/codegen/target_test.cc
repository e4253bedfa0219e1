#include "codegen/target.h"

#include <gtest/gtest.h>

namespace fsa {
namespace {

TEST(Target, EveryKnownNameSurvivesTheRoundTrip) {
  EXPECT_GE(Target::known().size(), 9u);
  for (const std::string& name : Target::known()) {
    const auto target = Target::parse(name);
    ASSERT_TRUE(target) << name;
    EXPECT_EQ(target->to_string(), name);
    EXPECT_EQ(*Target::parse(target->to_string()), *target);
  }
}

TEST(Target, AnUnknownNameListsTheKnownOnes) {
  for (const char* name : {"", "sm_70", "sm_90", "SM_80", "x86-64", "avx2", "sm_80 "}) {
    const auto target = Target::parse(name);
    ASSERT_FALSE(target) << name;
    EXPECT_EQ(target.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_NE(target.error().supported.find("sm_90a"), std::string::npos);
    EXPECT_NE(target.error().supported.find("x86-64-v3"), std::string::npos);
  }
}

TEST(Target, ComputeCapabilitiesMapToArchitectures) {
  const auto arch = [](int major, int minor) {
    const auto target = Target::cuda_device(major, minor);
    return target ? target->arch : target.error().given;
  };
  EXPECT_EQ(arch(8, 0), "sm_80");
  EXPECT_EQ(arch(8, 7), "sm_86");
  EXPECT_EQ(arch(8, 9), "sm_89");
  EXPECT_EQ(arch(9, 0), "sm_90a");
  EXPECT_EQ(arch(10, 0), "sm_100a");
  EXPECT_EQ(arch(12, 0), "sm_120a");
}

TEST(Target, AnOldGpuIsToldWhatElseThereIs) {
  const auto target = Target::cuda_device(7, 5);
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(target.error().given.find("7.5"), std::string::npos);
  EXPECT_NE(target.error().remedy.find("cpu"), std::string::npos);
}

TEST(Target, LimitsAreThoseOfTheArchitecture) {
  const Target a100 = *Target::parse("sm_80"), ada = *Target::parse("sm_89"), hopper = *Target::parse("sm_90a");
  EXPECT_EQ(a100.cuda.smem_per_block, 163u * 1024);
  EXPECT_EQ(ada.cuda.smem_per_block, 99u * 1024);
  EXPECT_EQ(hopper.cuda.smem_per_block, 227u * 1024);
  EXPECT_EQ(Target::parse("x86-64-v4")->cpu.vector_registers(), 32);
  EXPECT_EQ(Target::parse("x86-64-v3")->cpu.vector_bytes(), 32);
}

TEST(Target, RunsCodeOfFewerFeaturesOnly) {
  const auto runs = [](const char* device, const char* code) { return Target::parse(device)->runs(*Target::parse(code)); };
  EXPECT_TRUE(runs("x86-64-v4+avx512bf16", "x86-64-v3"));
  EXPECT_TRUE(runs("x86-64-v4+avx512bf16", "x86-64-v4"));
  EXPECT_FALSE(runs("x86-64-v3", "x86-64-v4"));
  EXPECT_FALSE(runs("x86-64-v4", "x86-64-v4+avx512bf16"));
  EXPECT_TRUE(runs("sm_89", "sm_80"));
  EXPECT_FALSE(runs("sm_80", "sm_89"));
  EXPECT_FALSE(runs("sm_90a", "sm_80"));
  EXPECT_TRUE(runs("sm_90a", "sm_90a"));
  EXPECT_FALSE(runs("sm_120a", "sm_100a"));
  EXPECT_FALSE(runs("sm_80", "x86-64-v3"));
  EXPECT_FALSE(runs("x86-64-v3", "sm_80"));
}

TEST(Target, ThisCpuIsAKnownTarget) {
  const auto host = Target::host_cpu();
  if (!host) {
    EXPECT_EQ(host.error().kind, ErrorKind::kUnavailable);
    GTEST_SKIP() << host.error().message();
  }
  EXPECT_EQ(host->backend, Backend::kCpu);
  EXPECT_TRUE(host->runs(*host));
  EXPECT_EQ(*Target::parse(host->to_string()), *host);
}

}  // namespace
}  // namespace fsa
