#include "runtime/device/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {
std::atomic<long> allocations{0};
}

// Counts what the launch path must not do.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size ? size : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace fsa {
namespace {

using Counts = std::vector<std::atomic<int>>;

void count(void* context, std::int64_t item, void*) { ++(*static_cast<Counts*>(context))[item]; }

void expect_all(const Counts& counts, int times) {
  for (std::size_t i = 0; i < counts.size(); ++i) ASSERT_EQ(counts[i], times) << i;
}

TEST(ThreadPool, EveryItemRunsExactlyOnce) {
  for (const unsigned threads : {1u, 2u, 3u, 8u}) {
    const auto pool = ThreadPool::create(threads).value();
    EXPECT_EQ(pool->threads(), threads);
    for (const std::int64_t items : {1, 2, 7, 1000}) {
      Counts counts(items);
      pool->run(items, count, &counts);
      expect_all(counts, 1);
    }
  }
}

TEST(ThreadPool, NoItemsIsNothingToDo) {
  const auto pool = ThreadPool::create(2).value();
  pool->run(0, nullptr, nullptr);
  pool->run(-1, nullptr, nullptr);
}

TEST(ThreadPool, ALongChainOfSmallLaunchesLosesNothing) {
  const auto pool = ThreadPool::create(4).value();
  Counts counts(5);
  for (int i = 0; i < 20000; ++i) pool->run(5, count, &counts);
  expect_all(counts, 20000);
}

TEST(ThreadPool, SleepingWorkersWakeUp) {
  const auto pool = ThreadPool::create(2).value();
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // far past the spin
    // Two items that wait for each other: done only if a worker takes one.
    std::atomic<int> arrived{0};
    pool->run(
        2,
        [](void* context, std::int64_t, void*) {
          auto& both = *static_cast<std::atomic<int>*>(context);
          ++both;
          while (both < 2) std::this_thread::yield();
        },
        &arrived);
    EXPECT_EQ(arrived, 2);
  }
}

/// Fills its scratch with its own mark, and looks later whether the mark is still there.
struct ScratchUse {
  std::size_t bytes;
  std::atomic<int> misaligned{0}, overwritten{0};
  static void use(void* context, std::int64_t item, void* scratch) {
    auto& self = *static_cast<ScratchUse*>(context);
    if (reinterpret_cast<std::uintptr_t>(scratch) % 64) ++self.misaligned;
    const auto mark = static_cast<unsigned char>(item * 31 + 7);
    auto* bytes = static_cast<unsigned char*>(scratch);
    std::memset(bytes, mark, self.bytes);
    std::this_thread::yield();
    for (std::size_t i = 0; i < self.bytes; ++i)
      if (bytes[i] != mark) ++self.overwritten;
  }
};

TEST(ThreadPool, ScratchIsAlignedAndNotShared) {
  const auto pool = ThreadPool::create(4).value();
  ASSERT_TRUE(pool->reserve_scratch(1000).ok());
  ScratchUse use{.bytes = 1000};
  pool->run(500, &ScratchUse::use, &use);
  EXPECT_EQ(use.misaligned, 0);
  EXPECT_EQ(use.overwritten, 0);
}

TEST(ThreadPool, ScratchThatCannotBeHadIsAnErrorAndTheOldOneStays) {
  const auto pool = ThreadPool::create(2).value();
  ASSERT_TRUE(pool->reserve_scratch(1000).ok());
  EXPECT_EQ(pool->reserve_scratch(std::size_t{1} << 60).error().kind, ErrorKind::kUnavailable);
  ScratchUse use{.bytes = 1000};
  pool->run(50, &ScratchUse::use, &use);
  EXPECT_EQ(use.overwritten, 0);
}

TEST(ThreadPool, ManyThreadsLaunchAtOnceWhileScratchGrows) {
  const auto pool = ThreadPool::create(3).value();
  ASSERT_TRUE(pool->reserve_scratch(256).ok());
  std::array<ScratchUse, 6> uses;
  Counts counts(100);
  {
    std::vector<std::jthread> hosts;
    for (auto& use : uses)
      hosts.emplace_back([&] {
        use.bytes = 256;
        for (int i = 0; i < 200; ++i) {
          pool->run(20, &ScratchUse::use, &use);
          pool->run(100, count, &counts);
        }
      });
    for (std::size_t bytes = 512; bytes < 200'000; bytes += 1024) ASSERT_TRUE(pool->reserve_scratch(bytes).ok());
  }
  for (const auto& use : uses) EXPECT_EQ(use.misaligned + use.overwritten, 0);
  expect_all(counts, 6 * 200);
}

TEST(ThreadPool, ASecondLaunchDoesNotWaitForTheFirst) {
  const auto pool = ThreadPool::create(2).value();
  std::atomic<bool> started{false}, finish{false};
  struct Flags {
    std::atomic<bool>&started, &finish;
  } flags{started, finish};
  std::jthread first([&] {
    pool->run(
        2,
        [](void* context, std::int64_t, void*) {
          auto& f = *static_cast<Flags*>(context);
          f.started = true;
          while (!f.finish) std::this_thread::yield();
        },
        &flags);
  });
  while (!started) std::this_thread::yield();
  Counts counts(10);
  pool->run(10, count, &counts);  // returns although the first launch is held up
  expect_all(counts, 1);
  finish = true;
}

TEST(ThreadPool, ALaunchAllocatesNothing) {
  const auto pool = ThreadPool::create(3).value();
  ASSERT_TRUE(pool->reserve_scratch(4096).ok());
  Counts counts(50);
  pool->run(50, count, &counts);
  const long before = allocations;
  for (int i = 0; i < 100; ++i) pool->run(50, count, &counts);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace fsa
