#include "codegen/target.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace fsa {
namespace {

struct CudaArch {
  std::string_view name;
  CudaLimits limits;
};

constexpr std::size_t kKiB = 1024;

constexpr std::array kCudaArchs = {
    CudaArch{"sm_80", {.major = 8, .minor = 0, .smem_per_block = 163 * kKiB, .smem_per_sm = 164 * kKiB, .max_threads_per_sm = 2048}},
    CudaArch{"sm_86", {.major = 8, .minor = 6, .smem_per_block = 99 * kKiB, .smem_per_sm = 100 * kKiB, .max_threads_per_sm = 1536}},
    CudaArch{"sm_89", {.major = 8, .minor = 9, .smem_per_block = 99 * kKiB, .smem_per_sm = 100 * kKiB, .max_threads_per_sm = 1536}},
    CudaArch{"sm_90a", {.major = 9, .minor = 0, .smem_per_block = 227 * kKiB, .smem_per_sm = 228 * kKiB, .max_threads_per_sm = 2048}},
    CudaArch{"sm_100a", {.major = 10, .minor = 0, .smem_per_block = 227 * kKiB, .smem_per_sm = 228 * kKiB, .max_threads_per_sm = 2048}},
    CudaArch{"sm_120a", {.major = 12, .minor = 0, .smem_per_block = 99 * kKiB, .smem_per_sm = 100 * kKiB, .max_threads_per_sm = 1536}},
};

struct CpuArch {
  std::string_view name;
  CpuFeatures features;
};

constexpr std::array kCpuArchs = {
    CpuArch{"x86-64-v3", {.level = 3}},
    CpuArch{"x86-64-v4", {.level = 4}},
    CpuArch{"x86-64-v4+avx512bf16", {.level = 4, .bf16_dot = true}},
};

Target make_target(const CudaArch& a) { return {.backend = Backend::kCuda, .arch = std::string(a.name), .cuda = a.limits, .cpu = {}}; }
Target make_target(const CpuArch& a) { return {.backend = Backend::kCpu, .arch = std::string(a.name), .cuda = {}, .cpu = a.features}; }

}  // namespace

std::string_view to_string(Backend backend) { return backend == Backend::kCuda ? "cuda" : "cpu"; }

std::vector<std::string> Target::known() {
  std::vector<std::string> names;
  for (const auto& a : kCudaArchs) names.emplace_back(a.name);
  for (const auto& a : kCpuArchs) names.emplace_back(a.name);
  return names;
}

Result<Target> Target::parse(std::string_view text) {
  for (const auto& a : kCudaArchs)
    if (a.name == text) return make_target(a);
  for (const auto& a : kCpuArchs)
    if (a.name == text) return make_target(a);
  return make_error(ErrorKind::kInvalidArgument,
                    {.given = fmt::format("target '{}'", text), .supported = fmt::format("{}", fmt::join(known(), ", "))});
}

Result<Target> Target::cuda_device(int major, int minor) {
  for (const auto& a : kCudaArchs)
    if (a.limits.major == major && a.limits.minor == minor) return make_target(a);
  // Binaries without the 'a' suffix run on later minor versions of the same major (Ampere, Ada): take the nearest below.
  const CudaArch* nearest = nullptr;
  for (const auto& a : kCudaArchs)
    if (a.limits.major == major && a.limits.minor < minor && !a.name.ends_with('a')) nearest = &a;
  if (nearest) return make_target(*nearest);
  return make_error(ErrorKind::kUnsupported, {.given = fmt::format("a GPU of compute capability {}.{}", major, minor),
                                              .supported = "8.0, 8.6, 8.7, 8.9, 9.0, 10.0, 12.0",
                                              .remedy = "use the device 'cpu'"});
}

Result<Target> Target::host_cpu() {
#if defined(__x86_64__)
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (v4) return parse(__builtin_cpu_supports("avx512bf16") ? "x86-64-v4+avx512bf16" : "x86-64-v4");
  if (v3) return parse("x86-64-v3");
  return make_error(ErrorKind::kUnavailable, {.given = "this CPU has no AVX2 with FMA", .supported = "x86-64-v3 and later", .remedy = "use a GPU or another machine"});
#else
  return make_error(ErrorKind::kUnavailable, {.given = "this CPU is not an x86-64", .supported = "x86-64-v3 and later", .remedy = "use a GPU or another machine"});
#endif
}

bool Target::runs(const Target& code) const {
  if (backend != code.backend) return false;
  if (backend == Backend::kCpu) return cpu.level >= code.cpu.level && (cpu.bf16_dot || !code.cpu.bf16_dot);
  return arch == code.arch || (cuda.major == code.cuda.major && cuda.minor >= code.cuda.minor && !code.arch.ends_with('a'));
}

}  // namespace fsa
