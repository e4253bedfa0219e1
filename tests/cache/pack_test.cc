#include "cache/pack.h"

#include <gtest/gtest.h>

#include <array>

#include "cache/json_text.h"
#include "tests/cache/temp_folder.h"
#include "tests/cache/tuning_samples.h"

namespace fsa {
namespace {

using namespace test;

Specialization specialization(std::string_view target, int rows = 64, int head_dim = 128) {
  Specialization s;
  s.family = "selected_block_major";
  s.version = 2;
  s.target = *Target::parse(target);
  s.shape = {{"element", "bf16"}, {"head_dim", head_dim}};
  s.config = {{"rows", rows}};
  s.symbols = {"kernel_entry"};
  return s;
}

PackedKernel kernel(std::string_view target, std::string_view binary, int rows = 64) {
  CompileReport report;
  report.registers = 168;
  report.warnings = {"a warning"};
  return {KernelRecord::of(specialization(target, rows), "nvrtc 13.0", report, "fsa 0.1.0"), bytes_of(binary)};
}

/// Writes a pack of these kernels and opens it.
Result<Pack> packed(const TempFolder& folder, std::vector<PackedKernel> kernels) {
  const auto written = write_pack(
      folder / "p.fsapack",
      {.library_version = "0.1.0", .provenance = {{"host", "build 7"}}, .kernels = std::move(kernels), .choices = {sample_entry()}});
  if (!written) return written.error();
  return Pack::open(folder / "p.fsapack");
}

TEST(Pack, AllThatIsWrittenIsReadBack) {
  const TempFolder folder;
  const auto pack = packed(folder, {kernel("sm_90a", "cubin"), kernel("x86-64-v3", "object")});
  ASSERT_TRUE(pack.ok()) << pack.error().message();
  EXPECT_EQ(pack->library_version(), "0.1.0");
  EXPECT_EQ(pack->provenance()["host"], "build 7");
  EXPECT_EQ(pack->targets(), (std::vector<std::string>{"sm_90a", "x86-64-v3"}));
  ASSERT_EQ(pack->choices().size(), 1u);
  EXPECT_EQ(pack->choices()[0].to_json(), sample_entry().to_json());
  EXPECT_TRUE(pack->verify().ok());
  const auto found = pack->find(specialization("sm_90a"));
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->binary, bytes_of("cubin"));
  EXPECT_EQ(found->record.to_json(), kernel("sm_90a", "cubin").record.to_json());
  EXPECT_EQ(found->record.report.registers, 168);
  EXPECT_EQ(found->record.report.warnings, std::vector<std::string>{"a warning"});
}

TEST(Pack, IsAnOrdinaryTensorFile) {
  const TempFolder folder;
  ASSERT_TRUE(packed(folder, {kernel("sm_90a", "cubin")}).ok());
  const auto file = SafetensorsFile::open(folder / "p.fsapack");
  ASSERT_TRUE(file.ok());
  const std::string name = specialization("sm_90a").kernel_digest().hex() + ".sm_90a";
  ASSERT_NE(file->find(name), nullptr);
  EXPECT_EQ(file->find(name)->dtype, "U8");
  EXPECT_EQ(file->metadata().at("format"), "fsa-pack");
}

TEST(Pack, ACpuTakesTheBestCodeItRuns) {
  const TempFolder folder;
  const auto pack = packed(folder, {kernel("x86-64-v3", "v3"), kernel("x86-64-v4", "v4"), kernel("sm_90a", "cubin")});
  ASSERT_TRUE(pack.ok());
  EXPECT_EQ(pack->find(specialization("x86-64-v4+avx512bf16"))->binary, bytes_of("v4"));
  EXPECT_EQ(pack->find(specialization("x86-64-v4"))->binary, bytes_of("v4"));
  EXPECT_EQ(pack->find(specialization("x86-64-v3"))->binary, bytes_of("v3"));
}

TEST(Pack, ALesserTargetServesWhenTheBetterLacksTheConfig) {
  const TempFolder folder;
  const auto pack = packed(folder, {kernel("x86-64-v3", "v3 of 32", 32), kernel("x86-64-v4", "v4 of 64", 64)});
  ASSERT_TRUE(pack.ok());
  EXPECT_EQ(pack->find(specialization("x86-64-v4", 32))->binary, bytes_of("v3 of 32"));
}

TEST(Pack, AGpuTakesCodeOfItsOwnMajorOnly) {
  const TempFolder folder;
  const auto pack = packed(folder, {kernel("sm_80", "ampere"), kernel("sm_86", "ga10x")});
  ASSERT_TRUE(pack.ok());
  EXPECT_EQ(pack->find(specialization("sm_89"))->binary, bytes_of("ga10x"));
  EXPECT_EQ(pack->find(specialization("sm_80"))->binary, bytes_of("ampere"));
  EXPECT_FALSE(pack->find(specialization("sm_90a")).ok());
}

TEST(Pack, RunnableTargetsComeBestFirst) {
  const TempFolder folder;
  const auto pack =
      packed(folder, {kernel("x86-64-v3", "a"), kernel("x86-64-v4+avx512bf16", "b"), kernel("x86-64-v4", "c"), kernel("sm_80", "d")});
  std::vector<std::string> names;
  for (const Target& t : pack->runnable_targets(*Target::parse("x86-64-v4+avx512bf16"))) names.push_back(t.arch);
  EXPECT_EQ(names, (std::vector<std::string>{"x86-64-v4+avx512bf16", "x86-64-v4", "x86-64-v3"}));
}

TEST(Pack, ADeviceWithoutCodeLearnsWhatThePackHoldsAndHowToExport) {
  const TempFolder folder;
  const auto pack = packed(folder, {kernel("sm_80", "a"), kernel("x86-64-v4", "b")});
  const auto found = pack->find(specialization("sm_90a"));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().kind, ErrorKind::kNotFound);
  const std::string message = found.error().message();
  EXPECT_NE(message.find("the pack holds kernels for sm_80, x86-64-v4; this device is sm_90a"), std::string::npos) << message;
  EXPECT_NE(message.find("export again with --target sm_90a"), std::string::npos) << message;
}

TEST(Pack, EachMissingAspectIsNamed) {
  const TempFolder folder;
  const auto pack = packed(folder, {kernel("sm_80", "a"), kernel("sm_90a", "b")});
  Specialization family = specialization("sm_90a"), version = family;
  family.family = "partial_reduce";
  version.version = 3;
  const std::pair<Specialization, const char*> cases[] = {
      {family, "the families selected_block_major for this device, but not partial_reduce"},
      {version, "version 2 of the family; this library needs version 3"},
      {specialization("sm_90a", 64, 96), R"(but not {"element":"bf16","head_dim":96})"},
      {specialization("sm_90a", 32), R"(the configs {"rows":64}, but not {"rows":32})"}};
  for (const auto& [wanted, text] : cases) {
    const auto found = pack->find(wanted);
    ASSERT_FALSE(found.ok()) << text;
    EXPECT_EQ(found.error().kind, ErrorKind::kNotFound);
    EXPECT_NE(found.error().message().find(text), std::string::npos) << found.error().message();
  }
}

TEST(Pack, AnEmptyPackSaysThatItHoldsNothing) {
  const TempFolder folder;
  const auto pack = packed(folder, {});
  ASSERT_TRUE(pack.ok());
  const auto found = pack->find(specialization("sm_90a"));
  EXPECT_EQ(found.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(found.error().message().find("nothing"), std::string::npos) << found.error().message();
}

TEST(Pack, KernelsOfAFamilyAreListedForACallerWithoutAChoice) {
  const TempFolder folder;
  const auto pack =
      packed(folder, {kernel("x86-64-v3", "a", 32), kernel("x86-64-v4", "b", 32), kernel("x86-64-v4", "c", 64), kernel("sm_80", "d")});
  const auto found = pack->kernels_for("selected_block_major", 2, specialization("x86-64-v4").shape, *Target::parse("x86-64-v4"));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0]->record.target, "x86-64-v4");
  EXPECT_EQ(found[2]->record.target, "x86-64-v3");
  EXPECT_EQ(pack->load(*found[2])->binary, bytes_of("a"));
  EXPECT_TRUE(pack->kernels_for("selected_block_major", 1, specialization("x86-64-v4").shape, *Target::parse("x86-64-v4")).empty());
}

TEST(Pack, TheSameKernelTwiceIsRefusedAndNothingIsWritten) {
  const TempFolder folder;
  const auto pack = packed(folder, {kernel("sm_80", "a"), kernel("sm_80", "b")});
  ASSERT_FALSE(pack.ok());
  EXPECT_EQ(pack.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_TRUE(folder.names().empty());
}

TEST(Pack, APathThatCannotBeWrittenIsAnError) {
  const TempFolder folder;
  EXPECT_EQ(write_pack(impossible_path(folder), {}).error().kind, ErrorKind::kIo);
}

TEST(Pack, AMissingFileIsNotFound) { EXPECT_EQ(Pack::open("/no/such/pack").error().kind, ErrorKind::kNotFound); }

TEST(Pack, EveryTruncationIsCorrupt) {
  const TempFolder folder;
  ASSERT_TRUE(packed(folder, {kernel("sm_90a", "cubin")}).ok());
  const std::string whole = read_text(folder / "p.fsapack");
  // All lengths around the header's boundaries, samples in between: each is a file to write and read.
  for (std::size_t length = 0; length < whole.size(); length += length < 20 || length + 80 > whole.size() ? 1 : 23) {
    write_text(folder / "p.fsapack", whole.substr(0, length));
    const auto pack = Pack::open(folder / "p.fsapack");
    ASSERT_FALSE(pack.ok()) << length;
    EXPECT_EQ(pack.error().kind, ErrorKind::kCorrupt) << length;
  }
}

TEST(Pack, AFlippedBitAnywhereIsCorruptWhenOpenedOrWhenVerified) {
  const TempFolder folder;
  ASSERT_TRUE(packed(folder, {kernel("sm_90a", "cubin"), kernel("x86-64-v3", "object")}).ok());
  const std::string whole = read_text(folder / "p.fsapack");
  for (std::size_t i = 0; i<whole.size(); i += i + 12> whole.size() ? 1 : 11) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    write_text(folder / "f", flipped);
    const auto pack = Pack::open(folder / "f");
    const auto verified = pack ? pack->verify() : Result<void>(pack.error());
    ASSERT_FALSE(verified.ok()) << i;
    EXPECT_TRUE(verified.error().kind == ErrorKind::kCorrupt) << i << ": " << verified.error().message();
  }
}

TEST(Pack, ADamagedBinaryIsCorruptWhenItIsTakenAndTheOthersServe) {
  const TempFolder folder;
  ASSERT_TRUE(packed(folder, {kernel("sm_90a", "cubin"), kernel("x86-64-v3", "object")}).ok());
  std::string file = read_text(folder / "p.fsapack");
  file.replace(file.rfind("cubin"), 5, "CUBIN");
  write_text(folder / "p.fsapack", file);
  const auto pack = Pack::open(folder / "p.fsapack");
  ASSERT_TRUE(pack.ok());
  EXPECT_EQ(pack->find(specialization("sm_90a")).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(pack->find(specialization("x86-64-v3"))->binary, bytes_of("object"));
}

TEST(Pack, ATensorFileIsNotAPack) {
  const TempFolder folder;
  ASSERT_TRUE(write_safetensors(folder / "t", {}, {{"scale", "1"}}).ok());
  const auto pack = Pack::open(folder / "t");
  ASSERT_FALSE(pack.ok());
  EXPECT_EQ(pack.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(pack.error().message().find("a tensor file, not a pack"), std::string::npos);
}

TEST(Pack, AFormatOfALaterLibraryIsUnsupported) {
  const TempFolder folder;
  ASSERT_TRUE(write_safetensors(folder / "t", {}, {{"format", "fsa-pack"}, {"format_version", "2"}}).ok());
  EXPECT_EQ(Pack::open(folder / "t").error().kind, ErrorKind::kUnsupported);
}

TEST(Pack, AKernelForATargetThatThisLibraryDoesNotKnowIsListedAndNeverRun) {
  const TempFolder folder;
  PackedKernel future = kernel("sm_90a", "later");
  future.record.target = "sm_130a";
  const auto pack = packed(folder, {future, kernel("sm_80", "a")});
  ASSERT_TRUE(pack.ok()) << pack.error().message();
  EXPECT_EQ(pack->targets(), (std::vector<std::string>{"sm_130a", "sm_80"}));
  EXPECT_TRUE(pack->runnable_targets(*Target::parse("sm_90a")).empty());
}

}  // namespace
}  // namespace fsa
