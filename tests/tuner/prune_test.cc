#include "tuner/prune.h"

#include <gtest/gtest.h>

namespace fsa::tuner {
namespace {

CompileReport warned(std::string warning) { return {.seconds = 0.1, .registers = 128, .warnings = {std::move(warning)}}; }

TEST(Prune, ACleanReportIsKept) { EXPECT_EQ(prune_reason(CompileReport{.registers = 255, .warnings = {}}), ""); }

TEST(Prune, SpillsArePruned) { EXPECT_EQ(prune_reason(CompileReport{.spill_bytes = 16, .warnings = {}}), "spills 16 bytes of registers"); }

TEST(Prune, SerialisedWgmmaIsPruned) {
  EXPECT_NE(prune_reason(warned("Potential Performance Loss: wgmma.mma_async instructions are serialized due to ...")), "");
}

TEST(Prune, IgnoredSetmaxnregIsPruned) {
  EXPECT_NE(prune_reason(warned("setmaxnreg ignored to maintain minimum register requirements")), "");
}

TEST(Prune, OtherWarningsAreKept) { EXPECT_EQ(prune_reason(warned("variable 'x' was declared but never referenced")), ""); }

TEST(Prune, ConfigsBeyondTheCudaTargetArePruned) {
  const Target target = *Target::parse("sm_86");
  EXPECT_EQ(prune_reason(Resources{.threads = 128, .scratch_bytes = 90000, .registers = 200}, target), "");
  EXPECT_NE(prune_reason(Resources{.threads = 128, .scratch_bytes = 200000, .registers = 64}, target), "");
  EXPECT_NE(prune_reason(Resources{.threads = 512, .registers = 129}, target), "");
  EXPECT_EQ(prune_reason(Resources{.threads = 512, .registers = 128}, target), "");
  EXPECT_NE(prune_reason(Resources{.threads = 2048, .registers = 16}, target), "");
}

TEST(Prune, MicrokernelsBeyondTheVectorRegistersArePruned) {
  const Target avx2 = *Target::parse("x86-64-v3"), avx512 = *Target::parse("x86-64-v4");
  EXPECT_NE(prune_reason(Resources{.registers = 24}, avx2), "");
  EXPECT_EQ(prune_reason(Resources{.registers = 24}, avx512), "");
}

}  // namespace
}  // namespace fsa::tuner
