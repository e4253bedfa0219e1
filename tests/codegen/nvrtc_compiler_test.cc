#include "codegen/nvrtc_compiler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>
#include <vector>

#include "codegen/nvrtc_library.h"

namespace fsa {
namespace {

using Texts = std::map<std::string, std::string, std::less<>>;

Texts scale_templates() {
  return {{"shared/factor.cuh", "#pragma once\nnamespace fsa { constexpr float twice(float x) { return 2 * x; } }\n"},
          {"dims.h", "#pragma once\nnamespace fsa { enum class Mode : int { kPlain, kDouble }; }\n"},
          {"scale/params.h", "#pragma once\n#include \"dims.h\"\nnamespace fsa::scale { struct Params { float* x; int n; }; }\n"},
          {"scale/kernel.cuh",
           "#pragma once\n#include \"scale/params.h\"\n#include \"shared/factor.cuh\"\nnamespace fsa::scale {\n"
           "template <int kThreads> __device__ void run(const Params& p) {\n"
           "  const int i = blockIdx.x * kThreads + threadIdx.x;\n  if (i < p.n) p.x[i] = twice(p.x[i]);\n}\n}\n"},
          {"scale/kernel.cpu.cc", "#error a CPU file was given to NVRTC\n"}};
}

Specialization scale_on(std::string_view target, std::string body = "fsa::scale::run<128>(p);") {
  return {.family = "scale",
          .version = 1,
          .target = Target::parse(target).value(),
          .shape = Json::object(),
          .config = {{"threads", 128}},
          .source =
              "#include \"scale/kernel.cuh\"\nextern \"C\" __global__ __launch_bounds__(128, 1)\n"
              "void kernel_entry(const __grid_constant__ fsa::scale::Params p) { " +
              body + " }\n",
          .constants = {},
          .symbols = {"kernel_entry"}};
}

/// A body that takes the compiler seconds: every statement depends on the one before it.
std::string long_body() {
  std::string body = "float a = p.x[0], b = p.x[1], c = p.x[2];\n";
  for (int i = 0; i < 6000; ++i) body += "a = a * b + c * sinf(a); b = b * c - a; c = a + b * cosf(c);\n";
  return body + "p.x[0] = a + b + c;";
}

class NvrtcCompiler : public testing::Test {
 protected:
  void SetUp() override {
    auto made = make_nvrtc_compiler(
        std::make_shared<TemplateStore>(scale_templates(), std::map<std::string, std::span<const std::byte>, std::less<>>{}));
    if (!made) {
      ASSERT_EQ(made.error().kind, ErrorKind::kUnavailable) << made.error().message();
      GTEST_SKIP() << made.error().message();
    }
    compiler_ = std::move(made).value();
  }
  std::unique_ptr<Compiler> compiler_;
};

TEST_F(NvrtcCompiler, CompilesACubinWithItsReportForEveryTarget) {
  for (std::string_view target : {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"}) {
    const auto binary = compiler_->compile(scale_on(target));
    ASSERT_TRUE(binary) << binary.error().message();
    ASSERT_GT(binary->bytes.size(), 64u);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(binary->bytes.data()) + 1, 3), "ELF");
    EXPECT_GT(binary->report.registers, 0);
    EXPECT_EQ(binary->report.spill_bytes, 0);
    EXPECT_GT(binary->report.seconds, 0);
    EXPECT_TRUE(binary->report.warnings.empty()) << binary->report.warnings.front();
  }
}

TEST_F(NvrtcCompiler, TheSameSourceGivesTheSameBytes) {
  const auto first = compiler_->compile(scale_on("sm_90a"));
  const auto second = compiler_->compile(scale_on("sm_90a"));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->bytes, second->bytes);
}

TEST_F(NvrtcCompiler, IdentityNamesVersionAndOptionsAndNoPath) {
  const std::string identity(compiler_->identity());
  EXPECT_TRUE(identity.starts_with("nvrtc-1")) << identity;
  EXPECT_NE(identity.find(";options-v"), std::string::npos) << identity;
  EXPECT_EQ(identity.find('/'), std::string::npos) << identity;
}

TEST_F(NvrtcCompiler, TemplateDigestCoversWhatTheKernelIncludes) {
  Texts edited = scale_templates(), unrelated = scale_templates();
  edited["shared/factor.cuh"] += "// edited\n";
  unrelated["other/kernel.cuh"] = "";
  const auto digest_of = [](Texts texts) {
    const auto compiler = make_nvrtc_compiler(
        std::make_shared<TemplateStore>(std::move(texts), std::map<std::string, std::span<const std::byte>, std::less<>>{}));
    return compiler.value()->template_digest("scale").value();
  };
  EXPECT_NE(compiler_->template_digest("scale").value(), digest_of(edited));
  EXPECT_EQ(compiler_->template_digest("scale").value(), digest_of(unrelated));
  EXPECT_EQ(compiler_->template_digest("missing").error().kind, ErrorKind::kNotFound);
}

TEST_F(NvrtcCompiler, ARejectedSourceNamesTheSpecializationAndQuotesTheLog) {
  const auto binary = compiler_->compile(scale_on("sm_80", "undefined_thing = 1;"));
  ASSERT_FALSE(binary);
  EXPECT_EQ(binary.error().kind, ErrorKind::kCompile);
  EXPECT_NE(binary.error().given.find("scale-sm_80-threads=128"), std::string::npos) << binary.error().given;
  EXPECT_NE(binary.error().given.find("undefined_thing"), std::string::npos) << binary.error().given;
}

TEST_F(NvrtcCompiler, AVeryLongLogIsCutShort) {
  std::string body;
  for (int i = 0; i < 80; ++i) body += "undefined_thing_" + std::to_string(i) + " = 1;\n";
  const auto binary = compiler_->compile(scale_on("sm_80", body));
  ASSERT_FALSE(binary);
  EXPECT_LT(binary.error().given.size(), 5000u);
  EXPECT_NE(binary.error().given.find("the rest of the log is left out"), std::string::npos);
}

TEST_F(NvrtcCompiler, ReportsSpillsAndWarnings) {
  const std::string unrolled = "_Pragma(\"unroll\") for (int i = 0; i < 300; ++i) ";
  const std::string body = "float x[300]; int unused; " + unrolled + "x[i] = p.x[i * 128 + threadIdx.x];\n" +
                           "for (int k = 0; k < p.n; ++k) " + unrolled + "x[i] = x[i] * x[(i + 7) % 300] + p.x[k];\n" + unrolled +
                           "p.x[i * 128 + threadIdx.x] = x[i];";
  const auto binary = compiler_->compile(scale_on("sm_80", body));
  ASSERT_TRUE(binary) << binary.error().message();
  EXPECT_GT(binary->report.spill_bytes, 0);
  EXPECT_GT(binary->report.stack_bytes, 0);
  EXPECT_EQ(binary->report.warnings.size(), 2u);  // the unused variable, and the spills
}

TEST_F(NvrtcCompiler, CompilesInParallel) {
  const auto expected = compiler_->compile(scale_on("sm_90a"));
  ASSERT_TRUE(expected);
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 4; ++i) {
        const auto binary = compiler_->compile(scale_on("sm_90a"));
        good += binary && binary->bytes == expected->bytes;
      }
    });
  threads.clear();
  EXPECT_EQ(good, 16);
}

TEST_F(NvrtcCompiler, AStopRequestedBeforehandCancels) {
  std::stop_source source;
  source.request_stop();
  const auto binary = compiler_->compile(scale_on("sm_90a"), source.get_token());
  ASSERT_FALSE(binary);
  EXPECT_EQ(binary.error().kind, ErrorKind::kCancelled);
}

TEST_F(NvrtcCompiler, AStopRequestEndsACompileThatRuns) {
  if (!NvrtcLibrary::load().value().set_flow_callback) GTEST_SKIP() << "this NVRTC cannot cancel (12.8 and later can)";
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    source.request_stop();
  });
  const auto binary = compiler_->compile(scale_on("sm_90a", long_body()), source.get_token());
  ASSERT_FALSE(binary) << "compiled in " << binary->report.seconds << " s";
  EXPECT_EQ(binary.error().kind, ErrorKind::kCancelled);
}

TEST_F(NvrtcCompiler, ACpuTargetIsRefused) {
  const auto binary = compiler_->compile(scale_on("x86-64-v3"));
  ASSERT_FALSE(binary);
  EXPECT_EQ(binary.error().kind, ErrorKind::kInvalidArgument);
}

TEST_F(NvrtcCompiler, AnArchitectureTheVersionDoesNotKnowIsUnsupported) {
  Specialization s = scale_on("sm_90a");
  s.target.arch = "sm_999";
  const auto binary = compiler_->compile(s);
  ASSERT_FALSE(binary);
  EXPECT_EQ(binary.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(binary.error().supported.find("sm_80"), std::string::npos) << binary.error().message();
}

TEST(NvrtcLibrary, TriesVersionedNamesBeforeTheUnversionedOne) {
  const auto list = NvrtcLibrary::candidates();
  EXPECT_EQ(list.front(), "libnvrtc.so.13");
  EXPECT_TRUE(list.back().ends_with("/libnvrtc.so"));
  EXPECT_EQ(NvrtcLibrary::candidates("/some/where/libnvrtc.so.12"), std::vector<std::string>{"/some/where/libnvrtc.so.12"});
}

TEST(NvrtcLibrary, AMissingLibraryNamesWhatWasTriedAndHowToMendIt) {
  const auto lib = NvrtcLibrary::load("/nowhere/libnvrtc.so.13");
  ASSERT_FALSE(lib);
  EXPECT_EQ(lib.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(lib.error().given.find("/nowhere/libnvrtc.so.13"), std::string::npos) << lib.error().message();
  EXPECT_NE(lib.error().remedy.find("FSA_NVRTC_PATH"), std::string::npos) << lib.error().message();
}

TEST(NvrtcLibrary, AFileThatIsNoLibraryIsUnavailableNotACrash) {
  const std::string path = testing::TempDir() + "libnvrtc.so.13";
  std::ofstream(path) << "not a library";
  const auto lib = NvrtcLibrary::load(testing::TempDir());
  ASSERT_FALSE(lib);
  EXPECT_EQ(lib.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(lib.error().given.find(path), std::string::npos) << lib.error().message();
}

}  // namespace
}  // namespace fsa
