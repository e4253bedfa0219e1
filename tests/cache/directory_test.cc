#include "cache/directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/cache/temp_folder.h"

namespace fsa {
namespace {

using namespace test;

TEST(CacheDirectory, FsaCacheDirWinsOverTheOthers) {
  EXPECT_EQ(*cache_directory({.fsa_cache_dir = "/a", .xdg_cache_home = "/b", .home = "/c"}), "/a");
}

TEST(CacheDirectory, XdgCacheHomeComesBeforeHome) {
  EXPECT_EQ(*cache_directory({.fsa_cache_dir = "", .xdg_cache_home = "/b", .home = "/c"}), "/b/fsa");
  EXPECT_EQ(*cache_directory({.fsa_cache_dir = "", .xdg_cache_home = "", .home = "/c"}), "/c/.cache/fsa");
}

TEST(CacheDirectory, ARelativeXdgCacheHomeIsIgnored) {
  EXPECT_EQ(*cache_directory({.fsa_cache_dir = "", .xdg_cache_home = "b", .home = "/c"}), "/c/.cache/fsa");
}

TEST(CacheDirectory, ARelativeFsaCacheDirIsMadeAbsolute) {
  EXPECT_EQ(*cache_directory({.fsa_cache_dir = "some/./cache", .xdg_cache_home = "", .home = ""}),
            (std::filesystem::current_path() / "some/cache").string());
}

TEST(CacheDirectory, NoVariableAtAllIsAnErrorThatSaysWhatToSet) {
  const auto directory = cache_directory({});
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(directory.error().remedy.find("FSA_CACHE_DIR"), std::string::npos);
}

TEST(CacheDirectory, TheEnvironmentIsReadWhole) {
  ::setenv("FSA_CACHE_DIR", "/from/env", 1);
  EXPECT_EQ(read_cache_environment().fsa_cache_dir, "/from/env");
  ::unsetenv("FSA_CACHE_DIR");
  EXPECT_EQ(read_cache_environment().fsa_cache_dir, "");
}

TEST(CacheDirectory, MissingFoldersAreMadePrivateAndNothingIsLeftInThem) {
  const TempFolder folder;
  ASSERT_TRUE(prepare_cache_directory(folder / "a/b").ok());
  for (const char* name : {"a", "a/b"}) {
    struct stat info{};
    ASSERT_EQ(::stat((folder / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u) << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / "a/b"));
  EXPECT_TRUE(prepare_cache_directory(folder / "a/b").ok()) << "an existing folder is fine";
}

TEST(CacheDirectory, AFolderThatCannotBeMadeNamesPathReasonAndRemedy) {
  const TempFolder folder;
  const std::string path = impossible_path(folder);
  const auto prepared = prepare_cache_directory(path);
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().kind, ErrorKind::kUnavailable);
  for (const std::string& part : {path, std::string("Not a directory"), std::string("FSA_CACHE_DIR")})
    EXPECT_NE(prepared.error().message().find(part), std::string::npos) << prepared.error().message();
}

TEST(CacheDirectory, AFolderThatTakesNoFilesIsFoundOut) {
  const auto prepared = prepare_cache_directory("/proc/self");
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().kind, ErrorKind::kUnavailable);
}

TEST(CacheDirectory, AFileInItsPlaceIsAnError) {
  const TempFolder folder;
  write_text(folder / "f", "");
  EXPECT_EQ(prepare_cache_directory(folder / "f").error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace fsa
