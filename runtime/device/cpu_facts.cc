#include "runtime/device/cpu_facts.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fsa {
namespace {

constexpr int kMostThreads = 4096;

Error bad_count(std::string_view what, std::string_view value) {
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("{} is '{}'", what, value), .supported = fmt::format("1 to {}", kMostThreads)});
}

long cache_bytes(int name) { return std::max(0L, sysconf(name)); }

}  // namespace

std::string cpu_name() {
#if defined(__x86_64__)
  constexpr unsigned kBrand = 0x80000002;  // three leaves of 16 characters
  std::array<unsigned, 12> words{};
  if (__get_cpuid_max(0x80000000, nullptr) >= kBrand + 2) {
    for (unsigned leaf = 0; leaf < 3; ++leaf)
      __get_cpuid(kBrand + leaf, &words[4 * leaf], &words[4 * leaf + 1], &words[4 * leaf + 2], &words[4 * leaf + 3]);
    std::array<char, sizeof(words) + 1> text{};
    std::memcpy(text.data(), words.data(), sizeof(words));
    std::string name(text.data());
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) return name;
  }
#endif
  return "x86-64 CPU";
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));  // more CPUs than the set has bits
}

Result<int> thread_count(int asked) {
  if (asked < 0 || asked > kMostThreads) return bad_count("the number of threads", std::to_string(asked));
  return asked > 0 ? asked : std::min(usable_cpus(), kMostThreads);
}

Json cache_sizes() {
  return {{"l1d_kib", cache_bytes(_SC_LEVEL1_DCACHE_SIZE) >> 10},
          {"l2_kib", cache_bytes(_SC_LEVEL2_CACHE_SIZE) >> 10},
          {"l3_mib", cache_bytes(_SC_LEVEL3_CACHE_SIZE) >> 20}};
}

}  // namespace fsa
