#include "cache/tuning_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <thread>

#include "cache/file_lock.h"
#include "tests/cache/temp_folder.h"
#include "tests/cache/tuning_samples.h"

namespace fsa {
namespace {

using namespace test;

struct Fixture {
  TempFolder folder;
  std::vector<std::string> log;
  TuningCache cache{{.directory = folder.path(), .lock_timeout = std::chrono::milliseconds(50), .log = [this](std::string_view s) {
                       log.emplace_back(s);
                     }}};
};

TEST(TuningCache, AMissingFileIsAnEmptyTable) {
  Fixture f;
  const auto table = f.cache.load();
  ASSERT_TRUE(table.ok());
  EXPECT_TRUE((*table)->entries().empty());
  EXPECT_TRUE(f.folder.names().empty()) << "loading writes nothing";
}

TEST(TuningCache, WhatIsMergedIsFoundHereAndByTheNextProcess) {
  Fixture f;
  ASSERT_TRUE(f.cache.merge(std::array{sample_entry()}).ok());
  EXPECT_EQ(f.cache.table()->entries().size(), 1u);
  TuningCache next({.directory = f.folder.path()});
  const auto table = next.load();
  ASSERT_TRUE(table.ok());
  EXPECT_TRUE((*table)->find({.key = sample_key()})->exact);
  EXPECT_TRUE(f.log.empty());
}

TEST(TuningCache, ATableInUseNeverChanges) {
  Fixture f;
  ASSERT_TRUE(f.cache.merge(std::array{sample_entry(1024)}).ok());
  const auto before = f.cache.table();
  ASSERT_TRUE(f.cache.merge(std::array{sample_entry(2048)}).ok());
  EXPECT_EQ(before->entries().size(), 1u);
  EXPECT_EQ(f.cache.table()->entries().size(), 2u);
}

TEST(TuningCache, TheFileIsPrivateAndTheFolderIsMade) {
  const TempFolder folder;
  TuningCache cache({.directory = folder / "a/b"});
  ASSERT_TRUE(cache.merge(std::array{sample_entry()}).ok());
  struct stat info{};
  ASSERT_EQ(::stat((folder / "a/b/tuning.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(TuningCache, SkippedEntriesAreLogged) {
  Fixture f;
  write_text(f.cache.path(), R"({"schema": 1, "entries": [{"op": "selected_attention"}]})");
  ASSERT_TRUE(f.cache.load().ok());
  ASSERT_EQ(f.log.size(), 1u);
  EXPECT_NE(f.log[0].find("entry 1"), std::string::npos);
}

TEST(TuningCache, AFutureSchemaIsLeftByteForByte) {
  Fixture f;
  const std::string future = R"({"schema": 99, "rows": [1, 2]})";
  write_text(f.cache.path(), future);
  EXPECT_EQ(f.cache.load().error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(f.cache.merge(std::array{sample_entry()}).error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(read_text(f.cache.path()), future);
}

TEST(TuningCache, ADamagedFileIsAnErrorToLoadAndIsSetAsideByAMerge) {
  Fixture f;
  write_text(f.cache.path(), "{ half a fi");
  EXPECT_EQ(f.cache.load().error().kind, ErrorKind::kCorrupt);
  ASSERT_TRUE(f.cache.merge(std::array{sample_entry()}).ok());
  EXPECT_EQ(read_text(f.cache.path() + ".damaged"), "{ half a fi");
  EXPECT_EQ(f.cache.load().value()->entries().size(), 1u);
  ASSERT_EQ(f.log.size(), 1u);
  EXPECT_NE(f.log[0].find("tuning.json.damaged"), std::string::npos);
}

TEST(TuningCache, AFailedLoadKeepsTheTableOfBefore) {
  Fixture f;
  ASSERT_TRUE(f.cache.merge(std::array{sample_entry()}).ok());
  write_text(f.cache.path(), "junk");
  EXPECT_FALSE(f.cache.load().ok());
  EXPECT_EQ(f.cache.table()->entries().size(), 1u);
}

TEST(TuningCache, AMergeThatCannotGetTheLockChangesNothing) {
  Fixture f;
  const auto held = FileLock::acquire(f.cache.path() + ".lock", std::chrono::milliseconds(0));
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(f.cache.merge(std::array{sample_entry()}).error().kind, ErrorKind::kTimeout);
  EXPECT_FALSE(std::filesystem::exists(f.cache.path()));
}

TEST(TuningCache, AFolderThatCannotBeWrittenIsAClearError) {
  const TempFolder folder;
  TuningCache cache({.directory = impossible_path(folder)});
  const auto merged = cache.merge(std::array{sample_entry()});
  ASSERT_FALSE(merged.ok());
  EXPECT_EQ(merged.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(merged.error().message().find("FSA_CACHE_DIR"), std::string::npos);
}

TEST(TuningCache, ProcessesThatMergeTogetherLoseNoEntry) {
  const TempFolder folder;
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c)
    children.push_back(in_child([&] {
      TuningCache cache({.directory = folder.path(), .lock_timeout = std::chrono::seconds(60)});
      for (int i = 0; i < 10; ++i)
        if (!cache.merge(std::array{sample_entry(1000 * c + i + 1)})) return false;
      return true;
    }));
  for (const pid_t child : children) EXPECT_TRUE(succeeded(child));
  TuningCache cache({.directory = folder.path()});
  EXPECT_EQ(cache.load().value()->entries().size(), 40u);
}

TEST(TuningCache, ThreadsMayMergeAndLoadTogether) {
  const TempFolder folder;
  TuningCache cache({.directory = folder.path(), .lock_timeout = std::chrono::seconds(60)});
  bool good[2] = {true, true};
  const auto work = [&](int thread) {
    for (int i = 0; i < 10; ++i)
      good[thread] = good[thread] && cache.merge(std::array{sample_entry(100 * thread + i + 1)}).ok() && cache.load().ok() &&
                     !cache.table()->entries().empty();
  };
  std::thread first(work, 0), second(work, 1);
  first.join();
  second.join();
  EXPECT_TRUE(good[0] && good[1]);
  EXPECT_EQ(cache.load().value()->entries().size(), 20u);
}

}  // namespace
}  // namespace fsa
