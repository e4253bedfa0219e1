#include "cache/file_lock.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "tests/cache/temp_folder.h"

namespace fsa {
namespace {

using namespace test;
using std::chrono::milliseconds;

TEST(FileLock, ASecondTakerWaitsAndThenSaysWhoWaited) {
  const TempFolder folder;
  const auto held = FileLock::acquire(folder / "l", milliseconds(0));
  ASSERT_TRUE(held.ok());
  const auto start = std::chrono::steady_clock::now();
  const auto second = FileLock::acquire(folder / "l", milliseconds(50));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kTimeout);
  EXPECT_NE(second.error().message().find(folder / "l"), std::string::npos);
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(50));
}

TEST(FileLock, ALockEndsWithItsObject) {
  const TempFolder folder;
  {
    ASSERT_TRUE(FileLock::acquire(folder / "l", milliseconds(0)).ok());
  }
  EXPECT_TRUE(FileLock::acquire(folder / "l", milliseconds(0)).ok());
}

TEST(FileLock, AWaiterGetsTheLockWhenItIsFreed) {
  const TempFolder folder;
  std::optional<FileLock> held;
  if (auto lock = FileLock::acquire(folder / "l", milliseconds(0))) held = std::move(lock).value();
  ASSERT_TRUE(held.has_value());
  bool got = false;
  std::thread waiter([&] { got = FileLock::acquire(folder / "l", milliseconds(10'000)).ok(); });
  std::this_thread::sleep_for(milliseconds(30));
  held.reset();
  waiter.join();
  EXPECT_TRUE(got);
}

TEST(FileLock, ProcessesAddUpWithoutLosingOne) {
  const TempFolder folder;
  write_text(folder / "count", "0");
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c)
    children.push_back(in_child([&] {
      for (int i = 0; i < 25; ++i) {
        const auto lock = FileLock::acquire(folder / "l", milliseconds(20'000));
        if (!lock) return false;
        write_text(folder / "count", std::to_string(std::stoi(read_text(folder / "count")) + 1));
      }
      return true;
    }));
  for (const pid_t child : children) EXPECT_TRUE(succeeded(child));
  EXPECT_EQ(read_text(folder / "count"), "100");
}

TEST(FileLock, AProcessThatDiesFreesItsLock) {
  const TempFolder folder;
  const pid_t child = in_child([&] { return FileLock::acquire(folder / "l", milliseconds(0)).ok(); });
  ASSERT_TRUE(succeeded(child));
  EXPECT_TRUE(FileLock::acquire(folder / "l", milliseconds(0)).ok());
}

TEST(FileLock, APathThatCannotBeOpenedIsAnError) {
  const TempFolder folder;
  EXPECT_EQ(FileLock::acquire(impossible_path(folder), milliseconds(0)).error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace fsa
