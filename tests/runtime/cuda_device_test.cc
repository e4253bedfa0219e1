#include "runtime/device/cuda_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

#include "codegen/nvrtc_compiler.h"
#include "runtime/device/cuda_context.h"
#include "runtime/device/cuda_timer.h"

namespace fsa {
namespace {

struct Params {
  float* x;  // [n]
  int n;
  int nanoseconds;
};

/// Entries: `add` adds 1 to x; `mirror` reverses x (one block) through dynamic shared memory; `spin` waits; `relay` lets the next launch
/// start, waits, then adds 1 to x; `follow` says in x[n] whether x was old when it began, waits for the launch ahead and doubles x.
constexpr const char* kKernels = R"(#pragma once
struct Params { float* x; int n; int nanoseconds; };
__device__ inline unsigned long long now() { unsigned long long t; asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t)); return t; }
__device__ inline void add(const Params& p) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < p.n) p.x[i] += 1;
}
__device__ inline void mirror(const Params& p) {
  extern __shared__ float copy[];
  for (int i = threadIdx.x; i < p.n; i += blockDim.x) copy[i] = p.x[i];
  __syncthreads();
  for (int i = threadIdx.x; i < p.n; i += blockDim.x) p.x[i] = copy[p.n - 1 - i];
}
__device__ inline void spin(const Params& p) {
  const auto start = now();
  while (now() - start < p.nanoseconds) {}
}
__device__ inline void relay(const Params& p) {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
  spin(p);
  add(p);
}
__device__ inline void follow(const Params& p) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i == 0) p.x[p.n] = static_cast<volatile float*>(p.x)[0];
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
  if (i < p.n) p.x[i] *= 2;
}
)";

Specialization kernels_on(const Target& target) {
  std::string source = "#include \"steps/kernel.cuh\"\n";
  for (const char* entry : {"add", "mirror", "spin", "relay", "follow"})
    source +=
        std::string("extern \"C\" __global__ void kernel_entry_") + entry + "(const __grid_constant__ Params p) { " + entry + "(p); }\n";
  return {.family = "steps",
          .version = 1,
          .target = target,
          .shape = Json::object(),
          .config = Json::object(),
          .source = source,
          .constants = {},
          .symbols = {"kernel_entry_add", "kernel_entry_mirror", "kernel_entry_spin", "kernel_entry_relay", "kernel_entry_follow"}};
}

Result<Binary> compile(const Target& target) {
  const std::map<std::string, std::string, std::less<>> texts{{"steps/kernel.cuh", kKernels}};
  FSA_ASSIGN_OR_RETURN(const auto compiler, make_nvrtc_compiler(std::make_shared<TemplateStore>(
                                                texts, std::map<std::string, std::span<const std::byte>, std::less<>>{})));
  return compiler->compile(kernels_on(target));
}

enum Entry : std::size_t { kAdd, kMirror, kSpin, kRelay, kFollow };
constexpr int kMirrorFloats = 24 * 1024;  // 96 KiB of shared memory: past the 48 KiB that need no opt-in

std::vector<Launch> launches() {
  return {{.symbol = "kernel_entry_add", .grid = {4, 1, 1}, .threads = 256},
          {.symbol = "kernel_entry_mirror", .threads = 256, .scratch_bytes = kMirrorFloats * sizeof(float)},
          {.symbol = "kernel_entry_spin"},
          {.symbol = "kernel_entry_relay", .grid = {4, 1, 1}, .threads = 256},
          {.symbol = "kernel_entry_follow", .grid = {4, 1, 1}, .threads = 256, .early = true}};
}

class CudaDevice : public testing::Test {
 protected:
  void SetUp() override {
    auto device = open_cuda_device(0);
    if (!device) GTEST_SKIP() << device.error().message();
    device_ = std::move(device).value();
    auto binary = compile(device_->target());
    if (!binary && binary.error().kind == ErrorKind::kUnavailable) GTEST_SKIP() << binary.error().message();
    ASSERT_TRUE(binary) << binary.error().message();
    binary_ = std::move(binary).value();
    auto module = device_->load(binary_.bytes, launches());
    ASSERT_TRUE(module) << module.error().message();
    module_ = std::move(module).value();
    context_ = CudaContext::open(0).value();
  }

  std::unique_ptr<Buffer> upload(const std::vector<float>& values) const {
    auto buffer = device_->allocate(values.size() * sizeof(float)).value();
    EXPECT_TRUE(device_->copy_to_device(buffer->data(), values.data(), buffer->size()));
    return buffer;
  }
  std::vector<float> download(const Buffer& buffer) const {
    std::vector<float> values(buffer.size() / sizeof(float));
    EXPECT_TRUE(device_->copy_to_host(values.data(), buffer.data(), buffer.size()));
    return values;
  }
  Result<void> start(Entry entry, const Params& params, void* stream) const {
    ParamBlock block;
    block.set(params);
    return device_->launch(*module_, entry, launches()[entry], block, stream);
  }

  std::unique_ptr<Device> device_;
  Binary binary_;
  std::unique_ptr<Module> module_;
  std::shared_ptr<const CudaContext> context_;
};

TEST_F(CudaDevice, IdentityHoldsWhatTuningDependsOnAndNoMarketingName) {
  const Json& identity = device_->identity();
  EXPECT_EQ(identity.at("arch"), device_->target().to_string());
  for (const char* field : {"units", "smem_per_sm_kib", "l2_mib", "bandwidth_class"}) EXPECT_GT(identity.at(field).get<int>(), 0) << field;
  EXPECT_EQ(identity.size(), 5u);
  EXPECT_EQ(identity.dump().find("NVIDIA"), std::string::npos);
  EXPECT_NE(device_->name().find("CUDA driver"), std::string::npos);
  std::printf("%s: %s\n", device_->name().c_str(), identity.dump().c_str());
}

TEST_F(CudaDevice, RunsAKernelOnTheDefaultStreamAndOnItsOwn) {
  const auto x = upload(std::vector<float>(1000, 1.f));
  const Params params{static_cast<float*>(x->data()), 1000, 0};
  ASSERT_TRUE(start(kAdd, params, nullptr));
  ASSERT_TRUE(device_->synchronize());
  const auto stream = device_->make_stream().value();
  ASSERT_NE(stream, nullptr);
  ASSERT_TRUE(start(kAdd, params, stream.get()));
  EXPECT_EQ(download(*x), std::vector<float>(1000, 3.f));
}

TEST_F(CudaDevice, GivesABlockTheSharedMemoryItsLaunchNames) {
  std::vector<float> values(kMirrorFloats);
  std::iota(values.begin(), values.end(), 0.f);
  const auto x = upload(values);
  ASSERT_TRUE(start(kMirror, {static_cast<float*>(x->data()), kMirrorFloats, 0}, nullptr));
  std::reverse(values.begin(), values.end());
  EXPECT_EQ(download(*x), values);
}

TEST_F(CudaDevice, AnEarlyLaunchSeesWhatTheLaunchAheadWroteOnceItHasWaited) {
  const auto stream = device_->make_stream().value();
  const Params params{nullptr, 1000, 200'000};
  const auto run = [&](void* x) -> Result<void> {
    FSA_RETURN_IF_ERROR(start(kRelay, {static_cast<float*>(x), params.n, params.nanoseconds}, stream.get()));
    return start(kFollow, {static_cast<float*>(x), params.n, 0}, stream.get());
  };
  const auto x = upload(std::vector<float>(1001, 1.f));
  ASSERT_TRUE(run(x->data()));
  ASSERT_TRUE(device_->synchronize());
  auto values = download(*x);
  if (device_->target().arch.starts_with("sm_9")) {
    EXPECT_EQ(values[1000], 1.f) << "it began when the launch ahead had ended";
  }
  values.resize(1000);
  EXPECT_EQ(values, std::vector<float>(1000, 4.f));
}

TEST_F(CudaDevice, AnEarlyLaunchIsCapturedAsOne) {
  const auto x = upload(std::vector<float>(1001, 1.f));
  const auto timer = device_->make_timer([&](void* stream) -> Result<void> {
    FSA_RETURN_IF_ERROR(start(kRelay, {static_cast<float*>(x->data()), 1000, 1000}, stream));
    return start(kFollow, {static_cast<float*>(x->data()), 1000, 0}, stream);
  });
  ASSERT_TRUE(timer);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE((*timer)->run());
  auto values = download(*x);
  values.resize(1000);
  EXPECT_EQ(values, std::vector<float>(1000, 22.f));  // 1 -> 4 -> 10 -> 22
}

TEST_F(CudaDevice, AnEmptyGridIsANoOp) {
  ParamBlock block;
  block.set(Params{nullptr, 1, 0});
  EXPECT_TRUE(device_->launch(*module_, kAdd, {.symbol = "kernel_entry_add", .grid = {0, 1, 1}}, block, nullptr));
  EXPECT_TRUE(device_->synchronize());
}

TEST_F(CudaDevice, WorksInAThreadThatHasNoContext) {
  const auto x = upload(std::vector<float>(1000, 1.f));
  bool launched = false;
  std::jthread([&] {
    launched = start(kAdd, {static_cast<float*>(x->data()), 1000, 0}, nullptr).ok() && device_->synchronize().ok();
  }).join();
  EXPECT_TRUE(launched);
  EXPECT_EQ(download(*x), std::vector<float>(1000, 2.f));
}

TEST_F(CudaDevice, FillsAndCopiesAreCompleteWhenTheyReturn) {
  const auto x = upload(std::vector<float>(1 << 20, 1.f));
  ASSERT_TRUE(device_->fill(x->data(), 0, x->size()));
  const auto stream = device_->make_stream().value();
  ASSERT_TRUE(start(kAdd, {static_cast<float*>(x->data()), 1000, 0}, stream.get()));
  const auto values = download(*x);
  EXPECT_EQ(values[0], 1.f);
  EXPECT_EQ(values[999], 1.f);
  EXPECT_EQ(values[1000], 0.f);
  EXPECT_TRUE(device_->fill(x->data(), 0, 0));
  EXPECT_TRUE(device_->copy_to_host(nullptr, x->data(), 0));
}

TEST_F(CudaDevice, AllocatingTooMuchSaysHowMuchWasAskedFor) {
  const auto buffer = device_->allocate(std::size_t{1} << 46);
  ASSERT_FALSE(buffer);
  EXPECT_EQ(buffer.error().kind, ErrorKind::kDevice);
  EXPECT_NE(buffer.error().given.find("67108864.0 MiB"), std::string::npos) << buffer.error().message();
  EXPECT_TRUE(device_->allocate(0));
}

TEST_F(CudaDevice, LoadingRefusesForeignAndBrokenBinaries) {
  const auto foreign = compile(Target::parse(device_->target().arch == "sm_80" ? "sm_90a" : "sm_80").value());
  ASSERT_TRUE(foreign);
  const auto wrong = device_->load(foreign->bytes, launches());
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kUnsupported) << wrong.error().message();
  const std::vector<std::byte> garbage(4096, std::byte{0x55});
  const auto broken = device_->load(garbage, launches());
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, ErrorKind::kUnsupported) << broken.error().message();
}

TEST_F(CudaDevice, LoadingNamesAMissingEntryAndTooMuchSharedMemory) {
  const std::vector<Launch> missing{{.symbol = "no_such_entry"}};
  const auto unnamed = device_->load(binary_.bytes, missing);
  ASSERT_FALSE(unnamed);
  EXPECT_EQ(unnamed.error().kind, ErrorKind::kNotFound) << unnamed.error().message();
  EXPECT_NE(unnamed.error().given.find("no_such_entry"), std::string::npos);
  const std::vector<Launch> greedy{{.symbol = "kernel_entry_mirror", .scratch_bytes = 1 << 20}};
  const auto large = device_->load(binary_.bytes, greedy);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::kUnsupported) << large.error().message();
}

TEST_F(CudaDevice, LoadingWhileABlockingStreamCapturesIsRefusedAndHarmsNothing) {
  const CudaDriver& driver = context_->driver();
  const CurrentContext current(*context_);
  CudaDriver::Stream stream = nullptr;
  CudaDriver::Graph graph = nullptr;
  ASSERT_TRUE(driver.check(driver.stream_create(&stream, 0), "stream"));
  ASSERT_TRUE(driver.check(driver.stream_begin_capture(stream, CudaDriver::kCaptureGlobal), "capture"));
  const auto module = device_->load(binary_.bytes, launches());
  EXPECT_TRUE(driver.check(driver.stream_end_capture(stream, &graph), "end of capture"));
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().kind, ErrorKind::kInvalidArgument) << module.error().message();
  driver.graph_destroy(graph);
  driver.stream_destroy(stream);
}

TEST_F(CudaDevice, LoadingAndUnloadingWhileAnotherStreamCapturesLeaveThatCaptureValid) {
  const CudaDriver& driver = context_->driver();
  const CurrentContext current(*context_);
  const auto x = upload(std::vector<float>(1000, 1.f));
  const auto stream = device_->make_stream().value();
  auto* const handle = static_cast<CudaDriver::Stream>(stream.get());
  ASSERT_TRUE(driver.check(driver.stream_begin_capture(handle, CudaDriver::kCaptureGlobal), "capture"));
  EXPECT_TRUE(start(kAdd, {static_cast<float*>(x->data()), 1000, 0}, handle));
  const auto still_capturing = [&] {
    int status = 0;
    return driver.stream_is_capturing(handle, &status) == CudaDriver::kSuccess && status == 1;
  };
  auto module = device_->load(binary_.bytes, launches());
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_TRUE(still_capturing()) << "after the load";
  (*module).reset();
  EXPECT_TRUE(still_capturing()) << "after the unload";
  CudaDriver::Graph graph = nullptr;
  ASSERT_TRUE(driver.check(driver.stream_end_capture(handle, &graph), "end of capture"));
  driver.graph_destroy(graph);
  EXPECT_EQ(download(*x), std::vector<float>(1000, 1.f)) << "a captured launch must not run";
}

TEST_F(CudaDevice, WorkOnTheSideStreamRunsBetweenForkAndJoin) {
  const auto x = upload(std::vector<float>(kMirrorFloats, 0.f)), y = upload({0.f});
  const auto stream = device_->make_stream().value();
  const auto side = device_->make_side_stream().value();
  float* const data = static_cast<float*>(x->data());
  for (int round = 0; round < 20; ++round) {
    // Slow work before the fork and on the side: whoever does not wait finds the numbers of before.
    ASSERT_TRUE(start(kSpin, {static_cast<float*>(y->data()), 1, 200'000}, stream.get()));
    ASSERT_TRUE(start(kAdd, {data, 1, 0}, stream.get()));
    const auto forked = side->fork(stream.get());
    ASSERT_TRUE(forked) << forked.error().message();
    ASSERT_NE(*forked, nullptr);
    EXPECT_EQ(side->fork(stream.get()).value(), nullptr) << "taken";
    ASSERT_TRUE(start(kSpin, {static_cast<float*>(y->data()), 1, 200'000}, *forked));
    ASSERT_TRUE(start(kMirror, {data, kMirrorFloats, 0}, *forked));
    ASSERT_TRUE(side->join(stream.get()));
    ASSERT_TRUE(start(kAdd, {data, 1, 0}, stream.get()));  // to what the mirror brought to the front
  }
  const std::vector<float> got = download(*x);
  // Each round adds 1 to the first number, exchanges the two ends, and adds 1 to what is first then.
  float first = 0, last = 0;
  for (int round = 0; round < 20; ++round) {
    std::swap(++first, last);
    ++first;
  }
  EXPECT_EQ(got.front(), first);
  EXPECT_EQ(got.back(), last);
}

TEST_F(CudaDevice, TheSideStreamOfOneCaptureIsNobodyElsesUntilItsEnd) {
  const CudaDriver& driver = context_->driver();
  const CurrentContext current(*context_);
  const auto x = upload(std::vector<float>(1000, 1.f));
  const auto stream = device_->make_stream().value(), other = device_->make_stream().value();
  const auto side = device_->make_side_stream().value();
  auto* const handle = static_cast<CudaDriver::Stream>(stream.get());
  ASSERT_TRUE(driver.check(driver.stream_begin_capture(handle, CudaDriver::kCaptureThreadLocal), "capture"));
  for (int i = 0; i < 2; ++i) {
    const auto forked = side->fork(stream.get());
    ASSERT_TRUE(forked) << forked.error().message();
    ASSERT_NE(*forked, nullptr);
    EXPECT_TRUE(start(kAdd, {static_cast<float*>(x->data()), 1000, 0}, *forked));
    ASSERT_TRUE(side->join(stream.get()));
  }
  EXPECT_EQ(side->fork(other.get()).value(), nullptr) << "it would be captured too";
  CudaDriver::Graph graph = nullptr;
  CudaDriver::GraphExec exec = nullptr;
  ASSERT_TRUE(driver.check(driver.stream_end_capture(handle, &graph), "end of capture"));
  EXPECT_NE(side->fork(other.get()).value(), nullptr);
  EXPECT_TRUE(side->join(other.get()));
  ASSERT_TRUE(driver.check(driver.graph_instantiate(&exec, graph, 0), "instantiation"));
  ASSERT_TRUE(driver.check(driver.graph_launch(exec, handle), "launch"));
  EXPECT_EQ(download(*x), std::vector<float>(1000, 3.f));
  driver.graph_exec_destroy(exec);
  driver.graph_destroy(graph);
}

TEST_F(CudaDevice, PointersOfTheGpuPassAndOthersAreNamed) {
  const auto x = upload({1.f});
  EXPECT_TRUE(device_->check_pointer(x->data(), "q"));
  const auto null = device_->check_pointer(nullptr, "q");
  ASSERT_FALSE(null);
  EXPECT_EQ(null.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(null.error().given.find("q "), std::string::npos) << null.error().message();
  const std::vector<float> host(1000);
  const auto foreign = device_->check_pointer(host.data(), "k");
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().given.find("host memory"), std::string::npos) << foreign.error().message();
}

TEST_F(CudaDevice, TheTimerReplaysCapturedWorkAndMeasuresItsLength) {
  int enqueued = 0;
  const auto timer = device_->make_timer([&](void* stream) { return ++enqueued, start(kSpin, {nullptr, 0, 500'000}, stream); });
  ASSERT_TRUE(timer) << timer.error().message();
  EXPECT_TRUE(dynamic_cast<CudaTimer&>(**timer).captured());
  for (int i = 0; i < 5; ++i) {
    const auto seconds = (*timer)->run();
    ASSERT_TRUE(seconds) << seconds.error().message();
    EXPECT_GT(*seconds, 490e-6);
    EXPECT_LT(*seconds, 600e-6);
  }
  EXPECT_EQ(enqueued, 1);
}

TEST_F(CudaDevice, TheTimerLeavesOutTheHostsLaunchOverhead) {
  const auto x = upload({1.f});
  const auto timer = device_->make_timer([&](void* stream) { return start(kAdd, {static_cast<float*>(x->data()), 1, 0}, stream); }).value();
  std::vector<double> seconds;
  for (int i = 0; i < 51; ++i) seconds.push_back(timer->run().value());
  std::nth_element(seconds.begin(), seconds.begin() + 25, seconds.end());
  std::printf("an all but empty kernel: %.2f us\n", seconds[25] * 1e6);
  EXPECT_LT(seconds[25], 10e-6);
  EXPECT_EQ(download(*x)[0], 52.f);
}

TEST_F(CudaDevice, WorkThatCannotBeCapturedIsTimedWithoutAGraph) {
  const auto timer = device_->make_timer([&](void* stream) -> Result<void> {
    FSA_RETURN_IF_ERROR(device_->synchronize());  // forbidden during a capture
    return start(kSpin, {nullptr, 0, 500'000}, stream);
  });
  ASSERT_TRUE(timer) << timer.error().message();
  EXPECT_FALSE(dynamic_cast<CudaTimer&>(**timer).captured());
  const auto seconds = (*timer)->run();
  ASSERT_TRUE(seconds) << seconds.error().message();
  EXPECT_GT(*seconds, 490e-6);
}

TEST_F(CudaDevice, AnErrorOfTimedWorkIsHandedOn) {
  const auto timer = device_->make_timer([](void*) -> Result<void> { return make_error(ErrorKind::kTimeout, {.given = "no time"}); });
  ASSERT_TRUE(timer);
  const auto seconds = (*timer)->run();
  ASSERT_FALSE(seconds);
  EXPECT_EQ(seconds.error().kind, ErrorKind::kTimeout);
}

TEST_F(CudaDevice, LaunchingCostsTheHostMicroseconds) {
  const auto x = upload({1.f});
  const Params params{static_cast<float*>(x->data()), 1, 0};
  const auto stream = device_->make_stream().value();
  double best = 1;
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(device_->synchronize());
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(start(kAdd, params, stream.get()));  // fewer than the launch queue holds
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 200);
  }
  std::printf("launch: %.2f us on the host\n", best * 1e6);
  EXPECT_LT(best, 20e-6);
}

TEST_F(CudaDevice, AFaultOfAKernelIsReportedAtTheNextSynchronize) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // runs in a process of its own: the fault costs the context
  EXPECT_EXIT(
      {
        const bool launched = start(kAdd, {reinterpret_cast<float*>(64), 1000, 0}, nullptr).ok();
        const auto result = device_->synchronize();
        std::_Exit(launched && !result && result.error().kind == ErrorKind::kDevice ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace fsa
