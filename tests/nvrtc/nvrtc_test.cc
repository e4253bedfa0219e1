#include <fmt/format.h>
#include <gtest/gtest.h>

#include <time.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <tuple>
#include <vector>

#include "codegen/nvrtc_compiler.h"
#include "codegen/ptxas_report.h"
#include "templates/embedded.h"
#include "templates/families.h"
#include "tests/families/problems/problems.h"

namespace fsa {
namespace {

constexpr int kThreads = 2;
constexpr int kStackAllowance = 64;  // bytes: a frame of ABI leftovers, not one of arrays or spills

/// The default, the smallest, the largest and a random config. Size is shared memory, then threads, then registers.
std::vector<Json> configs_of(const Kernel& kernel, const Json& problem, const Target& target, std::uint32_t seed) {
  std::vector<Json> chosen{kernel.default_config(problem, target)};
  const std::vector<Json> all = kernel.configs(problem, target);
  if (all.empty()) return chosen;
  const auto size = [&](const Json& config) {
    const Resources r = kernel.resources(problem, config);
    return std::tuple(r.scratch_bytes, r.threads, r.registers);
  };
  const auto [smallest, largest] =
      std::minmax_element(all.begin(), all.end(), [&](const Json& a, const Json& b) { return size(a) < size(b); });
  chosen.push_back(*smallest);
  chosen.push_back(*largest);
  chosen.push_back(all[std::mt19937(seed)() % all.size()]);
  return chosen;
}

/// Which of the problems a target is given: all of them on the two that most users have, a quarter on each of the rest.
struct Share {
  std::size_t first, step;
};

/// Every different specialization of the CUDA families for the target's share of the problems, in a fixed order.
std::vector<Specialization> specializations(const Target& target, Share share) {
  std::map<Digest, Specialization> list;
  for (const Family& family : all_families()) {
    if (!family.cuda || !test::runs_on(family.name, target)) continue;
    const std::vector<Json> all = test::family_problems(family.name, Backend::kCuda).compiled;
    for (std::size_t i = share.first; i < all.size(); i += share.step) {
      const Json& problem = all[i];
      const auto seed = static_cast<std::uint32_t>(i + 1);
      for (const Json& config : configs_of(*family.cuda, problem, target, seed)) {
        Specialization s = family.cuda->specialize(problem, config, target);
        list.emplace(s.kernel_digest(), std::move(s));
      }
    }
  }
  std::vector<Specialization> values;
  for (auto& [digest, s] : list) values.push_back(std::move(s));
  return values;
}

/// What is wrong with the compiled kernel, or an empty string.
std::string complaint(const Result<Binary>& binary) {
  if (!binary) return binary.error().message();
  const CompileReport& report = binary->report;
  if (report.registers < 1) return "the compiler's report has no register count";
  if (std::string flaw = performance_flaw(report); !flaw.empty()) return flaw;
  if (report.stack_bytes > kStackAllowance) return fmt::format("a stack frame of {} bytes", report.stack_bytes);
  return report.warnings.empty() ? std::string() : report.warnings.front();
}

/// CPU time of this thread: what a compile takes on an idle core, however busy the machine is.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Case {
  const char* target;
  Share share;
};

class Kernels : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    auto made = make_nvrtc_compiler(embedded_templates());
    if (!made && made.error().kind == ErrorKind::kUnavailable) GTEST_SKIP() << made.error().message();
    ASSERT_TRUE(made) << made.error().message();
    compiler_ = std::move(made).value();
  }
  std::unique_ptr<Compiler> compiler_;
};

TEST_P(Kernels, CompileWithoutSpillsStackOrWarnings) {
  const std::vector<Specialization> list = specializations(Target::parse(GetParam().target).value(), GetParam().share);
  ASSERT_FALSE(list.empty());
  std::vector<std::string> complaints(list.size());
  std::atomic<std::size_t> next = 0;
  std::atomic<double> seconds = 0;
  const auto compile_all = [&] {
    for (std::size_t i = next++; i < list.size(); i = next++) complaints[i] = complaint(compiler_->compile(list[i]));
    seconds += thread_seconds();
  };
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back(compile_all);
  threads.clear();
  for (std::size_t i = 0; i < list.size(); ++i) EXPECT_EQ(complaints[i], "") << list[i].name();
  fmt::print("{}: {} kernels, {:.0f} ms each\n", GetParam().target, list.size(), seconds * 1e3 / static_cast<double>(list.size()));
}

INSTANTIATE_TEST_SUITE_P(Targets, Kernels,
                         testing::Values(Case{"sm_80", {0, 1}}, Case{"sm_86", {0, 4}}, Case{"sm_89", {1, 4}}, Case{"sm_90a", {0, 1}},
                                         Case{"sm_100a", {2, 4}}, Case{"sm_120a", {3, 4}}),
                         [](const auto& parameter) { return std::string(parameter.param.target); });

class DefaultKernels : public Kernels {};

// The goal is 500 ms on an idle core; the bound leaves room for slower ones.
TEST_P(DefaultKernels, CompileWhileAUserWaits) {
  const Target target = Target::parse(GetParam().target).value();
  for (const Family& family : all_families()) {
    if (!family.cuda || !test::runs_on(family.name, target)) continue;
    const Json problem = test::family_problems(family.name, Backend::kCuda).compiled.front();
    const Specialization s = family.cuda->specialize(problem, family.cuda->default_config(problem, target), target);
    std::vector<double> seconds;
    for (int i = 0; i < 5; ++i) {
      const double start = thread_seconds();
      const auto binary = compiler_->compile(s);
      seconds.push_back(thread_seconds() - start);
      ASSERT_TRUE(binary) << binary.error().message();
    }
    std::sort(seconds.begin(), seconds.end());
    fmt::print("{} for {}: {:.0f} ms, at best {:.0f} ms\n", family.name, target.to_string(), seconds[2] * 1e3, seconds[0] * 1e3);
    EXPECT_LE(seconds[2], 1.5) << s.name();
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, DefaultKernels, testing::Values(Case{"sm_80", {}}, Case{"sm_90a", {}}),
                         [](const auto& parameter) { return std::string(parameter.param.target); });

}  // namespace
}  // namespace fsa
