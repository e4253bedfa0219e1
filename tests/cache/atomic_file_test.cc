#include "cache/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cache/file.h"
#include "tests/cache/temp_folder.h"

namespace fsa {
namespace {

using namespace test;

TEST(AtomicFile, ReplacesTheOldFileAndLeavesNothingElse) {
  const TempFolder folder;
  write_text(folder / "x", "old");
  ASSERT_TRUE(write_file_atomically(folder / "x", "new text", FileMode::kShared).ok());
  EXPECT_EQ(read_text(folder / "x"), "new text");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"x"});
}

TEST(AtomicFile, APrivateFileIsForItsOwnerOnly) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "x", "x", FileMode::kPrivate).ok());
  struct stat info{};
  ASSERT_EQ(::stat((folder / "x").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(AtomicFile, AFailedWriteKeepsTheOldFileAndRemovesTheTemporaryOne) {
  const TempFolder folder;
  write_text(folder / "x", "old");
  // A file size limit stands for a full disk; it is set in a child, because it cannot be raised again.
  const pid_t child = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto written = write_file_atomically(folder / "x", std::string(100'000, 'n'), FileMode::kShared);
    return !written.ok() && written.error().kind == ErrorKind::kIo;
  });
  EXPECT_TRUE(succeeded(child));
  EXPECT_EQ(read_text(folder / "x"), "old");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"x"});
}

TEST(AtomicFile, AFolderInTheWayIsAnErrorAndStays) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "x/y");
  const auto written = write_file_atomically(folder / "x", "x", FileMode::kShared);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().kind, ErrorKind::kIo);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"x"});
}

TEST(AtomicFile, AMissingFolderIsAnErrorThatSaysSo) {
  const TempFolder folder;
  const auto written = write_file_atomically(folder / "no/x", "x", FileMode::kShared);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().kind, ErrorKind::kIo);
  EXPECT_NE(written.error().message().find("create the folder first"), std::string::npos) << written.error().message();
}

TEST(AtomicFile, ANameOfTheGreatestLengthCanBeWritten) {
  const TempFolder folder;
  EXPECT_TRUE(write_file_atomically(folder / std::string(255, 'n'), "x", FileMode::kShared).ok());
}

TEST(AtomicFile, ReadersNeverSeeAPartOfAFileThatProcessesRaceToReplace) {
  const TempFolder folder;
  const std::string path = folder / "x";
  ASSERT_TRUE(write_file_atomically(path, std::string(100'000, '0'), FileMode::kShared).ok());
  std::vector<pid_t> children;
  for (const char letter : {'a', 'b', 'c'})
    children.push_back(in_child([&] {
      for (int i = 0; i < 20; ++i)
        if (!write_file_atomically(path, std::string(100'000, letter), FileMode::kShared)) return false;
      return true;
    }));
  for (int i = 0; i < 200; ++i) {
    const std::string text = read_text(path);
    ASSERT_EQ(text, std::string(100'000, text.empty() ? '?' : text[0]));
  }
  for (const pid_t child : children) EXPECT_TRUE(succeeded(child));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"x"});
}

TEST(File, AMissingFileIsNotFoundAndAFolderIsNotAFile) {
  const TempFolder folder;
  EXPECT_EQ(read_whole_file(folder / "no", 10).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(read_whole_file(folder.path(), 10).error().kind, ErrorKind::kInvalidArgument);
}

TEST(File, APipeIsRefusedWithoutWaitingForAWriter) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_whole_file(folder / "pipe", 10).error().kind, ErrorKind::kInvalidArgument);
}

TEST(File, AFileOverTheLimitIsRefused) {
  const TempFolder folder;
  write_text(folder / "x", "12345");
  EXPECT_EQ(read_whole_file(folder / "x", 4).error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(read_whole_file(folder / "x", 5)->size(), 5u);
}

}  // namespace
}  // namespace fsa
