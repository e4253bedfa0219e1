#include "codegen/ptxas_report.h"

#include <gtest/gtest.h>

namespace fsa {
namespace {

// Logs as NVRTC 13.0 writes them.
constexpr std::string_view kTwoKernels = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'kernel_entry_count' for 'sm_80'
ptxas info    : Function properties for kernel_entry_count
ptxas         .     800 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers, 800 bytes cumulative stack size, 364 bytes cmem[0]
ptxas info    : Compile time = 24.771 ms
ptxas info    : Compiling entry function 'kernel_entry_place' for 'sm_80'
ptxas info    : Function properties for kernel_entry_place
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 1 barriers, 256 bytes smem, 360 bytes cmem[0]
ptxas info    : Compile time = 1.818 ms
)";

constexpr std::string_view kSpilling =
    R"(ptxas warning : Registers are spilled to local memory in function 'kernel_entry', 1688 bytes spill stores, 1712 bytes spill loads
ptxas info    : Compiling entry function 'kernel_entry' for 'sm_90a'
ptxas info    : Function properties for kernel_entry
ptxas         .     880 bytes stack frame, 1688 bytes spill stores, 1712 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 880 bytes cumulative stack size
)";

// nvcc and NVRTC 12 indent the frame line and have no "ptxas" in front of it.
constexpr std::string_view kVersion12 = R"(ptxas info    : Function properties for kernel_entry
    16 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 255 registers, used 2 barriers, 16 bytes cumulative stack size, 1024 bytes smem, 400 bytes cmem[0]
)";

constexpr std::string_view kHopper =
    R"(ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; unable to determine register count at entry.
ptxas info    : (C7517) warpgroup.wait is injected in around line 43 by compiler to allow use of registers defined by GMMA in function 'kernel_entry'
ptxas info    : (C7511) Potential Performance Loss: wgmma.mma_async instructions are serialized due to insufficient register resources for the wgmma pipeline in the function 'kernel_entry'
ptxas info    : Function properties for kernel_entry
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 30 registers, used 0 barriers
)";

constexpr std::string_view kFrontEnd = R"(kernel.cu(12): warning #177-D: variable "unused" was declared but never referenced
  int unused;
      ^

Remark: The warnings can be suppressed with "-diag-suppress <warning-number>"

ptxas warning : Value of threads per SM for entry kernel_entry is out of range. .minnctapersm will be ignored
ptxas info    : Used 8 registers, used 0 barriers
)";

TEST(PtxasReport, TakesTheMaximaOverAllEntryPoints) {
  const CompileReport report = parse_ptxas_report(kTwoKernels);
  EXPECT_EQ(report.registers, 40);
  EXPECT_EQ(report.stack_bytes, 800);
  EXPECT_EQ(report.static_smem_bytes, 256);
  EXPECT_EQ(report.spill_bytes, 0);
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_EQ(performance_flaw(report), "");
}

TEST(PtxasReport, SumsSpillsAndCountsTheWarningThatRepeatsThemOnce) {
  const CompileReport report = parse_ptxas_report(kSpilling);
  EXPECT_EQ(report.spill_bytes, 1688 + 1712);
  EXPECT_EQ(report.stack_bytes, 880);
  EXPECT_EQ(report.registers, 32);
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_EQ(performance_flaw(report), "3400 bytes of registers are spilled");
}

TEST(PtxasReport, ReadsTheFormOfVersion12) {
  const CompileReport report = parse_ptxas_report(kVersion12);
  EXPECT_EQ(report.registers, 255);
  EXPECT_EQ(report.spill_bytes, 12);
  EXPECT_EQ(report.stack_bytes, 16);
  EXPECT_EQ(report.static_smem_bytes, 1024);
}

TEST(PtxasReport, KeepsTheNotesOfLostHopperFeaturesVerbatim) {
  const CompileReport report = parse_ptxas_report(kHopper);
  ASSERT_EQ(report.warnings.size(), 2u);
  EXPECT_NE(report.warnings[0].find("'setmaxnreg' ignored"), std::string::npos);
  EXPECT_NE(report.warnings[1].find("wgmma.mma_async instructions are serialized"), std::string::npos);
  EXPECT_EQ(performance_flaw(report), report.warnings[0]);
  EXPECT_EQ(performance_flaw({.warnings = {report.warnings[1]}}), report.warnings[1]);
}

TEST(PtxasReport, KeepsWarningsOfFrontEndAndAssemblerWithoutCallingThemFlaws) {
  const CompileReport report = parse_ptxas_report(kFrontEnd);
  ASSERT_EQ(report.warnings.size(), 2u);
  EXPECT_EQ(report.warnings[0], "kernel.cu(12): warning #177-D: variable \"unused\" was declared but never referenced");
  EXPECT_TRUE(report.warnings[1].starts_with("ptxas warning"));
  EXPECT_EQ(performance_flaw(report), "");
}

TEST(PtxasReport, AnEmptyLogReportsNothing) {
  for (std::string_view log : {"", "\n", "ptxas info    : 0 bytes gmem"}) {
    const CompileReport report = parse_ptxas_report(log);
    EXPECT_EQ(report.registers, -1);
    EXPECT_EQ(report.spill_bytes, 0);
    EXPECT_TRUE(report.warnings.empty());
  }
}

}  // namespace
}  // namespace fsa
