#include "cache/single_flight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace fsa {
namespace {

using Map = SingleFlight<std::string, std::shared_ptr<const int>>;
using MapResult = Result<std::shared_ptr<const int>>;

MapResult value(int number) { return std::make_shared<const int>(number); }
MapResult failure(std::string given) { return make_error(ErrorKind::kCompile, {.given = std::move(given)}); }

TEST(SingleFlight, AValueIsMadeOnceAndKept) {
  Map map;
  int made = 0;
  const auto make = [&] { return ++made, value(7); };
  const auto first = map.get_or_make("k", make), second = map.get_or_make("k", make);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(*first, *second) << "the same object";
  EXPECT_EQ(**map.find("k"), 7);
  EXPECT_FALSE(map.find("other").has_value());
}

TEST(SingleFlight, ThreadsThatAskTogetherShareOneMaking) {
  Map map;
  std::atomic<int> made = 0, right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      const auto got = map.get_or_make("k", [&] {
        ++made;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return value(7);
      });
      if (got && **got == 7) ++right;
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(right, 8);
}

TEST(SingleFlight, AnotherKeyIsNotBlockedByOneInTheMaking) {
  Map map;
  std::promise<void> started, release;
  std::thread slow([&] {
    (void)map.get_or_make("slow", [&] {
      started.set_value();
      release.get_future().wait();
      return value(1);
    });
  });
  started.get_future().wait();
  EXPECT_TRUE(map.get_or_make("fast", [] { return value(2); }).ok());
  EXPECT_FALSE(map.find("slow").has_value()) << "find never waits";
  release.set_value();
  slow.join();
  EXPECT_TRUE(map.find("slow").has_value());
}

TEST(SingleFlight, AFailureReachesAllWhoWaitedAndIsNotKept) {
  Map map;
  std::atomic<int> made = 0, failed = 0;
  std::promise<void> release;
  const std::shared_future<void> gate = release.get_future().share();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      const auto got = map.get_or_make("k", [&] {
        ++made;
        gate.wait();
        return failure("broken source");
      });
      if (!got && got.error().given == "broken source") ++failed;
    });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  release.set_value();
  for (auto& t : threads) t.join();
  EXPECT_EQ(failed, 4);
  EXPECT_LE(made, 4);
  EXPECT_FALSE(map.find("k").has_value());
  EXPECT_TRUE(map.get_or_make("k", [] { return value(3); }).ok()) << "the next caller tries again";
}

TEST(SingleFlight, AnExceptionBecomesAnInternalErrorAndNobodyHangs) {
  Map map;
  const auto thrown = map.get_or_make("k", []() -> MapResult { throw std::runtime_error("boom"); });
  ASSERT_FALSE(thrown.ok());
  EXPECT_EQ(thrown.error().kind, ErrorKind::kInternal);
  EXPECT_NE(thrown.error().given.find("boom"), std::string::npos);
  EXPECT_TRUE(map.get_or_make("k", [] { return value(3); }).ok());
}

TEST(SingleFlight, AnErasedValueIsMadeAgainAndOldHoldersKeepTheirs) {
  Map map;
  const auto old = map.get_or_make("k", [] { return value(1); });
  map.erase("k");
  EXPECT_FALSE(map.find("k").has_value());
  EXPECT_EQ(**map.get_or_make("k", [] { return value(2); }), 2);
  EXPECT_EQ(**old, 1);
}

TEST(SingleFlight, ErasingDuringTheMakingStillServesTheMaker) {
  Map map;
  const auto got = map.get_or_make("k", [&] {
    map.erase("k");
    return value(1);
  });
  EXPECT_EQ(**got, 1);
  EXPECT_FALSE(map.find("k").has_value());
}

}  // namespace
}  // namespace fsa
