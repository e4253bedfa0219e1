#include "cache/eviction.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/cache/temp_folder.h"

namespace fsa {
namespace {

using namespace test;
using std::chrono::seconds;

StoredFile stored(std::string name, std::uint64_t bytes, int used) {
  return {std::move(name), bytes, std::filesystem::file_time_type(seconds(used))};
}

std::vector<std::string> names(const std::vector<StoredFile>& files) {
  std::vector<std::string> list;
  for (const StoredFile& f : files) list.push_back(f.name);
  return list;
}

TEST(Eviction, NothingGoesWithinTheLimits) {
  EXPECT_TRUE(choose_evictions({stored("a", 10, 1), stored("b", 10, 2)}, {.files = 2, .bytes = 20}).empty());
}

TEST(Eviction, TheLeastRecentlyUsedGoFirst) {
  const auto evicted = choose_evictions({stored("new", 10, 3), stored("old", 10, 1), stored("mid", 10, 2)}, {.files = 1, .bytes = 100});
  EXPECT_EQ(names(evicted), (std::vector<std::string>{"old", "mid"}));
}

TEST(Eviction, BytesCountAsWellAsFiles) {
  const auto evicted = choose_evictions({stored("a", 60, 1), stored("b", 30, 2), stored("c", 30, 3)}, {.files = 10, .bytes = 100});
  EXPECT_EQ(names(evicted), std::vector<std::string>{"a"});
}

TEST(Eviction, EqualTimesAreBrokenByName) {
  const auto evicted = choose_evictions({stored("b", 1, 1), stored("a", 1, 1), stored("c", 1, 1)}, {.files = 2, .bytes = 100});
  EXPECT_EQ(names(evicted), std::vector<std::string>{"a"});
}

TEST(Eviction, ALargeStoreGivesUpATenthMoreThanNeeded) {
  std::vector<StoredFile> files;
  for (int i = 0; i < 101; ++i) files.push_back(stored(std::to_string(i), 1, i));
  EXPECT_EQ(choose_evictions(files, {.files = 100, .bytes = 1000}).size(), 11u);
}

TEST(Eviction, TheMostRecentFileStaysEvenWhenItAloneIsTooLarge) {
  EXPECT_EQ(names(choose_evictions({stored("a", 1, 1), stored("b", 500, 2)}, {.files = 10, .bytes = 100})), std::vector<std::string>{"a"});
}

TEST(Eviction, FilesThatAreNotArtifactsAreNeverCountedOrRemoved) {
  const TempFolder folder;
  const std::string digest(32, 'a');
  for (const std::string& name :
       {digest + ".v1", digest + ".v12", digest, digest + ".v1x", std::string("notes.txt"), std::string(32, 'g') + ".v1"})
    write_text(folder / name, "12345");
  EXPECT_EQ(list_artifacts(folder.path()).size(), 2u);
  const Remaining left = evict_least_recent(folder.path(), {.files = 1, .bytes = 100});
  EXPECT_EQ(left.files, 1u);
  EXPECT_EQ(left.bytes, 5u);
  EXPECT_EQ(folder.names().size(), 5u);
}

TEST(Eviction, TemporaryFilesOfDeadWritersGoAndFreshOnesStay) {
  const TempFolder folder;
  write_text(folder / ".fsa-0123.tmp", "old");
  write_text(folder / ".fsa-4567.tmp", "fresh");
  std::filesystem::last_write_time(folder / ".fsa-0123.tmp", std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  evict_least_recent(folder.path(), {.files = 10, .bytes = 100});
  EXPECT_EQ(folder.names(), std::vector<std::string>{".fsa-4567.tmp"});
}

TEST(Eviction, AMissingFolderIsEmpty) { EXPECT_TRUE(list_artifacts("/no/such/folder").empty()); }

}  // namespace
}  // namespace fsa
