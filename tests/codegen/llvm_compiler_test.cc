#include "codegen/llvm_compiler.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "runtime/device/object_loader.h"

namespace fsa {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFamily = "test_kernel";
constexpr int kWidth = 40;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Params {
  const float* x;
  float* y;
  int* calls;
};
using Entry = void (*)(const Params*, long, void*);

Specialization specialization(const std::string& target, int scale = 3, int bf16_dot = 0) {
  return {.family = std::string(kFamily),
          .version = 1,
          .target = Target::parse(target).value(),
          .shape = {{"width", kWidth}},
          .config = {{"scale", scale}, {"bf16_dot", bf16_dot}},
          .source = {},
          .constants = {kWidth, static_cast<std::uint32_t>(scale), static_cast<std::uint32_t>(bf16_dot)},
          .symbols = {"kernel_entry_scale", "kernel_entry_dot"}};
}

class LlvmCompiler : public testing::Test {
 protected:
  static std::unique_ptr<Compiler> compiler(std::string_view bitcode) {
    return make_llvm_compiler(std::make_shared<const TemplateStore>(std::map<std::string, std::string, std::less<>>{},
                                                                    std::map<std::string, std::span<const std::byte>, std::less<>>{
                                                                        {std::string(kFamily), std::as_bytes(std::span(bitcode))}}))
        .value();
  }
  /// y of items 0..3 for x = 0, 1, 2, ...
  static std::vector<float> run(const Binary& binary) {
    const auto loaded = make_object_loader().value()->load(binary.bytes, specialization("x86-64-v3").symbols).value();
    std::vector<float> x(4 * kWidth), y(4 * kWidth), scratch(kWidth);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
    int calls = 0;
    const Params params{x.data(), y.data(), &calls};
    for (long item = 0; item < 4; ++item) reinterpret_cast<Entry>(loaded->entries()[0])(&params, item, scratch.data());
    EXPECT_EQ(calls, 4);
    return y;
  }
  static void expect_scaled(const std::vector<float>& y, float scale) {
    for (int i = 0; i < 4 * kWidth; ++i) ASSERT_EQ(y[i], scale * i + 100 * (i / kWidth)) << i;
  }

  const std::string bitcode_ = read(FSA_TEST_BITCODE);
  const std::unique_ptr<Compiler> compiler_ = compiler(bitcode_);
};

TEST_F(LlvmCompiler, EveryCpuTargetGivesAnObjectOfItsOwn) {
  std::vector<std::vector<std::byte>> objects;
  for (const char* target : {"x86-64-v3", "x86-64-v4", "x86-64-v4+avx512bf16"}) {
    const auto binary = compiler_->compile(specialization(target, 3, std::string(target).ends_with("bf16")));
    ASSERT_TRUE(binary.ok()) << binary.error().message();
    EXPECT_GT(binary->report.seconds, 0);
    EXPECT_TRUE(binary->report.warnings.empty());
    for (const auto& other : objects) EXPECT_NE(other, binary->bytes);
    objects.push_back(binary->bytes);
  }
}

TEST_F(LlvmCompiler, ConstantsReachTheCode) {
  for (const int scale : {3, -7}) {
    const auto binary = compiler_->compile(specialization(Target::host_cpu().value().to_string(), scale));
    ASSERT_TRUE(binary.ok()) << binary.error().message();
    expect_scaled(run(*binary), static_cast<float>(scale));
  }
}

TEST_F(LlvmCompiler, TheSameInputGivesTheSameBytesAlsoInParallel) {
  const auto first = compiler_->compile(specialization("x86-64-v4")).value();
  std::array<std::vector<std::byte>, 4> again;
  {
    std::vector<std::jthread> threads;
    for (auto& bytes : again) threads.emplace_back([&] { bytes = compiler_->compile(specialization("x86-64-v4")).value().bytes; });
  }
  for (const auto& bytes : again) EXPECT_EQ(bytes, first.bytes);
}

TEST_F(LlvmCompiler, ConstantsOfAnotherSizeAreAnInternalErrorThatStatesBoth) {
  Specialization s = specialization("x86-64-v3");
  s.constants.push_back(0);
  const auto binary = compiler_->compile(s);
  ASSERT_FALSE(binary.ok());
  EXPECT_EQ(binary.error().kind, ErrorKind::kInternal);
  EXPECT_NE(binary.error().given.find("16 bytes"), std::string::npos) << binary.error().message();
  EXPECT_NE(binary.error().given.find("12 bytes"), std::string::npos) << binary.error().message();
}

TEST_F(LlvmCompiler, AMissingEntryIsAnInternalErrorThatNamesIt) {
  Specialization s = specialization("x86-64-v3");
  s.symbols.push_back("kernel_entry_backward");
  const auto binary = compiler_->compile(s);
  ASSERT_FALSE(binary.ok());
  EXPECT_EQ(binary.error().kind, ErrorKind::kInternal);
  EXPECT_NE(binary.error().given.find("kernel_entry_backward"), std::string::npos);
}

TEST_F(LlvmCompiler, AnInstructionThatTheTargetLacksIsACompileErrorAndNotACrash) {
  for (const char* target : {"x86-64-v3", "x86-64-v4"}) {
    const auto binary = compiler_->compile(specialization(target, 3, 1));
    ASSERT_FALSE(binary.ok());
    EXPECT_EQ(binary.error().kind, ErrorKind::kCompile);
    EXPECT_NE(binary.error().given.find("avx512bf16"), std::string::npos) << binary.error().message();
  }
  EXPECT_TRUE(compiler_->compile(specialization("x86-64-v4+avx512bf16", 3, 1)).ok());
}

TEST_F(LlvmCompiler, ACudaTargetIsRefused) {
  const auto binary = compiler_->compile(specialization("sm_90a"));
  ASSERT_FALSE(binary.ok());
  EXPECT_EQ(binary.error().kind, ErrorKind::kInvalidArgument);
}

TEST_F(LlvmCompiler, AFamilyWithoutACpuKernelIsNotFound) {
  Specialization s = specialization("x86-64-v3");
  s.family = "unheard_of";
  EXPECT_EQ(compiler_->compile(s).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(compiler_->template_digest("unheard_of").error().kind, ErrorKind::kNotFound);
}

TEST_F(LlvmCompiler, TruncatedBitcodeIsCorrupt) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{16}, bitcode_.size() / 2, bitcode_.size() - 16}) {
    const auto binary = compiler(std::string_view(bitcode_).substr(0, size))->compile(specialization("x86-64-v3"));
    ASSERT_FALSE(binary.ok()) << size;
    EXPECT_EQ(binary.error().kind, ErrorKind::kCorrupt) << binary.error().message();
  }
}

TEST_F(LlvmCompiler, AStopRequestCancels) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(compiler_->compile(specialization("x86-64-v3"), stop.get_token()).error().kind, ErrorKind::kCancelled);
}

TEST_F(LlvmCompiler, IdentityAndDigestTellCompilersAndTemplatesApart) {
  EXPECT_TRUE(compiler_->identity().starts_with("llvm-19.")) << compiler_->identity();
  const std::string other = bitcode_ + '\0';
  EXPECT_NE(compiler_->template_digest(kFamily).value(), compiler(other)->template_digest(kFamily).value());
  EXPECT_EQ(compiler_->template_digest(kFamily).value(), compiler(bitcode_)->template_digest(kFamily).value());
}

/// A template folder of one family that the test edits.
class EditedTemplates : public LlvmCompiler {
 protected:
  void SetUp() override { write(read(FSA_TEST_KERNEL)); }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& text) {
    fs::create_directories(folder_ / kFamily);
    std::ofstream(folder_ / kFamily / "kernel.cpu.cc", std::ios::binary) << text;
  }
  void replace(const std::string& old_text, const std::string& new_text) {
    std::string text = read(folder_ / kFamily / "kernel.cpu.cc");
    text.replace(text.find(old_text), old_text.size(), new_text);
    write(text);
  }
  std::unique_ptr<Compiler> edited() {
    auto store = TemplateStore::from_directory(folder_.string());
    return make_llvm_compiler(std::make_shared<const TemplateStore>(std::move(store).value())).value();
  }

  const fs::path folder_ = fs::temp_directory_path() / ("fsa_edited_" + std::to_string(::getpid()));
  const std::string host_ = Target::host_cpu().value().to_string();
};

TEST_F(EditedTemplates, AnEditChangesDigestAndCode) {
  const auto before = edited();
  expect_scaled(run(before->compile(specialization(host_)).value()), 3);
  replace("fsa_constants.scale * row", "2 * fsa_constants.scale * row");
  const auto after = edited();
  EXPECT_NE(before->template_digest(kFamily).value(), after->template_digest(kFamily).value());
  expect_scaled(run(after->compile(specialization(host_)).value()), 6);
}

TEST_F(EditedTemplates, ASyntaxErrorComesBackWithTheWordsOfClang) {
  replace("float* row", "flaot* row");
  const auto binary = edited()->compile(specialization(host_));
  ASSERT_FALSE(binary.ok());
  EXPECT_EQ(binary.error().kind, ErrorKind::kCompile);
  EXPECT_NE(binary.error().given.find("unknown type name 'flaot'"), std::string::npos) << binary.error().message();
}

TEST_F(EditedTemplates, AnEditBehindTheBackOfALoadedStoreIsRefused) {
  const auto stale = edited();
  replace("fsa_constants.scale * row", "2 * fsa_constants.scale * row");
  EXPECT_EQ(stale->compile(specialization(host_)).error().kind, ErrorKind::kInvalidArgument);
}

TEST_F(EditedTemplates, WithoutClangTheErrorNamesItAndTheWayOut) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  const auto binary = edited()->compile(specialization(host_));
  setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(binary.ok());
  EXPECT_EQ(binary.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(binary.error().given.find("clang++-19"), std::string::npos) << binary.error().message();
  EXPECT_NE(binary.error().remedy.find("FSA_TEMPLATE_DIR"), std::string::npos);
}

}  // namespace
}  // namespace fsa
