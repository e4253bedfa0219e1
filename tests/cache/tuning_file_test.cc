#include "cache/tuning_file.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/cache/tuning_samples.h"

namespace fsa {
namespace {

using namespace test;

Json document_of(std::vector<TuningEntry> entries) {
  Json document = empty_tuning_document();
  merge_tuning_entries(document, entries);
  return document;
}

TEST(TuningFile, TextRoundTripsAndStaysTheSame) {
  const Json document = document_of({sample_entry(1024), sample_entry(2048)});
  const std::string text = tuning_document_text(document);
  const auto parsed = parse_tuning_document(text, "t");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(*parsed, document);
  EXPECT_EQ(tuning_document_text(*parsed), text);
}

TEST(TuningFile, APersonFindsOneMemberPerLine) {
  const std::string text = tuning_document_text(document_of({sample_entry()}));
  EXPECT_NE(text.find("\n      \"op\": \"selected_attention\",\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n      \"choice\": {\"variant\":\"block_major\","), std::string::npos) << text;
}

TEST(TuningFile, AnEmptyDocumentIsReadable) { EXPECT_TRUE(parse_tuning_document(tuning_document_text(empty_tuning_document()), "t").ok()); }

TEST(TuningFile, TheSameKeyIsReplacedByTheNewerEntry) {
  Json document = document_of({sample_entry(1024, "2026-01-01T00:00:00Z", 32), sample_entry(2048)});
  merge_tuning_entries(document, std::array{sample_entry(1024, "2026-01-02T00:00:00Z", 64)});
  ASSERT_EQ(document["entries"].size(), 2u);
  EXPECT_EQ(rows_of(read_tuning_entries(document, "t").entries[0]), 64);
  merge_tuning_entries(document, std::array{sample_entry(1024, "2025-12-31T00:00:00Z", 16)});
  EXPECT_EQ(rows_of(read_tuning_entries(document, "t").entries[0]), 64) << "an older result does not replace a newer one";
}

TEST(TuningFile, EqualKeysInOneMergeLeaveOneEntry) {
  EXPECT_EQ(document_of({sample_entry(1024), sample_entry(1024)})["entries"].size(), 1u);
}

TEST(TuningFile, EntriesOfOtherDevicesAndToolchainsStay) {
  TuningEntry other_device = sample_entry(), other_toolchain = sample_entry(), other_version = sample_entry();
  other_device.key.device["units"] = 78;
  other_toolchain.key.toolchain = "nvrtc 12.8";
  other_version.key.families["selected_block_major"] = 1;
  EXPECT_EQ(document_of({other_device, other_toolchain, other_version, sample_entry()})["entries"].size(), 4u);
}

TEST(TuningFile, ABadEntryIsSkippedWithAWarningThatNamesItAndIsKept) {
  Json document = document_of({sample_entry(1024)});
  Json bad = sample_entry(2048).to_json();
  bad.erase("choice");
  document["entries"].push_back(bad);
  document["entries"].push_back(17);
  const TuningEntries read = read_tuning_entries(document, "/c/tuning.json");
  EXPECT_EQ(read.entries.size(), 1u);
  ASSERT_EQ(read.warnings.size(), 2u);
  EXPECT_NE(read.warnings[0].find("entry 2 of '/c/tuning.json' (selected_attention): 'choice' is missing"), std::string::npos)
      << read.warnings[0];
  EXPECT_NE(read.warnings[1].find("entry 3"), std::string::npos) << read.warnings[1];
  merge_tuning_entries(document, std::array{sample_entry(4096)});
  const auto rewritten = parse_tuning_document(tuning_document_text(document), "t");
  ASSERT_TRUE(rewritten.ok());
  EXPECT_EQ((*rewritten)["entries"][1], bad);
  EXPECT_EQ((*rewritten)["entries"][2], Json(17));
  EXPECT_EQ((*rewritten)["entries"].size(), 4u);
}

TEST(TuningFile, MembersThatThisLibraryDoesNotKnowStay) {
  Json document = document_of({sample_entry(1024)});
  document["note"] = "mine";
  document["entries"][0]["remark"] = "measured on a quiet machine";
  merge_tuning_entries(document, std::array{sample_entry(2048)});
  EXPECT_EQ(document["note"], "mine");
  EXPECT_EQ(document["entries"][0]["remark"], "measured on a quiet machine");
  EXPECT_TRUE(read_tuning_entries(document, "t").warnings.empty());
}

TEST(TuningFile, AFutureSchemaIsUnsupportedAndSaysWhatToDo) {
  const auto parsed = parse_tuning_document(R"({"schema": 2, "entries": "in another form"})", "/c/tuning.json");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(parsed.error().message().find("/c/tuning.json"), std::string::npos);
  EXPECT_NE(parsed.error().message().find("update this library"), std::string::npos);
}

TEST(TuningFile, TextThatIsNoTuningCacheIsCorrupt) {
  for (const char* text : {"", "[]", "{}", "{\"schema\": 1}", "{\"entries\": []}", R"({"schema": "1", "entries": []})",
                           R"({"schema": 0, "entries": []})", R"({"schema": 1, "entries": {}})", R"({"schema": 1, "entries": [)"}) {
    const auto parsed = parse_tuning_document(text, "t");
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt) << text;
  }
}

}  // namespace
}  // namespace fsa
