#include "codegen/generate.h"

#include <gtest/gtest.h>

#include <array>

#include "codegen/specialization.h"

namespace fsa {
namespace {

TEST(Generate, OneEntryHasThePlainSymbolAndSeveralCarryTheirNames) {
  constexpr std::array<std::string_view, 1> kOne{"run"};
  constexpr std::array<std::string_view, 2> kTwo{"count", "fill"};
  EXPECT_EQ(entry_symbols(kOne), std::vector<std::string>{"kernel_entry"});
  EXPECT_EQ(entry_symbols(kTwo), (std::vector<std::string>{"kernel_entry_count", "kernel_entry_fill"}));
}

TEST(Generate, TheSourceIsAFewNamedLines) {
  constexpr std::array<std::string_view, 1> kEntries{"run"};
  const auto symbols = entry_symbols(kEntries);
  EXPECT_EQ(generate_cuda({.family = "demo",
                           .shape_initializers = ".head_dim = 64",
                           .config_type = "demo::Config",
                           .config_initializers = ".rows = 8",
                           .entries = kEntries,
                           .symbols = symbols}),
            "#include \"demo/kernel.cuh\"\n"
            "using namespace fsa;\n"
            "constexpr demo::Shape kShape{.head_dim = 64};\n"
            "constexpr demo::Config kConfig{.rows = 8};\n"
            "extern \"C\" __global__ __launch_bounds__(kConfig.threads(), kConfig.min_blocks())\n"
            "void kernel_entry(const __grid_constant__ demo::Params p) { demo::run<kShape, kConfig>(p); }\n");
}

TEST(Generate, EveryEntryGetsAFunction) {
  constexpr std::array<std::string_view, 2> kEntries{"count", "fill"};
  const auto symbols = entry_symbols(kEntries);
  const auto text = generate_cuda({.family = "demo",
                                   .shape_initializers = {},
                                   .config_type = "demo::Config",
                                   .config_initializers = {},
                                   .entries = kEntries,
                                   .symbols = symbols});
  EXPECT_NE(text.find("void kernel_entry_count(const __grid_constant__ demo::Params p) { demo::count<kShape, kConfig>(p); }"),
            std::string::npos);
  EXPECT_NE(text.find("void kernel_entry_fill(const __grid_constant__ demo::Params p) { demo::fill<kShape, kConfig>(p); }"),
            std::string::npos);
}

Specialization sample() {
  return {.family = "demo",
          .version = 2,
          .target = *Target::parse("sm_80"),
          .shape = {{"head_dim", 64}},
          .config = {{"rows", 8}, {"partial", "f16"}}};
}

TEST(Specialization, TheNameTellsShapeAndConfig) { EXPECT_EQ(sample().name(), "demo-sm_80-head_dim=64-rows=8-partial=f16"); }

TEST(Specialization, EveryPartOfItChangesTheKernelDigest) {
  const Digest digest = sample().kernel_digest();
  EXPECT_EQ(sample().kernel_digest(), digest);
  auto s = sample();
  s.family = "demo2";
  EXPECT_NE(s.kernel_digest(), digest);
  s = sample();
  s.version = 3;
  EXPECT_NE(s.kernel_digest(), digest);
  s = sample();
  s.target = *Target::parse("sm_86");
  EXPECT_NE(s.kernel_digest(), digest);
  s = sample();
  s.shape["head_dim"] = 72;
  EXPECT_NE(s.kernel_digest(), digest);
  s = sample();
  s.config["rows"] = 16;
  EXPECT_NE(s.kernel_digest(), digest);
}

TEST(Specialization, TemplatesAndCompilerChangeTheArtifactDigest) {
  const Digest a = DigestBuilder().field("a").finish(), b = DigestBuilder().field("b").finish();
  const Digest digest = sample().artifact_digest(a, "nvrtc 13.0");
  EXPECT_EQ(sample().artifact_digest(a, "nvrtc 13.0"), digest);
  EXPECT_NE(sample().artifact_digest(b, "nvrtc 13.0"), digest);
  EXPECT_NE(sample().artifact_digest(a, "nvrtc 12.4"), digest);
  EXPECT_NE(sample().kernel_digest(), digest);
}

}  // namespace
}  // namespace fsa
