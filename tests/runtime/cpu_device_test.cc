#include "runtime/device/cpu_device.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

namespace fsa {
namespace {

struct Params {
  const int* x;
  int* y;
  int* calls;
};

std::vector<std::byte> test_object() {
  std::ifstream in(FSA_TEST_OBJECT, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

Launch launch_of(const char* symbol, std::uint32_t items) {
  return {.symbol = symbol, .grid = {items, 1, 1}, .threads = 1, .scratch_bytes = 64};
}

class CpuDevice : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_cpu_device(2);
    if (!opened) GTEST_SKIP() << opened.error().message();
    device_ = std::move(opened).value();
  }
  std::unique_ptr<Device> device_;
};

TEST_F(CpuDevice, StatesWhatTuningDependsOnAndNoMarketingName) {
  const Json& identity = device_->identity();
  EXPECT_EQ(identity["arch"], device_->target().to_string());
  EXPECT_EQ(identity["units"], 2);
  EXPECT_TRUE(identity.contains("l2_kib"));
  EXPECT_TRUE(identity.contains("l3_mib"));
  EXPECT_FALSE(device_->name().empty());
  EXPECT_EQ(identity.dump().find(device_->name()), std::string::npos);
  EXPECT_EQ(device_->target().backend, Backend::kCpu);
}

TEST_F(CpuDevice, LaunchesEveryItemOfEveryEntry) {
  constexpr int kItems = 100;
  const std::array launches{launch_of("kernel_entry", kItems), launch_of("kernel_entry_clear", kItems)};
  const auto module = device_->load(test_object(), launches);
  ASSERT_TRUE(module.ok()) << module.error().message();
  std::vector<int> x(16 * kItems), y(x.size(), -1);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int>(i);
  int calls = 0;
  ParamBlock params;
  params.set(Params{x.data(), y.data(), &calls});
  ASSERT_TRUE(device_->launch(**module, 0, launches[0], params, nullptr).ok());
  for (int i = 0; i < 16 * kItems; ++i) ASSERT_EQ(y[i], (i / 16 % 2 ? -i : 2 * i) + i / 16 % 4 * 100) << i;
  ASSERT_TRUE(device_->launch(**module, 1, launches[1], params, nullptr).ok());
  EXPECT_EQ(y, std::vector<int>(y.size(), 0));
  EXPECT_TRUE(device_->synchronize().ok());
}

TEST_F(CpuDevice, AnEmptyGridIsANoOp) {
  const std::array launches{launch_of("kernel_entry", 0)};
  const auto module = device_->load(test_object(), launches).value();
  EXPECT_TRUE(device_->launch(*module, 0, launches[0], ParamBlock{}, nullptr).ok());
}

TEST_F(CpuDevice, TwoThreadsLaunchAtOnce) {
  const std::array launches{launch_of("kernel_entry", 64)};
  const auto module = device_->load(test_object(), launches).value();
  const auto host = [&] {
    std::vector<int> x(16 * 64, 5), y(x.size());
    int calls = 0;
    ParamBlock params;
    params.set(Params{x.data(), y.data(), &calls});
    for (int round = 0; round < 200; ++round) {
      std::fill(y.begin(), y.end(), 0);
      ASSERT_TRUE(device_->launch(*module, 0, launches[0], params, nullptr).ok());
      for (int i = 0; i < 16 * 64; ++i) ASSERT_EQ(y[i], (i / 16 % 2 ? -5 : 10) + i / 16 % 4 * 100);
    }
  };
  const std::jthread first(host), second(host);
}

TEST_F(CpuDevice, ALaunchThatDiffersFromTheLoadIsRefused) {
  Launch launch = launch_of("kernel_entry", 1);
  const auto module = device_->load(test_object(), std::array{launch}).value();
  EXPECT_EQ(device_->launch(*module, 1, launch, ParamBlock{}, nullptr).error().kind, ErrorKind::kInternal);
  launch.scratch_bytes = 65;
  EXPECT_EQ(device_->launch(*module, 0, launch, ParamBlock{}, nullptr).error().kind, ErrorKind::kInternal);
}

TEST_F(CpuDevice, WhatIsNoObjectIsCorrupt) {
  const std::string text = "a cubin, perhaps";
  const auto module = device_->load(std::as_bytes(std::span(text)), std::array{launch_of("kernel_entry", 1)});
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().kind, ErrorKind::kCorrupt);
}

TEST_F(CpuDevice, MemoryIsAlignedAndCopies) {
  const auto buffer = device_->allocate(100).value();
  EXPECT_EQ(buffer->size(), 100u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data()) % 256, 0u);
  ASSERT_TRUE(device_->fill(buffer->data(), 7, 100).ok());
  const std::array<char, 4> sent{1, 2, 3, 4};
  std::array<char, 5> received{};
  ASSERT_TRUE(device_->copy_to_device(buffer->data(), sent.data(), 4).ok());
  ASSERT_TRUE(device_->copy_to_host(received.data(), buffer->data(), 5).ok());
  EXPECT_EQ(received, (std::array<char, 5>{1, 2, 3, 4, 7}));
  EXPECT_TRUE(device_->copy_to_host(nullptr, nullptr, 0).ok());
  EXPECT_NE(device_->allocate(0).value()->data(), nullptr);
}

TEST_F(CpuDevice, MoreMemoryThanThereIsIsAnError) {
  EXPECT_EQ(device_->allocate(std::size_t{1} << 60).error().kind, ErrorKind::kUnavailable);
}

TEST_F(CpuDevice, TheTimerRunsTheWorkAndTimesIt) {
  int runs = 0;
  const auto timer = device_
                         ->make_timer([&](void*) -> Result<void> {
                           ++runs;
                           std::this_thread::sleep_for(std::chrono::milliseconds(5));
                           return {};
                         })
                         .value();
  const auto seconds = timer->run();
  ASSERT_TRUE(seconds.ok());
  EXPECT_GE(*seconds, 0.005);
  EXPECT_TRUE(timer->run().ok());
  EXPECT_EQ(runs, 2);
}

TEST_F(CpuDevice, TheTimerPassesOnAFailure) {
  const auto timer =
      device_->make_timer([](void*) -> Result<void> { return make_error(ErrorKind::kDevice, {.given = "it broke"}); }).value();
  EXPECT_EQ(timer->run().error().kind, ErrorKind::kDevice);
}

TEST_F(CpuDevice, ANullPointerIsRefusedByName) {
  const int value = 0;
  EXPECT_TRUE(device_->check_pointer(&value, "q").ok());
  const auto checked = device_->check_pointer(nullptr, "block_indices");
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(checked.error().given.find("block_indices"), std::string::npos);
}

TEST(CpuDeviceThreads, AreAsManyAsAskedForWhateverTheEnvironmentSays) {
  if (!Target::host_cpu()) GTEST_SKIP() << "this CPU runs no kernels";
  setenv("FSA_NUM_THREADS", "many", 1);  // of EngineOptions::from_environment() alone
  EXPECT_EQ(open_cpu_device(3).value()->identity()["units"], 3);
  EXPECT_GE(open_cpu_device().value()->identity()["units"], 1);
  unsetenv("FSA_NUM_THREADS");
}

TEST(CpuDeviceThreads, ANonsensicalCountIsRefused) {
  if (!Target::host_cpu()) GTEST_SKIP() << "this CPU runs no kernels";
  for (const int count : {-1, 5000}) EXPECT_EQ(open_cpu_device(count).error().kind, ErrorKind::kInvalidArgument) << count;
}

}  // namespace
}  // namespace fsa
