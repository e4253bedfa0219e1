#include "cache/artifact_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/cache/temp_folder.h"

namespace fsa {
namespace {

using namespace test;

Digest key(std::string_view name) { return DigestBuilder().field(name).finish(); }

/// A store in a folder of its own, with its log.
struct Fixture {
  explicit Fixture(std::uint64_t max_bytes = 1 << 20, std::size_t max_files = 100)
      : store({.directory = folder.path(), .max_bytes = max_bytes, .max_files = max_files, .log = [this](std::string_view s) {
                 log.emplace_back(s);
               }}) {}

  TempFolder folder;
  std::vector<std::string> log;
  ArtifactStore store;
};

void put(ArtifactStore& store, std::string_view name, std::string_view payload) {
  const auto stored = store.put(key(name), bytes_of(payload), Json{{"name", name}});
  ASSERT_TRUE(stored.ok()) << stored.error().message();
}

/// Makes a file look as if it was used so many seconds ago.
void age(const ArtifactStore& store, std::string_view name, int seconds) {
  std::filesystem::last_write_time(store.path_of(key(name)), std::filesystem::file_time_type::clock::now() - std::chrono::seconds(seconds));
}

TEST(ArtifactStore, WhatIsPutIsFound) {
  Fixture f;
  put(f.store, "a", "payload");
  const auto artifact = f.store.get(key("a"));
  ASSERT_TRUE(artifact.has_value());
  EXPECT_EQ(artifact->payload, bytes_of("payload"));
  EXPECT_EQ(artifact->metadata, (Json{{"name", "a"}}));
  EXPECT_TRUE(f.log.empty());
}

TEST(ArtifactStore, AnEmptyPayloadIsAnArtifact) {
  Fixture f;
  put(f.store, "a", "");
  EXPECT_TRUE(f.store.get(key("a")).has_value());
}

TEST(ArtifactStore, AnUnknownKeyIsASilentMissThatTouchesNothing) {
  Fixture f;
  EXPECT_FALSE(f.store.get(key("a")).has_value());
  EXPECT_TRUE(f.log.empty());
  EXPECT_TRUE(f.folder.names().empty());
}

TEST(ArtifactStore, FolderAndFilesArePrivate) {
  Fixture f;
  put(f.store, "a", "x");
  struct stat info{};
  ASSERT_EQ(::stat(f.store.directory().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat(f.store.path_of(key("a")).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(ArtifactStore, AnotherStoreOnTheSameFolderFindsIt) {
  Fixture f;
  put(f.store, "a", "x");
  const ArtifactStore second({.directory = f.folder.path()});
  EXPECT_TRUE(second.get(key("a")).has_value());
}

TEST(ArtifactStore, TruncatedFileIsAMiss) {
  Fixture f;
  put(f.store, "a", "payload");
  const std::string path = f.store.path_of(key("a")), whole = read_text(path);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_text(path, whole.substr(0, length));
    EXPECT_FALSE(f.store.get(key("a")).has_value()) << length;
    EXPECT_FALSE(std::filesystem::exists(path)) << "a damaged file is removed: " << length;
  }
}

TEST(ArtifactStore, AFlippedBitAnywhereIsAMiss) {
  Fixture f;
  put(f.store, "a", "payload");
  const std::string path = f.store.path_of(key("a")), whole = read_text(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    write_text(path, flipped);
    EXPECT_FALSE(f.store.get(key("a")).has_value()) << i;
  }
  write_text(path, whole);
  EXPECT_TRUE(f.store.get(key("a")).has_value());
}

TEST(ArtifactStore, AppendedBytesAreAMiss) {
  Fixture f;
  put(f.store, "a", "payload");
  const std::string path = f.store.path_of(key("a"));
  write_text(path, read_text(path) + "x");
  EXPECT_FALSE(f.store.get(key("a")).has_value());
}

TEST(ArtifactStore, AFileUnderAnotherKeysNameIsAMiss) {
  Fixture f;
  put(f.store, "a", "payload");
  std::filesystem::copy_file(f.store.path_of(key("a")), f.store.path_of(key("b")));
  EXPECT_FALSE(f.store.get(key("b")).has_value());
  EXPECT_TRUE(f.store.get(key("a")).has_value());
}

TEST(ArtifactStore, DamageIsLoggedOnceWithTheFileAndTheFault) {
  Fixture f;
  put(f.store, "a", "payload");
  const std::string path = f.store.path_of(key("a"));
  write_text(path, "something else entirely, long enough to hold a header and a checksum, but of another program altogether, as it is");
  EXPECT_FALSE(f.store.get(key("a")).has_value());
  EXPECT_FALSE(f.store.get(key("a")).has_value());
  ASSERT_EQ(f.log.size(), 1u);
  EXPECT_NE(f.log[0].find(path), std::string::npos);
  EXPECT_NE(f.log[0].find("not an artifact file"), std::string::npos) << f.log[0];
}

TEST(ArtifactStore, ADamagedFileIsMendedByTheNextPut) {
  Fixture f;
  put(f.store, "a", "payload");
  write_text(f.store.path_of(key("a")), "junk");
  put(f.store, "a", "payload");
  EXPECT_TRUE(f.store.get(key("a")).has_value());
}

TEST(ArtifactStore, TheLeastRecentlyUsedIsEvictedAndAHitCountsAsUse) {
  Fixture f(1 << 20, 3);
  for (const char* name : {"a", "b", "c"}) put(f.store, name, "x");
  age(f.store, "a", 300);
  age(f.store, "b", 200);
  age(f.store, "c", 100);
  ASSERT_TRUE(f.store.get(key("a")).has_value());  // now the most recent
  put(f.store, "d", "x");
  EXPECT_FALSE(f.store.get(key("b")).has_value());
  for (const char* name : {"a", "c", "d"}) EXPECT_TRUE(f.store.get(key(name)).has_value()) << name;
  EXPECT_EQ(f.store.usage().files, 3u);
}

TEST(ArtifactStore, TheStoreStaysWithinItsBytes) {
  Fixture f(10'000);
  for (int i = 0; i < 30; ++i) {
    put(f.store, std::to_string(i), std::string(1000, 'x'));
    EXPECT_LE(f.store.usage().bytes, 10'000u);
  }
  EXPECT_GE(f.store.usage().files, 7u);
  EXPECT_TRUE(f.store.get(key("29")).has_value());
}

TEST(ArtifactStore, AnArtifactLargerThanTheWholeStoreIsAnError) {
  Fixture f(1000);
  const auto stored = f.store.put(key("a"), std::vector<std::byte>(2000), Json::object());
  ASSERT_FALSE(stored.ok());
  EXPECT_EQ(stored.error().kind, ErrorKind::kInvalidArgument);
}

TEST(ArtifactStore, AFolderThatCannotBeWrittenIsAClearErrorOfPutAndAMissOfGet) {
  const TempFolder folder;
  ArtifactStore store({.directory = impossible_path(folder)});
  EXPECT_FALSE(store.get(key("a")).has_value());
  const auto stored = store.put(key("a"), bytes_of("x"), Json::object());
  ASSERT_FALSE(stored.ok());
  EXPECT_EQ(stored.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(stored.error().message().find("FSA_CACHE_DIR"), std::string::npos);
}

TEST(ArtifactStore, AFolderThatEveryUserMayWriteToIsNotTrusted) {
  Fixture f;
  put(f.store, "a", "x");
  ASSERT_EQ(::chmod(f.store.directory().c_str(), 0777), 0);
  EXPECT_FALSE(f.store.get(key("a")).has_value());
  EXPECT_FALSE(f.store.get(key("a")).has_value());
  EXPECT_EQ(f.log.size(), 1u);
  EXPECT_EQ(f.store.put(key("b"), bytes_of("x"), Json::object()).error().kind, ErrorKind::kUnavailable);
  ASSERT_EQ(::chmod(f.store.directory().c_str(), 0755), 0);
  EXPECT_TRUE(f.store.get(key("a")).has_value());
}

TEST(ArtifactStore, ProcessesThatRaceForTheSameKeysAllFindThemWhole) {
  const TempFolder folder;
  const std::string payload(50'000, 'p');
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c)
    children.push_back(in_child([&] {
      bool clean = true;
      ArtifactStore store({.directory = folder.path(), .log = [&](std::string_view) { clean = false; }});
      for (int i = 0; i < 40; ++i) {
        const Digest digest = key(std::to_string(i % 5));
        if (const auto found = store.get(digest); found && found->payload != bytes_of(payload)) return false;
        if (!store.put(digest, bytes_of(payload), Json::object())) return false;
      }
      return clean;
    }));
  for (const pid_t child : children) EXPECT_TRUE(succeeded(child));
  const ArtifactStore store({.directory = folder.path()});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(store.get(key(std::to_string(i))).has_value());
  EXPECT_EQ(store.usage().files, 5u);
}

TEST(ArtifactStore, ProcessesThatRaceToEvictStayWithinTheLimits) {
  const TempFolder folder;
  std::vector<pid_t> children;
  for (int c = 0; c < 3; ++c)
    children.push_back(in_child([&] {
      ArtifactStore store({.directory = folder.path(), .max_files = 5});
      for (int i = 0; i < 30; ++i)
        if (!store.put(key(std::to_string(c) + "/" + std::to_string(i)), bytes_of("x"), Json::object())) return false;
      return true;
    }));
  for (const pid_t child : children) EXPECT_TRUE(succeeded(child));
  ArtifactStore store({.directory = folder.path(), .max_files = 5});
  put(store, "last", "x");
  EXPECT_LE(store.usage().files, 5u);
  EXPECT_TRUE(store.get(key("last")).has_value());
}

TEST(ArtifactStore, ThreadsMayShareAStore) {
  Fixture f(1 << 20, 20);
  std::atomic<int> wrong = 0;
  const auto work = [&](int thread) {
    for (int i = 0; i < 50; ++i) {
      const std::string name = std::to_string((i * 7 + thread) % 30);
      if (!f.store.put(key(name), bytes_of(name), Json::object())) ++wrong;
      if (const auto found = f.store.get(key(name)); found && found->payload != bytes_of(name)) ++wrong;
    }
  };
  std::thread first(work, 0), second(work, 1);
  first.join();
  second.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(f.store.usage().files, 20u);
}

}  // namespace
}  // namespace fsa
